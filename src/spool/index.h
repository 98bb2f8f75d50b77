/*
 * The index: the log as SQLite tables. Everything in it follows from the log but for what the index alone decides (`place`), and it says how far it
 * has read. (Inside spool/, and hilum queue.)
 *
 *   place     generation -> how far its log has been read (segment, offset)
 *   counter   numbers that are given out: of studies, of relayed deliveries
 *   name      text -> number: node, route, titles, addresses, syntaxes, classes (they repeat)
 *   study     uid -> number, in the order in which studies were first queued. An instance whose study is not known has a number of its own
 *   message   one row a commit: its texts (the command field, where it is no C-STORE, stands above the 16 bits of the priority), streams blob, how many of its entries are live (held, queued, waiting, failed; -1: none, and its bytes
 *             are given back) and how many are kept
 *   delivery  one row an entry: message, node, route, state, study, due, attempts, status, comment, times, a sent instance UID that differs.
 *             Indices: all by (node, state, study, id), which is the order of delivery and of lists; waiting ones by due and by since when; ended ones by when;
 *             all by a hash of the received instance UID, and of the sent one where it differs
 *   sheet     many relayed deliveries a row, as the log brought them: id of the first, how many, the study that it stands as, when the last was.
 *             sheet_node: the nodes in it; sheet_print: hashes of the UIDs in it
 *   held      a study or series of a route that has to be quiet -> until when, since when, and whether it asks then. Entries keep its number when they go
 *   syntax    of what was held of a study: so that one association can be asked for that takes all of it
 *   added     entries that a release has added to a message: the message keeps the segment of that record, too
 *   attempt   history of an entry: at, status, comment (only of those that were not delivered at the first)
 *   segment   (generation, number) -> messages that are live in it
 *   tally     (node, state) -> live entries and their bytes
 *   line      entries of what is no C-STORE -> node, and the instance UID they go out as, while they are live: they go one after another
 *   claim     (pool, study's UID) -> member, and when it was asked for last: where studies began
 *   orders    what hilum queue asks of a running gateway: done by its indexer, which polls PRAGMA data_version
 *
 * Ids of entries are the log's. Relayed deliveries are numbered here, as of generation 0, one after another through each sheet.
 *
 * WAL, synchronous = NORMAL: after a power cut it is whole but may be behind; the log makes up for that. One connection, one thread at a time.
 * Several processes may have it open: each writes what its own logs say.
 *
 * What fails has been logged, with SQLite's words, and leaves a transaction that can only be abandoned.
 */
#ifndef HILUM_SPOOL_INDEX_H
#define HILUM_SPOOL_INDEX_H

#include "base/arena.h"
#include "spool/log.h"

struct index;
struct record_relayed;

/*
 * Opens or makes `path`. Read-only: for looking, beside a gateway.
 *
 * ERR_USAGE  of another version, or none of ours; it was not changed
 * ERR_IO     SQLite says why
 * ERR_MEMORY
 */
MUST_USE enum result index_open(const char *path, bool is_read_only, struct index **out, char *why,
                                size_t why_cap);
void index_close(struct index **i);
/* Why it failed last, in SQLite's words, since it was opened or committed; NULL: it has not. *is_full_out: the disk is. */
const char *index_failure(const struct index *i, bool *is_full_out);

/* Generations whose entries and segments this process looks after: index_next and index_idle_segments tell of no others. Copied. */
MUST_USE enum result index_own(struct index *i, const uint32_t *generations, size_t count);

/* Everything between begin and commit is one transaction, with the position that it stands for. (Generation 0: none.) Other processes that want to
 * write wait meanwhile. */
MUST_USE enum result index_begin(struct index *i);
MUST_USE enum result index_commit(struct index *i, struct log_position read_to);
/* Takes back what was done since the beginning, if anything was begun. */
void index_abandon(struct index *i);
/* How far this generation's log has been read; zeroes: not at all. */
MUST_USE enum result index_place(struct index *i, uint32_t generation, struct log_position *out);
/* The highest generation that it has heard of; 0: none. */
MUST_USE enum result index_newest_generation(struct index *i, uint32_t *out);

/* --- what the log says ---------------------------------------------------------------------------------------- */
/* All inside of begin and commit. Each may be applied again: what is there already is left as it is. (Not so outcomes that count as an attempt, and
 * sheets: a place that is committed together with what was read up to it sees to that.) */

/* `segment`: that holds the record; it is kept as long as the message is live, so that the log alone says everything about it. `damage`: NULL, or why
 * its entries are not to be delivered: they fail for good, with this comment. */
MUST_USE enum result index_take_commit(struct index *i, const struct record_commit *c, uint32_t segment,
                                       const char *damage);
/* An entry that is not there, or has ended, is left alone. */
MUST_USE enum result index_take_outcome(struct index *i, const struct spool_outcome *o);
/* ERR_PROTO: it is none (sheet.h). */
MUST_USE enum result index_take_sheet(struct index *i, struct view sheet);
MUST_USE enum result index_take_order(struct index *i, const struct record_order *o);
/* `where`: the segment that holds the record. */
MUST_USE enum result index_take_release(struct index *i, const struct record_release *r,
                                        struct record_place where);

