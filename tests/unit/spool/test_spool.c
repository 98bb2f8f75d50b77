/* The queue as its users see it: what is stored comes out, goes where it should, and makes room. */
#include "test_spool.h"

#include <pthread.h>
#include <sys/stat.h>

/* --- folders -------------------------------------------------------------------------------------------------------- */

static void write_file(const struct fixture *f, const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", f->folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void what_is_no_spool_of_ours_is_refused_and_untouched(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *name, *text, *why;
    } cases[] = {
        {"version", "hilum spool 2\n", "newer"},
        {"version", "hilum spool 17\n", "newer"},
        {"version", "something else\n", "does not say"},
        {"holiday.jpg", "", "not empty"},
    };
    for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
        char why[512] = "";
        write_file(f, cases[n].name, cases[n].text);
        assert_int_equal(spool_open(&f->options, &f->spool, why, sizeof(why)), ERR_USAGE);
        assert_null(f->spool);
        assert_non_null(strstr(why, cases[n].why));
        assert_non_null(strstr(why, f->folder));
        assert_false(exists(f, "index.db"));
        assert_false(exists(f, "00000001"));
        char path[512];
        snprintf(path, sizeof(path), "%s/%s", f->folder, cases[n].name);
        unlink(path);
        assert_false(exists(f, "version"));
    }
}

