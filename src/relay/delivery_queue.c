/* The queue of one node: what is handed out next, and to which lane; how many go at once. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "relay/delivery_inside.h"

enum {
    READY_PER_LANE = 4, /* entries handed out ahead */
    READY_OF_GROUP = 16
};

/* --- handing out ------------------------------------------------------------------------------------------------ */

static bool is_held_up(const struct delivery_queue *q)
{
    return q->is_closing || q->pause.is_armed || q->delivery->is_draining;
}

void delivery_queue_drop_ready(struct delivery_queue *q)
{
    for (const struct spool_entry *e = q->ready; e; e = e->next)
        delivery_put_back(q, e);
    spool_entries_free(&q->ready);
}

static unsigned lanes_wanted(const struct delivery_queue *q)
{
    bool is_alone = q->backoff_ms > 0 || /* one finds out whether it is there again */
                    io_now(q->delivery->relay->io) < q->alone_until_ms;
    unsigned most = is_alone ? 1 : q->node->deliveries;
    return most < q->lane_count ? most : q->lane_count;
}

static bool has_ready(const struct delivery_queue *q, int64_t group)
{
    const struct spool_entry *e = q->ready;
    while (e && e->group != group)
        e = e->next;
    return e;
}

/* The entries of a group go through one lane, one after another, which is for nothing else until all have gone. NULL: wait. */
static struct lane *lane_for(struct delivery_queue *q, const struct spool_entry *e)
{
    struct lane *found = NULL;
    for (unsigned i = 0; i < q->lane_count; i++) {
        struct lane *l = &q->lanes[i];
        if (e->group != 0 && l->group == e->group)
            return l->entry ? NULL : l;
        if (!found && !l->entry && l->group == 0)
            found = l;
    }
    return found;
}

/* *at is taken out. */
static void begin(struct delivery_queue *q, struct lane *l, struct spool_entry **at)
{
    struct spool_entry *e = *at;
    *at = e->next;
    e->next = NULL;
    if (delivery_expire(q, e) || delivery_put_off(q, e)) {
        spool_entry_free(&e);
        return;
    }
    q->busy++;
    l->may_have_more = true;
    lane_start_take(l, q->config, q->node, &e);
}

static void ask_in(struct delivery_queue *q, unsigned most, struct spool_range range)
{
    q->is_asking = true;
    q->asked_group = range.group;
    spool_feed_next(q->delivery->relay->spool, &q->feed, most, range);
}

/* A lane that has nothing ready of its group, and perhaps there is more. */
static const struct lane *lane_without(const struct delivery_queue *q)
{
    for (unsigned i = 0; i < q->lane_count; i++) {
        const struct lane *l = &q->lanes[i];
        if (l->group != 0 && l->may_have_more && !has_ready(q, l->group))
            return l;
    }
    return NULL;
}

/* If what is ready waits for the lanes of its groups, later studies may use the others. */
static void ask(struct delivery_queue *q)
{
    unsigned lanes = lanes_wanted(q);
    if (q->is_asking || is_held_up(q))
        return;
    const struct lane *l = lane_without(q);
    if (l) {
        ask_in(q, READY_OF_GROUP, (struct spool_range){.order = l->order, .group = l->group});
    } else if (q->busy >= lanes) {
        return;
    } else if (!q->ready && q->has_more) {
        q->has_more = false; /* unless something comes */
        ask_in(q, lanes * READY_PER_LANE, (struct spool_range){0});
    } else if (q->ready && q->has_behind) {
        struct spool_range behind = {0};
        for (const struct spool_entry *e = q->ready; e; e = e->next)
            behind.order = e->order > behind.order ? e->order : behind.order;
        q->has_behind = false;
        ask_in(q, (lanes - q->busy) * READY_PER_LANE, behind);
    }
}

/* Nothing more is due of this group. */
static void end_group(struct delivery_queue *q, int64_t group)
{
    for (unsigned i = 0; i < q->lane_count; i++)
        if (q->lanes[i].group == group)
            q->lanes[i].may_have_more = false;
}

static void leave_groups(struct delivery_queue *q)
{
    for (unsigned i = 0; i < q->lane_count; i++) {
        struct lane *l = &q->lanes[i];
        if (l->group != 0 && !l->entry && !l->may_have_more && !has_ready(q, l->group))
            lane_leave_group(l);
    }
}

/* One lane waits to be let in, others have nothing to do: they make room. */
static void make_room(struct delivery_queue *q)
{
    bool is_waiting = false;
    for (unsigned i = 0; i < q->lane_count; i++)
        is_waiting = is_waiting || lane_is_waiting(&q->lanes[i]);
    for (unsigned i = 0; is_waiting && i < q->lane_count; i++)
        if (!q->lanes[i].entry && q->lanes[i].group == 0)
            lane_rest(&q->lanes[i]);
}

