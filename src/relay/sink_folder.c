/*
 * The folder sink: one state, one pending operation. `enter` is where the state changes and its operation is submitted;
 * `on_result` is where it ends.
 *
 *   directories -> opening -> writing -> syncing -> closing -> publishing -> syncing the directory -> gone
 *                                                     ^  |  name taken
 *                                      next name      |  v
 *                                                   comparing -> unlinking (the same is there) -> syncing the directory
 *
 * A failure is told at once; then, as after abandon, the temporary file goes: dropping file -> dropping name -> gone. What has been published
 * stays: another sink may have answered for it.
 */
#include "relay/sink_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "config/pattern.h"
#include "dicom/part10.h"
#include "dimse/status.h"
#include "relay/folder.h"
#include "route/attributes.h"

enum {
    STATUS_INVALID_INSTANCE = 0x0117, /* PS3.7 C.5.10 */
    COMMENT_BYTES = 65,               /* LO: 64 characters */
    NAME_EXTRA = 64,                  /* a temporary name, or a number */
    NUMBER_MAX = 9999,
    TEMPORARY_TRIES = 100,
};

enum folder_state {
    FOLDER_NEW,
    FOLDER_REFUSED,     /* by what the message is; told from the loop */
    FOLDER_DIRECTORIES, /* above the file */
    FOLDER_OPENING,     /* the temporary file */
    FOLDER_WRITING,     /* or waiting for data */
    FOLDER_SYNCING,
    FOLDER_CLOSING,
    FOLDER_PUBLISHING, /* rename without replacing */
    FOLDER_LINKING,    /* where the file system has no such rename */
    FOLDER_COMPARING,
    FOLDER_UNLINKING, /* the temporary name */
    FOLDER_SYNCING_DIRECTORY,
    FOLDER_DROPPING_FILE,
    FOLDER_DROPPING_NAME,
    FOLDER_GONE, /* told from the loop */
};

struct folder_sink {
    struct sink sink; /* first: the message's view */
    struct folder_context *context;
    enum folder_state state;
    struct io_op op;
    struct io_task task;
    struct folder_directories directories;
    struct folder_compare compare;

    char *path;      /* as the pattern makes it */
    char *name;      /* where it goes: path, or path with a number */
    char *temporary; /* beside it */
    size_t suffix_len;
    unsigned number;
    unsigned tries;

    int fd;
    struct slices queue; /* meta information, then the data set */
    uint64_t written, meta_len;
    bool has_temporary, has_all_data, is_over, forgot_directories, is_linked;
    uint16_t refused_status;
    const char *refused_why;
};

static void enter(struct folder_sink *f, enum folder_state state);

static struct folder_sink *from_sink(struct sink *s)
{
    return (struct folder_sink *)s;
}

static struct io *io_of(const struct folder_sink *f)
{
    return f->context->io;
}

static bool is_pending(const struct folder_sink *f)
{
    return f->op.is_pending || f->directories.op.is_pending || f->compare.op.is_pending;
}

/* --- ending ------------------------------------------------------------------------------------------------ */

/* Nothing is pending. What is still held goes, one operation after the other. */
static void drop(struct folder_sink *f)
{
    slices_clear(&f->queue);
    if (f->fd >= 0)
        enter(f, FOLDER_DROPPING_FILE);
    else if (f->has_temporary)
        enter(f, FOLDER_DROPPING_NAME);
    else
        enter(f, FOLDER_GONE);
}

static void end_early(struct folder_sink *f)
{
    f->is_over = true;
    folder_directories_stop(&f->directories);
    folder_compare_stop(&f->compare);
    if (!is_pending(f))
        drop(f);
}

/* The node's name gives way to the cause, which says more. */
static void fail(struct folder_sink *f, uint16_t status, const char *why)
{
    char name[COMMENT_BYTES], comment[COMMENT_BYTES];
    size_t why_len = strlen(why);
    size_t room = why_len < COMMENT_BYTES - 16 ? COMMENT_BYTES - 3 - why_len : 14;
    text_printable(name, sizeof(name), f->sink.node->name, strlen(f->sink.node->name));
    snprintf(comment, sizeof(comment), "%.*s: %s", (int)room, name, why);
    f->is_over = true; /* not to be abandoned from inside */
    f->sink.on_done(&f->sink, status, comment);
    end_early(f);
}

