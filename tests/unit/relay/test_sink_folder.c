#include <dirent.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../loop.h"
#include "base/clock.h"
#include "config/pattern.h"
#include "dicom/part10.h"
#include "dicom/uid.h"
#include "io/engine.h"
#include "relay/sink_folder.h"
#include "route/attributes.h"

#define CT_CLASS "1.2.840.10008.5.1.4.1.1.2"

/* A folder of its own, a ring, and one worker's context. */
struct fixture {
    struct loop loop;
    struct folder_context *context;
    char folder[64];
    char pattern[512];
    struct config_node node;
};

/* A message with one sink, and what the sink has said. */
struct tested {
    struct fixture *f;
    struct sink *sink;
    struct sink_message message;
    bool is_ready, is_done, is_gone;
    unsigned done_count;
    uint16_t status;
    char comment[128];
};

static void fixture_pattern(struct fixture *f, const char *below)
{
    snprintf(f->pattern, sizeof(f->pattern), "%s/%s", f->folder, below);
    char why[256];
    if (pattern_check(f->pattern, why, sizeof(why)) != OK)
        fail_msg("%s", why);
    f->node = (struct config_node){.name = (char *)"disk", .is_folder = true, .folder = f->pattern};
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    loop_open(&f->loop, 64 << 20);
    f->context = folder_context_new(f->loop.io, &f->loop.pool);
    assert_non_null(f->context);
    snprintf(f->folder, sizeof(f->folder), "/tmp/hilum-folder-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    fixture_pattern(f, "{SOPInstanceUID}.dcm");
    *state = f;
    return 0;
}

static int remove_one(const char *path, const struct stat *s, int kind, struct FTW *ftw)
{
    (void)s;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    folder_context_free(&f->context);
    loop_close(&f->loop);
    umount2(f->folder, MNT_DETACH); /* of a test that failed; else there is none, and nothing happens */
    nftw(f->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

/* --- a message --------------------------------------------------------------------------------------------- */

static void on_ready(struct sink *s)
{
    struct tested *t = s->owner;
    assert_false(t->is_ready);
    t->is_ready = true;
}

static void on_taken(struct sink *s)
{
    (void)s;
}

static void on_done(struct sink *s, uint16_t status, const char *comment)
{
    struct tested *t = s->owner;
    t->done_count++;
    t->is_done = true;
    t->status = status;
    if (comment) {
        assert_true(strlen(comment) <= 64);
        snprintf(t->comment, sizeof(t->comment), "%s", comment);
    }
}

static void on_gone(struct sink *s)
{
    struct tested *t = s->owner;
    assert_false(t->is_gone);
    t->is_gone = true;
    t->sink = NULL;
}

static void message_open(struct tested *t, struct fixture *f, const char *instance)
{
    *t = (struct tested){.f = f,
                         .message = {.id = "w1-1/1",
                                     .sop_class = view_of(CT_CLASS),
                                     .sop_instance = view_of(instance),
                                     .abstract_syntax = CT_CLASS,
                                     .transfer_syntax = DICOM_EXPLICIT_VR_LE,
                                     .calling = "CT1",
                                     .called = "HILUM",
                                     .has_data = true}};
    t->sink = sink_folder_new(f->context, &f->node, &t->message);
    assert_non_null(t->sink);
    t->sink->owner = t;
    t->sink->on_ready = on_ready;
    t->sink->on_taken = on_taken;
    t->sink->on_done = on_done;
    t->sink->on_gone = on_gone;
}

static void feed(struct tested *t, const uint8_t *bytes, size_t len, size_t piece)
{
    for (size_t at = 0; at < len && !t->is_done; at += piece) {
        size_t n = len - at < piece ? len - at : piece;
        struct buf *b = buf_new(&t->f->loop.pool);
        assert_non_null(b);
        assert_true(n <= b->size);
        memcpy(b->data, bytes + at, n);
        b->used = (uint32_t)n;
        t->sink->ops->data(t->sink, b, b->data, b->used);
        buf_unref(&b);
    }
}

/* A data set that is longer than a chunk of the comparison, filled by a rule. */
static uint8_t *content(size_t len, uint8_t seed)
{
    uint8_t *bytes = malloc(len ? len : 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(seed + i * 7 + i / 251);
    return bytes;
}

static void send_whole(struct tested *t, const uint8_t *bytes, size_t len, size_t piece)
{
    t->sink->ops->start(t->sink);
    feed(t, bytes, len, piece);
    if (!t->is_done)
        t->sink->ops->finish(t->sink);
}

static void store(struct fixture *f, const char *instance, const uint8_t *bytes, size_t len)
{
    struct tested t;
    message_open(&t, f, instance);
    send_whole(&t, bytes, len, 60000);
    LOOP_UNTIL(&f->loop, t.is_gone);
    assert_int_equal(t.done_count, 1);
    if (t.status != 0)
        fail_msg("%04x %s", t.status, t.comment);
}

/* --- what is on disk --------------------------------------------------------------------------------------- */

static uint8_t *read_file(const char *path, size_t *len_out)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("no file %s", path);
    size_t cap = 4 << 20;
    uint8_t *bytes = malloc(cap);
    assert_non_null(bytes);
    *len_out = fread(bytes, 1, cap, file);
    fclose(file);
    return bytes;
}

static bool file_holds(struct fixture *f, const char *name, const uint8_t *data, size_t len)
{
    char path[600];
    size_t file_len;
    struct part10_meta meta;
    const char *why = "";
    snprintf(path, sizeof(path), "%s/%s", f->folder, name);
    uint8_t *bytes = read_file(path, &file_len);
    bytes = realloc(bytes, file_len + 4);
    assert_non_null(bytes);
    memset(bytes + file_len, 0, 4); /* so that the group ends also before an empty data set */
    if (part10_read(bytes, file_len + 4, &meta, &why) != OK)
        fail_msg("%s: %s", path, why);
    bool same =
        file_len - meta.data_set_offset == len && memcmp(bytes + meta.data_set_offset, data, len) == 0;
    free(bytes);
    return same;
}

static unsigned files, temporaries;

static int count_one(const char *path, const struct stat *s, int kind, struct FTW *ftw)
{
    (void)s;
    const char *name = path + ftw->base;
    files += kind == FTW_F && name[0] != '.';
    temporaries += kind == FTW_F && name[0] == '.';
    return 0;
}

static unsigned count_files(const struct fixture *f)
{
    files = temporaries = 0;
    nftw(f->folder, count_one, 16, FTW_PHYS);
    assert_int_equal(temporaries, 0);
    return files;
}

/* --- tests ------------------------------------------------------------------------------------------------- */

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

static void expect_failure(struct fixture *f, uint16_t status, const char *comment)
{
    struct tested t;
    uint8_t *bytes = content(400000, 0);
    message_open(&t, f, "1.2.3");
    send_whole(&t, bytes, 400000, 60000);
    LOOP_UNTIL(&f->loop, t.is_gone);
    assert_int_equal(t.done_count, 1);
    assert_int_equal(t.status, status);
    assert_string_equal(t.comment, comment);
    assert_int_equal(count_files(f), 0);
    free(bytes);
}

/* Each sync that a success stands on is really asked of the kernel, and its failure is the sink's. */
static void what_cannot_be_synced_is_never_a_success(void **state)
{
    static const struct {
        bool data, directory;
        const char *pattern;
        int files; /* beside the one before */
    } cases[] = {
        {true, false, "{SOPInstanceUID}.dcm", 0},
        {false, true, "{SOPInstanceUID}.dcm", 1},     /* its own directory: published, not acknowledged */
        {false, true, "a/b/{SOPInstanceUID}.dcm", 0}, /* the parents of new directories come first */
    };
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tested t;
        fixture_pattern(f, "{SOPInstanceUID}.dcm");
        store(f, "1.1", (const uint8_t *)"abcd", 4); /* the folder is known to be durable from here on */
        f->loop.io->fails_data_sync = cases[i].data;
        f->loop.io->fails_directory_sync = cases[i].directory;
        fixture_pattern(f, cases[i].pattern);
        message_open(&t, f, "1.2.3");
        send_whole(&t, (const uint8_t *)"abcd", 4, 4);
        LOOP_UNTIL(&f->loop, t.is_gone);
        f->loop.io->fails_data_sync = f->loop.io->fails_directory_sync = false;
        assert_int_equal(t.status, 0xA700);
        assert_string_equal(t.comment, "disk: Bad file descriptor");
        assert_int_equal(count_files(f), 1 + cases[i].files);
        nftw(f->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
        mkdir(f->folder, 0700);
    }
}

static void a_folder_that_cannot_be_written_is_a_failure_with_its_cause(void **state)
{
    struct fixture *f = *state;
    f->node.folder = (char *)"/dev/null/{SOPInstanceUID}.dcm";
    expect_failure(f, 0xA700, "disk: Not a directory");
    f->node.folder = (char *)"/dev/null/x/{SOPInstanceUID}.dcm";
    expect_failure(f, 0xA700, "disk: Not a directory");
    f->node.folder = (char *)"/proc/{SOPInstanceUID}/x.dcm";
    expect_failure(f, 0xA700, "disk: No such file or directory");
    f->node.name = (char *)"a node with a name that is longer than what an error comment can hold, by far";
    expect_failure(f, 0xA700, "a node with a name that is longer tha: No such file or directory");
    f->node.name = (char *)"quo\"te\\d\xc3\xa9";
    expect_failure(f, 0xA700, "quo?te?d??: No such file or directory");
}

static void a_disk_that_is_full_is_a_failure_and_nothing_stays(void **state)
{
    struct fixture *f = *state;
    if (mount("hilum-test", f->folder, "tmpfs", 0, "size=128k")) {
        print_message("skipped: may not mount\n");
        skip();
    }
    struct tested t;
    uint8_t *bytes = content(400000, 0);
    message_open(&t, f, "1.2.3");
    send_whole(&t, bytes, 400000, 60000);
    LOOP_UNTIL(&f->loop, t.is_gone);
    unsigned left = count_files(f);
    assert_int_equal(umount2(f->folder, MNT_DETACH), 0);
    free(bytes);
    assert_int_equal(t.status, 0xA700);
    assert_string_equal(t.comment, "disk: No space left on device");
    assert_int_equal(left, 0);
}

static void a_file_that_may_not_grow_is_a_failure_and_nothing_stays(void **state)
{
    struct fixture *f = *state;
    struct rlimit before, limit;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    limit = before;
    limit.rlim_cur = 100000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    struct tested t;
    uint8_t *bytes = content(400000, 0);
    message_open(&t, f, "1.2.3");
    send_whole(&t, bytes, 400000, 60000);
    LOOP_UNTIL(&f->loop, t.is_gone);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(t.status, 0xA700);
    assert_string_equal(t.comment, "disk: File too large");
    assert_int_equal(count_files(f), 0);
    free(bytes);
}

static void messages_that_cannot_be_files_are_refused(void **state)
{
    struct fixture *f = *state;
    struct tested t;
    message_open(&t, f, "1.2.3");
    t.message.has_data = false;
    t.sink->ops->start(t.sink);
    t.sink->ops->finish(t.sink);
    LOOP_UNTIL(&f->loop, t.is_gone);
    assert_int_equal(t.status, 0xC000);
    assert_string_equal(t.comment, "disk: no data set");

    message_open(&t, f, "");
    t.sink->ops->start(t.sink);
    feed(&t, (const uint8_t *)"abcd", 4, 4);
    t.sink->ops->finish(t.sink);
    LOOP_UNTIL(&f->loop, t.is_gone);
    assert_int_equal(t.status, 0x0117);
    assert_string_equal(t.comment, "disk: no SOP Instance UID");
    assert_int_equal(count_files(f), 0);
}

/* After `turns` turns of the loop. Returns false when the sink was done before that. */
static bool abandon_after(struct fixture *f, unsigned turns, bool is_finished, const uint8_t *bytes,
                          size_t len)
{
    struct tested t;
    message_open(&t, f, "1.2.3");
    t.sink->ops->start(t.sink);
    feed(&t, bytes, len, 60000);
    if (is_finished)
        t.sink->ops->finish(t.sink);
    for (unsigned i = 0; i < turns && !t.is_done; i++) {
        unsigned wakes = f->loop.wakes;
        loop_turn(&f->loop);
        if (f->loop.wakes != wakes && is_finished)
            i--; /* a turn of the guard alone */
    }
    bool was_done = t.is_done;
    if (!was_done)
        t.sink->ops->abandon(t.sink);
    LOOP_UNTIL(&f->loop, t.is_gone);
    assert_int_equal(t.done_count, was_done);
    return !was_done;
}

static void abandoned_in_any_phase_nothing_is_left(void **state)
{
    struct fixture *f = *state;
    enum { LEN = 600000 };
    uint8_t *bytes = content(LEN, 1), *other = content(LEN, 1);
    other[LEN - 1] ^= 1;
    unsigned turns = 0;
    for (bool goes_on = true; goes_on; turns++) { /* new directories each time */
        char pattern[64];
        snprintf(pattern, sizeof(pattern), "a%u/b/{SOPInstanceUID}.dcm", turns);
        fixture_pattern(f, pattern);
        goes_on = abandon_after(f, turns, true, bytes, LEN);
        snprintf(pattern, sizeof(pattern), "a%u/b/1.2.3.dcm", turns);
        if (count_files(f) > 0) { /* too late: but then whole */
            assert_true(file_holds(f, pattern, bytes, LEN));
            assert_int_equal(count_files(f), 1);
            nftw(f->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
            mkdir(f->folder, 0700);
        }
    }
    assert_true(turns > 12); /* it went through all of it */
    fixture_pattern(f, "{SOPInstanceUID}.dcm");
    store(f, "1.2.3", bytes, LEN);
    for (unsigned k = 0; abandon_after(f, k, true, bytes, LEN); k++)
        assert_int_equal(count_files(f), 1);
    assert_int_equal(count_files(f), 1);
    bool was_published = false;
    for (unsigned k = 0; abandon_after(f, k, true, other, LEN); k++) {
        unsigned count = count_files(f);
        assert_true(count == 1 || (count == 2 && file_holds(f, "1.2.3-1.dcm", other, LEN)));
        if (was_published)
            break;
        was_published = count == 2;
    }
    assert_true(file_holds(f, "1.2.3.dcm", bytes, LEN));
    free(bytes);
    free(other);
}

static void without_its_end_a_message_is_never_published(void **state)
{
    struct fixture *f = *state;
    uint8_t *bytes = content(200000, 1);
    for (unsigned turns = 0; turns < 12; turns++) {
        char pattern[64];
        snprintf(pattern, sizeof(pattern), "a%u/b/{SOPInstanceUID}.dcm", turns);
        fixture_pattern(f, pattern);
        assert_true(abandon_after(f, turns, false, bytes, 200000));
        assert_int_equal(count_files(f), 0);
    }
    free(bytes);
}

static void abandoned_before_it_started_it_goes(void **state)
{
    struct fixture *f = *state;
    struct tested t;
    message_open(&t, f, "1.2.3");
    t.sink->ops->abandon(t.sink);
    assert_false(t.is_gone); /* only from the loop */
    LOOP_UNTIL(&f->loop, t.is_gone);
    assert_int_equal(t.done_count, 0);

    message_open(&t, f, "");
    t.sink->ops->start(t.sink);
    t.sink->ops->abandon(t.sink); /* before the refusal was told */
    LOOP_UNTIL(&f->loop, t.is_gone);
    assert_int_equal(t.done_count, 0);
}

static void abandon_when_ready(struct sink *s)
{
    on_ready(s);
    s->ops->abandon(s);
}

static void it_may_be_abandoned_from_its_own_callback(void **state)
{
    struct fixture *f = *state;
    struct tested t;
    message_open(&t, f, "1.2.3");
    t.sink->on_ready = abandon_when_ready;
    send_whole(&t, (const uint8_t *)"abcd", 4, 4);
    LOOP_UNTIL(&f->loop, t.is_gone);
    assert_int_equal(t.done_count, 0);
    assert_int_equal(count_files(f), 0);
}

int main(void)
{
#define FOLDER_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
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
        FOLDER_TEST(what_cannot_be_synced_is_never_a_success),
        FOLDER_TEST(a_folder_that_cannot_be_written_is_a_failure_with_its_cause),
        FOLDER_TEST(a_disk_that_is_full_is_a_failure_and_nothing_stays),
        FOLDER_TEST(a_file_that_may_not_grow_is_a_failure_and_nothing_stays),
        FOLDER_TEST(messages_that_cannot_be_files_are_refused),
        FOLDER_TEST(abandoned_in_any_phase_nothing_is_left),
        FOLDER_TEST(without_its_end_a_message_is_never_published),
        FOLDER_TEST(abandoned_before_it_started_it_goes),
        FOLDER_TEST(it_may_be_abandoned_from_its_own_callback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
