/*
 * Which archive is asked for what, where several hold parts of what a C-MOVE or C-GET asks for: so that nothing comes twice and nothing is missed. Pure.
 *
 * Entities stand in a tree: those that the request names are its roots, and each says which archives hold it. What one archive alone holds is asked of that one
 * as it is. What several hold is opened, if it can be: its children are asked for, a study's series, a series' instances, until it is known who holds
 * what. A series then comes whole from the archive that has most of it, and from others only what that one lacks.
 *
 *   split_add (roots)  ->  split_wants_open, split_add (children), split_opened or split_close  ->  split_next, split_done or split_failed, ...
 *
 * One that cannot be opened comes whole from each of its archives: rather twice than not at all. What an archive failed to give is asked of another that
 * has it; what none is left for is lost.
 */
#ifndef HILUM_RELAY_SPLIT_H
#define HILUM_RELAY_SPLIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/octets.h"
#include "relay/identifier.h"

enum {
    SPLIT_ARCHIVES_MAX = 32,   /* bits of a set of archives */
    SPLIT_UNITS_MAX = 1 << 16, /* entities of a request; what would need more is not opened */
    SPLIT_JOB_MAX = 256,       /* of a list of UIDs; 16 KiB at most */
};

#define SPLIT_NONE UINT32_MAX

struct split_unit {
    uint32_t parent, next, first_child, last_child; /* SPLIT_NONE: there is none */
    size_t uid_at, uid_len;
    enum identifier_level level;
    uint32_t holders; /* archives that have it, and have not failed to give it */
    uint32_t count;   /* instances, the most that an archive said; 0: not known */
    bool is_open;     /* its children are known */
    bool is_closed;   /* it cannot be opened */
    bool is_done, was_given;
};

/* Zero-initialise. */
struct split {
    struct split_unit *units;
    uint32_t count, room, first_root, last_root, root_count;
    struct octets text;
    uint32_t *index; /* units by parent and UID; SPLIT_NONE: empty */
    uint32_t index_room;
};

/* One request: these entities, all of one level and one parent, of this archive. */
struct split_job {
    unsigned archive;
    bool is_whole; /* all that is asked for: the request goes as it came */
    enum identifier_level level;
    uint32_t parent;
    uint32_t units[SPLIT_JOB_MAX];
    unsigned count;
};

void split_free(struct split *s);

/* This archive has that. parent is SPLIT_NONE for what the request names. SPLIT_NONE: no memory, or too many. */
uint32_t split_add(struct split *s, uint32_t parent, enum identifier_level level, struct view uid,
                   unsigned archive, uint32_t count);
struct view split_uid(const struct split *s, uint32_t unit);

/* Several of the living hold it, and it can be looked into. `alive` is a set of archives. */
bool split_wants_open(const struct split *s, uint32_t unit, uint32_t alive);
/* All that hold it have said what is in it. */
void split_opened(struct split *s, uint32_t unit);
void split_close(struct split *s, uint32_t unit);

/* What this archive has said counts no more: it is asked for all of it apart from here. */
void split_leave(struct split *s, unsigned archive);

/* What is to be asked for next. False: nothing that one of the living has. */
bool split_next(const struct split *s, uint32_t alive, struct split_job *job_out);
/* It has been given. */
void split_done(struct split *s, const struct split_job *job);
/* It has not, and others that have it are to be asked. False: nobody else alive has any of it; it counts as done, and the caller counts what is missing. */
bool split_failed(struct split *s, const struct split_job *job, uint32_t alive);

/* Instances that are not done, as far as their number is known. */
uint32_t split_left(const struct split *s);
/* Instances of a job, likewise. */
uint32_t split_job_count(const struct split *s, const struct split_job *job);
/* At the end: what is not done, an entity of unknown number as one. */
uint32_t split_lost(const struct split *s);

#endif
