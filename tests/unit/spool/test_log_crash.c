/* What a crash may leave of a log, and what is made of it. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "io/disk.h"
#include "io/faults.h"
#include "log_kit.h"

enum { THREADS = 4, EACH = 12, MESSAGES = THREADS * EACH, PIECES_MAX = 8 };

/* [from, to) of the file. */
struct range {
    uint64_t from, to;
};
struct message {
    struct range commit, pieces[PIECES_MAX]; /* the record without its padding, the bytes of extents */
    size_t count;
};

/* A log as its writer left it. */
struct original {
    uint8_t *bytes;
    size_t len;
    struct message messages[MESSAGES];
    uint64_t ends[512]; /* of every record */
    size_t end_count;
};

struct worker {
    struct kit *kit;
    unsigned number, each;
    int told; /* gets the number of each message that is acknowledged; -1: nobody asks */
    pthread_t thread;
};

static void *store_many(void *owner)
{
    struct worker *w = owner;
    struct sender s;
    sender_open(&s, w->kit);
    for (unsigned i = 0; i < w->each; i++) {
        uint32_t number = w->number * w->each + i;
        if (sender_store(&s, number, 100 + (number % 7) * 1500, 2000) != SPOOL_DONE)
            break;
        if (w->told >= 0 && write(w->told, &number, sizeof(number)) != sizeof(number))
            break;
    }
    sender_close(&s);
    return NULL;
}

static void run_workers(struct kit *k, unsigned each, int told)
{
    struct worker workers[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.kit = k, .number = i, .each = each, .told = told};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, store_many, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
}

/* --- the original ------------------------------------------------------------------------------------------------------ */

static void note_commit(struct original *o, const struct record *r, struct view payload)
{
    struct record_commit c;
    char text[32] = "";
    struct spool_extent *extents;
    assert_int_equal(record_commit_read(payload, &c), OK);
    memcpy(text, c.sop_instance.at, c.sop_instance.len);
    struct message *m = &o->messages[strtoul(text, NULL, 10)];
    m->commit = (struct range){r->offset, r->offset + RECORD_HEADER + r->length};
    assert_int_equal(record_streams_extents(c.streams, &extents, &m->count), OK);
    assert_in_range(m->count, 1, PIECES_MAX);
    for (size_t i = 0; i < m->count; i++)
        m->pieces[i] = (struct range){extents[i].offset, extents[i].offset + extents[i].bytes};
    free(extents);
    record_commit_free(&c);
}

static void read_original(struct kit *k, struct original *o)
{
    struct log_walk w;
    struct record r;
    struct view payload;
    char path[SPOOL_PATH_MAX];
    uint64_t size;
    size_t n;
    int fd;
    log_walk_begin(&w, k->folder, (struct log_position){.generation = 1});
    while (log_walk_next(&w, log_end(k->log), &r, &payload) == OK) {
        assert_in_range(o->end_count, 0, 511);
        o->ends[o->end_count++] = r.offset + record_size(&r);
        if (r.type == RECORD_COMMIT)
            note_commit(o, &r, payload);
    }
    log_walk_end(&w);
    assert_true(log_segment_path(k->folder, 1, path));
    assert_int_equal(disk_open(path, DISK_READ, &fd), IO_NONE);
    assert_int_equal(disk_size(fd, &size), IO_NONE);
    o->len = size;
    o->bytes = malloc(size);
    assert_non_null(o->bytes);
    assert_int_equal(disk_read(fd, o->bytes, o->len, 0, &n), IO_NONE);
    assert_int_equal(n, size);
    assert_int_equal(o->ends[o->end_count - 1], size);
    disk_close(fd);
}

/* One for all tests of this file; each makes its crash of a copy. */
static struct original original;

static int make_original(void **state)
{
    assert_int_equal(kit_setup(state), 0);
    kit_open(*state, 0, 0);
    run_workers(*state, EACH, -1);
    read_original(*state, &original);
    kit_close(*state);
    log_configure(LOG_ERROR, LOG_LOGFMT);
    return kit_teardown(state);
}

static int free_original(void **state)
{
    (void)state;
    free(original.bytes);
    return 0;
}

/* --- crashes -------------------------------------------------------------------------------------------------------------- */

