#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/pattern.h"

#define X10     "xxxxxxxxxx"
#define X100    X10 X10 X10 X10 X10 X10 X10 X10 X10 X10
#define FOUR    "{Rows}/{Rows}/{Rows}/{Rows}/"
#define SIXTEEN FOUR FOUR FOUR FOUR
#define UID64   "1.2.840.10008.5.1.4.1.1.2.123456789.123456789.123456789.12345678"

static void a_pattern_is_refused_with_what_would_be_right(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        const char *why; /* a part of it; NULL: the pattern is fine */
    } cases[] = {
        {"{SOPInstanceUID}", NULL},
        {"/data/{calling}/{called}/{date}/{SOPClassUID}/{SOPInstanceUID}.dcm", NULL},
        {"../relative/{SOPInstanceUID}", NULL}, /* the owner of the configuration may point anywhere */
        {"/data/{SOPInstanceUID}/image.dcm", NULL},
        {"/data//{SOPInstanceUID}", NULL},
        {"", "must hold {SOPInstanceUID}"},
        {"/data/{date}/file.dcm", "must hold {SOPInstanceUID}"},
        {"/data/{SOPInstanceUID}/", "ends in '/'"},
        {"/data/{SOPInstanceUID", "'{' without '}'"},
        {"/data/{SOP{SOPInstanceUID}", "'{' without '}'"},
        {"/data/{SOP/InstanceUID}", "'{' without '}'"},
        {"/data/SOPInstanceUID}", "'}' without '{'"},
        {"/{StudyInstanceUID}/{SOPInstanceUID}", NULL},
        {"/{StudyInstanceUID}/{Modality}/{SeriesNumber}/{SOPInstanceUID}.dcm", NULL},
        {"/{0008,0060}/{(0029,1010)}/{SOPInstanceUID}", NULL},
        {"/{RequestAttributesSequence[1].ScheduledProcedureStepID}/{SOPInstanceUID}.dcm", NULL},
        {"/{0008,0018}", NULL}, /* the same by its number */
        {"/{RequestAttributesSequence[1].0008,0018}",
         "must hold {SOPInstanceUID}"}, /* that of an item is not */
        {"/{PatientID}", "must hold {SOPInstanceUID}"},
        {"/{Nonsense}/{SOPInstanceUID}", NULL}, /* whoever takes the names judges them */
        {"/{caling}/{SOPInstanceUID}",
         "unknown field {caling}; the fields are {SOPInstanceUID}, {SOPClassUID}"},
        {"/{}/{SOPInstanceUID}", "unknown field {}"},
        {"/{sopInstanceUID}", "unknown field {sopInstanceUID}"},
        {"/da\nta/{SOPInstanceUID}", "control character"},
        /* 100 + 56 of its own and 64 of the UID are 220; one more is too long for the suffixes that follow */
        {"/" X100 X10 X10 X10 X10 X10 "xxxxxx{SOPInstanceUID}", NULL},
        {"/" X100 X10 X10 X10 X10 X10 "xxxxxxx{SOPInstanceUID}", "may grow to 221 bytes; at most 220"},
        {"/" X100 X100 X10 X10 "x/{SOPInstanceUID}", "may grow to 221 bytes"},
        /* each VR has its own length: CS and SH 16, IS 12, TM 14, DA 8, US a number, AT a tag, LO and unknown ones 64 */
        {"/{Modality}{SeriesNumber}{SeriesTime}{StudyDate}{Rows}{FrameIncrementPointer}{AccessionNumber}"
         "{PatientID}" X10 X10 X10 X10 X10 "xxxxxxx/{SOPInstanceUID}",
         NULL},
        {"/{Modality}{SeriesNumber}{SeriesTime}{StudyDate}{Rows}{FrameIncrementPointer}{AccessionNumber}"
         "{PatientID}" X10 X10 X10 X10 X10 "xxxxxxxx/{SOPInstanceUID}",
         "may grow to 221 bytes"},
        {"/{PatientName}{ImageComments}{0029,1010}" X10 X10 "xxxxxxxx/{SOPInstanceUID}", NULL},
        {"/{PatientName}{ImageComments}{0029,1010}" X10 X10 "xxxxxxxxx/{SOPInstanceUID}", "to 221 bytes"},
        {"/" SIXTEEN "{SOPInstanceUID}", NULL},
        {"/" SIXTEEN "{Rows}/{SOPInstanceUID}", "holds 17 attributes; at most 16"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char why[320] = "";
        enum result r = pattern_check(cases[i].pattern, why, sizeof(why));
        if (r != (cases[i].why == NULL ? OK : ERR_USAGE)) {
            fail_msg("\"%s\": %s %s", cases[i].pattern, result_name(r), why);
        }
        if (cases[i].why != NULL && strstr(why, cases[i].why) == NULL) {
            fail_msg("\"%s\" gives: %s", cases[i].pattern, why);
        }
    }
}

