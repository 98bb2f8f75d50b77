/* Where studies began, as the spool keeps it: in order with what else is written, past its segment, as long as it has to and no longer. */
#include "test_spool.h"

#include <sqlite3.h>

#include "spool/record.h"

struct claiming {
    struct spool_claim claim;
    bool is_done, is_safe;
};

static void on_claimed(struct spool_claim *c, bool is_safe)
{
    struct claiming *one = c->owner;
    one->is_done = true;
    one->is_safe = is_safe;
}

static struct spool_claim claim_of(const char *study, const char *member, uint64_t at_ms)
{
    return (struct spool_claim){.pool = "archive", .study = view_of(study), .member = member, .at_ms = at_ms};
}

static void claim_begin(struct fixture *f, struct claiming *one, const char *study, const char *member)
{
    *one = (struct claiming){.claim = claim_of(study, member, clock_wall_ms())};
    one->claim.io = f->loop.io;
    one->claim.owner = one;
    one->claim.on_done = on_claimed;
    spool_claim(f->spool, &one->claim);
}

static bool claim(struct fixture *f, const char *study, const char *member)
{
    static struct claiming one;
    claim_begin(f, &one, study, member);
    LOOP_UNTIL(&f->loop, one.is_done);
    return one.is_safe;
}

struct remembered {
    char text[512];
};

static void on_claim(void *owner, const struct spool_claim *c)
{
    struct remembered *r = owner;
    size_t len = strlen(r->text);
    snprintf(r->text + len, sizeof(r->text) - len, "%s%s/%.*s:%s", len ? " " : "", c->pool, (int)c->study.len,
             (const char *)c->study.at, c->member);
}

/* "pool/study:member ...", the youngest first. */
static const char *remembered(struct fixture *f)
{
    static struct remembered r;
    r.text[0] = '\0';
    assert_int_equal(spool_claims(f->spool, 100, on_claim, &r), OK);
    return r.text;
}

static void a_claim_is_durable_before_a_commit_that_was_given_after_it(void **state)
{
    struct fixture *f = *state;
    static struct claiming one;
    static struct storing message;
    fixture_open(f);
    for (unsigned n = 0; n < 20; n++) {
        claim_begin(f, &one, "1.2.3", "a");
        store_begin(&message, f->spool, f->loop.io, n, 1000, "pacs", NULL);
        LOOP_UNTIL(&f->loop, message.is_done || one.is_done);
        assert_true(one.is_done && one.is_safe); /* answered first, or in the same turn */
        LOOP_UNTIL(&f->loop, message.is_done);
    }
}

static void what_is_noted_goes_before_what_is_claimed(void **state)
{
    struct fixture *f = *state;
    struct log_walk walk;
    struct record record;
    struct view payload;
    char folder[SPOOL_PATH_MAX], studies[64] = "";
    fixture_open(f);
    struct spool_claim noted = claim_of("1.1", "a", clock_wall_ms());
    spool_note_claim(f->spool, &noted);
    noted = claim_of("1.2", "b", clock_wall_ms());
    spool_note_claim(f->spool, &noted);
    assert_true(claim(f, "1.2", "c"));
    noted = claim_of("1.3", "d", clock_wall_ms());
    spool_note_claim(f->spool, &noted);
    spool_close(&f->spool);
    unsigned records = 0;
    assert_true(log_folder_path(f->folder, 1, folder));
    log_walk_begin(&walk, folder, (struct log_position){.generation = 1});
    while (log_walk_next(&walk, (struct log_position){1, 1, UINT64_MAX}, &record, &payload) == OK) {
        struct record_claim c;
        records += record.type == RECORD_CLAIM;
        while (record.type == RECORD_CLAIM && payload.len > 0) {
            assert_int_equal(record_claim_read(&payload, &c), OK);
            snprintf(studies + strlen(studies), sizeof(studies) - strlen(studies), "%.*s%.*s ",
                     (int)c.study.len, (const char *)c.study.at, (int)c.member.len,
                     (const char *)c.member.at);
        }
    }
    log_walk_end(&walk);
    assert_string_equal(studies, "1.1a 1.2b 1.2c 1.3d ");
    assert_in_range(records, 3, 4); /* those that are noted share one, as a rule */
    fixture_open(f);
    assert_non_null(strstr(remembered(f), "archive/1.2:c"));
    assert_non_null(strstr(remembered(f), "archive/1.1:a"));
    assert_non_null(strstr(remembered(f), "archive/1.3:d"));
}

/* The segment that held it goes, and the folder of its process: it stays. Without the index there is what the log has, which is nothing. */
static void a_claim_outlives_its_segment(void **state)
{
    struct fixture *f = *state;
    char path[512];
    fixture_open(f);
    assert_true(claim(f, "1.2.3", "a"));
    spool_close(&f->spool);
    fixture_open(f);
    assert_string_equal(remembered(f), "archive/1.2.3:a");
    LOOP_UNTIL(&f->loop, !exists(f, "00000001"));
    spool_close(&f->spool);
    for (int n = 0; n < 4; n++) { /* and those of the later ones */
        fixture_open(f);
        assert_string_equal(remembered(f), "archive/1.2.3:a");
        spool_close(&f->spool);
    }
    for (int n = 0; n < 3; n++) {
        snprintf(path, sizeof(path), "%s/index.db%s", f->folder, (const char *[]){"", "-wal", "-shm"}[n]);
        unlink(path);
    }
    fixture_open(f);
    assert_string_equal(remembered(f), "");
}

