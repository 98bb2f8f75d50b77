/*
 * Is the file under the name we want the one we hold? Read side by side, in chunks, through the ring.
 *
 *   open both -> meta information of theirs -> its length, by a read across the end that ours predicts -> chunks ->
 *   sync of theirs -> close both
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "dicom/part10.h"
#include "relay/folder.h"

enum { CHUNK_BYTES = 256 << 10, TAG_BYTES = 4 };

enum step {
    STEP_IDLE,
    STEP_OPEN_THEIRS,
    STEP_OPEN_OURS,
    STEP_META,
    STEP_LENGTH,
    STEP_READ_OURS,
    STEP_READ_THEIRS,
    STEP_SYNC_THEIRS,
    STEP_CLOSE_THEIRS,
    STEP_CLOSE_OURS,
};

static void close_files(struct folder_compare *c)
{
    int *fd = c->theirs_fd >= 0 ? &c->theirs_fd : &c->ours_fd;
    if (*fd >= 0) {
        int closing = *fd;
        c->step = fd == &c->theirs_fd ? STEP_CLOSE_THEIRS : STEP_CLOSE_OURS;
        *fd = -1;
        io_close_file(c->io, &c->op, closing);
        return;
    }
    free(c->ours_bytes);
    free(c->theirs_bytes);
    c->ours_bytes = c->theirs_bytes = NULL;
    c->step = STEP_IDLE;
    c->on_done(c, c->verdict);
}

static void end(struct folder_compare *c, enum folder_verdict verdict)
{
    c->verdict = verdict;
    if (verdict == FOLDER_FAILED && !c->why)
        c->why = io_op_error_text(&c->op);
    close_files(c);
}

/* Reads on where the current step has come to: up to `wanted` bytes in all. */
static void read_more(struct folder_compare *c)
{
    bool is_ours = c->step == STEP_READ_OURS;
    uint64_t base = 0; /* STEP_META: from the front */
    if (is_ours)
        base = c->ours_at + c->compared;
    else if (c->step == STEP_READ_THEIRS)
        base = c->theirs_at + c->compared;
    io_read(c->io, &c->op, is_ours ? c->ours_fd : c->theirs_fd,
            (is_ours ? c->ours_bytes : c->theirs_bytes) + c->filled, c->wanted - c->filled, base + c->filled);
}

static void read_begin(struct folder_compare *c, enum step step, size_t wanted)
{
    c->step = step;
    c->filled = 0;
    c->wanted = wanted;
    read_more(c);
}

/* The step's bytes are here: `wanted`, or fewer at the end of the file. False: it reads on. */
static bool read_is_whole(struct folder_compare *c, int64_t n)
{
    c->filled += (size_t)n;
    if (n == 0 || c->filled == c->wanted)
        return true;
    read_more(c);
    return false;
}

static void compare_next(struct folder_compare *c)
{
    uint64_t left = c->data_length - c->compared;
    if (left > 0) {
        read_begin(c, STEP_READ_OURS, left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES);
        return;
    }
    /* Who put it there may not have waited for the disk; our answer says that it is on it. */
    c->step = STEP_SYNC_THEIRS;
    io_fdatasync(c->io, &c->op, c->theirs_fd);
}

static void on_meta(struct folder_compare *c)
{
    struct part10_meta meta;
    const char *why;
    /* No tag of group 0002: also a file without any data set ends the group. */
    memset(c->theirs_bytes + c->filled, 0, TAG_BYTES);
    enum result r = part10_read(c->theirs_bytes, c->filled + TAG_BYTES, &meta, &why);
    if (r != OK || meta.data_set_offset > c->filled ||
        meta.transfer_syntax.len != strlen(c->transfer_syntax) ||
        memcmp(meta.transfer_syntax.at, c->transfer_syntax, meta.transfer_syntax.len) != 0) {
        end(c, FOLDER_DIFFERENT);
        return;
    }
    c->theirs_at = meta.data_set_offset;
    c->step = STEP_LENGTH;
    uint64_t last = c->theirs_at + c->data_length - 1; /* meta information is never empty: no underflow */
    io_read(c->io, &c->op, c->theirs_fd, c->theirs_bytes, 2, last);
}

