/* A pool of outbound associations, a node that stands on the same loop, and clients with a message for it. */
#ifndef HILUM_TESTS_BENCH_H
#define HILUM_TESTS_BENCH_H

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

static inline void accept_nothing(struct speaker *s)
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

static inline void answer_request(struct target *t, struct speaker *s)
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

static inline void on_call_event(struct speaker *s, enum speaker_event event)
{
    if (event == SPEAKER_REQUESTED)
        answer_request(s->owner, s);
}

/* Connections that wait are taken. */
static inline void target_poll(struct bench *b)
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
static inline void settle(struct bench *b)
{
    unsigned wakes = b->loop.wakes;
    UNTIL(b, b->loop.wakes > wakes + 3);
}

static inline bool has_message(const struct target *t, unsigned call, unsigned count)
{
    return t->calls > call && t->call[call].count >= count && t->call[call].messages[count - 1].has_ended;
}

/* The node's C-STORE-RSP to message number `message` on that connection. */
static inline void respond(struct target *t, unsigned call, unsigned message, uint16_t status)
{
    struct dimse_command answer;
    dimse_response_to(&t->call[call].messages[message].c, status, NULL, &answer);
    assert_true(speaker_send(&t->call[call], SPEAKER_STORE, &answer, NULL, 0, 0));
}

/* --- the client -------------------------------------------------------------------------------------------- */

static inline bool build(struct outbound_want *w, struct pdu_associate *request)
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

static inline void on_ready(struct outbound_want *w, const struct association_context *context,
                            bool is_reused)
{
    struct client *c = w->owner;
    assert_int_equal(c->ready + c->failed, 0);
    c->ready++;
    c->is_reused = is_reused;
    c->context_id = context ? context->id : 0;
}

static inline void on_answer(struct outbound_want *w, const struct pdu_associate *request,
                             const struct pdu_associate *answer)
{
    struct client *c = w->owner;
    assert_int_equal(c->ready + c->failed, 0);
    assert_false(request->is_ac);
    assert_true(answer->is_ac);
    c->answered++;
}

static inline void on_failed(struct outbound_want *w, enum outbound_failure kind, const char *why)
{
    struct client *c = w->owner;
    assert_int_equal(c->ready + c->failed, 0);
    c->failed++;
    c->kind = kind;
    snprintf(c->why, sizeof(c->why), "%s", why);
}

static inline void on_response(struct outbound_exchange *x, const struct dimse_command *answer)
{
    struct client *c = x->owner;
    c->responses++;
    c->status = answer->status;
    outbound_finish(x);
}

static inline void on_lost(struct outbound_exchange *x, const char *why)
{
    struct client *c = x->owner;
    assert_null(x->outbound);
    c->lost++;
    snprintf(c->why, sizeof(c->why), "%s", why);
}

static inline void client_init(struct client *c, struct bench *b, uint64_t user)
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

static inline void client_acquire(struct client *c)
{
    outbound_acquire(c->bench->pool, &c->w);
    assert_int_equal(c->ready + c->failed, 0); /* later, never from inside */
}

static inline void client_open(struct client *c)
{
    client_acquire(c);
    UNTIL(c->bench, c->ready + c->failed);
    assert_int_equal(c->failed, 0);
}

/* The command and the first bytes of the data set. */
static inline void client_begin(struct client *c)
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

static inline void client_send(struct client *c)
{
    client_begin(c);
    assert_true(association_send_data_end(&c->x.outbound->a));
    outbound_sent_all(&c->x);
}

/* One whole exchange on a connection that has carried `before` messages already. */
static inline void client_exchange(struct client *c, unsigned call, unsigned before)
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

static inline void client_done(struct client *c)
{
    outbound_cancel(&c->w);
    outbound_abandon(&c->x, "the test is over");
}

/* --- the bench --------------------------------------------------------------------------------------------- */

static inline int setup(void **state)
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

static inline int teardown(void **state)
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
static inline bool permit_is_free(struct bench *b)
{
    struct permits *p = permits_of(b->registry, &b->node);
    bool is_free = permits_try(p);
    if (is_free)
        permits_give(p);
    return is_free;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
