/*
 * Every kind of message that one association carries, as a script of steps: from either leg, many responses to one request, a
 * data set with any of them. What goes in at one end comes out at the other: every element, every byte, in order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "speaker.h"

enum leg { REQUESTOR, ACCEPTOR };

/* One message: who sends it, on which context, what it says, and how long its data set is. */
struct step {
    enum leg from;
    uint8_t context_id;
    size_t data_bytes;
    struct dimse_command c;
};

#define TEXT(s)                                                                                              \
    {                                                                                                        \
        (const uint8_t *)(s), sizeof(s) - 1                                                                  \
    }

#define STUDY_FIND TEXT("1.2.840.10008.5.1.4.1.2.2.1")
#define STUDY_GET  TEXT("1.2.840.10008.5.1.4.1.2.2.3")
#define CT         TEXT("1.2.840.10008.5.1.4.1.1.2")
#define COMMITMENT TEXT("1.2.840.10008.1.20.1")
#define COMMITTER  TEXT("1.2.840.10008.1.20.1.1")

#define BASE      (DIMSE_HAS_FIELD | DIMSE_HAS_DATA_SET_TYPE)
#define ASKS      (BASE | DIMSE_HAS_MESSAGE_ID)
#define ANSWERS   (BASE | DIMSE_HAS_RESPONDED_ID | DIMSE_HAS_STATUS)
#define COUNTS    (DIMSE_HAS_REMAINING | DIMSE_HAS_COMPLETED | DIMSE_HAS_FAILED | DIMSE_HAS_WARNING)
#define WITH_DATA .data_set_type = DIMSE_DATA_SET
#define NO_DATA   .data_set_type = DIMSE_NO_DATA_SET

#define FIND_RQ(id)                                                                                          \
    {                                                                                                        \
        .has = ASKS | DIMSE_HAS_AFFECTED_CLASS | DIMSE_HAS_PRIORITY, .field = DIMSE_C_FIND_RQ,               \
        .affected_class = STUDY_FIND, .message_id = (id), .priority = 2, WITH_DATA                           \
    }
#define FIND_PENDING(id, code)                                                                               \
    {                                                                                                        \
        .has = ANSWERS | DIMSE_HAS_AFFECTED_CLASS, .field = DIMSE_C_FIND_RSP, .affected_class = STUDY_FIND,  \
        .responded_id = (id), .status = (code), WITH_DATA                                                    \
    }
#define FIND_FINAL(id, code)                                                                                 \
    {                                                                                                        \
        .has = ANSWERS | DIMSE_HAS_AFFECTED_CLASS | DIMSE_HAS_COMMENT, .field = DIMSE_C_FIND_RSP,            \
        .affected_class = STUDY_FIND, .responded_id = (id), .status = (code),                                \
        .comment = TEXT("matching ended"), NO_DATA                                                           \
    }
#define CANCEL(id)                                                                                           \
    {                                                                                                        \
        .has = BASE | DIMSE_HAS_RESPONDED_ID, .field = DIMSE_C_CANCEL_RQ, .responded_id = (id), NO_DATA      \
    }
#define GET_RQ(id)                                                                                           \
    {                                                                                                        \
        .has = ASKS | DIMSE_HAS_AFFECTED_CLASS | DIMSE_HAS_PRIORITY, .field = DIMSE_C_GET_RQ,                \
        .affected_class = STUDY_GET, .message_id = (id), .priority = 1, WITH_DATA                            \
    }
#define GET_PENDING(id, left, done)                                                                          \
    {                                                                                                        \
        .has = ANSWERS | DIMSE_HAS_AFFECTED_CLASS | COUNTS, .field = DIMSE_C_GET_RSP,                        \
        .affected_class = STUDY_GET, .responded_id = (id), .status = 0xFF00, .remaining = (left),            \
        .completed = (done), .failed = 1, .warning = 2, NO_DATA                                              \
    }
#define STORE_RQ(id, instance)                                                                               \
    {                                                                                                        \
        .has = ASKS | DIMSE_HAS_AFFECTED_CLASS | DIMSE_HAS_AFFECTED_INSTANCE | DIMSE_HAS_PRIORITY |          \
               DIMSE_HAS_ORIGINATOR_TITLE | DIMSE_HAS_ORIGINATOR_ID,                                         \
        .field = DIMSE_C_STORE_RQ, .affected_class = CT, .affected_instance = TEXT(instance),                \
        .message_id = (id), .originator_title = TEXT("MOVER"), .originator_id = 77, WITH_DATA                \
    }
