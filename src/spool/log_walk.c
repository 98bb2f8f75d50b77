#include <xxhash.h>

#include "base/assert.h"
#include "base/log.h"
#include "io/disk.h"
#include "spool/log_read.h"

void log_walk_begin(struct log_walk *w, const char *folder, struct log_position from)
{
    *w = (struct log_walk){.at = from, .fd = -1, .limit = UINT64_MAX};
    hilum_assert(strlen(folder) < sizeof(w->folder));
    memcpy(w->folder, folder, strlen(folder) + 1);
}

static void close_segment(struct log_walk *w)
{
    disk_close(w->fd);
    w->fd = -1;
    w->limit = UINT64_MAX;
}

void log_walk_end(struct log_walk *w)
{
    close_segment(w);
    octets_free(&w->payload);
}

/* --- records of one file ------------------------------------------------------------------------------------------- */

enum result log_read_failed(const char *folder, uint32_t segment)
{
    LOG(LOG_ERROR, "the spool cannot be read", LOG_STR("folder", folder), LOG_INT("segment", segment),
        LOG_STR("why", disk_error_text()));
    return ERR_IO;
}

enum result log_read_head(int fd, uint32_t segment, uint64_t offset, uint64_t limit, struct record *out)
{
    uint8_t head[RECORD_HEADER];
    size_t n;
    if (limit < RECORD_HEADER || offset > limit - RECORD_HEADER)
        return ERR_PROTO;
    if (disk_read(fd, head, sizeof(head), offset, &n) != IO_NONE)
        return ERR_IO;
    if (n < sizeof(head) || !record_read(head, segment, offset, out) || record_size(out) > limit - offset)
        return ERR_PROTO;
    return OK;
}

enum result log_read_payload(int fd, const struct record *r, struct octets *to)
{
    size_t n;
    octets_clear(to);
    octets_fill(to, 0, (size_t)r->length);
    if (to->failed)
        return ERR_MEMORY;
    if (disk_read(fd, to->data, to->len, r->offset + RECORD_HEADER, &n) != IO_NONE)
        return ERR_IO;
    return n == to->len && XXH3_64bits(to->data, to->len) == r->checksum ? OK : ERR_PROTO;
}

/* Headers in a piece of a file. Of one that begins in it, but does not end there, the next piece knows: pieces overlap. */
static bool find_in(const uint8_t *bytes, size_t len, uint32_t segment, uint64_t offset, uint64_t limit,
                    uint64_t *found_out)
{
    struct record r;
    for (size_t i = 0; i + RECORD_HEADER <= len; i += RECORD_ALIGN) {
        if (bytes[i] == 'H' && record_read(bytes + i, segment, offset + i, &r) &&
            record_size(&r) <= limit - offset - i) {
            *found_out = offset + i;
            return true;
        }
    }
    return false;
}

enum result log_find_head(int fd, uint32_t segment, uint64_t from, uint64_t limit, struct octets *scratch,
                          uint64_t *found_out)
{
    enum { PIECE = 1 << 20 };
    for (uint64_t at = from; at < limit; at += PIECE - RECORD_HEADER) {
        size_t len = limit - at < PIECE ? (size_t)(limit - at) : PIECE, n;
        octets_clear(scratch);
        octets_fill(scratch, 0, len);
        if (scratch->failed)
            return ERR_MEMORY;
        if (disk_read(fd, scratch->data, len, at, &n) != IO_NONE)
            return ERR_IO;
        if (find_in(scratch->data, n, segment, at, limit, found_out))
            return OK;
    }
    *found_out = limit;
    return NEED_MORE;
}

/* --- from segment to segment ----------------------------------------------------------------------------------------- */

enum result log_open_segment(const char *folder, uint32_t segment, enum disk_how how, int *fd_out)
{
    char path[SPOOL_PATH_MAX];
    *fd_out = -1;
    if (!log_segment_path(folder, segment, path))
        return ERR_USAGE;
    enum io_error error = disk_open(path, how, fd_out);
    if (error == IO_NOT_FOUND)
        return ERR_CLOSED;
    return error == IO_NONE ? OK : log_read_failed(folder, segment);
}

