/*
 * Files by calls that block: for threads of their own, never for a worker's. errno ends here as in the rest of io/.
 *
 * Every function may be called from any thread. What fails says why by disk_error_text, until the same thread's next call.
 * Tests make them fail: faults.h.
 */
#ifndef HILUM_IO_DISK_H
#define HILUM_IO_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "io/io.h"

/* Of the calling thread's last call here that failed: "No space left on device". */
const char *disk_error_text(void);

enum disk_how {
    DISK_READ,       /* there already, to be read */
    DISK_WRITE,      /* there already, to be read and written */
    DISK_CREATE,     /* read and written; made if it is not there, 0640 */
    DISK_CREATE_NEW, /* IO_EXISTS if it is there */
};
MUST_USE enum io_error disk_open(const char *path, enum disk_how how, int *fd_out);
/* -1 is let be. */
void disk_close(int fd);

/* All of it, in as many calls as it takes. *done_out: bytes that were written, also when it fails. The vector is used up. */
MUST_USE enum io_error disk_write(int fd, struct iovec *parts, size_t count, uint64_t offset,
                                  uint64_t *done_out);
/* *n_out is less than len only at the end of the file. */
MUST_USE enum io_error disk_read(int fd, void *to, size_t len, uint64_t offset, size_t *n_out);
MUST_USE enum io_error disk_size(int fd, uint64_t *bytes_out);
/* What a file takes of its file system, and the size of the blocks that it gives back (a power of two, 4096 at least). */
struct disk_space {
    uint64_t size, allocated, block;
};
MUST_USE enum io_error disk_space(int fd, struct disk_space *out);
/* False: it has been deleted, and what is in it goes when it is closed. */
MUST_USE enum io_error disk_has_name(int fd, bool *has_name_out);

MUST_USE enum io_error disk_datasync(int fd);
/* What was made, renamed or deleted in a folder stays so. */
MUST_USE enum io_error disk_sync_folder(const char *path);

/* Shorter or longer. */
MUST_USE enum io_error disk_truncate(int fd, uint64_t bytes);
/* Takes space for these bytes, which the file does not reach yet: writing there later is cheaper. The file keeps its size. disk_truncate gives back what is
 * past its end. IO_UNSUPPORTED where it cannot. */
MUST_USE enum io_error disk_allocate(int fd, uint64_t offset, uint64_t bytes);
/* Gives these bytes back to the file system: they read as zeros, the file keeps its size. IO_UNSUPPORTED where it cannot. */
MUST_USE enum io_error disk_punch(int fd, uint64_t offset, uint64_t bytes);
/* All of these bytes, one at least, have been given back. Where holes are not told of: false. */
bool disk_is_hole(int fd, uint64_t offset, uint64_t bytes);
/* What the file system of path has left for us. */
MUST_USE enum io_error disk_free_bytes(const char *path, uint64_t *bytes_out);

/* flock, for as long as the descriptor is open. *is_ours_out false: another process has it. */
MUST_USE enum io_error disk_lock(int fd, bool *is_ours_out);

/* A file of somebody else's making gets the rights that disk_open would give it at most. One that is not there, and what is no file, is let be. Not when
 * confined (guard). */
MUST_USE enum io_error disk_narrow(const char *path);
MUST_USE enum io_error disk_unlink(const char *path);
/* Mode 0750. IO_EXISTS. */
MUST_USE enum io_error disk_mkdir(const char *path);
/* An empty one. */
MUST_USE enum io_error disk_rmdir(const char *path);
/* Every name in a folder but "." and "..", in no order, until on_name returns false. */
MUST_USE enum io_error disk_list(const char *path, bool (*on_name)(void *owner, const char *name),
                                 void *owner);

#endif
