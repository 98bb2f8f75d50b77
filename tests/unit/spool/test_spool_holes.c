/* Segments that have to stay, and what of them is given back. */
#include "test_spool.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "spool/log_inside.h"
#include "spool/spool_inside.h"

enum { SIZE = 300000, COUNT = 65 /* of which every fifth is for a node that is away */, BLOCK = 4096 };

/* Where messages lie: of one extent or more each. */
struct lies {
    uint64_t number;
    struct spool_extent extents[4];
    size_t count;
};

static void segment_path(const struct fixture *f, uint32_t generation, uint32_t segment, char out[512])
{
    snprintf(out, 512, "%s/%08u/%08u.log", f->folder, generation, segment);
}

static uint64_t taken(const struct fixture *f, uint32_t segment)
{
    char path[512];
    struct stat is;
    segment_path(f, 1, segment, path);
    if (stat(path, &is) != 0)
        return 0;
    return (uint64_t)(is.st_blocks * 512 < is.st_size ? is.st_blocks * 512 : is.st_size);
}

static uint8_t *contents(const struct fixture *f, uint32_t segment, size_t *len_out)
{
    char path[512];
    struct stat is;
    segment_path(f, 1, segment, path);
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &is) == 0);
    uint8_t *bytes = malloc((size_t)is.st_size);
    assert_int_equal(read(fd, bytes, (size_t)is.st_size), is.st_size);
    close(fd);
    *len_out = (size_t)is.st_size;
    return bytes;
}

static uint64_t used(const struct fixture *f)
{
    return atomic_load(&f->spool->log->used);
}

static uint64_t all_taken(const struct fixture *f)
{
    uint64_t bytes = 0;
    for (uint32_t n = 1; n < 64; n++)
        bytes += taken(f, n);
    return bytes;
}

static bool is_away(uint64_t number)
{
    return number % 5 == 0;
}

static void store_all(struct fixture *f, uint64_t from, uint64_t to, uint64_t size)
{
    for (uint64_t n = from; n < to; n++)
        assert_int_equal(store(f, n, size, is_away(n) ? "away" : "pacs", NULL), SPOOL_DONE);
}

/* Delivers all that is for pacs, and says where it lay. */
static size_t deliver_all(struct fixture *f, struct lies *lies)
{
    static struct feed pacs;
    size_t count = 0;
    feed_open(f, &pacs, "pacs");
    while (feed_ask(f, &pacs, 16) > 0) {
        for (const struct spool_entry *e = pacs.list; e && lies; e = e->next) {
            lies[count].number = number_of(e);
            assert_in_range(e->data.count, 1, 4);
            memcpy(lies[count].extents, e->data.extents, e->data.count * sizeof(*e->data.extents));
            lies[count++].count = e->data.count;
        }
        deliver_list(f, &pacs);
    }
    feed_close(f, &pacs);
    return count;
}

/* All that is for the node that was away is there as it was sent. */
static unsigned check_away(struct fixture *f, bool delivers)
{
    static struct feed away;
    feed_open(f, &away, "away");
    unsigned count = feed_ask(f, &away, 1000);
    for (const struct spool_entry *e = away.list; e; e = e->next) {
        assert_true(is_away(number_of(e)));
        assert_true(is_whole(f->folder, e));
    }
    if (delivers)
        deliver_list(f, &away);
    feed_close(f, &away);
    return count;
}

static uint64_t up(uint64_t n)
{
    return (n + BLOCK - 1) / BLOCK * BLOCK;
}

static uint64_t down(uint64_t n)
{
    return n / BLOCK * BLOCK;
}

/* What is expected of a segment: the whole blocks inside of what was delivered are zeros. */
static void make_holes(uint8_t *bytes, uint32_t segment, const struct lies *lies, size_t count)
{
    for (size_t n = 0; n < count; n++) {
        for (size_t k = 0; k < lies[n].count; k++) {
            const struct spool_extent *e = &lies[n].extents[k];
            uint64_t from = up(e->offset), to = down(e->offset + e->bytes);
            if (e->segment == segment && from < to)
                memset(bytes + from, 0, to - from);
        }
    }
}

