/*
 * The message model, both ways: requests run with and against the direction of the association, a request has many responses
 * with data sets (PS3.7 7.5, 9.1.2), and sub-operations stand between them (9.1.3). No service of the gateway needs all
 * of this yet; nothing below the relay may forbid it. First between two of our associations, then as bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../unit/association/party.h"
#include "base/clock.h"
#include "dicom/uid.h"
#include "dimse/status.h"

#define STUDY_ROOT_FIND    "1.2.840.10008.5.1.4.1.2.2.1"
#define STUDY_ROOT_GET     "1.2.840.10008.5.1.4.1.2.2.3"
#define STORAGE_COMMITMENT "1.2.840.10008.1.20.1"

enum { FIND = 1, GET = 3, STORE = 5, COMMITMENT = 7 }; /* presentation context ids */

enum { PENDING = 0xff00, CANCELLED = 0xfe00, REMAINING_NONE = 0xffff };

struct received {
    uint16_t field, id, status, remaining; /* id: of a request its own, of a response that which it answers */
    uint8_t context_id;
    struct octets data;
};

struct side {
    struct party party; /* first */
    struct received messages[32];
    unsigned count; /* complete ones */
    void (*on_message)(struct side *s, const struct received *m);
    struct pair *pair;
};

struct pair {
    struct loop loop;
    struct side requestor, acceptor;
    uint8_t *bytes; /* what data sets are made of */
};

enum { BYTES = 2 << 20 };

/* --- what comes */

static void note_command(struct side *s)
{
    struct party *p = &s->party;
    struct received *m = &s->messages[s->count];
    assert_true(s->count < 32);
    bool is_response = dimse_is_response(p->last.field);
    *m = (struct received){
        .field = p->last.field,
        .id = is_response || p->last.field == DIMSE_C_CANCEL_RQ ? p->last.responded_id : p->last.message_id,
        .status = p->last.status,
        .remaining = p->last.has & DIMSE_HAS_REMAINING ? p->last.remaining : REMAINING_NONE,
        .context_id = p->last_context};
    octets_clear(&p->data);
}

static void note_whole(struct side *s)
{
    struct received *m = &s->messages[s->count];
    octets_append(&m->data, s->party.data.data, s->party.data.len);
    s->count++;
    if (s->on_message)
        s->on_message(s, m);
}

static void on_event(struct party *p, enum party_event e)
{
    struct side *s = (struct side *)p;
    if (e == PARTY_COMMAND) {
        note_command(s);
        if (!dimse_has_data_set(&p->last))
            note_whole(s);
    } else if (e == PARTY_DATA_END) {
        note_whole(s);
    }
}

/* --- two associations that are one */

static struct view text(const char *t)
{
    return (struct view){(const uint8_t *)t, strlen(t)};
}

static void set_contexts(struct pdu_associate *a)
{
    static const char *const abstract[] = {STUDY_ROOT_FIND, STUDY_ROOT_GET, SAMPLE_CLASS, STORAGE_COMMITMENT};
    a->contexts = pdu_associate_alloc(a, 4 * sizeof(*a->contexts));
    assert_non_null(a->contexts);
    a->context_count = 4;
    for (unsigned i = 0; i < 4; i++) {
        struct view *t = pdu_associate_alloc(a, sizeof(*t));
        assert_non_null(t);
        *t = text(DICOM_IMPLICIT_VR_LE);
        a->contexts[i] = (struct pdu_context){.id = (uint8_t)(2 * i + 1),
                                              .abstract_syntax = text(abstract[i]),
                                              .transfer_syntaxes = t,
                                              .transfer_syntax_count = 1};
    }
}

static void on_acceptor_event(struct party *p, enum party_event e)
{
    on_event(p, e);
    if (e != PARTY_REQUEST)
        return;
    struct pdu_associate answer = sample_accept(p->max_length, -1);
    set_contexts(&answer);
    association_answer_take(&p->a, &answer);
}

