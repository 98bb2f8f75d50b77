/* Time-outs of one association: what is waited for, how long, and when silence is nobody's fault. */
#include "both.h"

static struct association_limits limits_with(uint64_t association, uint64_t progress, uint64_t idle)
{
    return (struct association_limits){
        .connect = 60000, .association = association, .progress = progress, .idle = idle};
}

static void artim_ends_a_connection_without_a_request(void **state)
{
    struct both *t = *state;
    party_accept(&t->party, &t->loop, limits_with(60, 60000, 60000), &t->wire);
    wire_send(&t->wire, "\x01", 1);
    expect_end(t, ASSOCIATION_FAULT);
    assert_string_equal(t->party.why, "no association request in time");
    LOOP_UNTIL(&t->loop, t->party.gones);
    wire_until_closed(&t->wire);
}

static void artim_closes_on_a_peer_that_does_not_take_its_abort(void **state)
{
    struct both *t = *state;
    party_accept_established(&t->party, &t->loop, limits_with(60, 60000, 60000), &t->wire, 16384);
    association_abort(&t->party.a, "by choice");
    LOOP_UNTIL(&t->loop, t->party.gones);
    expect_abort(t, PDU_ABORT_USER, PDU_ABORT_UNSPECIFIED);
    wire_until_closed(&t->wire);
}

static void a_request_is_not_waited_on_for_ever(void **state)
{
    struct both *t = *state;
    party_connect(&t->party, &t->loop, limits_with(60, 60000, 0), &t->wire);
    expect_end(t, ASSOCIATION_FAULT);
    assert_string_equal(t->party.why, "no answer to the association request");
    expect_abort(t, PDU_ABORT_PROVIDER, PDU_ABORT_UNSPECIFIED);
    LOOP_UNTIL(&t->loop, t->party.gones); /* ARTIM in Sta13 */
}

static void a_release_is_not_waited_on_for_ever(void **state)
{
    struct both *t = *state;
    party_connect_established(&t->party, &t->loop, limits_with(60, 60000, 0), &t->wire);
    association_release(&t->party.a);
    expect_end(t, ASSOCIATION_FAULT);
    assert_string_equal(t->party.why, "no answer to the release request");
    LOOP_UNTIL(&t->loop, t->party.gones);
}

static void the_timer_of_the_request_stops_when_it_is_answered(void **state)
{
    struct both *t = *state;
    party_connect_established(&t->party, &t->loop, limits_with(80, 60000, 0), &t->wire);
    uint64_t until = clock_ms() + 300;
    LOOP_UNTIL(&t->loop, clock_ms() > until);
    assert_int_equal(t->party.ends, 0);
}

static void silence_inside_a_pdu_or_a_message_ends_it(void **state)
{
    struct both *t = *state;
    struct dimse_command c = sample_store(1);
    for (unsigned i = 0; i < 2; i++) {
        party_accept_established(&t->party, &t->loop, limits_with(60, 80, 60000), &t->wire, 16384);
        t->party.a.has_work = true; /* which keeps it from being idle, and from nothing else */
        if (i == 0)
            wire_send(&t->wire, "\x04\x00", 2); /* two bytes of a header */
        else
            wire_send_command(&t->wire, 1, &c); /* and no data set */
        expect_end(t, ASSOCIATION_FAULT);
        assert_string_equal(t->party.why, "nothing came in the middle of a message");
        wire_close(&t->wire);
        LOOP_UNTIL(&t->loop, t->party.gones);
        party_close(&t->party);
    }
    accept_established(t, 16384);
}

/* It is held with the front half of a message unread; the silence that this forces on the peer is not its fault. */
static void silence_is_not_counted_while_we_do_not_read(void **state)
{
    struct both *t = *state;
    struct dimse_command c = sample_store(1);
    party_accept_established(&t->party, &t->loop, limits_with(60, 200, 60000), &t->wire, 16384);
    t->party.a.has_work = true;
    wire_send_command(&t->wire, 1, &c);
    LOOP_UNTIL(&t->loop, t->party.commands);
    association_hold(&t->party.a);
    uint64_t until = clock_ms() + 500;
    LOOP_UNTIL(&t->loop, clock_ms() > until);
    association_resume(&t->party.a);
    until = clock_ms() + 60; /* several checks of the watch */
    LOOP_UNTIL(&t->loop, clock_ms() > until);
    assert_int_equal(t->party.ends, 0);
    expect_end(t, ASSOCIATION_FAULT); /* from now on it counts */
}

static void a_peer_that_takes_nothing_ends_it(void **state)
{
    static const uint8_t big[8 << 20];
    struct both *t = *state;
    struct dimse_command c = sample_store(1);
    party_accept_established(&t->party, &t->loop, limits_with(60000, 300, 60000), &t->wire, 0);
    t->wire.is_deaf = true;
    t->party.a.has_work = true;
    assert_true(association_send_command(&t->party.a, 1, &c));
    assert_true(party_send_data(&t->party, big, sizeof(big)));
    expect_end(t, ASSOCIATION_FAULT);
    assert_string_equal(t->party.why, "the peer takes no data");
    LOOP_UNTIL(&t->loop, t->party.gones); /* no A-ABORT behind bytes that nobody takes: at once */
}

static struct association_limits limits_of_rate(uint64_t progress, uint64_t min_rate)
{
    struct association_limits l = limits_with(60000, progress, 60000);
    l.min_rate = min_rate;
    return l;
}

