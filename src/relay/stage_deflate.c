/* A deflated data set (PS3.5 A.5) inflated on its way into the chain, and deflated again on its way out. Piece by piece: whatever a
 * stream holds, so much is in memory. */
#include <stdlib.h>

#include "dicom/deflate.h"
#include "dimse/status.h"
#include "relay/edition.h"

enum { PIECE_BYTES = 64 << 10 };

struct inflater {
    struct stage stage; /* first */
    struct pool *pool;
    struct dicom_inflate *z;
};

struct deflater {
    struct stage stage; /* first */
    struct pool *pool;
    struct dicom_deflate *z;
};

/* What came of a call, to the next stage. False if the chain has failed. */
static bool pass_piece(struct stage *st, struct buf *b, size_t len, enum result r, const char *why)
{
    b->used = (uint32_t)len;
    if (len > 0)
        stage_pass_data(st, b, b->data, b->used);
    if (r == OK || r == NEED_MORE)
        return true;
    st->on_failed(st, r == ERR_PROTO ? DIMSE_STATUS_CANNOT_UNDERSTAND : DIMSE_STATUS_OUT_OF_RESOURCES, why);
    return false;
}

static struct buf *piece_of(struct stage *st, struct pool *pool)
{
    struct buf *b = buf_scratch(pool, PIECE_BYTES);
    if (!b)
        st->on_failed(st, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
    return b;
}

static void inflate_data(struct stage *st, struct buf *b, uint8_t *at, uint32_t len)
{
    struct inflater *f = (struct inflater *)st;
    struct view in = {at, len};
    enum result r = OK;
    (void)b;
    while (r == OK && !st->sink->is_done) {
        const char *why = "out of memory";
        size_t n;
        struct buf *piece = piece_of(st, f->pool);
        if (!piece)
            return;
        r = dicom_inflate_next(f->z, &in, piece->data, PIECE_BYTES, &n, &why);
        bool goes_on = pass_piece(st, piece, n, r, why);
        buf_unref(&piece);
        if (!goes_on)
            return;
    }
}

static void inflate_finish(struct stage *st)
{
    struct inflater *f = (struct inflater *)st;
    const char *why;
    if (dicom_inflate_end(f->z, &why) != OK)
        st->on_failed(st, DIMSE_STATUS_CANNOT_UNDERSTAND, why);
    else
        stage_pass_finish(st);
}

static void inflate_free(struct stage *st)
{
    struct inflater *f = (struct inflater *)st;
    dicom_inflate_free(&f->z);
    free(f);
}

static void deflate_some(struct deflater *f, struct view in, bool is_last)
{
    struct stage *st = &f->stage;
    enum result r = OK;
    while (r == OK && !st->sink->is_done) {
        size_t n;
        struct buf *piece = piece_of(st, f->pool);
        if (!piece)
            return;
        r = dicom_deflate_next(f->z, &in, is_last, piece->data, PIECE_BYTES, &n);
        bool goes_on = pass_piece(st, piece, n, r, "out of memory");
        buf_unref(&piece);
        if (!goes_on)
            return;
    }
}

static void deflate_data(struct stage *st, struct buf *b, uint8_t *at, uint32_t len)
{
    (void)b;
    deflate_some((struct deflater *)st, (struct view){at, len}, false);
}

static void deflate_finish(struct stage *st)
{
    deflate_some((struct deflater *)st, (struct view){NULL, 0}, true);
    stage_pass_finish(st);
}

static void deflate_free(struct stage *st)
{
    struct deflater *f = (struct deflater *)st;
    dicom_deflate_free(&f->z);
    free(f);
}

struct stage *stage_inflate_new(struct sink *sink, struct pool *pool)
{
    static const struct stage_ops ops = {
        .data = inflate_data, .flow = stage_pass_flow, .finish = inflate_finish, .free = inflate_free};
    struct inflater *f = calloc(1, sizeof(*f));
    if (!f || dicom_inflate_new(&f->z) != OK) {
        free(f);
        return NULL;
    }
    f->stage = (struct stage){.ops = &ops, .sink = sink};
    f->pool = pool;
    return &f->stage;
}

struct stage *stage_deflate_new(struct sink *sink, struct pool *pool)
{
    static const struct stage_ops ops = {
        .data = deflate_data, .flow = stage_pass_flow, .finish = deflate_finish, .free = deflate_free};
    struct deflater *f = calloc(1, sizeof(*f));
    if (!f || dicom_deflate_new(&f->z) != OK) {
        free(f);
        return NULL;
    }
    f->stage = (struct stage){.ops = &ops, .sink = sink};
    f->pool = pool;
    return &f->stage;
}
