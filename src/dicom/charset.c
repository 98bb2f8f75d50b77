#include "dicom/charset.h"

#include <iconv.h>
#include <stdlib.h>

#include "base/assert.h"
#include "dicom/charset_table.h"

_Static_assert(CHARSET_COUNT - 1 <= DICOM_CHARSET_OTHERS_MAX, "every element can be announced once");

enum { ESC = 0x1B, BAD_CODE = 0x110000, CHARACTER_MAX_BYTES = 8 };

/* --- Conversions of the C library ------------------------------------------------------------------------------ */

struct dicom_charsets {
    iconv_t to_utf8[CHARSET_CONVERSION_COUNT], from_utf8[CHARSET_CONVERSION_COUNT];
};

static const char *const conversion_names[CHARSET_CONVERSION_COUNT] = {
    [CHARSET_EUC_JP] = "EUC-JP",         [CHARSET_EUC_KR] = "EUC-KR", [CHARSET_EUC_CN] = "GB2312",
    [CHARSET_GB18030_WHOLE] = "GB18030", [CHARSET_GBK_WHOLE] = "GBK",
};

/* What iconv_open gives for "no". */
static const iconv_t closed = (iconv_t)-1; // NOLINT(performance-no-int-to-ptr)

struct dicom_charsets *dicom_charsets_new(void)
{
    struct dicom_charsets *cs = malloc(sizeof(*cs));
    bool all = cs != NULL;
    for (int i = 0; cs && i < CHARSET_CONVERSION_COUNT; i++) {
        const char *name = conversion_names[i];
        cs->to_utf8[i] = name ? iconv_open("UTF-8", name) : closed;
        cs->from_utf8[i] = name ? iconv_open(name, "UTF-8") : closed;
        all = all && (!name || (cs->to_utf8[i] != closed && cs->from_utf8[i] != closed));
    }
    if (!all) {
        dicom_charsets_free(&cs);
    }
    return cs;
}

void dicom_charsets_free(struct dicom_charsets **cs)
{
    for (int i = 0; *cs && i < CHARSET_CONVERSION_COUNT; i++) {
        if ((*cs)->to_utf8[i] != closed) {
            (void)iconv_close((*cs)->to_utf8[i]);
        }
        if ((*cs)->from_utf8[i] != closed) {
            (void)iconv_close((*cs)->from_utf8[i]);
        }
    }
    free(*cs);
    *cs = NULL;
}

/* One whole character. Returns the bytes written; 0: it has no counterpart. */
static size_t convert(iconv_t conversion, const uint8_t *bytes, size_t len, uint8_t out[CHARACTER_MAX_BYTES])
{
    char *from = (char *)bytes;
    char *to = (char *)out;
    size_t room = CHARACTER_MAX_BYTES;
    if (iconv(conversion, &from, &len, &to, &room) != 0) { /* more than 0: something like it */
        (void)iconv(conversion, NULL, NULL, NULL, NULL);
        return 0;
    }
    return CHARACTER_MAX_BYTES - room;
}

/* --- UTF-8 ----------------------------------------------------------------------------------------------------- */

/* Reads the character at the front of len > 0 bytes. Returns its bytes; of what is malformed the bytes that one U+FFFD stands for
 * (Unicode 3.9, maximal subpart), with *code_out BAD_CODE. */
static size_t utf8_read(const uint8_t *p, size_t len, uint32_t *code_out)
{
    unsigned lead = p[0];
    *code_out = lead;
    if (lead < 0x80) {
        return 1;
    }
    *code_out = BAD_CODE;
    if (lead < 0xC2 || lead > 0xF4) {
        return 1;
    }
    size_t want = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    /* The second byte keeps out overlong forms, surrogates and what is past 10FFFF. */
    unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    uint32_t code = lead & (0x7FU >> want);
    for (size_t i = 1; i < want; i++) {
        if (i >= len || p[i] < low || p[i] > high) {
            return i;
        }
        code = code << 6 | (p[i] & 0x3FU);
        low = 0x80;
        high = 0xBF;
    }
    *code_out = code;
    return want;
}

/* Of the basic plane, which is all that tables have. */
static void utf8_write(struct octets *out, uint32_t code)
{
    if (code < 0x80) {
        octets_u8(out, (uint8_t)code);
    } else if (code < 0x800) {
        octets_be16(out, (uint16_t)(0xC080 | (code & 0x7C0) << 2 | (code & 0x3F)));
    } else {
        octets_u8(out, (uint8_t)(0xE0 | code >> 12));
        octets_be16(out, (uint16_t)(0x8080 | (code & 0xFC0) << 2 | (code & 0x3F)));
    }
}

