/*
 * How many associations a node takes, counted over all workers. A permit goes with each outbound association, from before
 * its connect until it has ended; a node without a limit has permits without end. The registry is shared by all
 * threads. Its lock is taken when an association opens or ends; a message takes it only for a node with a limit, on an
 * association that is in use. Everything else is the calling worker's.
 */
#ifndef HILUM_ASSOCIATION_PERMITS_H
#define HILUM_ASSOCIATION_PERMITS_H

#include <stdbool.h>

#include "base/result.h"
#include "config/config.h"
#include "io/io.h"

struct permits_registry;
struct permits; /* of one node (host, port, title); lives as long as the registry */

/* One worker's ear: called on its own thread when a permit is wanted elsewhere and an idle association may hold one. */
struct permits_holder {
    struct io *io;
    void (*on_recall)(void *owner, struct permits *p);
    void *owner;
};

MUST_USE enum result permits_registry_new(struct permits_registry **out);
void permits_registry_free(struct permits_registry **r);
/* Before any permits_wait; holders are never taken out again. */
MUST_USE enum result permits_register(struct permits_registry *r, const struct permits_holder *holder);

/* The node's permits; its limit becomes that of this configuration. NULL without memory. */
struct permits *permits_of(struct permits_registry *r, const struct config_node *node);

/* How many the node has now. */
unsigned permits_in_use(struct permits_registry *r, const struct config_node *node);

bool permits_try(struct permits *p);
/* Gives one back: to the first who waits, else free. */
void permits_give(struct permits *p);
struct permits_wait;
/* Nobody stands in line before this waiter; with NULL: nobody stands in line. */
bool permits_is_next(struct permits *p, const struct permits_wait *w);

/* The first in line waits on another thread: an association that becomes idle here should make room. */
bool permits_wanted_elsewhere(struct permits *p, const struct io *here);

/* The node has no room (it rejected with a transient reason): the other workers are asked for one idle association each. */
void permits_recall(struct permits *p, struct io *asker);

/* Waits in line; on_granted comes on io's thread, with the permit. The other workers are asked for idle associations. NULL
 * without memory. */
struct permits_wait *permits_wait(struct permits *p, struct io *io, void (*on_granted)(void *owner),
                                  void *owner);
/* Leaves the line, and nulls the pointer; a permit granted meanwhile is given back. Not after on_granted. */
void permits_wait_cancel(struct permits_wait **w);

#endif
