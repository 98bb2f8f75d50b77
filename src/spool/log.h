/*
 * The log of one generation: a thread that writes it, and a walk that reads it. (Inside spool/ only.)
 *
 * The writer takes all writes that wait, puts them into the segment in one or a few calls, syncs once if any of them is a commit, and answers.
 * Nothing is copied: parts are written from where they are.
 *
 *   - A segment is full at LOG_SEGMENT_BYTES, or a sixteenth of what there is room for in all: it is synced, then the next one begins. So it does when
 *     nothing in it is live any more and room is short (log_end_idle). A new file is durable
 *     (its folder synced) before anything in it is acknowledged. Where there is plenty of room it takes some MiB of space ahead, and gives back
 *     what it did not need when it ends; what a crash leaves of that goes with the file, or with its holes.
 *   - After a failed write or sync a segment is never written, synced or acknowledged from again: it ends where it was last synced (cut
 *     there, and the next one's first record says so). Drafts with pieces past that end fail. What else is in the group is still in its callers'
 *     memory: it is written again, once, whole, into a new segment, and fails if that fails too.
 *   - Full (max_bytes; less than `reserve` left; ENOSPC): writes of drafts fail by SPOOL_FULL, outcomes and notes still go while the disk takes
 *     them. A segment that had no space for a write is cut back to its last whole record and goes on.
 *   - A segment that somebody deletes, alone or with its folder, has failed as if by a sync: nothing is acknowledged into a file without a name.
 *   - While it is not well it tries a record of its own once a second, so that it gets well without being asked.
 *   - Outcomes and notes are written but wake no sync. If they cannot be written they are dropped with one log line.
 */
#ifndef HILUM_SPOOL_LOG_H
#define HILUM_SPOOL_LOG_H

#include "spool/record.h"

enum { LOG_SEGMENT_BYTES = 64 << 20 };

struct log_position {
    uint32_t generation, segment;
    uint64_t offset;
};
static inline bool log_position_before(struct log_position a, struct log_position b)
{
    return a.generation != b.generation ? a.generation < b.generation
           : a.segment != b.segment     ? a.segment < b.segment
                                        : a.offset < b.offset;
}

/* --- writing -------------------------------------------------------------------------------------------------- */

struct log_writer;

struct log_options {
    const char *folder; /* of the generation; it is there, and durable */
    uint32_t generation;
    uint64_t max_bytes, reserve;
    const char *
        spare; /* the spool's folder, which stays: where spare_use is asked when there is no room for a segment; NULL: nowhere */
    uint64_t other_bytes; /* of segments of other generations, against max_bytes; log_released lowers it */
    void (*on_published)(void *owner); /* from the writer's thread: log_end has moved */
    void (*on_failed)(
        void *owner,
        uint64_t draft); /* likewise: a commit of this draft was not written. NULL: nobody asks */
    void *owner;
};
/* Of a draft of this generation, as its records say it. */
uint64_t log_draft_number(const struct spool_draft *d);

/* Makes the first segment and starts the thread. */
MUST_USE enum result log_writer_open(const struct log_options *options, struct log_writer **out, char *why,
                                     size_t why_cap);
/* Writes what waits, ends the thread. */
void log_writer_close(struct log_writer **w);

/* spool_draft_new, spool_write. */
struct spool_draft *log_draft_new(struct log_writer *w);
void log_submit(struct log_writer *w, struct spool_write *write);
/* A record of the given type whose payload is copied. `is_durable`: returns after its sync (never from a worker's thread; false: it failed);
 * otherwise at once, true. */
bool log_append(struct log_writer *w, enum record_type type, const void *payload, size_t len,
                bool is_durable);
/* The same, synced, for who cannot wait: `m` is posted to io when *is_good_out says how it went. Any thread. What is given to the log behind it is not durable
 * before it is. */
void log_append_told(struct log_writer *w, enum record_type type, const void *payload, size_t len,
                     struct io *io, struct io_message *m, bool *is_good_out);
/* Ids of this generation that nothing else gets: the first of so many. Any thread. */
spool_id log_take_ids(struct log_writer *w, size_t count);
void log_set_limits(struct log_writer *w, uint64_t max_bytes, uint64_t reserve);
bool log_is_well(const struct log_writer *w);

