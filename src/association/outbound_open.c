/* Wants that no association of the pool serves: permits, opening, back-off, failure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "association/outbound.h"
#include "association/outbound_inside.h"
#include "base/assert.h"
#include "base/log.h"
#include "base/text.h"
#include "base/version.h"
#include "dicom/uid.h"
#include "dimse/status.h"

enum {
    MAKE_WAY_MS = 1000,
    BACKOFF_FIRST_MS = 100,
    BACKOFF_MAX_MS = 2000,
    ANSWERS_MAX_BYTES = 8 << 20 /* and our own data */
};

static void pursue(struct outbound_want *w);

void outbound_want_over(struct outbound_want *w)
{
    struct outbound_pool *p = w->pool;
    w->is_done = true;
    io_timer_stop(p->options.io, &w->timer);
    io_defer_cancel(p->options.io, &w->begin);
    permits_wait_cancel(&w->permit_wait);
    if (w->has_permit) {
        w->has_permit = false;
        permits_give(w->permits);
    }
    if (w->is_waiting) {
        w->is_waiting = false;
        TAILQ_REMOVE(&p->waiting, w, link);
    }
    if (w->opening) {
        w->opening->opener = NULL;
        w->opening = NULL;
    }
}

static void fail(struct outbound_want *w, enum outbound_failure kind, const char *why)
{
    outbound_want_over(w);
    w->on_failed(w, kind, why);
}

void outbound_fail_waiting(struct outbound_pool *p, const char *why)
{
    while (!TAILQ_EMPTY(&p->waiting))
        fail(TAILQ_FIRST(&p->waiting), OUTBOUND_UNREACHABLE, why);
}

static void wait_in_line(struct outbound_want *w, uint64_t ms)
{
    if (!w->is_waiting) {
        w->is_waiting = true;
        TAILQ_INSERT_TAIL(&w->pool->waiting, w, link);
    }
    uint64_t now = io_now(w->pool->options.io);
    uint64_t left = w->deadline_ms > now ? w->deadline_ms - now : 0;
    io_timer_start(w->pool->options.io, &w->timer, ms < left ? ms : left);
}

/* A node that serves one association at a time takes the next when ours that rests there has gone: it says nothing until then. */
static void make_way(struct outbound_want *w)
{
    permits_recall(w->permits, w->pool->options.io);
    outbound_leave_idle(w->pool, w->permits);
    io_timer_start(w->pool->options.io, &w->timer, MAKE_WAY_MS);
}

static void on_timer(struct io_timer *t)
{
    struct outbound_want *w = t->owner;
    if (w->opening)
        make_way(w);
    else if (io_now(w->pool->options.io) < w->deadline_ms)
        pursue(w);
    else if (w->permit_wait || outbound_keeps_for(w->pool, w))
        fail(w, OUTBOUND_NO_PERMIT, "no free association in time");
    else
        fail(w, OUTBOUND_REJECTED, w->why[0] ? w->why : "not in time");
}

void outbound_wake(struct outbound_pool *p, const struct outbound *o)
{
    struct outbound_want *w;
    TAILQ_FOREACH (w, &p->waiting, link)
        if (w->keeps && w->user == o->user)
            io_timer_start(p->options.io, &w->timer, 0);
}

static void on_granted(void *owner)
{
    struct outbound_want *w = owner;
    w->permit_wait = NULL;
    w->has_permit = true;
    pursue(w);
}

/* True if a permit is held, or none is needed. */
static bool obtain_permit(struct outbound_want *w)
{
    struct outbound_pool *p = w->pool;
    w->permits = permits_of(p->options.permits, w->node);
    if (w->has_permit)
        return true;
    if (!w->permits || w->permit_wait)
        return false;
    if (permits_try(w->permits)) {
        w->has_permit = true;
        return true;
    }
    if (w->is_probe)
        return false;
    w->permit_wait = permits_wait(w->permits, p->options.io, on_granted, w);
    if (!w->permit_wait)
        return false;
    outbound_leave_idle(p, w->permits);
    return false;
}

