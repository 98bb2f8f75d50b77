#include "relay/reverse.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "dicom/uid.h"
#include "dimse/status.h"
#include "relay/call.h"
#include "relay/commitment.h"
#include "relay/message.h"
#include "relay/remake.h"
#include "route/service.h"

struct reverse {
    struct session *session;   /* NULL: the sender is lost */
    struct outbound *outbound; /* NULL: the node is */
    const struct config_node *node;
    uint8_t node_context, sender_context;
    struct octets values;
    struct dimse_command command; /* as the node sent it */
    struct dimse_command sent;    /* as it goes on */
    struct remake *remake;        /* NULL: as it came */
    uint16_t message_id;          /* towards the sender; 0: not asked yet */
    uint16_t refused;             /* not 0: this is its answer */
    char comment[65];
    struct slices data; /* that has not gone on */
    bool is_received;   /* the node has sent all */
    bool is_complete;   /* all that goes on is here */
    bool is_speaking;   /* the sender is in the middle of it */
    bool is_said;       /* the sender has been sent all */
    bool is_answered;   /* the sender has answered */
    struct octets response_values;
    struct dimse_command response;
    struct slices response_data;
    bool is_report; /* of storage commitment: it goes to nobody but us */
    void *owner;    /* a request of our own; NULL on_answer: it is none */
    void (*on_answer)(void *owner, bool is_answered, uint16_t status);
    struct voice_turn turn;
    uint64_t moved, moved_seen; /* bytes from the node; when last looked at */
    struct io_timer silence;
    TAILQ_ENTRY(reverse) link; /* of the session */
};

/* --- its end ------------------------------------------------------------------------------------------------------ */

static void leave_session(struct reverse *r)
{
    struct session *s = r->session;
    if (!s)
        return;
    r->session = NULL;
    io_timer_stop(s->relay->io, &r->silence);
    if (s->answering == r)
        s->answering = NULL;
    voice_leave(&s->voice, &r->turn);
    TAILQ_REMOVE(&s->reverses, r, link);
}

static void reverse_free(struct reverse *r)
{
    void (*on_answer)(void *owner, bool is_answered, uint16_t status) = r->on_answer;
    void *owner = r->owner;
    bool is_answered = r->is_answered;
    uint16_t status = r->response.status;
    leave_session(r);
    remake_free(&r->remake);
    slices_clear(&r->data);
    slices_clear(&r->response_data);
    octets_free(&r->values);
    octets_free(&r->response_values);
    free(r);
    if (on_answer)
        on_answer(owner, is_answered, status);
}

void reverse_forget(struct reverse *r)
{
    r->on_answer = NULL;
}

/* The node is told, if it is still there. */
static void answer_node(struct reverse *r, const struct dimse_command *answer, struct slices *data)
{
    struct outbound *o = r->outbound;
    r->outbound = NULL;
    if (!o)
        return;
    o->foreign = NULL; /* without memory the association ends, and r is not told of that again */
    outbound_say(o, r->node_context, answer, data);
    outbound_foreign_over(o);
}

static void answer_status(struct reverse *r, uint16_t status, const char *comment)
{
    struct dimse_command answer;
    dimse_response_to(&r->command, status, comment, &answer);
    answer_node(r, &answer, NULL);
}

/* The sender's answer goes to the node, once the node has sent all. UIDs are the node's own. Without memory for it the node's association ends, with it the
 * call that waits for it, and the sender's association, too, if it cannot be told: so r leaves that before. */
static void settle(struct reverse *r)
{
    struct dimse_command ids, answer = r->response;
    if (!r->is_received)
        return;
    if (r->refused || !r->is_answered) {
        if (!r->refused && r->session)
            return;
        leave_session(r);
        answer_status(r, r->refused ? r->refused : DIMSE_STATUS_PROCESSING_FAILURE,
                      r->refused ? r->comment : "the sender is gone");
        reverse_free(r);
        return;
    }
    if (!r->is_said && r->session)
        return;
    leave_session(r);
    dimse_response_to(&r->command, r->response.status, NULL, &ids);
    answer.responded_id = ids.responded_id;
    answer.affected_class = ids.affected_class;
    answer.affected_instance = ids.affected_instance;
    answer.has |= ids.has;
    answer.data_set_type = r->response_data.bytes > 0 ? DIMSE_DATA_SET : DIMSE_NO_DATA_SET;
    answer_node(r, &answer, &r->response_data);
    reverse_free(r);
}

