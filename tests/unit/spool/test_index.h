/* An index in a folder of its own, and commits as the log would bring them. */
#ifndef HILUM_TESTS_UNIT_SPOOL_TEST_INDEX_H
#define HILUM_TESTS_UNIT_SPOOL_TEST_INDEX_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "spool/index.h"
#include "spool/sheet.h"

#define ID(generation, number) ((spool_id)(generation) << SPOOL_ID_BITS | (number))

struct fixture {
    char folder[256], path[300];
    struct index *i;
    uint32_t offset; /* of the place that was committed last */
};

static inline void fixture_reopen(struct fixture *f)
{
    char why[256] = "";
    index_close(&f->i);
    if (index_open(f->path, false, &f->i, why, sizeof(why)) != OK)
        fail_msg("%s", why);
    assert_int_equal(index_own(f->i, (const uint32_t[]){1, 2}, 2), OK);
}

static inline int fixture_set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    const char *tmp = getenv("TMPDIR");
    snprintf(f->folder, sizeof(f->folder), "%s/hilum-index-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof(f->path), "%s/index.db", f->folder);
    fixture_reopen(f);
    *state = f;
    return 0;
}

static inline int fixture_tear_down(void **state)
{
    struct fixture *f = *state;
    char path[320];
    index_close(&f->i);
    for (int n = 0; n < 3; n++) {
        snprintf(path, sizeof(path), "%s%s", f->path, (const char *[]){"", "-wal", "-shm"}[n]);
        unlink(path);
    }
    assert_int_equal(rmdir(f->folder), 0);
    free(f);
    return 0;
}

static inline void begin(struct fixture *f)
{
    assert_int_equal(index_begin(f->i), OK);
}

static inline void commit(struct fixture *f)
{
    struct log_position at = {.generation = 1, .segment = 1, .offset = ++f->offset};
    assert_int_equal(index_commit(f->i, at), OK);
}

/* A message of generation 1: 1000 bytes in `segment`, its commit in segment `in`. Entry n has the id number + 1 + n. */
struct message {
    uint64_t number, received_ms;
    const char *study, *series, *instance, *sent; /* sent: what an edition made of it; NULL: no edition */
    const struct spool_new_entry *entries;
    size_t count;
    uint32_t segment, in;
    const char *damage;
};

static inline void take(struct fixture *f, const struct message *m)
{
    struct spool_extent data = {.generation = 1,
                                .segment = m->segment ? m->segment : 1,
                                .offset = 4096,
                                .bytes = 1000,
                                .checksum = 7};
    struct spool_extent header = {
        .generation = 1, .segment = m->segment ? m->segment : 1, .offset = 8192, .bytes = 100, .checksum = 8};
    struct spool_stream streams[] = {{&data, 1, 1000}, {&header, 1, 100}};
    struct spool_edition edition = {.stream = SPOOL_STREAM_HEADERS, .received_header_len = 50};
    if (m->sent) {
        edition.sop_class = view_of("1.2.840.10008.5.1.4.1.1.2");
        edition.sop_instance = view_of(m->sent);
    }
    struct spool_commit c = {
        .facts = {.received_ms = m->received_ms ? m->received_ms : 1000,
                  .calling = "CT1",
                  .called = "HILUM",
                  .remote = "10.0.0.1",
                  .abstract_syntax = "1.2.840.10008.5.1.4.1.1.2",
                  .transfer_syntax = "1.2.840.10008.1.2.1",
                  .sop_class = view_of("1.2.840.10008.5.1.4.1.1.2"),
                  .sop_instance = view_of(m->instance ? m->instance : "1.2.3.4"),
                  .study = view_of(m->study ? m->study : ""),
                  .series = view_of(m->series ? m->series : ""),
                  .patient = view_of("PAT"),
                  .priority = 1},
        .editions = &edition,
        .edition_count = m->sent ? 1 : 0,
        .entries = m->entries,
        .entry_count = m->count,
    };
    struct octets o = {0};
    struct record_commit read;
    record_commit_write(&o, ID(1, m->number), ID(1, m->number + 1), &c, streams, m->sent ? 2 : 1);
    assert_false(o.failed);
    assert_int_equal(record_commit_read((struct view){o.data, o.len}, &read), OK);
    assert_int_equal(index_take_commit(f->i, &read, m->in ? m->in : 1, m->damage), OK);
    record_commit_free(&read);
    octets_free(&o);
}

