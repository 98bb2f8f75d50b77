/* Outbound: name, addresses in turn, connection, request. */
#include <stdio.h>

#include "association/inside.h"

static void try_next(struct association *a);

static void on_connect_timeout(struct io_timer *t)
{
    struct association *a = t->owner;
    if (a->connect_op.is_pending)
        io_cancel(a->io, &a->connect_op);
    association_end(a, ASSOCIATION_NO_CONNECTION, "no connection in time");
}

static void fail(struct association *a, const char *why)
{
    io_timer_stop(a->io, &a->watch);
    association_end(a, ASSOCIATION_NO_CONNECTION, why);
}

static void connected(struct association *a)
{
    int fd = a->connect_fd;
    a->connect_fd = -1;
    io_timer_stop(a->io, &a->watch);
    if (!association_open_stream(a, fd)) {
        fail(a, "out of memory");
        return;
    }
    struct ul_outcome o = ul_local(&a->ul, UL_EVT2, &a->control);
    io_timer_start(a->io, &a->artim, a->limits.association); /* ours: an answer is waited for so long */
    association_apply(a, &o, NULL);
}

static void on_connected(struct io_op *op, enum io_error error, int64_t n)
{
    struct association *a = op->owner;
    (void)n;
    if (error == IO_NONE && !a->has_ended) {
        connected(a);
        return;
    }
    io_close(a->connect_fd);
    a->connect_fd = -1;
    if (!a->has_ended)
        try_next(a);
    association_tell_gone(a);
}

static void try_next(struct association *a)
{
    struct io_socket_options options = {.tcp_congestion = a->tcp_congestion};
    if (a->address_next == a->resolve.count) {
        fail(a, a->connect_op.system_error ? io_op_error_text(&a->connect_op) : "no address");
        return;
    }
    a->peer = a->resolve.addresses[a->address_next++];
    a->connect_fd = io_socket(&a->peer, &options);
    if (a->connect_fd < 0) {
        fail(a, "no descriptor for a connection");
        return;
    }
    a->connect_op = (struct io_op){.on_done = on_connected, .owner = a};
    io_connect(a->io, &a->connect_op, a->connect_fd, &a->peer);
}

static void on_resolved(struct io_resolve *r)
{
    struct association *a = r->owner;
    if (!a->has_ended) {
        if (r->count == 0)
            fail(a, r->why ? r->why : "name not known");
        else
            try_next(a);
    }
    association_tell_gone(a);
}

void association_connect_take(struct association *a, const char *host, uint16_t port,
                              struct pdu_associate *request)
{
    ul_init(&a->ul, true);
    (void)ul_request_take(&a->ul, request); /* Evt1, AE-1: Sta4 */
    a->watch = (struct io_timer){.on_fire = on_connect_timeout, .owner = a};
    io_timer_start(a->io, &a->watch, a->limits.connect);
    a->resolve = (struct io_resolve){.on_done = on_resolved, .owner = a};
    io_resolve(a->io, a->resolver, &a->resolve, host, port);
}
