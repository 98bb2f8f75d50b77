/* Where a study began: first come, first kept; over threads, restarts, kills, days, and up to its bound. */
#include "../spool/test_spool.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "relay/affinity.h"

enum { HOUR_S = 3600 };

/* What this process takes for the wall clock: the program's own function comes before the library's. */
static atomic_long wall_ahead_s;

int clock_gettime(clockid_t clock, struct timespec *out)
{
    int n = (int)syscall(SYS_clock_gettime, clock, out);
    if (clock == CLOCK_REALTIME)
        out->tv_sec += atomic_load(&wall_ahead_s);
    return n;
}

static int set_up(void **state)
{
    atomic_store(&wall_ahead_s, 0);
    return fixture_set_up(state);
}

/* Of a group, of what its segment is cut to, and of the group in a new one. */
#define NEXT_SYNCS "fdatasync:1:EIO,fdatasync:2:EIO,fdatasync:3:EIO"

/* --- claims ------------------------------------------------------------------------------------------------------ */

struct asking {
    struct affinity_claim claim;
    char study[40], member[64];
    bool is_done, is_safe;
};

static void on_claimed(struct affinity_claim *c, const char *member, bool is_safe)
{
    struct asking *a = c->owner;
    snprintf(a->member, sizeof(a->member), "%s", member);
    a->is_safe = is_safe;
    a->is_done = true;
}

static void ask(struct affinity *a, struct asking *one, struct io *io, unsigned study, const char *member,
                const char *in_place_of, bool must_last)
{
    *one = (struct asking){.is_done = false};
    snprintf(one->study, sizeof(one->study), "1.2.%u", study);
    one->claim = (struct affinity_claim){.pool = "archive",
                                         .study = view_of(one->study),
                                         .member = member,
                                         .in_place_of = in_place_of,
                                         .must_last = must_last,
                                         .io = io,
                                         .owner = one,
                                         .on_done = on_claimed};
    affinity_claim(a, &one->claim);
    assert_false(one->is_done); /* never from inside */
}

/* Who has the study. */
static const char *claim(struct fixture *f, struct affinity *a, unsigned study, const char *member,
                         const char *in_place_of, bool must_last, bool is_safe)
{
    static struct asking one;
    ask(a, &one, f->loop.io, study, member, in_place_of, must_last);
    LOOP_UNTIL(&f->loop, one.is_done);
    assert_int_equal(one.is_safe, is_safe);
    return one.member;
}

/* "": it is new. */
static const char *find(struct affinity *a, const char *pool, unsigned study)
{
    static _Thread_local char member[64];
    char uid[40];
    snprintf(uid, sizeof(uid), "1.2.%u", study);
    return affinity_find(a, pool, view_of(uid), member, sizeof(member)) ? member : "";
}

static void a_study_stays_with_the_member_that_was_first(void **state)
{
    struct fixture *f = *state;
    struct affinity *a = affinity_new(NULL);
    assert_string_equal(find(a, "archive", 1), "");
    assert_string_equal(claim(f, a, 1, "a", NULL, false, true), "a");
    assert_string_equal(find(a, "archive", 1), "a");
    assert_string_equal(find(a, "backup", 1), "");
    assert_string_equal(find(a, "archive", 2), "");
    assert_string_equal(claim(f, a, 1, "b", NULL, true, true), "a");
    assert_string_equal(find(a, "archive", 1), "a");
    affinity_free(&a);
    assert_null(a);
}

static void a_member_that_is_lost_is_replaced_once(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct affinity *a = affinity_new(f->spool);
    assert_string_equal(claim(f, a, 1, "a", NULL, false, true), "a");
    assert_string_equal(claim(f, a, 1, "b", "a", true, true), "b");
    assert_string_equal(claim(f, a, 1, "c", "a", true, true), "b"); /* somebody was faster */
    assert_string_equal(find(a, "archive", 1), "b");
    assert_string_equal(claim(f, a, 2, "c", "a", false, true), "c"); /* it was forgotten meanwhile */
    affinity_free(&a);
}