/* Deliveries without the queue, in one sheet. */
static inline void take_relayed(struct fixture *f, const struct spool_relayed *of, size_t count)
{
    struct sheet *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    for (size_t n = 0; n < count; n++)
        sheet_add(s, &of[n]);
    assert_false(s->bytes.failed);
    assert_int_equal(index_take_sheet(f->i, (struct view){s->bytes.data, s->bytes.len}), OK);
    sheet_free(s);
    free(s);
}

/* One entry for a node. */
static inline void take_for(struct fixture *f, uint64_t number, const char *node, const char *study)
{
    char instance[64];
    snprintf(instance, sizeof(instance), "1.2.3.%llu", (unsigned long long)number);
    struct spool_new_entry e = {.node = node, .route = "CT", .edition = SPOOL_AS_RECEIVED};
    take(f, &(struct message){.number = number,
                              .study = study,
                              .series = "1.9",
                              .instance = instance,
                              .entries = &e,
                              .count = 1});
}

static inline void outcome(struct fixture *f, uint64_t number, enum spool_state state, uint16_t status,
                           const char *comment)
{
    struct spool_outcome o = {.id = ID(1, number),
                              .state = state,
                              .was_tried = state != SPOOL_QUEUED,
                              .at_ms = 5000,
                              .due_ms = state == SPOOL_WAITING ? 9000 : 0,
                              .status = status,
                              .comment = comment};
    assert_int_equal(index_take_outcome(f->i, &o), OK);
}

static const struct spool_ids no_ids;
static const struct spool_range any;

/* The numbers of the entries that are next for a node, as text: "2 4 6". */
static inline const char *next_but(struct fixture *f, const char *node, unsigned max,
                                   const struct spool_ids *handed)
{
    static char text[4096];
    struct spool_entry *list;
    size_t len = 0;
    text[0] = '\0';
    assert_int_equal(index_next(f->i, node, any, max, handed, &list), OK);
    for (const struct spool_entry *e = list; e; e = e->next) {
        assert_string_equal(e->node, node);
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%llu", len ? " " : "",
                                (unsigned long long)(e->id & (ID(1, 0) - 1)));
    }
    spool_entries_free(&list);
    return text;
}

static inline const char *next(struct fixture *f, const char *node, unsigned max)
{
    return next_but(f, node, max, &no_ids);
}

/* What a list shows, as text: "2:queued 4:waiting". Relayed ones as "r1". */
struct shown {
    char text[8192];
    size_t len;
    spool_id last;
    unsigned stop_after;
};

static inline bool on_shown(void *owner, const struct index_row *row)
{
    struct shown *s = owner;
    s->len += (size_t)snprintf(s->text + s->len, sizeof(s->text) - s->len, "%s%s%llu:%s", s->len ? " " : "",
                               row->is_relayed ? "r" : "", (unsigned long long)(row->id & (ID(1, 0) - 1)),
                               spool_state_name(row->state));
    s->last = row->id;
    return s->stop_after == 0 || --s->stop_after > 0;
}

static inline const char *list(struct fixture *f, const struct index_filter *filter, struct shown *s)
{
    struct index_filter all = *filter;
    if (all.max == 0)
        all.max = 1000;
    s->len = 0;
    s->text[0] = '\0';
    assert_int_equal(index_list(f->i, &all, on_shown, s), OK);
    return s->text;
}

#endif