static void fail_out_of_resources(struct folder_sink *f, const char *why)
{
    fail(f, DIMSE_STATUS_OUT_OF_RESOURCES, why);
}

static void succeed(struct folder_sink *f)
{
    f->is_over = true;
    LOG(LOG_DEBUG, "file stored", LOG_STR("assoc", f->sink.message->association),
        LOG_STR("message", f->sink.message->id), LOG_PATIENT("path", f->name, f->sink.node->folder));
    f->sink.on_done(&f->sink, DIMSE_STATUS_SUCCESS, NULL);
    enter(f, FOLDER_GONE);
}

/* --- names ------------------------------------------------------------------------------------------------- */

/* "x.dcm" -> "x-1.dcm": the number stands before what the pattern itself writes behind the last dot. (A UID without a suffix
 * has dots too.) */
static size_t pattern_suffix_len(const char *pattern)
{
    const char *dot = strrchr(pattern, '.');
    return dot && !strpbrk(dot, "}/") ? strlen(dot) : 0;
}

static void number_name(struct folder_sink *f)
{
    size_t len = strlen(f->path), stem = len - f->suffix_len;
    if (f->number == 0)
        snprintf(f->name, len + NAME_EXTRA, "%s", f->path);
    else
        snprintf(f->name, len + NAME_EXTRA, "%.*s-%u%s", (int)stem, f->path, f->number, f->path + stem);
}

static void name_temporary(struct folder_sink *f)
{
    size_t len = strlen(f->path), directory = len;
    while (directory > 0 && f->path[directory - 1] != '/')
        directory--;
    snprintf(f->temporary, len + NAME_EXTRA, "%.*s.hilum-%lx-%016llx-%llx.part", (int)directory, f->path,
             (unsigned long)getpid(), (unsigned long long)f->context->random,
             (unsigned long long)f->context->counter++);
}

/* What the pattern asks of the data set, in its order. */
static void take_attributes(const struct config_node *node, const struct sink_message *m,
                            struct view attributes[PATTERN_ATTRIBUTES_MAX])
{
    memset(attributes, 0, PATTERN_ATTRIBUTES_MAX * sizeof(*attributes));
    for (size_t i = 0; m->attributes && i < node->folder_attribute_count; i++)
        attributes[i] = route_attributes_text(m->attributes, node->folder_attributes[i]);
}

static bool make_path(struct folder_sink *f)
{
    const struct sink_message *m = f->sink.message;
    char path[PATTERN_PATH_MAX + 1], date[9];
    struct view attributes[PATTERN_ATTRIBUTES_MAX];
    clock_date(date);
    take_attributes(f->sink.node, m, attributes);
    struct pattern_values values = {.sop_instance = m->sop_instance,
                                    .sop_class = m->sop_class,
                                    .calling = {(const uint8_t *)m->calling, strlen(m->calling)},
                                    .called = {(const uint8_t *)m->called, strlen(m->called)},
                                    .date = date,
                                    .attributes = attributes};
    hilum_assert(pattern_expand(f->sink.node->folder, &values, path, sizeof(path)) == OK);
    size_t len = strlen(path);
    f->path = strdup(path);
    f->name = malloc(len + NAME_EXTRA);
    f->temporary = malloc(len + NAME_EXTRA);
    return f->path && f->name && f->temporary;
}

/* --- bytes ------------------------------------------------------------------------------------------------- */

