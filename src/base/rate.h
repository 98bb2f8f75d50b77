/*
 * A token bucket that any number of threads share without a lock: at most so much a second, of which a second's worth may come at once.
 *
 * It keeps one number, when everything taken so far will have been paid for. Whoever takes pushes it on by the price of what it takes, and is told
 * how long that is from now: its own turn, which nobody takes away. So those who wait are served in the order in which they asked.
 */
#ifndef HILUM_BASE_RATE_H
#define HILUM_BASE_RATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/result.h"

/* All zero: nothing has been taken. */
struct rate {
    atomic_uint_fast64_t paid_ns; /* by the clock of its user */
};

/* Takes n, which has come already. Milliseconds (rounded up) until it is paid for; 0: it is within the rate, or per_second is 0: there is none. */
uint64_t rate_take(struct rate *r, uint64_t n, uint64_t per_second, uint64_t now_ms);

/* Takes n if that is paid for within most_ms, and says when. False: nothing is taken. */
MUST_USE bool rate_try(struct rate *r, uint64_t n, uint64_t per_second, uint64_t now_ms, uint64_t most_ms,
                       uint64_t *wait_ms_out);

#endif
