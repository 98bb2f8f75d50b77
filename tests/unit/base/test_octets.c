#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/octets.h"

static void integers_are_appended_in_the_byte_order_named(void **state)
{
    (void)state;
    static const uint8_t golden[] = {
        0x01,                   /* u8 */
        0x02, 0x03,             /* be16 */
        0x04, 0x05, 0x06, 0x07, /* be32 */
        0x09, 0x08,             /* le16 */
        0x0D, 0x0C, 0x0B, 0x0A, /* le32 */
        0xEE, 0xEE, 0xEE,       /* fill */
    };
    struct octets o = {0};
    octets_u8(&o, 0x01);
    octets_be16(&o, 0x0203);
    octets_be32(&o, 0x04050607);
    octets_le16(&o, 0x0809);
    octets_le32(&o, 0x0A0B0C0D);
    octets_fill(&o, 0xEE, 3);
    assert_int_equal(o.len, sizeof(golden));
    assert_memory_equal(o.data, golden, sizeof(golden));
    octets_free(&o);
}

static void integers_are_read_as_they_are_put_at_any_alignment(void **state)
{
    (void)state;
    uint8_t bytes[8];
    for (size_t at = 0; at < 4; at++) {
        put_be16(bytes + at, 0xFEDC);
        assert_int_equal(bytes[at], 0xFE);
        assert_int_equal(get_be16(bytes + at), 0xFEDC);
        put_le16(bytes + at, 0xFEDC);
        assert_int_equal(bytes[at], 0xDC);
        assert_int_equal(get_le16(bytes + at), 0xFEDC);
        put_be32(bytes + at, 0xFEDCBA98);
        assert_int_equal(bytes[at], 0xFE);
        assert_int_equal(get_be32(bytes + at), 0xFEDCBA98);
        put_le32(bytes + at, 0xFEDCBA98);
        assert_int_equal(bytes[at], 0x98);
        assert_int_equal(get_le32(bytes + at), 0xFEDCBA98);
    }
}

static void it_grows_as_far_as_it_must(void **state)
{
    (void)state;
    struct octets o = {0};
    for (uint32_t i = 0; i < 10000; i++) {
        octets_be32(&o, i);
    }
    assert_false(o.failed);
    assert_int_equal(o.len, 40000);
    for (uint32_t i = 0; i < 10000; i++) {
        assert_int_equal(get_be32(o.data + 4 * i), i);
    }
    octets_free(&o);
    assert_null(o.data);
    assert_int_equal(o.len, 0);
    assert_int_equal(o.cap, 0);
}

static void nothing_may_be_appended_from_nowhere(void **state)
{
    (void)state;
    struct octets o = {0};
    octets_append(&o, NULL, 0);
    octets_fill(&o, 1, 0);
    octets_consume(&o, 0);
    assert_int_equal(o.len, 0);
    assert_false(o.failed);
    octets_free(&o);
}

static void consuming_drops_from_the_front(void **state)
{
    (void)state;
    struct octets o = {0};
    octets_append(&o, "abcdef", 6);
    octets_consume(&o, 2);
    assert_int_equal(o.len, 4);
    assert_memory_equal(o.data, "cdef", 4);
    octets_append(&o, "gh", 2);
    assert_memory_equal(o.data, "cdefgh", 6);
    octets_consume(&o, 6);
    assert_int_equal(o.len, 0);
    octets_free(&o);
}

static void a_failure_is_remembered_until_it_is_cleared(void **state)
{
    (void)state;
    struct octets o = {0};
    octets_append(&o, "ab", 2);
    octets_fill(&o, 0, SIZE_MAX - 1); /* the sum of the lengths wraps */
    assert_true(o.failed);
    octets_append(&o, "cd", 2);
    assert_true(o.failed);
    assert_int_equal(o.len, 2); /* what had been there is whole */
    assert_memory_equal(o.data, "ab", 2);
    octets_clear(&o);
    octets_append(&o, "ef", 2);
    assert_false(o.failed);
    assert_memory_equal(o.data, "ef", 2);
    octets_free(&o);
}

static void clearing_keeps_the_memory(void **state)
{
    (void)state;
    struct octets o = {0};
    octets_fill(&o, 1, 1000);
    size_t cap = o.cap;
    octets_clear(&o);
    assert_int_equal(o.len, 0);
    assert_int_equal(o.cap, cap);
    octets_free(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_are_appended_in_the_byte_order_named),
        cmocka_unit_test(integers_are_read_as_they_are_put_at_any_alignment),
        cmocka_unit_test(it_grows_as_far_as_it_must),
        cmocka_unit_test(nothing_may_be_appended_from_nowhere),
        cmocka_unit_test(consuming_drops_from_the_front),
        cmocka_unit_test(a_failure_is_remembered_until_it_is_cleared),
        cmocka_unit_test(clearing_keeps_the_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
