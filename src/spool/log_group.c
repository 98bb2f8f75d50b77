/* Records of what is written in one go: headers and commits in memory of the group, payload where its owners have it. */
#define XXH_STATIC_LINKING_ONLY /* the size of a state */
#include <stdlib.h>
#include <xxhash.h>

#include "base/assert.h"
#include "spool/log_inside.h"

static bool add_part(struct log_group *g, const void *at, size_t len)
{
    if (g->count == g->cap) {
        size_t cap = g->cap ? g->cap * 2 : 256;
        struct iovec *more = realloc(g->parts, cap * sizeof(*more));
        if (!more)
            return false;
        g->parts = more;
        g->cap = cap;
    }
    g->parts[g->count++] = (struct iovec){(void *)at, len};
    g->bytes += len;
    return true;
}

/* The header and then the parts, padded. False without memory. */
static bool add_record(struct log_group *g, struct record *r, const struct log_segment *s,
                       const struct spool_part *parts, unsigned count)
{
    static const uint8_t padding[RECORD_ALIGN];
    uint8_t *head = arena_alloc(&g->memory, RECORD_HEADER);
    if (!head)
        return false;
    r->segment = s->number;
    r->offset = s->end + g->bytes;
    r->synced = s->synced;
    record_write(r, head);
    if (!add_part(g, head, RECORD_HEADER))
        return false;
    for (unsigned i = 0; i < count; i++)
        if (parts[i].len > 0 && !add_part(g, parts[i].at, parts[i].len))
            return false;
    size_t pad = (size_t)(record_size(r) - RECORD_HEADER - r->length);
    return pad == 0 || add_part(g, padding, pad);
}

static uint64_t parts_bytes(const struct spool_write *write)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < write->part_count; i++)
        bytes += write->parts[i].len;
    return bytes;
}

uint64_t log_group_checksum(const struct spool_write *write)
{
    XXH3_state_t state;
    if (write->part_count == 1)
        return XXH3_64bits(write->parts[0].at, write->parts[0].len);
    (void)XXH3_64bits_reset(&state);
    for (unsigned i = 0; i < write->part_count; i++)
        (void)XXH3_64bits_update(&state, write->parts[i].at, write->parts[i].len);
    return XXH3_64bits_digest(&state);
}

static bool add_data(struct log_group *g, struct log_writer *w, const struct spool_write *write,
                     uint64_t bytes)
{
    struct record r = {.type = RECORD_DATA,
                       .length = bytes,
                       .draft = write->draft->number,
                       .stream = write->stream,
                       .checksum = write->checksum};
    if (!add_record(g, &r, &w->segment, write->parts, write->part_count))
        return false;
    struct spool_extent e = {.generation = w->segment.generation,
                             .segment = r.segment,
                             .offset = r.offset + RECORD_HEADER,
                             .bytes = (uint32_t)bytes,
                             .checksum = r.checksum};
    return log_draft_push(write->draft, write->stream, &e);
}

static bool add_commit(struct log_group *g, struct log_writer *w, const struct spool_write *write)
{
    struct spool_draft *d = write->draft;
    spool_id message = log_take_ids(w, 1 + write->commit->entry_count);
    octets_clear(&w->scratch);
    record_commit_write(&w->scratch, message, message + 1, write->commit, d->streams, d->stream_count);
    uint8_t *payload = w->scratch.failed ? NULL : arena_alloc(&g->memory, w->scratch.len);
    if (!payload)
        return false;
    memcpy(payload, w->scratch.data, w->scratch.len);
    struct spool_part part = {payload, w->scratch.len};
    struct record r = {.type = RECORD_COMMIT,
                       .length = part.len,
                       .draft = d->number,
                       .checksum = XXH3_64bits(payload, part.len)};
    g->wants_sync = true;
    return add_record(g, &r, &w->segment, &part, 1);
}

/* Extents are taken back as they were given: the last first, or in any order if all of a draft go. */
static void pop_data(const struct spool_write *write)
{
    if (parts_bytes(write) > 0)
        log_draft_pop(write->draft, write->stream);
}

static enum spool_error add_write(struct log_group *g, struct log_writer *w, const struct spool_write *write)
{
    struct spool_draft *d = write->draft;
    uint64_t bytes = parts_bytes(write);
    size_t count_before = g->count;
    uint64_t bytes_before = g->bytes, pieces_before = 0;
    hilum_assert(bytes <= SPOOL_PIECE_MAX && write->part_count <= SPOOL_PARTS_MAX);
    if (d->error != SPOOL_DONE)
        return d->error;
    if (bytes > g->room)
        return SPOOL_FULL;
    if (write->stream < d->stream_count)
        pieces_before = d->streams[write->stream].count;
    if ((bytes == 0 || add_data(g, w, write, bytes)) && (!write->commit || add_commit(g, w, write))) {
        uint64_t taken = g->bytes - bytes_before;
        g->room -= taken < g->room ? taken : g->room;
        return SPOOL_DONE;
    }
    if (write->stream < d->stream_count && d->streams[write->stream].count > pieces_before)
        pop_data(write);
    g->count = count_before;
    g->bytes = bytes_before;
    return SPOOL_FAILED; /* without memory */
}

static bool add_append(struct log_group *g, struct log_writer *w, const struct log_append *a)
{
    size_t count_before = g->count;
    uint64_t bytes_before = g->bytes;
    struct spool_part part = {a->payload, a->len};
    struct record r = {.type = a->type, .length = a->len, .checksum = XXH3_64bits(a->payload, a->len)};
    if (add_record(g, &r, &w->segment, &part, 1)) {
        g->wants_sync = g->wants_sync || a->is_durable;
        return true;
    }
    g->count = count_before;
    g->bytes = bytes_before;
    return false;
}

void log_group_lay_out(struct log_group *g, struct log_writer *w)
{
    g->count = 0;
    g->bytes = 0;
    g->wants_sync = false;
    arena_free(&g->memory);
    for (struct log_append *a = g->appends; a; a = a->next)
        a->is_good = add_append(g, w, a);
    for (struct spool_write *write = g->writes; write; write = write->next) {
        if (write->error != SPOOL_DONE)
            continue;
        enum spool_error error = add_write(g, w, write);
        if (error != SPOOL_DONE)
            log_group_refuse(g, write, error);
    }
}

void log_group_refuse(struct log_group *g, struct spool_write *write, enum spool_error error)
{
    write->error = error;
    if (write->draft->error == SPOOL_DONE) {
        write->draft->error = error;
        g->refused = error;
    }
}

void log_group_undo(struct log_group *g)
{
    for (struct spool_write *write = g->writes; write; write = write->next)
        if (write->error == SPOOL_DONE)
            pop_data(write);
}
