/* Messages as the sink sees them: command, data set, answer. */
#include <stdlib.h>

#include "base/assert.h"
#include "dimse/status.h"
#include "net.h"
#include "pdu/write.h"
#include "sink.h"

static bool bit(const uint64_t bits[4], unsigned id)
{
    return bits[id / 64] >> id % 64 & 1;
}

void message_free(struct incoming *in)
{
    octets_free(&in->command_bytes);
    octets_free(&in->head);
}

/* The next message may come. */
static void reset(struct incoming *in)
{
    octets_clear(&in->command_bytes);
    octets_clear(&in->head);
    in->has_command = in->is_begun = false;
    in->bytes = 0;
}

/* ---- answers */

static void send_answer(struct connection *c, const struct answer *a)
{
    struct tally *t = &c->sink->tally;
    c->outstanding--;
    connection_answer(c, a->context_id, &a->command);
    if (a->is_store) {
        t->instances++;
        t->bytes += a->store_bytes;
    }
    t->last_ns = now_ns();
}

static void queue_answer(struct connection *c, const struct answer *a)
{
    struct answer *late = malloc(sizeof *late);
    hilum_assert(late);
    *late = *a;
    late->due_ns = now_ns() + c->sink->options.late_ns;
    TAILQ_INSERT_TAIL(&c->sink->late, late, next);
}

static void drop(struct sink *s, struct answer *a)
{
    TAILQ_REMOVE(&s->late, a, next);
    octets_free(&a->command);
    free(a);
}

void answers_send_due(struct sink *s, uint64_t now)
{
    struct answer *a;
    while ((a = TAILQ_FIRST(&s->late)) && a->due_ns <= now) {
        send_answer(a->to, a);
        struct connection *c = a->to;
        drop(s, a);
        connection_on_event(c, 0);
    }
}

void answers_forget(struct sink *s, const struct connection *to)
{
    struct answer *a = TAILQ_FIRST(&s->late);
    while (a) {
        struct answer *after = TAILQ_NEXT(a, next);
        if (a->to == to)
            drop(s, a);
        a = after;
    }
}

static void answer(struct connection *c)
{
    const struct sink_options *o = &c->sink->options;
    const struct dimse_command *request = &c->in.command;
    if (request->field == DIMSE_C_FIND_RQ && o->answers) {
        query_begin(c);
        return;
    }
    struct answer a = {
        .to = c, .context_id = c->in.context_id, .is_store = request->field == DIMSE_C_STORE_RQ};
    struct dimse_command response;
    uint16_t status = DIMSE_STATUS_SUCCESS;
    if (a.is_store)
        status = o->status;
    else if (request->field != DIMSE_C_ECHO_RQ)
        status = DIMSE_STATUS_UNRECOGNISED_OPERATION;
    a.store_bytes = c->in.bytes;
    if (!o->late_ns)
        a.command = c->sink->scratch;
    octets_clear(&a.command);
    dimse_response_to(request, status, NULL, &response);
    dimse_write(&response, &a.command);
    hilum_assert(!a.command.failed);
    if (++c->outstanding > c->window)
        connection_complain(c, "more requests at once than the window that was granted");
    if (o->late_ns) {
        queue_answer(c, &a);
    } else {
        send_answer(c, &a);
        c->sink->scratch = a.command; /* its memory serves the next */
    }
}

/* ---- what comes in */

static void check_message(struct connection *c)
{
    const uint8_t id = c->in.context_id;
    const bool is_explicit = bit(c->explicit_contexts, id), is_implicit = bit(c->implicit_contexts, id);
    if (c->in.bytes % 2)
        connection_complain(c, "a data set of odd length");
    if (c->in.command.field != DIMSE_C_STORE_RQ || c->sink->options.is_unchecked ||
        !(is_explicit || is_implicit))
        return;
    struct view head = {c->in.head.data, c->in.head.len};
    const char *wrong = check_data_set(head, is_implicit, c->in.command.affected_instance, c->in.bytes);
    if (wrong)
        connection_complain(c, wrong);
}

