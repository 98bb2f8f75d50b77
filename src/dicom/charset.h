/*
 * Text between the bytes of a Specific Character Set (0008,0005) and UTF-8. (PS3.5 6.1.2, PS3.3 C.12.1.1.2)
 *
 *   one value       that set, no escapes: ISO 8859 and the like, UTF-8, GB18030, GBK; absent or empty: ASCII
 *   several values  ISO 2022: the first is active where a value begins and after each delimiter (CR LF FF TAB; backslash in VRs with
 *                   several values; ^ and = in PN), escapes bring in the others
 *
 * Bytes below 80 of pure ASCII pass without a look at tables; pairs of bytes are converted by the C library.
 * VRs without Specific Character Set (CS, DS, UI, ...) are read and written as ASCII whatever `set` says.
 */
#ifndef HILUM_DICOM_CHARSET_H
#define HILUM_DICOM_CHARSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/octets.h"
#include "base/result.h"
#include "dicom/vr.h"

/* Open conversions. One a thread, made once: opening may read files of the C library. */
struct dicom_charsets;

/* NULL: no memory, or the C library's conversions (gconv) are not installed. */
struct dicom_charsets *dicom_charsets_new(void);
/* Nulls it; may be NULL already. */
void dicom_charsets_free(struct dicom_charsets **cs);

enum { DICOM_CHARSET_OTHERS_MAX = 20 };

/* What a Specific Character Set says. Plain data, compared by dicom_charset_equal. All zero is the default repertoire, ASCII. */
struct dicom_charset {
    bool has_unknown; /* some term has no meaning, or none where it stands */
    /* private: code elements, enum charset */
    uint8_t g0, g1; /* active at the start */
    uint8_t count;
    uint8_t others[DICOM_CHARSET_OTHERS_MAX]; /* that escapes may bring in, in the order of the terms */
};

/* From the value of (0008,0005), with its backslashes and padding. Other spellings of a term are taken as meant ("ISO-IR 100",
 * "iso_ir_100", "ISO 2022-IR-87", "UTF-8"). An unknown first term is read as ASCII, others are left out. */
void dicom_charset_parse(struct view value, struct dicom_charset *out);

/* The same bytes mean the same and are written the same under both. */
bool dicom_charset_equal(const struct dicom_charset *a, const struct dicom_charset *b);

/* ISO_IR 192. */
bool dicom_charset_is_utf8(const struct dicom_charset *set);

/*
 * Appends a whole value, with all that stands between backslashes, as UTF-8. Padding stays.
 *
 * true   every byte had a meaning
 * false  some had none, and U+FFFD stands for each or for each pair: bytes above 7F in ASCII, characters cut off, escapes that
 *        nobody knows. Escapes to a set that was not announced are followed, and so is a delimiter amid kanji.
 *
 * Memory: see out->failed.
 */
bool dicom_charset_decode(struct dicom_charsets *cs, const struct dicom_charset *set, enum dicom_vr vr,
                          struct view bytes, struct octets *utf8_out);

enum { DICOM_CHARSET_NOT_UTF8 = -1 }; /* *bad_out of text that is no UTF-8 */

/*
 * Appends UTF-8 as bytes of the set, for a value as a whole: escapes before what needs them, back to the first set before delimiters
 * and at the end (PS3.5 6.1.2.5.3). A backslash in a VR of several values separates. Decoding gives the same text again. No padding.
 *
 * OK
 * ERR_USAGE   the set cannot hold a character: *bad_out is its code point, or DICOM_CHARSET_NOT_UTF8; nothing is appended
 * ERR_MEMORY  nothing is appended; out->failed is set
 */
MUST_USE enum result dicom_charset_encode(struct dicom_charsets *cs, const struct dicom_charset *set,
                                          enum dicom_vr vr, struct view utf8, struct octets *out,
                                          int32_t *bad_out);

/*
 * Bytes of the first value of several: up to the backslash that ends it, or all of them. A byte 5C inside a character (GB18030, GBK,
 * kanji) is no backslash. The next value starts behind it, in the first set again. VRs of one value: all of them. Agrees with
 * decoding: the text has as many backslashes as the bytes have ends.
 */
size_t dicom_charset_value_len(const struct dicom_charset *set, enum dicom_vr vr, struct view bytes);

#endif
