/* What is told of refused associations: the first of each kind, a count of the others, and never more than has an end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "relay/refusals.h"

static const struct refusal one = {"address denied", "11112", "10.0.0.1", "CT1"};

static uint64_t left_out(const struct refusals *r)
{
    uint64_t sum = r->others.left_out;
    for (unsigned i = 0; i < REFUSALS_MAX; i++)
        sum += r->of[i].left_out;
    return sum;
}

static void the_first_is_told_and_the_others_are_counted_until_their_time_is_over(void **state)
{
    struct refusals r;
    (void)state;
    refusals_init(&r, false);
    assert_true(refusals_note(&r, 5000, &one));
    for (unsigned i = 0; i < 499; i++)
        assert_false(refusals_note(&r, 5000 + i, &one));
    assert_int_equal(left_out(&r), 499);
    refusals_tell(&r, 5000 + REFUSALS_QUIET_MS - 1, false);
    assert_int_equal(left_out(&r), 499);
    refusals_tell(&r, 5000 + REFUSALS_QUIET_MS, false); /* says 499 */
    assert_int_equal(left_out(&r), 0);
    assert_false(refusals_note(&r, 5001 + REFUSALS_QUIET_MS, &one)); /* that line was one of it */
    refusals_tell(&r, 5000 + 2 * REFUSALS_QUIET_MS, false);
    assert_true(refusals_note(&r, 5000 + 3 * REFUSALS_QUIET_MS, &one));
    refusals_free(&r);
}

/* A worker's clock may be a moment behind the thread's that has told. */
static void time_that_goes_back_a_little_is_no_time_that_is_over(void **state)
{
    struct refusals r;
    (void)state;
    refusals_init(&r, false);
    assert_true(refusals_note(&r, 5000, &one));
    assert_false(refusals_note(&r, 4990, &one));
    refusals_free(&r);
}

static void kinds_differ_by_cause_listener_address_and_title(void **state)
{
    struct refusals r;
    struct refusal other[4] = {one, one, one, one};
    other[0].cause = "address not allowed";
    other[1].listener = "11113";
    other[2].remote = "10.0.0.2";
    other[3].title = "CT2";
    (void)state;
    refusals_init(&r, false);
    assert_true(refusals_note(&r, 1, &one));
    for (unsigned i = 0; i < 4; i++)
        assert_true(refusals_note(&r, 1, &other[i]));
    for (unsigned i = 0; i < 4; i++)
        assert_false(refusals_note(&r, 2, &other[i]));
    refusals_free(&r);
}

static void who_is_another_each_time_is_told_a_bounded_number_of_times(void **state)
{
    struct refusals r;
    char title[17];
    unsigned told = 0;
    (void)state;
    refusals_init(&r, false);
    for (unsigned i = 0; i < 10000; i++) {
        struct refusal refusal = one;
        snprintf(title, sizeof(title), "T%u", i);
        refusal.title = title;
        told += refusals_note(&r, 1000 + i / 10, &refusal);
    }
    assert_int_equal(told, REFUSALS_MAX);
    assert_int_equal(left_out(&r), 10000 - REFUSALS_MAX);
    refusals_tell(&r, 1000 + 2 * REFUSALS_QUIET_MS, false); /* all others in one line */
    assert_int_equal(left_out(&r), 0);
    assert_true(refusals_note(&r, 1000 + 4 * REFUSALS_QUIET_MS, &one)); /* places are free again */
    refusals_free(&r);
}

static void at_the_end_all_is_told_and_long_texts_are_cut(void **state)
{
    struct refusals r;
    char text[300];
    struct refusal refusal = {text, text, text, text};
    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    refusals_init(&r, false);
    assert_true(refusals_note(&r, 1, &refusal));
    assert_false(refusals_note(&r, 2, &refusal));
    refusals_tell(&r, 3, true);
    assert_int_equal(left_out(&r), 0);
    refusals_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_is_told_and_the_others_are_counted_until_their_time_is_over),
        cmocka_unit_test(time_that_goes_back_a_little_is_no_time_that_is_over),
        cmocka_unit_test(kinds_differ_by_cause_listener_address_and_title),
        cmocka_unit_test(who_is_another_each_time_is_told_a_bounded_number_of_times),
        cmocka_unit_test(at_the_end_all_is_told_and_long_texts_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
