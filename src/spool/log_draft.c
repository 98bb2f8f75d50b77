#include <stdlib.h>

#include "base/assert.h"
#include "spool/log_inside.h"

struct spool_draft *log_draft_new(struct log_writer *w)
{
    struct spool_draft *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->log = w;
    pthread_mutex_lock(&w->lock);
    d->number = ++w->draft_count;
    LIST_INSERT_HEAD(&w->drafts, d, link);
    pthread_mutex_unlock(&w->lock);
    return d;
}

void spool_draft_free(struct spool_draft **d)
{
    struct spool_draft *draft = *d;
    if (!draft)
        return;
    pthread_mutex_lock(&draft->log->lock);
    LIST_REMOVE(draft, link);
    pthread_mutex_unlock(&draft->log->lock);
    for (size_t i = 0; i < draft->stream_count; i++)
        free(draft->streams[i].extents);
    free(draft->streams);
    free(draft);
    *d = NULL;
}

uint64_t log_draft_number(const struct spool_draft *d)
{
    return d->number;
}

uint64_t spool_draft_bytes(const struct spool_draft *d)
{
    return atomic_load_explicit(&d->data_bytes, memory_order_relaxed);
}

/* The stream of that number, made with those before it. NULL without memory. */
static struct spool_stream *stream_at(struct spool_draft *d, unsigned number)
{
    if (number >= d->stream_count) {
        struct spool_stream *more = realloc(d->streams, ((size_t)number + 1) * sizeof(*more));
        if (!more)
            return NULL;
        d->streams = more;
        while (d->stream_count <= number)
            d->streams[d->stream_count++] = (struct spool_stream){.count = 0};
    }
    return &d->streams[number];
}

static void count_bytes(struct spool_draft *d, unsigned stream)
{
    if (stream == SPOOL_STREAM_DATA)
        atomic_store_explicit(&d->data_bytes, d->streams[stream].bytes, memory_order_relaxed);
}

bool log_draft_push(struct spool_draft *d, unsigned stream, const struct spool_extent *e)
{
    struct spool_stream *s = stream_at(d, stream);
    if (!s)
        return false;
    if ((s->count & (s->count - 1)) == 0) { /* a power of two is full */
        struct spool_extent *more = realloc(s->extents, (s->count ? s->count * 2 : 1) * sizeof(*more));
        if (!more)
            return false;
        s->extents = more;
    }
    s->extents[s->count++] = *e;
    s->bytes += e->bytes;
    count_bytes(d, stream);
    pthread_mutex_lock(&d->log->lock);
    if (d->first_segment == 0)
        d->first_segment = e->segment;
    d->last_segment = e->segment;
    pthread_mutex_unlock(&d->log->lock);
    return true;
}

/* Its segments stay as they are: they name too many then, which only keeps one longer. */
void log_draft_pop(struct spool_draft *d, unsigned stream)
{
    struct spool_stream *s = &d->streams[stream];
    hilum_assert(s->count > 0);
    s->bytes -= s->extents[--s->count].bytes;
    count_bytes(d, stream);
}

void log_drafts_break_all(struct log_writer *w)
{
    struct spool_draft *d;
    LIST_FOREACH (d, &w->drafts, link)
        for (size_t i = 0; i < d->stream_count; i++)
            if (d->streams[i].count > 0)
                d->error = SPOOL_FAILED;
}

void log_drafts_break(struct log_writer *w, uint32_t segment, uint64_t end)
{
    struct spool_draft *d;
    LIST_FOREACH (d, &w->drafts, link) {
        for (size_t i = 0; i < d->stream_count; i++) {
            const struct spool_stream *s = &d->streams[i];
            const struct spool_extent *last =
                s->count > 0 ? &s->extents[s->count - 1] : NULL; /* they ascend */
            if (last && last->segment == segment && last->offset + last->bytes > end)
                d->error = SPOOL_FAILED;
        }
    }
}
