#include "dicom/charset_inside.h"

size_t charset_utf8_read(const uint8_t *p, size_t len, uint32_t *code_out)
{
    unsigned lead = p[0];
    *code_out = lead;
    if (lead < 0x80) {
        return 1;
    }
    *code_out = CHARSET_BAD_CODE;
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
    while (i < len && p[i] < 0x80 && p[i] != CHARSET_ESC) {
        i++;
    }
    return i;
}

struct charset_state charset_state_at_start(const struct dicom_charset *set, enum dicom_vr vr)
{
    const struct dicom_vr_info *info = dicom_vr_info(vr);
    struct charset_state s = {.is_name = vr == DICOM_VR_PN, .has_values = info->has_values};
    if (info->is_extended) {
        s.first_g0 = s.g0 = set->g0;
        s.first_g1 = s.g1 = set->g1;
    }
    return s;
}

void charset_reset(struct charset_state *s)
{
    s->g0 = s->first_g0;
    s->g1 = s->first_g1;
}

bool charset_is_delimiter(const struct charset_state *s, uint32_t c)
{
    return c == '\t' || c == '\n' || c == '\f' || c == '\r' || (c == '\\' && s->has_values) ||
           ((c == '^' || c == '=') && s->is_name);
}

uint32_t charset_romaji_code(const struct charset_state *s, uint32_t byte)
{
    return byte == 0x7E ? 0x203E : byte == 0x5C && !s->has_values ? 0xA5 : byte;
}

size_t charset_easy_run(const struct charset_state *s, const uint8_t *p, size_t len)
{
    bool is_easy = charset_kind_of(s->g0) == CHARSET_ALONE ||
                   (s->g0 == CHARSET_ASCII && s->first_g0 == CHARSET_ASCII && s->g1 == s->first_g1);
    return is_easy ? ascii_run(p, len) : 0;
}
