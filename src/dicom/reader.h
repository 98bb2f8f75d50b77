/*
 * Reads a data set as it comes, in pieces of any size: bytes in, events out, nothing gathered but a header's own 12 bytes. (PS3.5 7)
 *
 *   header   tag, VR and length of an element, item or delimiter; depth
 *   value    a piece of an element's value, as it comes; the last says so
 *   end      the end of a sequence or an item by its length, where no delimiter stands
 *
 * Every byte up to a fault belongs to exactly one event, in order, so that what is not wanted can be passed on as it came: those of
 * an event go from its offset to the reader's offset after the call. The events are the same however the input is cut, but for
 * the pieces of a value. Tolerated, as real files have them: elements out of order or twice, odd lengths, group lengths, unknown
 * VRs, UN of undefined length (Implicit VR LE inside, whatever is around it), encapsulated pixel data at any depth, defined and
 * undefined lengths mixed, a length in a delimiter, elements without a VR in Explicit VR LE. A child that reaches past its parent
 * is a fault, and so is an item or a delimiter where none can stand.
 *
 * Values of sequences (SQ, UN of undefined length, and in Implicit VR what the dictionary calls SQ or what has an undefined length
 * and is not OB, OW or the like) are entered; a caller who does not care skips by dicom_reader_skip. Other VRs of undefined length
 * are encapsulated fragments if they hold bytes, else faults. Pure: no allocation, no I/O.
 *
 * The VR of Explicit VR when it is none (reader.c says where this comes from):
 *
 *   two capitals    DICOM_VR_UNKNOWN with a 32-bit length: a VR of an edition to come (7.1.2)
 *   "??", "  "      DICOM_VR_UNKNOWN with a 16-bit length, as their writers mean it; two NULs and a length likewise
 *   other bytes     no VR at all: the header is one of Implicit VR (little endian only; in big endian as above)
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
    /* Header of an element; its value pieces follow, or, where `enters` is set, items or fragments. */
    DICOM_EVENT_ELEMENT,
    /* Item header; of encapsulated pixel data (is_fragment) value pieces follow, else elements. */
    DICOM_EVENT_ITEM,
    /* Piece of the value of the last element or fragment; len may be 0 only where is_last. The last one ends the element or the
     * fragment; there is one even of an empty value. */
    DICOM_EVENT_VALUE,
    DICOM_EVENT_ITEM_END,     /* by delimiter (8 bytes) or by length (0 bytes) */
    DICOM_EVENT_SEQUENCE_END, /* likewise; also of encapsulated pixel data */
    DICOM_EVENT_FAULT         /* cannot be read on; `why`; stays so, but for dicom_reader_recover */
};

struct dicom_event {
    enum dicom_event_kind kind;
    uint64_t
        offset; /* in the data set, of the first byte of this event. FAULT: of the header that is wrong */
    /* ELEMENT, VALUE: the element's; items and ends: their sequence's. FAULT: near this one. */
    uint32_t tag;
    /* As written; implicit: from the dictionary, where context decides the first choice, and SQ where only the undefined length tells.
     * Items and ends: their sequence's. */
    enum dicom_vr vr;
    uint8_t vr_letters[2]; /* ELEMENT: explicit: as written; else 0 */
    uint8_t header_len;    /* ELEMENT, ITEM: 8 or 12; ends: 8 by delimiter, 0 by length */
    uint32_t length;       /* ELEMENT, ITEM and their VALUEs: as written */
    bool enters;           /* ELEMENT: a sequence or encapsulated pixel data begins */
    bool is_fragment;      /* ITEM, VALUE: of encapsulated pixel data */
    bool is_last;          /* VALUE: nothing of it follows */
    /* 0: the data set's own elements; an item's elements: one more than its sequence. Items and ends: their sequence's. */
    unsigned depth;
    /* Of this element: inside UN of undefined length it is Implicit VR LE. Items and ends: their own. */
    struct dicom_encoding encoding;
    const uint8_t *at; /* VALUE: the piece, borrowed from the input */
    size_t len;
    const char *why; /* FAULT: fixed text */
};

