/* The summary in words and as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "command/json.h"
#include "command/report.h"

static void a_text_that_is_no_utf_8_is_shown_as_far_as_can_be(void **state)
{
    static const struct {
        const char *text, *shown;
    } cases[] = {
        {"", ""},
        {"M\xC3\xBCller \"a\\b\"", "M\xC3\xBCller \"a\\b\""},
        {"M\xFCller.dcm", "M?ller.dcm"}, /* Latin 1 */
        {"\xE2\x82", "??"},              /* cut in the middle */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *json = command_json_text(cases[i].text);
        assert_string_equal(json_string_value(json), cases[i].shown);
        json_decref(json);
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

static void check(char *(*write)(const struct report *, uint64_t), const char *expected)
{
    struct progress progress = {0};
    struct report r = {.peer = "pacs:104", .progress = &progress, .is_quiet = true};
    fill(&r);
    assert_int_equal(r.sent, 3);
    assert_int_equal(r.failed, 2);
    char *text = write(&r, 2000);
    assert_string_equal(text, expected);
    free(text);
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
          "\"seconds\":2.0,"
          "\"statuses\":{\"0000\":1,\"0111\":1,\"A700\":1,\"B007\":1},\"failures\":["
          "{\"file\":\"d\",\"status\":\"A700\",\"reason\":\"refused: out of resources\",\"comment\":\"disk "
          "full\"},"
          "{\"file\":\"e\\\"\",\"status\":null,\"reason\":\"Connection refused\",\"comment\":\"\"}]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_that_is_no_utf_8_is_shown_as_far_as_can_be),
        cmocka_unit_test(words_count_each_status),
        cmocka_unit_test(json_holds_the_same_and_the_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
