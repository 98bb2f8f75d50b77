/*
 * A library that is preloaded into the program under test (LD_PRELOAD): allocations that fail on order, and clocks that jump. Tests alone
 * know of it; the program is the one that is released.
 *
 * What it shall do stands in a file that both sides have mapped, HILUM_SHIM names it; without it the library does nothing. All numbers are
 * 8 bytes, little-endian as the machine has them, atomic:
 *
 *    0  mode         0 nothing is counted; 1 by number; 2 by call stack; 3 call stacks are learnt
 *    8  count        allocations since it was set to 0
 *   16  first, last  mode 1: those that fail, counted from 1
 *   32  stack        mode 2: the first allocation from this stack fails, `first` of them are let go before
 *   40  failed       how many have failed
 *   48  trace        not 0: each that fails writes its stack to stderr
 *   56  wall_ns      what CLOCK_REALTIME is ahead by, signed
 *   64  monotonic_ns what CLOCK_MONOTONIC is ahead by
 *   72  stacks       mode 3: how many have been learnt
 *  128  learnt       (stack, allocations from it) each
 */
#ifndef HILUM_TESTS_SHIM_H
#define HILUM_TESTS_SHIM_H

#include <stdatomic.h>
#include <stdint.h>

enum { SHIM_MODE_OFF, SHIM_MODE_NUMBER, SHIM_MODE_STACK, SHIM_MODE_LEARN };
enum { SHIM_STACKS_MAX = 8192 };

struct shim_stack {
    _Atomic uint64_t stack, count;
};

struct shim {
    _Atomic uint64_t mode, count, first, last, stack, failed, trace;
    _Atomic int64_t wall_ns, monotonic_ns;
    _Atomic uint64_t stacks;
    uint64_t unused[6];
    struct shim_stack learnt[SHIM_STACKS_MAX];
};

/* NULL until the library is set up, and without HILUM_SHIM. */
extern struct shim *shim;

#endif
