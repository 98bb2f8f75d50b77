/* Nodes: they take what the gateway sends, and answer as their manner says, or when the script says. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "dimse/status.h"
#include "pdu/write.h"
#include "play.h"

static const uint16_t STATUSES[] = {0x0000, 0xB000, 0x0111, 0xA700, 0xC000, 0xA900, 0x0122, 0x0110,
                                    0xFE00, 0xFF00, 0x0124, 0xB007, 0x0000, 0x0000, 0x0000, 0x0000};
enum { BY_SCRIPT = 15 };

/* An identifier of a response, or a data set of a retrieved instance: Explicit VR Little Endian. */
static const uint8_t SOME_DATA[] = {0x08, 0,    0x52, 0,    'C', 'S', 6,   0, 'S', 'T', 'U', 'D', 'Y',
                                    ' ',  0x20, 0,    0x0d, 0,   'U', 'I', 4, 0,   '1', '.', '2', 0};

void node_listen(struct node *n)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    n->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    hilum_assert(n->listener >= 0 && bind(n->listener, (struct sockaddr *)&at, len) == 0);
    setsockopt(n->listener, IPPROTO_TCP, TCP_CONGESTION, "reno",
               4); /* which has no timers of its own: what is sent is there */
    hilum_assert(listen(n->listener, 64) == 0 && getsockname(n->listener, (struct sockaddr *)&at, &len) == 0);
    n->port = ntohs(at.sin_port);
}

static void call_close(struct call_in *c, bool resets)
{
    wire_close(&c->wire, resets);
    ear_free(&c->ear);
    for (unsigned i = 0; i < PENDING; i++)
        octets_free(&c->values[i]);
    c->pending_count = 0;
}

static void say(struct play *p, struct call_in *c, struct octets *o)
{
    wire_send(p, &c->wire, o);
    octets_free(o);
}

/* --- associations -------------------------------------------------------------------------------------------------- */

static void accept_request(struct play *p, struct call_in *c, struct pdu_associate *rq, bool only_half)
{
    struct pdu_associate ac;
    struct octets o = {0};
    pdu_associate_init(&ac, true);
    memcpy(ac.called_raw, rq->called_raw, sizeof(ac.called_raw));
    memcpy(ac.calling_raw, rq->calling_raw, sizeof(ac.calling_raw));
    ac.application_context = rq->application_context;
    ac.contexts = pdu_associate_alloc(&ac, (rq->context_count + 1U) * sizeof(*ac.contexts));
    for (unsigned i = 0; i < rq->context_count; i++) {
        const struct pdu_context *asked = &rq->contexts[i];
        const bool is_refused = only_half && i % 2 == 1;
        ac.contexts[ac.context_count++] =
            (struct pdu_context){.id = asked->id,
                                 .result = is_refused ? PDU_CONTEXT_ABSTRACT_SYNTAX : PDU_CONTEXT_ACCEPTED,
                                 .transfer_syntaxes = asked->transfer_syntaxes,
                                 .transfer_syntax_count = 1};
    }
    ac.has_max_length = true;
    ac.max_length = only_half ? 4096 : 256 << 10;
    ac.implementation_uid = view_of("1.2.826.0.1.3680043.8.498.1");
    ac.roles = rq->roles;
    ac.role_count = rq->role_count;
    pdu_associate_write(&ac, &o);
    ac.roles = NULL;
    pdu_associate_free(&ac);
    say(p, c, &o);
}

static void on_request(struct play *p, struct call_in *c, const struct pdu_event *e)
{
    struct pdu_associate rq;
    struct pdu_fault fault;
    struct octets o = {0};
    const uint8_t how = p->nodes[c->node].manner.associate & 7;
    hilum_assert(pdu_associate_parse(e->body, e->body_len, false, &rq, &fault) == OK);
    if (how == 4) {
        pdu_write_reject(
            &o, (struct pdu_reject){PDU_REJECT_TRANSIENT, PDU_REJECT_PRESENTATION, PDU_REJECT_LOCAL_LIMIT});
        say(p, c, &o);
    } else if (how == 7) {
        c->ear.is_lost = true;
    } else if (how != 6) {
        accept_request(p, c, &rq, how == 5);
    }
    pdu_associate_free(&rq);
}

