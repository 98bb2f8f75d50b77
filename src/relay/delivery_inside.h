/* What the files of delivery share. */
#ifndef HILUM_RELAY_DELIVERY_INSIDE_H
#define HILUM_RELAY_DELIVERY_INSIDE_H

#include "relay/delivery.h"
#include "relay/delivery_lane.h"

/*
 * What a node turned away while it takes others: a calling title, or what hangs it up. Such entries wait without being tried, so that they do not
 * take the turn of all behind them. (delivery_shun.c)
 */
enum { DELIVERY_SHUNS_MAX = 64 };
struct delivery_shun {
    char calling[17];
    char abstract_syntax[65]; /* "": any */
    uint64_t until_ms;        /* wall clock; 0: the place is free */
    unsigned times;
    char comment[65];
};

/* Of one node. */
struct delivery_queue {
    struct delivery *delivery;
    char *name;
    struct spool_feed feed;
    struct config *config;
    const struct config_node *node; /* of this configuration: the last one that had it */
    struct lane *lanes;
    unsigned lane_count, busy;
    struct spool_entry *ready; /* handed out, not begun */
    bool is_asking;
    int64_t asked_group;       /* what is asked for is of this group alone; 0: of any */
    bool has_more, has_behind; /* there may be some to be asked for; behind those that are ready */
    bool is_closing, is_closed;
    unsigned troubles;
    uint64_t backoff_ms;     /* of the node; 0: it is well */
    struct lane_pairs pairs; /* that it takes */
    uint64_t answered_ms;    /* by io_now, when it last took an instance, or refused one */
    uint64_t
        alone_until_ms; /* it has room for one association at a time, as it seems: until then (by io_now) */
    struct delivery_shun shuns[DELIVERY_SHUNS_MAX];
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

/* --- delivery_queue.c --- */

/* Opens the feed of the node, which is of this configuration. NULL without memory. */
struct delivery_queue *delivery_queue_new(struct delivery *d, struct config *config,
                                          const struct config_node *node);
/* From now on by this configuration. What is on its way ends as it began. */
void delivery_queue_configure(struct delivery_queue *q, struct config *config,
                              const struct config_node *node);
/* What is ready and was not begun is given back. */
void delivery_queue_drop_ready(struct delivery_queue *q);
/* What is on its way is abandoned. Once that is gone, the queue closes and frees itself. */
void delivery_queue_stop(struct delivery_queue *q);
/* The same, but what is on its way ends as it began. */
void delivery_queue_close(struct delivery_queue *q);
/* Nothing may be on its way, nor open. */
void delivery_queue_free(struct delivery_queue *q);

/* --- delivery_shun.c --- */

/* It was turned away: others like it are not tried for so long. The wait is doubled by each, from `retry.first` up to `retry.most`. *is_new_out: nothing
 * stood against it before. */
uint64_t delivery_shun(struct delivery_queue *q, const struct spool_entry *e, bool by_title,
                       const char *comment, bool *is_new_out);
/* The one that stands against the entry now; NULL: it may be tried. */
const struct delivery_shun *delivery_is_shunned(const struct delivery_queue *q, const struct spool_entry *e);
/* One like it was taken. */
void delivery_forget_shun(struct delivery_queue *q, const struct spool_entry *e);

/* --- delivery_outcome.c --- */

/* first, doubled `times` times, at most `most`; give or take an eighth, so that what failed together does not come back together. */
uint64_t delivery_wait_ms(struct delivery *d, uint64_t first, unsigned times, uint64_t most);
/* Puts the entry off, if nobody like it is taken now. False: it may be tried. */
bool delivery_put_off(struct delivery_queue *q, const struct spool_entry *e);

/* Records what has become of a try, and lets the node wait (`pause`) if it is at fault. */
void delivery_take_end(struct delivery_queue *q, const struct lane *l, enum lane_end how, uint16_t status,
                       const char *comment);
/* Of an entry that was handed out and not tried: it is due again. */
void delivery_put_back(struct delivery_queue *q, const struct spool_entry *e);
/* Gives the entry up if it has been queued for too long; false: it has not. */
bool delivery_expire(struct delivery_queue *q, const struct spool_entry *e);
/* Nothing is held against the node any more. */
void delivery_forget_trouble(struct delivery_queue *q);

#endif
