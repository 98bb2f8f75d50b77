#include "worker/listener.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

enum { RETRY_MS = 50, TELL_MS = 10000 };

struct listener {
    struct worker *worker;
    int fd;
    struct config *config;
    const struct config_listen *listen;
    struct io_op accept;
    struct io_timer retry; /* after an accept that failed for want of descriptors */
    bool is_closing, has_told;
    uint64_t told_ms; /* when that was last logged: a shortage is one event, not one every retry */
    TAILQ_ENTRY(listener) link;
};

struct handoff {
    struct io_message message;
    struct worker *to;
    int fd;
    struct config *config;
    const struct config_listen *listen;
};

static void on_handoff(struct io_message *m)
{
    struct handoff *h = (struct handoff *)((char *)m - offsetof(struct handoff, message));
    relay_accept(&h->to->relay, h->fd, h->config, h->listen);
    config_unref(&h->config);
    free(h);
}

static struct worker *least_loaded(struct worker *w)
{
    struct worker *best = w; /* worker 0, which is one of them */
    unsigned least = UINT_MAX;
    for (unsigned i = 0; i < w->peer_count; i++) {
        struct worker *one = &w->peers[(w->next_peer + i) % w->peer_count];
        unsigned load = atomic_load(&one->load);
        if (load < least) {
            best = one;
            least = load;
        }
    }
    w->next_peer++;
    return best;
}

static void assign(struct listener *l, int fd)
{
    struct worker *to = least_loaded(l->worker);
    atomic_fetch_add(&to->load, 1);
    if (to == l->worker) {
        relay_accept(&to->relay, fd, l->config, l->listen);
        return;
    }
    struct handoff *h = malloc(sizeof(*h));
    if (!h) {
        atomic_fetch_sub(&to->load, 1);
        io_close(fd);
        return;
    }
    *h = (struct handoff){.message = {.on_message = on_handoff},
                          .to = to,
                          .fd = fd,
                          .config = config_ref(l->config),
                          .listen = l->listen};
    io_post(to->io, &h->message);
}

static void listener_free(struct listener *l)
{
    io_timer_stop(l->worker->io, &l->retry);
    TAILQ_REMOVE(&l->worker->listeners, l, link);
    io_close(l->fd);
    config_unref(&l->config);
    free(l);
}

static void tell_failure(struct listener *l)
{
    uint64_t now = io_now(l->worker->io);
    if (l->has_told && now - l->told_ms < TELL_MS)
        return;
    l->has_told = true;
    l->told_ms = now;
    LOG(LOG_ERROR, "accept failed", LOG_STR("listener", l->listen->name),
        LOG_STR("cause", io_op_error_text(&l->accept)));
}

static void on_accepted(struct io_op *op, enum io_error error, int64_t n)
{
    struct listener *l = op->owner;
    if (error == IO_NONE && !l->is_closing)
        assign(l, (int)n);
    else if (error == IO_NONE)
        io_close((int)n);
    if (l->is_closing) {
        listener_free(l);
        return;
    }
    if (error == IO_NONE || error == IO_RESET) {
        io_accept(l->worker->io, &l->accept, l->fd);
        return;
    }
    if (error != IO_UNSUPPORTED) /* paused by a reload: it is closed soon, or goes on */
        tell_failure(l);
    io_timer_start(l->worker->io, &l->retry, RETRY_MS);
}

static void on_retry(struct io_timer *t)
{
    struct listener *l = t->owner;
    io_accept(l->worker->io, &l->accept, l->fd);
}

static void close_one(struct listener *l)
{
    l->is_closing = true;
    if (l->accept.is_pending)
        io_cancel(l->worker->io, &l->accept);
    else
        listener_free(l);
}

void listeners_close(struct worker *w)
{
    struct listener *l, *next;
    for (l = TAILQ_FIRST(&w->listeners); l; l = next) {
        next = TAILQ_NEXT(l, link);
        if (!l->is_closing)
            close_one(l);
    }
}

struct change {
    struct io_message message;
    struct worker *worker;
    struct config *config;
    size_t count;
    struct worker_listener list[];
};

static void open_one(struct worker *w, struct config *config, const struct worker_listener *one)
{
    struct listener *l = calloc(1, sizeof(*l));
    if (!l) {
        io_close(one->fd);
        return;
    }
    l->worker = w;
    l->fd = one->fd;
    l->config = config_ref(config);
    l->listen = one->listen;
    l->accept = (struct io_op){.on_done = on_accepted, .owner = l};
    l->retry = (struct io_timer){.on_fire = on_retry, .owner = l};
    TAILQ_INSERT_TAIL(&w->listeners, l, link);
    io_accept(w->io, &l->accept, l->fd);
}

static void apply(struct change *c)
{
    struct worker *w = c->worker;
    struct listener *l, *next;
    for (l = TAILQ_FIRST(&w->listeners); l; l = next) {
        const struct config_listen *now = NULL;
        next = TAILQ_NEXT(l, link);
        for (size_t i = 0; i < c->count; i++)
            if (c->list[i].fd < 0 && config_listen_is_at(c->list[i].listen, l->listen))
                now = c->list[i].listen;
        if (l->is_closing)
            continue;
        if (!now) {
            close_one(l);
            continue;
        }
        config_unref(&l->config);
        l->config = config_ref(c->config);
        l->listen = now;
    }
    for (size_t i = 0; i < c->count; i++)
        if (c->list[i].fd >= 0)
            open_one(w, c->config, &c->list[i]);
}

static void on_change(struct io_message *m)
{
    struct change *c = (struct change *)((char *)m - offsetof(struct change, message));
    apply(c);
    config_unref(&c->config);
    free(c);
}

enum result worker_set_listeners(struct worker *w, struct config *config, const struct worker_listener *list,
                                 size_t count)
{
    struct change *c = malloc(sizeof(*c) + count * sizeof(*list));
    if (!c)
        return ERR_MEMORY;
    *c = (struct change){
        .message = {.on_message = on_change}, .worker = w, .config = config_ref(config), .count = count};
    memcpy(c->list, list, count * sizeof(*list));
    io_post(w->io, &c->message);
    return OK;
}
