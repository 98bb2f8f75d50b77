/*
 * A remote AE as a destination: an association of the outbound pool, the request, the data set, the response.
 *
 * A message that dies on a reused association before its response is sent again, once, on a fresh one, while all its bytes are
 * still held (up to `replay_max`).
 */
#ifndef HILUM_RELAY_SINK_NODE_H
#define HILUM_RELAY_SINK_NODE_H

#include "relay/sink.h"
#include "relay/source.h"

/* NULL without memory. */
struct sink *sink_node_new(struct source *source, const struct config_node *node,
                           const struct sink_message *m);

#endif
