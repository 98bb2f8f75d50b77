/* The indexer's thread: its turns, its transactions, and how it starts and ends. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "spool/ids.h"
#include "spool/indexer_inside.h"
#include "spool/spare.h"

enum {
    TURN_RECORDS = 256, /* then questions are looked at */
    COMMIT_MS = 200,    /* a transaction lasts no longer */
    IDLE_MS = 20,       /*   and ends when nothing more has come for so long */
    GAP_US = 1000,      /* between two: others who wait for the file get their turn */
    RETRY_MS = 1000,
    REST_US = 20000,
    ORDERS_MS = 200,
    SPACE_MS = 500,
    HISTORY_MS = 10000,
    HISTORY_AGAIN_MS = 50,
    HISTORY_MAX = 500,
    ADOPT_MS = 2000,
    SPARE_MS = 10000,
};

/* --- transactions -------------------------------------------------------------------------------------------------- */

enum result indexer_begin(struct indexer *ix)
{
    if (ix->is_begun)
        return OK;
    enum result r = index_begin(ix->index);
    if (r == OK) {
        ix->is_begun = true;
        ix->begun_ms = clock_ms();
    }
    return r;
}

enum result indexer_commit(struct indexer *ix)
{
    if (!ix->is_begun)
        return OK;
    enum result r = index_commit(ix->index, ix->log ? ix->walk.at : (struct log_position){0});
    if (r != OK)
        return r;
    ix->is_begun = false;
    ix->committed = ix->walk.at;
    if (ix->orders_are_read)
        ix->orders_count = 0;
    ix->orders_are_read = false;
    if (atomic_exchange(&ix->is_failing, false))
        LOG(LOG_INFO, "the queue's index is written again", LOG_STR("spool", ix->path));
    return OK;
}

/* The transaction is taken back, and read again from where the last one ended. */
static void take_back(struct indexer *ix)
{
    char folder[SPOOL_PATH_MAX];
    bool is_full;
    if (index_failure(ix->index, &is_full) && is_full)
        (void)!spare_use(ix->path);
    memcpy(folder, ix->walk.folder, sizeof(folder));
    index_abandon(ix->index);
    ix->is_begun = false;
    log_walk_end(&ix->walk);
    log_walk_begin(&ix->walk, folder, ix->committed);
    ix->retry_ms = clock_ms() + RETRY_MS;
    ix->wake_wall_ms = ix->study_wall_ms = 0;
    ix->has_orders = true;
    ix->orders_are_read = false;
    ix->is_at_end = false;
    ix->is_behind = ix->are_lines_stale = true;
    atomic_store(&ix->is_failing, true);
    indexer_node_is_due(ix, NULL, 0);
    indexer_stop_holes(ix);
}

/* --- the log --------------------------------------------------------------------------------------------------------- */

static struct log_position end_of_log(struct indexer *ix)
{
    pthread_mutex_lock(&ix->lock);
    ix->is_published = false;
    pthread_mutex_unlock(&ix->lock);
    return log_end(ix->log);
}

/* Some records, or to the end. */
static enum result read_log(struct indexer *ix)
{
    struct log_position end = end_of_log(ix);
    ix->is_at_end = false;
    for (int n = 0; n < TURN_RECORDS; n++) {
        struct record record;
        struct view payload;
        enum result r = log_walk_next(&ix->walk, end, &record, &payload);
        if (r == NEED_MORE) {
            ix->is_at_end = true;
            ix->is_behind = false;
            if (!ix->are_lines_stale)
                return OK;
            ix->are_lines_stale = false;
            return indexer_read_lines(ix);
        }
        if (r == ERR_PROTO)
            continue; /* it was logged */
        if (r == OK)
            r = indexer_begin(ix);
        if (r == OK)
            r = indexer_apply(ix, ix->held[0].number, &record, payload, NULL);
        if (r != OK)
            return r;
        ix->read_ms = clock_ms();
    }
    return OK;
}

/* --- from time to time ------------------------------------------------------------------------------------------------- */

static void on_woken(void *owner, const char *node)
{
    indexer_node_is_due(owner, node, strlen(node));
}

