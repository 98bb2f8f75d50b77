/* The pool: which association serves which want, and exchanges on it. Opening new ones is in outbound_open.c. */
#include "association/outbound.h"

#include <stdlib.h>
#include <string.h>

#include "association/inside.h"
#include "association/outbound_inside.h"
#include "base/assert.h"
#include "base/log.h"

static void on_recall(void *owner, struct permits *permits)
{
    outbound_leave_idle(owner, permits);
}

struct outbound_pool *outbound_pool_new(const struct outbound_options *options)
{
    struct outbound_pool *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->options = *options;
    TAILQ_INIT(&p->all);
    TAILQ_INIT(&p->waiting);
    for (unsigned i = 0; i < OUTBOUND_USERS; i++)
        TAILQ_INIT(&p->of_user[i]);
    p->knowledge = knowledge_new();
    struct permits_holder holder = {.io = options->io, .on_recall = on_recall, .owner = p};
    if (!p->knowledge || permits_register(options->permits, &holder) != OK) {
        knowledge_free(&p->knowledge);
        free(p);
        return NULL;
    }
    return p;
}

struct knowledge *outbound_knowledge(struct outbound_pool *p)
{
    return p->knowledge;
}

static bool is_idle(const struct outbound *o)
{
    return o->is_open && !o->is_leaving && !o->is_doomed && o->outstanding == 0;
}

static void leave(struct outbound *o)
{
    o->is_leaving = true;
    io_timer_stop(o->pool->options.io, &o->linger);
    association_release(&o->a);
}

void outbound_leave_idle(struct outbound_pool *p, const struct permits *permits)
{
    struct outbound *o;
    TAILQ_FOREACH (o, &p->all, link) {
        if (o->permits == permits && is_idle(o) && !o->keeps) {
            leave(o); /* the oldest */
            return;
        }
    }
}

/* One more request of the same sender. With a limit, not past those in line: a sender whose requests overlap would
 * keep the association for ever. */
static bool has_room_for(const struct outbound *o, const struct outbound_want *w)
{
    if (o->user != w->user || o->outstanding >= o->a.window)
        return false;
    return o->node->max_associations == 0 || permits_is_next(o->permits, w->permit_wait);
}

/* Opened for such a want, as far as the node and the profile go. */
static bool is_of_kind(const struct outbound *o, const struct outbound_want *w)
{
    if (o->is_leaving || o->is_doomed || o->node != w->node || o->profile != w->profile ||
        o->is_private != w->is_private || strcmp(o->calling, w->calling) != 0)
        return false;
    return o->user == w->user || !(o->is_private || o->is_own);
}

/* It has not been opened for that, and may have other contexts. */
static bool may_keep(const struct outbound *o, const struct outbound_want *w)
{
    return o->user == w->user && !o->is_used && w->suits && w->suits(w, &o->a);
}

/* The context that serves the want on this association now, or NULL. */
static const struct association_context *serves(const struct outbound *o, const struct outbound_want *w)
{
    if (!o->is_open || o->sender || !is_of_kind(o, w) || !association_may_send(&o->a))
        return NULL;
    bool is_opened_for_it = (!w->is_own || o->is_own) && (!w->keeps || o->keeps);
    if (!is_opened_for_it && !may_keep(o, w))
        return NULL;
    bool is_sole = (w->is_own && !w->keeps) || (w->exchange && w->exchange->wants_id);
    if (o->outstanding > 0 && (is_sole || !has_room_for(o, w)))
        return NULL;
    return association_find(&o->a, w->abstract_syntax, w->transfer_syntax);
}

bool outbound_keeps_for(const struct outbound_pool *p, const struct outbound_want *w)
{
    const struct outbound *o;
    if (!w->keeps || w->fresh_only)
        return false;
    TAILQ_FOREACH (o, &p->of_user[w->user % OUTBOUND_USERS], user_link)
        if (o->user == w->user && o->keeps && is_of_kind(o, w) &&
            (!o->is_open || association_find(&o->a, w->abstract_syntax, w->transfer_syntax)))
            return true;
    return false;
}

void outbound_set_user(struct outbound *o, uint64_t user)
{
    struct outbound_pool *p = o->pool;
    if (o->user == user)
        return;
    if (o->user != 0)
        TAILQ_REMOVE(&p->of_user[o->user % OUTBOUND_USERS], o, user_link);
    o->user = user;
    TAILQ_INSERT_TAIL(&p->of_user[user % OUTBOUND_USERS], o, user_link);
}

/* The sender's own one first: with hundreds of senders it is not searched for among all. */
bool outbound_serve_from_pool(struct outbound_pool *p, struct outbound_want *w)
{
    struct outbound *o;
    const struct association_context *c = NULL;
    if (!w->abstract_syntax || w->fresh_only)
        return false;
    TAILQ_FOREACH (o, &p->of_user[w->user % OUTBOUND_USERS], user_link)
        if (o->user == w->user && (c = serves(o, w)))
            break;
    if (!o)
        TAILQ_FOREACH (o, &p->all, link)
            if ((c = serves(o, w)))
                break;
    if (!o)
        return false;
    outbound_hand_over(o, w, c);
    return true;
}