static void write_replacement(struct octets *out)
{
    utf8_write(out, 0xFFFD);
}

/* Bytes at the front that are ASCII without an escape. */
static size_t ascii_run(const uint8_t *p, size_t len)
{
    size_t i = 0;
    for (; i + 8 <= len; i += 8) {
        uint64_t word;
        memcpy(&word, p + i, 8);
        uint64_t no_escape = word ^ UINT64_C(0x1B1B1B1B1B1B1B1B); /* a zero byte where one is */
        if (((word | (no_escape - UINT64_C(0x0101010101010101))) & UINT64_C(0x8080808080808080)) != 0) {
            break;
        }
    }
    while (i < len && p[i] < 0x80 && p[i] != ESC) {
        i++;
    }
    return i;
}

/* --- Specific Character Set ------------------------------------------------------------------------------------ */

/* Letters and digits, upper case; false: longer than any term. */
static bool plain_name(const uint8_t *p, size_t len, char name[16])
{
    size_t used = 0;
    for (size_t i = 0; i < len; i++) {
        bool is_lower = p[i] >= 'a' && p[i] <= 'z';
        if (is_lower || (p[i] >= 'A' && p[i] <= 'Z') || (p[i] >= '0' && p[i] <= '9')) {
            if (used == 15) {
                return false;
            }
            name[used++] = (char)(is_lower ? p[i] - 'a' + 'A' : p[i]);
        } else if (p[i] > 0x7E) {
            return false;
        }
    }
    name[used] = '\0';
    return true;
}

static int compare_name(const void *name, const void *term)
{
    return strcmp(name, ((const struct charset_term *)term)->name);
}

/* NULL: unknown. */
static const struct charset_term *find_term(const uint8_t *p, size_t len)
{
    static const struct charset_term empty = {.g0 = CHARSET_ASCII};
    char name[16];
    if (!plain_name(p, len, name)) {
        return NULL;
    }
    if (name[0] == '\0') {
        return &empty;
    }
    return bsearch(name, charset_terms, charset_term_count, sizeof(charset_terms[0]), compare_name);
}

static void announce(struct dicom_charset *set, uint8_t element)
{
    if (memchr(set->others, element, set->count) == NULL) {
        set->others[set->count++] = element;
    }
}

static enum charset_kind kind_of(uint8_t element)
{
    return charset_elements[element].kind;
}

static void add_first(struct dicom_charset *set, const struct charset_term *term)
{
    if (!term) {
        set->has_unknown = true;
        return;
    }
    /* Pairs in G0 need an escape, even where they are announced first, as they may not be. */
    set->g0 = kind_of(term->g0) == CHARSET_G0_DOUBLE ? CHARSET_ASCII : term->g0;
    set->g1 = term->g1;
}

static void add_other(struct dicom_charset *set, const struct charset_term *term)
{
    if (!term || kind_of(term->g0) == CHARSET_ALONE || kind_of(set->g0) == CHARSET_ALONE) {
        set->has_unknown = true;
        return;
    }
    announce(set, term->g0);
    if (term->g1 != CHARSET_ASCII) {
        announce(set, term->g1);
    }
}

void dicom_charset_parse(struct view value, struct dicom_charset *out)
{
    *out = (struct dicom_charset){0};
    bool is_several = value.len > 0 && memchr(value.at, '\\', value.len) != NULL;
    for (size_t start = 0, i = 0; start <= value.len; i++) {
        size_t end = start;
        while (end < value.len && value.at[end] != '\\') {
            end++;
        }
        const struct charset_term *term =
            end > start ? find_term(value.at + start, end - start) : find_term(NULL, 0);
        if (i == 0) {
            add_first(out, term);
            if (term && kind_of(out->g0) != CHARSET_ALONE && (is_several || term->extends)) {
                add_other(out, term);
            }
        } else if (!term || term->name[0] != '\0') {
            add_other(out, term);
        }
        start = end + 1;
    }
}

bool dicom_charset_equal(const struct dicom_charset *a, const struct dicom_charset *b)
{
    return a->g0 == b->g0 && a->g1 == b->g1 && a->count == b->count &&
           memcmp(a->others, b->others, a->count) == 0;
}

bool dicom_charset_is_utf8(const struct dicom_charset *set)
{
    return set->g0 == CHARSET_UTF_8;
}

