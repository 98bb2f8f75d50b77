/*
 * Reads a data set as it comes, in pieces of any size: bytes in, events out, nothing gathered but a header's own 12 bytes. (PS3.5 7)
 *
 *   header   tag, VR and length of an element, item or delimiter; depth
 *   value    a piece of an element's value, as it comes; the last says so
 *   end      the end of a sequence or an item by its length, where no delimiter stands
 *
 * Every byte belongs to exactly one event, in order, so that what is not wanted can be passed on as it came. Tolerated, as real
 * files have them: elements out of order or twice, odd lengths, group lengths, unknown VRs, UN of undefined length (Implicit VR LE
 * inside, whatever is around it), encapsulated pixel data at any depth, defined and undefined lengths mixed. A child that reaches
 * past its parent is a fault.
 *
 * Values of sequences (SQ, UN of undefined length, and in Implicit VR what the dictionary calls SQ) are entered; a caller who does
 * not care skips by dicom_reader_skip. Pure: no allocation, no I/O.
 */
#ifndef HILUM_DICOM_READER_H
#define HILUM_DICOM_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/result.h"
#include "dicom/encoding.h"
#include "dicom/vr.h"

enum { DICOM_DEPTH_MAX = 64 }; /* nested sequences; no IOD has more than a dozen */

enum dicom_event_kind {
    DICOM_EVENT_NONE, /* nothing to report: more bytes are needed */
    DICOM_EVENT_ELEMENT, /* header of an element; its value pieces follow, or, where `enters` is set, items or fragments */
    DICOM_EVENT_ITEM, /* item header; of encapsulated pixel data (is_fragment) value pieces follow, else elements */
    DICOM_EVENT_VALUE, /* piece of the value of the last element or fragment; len may be 0 only where is_last */
    DICOM_EVENT_ITEM_END,     /* by delimiter (8 bytes) or by length (0 bytes) */
    DICOM_EVENT_SEQUENCE_END, /* likewise; also of encapsulated pixel data */
    DICOM_EVENT_FAULT         /* cannot be read on; `why`; stays so */
};

struct dicom_event {
    enum dicom_event_kind kind;
    uint64_t offset;  /* in the data set, of the first byte of this event */
    uint32_t tag;     /* ELEMENT, VALUE: the element's; FRAGMENTs: of the pixel data. FAULT: near this one */
    enum dicom_vr vr; /* as written; implicit: from the dictionary, where context decides the first choice */
    uint8_t vr_letters[2]; /* explicit: as written; else 0 */
    uint32_t length;       /* as written */
    bool enters;           /* ELEMENT: a sequence or encapsulated pixel data begins */
    bool is_fragment;      /* ITEM: of encapsulated pixel data */
    bool is_last;          /* VALUE: nothing of it follows */
    unsigned depth; /* 0: the data set's own elements; an item's elements: one more than its sequence */
    struct dicom_encoding encoding; /* of this element: inside UN of undefined length it is Implicit VR LE */
    const uint8_t *at;              /* VALUE: the piece, borrowed from the input */
    size_t len;
    const char *why; /* FAULT: fixed text */
};

struct dicom_reader {
    struct dicom_encoding encoding;
    uint64_t offset; /* bytes consumed so far */
    /* private from here on */
    uint8_t head[12];
    uint8_t head_len;
    bool is_in_value, is_skipping, has_failed;
    uint32_t tag;
    enum dicom_vr vr;
    uint64_t value_left;
    const char *why;
    unsigned depth; /* of stack */
    struct dicom_reader_level {
        uint32_t tag; /* sequence: its element's; item: DICOM_ITEM */
        uint64_t end; /* offset behind it; UINT64_MAX: by delimiter */
        bool is_item, is_encapsulated;
        struct dicom_encoding encoding; /* of what is inside */
    } stack[2 * DICOM_DEPTH_MAX];
};

void dicom_reader_init(struct dicom_reader *r, struct dicom_encoding encoding);

/*
 * Consumes a prefix and reports one event; call again with the rest. EVENT_NONE: all len bytes are consumed. After a fault nothing is
 * consumed. The pointer in a VALUE event borrows from `bytes`.
 */
size_t dicom_reader_next(struct dicom_reader *r, const uint8_t *bytes, size_t len,
                         struct dicom_event *event_out);

/* After ELEMENT or ITEM: the rest of it, whatever is inside, is reported as VALUE pieces of it, the last one with is_last. One of
 * undefined length is walked to its delimiter, which belongs to it. */
void dicom_reader_skip(struct dicom_reader *r);

/* How many of the coming bytes are certainly part of a value that is being read or skipped by its length: they need not be shown,
 * dicom_reader_pass takes them as read. 0 outside. */
uint64_t dicom_reader_value_left(const struct dicom_reader *r);
void dicom_reader_pass(struct dicom_reader *r, uint64_t n);

/* The data set is over. OK: between two elements of its own level. ERR_PROTO: in the middle; *why_out says of what (fixed text).
 * Open sequences and items of undefined length whose delimiters are missing at the very end are such a middle. */
MUST_USE enum result dicom_reader_end(const struct dicom_reader *r, const char **why_out);

#endif
