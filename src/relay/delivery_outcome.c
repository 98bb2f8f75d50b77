/* What is made of how a try ended: what becomes of the entry, and whether its node is left alone for a while. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "dimse/status.h"
#include "relay/delivery_inside.h"

enum {
    TROUBLES_MAX = 3,     /* entries in a row that failed on the way: the node's fault */
    AWAY_MOST_MS = 60000, /* a node that is away is tried that often at least */
    ALONE_MS = 600000     /* a node that did not answer one lane while it served another is left to one */
};

static struct io *io_of(const struct delivery_queue *q)
{
    return q->delivery->relay->io;
}

/* --- waiting --------------------------------------------------------------------------------------------------- */

/* Give or take an eighth. */
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

uint64_t delivery_wait_ms(struct delivery *d, uint64_t first, unsigned times, uint64_t most)
{
    return jitter(d, doubled(first, times, most));
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
    io_timer_start(io_of(q), &q->pause, ms);
}

static void end_pause(struct delivery_queue *q)
{
    q->backoff_ms = 0;
    q->troubles = 0;
    io_timer_stop(io_of(q), &q->pause);
}

void delivery_forget_trouble(struct delivery_queue *q)
{
    end_pause(q);
    memset(q->shuns, 0, sizeof(q->shuns));
}

static void node_is_well(struct delivery_queue *q, const struct spool_entry *e)
{
    if (q->backoff_ms > 0)
        LOG(LOG_INFO, "delivery to a node goes on", LOG_STR("node", q->name));
    end_pause(q);
    q->answered_ms = io_now(io_of(q));
    delivery_forget_shun(q, e);
}

/* What it takes is proposed with what comes after it. */
static void remember_pair(struct delivery_queue *q, const struct lane *l)
{
    struct lane_pairs *p = &q->pairs;
    struct lane_pair pair = {0};
    unsigned at = 0;
    snprintf(pair.abstract_syntax, sizeof(pair.abstract_syntax), "%s", l->facts.abstract_syntax);
    snprintf(pair.transfer_syntax, sizeof(pair.transfer_syntax), "%s", l->facts.transfer_syntax);
    while (at < p->count && memcmp(&p->of[at], &pair, sizeof(pair)) != 0)
        at++;
    if (at == p->count && p->count < LANE_PAIRS_MAX)
        p->count++;
    else if (at == p->count)
        at--; /* the oldest goes */
    memmove(&p->of[1], &p->of[0], at * sizeof(pair));
    p->of[0] = pair;
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
        LOG_UID("sop_instance", e->sent_instance));
    put_outcome(q, e, (struct spool_outcome){.state = SPOOL_EXPIRED, .comment = "expired"});
    return true;
}

static void wait_for(struct delivery_queue *q, const struct spool_entry *e, uint64_t ms, uint16_t status,
                     const char *comment)
{
    put_outcome(q, e,
                (struct spool_outcome){.state = SPOOL_WAITING,
                                       .was_tried = true,
                                       .due_ms = clock_wall_ms() + ms,
                                       .status = status,
                                       .comment = comment});
}

static void wait_again(struct delivery_queue *q, const struct spool_entry *e, uint16_t status,
                       const char *comment)
{
    wait_for(q, e,
             delivery_wait_ms(q->delivery, q->node->retry_first_ms, e->attempts, q->node->retry_most_ms),
             status, comment);
}

bool delivery_put_off(struct delivery_queue *q, const struct spool_entry *e)
{
    const struct delivery_shun *s = delivery_is_shunned(q, e);
    if (!s)
        return false;
    put_outcome(q, e,
                (struct spool_outcome){.state = SPOOL_WAITING,
                                       .due_ms = s->until_ms,
                                       .status = DIMSE_STATUS_OUT_OF_RESOURCES,
                                       .comment = s->comment});
    return true;
}

