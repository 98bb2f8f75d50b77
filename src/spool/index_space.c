/* Space: segments that nobody needs, and rows of what ended long ago. */
#include <stdlib.h>

#include "spool/index_inside.h"

enum result index_take_segment(struct index *i, struct record_place p)
{
    return index_do(i, INDEX_SEGMENT_NEW, "INSERT OR IGNORE INTO segment VALUES(?, ?, 0)", "ii",
                    (int64_t)p.generation, (int64_t)p.segment);
}

enum result index_idle_segments(struct index *i, struct record_place *out, size_t max, size_t *count_out)
{
    *count_out = 0;
    enum result r = i->is_begun ? index_add_up(i, &i->segments) : OK;
    sqlite3_stmt *s = r == OK
                          ? index_ask(i, INDEX_SEGMENT_IDLE,
                                      "SELECT generation, number FROM segment INDEXED BY idle WHERE live = 0 "
                                      "ORDER BY generation, number",
                                      "")
                          : NULL;
    if (!s)
        return ERR_IO;
    while (*count_out < max && (r = index_step(i, s)) == OK) {
        struct record_place p = {.generation = (uint32_t)sqlite3_column_int64(s, 0),
                                 .segment = (uint32_t)sqlite3_column_int64(s, 1)};
        if (index_is_own(i, p.generation))
            out[(*count_out)++] = p;
    }
    index_done(s);
    return r == NEED_MORE ? OK : r;
}

enum result index_forget_segment(struct index *i, struct record_place p)
{
    return index_do(i, INDEX_SEGMENT_FORGET, "DELETE FROM segment WHERE generation = ? AND number = ?", "ii",
                    (int64_t)p.generation, (int64_t)p.segment);
}

/* A checkpoint syncs the WAL before it copies anything out of it; when all of it is copied, all of it was synced. */
enum result index_checkpoint(struct index *i)
{
    int in_log = 0, copied = 0;
    int n = sqlite3_wal_checkpoint_v2(i->db, "main", SQLITE_CHECKPOINT_PASSIVE, &in_log, &copied);
    if (n == SQLITE_BUSY || n == SQLITE_LOCKED)
        return NEED_MORE; /* another process is at it */
    if (n != SQLITE_OK)
        return index_failed(i);
    return in_log == copied ? OK : NEED_MORE;
}

/* --- history ------------------------------------------------------------------------------------------------------ */

static enum result forget_message(struct index *i, int64_t message)
{
    int64_t kept;
    enum result r =
        index_number(i, INDEX_MESSAGE_KEPT, 1, &kept,
                     "UPDATE message SET kept = kept - 1 WHERE id = ? RETURNING kept", "i", message);
    if (r == OK && kept == 0)
        r = index_do(i, INDEX_MESSAGE_FORGET, "DELETE FROM message WHERE id = ?", "i", message);
    return r;
}

/* The study, unless some delivery of it is still here, to whatever node and in whatever state. */
static enum result forget_study(struct index *i, int64_t study)
{
    int64_t is_used;
    enum result r = index_number(
        i, INDEX_STUDY_USED, 0, &is_used,
        "WITH RECURSIVE node(n) AS (SELECT min(node) FROM delivery UNION ALL"
        " SELECT (SELECT min(node) FROM delivery WHERE node > n) FROM node WHERE n IS NOT NULL),"
        " state(s) AS (VALUES (0), (1), (2), (3), (4), (5), (6))"
        " SELECT EXISTS (SELECT 1 FROM node CROSS JOIN state CROSS JOIN delivery d INDEXED BY by_node"
        " WHERE d.node = n AND d.state = s AND d.study = ?)",
        "i", study);
    if (r != OK || is_used)
        return r;
    r = index_do(i, INDEX_SYNTAX_FORGET, "DELETE FROM syntax WHERE study = ?", "i", study);
    return r == OK ? index_do(i, INDEX_STUDY_FORGET, "DELETE FROM study WHERE number = ?", "i", study) : r;
}

static enum result forget_delivery(struct index *i, const struct index_delivery *d)
{
    enum result r =
        index_do(i, INDEX_DELIVERY_FORGET, "DELETE FROM delivery WHERE id = ?", "i", (int64_t)d->id);
    if (r == OK && d->attempts > 0)
        r = index_do(i, INDEX_ATTEMPTS_FORGET, "DELETE FROM attempt WHERE entry = ?", "i", (int64_t)d->id);
    return r == OK ? forget_message(i, d->message) : r;
}

static enum result read_ended(struct index *i, uint64_t before_ms, unsigned max, spool_id *ids,
                              unsigned *count_out)
{
    *count_out = 0;
    sqlite3_stmt *s = index_ask(i, INDEX_ENDED,
                                "SELECT id FROM delivery INDEXED BY ended WHERE state >= 4 AND changed < ? "
                                "ORDER BY changed LIMIT ?",
                                "ii", (int64_t)before_ms, (int64_t)max);
    if (!s)
        return ERR_IO;
    enum result r;
    while ((r = index_step(i, s)) == OK)
        ids[(*count_out)++] = (spool_id)sqlite3_column_int64(s, 0);
    index_done(s);
    return r == NEED_MORE ? OK : r;
}

static int compare_studies(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

enum result index_forget_ended(struct index *i, uint64_t before_ms, unsigned max, unsigned *count_out)
{
    spool_id *ids = malloc((max + (size_t)1) * sizeof(*ids));
    int64_t *studies = malloc((max + (size_t)1) * sizeof(*studies));
    unsigned count = 0;
    enum result r = ids && studies ? read_ended(i, before_ms, max, ids, &count) : ERR_MEMORY;
    for (unsigned n = 0; r == OK && n < count; n++) {
        struct index_delivery d;
        bool is_found;
        r = index_delivery_get(i, ids[n], &d, &is_found);
        if (r == OK)
            r = forget_delivery(i, &d);
        if (r == OK)
            studies[n] = d.study;
    }
    if (r == OK && count > 0) {
        qsort(studies, count, sizeof(*studies), compare_studies);
        for (unsigned n = 0; r == OK && n < count; n++)
            r = n > 0 && studies[n] == studies[n - 1] ? OK : forget_study(i, studies[n]);
        index_forget_cached(i);
    }
    free(ids);
    free(studies);
    unsigned sheets = 0;
    if (r == OK)
        r = index_sheets_forget(i, before_ms, max - count, &sheets);
    *count_out = r == OK ? count + sheets : 0;
    return r;
}