static int set_up(void **state)
{
    struct pair *t = calloc(1, sizeof(*t));
    uint16_t port;
    int fd, listener = wire_listen(&port);
    assert_non_null(t);
    loop_open(&t->loop, 32 << 20);
    t->bytes = malloc(BYTES);
    assert_non_null(t->bytes);
    for (size_t i = 0; i < BYTES; i++)
        t->bytes[i] = (uint8_t)(i * 31 + i / 253);
    t->requestor.pair = t->acceptor.pair = t;
    struct pdu_associate request = sample_request(16384, -1);
    set_contexts(&request);
    party_init(&t->requestor.party, &t->loop, LONG_LIMITS);
    t->requestor.party.hook = on_event;
    association_connect_take(&t->requestor.party.a, "127.0.0.1", port, &request);
    struct wire accepted;
    wire_accept(&accepted, &t->loop, listener);
    fd = accepted.fd;
    close(listener);
    party_init(&t->acceptor.party, &t->loop, LONG_LIMITS);
    t->acceptor.party.hook = on_acceptor_event;
    t->acceptor.party.thinks = true;
    t->acceptor.party.max_length = 4096; /* the two directions are framed differently */
    assert_true(association_accept(&t->acceptor.party.a, fd));
    LOOP_UNTIL(&t->loop, t->requestor.party.established);
    *state = t;
    return 0;
}

static void side_close(struct side *s)
{
    party_close(&s->party);
    for (unsigned i = 0; i < 32; i++)
        octets_free(&s->messages[i].data);
}

static int tear_down(void **state)
{
    struct pair *t = *state;
    association_release(&t->requestor.party.a);
    LOOP_UNTIL(&t->loop, t->acceptor.party.releases);
    association_release_answer(&t->acceptor.party.a);
    LOOP_UNTIL(&t->loop, t->requestor.party.gones && t->acceptor.party.gones);
    assert_int_equal(t->requestor.party.how, ASSOCIATION_RELEASED);
    assert_int_equal(t->acceptor.party.how, ASSOCIATION_RELEASED);
    side_close(&t->requestor);
    side_close(&t->acceptor);
    loop_close(&t->loop);
    free(t->bytes);
    free(t);
    return 0;
}

/* --- what is sent */

static void send_whole(struct side *s, uint8_t context_id, const struct dimse_command *c, size_t from,
                       size_t len)
{
    assert_true(association_may_send(&s->party.a));
    assert_true(association_send_command(&s->party.a, context_id, c));
    if (!dimse_has_data_set(c))
        return;
    assert_false(association_may_send(&s->party.a)); /* one message after the other (PS3.8 E.1) */
    for (size_t at = 0; at < len; at += 60000)
        assert_true(
            party_send_data(&s->party, s->pair->bytes + from + at, len - at < 60000 ? len - at : 60000));
    assert_true(association_send_data_end(&s->party.a));
}

static struct dimse_command request(uint16_t field, uint16_t id, const char *sop_class, bool has_data)
{
    return (struct dimse_command){.has = DIMSE_HAS_FIELD | DIMSE_HAS_MESSAGE_ID | DIMSE_HAS_DATA_SET_TYPE |
                                         DIMSE_HAS_AFFECTED_CLASS | DIMSE_HAS_PRIORITY,
                                  .field = field,
                                  .message_id = id,
                                  .data_set_type = has_data ? DIMSE_DATA_SET : DIMSE_NO_DATA_SET,
                                  .affected_class = text(sop_class)};
}

static struct dimse_command response(uint16_t field, uint16_t id, const char *sop_class, uint16_t status,
                                     bool has_data)
{
    struct dimse_command c = sample_response(field, id, status, has_data);
    c.affected_class = text(sop_class);
    return c;
}

static struct dimse_command cancel(uint16_t id)
{
    return (struct dimse_command){.has = DIMSE_HAS_FIELD | DIMSE_HAS_RESPONDED_ID | DIMSE_HAS_DATA_SET_TYPE,
                                  .field = DIMSE_C_CANCEL_RQ,
                                  .responded_id = id,
                                  .data_set_type = DIMSE_NO_DATA_SET};
}

static struct dimse_command event_report(uint16_t id)
{
    return (struct dimse_command){.has = DIMSE_HAS_FIELD | DIMSE_HAS_MESSAGE_ID | DIMSE_HAS_DATA_SET_TYPE |
                                         DIMSE_HAS_AFFECTED_CLASS | DIMSE_HAS_AFFECTED_INSTANCE |
                                         DIMSE_HAS_EVENT_TYPE,
                                  .field = DIMSE_N_EVENT_REPORT_RQ,
                                  .message_id = id,
                                  .event_type = 1,
                                  .data_set_type = DIMSE_DATA_SET,
                                  .affected_class = text(STORAGE_COMMITMENT),
                                  .affected_instance = text("1.2.840.10008.1.20.1.1")};
}

