#include "relay/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/text.h"
#include "dicom/uid.h"
#include "dimse/status.h"
#include "relay/access.h"
#include "relay/edition.h"
#include "relay/hold.h"
#include "relay/keep.h"
#include "relay/message_move.h"
#include "relay/message_queue.h"
#include "relay/message_route.h"
#include "route/service.h"

static void on_settle(struct io_task *task);

void message_preset(struct message *m, uint16_t status, const char *comment)
{
    m->is_preset = true;
    m->status = status;
    snprintf(m->comment, sizeof(m->comment), "%s", comment);
}

static void free_parts(struct message *m)
{
    message_queue_free(m);
    message_move_free(m);
    message_place_free(m);
    hold_free(&m->hold);
    gathered_free(&m->gathered);
    for (unsigned i = 0; i < m->edition_count; i++)
        edition_free(&m->editions[i]);
    free(m->editions);
    free(m->sink_editions);
    octets_free(&m->values);
    free(m->abstract_syntax);
    free(m->transfer_syntax);
    free(m->sinks);
    free(m->stages);
    for (unsigned i = 0; m->outcomes && i < m->sink_count; i++)
        free(m->outcomes[i].said);
    free(m->outcomes);
    free(m);
}

static void message_free(struct message *m)
{
    struct session *s = m->session;
    TAILQ_REMOVE(&s->relay->messages, m, relay_link);
    io_timer_stop(s->relay->io, &m->watch);
    io_defer_cancel(s->relay->io, &m->settle);
    free_parts(m);
    session_unref(s);
}

static void log_message(const struct message *m, uint16_t status, const char *comment, bool is_quoted)
{
    const struct sink_message *f = &m->facts;
    enum log_level level = dimse_severity(m->command.field, status) >= 2 ? LOG_WARN : LOG_INFO;
    char hex[8];
    snprintf(hex, sizeof(hex), "%04X", status);
    LOG(level, m->is_lost ? "message without a sender" : "message answered",
        LOG_STR("assoc", m->session->a.id), LOG_STR("message", m->id),
        LOG_STR("command", dimse_field_name(m->command.field)), LOG_STR("calling", m->session->calling),
        LOG_TEXT("sop_class", f->sop_class.at, f->sop_class.len),
        LOG_UID_TEXT("sop_instance", f->sop_instance.at, f->sop_instance.len),
        LOG_STR("transfer_syntax", f->transfer_syntax), LOG_INT("bytes", m->received),
        LOG_INT("destinations", m->sink_count + m->copy_count), LOG_INT("queued", m->queued),
        LOG_STR("status", hex), LOG_QUOTED("comment", comment, is_quoted));
}

/* The elements in question, and the node's error id, as it gave them: they say more than the status (PS3.7 Annex C). */
static void add_said(const struct message_said *by, struct dimse_command *response)
{
    const struct dimse_command *said = &by->command;
    response->has |= said->has;
    response->error_id = said->error_id;
    response->offending = said->offending;
    response->attributes = said->attributes;
}

static void answer(struct message *m)
{
    struct session *s = m->session;
    struct dimse_command response;
    const char *comment;
    uint16_t status;
    const struct message_outcome *speaker = message_verdict(m, &status, &comment);
    message_queue_note(m);
    message_queue_end(m);
    m->is_answered = true;
    log_message(m, status, comment, speaker && speaker->is_quoted);
    if (!m->is_lost && !s->is_over) {
        dimse_response_to(&m->command, status, comment[0] ? comment : NULL, &response);
        if (speaker && speaker->said)
            add_said(speaker->said, &response);
        session_say(s, m->context_id, &response, NULL);
    }
    session_message_over(s, m);
}

/* Answers once all is in; frees once the sinks are gone. Runs from the loop, never under a sink's feet. */
static void on_settle(struct io_task *task)
{
    struct message *m = task->owner;
    if (!m->is_answered && m->is_complete && !m->hold && m->done_count == m->sink_count &&
        message_queue_settle(m))
        answer(m);
    if (m->is_answered && m->gone_count == m->sink_count && message_queue_is_idle(m) &&
        !message_is_placing(m) && (!m->gathered || gathered_is_idle(m->gathered)))
        message_free(m);
}

