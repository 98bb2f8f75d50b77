#include "relay/delivery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "dimse/status.h"
#include "relay/delivery_lane.h"

enum {
    TROUBLES_MAX = 3,     /* entries in a row that failed on the way: the node's fault */
    AWAY_MOST_MS = 60000, /* a node that is away is tried that often at least */
    READY_PER_LANE = 4,   /* entries handed out ahead */
    READY_OF_GROUP = 16,
    REACH_MARGIN_MS = 1000 /* a node counts as away a little longer than it takes us to try again */
};

struct delivery_queue {
    struct delivery *delivery;
    char *name;
    struct spool_feed feed;
    struct config *config;
    const struct config_node *node; /* of this configuration; NULL: it is in none, and the feed is closing */
    struct lane *lanes;
    unsigned lane_count, busy;
    struct spool_entry *ready; /* handed out, not begun */
    bool is_asking;
    int64_t asked_group;       /* what is asked for is of this group alone; 0: of any */
    bool has_more, has_behind; /* there may be some to be asked for; behind those that are ready */
    bool is_closing, is_closed;
    unsigned troubles;
    uint64_t backoff_ms; /* of the node; 0: it is well */
    struct io_timer pause;
    TAILQ_ENTRY(delivery_queue) link;
};

struct delivery {
    struct relay *relay;
    unsigned workers;
    bool is_draining;
    uint32_t random;
    TAILQ_HEAD(delivery_queues, delivery_queue) queues;
};

static void pump(struct delivery_queue *q);
static void drop_ready(struct delivery_queue *q);

static struct io *io_of(const struct delivery_queue *q)
{
    return q->delivery->relay->io;
}

/* --- waiting --------------------------------------------------------------------------------------------------- */

/* Give or take an eighth, so that what failed together does not come back together. */
static uint64_t jitter(struct delivery *d, uint64_t ms)
{
    d->random = d->random * 1664525U + 1013904223U;
    uint64_t span = ms / 4 + 1;
    return ms - ms / 8 + (d->random >> 8) % span;
}

/* first, doubled `times` times, at most `most`. */
static uint64_t doubled(uint64_t first, unsigned times, uint64_t most)
{
    uint64_t ms = first;
    while (times-- > 0 && ms < most)
        ms *= 2;
    return ms < most ? ms : most;
}

static void on_pause_over(struct io_timer *t)
{
    pump(t->owner);
}

/* The node is at fault: nothing is tried for a while. */
static void pause_node(struct delivery_queue *q, const char *why)
{
    const struct config_node *n = q->node;
    if (q->pause.is_armed || !n)
        return;
    uint64_t most = n->retry_most_ms < AWAY_MOST_MS ? n->retry_most_ms : AWAY_MOST_MS;
    bool is_first = q->backoff_ms == 0;
    q->backoff_ms = is_first ? n->retry_first_ms : doubled(q->backoff_ms, 1, most);
    uint64_t ms = jitter(q->delivery, q->backoff_ms);
    drop_ready(q); /* meanwhile an operator may drop them, or send them elsewhere */
    LOG(is_first ? LOG_WARN : LOG_DEBUG, "delivery to a node waits", LOG_STR("node", q->name),
        LOG_INT("ms", ms), LOG_STR("cause", why));
    reach_set_away(q->delivery->relay->reach, n, clock_ms() + ms + REACH_MARGIN_MS);
    io_timer_start(io_of(q), &q->pause, ms);
}

static void node_is_well(struct delivery_queue *q)
{
    if (q->backoff_ms > 0)
        LOG(LOG_INFO, "delivery to a node goes on", LOG_STR("node", q->name));
    q->backoff_ms = 0;
    q->troubles = 0;
    io_timer_stop(io_of(q), &q->pause);
}

/* --- outcomes -------------------------------------------------------------------------------------------------- */

static bool is_expired(const struct delivery_queue *q, const struct spool_entry *e)
{
    uint64_t now = clock_wall_ms();
    return q->node && q->node->expire_ms > 0 && now > e->received_ms &&
           now - e->received_ms > q->node->expire_ms;
}

static void put_outcome(struct delivery_queue *q, const struct spool_entry *e, struct spool_outcome o)
{
    o.id = e->id;
    o.at_ms = clock_wall_ms();
    spool_outcome(q->delivery->relay->spool, &o);
}

static void expire(struct delivery_queue *q, const struct spool_entry *e)
{
    LOG(LOG_ERROR, "queued for too long, given up", LOG_STR("node", q->name),
        LOG_STR("sop_instance", e->sent_instance));
    put_outcome(q, e, (struct spool_outcome){.state = SPOOL_EXPIRED, .comment = "expired"});
}

