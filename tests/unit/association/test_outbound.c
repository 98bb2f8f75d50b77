/* The pool of outbound associations: who is served by which, how they end, and what giving up a message does to one. */
#include "bench.h"

/* --- reuse ------------------------------------------------------------------------------------------------- */

/* What the second client has different from the first, whose exchange is over. */
struct difference {
    const char *reason;
    bool other_user, other_node, other_profile, other_context, is_private, was_private, fresh_only, no_syntax;
    const char *calling;
    bool is_reused;
};

static void check_reuse(struct bench *b, const struct difference *d)
{
    struct client one, two;
    struct config_node other = b->node;
    unsigned before = b->target.calls;
    client_init(&one, b, 1);
    one.only_store = true;
    one.w.is_private = d->was_private;
    client_exchange(&one, before, 0);
    assert_int_equal(one.is_reused, false);
    client_init(&two, b, d->other_user ? 2 : 1);
    two.w.is_private = d->is_private;
    two.w.fresh_only = d->fresh_only;
    two.w.node = d->other_node ? &other : two.w.node;
    two.w.profile += d->other_profile;
    two.w.calling = d->calling ? d->calling : two.w.calling;
    if (d->other_context)
        two.w.abstract_syntax = "1.2.840.10008.5.1.4.1.2.2.1";
    if (d->no_syntax) {
        two.w.abstract_syntax = two.w.transfer_syntax = NULL;
        two.w.exchange = NULL;
    }
    client_open(&two);
    if (b->target.calls != before + (d->is_reused ? 1 : 2) || two.is_reused != d->is_reused)
        fail_msg("%s: %u connections", d->reason, b->target.calls - before);
    assert_int_equal(two.answered, d->is_reused ? 0 : 1);
    assert_int_equal(two.context_id, d->no_syntax ? 0 : d->other_context ? SPEAKER_FIND : SPEAKER_STORE);
    client_done(&two);
}

static void an_association_serves_again_whoever_needs_the_same(void **state)
{
    static const struct difference cases[] = {
        {.reason = "the same sender", .is_reused = true},
        {.reason = "another sender", .other_user = true, .is_reused = true},
        {.reason = "another node at the same place", .other_node = true},
        {.reason = "another calling title", .calling = "YOU"},
        {.reason = "a calling title that begins alike", .calling = "ME2"},
        {.reason = "another profile", .other_profile = true},
        {.reason = "a context that was not proposed", .other_context = true},
        {.reason = "with an identity of its own", .is_private = true},
        {.reason = "one with an identity, for who has none", .was_private = true},
        {.reason = "the same identity again", .was_private = true, .is_private = true, .is_reused = true},
        {.reason = "another's identity", .was_private = true, .is_private = true, .other_user = true},
        {.reason = "a fresh one is asked for", .fresh_only = true},
        {.reason = "a negotiation", .no_syntax = true},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        setup(state); /* a pool of its own: nothing lies about */
        check_reuse(*state, &cases[i]);
        teardown(state);
    }
}

static void nobody_is_served_while_another_waits_for_his_answer(void **state)
{
    struct bench *b = *state;
    struct client one, two, three;
    client_init(&one, b, 1);
    client_init(&two, b, 2);
    client_init(&three, b, 3);
    client_open(&one);
    client_send(&one);
    client_open(&two);
    assert_int_equal(b->target.calls, 2);
    UNTIL(b, has_message(&b->target, 0, 1));
    respond(&b->target, 0, 0, 0);
    UNTIL(b, one.responses == 1);
    client_open(&three); /* two still has the second */
    assert_int_equal(b->target.calls, 2);
    assert_true(three.is_reused);
    client_done(&two);
    client_done(&three);
}

static void an_association_known_to_its_sender_is_preferred(void **state)
{
    struct bench *b = *state;
    struct client one, two, again;
    client_init(&one, b, 1);
    client_init(&two, b, 2);
    client_open(&one);
    client_open(&two);
    struct outbound *second = two.x.outbound;
    outbound_finish(&one.x);
    outbound_finish(&two.x);
    client_init(&again, b, 2);
    client_open(&again);
    assert_ptr_equal(again.x.outbound, second);
    client_done(&again);
}

static void a_private_association_leaves_with_its_sender(void **state)
{
    struct bench *b = *state;
    struct client one, two;
    client_init(&one, b, 1);
    client_init(&two, b, 1);
    two.w.is_private = true;
    client_exchange(&one, 0, 0);
    client_exchange(&two, 1, 0);
    outbound_forget_user(b->pool, 1);
    UNTIL(b, b->target.call[1].seen[SPEAKER_GONE]);
    assert_int_equal(b->target.call[1].how, ASSOCIATION_RELEASED);
    assert_int_equal(b->target.call[0].seen[SPEAKER_END], 0); /* anybody may use that one */
}

