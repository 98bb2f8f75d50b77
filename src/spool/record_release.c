/*
 * A release: a held group goes, and where it goes besides. One record, so that all of it is there after a crash or none.
 *
 *   u64 at_ms
 *   u32 nodes;    each: its name
 *   u32 released; each: u64 id
 *   u32 added;    each: u64 id, u64 of, u32 node
 */
#include "base/assert.h"
#include "spool/record.h"
#include "spool/record_cursor.h"

enum { NODE_LEAST = 4, RELEASED_SIZE = 8, ADDED_SIZE = 20 };

void record_release_write(struct octets *o, uint64_t at_ms, const char *const *nodes, size_t node_count,
                          const spool_id *released, size_t released_count, const struct record_added *added,
                          size_t added_count)
{
    octets_le64(o, at_ms);
    octets_le32(o, (uint32_t)node_count);
    for (size_t i = 0; i < node_count; i++)
        octets_string(o, nodes[i]);
    octets_le32(o, (uint32_t)released_count);
    for (size_t i = 0; i < released_count; i++)
        octets_le64(o, released[i]);
    octets_le32(o, (uint32_t)added_count);
    for (size_t i = 0; i < added_count; i++) {
        octets_le64(o, added[i].id);
        octets_le64(o, added[i].of);
        octets_le32(o, added[i].node);
    }
}

enum result record_release_read(struct view payload, struct record_release *out)
{
    struct cursor c = {.rest = payload};
    *out = (struct record_release){.at_ms = cursor_u64(&c)};
    out->node_count = cursor_count(&c, NODE_LEAST);
    out->nodes = c.rest;
    for (uint32_t i = 0; i < out->node_count; i++)
        (void)cursor_text(&c);
    out->nodes.len -= c.rest.len;
    out->released_count = cursor_count(&c, RELEASED_SIZE);
    out->released = cursor_bytes(&c, out->released_count * RELEASED_SIZE);
    out->added_count = cursor_count(&c, ADDED_SIZE);
    out->added = cursor_bytes(&c, out->added_count * ADDED_SIZE);
    if (c.failed || c.rest.len > 0)
        return ERR_PROTO;
    for (size_t i = 0; i < out->added_count; i++)
        if (record_release_added(out, i).node >= out->node_count)
            return ERR_PROTO;
    return OK;
}

struct view record_release_node(const struct record_release *r, uint32_t number)
{
    struct cursor c = {.rest = r->nodes};
    hilum_assert(number < r->node_count);
    for (; number > 0; number--)
        (void)cursor_text(&c);
    return cursor_text(&c);
}

spool_id record_release_id(const struct record_release *r, size_t number)
{
    hilum_assert(number < r->released_count);
    return get_le64(r->released.at + number * RELEASED_SIZE);
}

struct record_added record_release_added(const struct record_release *r, size_t number)
{
    hilum_assert(number < r->added_count);
    const uint8_t *at = r->added.at + number * ADDED_SIZE;
    return (struct record_added){.id = get_le64(at), .of = get_le64(at + 8), .node = get_le32(at + 16)};
}
