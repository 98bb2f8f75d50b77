#include "spool/spare.h"

#include <stdio.h>

#include "base/log.h"
#include "io/disk.h"

enum { STEP = 64 << 10 };

static bool open_it(const char *spool_path, enum disk_how how, int *fd, uint64_t *bytes_out)
{
    char file[SPOOL_PATH_MAX];
    if ((size_t)snprintf(file, sizeof(file), "%s/spare", spool_path) >= sizeof(file) ||
        disk_open(file, how, fd) != IO_NONE)
        return false;
    if (disk_size(*fd, bytes_out) == IO_NONE)
        return true;
    disk_close(*fd);
    return false;
}

static uint64_t wanted(uint64_t bytes, uint64_t free_bytes)
{
    if (free_bytes >= 2 * (uint64_t)SPARE_BYTES)
        return SPARE_BYTES;
    return bytes == 0 ? free_bytes / 2 / STEP * STEP : bytes;
}

static bool take(int fd, uint64_t bytes)
{
    return disk_allocate(fd, 0, bytes) == IO_NONE && disk_truncate(fd, bytes) == IO_NONE;
}

void spare_fill(const char *spool_path)
{
    uint64_t bytes, free_bytes;
    int fd;
    if (!open_it(spool_path, DISK_CREATE, &fd, &bytes))
        return;
    if (bytes < SPARE_BYTES && disk_free_bytes(spool_path, &free_bytes) == IO_NONE &&
        wanted(bytes, free_bytes) > bytes && !take(fd, wanted(bytes, free_bytes)))
        (void)!disk_truncate(fd, 0);
    disk_close(fd);
}

bool spare_use(const char *spool_path)
{
    uint64_t bytes;
    int fd;
    if (!open_it(spool_path, DISK_WRITE, &fd, &bytes))
        return false;
    bool is_used = bytes > 0 && disk_truncate(fd, 0) == IO_NONE;
    disk_close(fd);
    if (is_used)
        LOG(LOG_WARN, "the spool uses its spare room", LOG_STR("path", spool_path), LOG_INT("bytes", bytes));
    return is_used;
}