/* Up to here the log may be read: written, and what has been acknowledged of it is synced. Never beyond a commit that is not. It never goes
 * back, though outcomes, notes and pieces before it are cut off when their segment is given up. */
struct log_position log_end(struct log_writer *w);
/* Segments that nobody will ask for any more, for all the log knows: sealed, of no draft that is still open, and with no commit at or behind
 * `indexed` that refers to them. A segment that says that the one before it was given up stays as long as the process. */
bool log_may_delete(struct log_writer *w, uint32_t segment, struct log_position indexed);
/* Whether all commits that refer to a segment, now or ever, are before `indexed`; *last_out: the last segment that holds one of them. It is sealed,
 * then, and of no draft that is still open. */
bool log_is_settled(struct log_writer *w, uint32_t segment, struct log_position indexed, uint32_t *last_out);
/* Little room is left, or none: what can be given back should be, at once. Any thread. */
bool log_is_short(struct log_writer *w);
/* Nothing in the segment is live: if it is the one that is written, and room is short, the next one begins, so that it can go. Any thread. */
void log_end_idle(struct log_writer *w, uint32_t segment);
/* Bytes of segments (any generation) were given back, or what log_take_room took. */
void log_released(struct log_writer *w, uint64_t bytes);
/* Bytes that stand beside the segments, and count as theirs do. False: full. Any thread. */
MUST_USE bool log_take_room(struct log_writer *w, uint64_t bytes);

/* GENERATION and N.log below it, as spool.h draws them. False: too long. */
MUST_USE bool log_folder_path(const char *spool_path, uint32_t generation, char out[SPOOL_PATH_MAX]);
MUST_USE bool log_segment_path(const char *folder, uint32_t segment, char out[SPOOL_PATH_MAX]);

/* --- reading -------------------------------------------------------------------------------------------------- */

struct log_walk {
    char folder[SPOOL_PATH_MAX]; /* of the generation */
    struct log_position at;      /* of the next record */
    int fd;                      /* of at.segment; -1: not open */
    uint64_t limit; /* where that one ends, once another has followed; UINT64_MAX: not known yet */
    struct octets payload;
};

void log_walk_begin(struct log_walk *w, const char *folder, struct log_position from);
void log_walk_end(struct log_walk *w);

/*
 * The next record before `end`; goes on to the next segment by itself. Payloads of all types but DATA are read into w->payload and checked.
 *
 * OK         *out is it, *payload_out its payload (none for DATA), and w->at stands behind it
 * NEED_MORE  w->at is at `end`, or behind it, or the log was cut between log_end and this call
 * ERR_PROTO  a header or payload is damaged: logged, with file and offset; the walk stands behind it, at the next header that can be
 *            read. Call again.
 * ERR_IO     the system refused; ERR_MEMORY
 */
MUST_USE enum result log_walk_next(struct log_walk *w, struct log_position end, struct record *out,
                                   struct view *payload_out);

/*
 * Where the log of a generation that nobody writes ends: looks at every record of its last segment from `from` on. A torn end (no whole record,
 * nothing behind it) is cut off the file, with a log line that says how much; so is what stands behind the end of a segment that was given
 * up. *end_out is for log_walk_next; before `from` if what the index has read was never synced. OK, ERR_IO, ERR_MEMORY; ERR_USAGE: of a
 * newer version, nothing was changed.
 */
MUST_USE enum result log_find_end(const char *folder, struct log_position from, struct log_position *end_out);

/* True if every byte of the streams is as its checksum says. A commit that was never acknowledged may be there without its data. */
bool log_verify(const char *spool_path, struct view streams);

/* Gives the whole blocks inside of these bytes back to the file system. A piece that has none is let be. */
MUST_USE enum io_error log_punch(int fd, uint64_t block, uint64_t offset, uint64_t bytes);
/* How many bytes that would be. */
uint64_t log_whole_blocks(uint64_t block, uint64_t offset, uint64_t bytes);
/* True if an extent has been given back so: nobody needs the message any more. */
bool log_was_punched(const char *spool_path, struct view streams);

/* Reads an extent whole, and checks it: for who is not on a ring. ERR_PROTO: damaged. */
MUST_USE enum result log_read_extent(const char *spool_path, const struct spool_extent *e, uint8_t *to);

#endif
