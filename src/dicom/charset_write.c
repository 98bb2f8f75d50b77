#include "dicom/charset_inside.h"

enum { NONE_SINCE_RESET = 0xFF };

struct encoder {
    struct dicom_charsets *cs;
    const struct dicom_charset *set;
    struct charset_state s;
    uint8_t last; /* designated since the last charset_reset, or NONE_SINCE_RESET */
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
                                uint8_t bytes[CHARSET_MAX_BYTES])
{
    const struct charset_element *e = &charset_elements[element];
    uint8_t again[CHARSET_MAX_BYTES];
    size_t n = charset_convert(cs->from_utf8[e->conversion], c->utf8, c->len, bytes);
    if (n < 2 || charset_convert(cs->to_utf8[e->conversion], bytes, n, again) != c->len ||
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
                        uint8_t bytes[CHARSET_MAX_BYTES])
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
                   ? charset_romaji_code(&w->s, bytes[0]) == c->code
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
    if (charset_kind_of(w->s.g0) == CHARSET_G0_DOUBLE) {
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
    charset_reset(&w->s);
    w->last = NONE_SINCE_RESET;
}

/* G1 is said again after any other escape: many readers know only one active set, the one of the last escape. */
static bool is_active(const struct encoder *w, uint8_t element)
{
    return element == w->s.g0 || (element == w->s.g1 && (w->last == NONE_SINCE_RESET || w->last == element));
}

static bool encode_with(struct encoder *w, uint8_t element, const struct character *c)
{
    uint8_t bytes[CHARSET_MAX_BYTES];
    size_t n = encode_in(w, element, c, bytes);
    if (n > 0 && !is_active(w, element)) {
        if (charset_kind_of(element) == CHARSET_G1_SINGLE || charset_kind_of(element) == CHARSET_G1_DOUBLE) {
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
    bool is_alone = charset_kind_of(w->s.g0) == CHARSET_ALONE;
    bool is_control = c->code <= 0x20 || c->code == 0x7F; /* or space: they stand in no set */
    if (c->code == CHARSET_BAD_CODE || (c->code == CHARSET_ESC && !is_alone)) {
        return false;
    }
    if (charset_is_delimiter(&w->s, c->code)) {
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
    struct encoder w = {cs, of_vr, charset_state_at_start(of_vr, vr), NONE_SINCE_RESET, out};
    size_t before = out->len;
    for (size_t i = 0; i < utf8.len;) {
        size_t n = w.last == NONE_SINCE_RESET ? charset_easy_run(&w.s, utf8.at + i, utf8.len - i) : 0;
        octets_append(out, utf8.at + i, n);
        i += n;
        if (i == utf8.len) {
            break;
        }
        struct character c = {.utf8 = utf8.at + i};
        c.len = charset_utf8_read(c.utf8, utf8.len - i, &c.code);
        if (!encode_character(&w, &c)) {
            *bad_out = c.code == CHARSET_BAD_CODE ? DICOM_CHARSET_NOT_UTF8 : (int32_t)c.code;
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