static void expect(const struct side *s, unsigned i, uint8_t context_id, uint16_t field, uint16_t id,
                   uint16_t status, size_t from, size_t len)
{
    const struct received *m = &s->messages[i];
    assert_true(i < s->count);
    assert_int_equal(m->field, field);
    assert_int_equal(m->id, id);
    assert_int_equal(m->status, status);
    assert_int_equal(m->context_id, context_id);
    assert_int_equal(m->data.len, len);
    if (len > 0)
        assert_memory_equal(m->data.data, s->pair->bytes + from, len);
}

/* --- C-FIND: many responses with data, a cancel in between */

static void answer_find(struct side *s, const struct received *m)
{
    struct dimse_command pending = response(DIMSE_C_FIND_RSP, 5, STUDY_ROOT_FIND, PENDING, true);
    struct dimse_command last = response(DIMSE_C_FIND_RSP, 5, STUDY_ROOT_FIND, CANCELLED, false);
    if (m->field == DIMSE_C_FIND_RQ) {
        send_whole(s, FIND, &pending, 1000, 2);
        send_whole(s, FIND, &pending, 2000, 70000);
        send_whole(s, FIND, &pending, 3, 1 << 20);
    } else if (m->field == DIMSE_C_CANCEL_RQ) {
        send_whole(s, FIND, &pending, 4, 4090);
        send_whole(s, FIND, &last, 0, 0);
    }
}

static void cancel_after_two(struct side *s, const struct received *m)
{
    struct dimse_command c = cancel(5);
    (void)m;
    if (s->count == 2)
        send_whole(s, FIND, &c, 0, 0);
}

static void a_find_has_many_responses_with_data_and_is_cancelled(void **state)
{
    struct pair *t = *state;
    struct dimse_command c = request(DIMSE_C_FIND_RQ, 5, STUDY_ROOT_FIND, true);
    t->acceptor.on_message = answer_find;
    t->requestor.on_message = cancel_after_two;
    send_whole(&t->requestor, FIND, &c, 100, 50000);
    LOOP_UNTIL(&t->loop, t->requestor.count == 5);
    expect(&t->acceptor, 0, FIND, DIMSE_C_FIND_RQ, 5, 0, 100, 50000);
    expect(&t->acceptor, 1, FIND, DIMSE_C_CANCEL_RQ, 5, 0, 0, 0);
    expect(&t->requestor, 0, FIND, DIMSE_C_FIND_RSP, 5, PENDING, 1000, 2);
    expect(&t->requestor, 1, FIND, DIMSE_C_FIND_RSP, 5, PENDING, 2000, 70000);
    expect(&t->requestor, 2, FIND, DIMSE_C_FIND_RSP, 5, PENDING, 3, 1 << 20);
    expect(&t->requestor, 3, FIND, DIMSE_C_FIND_RSP, 5, PENDING, 4, 4090);
    expect(&t->requestor, 4, FIND, DIMSE_C_FIND_RSP, 5, CANCELLED, 0, 0);
    assert_int_equal(t->acceptor.count, 2);
}

/* --- N-EVENT-REPORT: against the direction of the association */

static void an_event_report_comes_from_the_acceptor_and_is_answered(void **state)
{
    struct pair *t = *state;
    struct dimse_command event = event_report(1);
    struct dimse_command reply =
        response(DIMSE_N_EVENT_REPORT_RSP, 1, STORAGE_COMMITMENT, DIMSE_STATUS_SUCCESS, true);
    send_whole(&t->acceptor, COMMITMENT, &event, 7, 300000);
    LOOP_UNTIL(&t->loop, t->requestor.count == 1);
    expect(&t->requestor, 0, COMMITMENT, DIMSE_N_EVENT_REPORT_RQ, 1, 0, 7, 300000);
    send_whole(&t->requestor, COMMITMENT, &reply, 9, 20000);
    LOOP_UNTIL(&t->loop, t->acceptor.count == 1);
    expect(&t->acceptor, 0, COMMITMENT, DIMSE_N_EVENT_REPORT_RSP, 1, 0, 9, 20000);
}