/* The bytes as they are in a file; `hole` is given back to the file system. */
static void leave(struct kit *k, const uint8_t *bytes, size_t len, struct range hole)
{
    char path[SPOOL_PATH_MAX];
    struct iovec v = {(void *)bytes, len};
    uint64_t done;
    int fd;
    assert_true(log_segment_path(k->folder, 1, path));
    assert_int_equal(disk_open(path, DISK_CREATE, &fd), IO_NONE);
    assert_int_equal(disk_truncate(fd, 0), IO_NONE);
    assert_int_equal(disk_write(fd, &v, 1, 0, &done), IO_NONE);
    if (hole.to > hole.from)
        assert_int_equal(disk_punch(fd, hole.from, hole.to - hole.from), IO_NONE);
    disk_close(fd);
}

static bool overlap(struct range a, struct range b)
{
    return a.from < b.to && b.from < a.to;
}

static bool is_touched(const struct message *m, struct range lost)
{
    bool is = overlap(m->commit, lost);
    for (size_t i = 0; i < m->count; i++)
        is = is || overlap(m->pieces[i], lost);
    return is;
}

/* Of a copy that lost `lost`: what was not touched is there, once and whole; what was touched is not, or is known to be damaged. */
static void expect(const struct found *found, struct range lost, const char *what)
{
    for (unsigned i = 0; i < MESSAGES; i++) {
        unsigned whole = found->times[i] - found->damaged[i];
        if (found->times[i] > 1 || whole != !is_touched(&original.messages[i], lost))
            fail_msg("%s: of [%llu, %llu) message %u is found %u times, %u of them damaged", what,
                     (unsigned long long)lost.from, (unsigned long long)lost.to, i, found->times[i],
                     found->damaged[i]);
    }
}

/* Of the first segment; 0: it is not there. */
static uint64_t size_of(struct kit *k)
{
    char path[SPOOL_PATH_MAX];
    uint64_t size = 0;
    int fd;
    assert_true(log_segment_path(k->folder, 1, path));
    if (disk_open(path, DISK_READ, &fd) == IO_NONE)
        assert_int_equal(disk_size(fd, &size), IO_NONE);
    disk_close(fd);
    return size;
}

static void expect_cut_at(struct kit *k, uint64_t at, const char *what)
{
    struct found found, again;
    struct log_position end = kit_recover(k, &found), same;
    expect(&found, (struct range){at, UINT64_MAX}, what);
    assert_int_equal(found.faults, 0); /* all that is torn is gone */
    assert_int_equal(size_of(k), end.offset);
    same = kit_recover(k, &again);
    assert_memory_equal(&found, &again, sizeof(found));
    assert_memory_equal(&end, &same, sizeof(end));
}

/* In front of every record, in its header, behind it, in its payload, at its last byte. */
static void a_log_cut_anywhere_keeps_what_is_whole(void **state)
{
    struct kit *k = *state;
    uint64_t from = 0;
    for (size_t i = 0; i < original.end_count; i++) {
        uint64_t to = original.ends[i];
        const uint64_t cuts[] = {
            from, from + 1, from + 40, from + RECORD_HEADER, (from + to) / 2, to - RECORD_ALIGN};
        for (size_t c = 0; c < sizeof(cuts) / sizeof(cuts[0]); c++) {
            leave(k, original.bytes, cuts[c], (struct range){0, 0});
            expect_cut_at(k, cuts[c], "cut");
        }
        from = to;
    }
}

/* The same places, and then what a disk may have there: zeros, noise, what else was in memory. */
static void what_stands_behind_the_end_is_not_taken_for_records(void **state)
{
    enum { BEHIND = 20000 };
    struct kit *k = *state;
    uint8_t *bytes = malloc(original.len + BEHIND);
    assert_non_null(bytes);
    srand(5);
    for (size_t i = 0; i < original.end_count; i++) {
        uint64_t from = i == 0 ? 0 : original.ends[i - 1],
                 at = from + (uint64_t)rand() % (original.ends[i] - from);
        memcpy(bytes, original.bytes, at);
        memset(bytes + at, 0, BEHIND);
        if (i % 3 == 1)
            kit_fill(bytes + at, BEHIND, (unsigned)i);
        if (i % 3 == 2) /* records of other places */
            memcpy(bytes + at, original.bytes + 8 * (i % 5),
                   BEHIND < original.len - 40 ? BEHIND : original.len - 40);
        uint64_t lost = at; /* zeros may stand where zeros stood */
        while (lost < original.len && lost < at + BEHIND && bytes[lost] == original.bytes[lost])
            lost++;
        leave(k, bytes, at + BEHIND, (struct range){0, 0});
        expect_cut_at(k, lost, "garbage");
    }
    free(bytes);
}

