/* What the files of the index share: the connection, its statements, and small caches. */
#ifndef HILUM_SPOOL_INDEX_INSIDE_H
#define HILUM_SPOOL_INDEX_INSIDE_H

#include <sqlite3.h>

#include "spool/index.h"

/* Prepared once each, at first use. */
enum index_statement {
    INDEX_BEGIN,
    INDEX_COMMIT,
    INDEX_PLACE_GET,
    INDEX_PLACE_SET,
    INDEX_PLACE_NEWEST,
    INDEX_COUNTER_GET,
    INDEX_COUNTER_SET,
    INDEX_DATA_VERSION,
    INDEX_NAME_GET,
    INDEX_NAME_NEW,
    INDEX_STUDY_GET,
    INDEX_STUDY_NEW,
    INDEX_TALLY_ADD,
    INDEX_MESSAGE_NEW,
    INDEX_ENTRY_NEW,
    INDEX_ATTEMPT_NEW,
    INDEX_ATTEMPT_FORGET,
    INDEX_HELD_SET,
    INDEX_SYNTAX_NEW,
    INDEX_SYNTAXES,
    INDEX_SYNTAX_FORGET,
    INDEX_DELIVERY_GET,
    INDEX_DELIVERY_MOVE,
    INDEX_DELIVERY_TRIED,
    INDEX_DELIVERY_WHY,
    INDEX_MESSAGE_ENDED,
    INDEX_SHEET_NEW,
    INDEX_SHEET_NODE_NEW,
    INDEX_SHEET_PRINT_NEW,
    INDEX_SHEET_OF,
    INDEX_SHEET_BEHIND,
    INDEX_SHEETS_OLD,
    INDEX_SHEET_FORGET,
    INDEX_SHEET_NODE_FORGET,
    INDEX_SHEET_PRINT_FORGET,
    INDEX_NEXT,
    INDEX_NEXT_OF_GROUP,
    INDEX_ENTRY_GET,
    INDEX_DUE,
    INDEX_DUE_ASTRAY,
    INDEX_DUE_IS_ASTRAY,
    INDEX_DUE_NEXT,
    INDEX_QUIET,
    INDEX_QUIET_ASTRAY,
    INDEX_QUIET_NEXT,
    INDEX_QUIET_ENTRIES,
    INDEX_QUIET_DONE,
    INDEX_STUDIES,
    INDEX_STUDIES_NEXT,
    INDEX_STUDY_ROWS,
    INDEX_STUDY_GOES_TO,
    INDEX_STUDY_WAS_ADDED,
    INDEX_ADDED_NEW,
    INDEX_ADDED_NOTE,
    INDEX_ADDED_WHERE,
    INDEX_ADDED_PLACES,
    INDEX_ADDED_FORGET,
    INDEX_MESSAGE_MORE,
    INDEX_MESSAGE_NEED,
    INDEX_MESSAGE_WHERE,
    INDEX_MESSAGE_GIVE_BACK,
    INDEX_RELEASE_DONE,
    INDEX_SEGMENT_NEW,
    INDEX_SEGMENT_ADD,
    INDEX_SEGMENT_GET,
    INDEX_SEGMENT_IDLE,
    INDEX_SEGMENT_ALL,
    INDEX_SEGMENT_FORGET,
    INDEX_ENDED,
    INDEX_DELIVERY_FORGET,
    INDEX_ATTEMPTS_FORGET,
    INDEX_MESSAGE_KEPT,
    INDEX_MESSAGE_FORGET,
    INDEX_STUDY_USED,
    INDEX_STUDY_FORGET,
    INDEX_ROW,
    INDEX_KEY,
    INDEX_SINCE,
    INDEX_NODES,
    INDEX_NAME_TEXT,
    INDEX_RUN_NEXT,
    INDEX_RUN_RECEIVED,
    INDEX_RUN_SENT,
    INDEX_TALLY_NODES,
    INDEX_TALLY_GET,
    INDEX_OLDEST,
    INDEX_ATTEMPTS,
    INDEX_LINE_NEW,
    INDEX_LINE_FOLLOW,
    INDEX_LINE_LEAVE,
    INDEX_LINE_GET,
    INDEX_LINE_CHANGE,
    INDEX_LINE_BEFORE,
    INDEX_LINES,
    INDEX_CLAIM_SET,
    INDEX_CLAIMS,
    INDEX_CLAIMS_FORGET,
    INDEX_ORDER_NEW,
    INDEX_ORDERS_LEFT,
    INDEX_ORDERS,
    INDEX_ORDERS_DONE,
    INDEX_STATEMENTS
};

