/* A folder node in a folder of its own, messages for it, and what is on disk then. */
#ifndef HILUM_TESTS_UNIT_RELAY_FOLDER_H
#define HILUM_TESTS_UNIT_RELAY_FOLDER_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "../loop.h"
#include "base/clock.h"
#include "config/pattern.h"
#include "dicom/part10.h"
#include "dicom/uid.h"
#include "relay/sink_folder.h"

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

static inline void fixture_pattern(struct fixture *f, const char *below)
{
    snprintf(f->pattern, sizeof(f->pattern), "%s/%s", f->folder, below);
    char why[256];
    if (pattern_check(f->pattern, why, sizeof(why)) != OK)
        fail_msg("%s", why);
    f->node = (struct config_node){.name = (char *)"disk", .is_folder = true, .folder = f->pattern};
}

static inline int set_up(void **state)
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

static inline int remove_one(const char *path, const struct stat *s, int kind, struct FTW *ftw)
{
    (void)s;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static inline int tear_down(void **state)
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

static inline void on_ready(struct sink *s)
{
    struct tested *t = s->owner;
    assert_false(t->is_ready);
    t->is_ready = true;
}

static inline void on_taken(struct sink *s)
{
    (void)s;
}

static inline void on_done(struct sink *s, uint16_t status, const char *comment)
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

static inline void on_gone(struct sink *s)
{
    struct tested *t = s->owner;
    assert_false(t->is_gone);
    t->is_gone = true;
    t->sink = NULL;
}

static inline void message_open(struct tested *t, struct fixture *f, const char *instance)
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

static inline void feed(struct tested *t, const uint8_t *bytes, size_t len, size_t piece)
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
static inline uint8_t *content(size_t len, uint8_t seed)
{
    uint8_t *bytes = malloc(len ? len : 1);
    assert_non_null(bytes);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)(seed + i * 7 + i / 251);
    return bytes;
}

static inline void send_whole(struct tested *t, const uint8_t *bytes, size_t len, size_t piece)
{
    t->sink->ops->start(t->sink);
    feed(t, bytes, len, piece);
    if (!t->is_done)
        t->sink->ops->finish(t->sink);
}

static inline void store(struct fixture *f, const char *instance, const uint8_t *bytes, size_t len)
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

static inline uint8_t *read_file(const char *path, size_t *len_out)
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

static inline bool file_holds(struct fixture *f, const char *name, const uint8_t *data, size_t len)
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

static inline int count_one(const char *path, const struct stat *s, int kind, struct FTW *ftw)
{
    (void)s;
    const char *name = path + ftw->base;
    files += kind == FTW_F && name[0] != '.';
    temporaries += kind == FTW_F && name[0] == '.';
    return 0;
}

static inline unsigned count_files(const struct fixture *f)
{
    files = temporaries = 0;
    nftw(f->folder, count_one, 16, FTW_PHYS);
    assert_int_equal(temporaries, 0);
    return files;
}

#define FOLDER_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
