/* Groups that ask: which have been quiet, what they are made of, and what is added to them. */
#include <stdlib.h>
#include <string.h>

#include "spool/index_inside.h"

#define NAME(column) "(SELECT text FROM name WHERE number = " column ")"

enum result index_studies(struct index *i, uint64_t now_ms,
                          bool (*on_group)(void *owner, int64_t group, struct view route, uint64_t due_ms),
                          void *owner, uint64_t *next_ms_out)
{
    int64_t next;
    enum result r = index_number(i, INDEX_STUDIES_NEXT, 0, &next,
                                 "SELECT min(due) FROM held WHERE asks = 1 AND due > ?1 AND since <= ?1", "i",
                                 (int64_t)now_ms);
    *next_ms_out = (uint64_t)next;
    if (r != OK)
        return r;
    sqlite3_stmt *s =
        index_ask(i, INDEX_STUDIES,
                  "SELECT number, " NAME("route") ", iif(since > ?1, 0, due) AS at FROM held WHERE asks = 1 "
                                                  "AND (due <= ?1 OR since > ?1) ORDER BY at, number",
                  "i", (int64_t)now_ms);
    if (!s)
        return ERR_IO;
    bool goes_on = true;
    while (goes_on && (r = index_step(i, s)) == OK)
        goes_on = on_group(owner, sqlite3_column_int64(s, 0), index_text(s, 1),
                           (uint64_t)sqlite3_column_int64(s, 2));
    index_done(s);
    return r == NEED_MORE ? OK : r;
}

/* --- what a group is made of ---------------------------------------------------------------------------------------- */

/* A column's text in the arena; NULL without memory. */
static const char *keep(struct spool_asked *a, sqlite3_stmt *s, int column)
{
    struct view text = index_text(s, column);
    return arena_copy(&a->memory, text.len > 0 ? (const void *)text.at : "", text.len);
}

static bool add_entry(struct spool_asked *a, spool_id id, spool_id message)
{
    if (a->count == a->cap) {
        size_t cap = a->cap ? a->cap * 2 : 64;
        struct spool_asked_entry *more = realloc(a->entries, cap * sizeof(*more));
        if (!more)
            return false;
        a->entries = more;
        a->cap = cap;
    }
    a->entries[a->count++] = (struct spool_asked_entry){id, message};
    return true;
}

/* The series of the row. NULL without memory; the rest where the list is full. */
static struct spool_study_series *series_of(struct spool_asked *a, sqlite3_stmt *s, int column)
{
    struct view uid = index_text(s, column);
    for (size_t n = a->study.series_count; n > 0; n--) { /* they mostly come in rows */
        struct spool_study_series *one = &a->study.series[n - 1];
        if (strlen(one->uid) == uid.len && memcmp(one->uid, uid.at ? uid.at : (const void *)"", uid.len) == 0)
            return one;
    }
    a->rest.uid = "";
    if (a->study.series_count == SPOOL_STUDY_LISTED)
        return &a->rest;
    struct spool_study_series *one = &a->study.series[a->study.series_count];
    one->uid = keep(a, s, column);
    if (!one->uid)
        return NULL;
    a->study.series_count++;
    return one;
}

static bool begin_study(struct spool_asked *a, sqlite3_stmt *s)
{
    struct spool_study *study = &a->study;
    study->series = arena_alloc(&a->memory, SPOOL_STUDY_LISTED * sizeof(*study->series));
    study->listed = arena_alloc(&a->memory, SPOOL_STUDY_LISTED * sizeof(*study->listed));
    study->since_ms = (uint64_t)sqlite3_column_int64(s, 3);
    study->calling = keep(a, s, 4);
    study->called = keep(a, s, 5);
    study->patient = keep(a, s, 9);
    study->uid = keep(a, s, 10);
    study->route = keep(a, s, 11);
    return study->series && study->listed && study->calling && study->called && study->patient &&
           study->uid && study->route;
}

/* One more instance. False without memory. */
static bool add_instance(struct spool_asked *a, sqlite3_stmt *s)
{
    struct spool_study *study = &a->study;
    uint64_t received = (uint64_t)sqlite3_column_int64(s, 3);
    if (study->instances == 0 && !begin_study(a, s))
        return false;
    study->instances++;
    study->bytes += (uint64_t)sqlite3_column_int64(s, 2);
    study->since_ms = received < study->since_ms ? received : study->since_ms;
    struct spool_study_series *series = series_of(a, s, 8);
    if (!series)
        return false;
    series->instances++;
    if (study->listed_count == SPOOL_STUDY_LISTED)
        return true;
    struct spool_study_instance *one = &study->listed[study->listed_count++];
    *one = (struct spool_study_instance){
        .sop_class = keep(a, s, 6),
        .sop_instance = keep(a, s, 7),
        .series = series->uid[0] != '\0' ? series->uid : keep(a, s, 8),
    };
    return one->sop_class && one->sop_instance && one->series;
}