static bool is_as(const struct fixture *f, uint32_t segment, const uint8_t *wanted, size_t len)
{
    size_t n;
    uint8_t *bytes = contents(f, segment, &n);
    bool is = n == len && memcmp(bytes, wanted, n) == 0;
    free(bytes);
    return is;
}

/* Until the segments have been seen with all that is live in them: their fall is noticed, then. Nothing tells that from outside. */
static void let_be_seen(struct fixture *f)
{
    uint64_t until = clock_ms() + 1500;
    while (clock_ms() < until)
        loop_turn(&f->loop);
}

/* As many messages as fill some small segments; those that are to be delivered are, and the first two segments are given back what can be. */
static void fill_and_punch(struct fixture *f)
{
    static struct lies lies[COUNT];
    f->options.max_bytes = 128 << 20; /* segments of 8 MiB; room is not short */
    fixture_open(f);
    store_all(f, 0, COUNT, SIZE);
    settle(f, COUNT);
    size_t lens[3];
    uint8_t *wanted[3];
    for (uint32_t n = 1; n <= 2; n++)
        wanted[n] = contents(f, n, &lens[n]);
    let_be_seen(f);
    size_t count = deliver_all(f, lies);
    assert_int_equal(count, COUNT - COUNT / 5);
    for (uint32_t n = 1; n <= 2; n++) {
        make_holes(wanted[n], n, lies, count);
        LOOP_UNTIL(&f->loop, taken(f, n) < lens[n] / 3 && is_as(f, n, wanted[n], lens[n]));
        free(wanted[n]);
    }
}

static void what_was_delivered_is_given_back_and_all_else_stays_bit_by_bit(void **state)
{
    struct fixture *f = *state;
    fill_and_punch(f);
    assert_int_equal(check_away(f, false), COUNT / 5);
    assert_int_equal(count_state(f->folder, SPOOL_DELIVERED), COUNT - COUNT / 5);
    /* What counts is what is there. */
    uint64_t there = all_taken(f), about = 64 << 10;
    LOOP_UNTIL(&f->loop, used(f) < there + about);
    assert_true(used(f) + about > there);
    /* And when they go as a whole nothing is counted twice. */
    assert_int_equal(check_away(f, true), COUNT / 5);
    LOOP_UNTIL(&f->loop, !exists(f, "00000001/00000001.log") && !exists(f, "00000001/00000002.log"));
    struct stat is;
    char path[512];
    segment_path(f, 1, 3, path);
    assert_int_equal(stat(path, &is), 0);
    LOOP_UNTIL(&f->loop, used(f) == (uint64_t)is.st_size);
}

static bool on_id(void *owner, const struct index_row *row)
{
    *(spool_id *)owner = row->id;
    return true;
}

/* As hilum queue export asks. */
static bool has_bytes(const struct fixture *f, const char *instance)
{
    char path[300], why[256] = "";
    struct index *i;
    struct spool_entry *e;
    spool_id id = 0;
    snprintf(path, sizeof(path), "%s/index.db", f->folder);
    assert_int_equal(index_open(path, true, &i, why, sizeof(why)), OK);
    assert_int_equal(index_list(i, &(struct index_filter){.instance = instance, .max = 1}, on_id, &id), OK);
    assert_int_equal(index_entry(i, id, &e), OK);
    bool has = e != NULL;
    spool_entry_free(&e);
    index_close(&i);
    return has;
}

static void what_is_given_back_is_not_to_be_had_any_more(void **state)
{
    struct fixture *f = *state;
    fill_and_punch(f);
    assert_false(has_bytes(f, "1.2.3.1"));
    assert_true(has_bytes(f, "1.2.3.0"));
    assert_true(has_bytes(f, "1.2.3.59")); /* delivered, in the segment that is written */
}

/* As a process that is killed leaves it. */
static void take_ahead(const struct fixture *f, uint32_t segment)
{
    char path[512];
    struct stat is;
    segment_path(f, 1, segment, path);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0 && fstat(fd, &is) == 0);
    assert_int_equal(fallocate(fd, FALLOC_FL_KEEP_SIZE, is.st_size, 4 << 20), 0);
    close(fd);
}

