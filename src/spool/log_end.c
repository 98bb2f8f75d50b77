/* Where the log of a process that has gone ends. Whoever died left it in one of few shapes: a last segment that is torn, or has nothing in it
 * yet; segments that were given up, and not cut. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "spool/log_read.h"

struct segments {
    uint32_t *numbers;
    size_t count;
    bool failed;
};

/* "00000017.log" */
static bool on_name(void *owner, const char *name)
{
    struct segments *list = owner;
    unsigned number;
    int end = 0;
    if (sscanf(name, "%10u.log%n", &number, &end) != 1 || end == 0 || name[end] != '\0')
        return true;
    if ((list->count & (list->count - 1)) == 0) { /* a power of two is full */
        size_t cap = list->count ? list->count * 2 : 1;
        uint32_t *more = realloc(list->numbers, cap * sizeof(*more));
        list->failed = more == NULL;
        if (!more)
            return false;
        list->numbers = more;
    }
    list->numbers[list->count++] = number;
    return true;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static enum result list_segments(const char *folder, struct segments *out)
{
    *out = (struct segments){.count = 0};
    if (disk_list(folder, on_name, out) != IO_NONE)
        return log_read_failed(folder, 0);
    if (out->failed)
        return ERR_MEMORY;
    if (out->count > 0)
        qsort(out->numbers, out->count, sizeof(*out->numbers), compare);
    return OK;
}

/* --- cutting ----------------------------------------------------------------------------------------------------------- */

static enum result cut(const char *folder, uint32_t segment, int fd, uint64_t end, uint64_t size,
                       const char *what)
{
    LOG(LOG_WARN, what, LOG_STR("folder", folder), LOG_INT("segment", segment), LOG_INT("ends", end),
        LOG_INT("bytes", size - end));
    if (disk_truncate(fd, end) != IO_NONE || disk_datasync(fd) != IO_NONE)
        return log_read_failed(folder, segment);
    return OK;
}

static enum result delete_segment(const char *folder, uint32_t segment, uint64_t size)
{
    char path[SPOOL_PATH_MAX];
    if (!log_segment_path(folder, segment, path))
        return ERR_USAGE;
    if (size > 0)
        LOG(LOG_WARN, "a segment of the spool has no whole record and is deleted", LOG_STR("folder", folder),
            LOG_INT("segment", segment), LOG_INT("bytes", size));
    if (disk_unlink(path) != IO_NONE || disk_sync_folder(folder) != IO_NONE)
        return log_read_failed(folder, segment);
    return OK;
}

/* What the one behind says of its end is carried out, so that it stays known when that one is deleted. `next`: those behind, of which some
 * may be there no more. */
static enum result cut_given_up(const char *folder, uint32_t segment, const uint32_t *next, size_t count,
                                struct octets *scratch)
{
    uint64_t end = UINT64_MAX, size;
    int fd;
    enum result r = ERR_CLOSED;
    for (size_t i = 0; i < count && r == ERR_CLOSED; i++)
        r = log_segment_follows(folder, next[i], segment, scratch, &end);
    if (r == OK)
        r = log_open_segment(folder, segment, DISK_WRITE, &fd);
    if (r != OK)
        return r == ERR_CLOSED ? OK : r;
    if (disk_size(fd, &size) != IO_NONE)
        r = log_read_failed(folder, segment);
    else if (end == 0)
        r = delete_segment(folder, segment, size);
    else if (end < size)
        r = cut(folder, segment, fd, end, size, "a segment of the spool was given up, and is cut");
    disk_close(fd);
    return r;
}

/* --- the last one --------------------------------------------------------------------------------------------------------- */

/* *end_out: behind the last whole record; what is in front of one may be damaged. */
static enum result find_last_record(int fd, uint32_t segment, uint64_t from, uint64_t size,
                                    struct octets *scratch, uint64_t *end_out)
{
    uint64_t at = from;
    *end_out = from;
    while (at < size) {
        struct record r;
        enum result result = log_read_head(fd, segment, at, size, &r);
        if (result == ERR_PROTO) {
            result = log_find_head(fd, segment, at + RECORD_ALIGN, size, scratch, &at);
            if (result == NEED_MORE)
                return OK;
            if (result == OK)
                continue;
        }
        if (result == OK && r.type != RECORD_DATA)
            result = log_read_payload(fd, &r, scratch);
        if (result != OK && result != ERR_PROTO)
            return result == ERR_IO ? log_read_failed("", segment) : result;
        at += record_size(&r);
        if (result == OK)
            *end_out = at;
    }
    return OK;
}

static bool is_newer(int fd, uint32_t segment, struct octets *scratch)
{
    struct record r;
    return log_read_head(fd, segment, 0, UINT64_MAX, &r) == OK && r.type == RECORD_SEGMENT &&
           log_read_payload(fd, &r, scratch) == OK && scratch->len >= 4 &&
           get_le32(scratch->data) > SPOOL_VERSION;
}

/* *end_out 0: there was nothing in it, it is deleted. */
static enum result end_segment(const char *folder, uint32_t segment, uint64_t from, struct octets *scratch,
                               uint64_t *end_out)
{
    uint64_t size;
    int fd;
    *end_out = 0;
    enum result r = log_open_segment(folder, segment, DISK_WRITE, &fd);
    if (r != OK)
        return r;
    if (disk_size(fd, &size) != IO_NONE) {
        r = log_read_failed(folder, segment);
    } else if (is_newer(fd, segment, scratch)) {
        r = ERR_USAGE;
    } else if (from >= size && from > 0) {
        *end_out = size; /* the index has read what was never synced */
    } else {
        r = find_last_record(fd, segment, from, size, scratch, end_out);
        if (r == OK && *end_out == 0)
            r = delete_segment(folder, segment, size);
        else if (r == OK && *end_out < size)
            r = cut(folder, segment, fd, *end_out, size, "the spool had a torn end, and is cut");
    }
    disk_close(fd);
    return r;
}

enum result log_find_end(const char *folder, struct log_position from, struct log_position *end_out)
{
    struct segments list;
    struct octets scratch = {0};
    *end_out = (struct log_position){.generation = from.generation};
    enum result r = list_segments(folder, &list);
    size_t left = list.count;
    while (r == OK && left > 0 && end_out->offset == 0 && list.numbers[left - 1] >= from.segment) {
        uint32_t last = list.numbers[--left];
        r = end_segment(folder, last, last == from.segment ? from.offset : 0, &scratch, &end_out->offset);
        end_out->segment = end_out->offset > 0 ? last : 0;
    }
    while (r == OK && left > 0 && list.numbers[left - 1] >= from.segment) {
        left--;
        r = cut_given_up(folder, list.numbers[left], &list.numbers[left + 1], list.count - left - 1,
                         &scratch);
    }
    octets_free(&scratch);
    free(list.numbers);
    return r;
}
