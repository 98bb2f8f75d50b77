/* The summary in words and as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "command/json.h"
#include "command/report.h"

static void json_strings_are_valid_whatever_the_bytes(void **state)
{
    static const struct {
        const char *text, *json, *reason;
    } cases[] = {
        {"", "\"\"", "empty"},
        {"a b", "\"a b\"", "plain"},
        {"a\"b\\c", "\"a\\\"b\\\\c\"", "what ends or escapes"},
        {"\n\x1b\x7f", "\"\\u000a\\u001b\\u007f\"", "control characters"},
        {"M\xC3\xBCller \xE2\x82\xAC \xF0\x9F\x98\x80", "\"M\xC3\xBCller \xE2\x82\xAC \xF0\x9F\x98\x80\"",
         "UTF-8"},
        {"\xFCx", "\"\xEF\xBF\xBDx\"", "Latin 1"},
        {"\xE2\x82", "\"\xEF\xBF\xBD\xEF\xBF\xBD\"", "cut in the middle"},
        {"\xC0\xAF", "\"\xEF\xBF\xBD\xEF\xBF\xBD\"", "longer than need be"},
        {"\xE0\x80\xAF", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"", "longer by two"},
        {"\xED\xA0\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"", "a surrogate"},
        {"\xF4\x90\x80\x80", "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"", "past U+10FFFF"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct octets out = {0};
        json_string(&out, cases[i].text);
        octets_u8(&out, '\0');
        assert_false(out.failed);
        if (strcmp((char *)out.data, cases[i].json) != 0)
            fail_msg("%s: %s", cases[i].reason, (char *)out.data);
        octets_free(&out);
    }
}

/* Two sent, one of them with a warning; a duplicate, which is as good as sent; one refused, one without an answer. */
static void fill(struct report *r)
{
    report_response(r, "a", 600, 0x0000, "");
    report_response(r, "b", 400, 0xB007, "");
    report_response(r, "c", 24, 0x0111, "");
    report_response(r, "d", 9999, 0xA700, "disk full");
    report_unsent(r, "e\"", "Connection refused");
    report_passed_over(r, "notes.txt", "no DICM after the preamble");
}

static void check(void (*write)(const struct report *, uint64_t, struct octets *), const char *expected)
{
    struct progress progress = {0};
    struct report r = {.peer = "pacs:104", .progress = &progress, .is_quiet = true};
    struct octets out = {0};
    fill(&r);
    assert_int_equal(r.sent, 3);
    assert_int_equal(r.failed, 2);
    write(&r, 2000, &out);
    octets_u8(&out, '\0');
    assert_false(out.failed);
    assert_string_equal((char *)out.data, expected);
    octets_free(&out);
    report_free(&r);
}

static void words_count_each_status(void **state)
{
    (void)state;
    check(report_words, "3 of 5 files sent to pacs:104: 1.0 KiB in 2.0 s, 512 B/s\n"
                        "       1  0000 success\n"
                        "       1  0111 duplicate SOP instance\n"
                        "       1  A700 refused: out of resources\n"
                        "       1  B007 warning: data set does not match SOP class\n"
                        "       1  failed without a status\n"
                        "       1  passed over: not DICOM\n");
}

static void json_holds_the_same_and_the_failures(void **state)
{
    (void)state;
    check(report_json,
          "{\"peer\":\"pacs:104\",\"files\":5,\"sent\":3,\"failed\":2,\"not_dicom\":1,\"bytes\":1024,"
          "\"seconds\":2.000,"
          "\"statuses\":{\"0000\":1,\"0111\":1,\"A700\":1,\"B007\":1},\"failures\":["
          "{\"file\":\"d\",\"status\":\"A700\",\"reason\":\"refused: out of resources\",\"comment\":\"disk "
          "full\"},"
          "{\"file\":\"e\\\"\",\"status\":null,\"reason\":\"Connection refused\",\"comment\":\"\"}]}\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_strings_are_valid_whatever_the_bytes),
        cmocka_unit_test(words_count_each_status),
        cmocka_unit_test(json_holds_the_same_and_the_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