static void on_established(struct association *a)
{
    struct outbound *o = a->owner;
    struct outbound_pool *p = o->pool;
    struct outbound_want *w = o->opener;
    const struct association_context *context = NULL;
    o->is_open = true;
    o->opener = NULL;
    knowledge_learn(p->knowledge, o->node, o->calling, &a->ul.request, &a->ul.accept, io_now(p->options.io));
    LOG(o->is_probe ? LOG_DEBUG : LOG_INFO, "association opened", LOG_STR("assoc", a->id),
        LOG_STR("node", o->node->name), LOG_INT("contexts", a->context_count),
        LOG_INT("max_length", a->ul.accept.max_length));
    if (!w) {
        outbound_settle(o);
        return;
    }
    w->opening = NULL;
    if (w->on_answer)
        w->on_answer(w, &a->ul.request, &a->ul.accept);
    if (w->abstract_syntax)
        context = association_find(a, w->abstract_syntax, w->transfer_syntax);
    if (context || !w->abstract_syntax)
        outbound_hand_over(o, w, context);
    else
        fail(w, OUTBOUND_NOT_ACCEPTED, "presentation context not accepted");
    outbound_settle(o);
}

static void answer_foreign_request(struct outbound *o, uint8_t context_id, const struct dimse_command *c)
{
    const struct outbound_foreign *foreign = o->pool->options.foreign;
    struct dimse_command answer;
    if (c->field == DIMSE_C_CANCEL_RQ)
        return;
    if (association_backlog(&o->a) + voice_backlog(&o->voice) > ANSWERS_MAX_BYTES) {
        association_fault(&o->a, (struct pdu_fault){PDU_ABORT_UNSPECIFIED,
                                                    "requests whose answers the node does not read"});
        return;
    }
    bool is_echo = c->field == DIMSE_C_ECHO_RQ;
    if (!is_echo && foreign && foreign->on_request(o, context_id, c)) {
        o->is_foreign_data = dimse_has_data_set(c);
        return;
    }
    dimse_response_to(c, is_echo ? DIMSE_STATUS_SUCCESS : DIMSE_STATUS_UNRECOGNISED_OPERATION, NULL, &answer);
    outbound_say(o, context_id, &answer, NULL);
}

static void on_command(struct association *a, uint8_t context_id, const struct dimse_command *c)
{
    struct outbound *o = a->owner;
    struct outbound_exchange *x;
    o->answering = NULL;
    o->is_foreign_data = false;
    if (!dimse_is_response(c->field)) {
        answer_foreign_request(o, context_id, c);
        return;
    }
    TAILQ_FOREACH (x, &o->exchanges, link) {
        if (x->is_requested && x->message_id == c->responded_id) {
            o->answering = dimse_has_data_set(c) ? x : NULL;
            x->on_response(x, c);
            return;
        }
    }
    if (!o->is_doomed) /* there it may answer what was abandoned */
        association_fault(a, (struct pdu_fault){PDU_ABORT_INVALID_PARAMETER, "a response to no request"});
}

static void on_data(struct association *a, struct buf *b, uint8_t *at, uint32_t len)
{
    struct outbound *o = a->owner;
    struct outbound_exchange *x = o->answering;
    if (o->is_foreign_data)
        o->pool->options.foreign->on_data(o, b, at, len);
    else if (x && x->on_data)
        x->on_data(x, b, at, len);
}

static void on_data_end(struct association *a)
{
    struct outbound *o = a->owner;
    struct outbound_exchange *x = o->answering;
    bool is_foreign = o->is_foreign_data;
    o->answering = NULL;
    o->is_foreign_data = false;
    if (is_foreign)
        o->pool->options.foreign->on_data_end(o);
    else if (x && x->on_data_end)
        x->on_data_end(x);
}

static void on_sent(struct association *a)
{
    struct outbound *o = a->owner;
    struct outbound_exchange *x;
    for (x = TAILQ_FIRST(&o->exchanges); x; x = o->next_told) {
        o->next_told = TAILQ_NEXT(x, link);
        if (x->on_sent)
            x->on_sent(x);
    }
}

static bool is_for_title(struct pdu_reject r)
{
    return r.source == PDU_REJECT_USER &&
           (r.reason == PDU_REJECT_CALLING_AE || r.reason == PDU_REJECT_CALLED_AE);
}

