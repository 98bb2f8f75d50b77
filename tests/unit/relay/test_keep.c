/* What is kept of a message: in memory, in the log, or given up; and that a commit says so exactly when all of it is durable. */
#include "../spool/test_spool.h"

#include "relay/keep.h"
#include "spool/look.h"

enum { HELD_MAX = 256 << 10 };

struct keeping {
    struct keep *keep;
    unsigned writes, commits;
    enum spool_error error;
    struct spool_commit commit;
    struct spool_new_entry entry;
    struct spool_edition edition;
    struct keep_header header;
};

static void on_written(struct keep *k)
{
    ((struct keeping *)k->owner)->writes++;
}

static void on_committed(struct keep *k, enum spool_error error)
{
    struct keeping *g = k->owner;
    g->commits++;
    g->error = error;
}

static void begin(struct fixture *f, struct keeping *g, bool journals)
{
    struct keep_options o = {.spool = f->spool,
                             .io = f->loop.io,
                             .transfer_syntax = "1.2.840.10008.1.2.1",
                             .held_max = HELD_MAX,
                             .journals = journals};
    *g = (struct keeping){.keep = keep_new(&o)};
    g->keep->owner = g;
    g->keep->on_written = on_written;
    g->keep->on_committed = on_committed;
}

/* Study and Series Instance UID, Patient ID, and pixel data up to `bytes` in all. */
static const uint8_t front[] = "\x10\x00\x20\x00LO\x06\x00"
                               "PAT-7 "
                               "\x20\x00\x0d\x00UI\x06\x00"
                               "1.2.3\0"
                               "\x20\x00\x0e\x00UI\x08\x00"
                               "1.2.3.4\0"
                               "\xe0\x7f\x10\x00OW\0\0\xff\xff\xff\x0f";

static void feed(struct fixture *f, struct keeping *g, uint64_t bytes)
{
    uint64_t at = 0;
    while (at < bytes) {
        struct buf *b = buf_new(&f->loop.pool);
        assert_non_null(b);
        uint32_t len = bytes - at < b->size ? (uint32_t)(bytes - at) : b->size;
        for (uint32_t i = 0; i < len; i++)
            b->data[i] = at + i < sizeof(front) - 1 ? front[at + i] : byte_of(7, at + i);
        b->used = len;
        keep_data(g->keep, b, b->data, len);
        buf_unref(&b);
        at += len;
        if (pool_available(&f->loop.pool) < 4)
            LOOP_UNTIL(&f->loop, keep_is_idle(g->keep) && pool_available(&f->loop.pool) >= 4);
    }
}

static void commit(struct fixture *f, struct keeping *g, bool has_edition)
{
    static const uint8_t header[] = "a header that a morph has made";
    g->entry = (struct spool_new_entry){
        .node = "pacs", .route = "all", .edition = has_edition ? 0 : SPOOL_AS_RECEIVED};
    g->edition = (struct spool_edition){.stream = SPOOL_STREAM_HEADERS,
                                        .received_header_len = 100,
                                        .sop_class = view_of("1.2"),
                                        .sop_instance = view_of("9.9")};
    g->header = (struct keep_header){header, sizeof(header) - 1};
    g->commit = (struct spool_commit){.facts = {.received_ms = clock_wall_ms(),
                                                .calling = "CT1",
                                                .called = "HILUM",
                                                .remote = "127.0.0.1:1",
                                                .abstract_syntax = "1.2",
                                                .transfer_syntax = "1.2.840.10008.1.2.1",
                                                .sop_class = view_of("1.2"),
                                                .sop_instance = view_of("1.2.3.4.5")},
                                      .editions = &g->edition,
                                      .edition_count = has_edition,
                                      .entries = &g->entry,
                                      .entry_count = 1};
    keep_commit(g->keep, &g->commit, &g->header);
    LOOP_UNTIL(&f->loop, g->commits > 0 && keep_is_idle(g->keep));
    assert_int_equal(g->commits, 1);
}

