/*
 * Receive buffers lent to the kernel: a provided-buffer ring, refilled from the pool every turn. The kernel takes them in
 * the order they were posted, and a bundled receive names only the first that it filled, so that order is kept here too.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/assert.h"
#include "io/engine.h"

enum { RING_BYTES = IO_POSTED_MAX * sizeof(struct io_uring_buf) };

enum result io_buffers_open(struct io *io)
{
    void *memory = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    if (memory == MAP_FAILED)
        return ERR_MEMORY;
    io->posted_ring = memory;
    io_uring_buf_ring_init(io->posted_ring);
    struct io_uring_buf_reg reg = {
        .ring_addr = (uint64_t)(uintptr_t)memory, .ring_entries = IO_POSTED_MAX, .bgid = 0};
    if (IO_CALL(IO_CALL_REGISTER, io_uring_register_buf_ring(&io->ring, &reg, 0)) < 0)
        return ERR_IO;
    for (unsigned i = 0; i < IO_POSTED_MAX; i++)
        io->free_ids[i] = (uint16_t)i;
    io->free_id_count = IO_POSTED_MAX;
    io->posted_target = IO_POSTED_FIRST;
    return OK;
}

void io_buffers_close(struct io *io)
{
    if (!io->posted_ring)
        return;
    io_uring_unregister_buf_ring(&io->ring, 0);
    munmap(io->posted_ring, RING_BYTES);
    io->posted_ring = NULL;
    for (unsigned i = 0; i < IO_POSTED_MAX; i++)
        buf_unref(&io->posted[i]);
}

static unsigned posted_goal(const struct io *io)
{
    /* A small memory cap is not spent on buffers that wait for nothing. */
    unsigned quarter = io->pool->cap / 4 ? io->pool->cap / 4 : 1;
    return io->posted_target < quarter ? io->posted_target : quarter;
}

static void wake_waiters(struct io *io, unsigned count)
{
    while (count-- > 0 && !TAILQ_EMPTY(&io->waiters)) {
        struct io_waiter *w = TAILQ_FIRST(&io->waiters);
        io_wait_buffers_cancel(io, w);
        w->on_buffers(w);
    }
}

void io_buffers_refill(struct io *io)
{
    unsigned goal = posted_goal(io);
    int added = 0;
    while (io->posted_count < goal && io->free_id_count > 0) {
        struct buf *b = buf_new(io->pool);
        if (!b)
            break;
        uint16_t id = io->free_ids[--io->free_id_count];
        io->posted[id] = b;
        io->posted_order[(io->order_head + io->posted_count) % IO_POSTED_MAX] = id;
        io->posted_count++;
        io->posted_at[id] = (uint16_t)((io->posted_ring->tail + added) & (IO_POSTED_MAX - 1));
        io_uring_buf_ring_add(io->posted_ring, b->data, b->size, id, io_uring_buf_ring_mask(IO_POSTED_MAX),
                              added++);
    }
    if (added)
        io_uring_buf_ring_advance(io->posted_ring, added);
    if (io->posted_count > 0)
        wake_waiters(io, io->posted_count);
}

/* What the kernel may fill of a posted buffer. Kernels before 6.16 cut the entry itself when a bundled receive ends in the
 * middle of the buffer, also for the receive that takes it later. */
static uint32_t posted_size(const struct io *io, uint16_t id)
{
    return io->posted_ring->bufs[io->posted_at[id]].len;
}

static struct buf *take_posted(struct io *io, uint16_t id)
{
    unsigned i = 0;
    while (i < io->posted_count && io->posted_order[(io->order_head + i) % IO_POSTED_MAX] != id)
        i++;
    hilum_assert(i < io->posted_count);
    for (; i > 0; i--) /* normally the first; else the gap is closed */
        io->posted_order[(io->order_head + i) % IO_POSTED_MAX] =
            io->posted_order[(io->order_head + i - 1) % IO_POSTED_MAX];
    io->order_head = (io->order_head + 1) % IO_POSTED_MAX;
    io->posted_count--;
    struct buf *b = io->posted[id];
    io->posted[id] = NULL;
    io->free_ids[io->free_id_count++] = id;
    return b;
}

void io_buffers_collect(struct io *io, uint16_t id, uint32_t n)
{
    io->received_next = io->received_count = 0;
    for (;;) {
        /* The one after `id` in posted order comes next in a bundle. */
        unsigned at = 0;
        while (io->posted_order[(io->order_head + at) % IO_POSTED_MAX] != id)
            at++;
        uint16_t next = io->posted_order[(io->order_head + at + 1) % IO_POSTED_MAX];
        bool has_next = at + 1 < io->posted_count;
        uint32_t size = posted_size(io, id);
        struct buf *b = take_posted(io, id);
        b->used = n < size ? n : size;
        n -= b->used;
        hilum_assert(io->received_count < IO_BUNDLE_MAX);
        io->received[io->received_count++] = b;
        if (n == 0)
            return;
        hilum_assert(has_next);
        id = next;
    }
}

struct buf *io_received(struct io *io, struct io_op *op, uint32_t *len_out)
{
    (void)op;
    if (io->received_next == io->received_count)
        return NULL;
    struct buf *b = io->received[io->received_next++];
    *len_out = b->used;
    return b;
}

void io_buffers_drop_received(struct io *io)
{
    while (io->received_next < io->received_count)
        buf_unref(&io->received[io->received_next++]);
    io->received_next = io->received_count = 0;
}

void io_buffers_short(struct io *io)
{
    if (io->posted_target < IO_POSTED_MAX / 2)
        io->posted_target *= 2;
}

/*
 * A bundle asks for one byte more than whole buffers: the kernel (6.16 on) leaves a buffer that it could not fill alone, and,
 * because it did so, does not go on. Asked for whole buffers, it would go on, after the last, with all that the socket
 * holds, whatever the length asked for.
 */
void io_receive(struct io *io, struct io_op *op, int fd, size_t max_bytes)
{
    const size_t buffers_max = IO_POSTED_MAX / 2;
    struct io_uring_sqe *sqe = io_entry(io, op, IO_KIND_RECEIVE);
    size_t buffers = max_bytes / BUF_BYTES;
    bool is_bundle = io->has_bundles && buffers > 1;
    size_t len = max_bytes < BUF_BYTES ? max_bytes : BUF_BYTES;
    if (is_bundle)
        len = (buffers < buffers_max ? buffers : buffers_max) * BUF_BYTES + 1;
    io_uring_prep_recv(sqe, fd, NULL, len, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = 0;
    if (is_bundle)
        sqe->ioprio |= IO_RECEIVE_BUNDLE;
    if (op->is_drained) /* an attempt that finds nothing costs as much as one that does */
        sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    io_entry_end(sqe, op, IO_CALL_RECEIVE);
}

void io_wait_buffers(struct io *io, struct io_waiter *w)
{
    if (w->is_waiting)
        return;
    w->is_waiting = true;
    TAILQ_INSERT_TAIL(&io->waiters, w, link);
}

void io_wait_buffers_cancel(struct io *io, struct io_waiter *w)
{
    if (!w->is_waiting)
        return;
    w->is_waiting = false;
    TAILQ_REMOVE(&io->waiters, w, link);
}

bool io_is_awaited(const struct io *io)
{
    return !TAILQ_EMPTY(&io->waiters);
}
