/* Sheets: what is put in comes out, and takes little. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "spool/sheet.h"

struct fixture {
    struct sheet sheet;
    struct sheet_reader reader;
};

static int set_up(void **state)
{
    *state = calloc(1, sizeof(struct fixture));
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    sheet_free(&f->sheet);
    free(f);
    return 0;
}

static void assert_text(struct view v, const char *text)
{
    assert_int_equal(v.len, strlen(text));
    if (v.len > 0)
        assert_memory_equal(v.at, text, v.len);
}

static const struct spool_relayed example = {.at_ms = 1234567890123,
                                             .node = "pacs",
                                             .route = "CT",
                                             .calling = "CT1",
                                             .called = "HILUM",
                                             .remote = "10.0.0.1:104",
                                             .bytes = 300};

static void a_sheet_stands_as_its_picture_says(void **state)
{
    struct fixture *f = *state;
    static const uint8_t golden[] = {
        'H', 'L', 'S',  'H',  'E', 'E', 'T', '1', 10, 0,   0, 0, 0, 0, 0, 0, /* mark, at_ms */
        0,   0,   0,    0xb0, /* way 0 is new, and the first of its kind: its status */
        1,   0,   0,    0,    'N', 1,   0,   0,   0,  'R',    /* node, route */
        1,   0,   0,    0,    'A', 1,   0,   0,   0,  'B',    /* calling, called */
        3,   0,   0,    0,    '1', '.', '2', 0,   0,  0,   0, /* class, comment */
        3,   0,   0xac, 0x02,                /* bytes and remote are here; 0 ms later, 300 bytes */
        0,   1,   'x',                       /*   remote */
        0,   4,   '1',  '.',  '2', '3',      /*   received */
        0,   12,  3,                         /* way 0; sent and study are here; 2 ms before */
        3,   1,   '4',  0,    1,   '9',      /*   received, sent */
        0,   1,   '7',                       /*   study */
        0,   4,   0,    4,    0,   0,   2,   /* way 0; sent is here; received as before, and sent */
        '.', '1',                            /*   which is another */
        1,   0,   2,    0,    0,   1,   'y', /* way 1 is new, of the kind of way 0; remote is here, and */
        0,   1,   '5',                       /*   received */
    };
    struct spool_relayed r = {.at_ms = 10,
                              .node = "N",
                              .route = "R",
                              .calling = "A",
                              .called = "B",
                              .remote = "x",
                              .sop_class = view_of("1.2"),
                              .sop_instance = view_of("1.23"),
                              .sent_instance = view_of("1.23"),
                              .bytes = 300,
                              .status = 0xb000};
    sheet_add(&f->sheet, &r);
    r.at_ms = 8;
    r.sop_instance = view_of("1.24");
    r.sent_instance = view_of("9");
    r.study = view_of("7");
    sheet_add(&f->sheet, &r);
    r.sent_instance = view_of(".1");
    sheet_add(&f->sheet, &r);
    r.remote = "y";
    r.bytes = 0;
    r.sop_instance = r.sent_instance = view_of("5");
    r.study = view_of("");
    sheet_add(&f->sheet, &r);
    assert_int_equal(f->sheet.bytes.len, sizeof(golden));
    assert_memory_equal(f->sheet.bytes.data, golden, sizeof(golden));
}

static char long_text[301];

static void what_is_written_is_read(void **state)
{
    struct fixture *f = *state;
    static const struct {
        uint64_t at_ms, bytes;
        uint16_t status;
        const char *node, *remote, *instance, *sent, *study, *comment, *why;
    } rows[] = {
        {5000, 0, 0, "a", "10.0.0.1:1", "1.2.3.1", "", "", NULL, "the first"},
        {5001, 1, 0, "a", "10.0.0.1:1", "1.2.3.2", "", "", NULL, "much like the one before"},
        {4000, 127, 0, "a", "10.0.0.1:1", "1.2.3.2", "", "", NULL, "the same again, and the clock went back"},
        {90000, 128, 0, "b", "10.0.0.1:1", "1.2.3.2", "9.1", "", NULL, "another node and sent UID"},
        {90000, UINT64_MAX, 0xB000, "b", "", "", "9.2", "3.1", "coerced", "no instance at all"},
        {0, 1 << 20, 0, "a", "10.0.0.22:1", "1.2", "9.2", "3.1", "", "shorter than before"},
        {UINT64_MAX, 5, 0, "a", "10.0.0.2", long_text, "", "3.1", "", "a UID that is far too long"},
        {1, 5, 0, "a", "10.0.0.2", "1.2", long_text, long_text, "", "more of them"},
        {1, 5, 0, "a", "10.0.0.2", "1.2", "9", "3.1", "", "and back"},
        {2, 5, 0, "a", "", "", "9", "", "", "and nothing any more"},
    };
    enum { ROWS = sizeof(rows) / sizeof(rows[0]) };
    memset(long_text, '7', sizeof(long_text) - 1);
    for (size_t n = 0; n < ROWS; n++)
        sheet_add(&f->sheet, &(struct spool_relayed){.at_ms = rows[n].at_ms,
                                                     .bytes = rows[n].bytes,
                                                     .status = rows[n].status,
                                                     .node = rows[n].node,
                                                     .remote = rows[n].remote,
                                                     .sop_instance = view_of(rows[n].instance),
                                                     .sent_instance = view_of(rows[n].sent),
                                                     .study = view_of(rows[n].study),
                                                     .comment = rows[n].comment});
    assert_int_equal(f->sheet.way_count, 6);
    assert_true(sheet_read(&f->reader, (struct view){f->sheet.bytes.data, f->sheet.bytes.len}));
    for (size_t n = 0; n < ROWS; n++) {
        struct record_relayed r;
        print_message("%s\n", rows[n].why);
        assert_int_equal(sheet_next(&f->reader, &r), OK);
        assert_int_equal(r.at_ms, rows[n].at_ms);
        assert_true(r.bytes == rows[n].bytes);
        assert_int_equal(r.status, rows[n].status);
        assert_text(r.node, rows[n].node);
        assert_text(r.remote, rows[n].remote);
        assert_text(r.sop_instance, rows[n].instance);
        assert_text(r.sent_instance, rows[n].sent[0] ? rows[n].sent : rows[n].instance);
        assert_text(r.study, rows[n].study);
        assert_text(r.comment, rows[n].comment ? rows[n].comment : "");
    }
    assert_int_equal(sheet_next(&f->reader, &(struct record_relayed){.bytes = 0}), NEED_MORE);
    assert_int_equal(f->reader.way_count, 6);
    assert_text(sheet_node(&f->reader, 1), "b");
}