static void on_chunk(struct folder_compare *c)
{
    if (c->filled < c->wanted || memcmp(c->ours_bytes, c->theirs_bytes, c->wanted) != 0) {
        end(c, FOLDER_DIFFERENT);
        return;
    }
    c->compared += c->wanted;
    compare_next(c);
}

static void on_ours_opened(struct folder_compare *c, int fd)
{
    c->ours_fd = fd;
    c->ours_bytes = malloc(CHUNK_BYTES);
    c->theirs_bytes = malloc(CHUNK_BYTES + TAG_BYTES);
    if (c->ours_bytes && c->theirs_bytes) {
        read_begin(c, STEP_META, CHUNK_BYTES);
        return;
    }
    c->why = "no memory";
    end(c, FOLDER_FAILED);
}

static void on_read_ours(struct folder_compare *c, int64_t n)
{
    if (!read_is_whole(c, n))
        return;
    if (c->filled == c->wanted) {
        read_begin(c, STEP_READ_THEIRS, c->wanted);
        return;
    }
    c->why = "the temporary file has been cut";
    end(c, FOLDER_FAILED);
}

static void proceed(struct folder_compare *c, int64_t n)
{
    switch ((enum step)c->step) {
    case STEP_OPEN_THEIRS:
        c->theirs_fd = (int)n;
        c->step = STEP_OPEN_OURS;
        io_open(c->io, &c->op, c->ours, IO_OPEN_READ);
        break;
    case STEP_OPEN_OURS:
        on_ours_opened(c, (int)n);
        break;
    case STEP_META:
        if (read_is_whole(c, n))
            on_meta(c);
        break;
    case STEP_LENGTH: /* the last byte that ours predicts, and none behind it */
        if (n == 1)
            compare_next(c);
        else
            end(c, FOLDER_DIFFERENT);
        break;
    case STEP_READ_OURS:
        on_read_ours(c, n);
        break;
    case STEP_READ_THEIRS:
        if (read_is_whole(c, n))
            on_chunk(c);
        break;
    case STEP_SYNC_THEIRS:
        end(c, FOLDER_SAME);
        break;
    case STEP_CLOSE_THEIRS:
    case STEP_CLOSE_OURS:
        close_files(c);
        break;
    case STEP_IDLE:
        hilum_assert(false);
    }
}

static void on_fault(struct folder_compare *c, enum io_error error)
{
    switch ((enum step)c->step) {
    case STEP_OPEN_THEIRS: /* not ours to read: a folder, or another's */
        end(c, error == IO_NOT_FOUND ? FOLDER_VANISHED : FOLDER_DIFFERENT);
        break;
    case STEP_META:
    case STEP_LENGTH:
    case STEP_READ_THEIRS:
        end(c, FOLDER_DIFFERENT);
        break;
    case STEP_CLOSE_THEIRS: /* read only: nothing is lost by it */
    case STEP_CLOSE_OURS:
        close_files(c);
        break;
    default:
        end(c, FOLDER_FAILED);
    }
}

static void on_op(struct io_op *op, enum io_error error, int64_t n)
{
    struct folder_compare *c = op->owner;
    bool is_closing = c->step == STEP_CLOSE_THEIRS || c->step == STEP_CLOSE_OURS;
    if (c->stop && !is_closing) {
        if (error == IO_NONE && c->step == STEP_OPEN_THEIRS)
            c->theirs_fd = (int)n;
        if (error == IO_NONE && c->step == STEP_OPEN_OURS)
            c->ours_fd = (int)n;
        c->why = "stopped";
        end(c, FOLDER_FAILED);
    } else if (error == IO_NONE) {
        proceed(c, n);
    } else {
        on_fault(c, error);
    }
}

void folder_compare_start(struct folder_compare *c)
{
    hilum_assert(c->step == STEP_IDLE);
    c->op = (struct io_op){.on_done = on_op, .owner = c};
    c->ours_fd = c->theirs_fd = -1;
    c->ours_bytes = c->theirs_bytes = NULL;
    c->compared = 0;
    c->why = NULL;
    c->stop = false;
    c->step = STEP_OPEN_THEIRS;
    io_open(c->io, &c->op, c->theirs, IO_OPEN_READ);
}

void folder_compare_stop(struct folder_compare *c)
{
    c->stop = true;
}
