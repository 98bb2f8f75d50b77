/* The progress line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "command/progress.h"

enum { MIB = 1 << 20 };

static void a_line_says_files_bytes_rate_and_time_left(void **state)
{
    static const struct {
        struct progress_numbers numbers;
        const char *line, *reason;
    } cases[] = {
        {{0, 340, 0, 310 * MIB, 100},
         "[------------------------]  0/340 files  0.0/310.0 MiB",
         "nothing is through: no rate yet"},
        {{12, 340, 155 * MIB, 310 * MIB, 10000},
         "[############------------]  12/340 files  155.0/310.0 MiB  15.5 MiB/s  0:10 left",
         "half"},
        {{1, 2, 1000, 4000000, 1000},
         "[------------------------]  1/2 files  0.0/3.8 MiB  1000 B/s  1:06:39 left",
         "more than an hour"},
        {{340, 340, 310 * MIB, 310 * MIB, 2000},
         "[########################]  340/340 files  310.0/310.0 MiB  155.0 MiB/s  0:00 left",
         "all"},
        {{1, 2, 40, 20, 1000},
         "[########################]  1/2 files  40/20 B  40 B/s  0:00 left",
         "a file has grown since it was looked at"},
        {{1, 2, 0, 0, 1000}, "[############------------]  1/2 files  0/0 B", "no bytes at all: files count"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char line[PROGRESS_LINE_BYTES];
        progress_line(&cases[i].numbers, 120, line);
        if (strcmp(line, cases[i].line) != 0)
            fail_msg("%s: \"%s\"", cases[i].reason, line);
    }
}

static void a_line_is_shorter_than_any_terminal_and_holds_whole_parts_only(void **state)
{
    static const struct progress_numbers numbers = {12, 340, 155 * MIB, 310 * MIB, 10000};
    static const char whole[] = "12/340 files  155.0/310.0 MiB  15.5 MiB/s  0:10 left";
    static const size_t ends[] = {0, 12, 29, 41, 52}; /* where the parts of `whole` end */
    (void)state;
    for (unsigned columns = 0; columns < 400; columns++) {
        char line[PROGRESS_LINE_BYTES];
        progress_line(&numbers, columns, line);
        size_t len = strlen(line);
        assert_true(len < columns || len == 0);
        const char *text = line[0] == '[' ? strchr(line, ']') + 3 : line;
        assert_memory_equal(text, whole, strlen(text));
        size_t i = 0;
        while (ends[i] != strlen(text))
            assert_true(++i < sizeof(ends) / sizeof(ends[0]));
        if (i + 1 < sizeof(ends) / sizeof(ends[0])) {
            assert_true(ends[i + 1] > (columns ? columns - 1 : 0)); /* as much as fits */
            assert_ptr_equal(text, line);                           /* the bar is the first to go */
        }
    }
}

static void bytes_are_written_in_the_unit_that_fits(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0 B"},
        {1023, "1023 B"},
        {1024, "1.0 KiB"},
        {310 * MIB, "310.0 MiB"},
        {UINT64_C(3) << 30, "3.0 GiB"},
        {UINT64_C(5000) << 30, "5000.0 GiB"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[32];
        progress_bytes(cases[i].bytes, text);
        assert_string_equal(text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_says_files_bytes_rate_and_time_left),
        cmocka_unit_test(a_line_is_shorter_than_any_terminal_and_holds_whole_parts_only),
        cmocka_unit_test(bytes_are_written_in_the_unit_that_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