static void a_name_that_does_not_fit_is_not_cut(void **state)
{
    struct fixture *f = *state;
    struct affinity *a = affinity_new(NULL);
    char member[4];
    assert_string_equal(claim(f, a, 1, "four", NULL, false, true), "four");
    assert_false(affinity_find(a, "archive", view_of("1.2.1"), member, sizeof(member)));
    affinity_free(&a);
}

/* While it is written down nobody finds it, and who claims the same waits for it. */
static void who_claims_what_is_being_written_waits_for_it(void **state)
{
    struct fixture *f = *state;
    static struct asking first, second, third;
    fixture_open(f);
    struct affinity *a = affinity_new(f->spool);
    ask(a, &first, f->loop.io, 1, "a", NULL, true);
    assert_string_equal(find(a, "archive", 1), "");
    ask(a, &second, f->loop.io, 1, "b", NULL, false);
    ask(a, &third, f->loop.io, 1, "c", "a", true);
    LOOP_UNTIL(&f->loop, first.is_done);
    LOOP_UNTIL(&f->loop, second.is_done && third.is_done);
    assert_string_equal(first.member, "a");
    assert_string_equal(second.member, "a");
    assert_string_equal(third.member, "c"); /* what it waited for is what it is to take the place of */
    assert_true(first.is_safe && second.is_safe && third.is_safe);
    assert_string_equal(find(a, "archive", 1), "c");
    affinity_free(&a);
}

static void what_cannot_be_written_is_told_and_new_to_the_next_claim(void **state)
{
    struct fixture *f = *state;
    static struct asking first, second;
    fixture_open(f);
    struct affinity *a = affinity_new(f->spool);
    assert_true(io_set_faults(NEXT_SYNCS));
    ask(a, &first, f->loop.io, 1, "a", NULL, true);
    ask(a, &second, f->loop.io, 1, "b", NULL, true);
    LOOP_UNTIL(&f->loop, first.is_done && second.is_done);
    assert_false(first.is_safe || second.is_safe);
    assert_string_equal(second.member, "a");
    assert_string_equal(find(a, "archive", 1), "");
    assert_true(io_set_faults(NEXT_SYNCS));
    assert_string_equal(claim(f, a, 1, "b", NULL, true, false), "b");
    assert_string_equal(claim(f, a, 1, "c", NULL, false, true),
                        "c"); /* which the hash finds: it need not be written */
    assert_string_equal(find(a, "archive", 1), "c");
    affinity_free(&a);
}

/* Its member may be back before the disk is. */
static void what_cannot_be_moved_stays_where_it_was(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct affinity *a = affinity_new(f->spool);
    assert_string_equal(claim(f, a, 1, "a", NULL, true, true), "a");
    assert_true(io_set_faults(NEXT_SYNCS));
    claim(f, a, 1, "b", "a", true, false);
    assert_string_equal(find(a, "archive", 1), "a");
    assert_string_equal(claim(f, a, 1, "c", "a", true, true), "c");
    affinity_free(&a);
}

/* --- many threads ---------------------------------------------------------------------------------------------------- */

enum { THREADS = 4, STUDIES = 400 };

struct claimer {
    pthread_t thread;
    struct affinity *affinity;
    unsigned index;
    char granted[STUDIES][64];
};

static void *run_claimer(void *owner)
{
    struct claimer *c = owner;
    static const char *const members[THREADS] = {"a", "b", "c", "d"};
    struct loop loop;
    loop_open(&loop, 1 << 20);
    for (unsigned n = 0; n < STUDIES; n++) {
        struct asking one;
        const char *found = find(c->affinity, "nothing", n);
        assert_string_equal(found, "");
        ask(c->affinity, &one, loop.io, n, members[c->index], NULL, n % 2 == 0);
        while (!one.is_done)
            loop_turn(&loop);
        assert_true(one.is_safe);
        snprintf(c->granted[n], sizeof(c->granted[n]), "%s", one.member);
    }
    loop_close(&loop);
    return NULL;
}

