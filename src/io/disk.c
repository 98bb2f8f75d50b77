#include "io/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "io/engine.h"
#include "io/faults.h"

enum { MODE = 0640 };

/* errno itself is the thread's own last failure. */
const char *disk_error_text(void)
{
    const char *text = strerrordesc_np(errno);
    return text ? text : "unknown error";
}

static enum io_error failed(void)
{
    return io_error_from(errno);
}

/* For calls that answer 0 or -1; `call` is left out if a fault says so, and made again when a signal came between. */
#define CALL(kind, call)                                                                                     \
    __extension__({                                                                                          \
        int done_;                                                                                           \
        do {                                                                                                 \
            enum io_fault fault_ = io_fault(kind, NULL);                                                     \
            done_ = fault_ == IO_FAILS ? -1 : fault_ == IO_SKIPPED ? 0 : (call);                             \
        } while (done_ < 0 && errno == EINTR);                                                               \
        done_ < 0 ? failed() : IO_NONE;                                                                      \
    })

enum io_error disk_open(const char *path, enum disk_how how, int *fd_out)
{
    static const int flags[] = {
        [DISK_READ] = O_RDONLY,
        [DISK_WRITE] = O_RDWR,
        [DISK_CREATE] = O_RDWR | O_CREAT,
        [DISK_CREATE_NEW] = O_RDWR | O_CREAT | O_EXCL,
    };
    do {
        *fd_out = IO_CALL(IO_CALL_OPEN, open(path, flags[how] | O_CLOEXEC, MODE));
    } while (*fd_out < 0 && errno == EINTR);
    return *fd_out < 0 ? failed() : IO_NONE;
}

void disk_close(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

/* --- bytes ------------------------------------------------------------------------------------------------------ */

static size_t vector_bytes(const struct iovec *parts, int count)
{
    size_t bytes = 0;
    for (int i = 0; i < count; i++)
        bytes += parts[i].iov_len;
    return bytes;
}

/* The first bytes of what a vector names. */
static ssize_t write_front(int fd, const struct iovec *parts, int count, uint64_t offset, size_t left)
{
    ssize_t done = 0;
    for (int i = 0; i < count && left > 0; i++) {
        size_t len = parts[i].iov_len < left ? parts[i].iov_len : left;
        ssize_t n = pwrite(fd, parts[i].iov_base, len, (off_t)(offset + (uint64_t)done));
        if (n < 0)
            return n;
        done += n;
        left -= len;
    }
    return done;
}

static ssize_t write_some(int fd, const struct iovec *parts, int count, uint64_t offset, int *fails_out)
{
    size_t len = vector_bytes(parts, count);
    switch (io_fault(IO_CALL_WRITE, &len)) {
    case IO_FAILS:
        return -1;
    case IO_SKIPPED:
        return (ssize_t)len;
    case IO_TORN:
        *fails_out = EIO;
        return write_front(fd, parts, count, offset, len / 2);
    case IO_SHORT:
        return write_front(fd, parts, count, offset, len);
    case IO_LATE:
        *fails_out = ENOSPC;
        break;
    case IO_GOES_ON:
    case IO_ENDS:
        break;
    }
    return pwritev(fd, parts, count, (off_t)offset);
}

/* Steps over n bytes that were written. */
static void advance(struct iovec **parts, size_t *count, size_t n)
{
    while (*count > 0 && n >= (*parts)->iov_len) {
        n -= (*parts)->iov_len;
        (*parts)++;
        (*count)--;
    }
    if (n > 0) {
        (*parts)->iov_base = (uint8_t *)(*parts)->iov_base + n;
        (*parts)->iov_len -= n;
    }
}

enum io_error disk_write(int fd, struct iovec *parts, size_t count, uint64_t offset, uint64_t *done_out)
{
    *done_out = 0;
    while (count > 0) {
        int fails = 0; /* besides what the system says */
        ssize_t n = write_some(fd, parts, count < IOV_MAX ? (int)count : IOV_MAX, offset + *done_out, &fails);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failed();
        *done_out += (uint64_t)n;
        if (n == 0 && vector_bytes(parts, count < IOV_MAX ? (int)count : IOV_MAX) > 0)
            fails = EIO;
        if (fails != 0) {
            errno = fails;
            return failed();
        }
        advance(&parts, &count, (size_t)n);
    }
    return IO_NONE;
}

enum io_error disk_read(int fd, void *to, size_t len, uint64_t offset, size_t *n_out)
{
    *n_out = 0;
    while (*n_out < len) {
        size_t left = len - *n_out;
        ssize_t n =
            IO_MOVE(IO_CALL_READ, left, pread(fd, (uint8_t *)to + *n_out, left, (off_t)(offset + *n_out)));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failed();
        if (n == 0)
            break;
        *n_out += (size_t)n;
    }
    return IO_NONE;
}

enum io_error disk_size(int fd, uint64_t *bytes_out)
{
    struct stat s;
    *bytes_out = 0;
    if (IO_CALL(IO_CALL_STAT, fstat(fd, &s)) < 0)
        return failed();
    *bytes_out = (uint64_t)s.st_size;
    return IO_NONE;
}

/* File systems of larger blocks than these zero what they cannot give back, and network ones tell of what they like to read at once. */
enum { BLOCK_LEAST = 4096, BLOCK_MOST = 65536 };

enum io_error disk_space(int fd, struct disk_space *out)
{
    struct stat s;
    *out = (struct disk_space){.block = BLOCK_LEAST};
    if (IO_CALL(IO_CALL_STAT, fstat(fd, &s)) < 0)
        return failed();
    out->size = (uint64_t)s.st_size;
    out->allocated = (uint64_t)s.st_blocks * 512;
    while (out->block < (uint64_t)s.st_blksize && out->block < BLOCK_MOST)
        out->block *= 2;
    return IO_NONE;
}

enum io_error disk_has_name(int fd, bool *has_name_out)
{
    struct stat s;
    *has_name_out = false;
    if (IO_CALL(IO_CALL_STAT, fstat(fd, &s)) < 0)
        return failed();
    *has_name_out = s.st_nlink > 0;
    return IO_NONE;
}

/* --- durability --------------------------------------------------------------------------------------------------- */

enum io_error disk_datasync(int fd)
{
    return CALL(IO_CALL_FDATASYNC, fdatasync(fd));
}

enum io_error disk_sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* not counted: fsync is */
    if (fd < 0)
        return failed();
    enum io_error error = CALL(IO_CALL_FSYNC, fsync(fd));
    int why = errno;
    (void)close(fd);
    errno = why;
    return error;
}

