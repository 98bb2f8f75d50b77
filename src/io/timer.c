/* The timer wheel: slot = due tick modulo the number of slots; a bitmap of used slots finds the next one quickly. */
#include "io/engine.h"

static void slot_mark(struct io *io, unsigned slot)
{
    io->wheel_used[slot / 64] |= 1ULL << (slot % 64);
}

static void slot_unmark_if_empty(struct io *io, unsigned slot)
{
    if (LIST_EMPTY(&io->wheel[slot]))
        io->wheel_used[slot / 64] &= ~(1ULL << (slot % 64));
}

static unsigned slot_of(const struct io_timer *t)
{
    return (unsigned)((t->due_ms / IO_TICK_MS + 1) % IO_WHEEL_SLOTS); /* the tick after: never early */
}

void io_timer_start(struct io *io, struct io_timer *timer, uint64_t ms)
{
    io_timer_stop(io, timer);
    timer->due_ms = io->now_ms + ms;
    timer->is_armed = true;
    unsigned slot = slot_of(timer);
    LIST_INSERT_HEAD(&io->wheel[slot], timer, link);
    slot_mark(io, slot);
}

void io_timer_stop(struct io *io, struct io_timer *timer)
{
    if (!timer->is_armed)
        return;
    timer->is_armed = false;
    LIST_REMOVE(timer, link);
    slot_unmark_if_empty(io, slot_of(timer));
}

uint64_t io_timers_next(const struct io *io)
{
    unsigned start = (unsigned)(io->tick % IO_WHEEL_SLOTS);
    for (unsigned i = 0; i <= IO_WHEEL_SLOTS / 64; i++) {
        unsigned word = (start / 64 + i) % (IO_WHEEL_SLOTS / 64);
        uint64_t bits = io->wheel_used[word];
        if (i == 0)
            bits &= ~0ULL << (start % 64);
        if (bits == 0)
            continue;
        unsigned slot = word * 64 + (unsigned)__builtin_ctzll(bits);
        uint64_t ticks = (slot + IO_WHEEL_SLOTS - start) % IO_WHEEL_SLOTS;
        uint64_t due = (io->tick + ticks) * IO_TICK_MS;
        return due > io->now_ms ? due - io->now_ms : 1;
    }
    return UINT64_MAX;
}

static void run_slot(struct io *io, unsigned slot)
{
    /* A callback may stop or start any timer of this slot, so the walk begins anew after each. */
    for (struct io_timer *t = LIST_FIRST(&io->wheel[slot]); t;) {
        struct io_timer *next = LIST_NEXT(t, link);
        if (t->due_ms > io->now_ms) {
            t = next;
            continue;
        }
        io_timer_stop(io, t);
        t->on_fire(t);
        t = LIST_FIRST(&io->wheel[slot]);
    }
}

void io_timers_run(struct io *io)
{
    uint64_t now_tick = io->now_ms / IO_TICK_MS;
    if (now_tick >= io->tick + IO_WHEEL_SLOTS)
        io->tick = now_tick - IO_WHEEL_SLOTS + 1;
    for (; io->tick <= now_tick; io->tick++) {
        unsigned slot = (unsigned)(io->tick % IO_WHEEL_SLOTS);
        if (io->wheel_used[slot / 64] & (1ULL << (slot % 64)))
            run_slot(io, slot);
    }
}