static void wait_again(struct delivery_queue *q, const struct spool_entry *e, uint16_t status,
                       const char *comment)
{
    uint64_t first = q->node ? q->node->retry_first_ms : 1000, most = q->node ? q->node->retry_most_ms : 1000;
    uint64_t ms = jitter(q->delivery, doubled(first, e->attempts, most));
    put_outcome(q, e,
                (struct spool_outcome){.state = SPOOL_WAITING,
                                       .was_tried = true,
                                       .due_ms = clock_wall_ms() + ms,
                                       .status = status,
                                       .comment = comment});
}

static void give_up(struct delivery_queue *q, const struct spool_entry *e, uint16_t status,
                    const char *comment)
{
    LOG(LOG_ERROR, "refused for good, kept for an operator", LOG_STR("node", q->name),
        LOG_STR("sop_instance", e->sent_instance), LOG_STR("comment", comment));
    put_outcome(q, e,
                (struct spool_outcome){
                    .state = SPOOL_FAILED_FOR_GOOD, .was_tried = true, .status = status, .comment = comment});
}

static void put_back(struct delivery_queue *q, const struct spool_entry *e)
{
    put_outcome(q, e, (struct spool_outcome){.state = SPOOL_QUEUED});
}

static void log_end(const struct delivery_queue *q, const struct lane *l, enum lane_end how, uint16_t status,
                    const char *comment)
{
    static const char *const names[] = {"delivered", "refused", "node away", "trouble", "damaged", "stopped"};
    char hex[8];
    snprintf(hex, sizeof(hex), "%04X", status);
    LOG(how == LANE_DELIVERED ? LOG_INFO : LOG_WARN, "delivery from the queue", LOG_STR("entry", l->id),
        LOG_STR("node", q->name), LOG_STR("sop_instance", l->entry->sent_instance),
        LOG_STR("how", names[how]), LOG_STR("status", hex), LOG_STR("comment", comment ? comment : ""));
}

static bool was_refused(const struct spool_entry *e)
{
    return e->attempts > 0 && dimse_store_severity(e->status) > 2;
}

static void on_lane_end(struct lane *l, enum lane_end how, uint16_t status, const char *comment)
{
    struct delivery_queue *q = l->owner;
    const struct spool_entry *e = l->entry;
    log_end(q, l, how, status, comment);
    switch (how) {
    case LANE_DELIVERED:
        node_is_well(q);
        put_outcome(q, e,
                    (struct spool_outcome){
                        .state = SPOOL_DELIVERED, .was_tried = true, .status = status, .comment = comment});
        return;
    case LANE_AWAY:
        if (is_expired(q, e))
            expire(q, e);
        else
            put_back(q, e);
        pause_node(q, comment);
        return;
    case LANE_TROUBLE:
        if (is_expired(q, e))
            expire(q, e);
        else
            wait_again(q, e, status, comment);
        if (++q->troubles >= TROUBLES_MAX)
            pause_node(q, comment);
        return;
    case LANE_REFUSED:
        node_is_well(q);    /* it has answered */
        if (was_refused(e)) /* one more try was given */
            give_up(q, e, status, comment);
        else
            wait_again(q, e, status, comment);
        return;
    case LANE_DAMAGED:
        give_up(q, e, status, comment);
        return;
    case LANE_ABANDONED:
        put_back(q, e);
        return;
    }
}

/* --- handing out ------------------------------------------------------------------------------------------------ */

static bool is_held_up(const struct delivery_queue *q)
{
    return q->is_closing || !q->node || q->pause.is_armed || q->delivery->is_draining;
}

static void drop_ready(struct delivery_queue *q)
{
    for (const struct spool_entry *e = q->ready; e; e = e->next)
        put_back(q, e);
    spool_entries_free(&q->ready);
}

static unsigned lanes_wanted(const struct delivery_queue *q)
{
    unsigned most = q->node ? q->node->deliveries : 0;
    if (q->backoff_ms > 0) /* one finds out whether it is there again */
        most = 1;
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
    if (is_expired(q, e)) {
        expire(q, e);
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
        drop_ready(q);
    close_when_idle(q);
    pump(q);
}

/* --- queues of nodes -------------------------------------------------------------------------------------------- */

static void queue_free(struct delivery_queue *q)
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
    io_timer_stop(io_of(q), &q->pause);
    TAILQ_REMOVE(&q->delivery->queues, q, link);
    queue_free(q);
}

