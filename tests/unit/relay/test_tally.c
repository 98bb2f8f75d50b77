/* Counts and statuses of several requests that are answered as one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "relay/tally.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct dimse_command counts(uint16_t status, int remaining, uint16_t completed, uint16_t failed,
                                   uint16_t warning)
{
    struct dimse_command r = {.has = DIMSE_HAS_STATUS | DIMSE_HAS_COMPLETED | DIMSE_HAS_FAILED |
                                     DIMSE_HAS_WARNING,
                              .status = status,
                              .completed = completed,
                              .failed = failed,
                              .warning = warning};
    if (remaining >= 0) {
        r.has |= DIMSE_HAS_REMAINING;
        r.remaining = (uint16_t)remaining;
    }
    return r;
}

static void counts_of_one_request_follow_those_of_another(void **state)
{
    struct tally t = {0};
    struct dimse_command r, out = {0};
    (void)state;
    r = counts(0xFF00, 1, 2, 0, 0);
    tally_take(&t, &r);
    r = counts(0xB000, -1, 2, 1, 0);
    tally_take(&t, &r);
    tally_end(&t);
    r = counts(0xFF00, 4, 1, 0, 1);
    tally_take(&t, &r);
    tally_fill(&t, 0xFF00, 10, &out);
    assert_int_equal(out.completed, 3);
    assert_int_equal(out.failed, 1);
    assert_int_equal(out.warning, 1);
    assert_int_equal(out.remaining, 14);
    assert_true(out.has & DIMSE_HAS_REMAINING);
}

static void a_final_response_says_what_remains_only_if_it_was_cancelled(void **state)
{
    struct tally t = {0};
    struct dimse_command out = {0};
    (void)state;
    tally_fill(&t, 0xB000, 0, &out);
    assert_false(out.has & DIMSE_HAS_REMAINING);
    tally_fill(&t, 0xFE00, 3, &out);
    assert_true(out.has & DIMSE_HAS_REMAINING);
    assert_int_equal(out.remaining, 3);
}

static void a_final_response_without_counts_leaves_those_of_the_last_one(void **state)
{
    struct tally t = {0};
    struct dimse_command r = counts(0xFF00, 0, 5, 0, 0), end = {.has = DIMSE_HAS_STATUS};
    (void)state;
    tally_take(&t, &r);
    tally_take(&t, &end);
    tally_end(&t);
    assert_int_equal(t.sum.completed, 5);
}

static void what_a_lost_archive_still_had_to_give_has_failed(void **state)
{
    static const struct {
        int remaining; /* -1: it never said */
        uint16_t completed;
        uint32_t expected, failed;
        const char *why;
    } rows[] = {
        {7, 3, 10, 7, "as it said last"},
        {-1, 0, 10, 10, "as it was known before"},
        {-1, 0, 0, 1, "something at least"},
        {0, 3, 3, 1, "all came, but its last word: one may be wrong"},
    };
    (void)state;
    for (size_t k = 0; k < COUNT(rows); k++) {
        struct tally t = {0};
        struct dimse_command r = counts(0xFF00, rows[k].remaining, rows[k].completed, 0, 0);
        if (rows[k].remaining >= 0)
            tally_take(&t, &r);
        tally_end_lost(&t, rows[k].expected);
        if (t.sum.failed != rows[k].failed || t.sum.completed != rows[k].completed)
            fail_msg("%s: %u", rows[k].why, t.sum.failed);
    }
}

static void what_others_are_asked_for_does_not_count_twice(void **state)
{
    struct tally t = {0};
    struct dimse_command r = counts(0xFF00, 7, 3, 0, 0), all = counts(0x0000, -1, 10, 0, 0);
    (void)state;
    tally_take(&t, &r);
    tally_forget(&t);
    tally_take(&t, &all);
    tally_end(&t);
    assert_int_equal(t.sum.completed, 10);
    assert_int_equal(tally_status(&t, false), 0x0000);
}

