/* Held groups as workers see them: who is asked, when, and what becomes of the answer, whatever happens in between. */
#include "test_spool.h"

#include <sys/stat.h>

struct asker {
    struct spool_studies studies;
    struct spool *spool;
    const char *adds; /* what it answers at once, if it does */
    bool is_silent;
    unsigned asked, instances;
    char uid[64], route[64];
    bool is_closed;
};

static void answer(struct asker *a)
{
    assert_true(spool_study_release(a->spool, &a->studies, &a->adds, a->adds ? 1 : 0));
}

static void on_study(struct spool_studies *s, const struct spool_study *study)
{
    struct asker *a = s->owner;
    a->asked++;
    a->instances = (unsigned)study->instances;
    snprintf(a->uid, sizeof(a->uid), "%s", study->uid);
    snprintf(a->route, sizeof(a->route), "%s", study->route);
    if (!a->is_silent)
        answer(a);
}

static void on_closed(struct spool_studies *s)
{
    ((struct asker *)s->owner)->is_closed = true;
}

static void asker_open(struct fixture *f, struct asker *a, unsigned part, unsigned parts, const char *adds)
{
    *a = (struct asker){.spool = f->spool,
                        .adds = adds,
                        .studies = {.part = part,
                                    .parts = parts,
                                    .io = f->loop.io,
                                    .owner = a,
                                    .on_study = on_study,
                                    .on_closed = on_closed}};
    spool_studies_open(f->spool, &a->studies);
}

static void asker_close(struct fixture *f, struct asker *a)
{
    spool_studies_close(f->spool, &a->studies);
    LOOP_UNTIL(&f->loop, a->is_closed);
}

static void on_stored(struct spool_write *w, enum spool_error error)
{
    struct storing *s = w->owner;
    s->error = error;
    s->is_done = true;
    spool_draft_free(&w->draft);
}

/* 20000 bytes of study 1.2.(number / 10), held for "pacs". */
static void store_held(struct fixture *f, uint64_t number, const char *route, uint64_t hold_ms)
{
    static uint8_t bytes[20000];
    struct storing s = {.number = number};
    for (uint64_t at = 0; at < sizeof(bytes); at++)
        bytes[at] = byte_of(number, at);
    snprintf(s.instance, sizeof(s.instance), "1.2.3.%llu", (unsigned long long)number);
    snprintf(s.study, sizeof(s.study), "1.2.%llu", (unsigned long long)(number / 10));
    s.entries[0] = (struct spool_new_entry){.node = "pacs",
                                            .route = route,
                                            .edition = SPOOL_AS_RECEIVED,
                                            .hold_ms = hold_ms,
                                            .group = "study",
                                            .asks = true};
    s.commit =
        (struct spool_commit){.facts = facts_of(s.instance, s.study), .entries = s.entries, .entry_count = 1};
    s.part = (struct spool_part){bytes, sizeof(bytes)};
    s.write = (struct spool_write){.draft = spool_draft_new(f->spool),
                                   .io = f->loop.io,
                                   .owner = &s,
                                   .on_done = on_stored,
                                   .parts = &s.part,
                                   .part_count = 1,
                                   .commit = &s.commit};
    spool_write(f->spool, &s.write);
    LOOP_UNTIL(&f->loop, s.is_done);
    assert_int_equal(s.error, SPOOL_DONE);
}

static void a_group_is_asked_about_once_and_goes_with_what_was_answered(void **state)
{
    struct fixture *f = *state;
    static struct asker a;
    static struct feed pacs, ai;
    fixture_open(f);
    asker_open(f, &a, 0, 1, "ai");
    feed_open(f, &pacs, "pacs");
    feed_open(f, &ai, "ai");
    for (uint64_t n = 10; n < 15; n++)
        store_held(f, n, "CT", 300);
    assert_int_equal(a.asked, 0);
    assert_int_equal(feed_ask(f, &pacs, 10), 0);
    assert_int_equal(feed_await(f, &pacs, 10), 5);
    assert_int_equal(feed_await(f, &ai, 10), 5);
    assert_int_equal(a.asked, 1);
    assert_int_equal(a.instances, 5);
    assert_string_equal(a.uid, "1.2.1");
    assert_string_equal(a.route, "CT");
    assert_true(ai.list->group != 0);
    assert_int_equal(ai.list->group, ai.list->next->group);
    assert_int_equal(ai.list->group, pacs.list->group);
    deliver_list(f, &ai);
    deliver_list(f, &pacs);
    LOOP_UNTIL(&f->loop, count_state(f->folder, SPOOL_DELIVERED) == 10);
    asker_close(f, &a);
    feed_close(f, &pacs);
    feed_close(f, &ai);
}

