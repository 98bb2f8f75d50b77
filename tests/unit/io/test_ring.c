#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../loop.h"
#include "base/clock.h"

/* An operation and what became of it. */
struct done {
    struct io_op op;
    unsigned count;
    enum io_error error;
    int64_t n;
    struct io *io;
    struct slices received; /* of a receive */
};

static void on_done(struct io_op *op, enum io_error error, int64_t n)
{
    struct done *d = op->owner;
    struct buf *b;
    uint32_t len;
    assert_false(op->is_pending);
    d->count++;
    d->error = error;
    d->n = n;
    while (d->io && (b = io_received(d->io, op, &len))) {
        assert_int_equal(b->used, len);
        assert_true(slices_push(&d->received, b, b->data, len));
        buf_unref(&b);
    }
}

static void done_init(struct done *d)
{
    *d = (struct done){.op = {.on_done = on_done, .owner = d}};
}

static void await(struct loop *l, struct done *d)
{
    unsigned before = d->count;
    assert_true(d->op.is_pending);
    LOOP_UNTIL(l, d->count > before);
    assert_int_equal(d->count, before + 1);
}

static int set_up(void **state)
{
    struct loop *l = malloc(sizeof(*l));
    assert_non_null(l);
    loop_open(l, 16 << 20);
    *state = l;
    return 0;
}

static int tear_down(void **state)
{
    struct loop *l = *state;
    loop_close(l);
    free(l);
    return 0;
}

/* --- timers ------------------------------------------------------------------------------------------------ */

struct bell {
    struct io_timer timer;
    struct io *io;
    unsigned *counter, order, count;
    uint64_t fired_ms, again_ms;
};

static void on_bell(struct io_timer *timer)
{
    struct bell *b = timer->owner;
    assert_false(timer->is_armed);
    b->fired_ms = io_now(b->io);
    b->order = (*b->counter)++;
    b->count++;
    if (b->again_ms) {
        uint64_t ms = b->again_ms;
        b->again_ms = 0;
        io_timer_start(b->io, timer, ms);
    }
}

static void timers_fire_in_order_and_never_early(void **state)
{
    struct loop *l = *state;
    static const unsigned ms[] = {300, 0, 1, 100, 17, 50, 33, 200, 16, 150, 15};
    enum { COUNT = sizeof(ms) / sizeof(ms[0]) };
    struct bell bells[COUNT];
    unsigned counter = 0;
    uint64_t start = io_now(l->io);
    for (unsigned i = 0; i < COUNT; i++) {
        bells[i] = (struct bell){
            .timer = {.on_fire = on_bell, .owner = &bells[i]}, .io = l->io, .counter = &counter};
        io_timer_start(l->io, &bells[i].timer, ms[i]);
    }
    LOOP_UNTIL(l, counter == COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(bells[i].count, 1);
        assert_true(bells[i].fired_ms >= start + ms[i]);
        for (unsigned k = 0; k < COUNT; k++) /* within one tick any order will do */
            assert_true(ms[i] < ms[k] + 16 || bells[i].order > bells[k].order);
    }
}

static void a_timer_may_be_stopped_started_anew_and_start_itself(void **state)
{
    struct loop *l = *state;
    struct bell stopped, moved, again, last;
    unsigned counter = 0;
    struct bell *all[] = {&stopped, &moved, &again, &last};
    for (unsigned i = 0; i < 4; i++)
        *all[i] =
            (struct bell){.timer = {.on_fire = on_bell, .owner = all[i]}, .io = l->io, .counter = &counter};
    uint64_t start = io_now(l->io);
    io_timer_start(l->io, &stopped.timer, 20);
    io_timer_start(l->io, &moved.timer, 20);
    io_timer_start(l->io, &moved.timer, 120);
    again.again_ms = 60;
    io_timer_start(l->io, &again.timer, 20);
    io_timer_start(l->io, &last.timer, 200);
    io_timer_stop(l->io, &stopped.timer);
    io_timer_stop(l->io, &stopped.timer); /* stopping what is stopped is nothing */
    LOOP_UNTIL(l, last.count == 1);
    assert_int_equal(stopped.count, 0);
    assert_int_equal(moved.count, 1);
    assert_true(moved.fired_ms >= start + 120);
    assert_int_equal(again.count, 2);
    assert_true(again.fired_ms >= start + 80);
}

