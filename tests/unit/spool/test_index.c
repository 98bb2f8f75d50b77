/* The index: what the log says becomes rows, and rows become deliveries. */
#include "test_index.h"

#include <sqlite3.h>

static const struct spool_new_entry to_pacs = {.node = "pacs", .route = "CT", .edition = SPOOL_AS_RECEIVED};

static size_t idle(struct fixture *f, char *text, size_t cap)
{
    struct record_place places[16];
    size_t count, len = 0;
    text[0] = '\0';
    assert_int_equal(index_idle_segments(f->i, places, 16, &count), OK);
    for (size_t n = 0; n < count; n++)
        len += (size_t)snprintf(text + len, cap - len, "%s%u/%u", n ? " " : "", places[n].generation,
                                places[n].segment);
    return count;
}

static int64_t count_rows(struct fixture *f, const char *table)
{
    sqlite3 *db;
    sqlite3_stmt *s;
    char sql[100];
    snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", table);
    assert_int_equal(sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    int64_t count = sqlite3_column_int64(s, 0);
    sqlite3_finalize(s);
    sqlite3_close(db);
    return count;
}

/* --- opening and transactions ------------------------------------------------------------------------------------ */

static void a_place_is_kept_with_what_was_read_up_to_it(void **state)
{
    struct fixture *f = *state;
    struct log_position at;
    uint32_t newest;
    assert_int_equal(index_place(f->i, 7, &at), OK);
    assert_int_equal(at.generation + at.segment + at.offset, 0);
    begin(f);
    assert_int_equal(
        index_commit(f->i, (struct log_position){.generation = 7, .segment = 3, .offset = 1ull << 35}), OK);
    begin(f);
    assert_int_equal(index_commit(f->i, (struct log_position){.generation = 2, .segment = 9, .offset = 1}),
                     OK);
    fixture_reopen(f);
    assert_int_equal(index_place(f->i, 7, &at), OK);
    assert_int_equal(at.generation, 7);
    assert_int_equal(at.segment, 3);
    assert_int_equal(at.offset, 1ull << 35);
    assert_int_equal(index_newest_generation(f->i, &newest), OK);
    assert_int_equal(newest, 7);
}

static void what_is_abandoned_leaves_nothing_and_may_come_again(void **state)
{
    struct fixture *f = *state;
    struct log_position at;
    begin(f);
    take_for(f, 1, "pacs", "1.1");
    assert_string_equal(next(f, "pacs", 10), "2");
    index_abandon(f->i);
    assert_string_equal(next(f, "pacs", 10), "");
    assert_int_equal(index_place(f->i, 1, &at), OK);
    assert_int_equal(at.offset, 0);
    begin(f); /* names and studies that went with it are made anew */
    take_for(f, 1, "pacs", "1.1");
    commit(f);
    fixture_reopen(f);
    assert_string_equal(next(f, "pacs", 10), "2");
}

static void another_version_is_refused_and_untouched(void **state)
{
    static const struct {
        const char *sql, *says;
    } cases[] = {{"PRAGMA user_version = 4", "newer"}, {"PRAGMA user_version = 2", "older"}};
    for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
        struct fixture *f = *state;
        char why[512] = "", before[4096], after[4096];
        sqlite3 *db;
        index_close(&f->i);
        assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, cases[n].sql, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        FILE *file = fopen(f->path, "rb");
        assert_int_equal(fread(before, 1, sizeof(before), file), sizeof(before));
        fclose(file);
        assert_int_equal(index_open(f->path, false, &f->i, why, sizeof(why)), ERR_USAGE);
        assert_null(f->i);
        assert_non_null(strstr(why, cases[n].says));
        assert_non_null(strstr(why, f->path));
        file = fopen(f->path, "rb");
        assert_int_equal(fread(after, 1, sizeof(after), file), sizeof(after));
        fclose(file);
        assert_memory_equal(before, after, sizeof(before));
    }
}

static void what_is_no_index_is_refused(void **state)
{
    struct fixture *f = *state;
    char why[256] = "";
    sqlite3 *db;
    index_close(&f->i);
    FILE *file = fopen(f->path, "wb");
    for (int n = 0; n < 1000; n++)
        fputs("this is a text and not an index\n", file);
    fclose(file);
    assert_int_equal(index_open(f->path, false, &f->i, why, sizeof(why)), ERR_IO);
    assert_non_null(strstr(why, f->path));
    unlink(f->path);
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK); /* somebody else's tables */
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE t(a)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(index_open(f->path, false, &f->i, why, sizeof(why)), ERR_USAGE);
    unlink(f->path);
    assert_int_equal(index_open(f->path, true, &f->i, why, sizeof(why)), ERR_IO); /* not made for a look */
    assert_int_not_equal(access(f->path, F_OK), 0);
}

