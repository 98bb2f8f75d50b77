/*
 * The durable queue: stores messages and where they have to go, hands them out for delivery, remembers what became of them. Knows
 * nothing of associations or of how to deliver.
 *
 *   the log     append-only segments: received bytes, finished headers, entries, outcomes. The one truth (log.h, record.h)
 *   the index   SQLite: the log as tables, for delivery and for people; rebuilt from where it last stood (index.h)
 *
 * Two threads of its own: one writes the log and syncs it for all who wait (writer), one reads the log behind it and keeps the index
 * (indexer). Workers talk to both by message; no call here waits for a disk.
 *
 * Folder:
 *   version               "hilum spool 1"
 *   index.db              the index (WAL)
 *   spare                 room for a disk that is full (spare.h)
 *   GENERATION/lock       held (flock) by the process that writes here; free: the next process adopts it
 *   GENERATION/N.log      segments
 */
#ifndef HILUM_SPOOL_SPOOL_H
#define HILUM_SPOOL_SPOOL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/result.h"
#include "dicom/tail.h"
#include "io/io.h"

struct spool;

enum { SPOOL_PATH_MAX = 4096 };

struct spool_options {
    const char *path;
    uint64_t max_bytes;  /* of all segments; 0: no limit of its own */
    uint64_t reserve;    /* bytes of the file system that are left to others */
    uint64_t history_ms; /* how long ended entries are remembered */
};

/*
 * Opens the folder (makes it if it is not there), takes a new generation, adopts those whose processes have gone: their torn ends are cut
 * with a log line, and the index is brought to where the logs end. Then starts the threads. May take seconds after a crash.
 *
 * ERR_USAGE  it is of a newer version, or no folder of ours; nothing was changed
 * ERR_IO     the system refused
 * ERR_MEMORY
 * `why` names the file. Main thread.
 */
MUST_USE enum result spool_open(const struct spool_options *options, struct spool **out, char *why,
                                size_t why_cap);
/* Makes the folder and what says that it is a spool, or sees that it is one: the part of spool_open that needs the folder above. Its tables get
 * their modes, which a process that is confined cannot change. As there. */
MUST_USE enum result spool_prepare(const char *path, char *why, size_t why_cap);
/* When no worker uses it any more: what waits is written, the index is committed, the threads end. Nulls the pointer. */
void spool_close(struct spool **s);
/* A reload may change these. Any thread. */
void spool_set_limits(struct spool *s, uint64_t max_bytes, uint64_t reserve, uint64_t history_ms);
/* False while the disk refuses or is full: what is asked to be written fails. Any thread. */
bool spool_is_well(const struct spool *s);

/* For files without a name, of what does not have to outlive the process. What is written there counts: room for it is taken first, and given
 * back when it is gone. False: the spool is full; the path is too long. Any thread. */
MUST_USE bool spool_unnamed_folder(const struct spool *s, char out[SPOOL_PATH_MAX]);
MUST_USE bool spool_take_room(struct spool *s, uint64_t bytes);
void spool_give_room(struct spool *s, uint64_t bytes);

/* --- writing a message --------------------------------------------------------------------------------------- */

enum spool_error {
    SPOOL_DONE,
    SPOOL_FULL, /* max_bytes, reserve, or no space on the device */
    SPOOL_FAILED, /* the system refused to write or to sync; or what was written of this draft before is not to be trusted */
};

/* A message on its way into the log: pieces that are there without an entry mean nothing, and go with their segment. */
struct spool_draft;

/* NULL without memory. Belongs to one worker. */
struct spool_draft *spool_draft_new(struct spool *s);
/* No write may be pending. Without a commit before, its pieces are given up. Nulls the pointer. */
void spool_draft_free(struct spool_draft **d);
/* Bytes that are in the log, of the received data set. */
uint64_t spool_draft_bytes(const struct spool_draft *d);

enum { SPOOL_STREAM_DATA = 0, SPOOL_STREAM_HEADERS = 1, SPOOL_PIECE_MAX = 1 << 20, SPOOL_PARTS_MAX = 256 };

struct spool_part {
    const uint8_t *at;
    size_t len;
};