struct dicom_reader {
    struct dicom_encoding encoding;
    uint64_t offset; /* bytes consumed so far */
    /* private from here on */
    uint8_t head[12]; /* of a header that is not whole yet */
    uint8_t head_len;
    bool is_in_value, is_skipping, may_skip;
    struct dicom_reader_subject {
        uint32_t tag, length;
        enum dicom_vr vr;
        unsigned depth;
        struct dicom_encoding encoding;
        bool is_fragment;
    } now, skipped;      /* whose value is read; what is walked over */
    uint64_t value_left; /* of `now`; in a walk of what stands inside `skipped` */
    unsigned skip_floor; /* a walk is over when so many levels are left */
    const char *why;     /* of the fault; NULL: none */
    uint64_t fault_offset;
    uint32_t fault_tag;
    unsigned levels; /* of stack; [0] is the data set, then sequences and items in turn */
    struct dicom_reader_level {
        uint64_t end;   /* offset behind it; UINT64_MAX: by delimiter */
        uint64_t limit; /* what no child may reach past: its own end or that of what it stands in */
        uint32_t tag;   /* its sequence's */
        enum dicom_vr vr;
        bool is_item, is_encapsulated;
        bool is_asked_for;              /* entered by dicom_reader_enter */
        struct dicom_encoding encoding; /* of what is inside */
    } stack[1 + 2 * DICOM_DEPTH_MAX];
};

void dicom_reader_init(struct dicom_reader *r, struct dicom_encoding encoding);

/*
 * Consumes a prefix and reports one event; call again with the rest until EVENT_NONE, even if the rest is empty: ends by length and
 * last pieces need no bytes. EVENT_NONE: all len bytes are consumed. After a fault nothing is consumed. The pointer in a VALUE event
 * borrows from `bytes`.
 */
size_t dicom_reader_next(struct dicom_reader *r, const uint8_t *bytes, size_t len,
                         struct dicom_event *event_out);

/* Right after ELEMENT or ITEM: the rest of it, whatever is inside, is reported as VALUE pieces of it, the last one with is_last; no end
 * follows that. One of undefined length is walked to its delimiter, which belongs to it. Of what has no inside it changes nothing. */
void dicom_reader_skip(struct dicom_reader *r);

/* Right after ELEMENT of UN of defined length, in Explicit VR, whose value is known to be a sequence: it is entered, as one of undefined
 * length is: items and an end follow, in Implicit VR Little Endian (PS3.5 6.2.2). What is no sequence inside is a fault then. It may still be skipped. */
void dicom_reader_enter(struct dicom_reader *r);

/* Right after FAULT: goes on behind it, if it is inside of what was entered by dicom_reader_enter. The rest of the innermost sequence or item
 * in there that has a length comes as VALUE pieces, then the ends of all that is open in it; the header at fault, as far as it
 * was read, belongs to no event. What has a length and is skipped has no faults, so what is behind it is found alike. False: there is no such
 * length, and the fault stays. */
bool dicom_reader_recover(struct dicom_reader *r);

/* How many of the coming bytes are certainly part of a value that is being read or skipped by its length: they need not be shown,
 * dicom_reader_pass takes them as read. 0 outside. The last VALUE is reported even when all was passed. */
uint64_t dicom_reader_value_left(const struct dicom_reader *r);
void dicom_reader_pass(struct dicom_reader *r, uint64_t n);

/* The element that is being read or skipped, or was last. 0: none has come. */
uint32_t dicom_reader_tag(const struct dicom_reader *r);

/* The data set is over. OK: between two elements of its own level. ERR_PROTO: in the middle; *why_out says of what (fixed text).
 * Open sequences and items of undefined length whose delimiters are missing at the very end are such a middle. */
MUST_USE enum result dicom_reader_end(const struct dicom_reader *r, const char **why_out);

#endif
