/*
 * `trace = true`: what a morph did, written into the data set (PS3.3 C.12.1.1.9, C.12.1.1.5).
 *
 *   Original Attributes Sequence     a further item: when, by whom, why (COERCE), and the values before of what changed or went
 *   Contributing Equipment Sequence  a further item: this gateway, purpose (109103, DCM, "Modifying Equipment")
 *   Instance Coercion DateTime
 *
 * Values before are those of the data set's own level; of a sequence in which something changed, the whole sequence; of private elements
 * with their creators. What no data set may have, and sequences that cannot be cut into items, are left out.
 *
 * They are as identifying as they were. So a data set that leaves with PatientIdentityRemoved YES, whoever said so, gets nothing but an
 * item of Contributing Equipment Sequence, without name and time. Its purpose is (109104, DCM, "De-identifying Equipment"), unless
 * PatientIdentityRemoved was YES before.
 */
#ifndef HILUM_RELAY_TRACE_H
#define HILUM_RELAY_TRACE_H

#include "base/result.h"
#include "dicom/encoding.h"
#include "relay/gathered.h"

struct trace {
    struct view before; /* the header as it came */
    struct dicom_encoding encoding;
    uint32_t behind;           /* as of dicom_document_parse */
    size_t memory_max;         /* of each tree */
    const char *system;        /* our AE title */
    struct gathered *gathered; /* for room */
    struct pool *pool;
    char now[27]; /* a DT */
};

/* The present time as a DT in UTC, with its offset. */
void trace_now(char now[27]);

/* *header is the header after the morph; another one with the trace takes its place, if there is anything to tell. On failure it stays as it was;
 * *why_out is fixed text. */
MUST_USE enum result trace_write(const struct trace *t, struct gathered_piece *header, const char **why_out);

#endif
