/*
 * A peer's bytes into reader and state machine, twice: in one input, and cut into inputs of odd lengths. Both must end in the
 * same state, with the same bytes sent and the same payload passed on.
 *
 *   input: u8 (bit 0: we are the requestor, bit 1: start established, rest: seed of the cuts), then the bytes
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "ul/ul.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
    struct ul ul;
    struct octets sent;    /* by us */
    struct octets payload; /* passed on, with context and control before the end of each PDV */
    unsigned effects;
    int indications;
};

static struct pdu_associate minimal(bool is_ac)
{
    struct pdu_associate a;
    pdu_associate_init(&a, is_ac);
    a.application_context = (struct view){(const uint8_t *)"1.2.840.10008.3.1.1.1", 21};
    return a;
}

/* The user accepts, and answers a release at once. */
static void react(struct run *run, const struct ul_outcome *o)
{
    struct ul_outcome next = {0};
    run->effects |= o->effects;
    if (o->indication == UL_DATA) {
        octets_append(&run->payload, o->data.piece, o->data.piece_len);
        if (o->data.is_pdv_end) {
            octets_u8(&run->payload, o->data.context_id);
            octets_u8(&run->payload, o->data.control);
        }
        return;
    }
    run->indications += o->indication != UL_NOTHING;
    if (o->indication == UL_ASSOCIATE) {
        struct pdu_associate ac = minimal(true);
        next = ul_accept_take(&run->ul, &ac, &run->sent);
    } else if (o->indication == UL_RELEASE ||
               (o->indication == UL_RELEASE_COLLISION && run->ul.is_requestor) ||
               (o->indication == UL_RELEASED && run->ul.state == UL_STA12)) {
        next = ul_local(&run->ul, UL_EVT14, &run->sent);
    }
    run->effects |= next.effects;
}

static void receive(struct run *run, const uint8_t *bytes, size_t len)
{
    size_t used = 0, n;
    struct ul_outcome o;
    do {
        o = ul_receive(&run->ul, bytes + used, len - used, &n, &run->sent);
        hilum_assert(n <= len - used);
        used += n;
        react(run, &o);
    } while (used < len || o.indication != UL_NOTHING);
}

static void begin(struct run *run, uint8_t flags)
{
    static const uint8_t start[] = {0, 0, 0, 0, 0, 97, 0, 1}; /* header, version 1 */
    static const char items[] = "\x10\0\0\x15"
                                "1.2.840.10008.3.1.1.1"
                                "\x50\0\0"; /* and its NUL: 50, empty */
    const bool is_requestor = flags & 1;
    memset(run, 0, sizeof *run);
    ul_init(&run->ul, is_requestor);
    if (is_requestor) {
        struct pdu_associate request = minimal(false);
        ul_request_take(&run->ul, &request);
        ul_local(&run->ul, UL_EVT2, &run->sent);
    } else {
        ul_local(&run->ul, UL_EVT5, &run->sent);
    }
    if (flags & 2) {
        uint8_t bytes[6 + 97] = {0};
        memcpy(bytes, start, sizeof start);
        bytes[0] = is_requestor ? 2 : 1;
        memcpy(bytes + 74, items, sizeof items);
        receive(run, bytes, sizeof bytes);
        hilum_assert(run->ul.state == UL_STA6);
        if (flags & 4)
            ul_local(&run->ul, UL_EVT11, &run->sent);
    }
}

/* In a block of its own, so that a read past the input is seen. */
static void receive_copy(struct run *run, const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len);
    hilum_assert(copy);
    memcpy(copy, bytes, len);
    receive(run, copy, len);
    free(copy);
}

static bool is_same(const struct octets *a, const struct octets *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

static void end(struct run *run)
{
    octets_free(&run->sent);
    octets_free(&run->payload);
    ul_free(&run->ul);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run whole, cut;
    if (size < 2)
        return 0;
    const uint8_t flags = *data++;
    size--;
    begin(&whole, flags);
    begin(&cut, flags);
    receive_copy(&whole, data, size);
    uint32_t seed = flags;
    for (size_t at = 0; at < size;) {
        seed = seed * 1103515245 + 12345;
        size_t n = 1 + (seed >> 16) % 9;
        if (n > size - at)
            n = size - at;
        receive_copy(&cut, data + at, n);
        at += n;
    }
    hilum_assert(whole.ul.state == cut.ul.state);
    hilum_assert(whole.effects == cut.effects && whole.indications == cut.indications);
    hilum_assert(is_same(&whole.sent, &cut.sent) && is_same(&whole.payload, &cut.payload));
    ul_local(&whole.ul, UL_EVT17, &whole.sent);
    hilum_assert(whole.ul.state == UL_STA1);
    end(&whole);
    end(&cut);
    return 0;
}