/* One revolution of the wheel is 65.5 s: longer timers pass their slot without firing. */
static void a_timer_longer_than_the_wheel_does_not_fire_with_its_slot(void **state)
{
    struct loop *l = *state;
    unsigned counter = 0;
    struct bell far = {.timer = {.on_fire = on_bell, .owner = &far}, .io = l->io, .counter = &counter};
    struct bell near = {.timer = {.on_fire = on_bell, .owner = &near}, .io = l->io, .counter = &counter};
    io_timer_start(l->io, &far.timer, 4096 * 16 + 48);
    io_timer_start(l->io, &near.timer, 150);
    LOOP_UNTIL(l, near.count == 1);
    assert_int_equal(far.count, 0);
    assert_true(far.timer.is_armed);
    io_timer_stop(l->io, &far.timer);
}

/* --- tasks and messages ------------------------------------------------------------------------------------ */

struct job {
    struct io_task task;
    struct io *io;
    struct job *cancels;
    unsigned count, *counter, order;
    bool repeats;
};

static void on_job(struct io_task *task)
{
    struct job *j = task->owner;
    j->count++;
    j->order = (*j->counter)++;
    if (j->cancels)
        io_defer_cancel(j->io, &j->cancels->task);
    if (j->repeats)
        io_defer(j->io, task);
}

static void tasks_run_once_in_order_from_the_loop(void **state)
{
    struct loop *l = *state;
    unsigned counter = 0;
    struct job jobs[4];
    for (unsigned i = 0; i < 4; i++) {
        jobs[i] = (struct job){.task = {.run = on_job, .owner = &jobs[i]}, .io = l->io, .counter = &counter};
        io_defer(l->io, &jobs[i].task);
        io_defer(l->io, &jobs[i].task); /* queued once */
    }
    jobs[1].cancels = &jobs[2];
    jobs[3].repeats = true;
    assert_int_equal(counter, 0);
    loop_turn(l); /* does not wait: there is work */
    assert_int_equal(jobs[0].order, 0);
    assert_int_equal(jobs[1].order, 1);
    assert_int_equal(jobs[2].count, 0);
    assert_int_equal(jobs[3].count, 1); /* itself again, but in the next turn */
    loop_turn(l);
    assert_int_equal(jobs[3].count, 2);
    assert_int_equal(jobs[0].count, 1);
    io_defer_cancel(l->io, &jobs[3].task);
}

enum { LETTERS = 20000 };

struct letter {
    struct io_message message;
    unsigned number;
    struct post *post;
};

struct post {
    struct io *to;
    pthread_t reader;
    unsigned next;
    struct letter letters[LETTERS];
};

static void on_letter(struct io_message *m)
{
    struct letter *letter = (struct letter *)m;
    assert_true(pthread_equal(pthread_self(), letter->post->reader));
    assert_int_equal(letter->number, letter->post->next);
    letter->post->next++;
}

static void *write_letters(void *arg)
{
    struct post *p = arg;
    for (unsigned i = 0; i < LETTERS; i++)
        io_post(p->to, &p->letters[i].message);
    return NULL;
}

static void messages_of_another_thread_come_whole_and_in_order(void **state)
{
    struct loop *l = *state;
    struct post *p = calloc(1, sizeof(*p));
    pthread_t writer;
    assert_non_null(p);
    p->to = l->io;
    p->reader = pthread_self();
    for (unsigned i = 0; i < LETTERS; i++)
        p->letters[i] = (struct letter){.message = {.on_message = on_letter}, .number = i, .post = p};
    assert_int_equal(pthread_create(&writer, NULL, write_letters, p), 0);
    LOOP_UNTIL(l, p->next == LETTERS);
    pthread_join(writer, NULL);
    free(p);
}

/* --- sockets ----------------------------------------------------------------------------------------------- */

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

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 31 + i / 253);
}

static void queue_bytes(struct loop *l, struct slices *queue, size_t from, size_t len, size_t piece)
{
    for (size_t at = 0; at < len; at += piece) {
        size_t n = len - at < piece ? len - at : piece;
        struct buf *b = buf_scratch(&l->pool, n);
        assert_non_null(b);
        for (size_t i = 0; i < n; i++)
            b->data[i] = byte_at(from + at + i);
        b->used = (uint32_t)n;
        assert_true(slices_push(queue, b, b->data, b->used));
        buf_unref(&b);
    }
}

