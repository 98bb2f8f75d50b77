/* The pool of outbound associations against nodes that stand on the same loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../wire/speaker.h"
#include "association/outbound.h"
#include "base/clock.h"

/* What a node does with a request. */
enum manner {
    ACCEPT,
    REJECT, /* for good */
    REJECT_FOR_NOW,
    ABORT,
    CLOSE,
    NEVER_ANSWER,
    ABORT_WINDOW, /* one that proposes an asynchronous window; others are accepted */
    REJECT_WINDOW,
    CLOSE_WINDOW,
    ACCEPT_NOTHING /* the association stands, but no context */
};

enum { CALLS = 24 };

struct target {
    int listener;
    uint16_t port;
    enum manner manner;
    unsigned turned_away_first; /* so many are rejected for now, whatever the manner */
    uint16_t window;            /* what it grants */
    unsigned calls;             /* connections taken */
    unsigned windows;           /* requests that proposed a window */
    struct speaker call[CALLS];
};

struct bench {
    struct loop loop;
    struct resolver *resolver;
    struct permits_registry *registry;
    struct outbound_pool *pool;
    struct config *config;
    struct config_node node;
    struct target target;
};

/* Somebody with one message for the node. */
struct client {
    struct bench *bench;
    struct outbound_want w;
    struct outbound_exchange x;
    bool proposes_window, build_fails;
    bool only_store; /* proposes the storage context alone */
    unsigned ready, failed, answered, responses, lost;
    bool is_reused;
    uint8_t context_id;
    uint16_t status;
    enum outbound_failure kind;
    char why[96];
};

/* --- the node ---------------------------------------------------------------------------------------------- */

static void accept_nothing(struct speaker *s)
{
    struct pdu_associate answer;
    struct pdu_context refused = {.id = SPEAKER_STORE, .result = PDU_CONTEXT_ABSTRACT_SYNTAX};
    pdu_associate_init(&answer, true);
    answer.application_context = s->a.ul.request.application_context;
    answer.implementation_uid = speaker_text("1.2.3");
    answer.contexts = &refused;
    answer.context_count = 1;
    association_answer_take(&s->a, &answer);
}

static void answer_request(struct target *t, struct speaker *s)
{
    enum manner manner = t->turned_away_first ? REJECT_FOR_NOW : t->manner;
    bool has_window = s->a.ul.request.has_async;
    bool is_picky = manner == ABORT_WINDOW || manner == REJECT_WINDOW || manner == CLOSE_WINDOW;
    t->windows += has_window;
    t->turned_away_first -= t->turned_away_first > 0;
    if (manner == ACCEPT || (is_picky && !has_window)) {
        s->has_window = has_window;
        s->invoked = t->window;
        s->performed = 1;
        speaker_answer(s);
    } else if (manner == ACCEPT_NOTHING) {
        accept_nothing(s);
    } else if (manner == REJECT || manner == REJECT_WINDOW) {
        association_reject(&s->a,
                           (struct pdu_reject){PDU_REJECT_PERMANENT, PDU_REJECT_USER, PDU_REJECT_CALLED_AE});
    } else if (manner == REJECT_FOR_NOW) {
        association_reject(&s->a, (struct pdu_reject){PDU_REJECT_TRANSIENT, PDU_REJECT_PRESENTATION,
                                                      PDU_REJECT_LOCAL_LIMIT});
    } else if (manner == ABORT || manner == ABORT_WINDOW) {
        association_abort(&s->a, "as the test wants");
    } else if (manner == CLOSE || manner == CLOSE_WINDOW) {
        association_close(&s->a);
    }
}

static void on_call_event(struct speaker *s, enum speaker_event event)
{
    if (event == SPEAKER_REQUESTED)
        answer_request(s->owner, s);
}

