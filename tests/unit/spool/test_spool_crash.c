/* What processes leave that are killed, and what the next one makes of it. */
#include "test_spool.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

/* What a child tells through its pipe: a letter, and the number of a message. */
struct told {
    char what; /* r: ready; s: stored, it has been acknowledged; d: delivered, and the index says so */
    uint64_t number;
};

struct child {
    pid_t pid;
    int from, to;
};

static void tell(int fd, char what, uint64_t number)
{
    struct told t = {.what = what, .number = number};
    (void)!write(fd, &t, sizeof(t));
}

/* Nothing of this process may be used in it but the folder: rings and threads do not survive a fork. */
static struct child start(struct fixture *f, void (*run)(const struct spool_options *o, int to, int from))
{
    int up[2], down[2];
    assert_int_equal(pipe(up), 0);
    assert_int_equal(pipe(down), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        close(up[0]);
        close(down[1]);
        run(&f->options, up[1], down[0]);
        _exit(0);
    }
    close(up[1]);
    close(down[0]);
    return (struct child){.pid = pid, .from = up[0], .to = down[1]};
}

static bool hear(struct child *c, struct told *t)
{
    return read(c->from, t, sizeof(*t)) == sizeof(*t);
}

static void kill_child(struct child *c)
{
    int status;
    assert_int_equal(kill(c->pid, SIGKILL), 0);
    assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
    assert_true(WIFSIGNALED(status)); /* it has not ended by itself before */
    close(c->to);
}

/* --- a gateway that is killed while it works -------------------------------------------------------------------------- */

enum { LANES = 4, AT_ONCE = 8, ROUND = 20000, MESSAGES_MAX = 5 * ROUND };

/* Of the round: no message has the number of an earlier one. Set before the fork. */
static uint64_t first_number;

struct lane {
    pthread_t thread;
    struct spool *spool;
    int to;
    unsigned index;
};

static void *run_lane(void *owner)
{
    struct lane *l = owner;
    struct loop loop;
    loop_open(&loop, 1 << 20);
    for (uint64_t n = 0;; n++) {
        struct storing one = {0};
        uint64_t number = first_number + l->index + n * LANES;
        store_begin(&one, l->spool, loop.io, number, 1 + number * 7919 % 300000, "pacs", NULL);
        while (!one.is_done)
            loop_turn(&loop);
        if (one.error == SPOOL_DONE)
            tell(l->to, 's', number);
    }
    return NULL;
}

/* Stores as fast as it can, delivers some of it, and tells of both, until it is killed. */
static void run_gateway(const struct spool_options *o, int to, int from)
{
    struct fixture f = {.options = *o};
    struct lane lanes[LANES];
    static struct feed pacs;
    (void)from;
    snprintf(f.folder, sizeof(f.folder), "%s", o->path);
    loop_open(&f.loop, 1 << 20);
    fixture_open(&f);
    for (unsigned n = 0; n < LANES; n++) {
        lanes[n] = (struct lane){.spool = f.spool, .to = to, .index = n};
        (void)pthread_create(&lanes[n].thread, NULL, run_lane, &lanes[n]);
    }
    feed_open(&f, &pacs, "pacs");
    for (unsigned delivered = count_state(f.folder, SPOOL_DELIVERED);;) { /* of the rounds before */
        uint64_t numbers[AT_ONCE];
        unsigned count = 0;
        feed_await(&f, &pacs, AT_ONCE);
        for (struct spool_entry *e = pacs.list; e; e = e->next)
            numbers[count++] = number_of(e);
        deliver_list(&f, &pacs);
        delivered += count;
        while (count_state(f.folder, SPOOL_DELIVERED) < delivered)
            loop_turn(&f.loop);
        while (count > 0)
            tell(to, 'd', numbers[--count]);
    }
}

struct known {
    bool stored[MESSAGES_MAX], delivered[MESSAGES_MAX];
    unsigned stored_count, delivered_count;
};

static void note_told(struct known *k, const struct told *t)
{
    assert_true(t->number < MESSAGES_MAX);
    if (t->what == 's') {
        k->stored[t->number] = true;
        k->stored_count++;
    } else if (t->what == 'd') {
        k->delivered[t->number] = true;
        k->delivered_count++;
    }
}

/* All that is there, checked; how often each came. */
static unsigned drain(struct fixture *f, struct feed *pacs, unsigned char *times)
{
    unsigned count = 0;
    while (feed_ask(f, pacs, 64) > 0) {
        for (struct spool_entry *e = pacs->list; e; e = e->next, count++) {
            assert_true(is_whole(f->folder, e));
            assert_true(number_of(e) < MESSAGES_MAX);
            times[number_of(e)]++;
        }
        deliver_list(f, pacs);
    }
    return count;
}

