#include "relay/pace.h"

#include "relay/rates.h"
#include "relay/session.h"

/* --- senders --------------------------------------------------------------------------------------------------- */

static void on_paid(struct io_timer *t)
{
    association_hurry(t->owner);
}

bool pace_enter(struct session *s)
{
    if (!s->caller)
        return true;
    struct rates_of *of = rates_of_caller(s->relay->rates, s->caller);
    if (!of || !rates_enter(of, s->caller))
        return false;
    s->pace = (struct pace){.of = of, .timer = {.on_fire = on_paid, .owner = &s->a}};
    return true;
}

void pace_leave(struct session *s)
{
    if (!s->pace.of)
        return;
    rates_leave(s->pace.of);
    io_timer_stop(s->relay->io, &s->pace.timer);
    s->pace.of = NULL;
}

void pace_came(struct session *s, unsigned requests, size_t bytes)
{
    struct io *io = s->relay->io;
    if (!s->pace.of || s->is_over)
        return;
    uint64_t wait_ms = rates_charge(s->pace.of, &s->caller->rate, requests, bytes, io_now(io));
    if (wait_ms == 0)
        return;
    association_slow(&s->a);
    io_timer_start(io, &s->pace.timer, wait_ms);
}

/* --- nodes ----------------------------------------------------------------------------------------------------- */

static void on_due(struct io_timer *t)
{
    const struct pace_node *p = t->owner;
    p->on_due(p->owner);
}

static void wait(struct pace_node *p, uint64_t ms)
{
    if (ms > 0)
        io_timer_start(p->io, &p->timer, ms);
}

bool pace_node_begin(struct pace_node *p, struct relay *r, const struct config_node *node, uint64_t most_ms)
{
    uint64_t wait_ms;
    p->io = r->io;
    p->node = node;
    p->timer = (struct io_timer){.on_fire = on_due, .owner = p};
    p->of = NULL;
    if (node->rate.instances == 0 && node->rate.bytes == 0)
        return true;
    p->of = rates_of_node(r->rates, node);
    if (!p->of || !rates_begin(p->of, &node->rate, io_now(r->io), most_ms, &wait_ms))
        return false;
    wait(p, wait_ms);
    return true;
}

void pace_node_sent(struct pace_node *p, size_t bytes)
{
    if (p->of)
        wait(p, rates_charge(p->of, &p->node->rate, 0, bytes, io_now(p->io)));
}

bool pace_node_waits(const struct pace_node *p)
{
    return p->timer.is_armed;
}

void pace_node_stop(struct pace_node *p)
{
    if (p->of)
        io_timer_stop(p->io, &p->timer);
    p->of = NULL;
}