static void opening_failed(struct outbound *o, enum association_end how, const char *why)
{
    struct outbound_want *w = o->opener;
    bool is_transient = how == ASSOCIATION_REJECTED && o->a.ul.reject.result == PDU_REJECT_TRANSIENT;
    bool no_answer = how == ASSOCIATION_NO_CONNECTION || how == ASSOCIATION_LOST || how == ASSOCIATION_FAULT;
    o->opener = NULL;
    w->opening = NULL;
    w->was_rejected = how == ASSOCIATION_REJECTED && !is_transient;
    w->was_for_title = w->was_rejected && is_for_title(o->a.ul.reject);
    w->was_turned_away = w->was_rejected || how == ASSOCIATION_ABORTED || how == ASSOCIATION_LOST;
    if (o->pool->is_closing) {
        fail(w, OUTBOUND_UNREACHABLE, why);
        return;
    }
    if (o->asked_window && !w->no_window && !is_transient && how != ASSOCIATION_NO_CONNECTION) {
        w->no_window = true;
        wait_in_line(w, 0);
        return;
    }
    if (is_transient && io_now(o->pool->options.io) < w->deadline_ms) { /* quirk 14: back off and reuse */
        text_copy(w->why, sizeof(w->why), why, strlen(why));
        w->backoff_ms = w->backoff_ms ? w->backoff_ms * 2 : BACKOFF_FIRST_MS;
        if (w->backoff_ms > BACKOFF_MAX_MS)
            w->backoff_ms = BACKOFF_MAX_MS;
        permits_recall(w->permits, o->pool->options.io);
        outbound_leave_idle(o->pool, w->permits);
        wait_in_line(w, w->backoff_ms);
        return;
    }
    fail(w, no_answer ? OUTBOUND_UNREACHABLE : OUTBOUND_REJECTED, why);
}

/* What a probe finds is told by whoever sent it; and that one could not be opened, by whoever waits for it. */
static enum log_level level_of_end(const struct outbound *o, enum association_end how)
{
    if (o->is_probe)
        return LOG_DEBUG;
    bool is_quiet = o->opener || how == ASSOCIATION_RELEASED || how == ASSOCIATION_LOST ||
                    (how == ASSOCIATION_CLOSED && o->outstanding == 0);
    return is_quiet ? LOG_INFO : LOG_WARN;
}

static void on_end(struct association *a, enum association_end how, const char *why)
{
    struct outbound *o = a->owner;
    struct outbound_pool *p = o->pool;
    struct permits *permits = o->permits;
    LOG(level_of_end(o, how), "association to node ended", LOG_STR("assoc", a->id),
        LOG_STR("node", o->node->name), LOG_STR("how", association_end_name(how)), LOG_STR("cause", why));
    o->is_leaving = true;
    o->is_foreign_data = false;
    voice_clear(&o->voice);
    io_timer_stop(p->options.io, &o->linger);
    if (o->foreign)
        p->options.foreign->on_end(o, why);
    o->permits = NULL;
    if (permits)
        permits_give(permits);
    while (!TAILQ_EMPTY(&o->exchanges)) {
        struct outbound_exchange *x = TAILQ_FIRST(&o->exchanges);
        outbound_detach(x);
        x->on_lost(x, why);
    }
    if (o->opener)
        opening_failed(o, how, why);
    if (o->keeps)
        outbound_wake(p, o);
    association_close(a);
}

static void on_gone(struct association *a)
{
    outbound_gone(a->owner);
}

static const struct association_user outbound_user = {
    .on_established = on_established,
    .on_command = on_command,
    .on_data = on_data,
    .on_data_end = on_data_end,
    .on_sent = on_sent,
    .on_end = on_end,
    .on_gone = on_gone,
};

