#include "worker/worker.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "worker/listener.h"

enum { QUIET_CHECK_MS = 20, STOP_BOUND_MS = 1000, STOP_ROUND_MS = 50, STOP_ROUNDS = 4 };

static void on_session_over(void *owner)
{
    struct worker *w = owner;
    atomic_fetch_sub(&w->load, 1);
}

enum result worker_open(struct worker *w, const struct worker_options *o, char *why, size_t why_cap)
{
    *w = (struct worker){.index = o->index, .peers = o->peers, .peer_count = o->peer_count};
    sem_init(&w->has_tried, 0, 0);
    sem_init(&w->has_ended, 0, 0);
    rules_watch_init(&w->rules_watch);
    TAILQ_INIT(&w->listeners);
    pool_init(&w->pool, o->memory);
    struct io_options io_options = {.pool = &w->pool, .pipes_max = o->pipes_max};
    enum result r = io_new(&io_options, &w->io, why, why_cap);
    if (r != OK)
        return r;
    struct relay_options relay_options = {.io = w->io,
                                          .pool = &w->pool,
                                          .resolver = o->resolver,
                                          .permits = o->permits,
                                          .totals = o->totals,
                                          .spool = o->spool,
                                          .affinity = o->affinity,
                                          .circuits = o->circuits,
                                          .moves = o->moves,
                                          .holdings = o->holdings,
                                          .rates = o->rates,
                                          .desks = o->desks,
                                          .workers = o->peer_count,
                                          .worker = o->index,
                                          .silent_max = o->silent_max};
    r = relay_open(&w->relay, &relay_options);
    w->relay.on_session_over = on_session_over;
    w->relay.owner = w;
    w->relay.rulesets.watch = &w->rules_watch;
    if (r != OK)
        snprintf(why, why_cap, "out of memory");
    return r;
}

static bool is_finished(const struct worker *w)
{
    return w->is_stopping && (w->stop_now || (relay_is_empty(&w->relay) && TAILQ_EMPTY(&w->listeners)));
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    bool is_adopted = io_adopt(w->io) == OK;
    w->is_started = is_adopted;
    sem_post(&w->has_tried);
    log_gather();
    while (is_adopted && !is_finished(w)) {
        io_run(w->io);
        log_flush();
    }
    relay_leave(&w->relay);
    sem_post(&w->has_ended);
    return NULL;
}

enum result worker_start(struct worker *w)
{
    int failed = pthread_create(&w->thread, NULL, worker_main, w);
    while (!failed && sem_wait(&w->has_tried) != 0) /* a signal */
        ;
    if (w->is_started)
        return OK;
    if (!failed)
        pthread_join(w->thread, NULL);
    LOG(LOG_ERROR, failed ? "no thread for a worker" : "worker cannot use its ring",
        LOG_INT("worker", w->index));
    return ERR_IO;
}

static bool has_ended_by(struct worker *w, uint64_t until_ms)
{
    struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                             .tv_nsec = (long)(until_ms % 1000) * 1000000};
    int failed;
    do
        failed = sem_clockwait(&w->has_ended, CLOCK_MONOTONIC, &until);
    while (failed && clock_ms() < until_ms); /* a signal */
    return !failed;
}

bool worker_join(struct worker *w, uint64_t until_ms)
{
    if (w->is_started && !has_ended_by(w, until_ms))
        return false;
    if (w->is_started)
        pthread_join(w->thread, NULL);
    w->is_started = false;
    return true;
}

void worker_close(struct worker *w)
{
    relay_close(&w->relay);
    io_free(&w->io);
    sem_destroy(&w->has_tried);
    sem_destroy(&w->has_ended);
    rules_watch_free(&w->rules_watch);
    if (w->pool.in_use == 0)
        pool_free(&w->pool);
}

static void on_order(struct io_message *m)
{
    struct worker_order *o = (struct worker_order *)((char *)m - offsetof(struct worker_order, message));
    o->run(o->worker);
}

static void give_order(struct worker_order *o, struct worker *w, void (*run)(struct worker *w))
{
    *o = (struct worker_order){.message = {.on_message = on_order}, .worker = w, .run = run};
    io_post(w->io, &o->message);
}

struct worker_news {
    struct io_message message;
    struct worker *worker;
    struct config *config;
};

void worker_news_free(struct worker_news **np)
{
    struct worker_news *n = *np;
    *np = NULL;
    if (!n)
        return;
    config_unref(&n->config);
    free(n);
}

static void on_news(struct io_message *m)
{
    struct worker_news *n = (struct worker_news *)((char *)m - offsetof(struct worker_news, message));
    relay_configure(&n->worker->relay, n->config);
    worker_news_free(&n);
}

struct worker_news *worker_news_new(struct worker *w, struct config *config)
{
    struct worker_news *n = calloc(1, sizeof(*n));
    if (n)
        *n = (struct worker_news){
            .message = {.on_message = on_news}, .worker = w, .config = config_ref(config)};
    return n;
}

void worker_news_tell(struct worker_news **np)
{
    struct worker_news *n = *np;
    *np = NULL;
    io_post(n->worker->io, &n->message);
}

static void on_quiet_check(struct io_timer *t)
{
    struct worker *w = t->owner;
    atomic_store(&w->is_quiet, relay_is_quiet(&w->relay));
    io_timer_start(w->io, t, QUIET_CHECK_MS);
}

static void drain(struct worker *w)
{
    listeners_close(w);
    relay_drain(&w->relay);
    w->quiet_check = (struct io_timer){.on_fire = on_quiet_check, .owner = w};
    on_quiet_check(&w->quiet_check);
}

void worker_drain(struct worker *w)
{
    give_order(&w->drain_order, w, drain);
}

static void on_stop_bound(struct io_timer *t)
{
    struct worker *w = t->owner;
    w->stop_now = w->stop_rounds++ == STOP_ROUNDS;
    relay_stop(&w->relay); /* now without waiting for anybody */
    io_timer_start(w->io, t, STOP_ROUND_MS);
}

static void stop(struct worker *w)
{
    w->is_stopping = true;
    listeners_close(w);
    io_timer_stop(w->io, &w->quiet_check);
    relay_stop(&w->relay);
    w->stop_bound = (struct io_timer){.on_fire = on_stop_bound, .owner = w};
    io_timer_start(w->io, &w->stop_bound, STOP_BOUND_MS);
    for (unsigned i = 1; w->index == 0 && i < w->peer_count; i++)
        if (w->peers[i].is_started)
            give_order(&w->peers[i].stop_order, &w->peers[i], stop);
}

void worker_stop_all(struct worker *first)
{
    if (first->is_started)
        give_order(&first->stop_order, first, stop);
}
