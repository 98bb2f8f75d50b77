/*
 * Empties the queue: each node's by one worker, at its own order and pace.
 *
 *   delivery   a worker's part: the nodes that are its own
 *   queue      of one node: what is handed out next, how many at once (delivery_queue.c); what a try has come to, when to try again after the
 *              node itself was at fault (delivery_outcome.c)
 *   lane       one entry on its way: read from the log, through what its morph left, into a sink (delivery_lane.c)
 *
 * What was held together goes together: its entries through one lane, one after another, by an association that nothing else uses and that is released
 * behind the last of them. Later studies use the other lanes meanwhile.
 *
 * A node that is away is tried by one entry after another's back-off, doubled from `retry.first`; its entries keep their places. An entry
 * that fails on its own (A7xx, lost in the middle) waits by itself, and others go on; three of those in a row count as the node's fault. What is
 * refused for good gets one more try, then it waits for an operator.
 *
 * Runs no rule: a retry, a restart or a reload sends the same.
 */
#ifndef HILUM_RELAY_DELIVERY_H
#define HILUM_RELAY_DELIVERY_H

#include "relay/relay.h"

struct delivery;

/* This worker of so many. NULL without memory. */
struct delivery *delivery_new(struct relay *r, unsigned workers);
/* From now on by this configuration (a reference is taken): its nodes, where this worker owns them. What is on its way ends as it began. */
void delivery_configure(struct delivery *d, struct config *config);
/* Nothing more is begun. */
void delivery_drain(struct delivery *d);
/* What is on its way is abandoned; it stays queued. */
void delivery_stop(struct delivery *d);
/* Nothing is on its way. */
bool delivery_is_quiet(const struct delivery *d);
/* After delivery_stop: everything is closed. */
bool delivery_is_empty(const struct delivery *d);
void delivery_free(struct delivery **d);

#endif
