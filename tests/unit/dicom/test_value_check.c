#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dicom/value.h"

#define TEXT(literal) ((struct view){(const uint8_t *)(literal), sizeof(literal) - 1})

#define X16 "xxxxxxxxxxxxxxxx"
#define X64 X16 X16 X16 X16

struct check {
    enum dicom_vr vr;
    struct view text;
    const char *why; /* how it begins; NULL: it is right */
    const char *reason;
};

static void hold(const struct check *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t *alone = malloc(cases[i].text.len); /* so that a sanitizer sees who reads past the end */
        assert_non_null(alone);
        memcpy(alone, cases[i].text.at, cases[i].text.len);
        const char *why = dicom_text_check(cases[i].vr, (struct view){alone, cases[i].text.len});
        free(alone);
        if ((why == NULL) != (cases[i].why == NULL) ||
            (why && strncmp(why, cases[i].why, strlen(cases[i].why)) != 0)) {
            fail_msg("%s \"%.*s\" (%s): %s", dicom_vr_info(cases[i].vr)->name, (int)cases[i].text.len,
                     (const char *)cases[i].text.at, cases[i].reason, why ? why : "is taken");
        }
    }
}

#define HOLD(cases) hold(cases, sizeof(cases) / sizeof((cases)[0]))

static void titles_codes_and_ages_have_their_repertoire(void **state)
{
    (void)state;
    static const struct check cases[] = {
        {DICOM_VR_AE, TEXT("CT 1_a!~"), NULL, "any printable ASCII"},
        {DICOM_VR_AE, TEXT("  CT1 "), NULL, "spaces around do not count"},
        {DICOM_VR_AE, TEXT("1234567890123456"), NULL, "16"},
        {DICOM_VR_AE, TEXT("12345678901234567"), "an AE", "17"},
        {DICOM_VR_AE, TEXT("  "), "an AE", "only spaces"},
        {DICOM_VR_AE, TEXT("A\\B"), "an AE", "two values"},
        {DICOM_VR_AE, TEXT("A\n"), "an AE", "control"},
        {DICOM_VR_AE, TEXT("A\x7f"), "an AE", "DEL"},
        {DICOM_VR_AE, TEXT("M\xc3\x9cNCHEN"), "an AE", "not ASCII"},
        {DICOM_VR_CS, TEXT("ISO_IR 100"), NULL, "all kinds"},
        {DICOM_VR_CS, TEXT("1234567890123456"), NULL, "16"},
        {DICOM_VR_CS, TEXT("12345678901234567"), "a CS", "17"},
        {DICOM_VR_CS, TEXT("ct"), "a CS", "lower case"},
        {DICOM_VR_CS, TEXT("A-B"), "a CS", "hyphen"},
        {DICOM_VR_CS, TEXT("A\\B"), "a CS", "two values"},
        {DICOM_VR_CS, TEXT("A\0"), "a CS", "NUL"},
        {DICOM_VR_AS, TEXT("042Y"), NULL, "years"},
        {DICOM_VR_AS, TEXT("000D"), NULL, "days"},
        {DICOM_VR_AS, TEXT("999W"), NULL, "weeks"},
        {DICOM_VR_AS, TEXT("018M"), NULL, "months"},
        {DICOM_VR_AS, TEXT("42Y"), "an AS", "short"},
        {DICOM_VR_AS, TEXT("042y"), "an AS", "lower case"},
        {DICOM_VR_AS, TEXT("0042Y"), "an AS", "long"},
        {DICOM_VR_AS, TEXT("04 Y"), "an AS", "space"},
        {DICOM_VR_AS, TEXT("042\0"), "an AS", "NUL"},
    };
    HOLD(cases);
}

