#include "relay/sink_pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "dimse/status.h"
#include "relay/sink_node.h"

/* Members that broke off in the middle of one message. After two it is the message rather than they: a third one, and its studies, are spared that. */
enum { BROKEN_OFF_MOST = 2 };

struct sink_pool {
    struct sink sink; /* first */
    struct source *source;
    struct place *place;
    struct sink *member; /* that it goes to; NULL: not begun, or on the way to the next */
    unsigned members;    /* that are not gone */
    unsigned broken_off; /* that broke off in the middle of it */
    struct slices kept;  /* all of the data set so far, */
    bool keeps;          /*   if this is true */
    bool is_finished;    /* all data are here */
    bool is_over;        /* on_done has been called, or abandoned */
    uint16_t status;     /* of the member that failed last */
    char comment[65];
    struct io_task again, gone;
};

static struct io *io_of(const struct sink_pool *n)
{
    return n->source->relay->io;
}

/* --- its end --------------------------------------------------------------------------------------------------- */

static void let_go(struct sink_pool *n)
{
    if (n->is_over && n->members == 0 && !place_is_busy(n->place))
        io_defer(io_of(n), &n->gone);
}

static void on_gone(struct io_task *task)
{
    struct sink_pool *n = task->owner;
    place_end(n->place);
    free(n->place);
    n->sink.on_gone(&n->sink);
    free(n);
}

static void forget(struct sink_pool *n)
{
    n->keeps = n->sink.retains = false;
    slices_clear(&n->kept);
}

static void over(struct sink_pool *n)
{
    n->is_over = true;
    io_defer_cancel(io_of(n), &n->again);
    forget(n);
    let_go(n);
}

static void done(struct sink_pool *n, uint16_t status, const char *comment)
{
    if (n->is_over)
        return;
    over(n);
    n->sink.on_done(&n->sink, status, comment);
}

/* --- the member's view ----------------------------------------------------------------------------------------- */

/* What the message looks at. */
static void follow(struct sink_pool *n)
{
    if (!n->member)
        return;
    n->sink.progress_ms = n->member->progress_ms;
    if (n->member->has_begun && n->kept.bytes > n->source->config->replay_max)
        forget(n);
    n->sink.has_begun = n->member->has_begun;
    n->sink.fault = n->member->fault;
}

static void on_member_ready(struct sink *member)
{
    struct sink_pool *n = member->owner;
    member->is_ready = true;
    follow(n);
    if (!n->sink.is_ready)
        n->sink.on_ready(&n->sink);
}

static void on_member_taken(struct sink *member)
{
    struct sink_pool *n = member->owner;
    follow(n);
    n->sink.on_taken(&n->sink);
}

/* A member that has no context for it is no reason to take a study away from there; a new one may as well begin where it is taken. */
static bool may_move(const struct sink_pool *n, uint16_t status)
{
    const struct place *p = n->place;
    if (p->pool->waits || p->stays || n->sink.fault == SINK_FAULT_OURS || n->broken_off >= BROKEN_OFF_MOST)
        return false;
    if (status == DIMSE_STATUS_SOP_CLASS_NOT_SUPPORTED && !n->sink.has_begun)
        return p->is_new || !p->is_kept || place_has_moved(p);
    return dimse_status_may_pass(status);
}

static void on_member_done(struct sink *member, uint16_t status, const char *comment)
{
    struct sink_pool *n = member->owner;
    follow(n);
    member->is_done = true;
    n->member = NULL;
    n->broken_off += member->was_broken_off;
    place_end(n->place); /* without a sign, of our own fault say, it was no trial */
    n->sink.is_quoted = member->is_quoted;
    if (dimse_store_severity(status) < 2 || !may_move(n, status)) {
        n->sink.said = member->said;
        done(n, status, comment);
        return;
    }
    n->status = status;
    snprintf(n->comment, sizeof(n->comment), "%s", comment ? comment : "");
    io_defer(io_of(n), &n->again); /* not under its feet */
}

static void on_member_gone(struct sink *member)
{
    struct sink_pool *n = member->owner;
    n->members--;
    let_go(n);
}

/* --- from member to member ------------------------------------------------------------------------------------- */

static void moved(struct sink_pool *n)
{
    const struct place *p = n->place;
    const char *from = n->sink.node->name;
    n->sink.node = p->member;
    if (!p->is_safe || !n->keeps || place_has_failed(p)) {
        done(n, n->status, n->comment);
        return;
    }
    LOG(LOG_INFO, "sent to another member of its pool", LOG_STR("assoc", n->sink.message->association),
        LOG_STR("message", n->sink.message->id), LOG_STR("pool", p->pool->as_node.name),
        LOG_STR("from", from), LOG_STR("node", p->member->name),
        LOG_QUOTED("cause", n->comment, n->sink.is_quoted));
    n->sink.has_begun = false;
    if (!n->sink.on_moved(&n->sink)) /* it gets this message already, and its own answer counts */
        done(n, DIMSE_STATUS_SUCCESS, NULL);
}

static void on_again(struct io_task *task)
{
    struct sink_pool *n = task->owner;
    switch (place_next(n->place)) {
    case PLACE_NONE:
        n->sink.node = n->place->member;
        done(n, n->status, n->comment);
        return;
    case PLACE_FOUND:
        moved(n);
        return;
    case PLACE_SOON:
        return;
    }
}

