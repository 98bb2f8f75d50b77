#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dicom/date.h"

struct form {
    const char *text;
    bool is_right;
    const char *reason;
};

static void hold(const struct form *cases, size_t count, const char *(*check)(struct view))
{
    for (size_t i = 0; i < count; i++) {
        const char *why = check(view_of(cases[i].text));
        if ((why == NULL) != cases[i].is_right) {
            fail_msg("\"%s\" (%s): %s", cases[i].text, cases[i].reason, why ? why : "is taken");
        }
    }
}

#define HOLD(cases, check) hold(cases, sizeof(cases) / sizeof((cases)[0]), check)

static void a_da_is_a_day_of_the_calendar(void **state)
{
    (void)state;
    static const struct form cases[] = {
        {"20240229", true, "leap year"},
        {"20230229", false, "no leap year"},
        {"20000229", true, "every 400 years"},
        {"19000229", false, "not every 100"},
        {"00010101", true, "first"},
        {"99991231", true, "last"},
        {"00001231", false, "no such year"},
        {"20241301", false, "month 13"},
        {"20240001", false, "month 0"},
        {"20240100", false, "day 0"},
        {"20240132", false, "day 32"},
        {"20240431", false, "April"},
        {"2024.01.01", false, "ACR-NEMA"},
        {"2024-01-01", false, "ISO 8601"},
        {"202401", false, "short"},
        {"202401011", false, "long"},
        {"2024010 ", false, "padding"},
        {"20240101-", false, "range"},
        {"2024010a", false, "letter"},
        {"", false, "empty"},
    };
    HOLD(cases, dicom_da_check);
}

static void a_tm_may_end_after_each_part(void **state)
{
    (void)state;
    static const struct form cases[] = {
        {"10", true, "HH"},
        {"1030", true, "HHMM"},
        {"103059", true, "HHMMSS"},
        {"235960", true, "leap second"},
        {"103059.1", true, "one digit"},
        {"103059.123456", true, "six digits"},
        {"103059.1234567", false, "seven digits"},
        {"103059.", false, "no digit"},
        {"103059,1", false, "comma"},
        {"1030.5", false, "fraction of a minute"},
        {"10:30:59", false, "ACR-NEMA"},
        {"240000", false, "hour 24"},
        {"106000", false, "minute 60"},
        {"103061", false, "second 61"},
        {"1", false, "half an hour field"},
        {"103", false, "half a minute field"},
        {"10305", false, "half a second field"},
        {"1030590", false, "seven digits without a point"},
        {"103059.12a", false, "letter"},
        {"1030-1040", false, "range"},
        {"", false, "empty"},
    };
    HOLD(cases, dicom_tm_check);
}

static void a_dt_may_end_after_each_part_and_have_an_offset(void **state)
{
    (void)state;
    static const struct form cases[] = {
        {"2024", true, "year"},
        {"202402", true, "month"},
        {"20240229", true, "day"},
        {"2024022910", true, "hour"},
        {"202402291030", true, "minute"},
        {"20240229103059", true, "second"},
        {"20240229103059.123456", true, "all"},
        {"20240229103059.123456+0100", true, "26 characters"},
        {"2024+1400", true, "offset behind a year"},
        {"20240229-1200", true, "least offset"},
        {"20240229103059-0330", true, "half an hour"},
        {"20240229+0000", true, "UTC"},
        {"20240229-0000", false, "not allowed"},
        {"20240229+1401", false, "offset too far"},
        {"20240229-1201", false, "offset too far"},
        {"20240229+0160", false, "minute 60"},
        {"20240229+010", false, "short offset"},
        {"20240229+01:00", false, "ISO 8601"},
        {"20240229+01000", false, "long offset"},
        {"20240229+", false, "no offset"},
        {"20240229-20240301", false, "range"},
        {"20230229", false, "no such day"},
        {"202413", false, "no such month"},
        {"0000", false, "no such year"},
        {"2024022", false, "half a day field"},
        {"202402291", false, "half an hour field"},
        {"2024022910.5", false, "fraction of an hour"},
        {"20240229103059.1234567", false, "seven digits"},
        {"2024022910305900", false, "sixteen digits"},
        {"20240229 1030", false, "space"},
        {"+0100", false, "nothing but an offset"},
        {"202", false, "short"},
        {"", false, "empty"},
    };
    HOLD(cases, dicom_dt_check);
}

