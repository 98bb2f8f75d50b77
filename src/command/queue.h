/* What the files of hilum queue share: what was asked for, what it is asked of, and how rows are kept and printed. */
#ifndef HILUM_COMMAND_QUEUE_H
#define HILUM_COMMAND_QUEUE_H

#include <jansson.h>
#include <stdio.h>

#include "config/config.h"
#include "spool/index.h"

/* --- what was asked for (queue_options.c) ------------------------------------------------------------------------ */

enum queue_verb { QUEUE_LIST, QUEUE_SHOW, QUEUE_RETRY, QUEUE_DROP, QUEUE_EXPORT };

enum {
    QUEUE_LIVE = 1 << SPOOL_HELD | 1 << SPOOL_QUEUED | 1 << SPOOL_WAITING | 1 << SPOOL_FAILED_FOR_GOOD,
    QUEUE_ALL = (1 << (SPOOL_RELAYED + 1)) - 1,
    QUEUE_LIMIT = 100 /* rows of a list, unless it is said otherwise */
};

struct queue_options {
    const char *config;
    enum queue_verb verb;
    spool_id *ids; /* queue_options_free */
    size_t id_count;
    /* Which ones, without ids; NULL, 0: any. */
    const char *node, *study, *instance;
    unsigned states; /* bit per enum spool_state; filled in by the verb where nothing was said */
    uint64_t older_ms;
    uint64_t limit; /* UINT64_MAX: none */
    spool_id after;
    const char *to, *out;
    bool all, yes, json, help;
};

/* False: it was told on stderr what is wrong. */
bool queue_options_parse(int argc, char **argv, struct queue_options *o);
void queue_options_free(struct queue_options *o);

/* --- what it is asked of (queue.c) ------------------------------------------------------------------------------- */

struct queue {
    struct queue_options o;
    struct config *config;
    struct index *index; /* for looking only, but for retry and drop */
    bool is_in_use;      /* by a gateway */
    struct spool *spool; /* NULL: not ours, as it mostly is */
    uint64_t now_ms;     /* of the whole command */
    bool has_failed;     /* something of it; told already */
    json_t *failures;    /* the same as [{"what", "reason"}]; NULL: none yet */
};

/* "hilum queue: what: why" on stderr. */
void queue_say(const char *what, const char *why);
/* The same, and the command has failed: all else goes on. */
void queue_fail(struct queue *q, const char *what, const char *why);
/* Of the command's JSON result; a reference of its own. NULL without memory. */
json_t *queue_failures(const struct queue *q);
/* Where no gateway has it: what was left behind is read, orders are carried out. ERR_IO was told. */
MUST_USE enum result queue_spool_open(struct queue *q);
void queue_spool_close(struct queue *q);

/* The verbs. ERR_IO was told, ERR_MEMORY was not. */
MUST_USE enum result queue_list(struct queue *q);
MUST_USE enum result queue_show(struct queue *q);
MUST_USE enum result queue_act(struct queue *q); /* retry, drop */
MUST_USE enum result queue_export(struct queue *q);

/* --- rows (queue_rows.c) ----------------------------------------------------------------------------------------- */

/* Rows with their texts, so that nobody waits for a terminal inside a transaction of the index. */
struct queue_rows {
    struct index_row *of;
    char **texts; /* a block of each */
    size_t count, cap;
    bool failed; /* without memory */
};
/* For index_list and look_row; the owner is the rows. */
bool queue_rows_take(void *owner, const struct index_row *row);
void queue_rows_free(struct queue_rows *rows);

/* Pages of what the filters ask for. */
struct queue_pages {
    struct queue *q;
    struct queue_rows rows; /* this page */
    spool_id after;         /* the last row that was read */
    uint64_t left;          /* of --limit */
    bool has_more;          /* behind the last page: --limit ended it */
    bool is_over;
};
void queue_pages_begin(struct queue_pages *p, struct queue *q);
/* NEED_MORE: there is no other page. */
MUST_USE enum result queue_pages_next(struct queue_pages *p);
void queue_pages_end(struct queue_pages *p);

/* Entries that are to be acted on: those named by id that may be, and those that the filters find. What may not be is told, and counts
 * as failed in q. Of retry without --to those whose node is gone are left, by node; named by id they are told, too. */
struct queue_pick {
    spool_id id;
    uint64_t bytes;
};
struct queue_gone {
    char *node;
    uint64_t left;
};
struct queue_picks {
    struct queue_pick *of;
    size_t count, cap;
    uint64_t bytes;
    struct queue_gone *gone;
    size_t gone_count;
    uint64_t left; /* of all of them */
};
MUST_USE enum result queue_pick(struct queue *q, struct queue_picks *out);
void queue_picks_free(struct queue_picks *p);

/* --- words (queue_words.c) --------------------------------------------------------------------------------------- */

/* "0s", "59s", "12m", "2h05m", "3d04h". */
void queue_span(uint64_t ms, char out[24]);
/* Local time, "2026-03-01 10:00:00". */
void queue_time(uint64_t wall_ms, char out[24]);
/* "2026-03-01T10:00:00.123Z" */
void queue_time_utc(uint64_t wall_ms, char out[32]);
/* "held,waiting", "live", "all" -> bits. 0: one of them is no state. */
unsigned queue_states_parse(const char *text);

/* Columns for people: cells, row by row, the first row is the head. All but the last column are as wide as their widest cell. */
struct queue_table {
    unsigned columns;
    unsigned right; /* bit per column: its cells stand at the right */
    char **cells;   /* NULL in the first of a row: the second is a line of its own */
    size_t count, cap;
    bool failed; /* without memory */
};
__attribute__((format(printf, 2, 3))) void queue_table_put(struct queue_table *t, const char *format, ...);
/* A whole row. */
void queue_table_line(struct queue_table *t, const char *text);
/* And empties it. False: it cannot be written. */
bool queue_table_print(struct queue_table *t, FILE *to);
void queue_table_free(struct queue_table *t);

#endif
