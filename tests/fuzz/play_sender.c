/* Senders: well-formed PDUs, whole messages, and whatever the script puts between them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "dicom/deflate.h"
#include "pdu/write.h"
#include "play.h"

const struct play_syntax play_syntaxes[CONTEXTS] = {
    {"1.2.840.10008.5.1.4.1.1.2", true},     /* CT Image Storage */
    {"1.2.840.10008.5.1.4.1.1.4", true},     /* MR Image Storage */
    {"1.2.826.0.1.3680043.8.498.77", true},  /* a private one */
    {"1.2.840.10008.1.1", false},            /* Verification */
    {"1.2.840.10008.5.1.4.1.2.2.1", false},  /* Study Root FIND */
    {"1.2.840.10008.5.1.4.1.2.2.2", false},  /* MOVE */
    {"1.2.840.10008.5.1.4.1.2.2.3", false},  /* GET */
    {"1.2.840.10008.5.1.4.31", false},       /* Modality Worklist */
    {"1.2.840.10008.3.1.2.3.3", false},      /* MPPS */
    {"1.2.840.10008.1.20.1", false},         /* Storage Commitment */
    {"1.2.840.10008.5.1.4.34.6.1", false},   /* UPS Push */
    {"1.2.840.10008.5.1.1.9", false},        /* Basic Grayscale Print */
    {"1.2.840.10008.5.1.4.1.2.1.1", false},  /* Patient Root FIND */
    {"1.2.840.10008.5.1.4.1.1.481.3", true}, /* RT Structure Set Storage */
    {"1.2.840.10008.5.1.4.33", false},       /* Instance Availability */
    {"1.2.840.10008.5.1.4.1.1.12.1", true}}; /* XA Image Storage */

enum { PASSES = 3, FIRST_BYTES = 140000 };

static const char *const TITLES[] = {"HILUM", "FAN", "POOL", "TURNS", "WHOLE", "MORPH", "ASKS", "RULED"};
static const char *const CALLING[] = {"MODALITY", "A", "B", "STRANGER"};
static const char *const TRANSFER[] = {"1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.50",
                                       "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"};
static const uint16_t FIELDS[] = {DIMSE_C_ECHO_RQ,   DIMSE_C_FIND_RQ,         DIMSE_C_MOVE_RQ,
                                  DIMSE_C_GET_RQ,    DIMSE_C_CANCEL_RQ,       DIMSE_N_GET_RQ,
                                  DIMSE_N_SET_RQ,    DIMSE_N_ACTION_RQ,       DIMSE_N_CREATE_RQ,
                                  DIMSE_N_DELETE_RQ, DIMSE_N_EVENT_REPORT_RQ, DIMSE_C_STORE_RSP};

/* --- what it is told ------------------------------------------------------------------------------------------------ */

struct hearing {
    struct play *play;
    struct sender *sender;
};

static void on_event(void *arg, const struct pdu_event *e)
{
    const struct hearing *h = arg;
    struct ear *ear = &h->sender->ear;
    const struct dimse_command *c = &ear->request;
    if (!ear_hear(ear, e) || ear->awaits_data)
        return;
    if (!dimse_is_response(c->field) && c->field != DIMSE_C_CANCEL_RQ) { /* of a node, by the gateway */
        struct dimse_command response;
        struct octets o = {0};
        dimse_response_to(c, 0, NULL, &response);
        play_message(&o, ear->context_id, &response, (struct view){NULL, 0}, 1024);
        wire_send(h->play, &h->sender->wire, &o);
        octets_free(&o);
        return;
    }
    if (c->field != DIMSE_C_STORE_RSP)
        return;
    if (c->status != 0 && c->status >> 12 != 0xB)
        return;
    struct account *a = ledger_find(&h->play->ledger, c->affected_instance);
    if (a && !h->play->ledger.is_over)
        hilum_assert(++a->told <= a->taken);
}

void senders_turn(struct play *p)
{
    for (unsigned i = 0; i < SENDERS; i++) {
        struct sender *s = &p->senders[i];
        struct hearing h = {p, s};
        if (s->wire.fd >= 0 && !wire_listen(p, &s->wire, &s->ear, on_event, &h)) {
            wire_close(&s->wire, true);
            ear_free(&s->ear);
        }
    }
}