static void a_new_file_system_and_a_half_made_spool_are_taken(void **state)
{
    struct fixture *f = *state;
    char path[512];
    snprintf(path, sizeof(path), "%s/lost+found", f->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    write_file(f, "version", "hilum sp"); /* a crash while it was written */
    fixture_open(f);
    assert_true(spool_is_well(f->spool));
    spool_close(&f->spool);
    char text[32] = "";
    snprintf(path, sizeof(path), "%s/version", f->folder);
    FILE *file = fopen(path, "r");
    assert_non_null(fgets(text, sizeof(text), file));
    fclose(file);
    assert_string_equal(text, "hilum spool 1\n");
    fixture_open(f);
}

static void a_folder_that_cannot_be_made_is_named(void **state)
{
    struct fixture *f = *state;
    char path[512], why[512] = "";
    snprintf(path, sizeof(path), "%s/not/there", f->folder);
    f->options.path = path;
    assert_int_equal(spool_open(&f->options, &f->spool, why, sizeof(why)), ERR_IO);
    assert_non_null(strstr(why, path));
}

/* --- in and out ------------------------------------------------------------------------------------------------------ */

/* What there is no room for goes where room was kept; without that the cause is told. */
static void a_start_without_room_takes_what_is_spare(void **state)
{
    struct fixture *f = *state;
    char why[512] = "", path[300];
    fixture_open(f);
    spool_close(&f->spool);
    assert_true(exists(f, "spare"));
    assert_true(io_set_faults("write:1:ENOSPC,allocate:1+:ENOSPC"));
    fixture_open(f);
    spool_close(&f->spool);
    snprintf(path, sizeof(path), "%s/spare", f->folder);
    struct stat is;
    assert_true(stat(path, &is) == 0 && is.st_size == 0);
    assert_true(io_set_faults("write:1:ENOSPC"));
    assert_int_equal(spool_open(&f->options, &f->spool, why, sizeof(why)), ERR_IO);
    assert_non_null(strstr(why, io_error_name(IO_NO_SPACE)));
}

static void a_message_comes_out_as_it_went_in(void **state)
{
    struct fixture *f = *state;
    static struct feed pacs, ai;
    char path[SPOOL_PATH_MAX];
    fixture_open(f);
    feed_open(f, &pacs, "pacs");
    feed_open(f, &ai, "ai");
    LOOP_UNTIL(&f->loop, pacs.dues == 1 && ai.dues == 1); /* once after it was opened */
    assert_int_equal(feed_ask(f, &pacs, 10), 0);
    assert_int_equal(store(f, 42, 700000, "pacs", "ai"), SPOOL_DONE);
    LOOP_UNTIL(&f->loop, pacs.dues == 2 && ai.dues == 2);
    assert_int_equal(feed_ask(f, &pacs, 10), 1);
    assert_int_equal(pacs.list->data.bytes, 700000);
    assert_true(is_whole(f->folder, pacs.list));
    assert_string_equal(pacs.list->calling, "CT1");
    assert_true(spool_segment_path(f->spool, pacs.list->data.extents[0].generation,
                                   pacs.list->data.extents[0].segment, path));
    assert_int_equal(access(path, R_OK), 0);
    assert_int_equal(feed_ask(f, &pacs, 10), 0); /* not twice */
    assert_int_equal(feed_ask(f, &ai, 10), 1);
    give(f, ai.list->id, SPOOL_DELIVERED, 0);
    LOOP_UNTIL(&f->loop, count_state(f->folder, SPOOL_DELIVERED) == 1);
    feed_close(f, &pacs);
    feed_close(f, &ai);
    spool_close(&f->spool); /* pacs has said nothing of it */
    fixture_open(f);
    feed_open(f, &pacs, "pacs");
    feed_open(f, &ai, "ai");
    assert_int_equal(feed_ask(f, &pacs, 10), 1);
    assert_true(is_whole(f->folder, pacs.list));
    assert_int_equal(feed_ask(f, &ai, 10), 0);
    feed_close(f, &pacs);
    feed_close(f, &ai);
}

static void a_feed_is_told_once_while_it_has_not_listened(void **state)
{
    struct fixture *f = *state;
    static struct feed pacs;
    struct storing all[20] = {{0}};
    fixture_open(f);
    feed_open(f, &pacs, "pacs");
    LOOP_UNTIL(&f->loop, pacs.dues == 1);
    for (uint64_t n = 0; n < 20; n++)
        store_begin(&all[n], f->spool, f->loop.io, n, 1000, "pacs", NULL);
    unsigned polls = 0;
    while (count_state(f->folder, SPOOL_QUEUED) < 20 && polls++ < 2000)
        usleep(5000); /* the loop does not turn meanwhile */
    assert_int_equal(count_state(f->folder, SPOOL_QUEUED), 20);
    LOOP_UNTIL(&f->loop, pacs.dues == 2);
    unsigned wakes = f->loop.wakes;
    LOOP_UNTIL(&f->loop, f->loop.wakes > wakes + 3);
    assert_int_equal(pacs.dues, 2);
    for (uint64_t n = 0; n < 20; n++)
        assert_true(all[n].is_done);
    feed_close(f, &pacs);
}

static void what_a_closed_feed_had_goes_to_the_next(void **state)
{
    struct fixture *f = *state;
    static struct feed pacs, next;
    fixture_open(f);
    for (uint64_t n = 0; n < 30; n++)
        assert_int_equal(store(f, n, 1000, "pacs", NULL), SPOOL_DONE);
    settle(f, 30);
    feed_open(f, &pacs, "pacs");
    assert_int_equal(feed_ask(f, &pacs, 20), 20);
    unsigned n = 0;
    for (struct spool_entry *e = pacs.list; e; e = e->next, n++)
        if (n % 2 == 0)
            give(f, e->id, SPOOL_DELIVERED, 0); /* still on its way through the log when the feed is closed */
    feed_close(f, &pacs);
    feed_open(f, &next, "pacs");
    assert_int_equal(feed_ask(f, &next, 100), 20); /* ten of the twenty, and ten that nobody had */
    for (struct spool_entry *e = next.list; e; e = e->next)
        assert_true(number_of(e) >= 20 || number_of(e) % 2 == 1);
    feed_close(f, &next);
}

/* Again and again, since the log is quick: an outcome that is on its way when its feed is closed is not overtaken by the next feed. */
static void an_outcome_given_before_a_feed_is_closed_counts_for_the_next(void **state)
{
    enum { ROUNDS = 200 };
    struct fixture *f = *state;
    static struct feed pacs;
    static struct storing all[ROUNDS];
    static bool was_delivered[ROUNDS];
    memset(all, 0, sizeof(all));
    memset(was_delivered, 0, sizeof(was_delivered));
    fixture_open(f);
    for (uint64_t n = 0; n < ROUNDS; n++)
        store_begin(&all[n], f->spool, f->loop.io, n, 100, "pacs", NULL);
    LOOP_UNTIL(&f->loop, all[ROUNDS - 1].is_done);
    settle(f, ROUNDS);
    for (unsigned n = 0; n < ROUNDS; n++) {
        feed_open(f, &pacs, "pacs");
        assert_int_equal(feed_ask(f, &pacs, 1), 1);
        assert_false(was_delivered[number_of(pacs.list)]);
        was_delivered[number_of(pacs.list)] = true;
        give(f, pacs.list->id, SPOOL_DELIVERED, 0);
        feed_close(f, &pacs);
    }
}

static void a_question_that_is_open_is_answered_before_the_feed_is_closed(void **state)
{
    struct fixture *f = *state;
    static struct feed pacs;
    fixture_open(f);
    assert_int_equal(store(f, 1, 1000, "pacs", NULL), SPOOL_DONE);
    for (unsigned n = 0; n < 50; n++) {
        feed_open(f, &pacs, "pacs");
        spool_feed_next(f->spool, &pacs.feed, 5, (struct spool_range){0});
        feed_close(f, &pacs);
        assert_int_equal(pacs.answers, 1);
    }
}

static void what_waits_comes_again_when_it_is_due(void **state)
{
    struct fixture *f = *state;
    static struct feed pacs;
    fixture_open(f);
    assert_int_equal(store(f, 1, 1000, "pacs", NULL), SPOOL_DONE);
    feed_open(f, &pacs, "pacs");
    feed_await(f, &pacs, 5);
    uint64_t due = clock_wall_ms() + 300;
    give(f, pacs.list->id, SPOOL_WAITING, due);
    LOOP_UNTIL(&f->loop, count_state(f->folder, SPOOL_WAITING) == 1);
    assert_int_equal(feed_ask(f, &pacs, 5), 0);
    feed_await(f, &pacs, 5);
    assert_true(clock_wall_ms() >= due);
    assert_true(clock_wall_ms() < due + 3000);
    assert_int_equal(pacs.list->attempts, 1);
    assert_int_equal(pacs.list->status, 0xA700);
    give(f, pacs.list->id, SPOOL_QUEUED, 0); /* at once */
    feed_await(f, &pacs, 5);
    feed_close(f, &pacs);
}

static void outcomes_and_notes_given_before_closing_are_written_and_indexed(void **state)
{
    struct fixture *f = *state;
    static struct feed pacs;
    struct index *i;
    char path[300], why[256];
    struct log_position at;
    fixture_open(f);
    for (uint64_t n = 0; n < 200; n++)
        assert_int_equal(store(f, n, 100, "pacs", NULL), SPOOL_DONE);
    settle(f, 200);
    struct spool_notes *notes = spool_notes_new(f->spool, f->loop.io);
    feed_open(f, &pacs, "pacs");
    assert_int_equal(feed_ask(f, &pacs, 200), 200);
    static spool_id ids[200];
    unsigned count = 0;
    for (struct spool_entry *e = pacs.list; e; e = e->next)
        ids[count++] = e->id;
    feed_close(f, &pacs);
    struct spool_relayed r = {.at_ms = 1000,
                              .node = "ai",
                              .route = "CT",
                              .calling = "CT1",
                              .called = "HILUM",
                              .remote = "10.0.0.1",
                              .sop_instance = view_of("7.7")};
    spool_note(notes, &r);
    while (count > 0) /* nothing lies between these and the end */
        give(f, ids[--count], SPOOL_DELIVERED, 0);
    spool_notes_free(&notes);
    spool_close(&f->spool);
    assert_int_equal(count_state(f->folder, SPOOL_DELIVERED), 200);
    assert_int_equal(count_state(f->folder, SPOOL_RELAYED), 1);
    snprintf(path, sizeof(path), "%s/index.db", f->folder);
    assert_int_equal(index_open(path, true, &i, why, sizeof(why)), OK);
    assert_int_equal(index_place(i, 1, &at), OK);
    index_close(&i);
    struct stat log;
    snprintf(path, sizeof(path), "%s/00000001/00000001.log", f->folder);
    assert_int_equal(stat(path, &log), 0);
    assert_int_equal(at.offset, log.st_size); /* nothing is left to be read */
}

/* --- many at once ---------------------------------------------------------------------------------------------------- */

enum { THREADS = 4, EACH = 150 };

struct sender {
    pthread_t thread;
    struct spool *spool;
    unsigned index, failed;
    atomic_uint stored;
};

/* Its own ring, one message after another, of many sizes. */
static void *run_sender(void *owner)
{
    struct sender *s = owner;
    struct loop loop;
    loop_open(&loop, 1 << 20);
    for (unsigned n = 0; n < EACH; n++) {
        struct storing one = {0};
        uint64_t number = s->index * 1000 + n;
        store_begin(&one, s->spool, loop.io, number, 1 + number * 7919 % 600000, "pacs", n % 3 ? "ai" : NULL);
        while (!one.is_done)
            loop_turn(&loop);
        s->failed += one.error != SPOOL_DONE;
        atomic_fetch_add(&s->stored, 1);
    }
    loop_close(&loop);
    return NULL;
}

struct arrivals {
    unsigned char times[THREADS * 1000];
    unsigned count, damaged;
};

static void take_arrivals(struct fixture *f, struct feed *feed, struct arrivals *a, unsigned *tries)
{
    for (struct spool_entry *e = feed->list; e; e = e->next) {
        bool is_refused = ++*tries % 7 == 0;
        a->damaged += !is_whole(f->folder, e);
        if (!is_refused) {
            a->times[number_of(e)]++;
            a->count++;
        }
        give(f, e->id, is_refused ? SPOOL_WAITING : SPOOL_DELIVERED, clock_wall_ms() + 20);
    }
    spool_entries_free(&feed->list);
}

static void everything_from_many_threads_arrives_once_at_each_node(void **state)
{
    struct fixture *f = *state;
    static struct arrivals at_pacs, at_ai;
    struct sender senders[THREADS];
    static struct feed pacs, ai;
    unsigned tries = 0, for_ai = 0;
    memset(&at_pacs, 0, sizeof(at_pacs));
    memset(&at_ai, 0, sizeof(at_ai));
    fixture_open(f);
    feed_open(f, &pacs, "pacs");
    feed_open(f, &ai, "ai");
    for (unsigned n = 0; n < THREADS; n++) {
        senders[n] = (struct sender){.spool = f->spool, .index = n};
        assert_int_equal(pthread_create(&senders[n].thread, NULL, run_sender, &senders[n]), 0);
    }
    for (unsigned n = 0; n < THREADS * EACH; n++)
        for_ai += n % EACH % 3 ? 1 : 0;
    uint64_t until = clock_ms() + 60000;
    while ((at_pacs.count < THREADS * EACH || at_ai.count < for_ai) && clock_ms() < until) {
        feed_ask(f, &pacs, 16);
        take_arrivals(f, &pacs, &at_pacs, &tries);
        feed_ask(f, &ai, 5);
        take_arrivals(f, &ai, &at_ai, &tries);
    }
    for (unsigned n = 0; n < THREADS; n++) {
        pthread_join(senders[n].thread, NULL);
        assert_int_equal(senders[n].failed, 0);
    }
    assert_int_equal(at_pacs.damaged + at_ai.damaged, 0);
    for (unsigned n = 0; n < THREADS; n++) {
        for (unsigned k = 0; k < EACH; k++) {
            assert_int_equal(at_pacs.times[n * 1000 + k], 1);
            assert_int_equal(at_ai.times[n * 1000 + k], k % 3 ? 1 : 0);
        }
    }
    /* The log was longer than a segment: what was delivered makes room. */
    LOOP_UNTIL(&f->loop, !exists(f, "00000001/00000001.log"));
    feed_close(f, &pacs);
    feed_close(f, &ai);
    spool_close(&f->spool);
    assert_int_equal(count_state(f->folder, SPOOL_DELIVERED), THREADS * EACH + for_ai);
    assert_int_equal(count_rows(f->folder, (struct index_filter){.states = 0xf}), 0);
    /* The next process has nothing to do with the last one's generation. */
    fixture_open(f);
    LOOP_UNTIL(&f->loop, !exists(f, "00000001"));
    assert_true(exists(f, "00000002/lock"));
}

static void a_segment_stays_while_one_entry_in_it_has_failed(void **state)
{
    struct fixture *f = *state;
    static struct feed pacs;
    struct index *i;
    char path[300], why[256];
    int64_t ticket;
    fixture_open(f);
    feed_open(f, &pacs, "pacs");
    assert_int_equal(store(f, 1, 1000, "pacs", NULL), SPOOL_DONE);
    feed_await(f, &pacs, 1);
    spool_id failed = pacs.list->id;
    give(f, failed, SPOOL_FAILED_FOR_GOOD, 0);
    for (uint64_t n = 2; n < 27; n++) { /* past two segments */
        assert_int_equal(store(f, n, 6 << 20, "pacs", NULL), SPOOL_DONE);
        feed_await(f, &pacs, 1);
        deliver_list(f, &pacs);
    }
    assert_true(exists(f, "00000001/00000003.log"));
    LOOP_UNTIL(&f->loop, !exists(f, "00000001/00000002.log"));
    assert_true(exists(f, "00000001/00000001.log"));
    snprintf(path, sizeof(path), "%s/index.db", f->folder);
    assert_int_equal(index_open(path, false, &i, why, sizeof(why)), OK);
    assert_int_equal(index_order(i, &failed, 1, true, NULL, &ticket), OK);
    LOOP_UNTIL(&f->loop, !exists(f, "00000001/00000001.log")); /* somebody has given it up */
    index_close(&i);
    feed_close(f, &pacs);
}

static void on_written(struct spool_write *w, enum spool_error error)
{
    assert_int_equal(error, SPOOL_DONE);
    *(bool *)w->owner = true;
}

/* A message whose first half lies in a segment where all else is done with, and whose end comes much later. */
static void a_draft_that_is_open_keeps_its_segments(void **state)
{
    struct fixture *f = *state;
    static struct feed pacs;
    bool is_done = false;
    uint8_t halves[2][1000];
    for (uint64_t at = 0; at < 2000; at++)
        halves[at / 1000][at % 1000] = byte_of(500, at);
    struct spool_part parts[] = {{halves[0], 1000}, {halves[1], 1000}};
    struct spool_new_entry entry = {.node = "pacs", .route = "CT", .edition = SPOOL_AS_RECEIVED};
    struct spool_commit commit = {.facts = facts_of("1.2.3.500", ""), .entries = &entry, .entry_count = 1};
    fixture_open(f);
    feed_open(f, &pacs, "pacs");
    struct spool_write w = {.draft = spool_draft_new(f->spool),
                            .io = f->loop.io,
                            .owner = &is_done,
                            .on_done = on_written,
                            .parts = &parts[0],
                            .part_count = 1};
    spool_write(f->spool, &w);
    LOOP_UNTIL(&f->loop, is_done);
    for (uint64_t n = 1; n < 26; n++) {
        assert_int_equal(store(f, n, 6 << 20, "pacs", NULL), SPOOL_DONE);
        feed_await(f, &pacs, 1);
        deliver_list(f, &pacs);
    }
    LOOP_UNTIL(&f->loop, !exists(f, "00000001/00000002.log"));
    assert_true(exists(f, "00000001/00000001.log"));
    is_done = false;
    w.parts = &parts[1];
    w.commit = &commit;
    spool_write(f->spool, &w);
    LOOP_UNTIL(&f->loop, is_done);
    spool_draft_free(&w.draft);
    feed_await(f, &pacs, 1);
    assert_int_equal(number_of(pacs.list), 500);
    assert_true(is_whole(f->folder, pacs.list));
    deliver_list(f, &pacs);
    LOOP_UNTIL(&f->loop, !exists(f, "00000001/00000001.log"));
    feed_close(f, &pacs);
}

/* --- orders, history ------------------------------------------------------------------------------------------------- */

static size_t orders_left(struct index *i, int64_t ticket)
{
    size_t left;
    assert_int_equal(index_orders_left(i, ticket, &left), OK);
    return left;
}

static void orders_of_another_process_are_carried_out(void **state)
{
    struct fixture *f = *state;
    static struct feed pacs, backup;
    struct index *i;
    char path[300], why[256];
    int64_t ticket;
    spool_id ids[4];
    fixture_open(f);
    feed_open(f, &pacs, "pacs");
    feed_open(f, &backup, "backup");
    for (uint64_t n = 0; n < 4; n++) {
        assert_int_equal(store(f, n, 1000, "pacs", NULL), SPOOL_DONE);
        feed_await(f, &pacs, 1);
        ids[n] = pacs.list->id;
        give(f, ids[n], n == 3 ? SPOOL_WAITING : SPOOL_FAILED_FOR_GOOD, clock_wall_ms() + 3600000);
    }
    LOOP_UNTIL(&f->loop, count_state(f->folder, SPOOL_FAILED_FOR_GOOD) == 3);
    snprintf(path, sizeof(path), "%s/index.db", f->folder);
    assert_int_equal(index_open(path, false, &i, why, sizeof(why)), OK);
    assert_int_equal(index_order(i, (const spool_id[]){ids[0], ids[3]}, 2, false, NULL, &ticket), OK);
    LOOP_UNTIL(&f->loop, orders_left(i, ticket) == 0);
    assert_int_equal(feed_await(f, &pacs, 5), 2);
    assert_int_equal(index_order(i, &ids[1], 1, false, "backup", &ticket), OK);
    feed_await(f, &backup, 5);
    assert_int_equal(backup.list->id, ids[1]);
    assert_int_equal(index_order(i, &ids[2], 1, true, NULL, &ticket), OK);
    LOOP_UNTIL(&f->loop, orders_left(i, ticket) == 0);
    index_close(&i);
    feed_close(f, &pacs);
    feed_close(f, &backup);
    spool_close(&f->spool);
    assert_int_equal(count_state(f->folder, SPOOL_DROPPED), 1);
    assert_int_equal(count_state(f->folder, SPOOL_QUEUED), 3);
    assert_int_equal(count_rows(f->folder, (struct index_filter){.node = "backup"}), 1);
}

static void orders_left_for_a_stopped_one_are_carried_out_at_the_start(void **state)
{
    struct fixture *f = *state;
    struct index *i;
    char path[300], why[256];
    int64_t ticket;
    fixture_open(f);
    assert_int_equal(store(f, 1, 1000, "gone", NULL), SPOOL_DONE);
    spool_close(&f->spool);
    snprintf(path, sizeof(path), "%s/index.db", f->folder);
    assert_int_equal(index_open(path, false, &i, why, sizeof(why)), OK);
    spool_id id = (spool_id)1 << SPOOL_ID_BITS;
    while (true) { /* whatever number it has */
        struct spool_entry *e;
        assert_int_equal(index_entry(i, ++id, &e), OK);
        if (e) {
            spool_entry_free(&e);
            break;
        }
    }
    assert_int_equal(index_order(i, &id, 1, false, "pacs", &ticket), OK);
    fixture_open(f);
    LOOP_UNTIL(&f->loop, orders_left(i, ticket) == 0);
    index_close(&i);
    static struct feed pacs;
    feed_open(f, &pacs, "pacs");
    feed_await(f, &pacs, 5);
    assert_int_equal(number_of(pacs.list), 1);
    feed_close(f, &pacs);
}

static void without_history_what_was_delivered_is_forgotten(void **state)
{
    struct fixture *f = *state;
    static struct feed pacs;
    f->options.history_ms = 0;
    fixture_open(f);
    feed_open(f, &pacs, "pacs");
    assert_int_equal(store(f, 1, 1000, "pacs", NULL), SPOOL_DONE);
    assert_int_equal(store(f, 2, 1000, "pacs", NULL), SPOOL_DONE);
    feed_await(f, &pacs, 1);
    deliver_list(f, &pacs);
    feed_close(f, &pacs);
    spool_close(&f->spool);
    fixture_open(f);
    LOOP_UNTIL(&f->loop, count_rows(f->folder, (struct index_filter){0}) == 1);
}

/* --- disks that fail -------------------------------------------------------------------------------------------------- */

/* Faults are set before there are threads: they come after some calls that go well. Returns how many messages went well, and what the next said. */
static unsigned store_until_it_fails(struct fixture *f, enum spool_error *error_out)
{
    for (unsigned n = 0; n < 100; n++) {
        *error_out = store(f, n, 1000, "pacs", NULL);
        if (*error_out != SPOOL_DONE)
            return n;
    }
    fail_msg("nothing failed");
    return 0;
}

static void what_is_not_synced_is_not_stored_and_it_gets_well_again(void **state)
{
    struct fixture *f = *state;
    static struct feed pacs;
    enum spool_error error;
    assert_true(
        io_set_faults("fdatasync:6:EIO,fdatasync:7:EIO,fdatasync:8:EIO,fdatasync:9:EIO,fdatasync:10:EIO"));
    fixture_open(f);
    unsigned stored = store_until_it_fails(f, &error);
    assert_true(stored > 0);
    assert_int_equal(error, SPOOL_FAILED);
    assert_false(spool_is_well(f->spool));
    LOOP_UNTIL(&f->loop, spool_is_well(f->spool));
    assert_int_equal(store(f, 1000, 1000, "pacs", NULL), SPOOL_DONE);
    settle(f, stored + 1);
    feed_open(f, &pacs, "pacs");
    assert_int_equal(feed_ask(f, &pacs, 100), stored + 1);
    for (struct spool_entry *e = pacs.list; e; e = e->next) {
        assert_true(number_of(e) < stored || number_of(e) == 1000);
        assert_true(is_whole(f->folder, e));
    }
    feed_close(f, &pacs);
}

/* A full disk takes no outcome either; nobody tries again what was delivered, and nobody waits for ever. */
static void an_outcome_that_the_log_has_lost_still_counts(void **state)
{
    struct fixture *f = *state;
    static struct feed pacs;
    enum spool_error error;
    assert_true(io_set_faults("write:8+:ENOSPC"));
    fixture_open(f);
    unsigned stored = store_until_it_fails(f, &error);
    assert_true(stored >= 2);
    assert_int_equal(error, SPOOL_FULL);
    settle(f, stored);
    feed_open(f, &pacs, "pacs");
    assert_int_equal(feed_ask(f, &pacs, 2), 2);
    give(f, pacs.list->id, SPOOL_DELIVERED, 0);
    give(f, pacs.list->next->id, SPOOL_WAITING, clock_wall_ms() + 100);
    LOOP_UNTIL(&f->loop, count_state(f->folder, SPOOL_DELIVERED) == 1);
    bool is_back = false;
    while (!is_back) {
        feed_await(f, &pacs, 1);
        is_back = pacs.list->attempts == 1;
        assert_int_not_equal(number_of(pacs.list), 0);
    }
    assert_int_equal(number_of(pacs.list), 1);
    feed_close(f, &pacs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_no_spool_of_ours_is_refused_and_untouched),
        TEST(a_new_file_system_and_a_half_made_spool_are_taken),
        TEST(a_folder_that_cannot_be_made_is_named),
        TEST(a_start_without_room_takes_what_is_spare),
        TEST(a_message_comes_out_as_it_went_in),
        TEST(a_feed_is_told_once_while_it_has_not_listened),
        TEST(what_a_closed_feed_had_goes_to_the_next),
        TEST(an_outcome_given_before_a_feed_is_closed_counts_for_the_next),
        TEST(a_question_that_is_open_is_answered_before_the_feed_is_closed),
        TEST(what_waits_comes_again_when_it_is_due),
        TEST(outcomes_and_notes_given_before_closing_are_written_and_indexed),
        TEST(everything_from_many_threads_arrives_once_at_each_node),
        TEST(a_segment_stays_while_one_entry_in_it_has_failed),
        TEST(a_draft_that_is_open_keeps_its_segments),
        TEST(orders_of_another_process_are_carried_out),
        TEST(orders_left_for_a_stopped_one_are_carried_out_at_the_start),
        TEST(without_history_what_was_delivered_is_forgotten),
        TEST(what_is_not_synced_is_not_stored_and_it_gets_well_again),
        TEST(an_outcome_that_the_log_has_lost_still_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
