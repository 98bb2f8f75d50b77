/* Headers of records, and the payloads that are short: segments, outcomes, orders, claims. */
#include "spool/record.h"

#include <xxhash.h>

#include "base/text.h"
#include "spool/record_cursor.h"

enum { MAGIC = 0x31524c48 /* "HLR1" */, HEAD_SUMMED = 56, COMMENT_MAX = 64 };

void record_write(const struct record *r, uint8_t out[RECORD_HEADER])
{
    put_le32(out, MAGIC);
    put_le32(out + 4, r->type);
    put_le64(out + 8, r->length);
    put_le64(out + 16, r->draft);
    put_le32(out + 24, r->stream);
    put_le32(out + 28, r->segment);
    put_le64(out + 32, r->offset);
    put_le64(out + 40, r->synced);
    put_le64(out + 48, r->checksum);
    put_le64(out + HEAD_SUMMED, XXH3_64bits(out, HEAD_SUMMED));
}

bool record_read(const uint8_t in[RECORD_HEADER], uint32_t segment, uint64_t offset, struct record *out)
{
    enum { LENGTH_MAX = 1 << 30 }; /* far beyond any: record_size never overflows */
    if (get_le32(in) != MAGIC || get_le64(in + HEAD_SUMMED) != XXH3_64bits(in, HEAD_SUMMED))
        return false;
    uint32_t type = get_le32(in + 4);
    *out = (struct record){
        .type = (enum record_type)type,
        .length = get_le64(in + 8),
        .draft = get_le64(in + 16),
        .stream = get_le32(in + 24),
        .segment = get_le32(in + 28),
        .offset = get_le64(in + 32),
        .synced = get_le64(in + 40),
        .checksum = get_le64(in + 48),
    };
    return type >= RECORD_SEGMENT && type <= RECORD_CLAIM && out->length <= LENGTH_MAX &&
           out->segment == segment && out->offset == offset;
}

void record_segment_write(struct octets *o, const struct record_segment *s)
{
    octets_le32(o, s->version);
    octets_le32(o, s->generation);
    octets_le32(o, s->segment);
    octets_le32(o, s->previous);
    octets_le64(o, s->previous_end);
    octets_le64(o, s->created_ms);
}

bool record_segment_read(struct view payload, struct record_segment *out)
{
    struct cursor c = {.rest = payload};
    out->version = cursor_u32(&c);
    out->generation = cursor_u32(&c);
    out->segment = cursor_u32(&c);
    out->previous = cursor_u32(&c);
    out->previous_end = cursor_u64(&c);
    out->created_ms = cursor_u64(&c);
    return !c.failed && c.rest.len == 0 && out->previous < out->segment;
}

/* What was read off the front of *rest, if it was read. */
static enum result took(const struct cursor *c, struct view *rest)
{
    if (c->failed)
        return ERR_PROTO;
    *rest = c->rest;
    return OK;
}

void record_outcome_write(struct octets *o, const struct spool_outcome *outcome)
{
    struct view comment = view_of(outcome->comment ? outcome->comment : "");
    if (comment.len > COMMENT_MAX)
        comment.len = COMMENT_MAX;
    octets_le64(o, outcome->id);
    octets_u8(o, (uint8_t)outcome->state);
    octets_u8(o, outcome->was_tried);
    octets_le16(o, outcome->status);
    octets_le64(o, outcome->at_ms);
    octets_le64(o, outcome->due_ms);
    octets_text(o, comment);
}

enum result record_outcome_read(struct view *rest, struct spool_outcome *out, char comment[65])
{
    struct cursor c = {.rest = *rest};
    *out = (struct spool_outcome){.id = cursor_u64(&c)};
    uint8_t state = cursor_u8(&c);
    out->state = (enum spool_state)state;
    out->was_tried = cursor_bool(&c);
    out->status = cursor_u16(&c);
    out->at_ms = cursor_u64(&c);
    out->due_ms = cursor_u64(&c);
    struct view text = cursor_text(&c);
    if (state > SPOOL_RELAYED || text.len > COMMENT_MAX)
        return ERR_PROTO;
    (void)text_copy(comment, COMMENT_MAX + 1, (const char *)text.at, text.len);
    out->comment = comment;
    return took(&c, rest);
}

void record_order_write(struct octets *o, const struct record_order *order)
{
    octets_le64(o, order->id);
    octets_u8(o, order->drop);
    octets_text(o, order->to);
    octets_le64(o, order->at_ms);
}

enum result record_order_read(struct view *rest, struct record_order *out)
{
    struct cursor c = {.rest = *rest};
    out->id = cursor_u64(&c);
    out->drop = cursor_bool(&c);
    out->to = cursor_text(&c);
    out->at_ms = cursor_u64(&c);
    return took(&c, rest);
}

void record_claim_write(struct octets *o, const struct record_claim *claim)
{
    octets_text(o, claim->pool);
    octets_text(o, claim->study);
    octets_text(o, claim->member);
    octets_le64(o, claim->at_ms);
}

enum result record_claim_read(struct view *rest, struct record_claim *out)
{
    struct cursor c = {.rest = *rest};
    out->pool = cursor_text(&c);
    out->study = cursor_text(&c);
    out->member = cursor_text(&c);
    out->at_ms = cursor_u64(&c);
    return took(&c, rest);
}
