#include "relay/sink_node.h"
#include "relay/health.h"
#include "relay/pace.h"
#include "relay/proposal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "dicom/uid.h"
#include "dimse/status.h"

struct sink_node {
    struct sink sink; /* first */
    struct source *source;
    struct outbound_want want;
    struct outbound_exchange exchange;
    uint8_t context_id;
    struct slices queue;  /* not given to the association yet */
    struct slices replay; /* all of the data set so far, for a second try */
    bool is_sending;      /* the request has been sent */
    bool is_finished;     /* all data are here */
    bool is_sent;         /* all has been given to the association */
    bool is_over;         /* on_done has been called, or abandoned */
    bool is_again;        /* it was sent before, and its response was lost */
    bool is_trial;        /* of the node's circuit, of which no sign has come yet */
    int64_t outstanding;  /* bytes that count as on their way there */
    struct pace_node pace;
    bool has_early_answer;
    uint16_t early_status;
    char early_comment[65];
    struct io_timer response;
    struct io_task gone;
};

static struct io *io_of(const struct sink_node *n)
{
    return n->source->relay->io;
}

static void sign(struct sink_node *n, enum circuit_sign what, const char *why)
{
    if (what != CIRCUIT_THERE)
        n->is_trial = false;
    health_sign(n->source->relay, n->sink.node, what, why);
}

static void add_outstanding(struct sink_node *n, int64_t bytes)
{
    n->outstanding += bytes;
    if (bytes != 0)
        circuit_add_outstanding(n->source->relay->circuits, n->sink.node, bytes);
}

static void on_gone(struct io_task *task)
{
    struct sink_node *n = task->owner;
    n->sink.on_gone(&n->sink);
    free(n);
}

static void over(struct sink_node *n)
{
    n->is_over = true;
    io_timer_stop(io_of(n), &n->response);
    outbound_cancel(&n->want);
    pace_node_stop(&n->pace);
    slices_clear(&n->queue);
    slices_clear(&n->replay);
    n->sink.retains = false;
    add_outstanding(n, -n->outstanding);
    health_end_trial(n->source->relay, n->sink.node, &n->is_trial);
    io_defer(io_of(n), &n->gone);
}

static void done(struct sink_node *n, uint16_t status, const char *comment)
{
    if (n->is_over)
        return;
    over(n);
    n->sink.on_done(&n->sink, status, comment);
}

static void fail(struct sink_node *n, uint16_t status, const char *why)
{
    char comment[65];
    snprintf(comment, sizeof(comment), "%s: %s", n->sink.node->name, why);
    done(n, status, comment);
}

/* The association is not to be used any more. */
static void break_off(struct sink_node *n, const char *why)
{
    outbound_abandon(&n->exchange, why);
    fail(n, DIMSE_STATUS_OUT_OF_RESOURCES, why);
}

/* Failure by our own judgement of the node's answer. */
static void distrust(struct sink_node *n, const char *why)
{
    n->sink.was_broken_off = true;
    sign(n, CIRCUIT_TROUBLE, why);
    break_off(n, why);
}

/* An N-CREATE that is there already, since it was sent twice and its first response was lost, is there. */
static void answered(struct sink_node *n, uint16_t status, const char *comment)
{
    n->is_trial = false;
    if (n->is_again && dimse_severity_again(n->sink.message->command->field, status) == 0)
        status = DIMSE_STATUS_SUCCESS;
    health_answered(n->source->relay, n->sink.node, status, comment);
    n->sink.is_quoted = true;
    done(n, status, comment);
}

static void on_response_timeout(struct io_timer *t)
{
    distrust(t->owner, "no response in time");
}

static void await_response(struct sink_node *n)
{
    if (n->is_sent && !n->response.is_armed && association_backlog(&n->exchange.outbound->a) == 0)
        io_timer_start(io_of(n), &n->response, n->source->config->timeouts.response);
}