static void those_who_claim_at_the_same_moment_get_the_same_answer(void **state)
{
    struct fixture *f = *state;
    static struct claimer claimers[THREADS];
    fixture_open(f);
    struct affinity *a = affinity_new(f->spool);
    for (unsigned n = 0; n < THREADS; n++) {
        claimers[n] = (struct claimer){.affinity = a, .index = n};
        assert_int_equal(pthread_create(&claimers[n].thread, NULL, run_claimer, &claimers[n]), 0);
    }
    for (unsigned n = 0; n < THREADS; n++)
        assert_int_equal(pthread_join(claimers[n].thread, NULL), 0);
    for (unsigned n = 0; n < STUDIES; n++) {
        for (unsigned k = 1; k < THREADS; k++)
            assert_string_equal(claimers[k].granted[n], claimers[0].granted[n]);
        assert_string_equal(find(a, "archive", n), claimers[0].granted[n]);
    }
    affinity_free(&a);
    spool_close(&f->spool);
    fixture_open(f);
    a = affinity_new(f->spool); /* all of it, for it was ended in order */
    for (unsigned n = 0; n < STUDIES; n++)
        assert_string_equal(find(a, "archive", n), claimers[0].granted[n]);
    affinity_free(&a);
}

/* --- a process that is killed -------------------------------------------------------------------------------------------- */

/* Claims, tells at once what is safe, and goes on until it is killed. */
static void run_gateway(const struct spool_options *o, int to)
{
    struct fixture f = {.options = *o};
    loop_open(&f.loop, 1 << 20);
    fixture_open(&f);
    struct affinity *a = affinity_new(f.spool);
    for (unsigned n = 0;; n++) {
        struct asking one;
        ask(a, &one, f.loop.io, n, n % 2 ? "a" : "b", NULL, true);
        while (!one.is_done)
            loop_turn(&f.loop);
        if (one.is_safe)
            (void)!write(to, &n, sizeof(n));
    }
}

static void what_was_safe_is_found_after_a_kill(void **state)
{
    struct fixture *f = *state;
    int told[2];
    unsigned last = 0, n;
    assert_int_equal(pipe(told), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) { /* nothing of this process may be used in it but the folder */
        close(told[0]);
        run_gateway(&f->options, told[1]);
        _exit(0);
    }
    close(told[1]);
    while (last < 50 && read(told[0], &n, sizeof(n)) == sizeof(n))
        last = n;
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    while (read(told[0], &n, sizeof(n)) == sizeof(n))
        last = n;
    close(told[0]);
    assert_true(last >= 50);
    fixture_open(f);
    struct affinity *a = affinity_new(f->spool);
    for (n = 0; n <= last; n++)
        assert_string_equal(find(a, "archive", n), n % 2 ? "a" : "b");
    affinity_free(&a);
}

/* --- time ------------------------------------------------------------------------------------------------------------------- */

static void a_study_is_forgotten_a_day_after_it_was_asked_for_last(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct affinity *a = affinity_new(f->spool);
    (void)claim(f, a, 1, "a", NULL, true, true);
    (void)claim(f, a, 2, "a", NULL, true, true);
    atomic_store(&wall_ahead_s, 20 * HOUR_S);
    assert_string_equal(find(a, "archive", 1), "a");
    atomic_store(&wall_ahead_s, 40 * HOUR_S);
    assert_string_equal(find(a, "archive", 1), "a");
    assert_string_equal(find(a, "archive", 2), "");
    affinity_free(&a);
    spool_close(&f->spool);
    atomic_store(&wall_ahead_s, 63 * HOUR_S);
    fixture_open(f);
    a = affinity_new(f->spool); /* what was asked for again was written again */
    assert_string_equal(find(a, "archive", 2), "");
    assert_string_equal(find(a, "archive", 1), "a");
    atomic_store(&wall_ahead_s, 100 * HOUR_S);
    assert_string_equal(claim(f, a, 1, "b", NULL, true, true), "b"); /* it is new */
    affinity_free(&a);
}

