#include "dicom/charset_inside.h"

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
        size_t n = charset_utf8_read(p, len, &code);
        return (struct unit){code == CHARSET_BAD_CODE ? UNIT_WRONG : UNIT_CHARACTER, element, n, false};
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

static struct unit escape_unit(struct charset_state *s, const uint8_t *p, size_t len)
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
            if (charset_kind_of(s->g0) == CHARSET_G0_DOUBLE) {
                s->g0 = s->first_g0; /* writers who know one active set only take this for the way back */
            }
        }
        return (struct unit){UNIT_ESCAPE, e, element->escape_len, false};
    }
    return (struct unit){UNIT_WRONG, s->g0, 1, false};
}

static struct unit lower_unit(struct charset_state *s, const uint8_t *p, size_t len)
{
    bool is_out_of_place = false;
    if (p[0] > 0x20 && p[0] < 0x7F && charset_kind_of(s->g0) == CHARSET_G0_DOUBLE) {
        if (len >= 2 && p[1] > 0x20 && p[1] < 0x7F) {
            return (struct unit){UNIT_CHARACTER, s->g0, 2, false};
        }
        is_out_of_place = true; /* most likely an escape is missing before a delimiter */
        s->g0 = s->first_g0;
    }
    if (charset_is_delimiter(s, p[0])) {
        charset_reset(s);
    } else if (s->g0 == CHARSET_ROMAJI && charset_romaji_code(s, p[0]) != p[0]) {
        return (struct unit){UNIT_CHARACTER, s->g0, 1, is_out_of_place};
    }
    return (struct unit){UNIT_ASCII, s->g0, 1, is_out_of_place};
}

/* What stands at the front of len > 0 bytes. The state becomes that behind it. */
static struct unit next_unit(struct charset_state *s, const uint8_t *p, size_t len)
{
    if (charset_kind_of(s->g0) == CHARSET_ALONE) {
        return alone_unit(s->g0, p, len);
    }
    if (p[0] == CHARSET_ESC) {
        return escape_unit(s, p, len);
    }
    if (p[0] < 0x80) {
        return lower_unit(s, p, len);
    }
    if (charset_kind_of(s->g1) == CHARSET_G1_SINGLE) {
        return (struct unit){UNIT_CHARACTER, s->g1, 1, false};
    }
    bool is_pair =
        s->g1 != CHARSET_ASCII && len >= 2 && p[0] > 0xA0 && p[0] < 0xFF && p[1] > 0xA0 && p[1] < 0xFF;
    return is_pair ? (struct unit){UNIT_CHARACTER, s->g1, 2, false}
                   : (struct unit){UNIT_WRONG, s->g1, 1, false};
}

/* No byte 5C can be part of a character: UTF-8, and everything without escapes but GB18030 and GBK. */
static bool is_backslash_certain(const struct charset_state *s, const uint8_t *p, size_t len)
{
    return s->g0 == CHARSET_UTF_8 ||
           (charset_kind_of(s->g0) != CHARSET_ALONE && memchr(p, CHARSET_ESC, len) == NULL);
}

size_t dicom_charset_value_len(const struct dicom_charset *set, enum dicom_vr vr, struct view bytes)
{
    struct charset_state s = charset_state_at_start(set, vr);
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

static bool decode_character(struct dicom_charsets *cs, const struct charset_state *s, uint8_t element,
                             const uint8_t *p, size_t len, struct octets *out)
{
    const struct charset_element *e = &charset_elements[element];
    uint8_t euc[3];
    uint8_t utf8[CHARSET_MAX_BYTES];
    if (e->kind == CHARSET_G0_SINGLE) {
        utf8_write(out, charset_romaji_code(s, p[0]));
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
    size_t n = charset_convert(cs->to_utf8[e->conversion], p, len, utf8);
    if (n == 0) {
        write_replacement(out);
    }
    octets_append(out, utf8, n);
    return n > 0;
}

bool dicom_charset_decode(struct dicom_charsets *cs, const struct dicom_charset *set, enum dicom_vr vr,
                          struct view bytes, struct octets *utf8_out)
{
    struct charset_state s = charset_state_at_start(set, vr);
    bool is_right = true;
    for (size_t i = 0; i < bytes.len;) {
        const uint8_t *p = bytes.at + i;
        size_t n = charset_easy_run(&s, p, bytes.len - i);
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
