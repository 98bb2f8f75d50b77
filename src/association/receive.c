/* Messages in: PDV fragments become command sets and data set slices. */
#include <string.h>

#include "association/inside.h"

enum { GATHERED_FREE_BYTES = 16 << 10 }; /* longer than requests and command sets mostly are */

static void fault(struct association *a, uint8_t reason, const char *text)
{
    association_fault(a, (struct pdu_fault){reason, text});
}

/* The next begins with nothing. */
static void message_over(struct association *a)
{
    a->message_context = 0;
    a->messages_in++;
}

static void on_whole_command(struct association *a, const uint8_t *bytes, size_t len)
{
    struct dimse_command c;
    const char *why;
    if (dimse_parse(bytes, len, &c, &why) != OK) {
        fault(a, PDU_ABORT_INVALID_PARAMETER, why);
        return;
    }
    uint8_t context_id = a->message_context;
    a->is_in_data = dimse_has_data_set(&c);
    if (!a->is_in_data)
        message_over(a);
    a->user->on_command(a, context_id, &c);
}

static void take_command(struct association *a, const struct pdu_event *piece)
{
    bool is_end = piece->is_pdv_end && (piece->control & PDV_LAST);
    if (is_end && a->command.len == 0) { /* mostly: it has come in one piece, and is read where it is */
        on_whole_command(a, piece->piece, piece->piece_len);
        return;
    }
    octets_append(&a->command, piece->piece, piece->piece_len);
    if (a->command.failed) {
        fault(a, PDU_ABORT_UNSPECIFIED, "out of memory");
        return;
    }
    if (a->command.len > DIMSE_COMMAND_MAX_BYTES) {
        fault(a, PDU_ABORT_INVALID_PARAMETER, "command set too long");
        return;
    }
    if (!is_end)
        return;
    on_whole_command(a, a->command.data, a->command.len);
    octets_free(&a->command); /* an association at rest is small */
}

void association_take_piece(struct association *a, const struct pdu_event *piece, struct buf *b)
{
    a->payload_in += piece->piece_len;
    if (a->message_context == 0) {
        if (!association_context(a, piece->context_id)) {
            fault(a, PDU_ABORT_INVALID_PARAMETER, "data on a presentation context that was not accepted");
            return;
        }
        a->message_context = piece->context_id;
    } else if (a->message_context != piece->context_id) { /* one message, one context (PS3.8 E.1) */
        fault(a, PDU_ABORT_UNEXPECTED_PARAMETER, "presentation context changed inside a message");
        return;
    }
    if (piece->control & PDV_COMMAND) {
        if (a->is_in_data)
            fault(a, PDU_ABORT_UNEXPECTED_PARAMETER, "command fragment where a data set was to go on");
        else
            take_command(a, piece);
        return;
    }
    if (!a->is_in_data) {
        fault(a, PDU_ABORT_UNEXPECTED_PARAMETER, "data set fragment without a command that announces it");
        return;
    }
    if (piece->piece_len > 0)
        a->user->on_data(a, b, (uint8_t *)(uintptr_t)piece->piece, (uint32_t)piece->piece_len);
    if (piece->is_pdv_end && (piece->control & PDV_LAST) && !a->has_ended) {
        a->is_in_data = false;
        message_over(a);
        a->user->on_data_end(a);
    }
}

void association_let_go_gathered(struct association *a)
{
    pool_give_back(a->pool, a->gathered);
    a->gathered = 0;
}

/* What a peer makes us gather counts like payload, but for what everybody sends: a thousand connections in the middle of the longest requests would
 * hold a gigabyte. A request counts until it is answered. False: there is no room. */
static bool count_gathered(struct association *a)
{
    size_t held = a->ul.reader.body.len + a->command.len;
    size_t counts = held > GATHERED_FREE_BYTES ? held : 0;
    if (counts < a->gathered && a->is_established) {
        pool_give_back(a->pool, a->gathered - counts);
        a->gathered = counts;
    }
    if (counts > a->gathered) {
        if (!pool_take(a->pool, counts - a->gathered))
            return false;
        a->gathered = counts;
    }
    return true;
}

void association_process(struct association *a)
{
    if (a->is_processing)
        return;
    a->is_processing = true;
    while (a->unread.count > 0 && !a->is_held && !a->is_slowed && !a->stream_closed) {
        struct slice first = *slices_at(&a->unread, 0);
        struct buf *b = buf_ref(first.buf);
        size_t consumed = 0;
        bool is_request = a->ul.state == UL_STA2;
        struct ul_outcome o = ul_receive(&a->ul, first.at, first.len, &consumed, &a->control);
        if (is_request)
            explicit_bzero(first.at, consumed); /* of a request: it may hold a passcode */
        slices_consume(&a->unread, consumed);
        association_apply(a, &o, b);
        buf_unref(&b);
        if (!a->has_ended && !count_gathered(a))
            fault(a, PDU_ABORT_UNSPECIFIED, "no memory to gather what it sends");
        if (a->ul.state == UL_STA3) /* nothing more is looked at before the request is answered */
            break;
    }
    a->is_processing = false;
}

void association_hold(struct association *a)
{
    a->is_held = !a->has_ended; /* after the end, bytes only have to go */
}

void association_resume(struct association *a)
{
    if (!a->is_held)
        return;
    a->is_held = false;
    association_process(a);
}

void association_slow(struct association *a)
{
    a->is_slowed = !a->has_ended;
    if (a->is_slowed)
        stream_watch(&a->stream);
}

/* It keeps no place, and nothing of the pool, until its bytes are paid for: nobody waits for what becomes of them. */
void association_hung_up(struct association *a)
{
    if (!a->is_slowed)
        return;
    if (a->has_hung_up || association_is_amid(a)) {
        stream_break(&a->stream, IO_NONE);
    } else {
        a->has_hung_up = true;
        association_hurry(a);
    }
}

void association_hurry(struct association *a)
{
    if (!a->is_slowed)
        return;
    a->is_slowed = false;
    association_process(a);
    stream_look_again(&a->stream);
    association_bypass_go_on(a);
}

/* In the middle of a PDU or a message, as far as the peer is concerned. */
bool association_is_amid(const struct association *a)
{
    const struct pdu_reader *r = &a->ul.reader;
    bool amid_pdu = (r->at == PDU_AT_HEADER && r->head_len > 0) || r->at == PDU_AT_BODY ||
                    r->at == PDU_AT_PDV_HEADER || r->at == PDU_AT_PDV;
    return amid_pdu || a->message_context != 0;
}
