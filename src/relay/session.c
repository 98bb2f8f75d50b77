#include "relay/session.h"
#include "relay/proposal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/text.h"
#include "relay/access.h"
#include "relay/call.h"
#include "relay/commitment.h"
#include "relay/delivery.h"
#include "relay/message.h"
#include "relay/probe.h"
#include "relay/reverse.h"
#include "relay/study.h"

enum {
    DRAIN_CHECK_MS = 100,
    DRAIN_REST_MS = 1000,
    ANSWERS_MAX_BYTES =
        64 << 10,   /* that a sender may leave unread before no more requests are taken from it */
    CALLS_MAX = 64, /* requests whose responses come one by one */
    CALL_ANSWERS_MAX_BYTES = 16 << 20,
    SILENT_TLS_MAX = 512, /* some 50 KiB each */
};

void session_ref(struct session *s)
{
    s->references++;
}

void session_unref(struct session *s)
{
    hilum_assert(s->references > 0);
    if (--s->references > 0)
        return;
    if (s->extras)
        pdu_associate_free(s->extras);
    free(s->extras);
    free(s->came_from);
    free(s->peer);
    ruleset_unref(&s->rules);
    config_unref(&s->config);
    free(s);
}

static struct silent *silent_of(const struct session *s)
{
    return s->a.tls ? &s->relay->silent_tls : &s->relay->silent;
}

static void leave_silent(struct session *s)
{
    if (!s->is_silent)
        return;
    s->is_silent = false;
    TAILQ_REMOVE(&silent_of(s)->list, s, silent_link);
    silent_of(s)->count--;
}

/* Connections that carry no association may not fill the house: the oldest makes room. */
static void join_silent(struct session *s)
{
    struct silent *all = silent_of(s);
    s->is_silent = true;
    TAILQ_INSERT_TAIL(&all->list, s, silent_link);
    all->count++;
    while (all->count > all->max) {
        struct session *oldest = TAILQ_FIRST(&all->list);
        leave_silent(oldest);
        if (oldest->is_over) /* and its peer does not close */
            association_drop(&oldest->a);
        else
            association_abort(&oldest->a, "too many connections without a request");
    }
}

void session_facts(const struct session *s, enum config_service service, struct route_facts *out)
{
    *out = (struct route_facts){.service = service,
                                .calling = view_of(s->calling),
                                .called = view_of(s->called),
                                .listener = s->listen->name,
                                .peer = s->peer};
    memcpy(out->remote, s->remote, sizeof(out->remote));
}

void session_refuse(struct session *s, const struct access_refusal *r)
{
    s->is_refused = true;
    if (access_is_told(s, r->cause, r->title))
        LOG(r->is_ours ? LOG_ERROR : LOG_WARN, "association rejected", LOG_STR("assoc", s->a.id),
            LOG_STR("calling", s->calling), LOG_STR("called", s->called), LOG_STR("remote", s->remote_text),
            LOG_STR("listener", s->listen->name), LOG_STR("caller", s->caller ? s->caller->name : ""),
            LOG_STR("peer", s->peer), LOG_STR("cause", r->cause));
    association_reject(&s->a, r->reject);
}

void session_refuse_for_now(struct session *s, const char *cause)
{
    session_refuse(s, &(struct access_refusal){
                          .reject = {PDU_REJECT_TRANSIENT, PDU_REJECT_PRESENTATION, PDU_REJECT_LOCAL_LIMIT},
                          .cause = cause,
                          .title = s->calling});
}

static void refuse_congested(struct session *s)
{
    session_refuse(s, &(struct access_refusal){
                          .reject = {PDU_REJECT_TRANSIENT, PDU_REJECT_PRESENTATION, PDU_REJECT_CONGESTION},
                          .cause = "memory is short",
                          .title = s->calling});
}

static void log_tls(const struct session *s)
{
    const struct tls *t = s->a.stream.tls;
    if (t)
        LOG(LOG_INFO, "secured", LOG_STR("assoc", s->a.id), LOG_STR("version", tls_version(t)),
            LOG_STR("suite", tls_suite(t)), LOG_STR("peer", tls_peer(t)),
            LOG_STR("resumed", tls_is_resumed(t) ? "yes" : "no"));
}

