/* What a text must be to stand in a VR (PS3.5 Table 6.2-1), for values that we write. */
#include "dicom/date.h"
#include "dicom/value.h"

static const char no_utf8[] = "a text is UTF-8";
static const char no_decimal[] = "a DS is a decimal number of up to 16 characters, as -1.5 or 2e-3";
static const char no_integer[] =
    "an IS is a whole number from -2147483648 to 2147483647 of up to 12 characters";
static const char no_uid[] =
    "a UI is up to 64 digits and dots; between dots stands a number without leading zeros";
static const char no_age[] = "an AS is three digits and one of D, W, M, Y, as 042Y";
static const char no_title[] =
    "an AE is up to 16 characters of ASCII, not only spaces, no backslash, no control characters";
static const char no_code[] = "a CS is up to 16 of the characters A-Z, 0-9, space and underscore";
static const char no_uri[] =
    "a UR is a URI: ASCII without spaces, quotes, backslashes and brackets other than []";
static const char no_control[] =
    "a text has no control characters; only ST, LT and UT have TAB, LF, FF, CR and ESC";
static const char no_backslash[] =
    "a value has no backslash: it separates values; only ST, LT and UT can hold it";
static const char no_name[] =
    "a PN is up to 3 groups separated by =, each of up to 5 components separated by ^";
static const char no_group[] = "each group of a PN is up to 64 characters";

/* --- characters --- */

/*
 * The next character of UTF-8, which must be there: its code point, or UINT32_MAX for what is none (overlong forms, surrogates,
 * beyond 10FFFF, cut off).
 */
static uint32_t next_character(struct view *text)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    uint8_t first = text->at[0];
    size_t more = first < 0x80   ? 0
                  : first < 0xC0 ? 4
                  : first < 0xE0 ? 1
                  : first < 0xF0 ? 2
                  : first < 0xF8 ? 3
                                 : 4;
    if (more >= text->len || more == 4) {
        return UINT32_MAX;
    }
    uint32_t point = more == 0 ? first : first & (0x3FU >> more);
    for (size_t i = 1; i <= more; i++) {
        if ((text->at[i] & 0xC0) != 0x80) {
            return UINT32_MAX;
        }
        point = point << 6 | (text->at[i] & 0x3F);
    }
    text->at += more + 1;
    text->len -= more + 1;
    bool is_character = point >= least[more] && point <= 0x10FFFF && (point < 0xD800 || point > 0xDFFF);
    return is_character ? point : UINT32_MAX;
}

static bool is_format_control(uint32_t c)
{
    return c == '\t' || c == '\n' || c == '\f' || c == '\r' || c == 0x1B;
}

/* C0 and C1 (PS3.5 6.1.3), and DEL. */
static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7F && c < 0xA0);
}

/* Text in the Specific Character Set. The count is of characters. */
static const char *check_characters(struct view text, bool has_values, bool has_lines, uint32_t *count_out)
{
    uint32_t count = 0;
    for (; text.len > 0; count++) {
        uint32_t c = next_character(&text);
        if (c == UINT32_MAX) {
            return no_utf8;
        }
        if (is_control(c) && !(has_lines && is_format_control(c))) {
            return no_control;
        }
        if (c == '\\' && has_values) {
            return no_backslash;
        }
    }
    *count_out = count;
    return NULL;
}

static bool is_one_of(uint8_t c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_upper(uint8_t c)
{
    return c >= 'A' && c <= 'Z';
}

/* --- VRs with a form --- */

static const char *check_age(struct view text)
{
    bool is_age = text.len == 4 && is_digit(text.at[0]) && is_digit(text.at[1]) && is_digit(text.at[2]) &&
                  is_one_of(text.at[3], "DWMY");
    return is_age ? NULL : no_age;
}

static const char *check_title(struct view text)
{
    bool is_blank = true;
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < 0x20 || text.at[i] > 0x7E || text.at[i] == '\\') {
            return no_title;
        }
        is_blank = is_blank && text.at[i] == ' ';
    }
    return is_blank || text.len > 16 ? no_title : NULL;
}

static const char *check_code(struct view text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!is_upper(text.at[i]) && !is_digit(text.at[i]) && !is_one_of(text.at[i], " _")) {
            return no_code;
        }
    }
    return text.len > 16 ? no_code : NULL;
}

static const char *check_decimal(struct view text)
{
    struct dicom_number number;
    struct view trimmed = text;
    while (trimmed.len > 0 && trimmed.at[trimmed.len - 1] == ' ') {
        trimmed.len--;
    }
    /* what is tolerated when read includes NULs behind it */
    bool has_nul = trimmed.len > 0 && trimmed.at[trimmed.len - 1] == '\0';
    bool is_number = !has_nul && text.len <= 16 && dicom_number_parse(DICOM_VR_DS, text, &number);
    return is_number ? NULL : no_decimal;
}

