/* The bytes of a queued instance as they go out to its node, for who is not on a ring. */
#ifndef HILUM_COMMAND_QUEUE_INSTANCE_H
#define HILUM_COMMAND_QUEUE_INSTANCE_H

#include "spool/spool.h"

/*
 * The data set of an entry of the spool in this folder, piece by piece: as received, or with its edition's header and without what that drops;
 * deflated again if it came so. on_bytes returns false to end it, which is ERR_IO.
 *
 * OK, ERR_MEMORY; ERR_PROTO: it is damaged or gone; *why_out is a fixed text. ERR_IO: the system refused, which was logged, or on_bytes did.
 */
MUST_USE enum result queue_instance_read(const char *spool_path, const struct spool_entry *e,
                                         bool (*on_bytes)(void *owner, struct view bytes), void *owner,
                                         const char **why_out);

#endif