static void close_when_idle(struct delivery_queue *q)
{
    if (!q->is_closing || q->is_closed || q->busy > 0 || q->is_asking)
        return;
    q->is_closed = true;
    spool_feed_close(q->delivery->relay->spool, &q->feed);
}

static void queue_close(struct delivery_queue *q)
{
    if (q->is_closing)
        return;
    q->is_closing = true;
    drop_ready(q);
    close_when_idle(q);
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
        *l = (struct lane){
            .spool = q->delivery->relay->spool, .owner = q, .on_end = on_lane_end, .on_gone = on_lane_gone};
        if (!lane_init(l, q->delivery->relay))
            return false;
        q->lane_count++;
    }
    return q->lanes;
}

static struct delivery_queue *queue_new(struct delivery *d, struct config *config,
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
        queue_free(q);
        return NULL;
    }
    TAILQ_INSERT_TAIL(&d->queues, q, link);
    spool_feed_open(d->relay->spool, &q->feed);
    return q;
}

/* --- the worker's part ------------------------------------------------------------------------------------------- */

struct delivery *delivery_new(struct relay *r, unsigned workers)
{
    struct delivery *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->relay = r;
    d->workers = workers;
    d->random = (uint32_t)clock_us();
    TAILQ_INIT(&d->queues);
    return d;
}

/* The same worker over reloads, whatever else is declared. */
static bool is_ours(const struct delivery *d, const struct config_node *node)
{
    return XXH32(node->name, strlen(node->name), 0) % d->workers == d->relay->worker;
}

static struct delivery_queue *find(struct delivery *d, const char *name)
{
    struct delivery_queue *q;
    TAILQ_FOREACH (q, &d->queues, link)
        if (!q->is_closing && strcmp(q->name, name) == 0)
            return q;
    return NULL;
}

static void take_config(struct delivery_queue *q, struct config *config, const struct config_node *node)
{
    config_unref(&q->config);
    q->config = config_ref(config);
    q->node = node;
    q->backoff_ms = 0; /* it may be somewhere else now */
    q->troubles = 0;
    io_timer_stop(io_of(q), &q->pause);
    if (!make_lanes(q))
        LOG(LOG_ERROR, "no memory for the deliveries of a node", LOG_STR("node", q->name));
    pump(q);
}

void delivery_configure(struct delivery *d, struct config *config)
{
    struct delivery_queue *q, *next;
    if (d->is_draining)
        return;
    for (q = TAILQ_FIRST(&d->queues); q; q = next) {
        next = TAILQ_NEXT(q, link);
        const struct config_node *node = config_node_named(config, q->name);
        if (!node)
            queue_close(q);
        else if (!q->is_closing)
            take_config(q, config, node);
    }
    for (size_t i = 0; i < config->node_count; i++) {
        const struct config_node *node = &config->nodes[i];
        if (is_ours(d, node) && !find(d, node->name) && !queue_new(d, config, node))
            LOG(LOG_ERROR, "no memory for the queue of a node", LOG_STR("node", node->name));
    }
}

void delivery_drain(struct delivery *d)
{
    struct delivery_queue *q;
    d->is_draining = true;
    TAILQ_FOREACH (q, &d->queues, link)
        drop_ready(q);
}

void delivery_stop(struct delivery *d)
{
    struct delivery_queue *q, *next;
    d->is_draining = true;
    for (q = TAILQ_FIRST(&d->queues); q; q = next) {
        next = TAILQ_NEXT(q, link);
        for (unsigned i = 0; i < q->lane_count; i++)
            lane_stop(&q->lanes[i]);
        queue_close(q);
    }
}

bool delivery_is_quiet(const struct delivery *d)
{
    const struct delivery_queue *q;
    TAILQ_FOREACH (q, &d->queues, link)
        if (q->busy > 0)
            return false;
    return true;
}

bool delivery_is_empty(const struct delivery *d)
{
    return TAILQ_EMPTY(&d->queues);
}

void delivery_free(struct delivery **dp)
{
    struct delivery *d = *dp;
    *dp = NULL;
    if (!d)
        return;
    /* Who was stopped without waiting has not closed all: the spool is gone by now, and nobody calls back. */
    struct delivery_queue *q, *next;
    for (q = TAILQ_FIRST(&d->queues); q; q = next) {
        next = TAILQ_NEXT(q, link);
        spool_entries_free(&q->ready);
        spool_entries_free(&q->feed.list);
        if (q->busy == 0)
            queue_free(q);
    }
    free(d);
}
