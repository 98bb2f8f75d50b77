/*
 * Values of a VR: from bytes to numbers and back, padding, and whether a text or a number can stand in a VR (PS3.5 6.2).
 * No character sets: text is in the bytes it came in where it is read, in UTF-8 where it is checked.
 *
 * Reading is tolerant, writing is not. Texts that say why not are fixed and begin with what would be right:
 * "a DA is YYYYMMDD ...".
 */
#ifndef HILUM_DICOM_VALUE_H
#define HILUM_DICOM_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/octets.h"
#include "dicom/vr.h"

/*
 * is_real            FL, FD, DS, and an IS that is not whole: `real` counts
 * neither, big > 0   a UV above INT64_MAX: `big` counts, `integer` is INT64_MAX
 * else               `integer` counts
 *
 * `real` is the nearest double in every case: what compares by value needs nothing else.
 */
struct dicom_number {
    bool is_real;
    int64_t integer;
    uint64_t big;
    double real;
};

struct dicom_number dicom_number_of_integer(int64_t integer);
struct dicom_number dicom_number_of_unsigned(uint64_t integer);
struct dicom_number dicom_number_of_real(double real);

/* Binary numbers: how many whole ones `value` holds; a rest of less than one is not looked at. 0 for every VR but US SS UL SL
 * SV UV FL FD AT. */
size_t dicom_number_count(enum dicom_vr vr, struct view value);
/* The i-th of them, counted from 0; there must be as many. An AT is its tag, group in the upper half, in either byte order. */
struct dicom_number dicom_number_at(enum dicom_vr vr, bool is_big_endian, struct view value, size_t i);

/* One value of a DS or an IS. Tolerated: spaces and NULs around it, more characters than the standard allows (up to 127), "5." and
 * ".5"; an IS with a fraction or an exponent. A DS is always real; an IS is an integer if it is whole and an int64 can hold it.
 * False: empty, or no number ("1,5", "nan", "0x10", "1e999"); it is then a text like others. */
bool dicom_number_parse(enum dicom_vr vr, struct view text, struct dicom_number *number_out);

/* Appends one value: binary in this byte order, or the text of a DS or an IS, unpadded (the caller puts backslashes between).
 * A real stands in an integer's VR if it is whole. A DS is the shortest decimal that reads back as the same double, or, if that has
 * more than 16 characters, the nearest that has not. NULL, or why the VR cannot hold it; nothing is appended then. */
const char *dicom_number_append(enum dicom_vr vr, bool is_big_endian, const struct dicom_number *number,
                                struct octets *to);

/* One value without what PS3.5 6.2 calls padding, and without trailing NULs, which devices write: trailing spaces of every text, leading
 * ones too in AE CS DS IS LO SH. What is no text is returned as it is. */
struct view dicom_value_trim(enum dicom_vr vr, struct view value);
/* A whole value, alone in `value`, gets its pad if its length is odd. */
void dicom_value_pad(enum dicom_vr vr, struct octets *value);

/* Can this be one value of the VR: characters, length, form. `text` is UTF-8, or bytes for OB and the like. The empty text always can.
 * A control character is never allowed, but TAB LF FF CR ESC in ST LT UT; a backslash only in ST LT UT. NULL, or why not. */
const char *dicom_text_check(enum dicom_vr vr, struct view text);

#endif
