/*
 * Feeds: what is handed out to whom, and outcomes that are on their way.
 *
 * An entry that is handed out stays queued in the index. Its id is remembered until its outcome has come out of the log, so that it is not handed out
 * again; what a feed that is closed has left without an outcome is forgotten, and so is due again.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "spool/ids.h"
#include "spool/indexer_inside.h"

enum { LOST_MS = 10000 /* an outcome that has not come out of the log by then was lost */ };

#define FEED_OF(message, member)                                                                             \
    ((struct spool_feed *)(void *)((char *)(message)-offsetof(struct spool_feed, member)))

/* --- on the feed's thread ------------------------------------------------------------------------------------------ */

static void on_due(struct io_message *m)
{
    struct spool_feed *f = FEED_OF(m, due_message);
    atomic_store(&f->due_is_posted, false); /* what comes from now on is told anew */
    f->on_due(f);
}

static void on_entries(struct io_message *m)
{
    struct spool_feed *f = FEED_OF(m, entries_message);
    struct spool_entry *list = f->list;
    f->list = NULL;
    f->on_entries(f, list);
}

static void on_closed(struct io_message *m)
{
    struct spool_feed *f = FEED_OF(m, closed_message);
    f->on_closed(f);
}

void indexer_feed_open(struct indexer *ix, struct spool_feed *f)
{
    f->due_message.on_message = on_due;
    f->entries_message.on_message = on_entries;
    f->closed_message.on_message = on_closed;
    atomic_init(&f->due_is_posted, false);
    f->is_asking = f->is_closing = false;
    f->is_due = true;
    f->list = NULL;
    f->handed = (struct spool_ids){0};
    pthread_mutex_lock(&ix->lock);
    f->next = ix->feeds;
    ix->feeds = f;
    ix->has_questions = true;
    pthread_cond_signal(&ix->wake);
    pthread_mutex_unlock(&ix->lock);
}

void indexer_feed_next(struct indexer *ix, struct spool_feed *f, unsigned max, struct spool_range range)
{
    pthread_mutex_lock(&ix->lock);
    hilum_assert(!f->is_asking && !f->is_closing);
    f->is_asking = true;
    f->want = max;
    f->range = range;
    ix->has_questions = true;
    pthread_cond_signal(&ix->wake);
    pthread_mutex_unlock(&ix->lock);
}

void indexer_feed_close(struct indexer *ix, struct spool_feed *f)
{
    pthread_mutex_lock(&ix->lock);
    hilum_assert(!f->is_closing);
    f->is_closing = true;
    ix->has_questions = true;
    pthread_cond_signal(&ix->wake);
    pthread_mutex_unlock(&ix->lock);
}

/* --- telling that something is due ------------------------------------------------------------------------------------ */

static struct spool_feed *first_feed(struct indexer *ix)
{
    pthread_mutex_lock(&ix->lock);
    struct spool_feed *f = ix->feeds;
    pthread_mutex_unlock(&ix->lock);
    return f;
}

void indexer_node_is_due(struct indexer *ix, const char *node, size_t len)
{
    for (struct spool_feed *f = first_feed(ix); f; f = f->next) {
        if (!node || (strncmp(f->node, node, len) == 0 && f->node[len] == '\0'))
            f->is_due = true;
    }
}

void indexer_post_due(struct indexer *ix)
{
    for (struct spool_feed *f = first_feed(ix); f; f = f->next) {
        if (!f->is_due)
            continue;
        f->is_due = false;
        if (!atomic_exchange(&f->due_is_posted, true))
            io_post(f->io, &f->due_message);
    }
}

/* --- answering --------------------------------------------------------------------------------------------------------- */

bool indexer_handed(struct indexer *ix, struct spool_ids *out)
{
    bool ok = ids_add(out, &ix->orphans);
    for (struct spool_feed *f = first_feed(ix); ok && f; f = f->next)
        ok = ids_add(out, &f->handed);
    return ok;
}

/* But for what the feed has, and what a closed one had. */
static enum result find_entries(struct indexer *ix, struct spool_feed *f, unsigned want,
                                struct spool_entry **list_out)
{
    struct spool_ids both = {0};
    *list_out = NULL;
    if (!ids_reserve(&f->handed, want))
        return ERR_MEMORY;
    enum result r = ERR_MEMORY;
    if (ix->orphans.count == 0)
        r = index_next(ix->index, f->node, f->range, want, &f->handed, list_out);
    else if (ids_add(&both, &f->handed) && ids_add(&both, &ix->orphans))
        r = index_next(ix->index, f->node, f->range, want, &both, list_out);
    ids_free(&both);
    for (struct spool_entry *e = *list_out; e; e = e->next)
        ids_put(&f->handed, e->id);
    return r;
}

/* Also if the index fails: nothing is due then, and it is asked again when the index is well. */
static enum result answer(struct indexer *ix, struct spool_feed *f, unsigned want)
{
    enum result r = find_entries(ix, f, want, &f->list);
    pthread_mutex_lock(&ix->lock);
    f->is_asking = false;
    pthread_mutex_unlock(&ix->lock);
    io_post(f->io, &f->entries_message);
    return r;
}

static bool is_expected(const struct indexer *ix, spool_id id)
{
    for (size_t n = ix->expected.first; n < ix->expected.count; n++) {
        if (ix->expected.of[n].outcome.id == id)
            return true;
    }
    return false;
}

