/* File meta information of Part 10 files (PS3.10 7.1): 128 bytes preamble, "DICM", group 0002 in Explicit VR LE. */
#ifndef HILUM_DICOM_PART10_H
#define HILUM_DICOM_PART10_H

#include "base/bytes.h"
#include "base/octets.h"
#include "base/result.h"

struct part10_meta {
    struct view sop_class;       /* (0002,0002) */
    struct view sop_instance;    /* (0002,0003) */
    struct view transfer_syntax; /* (0002,0010) */
    struct view source_title;    /* (0002,0016); empty: absent */
    struct view sending_title;   /* (0002,0017); likewise */
    struct view receiving_title; /* (0002,0018); likewise */
    size_t data_set_offset;      /* reading only: where the data set starts in the file */
};

/* Ours: a group 0002 that reaches further is a fault, so that a lying length cannot make a reader collect a whole file. */
enum { PART10_META_MAX_BYTES = 1 << 20 };

/* Appends preamble, "DICM" and the whole group, with version, our implementation UID and version name. UIDs and titles
 * may carry padding; it is replaced by the right one. */
void part10_write(const struct part10_meta *meta, struct octets *out);

/*
 * Reads the meta information from the front of a file. Views point into `bytes`, trimmed of padding.
 *
 *   0    128 bytes preamble, not looked at
 *   128  "DICM"
 *   132  group 0002, Explicit VR LE; elements that plainly have no VR are read as Implicit VR LE (broken writers)
 *
 * OK         filled. A missing group length and a group length that lies are tolerated: the group ends where the tags
 *            leave 0002.
 * NEED_MORE  the group does not end within len bytes (a file without any data set stays there); nothing is kept, call
 *            again with the same bytes and more
 * ERR_PROTO  no "DICM" at 128, no Transfer Syntax UID, malformed, or longer than PART10_META_MAX_BYTES; *why_out is a
 *            fixed text
 */
MUST_USE enum result part10_read(const uint8_t *bytes, size_t len, struct part10_meta *out,
                                 const char **why_out);

#endif
