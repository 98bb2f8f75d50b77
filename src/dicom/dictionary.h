/*
 * The data dictionary: elements of PS3.6, commands of PS3.7 Annex E, file meta information and DICOMDIR; the table is generated
 * (dictionary_table.c). Private elements are not in it. All look-ups are by hash: some nanoseconds, no allocation, any thread.
 */
#ifndef HILUM_DICOM_DICTIONARY_H
#define HILUM_DICOM_DICTIONARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dicom/tag.h"
#include "dicom/vr.h"

struct dicom_entry {
    uint32_t tag; /* of a pattern (60xx0010, 002804x0): the first tag that it stands for */
    /* Alternatives in the registry's order; fewer than 3 end with DICOM_VR_UNKNOWN. None: delimiters, and four retired tags without a
     * name. */
    enum dicom_vr vr[3];
    bool is_retired;
    uint16_t vm_min, vm_max; /* number of values; vm_max 0: any */
    uint16_t vm_step;        /* the number of values is a multiple of it: "2-2n" 2, "1-n" 1 */
    const char *keyword;     /* "PatientName"; "" where the registry has none */
};

/* Exact tags first, then patterns: 50xx, 60xx and 7Fxx in even groups, 002031xx, 002804xn, 002808xn, 1000xxxn, 1010xxxx.
 * NULL: private, unknown, and group lengths but those of commands and file meta information. */
const struct dicom_entry *dicom_dictionary_find(uint32_t tag);

/* By the exact keyword, case and all. *tag_out (may be NULL): its tag; of a repeating group the first one's. NULL: unknown, ""; then
 * *tag_out stays as it is. */
const struct dicom_entry *dicom_dictionary_find_keyword(const char *keyword, size_t len, uint32_t *tag_out);

/* What an element of Implicit VR has for a VR: the first alternative of its entry; (gggg,0000) UL; private creators LO; all else
 * UN, also delimiters. Never DICOM_VR_UNKNOWN. */
enum dicom_vr dicom_dictionary_vr(uint32_t tag);

/* The i-th of all entries, rising by tag; NULL past the end. */
const struct dicom_entry *dicom_dictionary_at(size_t i);

/* "0010,0010" or "(0010,0010)", hex digits of either case, nothing around them. False: anything else; *tag_out stays as it is. */
bool dicom_tag_parse(const char *text, size_t len, uint32_t *tag_out);

#endif