/* --- Where characters begin and end ---------------------------------------------------------------------------- */

/* What is active at some place of a value; of the VR what matters. */
struct state {
    uint8_t first_g0, first_g1;
    uint8_t g0, g1;
    bool is_name, has_values;
};

static struct state state_at_start(const struct dicom_charset *set, enum dicom_vr vr)
{
    const struct dicom_vr_info *info = dicom_vr_info(vr);
    struct state s = {.is_name = vr == DICOM_VR_PN, .has_values = info->has_values};
    if (info->is_extended) {
        s.first_g0 = s.g0 = set->g0;
        s.first_g1 = s.g1 = set->g1;
    }
    return s;
}

static void reset(struct state *s)
{
    s->g0 = s->first_g0;
    s->g1 = s->first_g1;
}

/* The first set is active behind these. (PS3.5 6.1.2.5.3) */
static bool is_delimiter(const struct state *s, uint32_t c)
{
    return c == '\t' || c == '\n' || c == '\f' || c == '\r' || (c == '\\' && s->has_values) ||
           ((c == '^' || c == '=') && s->is_name);
}

/* 5C and 7E of ISO-IR 14; where 5C separates it is no yen sign. */
static uint32_t romaji_code(const struct state *s, uint32_t byte)
{
    return byte == 0x7E ? 0x203E : byte == 0x5C && !s->has_values ? 0xA5 : byte;
}

struct unit {
    enum {
        UNIT_ASCII,     /* one byte, as it is; delimiters have had their effect */
        UNIT_CHARACTER, /* of `element` */
        UNIT_ESCAPE,    /* has had its effect */
        UNIT_WRONG
    } kind;
    uint8_t element;
    size_t len;
    bool is_out_of_place; /* ASCII where half a kanji was expected */
};

static struct unit alone_unit(uint8_t element, const uint8_t *p, size_t len)
{
    uint32_t code;
    if (p[0] < 0x80) {
        return (struct unit){UNIT_ASCII, element, 1, false};
    }
    if (element == CHARSET_UTF_8) {
        size_t n = utf8_read(p, len, &code);
        return (struct unit){code == BAD_CODE ? UNIT_WRONG : UNIT_CHARACTER, element, n, false};
    }
    if (len < 2 || p[0] == 0x80 || p[0] == 0xFF) {
        return (struct unit){UNIT_WRONG, element, 1, false};
    }
    if (p[1] >= 0x40 && p[1] != 0x7F && p[1] != 0xFF) {
        return (struct unit){UNIT_CHARACTER, element, 2, false};
    }
    bool is_four = element == CHARSET_GB18030 && len >= 4 && p[1] >= '0' && p[1] <= '9' && p[2] > 0x80 &&
                   p[2] < 0xFF && p[3] >= '0' && p[3] <= '9';
    return is_four ? (struct unit){UNIT_CHARACTER, element, 4, false}
                   : (struct unit){UNIT_WRONG, element, 1, false};
}

static struct unit escape_unit(struct state *s, const uint8_t *p, size_t len)
{
    for (unsigned i = 0; i < CHARSET_COUNT; i++) {
        const uint8_t e = (uint8_t)i;
        const struct charset_element *element = &charset_elements[e];
        if (element->escape_len == 0 || element->escape_len > len ||
            memcmp(p, element->escape, element->escape_len) != 0) {
            continue;
        }
        if (element->kind == CHARSET_G0_SINGLE || element->kind == CHARSET_G0_DOUBLE) {
            s->g0 = e;
        } else {
            s->g1 = e;
            if (kind_of(s->g0) == CHARSET_G0_DOUBLE) {
                s->g0 = s->first_g0; /* writers who know one active set only take this for the way back */
            }
        }
        return (struct unit){UNIT_ESCAPE, e, element->escape_len, false};
    }
    return (struct unit){UNIT_WRONG, s->g0, 1, false};
}

static struct unit lower_unit(struct state *s, const uint8_t *p, size_t len)
{
    bool is_out_of_place = false;
    if (p[0] > 0x20 && p[0] < 0x7F && kind_of(s->g0) == CHARSET_G0_DOUBLE) {
        if (len >= 2 && p[1] > 0x20 && p[1] < 0x7F) {
            return (struct unit){UNIT_CHARACTER, s->g0, 2, false};
        }
        is_out_of_place = true; /* most likely an escape is missing before a delimiter */
        s->g0 = s->first_g0;
    }
    if (is_delimiter(s, p[0])) {
        reset(s);
    } else if (s->g0 == CHARSET_ROMAJI && romaji_code(s, p[0]) != p[0]) {
        return (struct unit){UNIT_CHARACTER, s->g0, 1, is_out_of_place};
    }
    return (struct unit){UNIT_ASCII, s->g0, 1, is_out_of_place};
}