static struct outbound *outbound_new(struct outbound_want *w)
{
    struct outbound_pool *p = w->pool;
    const struct config_timeouts *t = &w->config->timeouts;
    struct outbound *o = calloc(1, sizeof(*o));
    if (!o)
        return NULL;
    o->pool = p;
    o->config = config_ref(w->config);
    o->node = w->node;
    text_copy(o->calling, sizeof(o->calling), w->calling, strlen(w->calling));
    o->profile = w->profile;
    o->is_private = w->is_private;
    o->is_probe = w->is_probe;
    o->next_id = 1;
    o->linger = (struct io_timer){.on_fire = outbound_on_linger, .owner = o};
    o->keeps = w->keeps;
    o->is_own = w->is_own || w->keeps;
    voice_init(&o->voice, &o->a);
    TAILQ_INIT(&o->exchanges);
    o->a.user = &outbound_user;
    o->a.owner = o;
    o->a.io = p->options.io;
    o->a.pool = p->options.pool;
    o->a.resolver = p->options.resolver;
    o->a.tcp_congestion = w->node->tcp_congestion;
    o->a.tls = w->node->tls ? w->node->tls->context : NULL;
    o->a.limits = (struct association_limits){.connect = t->connect,
                                              .association = t->association,
                                              .progress = t->progress,
                                              .min_rate = w->config->min_rate};
    snprintf(o->a.id, sizeof(o->a.id), "w%u-o%u", p->options.worker, ++p->next_number);
    association_init(&o->a);
    return o;
}

static bool fill_request(struct outbound_want *w, struct pdu_associate *request)
{
    pdu_associate_init(request, false);
    pdu_title_write(request->called_raw, w->node->ae_title);
    pdu_title_write(request->calling_raw, w->calling);
    association_introduce(request, w->node->max_pdu);
    if (!w->build(w, request))
        return false;
    if (w->no_window)
        request->has_async = false;
    return true;
}

static void open_new(struct outbound_want *w)
{
    struct outbound_pool *p = w->pool;
    struct pdu_associate request;
    struct outbound *o = outbound_new(w);
    if (!o || !fill_request(w, &request)) {
        if (o) {
            pdu_associate_free(&request);
            config_unref(&o->config);
            free(o);
        }
        fail(w, OUTBOUND_OUT_OF_MEMORY, "out of memory");
        return;
    }
    if (w->has_permit) {
        w->has_permit = false;
        o->permits = w->permits;
    }
    TAILQ_INSERT_TAIL(&p->all, o, link);
    outbound_set_user(o, w->user);
    o->asked_window = request.has_async;
    o->opener = w;
    w->opening = o;
    io_timer_stop(p->options.io, &w->timer);
    if (w->is_waiting) {
        w->is_waiting = false;
        TAILQ_REMOVE(&p->waiting, w, link);
    }
    io_timer_start(p->options.io, &w->timer, MAKE_WAY_MS);
    association_connect_take(&o->a, w->node->host, w->node->port, &request);
}

static void pursue(struct outbound_want *w)
{
    if (w->pool->is_closing) {
        fail(w, OUTBOUND_UNREACHABLE, "stopping");
        return;
    }
    if (outbound_serve_from_pool(w->pool, w))
        return;
    if (w->is_alone || w->is_own)
        outbound_make_room(w->pool, w);
    if (outbound_keeps_for(w->pool, w)) {
        wait_in_line(w, UINT64_MAX);
        return;
    }
    if (!obtain_permit(w)) {
        if (w->permit_wait)
            wait_in_line(w, UINT64_MAX);
        else if (w->permits && w->is_probe)
            fail(w, OUTBOUND_NO_PERMIT, "no free association");
        else
            fail(w, OUTBOUND_OUT_OF_MEMORY, "out of memory");
        return;
    }
    open_new(w);
}

static void on_begin(struct io_task *task)
{
    pursue(task->owner);
}

void outbound_acquire(struct outbound_pool *p, struct outbound_want *w)
{
    hilum_assert(w->user != 0);
    w->pool = p;
    w->permits = NULL;
    w->permit_wait = NULL;
    w->has_permit = w->is_waiting = w->is_done = w->no_window = false;
    w->opening = NULL;
    w->backoff_ms = 0;
    w->was_turned_away = w->was_rejected = w->was_for_title = false;
    w->why[0] = '\0';
    w->deadline_ms = io_now(p->options.io) + w->wait_ms;
    w->timer = (struct io_timer){.on_fire = on_timer, .owner = w};
    w->begin = (struct io_task){.run = on_begin, .owner = w};
    io_defer(p->options.io, &w->begin);
}

void outbound_cancel(struct outbound_want *w)
{
    if (w->pool && !w->is_done)
        outbound_want_over(w);
}
