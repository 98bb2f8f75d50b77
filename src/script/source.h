/* The Lua files that took part: the configuration and the modules it required. Kept for FILE:LINE. */
#ifndef HILUM_SCRIPT_SOURCE_H
#define HILUM_SCRIPT_SOURCE_H

#include <stddef.h>

#include "base/arena.h"
#include "base/result.h"

struct source {
    struct source *next;
    size_t order;       /* 0: the configuration; modules in the order they were read */
    const char *module; /* as require was told; NULL: the configuration */
    const char *name;   /* as given, or as found by require */
    const char *chunk;  /* "@" and the name: how Lua is told */
    const char *text;
    size_t len;
};

struct source_list {
    struct source *first;
};

/*
 * Reads a file of at most 16 MiB and appends it. Its memory is the arena's.
 * ERR_IO: *why_out is the system's words, a fixed text; ERR_MEMORY.
 */
MUST_USE enum result source_read(struct arena *a, struct source_list *list, const char *path,
                                 struct source **out, const char **why_out);

/* Appends text that stays where it is for as long as the list lives. NULL without memory. */
struct source *source_borrow(struct arena *a, struct source_list *list, const char *path, const char *text,
                             size_t len);

/* By the chunk name Lua gives back. NULL: none of ours. */
const struct source *source_find(const struct source_list *list, const char *chunk);

/*
 * Takes "FILE:LINE: " off the front of a message of Lua's, which shortens long names to "...end". Returns the source,
 * with *line_out and *rest_out filled, or NULL if the message does not start with a place in one of ours.
 */
const struct source *source_of_message(const struct source_list *list, const char *message, int *line_out,
                                       const char **rest_out);

#endif
