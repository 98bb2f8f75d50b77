#include "ul/ul.h"

#include <string.h>

#include "base/assert.h"
#include "pdu/write.h"

/* PS3.7 A.2.1: the only application context there is. */
static const char APPLICATION_CONTEXT[] = "1.2.840.10008.3.1.1.1";

/* One event on its way through the table. */
struct turn {
    struct ul *ul;
    struct octets *out;
    struct ul_outcome o;
    bool is_refused; /* AE-6: the request is not acceptable to us as the provider; ul->reject says why */
};

static struct turn turn_begin(struct ul *ul, struct octets *out)
{
    return (struct turn){.ul = ul, .out = out, .o.from = ul->state};
}

static void send_request(struct turn *t)
{
    pdu_associate_write(&t->ul->request, t->out);
}

static void send_accept(struct turn *t)
{
    pdu_associate_write(&t->ul->accept, t->out);
}

static void send_reject(struct turn *t)
{
    pdu_write_reject(t->out, t->ul->reject);
}

static void send_release_rq(struct turn *t)
{
    pdu_write_release_rq(t->out);
}

static void send_release_rp(struct turn *t)
{
    pdu_write_release_rp(t->out);
}

/* With source 0 the reason means nothing and is sent as 0 (PS3.8 9.3.8). */
static void send_user_abort(struct turn *t)
{
    pdu_write_abort(t->out, PDU_ABORT_USER, PDU_ABORT_UNSPECIFIED);
}

static void send_provider_abort(struct turn *t)
{
    pdu_write_abort(t->out, PDU_ABORT_PROVIDER, t->o.fault.reason);
}

/*
 * What each action does (PS3.8 Tables 9-6 to 9-9). DT-1 and AR-7 send nothing here: the sender frames P-DATA-TF itself.
 * AA-7 only says "send A-ABORT"; source and reason are ours, those of AA-8. It does not touch ARTIM, which runs in Sta13.
 */
struct effect {
    enum ul_state next;
    unsigned effects;
    enum ul_indication indication;
    void (*send)(struct turn *t);
};

static const struct effect EFFECTS[] = {
    [UL_AE1] = {UL_STA4, UL_CONNECT, UL_NOTHING, NULL},
    [UL_AE2] = {UL_STA5, UL_SEND, UL_NOTHING, send_request},
    [UL_AE3] = {UL_STA6, 0, UL_ACCEPTED, NULL},
    [UL_AE4] = {UL_STA1, UL_CLOSE, UL_REJECTED, NULL},
    [UL_AE5] = {UL_STA2, UL_START_ARTIM, UL_NOTHING, NULL},
    [UL_AE6] = {UL_STA3, UL_STOP_ARTIM, UL_ASSOCIATE, NULL}, /* or, if refused, as AE-8 */
    [UL_AE7] = {UL_STA6, UL_SEND, UL_NOTHING, send_accept},
    [UL_AE8] = {UL_STA13, UL_SEND | UL_START_ARTIM, UL_NOTHING, send_reject},
    [UL_DT1] = {UL_STA6, 0, UL_NOTHING, NULL},
    [UL_DT2] = {UL_STA6, 0, UL_NOTHING, NULL}, /* UL_DATA follows, piece by piece */
    [UL_AR1] = {UL_STA7, UL_SEND, UL_NOTHING, send_release_rq},
    [UL_AR2] = {UL_STA8, 0, UL_RELEASE, NULL},
    [UL_AR3] = {UL_STA1, UL_CLOSE, UL_RELEASED, NULL},
    [UL_AR4] = {UL_STA13, UL_SEND | UL_START_ARTIM, UL_NOTHING, send_release_rp},
    [UL_AR5] = {UL_STA1, UL_STOP_ARTIM, UL_NOTHING, NULL},
    [UL_AR6] = {UL_STA7, 0, UL_NOTHING, NULL}, /* as DT-2 */
    [UL_AR7] = {UL_STA8, 0, UL_NOTHING, NULL},
    [UL_AR8] = {UL_STA10, 0, UL_RELEASE_COLLISION, NULL}, /* the requestor: Sta9 */
    [UL_AR9] = {UL_STA11, UL_SEND, UL_NOTHING, send_release_rp},
    [UL_AR10] = {UL_STA12, 0, UL_RELEASED, NULL},
    [UL_AA1] = {UL_STA13, UL_SEND | UL_START_ARTIM, UL_NOTHING, send_user_abort},
    [UL_AA2] = {UL_STA1, UL_STOP_ARTIM | UL_CLOSE, UL_NOTHING, NULL},
    [UL_AA3] = {UL_STA1, UL_CLOSE, UL_ABORTED, NULL},
    [UL_AA4] = {UL_STA1, 0, UL_CONNECTION_LOST, NULL},
    [UL_AA5] = {UL_STA1, UL_STOP_ARTIM, UL_NOTHING, NULL},
    [UL_AA6] = {UL_STA13, 0, UL_NOTHING, NULL},
    [UL_AA7] = {UL_STA13, UL_SEND, UL_FAULT, send_provider_abort},
    [UL_AA8] = {UL_STA13, UL_SEND | UL_START_ARTIM, UL_PROVIDER_ABORTED, send_provider_abort},
};

