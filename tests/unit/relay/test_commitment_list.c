/* The data sets of storage commitment: what is written is read again, however it is cut, and what lies is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/commitment_list.h"

#define CT "1.2.840.10008.5.1.4.1.1.2"
#define MR "1.2.840.10008.5.1.4.1.1.4"

static const struct dicom_encoding implicit = {0}, explicit = {.is_explicit = true},
                                   big_endian = {.is_explicit = true, .is_big_endian = true};

static enum result read_cut(struct commitment_list *out, const void *bytes, size_t len,
                            struct dicom_encoding encoding, size_t piece)
{
    struct pool pool;
    struct slices data = {0};
    const char *why;
    pool_init(&pool, 1 << 20);
    struct buf *b = buf_scratch(&pool, len + 1);
    memcpy(b->data, bytes, len);
    for (size_t at = 0; at < len; at += piece)
        assert_true(slices_push(&data, b, b->data + at, (uint32_t)(len - at < piece ? len - at : piece)));
    enum result r = commitment_list_read(out, &data, encoding, &why);
    assert_true(r == OK || why != NULL);
    slices_clear(&data);
    buf_unref(&b);
    pool_free(&pool);
    return r;
}

static enum result read_octets(struct commitment_list *out, const struct octets *o, bool is_explicit,
                               size_t piece)
{
    return read_cut(out, o->data, o->len, is_explicit ? explicit : implicit, piece);
}

static const struct commitment_item three[] = {
    {CT, "1.2.3.4", 0}, {CT, "1.2.3.45", COMMITMENT_NO_SUCH_INSTANCE}, {MR, "1.2.3.456", 0}};

static void what_is_written_is_read_however_it_is_cut(void **state)
{
    (void)state;
    for (int is_explicit = 0; is_explicit < 2; is_explicit++) {
        struct octets o = {0};
        commitment_list_write(&o, is_explicit, "1.2.3", three, 3);
        assert_false(o.failed);
        assert_int_equal(o.len % 2, 0);
        for (size_t piece = 1; piece <= o.len; piece++) {
            struct commitment_list l;
            assert_int_equal(read_octets(&l, &o, is_explicit, piece), OK);
            assert_string_equal(l.transaction, "1.2.3");
            assert_int_equal(l.count, 3); /* the failed ones stand first: rising tags */
            assert_string_equal(l.items[0].sop_instance, "1.2.3.45");
            assert_int_equal(l.items[0].reason, COMMITMENT_NO_SUCH_INSTANCE);
            assert_string_equal(l.items[1].sop_instance, "1.2.3.4");
            assert_int_equal(l.items[1].reason, COMMITMENT_COMMITTED);
            assert_string_equal(l.items[2].sop_class, MR);
            assert_int_equal(commitment_failed(l.items, l.count), 1);
            commitment_list_free(&l);
        }
        octets_free(&o);
    }
}

/* Byte for byte, so that a mistake in both directions does not hide. */
static void golden_bytes(void **state)
{
    static const char golden[] = "\x08\x00\x95\x11\x06\x00\x00\x00"
                                 "1.2.3\0"                          /* Transaction UID */
                                 "\x08\x00\x98\x11\x2e\x00\x00\x00" /* Failed SOP Sequence, 46 bytes */
                                 "\xfe\xff\x00\xe0\x26\x00\x00\x00" /*   item, 38 bytes */
                                 "\x08\x00\x50\x11\x06\x00\x00\x00"
                                 "1.2.9\0" /*   Referenced SOP Class UID */
                                 "\x08\x00\x55\x11\x06\x00\x00\x00"
                                 "1.2.4\0" /*   Referenced SOP Instance UID */
                                 "\x08\x00\x97\x11\x02\x00\x00\x00"
                                 "\x12\x01"; /*   Failure Reason 0112 */
    struct commitment_item item = {"1.2.9", "1.2.4", 0x0112};
    struct octets o = {0};
    (void)state;
    commitment_list_write(&o, false, "1.2.3", &item, 1);
    assert_int_equal(o.len, sizeof(golden) - 1);
    assert_memory_equal(o.data, golden, o.len);
    octets_free(&o);
}

static void big_endian_undefined_lengths_and_foreign_elements_are_read(void **state)
{
    static const char bytes[] = "\x00\x08\x00\x05"
                                "CS\x00\x0a"
                                "ISO_IR 100" /* Specific Character Set */
                                "\x00\x08\x11\x95"
                                "UI\x00\x06"
                                "1.2.3\0" /* Transaction UID */
                                "\x00\x08\x11\x98"
                                "SQ\x00\x00\xff\xff\xff\xff"       /* Failed SOP Sequence */
                                "\xff\xfe\xe0\x00\xff\xff\xff\xff" /*   item */
                                "\x00\x08\x11\x50"
                                "UI\x00\x06"
                                "1.2.9\0" /*   class */
                                "\x00\x08\x11\x55"
                                "UI\x00\x06"
                                "1.2.4 " /*   instance, padded by a space */
                                "\x00\x08\x11\x97"
                                "US\x00\x02"
                                "\x02\x13" /*   0213 */
                                "\xff\xfe\xe0\x0d\x00\x00\x00\x00"
                                "\xff\xfe\xe0\xdd\x00\x00\x00\x00"
                                "\x00\x08\x11\x99"
                                "SQ\x00\x00\x00\x00\x00\x00"; /* Referenced SOP Sequence, empty */
    struct commitment_list l;
    (void)state;
    assert_int_equal(read_cut(&l, bytes, sizeof(bytes) - 1, big_endian, 7), OK);
    assert_int_equal(l.count, 1);
    assert_string_equal(l.items[0].sop_instance, "1.2.4");
    assert_int_equal(l.items[0].reason, COMMITMENT_RESOURCE_LIMIT);
    commitment_list_free(&l);
}

