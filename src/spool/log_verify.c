/* The bytes that commits point at. */
#include <stdlib.h>
#include <xxhash.h>

#include "spool/log_read.h"

/* The file of the last extent stays open for the next. */
struct reader {
    const char *spool_path;
    uint32_t generation, segment;
    int fd;
};

static enum result open_place(struct reader *r, const struct spool_extent *e)
{
    char folder[SPOOL_PATH_MAX];
    if (r->fd >= 0 && r->generation == e->generation && r->segment == e->segment)
        return OK;
    disk_close(r->fd);
    r->fd = -1;
    r->generation = e->generation;
    r->segment = e->segment;
    if (!log_folder_path(r->spool_path, e->generation, folder))
        return ERR_USAGE;
    return log_open_segment(folder, e->segment, DISK_READ, &r->fd);
}

/* ERR_PROTO: damaged, or not there. */
static enum result read_extent(struct reader *r, const struct spool_extent *e, uint8_t *to)
{
    size_t n;
    enum result result = open_place(r, e);
    if (result != OK)
        return result == ERR_CLOSED ? ERR_PROTO : result;
    if (disk_read(r->fd, to, e->bytes, e->offset, &n) != IO_NONE)
        return log_read_failed(r->spool_path, e->segment);
    return n == e->bytes && XXH3_64bits(to, n) == e->checksum ? OK : ERR_PROTO;
}

enum result log_read_extent(const char *spool_path, const struct spool_extent *e, uint8_t *to)
{
    struct reader r = {.spool_path = spool_path, .fd = -1};
    enum result result = read_extent(&r, e, to);
    disk_close(r.fd);
    return result;
}

bool log_verify(const char *spool_path, struct view streams)
{
    struct reader r = {.spool_path = spool_path, .fd = -1};
    struct spool_extent *extents;
    size_t count;
    uint32_t most = 1;
    if (record_streams_extents(streams, &extents, &count) != OK)
        return false;
    for (size_t i = 0; i < count; i++)
        most = extents[i].bytes > most ? extents[i].bytes : most;
    uint8_t *bytes = most <= SPOOL_PIECE_MAX ? malloc(most) : NULL; /* no draft writes larger pieces */
    bool is_good = bytes != NULL;
    for (size_t i = 0; i < count && is_good; i++)
        is_good = read_extent(&r, &extents[i], bytes) == OK;
    disk_close(r.fd);
    free(bytes);
    free(extents);
    return is_good;
}
