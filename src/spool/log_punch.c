/* Pieces whose bytes are given back to the file system, while their records stay. */
#include <stdlib.h>

#include "spool/log_read.h"

/* Whole blocks lie from *from_out to *to_out; none: they are the same. */
static void inside(uint64_t block, uint64_t offset, uint64_t bytes, uint64_t *from_out, uint64_t *to_out)
{
    *from_out = (offset + block - 1) / block * block;
    *to_out = (offset + bytes) / block * block;
    if (*to_out < *from_out)
        *to_out = *from_out;
}

uint64_t log_whole_blocks(uint64_t block, uint64_t offset, uint64_t bytes)
{
    uint64_t from, to;
    inside(block, offset, bytes, &from, &to);
    return to - from;
}

enum io_error log_punch(int fd, uint64_t block, uint64_t offset, uint64_t bytes)
{
    uint64_t from, to;
    inside(block, offset, bytes, &from, &to);
    return from < to ? disk_punch(fd, from, to - from) : IO_NONE;
}

static bool is_punched(const char *folder, const struct spool_extent *e)
{
    struct disk_space space;
    uint64_t from, to;
    int fd;
    if (log_open_segment(folder, e->segment, DISK_READ, &fd) != OK)
        return false;
    bool is = false;
    if (disk_space(fd, &space) == IO_NONE && e->offset + e->bytes <= space.size) {
        inside(space.block, e->offset, e->bytes, &from, &to);
        is = from < to && disk_is_hole(fd, from, to - from);
    }
    disk_close(fd);
    return is;
}

/* One is enough: who gave them back may have died before it came to the others. */
bool log_was_punched(const char *spool_path, struct view streams)
{
    char folder[SPOOL_PATH_MAX];
    struct spool_extent *extents;
    size_t count;
    bool was = false;
    if (record_streams_extents(streams, &extents, &count) != OK)
        return false;
    for (size_t n = 0; n < count && !was; n++)
        was = log_folder_path(spool_path, extents[n].generation, folder) && is_punched(folder, &extents[n]);
    free(extents);
    return was;
}
