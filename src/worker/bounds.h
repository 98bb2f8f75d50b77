/*
 * What the system gives us, against what the configuration asks for: descriptors, memory, pages of pipes. Looked at once, at the start, so that a
 * gateway that cannot hold what it promises says so then, with numbers and what to change, and not under load.
 */
#ifndef HILUM_WORKER_BOUNDS_H
#define HILUM_WORKER_BOUNDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/result.h"
#include "config/config.h"

/* 0: not known, or no limit. */
struct bounds_system {
    uint64_t descriptors; /* never 0: RLIMIT_NOFILE, once it is as high as we may have it */
    uint64_t memory;      /* of the machine, bytes */
    uint64_t
        group; /* what the control group lets us have (cgroup v2 memory.max, the least on the way up), bytes */
    uint64_t pipe_pages; /* that a user's pipes may have; none for who has the privilege */
    uint64_t page_bytes;
};

/* Files are looked for under `root`: "" but in tests. The limit of descriptors is raised as far as it may be. */
void bounds_read(struct bounds_system *out, const char *root);

/* Pipes that a worker may have at most; at least 1. */
unsigned bounds_pipes(const struct bounds_system *s, unsigned workers);

/* What payload may take: as configured; without a word of that, three quarters of what there is at most. */
uint64_t bounds_memory(const struct bounds_system *s, const struct config *c);

/* Every shortage as a line of the log. ERR_USAGE: so little is there that it would not work; not to be started. */
MUST_USE enum result bounds_check(const struct bounds_system *s, const struct config *c, unsigned workers);

#endif
