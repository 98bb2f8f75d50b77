/* Notes of relayed messages reach the ledger without being asked for. */
#include "test_spool.h"

static struct spool_relayed relayed(const char *instance)
{
    return (struct spool_relayed){.at_ms = 1234567890123,
                                  .node = "pacs",
                                  .route = "CT",
                                  .calling = "CT1",
                                  .called = "HILUM",
                                  .remote = "10.0.0.1",
                                  .sop_class = view_of("1.2.840.10008.5.1.4.1.1.2"),
                                  .sop_instance = view_of(instance),
                                  .sent_instance = view_of("9.9"),
                                  .study = view_of("1.1"),
                                  .bytes = 5000,
                                  .status = 0xB000,
                                  .comment = "coerced"};
}

static bool on_row(void *owner, const struct index_row *row)
{
    ++*(unsigned *)owner;
    assert_true(row->is_relayed);
    assert_int_equal(row->state, SPOOL_RELAYED);
    assert_string_equal(row->node, "pacs");
    assert_string_equal(row->calling, "CT1");
    assert_string_equal(row->sop_instance, "1.2.3");
    assert_string_equal(row->sent_instance, "9.9");
    assert_string_equal(row->study, "1.1");
    assert_string_equal(row->comment, "coerced");
    assert_int_equal(row->status, 0xB000);
    assert_int_equal(row->bytes, 5000);
    assert_int_equal(row->queued_ms, 1234567890123);
    return true;
}

static void a_note_is_in_the_ledger_soon(void **state)
{
    struct fixture *f = *state;
    char path[300], why[256];
    struct index *i;
    unsigned count = 0;
    f->options.history_ms = UINT64_MAX / 4; /* it is of long ago */
    fixture_open(f);
    struct spool_notes *notes = spool_notes_new(f->spool, f->loop.io);
    struct spool_relayed r = relayed("1.2.3");
    spool_note(notes, &r);
    LOOP_UNTIL(&f->loop, count_state(f->folder, SPOOL_RELAYED) == 1);
    snprintf(path, sizeof(path), "%s/index.db", f->folder);
    assert_int_equal(index_open(path, true, &i, why, sizeof(why)), OK);
    assert_int_equal(index_list(i, &(struct index_filter){.instance = "9.9", .max = 9}, on_row, &count), OK);
    assert_int_equal(count, 1);
    index_close(&i);
    spool_notes_free(&notes);
}

static void many_notes_do_not_wait_for_the_time_and_none_is_lost(void **state)
{
    struct fixture *f = *state;
    f->options.history_ms = UINT64_MAX / 4;
    fixture_open(f);
    struct spool_notes *notes = spool_notes_new(f->spool, f->loop.io);
    for (unsigned n = 0; n < 5000; n++) {
        char instance[40];
        snprintf(instance, sizeof(instance), "1.2.3.%u", n);
        struct spool_relayed r = relayed(instance);
        spool_note(notes, &r);
    }
    unsigned polls = 0;
    while (count_state(f->folder, SPOOL_RELAYED) < 4000 && polls++ < 2000)
        usleep(5000); /* the loop does not turn: no timer has fired */
    assert_in_range(count_state(f->folder, SPOOL_RELAYED), 4000, 4999);
    spool_notes_free(&notes);
    spool_close(&f->spool);
    assert_int_equal(count_state(f->folder, SPOOL_RELAYED), 5000);
}

static void notes_of_nothing_write_nothing(void **state)
{
    struct fixture *f = *state;
    fixture_open(f);
    struct spool_notes *notes = spool_notes_new(f->spool, f->loop.io);
    spool_notes_free(&notes);
    assert_null(notes);
    spool_notes_free(&notes);
    spool_close(&f->spool);
    assert_int_equal(count_state(f->folder, SPOOL_RELAYED), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_note_is_in_the_ledger_soon),
        TEST(many_notes_do_not_wait_for_the_time_and_none_is_lost),
        TEST(notes_of_nothing_write_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
