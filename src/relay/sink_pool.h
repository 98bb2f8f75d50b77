/*
 * A pool as a destination: the sink of one of its members (sink_node.h), and when that fails in a way that may pass, of the next one.
 *
 * What it was given is kept by reference for that, as long as nothing of it has been sent for certain, and then up to `replay_max`, as sink_node.h does for
 * a second try. Past that a failure is the destination's: where the route queues it is queued for the member that the study has moved to.
 */
#ifndef HILUM_RELAY_SINK_POOL_H
#define HILUM_RELAY_SINK_POOL_H

#include "relay/place.h"
#include "relay/sink.h"
#include "relay/source.h"

/* The place has been found, and is the sink's from now on. NULL without memory: then it is still the caller's. */
struct sink *sink_pool_new_take(struct source *source, struct place *place, const struct sink_message *m);

#endif
