/* The listening sockets of worker 0, and the assignment of what they accept. */
#ifndef HILUM_WORKER_LISTENER_H
#define HILUM_WORKER_LISTENER_H

#include "worker/worker.h"

/* Stops listening everywhere; the sockets are closed when the kernel lets go. */
void listeners_close(struct worker *w);

#endif
