#include "relay/leg.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "dicom/uid.h"
#include "dimse/status.h"
#include "relay/health.h"
#include "relay/proposal.h"

static void acquire(struct leg *l, bool fresh_only);

static struct io *io_of(const struct leg *l)
{
    return l->source->relay->io;
}

bool leg_is_over(const struct leg *l)
{
    return l->is_over;
}

static void over(struct leg *l)
{
    l->is_over = true;
    io_timer_stop(io_of(l), &l->silence);
    outbound_cancel(&l->want);
    pace_node_stop(&l->pace);
    slices_clear(&l->response_data);
    octets_free(&l->values);
}

static void fail(struct leg *l, uint16_t status, const char *why)
{
    char comment[65];
    if (l->is_over)
        return;
    over(l);
    snprintf(comment, sizeof(comment), "%s: %s", l->node->name, why);
    LOG(LOG_WARN, "node failed", LOG_STR("assoc", l->association), LOG_STR("message", l->message),
        LOG_STR("node", l->node->name), LOG_STR("cause", why));
    l->on_failed(l, status, comment);
}

/* The association is not to be used any more. */
static void break_off(struct leg *l, const char *why)
{
    outbound_abandon(&l->exchange, why);
    fail(l, DIMSE_STATUS_OUT_OF_RESOURCES, why);
}

/* By our own judgement of what the node says. */
static void distrust(struct leg *l, const char *why)
{
    health_sign(l->source->relay, l->node, CIRCUIT_TROUBLE, why);
    break_off(l, why);
}

void leg_abandon(struct leg *l)
{
    if (l->is_over)
        return;
    outbound_abandon(&l->exchange, "request abandoned");
    over(l);
}

void leg_sender_lost(struct leg *l)
{
    l->is_own = l->keeps = l->want.is_own = l->want.keeps = false;
}

/* --- time ------------------------------------------------------------------------------------------------------- */

static void await_response(struct leg *l)
{
    if (l->silence_ms > 0)
        io_timer_start(io_of(l), &l->silence, l->silence_ms);
}

/* A data set that stands still, be it for want of memory to hold it, is given up. (A sender that does not read is given up before.) */
static void await_data(struct leg *l)
{
    if (l->is_in_data && l->data_seen == l->response_data.bytes) {
        break_off(l, "a response that does not end");
        return;
    }
    l->is_in_data = true;
    l->data_seen = l->response_data.bytes;
    io_timer_start(io_of(l), &l->silence, 2 * l->source->config->timeouts.progress);
}

/* While it is we who do not read, the node is not silent. */
static void on_silence(struct io_timer *t)
{
    struct leg *l = t->owner;
    struct outbound *o = l->exchange.outbound;
    if (l->is_in_data) {
        await_data(l);
        return;
    }
    if (o && (association_is_held_up(&o->a) || o->foreign))
        await_response(l);
    else
        distrust(l, l->has_responded ? "no further response in time" : "no response in time");
}

static void on_sent(struct outbound_exchange *x)
{
    struct leg *l = x->owner;
    if (l->is_sent && !l->silence.is_armed && association_backlog(&x->outbound->a) == 0)
        await_response(l);
}

/* --- responses -------------------------------------------------------------------------------------------------- */

static bool is_final(const struct dimse_command *c)
{
    return dimse_status_class(c->status) != DIMSE_PENDING;
}

/* What is held of a response counts against the node's association: `window`, or as much as one data set may have. */
static void set_limit(struct leg *l)
{
    const struct config *c = l->source->config;
    struct stream *s = &l->exchange.outbound->a.stream;
    uint64_t bytes = c->window;
    if (l->response_data.bytes > c->window / 2)
        bytes += 4 * c->header_max; /* every buffer is a quarter full at least */
    if (s->limit != bytes / BUF_BYTES)
        stream_set_limit(s, (uint32_t)(bytes / BUF_BYTES));
}