static void on_placed(struct place *p)
{
    struct sink_pool *n = p->owner;
    if (n->is_over)
        let_go(n);
    else
        moved(n);
}

/* What came before. */
static void feed(struct sink_pool *n, struct sink *member)
{
    for (uint32_t i = 0; n->member == member && i < n->kept.count; i++) {
        const struct slice *s = slices_at(&n->kept, i);
        member->ops->data(member, s->buf, s->at, s->len);
    }
    if (n->member == member && n->is_finished)
        member->ops->finish(member);
}

static void start(struct sink *s)
{
    struct sink_pool *n = (struct sink_pool *)s;
    if (!n->place->is_safe) {
        done(n, DIMSE_STATUS_OUT_OF_RESOURCES, "queue: where its study goes cannot be kept");
        return;
    }
    struct sink *member = sink_node_new(n->source, s->node, s->message);
    if (!member) {
        done(n, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
        return;
    }
    n->member = member;
    n->members++;
    member->owner = n;
    member->on_ready = on_member_ready;
    member->on_taken = on_member_taken;
    member->on_done = on_member_done;
    member->on_gone = on_member_gone;
    member->zero_copy = s->zero_copy;
    member->keeps_order = s->keeps_order;
    member->may_queue = s->may_queue && !n->place->may_try; /* else the circuit has been asked */
    member->is_hasty = s->is_hasty;
    member->progress_ms = io_now(io_of(n));
    member->is_started = true;
    member->is_flowing = s->is_flowing;
    member->ops->start(member);
    feed(n, member);
    follow(n);
}

/* --- from the message ------------------------------------------------------------------------------------------ */

/* Until something has been sent the member's own queue holds the same bytes: nothing is to be had by forgetting them. */
static bool may_forget(const struct sink_pool *n)
{
    return n->keeps && n->member && n->member->has_begun;
}

static void relieve(struct sink *s)
{
    struct sink_pool *n = (struct sink_pool *)s;
    if (may_forget(n))
        forget(n);
    if (n->member)
        n->member->ops->relieve(n->member);
}

static void data(struct sink *s, struct buf *b, uint8_t *at, uint32_t len)
{
    struct sink_pool *n = (struct sink_pool *)s;
    bool is_too_much = n->kept.bytes + len > n->source->config->replay_max || n->source->is_full(n->source);
    if (is_too_much && may_forget(n))
        forget(n);
    if (n->keeps && !slices_push(&n->kept, b, at, len)) {
        if (!n->member) {
            done(n, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
            return;
        }
        forget(n);
    }
    if (n->member)
        n->member->ops->data(n->member, b, at, len);
    follow(n);
}

static void finish(struct sink *s)
{
    struct sink_pool *n = (struct sink_pool *)s;
    n->is_finished = true;
    if (n->member)
        n->member->ops->finish(n->member);
    follow(n);
}

static void flow(struct sink *s)
{
    struct sink_pool *n = (struct sink_pool *)s;
    if (!n->member)
        return;
    n->member->is_flowing = true;
    n->member->ops->flow(n->member);
    follow(n);
}

static void abandon(struct sink *s)
{
    struct sink_pool *n = (struct sink_pool *)s;
    if (n->is_over)
        return;
    if (n->member) {
        n->member->ops->abandon(n->member);
        place_end(n->place);
    }
    n->member = NULL;
    over(n);
}

static size_t backlog(const struct sink *s)
{
    const struct sink_pool *n = (const struct sink_pool *)s;
    return n->member ? n->member->ops->backlog(n->member) : n->kept.bytes;
}

static bool is_in_line(const struct sink *s)
{
    const struct sink_pool *n = (const struct sink_pool *)s;
    return !n->member || n->member->ops->is_in_line(n->member);
}

/* What passes by memory cannot be sent again. */
static enum association_bulk passes_to(struct sink *s, struct association **to_out)
{
    struct sink_pool *n = (struct sink_pool *)s;
    if (n->keeps || !n->member)
        return ASSOCIATION_BULK_LATER;
    return n->member->ops->passes_to(n->member, to_out);
}

static const struct sink_ops pool_ops = {.start = start,
                                         .data = data,
                                         .finish = finish,
                                         .abandon = abandon,
                                         .backlog = backlog,
                                         .relieve = relieve,
                                         .passes_to = passes_to,
                                         .is_in_line = is_in_line,
                                         .flow = flow};

struct sink *sink_pool_new_take(struct source *source, struct place *place, const struct sink_message *m)
{
    struct sink_pool *n = calloc(1, sizeof(*n));
    if (!n)
        return NULL;
    n->sink.ops = &pool_ops;
    n->sink.node = place->member;
    n->sink.message = m;
    n->sink.is_pool = n->sink.retains = n->keeps = true;
    n->source = source;
    n->place = place;
    n->again = (struct io_task){.run = on_again, .owner = n};
    n->gone = (struct io_task){.run = on_gone, .owner = n};
    place->owner = n;
    place->on_placed = on_placed;
    return &n->sink;
}