static bool compare(void *owner, struct view bytes)
{
    uint64_t *at = owner;
    for (size_t i = 0; i < bytes.len; i++, ++*at)
        assert_int_equal(bytes.at[i], *at < sizeof(front) - 1 ? front[*at] : byte_of(7, *at));
    return true;
}

/* The one entry of the index, its bytes as they were fed. */
static void check_entry(struct fixture *f, uint64_t bytes, bool has_edition)
{
    char path[SPOOL_PATH_MAX], why[512];
    struct index *i;
    struct spool_entry *e;
    uint64_t at = 0;
    spool_close(&f->spool);
    assert_true(look_index_path(f->folder, path));
    assert_int_equal(index_open(path, true, &i, why, sizeof(why)), OK);
    assert_int_equal(index_entry(i, ((spool_id)1 << SPOOL_ID_BITS) + 2, &e), OK);
    assert_non_null(e);
    assert_int_equal(e->data.bytes, bytes);
    assert_int_equal(look_stream(f->folder, &e->data, compare, &at), OK);
    assert_int_equal(at, bytes);
    assert_string_equal(e->study, "1.2.3");
    assert_string_equal(e->series, "1.2.3.4");
    assert_int_equal(e->has_edition, has_edition);
    assert_string_equal(e->sent_instance, has_edition ? "9.9" : "1.2.3.4.5");
    if (has_edition)
        assert_int_equal(e->header.bytes, 30);
    spool_entry_free(&e);
    index_close(&i);
}

static void what_is_held_is_committed_in_one_write(void **state)
{
    struct fixture *f = *state;
    struct keeping g;
    fixture_open(f);
    begin(f, &g, true);
    feed(f, &g, 200000);
    assert_true(keep_holds(g.keep));
    assert_int_equal(g.keep->bytes.bytes, 200000);
    commit(f, &g, false);
    assert_int_equal(g.error, SPOOL_DONE);
    assert_int_equal(g.writes, 1);
    keep_free(&g.keep);
    check_entry(f, 200000, false);
}

static void what_is_past_its_bound_is_journalled_and_lets_go_of_memory(void **state)
{
    struct fixture *f = *state;
    struct keeping g;
    fixture_open(f);
    begin(f, &g, true);
    feed(f, &g, 9 << 20); /* the pool has 4 MiB */
    assert_true(keep_is_whole(g.keep));
    assert_false(keep_holds(g.keep));
    LOOP_UNTIL(&f->loop, keep_is_idle(g.keep));
    assert_true(spool_draft_bytes(g.keep->draft) > 0);
    commit(f, &g, true);
    assert_int_equal(g.error, SPOOL_DONE);
    keep_free(&g.keep);
    check_entry(f, 9 << 20, true);
}

/* More than a piece, in one turn, and that was all of it. */
static void what_came_at_once_is_committed_in_one_write_too(void **state)
{
    struct fixture *f = *state;
    struct keeping g;
    fixture_open(f);
    begin(f, &g, true);
    keep_need(g.keep);
    feed(f, &g, 900000);
    assert_true(keep_is_idle(g.keep));
    loop_turn(&f->loop); /* what else the turn brought is done in this one */
    assert_true(keep_is_idle(g.keep));
    commit(f, &g, true);
    assert_int_equal(g.error, SPOOL_DONE);
    assert_int_equal(g.writes, 2); /* the edition's header, and the rest */
    keep_free(&g.keep);
    check_entry(f, 900000, true);
}

static void what_is_more_is_written_while_it_comes(void **state)
{
    struct fixture *f = *state;
    struct keeping g;
    fixture_open(f);
    begin(f, &g, true);
    keep_need(g.keep);
    feed(f, &g, 300000);
    LOOP_UNTIL(&f->loop, g.writes == 1);
    assert_int_equal(g.keep->bytes.bytes, 0);
    keep_give_up(g.keep);
    keep_free(&g.keep);
    begin(f, &g, true); /* and it goes while it is on its way to that */
    keep_need(g.keep);
    feed(f, &g, 300000);
    keep_give_up(g.keep);
    keep_free(&g.keep);
    loop_turn(&f->loop);
}

