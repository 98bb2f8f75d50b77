/* What a C-MOVE asks for, and what an instance has of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dicom/uid.h"
#include "relay/move_keys.h"

enum { DATA_MAX = 80 << 10, ROOM = 2 << 20 };

/* A data set in Implicit VR Little Endian. */
struct data {
    uint8_t bytes[DATA_MAX];
    size_t len;
};

static void add(struct data *d, uint32_t tag, const char *value)
{
    size_t len = strlen(value), even = (len + 1) & ~(size_t)1;
    uint8_t *p = d->bytes + d->len;
    put_le16(p, (uint16_t)(tag >> 16));
    put_le16(p + 2, (uint16_t)tag);
    put_le32(p + 4, (uint32_t)even);
    memset(p + 8, 0, even);
    memcpy(p + 8, value, len);
    d->len += 8 + even;
}

/* In pieces of `step` bytes, each in a buffer of its own. */
static void cut(const struct data *d, struct pool *pool, size_t step, struct slices *out)
{
    *out = (struct slices){0};
    for (size_t at = 0; at < d->len; at += step) {
        size_t len = d->len - at < step ? d->len - at : step;
        struct buf *b = buf_new(pool);
        memcpy(b->data, d->bytes + at, len);
        assert_true(slices_push(out, b, b->data, (uint32_t)len));
        buf_unref(&b);
    }
}

static struct move_keys keys_of(const struct data *d, size_t step)
{
    struct pool pool;
    struct slices identifier;
    struct move_keys k = {0};
    pool_init(&pool, ROOM);
    cut(d, &pool, step, &identifier);
    assert_true(move_keys_take(&k, &identifier, DICOM_IMPLICIT_VR_LE));
    slices_clear(&identifier);
    pool_free(&pool);
    return k;
}

static bool has(const struct move_keys *k, const char *value)
{
    return move_keys_have(k, view_of(value));
}

