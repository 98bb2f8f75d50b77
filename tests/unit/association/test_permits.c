#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../loop.h"
#include "association/permits.h"
#include "base/clock.h"

static struct config_node node_with(unsigned limit)
{
    return (struct config_node){
        .host = (char *)"10.0.0.1", .port = 104, .ae_title = (char *)"PACS", .max_associations = limit};
}

/* A waiter; in which order it was served. */
struct waiter {
    struct permits_wait *wait;
    unsigned *served;
    unsigned turn; /* 0: not served */
};

static void on_granted(void *owner)
{
    struct waiter *w = owner;
    w->wait = NULL;
    w->turn = ++*w->served;
}

struct desk {
    struct permits_registry *registry;
    struct loop here, there; /* two workers of one thread */
    unsigned served, recalls_here, recalls_there;
    struct permits *recalled;
};

static void on_recall_here(void *owner, struct permits *p)
{
    struct desk *d = owner;
    d->recalls_here++;
    d->recalled = p;
}

static void on_recall_there(void *owner, struct permits *p)
{
    struct desk *d = owner;
    d->recalls_there++;
    d->recalled = p;
}

static void ask(struct desk *d, struct permits *p, struct loop *l, struct waiter *w)
{
    *w = (struct waiter){.served = &d->served};
    w->wait = permits_wait(p, l->io, on_granted, w);
    assert_non_null(w->wait);
}

struct marker {
    struct io_message message; /* first: the message is the marker */
    bool has_come;
};

static void on_marker(struct io_message *m)
{
    ((struct marker *)m)->has_come = true;
}

/* Everything that is on its way by now has come: messages keep their order. */
static void settle(struct desk *d)
{
    struct loop *both[] = {&d->here, &d->there};
    for (int i = 0; i < 2; i++) {
        struct marker marker = {.message.on_message = on_marker};
        io_post(both[i]->io, &marker.message);
        LOOP_UNTIL(both[i], marker.has_come);
    }
}

static int setup(void **state)
{
    struct desk *d = calloc(1, sizeof(*d));
    assert_int_equal(permits_registry_new(&d->registry), OK);
    loop_open(&d->here, 1 << 20);
    loop_open(&d->there, 1 << 20);
    struct permits_holder here = {.io = d->here.io, .on_recall = on_recall_here, .owner = d};
    struct permits_holder there = {.io = d->there.io, .on_recall = on_recall_there, .owner = d};
    assert_int_equal(permits_register(d->registry, &here), OK);
    assert_int_equal(permits_register(d->registry, &there), OK);
    *state = d;
    return 0;
}

static int teardown(void **state)
{
    struct desk *d = *state;
    loop_close(&d->here);
    loop_close(&d->there);
    permits_registry_free(&d->registry);
    free(d);
    return 0;
}

/* --- counting ---------------------------------------------------------------------------------------------- */

static void as_many_are_out_as_the_node_takes(void **state)
{
    struct desk *d = *state;
    struct config_node node = node_with(3);
    assert_int_equal(permits_in_use(d->registry, &node), 0);
    struct permits *p = permits_of(d->registry, &node);
    for (int i = 0; i < 3; i++)
        assert_true(permits_try(p));
    assert_false(permits_try(p));
    assert_int_equal(permits_in_use(d->registry, &node), 3);
    permits_give(p);
    assert_int_equal(permits_in_use(d->registry, &node), 2);
    assert_true(permits_try(p));
    assert_false(permits_try(p));
}

static void a_node_without_limit_has_permits_without_end(void **state)
{
    struct desk *d = *state;
    struct config_node node = node_with(0);
    struct permits *p = permits_of(d->registry, &node);
    for (int i = 0; i < 10000; i++)
        assert_true(permits_try(p));
}

/* Two names for one node share its limit; another host, port or title is another node. */
static void a_node_is_its_host_port_and_title(void **state)
{
    struct desk *d = *state;
    struct config_node one = node_with(1), two = one, host = one, port = one, title = one;
    two.name = (char *)"another name";
    host.host = (char *)"10.0.0.2";
    port.port = 105;
    title.ae_title = (char *)"PACS2";
    struct permits *p = permits_of(d->registry, &one);
    assert_ptr_equal(permits_of(d->registry, &two), p);
    assert_ptr_not_equal(permits_of(d->registry, &host), p);
    assert_ptr_not_equal(permits_of(d->registry, &port), p);
    assert_ptr_not_equal(permits_of(d->registry, &title), p);
    assert_true(permits_try(p));
    assert_true(permits_try(permits_of(d->registry, &host)));
    assert_false(permits_try(permits_of(d->registry, &two)));
}