static void a_path_longer_than_the_system_takes_is_refused(void **state)
{
    (void)state;
    char pattern[4000] = "";
    char why[320];
    for (int i = 0; i < 36; i++) {
        strcat(pattern, "/" X100);
    }
    strcat(pattern, "/{SOPInstanceUID}");
    assert_int_equal(pattern_check(pattern, why, sizeof(why)), ERR_USAGE);
    assert_non_null(strstr(why, "the path may grow to 3701 bytes; at most 3500"));
}

/* A short buffer for the reason cuts it and nothing else. */
static void the_reason_is_always_terminated(void **state)
{
    (void)state;
    char why[8];
    assert_int_equal(pattern_check("/{nonsense}", why, sizeof(why)), ERR_USAGE);
    assert_string_equal(why, "unknown");
}

static void values_from_peers_cannot_leave_their_place_in_the_path(void **state)
{
    (void)state;
    static const struct {
        const char *calling, *path, *why;
    } cases[] = {
        {"CT1", "in/CT1/1.2.3.dcm", "plain"},
        {"CT 1", "in/CT_1/1.2.3.dcm", "a space"},
        {"..", "in/__/1.2.3.dcm", "the folder above"},
        {".", "in/_/1.2.3.dcm", "the folder itself"},
        {"../etc", "in/___etc/1.2.3.dcm", "leading dots and a separator"},
        {".hidden", "in/_hidden/1.2.3.dcm", "a hidden file"},
        {"a.b..c", "in/a.b..c/1.2.3.dcm", "other dots stay"},
        {"/", "in/_/1.2.3.dcm", "a separator"},
        {"a\\b", "in/a_b/1.2.3.dcm", "another system's separator"},
        {"", "in/_/1.2.3.dcm", "nothing"},
        {"M\xc3\xbcller", "in/M__ller/1.2.3.dcm", "bytes that are not ASCII"},
        {"a\nb\x7f", "in/a_b_/1.2.3.dcm", "control characters"},
        {"{called}", "in/_called_/1.2.3.dcm", "a field in a value is not expanded"},
        {"1234567890123456789", "in/1234567890123456/1.2.3.dcm", "longer than a title can be"},
        {"A-b_9", "in/A-b_9/1.2.3.dcm", "all that is safe stays"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pattern_values v = {view_of("1.2.3"), view_of("9.9"), view_of(cases[i].calling),
                                   view_of("H"),     "20260301",     NULL};
        char path[256];
        assert_int_equal(pattern_expand("in/{calling}/{SOPInstanceUID}.dcm", &v, path, sizeof(path)), OK);
        if (strcmp(path, cases[i].path) != 0) {
            fail_msg("%s: %s", cases[i].why, path);
        }
    }
}

static void every_field_stands_for_its_own_value(void **state)
{
    (void)state;
    struct pattern_values v = {view_of("1.2"), view_of("3.4"), view_of("FROM"),
                               view_of("TO"),  "20260301",     NULL};
    char path[256];
    assert_int_equal(
        pattern_expand("{date}-{calling}-{called}-{SOPClassUID}-{SOPInstanceUID}", &v, path, sizeof(path)),
        OK);
    assert_string_equal(path, "20260301-FROM-TO-3.4-1.2");

    struct pattern_values none = {.date = ""}; /* views of nothing, without memory behind */
    assert_int_equal(pattern_expand("{date}{calling}/{SOPInstanceUID}", &none, path, sizeof(path)), OK);
    assert_string_equal(path, "__/_");
}

static void attributes_are_told_apart_from_facts(void **state)
{
    (void)state;
    const char *p =
        "/{calling}/{Modality}/x{date}{0008,0060}/{0008,0016}{RequestAttributesSequence[2].0040,0009}/"
        "{SOPInstanceUID}{0008,0018}{Modality}.dcm";
    static const char *const names[] = {"Modality", "0008,0060", "RequestAttributesSequence[2].0040,0009",
                                        "Modality"};
    struct view name;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_true(pattern_next_attribute(&p, &name));
        assert_int_equal(name.len, strlen(names[i]));
        assert_memory_equal(name.at, names[i], name.len);
    }
    assert_false(pattern_next_attribute(&p, &name));
}

