/*
 * Segments that have to stay for the little in them that is live: the rest is given back (holes.h).
 *
 * One that has fallen to half of what was live in it is looked at, and each once when it has been settled for a while. When room is short all that
 * has changed is worth a look. A part of the thread's time goes into it, no more: feeds wait for the same thread.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "io/disk.h"
#include "spool/indexer_inside.h"

enum {
    LIST_MS = 1000,
    SETTLED_MS = 10000, /* before one is looked at that has not changed much: */
    SHORT_MS = 1000,    /*   when room is short */
    SHORT_PART = 16,    /*   and of what is live a part like this must have gone */
    CHECKPOINT_MS = 100,
    PAUSE = 9, /* times what a slice took, before the next: */
    SHORT_PAUSE = 1,
    WORTH_PART = 64, /* of a segment; for less nothing is written */
};

/* --- what is known of segments ---------------------------------------------------------------------------------------- */

static bool is_own(const struct indexer *ix, struct record_place p)
{
    return p.generation == ix->held[0].number;
}

static int compare_segment(const void *a, const void *b)
{
    const struct record_place *p = a, *q = &((const struct indexer_segment *)b)->at;
    if (p->generation != q->generation)
        return p->generation < q->generation ? -1 : 1;
    return p->segment == q->segment ? 0 : p->segment < q->segment ? -1 : 1;
}

/* NULL: it is not known yet. */
static struct indexer_segment *find(struct indexer *ix, struct record_place p)
{
    struct indexer_holes *h = &ix->holes;
    return h->count > 0 ? bsearch(&p, h->of, h->count, sizeof(*h->of), compare_segment) : NULL;
}

uint64_t indexer_segment_bytes(struct indexer *ix, struct record_place p)
{
    const struct indexer_segment *s = find(ix, p);
    if (ix->holes.job && ix->holes.job->place.generation == p.generation &&
        ix->holes.job->place.segment == p.segment)
        indexer_stop_holes(ix);
    if (!is_own(ix, p)) /* it counted as it was found */
        return spool_folder_segment_bytes(ix->path, p.generation, p.segment);
    uint64_t bytes = spool_folder_segment_size(ix->path, p.generation, p.segment),
             punched = s ? s->punched : 0;
    return bytes > punched ? bytes - punched : 0;
}

/* Those that are there now, with what was known of them. */
struct listing {
    struct indexer *ix;
    struct indexer_segment *of;
    size_t count, cap;
    bool has_failed;
};

static bool is_settled(struct indexer *ix, struct record_place p)
{
    uint32_t last;
    return !is_own(ix, p) ||
           (p.segment < ix->committed.segment && log_is_settled(ix->log, p.segment, ix->committed, &last));
}

static bool on_segment(void *owner, struct record_place p, int64_t live)
{
    struct listing *l = owner;
    if (l->count == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 64;
        struct indexer_segment *more = realloc(l->of, cap * sizeof(*more));
        l->has_failed = more == NULL;
        if (!more)
            return false;
        l->of = more;
        l->cap = cap;
    }
    const struct indexer_segment *known = find(l->ix, p);
    struct indexer_segment *s = &l->of[l->count++];
    *s = known ? *known : (struct indexer_segment){.at = p, .live_was = live};
    s->live = live;
    s->live_was = live > s->live_was ? live : s->live_was;
    if (s->since_ms == 0 && is_settled(l->ix, p))
        s->since_ms = clock_ms();
    return true;
}

static enum result list(struct indexer *ix)
{
    struct listing l = {.ix = ix};
    enum result r = index_segments(ix->index, on_segment, &l);
    if (r != OK || l.has_failed) {
        free(l.of);
        return r;
    }
    free(ix->holes.of);
    ix->holes.of = l.of;
    ix->holes.count = l.count;
    ix->holes.cap = l.cap;
    return OK;
}

/* --- which is looked at -------------------------------------------------------------------------------------------------- */

