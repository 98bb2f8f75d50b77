/* Connections through the ring: bytes that come and go, and the buffers they come in. */
#include <arpa/inet.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "operation.h"

/* Two ends of a connection over the loopback, made through the ring. */
static void connect_pair(struct loop *l, int *client, int *server)
{
    char why[128];
    int listener;
    uint16_t port;
    struct done accepted, connected;
    struct io_address to = {.len = sizeof(struct sockaddr_in)};
    struct sockaddr_in *in = (struct sockaddr_in *)&to.at;
    done_init(&accepted);
    done_init(&connected);
    assert_int_equal(io_listen("127.0.0.1", 0, 0, &listener, &port, why, sizeof(why)), OK);
    assert_int_not_equal(port, 0);
    int room = 1 << 20; /* as far as the system lets; inherited by what is accepted */
    assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)), 0);
    *in = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    *client = io_socket(&to, NULL);
    assert_true(*client >= 0);
    io_accept(l->io, &accepted.op, listener);
    io_connect(l->io, &connected.op, *client, &to);
    LOOP_UNTIL(l, accepted.count && connected.count);
    assert_int_equal(accepted.error, IO_NONE);
    assert_int_equal(connected.error, IO_NONE);
    *server = (int)accepted.n;

    struct io_address ours, theirs;
    char a[64], b[64];
    assert_true(io_local_address(*client, &ours));
    assert_true(io_peer_address(*server, &theirs));
    io_address_text(&ours, true, a);
    io_address_text(&theirs, true, b);
    assert_string_equal(a, b);
    assert_memory_equal(a, "127.0.0.1:", 10);
    io_close(listener);
}

static void bytes_cross_the_loopback(struct loop *l, size_t len, size_t piece, size_t receive_max)
{
    int client, server;
    struct slices queue = {0};
    struct done sent, received;
    size_t came = 0;
    done_init(&sent);
    done_init(&received);
    received.io = l->io;
    connect_pair(l, &client, &server);
    queue_bytes(l, &queue, 0, len, piece);
    while (came < len) {
        if (!sent.op.is_pending && queue.bytes > 0)
            io_send(l->io, &sent.op, client, &queue);
        if (!received.op.is_pending)
            io_receive(l->io, &received.op, server, receive_max);
        unsigned sends = sent.count, receives = received.count;
        LOOP_UNTIL(l, sent.count > sends || received.count > receives);
        if (sent.count > sends) {
            assert_int_equal(sent.error, IO_NONE);
            slices_consume(&queue, (size_t)sent.n);
        }
        if (received.count > receives && received.error != IO_NO_BUFFERS) {
            assert_int_equal(received.error, IO_NONE);
            assert_true(received.n > 0 && (size_t)received.n <= receive_max);
            assert_int_equal(received.received.bytes, received.n);
            assert_bytes(&received.received, came);
            came += (size_t)received.n;
        }
    }
    assert_int_equal(came, len);
    if (sent.op.is_pending)
        await(l, &sent);
    slices_clear(&queue);
    io_shutdown_send(client);
    io_receive(l->io, &received.op, server, receive_max);
    await(l, &received);
    assert_int_equal(received.error, IO_NONE);
    assert_int_equal(received.n, 0); /* the end */
    io_close(client);
    io_close(server);
}

static void bytes_arrive_as_they_were_sent(void **state)
{
    struct loop *l = *state;
    bytes_cross_the_loopback(l, 1, 1, 1);
    bytes_cross_the_loopback(l, 5000, 7, 100);        /* more slices than one send takes; small receives */
    bytes_cross_the_loopback(l, 300001, 1000, 70000); /* over one buffer's size */
    bytes_cross_the_loopback(l, 5000003, 65000, SIZE_MAX / 2);
}

static void a_receive_may_fill_several_buffers(void **state)
{
    struct loop *l = *state;
    int client, server;
    struct slices queue = {0};
    struct done sent, received;
    enum { LEN = 3 * BUF_BYTES + 100 };
    done_init(&sent);
    done_init(&received);
    received.io = l->io;
    if (strcmp(io_describe(l->io), "io_uring") == 0) {
        print_message("skipped: no bundles\n");
        skip();
    }
    connect_pair(l, &client, &server);
    queue_bytes(l, &queue, 0, LEN, 50000);
    while (queue.bytes > 0) {
        io_send(l->io, &sent.op, client, &queue);
        await(l, &sent);
        assert_int_equal(sent.error, IO_NONE);
        slices_consume(&queue, (size_t)sent.n);
    }
    int there = 0; /* in the server's socket */
    LOOP_UNTIL(l, ioctl(server, FIONREAD, &there) == 0 && there > 2 * BUF_BYTES + 1);
    io_receive(l->io, &received.op, server, 2 * BUF_BYTES); /* no more than asked for, though more is there */
    await(l, &received);
    assert_int_equal(received.error, IO_NONE);
    assert_true(received.n > BUF_BYTES && received.n <= 2 * BUF_BYTES + 1);
    assert_true(received.received.count >= 2);
    assert_int_equal(received.received.bytes, received.n);
    assert_bytes(&received.received, 0);
    for (size_t came = (size_t)received.n; came < LEN; came += (size_t)received.n) {
        io_receive(l->io, &received.op, server, LEN);
        await(l, &received);
        assert_bytes(&received.received, came);
    }
    io_close(client);
    io_close(server);
}