static bool queue_meta(struct folder_sink *f)
{
    const struct sink_message *m = f->sink.message;
    struct view calling = {(const uint8_t *)m->calling, strlen(m->calling)};
    struct view called = {(const uint8_t *)m->called, strlen(m->called)};
    struct view syntax = {(const uint8_t *)m->transfer_syntax, strlen(m->transfer_syntax)};
    struct part10_meta meta = {.sop_class = m->sop_class,
                               .sop_instance = m->sop_instance,
                               .transfer_syntax = syntax,
                               .source_title = calling,
                               .sending_title = calling,
                               .receiving_title = called};
    struct octets bytes = {0};
    part10_write(&meta, &bytes);
    f->meta_len = bytes.len;
    bool ok = !bytes.failed && slices_push_copy(&f->queue, f->context->pool, bytes.data, bytes.len, NULL);
    octets_free(&bytes);
    return ok;
}

/* The meta information waits for the first data: a small file is one write. */
static void write_more(struct folder_sink *f)
{
    if (f->state != FOLDER_WRITING || is_pending(f))
        return;
    bool only_meta = f->written == 0 && f->queue.bytes == f->meta_len;
    if (f->queue.bytes > 0 && (!only_meta || f->has_all_data))
        io_write(io_of(f), &f->op, f->fd, &f->queue, f->written);
    else if (f->has_all_data)
        enter(f, FOLDER_SYNCING);
}

static void on_written(struct folder_sink *f, int64_t n)
{
    if (n == 0) {
        fail_out_of_resources(f, "the file takes no more bytes");
        return;
    }
    f->written += (uint64_t)n;
    slices_consume(&f->queue, (size_t)n);
    if (!f->is_over)
        f->sink.on_taken(&f->sink);
    write_more(f);
}

/* --- states ------------------------------------------------------------------------------------------------ */

static void compare_begin(struct folder_sink *f)
{
    f->compare.io = io_of(f);
    f->compare.ours = f->temporary;
    f->compare.theirs = f->name;
    f->compare.transfer_syntax = f->sink.message->transfer_syntax;
    f->compare.ours_at = f->meta_len;
    f->compare.data_length = f->written - f->meta_len;
    folder_compare_start(&f->compare);
}

static void enter(struct folder_sink *f, enum folder_state state)
{
    struct io *io = io_of(f);
    f->state = state;
    f->sink.progress_ms = io_now(io);
    switch (state) {
    case FOLDER_REFUSED:
    case FOLDER_GONE:
        io_defer(io, &f->task);
        break;
    case FOLDER_DIRECTORIES:
        folder_directories_make(&f->directories, f->path);
        break;
    case FOLDER_OPENING:
        name_temporary(f);
        io_open(io, &f->op, f->temporary, IO_OPEN_CREATE_NEW);
        break;
    case FOLDER_SYNCING:
        io_fdatasync(io, &f->op, f->fd);
        break;
    case FOLDER_CLOSING:
    case FOLDER_DROPPING_FILE:
        io_close_file(io, &f->op, f->fd);
        f->fd = -1;
        break;
    case FOLDER_PUBLISHING:
        number_name(f);
        io_rename_new(io, &f->op, f->temporary, f->name);
        break;
    case FOLDER_LINKING:
        number_name(f);
        io_link(io, &f->op, f->temporary, f->name);
        break;
    case FOLDER_COMPARING:
        compare_begin(f);
        break;
    case FOLDER_UNLINKING:
    case FOLDER_DROPPING_NAME:
        io_unlink(io, &f->op, f->temporary);
        break;
    case FOLDER_SYNCING_DIRECTORY:
        folder_directories_sync(&f->directories, f->path);
        break;
    case FOLDER_NEW:
    case FOLDER_WRITING:
        break;
    }
}

/* A folder that was there has been removed: once, all of them are made anew. */
static void on_directories_fault(struct folder_sink *f, enum io_error error, const char *why)
{
    folder_forget(f->context, f->path);
    if (error != IO_NOT_FOUND || f->forgot_directories) {
        fail_out_of_resources(f, why);
        return;
    }
    f->forgot_directories = true;
    enter(f, FOLDER_DIRECTORIES);
}

static void on_opened(struct folder_sink *f, enum io_error error)
{
    if (error == IO_EXISTS && f->tries++ < TEMPORARY_TRIES) {
        enter(f, FOLDER_OPENING);
    } else if (error != IO_NONE) {
        on_directories_fault(f, error, io_op_error_text(&f->op));
    } else {
        enter(f, FOLDER_WRITING);
        f->sink.on_ready(&f->sink); /* may feed us, or abandon */
        write_more(f);
    }
}