static void each_route_has_one_who_is_asked_and_each_is_asked_one_at_a_time(void **state)
{
    struct fixture *f = *state;
    static struct asker all[3];
    static const char *const routes[] = {"CT", "MR", "US", "XA", "NM", "PT"};
    unsigned sum = 0;
    fixture_open(f);
    for (unsigned n = 0; n < 3; n++) {
        asker_open(f, &all[n], n, 3, NULL);
        all[n].is_silent = true;
    }
    for (uint64_t n = 0; n < 6; n++)
        store_held(f, n * 10, routes[n], 1);
    unsigned askers = 0;
    for (int turn = 0; sum < 6; turn++) {
        for (unsigned n = 0; n < 3; n++) {
            if (all[n].asked == 0)
                continue;
            assert_int_equal(all[n].asked, 1); /* until it has answered */
            askers |= 1u << n;
            sum++;
            all[n].asked = 0;
            answer(&all[n]);
        }
        loop_turn(&f->loop);
        assert_true(turn < 20000);
    }
    assert_true(askers == 7 || askers == 6 || askers == 5 || askers == 3);
    LOOP_UNTIL(&f->loop, count_state(f->folder, SPOOL_QUEUED) == 6);
    for (unsigned n = 0; n < 3; n++)
        asker_close(f, &all[n]);
}

static void what_was_not_answered_is_asked_again_by_the_next_process(void **state)
{
    struct fixture *f = *state;
    static struct asker a;
    fixture_open(f);
    asker_open(f, &a, 0, 1, "ai");
    a.is_silent = true;
    store_held(f, 1, "CT", 1);
    LOOP_UNTIL(&f->loop, a.asked == 1);
    spool_close(&f->spool); /* its owner had no time to close it */
    fixture_open(f);
    assert_int_equal(count_state(f->folder, SPOOL_HELD), 1);
    asker_open(f, &a, 0, 1, "ai");
    LOOP_UNTIL(&f->loop, count_state(f->folder, SPOOL_QUEUED) == 2);
    assert_int_equal(a.asked, 1);
    asker_close(f, &a);
    spool_close(&f->spool);
    fixture_open(f);
    asker_open(f, &a, 0, 1, "ai");
    store_held(f, 11, "CT", 1);
    LOOP_UNTIL(&f->loop, count_state(f->folder, SPOOL_QUEUED) == 4);
    assert_int_equal(a.asked, 1); /* about the new one */
    assert_string_equal(a.uid, "1.2.1");
    asker_close(f, &a);
}

static void an_index_that_is_lost_says_the_same_again(void **state)
{
    struct fixture *f = *state;
    static struct asker a;
    static struct feed ai;
    char path[512];
    fixture_open(f);
    asker_open(f, &a, 0, 1, "ai");
    store_held(f, 1, "CT", 1);
    LOOP_UNTIL(&f->loop, count_state(f->folder, SPOOL_QUEUED) == 2);
    asker_close(f, &a);
    spool_close(&f->spool);
    for (int n = 0; n < 3; n++) {
        snprintf(path, sizeof(path), "%s/index.db%s", f->folder, (const char *[]){"", "-wal", "-shm"}[n]);
        unlink(path);
    }
    fixture_open(f);
    asker_open(f, &a, 0, 1, "other");
    feed_open(f, &ai, "ai");
    assert_int_equal(feed_await(f, &ai, 10), 1);
    assert_int_equal(count_state(f->folder, SPOOL_QUEUED), 2);
    assert_int_equal(count_state(f->folder, SPOOL_HELD), 0);
    assert_int_equal(a.asked, 0);
    feed_close(f, &ai);
    asker_close(f, &a);
}

static void an_answer_that_cannot_be_written_is_kept_until_it_can(void **state)
{
    struct fixture *f = *state;
    static struct asker a;
    /* syncs: 1 and 2 of the first segment, 3 of the commit; then the release, and what follows a segment that was given up */
    assert_true(
        io_set_faults("fdatasync:4:EIO,fdatasync:5:EIO,fdatasync:6:EIO,fdatasync:7:EIO,fdatasync:8:EIO"));
    fixture_open(f);
    asker_open(f, &a, 0, 1, "ai");
    store_held(f, 1, "CT", 200);
    LOOP_UNTIL(&f->loop, a.asked == 1);
    LOOP_UNTIL(&f->loop, !spool_is_well(f->spool));
    assert_int_equal(count_state(f->folder, SPOOL_HELD), 1);
    LOOP_UNTIL(&f->loop, count_state(f->folder, SPOOL_QUEUED) == 2);
    assert_int_equal(a.asked, 1);
    asker_close(f, &a);
}