static void a_reader_beside_it_sees_what_is_committed(void **state)
{
    struct fixture *f = *state;
    char why[256] = "";
    struct fixture reader = *f;
    struct shown s = {0};
    begin(f);
    take_for(f, 1, "pacs", "1.1");
    commit(f);
    if (index_open(f->path, true, &reader.i, why, sizeof(why)) != OK)
        fail_msg("%s", why);
    begin(f);
    take_for(f, 3, "pacs", "1.1");
    assert_string_equal(list(&reader, &(struct index_filter){0}, &s), "2:queued");
    commit(f);
    assert_string_equal(list(&reader, &(struct index_filter){0}, &s), "2:queued 4:queued");
    index_close(&reader.i);
}

/* --- commits and what is next --------------------------------------------------------------------------------------- */

static void an_entry_is_handed_out_as_it_was_committed(void **state)
{
    struct fixture *f = *state;
    struct spool_entry *e;
    struct spool_new_entry entries[] = {
        {.node = "pacs", .route = "CT", .edition = SPOOL_AS_RECEIVED},
        {.node = "ai",
         .route = "AI route",
         .edition = 0,
         .was_tried = true,
         .status = 0xA700,
         .comment = "no space"},
    };
    begin(f);
    take(f, &(struct message){.number = 10,
                              .received_ms = 1234567890123,
                              .study = "1.1",
                              .series = "1.2",
                              .instance = "1.3",
                              .sent = "9.9",
                              .entries = entries,
                              .count = 2});
    assert_int_equal(index_next(f->i, "pacs", any, 5, &no_ids, &e), OK);
    assert_non_null(e);
    assert_null(e->next);
    assert_int_equal(e->id, ID(1, 11));
    assert_int_equal(e->message, ID(1, 10));
    assert_string_equal(e->node, "pacs");
    assert_string_equal(e->route, "CT");
    assert_string_equal(e->calling, "CT1");
    assert_string_equal(e->called, "HILUM");
    assert_string_equal(e->remote, "10.0.0.1");
    assert_string_equal(e->abstract_syntax, "1.2.840.10008.5.1.4.1.1.2");
    assert_string_equal(e->transfer_syntax, "1.2.840.10008.1.2.1");
    assert_string_equal(e->sop_instance, "1.3");
    assert_string_equal(e->sent_instance, "1.3");
    assert_string_equal(e->study, "1.1");
    assert_string_equal(e->series, "1.2");
    assert_string_equal(e->patient, "PAT");
    assert_int_equal(e->priority, 1);
    assert_int_equal(e->received_ms, 1234567890123);
    assert_int_equal(e->attempts, 0);
    assert_false(e->has_edition);
    assert_int_equal(e->data.count, 1);
    assert_int_equal(e->data.extents[0].offset, 4096);
    assert_int_equal(e->data.bytes, 1000);
    spool_entry_free(&e);
    assert_int_equal(index_next(f->i, "ai", any, 5, &no_ids, &e), OK);
    assert_non_null(e);
    assert_int_equal(e->id, ID(1, 12));
    assert_int_equal(e->attempts, 1);
    assert_int_equal(e->status, 0xA700);
    assert_true(e->has_edition);
    assert_string_equal(e->sent_instance, "9.9");
    assert_int_equal(e->header.extents[0].offset, 8192);
    spool_entry_free(&e);
    commit(f);
}

static void the_oldest_study_goes_first_and_stays_together(void **state)
{
    struct fixture *f = *state;
    struct spool_ids handed = {.of = (spool_id[]){ID(1, 2), ID(1, 6)}, .count = 2};
    begin(f);
    take_for(f, 1, "pacs", "1.1");
    take_for(f, 3, "pacs", "1.2");
    take_for(f, 5, "pacs", "1.1");
    take_for(f, 7, "ai", "1.1");
    take_for(f, 9, "pacs", ""); /* of no study that is known: where it came */
    take_for(f, 11, "pacs", "1.3");
    take_for(f, 13, "pacs", "");
    take_for(f, 15, "pacs", "1.2");
    assert_string_equal(next(f, "pacs", 10), "2 6 4 16 10 12 14");
    assert_string_equal(next(f, "pacs", 3), "2 6 4");
    assert_string_equal(next_but(f, "pacs", 3, &handed), "4 16 10");
    assert_string_equal(next(f, "ai", 3), "8");
    assert_string_equal(next(f, "nobody", 3), "");
    assert_string_equal(next(f, "pacs", 0), "");
    commit(f);
    fixture_reopen(f); /* a study of which something is left keeps its place */
    begin(f);
    take_for(f, 17, "pacs", "1.1");
    take_for(f, 19, "pacs", "1.4");
    commit(f);
    assert_string_equal(next(f, "pacs", 20), "2 6 18 4 16 10 12 14 20");
}

