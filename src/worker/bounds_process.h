/*
 * What the process itself is held to (setrlimit, prlimit), against what a gateway takes whatever its configuration is: address space, data, stack, threads,
 * sizes of files. Without room for a stack there is nobody left to say so; so it is looked at before anything is opened.
 */
#ifndef HILUM_WORKER_BOUNDS_PROCESS_H
#define HILUM_WORKER_BOUNDS_PROCESS_H

#include <stdint.h>
#include <sys/resource.h>

#include "base/result.h"

/* RLIM_INFINITY, the largest number: no limit. */
struct bounds_process {
    rlim_t descriptors, address_space, data, stack, threads, file_bytes;
    uint64_t mapped, written; /* of the address space, and of the data, taken by now; bytes */
};

/* For each limit what it is, raised as far as it may be for the stack. Gives every thread from here on a stack of one size, whatever the limit is. */
void bounds_process_read(struct bounds_process *out);

/*
 * Every shortage as a line of the log that names the limit, what it is and what is needed. `memory` is what payload may take. With no workers, before there is a
 * configuration, it is about what it takes to read one, and only errors are told. ERR_USAGE: it would not work; not to be started.
 */
MUST_USE enum result bounds_process_check(const struct bounds_process *p, unsigned workers, uint64_t memory);

#endif
