/*
 * A set of what has passed already: hashes of 128 bits, so that two things are never taken for one. It grows to a bound, and its memory counts against the
 * pool; past either it knows what it knows and learns nothing new. One thread.
 */
#ifndef HILUM_RELAY_SEEN_H
#define HILUM_RELAY_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "mem/buf.h"

enum { SEEN_MAX = 1 << 20 }; /* keys; 32 MiB with the room between them */

struct seen_key {
    uint64_t low, high;
};

/* Zero-initialise, with the pool. */
struct seen {
    struct pool *pool;
    size_t count;
    bool is_full; /* something was not learnt */
    /* private */
    struct seen_key *keys; /* 0, 0: empty */
    size_t room;           /* a power of two */
};

/* Of several parts: what is one part here cannot be two there. */
struct seen_key seen_key_of(const struct view *parts, size_t count);

/* True: it was there before. False: it is there now, or the set is full. */
bool seen_before(struct seen *s, struct seen_key key);
void seen_free(struct seen *s);

#endif
