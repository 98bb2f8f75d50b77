/* Rows of the index, kept; pages of them; and those that are chosen. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/queue.h"
#include "spool/look.h"

enum { PAGE_ROWS = 500 };

/* --- rows -------------------------------------------------------------------------------------------------------- */

static bool make_room(struct queue_rows *rows)
{
    if (rows->count < rows->cap)
        return true;
    size_t cap = rows->cap ? rows->cap * 2 : 64;
    struct index_row *of = realloc(rows->of, cap * sizeof(*of));
    if (of)
        rows->of = of;
    char **texts = of ? realloc(rows->texts, cap * sizeof(*texts)) : NULL;
    if (texts)
        rows->texts = texts;
    if (!of || !texts)
        return false;
    rows->cap = cap;
    return true;
}

bool queue_rows_take(void *owner, const struct index_row *row)
{
    struct queue_rows *rows = owner;
    struct index_row copy = *row;
    const char **texts[] = {&copy.node,   &copy.route,     &copy.calling,      &copy.called,
                            &copy.remote, &copy.sop_class, &copy.sop_instance, &copy.sent_instance,
                            &copy.study,  &copy.series,    &copy.patient,      &copy.transfer_syntax,
                            &copy.comment};
    enum { TEXTS = sizeof(texts) / sizeof(texts[0]) };
    size_t len = 0;
    for (size_t n = 0; n < TEXTS; n++)
        len += strlen(*texts[n]) + 1;
    char *block = make_room(rows) ? malloc(len) : NULL;
    if (!block) {
        rows->failed = true;
        return false;
    }
    char *at = block;
    for (size_t n = 0; n < TEXTS; n++) {
        size_t bytes = strlen(*texts[n]) + 1;
        memcpy(at, *texts[n], bytes);
        *texts[n] = at;
        at += bytes;
    }
    rows->of[rows->count] = copy;
    rows->texts[rows->count++] = block;
    return true;
}

void queue_rows_free(struct queue_rows *rows)
{
    while (rows->count > 0)
        free(rows->texts[--rows->count]);
    free(rows->of);
    free(rows->texts);
    *rows = (struct queue_rows){.count = 0};
}

/* --- pages ------------------------------------------------------------------------------------------------------- */

static struct index_filter filter_of(const struct queue *q)
{
    const struct queue_options *o = &q->o;
    return (struct index_filter){.node = o->node,
                                 .states = o->states,
                                 .study = o->study,
                                 .instance = o->instance,
                                 .before_ms = o->older_ms > 0 && o->older_ms < q->now_ms
                                                  ? q->now_ms - o->older_ms
                                              : o->older_ms > 0 ? 1
                                                                : 0};
}

void queue_pages_begin(struct queue_pages *p, struct queue *q)
{
    *p = (struct queue_pages){.q = q, .after = q->o.after, .left = q->o.limit};
}

/* A list goes on behind a row, which may be forgotten meanwhile: its end must not look like the list's. */
static enum result is_still_there(const struct queue_pages *p)
{
    enum spool_state state;
    bool is_found;
    char text[SPOOL_ID_TEXT];
    enum result r = p->after != 0 ? look_state(p->q->index, p->after, &is_found, &state) : NEED_MORE;
    if (p->after == 0 || r != OK || is_found)
        return r == OK ? NEED_MORE : r;
    spool_id_text(p->after, text);
    queue_fail(p->q, text, "there is no such entry (any more), to go on behind it");
    return ERR_IO;
}

/* One more than is shown tells whether there is more. */
enum result queue_pages_next(struct queue_pages *p)
{
    queue_rows_free(&p->rows);
    if (p->is_over)
        return NEED_MORE;
    struct index_filter f = filter_of(p->q);
    bool is_last = p->left <= PAGE_ROWS;
    size_t wanted = is_last ? (size_t)p->left : PAGE_ROWS;
    f.after = p->after;
    f.max = (unsigned)wanted + 1;
    enum result r = index_list(p->q->index, &f, queue_rows_take, &p->rows);
    if (r == OK && p->rows.failed)
        r = ERR_MEMORY;
    if (r != OK)
        return r;
    bool has_more = p->rows.count > wanted;
    if (has_more)
        free(p->rows.texts[--p->rows.count]);
    if (p->rows.count > 0)
        p->after = p->rows.of[p->rows.count - 1].id;
    p->left -= p->rows.count;
    p->is_over = !has_more || is_last;
    p->has_more = has_more && is_last;
    return p->rows.count > 0 ? OK : is_still_there(p);
}