static void on_command_end(struct connection *c)
{
    struct incoming *in = &c->in;
    const char *why;
    if (dimse_parse(in->command_bytes.data, in->command_bytes.len, &in->command, &why) != OK) {
        connection_fault(c, why);
        return;
    }
    if (dimse_is_response(in->command.field)) {
        connection_fault(c, "a response to nothing");
        return;
    }
    if (in->command.field == DIMSE_C_CANCEL_RQ) {
        query_cancel(c, in->context_id, &in->command);
        reset(in);
        return;
    }
    in->has_command = true;
    const uint32_t uids = DIMSE_HAS_AFFECTED_CLASS | DIMSE_HAS_AFFECTED_INSTANCE;
    const bool is_store = in->command.field == DIMSE_C_STORE_RQ;
    if (is_store && (in->command.has & uids) != uids) {
        connection_fault(c, "a C-STORE-RQ without its SOP Class or Instance UID");
    } else if (is_store && !dimse_has_data_set(&in->command)) {
        connection_fault(c, "a C-STORE-RQ without a data set");
    } else if (!dimse_has_data_set(&in->command)) {
        answer(c);
        reset(in);
    }
}

static void on_command(struct connection *c, const struct pdu_event *e)
{
    struct incoming *in = &c->in;
    if (in->has_command) {
        connection_fault(c, "a command where a data set was announced");
        return;
    }
    if (in->command_bytes.len == 0)
        in->context_id = e->context_id;
    octets_append(&in->command_bytes, e->piece, e->piece_len);
    if (in->context_id != e->context_id)
        connection_fault(c, "a command in two presentation contexts");
    else if (in->command_bytes.len > DIMSE_COMMAND_MAX_BYTES)
        connection_fault(c, "a command set without end");
    else if (e->is_pdv_end && e->control & PDV_LAST)
        on_command_end(c);
}

static void on_data(struct connection *c, const struct pdu_event *e)
{
    struct incoming *in = &c->in;
    if (!in->has_command) {
        connection_fault(c, "a data set that no command announced");
        return;
    }
    if (in->context_id != e->context_id) {
        connection_fault(c, "a data set in another presentation context than its command");
        return;
    }
    if (in->head.len < SINK_HEAD_BYTES) {
        size_t room = SINK_HEAD_BYTES - in->head.len;
        octets_append(&in->head, e->piece, e->piece_len < room ? e->piece_len : room);
    }
    in->is_begun = true;
    in->bytes += e->piece_len;
    c->data_bytes += e->piece_len;
    c->is_stalled = c->sink->options.has_stall && c->data_bytes >= c->sink->options.stall_after;
    if (e->is_pdv_end && e->control & PDV_LAST) {
        check_message(c);
        answer(c);
        reset(in);
    }
}

/* The first piece of a PDV tells its length: piece and what follows it. */
static void on_pdv(struct connection *c, const struct pdu_event *e)
{
    const uint64_t length = (uint64_t)e->piece_len + e->pdv_left + PDU_PDV_HEADER_BYTES;
    const uint32_t most = c->sink->options.max_pdu;
    if (!c->sink->tally.first_ns)
        c->sink->tally.first_ns = now_ns();
    if (most && length > most)
        connection_complain(c, "a PDU longer than the maximum that was announced");
    if (!(e->control & PDV_COMMAND))
        c->is_bulk = length >= SINK_BUFFER_BYTES / 8;
}

void message_on_data(struct connection *c, const struct pdu_event *e)
{
    if (!c->is_in_pdv)
        on_pdv(c, e);
    c->is_in_pdv = !e->is_pdv_end;
    if (!bit(c->accepted_contexts, e->context_id))
        connection_fault(c, "a PDV in a presentation context that was not accepted");
    else if (e->control & PDV_COMMAND)
        on_command(c, e);
    else
        on_data(c, e);
}

bool message_is_payload(const struct connection *c)
{
    return c->ul.state == UL_STA6 && !(c->ul.reader.control & PDV_COMMAND) && c->is_in_pdv &&
           c->in.head.len >= SINK_HEAD_BYTES;
}
