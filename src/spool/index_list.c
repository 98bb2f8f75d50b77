/*
 * Looking: lists, summaries, histories.
 *
 * A list is merged from ranges of the index by node: one for each node and state that it may show. Each is in the order of the list already, so
 * that a page costs its own length, however long the queue is.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "spool/ids.h"
#include "spool/index_inside.h"

enum {
    STATES = SPOOL_RELAYED + 1,
    ANY_STATE = (1 << STATES) - 1,
    CLOCK_SLACK_MS = 60000, /* how far a clock may have gone back */
};

#define NAME(column) "(SELECT text FROM name WHERE number = " column ")"

/* What rows are in order by. */
struct key {
    int64_t study;
    spool_id id;
};

/* --- rows -------------------------------------------------------------------------------------------------------- */

static const char *text_of(sqlite3_stmt *s, int column)
{
    const char *text = (const char *)sqlite3_column_text(s, column);
    return text ? text : "";
}

static struct index_row read_row(sqlite3_stmt *s)
{
    struct index_row row = {
        .id = (spool_id)sqlite3_column_int64(s, 0),
        .state = (enum spool_state)sqlite3_column_int(s, 1),
        .queued_ms = (uint64_t)sqlite3_column_int64(s, 2),
        .changed_ms = (uint64_t)sqlite3_column_int64(s, 3),
        .due_ms = (uint64_t)sqlite3_column_int64(s, 4),
        .bytes = (uint64_t)sqlite3_column_int64(s, 5),
        .attempts = (unsigned)sqlite3_column_int64(s, 6),
        .status = (uint16_t)sqlite3_column_int(s, 7),
        .has_status = sqlite3_column_type(s, 7) != SQLITE_NULL,
        .comment = text_of(s, 8),
        .node = text_of(s, 9),
        .route = text_of(s, 10),
        .calling = text_of(s, 11),
        .called = text_of(s, 12),
        .remote = text_of(s, 13),
        .sop_class = text_of(s, 14),
        .sop_instance = text_of(s, 15),
        .sent_instance = text_of(s, 16),
        .study = text_of(s, 17),
        .series = text_of(s, 18),
        .patient = text_of(s, 19),
        .transfer_syntax = text_of(s, 20),
        .field = index_field(sqlite3_column_int64(s, 21)),
    };
    return row;
}

static sqlite3_stmt *ask_row(struct index *i, spool_id id)
{
    static const char sql[] =
        "SELECT d.id, d.state, d.queued, d.changed,"
        " coalesce((SELECT due FROM held WHERE number = d.held AND d.state = 0), d.due), d.bytes, d.attempts,"
        " d.status, d.comment, " NAME("d.node") ", " NAME("d.route") ", " NAME("m.calling") ", " NAME(
            "m.called") ", " NAME("m.remote") ", " NAME("m.class") ", m.instance,"
                                                                   " coalesce(d.sent_instance, m.instance), "
                                                                   "(SELECT uid FROM study WHERE number = "
                                                                   "d.study), m.series,"
                                                                   " m.patient, " NAME(
                                                                       "m.transfer") ", m.priority FROM "
                                                                                     "delivery d JOIN "
                                                                                     "message m ON m.id = "
                                                                                     "d.message WHERE d.id = "
                                                                                     "?";
    return index_ask(i, INDEX_ROW, sql, "i", (int64_t)id);
}

static bool passes(const struct index_filter *f, const struct index_row *row)
{
    return (f->states == 0 || f->states >> row->state & 1) &&
           (f->before_ms == 0 || row->queued_ms < f->before_ms) &&
           (!f->node || strcmp(f->node, row->node) == 0) &&
           (!f->study || strcmp(f->study, row->study) == 0) &&
           (!f->instance || strcmp(f->instance, row->sop_instance) == 0 ||
            strcmp(f->instance, row->sent_instance) == 0);
}

struct listing {
    struct index *i;
    const struct index_filter *f;
    bool (*on_row)(void *owner, const struct index_row *row);
    void *owner;
    unsigned shown;
    bool is_over;
};

/* Studies are in the order of their first instances: behind one that began too late there is nothing that is old enough. */
static enum result end_if_late(struct listing *l, int64_t study, uint64_t queued_ms)
{
    int64_t since;
    enum result r = index_number(l->i, INDEX_SINCE, (int64_t)queued_ms, &since,
                                 "SELECT since FROM study WHERE number = ?", "i", study);
    if (r == OK && (uint64_t)since >= l->f->before_ms + CLOCK_SLACK_MS)
        l->is_over = true;
    return r;
}

