/* What the parts of the tree over a data set share; nobody else includes it. data_set.h says what it is. */
#ifndef HILUM_DICOM_DATA_SET_INSIDE_H
#define HILUM_DICOM_DATA_SET_INSIDE_H

#include "dicom/data_set.h"

/*
 * A level. All its elements hang on one list, in file order, for ever: one that was removed is only marked, so that whoever stands on
 * it can go on, and is used again when its tag comes back. An item that changed has only parents that changed.
 */
struct dicom_data_set {
    struct dicom_document *document;
    struct dicom_element *sequence; /* NULL: the root */
    struct dicom_encoding encoding;
    uint8_t depth;
    bool is_undefined, is_parsed, is_changed, is_unsorted;
    bool is_made;                       /* an item that did not come */
    bool is_gone;                       /* an item that was removed */
    struct dicom_data_set *before_gone; /* the one before it then; NULL: it was the first */
    bool lacks_vr;                      /* new elements are written without VR */
    struct view raw;                    /* as it came: of an item with header and delimiter */
    struct view value;                  /* its elements, as they came */
    struct dicom_element *first;
    size_t count, total; /* without and with those that are removed */
    /* All elements by tag, made when it is first of use; NULL where they are few. */
    struct dicom_element **index;
    size_t index_room;
    size_t new_len; /* of its elements, as they will be written */
};

/* The items of a sequence, once somebody has asked for them. */
struct dicom_items {
    struct dicom_data_set **at;
    size_t count, room;
};

/* Notes what is wrong and returns r. */
enum result dicom_fault(struct dicom_document *d, enum result r, const char *why, uint32_t tag);

/* Cuts a level into its elements. ds has its value, or, if undefined, at least that; *stop_out is behind its last byte. */
enum result dicom_parse_level(struct dicom_data_set *ds, const uint8_t **stop_out);
/* Finds the items of a sequence of defined length. */
enum result dicom_parse_items(struct dicom_element *e);
/* Puts an item before the i-th. False without memory. */
bool dicom_items_insert(struct dicom_document *d, struct dicom_items *items, size_t i,
                        struct dicom_data_set *item);
/* A level inside e, all else zero. NULL without memory. */
struct dicom_data_set *dicom_item_new(struct dicom_element *e);

/* Elements whose tags are from lo to hi; equal ones in file order. Nothing may be inserted while it is in use. */
struct dicom_range {
    struct dicom_data_set *ds;
    uint32_t lo, hi;
    bool is_indexed;
    size_t i;
    struct dicom_element *next;
};
struct dicom_range dicom_range_of(struct dicom_data_set *ds, uint32_t lo, uint32_t hi);
struct dicom_element *dicom_range_next(struct dicom_range *range, bool with_removed);

/* Whether a length would be read as letters where an explicit data set has an element without VR. */
bool dicom_length_is_letters(size_t len);

/* Hangs a new element behind the one of the next lower tag. */
void dicom_level_insert(struct dicom_data_set *ds, struct dicom_element *e);

#endif