static void give_up(struct delivery_queue *q, const struct spool_entry *e, uint16_t status,
                    const char *comment, bool is_quoted)
{
    LOG(LOG_ERROR, "refused for good, kept for an operator", LOG_STR("node", q->name),
        LOG_UID("sop_instance", e->sent_instance), LOG_QUOTED("comment", comment, is_quoted));
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
    static const char *const names[] = {
        [LANE_DELIVERED] = "delivered",     [LANE_REFUSED] = "refused",  [LANE_AWAY] = "node away",
        [LANE_TURNED_AWAY] = "turned away", [LANE_OURS] = "not begun",   [LANE_TROUBLE] = "trouble",
        [LANE_DAMAGED] = "damaged",         [LANE_ABANDONED] = "stopped"};
    char hex[8];
    snprintf(hex, sizeof(hex), "%04X", status);
    LOG(how == LANE_DELIVERED ? LOG_INFO : LOG_WARN, "delivery from the queue", LOG_STR("entry", l->id),
        LOG_STR("node", q->name), LOG_UID("sop_instance", l->entry->sent_instance),
        LOG_STR("how", names[how]), LOG_STR("status", hex), LOG_QUOTED("comment", comment, l->is_quoted));
}

static bool was_refused(const struct spool_entry *e)
{
    return e->attempts > 0 && dimse_store_severity(e->status) > 2;
}

/* It has taken others while it did not answer this one: a node that serves one association after another, as many do. */
static void is_for_one(struct delivery_queue *q)
{
    LOG(LOG_INFO, "a node takes one association at a time, as it seems", LOG_STR("node", q->name));
    q->alone_until_ms = io_now(io_of(q)) + ALONE_MS;
}

/* A title that all have is the node's fault. */
static bool is_of_the_entry(const struct delivery_queue *q, const struct lane *l)
{
    return l->fault == SINK_FAULT_REQUEST || q->node->calling == CONFIG_CALLING_PASS;
}

/* It is put back as it was, but for what is said of it. */
static void put_back(struct delivery_queue *q, const struct spool_entry *e, uint16_t status,
                     const char *comment)
{
    if (!delivery_expire(q, e))
        put_outcome(q, e,
                    (struct spool_outcome){.state = SPOOL_QUEUED, .status = status, .comment = comment});
}

/* As the log may have it. */
static const char *reason(const struct lane *l, uint16_t status, const char *comment)
{
    bool is_withheld = !comment || (l->is_quoted && !log_shows_patients());
    return dimse_status_reason(status, is_withheld ? "" : comment);
}

/* The entry waits, with all that are like it. The node is at fault if it has nothing but that for several. */
static void turned_away(struct delivery_queue *q, const struct lane *l, uint16_t status, const char *comment)
{
    const struct spool_entry *e = l->entry;
    bool is_new;
    if (!is_of_the_entry(q, l)) {
        put_back(q, e, status, comment);
        pause_node(q, comment);
        return;
    }
    uint64_t ms = delivery_shun(q, e, l->fault == SINK_FAULT_TITLE, comment, &is_new);
    if (!delivery_expire(q, e))
        wait_for(q, e, ms, status, comment);
    if (is_new && ++q->troubles >= TROUBLES_MAX)
        pause_node(q, reason(l, status, comment));
}

void delivery_take_end(struct delivery_queue *q, const struct lane *l, enum lane_end how, uint16_t status,
                       const char *comment)
{
    const struct spool_entry *e = l->entry;
    log_end(q, l, how, status, comment);
    switch (how) {
    case LANE_DELIVERED:
        node_is_well(q, e);
        remember_pair(q, l);
        put_outcome(q, e,
                    (struct spool_outcome){
                        .state = SPOOL_DELIVERED, .was_tried = true, .status = status, .comment = comment});
        return;
    case LANE_TURNED_AWAY:
        turned_away(q, l, status, comment);
        return;
    case LANE_AWAY:
        put_back(q, e, status, comment);
        if (q->answered_ms > l->started_ms)
            is_for_one(q);
        else
            pause_node(q, comment);
        return;
    case LANE_OURS:
        if (!delivery_expire(q, e))
            wait_again(q, e, status, comment);
        return;
    case LANE_TROUBLE:
        if (!delivery_expire(q, e))
            wait_again(q, e, status, comment);
        if (++q->troubles >= TROUBLES_MAX)
            pause_node(q, reason(l, status, comment));
        return;
    case LANE_REFUSED:
        node_is_well(q, e); /* it has answered */
        if (was_refused(e)) /* one more try was given */
            give_up(q, e, status, comment, l->is_quoted);
        else
            wait_again(q, e, status, comment);
        return;
    case LANE_DAMAGED:
        give_up(q, e, status, comment, l->is_quoted);
        return;
    case LANE_ABANDONED:
        delivery_put_back(q, e);
        return;
    }
}