/* Both start a request with the same message id, and an instance is under way each way at once: ids count each way apart. */
static void both_legs_start_requests_at_the_same_time(void **state)
{
    struct pair *t = *state;
    struct dimse_command event = event_report(1), store = sample_store(1);
    struct dimse_command reply =
        response(DIMSE_N_EVENT_REPORT_RSP, 1, STORAGE_COMMITMENT, DIMSE_STATUS_SUCCESS, false);
    struct dimse_command stored = response(DIMSE_C_STORE_RSP, 1, SAMPLE_CLASS, DIMSE_STATUS_SUCCESS, false);
    assert_true(association_send_command(&t->requestor.party.a, STORE, &store));
    assert_true(party_send_data(&t->requestor.party, t->bytes, 500000)); /* and it stays open for now */
    send_whole(&t->acceptor, COMMITMENT, &event, 50, 500000);
    LOOP_UNTIL(&t->loop, t->requestor.count == 1);
    expect(&t->requestor, 0, COMMITMENT, DIMSE_N_EVENT_REPORT_RQ, 1, 0, 50, 500000);
    assert_false(
        association_may_send(&t->requestor.party.a)); /* the reply waits for the end of the instance */
    assert_true(party_send_data(&t->requestor.party, t->bytes + 500000, 500000));
    assert_true(association_send_data_end(&t->requestor.party.a));
    send_whole(&t->requestor, COMMITMENT, &reply, 0, 0);
    LOOP_UNTIL(&t->loop, t->acceptor.count == 2);
    expect(&t->acceptor, 0, STORE, DIMSE_C_STORE_RQ, 1, 0, 0, 1000000);
    expect(&t->acceptor, 1, COMMITMENT, DIMSE_N_EVENT_REPORT_RSP, 1, 0, 0, 0);
    send_whole(&t->acceptor, STORE, &stored, 0, 0);
    LOOP_UNTIL(&t->loop, t->requestor.count == 2);
    expect(&t->requestor, 1, STORE, DIMSE_C_STORE_RSP, 1, 0, 0, 0);
}

/* --- C-GET: sub-operations of the acceptor between its responses */

static const struct {
    size_t from, len;
} instances[] = {{0, 2}, {11, 1 << 20}, {500, 4090}, {77, 16384}};

enum { INSTANCES = sizeof(instances) / sizeof(*instances) };

static void send_instance(struct side *s, unsigned i)
{
    struct dimse_command store = sample_store((uint16_t)(i + 1));
    send_whole(s, STORE, &store, instances[i].from, instances[i].len);
}

static void serve_get(struct side *s, const struct received *m)
{
    if (m->field == DIMSE_C_GET_RQ) {
        send_instance(s, 0);
        return;
    }
    unsigned done = m->id;
    bool is_last = done == INSTANCES;
    struct dimse_command c =
        response(DIMSE_C_GET_RSP, 1, STUDY_ROOT_GET, is_last ? DIMSE_STATUS_SUCCESS : PENDING, false);
    c.has |= DIMSE_HAS_REMAINING | DIMSE_HAS_COMPLETED | DIMSE_HAS_FAILED | DIMSE_HAS_WARNING;
    c.remaining = (uint16_t)(INSTANCES - done);
    c.completed = (uint16_t)done;
    send_whole(s, GET, &c, 0, 0);
    if (!is_last)
        send_instance(s, done);
}

static void store_sub_operation(struct side *s, const struct received *m)
{
    if (m->field != DIMSE_C_STORE_RQ)
        return;
    struct dimse_command c = response(DIMSE_C_STORE_RSP, m->id, SAMPLE_CLASS, DIMSE_STATUS_SUCCESS, false);
    send_whole(s, STORE, &c, 0, 0);
}

static void a_get_brings_instances_between_its_responses(void **state)
{
    struct pair *t = *state;
    struct dimse_command c = request(DIMSE_C_GET_RQ, 1, STUDY_ROOT_GET, true);
    t->acceptor.on_message = serve_get;
    t->requestor.on_message = store_sub_operation;
    send_whole(&t->requestor, GET, &c, 200, 1234);
    LOOP_UNTIL(&t->loop, t->requestor.count == 2 * INSTANCES);
    expect(&t->acceptor, 0, GET, DIMSE_C_GET_RQ, 1, 0, 200, 1234);
    for (unsigned i = 0; i < INSTANCES; i++) {
        uint16_t status = i + 1 < INSTANCES ? PENDING : DIMSE_STATUS_SUCCESS;
        expect(&t->requestor, 2 * i, STORE, DIMSE_C_STORE_RQ, (uint16_t)(i + 1), 0, instances[i].from,
               instances[i].len);
        expect(&t->requestor, 2 * i + 1, GET, DIMSE_C_GET_RSP, 1, status, 0, 0);
        assert_int_equal(t->requestor.messages[2 * i + 1].remaining, INSTANCES - 1 - i);
        expect(&t->acceptor, i + 1, STORE, DIMSE_C_STORE_RSP, (uint16_t)(i + 1), 0, 0, 0);
    }
}

