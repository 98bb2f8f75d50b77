#include "log_kit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "io/disk.h"
#include "io/faults.h"

int kit_setup(void **state)
{
    struct kit *k = calloc(1, sizeof(*k));
    const char *tmp = getenv("TMPDIR");
    assert_non_null(k);
    snprintf(k->spool, sizeof(k->spool), "%s/hilum-log-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(k->spool));
    assert_true(log_folder_path(k->spool, 1, k->folder));
    assert_int_equal(disk_mkdir(k->folder), IO_NONE);
    *state = k;
    return 0;
}

static bool delete_name(void *owner, const char *name)
{
    char path[SPOOL_PATH_MAX + 300];
    snprintf(path, sizeof(path), "%s/%s", (const char *)owner, name);
    assert_int_equal(disk_unlink(path), IO_NONE);
    return true;
}

int kit_teardown(void **state)
{
    struct kit *k = *state;
    assert_true(io_set_faults(NULL));
    assert_null(k->log);
    assert_int_equal(disk_list(k->folder, delete_name, k->folder), IO_NONE);
    assert_int_equal(disk_rmdir(k->folder), IO_NONE);
    assert_int_equal(disk_rmdir(k->spool), IO_NONE);
    free(k);
    return 0;
}

static void on_published(void *owner)
{
    struct kit *k = owner;
    atomic_fetch_add(&k->published, 1);
}

void kit_open(struct kit *k, uint64_t max_bytes, uint64_t reserve)
{
    char why[256] = "";
    const struct log_options options = {.folder = k->folder,
                                        .generation = 1,
                                        .max_bytes = max_bytes,
                                        .reserve = reserve,
                                        .on_published = on_published,
                                        .owner = k};
    if (log_writer_open(&options, &k->log, why, sizeof(why)) != OK)
        fail_msg("%s", why);
}

void kit_close(struct kit *k)
{
    log_writer_close(&k->log);
}

/* --- senders -------------------------------------------------------------------------------------------------------- */

void sender_open(struct sender *s, struct kit *k)
{
    *s = (struct sender){.kit = k};
    loop_open(&s->loop, 8 << 20);
}

void sender_close(struct sender *s)
{
    spool_draft_free(&s->draft);
    loop_close(&s->loop);
}

void kit_fill(uint8_t *to, size_t len, unsigned number)
{
    uint64_t x = number * 0x9e3779b97f4a7c15ULL + 1;
    for (size_t i = 0; i < len; i++) {
        if (i % 8 == 0)
            x = x * 6364136223846793005ULL + 1442695040888963407ULL;
        to[i] = (uint8_t)(x >> (8 * (i % 8)));
    }
}

static void on_done(struct spool_write *w, enum spool_error error)
{
    struct sender *s = w->owner;
    s->pending--;
    if (s->error == SPOOL_DONE)
        s->error = error;
}

static enum spool_error submit(struct sender *s, struct spool_write *w)
{
    if (!s->draft) {
        s->draft = log_draft_new(s->kit->log);
        assert_non_null(s->draft);
        s->error = SPOOL_DONE;
    }
    w->draft = s->draft;
    w->io = s->loop.io;
    w->owner = s;
    w->on_done = on_done;
    s->pending++;
    log_submit(s->kit->log, w);
    LOOP_UNTIL(&s->loop, s->pending == 0);
    return s->error;
}

enum spool_error sender_piece(struct sender *s, unsigned stream, const uint8_t *bytes, size_t len,
                              unsigned parts)
{
    struct spool_part list[SPOOL_PARTS_MAX];
    for (unsigned i = 0; i < parts; i++) {
        size_t from = len * i / parts, to = len * (i + 1) / parts;
        list[i] = (struct spool_part){bytes + from, to - from};
    }
    struct spool_write w = {.stream = stream, .parts = list, .part_count = parts};
    return submit(s, &w);
}

enum spool_error sender_commit(struct sender *s, unsigned number, const uint8_t *bytes, size_t len)
{
    char instance[32];
    snprintf(instance, sizeof(instance), "%u", number);
    const struct spool_new_entry entries[] = {{.node = "a", .route = "r", .edition = SPOOL_AS_RECEIVED},
                                              {.node = "b", .route = "r", .edition = SPOOL_AS_RECEIVED}};
    const struct spool_commit commit = {.facts = {.received_ms = 1,
                                                  .calling = "CT",
                                                  .called = "HILUM",
                                                  .remote = "",
                                                  .abstract_syntax = "1.2",
                                                  .transfer_syntax = "1.2",
                                                  .sop_class = view_of("1.2"),
                                                  .sop_instance = view_of(instance)},
                                        .entries = entries,
                                        .entry_count = 2};
    struct spool_part part = {bytes, len};
    struct spool_write w = {.parts = &part, .part_count = len > 0, .commit = &commit};
    enum spool_error error = submit(s, &w);
    spool_draft_free(&s->draft);
    return error;
}

enum spool_error sender_store(struct sender *s, unsigned number, size_t len, size_t piece)
{
    uint8_t *bytes = malloc(len + 1);
    size_t at = 0;
    enum spool_error error = SPOOL_DONE;
    assert_non_null(bytes);
    kit_fill(bytes, len, number);
    for (; len - at > piece; at += piece)
        error = sender_piece(s, SPOOL_STREAM_DATA, bytes + at, piece, 1 + (unsigned)(at / piece) % 3);
    error = sender_commit(s, number, bytes + at, len - at);
    free(bytes);
    return error;
}

/* --- walks ------------------------------------------------------------------------------------------------------------ */

/* What may be delivered is what was sent. */
static void check_bytes(struct kit *k, const struct record_commit *c, unsigned number)
{
    struct spool_extent *extents;
    size_t count;
    uint64_t at = 0;
    uint8_t *is = malloc(c->bytes + 1), *should = malloc(c->bytes + 1);
    assert_non_null(is);
    assert_non_null(should);
    kit_fill(should, c->bytes, number);
    assert_int_equal(record_streams_extents(c->streams, &extents, &count), OK);
    for (size_t i = 0; i < count && at < c->bytes; i++) {
        assert_int_equal(log_read_extent(k->spool, &extents[i], is + at), OK);
        at += extents[i].bytes;
    }
    assert_int_equal(at, c->bytes);
    assert_memory_equal(is, should, c->bytes);
    free(extents);
    free(is);
    free(should);
}

static void take_commit(struct kit *k, struct view payload, struct found *out)
{
    struct record_commit c;
    char text[32] = "";
    assert_int_equal(record_commit_read(payload, &c), OK);
    assert_in_range(c.sop_instance.len, 1, 31);
    memcpy(text, c.sop_instance.at, c.sop_instance.len);
    unsigned number = (unsigned)strtoul(text, NULL, 10);
    assert_in_range(number, 0, KIT_MESSAGES - 1);
    assert_int_equal(c.entry_count, 2);
    out->commits++;
    out->times[number]++;
    if (log_verify(k->spool, c.streams))
        check_bytes(k, &c, number);
    else
        out->damaged[number]++;
    record_commit_free(&c);
}

void kit_walk(struct kit *k, struct log_position from, struct log_position end, struct found *out)
{
    struct log_walk w;
    struct record r;
    struct view payload;
    enum result result;
    *out = (struct found){.commits = 0};
    log_walk_begin(&w, k->folder, from);
    while ((result = log_walk_next(&w, end, &r, &payload)) == OK || result == ERR_PROTO) {
        if (result == ERR_PROTO) {
            out->faults++;
            continue;
        }
        out->synced_segment = r.segment;
        out->synced = r.synced;
        out->segments += r.type == RECORD_SEGMENT;
        out->data += r.type == RECORD_DATA;
        out->outcomes += r.type == RECORD_OUTCOME;
        if (r.type == RECORD_COMMIT)
            take_commit(k, payload, out);
    }
    assert_int_equal(result, NEED_MORE);
    log_walk_end(&w);
}

struct log_position kit_recover(struct kit *k, struct found *out)
{
    struct log_position from = {.generation = 1}, end;
    assert_int_equal(log_find_end(k->folder, from, &end), OK);
    kit_walk(k, from, end, out);
    return end;
}
