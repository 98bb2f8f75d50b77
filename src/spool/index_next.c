/* What is to be delivered: the next entries of a node, and what is due again. */
#include <stdlib.h>

#include "spool/ids.h"
#include "spool/index_inside.h"

enum { WAKE_MAX = 1024 /* at once */ };

#define NAME(column) "(SELECT text FROM name WHERE number = " column ")"

/* --- entries --------------------------------------------------------------------------------------------------- */

static struct spool_entry *read_entry(sqlite3_stmt *s, struct view syntaxes)
{
    struct record_commit c = {
        .message = (spool_id)sqlite3_column_int64(s, 6),
        .received_ms = (uint64_t)sqlite3_column_int64(s, 7),
        .bytes = (uint64_t)sqlite3_column_int64(s, 8),
        .calling = index_text(s, 9),
        .called = index_text(s, 10),
        .remote = index_text(s, 11),
        .abstract_syntax = index_text(s, 12),
        .transfer_syntax = index_text(s, 13),
        .sop_class = index_text(s, 14),
        .sop_instance = index_text(s, 15),
        .study = index_text(s, 16),
        .series = index_text(s, 17),
        .patient = index_text(s, 18),
        .priority = (uint16_t)sqlite3_column_int64(s, 19),
        .field = index_field(sqlite3_column_int64(s, 19)),
        .streams = {sqlite3_column_blob(s, 20), (size_t)sqlite3_column_bytes(s, 20)},
    };
    struct record_entry e = {
        .id = (spool_id)sqlite3_column_int64(s, 0),
        .edition = sqlite3_column_int(s, 3),
        .node = index_text(s, 4),
        .route = index_text(s, 5),
        .syntaxes = syntaxes,
    };
    struct spool_entry *entry =
        record_entry_new(&c, &e, (unsigned)sqlite3_column_int64(s, 1), (uint16_t)sqlite3_column_int(s, 2));
    if (entry) {
        entry->order = sqlite3_column_int64(s, 21);
        entry->group = c.study.len > 0 ? sqlite3_column_int64(s, 22) : 0; /* it waited alone */
    }
    return entry;
}

static enum result read_syntaxes(struct index *i, int64_t study, struct octets *out)
{
    sqlite3_stmt *s = index_ask(
        i, INDEX_SYNTAXES, "SELECT " NAME("abstract") ", " NAME("transfer") " FROM syntax WHERE study = ?",
        "i", study);
    if (!s)
        return ERR_IO;
    enum result r;
    while ((r = index_step(i, s)) == OK) {
        for (int column = 0; column < 2; column++) {
            struct view text = index_text(s, column);
            octets_append(out, text.at, text.len);
            octets_u8(out, 0);
        }
    }
    index_done(s);
    return r != NEED_MORE ? r : out->failed ? ERR_MEMORY : OK;
}

/* *out NULL: it is not there, or is of a relayed delivery. */
static enum result get_entry(struct index *i, spool_id id, struct spool_entry **out)
{
    struct octets syntaxes = {0};
    *out = NULL;
    static const char sql[] = "SELECT d.id, d.attempts, d.status, d.edition, " NAME("d.node") ", " NAME(
        "d.route") ","
                   " m.id, m.received, d.bytes, " NAME("m.calling") ", " NAME("m.called") ", " NAME(
                       "m.remote") ","
                                   " " NAME("m.abstract") ", " NAME("m.transfer") ", " NAME(
                                       "m.class") ", m.instance,"
                                                  " (SELECT uid FROM study WHERE number = d.study), "
                                                  "m.series, m.patient, m.priority, m.streams, d.study, "
                                                  "d.held"
                                                  " FROM delivery d JOIN message m ON m.id = d.message WHERE "
                                                  "d.id = ?";
    sqlite3_stmt *s = index_ask(i, INDEX_ENTRY_GET, sql, "i", (int64_t)id);
    if (!s)
        return ERR_IO;
    enum result r = index_step(i, s);
    if (r == OK) {
        if (sqlite3_column_int64(s, 22) != 0)
            r = read_syntaxes(i, sqlite3_column_int64(s, 21), &syntaxes);
        if (r == OK)
            *out = read_entry(s, (struct view){syntaxes.data, syntaxes.len});
        if (r == OK && !*out)
            r = ERR_MEMORY;
    }
    index_done(s);
    octets_free(&syntaxes);
    return r == NEED_MORE ? OK : r;
}

