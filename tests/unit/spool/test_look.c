/* The queue as hilum queue sees it from outside. */
#include <fcntl.h>
#include <xxhash.h>

#include "spool/look.h"
#include "spool/spool_folder.h"
#include "test_index.h"

/* --- a folder ------------------------------------------------------------------------------------------------------ */

static void write_file(const char *folder, const char *name, const char *bytes, size_t len)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

static void remove_file(const char *folder, const char *name)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(remove(path), 0);
}

static void only_a_folder_of_this_version_is_a_queue(void **state)
{
    static const struct {
        const char *version; /* NULL: there is no such file */
        enum result result;
        const char *why;
    } cases[] = {
        {"hilum spool 1\n", OK, ""},
        {"hilum spool 1", OK, ""},
        {NULL, ERR_USAGE, "there is no queue"},
        {"", ERR_USAGE, "this is no folder of a queue"},
        {"hilum spool", ERR_USAGE, "this is no folder of a queue"},
        {"hilum spool x\n", ERR_USAGE, "this is no folder of a queue"},
        {"hilum spool 1x\n", ERR_USAGE, "this is no folder of a queue"},
        {"mail spool 1\n", ERR_USAGE, "this is no folder of a queue"},
        {"hilum spool 2\n", ERR_USAGE, "newer Hilum: version 2, and this one knows 1"},
        {"hilum spool 4294967297\n", ERR_USAGE, "newer Hilum: version 4294967297"},
    };
    struct fixture *f = *state;
    for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
        char why[512] = "";
        if (cases[n].version)
            write_file(f->folder, "version", cases[n].version, strlen(cases[n].version));
        assert_int_equal(look_at_folder(f->folder, why, sizeof(why)), cases[n].result);
        assert_non_null(strstr(why, cases[n].why));
        if (cases[n].result != OK)
            assert_ptr_equal(strstr(why, f->folder), why);
        if (cases[n].version)
            remove_file(f->folder, "version");
    }
}

static void a_queue_is_in_use_as_long_as_one_generation_is_held(void **state)
{
    struct fixture *f = *state;
    struct generation one, two;
    bool is_in_use = true;
    char why[512] = "";
    assert_int_equal(look_is_in_use(f->folder, &is_in_use, why, sizeof(why)), OK);
    assert_false(is_in_use);
    assert_int_equal(spool_folder_new_generation(f->folder, 0, &one, why, sizeof(why)), OK);
    assert_int_equal(spool_folder_new_generation(f->folder, 0, &two, why, sizeof(why)), OK);
    assert_int_equal(look_is_in_use(f->folder, &is_in_use, why, sizeof(why)), OK);
    assert_true(is_in_use);
    spool_folder_release(&one);
    assert_int_equal(look_is_in_use(f->folder, &is_in_use, why, sizeof(why)), OK);
    assert_true(is_in_use);
    spool_folder_release(&two);
    assert_int_equal(look_is_in_use(f->folder, &is_in_use, why, sizeof(why)), OK);
    assert_false(is_in_use);
    /* Looking has not taken it: whoever comes next can. */
    assert_int_equal(spool_folder_hold(f->folder, one.number, &one), OK);
    assert_true(spool_folder_remove_if_empty(f->folder, &one));
    assert_int_equal(spool_folder_hold(f->folder, two.number, &two), OK);
    assert_true(spool_folder_remove_if_empty(f->folder, &two));
}

static bool is_behind(struct fixture *f)
{
    bool is = false;
    assert_int_equal(look_is_behind(f->folder, f->i, &is), OK);
    return is;
}

static void an_index_is_behind_a_log_that_is_longer_than_it_has_read(void **state)
{
    struct fixture *f = *state;
    char path[512], why[512];
    struct generation g;
    assert_false(is_behind(f));
    assert_int_equal(spool_folder_new_generation(f->folder, 0, &g, why, sizeof(why)), OK);
    assert_int_equal(g.number, 1);
    assert_false(is_behind(f)); /* nothing is in it */
    snprintf(path, sizeof(path), "%s/00000001", f->folder);
    write_file(path, "00000001.log", "12345678", 8);
    assert_true(is_behind(f));
    begin(f);
    assert_int_equal(index_commit(f->i, (struct log_position){1, 1, 7}), OK);
    assert_true(is_behind(f));
    begin(f);
    assert_int_equal(index_commit(f->i, (struct log_position){1, 1, 8}), OK);
    assert_false(is_behind(f));
    write_file(path, "00000002.log", "", 0);
    assert_true(is_behind(f));
    begin(f);
    assert_int_equal(index_commit(f->i, (struct log_position){1, 2, 0}), OK);
    assert_false(is_behind(f));
    remove_file(path, "00000001.log");
    remove_file(path, "00000002.log");
    assert_true(spool_folder_remove_if_empty(f->folder, &g));
}

/* --- rows ------------------------------------------------------------------------------------------------------------ */

static const char *shown(struct fixture *f, spool_id id)
{
    static struct shown s;
    bool is_found = false;
    s = (struct shown){.len = 0};
    assert_int_equal(look_row(f->i, id, &is_found, on_shown, &s), OK);
    assert_int_equal(is_found, s.len > 0);
    if (is_found)
        assert_int_equal(s.last, id);
    return s.text;
}