static void settle(struct message *m)
{
    io_defer(m->session->relay->io, &m->settle);
}

void message_queue_moved(struct message *m)
{
    settle(m);
}

/* What may be held on top of `window`: whole instances that are gathered, bytes kept for a second try. */
static void set_limit(struct message *m)
{
    const struct config *c = m->session->config;
    uint64_t bytes = c->window, all = 4 * (c->header_max + 2 * GATHERED_WRITE_BYTES),
             gathered = m->hold ? all : 0; /* every buffer is a quarter full at least */
    for (unsigned i = 0; i < m->sink_count; i++) {
        const struct sink *s = m->sinks[i];
        if (!s || s->is_done)
            continue;
        if (!m->is_complete && stage_holds(m->stages[i]) > 0)
            gathered = all;
        if (s->retains)
            bytes = c->window + c->replay_max;
    }
    if (m->keep && keep_is_whole(m->keep))
        bytes = c->window + c->replay_max;
    uint64_t ballast = !gathered && m->gathered ? 4 * gathered_in_memory(m->gathered) : 0;
    uint32_t buffers = (uint32_t)((bytes + gathered + ballast + BUF_BYTES - 1) / BUF_BYTES);
    if (!m->session->is_over && m->session->a.stream.limit != buffers)
        stream_set_limit(&m->session->a.stream, buffers);
}

static void sink_ready(struct sink *s)
{
    struct message *m = s->owner;
    s->is_ready = true;
    set_limit(m); /* it may keep what it sends */
    if (!m->session->is_over)
        stream_look_again(
            &m->session->a.stream); /* full of what waited for it: kept now, it would free nothing */
    message_start_next_limited(m);
}

static void sink_taken(struct sink *s)
{
    const struct message *m = s->owner;
    association_look_again(&m->session->a);
}

static struct view keep_tags(uint8_t **to, struct view tags)
{
    struct view kept = {*to, tags.len};
    if (tags.len > 0)
        memcpy(*to, tags.at, tags.len);
    *to += tags.len;
    return kept;
}

/* NULL: there is nothing to be kept, or no memory; then it is left out. */
static struct message_said *keep_said(const struct dimse_command *c)
{
    uint32_t has = c ? c->has & (DIMSE_HAS_ERROR_ID | DIMSE_HAS_OFFENDING | DIMSE_HAS_ATTRIBUTES) : 0;
    struct message_said *said = has ? malloc(sizeof(*said) + c->offending.len + c->attributes.len) : NULL;
    if (!said)
        return NULL;
    uint8_t *at = said->tags;
    said->command = (struct dimse_command){.has = has, .error_id = c->error_id};
    said->command.offending = keep_tags(&at, c->offending);
    said->command.attributes = keep_tags(&at, c->attributes);
    return said;
}

static void take_status(struct sink *s, uint16_t status, const char *comment)
{
    struct message *m = s->owner;
    hilum_assert(!s->is_done);
    struct message_outcome *outcome = &m->outcomes[s->index];
    s->is_done = true;
    outcome->node = s->node; /* of a pool it may be another one by now */
    outcome->status = status;
    outcome->said = keep_said(s->said);
    outcome->is_quoted = s->is_quoted;
    text_printable(outcome->comment, sizeof(outcome->comment), comment ? comment : "",
                   comment ? strlen(comment) : 0);
    m->done_count++;
    association_look_again(&m->session->a); /* payload may pass to the others, or to nobody */
    if (dimse_severity(m->command.field, status) >= 2) {
        char hex[8];
        snprintf(hex, sizeof(hex), "%04X", status);
        bool is_queued = message_queue_may_take(m, s->index, status);
        if (is_queued)
            keep_need(m->keep);
        LOG(is_queued ? LOG_INFO : LOG_WARN,
            is_queued ? "destination failed, to be queued" : "destination failed",
            LOG_STR("assoc", m->session->a.id), LOG_STR("message", m->id), LOG_STR("node", s->node->name),
            LOG_STR("status", hex), LOG_QUOTED("comment", outcome->comment, outcome->is_quoted));
    }
    settle(m);
}