#define ELIGIBLE                                                                                             \
    "SELECT id FROM delivery d INDEXED BY by_node WHERE node = ? AND state = 1 "                             \
    "AND NOT EXISTS (SELECT 1 FROM orders o WHERE o.id = d.id) "                                             \
    "AND NOT EXISTS (SELECT 1 FROM line l JOIN line b ON b.node = l.node AND b.instance = l.instance "       \
    "AND b.entry < l.entry WHERE l.entry = d.id) "

/* Queued, without an order, and with nothing before it in its line. */
static sqlite3_stmt *ask_next(struct index *i, int64_t node, struct spool_range range)
{
    if (range.group != 0)
        return index_ask(i, INDEX_NEXT_OF_GROUP, ELIGIBLE "AND study = ? AND held = ? ORDER BY id", "iii",
                         node, range.order, range.group);
    return index_ask(i, INDEX_NEXT, ELIGIBLE "AND study > ? ORDER BY study, id", "ii", node, range.order);
}

/* Those of them that are own and not handed out: at most max. */
static enum result next_ids(struct index *i, int64_t node, struct spool_range range, unsigned max,
                            const struct spool_ids *handed, spool_id *ids, unsigned *count_out)
{
    *count_out = 0;
    sqlite3_stmt *s = ask_next(i, node, range);
    if (!s)
        return ERR_IO;
    enum result r = OK;
    while (*count_out < max && (r = index_step(i, s)) == OK) {
        spool_id id = (spool_id)sqlite3_column_int64(s, 0);
        if (index_is_own(i, index_generation(id)) && !ids_hold(handed, id))
            ids[(*count_out)++] = id;
    }
    index_done(s);
    return r == NEED_MORE ? OK : r;
}

enum result index_next(struct index *i, const char *node, struct spool_range range, unsigned max,
                       const struct spool_ids *handed, struct spool_entry **list_out)
{
    int64_t number;
    unsigned count = 0;
    *list_out = NULL;
    spool_id *ids = malloc((max + (size_t)1) * sizeof(*ids));
    if (!ids)
        return ERR_MEMORY;
    enum result r = index_name_find(i, view_of(node), &number);
    if (r == OK && number != 0)
        r = next_ids(i, number, range, max, handed, ids, &count);
    struct spool_entry **end = list_out;
    for (unsigned n = 0; r == OK && n < count; n++) {
        r = get_entry(i, ids[n], end);
        if (*end)
            end = &(*end)->next;
    }
    free(ids);
    if (r != OK)
        spool_entries_free(list_out);
    return r;
}

/* Its bytes may have gone: they are given back when nobody needs them. */
enum result index_entry(struct index *i, spool_id id, struct spool_entry **out)
{
    bool is_whole = false;
    enum result r = get_entry(i, id, out);
    if (r != OK || !*out)
        return r;
    r = index_has_bytes(i, (*out)->message, &is_whole);
    if (r != OK || !is_whole)
        spool_entry_free(out);
    return r;
}

/* --- waking ------------------------------------------------------------------------------------------------------ */

/* What waits since a time that is yet to come was given its time by a clock that has been set back meanwhile. It is due at once: so nothing waits for
 * longer than it was meant to. */

struct woken {
    void (*on_node)(void *owner, const char *node);
    void *owner;
    int64_t told; /* the last one that was told: they mostly come in rows */
};

static enum result tell(struct index *i, struct woken *w, int64_t node)
{
    if (node == w->told)
        return OK;
    w->told = node;
    sqlite3_stmt *s = index_ask(i, INDEX_NAME_TEXT, "SELECT text FROM name WHERE number = ?", "i", node);
    if (!s)
        return ERR_IO;
    enum result r = index_step(i, s);
    if (r == OK)
        w->on_node(w->owner, (const char *)sqlite3_column_text(s, 0));
    index_done(s);
    return r == NEED_MORE ? OK : r;
}

/* Ids of the first column, at most WAKE_MAX. */
static enum result read_ids(struct index *i, sqlite3_stmt *s, spool_id *ids, size_t *count_out)
{
    enum result r = s ? OK : ERR_IO;
    *count_out = 0;
    while (r == OK && *count_out < WAKE_MAX && (r = index_step(i, s)) == OK)
        ids[(*count_out)++] = (spool_id)sqlite3_column_int64(s, 0);
    if (s)
        index_done(s);
    return r == NEED_MORE ? OK : r;
}

