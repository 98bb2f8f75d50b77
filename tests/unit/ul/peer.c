#include "peer.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define VIEW(array)                                                                                          \
    {                                                                                                        \
        (array), sizeof(array)                                                                               \
    }

/* Titles and reserved bytes of RQ and AC; the calling title is padded by the peer's own fancy, the reserved bytes are
 * not zero: an acceptor echoes all of it. */
#define FIXED_FIELDS                                                                                         \
    0x00, 0x01, 0x00, 0x00, /* version 1, reserved */                                                        \
        'H', 'I', 'L', 'U', 'M', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', /* called */         \
        ' ', 'C', 'T', '1', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', ' ', 0, 0,     /* calling */        \
        1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,                          /* reserved */       \
        17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32

#define APPLICATION_CONTEXT_ITEM                                                                             \
    0x10, 0x00, 0x00, 0x15, /* 10, 21 bytes */                                                               \
        '1', '.', '2', '.', '8', '4', '0', '.', '1', '0', '0', '0', '8', '.', '3', '.', '1', '.', '1', '.',  \
        '1'

#define IMPLICIT_VR '1', '.', '2', '.', '8', '4', '0', '.', '1', '0', '0', '0', '8', '.', '1', '.', '2'

#define USER_INFORMATION_ITEM                                                                                \
    0x50, 0x00, 0x00, 0x0f,                             /* 50, 15 bytes */                                   \
        0x51, 0x00, 0x00, 0x04, 0x00, 0x00, 0x40, 0x00, /* 51: 16384 */                                      \
        0x52, 0x00, 0x00, 0x03, '1', '.', '2'           /* 52: 1.2 */

static const uint8_t RQ[] = {
    0x01,
    0x00,
    0x00,
    0x00,
    0x00,
    0xa2, /* A-ASSOCIATE-RQ, 68 + 25 + 50 + 19 = 162 bytes */
    FIXED_FIELDS,
    APPLICATION_CONTEXT_ITEM,
    0x20,
    0x00,
    0x00,
    0x2e,
    0x01,
    0x00,
    0x00,
    0x00, /* 20, 46 bytes: id 1 */
    0x30,
    0x00,
    0x00,
    0x11, /* 30, 17 bytes: verification */
    '1',
    '.',
    '2',
    '.',
    '8',
    '4',
    '0',
    '.',
    '1',
    '0',
    '0',
    '0',
    '8',
    '.',
    '1',
    '.',
    '1',
    0x40,
    0x00,
    0x00,
    0x11,
    IMPLICIT_VR, /* 40, 17 bytes */
    USER_INFORMATION_ITEM,
};

static const uint8_t AC[] = {
    0x02,
    0x00,
    0x00,
    0x00,
    0x00,
    0x8d, /* A-ASSOCIATE-AC, 68 + 25 + 29 + 19 = 141 bytes */
    FIXED_FIELDS,
    APPLICATION_CONTEXT_ITEM,
    0x21,
    0x00,
    0x00,
    0x19,
    0x01,
    0x00,
    0x00,
    0x00, /* 21, 25 bytes: id 1, accepted */
    0x40,
    0x00,
    0x00,
    0x11,
    IMPLICIT_VR, /* 40, 17 bytes */
    USER_INFORMATION_ITEM,
};

static const uint8_t RJ[] = {0x03, 0, 0,    0,    0,
                             4,    0, 0x02, 0x03, 0x01}; /* transient, presentation, congestion */
static const uint8_t DATA[] = {0x04, 0, 0, 0, 0, 10, 0, 0, 0, 6, 0x01, 0x02, 0xca, 0xfe, 0xba, 0xbe};
static const uint8_t RELEASE_RQ[] = {0x05, 0, 0, 0, 0, 4, 0, 0, 0, 0};
static const uint8_t RELEASE_RP[] = {0x06, 0, 0, 0, 0, 4, 0, 0, 0, 0};
static const uint8_t ABORT[] = {0x07, 0, 0, 0, 0, 4, 0, 0, 0x02, 0x05}; /* provider, unexpected parameter */
static const uint8_t UNKNOWN[] = {0x0a, 0, 0, 0, 0, 2, 0xab, 0xcd};

const struct view PEER_RQ = VIEW(RQ), PEER_AC = VIEW(AC), PEER_RJ = VIEW(RJ), PEER_DATA = VIEW(DATA),
                  PEER_RELEASE_RQ = VIEW(RELEASE_RQ), PEER_RELEASE_RP = VIEW(RELEASE_RP),
                  PEER_ABORT = VIEW(ABORT), PEER_UNKNOWN = VIEW(UNKNOWN), PEER_PAYLOAD = {DATA + 12, 4};