/* Receives that wait have seen the same posted buffers as the one that fills them. */
static void receives_that_wait_leave_the_buffers_to_others_whole(void **state)
{
    struct loop *l = *state;
    enum { SOCKETS = 4, LEN = 3 * BUF_BYTES + 5 };
    static const size_t asked[SOCKETS] = {100, 2 * BUF_BYTES, BUF_BYTES - 1, 3 * BUF_BYTES + 77};
    int client[SOCKETS], server[SOCKETS];
    struct done received[SOCKETS], sent;
    done_init(&sent);
    for (unsigned i = 0; i < SOCKETS; i++) {
        connect_pair(l, &client[i], &server[i]);
        done_init(&received[i]);
        received[i].io = l->io;
        io_receive(l->io, &received[i].op, server[i], asked[i]);
    }
    loop_turn(l);
    for (unsigned k = 0; k < SOCKETS; k++) { /* the last is served first */
        unsigned i = SOCKETS - 1 - k;
        struct slices queue = {0};
        size_t came = 0;
        queue_bytes(l, &queue, 0, LEN, 60000);
        while (came < LEN) {
            if (queue.bytes > 0 && !sent.op.is_pending)
                io_send(l->io, &sent.op, client[i], &queue);
            unsigned receives = received[i].count, sends = sent.count;
            LOOP_UNTIL(l, received[i].count > receives || sent.count > sends);
            if (sent.count > sends)
                slices_consume(&queue, (size_t)sent.n);
            if (received[i].count == receives)
                continue;
            assert_int_equal(received[i].error, IO_NONE);
            assert_bytes(&received[i].received, came);
            came += (size_t)received[i].n;
            if (came < LEN)
                io_receive(l->io, &received[i].op, server[i], asked[i]);
        }
        if (sent.op.is_pending)
            await(l, &sent);
        slices_clear(&queue);
    }
    for (unsigned i = 0; i < SOCKETS; i++) {
        io_close(client[i]);
        io_close(server[i]);
    }
}

struct hungry {
    struct io_waiter waiter;
    unsigned count;
};

static void on_buffers(struct io_waiter *w)
{
    struct hungry *h = w->owner;
    assert_false(w->is_waiting);
    h->count++;
}

static void without_buffers_a_receive_says_so_and_waiters_are_called(void **state)
{
    struct loop *outer = *state;
    (void)outer;
    struct loop l;
    struct done sent, received;
    struct slices queue = {0};
    int client, server;
    loop_open(&l, 2 * BUF_BYTES);
    connect_pair(&l, &client, &server);
    done_init(&sent);
    done_init(&received);
    received.io = l.io;
    queue_bytes(&l, &queue, 0, 10, 10);
    for (unsigned i = 0; i < 2; i++) { /* each takes a buffer and keeps it */
        io_send(l.io, &sent.op, client, &queue);
        await(&l, &sent);
        io_receive(l.io, &received.op, server, 1000);
        await(&l, &received);
        assert_int_equal(received.error, IO_NONE);
        assert_int_equal(received.n, 10);
    }
    assert_int_equal(pool_available(&l.pool), 0);
    io_send(l.io, &sent.op, client, &queue);
    await(&l, &sent);
    io_receive(l.io, &received.op, server, 1000);
    await(&l, &received);
    assert_int_equal(received.error, IO_NO_BUFFERS);

    struct hungry first = {.waiter = {.on_buffers = on_buffers, .owner = &first}};
    struct hungry left = {.waiter = {.on_buffers = on_buffers, .owner = &left}};
    io_wait_buffers(l.io, &left.waiter);
    io_wait_buffers(l.io, &first.waiter);
    io_wait_buffers(l.io, &first.waiter);
    io_wait_buffers_cancel(l.io, &left.waiter);
    loop_turn(&l);
    assert_int_equal(first.count, 0);
    slices_consume(&received.received, 10); /* one comes back */
    LOOP_UNTIL(&l, first.count > 0);
    loop_turn(&l);
    assert_int_equal(first.count, 1);
    assert_int_equal(left.count, 0);
    io_receive(l.io, &received.op, server, 1000);
    await(&l, &received);
    assert_int_equal(received.error, IO_NONE);
    assert_int_equal(received.n, 10); /* nothing was lost */
    slices_clear(&received.received);
    slices_clear(&queue);
    io_close(client);
    io_close(server);
    loop_close(&l);
}

