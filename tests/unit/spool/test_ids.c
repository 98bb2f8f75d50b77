#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "spool/ids.h"

static void put_all(struct spool_ids *s, const spool_id *ids, size_t count)
{
    assert_true(ids_reserve(s, count));
    for (size_t n = 0; n < count; n++)
        ids_put(s, ids[n]);
}

static void assert_ids(const struct spool_ids *s, const spool_id *ids, size_t count)
{
    assert_int_equal(s->count, count);
    for (size_t n = 0; n < count; n++)
        assert_int_equal(s->of[n], ids[n]);
}

static void each_id_is_there_once_and_in_order(void **state)
{
    (void)state;
    struct spool_ids s = {0}, others = {0};
    put_all(&s, (spool_id[]){7, 3, 9, 3, 7}, 5);
    assert_ids(&s, (spool_id[]){3, 7, 9}, 3);
    put_all(&others, (spool_id[]){10, 9, 1, 8}, 4);
    assert_true(ids_add(&s, &others));
    assert_ids(&s, (spool_id[]){1, 3, 7, 8, 9, 10}, 6);
    assert_ids(&others, (spool_id[]){1, 8, 9, 10}, 4);
    ids_free(&s);
    ids_free(&others);
}

static void what_is_taken_out_is_not_held(void **state)
{
    (void)state;
    struct spool_ids s = {0};
    assert_false(ids_hold(&s, 1));
    assert_false(ids_take_out(&s, 1));
    assert_true(ids_add(&s, &(struct spool_ids){0}));
    put_all(&s, (spool_id[]){2, 4, 6}, 3);
    for (spool_id id = 1; id <= 7; id++)
        assert_int_equal(ids_hold(&s, id), id % 2 == 0);
    assert_false(ids_take_out(&s, 3));
    assert_false(ids_take_out(&s, 7));
    assert_true(ids_take_out(&s, 4));
    assert_false(ids_hold(&s, 4));
    assert_ids(&s, (spool_id[]){2, 6}, 2);
    ids_free(&s);
    assert_int_equal(s.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_id_is_there_once_and_in_order),
        cmocka_unit_test(what_is_taken_out_is_not_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