/* What is known of a message, and what of it goes where. All borrowed until the write is done. */
struct spool_facts {
    uint64_t received_ms; /* wall clock, of the answer */
    const char *calling, *called, *remote;
    const char *abstract_syntax, *transfer_syntax;
    struct view sop_class, sop_instance; /* of the request, trimmed */
    struct view study, series,
        patient; /* Study and Series Instance UID, Patient ID as UTF-8; empty: not known */
    uint16_t priority;
    uint16_t
        field; /* of the command (PS3.7 E.1); 0 and 1: a C-STORE. Any other has no priority, and goes in line: see below */
};

/* What a morph has made of it: a header in place of the first bytes, and rules for what stands behind. */
struct spool_edition {
    unsigned stream;              /* of the draft, that holds the header; SPOOL_STREAM_HEADERS + i */
    uint64_t received_header_len; /* inflated, if is_deflated */
    bool is_deflated;
    struct dicom_tail_rules tail;
    struct view sop_class, sop_instance; /* as they are now */
};

enum { SPOOL_AS_RECEIVED = -1 };

struct spool_new_entry {
    const char *node, *route;
    int edition;         /* index of the commit's editions, or SPOOL_AS_RECEIVED */
    bool was_tried;      /* taken over: */
    uint16_t status;     /*   what the node answered, or what we made of its silence */
    const char *comment; /*   NULL: none */
    uint64_t hold_ms;    /* quiet time it waits for, in its group; 0: goes at once */
    const char *group;   /* what has to be quiet: "study" or "series"; NULL with hold_ms 0 */
    bool asks; /* with hold_ms: where the group goes besides is asked for before it does (spool_studies) */
};

struct spool_commit {
    struct spool_facts facts;
    const struct spool_edition *editions;
    size_t edition_count;
    const struct spool_new_entry *entries;
    size_t entry_count;
};

/* One write. Fill what is above the line; all of it, parts included, must stay until on_done, which runs on io's thread. */
struct spool_write {
    struct spool_draft *draft;
    struct io *io;
    void *owner;
    void (*on_done)(struct spool_write *w, enum spool_error error);
    unsigned stream;                /* that the parts are appended to */
    const struct spool_part *parts; /* SPOOL_PARTS_MAX at most, SPOOL_PIECE_MAX bytes at most; may be none */
    unsigned part_count;
    const struct spool_commit
        *commit; /* not NULL: with these parts it is complete, and durable when it is done */
    /* private */
    struct io_message message;
    struct spool_write *next;
    enum spool_error error;
    uint64_t checksum; /* of the parts */
};

/*
 * Entries of what is no C-STORE stand in line, by node and the instance UID that they go out as: one is handed out when nothing of that line is live that was
 * queued before, be it waiting, on its way, or failed and left to an operator. (Of entries of two processes the older generation's count as queued before.)
 *
 * True: something of it is queued, from the moment its commit was given to spool_write on. Who has the next one should queue it as well. Any thread.
 */
bool spool_is_in_line(struct spool *s, const char *node, struct view sent_instance);

/* Writes of one draft are done in their order; those of others in between. After one that failed every later one of its draft fails. */
void spool_write(struct spool *s, struct spool_write *w);

/* --- delivery -------------------------------------------------------------------------------------------------- */

/* "3.17": generation and number. */
typedef uint64_t spool_id;
enum { SPOOL_ID_TEXT = 32, SPOOL_ID_BITS = 40 };
void spool_id_text(spool_id id, char out[SPOOL_ID_TEXT]);
bool spool_id_parse(const char *text, spool_id *out);

/* Private: ids in ascending order, each once (ids.h). */
struct spool_ids {
    spool_id *of;
    size_t count, cap;
};

/* A piece of a stream: `bytes` at `offset` of a segment. */
struct spool_extent {
    uint32_t generation, segment;
    uint64_t offset;
    uint32_t bytes;
    uint64_t checksum; /* XXH3 of its bytes */
};

struct spool_stream {
    struct spool_extent *extents;
    size_t count;
    uint64_t bytes;
};

