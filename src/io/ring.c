/* The ring: set-up, one turn of the loop, dispatch of completions. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "io/engine.h"

/* Newer than liburing 2.3 knows; kernel 6.10. */
#define FEAT_RECVSEND_BUNDLE (1U << 14)

enum { SUBMISSIONS = 512, COMPLETIONS = 8192, BATCH = 256, ROOM = 64 };

static bool is_masked(const char *feature)
{
    const char *text = getenv("HILUM_IO_FEATURES");
    return text && strcmp(text, feature) == 0;
}

/* All that this folder submits, and what it registers once the ring is enabled: seccomp does not see what goes through a ring. A kernel that
 * does not restrict rings leaves it as it is. */
static void restrict_ring(struct io_uring *ring)
{
    static const uint8_t submits[] = {
        IORING_OP_ACCEPT, IORING_OP_CONNECT,  IORING_OP_POLL_ADD, IORING_OP_CLOSE,
        IORING_OP_SEND,   IORING_OP_SENDMSG,  IORING_OP_RECV,     IORING_OP_OPENAT,
        IORING_OP_WRITEV, IORING_OP_READ,     IORING_OP_FSYNC,    IORING_OP_RENAMEAT,
        IORING_OP_LINKAT, IORING_OP_UNLINKAT, IORING_OP_MKDIRAT,  IORING_OP_ASYNC_CANCEL};
    static const uint8_t registers[] = {IORING_REGISTER_RING_FDS, IORING_UNREGISTER_RING_FDS,
                                        IORING_UNREGISTER_PBUF_RING};
    enum { SUBMITS = sizeof(submits), REGISTERS = sizeof(registers) };
    struct io_uring_restriction list[SUBMITS + REGISTERS + 1] = {0};
    unsigned n = 0;
    for (unsigned i = 0; i < SUBMITS; i++, n++) {
        list[n].opcode = IORING_RESTRICTION_SQE_OP;
        list[n].sqe_op = submits[i];
    }
    for (unsigned i = 0; i < REGISTERS; i++, n++) {
        list[n].opcode = IORING_RESTRICTION_REGISTER_OP;
        list[n].register_op = registers[i];
    }
    list[n].opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED;
    list[n].sqe_flags = IOSQE_BUFFER_SELECT;
    (void)io_uring_register((unsigned)ring->ring_fd, IORING_REGISTER_RESTRICTIONS, list, n + 1);
}

enum result io_new(const struct io_options *options, struct io **io_out, char *why, size_t why_cap)
{
    struct io *io = calloc(1, sizeof(*io));
    if (!io)
        return ERR_MEMORY;
    struct io_uring_params params = {
        .flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_R_DISABLED |
                 IORING_SETUP_CQSIZE,
        .cq_entries = COMPLETIONS,
    };
    int error = io_fault(IO_CALL_SETUP, NULL) == IO_FAILS
                    ? -errno
                    : io_uring_queue_init_params(SUBMISSIONS, &io->ring, &params);
    if (error < 0) {
        snprintf(why, why_cap, "io_uring: %s%s", strerror(-error),
                 error == -EPERM || error == -ENOSYS
                     ? " (kernel 6.1 or newer, and a seccomp profile that allows io_uring, are needed)"
                 : error == -ENOMEM ? " (the limit of locked memory may be too low: ulimit -l, LimitMEMLOCK)"
                                    : "");
        free(io);
        return ERR_IO;
    }
    restrict_ring(&io->ring);
    io->mailbox_event = -1;
    io->pool = options->pool;
    io->pipes_max = options->pipes_max ? options->pipes_max : IO_PIPES_MAX;
    io->has_bundles = (params.features & FEAT_RECVSEND_BUNDLE) && !is_masked("6.1");
    io->has_rename_new = !is_masked("no-rename-new");
    TAILQ_INIT(&io->tasks);
    TAILQ_INIT(&io->waiters);
    io->now_ms = clock_ms();
    io->tick = io->now_ms / IO_TICK_MS;
    if (io_buffers_open(io) || io_mailbox_open(io)) {
        snprintf(why, why_cap, "io_uring: no memory or descriptors for the buffer ring and the mailbox");
        io_free(&io);
        return ERR_IO;
    }
    *io_out = io;
    return OK;
}

void io_free(struct io **io_pointer)
{
    struct io *io = *io_pointer;
    *io_pointer = NULL;
    if (!io)
        return;
    io_buffers_close(io);
    io_pipes_close(io);
    io_uring_queue_exit(&io->ring);
    io_mailbox_close(io);
    while (io->frames) {
        struct io_frame *f = io->frames;
        io->frames = f->next;
        free(f);
    }
    free(io);
}

const char *io_describe(const struct io *io)
{
    return io->has_bundles ? "io_uring, bundled receives" : "io_uring";
}

enum result io_adopt(struct io *io)
{
    /* What io_uring_enable_rings does, which the shared library of liburing 2.3 declares but does not export. */
    if (IO_CALL(IO_CALL_REGISTER,
                io_uring_register((unsigned)io->ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0)) < 0)
        return ERR_IO;
    io_uring_register_ring_fd(&io->ring); /* saves a look-up a call; without it all works the same */
    io_mailbox_arm(io);
    return OK;
}

