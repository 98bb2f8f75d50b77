/* What a gateway's process is confined to: what its configuration names. Main thread, before there is another. */
#ifndef HILUM_WORKER_CONFINE_H
#define HILUM_WORKER_CONFINE_H

#include "config/config.h"
#include "guard/guard.h"

/* After its sockets are bound: becomes the configured user, makes folders that are to be there, and gives up the rest. One line of the log says
 * what is in force. ERR_IO (logged): something that is asked for cannot be had, and the start ends. ERR_MEMORY. */
MUST_USE enum result confine(const struct config *config, struct guard **out);
/* Whether another configuration can be followed by a process that is confined for the one before. False (logged): it takes a restart. */
MUST_USE bool confine_fits(const struct guard *g, const struct config *before, const struct config *now);

#endif