static enum result wake(struct indexer *ix)
{
    uint64_t next;
    if (clock_wall_ms() < ix->wake_wall_ms)
        return OK;
    enum result r = indexer_begin(ix); /* the time is asked after it: what others wrote meanwhile is older */
    if (r == OK)
        r = index_wake(ix->index, clock_wall_ms(), on_woken, ix, &next);
    if (r == OK)
        ix->wake_wall_ms = next ? next : UINT64_MAX;
    return r;
}

/* It was set back: times to come have to be looked at anew. */
static void look_at_clock(struct indexer *ix)
{
    uint64_t wall = clock_wall_ms();
    if (wall < ix->seen_wall_ms)
        ix->wake_wall_ms = ix->study_wall_ms = 0;
    ix->seen_wall_ms = wall;
}

/* Another process has written: hilum queue, or a gateway that drains or takes over. */
static void look_for_others(struct indexer *ix, uint64_t now)
{
    if (ix->is_begun || now < ix->orders_ms)
        return;
    ix->orders_ms = now + ORDERS_MS;
    if (!index_was_touched(ix->index))
        return;
    ix->has_orders = true;
    ix->wake_wall_ms = ix->study_wall_ms = 0;
    ix->are_lines_stale = true;
    indexer_node_is_due(ix, NULL, 0);
}

static void write_orders(struct indexer *ix, const struct octets *record, size_t count, uint64_t now)
{
    ix->orders_count = count;
    if (log_append(ix->log, RECORD_ORDER, record->data, record->len, true))
        return;
    LOG(LOG_WARN, "orders to the queue wait until the spool can be written", LOG_INT("orders", count));
    ix->orders_count = 0;
    ix->orders_retry_ms = now + RETRY_MS;
}

/* Orders go into the log first, and are done when they come out of it. One lot at a time; those for what is on its way wait for its outcome. */
static enum result log_orders(struct indexer *ix, uint64_t now)
{
    struct octets record = {0};
    struct spool_ids handed = {0};
    size_t count = 0;
    if (!ix->has_orders || ix->orders_count > 0 || now < ix->orders_retry_ms)
        return OK;
    enum result r = ERR_MEMORY;
    if (indexer_handed(ix, &handed))
        r = index_orders(ix->index, clock_wall_ms(), &handed, &record, INDEXER_ORDERS, ix->orders, &count);
    ix->orders_retry_ms = now + ORDERS_MS;
    if (r == OK && count > 0)
        write_orders(ix, &record, count, now);
    else if (r == OK)
        r = index_orders_open(ix->index, &ix->has_orders);
    octets_free(&record);
    ids_free(&handed);
    return r;
}

static enum result forget_history(struct indexer *ix, uint64_t now)
{
    uint64_t history = atomic_load(&ix->history_ms), wall = clock_wall_ms();
    unsigned count = 0;
    if (now < ix->history_due_ms)
        return OK;
    enum result r = indexer_begin(ix);
    if (r == OK)
        r = index_forget_ended(ix->index, wall > history ? wall - history : 0, HISTORY_MAX, &count);
    ix->history_due_ms = now + (count == HISTORY_MAX ? HISTORY_AGAIN_MS : HISTORY_MS);
    return r;
}

static enum result forget_claims(struct indexer *ix, uint64_t now)
{
    unsigned count = 0;
    if (now < ix->claims_due_ms)
        return OK;
    enum result r = indexer_begin(ix);
    if (r == OK)
        r = index_forget_claims(ix->index, clock_wall_ms(), HISTORY_MAX, &count);
    ix->claims_due_ms = now + (count == HISTORY_MAX ? HISTORY_AGAIN_MS : HISTORY_MS);
    return r;
}

static enum result look_around(struct indexer *ix)
{
    uint64_t now = clock_ms();
    look_for_others(ix, now);
    look_at_clock(ix);
    enum result r = wake(ix);
    if (r == OK && !ix->is_behind)
        r = indexer_ask_studies(ix);
    if (r == OK)
        r = log_orders(ix, now);
    if (r == OK)
        r = indexer_take_lost(ix, now);
    if (r == OK)
        r = forget_history(ix, now);
    if (r == OK)
        r = forget_claims(ix, now);
    if (r == OK && now >= ix->space_ms) {
        indexer_write_claims(ix);
        r = indexer_give_back(ix);
        ix->space_ms = now + SPACE_MS;
    }
    if (r == OK && !ix->is_behind && now >= ix->holes.next_ms)
        r = indexer_make_holes(ix);
    if (r == OK && now >= ix->spare_ms) {
        spare_fill(ix->path);
        ix->spare_ms = now + SPARE_MS;
    }
    if (r == OK && now >= ix->adopt_ms) {
        r = indexer_commit(ix);
        if (r == OK)
            indexer_adopt_late(ix);
        ix->adopt_ms = clock_ms() + ADOPT_MS;
    }
    return r;
}