#define STORE_RSP(id, instance, code)                                                                        \
    {                                                                                                        \
        .has = ANSWERS | DIMSE_HAS_AFFECTED_CLASS | DIMSE_HAS_AFFECTED_INSTANCE, .field = DIMSE_C_STORE_RSP, \
        .affected_class = CT, .affected_instance = TEXT(instance), .responded_id = (id), .status = (code),   \
        NO_DATA                                                                                              \
    }

/* clang-format off */
static const struct step steps[] = {
    /* C-FIND: one request, pending responses with data, a C-CANCEL among them, a final one without (PS3.7 9.3.2). */
    {REQUESTOR, SPEAKER_FIND, 138, FIND_RQ(1)},
    {ACCEPTOR, SPEAKER_FIND, 2048, FIND_PENDING(1, 0xFF00)},
    {ACCEPTOR, SPEAKER_FIND, 17, FIND_PENDING(1, 0xFF00)},   /* odd: one NUL more arrives */
    {ACCEPTOR, SPEAKER_FIND, 70000, FIND_PENDING(1, 0xFF01)},
    {REQUESTOR, SPEAKER_FIND, 0, CANCEL(1)},
    {ACCEPTOR, SPEAKER_FIND, 1, FIND_PENDING(1, 0xFF00)},    /* it had not seen the C-CANCEL yet */
    {ACCEPTOR, SPEAKER_FIND, 0, FIND_FINAL(1, 0xFE00)},
    /* N-EVENT-REPORT against the association's direction, with data, answered with data (PS3.7 10.3.1). */
    {ACCEPTOR, SPEAKER_COMMITMENT, 3001,
     {.has = ASKS | DIMSE_HAS_AFFECTED_CLASS | DIMSE_HAS_AFFECTED_INSTANCE | DIMSE_HAS_EVENT_TYPE,
      .field = DIMSE_N_EVENT_REPORT_RQ, .affected_class = COMMITMENT, .affected_instance = COMMITTER,
      .message_id = 1, /* the same number as the C-FIND: each leg counts for itself */
      .event_type = 2, WITH_DATA}},
    {REQUESTOR, SPEAKER_COMMITMENT, 44,
     {.has = ANSWERS | DIMSE_HAS_AFFECTED_CLASS | DIMSE_HAS_AFFECTED_INSTANCE | DIMSE_HAS_EVENT_TYPE,
      .field = DIMSE_N_EVENT_REPORT_RSP, .affected_class = COMMITMENT, .affected_instance = COMMITTER,
      .responded_id = 1, .status = 0, .event_type = 2, WITH_DATA}},
    /* C-GET: C-STORE sub-operations the other way, between pending responses (PS3.7 9.3.3). */
    {REQUESTOR, SPEAKER_GET, 90, GET_RQ(2)},
    {ACCEPTOR, SPEAKER_STORE, 524288, STORE_RQ(2, "1.2.3.1")},
    {REQUESTOR, SPEAKER_STORE, 0, STORE_RSP(2, "1.2.3.1", 0)},
    {ACCEPTOR, SPEAKER_GET, 0, GET_PENDING(2, 2, 1)},
    {ACCEPTOR, SPEAKER_STORE, 99999, STORE_RQ(3, "1.2.3.22")},
    {ACCEPTOR, SPEAKER_GET, 0, GET_PENDING(2, 1, 1)},        /* while the sub-operation is still open */
    {REQUESTOR, SPEAKER_STORE, 0, STORE_RSP(3, "1.2.3.22", 0xB000)},
    {ACCEPTOR, SPEAKER_STORE, 0, STORE_RQ(4, "1.2.3.333")},  /* an empty data set is one */
    {REQUESTOR, SPEAKER_STORE, 0, STORE_RSP(4, "1.2.3.333", 0xA700)},
    {ACCEPTOR, SPEAKER_GET, 24,                              /* with the list of failed instances */
     {.has = ANSWERS | DIMSE_HAS_AFFECTED_CLASS | DIMSE_HAS_COMPLETED | DIMSE_HAS_FAILED | DIMSE_HAS_WARNING,
      .field = DIMSE_C_GET_RSP, .affected_class = STUDY_GET, .responded_id = 2, .status = 0xB000,
      .completed = 1, .failed = 1, .warning = 1, WITH_DATA}},
    /* Requests that carry attributes, and a response that names them. */
    {REQUESTOR, SPEAKER_PRIVATE, 0,
     {.has = ASKS | DIMSE_HAS_REQUESTED_CLASS | DIMSE_HAS_REQUESTED_INSTANCE | DIMSE_HAS_ATTRIBUTES,
      .field = DIMSE_N_GET_RQ, .requested_class = TEXT("1.2.3.4.5"), .requested_instance = TEXT("1.2.3.9"),
      .message_id = 65535, .attributes = TEXT("\x10\x00\x10\x00\x08\x00\x50\x00"), NO_DATA}},
    {ACCEPTOR, SPEAKER_PRIVATE, 12,
     {.has = ANSWERS | DIMSE_HAS_OFFENDING | DIMSE_HAS_ERROR_ID, .field = DIMSE_N_GET_RSP,
      .responded_id = 65535, .status = 0x0107, .offending = TEXT("\x10\x00\x10\x00"), .error_id = 4, WITH_DATA}},
    {ACCEPTOR, SPEAKER_ECHO, 0,
     {.has = ASKS | DIMSE_HAS_AFFECTED_CLASS, .field = DIMSE_C_ECHO_RQ, .message_id = 9,
      .affected_class = TEXT("1.2.840.10008.1.1"), NO_DATA}},
    {REQUESTOR, SPEAKER_ECHO, 0, {.has = ANSWERS, .field = DIMSE_C_ECHO_RSP, .responded_id = 9, NO_DATA}},
};
/* clang-format on */