static void dates_and_times_have_their_forms(void **state)
{
    (void)state;
    static const struct check cases[] = {
        {DICOM_VR_DA, TEXT("20240229"), NULL, "day"},
        {DICOM_VR_DA, TEXT("2024-02-29"), "a DA is YYYYMMDD", "ISO 8601"},
        {DICOM_VR_DA, TEXT("20230229"), "a date is a day", "no such day"},
        {DICOM_VR_TM, TEXT("103059.123456"), NULL, "all"},
        {DICOM_VR_TM, TEXT("10:30"), "a TM is HH", "colon"},
        {DICOM_VR_DT, TEXT("20240229103059.123456+0100"), NULL, "all"},
        {DICOM_VR_DT, TEXT("202402"), NULL, "month"},
        {DICOM_VR_DT, TEXT("2024-02"), "a DT is YYYY", "ISO 8601"},
        {DICOM_VR_DT, TEXT("2024+9900"), "an offset", "too far"},
    };
    HOLD(cases);
}

static void decimals_and_integers_are_as_the_standard_writes_them(void **state)
{
    (void)state;
    static const struct check cases[] = {
        {DICOM_VR_DS, TEXT("-1.5"), NULL, "decimal"},
        {DICOM_VR_DS, TEXT(" +1.5E-3 "), NULL, "spaces and exponent"},
        {DICOM_VR_DS, TEXT("0.12345678901234"), NULL, "16"},
        {DICOM_VR_DS, TEXT("0.123456789012345"), "a DS", "17"},
        {DICOM_VR_DS, TEXT("1,5"), "a DS", "comma"},
        {DICOM_VR_DS, TEXT("nan"), "a DS", "no number"},
        {DICOM_VR_DS, TEXT("1e999"), "a DS", "no double"},
        {DICOM_VR_DS, TEXT("1.5\0"), "a DS", "NUL"},
        {DICOM_VR_DS, TEXT("1.5\0 "), "a DS", "NUL under a space"},
        {DICOM_VR_DS, TEXT("  "), "a DS", "only spaces"},
        {DICOM_VR_DS, TEXT("1\\2"), "a DS", "two values"},
        {DICOM_VR_IS, TEXT("-2147483648"), NULL, "least"},
        {DICOM_VR_IS, TEXT("2147483647"), NULL, "most"},
        {DICOM_VR_IS, TEXT(" +7 "), NULL, "sign and spaces"},
        {DICOM_VR_IS, TEXT("000000000007"), NULL, "12"},
        {DICOM_VR_IS, TEXT("0000000000007"), "an IS", "13"},
        {DICOM_VR_IS, TEXT("2147483648"), "an IS", "too much"},
        {DICOM_VR_IS, TEXT("-2147483649"), "an IS", "too little"},
        {DICOM_VR_IS, TEXT("1.0"), "an IS", "tolerated when read"},
        {DICOM_VR_IS, TEXT("1E3"), "an IS", "tolerated when read"},
        {DICOM_VR_IS, TEXT("1."), "an IS", "tolerated when read"},
        {DICOM_VR_IS, TEXT("7\0"), "an IS", "NUL"},
        {DICOM_VR_IS, TEXT("1-2"), "an IS", "range"},
        {DICOM_VR_IS, TEXT("+"), "an IS", "no digit"},
    };
    HOLD(cases);
}

