/* Directories that last: made where they are missing, each one's parent synced once a worker. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "relay/folder.h"

enum step { STEP_IDLE, STEP_MAKE, STEP_OPEN_PARENT, STEP_SYNC, STEP_CLOSE };

static void make_next(struct folder_directories *d);

/* --- what is known ----------------------------------------------------------------------------------------- */

static char **known_slot(struct folder_context *c, const char *path, size_t len)
{
    uint64_t hash = 14695981039346656037ULL; /* FNV-1a */
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (uint8_t)path[i]) * 1099511628211ULL;
    return &c->known[(hash ^ hash >> 32) % FOLDER_KNOWN];
}

static bool is_known(struct folder_context *c, const char *path, size_t len)
{
    const char *known = *known_slot(c, path, len);
    return known && strlen(known) == len && memcmp(known, path, len) == 0;
}

static void remember(struct folder_context *c, const char *path, size_t len)
{
    char **slot = known_slot(c, path, len);
    free(*slot);
    *slot = strndup(path, len); /* without memory it is not known, which is allowed */
}

/* The end of the next directory of `file` after `from`; 0 when only the name of the file is left. */
static size_t next_directory(const char *file, size_t from)
{
    size_t at = from + strspn(file + from, "/");
    size_t end = at + strcspn(file + at, "/");
    return file[end] == '\0' ? 0 : end;
}

void folder_forget(struct folder_context *c, const char *file)
{
    for (size_t end = next_directory(file, 0); end > 0; end = next_directory(file, end)) {
        if (is_known(c, file, end)) {
            char **slot = known_slot(c, file, end);
            free(*slot);
            *slot = NULL;
        }
    }
}

size_t folder_directory_len(const char *file, size_t len)
{
    while (len > 0 && file[len - 1] != '/')
        len--;
    while (len > 1 && file[len - 1] == '/')
        len--;
    return len;
}

/* --- the chain of operations ------------------------------------------------------------------------------- */

static void finish(struct folder_directories *d)
{
    d->step = STEP_IDLE;
    free(d->path);
    d->path = NULL;
    d->on_done(d, d->error);
}

static void fail(struct folder_directories *d, enum io_error error)
{
    d->error = error;
    d->why = io_op_error_text(&d->op);
    finish(d);
}

static void name(struct folder_directories *d, size_t len)
{
    memcpy(d->path, len ? d->file : ".", len ? len : 1);
    d->path[len ? len : 1] = '\0';
}

static void open_directory(struct folder_directories *d, size_t len)
{
    name(d, len);
    d->step = STEP_OPEN_PARENT;
    io_open(d->context->io, &d->op, d->path, IO_OPEN_READ | IO_OPEN_DIRECTORY);
}

static void one_is_durable(struct folder_directories *d)
{
    remember(d->context, d->file, d->end);
    make_next(d);
}

static void make_next(struct folder_directories *d)
{
    do
        d->end = next_directory(d->file, d->end);
    while (d->end > 0 && is_known(d->context, d->file, d->end));
    if (d->end == 0) {
        finish(d);
        return;
    }
    name(d, d->end);
    d->step = STEP_MAKE;
    io_mkdir(d->context->io, &d->op, d->path);
}

static void on_made(struct folder_directories *d, enum io_error error)
{
    d->existed = error == IO_EXISTS;
    if (error != IO_NONE && !d->existed)
        fail(d, error);
    else
        open_directory(d, folder_directory_len(d->file, d->end));
}

static void on_opened(struct folder_directories *d, enum io_error error, int64_t n)
{
    if (error == IO_NONE) {
        d->fd = (int)n;
        d->step = STEP_SYNC;
        io_fsync(d->context->io, &d->op, d->fd);
    } else if (!d->only_sync && d->existed && error == IO_OTHER) {
        one_is_durable(d); /* a parent we may not read, of a directory that somebody else made */
    } else {
        fail(d, error);
    }
}

static void close_directory(struct folder_directories *d)
{
    d->step = STEP_CLOSE;
    io_close_file(d->context->io, &d->op, d->fd);
    d->fd = -1;
}

static void on_synced(struct folder_directories *d, enum io_error error)
{
    /* Some network file systems have no sync of directories: their names are the server's matter. */
    if (error != IO_NONE && error != IO_UNSUPPORTED) {
        d->error = error;
        d->why = io_op_error_text(&d->op);
    }
    close_directory(d);
}

static void on_closed(struct folder_directories *d)
{
    if (d->stop && d->error == IO_NONE)
        d->error = IO_CANCELLED;
    if (d->error != IO_NONE || d->only_sync)
        finish(d);
    else
        one_is_durable(d);
}

/* Asked to stop: what this operation opened is closed first. */
static void stop_here(struct folder_directories *d, enum io_error error, int64_t n)
{
    bool is_open = d->step == STEP_SYNC;
    if (d->step == STEP_OPEN_PARENT && error == IO_NONE) {
        d->fd = (int)n;
        is_open = true;
    }
    d->error = IO_CANCELLED;
    if (is_open)
        close_directory(d);
    else
        finish(d);
}

static void on_op(struct io_op *op, enum io_error error, int64_t n)
{
    struct folder_directories *d = op->owner;
    if (d->stop && d->step != STEP_CLOSE) {
        stop_here(d, error, n);
        return;
    }
    switch ((enum step)d->step) {
    case STEP_MAKE:
        on_made(d, error);
        break;
    case STEP_OPEN_PARENT:
        on_opened(d, error, n);
        break;
    case STEP_SYNC:
        on_synced(d, error);
        break;
    case STEP_CLOSE:
        on_closed(d);
        break;
    case STEP_IDLE:
        hilum_assert(false);
    }
}

static bool begin(struct folder_directories *d, const char *file)
{
    hilum_assert(d->step == STEP_IDLE);
    d->op = (struct io_op){.on_done = on_op, .owner = d};
    d->file = file;
    d->end = 0;
    d->fd = -1;
    d->error = IO_NONE;
    d->why = "";
    d->stop = d->existed = false;
    d->path = malloc(strlen(file) + 2);
    if (d->path)
        return true;
    d->error = IO_OTHER;
    d->why = "no memory";
    finish(d);
    return false;
}

void folder_directories_make(struct folder_directories *d, const char *file)
{
    d->only_sync = false;
    if (!begin(d, file))
        return;
    size_t len = folder_directory_len(file, strlen(file));
    if (len > 0 && is_known(d->context, file, len))
        finish(d);
    else
        make_next(d);
}

void folder_directories_sync(struct folder_directories *d, const char *file)
{
    d->only_sync = true;
    if (begin(d, file))
        open_directory(d, folder_directory_len(file, strlen(file)));
}

void folder_directories_stop(struct folder_directories *d)
{
    d->stop = true;
}
