/* An entry's bytes as who delivers it reads them; and what is not there, or not what was written. */
#include "test_spool.h"

#include <sys/stat.h>

#include "spool/reader.h"

enum { SIZE = 700000 /* three pieces */ };

struct reading {
    struct spool_reader reader;
    uint8_t bytes[64 << 10];
    uint64_t len; /* of message 1, then of message 2 */
    bool is_good; /* so far */
    unsigned reads, failures;
    bool is_damaged;
    char why[128];
};

static void on_read(struct spool_reader *r, uint32_t len)
{
    struct reading *g = r->owner;
    for (uint32_t n = 0; n < len; n++, g->len++)
        g->is_good = g->is_good && g->bytes[n] == byte_of(1 + g->len / SIZE, g->len % SIZE);
    g->reads++;
}

static void on_failed(struct spool_reader *r, bool is_damaged, const char *why)
{
    struct reading *g = r->owner;
    g->failures++;
    g->is_damaged = is_damaged;
    snprintf(g->why, sizeof(g->why), "%s", why);
}

static void reading_open(struct fixture *f, struct reading *g)
{
    *g = (struct reading){
        .reader = {
            .spool = f->spool, .io = f->loop.io, .owner = g, .on_read = on_read, .on_failed = on_failed}};
    assert_true(spool_reader_init(&g->reader));
}

/* The stream from its start, so much at once, to its end or to what fails. */
static void read_stream(struct fixture *f, struct reading *g, const struct spool_stream *stream, size_t room)
{
    g->len = g->reads = g->failures = 0;
    g->is_good = true;
    spool_reader_begin(&g->reader, stream);
    while (g->failures == 0 && !spool_reader_is_at_end(&g->reader)) {
        unsigned before = g->reads;
        spool_reader_next(&g->reader, g->bytes, room);
        LOOP_UNTIL(&f->loop, g->reads > before || g->failures > 0);
    }
    assert_false(spool_reader_is_busy(&g->reader));
}

static void read_once(struct fixture *f, struct reading *g, const struct spool_stream *stream)
{
    reading_open(f, g);
    read_stream(f, g, stream, sizeof(g->bytes));
    spool_reader_free(&g->reader);
}

static const struct spool_entry *store_one(struct fixture *f, struct feed *pacs)
{
    fixture_open(f);
    feed_open(f, pacs, "pacs");
    assert_int_equal(store(f, 1, SIZE, "pacs", NULL), SPOOL_DONE);
    assert_int_equal(feed_await(f, pacs, 1), 1);
    return pacs->list;
}

static void what_was_stored_is_read_whatever_is_asked_for_at_once(void **state)
{
    struct fixture *f = *state;
    static struct feed pacs;
    static struct reading g;
    static const size_t rooms[] = {64 << 10, 65521, 999};
    const struct spool_entry *e = store_one(f, &pacs);
    assert_true(e->data.count > 1);
    reading_open(f, &g);
    for (size_t n = 0; n < sizeof(rooms) / sizeof(rooms[0]); n++) {
        read_stream(f, &g, &e->data, rooms[n]);
        assert_int_equal(g.failures, 0);
        assert_int_equal(g.len, SIZE);
        assert_true(g.is_good);
    }
    struct spool_stream none = {0};
    read_stream(f, &g, &none, 1);
    assert_int_equal(g.reads, 0);
    spool_reader_free(&g.reader);
    feed_close(f, &pacs);
}

static void a_stream_may_go_on_in_another_file(void **state)
{
    struct fixture *f = *state;
    static struct feed pacs;
    static struct reading g;
    struct spool_extent both[16];
    size_t count = 0;
    fixture_open(f);
    assert_int_equal(store(f, 1, SIZE, "pacs", NULL), SPOOL_DONE);
    spool_close(&f->spool);
    fixture_open(f); /* a new generation */
    assert_int_equal(store(f, 2, SIZE, "pacs", NULL), SPOOL_DONE);
    settle(f, 2);
    feed_open(f, &pacs, "pacs");
    assert_int_equal(feed_ask(f, &pacs, 2), 2);
    for (const struct spool_entry *e = pacs.list; e; e = e->next)
        for (size_t n = 0; n < e->data.count && count < 16; n++)
            both[count++] = e->data.extents[n];
    assert_int_not_equal(both[0].generation, both[count - 1].generation);
    read_once(f, &g, &(struct spool_stream){.extents = both, .count = count, .bytes = 2 * SIZE});
    assert_int_equal(g.failures, 0);
    assert_int_equal(g.len, 2 * SIZE);
    assert_true(g.is_good);
    feed_close(f, &pacs);
}

/* The file of an extent. */
static const char *path_of(struct fixture *f, const struct spool_extent *e)
{
    static char path[SPOOL_PATH_MAX];
    assert_true(spool_segment_path(f->spool, e->generation, e->segment, path));
    return path;
}

static void change_byte(const char *path, uint64_t at)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
    assert_true(fputc(byte ^ 1, file) != EOF);
    assert_int_equal(fclose(file), 0);
}

static void a_piece_that_is_not_what_was_written_is_told(void **state)
{
    struct fixture *f = *state;
    static struct feed pacs;
    static struct reading g;
    const struct spool_entry *e = store_one(f, &pacs);
    const struct spool_extent *second = &e->data.extents[1];
    change_byte(path_of(f, second), second->offset + 5);
    read_once(f, &g, &e->data);
    assert_int_equal(g.failures, 1);
    assert_true(g.is_damaged);
    assert_string_equal(g.why, "its bytes are not those that were written");
    assert_true(g.len >= e->data.extents[0].bytes);
    assert_true(g.len < e->data.extents[0].bytes + second->bytes);
    feed_close(f, &pacs);
}

static void a_segment_that_ends_too_early_or_is_gone_is_told(void **state)
{
    struct fixture *f = *state;
    static struct feed pacs;
    static struct reading g;
    const struct spool_entry *e = store_one(f, &pacs);
    const struct spool_extent *last = &e->data.extents[e->data.count - 1];
    assert_int_equal(truncate(path_of(f, last), (off_t)(last->offset + 1)), 0);
    read_once(f, &g, &e->data);
    assert_true(g.is_damaged);
    assert_string_equal(g.why, "its segment is cut short");
    assert_int_equal(unlink(path_of(f, last)), 0);
    read_once(f, &g, &e->data);
    assert_true(g.is_damaged);
    assert_string_equal(g.why, "its segment is not there");
    feed_close(f, &pacs);
}

static void what_the_system_refuses_is_no_damage(void **state)
{
    struct fixture *f = *state;
    static struct feed pacs;
    static struct reading g;
    const struct spool_entry *e = store_one(f, &pacs);
    const char *path = path_of(f, &e->data.extents[0]);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0); /* it can be opened, and not be read */
    read_once(f, &g, &e->data);
    assert_int_equal(g.failures, 1);
    assert_false(g.is_damaged);
    assert_string_equal(g.why, "the queue cannot be read");
    feed_close(f, &pacs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_stored_is_read_whatever_is_asked_for_at_once),
        TEST(a_stream_may_go_on_in_another_file),
        TEST(a_piece_that_is_not_what_was_written_is_told),
        TEST(a_segment_that_ends_too_early_or_is_gone_is_told),
        TEST(what_the_system_refuses_is_no_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