static void fill_command(const struct sink_node *n, struct dimse_command *c)
{
    const struct dimse_command *in = n->sink.message->command;
    /* The move originator (1030, 1031) belongs to the sender's leg and is dropped; ours is that of a C-MOVE through us. */
    *c = (struct dimse_command){
        .has = in->has & (DIMSE_HAS_AFFECTED_CLASS | DIMSE_HAS_REQUESTED_CLASS | DIMSE_HAS_FIELD |
                          DIMSE_HAS_AFFECTED_INSTANCE | DIMSE_HAS_REQUESTED_INSTANCE),
        .field = in->field,
        .priority = in->priority,
        .affected_class = in->affected_class,
        .requested_class = in->requested_class,
        .affected_instance = in->affected_instance,
        .requested_instance = in->requested_instance,
        .data_set_type = n->sink.message->has_data ? DIMSE_DATA_SET : DIMSE_NO_DATA_SET};
    c->has |= DIMSE_HAS_DATA_SET_TYPE;
    if (in->field == DIMSE_C_STORE_RQ)
        c->has |= DIMSE_HAS_PRIORITY;
    if (n->sink.message->originator_title.len > 0) {
        c->has |= DIMSE_HAS_ORIGINATOR_TITLE | DIMSE_HAS_ORIGINATOR_ID;
        c->originator_title = n->sink.message->originator_title;
        c->originator_id = n->sink.message->originator_id;
    }
}

/* Moves what is queued to the association, beginning with the request. */
static void pump(struct sink_node *n)
{
    struct outbound *o = n->exchange.outbound;
    bool ok = true;
    if (n->is_over || !o || !n->sink.is_flowing || n->is_sent)
        return;
    if (!n->is_sending) {
        struct dimse_command c;
        fill_command(n, &c);
        n->is_sending = n->sink.has_begun = true;
        if (!outbound_request(&n->exchange, n->context_id, &c))
            return; /* on_lost comes */
    }
    while (ok && n->queue.count > 0 && !pace_node_waits(&n->pace)) {
        struct slice *first = slices_at(&n->queue, 0);
        uint32_t len = first->len;
        ok = association_send_data(&o->a, first->buf, first->at, len);
        if (ok) {
            slices_consume(&n->queue, len);
            pace_node_sent(&n->pace, len);
        }
    }
    if (ok && n->is_finished && n->queue.count == 0) {
        if (n->sink.message->has_data)
            ok = association_send_data_end(&o->a);
        n->is_sent = true;
        outbound_sent_all(&n->exchange);
        if (n->has_early_answer && n->exchange.outbound) {
            outbound_finish(&n->exchange);
            answered(n, n->early_status, n->early_comment);
            return;
        }
    }
    if (!ok)
        break_off(n, "out of memory");
}

static void on_sent(struct outbound_exchange *x)
{
    struct sink_node *n = x->owner;
    n->sink.progress_ms = io_now(io_of(n));
    n->sink.on_taken(&n->sink);
    await_response(n);
}

static bool names_another_instance(const struct sink_node *n, const struct dimse_command *c)
{
    const struct dimse_command *asked = n->sink.message->command;
    return (c->has & DIMSE_HAS_AFFECTED_INSTANCE) && dicom_uid_trim(c->affected_instance).len > 0 &&
           !dicom_uid_equal(c->affected_instance, dimse_instance(asked));
}

static void on_response(struct outbound_exchange *x, const struct dimse_command *c)
{
    struct sink_node *n = x->owner;
    char comment[65];
    struct view text = dicom_uid_trim(c->comment);
    snprintf(comment, sizeof(comment), "%.*s", (int)(text.len < 64 ? text.len : 64),
             text.at ? (const char *)text.at : "");
    if (c->field != (n->sink.message->command->field | 0x8000)) {
        distrust(n, "answered by another kind of response");
    } else if (names_another_instance(n, c)) {
        distrust(n, "answered for another instance");
    } else if (dimse_status_class(c->status) == DIMSE_PENDING ||
               dimse_status_class(c->status) == DIMSE_CANCEL) {
        distrust(n, "answered a status that is not final");
    } else if (n->is_sent) {
        n->sink.said = c;
        outbound_finish(x);
        answered(n, c->status, comment);
    } else if (dimse_store_severity(c->status) < 2) {
        distrust(n, "answered success before it had all"); /* PS3.7 9.3.1.3: only after the whole request */
    } else {
        n->has_early_answer = true; /* the message is sent to its end all the same */
        n->early_status = c->status;
        memcpy(n->early_comment, comment, sizeof(comment));
    }
}

static void acquire(struct sink_node *n, bool fresh_only);

static void on_lost(struct outbound_exchange *x, const char *why)
{
    struct sink_node *n = x->owner;
    io_timer_stop(io_of(n), &n->response);
    if (n->is_over)
        return;
    if (n->has_early_answer) {
        answered(n, n->early_status, n->early_comment);
        return;
    }
    if (!n->sink.retains) {
        n->sink.was_broken_off = true;
        sign(n, CIRCUIT_TROUBLE, why);
        fail(n, DIMSE_STATUS_OUT_OF_RESOURCES, why);
        return;
    }
    LOG(LOG_INFO, "sent again on a fresh association", LOG_STR("assoc", n->sink.message->association),
        LOG_STR("message", n->sink.message->id), LOG_STR("node", n->sink.node->name), LOG_STR("cause", why));
    n->sink.retains = false;
    n->is_again = true;
    n->is_sending = n->is_sent = false;
    slices_clear(&n->queue);
    n->queue = n->replay;
    n->replay = (struct slices){0};
    acquire(n, true);
}

