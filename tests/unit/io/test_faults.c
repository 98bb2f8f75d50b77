/* The seam: what an operation or a call is told instead of what the system says. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/engine.h"
#include "operation.h"

enum { SMALL = 100, PIECE = 30 };

static int seam_tear_down(void **state)
{
    assert_true(io_set_faults(NULL));
    return tear_down(state);
}

#define SEAM_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, seam_tear_down)

static void pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
}

static void close_pair(int fds[2])
{
    io_close(fds[0]);
    io_close(fds[1]);
}

static void send_bytes(struct loop *l, struct done *d, int fd, size_t piece)
{
    struct slices queue = {0};
    done_init(d);
    queue_bytes(l, &queue, 0, SMALL, piece);
    io_send(l->io, &d->op, fd, &queue);
    await(l, d);
    slices_clear(&queue);
}

static void a_send_is_short_by_as_much_as_was_ordered(void **state)
{
    static const struct {
        const char *faults;
        size_t piece;
        int64_t n;
    } cases[] = {
        {"send:1:short=1", SMALL, 1},           /* one slice */
        {"send:1:short", SMALL, SMALL / 2},     /* half of it */
        {"send:1:short=1", PIECE, 1},           /* a vector, cut in its first part */
        {"send:1:short=30", PIECE, 30},         /* at its end */
        {"send:1:short=61", PIECE, 61},         /* in its third */
        {"send:1:short=1000", PIECE, SMALL},    /* more than there is */
        {"send:2:short=1", PIECE, SMALL},       /* the next one */
        {"receive:1:short=1", PIECE, SMALL},    /* another kind */
        {"send:1:short=7,send:1:EIO", SMALL, 7} /* the first that is said */
    };
    struct loop *l = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct done d;
        int fds[2];
        uint8_t bytes[SMALL + 1];
        pair(fds);
        assert_true(io_set_faults(cases[i].faults));
        send_bytes(l, &d, fds[0], cases[i].piece);
        assert_int_equal(d.error, IO_NONE);
        if (d.n != cases[i].n)
            fail_msg("%s: %d bytes", cases[i].faults, (int)d.n);
        assert_int_equal(recv(fds[1], bytes, sizeof(bytes), MSG_DONTWAIT), d.n); /* no more went out */
        for (int64_t k = 0; k < d.n; k++)
            assert_int_equal(bytes[k], byte_at((size_t)k));
        close_pair(fds);
    }
}

static void what_fails_is_not_done_and_says_why(void **state)
{
    static const struct {
        const char *faults, *text;
        enum io_error error;
    } cases[] = {
        {"send:1:EPIPE", "Broken pipe", IO_RESET},
        {"send:1:ENOMEM", "Cannot allocate memory", IO_OTHER},
        {"send:1-9:ECONNRESET", "Connection reset by peer", IO_RESET},
        {"send:1+:ENOBUFS", "No buffer space available", IO_OTHER},
    };
    struct loop *l = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct done d;
        int fds[2];
        uint8_t byte;
        pair(fds);
        assert_true(io_set_faults(cases[i].faults));
        send_bytes(l, &d, fds[0], i % 2 ? PIECE : SMALL);
        assert_int_equal(d.error, cases[i].error);
        assert_string_equal(io_op_error_text(&d.op), cases[i].text);
        assert_int_equal(recv(fds[1], &byte, 1, MSG_DONTWAIT), -1);
        assert_true(io_set_faults("send:1000:EIO")); /* the seam is on, and this one is let be */
        send_bytes(l, &d, fds[0], SMALL);
        assert_int_equal(d.error, IO_NONE);
        assert_int_equal(d.n, SMALL);
        close_pair(fds);
    }
}

static void a_receive_fails_is_short_or_ends_and_the_bytes_stay(void **state)
{
    struct loop *l = *state;
    struct done d, sent;
    int fds[2];
    pair(fds);
    send_bytes(l, &sent, fds[1], SMALL);
    assert_true(io_set_faults("receive:1:ECONNRESET,receive:2:end,receive:3:ENOBUFS,receive:4:short=1"));
    done_init(&d);
    d.io = l->io;
    io_receive(l->io, &d.op, fds[0], 10 * BUF_BYTES);
    await(l, &d);
    assert_int_equal(d.error, IO_RESET);
    io_receive(l->io, &d.op, fds[0], 10 * BUF_BYTES);
    await(l, &d);
    assert_int_equal(d.error, IO_NONE);
    assert_int_equal(d.n, 0);
    io_receive(l->io, &d.op, fds[0], 10 * BUF_BYTES);
    await(l, &d);
    assert_int_equal(d.error, IO_NO_BUFFERS);         /* as if all were lent */
    io_receive(l->io, &d.op, fds[0], 10 * BUF_BYTES); /* a bundle, else */
    await(l, &d);
    assert_int_equal(d.error, IO_NONE);
    assert_int_equal(d.n, 1);
    io_receive(l->io, &d.op, fds[0], 10 * BUF_BYTES);
    await(l, &d);
    assert_int_equal(d.n, SMALL - 1);
    assert_int_equal(d.received.bytes, SMALL);
    assert_bytes(&d.received, 0);
    slices_clear(&d.received);
    close_pair(fds);
}

