/*
 * The queue seen from outside, beside a gateway or without one: hilum queue. Nothing here writes to the spool.
 *
 * What reads an index works on one that is open (index.h).
 */
#ifndef HILUM_SPOOL_LOOK_H
#define HILUM_SPOOL_LOOK_H

#include "spool/index.h"

/*
 * OK         a spool of a version that is known here
 * ERR_USAGE  there is none, it is none, or it is of a newer version
 * ERR_IO     the system refused
 * `why` begins with the path.
 */
MUST_USE enum result look_at_folder(const char *path, char *why, size_t why_cap);
/* Its index.db. False: too long. */
MUST_USE bool look_index_path(const char *path, char out[SPOOL_PATH_MAX]);

/*
 * Some process writes here. Of every generation the lock is tried, and given back at once: who starts in that instant takes the
 * generation for one that lives.
 */
MUST_USE enum result look_is_in_use(const char *path, bool *is_in_use_out, char *why, size_t why_cap);
/* A log has more than the index has read of it: a process ended without closing the spool. (Of a spool that is in use this means nothing.) */
MUST_USE enum result look_is_behind(const char *path, struct index *i, bool *is_behind_out);

/* Where the logs of a spool end now, to see later whether its index has come so far. Free it in any case. */
struct look_ends {
    struct log_position *of;
    size_t count;
};
MUST_USE enum result look_ends(const char *path, struct look_ends *out);
MUST_USE enum result look_has_reached(struct index *i, const struct look_ends *ends, bool *out);
void look_ends_free(struct look_ends *ends);

/* Of a spool that is in use: waits until its index has read what stands in its logs now, no longer than ms. */
MUST_USE enum result look_wait(const char *path, struct index *i, uint64_t ms);

/* One row, by id, queued or relayed. *is_found_out false: there is none, and on_row was not called. */
MUST_USE enum result look_row(struct index *i, spool_id id, bool *is_found_out,
                              bool (*on_row)(void *owner, const struct index_row *row), void *owner);
/* Only the state. */
MUST_USE enum result look_state(struct index *i, spool_id id, bool *is_found_out, enum spool_state *out);

/* Of an extent at a time: every byte of a stream, checked. on_bytes returns false to end it, which is OK. ERR_PROTO: damaged, or gone. */
MUST_USE enum result look_stream(const char *path, const struct spool_stream *stream,
                                 bool (*on_bytes)(void *owner, struct view bytes), void *owner);

#endif