/* The response is complete. */
static void hand_over(struct leg *l, const struct dimse_command *c)
{
    struct slices data = l->response_data;
    struct octets values = l->values;
    bool is_last = is_final(c);
    if (is_last || !l->has_responded)
        health_sign(l->source->relay, l->node, CIRCUIT_SUCCESS, NULL);
    l->is_in_data = false;
    l->response_data = (struct slices){0};
    l->values = (struct octets){0};
    l->has_responded = true;
    if (is_last) {
        outbound_finish(&l->exchange);
        over(l);
    } else {
        await_response(l);
    }
    l->on_response(l, c, &data, is_last); /* it may free the leg */
    slices_clear(&data);
    octets_free(&values);
}

static const char *fault_of(const struct leg *l, const struct dimse_command *c)
{
    if (c->field != (l->command->field | 0x8000))
        return "answered by another kind of response";
    if (!l->is_sent && dimse_status_class(c->status) != DIMSE_FAILURE)
        return "answered before it had all";
    return NULL;
}

static void on_response(struct outbound_exchange *x, const struct dimse_command *c)
{
    struct leg *l = x->owner;
    const char *fault = fault_of(l, c);
    if (fault) {
        distrust(l, fault);
    } else if (!l->is_sent) { /* a request of ours is sent in one go: this cannot be */
        distrust(l, "failed before it had all");
    } else if (!dimse_has_data_set(c)) {
        hand_over(l, c);
    } else {
        octets_clear(&l->values);
        if (!dimse_copy(c, &l->values, &l->response)) {
            break_off(l, "out of memory");
            return;
        }
        set_limit(l);
        await_data(l);
    }
}

static void on_data(struct outbound_exchange *x, struct buf *b, uint8_t *at, uint32_t len)
{
    struct leg *l = x->owner;
    if (l->response_data.bytes + len > l->source->config->header_max)
        break_off(l, "a response larger than header_max");
    else if (!slices_push(&l->response_data, b, at, len))
        break_off(l, "out of memory");
    else
        set_limit(l);
}

static void on_data_end(struct outbound_exchange *x)
{
    struct leg *l = x->owner;
    struct dimse_command c = l->response;
    hand_over(l, &c);
}

/* A request that has no effect a second time. */
static bool may_repeat(uint16_t field)
{
    return field == DIMSE_C_FIND_RQ || field == DIMSE_C_MOVE_RQ || field == DIMSE_C_GET_RQ ||
           field == DIMSE_N_GET_RQ;
}

/* No sign of trouble: archives abort queries that they do not allow, and store all the same. Whether the node is there its next association tells. */
static void on_lost(struct outbound_exchange *x, const char *why)
{
    struct leg *l = x->owner;
    io_timer_stop(io_of(l), &l->silence);
    if (l->is_over)
        return;
    bool is_early = !l->is_sent || (may_repeat(l->command->field) && !l->has_responded);
    if (!l->is_reused || !is_early || l->was_cancelled) {
        fail(l, DIMSE_STATUS_OUT_OF_RESOURCES, why);
        return;
    }
    LOG(LOG_INFO, "sent again on a fresh association", LOG_STR("assoc", l->association),
        LOG_STR("message", l->message), LOG_STR("node", l->node->name), LOG_STR("cause", why));
    l->is_sent = l->is_in_data = false;
    slices_clear(&l->response_data);
    acquire(l, true);
}

/* --- the request ------------------------------------------------------------------------------------------------ */

static bool send_data(struct association *a, const struct slices *data)
{
    bool ok = true;
    for (uint32_t i = 0; ok && i < data->count; i++) {
        const struct slice *s = slices_at(data, i);
        ok = association_send_data(a, s->buf, s->at, s->len);
    }
    return ok && association_send_data_end(a);
}

static void send_request(struct leg *l)
{
    struct dimse_command c = *l->command;
    c.has |= DIMSE_HAS_DATA_SET_TYPE;
    c.data_set_type = l->data ? DIMSE_DATA_SET : DIMSE_NO_DATA_SET;
    if (!outbound_request(&l->exchange, l->context_id, &c))
        return; /* on_lost comes, or has come */
    if (l->data && !send_data(&l->exchange.outbound->a, l->data)) {
        break_off(l, "out of memory");
        return;
    }
    l->is_sent = true;
    outbound_sent_all(&l->exchange);
    if (l->wants_cancel && l->exchange.outbound)
        leg_cancel(l);
}

