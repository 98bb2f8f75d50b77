/*
 * What callers and nodes have used of their rates, and how many associations callers have, over all workers. Known by name, so that a reload
 * keeps it, with the new limits. What has been declared once stays until the end: as many as configurations had names.
 *
 * Any thread. The lock is taken once an association, and once a message to a node with a rate; what follows is without one.
 */
#ifndef HILUM_RELAY_RATES_H
#define HILUM_RELAY_RATES_H

#include "base/rate.h"
#include "config/config.h"

struct rates;

/* Of one caller, or one node. Lives as long as the whole. */
struct rates_of {
    struct rate instances, bytes;
    atomic_uint associations; /* of a caller: inbound, let in and not over */
};

/* NULL without memory. */
struct rates *rates_new(void);
void rates_free(struct rates **r);

/* NULL without memory. */
struct rates_of *rates_of_caller(struct rates *r, const struct config_caller *caller);
struct rates_of *rates_of_node(struct rates *r, const struct config_node *node);

/* One more association of it, unless it has as many as it may. */
MUST_USE bool rates_enter(struct rates_of *of, const struct config_caller *caller);
void rates_leave(struct rates_of *of);

/* Has come already: how long until it is paid for. Times are clock_ms(). */
uint64_t rates_charge(struct rates_of *of, const struct config_rate *rate, uint64_t instances, uint64_t bytes,
                      uint64_t now_ms);
/* One instance is to begin. False: not within most_ms, and it does not count. */
MUST_USE bool rates_begin(struct rates_of *of, const struct config_rate *rate, uint64_t now_ms,
                          uint64_t most_ms, uint64_t *wait_ms_out);

#endif
