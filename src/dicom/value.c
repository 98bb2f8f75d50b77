#include "dicom/value.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"

/* 2^63 and 2^64, which doubles hold exactly. */
#define TWO_63 9223372036854775808.0
#define TWO_64 18446744073709551616.0

struct dicom_number dicom_number_of_integer(int64_t integer)
{
    return (struct dicom_number){.integer = integer, .real = (double)integer};
}

struct dicom_number dicom_number_of_unsigned(uint64_t integer)
{
    if (integer <= INT64_MAX) {
        return dicom_number_of_integer((int64_t)integer);
    }
    return (struct dicom_number){.integer = INT64_MAX, .big = integer, .real = (double)integer};
}

struct dicom_number dicom_number_of_real(double real)
{
    return (struct dicom_number){.is_real = true, .real = real};
}

/* The integer that a real is, if it is one. */
static bool real_to_whole(double real, struct dicom_number *whole_out)
{
    if (real >= -TWO_63 && real < TWO_63) {
        *whole_out = dicom_number_of_integer((int64_t)real);
        return (double)(int64_t)real == real;
    }
    if (real >= TWO_63 && real < TWO_64) {
        *whole_out = dicom_number_of_unsigned((uint64_t)real);
        return true; /* so far up there are no fractions */
    }
    return false; /* also NaN */
}

/* --- binary --- */

/* Bytes of one number of the VR; 0 if it has none. */
static size_t number_bytes(enum dicom_vr vr)
{
    const struct dicom_vr_info *info = dicom_vr_info(vr);
    if (info->kind == DICOM_TAGS) {
        return 4;
    }
    return info->kind == DICOM_NUMBER ? info->unit : 0;
}

size_t dicom_number_count(enum dicom_vr vr, struct view value)
{
    size_t bytes = number_bytes(vr);
    return bytes == 0 ? 0 : value.len / bytes;
}

static uint64_t get_bits(const uint8_t *at, size_t bytes, bool is_big_endian)
{
    uint64_t bits = 0;
    for (size_t i = 0; i < bytes; i++) {
        bits = bits << 8 | at[is_big_endian ? i : bytes - 1 - i];
    }
    return bits;
}

static void append_bits(struct octets *to, uint64_t bits, size_t bytes, bool is_big_endian)
{
    uint8_t out[8];
    for (size_t i = 0; i < bytes; i++) {
        out[is_big_endian ? bytes - 1 - i : i] = (uint8_t)(bits >> 8 * i);
    }
    octets_append(to, out, bytes);
}

static double real_of_bits(uint64_t bits, size_t bytes)
{
    if (bytes == 4) {
        uint32_t half = (uint32_t)bits;
        float single;
        memcpy(&single, &half, sizeof(single));
        return single;
    }
    double real;
    memcpy(&real, &bits, sizeof(real));
    return real;
}

static uint64_t bits_of_real(double real, size_t bytes)
{
    if (bytes == 4) {
        float single = (float)real;
        uint32_t half;
        memcpy(&half, &single, sizeof(half));
        return half;
    }
    uint64_t bits;
    memcpy(&bits, &real, sizeof(bits));
    return bits;
}

struct dicom_number dicom_number_at(enum dicom_vr vr, bool is_big_endian, struct view value, size_t i)
{
    hilum_assert(i < dicom_number_count(vr, value));
    const struct dicom_vr_info *info = dicom_vr_info(vr);
    size_t bytes = number_bytes(vr);
    hilum_assert(bytes > 0);
    const uint8_t *at = value.at + i * bytes;
    if (info->kind == DICOM_TAGS) { /* two numbers, group first, each in this byte order */
        return dicom_number_of_integer(
            (int64_t)(get_bits(at, 2, is_big_endian) << 16 | get_bits(at + 2, 2, is_big_endian)));
    }
    uint64_t bits = get_bits(at, bytes, is_big_endian);
    if (info->is_real) {
        return dicom_number_of_real(real_of_bits(bits, bytes));
    }
    if (!info->is_signed) {
        return dicom_number_of_unsigned(bits);
    }
    uint64_t sign = UINT64_C(1) << (8 * bytes - 1);
    return dicom_number_of_integer((int64_t)((bits ^ sign) - sign));
}

/* --- DS and IS --- */

enum { TEXT_MAX = 127, DS_MAX = 16, DIGITS_MAX = 17 /* tell any two doubles apart */ };

static size_t skip_digits(const char *text, size_t at)
{
    while (text[at] >= '0' && text[at] <= '9') {
        at++;
    }
    return at;
}

/* [+-] digits [. digits] [e [+-] digits], with a digit before or after the point: what strtod takes besides, and what it takes in
 * other locales, is no number here. */