/* --- to the sender ------------------------------------------------------------------------------------------------ */

static void on_silence(struct io_timer *t)
{
    struct reverse *r = t->owner;
    association_abort(&r->session->a, "no response to a node's request in time");
}

/* While the node sends: what stands still for want of memory is given up. (A node that is silent, and a sender that takes nothing, are given up by
 * their associations, before.) */
static void on_watch(struct io_timer *t)
{
    struct reverse *r = t->owner;
    if (r->moved == r->moved_seen && !r->is_received && r->outbound) {
        association_abort(&r->outbound->a, "an instance that stands still");
        return;
    }
    r->moved_seen = r->moved;
    io_timer_start(r->session->relay->io, t, 2 * r->session->config->timeouts.progress);
}

static void await_response(struct reverse *r)
{
    struct session *s = r->session;
    if (!r->is_said || r->is_answered || association_backlog(&s->a) > 0)
        return;
    if (r->silence.on_fire == on_silence && r->silence.is_armed)
        return;
    r->silence.on_fire = on_silence;
    io_timer_start(s->relay->io, &r->silence, s->config->timeouts.response);
}

void reverse_sent(struct session *s)
{
    struct reverse *r;
    TAILQ_FOREACH (r, &s->reverses, link)
        await_response(r);
}

/* What is here goes on. The association may be over afterwards, and r with it. */
static void speak(struct reverse *r)
{
    struct session *s = r->session;
    struct association *a = &s->a;
    bool ok = true;
    while (ok && r->data.count > 0) {
        const struct slice *first = slices_at(&r->data, 0);
        uint32_t len = first->len;
        ok = association_send_data(a, first->buf, first->at, len);
        slices_consume(&r->data, len);
    }
    if (ok && r->is_complete) {
        ok = association_send_data_end(a);
        r->is_speaking = false;
        r->is_said = true;
        await_response(r);
        ok = ok && voice_next(&s->voice);
    }
    if (!ok)
        association_abort(a, "out of memory");
}

static uint16_t new_message_id(struct session *s)
{
    const struct reverse *r;
    do {
        s->next_request = s->next_request == UINT16_MAX ? 1 : s->next_request + 1;
        TAILQ_FOREACH (r, &s->reverses, link)
            if (r->message_id == s->next_request)
                break;
    } while (r);
    return s->next_request;
}

static void on_turn(struct voice_turn *t)
{
    struct reverse *r = t->owner;
    struct session *s = r->session;
    struct dimse_command c = r->sent;
    r->message_id = c.message_id = new_message_id(s);
    if (!association_send_command(&s->a, r->sender_context, &c)) {
        association_abort(&s->a, "out of memory");
        return;
    }
    if (dimse_has_data_set(&c)) {
        r->is_speaking = true;
        speak(r);
    } else {
        r->is_said = true;
        await_response(r);
    }
}

/* Enough is here to begin. */
static void begin_in_time(struct reverse *r)
{
    bool is_enough = r->is_complete || r->data.bytes >= MESSAGE_FLOW_BYTES;
    if (!is_enough || r->refused || r->message_id || r->turn.is_waiting || !r->session)
        return;
    if (!voice_ask(&r->session->voice, &r->turn))
        association_abort(&r->session->a, "out of memory");
}

/* --- where it goes ------------------------------------------------------------------------------------------------- */

static struct session *session_of(struct relay *relay, uint64_t user)
{
    struct session *s;
    TAILQ_FOREACH (s, &relay->sessions, link)
        if (s->user == user && !s->is_over)
            return s;
    return NULL;
}

