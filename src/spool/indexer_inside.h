/* What the files of the indexer share. All but what stands under the lock is the thread's own; before it is started, the opener's. */
#ifndef HILUM_SPOOL_INDEXER_INSIDE_H
#define HILUM_SPOOL_INDEXER_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>

#include "spool/holes.h"
#include "spool/indexer.h"
#include "spool/lines.h"

enum { INDEXER_COMMENT = 65, INDEXER_ORDERS = 4096 /* that go into the log at once */ };

/* An outcome that was given, and has not been read from the log yet. */
struct indexer_expected {
    struct spool_outcome outcome; /* id 0: it has been read */
    char comment[INDEXER_COMMENT];
    uint64_t given_ms; /* monotonic */
};
struct indexer_expectations {
    struct indexer_expected *of;
    size_t first, count, cap; /* [first, count) */
};

/* A segment of ours that is there. */
struct indexer_segment {
    struct record_place at;
    int64_t live;      /* what is live in it */
    int64_t live_was;  /*   when it was looked at last, or first seen */
    uint64_t since_ms; /* it has been settled, or could not be looked at; monotonic; 0: it is not settled */
    uint64_t punched;  /* bytes that were given back; of our own generation */
    bool was_looked_at;
};

/* What is given back of segments that have to stay (indexer_holes.c). */
struct indexer_holes {
    struct indexer_segment *of; /* by place */
    size_t count, cap;
    struct holes *job; /* NULL: none is looked at */
    enum indexer_job { JOB_READ, JOB_MARK, JOB_SETTLE, JOB_PUNCH } step;
    uint64_t job_us, job_began_ms, job_freed; /* what it has cost and brought */
    uint64_t next_ms, list_ms; /* when something is to be done; when they are listed again. Monotonic */
    bool is_short;             /* of room */
    bool is_given_up;          /* the file system has no holes */
    bool has_told;             /* that it failed */
};

struct indexer {
    struct index *index;
    struct log_writer *log; /* NULL before it is started */
    char path[SPOOL_PATH_MAX];
    struct log_walk walk;
    struct log_position committed; /* of our own log */

    struct generation *held; /* the first is our own */
    size_t held_count;

    pthread_t thread;
    bool is_started;
    atomic_uint_least64_t history_ms;
    atomic_bool is_failing;

    pthread_mutex_t lock;
    pthread_cond_t wake;
    /* under the lock */
    bool is_stopping, is_published, has_questions;
    struct spool_feed *feeds; /* others only put at the front */
    struct spool_studies *studies;
    struct indexer_expectations given;
    struct octets claims; /* that were noted, as the payload of a record */

    struct indexer_holes holes;
    struct lines *lines;
    bool are_lines_stale; /* a transaction was taken back: they are read anew, once it has been done again */

    struct indexer_expectations expected;
    struct spool_ids orphans; /* of feeds that were closed, with an outcome on its way */

    bool is_begun;
    uint64_t begun_ms, read_ms; /* the transaction; the last record. Monotonic, as what follows */
    uint64_t retry_ms;          /* after a failure: nothing before */
    uint64_t orders_ms, space_ms, history_due_ms, claims_due_ms, adopt_ms, spare_ms;
    uint64_t wake_wall_ms;  /* UINT64_MAX: nothing waits */
    uint64_t study_wall_ms; /* the same of groups that ask */
    uint64_t seen_wall_ms;  /* what the clock said last */
    bool has_orders;        /* perhaps */
    int64_t *orders;        /* numbers of those that are in the log, and not known to be done */
    size_t orders_count;
    bool orders_are_read; /* they have come out of it, in this transaction */
    uint64_t orders_retry_ms;
    bool is_at_end; /* of what was published when it was looked at last */
    bool
        is_behind; /* something was taken back: the index does not know yet what has been handed out and done */
};

/* Each of these: OK, or the index has failed and the transaction must be taken back. */

/* --- indexer.c --- */
MUST_USE enum result indexer_begin(struct indexer *ix);
/* With the place that our own log has been read to. */
MUST_USE enum result indexer_commit(struct indexer *ix);

/* --- indexer_apply.c --- */
/* Whether a commit is to be believed: *damage_out is for index_take_commit; false: it is left out. */
struct indexer_judge {
    bool (*on_commit)(void *owner, const struct record *r, const struct record_commit *c,
                      const char **damage_out);
    void *owner;
};
MUST_USE enum result indexer_apply(struct indexer *ix, uint32_t generation, const struct record *r,
                                   struct view payload, const struct indexer_judge *judge);

/* --- indexer_line.c --- */
/* What is in line is as the index has it. Outside of a transaction that may be abandoned, or of others' doing. */
MUST_USE enum result indexer_read_lines(struct indexer *ix);

/* --- indexer_feed.c --- */
/* A node has something; NULL: any node may. */
void indexer_node_is_due(struct indexer *ix, const char *node, size_t len);
void indexer_post_due(struct indexer *ix);
MUST_USE enum result indexer_answer(struct indexer *ix);
/* Adds every id that is handed out. False without memory. */
MUST_USE bool indexer_handed(struct indexer *ix, struct spool_ids *out);
/* An outcome has come out of the log. */
void indexer_returned(struct indexer *ix, spool_id id);
/* Takes outcomes that should have come long ago. */
MUST_USE enum result indexer_take_lost(struct indexer *ix, uint64_t now_ms);

/* --- indexer_study.c --- */
/* Asks about groups that have been quiet, writes what was answered. */
MUST_USE enum result indexer_ask_studies(struct indexer *ix);
/* A release has come out of the log. */
void indexer_released(struct indexer *ix, const struct record_release *r);

/* --- indexer_adopt.c --- */
/* Generations whose processes have gone since. */
void indexer_adopt_late(struct indexer *ix);
MUST_USE enum result indexer_own(struct indexer *ix);

/* A message is of a group that was asked about: what is answered may need it again. */
bool indexer_is_asked(struct indexer *ix, spool_id message);

/* --- indexer_holes.c --- */
/* Gives back what nobody needs of segments that stay: a little, now and then. */
MUST_USE enum result indexer_make_holes(struct indexer *ix);
/* What was begun is begun again: the index may not know what it had been told. */
void indexer_stop_holes(struct indexer *ix);
/* Bytes of a segment that count; it is about to be deleted. */
uint64_t indexer_segment_bytes(struct indexer *ix, struct record_place p);

/* --- indexer_space.c --- */
MUST_USE enum result indexer_give_back(struct indexer *ix);
/* Adopted ones without segments. */
void indexer_remove_empty(struct indexer *ix);

#endif
