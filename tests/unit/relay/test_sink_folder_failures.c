/* What a folder cannot store is a failure with its cause, and nothing of it stays: full disks, refusals, messages that are given up. */
#include <signal.h>
#include <sys/resource.h>

#include "folder.h"
#include "io/engine.h"

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
    const struct CMUnitTest tests[] = {
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