/* --- as bytes */

/* clang-format off */
static const uint8_t FIND_RQ[] = {
    0x04, 0x00, 0x00, 0x00, 0x00, 0x6e, // P-DATA-TF, 110 bytes: two PDVs in one PDU, as dcm4che sends them
    0x00, 0x00, 0x00, 0x5a,             // PDV, 90 bytes
    0x01, 0x03,                         // context 1; command, last
    0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x4c, 0x00, 0x00, 0x00, // (0000,0000) group length 76
    0x00, 0x00, 0x02, 0x00, 0x1c, 0x00, 0x00, 0x00,                         // (0000,0002) affected SOP class, 28
    '1', '.', '2', '.', '8', '4', '0', '.', '1', '0', '0', '0', '8', '.', '5', '.', '1', '.', '4', '.', '1', '.', '2', '.', '2', '.', '1', 0x00,
    0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x20, 0x00, // (0000,0100) command field: C-FIND-RQ
    0x00, 0x00, 0x10, 0x01, 0x02, 0x00, 0x00, 0x00, 0x05, 0x00, // (0000,0110) message id 5
    0x00, 0x00, 0x00, 0x07, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, // (0000,0700) priority: medium
    0x00, 0x00, 0x00, 0x08, 0x02, 0x00, 0x00, 0x00, 0x01, 0x00, // (0000,0800) data set: follows
    0x00, 0x00, 0x00, 0x0c,             // PDV, 12 bytes
    0x01, 0x02,                         // context 1; data, last
    0x10, 0x00, 0x10, 0x00, 0x02, 0x00, 0x00, 0x00, '*', ' ', // (0010,0010) patient's name: any
};

static const uint8_t FIND_RSP[] = {
    0x04, 0x00, 0x00, 0x00, 0x00, 0x5e, // P-DATA-TF, 94 bytes
    0x00, 0x00, 0x00, 0x5a,             // PDV, 90 bytes
    0x01, 0x03,                         // context 1; command, last
    0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x4c, 0x00, 0x00, 0x00, // (0000,0000) group length 76
    0x00, 0x00, 0x02, 0x00, 0x1c, 0x00, 0x00, 0x00,                         // (0000,0002) affected SOP class, 28
    '1', '.', '2', '.', '8', '4', '0', '.', '1', '0', '0', '0', '8', '.', '5', '.', '1', '.', '4', '.', '1', '.', '2', '.', '2', '.', '1', 0x00,
    0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x20, 0x80, // (0000,0100) command field: C-FIND-RSP
    0x00, 0x00, 0x20, 0x01, 0x02, 0x00, 0x00, 0x00, 0x05, 0x00, // (0000,0120) message id being responded to: 5
    0x00, 0x00, 0x00, 0x08, 0x02, 0x00, 0x00, 0x00, 0x01, 0x00, // (0000,0800) data set: follows
    0x00, 0x00, 0x00, 0x09, 0x02, 0x00, 0x00, 0x00, 0x00, 0xff, // (0000,0900) status: pending
    0x04, 0x00, 0x00, 0x00, 0x00, 0x10, // P-DATA-TF, 16 bytes: the data set in a PDU of its own (DCMTK 3.6.7 needs it so)
    0x00, 0x00, 0x00, 0x0c,             // PDV, 12 bytes
    0x01, 0x02,                         // context 1; data, last
    0x10, 0x00, 0x10, 0x00, 0x02, 0x00, 0x00, 0x00, 'A', 0x00, // (0010,0010), sent with its odd byte missing: padded by NUL
};