static void on_request(struct association *a)
{
    struct session *s = a->owner;
    struct access_refusal refusal;
    leave_silent(s);
    text_copy(s->calling, sizeof(s->calling), a->ul.request.calling, strlen(a->ul.request.calling));
    text_copy(s->called, sizeof(s->called), a->ul.request.called, strlen(a->ul.request.called));
    unsigned total = atomic_fetch_add(&s->relay->totals->associations, 1);
    s->is_counted = true;
    s->peer = strdup(association_peer_subject(&s->a));
    if (!s->peer)
        session_refuse_for_now(s, "out of memory");
    else if (!access_admit(s, &refusal))
        session_refuse(s, &refusal);
    else if (total >= s->config->max_associations)
        session_refuse_for_now(s, "max_associations");
    else if (congestion_is(&s->relay->congestion, s->config->timeouts.lag, s->relay->gave_up_ms))
        refuse_congested(s);
    else if (!pace_enter(s))
        session_refuse_for_now(s, "max_associations of the caller");
    else if (!access_identify(s, &refusal))
        session_refuse(s, &refusal);
    else {
        log_tls(s);
        negotiate_begin(s);
    }
}

void session_say(struct session *s, uint8_t context_id, const struct dimse_command *c, struct slices *data)
{
    if (!voice_say(&s->voice, context_id, c, data))
        association_abort(&s->a, "out of memory");
}

static void answer_unknown(struct session *s, uint8_t context_id, const struct dimse_command *c)
{
    (void)context_id;
    LOG(LOG_WARN, "response to no request", LOG_STR("assoc", s->a.id),
        LOG_STR("command", dimse_field_name(c->field)));
    association_fault(&s->a, (struct pdu_fault){PDU_ABORT_INVALID_PARAMETER, "a response to no request"});
}

static bool may_take_more(const struct session *s)
{
    size_t backlog = association_backlog(&s->a);
    /* While responses are on their way a C-CANCEL may come, or the answer to what a node asks. */
    if (!TAILQ_EMPTY(&s->calls) || !TAILQ_EMPTY(&s->reverses))
        return s->outstanding < CALLS_MAX && backlog <= CALL_ANSWERS_MAX_BYTES;
    return s->outstanding < s->a.window && backlog <= ANSWERS_MAX_BYTES;
}

static void hold_if_full(struct session *s)
{
    if (!s->receiving && !s->receiving_call && !may_take_more(s))
        association_hold(&s->a);
}

static void on_sent(struct association *a)
{
    reverse_sent(a->owner);
    if (may_take_more(a->owner))
        association_resume(a);
}

bool session_has_request(const struct session *s, uint16_t message_id)
{
    const struct message *m;
    const struct call *c;
    TAILQ_FOREACH (m, &s->messages, link)
        if (m->command.message_id == message_id)
            return true;
    TAILQ_FOREACH (c, &s->calls, link)
        if (c->command.message_id == message_id)
            return true;
    return false;
}

/* Of what is over, or of C-STORE, nothing can be cancelled. */
static void cancel(struct session *s, uint16_t message_id)
{
    struct call *c;
    TAILQ_FOREACH (c, &s->calls, link)
        if (c->command.message_id == message_id) {
            call_cancel(c);
            return;
        }
}

static void on_command(struct association *a, uint8_t context_id, const struct dimse_command *c)
{
    struct session *s = a->owner;
    if (dimse_is_response(c->field)) {
        if (!reverse_response(s, c))
            answer_unknown(s, context_id, c);
        return;
    }
    if (c->field == DIMSE_C_CANCEL_RQ) {
        cancel(s, c->responded_id);
        return;
    }
    pace_came(s, 1, 0);
    if (message_takes(s, context_id, c))
        message_begin(s, context_id, c);
    else
        call_begin(s, context_id, c);
    hold_if_full(s);
}

static void on_data(struct association *a, struct buf *b, uint8_t *at, uint32_t len)
{
    struct session *s = a->owner;
    if (s->receiving)
        message_data(s->receiving, b, at, len);
    else if (s->receiving_call)
        call_data(s->receiving_call, b, at, len);
    else if (s->answering)
        reverse_data(s, b, at, len);
    pace_came(s, 0, len);
}

static void on_data_end(struct association *a)
{
    struct session *s = a->owner;
    struct message *m = s->receiving;
    struct call *c = s->receiving_call;
    s->receiving = NULL;
    s->receiving_call = NULL;
    if (m)
        message_complete(m);
    if (c)
        call_complete(c);
    if (s->answering)
        reverse_data_end(s);
    hold_if_full(s);
}

static enum association_bulk on_bulk(struct association *a, struct association_legs *legs_out)
{
    struct session *s = a->owner;
    return s->receiving ? message_bulk(s->receiving, legs_out) : ASSOCIATION_BULK_RECEIVE;
}

static void on_passed(struct association *a, size_t n)
{
    struct session *s = a->owner;
    message_passed(s->receiving, n);
    pace_came(s, 0, n);
}