/* --- turns ------------------------------------------------------------------------------------------------------------ */

static uint64_t min_of(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* When something is to be done even if nobody asks for it. Monotonic. */
static uint64_t next_due(const struct indexer *ix, uint64_t now)
{
    uint64_t due = min_of(min_of(ix->space_ms, ix->adopt_ms), min_of(ix->history_due_ms, ix->claims_due_ms));
    if (!ix->is_behind)
        due = min_of(due, ix->holes.next_ms);
    uint64_t wall = clock_wall_ms();
    if (ix->wake_wall_ms != UINT64_MAX)
        due = min_of(due, now + (ix->wake_wall_ms > wall ? ix->wake_wall_ms - wall : 0));
    if (ix->study_wall_ms != UINT64_MAX)
        due = min_of(due, now + (ix->study_wall_ms > wall ? ix->study_wall_ms - wall : 0));
    if (ix->is_begun)
        due = min_of(due, min_of(ix->begun_ms + COMMIT_MS, ix->read_ms + IDLE_MS));
    else
        due = min_of(due, ix->orders_ms);
    return due;
}

/* Until there is something to do. Returns true if the thread is to end. */
static bool wait(struct indexer *ix, uint64_t until_ms)
{
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                             .tv_nsec = (long)(until_ms % 1000) * 1000000};
    pthread_mutex_lock(&ix->lock);
    bool is_in_time = true;
    while (is_in_time && !ix->is_published && !ix->has_questions && !ix->is_stopping)
        is_in_time = pthread_cond_timedwait(&ix->wake, &ix->lock, &until) == 0;
    bool is_stopping = ix->is_stopping;
    pthread_mutex_unlock(&ix->lock);
    return is_stopping;
}

static enum result commit_if_due(struct indexer *ix)
{
    uint64_t now = clock_ms();
    if (!ix->is_begun ||
        !(now >= ix->begun_ms + COMMIT_MS || (ix->is_at_end && now >= ix->read_ms + IDLE_MS)))
        return OK;
    enum result r = indexer_commit(ix);
    look_for_others(ix, now);
    if (!ix->is_at_end)
        usleep(GAP_US);
    return r;
}

static enum result turn(struct indexer *ix)
{
    enum result r = read_log(ix);
    if (r == OK && !ix->is_behind)
        r = indexer_answer(ix);
    if (r == OK)
        r = look_around(ix);
    if (r == OK)
        indexer_post_due(ix);
    return r == OK ? commit_if_due(ix) : r;
}

/* After a failure. */
static bool rest(struct indexer *ix)
{
    usleep(REST_US);
    pthread_mutex_lock(&ix->lock);
    bool is_stopping = ix->is_stopping;
    pthread_mutex_unlock(&ix->lock);
    return is_stopping;
}

/* What was published by now, and no more. If the index fails the log keeps it: the next process reads it. */
static void finish(struct indexer *ix)
{
    enum result r = OK;
    do
        r = read_log(ix);
    while (r == OK && !ix->is_at_end);
    if (r == OK)
        r = indexer_answer(ix);
    if (r == OK)
        r = indexer_commit(ix);
    if (r != OK)
        take_back(ix);
}

static void *run(void *owner)
{
    struct indexer *ix = owner;
    bool is_stopping = false;
    while (!is_stopping) {
        if (clock_ms() < ix->retry_ms) {
            is_stopping = rest(ix);
            continue;
        }
        if (turn(ix) != OK)
            take_back(ix);
        is_stopping = wait(ix, ix->is_at_end ? next_due(ix, clock_ms()) : 0);
    }
    finish(ix);
    log_flush();
    return NULL;
}

/* --- what others call ------------------------------------------------------------------------------------------------- */