static void the_final_status_is_what_the_counts_say(void **state)
{
    static const struct {
        struct tally_counts sum;
        uint16_t failure; /* of an archive; 0: none */
        bool is_cancelled;
        uint16_t status;
        const char *why;
    } rows[] = {
        {{5, 0, 0}, 0, false, 0x0000, "all is well"},
        {{0, 0, 0}, 0, false, 0x0000, "nobody has anything"},
        {{5, 1, 0}, 0, false, 0xB000, "one failed"},
        {{5, 0, 1}, 0, false, 0xB000, "a warning"},
        {{0, 0, 3}, 0, false, 0xB000, "all warnings"},
        {{0, 3, 0}, 0, false, 0xA702, "all failed"},
        {{0, 3, 0}, 0xA801, false, 0xA801, "and an archive said why"},
        {{5, 0, 0}, 0xA700, false, 0xB000, "one archive could not be asked"},
        {{0, 0, 0}, 0xA701, false, 0xA701, "nothing came, and one could not be asked"},
        {{2, 3, 0}, 0, true, 0xFE00, "cancelled"},
    };
    (void)state;
    for (size_t k = 0; k < COUNT(rows); k++) {
        struct tally t = {.sum = rows[k].sum};
        if (rows[k].failure)
            tally_failure(&t, "a", rows[k].failure, NULL);
        if (tally_status(&t, rows[k].is_cancelled) != rows[k].status)
            fail_msg("%s", rows[k].why);
    }
}

static void a_query_fails_only_when_all_archives_did(void **state)
{
    struct tally t = {0};
    (void)state;
    assert_int_equal(tally_query_status(&t, 2, false), 0x0000);
    tally_failure(&t, "a", 0xA700, "a: connection refused");
    assert_int_equal(tally_query_status(&t, 2, false), 0xB000);
    assert_string_equal(tally_comment(&t), "a: connection refused");
    tally_failure(&t, "b", 0xA900, "b: identifier does not match");
    assert_int_equal(tally_query_status(&t, 2, false), 0xA900);
    assert_int_equal(tally_query_status(&t, 2, true), 0xFE00);
    assert_string_equal(tally_comment(&t), "a, b failed");
    assert_string_equal(tally_comment(&t), "a, b failed");
}

static void a_failure_is_worse_than_a_warning(void **state)
{
    struct tally t = {0};
    (void)state;
    tally_failure(&t, "a", 0xB000, NULL);
    tally_failure(&t, "b", 0xA700, NULL);
    tally_failure(&t, "c", 0xB000, NULL);
    assert_int_equal(tally_query_status(&t, 3, false), 0xA700);
    assert_int_equal(tally_query_status(&t, 4, false), 0xB000);
}

static void many_names_are_cut_to_what_a_comment_holds(void **state)
{
    struct tally t = {0};
    (void)state;
    for (unsigned i = 0; i < 20; i++)
        tally_failure(&t, "archive", 0xA700, NULL);
    assert_int_equal(strlen(tally_comment(&t)), 64);
    assert_int_equal(strlen(tally_comment(&t)), 64);
}

static void numbers_past_sixteen_bits_stay_at_the_most(void **state)
{
    struct tally t = {.sum = {70000, 0, 0}};
    struct dimse_command out = {0};
    (void)state;
    tally_fill(&t, 0x0000, 0, &out);
    assert_int_equal(out.completed, 65535);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_of_one_request_follow_those_of_another),
        cmocka_unit_test(a_final_response_says_what_remains_only_if_it_was_cancelled),
        cmocka_unit_test(a_final_response_without_counts_leaves_those_of_the_last_one),
        cmocka_unit_test(what_a_lost_archive_still_had_to_give_has_failed),
        cmocka_unit_test(what_others_are_asked_for_does_not_count_twice),
        cmocka_unit_test(the_final_status_is_what_the_counts_say),
        cmocka_unit_test(a_query_fails_only_when_all_archives_did),
        cmocka_unit_test(a_failure_is_worse_than_a_warning),
        cmocka_unit_test(many_names_are_cut_to_what_a_comment_holds),
        cmocka_unit_test(numbers_past_sixteen_bits_stay_at_the_most),
    };
    return cmocka_run_group_tests_name("tally", tests, NULL, NULL);
}