static void entries_of_generations_that_others_hold_are_not_handed_out(void **state)
{
    struct fixture *f = *state;
    begin(f);
    take_for(f, 1, "pacs", "1.1");
    commit(f);
    assert_int_equal(index_own(f->i, (const uint32_t[]){2}, 1), OK);
    assert_string_equal(next(f, "pacs", 10), "");
    assert_int_equal(index_own(f->i, (const uint32_t[]){2, 1}, 2), OK);
    assert_string_equal(next(f, "pacs", 10), "2");
    assert_int_equal(index_own(f->i, NULL, 0), OK);
    assert_string_equal(next(f, "pacs", 10), "");
}

static void a_commit_that_is_taken_again_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct shown s = {0};
    begin(f);
    take_for(f, 1, "pacs", "1.1");
    take_for(f, 1, "pacs", "1.1");
    commit(f);
    begin(f);
    take_for(f, 1, "pacs", "1.1");
    outcome(f, 2, SPOOL_DELIVERED, 0, NULL);
    take_for(f, 1, "pacs", "1.1");
    outcome(f, 2, SPOOL_FAILED_FOR_GOOD, 0xC000, "too late");
    commit(f);
    assert_string_equal(list(f, &(struct index_filter){0}, &s), "2:delivered");
    assert_int_equal(count_rows(f, "segment WHERE live != 0"), 0);
    assert_int_equal(count_rows(f, "tally WHERE count != 0 OR bytes != 0"), 0);
}

static void damaged_entries_fail_for_good_and_say_why(void **state)
{
    struct fixture *f = *state;
    struct shown s = {0};
    struct spool_entry *e;
    begin(f);
    take(f, &(struct message){.number = 1, .entries = &to_pacs, .count = 1, .damage = "damaged on disk"});
    commit(f);
    assert_string_equal(next(f, "pacs", 10), "");
    assert_string_equal(list(f, &(struct index_filter){0}, &s), "2:failed");
    assert_int_equal(index_entry(f->i, ID(1, 2), &e), OK); /* what there is of it may be looked at */
    spool_entry_free(&e);
    assert_int_equal(count_rows(f, "delivery WHERE comment = 'damaged on disk' AND status IS NULL"), 1);
}

/* --- outcomes ------------------------------------------------------------------------------------------------------- */

struct attempts {
    char text[1024];
    size_t len;
};

static bool on_attempt(void *owner, uint64_t at_ms, uint16_t status, const char *comment)
{
    struct attempts *a = owner;
    a->len += (size_t)snprintf(a->text + a->len, sizeof(a->text) - a->len, "%s%llu %04X %s",
                               a->len ? ", " : "", (unsigned long long)at_ms, status, comment);
    return true;
}

static void outcomes_move_an_entry_and_its_history_is_kept(void **state)
{
    struct fixture *f = *state;
    struct attempts a = {0};
    struct shown s = {0};
    begin(f);
    take_for(f, 1, "pacs", "1.1");
    take_for(f, 3, "pacs", "1.1");
    outcome(f, 2, SPOOL_WAITING, 0xA700, "full");
    outcome(f, 4, SPOOL_DELIVERED, 0, NULL);
    assert_string_equal(next(f, "pacs", 10), "");
    assert_string_equal(list(f, &(struct index_filter){0}, &s), "2:waiting 4:delivered");
    outcome(f, 2, SPOOL_QUEUED, 0, NULL); /* nothing was tried */
    assert_string_equal(next(f, "pacs", 10), "2");
    outcome(f, 2, SPOOL_FAILED_FOR_GOOD, 0xC000, "no");
    outcome(f, 2, SPOOL_DELIVERED, 0x0111, NULL);
    outcome(f, 99, SPOOL_DELIVERED, 0, NULL); /* nobody's */
    commit(f);
    assert_int_equal(index_attempts(f->i, ID(1, 2), on_attempt, &a), OK);
    assert_string_equal(a.text, "5000 A700 full, 5000 C000 no, 5000 0111 ");
    a.len = 0;
    a.text[0] = '\0';
    assert_int_equal(index_attempts(f->i, ID(1, 4), on_attempt, &a), OK);
    assert_string_equal(a.text, "");
    assert_int_equal(count_rows(f, "delivery WHERE id % 1000000 >= 0 AND attempts = 3 AND status = 273"), 1);
}

static void a_history_without_an_end_keeps_its_first_and_last_attempts(void **state)
{
    struct fixture *f = *state;
    begin(f);
    take_for(f, 1, "pacs", "1.1");
    for (int n = 0; n < 200; n++)
        outcome(f, 2, SPOOL_WAITING, 0xA700, "full");
    commit(f);
    assert_int_equal(count_rows(f, "attempt"), 64);
    assert_int_equal(count_rows(f, "attempt WHERE number = 1 OR number = 200"), 2);
}

