/*
 * What follows the header of an instance, pixel data and a few elements, as it passes: some of its elements are dropped, all else leaves
 * byte for byte as it came. Elements of the data set's own level only; what is inside of them is neither looked at nor gathered.
 *
 * A tail that cannot be read any more passes on as it is from there (`why` says so): pixel data must not be lost over a bad padding.
 * Pure; nothing is allocated.
 */
#ifndef HILUM_DICOM_TAIL_H
#define HILUM_DICOM_TAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dicom/reader.h"

struct dicom_tail_rules {
    const uint32_t *drop; /* tags, borrowed */
    size_t drop_count;
    bool drops_private; /* every odd group */
    uint32_t below;     /* tags below this one stand there out of order and are dropped; 0: they are kept */
    /* Tags that stand there, if at all, as copies of what was changed before: dropped like those above. Signatures behind such a one are no
     * longer true and go with it; those above are the caller's to name. Borrowed. */
    const uint32_t *copies;
    size_t copy_count;
};

struct dicom_tail {
    struct dicom_reader reader;
    struct dicom_tail_rules rules;
    uint8_t head[12]; /* of an element that is not known whole yet */
    uint8_t head_len;
    bool keeps;
    bool has_dropped_copy;
    const char *why; /* fixed text; NULL: all is well */
};

/* Bytes that leave. is_borrowed: they are of the piece that was fed; else of `t`, to be copied at once. */
typedef void dicom_tail_emit(void *owner, const uint8_t *at, size_t len, bool is_borrowed);

void dicom_tail_init(struct dicom_tail *t, struct dicom_encoding encoding, struct dicom_tail_rules rules);
/* The next bytes behind the header. */
void dicom_tail_feed(struct dicom_tail *t, const uint8_t *bytes, size_t len, dicom_tail_emit *emit,
                     void *owner);
/* No more come: what was held of an element that never became whole leaves as well. */
void dicom_tail_finish(struct dicom_tail *t, dicom_tail_emit *emit, void *owner);

#endif
