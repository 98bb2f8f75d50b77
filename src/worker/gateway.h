/* The whole running gateway: workers, listeners, reload, drain. Used by the main thread alone. */
#ifndef HILUM_WORKER_GATEWAY_H
#define HILUM_WORKER_GATEWAY_H

#include "config/config.h"

struct gateway;

/* Opens the listeners and starts the workers. Takes over the caller's reference. Errors are logged. */
MUST_USE enum result gateway_start(struct config *config, struct gateway **out);

/* New associations use the new configuration from now on. Takes over the caller's reference in every case. On ERR_IO (a new
 * listener cannot be opened; logged) the old configuration stays. */
MUST_USE enum result gateway_reload(struct gateway *g, struct config *config);

/* Stops accepting; returns at once. */
void gateway_drain(struct gateway *g);
/* True when nothing is on its way any more. */
bool gateway_is_quiet(struct gateway *g);
uint64_t gateway_drain_ms(const struct gateway *g);

/* Ends all threads, frees all. */
void gateway_stop(struct gateway **g);

#endif