static void a_row_is_found_by_its_id_whatever_else_has_its_instance(void **state)
{
    struct fixture *f = *state;
    struct spool_new_entry both[] = {{.node = "a", .route = "CT", .edition = SPOOL_AS_RECEIVED},
                                     {.node = "b", .route = "CT", .edition = SPOOL_AS_RECEIVED}};
    const struct spool_relayed relayed[] = {{.node = "a", .sop_instance = view_of("1.2")},
                                            {.node = "a", .sop_instance = view_of("1.3")}};
    begin(f);
    take(f, &(struct message){.number = 1, .instance = "1.2", .entries = both, .count = 2});
    take(f, &(struct message){.number = 4, .instance = "1.2", .entries = both, .count = 1});
    take(f, &(struct message){.number = 6, .instance = "", .entries = both, .count = 1});
    take_relayed(f, relayed, 2);
    take_relayed(f, relayed, 1);
    outcome(f, 3, SPOOL_DELIVERED, 0, NULL);
    commit(f);
    assert_string_equal(shown(f, ID(1, 2)), "2:queued");
    assert_string_equal(shown(f, ID(1, 3)), "3:delivered");
    assert_string_equal(shown(f, ID(1, 5)), "5:queued");
    assert_string_equal(shown(f, ID(1, 7)), "7:queued");
    assert_string_equal(shown(f, ID(0, 1)), "r1:relayed");
    assert_string_equal(shown(f, ID(0, 2)), "r2:relayed");
    assert_string_equal(shown(f, ID(0, 3)), "r3:relayed");
    assert_string_equal(shown(f, ID(0, 4)), "");
    assert_string_equal(shown(f, ID(1, 4)), ""); /* a message's, not an entry's */
    assert_string_equal(shown(f, ID(2, 2)), "");
    assert_string_equal(shown(f, 0), "");
    assert_string_equal(shown(f, UINT64_MAX), "");
}

static void a_state_is_found_by_id(void **state)
{
    struct fixture *f = *state;
    enum spool_state is = SPOOL_HELD;
    bool is_found = false;
    begin(f);
    take_for(f, 1, "a", "1.1");
    outcome(f, 2, SPOOL_FAILED_FOR_GOOD, 0xC001, "no");
    take_relayed(f, &(struct spool_relayed){.node = "a", .sop_instance = view_of("1.2")}, 1);
    commit(f);
    assert_int_equal(look_state(f->i, ID(0, 1), &is_found, &is), OK);
    assert_true(is_found);
    assert_int_equal(is, SPOOL_RELAYED);
    assert_int_equal(look_state(f->i, ID(0, 2), &is_found, &is), OK);
    assert_false(is_found);
    assert_int_equal(look_state(f->i, ID(1, 2), &is_found, &is), OK);
    assert_true(is_found);
    assert_int_equal(is, SPOOL_FAILED_FOR_GOOD);
    assert_int_equal(look_state(f->i, ID(1, 3), &is_found, &is), OK);
    assert_false(is_found);
    assert_int_equal(look_state(f->i, UINT64_MAX, &is_found, &is), OK);
    assert_false(is_found);
}

/* --- bytes ----------------------------------------------------------------------------------------------------------- */

static bool on_bytes(void *owner, struct view bytes)
{
    char *text = owner;
    strncat(text, (const char *)bytes.at, bytes.len);
    return strlen(text) < 9;
}

static void a_stream_is_read_in_order_and_checked(void **state)
{
    struct fixture *f = *state;
    struct spool_extent extents[] = {{1, 1, 3, 4, XXH3_64bits("abcd", 4)},
                                     {1, 2, 0, 5, XXH3_64bits("efghi", 5)},
                                     {1, 1, 0, 3, XXH3_64bits("xyz", 3)}};
    struct spool_stream stream = {extents, 2, 9};
    char path[512], why[512], text[64] = "";
    struct generation g;
    assert_int_equal(spool_folder_new_generation(f->folder, 0, &g, why, sizeof(why)), OK);
    snprintf(path, sizeof(path), "%s/00000001", f->folder);
    write_file(path, "00000001.log", "xyzabcd", 7);
    write_file(path, "00000002.log", "efghi", 5);
    assert_int_equal(look_stream(f->folder, &stream, on_bytes, text), OK);
    assert_string_equal(text, "abcdefghi");
    stream.count = 3; /* ended by its reader */
    text[0] = '\0';
    assert_int_equal(look_stream(f->folder, &stream, on_bytes, text), OK);
    assert_string_equal(text, "abcdefghi");
    write_file(path, "00000002.log", "efghj", 5);
    text[0] = '\0';
    assert_int_equal(look_stream(f->folder, &stream, on_bytes, text), ERR_PROTO);
    remove_file(path, "00000002.log");
    text[0] = '\0';
    assert_int_equal(look_stream(f->folder, &stream, on_bytes, text), ERR_PROTO);
    assert_string_equal(text, "abcd");
    extents[0].bytes = SPOOL_PIECE_MAX + 1;
    assert_int_equal(look_stream(f->folder, &stream, on_bytes, text), ERR_PROTO);
    stream.count = 0;
    assert_int_equal(look_stream(f->folder, &stream, on_bytes, text), OK);
    remove_file(path, "00000001.log");
    assert_true(spool_folder_remove_if_empty(f->folder, &g));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_a_folder_of_this_version_is_a_queue),
        TEST(a_queue_is_in_use_as_long_as_one_generation_is_held),
        TEST(an_index_is_behind_a_log_that_is_longer_than_it_has_read),
        TEST(a_row_is_found_by_its_id_whatever_else_has_its_instance),
        TEST(a_state_is_found_by_id),
        TEST(a_stream_is_read_in_order_and_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