/* Pages reach the disk in any order: anything in the middle may be missing, though what stands behind is there. */
static void pages_that_are_missing_cost_only_what_was_in_them(void **state)
{
    enum { ROUNDS = 300 };
    struct kit *k = *state;
    uint8_t *bytes = malloc(original.len);
    assert_non_null(bytes);
    srand(6);
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint64_t from = (uint64_t)rand() % original.len, len = 1 + (uint64_t)rand() % (i % 2 ? 9000 : 30);
        struct range lost = {from, from + len < original.len ? from + len : original.len}, hole = {0, 0};
        struct found found;
        memcpy(bytes, original.bytes, original.len);
        if (i % 3 == 0)
            hole = lost;
        else
            for (uint64_t at = lost.from; at < lost.to; at++)
                bytes[at] = i % 3 == 1 ? (uint8_t)~bytes[at] : (uint8_t)(bytes[at] + 1 + at % 200);
        leave(k, bytes, original.len, hole);
        (void)kit_recover(k, &found);
        if (i % 3 != 0) {
            expect(&found, lost, "changed");
            continue;
        }
        for (unsigned m = 0; m < MESSAGES; m++) { /* zeros may stand where zeros stood */
            assert_in_range(found.times[m], 0, 1);
            if (!is_touched(&original.messages[m], lost))
                assert_true(found.times[m] == 1 && found.damaged[m] == 0);
        }
    }
    free(bytes);
}

/* --- processes that die ------------------------------------------------------------------------------------------------------ */

/* The child writes until it is killed. Returns how many it said were acknowledged; told[number] of each. */
static unsigned run_child(struct kit *k, const char *faults, unsigned kill_after, bool *told)
{
    int ends[2], status;
    uint32_t number;
    unsigned count = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(ends[0]);
        kit_open(k, 0, 0);
        (void)io_set_faults(faults);
        run_workers(k, KIT_MESSAGES / THREADS, ends[1]);
        _exit(0);
    }
    (void)close(ends[1]);
    while (read(ends[0], &number, sizeof(number)) == sizeof(number)) {
        told[number] = true;
        if (++count == kill_after)
            (void)kill(child, SIGKILL);
    }
    (void)close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return count;
}

static void expect_all_told(struct kit *k, const bool *told)
{
    struct found found;
    (void)kit_recover(k, &found);
    assert_int_equal(found.faults, 0);
    for (unsigned i = 0; i < KIT_MESSAGES; i++) {
        if (told[i] && (found.times[i] != 1 || found.damaged[i] != 0))
            fail_msg("message %u was acknowledged, and is found %u times, %u damaged", i, found.times[i],
                     found.damaged[i]);
    }
}

static void a_process_that_is_killed_loses_nothing_that_it_acknowledged(void **state)
{
    static const unsigned after[] = {1, 7, 50, 200, 321};
    for (size_t i = 0; i < sizeof(after) / sizeof(after[0]); i++) {
        static bool told[KIT_MESSAGES];
        memset(told, 0, sizeof(told));
        assert_int_equal(kit_setup(state), 0);
        assert_true(run_child(*state, NULL, after[i], told) >= after[i]);
        expect_all_told(*state, told);
        assert_int_equal(kit_teardown(state), 0);
    }
    assert_int_equal(kit_setup(state), 0); /* for the teardown */
}

static void a_process_that_dies_in_a_write_or_a_sync_leaves_a_torn_end(void **state)
{
    static const char *const faults[] = {"write:1:kill", "write:9:short,write:10:kill",
                                         "write:77:short,write:78:kill", "fdatasync:1:kill",
                                         "fdatasync:20:kill"};
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        static bool told[KIT_MESSAGES];
        memset(told, 0, sizeof(told));
        assert_int_equal(kit_setup(state), 0);
        (void)run_child(*state, faults[i], 0, told);
        expect_all_told(*state, told);
        assert_int_equal(kit_teardown(state), 0);
    }
    assert_int_equal(kit_setup(state), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_log_cut_anywhere_keeps_what_is_whole, kit_setup, kit_teardown),
        cmocka_unit_test_setup_teardown(what_stands_behind_the_end_is_not_taken_for_records, kit_setup,
                                        kit_teardown),
        cmocka_unit_test_setup_teardown(pages_that_are_missing_cost_only_what_was_in_them, kit_setup,
                                        kit_teardown),
        cmocka_unit_test_teardown(a_process_that_is_killed_loses_nothing_that_it_acknowledged, kit_teardown),
        cmocka_unit_test_teardown(a_process_that_dies_in_a_write_or_a_sync_leaves_a_torn_end, kit_teardown),
    };
    return cmocka_run_group_tests(tests, make_original, free_original);
}