/* The only place where the state changes. */
static struct ul_outcome perform(struct turn *t, enum ul_event event, enum ul_action action)
{
    struct ul *ul = t->ul;
    struct effect effect = EFFECTS[action];
    if (action == UL_AE6 && t->is_refused) {
        effect = EFFECTS[UL_AE8];
        effect.indication = UL_REFUSED;
    } else if (action == UL_AR8 && ul->is_requestor) {
        effect.next = UL_STA9;
    } else if (action == UL_AA1 && event != UL_EVT15) {
        effect.indication = UL_FAULT; /* a PDU caused it, not the user */
    }
    if (effect.send)
        effect.send(t);
    ul->state = effect.next;
    if (ul->state == UL_STA13)
        pdu_reader_skip(&ul->reader); /* what is left of a PDU has no meaning any more */
    t->o.event = event;
    t->o.action = action;
    t->o.effects = effect.effects;
    t->o.indication = effect.indication;
    return t->o;
}

static struct ul_outcome transition(struct turn *t, enum ul_event event)
{
    enum ul_action action = ul_action_for(t->ul->state, event);
    hilum_assert(action != UL_NO_ACTION);
    return perform(t, event, action);
}

void ul_init(struct ul *ul, bool is_requestor)
{
    memset(ul, 0, sizeof *ul);
    ul->state = UL_STA1;
    ul->is_requestor = is_requestor;
    pdu_reader_init(&ul->reader);
}

void ul_forget_negotiation(struct ul *ul)
{
    pdu_associate_free(&ul->request);
    pdu_associate_free(&ul->accept);
}

void ul_free(struct ul *ul)
{
    ul_forget_negotiation(ul);
    pdu_reader_free(&ul->reader);
    ul_init(ul, ul->is_requestor);
}

static enum ul_event event_of_pdu(uint8_t type)
{
    static const enum ul_event EVENTS[] = {
        [PDU_ASSOCIATE_RQ] = UL_EVT6, [PDU_ASSOCIATE_AC] = UL_EVT3, [PDU_ASSOCIATE_RJ] = UL_EVT4,
        [PDU_P_DATA_TF] = UL_EVT10,   [PDU_RELEASE_RQ] = UL_EVT12,  [PDU_RELEASE_RP] = UL_EVT13,
        [PDU_ABORT] = UL_EVT16,
    };
    hilum_assert(type >= PDU_ASSOCIATE_RQ && type <= PDU_ABORT);
    return EVENTS[type];
}

static struct ul_outcome invalid_pdu(struct turn *t, struct pdu_fault fault)
{
    t->o.fault = fault;
    return transition(t, UL_EVT19);
}

static struct ul_outcome unexpected_pdu(struct turn *t, enum ul_event event)
{
    t->o.fault = (struct pdu_fault){PDU_ABORT_UNEXPECTED_PDU, "PDU not expected in this state"};
    return transition(t, event);
}

/*
 * True if a PDU is answered without knowing its content: its header is the event, and what follows is skipped or, for
 * P-DATA-TF, reported in pieces. Ours: the standard speaks of whole PDUs only, so a malformed A-ASSOCIATE-AC where none
 * is expected is Evt3 here and not Evt19. The action is the same but for Sta13, where we ignore it instead of aborting.
 */
