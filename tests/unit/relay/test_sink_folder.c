/* What a folder stores: files as they should be, under the names they should have. */

#include "folder.h"
#include "route/attributes.h"

static void a_file_has_meta_information_and_the_data_set_as_it_came(void **state)
{
    struct fixture *f = *state;
    static const struct {
        size_t len, piece;
        const char *why;
    } cases[] = {
        {0, 1, "no byte of data"},
        {1, 1, "the smallest, of odd length"},
        {777, 1, "each byte by itself: more slices than one write takes"},
        {65535, 4097, "odd pieces, odd length: stored as received"},
        {1000003, 65536, "whole buffers"},
        {300000, 311, "many small pieces"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char uid[32], name[64];
        struct tested t;
        uint8_t *bytes = content(cases[i].len, (uint8_t)i);
        snprintf(uid, sizeof(uid), "1.2.%zu", i);
        snprintf(name, sizeof(name), "%s.dcm", uid);
        message_open(&t, f, uid);
        send_whole(&t, bytes, cases[i].len, cases[i].piece);
        if (!t.is_gone)
            assert_int_equal(t.sink->ops->backlog(t.sink),
                             cases[i].len); /* nothing is written inside the calls */
        LOOP_UNTIL(&f->loop, t.is_gone);
        assert_true(t.is_ready);
        assert_int_equal(t.done_count, 1);
        assert_int_equal(t.status, 0);
        if (!file_holds(f, name, bytes, cases[i].len))
            fail_msg("differs: %s", cases[i].why);
        free(bytes);
    }
    assert_int_equal(count_files(f), sizeof(cases) / sizeof(cases[0]));
}

static void assert_view(struct view v, const char *text)
{
    assert_int_equal(v.len, strlen(text));
    assert_memory_equal(v.at, text, v.len);
}

static void meta_information_names_the_titles_of_the_sender(void **state)
{
    struct fixture *f = *state;
    char path[600];
    size_t len;
    struct part10_meta meta;
    const char *why = "";
    store(f, "1.2.3", (const uint8_t *)"\x08\x00\x05\x00", 4);
    snprintf(path, sizeof(path), "%s/1.2.3.dcm", f->folder);
    uint8_t *bytes = read_file(path, &len);
    assert_int_equal(part10_read(bytes, len, &meta, &why), OK);
    assert_view(meta.sop_class, CT_CLASS);
    assert_view(meta.sop_instance, "1.2.3");
    assert_view(meta.transfer_syntax, DICOM_EXPLICIT_VR_LE);
    assert_view(meta.source_title, "CT1");
    assert_view(meta.sending_title, "CT1");
    assert_view(meta.receiving_title, "HILUM");
    struct stat s;
    assert_int_equal(stat(path, &s), 0);
    assert_int_equal(s.st_mode & 07007, 0); /* patients' data: not for everybody */
    free(bytes);
}

/* Data may come while an earlier write is under way, and long before the file is open. */
static void data_is_written_as_it_comes(void **state)
{
    struct fixture *f = *state;
    struct tested t;
    enum { LEN = 500000, PIECE = 9973 };
    uint8_t *bytes = content(LEN, 3);
    message_open(&t, f, "1.2.3");
    t.sink->ops->start(t.sink);
    for (size_t at = 0; at < LEN; at += PIECE) {
        feed(&t, bytes + at, LEN - at < PIECE ? LEN - at : PIECE, PIECE);
        loop_turn(&f->loop);
    }
    LOOP_UNTIL(&f->loop, t.sink->ops->backlog(t.sink) == 0);
    assert_false(t.is_done);
    assert_int_equal(f->loop.pool.in_use - 16, 0); /* all but the posted buffers are back */
    t.sink->ops->finish(t.sink);
    LOOP_UNTIL(&f->loop, t.is_gone);
    assert_int_equal(t.status, 0);
    assert_true(file_holds(f, "1.2.3.dcm", bytes, LEN));
    free(bytes);
}

static void the_same_again_is_success_and_leaves_one_file(void **state)
{
    struct fixture *f = *state;
    static const size_t lengths[] = {0, 1, 4, 262144, 262145, 700001};
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        char uid[32];
        uint8_t *bytes = content(lengths[i], 1);
        snprintf(uid, sizeof(uid), "1.2.%zu", i);
        store(f, uid, bytes, lengths[i]);
        store(f, uid, bytes, lengths[i]);
        free(bytes);
        assert_int_equal(count_files(f), i + 1);
    }
}