static void on_ready(struct outbound_want *w, const struct association_context *context, bool is_reused)
{
    struct leg *l = w->owner;
    l->context_id = context->id;
    l->is_reused = is_reused;
    if (!is_reused)
        health_sign(l->source->relay, l->node, CIRCUIT_THERE, NULL);
    set_limit(l);
    send_request(l);
}

static void on_failed(struct outbound_want *w, enum outbound_failure kind, const char *why)
{
    struct leg *l = w->owner;
    health_failed(l->source->relay, w, kind, why);
    fail(l,
         kind == OUTBOUND_NOT_ACCEPTED ? DIMSE_STATUS_SOP_CLASS_NOT_SUPPORTED : DIMSE_STATUS_OUT_OF_RESOURCES,
         why);
}

static bool build(struct outbound_want *w, struct pdu_associate *request)
{
    const struct leg *l = w->owner;
    return l->source->propose(l->source, request, w->abstract_syntax, w->transfer_syntax);
}

static bool suits(const struct outbound_want *w, const struct association *a)
{
    const struct leg *l = w->owner;
    return l->source->suits && l->source->suits(l->source, a);
}

static void acquire(struct leg *l, bool fresh_only)
{
    struct source *s = l->source;
    l->exchange = (struct outbound_exchange){.owner = l,
                                             .wants_id = l->message_id,
                                             .on_response = on_response,
                                             .on_data = on_data,
                                             .on_data_end = on_data_end,
                                             .on_lost = on_lost,
                                             .on_sent = on_sent};
    l->want = (struct outbound_want){
        .owner = l,
        .config = s->config,
        .node = l->node,
        .calling = s->calls_as ? s->calls_as : proposal_calling(s->config, s->calling, l->node),
        .user = s->user,
        .profile = s->profile,
        .is_private = s->is_private,
        .is_own = l->is_own || l->keeps,
        .keeps = l->keeps,
        .suits = suits,
        .abstract_syntax = l->abstract_syntax,
        .transfer_syntax = l->transfer_syntax,
        .fresh_only = fresh_only,
        .is_alone = s->is_alone,
        .wait_ms = s->config->timeouts.response,
        .build = build,
        .exchange = &l->exchange,
        .on_ready = on_ready,
        .on_failed = on_failed};
    outbound_acquire(s->relay->outbound, &l->want);
}

static void on_due(void *owner)
{
    struct leg *l = owner;
    acquire(l, l->fresh_only);
}

static void on_no_turn(struct io_timer *t)
{
    fail(t->owner, DIMSE_STATUS_OUT_OF_RESOURCES, "its rate has no room in time");
}

void leg_begin(struct leg *l)
{
    l->is_over = l->is_in_data = l->is_sent = l->is_reused = l->wants_cancel = l->was_cancelled =
        l->has_responded = false;
    l->silence = (struct io_timer){.on_fire = on_silence, .owner = l};
    l->pace = (struct pace_node){.on_due = on_due, .owner = l};
    if (!pace_node_begin(&l->pace, l->source->relay, l->node, l->source->config->timeouts.response)) {
        l->silence.on_fire = on_no_turn; /* from the loop: nobody is told from inside */
        io_timer_start(io_of(l), &l->silence, 0);
    } else if (!pace_node_waits(&l->pace)) {
        acquire(l, l->fresh_only);
    }
}

static void on_cancelled(struct io_timer *t)
{
    fail(t->owner, DIMSE_STATUS_CANCELLED, "cancelled before it was sent");
}

void leg_cancel(struct leg *l)
{
    if (l->is_over || l->was_cancelled)
        return;
    l->wants_cancel = true;
    if (l->exchange.outbound && l->exchange.is_requested && l->is_sent) {
        l->was_cancelled = true;
        outbound_cancel_request(&l->exchange, l->context_id);
    } else if (!l->exchange.outbound) { /* from the loop: nobody is told from inside */
        l->was_cancelled = true;
        outbound_cancel(&l->want);
        pace_node_stop(&l->pace);
        l->silence.on_fire = on_cancelled;
        io_timer_start(io_of(l), &l->silence, 0);
    }
}