void peer_note(struct seen *seen, const struct ul_outcome *o)
{
    if (o->event) {
        seen->events++;
        seen->last = *o;
    }
    seen->effects |= o->effects;
    if (o->indication == UL_DATA) {
        hilum_assert(seen->payload_len + o->data.piece_len <= sizeof seen->payload);
        if (o->data.piece_len)
            memcpy(seen->payload + seen->payload_len, o->data.piece, o->data.piece_len);
        seen->payload_len += o->data.piece_len;
        seen->pdv_ends += o->data.is_pdv_end;
    } else if (o->indication == UL_DATA_END) {
        seen->data_ends++;
    } else if (o->indication != UL_NOTHING) {
        seen->indications++;
        seen->indication = o->indication;
    }
}

static void feed(struct ul *ul, const uint8_t *bytes, size_t len, struct octets *out, struct seen *seen)
{
    size_t used = 0, n;
    struct ul_outcome o;
    do {
        o = ul_receive(ul, bytes + used, len - used, &n, out);
        used += n;
        peer_note(seen, &o);
    } while (used < len || o.indication != UL_NOTHING);
}

struct seen peer_sends(struct ul *ul, struct view bytes, size_t chunk, struct octets *out)
{
    struct seen seen = {0};
    for (size_t at = 0; at < bytes.len;) {
        size_t n = chunk && chunk < bytes.len - at ? chunk : bytes.len - at;
        uint8_t *input = malloc(n);
        hilum_assert(input);
        memcpy(input, bytes.at + at, n);
        feed(ul, input, n, out, &seen);
        free(input);
        at += n;
    }
    return seen;
}

static struct view text(const char *s)
{
    return (struct view){(const uint8_t *)s, strlen(s)};
}

static struct pdu_associate user_associate(bool is_ac)
{
    static const struct view transfer[] = {{(const uint8_t *)"1.2.840.10008.1.2", 17}};
    struct pdu_associate a;
    pdu_associate_init(&a, is_ac);
    a.application_context = text("1.2.840.10008.3.1.1.1");
    a.contexts = pdu_associate_alloc(&a, sizeof *a.contexts);
    hilum_assert(a.contexts);
    a.contexts[0] = (struct pdu_context){.id = 1, .transfer_syntaxes = transfer, .transfer_syntax_count = 1};
    a.context_count = 1;
    a.has_max_length = true;
    a.max_length = 16384;
    a.implementation_uid = text("1.2");
    return a;
}

struct pdu_associate user_request(void)
{
    struct pdu_associate a = user_associate(false);
    a.contexts[0].abstract_syntax = text("1.2.840.10008.1.1");
    memcpy(a.called_raw, RQ + 10, 16);
    memcpy(a.calling_raw, RQ + 26, 16);
    memcpy(a.reserved_raw, RQ + 42, 32);
    return a;
}

/* Titles and reserved bytes are left empty: ul_accept_take has to fill them in from the request. */
struct pdu_associate user_accept(void)
{
    return user_associate(true);
}

static void reach_established(struct ul *ul, enum ul_state state, struct octets *out)
{
    if (ul->is_requestor) {
        struct pdu_associate rq = user_request();
        if (state == UL_STA1)
            return pdu_associate_free(&rq);
        ul_request_take(ul, &rq);
        if (state == UL_STA4)
            return;
        ul_local(ul, UL_EVT2, out);
        if (state != UL_STA5)
            peer_sends(ul, PEER_AC, 0, out);
        return;
    }
    if (state == UL_STA1)
        return;
    ul_local(ul, UL_EVT5, out);
    if (state == UL_STA2)
        return;
    peer_sends(ul, PEER_RQ, 0, out);
    if (state == UL_STA3)
        return;
    struct pdu_associate ac = user_accept();
    ul_accept_take(ul, &ac, out);
}

static void reach_end(struct ul *ul, enum ul_state state, struct octets *out)
{
    if (state == UL_STA13) {
        ul_abort(ul, out);
    } else if (state == UL_STA8) {
        peer_sends(ul, PEER_RELEASE_RQ, 0, out);
    } else if (state >= UL_STA7) {
        ul_local(ul, UL_EVT11, out);
        if (state >= UL_STA9)
            peer_sends(ul, PEER_RELEASE_RQ, 0, out);
        if (state == UL_STA11)
            ul_local(ul, UL_EVT14, out);
        if (state == UL_STA12)
            peer_sends(ul, PEER_RELEASE_RP, 0, out);
    }
}

bool peer_reach(struct ul *ul, enum ul_state state, bool is_requestor)
{
    static const enum ul_state only_requestor[] = {UL_STA4, UL_STA5, UL_STA9, UL_STA11};
    static const enum ul_state only_acceptor[] = {UL_STA2, UL_STA3, UL_STA10, UL_STA12};
    for (size_t i = 0; i < 4; i++) {
        if (state == (is_requestor ? only_acceptor[i] : only_requestor[i]))
            return false;
    }
    struct octets out = {0};
    ul_init(ul, is_requestor);
    reach_established(ul, state, &out);
    reach_end(ul, state, &out);
    octets_free(&out);
    hilum_assert(ul->state == state);
    return true;
}