static void files_of_the_ring_have_faults_of_their_own(void **state)
{
    struct loop *l = *state;
    struct done d;
    char path[] = "/tmp/hilum-faults-XXXXXX", other[64], folder[64];
    struct slices queue = {0};
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    snprintf(other, sizeof(other), "%s.other", path);
    snprintf(folder, sizeof(folder), "%s.folder", path);
    queue_bytes(l, &queue, 0, SMALL, PIECE);
    assert_true(
        io_set_faults("ring-open:1:EMFILE,ring-write:1:ENOSPC,ring-write:2:short=31,ring-fdatasync:1:EIO,"
                      "ring-fsync:1:EROFS,ring-rename:1:EINVAL,ring-link:1:EDQUOT,ring-unlink:1:ENOENT,"
                      "ring-mkdir:1:EEXIST,ring-read:1:short=2,ring-read:2:EIO"));
    done_init(&d);
#define GIVES(call, expected_error, expected_n)                                                              \
    do {                                                                                                     \
        call;                                                                                                \
        await(l, &d);                                                                                        \
        assert_int_equal(d.error, expected_error);                                                           \
        if (d.error == IO_NONE)                                                                              \
            assert_int_equal(d.n, expected_n);                                                               \
    } while (0)
    char bytes[8];
    GIVES(io_open(l->io, &d.op, path, IO_OPEN_READ), IO_OTHER, 0);
    GIVES(io_write(l->io, &d.op, fd, &queue, 0), IO_NO_SPACE, 0);
    GIVES(io_write(l->io, &d.op, fd, &queue, 0), IO_NONE, 31);
    assert_int_equal(lseek(fd, 0, SEEK_END), 31);
    GIVES(io_write(l->io, &d.op, fd, &queue, 0), IO_NONE, SMALL);
    GIVES(io_read(l->io, &d.op, fd, bytes, 8, 0), IO_NONE, 2);
    GIVES(io_read(l->io, &d.op, fd, bytes, 8, 0), IO_OTHER, 0);
    GIVES(io_fdatasync(l->io, &d.op, fd), IO_OTHER, 0);
    GIVES(io_fsync(l->io, &d.op, fd), IO_OTHER, 0);
    GIVES(io_rename_new(l->io, &d.op, path, other), IO_UNSUPPORTED, 0);
    GIVES(io_link(l->io, &d.op, path, other), IO_NO_SPACE, 0);
    assert_int_equal(access(other, F_OK), -1);
    GIVES(io_unlink(l->io, &d.op, path), IO_NOT_FOUND, 0);
    assert_int_equal(access(path, F_OK), 0);
    GIVES(io_mkdir(l->io, &d.op, folder), IO_EXISTS, 0);
    assert_int_equal(access(folder, F_OK), -1);
    assert_true(io_set_faults("ring-close:1:EIO"));
    GIVES(io_close_file(l->io, &d.op, fd), IO_OTHER, 0);
    assert_int_equal(fcntl(fd, F_GETFD), -1); /* the kernel closes it, whatever it says */
    GIVES(io_unlink(l->io, &d.op, path), IO_NONE, 0);
    slices_clear(&queue);
}

static void an_accept_that_fails_leaves_the_connection_to_the_next(void **state)
{
    struct loop *l = *state;
    struct done d, c;
    uint16_t port;
    int fd, peer;
    char why[64];
    struct io_address to;
    assert_int_equal(io_listen("127.0.0.1", 0, 0, &fd, &port, why, sizeof(why)), OK);
    assert_true(io_local_address(fd, &to));
    assert_true(io_set_faults("accept:1:EMFILE,accept:2:ECONNABORTED,connect:1:ETIMEDOUT,socket:1:EMFILE"));
    assert_int_equal(io_socket(&to, NULL), -1);
    peer = io_socket(&to, NULL);
    done_init(&c);
    done_init(&d);
    io_connect(l->io, &c.op, peer, &to);
    await(l, &c);
    assert_int_equal(c.error, IO_RESET);
    io_connect(l->io, &c.op, peer, &to);
    await(l, &c);
    assert_int_equal(c.error, IO_NONE);
    for (unsigned i = 0; i < 2; i++) {
        io_accept(l->io, &d.op, fd);
        await(l, &d);
        assert_int_equal(d.error, i == 0 ? IO_OTHER : IO_RESET); /* that one has gone: the next, at once */
    }
    io_accept(l->io, &d.op, fd);
    await(l, &d);
    assert_int_equal(d.error, IO_NONE);
    io_close((int)d.n);
    io_close(peer);
    io_close(fd);
}