/* --- waking --------------------------------------------------------------------------------------------------------- */

static void on_node(void *owner, const char *node)
{
    strcat(owner, node);
    strcat(owner, " ");
}

static void what_waits_is_queued_when_it_is_due(void **state)
{
    struct fixture *f = *state;
    char woken[256] = "";
    uint64_t next_ms;
    begin(f);
    assert_int_equal(index_wake(f->i, 5000, on_node, woken, &next_ms), OK);
    assert_int_equal(next_ms, 0);
    take_for(f, 1, "pacs", "1.1");
    take_for(f, 3, "pacs", "1.1");
    take_for(f, 5, "ai", "1.1");
    outcome(f, 2, SPOOL_WAITING, 0xA700, "full"); /* due at 9000 */
    outcome(f, 6, SPOOL_WAITING, 0xA700, "full");
    assert_int_equal(index_wake(f->i, 8999, on_node, woken, &next_ms), OK);
    assert_int_equal(next_ms, 9000);
    assert_string_equal(woken, "");
    assert_string_equal(next(f, "pacs", 10), "4");
    assert_int_equal(index_wake(f->i, 9000, on_node, woken, &next_ms), OK);
    assert_int_equal(next_ms, 0);
    assert_string_equal(woken, "pacs ai ");
    assert_string_equal(next(f, "pacs", 10), "2 4");
    commit(f);
}

/* The times of both were given by a clock that was set back since. */
static void what_waits_since_a_time_to_come_is_due(void **state)
{
    struct fixture *f = *state;
    char woken[256] = "";
    uint64_t next_ms;
    struct spool_new_entry held = {
        .node = "ai", .route = "CT", .edition = SPOOL_AS_RECEIVED, .hold_ms = 60000, .group = "study"};
    begin(f);
    take_for(f, 1, "pacs", "1.1");
    outcome(f, 2, SPOOL_WAITING, 0xA700, "full"); /* at 5000, due at 9000 */
    take(f, &(struct message){3, 6000, "1.2", "2.2", "3.2", NULL, &held, 1, 1, 1, NULL});
    assert_int_equal(index_wake(f->i, 6000, on_node, woken, &next_ms), OK);
    assert_string_equal(woken, "");
    assert_int_equal(next_ms, 9000);
    assert_int_equal(index_wake(f->i, 5500, on_node, woken, &next_ms), OK);
    assert_string_equal(woken, "ai ");
    assert_int_equal(next_ms, 9000);
    assert_int_equal(index_wake(f->i, 4999, on_node, woken, &next_ms), OK);
    assert_string_equal(woken, "ai pacs ");
    assert_int_equal(next_ms, 0);
    assert_string_equal(next(f, "pacs", 10), "2");
    commit(f);
    assert_int_equal(count_rows(f, "held"), 0);
}

/* 1500, more than one call wakes; at 5000, due at 9000. */
static void take_many_that_wait(struct fixture *f)
{
    for (unsigned n = 1; n <= 1500; n++) {
        take_for(f, 2 * n, "pacs", "1.1");
        outcome(f, 2 * n + 1, SPOOL_WAITING, 0xA700, NULL);
    }
}

static void more_since_a_time_to_come_than_is_woken_at_once_says_so(void **state)
{
    struct fixture *f = *state;
    char woken[256] = "";
    uint64_t next_ms;
    begin(f);
    take_many_that_wait(f);
    assert_int_equal(index_wake(f->i, 4000, on_node, woken, &next_ms), OK);
    assert_int_equal(next_ms, 4000); /* at once */
    assert_int_equal(index_wake(f->i, 4000, on_node, woken, &next_ms), OK);
    assert_int_equal(next_ms, 0);
    commit(f);
    assert_int_equal(count_rows(f, "delivery WHERE state = 1"), 1500);
}

static void more_than_is_woken_at_once_says_so(void **state)
{
    struct fixture *f = *state;
    char woken[256] = "";
    uint64_t next_ms;
    begin(f);
    take_many_that_wait(f);
    assert_int_equal(index_wake(f->i, 20000, on_node, woken, &next_ms), OK);
    assert_int_equal(next_ms, 9000); /* in the past: ask again */
    assert_int_equal(index_wake(f->i, 20000, on_node, woken, &next_ms), OK);
    assert_int_equal(next_ms, 0);
    commit(f);
    assert_int_equal(count_rows(f, "delivery WHERE state = 1"), 1500);
}

