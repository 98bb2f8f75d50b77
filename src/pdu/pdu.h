/*
 * PDU types, limits and faults of the DICOM upper layer (PS3.8 9.3). All integers big-endian.
 *
 *   0  u8   type
 *   1  u8   reserved: sent 0, never tested
 *   2  u32  length of what follows
 */
#ifndef HILUM_PDU_PDU_H
#define HILUM_PDU_PDU_H

#include <stdint.h>

enum pdu_type {
    PDU_ASSOCIATE_RQ = 1,
    PDU_ASSOCIATE_AC = 2,
    PDU_ASSOCIATE_RJ = 3,
    PDU_P_DATA_TF = 4,
    PDU_RELEASE_RQ = 5,
    PDU_RELEASE_RP = 6,
    PDU_ABORT = 7,
};

enum {
    PDU_HEADER_BYTES = 6,
    PDU_PDV_HEADER_BYTES = 6,
    PDU_MAX_LENGTH_LEAST =
        PDU_PDV_HEADER_BYTES + 2, /* a peer that takes less takes no fragment, which are even (PS3.8 E.1) */
    PDU_CONTEXTS_MAX = 128,       /* odd ids 1..255 (PS3.8 9.3.2.2) */
    PDU_ASSOCIATE_MAX_BYTES = 1 << 20, /* ours: a longer A-ASSOCIATE body is a fault, and is never gathered */
};

/* Message control header of a PDV (PS3.8 E.2). */
enum { PDV_COMMAND = 1, PDV_LAST = 2 };

/* A-ABORT source and reason (PS3.8 9.3.8). */
enum pdu_abort_source { PDU_ABORT_USER = 0, PDU_ABORT_PROVIDER = 2 };
enum pdu_abort_reason {
    PDU_ABORT_UNSPECIFIED = 0,
    PDU_ABORT_UNRECOGNISED_PDU = 1,
    PDU_ABORT_UNEXPECTED_PDU = 2,
    PDU_ABORT_UNRECOGNISED_PARAMETER = 4,
    PDU_ABORT_UNEXPECTED_PARAMETER = 5,
    PDU_ABORT_INVALID_PARAMETER = 6,
};

/* A-ASSOCIATE-RJ (PS3.8 9.3.4). */
enum pdu_reject_result { PDU_REJECT_PERMANENT = 1, PDU_REJECT_TRANSIENT = 2 };
enum pdu_reject_source { PDU_REJECT_USER = 1, PDU_REJECT_ACSE = 2, PDU_REJECT_PRESENTATION = 3 };
enum pdu_reject_reason {
    PDU_REJECT_NO_REASON = 1,           /* sources user and ACSE */
    PDU_REJECT_APPLICATION_CONTEXT = 2, /* source user */
    PDU_REJECT_PROTOCOL_VERSION = 2,    /* source ACSE */
    PDU_REJECT_CALLING_AE = 3,          /* source user */
    PDU_REJECT_CALLED_AE = 7,           /* source user */
    PDU_REJECT_CONGESTION = 1,          /* source presentation */
    PDU_REJECT_LOCAL_LIMIT = 2,         /* source presentation */
};

struct pdu_reject {
    uint8_t result, source, reason;
};

/* What was wrong with a peer's bytes: the A-ABORT reason (source is the provider) and a fixed text for the log. */
struct pdu_fault {
    uint8_t reason;
    const char *text;
};

#endif