static void on_ready(struct outbound_want *w, const struct association_context *context, bool is_reused)
{
    struct sink_node *n = w->owner;
    n->context_id = context->id;
    if (!is_reused)
        sign(n, CIRCUIT_THERE, NULL);
    n->sink.progress_ms = io_now(io_of(n));
    if (is_reused && !pool_is_short(n->source->relay->pool)) {
        n->sink.retains =
            slices_share(&n->replay, &n->queue) && n->replay.bytes <= n->source->config->replay_max;
        if (!n->sink.retains)
            slices_clear(&n->replay);
    }
    if (!n->sink.is_ready)
        n->sink.on_ready(&n->sink);
    pump(n);
}

static enum sink_fault fault_of(const struct outbound_want *w, enum outbound_failure kind)
{
    if (kind == OUTBOUND_OUT_OF_MEMORY || kind == OUTBOUND_NO_PERMIT)
        return SINK_FAULT_OURS;
    if (!w->was_turned_away)
        return SINK_FAULT_NODE;
    return w->was_rejected ? SINK_FAULT_TITLE : SINK_FAULT_REQUEST;
}

static void on_failed(struct outbound_want *w, enum outbound_failure kind, const char *why)
{
    struct sink_node *n = w->owner;
    n->sink.fault = fault_of(w, kind);
    health_failed(n->source->relay, w, kind, why);
    fail(n,
         kind == OUTBOUND_NOT_ACCEPTED ? DIMSE_STATUS_SOP_CLASS_NOT_SUPPORTED : DIMSE_STATUS_OUT_OF_RESOURCES,
         why);
}

static bool build(struct outbound_want *w, struct pdu_associate *request)
{
    const struct sink_node *n = w->owner;
    return n->source->propose(n->source, request, w->abstract_syntax, w->transfer_syntax);
}

static void acquire(struct sink_node *n, bool fresh_only)
{
    struct source *s = n->source;
    const struct sink_message *m = n->sink.message;
    n->exchange = (struct outbound_exchange){
        .owner = n, .on_response = on_response, .on_lost = on_lost, .on_sent = on_sent};
    n->want = (struct outbound_want){.owner = n,
                                     .config = s->config,
                                     .node = n->sink.node,
                                     .calling = proposal_calling(s->config, s->calling, n->sink.node),
                                     .user = s->user,
                                     .profile = s->profile,
                                     .is_private = s->is_private,
                                     .abstract_syntax = m->abstract_syntax,
                                     .transfer_syntax = m->transfer_syntax,
                                     .fresh_only = fresh_only,
                                     .is_alone = s->is_alone,
                                     .wait_ms = n->sink.is_hasty ? 0 : s->config->timeouts.response,
                                     .build = build,
                                     .exchange = &n->exchange,
                                     .on_ready = on_ready,
                                     .on_failed = on_failed};
    outbound_acquire(s->relay->outbound, &n->want);
}

/* A pair that the node is known to refuse costs no association. */
static bool is_known_refused(const struct sink_node *n)
{
    const struct sink_message *m = n->sink.message;
    struct view transfer = view_of(m->transfer_syntax);
    return knowledge_choice(outbound_knowledge(n->source->relay->outbound), n->sink.node,
                            proposal_calling(n->source->config, n->source->calling, n->sink.node),
                            view_of(m->abstract_syntax), &transfer, 1, io_now(io_of(n)),
                            NULL) == KNOWLEDGE_REFUSED;
}

/* Something of this instance waits for the node: what comes after it goes behind it. */
static bool follows_queued(const struct sink_node *n)
{
    const struct sink_message *m = n->sink.message;
    return m->command->field != DIMSE_C_STORE_RQ && m->command->field != DIMSE_C_ECHO_RQ &&
           spool_is_in_line(n->source->relay->spool, n->sink.node->name, m->sop_instance);
}

/* The node's rate: its turn has come, or it may be sent more. */
static void on_due(void *owner)
{
    struct sink_node *n = owner;
    if (n->exchange.owner == NULL)
        acquire(n, false);
    else
        pump(n);
}