void queue_pages_end(struct queue_pages *p)
{
    queue_rows_free(&p->rows);
}

/* --- those that are chosen ----------------------------------------------------------------------------------------- */

static bool add_pick(struct queue_picks *p, const struct index_row *row)
{
    if (p->count == p->cap) {
        size_t cap = p->cap ? p->cap * 2 : 64;
        struct queue_pick *of = realloc(p->of, cap * sizeof(*of));
        if (!of)
            return false;
        p->of = of;
        p->cap = cap;
    }
    p->of[p->count++] = (struct queue_pick){row->id, row->bytes};
    p->bytes += row->bytes;
    return true;
}

/* Why nothing can be done with it; NULL: something can. */
static const char *why_not(const struct queue *q, const struct index_row *row)
{
    if (row->is_relayed)
        return "was relayed, not queued";
    if (q->o.verb == QUEUE_EXPORT || QUEUE_LIVE >> row->state & 1)
        return NULL;
    return row->state == SPOOL_DELIVERED ? "was delivered"
           : row->state == SPOOL_DROPPED ? "was dropped"
                                         : "has expired";
}

/* Queued again it would go on waiting. */
static bool is_for_nobody(const struct queue *q, const struct index_row *row)
{
    return q->o.verb == QUEUE_RETRY && !q->o.to && !config_node_named(q->config, row->node);
}

static bool leave(struct queue_picks *p, const struct index_row *row)
{
    p->left++;
    for (size_t n = 0; n < p->gone_count; n++) {
        if (strcmp(p->gone[n].node, row->node) == 0) {
            p->gone[n].left++;
            return true;
        }
    }
    struct queue_gone *gone = realloc(p->gone, (p->gone_count + 1) * sizeof(*gone));
    if (!gone)
        return false;
    p->gone = gone;
    gone[p->gone_count] = (struct queue_gone){strdup(row->node), 1};
    return gone[p->gone_count].node && ++p->gone_count > 0;
}

static enum result pick_row(struct queue *q, const struct index_row *row, struct queue_picks *out)
{
    bool is_kept = is_for_nobody(q, row) ? leave(out, row) : add_pick(out, row);
    return is_kept ? OK : ERR_MEMORY;
}

/* Of one that was asked for by its id. */
static void tell_if_left(struct queue *q, const char *id, const struct index_row *row)
{
    char why[384];
    snprintf(why, sizeof(why), "was left: its node %s is not in the configuration, --to NODE names another",
             row->node);
    if (is_for_nobody(q, row))
        queue_fail(q, id, why);
}

static enum result pick_id(struct queue *q, spool_id id, struct queue_picks *out)
{
    struct queue_rows rows = {0};
    char text[SPOOL_ID_TEXT];
    bool is_found;
    enum result r = look_row(q->index, id, &is_found, queue_rows_take, &rows);
    if (r == OK && rows.failed)
        r = ERR_MEMORY;
    spool_id_text(id, text);
    const char *why = r == OK && rows.count > 0 ? why_not(q, &rows.of[0]) : "there is no such entry";
    if (r == OK && why)
        queue_fail(q, text, why);
    else if (r == OK) {
        tell_if_left(q, text, &rows.of[0]);
        r = pick_row(q, &rows.of[0], out);
    }
    queue_rows_free(&rows);
    return r;
}

static enum result pick_pages(struct queue *q, struct queue_picks *out)
{
    struct queue_pages pages;
    enum result r;
    queue_pages_begin(&pages, q);
    while ((r = queue_pages_next(&pages)) == OK) {
        for (size_t n = 0; r == OK && n < pages.rows.count; n++) {
            const struct index_row *row = &pages.rows.of[n];
            if (!why_not(q, row))
                r = pick_row(q, row, out);
        }
        if (r != OK)
            break;
    }
    queue_pages_end(&pages);
    return r == NEED_MORE ? OK : r;
}

enum result queue_pick(struct queue *q, struct queue_picks *out)
{
    *out = (struct queue_picks){.count = 0};
    if (q->o.id_count == 0)
        return pick_pages(q, out);
    enum result r = OK;
    for (size_t n = 0; r == OK && n < q->o.id_count; n++)
        r = pick_id(q, q->o.ids[n], out);
    return r;
}

void queue_picks_free(struct queue_picks *p)
{
    while (p->gone_count > 0)
        free(p->gone[--p->gone_count].node);
    free(p->gone);
    free(p->of);
    *p = (struct queue_picks){.count = 0};
}
