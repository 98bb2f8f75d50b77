/*
 * Memory that is given out piece by piece and freed at once: what a parsed thing stands on, or what C allocates while Lua runs,
 * whose errors are long jumps. Zero-initialise to start, `max` besides if there is a bound.
 */
#ifndef HILUM_BASE_ARENA_H
#define HILUM_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena_block;

struct arena {
    struct arena_block *blocks; /* the newest first */
    size_t taken;               /* bytes of all blocks, their headers too */
    size_t max;                 /* what `taken` may come to; 0: no bound */
    bool is_refused;            /* the system had no memory: it was not the bound */
};

/* Zeroed and aligned for anything. NULL without memory or past the bound. */
void *arena_alloc(struct arena *a, size_t bytes);
/* len bytes and a NUL. NULL as above. */
char *arena_copy(struct arena *a, const void *bytes, size_t len);
/* Frees all of it; the bound stays, for another use. */
void arena_free(struct arena *a);
/* The same, with nothing of it left behind in freed memory. */
void arena_wipe(struct arena *a);

#endif
