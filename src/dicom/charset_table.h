/* Code elements and defined terms of Specific Character Set (PS3.3 C.12.1.1.2). The tables are generated (charset_table.c, by
 * tools/gen_charsets.py). Only charset_*.c look at them. */
#ifndef HILUM_DICOM_CHARSET_TABLE_H
#define HILUM_DICOM_CHARSET_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A set of characters that can stand in one half of the code table: G0 is 21 to 7E, G1 is A0 to FF. */
enum charset {
    CHARSET_ASCII,  /* G0. As G1: none */
    CHARSET_ROMAJI, /* G0. ISO-IR 14, JIS X 0201: ASCII with a yen sign at 5C and an overline at 7E */
    CHARSET_KATAKANA,
    CHARSET_LATIN_1,
    CHARSET_LATIN_2,
    CHARSET_LATIN_3,
    CHARSET_LATIN_4,
    CHARSET_LATIN_5,
    CHARSET_LATIN_9,
    CHARSET_CYRILLIC,
    CHARSET_ARABIC,
    CHARSET_GREEK,
    CHARSET_HEBREW,
    CHARSET_THAI,
    CHARSET_KANJI,   /* G0, pairs. JIS X 0208 */
    CHARSET_KANJI_2, /* G0, pairs. JIS X 0212 */
    CHARSET_KOREAN,  /* G1, pairs. KS X 1001 */
    CHARSET_CHINESE, /* G1, pairs. GB 2312 */
    CHARSET_UTF_8,   /* these three have the whole code table for themselves */
    CHARSET_GB18030,
    CHARSET_GBK,
    CHARSET_COUNT
};

enum charset_kind {
    CHARSET_G0_SINGLE,
    CHARSET_G1_SINGLE,
    CHARSET_G0_DOUBLE,
    CHARSET_G1_DOUBLE,
    CHARSET_ALONE /* no escapes */
};

/* Which conversion of the C library has the characters. */
enum charset_conversion {
    CHARSET_NONE,
    CHARSET_EUC_JP,
    CHARSET_EUC_KR,
    CHARSET_EUC_CN,
    CHARSET_GB18030_WHOLE,
    CHARSET_GBK_WHOLE,
    CHARSET_CONVERSION_COUNT
};

struct charset_element {
    char escape[5]; /* designates it */
    uint8_t escape_len;
    enum charset_kind kind;
    enum charset_conversion conversion;
    const uint16_t *upper; /* G1_SINGLE: code points of 80 to FF, 0 where there is none */
    const uint8_t *order;  /* positions in `upper` of the characters, rising by code point */
    uint8_t order_count;
};

extern const struct charset_element charset_elements[CHARSET_COUNT];

struct charset_term {
    char name[16]; /* letters and digits only, upper case */
    uint8_t g0, g1;
    bool extends; /* one for use with escapes */
};

/* Rising by name. */
extern const struct charset_term charset_terms[];
extern const size_t charset_term_count;

#endif
