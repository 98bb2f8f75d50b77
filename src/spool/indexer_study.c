/*
 * Groups that ask: a worker is asked where else they go, the answer is written with their release, and done when it comes out of the log.
 *
 * Until then the worker is asked nothing else, so a group is never asked about twice. What the index does not know yet, since it was taken back, is
 * read again before anything is asked.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "spool/indexer_inside.h"

enum {
    OTHERS_LOOK_MS = 1000,
    OTHERS_MOST_MS = 5 * 60 * 1000, /* a group of which another process holds a part is waited for so long */
    RETRY_MS = 1000,
    DUE_MAX = 64, /* groups looked at in one go */
};

#define STUDIES_OF(message, member)                                                                          \
    ((struct spool_studies *)(void *)((char *)(message)-offsetof(struct spool_studies, member)))

/* --- on the worker's thread ------------------------------------------------------------------------------------------ */

static void on_study(struct io_message *m)
{
    struct spool_studies *st = STUDIES_OF(m, study_message);
    st->on_study(st, &st->asked->study);
}

static void on_closed(struct io_message *m)
{
    struct spool_studies *st = STUDIES_OF(m, closed_message);
    st->on_closed(st);
}

/* Lock held. */
static void wake(struct indexer *ix)
{
    ix->has_questions = true;
    pthread_cond_signal(&ix->wake);
}

void indexer_studies_open(struct indexer *ix, struct spool_studies *st)
{
    st->study_message.on_message = on_study;
    st->closed_message.on_message = on_closed;
    st->is_answered = st->is_closing = st->is_written = false;
    st->nodes = NULL;
    st->asked = NULL;
    st->retry_ms = 0;
    pthread_mutex_lock(&ix->lock);
    st->next = ix->studies;
    ix->studies = st;
    wake(ix);
    pthread_mutex_unlock(&ix->lock);
}

/* One after another, each with its NUL. */
static char *copy_names(const char *const *nodes, size_t count)
{
    size_t len = 1;
    for (size_t n = 0; n < count; n++)
        len += strlen(nodes[n]) + 1;
    char *names = malloc(len), *to = names;
    for (size_t n = 0; names && n < count; n++)
        to = stpcpy(to, nodes[n]) + 1;
    return names;
}

bool indexer_study_release(struct indexer *ix, struct spool_studies *st, const char *const *nodes,
                           size_t count)
{
    char *names = copy_names(nodes, count);
    if (!names)
        return false;
    pthread_mutex_lock(&ix->lock);
    hilum_assert(!st->is_answered);
    st->nodes = names;
    st->node_count = count;
    st->is_answered = true;
    wake(ix);
    pthread_mutex_unlock(&ix->lock);
    return true;
}

void indexer_studies_close(struct indexer *ix, struct spool_studies *st)
{
    pthread_mutex_lock(&ix->lock);
    hilum_assert(!st->is_closing);
    st->is_closing = true;
    wake(ix);
    pthread_mutex_unlock(&ix->lock);
}

/* --- what was answered -------------------------------------------------------------------------------------------------- */

static void forget(struct indexer *ix, struct spool_studies *st)
{
    index_asked_free(&st->asked);
    pthread_mutex_lock(&ix->lock);
    st->is_answered = false;
    free(st->nodes);
    st->nodes = NULL;
    pthread_mutex_unlock(&ix->lock);
    st->is_written = false;
    st->retry_ms = 0;
    ix->study_wall_ms = 0; /* the next one */
}

/* The record; ids are given out here, so that it may be read again and again. */
static enum result make_record(struct indexer *ix, struct spool_studies *st, struct octets *o)
{
    const char **nodes = malloc((st->node_count + 1) * sizeof(*nodes));
    spool_id *ids = malloc((st->asked->count + 1) * sizeof(*ids));
    struct record_added *added = NULL;
    size_t added_count = 0;
    enum result r = nodes && ids ? OK : ERR_MEMORY;
    const char *name = st->nodes;
    for (size_t n = 0; r == OK && n < st->node_count; n++, name += strlen(name) + 1)
        nodes[n] = name;
    if (r == OK)
        r = index_study_added(ix->index, st->asked, nodes, st->node_count, &added, &added_count);
    if (r == OK) {
        spool_id id = log_take_ids(ix->log, added_count);
        for (size_t n = 0; n < added_count; n++)
            added[n].id = id + n;
        for (size_t n = 0; n < st->asked->count; n++)
            ids[n] = st->asked->entries[n].id;
        record_release_write(o, clock_wall_ms(), nodes, st->node_count, ids, st->asked->count, added,
                             added_count);
        r = o->failed ? ERR_MEMORY : OK;
    }
    free(nodes);
    free(ids);
    free(added);
    return r;
}

/* Into the log, and synced. If it cannot be written it is tried again: the group is kept. */
static enum result write_answer(struct indexer *ix, struct spool_studies *st, uint64_t now_ms)
{
    struct octets record = {0};
    if (now_ms < st->retry_ms)
        return OK;
    enum result r = make_record(ix, st, &record);
    if (r == OK)
        st->is_written = log_append(ix->log, RECORD_RELEASE, record.data, record.len, true);
    octets_free(&record);
    if (r != OK || st->is_written)
        return r;
    LOG(LOG_WARN, "a held group waits until the spool can be written",
        LOG_STR("route", st->asked->study.route));
    st->retry_ms = now_ms + RETRY_MS;
    return OK;
}

