#include "stream/stream.h"

#include <string.h>

#include "base/assert.h"
#include "stream/inside.h"

enum {
    SMALL_RECEIVE = 16 << 10, /* copied behind the one before */
    COMPACT_FROM =
        8, /* with so many buffers held, every receive that fits is: bytes gathered fill their buffers */
};

static void receive_more(struct stream *s);

void stream_schedule(struct stream *s)
{
    if (!s->is_closing)
        io_defer(s->io, &s->work);
}

static void on_budget(void *owner)
{
    struct stream *s = owner;
    if (!s->receive_op.is_pending)
        stream_schedule(s);
}

static void on_buffers(struct io_waiter *w)
{
    receive_more(w->owner);
}

static void tell_closed(struct stream *s)
{
    if (!s->is_closing || s->close_told || s->receive_op.is_pending || s->send_op.is_pending ||
        s->watch_op.is_pending)
        return;
    s->close_told = true;
    io_defer_cancel(s->io, &s->work);
    io_close(s->fd);
    s->fd = -1;
    slices_clear(&s->sending);
    secure_free(s);
    budget_leave(&s->budget);
    s->user->on_closed(s);
}

void stream_lose(struct stream *s, enum io_error error)
{
    if (s->is_lost || s->is_closing)
        return;
    s->is_lost = true;
    s->user->on_lost(s, error);
}

/* Small pieces move behind the piece before, as long as somebody holds that. The stream itself must not hold it: idle
 * streams would keep a small pool from those that wait. */
static struct buf *join_tail(struct stream *s, struct buf *b, uint8_t **at_out, uint32_t len)
{
    struct buf *tail = s->budget->last;
    *at_out = b->data;
    if (tail && (len < SMALL_RECEIVE || s->budget->held >= COMPACT_FROM) && tail->size - tail->used >= len) {
        *at_out = tail->data + tail->used;
        memcpy(*at_out, b->data, len);
        if (s->is_new)
            explicit_bzero(b->data, len); /* the user wipes what it was given */
        tail->used += len;
        buf_unref(&b);
        return buf_ref(tail);
    }
    buf_charge(b, s->budget);
    return b;
}

void stream_deliver(struct stream *s, struct buf *b)
{
    uint32_t len = b->used;
    uint8_t *at = b->data;
    if (s->is_closing) {
        buf_unref(&b);
        return;
    }
    if (b->is_receive)
        b = join_tail(s, b, &at, len);
    s->user->on_bytes(s, b, at, len);
    buf_unref(&b);
}

/* What the socket brought. Takes the reference. */
static void take(struct stream *s, struct buf *b, uint32_t len)
{
    if (s->tls_context) {
        secure_take(s, b, len);
        return;
    }
    s->received_bytes += len;
    b->used = len;
    stream_deliver(s, b);
}

/* Of a lean stream. False without memory. */
static bool receive_into_own(struct stream *s)
{
    s->own = buf_scratch(s->pool, BUF_SCRATCH_BYTES);
    if (s->own)
        io_read(s->io, &s->receive_op, s->fd, s->own->data, s->own->size, 0);
    return s->own != NULL;
}

static void wait_for_buffers(struct stream *s)
{
    if ((s->is_lean || s->is_new) && receive_into_own(s))
        return;
    io_wait_buffers(s->io, &s->waiter);
    if (s->pool->on_short)
        s->pool->on_short(s->pool->on_short_arg);
}

static bool needs_acknowledging(const struct stream *s)
{
    return !s->is_closing && !s->is_lost && (!s->user->is_amid || s->user->is_amid(s));
}

static void on_received(struct io_op *op, enum io_error error, int64_t n)
{
    struct stream *s = op->owner;
    struct buf *own = s->own;
    s->own = NULL;
    if (error == IO_NO_BUFFERS && !s->is_closing) {
        wait_for_buffers(s);
    } else if (error != IO_NONE || n == 0) {
        stream_lose(s, error);
    } else {
        struct buf *b;
        uint32_t len;
        if (!s->tls_context)
            s->received_ms = io_now(s->io);
        if (own)
            take(s, own, (uint32_t)n);
        own = NULL;
        while ((b = io_received(s->io, op, &len)))
            take(s, b, len);
        if (n < SMALL_RECEIVE && needs_acknowledging(s))
            io_quick_ack(s->fd);
        receive_more(s);
        if (s->is_mute && !s->receive_op.is_pending)
            stream_lose(s, IO_RESET);
    }
    buf_unref(&own);
    tell_closed(s);
}

/* The last eighth of the pool is for those who hold none, a buffer each. */
static bool is_reserve(const struct pool *p)
{
    return pool_available(p) <= p->cap / 8;
}

static bool pool_has_room(const struct stream *s)
{
    return s->budget->held == 0 || !is_reserve(s->pool);
}

static void receive_more(struct stream *s)
{
    if (!s->is_reading || s->is_lost || s->is_closing || s->receive_op.is_pending)
        return;
    if (stream_is_full(s)) {
        if (s->user->on_full)
            s->user->on_full(s);
        return;
    }
    size_t most = s->user->may_receive ? s->user->may_receive(s) : SIZE_MAX;
    if (most == 0)
        return;
    if (!pool_has_room(s) || (s->is_lean && pool_is_short(s->pool))) {
        wait_for_buffers(s);
        return;
    }
    size_t buffers = is_reserve(s->pool) ? 1 : s->limit - s->budget->held;
    io_wait_buffers_cancel(s->io, &s->waiter);
    size_t bytes = buffers * BUF_BYTES;
    io_receive(s->io, &s->receive_op, s->fd, most < bytes ? most : bytes);
}