static void uids_and_uris_have_their_characters(void **state)
{
    (void)state;
    static const struct check cases[] = {
        {DICOM_VR_UI, TEXT("1.2.840.10008.1.2"), NULL, "UID"},
        {DICOM_VR_UI, TEXT("2.25.0"), NULL, "nought is a number"},
        {DICOM_VR_UI, TEXT("1.0.0"), NULL, "noughts"},
        {DICOM_VR_UI, TEXT("1.2345678901.2345678901.2345678901.2345678901.2345678901.2345678"), NULL, "64"},
        {DICOM_VR_UI, TEXT("1.2345678901.2345678901.2345678901.2345678901.2345678901.23456789"), "a UI",
         "65"},
        {DICOM_VR_UI, TEXT("1.02.3"), "a UI", "leading zero"},
        {DICOM_VR_UI, TEXT("1.00"), "a UI", "leading zero"},
        {DICOM_VR_UI, TEXT("01.2"), "a UI", "leading zero"},
        {DICOM_VR_UI, TEXT("1..2"), "a UI", "nothing between dots"},
        {DICOM_VR_UI, TEXT(".1"), "a UI", "nothing before a dot"},
        {DICOM_VR_UI, TEXT("1.2."), "a UI", "nothing behind a dot"},
        {DICOM_VR_UI, TEXT("."), "a UI", "only a dot"},
        {DICOM_VR_UI, TEXT("1.2\0"), "a UI", "padding comes later"},
        {DICOM_VR_UI, TEXT("1.2 "), "a UI", "space"},
        {DICOM_VR_UI, TEXT("1.2a"), "a UI", "letter"},
        {DICOM_VR_UI, TEXT("1.2\\1.3"), "a UI", "two values"},
        {DICOM_VR_UR, TEXT("https://[::1]:8042/a?b=c%20d&e='(1)'#f~"), NULL, "all kinds"},
        {DICOM_VR_UR, TEXT("https://a b"), "a UR", "space"},
        {DICOM_VR_UR, TEXT("a\\b"), "a UR", "backslash"},
        {DICOM_VR_UR, TEXT("http://\xc3\xa4"), "a UR", "not ASCII"},
        {DICOM_VR_UR, TEXT("<a>"), "a UR", "brackets"},
        {DICOM_VR_UR, TEXT("a\0"), "a UR", "NUL"},
    };
    HOLD(cases);
}

static void texts_are_bounded_by_characters_not_by_bytes(void **state)
{
    (void)state;
    static const struct check cases[] = {
        {DICOM_VR_SH, TEXT(X16), NULL, "16"},
        {DICOM_VR_SH, TEXT(X16 "x"), "an SH is up to 16", "17"},
        {DICOM_VR_SH,
         TEXT("\xe3\x81\x82\xe3\x81\x82\xe3\x81\x82\xe3\x81\x82\xe3\x81\x82\xe3\x81\x82\xe3\x81\x82\xe3\x81"
              "\x82"),
         NULL, "8 characters in 24 bytes"},
        {DICOM_VR_LO, TEXT(X64), NULL, "64"},
        {DICOM_VR_LO, TEXT(X64 "x"), "an LO is up to 64", "65"},
        {DICOM_VR_PN, TEXT("Yamada^Tar\xc5\x8d=\xe5\xb1\xb1\xe7\x94\xb0^\xe5\xa4\xaa\xe9\x83\x8e=a^b^c^d^e"),
         NULL, "three groups, five components"},
        {DICOM_VR_PN, TEXT(X64 "=" X64 "=" X64), NULL, "64 characters each"},
        {DICOM_VR_PN, TEXT("A=" X64 "x"), "each group", "65 in the second group"},
        {DICOM_VR_PN, TEXT("^^^^"), NULL, "five empty components"},
        {DICOM_VR_PN, TEXT("a^b^c^d^e^f"), "a PN", "six components"},
        {DICOM_VR_PN, TEXT("a^b^c=d^e^f"), NULL, "components are counted for each group"},
        {DICOM_VR_PN, TEXT("a=b=c=d"), "a PN", "four groups"},
        {DICOM_VR_PN, TEXT("a=b=c="), "a PN", "a fourth group, if an empty one"},
        {DICOM_VR_PN, TEXT("=="), NULL, "three empty groups"},
        {DICOM_VR_PN, TEXT("a\\b"), "a value has no backslash", "two values"},
        {DICOM_VR_PN, TEXT("a\tb"), "a text has no control", "TAB"},
        {DICOM_VR_UC, TEXT(X64 X64 X64), NULL, "no bound"},
        {DICOM_VR_UT, TEXT(X64 X64 X64), NULL, "no bound"},
    };
    HOLD(cases);
    static const struct {
        enum dicom_vr vr;
        size_t most;
    } bounds[] = {{DICOM_VR_ST, 1024}, {DICOM_VR_LT, 10240}};
    uint8_t long_text[2 * 10241];
    for (size_t i = 0; i < sizeof(long_text); i += 2) { /* a-umlaut: two bytes each */
        long_text[i] = 0xc3;
        long_text[i + 1] = 0xa4;
    }
    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        size_t most = bounds[i].most;
        assert_null(dicom_text_check(bounds[i].vr, (struct view){long_text, 2 * most}));
        assert_non_null(dicom_text_check(bounds[i].vr, (struct view){long_text, 2 * most + 2}));
    }
    assert_null(dicom_text_check(DICOM_VR_UT, (struct view){long_text, sizeof(long_text)}));
}

