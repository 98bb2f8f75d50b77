/*
 * The spool's folder: its version, and who writes in which generation. (Inside spool/ only.) For threads that may block.
 *
 * A generation is held by a flock on its lock file, which ends with the process, however that ends.
 */
#ifndef HILUM_SPOOL_SPOOL_FOLDER_H
#define HILUM_SPOOL_SPOOL_FOLDER_H

#include "spool/log.h"

struct generation {
    uint32_t number;
    int lock; /* the descriptor */
};

/* Makes it, or sees that it is one. ERR_USAGE: of a newer version, or somebody else's: nothing was changed. */
MUST_USE enum result spool_folder_prepare(const char *path, char *why, size_t why_cap);
/* Makes a generation newer than all that are there, and than `newest`; durable. */
MUST_USE enum result spool_folder_new_generation(const char *path, uint32_t newest, struct generation *out,
                                                 char *why, size_t why_cap);
/* NEED_MORE: a process that lives holds it, or it has gone. */
MUST_USE enum result spool_folder_hold(const char *path, uint32_t number, struct generation *out);
/* Lets go of it; the folder stays. */
void spool_folder_release(struct generation *g);
/* Deletes its folder if there is no segment in it, and lets go of it. False: there is. */
bool spool_folder_remove_if_empty(const char *path, struct generation *g);

struct numbers {
    uint32_t *of; /* ascending; of its caller: free */
    size_t count;
};
MUST_USE enum result spool_folder_generations(const char *path, struct numbers *out);
MUST_USE enum result spool_folder_segments(const char *path, uint32_t generation, struct numbers *out);
/* What all segments of all generations but one take of the file system. What cannot be read does not count. */
uint64_t spool_folder_bytes(const char *path, uint32_t but);
/* What it takes: not its holes. */
uint64_t spool_folder_segment_bytes(const char *path, uint32_t generation, uint32_t segment);
/* Where it ends. 0: it is not there. */
uint64_t spool_folder_segment_size(const char *path, uint32_t generation, uint32_t segment);

#endif