static void attributes_come_in_the_order_of_the_pattern_and_are_made_safe(void **state)
{
    (void)state;
    static const char pattern[] =
        "{PatientID}/{calling}/{StudyDate}-{Modality}/{0008,0018}-{0008,103E}-{Rows}.dcm";
    struct view attributes[] = {view_of("../../etc"), view_of("2026030199"), view_of(""),
                                view_of("H\xc3\xa4nde a\\b\n"), view_of("512")};
    struct pattern_values v = {
        .sop_instance = view_of("1.2.3"), .calling = view_of("CT1"), .date = "", .attributes = attributes};
    char path[256], why[320];
    assert_int_equal(pattern_check(pattern, why, sizeof(why)), OK);
    assert_int_equal(pattern_expand(pattern, &v, path, sizeof(path)), OK);
    assert_string_equal(path, "___.._etc/CT1/20260301-_/1.2.3-H__nde_a_b_-512.dcm");

    v.attributes = NULL; /* nothing is known */
    assert_int_equal(pattern_expand(pattern, &v, path, sizeof(path)), OK);
    assert_string_equal(path, "_/CT1/_-_/1.2.3-_-_.dcm");
}

static void a_uid_is_cut_at_64_bytes(void **state)
{
    (void)state;
    assert_int_equal(strlen(UID64), 64);
    struct pattern_values v = {.sop_instance = view_of(UID64 "9"), .date = ""};
    char path[256];
    assert_int_equal(pattern_expand("{SOPInstanceUID}", &v, path, sizeof(path)), OK);
    assert_string_equal(path, UID64);
}

static void a_path_that_does_not_fit_is_a_limit_and_not_a_shorter_path(void **state)
{
    (void)state;
    struct pattern_values v = {.sop_instance = view_of("1.2.3"), .date = ""};
    for (size_t cap = 0; cap <= 10; cap++) {
        char *path = malloc(cap > 0 ? cap : 1); /* of the very size: AddressSanitizer sees a byte too many */
        enum result r = pattern_expand("a/{SOPInstanceUID}", &v, path, cap);
        assert_int_equal(r, cap >= 8 ? OK : ERR_LIMIT); /* "a/1.2.3" and its NUL */
        free(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pattern_is_refused_with_what_would_be_right),
        cmocka_unit_test(a_path_longer_than_the_system_takes_is_refused),
        cmocka_unit_test(the_reason_is_always_terminated),
        cmocka_unit_test(values_from_peers_cannot_leave_their_place_in_the_path),
        cmocka_unit_test(every_field_stands_for_its_own_value),
        cmocka_unit_test(attributes_are_told_apart_from_facts),
        cmocka_unit_test(attributes_come_in_the_order_of_the_pattern_and_are_made_safe),
        cmocka_unit_test(a_uid_is_cut_at_64_bytes),
        cmocka_unit_test(a_path_that_does_not_fit_is_a_limit_and_not_a_shorter_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