/* What was acknowledged has come now, or was delivered: that is known, or it was of the last lot, of which the child could not tell any more. */
static void check_all(const struct fixture *f, const struct known *k, const unsigned char *times)
{
    unsigned untold = 0;
    for (unsigned n = 0; n < MESSAGES_MAX; n++) {
        assert_true(times[n] <= 1);
        if (k->delivered[n]) {
            assert_int_equal(times[n], 0); /* the index knew that it was delivered */
        } else if (k->stored[n] && times[n] == 0) {
            char instance[40];
            snprintf(instance, sizeof(instance), "1.2.3.%u", n);
            assert_int_equal(count_rows(f->folder, (struct index_filter){.instance = instance,
                                                                         .states = 1 << SPOOL_DELIVERED}),
                             1);
            untold++;
        }
    }
    assert_in_range(untold, 0, AT_ONCE);
}

static void nothing_acknowledged_is_lost_by_a_kill_and_nothing_delivered_comes_again(void **state)
{
    struct fixture *f = *state;
    static struct known k;
    static unsigned char times[MESSAGES_MAX];
    for (unsigned round = 0; round < 4; round++) {
        struct told t;
        first_number = round * ROUND;
        memset(&k, 0, sizeof(k));
        memset(times, 0, sizeof(times));
        struct child c = start(f, run_gateway);
        while ((k.stored_count < 200 + round * 173 || k.delivered_count < 20) && hear(&c, &t))
            note_told(&k, &t);
        kill_child(&c);
        while (hear(&c, &t)) /* what it had told before it died */
            note_told(&k, &t);
        close(c.from);
        static struct feed pacs;
        fixture_open(f);
        feed_open(f, &pacs, "pacs");
        (void)drain(f, &pacs, times);
        feed_close(f, &pacs);
        spool_close(&f->spool);
        check_all(f, &k, times);
        assert_int_equal(count_state(f->folder, SPOOL_FAILED_FOR_GOOD), 0);
        assert_int_equal(count_state(f->folder, SPOOL_QUEUED), 0);
    }
    fixture_open(f); /* and its place is given back */
    LOOP_UNTIL(&f->loop, !exists(f, "00000001") && !exists(f, "00000007"));
}

/* --- two at once ---------------------------------------------------------------------------------------------------------- */

/* Stores what it is told to, and holds its generation until it is killed. */
static void run_holder(const struct spool_options *o, int to, int from)
{
    struct fixture f = {.options = *o};
    char letter;
    snprintf(f.folder, sizeof(f.folder), "%s", o->path);
    loop_open(&f.loop, 1 << 20);
    fixture_open(&f);
    for (uint64_t n = 0; n < 5; n++)
        (void)store(&f, n, 5000, "pacs", NULL);
    settle(&f, 5);
    tell(to, 'r', 0);
    (void)!read(from, &letter, 1);
    static struct feed pacs; /* it still delivers its own, and nobody else's */
    feed_open(&f, &pacs, "pacs");
    feed_await(&f, &pacs, 100);
    for (struct spool_entry *e = pacs.list; e; e = e->next)
        tell(to, 'd', number_of(e));
    struct spool_entry *first = pacs.list;
    give(&f, first->id, SPOOL_DELIVERED, 0);
    while (count_state(f.folder, SPOOL_DELIVERED) == 0)
        loop_turn(&f.loop);
    tell(to, 'r', 0);
    (void)!read(from, &letter, 1);
}

static void a_process_that_lives_keeps_its_own_and_one_that_died_is_taken_over(void **state)
{
    struct fixture *f = *state;
    struct told t;
    static struct feed pacs;
    struct child c = start(f, run_holder);
    assert_true(hear(&c, &t) && t.what == 'r');
    fixture_open(f);
    assert_true(exists(f, "00000002/lock"));
    assert_int_equal(store(f, 100, 5000, "pacs", NULL), SPOOL_DONE);
    feed_open(f, &pacs, "pacs");
    assert_int_equal(feed_await(f, &pacs, 100), 1);
    assert_int_equal(number_of(pacs.list), 100);
    assert_int_equal(write(c.to, "x", 1), 1);
    for (unsigned n = 0; n < 5; n++) {
        assert_true(hear(&c, &t) && t.what == 'd');
        assert_int_equal(t.number, n);
    }
    assert_true(hear(&c, &t) && t.what == 'r');
    assert_int_equal(feed_ask(f, &pacs, 100), 0);
    deliver_list(f, &pacs);
    assert_true(exists(f, "00000001/00000001.log"));
    kill_child(&c);
    close(c.from);
    assert_int_equal(feed_await(f, &pacs, 100), 4); /* within some seconds, without being started anew */
    for (struct spool_entry *e = pacs.list; e; e = e->next) {
        assert_true(is_whole(f->folder, e));
        assert_in_range(number_of(e), 1, 4);
    }
    deliver_list(f, &pacs);
    LOOP_UNTIL(&f->loop, !exists(f, "00000001"));
    feed_close(f, &pacs);
}

