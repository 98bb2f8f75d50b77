#include "relay/message_route.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "dicom/uid.h"
#include "dimse/status.h"
#include "relay/edition.h"
#include "relay/hold.h"
#include "relay/keep.h"
#include "relay/message_move.h"
#include "relay/ruled.h"

/* One try to decide. */
struct asking {
    struct message *m;
    struct route_facts facts;
    struct ruled ruled; /* once a rule is asked */
    char remote[64];
};

/* --- failures ---------------------------------------------------------------------------------------------- */

void message_route_fail(struct message *m, uint16_t status, const char *comment)
{
    hold_free(&m->hold);
    if (m->gathered)
        gathered_drop(m->gathered);
    message_preset(m, status, comment);
}

/* What rules could not look at, or a rule that failed. `route` and `word`: of a rule. */
static void fail_ruled(struct message *m, const struct ruled_failure *f, const struct config_route *route,
                       const char *word)
{
    char comment[65], at[16];
    uint16_t status = ruled_status(f, route, word, comment);
    snprintf(at, sizeof(at), "(%04X,%04X)", f->tag >> 16, f->tag & 0xFFFF);
    if (f->is_rule)
        LOG(LOG_ERROR, "a rule failed", LOG_STR("assoc", m->session->a.id), LOG_STR("message", m->id),
            LOG_PATIENT("cause", f->why, f->bare));
    else if (f->result == ERR_PROTO)
        LOG(LOG_WARN, "data set cannot be read", LOG_STR("assoc", m->session->a.id),
            LOG_STR("message", m->id), LOG_PATIENT("cause", f->why, f->bare), LOG_STR("at", at));
    message_route_fail(m, status, comment);
}

static void fail_unreadable(struct message *m, const char *why, uint32_t tag)
{
    struct ruled_failure failure;
    ruled_fail(&failure, ERR_PROTO, why, tag);
    fail_ruled(m, &failure, NULL, NULL);
}

/* To which C-MOVE it belongs cannot be told. */
static void fail_move(struct message *m)
{
    const char *why = message_move_why(m);
    LOG(LOG_WARN, "to which C-MOVE it belongs cannot be told", LOG_STR("assoc", m->session->a.id),
        LOG_STR("message", m->id), LOG_STR("cause", why));
    message_route_fail(m, DIMSE_STATUS_OUT_OF_RESOURCES, why);
}

static void fail_state(struct message *m, enum result r)
{
    const char *why = hold_why(m->hold);
    why = why ? why : "out of memory";
    if (r == ERR_PROTO) {
        fail_unreadable(m, m->hold->why, m->hold->tag);
        return;
    }
    if (r == ERR_LIMIT)
        LOG(LOG_WARN, "too large to be held", LOG_STR("assoc", m->session->a.id), LOG_STR("message", m->id),
            LOG_STR("cause", why), LOG_INT("bytes", gathered_bytes(m->gathered)));
    message_route_fail(m, DIMSE_STATUS_OUT_OF_RESOURCES, why);
}

/* --- rules ------------------------------------------------------------------------------------------------- */

static struct ruled *ruled_of(struct asking *a)
{
    const struct session *s = a->m->session;
    if (a->ruled.hold)
        return &a->ruled;
    io_address_text(&s->a.peer, false, a->remote);
    a->ruled = (struct ruled){.rules = s->rules->rules,
                              .hold = a->m->hold,
                              .message = &a->m->facts,
                              .remote = a->remote,
                              .listener = s->listen->name,
                              .peer = s->peer,
                              .charsets = s->relay->charsets,
                              .pool = s->relay->pool,
                              .is_response = message_move_is_found(a->m)};
    return &a->ruled;
}

/* A function as `when`. */
static bool holds(void *user, const struct config_route *route, enum match *out)
{
    struct asking *a = user;
    struct ruled_failure failure;
    bool is_true;
    *out = MATCH_MAYBE;
    if (!a->m->hold || !hold_has_header(a->m->hold))
        return true;
    if (!ruled_when(ruled_of(a), route, &is_true, &failure)) {
        fail_ruled(a->m, &failure, route, "when");
        return false;
    }
    *out = is_true ? MATCH_YES : MATCH_NO;
    return true;
}

