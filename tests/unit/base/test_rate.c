/* Token buckets, with a clock that is given: what is paid for when, and that nothing is taken twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "base/rate.h"

enum { START_MS = 1000000 };

static void a_second_s_worth_comes_at_once_and_the_rest_in_time(void **state)
{
    struct rate r = {0};
    (void)state;
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(rate_take(&r, 1, 5, START_MS), 0);
    assert_int_equal(rate_take(&r, 1, 5, START_MS), 200);
    assert_int_equal(rate_take(&r, 1, 5, START_MS), 400); /* behind the one before */
    assert_int_equal(rate_take(&r, 1, 5, START_MS + 400), 200);
}

static void what_is_not_used_is_kept_for_a_second_and_no_longer(void **state)
{
    struct rate r = {0};
    (void)state;
    assert_int_equal(rate_take(&r, 1000, 1000, START_MS), 0);
    assert_int_equal(rate_take(&r, 500, 1000, START_MS + 500), 0);
    assert_int_equal(rate_take(&r, 1, 1000, START_MS + 500), 1);
    assert_int_equal(rate_take(&r, 1000, 1000, START_MS + 3600000), 0);
    assert_int_equal(rate_take(&r, 1, 1000, START_MS + 3600000), 1);
}

static void without_a_limit_nobody_waits(void **state)
{
    struct rate r = {0};
    uint64_t wait_ms = 1;
    (void)state;
    assert_int_equal(rate_take(&r, UINT64_MAX, 0, START_MS), 0);
    assert_true(rate_try(&r, UINT64_MAX, 0, START_MS, 0, &wait_ms));
    assert_int_equal(wait_ms, 0);
    assert_int_equal(rate_take(&r, 1, 1, START_MS), 0); /* and nothing was counted */
}

static void who_would_wait_too_long_takes_nothing(void **state)
{
    struct rate r = {0};
    uint64_t wait_ms;
    (void)state;
    assert_true(rate_try(&r, 1, 1, START_MS, 0, &wait_ms));
    assert_false(rate_try(&r, 1, 1, START_MS, 999, &wait_ms));
    assert_false(rate_try(&r, 1, 1, START_MS, 999, &wait_ms));
    assert_true(rate_try(&r, 1, 1, START_MS, 1000, &wait_ms));
    assert_int_equal(wait_ms, 1000);
    assert_true(rate_try(&r, 0, 1, START_MS, 1000, &wait_ms)); /* a look */
    assert_int_equal(wait_ms, 1000);
}

static void prices_are_right_for_great_and_small(void **state)
{
    static const struct {
        uint64_t n, per_second, wait_ms;
    } cases[] = {
        {1, 1, 1000},
        {65536, 8000, 8192},
        {UINT64_C(4) << 30, UINT64_C(1) << 30, 4000},
        {3, UINT64_C(10000000000), 1},                      /* rounded up */
        {UINT64_C(5000000000), UINT64_C(10000000000), 500}, /* no overflow */
        {UINT64_C(17000000000), UINT64_C(17000000000), 1000},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rate r = {0};
        assert_int_equal(rate_take(&r, cases[i].per_second, cases[i].per_second, START_MS), 0);
        assert_int_equal(rate_take(&r, cases[i].n, cases[i].per_second, START_MS), cases[i].wait_ms);
    }
}

static void a_clock_that_has_just_begun_is_no_matter(void **state)
{
    struct rate r = {0};
    (void)state;
    assert_int_equal(rate_take(&r, 1, 10, 0), 100);
}

enum { THREADS = 4, TAKES = 20000 };

static void *take_many(void *arg)
{
    for (unsigned i = 0; i < TAKES; i++)
        rate_take(arg, 1, 1000, START_MS);
    return NULL;
}

static void threads_lose_nothing(void **state)
{
    struct rate r = {0};
    pthread_t threads[THREADS];
    (void)state;
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_many, &r), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(rate_take(&r, 1, 1000, START_MS), THREADS * TAKES + 1 - 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_s_worth_comes_at_once_and_the_rest_in_time),
        cmocka_unit_test(what_is_not_used_is_kept_for_a_second_and_no_longer),
        cmocka_unit_test(without_a_limit_nobody_waits),
        cmocka_unit_test(who_would_wait_too_long_takes_nothing),
        cmocka_unit_test(prices_are_right_for_great_and_small),
        cmocka_unit_test(a_clock_that_has_just_begun_is_no_matter),
        cmocka_unit_test(threads_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