static void a_group_goes_when_it_has_been_quiet(void **state)
{
    struct fixture *f = *state;
    char woken[256] = "";
    uint64_t next_ms;
    struct spool_new_entry by_study = {
        .node = "pacs", .route = "CT", .edition = SPOOL_AS_RECEIVED, .hold_ms = 60000, .group = "study"};
    struct spool_new_entry by_series = by_study;
    by_series.group = "series";
    by_series.node = "ai";
    const struct spool_new_entry both[] = {by_study, by_series};
    begin(f);
    take(f, &(struct message){1, 1000, "1.1", "2.1", "3.1", NULL, both, 2, 1, 1, NULL});
    take(f, &(struct message){4, 31000, "1.1", "2.2", "3.2", NULL, both, 2, 1, 1, NULL});
    take(f, &(struct message){7, 2000, "", "", "3.3", NULL, both, 1, 1, 1, NULL});
    assert_int_equal(index_wake(f->i, 61000, on_node, woken, &next_ms), OK);
    assert_string_equal(woken, "ai "); /* series 2.1, that had nothing after it */
    assert_int_equal(next_ms, 62000);
    assert_string_equal(next(f, "ai", 10), "3");
    woken[0] = '\0';
    assert_int_equal(index_wake(f->i, 62000, on_node, woken, &next_ms), OK);
    assert_string_equal(woken, "pacs "); /* the one that says nothing of its study waited alone */
    assert_string_equal(next(f, "pacs", 10), "8");
    assert_int_equal(next_ms, 91000);
    assert_int_equal(index_take_order(f->i, &(struct record_order){.id = ID(1, 2), .at_ms = 70000}), OK);
    assert_string_equal(next(f, "pacs", 10), "2 8"); /* somebody could not wait */
    assert_int_equal(index_wake(f->i, 91000, on_node, woken, &next_ms), OK);
    assert_int_equal(index_wake(f->i, 91000, on_node, woken, &next_ms), OK);
    assert_int_equal(next_ms, 0);
    assert_string_equal(next(f, "pacs", 10), "2 5 8");
    assert_string_equal(next(f, "ai", 10), "3 6");
    commit(f);
    assert_int_equal(count_rows(f, "held"), 0);
}

/* --- space ----------------------------------------------------------------------------------------------------------- */

static void a_segment_is_idle_when_nothing_in_it_is_live(void **state)
{
    struct fixture *f = *state;
    char text[256];
    struct spool_entry *e;
    const struct spool_new_entry both[] = {to_pacs, {.node = "ai", .route = "CT", .edition = -1}};
    begin(f);
    for (uint32_t n = 1; n <= 4; n++)
        assert_int_equal(index_take_segment(f->i, (struct record_place){1, n}), OK);
    assert_int_equal(index_take_segment(f->i, (struct record_place){9, 1}), OK); /* another process's */
    idle(f, text, sizeof(text));
    assert_string_equal(text, "1/1 1/2 1/3 1/4");
    take(f, &(struct message){.number = 1, .entries = both, .count = 2, .segment = 1, .in = 2});
    take(f, &(struct message){.number = 4, .entries = &to_pacs, .count = 1, .segment = 2, .in = 2});
    assert_int_equal(index_take_segment(f->i, (struct record_place){1, 2}), OK); /* again */
    idle(f, text, sizeof(text));
    assert_string_equal(text, "1/3 1/4");
    outcome(f, 2, SPOOL_DELIVERED, 0, NULL);
    outcome(f, 3, SPOOL_FAILED_FOR_GOOD, 0xC000, NULL); /* is kept until somebody acts */
    commit(f);
    idle(f, text, sizeof(text));
    assert_string_equal(text, "1/3 1/4");
    begin(f);
    assert_int_equal(index_entry(f->i, ID(1, 2), &e), OK); /* delivered, but its bytes are still here */
    spool_entry_free(&e);
    assert_int_equal(
        index_take_order(f->i, &(struct record_order){.id = ID(1, 3), .drop = true, .at_ms = 6000}), OK);
    idle(f, text, sizeof(text));
    assert_string_equal(text, "1/1 1/3 1/4");
    commit(f);
    enum result r;
    while ((r = index_checkpoint(f->i)) == NEED_MORE)
        ;
    assert_int_equal(r, OK);
    begin(f);
    assert_int_equal(index_forget_segment(f->i, (struct record_place){1, 1}), OK);
    commit(f);
    idle(f, text, sizeof(text));
    assert_string_equal(text, "1/3 1/4");
    assert_int_equal(index_entry(f->i, ID(1, 2), &e), OK);
    assert_null(e);
    assert_int_equal(index_entry(f->i, ID(1, 5), &e), OK);
    assert_non_null(e);
    spool_entry_free(&e);
    assert_int_equal(index_entry(f->i, ID(1, 77), &e), OK);
    assert_null(e);
}