/* A reload lowers it under those in use: nobody gets one until enough have ended. */
static void a_lowered_limit_waits_for_those_in_use(void **state)
{
    struct desk *d = *state;
    struct config_node three = node_with(3), one = node_with(1);
    struct permits *p = permits_of(d->registry, &three);
    struct waiter w;
    for (int i = 0; i < 3; i++)
        assert_true(permits_try(p));
    assert_ptr_equal(permits_of(d->registry, &one), p);
    ask(d, p, &d->here, &w);
    permits_give(p);
    permits_give(p);
    settle(d);
    assert_int_equal(w.turn, 0); /* one is still out, and one is all there is now */
    permits_give(p);
    settle(d);
    assert_int_equal(w.turn, 1);
}

static void a_raised_limit_serves_those_who_wait(void **state)
{
    struct desk *d = *state;
    struct config_node one = node_with(1), two = node_with(2), none = node_with(0);
    struct permits *p = permits_of(d->registry, &one);
    struct waiter w[3];
    assert_true(permits_try(p));
    for (int i = 0; i < 3; i++)
        ask(d, p, &d->here, &w[i]);
    assert_ptr_equal(permits_of(d->registry, &two), p);
    settle(d);
    assert_int_equal(w[0].turn, 1);
    assert_int_equal(w[1].turn, 0);
    assert_ptr_equal(permits_of(d->registry, &none), p);
    settle(d);
    assert_int_equal(w[1].turn, 2);
    assert_int_equal(w[2].turn, 3);
}

/* --- the line ---------------------------------------------------------------------------------------------- */

static void those_who_wait_are_served_in_turn(void **state)
{
    struct desk *d = *state;
    struct config_node node = node_with(1);
    struct permits *p = permits_of(d->registry, &node);
    struct waiter w[5];
    assert_true(permits_try(p));
    for (int i = 0; i < 5; i++)
        ask(d, p, i % 2 ? &d->there : &d->here, &w[i]);
    for (unsigned i = 0; i < 5; i++) {
        settle(d);
        assert_int_equal(d->served, i);
        permits_give(p);
        assert_int_equal(w[i].turn, 0); /* by message: never from inside */
        settle(d);
        assert_int_equal(w[i].turn, i + 1);
    }
    assert_false(permits_try(p));
    permits_give(p);
    assert_true(permits_try(p));
}

static void nobody_passes_those_who_wait(void **state)
{
    struct desk *d = *state;
    struct config_node node = node_with(1);
    struct permits *p = permits_of(d->registry, &node);
    struct waiter w;
    assert_true(permits_try(p));
    ask(d, p, &d->here, &w);
    permits_give(p);              /* it is on its way to the waiter */
    assert_false(permits_try(p)); /* and nobody else gets it */
    settle(d);
    assert_int_equal(w.turn, 1);
}

static void who_waits_with_a_permit_free_gets_it(void **state)
{
    struct desk *d = *state;
    struct config_node node = node_with(1);
    struct permits *p = permits_of(d->registry, &node);
    struct waiter w;
    ask(d, p, &d->here, &w);
    assert_int_equal(w.turn, 0);
    settle(d);
    assert_int_equal(w.turn, 1);
    assert_int_equal(d->recalls_here + d->recalls_there, 0); /* nobody was asked for one */
    assert_false(permits_try(p));
}

static void who_leaves_the_line_is_passed_over(void **state)
{
    struct desk *d = *state;
    struct config_node node = node_with(1);
    struct permits *p = permits_of(d->registry, &node);
    struct waiter w[3];
    assert_true(permits_try(p));
    for (int i = 0; i < 3; i++)
        ask(d, p, &d->here, &w[i]);
    permits_wait_cancel(&w[0].wait);
    assert_null(w[0].wait);
    permits_wait_cancel(&w[2].wait);
    permits_give(p);
    settle(d);
    assert_int_equal(w[1].turn, 1);
    permits_give(p);
    settle(d);
    assert_int_equal(d->served, 1);
    assert_true(permits_try(p)); /* the line is empty */
}

