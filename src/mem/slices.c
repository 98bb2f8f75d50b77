/* The queue of slices: a ring array that doubles, and is given back when the queue is empty. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "mem/buf.h"

enum { FIRST_CAP = 8 };

static bool slices_grow(struct slices *s)
{
    uint32_t cap = s->cap ? s->cap * 2 : FIRST_CAP;
    struct slice *items = malloc(cap * sizeof(*items));
    if (!items)
        return false;
    for (uint32_t i = 0; i < s->count; i++)
        items[i] = *slices_at(s, i);
    free(s->items);
    s->items = items;
    s->head = 0;
    s->cap = cap;
    return true;
}

bool slices_push(struct slices *s, struct buf *b, uint8_t *at, uint32_t len)
{
    if (len == 0)
        return true;
    if (s->count > 0) { /* bytes that continue the last slice join it */
        struct slice *last = slices_at(s, s->count - 1);
        if (last->buf == b && last->at + last->len == at) {
            last->len += len;
            s->bytes += len;
            return true;
        }
    }
    if (s->count == s->cap && !slices_grow(s))
        return false;
    *slices_at(s, s->count) = (struct slice){.buf = buf_ref(b), .at = at, .len = len};
    s->count++;
    s->bytes += len;
    return true;
}

static void slices_release_if_empty(struct slices *s)
{
    if (s->count > 0)
        return;
    hilum_assert(s->bytes == 0);
    free(s->items);
    *s = (struct slices){0};
}

void slices_consume(struct slices *s, size_t len)
{
    hilum_assert(len <= s->bytes);
    s->bytes -= len;
    while (len > 0) {
        struct slice *first = slices_at(s, 0);
        if (len < first->len) {
            first->at += len;
            first->len -= (uint32_t)len;
            return;
        }
        len -= first->len;
        struct buf *b = first->buf;
        s->head = (s->head + 1) & (s->cap - 1);
        s->count--;
        buf_unref(&b);
    }
    slices_release_if_empty(s);
}

void slices_clear(struct slices *s)
{
    slices_consume(s, s->bytes);
}

bool slices_push_copy(struct slices *s, struct pool *p, const void *bytes, size_t len, struct buf *kept)
{
    if (len == 0)
        return true;
    struct buf *b = len <= UINT32_MAX ? buf_scratch(p, len) : NULL;
    if (!b)
        return false;
    memcpy(b->data, bytes, len);
    b->used = (uint32_t)len;
    if (kept)
        buf_keep(b, kept);
    bool ok = slices_push(s, b, b->data, b->used);
    buf_unref(&b);
    return ok;
}

bool slices_share(struct slices *to, const struct slices *from)
{
    bool ok = true;
    for (uint32_t i = 0; ok && i < from->count; i++) {
        const struct slice *s = slices_at(from, i);
        ok = slices_push(to, s->buf, s->at, s->len);
    }
    return ok;
}

bool slices_move(struct slices *to, struct slices *from, size_t len)
{
    while (len > 0 && from->bytes > 0) {
        struct slice *first = slices_at(from, 0);
        uint32_t n = first->len < len ? first->len : (uint32_t)len;
        if (!slices_push(to, first->buf, first->at, n))
            return false;
        slices_consume(from, n);
        len -= n;
    }
    return true;
}

void slices_copy_out(const struct slices *s, size_t offset, void *to, size_t len)
{
    uint8_t *out = to;
    hilum_assert(offset + len <= s->bytes);
    for (uint32_t i = 0; len > 0; i++) {
        const struct slice *one = slices_at(s, i);
        if (offset >= one->len) {
            offset -= one->len;
            continue;
        }
        size_t n = one->len - offset < len ? one->len - offset : len;
        memcpy(out, one->at + offset, n);
        out += n;
        len -= n;
        offset = 0;
    }
}