/* --- the decision ------------------------------------------------------------------------------------------ */

/* Each morph runs once, before anything goes out: a rule that fails leaves nothing half done. */
static bool make_editions(struct asking *a, const struct route_decision *d)
{
    struct message *m = a->m;
    m->editions = calloc(d->count, sizeof(*m->editions));
    if (!m->editions) {
        message_route_fail(m, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
        return false;
    }
    for (size_t i = 0; i < d->count; i++) {
        const struct config_route *route = d->destinations[i].route;
        if (!route_destination_morphs(&d->destinations[i]) || message_edition(m, route))
            continue;
        struct ruled_failure failure;
        if (!ruled_morph(ruled_of(a), route, &m->editions[m->edition_count++], &failure)) {
            fail_ruled(m, &failure, route, a->ruled.is_response ? "morph_response" : "morph");
            return false;
        }
    }
    return true;
}

static void release_piece(void *owner, struct buf *b, uint8_t *at, uint32_t len)
{
    struct message *m = owner;
    if (m->keep)
        keep_data(m->keep, b, at, len);
    message_feed_sinks(m, b, at, len);
}

/* What was held, to all destinations. It may still be wanted: message.h, gathered. */
static void release_held(struct message *m)
{
    hold_free(&m->hold);
    if (gathered_each(m->gathered, release_piece, m))
        return;
    for (unsigned i = 0; i < m->sink_count; i++)
        if (m->sinks[i] && !m->sinks[i]->is_done)
            message_fail_sink(m->sinks[i], DIMSE_STATUS_OUT_OF_RESOURCES, "what was held cannot be read");
    if (m->keep)
        keep_give_up(m->keep);
}

/* Each destination is a node. */
static void set_out(struct message *m, const struct route_decision *d)
{
    if (!message_make_sinks(m, d) || m->is_preset) {
        hold_free(&m->hold);
        return;
    }
    message_start_sinks(m);
    m->facts.attributes = NULL; /* they go with what was held; folders have taken theirs */
    for (unsigned i = 0; i < m->edition_count; i++)
        m->editions[i].facts.attributes = NULL;
    if (m->hold)
        release_held(m);
}

static void set_out_placed(struct message *m)
{
    if (message_settle_places(m))
        set_out(m, message_decision(m));
    else
        message_route_fail(m, DIMSE_STATUS_OUT_OF_RESOURCES, "queue: where its study goes cannot be kept");
}

/* It is decided. */
static void go(struct message *m, struct route_decision *d)
{
    if (d->count == 0) {
        message_route_fail(m, DIMSE_STATUS_NOT_AUTHORISED, "no route takes this instance");
        return;
    }
    m->facts.attributes = m->hold ? &m->hold->attributes : NULL;
    if (!message_has_pool(d)) {
        set_out(m, d);
        return;
    }
    enum result r = message_place_take(m, d);
    if (r == OK)
        set_out_placed(m);
    else if (r == ERR_MEMORY)
        message_route_fail(m, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
}

/* With what is known now. False: more is needed, and has been asked for. */
static bool decide(struct asking *a, struct route_decision *d)
{
    struct message *m = a->m;
    enum result r =
        message_move_is_found(m) ? message_move_decide(m, d) : route_decide(m->session->config, &a->facts, d);
    if (!m->hold && m->is_preset) /* a function has failed, or cannot be asked */
        return true;
    hilum_assert(m->hold);
    if (r == OK || r == NEED_MORE)
        r = hold_ask(m->hold, m->session->config, &a->facts, d, r);
    if (r == NEED_MORE)
        return false;
    if (r != OK)
        fail_state(m, r);
    else if (!route_morphs(d) || make_editions(a, d))
        go(m, d);
    return true;
}

static void facts_of(const struct message *m, struct route_facts *out)
{
    session_facts(m->session, m->service, out);
    out->sop_class = m->facts.sop_class;
    out->sop_instance = m->facts.sop_instance;
    out->has_instance = true;
}

/* Whether it belongs to a C-MOVE. False: that is not known yet, or it has failed. */
static bool settle_move(struct message *m)
{
    enum result r = message_move_settle(m, m->hold->is_ended);
    if (r == ERR_PROTO) {
        fail_unreadable(m, message_move_why(m), m->move->tag);
    } else if (r != OK && r != NEED_MORE) {
        fail_move(m);
    }
    return r == OK;
}

/* As far as what is held goes. */
static void pursue(struct message *m)
{
    struct asking a = {.m = m};
    struct route_decision d = {0};
    if (!settle_move(m))
        return;
    bool is_over = false;
    facts_of(m, &a.facts);
    a.facts.holds = holds;
    a.facts.user = &a;
    while (!is_over && hold_is_ready(m->hold)) {
        enum result r = hold_take_attributes(m->hold, m->session->relay->charsets);
        a.facts.attributes = &m->hold->attributes;
        if (r != OK)
            fail_state(m, r);
        is_over = r != OK || decide(&a, &d);
    }
    ruled_end(&a.ruled);
    route_decision_free(&d);
}

/* --- from outside ------------------------------------------------------------------------------------------ */

static enum result begin_hold(struct message *m, const struct route_facts *facts,
                              const struct route_decision *d, enum result decided)
{
    if (!message_gather(m))
        return ERR_MEMORY;
    m->hold = hold_new(m->session->config, view_of(m->transfer_syntax), m->gathered, m->session->relay->pool);
    if (!m->hold)
        return ERR_MEMORY;
    if (message_move_is_found(m)) {
        hold_want_header(m->hold);
        return OK;
    }
    return hold_begin(m->hold, m->session->config, facts, d, decided);
}

bool message_route_may_queue(const struct session *s, enum config_service service,
                             const struct dimse_command *c)
{
    struct route_facts facts;
    struct route_decision d = {0};
    session_facts(s, service, &facts);
    facts.sop_class = dicom_uid_trim(dimse_class(c));
    facts.sop_instance = dicom_uid_trim(dimse_instance(c));
    facts.has_instance = true;
    enum result r = route_decide(s->config, &facts, &d);
    bool queues = false;
    for (size_t i = 0; (r == OK || r == NEED_MORE) && i < d.count; i++)
        queues = queues || d.destinations[i].is_copy || d.destinations[i].queues;
    route_decision_free(&d);
    return queues;
}

void message_route(struct message *m, enum config_service service)
{
    struct route_facts facts;
    struct route_decision d = {0};
    m->service = service;
    if (service == CONFIG_STORE && message_move_find(m) != OK) {
        fail_move(m);
        return;
    }
    facts_of(m, &facts);
    enum result decided =
        message_move_is_found(m) ? message_move_decide(m, &d) : route_decide(m->session->config, &facts, &d);
    enum result r = decided == NEED_MORE ? OK : decided;
    bool is_plain =
        decided == OK && message_move_is_known(m) && !route_morphs(&d) && !route_destinations_ask(&d);
    if (r == OK && !is_plain && m->facts.has_data)
        r = begin_hold(m, &facts, &d, decided);
    if (r != OK)
        message_route_fail(m, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
    else if (!m->hold)
        go(m, &d);
    route_decision_free(&d);
}

void message_route_data(struct message *m, struct buf *b, uint8_t *at, uint32_t len)
{
    message_move_data(m, at, len);
    if (hold_data(m->hold, b, at, len) != OK)
        message_route_fail(m, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
    else if (!m->placing && hold_is_ready(m->hold))
        pursue(m);
}

void message_route_end(struct message *m)
{
    hold_end(m->hold);
    if (!m->placing)
        pursue(m);
}

void message_route_moved(struct message *m)
{
    const char *why;
    hold_moved(m->hold);
    if (m->placing) {
        if (gathered_state(m->gathered, &why) != OK)
            message_route_fail(m, DIMSE_STATUS_OUT_OF_RESOURCES, why);
        else if (!message_is_placing(m) && gathered_is_settled(m->gathered))
            set_out_placed(m);
    } else if (hold_is_ready(m->hold))
        pursue(m);
}