static enum result queue_again(struct index *i, const spool_id *ids, size_t count, uint64_t now_ms,
                               struct woken *w)
{
    enum result r = OK;
    for (size_t n = 0; r == OK && n < count; n++) {
        struct index_delivery d;
        bool is_found;
        r = index_delivery_get(i, ids[n], &d, &is_found);
        if (r == OK && is_found)
            r = index_delivery_move(i, &d, d.node, SPOOL_QUEUED, 0, now_ms);
        if (r == OK && is_found)
            r = tell(i, w, d.node);
    }
    return r;
}

static enum result wake_waiting(struct index *i, uint64_t now_ms, spool_id *ids, struct woken *w)
{
    size_t count;
    enum result r = read_ids(i,
                             index_ask(i, INDEX_DUE,
                                       "SELECT id FROM delivery INDEXED BY waiting WHERE state = 2 AND "
                                       "due <= ? ORDER BY due",
                                       "i", (int64_t)now_ms),
                             ids, &count);
    if (r == OK)
        r = queue_again(i, ids, count, now_ms, w);
    if (r == OK)
        r = read_ids(i,
                     index_ask(i, INDEX_DUE_ASTRAY,
                               "SELECT id FROM delivery INDEXED BY waiting_since WHERE state = 2 AND "
                               "changed > ? ORDER BY changed",
                               "i", (int64_t)now_ms),
                     ids, &count);
    return r == OK ? queue_again(i, ids, count, now_ms, w) : r;
}

static enum result find_quiet(struct index *i, uint64_t now_ms, int64_t *group_out)
{
    enum result r = index_number(i, INDEX_QUIET, 0, group_out,
                                 "SELECT number FROM held INDEXED BY held_due WHERE asks = 0 AND due <= ? "
                                 "ORDER BY due LIMIT 1",
                                 "i", (int64_t)now_ms);
    if (r != OK || *group_out != 0)
        return r;
    return index_number(i, INDEX_QUIET_ASTRAY, 0, group_out,
                        "SELECT number FROM held INDEXED BY held_since WHERE asks = 0 AND since > ? LIMIT 1",
                        "i", (int64_t)now_ms);
}

/* One group that has been quiet for long enough: as much of it as goes at once. */
static enum result wake_group(struct index *i, uint64_t now_ms, spool_id *ids, struct woken *w)
{
    int64_t group;
    size_t count;
    enum result r = find_quiet(i, now_ms, &group);
    if (r != OK || group == 0)
        return r;
    r = read_ids(
        i,
        index_ask(i, INDEX_QUIET_ENTRIES,
                  "SELECT id FROM delivery INDEXED BY by_held WHERE held = ? AND state = 0 ORDER BY id", "i",
                  group),
        ids, &count);
    if (r == OK)
        r = queue_again(i, ids, count, now_ms, w);
    if (r == OK && count < WAKE_MAX)
        r = index_do(i, INDEX_QUIET_DONE, "DELETE FROM held WHERE number = ?", "i", group);
    return r;
}

/* 0: nothing waits. */
static enum result next_wake(struct index *i, uint64_t now_ms, uint64_t *next_ms_out)
{
    int64_t due = 0, quiet = 0, group = 0, is_astray = 0;
    enum result r = index_number(i, INDEX_DUE_NEXT, 0, &due,
                                 "SELECT min(due) FROM delivery INDEXED BY waiting WHERE state = 2", "");
    if (r == OK)
        r = index_number(i, INDEX_QUIET_NEXT, 0, &quiet, "SELECT min(due) FROM held WHERE asks = 0", "");
    if (r == OK)
        r = index_number(i, INDEX_DUE_IS_ASTRAY, 0, &is_astray,
                         "SELECT max(changed) > ? FROM delivery INDEXED BY waiting_since WHERE state = 2",
                         "i", (int64_t)now_ms);
    if (r == OK)
        r = find_quiet(i, now_ms, &group);
    *next_ms_out = (uint64_t)(due == 0 || (quiet != 0 && quiet < due) ? quiet : due);
    if ((is_astray || group != 0) && *next_ms_out > now_ms)
        *next_ms_out = now_ms;
    return r;
}

enum result index_wake(struct index *i, uint64_t now_ms, void (*on_node)(void *owner, const char *node),
                       void *owner, uint64_t *next_ms_out)
{
    struct woken w = {.on_node = on_node, .owner = owner};
    *next_ms_out = 0;
    spool_id *ids = malloc(WAKE_MAX * sizeof(*ids));
    if (!ids)
        return ERR_MEMORY;
    enum result r = wake_waiting(i, now_ms, ids, &w);
    if (r == OK)
        r = wake_group(i, now_ms, ids, &w);
    free(ids);
    return r == OK ? next_wake(i, now_ms, next_ms_out) : r;
}
