/*
 * C-ECHO at the interval of each node that asks for it (`health`), as signs for its circuit: a node that is away is found before a patient's data has to
 * find it, and so is its return.
 *
 * Each node is one worker's, by its place in the configuration. A probe opens an association of its own, released when the answer is in, and takes a permit only
 * where one is free: a node whose places are all taken is at work, and there. While its circuit is open a node is probed at the end of each pause as well, as
 * the trial that messages need not be then. All on the worker's thread.
 */
#ifndef HILUM_RELAY_PROBE_H
#define HILUM_RELAY_PROBE_H

#include "relay/relay.h"

struct probes;

/* NULL without memory. */
struct probes *probes_new(struct relay *r, unsigned workers);
/* From now on by this configuration; a reference is taken. What is under way is given up. */
void probes_configure(struct probes *p, struct config *config);
/* No more of them. */
void probes_stop(struct probes *p);
void probes_free(struct probes **p);

#endif