static void sink_done(struct sink *s, uint16_t status, const char *comment)
{
    struct message *m = s->owner;
    take_status(s, status, comment);
    message_start_next_limited(m);
}

static void sink_gone(struct sink *s)
{
    struct message *m = s->owner;
    stage_free(&m->stages[s->index]);
    m->sinks[s->index] = NULL;
    m->gone_count++;
    settle(m);
}

void message_take_sink(struct message *m, struct sink *s)
{
    s->owner = m;
    s->index = m->sink_count;
    s->on_ready = sink_ready;
    s->on_taken = sink_taken;
    s->on_done = sink_done;
    s->on_gone = sink_gone;
    s->on_moved = message_sink_moved;
    s->progress_ms = io_now(m->session->relay->io);
    m->sinks[m->sink_count++] = s;
}

void message_fail_sink(struct sink *s, uint16_t status, const char *what)
{
    char comment[65];
    snprintf(comment, sizeof(comment), "%s: %s", s->node->name, what);
    take_status(s, status, comment);
    s->ops->abandon(s);
}

static void flow(struct message *m)
{
    for (unsigned i = 0; i < m->sink_count; i++)
        if (m->sinks[i])
            stage_flow(m->stages[i], m->sinks[i]);
}

static bool routes_echo(const struct session *s)
{
    struct route_facts facts;
    session_facts(s, CONFIG_ECHO, &facts);
    facts.has_instance = true;
    return route_serves(s->config, &facts);
}

static bool is_durable(const struct dimse_command *c, enum config_service service)
{
    return service == CONFIG_MPPS && (c->field == DIMSE_N_CREATE_RQ || c->field == DIMSE_N_SET_RQ);
}

bool message_takes(const struct session *s, uint8_t context_id, const struct dimse_command *c)
{
    struct view abstract_syntax = view_of(association_context(&s->a, context_id)->abstract_syntax);
    if (c->field == DIMSE_C_STORE_RQ || c->field == DIMSE_C_ECHO_RQ)
        return true;
    return s->relay->spool && dimse_has_data_set(c) &&
           is_durable(c, route_service(abstract_syntax, c->field)) &&
           message_route_may_queue(s, CONFIG_MPPS, c);
}

static void decide(struct message *m)
{
    const struct dimse_command *c = &m->command;
    const char *why;
    uint16_t refused = access_status(m->session, m->abstract_syntax, c, &why);
    if (refused) {
        message_preset(m, refused, why);
    } else if (m->has_taken_id) {
        message_preset(m, DIMSE_STATUS_DUPLICATE_MESSAGE_ID, "message id of an outstanding request");
    } else if (c->field == DIMSE_C_ECHO_RQ) {
        if (routes_echo(m->session))
            message_route(m, CONFIG_ECHO);
        else
            message_preset(m, DIMSE_STATUS_SUCCESS, "");
    } else if (c->field != DIMSE_C_STORE_RQ) { /* message_takes */
        if (m->facts.sop_instance.len == 0)    /* PS3.4 F.7.2.1.2: it is the sender who names it */
            message_preset(m, DIMSE_STATUS_INVALID_INSTANCE, "no SOP Instance UID");
        else
            message_route(m, CONFIG_MPPS);
    } else if (!dicom_uid_is_storage(view_of(m->abstract_syntax))) {
        message_preset(m, DIMSE_STATUS_SOP_CLASS_NOT_SUPPORTED, "not a presentation context for storage");
    } else if (m->facts.sop_instance.len == 0) {
        message_preset(m, DIMSE_STATUS_INVALID_INSTANCE, "no SOP Instance UID");
    } else if (!m->facts.has_data) { /* quirk 27 */
        message_preset(m, DIMSE_STATUS_CANNOT_UNDERSTAND, "C-STORE without a data set");
    } else {
        message_route(m, CONFIG_STORE);
    }
}