/* Connections that wait are taken. */
static void target_poll(struct bench *b)
{
    struct target *t = &b->target;
    int fd;
    while (t->listener >= 0 && (fd = accept4(t->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
        assert_true(t->calls < CALLS);
        struct speaker *s = &t->call[t->calls++];
        speaker_init(s, &b->loop, b->resolver);
        s->waits_with_answer = true;
        s->act = on_call_event;
        s->owner = t;
        speaker_accept(s, fd);
    }
}

#define UNTIL(b, condition) LOOP_UNTIL(&(b)->loop, (target_poll(b), (condition)))

/* Nothing more happens by itself: a while of turns. */
static void settle(struct bench *b)
{
    unsigned wakes = b->loop.wakes;
    UNTIL(b, b->loop.wakes > wakes + 3);
}

static bool has_message(const struct target *t, unsigned call, unsigned count)
{
    return t->calls > call && t->call[call].count >= count && t->call[call].messages[count - 1].has_ended;
}

/* The node's C-STORE-RSP to message number `message` on that connection. */
static void respond(struct target *t, unsigned call, unsigned message, uint16_t status)
{
    struct dimse_command answer;
    dimse_response_to(&t->call[call].messages[message].c, status, NULL, &answer);
    assert_true(speaker_send(&t->call[call], SPEAKER_STORE, &answer, NULL, 0, 0));
}

/* --- the client -------------------------------------------------------------------------------------------- */

static bool build(struct outbound_want *w, struct pdu_associate *request)
{
    struct client *c = w->owner;
    struct pdu_associate all = speaker_request(&c->bench->target.call[0]);
    if (c->build_fails) {
        assert_non_null(pdu_associate_alloc(request, 100)); /* half a request is freed as well */
    } else {
        struct view *syntaxes = pdu_associate_alloc(request, all.context_count * sizeof(*syntaxes));
        request->contexts = pdu_associate_alloc(request, all.context_count * sizeof(*request->contexts));
        for (unsigned i = 0; i < all.context_count; i++) {
            if (c->only_store && all.contexts[i].id != SPEAKER_STORE)
                continue;
            syntaxes[i] = all.contexts[i].transfer_syntaxes[0];
            struct pdu_context *to = &request->contexts[request->context_count++];
            *to = all.contexts[i];
            to->transfer_syntaxes = &syntaxes[i];
        }
        request->has_async = c->proposes_window;
        request->async_invoked = 8;
        request->async_performed = 1;
    }
    pdu_associate_free(&all);
    return !c->build_fails;
}

static void on_ready(struct outbound_want *w, const struct association_context *context, bool is_reused)
{
    struct client *c = w->owner;
    assert_int_equal(c->ready + c->failed, 0);
    c->ready++;
    c->is_reused = is_reused;
    c->context_id = context ? context->id : 0;
}

static void on_answer(struct outbound_want *w, const struct pdu_associate *request,
                      const struct pdu_associate *answer)
{
    struct client *c = w->owner;
    assert_int_equal(c->ready + c->failed, 0);
    assert_false(request->is_ac);
    assert_true(answer->is_ac);
    c->answered++;
}

static void on_failed(struct outbound_want *w, enum outbound_failure kind, const char *why)
{
    struct client *c = w->owner;
    assert_int_equal(c->ready + c->failed, 0);
    c->failed++;
    c->kind = kind;
    snprintf(c->why, sizeof(c->why), "%s", why);
}

static void on_response(struct outbound_exchange *x, const struct dimse_command *answer)
{
    struct client *c = x->owner;
    c->responses++;
    c->status = answer->status;
    outbound_finish(x);
}

static void on_lost(struct outbound_exchange *x, const char *why)
{
    struct client *c = x->owner;
    assert_null(x->outbound);
    c->lost++;
    snprintf(c->why, sizeof(c->why), "%s", why);
}

static void client_init(struct client *c, struct bench *b, uint64_t user)
{
    *c = (struct client){.bench = b};
    c->x = (struct outbound_exchange){.owner = c, .on_response = on_response, .on_lost = on_lost};
    c->w = (struct outbound_want){.owner = c,
                                  .config = b->config,
                                  .node = &b->node,
                                  .calling = "ME",
                                  .user = user,
                                  .profile = 1,
                                  .abstract_syntax = "1.2.840.10008.5.1.4.1.1.2",
                                  .transfer_syntax = "1.2.840.10008.1.2.1",
                                  .wait_ms = 15000,
                                  .build = build,
                                  .exchange = &c->x,
                                  .on_ready = on_ready,
                                  .on_answer = on_answer,
                                  .on_failed = on_failed};
}

static void client_acquire(struct client *c)
{
    outbound_acquire(c->bench->pool, &c->w);
    assert_int_equal(c->ready + c->failed, 0); /* later, never from inside */
}

static void client_open(struct client *c)
{
    client_acquire(c);
    UNTIL(c->bench, c->ready + c->failed);
    assert_int_equal(c->failed, 0);
}

/* The command and the first bytes of the data set. */
static void client_begin(struct client *c)
{
    static const uint8_t bytes[3000];
    struct dimse_command rq = {.has = DIMSE_HAS_FIELD | DIMSE_HAS_DATA_SET_TYPE | DIMSE_HAS_AFFECTED_CLASS |
                                      DIMSE_HAS_AFFECTED_INSTANCE | DIMSE_HAS_PRIORITY,
                               .field = DIMSE_C_STORE_RQ,
                               .data_set_type = DIMSE_DATA_SET,
                               .affected_class = speaker_text("1.2.840.10008.5.1.4.1.1.2"),
                               .affected_instance = speaker_text("1.2.3")};
    assert_true(outbound_request(&c->x, c->context_id, &rq));
    struct buf *b = buf_scratch(&c->bench->loop.pool, sizeof(bytes));
    memcpy(b->data, bytes, sizeof(bytes));
    b->used = sizeof(bytes);
    assert_true(association_send_data(&c->x.outbound->a, b, b->data, sizeof(bytes)));
    buf_unref(&b);
}

static void client_send(struct client *c)
{
    client_begin(c);
    assert_true(association_send_data_end(&c->x.outbound->a));
    outbound_sent_all(&c->x);
}

/* One whole exchange on a connection that has carried `before` messages already. */
static void client_exchange(struct client *c, unsigned call, unsigned before)
{
    struct target *t = &c->bench->target;
    client_open(c);
    client_send(c);
    UNTIL(c->bench, has_message(t, call, before + 1));
    respond(t, call, before, 0xB000);
    UNTIL(c->bench, c->responses == 1);
    assert_int_equal(c->status, 0xB000);
    assert_int_equal(c->lost, 0);
}

static void client_done(struct client *c)
{
    outbound_cancel(&c->w);
    outbound_abandon(&c->x, "the test is over");
}

/* --- the bench --------------------------------------------------------------------------------------------- */

static int setup(void **state)
{
    struct bench *b = calloc(1, sizeof(*b));
    loop_open(&b->loop, 64 << 20);
    assert_int_equal(resolver_new(&b->resolver), OK);
    assert_int_equal(permits_registry_new(&b->registry), OK);
    struct outbound_options options = {
        .io = b->loop.io, .pool = &b->loop.pool, .resolver = b->resolver, .permits = b->registry};
    b->pool = outbound_pool_new(&options);
    assert_non_null(b->pool);
    b->config = config_new();
    b->config->timeouts.linger = 60000; /* longer than any wait: nothing becomes free by lingering out */
    b->target.listener = speaker_listen(&b->target.port);
    b->target.window = 8;
    b->node = (struct config_node){.name = (char *)"node",
                                   .host = (char *)"127.0.0.1",
                                   .port = b->target.port,
                                   .ae_title = (char *)"NODE",
                                   .max_pdu = 16384};
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    outbound_pool_close(b->pool);
    outbound_pool_close(b->pool);
    for (unsigned i = 0; i < b->target.calls; i++)
        speaker_free(&b->target.call[i]);
    UNTIL(b, outbound_pool_is_empty(b->pool));
    for (unsigned i = 0; i < b->target.calls; i++)
        if (b->target.call[i].seen[SPEAKER_GONE] == 0) /* called while we waited */
            speaker_free(&b->target.call[i]);
    outbound_pool_free(&b->pool);
    assert_int_equal(atomic_load(&b->config->references), 1); /* each association gave its own back */
    config_unref(&b->config);
    permits_registry_free(&b->registry);
    resolver_free(&b->resolver);
    if (b->target.listener >= 0)
        close(b->target.listener);
    loop_close(&b->loop);
    free(b);
    return 0;
}

/* True if a permit of the node is free; limit 1. */
static bool permit_is_free(struct bench *b)
{
    struct permits *p = permits_of(b->registry, &b->node);
    bool is_free = permits_try(p);
    if (is_free)
        permits_give(p);
    return is_free;
}

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
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
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
        TEST(a_node_without_room_is_asked_again_more_and_more_slowly),
        TEST(a_node_without_room_is_asked_until_the_deadline),
        cmocka_unit_test(every_opening_that_fails_gives_its_permit_back),
        TEST(an_association_without_the_context_lingers_for_others),
        TEST(who_leaves_while_it_opens_leaves_it_to_others),
        TEST(who_leaves_before_anything_began_is_not_told),
        TEST(who_finds_no_permit_waits_for_the_association_itself),
        TEST(who_needs_another_kind_waits_until_the_first_is_released),
        TEST(who_gets_no_permit_in_time_fails),
        TEST(at_the_stop_the_idle_are_released_and_the_busy_aborted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