static void assert_bytes(struct slices *s, size_t from)
{
    for (; s->bytes > 0; from++) {
        assert_int_equal(*slices_at(s, 0)->at, byte_at(from));
        slices_consume(s, 1);
    }
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

/* --- files ------------------------------------------------------------------------------------------------- */

static int open_file(struct loop *l, struct done *d, const char *path, unsigned how)
{
    io_open(l->io, &d->op, path, how);
    await(l, d);
    return d->error == IO_NONE ? (int)d->n : -1;
}

static void files_are_made_written_read_and_named(void **state)
{
    struct loop *l = *state;
    char folder[] = "/tmp/hilum-ring-XXXXXX", sub[64], one[80], two[80], three[80];
    struct done d;
    struct slices queue = {0};
    uint8_t bytes[4000];
    assert_non_null(mkdtemp(folder));
    snprintf(sub, sizeof(sub), "%s/sub", folder);
    snprintf(one, sizeof(one), "%s/one", sub);
    snprintf(two, sizeof(two), "%s/two", sub);
    snprintf(three, sizeof(three), "%s/three", sub);
    done_init(&d);

    assert_int_equal(open_file(l, &d, one, IO_OPEN_CREATE_NEW), -1);
    assert_int_equal(d.error, IO_NOT_FOUND);
    io_mkdir(l->io, &d.op, sub);
    await(l, &d);
    assert_int_equal(d.error, IO_NONE);
    io_mkdir(l->io, &d.op, sub);
    await(l, &d);
    assert_int_equal(d.error, IO_EXISTS);

    int fd = open_file(l, &d, one, IO_OPEN_CREATE_NEW);
    assert_true(fd >= 0);
    assert_int_equal(open_file(l, &d, one, IO_OPEN_CREATE_NEW), -1);
    assert_int_equal(d.error, IO_EXISTS);
    queue_bytes(l, &queue, 0, sizeof(bytes), 9); /* 445 slices: two writes at least */
    for (uint64_t at = 0; queue.bytes > 0; at += (uint64_t)d.n) {
        io_write(l->io, &d.op, fd, &queue, at);
        await(l, &d);
        assert_int_equal(d.error, IO_NONE);
        assert_true(d.n <= 9 * IO_SEND_SLICES);
        slices_consume(&queue, (size_t)d.n);
    }
    io_fdatasync(l->io, &d.op, fd);
    await(l, &d);
    assert_int_equal(d.error, IO_NONE);
    io_close_file(l->io, &d.op, fd);
    await(l, &d);
    assert_int_equal(d.error, IO_NONE);

    fd = open_file(l, &d, one, IO_OPEN_READ);
    io_read(l->io, &d.op, fd, bytes, sizeof(bytes), 1000);
    await(l, &d);
    assert_int_equal(d.n, sizeof(bytes) - 1000);
    for (size_t i = 0; i < sizeof(bytes) - 1000; i++)
        assert_int_equal(bytes[i], byte_at(1000 + i));
    io_read(l->io, &d.op, fd, bytes, sizeof(bytes), sizeof(bytes));
    await(l, &d);
    assert_int_equal(d.error, IO_NONE);
    assert_int_equal(d.n, 0); /* behind the end */
    io_close(fd);

    io_link(l->io, &d.op, one, two);
    await(l, &d);
    assert_int_equal(d.error, IO_NONE);
    io_link(l->io, &d.op, one, two);
    await(l, &d);
    assert_int_equal(d.error, IO_EXISTS);
    io_rename_new(l->io, &d.op, one, two);
    await(l, &d);
    assert_int_equal(d.error, IO_EXISTS);
    io_rename_new(l->io, &d.op, one, three);
    await(l, &d);
    assert_int_equal(d.error, IO_NONE);
    io_unlink(l->io, &d.op, one);
    await(l, &d);
    assert_int_equal(d.error, IO_NOT_FOUND);
    assert_string_equal(io_op_error_text(&d.op), "No such file or directory");

    assert_int_equal(open_file(l, &d, two, IO_OPEN_READ | IO_OPEN_DIRECTORY), -1);
    fd = open_file(l, &d, sub, IO_OPEN_READ | IO_OPEN_DIRECTORY);
    assert_true(fd >= 0);
    io_fsync(l->io, &d.op, fd);
    await(l, &d);
    assert_int_equal(d.error, IO_NONE);
    io_close(fd);

    const char *const rest[] = {two, three};
    for (unsigned i = 0; i < 2; i++) {
        io_unlink(l->io, &d.op, rest[i]);
        await(l, &d);
        assert_int_equal(d.error, IO_NONE);
    }
    assert_int_equal(rmdir(sub), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* --- names ------------------------------------------------------------------------------------------------- */

static void on_resolved(struct io_resolve *r)
{
    unsigned *count = r->owner;
    assert_false(r->is_pending);
    (*count)++;
}

static void resolve(struct loop *l, struct resolver *r, struct io_resolve *q, const char *host)
{
    unsigned count = 0;
    *q = (struct io_resolve){.on_done = on_resolved, .owner = &count};
    io_resolve(l->io, r, q, host, 104);
    assert_int_equal(count, 0); /* never from inside */
    LOOP_UNTIL(l, count == 1);
}

static bool is_loopback(const struct io_address *a)
{
    char text[64];
    io_address_text(a, true, text);
    return strcmp(text, "127.0.0.1:104") == 0 || strcmp(text, "[::1]:104") == 0;
}

static void names_become_addresses(void **state)
{
    struct loop *l = *state;
    struct resolver *r;
    struct io_resolve q;
    char text[64];
    assert_int_equal(resolver_new(&r), OK);
    resolve(l, r, &q, "10.1.0.5");
    assert_int_equal(q.count, 1);
    io_address_text(&q.addresses[0], true, text);
    assert_string_equal(text, "10.1.0.5:104");
    resolve(l, NULL, &q, "fe80::1"); /* numbers need no resolver */
    assert_int_equal(q.count, 1);
    io_address_text(&q.addresses[0], true, text);
    assert_string_equal(text, "[fe80::1]:104");
    for (unsigned i = 0; i < 2; i++) { /* the second time from what is kept */
        resolve(l, r, &q, "localhost");
        assert_true(q.count > 0);
        for (unsigned k = 0; k < q.count; k++)
            assert_true(is_loopback(&q.addresses[k]));
    }
    for (unsigned i = 0; i < 2; i++) { /* no answer is never kept, and always explained */
        resolve(l, r, &q, "no such host.invalid");
        assert_int_equal(q.count, 0);
        assert_non_null(q.why);
    }
    resolver_free(&r);
    assert_null(r);
}

static void many_questions_at_once_are_all_answered(void **state)
{
    struct loop *l = *state;
    enum { QUESTIONS = 100 };
    struct resolver *r;
    struct io_resolve *all = calloc(QUESTIONS, sizeof(*all));
    unsigned count = 0;
    assert_non_null(all);
    assert_int_equal(resolver_new(&r), OK);
    for (unsigned i = 0; i < QUESTIONS; i++) {
        all[i] = (struct io_resolve){.on_done = on_resolved, .owner = &count};
        io_resolve(l->io, r, &all[i], "localhost", 104);
    }
    LOOP_UNTIL(l, count == QUESTIONS);
    for (unsigned i = 0; i < QUESTIONS; i++)
        assert_true(all[i].count > 0);
    resolver_free(&r);
    free(all);
}

static void the_name_of_every_error_is_known(void **state)
{
    (void)state;
    for (enum io_error e = IO_NONE; e <= IO_OTHER; e++)
        assert_true(strlen(io_error_name(e)) > 0);
    assert_string_equal(io_error_name(IO_NO_SPACE), "no space");
    assert_string_equal(io_error_name(IO_OTHER), "failed");
}

int main(void)
{
#define RING_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        RING_TEST(timers_fire_in_order_and_never_early),
        RING_TEST(a_timer_may_be_stopped_started_anew_and_start_itself),
        RING_TEST(a_timer_longer_than_the_wheel_does_not_fire_with_its_slot),
        RING_TEST(tasks_run_once_in_order_from_the_loop),
        RING_TEST(messages_of_another_thread_come_whole_and_in_order),
        RING_TEST(bytes_arrive_as_they_were_sent),
        RING_TEST(a_receive_may_fill_several_buffers),
        RING_TEST(receives_that_wait_leave_the_buffers_to_others_whole),
        RING_TEST(without_buffers_a_receive_says_so_and_waiters_are_called),
        RING_TEST(what_a_callback_does_not_take_goes_back),
        RING_TEST(a_pending_receive_ends_when_it_is_cancelled),
        RING_TEST(a_port_where_nobody_listens_refuses),
        cmocka_unit_test(an_address_in_use_or_wrong_is_explained),
        cmocka_unit_test(addresses_are_written_as_people_know_them),
        RING_TEST(files_are_made_written_read_and_named),
        RING_TEST(names_become_addresses),
        RING_TEST(many_questions_at_once_are_all_answered),
        cmocka_unit_test(the_name_of_every_error_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