/* --- what is left of an index, and of the log --------------------------------------------------------------------------------- */

static void unlink_in(const struct fixture *f, const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", f->folder, name);
    unlink(path);
}

static void lose_index(const struct fixture *f)
{
    unlink_in(f, "index.db");
    unlink_in(f, "index.db-wal");
    unlink_in(f, "index.db-shm");
}

static void an_index_that_was_lost_is_made_again_from_the_log(void **state)
{
    struct fixture *f = *state;
    static struct feed pacs;
    fixture_open(f);
    feed_open(f, &pacs, "pacs");
    for (uint64_t n = 0; n < 20; n++)
        assert_int_equal(store(f, n, 5000, "pacs", NULL), SPOOL_DONE);
    settle(f, 20);
    assert_int_equal(feed_ask(f, &pacs, 8), 8);
    deliver_list(f, &pacs);
    feed_close(f, &pacs);
    spool_close(&f->spool);
    lose_index(f);
    fixture_open(f);
    assert_int_equal(count_state(f->folder, SPOOL_DELIVERED), 8);
    feed_open(f, &pacs, "pacs");
    assert_int_equal(feed_ask(f, &pacs, 100), 12);
    for (struct spool_entry *e = pacs.list; e; e = e->next)
        assert_true(is_whole(f->folder, e));
    feed_close(f, &pacs);
}

/* One byte of the data of the first message. */
static void damage(const struct fixture *f, uint64_t offset)
{
    char path[512];
    uint8_t byte;
    snprintf(path, sizeof(path), "%s/00000001/00000001.log", f->folder);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
    close(fd);
}

static void an_acknowledged_message_that_is_damaged_is_kept_for_people_to_see(void **state)
{
    struct fixture *f = *state;
    static struct feed pacs;
    fixture_open(f);
    for (uint64_t n = 0; n < 3; n++)
        assert_int_equal(store(f, n, 5000, "pacs", NULL), SPOOL_DONE);
    feed_open(f, &pacs, "pacs");
    assert_int_equal(feed_await(f, &pacs, 1), 1);
    uint64_t offset = pacs.list->data.extents[0].offset;
    feed_close(f, &pacs);
    spool_close(&f->spool);
    damage(f, offset + 100);
    lose_index(f); /* so that it is read again */
    fixture_open(f);
    assert_int_equal(count_state(f->folder, SPOOL_FAILED_FOR_GOOD), 1);
    assert_int_equal(count_rows(f->folder, (struct index_filter){.instance = "1.2.3.0"}), 1);
    feed_open(f, &pacs, "pacs");
    assert_int_equal(feed_ask(f, &pacs, 100), 2);
    feed_close(f, &pacs);
}

/* Stores some, tells where the last one lies, and is killed. */
static void run_last(const struct spool_options *o, int to, int from)
{
    struct fixture f = {.options = *o};
    char letter;
    static struct feed pacs;
    snprintf(f.folder, sizeof(f.folder), "%s", o->path);
    loop_open(&f.loop, 1 << 20);
    fixture_open(&f);
    for (uint64_t n = 0; n < 3; n++)
        (void)store(&f, n, 5000, "pacs", NULL);
    feed_open(&f, &pacs, "pacs");
    unsigned seen = 0;
    while (seen < 3) {
        feed_await(&f, &pacs, 1);
        seen += pacs.count;
        tell(to, 'd', pacs.list->data.extents[0].offset);
    }
    (void)!read(from, &letter, 1);
}

/* After a power cut the commit may be there, and what it points at not: then nobody was told that it is. */
static void a_last_message_that_is_not_whole_is_left_out(void **state)
{
    struct fixture *f = *state;
    struct told t;
    static struct feed pacs;
    struct child c = start(f, run_last);
    for (unsigned n = 0; n < 3; n++)
        assert_true(hear(&c, &t) && t.what == 'd');
    kill_child(&c);
    close(c.from);
    damage(f, t.number + 100);
    lose_index(f);
    fixture_open(f);
    assert_int_equal(count_rows(f->folder, (struct index_filter){0}), 2);
    assert_int_equal(count_state(f->folder, SPOOL_FAILED_FOR_GOOD), 0);
    feed_open(f, &pacs, "pacs");
    assert_int_equal(feed_ask(f, &pacs, 100), 2);
    deliver_list(f, &pacs);
    LOOP_UNTIL(&f->loop, !exists(f, "00000001")); /* its pieces go, too */
    feed_close(f, &pacs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_acknowledged_is_lost_by_a_kill_and_nothing_delivered_comes_again),
        TEST(a_process_that_lives_keeps_its_own_and_one_that_died_is_taken_over),
        TEST(an_index_that_was_lost_is_made_again_from_the_log),
        TEST(an_acknowledged_message_that_is_damaged_is_kept_for_people_to_see),
        TEST(a_last_message_that_is_not_whole_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