/* An entry that is handed out. One block of memory; spool_entry_free. */
struct spool_entry {
    spool_id id, message;
    const char *node, *route;
    const char *calling, *called, *remote, *abstract_syntax, *transfer_syntax;
    const char *sop_class, *sop_instance; /* received */
    const char *study, *series, *patient; /* "": not known */
    uint16_t priority;
    uint16_t field; /* of the command: 1 is C-STORE */
    uint64_t received_ms;
    unsigned attempts;
    uint16_t status; /* of the last attempt */
    int64_t order;   /* of its study: those with lower ones are handed out before */
    int64_t group;   /* it was held with others of this number, and goes with them; 0: alone */
    /* Of a group: abstract and transfer syntaxes of all that was held of its study, in pairs, each text with its NUL; an empty one ends it. */
    const char *syntaxes;
    struct spool_stream data;
    /* what the morph made of it; has_edition false: as received */
    bool has_edition, is_deflated;
    struct spool_stream header;
    uint64_t received_header_len;
    struct dicom_tail_rules tail;           /* its tags are of the block */
    const char *sent_class, *sent_instance; /* what it goes out as; the received ones without an edition */
    struct spool_entry *next;
};
void spool_entry_free(struct spool_entry **e);
/* It and those behind it. */
void spool_entries_free(struct spool_entry **list);

/* Of an extent's segment. False: too long. */
bool spool_segment_path(const struct spool *s, uint32_t generation, uint32_t segment,
                        char out[SPOOL_PATH_MAX]);

/* Which of a node's entries are asked for; zeroes: any. */
struct spool_range {
    int64_t order; /* of studies behind this one; 0: of all */
    int64_t group; /* not 0: of this group alone, whose study's order that is */
};

/* The queue of one node, as who delivers it sees it. One a node in all. Callbacks run on io's thread. */
struct spool_feed {
    const char *node; /* must stay */
    struct io *io;
    void *owner;
    void (*on_due)(
        struct spool_feed *f); /* there may be entries to be had; also once after spool_feed_open */
    /* The answer to spool_feed_next: a list, the callee's (spool_entries_free); NULL: nothing is due. */
    void (*on_entries)(struct spool_feed *f, struct spool_entry *list);
    void (*on_closed)(struct spool_feed *f);
    /* private */
    struct io_message due_message, entries_message, closed_message;
    atomic_bool due_is_posted;
    bool is_asking, is_closing; /* under the indexer's lock */
    unsigned want;
    struct spool_range range;
    struct spool_entry *list;
    bool is_due; /* the indexer's, as the rest: */
    struct spool_ids handed;
    struct spool_feed *next;
};
void spool_feed_open(struct spool *s, struct spool_feed *f);
/* Up to `max` entries of the range that are due and not handed out, oldest study first, by age within it. One question at a time. */
void spool_feed_next(struct spool *s, struct spool_feed *f, unsigned max, struct spool_range range);
/* What is handed out and has no outcome is due again. A question that is open is still answered; what comes with it need not be given back. on_closed
 * is the last callback; the feed is its owner's again. */
void spool_feed_close(struct spool *s, struct spool_feed *f);

enum spool_state {
    SPOOL_HELD = 0,            /* waits until its group is quiet */
    SPOOL_QUEUED = 1,          /* due, or on its way */
    SPOOL_WAITING = 2,         /* tried, waits for its next attempt */
    SPOOL_FAILED_FOR_GOOD = 3, /* refused; waits for an operator */
    SPOOL_DELIVERED = 4,
    SPOOL_DROPPED = 5, /* by an operator */
    SPOOL_EXPIRED = 6,
    SPOOL_RELAYED = 7, /* delivered without the queue */
};
const char *spool_state_name(enum spool_state state);

/* What became of an attempt. */
struct spool_outcome {
    spool_id id;
    enum spool_state
        state; /* QUEUED (again, at once: nothing was tried), WAITING, FAILED_FOR_GOOD, DELIVERED, EXPIRED */
    bool was_tried;  /* counts as an attempt */
    uint64_t at_ms;  /* wall clock */
    uint64_t due_ms; /* WAITING: not before; wall clock */
    uint16_t status;
    const char *comment; /* copied; NULL: none */
};
/* Any thread. Not synced: what a crash loses of it is tried again. */
void spool_outcome(struct spool *s, const struct spool_outcome *o);

/* --- groups that wait until they are quiet ------------------------------------------------------------------------ */

enum { SPOOL_STUDY_LISTED = 4096 };