static void try_next_name(struct folder_sink *f)
{
    if (f->number == NUMBER_MAX) {
        fail_out_of_resources(f, "too many files of this name");
        return;
    }
    f->number++;
    enter(f, f->is_linked ? FOLDER_LINKING : FOLDER_PUBLISHING);
}

static void on_published(struct folder_sink *f, enum io_error error)
{
    bool is_rename = f->state == FOLDER_PUBLISHING;
    if (error == IO_NONE) {
        if (f->number > 0)
            LOG(LOG_WARN, "kept beside a file of the same name and other content",
                LOG_STR("message", f->sink.message->id), LOG_STR("node", f->sink.node->name),
                LOG_PATIENT("path", f->name, f->sink.node->folder));
        enter(f, is_rename ? FOLDER_SYNCING_DIRECTORY : FOLDER_UNLINKING);
    } else if (error == IO_EXISTS) {
        enter(f, FOLDER_COMPARING);
    } else if (error == IO_UNSUPPORTED && is_rename) {
        f->is_linked = true;
        enter(f, FOLDER_LINKING);
    } else {
        fail_out_of_resources(f, io_op_error_text(&f->op));
    }
}

static void on_compared(struct folder_compare *c, enum folder_verdict verdict)
{
    struct folder_sink *f = c->owner;
    if (f->is_over) {
        drop(f);
        return;
    }
    switch (verdict) {
    case FOLDER_SAME:
        enter(f, FOLDER_UNLINKING);
        break;
    case FOLDER_DIFFERENT:
        try_next_name(f);
        break;
    case FOLDER_VANISHED:
        if (f->tries++ < TEMPORARY_TRIES)
            enter(f, f->is_linked ? FOLDER_LINKING : FOLDER_PUBLISHING);
        else
            fail_out_of_resources(f, "a file of this name comes and goes");
        break;
    case FOLDER_FAILED:
        fail_out_of_resources(f, c->why);
        break;
    }
}

static void on_directories(struct folder_directories *d, enum io_error error)
{
    struct folder_sink *f = d->owner;
    if (f->is_over)
        drop(f);
    else if (error != IO_NONE && f->state == FOLDER_DIRECTORIES)
        on_directories_fault(f, error, d->why);
    else if (error != IO_NONE)
        fail_out_of_resources(f, d->why);
    else if (f->state == FOLDER_DIRECTORIES)
        enter(f, FOLDER_OPENING);
    else
        succeed(f);
}

/* What an operation has made or ended, whatever comes next. */
static void take_note(struct folder_sink *f, enum io_error error, int64_t n)
{
    f->sink.progress_ms = io_now(io_of(f));
    if (f->state == FOLDER_OPENING && error == IO_NONE) {
        f->fd = (int)n;
        f->has_temporary = true;
    }
    if (f->state == FOLDER_PUBLISHING && error == IO_NONE)
        f->has_temporary = false;
    if (f->state == FOLDER_UNLINKING || f->state == FOLDER_DROPPING_NAME)
        f->has_temporary = false;
}

static void on_result(struct io_op *op, enum io_error error, int64_t n)
{
    struct folder_sink *f = op->owner;
    take_note(f, error, n);
    if (f->is_over) {
        drop(f);
        return;
    }
    switch (f->state) {
    case FOLDER_OPENING:
        on_opened(f, error);
        return;
    case FOLDER_PUBLISHING:
    case FOLDER_LINKING:
        on_published(f, error);
        return;
    default:
        break;
    }
    if (error != IO_NONE)
        fail_out_of_resources(f, io_op_error_text(&f->op));
    else if (f->state == FOLDER_WRITING)
        on_written(f, n);
    else if (f->state == FOLDER_SYNCING)
        enter(f, FOLDER_CLOSING);
    else if (f->state == FOLDER_CLOSING)
        enter(f, FOLDER_PUBLISHING);
    else
        enter(f, FOLDER_SYNCING_DIRECTORY); /* after unlinking */
}