/* What stands at the front of len > 0 bytes. The state becomes that behind it. */
static struct unit next_unit(struct state *s, const uint8_t *p, size_t len)
{
    if (kind_of(s->g0) == CHARSET_ALONE) {
        return alone_unit(s->g0, p, len);
    }
    if (p[0] == ESC) {
        return escape_unit(s, p, len);
    }
    if (p[0] < 0x80) {
        return lower_unit(s, p, len);
    }
    if (kind_of(s->g1) == CHARSET_G1_SINGLE) {
        return (struct unit){UNIT_CHARACTER, s->g1, 1, false};
    }
    bool is_pair =
        s->g1 != CHARSET_ASCII && len >= 2 && p[0] > 0xA0 && p[0] < 0xFF && p[1] > 0xA0 && p[1] < 0xFF;
    return is_pair ? (struct unit){UNIT_CHARACTER, s->g1, 2, false}
                   : (struct unit){UNIT_WRONG, s->g1, 1, false};
}

/* Bytes at the front that are ASCII and leave everything as it is, for they are many. */
static size_t easy_run(const struct state *s, const uint8_t *p, size_t len)
{
    bool is_easy = kind_of(s->g0) == CHARSET_ALONE ||
                   (s->g0 == CHARSET_ASCII && s->first_g0 == CHARSET_ASCII && s->g1 == s->first_g1);
    return is_easy ? ascii_run(p, len) : 0;
}

/* No byte 5C can be part of a character: UTF-8, and everything without escapes but GB18030 and GBK. */
static bool is_backslash_certain(const struct state *s, const uint8_t *p, size_t len)
{
    return s->g0 == CHARSET_UTF_8 || (kind_of(s->g0) != CHARSET_ALONE && memchr(p, ESC, len) == NULL);
}

size_t dicom_charset_value_len(const struct dicom_charset *set, enum dicom_vr vr, struct view bytes)
{
    struct state s = state_at_start(set, vr);
    const uint8_t *at = s.has_values && bytes.len > 0 ? memchr(bytes.at, '\\', bytes.len) : NULL;
    if (!at) {
        return bytes.len;
    }
    if (is_backslash_certain(&s, bytes.at, (size_t)(at - bytes.at))) {
        return (size_t)(at - bytes.at);
    }
    for (size_t i = 0; i < bytes.len;) {
        struct unit unit = next_unit(&s, bytes.at + i, bytes.len - i);
        if (unit.kind == UNIT_ASCII && bytes.at[i] == '\\') {
            return i;
        }
        i += unit.len;
    }
    return bytes.len;
}

/* --- Bytes to UTF-8 -------------------------------------------------------------------------------------------- */

/* Into the form that the C library converts: both bytes high, a prefix for JIS X 0212. Returns its length. */
static size_t to_euc(uint8_t element, const uint8_t *pair, uint8_t euc[3])
{
    size_t n = 0;
    if (element == CHARSET_KANJI_2) {
        euc[n++] = 0x8F;
    }
    euc[n++] = pair[0] | 0x80;
    euc[n++] = pair[1] | 0x80;
    return n;
}

static bool decode_character(struct dicom_charsets *cs, const struct state *s, uint8_t element,
                             const uint8_t *p, size_t len, struct octets *out)
{
    const struct charset_element *e = &charset_elements[element];
    uint8_t euc[3];
    uint8_t utf8[CHARACTER_MAX_BYTES];
    if (e->kind == CHARSET_G0_SINGLE) {
        utf8_write(out, romaji_code(s, p[0]));
        return true;
    }
    if (e->kind == CHARSET_G1_SINGLE) {
        uint16_t code = e->upper[p[0] - 0x80];
        utf8_write(out, code ? code : 0xFFFD);
        return code != 0;
    }
    if (element == CHARSET_UTF_8) {
        octets_append(out, p, len);
        return true;
    }
    if (e->kind != CHARSET_ALONE) {
        len = to_euc(element, p, euc);
        p = euc;
    }
    size_t n = convert(cs->to_utf8[e->conversion], p, len, utf8);
    if (n == 0) {
        write_replacement(out);
    }
    octets_append(out, utf8, n);
    return n > 0;
}

