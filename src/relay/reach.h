/*
 * Which nodes are known to be away, over all workers: a message whose destination's absence the queue may bridge is queued at once then, without a
 * connect of its own. Known means for a while: who delivers from the queue tries again and says so.
 *
 * Any thread, no lock. A node is known by host, port and title; of two that share a place the later one is remembered.
 */
#ifndef HILUM_RELAY_REACH_H
#define HILUM_RELAY_REACH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"

enum { REACH_PLACES = 4096 };

/* Zero-initialise. */
struct reach {
    _Atomic uint64_t places[REACH_PLACES]; /* tag (32 bits) and until when, in units of 16 ms */
};

/* Times are clock_ms(). */
void reach_set_away(struct reach *r, const struct config_node *node, uint64_t until_ms);
void reach_set_there(struct reach *r, const struct config_node *node);
bool reach_is_away(const struct reach *r, const struct config_node *node, uint64_t now_ms);

#endif