/* One of another process than ours counts only if it is no older than what is there. */
MUST_USE enum result index_take_claim(struct index *i, const struct record_claim *c, bool is_ours);

/* --- lines ------------------------------------------------------------------------------------------------------- */

/* Told of each entry that gets in line (by 1), or out of it (-1), in transactions that may be abandoned. */
void index_watch_lines(struct index *i,
                       void (*on_line)(void *owner, struct view node, struct view instance, int by),
                       void *owner);
/* All that is in line. */
MUST_USE enum result index_lines(struct index *i,
                                 void (*on_line)(void *owner, struct view node, struct view instance),
                                 void *owner);
/* Some entry has left its line since the last call: another may be due. */
bool index_line_has_moved(struct index *i);
/* The first that an entry stands behind; 0: it stands behind none. */
MUST_USE enum result index_line_before(struct index *i, spool_id entry, spool_id *before_out);

/* --- where studies began ------------------------------------------------------------------------------------------ */

/* The youngest first, at most max. Texts until the callback returns. */
MUST_USE enum result index_claims(struct index *i, size_t max,
                                  void (*on_claim)(void *owner, const struct record_claim *c), void *owner);
/* Rows that are older than SPOOL_CLAIM_KEPT_MS are deleted, at most max of them; likewise those of a time so far to come: the clock was wrong then. Inside of begin and commit. */
MUST_USE enum result index_forget_claims(struct index *i, uint64_t now_ms, unsigned max, unsigned *count_out);

/* --- delivery -------------------------------------------------------------------------------------------------- */

/* Up to max entries of the node, in the range, that are queued, have no order, and are not among `handed`: oldest study first. */
MUST_USE enum result index_next(struct index *i, const char *node, struct spool_range range, unsigned max,
                                const struct spool_ids *handed, struct spool_entry **list_out);
/* What waits and is due by now is queued again, and what was held for a group that is quiet and does not ask: some of it, if it is much. *next_ms_out: when to ask
 * again; 0: nothing waits. What has waited since a time to come is due as well: the clock was set back. on_node is told each node that got some. Inside of begin and commit. */
MUST_USE enum result index_wake(struct index *i, uint64_t now_ms,
                                void (*on_node)(void *owner, const char *node), void *owner,
                                uint64_t *next_ms_out);

/* --- groups that ask ------------------------------------------------------------------------------------------- */

/* What a group was made of when it was asked about. */
struct spool_asked {
    struct arena memory;
    struct spool_study study;
    struct spool_study_series rest; /* those that are not listed */
    struct spool_asked_entry {
        spool_id id, message;
    } * entries; /* by id */
    size_t count, cap;
};
/* Groups that ask and have been quiet, the longest first (due_ms 0: the clock was set back since), until on_group returns false. *next_ms_out: when the next one will be; 0: none waits. */
MUST_USE enum result index_studies(struct index *i, uint64_t now_ms,
                                   bool (*on_group)(void *owner, int64_t group, struct view route,
                                                    uint64_t due_ms),
                                   void *owner, uint64_t *next_ms_out);
/* NULL in *out: it has no entries of ours. *others_out: it has some that another process looks after. A group without any is removed. Inside of
 * begin and commit. */
MUST_USE enum result index_study_read(struct index *i, int64_t group, struct spool_asked **out,
                                      bool *others_out);
void index_asked_free(struct spool_asked **a);
/* What has to be added, for these nodes (each once), but for instances that go there already: malloc'ed, without ids. */
MUST_USE enum result index_study_added(struct index *i, const struct spool_asked *a, const char *const *nodes,
                                       size_t node_count, struct record_added **out, size_t *count_out);

/* --- space ------------------------------------------------------------------------------------------------------ */

/* A segment came to be (the walk has entered it). */
MUST_USE enum result index_take_segment(struct index *i, struct record_place p);
/* Own segments without live messages, oldest first: at most max of them. */
MUST_USE enum result index_idle_segments(struct index *i, struct record_place *out, size_t max,
                                         size_t *count_out);
MUST_USE enum result index_forget_segment(struct index *i, struct record_place p);
/* Own segments that are there, in order, with how much of what is live they hold. */
MUST_USE enum result index_segments(struct index *i,
                                    bool (*on_segment)(void *owner, struct record_place p, int64_t live),
                                    void *owner);
/* Who needs the bytes of a message. */
enum index_need {
    NEED_UNKNOWN,    /* nobody: it is forgotten, or was never to be believed */
    NEED_LIVE,       /* entries that are live */
    NEED_ENDED,      /* nobody but who looks at what has ended */
    NEED_GIVEN_BACK, /* they are gone, or will be */
};
MUST_USE enum result index_message_need(struct index *i, spool_id message, enum index_need *out);
/* The bytes of a message that has ended count as gone from now on: nothing can be made of it any more. One that has not is left as it is. Inside of
 * begin and commit; it must have reached the disk, as with segments, before they go. */
