#include "base/octets.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"

enum { FIRST_CAP = 256 /* a command set, mostly */ };

/* As realloc, which leaves behind what it moves. */
static uint8_t *move(struct octets *o, size_t cap)
{
    if (!o->is_secret)
        return realloc(o->data, cap);
    uint8_t *data = malloc(cap);
    if (data && o->cap > 0) {
        memcpy(data, o->data, o->cap < cap ? o->cap : cap);
        explicit_bzero(o->data, o->cap);
        free(o->data);
    }
    return data;
}

/* Room for len more bytes, or NULL (and `failed`). The caller fills all of it. */
static uint8_t *extend(struct octets *o, size_t len)
{
    size_t need;
    if (o->failed || __builtin_add_overflow(o->len, len, &need)) {
        o->failed = true;
        return NULL;
    }
    if (need > o->cap) {
        size_t cap = o->cap ? o->cap : FIRST_CAP;
        while (cap < need) {
            if (__builtin_mul_overflow(cap, (size_t)2, &cap)) {
                cap = need;
            }
        }
        uint8_t *data = move(o, cap);
        if (!data) {
            o->failed = true;
            return NULL;
        }
        o->data = data;
        o->cap = cap;
    }
    uint8_t *at = o->data + o->len;
    o->len = need;
    return at;
}

void octets_append(struct octets *o, const void *bytes, size_t len)
{
    if (len == 0) {
        return; /* an empty view may be NULL, which memcpy does not take */
    }
    uint8_t *at = extend(o, len);
    if (at) {
        memcpy(at, bytes, len);
    }
}

void octets_u8(struct octets *o, uint8_t v)
{
    octets_append(o, &v, sizeof(v));
}

void octets_be16(struct octets *o, uint16_t v)
{
    uint8_t bytes[2];
    put_be16(bytes, v);
    octets_append(o, bytes, sizeof(bytes));
}

void octets_be32(struct octets *o, uint32_t v)
{
    uint8_t bytes[4];
    put_be32(bytes, v);
    octets_append(o, bytes, sizeof(bytes));
}

void octets_le16(struct octets *o, uint16_t v)
{
    uint8_t bytes[2];
    put_le16(bytes, v);
    octets_append(o, bytes, sizeof(bytes));
}

void octets_le32(struct octets *o, uint32_t v)
{
    uint8_t bytes[4];
    put_le32(bytes, v);
    octets_append(o, bytes, sizeof(bytes));
}

void octets_le64(struct octets *o, uint64_t v)
{
    uint8_t bytes[8];
    put_le64(bytes, v);
    octets_append(o, bytes, sizeof(bytes));
}

void octets_fill(struct octets *o, uint8_t value, size_t len)
{
    if (len == 0) {
        return;
    }
    uint8_t *at = extend(o, len);
    if (at) {
        memset(at, value, len);
    }
}

void octets_consume(struct octets *o, size_t len)
{
    hilum_assert(len <= o->len);
    if (len == 0) {
        return;
    }
    memmove(o->data, o->data + len, o->len - len);
    o->len -= len;
}

void octets_clear(struct octets *o)
{
    o->len = 0;
    o->failed = false;
}

void octets_free(struct octets *o)
{
    if (o->is_secret && o->cap > 0)
        explicit_bzero(o->data, o->cap);
    free(o->data);
    *o = (struct octets){.is_secret = o->is_secret};
}
