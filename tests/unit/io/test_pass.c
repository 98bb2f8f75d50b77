/* Pipes between sockets: in, out, copies, waiting, peers that go, limits of the system. */
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/capability.h>

#include "../loop.h"
#include "base/clock.h"

enum { MIB = 1 << 20, KIB = 1 << 10, MOST = 16 * MIB };

/* Connections whose one end is "ours" (non-blocking, as while bytes pass) and whose other end is the peer's. */
struct lines {
    struct loop loop;
    int ours[3], peers[3];
    size_t sent[3], came[3]; /* by the peers */
    struct io_op op;
    unsigned completions;
    enum io_error error;
};

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 31 + i / 253);
}

static void connect_pair(int *one, int *two)
{
    loop_connect_pair(one, two);
    io_set_nonblocking(*one, true);
    io_set_nonblocking(*two, true);
}

static void on_done(struct io_op *op, enum io_error error, int64_t n)
{
    struct lines *t = op->owner;
    (void)n;
    t->completions++;
    t->error = error;
}

static int set_up(void **state)
{
    struct lines *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    loop_open(&t->loop, 16 << 20);
    for (unsigned i = 0; i < 3; i++)
        connect_pair(&t->ours[i], &t->peers[i]);
    t->op = (struct io_op){.on_done = on_done, .owner = t};
    *state = t;
    return 0;
}