void senders_close(struct play *p)
{
    for (unsigned i = 0; i < SENDERS; i++) {
        if (p->senders[i].wire.fd >= 0)
            ear_free(&p->senders[i].ear);
        wire_close(&p->senders[i].wire, true);
    }
}

/* --- what it does --------------------------------------------------------------------------------------------------- */

static void connect_it(struct play *p, struct sender *s)
{
    int ends[2];
    if (s->wire.fd >= 0)
        return;
    hilum_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    wire_open(&s->wire, ends[0]);
    ear_init(&s->ear);
    s->next_id = 1;
    relay_accept(&p->relay, ends[1], p->config, &p->config->listens[0]);
}

/* Contexts 1, 3, ... are those of play_syntaxes, so that steps know them. */
static void request(struct sender *s, struct octets *o, struct input *in)
{
    struct pdu_associate rq;
    struct view syntaxes[2];
    const uint16_t which = input_u16(in);
    const uint8_t how = input_u8(in), more = input_u8(in);
    pdu_associate_init(&rq, false);
    pdu_title_write(rq.called_raw, TITLES[how % 8]);
    pdu_title_write(rq.calling_raw, CALLING[(how >> 3 & 1) + (more >> 1 & 2)]);
    rq.application_context = view_of("1.2.840.10008.3.1.1.1");
    rq.contexts = pdu_associate_alloc(&rq, CONTEXTS * sizeof(*rq.contexts));
    s->deflates = (how >> 4) % 5 == 3;
    syntaxes[0] = view_of(TRANSFER[(how >> 4) % 5]);
    syntaxes[1] = view_of(TRANSFER[more % 5]);
    for (unsigned i = 0; i < CONTEXTS; i++)
        if (which == 0 || (which >> i & 1))
            rq.contexts[rq.context_count++] =
                (struct pdu_context){.id = (uint8_t)(2 * i + 1),
                                     .abstract_syntax = view_of(play_syntaxes[i].abstract),
                                     .transfer_syntaxes = syntaxes,
                                     .transfer_syntax_count = more & 8 ? 2 : 1};
    rq.has_max_length = true;
    rq.max_length = more & 16 ? 128 : 16384;
    rq.has_async = more & 32;
    rq.async_invoked = rq.async_performed = more & 32 ? 4 : 1;
    rq.implementation_uid = view_of("1.2.826.0.1.3680043.8.498.1");
    struct pdu_role role = {view_of(play_syntaxes[0].abstract), true, true};
    rq.roles = &role;
    rq.role_count = more & 64 ? 1 : 0;
    rq.has_identity = more & 128;
    rq.identity = (struct pdu_identity){2, true, view_of("user"), view_of("secret")};
    pdu_associate_write(&rq, o);
    rq.roles = NULL;
    pdu_associate_free(&rq);
}

/* Its UID is the instance's number; the data set has it too, and a patient, and pixels as long as asked for. */
void store_data(struct octets *o, unsigned instance, size_t len, uint8_t filled_with)
{
    char uid[17];
    snprintf(uid, sizeof(uid), "1.2.826.0.9.%04u", instance);
    static const uint8_t modality[] = {0x08, 0, 0x60, 0, 'C', 'S', 2, 0, 'C', 'T'};
    static const uint8_t head[] = {0x08, 0, 0x18, 0, 'U', 'I', 16, 0};
    static const uint8_t patient[] = {0x10, 0, 0x20, 0, 'L', 'O', 4, 0, '1', '2', '3', '4'};
    static const uint8_t study[] = {0x20, 0, 0x0d, 0, 'U', 'I', 4, 0, '1', '.', '2', 0};
    static const uint8_t pixels[] = {0xe0, 0x7f, 0x10, 0, 'O', 'W', 0, 0};
    octets_append(o, head, sizeof(head));
    octets_append(o, uid, 16);
    octets_append(o, modality, sizeof(modality));
    octets_append(o, patient, sizeof(patient));
    octets_append(o, study, sizeof(study));
    octets_append(o, pixels, sizeof(pixels));
    octets_le32(o, (uint32_t)(len & ~(size_t)1));
    octets_fill(o, filled_with, len & ~(size_t)1);
}