static const char *check_integer(struct view text)
{
    struct dicom_number number;
    struct view digits = dicom_value_trim(DICOM_VR_IS, text);
    if (text.len > 12 || !dicom_number_parse(DICOM_VR_IS, text, &number) || number.is_real) {
        return no_integer;
    }
    for (size_t i = 0; i < text.len; i++) {
        bool is_sign = text.at + i == digits.at && is_one_of(text.at[i], "+-");
        if (!is_digit(text.at[i]) && !is_sign && text.at[i] != ' ') {
            return no_integer; /* a fraction, an exponent or a NUL, tolerated when read */
        }
    }
    return number.integer >= INT32_MIN && number.integer <= INT32_MAX ? NULL : no_integer;
}

static const char *check_uid(struct view text)
{
    size_t start = 0; /* of a component */
    for (size_t i = 0; i <= text.len; i++) {
        if (i < text.len && is_digit(text.at[i])) {
            continue;
        }
        bool is_end = i == text.len || text.at[i] == '.';
        if (!is_end || i == start || (text.at[start] == '0' && i - start > 1)) {
            return no_uid;
        }
        start = i + 1;
    }
    return text.len > 64 ? no_uid : NULL;
}

/* The characters of RFC 3986; whether they make a URI is between others. */
static const char *check_uri(struct view text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] <= ' ' || text.at[i] > 0x7E || is_one_of(text.at[i], "\"<>\\^`{|}")) {
            return no_uri;
        }
    }
    return NULL;
}

/* PS3.5 6.2.1: alphabetic=ideographic=phonetic, each family^given^middle^prefix^suffix. */
static const char *check_name(struct view text)
{
    uint32_t count;
    const char *why = check_characters(text, true, false, &count);
    if (why) {
        return why;
    }
    unsigned groups = 1;
    unsigned components = 1;
    for (count = 0; text.len > 0;) {
        uint32_t c = next_character(&text);
        if (c == '=') {
            groups++;
            components = 1;
            count = 0;
            continue;
        }
        components += c == '^';
        if (groups > 3 || components > 5) {
            return no_name;
        }
        if (++count > 64) {
            return no_group;
        }
    }
    return groups > 3 ? no_name : NULL;
}

/* --- VRs without --- */

static const char *check_text(enum dicom_vr vr, struct view text)
{
    static const char *const why_long[DICOM_VR_COUNT] = {
        [DICOM_VR_LO] = "an LO is up to 64 characters",
        [DICOM_VR_LT] = "an LT is up to 10240 characters",
        [DICOM_VR_SH] = "an SH is up to 16 characters",
        [DICOM_VR_ST] = "an ST is up to 1024 characters",
    };
    bool has_lines = vr == DICOM_VR_ST || vr == DICOM_VR_LT || vr == DICOM_VR_UT;
    uint32_t count;
    const char *why = check_characters(text, !has_lines, has_lines, &count);
    if (why) {
        return why;
    }
    return why_long[vr] && count > dicom_vr_info(vr)->max ? why_long[vr] : NULL;
}

static const char *check_bytes(enum dicom_vr vr, struct view bytes)
{
    switch (dicom_vr_info(vr)->unit) {
    case 2:
        return bytes.len % 2 ? "an OW is whole words of 2 bytes" : NULL;
    case 4:
        return bytes.len % 4 ? "an OF or OL is whole words of 4 bytes" : NULL;
    case 8:
        return bytes.len % 8 ? "an OD or OV is whole words of 8 bytes" : NULL;
    default:
        return NULL;
    }
}

/* The forms of dates have no room for padding; what is right stands in date.c. */
static const char *check_form(enum dicom_vr vr, struct view text)
{
    switch (vr) {
    case DICOM_VR_AE:
        return check_title(text);
    case DICOM_VR_AS:
        return check_age(text);
    case DICOM_VR_CS:
        return check_code(text);
    case DICOM_VR_DA:
        return dicom_da_check(text);
    case DICOM_VR_DS:
        return check_decimal(text);
    case DICOM_VR_DT:
        return dicom_dt_check(text);
    case DICOM_VR_IS:
        return check_integer(text);
    case DICOM_VR_PN:
        return check_name(text);
    case DICOM_VR_TM:
        return dicom_tm_check(text);
    case DICOM_VR_UI:
        return check_uid(text);
    case DICOM_VR_UR:
        return check_uri(text);
    default:
        return check_text(vr, text);
    }
}

const char *dicom_text_check(enum dicom_vr vr, struct view text)
{
    if (text.len == 0) {
        return NULL;
    }
    if (text.len > UINT32_MAX - 1) { /* FFFFFFFF means something else, and lengths are even */
        return "a value is up to 4294967294 bytes";
    }
    switch (dicom_vr_info(vr)->kind) {
    case DICOM_TEXT:
        return check_form(vr, text);
    case DICOM_BYTES:
        return check_bytes(vr, text);
    case DICOM_NUMBER:
        return "this VR holds numbers, not text";
    case DICOM_TAGS:
        return "an AT is a tag, not text";
    case DICOM_ITEMS:
        break;
    }
    return "an SQ holds items, not text";
}