/* --- answers ------------------------------------------------------------------------------------------------------- */

static bool has_pendings(uint16_t field)
{
    return field == DIMSE_C_FIND_RQ || field == DIMSE_C_MOVE_RQ || field == DIMSE_C_GET_RQ;
}

/* Before it is sent: the account must never be behind. */
static void note(struct play *p, const struct dimse_command *request, uint16_t status)
{
    if (request->field != DIMSE_C_STORE_RQ || (status != 0 && status != 0x0111 && status >> 12 != 0xB))
        return;
    struct account *a = ledger_find(&p->ledger, request->affected_instance);
    if (a)
        a->taken++;
}

static void answer(struct play *p, struct call_in *c, uint8_t context_id, const struct dimse_command *request,
                   uint16_t status)
{
    struct dimse_command response;
    struct octets o = {0};
    if (dimse_is_response(request->field) || request->field == DIMSE_C_CANCEL_RQ)
        return;
    const unsigned pendings = has_pendings(request->field) ? p->nodes[c->node].manner.pendings & 3 : 0;
    for (unsigned i = 0; i < pendings; i++) {
        const bool has_data = request->field == DIMSE_C_FIND_RQ;
        dimse_response_to(request, 0xFF00, NULL, &response);
        response.data_set_type = has_data ? DIMSE_DATA_SET : DIMSE_NO_DATA_SET;
        response.has |= DIMSE_HAS_DATA_SET_TYPE;
        play_message(&o, context_id, &response, (struct view){SOME_DATA, sizeof(SOME_DATA)}, 1024);
    }
    note(p, request, status);
    dimse_response_to(request, status, status >> 12 == 0xC ? "cannot understand" : NULL, &response);
    play_message(&o, context_id, &response, (struct view){NULL, 0}, 1024);
    say(p, c, &o);
}

/* It waits for the script. */
static void put_off(struct call_in *c, uint8_t context_id, const struct dimse_command *request)
{
    if (c->pending_count == PENDING || dimse_is_response(request->field))
        return;
    const unsigned i = c->pending_count++;
    octets_clear(&c->values[i]);
    hilum_assert(dimse_copy(request, &c->values[i], &c->pending[i]));
    c->pending_context[i] = context_id;
}

static void on_event(void *arg, const struct pdu_event *e);

struct hearing {
    struct play *play;
    struct call_in *call;
};

static void on_event(void *arg, const struct pdu_event *e)
{
    const struct hearing *h = arg;
    struct play *p = h->play;
    struct call_in *c = h->call;
    const struct manner *m = &p->nodes[c->node].manner;
    struct octets o = {0};
    if (e->kind == PDU_EVENT_BODY && e->type == PDU_ASSOCIATE_RQ) {
        on_request(p, c, e);
    } else if (e->kind == PDU_EVENT_BODY && e->type == PDU_RELEASE_RQ) {
        pdu_write_release_rp(&o);
        say(p, c, &o);
    } else if (ear_hear(&c->ear, e) && !c->ear.awaits_data) {
        if (c->ear.request.field == DIMSE_C_MOVE_RQ)
            p->last_move = c->ear.request.message_id;
        if (m->answer % 16 == BY_SCRIPT)
            put_off(c, c->ear.context_id, &c->ear.request);
        else
            answer(p, c, c->ear.context_id, &c->ear.request, STATUSES[m->answer % 16]);
    }
}

/* --- turns --------------------------------------------------------------------------------------------------------- */