static void send_more(struct stream *s)
{
    if (s->send_op.is_pending || s->is_lost || s->is_closing || s->is_mute)
        return;
    const struct slices *queue = s->tls_context ? secure_next(s) : &s->sending;
    if (queue && queue->count > 0)
        io_send(s->io, &s->send_op, s->fd, queue);
}

static void on_send_done(struct io_op *op, enum io_error error, int64_t n)
{
    struct stream *s = op->owner;
    if (error == IO_RESET && s->tls_context && s->receive_op.is_pending) {
        s->is_mute =
            true; /* the alert that says why may lie in the socket: the receive ends by itself, and tells */
        io_shutdown_send(s->fd); /* of whoever has not gone yet it is asked */
    } else if (error != IO_NONE) {
        stream_lose(s, error);
    } else {
        size_t left = s->tls_context ? secure_sent(s, (size_t)n) : (size_t)n;
        s->sent_ms = io_now(s->io);
        s->sent_bytes += left;
        slices_consume(&s->sending, left);
        if (!s->is_closing && left > 0)
            s->user->on_sent(s, left);
        send_more(s);
    }
    tell_closed(s);
}

static void on_watched(struct io_op *op, enum io_error error, int64_t n)
{
    struct stream *s = op->owner;
    (void)n;
    if (error == IO_NONE && !s->is_closing && !s->is_lost)
        s->user->on_hung_up(s);
    tell_closed(s);
}

static void on_work(struct io_task *task)
{
    struct stream *s = task->owner;
    send_more(s);
    receive_more(s);
}

bool stream_open(struct stream *s, struct io *io, struct pool *pool, int fd, const struct stream_user *user,
                 void *owner)
{
    *s = (struct stream){.io = io,
                         .user = user,
                         .owner = owner,
                         .fd = fd,
                         .pool = pool,
                         .receive_op = {.on_done = on_received, .owner = s},
                         .send_op = {.on_done = on_send_done, .owner = s},
                         .watch_op = {.on_done = on_watched, .owner = s},
                         .waiter = {.on_buffers = on_buffers, .owner = s},
                         .work = {.run = on_work, .owner = s},
                         .limit = STREAM_LIMIT_MIN,
                         .is_reading = true,
                         .received_ms = io_now(io),
                         .sent_ms = io_now(io)};
    s->budget = budget_new(on_budget, s);
    if (!s->budget) {
        io_close(fd);
        s->fd = -1;
        return false;
    }
    receive_more(s);
    return true;
}

void stream_set_limit(struct stream *s, uint32_t buffers)
{
    s->limit = buffers < STREAM_LIMIT_MIN ? STREAM_LIMIT_MIN : buffers;
    stream_schedule(s);
}

void stream_set_reading(struct stream *s, bool is_reading)
{
    s->is_reading = is_reading;
    if (is_reading)
        stream_schedule(s);
}

void stream_look_again(struct stream *s)
{
    stream_schedule(s);
}

void stream_watch(struct stream *s)
{
    if (!s->is_closing && !s->is_lost && !s->watch_op.is_pending)
        io_poll(s->io, &s->watch_op, s->fd, IO_HUNG_UP);
}

void stream_count_received(struct stream *s, size_t n)
{
    s->received_ms = io_now(s->io);
    s->received_bytes += n;
}

void stream_count_sent(struct stream *s, size_t n)
{
    s->sent_ms = io_now(s->io);
    s->sent_bytes += n;
}

void stream_break(struct stream *s, enum io_error error)
{
    stream_lose(s, error);
}

bool stream_is_full(const struct stream *s)
{
    return s->budget && s->budget->held >= s->limit;
}

bool stream_is_starved(const struct stream *s)
{
    return s->waiter.is_waiting && !pool_has_room(s);
}

bool stream_send(struct stream *s, struct buf *b, uint8_t *at, uint32_t len)
{
    if (s->is_lost || s->is_closing)
        return true; /* nobody will read it; the loss has been or will be told */
    if (s->sending.count == 0)
        s->sent_ms = io_now(s->io); /* a stall is counted from here */
    if (!slices_push(&s->sending, b, at, len))
        return false;
    stream_schedule(s);
    return true;
}

bool stream_send_bytes(struct stream *s, const void *bytes, size_t len)
{
    struct buf *b = buf_scratch(s->pool, len);
    if (!b)
        return false;
    memcpy(b->data, bytes, len);
    b->used = (uint32_t)len;
    b->is_secret = true;
    bool ok = stream_send(s, b, b->data, (uint32_t)len);
    buf_unref(&b);
    return ok;
}

void stream_close(struct stream *s)
{
    if (s->is_closing)
        return;
    secure_end(s);
    s->is_closing = true;
    io_wait_buffers_cancel(s->io, &s->waiter);
    io_defer_cancel(s->io, &s->work);
    io_cancel(s->io, &s->receive_op);
    io_cancel(s->io, &s->send_op);
    io_cancel(s->io, &s->watch_op);
    tell_closed(s);
}