struct indexer *indexer_new(const char *spool_path, struct index *index_take, struct generation own_take,
                            uint64_t history_ms)
{
    struct indexer *ix = calloc(1, sizeof(*ix));
    struct generation *held = malloc(sizeof(*held));
    pthread_condattr_t monotonic;
    if (ix)
        ix->orders = calloc(INDEXER_ORDERS, sizeof(*ix->orders));
    if (ix)
        ix->lines = lines_new();
    if (!ix || !held || !ix->orders || !ix->lines) {
        index_close(&index_take);
        spool_folder_release(&own_take);
        if (ix) {
            free(ix->orders);
            lines_free(&ix->lines);
        }
        free(ix);
        free(held);
        return NULL;
    }
    hilum_assert(strlen(spool_path) < sizeof(ix->path));
    memcpy(ix->path, spool_path, strlen(spool_path) + 1);
    ix->index = index_take;
    ix->held = held;
    ix->held[0] = own_take;
    ix->held_count = 1;
    ix->walk.fd = -1;
    atomic_init(&ix->history_ms, history_ms);
    atomic_init(&ix->is_failing, false);
    hilum_assert(pthread_condattr_init(&monotonic) == 0 &&
                 pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC) == 0 &&
                 pthread_cond_init(&ix->wake, &monotonic) == 0 && pthread_mutex_init(&ix->lock, NULL) == 0);
    (void)pthread_condattr_destroy(&monotonic);
    return ix;
}

static void on_line(void *owner, struct view node, struct view instance, int by)
{
    struct indexer *ix = owner;
    lines_add(ix->lines, node, instance, by);
}

enum result indexer_start(struct indexer *ix, struct log_writer *log)
{
    char folder[SPOOL_PATH_MAX];
    if (!log_folder_path(ix->path, ix->held[0].number, folder))
        return ERR_USAGE;
    ix->log = log;
    log_walk_begin(&ix->walk, folder, (struct log_position){.generation = ix->held[0].number});
    ix->committed = ix->walk.at;
    ix->adopt_ms = clock_ms() + ADOPT_MS;
    ix->spare_ms = clock_ms() + SPARE_MS;
    ix->has_orders = true; /* left for us while nobody ran */
    (void)index_was_touched(ix->index);
    enum result r = indexer_own(ix);
    if (r == OK)
        r = indexer_read_lines(ix);
    index_watch_lines(ix->index, on_line, ix);
    if (r == OK && pthread_create(&ix->thread, NULL, run, ix) != 0)
        r = ERR_MEMORY;
    ix->is_started = r == OK;
    return r;
}

void indexer_stop(struct indexer *ix)
{
    if (!ix->is_started)
        return;
    pthread_mutex_lock(&ix->lock);
    ix->is_stopping = true;
    pthread_cond_signal(&ix->wake);
    pthread_mutex_unlock(&ix->lock);
    (void)pthread_join(ix->thread, NULL);
    ix->is_started = false;
}

void indexer_free(struct indexer **ix)
{
    struct indexer *it = *ix;
    *ix = NULL;
    if (!it)
        return;
    hilum_assert(!it->is_started);
    log_walk_end(&it->walk);
    holes_free(&it->holes.job);
    free(it->holes.of);
    index_close(&it->index);
    for (struct spool_studies *st = it->studies; st;
         st = st->next) { /* whose owners had no time to close them */
        index_asked_free(&st->asked);
        free(st->nodes);
    }
    for (size_t n = 0; n < it->held_count; n++)
        spool_folder_release(&it->held[n]);
    (void)pthread_cond_destroy(&it->wake);
    (void)pthread_mutex_destroy(&it->lock);
    free(it->held);
    free(it->given.of);
    free(it->expected.of);
    ids_free(&it->orphans);
    octets_free(&it->claims);
    lines_free(&it->lines);
    free(it->orders);
    free(it);
}

void indexer_on_published(void *owner)
{
    struct indexer *ix = owner;
    pthread_mutex_lock(&ix->lock);
    if (!ix->is_published) {
        ix->is_published = true;
        pthread_cond_signal(&ix->wake);
    }
    pthread_mutex_unlock(&ix->lock);
}

void indexer_set_history(struct indexer *ix, uint64_t history_ms)
{
    atomic_store(&ix->history_ms, history_ms);
}

bool indexer_is_well(const struct indexer *ix)
{
    return !atomic_load(&ix->is_failing);
}
