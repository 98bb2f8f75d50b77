/* What callers and nodes have used: by name, so that a reload keeps it; associations counted and given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "relay/rates.h"

enum { START_MS = 1000000 };

static void what_was_used_is_kept_by_name_over_a_reload(void **state)
{
    struct rates *r = rates_new();
    struct config_caller ct = {.name = "ct", .rate = {.instances = 1}}, again = ct, mr = {.name = "mr"};
    (void)state;
    struct rates_of *of = rates_of_caller(r, &ct);
    assert_int_equal(rates_charge(of, &ct.rate, 1, 0, START_MS), 0);
    again.rate.instances = 2;
    assert_ptr_equal(rates_of_caller(r, &again), of);
    assert_int_equal(rates_charge(of, &again.rate, 1, 0, START_MS), 500);
    assert_ptr_not_equal(rates_of_caller(r, &mr), of);
    struct config_node node = {.name = "ct"}; /* of the same name */
    assert_ptr_not_equal(rates_of_node(r, &node), of);
    rates_free(&r);
    assert_null(r);
}

static void a_caller_has_so_many_associations_and_no_more(void **state)
{
    struct rates *r = rates_new();
    struct config_caller ct = {.name = "ct", .max_associations = 2}, any = {.name = "any"};
    struct rates_of *of = rates_of_caller(r, &ct);
    (void)state;
    assert_true(rates_enter(of, &ct));
    assert_true(rates_enter(of, &ct));
    assert_false(rates_enter(of, &ct));
    assert_false(rates_enter(of, &ct)); /* those refused do not count */
    rates_leave(of);
    assert_true(rates_enter(of, &ct));
    for (unsigned i = 0; i < 1000; i++)
        assert_true(rates_enter(rates_of_caller(r, &any), &any));
    rates_free(&r);
}

static void the_longer_of_both_waits_counts(void **state)
{
    struct rates *r = rates_new();
    struct config_node node = {.name = "n", .rate = {.instances = 10, .bytes = 1000}};
    struct rates_of *of = rates_of_node(r, &node);
    uint64_t wait_ms;
    (void)state;
    assert_true(rates_begin(of, &node.rate, START_MS, 0, &wait_ms));
    assert_int_equal(rates_charge(of, &node.rate, 0, 4000, START_MS), 3000);
    assert_true(rates_begin(of, &node.rate, START_MS, 3000, &wait_ms));
    assert_int_equal(wait_ms, 3000);
    assert_false(rates_begin(of, &node.rate, START_MS, 2999, &wait_ms));
    for (unsigned i = 0; i < 8; i++) /* the one that was refused has taken nothing */
        assert_true(rates_begin(of, &node.rate, START_MS, 3000, &wait_ms));
    assert_true(rates_begin(of, &node.rate, START_MS + 3000, 0, &wait_ms));
    rates_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_used_is_kept_by_name_over_a_reload),
        cmocka_unit_test(a_caller_has_so_many_associations_and_no_more),
        cmocka_unit_test(the_longer_of_both_waits_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