/* --- the message's view ------------------------------------------------------------------------------------ */

static void on_task(struct io_task *task)
{
    struct folder_sink *f = task->owner;
    if (f->state == FOLDER_REFUSED) {
        fail(f, f->refused_status, f->refused_why);
        return;
    }
    hilum_assert(f->state == FOLDER_GONE && !is_pending(f));
    f->sink.on_gone(&f->sink);
    slices_clear(&f->queue);
    free(f->path);
    free(f->name);
    free(f->temporary);
    free(f);
}

static void refuse(struct folder_sink *f, uint16_t status, const char *why)
{
    f->refused_status = status;
    f->refused_why = why;
    enter(f, FOLDER_REFUSED);
}

static void folder_start(struct sink *s)
{
    struct folder_sink *f = from_sink(s);
    if (!s->message->has_data)
        refuse(f, DIMSE_STATUS_CANNOT_UNDERSTAND, "no data set");
    else if (s->message->sop_instance.len == 0)
        refuse(f, STATUS_INVALID_INSTANCE, "no SOP Instance UID");
    else if (!make_path(f) || !queue_meta(f))
        refuse(f, DIMSE_STATUS_OUT_OF_RESOURCES, "no memory");
    else
        enter(f, FOLDER_DIRECTORIES);
}

static size_t folder_backlog(const struct sink *s)
{
    const struct folder_sink *f = (const struct folder_sink *)s;
    uint64_t meta_left = f->meta_len > f->written ? f->meta_len - f->written : 0;
    return f->queue.bytes > meta_left ? f->queue.bytes - (size_t)meta_left : 0;
}

static void folder_data(struct sink *s, struct buf *b, uint8_t *at, uint32_t len)
{
    struct folder_sink *f = from_sink(s);
    if (f->is_over || f->state == FOLDER_REFUSED)
        return;
    if (folder_backlog(s) == 0)
        s->progress_ms = io_now(io_of(f)); /* a stall is counted from here */
    if (slices_push(&f->queue, b, at, len))
        write_more(f);
    else
        fail_out_of_resources(f, "no memory");
}

static void folder_finish(struct sink *s)
{
    struct folder_sink *f = from_sink(s);
    f->has_all_data = true;
    write_more(f);
}

static void folder_abandon(struct sink *s)
{
    end_early(from_sink(s));
}

static const struct sink_ops folder_ops = {.start = folder_start,
                                           .data = folder_data,
                                           .finish = folder_finish,
                                           .abandon = folder_abandon,
                                           .backlog = folder_backlog};

struct sink *sink_folder_new(struct folder_context *c, const struct config_node *node,
                             const struct sink_message *m)
{
    struct folder_sink *f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    f->sink = (struct sink){.ops = &folder_ops, .node = node, .message = m, .progress_ms = io_now(c->io)};
    f->context = c;
    f->op = (struct io_op){.on_done = on_result, .owner = f};
    f->task = (struct io_task){.run = on_task, .owner = f};
    f->directories.context = c;
    f->directories.on_done = on_directories;
    f->directories.owner = f;
    f->compare.on_done = on_compared;
    f->compare.owner = f;
    f->suffix_len = pattern_suffix_len(node->folder);
    f->fd = -1;
    return &f->sink;
}

struct folder_context *folder_context_new(struct io *io, struct pool *pool)
{
    struct folder_context *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->io = io;
    c->pool = pool;
    if (getrandom(&c->random, sizeof(c->random), GRND_NONBLOCK) != (ssize_t)sizeof(c->random))
        c->random =
            clock_us() ^ (uint64_t)(uintptr_t)c; /* names are made with O_EXCL: this only saves tries */
    return c;
}

void folder_context_free(struct folder_context **cp)
{
    struct folder_context *c = *cp;
    *cp = NULL;
    if (!c)
        return;
    for (size_t i = 0; i < FOLDER_KNOWN; i++)
        free(c->known[i]);
    free(c);
}