MUST_USE enum result index_give_back(struct index *i, spool_id message);
/* Somebody needs the bytes of the message, or all of them are still there. */
MUST_USE enum result index_has_bytes(struct index *i, spool_id message, bool *out);
/* All that was committed has reached the disk (a WAL checkpoint): only then may a segment go. Outside of a transaction. NEED_MORE: not now, somebody
 * reads an older state; ask later. */
MUST_USE enum result index_checkpoint(struct index *i);
/* Rows of deliveries that ended before this time are deleted, at most max of them; a sheet counts as one, and goes when its last is so old. Inside of
 * begin and commit. */
MUST_USE enum result index_forget_ended(struct index *i, uint64_t before_ms, unsigned max,
                                        unsigned *count_out);

/* --- looking (hilum queue) --------------------------------------------------------------------------------------- */

struct index_filter {
    const char *node;     /* NULL: any */
    unsigned states;      /* bit per enum spool_state; 0: any */
    const char *study;    /* Study Instance UID; NULL: any */
    const char *instance; /* received or sent SOP Instance UID */
    uint64_t before_ms;   /* queued (or relayed) before; 0: any */
    spool_id
        after; /* for paging: rows behind this one in the order of the list; 0: from the start. A row that has gone: nothing */
    unsigned max;
};
/* A row as people see it; texts until the callback returns. */
struct index_row {
    spool_id id;
    bool is_relayed;
    enum spool_state state;
    const char *node, *route, *calling, *called, *remote, *sop_class, *sop_instance, *sent_instance, *study,
        *series, *patient, *transfer_syntax, *comment;
    uint64_t queued_ms, changed_ms, due_ms, bytes;
    unsigned attempts;
    uint16_t status;
    uint16_t field; /* of its command */
    bool has_status;
};
/* In the order of delivery: studies as they were first queued, and by age in each; a sheet stands as a study that began when it came. With an instance: by
 * id. on_row returns false to end it. */
MUST_USE enum result index_list(struct index *i, const struct index_filter *f,
                                bool (*on_row)(void *owner, const struct index_row *row), void *owner);
/* A relayed delivery, by its id (of generation 0). */
MUST_USE enum result index_relayed(struct index *i, spool_id id, bool *is_found_out,
                                   bool (*on_row)(void *owner, const struct index_row *row), void *owner);
/* Deliveries of the queue, whatever their state is, of what was received, or goes out, as this instance. on_row returns false to end it. */
MUST_USE enum result index_where_queued(struct index *i, const char *instance,
                                        bool (*on_row)(void *owner, const struct index_row *row),
                                        void *owner);
/* The same of what was relayed, for many instances in one go: `holds` is asked about hashes of UIDs (index_hash), and every row of a sheet that has such a
 * one comes: the caller picks those it means. */
MUST_USE enum result index_where_relayed(struct index *i, bool (*holds)(void *owner, uint32_t hash),
                                         bool (*on_row)(void *owner, const struct record_relayed *row),
                                         void *owner);
/* Queue by node: counts by state, and the time of the oldest: of the study that is next (in each state). */
struct index_summary {
    const char *node;
    uint64_t count[8]; /* by enum spool_state; live ones only */
    uint64_t oldest_ms, bytes;
};
MUST_USE enum result index_summarise(struct index *i,
                                     bool (*on_node)(void *owner, const struct index_summary *s),
                                     void *owner);
/* The attempts of an entry, oldest first. */
MUST_USE enum result index_attempts(struct index *i, spool_id id,
                                    bool (*on_attempt)(void *owner, uint64_t at_ms, uint16_t status,
                                                       const char *comment),
                                    void *owner);
/* An entry with its streams, whatever its state is, as long as its message and its segments are there: for export. NULL in *out: they are not. */
MUST_USE enum result index_entry(struct index *i, spool_id id, struct spool_entry **out);

/* --- orders -------------------------------------------------------------------------------------------------------- */

/* hilum queue, beside a gateway: leaves an order for each id, in a transaction of its own. *ticket_out is for index_orders_left. `to`: NULL or another
 * node. */
MUST_USE enum result index_order(struct index *i, const spool_id *ids, size_t count, bool drop,
                                 const char *to, int64_t *ticket_out);
/* How many of them, and of older ones, are not carried out yet. */
MUST_USE enum result index_orders_left(struct index *i, int64_t ticket, size_t *count_out);
/* The indexer: somebody else has written to the file since the last call. */
bool index_was_touched(struct index *i);
/*
 * The next orders, at most max, as the payload of a RECORD_ORDER, and their numbers; then index_orders_done with these, in the transaction that takes
 * them. Those for entries that are `handed` out are left for later: what becomes of the attempt must not stand behind the
 * order in the log. Entries with an order are not handed out (index_next).
 */
MUST_USE enum result index_orders(struct index *i, uint64_t at_ms, const struct spool_ids *handed,
                                  struct octets *record_out, unsigned max, int64_t *numbers_out,
                                  size_t *count_out);
/* Some are left. */
MUST_USE enum result index_orders_open(struct index *i, bool *are_left_out);
MUST_USE enum result index_orders_done(struct index *i, const int64_t *numbers, size_t count);

#endif