bool dicom_charset_decode(struct dicom_charsets *cs, const struct dicom_charset *set, enum dicom_vr vr,
                          struct view bytes, struct octets *utf8_out)
{
    struct state s = state_at_start(set, vr);
    bool is_right = true;
    for (size_t i = 0; i < bytes.len;) {
        const uint8_t *p = bytes.at + i;
        size_t n = easy_run(&s, p, bytes.len - i);
        if (n > 0) {
            octets_append(utf8_out, p, n);
            i += n;
            continue;
        }
        struct unit unit = next_unit(&s, p, bytes.len - i);
        if (unit.kind == UNIT_ASCII) {
            octets_u8(utf8_out, p[0]);
        } else if (unit.kind == UNIT_WRONG) {
            write_replacement(utf8_out);
        } else if (unit.kind == UNIT_CHARACTER) {
            is_right = decode_character(cs, &s, unit.element, p, unit.len, utf8_out) && is_right;
        }
        is_right = is_right && unit.kind != UNIT_WRONG && !unit.is_out_of_place;
        i += unit.len;
    }
    return is_right;
}

/* --- UTF-8 to bytes -------------------------------------------------------------------------------------------- */

enum { NONE_SINCE_RESET = 0xFF };

struct encoder {
    struct dicom_charsets *cs;
    const struct dicom_charset *set;
    struct state s;
    uint8_t last; /* designated since the last reset, or NONE_SINCE_RESET */
    struct octets *out;
};

struct character {
    uint32_t code;
    const uint8_t *utf8;
    size_t len;
};

static size_t encode_upper(const struct charset_element *e, uint32_t code, uint8_t *byte_out)
{
    size_t low = 0;
    size_t high = e->order_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        uint16_t here = e->upper[e->order[middle]];
        if (here == code) {
            *byte_out = e->order[middle] | 0x80;
            return 1;
        }
        if (here < code) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return 0;
}

/* Pairs and GB18030: only what comes back as the same character. The C library drops some characters without a word and knows
 * others that are only alike. */
static size_t encode_by_library(struct dicom_charsets *cs, uint8_t element, const struct character *c,
                                uint8_t bytes[CHARACTER_MAX_BYTES])
{
    const struct charset_element *e = &charset_elements[element];
    uint8_t again[CHARACTER_MAX_BYTES];
    size_t n = convert(cs->from_utf8[e->conversion], c->utf8, c->len, bytes);
    if (n < 2 || convert(cs->to_utf8[e->conversion], bytes, n, again) != c->len ||
        memcmp(again, c->utf8, c->len) != 0) {
        return 0;
    }
    if (e->kind == CHARSET_ALONE) {
        return n;
    }
    bool is_long = n == 3; /* JIS X 0212 in EUC-JP; half-width katakana begin with 8E and are in neither */
    if (is_long != (element == CHARSET_KANJI_2) || (!is_long && bytes[0] <= 0xA0)) {
        return 0;
    }
    uint8_t bit = e->kind == CHARSET_G1_DOUBLE ? 0x80 : 0;
    bytes[0] = (bytes[n - 2] & 0x7F) | bit;
    bytes[1] = (bytes[n - 1] & 0x7F) | bit;
    return 2;
}

/* The bytes of a character in one element. Returns how many; 0: it does not have it. */
static size_t encode_in(const struct encoder *w, uint8_t element, const struct character *c,
                        uint8_t bytes[CHARACTER_MAX_BYTES])
{
    const struct charset_element *e = &charset_elements[element];
    bool is_single = e->kind == CHARSET_G0_SINGLE;
    if (!is_single && c->code < 0x80) {
        return 0;
    }
    if (element == CHARSET_UTF_8) {
        memcpy(bytes, c->utf8, c->len);
        return c->len;
    }
    if (e->kind == CHARSET_G1_SINGLE) {
        return encode_upper(e, c->code, bytes);
    }
    if (!is_single) {
        return encode_by_library(w->cs, element, c, bytes);
    }
    bytes[0] = (uint8_t)c->code;
    if (element == CHARSET_ROMAJI) {
        bytes[0] = c->code == 0xA5 ? 0x5C : c->code == 0x203E ? 0x7E : bytes[0];
        return c->code < 0x80 || bytes[0] == 0x5C || bytes[0] == 0x7E
                   ? romaji_code(&w->s, bytes[0]) == c->code
                   : 0;
    }
    return c->code < 0x80;
}

