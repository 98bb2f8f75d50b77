/* The turn of a ring: timers, tasks, messages; files, names. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/engine.h"
#include "operation.h"

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

/* Whoever takes the process over gets no more of a ring than we use: no file is spliced away, no other ring is messaged, nothing is chained. */
static void a_ring_does_what_io_asks_of_it_and_no_more(void **state)
{
    struct loop *l = *state;
    static const uint8_t others[] = {IORING_OP_NOP, IORING_OP_SPLICE, IORING_OP_SOCKET, IORING_OP_STATX};
    for (size_t i = 0; i < sizeof(others); i++) {
        struct done d;
        done_init(&d);
        struct io_uring_sqe *sqe = io_entry(l->io, &d.op, IO_KIND_PLAIN);
        io_uring_prep_nop(sqe);
        sqe->opcode = others[i];
        io_uring_sqe_set_data(sqe, &d.op);
        await(l, &d);
        assert_int_equal(d.op.system_error, EACCES);
    }
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
    const struct CMUnitTest tests[] = {
        RING_TEST(timers_fire_in_order_and_never_early),
        RING_TEST(a_timer_may_be_stopped_started_anew_and_start_itself),
        RING_TEST(a_timer_longer_than_the_wheel_does_not_fire_with_its_slot),
        RING_TEST(tasks_run_once_in_order_from_the_loop),
        RING_TEST(messages_of_another_thread_come_whole_and_in_order),
        RING_TEST(files_are_made_written_read_and_named),
        RING_TEST(names_become_addresses),
        RING_TEST(many_questions_at_once_are_all_answered),
        RING_TEST(a_ring_does_what_io_asks_of_it_and_no_more),
        cmocka_unit_test(the_name_of_every_error_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
