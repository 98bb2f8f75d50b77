#include "spool/holes.h"

#include <stdlib.h>

#include "base/clock.h"
#include "spool/log_read.h"

enum {
    SLICE_US = 4000,
    SLICE_CHECK = 16,        /* steps between looks at the clock */
    REST_LEAST = 1 << 20,    /* of nobody's: so much is worth reading on for */
    REST_PART = 16,          /*   or this part of the segment */
    AHEAD_LEAST = 256 << 10, /* past its end: more than what the file system needs for itself */
};

/* A process that was killed left what it had taken ahead of its writing: it would stay as long as the segment does. False: the system refused. */
static bool open_segment(struct holes *h, const char *folder)
{
    if (log_open_segment(folder, h->place.segment, DISK_WRITE, &h->fd) != OK ||
        disk_space(h->fd, &h->space) != IO_NONE)
        return false;
    return h->space.allocated < h->space.size + AHEAD_LEAST ||
           (disk_truncate(h->fd, h->space.size) == IO_NONE && disk_space(h->fd, &h->space) == IO_NONE);
}

struct holes *holes_new(const char *spool_path, struct record_place place, struct log_position end,
                        bool reads_all)
{
    struct holes *h = calloc(1, sizeof(*h));
    char folder[SPOOL_PATH_MAX], file[SPOOL_PATH_MAX];
    if (!h)
        return NULL;
    h->place = place;
    h->end = end;
    h->reads_all = reads_all;
    h->fd = -1;
    bool is_named = log_folder_path(spool_path, place.generation, folder) &&
                    log_segment_path(folder, place.segment, file);
    log_walk_begin(&h->walk, is_named ? folder : "",
                   (struct log_position){.generation = place.generation, .segment = place.segment});
    h->has_failed = !is_named || !open_segment(h, folder);
    return h;
}

void holes_free(struct holes **h)
{
    struct holes *it = *h;
    *h = NULL;
    if (!it)
        return;
    log_walk_end(&it->walk);
    disk_close(it->fd);
    free(it->pieces);
    free(it->owners);
    free(it);
}

static bool is_enough(uint64_t since_us, unsigned step)
{
    return step % SLICE_CHECK == SLICE_CHECK - 1 && clock_us() - since_us >= SLICE_US;
}

static bool grow(void **list, size_t size, size_t count, size_t *cap)
{
    if (count < *cap)
        return true;
    size_t more = *cap ? *cap * 2 : 256;
    void *grown = realloc(*list, more * size);
    if (grown) {
        *list = grown;
        *cap = more;
    }
    return grown != NULL;
}

/* --- reading ----------------------------------------------------------------------------------------------------- */

static bool add_piece(struct holes *h, const struct record *r)
{
    if (!grow((void **)&h->pieces, sizeof(*h->pieces), h->count, &h->cap))
        return false;
    h->pieces[h->count++] = (struct holes_piece){
        .offset = r->offset + RECORD_HEADER, .bytes = (uint32_t)r->length, .owner = HOLES_NOBODY};
    return true;
}

static int compare_offset(const void *extent, const void *piece)
{
    uint64_t a = ((const struct spool_extent *)extent)->offset,
             b = ((const struct holes_piece *)piece)->offset;
    return (a > b) - (a < b);
}

/* NULL: there is no such piece. They are read, and so stand, by offset. */
static struct holes_piece *find_piece(struct holes *h, const struct spool_extent *e)
{
    struct holes_piece *p =
        h->count > 0 ? bsearch(e, h->pieces, h->count, sizeof(*h->pieces), compare_offset) : NULL;
    return p && p->bytes == e->bytes ? p : NULL;
}

static bool is_here(const struct holes *h, const struct spool_extent *e)
{
    return e->generation == h->place.generation && e->segment == h->place.segment;
}

static enum result take_extents(struct holes *h, struct index *i, spool_id message,
                                const struct spool_extent *extents, size_t count)
{
    enum index_need need;
    size_t n = 0;
    while (n < count && !is_here(h, &extents[n]))
        n++;
    if (n == count)
        return OK;
    enum result r = index_message_need(i, message, &need);
    if (r != OK)
        return r;
    if (!grow((void **)&h->owners, sizeof(*h->owners), h->owner_count, &h->owner_cap))
        return ERR_MEMORY;
    struct holes_owner *o = &h->owners[h->owner_count];
    *o = (struct holes_owner){.message = message, .is_needed = need == NEED_LIVE};
    for (; n < count; n++) {
        struct holes_piece *p = is_here(h, &extents[n]) ? find_piece(h, &extents[n]) : NULL;
        if (!p)
            continue;
        p->owner = (uint32_t)h->owner_count;
        if (need == NEED_ENDED && log_whole_blocks(h->space.block, p->offset, p->bytes) > 0)
            o->is_to_be_marked = true;
    }
    h->owner_count++;
    return OK;
}

