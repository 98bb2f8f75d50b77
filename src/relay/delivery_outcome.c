/* What is made of how a try ended: what becomes of the entry, and whether its node is left alone for a while. */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "dimse/status.h"
#include "relay/delivery_inside.h"

enum {
    TROUBLES_MAX = 3,      /* entries in a row that failed on the way: the node's fault */
    AWAY_MOST_MS = 60000,  /* a node that is away is tried that often at least */
    REACH_MARGIN_MS = 1000 /* a node counts as away a little longer than it takes us to try again */
};

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

/* The node is at fault: nothing is tried for a while. */
static void pause_node(struct delivery_queue *q, const char *why)
{
    const struct config_node *n = q->node;
    if (q->pause.is_armed)
        return;
    uint64_t most = n->retry_most_ms < AWAY_MOST_MS ? n->retry_most_ms : AWAY_MOST_MS;
    bool is_first = q->backoff_ms == 0;
    q->backoff_ms = is_first ? n->retry_first_ms : doubled(q->backoff_ms, 1, most);
    uint64_t ms = jitter(q->delivery, q->backoff_ms);
    LOG(is_first ? LOG_WARN : LOG_DEBUG, "delivery to a node waits", LOG_STR("node", q->name),
        LOG_INT("ms", ms), LOG_STR("cause", why));
    reach_set_away(q->delivery->relay->reach, n, clock_ms() + ms + REACH_MARGIN_MS);
    io_timer_start(io_of(q), &q->pause, ms);
}

void delivery_forget_trouble(struct delivery_queue *q)
{
    q->backoff_ms = 0;
    q->troubles = 0;
    io_timer_stop(io_of(q), &q->pause);
}

static void node_is_well(struct delivery_queue *q)
{
    if (q->backoff_ms > 0)
        LOG(LOG_INFO, "delivery to a node goes on", LOG_STR("node", q->name));
    delivery_forget_trouble(q);
}

/* --- outcomes -------------------------------------------------------------------------------------------------- */

static bool is_expired(const struct delivery_queue *q, const struct spool_entry *e)
{
    uint64_t now = clock_wall_ms();
    return q->node->expire_ms > 0 && now > e->received_ms && now - e->received_ms > q->node->expire_ms;
}

static void put_outcome(struct delivery_queue *q, const struct spool_entry *e, struct spool_outcome o)
{
    o.id = e->id;
    o.at_ms = clock_wall_ms();
    spool_outcome(q->delivery->relay->spool, &o);
}

bool delivery_expire(struct delivery_queue *q, const struct spool_entry *e)
{
    if (!is_expired(q, e))
        return false;
    LOG(LOG_ERROR, "queued for too long, given up", LOG_STR("node", q->name),
        LOG_STR("sop_instance", e->sent_instance));
    put_outcome(q, e, (struct spool_outcome){.state = SPOOL_EXPIRED, .comment = "expired"});
    return true;
}

static void wait_again(struct delivery_queue *q, const struct spool_entry *e, uint16_t status,
                       const char *comment)
{
    uint64_t ms = jitter(q->delivery, doubled(q->node->retry_first_ms, e->attempts, q->node->retry_most_ms));
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

void delivery_put_back(struct delivery_queue *q, const struct spool_entry *e)
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

void delivery_take_end(struct delivery_queue *q, const struct lane *l, enum lane_end how, uint16_t status,
                       const char *comment)
{
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
        if (!delivery_expire(q, e))
            delivery_put_back(q, e);
        pause_node(q, comment);
        return;
    case LANE_TROUBLE:
        if (!delivery_expire(q, e))
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
        delivery_put_back(q, e);
        return;
    }
}
