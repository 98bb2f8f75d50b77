/* What the files of delivery share. */
#ifndef HILUM_RELAY_DELIVERY_INSIDE_H
#define HILUM_RELAY_DELIVERY_INSIDE_H

#include "relay/delivery.h"
#include "relay/delivery_lane.h"

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

/* --- delivery_outcome.c --- */

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
