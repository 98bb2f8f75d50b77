#include "framing.h"

#include "base/assert.h"
#include "pdu/pdu.h"

void part_init(struct part *p, struct view head, const uint8_t *block, uint64_t len, uint32_t fragment,
               uint8_t context_id, uint8_t control)
{
    hilum_assert(len > 0 && head.len <= len && (block || head.len == len));
    *p = (struct part){.head = head, .block = block, .len = len, .fragment = fragment};
    uint32_t rest = (uint32_t)(len % fragment ? len % fragment : fragment);
    pdu_write_data_header(p->full, fragment, context_id, control);
    pdu_write_data_header(p->last, rest, context_id, control | PDV_LAST);
}

uint64_t part_wire_bytes(const struct part *p)
{
    return p->len + (p->len + p->fragment - 1) / p->fragment * PDU_DATA_HEADER_BYTES;
}

/* False: the list is full, and what was to be added does not stand in it, or not all of it. */
static bool add(struct slices *s, const uint8_t *at, uint64_t len)
{
    if (s->count == s->cap || s->bytes >= s->bytes_max) {
        s->is_full = true;
        return false;
    }
    s->at[s->count++] = (struct iovec){(void *)(uintptr_t)at, len};
    s->bytes += len;
    return true;
}

/* Bytes [from, to) of the part itself. */
static bool add_body(const struct part *p, uint64_t from, uint64_t to, struct slices *s)
{
    if (from < p->head.len) {
        uint64_t end = to < p->head.len ? to : p->head.len;
        if (!add(s, p->head.at + from, end - from))
            return false;
        from = end;
    }
    while (from < to) {
        uint64_t start = from % FRAMING_PERIOD;
        uint64_t len = FRAMING_BLOCK_BYTES - start < to - from ? FRAMING_BLOCK_BYTES - start : to - from;
        if (!add(s, p->block + start, len))
            return false;
        from += len;
    }
    return true;
}

void part_slices(const struct part *p, uint64_t from, struct slices *out)
{
    const uint64_t whole = (uint64_t)p->fragment + PDU_DATA_HEADER_BYTES;
    uint64_t at = from / whole * p->fragment; /* where in the part the PDU's fragment starts */
    uint64_t within = from % whole;
    while (at < p->len && !out->is_full) {
        uint64_t end = p->len - at < p->fragment ? p->len : at + p->fragment;
        if (within < PDU_DATA_HEADER_BYTES) {
            const uint8_t *header = end == p->len ? p->last : p->full;
            if (!add(out, header + within, PDU_DATA_HEADER_BYTES - within))
                return;
            within = PDU_DATA_HEADER_BYTES;
            out->is_full = out->is_apart;
        }
        if (out->is_full || !add_body(p, at + within - PDU_DATA_HEADER_BYTES, end, out))
            return;
        out->is_full = out->is_apart;
        within = 0;
        at = end;
    }
}

void framing_fill(uint8_t block[FRAMING_BLOCK_BYTES])
{
    uint32_t x =
        2463534242u; /* xorshift: payload that no layer can compress or take for something it knows */
    for (size_t i = 0; i < FRAMING_BLOCK_BYTES; i++) {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        block[i] = i < FRAMING_PERIOD ? (uint8_t)x : block[i - FRAMING_PERIOD];
    }
}