/* A message may be held for several nodes: its entries stand together. */
static enum result add_row(struct index *i, struct spool_asked *a, sqlite3_stmt *s, bool *others_out)
{
    spool_id id = (spool_id)sqlite3_column_int64(s, 0), message = (spool_id)sqlite3_column_int64(s, 1);
    if (!index_is_own(i, index_generation(id))) {
        *others_out = true;
        return OK;
    }
    bool is_new = a->count == 0 || a->entries[a->count - 1].message != message;
    return add_entry(a, id, message) && (!is_new || add_instance(a, s)) ? OK : ERR_MEMORY;
}

static enum result read_rows(struct index *i, int64_t group, struct spool_asked *a, bool *others_out)
{
    static const char sql[] =
        "SELECT d.id, d.message, d.bytes, m.received, " NAME("m.calling") ", " NAME("m.called") ", " NAME(
            "m.class") ", m.instance, m.series, m.patient, (SELECT uid FROM study WHERE number = "
                       "d.study), " NAME("d.route") " FROM delivery d INDEXED BY by_held CROSS JOIN message "
                                                    "m ON m.id = d.message"
                                                    " WHERE d.held = ? AND d.state = 0 ORDER BY d.id";
    sqlite3_stmt *s = index_ask(i, INDEX_STUDY_ROWS, sql, "i", group);
    if (!s)
        return ERR_IO;
    enum result r;
    while ((r = index_step(i, s)) == OK) {
        r = add_row(i, a, s, others_out);
        if (r != OK)
            break;
    }
    index_done(s);
    return r == NEED_MORE ? OK : r;
}

enum result index_study_read(struct index *i, int64_t group, struct spool_asked **out, bool *others_out)
{
    struct spool_asked *a = calloc(1, sizeof(*a));
    *out = NULL;
    *others_out = false;
    if (!a)
        return ERR_MEMORY;
    enum result r = read_rows(i, group, a, others_out);
    if (r == OK && a->count == 0 && !*others_out)
        r = index_do(i, INDEX_QUIET_DONE, "DELETE FROM held WHERE number = ?", "i", group);
    if (r != OK || a->count == 0)
        index_asked_free(&a);
    *out = a;
    return r;
}

void index_asked_free(struct spool_asked **asked)
{
    struct spool_asked *a = *asked;
    *asked = NULL;
    if (!a)
        return;
    arena_free(&a->memory);
    free(a->entries);
    free(a);
}

/* --- what is added to it ---------------------------------------------------------------------------------------------- */

static void strike(const int64_t *nodes, size_t count, int64_t node, bool *goes_there)
{
    for (size_t n = 0; n < count; n++)
        goes_there[n] = goes_there[n] || nodes[n] == node;
}

/* Where a message goes by its commit, whose entries have the ids behind its own, and by releases. */
static enum result look_where(struct index *i, spool_id message, const int64_t *nodes, size_t count,
                              bool *goes_there)
{
    memset(goes_there, 0, count);
    sqlite3_stmt *s =
        index_ask(i, INDEX_STUDY_GOES_TO, "SELECT message, node FROM delivery WHERE id > ? ORDER BY id", "i",
                  (int64_t)message);
    if (!s)
        return ERR_IO;
    enum result r;
    while ((r = index_step(i, s)) == OK && (spool_id)sqlite3_column_int64(s, 0) == message)
        strike(nodes, count, sqlite3_column_int64(s, 1), goes_there);
    index_done(s);
    if (r == ERR_IO)
        return r;
    s = index_ask(i, INDEX_STUDY_WAS_ADDED, "SELECT node FROM added WHERE message = ?", "i",
                  (int64_t)message);
    if (!s)
        return ERR_IO;
    while ((r = index_step(i, s)) == OK)
        strike(nodes, count, sqlite3_column_int64(s, 0), goes_there);
    index_done(s);
    return r == NEED_MORE ? OK : r;
}

/* For each message, by its first entry. */
static enum result make_added(struct index *i, const struct spool_asked *a, const int64_t *nodes,
                              size_t node_count, bool *goes_there, struct record_added *added,
                              size_t *count_out)
{
    enum result r = OK;
    for (size_t n = 0; r == OK && n < a->count; n++) {
        if (n > 0 && a->entries[n].message == a->entries[n - 1].message)
            continue;
        r = look_where(i, a->entries[n].message, nodes, node_count, goes_there);
        for (size_t k = 0; r == OK && k < node_count; k++)
            if (!goes_there[k])
                added[(*count_out)++] = (struct record_added){.of = a->entries[n].id, .node = (uint32_t)k};
    }
    return r;
}

enum result index_study_added(struct index *i, const struct spool_asked *a, const char *const *nodes,
                              size_t node_count, struct record_added **out, size_t *count_out)
{
    int64_t *numbers = malloc((node_count + 1) * sizeof(*numbers));
    bool *goes_there = malloc(node_count + 1);
    struct record_added *added = malloc((a->study.instances * node_count + 1) * sizeof(*added));
    enum result r = numbers && goes_there && added ? OK : ERR_MEMORY;
    *count_out = 0;
    for (size_t n = 0; r == OK && n < node_count; n++)
        r = index_name_find(i, view_of(nodes[n]), &numbers[n]);
    if (r == OK && node_count > 0)
        r = make_added(i, a, numbers, node_count, goes_there, added, count_out);
    free(numbers);
    free(goes_there);
    if (r != OK) {
        free(added);
        added = NULL;
    }
    *out = added;
    return r;
}