/* An entry's row, as far as a change of its state needs it. */
struct index_delivery {
    spool_id id;
    int64_t message, node, study, bytes;
    int64_t held; /* the group it waits in, or went with; 0: none */
    enum spool_state state;
    unsigned attempts;
};

/* Counts that change with nearly every record are gathered over a transaction: what is to be added to (a, b). */
struct index_sum {
    int64_t a, b, count, bytes;
};
enum { INDEX_SUMS_MAX = 64 };
struct index_sums {
    struct index_sum of[INDEX_SUMS_MAX];
    size_t count;
};

enum { INDEX_NAMES_CACHED = 256 /* a power of two */, INDEX_NAME_CACHED_MAX = 64 };
struct index_name_cached {
    uint32_t hash;
    uint8_t len;
    char text[INDEX_NAME_CACHED_MAX];
    int64_t number; /* 0: nothing here */
};

struct index {
    sqlite3 *db;
    sqlite3_stmt *statements[INDEX_STATEMENTS];
    bool is_begun, is_logged /* a failure, since the last commit */;
    int failed_code; /* SQLite's, of the last failure since a commit; 0: none */
    uint32_t *own;
    size_t own_count;
    int64_t data_version;           /* index_was_touched */
    int64_t cache_version;          /* what the caches are of */
    int64_t study, relayed;         /* the last numbers given out; of the counters */
    int64_t study_was, relayed_was; /* as they were read */
    struct index_sums segments;     /* a generation, b segment */
    struct index_sums tally;        /* a node, b state */
    void (*on_line)(void *owner, struct view node, struct view instance, int by);
    void *line_owner;
    bool line_has_moved;
    struct index_name_cached names[INDEX_NAMES_CACHED], studies[INDEX_NAMES_CACHED];
};

/* States of which a message's segments are kept. */
static inline bool index_is_live(enum spool_state state)
{
    return state <= SPOOL_FAILED_FOR_GOOD;
}
static inline uint32_t index_generation(spool_id id)
{
    return (uint32_t)(id >> SPOOL_ID_BITS);
}
bool index_is_own(const struct index *i, uint32_t generation);

#define RETURN_UNLESS_OK(x)                                                                                  \
    do {                                                                                                     \
        enum result result_ = (x);                                                                           \
        if (result_ != OK)                                                                                   \
            return result_;                                                                                  \
    } while (0)

/* --- statements (index.c) --- */

/*
 * A statement, reset and bound, ready to be stepped. `types` has a letter for each `?`: i int64_t, t const char * (NULL: null), v struct view as
 * text, b struct view as blob, n null. What is bound is borrowed until index_done. NULL: it failed, and was logged.
 */
sqlite3_stmt *index_ask(struct index *i, enum index_statement which, const char *sql, const char *types, ...);
/* OK: a row; NEED_MORE: no more of them; ERR_IO. */
MUST_USE enum result index_step(struct index *i, sqlite3_stmt *s);
void index_done(sqlite3_stmt *s);
/* Asks, steps to the end, is done. sqlite3_changes says what it did. */
MUST_USE enum result index_do(struct index *i, enum index_statement which, const char *sql, const char *types,
                              ...);
/* The first column of the first row, or `otherwise`. */
MUST_USE enum result index_number(struct index *i, enum index_statement which, int64_t otherwise,
                                  int64_t *out, const char *sql, const char *types, ...);
/* Adds the first column of every row, and is done; s NULL: it has failed already. */
MUST_USE enum result index_ids(struct index *i, sqlite3_stmt *s, struct spool_ids *ids);
/* Logs what SQLite says, once a transaction. Returns ERR_IO. */
enum result index_failed(struct index *i);

static inline struct view index_text(sqlite3_stmt *s, int column)
{
    const unsigned char *text = sqlite3_column_text(s, column);
    return (struct view){text, text ? (size_t)sqlite3_column_bytes(s, column) : 0};
}

/* --- names, studies, sums (index_name.c) --- */

