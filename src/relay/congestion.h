/*
 * Whether a worker is short of memory in general, and not for a moment: then new associations are turned away for a while (transient, "temporary
 * congestion"), the last step after TCP backpressure and A700. All on the worker's thread.
 */
#ifndef HILUM_RELAY_CONGESTION_H
#define HILUM_RELAY_CONGESTION_H

#include <stdbool.h>

#include "io/io.h"
#include "mem/buf.h"

struct congestion {
    struct io *io;
    const struct pool *pool;
    struct io_timer look; /* runs while memory is short */
    uint64_t since_ms;    /* it has been, at every look; 0: it is not */
    uint64_t waited_ms;   /* when somebody last had to wait for it */
};

void congestion_init(struct congestion *c, struct io *io, const struct pool *pool);
/* Somebody has to wait for memory. */
void congestion_short(struct congestion *c);
/* It has been short for so long; or it is, and an instance was given up for it (gave_up_ms; 0: never) no longer ago. In both cases somebody has had to wait
 * within that time: what is only held, however long, leaves room for others. */
bool congestion_is(const struct congestion *c, uint64_t lag_ms, uint64_t gave_up_ms);
void congestion_stop(struct congestion *c);

#endif
