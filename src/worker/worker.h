/*
 * A thread and its ring. Worker 0 also accepts, and gives each connection to the worker with the least associations, where it
 * lives and dies. What crosses workers goes by message.
 */
#ifndef HILUM_WORKER_WORKER_H
#define HILUM_WORKER_WORKER_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "relay/relay.h"
#include "script/rules_watch.h"

struct worker;
struct listener;

/* From the main thread, each once: they cannot fail for want of memory. */
struct worker_order {
    struct io_message message;
    struct worker *worker;
    void (*run)(struct worker *w);
};

struct worker {
    unsigned index;
    pthread_t thread;
    sem_t has_tried; /* to use its ring */
    sem_t has_ended;
    bool is_started;
    struct rules_watch rules_watch; /* for the main thread: a rule that hangs holds all that this one does */
    struct worker_order drain_order, stop_order;
    struct io *io;
    struct pool pool;
    struct relay relay;
    atomic_uint load;     /* associations given to it and not over */
    atomic_bool is_quiet; /* draining, and nothing is on its way */
    bool is_stopping;
    struct io_timer quiet_check, stop_bound;
    unsigned stop_rounds;
    bool stop_now;
    /* worker 0 */
    struct worker *peers; /* all workers, this one included */
    unsigned peer_count, next_peer;
    TAILQ_HEAD(listener_list, listener) listeners;
};

struct worker_options {
    unsigned index;
    uint64_t memory; /* bytes, this worker's part */
    struct resolver *resolver;
    struct permits_registry *permits;
    struct relay_totals *totals;
    struct spool *spool; /* NULL: there is no queue */
    struct affinity *affinity;
    struct circuits *circuits;
    struct moves *moves;
    struct holdings *holdings;
    struct rates *rates;
    struct commitment_desks *desks;
    unsigned silent_max;
    unsigned pipes_max; /* for payload that passes by memory */
    struct worker *peers;
    unsigned peer_count;
};

/* Prepares everything; the thread is not started. ERR_IO with why. */
MUST_USE enum result worker_open(struct worker *w, const struct worker_options *options, char *why,
                                 size_t why_cap);
/* ERR_IO (logged): no thread, or it cannot use its ring. */
MUST_USE enum result worker_start(struct worker *w);
/* After the thread has ended (or was never started). */
void worker_close(struct worker *w);

/* From the main thread, by message: */
/* Deliveries are by this configuration from now on. It is made before it is told, so that where there is no memory no worker is told; takes a
 * reference. NULL without memory. */
struct worker_news *worker_news_new(struct worker *w, struct config *config);
/* Tells it. Nulls the pointer. */
void worker_news_tell(struct worker_news **n);
void worker_news_free(struct worker_news **n);
void worker_drain(struct worker *w);
/* Ends all threads within about a second; then worker_join for each. `first` is worker 0: it stops accepting before it tells the
 * others, so that no connection is given to a thread that has ended. */
void worker_stop_all(struct worker *first);
/* False: it has not ended by then (clock_ms), and what it uses has to stay. */
MUST_USE bool worker_join(struct worker *w, uint64_t until_ms);

/* A socket that listens, with what it belongs to. */
struct worker_listener {
    int fd; /* taken; -1: the one that already listens there goes on */
    const struct config_listen *listen;
};
/* To worker 0: these listeners of this configuration, instead of those before. Listeners with the same address and port go on.
 * Takes a reference on the configuration. */
MUST_USE enum result worker_set_listeners(struct worker *w, struct config *config,
                                          const struct worker_listener *list, size_t count);

#endif