static void on_full(struct association *a)
{
    struct session *s = a->owner;
    struct message *m;
    TAILQ_FOREACH (m, &s->messages, link)
        message_relieve(m);
}

static void on_release(struct association *a)
{
    struct session *s = a->owner;
    if (s->outstanding == 0)
        association_release_answer(a);
}

void session_work_begins(struct session *s)
{
    s->outstanding++;
    s->a.has_work = true;
}

void session_message_over(struct session *s, struct message *m)
{
    TAILQ_REMOVE(&s->messages, m, link);
    session_work_over(s);
}

void session_work_over(struct session *s)
{
    s->outstanding--;
    s->a.has_work = s->outstanding > 0;
    if (s->is_over)
        return;
    if (s->a.release_pending && s->outstanding == 0)
        association_release_answer(&s->a);
    else if (may_take_more(s))
        association_resume(&s->a);
}

static void log_end(const struct session *s, enum association_end how, const char *why)
{
    bool in_order = how == ASSOCIATION_RELEASED;
    bool was_silent = s->calling[0] == '\0' && how == ASSOCIATION_LOST; /* a health probe, say (quirk 16) */
    bool is_nobodys =
        s->calling[0] == '\0'; /* what anybody can cause as often as it likes is not told each time */
    bool is_quiet = was_silent || s->is_refused || (is_nobodys && !access_is_told(s, why, ""));
    enum log_level level = in_order ? LOG_INFO : is_quiet ? LOG_DEBUG : LOG_WARN;
    /* Who was refused for its certificate, in its own words: not a part of the kind that refusals are counted by. */
    const struct tls_shown *refused = s->a.stream.tls ? tls_refused(s->a.stream.tls) : NULL;
    const struct log_field fields[] = {LOG_STR("assoc", s->a.id),
                                       LOG_STR("calling", s->calling),
                                       LOG_STR("remote", s->remote_text),
                                       LOG_STR("how", association_end_name(how)),
                                       LOG_STR("cause", why),
                                       LOG_INT("messages", s->next_message),
                                       LOG_INT("bytes", s->a.stream.received_bytes),
                                       LOG_STR("peer", refused ? refused->subject : ""),
                                       LOG_STR("serial", refused ? refused->serial : "")};
    if (log_enabled(level))
        log_write(level, "association ended", fields, sizeof(fields) / sizeof(fields[0]) - (refused ? 0 : 2));
}

static void on_end(struct association *a, enum association_end how, const char *why)
{
    struct session *s = a->owner;
    struct message *m, *next;
    struct call *c, *next_call;
    s->is_over = true;
    s->receiving = NULL;
    s->receiving_call = NULL;
    voice_clear(&s->voice);
    reverse_sender_lost(s);
    leave_silent(s);
    pace_leave(s);
    log_end(s, how, why);
    negotiate_cancel(s);
    for (m = TAILQ_FIRST(&s->messages); m; m = next) {
        next = TAILQ_NEXT(m, link);
        message_sender_lost(m);
    }
    for (c = TAILQ_FIRST(&s->calls); c; c = next_call) {
        next_call = TAILQ_NEXT(c, link);
        call_sender_lost(c);
    }
    outbound_forget_user(s->relay->outbound, s->user);
    if (s->is_counted) /* its place is free before its peer closes: that may be waiting to connect again */
        atomic_fetch_sub(&s->relay->totals->associations, 1);
    association_close(a);
    if (a->stream_open &&
        !a->stream.is_closing) /* the peer is given time to read our last word, and to close */
        join_silent(s);
}

static void on_gone(struct association *a)
{
    struct session *s = a->owner;
    struct relay *r = s->relay;
    leave_silent(s);
    TAILQ_REMOVE(&r->sessions, s, link);
    if (r->on_session_over)
        r->on_session_over(r->owner);
    session_unref(s);
}

static const struct association_user session_user = {
    .on_request = on_request,
    .on_command = on_command,
    .on_data = on_data,
    .on_data_end = on_data_end,
    .on_bulk = on_bulk,
    .on_passed = on_passed,
    .on_full = on_full,
    .on_sent = on_sent,
    .on_release = on_release,
    .on_end = on_end,
    .on_gone = on_gone,
};

/* --- what it sends to nodes ------------------------------------------------------------------------------------ */

static struct session *of_source(const struct source *s)
{
    return (struct session *)((uintptr_t)s - offsetof(struct session, source));
}

static bool source_is_full(const struct source *s)
{
    return stream_is_full(&of_source(s)->a.stream);
}