enum { STEPS = sizeof(steps) / sizeof(steps[0]) };

struct model {
    struct loop loop;
    struct resolver *resolver;
    struct speaker speaker[2]; /* by enum leg */
};

static void begin(struct model *m, uint32_t max_length)
{
    loop_open(&m->loop, 64 << 20);
    assert_int_equal(resolver_new(&m->resolver), OK);
    for (int leg = 0; leg < 2; leg++) {
        speaker_init(&m->speaker[leg], &m->loop, m->resolver);
        m->speaker[leg].max_length = max_length;
    }
    speaker_pair(&m->speaker[REQUESTOR], &m->speaker[ACCEPTOR]);
}

static void finish(struct model *m)
{
    association_release(&m->speaker[REQUESTOR].a);
    LOOP_UNTIL(&m->loop, m->speaker[REQUESTOR].seen[SPEAKER_GONE] && m->speaker[ACCEPTOR].seen[SPEAKER_GONE]);
    for (int leg = 0; leg < 2; leg++) {
        assert_int_equal(m->speaker[leg].how, ASSOCIATION_RELEASED);
        speaker_free(&m->speaker[leg]);
    }
    resolver_free(&m->resolver);
    loop_close(&m->loop);
}

static void send_step(struct model *m, unsigned i, size_t slice)
{
    const struct step *s = &steps[i];
    uint8_t *data = speaker_data(i, s->data_bytes);
    assert_true(association_may_send(&m->speaker[s->from].a));
    assert_true(speaker_send(&m->speaker[s->from], s->context_id, &s->c, data, s->data_bytes, slice));
    free(data);
}

static void check_step(const struct speaker_message *got, unsigned i)
{
    const struct step *s = &steps[i];
    assert_true(got->has_ended);
    assert_int_equal(got->context_id, s->context_id);
    speaker_check_command(&got->c, &s->c);
    speaker_check_data(&got->data, i, s->data_bytes);
}

static bool has_come(const struct speaker *p, unsigned count)
{
    return p->count == count && p->messages[count - 1].has_ended;
}

