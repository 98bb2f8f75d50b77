#include "pdu/reader.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "pdu/item.h"

/* The fixed length of every short PDU (PS3.8 9.3.4, 9.3.6 to 9.3.8). */
enum { SHORT_PDU_BYTES = 4 };

/* Bytes still unread in this call. */
struct input {
    const uint8_t *at;
    size_t len;
};

/* Takes at most `most` bytes off the front; returns how many. An empty input may stand at NULL. */
static size_t advance(struct input *in, size_t most)
{
    size_t n = in->len < most ? in->len : most;
    if (n)
        in->at += n;
    in->len -= n;
    return n;
}

void pdu_reader_init(struct pdu_reader *r)
{
    memset(r, 0, sizeof *r);
    r->body.is_secret = true;
}

void pdu_reader_free(struct pdu_reader *r)
{
    octets_free(&r->body);
    pdu_reader_init(r);
}

static void report_fault(struct pdu_reader *r, struct pdu_event *event)
{
    event->kind = PDU_EVENT_FAULT;
    event->type = r->type;
    event->fault = r->fault;
}

static void fault(struct pdu_reader *r, struct pdu_event *event, uint8_t reason, const char *text)
{
    r->at = PDU_AT_FAULT;
    r->fault = (struct pdu_fault){reason, text};
    octets_free(&r->body);
    report_fault(r, event);
}

/* What is wrong with a header, before a byte of the PDU's body has come; reason 0 and no text if nothing is. */
static struct pdu_fault check_header(uint8_t type, uint32_t length)
{
    const uint8_t bad_value = PDU_ABORT_INVALID_PARAMETER;
    switch (type) {
    case PDU_ASSOCIATE_RQ:
    case PDU_ASSOCIATE_AC:
        if (length < ASSOCIATE_FIXED_BYTES)
            return (struct pdu_fault){bad_value, "A-ASSOCIATE shorter than its fixed fields"};
        if (length > PDU_ASSOCIATE_MAX_BYTES)
            return (struct pdu_fault){bad_value, "A-ASSOCIATE longer than is ever gathered"};
        break;
    case PDU_P_DATA_TF:
        /* No upper bound: a PDU longer than we announced does no harm, as its payload streams through and is never
         * held here. Strictly it is the peer's mistake, but one that costs nothing to let pass. */
        if (length < PDU_PDV_HEADER_BYTES)
            return (struct pdu_fault){bad_value, "P-DATA-TF too short for a PDV"};
        break;
    case PDU_ASSOCIATE_RJ:
    case PDU_RELEASE_RQ:
    case PDU_RELEASE_RP:
    case PDU_ABORT:
        if (length != SHORT_PDU_BYTES)
            return (struct pdu_fault){bad_value, "short PDU whose length is not 4"};
        break;
    default:
        return (struct pdu_fault){PDU_ABORT_UNRECOGNISED_PDU, "unrecognised PDU type"};
    }
    return (struct pdu_fault){0, NULL};
}

/* Gathers the 6 bytes of a PDU or PDV header. True once they are here. */
static bool gather_head(struct pdu_reader *r, struct input *in)
{
    const uint8_t *from = in->at;
    size_t n = advance(in, PDU_HEADER_BYTES - r->head_len);
    if (n)
        memcpy(r->head + r->head_len, from, n);
    r->head_len = (uint8_t)(r->head_len + n);
    if (r->head_len < PDU_HEADER_BYTES)
        return false;
    r->head_len = 0;
    return true;
}

static void read_header(struct pdu_reader *r, struct input *in, struct pdu_event *event)
{
    octets_free(&r->body); /* the last body's time is over; a connection at rest holds none */
    if (!gather_head(r, in))
        return;
    r->type = r->head[0];
    r->pdu_left = get_be32(r->head + 2);
    struct pdu_fault wrong = check_header(r->type, r->pdu_left);
    if (wrong.text) {
        fault(r, event, wrong.reason, wrong.text);
        return;
    }
    event->kind = PDU_EVENT_HEADER;
    event->type = r->type;
    event->length = r->pdu_left;
    r->at = r->type == PDU_P_DATA_TF ? PDU_AT_PDV_HEADER : PDU_AT_BODY;
}

/* Memory grows with what has come, never with what was announced. */
static void read_body(struct pdu_reader *r, struct input *in, struct pdu_event *event)
{
    const uint8_t *from = in->at;
    size_t n = advance(in, r->pdu_left);
    octets_append(&r->body, from, n);
    r->pdu_left -= (uint32_t)n;
    if (r->body.failed) {
        fault(r, event, PDU_ABORT_UNSPECIFIED, "no memory to gather a PDU");
        return;
    }
    if (r->pdu_left)
        return;
    r->at = PDU_AT_HEADER;
    event->kind = PDU_EVENT_BODY;
    event->type = r->type;
    event->body = r->body.data;
    event->body_len = r->body.len;
}

