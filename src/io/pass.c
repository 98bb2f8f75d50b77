/* Payload between sockets that never comes to our memory: direct calls of splice and tee, and the pipes they need. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "io/engine.h"

enum {
    PIPE_BYTES = 1 << 20,
    PIPE_MIN_BYTES = 64 << 10, /* a smaller one is slower than memory */
    FREE_PIPES_MAX = 16
};

static void pipe_free(struct io_pipe *p)
{
    close(p->read_end);
    close(p->write_end);
    free(p);
}

/* Connections come first: the upper half of the descriptors is theirs. */
static bool leaves_room(int fd)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 && (rlim_t)fd < limit.rlim_cur / 2;
}

static struct io_pipe *pipe_new(void)
{
    int ends[2];
    struct io_pipe *p = malloc(sizeof(*p));
    if (!p || IO_CALL(IO_CALL_PIPE, pipe2(ends, O_CLOEXEC | O_NONBLOCK)) < 0) {
        free(p);
        return NULL;
    }
    /* Past its share of pages a user without privileges keeps the size of the system, and then gets less. */
    int capacity = fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES);
    if (capacity < 0)
        capacity = fcntl(ends[1], F_GETPIPE_SZ);
    *p = (struct io_pipe){
        .read_end = ends[0], .write_end = ends[1], .capacity = capacity > 0 ? (size_t)capacity : 0};
    if (p->capacity < PIPE_MIN_BYTES || !leaves_room(p->read_end) || !leaves_room(p->write_end)) {
        pipe_free(p);
        return NULL;
    }
    return p;
}

struct io_pipe *io_pipe_take(struct io *io)
{
    struct io_pipe *p = io->pipes;
    if (p) {
        io->pipes = p->next;
        io->free_pipe_count--;
        return p;
    }
    if (io->pipe_count >= io->pipes_max)
        return NULL;
    p = pipe_new();
    if (p)
        io->pipe_count++;
    return p;
}

void io_pipe_return(struct io *io, struct io_pipe **pp)
{
    struct io_pipe *p = *pp;
    *pp = NULL;
    if (!p)
        return;
    if (p->bytes > 0 || io->free_pipe_count >= FREE_PIPES_MAX) {
        pipe_free(p);
        io->pipe_count--;
        return;
    }
    p->next = io->pipes;
    io->pipes = p;
    io->free_pipe_count++;
}

void io_pipes_close(struct io *io)
{
    while (io->pipes) {
        struct io_pipe *p = io->pipes;
        io->pipes = p->next;
        pipe_free(p);
    }
}

void io_set_nonblocking(int fd, bool is_nonblocking)
{
    /* Sockets of ours have no other status flag than this one. */
    int done = fcntl(fd, F_SETFL, O_RDWR | (is_nonblocking ? O_NONBLOCK : 0));
    hilum_assert(done == 0);
}

static enum io_passing passing(ssize_t n, size_t *n_out)
{
    *n_out = n > 0 ? (size_t)n : 0;
    if (n > 0)
        return IO_PASSED;
    if (n == 0)
        return IO_PASS_END;
    return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? IO_MUST_WAIT : IO_PASS_ERROR;
}

enum io_passing io_pass_in(struct io_pipe *p, int fd, size_t max, size_t *n_out)
{
    ssize_t n = IO_MOVE(IO_CALL_SPLICE_IN, max,
                        splice(fd, NULL, p->write_end, NULL, max, SPLICE_F_MOVE | SPLICE_F_NONBLOCK));
    enum io_passing how = passing(n, n_out);
    p->bytes += *n_out;
    return how;
}

enum io_passing io_copy_in(struct io_pipe *p, int fd, size_t max, size_t *n_out)
{
    uint8_t bytes[4096];
    hilum_assert(p->bytes == 0);
    size_t len = max < sizeof(bytes) ? max : sizeof(bytes);
    enum io_passing how =
        passing(IO_MOVE(IO_CALL_RECEIVE_NOW, len, recv(fd, bytes, len, MSG_DONTWAIT)), n_out);
    if (*n_out == 0)
        return how;
    len = *n_out; /* a page, into an empty pipe: all of it or an error */
    ssize_t written = IO_MOVE(IO_CALL_PIPE_WRITE, len, write(p->write_end, bytes, len));
    p->bytes = written > 0 ? (size_t)written : 0;
    return p->bytes == *n_out ? IO_PASSED : IO_PASS_ERROR;
}

enum io_passing io_pass_out(struct io_pipe *p, int fd, size_t max, bool more, size_t *n_out)
{
    unsigned flags = SPLICE_F_MOVE | SPLICE_F_NONBLOCK | (more ? SPLICE_F_MORE : 0);
    ssize_t n = IO_MOVE(IO_CALL_SPLICE_OUT, max, splice(p->read_end, NULL, fd, NULL, max, flags));
    enum io_passing how = passing(n, n_out);
    p->bytes -= *n_out;
    return how;
}

bool io_pass_copy(struct io_pipe *from, struct io_pipe *to)
{
    hilum_assert(to->bytes == 0);
    size_t len = from->bytes;
    ssize_t n = IO_MOVE(IO_CALL_TEE, len, tee(from->read_end, to->write_end, len, SPLICE_F_NONBLOCK));
    to->bytes = n > 0 ? (size_t)n : 0;
    return to->bytes == from->bytes;
}

enum io_passing io_send_now(int fd, const void *bytes, size_t len, bool more, size_t *n_out)
{
    int flags = MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0);
    return passing(IO_MOVE(IO_CALL_SEND_NOW, len, send(fd, bytes, len, flags)), n_out);
}

enum io_passing io_receive_now(int fd, void *to, size_t len, size_t *n_out)
{
    return passing(IO_MOVE(IO_CALL_RECEIVE_NOW, len, recv(fd, to, len, MSG_DONTWAIT)), n_out);
}