static size_t size_of(uint8_t code)
{
    static const size_t sizes[] = {0, 10, 500, 2000, 5000, 20000, 70000, 300000};
    return sizes[code % 8] + code / 8;
}

static struct dimse_command store_command(struct sender *s, uint8_t context, unsigned instance, char uid[17])
{
    snprintf(uid, 17, "1.2.826.0.9.%04u", instance);
    return (struct dimse_command){.has = DIMSE_HAS_AFFECTED_CLASS | DIMSE_HAS_FIELD | DIMSE_HAS_MESSAGE_ID |
                                         DIMSE_HAS_PRIORITY | DIMSE_HAS_DATA_SET_TYPE |
                                         DIMSE_HAS_AFFECTED_INSTANCE,
                                  .field = DIMSE_C_STORE_RQ,
                                  .message_id = s->next_id++,
                                  .data_set_type = DIMSE_DATA_SET,
                                  .affected_class = view_of(play_syntaxes[context].abstract),
                                  .affected_instance = view_of(uid)};
}

static void store(struct play *p, struct sender *s, struct octets *o, struct input *in, bool is_whole)
{
    static const uint8_t storage[] = {0, 1, 2, 13, 15, 0, 0, 1};
    const uint8_t what = input_u8(in), size = input_u8(in), cut = input_u8(in);
    const uint8_t context = storage[what >> 5];
    char uid[17];
    struct dimse_command c = store_command(s, context, what & 15, uid);
    struct octets data = {0}, message = {0};
    if (what & 16) { /* as an archive does for a C-MOVE */
        c.has |= DIMSE_HAS_ORIGINATOR_TITLE | DIMSE_HAS_ORIGINATOR_ID;
        c.originator_title = view_of("HILUM");
        c.originator_id = p->last_move;
    }
    store_data(&data, what & 15, size_of(size), cut);
    if (s->deflates) {
        struct octets plain = data;
        data = (struct octets){0};
        hilum_assert(dicom_deflate_all((struct view){plain.data, plain.len}, &data) == OK);
        octets_free(&plain);
    }
    const bool may_pass = cut == PASSES; /* by memory: a large PDV, whose payload comes behind its header */
    const size_t fragment = may_pass ? 1 << 20 : cut & 1 ? 16378 : 100U + cut * 8;
    play_message(&message, (uint8_t)(2 * context + 1), &c, (struct view){data.data, data.len}, fragment);
    size_t len =
        is_whole ? message.len : message.len * (cut + 1U) / 257; /* what follows may come later, or never */
    const size_t first = may_pass && len > FIRST_BYTES ? FIRST_BYTES : 0;
    if (first > 0) {
        octets_append(o, message.data, first);
        wire_send(p, &s->wire, o);
        octets_clear(o);
        play_settle(p);
    }
    octets_append(o, message.data + first, len - first);
    octets_free(&data);
    octets_free(&message);
}

/* An identifier of the usual keys, or one of the script's. */
static void identifier(struct octets *o, struct input *in)
{
    static const uint8_t usual[] = {0x08, 0,   0x52, 0, 'C',  'S', 6,   0,   'S', 'T', 'U', 'D',
                                    'Y',  ' ', 0x10, 0, 0x20, 0,   'L', 'O', 2,   0,   '4', '2',
                                    0x20, 0,   0x0d, 0, 'U',  'I', 4,   0,   '1', '.', '2', 0};
    const uint8_t len = input_u8(in);
    if (len & 0x80) {
        octets_append(o, usual, sizeof(usual));
    } else {
        struct view v = input_bytes(in, len);
        if (v.len > 0)
            octets_append(o, v.at, v.len);
    }
}

