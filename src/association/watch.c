/*
 * Our own time-outs on a live association: `progress` in the middle of something, `idle` without work. And a least rate: a byte now and then
 * is progress for ever, so within each `progress` as many have to move as `min_rate` says: of what a message is of, in the middle of one (fragments
 * without payload are none), and of anything while there is something that the peer could take.
 *
 * With TLS, what counts is what has been opened: a record has to become whole within `progress`, and one that is on its way is no work.
 */
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

/* A whole window has gone by in which bytes had to move, and too few did. It begins anew while they need not. */
static bool is_too_slow(const struct association *a, struct association_window *w, bool counts,
                        uint64_t bytes)
{
    uint64_t now = io_now(a->io);
    if (counts && !is_older(now, w->from_ms, a->limits.progress))
        return false;
    bool is_slow = counts && (bytes - w->from_bytes) * 1000 < a->limits.min_rate * (now - w->from_ms);
    *w = (struct association_window){.from_ms = now, .from_bytes = bytes};
    return is_slow;
}

static bool sends_too_slowly(struct association *a)
{
    bool is_same = a->messages_in == a->watched_message;
    a->watched_message = a->messages_in;
    return is_too_slow(a, &a->coming, is_same && association_is_amid(a) && !association_is_held_up(a),
                       a->payload_in);
}

static bool takes_too_slowly(struct association *a)
{
    return is_too_slow(a, &a->going, association_backlog(a) > 0, a->stream.sent_bytes);
}

/* When the peer last sent something that is of use. A record of TLS is of none before it is whole, but it may just have begun. */
static uint64_t came_ms(const struct association *a)
{
    const struct stream *s = &a->stream;
    return s->is_amid_record && s->record_ms > s->received_ms ? s->record_ms : s->received_ms;
}

static bool has_stalled(const struct association *a, uint64_t now)
{
    return (association_is_amid(a) || a->stream.is_amid_record) &&
           is_older(now, a->held_up_ms, a->limits.progress) && is_older(now, came_ms(a), a->limits.progress);
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
    bool is_slow_to_send = sends_too_slowly(a), is_slow_to_take = takes_too_slowly(a);
    if (association_backlog(a) > 0 && is_older(now, a->stream.sent_ms, a->limits.progress)) {
        association_fault(a, (struct pdu_fault){PDU_ABORT_UNSPECIFIED, "the peer takes no data"});
    } else if (has_stalled(a, now)) {
        const char *why = association_is_amid(a) ? "nothing came in the middle of a message"
                                                 : "a record of TLS did not become whole";
        association_fault(a, (struct pdu_fault){PDU_ABORT_UNSPECIFIED, why});
    } else if (is_slow_to_take) {
        association_fault(a, (struct pdu_fault){PDU_ABORT_UNSPECIFIED, "the peer takes data too slowly"});
    } else if (is_slow_to_send) {
        association_fault(a, (struct pdu_fault){PDU_ABORT_UNSPECIFIED, "a message came too slowly"});
    } else if (a->limits.idle > 0 && is_older(now, a->work_ms, a->limits.idle) &&
               is_older(now, a->held_up_ms, a->limits.idle) &&
               is_older(now, a->stream.received_ms, a->limits.idle)) {
        association_fault(a, (struct pdu_fault){PDU_ABORT_UNSPECIFIED, "idle"});
    }
}

void association_watch_start(struct association *a)
{
    a->coming = a->going = (struct association_window){.from_ms = io_now(a->io)};
    a->watch = (struct io_timer){.on_fire = on_watch, .owner = a};
    io_timer_start(a->io, &a->watch, period(a));
}
