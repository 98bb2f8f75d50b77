/* A set of what has passed: nothing is forgotten, nothing is taken for another, and it ends somewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "relay/seen.h"

static struct seen_key key_of(unsigned n)
{
    char text[32];
    snprintf(text, sizeof(text), "1.2.840.%u", n);
    struct view v = view_of(text);
    return seen_key_of(&v, 1);
}

static void what_was_there_is_known_and_nothing_else(void **state)
{
    enum { KEYS = 20000 };
    struct pool pool;
    struct seen s = {.pool = &pool};
    (void)state;
    pool_init(&pool, 64 * BUF_BYTES);
    for (unsigned n = 0; n < KEYS; n++)
        assert_false(seen_before(&s, key_of(n)));
    for (unsigned n = 0; n < KEYS; n++)
        assert_true(seen_before(&s, key_of(n)));
    assert_int_equal(s.count, KEYS);
    assert_false(s.is_full);
    seen_free(&s);
    assert_int_equal(pool.taken, 0);
    pool_free(&pool);
}

static void parts_do_not_run_into_each_other(void **state)
{
    const struct view a[] = {view_of("1"), view_of("23")}, b[] = {view_of("12"), view_of("3")};
    (void)state;
    assert_true(seen_key_of(a, 2).low != seen_key_of(b, 2).low);
    assert_true(seen_key_of(a, 2).low == seen_key_of(a, 2).low);
}

static void past_its_memory_it_knows_what_it_knows(void **state)
{
    struct pool pool;
    struct seen s = {.pool = &pool};
    unsigned n = 0;
    (void)state;
    pool_init(&pool, 8 * BUF_BYTES);
    while (!s.is_full)
        assert_false(seen_before(&s, key_of(n++)));
    assert_true(s.count > 1000);
    assert_int_equal(s.count, n - 1);
    assert_false(seen_before(&s, key_of(n - 1))); /* not learnt, so not known */
    assert_true(seen_before(&s, key_of(0)));
    seen_free(&s);
    assert_int_equal(pool.taken, 0);
    pool_free(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_there_is_known_and_nothing_else),
        cmocka_unit_test(parts_do_not_run_into_each_other),
        cmocka_unit_test(past_its_memory_it_knows_what_it_knows),
    };
    return cmocka_run_group_tests_name("seen", tests, NULL, NULL);
}