static void an_identifier_asks_by_the_key_of_its_level(void **state)
{
    static const struct {
        const char *level, *patient, *study, *series, *image;
        enum move_level asked;
        const char *has, *has_not;
    } cases[] = {
        {"STUDY ", "P1", "1.2\\1.3 \\1.4", "", "", MOVE_STUDY, "1.3", "1.2\\1.3"},
        {"PATIENT", " P 1 ", "", "", "", MOVE_PATIENT, "P 1", "P"},
        {"SERIES", "", "1.2", "1.2.1", "", MOVE_SERIES, "1.2.1", "1.2"},
        {"IMAGE", "", "1.2", "1.2.1", "1.2.1.1\\1.2.1.2", MOVE_IMAGE, "1.2.1.2", "1.2.1"},
        /* what stands below its level is not asked for */
        {"STUDY", "", "1.2", "1.2.1", "", MOVE_STUDY, "1.2", "1.2.1"},
        /* a key of its level that is empty: the next above */
        {"IMAGE", "", "1.2", "1.2.1", "", MOVE_SERIES, "1.2.1", "1.2"},
        /* a level that is none: the lowest */
        {"FRAME", "P1", "1.2", "", "", MOVE_STUDY, "1.2", "P1"},
        {"", "P1", "1.2", "", "", MOVE_STUDY, "1.2", "P1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        static struct data d;
        d.len = 0;
        add(&d, 0x00080018, cases[i].image);
        add(&d, 0x00080052, cases[i].level);
        add(&d, 0x00100020, cases[i].patient);
        add(&d, 0x0020000D, cases[i].study);
        add(&d, 0x0020000E, cases[i].series);
        for (size_t step = 1; step < d.len; step += 7) {
            struct move_keys k = keys_of(&d, step < 6 ? 6 : step);
            assert_int_equal(k.level, cases[i].asked);
            assert_true(has(&k, cases[i].has));
            assert_false(has(&k, cases[i].has_not));
            assert_false(has(&k, ""));
            move_keys_free(&k);
        }
    }
}

static void nothing_is_known_of_what_asks_for_nothing_or_cannot_be_read(void **state)
{
    static struct data d;
    (void)state;
    struct move_keys k = keys_of(&d, 16);
    assert_null(k.values);
    move_keys_free(&k);
    add(&d, 0x00080052, "STUDY");
    add(&d, 0x0020000D, "1.2");
    put_le32(d.bytes + 18, 0x10000); /* a length past the end */
    k = keys_of(&d, 16);
    assert_null(k.values);
    move_keys_free(&k);
}

/* 64 KiB of one value are not kept. */
static void a_list_too_long_to_be_kept_leaves_the_level_above(void **state)
{
    static struct data d;
    static char list[70000];
    (void)state;
    memset(list, '1', sizeof(list) - 1);
    d.len = 0;
    add(&d, 0x00080018, list);
    add(&d, 0x00080052, "IMAGE");
    add(&d, 0x0020000E, "1.2.1");
    struct move_keys k = keys_of(&d, 60000);
    assert_int_equal(k.level, MOVE_SERIES);
    assert_true(has(&k, "1.2.1"));
    move_keys_free(&k);
}

static void an_instance_s_keys_are_known_as_soon_as_they_have_come(void **state)
{
    static struct data d;
    (void)state;
    d.len = 0;
    add(&d, 0x00080018, "1.2.1.1");
    add(&d, 0x00100020, "P1");
    add(&d, 0x0020000D, "1.2");
    add(&d, 0x0020000E, "1.2.1");
    size_t known_at = d.len;
    add(&d, 0x00204000, "more");
    struct move_look *l = move_look_new(DICOM_IMPLICIT_VR_LE);
    assert_non_null(l);
    for (size_t at = 0; at < known_at; at++) {
        assert_int_equal(move_look_state(l), NEED_MORE);
        move_look_feed(l, d.bytes + at, 1);
    }
    assert_int_equal(move_look_state(l), OK);
    struct view v = move_look_key(l, MOVE_STUDY);
    assert_int_equal(v.len, 3);
    assert_memory_equal(v.at, "1.2", 3);
    assert_int_equal(move_look_key(l, MOVE_PATIENT).len, 2);
    assert_int_equal(move_look_key(l, MOVE_SERIES).len, 5);
    move_look_free(&l);
}

static void what_an_instance_lacks_is_empty_and_what_breaks_off_is_a_fault(void **state)
{
    static struct data d;
    uint32_t tag;
    (void)state;
    d.len = 0;
    add(&d, 0x0020000D, "1.2");
    struct move_look *l = move_look_new(DICOM_IMPLICIT_VR_LE);
    move_look_feed(l, d.bytes, d.len);
    assert_int_equal(move_look_end(l), OK);
    assert_int_equal(move_look_key(l, MOVE_PATIENT).len, 0);
    assert_int_equal(move_look_key(l, MOVE_STUDY).len, 3);
    assert_int_equal(move_look_key(l, MOVE_SERIES).len, 0);
    move_look_free(&l);

    l = move_look_new(DICOM_IMPLICIT_VR_LE);
    move_look_feed(l, d.bytes, d.len - 1);
    assert_int_equal(move_look_offset(l), d.len - 1);
    assert_int_equal(move_look_end(l), ERR_PROTO);
    assert_non_null(move_look_fault(l, &tag));
    move_look_free(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_identifier_asks_by_the_key_of_its_level),
        cmocka_unit_test(nothing_is_known_of_what_asks_for_nothing_or_cannot_be_read),
        cmocka_unit_test(a_list_too_long_to_be_kept_leaves_the_level_above),
        cmocka_unit_test(an_instance_s_keys_are_known_as_soon_as_they_have_come),
        cmocka_unit_test(what_an_instance_lacks_is_empty_and_what_breaks_off_is_a_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