/* `study`: of a list in their order; 0: it is in another. */
static enum result show_row(struct listing *l, const struct index_row *row, int64_t study)
{
    if (passes(l->f, row)) {
        l->shown++;
        l->is_over = !l->on_row(l->owner, row) || l->shown >= l->f->max;
    } else if (study != 0 && l->f->before_ms != 0 && row->queued_ms >= l->f->before_ms) {
        return end_if_late(l, study, row->queued_ms);
    }
    return OK;
}

static enum result show(struct listing *l, spool_id id, int64_t study)
{
    sqlite3_stmt *s = ask_row(l->i, id);
    if (!s)
        return ERR_IO;
    enum result r = index_step(l->i, s);
    if (r == OK) {
        struct index_row row = read_row(s);
        r = show_row(l, &row, study);
    }
    index_done(s);
    return r == NEED_MORE ? OK : r;
}

static bool shows_relayed(const struct listing *l)
{
    return l->f->states == 0 || l->f->states >> SPOOL_RELAYED & 1;
}

/* --- by node, state and study -------------------------------------------------------------------------------------- */

struct range {
    sqlite3_stmt *s;
    struct key next;
};
struct ranges {
    struct range *of;
    size_t count, cap;
    int64_t study;               /* only this one; 0: any, negative: none */
    struct index_sheets *sheets; /* NULL: none is left */
    struct index_row relayed;    /* the next of them, */
    int64_t relayed_study;       /*   and where it stands */
};

/* Goes on to its next row; a range at its end is taken out. */
static enum result advance(struct index *i, struct ranges *all, size_t at)
{
    struct range *range = &all->of[at];
    enum result r = index_step(i, range->s);
    if (r == OK) {
        range->next =
            (struct key){sqlite3_column_int64(range->s, 0), (spool_id)sqlite3_column_int64(range->s, 1)};
        if (all->study == 0 || range->next.study == all->study)
            return OK;
    }
    sqlite3_finalize(range->s);
    *range = all->of[--all->count];
    return r == ERR_IO ? r : OK;
}

static enum result add_range(struct index *i, struct ranges *all, int64_t node, int state, struct key after)
{
    static const char sql[] =
        "SELECT study, id FROM delivery INDEXED BY by_node WHERE node = ?1 AND state = ?2 AND study = ?3 AND "
        "id > ?4 UNION ALL SELECT study, id FROM delivery INDEXED BY by_node WHERE node = ?1 AND state = ?2 "
        "AND study > ?3 ORDER BY 1, 2";
    if (all->count == all->cap) {
        size_t cap = all->cap ? all->cap * 2 : 32;
        struct range *of = realloc(all->of, cap * sizeof(*of));
        if (!of)
            return ERR_MEMORY;
        all->of = of;
        all->cap = cap;
    }
    struct range *range = &all->of[all->count];
    if (sqlite3_prepare_v2(i->db, sql, -1, &range->s, NULL) != SQLITE_OK)
        return index_failed(i);
    all->count++;
    sqlite3_bind_int64(range->s, 1, node);
    sqlite3_bind_int64(range->s, 2, state);
    sqlite3_bind_int64(range->s, 3, after.study);
    sqlite3_bind_int64(range->s, 4, (int64_t)after.id);
    return advance(i, all, all->count - 1);
}

static enum result add_node(struct index *i, struct ranges *all, const struct index_filter *f, int64_t node,
                            struct key after)
{
    unsigned states = f->states ? f->states : ANY_STATE;
    enum result r = OK;
    for (int state = 0; r == OK && state < STATES; state++) {
        if (states >> state & 1)
            r = add_range(i, all, node, state, after);
    }
    return r;
}

static enum result next_node(struct index *i, int64_t *node)
{
    return index_number(i, INDEX_NODES, 0, node,
                        "SELECT min(node) FROM delivery INDEXED BY by_node WHERE node > ?", "i", *node);
}

/* Every range that the filter may show, from `after` on. */
static enum result open_ranges(struct index *i, struct ranges *all, const struct index_filter *f,
                               struct key after)
{
    int64_t node = 0;
    enum result r;
    if (all->study < 0 || (all->study > 0 && after.study > all->study))
        return OK;
    if (all->study > 0 && after.study < all->study)
        after = (struct key){all->study, 0};
    if (f->node) {
        r = index_name_find(i, view_of(f->node), &node);
        return r == OK && node != 0 ? add_node(i, all, f, node, after) : r;
    }
    while ((r = next_node(i, &node)) == OK && node != 0) {
        r = add_node(i, all, f, node, after);
        if (r != OK)
            return r;
    }
    return r;
}

/* --- what was relayed ------------------------------------------------------------------------------------------------ */