static bool is_retrieving(const struct session *s)
{
    const struct call *c;
    TAILQ_FOREACH (c, &s->calls, link)
        if (c->service == CONFIG_GET)
            return true;
    return false;
}

/* Where it can go on. A comment: nowhere. */
static const char *find_way(struct reverse *r, const struct association_context *from)
{
    const struct association_context *to =
        association_find(&r->session->a, from->abstract_syntax, from->transfer_syntax);
    if (r->command.field == DIMSE_C_STORE_RQ && !is_retrieving(r->session))
        return "a C-STORE that nobody has asked for";
    if (!to)
        return "the sender has no presentation context for it";
    r->sender_context = to->id;
    return NULL;
}

static struct reverse *reverse_new(struct session *s, struct outbound *o, uint8_t context_id,
                                   const struct dimse_command *c)
{
    struct reverse *r = calloc(1, sizeof(*r));
    if (!r || !dimse_copy(c, &r->values, &r->command)) {
        free(r);
        return NULL;
    }
    r->sent = r->command;
    r->session = s;
    r->outbound = o;
    r->node = o ? o->node : NULL;
    r->node_context = context_id;
    r->turn = (struct voice_turn){.owner = r, .on_turn = on_turn};
    r->silence = (struct io_timer){.on_fire = on_watch, .owner = r};
    if (s) {
        io_timer_start(s->relay->io, &r->silence, 2 * s->config->timeouts.progress);
        TAILQ_INSERT_TAIL(&s->reverses, r, link);
    }
    return r;
}

struct reverse *reverse_ask(struct session *s, uint8_t context_id, const struct dimse_command *c,
                            struct slices *data, void *owner,
                            void (*on_answer)(void *owner, bool is_answered, uint16_t status))
{
    struct reverse *r = s->is_over ? NULL : reverse_new(s, NULL, 0, c);
    if (!r)
        return NULL;
    r->sender_context = context_id;
    r->data = *data;
    *data = (struct slices){0};
    r->is_received = r->is_complete = true;
    r->sent.has |= DIMSE_HAS_MESSAGE_ID | DIMSE_HAS_DATA_SET_TYPE;
    r->sent.data_set_type = r->data.count > 0 ? DIMSE_DATA_SET : DIMSE_NO_DATA_SET;
    begin_in_time(r);
    if (s->is_over) /* for want of memory; r is gone */
        return NULL;
    r->owner = owner;
    r->on_answer = on_answer;
    return r;
}

static void refuse(struct reverse *r, uint16_t status, const char *comment)
{
    r->refused = status;
    snprintf(r->comment, sizeof(r->comment), "%s", comment);
    slices_clear(&r->data);
    if (r->session)
        voice_leave(&r->session->voice, &r->turn);
    LOG(LOG_WARN, "a node's request refused", LOG_STR("assoc", r->outbound ? r->outbound->a.id : ""),
        LOG_STR("node", r->node->name), LOG_STR("command", dimse_field_name(r->command.field)),
        LOG_STR("cause", comment));
}

/* --- what a rule makes of it ------------------------------------------------------------------------------------- */

/* The route by which it was asked for; NULL: nobody knows. */
static const struct config_route *route_of(const struct session *s, const struct outbound *o)
{
    const struct call *c;
    TAILQ_FOREACH (c, &s->calls, link)
        for (unsigned i = 0; c->service == CONFIG_GET && i < c->leg_count; i++)
            for (size_t d = 0; c->legs[i].exchange.outbound == o && d < c->destination_count; d++)
                if (c->destinations[d].node == o->node)
                    return c->destinations[d].route;
    return NULL;
}

static void remade_ready(void *owner, const struct dimse_command *command)
{
    struct reverse *r = owner;
    r->sent = *command;
}

static void go_on(struct reverse *r)
{
    if (r->is_speaking)
        speak(r);
    else
        begin_in_time(r);
}

static void remade_data(void *owner, struct buf *b, uint8_t *at, uint32_t len)
{
    struct reverse *r = owner;
    if (!r->session)
        return;
    if (!slices_push(&r->data, b, at, len))
        association_abort(&r->session->a, "out of memory");
    else
        go_on(r);
}