static enum result take_commit(struct holes *h, struct index *i, struct view payload)
{
    struct record_commit c;
    struct spool_extent *extents = NULL;
    size_t count = 0;
    enum result r = record_commit_read(payload, &c);
    if (r == OK) {
        r = record_streams_extents(c.streams, &extents, &count);
        if (r == OK)
            r = take_extents(h, i, c.message, extents, count);
        free(extents);
        record_commit_free(&c);
    }
    if (r == ERR_PROTO)
        h->is_damaged = true;
    h->has_failed = h->has_failed || r == ERR_MEMORY;
    return r == ERR_IO ? r : OK;
}

static uint64_t bytes_of_nobody(const struct holes *h)
{
    uint64_t bytes = 0;
    for (size_t n = 0; n < h->count; n++)
        if (h->pieces[n].owner == HOLES_NOBODY)
            bytes += h->pieces[n].bytes;
    return bytes;
}

/* Commits behind the segment are read for what pieces are left, if all of them can be. */
static bool reads_on(struct holes *h)
{
    uint64_t rest = bytes_of_nobody(h);
    bool does = h->reads_all && !h->is_damaged && (rest >= REST_LEAST || rest >= h->space.size / REST_PART);
    h->reads_all = does;
    return does;
}

/* One record. OK: it was the last. */
static enum result read_one(struct holes *h, struct index *i)
{
    struct record r;
    struct view payload;
    bool was_inside = h->walk.at.segment == h->place.segment;
    enum result result = log_walk_next(&h->walk, h->end, &r, &payload);
    if (result == NEED_MORE)
        return OK;
    h->is_damaged = h->is_damaged || result == ERR_PROTO;
    h->has_failed = result != OK && result != ERR_PROTO;
    if (h->has_failed)
        return OK;
    if (result == ERR_PROTO)
        return NEED_MORE;
    bool is_inside = r.segment == h->place.segment;
    if (was_inside && !is_inside && !reads_on(h))
        return OK;
    if (r.type == RECORD_COMMIT)
        result = take_commit(h, i, payload);
    else if (is_inside && r.type == RECORD_DATA && r.length <= SPOOL_PIECE_MAX)
        h->has_failed = !add_piece(h, &r);
    return result == OK && !h->has_failed ? NEED_MORE : result;
}

enum result holes_read(struct holes *h, struct index *i)
{
    uint64_t since_us = clock_us();
    enum result r = h->has_failed ? OK : NEED_MORE;
    for (unsigned step = 0; r == NEED_MORE && !is_enough(since_us, step); step++)
        r = read_one(h, i);
    return r;
}

/* --- what goes ----------------------------------------------------------------------------------------------------- */

static bool goes(const struct holes *h, const struct holes_piece *p)
{
    if (p->owner == HOLES_NOBODY)
        return h->reads_all && !h->is_damaged;
    return !h->owners[p->owner].is_needed;
}

uint64_t holes_bytes(const struct holes *h)
{
    uint64_t bytes = 0;
    for (size_t n = 0; n < h->count; n++)
        if (goes(h, &h->pieces[n]))
            bytes += log_whole_blocks(h->space.block, h->pieces[n].offset, h->pieces[n].bytes);
    return bytes;
}

static enum result mark_one(struct index *i, struct holes_owner *o)
{
    enum index_need need;
    enum result r = index_give_back(i, o->message);
    if (r == OK)
        r = index_message_need(i, o->message, &need);
    if (r == OK)
        o->is_needed = need == NEED_LIVE; /* again, since it was read */
    return r;
}

enum result holes_mark(struct holes *h, struct index *i, bool (*is_asked)(void *owner, spool_id message),
                       void *owner)
{
    uint64_t since_us = clock_us();
    for (unsigned step = 0; h->next < h->owner_count; step++) {
        struct holes_owner *o = &h->owners[h->next++];
        enum result r = OK;
        if (o->is_to_be_marked && is_asked(owner, o->message))
            o->is_needed = true;
        else if (o->is_to_be_marked)
            r = mark_one(i, o);
        if (r != OK)
            return r;
        if (is_enough(since_us, step))
            return NEED_MORE;
    }
    h->next = 0;
    return OK;
}

enum result holes_punch(struct holes *h, uint64_t *freed_out, enum io_error *error_out)
{
    uint64_t since_us = clock_us(), before = h->space.allocated;
    bool has_time = true;
    *error_out = IO_NONE;
    for (unsigned step = 0; h->next < h->count && has_time && *error_out == IO_NONE; step++) {
        const struct holes_piece *p = &h->pieces[h->next++];
        if (goes(h, p))
            *error_out = log_punch(h->fd, h->space.block, p->offset, p->bytes);
        has_time = !is_enough(since_us, step);
    }
    h->has_failed = *error_out != IO_NONE;
    if (disk_space(h->fd, &h->space) != IO_NONE)
        h->space.allocated = before;
    *freed_out = h->space.allocated < before ? before - h->space.allocated : 0;
    return h->has_failed || h->next == h->count ? OK : NEED_MORE;
}