static void pump(struct delivery_queue *q)
{
    struct spool_entry **at = &q->ready;
    leave_groups(q);
    while (*at && !is_held_up(q) && q->busy < lanes_wanted(q)) {
        struct lane *l = lane_for(q, *at);
        if (l) {
            begin(q, l, at);
            at = &q->ready; /* a node that pauses hands back what is ready */
        } else {
            at = &(*at)->next;
        }
    }
    ask(q);
    if (!q->ready)
        make_room(q);
}

static void on_pause_over(struct io_timer *t)
{
    pump(t->owner);
}

static void on_lane_end(struct lane *l, enum lane_end how, uint16_t status, const char *comment)
{
    struct delivery_queue *q = l->owner;
    delivery_take_end(q, l, how, status, comment);
    if (q->pause.is_armed) /* meanwhile an operator may drop them, or send them elsewhere */
        delivery_queue_drop_ready(q);
}

static void close_when_idle(struct delivery_queue *q);

static void on_lane_gone(struct lane *l)
{
    struct delivery_queue *q = l->owner;
    q->busy--;
    close_when_idle(q);
    pump(q);
}

static void on_due(struct spool_feed *f)
{
    struct delivery_queue *q = f->owner;
    q->has_more = q->has_behind = true;
    pump(q);
}

static void on_entries(struct spool_feed *f, struct spool_entry *list)
{
    struct delivery_queue *q = f->owner;
    struct spool_entry **last = &q->ready;
    q->is_asking = false;
    if (list)
        q->has_more = q->has_behind = true;
    else if (q->asked_group != 0)
        end_group(q, q->asked_group);
    while (*last)
        last = &(*last)->next;
    *last = list;
    if (is_held_up(q)) /* the node has begun to wait meanwhile, or we end: others may want them */
        delivery_queue_drop_ready(q);
    close_when_idle(q);
    pump(q);
}

/* --- its life ---------------------------------------------------------------------------------------------------- */

void delivery_queue_free(struct delivery_queue *q)
{
    for (unsigned i = 0; i < q->lane_count; i++)
        lane_free(&q->lanes[i]);
    config_unref(&q->config);
    free(q->lanes);
    free(q->name);
    free(q);
}

static void on_closed(struct spool_feed *f)
{
    struct delivery_queue *q = f->owner;
    io_timer_stop(q->delivery->relay->io, &q->pause);
    TAILQ_REMOVE(&q->delivery->queues, q, link);
    delivery_queue_free(q);
}

static void close_when_idle(struct delivery_queue *q)
{
    if (!q->is_closing || q->is_closed || q->busy > 0 || q->is_asking)
        return;
    q->is_closed = true;
    spool_feed_close(q->delivery->relay->spool, &q->feed);
}

void delivery_queue_close(struct delivery_queue *q)
{
    if (q->is_closing)
        return;
    q->is_closing = true;
    delivery_queue_drop_ready(q);
    close_when_idle(q);
}

void delivery_queue_stop(struct delivery_queue *q)
{
    for (unsigned i = 0; i < q->lane_count; i++)
        lane_stop(&q->lanes[i]);
    delivery_queue_close(q);
}

/* Lanes are made once; more of them only when the node's configuration asks for more and none is in use. */
static bool make_lanes(struct delivery_queue *q)
{
    unsigned count = q->node->deliveries;
    if (count <= q->lane_count || q->busy > 0)
        return true;
    for (unsigned i = 0; i < q->lane_count; i++)
        lane_free(&q->lanes[i]);
    free(q->lanes);
    q->lane_count = 0;
    q->lanes = calloc(count, sizeof(*q->lanes));
    while (q->lanes && q->lane_count < count) {
        struct lane *l = &q->lanes[q->lane_count];
        *l = (struct lane){.owner = q, .on_end = on_lane_end, .on_gone = on_lane_gone, .pairs = &q->pairs};
        if (!lane_init(l, q->delivery->relay))
            return false;
        q->lane_count++;
    }
    return q->lanes;
}

struct delivery_queue *delivery_queue_new(struct delivery *d, struct config *config,
                                          const struct config_node *node)
{
    struct delivery_queue *q = calloc(1, sizeof(*q));
    if (!q)
        return NULL;
    q->delivery = d;
    q->config = config_ref(config);
    q->node = node;
    q->name = strdup(node->name);
    q->pause = (struct io_timer){.on_fire = on_pause_over, .owner = q};
    q->feed = (struct spool_feed){.node = q->name,
                                  .io = d->relay->io,
                                  .owner = q,
                                  .on_due = on_due,
                                  .on_entries = on_entries,
                                  .on_closed = on_closed};
    if (!q->name || !make_lanes(q)) {
        delivery_queue_free(q);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&d->queues, q, link);
    spool_feed_open(d->relay->spool, &q->feed);
    return q;
}

void delivery_queue_configure(struct delivery_queue *q, struct config *config, const struct config_node *node)
{
    config_unref(&q->config);
    q->config = config_ref(config);
    q->node = node;
    delivery_forget_trouble(q); /* it may be somewhere else now */
    if (!make_lanes(q))
        LOG(LOG_ERROR, "no memory for the deliveries of a node", LOG_STR("node", q->name));
    pump(q);
}