static void without_a_journal_it_is_given_up(void **state)
{
    struct fixture *f = *state;
    struct keeping g;
    fixture_open(f);
    begin(f, &g, false);
    feed(f, &g, HELD_MAX);
    assert_true(keep_is_whole(g.keep));
    feed(f, &g, 1);
    assert_false(keep_is_whole(g.keep));
    assert_int_equal(g.keep->bytes.bytes, 0);
    assert_int_equal(f->loop.pool.in_use, 0);
    keep_free(&g.keep);
}

static void what_is_needed_is_written_with_or_without_a_journal(void **state)
{
    struct fixture *f = *state;
    struct keeping g;
    fixture_open(f);
    begin(f, &g, false);
    keep_need(g.keep);
    feed(f, &g, 2 << 20);
    assert_true(keep_is_whole(g.keep));
    commit(f, &g, false);
    assert_int_equal(g.error, SPOOL_DONE);
    keep_free(&g.keep);
    check_entry(f, 2 << 20, false);
}

static void relief_journals_what_is_held_or_gives_it_up(void **state)
{
    struct fixture *f = *state;
    struct keeping with, without;
    fixture_open(f);
    begin(f, &with, true);
    begin(f, &without, false);
    feed(f, &with, 100000);
    feed(f, &without, 100000);
    keep_relieve(without.keep);
    assert_false(keep_is_whole(without.keep));
    with.keep->is_needed = true;
    keep_relieve(with.keep);
    assert_true(keep_is_whole(with.keep));
    commit(f, &with, false);
    assert_int_equal(with.error, SPOOL_DONE);
    keep_free(&with.keep);
    keep_free(&without.keep);
    check_entry(f, 100000, false);
}

static void what_the_log_refuses_is_said_at_once_and_nothing_is_queued(void **state)
{
    static const struct {
        const char *faults;
        enum spool_error error;
    } cases[] = {
        {"fdatasync:1+:EIO", SPOOL_FAILED}, {"write:1+:ENOSPC", SPOOL_FULL}, {"write:1+:EIO", SPOOL_FAILED}};
    struct fixture *f = *state;
    for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
        struct keeping g;
        if (!f->spool)
            fixture_open(f);
        begin(f, &g, true);
        feed(f, &g, 100000);
        assert_true(io_set_faults(cases[n].faults));
        commit(f, &g, false);
        assert_int_equal(g.error, cases[n].error);
        assert_false(keep_is_whole(g.keep));
        keep_free(&g.keep);
        spool_close(&f->spool);
        (void)io_set_faults(NULL);
    }
}

static void what_is_given_up_while_it_is_written_lets_go_afterwards(void **state)
{
    struct fixture *f = *state;
    struct keeping g;
    fixture_open(f);
    begin(f, &g, true);
    feed(f, &g, HELD_MAX + 1);
    LOOP_UNTIL(&f->loop, !keep_is_idle(g.keep));
    keep_give_up(g.keep);
    assert_true(g.keep->bytes.bytes > 0); /* they are being written from */
    LOOP_UNTIL(&f->loop, keep_is_idle(g.keep));
    assert_int_equal(g.keep->bytes.bytes, 0);
    keep_free(&g.keep);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_held_is_committed_in_one_write, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(what_is_past_its_bound_is_journalled_and_lets_go_of_memory,
                                        fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(what_came_at_once_is_committed_in_one_write_too, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(what_is_more_is_written_while_it_comes, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(without_a_journal_it_is_given_up, fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(what_is_needed_is_written_with_or_without_a_journal, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(relief_journals_what_is_held_or_gives_it_up, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(what_the_log_refuses_is_said_at_once_and_nothing_is_queued,
                                        fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(what_is_given_up_while_it_is_written_lets_go_afterwards,
                                        fixture_set_up, fixture_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
