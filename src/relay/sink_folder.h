/*
 * A folder as a destination: Part 10 files, durable before success (PS3.10 7.1).
 *
 *   open a temporary name -> meta information and data set, as they come -> fdatasync -> rename without replacing ->
 *   fsync of the directory, and of the parents of directories not known to be durable -> success
 *
 * The name is taken already: the same content (transfer syntax and data set; meta information aside) is success, other content
 * is kept beside under a numbered name ("x.dcm", "x-1.dcm", ...). A folder that cannot be written gives A700 with a
 * comment that names the node and the cause.
 */
#ifndef HILUM_RELAY_SINK_FOLDER_H
#define HILUM_RELAY_SINK_FOLDER_H

#include "relay/sink.h"

/* A worker's own: directories it knows to be durable. */
struct folder_context;

struct folder_context *folder_context_new(struct io *io, struct pool *pool);
void folder_context_free(struct folder_context **c);

/* NULL without memory. */
struct sink *sink_folder_new(struct folder_context *c, const struct config_node *node,
                             const struct sink_message *m);

#endif
