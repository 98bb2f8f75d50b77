/*
 * Cuts a byte stream into PDUs and PDV fragments (PS3.8 9.3.1, 9.3.5). Pure: bytes in, one event a call.
 *
 * A-ASSOCIATE bodies and the short PDUs are gathered here, bounded by PDU_ASSOCIATE_MAX_BYTES. P-DATA payload is never
 * copied: each piece that is in the input is reported where it stands, so a PDV may come as any number of
 * PDU_EVENT_FRAGMENT events, over any number of inputs.
 */
#ifndef HILUM_PDU_READER_H
#define HILUM_PDU_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/octets.h"
#include "pdu/pdu.h"

enum pdu_event_kind {
    PDU_EVENT_NONE,   /* all input is consumed, nothing to report yet */
    PDU_EVENT_HEADER, /* the 6 bytes of a PDU of a known type have been read: `type`, `length` */
    PDU_EVENT_BODY,   /* a PDU other than P-DATA-TF is complete: `type`, `body` (valid until the next call) */
    PDU_EVENT_FRAGMENT, /* a piece of a PDV: context_id, control, piece, is_pdv_end */
    PDU_EVENT_DATA_END, /* a P-DATA-TF is complete */
    PDU_EVENT_FAULT,    /* the stream cannot be read on: `fault`. Every later call reports it again. */
};

struct pdu_event {
    enum pdu_event_kind kind;
    uint8_t type;    /* as on the wire; for a fault by type, the unknown type */
    uint32_t length; /* HEADER: the PDU length field */
    const uint8_t *body;
    size_t body_len;

    uint8_t context_id;
    uint8_t control;      /* PDV_COMMAND | PDV_LAST; other bits are masked off (PS3.8 E.2) */
    const uint8_t *piece; /* borrowed from the input; piece_len may be 0 for an empty PDV */
    size_t piece_len;
    uint32_t pdv_left; /* bytes of this PDV that follow the piece */
    bool is_pdv_end;   /* with PDV_LAST in control: the message part ends here */

    struct pdu_fault fault;
};

struct pdu_reader {
    enum {
        PDU_AT_HEADER,
        PDU_AT_BODY,
        PDU_AT_PDV_HEADER,
        PDU_AT_PDV,
        PDU_AT_DATA_END,
        PDU_AT_SKIP,
        PDU_AT_FAULT
    } at;
    uint8_t head[PDU_HEADER_BYTES];
    uint8_t head_len;
    uint8_t type;
    uint8_t context_id, control;
    uint32_t pdu_left;  /* of the PDU's length, not yet consumed */
    uint32_t pdv_size;  /* payload of the PDV whose header came last */
    uint32_t pdv_left;  /* of it, not yet consumed */
    struct octets body; /* secret: a request may hold a passcode */
    struct pdu_fault fault;
};

void pdu_reader_init(struct pdu_reader *r);
void pdu_reader_free(struct pdu_reader *r);

/* Consumes a prefix of bytes[0, len) and reports at most one event; returns the bytes consumed. Call again with the
 * rest until it reports PDU_EVENT_NONE, which it does only with everything consumed; with len 0 it may still report
 * an event that needs no more bytes (the end of a P-DATA-TF). */
size_t pdu_reader_next(struct pdu_reader *r, const uint8_t *bytes, size_t len, struct pdu_event *event_out);

/* How many bytes may come next without payload among them: what is missing of the headers of a P-DATA-TF and its first PDV, or
 * of a further PDV's. 0 in the middle of anything else. */
size_t pdu_reader_header_left(const struct pdu_reader *r);

/* In PDU_AT_PDV: the next n <= pdv_left bytes of payload go by elsewhere and are not reported; nor is the end of the PDV, if
 * they reach it. */
void pdu_reader_pass(struct pdu_reader *r, uint32_t n);

/* After PDU_EVENT_HEADER, or anywhere later in the same PDU: the rest of it is passed over without being gathered or
 * reported (states in which its content has no meaning, e.g. Sta13). Between PDUs and after a fault: nothing. */
void pdu_reader_skip(struct pdu_reader *r);

#endif
