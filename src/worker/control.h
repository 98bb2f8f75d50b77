/*
 * The control socket: a running gateway is asked about its nodes, and told to drain them. A Unix stream socket that only this user may connect to, served by
 * a thread with a ring of its own, so that it answers however busy the workers are.
 *
 *   client   one line: a verb, and what it is about        list | drain NAME | resume NAME
 *   gateway  one line: a JSON object (docs/worker.md), and it closes
 *
 * Bounded by a few clients at a time (others wait to be accepted), 512 bytes a request, and some seconds for all of it.
 *
 * Which gateway has the socket is decided by a lock on a file beside it (PATH.lock), which ends with its process: a name that a dead gateway left behind is replaced, that
 * of a living one is not. A gateway that does not get it looks again every few seconds.
 */
#ifndef HILUM_WORKER_CONTROL_H
#define HILUM_WORKER_CONTROL_H

#include "association/permits.h"
#include "config/config.h"
#include "relay/circuit.h"

struct control;

/* Starts the thread, if the configuration has a control socket. NULL (logged, if there should be one): there is none. What it is given stays until control_stop. */
struct control *control_start(struct config *config, struct circuits *circuits,
                              struct permits_registry *permits);
/* From now on it answers by this configuration; takes a reference. The path stays. NULL is let be. */
void control_configure(struct control *c, struct config *config);
/* Ends the thread; the name is gone. NULL is let be. */
void control_stop(struct control **c);

/* --- control_answer.c --------------------------------------------------------------------------------------------- */

/* The answer to a request, without the line's end; itself a line, to be freed. NULL without memory. */
char *control_answer(const struct config *config, struct circuits *circuits, struct permits_registry *permits,
                     const char *request);

#endif