enum result log_segment_follows(const char *folder, uint32_t segment, uint32_t of, struct octets *scratch,
                                uint64_t *end_of_out)
{
    struct record r;
    struct record_segment s;
    int fd;
    *end_of_out = UINT64_MAX;
    enum result result = log_open_segment(folder, segment, DISK_READ, &fd);
    if (result != OK)
        return result;
    result = log_read_head(fd, segment, 0, UINT64_MAX, &r);
    if (result == OK)
        result = r.type == RECORD_SEGMENT ? log_read_payload(fd, &r, scratch) : ERR_PROTO;
    disk_close(fd);
    if (result == ERR_PROTO ||
        (result == OK && !record_segment_read((struct view){scratch->data, scratch->len}, &s)))
        return ERR_CLOSED;
    if (result == OK)
        *end_of_out = s.previous == of ? s.previous_end : s.previous < of ? 0 : UINT64_MAX;
    return result;
}

/* Where the open segment ends: what the next one says, if it is there, and its size at most. */
static enum result find_limit(struct log_walk *w, struct log_position end)
{
    uint64_t size, said = UINT64_MAX;
    enum result r = ERR_CLOSED;
    if (disk_size(w->fd, &size) != IO_NONE)
        return log_read_failed(w->folder, w->at.segment);
    for (uint32_t next = w->at.segment + 1; next <= end.segment && r == ERR_CLOSED; next++)
        r = log_segment_follows(w->folder, next, w->at.segment, &w->payload, &said);
    w->limit = said < size ? said : size;
    return r == ERR_CLOSED ? OK : r;
}

/* OK: w->fd is open and *limit_out is where it ends for now. NEED_MORE: there is nothing before `end`. */
static enum result find_segment(struct log_walk *w, struct log_position end, uint64_t *limit_out)
{
    while (log_position_before(w->at, end)) {
        bool is_last = w->at.segment == end.segment;
        enum result r = w->fd < 0 ? log_open_segment(w->folder, w->at.segment, DISK_READ, &w->fd) : OK;
        if (r == OK && !is_last && w->limit == UINT64_MAX)
            r = find_limit(w, end);
        if (r != OK && r != ERR_CLOSED)
            return r;
        *limit_out = is_last ? end.offset : w->limit;
        if (r == OK && w->at.offset < *limit_out)
            return OK;
        if (is_last)
            return NEED_MORE;
        close_segment(w); /* read to its end, or deleted meanwhile */
        w->at.segment++;
        w->at.offset = 0;
    }
    return NEED_MORE;
}

/* --- a walk -------------------------------------------------------------------------------------------------------------- */

static enum result damaged(struct log_walk *w, const char *what, uint64_t next)
{
    LOG(LOG_ERROR, "the spool is damaged", LOG_STR("what", what), LOG_STR("folder", w->folder),
        LOG_INT("segment", w->at.segment), LOG_INT("offset", w->at.offset),
        LOG_INT("bytes", next - w->at.offset));
    w->at.offset = next;
    return ERR_PROTO;
}

/* There is no header where one should be. In the last segment that may be because it was cut meanwhile. */
static enum result step_over(struct log_walk *w, bool is_last, uint64_t limit)
{
    uint64_t size, next;
    if (disk_size(w->fd, &size) != IO_NONE)
        return log_read_failed(w->folder, w->at.segment);
    if (is_last && size < limit)
        return NEED_MORE;
    enum result r =
        log_find_head(w->fd, w->at.segment, w->at.offset + RECORD_ALIGN, limit, &w->payload, &next);
    if (r == ERR_IO)
        return log_read_failed(w->folder, w->at.segment);
    return r == ERR_MEMORY ? r : damaged(w, "no record", next);
}

enum result log_walk_next(struct log_walk *w, struct log_position end, struct record *out,
                          struct view *payload_out)
{
    uint64_t limit;
    *payload_out = (struct view){NULL, 0};
    enum result r = find_segment(w, end, &limit);
    if (r != OK)
        return r;
    r = log_read_head(w->fd, w->at.segment, w->at.offset, limit, out);
    if (r == ERR_PROTO)
        return step_over(w, w->at.segment == end.segment, limit);
    uint64_t next = w->at.offset + (r == OK ? record_size(out) : 0);
    if (r == OK && out->type != RECORD_DATA)
        r = log_read_payload(w->fd, out, &w->payload);
    if (r == ERR_PROTO)
        return damaged(w, "a record", next);
    if (r != OK)
        return r == ERR_IO ? log_read_failed(w->folder, w->at.segment) : r;
    if (out->type != RECORD_DATA)
        *payload_out = (struct view){w->payload.data, w->payload.len};
    w->at.offset = next;
    return OK;
}