/* "w0-17/3": the association's id and a number, without printf, which was seen in profiles. */
static void name_message(char id[MESSAGE_ID_BYTES], const char *association, unsigned number)
{
    char digits[10];
    size_t count = 0, len = strlen(association);
    do
        digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    hilum_assert(len + 1 + count < MESSAGE_ID_BYTES);
    memcpy(id, association, len);
    id[len++] = '/';
    while (count > 0)
        id[len++] = digits[--count];
    id[len] = '\0';
}

static struct message *message_new(struct session *s, uint8_t context_id, const struct dimse_command *c)
{
    const struct association_context *context = association_context(&s->a, context_id);
    struct message *m = calloc(1, sizeof(*m));
    if (!m)
        return NULL;
    m->abstract_syntax = strdup(context->abstract_syntax);
    m->transfer_syntax = strdup(context->transfer_syntax);
    if (!m->abstract_syntax || !m->transfer_syntax || !dimse_copy(c, &m->values, &m->command)) {
        free_parts(m);
        return NULL;
    }
    session_ref(s);
    TAILQ_INSERT_TAIL(&s->relay->messages, m, relay_link);
    m->session = s;
    m->context_id = context_id;
    name_message(m->id, s->a.id, ++s->next_message);
    m->settle = (struct io_task){.run = on_settle, .owner = m};
    m->facts = (struct sink_message){.association = s->a.id,
                                     .id = m->id,
                                     .command = &m->command,
                                     .sop_class = dicom_uid_trim(dimse_class(&m->command)),
                                     .sop_instance = dicom_uid_trim(dimse_instance(&m->command)),
                                     .abstract_syntax = m->abstract_syntax,
                                     .transfer_syntax = m->transfer_syntax,
                                     .calling = s->calling,
                                     .called = s->called,
                                     .config = s->config,
                                     .user = s->user,
                                     .has_data = dimse_has_data_set(&m->command)};
    return m;
}

void message_begin(struct session *s, uint8_t context_id, const struct dimse_command *c)
{
    struct message *m = message_new(s, context_id, c);
    if (!m) {
        association_abort(&s->a, "out of memory");
        return;
    }
    m->has_taken_id = session_has_request(s, c->message_id);
    TAILQ_INSERT_TAIL(&s->messages, m, link);
    session_work_begins(s);
    s->receiving = m->facts.has_data ? m : NULL;
    decide(m);
    message_watch(m);
    if (!m->facts.has_data)
        message_complete(m);
}

/* --- data ---------------------------------------------------------------------------------------------------- */

static void flow_in_time(struct message *m)
{
    if (m->hold || m->is_flowing || m->received < MESSAGE_FLOW_BYTES)
        return;
    m->is_flowing = true;
    flow(m);
}

void message_feed_sinks(struct message *m, struct buf *b, uint8_t *at, uint32_t len)
{
    for (unsigned i = 0; i < m->sink_count; i++)
        if (m->sinks[i])
            stage_data(m->stages[i], m->sinks[i], b, at, len);
}

static void pass_data(struct message *m, struct buf *b, uint8_t *at, uint32_t len)
{
    if (m->gathered)
        gathered_push(m->gathered, b, at, len); /* who waits for it is told (proceed_gathered) */
    message_feed_sinks(m, b, at, len);
}

void message_leave_gathered(struct message *m)
{
    if (!m->gathered || m->hold)
        return;
    for (unsigned i = 0; i < m->sink_count; i++)
        if (m->sinks[i] && !m->sinks[i]->is_done && stage_holds(m->stages[i]) > 0)
            return;
    if (m->edition_count > 0)
        gathered_close(m->gathered);
    else
        gathered_drop(m->gathered);
}

static void finish_sinks(struct message *m)
{
    flow(m);
    for (unsigned i = 0; i < m->sink_count; i++)
        if (m->sinks[i]) {
            m->sinks[i]->progress_ms = io_now(m->session->relay->io); /* `response` is counted from here */
            stage_finish(m->stages[i], m->sinks[i]);
        }
}

