/* What reading and writing text share; nobody else includes it. charset.h says what it is for. */
#ifndef HILUM_DICOM_CHARSET_INSIDE_H
#define HILUM_DICOM_CHARSET_INSIDE_H

#include <iconv.h>

#include "dicom/charset.h"
#include "dicom/charset_table.h"

enum { CHARSET_ESC = 0x1B, CHARSET_BAD_CODE = 0x110000, CHARSET_MAX_BYTES = 8 };

struct dicom_charsets {
    iconv_t to_utf8[CHARSET_CONVERSION_COUNT], from_utf8[CHARSET_CONVERSION_COUNT];
};

/* One whole character. Returns the bytes written; 0: it has no counterpart. */
size_t charset_convert(iconv_t conversion, const uint8_t *bytes, size_t len, uint8_t out[CHARSET_MAX_BYTES]);

/* Reads the character at the front of len > 0 bytes. Returns its bytes; of what is malformed the bytes that one U+FFFD stands for
 * (Unicode 3.9, maximal subpart), with *code_out CHARSET_BAD_CODE. */
size_t charset_utf8_read(const uint8_t *p, size_t len, uint32_t *code_out);

static inline enum charset_kind charset_kind_of(uint8_t element)
{
    return charset_elements[element].kind;
}

/* What is active at some place of a value; of the VR what matters. */
struct charset_state {
    uint8_t first_g0, first_g1;
    uint8_t g0, g1;
    bool is_name, has_values;
};

struct charset_state charset_state_at_start(const struct dicom_charset *set, enum dicom_vr vr);
void charset_reset(struct charset_state *s);

/* The first set is active behind these. (PS3.5 6.1.2.5.3) */
bool charset_is_delimiter(const struct charset_state *s, uint32_t c);

/* 5C and 7E of ISO-IR 14; where 5C separates it is no yen sign. */
uint32_t charset_romaji_code(const struct charset_state *s, uint32_t byte);

/* Bytes at the front that are ASCII and leave everything as it is, for they are many. */
size_t charset_easy_run(const struct charset_state *s, const uint8_t *p, size_t len);

#endif
