/* The pool of outbound associations while it opens them: nodes without room, openings that fail, permits that are waited for. */
#include "bench.h"

/* --- opening ----------------------------------------------------------------------------------------------- */

static void a_node_without_room_is_asked_again_more_and_more_slowly(void **state)
{
    struct bench *b = *state;
    struct client c;
    b->target.turned_away_first = 3;
    client_init(&c, b, 1);
    uint64_t from = clock_ms();
    client_exchange(&c, 3, 0);
    assert_int_equal(b->target.calls, 4);
    assert_true(clock_ms() - from >= 100 + 200 + 400);
}

static void a_node_without_room_is_asked_until_the_deadline(void **state)
{
    struct bench *b = *state;
    struct client c;
    b->target.manner = REJECT_FOR_NOW;
    client_init(&c, b, 1);
    c.w.wait_ms = 500;
    uint64_t from = clock_ms();
    client_acquire(&c);
    UNTIL(b, c.failed);
    assert_true(clock_ms() - from >= 500);
    assert_int_equal(c.kind, OUTBOUND_REJECTED);
    assert_string_equal(c.why, "rejected: local limit exceeded");
    assert_true(b->target.calls >= 3 && b->target.calls <= 4); /* at 0, 100, 300 ms, perhaps at the end */
}

/* Each with a limit of one: the permit of the association that did not come to be is there again. */
static void every_opening_that_fails_gives_its_permit_back(void **state)
{
    static const struct {
        const char *reason;
        enum manner manner;
        bool nobody_listens, build_fails;
        enum outbound_failure kind;
    } cases[] = {
        {"rejected", REJECT, false, false, OUTBOUND_REJECTED},
        {"rejected until the deadline", REJECT_FOR_NOW, false, false, OUTBOUND_REJECTED},
        {"aborted", ABORT, false, false, OUTBOUND_REJECTED},
        {"closed", CLOSE, false, false, OUTBOUND_UNREACHABLE},
        {"never answered", NEVER_ANSWER, false, false, OUTBOUND_UNREACHABLE},
        {"nobody listens", ACCEPT, true, false, OUTBOUND_UNREACHABLE},
        {"without memory", ACCEPT, false, true, OUTBOUND_OUT_OF_MEMORY},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        setup(state);
        struct bench *b = *state;
        struct client c;
        b->node.max_associations = 1;
        b->target.manner = cases[i].manner;
        b->config->timeouts.association = 300;
        if (cases[i].nobody_listens) {
            close(b->target.listener);
            b->target.listener = -1;
        }
        client_init(&c, b, 1);
        c.w.wait_ms = 300;
        c.build_fails = cases[i].build_fails;
        client_acquire(&c);
        UNTIL(b, c.ready + c.failed);
        if (c.kind != cases[i].kind || c.failed != 1)
            fail_msg("%s: %d %s", cases[i].reason, c.kind, c.why);
        UNTIL(b, permit_is_free(b));
        teardown(state);
    }
}

static void an_association_without_the_context_lingers_for_others(void **state)
{
    struct bench *b = *state;
    struct client c, d;
    b->node.max_associations = 1;
    b->target.manner = ACCEPT_NOTHING;
    client_init(&c, b, 1);
    client_acquire(&c);
    UNTIL(b, c.failed);
    assert_int_equal(c.kind, OUTBOUND_NOT_ACCEPTED);
    assert_int_equal(c.answered, 1);
    assert_false(permit_is_free(b));
    b->target.manner = ACCEPT;
    client_init(&d, b, 1); /* it makes room for who needs another */
    client_exchange(&d, 1, 0);
    assert_int_equal(b->target.call[0].how, ASSOCIATION_RELEASED);
}

static void who_leaves_while_it_opens_leaves_it_to_others(void **state)
{
    struct bench *b = *state;
    struct client c, d;
    b->node.max_associations = 1;
    client_init(&c, b, 1);
    client_acquire(&c);
    UNTIL(b, c.w.opening != NULL);
    outbound_cancel(&c.w);
    settle(b);
    client_init(&d, b, 2);
    client_exchange(&d, 0, 0);
    assert_int_equal(b->target.calls, 1);
    assert_int_equal(c.ready + c.failed, 0);
}

static void who_leaves_before_anything_began_is_not_told(void **state)
{
    struct bench *b = *state;
    struct client c;
    client_init(&c, b, 1);
    client_acquire(&c);
    outbound_cancel(&c.w);
    settle(b);
    assert_int_equal(c.ready + c.failed, 0);
    assert_int_equal(b->target.calls, 0);
}

/* --- permits ----------------------------------------------------------------------------------------------- */

static void who_finds_no_permit_waits_for_the_association_itself(void **state)
{
    struct bench *b = *state;
    struct client one, two;
    b->node.max_associations = 1;
    client_init(&one, b, 1);
    client_init(&two, b, 2);
    client_open(&one);
    client_send(&one);
    client_acquire(&two);
    settle(b);
    assert_int_equal(two.ready, 0);
    respond(&b->target, 0, 0, 0);
    UNTIL(b, two.ready == 1);
    assert_true(two.is_reused);
    assert_int_equal(b->target.calls, 1);
    client_done(&two);
}

static void who_needs_another_kind_waits_until_the_first_is_released(void **state)
{
    struct bench *b = *state;
    struct client one, two;
    b->node.max_associations = 1;
    client_init(&one, b, 1);
    client_init(&two, b, 2);
    two.w.profile = 2;
    client_open(&one);
    client_send(&one);
    client_acquire(&two);
    settle(b);
    assert_int_equal(b->target.calls, 1);
    respond(&b->target, 0, 0, 0);
    UNTIL(b, two.ready == 1);
    assert_int_equal(b->target.calls, 2);
    assert_int_equal(b->target.call[0].how, ASSOCIATION_RELEASED);
    client_done(&two);
}

static void who_gets_no_permit_in_time_fails(void **state)
{
    struct bench *b = *state;
    struct client one, two;
    b->node.max_associations = 1;
    client_init(&one, b, 1);
    client_init(&two, b, 2);
    two.w.wait_ms = 200;
    client_open(&one);
    client_acquire(&two);
    UNTIL(b, two.failed);
    assert_int_equal(two.kind, OUTBOUND_NO_PERMIT);
    client_done(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_node_without_room_is_asked_again_more_and_more_slowly),
        TEST(a_node_without_room_is_asked_until_the_deadline),
        cmocka_unit_test(every_opening_that_fails_gives_its_permit_back),
        TEST(an_association_without_the_context_lingers_for_others),
        TEST(who_leaves_while_it_opens_leaves_it_to_others),
        TEST(who_leaves_before_anything_began_is_not_told),
        TEST(who_finds_no_permit_waits_for_the_association_itself),
        TEST(who_needs_another_kind_waits_until_the_first_is_released),
        TEST(who_gets_no_permit_in_time_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