static const uint8_t CANCEL_RQ[] = {
    0x04, 0x00, 0x00, 0x00, 0x00, 0x30, // P-DATA-TF, 48 bytes
    0x00, 0x00, 0x00, 0x2c,             // PDV, 44 bytes
    0x01, 0x03,                         // context 1; command, last
    0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x1e, 0x00, 0x00, 0x00, // (0000,0000) group length 30
    0x00, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0xff, 0x0f, // (0000,0100) command field: C-CANCEL-RQ
    0x00, 0x00, 0x20, 0x01, 0x02, 0x00, 0x00, 0x00, 0x05, 0x00, // (0000,0120) message id being responded to: 5
    0x00, 0x00, 0x00, 0x08, 0x02, 0x00, 0x00, 0x00, 0x01, 0x01, // (0000,0800) data set: none
};
/* clang-format on */

static void expect_bytes(struct wire *w, const uint8_t *bytes, size_t len)
{
    LOOP_UNTIL(w->loop, (wire_poll(w), w->came.len >= len));
    assert_int_equal(w->came.len, len);
    assert_memory_equal(w->came.data, bytes, len);
    octets_clear(&w->came);
}

static void a_find_is_these_bytes_in_and_these_bytes_out(void **state)
{
    struct loop l;
    struct party p;
    struct wire w;
    struct dimse_command c = response(DIMSE_C_FIND_RSP, 5, STUDY_ROOT_FIND, PENDING, true);
    (void)state;
    loop_open(&l, 16 << 20);
    party_accept_established(&p, &l, LONG_LIMITS, &w, 16384);
    wire_send(&w, FIND_RQ, sizeof(FIND_RQ));
    LOOP_UNTIL(&l, p.data_ends);
    assert_int_equal(p.last.field, DIMSE_C_FIND_RQ);
    assert_int_equal(p.last.message_id, 5);
    assert_int_equal(p.data.len, 10);
    assert_memory_equal(p.data.data, FIND_RQ + sizeof(FIND_RQ) - 10, 10);

    assert_true(association_send_command(&p.a, 1, &c));
    assert_true(party_send_data(&p, FIND_RSP + sizeof(FIND_RSP) - 10, 9));
    assert_true(association_send_data_end(&p.a));
    expect_bytes(&w, FIND_RSP, sizeof(FIND_RSP));

    wire_send(&w, CANCEL_RQ, sizeof(CANCEL_RQ));
    LOOP_UNTIL(&l, p.commands == 2);
    assert_int_equal(p.last.field, DIMSE_C_CANCEL_RQ);
    assert_int_equal(p.last.responded_id, 5);
    wire_close(&w);
    party_close(&p);
    loop_close(&l);
}

/* The other role: the same bytes leave as our request, and are read as the node's response. */
static void and_the_same_bytes_the_other_way_round(void **state)
{
    struct loop l;
    struct party p;
    struct wire w;
    struct dimse_command c = cancel(5);
    (void)state;
    loop_open(&l, 16 << 20);
    party_connect_established(&p, &l, LONG_LIMITS, &w);
    assert_true(association_send_command(&p.a, 1, &c));
    expect_bytes(&w, CANCEL_RQ, sizeof(CANCEL_RQ));
    for (size_t i = 0; i < sizeof(FIND_RSP); i++) { /* byte by byte */
        wire_send(&w, FIND_RSP + i, 1);
        loop_turn(&l);
    }
    LOOP_UNTIL(&l, p.data_ends);
    assert_int_equal(p.last.field, DIMSE_C_FIND_RSP);
    assert_int_equal(p.last.responded_id, 5);
    assert_int_equal(p.last.status, PENDING);
    assert_int_equal(p.data.len, 10);
    wire_send(&w, FIND_RQ, sizeof(FIND_RQ)); /* a request against the direction */
    LOOP_UNTIL(&l, p.data_ends == 2);
    assert_int_equal(p.last.field, DIMSE_C_FIND_RQ);
    wire_close(&w);
    party_close(&p);
    loop_close(&l);
}

int main(void)
{
#define BOTH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        BOTH(a_find_has_many_responses_with_data_and_is_cancelled),
        BOTH(an_event_report_comes_from_the_acceptor_and_is_answered),
        BOTH(both_legs_start_requests_at_the_same_time),
        BOTH(a_get_brings_instances_between_its_responses),
        cmocka_unit_test(a_find_is_these_bytes_in_and_these_bytes_out),
        cmocka_unit_test(and_the_same_bytes_the_other_way_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