static void remade_end(void *owner)
{
    struct reverse *r = owner;
    r->is_complete = true;
    if (r->session)
        go_on(r);
}

static void remade_failed(void *owner, uint16_t status, const char *comment)
{
    struct reverse *r = owner;
    if (r->message_id && r->session) { /* what has begun cannot be taken back */
        association_abort(&r->session->a, comment);
        return;
    }
    refuse(r, status, comment);
    settle(r);
}

static bool begin_remake(struct reverse *r, const struct config_route *route,
                         const struct association_context *context)
{
    struct remake_options o = {.session = r->session,
                               .route = route,
                               .id = r->outbound->a.id,
                               .command = &r->command,
                               .abstract_syntax = context->abstract_syntax,
                               .transfer_syntax = context->transfer_syntax,
                               .stream = &r->outbound->a.stream,
                               .owner = r,
                               .on_ready = remade_ready,
                               .on_data = remade_data,
                               .on_end = remade_end,
                               .on_failed = remade_failed};
    r->remake = remake_new(&o);
    return r->remake;
}

/* --- from the node ------------------------------------------------------------------------------------------------ */

/* Whether and how it goes on. */
static void decide(struct reverse *r, const struct association_context *context)
{
    const struct config_route *route = route_of(r->session, r->outbound);
    const char *why = find_way(r, context);
    bool changes = route && route->has_morph_response && r->command.field == DIMSE_C_STORE_RQ;
    if (why)
        refuse(r, DIMSE_STATUS_SOP_CLASS_NOT_SUPPORTED, why);
    else if (changes && dimse_has_data_set(&r->command) && !begin_remake(r, route, context))
        refuse(r, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
}

/* --- reports of storage commitment -------------------------------------------------------------------------------- */

static bool is_report(const struct outbound *o, uint8_t context_id, const struct dimse_command *c)
{
    const struct relay *relay = outbound_owner(o);
    const struct association_context *context = association_context(&o->a, context_id);
    return relay->commitments && c->field == DIMSE_N_EVENT_REPORT_RQ && dimse_has_data_set(c) &&
           route_service(view_of(context->abstract_syntax), c->field) == CONFIG_COMMIT;
}

static bool begin_report(struct outbound *o, uint8_t context_id, const struct dimse_command *c)
{
    struct reverse *r = o->foreign ? NULL : reverse_new(NULL, o, context_id, c);
    if (!r)
        return false;
    r->is_report = true;
    o->foreign = r;
    return true;
}

/* It is gathered whole: more may be held than flows through. */
static void report_data(struct reverse *r, struct buf *b, uint8_t *at, uint32_t len)
{
    struct association *a = &r->outbound->a;
    const struct config *c = r->outbound->config;
    if (r->data.bytes + len > c->header_max)
        refuse(r, DIMSE_STATUS_RESOURCE_LIMITATION, "a report larger than header_max");
    else if (!slices_push(&r->data, b, at, len))
        association_abort(a, "out of memory");
    else if (r->data.bytes > c->window / 2)
        stream_set_limit(&a->stream, (uint32_t)((c->window + 4 * c->header_max) / BUF_BYTES));
}

static void report_end(struct reverse *r)
{
    struct outbound *o = r->outbound;
    const struct association_context *context = association_context(&o->a, r->node_context);
    struct commitment_reporter from = {.node = r->node->name};
    uint16_t status = r->refused ? r->refused
                                 : commitment_report(outbound_owner(o), &from, &r->command, &r->data,
                                                     context->transfer_syntax);
    answer_status(r, status, r->refused ? r->comment : NULL);
    reverse_free(r);
}

/* --- what comes of the node ---------------------------------------------------------------------------------------- */

static bool on_request(struct outbound *o, uint8_t context_id, const struct dimse_command *c)
{
    struct relay *relay = outbound_owner(o);
    if (is_report(o, context_id, c))
        return begin_report(o, context_id, c);
    struct session *s = session_of(relay, o->user);
    struct reverse *r = s && !o->foreign ? reverse_new(s, o, context_id, c) : NULL;
    if (!r)
        return false;
    o->foreign = r;
    decide(r, association_context(&o->a, context_id));
    r->is_received = r->is_complete = !dimse_has_data_set(c);
    if (r->is_received) {
        begin_in_time(r);
        settle(r);
    }
    return true;
}

static void on_data(struct outbound *o, struct buf *b, uint8_t *at, uint32_t len)
{
    struct reverse *r = o->foreign;
    if (!r || r->refused || (!r->session && !r->is_report))
        return;
    r->moved += len;
    if (r->is_report)
        report_data(r, b, at, len);
    else if (r->remake)
        remake_data(r->remake, b, at, len);
    else if (!slices_push(&r->data, b, at, len))
        association_abort(&o->a, "out of memory");
    else
        go_on(r);
}

static void on_data_end(struct outbound *o)
{
    struct reverse *r = o->foreign;
    if (!r)
        return;
    r->is_received = true;
    if (r->is_report) {
        report_end(r);
        return;
    }
    if (r->remake && !r->refused) {
        remake_end(r->remake);
    } else {
        r->is_complete = true;
        go_on(r);
    }
    if (o->foreign == r) /* what it said may have ended the sender's association, and the node's with it */
        settle(r);
}

static void on_end(struct outbound *o, const char *why)
{
    struct reverse *r = o->foreign;
    o->foreign = NULL;
    r->outbound = NULL;
    remake_free(&r->remake); /* nothing more comes for it */
    if (r->session && r->is_speaking) {
        LOG(LOG_WARN, "node lost in the middle of an instance that the sender is being sent",
            LOG_STR("assoc", o->a.id), LOG_STR("node", o->node->name), LOG_STR("cause", why));
        association_abort(&r->session->a, "a node was lost in the middle of an instance");
        return; /* reverse_sender_lost has come, or comes */
    }
    if (!r->session || !r->message_id || r->is_answered)
        reverse_free(r);
    /* else the sender's answer comes, and is let go */
}

const struct outbound_foreign reverse_foreign = {
    .on_request = on_request, .on_data = on_data, .on_data_end = on_data_end, .on_end = on_end};

/* --- from the sender ---------------------------------------------------------------------------------------------- */

bool reverse_response(struct session *s, const struct dimse_command *c)
{
    struct reverse *r;
    TAILQ_FOREACH (r, &s->reverses, link)
        if (r->message_id && !r->is_answered && r->message_id == c->responded_id)
            break;
    if (!r || c->field != (r->command.field | 0x8000))
        return false;
    io_timer_stop(s->relay->io, &r->silence);
    if (!dimse_copy(c, &r->response_values, &r->response)) {
        association_abort(&s->a, "out of memory");
        return true;
    }
    if (dimse_has_data_set(c)) {
        s->answering = r;
        return true;
    }
    r->is_answered = true;
    if (!r->outbound)
        reverse_free(r);
    else
        settle(r);
    return true;
}

void reverse_data(struct session *s, struct buf *b, uint8_t *at, uint32_t len)
{
    struct reverse *r = s->answering;
    if (r->response_data.bytes + len > s->config->window / 2)
        association_abort(&s->a, "a response larger than half the window");
    else if (!slices_push(&r->response_data, b, at, len))
        association_abort(&s->a, "out of memory");
}

void reverse_data_end(struct session *s)
{
    struct reverse *r = s->answering;
    s->answering = NULL;
    r->is_answered = true;
    if (!r->outbound)
        reverse_free(r);
    else
        settle(r);
}

void reverse_sender_lost(struct session *s)
{
    struct reverse *r, *next;
    for (r = TAILQ_FIRST(&s->reverses); r; r = next) {
        next = TAILQ_NEXT(r, link);
        leave_session(r);
        r->is_speaking = false;
        slices_clear(&r->data);
        if (!r->outbound)
            reverse_free(r);
        else
            settle(r);
    }
}