/* --- space -------------------------------------------------------------------------------------------------------- */

enum io_error disk_truncate(int fd, uint64_t bytes)
{
    return CALL(IO_CALL_TRUNCATE, ftruncate(fd, (off_t)bytes));
}

enum io_error disk_allocate(int fd, uint64_t offset, uint64_t bytes)
{
    return CALL(IO_CALL_ALLOCATE, fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes));
}

enum io_error disk_punch(int fd, uint64_t offset, uint64_t bytes)
{
    return CALL(IO_CALL_PUNCH,
                fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes));
}

bool disk_is_hole(int fd, uint64_t offset, uint64_t bytes)
{
    off_t data = lseek(fd, (off_t)offset, SEEK_DATA);
    return data < 0 ? errno == ENXIO : (uint64_t)data >= offset + bytes;
}

enum io_error disk_free_bytes(const char *path, uint64_t *bytes_out)
{
    struct statvfs s = {.f_bavail = 0};
    enum io_error error = CALL(IO_CALL_FREE, statvfs(path, &s));
    *bytes_out = (uint64_t)s.f_bavail * s.f_frsize;
    return error;
}

/* --- names -------------------------------------------------------------------------------------------------------- */

enum io_error disk_lock(int fd, bool *is_ours_out)
{
    enum io_error error = CALL(IO_CALL_LOCK, flock(fd, LOCK_EX | LOCK_NB));
    *is_ours_out = error == IO_NONE;
    return error != IO_NONE && errno == EWOULDBLOCK ? IO_NONE : error;
}

enum io_error disk_narrow(const char *path)
{
    struct stat s;
    if (lstat(path, &s) != 0)
        return errno == ENOENT ? IO_NONE : failed();
    if (!S_ISREG(s.st_mode) || (s.st_mode & 07777 & ~(mode_t)MODE) == 0)
        return IO_NONE;
    return chmod(path, s.st_mode & MODE) == 0 ? IO_NONE : failed();
}

enum io_error disk_unlink(const char *path)
{
    return CALL(IO_CALL_UNLINK, unlink(path));
}

enum io_error disk_mkdir(const char *path)
{
    return CALL(IO_CALL_MKDIR, mkdir(path, 0750));
}

enum io_error disk_rmdir(const char *path)
{
    return CALL(IO_CALL_UNLINK, rmdir(path));
}

enum io_error disk_list(const char *path, bool (*on_name)(void *owner, const char *name), void *owner)
{
    DIR *folder = io_fault(IO_CALL_LIST, NULL) == IO_FAILS ? NULL : opendir(path);
    if (!folder)
        return failed();
    const struct dirent *e;
    bool goes_on = true;
    errno = 0;
    while (goes_on && (e = readdir(folder)) != NULL) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            goes_on = on_name(owner, e->d_name);
        errno = 0;
    }
    int why = errno;
    (void)closedir(folder);
    errno = why;
    return why != 0 ? failed() : IO_NONE;
}