static void close_peer(struct lines *t, unsigned i, bool resets)
{
    struct linger linger = {.l_onoff = 1};
    if (resets)
        setsockopt(t->peers[i], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    close(t->peers[i]);
    t->peers[i] = -1;
}

static int tear_down(void **state)
{
    struct lines *t = *state;
    for (unsigned i = 0; i < 3; i++) {
        close(t->ours[i]);
        if (t->peers[i] >= 0)
            close(t->peers[i]);
    }
    loop_close(&t->loop);
    free(t);
    return 0;
}

/* What the peer's socket takes of n bytes. */
static size_t peer_sends(struct lines *t, unsigned i, size_t n)
{
    static uint8_t bytes[64 * KIB];
    size_t total = 0;
    while (total < n) {
        size_t some = n - total < sizeof(bytes) ? n - total : sizeof(bytes);
        for (size_t k = 0; k < some; k++)
            bytes[k] = byte_at(t->sent[i] + k);
        ssize_t sent = send(t->peers[i], bytes, some, MSG_NOSIGNAL);
        if (sent <= 0)
            break;
        total += (size_t)sent;
        t->sent[i] += (size_t)sent;
    }
    return total;
}

/* What is there, which must be what was sent on line 0. */
static size_t peer_reads(struct lines *t, unsigned i)
{
    static uint8_t bytes[256 * KIB];
    size_t total = 0;
    ssize_t n;
    while ((n = recv(t->peers[i], bytes, sizeof(bytes), 0)) > 0) {
        for (ssize_t k = 0; k < n; k++)
            assert_int_equal(bytes[k], byte_at(t->came[i] + (size_t)k));
        t->came[i] += (size_t)n;
        total += (size_t)n;
    }
    return total;
}

static void wait_for(struct lines *t, int fd, enum io_readiness readiness)
{
    unsigned before = t->completions;
    io_poll(t->loop.io, &t->op, fd, readiness);
    LOOP_UNTIL(&t->loop, t->completions > before);
    assert_int_equal(t->error, IO_NONE);
}

static size_t pass_in(struct lines *t, struct io_pipe *p, size_t max)
{
    size_t n, before = p->bytes;
    wait_for(t, t->ours[0], IO_READABLE);
    assert_int_equal(io_pass_in(p, t->ours[0], max, &n), IO_PASSED);
    assert_in_range(n, 1, max);
    assert_int_equal(p->bytes, before + n);
    return n;
}

static void pass_out(struct lines *t, struct io_pipe *p, unsigned to)
{
    uint64_t until = clock_ms() + 20000;
    while (p->bytes > 0) {
        size_t n, before = p->bytes;
        enum io_passing how = io_pass_out(p, t->ours[to], p->bytes, false, &n);
        assert_true(how == IO_PASSED || how == IO_MUST_WAIT);
        assert_int_equal(p->bytes, before - n);
        if (how == IO_MUST_WAIT)
            peer_reads(t, to);
        assert_true(clock_ms() < until);
    }
}

/* --- moving ------------------------------------------------------------------------------------------------ */

static void bytes_pass_in_order_whatever_the_portions(void **state)
{
    struct lines *t = *state;
    static const size_t portions[] = {1, 2, 12, 4095, 4096, 4097, 65536, 100001, MIB, MOST};
    struct io_pipe *p = io_pipe_take(t->loop.io);
    assert_non_null(p);
    assert_in_range(p->capacity, 64 * KIB, MIB);
    for (unsigned i = 0; t->came[0 + 1] < 8 * MIB; i++) {
        peer_sends(t, 0, 300001);
        pass_in(t, p, portions[i % 10]);
        assert_true(p->bytes <= p->capacity);
        pass_out(t, p, 1);
        peer_reads(t, 1);
    }
    io_pipe_return(t->loop.io, &p);
    assert_null(p);
}

static void a_few_bytes_from_memory_stand_where_they_were_put(void **state)
{
    struct lines *t = *state;
    struct io_pipe *p = io_pipe_take(t->loop.io);
    uint8_t bytes[32], head[4];
    size_t n;
    assert_int_equal(peer_sends(t, 0, 20), 20);
    wait_for(t, t->ours[0], IO_READABLE);
    assert_int_equal(io_receive_now(t->ours[0], head, 4, &n), IO_PASSED);
    assert_int_equal(n, 4);
    assert_int_equal(head[3], byte_at(3));
    assert_int_equal(pass_in(t, p, 6), 6);
    assert_int_equal(io_send_now(t->ours[1], "<", 1, true, &n), IO_PASSED);
    assert_int_equal(io_pass_out(p, t->ours[1], 4, true, &n), IO_PASSED);
    assert_int_equal(io_send_now(t->ours[1], "|", 1, true, &n), IO_PASSED);
    assert_int_equal(io_pass_out(p, t->ours[1], 2, true, &n), IO_PASSED);
    assert_int_equal(io_send_now(t->ours[1], ">", 1, false, &n), IO_PASSED);
    size_t came = 0;
    uint64_t until = clock_ms() + 20000;
    while (came < 9 && clock_ms() < until) {
        ssize_t some = recv(t->peers[1], bytes + came, sizeof(bytes) - came, 0);
        came += some > 0 ? (size_t)some : 0;
    }
    assert_int_equal(came, 9);
    assert_true(bytes[0] == '<' && bytes[5] == '|' && bytes[8] == '>');
    assert_true(bytes[1] == byte_at(4) && bytes[4] == byte_at(7) && bytes[6] == byte_at(8));
    io_pipe_return(t->loop.io, &p);
}

static void copies_are_equal_and_leave_what_they_were_made_of(void **state)
{
    struct lines *t = *state;
    struct io_pipe *p = io_pipe_take(t->loop.io), *copy = io_pipe_take(t->loop.io);
    while (t->came[1] < 4 * MIB) {
        peer_sends(t, 0, 700001);
        pass_in(t, p, p->capacity);
        assert_true(io_pass_copy(p, copy));
        assert_int_equal(copy->bytes, p->bytes);
        pass_out(t, p, 1);
        pass_out(t, copy, 2);
        peer_reads(t, 1);
        peer_reads(t, 2);
    }
    uint64_t until = clock_ms() + 20000;
    while (t->came[1] != t->came[2] && clock_ms() < until) {
        peer_reads(t, 1);
        peer_reads(t, 2);
    }
    assert_int_equal(t->came[1], t->came[2]);
    io_pipe_return(t->loop.io, &p);
    io_pipe_return(t->loop.io, &copy);
}

/* What came in tiny segments may take a slot of the pipe each: a pipe that has fewer has no room for the copy. */
static void a_copy_that_does_not_fit_is_said_so(void **state)
{
    struct lines *t = *state;
    struct io_pipe *p = io_pipe_take(t->loop.io), *small = io_pipe_take(t->loop.io);
    assert_true(fcntl(small->write_end, F_SETPIPE_SZ, 4096) >= 4096);
    while (p->bytes < 32 * KIB) {
        peer_sends(t, 0, 16 * KIB);
        pass_in(t, p, p->capacity - p->bytes);
    }
    assert_false(io_pass_copy(p, small));
    assert_true(small->bytes < p->bytes);
    io_pipe_return(t->loop.io, &small); /* not empty: it goes */
    pass_out(t, p, 1);
    io_pipe_return(t->loop.io, &p);
}

/* --- waiting ----------------------------------------------------------------------------------------------- */

static void nothing_waits_and_poll_tells_when_it_goes_on(void **state)
{
    struct lines *t = *state;
    struct io_pipe *p = io_pipe_take(t->loop.io);
    uint8_t byte;
    size_t n = 7;
    assert_int_equal(io_pass_in(p, t->ours[0], MIB, &n), IO_MUST_WAIT); /* nothing is there */
    assert_int_equal(n, 0);
    assert_int_equal(io_receive_now(t->ours[0], &byte, 1, &n), IO_MUST_WAIT);
    enum io_passing how = IO_PASSED;
    while (how == IO_PASSED) { /* the destination reads nothing */
        if (p->bytes == 0) {
            peer_sends(t, 0, MIB);
            pass_in(t, p, MIB);
        }
        how = io_pass_out(p, t->ours[1], p->bytes, false, &n);
    }
    assert_int_equal(how, IO_MUST_WAIT);
    assert_int_equal(n, 0);
    assert_true(p->bytes > 0);
    uint8_t much[64 * KIB] = {0};
    assert_int_equal(io_send_now(t->ours[1], much, sizeof(much), false, &n), IO_MUST_WAIT);

    unsigned before = t->completions, wakes = t->loop.wakes;
    io_poll(t->loop.io, &t->op, t->ours[1], IO_WRITABLE);
    LOOP_UNTIL(&t->loop, t->loop.wakes > wakes + 1);
    assert_int_equal(t->completions, before);
    LOOP_UNTIL(&t->loop, (peer_reads(t, 1), t->completions > before));
    assert_int_equal(io_pass_out(p, t->ours[1], p->bytes, false, &n), IO_PASSED);
    pass_out(t, p, 1);
    io_pipe_return(t->loop.io, &p);
}

static void a_poll_can_be_cancelled(void **state)
{
    struct lines *t = *state;
    io_poll(t->loop.io, &t->op, t->ours[0], IO_READABLE);
    loop_turn(&t->loop);
    io_cancel(t->loop.io, &t->op);
    LOOP_UNTIL(&t->loop, t->completions);
    assert_int_equal(t->error, IO_CANCELLED);
    io_cancel(t->loop.io, &t->op); /* there is nothing to cancel any more */
    io_poll(t->loop.io, &t->op, t->ours[0], IO_READABLE);
    assert_int_equal(peer_sends(t, 0, 1), 1);
    LOOP_UNTIL(&t->loop, t->completions == 2);
    assert_int_equal(t->error, IO_NONE);
}

/* An operation that waits in the ring is none the worse for a turn in which its socket does not wait. */
static void a_pending_receive_outlives_a_non_blocking_turn(void **state)
{
    struct lines *t = *state;
    uint8_t bytes[16];
    io_set_nonblocking(t->ours[0], false);
    io_read(t->loop.io, &t->op, t->ours[0], bytes, sizeof(bytes), 0);
    loop_turn(&t->loop);
    io_set_nonblocking(t->ours[0], true);
    unsigned wakes = t->loop.wakes;
    LOOP_UNTIL(&t->loop, t->loop.wakes > wakes + 1);
    assert_int_equal(t->completions, 0);
    io_set_nonblocking(t->ours[0], false);
    assert_int_equal(fcntl(t->ours[0], F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(peer_sends(t, 0, 5), 5);
    LOOP_UNTIL(&t->loop, t->completions);
    assert_int_equal(t->error, IO_NONE);
}

/* --- peers that go ----------------------------------------------------------------------------------------- */

static void the_end_comes_after_the_last_byte(void **state)
{
    struct lines *t = *state;
    struct io_pipe *p = io_pipe_take(t->loop.io);
    uint8_t byte;
    size_t n;
    assert_int_equal(peer_sends(t, 0, 1000), 1000);
    close_peer(t, 0, false);
    while (p->bytes < 1000)
        pass_in(t, p, 400);
    wait_for(t, t->ours[0], IO_READABLE); /* the end is something to read */
    assert_int_equal(io_pass_in(p, t->ours[0], 400, &n), IO_PASS_END);
    assert_int_equal(io_receive_now(t->ours[0], &byte, 1, &n), IO_PASS_END);
    assert_int_equal(p->bytes, 1000);
    pass_out(t, p, 1);
    io_pipe_return(t->loop.io, &p);
}

static void a_broken_connection_is_an_error_either_way(void **state)
{
    struct lines *t = *state;
    struct io_pipe *p = io_pipe_take(t->loop.io);
    size_t n;
    assert_int_equal(peer_sends(t, 0, 1000), 1000);
    pass_in(t, p, 1000);
    close_peer(t, 1, true);
    wait_for(t, t->ours[1], IO_WRITABLE);
    wait_for(t, t->ours[1], IO_READABLE);
    assert_int_equal(io_pass_out(p, t->ours[1], p->bytes, false, &n), IO_PASS_ERROR);
    assert_int_equal(io_pass_out(p, t->ours[1], p->bytes, false, &n), IO_PASS_ERROR);
    assert_int_equal(io_send_now(t->ours[1], "x", 1, false, &n), IO_PASS_ERROR);
    assert_int_equal(n, 0);
    assert_int_equal(p->bytes, 1000); /* still there */
    close_peer(t, 0, true);
    wait_for(t, t->ours[0], IO_READABLE);
    assert_int_equal(io_pass_in(p, t->ours[0], 1000, &n), IO_PASS_ERROR);
    io_pipe_return(t->loop.io, &p);
    assert_null(p);
}

/* --- pipes ------------------------------------------------------------------------------------------------- */

static unsigned open_descriptors(void)
{
    unsigned count = 0;
    for (int fd = 0; fd < 2000; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void empty_pipes_are_used_again_and_others_go(void **state)
{
    struct lines *t = *state;
    unsigned before = open_descriptors();
    struct io_pipe *p = io_pipe_take(t->loop.io);
    const struct io_pipe *same = p;
    assert_int_equal(open_descriptors(), before + 2);
    io_pipe_return(t->loop.io, &p);
    assert_int_equal(open_descriptors(), before + 2);
    p = io_pipe_take(t->loop.io);
    assert_ptr_equal(p, same);
    peer_sends(t, 0, 100);
    pass_in(t, p, 100);
    io_pipe_return(t->loop.io, &p);
    assert_int_equal(open_descriptors(), before); /* what is in it is nobody's */
    p = io_pipe_take(t->loop.io);
    assert_int_equal(p->bytes, 0);
    io_pipe_return(t->loop.io, &p);
    io_pipe_return(t->loop.io, &p); /* of none */
}

static void there_are_as_many_as_allowed_and_few_are_kept(void **state)
{
    struct lines *t = *state;
    static struct io_pipe *all[IO_PIPES_MAX];
    unsigned before = open_descriptors();
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < IO_PIPES_MAX; i++) {
            all[i] = io_pipe_take(t->loop.io);
            assert_non_null(all[i]);
        }
        assert_null(io_pipe_take(t->loop.io));
        for (unsigned i = 0; i < IO_PIPES_MAX; i++)
            io_pipe_return(t->loop.io, &all[i]);
        assert_in_range(open_descriptors(), before + 2, before + 2 * 16);
    }
}

static void limit_descriptors(rlim_t n)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = n;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* In a process of its own, since what is limited is the process. */
static void in_a_child(void (*work)(struct io *io), struct io *io)
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        work(io);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void with_few_descriptors(struct io *io)
{
    enum { LIMIT = 100 };
    unsigned count = 0;
    struct io_pipe *p;
    limit_descriptors(LIMIT);
    for (; (p = io_pipe_take(io)); count++)
        if (p->read_end >= LIMIT / 2 || p->write_end >= LIMIT / 2)
            _exit(1);
    if (count == 0 || count >= LIMIT / 4)
        _exit(2);
    for (unsigned i = 0; i < LIMIT / 2 - 10; i++) /* the others are there */
        if (dup(0) < 0)
            _exit(3);
}

static void half_of_the_descriptors_are_not_for_pipes(void **state)
{
    struct lines *t = *state;
    in_a_child(with_few_descriptors, t->loop.io);
}

/* CAP_SYS_RESOURCE and CAP_SYS_ADMIN stand above the limits of pipes. */
static void drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2];
    memset(none, 0, sizeof(none));
    if (syscall(SYS_capset, &header, none) != 0)
        _exit(1);
}

/* 64 MiB of pipe pages are a user's share by default, far less than IO_PIPES_MAX of 1 MiB: first they shrink to the size of the system, in
 * the end to one or two pages, which are of no use. */
static void without_privileges(struct io *io)
{
    static struct io_pipe *all[IO_PIPES_MAX];
    size_t least = SIZE_MAX;
    drop_capabilities();
    for (unsigned i = 0; i < IO_PIPES_MAX; i++) {
        all[i] = io_pipe_take(io);
        if (all[i] && all[i]->capacity < least)
            least = all[i]->capacity;
        if (all[i] && all[i]->bytes != 0)
            _exit(2);
    }
    if (least < 64 * KIB)
        _exit(3);
}

static void a_user_past_his_share_gets_smaller_pipes_or_none(void **state)
{
    struct lines *t = *state;
    in_a_child(without_privileges, t->loop.io);
}

int main(void)
{
#define PASS_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        PASS_TEST(bytes_pass_in_order_whatever_the_portions),
        PASS_TEST(a_few_bytes_from_memory_stand_where_they_were_put),
        PASS_TEST(copies_are_equal_and_leave_what_they_were_made_of),
        PASS_TEST(a_copy_that_does_not_fit_is_said_so),
        PASS_TEST(nothing_waits_and_poll_tells_when_it_goes_on),
        PASS_TEST(a_poll_can_be_cancelled),
        PASS_TEST(a_pending_receive_outlives_a_non_blocking_turn),
        PASS_TEST(the_end_comes_after_the_last_byte),
        PASS_TEST(a_broken_connection_is_an_error_either_way),
        PASS_TEST(empty_pipes_are_used_again_and_others_go),
        PASS_TEST(there_are_as_many_as_allowed_and_few_are_kept),
        PASS_TEST(half_of_the_descriptors_are_not_for_pipes),
        PASS_TEST(a_user_past_his_share_gets_smaller_pipes_or_none),
    };
    signal(SIGPIPE, SIG_IGN); /* as the gateway does: splice knows no MSG_NOSIGNAL */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