static void take_calls(struct play *p, unsigned node)
{
    int fd;
    while ((fd = accept4(p->nodes[node].listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct call_in *c = NULL;
        p->moved = true;
        for (unsigned i = 0; i < CALLS && !c; i++)
            c = p->calls[i].wire.fd < 0 ? &p->calls[i] : NULL;
        if (!c) {
            close(fd);
            continue;
        }
        wire_open(&c->wire, fd);
        ear_init(&c->ear);
        c->node = node;
    }
}

void nodes_turn(struct play *p)
{
    for (unsigned i = 0; i < NODES; i++)
        take_calls(p, i);
    for (unsigned i = 0; i < CALLS; i++) {
        struct call_in *c = &p->calls[i];
        struct hearing h = {p, c};
        if (c->wire.fd >= 0 && !wire_listen(p, &c->wire, &c->ear, on_event, &h))
            call_close(c, true); /* so that no connection lingers: there are thousands a second */
    }
}

void node_answer_one(struct play *p, unsigned which, uint8_t status)
{
    for (unsigned i = 0; i < CALLS; i++) {
        struct call_in *c = &p->calls[(which + i) % CALLS];
        if (c->wire.fd < 0 || c->pending_count == 0)
            continue;
        struct dimse_command request = c->pending[0];
        struct octets values = c->values[0];
        const uint8_t context_id = c->pending_context[0];
        c->pending_count--;
        memmove(c->pending, c->pending + 1, c->pending_count * sizeof(*c->pending));
        memmove(c->values, c->values + 1, c->pending_count * sizeof(*c->values));
        memmove(c->pending_context, c->pending_context + 1, c->pending_count);
        c->values[c->pending_count] = (struct octets){0};
        answer(p, c, context_id, &request, STATUSES[status % 16]);
        octets_free(&values);
        return;
    }
}

void node_dies(struct play *p, unsigned node)
{
    for (unsigned i = 0; i < CALLS; i++)
        if (p->calls[i].wire.fd >= 0 && p->calls[i].node == node)
            call_close(&p->calls[i], true);
}

void node_says(struct play *p, unsigned which, const struct octets *bytes)
{
    for (unsigned i = 0; i < CALLS; i++) {
        struct call_in *c = &p->calls[(which + i) % CALLS];
        if (c->wire.fd >= 0) {
            p->ledger.is_over = true; /* it may say that it has what it has not */
            wire_send(p, &c->wire, bytes);
            return;
        }
    }
}

void node_asks(struct play *p, unsigned which, struct input *in)
{
    const uint8_t what = input_u8(in), size = input_u8(in);
    struct octets o = {0}, data = {0};
    struct dimse_command c = {.has = DIMSE_HAS_AFFECTED_CLASS | DIMSE_HAS_FIELD | DIMSE_HAS_MESSAGE_ID |
                                     DIMSE_HAS_DATA_SET_TYPE | DIMSE_HAS_AFFECTED_INSTANCE,
                              .field = what & 0x80 ? DIMSE_N_EVENT_REPORT_RQ : DIMSE_C_STORE_RQ,
                              .message_id = size,
                              .event_type = 1,
                              .data_set_type = what & 0x40 ? DIMSE_NO_DATA_SET : DIMSE_DATA_SET,
                              .affected_class = view_of(play_syntaxes[what >> 4 & 3].abstract),
                              .affected_instance = view_of("1.2.826.0.9.0001")};
    c.has |= what & 0x80 ? DIMSE_HAS_EVENT_TYPE : DIMSE_HAS_PRIORITY;
    store_data(&data, 1, size & 1 ? 70000 : size, size);
    play_message(&o, (uint8_t)(2 * (what & 15) + 1), &c, (struct view){data.data, data.len}, 16378);
    for (unsigned i = 0; i < CALLS; i++) {
        struct call_in *call = &p->calls[(which + i) % CALLS];
        if (call->wire.fd >= 0) {
            wire_send(p, &call->wire, &o);
            break;
        }
    }
    octets_free(&o);
    octets_free(&data);
}

void nodes_close(struct play *p)
{
    for (unsigned i = 0; i < CALLS; i++)
        if (p->calls[i].wire.fd >= 0)
            call_close(&p->calls[i], true);
}
