#include "command/queue_instance.h"

#include <stdlib.h>

#include "dicom/deflate.h"
#include "dicom/tail.h"
#include "spool/look.h"

enum { PIECE_BYTES = 64 << 10 };

/* The chain: inflate, skip the header that came, the tail's rules, deflate. */
struct instance {
    bool (*on_bytes)(void *owner, struct view bytes);
    void *owner;
    struct dicom_inflate *inflate; /* NULL: not deflated */
    struct dicom_deflate *deflate;
    uint64_t skip_left;
    struct dicom_tail tail;
    uint8_t inflated[PIECE_BYTES], deflated[PIECE_BYTES];
    enum result result;
    const char *why;
};

static bool stop(struct instance *x, enum result r, const char *why)
{
    x->result = r;
    x->why = why;
    return false;
}

/* --- out --------------------------------------------------------------------------------------------------------- */

static bool out(struct instance *x, struct view bytes)
{
    return bytes.len == 0 || x->on_bytes(x->owner, bytes) || stop(x, ERR_IO, "it cannot be written");
}

static bool put(struct instance *x, struct view in, bool is_last)
{
    if (!x->deflate)
        return out(x, in);
    enum result r = OK;
    while (r == OK) {
        size_t n;
        r = dicom_deflate_next(x->deflate, &in, is_last, x->deflated, PIECE_BYTES, &n);
        if (!out(x, (struct view){x->deflated, n}))
            return false;
    }
    return r == NEED_MORE || stop(x, r, "no memory");
}

static void on_tail(void *owner, const uint8_t *at, size_t len, bool is_borrowed)
{
    struct instance *x = owner;
    (void)is_borrowed;
    if (x->result == OK)
        put(x, (struct view){at, len}, false);
}

/* --- in ---------------------------------------------------------------------------------------------------------- */

static bool pass(struct instance *x, struct view in)
{
    size_t skip = x->skip_left < in.len ? (size_t)x->skip_left : in.len;
    x->skip_left -= skip;
    if (in.len > skip)
        dicom_tail_feed(&x->tail, in.at + skip, in.len - skip, on_tail, x);
    return x->result == OK;
}

static bool on_data(void *owner, struct view in)
{
    struct instance *x = owner;
    if (!x->inflate)
        return pass(x, in);
    enum result r = OK;
    while (r == OK) {
        const char *why = "no memory";
        size_t n;
        r = dicom_inflate_next(x->inflate, &in, x->inflated, PIECE_BYTES, &n, &why);
        if (!pass(x, (struct view){x->inflated, n}))
            return false;
        if (r != OK && r != NEED_MORE)
            return stop(x, r, why);
    }
    return true;
}

static bool on_as_it_is(void *owner, struct view in)
{
    return out(owner, in);
}

static bool on_header(void *owner, struct view in)
{
    return put(owner, in, false);
}

static bool finish(struct instance *x)
{
    const char *why;
    if (x->inflate && dicom_inflate_end(x->inflate, &why) != OK)
        return stop(x, ERR_PROTO, why);
    dicom_tail_finish(&x->tail, on_tail, x);
    return x->result == OK && (!x->deflate || put(x, (struct view){NULL, 0}, true));
}

/* --- all of it ------------------------------------------------------------------------------------------------------ */

static enum result begin(struct instance *x, const struct spool_entry *e)
{
    bool is_deflated;
    dicom_tail_init(&x->tail, dicom_encoding_of(view_of(e->transfer_syntax), &is_deflated), e->tail);
    x->skip_left = e->received_header_len;
    enum result r = e->is_deflated ? dicom_inflate_new(&x->inflate) : OK;
    if (r == OK && e->is_deflated)
        r = dicom_deflate_new(&x->deflate);
    return r;
}

static enum result read_stream(struct instance *x, const char *spool_path, const struct spool_stream *s,
                               bool (*on_bytes)(void *owner, struct view bytes))
{
    enum result r = look_stream(spool_path, s, on_bytes, x);
    if (r == ERR_PROTO)
        stop(x, r, "its bytes in the queue are damaged, or have just been given back");
    else if (r != OK)
        stop(x, r, r == ERR_MEMORY ? "no memory" : "the queue cannot be read");
    return x->result;
}

static enum result read_edition(struct instance *x, const char *spool_path, const struct spool_entry *e)
{
    enum result r = begin(x, e);
    if (r != OK)
        return r;
    if (read_stream(x, spool_path, &e->header, on_header) == OK &&
        read_stream(x, spool_path, &e->data, on_data) == OK)
        finish(x);
    return x->result;
}

enum result queue_instance_read(const char *spool_path, const struct spool_entry *e,
                                bool (*on_bytes)(void *owner, struct view bytes), void *owner,
                                const char **why_out)
{
    struct instance *x = calloc(1, sizeof(*x));
    *why_out = "no memory";
    if (!x)
        return ERR_MEMORY;
    x->on_bytes = on_bytes;
    x->owner = owner;
    enum result r =
        e->has_edition ? read_edition(x, spool_path, e) : read_stream(x, spool_path, &e->data, on_as_it_is);
    if (x->why)
        *why_out = x->why;
    dicom_inflate_free(&x->inflate);
    dicom_deflate_free(&x->deflate);
    free(x);
    return r;
}