static bool source_propose(const struct source *s, struct pdu_associate *request, const char *abstract_syntax,
                           const char *transfer_syntax)
{
    return proposal_fill(request, of_source(s), abstract_syntax, transfer_syntax) &&
           proposal_add_extras(request, of_source(s));
}

static bool source_suits(const struct source *s, const struct association *a)
{
    return proposal_suits(of_source(s), a);
}

static void set_source(struct session *s)
{
    s->source = (struct source){.relay = s->relay,
                                .config = s->config,
                                .calling = s->calling,
                                .user = s->user,
                                .is_full = source_is_full,
                                .propose = source_propose,
                                .suits = source_suits};
}

/* --- its life ---------------------------------------------------------------------------------------------------- */

/* The newest configuration's stay open between associations. */
static void keep_newest(struct relay *r, struct ruleset *newest)
{
    if (r->newest_rules == newest)
        return;
    ruleset_unref(&r->newest_rules);
    r->newest_rules = newest;
    newest->references++;
}

static struct session *session_new(struct relay *r, struct config *config, const struct config_listen *listen)
{
    const struct config_timeouts *t = &config->timeouts;
    struct session *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->relay = r;
    s->rules = ruleset_get(&r->rulesets, config);
    if (!s->rules) {
        free(s);
        return NULL;
    }
    keep_newest(r, s->rules);
    s->config = config_ref(config);
    s->listen = listen;
    s->references = 1;
    s->user = ++r->next_user;
    set_source(s);
    TAILQ_INIT(&s->messages);
    TAILQ_INIT(&s->calls);
    TAILQ_INIT(&s->reverses);
    voice_init(&s->voice, &s->a);
    s->a.user = &session_user;
    s->a.owner = s;
    s->a.io = r->io;
    s->a.pool = r->pool;
    s->a.resolver = r->resolver;
    s->a.tcp_congestion = listen->tcp_congestion;
    s->a.tls = listen->tls ? listen->tls->context : NULL;
    s->a.limits = (struct association_limits){.connect = t->connect,
                                              .association = t->association,
                                              .progress = t->progress,
                                              .idle = t->idle,
                                              .min_rate = config->min_rate};
    snprintf(s->a.id, sizeof(s->a.id), "w%u-%llu", r->worker, (unsigned long long)s->user);
    association_init(&s->a);
    return s;
}

void relay_accept(struct relay *r, int fd, struct config *config, const struct config_listen *listen)
{
    struct session *s = access_admit_connection(r, fd, listen) ? session_new(r, config, listen) : NULL;
    if (!s || !association_accept(&s->a, fd)) {
        if (s)
            session_unref(s);
        else
            io_close(fd);
        if (r->on_session_over)
            r->on_session_over(r->owner);
        return;
    }
    io_address_bytes(&s->a.peer, s->remote, NULL);
    io_address_text(&s->a.peer, true, s->remote_text);
    stream_set_limit(&s->a.stream, (uint32_t)(config->window / BUF_BYTES));
    TAILQ_INSERT_TAIL(&r->sessions, s, link);
    LOG(LOG_DEBUG, "connection", LOG_STR("assoc", s->a.id), LOG_STR("remote", s->remote_text),
        LOG_STR("listener", listen->name));
    join_silent(s);
}

/* Somebody waits for memory. Once a turn, whoever it is, everybody lets go of what can be done without. */
static void on_relief(struct io_task *task)
{
    struct relay *r = task->owner;
    struct message *m, *next;
    for (m = TAILQ_FIRST(&r->messages); m; m = next) {
        next = TAILQ_NEXT(m, relay_link);
        message_let_go(m);
    }
}

static void on_short(void *arg)
{
    struct relay *r = arg;
    congestion_short(&r->congestion);
    io_defer(r->io, &r->relief);
}