static bool is_decimal(const char *text)
{
    size_t at = text[0] == '+' || text[0] == '-';
    size_t end = skip_digits(text, at);
    size_t digits = end - at;
    if (text[end] == '.') {
        at = end + 1;
        end = skip_digits(text, at);
        digits += end - at;
    }
    if (digits == 0) {
        return false;
    }
    if (text[end] == 'e' || text[end] == 'E') {
        at = end + 1;
        at += text[at] == '+' || text[at] == '-';
        end = skip_digits(text, at);
        if (end == at) {
            return false;
        }
    }
    return text[end] == '\0';
}

/* Without fraction and exponent, and an int64 holds it. */
static bool parse_integer(const char *text, int64_t *out)
{
    bool is_negative = text[0] == '-';
    int64_t value = 0;
    for (const char *p = text + (is_negative || text[0] == '+'); *p != '\0'; p++) {
        int64_t digit = *p - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, (int64_t)10, &value) ||
            __builtin_add_overflow(value, is_negative ? -digit : digit, &value)) {
            return false;
        }
    }
    *out = value;
    return true;
}

bool dicom_number_parse(enum dicom_vr vr, struct view text, struct dicom_number *number_out)
{
    char copy[TEXT_MAX + 1];
    text = dicom_value_trim(vr, text);
    if ((vr != DICOM_VR_DS && vr != DICOM_VR_IS) || text.len == 0 || text.len > TEXT_MAX) {
        return false;
    }
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    if (strlen(copy) != text.len || !is_decimal(copy)) { /* a NUL inside ends no number */
        return false;
    }
    int64_t integer;
    if (vr == DICOM_VR_IS && parse_integer(copy, &integer)) {
        *number_out = dicom_number_of_integer(integer);
        return true;
    }
    char *end;
    double real = strtod(copy, &end);
    if (*end != '\0' || !isfinite(real)) {
        return false;
    }
    /* an IS as "1.0" or "1E3" */
    if (vr != DICOM_VR_IS || !real_to_whole(real, number_out) || number_out->big > 0) {
        *number_out = dicom_number_of_real(real);
    }
    return true;
}

/* One of the layouts of a decimal: "0.00012", "12000", "1.2e-4". Length; more than DS_MAX: does not fit, `out` is of no use. */
static size_t lay_out(const char *digits, size_t count, int exponent, bool is_negative, char out[64])
{
    const char *sign = is_negative ? "-" : "";
    int fit = (int)count;
    int len;
    if (exponent >= DS_MAX || exponent < -DS_MAX) {
        len = DS_MAX + 1; /* nothing that long need be written down */
    } else if (exponent < 0) {
        len = snprintf(out, 64, "%s0.%.*s%s", sign, -exponent - 1, "0000000000000000", digits);
    } else if (fit <= exponent + 1) {
        len = snprintf(out, 64, "%s%s%.*s", sign, digits, exponent + 1 - fit, "0000000000000000");
    } else {
        len = snprintf(out, 64, "%s%.*s.%s", sign, exponent + 1, digits, digits + exponent + 1);
    }
    if (len > DS_MAX) {
        len = snprintf(out, 64, "%s%c%s%se%d", sign, digits[0], count > 1 ? "." : "", digits + 1, exponent);
    }
    return (size_t)len;
}

/* `real` rounded to `precision` digits, as short as that goes. */
static size_t write_decimal(double real, int precision, char out[64])
{
    char text[32]; /* d.ddde[+-]dd */
    char digits[DIGITS_MAX + 1];
    size_t count = 0;
    snprintf(text, sizeof(text), "%.*e", precision - 1, fabs(real));
    const char *p = text;
    for (; *p != 'e' && *p != '\0'; p++) {
        if (*p >= '0' && *p <= '9' && count < DIGITS_MAX) {
            digits[count++] = *p;
        }
    }
    while (count > 1 && digits[count - 1] == '0') {
        count--;
    }
    digits[count] = '\0';
    int exponent = *p == 'e' ? (int)strtol(p + 1, NULL, 10) : 0;
    return lay_out(digits, count, exponent, real < 0, out);
}

/*
 * With 15 digits every decimal that is as short comes out as it went in (DBL_DIG): what 15 digits tell apart is shortest without its
 * zeros. Below DBL_MIN that does not hold, and one digit may be enough.
 */
static size_t write_ds(double real, char out[64])
{
    /* The nearest decimal of 16 characters to what lies above would read as infinite. */
    static const double most = 1.797693134e308;
    if (real == 0) {
        out[0] = '0'; /* minus nothing is nothing to a peer */
        return 1;
    }
    if (fabs(real) > most) {
        real = copysign(most, real);
    }
    int precision = fabs(real) < DBL_MIN ? 1 : DBL_DIG;
    size_t len = write_decimal(real, precision, out);
    while (precision < DIGITS_MAX && strtod(out, NULL) != real) {
        len = write_decimal(real, ++precision, out);
    }
    while (len > DS_MAX) { /* sign, point and exponent take at most 7 characters */
        hilum_assert(precision > 1);
        len = write_decimal(real, --precision, out);
    }
    return len;
}