/* Known by its first entry. */
void indexer_released(struct indexer *ix, const struct record_release *r)
{
    pthread_mutex_lock(&ix->lock);
    struct spool_studies *st = ix->studies;
    pthread_mutex_unlock(&ix->lock);
    for (; st; st = st->next) {
        if (st->is_written && r->released_count > 0 && record_release_id(r, 0) == st->asked->entries[0].id) {
            forget(ix, st);
            return;
        }
    }
}

/* --- asking ------------------------------------------------------------------------------------------------------------------ */

static void ask(struct spool_studies *st, struct spool_asked *a)
{
    st->asked = a;
    io_post(st->io, &st->study_message);
}

struct due {
    struct spool_studies *studies; /* those that may be asked */
    struct due_group {
        struct spool_studies *of;
        int64_t group;
        uint64_t due_ms;
    } groups[DUE_MAX];
    size_t count;
};

static bool on_group(void *owner, int64_t group, struct view route, uint64_t due_ms)
{
    struct due *d = owner;
    for (struct spool_studies *st = d->studies; st; st = st->next) {
        if (!st->asked && st->may_ask && XXH32(route.at, route.len, 0) % st->parts == st->part) {
            d->groups[d->count++] = (struct due_group){st, group, due_ms};
            break;
        }
    }
    return d->count < DUE_MAX;
}

static enum result ask_about(struct indexer *ix, const struct due_group *g, uint64_t wall_ms)
{
    struct spool_asked *a;
    bool has_others;
    if (g->of->asked)
        return OK; /* an older one came first */
    enum result r = index_study_read(ix->index, g->group, &a, &has_others);
    if (r != OK)
        return r;
    if (has_others && wall_ms < g->due_ms + OTHERS_MOST_MS) {
        index_asked_free(&a);
        if (wall_ms + OTHERS_LOOK_MS < ix->study_wall_ms)
            ix->study_wall_ms = wall_ms + OTHERS_LOOK_MS;
    }
    if (a)
        ask(g->of, a);
    return OK;
}

static enum result ask_due(struct indexer *ix, struct spool_studies *studies)
{
    struct due due = {.studies = studies};
    uint64_t next;
    if (clock_wall_ms() < ix->study_wall_ms)
        return OK;
    enum result r = indexer_begin(ix);
    uint64_t wall = clock_wall_ms(); /* after it: what others wrote meanwhile is older */
    if (r == OK)
        r = index_studies(ix->index, wall, on_group, &due, &next);
    if (r != OK)
        return r;
    ix->study_wall_ms = due.count == DUE_MAX ? 0 : next ? next : UINT64_MAX;
    for (size_t n = 0; r == OK && n < due.count; n++)
        r = ask_about(ix, &due.groups[n], wall);
    return r;
}

/* --- turns -------------------------------------------------------------------------------------------------------------------- */

static void close_studies(struct indexer *ix, struct spool_studies *st)
{
    pthread_mutex_lock(&ix->lock);
    struct spool_studies **link = &ix->studies;
    while (*link != st)
        link = &(*link)->next;
    *link = st->next;
    pthread_mutex_unlock(&ix->lock);
    io_post(st->io, &st->closed_message);
}

/* At the end a group whose answer cannot be written is left to the next process. */
static enum result proceed(struct indexer *ix, struct spool_studies *st, bool is_answered)
{
    if (!st->asked || !is_answered || st->is_written)
        return OK;
    if (!st->may_ask && st->retry_ms > 0) {
        forget(ix, st);
        return OK;
    }
    return write_answer(ix, st, clock_ms());
}

static int compare_message(const void *message, const void *entry)
{
    spool_id a = *(const spool_id *)message, b = ((const struct spool_asked_entry *)entry)->message;
    return (a > b) - (a < b);
}

/* Entries by id are messages by id. */
bool indexer_is_asked(struct indexer *ix, spool_id message)
{
    pthread_mutex_lock(&ix->lock);
    struct spool_studies *first = ix->studies;
    pthread_mutex_unlock(&ix->lock);
    for (struct spool_studies *st = first; st; st = st->next) {
        const struct spool_asked *a = st->asked;
        if (a && bsearch(&message, a->entries, a->count, sizeof(*a->entries), compare_message))
            return true;
    }
    return false;
}

enum result indexer_ask_studies(struct indexer *ix)
{
    pthread_mutex_lock(&ix->lock);
    struct spool_studies *first = ix->studies, *next;
    pthread_mutex_unlock(&ix->lock);
    for (struct spool_studies *st = first; st; st = next) {
        next = st->next;
        pthread_mutex_lock(&ix->lock);
        bool is_answered = st->is_answered;
        st->may_ask = !st->is_closing;
        pthread_mutex_unlock(&ix->lock);
        enum result r = proceed(ix, st, is_answered);
        if (r != OK)
            return r;
        if (!st->may_ask && !st->asked) {
            first = st == first ? next : first;
            close_studies(ix, st);
        }
    }
    return first ? ask_due(ix, first) : OK;
}