/* So long a fresh association is taken to stand; later its node may have closed it, as nodes do with idle ones. */
enum { RESTED_MS = 1000 };

void outbound_hand_over(struct outbound *o, struct outbound_want *w,
                        const struct association_context *context)
{
    uint64_t now = io_now(o->pool->options.io);
    bool is_reused = o->is_used || (o->rests_from_ms > 0 && now - o->rests_from_ms >= RESTED_MS);
    struct outbound_exchange *x = w->exchange;
    io_timer_stop(o->pool->options.io, &o->linger);
    outbound_want_over(w);
    outbound_set_user(o, w->user);
    o->keeps = o->keeps || w->keeps;
    o->is_own = o->is_own || w->is_own;
    if (x) {
        o->is_used = true;
        o->outstanding++;
        o->sender = x;
        o->a.has_work = true;
        x->outbound = o;
        x->is_requested = false;
        TAILQ_INSERT_TAIL(&o->exchanges, x, link);
    }
    w->on_ready(w, context, is_reused);
}

/* A local waiter may use what has become free. In line order, so that none is passed over. */
void outbound_kick(struct outbound_pool *p)
{
    struct outbound_want *w = TAILQ_FIRST(&p->waiting);
    while (w) {
        struct outbound_want *next = TAILQ_NEXT(w, link);
        if (outbound_serve_from_pool(p, w))
            next = TAILQ_FIRST(&p->waiting); /* the callback may have changed the line */
        w = next;
    }
}

void outbound_settle(struct outbound *o)
{
    struct outbound_pool *p = o->pool;
    if (o->a.has_ended || o->outstanding > 0)
        return;
    o->a.has_work = o->foreign;
    if (o->is_doomed) {
        association_abort(&o->a, "a message was abandoned");
        return;
    }
    if (!is_idle(o))
        return;
    bool is_recalled = !o->keeps && o->permits && permits_wanted_elsewhere(o->permits, p->options.io);
    if (p->is_closing || is_recalled) {
        leave(o);
        return;
    }
    outbound_kick(p);
    if (!is_idle(o) || o->a.has_ended || o->keeps)
        return;
    if (o->permits &&
        outbound_is_wanted(p, o->permits)) { /* a local waiter needs another kind of association */
        leave(o);
        return;
    }
    o->rests_from_ms = io_now(p->options.io);
    io_timer_start(p->options.io, &o->linger, o->config->timeouts.linger);
}

bool outbound_is_wanted(struct outbound_pool *p, const struct permits *permits)
{
    struct outbound_want *w;
    TAILQ_FOREACH (w, &p->waiting, link)
        if (w->permits == permits && (w->permit_wait || w->backoff_ms > 0))
            return true; /* for want of a permit, or because the node itself has no room */
    return false;
}

void outbound_on_linger(struct io_timer *t)
{
    struct outbound *o = t->owner;
    if (o->is_doomed)
        association_abort(&o->a, "a message was abandoned, and older answers did not come");
    else
        leave(o);
}

/* 0 is never used (peers take it for "none"), nor one that waits for its answer. */
static uint16_t new_message_id(struct outbound *o)
{
    const struct outbound_exchange *x;
    do {
        if (o->next_id == 0)
            o->next_id = 1;
        TAILQ_FOREACH (x, &o->exchanges, link)
            if (x->is_requested && x->message_id == o->next_id)
                break;
        o->next_id++;
    } while (x);
    return (uint16_t)(o->next_id - 1);
}

bool outbound_request(struct outbound_exchange *x, uint8_t context_id, struct dimse_command *c)
{
    struct outbound *o = x->outbound;
    hilum_assert(o->sender == x && !x->is_requested);
    if (!association_may_send(&o->a)) /* it is ending, and x has not been told yet */
        return false;
    x->message_id = x->wants_id ? x->wants_id : new_message_id(o);
    c->has |= DIMSE_HAS_MESSAGE_ID;
    c->message_id = x->message_id;
    x->is_requested = true;
    if (association_send_command(&o->a, context_id, c))
        return true;
    association_abort(&o->a, "out of memory");
    return false;
}

void outbound_sent_all(struct outbound_exchange *x)
{
    struct outbound *o = x->outbound;
    if (!o || o->sender != x)
        return;
    o->sender = NULL;
    if (!voice_next(&o->voice))
        association_abort(&o->a, "out of memory");
    if (o->a.window > o->outstanding && !o->is_doomed)
        outbound_kick(o->pool);
}

