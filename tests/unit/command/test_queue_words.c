/* Times, states and columns of hilum queue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "command/queue.h"

static void spans_are_short(void **state)
{
    static const struct {
        uint64_t ms;
        const char *text;
    } cases[] = {
        {0, "0s"},           {999, "0s"},
        {59999, "59s"},      {60000, "1m"},
        {3599999, "59m"},    {3600000, "1h00m"},
        {7500000, "2h05m"},  {86399999, "23h59m"},
        {86400000, "1d00h"}, {100 * 86400000ULL + 3600000, "100d01h"},
    };
    (void)state;
    for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
        char text[24];
        queue_span(cases[n].ms, text);
        assert_string_equal(text, cases[n].text);
    }
}

static void times_are_local_for_people_and_utc_for_programs(void **state)
{
    char text[24], utc[32];
    (void)state;
    setenv("TZ", "XXX-2", 1);
    tzset();
    queue_time(1772359200123, text);
    assert_string_equal(text, "2026-03-01 12:00:00");
    queue_time_utc(1772359200123, utc);
    assert_string_equal(utc, "2026-03-01T10:00:00.123Z");
    queue_time(UINT64_MAX, text); /* a clock gone wrong */
    queue_time_utc(UINT64_MAX, utc);
}

static char *printed(struct queue_table *t)
{
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);
    assert_non_null(to);
    assert_true(queue_table_print(t, to));
    assert_int_equal(fclose(to), 0);
    assert_int_equal(t->count, 0);
    return text;
}

static void put_row(struct queue_table *t, const char *a, const char *b, const char *c)
{
    queue_table_put(t, "%s", a);
    queue_table_put(t, "%s", b);
    queue_table_put(t, "%s", c);
}

static void columns_are_as_wide_as_their_cells_and_leave_no_space_at_the_end(void **state)
{
    struct queue_table t = {.columns = 3, .right = 1 << 1};
    (void)state;
    put_row(&t, "id", "tries", "note");
    queue_table_line(&t, "a line that is longer than all columns");
    put_row(&t, "1.2", "7", "");
    put_row(&t, "Gr\u00FC\u00DFe", "", "x"); /* characters count, not bytes */
    put_row(&t, "", "12345", "x");
    char *text = printed(&t);
    assert_string_equal(text, "id     tries  note\n"
                              "a line that is longer than all columns\n"
                              "1.2        7\n"
                              "Gr\u00FC\u00DFe         x\n"
                              "       12345  x\n");
    free(text);
}

static void what_a_terminal_would_obey_is_not_printed(void **state)
{
    struct queue_table t = {.columns = 3};
    (void)state;
    put_row(&t, "a\x1b[2J", "b\nc", "d");
    char *text = printed(&t);
    assert_string_equal(text, "a\u00B7[2J  b\u00B7"
                              "c  d\n");
    free(text);
}

static void states_are_a_list_of_names(void **state)
{
    static const struct {
        const char *text;
        unsigned states;
    } cases[] = {
        {"held", 1 << SPOOL_HELD},
        {"failed,waiting", 1 << SPOOL_FAILED_FOR_GOOD | 1 << SPOOL_WAITING},
        {"live", QUEUE_LIVE},
        {"all", QUEUE_ALL},
        {"live,relayed", QUEUE_LIVE | 1 << SPOOL_RELAYED},
        {"", 0},
        {"fail", 0},
        {"failedx", 0},
        {"failed,,held", 0},
        {"failed held", 0},
    };
    (void)state;
    for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++)
        assert_int_equal(queue_states_parse(cases[n].text), cases[n].states);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_are_short),
        cmocka_unit_test(times_are_local_for_people_and_utc_for_programs),
        cmocka_unit_test(columns_are_as_wide_as_their_cells_and_leave_no_space_at_the_end),
        cmocka_unit_test(what_a_terminal_would_obey_is_not_printed),
        cmocka_unit_test(states_are_a_list_of_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
