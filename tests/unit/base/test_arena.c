#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"

static void pieces_are_zeroed_aligned_and_apart(void **state)
{
    (void)state;
    struct arena a = {0};
    uint8_t *pieces[400];
    for (size_t i = 0; i < 400; i++) {
        pieces[i] = arena_alloc(&a, i);
        assert_non_null(pieces[i]);
        assert_int_equal((uintptr_t)pieces[i] % _Alignof(max_align_t), 0);
        for (size_t k = 0; k < i; k++)
            assert_int_equal(pieces[i][k], 0);
        memset(pieces[i], (int)(i & 0xFF), i);
    }
    for (size_t i = 0; i < 400; i++)
        for (size_t k = 0; k < i; k++)
            assert_int_equal(pieces[i][k], i & 0xFF);
    arena_free(&a);
    assert_null(a.blocks);
    assert_int_equal(a.taken, 0);
}

static void a_large_piece_gets_a_block_of_its_own(void **state)
{
    (void)state;
    struct arena a = {0};
    uint8_t *p = arena_alloc(&a, 10 << 20);
    assert_non_null(p);
    p[(10 << 20) - 1] = 1;
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, SIZE_MAX / 2));
    assert_null(arena_copy(&a, "", SIZE_MAX));
    arena_free(&a);
}

static void copies_end_in_a_nul(void **state)
{
    (void)state;
    struct arena a = {0};
    assert_string_equal(arena_copy(&a, "abcdef", 3), "abc");
    assert_string_equal(arena_copy(&a, NULL, 0), "");
    arena_free(&a);
}

static void the_bound_holds_and_freeing_gives_it_back(void **state)
{
    (void)state;
    struct arena a = {.max = 5000};
    for (int round = 0; round < 2; round++) {
        size_t got = 0;
        while (arena_alloc(&a, 100)) {
            got += 100;
            assert_true(a.taken <= 5000);
        }
        assert_in_range(got, 4000, 5000); /* headers and rounding take little */
        assert_null(arena_alloc(&a, 4000));
        arena_free(&a);
        assert_int_equal(a.max, 5000);
    }
    assert_null(arena_alloc(&a, 5000)); /* the block's header counts as well */
    assert_non_null(arena_alloc(&a, 4000));
    arena_free(&a);
    struct arena tiny = {.max = 8};
    assert_null(arena_alloc(&tiny, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_zeroed_aligned_and_apart),
        cmocka_unit_test(a_large_piece_gets_a_block_of_its_own),
        cmocka_unit_test(copies_end_in_a_nul),
        cmocka_unit_test(the_bound_holds_and_freeing_gives_it_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
