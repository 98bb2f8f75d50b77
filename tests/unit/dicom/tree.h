/* What tests of the tree over a data set share: comparing trees, and reading files. */
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

/* A data set out of a Part 10 file. False: the file has no meta information that says how it is written. */
bool tree_read_file(const char *path, struct octets *data_set_out, struct dicom_encoding *encoding_out);

#endif
