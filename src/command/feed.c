#include "command/feed.h"

#include "base/assert.h"

bool feed_init(struct feed *f)
{
    f->fd = -1;
    for (unsigned i = 0; i < FEED_PIECES; i++)
        if (!(f->pieces[i] = buf_scratch(f->pool, FEED_PIECE_BYTES)))
            return false;
    return true;
}

void feed_free(struct feed *f)
{
    hilum_assert(!f->is_active);
    for (unsigned i = 0; i < FEED_PIECES; i++)
        buf_unref(&f->pieces[i]);
}

bool feed_is_active(const struct feed *f)
{
    return f->is_active;
}

static void leave(struct feed *f)
{
    io_close(f->fd);
    f->fd = -1;
    f->is_active = false;
}

static void finish(struct feed *f, const char *why)
{
    leave(f);
    f->user->on_done(f, why);
}

/* After feed_stop: the operation that was under way has ended. */
static bool was_stopped(struct feed *f)
{
    if (!f->is_stopped)
        return false;
    leave(f);
    f->user->on_idle(f);
    return true;
}

static void read_next(struct feed *f);

static void on_read(struct io_op *op, enum io_error error, int64_t n)
{
    struct feed *f = op->owner;
    if (was_stopped(f))
        return;
    if (error != IO_NONE) {
        finish(f, io_op_error_text(op));
        return;
    }
    if (n == 0) {
        finish(f, association_send_data_end(f->a) ? NULL : "out of memory");
        return;
    }
    f->offset += (uint64_t)n;
    f->fed += (uint64_t)n;
    if (!association_send_data(f->a, f->reading, f->reading->data, (uint32_t)n)) {
        finish(f, "out of memory");
        return;
    }
    read_next(f);
}

/* One that nobody else refers to: its bytes are with the kernel. */
static struct buf *free_piece(struct feed *f)
{
    for (unsigned i = 0; i < FEED_PIECES; i++)
        if (f->pieces[i]->refs == 1)
            return f->pieces[i];
    return NULL;
}

static void read_next(struct feed *f)
{
    if (!f->is_started || f->op.is_pending)
        return;
    f->reading = free_piece(f);
    if (!f->reading) /* feed_go_on comes back to it */
        return;
    f->op = (struct io_op){.on_done = on_read, .owner = f};
    io_read(f->io, &f->op, f->fd, f->reading->data, FEED_PIECE_BYTES, f->offset);
}

static void on_opened(struct io_op *op, enum io_error error, int64_t n)
{
    struct feed *f = op->owner;
    if (error == IO_NONE)
        f->fd = (int)n;
    if (was_stopped(f))
        return;
    if (error != IO_NONE)
        finish(f, io_op_error_text(op));
    else
        f->user->on_open(f);
}

void feed_open(struct feed *f, const char *path, uint64_t offset)
{
    hilum_assert(!f->is_active);
    f->is_active = true;
    f->is_started = f->is_stopped = false;
    f->offset = offset;
    f->fed = 0;
    f->op = (struct io_op){.on_done = on_opened, .owner = f};
    io_open(f->io, &f->op, path, IO_OPEN_READ);
}

void feed_start(struct feed *f, struct association *a)
{
    f->a = a;
    f->is_started = true;
    read_next(f);
}

void feed_go_on(struct feed *f)
{
    if (f->is_active && !f->is_stopped)
        read_next(f);
}

void feed_stop(struct feed *f)
{
    if (!f->is_active)
        return;
    f->is_stopped = true;
    if (!f->op.is_pending)
        leave(f);
}
