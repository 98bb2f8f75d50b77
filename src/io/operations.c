/* Operations on sockets and files, each one submission. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "io/engine.h"

/* uapi/linux/fs.h; not declared by every libc. */
#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#endif

enum io_error io_error_from(int system_error)
{
    switch (system_error) {
    case ECANCELED:
        return IO_CANCELLED;
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
    case ENOTCONN:
    case ESHUTDOWN:
    case ETIMEDOUT:
        return IO_RESET;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EADDRNOTAVAIL:
        return IO_REFUSED;
    case EEXIST:
        return IO_EXISTS;
    case ENOENT:
        return IO_NOT_FOUND;
    case EINVAL:
    case ENOSYS:
    case EOPNOTSUPP:
        return IO_UNSUPPORTED;
    case ENOSPC:
    case EDQUOT:
        return IO_NO_SPACE;
    default:
        return IO_OTHER;
    }
}

const char *io_error_name(enum io_error e)
{
    static const char *const names[] = {"none",   "cancelled", "no buffers",  "connection reset", "refused",
                                        "exists", "not found", "unsupported", "no space",         "failed"};
    return names[e];
}

const char *io_op_error_text(const struct io_op *op)
{
    const char *text = op->system_error ? strerrordesc_np(op->system_error) : "no error";
    return text ? text : "unknown error";
}

/* --- the seam for tests ------------------------------------------------------------------------------------------- */

static void frame_cut(struct io_frame *f, size_t len)
{
    size_t n = 0;
    for (; len > 0; n++) {
        if (f->vector[n].iov_len > len)
            f->vector[n].iov_len = len;
        len -= f->vector[n].iov_len;
    }
    f->message.msg_iovlen = n;
}

static void entry_cut(struct io_uring_sqe *sqe, struct io_op *op, size_t len)
{
    struct io_frame *f = op->frame;
    if (f)
        frame_cut(f, len);
    if (!f || sqe->opcode == IORING_OP_WRITEV)
        sqe->len = (uint32_t)(f ? f->message.msg_iovlen : len);
    if (sqe->opcode == IORING_OP_RECV)
        sqe->ioprio &= (uint16_t)~IO_RECEIVE_BUNDLE;
}

/* What fails is replaced by the closing of no descriptor, which every ring may submit: it completes at once, and complete() tells what we say. */
void io_entry_fault(struct io_uring_sqe *sqe, struct io_op *op, enum io_call call)
{
    const struct io_frame *f = op->frame;
    size_t len = f ? 0 : sqe->len;
    for (size_t i = 0; f && i < f->message.msg_iovlen; i++)
        len += f->vector[i].iov_len;
    enum io_fault fault = io_fault(call, &len);
    if (fault == IO_SHORT)
        entry_cut(sqe, op, len);
    if (fault != IO_FAILS && fault != IO_ENDS)
        return;
    op->kind |= IO_KIND_FAULTY;
    op->system_error = fault == IO_FAILS ? errno : 0;
    if (call != IO_CALL_RING_CLOSE)
        io_uring_prep_close(sqe, -1);
}

/* --- sockets and files -------------------------------------------------------------------------------------------- */

void io_accept(struct io *io, struct io_op *op, int listen_fd)
{
    struct io_uring_sqe *sqe = io_entry(io, op, IO_KIND_ACCEPT);
    io_uring_prep_accept(sqe, listen_fd, NULL, NULL, SOCK_CLOEXEC);
    io_entry_end(sqe, op, IO_CALL_ACCEPT);
}

void io_connect(struct io *io, struct io_op *op, int fd, const struct io_address *to)
{
    struct io_uring_sqe *sqe = io_entry(io, op, IO_KIND_PLAIN);
    io_uring_prep_connect(sqe, fd, (const struct sockaddr *)&to->at, to->len);
    io_entry_end(sqe, op, IO_CALL_CONNECT);
}

void io_poll(struct io *io, struct io_op *op, int fd, enum io_readiness readiness)
{
    static const short events[] = {[IO_READABLE] = POLLIN, [IO_WRITABLE] = POLLOUT, [IO_HUNG_UP] = POLLRDHUP};
    struct io_uring_sqe *sqe = io_entry(io, op, IO_KIND_PLAIN);
    io_uring_prep_poll_add(sqe, fd, (unsigned)events[readiness]);
    io_entry_end(sqe, op, IO_CALL_POLL);
}

static struct io_frame *frame_for(struct io *io, const struct slices *queue)
{
    struct io_frame *f = io->frames;
    if (f) {
        io->frames = f->next;
        io->frame_count--;
    } else {
        f = malloc(sizeof(*f));
        if (!f)
            return NULL;
    }
    uint32_t count = queue->count < IO_SEND_SLICES ? queue->count : IO_SEND_SLICES;
    for (uint32_t i = 0; i < count; i++) {
        const struct slice *s = slices_at(queue, i);
        f->vector[i] = (struct iovec){.iov_base = s->at, .iov_len = s->len};
    }
    f->message = (struct msghdr){.msg_iov = f->vector, .msg_iovlen = count};
    return f;
}

/* The entry of a vectored operation, with op->frame naming the front of the queue. NULL without memory for the frame: it
 * completes with an error, like any failed operation. */