static enum result advance_relayed(struct ranges *all)
{
    enum result r = index_sheets_next(all->sheets, &all->relayed_study, &all->relayed);
    if (r == NEED_MORE)
        index_sheets_close(&all->sheets);
    return r == NEED_MORE ? OK : r;
}

static enum result open_relayed(struct listing *l, struct ranges *all, struct key after)
{
    spool_id from = after.id + 1;
    if (!shows_relayed(l))
        return OK;
    if (after.study != 0 && index_generation(after.id) != 0)
        RETURN_UNLESS_OK(index_sheets_behind(l->i, after.study, &from));
    if (from == 0)
        return OK;
    RETURN_UNLESS_OK(index_sheets_open(l->i, l->f, from, &all->sheets));
    return advance_relayed(all);
}

/* --- merged ------------------------------------------------------------------------------------------------------------ */

static bool is_before(struct key a, struct key b)
{
    return a.study < b.study || (a.study == b.study && a.id < b.id);
}

static size_t least(const struct ranges *all)
{
    size_t best = 0;
    for (size_t n = 1; n < all->count; n++) {
        if (is_before(all->of[n].next, all->of[best].next))
            best = n;
    }
    return best;
}

static enum result show_least(struct listing *l, struct ranges *all)
{
    size_t at = least(all);
    struct key relayed = {all->relayed_study, all->relayed.id};
    if (all->sheets && (all->count == 0 || is_before(relayed, all->of[at].next))) {
        RETURN_UNLESS_OK(show_row(l, &all->relayed, all->relayed_study));
        return advance_relayed(all);
    }
    RETURN_UNLESS_OK(show(l, all->of[at].next.id, all->of[at].next.study));
    return advance(l->i, all, at);
}

static enum result list_ranges(struct listing *l, struct key after, int64_t study)
{
    struct ranges all = {.study = study};
    enum result r = open_ranges(l->i, &all, l->f, after);
    if (r == OK)
        r = open_relayed(l, &all, after);
    while (r == OK && !l->is_over && (all.count > 0 || all.sheets))
        r = show_least(l, &all);
    while (all.count > 0)
        sqlite3_finalize(all.of[--all.count].s);
    free(all.of);
    index_sheets_close(&all.sheets);
    return r;
}

/* --- by instance ----------------------------------------------------------------------------------------------------- */

/* The run of the first row from id on; *run_out < 0: there is none. */
static enum result next_run(struct index *i, int64_t id, int64_t *run_out)
{
    int64_t first;
    enum result r =
        index_number(i, INDEX_RUN_NEXT, -1, &first, "SELECT min(id) FROM delivery WHERE id >= ?", "i", id);
    *run_out = first < 0 ? -1 : first >> INDEX_RUN_BITS;
    return r;
}

static enum result find_instance(struct index *i, struct spool_ids *ids, const char *instance, spool_id after)
{
    int64_t hash = index_hash(view_of(instance));
    int64_t run, id = (int64_t)after;
    enum result r;
    while ((r = next_run(i, id, &run)) == OK && run >= 0) {
        r = index_ids(i,
                      index_ask(i, INDEX_RUN_RECEIVED,
                                "SELECT id FROM delivery INDEXED BY by_received WHERE " INDEX_RUN
                                " = ? AND received = ?",
                                "ii", run, hash),
                      ids);
        if (r == OK)
            r = index_ids(i,
                          index_ask(i, INDEX_RUN_SENT,
                                    "SELECT id FROM delivery INDEXED BY by_sent WHERE " INDEX_RUN
                                    " = ? AND sent = ?",
                                    "ii", run, hash),
                          ids);
        if (r != OK)
            return r;
        id = (run + 1) << INDEX_RUN_BITS;
    }
    return r;
}

/* Their ids are before all others. */
static enum result list_instance_relayed(struct listing *l)
{
    struct index_sheets *sheets;
    struct index_row row;
    int64_t study;
    if (!shows_relayed(l) || index_generation(l->f->after) != 0)
        return OK;
    enum result r = index_sheets_open(l->i, l->f, l->f->after + 1, &sheets);
    while (r == OK && !l->is_over) {
        r = index_sheets_next(sheets, &study, &row);
        if (r == OK)
            r = show_row(l, &row, 0);
    }
    index_sheets_close(&sheets);
    return r == NEED_MORE ? OK : r;
}

static enum result list_instance(struct listing *l)
{
    struct spool_ids ids = {0};
    RETURN_UNLESS_OK(list_instance_relayed(l));
    enum result r = find_instance(l->i, &ids, l->f->instance, l->f->after);
    for (size_t n = 0; r == OK && !l->is_over && n < ids.count; n++) {
        if (ids.of[n] > l->f->after)
            r = show(l, ids.of[n], 0);
    }
    ids_free(&ids);
    return r;
}

