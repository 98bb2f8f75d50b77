/*
 * The index: the log as SQLite tables. Everything in it follows from the log but for what the index alone decides (`place`), and it says how far it
 * has read. (Inside spool/, and hilum queue.)
 *
 *   meta      version; history
 *   place     generation -> how far its log has been read (segment, offset)
 *   name      text -> number: node, route, titles, addresses, syntaxes, classes (they repeat)
 *   study     uid -> number, in the order in which studies were first queued
 *   message   one row a commit: its texts, streams blob, how many of its entries are live (held, queued, waiting, failed)
 *   delivery  one row an entry or relayed delivery: message (NULL: relayed), node, route, state, study, due, attempts, status, comment, times,
 *             received and sent instance UID. Partial indices: live ones by (node, study, id); waiting ones by due; all by a hash of the
 *             received instance UID, and of the sent one where it differs
 *   attempt   history of an entry: at, status, comment (only of those that were not delivered at the first)
 *   segment   (generation, number) -> messages that are live in it, bytes
 *   orders    what hilum queue asks of a running gateway: done by its indexer, which polls PRAGMA data_version
 *
 * WAL, synchronous = NORMAL: after a power cut it is whole but may be behind; the log makes up for that. One connection, one thread.
 */
#ifndef HILUM_SPOOL_INDEX_H
#define HILUM_SPOOL_INDEX_H

#include "spool/log.h"

struct index;

/* Opens or makes `path`. ERR_USAGE: of a newer version; ERR_IO: SQLite says why. Read-only: for looking, beside a gateway. */
MUST_USE enum result index_open(const char *path, bool is_read_only, struct index **out, char *why,
                                size_t why_cap);
void index_close(struct index **i);

/* Everything between begin and commit is one transaction, with the position that it stands for. */
MUST_USE enum result index_begin(struct index *i);
MUST_USE enum result index_commit(struct index *i, struct log_position read_to);
/* How far this generation's log has been read; zeroes: not at all. */
MUST_USE enum result index_place(struct index *i, uint32_t generation, struct log_position *out);

/* --- what the log says ---------------------------------------------------------------------------------------- */
/* Each may be applied again: what is there already is left as it is. Commits, outcomes, relayed, orders of record.h. */

MUST_USE enum result index_take_commit(struct index *i, const struct record_commit *c);
/* An entry that is not there, or has ended, is left alone. */
MUST_USE enum result index_take_outcome(struct index *i, const struct spool_outcome *o);
MUST_USE enum result index_take_relayed(struct index *i, const struct record_relayed *r);
MUST_USE enum result index_take_order(struct index *i, const struct record_order *o);

/* --- delivery -------------------------------------------------------------------------------------------------- */

/* Up to max entries of the node that are queued and not among `handed` (ids, sorted): oldest study first. */
MUST_USE enum result index_next(struct index *i, const char *node, unsigned max, const spool_id *handed,
                                size_t handed_count, struct spool_entry **list_out);
/* What waits and is due by now is queued again. *next_ms_out: when the next one will be; 0: none waits. nodes_out(owner, name) is told each node
 * that got some. */
MUST_USE enum result index_wake(struct index *i, uint64_t now_ms,
                                void (*on_node)(void *owner, const char *node), void *owner,
                                uint64_t *next_ms_out);

/* --- space ------------------------------------------------------------------------------------------------------ */

/* A segment came to be (the walk has entered it). */
MUST_USE enum result index_take_segment(struct index *i, struct record_place p);
/* Segments without live messages, oldest first: at most max of them. */
MUST_USE enum result index_idle_segments(struct index *i, struct record_place *out, size_t max,
                                         size_t *count_out);
MUST_USE enum result index_forget_segment(struct index *i, struct record_place p);
/* Everything up to here has reached the disk (a WAL checkpoint): only then may a segment go. */
MUST_USE enum result index_checkpoint(struct index *i);
/* Rows of deliveries that ended before this time are deleted, at most max of them. */
MUST_USE enum result index_forget_ended(struct index *i, uint64_t before_ms, unsigned max,
                                        unsigned *count_out);

/* --- looking (hilum queue) --------------------------------------------------------------------------------------- */

struct index_filter {
    const char *node;     /* NULL: any */
    unsigned states;      /* bit per enum spool_state; 0: any */
    const char *study;    /* Study Instance UID; NULL: any */
    const char *instance; /* received or sent SOP Instance UID */
    uint64_t before_ms;   /* queued (or relayed) before; 0: any */
    spool_id after;       /* for paging: rows behind this one in the order of the list; 0: from the start */
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
    bool has_status;
};
MUST_USE enum result index_list(struct index *i, const struct index_filter *f,
                                bool (*on_row)(void *owner, const struct index_row *row), void *owner);
/* Queue by node: counts by state, oldest queued time. */
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
/* An entry with its streams, whatever its state is, as long as its message is there: for export. NULL in *out: it is not. */
MUST_USE enum result index_entry(struct index *i, spool_id id, struct spool_entry **out);

/* --- orders -------------------------------------------------------------------------------------------------------- */

/* hilum queue, beside a gateway: leaves an order for each id. *ticket_out is for index_orders_left. */
MUST_USE enum result index_order(struct index *i, const spool_id *ids, size_t count, bool drop,
                                 const char *to, int64_t *ticket_out);
/* How many of them are not carried out yet. */
MUST_USE enum result index_orders_left(struct index *i, int64_t ticket, size_t *count_out);
/* The indexer: somebody else has written to the file since the last call. */
bool index_was_touched(struct index *i);
/* The next orders, at most max; carried out by a RECORD_ORDER in the log, then index_orders_done up to the last one's number. */
MUST_USE enum result index_orders(struct index *i, struct octets *record_out, unsigned max, int64_t *last_out,
                                  size_t *count_out);
MUST_USE enum result index_orders_done(struct index *i, int64_t last);

#endif