static void what_comes_while_it_is_asked_waits_for_its_own_time(void **state)
{
    struct fixture *f = *state;
    static struct asker a;
    static struct feed pacs;
    fixture_open(f);
    asker_open(f, &a, 0, 1, NULL);
    a.is_silent = true;
    feed_open(f, &pacs, "pacs");
    store_held(f, 1, "CT", 1);
    LOOP_UNTIL(&f->loop, a.asked == 1);
    store_held(f, 2, "CT", 1);
    answer(&a);
    assert_int_equal(feed_await(f, &pacs, 10), 1);
    assert_int_equal(number_of(pacs.list), 1);
    LOOP_UNTIL(&f->loop, a.asked == 2);
    assert_int_equal(a.instances, 1);
    answer(&a);
    assert_int_equal(feed_await(f, &pacs, 10), 1);
    assert_int_equal(number_of(pacs.list), 2);
    feed_close(f, &pacs);
    asker_close(f, &a);
}

/* --- space --------------------------------------------------------------------------------------------------------- */

static bool on_id(void *owner, const struct index_row *row)
{
    *(spool_id *)owner = row->id;
    return true;
}

static void drop(struct fixture *f, const char *instance)
{
    char path[300], why[256] = "";
    struct index *i;
    int64_t ticket;
    spool_id id = 0;
    snprintf(path, sizeof(path), "%s/index.db", f->folder);
    assert_int_equal(index_open(path, false, &i, why, sizeof(why)), OK);
    assert_int_equal(index_list(i, &(struct index_filter){.instance = instance, .max = 1}, on_id, &id), OK);
    assert_int_equal(index_order(i, &id, 1, true, NULL, &ticket), OK);
    index_close(&i);
    LOOP_UNTIL(&f->loop, count_state(f->folder, SPOOL_DROPPED) == 1);
}

static uint64_t taken(const struct fixture *f)
{
    char path[512];
    struct stat is;
    snprintf(path, sizeof(path), "%s/00000001/00000001.log", f->folder);
    return stat(path, &is) == 0 ? (uint64_t)is.st_blocks * 512 : 0;
}

/* Its segment is given back but for what the answer may need, and one that waits. */
static void what_is_asked_about_keeps_its_bytes_though_it_was_dropped(void **state)
{
    struct fixture *f = *state;
    static struct asker a;
    static struct feed pacs, research;
    f->options.max_bytes = 128 << 20; /* segments of 8 MiB */
    fixture_open(f);
    asker_open(f, &a, 0, 1, "research");
    a.is_silent = true;
    store_held(f, 10, "CT", 300);
    assert_int_equal(store(f, 20, 5000, "away", NULL), SPOOL_DONE);
    for (uint64_t n = 30; n < 70; n++)
        assert_int_equal(store(f, n, 300000, "pacs", NULL), SPOOL_DONE);
    settle(f, 41);
    LOOP_UNTIL(&f->loop, a.asked == 1);
    drop(f, "1.2.3.10");
    feed_open(f, &pacs, "pacs");
    while (feed_ask(f, &pacs, 16) > 0)
        deliver_list(f, &pacs);
    feed_close(f, &pacs);
    LOOP_UNTIL(&f->loop, taken(f) < 1 << 20);
    answer(&a);
    feed_open(f, &research, "research");
    assert_int_equal(feed_await(f, &research, 10), 1);
    assert_true(is_whole(f->folder, research.list));
    feed_close(f, &research);
    asker_close(f, &a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_group_is_asked_about_once_and_goes_with_what_was_answered),
        TEST(each_route_has_one_who_is_asked_and_each_is_asked_one_at_a_time),
        TEST(what_was_not_answered_is_asked_again_by_the_next_process),
        TEST(an_index_that_is_lost_says_the_same_again),
        TEST(an_answer_that_cannot_be_written_is_kept_until_it_can),
        TEST(what_comes_while_it_is_asked_waits_for_its_own_time),
        TEST(what_is_asked_about_keeps_its_bytes_though_it_was_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