static void a_failed_instance_without_a_reason_has_failed(void **state)
{
    static const char bytes[] = "\x08\x00\x95\x11\x06\x00\x00\x00"
                                "1.2.3\0"
                                "\x08\x00\x98\x11\x24\x00\x00\x00"
                                "\xfe\xff\x00\xe0\x1c\x00\x00\x00"
                                "\x08\x00\x50\x11\x06\x00\x00\x00"
                                "1.2.9\0"
                                "\x08\x00\x55\x11\x06\x00\x00\x00"
                                "1.2.4\0";
    struct commitment_list l;
    (void)state;
    assert_int_equal(read_cut(&l, bytes, sizeof(bytes) - 1, implicit, 5), OK);
    assert_int_equal(l.items[0].reason, COMMITMENT_PROCESSING_FAILURE);
    commitment_list_free(&l);
}

static void what_is_no_such_data_set_is_refused(void **state)
{
    static const struct {
        const char *why, *bytes;
        size_t len;
    } cases[] = {
        {"nothing", "", 0},
        {"no Transaction UID", "\x08\x00\x99\x11\x00\x00\x00\x00", 8},
        {"an empty Transaction UID", "\x08\x00\x95\x11\x00\x00\x00\x00", 8},
        {"it ends in a value",
         "\x08\x00\x95\x11\x06\x00\x00\x00"
         "1.2",
         11},
        {"it ends in a sequence of undefined length",
         "\x08\x00\x95\x11\x06\x00\x00\x00"
         "1.2.3\0"
         "\x08\x00\x99\x11\xff\xff\xff\xff",
         22},
        {"an item without a class",
         "\x08\x00\x95\x11\x06\x00\x00\x00"
         "1.2.3\0"
         "\x08\x00\x99\x11\x16\x00\x00\x00"
         "\xfe\xff\x00\xe0\x0e\x00\x00\x00"
         "\x08\x00\x55\x11\x06\x00\x00\x00"
         "1.2.4\0",
         44},
        {"an item that reaches past its sequence",
         "\x08\x00\x95\x11\x06\x00\x00\x00"
         "1.2.3\0"
         "\x08\x00\x99\x11\x08\x00\x00\x00"
         "\xfe\xff\x00\xe0\x0e\x00\x00\x00",
         30},
    };
    (void)state;
    for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
        struct commitment_list l;
        if (read_cut(&l, cases[n].bytes, cases[n].len, implicit, 3) != ERR_PROTO)
            fail_msg("%s", cases[n].why);
        commitment_list_free(&l);
    }
}

static void a_uid_that_is_too_long_is_refused(void **state)
{
    char uid[100];
    struct octets o = {0};
    struct commitment_list l;
    (void)state;
    memset(uid, '1', sizeof(uid));
    uid[64] = '\0';
    commitment_list_write(&o, false, uid, three, 1);
    assert_int_equal(read_octets(&l, &o, false, 50), OK);
    commitment_list_free(&l);
    octets_clear(&o);
    uid[64] = '1';
    uid[68] = '\0';
    commitment_list_write(&o, false, uid, three, 1);
    assert_int_equal(read_octets(&l, &o, false, 50), ERR_PROTO);
    commitment_list_free(&l);
    octets_free(&o);
}

static void more_than_the_most_are_refused(void **state)
{
    struct commitment_item *items = calloc(COMMITMENT_ITEMS_MAX + 1, sizeof(*items));
    struct commitment_list l;
    (void)state;
    for (size_t n = 0; n <= COMMITMENT_ITEMS_MAX; n++)
        items[n] = three[0];
    for (int more = 0; more < 2; more++) {
        struct octets o = {0};
        commitment_list_write(&o, true, "1.2.3", items, COMMITMENT_ITEMS_MAX + (size_t)more);
        assert_int_equal(read_octets(&l, &o, true, 65536), more ? ERR_LIMIT : OK);
        commitment_list_free(&l);
        octets_free(&o);
    }
    free(items);
}

static void the_worse_reason_is_told(void **state)
{
    (void)state;
    assert_int_equal(commitment_worse(0, 0x0213), 0x0213);
    assert_int_equal(commitment_worse(0x0213, 0x0112), 0x0112);
    assert_int_equal(commitment_worse(0x0112, 0x0213), 0x0112);
    assert_int_equal(commitment_worse(0x0110, 0x0122), 0x0122);
    assert_int_equal(commitment_worse(0xC999, 0x0213),
                     0x0213); /* what the standard does not have says least */
    assert_int_equal(commitment_worse(0, 0xC999), 0xC999);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_however_it_is_cut),
        cmocka_unit_test(golden_bytes),
        cmocka_unit_test(big_endian_undefined_lengths_and_foreign_elements_are_read),
        cmocka_unit_test(a_failed_instance_without_a_reason_has_failed),
        cmocka_unit_test(what_is_no_such_data_set_is_refused),
        cmocka_unit_test(a_uid_that_is_too_long_is_refused),
        cmocka_unit_test(more_than_the_most_are_refused),
        cmocka_unit_test(the_worse_reason_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
