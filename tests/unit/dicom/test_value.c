#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dicom/value.h"

#define BYTES(...)    ((struct view){(const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})})
#define TEXT(literal) ((struct view){(const uint8_t *)(literal), sizeof(literal) - 1})

static void hold_number(const struct dicom_number *number, const struct dicom_number *expected)
{
    assert_int_equal(number->is_real, expected->is_real);
    assert_true(number->integer == expected->integer);
    assert_true(number->big == expected->big);
    assert_true(number->real == expected->real);
}

/* --- binary --- */

/* The same number in both byte orders, each way. */
static void binary_numbers_are_read_and_written_in_either_order(void **state)
{
    (void)state;
    static const struct {
        enum dicom_vr vr;
        size_t bytes;
        uint8_t little[8];
        struct dicom_number number;
    } cases[] = {
        {DICOM_VR_US, 2, {0x00, 0x02}, {.integer = 512, .real = 512}},
        {DICOM_VR_US, 2, {0xff, 0xff}, {.integer = 65535, .real = 65535}},
        {DICOM_VR_SS, 2, {0xff, 0xff}, {.integer = -1, .real = -1}},
        {DICOM_VR_SS, 2, {0x00, 0x80}, {.integer = -32768, .real = -32768}},
        {DICOM_VR_UL, 4, {0x04, 0x03, 0x02, 0x81}, {.integer = 0x81020304, .real = 0x81020304}},
        {DICOM_VR_SL, 4, {0x00, 0x00, 0x00, 0x80}, {.integer = INT32_MIN, .real = INT32_MIN}},
        {DICOM_VR_SL, 4, {0xfe, 0xff, 0xff, 0xff}, {.integer = -2, .real = -2}},
        {DICOM_VR_SV, 8, {0, 0, 0, 0, 0, 0, 0, 0x80}, {.integer = INT64_MIN, .real = -0x1p63}},
        {DICOM_VR_UV,
         8,
         {8, 7, 6, 5, 4, 3, 2, 1},
         {.integer = 0x0102030405060708, .real = 0x0102030405060708}},
        {DICOM_VR_UV,
         8,
         {0, 0, 0, 0, 0, 0, 0, 0x80},
         {.integer = INT64_MAX, .big = UINT64_C(1) << 63, .real = 0x1p63}},
        {DICOM_VR_UV,
         8,
         {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
         {.integer = INT64_MAX, .big = UINT64_MAX, .real = 0x1p64}},
        {DICOM_VR_FL, 4, {0, 0, 0xc0, 0x3f}, {.is_real = true, .real = 1.5}},
        {DICOM_VR_FL, 4, {0, 0, 0x80, 0xff}, {.is_real = true, .real = -INFINITY}},
        {DICOM_VR_FD, 8, {0, 0, 0, 0, 0, 0, 0xf8, 0xbf}, {.is_real = true, .real = -1.5}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t big[8];
        for (size_t b = 0; b < cases[i].bytes; b++) {
            big[b] = cases[i].little[cases[i].bytes - 1 - b];
        }
        struct view orders[] = {{cases[i].little, cases[i].bytes}, {big, cases[i].bytes}};
        for (int is_big_endian = 0; is_big_endian <= 1; is_big_endian++) {
            assert_int_equal(dicom_number_count(cases[i].vr, orders[is_big_endian]), 1);
            struct dicom_number number =
                dicom_number_at(cases[i].vr, is_big_endian, orders[is_big_endian], 0);
            hold_number(&number, &cases[i].number);
            struct octets out = {0};
            assert_null(dicom_number_append(cases[i].vr, is_big_endian, &number, &out));
            assert_int_equal(out.len, cases[i].bytes);
            assert_memory_equal(out.data, orders[is_big_endian].at, out.len);
            octets_free(&out);
        }
    }
}

/* Group first, each half swapped by itself: (0010,0020). */
static void a_tag_is_the_same_number_in_either_order(void **state)
{
    (void)state;
    struct view orders[] = {BYTES(0x10, 0x00, 0x20, 0x00), BYTES(0x00, 0x10, 0x00, 0x20)};
    for (int is_big_endian = 0; is_big_endian <= 1; is_big_endian++) {
        struct dicom_number number = dicom_number_at(DICOM_VR_AT, is_big_endian, orders[is_big_endian], 0);
        assert_true(number.integer == 0x00100020 && !number.is_real);
        struct octets out = {0};
        assert_null(dicom_number_append(DICOM_VR_AT, is_big_endian, &number, &out));
        assert_int_equal(out.len, 4);
        assert_memory_equal(out.data, orders[is_big_endian].at, 4);
        octets_free(&out);
    }
}

static void values_are_counted_and_reached_by_number(void **state)
{
    (void)state;
    struct view bytes = BYTES(1, 0, 2, 0, 3, 0, 4, 0, 5);
    assert_int_equal(dicom_number_count(DICOM_VR_US, bytes), 4); /* a half one is not looked at */
    assert_int_equal(dicom_number_count(DICOM_VR_UL, bytes), 2);
    assert_int_equal(dicom_number_count(DICOM_VR_AT, bytes), 2);
    assert_int_equal(dicom_number_count(DICOM_VR_FD, bytes), 1);
    assert_int_equal(dicom_number_at(DICOM_VR_US, false, bytes, 3).integer, 4);
    assert_int_equal(dicom_number_at(DICOM_VR_UL, false, bytes, 1).integer, 0x00040003);
    assert_int_equal(dicom_number_count(DICOM_VR_US, (struct view){NULL, 0}), 0);
    static const enum dicom_vr without[] = {DICOM_VR_OW, DICOM_VR_OB, DICOM_VR_UN,     DICOM_VR_LO,
                                            DICOM_VR_DS, DICOM_VR_SQ, DICOM_VR_UNKNOWN};
    for (size_t i = 0; i < sizeof(without) / sizeof(without[0]); i++) {
        assert_int_equal(dicom_number_count(without[i], bytes), 0);
    }
}

static void a_vr_takes_only_numbers_that_it_can_hold(void **state)
{
    (void)state;
    static const struct {
        enum dicom_vr vr;
        struct dicom_number number;
        const char *why; /* how it begins; NULL: it is taken */
    } cases[] = {
        {DICOM_VR_US, {.integer = -1, .real = -1}, "a US is a whole number from 0 to 65535"},
        {DICOM_VR_US, {.integer = 65536, .real = 65536}, "a US"},
        {DICOM_VR_US, {.is_real = true, .real = 512}, NULL}, /* Lua: 1024 / 2 */
        {DICOM_VR_US, {.is_real = true, .real = 512.5}, "a US"},
        {DICOM_VR_US, {.is_real = true, .real = NAN}, "a US"},
        {DICOM_VR_US, {.is_real = true, .real = INFINITY}, "a US"},
        {DICOM_VR_SS, {.integer = 32768, .real = 32768}, "an SS"},
        {DICOM_VR_SS, {.integer = -32769, .real = -32769}, "an SS"},
        {DICOM_VR_UL, {.integer = INT64_C(1) << 32, .real = 0x1p32}, "a UL"},
        {DICOM_VR_UL, {.integer = UINT32_MAX, .real = UINT32_MAX}, NULL},
        {DICOM_VR_SL, {.integer = INT64_C(1) << 31, .real = 0x1p31}, "an SL"},
        {DICOM_VR_AT, {.integer = INT64_C(1) << 32, .real = 0x1p32}, "an AT"},
        {DICOM_VR_SV, {.integer = INT64_MAX, .big = UINT64_C(1) << 63, .real = 0x1p63}, "an SV"},
        {DICOM_VR_SV, {.is_real = true, .real = 0x1p63}, "an SV"},
        {DICOM_VR_SV, {.is_real = true, .real = -0x1p63}, NULL},
        {DICOM_VR_UV, {.integer = -1, .real = -1}, "a UV"},
        {DICOM_VR_UV, {.is_real = true, .real = 0x1p63}, NULL},
        {DICOM_VR_UV, {.is_real = true, .real = 0x1p64}, "a UV"},
        {DICOM_VR_FL, {.is_real = true, .real = 1e39}, "an FL"},
        {DICOM_VR_FL, {.is_real = true, .real = INFINITY}, NULL}, /* IEEE 754 has it, so does an FL */
        {DICOM_VR_FL, {.integer = 3, .real = 3}, NULL},
        {DICOM_VR_FD, {.is_real = true, .real = NAN}, NULL},
        {DICOM_VR_DS, {.is_real = true, .real = NAN}, "a DS is a finite number"},
        {DICOM_VR_DS, {.is_real = true, .real = -INFINITY}, "a DS"},
        {DICOM_VR_IS, {.integer = INT64_C(1) << 31, .real = 0x1p31}, "an IS"},
        {DICOM_VR_IS, {.integer = INT32_MIN, .real = INT32_MIN}, NULL},
        {DICOM_VR_IS, {.is_real = true, .real = 1.5}, "an IS"},
        {DICOM_VR_LO, {.integer = 1, .real = 1}, "this VR holds text"},
        {DICOM_VR_OW, {.integer = 1, .real = 1}, "this VR holds no numbers"},
        {DICOM_VR_SQ, {.integer = 1, .real = 1}, "this VR holds no numbers"},
        {DICOM_VR_UNKNOWN, {.integer = 1, .real = 1}, "this VR holds no numbers"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct octets out = {0};
        const char *why = dicom_number_append(cases[i].vr, false, &cases[i].number, &out);
        if ((why == NULL) != (cases[i].why == NULL) ||
            (why && strncmp(why, cases[i].why, strlen(cases[i].why)) != 0)) {
            fail_msg("case %zu: %s", i, why ? why : "is taken");
        }
        assert_int_equal(out.len > 0, why == NULL);
        octets_free(&out);
    }
}

/* --- DS and IS --- */

static void texts_are_read_as_numbers_or_not_at_all(void **state)
{
    (void)state;
    static const struct {
        enum dicom_vr vr;
        struct view text;
        bool is_number, is_real;
        double real;
        const char *reason;
    } cases[] = {
        {DICOM_VR_DS, TEXT("512"), true, true, 512, "a DS is real"},
        {DICOM_VR_DS, TEXT(" +1.50 "), true, true, 1.5, "spaces and sign"},
        {DICOM_VR_DS, TEXT("-2E-3"), true, true, -0.002, "exponent"},
        {DICOM_VR_DS, TEXT("2e+3"), true, true, 2000, "exponent with a sign"},
        {DICOM_VR_DS, TEXT("5."), true, true, 5, "no fraction"},
        {DICOM_VR_DS, TEXT("-.5"), true, true, -0.5, "no digit before the point"},
        {DICOM_VR_DS, TEXT("0.1\0"), true, true, 0.1, "NUL as padding"},
        {DICOM_VR_DS, TEXT("0.12345678901234567890"), true, true, 0.12345678901234567890, "too long"},
        {DICOM_VR_DS, TEXT("1e-999"), true, true, 0, "too small to tell from nothing"},
        {DICOM_VR_DS, TEXT("1e999"), false, false, 0, "infinite"},
        {DICOM_VR_DS, TEXT("1,5"), false, false, 0, "comma"},
        {DICOM_VR_DS, TEXT("1 5"), false, false, 0, "space inside"},
        {DICOM_VR_DS, TEXT("- 5"), false, false, 0, "space behind the sign"},
        {DICOM_VR_DS, TEXT("+-5"), false, false, 0, "two signs"},
        {DICOM_VR_DS, TEXT("0x10"), false, false, 0, "hexadecimal"},
        {DICOM_VR_DS, TEXT("nan"), false, false, 0, "strtod takes it"},
        {DICOM_VR_DS, TEXT("inf"), false, false, 0, "strtod takes it"},
        {DICOM_VR_DS, TEXT("1.5mm"), false, false, 0, "unit"},
        {DICOM_VR_DS, TEXT("1.2.3"), false, false, 0, "two points"},
        {DICOM_VR_DS, TEXT("."), false, false, 0, "no digit"},
        {DICOM_VR_DS, TEXT("-"), false, false, 0, "no digit"},
        {DICOM_VR_DS, TEXT("e5"), false, false, 0, "no digit"},
        {DICOM_VR_DS, TEXT("5e"), false, false, 0, "no digit of the exponent"},
        {DICOM_VR_DS, TEXT("5e+"), false, false, 0, "no digit of the exponent"},
        {DICOM_VR_DS, TEXT("1\0002"), false, false, 0, "NUL inside"},
        {DICOM_VR_DS, TEXT("1\\2"), false, false, 0, "two values"},
        {DICOM_VR_DS, TEXT("  "), false, false, 0, "empty"},
        {DICOM_VR_DS, TEXT(""), false, false, 0, "empty"},
        {DICOM_VR_IS, TEXT("512"), true, false, 512, "integer"},
        {DICOM_VR_IS, TEXT(" -0512 "), true, false, -512, "spaces, zeros"},
        {DICOM_VR_IS, TEXT("+7"), true, false, 7, "sign"},
        {DICOM_VR_IS, TEXT("1.0"), true, false, 1, "whole"},
        {DICOM_VR_IS, TEXT("1E3"), true, false, 1000, "whole"},
        {DICOM_VR_IS, TEXT("1.5"), true, true, 1.5, "a number, if no integer"},
        {DICOM_VR_IS, TEXT("4294967296"), true, false, 4294967296.0, "more than an IS may be"},
        {DICOM_VR_IS, TEXT("-9223372036854775808"), true, false, -0x1p63, "all that an int64 holds"},
        {DICOM_VR_IS, TEXT("9223372036854775808"), true, true, 0x1p63, "beyond"},
        {DICOM_VR_IS, TEXT("1e30"), true, true, 1e30, "beyond"},
        {DICOM_VR_IS, TEXT("1-2"), false, false, 0, "range"},
        {DICOM_VR_IS, TEXT(""), false, false, 0, "empty"},
        {DICOM_VR_LO, TEXT("512"), false, false, 0, "a text is no number"},
        {DICOM_VR_US, TEXT("51"), false, false, 0, "binary"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dicom_number number = {.real = -77};
        bool is_number = dicom_number_parse(cases[i].vr, cases[i].text, &number);
        if (is_number != cases[i].is_number) {
            fail_msg("\"%.*s\": %s", (int)cases[i].text.len, (const char *)cases[i].text.at, cases[i].reason);
        }
        assert_true(!is_number || number.real == cases[i].real);
        assert_true(!is_number || number.is_real == cases[i].is_real);
        assert_true(!is_number || number.is_real || (double)number.integer == number.real);
        assert_true(is_number || number.real == -77); /* left alone */
    }
    char digits[200];
    struct dicom_number number;
    memset(digits, '1', sizeof(digits));
    assert_true(dicom_number_parse(DICOM_VR_DS, (struct view){(const uint8_t *)digits, 127}, &number));
    assert_false(dicom_number_parse(DICOM_VR_DS, (struct view){(const uint8_t *)digits, 128}, &number));
    assert_false(dicom_number_parse(DICOM_VR_DS, (struct view){NULL, 0}, &number));
}

static void hold_text(enum dicom_vr vr, const struct dicom_number *number, const char *expected)
{
    struct octets out = {0};
    assert_null(dicom_number_append(vr, false, number, &out));
    octets_u8(&out, 0);
    assert_string_equal((const char *)out.data, expected);
    assert_null(dicom_text_check(vr, view_of((const char *)out.data)));
    octets_free(&out);
}

static void reals_are_written_as_the_shortest_decimal_that_fits(void **state)
{
    (void)state;
    static const struct {
        double real;
        const char *text;
    } cases[] = {
        {0, "0"},
        {-0.0, "0"},
        {1, "1"},
        {-1.5, "-1.5"},
        {0.1, "0.1"},
        {0.3, "0.3"},
        {0.1 + 0.2, "0.3"}, /* 0.30000000000000004 has too many */
        {512, "512"},
        {1e5, "100000"},
        {1e15, "1000000000000000"},
        {1e16, "1e16"},
        {-1e15, "-1e15"},
        {1.25e20, "1.25e20"},
        {1e-5, "0.00001"},
        {1.5e-13, "0.00000000000015"},
        {1.5e-14, "1.5e-14"},
        {1.0 / 3, "0.33333333333333"},
        {-2.0 / 3, "-0.6666666666667"},
        {1e5 / 3, "33333.3333333333"},
        {-1e5 / 3, "-33333.333333333"},
        {3.141592653589793, "3.14159265358979"},
        {9007199254740993.0, "9007199254740992"},
        {0.99999999999999989, "1"},    /* rounded to what fits */
        {-999999999999999.9, "-1e15"}, /* likewise */
        {123456789012345678.0, "1.23456789012e17"},
        {-1.2345678901234e-100, "-1.23456789e-100"},
        {1.7976931348623157e308, "1.797693134e308"}, /* the nearest of this length is infinite */
        {-1.7976931348623157e308, "-1.797693134e308"},
        {2.2250738585072014e-308, "2.225073859e-308"},
        {5e-324, "5e-324"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dicom_number number = dicom_number_of_real(cases[i].real);
        hold_text(DICOM_VR_DS, &number, cases[i].text);
    }
}

static void integers_are_written_with_all_their_digits_where_they_fit(void **state)
{
    (void)state;
    static const struct {
        enum dicom_vr vr;
        int64_t integer;
        const char *text;
    } cases[] = {
        {DICOM_VR_DS, 9007199254740993, "9007199254740993"}, /* no double has it */
        {DICOM_VR_DS, -123456789012345, "-123456789012345"},
        {DICOM_VR_DS, 12345678901234567, "1.23456789012e16"},
        {DICOM_VR_DS, INT64_MIN, "-9.2233720369e18"},
        {DICOM_VR_IS, 0, "0"},
        {DICOM_VR_IS, INT32_MIN, "-2147483648"},
        {DICOM_VR_IS, INT32_MAX, "2147483647"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dicom_number number = dicom_number_of_integer(cases[i].integer);
        hold_text(cases[i].vr, &number, cases[i].text);
    }
    struct dicom_number big = dicom_number_of_unsigned(UINT64_MAX);
    hold_text(DICOM_VR_DS, &big, "1.84467440737e19");
    struct dicom_number whole = dicom_number_of_real(-42);
    hold_text(DICOM_VR_IS, &whole, "-42");
}

/* Against every shorter decimal of the C library, for numbers of all sizes: none that fits is nearer, none that is
 * shorter reads back as the same. */
static void no_decimal_of_16_characters_is_nearer(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252u; /* xorshift64 */
    for (int i = 0; i < 20000; i++) {
        double real;
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        if (i % 2 == 0) {
            memcpy(&real, &random, sizeof(real));
        } else {
            real = (double)(int64_t)random / (double)(UINT64_C(1) << (random % 64));
        }
        if (!isfinite(real) || fabs(real) > 1.7e308) {
            continue;
        }
        struct dicom_number number = dicom_number_of_real(real);
        struct octets out = {0};
        assert_null(dicom_number_append(DICOM_VR_DS, false, &number, &out));
        size_t len = out.len;
        assert_in_range(len, 1, 16);
        octets_u8(&out, 0);
        double error = fabs(strtod((const char *)out.data, NULL) - real);
        for (int digits = 1; digits <= 17; digits++) {
            char other[400];
            int other_len = snprintf(other, sizeof(other), "%.*g", digits, real);
            double other_error = fabs(strtod(other, NULL) - real);
            bool is_better = (other_len <= 16 && other_error < error) ||
                             ((size_t)other_len < len && other_error == 0 && !strchr(other, 'e'));
            if (is_better) {
                fail_msg("%s, not %s", other, (const char *)out.data);
            }
        }
        octets_free(&out);
    }
}

/* --- padding --- */

static void trimming_takes_what_is_padding_in_the_vr(void **state)
{
    (void)state;
    static const struct {
        enum dicom_vr vr;
        struct view value, trimmed;
    } cases[] = {
        {DICOM_VR_LO, TEXT("  a b "), TEXT("a b")},
        {DICOM_VR_SH, TEXT(" a"), TEXT("a")},
        {DICOM_VR_AE, TEXT("  CT1   "), TEXT("CT1")},
        {DICOM_VR_CS, TEXT(" MR "), TEXT("MR")},
        {DICOM_VR_DS, TEXT(" 1.5"), TEXT("1.5")},
        {DICOM_VR_IS, TEXT(" 1 "), TEXT("1")},
        {DICOM_VR_PN, TEXT(" A^B "), TEXT(" A^B")},
        {DICOM_VR_LT, TEXT("  indented "), TEXT("  indented")},
        {DICOM_VR_ST, TEXT("  indented\r\n"), TEXT("  indented\r\n")},
        {DICOM_VR_UT, TEXT("  indented "), TEXT("  indented")},
        {DICOM_VR_UC, TEXT(" a "), TEXT(" a")},
        {DICOM_VR_UR, TEXT("http://a "), TEXT("http://a")},
        {DICOM_VR_UI, TEXT("1.2\0"), TEXT("1.2")},
        {DICOM_VR_UI, TEXT("1.2 "), TEXT("1.2")},
        {DICOM_VR_DA, TEXT("20240101  "), TEXT("20240101")},
        {DICOM_VR_TM, TEXT("1030 "), TEXT("1030")},
        {DICOM_VR_LO, TEXT("a\0 \0"), TEXT("a")},
        {DICOM_VR_LO, TEXT("   "), TEXT("")},
        {DICOM_VR_LT, TEXT(" \0"), TEXT("")},
        {DICOM_VR_LO, TEXT(""), TEXT("")},
        {DICOM_VR_OB, TEXT("a \0"), TEXT("a \0")},
        {DICOM_VR_UN, TEXT(" a "), TEXT(" a ")},
        {DICOM_VR_US, TEXT("  "), TEXT("  ")},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct view trimmed = dicom_value_trim(cases[i].vr, cases[i].value);
        assert_int_equal(trimmed.len, cases[i].trimmed.len);
        assert_memory_equal(trimmed.at, cases[i].trimmed.at, trimmed.len);
    }
    assert_int_equal(dicom_value_trim(DICOM_VR_LO, (struct view){NULL, 0}).len, 0);
}

static void odd_values_get_the_pad_of_their_vr(void **state)
{
    (void)state;
    static const struct {
        enum dicom_vr vr;
        struct view value, padded;
    } cases[] = {
        {DICOM_VR_LO, TEXT("abc"), TEXT("abc ")}, {DICOM_VR_UI, TEXT("1.2"), TEXT("1.2\0")},
        {DICOM_VR_OB, TEXT("\1"), TEXT("\1\0")},  {DICOM_VR_UN, TEXT("\1"), TEXT("\1\0")},
        {DICOM_VR_UT, TEXT("a"), TEXT("a ")},     {DICOM_VR_LO, TEXT("abcd"), TEXT("abcd")},
        {DICOM_VR_LO, TEXT(""), TEXT("")},        {DICOM_VR_UNKNOWN, TEXT("a"), TEXT("a\0")},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct octets value = {0};
        octets_append(&value, cases[i].value.at, cases[i].value.len);
        dicom_value_pad(cases[i].vr, &value);
        assert_int_equal(value.len, cases[i].padded.len);
        assert_true(value.len == 0 || memcmp(value.data, cases[i].padded.at, value.len) == 0);
        octets_free(&value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(binary_numbers_are_read_and_written_in_either_order),
        cmocka_unit_test(a_tag_is_the_same_number_in_either_order),
        cmocka_unit_test(values_are_counted_and_reached_by_number),
        cmocka_unit_test(a_vr_takes_only_numbers_that_it_can_hold),
        cmocka_unit_test(texts_are_read_as_numbers_or_not_at_all),
        cmocka_unit_test(reals_are_written_as_the_shortest_decimal_that_fits),
        cmocka_unit_test(integers_are_written_with_all_their_digits_where_they_fit),
        cmocka_unit_test(no_decimal_of_16_characters_is_nearer),
        cmocka_unit_test(trimming_takes_what_is_padding_in_the_vr),
        cmocka_unit_test(odd_values_get_the_pad_of_their_vr),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