/* --- numbers to values --- */

/* Which whole numbers a VR holds. */
static const struct {
    int64_t min;
    uint64_t max;
    const char *why;
} ranges[DICOM_VR_COUNT] = {
    [DICOM_VR_AT] = {0, UINT32_MAX, "an AT is a tag: a whole number from 0 to 4294967295"},
    [DICOM_VR_IS] = {INT32_MIN, INT32_MAX, "an IS is a whole number from -2147483648 to 2147483647"},
    [DICOM_VR_SL] = {INT32_MIN, INT32_MAX, "an SL is a whole number from -2147483648 to 2147483647"},
    [DICOM_VR_SS] = {INT16_MIN, INT16_MAX, "an SS is a whole number from -32768 to 32767"},
    [DICOM_VR_SV] = {INT64_MIN, INT64_MAX,
                     "an SV is a whole number from -9223372036854775808 to 9223372036854775807"},
    [DICOM_VR_UL] = {0, UINT32_MAX, "a UL is a whole number from 0 to 4294967295"},
    [DICOM_VR_US] = {0, UINT16_MAX, "a US is a whole number from 0 to 65535"},
    [DICOM_VR_UV] = {0, UINT64_MAX, "a UV is a whole number from 0 to 18446744073709551615"},
};

static const char *append_whole(enum dicom_vr vr, bool is_big_endian, struct dicom_number number,
                                struct octets *to)
{
    if (number.is_real && !real_to_whole(number.real, &number)) {
        return ranges[vr].why;
    }
    if (number.integer < ranges[vr].min ||
        (number.integer >= 0 && (number.big ? number.big : (uint64_t)number.integer) > ranges[vr].max)) {
        return ranges[vr].why;
    }
    uint64_t bits = number.big ? number.big : (uint64_t)number.integer;
    if (vr == DICOM_VR_IS) {
        char text[24];
        int len = snprintf(text, sizeof(text), "%lld", (long long)number.integer);
        octets_append(to, text, (size_t)len);
    } else if (vr == DICOM_VR_AT) {
        append_bits(to, bits >> 16, 2, is_big_endian);
        append_bits(to, bits & 0xFFFF, 2, is_big_endian);
    } else {
        append_bits(to, bits, number_bytes(vr), is_big_endian);
    }
    return NULL;
}

static const char *append_ds(const struct dicom_number *number, struct octets *to)
{
    char text[64];
    size_t len = DS_MAX + 1;
    if (!isfinite(number->real)) {
        return "a DS is a finite number";
    }
    if (!number
             ->is_real) { /* 16 digits exactly, which a double has up to 2^53 only; `big` has 19 either way */
        len = (size_t)snprintf(text, sizeof(text), "%lld", (long long)number->integer);
    }
    if (len > DS_MAX) {
        len = write_ds(number->real, text);
    }
    octets_append(to, text, len);
    return NULL;
}

const char *dicom_number_append(enum dicom_vr vr, bool is_big_endian, const struct dicom_number *number,
                                struct octets *to)
{
    if (ranges[vr].why) {
        return append_whole(vr, is_big_endian, *number, to);
    }
    if (vr == DICOM_VR_DS) {
        return append_ds(number, to);
    }
    if (vr == DICOM_VR_FL && isfinite(number->real) && !isfinite((float)number->real)) {
        return "an FL is a number up to 3.4028234e38";
    }
    if (dicom_vr_info(vr)->is_real) {
        append_bits(to, bits_of_real(number->real, number_bytes(vr)), number_bytes(vr), is_big_endian);
        return NULL;
    }
    return dicom_vr_info(vr)->kind == DICOM_TEXT ? "this VR holds text, not a number"
                                                 : "this VR holds no numbers";
}

/* --- padding --- */

struct view dicom_value_trim(enum dicom_vr vr, struct view value)
{
    if (dicom_vr_info(vr)->kind != DICOM_TEXT) {
        return value;
    }
    while (value.len > 0 && (value.at[value.len - 1] == ' ' || value.at[value.len - 1] == '\0')) {
        value.len--;
    }
    bool leading = vr == DICOM_VR_AE || vr == DICOM_VR_CS || vr == DICOM_VR_DS || vr == DICOM_VR_IS ||
                   vr == DICOM_VR_LO || vr == DICOM_VR_SH;
    while (leading && value.len > 0 && value.at[0] == ' ') {
        value.at++;
        value.len--;
    }
    return value;
}

void dicom_value_pad(enum dicom_vr vr, struct octets *value)
{
    if (value->len % 2 == 1) {
        octets_u8(value, (uint8_t)dicom_vr_info(vr)->pad);
    }
}