/* How much of it may have gone, of 1000; 0: it is not worth a look. */
static int64_t gain(const struct indexer_holes *h, const struct indexer_segment *s, uint64_t now)
{
    if (s->live == 0 || s->since_ms == 0)
        return 0; /* it goes as a whole, or cannot be judged */
    if (!s->was_looked_at && now >= s->since_ms + (h->is_short ? SHORT_MS : SETTLED_MS))
        return 1000;
    int64_t gone = s->live_was - s->live;
    bool is_worth = h->is_short ? gone * SHORT_PART >= s->live_was : gone * 2 >= s->live_was;
    return is_worth ? gone * 1000 / s->live_was : 0;
}

static struct indexer_segment *choose(struct indexer *ix)
{
    struct indexer_holes *h = &ix->holes;
    struct indexer_segment *best = NULL;
    int64_t most = 0;
    uint64_t now = clock_ms();
    for (size_t n = 0; n < h->count; n++) {
        int64_t g = gain(h, &h->of[n], now);
        if (g > most && is_settled(ix, h->of[n].at)) {
            best = &h->of[n];
            most = g;
        }
    }
    return best;
}

/* To where commits are read. Of our own generation the log knows it; of another only that no more can come behind its end, which may be far. */
static enum result find_end(struct indexer *ix, struct record_place p, struct log_position *end_out,
                            bool *is_all_out)
{
    struct log_position read_to = ix->committed;
    uint32_t last = p.segment + 1;
    enum result r = OK;
    *is_all_out = is_own(ix, p) && log_is_settled(ix->log, p.segment, ix->committed, &last);
    if (!is_own(ix, p)) {
        r = index_place(ix->index, p.generation, &read_to);
        *is_all_out = read_to.segment <= last;
    }
    *end_out =
        (struct log_position){.generation = p.generation, .segment = *is_all_out ? last + 1 : p.segment + 1};
    if (log_position_before(read_to, *end_out))
        *end_out = read_to;
    return r;
}

static enum result begin(struct indexer *ix, struct indexer_segment *s)
{
    struct indexer_holes *h = &ix->holes;
    struct log_position end;
    bool is_all;
    enum result r = find_end(ix, s->at, &end, &is_all);
    if (r != OK)
        return r;
    h->job = holes_new(ix->path, s->at, end, is_all);
    h->step = JOB_READ;
    h->job_us = h->job_freed = 0;
    h->job_began_ms = clock_ms();
    s->was_looked_at = true;
    s->live_was = s->live;
    return OK;
}

/* --- the steps ------------------------------------------------------------------------------------------------------------- */

void indexer_stop_holes(struct indexer *ix)
{
    struct indexer_holes *h = &ix->holes;
    if (!h->job)
        return;
    struct indexer_segment *s = find(ix, h->job->place);
    if (s) {
        s->was_looked_at = false;
        s->since_ms = clock_ms();
    }
    holes_free(&h->job);
}

static void end(struct indexer *ix)
{
    struct indexer_holes *h = &ix->holes;
    struct record_place p = h->job->place;
    if (h->job->has_failed && !h->is_given_up) {
        indexer_stop_holes(ix); /* and looked at again */
        return;
    }
    if (h->job_freed > 0)
        LOG(LOG_DEBUG, "space in a segment of the spool is given back", LOG_INT("generation", p.generation),
            LOG_INT("segment", p.segment), LOG_INT("bytes", h->job_freed), LOG_INT("pieces", h->job->count),
            LOG_INT("worked_us", h->job_us), LOG_INT("took_ms", clock_ms() - h->job_began_ms));
    holes_free(&h->job);
}

