/* A spool in a folder of its own, messages of bytes that can be told, and feeds that remember what they were given. */
#ifndef HILUM_TESTS_UNIT_SPOOL_TEST_SPOOL_H
#define HILUM_TESTS_UNIT_SPOOL_TEST_SPOOL_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../loop.h"
#include "base/clock.h"
#include "io/disk.h"
#include "io/faults.h"
#include "spool/index.h"
#include "spool/log.h"

struct fixture {
    char folder[256];
    struct spool_options options;
    struct loop loop;
    struct spool *spool;
};

static inline void fixture_open(struct fixture *f)
{
    char why[512] = "";
    if (spool_open(&f->options, &f->spool, why, sizeof(why)) != OK)
        fail_msg("%s", why);
}

static inline int fixture_set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    const char *tmp = getenv("TMPDIR");
    assert_non_null(f);
    snprintf(f->folder, sizeof(f->folder), "%s/hilum-spool-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(f->folder));
    f->options = (struct spool_options){.path = f->folder, .history_ms = 3600 * 1000};
    loop_open(&f->loop, 4 << 20);
    *state = f;
    return 0;
}

static inline int remove_one(const char *path, const struct stat *is, int type, struct FTW *ftw)
{
    (void)is;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline int fixture_tear_down(void **state)
{
    struct fixture *f = *state;
    spool_close(&f->spool);
    (void)io_set_faults(NULL);
    loop_close(&f->loop);
    assert_int_equal(nftw(f->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(f);
    return 0;
}

/* --- messages ----------------------------------------------------------------------------------------------------- */

/* Byte `at` of the data of message `number`. */
static inline uint8_t byte_of(uint64_t number, uint64_t at)
{
    return (uint8_t)(number * 31 + at * 7 + (at >> 8) * 13);
}

enum { PIECE = 256 << 10 };

/* Of a CT image; both texts must stay. */
static inline struct spool_facts facts_of(const char *instance, const char *study)
{
    return (struct spool_facts){.received_ms = clock_wall_ms(),
                                .calling = "CT1",
                                .called = "HILUM",
                                .remote = "10.0.0.1",
                                .abstract_syntax = "1.2.840.10008.5.1.4.1.1.2",
                                .transfer_syntax = "1.2.840.10008.1.2.1",
                                .sop_class = view_of("1.2.840.10008.5.1.4.1.1.2"),
                                .sop_instance = view_of(instance),
                                .study = view_of(study)};
}

/* One message on its way; on_done is called when it is durable, or has failed. */
struct storing {
    struct spool *spool;
    struct spool_write write;
    struct spool_part part;
    struct spool_new_entry entries[2];
    struct spool_commit commit;
    uint8_t *bytes;
    uint64_t number, size, sent;
    char instance[40], study[40];
    enum spool_error error;
    bool is_done;
    void (*on_stored)(struct storing *s);
    void *owner;
};

static inline void store_more(struct storing *s)
{
    size_t n = s->size - s->sent < PIECE ? (size_t)(s->size - s->sent) : PIECE;
    s->part = (struct spool_part){s->bytes + s->sent, n};
    s->sent += n;
    s->write.stream = SPOOL_STREAM_DATA;
    s->write.parts = &s->part;
    s->write.part_count = 1;
    s->write.commit = s->sent == s->size ? &s->commit : NULL;
    spool_write(s->spool, &s->write);
}

static inline void on_piece(struct spool_write *w, enum spool_error error)
{
    struct storing *s = w->owner;
    if (error == SPOOL_DONE && s->sent < s->size) {
        store_more(s);
        return;
    }
    s->error = error;
    s->is_done = true;
    spool_draft_free(&w->draft);
    free(s->bytes);
    s->bytes = NULL;
    if (s->on_stored)
        s->on_stored(s);
}

/* For one node, or two. */
static inline void store_begin(struct storing *s, struct spool *spool, struct io *io, uint64_t number,
                               uint64_t size, const char *node, const char *second)
{
    void (*on_stored)(struct storing *) = s->on_stored;
    void *owner = s->owner;
    *s = (struct storing){
        .spool = spool, .number = number, .size = size, .on_stored = on_stored, .owner = owner};
    s->bytes = malloc(size);
    for (uint64_t at = 0; at < size; at++)
        s->bytes[at] = byte_of(number, at);
    snprintf(s->instance, sizeof(s->instance), "1.2.3.%llu", (unsigned long long)number);
    snprintf(s->study, sizeof(s->study), "1.2.%llu", (unsigned long long)(number / 10));
    s->entries[0] = (struct spool_new_entry){.node = node, .route = "CT", .edition = SPOOL_AS_RECEIVED};
    s->entries[1] = (struct spool_new_entry){.node = second, .route = "CT", .edition = SPOOL_AS_RECEIVED};
    s->commit = (struct spool_commit){
        .facts = facts_of(s->instance, s->study), .entries = s->entries, .entry_count = second ? 2 : 1};
    s->write =
        (struct spool_write){.draft = spool_draft_new(spool), .io = io, .owner = s, .on_done = on_piece};
    store_more(s);
}

static inline enum spool_error store(struct fixture *f, uint64_t number, uint64_t size, const char *node,
                                     const char *second)
{
    struct storing s = {0};
    store_begin(&s, f->spool, f->loop.io, number, size, node, second);
    LOOP_UNTIL(&f->loop, s.is_done);
    return s.error;
}

static inline uint64_t number_of(const struct spool_entry *e)
{
    return strtoull(e->sop_instance + strlen("1.2.3."), NULL, 10);
}

/* Every byte of an entry, read as who delivers it will. */
static inline bool is_whole(const char *folder, const struct spool_entry *e)
{
    uint64_t at = 0, number = number_of(e);
    bool is_good = true;
    for (size_t n = 0; n < e->data.count && is_good; n++) {
        uint8_t *bytes = malloc(e->data.extents[n].bytes);
        is_good = bytes && log_read_extent(folder, &e->data.extents[n], bytes) == OK;
        for (uint32_t k = 0; is_good && k < e->data.extents[n].bytes; k++)
            is_good = bytes[k] == byte_of(number, at++);
        free(bytes);
    }
    return is_good && at == e->data.bytes;
}

/* --- feeds ----------------------------------------------------------------------------------------------------------- */

/* They are static in tests: one that fails leaves them to the spool, which is closed after it. */
struct feed {
    struct spool_feed feed;
    unsigned dues, answers;
    struct spool_entry *list; /* of the last answer */
    unsigned count;
    bool is_closed;
};

static inline void on_feed_due(struct spool_feed *f)
{
    ((struct feed *)f->owner)->dues++;
}

static inline void on_feed_entries(struct spool_feed *f, struct spool_entry *list)
{
    struct feed *feed = f->owner;
    spool_entries_free(&feed->list);
    feed->answers++;
    feed->list = list;
    feed->count = 0;
    for (struct spool_entry *e = list; e; e = e->next)
        feed->count++;
}

static inline void on_feed_closed(struct spool_feed *f)
{
    ((struct feed *)f->owner)->is_closed = true;
}

static inline void feed_open(struct fixture *f, struct feed *feed, const char *node)
{
    *feed = (struct feed){.feed = {.node = node,
                                   .io = f->loop.io,
                                   .owner = feed,
                                   .on_due = on_feed_due,
                                   .on_entries = on_feed_entries,
                                   .on_closed = on_feed_closed}};
    spool_feed_open(f->spool, &feed->feed);
}

static inline void feed_close(struct fixture *f, struct feed *feed)
{
    spool_feed_close(f->spool, &feed->feed);
    LOOP_UNTIL(&f->loop, feed->is_closed);
    spool_entries_free(&feed->list);
}

/* Asks once. */
static inline unsigned feed_ask(struct fixture *f, struct feed *feed, unsigned max)
{
    unsigned before = feed->answers;
    spool_feed_next(f->spool, &feed->feed, max, (struct spool_range){0});
    LOOP_UNTIL(&f->loop, feed->answers > before);
    return feed->count;
}

/* Asks until there is something. What is due may be told in the turn that brings the answer that there is nothing yet. */
static inline unsigned feed_await(struct fixture *f, struct feed *feed, unsigned max)
{
    unsigned before = feed->dues;
    while (feed_ask(f, feed, max) == 0) {
        LOOP_UNTIL(&f->loop, feed->dues > before);
        before = feed->dues;
    }
    return feed->count;
}

static inline void give(struct fixture *f, spool_id id, enum spool_state state, uint64_t due_ms)
{
    struct spool_outcome o = {.id = id,
                              .state = state,
                              .was_tried = true,
                              .at_ms = clock_wall_ms(),
                              .due_ms = due_ms,
                              .status = state == SPOOL_DELIVERED ? 0 : 0xA700,
                              .comment = state == SPOOL_DELIVERED ? NULL : "full"};
    spool_outcome(f->spool, &o);
}

static inline void deliver_list(struct fixture *f, struct feed *feed)
{
    for (struct spool_entry *e = feed->list; e; e = e->next)
        give(f, e->id, SPOOL_DELIVERED, 0);
}

/* --- the index, beside --------------------------------------------------------------------------------------------------- */

static inline bool on_counted(void *owner, const struct index_row *row)
{
    (void)row;
    ++*(unsigned *)owner;
    return true;
}

/* Rows that a filter shows to another process. */
static inline unsigned count_rows(const char *folder, struct index_filter filter)
{
    char path[300], why[256] = "";
    struct index *i;
    unsigned count = 0;
    snprintf(path, sizeof(path), "%s/index.db", folder);
    if (index_open(path, true, &i, why, sizeof(why)) != OK)
        return 0;
    filter.max = UINT32_MAX;
    if (index_list(i, &filter, on_counted, &count) != OK)
        count = 0;
    index_close(&i);
    return count;
}

static inline unsigned count_state(const char *folder, enum spool_state state)
{
    return count_rows(folder, (struct index_filter){.states = 1u << state});
}

/* What is stored is indexed a moment later. */
static inline void settle(struct fixture *f, unsigned queued)
{
    LOOP_UNTIL(&f->loop, count_state(f->folder, SPOOL_QUEUED) == queued);
}

static inline bool exists(const struct fixture *f, const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", f->folder, name);
    return access(path, F_OK) == 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

#endif
