/*
 * Memory that is freed in one go. What Lua's C functions allocate must survive Lua's errors, which are long jumps:
 * so it hangs on an arena that stands outside Lua. Bounded, as a configuration is a program and may loop.
 */
#ifndef HILUM_SCRIPT_ARENA_H
#define HILUM_SCRIPT_ARENA_H

#include <stddef.h>

struct arena_piece;

struct arena {
    struct arena_piece *pieces;
    size_t left; /* bytes that may still be taken */
};

/* Zeroed and aligned for anything. NULL without memory or past the bound. */
void *arena_alloc(struct arena *a, size_t size);
/* len bytes and a NUL. NULL as above. */
char *arena_copy(struct arena *a, const char *text, size_t len);
void arena_free(struct arena *a);

#endif