/* Entries whose outcomes are on their way stay handed out, to nobody. */
static void keep_orphans(struct indexer *ix, const struct spool_feed *f)
{
    if (ix->expected.first == ix->expected.count || !ids_reserve(&ix->orphans, f->handed.count))
        return;
    for (size_t n = 0; n < f->handed.count; n++) {
        if (is_expected(ix, f->handed.of[n]))
            ids_put(&ix->orphans, f->handed.of[n]);
    }
}

static void close_feed(struct indexer *ix, struct spool_feed *f)
{
    pthread_mutex_lock(&ix->lock);
    struct spool_feed **link = &ix->feeds;
    while (*link != f)
        link = &(*link)->next;
    *link = f->next;
    pthread_mutex_unlock(&ix->lock);
    keep_orphans(ix, f);
    ids_free(&f->handed);
    indexer_node_is_due(ix, f->node, strlen(f->node)); /* another feed of the node */
    io_post(f->io, &f->closed_message);
}

static bool take_given(struct indexer *ix);

enum result indexer_answer(struct indexer *ix)
{
    pthread_mutex_lock(&ix->lock);
    bool has_questions = ix->has_questions;
    struct spool_feed *f = ix->feeds, *next;
    ix->has_questions = false;
    pthread_mutex_unlock(&ix->lock);
    enum result r = OK;
    for (; has_questions && f; f = next) {
        next = f->next;
        pthread_mutex_lock(&ix->lock);
        bool is_asking = f->is_asking, is_closing = f->is_closing;
        unsigned want = f->want;
        pthread_mutex_unlock(&ix->lock);
        if (is_closing)
            (void)take_given(ix);
        if (is_asking) {
            enum result failed = answer(ix, f, want);
            r = failed == OK ? r : failed;
        }
        if (is_closing)
            close_feed(ix, f);
    }
    return r;
}

/* --- outcomes on their way ------------------------------------------------------------------------------------------------ */

/* Room for more; what has been read is dropped from the front. False without memory. */
static bool make_room(struct indexer_expectations *e, size_t more)
{
    if (e->first > 0 && e->first * 2 >= e->count) {
        memmove(e->of, e->of + e->first, (e->count - e->first) * sizeof(*e->of));
        e->count -= e->first;
        e->first = 0;
    }
    if (e->count + more <= e->cap)
        return true;
    size_t cap = (e->count + more) * 2;
    struct indexer_expected *of = realloc(e->of, cap * sizeof(*of));
    if (!of)
        return false;
    e->of = of;
    e->cap = cap;
    return true;
}

void indexer_expect(struct indexer *ix, const struct spool_outcome *o)
{
    struct indexer_expected e = {.outcome = *o, .given_ms = clock_ms()};
    if (o->comment)
        strncpy(e.comment, o->comment, sizeof(e.comment) - 1);
    e.outcome.comment = NULL;
    pthread_mutex_lock(&ix->lock);
    if (make_room(&ix->given, 1))
        ix->given.of[ix->given.count++] = e;
    pthread_mutex_unlock(&ix->lock);
}

/* From under the lock. False: there were none. */
static bool take_given(struct indexer *ix)
{
    pthread_mutex_lock(&ix->lock);
    struct indexer_expectations *g = &ix->given;
    size_t count = g->count - g->first;
    if (count > 0 && make_room(&ix->expected, count)) {
        memcpy(ix->expected.of + ix->expected.count, g->of + g->first, count * sizeof(*g->of));
        ix->expected.count += count;
        g->first = g->count = 0;
    } else {
        count = 0;
    }
    pthread_mutex_unlock(&ix->lock);
    return count > 0;
}

/* They come out of the log in the order in which they were given, but for threads that overtake each other: it is at the front. */
static bool forget_expected(struct indexer_expectations *e, spool_id id)
{
    size_t at = e->first;
    while (at < e->count && e->of[at].outcome.id != id)
        at++;
    if (at == e->count)
        return false;
    e->of[at].outcome.id = 0;
    while (e->first < e->count && e->of[e->first].outcome.id == 0)
        e->first++;
    return true;
}

void indexer_returned(struct indexer *ix, spool_id id)
{
    if (!forget_expected(&ix->expected, id) && take_given(ix))
        (void)forget_expected(&ix->expected, id);
    if (ids_take_out(&ix->orphans, id))
        return;
    for (struct spool_feed *f = first_feed(ix); f; f = f->next) {
        if (ids_take_out(&f->handed, id))
            return;
    }
}

enum result indexer_take_lost(struct indexer *ix, uint64_t now_ms)
{
    (void)take_given(ix);
    while (ix->expected.first < ix->expected.count) {
        struct indexer_expected *e = &ix->expected.of[ix->expected.first];
        if (e->outcome.id != 0) {
            if (!ix->is_at_end || now_ms < e->given_ms + LOST_MS)
                return OK;
            struct spool_outcome o = e->outcome;
            o.comment = e->comment;
            enum result r = indexer_begin(ix);
            if (r == OK)
                r = index_take_outcome(ix->index, &o);
            if (r != OK)
                return r;
            LOG(LOG_WARN, "an outcome was lost by the log, the index alone has it",
                LOG_INT("generation", o.id >> SPOOL_ID_BITS),
                LOG_INT("number", o.id & (((spool_id)1 << SPOOL_ID_BITS) - 1)));
            indexer_returned(ix, o.id);
            ix->wake_wall_ms = 0;
            indexer_node_is_due(ix, NULL, 0);
        } else {
            ix->expected.first++;
        }
    }
    return OK;
}