static void designate(struct encoder *w, uint8_t element)
{
    const struct charset_element *e = &charset_elements[element];
    if (e->kind == CHARSET_G0_SINGLE || e->kind == CHARSET_G0_DOUBLE) {
        w->s.g0 = element;
    } else {
        w->s.g1 = element;
    }
    octets_append(w->out, e->escape, e->escape_len);
    w->last = element;
}

static void leave_pairs(struct encoder *w)
{
    if (kind_of(w->s.g0) == CHARSET_G0_DOUBLE) {
        designate(w, w->s.first_g0);
    }
}

/* Before a delimiter and at the end. A first set without G1 leaves whatever is there, as the standard's Korean examples do. */
static void back_to_first(struct encoder *w)
{
    if (w->s.g0 != w->s.first_g0) {
        designate(w, w->s.first_g0);
    }
    if (w->s.g1 != w->s.first_g1 && w->s.first_g1 != CHARSET_ASCII) {
        designate(w, w->s.first_g1);
    }
    reset(&w->s);
    w->last = NONE_SINCE_RESET;
}

/* G1 is said again after any other escape: many readers know only one active set, the one of the last escape. */
static bool is_active(const struct encoder *w, uint8_t element)
{
    return element == w->s.g0 || (element == w->s.g1 && (w->last == NONE_SINCE_RESET || w->last == element));
}

static bool encode_with(struct encoder *w, uint8_t element, const struct character *c)
{
    uint8_t bytes[CHARACTER_MAX_BYTES];
    size_t n = encode_in(w, element, c, bytes);
    if (n > 0 && !is_active(w, element)) {
        if (kind_of(element) == CHARSET_G1_SINGLE || kind_of(element) == CHARSET_G1_DOUBLE) {
            leave_pairs(w);
        }
        designate(w, element);
    }
    octets_append(w->out, bytes, n);
    return n > 0;
}

/* What is active first, then the first set, then the others in their order. */
static bool encode_by_set(struct encoder *w, const struct character *c)
{
    const uint8_t near[] = {w->s.g0, w->s.g1, w->s.first_g0, w->s.first_g1};
    for (size_t i = 0; i < sizeof(near); i++) {
        bool is_none = i % 2 == 1 && near[i] == CHARSET_ASCII; /* no G1 */
        if (!is_none && encode_with(w, near[i], c)) {
            return true;
        }
    }
    for (uint8_t i = 0; i < w->set->count; i++) {
        if (encode_with(w, w->set->others[i], c)) {
            return true;
        }
    }
    return false;
}

static bool encode_character(struct encoder *w, const struct character *c)
{
    bool is_alone = kind_of(w->s.g0) == CHARSET_ALONE;
    bool is_control = c->code <= 0x20 || c->code == 0x7F; /* or space: they stand in no set */
    if (c->code == BAD_CODE || (c->code == ESC && !is_alone)) {
        return false;
    }
    if (is_delimiter(&w->s, c->code)) {
        back_to_first(w);
    } else if (is_control) {
        leave_pairs(w);
    } else if (c->code >= 0x80 || !is_alone) {
        return encode_by_set(w, c);
    }
    octets_u8(w->out, (uint8_t)c->code);
    return true;
}

enum result dicom_charset_encode(struct dicom_charsets *cs, const struct dicom_charset *set, enum dicom_vr vr,
                                 struct view utf8, struct octets *out, int32_t *bad_out)
{
    static const struct dicom_charset ascii = {0};
    const struct dicom_charset *of_vr = dicom_vr_info(vr)->is_extended ? set : &ascii;
    struct encoder w = {cs, of_vr, state_at_start(of_vr, vr), NONE_SINCE_RESET, out};
    size_t before = out->len;
    for (size_t i = 0; i < utf8.len;) {
        size_t n = w.last == NONE_SINCE_RESET ? easy_run(&w.s, utf8.at + i, utf8.len - i) : 0;
        octets_append(out, utf8.at + i, n);
        i += n;
        if (i == utf8.len) {
            break;
        }
        struct character c = {.utf8 = utf8.at + i};
        c.len = utf8_read(c.utf8, utf8.len - i, &c.code);
        if (!encode_character(&w, &c)) {
            *bad_out = c.code == BAD_CODE ? DICOM_CHARSET_NOT_UTF8 : (int32_t)c.code;
            out->len = before;
            return ERR_USAGE;
        }
        i += c.len;
    }
    back_to_first(&w);
    if (out->failed) {
        out->len = before;
        return ERR_MEMORY;
    }
    return OK;
}