static void failed(struct indexer *ix, enum io_error error)
{
    struct indexer_holes *h = &ix->holes;
    h->is_given_up = error == IO_UNSUPPORTED;
    if (h->is_given_up)
        LOG(LOG_INFO, "the file system of the spool has no holes: segments go as a whole",
            LOG_STR("spool", ix->path));
    else if (!h->has_told)
        LOG(LOG_WARN, "space in a segment of the spool cannot be given back, it is tried again",
            LOG_STR("spool", ix->path), LOG_INT("generation", h->job->place.generation),
            LOG_INT("segment", h->job->place.segment), LOG_STR("why", disk_error_text()));
    h->has_told = true;
}

static enum result punch(struct indexer *ix)
{
    struct indexer_holes *h = &ix->holes;
    struct indexer_segment *s = find(ix, h->job->place);
    uint64_t freed,
        counted = spool_folder_segment_bytes(ix->path, h->job->place.generation, h->job->place.segment);
    enum io_error error;
    enum result r = holes_punch(h->job, &freed, &error);
    if (error != IO_NONE)
        failed(ix, error);
    else
        h->has_told = false;
    if (!is_own(ix, h->job->place)) {
        uint64_t now = spool_folder_segment_bytes(ix->path, h->job->place.generation, h->job->place.segment);
        freed = now < counted ? counted - now : 0;
    } else if (s) {
        s->punched += freed;
    } else {
        freed = 0; /* it counts until it goes */
    }
    log_released(ix->log, freed);
    h->job_freed += freed;
    return r;
}

static bool is_asked(void *owner, spool_id message)
{
    return indexer_is_asked(owner, message);
}

/* What has been marked must be known for good before the bytes go. NEED_MORE: not yet. */
static enum result settle(struct indexer *ix)
{
    enum result r = indexer_commit(ix);
    return r == OK ? index_checkpoint(ix->index) : r;
}

/* A slice of the job. NEED_MORE: there is more of it. */
static enum result step(struct indexer *ix)
{
    struct indexer_holes *h = &ix->holes;
    enum result r = OK;
    switch (h->step) {
    case JOB_READ:
        r = holes_read(h->job, ix->index);
        if (r == OK && (h->job->has_failed || holes_bytes(h->job) < h->job->space.size / WORTH_PART))
            return OK;
        break;
    case JOB_MARK:
        r = indexer_begin(ix);
        if (r == OK)
            r = holes_mark(h->job, ix->index, is_asked, ix);
        break;
    case JOB_SETTLE:
        r = settle(ix);
        break;
    case JOB_PUNCH:
        return punch(ix);
    }
    if (r != OK)
        return r;
    h->step++;
    return NEED_MORE;
}

/* --- now and then ------------------------------------------------------------------------------------------------------------ */

static enum result next(struct indexer *ix)
{
    struct indexer_holes *h = &ix->holes;
    uint64_t now = clock_ms();
    if (now < h->list_ms)
        return OK;
    h->is_short = log_is_short(ix->log);
    enum result r = list(ix);
    struct indexer_segment *s = r == OK && !h->is_given_up ? choose(ix) : NULL;
    h->list_ms = s && h->is_short ? now : now + LIST_MS;
    return s ? begin(ix, s) : r;
}

enum result indexer_make_holes(struct indexer *ix)
{
    struct indexer_holes *h = &ix->holes;
    enum result r = h->job ? OK : next(ix);
    if (r != OK || !h->job) {
        h->next_ms = h->list_ms;
        return r;
    }
    enum indexer_job was = h->step;
    uint64_t began_us = clock_us();
    r = step(ix);
    uint64_t took_us = clock_us() - began_us;
    h->job_us += took_us;
    h->next_ms = clock_ms() + took_us * (h->is_short ? SHORT_PAUSE : PAUSE) / 1000 + 1;
    if (r == NEED_MORE && was == JOB_SETTLE && h->step == JOB_SETTLE)
        h->next_ms = clock_ms() + CHECKPOINT_MS; /* somebody else holds an older state */
    if (r == OK && h->job)
        end(ix);
    return r == NEED_MORE ? OK : r;
}
