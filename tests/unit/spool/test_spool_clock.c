/* A wall clock that is set back, while entries wait and before a start: nothing waits until the old time has come round again. */
#include "test_spool.h"

#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>

/* What this process takes for the wall clock: the program's own function comes before the library's. */
static atomic_long wall_ahead_s;
enum { DAY = 24 * 3600 };

int clock_gettime(clockid_t clock, struct timespec *out)
{
    int n = (int)syscall(SYS_clock_gettime, clock, out);
    if (clock == CLOCK_REALTIME)
        out->tv_sec += atomic_load(&wall_ahead_s);
    return n;
}

static int set_up(void **state)
{
    atomic_store(&wall_ahead_s, DAY);
    return fixture_set_up(state);
}

/* One that waits and one that is held, both by a clock that is a day ahead. */
static void store_both(struct fixture *f, struct feed *pacs)
{
    struct storing held = {0};
    const struct spool_new_entry quiet = {
        .node = "pacs", .route = "CT", .edition = SPOOL_AS_RECEIVED, .hold_ms = 20000, .group = "study"};
    uint64_t ahead = clock_wall_ms();
    assert_int_equal(store(f, 1, 1000, "pacs", NULL), SPOOL_DONE);
    feed_open(f, pacs, "pacs");
    feed_await(f, pacs, 5);
    give(f, pacs->list->id, SPOOL_WAITING, ahead + 20000);
    store_begin(&held, f->spool, f->loop.io, 12, PIECE + 1000, "pacs",
                NULL); /* the commit is with its second piece */
    held.entries[0] = quiet;
    LOOP_UNTIL(&f->loop, held.is_done);
    assert_int_equal(held.error, SPOOL_DONE);
    LOOP_UNTIL(&f->loop, count_state(f->folder, SPOOL_WAITING) == 1);
    LOOP_UNTIL(&f->loop, count_state(f->folder, SPOOL_HELD) == 1);
    assert_int_equal(feed_ask(f, pacs, 5), 0);
}

static void comes(struct fixture *f, struct feed *pacs)
{
    LOOP_UNTIL(&f->loop, count_state(f->folder, SPOOL_QUEUED) == 2);
    assert_int_equal(feed_ask(f, pacs, 5), 2);
    deliver_list(f, pacs);
    feed_close(f, pacs);
}

static void what_waits_when_the_clock_is_set_back_comes_at_once(void **state)
{
    struct fixture *f = *state;
    static struct feed pacs;
    fixture_open(f);
    store_both(f, &pacs);
    atomic_store(&wall_ahead_s, 0);
    comes(f, &pacs);
}

static void what_waits_when_the_clock_was_set_back_before_a_start_comes_too(void **state)
{
    struct fixture *f = *state;
    static struct feed pacs;
    fixture_open(f);
    store_both(f, &pacs);
    feed_close(f, &pacs);
    spool_close(&f->spool);
    atomic_store(&wall_ahead_s, 0);
    fixture_open(f);
    feed_open(f, &pacs, "pacs");
    comes(f, &pacs);
}

static void a_clock_that_is_set_forward_makes_it_come_too_early_and_no_more(void **state)
{
    struct fixture *f = *state;
    static struct feed pacs;
    fixture_open(f);
    store_both(f, &pacs);
    atomic_store(&wall_ahead_s, 2 * DAY);
    comes(f, &pacs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CLOCK_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, fixture_tear_down)
        CLOCK_TEST(what_waits_when_the_clock_is_set_back_comes_at_once),
        CLOCK_TEST(what_waits_when_the_clock_was_set_back_before_a_start_comes_too),
        CLOCK_TEST(a_clock_that_is_set_forward_makes_it_come_too_early_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