/* Every ASCII character, and the C1 controls, in every VR that takes free text. */
static void control_characters_and_backslashes_stand_only_where_they_mean_nothing_else(void **state)
{
    (void)state;
    static const struct {
        enum dicom_vr vr;
        bool has_lines;
    } cases[] = {{DICOM_VR_LO, false}, {DICOM_VR_SH, false}, {DICOM_VR_PN, false}, {DICOM_VR_UC, false},
                 {DICOM_VR_ST, true},  {DICOM_VR_LT, true},  {DICOM_VR_UT, true}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (unsigned c = 0; c < 0x80; c++) {
            uint8_t text[] = {'a', (uint8_t)c, 'b'};
            bool is_control = c < 0x20 || c == 0x7f;
            bool is_format = c == 9 || c == 10 || c == 12 || c == 13 || c == 27; /* TAB LF FF CR ESC */
            bool expected = cases[i].has_lines ? !is_control || is_format : !is_control && c != '\\';
            const char *why = dicom_text_check(cases[i].vr, (struct view){text, sizeof(text)});
            if ((why == NULL) != expected) {
                fail_msg("%s, %02x: %s", dicom_vr_info(cases[i].vr)->name, c, why ? why : "is taken");
            }
        }
        for (unsigned c = 0x80; c < 0xc0; c++) { /* U+0080 to U+00BF */
            uint8_t text[] = {0xc2, (uint8_t)c};
            assert_int_equal(dicom_text_check(cases[i].vr, (struct view){text, 2}) == NULL, c >= 0xa0);
        }
    }
}

static void what_is_no_utf8_is_no_text(void **state)
{
    (void)state;
    static const struct check cases[] = {
        {DICOM_VR_LO, TEXT("\xc2\xa0"), NULL, "least of two bytes that is no control"},
        {DICOM_VR_LO, TEXT("\xdf\xbf"), NULL, "most of two bytes"},
        {DICOM_VR_LO, TEXT("\xe0\xa0\x80"), NULL, "least of three bytes"},
        {DICOM_VR_LO, TEXT("\xed\x9f\xbf\xee\x80\x80"), NULL, "around the surrogates"},
        {DICOM_VR_LO, TEXT("\xef\xbf\xbf"), NULL, "most of three bytes"},
        {DICOM_VR_LO, TEXT("\xf0\x90\x80\x80"), NULL, "least of four bytes"},
        {DICOM_VR_LO, TEXT("\xf4\x8f\xbf\xbf"), NULL, "most of all"},
        {DICOM_VR_LO, TEXT("\xc3"), "a text is UTF-8", "cut off"},
        {DICOM_VR_LO, TEXT("\xe3\x81"), "a text is UTF-8", "cut off"},
        {DICOM_VR_LO, TEXT("\xf0\x90\x80"), "a text is UTF-8", "cut off"},
        {DICOM_VR_LO, TEXT("\xc3x"), "a text is UTF-8", "no second byte"},
        {DICOM_VR_LO, TEXT("\xe3\x81x"), "a text is UTF-8", "no third byte"},
        {DICOM_VR_LO, TEXT("\xa4"), "a text is UTF-8", "lone second byte"},
        {DICOM_VR_LO, TEXT("Gr\xfc\xdf"), "a text is UTF-8", "Latin 1"},
        {DICOM_VR_LO, TEXT("\xc0\x80"), "a text is UTF-8", "overlong NUL"},
        {DICOM_VR_LO, TEXT("\xc1\x9c"), "a text is UTF-8", "overlong backslash"},
        {DICOM_VR_LO, TEXT("\xe0\x9f\xbf"), "a text is UTF-8", "overlong"},
        {DICOM_VR_LO, TEXT("\xf0\x8f\xbf\xbf"), "a text is UTF-8", "overlong"},
        {DICOM_VR_LO, TEXT("\xed\xa0\x80"), "a text is UTF-8", "surrogate"},
        {DICOM_VR_LO, TEXT("\xed\xbf\xbf"), "a text is UTF-8", "surrogate"},
        {DICOM_VR_LO, TEXT("\xf4\x90\x80\x80"), "a text is UTF-8", "beyond Unicode"},
        {DICOM_VR_LO, TEXT("\xf8\x88\x80\x80\x80"), "a text is UTF-8", "five bytes"},
        {DICOM_VR_LO, TEXT("\xf9\x80\x80\x80"), "a text is UTF-8", "no first byte"},
        {DICOM_VR_LO, TEXT("\xff\xfe"), "a text is UTF-8", "UTF-16"},
        {DICOM_VR_PN, TEXT("A^\xe9"), "a text is UTF-8", "in a name"},
        {DICOM_VR_UT, TEXT("\xe9"), "a text is UTF-8", "without a bound"},
    };
    HOLD(cases);
}

