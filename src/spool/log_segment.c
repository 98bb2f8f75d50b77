#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "io/disk.h"
#include "spool/log_inside.h"

#include <stdio.h>
#include <xxhash.h>

enum { AHEAD_FROM = 64 << 10 /* smaller writes gain nothing by it */ };

bool log_folder_path(const char *spool_path, uint32_t generation, char out[SPOOL_PATH_MAX])
{
    return snprintf(out, SPOOL_PATH_MAX, "%s/%08u", spool_path, generation) < SPOOL_PATH_MAX;
}

bool log_segment_path(const char *folder, uint32_t segment, char out[SPOOL_PATH_MAX])
{
    return snprintf(out, SPOOL_PATH_MAX, "%s/%08u.log", folder, segment) < SPOOL_PATH_MAX;
}

/* Logged where it happens: the callers decide what it means for whom. */
static bool refused(struct log_segment *s, enum io_error error, const char *what)
{
    if (error == IO_NONE)
        return true;
    s->error = error;
    LOG(s->is_quiet ? LOG_DEBUG : LOG_ERROR, "the disk refused the spool", LOG_STR("call", what),
        LOG_STR("folder", s->folder), LOG_INT("segment", s->number), LOG_STR("why", disk_error_text()));
    return false;
}

static bool write_first_record(struct log_segment *s)
{
    struct octets payload = {0};
    uint8_t head[RECORD_HEADER];
    record_segment_write(&payload, &(struct record_segment){.version = SPOOL_VERSION,
                                                            .generation = s->generation,
                                                            .segment = s->number,
                                                            .previous = s->previous,
                                                            .previous_end = s->previous_end,
                                                            .created_ms = clock_wall_ms()});
    if (payload.failed) {
        s->error = IO_OTHER;
        return false;
    }
    hilum_assert(payload.len % RECORD_ALIGN == 0);
    record_write(&(struct record){.type = RECORD_SEGMENT,
                                  .length = payload.len,
                                  .segment = s->number,
                                  .checksum = XXH3_64bits(payload.data, payload.len)},
                 head);
    struct iovec parts[] = {{head, sizeof(head)}, {payload.data, payload.len}};
    bool is_written = log_segment_write(s, parts, 2, sizeof(head) + payload.len);
    octets_free(&payload);
    return is_written;
}

bool log_segment_open(struct log_segment *s)
{
    char path[SPOOL_PATH_MAX];
    hilum_assert(s->fd < 0);
    enum io_error error;
    do {
        s->number++; /* past what could not be deleted: no number is used twice */
        hilum_assert(log_segment_path(s->folder, s->number, path));
        error = disk_open(path, DISK_CREATE_NEW, &s->fd);
    } while (error == IO_EXISTS);
    s->end = s->synced = s->allocated = 0;
    s->is_listed = s->is_deleted = false;
    if (!refused(s, error, "open")) {
        s->fd = -1;
        s->number--;
        return false;
    }
    bool follows = s->follows_given_up;
    if (!write_first_record(s)) {
        log_segment_give_up(s);
        s->follows_given_up =
            follows; /* nothing has been in it: whether it can be deleted or not, nobody has to be told */
        return false;
    }
    return true;
}

/* One call for many writes: each of them, and its sync, then has less to find and to note down. Whether there is space shows when it is written. */
static void allocate_ahead(struct log_segment *s, uint64_t bytes)
{
    uint64_t from = s->allocated > s->end ? s->allocated : s->end, need = s->end + bytes;
    uint64_t to = need + s->ahead < s->full ? need + s->ahead : s->full;
    if (bytes >= AHEAD_FROM && need > s->allocated && to > need)
        s->allocated = disk_allocate(s->fd, from, to - from) == IO_NONE ? to : UINT64_MAX;
}

bool log_segment_write(struct log_segment *s, struct iovec *parts, size_t count, uint64_t bytes)
{
    uint64_t done;
    allocate_ahead(s, bytes);
    if (!refused(s, disk_write(s->fd, parts, count, s->end, &done), "write"))
        return false;
    hilum_assert(done == bytes);
    s->end += bytes;
    return true;
}

/* Looked at after each sync: before anything is acknowledged, and not before that is known to be on the disk. */
static bool is_there(struct log_segment *s)
{
    bool has_name;
    if (!refused(s, disk_has_name(s->fd, &has_name), "fstat"))
        return false;
    if (has_name)
        return true;
    LOG(LOG_ERROR, "somebody has deleted a segment of the spool: what was in it is lost",
        LOG_STR("folder", s->folder), LOG_INT("segment", s->number), LOG_INT("bytes", s->end));
    s->error = IO_NOT_FOUND;
    s->is_deleted = true;
    s->synced = 0;
    return false;
}

bool log_segment_sync(struct log_segment *s)
{
    if (s->synced == s->end)
        return true;
    if (!refused(s, disk_datasync(s->fd), "fdatasync"))
        return false;
    if (!s->is_listed && !refused(s, disk_sync_folder(s->folder), "fsync of the folder"))
        return false;
    s->is_listed = true;
    if (!is_there(s))
        return false;
    s->synced = s->end;
    return true;
}

bool log_segment_cut_back(struct log_segment *s)
{
    enum io_error cause = s->error;
    bool is_cut = refused(s, disk_truncate(s->fd, s->end), "ftruncate");
    s->allocated = UINT64_MAX;
    s->error = cause;
    return is_cut;
}

static void close_segment(struct log_segment *s, bool is_given_up)
{
    disk_close(s->fd);
    s->fd = -1;
    if (s->synced > 0) {
        s->previous = s->number;
        s->previous_end = s->synced;
    }
    s->follows_given_up = is_given_up;
    s->end = s->synced = 0;
}

/* No reader shall find what failed. That nothing behind `synced` counts is said by the next segment as well, durably, before anything else is
 * acknowledged; the cut is for the case that none follows. */
static void cut_off(struct log_segment *s)
{
    if (!refused(s, disk_truncate(s->fd, s->synced), "ftruncate") && s->end > s->synced &&
        !refused(s, disk_punch(s->fd, s->synced, s->end - s->synced), "fallocate"))
        return;
    (void)refused(s, disk_datasync(s->fd), "fdatasync of the cut");
}

void log_segment_give_up(struct log_segment *s)
{
    char path[SPOOL_PATH_MAX];
    enum io_error cause = s->error;
    LOG(s->is_quiet ? LOG_DEBUG : LOG_WARN, "a segment of the spool is given up",
        LOG_STR("folder", s->folder), LOG_INT("segment", s->number), LOG_INT("ends", s->synced),
        LOG_INT("lost", s->end - s->synced));
    if (!s->is_deleted)
        cut_off(s);
    if (!s->is_deleted && s->synced == 0 && log_segment_path(s->folder, s->number, path))
        (void)refused(s, disk_unlink(path), "unlink");
    close_segment(s, true);
    s->error = cause;
}

void log_segment_seal(struct log_segment *s)
{
    hilum_assert(s->synced == s->end);
    if (s->allocated > s->end && s->allocated < UINT64_MAX)
        (void)refused(s, disk_truncate(s->fd, s->end), "ftruncate of what it took and did not need");
    close_segment(s, false);
}