static void a_clock_that_was_far_ahead_keeps_nothing_for_longer(void **state)
{
    struct fixture *f = *state;
    atomic_store(&wall_ahead_s, 1000 * HOUR_S);
    fixture_open(f);
    struct affinity *a = affinity_new(f->spool);
    (void)claim(f, a, 1, "a", NULL, true, true);
    atomic_store(&wall_ahead_s, 0);
    assert_string_equal(find(a, "archive", 1), "");
    assert_string_equal(claim(f, a, 1, "b", NULL, true, true), "b"); /* although its time is older */
    affinity_free(&a);
    spool_close(&f->spool);
    fixture_open(f);
    a = affinity_new(f->spool);
    assert_string_equal(find(a, "archive", 1), "b");
    affinity_free(&a);
}

/* --- much ---------------------------------------------------------------------------------------------------------------------- */

static unsigned counted;

static void on_counted_claim(struct affinity_claim *c, const char *member, bool is_safe)
{
    (void)c;
    (void)member;
    counted += is_safe;
}

/* So many studies, each the next hundredth of a second. */
static void claim_many(struct fixture *f, struct affinity *a, unsigned first, unsigned count)
{
    enum { AT_ONCE = 4096 };
    static struct asking all[AT_ONCE];
    for (unsigned n = 0; n < count;) {
        counted = 0;
        unsigned some = count - n < AT_ONCE ? count - n : AT_ONCE;
        for (unsigned k = 0; k < some; k++, n++) {
            ask(a, &all[k], f->loop.io, first + n, "a", NULL, false);
            all[k].claim.on_done = on_counted_claim;
        }
        while (counted < some)
            loop_turn(&f->loop);
        atomic_fetch_add(&wall_ahead_s, 41); /* the last ones came within ten hours */
    }
}

static void past_its_bound_the_oldest_are_forgotten(void **state)
{
    struct fixture *f = *state;
    enum { MORE = 400000 };
    unsigned old = 0, young = 0;
    if (getenv("HILUM_TEST_SLOW"))
        skip();
    struct affinity *a = affinity_new(NULL);
    claim_many(f, a, 0, AFFINITY_MOST + MORE);
    for (unsigned n = 0; n < MORE; n++) {
        old += *find(a, "archive", n) != '\0';
        young += *find(a, "archive", AFFINITY_MOST + n) != '\0';
    }
    assert_int_equal(old, 0);
    assert_int_equal(young, MORE);
    assert_string_equal(claim(f, a, 7, "b", NULL, false, true), "b"); /* new again */
    affinity_free(&a);
}

/* An hour of new studies: the next syncs would fail, and they are still to come when all of them have been claimed. */
static void a_hundred_thousand_studies_are_noted_without_a_sync(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct affinity *a = affinity_new(f->spool);
    assert_true(io_set_faults(NEXT_SYNCS));
    uint64_t since = clock_ms();
    claim_many(f, a, 0, 100000);
    print_message("100,000 claims took %llu ms\n", (unsigned long long)(clock_ms() - since));
    assert_string_equal(claim(f, a, 100000, "b", NULL, true, false), "b");
    affinity_free(&a);
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_study_stays_with_the_member_that_was_first),
        TEST(a_member_that_is_lost_is_replaced_once),
        TEST(a_name_that_does_not_fit_is_not_cut),
        TEST(who_claims_what_is_being_written_waits_for_it),
        TEST(what_cannot_be_written_is_told_and_new_to_the_next_claim),
        TEST(what_cannot_be_moved_stays_where_it_was),
        TEST(those_who_claim_at_the_same_moment_get_the_same_answer),
        TEST(what_was_safe_is_found_after_a_kill),
        TEST(a_study_is_forgotten_a_day_after_it_was_asked_for_last),
        TEST(a_clock_that_was_far_ahead_keeps_nothing_for_longer),
        TEST(past_its_bound_the_oldest_are_forgotten),
        TEST(a_hundred_thousand_studies_are_noted_without_a_sync),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
