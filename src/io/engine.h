/* The inside of struct io, for the files of this folder. */
#ifndef HILUM_IO_ENGINE_H
#define HILUM_IO_ENGINE_H

#include <liburing.h>
#include <pthread.h>

#include "io/faults.h"
#include "io/io.h"

enum {
    IO_TICK_MS = 16,
    IO_WHEEL_SLOTS = 4096,         /* one revolution: 65.5 s; longer timers stay for more than one */
    IO_POSTED_MAX = 128,           /* entries of the provided-buffer ring, a power of two */
    IO_POSTED_FIRST = 16,          /* 1 MiB of receive buffers: stays in the L2 cache */
    IO_BUNDLE_MAX = IO_POSTED_MAX, /* buffers that one receive may fill, at worst all */
};

/* Newer than liburing 2.3 knows: IORING_RECVSEND_BUNDLE. */
#define IO_RECEIVE_BUNDLE (1U << 4)

enum io_kind {
    IO_KIND_PLAIN,
    IO_KIND_RECEIVE,
    IO_KIND_SEND,
    IO_KIND_ACCEPT,
    IO_KIND_FAULTY = 0x80, /* and one of those: faults.h has replaced what it will be told, by system_error */
};

/* What a vectored send or write names; lives until its completion. */
struct io_frame {
    struct msghdr message;
    struct iovec vector[IO_SEND_SLICES];
    struct io_frame *next;
};

struct io {
    struct io_uring ring;
    struct pool *pool;
    uint64_t now_ms;
    bool has_bundles, has_rename_new;
    bool fails_data_sync,
        fails_directory_sync; /* set by tests: the kernel refuses them, as with a broken disk */

    LIST_HEAD(io_slot, io_timer) wheel[IO_WHEEL_SLOTS];
    uint64_t wheel_used[IO_WHEEL_SLOTS / 64]; /* one bit a slot that holds a timer */
    uint64_t tick;                            /* the first tick not yet looked at */

    TAILQ_HEAD(io_tasks, io_task) tasks;

    pthread_mutex_t mailbox_lock;
    struct io_message *mailbox, **mailbox_end;
    int mailbox_event;
    uint64_t mailbox_count;
    struct io_op mailbox_op;

    struct io_uring_buf_ring *posted_ring;
    struct buf *posted[IO_POSTED_MAX];    /* by buffer id */
    uint16_t posted_order[IO_POSTED_MAX]; /* ids as the kernel will take them, oldest first */
    uint16_t posted_at[IO_POSTED_MAX];    /* by buffer id: its place in the ring */
    uint16_t free_ids[IO_POSTED_MAX];
    unsigned order_head, posted_count, posted_target, free_id_count;
    TAILQ_HEAD(io_waiters, io_waiter) waiters;

    struct buf *received[IO_BUNDLE_MAX]; /* of the receive that is calling back */
    unsigned received_next, received_count;
    uint32_t received_left;

    struct io_frame *frames;
    unsigned frame_count;

    struct io_pipe *pipes; /* free ones, empty */
    unsigned pipe_count, free_pipe_count, pipes_max;
};

/* A submission entry for op; the queue is flushed to make room. Marks the op pending. */
struct io_uring_sqe *io_entry(struct io *io, struct io_op *op, enum io_kind kind);
enum io_error io_error_from(int system_error);

void io_entry_fault(struct io_uring_sqe *sqe, struct io_op *op, enum io_call call);
/* The last of an entry: its completion goes to op. */
static inline void io_entry_end(struct io_uring_sqe *sqe, struct io_op *op, enum io_call call)
{
    if (__builtin_expect(atomic_load_explicit(&io_has_faults, memory_order_acquire), 0))
        io_entry_fault(sqe, op, call);
    io_uring_sqe_set_data(sqe, op);
}

MUST_USE enum result io_buffers_open(struct io *io);
void io_buffers_close(struct io *io);
/* Posts receive buffers up to the target and wakes waiters for what is posted. */
void io_buffers_refill(struct io *io);
/* Takes what a receive of n bytes filled, beginning at buffer `id`, off the posted order. */
void io_buffers_collect(struct io *io, uint16_t id, uint32_t n);
void io_buffers_drop_received(struct io *io);
void io_buffers_short(struct io *io);

void io_pipes_close(struct io *io);

uint64_t io_timers_next(const struct io *io); /* ms until the next due tick, UINT64_MAX: none */
void io_timers_run(struct io *io);

MUST_USE enum result io_mailbox_open(struct io *io);
void io_mailbox_close(struct io *io);
void io_mailbox_arm(struct io *io);

#endif
