/* What all payloads of the log are made of, taken off the front one after another: little-endian numbers, and texts with a u32 of length before
 * them. What is not there sets `failed` and reads as zero, so that a reader asks once, at the end. (Inside spool/ only.) */
#ifndef HILUM_SPOOL_RECORD_CURSOR_H
#define HILUM_SPOOL_RECORD_CURSOR_H

#include <stdbool.h>

#include "base/bytes.h"
#include "base/octets.h"

struct cursor {
    struct view rest;
    bool failed;
};

static inline struct view cursor_bytes(struct cursor *c, size_t len)
{
    if (c->failed || len > c->rest.len) {
        c->failed = true;
        return (struct view){NULL, 0};
    }
    struct view taken = {c->rest.at, len};
    if (len > 0)
        c->rest.at += len;
    c->rest.len -= len;
    return taken;
}

static inline uint8_t cursor_u8(struct cursor *c)
{
    const uint8_t *at = cursor_bytes(c, 1).at;
    return at ? *at : 0;
}

static inline uint16_t cursor_u16(struct cursor *c)
{
    const uint8_t *at = cursor_bytes(c, 2).at;
    return at ? get_le16(at) : 0;
}

static inline uint32_t cursor_u32(struct cursor *c)
{
    const uint8_t *at = cursor_bytes(c, 4).at;
    return at ? get_le32(at) : 0;
}

static inline uint64_t cursor_u64(struct cursor *c)
{
    const uint8_t *at = cursor_bytes(c, 8).at;
    return at ? get_le64(at) : 0;
}

/* A count of things that take at least `least` bytes each: one that cannot be true fails, before anybody allocates for it. */
static inline uint32_t cursor_count(struct cursor *c, size_t least)
{
    uint32_t count = cursor_u32(c);
    if (count > c->rest.len / least)
        c->failed = true;
    return c->failed ? 0 : count;
}

static inline bool cursor_bool(struct cursor *c)
{
    uint8_t v = cursor_u8(c);
    if (v > 1)
        c->failed = true;
    return v == 1;
}

static inline struct view cursor_text(struct cursor *c)
{
    return cursor_bytes(c, cursor_u32(c));
}

static inline void octets_text(struct octets *o, struct view text)
{
    octets_le32(o, (uint32_t)text.len);
    octets_append(o, text.at, text.len);
}

/* NULL is empty. */
static inline void octets_string(struct octets *o, const char *text)
{
    octets_text(o, view_of(text ? text : ""));
}

#endif