/* --- window ------------------------------------------------------------------------------------------------ */

static void a_sender_fills_its_window_and_then_opens_another(void **state)
{
    struct bench *b = *state;
    struct client c[4], other;
    b->target.window = 3;
    for (unsigned i = 0; i < 4; i++) {
        client_init(&c[i], b, 1);
        c[i].proposes_window = true;
        client_open(&c[i]);
        client_send(&c[i]);
        assert_int_equal(b->target.calls, i < 3 ? 1 : 2);
    }
    client_init(&other, b, 2);
    UNTIL(b, has_message(&b->target, 0, 3));
    respond(&b->target, 0, 1, 0xA700); /* any of them, in any order */
    UNTIL(b, c[1].responses == 1);
    assert_int_equal(c[1].status, 0xA700);
    assert_int_equal(c[0].responses + c[2].responses, 0);
    client_open(&other); /* room, but another sender's */
    assert_int_equal(b->target.calls, 3);
    client_init(&c[1], b, 1);
    client_open(&c[1]);
    assert_int_equal(b->target.calls, 3);
    assert_ptr_equal(c[1].x.outbound, c[0].x.outbound);
    for (unsigned i = 0; i < 4; i++)
        client_done(&c[i]);
    client_done(&other);
}

static void without_a_window_one_message_waits_at_a_time(void **state)
{
    struct bench *b = *state;
    struct client c[2];
    for (unsigned i = 0; i < 2; i++) {
        client_init(&c[i], b, 1);
        client_open(&c[i]);
        client_send(&c[i]);
    }
    assert_int_equal(b->target.calls, 2);
    client_done(&c[0]);
    client_done(&c[1]);
}

static void nothing_starts_inside_a_message_though_the_window_has_room(void **state)
{
    struct bench *b = *state;
    struct client c[3];
    for (unsigned i = 0; i < 3; i++) {
        client_init(&c[i], b, 1);
        c[i].proposes_window = true;
    }
    client_open(&c[0]);
    client_begin(&c[0]);
    client_open(&c[1]);
    assert_int_equal(b->target.calls, 2);
    assert_true(association_send_data_end(&c[0].x.outbound->a));
    outbound_sent_all(&c[0].x);
    client_open(&c[2]); /* the first has room again; the second is to be sent on first */
    assert_int_equal(b->target.calls, 2);
    assert_ptr_equal(c[2].x.outbound, c[0].x.outbound);
    for (unsigned i = 0; i < 3; i++)
        client_done(&c[i]);
}

static void nothing_passes_who_was_handed_the_association_and_has_not_begun(void **state)
{
    struct bench *b = *state;
    struct client c[2];
    for (unsigned i = 0; i < 2; i++) {
        client_init(&c[i], b, 1);
        c[i].proposes_window = true;
        client_open(&c[i]);
    }
    assert_int_equal(b->target.calls, 2);
    client_done(&c[0]);
    client_done(&c[1]);
}

static void a_window_that_was_turned_away_is_left_out(void **state)
{
    static const enum manner manners[] = {ABORT_WINDOW, REJECT_WINDOW, CLOSE_WINDOW};
    for (unsigned i = 0; i < 3; i++) {
        setup(state);
        struct bench *b = *state;
        struct client c;
        b->target.manner = manners[i];
        client_init(&c, b, 1);
        c.proposes_window = true;
        client_exchange(&c, 1, 0);
        assert_int_equal(b->target.calls, 2);
        assert_int_equal(b->target.windows, 1);
        teardown(state);
    }
}

/* "For now" says nothing about the window; and without a connection nobody has seen it. */
static void a_window_is_kept_when_it_was_not_the_cause(void **state)
{
    struct bench *b = *state;
    struct client c, d;
    b->target.turned_away_first = 1;
    client_init(&c, b, 1);
    c.proposes_window = true;
    client_open(&c);
    assert_int_equal(b->target.calls, 2);
    assert_int_equal(b->target.windows, 2);
    client_done(&c);

    struct config_node nobody = b->node;
    int listener = speaker_listen(&nobody.port);
    close(listener);
    client_init(&d, b, 1);
    d.proposes_window = true;
    d.w.node = &nobody;
    client_acquire(&d);
    UNTIL(b, d.failed);
    assert_int_equal(d.kind, OUTBOUND_UNREACHABLE);
    assert_false(d.w.no_window);
}

/* --- linger, and associations that end while idle ---------------------------------------------------------- */

static void an_idle_association_lingers_and_is_released(void **state)
{
    struct bench *b = *state;
    struct client c;
    b->config->timeouts.linger = 300;
    client_init(&c, b, 1);
    client_exchange(&c, 0, 0);
    uint64_t from = clock_ms();
    UNTIL(b, outbound_pool_is_empty(b->pool) && b->target.call[0].seen[SPEAKER_GONE]);
    assert_true(clock_ms() - from >= 250);
    assert_int_equal(b->target.call[0].how, ASSOCIATION_RELEASED);
}