struct spool_study_series {
    const char *uid;
    uint64_t instances;
};
struct spool_study_instance {
    const char *sop_class, *sop_instance, *series;
};

/* A group that has been quiet, of entries that ask: as their messages were received. All of it is its own. */
struct spool_study {
    const char *route;
    const char *uid, *patient, *calling, *called; /* of its first instance; "": not known */
    uint64_t instances, bytes, since_ms;          /* since_ms: wall clock, when the first was received */
    struct spool_study_series *series;            /* SPOOL_STUDY_LISTED at most */
    size_t series_count;
    struct spool_study_instance *listed; /* the first ones, SPOOL_STUDY_LISTED at most */
    size_t listed_count;
};

/*
 * Who is asked where groups go besides: of routes whose name's hash (XXH32) is `part` of `parts`. One group at a time. on_study must be answered by
 * spool_study_release, from inside or later, with nodes to add (copied; those that an instance goes to already are left out): it is written durably with the
 * release of all that the study was made of. What came since waits as a new group. If the process ends before, the group is asked for again.
 * While another process holds a part of a group, it is waited for, some minutes at most.
 */
struct spool_studies {
    unsigned part, parts;
    struct io *io;
    void *owner;
    void (*on_study)(struct spool_studies *s, const struct spool_study *study); /* until it is answered */
    void (*on_closed)(struct spool_studies *s);
    /* private */
    struct io_message study_message, closed_message;
    bool is_answered, is_closing; /* under the indexer's lock */
    char *nodes;                  /* names, each with its NUL */
    size_t node_count;
    struct spool_asked *asked; /* the indexer's, as the rest */
    bool is_written, may_ask;
    uint64_t retry_ms;
    struct spool_studies *next;
};
void spool_studies_open(struct spool *s, struct spool_studies *st);
/* False without memory for the names: nothing is answered. */
MUST_USE bool spool_study_release(struct spool *s, struct spool_studies *st, const char *const *nodes,
                                  size_t count);
/* No more is asked. A study that is on its way to on_study comes, and must be answered; on_closed is the last callback. */
void spool_studies_close(struct spool *s, struct spool_studies *st);

/* --- where studies began -------------------------------------------------------------------------------------------- */

/*
 * Of a pool, a study is with this member. Kept SPOOL_CLAIM_KEPT_MS behind at_ms, in the index: it outlives the segments of the log. A later one of the
 * same pool and study takes the place of an older one, by their order in the log; over processes that share the folder, by their times.
 */
enum { SPOOL_CLAIM_KEPT_MS = 25 * 60 * 60 * 1000 };

struct spool_claim {
    const char *pool, *member;
    struct view study;
    uint64_t at_ms; /* wall clock: when it was asked for last */
    /* of one that is synced; it must stay until on_done, what it names need not */
    struct io *io;
    void *owner;
    void (*on_done)(struct spool_claim *c, bool is_safe); /* on io's thread */
    /* private */
    struct io_message message;
    bool is_good;
};
/* Written within a second or so, with others, and not synced. Nothing of it is needed afterwards. Any thread. */
void spool_note_claim(struct spool *s, const struct spool_claim *c);
/* Durable when it is done; before it are all claims that were noted, behind it whatever is written from now on: one sync serves it and a commit that comes at once. Any thread. */
void spool_claim(struct spool *s, struct spool_claim *c);
/* What is remembered, the youngest first, at most `max`. For threads that may block. ERR_IO, ERR_MEMORY: some may have been told. */
MUST_USE enum result spool_claims(struct spool *s, size_t max,
                                  void (*on_claim)(void *owner, const struct spool_claim *c), void *owner);

/* A message that was relayed, for the ledger. */
struct spool_relayed {
    uint64_t at_ms;
    const char *node, *route, *calling, *called, *remote;
    struct view sop_class, sop_instance, sent_instance, study;
    uint64_t bytes;
    uint16_t status;
    const char *comment;
};
/* A worker's notes: gathered in memory, written some times a second. Unsynced. */
struct spool_notes;
struct spool_notes *spool_notes_new(struct spool *s, struct io *io);
void spool_note(struct spool_notes *n, const struct spool_relayed *r);
/* Writes what is gathered. Nulls the pointer. */
void spool_notes_free(struct spool_notes **n);

#endif
