/* The generated table (dictionary_table.c, by tools/gen_dictionary.py). Only dictionary.c looks at it. */
#ifndef HILUM_DICOM_DICTIONARY_TABLE_H
#define HILUM_DICOM_DICTIONARY_TABLE_H

#include "dicom/dictionary.h"

/* Rising by tag; a pattern stands where the first of its tags does. */
extern const struct dicom_entry dictionary_table[];
extern const size_t dictionary_count;

/* Patterns of one shape, such as all of 60xx: of a tag with (tag & covers) == value that has no entry of its own,
 * (tag & fixed) + added is the first of its pattern, if it has one. */
struct dictionary_family {
    uint32_t covers, value, fixed, added;
};
extern const struct dictionary_family dictionary_families[];
extern const size_t dictionary_family_count;

enum { DICTIONARY_BUCKET_BITS = 11, DICTIONARY_SLOT_BITS = 13, DICTIONARY_EMPTY = 0xFFFF };

/* A perfect hash: the upper bits of a hash choose a shift, the shift moves its middle bits to a slot that no other key has. */
struct dictionary_index {
    uint8_t shifts[1 << DICTIONARY_BUCKET_BITS];
    uint16_t slots[1 << DICTIONARY_SLOT_BITS]; /* positions in dictionary_table, or DICTIONARY_EMPTY */
};
extern const struct dictionary_index dictionary_by_tag, dictionary_by_keyword;

#endif