/* Each leg got all that the other one sent, in that order. */
static void check_all(struct model *m)
{
    unsigned count[2] = {0, 0};
    for (unsigned i = 0; i < STEPS; i++) {
        enum leg to = steps[i].from == REQUESTOR ? ACCEPTOR : REQUESTOR;
        count[to]++;
    }
    for (int leg = 0; leg < 2; leg++)
        LOOP_UNTIL(&m->loop, has_come(&m->speaker[leg], count[leg]));
    count[0] = count[1] = 0;
    for (unsigned i = 0; i < STEPS; i++) {
        enum leg to = steps[i].from == REQUESTOR ? ACCEPTOR : REQUESTOR;
        check_step(&m->speaker[to].messages[count[to]++], i);
    }
}

static void either_leg_may_start_with_many_responses_and_data(void **state)
{
    (void)state;
    static const uint32_t max_lengths[] = {0, 16384, 131072, 130};
    for (unsigned k = 0; k < sizeof(max_lengths) / sizeof(max_lengths[0]); k++) {
        struct model m;
        begin(&m, max_lengths[k]);
        unsigned count[2] = {0, 0};
        for (unsigned i = 0; i < STEPS; i++) {
            enum leg to = steps[i].from == REQUESTOR ? ACCEPTOR : REQUESTOR;
            send_step(&m, i, 0);
            count[to]++;
            LOOP_UNTIL(&m.loop, has_come(&m.speaker[to], count[to]));
        }
        check_all(&m);
        finish(&m);
    }
}

/* Neither leg waits for the other: both directions are full at once. */
static void both_legs_may_send_all_they_have_at_once(void **state)
{
    (void)state;
    static const size_t slices[] = {0, 1000, 65536};
    for (unsigned k = 0; k < sizeof(slices) / sizeof(slices[0]); k++) {
        struct model m;
        begin(&m, 16384);
        for (unsigned i = 0; i < STEPS; i++)
            send_step(&m, i, slices[k]);
        check_all(&m);
        finish(&m);
    }
}

/* The other leg's messages come whole while a data set of ours is on its way, and the other way round. */
static void each_leg_may_be_in_the_middle_of_a_data_set(void **state)
{
    (void)state;
    struct model m;
    static const struct dimse_command rq[2] = {STORE_RQ(1, "1.2.3.1"), STORE_RQ(1, "1.2.3.22")};
    static const struct dimse_command report = FIND_PENDING(5, 0xFF00);
    uint8_t *data = speaker_data(1, 100001), *small = speaker_data(2, 50);
    begin(&m, 4096);
    struct speaker *one = &m.speaker[REQUESTOR], *two = &m.speaker[ACCEPTOR];

    assert_true(association_send_command(&one->a, SPEAKER_STORE, &rq[0]));
    assert_true(speaker_send_bytes(one, data, 60000));
    assert_false(association_may_send(&one->a));
    LOOP_UNTIL(&m.loop, two->count == 1 && two->messages[0].data.len > 40000);
    assert_false(two->messages[0].has_ended);

    assert_true(speaker_send(two, SPEAKER_FIND, &report, small, 50, 0)); /* whole, inside the other's */
    assert_true(association_send_command(&two->a, SPEAKER_STORE, &rq[1]));
    assert_true(speaker_send_bytes(two, data, 30000));
    LOOP_UNTIL(&m.loop, one->count == 2 && one->messages[1].data.len > 20000);
    speaker_check_command(&one->messages[0].c, &report);
    speaker_check_data(&one->messages[0].data, 2, 50);

    assert_true(speaker_send_bytes(one, data + 60000, 40001));
    assert_true(association_send_data_end(&one->a));
    LOOP_UNTIL(&m.loop, has_come(two, 1));
    assert_true(speaker_send_bytes(two, data + 30000, 70001));
    assert_true(association_send_data_end(&two->a));
    LOOP_UNTIL(&m.loop, has_come(one, 2));
    speaker_check_command(&two->messages[0].c, &rq[0]);
    speaker_check_command(&one->messages[1].c, &rq[1]);
    speaker_check_data(&two->messages[0].data, 1, 100001);
    speaker_check_data(&one->messages[1].data, 1, 100001);
    free(data);
    free(small);
    finish(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(either_leg_may_start_with_many_responses_and_data),
        cmocka_unit_test(both_legs_may_send_all_they_have_at_once),
        cmocka_unit_test(each_leg_may_be_in_the_middle_of_a_data_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