/* What is gathered has been written, or cannot be. */
static void on_gathered_moved(void *owner)
{
    struct message *m = owner;
    if (m->hold) {
        message_route_moved(m);
        if (!m->hold && m->is_complete)
            finish_sinks(m);
        flow_in_time(m);
    } else {
        for (unsigned i = 0; i < m->sink_count; i++)
            if (m->sinks[i] && !m->sinks[i]->is_done)
                stage_gather_moved(m->stages[i]);
    }
    message_leave_gathered(m);
    if (!m->is_answered)
        set_limit(m);
    settle(m);
}

void message_placed(struct message *m)
{
    if (m->hold)
        on_gathered_moved(m);
    settle(m);
}

bool message_gather(struct message *m)
{
    struct relay *r = m->session->relay;
    struct gathered_options o = {.config = m->session->config,
                                 .pool = r->pool,
                                 .budget = m->session->a.stream.budget,
                                 .spool = r->spool,
                                 .io = r->io,
                                 .owner = m,
                                 .on_moved = on_gathered_moved};
    m->gathered = m->gathered ? m->gathered : gathered_new(&o);
    return m->gathered;
}

/* After each look at what came: what is too much for memory is written. */
static void proceed_gathered(struct message *m)
{
    const char *why;
    if (!m->gathered)
        return;
    message_leave_gathered(m);
    gathered_proceed(m->gathered);
    if (gathered_is_idle(m->gathered) && gathered_state(m->gathered, &why) != OK)
        on_gathered_moved(m);
}

void message_data(struct message *m, struct buf *b, uint8_t *at, uint32_t len)
{
    m->received += len;
    if (m->keep)
        keep_data(m->keep, b, at, len);
    if (m->hold)
        message_route_data(m, b, at, len);
    else
        pass_data(m, b, at, len);
    proceed_gathered(m);
    flow_in_time(m);
    set_limit(m);
}

void message_complete(struct message *m)
{
    if (m->hold)
        message_route_end(m);
    m->is_complete = true;
    if (!m->hold) /* else when it is decided */
        finish_sinks(m);
    proceed_gathered(m);
    set_limit(m);
    settle(m);
}

void message_relieve(struct message *m)
{
    if (m->keep)
        keep_relieve(m->keep);
    for (unsigned i = 0; i < m->sink_count; i++) {
        struct sink *s = m->sinks[i];
        if (s && !s->is_done && s->retains)
            s->ops->relieve(s);
    }
}

void message_let_go(struct message *m)
{
    if (m->received > 0 && !m->is_flowing && !m->hold) {
        m->is_flowing = true;
        flow(m);
    }
    if (m->keep)
        keep_relieve(m->keep);
    if (m->gathered && !m->is_answered) {
        gathered_relieve(m->gathered);
        proceed_gathered(m);
    }
    for (unsigned i = 0; i < m->sink_count; i++) {
        struct sink *s = m->sinks[i];
        if (s && !s->is_done && s->ops->relieve)
            s->ops->relieve(s);
    }
    set_limit(m);
}

void message_sender_lost(struct message *m)
{
    m->is_lost = true;
    if (m->is_complete || m->is_answered)
        return;
    LOG(LOG_WARN, "message abandoned by its sender", LOG_STR("assoc", m->session->a.id),
        LOG_STR("message", m->id), LOG_INT("bytes", m->received));
    io_timer_stop(m->session->relay->io, &m->watch);
    hold_free(&m->hold);
    if (m->gathered)
        gathered_drop(m->gathered);
    message_queue_end(m);
    for (unsigned i = 0; i < m->sink_count; i++) {
        struct sink *s = m->sinks[i];
        if (!s || s->is_done)
            continue;
        s->is_done = true;
        m->done_count++;
        s->ops->abandon(s);
    }
    m->is_answered = true; /* nobody is left to answer */
    session_message_over(m->session, m);
    settle(m);
}
