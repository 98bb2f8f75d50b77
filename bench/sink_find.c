/*
 * Queries: as many answers as were asked for by --answers, each by a send of its own, as archives have them one after another. What the
 * connection does not take waits, and no further answer is made meanwhile.
 */
#include <string.h>

#include "base/assert.h"
#include "dimse/status.h"
#include "net.h"
#include "pdu/write.h"
#include "sink.h"

enum {
    ANSWERS_AT_ONCE = 64, /* then what comes is read: a C-CANCEL, and others have their turn */
    FRAGMENT_MAX = 16 << 10,
};

static void append_part(struct octets *o, const struct octets *part, uint8_t context_id, uint8_t control)
{
    uint8_t header[PDU_DATA_HEADER_BYTES];
    pdu_write_data_header(header, (uint32_t)part->len, context_id, control | PDV_LAST);
    octets_append(o, header, sizeof header);
    octets_append(o, part->data, part->len);
}

/* One pending response, of which only the number changes from answer to answer. */
static void write_pending(struct connection *c)
{
    struct query *q = &c->query;
    struct dimse_command response;
    struct octets command = {0};
    dimse_response_to(&c->in.command, DIMSE_STATUS_PENDING, NULL, &response);
    response.has |= DIMSE_HAS_DATA_SET_TYPE;
    response.data_set_type = DIMSE_DATA_SET;
    dimse_write(&response, &command);
    octets_clear(&q->pending);
    append_part(&q->pending, &command, q->context_id, PDV_COMMAND);
    q->data_at = q->pending.len + PDU_DATA_HEADER_BYTES;
    append_part(&q->pending, &c->sink->finding.data, q->context_id, 0);
    hilum_assert(!command.failed && !q->pending.failed);
    octets_free(&command);
}

static void write_final(struct connection *c, uint16_t status)
{
    struct dimse_command response;
    dimse_response_to(&c->in.command, status, NULL, &response);
    octets_clear(&c->query.final);
    dimse_write(&response, &c->query.final);
    hilum_assert(!c->query.final.failed);
}

void query_begin(struct connection *c)
{
    struct query *q = &c->query;
    if (q->is_active) {
        connection_fault(c, "a query while another one is being answered");
        return;
    }
    if (pdu_fragment_max(c->peer_max, FRAGMENT_MAX) < c->sink->finding.data.len) {
        connection_fault(c, "the peer takes no PDU as long as an answer");
        return;
    }
    if (!(c->implicit_contexts[c->in.context_id / 64] >> c->in.context_id % 64 & 1)) {
        connection_fault(c, "a query that is not in Implicit VR, as the answers are");
        return;
    }
    q->is_active = true;
    q->sent = 0;
    q->context_id = c->in.context_id;
    q->message_id = c->in.command.message_id;
    write_pending(c);
    write_final(c, DIMSE_STATUS_SUCCESS);
    c->sink->tally.queries++;
    if (++c->outstanding > c->window)
        connection_complain(c, "more requests at once than the window that was granted");
}

void query_cancel(struct connection *c, uint8_t context_id, const struct dimse_command *cancel)
{
    struct query *q = &c->query;
    if (!q->is_active || q->message_id != cancel->responded_id || q->context_id != context_id)
        return; /* too late: no fault (PS3.7 9.3.2.3) */
    c->sink->tally.cancels++;
    static const uint8_t STATUS[] = {0x00, 0x00, 0x00, 0x09, 2, 0, 0, 0}; /* (0000,0900), 2 bytes */
    uint8_t *at = memmem(q->final.data, q->final.len, STATUS, sizeof STATUS);
    hilum_assert(at);
    put_le16(at + sizeof STATUS, DIMSE_STATUS_CANCELLED);
    q->sent = c->sink->options.answers;
}

/* An archive looks for each answer, and makes it: that is what it needs its processor for. */
static void work(uint64_t ns)
{
    const uint64_t end = ns ? now_ns() + ns : 0;
    while (ns && now_ns() < end)
        ;
}

void query_go_on(struct connection *c)
{
    struct query *q = &c->query;
    struct sink *s = c->sink;
    for (unsigned i = 0; q->is_active && i < ANSWERS_AT_ONCE && connection_may_send(c); i++) {
        if (q->sent == s->options.answers) {
            q->is_active = false;
            c->outstanding--;
            connection_answer(c, q->context_id, &q->final);
            s->tally.last_ns = now_ns();
            return;
        }
        work(s->options.work_ns);
        finding_set(&s->finding, q->pending.data + q->data_at, (uint32_t)q->sent++);
        connection_send(c, q->pending.data, q->pending.len);
        s->tally.answers++;
    }
}

void query_free(struct connection *c)
{
    octets_free(&c->query.pending);
    octets_free(&c->query.final);
}