static void calls_that_pass_bytes_by_are_cut_wait_or_break(void **state)
{
    static const struct {
        const char *faults;
        enum io_passing in, out;
        size_t n_in, n_out;
    } cases[] = {
        {"splice-in:1:short=1", IO_PASSED, IO_PASSED, 1, 1},
        {"splice-in:1:EAGAIN", IO_MUST_WAIT, IO_MUST_WAIT, 0, 0},
        {"splice-in:1:end", IO_PASS_END, IO_MUST_WAIT, 0, 0},
        {"splice-in:1:EINVAL", IO_PASS_ERROR, IO_MUST_WAIT, 0, 0},
        {"splice-out:1:short=3", IO_PASSED, IO_PASSED, SMALL, 3},
        {"splice-out:1:EPIPE", IO_PASSED, IO_PASS_ERROR, SMALL, 0},
        {"splice-out:1:EAGAIN", IO_PASSED, IO_MUST_WAIT, SMALL, 0},
    };
    struct loop *l = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct done d;
        int from[2], to[2];
        size_t n;
        pair(from);
        pair(to);
        send_bytes(l, &d, from[0], SMALL);
        struct io_pipe *p = io_pipe_take(l->io);
        assert_non_null(p);
        assert_true(io_set_faults(cases[i].faults));
        assert_int_equal(io_pass_in(p, from[1], SMALL, &n), cases[i].in);
        assert_int_equal(n, cases[i].n_in);
        assert_int_equal(p->bytes, n);
        if (n > 0) {
            assert_int_equal(io_pass_out(p, to[0], p->bytes, false, &n), cases[i].out);
            assert_int_equal(n, cases[i].n_out);
        }
        io_pipe_return(l->io, &p);
        close_pair(from);
        close_pair(to);
    }
}

static void a_ring_that_refuses_to_turn_goes_on_with_the_next_turn(void **state)
{
    struct loop *l = *state;
    struct done d;
    int fds[2];
    pair(fds);
    assert_true(io_set_faults("enter:1:EINTR,enter:2:EAGAIN,enter:3:EBUSY"));
    send_bytes(l, &d, fds[0], SMALL);
    assert_int_equal(d.n, SMALL);
    close_pair(fds);
}

static void a_ring_that_cannot_be_made_says_why(void **state)
{
    static const char *const faults[] = {"setup:1:EMFILE", "register:1:ENOMEM", "eventfd:1:EMFILE"};
    struct loop *l = *state;
    if (fcntl(0, F_GETFD) < 0)
        assert_int_equal(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct io *io = NULL;
        char why[128] = "";
        assert_true(io_set_faults(faults[i]));
        assert_int_equal(io_new(&(struct io_options){.pool = &l->pool}, &io, why, sizeof(why)), ERR_IO);
        assert_null(io);
        assert_true(why[0] != '\0');
        assert_true(fcntl(0, F_GETFD) >= 0); /* a descriptor that was never made is not closed */
    }
}

static void faults_of_the_ring_that_cannot_be_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"send:1:end",        "accept:1:short", "send:1:skip",
                                        "send:1:short=0",    "send:1:short=",  "send:1:short=5x",
                                        "send:3-2:EIO",      "send:1-:EIO",    "ring-open:1:late",
                                        "ring-write:1:torn", "close:1:EIO",    "open:1:short"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (io_set_faults(wrong[i]))
            fail_msg("\"%s\" was read", wrong[i]);
    assert_true(io_set_faults("send:1-3:EPIPE,tee:2+:short=7,receive:4:end,write:1:short=9"));
    assert_true(io_set_faults(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SEAM_TEST(a_send_is_short_by_as_much_as_was_ordered),
        SEAM_TEST(what_fails_is_not_done_and_says_why),
        SEAM_TEST(a_receive_fails_is_short_or_ends_and_the_bytes_stay),
        SEAM_TEST(files_of_the_ring_have_faults_of_their_own),
        SEAM_TEST(an_accept_that_fails_leaves_the_connection_to_the_next),
        SEAM_TEST(calls_that_pass_bytes_by_are_cut_wait_or_break),
        SEAM_TEST(a_ring_that_refuses_to_turn_goes_on_with_the_next_turn),
        SEAM_TEST(a_ring_that_cannot_be_made_says_why),
        cmocka_unit_test(faults_of_the_ring_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