/* The permit's message is on its way already: it is given to the next, or back. */
static void who_leaves_after_the_grant_passes_it_on(void **state)
{
    struct desk *d = *state;
    struct config_node node = node_with(1);
    struct permits *p = permits_of(d->registry, &node);
    struct waiter w[2];
    assert_true(permits_try(p));
    for (int i = 0; i < 2; i++)
        ask(d, p, i ? &d->there : &d->here, &w[i]);
    permits_give(p);
    permits_wait_cancel(&w[0].wait);
    settle(d);
    settle(d);
    assert_int_equal(w[0].turn, 0);
    assert_int_equal(w[1].turn, 1);
    assert_false(permits_try(p));
    permits_give(p);

    ask(d, p, &d->here, &w[0]);
    permits_wait_cancel(&w[0].wait);
    settle(d);
    assert_int_equal(w[0].turn, 0);
    assert_true(permits_try(p));
}

static void cancelling_nothing_is_allowed(void **state)
{
    (void)state;
    struct permits_wait *none = NULL;
    permits_wait_cancel(&none);
    assert_null(none);
}

/* --- asking others ----------------------------------------------------------------------------------------- */

static void a_wait_asks_the_other_workers_and_not_its_own(void **state)
{
    struct desk *d = *state;
    struct config_node node = node_with(1);
    struct permits *p = permits_of(d->registry, &node);
    struct waiter w;
    assert_true(permits_try(p));
    ask(d, p, &d->here, &w);
    assert_true(permits_wanted_elsewhere(p, d->there.io));
    assert_false(permits_wanted_elsewhere(p, d->here.io));
    settle(d);
    assert_int_equal(d->recalls_here, 0);
    assert_int_equal(d->recalls_there, 1);
    assert_ptr_equal(d->recalled, p);
    permits_give(p);
    assert_false(permits_wanted_elsewhere(p, d->there.io)); /* granted: off the line */
    settle(d);
    assert_int_equal(w.turn, 1);
}

static void a_node_without_room_asks_the_other_workers_too(void **state)
{
    struct desk *d = *state;
    struct config_node node = node_with(0);
    struct permits *p = permits_of(d->registry, &node);
    permits_recall(p, d->there.io);
    settle(d);
    assert_int_equal(d->recalls_here, 1);
    assert_int_equal(d->recalls_there, 0);
    assert_ptr_equal(d->recalled, p);
}

/* --- over threads ------------------------------------------------------------------------------------------ */

enum { THREADS = 4, JOBS = 300, AT_ONCE = 6, LIMIT = 3 };

struct crowd {
    struct permits_registry *registry;
    pthread_barrier_t barrier;
    atomic_int out, most, granted, cancelled, recalls, wrong_thread;
    atomic_int busy; /* threads with jobs */
};

struct job {
    struct worker_thread *thread;
    struct permits_wait *wait;
    struct io_timer hold;
    bool is_open;
};

struct worker_thread {
    pthread_t id, self;
    struct crowd *crowd;
    struct loop loop;
    struct permits *permits;
    struct job jobs[AT_ONCE];
    unsigned begun, done;
};

static void on_thread_recall(void *owner, struct permits *p)
{
    struct worker_thread *t = owner;
    t->crowd->wrong_thread += !pthread_equal(pthread_self(), t->self) || p != t->permits;
    t->crowd->recalls++;
}

static void on_held(struct io_timer *timer)
{
    struct job *job = timer->owner;
    struct worker_thread *t = job->thread;
    t->crowd->out--;
    permits_give(t->permits);
    job->is_open = false;
    t->done++;
}

static void hold(struct job *job)
{
    struct worker_thread *t = job->thread;
    int out = ++t->crowd->out, most = t->crowd->most;
    while (out > most && !atomic_compare_exchange_weak(&t->crowd->most, &most, out))
        ;
    t->crowd->granted++;
    t->crowd->wrong_thread += !pthread_equal(pthread_self(), t->self);
    job->hold = (struct io_timer){.on_fire = on_held, .owner = job};
    io_timer_start(t->loop.io, &job->hold, 0);
}