static void the_next_process_counts_what_is_there_and_goes_on(void **state)
{
    struct fixture *f = *state;
    fill_and_punch(f);
    spool_close(&f->spool);
    take_ahead(f, 3);
    uint64_t there = all_taken(f);
    fixture_open(f);
    assert_in_range(used(f), there, there + 4096);
    assert_int_equal(count_state(f->folder, SPOOL_FAILED_FOR_GOOD), 0);
    uint64_t before = taken(f, 3);
    LOOP_UNTIL(&f->loop, taken(f, 3) < before / 2); /* its last one is as good as the others now */
    LOOP_UNTIL(&f->loop, used(f) < all_taken(f) + 8192);
    assert_in_range(used(f), all_taken(f), all_taken(f) + 8192);
    assert_int_equal(check_away(f, true), COUNT / 5);
    LOOP_UNTIL(&f->loop, !exists(f, "00000001"));
    assert_in_range(used(f), 0, 8192);
}

static void an_index_that_is_made_again_knows_holes_from_damage(void **state)
{
    struct fixture *f = *state;
    char path[320];
    fill_and_punch(f);
    spool_close(&f->spool);
    for (int n = 0; n < 3; n++) {
        snprintf(path, sizeof(path), "%s/index.db%s", f->folder, (const char *[]){"", "-wal", "-shm"}[n]);
        unlink(path);
    }
    fixture_open(f);
    assert_int_equal(count_state(f->folder, SPOOL_FAILED_FOR_GOOD), 0);
    assert_int_equal(count_rows(f->folder, (struct index_filter){.instance = "1.2.3.1"}), 0);
    assert_int_equal(count_state(f->folder, SPOOL_QUEUED), COUNT / 5);
    assert_int_equal(check_away(f, false), COUNT / 5);
}

/* --- room ------------------------------------------------------------------------------------------------------------ */

static void one_node_that_is_away_does_not_fill_the_spool_with_what_others_have(void **state)
{
    struct fixture *f = *state;
    f->options.max_bytes = 32 << 20;
    fixture_open(f);
    uint64_t until = clock_ms() + 60000;
    for (uint64_t n = 0; n < 250; n++) { /* 75 MB, of which 15 MB wait */
        enum spool_error error;
        while ((error = store(f, n, SIZE, is_away(n) ? "away" : "pacs", NULL)) == SPOOL_FULL) {
            assert_true(clock_ms() < until);
            loop_turn(&f->loop);
        }
        assert_int_equal(error, SPOOL_DONE);
        (void)deliver_all(f, NULL);
    }
    assert_int_equal(check_away(f, true), 50);
}

/* --- drafts ---------------------------------------------------------------------------------------------------------- */

static void on_written(struct spool_write *w, enum spool_error error)
{
    assert_int_equal(error, SPOOL_DONE);
    *(bool *)w->owner = true;
}

static void draft_write(struct fixture *f, struct spool_draft *d, const uint8_t *bytes, size_t len,
                        const struct spool_commit *commit)
{
    bool is_done = false;
    struct spool_part part = {bytes, len};
    struct spool_write w = {.draft = d,
                            .io = f->loop.io,
                            .owner = &is_done,
                            .on_done = on_written,
                            .parts = &part,
                            .part_count = 1,
                            .commit = commit};
    spool_write(f->spool, &w);
    LOOP_UNTIL(&f->loop, is_done);
}

static void pieces_without_a_commit_go_when_their_draft_does(void **state)
{
    struct fixture *f = *state;
    static struct feed away;
    static uint8_t bytes[1 << 20];
    struct spool_new_entry entry = {.node = "away", .route = "CT", .edition = SPOOL_AS_RECEIVED};
    struct spool_commit commit = {.facts = facts_of("1.2.3.1005", ""), .entries = &entry, .entry_count = 1};
    f->options.max_bytes = 128 << 20;
    fixture_open(f);
    assert_int_equal(store(f, 0, SIZE, "away", NULL), SPOOL_DONE);
    struct spool_draft *gone = spool_draft_new(f->spool), *open = spool_draft_new(f->spool);
    for (uint64_t at = 0; at < sizeof(bytes); at++)
        bytes[at] = byte_of(1005, at);
    for (int n = 0; n < 5; n++)
        draft_write(f, gone, bytes, sizeof(bytes), NULL);
    draft_write(f, open, bytes, SIZE, NULL);
    store_all(f, 5, 40, SIZE);
    let_be_seen(f);
    (void)deliver_all(f, NULL);
    spool_draft_free(&gone);
    let_be_seen(f);
    let_be_seen(f);
    assert_in_range(taken(f, 1), 8 << 20, 9 << 20); /* nothing of it, while one is open there */
    draft_write(f, open, bytes + SIZE, 1000, &commit);
    spool_draft_free(&open);
    LOOP_UNTIL(&f->loop, taken(f, 1) < 2 << 20);
    feed_open(f, &away, "away");
    assert_true(feed_await(f, &away, 100) > 2);
    bool is_there = false;
    for (const struct spool_entry *e = away.list; e; e = e->next) {
        assert_true(is_whole(f->folder, e));
        is_there = is_there || number_of(e) == 1005;
    }
    assert_true(is_there);
    feed_close(f, &away);
}