static void what_is_given_back_of_a_message_is_not_to_be_had(void **state)
{
    struct fixture *f = *state;
    struct spool_entry *e;
    enum index_need need;
    const struct spool_new_entry both[] = {to_pacs, {.node = "ai", .route = "CT", .edition = -1}};
    begin(f);
    take(f, &(struct message){.number = 1, .entries = both, .count = 2});
    outcome(f, 2, SPOOL_DELIVERED, 0, NULL);
    assert_int_equal(index_give_back(f->i, ID(1, 1)), OK); /* one entry is live */
    assert_int_equal(index_message_need(f->i, ID(1, 1), &need), OK);
    assert_int_equal(need, NEED_LIVE);
    assert_int_equal(index_entry(f->i, ID(1, 2), &e), OK);
    assert_non_null(e);
    spool_entry_free(&e);
    outcome(f, 3, SPOOL_DELIVERED, 0, NULL);
    assert_int_equal(index_message_need(f->i, ID(1, 1), &need), OK);
    assert_int_equal(need, NEED_ENDED);
    assert_int_equal(index_entry(f->i, ID(1, 2), &e), OK);
    assert_non_null(e);
    spool_entry_free(&e);
    assert_int_equal(index_give_back(f->i, ID(1, 1)), OK);
    commit(f);
    fixture_reopen(f);
    begin(f);
    assert_int_equal(index_message_need(f->i, ID(1, 1), &need), OK);
    assert_int_equal(need, NEED_GIVEN_BACK);
    assert_int_equal(index_entry(f->i, ID(1, 2), &e), OK);
    assert_null(e);
    assert_int_equal(index_take_order(f->i, &(struct record_order){.id = ID(1, 2), .at_ms = 6000}), OK);
    assert_string_equal(next(f, "pacs", 10), ""); /* it stays delivered */
    assert_int_equal(index_message_need(f->i, ID(1, 9), &need), OK);
    assert_int_equal(need, NEED_UNKNOWN);
    commit(f);
}

static void many_segments_are_counted_over_a_long_transaction(void **state)
{
    struct fixture *f = *state;
    begin(f);
    for (uint32_t n = 1; n <= 300; n++)
        take(f,
             &(struct message){.number = 2 * n, .entries = &to_pacs, .count = 1, .segment = n, .in = n + 1});
    commit(f);
    assert_int_equal(count_rows(f, "segment WHERE live = 2"), 299);
    begin(f);
    for (uint32_t n = 1; n <= 300; n++)
        outcome(f, 2 * n + 1, SPOOL_DELIVERED, 0, NULL);
    commit(f);
    assert_int_equal(count_rows(f, "segment WHERE live = 0"), 301);
}

