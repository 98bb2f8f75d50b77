/* Behind a header that a morph has made: what its rules drop is dropped, the rest passes by reference. */
#include <stdlib.h>
#include <string.h>

#include "dimse/status.h"
#include "relay/edition.h"

enum { PIECE_BYTES = 1 << 20 };

struct tail {
    struct stage stage; /* first */
    struct pool *pool;
    const struct edition *edition;
    bool has_begun;
    uint64_t skip_left; /* of the header that came */
    struct dicom_tail tail;
    struct buf *feeding; /* that the bytes being looked at are of */
};

static void emit(void *owner, const uint8_t *at, size_t len, bool is_borrowed)
{
    struct tail *t = owner;
    if (is_borrowed) {
        stage_pass_data(&t->stage, t->feeding, (uint8_t *)(uintptr_t)at, (uint32_t)len);
        return;
    }
    struct buf *own = buf_scratch(t->pool, len);
    if (!own) {
        t->stage.on_failed(&t->stage, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
        return;
    }
    memcpy(own->data, at, len);
    own->used = (uint32_t)len;
    stage_pass_data(&t->stage, own, own->data, own->used);
    buf_unref(&own);
}

/* In pieces: the length of a slice has 32 bits. */
static void begin(struct tail *t)
{
    const struct gathered_piece *header = &t->edition->header;
    if (t->has_begun)
        return;
    t->has_begun = true;
    for (size_t at = 0, len; at < header->len; at += len) {
        len = header->len - at < PIECE_BYTES ? header->len - at : PIECE_BYTES;
        stage_pass_data(&t->stage, header->buf, header->at + at, (uint32_t)len);
    }
}

static void data(struct stage *st, struct buf *b, uint8_t *at, uint32_t len)
{
    struct tail *t = (struct tail *)st;
    begin(t);
    uint32_t skip = t->skip_left < len ? (uint32_t)t->skip_left : len;
    t->skip_left -= skip;
    t->feeding = b;
    if (len > skip)
        dicom_tail_feed(&t->tail, at + skip, len - skip, emit, t);
}

static void finish(struct stage *st)
{
    struct tail *t = (struct tail *)st;
    begin(t);
    dicom_tail_finish(&t->tail, emit, t);
    stage_pass_finish(st);
}

static void tail_free(struct stage *st)
{
    free(st);
}

static const struct stage_ops tail_ops = {
    .data = data, .flow = stage_pass_flow, .finish = finish, .free = tail_free};

void edition_give_header(struct stage *first, struct buf *b, uint8_t *at, uint32_t len)
{
    struct stage *st = first;
    while (st->ops != &tail_ops)
        st = st->next;
    stage_pass_data(st, b, at, len);
}

struct stage *stage_tail_new(struct sink *sink, struct pool *pool, const struct edition *e)
{
    struct tail *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->stage = (struct stage){.ops = &tail_ops, .sink = sink};
    t->pool = pool;
    t->edition = e;
    t->skip_left = e->received_header_len;
    dicom_tail_init(&t->tail, e->encoding, e->tail);
    return &t->stage;
}