static void other_content_is_kept_beside_under_a_number(void **state)
{
    struct fixture *f = *state;
    enum { LEN = 600000 };
    static const struct {
        size_t len, flipped;
        const char *why;
    } cases[] = {
        {LEN, 0, "the first byte"},
        {LEN, LEN - 1, "the last byte"},
        {LEN, 262144, "the first byte of the second chunk"},
        {LEN - 1, SIZE_MAX, "shorter, else the same"},
        {LEN + 1, SIZE_MAX, "longer, else the same"},
        {0, SIZE_MAX, "empty"},
    };
    uint8_t *first = content(LEN, 9);
    store(f, "1.2.3", first, LEN);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char name[64];
        uint8_t *bytes = content(cases[i].len, 9);
        if (cases[i].flipped < cases[i].len)
            bytes[cases[i].flipped] ^= 1;
        store(f, "1.2.3", bytes, cases[i].len);
        store(f, "1.2.3", bytes, cases[i].len); /* found again, beside */
        snprintf(name, sizeof(name), "1.2.3-%zu.dcm", i + 1);
        if (count_files(f) != i + 2 || !file_holds(f, name, bytes, cases[i].len))
            fail_msg("not kept: %s", cases[i].why);
        free(bytes);
    }
    assert_true(file_holds(f, "1.2.3.dcm", first, LEN));
    free(first);
}

static void another_transfer_syntax_is_another_content(void **state)
{
    struct fixture *f = *state;
    struct tested t;
    uint8_t *bytes = content(100, 0);
    store(f, "1.2.3", bytes, 100);
    message_open(&t, f, "1.2.3");
    t.message.transfer_syntax = DICOM_IMPLICIT_VR_LE;
    send_whole(&t, bytes, 100, 100);
    LOOP_UNTIL(&f->loop, t.is_gone);
    assert_int_equal(t.status, 0);
    assert_int_equal(count_files(f), 2);
    free(bytes);
}