static int submit(struct io *io)
{
    return io_fault(IO_CALL_ENTER, NULL) == IO_FAILS ? -errno : io_uring_submit(&io->ring);
}

void io_make_room(struct io *io)
{
    if (io_uring_sq_space_left(&io->ring) < ROOM)
        (void)submit(io);
}

struct io_uring_sqe *io_entry(struct io *io, struct io_op *op, enum io_kind kind)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&io->ring);
    while (!sqe) {
        int n = submit(io);
        hilum_assert(n >= 0 || n == -EINTR || n == -EAGAIN || n == -EBUSY);
        sqe = io_uring_get_sqe(&io->ring);
    }
    if (op) {
        hilum_assert(!op->is_pending);
        op->is_pending = true;
        op->kind = (uint8_t)kind;
        op->io = io;
    }
    return sqe;
}

static void frame_return(struct io *io, struct io_op *op)
{
    struct io_frame *f = op->frame;
    op->frame = NULL;
    if (!f)
        return;
    if (io->frame_count >= 64) {
        free(f);
        return;
    }
    f->next = io->frames;
    io->frames = f;
    io->frame_count++;
}

static void complete(struct io *io, struct io_op *op, int32_t res, uint32_t flags)
{
    enum io_error error = IO_NONE;
    op->is_pending = false;
    frame_return(io, op);
    if (__builtin_expect(op->kind & IO_KIND_FAULTY, 0)) {
        op->kind &= (uint8_t)~IO_KIND_FAULTY;
        res = -op->system_error;
    }
    if (res < 0) {
        op->system_error = -res;
        error = io_error_from(-res);
        res = 0;
    }
    op->is_drained = op->kind == IO_KIND_RECEIVE && !(flags & IORING_CQE_F_SOCK_NONEMPTY);
    if (op->kind == IO_KIND_RECEIVE) {
        if (flags & IORING_CQE_F_BUFFER)
            io_buffers_collect(io, (uint16_t)(flags >> IORING_CQE_BUFFER_SHIFT), (uint32_t)res);
        if (op->system_error == ENOBUFS && error != IO_NONE) {
            error = IO_NO_BUFFERS;
            io_buffers_short(io);
        }
    }
    op->on_done(op, error, res);
    io_buffers_drop_received(io);
}

static void run_tasks(struct io *io)
{
    /* Only those queued before: a task that queues itself again runs in the next turn. */
    struct io_task marker = {.is_queued = true};
    if (TAILQ_EMPTY(&io->tasks))
        return;
    TAILQ_INSERT_TAIL(&io->tasks, &marker, link);
    for (;;) {
        struct io_task *t = TAILQ_FIRST(&io->tasks);
        io_defer_cancel(io, t);
        if (t == &marker)
            return;
        t->run(t);
    }
}

static void wait_for_work(struct io *io)
{
    uint64_t ms = !TAILQ_EMPTY(&io->tasks) ? 0 : io_timers_next(io);
    struct io_uring_cqe *cqe;
    if (io_fault(IO_CALL_ENTER, NULL) == IO_FAILS)
        return;
    if (ms == 0) {
        io_uring_submit_and_get_events(&io->ring);
    } else if (ms == UINT64_MAX) {
        io_uring_submit_and_wait(&io->ring, 1);
    } else {
        struct __kernel_timespec ts = {.tv_sec = (int64_t)(ms / 1000),
                                       .tv_nsec = (int64_t)(ms % 1000) * 1000000};
        io_uring_submit_and_wait_timeout(&io->ring, &cqe, 1, &ts, NULL);
    }
}

void io_run(struct io *io)
{
    struct io_uring_cqe *batch[BATCH];
    wait_for_work(io);
    io->now_ms = clock_ms();
    unsigned n = io_uring_peek_batch_cqe(&io->ring, batch, BATCH);
    for (unsigned i = 0; i < n; i++) {
        struct io_op *op = io_uring_cqe_get_data(batch[i]);
        int32_t res = batch[i]->res;
        uint32_t flags = batch[i]->flags;
        if (op)
            complete(io, op, res, flags);
    }
    io_uring_cq_advance(&io->ring, n);
    io_timers_run(io);
    run_tasks(io);
    io_buffers_refill(io);
}

uint64_t io_now(const struct io *io)
{
    return io->now_ms;
}

void io_defer(struct io *io, struct io_task *task)
{
    if (task->is_queued)
        return;
    task->is_queued = true;
    TAILQ_INSERT_TAIL(&io->tasks, task, link);
}

void io_defer_cancel(struct io *io, struct io_task *task)
{
    if (!task->is_queued)
        return;
    task->is_queued = false;
    TAILQ_REMOVE(&io->tasks, task, link);
}

void io_cancel(struct io *io, struct io_op *op)
{
    if (!op->is_pending)
        return;
    struct io_uring_sqe *sqe = io_entry(io, NULL, IO_KIND_PLAIN);
    io_uring_prep_cancel(sqe, op, 0);
    io_uring_sqe_set_data(sqe, NULL);
}
