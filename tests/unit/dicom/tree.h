/* What tests of the tree over a data set share: making bytes, comparing trees, reading files. */
#ifndef HILUM_TESTS_DICOM_TREE_H
#define HILUM_TESTS_DICOM_TREE_H

#include "dicom/data_set.h"

/*
 * Fails unless both levels hold the same elements, byte for byte, and items the same, all the way down. Passed over, as lengths around
 * a change are made anew: group lengths, heads of sequences that hold items; besides elements of `but` (0: none).
 */
void tree_assert_same(struct dicom_data_set *a, struct dicom_data_set *b, uint32_t but);
/* Calls for the level and every item in it, outer ones first. */
void tree_each(struct dicom_data_set *ds, void (*call)(struct dicom_data_set *ds, void *context),
               void *context);
/* How many elements there are at all depths, by walking. */
size_t tree_count(struct dicom_data_set *ds);

extern const struct dicom_encoding tree_explicit, tree_big_endian, tree_implicit;

/* Append: a header with any length, for two letters the long form where the VR has it; a whole element; an element from a text. */
void tree_head(struct octets *o, struct dicom_encoding encoding, uint32_t tag, const char *vr,
               uint32_t length);
void tree_element(struct octets *o, struct dicom_encoding encoding, uint32_t tag, const char *vr,
                  const void *value, size_t len);
void tree_text(struct octets *o, struct dicom_encoding encoding, uint32_t tag, const char *vr,
               const char *text);
/* A 16-bit number. */
void tree_us(struct octets *o, struct dicom_encoding encoding, uint32_t tag, uint16_t value);

/* A data set out of a Part 10 file. False: the file has no meta information that says how it is written. */
bool tree_read_file(const char *path, struct octets *data_set_out, struct dicom_encoding *encoding_out);

#endif
