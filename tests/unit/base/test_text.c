#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

static void globs_match_whole_texts(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool is_match;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"a", "", false},
        {"*", "", true},
        {"*", "anything", true},
        {"?", "", false},
        {"?", "a", true},
        {"?", "ab", false},
        {"CT?", "CT1", true},
        {"CT?", "CT", false},
        {"CT*", "CT", true},
        {"CT*", "CT_SCANNER", true},
        {"CT*", "MRCT", false},
        {"*CT", "MRCT", true},
        {"*CT", "CTMR", false},
        {"*CT*", "a CT b", true},
        {"a*b*c", "a-b-b-c", true},
        {"a*b*c", "a-b-b", false},
        {"*ab", "aab", true},
        {"*aab*b", "aaaabab", true},
        {"**", "a", true},
        {"a**", "a", true},
        {"*?", "", false},
        {"?*?", "ab", true},
        {"?*?", "a", false},
        {"ct", "CT", false},
        {"[a]", "a", false},
        {"[a]", "[a]", true},
        {"a\\*", "a*", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (text_glob(cases[i].pattern, cases[i].text, strlen(cases[i].text)) != cases[i].is_match) {
            fail_msg("\"%s\" and \"%s\"", cases[i].pattern, cases[i].text);
        }
    }
}

static void a_glob_looks_at_len_bytes_and_nothing_else(void **state)
{
    (void)state;
    assert_true(text_glob("CT", "CT1", 2));
    assert_false(text_glob("CT?", "CT1", 2));
    assert_true(text_glob("a?b", "a\0b", 3)); /* a peer's text may hold NUL */
    assert_false(text_glob("a", "a\0b", 3));
    assert_true(text_glob("*", NULL, 0));
}

/* A naive matcher needs some 10^30 steps for this one. */
static void many_stars_are_not_slow(void **state)
{
    (void)state;
    char text[4096];
    memset(text, 'a', sizeof(text));
    assert_false(
        text_glob("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", text, sizeof(text)));
    assert_true(
        text_glob("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*", text, sizeof(text)));
}

static void sizes_have_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } cases[] = {
        {"0", 0},
        {"64", 64},
        {"64B", 64},
        {"007", 7},
        {"64KiB", 65536},
        {"1MiB", 1048576},
        {"2GiB", 2147483648},
        {"1kB", 1000},
        {"10MB", 10000000},
        {"3GB", 3000000000},
        {"18446744073709551615", UINT64_MAX},
        {"17179869183GiB", UINT64_MAX - ((1 << 30) - 1)},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t bytes = 1;
        if (text_parse_size(cases[i].text, &bytes) != OK || bytes != cases[i].bytes) {
            fail_msg("\"%s\" is %llu", cases[i].text, (unsigned long long)bytes);
        }
    }
}

static void what_is_no_size_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "KiB",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1 KiB",
        "1kib",
        "1KB",
        "1K",
        "1k",
        "1.5",
        "0x10",
        "1TiB",
        "1KiBs",
        "1mb",
        "18446744073709551616",
        "17179869184GiB",
        "99999999999999999999999999999",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t bytes = 77;
        if (text_parse_size(cases[i], &bytes) != ERR_USAGE || bytes != 77) {
            fail_msg("\"%s\" is taken", cases[i]);
        }
    }
}

static void durations_have_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ms;
    } cases[] = {
        {"0", 0},       {"0s", 0},       {"250ms", 250},    {"5s", 5000},
        {"2m", 120000}, {"1h", 3600000}, {"7d", 604800000}, {"213503982334d", 18446744073657600000U}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t ms = 1;
        if (text_parse_duration(cases[i].text, &ms) != OK || ms != cases[i].ms) {
            fail_msg("\"%s\" is %llu", cases[i].text, (unsigned long long)ms);
        }
    }
}

static void what_is_no_duration_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {"",
                                        "5",
                                        "00",
                                        "s",
                                        "-5s",
                                        "5 s",
                                        "5S",
                                        "5sec",
                                        "1w",
                                        "1.5s",
                                        "5s1m",
                                        "18446744073709551615h",
                                        "213503982335d"};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t ms = 77;
        if (text_parse_duration(cases[i], &ms) != ERR_USAGE || ms != 77) {
            fail_msg("\"%s\" is taken", cases[i]);
        }
    }
}

static void copies_are_cut_and_terminated(void **state)
{
    (void)state;
    char to[5] = "????";
    assert_true(text_copy(to, sizeof(to), "abcd", 4));
    assert_string_equal(to, "abcd");
    assert_false(text_copy(to, sizeof(to), "vwxyz", 5));
    assert_string_equal(to, "vwxy");
    assert_true(text_copy(to, sizeof(to), NULL, 0));
    assert_string_equal(to, "");
    assert_false(text_copy(to, 1, "a", 1));
    assert_string_equal(to, "");
}

static void padding_is_spaces_and_nuls_at_the_end(void **state)
{
    (void)state;
    assert_int_equal(text_trim_end("CT1", 3), 3);
    assert_int_equal(text_trim_end("CT1 \0 \0", 7), 3);
    assert_int_equal(text_trim_end(" CT 1 ", 6), 5);
    assert_int_equal(text_trim_end("\0\0  ", 4), 0);
    assert_int_equal(text_trim_end("CT1\t", 4), 4);
    assert_int_equal(text_trim_end(NULL, 0), 0);
}

static void printable_text_holds_nothing_that_can_do_harm(void **state)
{
    (void)state;
    char to[16];
    text_printable(to, sizeof(to), "a\"b\\c\n\x1B\x7F\xC3\xA4 ~", 12);
    assert_string_equal(to, "a?b?c????? ~");
    text_printable(to, 4, "abcdef", 6);
    assert_string_equal(to, "abc");
    text_printable(to, sizeof(to), "a\0b", 3);
    assert_string_equal(to, "a?b");
    text_printable(to, sizeof(to), NULL, 0);
    assert_string_equal(to, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(globs_match_whole_texts),
        cmocka_unit_test(a_glob_looks_at_len_bytes_and_nothing_else),
        cmocka_unit_test(many_stars_are_not_slow),
        cmocka_unit_test(sizes_have_units),
        cmocka_unit_test(what_is_no_size_is_refused),
        cmocka_unit_test(durations_have_units),
        cmocka_unit_test(what_is_no_duration_is_refused),
        cmocka_unit_test(copies_are_cut_and_terminated),
        cmocka_unit_test(padding_is_spaces_and_nuls_at_the_end),
        cmocka_unit_test(printable_text_holds_nothing_that_can_do_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