static void a_checkpoint_waits_for_who_reads_an_older_state(void **state)
{
    struct fixture *f = *state;
    sqlite3 *db;
    begin(f);
    take_for(f, 1, "pacs", "1.1");
    commit(f);
    assert_int_equal(sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN; SELECT * FROM delivery", NULL, NULL, NULL), SQLITE_OK);
    begin(f);
    take_for(f, 3, "pacs", "1.1");
    commit(f);
    assert_int_equal(index_checkpoint(f->i), NEED_MORE);
    sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    assert_int_equal(index_checkpoint(f->i), OK);
    sqlite3_close(db);
}

static void rows_that_ended_long_ago_are_forgotten_with_all_that_hangs_on_them(void **state)
{
    struct fixture *f = *state;
    unsigned count;
    struct shown s = {0};
    const struct spool_new_entry both[] = {to_pacs, {.node = "ai", .route = "CT", .edition = -1}};
    begin(f);
    take(f, &(struct message){.number = 1, .study = "1.1", .entries = both, .count = 2});
    take_for(f, 4, "pacs", "1.2");
    take_for(f, 6, "pacs", "1.2");
    outcome(f, 2, SPOOL_DELIVERED, 0, NULL); /* all of them at 5000 */
    outcome(f, 5, SPOOL_WAITING, 0xA700, NULL);
    outcome(f, 5, SPOOL_DELIVERED, 0, NULL);
    const struct spool_relayed relayed[] = {{.at_ms = 3000, .node = "pacs", .sop_instance = view_of("1.5")},
                                            {.at_ms = 4000, .node = "ai", .sop_instance = view_of("1.6")}};
    take_relayed(f, relayed, 2);
    take_relayed(f, relayed, 1);
    assert_int_equal(index_forget_ended(f->i, 3000, 10, &count), OK);
    assert_int_equal(count, 0);
    assert_int_equal(index_forget_ended(f->i, 4000, 10, &count), OK); /* a sheet goes as a whole */
    assert_int_equal(count, 1);
    assert_int_equal(index_forget_ended(f->i, 4001, 10, &count), OK);
    assert_int_equal(count, 1);
    assert_int_equal(index_forget_ended(f->i, 9999, 1, &count), OK); /* no more than was asked for */
    assert_int_equal(count, 1);
    assert_int_equal(index_forget_ended(f->i, 9999, 10, &count), OK);
    assert_int_equal(count, 1);
    commit(f);
    assert_string_equal(list(f, &(struct index_filter){0}, &s), "3:queued 7:queued");
    assert_int_equal(count_rows(f, "message"), 2);
    assert_int_equal(count_rows(f, "attempt"), 0);
    assert_int_equal(count_rows(f, "study"), 2);
    assert_int_equal(count_rows(f, "sheet"), 0);
    assert_int_equal(count_rows(f, "sheet_node"), 0);
    assert_int_equal(count_rows(f, "sheet_print"), 0);
    begin(f);
    outcome(f, 3, SPOOL_EXPIRED, 0xA700, NULL);
    assert_int_equal(index_forget_ended(f->i, 9999, 10, &count), OK);
    commit(f);
    assert_int_equal(count_rows(f, "message"), 1);
    assert_int_equal(count_rows(f, "study"), 1);
    assert_int_equal(count_rows(f, "delivery"), 1);
    begin(f); /* a study that comes again is a new one */
    take_for(f, 20, "pacs", "1.1");
    commit(f);
    assert_string_equal(next(f, "pacs", 10), "7 21");
}

/* --- orders ------------------------------------------------------------------------------------------------------------ */

static void carry_out(struct fixture *f)
{
    struct octets o = {0};
    int64_t numbers[100];
    size_t count;
    begin(f);
    assert_int_equal(index_orders(f->i, 7000, &no_ids, &o, 100, numbers, &count), OK);
    struct view rest = {o.data, o.len};
    for (size_t n = 0; n < count; n++) {
        struct record_order order;
        assert_int_equal(record_order_read(&rest, &order), OK);
        assert_int_equal(index_take_order(f->i, &order), OK);
    }
    assert_int_equal(rest.len, 0);
    assert_int_equal(index_orders_done(f->i, numbers, count), OK);
    commit(f);
    octets_free(&o);
}

static void orders_are_left_by_one_process_and_carried_out_by_another(void **state)
{
    struct fixture *f = *state;
    struct index *other;
    char why[256];
    int64_t ticket, later;
    size_t left;
    struct shown s = {0};
    assert_true(index_was_touched(f->i)); /* who has just begun looks */
    assert_false(index_was_touched(f->i));
    begin(f);
    for (unsigned n = 1; n <= 9; n += 2)
        take_for(f, n, "pacs", "1.1");
    outcome(f, 2, SPOOL_FAILED_FOR_GOOD, 0xC000, "no");
    outcome(f, 4, SPOOL_WAITING, 0xA700, "full");
    outcome(f, 6, SPOOL_DELIVERED, 0, NULL);
    commit(f);
    assert_false(index_was_touched(f->i)); /* its own do not count */
    assert_int_equal(index_open(f->path, false, &other, why, sizeof(why)), OK);
    assert_int_equal(
        index_order(other, (const spool_id[]){ID(1, 2), ID(1, 4), ID(1, 6)}, 3, false, NULL, &ticket), OK);
    assert_int_equal(index_order(other, (const spool_id[]){ID(1, 8)}, 1, true, NULL, &later), OK);
    assert_true(later > ticket);
    assert_true(index_was_touched(f->i));
    assert_int_equal(index_orders_left(other, ticket, &left), OK);
    assert_int_equal(left, 3);
    carry_out(f);
    assert_int_equal(index_orders_left(other, later, &left), OK);
    assert_int_equal(left, 0);
    assert_string_equal(list(f, &(struct index_filter){0}, &s),
                        "2:queued 4:queued 6:delivered 8:dropped 10:queued");
    assert_int_equal(index_order(other, (const spool_id[]){ID(1, 2), ID(1, 10)}, 2, false, "backup", &ticket),
                     OK);
    carry_out(f);
    index_close(&other);
    assert_string_equal(next(f, "pacs", 10), "4");
    assert_string_equal(next(f, "backup", 10), "2 10");
}

/* --- a million entries, measured by hand: HILUM_INDEX_MILLION=1 --------------------------------------------------------- */

#include "base/clock.h"

static double take_many(struct fixture *f, uint64_t from, unsigned count)
{
    uint64_t began = clock_us();
    struct spool_new_entry e = {.node = "pacs", .route = "CT to the archive", .edition = SPOOL_AS_RECEIVED};
    for (unsigned n = 0; n < count; n++) {
        char instance[64], study[64];
        uint64_t number = from + 2 * n;
        snprintf(instance, sizeof(instance), "1.2.826.0.1.3680043.8.498.%llu",
                 (unsigned long long)(number * 0x9E3779B97F4A7C15ull));
        snprintf(study, sizeof(study), "1.2.826.0.1.3680043.8.498.1.%llu",
                 (unsigned long long)(number / 400));
        if (n % 2000 == 0)
            begin(f);
        take(f, &(struct message){.number = number,
                                  .received_ms = 1000000000 + number,
                                  .study = study,
                                  .series = "1.9",
                                  .instance = instance,
                                  .entries = &e,
                                  .count = 1,
                                  .segment = (uint32_t)(number / 4000 + 1),
                                  .in = (uint32_t)(number / 4000 + 1)});
        if (n % 2000 == 1999)
            commit(f);
    }
    return count / ((double)(clock_us() - began) / 1e6);
}

static void measure(const char *what, uint64_t began)
{
    print_message("  %-50s %8.2f ms\n", what, (double)(clock_us() - began) / 1e3);
}

static void a_million_entries(void **state)
{
    struct fixture *f = *state;
    static struct shown s;
    if (!getenv("HILUM_INDEX_MILLION"))
        return;
    print_message("  commits a second, empty: %.0f\n", take_many(f, 1, 40000));
    for (unsigned n = 1; n < 25; n++)
        print_message("  commits a second, %u: %.0f\n", n * 40000, take_many(f, 1 + n * 80000, 40000));
    print_message("  commits a second, full: %.0f\n", take_many(f, 1 + 25 * 80000, 40000));
    assert_int_equal(count_rows(f, "delivery"), 1040000);
    begin(f);
    uint64_t began = clock_us();
    for (unsigned n = 1; n <= 20000; n++)
        outcome(f, 2 * n, SPOOL_DELIVERED, 0, NULL);
    commit(f);
    measure("20000 outcomes", began);
    begin(f);
    for (unsigned n = 50000; n <= 50010; n++)
        outcome(f, 2 * n, SPOOL_FAILED_FOR_GOOD, 0xC000, NULL);
    commit(f);
    began = clock_us();
    fixture_reopen(f);
    measure("open", began);
    began = clock_us();
    next(f, "pacs", 16);
    measure("16 next", began);
    static const struct {
        const char *what;
        struct index_filter f;
    } pages[] = {
        {"the first page of 100", {.max = 100}},
        {"a page in the middle", {.max = 100, .after = ID(1, 1000002)}},
        {"the last page", {.max = 100, .after = ID(1, 2 * 1040000 - 50)}},
        {"failed ones", {.max = 100, .states = 1 << SPOOL_FAILED_FOR_GOOD}},
        {"of a node, queued", {.max = 100, .node = "pacs", .states = 1 << SPOOL_QUEUED}},
        {"of a study", {.max = 100, .study = "1.2.826.0.1.3680043.8.498.1.4000"}},
        {"of an instance", {.max = 100, .instance = "1.2.826.0.1.3680043.8.498.1"}},
        {"older than anything", {.max = 100, .before_ms = 1}},
        {"the old half, failed", {.max = 100, .before_ms = 1001000000, .states = 4 << 1}},
        {"the second half, by one", {.max = 100, .before_ms = 1001000000, .after = ID(1, 999902)}},
    };
    for (size_t n = 0; n < sizeof(pages) / sizeof(pages[0]); n++) {
        began = clock_us();
        list(f, &pages[n].f, &s);
        measure(pages[n].what, began);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_place_is_kept_with_what_was_read_up_to_it),
        TEST(what_is_abandoned_leaves_nothing_and_may_come_again),
        TEST(another_version_is_refused_and_untouched),
        TEST(what_is_no_index_is_refused),
        TEST(a_reader_beside_it_sees_what_is_committed),
        TEST(an_entry_is_handed_out_as_it_was_committed),
        TEST(the_oldest_study_goes_first_and_stays_together),
        TEST(entries_of_generations_that_others_hold_are_not_handed_out),
        TEST(a_commit_that_is_taken_again_changes_nothing),
        TEST(damaged_entries_fail_for_good_and_say_why),
        TEST(outcomes_move_an_entry_and_its_history_is_kept),
        TEST(a_history_without_an_end_keeps_its_first_and_last_attempts),
        TEST(what_waits_is_queued_when_it_is_due),
        TEST(what_waits_since_a_time_to_come_is_due),
        TEST(more_since_a_time_to_come_than_is_woken_at_once_says_so),
        TEST(more_than_is_woken_at_once_says_so),
        TEST(a_group_goes_when_it_has_been_quiet),
        TEST(a_segment_is_idle_when_nothing_in_it_is_live),
        TEST(what_is_given_back_of_a_message_is_not_to_be_had),
        TEST(many_segments_are_counted_over_a_long_transaction),
        TEST(a_checkpoint_waits_for_who_reads_an_older_state),
        TEST(rows_that_ended_long_ago_are_forgotten_with_all_that_hangs_on_them),
        TEST(orders_are_left_by_one_process_and_carried_out_by_another),
        TEST(a_million_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