static void other_request(struct sender *s, struct octets *o, struct input *in)
{
    const uint8_t what = input_u8(in), context = input_u8(in) % CONTEXTS, how = input_u8(in);
    const uint16_t field = FIELDS[what % (sizeof(FIELDS) / sizeof(FIELDS[0]))];
    struct octets data = {0};
    struct dimse_command c = {.has = DIMSE_HAS_FIELD | DIMSE_HAS_DATA_SET_TYPE | DIMSE_HAS_PRIORITY,
                              .field = field,
                              .message_id = s->next_id,
                              .responded_id = how % 8,
                              .data_set_type = how & 1 ? DIMSE_DATA_SET : DIMSE_NO_DATA_SET,
                              .affected_class = view_of(play_syntaxes[context].abstract),
                              .requested_class = view_of(play_syntaxes[context].abstract),
                              .affected_instance = view_of("1.2.3"),
                              .requested_instance = view_of("1.2.3"),
                              .move_destination = view_of(how & 2 ? "A" : "B"),
                              .action_type = 1,
                              .event_type = 1};
    const bool is_requested = what % 12 >= 5 && what % 12 <= 9 && field != DIMSE_N_CREATE_RQ;
    c.has |= field == DIMSE_C_CANCEL_RQ || dimse_is_response(field) ? DIMSE_HAS_RESPONDED_ID
                                                                    : DIMSE_HAS_MESSAGE_ID;
    c.has |=
        is_requested ? DIMSE_HAS_REQUESTED_CLASS | DIMSE_HAS_REQUESTED_INSTANCE : DIMSE_HAS_AFFECTED_CLASS;
    c.has |= field == DIMSE_C_MOVE_RQ ? DIMSE_HAS_MOVE_DESTINATION : 0;
    c.has |= field == DIMSE_N_CREATE_RQ || field == DIMSE_N_EVENT_REPORT_RQ ? DIMSE_HAS_AFFECTED_INSTANCE : 0;
    c.has |= field == DIMSE_N_ACTION_RQ ? DIMSE_HAS_ACTION_TYPE : 0;
    c.has |= field == DIMSE_N_EVENT_REPORT_RQ ? DIMSE_HAS_EVENT_TYPE : 0;
    c.has |= dimse_is_response(field) ? DIMSE_HAS_STATUS : 0;
    s->next_id++;
    if (dimse_has_data_set(&c))
        identifier(&data, in);
    play_message(o, (uint8_t)(2 * context + 1), &c, (struct view){data.data, data.len}, 64);
    octets_free(&data);
}

/* What the script says itself: bytes, a PDU of its content, a PDV of its content. */
static void own(struct octets *o, uint8_t how, struct input *in)
{
    const uint8_t type = input_u8(in);
    struct view v = input_bytes(in, input_u8(in));
    if (how == 0 && v.len > 0)
        octets_append(o, v.at, v.len);
    else if (how == 1)
        play_pdu(o, type, v);
    else if (how == 2)
        play_pdv(o, (uint8_t)(2 * (type & 15) + 1), type >> 6, v.at, v.len);
}

void sender_step(struct play *p, uint8_t what, struct input *in)
{
    struct sender *s = &p->senders[what >> 6];
    struct octets o = {0};
    switch (what & 15) {
    case 0:
        connect_it(p, s);
        request(s, &o, in);
        break;
    case 1:
        connect_it(p, s);
        break;
    case 2:
    case 3:
        store(p, s, &o, in, true);
        break;
    case 4:
        store(p, s, &o, in, false);
        break;
    case 5:
    case 6:
        other_request(s, &o, in);
        break;
    case 7:
    case 8:
    case 9:
        own(&o, (what & 15) - 7, in);
        break;
    case 10:
        pdu_write_release_rq(&o);
        break;
    case 11:
        if (input_u8(in) & 1)
            pdu_write_release_rp(&o);
        else
            pdu_write_abort(&o, PDU_ABORT_USER, PDU_ABORT_UNSPECIFIED);
        break;
    case 12:
        if (s->wire.fd >= 0)
            shutdown(s->wire.fd, SHUT_WR);
        break;
    case 13:
        if (s->wire.fd >= 0)
            ear_free(&s->ear);
        wire_close(&s->wire, true);
        break;
    case 14:
        s->wire.is_deaf = !s->wire.is_deaf;
        break;
    default:
        request(s, &o, in);
    }
    wire_send(p, &s->wire, &o);
    octets_free(&o);
}