static void what_a_callback_does_not_take_goes_back(void **state)
{
    struct loop *l = *state;
    int client, server;
    struct done sent, received;
    struct slices queue = {0};
    connect_pair(l, &client, &server);
    done_init(&sent);
    done_init(&received); /* without io: takes nothing */
    queue_bytes(l, &queue, 0, 10, 10);
    for (unsigned i = 0; i < 300; i++) {
        io_send(l->io, &sent.op, client, &queue);
        io_receive(l->io, &received.op, server, 1000);
        unsigned count = received.count;
        LOOP_UNTIL(l, !sent.op.is_pending && received.count > count);
        assert_int_equal(received.error, IO_NONE);
    }
    assert_true(l->pool.in_use <= 16);
    slices_clear(&queue);
    io_close(client);
    io_close(server);
}

static void a_pending_receive_ends_when_it_is_cancelled(void **state)
{
    struct loop *l = *state;
    int client, server;
    struct done received;
    connect_pair(l, &client, &server);
    done_init(&received);
    received.io = l->io;
    io_cancel(l->io, &received.op); /* nothing pending: nothing happens */
    io_receive(l->io, &received.op, server, 1000);
    loop_turn(l);
    io_cancel(l->io, &received.op);
    io_cancel(l->io, &received.op);
    await(l, &received);
    assert_int_equal(received.error, IO_CANCELLED);
    io_receive(l->io, &received.op, server, 1000); /* cancelled before it was submitted */
    io_cancel(l->io, &received.op);
    await(l, &received);
    assert_int_equal(received.error, IO_CANCELLED);
    io_close(client);
    io_close(server);
}

static void a_port_where_nobody_listens_refuses(void **state)
{
    struct loop *l = *state;
    char why[128];
    int listener;
    uint16_t port;
    struct done connected;
    struct io_address to = {.len = sizeof(struct sockaddr_in)};
    assert_int_equal(io_listen("127.0.0.1", 0, 0, &listener, &port, why, sizeof(why)), OK);
    io_close(listener);
    *(struct sockaddr_in *)&to.at = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = io_socket(&to, NULL);
    done_init(&connected);
    io_connect(l->io, &connected.op, fd, &to);
    await(l, &connected);
    assert_int_equal(connected.error, IO_REFUSED);
    assert_string_equal(io_op_error_text(&connected.op), "Connection refused");
    io_close(fd);
}

static void an_address_in_use_or_wrong_is_explained(void **state)
{
    (void)state;
    char why[128];
    int fd, second;
    uint16_t port, other;
    assert_int_equal(io_listen("127.0.0.1", 0, 0, &fd, &port, why, sizeof(why)), OK);
    assert_int_equal(io_listen("127.0.0.1", port, 0, &second, &other, why, sizeof(why)), ERR_IO);
    assert_string_equal(why, "Address already in use");
    assert_int_equal(io_listen("localhost", 0, 0, &second, &other, why, sizeof(why)), ERR_IO);
    assert_string_equal(why, "localhost is not a numeric address");
    io_close(fd);
    assert_int_equal(io_listen("", 0, 0, &fd, &port, why, sizeof(why)), OK); /* every address */
    io_close(fd);
}

static void addresses_are_written_as_people_know_them(void **state)
{
    (void)state;
    static const struct {
        int family;
        const char *address, *alone, *with_port;
    } cases[] = {
        {AF_INET, "10.1.0.5", "10.1.0.5", "10.1.0.5:104"},
        {AF_INET6, "::1", "::1", "[::1]:104"},
        {AF_INET6, "fe80::1", "fe80::1", "[fe80::1]:104"},
        {AF_INET6, "::ffff:10.1.0.5", "10.1.0.5",
         "10.1.0.5:104"}, /* as a listener on both families sees it */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct io_address a = {0};
        char text[64];
        struct sockaddr_in *in = (struct sockaddr_in *)&a.at;
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&a.at;
        a.at.ss_family = (sa_family_t)cases[i].family;
        void *at = cases[i].family == AF_INET ? (void *)&in->sin_addr : (void *)&in6->sin6_addr;
        assert_int_equal(inet_pton(cases[i].family, cases[i].address, at), 1);
        in->sin_port = htons(104); /* at the same place in both */
        io_address_text(&a, false, text);
        assert_string_equal(text, cases[i].alone);
        io_address_text(&a, true, text);
        assert_string_equal(text, cases[i].with_port);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RING_TEST(bytes_arrive_as_they_were_sent),
        RING_TEST(a_receive_may_fill_several_buffers),
        RING_TEST(receives_that_wait_leave_the_buffers_to_others_whole),
        RING_TEST(without_buffers_a_receive_says_so_and_waiters_are_called),
        RING_TEST(what_a_callback_does_not_take_goes_back),
        RING_TEST(a_pending_receive_ends_when_it_is_cancelled),
        RING_TEST(a_port_where_nobody_listens_refuses),
        cmocka_unit_test(an_address_in_use_or_wrong_is_explained),
        cmocka_unit_test(addresses_are_written_as_people_know_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
