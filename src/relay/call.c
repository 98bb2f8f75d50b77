#include "relay/call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "dicom/uid.h"
#include "dimse/status.h"
#include "relay/access.h"
#include "relay/commitment.h"
#include "route/service.h"

enum { PENDING_MAX_BYTES = 64 << 10 }; /* that wait to be read by the sender */

/* --- its end ------------------------------------------------------------------------------------------------------ */

static void on_gone(struct io_task *task)
{
    struct call *c = task->owner;
    c->session->relay->calls--;
    for (size_t i = 0; i < c->edition_count; i++)
        slices_clear(&c->editions[i].data);
    slices_clear(&c->received);
    octets_free(&c->bytes);
    octets_free(&c->values);
    route_attributes_free(&c->attributes);
    free(c->editions);
    free(c->destinations);
    free(c->legs);
    free(c->commands);
    free(c->abstract_syntax);
    free(c->transfer_syntax);
    session_unref(c->session);
    free(c);
}

static void log_call(const struct call *c, const struct dimse_command *r)
{
    char hex[8];
    snprintf(hex, sizeof(hex), "%04X", r->status);
    enum log_level level = dimse_status_class(r->status) == DIMSE_FAILURE ? LOG_WARN : LOG_INFO;
    LOG(level, "request answered", LOG_STR("assoc", c->session->a.id), LOG_STR("message", c->id),
        LOG_STR("command", dimse_field_name(c->command.field)),
        LOG_STR("service", config_service_name(c->service)), LOG_STR("calling", c->session->calling),
        LOG_TEXT("sop_class", c->sop_class.at, c->sop_class.len),
        LOG_INT("destinations", c->destination_count), LOG_INT("pending", c->pending_responses),
        LOG_INT("ms", io_now(c->session->relay->io) - c->begun_ms), LOG_STR("status", hex),
        c->has_failed_here ? LOG_TEXT("comment", r->comment.at, r->comment.len)
                           : LOG_PATIENT_TEXT("comment", r->comment.at, r->comment.len, LOG_WITHHELD));
}

