/* What the parts of the log's writer share. (Inside log_*.c only.) */
#ifndef HILUM_SPOOL_LOG_INSIDE_H
#define HILUM_SPOOL_LOG_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "base/arena.h"
#include "spool/log.h"

/* --- the segment that is written (log_segment.c) ---------------------------------------------------------------- */

struct log_segment {
    const char *folder;
    uint32_t generation;
    int fd; /* -1: none is open */
    uint32_t number;
    uint64_t end, synced;  /* of whole records; of what is durable */
    uint64_t full;         /* where it shall end, about */
    uint64_t ahead;        /* so much space may be taken before there is anything to write there */
    uint64_t allocated;    /* it was taken up to here; UINT64_MAX: the file system refused */
    bool is_listed;        /* the folder was synced with it */
    bool is_deleted;       /* by somebody else: nothing in it counts any more */
    uint32_t previous;     /* the last one before that counts, */
    uint64_t previous_end; /*   and how much of it */
    bool follows_given_up; /* and no more than that may be read of it, whatever its file holds */
    bool is_quiet;         /* that the disk refuses is known: not a line for each time */
    enum io_error error;   /* of what failed last */
};

/* Makes the next one, with its first record. The one before must have been sealed or given up. */
MUST_USE bool log_segment_open(struct log_segment *s);
/* Whole records, behind its end. False: what came of it is behind `end`; only cut_back or give_up may follow. */
MUST_USE bool log_segment_write(struct log_segment *s, struct iovec *parts, size_t count, uint64_t bytes);
/* False: only give_up may follow. A file that has lost its name keeps nothing, however well it was synced: that fails, too. */
MUST_USE bool log_segment_sync(struct log_segment *s);
/* After a write that failed for want of space. False: give it up. */
MUST_USE bool log_segment_cut_back(struct log_segment *s);
/* Ends it where it was last synced. */
void log_segment_give_up(struct log_segment *s);
/* All of it is synced, another follows or none does. */
void log_segment_seal(struct log_segment *s);

/* --- drafts (log_draft.c) ----------------------------------------------------------------------------------------- */

/* All but `log`, `number` and `link` is the writer's thread's while a write is pending, and its owner's otherwise. */
struct spool_draft {
    struct log_writer *log;
    uint64_t number;
    enum spool_error error; /* every later write fails so */
    struct spool_stream *streams;
    size_t stream_count;
    atomic_uint_least64_t data_bytes;
    uint32_t first_segment, last_segment; /* where its pieces are; 0: it has none. Under the writer's lock */
    LIST_ENTRY(spool_draft) link;
};

/* False without memory. */
MUST_USE bool log_draft_push(struct spool_draft *d, unsigned stream, const struct spool_extent *e);
/* The last one pushed there was not written. */
void log_draft_pop(struct spool_draft *d, unsigned stream);
/* The segment has ended there: drafts with pieces behind that fail. Lock held. */
void log_drafts_break(struct log_writer *w, uint32_t segment, uint64_t end);
/* Segments have been deleted: all drafts with pieces fail. Lock held. */
void log_drafts_break_all(struct log_writer *w);

/* --- what is written in one go (log_group.c) ------------------------------------------------------------------------- */

/* A record besides drafts. */
struct log_append {
    enum record_type type;
    const void *payload;
    size_t len;
    bool is_durable; /* it is synced */
    bool is_awaited; /* on its caller's stack, who waits; else of its own, freed when it is done */
    bool is_done, is_good;
    struct io *io; /* not NULL: who is told, by */
    struct io_message *message;
    bool *is_good_out;
    struct log_append *next;
};

struct log_group {
    struct spool_write *writes; /* an `error` that is set leaves one out */
    struct log_append *appends;
    bool wants_sync;
    uint64_t room;            /* for drafts */
    enum spool_error refused; /* of a draft that was well until then */
    /* laid out */
    struct iovec *parts;
    size_t count, cap;
    uint64_t bytes;
    struct arena memory; /* headers, commits */
};

/* Of a write's parts, where they are hot: on the thread that submits it. */
uint64_t log_group_checksum(const struct spool_write *write);
/* For segment s, behind its end. Writes whose draft has failed, or for which there is no room, get their error. */
void log_group_lay_out(struct log_group *g, struct log_writer *w);
/* The write fails, and its draft with it. */
void log_group_refuse(struct log_group *g, struct spool_write *write, enum spool_error error);
/* None of it was written. */
void log_group_undo(struct log_group *g);

/* --- the writer (log_write.c) ------------------------------------------------------------------------------------------ */

/* What has to be known of a segment before it may be deleted. */
struct log_kept {
    struct log_position behind; /* of the last commit that refers to it */
    bool is_for_good;
};

/* What was written over its life: for who asks what the disk was given to do. */
struct log_counts {
    uint64_t groups, syncs; /* written in one go; of those, followed by a sync */
    uint64_t bytes;
};

struct log_writer {
    struct log_segment segment; /* the thread's */
    uint64_t segment_bytes;     /* it is full then */
    struct log_counts counts;
    atomic_uint_least64_t next_id;
    struct octets scratch;
    struct spool_write *taken;
    struct log_group group;
    struct log_append nothing; /* for probes */
    bool has_told_dropped;

    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t has_work, has_appended;
    bool is_stopping;
    uint32_t idle; /* a segment that holds nothing that is live, and shall end; 0: none */
    struct spool_write *writes, **writes_end;
    struct log_append *appends, **appends_end;
    struct log_position published;
    LIST_HEAD(log_drafts, spool_draft) drafts;
    uint64_t draft_count;
    struct log_kept *kept; /* by segment */
    size_t kept_count;

    atomic_uint_least64_t used, max_bytes, reserve;
    atomic_bool is_well,
        wants_room; /* somebody was refused for want of room since an idle segment was ended */
    void (*on_published)(void *owner);
    void (*on_failed)(void *owner, uint64_t draft);
    void *owner;
    const char *spare; /* log_options */
    char folder[SPOOL_PATH_MAX];
};

#endif