static struct io_uring_sqe *vectored_entry(struct io *io, struct io_op *op, const struct slices *queue)
{
    struct io_uring_sqe *sqe = io_entry(io, op, IO_KIND_SEND);
    op->frame = frame_for(io, queue);
    if (op->frame)
        return sqe;
    io_uring_prep_close(sqe, -1);
    io_uring_sqe_set_data(sqe, op);
    return NULL;
}

void io_send(struct io *io, struct io_op *op, int fd, const struct slices *queue)
{
    if (queue->count == 1) { /* an answer, mostly: no vector to be read by the kernel */
        const struct slice *s = slices_at(queue, 0);
        struct io_uring_sqe *plain = io_entry(io, op, IO_KIND_SEND);
        io_uring_prep_send(plain, fd, s->at, s->len, MSG_NOSIGNAL);
        io_entry_end(plain, op, IO_CALL_SEND);
        return;
    }
    struct io_uring_sqe *sqe = vectored_entry(io, op, queue);
    struct io_frame *f = op->frame;
    if (!sqe)
        return;
    io_uring_prep_sendmsg(sqe, fd, &f->message, MSG_NOSIGNAL);
    io_entry_end(sqe, op, IO_CALL_SEND);
}

void io_open(struct io *io, struct io_op *op, const char *path, unsigned how)
{
    int flags = O_CLOEXEC;
    if (how & IO_OPEN_CREATE_NEW)
        flags |= O_WRONLY | O_CREAT | O_EXCL;
    else if (how & IO_OPEN_UNNAMED)
        flags |= O_RDWR | O_TMPFILE;
    else
        flags |= O_RDONLY;
    if (how & IO_OPEN_DIRECTORY)
        flags |= O_DIRECTORY;
    struct io_uring_sqe *sqe = io_entry(io, op, IO_KIND_PLAIN);
    io_uring_prep_openat(sqe, AT_FDCWD, path, flags, 0640);
    io_entry_end(sqe, op, IO_CALL_RING_OPEN);
}

void io_write(struct io *io, struct io_op *op, int fd, const struct slices *queue, uint64_t offset)
{
    struct io_uring_sqe *sqe = vectored_entry(io, op, queue);
    struct io_frame *f = op->frame;
    if (!sqe)
        return;
    io_uring_prep_writev(sqe, fd, f->vector, (unsigned)f->message.msg_iovlen, offset);
    io_entry_end(sqe, op, IO_CALL_RING_WRITE);
}

void io_read(struct io *io, struct io_op *op, int fd, void *to, size_t len, uint64_t offset)
{
    struct io_uring_sqe *sqe = io_entry(io, op, IO_KIND_PLAIN);
    io_uring_prep_read(sqe, fd, to, (unsigned)len, offset);
    io_entry_end(sqe, op, op == &io->mailbox_op ? IO_CALL_MAILBOX : IO_CALL_RING_READ);
}

static void sync_file(struct io *io, struct io_op *op, int fd, unsigned flags)
{
    struct io_uring_sqe *sqe = io_entry(io, op, IO_KIND_PLAIN);
    io_uring_prep_fsync(sqe, fd, flags);
    io_entry_end(sqe, op, flags & IORING_FSYNC_DATASYNC ? IO_CALL_RING_FDATASYNC : IO_CALL_RING_FSYNC);
}

void io_fdatasync(struct io *io, struct io_op *op, int fd)
{
    sync_file(io, op, io->fails_data_sync ? -1 : fd, IORING_FSYNC_DATASYNC);
}

void io_fsync(struct io *io, struct io_op *op, int fd)
{
    sync_file(io, op, io->fails_directory_sync ? -1 : fd, 0);
}

void io_rename_new(struct io *io, struct io_op *op, const char *from, const char *to)
{
    struct io_uring_sqe *sqe = io_entry(io, op, IO_KIND_PLAIN);
    /* Masked: a flag that no file system knows, so that the kernel itself refuses. */
    unsigned flags = io->has_rename_new ? RENAME_NOREPLACE : 1U << 31;
    io_uring_prep_renameat(sqe, AT_FDCWD, from, AT_FDCWD, to, flags);
    io_entry_end(sqe, op, IO_CALL_RING_RENAME);
}

void io_link(struct io *io, struct io_op *op, const char *from, const char *to)
{
    struct io_uring_sqe *sqe = io_entry(io, op, IO_KIND_PLAIN);
    io_uring_prep_linkat(sqe, AT_FDCWD, from, AT_FDCWD, to, 0);
    io_entry_end(sqe, op, IO_CALL_RING_LINK);
}

void io_unlink(struct io *io, struct io_op *op, const char *path)
{
    struct io_uring_sqe *sqe = io_entry(io, op, IO_KIND_PLAIN);
    io_uring_prep_unlinkat(sqe, AT_FDCWD, path, 0);
    io_entry_end(sqe, op, IO_CALL_RING_UNLINK);
}

void io_mkdir(struct io *io, struct io_op *op, const char *path)
{
    struct io_uring_sqe *sqe = io_entry(io, op, IO_KIND_PLAIN);
    io_uring_prep_mkdirat(sqe, AT_FDCWD, path, 0750);
    io_entry_end(sqe, op, IO_CALL_RING_MKDIR);
}

void io_close_file(struct io *io, struct io_op *op, int fd)
{
    struct io_uring_sqe *sqe = io_entry(io, op, IO_KIND_PLAIN);
    io_uring_prep_close(sqe, fd);
    io_entry_end(sqe, op, IO_CALL_RING_CLOSE);
}
