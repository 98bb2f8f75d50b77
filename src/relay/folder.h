/*
 * The parts of a folder sink (relay/sink_folder.h): directories that last, and the question whether two files are one.
 *
 * Each part is a chain of ring operations, one pending at a time. It ends by on_done, which may come from inside the
 * call that began it; a part that runs may be asked to stop early and then still ends by on_done.
 */
#ifndef HILUM_RELAY_FOLDER_H
#define HILUM_RELAY_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "io/io.h"

enum { FOLDER_KNOWN = 256 }; /* directories that a worker remembers */

struct folder_context {
    struct io *io;
    struct pool *pool;
    uint64_t random; /* tells this worker's temporary names from all others, also from those before a crash */
    uint64_t counter;          /* and one of its names from the next */
    char *known[FOLDER_KNOWN]; /* by hash; a collision forgets the older, which costs one sync */
};

/* --- directories ------------------------------------------------------------------------------------------- */

struct folder_directories {
    struct folder_context *context;
    void (*on_done)(struct folder_directories *d, enum io_error error);
    void *owner;
    const char *why; /* of an error; a constant text */

    /* private */
    struct io_op op;
    const char *file;
    char *path; /* what the pending operation names */
    size_t end; /* of the directory in `file` that is being made durable */
    int fd;
    uint8_t step;
    enum io_error error;
    bool only_sync, existed, stop;
};

/*
 * Makes the directories above `file`, and syncs the parent of each one that is not known to be durable: a new name lasts
 * only when the directory that holds it is on disk. `file` must live until on_done. IO_NOT_FOUND: a known directory
 * is gone; folder_forget, and again.
 */
void folder_directories_make(struct folder_directories *d, const char *file);
/* Syncs the directory that holds `file`. */
void folder_directories_sync(struct folder_directories *d, const char *file);
/* IO_CANCELLED follows, unless the work ends before. */
void folder_directories_stop(struct folder_directories *d);

/* Forgets what is known of the directories above `file`. */
void folder_forget(struct folder_context *c, const char *file);
/* Length of the directory of `file`, without the slash before the name: 0 is the working directory, "/" is 1. */
size_t folder_directory_len(const char *file, size_t len);

/* --- the same file? ---------------------------------------------------------------------------------------- */

enum folder_verdict {
    FOLDER_SAME,      /* transfer syntax and data set are equal, and the one that was there is on disk */
    FOLDER_DIFFERENT, /* or not readable as a file of Part 10 */
    FOLDER_VANISHED,  /* what was there is there no more */
    FOLDER_FAILED,    /* ours cannot be read, or no memory; or stopped */
};

struct folder_compare {
    struct io *io;
    void (*on_done)(struct folder_compare *c, enum folder_verdict verdict);
    void *owner;
    const char *why; /* of FOLDER_FAILED */

    /* What is compared; the paths must live until on_done. */
    const char *ours, *theirs;
    const char *transfer_syntax;   /* of ours */
    uint64_t ours_at, data_length; /* where the data set starts in ours, and its bytes */

    /* private */
    struct io_op op;
    int ours_fd, theirs_fd;
    uint8_t *ours_bytes, *theirs_bytes;
    uint64_t theirs_at, compared;
    size_t filled, wanted;
    uint8_t step;
    enum folder_verdict verdict;
    bool stop;
};

/* The caller has set the public fields. */
void folder_compare_start(struct folder_compare *c);
void folder_compare_stop(struct folder_compare *c);

#endif
