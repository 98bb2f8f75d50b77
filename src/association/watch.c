/* Our own time-outs on a live association: `progress` in the middle of something, `idle` without work. */
#include "association/inside.h"

static uint64_t period(const struct association *a)
{
    uint64_t ms = a->limits.progress;
    if (a->limits.idle > 0 && a->limits.idle < ms)
        ms = a->limits.idle;
    return ms / 4 + 1;
}

bool association_is_held_up(const struct association *a)
{
    return a->is_held || a->is_slowed || !a->stream.is_reading || stream_is_full(&a->stream) ||
           a->stream.waiter.is_waiting || a->waits_to_pass || association_bypass_is_stuck(a);
}

static bool is_older(uint64_t now, uint64_t then, uint64_t ms)
{
    return now - then >= ms;
}

static void on_watch(struct io_timer *t)
{
    struct association *a = t->owner;
    uint64_t now = io_now(a->io);
    io_timer_start(a->io, t, period(a));
    if (a->has_work)
        a->work_ms = now;
    if (association_is_held_up(a))
        a->held_up_ms = now;
    if (association_backlog(a) > 0 && is_older(now, a->stream.sent_ms, a->limits.progress)) {
        association_fault(a, (struct pdu_fault){PDU_ABORT_UNSPECIFIED, "the peer takes no data"});
    } else if (association_is_amid(a) && is_older(now, a->held_up_ms, a->limits.progress) &&
               is_older(now, a->stream.received_ms, a->limits.progress)) {
        association_fault(
            a, (struct pdu_fault){PDU_ABORT_UNSPECIFIED, "nothing came in the middle of a message"});
    } else if (a->limits.idle > 0 && is_older(now, a->work_ms, a->limits.idle) &&
               is_older(now, a->held_up_ms, a->limits.idle) &&
               is_older(now, a->stream.received_ms, a->limits.idle)) {
        association_fault(a, (struct pdu_fault){PDU_ABORT_UNSPECIFIED, "idle"});
    }
}

void association_watch_start(struct association *a)
{
    a->watch = (struct io_timer){.on_fire = on_watch, .owner = a};
    io_timer_start(a->io, &a->watch, period(a));
}
