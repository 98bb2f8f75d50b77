/*
 * Both ends of an association, each a state machine, that a script drives: local events in any order that the table allows, time-outs, a
 * connection that carries bytes late and in pieces, and breaks. Where nothing but the two machines speaks, neither may find fault with the other. Where
 * the script puts bytes of its own between them, all that is asked for is the table.
 *
 *   0  u8   bit 0: the script's own bytes may come in between
 *   1  steps: u8, the low four bits what to do, bit 7 whose; some are followed by their bytes
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "input.h"
#include "pdu/write.h"
#include "ul/ul.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ALL = 0xc0, ROUNDS = 8 };

struct end {
    struct ul ul;
    struct octets sent; /* not yet received by the other end */
    bool has_artim;
    bool is_closed; /* by this end: what is in `sent` still goes */
    bool is_over;   /* nothing comes from the other end any more, and it knows */
    bool owes_release;
};

struct pair {
    struct end ends[2]; /* the requestor, the acceptor */
    bool has_garbage;
    struct input in;
};

static struct pdu_associate minimal(bool is_ac)
{
    struct pdu_associate a;
    pdu_associate_init(&a, is_ac);
    a.application_context = view_of("1.2.840.10008.3.1.1.1");
    return a;
}

/* What the machine says of one step agrees with the table, and with itself. */
static void check(const struct end *e, const struct ul_outcome *o, size_t before)
{
    const bool is_sent = o->effects & UL_SEND;
    hilum_assert(is_sent == (e->sent.len > before));
    hilum_assert(!(o->effects & UL_CLOSE) || e->ul.state == UL_STA1);
    hilum_assert(!(o->effects & UL_START_ARTIM) || e->ul.state == UL_STA2 || e->ul.state == UL_STA13);
    if (o->event) {
        const bool is_ours = o->event == UL_EVT15 && o->from == UL_STA2;
        hilum_assert(is_ours || o->action == ul_action_for(o->from, o->event));
        char text[32];
        ul_transition_name(o, text);
        hilum_assert(strlen(text) < sizeof(text) - 1);
    } else {
        hilum_assert(o->from == e->ul.state && !is_sent && o->effects == 0);
    }
    if (o->indication == UL_DATA)
        hilum_assert(e->ul.state == UL_STA6 || e->ul.state == UL_STA7);
    if (o->indication == UL_FAULT || o->indication == UL_PROVIDER_ABORTED)
        hilum_assert(o->fault.text);
}

static void took(struct pair *p, struct end *e, const struct ul_outcome *o, size_t before)
{
    check(e, o, before);
    if (o->effects & UL_START_ARTIM)
        e->has_artim = true;
    if (o->effects & UL_STOP_ARTIM)
        e->has_artim = false;
    if (o->effects & UL_CLOSE)
        e->is_closed = true;
    if (o->indication == UL_RELEASE || o->indication == UL_RELEASE_COLLISION)
        e->owes_release = true;
    /* What crosses an A-ABORT of ours before there was a request is refused by the table itself (Sta13 Evt6). */
    if (!p->has_garbage && o->from != UL_STA13)
        hilum_assert(o->indication != UL_FAULT && o->indication != UL_PROVIDER_ABORTED);
}

/* A local event, where the table has one. */
static void local(struct pair *p, struct end *e, enum ul_event event)
{
    if (ul_action_for(e->ul.state, event) == UL_NO_ACTION && event != UL_EVT17 && event != UL_EVT18)
        return;
    if (event == UL_EVT14 && e->ul.state == UL_STA9 && !e->owes_release)
        return;
    size_t before = e->sent.len;
    struct ul_outcome o = ul_local(&e->ul, event, &e->sent);
    took(p, e, &o, before);
}

static void answer(struct pair *p, struct end *e)
{
    size_t before = e->sent.len;
    if (ul_action_for(e->ul.state, UL_EVT7) == UL_NO_ACTION)
        return;
    struct pdu_associate ac = minimal(true);
    const uint8_t how = input_u8(&p->in);
    struct ul_outcome o =
        how & 3 ? ul_accept_take(&e->ul, &ac, &e->sent)
                : ul_reject(&e->ul, (struct pdu_reject){1 + (how >> 2 & 1), 1, 1 + (how >> 3 & 7)}, &e->sent);
    took(p, e, &o, before);
}

/* A P-DATA-TF of one PDV, where data may be sent: the sender frames them itself. */
static void send_data(struct pair *p, struct end *e)
{
    if (!ul_may_send_data(&e->ul))
        return;
    local(p, e, UL_EVT9);
    const struct view payload = input_bytes(&p->in, input_u8(&p->in) & 31);
    octets_u8(&e->sent, PDU_P_DATA_TF);
    octets_u8(&e->sent, 0);
    octets_be32(&e->sent, (uint32_t)(PDU_PDV_HEADER_BYTES + payload.len));
    octets_be32(&e->sent, (uint32_t)payload.len + 2);
    octets_u8(&e->sent, 1);
    octets_u8(&e->sent, input_u8(&p->in) & 3);
    if (payload.len > 0)
        octets_append(&e->sent, payload.at, payload.len);
}

