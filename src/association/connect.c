/* Outbound: name, addresses in turn, connection, request. What this needs lives only as long as it takes. */
#include <stdio.h>
#include <stdlib.h>

#include "association/inside.h"

struct association_connecting {
    struct association *a;
    struct io_resolve resolve;
    struct io_op op;
    struct io_timer timer;
    int fd;
    unsigned next; /* address to try */
    uint64_t deadline_ms;
    const char *why; /* the last address failed so */
};

static void try_next(struct association_connecting *c);

static void finish(struct association_connecting *c)
{
    struct association *a = c->a;
    io_timer_stop(a->io, &c->timer);
    a->connecting = NULL;
    free(c);
}

static void fail(struct association_connecting *c, const char *why)
{
    struct association *a = c->a;
    finish(c);
    association_end(a, ASSOCIATION_NO_CONNECTION, why);
    association_tell_gone(a);
}

static void connected(struct association_connecting *c)
{
    struct association *a = c->a;
    int fd = c->fd;
    finish(c);
    if (!association_open_stream(a, fd)) {
        association_end(a, ASSOCIATION_NO_CONNECTION, "out of memory");
        return;
    }
    struct ul_outcome o = ul_local(&a->ul, UL_EVT2, &a->control);
    io_timer_start(a->io, &a->artim, a->limits.association); /* ours: an answer is waited for so long */
    association_apply(a, &o, NULL);
}

static void on_connected(struct io_op *op, enum io_error error, int64_t n)
{
    struct association_connecting *c = op->owner;
    (void)n;
    if (error == IO_NONE && !c->a->has_ended) {
        connected(c);
        return;
    }
    io_close(c->fd);
    c->why = error == IO_CANCELLED ? "no connection in time" : io_op_error_text(op);
    try_next(c);
}

/* Each address has its share of the time that is left, so that one that swallows packets does not stand for all. */
static void try_next(struct association_connecting *c)
{
    struct association *a = c->a;
    struct io_socket_options options = {.tcp_congestion = a->tcp_congestion};
    uint64_t now = io_now(a->io);
    c->fd = -1;
    while (!a->has_ended && c->fd < 0 && c->next < c->resolve.count && now < c->deadline_ms) {
        a->peer = c->resolve.addresses[c->next++];
        c->fd = io_socket(&a->peer, &options);
        if (c->fd < 0)
            c->why = "no socket for the address";
    }
    if (c->fd < 0) {
        fail(c, c->why ? c->why : "no address");
        return;
    }
    c->op = (struct io_op){.on_done = on_connected, .owner = c};
    io_timer_start(a->io, &c->timer, (c->deadline_ms - now) / (c->resolve.count - c->next + 1));
    io_connect(a->io, &c->op, c->fd, &a->peer);
}

static void on_resolved(struct io_resolve *r)
{
    struct association_connecting *c = r->owner;
    c->why = r->count == 0 ? r->why : NULL;
    try_next(c);
}

static void on_timer(struct io_timer *t)
{
    struct association_connecting *c = t->owner;
    if (c->op.is_pending)
        io_cancel(c->a->io, &c->op);
    else /* the resolver cannot be called back; its answer will find nobody waiting */
        association_end(c->a, ASSOCIATION_NO_CONNECTION, "name not resolved in time");
}

void association_connect_cancel(struct association *a)
{
    if (a->connecting && a->connecting->op.is_pending)
        io_cancel(a->io, &a->connecting->op);
}

void association_connect_take(struct association *a, const char *host, uint16_t port,
                              struct pdu_associate *request)
{
    struct association_connecting *c = calloc(1, sizeof(*c));
    ul_init(&a->ul, true);
    (void)ul_request_take(&a->ul, request); /* Evt1, AE-1: Sta4 */
    if (!c) {
        io_timer_start(a->io, &a->artim, 0); /* told from the loop, like every failure */
        return;
    }
    a->connecting = c;
    c->a = a;
    c->fd = -1;
    c->deadline_ms = io_now(a->io) + a->limits.connect;
    c->timer = (struct io_timer){.on_fire = on_timer, .owner = c};
    c->resolve = (struct io_resolve){.on_done = on_resolved, .owner = c};
    io_timer_start(a->io, &c->timer, a->limits.connect);
    io_resolve(a->io, a->resolver, &c->resolve, host, port);
}