static void what_is_no_text_says_what_it_is(void **state)
{
    (void)state;
    static const struct check cases[] = {
        {DICOM_VR_US, TEXT("12"), "this VR holds numbers", "binary"},
        {DICOM_VR_FD, TEXT("12345678"), "this VR holds numbers", "binary"},
        {DICOM_VR_AT, TEXT("0010"), "an AT is a tag", "binary"},
        {DICOM_VR_SQ, TEXT("12"), "an SQ holds items", "sequence"},
        {DICOM_VR_OB, TEXT("\0\xff\\"), NULL, "any bytes"},
        {DICOM_VR_UN, TEXT("\0\xff\\"), NULL, "any bytes"},
        {DICOM_VR_UNKNOWN, TEXT("\xff"), NULL, "any bytes"},
        {DICOM_VR_OW, TEXT("ab"), NULL, "a word"},
        {DICOM_VR_OW, TEXT("abc"), "an OW", "half a word"},
        {DICOM_VR_OF, TEXT("abcd"), NULL, "a float"},
        {DICOM_VR_OL, TEXT("ab"), "an OF or OL", "half a word"},
        {DICOM_VR_OD, TEXT("abcdefgh"), NULL, "a double"},
        {DICOM_VR_OV, TEXT("abcd"), "an OD or OV", "half a word"},
    };
    HOLD(cases);
    for (unsigned vr = 0; vr < DICOM_VR_COUNT; vr++) { /* whatever it is, it may be empty */
        assert_null(dicom_text_check((enum dicom_vr)vr, (struct view){NULL, 0}));
    }
    if (SIZE_MAX > UINT32_MAX) { /* the text is not looked at */
        assert_string_equal(dicom_text_check(DICOM_VR_UT, (struct view){(const uint8_t *)"", UINT32_MAX}),
                            "a value is up to 4294967294 bytes");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(titles_codes_and_ages_have_their_repertoire),
        cmocka_unit_test(dates_and_times_have_their_forms),
        cmocka_unit_test(decimals_and_integers_are_as_the_standard_writes_them),
        cmocka_unit_test(uids_and_uris_have_their_characters),
        cmocka_unit_test(texts_are_bounded_by_characters_not_by_bytes),
        cmocka_unit_test(control_characters_and_backslashes_stand_only_where_they_mean_nothing_else),
        cmocka_unit_test(what_is_no_utf8_is_no_text),
        cmocka_unit_test(what_is_no_text_says_what_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