static void an_association_that_serves_does_not_linger(void **state)
{
    struct bench *b = *state;
    struct client one, two;
    b->config->timeouts.linger = 200;
    client_init(&one, b, 1);
    client_init(&two, b, 1);
    client_exchange(&one, 0, 0);
    client_open(&two);
    uint64_t until = clock_ms() + 500;
    UNTIL(b, clock_ms() > until);
    assert_int_equal(b->target.call[0].seen[SPEAKER_END], 0);
    client_send(&two);
    UNTIL(b, has_message(&b->target, 0, 2));
    client_done(&two);
}

static void an_idle_association_that_dies_is_forgotten(void **state)
{
    for (int how = 0; how < 3; how++) {
        setup(state);
        struct bench *b = *state;
        struct client one, two;
        client_init(&one, b, 1);
        client_init(&two, b, 1);
        client_exchange(&one, 0, 0);
        if (how == 0)
            association_close(&b->target.call[0].a);
        else if (how == 1)
            association_abort(&b->target.call[0].a, "as the test wants");
        else
            association_release(&b->target.call[0].a);
        UNTIL(b, outbound_pool_is_empty(b->pool));
        client_exchange(&two, 1, 0);
        assert_false(two.is_reused);
        teardown(state);
    }
}

static void the_end_of_an_association_is_told_to_each_of_its_messages(void **state)
{
    struct bench *b = *state;
    struct client c[3];
    for (unsigned i = 0; i < 3; i++) {
        client_init(&c[i], b, 1);
        c[i].proposes_window = true;
        client_open(&c[i]);
        client_send(&c[i]);
    }
    UNTIL(b, has_message(&b->target, 0, 3));
    association_abort(&b->target.call[0].a, "as the test wants");
    UNTIL(b, c[0].lost + c[1].lost + c[2].lost == 3);
    assert_int_equal(c[0].lost, 1);
    assert_int_equal(c[1].lost, 1);
    assert_string_equal(c[1].why, "aborted by the peer (source 0, reason 0)");
}

/* --- giving up --------------------------------------------------------------------------------------------- */

static void a_message_never_begun_leaves_the_association_whole(void **state)
{
    struct bench *b = *state;
    struct client one, two;
    client_init(&one, b, 1);
    client_init(&two, b, 2);
    client_open(&one);
    outbound_abandon(&one.x, "changed its mind");
    client_exchange(&two, 0, 0);
    assert_int_equal(b->target.calls, 1);
    assert_int_equal(one.lost, 0);
}

static void a_half_sent_message_alone_ends_its_association(void **state)
{
    struct bench *b = *state;
    struct client c;
    client_init(&c, b, 1);
    client_open(&c);
    client_begin(&c);
    outbound_abandon(&c.x, "the sender is gone");
    assert_null(c.x.outbound);
    UNTIL(b, b->target.call[0].seen[SPEAKER_END] && outbound_pool_is_empty(b->pool));
    assert_int_equal(b->target.call[0].how, ASSOCIATION_ABORTED);
    assert_int_equal(c.lost + c.responses, 0); /* it is not told any more */
}

static void older_answers_are_awaited_behind_a_half_sent_message(void **state)
{
    struct bench *b = *state;
    struct client older, half, next;
    struct client *both[] = {&older, &half};
    for (int i = 0; i < 2; i++) {
        client_init(both[i], b, 1);
        both[i]->proposes_window = true;
    }
    client_open(&older);
    client_send(&older);
    client_open(&half);
    client_begin(&half);
    outbound_abandon(&half.x, "the sender sends no more");
    UNTIL(b, has_message(&b->target, 0, 1));
    settle(b);
    assert_int_equal(b->target.call[0].seen[SPEAKER_END], 0); /* not yet */
    client_init(&next, b, 1);
    client_open(&next); /* nothing more goes on that one */
    assert_int_equal(b->target.calls, 2);
    respond(&b->target, 0, 0, 0xB000);
    UNTIL(b, older.responses == 1 && b->target.call[0].seen[SPEAKER_END]);
    assert_int_equal(older.status, 0xB000);
    assert_int_equal(older.lost, 0);
    assert_int_equal(half.responses + half.lost, 0);
    assert_int_equal(b->target.call[0].how, ASSOCIATION_ABORTED);
    client_done(&next);
}