static void on_job_granted(void *owner)
{
    struct job *job = owner;
    job->wait = NULL;
    hold(job);
}

static void begin_job(struct worker_thread *t, struct job *job)
{
    unsigned number = t->begun++;
    *job = (struct job){.thread = t, .is_open = true};
    struct config_node node = node_with(LIMIT);
    t->crowd->wrong_thread += permits_of(t->crowd->registry, &node) != t->permits;
    if (permits_try(t->permits)) {
        hold(job);
        return;
    }
    job->wait = permits_wait(t->permits, t->loop.io, on_job_granted, job);
    if (number % 5 != 0)
        return;
    permits_wait_cancel(
        &job->wait); /* now and then somebody gives up: in line, or with the grant on its way */
    t->crowd->cancelled++;
    job->is_open = false;
    t->done++;
}

static void *run(void *arg)
{
    struct worker_thread *t = arg;
    t->self = pthread_self();
    loop_open(&t->loop, 1 << 20);
    struct config_node node = node_with(LIMIT);
    t->permits = permits_of(t->crowd->registry, &node);
    struct permits_holder holder = {.io = t->loop.io, .on_recall = on_thread_recall, .owner = t};
    t->crowd->wrong_thread += permits_register(t->crowd->registry, &holder) != OK;
    pthread_barrier_wait(&t->crowd->barrier);
    while (t->crowd->busy > 0) {
        unsigned before = t->done;
        for (unsigned i = 0; i < AT_ONCE; i++)
            if (!t->jobs[i].is_open && t->begun < JOBS)
                begin_job(t, &t->jobs[i]);
        loop_turn(&t->loop);
        if (before < JOBS && t->done == JOBS)
            t->crowd->busy--;
    }
    /* Nobody posts any more once all have come here; what is on its way comes in a few turns. */
    pthread_barrier_wait(&t->crowd->barrier);
    for (unsigned wakes = t->loop.wakes; t->loop.wakes < wakes + 3;)
        loop_turn(&t->loop);
    pthread_barrier_wait(&t->crowd->barrier);
    loop_close(&t->loop);
    return NULL;
}

static void the_limit_holds_over_threads_and_no_permit_is_lost(void **state)
{
    (void)state;
    static struct worker_thread threads[THREADS];
    struct crowd c = {.busy = THREADS};
    struct config_node node = node_with(LIMIT);
    assert_int_equal(permits_registry_new(&c.registry), OK);
    pthread_barrier_init(&c.barrier, NULL, THREADS);
    for (unsigned i = 0; i < THREADS; i++) {
        threads[i] = (struct worker_thread){.crowd = &c};
        assert_int_equal(pthread_create(&threads[i].id, NULL, run, &threads[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i].id, NULL);
    assert_int_equal(c.out, 0);
    assert_int_equal(c.most, LIMIT);
    assert_int_equal(c.granted + c.cancelled, THREADS * JOBS);
    assert_true(c.cancelled > 0 && c.recalls > 0);
    assert_int_equal(c.wrong_thread, 0);
    struct permits *p = permits_of(c.registry, &node);
    for (int i = 0; i < LIMIT; i++)
        assert_true(permits_try(p)); /* all are back */
    assert_false(permits_try(p));
    permits_registry_free(&c.registry);
    pthread_barrier_destroy(&c.barrier);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(as_many_are_out_as_the_node_takes),
        TEST(a_node_without_limit_has_permits_without_end),
        TEST(a_node_is_its_host_port_and_title),
        TEST(a_lowered_limit_waits_for_those_in_use),
        TEST(a_raised_limit_serves_those_who_wait),
        TEST(those_who_wait_are_served_in_turn),
        TEST(nobody_passes_those_who_wait),
        TEST(who_waits_with_a_permit_free_gets_it),
        TEST(who_leaves_the_line_is_passed_over),
        TEST(who_leaves_after_the_grant_passes_it_on),
        cmocka_unit_test(cancelling_nothing_is_allowed),
        TEST(a_wait_asks_the_other_workers_and_not_its_own),
        TEST(a_node_without_room_asks_the_other_workers_too),
        cmocka_unit_test(the_limit_holds_over_threads_and_no_permit_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