static void receive(struct pair *p, struct end *e, const uint8_t *bytes, size_t len)
{
    struct ul_outcome o;
    uint8_t *copy = malloc(len + !len); /* a read past its end is seen */
    hilum_assert(copy);
    if (len > 0)
        memcpy(copy, bytes, len);
    size_t used = 0, n;
    do {
        if (e->ul.state == UL_STA4)
            break;
        size_t before = e->sent.len;
        o = ul_receive(&e->ul, copy + used, len - used, &n, &e->sent);
        hilum_assert(n <= len - used);
        used += n;
        took(p, e, &o, before);
    } while (used < len || o.indication != UL_NOTHING);
    free(copy);
}

/* Some of what is on the way arrives; behind all of it, the end. */
static void carry(struct pair *p, struct end *from, struct end *to, size_t len)
{
    len = len > from->sent.len || len >= ALL ? from->sent.len : len;
    if (to->ul.state == UL_STA4 || to->is_over)
        return;
    if (len > 0 && !to->is_closed) {
        receive(p, to, from->sent.data, len);
    }
    octets_consume(&from->sent, len);
    if (from->sent.len == 0 && from->is_closed) {
        to->is_over = true;
        local(p, to, UL_EVT17);
    }
}

static void user_aborts(struct pair *p, struct end *e, bool is_fault)
{
    size_t before = e->sent.len;
    struct ul_outcome o;
    if (is_fault) {
        o = ul_fault(&e->ul, (struct pdu_fault){input_u8(&p->in) % 7, "fuzzed"}, &e->sent);
        hilum_assert(o.event == 0 || o.event == UL_EVT19 || o.event == UL_EVT15);
        const bool had_garbage = p->has_garbage;
        p->has_garbage = true; /* the fault that is told is the one that we made */
        took(p, e, &o, before);
        p->has_garbage = had_garbage;
    } else {
        o = ul_abort(&e->ul, &e->sent);
        took(p, e, &o, before);
    }
}

static void step(struct pair *p, uint8_t what)
{
    struct end *e = &p->ends[what >> 7], *other = &p->ends[!(what >> 7)];
    const bool may_speak = p->has_garbage;
    switch (what & 15) {
    case 0:
    case 1:
    case 2:
    case 3:
        carry(p, e, other, input_u8(&p->in));
        break;
    case 4:
        send_data(p, e);
        break;
    case 5:
        answer(p, e);
        break;
    case 6:
        local(p, e, UL_EVT11);
        break;
    case 7:
        local(p, e, UL_EVT14);
        break;
    case 8:
        user_aborts(p, e, false);
        break;
    case 9:
        user_aborts(p, e, true);
        break;
    case 10:
        if (e->has_artim)
            local(p, e, UL_EVT18);
        break;
    case 11: /* the connection breaks */
        octets_clear(&other->sent);
        e->is_closed = other->is_closed = true;
        e->is_over = true;
        local(p, e, UL_EVT17);
        break;
    case 12:
        if (ul_action_for(e->ul.state, UL_EVT2) != UL_NO_ACTION)
            local(p, e, UL_EVT2);
        break;
    default:
        if (may_speak && e->ul.state != UL_STA4 && e->ul.state != UL_STA1) {
            struct view bytes = input_bytes(&p->in, input_u8(&p->in));
            receive(p, e, bytes.at, bytes.len);
        }
    }
}

/* Where only the two of them spoke, a release that has begun comes to its end, once all has arrived and been answered. */
static void wind_down(struct pair *p)
{
    for (int i = 0; i < ROUNDS; i++) {
        for (int k = 0; k < 2; k++) {
            struct end *e = &p->ends[k];
            carry(p, &p->ends[!k], e, ALL);
            answer(p, e);
            e->owes_release = true;
            local(p, e, UL_EVT14);
            if (i > ROUNDS / 2 && e->has_artim)
                local(p, e, UL_EVT18);
        }
    }
    for (int k = 0; k < 2; k++)
        hilum_assert(p->ends[k].ul.state < UL_STA7);
}

static void finish(struct pair *p, struct end *e)
{
    local(p, e, UL_EVT17);
    hilum_assert(e->ul.state == UL_STA1);
    receive(p, e, (const uint8_t *)"\1\0\0\0\0\4late", 10); /* is not looked at */
    hilum_assert(e->ul.state == UL_STA1);
    octets_free(&e->sent);
    ul_free(&e->ul);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pair p = {.in = {data, size}};
    struct pdu_associate request = minimal(false);
    p.has_garbage = input_u8(&p.in) & 1;
    ul_init(&p.ends[0].ul, true);
    ul_init(&p.ends[1].ul, false);
    ul_request_take(&p.ends[0].ul, &request);
    local(&p, &p.ends[1], UL_EVT5);
    while (p.in.left > 0)
        step(&p, input_u8(&p.in));
    if (!p.has_garbage)
        wind_down(&p);
    finish(&p, &p.ends[0]);
    finish(&p, &p.ends[1]);
    return 0;
}
