#include "spool/record_streams.h"

#include <stdlib.h>

#include "base/assert.h"
#include "spool/record_cursor.h"

/* The least that a thing takes, for counts that lie. */
enum { EXTENT_BYTES = 28, STREAM_LEAST = 12, EDITION_LEAST = 34, TAG_BYTES = 4 };

static void write_stream(struct octets *o, const struct spool_stream *s)
{
    octets_le64(o, s->bytes);
    octets_le32(o, (uint32_t)s->count);
    for (size_t i = 0; i < s->count; i++) {
        const struct spool_extent *e = &s->extents[i];
        octets_le32(o, e->generation);
        octets_le32(o, e->segment);
        octets_le64(o, e->offset);
        octets_le32(o, e->bytes);
        octets_le64(o, e->checksum);
    }
}

static void write_tags(struct octets *o, const uint32_t *tags, size_t count)
{
    octets_le32(o, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        octets_le32(o, tags[i]);
}

static void write_edition(struct octets *o, const struct spool_edition *e)
{
    octets_le32(o, e->stream);
    octets_le64(o, e->received_header_len);
    octets_u8(o, e->is_deflated);
    octets_u8(o, e->tail.drops_private);
    octets_le32(o, e->tail.below);
    write_tags(o, e->tail.drop, e->tail.drop_count);
    write_tags(o, e->tail.copies, e->tail.copy_count);
    octets_text(o, e->sop_class);
    octets_text(o, e->sop_instance);
}

void record_streams_write(struct octets *o, const struct spool_commit *c, const struct spool_stream *streams,
                          size_t stream_count)
{
    octets_le32(o, (uint32_t)stream_count);
    for (size_t i = 0; i < stream_count; i++)
        write_stream(o, &streams[i]);
    octets_le32(o, (uint32_t)c->edition_count);
    for (size_t i = 0; i < c->edition_count; i++) {
        hilum_assert(c->editions[i].stream < stream_count);
        write_edition(o, &c->editions[i]);
    }
}

struct spool_extent record_extent_at(const struct record_stream *s, size_t i)
{
    const uint8_t *at = s->extents.at + i * EXTENT_BYTES;
    return (struct spool_extent){
        .generation = get_le32(at),
        .segment = get_le32(at + 4),
        .offset = get_le64(at + 8),
        .bytes = get_le32(at + 16),
        .checksum = get_le64(at + 20),
    };
}

static struct record_stream take_stream(struct cursor *c)
{
    struct record_stream s = {.bytes = cursor_u64(c)};
    s.count = cursor_count(c, EXTENT_BYTES);
    s.extents = cursor_bytes(c, s.count * EXTENT_BYTES);
    return s;
}

static struct view take_tags(struct cursor *c)
{
    size_t count = cursor_count(c, TAG_BYTES);
    return cursor_bytes(c, count * TAG_BYTES);
}

static struct record_edition take_edition(struct cursor *c)
{
    struct record_edition e = {.stream = cursor_u32(c)};
    e.received_header_len = cursor_u64(c);
    e.is_deflated = cursor_bool(c);
    e.drops_private = cursor_bool(c);
    e.below = cursor_u32(c);
    e.drop = take_tags(c);
    e.copies = take_tags(c);
    e.sop_class = cursor_text(c);
    e.sop_instance = cursor_text(c);
    return e;
}

static bool adds_up(const struct record_stream *s)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < s->count; i++)
        bytes += record_extent_at(s, i).bytes;
    return bytes == s->bytes;
}

bool record_streams_check(struct view streams, size_t *edition_count_out, uint64_t *bytes_out)
{
    struct cursor c = {.rest = streams};
    uint32_t count = cursor_count(&c, STREAM_LEAST);
    bool is_good = true;
    *bytes_out = 0;
    for (uint32_t i = 0; i < count && !c.failed; i++) {
        struct record_stream s = take_stream(&c);
        is_good = is_good && !c.failed && adds_up(&s);
        if (i == SPOOL_STREAM_DATA)
            *bytes_out = s.bytes;
    }
    *edition_count_out = cursor_count(&c, EDITION_LEAST);
    for (size_t i = 0; i < *edition_count_out && !c.failed; i++)
        is_good = take_edition(&c).stream < count && is_good;
    return is_good && !c.failed && c.rest.len == 0;
}

bool record_streams_stream(struct view streams, size_t number, struct record_stream *out)
{
    struct cursor c = {.rest = streams};
    uint32_t count = cursor_count(&c, STREAM_LEAST);
    if (number >= count)
        return false;
    for (size_t i = 0; i <= number; i++)
        *out = take_stream(&c);
    return !c.failed;
}

bool record_streams_edition(struct view streams, size_t number, struct record_edition *out)
{
    struct cursor c = {.rest = streams};
    uint32_t count = cursor_count(&c, STREAM_LEAST);
    for (uint32_t i = 0; i < count && !c.failed; i++)
        (void)take_stream(&c);
    count = cursor_count(&c, EDITION_LEAST);
    if (number >= count)
        return false;
    for (size_t i = 0; i <= number && !c.failed; i++)
        *out = take_edition(&c);
    return !c.failed;
}

enum result record_streams_extents(struct view streams, struct spool_extent **out, size_t *count_out)
{
    struct record_stream s;
    size_t count = 0, editions;
    uint64_t bytes;
    *out = NULL;
    *count_out = 0;
    if (!record_streams_check(streams, &editions, &bytes))
        return ERR_PROTO;
    for (size_t i = 0; record_streams_stream(streams, i, &s); i++)
        count += s.count;
    if (count == 0)
        return OK;
    struct spool_extent *list = calloc(count, sizeof(*list));
    if (!list)
        return ERR_MEMORY;
    for (size_t i = 0; record_streams_stream(streams, i, &s); i++)
        for (size_t j = 0; j < s.count; j++)
            list[(*count_out)++] = record_extent_at(&s, j);
    *out = list;
    return OK;
}

static int compare_places(const void *a, const void *b)
{
    const struct record_place *x = a, *y = b;
    if (x->generation != y->generation)
        return x->generation < y->generation ? -1 : 1;
    return x->segment == y->segment ? 0 : x->segment < y->segment ? -1 : 1;
}

enum result record_streams_places(struct view streams, struct record_place **out, size_t *count_out)
{
    struct spool_extent *extents;
    size_t extent_count, count = 0;
    *out = NULL;
    *count_out = 0;
    enum result r = record_streams_extents(streams, &extents, &extent_count);
    if (!extents || extent_count == 0) {
        free(extents);
        return r;
    }
    struct record_place *list = calloc(extent_count, sizeof(*list));
    for (size_t i = 0; list && i < extent_count; i++) {
        struct record_place p = {extents[i].generation, extents[i].segment};
        if (count == 0 || compare_places(&list[count - 1], &p) != 0)
            list[count++] = p; /* mostly neighbours are in one segment */
    }
    free(extents);
    if (!list)
        return ERR_MEMORY;
    qsort(list, count, sizeof(*list), compare_places);
    size_t kept = 1;
    for (size_t i = 1; i < count; i++)
        if (compare_places(&list[kept - 1], &list[i]) != 0)
            list[kept++] = list[i];
    *out = list;
    *count_out = kept;
    return OK;
}