/* A byte every few milliseconds, for so long or until the association ends. */
static void drip(struct both *t, const void *bytes, size_t len, uint64_t ms)
{
    const uint8_t *at = bytes;
    uint64_t until = clock_ms() + ms;
    for (size_t i = 0; i < len && clock_ms() < until && !t->party.ends; i++) {
        uint64_t next = clock_ms() + 20;
        wire_send(&t->wire, at + i, 1);
        LOOP_UNTIL(&t->loop, clock_ms() > next || t->party.ends);
    }
}

static void a_message_that_comes_byte_by_byte_ends_it_and_no_sooner_than_progress(void **state)
{
    static const uint8_t header_and_more[] = {4, 0, 0, 0, 1, 0, 0, 0, 0, 250, 1, 3};
    struct both *t = *state;
    uint8_t bytes[400] = {0};
    memcpy(bytes, header_and_more, sizeof(header_and_more));
    party_accept_established(&t->party, &t->loop, limits_of_rate(300, 1000), &t->wire, 16384);
    t->party.a.has_work = true;
    uint64_t began = clock_ms();
    drip(t, bytes, sizeof(bytes), 5000);
    assert_int_equal(t->party.ends, 1);
    assert_string_equal(t->party.why, "a message came too slowly");
    assert_true(clock_ms() - began >= 300);
}

static void empty_fragments_are_no_progress(void **state)
{
    static const uint8_t empty[] = {4, 0, 0, 0, 0, 6, 0, 0, 0, 2, 1, 1};
    struct both *t = *state;
    party_accept_established(&t->party, &t->loop, limits_of_rate(300, 100), &t->wire, 16384);
    t->party.a.has_work = true;
    uint64_t until = clock_ms() + 5000;
    while (!t->party.ends && clock_ms() < until) {
        uint64_t next = clock_ms() + 5;
        wire_send(&t->wire, empty, sizeof(empty)); /* more than 100 bytes a second */
        LOOP_UNTIL(&t->loop, clock_ms() > next || t->party.ends);
    }
    assert_string_equal(t->party.why, "a message came too slowly");
}

static void a_slow_line_that_brings_enough_goes_on(void **state)
{
    struct both *t = *state;
    struct dimse_command c = sample_store(1);
    uint8_t bytes[64] = {4, 0, 0, 0, 0, 58, 0, 0, 0, 54, 1, 0};
    party_accept_established(&t->party, &t->loop, limits_of_rate(200, 100), &t->wire, 16384);
    t->party.a.has_work = true;
    wire_send_command(&t->wire, 1, &c);
    uint64_t until = clock_ms() + 1000; /* five windows */
    while (clock_ms() < until) {
        uint64_t next = clock_ms() + 20;
        wire_send(&t->wire, bytes, sizeof(bytes));
        LOOP_UNTIL(&t->loop, clock_ms() > next || t->party.ends);
    }
    assert_int_equal(t->party.ends, 0);
}

static void slowness_is_not_counted_while_we_do_not_read(void **state)
{
    struct both *t = *state;
    struct dimse_command c = sample_store(1);
    party_accept_established(&t->party, &t->loop, limits_of_rate(200, 100), &t->wire, 16384);
    t->party.a.has_work = true;
    wire_send_command(&t->wire, 1, &c);
    LOOP_UNTIL(&t->loop, t->party.commands);
    association_slow(&t->party.a);
    uint64_t until = clock_ms() + 600;
    LOOP_UNTIL(&t->loop, clock_ms() > until);
    association_hurry(&t->party.a);
    assert_int_equal(t->party.ends, 0);
    expect_end(t, ASSOCIATION_FAULT); /* from now on it counts */
}

static void an_association_without_work_ends_when_idle(void **state)
{
    struct both *t = *state;
    party_accept_established(&t->party, &t->loop, limits_with(60, 60000, 80), &t->wire, 16384);
    expect_end(t, ASSOCIATION_FAULT);
    assert_string_equal(t->party.why, "idle");
}

static void an_association_with_work_is_never_idle(void **state)
{
    struct both *t = *state;
    party_accept_established(&t->party, &t->loop, limits_with(60, 60000, 80), &t->wire, 16384);
    t->party.a.has_work = true;
    uint64_t until = clock_ms() + 300;
    LOOP_UNTIL(&t->loop, clock_ms() > until);
    assert_int_equal(t->party.ends, 0);
    t->party.a.has_work = false;
    expect_end(t, ASSOCIATION_FAULT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(artim_ends_a_connection_without_a_request),
        TEST(artim_closes_on_a_peer_that_does_not_take_its_abort),
        TEST(a_request_is_not_waited_on_for_ever),
        TEST(a_release_is_not_waited_on_for_ever),
        TEST(the_timer_of_the_request_stops_when_it_is_answered),
        TEST(silence_inside_a_pdu_or_a_message_ends_it),
        TEST(silence_is_not_counted_while_we_do_not_read),
        TEST(a_peer_that_takes_nothing_ends_it),
        TEST(a_message_that_comes_byte_by_byte_ends_it_and_no_sooner_than_progress),
        TEST(empty_fragments_are_no_progress),
        TEST(a_slow_line_that_brings_enough_goes_on),
        TEST(slowness_is_not_counted_while_we_do_not_read),
        TEST(an_association_without_work_ends_when_idle),
        TEST(an_association_with_work_is_never_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