static bool is_decided_at_header(enum ul_action action)
{
    switch (action) {
    case UL_DT2:
    case UL_AR6:
    case UL_AA1:
    case UL_AA6:
    case UL_AA7:
    case UL_AA8:
        return true;
    default:
        return false;
    }
}

static struct ul_outcome on_header(struct turn *t, enum ul_event event)
{
    switch (ul_action_for(t->ul->state, event)) {
    case UL_AA1:
    case UL_AA7:
    case UL_AA8:
        return unexpected_pdu(t, event);
    default:
        return transition(t, event);
    }
}

/* Whether the provider itself can do with the request (PS3.8 9.2.2 AE-6). Ours: which reasons we have. */
static void judge_request(struct turn *t)
{
    const struct pdu_associate *rq = &t->ul->request;
    const size_t len = sizeof APPLICATION_CONTEXT - 1;
    if (!(rq->version & 1)) {
        t->is_refused = true;
        t->ul->reject =
            (struct pdu_reject){PDU_REJECT_PERMANENT, PDU_REJECT_ACSE, PDU_REJECT_PROTOCOL_VERSION};
    } else if (rq->application_context.len != len ||
               memcmp(rq->application_context.at, APPLICATION_CONTEXT, len) != 0) {
        t->is_refused = true;
        t->ul->reject =
            (struct pdu_reject){PDU_REJECT_PERMANENT, PDU_REJECT_USER, PDU_REJECT_APPLICATION_CONTEXT};
    }
}

/* Ours: a request that cannot be parsed is Evt19; one that we have no memory for is rejected for the moment. */
static struct ul_outcome on_request(struct turn *t, const struct pdu_event *e)
{
    struct pdu_fault fault = {0};
    pdu_associate_free(&t->ul->request);
    switch (pdu_associate_parse(e->body, e->body_len, false, &t->ul->request, &fault)) {
    case OK:
        judge_request(t);
        return transition(t, UL_EVT6);
    case ERR_MEMORY:
        t->is_refused = true;
        t->ul->reject =
            (struct pdu_reject){PDU_REJECT_TRANSIENT, PDU_REJECT_PRESENTATION, PDU_REJECT_LOCAL_LIMIT};
        return transition(t, UL_EVT6);
    default:
        return invalid_pdu(t, fault);
    }
}

static struct ul_outcome on_accept(struct turn *t, const struct pdu_event *e)
{
    struct pdu_fault fault = {0};
    pdu_associate_free(&t->ul->accept);
    if (pdu_associate_parse(e->body, e->body_len, true, &t->ul->accept, &fault) != OK)
        return invalid_pdu(t, fault);
    return transition(t, UL_EVT3);
}

/* The state may have changed by a local event since the header came: the action is looked up anew. */
static struct ul_outcome on_body(struct turn *t, const struct pdu_event *e)
{
    enum ul_event event = event_of_pdu(e->type);
    enum ul_action action = ul_action_for(t->ul->state, event);
    if (is_decided_at_header(action))
        return on_header(t, event);
    switch (event) {
    case UL_EVT6:
        return on_request(t, e);
    case UL_EVT3:
        return on_accept(t, e);
    case UL_EVT4:
        t->ul->reject = (struct pdu_reject){e->body[1], e->body[2], e->body[3]};
        return transition(t, event);
    case UL_EVT16:
        t->o.abort_source = e->body[2];
        t->o.abort_reason = e->body[3];
        return transition(t, event);
    default:
        return transition(t, event);
    }
}

static struct ul_outcome on_piece(struct turn *t, const struct pdu_event *e)
{
    t->o.indication = UL_DATA;
    t->o.data = *e;
    return t->o;
}

static struct ul_outcome on_data_end(struct turn *t)
{
    t->o.indication = UL_DATA_END;
    return t->o;
}

/* Nothing that still comes can matter: no connection is ours any more, or its bytes cannot be read on and the one
 * A-ABORT that this deserved is sent. */
static bool is_deaf(const struct ul *ul)
{
    return ul->state == UL_STA1 || (ul->state == UL_STA13 && ul->reader.at == PDU_AT_FAULT);
}