enum result relay_open(struct relay *r, const struct relay_options *o)
{
    *r = (struct relay){.io = o->io,
                        .pool = o->pool,
                        .resolver = o->resolver,
                        .totals = o->totals,
                        .spool = o->spool,
                        .affinity = o->affinity,
                        .circuits = o->circuits,
                        .moves = o->moves,
                        .holdings = o->holdings,
                        .rates = o->rates,
                        .worker = o->worker,
                        .silent = {.max = o->silent_max ? o->silent_max : 1}};
    r->silent_tls.max = r->silent.max < SILENT_TLS_MAX ? r->silent.max : SILENT_TLS_MAX;
    TAILQ_INIT(&r->sessions);
    TAILQ_INIT(&r->silent.list);
    TAILQ_INIT(&r->silent_tls.list);
    TAILQ_INIT(&r->messages);
    congestion_init(&r->congestion, o->io, o->pool);
    r->relief = (struct io_task){.run = on_relief, .owner = r};
    r->pool->on_short = on_short;
    r->pool->on_short_arg = r;
    struct outbound_options out = {.io = o->io,
                                   .pool = o->pool,
                                   .resolver = o->resolver,
                                   .permits = o->permits,
                                   .worker = o->worker,
                                   .foreign = &reverse_foreign,
                                   .owner = r};
    r->outbound = outbound_pool_new(&out);
    r->folders = folder_context_new(o->io, o->pool);
    r->charsets = dicom_charsets_new();
    r->probes = probes_new(r, o->workers);
    if (r->spool) {
        r->delivery = delivery_new(r, o->workers);
        r->notes = spool_notes_new(r->spool, r->io);
        r->studies = studies_new(r, o->workers);
    }
    if (o->desks)
        r->commitments = commitments_new(r, o->desks, o->workers);
    bool has_queue = !r->spool || (r->delivery && r->notes && r->studies);
    bool has_desk = !o->desks || r->commitments;
    return r->outbound && r->probes && r->folders && r->charsets && has_queue && has_desk ? OK : ERR_MEMORY;
}

void relay_configure(struct relay *r, struct config *config)
{
    if (r->delivery)
        delivery_configure(r->delivery, config);
    if (r->studies)
        studies_configure(r->studies, config);
    if (r->commitments)
        commitments_configure(r->commitments, config);
    if (!r->is_draining && !r->is_stopping)
        probes_configure(r->probes, config);
}

/* An association that rests between messages is not waited for: the sender has all its answers. */
static void end_resting(struct relay *r)
{
    struct session *s, *next;
    uint64_t now = io_now(r->io);
    for (s = TAILQ_FIRST(&r->sessions); s; s = next) {
        next = TAILQ_NEXT(s, link);
        bool rests = s->outstanding == 0 && !s->receiving && !s->receiving_call && !s->negotiation;
        if (!s->is_over && rests && now - s->a.stream.received_ms >= DRAIN_REST_MS)
            association_abort(&s->a, "stopping");
    }
}

static void on_drain(struct io_timer *t)
{
    struct relay *r = t->owner;
    end_resting(r);
    io_timer_start(r->io, t, DRAIN_CHECK_MS);
}

void relay_drain(struct relay *r)
{
    if (r->is_draining)
        return;
    r->is_draining = true;
    probes_stop(r->probes);
    if (r->delivery)
        delivery_drain(r->delivery);
    if (r->studies)
        studies_close(r->studies);
    r->drain = (struct io_timer){.on_fire = on_drain, .owner = r};
    on_drain(&r->drain);
}

bool relay_is_quiet(const struct relay *r)
{
    const struct session *s;
    TAILQ_FOREACH (s, &r->sessions, link)
        if (!s->is_over)
            return false;
    return TAILQ_EMPTY(&r->messages) && r->calls == 0 && (!r->delivery || delivery_is_quiet(r->delivery));
}

void relay_stop(struct relay *r)
{
    struct session *s, *next;
    r->is_stopping = true;
    probes_stop(r->probes);
    io_timer_stop(r->io, &r->drain);
    congestion_stop(&r->congestion);
    for (s = TAILQ_FIRST(&r->sessions); s; s = next) {
        next = TAILQ_NEXT(s, link);
        if (!s->is_over)
            association_abort(&s->a, "stopping");
        association_drop(&s->a);
    }
    if (r->delivery)
        delivery_stop(r->delivery);
    if (r->studies)
        studies_close(r->studies);
    if (r->commitments)
        commitments_stop(r->commitments);
    outbound_pool_close(r->outbound);
}

bool relay_is_empty(const struct relay *r)
{
    return TAILQ_EMPTY(&r->sessions) && TAILQ_EMPTY(&r->messages) && r->calls == 0 &&
           outbound_pool_is_empty(r->outbound) && (!r->delivery || delivery_is_empty(r->delivery)) &&
           (!r->studies || studies_are_closed(r->studies)) &&
           (!r->commitments || commitments_are_stopped(r->commitments));
}

void relay_leave(struct relay *r)
{
    spool_notes_free(&r->notes);
}

void relay_close(struct relay *r)
{
    probes_free(&r->probes);
    delivery_free(&r->delivery);
    studies_free(&r->studies);
    commitments_free(&r->commitments);
    outbound_pool_free(&r->outbound);
    folder_context_free(&r->folders);
    dicom_charsets_free(&r->charsets);
    ruleset_unref(&r->newest_rules);
}
