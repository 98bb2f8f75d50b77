/*
 * A question about where instances went, in steps: first the index has to come to where the logs ended when it was asked, then it is looked at, some
 * instances at a time for what was queued, in one pass for all that was relayed.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "spool/commitments.h"
#include "spool/index_inside.h"
#include "spool/look.h"
#include "spool/sheet.h"

enum { REACH_MS = 30000, STEP_INSTANCES = 64, BITS = 1 << 20 /* of the sieve; a power of two */ };

struct wanted {
    const char *uid;
    size_t instance;
};

struct where {
    struct spool_whereabouts *w;
    struct index *index;
    struct look_ends ends;
    uint64_t until_ms;
    bool has_reached;
    size_t next;           /* instance that is looked for in the queue */
    struct wanted *wanted; /* by uid */
    uint8_t *sieve;        /* a bit for each hash that is looked for */
};

static int compare_wanted(const void *a, const void *b)
{
    return strcmp(((const struct wanted *)a)->uid, ((const struct wanted *)b)->uid);
}

static void sift(struct where *q, uint32_t hash)
{
    q->sieve[hash % BITS / 8] |= (uint8_t)(1U << hash % 8);
}

static bool prepare(struct where *q)
{
    struct spool_whereabouts *w = q->w;
    q->wanted = malloc((w->count + 1) * sizeof(*q->wanted));
    q->sieve = calloc(1, BITS / 8);
    if (!q->wanted || !q->sieve)
        return false;
    for (size_t n = 0; n < w->count; n++) {
        q->wanted[n] = (struct wanted){w->instances[n], n};
        sift(q, index_hash(view_of(w->instances[n])));
    }
    qsort(q->wanted, w->count, sizeof(*q->wanted), compare_wanted);
    return true;
}

struct where *where_begin(const char *path, struct spool_whereabouts *w)
{
    char file[SPOOL_PATH_MAX], why[512] = "out of memory";
    struct where *q = calloc(1, sizeof(*q));
    if (!q) {
        w->result = ERR_MEMORY;
        return NULL;
    }
    q->w = w;
    q->until_ms = clock_ms() + REACH_MS;
    enum result r = prepare(q) ? OK : ERR_MEMORY;
    if (r == OK)
        r = look_index_path(path, file) ? index_open(file, true, &q->index, why, sizeof(why)) : ERR_USAGE;
    if (r == OK)
        r = look_ends(path, &q->ends);
    if (r == OK)
        return q;
    LOG(LOG_ERROR, "the ledger cannot be read", LOG_STR("cause", why));
    where_end(&q)->result = r;
    return NULL;
}

struct spool_whereabouts *where_end(struct where **qp)
{
    struct where *q = *qp;
    struct spool_whereabouts *w = q->w;
    *qp = NULL;
    index_close(&q->index);
    look_ends_free(&q->ends);
    free(q->wanted);
    free(q->sieve);
    free(q);
    return w;
}

/* --- rows -------------------------------------------------------------------------------------------------------- */

static char *keep(struct spool_whereabouts *w, struct view text)
{
    return arena_copy(&w->texts, text.at, text.len);
}

static bool add_row(struct spool_whereabouts *w, size_t instance, enum spool_state state, struct view node,
                    struct view route, struct view sent)
{
    if (w->row_count == w->row_cap) {
        size_t cap = w->row_cap ? w->row_cap * 2 : 64;
        struct spool_whereabout *rows = realloc(w->rows, cap * sizeof(*rows));
        if (!rows)
            return false;
        w->rows = rows;
        w->row_cap = cap;
    }
    struct spool_whereabout *row = &w->rows[w->row_count];
    *row = (struct spool_whereabout){instance, state, keep(w, node), keep(w, route), keep(w, sent)};
    w->row_count++;
    return row->node && row->route && row->sent_instance;
}

static bool on_queued(void *owner, const struct index_row *row)
{
    struct where *q = owner;
    if (!add_row(q->w, q->next, row->state, view_of(row->node), view_of(row->route),
                 view_of(row->sent_instance)))
        q->w->result = ERR_MEMORY;
    return q->w->result == OK;
}

static bool holds(void *owner, uint32_t hash)
{
    const struct where *q = owner;
    return q->sieve[hash % BITS / 8] >> hash % 8 & 1;
}

/* One instance may be asked about twice. */
static bool add_relayed(struct where *q, struct view uid, const struct record_relayed *row)
{
    char text[65];
    if (uid.len == 0 || uid.len >= sizeof(text))
        return true;
    memcpy(text, uid.at, uid.len);
    text[uid.len] = '\0';
    struct wanted key = {.uid = text};
    struct wanted *at = bsearch(&key, q->wanted, q->w->count, sizeof(key), compare_wanted);
    while (at && at > q->wanted && compare_wanted(at - 1, &key) == 0)
        at--;
    bool ok = true;
    for (; ok && at && at < q->wanted + q->w->count && compare_wanted(at, &key) == 0; at++)
        ok = add_row(q->w, at->instance, SPOOL_RELAYED, row->node, row->route, row->sent_instance);
    return ok;
}

static bool on_relayed(void *owner, const struct record_relayed *row)
{
    struct where *q = owner;
    bool is_renamed = row->sent_instance.at != row->sop_instance.at &&
                      (row->sent_instance.len != row->sop_instance.len ||
                       memcmp(row->sent_instance.at, row->sop_instance.at, row->sop_instance.len) != 0);
    return add_relayed(q, row->sop_instance, row) && (!is_renamed || add_relayed(q, row->sent_instance, row));
}

static int compare_rows(const void *a, const void *b)
{
    size_t x = ((const struct spool_whereabout *)a)->instance,
           y = ((const struct spool_whereabout *)b)->instance;
    return (x > y) - (x < y);
}

/* --- steps --------------------------------------------------------------------------------------------------------- */

static bool over(struct where *q, enum result r)
{
    if (q->w->result == OK)
        q->w->result = r;
    if (q->w->row_count > 1)
        qsort(q->w->rows, q->w->row_count, sizeof(*q->w->rows), compare_rows);
    return true;
}

static bool reach(struct where *q, bool *must_wait_out)
{
    enum result r = look_has_reached(q->index, &q->ends, &q->has_reached);
    if (r != OK)
        return over(q, r);
    *must_wait_out = !q->has_reached;
    return !q->has_reached && clock_ms() >= q->until_ms ? over(q, ERR_IO) : false;
}

bool where_step(struct where *q, bool *must_wait_out)
{
    enum result r = OK;
    *must_wait_out = false;
    if (!q->has_reached)
        return reach(q, must_wait_out);
    if (q->next == q->w->count)
        return over(q, index_where_relayed(q->index, holds, on_relayed, q));
    size_t end = q->next + STEP_INSTANCES < q->w->count ? q->next + STEP_INSTANCES : q->w->count;
    for (; r == OK && q->next < end; q->next++)
        r = index_where_queued(q->index, q->w->instances[q->next], on_queued, q);
    return r == OK && q->w->result == OK ? false : over(q, r);
}