/* --- disks that fail ---------------------------------------------------------------------------------------------------- */

static void what_cannot_be_given_back_is_tried_again(void **state)
{
    struct fixture *f = *state;
    assert_true(io_set_faults("punch:3:EIO"));
    fill_and_punch(f); /* some seconds later */
    assert_int_equal(check_away(f, false), COUNT / 5);
}

static void without_holes_segments_go_as_a_whole(void **state)
{
    struct fixture *f = *state;
    assert_true(io_set_faults("punch:1+:ENOTSUP"));
    f->options.max_bytes = 32 << 20; /* short of room at once */
    fixture_open(f);
    store_all(f, 0, COUNT, SIZE);
    (void)deliver_all(f, NULL);
    LOOP_UNTIL(&f->loop, f->spool->indexer != NULL && check_away(f, false) == COUNT / 5 &&
                             count_state(f->folder, SPOOL_DELIVERED) == COUNT - COUNT / 5);
    uint64_t before = used(f);
    (void)check_away(f, true);
    LOOP_UNTIL(&f->loop, !exists(f, "00000001/00000001.log"));
    LOOP_UNTIL(&f->loop, used(f) < before);
}

/* Works until a punch kills it. */
static void run_until_killed(const struct spool_options *o, unsigned punch)
{
    struct fixture f = {.options = *o};
    char faults[64];
    snprintf(f.folder, sizeof(f.folder), "%s", o->path);
    snprintf(faults, sizeof(faults), "punch:%u:kill", punch);
    (void)io_set_faults(faults);
    loop_open(&f.loop, 1 << 20);
    fixture_open(&f);
    store_all(&f, 0, COUNT, SIZE);
    let_be_seen(&f);
    (void)deliver_all(&f, NULL);
    for (;;)
        loop_turn(&f.loop);
}

static void a_kill_between_two_holes_loses_nothing(void **state)
{
    struct fixture *f = *state;
    f->options.max_bytes = 128 << 20;
    unsigned at[] = {1, 2, 17};
    for (size_t n = 0; n < sizeof(at) / sizeof(at[0]); n++) {
        int status;
        pid_t pid = fork(); /* nothing of this process is used in it */
        assert_true(pid >= 0);
        if (pid == 0) {
            run_until_killed(&f->options, at[n]);
            _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        fixture_open(f);
        assert_int_equal(count_state(f->folder, SPOOL_FAILED_FOR_GOOD), 0);
        assert_int_equal(count_state(f->folder, SPOOL_DELIVERED),
                         (n + 1) * (COUNT - COUNT / 5) + n * COUNT / 5);
        assert_int_equal(check_away(f, true), COUNT / 5);
        spool_close(&f->spool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_delivered_is_given_back_and_all_else_stays_bit_by_bit),
        TEST(what_is_given_back_is_not_to_be_had_any_more),
        TEST(the_next_process_counts_what_is_there_and_goes_on),
        TEST(an_index_that_is_made_again_knows_holes_from_damage),
        TEST(one_node_that_is_away_does_not_fill_the_spool_with_what_others_have),
        TEST(pieces_without_a_commit_go_when_their_draft_does),
        TEST(what_cannot_be_given_back_is_tried_again),
        TEST(without_holes_segments_go_as_a_whole),
        TEST(a_kill_between_two_holes_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