/* Nothing is left of it but memory, which goes from the loop: whoever calls may be a leg's. */
static void over(struct call *c)
{
    struct session *s = c->session;
    c->is_answered = true;
    io_timer_stop(s->relay->io, &c->watch);
    for (unsigned i = 0; i < c->leg_count; i++)
        leg_abandon(&c->legs[i]);
    if (c->plan && c->plan->end)
        c->plan->end(c);
    c->plan = NULL;
    if (s->receiving_call == c)
        s->receiving_call = NULL;
    TAILQ_REMOVE(&s->calls, c, link);
    io_defer(s->relay->io, &c->gone);
    session_work_over(s);
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

/* What the node says beyond a status; ids and UIDs are the request's, as it was sent (PS3.7 9.1.1.1.4). */
static void fill_response(const struct call *c, const struct dimse_command *r, bool has_data,
                          struct dimse_command *out)
{
    static const uint32_t passed = DIMSE_HAS_OFFENDING | DIMSE_HAS_COMMENT | DIMSE_HAS_ERROR_ID |
                                   DIMSE_HAS_EVENT_TYPE | DIMSE_HAS_ATTRIBUTES | DIMSE_HAS_ACTION_TYPE |
                                   DIMSE_HAS_REMAINING | DIMSE_HAS_COMPLETED | DIMSE_HAS_FAILED |
                                   DIMSE_HAS_WARNING;
    dimse_response_to(&c->command, r->status, NULL, out);
    uint32_t echoed = out->has;
    struct dimse_command ids = *out;
    *out = *r;
    out->has = (r->has & passed) | echoed;
    out->field = ids.field;
    out->responded_id = ids.responded_id;
    out->affected_class = ids.affected_class;
    if (echoed & DIMSE_HAS_AFFECTED_INSTANCE)
        out->affected_instance = ids.affected_instance;
    else
        out->has |= r->has & DIMSE_HAS_AFFECTED_INSTANCE; /* of an N-CREATE: the node has made it */
    if (echoed & ~r->has & DIMSE_HAS_EVENT_TYPE)
        out->event_type = ids.event_type;
    if (echoed & ~r->has & DIMSE_HAS_ACTION_TYPE)
        out->action_type = ids.action_type;
    out->data_set_type = has_data ? DIMSE_DATA_SET : DIMSE_NO_DATA_SET;
}

/* Of a retrieval: the next one says all that it does. Who does not read is not sent more and more of them. */
static bool may_skip(const struct session *s, bool is_last, bool has_data)
{
    return !is_last && !has_data && association_backlog(&s->a) + voice_backlog(&s->voice) > PENDING_MAX_BYTES;
}

void call_respond(struct call *c, const struct dimse_command *r, struct slices *data)
{
    struct dimse_command out;
    bool is_last = dimse_status_class(r->status) != DIMSE_PENDING;
    if (c->is_answered)
        return;
    if (!c->is_lost) {
        bool has_data = data && data->bytes > 0;
        if (may_skip(c->session, is_last, has_data))
            return;
        fill_response(c, r, has_data, &out);
        session_say(c->session, c->context_id, &out, data);
    }
    if (c->is_answered) /* the association is over for want of memory */
        return;
    c->pending_responses += !is_last;
    if (is_last) {
        log_call(c, r);
        over(c);
    }
}

bool call_is_normalized(const struct call *c)
{
    return c->command.field >= DIMSE_N_EVENT_REPORT_RQ;
}

/* What a status of ours is called in the service's own words (PS3.7 10.1). */
uint16_t call_status(const struct call *c, uint16_t status)
{
    if (!call_is_normalized(c))
        return status;
    if (status == DIMSE_STATUS_OUT_OF_RESOURCES)
        return DIMSE_STATUS_RESOURCE_LIMITATION;
    return status >= 0xA000 ? DIMSE_STATUS_PROCESSING_FAILURE : status;
}

void call_fail(struct call *c, uint16_t status, const char *comment)
{
    struct dimse_command r = {.has = DIMSE_HAS_STATUS, .status = call_status(c, status)};
    if (comment && *comment) {
        r.has |= DIMSE_HAS_COMMENT;
        r.comment = (struct view){(const uint8_t *)comment, strnlen(comment, 64)};
    }
    c->has_failed_here = true;
    call_respond(c, &r, NULL);
}

/* --- legs --------------------------------------------------------------------------------------------------------- */

/* What is asked on these stands on what was asked before (a film session and its boxes). */
static bool keeps_association(const struct call *c)
{
    return c->service == CONFIG_PRINT || c->service == CONFIG_UPS ||
           (c->service == CONFIG_OTHER && call_is_normalized(c));
}

bool call_make_legs(struct call *c, unsigned count)
{
    const struct config_timeouts *t = &c->session->config->timeouts;
    bool retrieves = c->service == CONFIG_MOVE || c->service == CONFIG_GET;
    hilum_assert(!c->legs);
    c->legs = calloc(count, sizeof(*c->legs));
    c->commands = calloc(count, sizeof(*c->commands));
    if (!c->legs || !c->commands)
        return false;
    for (unsigned i = 0; i < count; i++)
        c->legs[i] = (struct leg){.owner = c,
                                  .association = c->session->a.id,
                                  .message = c->id,
                                  .source = &c->session->source,
                                  .abstract_syntax = c->abstract_syntax,
                                  .transfer_syntax = c->transfer_syntax,
                                  .silence_ms = retrieves ? t->retrieve : t->response,
                                  .is_own = c->service == CONFIG_GET,
                                  .keeps = keeps_association(c),
                                  .is_over = true};
    c->leg_count = count;
    return true;
}

void call_set_leg(struct call *c, unsigned i, const struct call_destination *d)
{
    struct leg *l = &c->legs[i];
    c->commands[i] = c->command;
    c->commands[i].has &= ~(uint32_t)DIMSE_HAS_MESSAGE_ID;
    if (d->sop_instance && (c->command.has & DIMSE_HAS_AFFECTED_INSTANCE))
        c->commands[i].affected_instance = view_of(d->sop_instance);
    else if (d->sop_instance)
        c->commands[i].requested_instance = view_of(d->sop_instance);
    l->command = &c->commands[i];
    l->node = d->node;
    l->data = d->data;
}

void call_cancel_legs(struct call *c)
{
    for (unsigned i = 0; i < c->leg_count; i++)
        leg_cancel(&c->legs[i]);
}

void call_cancel(struct call *c)
{
    if (c->is_cancelled || c->is_answered)
        return;
    LOG(LOG_INFO, "cancelled by the sender", LOG_STR("assoc", c->session->a.id), LOG_STR("message", c->id));
    c->is_cancelled = true;
    if (!c->is_complete)
        return; /* it is not answered before it is here */
    call_cancel_legs(c);
    if (c->plan && c->plan->cancel)
        c->plan->cancel(c);
}

/* What a normalized request changes is changed, whether or not the sender hears of it; a query or retrieval for nobody is given up. */
void call_sender_lost(struct call *c)
{
    if (c->is_answered)
        return;
    c->is_lost = true;
    if (!c->is_complete || !call_is_normalized(c)) {
        over(c);
        return;
    }
    for (unsigned i = 0; i < c->leg_count; i++)
        leg_sender_lost(&c->legs[i]);
}

/* --- the request -------------------------------------------------------------------------------------------------- */

static bool fill(struct call *c, uint8_t context_id, const struct dimse_command *command)
{
    const struct association_context *context = association_context(&c->session->a, context_id);
    c->context_id = context_id;
    c->abstract_syntax = strdup(context->abstract_syntax);
    c->transfer_syntax = strdup(context->transfer_syntax);
    if (!c->abstract_syntax || !c->transfer_syntax || !dimse_copy(command, &c->values, &c->command))
        return false;
    bool is_affected = c->command.has & DIMSE_HAS_AFFECTED_CLASS;
    c->sop_class = dicom_uid_trim(is_affected ? c->command.affected_class : c->command.requested_class);
    is_affected = c->command.has & DIMSE_HAS_AFFECTED_INSTANCE;
    c->sop_instance =
        dicom_uid_trim(is_affected ? c->command.affected_instance : c->command.requested_instance);
    c->has_data = dimse_has_data_set(command);
    c->service = route_service(view_of(c->abstract_syntax), command->field);
    return true;
}

static void refuse(struct call *c, uint16_t status, const char *comment)
{
    c->early_status = status;
    c->early_comment = comment;
    slices_clear(&c->received);
}

/* Requests that are gathered, and want the rest of the pool, each the part that another holds, would wait for ever. One at a time: what it held may be enough. */
static void on_watch(struct io_timer *t)
{
    struct call *c = t->owner;
    struct relay *r = c->session->relay;
    const struct stream *stream = &c->session->a.stream;
    uint64_t now = io_now(r->io), lag = c->session->config->timeouts.lag;
    uint64_t since = stream->received_ms > r->gave_up_ms ? stream->received_ms : r->gave_up_ms;
    if (stream_is_starved(stream) && now - since >= lag && !c->early_status) {
        r->gave_up_ms = now;
        refuse(c, DIMSE_STATUS_OUT_OF_RESOURCES, "no memory in time to hold it whole");
    }
    io_timer_start(r->io, t, lag / 4 + 1);
}

void call_begin(struct session *s, uint8_t context_id, const struct dimse_command *command)
{
    struct call *c = calloc(1, sizeof(*c));
    const char *why;
    bool is_id_taken = session_has_request(s, command->message_id);
    if (!c) {
        association_abort(&s->a, "out of memory");
        return;
    }
    c->session = s;
    session_ref(s);
    c->gone = (struct io_task){.run = on_gone, .owner = c};
    c->begun_ms = io_now(s->relay->io);
    snprintf(c->id, sizeof(c->id), "%s/%u", s->a.id, ++s->next_message);
    s->relay->calls++;
    TAILQ_INSERT_TAIL(&s->calls, c, link);
    session_work_begins(s);
    if (!fill(c, context_id, command)) {
        over(c);
        association_abort(&s->a, "out of memory");
        return;
    }
    uint16_t refused = access_status(s, c->abstract_syntax, command, &why);
    if (refused)
        refuse(c, refused, why);
    else if (is_id_taken)
        refuse(c, DIMSE_STATUS_DUPLICATE_MESSAGE_ID, "message id of an outstanding request");
    s->receiving_call = c->has_data ? c : NULL;
    c->watch = (struct io_timer){.on_fire = on_watch, .owner = c};
    if (c->has_data)
        io_timer_start(s->relay->io, &c->watch, s->config->timeouts.lag / 4 + 1);
    else
        call_complete(c);
}

void call_data(struct call *c, struct buf *b, uint8_t *at, uint32_t len)
{
    const struct config *config = c->session->config;
    if (c->early_status)
        return;
    if (c->received.bytes + len > config->header_max)
        refuse(c, DIMSE_STATUS_OUT_OF_RESOURCES, "a data set larger than header_max");
    else if (!slices_push(&c->received, b, at, len))
        refuse(c, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
    else if (c->received.bytes > config->window / 2) /* every buffer is a quarter full at least */
        stream_set_limit(&c->session->a.stream,
                         (uint32_t)((config->window + 4 * config->header_max) / BUF_BYTES));
}

bool call_bytes(struct call *c, struct view *out)
{
    if (c->bytes.len == 0 && c->received.bytes > 0) {
        octets_fill(&c->bytes, 0, c->received.bytes);
        if (!c->bytes.failed)
            slices_copy_out(&c->received, 0, c->bytes.data, c->received.bytes);
    }
    *out = (struct view){c->bytes.data, c->bytes.len};
    return !c->bytes.failed;
}

/* A node reports on what it was asked to commit: to us, whoever is told then. */
static bool is_commitment_report(const struct call *c)
{
    return c->service == CONFIG_COMMIT && c->command.field == DIMSE_N_EVENT_REPORT_RQ &&
           c->session->relay->commitments;
}

static void take_commitment_report(struct call *c)
{
    char remote[64];
    struct session *s = c->session;
    io_address_text(&s->a.peer, false, remote);
    struct commitment_reporter from = {.calling = s->calling, .remote = remote};
    struct dimse_command r = {
        .has = DIMSE_HAS_STATUS,
        .status = commitment_report(s->relay, &from, &c->command, &c->received, c->transfer_syntax)};
    call_respond(c, &r, NULL);
}

static const struct call_plan *plan_of(const struct call *c)
{
    static const struct call_plan commit = {.begin = commitment_request, .end = commitment_request_over};
    if (c->service == CONFIG_COMMIT && c->session->relay->commitments)
        return &commit;
    if (c->destination_count == 1)
        return &call_single;
    switch (c->command.field) {
    case DIMSE_C_FIND_RQ:
        return &call_find;
    case DIMSE_C_MOVE_RQ:
    case DIMSE_C_GET_RQ:
        return &call_retrieve;
    default:
        return &call_every;
    }
}

void call_complete(struct call *c)
{
    struct session *s = c->session;
    if (s->receiving_call == c)
        s->receiving_call = NULL;
    c->is_complete = true;
    io_timer_stop(s->relay->io, &c->watch);
    if (c->early_status)
        call_fail(c, c->early_status, c->early_comment);
    else if (c->is_cancelled)
        call_fail(c, DIMSE_STATUS_CANCELLED, "cancelled before it was complete");
    else if (is_commitment_report(c))
        take_commitment_report(c);
    else if (call_route(c)) {
        c->plan = plan_of(c);
        c->plan->begin(c);
    }
}