static void count_payload(struct pdu_reader *r, uint32_t n)
{
    r->pdu_left -= n;
    r->pdv_left -= n;
    if (r->pdv_left == 0)
        r->at = r->pdu_left ? PDU_AT_PDV_HEADER : PDU_AT_DATA_END;
}

static void report_piece(struct pdu_reader *r, struct input *in, struct pdu_event *event)
{
    event->kind = PDU_EVENT_FRAGMENT;
    event->type = r->type;
    event->context_id = r->context_id;
    event->control = r->control;
    event->piece = in->at;
    event->piece_len = advance(in, r->pdv_left);
    count_payload(r, (uint32_t)event->piece_len);
    event->pdv_left = r->pdv_left;
    event->is_pdv_end = r->pdv_left == 0;
}

/*
 * The header of a PDV (PS3.8 9.3.5.1).
 *
 *   0  u32  item length   bytes that follow, so at least 2
 *   4  u8   context id    odd
 *   5  u8   control       bit 0 command, bit 1 last fragment (PS3.8 E.2)
 *
 * A PDV without a fragment must not be sent, but is (PS3.8 E.1 note): it is reported at once, as an empty piece.
 */
static void read_pdv_header(struct pdu_reader *r, struct input *in, struct pdu_event *event)
{
    if (r->head_len + r->pdu_left < PDU_PDV_HEADER_BYTES) {
        fault(r, event, PDU_ABORT_INVALID_PARAMETER, "P-DATA-TF ends inside a PDV header");
        return;
    }
    size_t before = in->len;
    bool is_whole = gather_head(r, in);
    r->pdu_left -= (uint32_t)(before - in->len);
    if (!is_whole)
        return;
    uint32_t item_length = get_be32(r->head);
    r->context_id = r->head[4];
    r->control = r->head[5] & (PDV_COMMAND | PDV_LAST);
    if (item_length < 2) {
        fault(r, event, PDU_ABORT_INVALID_PARAMETER, "PDV length below 2");
    } else if (item_length - 2 > r->pdu_left) {
        fault(r, event, PDU_ABORT_INVALID_PARAMETER, "PDV reaches past the end of its PDU");
    } else if (r->context_id % 2 == 0) {
        fault(r, event, PDU_ABORT_INVALID_PARAMETER, "PDV with an even presentation context id");
    } else {
        r->pdv_size = r->pdv_left = item_length - 2;
        r->at = PDU_AT_PDV;
        if (r->pdv_left == 0)
            report_piece(r, in, event);
    }
}

static void skip_bytes(struct pdu_reader *r, struct input *in)
{
    r->pdu_left -= (uint32_t)advance(in, r->pdu_left);
    if (r->pdu_left == 0)
        r->at = PDU_AT_HEADER;
}

static void step(struct pdu_reader *r, struct input *in, struct pdu_event *event)
{
    switch (r->at) {
    case PDU_AT_HEADER:
        read_header(r, in, event);
        break;
    case PDU_AT_BODY:
        read_body(r, in, event);
        break;
    case PDU_AT_PDV_HEADER:
        read_pdv_header(r, in, event);
        break;
    case PDU_AT_PDV:
        if (in->len)
            report_piece(r, in, event);
        break;
    case PDU_AT_DATA_END:
        r->at = PDU_AT_HEADER;
        event->kind = PDU_EVENT_DATA_END;
        event->type = r->type;
        break;
    case PDU_AT_SKIP:
        skip_bytes(r, in);
        break;
    case PDU_AT_FAULT:
        in->len = 0;
        report_fault(r, event);
        break;
    }
}

size_t pdu_reader_next(struct pdu_reader *r, const uint8_t *bytes, size_t len, struct pdu_event *event_out)
{
    struct input in = {bytes, len};
    memset(event_out, 0, sizeof *event_out);
    do {
        step(r, &in, event_out);
    } while (event_out->kind == PDU_EVENT_NONE && in.len);
    return len - in.len;
}

size_t pdu_reader_header_left(const struct pdu_reader *r)
{
    switch (r->at) {
    case PDU_AT_HEADER:
    case PDU_AT_DATA_END:
        return PDU_HEADER_BYTES + PDU_PDV_HEADER_BYTES - r->head_len;
    case PDU_AT_PDV_HEADER:
        return PDU_PDV_HEADER_BYTES - r->head_len;
    default:
        return 0;
    }
}

void pdu_reader_pass(struct pdu_reader *r, uint32_t n)
{
    hilum_assert(r->at == PDU_AT_PDV && n <= r->pdv_left);
    count_payload(r, n);
}

void pdu_reader_skip(struct pdu_reader *r)
{
    if (r->at == PDU_AT_HEADER || r->at == PDU_AT_FAULT)
        return;
    octets_free(&r->body);
    r->head_len = 0;
    r->at = r->pdu_left ? PDU_AT_SKIP : PDU_AT_HEADER;
}