/* --- all of it -------------------------------------------------------------------------------------------------------- */

/* Where a row stands in lists; study -1: it is not there. */
static enum result find_key(struct index *i, spool_id id, int64_t *study_out)
{
    if (index_generation(id) == 0)
        return index_sheet_study(i, id, study_out);
    return index_number(i, INDEX_KEY, -1, study_out, "SELECT study FROM delivery WHERE id = ?", "i",
                        (int64_t)id);
}

enum result index_list(struct index *i, const struct index_filter *f,
                       bool (*on_row)(void *owner, const struct index_row *row), void *owner)
{
    struct listing l = {.i = i, .f = f, .on_row = on_row, .owner = owner, .is_over = f->max == 0};
    struct key after = {0, f->after};
    int64_t study = 0;
    if (f->instance)
        return list_instance(&l);
    if (f->after != 0)
        RETURN_UNLESS_OK(find_key(i, f->after, &after.study));
    if (after.study < 0)
        return OK;
    if (f->study)
        RETURN_UNLESS_OK(index_number(i, INDEX_STUDY_GET, -1, &study,
                                      "SELECT number FROM study WHERE uid = ?", "v", view_of(f->study)));
    return list_ranges(&l, after, study);
}

static enum result oldest(struct index *i, int64_t node, int state, uint64_t *oldest_ms)
{
    int64_t queued;
    enum result r =
        index_number(i, INDEX_OLDEST, 0, &queued,
                     "SELECT queued FROM delivery INDEXED BY by_node WHERE node = ? AND state = ? "
                     "ORDER BY study, id LIMIT 1",
                     "ii", node, (int64_t)state);
    if (queued > 0 && (*oldest_ms == 0 || (uint64_t)queued < *oldest_ms))
        *oldest_ms = (uint64_t)queued;
    return r;
}

static enum result summarise(struct index *i, int64_t node, struct index_summary *out)
{
    sqlite3_stmt *s = index_ask(
        i, INDEX_TALLY_GET, "SELECT state, count, bytes FROM tally WHERE node = ? AND count > 0", "i", node);
    enum result r = s ? OK : ERR_IO;
    while (r == OK && (r = index_step(i, s)) == OK) {
        int state = sqlite3_column_int(s, 0);
        hilum_assert(state >= 0 && state < STATES);
        out->count[state] = (uint64_t)sqlite3_column_int64(s, 1);
        out->bytes += (uint64_t)sqlite3_column_int64(s, 2);
    }
    if (s)
        index_done(s);
    for (int state = 0; r != ERR_IO && state < STATES; state++) {
        if (out->count[state] > 0)
            r = oldest(i, node, state, &out->oldest_ms);
    }
    return r == ERR_IO ? r : OK;
}

enum result index_summarise(struct index *i, bool (*on_node)(void *owner, const struct index_summary *s),
                            void *owner)
{
    enum result r = i->is_begun ? index_add_up(i, &i->tally) : OK;
    sqlite3_stmt *s = r == OK ? index_ask(i, INDEX_TALLY_NODES,
                                          "SELECT t.node, n.text FROM tally t JOIN name n ON n.number = "
                                          "t.node GROUP BY t.node HAVING sum(t.count) > 0 ORDER BY n.text",
                                          "")
                              : NULL;
    if (!s)
        return ERR_IO;
    while ((r = index_step(i, s)) == OK) {
        struct index_summary sum = {.node = text_of(s, 1)};
        r = summarise(i, sqlite3_column_int64(s, 0), &sum);
        if (r != OK || !on_node(owner, &sum))
            break;
    }
    index_done(s);
    return r == NEED_MORE ? OK : r;
}

enum result index_attempts(struct index *i, spool_id id,
                           bool (*on_attempt)(void *owner, uint64_t at_ms, uint16_t status,
                                              const char *comment),
                           void *owner)
{
    sqlite3_stmt *s = index_ask(i, INDEX_ATTEMPTS,
                                "SELECT at, status, comment FROM attempt WHERE entry = ? ORDER BY number",
                                "i", (int64_t)id);
    if (!s)
        return ERR_IO;
    enum result r;
    while ((r = index_step(i, s)) == OK && on_attempt(owner, (uint64_t)sqlite3_column_int64(s, 0),
                                                      (uint16_t)sqlite3_column_int(s, 1), text_of(s, 2)))
        ;
    index_done(s);
    return r == NEED_MORE ? OK : r;
}