static void a_shift_moves_the_day_and_nothing_else(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        int64_t days;
        const char *expected;
    } cases[] = {
        {"20240228", 1, "20240229"},
        {"20240229", 1, "20240301"},
        {"20230228", 1, "20230301"},
        {"20240301", -1, "20240229"},
        {"19991231", 1, "20000101"},
        {"20000101", -1, "19991231"},
        {"20240101", 0, "20240101"},
        {"20240101", 366, "20250101"},
        {"20000301", 146097, "24000301"}, /* 400 years are always as long */
        {"00010101", 3652058, "99991231"},
        {"99991231", -3652058, "00010101"},
        {"19700101", 19723, "20240101"}, /* date -d @$((19723 * 86400)) */
        {"15821015", -1, "15821014"},    /* Gregorian before there was one */
        {"20240131 ", 1, "20240201"},    /* padded */
        {"20240229103059.123456+0100", 1, "20240301103059.123456+0100"},
        {"2024022923", 1, "2024030123"},
        {"20240229-0330", -60, "20231231-0330"},
        {"1997.04.24", 7, "19970501"}, /* ACR-NEMA */
        {"", 5, ""},
        {"  ", 5, ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[DICOM_DATE_CAP];
        assert_null(dicom_date_shift(view_of(cases[i].value), cases[i].days, out));
        assert_string_equal(out, cases[i].expected);
    }
    char out[DICOM_DATE_CAP] = "x";
    assert_null(dicom_date_shift((struct view){NULL, 0}, 1, out));
    assert_string_equal(out, "");
    assert_null(dicom_date_shift((struct view){(const uint8_t *)"20240131\0", 9}, 1, out));
    assert_string_equal(out, "20240201");
}

static void what_has_no_day_or_leaves_the_calendar_is_not_shifted(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        int64_t days;
        const char *why; /* how it begins */
    } cases[] = {
        {"2024", 1, "only a DA"},
        {"202402", 1, "only a DA"},
        {"2024+0100", 1, "only a DA"},
        {"1030", 1, "only a DA"},
        {"103059.12", 1, "only a DA"},
        {"20240101-20240201", 1, "only a DA"},
        {"2024.01-01", 1, "only a DA"},
        {"2024.0a.01", 1, "only a DA"},
        {"2024.1.1", 1, "only a DA"},
        {"2024.01.01.01", 1, "only a DA"},
        {"2023.02.29", 1, "a date is"},
        {"yesterday", 1, "only a DA"},
        {"20230229", 1, "a date is"},
        {"00010101", -1, "a date is"},
        {"99991231", 1, "a date is"},
        {"20240101", INT64_MAX, "a date is"},
        {"20240101", INT64_MIN, "a date is"},
        {"20240101", 4000000, "a date is"},
        {"20240101", -4000000, "a date is"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[DICOM_DATE_CAP] = "x";
        const char *why = dicom_date_shift(view_of(cases[i].value), cases[i].days, out);
        if (!why || strncmp(why, cases[i].why, strlen(cases[i].why)) != 0) {
            fail_msg("\"%s\": %s", cases[i].value, why ? why : out);
        }
        assert_string_equal(out, "");
    }
}

/* The calendar by counting: each day's successor is the next that is valid, through all 9999 years, and back. */
static void every_day_has_the_next_one_behind_it(void **state)
{
    (void)state;
    char today[DICOM_DATE_CAP] = "00010101";
    size_t days = 1;
    for (int number = 10102; number <= 99991231; number++) {
        if (number % 100 > 31) {
            number += 100 - number % 100; /* the next month's day 0 */
        }
        char text[16];
        snprintf(text, sizeof(text), "%08d", number);
        if (dicom_da_check(view_of(text)) != NULL) {
            continue;
        }
        char out[DICOM_DATE_CAP];
        assert_null(dicom_date_shift(view_of(today), 1, out));
        assert_string_equal(out, text);
        assert_null(dicom_date_shift(view_of(text), -(int64_t)days, out));
        assert_string_equal(out, "00010101");
        snprintf(today, sizeof(today), "%s", text);
        days++;
    }
    assert_int_equal(days, 3652059); /* 25 times 146097 days, less those of the year 0, of 366 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_da_is_a_day_of_the_calendar),
        cmocka_unit_test(a_tm_may_end_after_each_part),
        cmocka_unit_test(a_dt_may_end_after_each_part_and_have_an_offset),
        cmocka_unit_test(a_shift_moves_the_day_and_nothing_else),
        cmocka_unit_test(what_has_no_day_or_leaves_the_calendar_is_not_shifted),
        cmocka_unit_test(every_day_has_the_next_one_behind_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