struct ul_outcome ul_receive(struct ul *ul, const uint8_t *bytes, size_t len, size_t *consumed_out,
                             struct octets *out)
{
    struct turn t = turn_begin(ul, out);
    struct pdu_event e;
    hilum_assert(ul->state != UL_STA4);
    *consumed_out = len;
    if (is_deaf(ul))
        return t.o;
    size_t used = 0;
    for (;;) {
        used += pdu_reader_next(&ul->reader, len > used ? bytes + used : NULL, len - used, &e);
        *consumed_out = used;
        switch (e.kind) {
        case PDU_EVENT_HEADER:
            if (is_decided_at_header(ul_action_for(ul->state, event_of_pdu(e.type))))
                return on_header(&t, event_of_pdu(e.type));
            break;
        case PDU_EVENT_BODY:
            on_body(&t, &e);
            octets_free(&ul->reader.body); /* read and done with: a connection at rest is small */
            return t.o;
        case PDU_EVENT_FRAGMENT:
            return on_piece(&t, &e);
        case PDU_EVENT_DATA_END:
            return on_data_end(&t);
        case PDU_EVENT_FAULT:
            return invalid_pdu(&t, e.fault);
        case PDU_EVENT_NONE:
            return t.o;
        }
    }
}

struct ul_outcome ul_request_take(struct ul *ul, struct pdu_associate *request)
{
    struct turn t = turn_begin(ul, NULL);
    hilum_assert(ul->is_requestor && !request->is_ac);
    struct ul_outcome o = transition(&t, UL_EVT1);
    pdu_associate_free(&ul->request);
    ul->request = *request;
    memset(request, 0, sizeof *request);
    return o;
}

struct ul_outcome ul_accept_take(struct ul *ul, struct pdu_associate *accept, struct octets *out)
{
    struct turn t = turn_begin(ul, out);
    const struct pdu_associate *rq = &ul->request;
    hilum_assert(accept->is_ac);
    pdu_associate_free(&ul->accept);
    ul->accept = *accept;
    memset(accept, 0, sizeof *accept);
    memcpy(ul->accept.called_raw, rq->called_raw, sizeof rq->called_raw);
    memcpy(ul->accept.calling_raw, rq->calling_raw, sizeof rq->calling_raw);
    memcpy(ul->accept.reserved_raw, rq->reserved_raw, sizeof rq->reserved_raw);
    memcpy(ul->accept.called, rq->called, sizeof rq->called);
    memcpy(ul->accept.calling, rq->calling, sizeof rq->calling);
    return transition(&t, UL_EVT7);
}

struct ul_outcome ul_reject(struct ul *ul, struct pdu_reject reject, struct octets *out)
{
    struct turn t = turn_begin(ul, out);
    ul->reject = reject;
    return transition(&t, UL_EVT8);
}

/* Where the table has no Evt15, ours: whoever drains need not know the state. In Sta2 it is AA-1 as in the states
 * around it; in Sta1 and Sta13 nothing is left to abort. */
struct ul_outcome ul_abort(struct ul *ul, struct octets *out)
{
    struct turn t = turn_begin(ul, out);
    if (ul->state == UL_STA1 || ul->state == UL_STA13)
        return t.o;
    if (ul->state == UL_STA2)
        return perform(&t, UL_EVT15, UL_AA1);
    return transition(&t, UL_EVT15);
}

struct ul_outcome ul_fault(struct ul *ul, struct pdu_fault fault, struct octets *out)
{
    struct turn t = turn_begin(ul, out);
    if (ul->state == UL_STA1 || ul->state == UL_STA13)
        return t.o;
    if (ul->state == UL_STA4)
        return transition(&t, UL_EVT15); /* no connection yet, so nobody to send an A-ABORT to */
    return invalid_pdu(&t, fault);
}

struct ul_outcome ul_local(struct ul *ul, enum ul_event event, struct octets *out)
{
    struct turn t = turn_begin(ul, out);
    switch (event) {
    case UL_EVT17:
    case UL_EVT18:
        if (ul_action_for(ul->state, event) == UL_NO_ACTION)
            return t.o;
        break;
    case UL_EVT5:
        hilum_assert(!ul->is_requestor);
        break;
    case UL_EVT2:
    case UL_EVT9:
    case UL_EVT11:
    case UL_EVT14:
        break;
    default:
        hilum_assert(!"an event that has a function of its own");
    }
    return transition(&t, event);
}

bool ul_may_send_data(const struct ul *ul)
{
    return ul_action_for(ul->state, UL_EVT9) != UL_NO_ACTION;
}