static void instances_of_a_series_take_a_few_bytes_each(void **state)
{
    struct fixture *f = *state;
    struct spool_relayed r = example;
    char uid[65];
    unsigned count = 0;
    while (!sheet_is_full(&f->sheet)) {
        snprintf(uid, sizeof(uid), "1.2.826.0.1.3680043.8.498.12345678901234567890123456789.%u", ++count);
        r.sop_instance = view_of(uid);
        r.at_ms += 7;
        sheet_add(&f->sheet, &r);
    }
    assert_true(f->sheet.bytes.len / count <= 10);
    assert_int_equal(count, SHEET_ROWS_MAX);
    sheet_clear(&f->sheet);
    assert_int_equal(f->sheet.bytes.len, 0);
    assert_false(sheet_is_full(&f->sheet));
}

static void an_association_for_each_instance_fills_no_sheet_early(void **state)
{
    struct fixture *f = *state;
    struct spool_relayed r = example;
    struct record_relayed back;
    char remote[30];
    unsigned count = 0;
    for (; !sheet_is_full(&f->sheet); count++) {
        snprintf(remote, sizeof(remote), "10.0.0.1:%u", 1024 + count);
        r.remote = remote;
        sheet_add(&f->sheet, &r);
    }
    assert_int_equal(count, SHEET_ROWS_MAX);
    assert_int_equal(f->sheet.way_count, SHEET_WAYS_SPLIT);
    assert_true(sheet_read(&f->reader, (struct view){f->sheet.bytes.data, f->sheet.bytes.len}));
    for (unsigned n = 0; n < count; n++) {
        snprintf(remote, sizeof(remote), "10.0.0.1:%u", 1024 + n);
        assert_int_equal(sheet_next(&f->reader, &back), OK);
        assert_text(back.remote, remote);
        assert_text(back.calling, "CT1");
    }
}

static void a_sheet_is_full_of_different_ways_too(void **state)
{
    struct fixture *f = *state;
    struct spool_relayed r = example;
    struct record_relayed back;
    char comment[20];
    unsigned count = 0;
    while (!sheet_is_full(&f->sheet)) {
        snprintf(comment, sizeof(comment), "number %u", count++);
        r.comment = comment;
        sheet_add(&f->sheet, &r);
    }
    assert_int_equal(count, SHEET_WAYS_MAX);
    assert_true(sheet_read(&f->reader, (struct view){f->sheet.bytes.data, f->sheet.bytes.len}));
    while (sheet_next(&f->reader, &back) == OK)
        count--;
    assert_int_equal(count, 0);
}

/* Every byte of a sheet in turn becomes another, and every length of it: read or refused, and never past its end (a sanitizer sees). */
static void what_is_changed_or_cut_is_read_to_its_end_or_refused(void **state)
{
    struct fixture *f = *state;
    struct spool_relayed r = example;
    struct record_relayed back;
    r.sop_instance = view_of("1.2.3");
    r.study = view_of("1.2");
    sheet_add(&f->sheet, &r);
    r.sent_instance = view_of("1.2.4");
    sheet_add(&f->sheet, &r);
    size_t len = f->sheet.bytes.len;
    for (size_t n = 0; n < len; n++) {
        uint8_t *copy = malloc(n > 0 ? n : 1);
        assert_non_null(copy);
        memcpy(copy, f->sheet.bytes.data, n);
        bool is_sheet = sheet_read(&f->reader, (struct view){copy, n});
        assert_true(is_sheet == (n >= 16));
        while (is_sheet && sheet_next(&f->reader, &back) == OK)
            ;
        free(copy);
    }
    for (size_t n = 0; n < len; n++) {
        for (unsigned value = 0; value < 256; value++) {
            uint8_t was = f->sheet.bytes.data[n];
            f->sheet.bytes.data[n] = (uint8_t)value;
            unsigned rows = 0;
            bool is_sheet = sheet_read(&f->reader, (struct view){f->sheet.bytes.data, len});
            while (is_sheet && rows <= len && sheet_next(&f->reader, &back) == OK)
                rows++;
            assert_true(rows <= len);
            f->sheet.bytes.data[n] = was;
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_sheet_stands_as_its_picture_says),
        TEST(what_is_written_is_read),
        TEST(instances_of_a_series_take_a_few_bytes_each),
        TEST(an_association_for_each_instance_fills_no_sheet_early),
        TEST(a_sheet_is_full_of_different_ways_too),
        TEST(what_is_changed_or_cut_is_read_to_its_end_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
