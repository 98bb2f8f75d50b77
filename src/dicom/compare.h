/*
 * What is different between two data sets of one encoding, tag by tag, at every depth.
 *
 * Elements are paired by tag, duplicates in file order. Equal bytes are the same; of sequences what counts is what they hold, not how
 * their lengths are written. Items are paired by place, once those that are the same at the front and at the end are
 * set aside, so that one that was put in or taken out between others is told as that. Group lengths are passed over: they follow
 * from the rest.
 */
#ifndef HILUM_DICOM_COMPARE_H
#define HILUM_DICOM_COMPARE_H

#include <stddef.h>
#include <stdint.h>

#include "base/result.h"
#include "dicom/data_set.h"
#include "dicom/reader.h" /* DICOM_DEPTH_MAX */

enum dicom_change_kind {
    DICOM_ELEMENT_CHANGED, /* value or VR; between a sequence and something else, too */
    DICOM_ELEMENT_ADDED,   /* of a sequence, its items and their elements follow, each as added */
    DICOM_ELEMENT_REMOVED, /* likewise */
    DICOM_ITEM_ADDED,      /* its elements follow, each as added */
    DICOM_ITEM_REMOVED,    /* likewise */
};

struct dicom_change_step {
    uint32_t tag;  /* of a sequence */
    uint32_t item; /* from 1: its place afterwards; of what was removed, its place before */
};

struct dicom_change {
    enum dicom_change_kind kind;
    const struct dicom_change_step
        *steps;     /* the items around it, the outermost first; of an item its own last */
    unsigned depth; /* of steps */
    uint32_t tag;   /* of an item: its sequence's */
    struct dicom_element *before,
        *after; /* NULL: it was not there, is not there any more; both NULL of an item */
};

struct dicom_comparison {
    void (*on_change)(void *owner, const struct dicom_change *change); /* by rising tag within a level */
    void *owner;
    /* private from here on */
    struct dicom_change_step steps[DICOM_DEPTH_MAX];
};

/* OK; ERR_MEMORY; ERR_PROTO, ERR_LIMIT: a sequence cannot be cut into items, as its document says. What was found before has been told. */
MUST_USE enum result dicom_compare(struct dicom_comparison *c, struct dicom_data_set *before,
                                   struct dicom_data_set *after);

#endif