/* The number of a text; a new one if there is none. */
MUST_USE enum result index_name(struct index *i, struct view text, int64_t *number_out);
/* 0: there is none. */
MUST_USE enum result index_name_find(struct index *i, struct view text, int64_t *number_out);
/* The number of a study; of an empty UID always a new one. A study that is new begins at at_ms. */
MUST_USE enum result index_study(struct index *i, struct view uid, uint64_t at_ms, int64_t *number_out);
MUST_USE enum result index_add(struct index *i, struct index_sums *sums, int64_t a, int64_t b, int64_t count,
                               int64_t bytes);
/* Into the tables. */
MUST_USE enum result index_add_up(struct index *i, struct index_sums *sums);
/* After a transaction that was abandoned, or after others have written. */
void index_forget_cached(struct index *i);
/* Of a text, for a place in an index. */
uint32_t index_hash(struct view text);

/* Runs of ids that lie together in the indices by instance, so that new rows touch few of their pages. */
enum { INDEX_RUN_BITS = 14 };
#define INDEX_RUN "id >> 14"

/* --- entries (index_take.c) --- */

/* OK with is_found_out false: there is none. */
MUST_USE enum result index_delivery_get(struct index *i, spool_id id, struct index_delivery *d,
                                        bool *is_found_out);
/* Changes node, state and due of an entry that is live, and what is counted by them. */
MUST_USE enum result index_delivery_move(struct index *i, const struct index_delivery *d, int64_t node,
                                         enum spool_state state, uint64_t due_ms, uint64_t at_ms);
/* The segments that a message needs: where its streams are, and its commit. `by`: 1 or -1. */
MUST_USE enum result index_count_segments(struct index *i, struct view streams, uint32_t generation,
                                          uint32_t segment, int by);

/* --- the ledger of what was relayed (index_sheet.c) --- */

/* What its statements need of a connection. */
MUST_USE bool index_sheets_prepare(sqlite3 *db);
/* Sheets whose newest delivery is older, at most max of them. */
MUST_USE enum result index_sheets_forget(struct index *i, uint64_t before_ms, unsigned max,
                                         unsigned *count_out);
/* The study that a relayed delivery's sheet stands as; -1: there is no such delivery. */
MUST_USE enum result index_sheet_study(struct index *i, spool_id id, int64_t *study_out);
/* The first sheet behind a study; 0: there is none. */
MUST_USE enum result index_sheets_behind(struct index *i, int64_t study, spool_id *id_out);

/* Deliveries that the filter may show (it is not asked about all that it says), from an id on, in their order. Borrows the filter. Close it also
 * after a failure. */
struct index_sheets;
MUST_USE enum result index_sheets_open(struct index *i, const struct index_filter *f, spool_id from,
                                       struct index_sheets **out);
/* The row's texts stay until the next. NEED_MORE: there are no more. */
MUST_USE enum result index_sheets_next(struct index_sheets *all, int64_t *study_out,
                                       struct index_row *row_out);
void index_sheets_close(struct index_sheets **all);

/* --- lines (index_line.c) --- */

/* Makes its table unless it is there: an index of before has none. */
MUST_USE bool index_lines_prepare(sqlite3 *db);
MUST_USE enum result index_line_join(struct index *i, spool_id entry, int64_t node, struct view instance);
/* An entry that was added to a message stands in line if the one `of` it does. */
MUST_USE enum result index_line_follow(struct index *i, spool_id entry, spool_id of, int64_t node);
/* It has ended; it goes to another node. One that is not in line is let be. */
MUST_USE enum result index_line_leave(struct index *i, spool_id entry);
MUST_USE enum result index_line_change(struct index *i, spool_id entry, int64_t node);

/* A message's row has its command field above its priority. */
static inline int64_t index_priority(uint16_t priority, uint16_t field)
{
    return field > RECORD_C_STORE ? (int64_t)field << 16 | priority : priority;
}
static inline uint16_t index_field(int64_t priority)
{
    return priority >> 16 ? (uint16_t)(priority >> 16) : RECORD_C_STORE;
}

/* --- where studies began (index_claim.c) --- */

/* Makes its table unless it is there: an index of before has none. */
MUST_USE bool index_claims_prepare(sqlite3 *db);

/* --- groups that ask (index_release.c) --- */

/* The last entry of a message has ended: records that added entries to it are not needed any more. */
MUST_USE enum result index_added_ended(struct index *i, int64_t message);

#endif