/* Its answer may still come, for nobody: nothing new goes there, the sender's others are answered, then it ends. */
static void a_whole_message_given_up_waits_for_the_others_too(void **state)
{
    struct bench *b = *state;
    struct client c[3];
    for (unsigned i = 0; i < 3; i++) {
        client_init(&c[i], b, 1);
        c[i].proposes_window = true;
    }
    for (unsigned i = 0; i < 2; i++) {
        client_open(&c[i]);
        client_send(&c[i]);
    }
    outbound_abandon(&c[0].x, "not waited for any more");
    client_open(&c[2]);
    assert_int_equal(b->target.calls, 2);
    UNTIL(b, has_message(&b->target, 0, 2));
    respond(&b->target, 0, 0, 0); /* for nobody */
    respond(&b->target, 0, 1, 0xB000);
    UNTIL(b, c[1].responses == 1 && b->target.call[0].seen[SPEAKER_END]);
    assert_int_equal(c[1].status, 0xB000);
    assert_int_equal(b->target.call[0].how, ASSOCIATION_ABORTED);
    assert_int_equal(c[0].responses + c[0].lost + c[1].lost, 0);
    client_done(&c[2]);
}

static void older_answers_are_awaited_for_response_and_no_longer(void **state)
{
    struct bench *b = *state;
    struct client older, half;
    struct client *both[] = {&older, &half};
    b->config->timeouts.response = 300;
    for (int i = 0; i < 2; i++) {
        client_init(both[i], b, 1);
        both[i]->proposes_window = true;
    }
    client_open(&older);
    client_send(&older);
    client_open(&half);
    client_begin(&half);
    uint64_t from = clock_ms();
    outbound_abandon(&half.x, "the sender sends no more");
    UNTIL(b, older.lost == 1);
    assert_true(clock_ms() - from >= 250);
    UNTIL(b, b->target.call[0].seen[SPEAKER_END]);
    assert_int_equal(b->target.call[0].how, ASSOCIATION_ABORTED);
    assert_int_equal(half.responses + half.lost + older.responses, 0);
}

static void abandoning_what_is_not_attached_does_nothing(void **state)
{
    struct client c;
    client_init(&c, *state, 1);
    outbound_abandon(&c.x, "nothing");
    assert_int_equal(c.lost, 0);
}

/* --- the end ----------------------------------------------------------------------------------------------- */

static void at_the_stop_the_idle_are_released_and_the_busy_aborted(void **state)
{
    struct bench *b = *state;
    struct client idle, busy, waits, late;
    b->node.max_associations = 2;
    client_init(&idle, b, 1);
    client_init(&busy, b, 2);
    client_init(&waits, b, 3);
    client_init(&late, b, 4);
    client_open(&busy);
    client_send(&busy);
    client_exchange(&idle, 1, 0);
    struct permits *p = permits_of(b->registry, &b->node);
    assert_false(permits_try(p));
    waits.w.profile = 2;
    waits.w.node = &b->node;
    b->target.manner = NEVER_ANSWER;
    client_acquire(&waits); /* the idle one leaves for it; it opens and gets no answer */
    UNTIL(b, b->target.calls == 3);
    outbound_pool_close(b->pool);
    client_acquire(&late);
    UNTIL(b, busy.lost && late.failed && waits.failed);
    assert_int_equal(late.kind, OUTBOUND_UNREACHABLE);
    assert_int_equal(waits.kind, OUTBOUND_UNREACHABLE);
    UNTIL(b, b->target.call[0].seen[SPEAKER_END] && outbound_pool_is_empty(b->pool));
    assert_int_equal(b->target.call[0].how, ASSOCIATION_ABORTED);
    assert_int_equal(b->target.call[1].how, ASSOCIATION_RELEASED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_association_serves_again_whoever_needs_the_same),
        TEST(nobody_is_served_while_another_waits_for_his_answer),
        TEST(an_association_known_to_its_sender_is_preferred),
        TEST(a_private_association_leaves_with_its_sender),
        TEST(a_sender_fills_its_window_and_then_opens_another),
        TEST(without_a_window_one_message_waits_at_a_time),
        TEST(nothing_starts_inside_a_message_though_the_window_has_room),
        TEST(nothing_passes_who_was_handed_the_association_and_has_not_begun),
        cmocka_unit_test(a_window_that_was_turned_away_is_left_out),
        TEST(a_window_is_kept_when_it_was_not_the_cause),
        TEST(an_idle_association_lingers_and_is_released),
        TEST(an_association_that_serves_does_not_linger),
        cmocka_unit_test(an_idle_association_that_dies_is_forgotten),
        TEST(the_end_of_an_association_is_told_to_each_of_its_messages),
        TEST(a_message_never_begun_leaves_the_association_whole),
        TEST(a_half_sent_message_alone_ends_its_association),
        TEST(older_answers_are_awaited_behind_a_half_sent_message),
        TEST(a_whole_message_given_up_waits_for_the_others_too),
        TEST(older_answers_are_awaited_for_response_and_no_longer),
        TEST(abandoning_what_is_not_attached_does_nothing),
        TEST(at_the_stop_the_idle_are_released_and_the_busy_aborted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
