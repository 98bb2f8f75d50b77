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

/* To be called a few times a second: logs, once, a rule that has held its worker for a second and goes on. */
void gateway_watch(struct gateway *g);

/* Stops accepting; returns at once. */
void gateway_drain(struct gateway *g);
/* True when nothing is on its way any more. */
bool gateway_is_quiet(struct gateway *g);
uint64_t gateway_drain_ms(const struct gateway *g);

/* Ends all threads, frees all. False (logged): a thread does not end within some seconds, as a rule hangs that nothing can interrupt. Nothing
 * is freed then, for it is in use: the caller leaves by _exit. */
bool gateway_stop(struct gateway **g);

#endif