static void begin(struct sink_node *n)
{
    n->pace.on_due = on_due;
    n->pace.owner = n;
    if (!pace_node_begin(&n->pace, n->source->relay, n->sink.node, n->source->config->timeouts.response)) {
        n->sink.fault = SINK_FAULT_OURS;
        fail(n, DIMSE_STATUS_OUT_OF_RESOURCES, "its rate has no room in time");
    } else if (!pace_node_waits(&n->pace)) {
        acquire(n, false);
    }
}

static void start(struct sink *s)
{
    struct sink_node *n = (struct sink_node *)s;
    if (s->keeps_order && follows_queued(n))
        fail(n, DIMSE_STATUS_OUT_OF_RESOURCES, "goes behind what is queued of it");
    else if (s->may_queue && !health_may_try(n->source->relay, s->node, &n->is_trial))
        fail(n, DIMSE_STATUS_OUT_OF_RESOURCES, "known to be away");
    else if (!n->source->asks_anew && is_known_refused(n))
        fail(n, DIMSE_STATUS_SOP_CLASS_NOT_SUPPORTED, "presentation context not accepted");
    else
        begin(n);
}

static void relieve(struct sink *s)
{
    struct sink_node *n = (struct sink_node *)s;
    s->retains = false;
    slices_clear(&n->replay);
    if (n->exchange.outbound)
        association_flush(&n->exchange.outbound->a);
}

static void data(struct sink *s, struct buf *b, uint8_t *at, uint32_t len)
{
    struct sink_node *n = (struct sink_node *)s;
    /* What is kept for a second try is given up rather than pause the sender. */
    if (n->sink.retains && (n->replay.bytes + len > n->source->config->replay_max ||
                            n->source->is_full(n->source) || !slices_push(&n->replay, b, at, len)))
        relieve(s);
    add_outstanding(n, len);
    if (s->ops->backlog(s) == 0)
        n->sink.progress_ms = io_now(io_of(n)); /* a stall is counted from here */
    if (!slices_push(&n->queue, b, at, len)) {
        break_off(n, "out of memory");
        return;
    }
    pump(n);
}

static void finish(struct sink *s)
{
    struct sink_node *n = (struct sink_node *)s;
    n->is_finished = true;
    pump(n);
    if (n->exchange.outbound)
        await_response(n);
}

static void flow(struct sink *s)
{
    pump((struct sink_node *)s);
}

static void abandon(struct sink *s)
{
    struct sink_node *n = (struct sink_node *)s;
    if (n->is_over)
        return;
    outbound_abandon(&n->exchange, "message abandoned");
    over(n);
}

static size_t backlog(const struct sink *s)
{
    const struct sink_node *n = (const struct sink_node *)s;
    size_t bytes = n->queue.bytes;
    if (n->exchange.outbound && n->is_sending && !n->is_sent)
        bytes += association_backlog(&n->exchange.outbound->a);
    return bytes;
}

static bool is_in_line(const struct sink *s)
{
    const struct sink_node *n = (const struct sink_node *)s;
    return n->want.is_waiting || pace_node_waits(&n->pace);
}

/* Not while the message may have to be sent again: only what is in memory can be. Nor to a node with a rate: what passes is not counted. */
static enum association_bulk passes_to(struct sink *s, struct association **to_out)
{
    struct sink_node *n = (struct sink_node *)s;
    struct outbound *o = n->exchange.outbound;
    if (n->pace.of || (o && s->zero_copy == CONFIG_ZERO_COPY_AUTO && association_is_paced(&o->a)))
        return ASSOCIATION_BULK_RECEIVE;
    if (!o || !n->is_sending || n->is_sent || s->retains || n->queue.count > 0)
        return ASSOCIATION_BULK_LATER;
    *to_out = &o->a;
    return association_may_pass(&o->a);
}

static const struct sink_ops node_ops = {.start = start,
                                         .data = data,
                                         .finish = finish,
                                         .abandon = abandon,
                                         .backlog = backlog,
                                         .relieve = relieve,
                                         .passes_to = passes_to,
                                         .is_in_line = is_in_line,
                                         .flow = flow};

struct sink *sink_node_new(struct source *source, const struct config_node *node,
                           const struct sink_message *m)
{
    struct sink_node *n = calloc(1, sizeof(*n));
    if (!n)
        return NULL;
    n->sink.ops = &node_ops;
    n->sink.node = node;
    n->sink.message = m;
    n->source = source;
    n->response = (struct io_timer){.on_fire = on_response_timeout, .owner = n};
    n->gone = (struct io_task){.run = on_gone, .owner = n};
    return &n->sink;
}