struct outbound *outbound_detach(struct outbound_exchange *x)
{
    struct outbound *o = x->outbound;
    o->outstanding--;
    if (o->sender == x)
        o->sender = NULL;
    if (o->answering == x)
        o->answering = NULL;
    if (o->next_told == x)
        o->next_told = TAILQ_NEXT(x, link);
    TAILQ_REMOVE(&o->exchanges, x, link);
    x->outbound = NULL;
    return o;
}

void outbound_finish(struct outbound_exchange *x)
{
    hilum_assert(!x->is_requested ||
                 x->outbound->sender != x); /* a half-sent message would block all others */
    outbound_settle(outbound_detach(x));
}

void outbound_abandon(struct outbound_exchange *x, const char *why)
{
    if (!x->outbound)
        return;
    bool was_sending = x->outbound->sender == x;
    struct outbound *o = outbound_detach(x);
    if (o->a.has_ended)
        return;
    if (!x->is_requested) {
        outbound_settle(o);
    } else if (o->outstanding > 0) {
        /* The stream may be stuck inside a message, or an answer come for nobody; but what else this sender has under
         * way is not to fail for it. */
        o->is_doomed = true;
        if (was_sending) /* others that take the same payload do not wait for it any more */
            association_leave_bypass(&o->a);
        io_timer_start(o->pool->options.io, &o->linger, o->config->timeouts.response);
    } else {
        association_abort(&o->a, why);
    }
}

static void leave_resting(struct outbound_pool *p, uint64_t user, bool private_alone)
{
    struct outbound *o, *next;
    for (o = TAILQ_FIRST(&p->of_user[user % OUTBOUND_USERS]); o; o = next) {
        next = TAILQ_NEXT(o, user_link);
        if (o->user == user && is_idle(o) && (o->is_private || o->is_own || !private_alone))
            leave(o);
    }
}

void outbound_make_room(struct outbound_pool *p, const struct outbound_want *w)
{
    struct outbound *o, *next;
    for (o = TAILQ_FIRST(&p->of_user[w->user % OUTBOUND_USERS]); o; o = next) {
        next = TAILQ_NEXT(o, user_link);
        if (o->user == w->user && is_idle(o) && !o->keeps && (w->is_alone || o->node == w->node))
            leave(o);
    }
}

void outbound_forget_user(struct outbound_pool *p, uint64_t user)
{
    struct outbound *o;
    leave_resting(p, user, true);
    TAILQ_FOREACH (o, &p->of_user[user % OUTBOUND_USERS], user_link)
        if (o->user == user)
            o->keeps = false; /* it has work still */
}

void outbound_say(struct outbound *o, uint8_t context_id, const struct dimse_command *c, struct slices *data)
{
    if (!voice_say(&o->voice, context_id, c, data))
        association_abort(&o->a, "out of memory");
}

void outbound_cancel_request(struct outbound_exchange *x, uint8_t context_id)
{
    struct dimse_command c = {.has = DIMSE_HAS_FIELD | DIMSE_HAS_RESPONDED_ID | DIMSE_HAS_DATA_SET_TYPE,
                              .field = DIMSE_C_CANCEL_RQ,
                              .responded_id = x->message_id,
                              .data_set_type = DIMSE_NO_DATA_SET};
    hilum_assert(x->is_requested);
    outbound_say(x->outbound, context_id, &c, NULL);
}

void outbound_foreign_over(struct outbound *o)
{
    o->foreign = NULL;
    outbound_settle(o);
}

void *outbound_owner(const struct outbound *o)
{
    return o->pool->options.owner;
}

void outbound_leave_resting(struct outbound_pool *p, uint64_t user)
{
    leave_resting(p, user, false);
}

void outbound_gone(struct outbound *o)
{
    struct outbound_pool *p = o->pool;
    TAILQ_REMOVE(&p->all, o, link);
    TAILQ_REMOVE(&p->of_user[o->user % OUTBOUND_USERS], o, user_link);
    io_timer_stop(p->options.io, &o->linger);
    config_unref(&o->config);
    free(o);
}

void outbound_pool_close(struct outbound_pool *p)
{
    struct outbound *o, *next;
    bool is_urgent =
        p->is_closing; /* asked again: who has not answered a release is not waited for any more */
    p->is_closing = true;
    for (o = TAILQ_FIRST(&p->all); o; o = next) {
        next = TAILQ_NEXT(o, link);
        if (is_idle(o))
            leave(o);
        else if (o->a.has_ended)
            association_drop(&o->a);
        else if (!o->is_leaving || is_urgent)
            association_abort(&o->a, "stopping");
    }
    outbound_fail_waiting(p, "stopping");
}

bool outbound_pool_is_empty(const struct outbound_pool *p)
{
    return TAILQ_EMPTY(&p->all);
}

void outbound_pool_free(struct outbound_pool **pp)
{
    struct outbound_pool *p = *pp;
    *pp = NULL;
    if (!p)
        return;
    knowledge_free(&p->knowledge);
    free(p);
}