static void what_is_no_file_of_part_10_is_left_alone(void **state)
{
    struct fixture *f = *state;
    char path[600];
    snprintf(path, sizeof(path), "%s/1.2.3.dcm", f->folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/1.2.3-1.dcm", f->folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("a note", file);
    fclose(file);
    store(f, "1.2.3", (const uint8_t *)"abcd", 4);
    assert_true(file_holds(f, "1.2.3-2.dcm", (const uint8_t *)"abcd", 4));
    size_t len;
    uint8_t *bytes = read_file(path, &len);
    assert_int_equal(len, 6);
    free(bytes);
}

static void a_number_stands_before_what_the_pattern_writes_last(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *pattern, *second;
    } cases[] = {
        {"{SOPInstanceUID}.dcm", "1.2.3-1.dcm"},
        {"{SOPInstanceUID}", "1.2.3-1"}, /* the dots of a UID start no suffix */
        {"v1.0/{SOPInstanceUID}", "v1.0/1.2.3-1"},
        {"{SOPInstanceUID}.dcm.part10", "1.2.3.dcm-1.part10"},
        {"{SOPInstanceUID}.{calling}", "1.2.3.CT1-1"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fixture_pattern(f, cases[i].pattern);
        store(f, "1.2.3", (const uint8_t *)"one", 3);
        store(f, "1.2.3", (const uint8_t *)"two", 3);
        assert_true(file_holds(f, cases[i].second, (const uint8_t *)"two", 3));
    }
}

static void a_path_is_made_of_attributes(void **state)
{
    struct fixture *f = *state;
    struct tested t;
    struct route_attribute of[3] = {
        {.is_known = true, .first = 0, .count = 1}, /* in another order than the pattern's */
        {.is_known = false},
        {.is_known = true, .first = 1, .count = 2}};
    struct route_value values[3] = {
        {.text_at = 0, .text_len = 2}, {.text_at = 2, .text_len = 4}, {.text_at = 0}};
    const struct route_attributes attributes = {.of = of,
                                                .count = 3,
                                                .values = values,
                                                .value_count = 3,
                                                .text = {.data = (uint8_t *)(uintptr_t) "CT../P", .len = 6}};
    fixture_pattern(f, "{PatientID}/{Modality}/{StudyDate}/{SOPInstanceUID}.dcm");
    f->node.folder_attributes[0] = 2;
    f->node.folder_attributes[1] = 0;
    f->node.folder_attributes[2] = 1;
    f->node.folder_attribute_count = 3;
    message_open(&t, f, "1.2.3");
    t.message.attributes = &attributes;
    send_whole(&t, (const uint8_t *)"abcd", 4, 4);
    LOOP_UNTIL(&f->loop, t.is_gone);
    assert_int_equal(t.status, 0);
    assert_true(file_holds(f, "___P/CT/_/1.2.3.dcm", (const uint8_t *)"abcd", 4));

    store(f, "1.2.4", (const uint8_t *)"efgh", 4); /* nothing is known of it */
    assert_true(file_holds(f, "_/_/_/1.2.4.dcm", (const uint8_t *)"efgh", 4));
}

static void the_same_uid_twice_at_once_loses_neither(void **state)
{
    struct fixture *f = *state;
    struct folder_context *other = folder_context_new(f->loop.io, &f->loop.pool); /* another worker's */
    enum { LEN = 300000 };
    uint8_t *one = content(LEN, 1), *two = content(LEN, 2);
    assert_non_null(other);
    for (unsigned i = 0; i < 8; i++) {
        char uid[32], name[64];
        struct tested a, b, c;
        snprintf(uid, sizeof(uid), "1.2.%u", i);
        struct folder_context *mine = f->context;
        message_open(&a, f, uid);
        message_open(&b, f, uid);
        f->context = other;
        message_open(&c, f, uid); /* the same as a */
        f->context = mine;
        send_whole(&a, one, LEN, 60000);
        send_whole(&b, two, LEN, 50000);
        send_whole(&c, one, LEN, 40000);
        LOOP_UNTIL(&f->loop, a.is_gone && b.is_gone && c.is_gone);
        assert_int_equal(a.status | b.status | c.status, 0);
        assert_int_equal(count_files(f), (i + 1) * 2);
        snprintf(name, sizeof(name), "%s.dcm", uid);
        bool one_is_first = file_holds(f, name, one, LEN);
        assert_true(one_is_first || file_holds(f, name, two, LEN));
        snprintf(name, sizeof(name), "%s-1.dcm", uid);
        assert_true(file_holds(f, name, one_is_first ? two : one, LEN));
    }
    folder_context_free(&other);
    free(one);
    free(two);
}

static void a_file_system_without_rename_noreplace_is_served_by_links(void **state)
{
    struct fixture *f = *state;
    folder_context_free(&f->context);
    loop_close(&f->loop);
    setenv("HILUM_IO_FEATURES", "no-rename-new", 1);
    loop_open(&f->loop, 64 << 20);
    unsetenv("HILUM_IO_FEATURES");
    f->context = folder_context_new(f->loop.io, &f->loop.pool);

    store(f, "1.2.3", (const uint8_t *)"one", 3);
    store(f, "1.2.3", (const uint8_t *)"two", 3);
    store(f, "1.2.3", (const uint8_t *)"two", 3);
    assert_int_equal(count_files(f), 2);
    assert_true(file_holds(f, "1.2.3.dcm", (const uint8_t *)"one", 3));
    assert_true(file_holds(f, "1.2.3-1.dcm", (const uint8_t *)"two", 3));
}

static void directories_are_made_and_made_again(void **state)
{
    struct fixture *f = *state;
    char path[600];
    fixture_pattern(f, "a//{calling}/{SOPClassUID}/{date}/d/{SOPInstanceUID}.dcm");
    store(f, "1.1", (const uint8_t *)"abcd", 4);
    store(f, "1.2", (const uint8_t *)"abcd", 4);
    assert_int_equal(count_files(f), 2);

    snprintf(path, sizeof(path), "%s/a", f->folder); /* somebody tidies up; the context knows them still */
    assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    store(f, "1.3", (const uint8_t *)"abcd", 4);
    assert_int_equal(count_files(f), 1);

    char date[9], file[600];
    clock_date(date);
    snprintf(file, sizeof(file), "a/CT1/" CT_CLASS "/%s/d/1.3.dcm", date);
    assert_true(file_holds(f, file, (const uint8_t *)"abcd", 4));
}

/* Turns that brought something, until the file is open. */
static unsigned turns_until_ready(struct fixture *f, const char *instance)
{
    struct tested t;
    unsigned turns = 0;
    message_open(&t, f, instance);
    t.sink->ops->start(t.sink);
    while (!t.is_ready) {
        unsigned wakes = f->loop.wakes;
        loop_turn(&f->loop);
        turns += f->loop.wakes == wakes;
        assert_false(t.is_done);
    }
    t.sink->ops->finish(t.sink);
    LOOP_UNTIL(&f->loop, t.is_gone);
    assert_int_equal(t.status, 0);
    return turns;
}

static void a_known_directory_is_not_synced_again(void **state)
{
    struct fixture *f = *state;
    fixture_pattern(f, "a/b/c/{SOPInstanceUID}.dcm");
    assert_true(turns_until_ready(f, "1.1") >
                12); /* /tmp, the folder, a, b, c: make, open, sync, close each */
    assert_true(turns_until_ready(f, "1.2") <= 4); /* open */
}

static off_t temporary_size;

static int measure_one(const char *path, const struct stat *s, int kind, struct FTW *ftw)
{
    if (kind == FTW_F && path[ftw->base] == '.')
        temporary_size = s->st_size;
    return 0;
}

static void meta_information_is_written_with_the_first_data(void **state)
{
    struct fixture *f = *state;
    struct tested t;
    message_open(&t, f, "1.2.3");
    t.sink->ops->start(t.sink);
    LOOP_UNTIL(&f->loop, t.is_ready);
    unsigned wakes = f->loop.wakes;
    LOOP_UNTIL(&f->loop, f->loop.wakes > wakes + 1);
    temporary_size = -1;
    nftw(f->folder, measure_one, 16, FTW_PHYS);
    assert_int_equal(temporary_size, 0);
    feed(&t, (const uint8_t *)"abcd", 4, 4);
    LOOP_UNTIL(&f->loop, t.sink->ops->backlog(t.sink) == 0);
    nftw(f->folder, measure_one, 16, FTW_PHYS);
    assert_true(temporary_size > 132 + 4);
    t.sink->ops->abandon(t.sink);
    LOOP_UNTIL(&f->loop, t.is_gone);
}

static void more_directories_than_are_remembered_are_served(void **state)
{
    struct fixture *f = *state;
    fixture_pattern(f, "{SOPInstanceUID}/x/{SOPInstanceUID}.dcm");
    for (unsigned i = 0; i < 300; i++) {
        char uid[32];
        snprintf(uid, sizeof(uid), "1.2.%u", i);
        store(f, uid, (const uint8_t *)"abcd", 4);
    }
    assert_int_equal(count_files(f), 300);
}

static void a_relative_folder_is_below_the_working_directory(void **state)
{
    struct fixture *f = *state;
    char before[600];
    assert_non_null(getcwd(before, sizeof(before)));
    assert_int_equal(chdir(f->folder), 0);
    f->node.folder = (char *)"{SOPInstanceUID}.dcm";
    store(f, "1.1", (const uint8_t *)"abcd", 4);
    f->node.folder = (char *)"./a/b/{SOPInstanceUID}.dcm";
    store(f, "1.2", (const uint8_t *)"abcd", 4);
    assert_int_equal(chdir(before), 0);
    assert_true(file_holds(f, "1.1.dcm", (const uint8_t *)"abcd", 4));
    assert_true(file_holds(f, "a/b/1.2.dcm", (const uint8_t *)"abcd", 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FOLDER_TEST(a_file_has_meta_information_and_the_data_set_as_it_came),
        FOLDER_TEST(meta_information_names_the_titles_of_the_sender),
        FOLDER_TEST(data_is_written_as_it_comes),
        FOLDER_TEST(the_same_again_is_success_and_leaves_one_file),
        FOLDER_TEST(other_content_is_kept_beside_under_a_number),
        FOLDER_TEST(another_transfer_syntax_is_another_content),
        FOLDER_TEST(what_is_no_file_of_part_10_is_left_alone),
        FOLDER_TEST(a_number_stands_before_what_the_pattern_writes_last),
        FOLDER_TEST(a_path_is_made_of_attributes),
        FOLDER_TEST(the_same_uid_twice_at_once_loses_neither),
        FOLDER_TEST(a_file_system_without_rename_noreplace_is_served_by_links),
        FOLDER_TEST(directories_are_made_and_made_again),
        FOLDER_TEST(a_known_directory_is_not_synced_again),
        FOLDER_TEST(meta_information_is_written_with_the_first_data),
        FOLDER_TEST(more_directories_than_are_remembered_are_served),
        FOLDER_TEST(a_relative_folder_is_below_the_working_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
