/* When new associations are turned away for want of memory, and that they are not for memory that is only held. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../loop.h"
#include "base/clock.h"
#include "relay/congestion.h"

enum { LAG_MS = 250, MEMORY = 64 * BUF_BYTES, HELD_MAX = 64 };

struct shortage {
    struct loop loop;
    struct congestion congestion;
    struct io_waiter waiter; /* has enough of its own, and wants more */
    struct buf *held[HELD_MAX];
    unsigned held_count;
};

static void wait_again(struct io_waiter *w)
{
    struct shortage *s = w->owner;
    io_wait_buffers(s->loop.io, w);
}

static void open_shortage(struct shortage *s)
{
    *s = (struct shortage){.waiter = {.on_buffers = wait_again, .owner = s}};
    loop_open(&s->loop, MEMORY);
    congestion_init(&s->congestion, s->loop.io, &s->loop.pool);
    while (!pool_is_short(&s->loop.pool)) {
        s->held[s->held_count] = buf_new(&s->loop.pool);
        assert_non_null(s->held[s->held_count++]);
    }
}

static void let_go(struct shortage *s)
{
    while (s->held_count > 0)
        buf_unref(&s->held[--s->held_count]);
}

static void close_shortage(struct shortage *s)
{
    io_wait_buffers_cancel(s->loop.io, &s->waiter);
    congestion_stop(&s->congestion);
    let_go(s);
    loop_close(&s->loop);
}

static void rest(struct shortage *s, uint64_t ms)
{
    uint64_t end = clock_ms() + ms;
    LOOP_UNTIL(&s->loop, clock_ms() >= end);
}

static bool is_congested(const struct shortage *s)
{
    return congestion_is(&s->congestion, LAG_MS, 0);
}

static void it_is_once_somebody_has_waited_for_long_and_over_with_room(void **state)
{
    struct shortage s;
    (void)state;
    open_shortage(&s);
    io_wait_buffers(s.loop.io, &s.waiter);
    congestion_short(&s.congestion);
    assert_false(is_congested(&s));
    assert_true(congestion_is(&s.congestion, LAG_MS, io_now(s.loop.io))); /* an instance was just given up */
    LOOP_UNTIL(&s.loop, is_congested(&s));
    rest(&s, 2 * LAG_MS);
    assert_true(is_congested(&s)); /* somebody still waits */
    let_go(&s);
    assert_false(is_congested(&s));
    close_shortage(&s);
}

static void memory_that_is_only_held_turns_nobody_away(void **state)
{
    struct shortage s;
    (void)state;
    open_shortage(&s);
    rest(&s, 2 * LAG_MS);
    assert_false(is_congested(&s));
    io_wait_buffers(s.loop.io, &s.waiter);
    congestion_short(&s.congestion);
    LOOP_UNTIL(&s.loop, is_congested(&s));
    io_wait_buffers_cancel(s.loop.io, &s.waiter);
    LOOP_UNTIL(&s.loop, !is_congested(&s));
    assert_true(pool_is_short(&s.loop.pool));
    congestion_short(&s.congestion); /* it has been short all the time, and is wanted again */
    assert_true(is_congested(&s));
    close_shortage(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_once_somebody_has_waited_for_long_and_over_with_room),
        cmocka_unit_test(memory_that_is_only_held_turns_nobody_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