static void an_index_that_is_made_anew_has_what_the_log_still_has(void **state)
{
    struct fixture *f = *state;
    char path[512];
    fixture_open(f);
    assert_true(claim(f, "1.2.3", "a"));
    assert_true(claim(f, "1.2.3", "b"));
    spool_close(&f->spool);
    for (int n = 0; n < 3; n++) {
        snprintf(path, sizeof(path), "%s/index.db%s", f->folder, (const char *[]){"", "-wal", "-shm"}[n]);
        unlink(path);
    }
    fixture_open(f);
    assert_string_equal(remembered(f), "archive/1.2.3:b");
}

/* --- the index ------------------------------------------------------------------------------------------------------- */

static struct index *open_index(struct fixture *f)
{
    char path[300], why[256];
    struct index *i;
    snprintf(path, sizeof(path), "%s/index.db", f->folder);
    assert_int_equal(index_open(path, false, &i, why, sizeof(why)), OK);
    return i;
}

static void take(struct index *i, const char *study, const char *member, uint64_t at_ms, bool is_ours)
{
    struct record_claim c = {
        .pool = view_of("archive"), .study = view_of(study), .member = view_of(member), .at_ms = at_ms};
    assert_int_equal(index_take_claim(i, &c, is_ours), OK);
}

static void on_row(void *owner, const struct record_claim *c)
{
    struct remembered *r = owner;
    size_t len = strlen(r->text);
    snprintf(r->text + len, sizeof(r->text) - len, "%s%.*s:%.*s", len ? " " : "", (int)c->study.len,
             (const char *)c->study.at, (int)c->member.len, (const char *)c->member.at);
}

static const char *rows(struct index *i, size_t max)
{
    static struct remembered r;
    r.text[0] = '\0';
    assert_int_equal(index_claims(i, max, on_row, &r), OK);
    return r.text;
}

static void our_last_word_counts_and_that_of_others_by_its_time(void **state)
{
    struct fixture *f = *state;
    struct index *i = open_index(f);
    assert_int_equal(index_begin(i), OK);
    take(i, "1", "a", 1000, true);
    take(i, "1", "b", 900, false);
    assert_string_equal(rows(i, 10), "1:a");
    take(i, "1", "b", 1000, false);
    assert_string_equal(rows(i, 10), "1:b");
    take(i, "1", "c", 500, true); /* the clock was set back */
    assert_string_equal(rows(i, 10), "1:c");
    index_close(&i);
}

static void rows_go_a_day_and_an_hour_after_they_were_asked_for(void **state)
{
    struct fixture *f = *state;
    struct index *i = open_index(f);
    unsigned count;
    const uint64_t now = (uint64_t)1000 * SPOOL_CLAIM_KEPT_MS;
    assert_int_equal(index_begin(i), OK);
    take(i, "old", "a", now - SPOOL_CLAIM_KEPT_MS - 1, true);
    take(i, "older", "a", now - SPOOL_CLAIM_KEPT_MS - 2, true);
    take(i, "kept", "a", now - SPOOL_CLAIM_KEPT_MS, true);
    take(i, "young", "a", now, true);
    take(i, "astray", "a", now + SPOOL_CLAIM_KEPT_MS + 1, true);
    assert_string_equal(rows(i, 3), "astray:a young:a kept:a");
    assert_int_equal(index_forget_claims(i, now, 2, &count), OK);
    assert_int_equal(count, 2);
    assert_int_equal(index_forget_claims(i, now, 2, &count), OK);
    assert_int_equal(count, 1);
    assert_int_equal(index_forget_claims(i, now, 2, &count), OK);
    assert_int_equal(count, 0);
    assert_string_equal(rows(i, 10), "young:a kept:a");
    index_close(&i);
}

/* One that was made before there were claims has no table for them: it gets one, and all else stays. */
static void an_index_of_before_is_taken_as_it_is(void **state)
{
    struct fixture *f = *state;
    char path[300];
    fixture_open(f);
    assert_int_equal(store(f, 1, 1000, "pacs", NULL), SPOOL_DONE);
    spool_close(&f->spool);
    snprintf(path, sizeof(path), "%s/index.db", f->folder);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "DROP TABLE claim", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    fixture_open(f);
    assert_int_equal(count_state(f->folder, SPOOL_QUEUED), 1);
    assert_true(claim(f, "1.2.3", "a"));
    LOOP_UNTIL(&f->loop, strcmp(remembered(f), "archive/1.2.3:a") == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_claim_is_durable_before_a_commit_that_was_given_after_it),
        TEST(what_is_noted_goes_before_what_is_claimed),
        TEST(a_claim_outlives_its_segment),
        TEST(an_index_that_is_made_anew_has_what_the_log_still_has),
        TEST(our_last_word_counts_and_that_of_others_by_its_time),
        TEST(rows_go_a_day_and_an_hour_after_they_were_asked_for),
        TEST(an_index_of_before_is_taken_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
