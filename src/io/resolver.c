/* Names to addresses, off the workers: one thread, a queue, answers kept 30 s. */
#include <arpa/inet.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "io/faults.h"
#include "io/io.h"

enum { KEEP_MS = 30000, CACHE_ENTRIES = 64 };

struct answer {
    char host[256];
    struct io_address addresses[IO_RESOLVE_MAX];
    unsigned count;
    uint64_t until_ms;
};

struct resolver {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct io_resolve *first, **end;
    bool is_ending;
    struct answer cache[CACHE_ENTRIES]; /* the thread's own */
    unsigned cache_next;
};

static void set_port(struct io_address *a, uint16_t port)
{
    if (a->at.ss_family == AF_INET)
        ((struct sockaddr_in *)&a->at)->sin_port = htons(port);
    else
        ((struct sockaddr_in6 *)&a->at)->sin6_port = htons(port);
}

static unsigned look_up(const char *host, int flags, struct io_address *out, const char **why)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = flags};
    struct addrinfo *list = NULL;
    int error =
        io_fault(IO_CALL_RESOLVE, NULL) == IO_FAILS ? EAI_SYSTEM : getaddrinfo(host, NULL, &hints, &list);
    unsigned n = 0;
    if (error) {
        *why = gai_strerror(error);
        return 0;
    }
    for (struct addrinfo *a = list; a && n < IO_RESOLVE_MAX; a = a->ai_next) {
        if (a->ai_addrlen > sizeof(out[n].at) || (a->ai_family != AF_INET && a->ai_family != AF_INET6))
            continue;
        memcpy(&out[n].at, a->ai_addr, a->ai_addrlen);
        out[n].len = a->ai_addrlen;
        n++;
    }
    freeaddrinfo(list);
    if (n == 0)
        *why = "no address";
    return n;
}

static void answer_query(struct resolver *r, struct io_resolve *q)
{
    uint64_t now = clock_ms();
    struct answer *known = NULL;
    for (unsigned i = 0; i < CACHE_ENTRIES; i++)
        if (r->cache[i].count > 0 && r->cache[i].until_ms > now && strcmp(r->cache[i].host, q->host) == 0)
            known = &r->cache[i];
    if (!known) {
        known = &r->cache[r->cache_next];
        r->cache_next = (r->cache_next + 1) % CACHE_ENTRIES;
        known->count = look_up(q->host, AI_ADDRCONFIG, known->addresses, &q->why);
        if (known->count == 0) /* hosts of the loopback alone, as in a container without a network */
            known->count = look_up(q->host, 0, known->addresses, &q->why);
        known->until_ms = now + KEEP_MS;
        snprintf(known->host, sizeof(known->host), "%s", q->host);
    }
    memcpy(q->addresses, known->addresses, sizeof(q->addresses));
    q->count = known->count;
}

static void *resolver_main(void *arg)
{
    struct resolver *r = arg;
    pthread_mutex_lock(&r->lock);
    while (!r->is_ending) {
        struct io_resolve *q = r->first;
        if (!q) {
            pthread_cond_wait(&r->wake, &r->lock);
            continue;
        }
        r->first = q->next;
        if (!r->first)
            r->end = &r->first;
        pthread_mutex_unlock(&r->lock);
        answer_query(r, q);
        io_post(q->io, &q->message);
        pthread_mutex_lock(&r->lock);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

enum result resolver_new(struct resolver **out)
{
    struct resolver *r = calloc(1, sizeof(*r));
    if (!r)
        return ERR_MEMORY;
    r->end = &r->first;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->wake, NULL);
    if (pthread_create(&r->thread, NULL, resolver_main, r)) {
        free(r);
        return ERR_IO;
    }
    *out = r;
    return OK;
}

void resolver_free(struct resolver **rp)
{
    struct resolver *r = *rp;
    *rp = NULL;
    if (!r)
        return;
    pthread_mutex_lock(&r->lock);
    r->is_ending = true;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    pthread_cond_destroy(&r->wake);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static void resolve_done(struct io_resolve *q)
{
    for (unsigned i = 0; i < q->count; i++)
        set_port(&q->addresses[i], q->port);
    q->is_pending = false;
    q->on_done(q);
}

static void on_message(struct io_message *m)
{
    resolve_done((struct io_resolve *)((char *)m - offsetof(struct io_resolve, message)));
}

static void on_task(struct io_task *t)
{
    resolve_done(t->owner);
}

void io_resolve(struct io *io, struct resolver *r, struct io_resolve *q, const char *host, uint16_t port)
{
    q->is_pending = true;
    q->io = io;
    q->port = port;
    q->why = NULL;
    q->next = NULL;
    q->message = (struct io_message){.on_message = on_message};
    q->task = (struct io_task){.run = on_task, .owner = q};
    snprintf(q->host, sizeof(q->host), "%s", host);
    q->count = look_up(host, AI_NUMERICHOST, q->addresses, &q->why);
    if (q->count > 0 || !r) {
        io_defer(io, &q->task);
        return;
    }
    q->why = NULL;
    pthread_mutex_lock(&r->lock);
    *r->end = q;
    r->end = &q->next;
    pthread_cond_signal(&r->wake);
    pthread_mutex_unlock(&r->lock);
}
