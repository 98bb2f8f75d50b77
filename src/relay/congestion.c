#include "relay/congestion.h"

enum { LOOK_MS = 100 };

/* A quarter of the pool has to be free before it is over: who waited is then served. */
static void on_look(struct io_timer *t)
{
    struct congestion *c = t->owner;
    if (io_is_awaited(c->io))
        c->waited_ms = io_now(c->io);
    if (pool_is_short(c->pool))
        io_timer_start(c->io, t, LOOK_MS);
    else
        c->since_ms = 0;
}

void congestion_init(struct congestion *c, struct io *io, const struct pool *pool)
{
    *c = (struct congestion){.io = io, .pool = pool, .look = {.on_fire = on_look, .owner = c}};
}

void congestion_short(struct congestion *c)
{
    c->waited_ms = io_now(c->io);
    if (c->since_ms > 0)
        return;
    c->since_ms = c->waited_ms;
    io_timer_start(c->io, &c->look, LOOK_MS);
}

bool congestion_is(const struct congestion *c, uint64_t lag_ms, uint64_t gave_up_ms)
{
    uint64_t now = io_now(c->io);
    bool gave_up = gave_up_ms > 0 && now - gave_up_ms < lag_ms;
    bool is_awaited = now - c->waited_ms < lag_ms;
    return c->since_ms > 0 && is_awaited && pool_is_short(c->pool) &&
           (gave_up || now - c->since_ms >= lag_ms);
}

void congestion_stop(struct congestion *c)
{
    io_timer_stop(c->io, &c->look);
    c->since_ms = 0;
}
