/* What leaves of the part behind the header, whatever the pieces it comes in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/octets.h"
#include "dicom/tag.h"
#include "dicom/tail.h"

static const struct dicom_encoding explicit_le = {.is_explicit = true};

#define NATIVE                                                                                               \
    "\xE0\x7F\x10\x00OW\0\0\x06\0\0\0"                                                                       \
    "pixels" /* (7FE0,0010) */
#define FRAGMENTS                                                                                            \
    "\xE0\x7F\x10\x00OB\0\0\xFF\xFF\xFF\xFF"                                                                 \
    "\xFE\xFF\x00\xE0\0\0\0\0"                   /* an empty offset table */                                 \
    "\xFE\xFF\x00\xE0\x04\0\0\0\xFF\xD8\xFF\xD9" /* one frame */                                             \
    "\xFE\xFF\xDD\xE0\0\0\0\0"
#define PRIVATE                                                                                              \
    "\xE1\x7F\x10\x00LO\x04\0"                                                                               \
    "ACME"                                                                                                   \
    "\xE1\x7F\x10\x10OB\0\0\x02\0\0\0"                                                                       \
    "zz"
#define SIGNATURES                                                                                           \
    "\xFA\xFF\xFA\xFFSQ\0\0\xFF\xFF\xFF\xFF"                                                                 \
    "\xFE\xFF\x00\xE0\xFF\xFF\xFF\xFF"                                                                       \
    "\x00\x04\x05\x00US\x02\0\x01\0" /* (0400,0005) */                                                       \
    "\xFE\xFF\x0D\xE0\0\0\0\0"                                                                               \
    "\xFE\xFF\xDD\xE0\0\0\0\0"
#define PADDING                                                                                              \
    "\xFC\xFF\xFC\xFFOB\0\0\x02\0\0\0"                                                                       \
    "\0\0"

static void collect(void *owner, const uint8_t *at, size_t len, bool is_borrowed)
{
    (void)is_borrowed;
    octets_append(owner, at, len);
}

static const uint32_t signatures[] = {DICOM_DIGITAL_SIGNATURES};

/* All pieces of `piece` bytes: what leaves is the same. */
static void expect_left(const void *tail, size_t len, struct dicom_tail_rules rules, const void *left,
                        size_t left_len)
{
    for (size_t piece = 1; piece <= len; piece++) {
        struct dicom_tail t;
        struct octets out = {0};
        dicom_tail_init(&t, explicit_le, rules);
        for (size_t at = 0; at < len; at += piece)
            dicom_tail_feed(&t, (const uint8_t *)tail + at, len - at < piece ? len - at : piece, collect,
                            &out);
        dicom_tail_finish(&t, collect, &out);
        assert_int_equal(out.len, left_len);
        if (left_len > 0)
            assert_memory_equal(out.data, left, left_len);
        octets_free(&out);
    }
}

#define EXPECT(tail, rules, left) expect_left(tail, sizeof(tail) - 1, rules, left, sizeof(left) - 1)

static void without_rules_everything_leaves_as_it_came(void **state)
{
    (void)state;
    struct dicom_tail_rules none = {0};
    EXPECT(NATIVE PRIVATE SIGNATURES PADDING, none, NATIVE PRIVATE SIGNATURES PADDING);
    EXPECT(FRAGMENTS SIGNATURES, none, FRAGMENTS SIGNATURES);
}

static void what_rules_name_is_dropped_with_all_that_is_inside(void **state)
{
    (void)state;
    struct dicom_tail_rules rules = {.drop = signatures, .drop_count = 1};
    EXPECT(NATIVE PRIVATE SIGNATURES PADDING, rules, NATIVE PRIVATE PADDING);
    EXPECT(FRAGMENTS SIGNATURES PADDING, rules, FRAGMENTS PADDING);
    EXPECT(SIGNATURES, rules, "");
}

static void private_groups_go_as_a_whole(void **state)
{
    (void)state;
    struct dicom_tail_rules rules = {.drops_private = true};
    EXPECT(NATIVE PRIVATE PADDING, rules, NATIVE PADDING);
}

static void what_stands_out_of_order_may_be_dropped(void **state)
{
    (void)state;
    struct dicom_tail_rules rules = {.below = DICOM_PIXEL_DATA};
    EXPECT(NATIVE "\x10\x00\x20\x00LO\x02\0ID" PADDING, rules, NATIVE PADDING);
}

#define ID   "\x10\x00\x20\x00LO\x02\0ID"
#define NAME "\x10\x00\x10\x00PN\x02\0XY"

/* With the signatures that follow; without a copy these stay. */
static void copies_are_dropped_where_they_stand(void **state)
{
    (void)state;
    static const uint32_t copies[] = {DICOM_TAG(0x0008, 0x0060), DICOM_TAG(0x0010, 0x0020)};
    struct dicom_tail_rules rules = {.copies = copies, .copy_count = 2};
    EXPECT(NATIVE ID NAME PRIVATE SIGNATURES PADDING ID, rules, NATIVE NAME PRIVATE PADDING);
    EXPECT(FRAGMENTS NAME SIGNATURES PADDING, rules, FRAGMENTS NAME SIGNATURES PADDING);
    rules.below = DICOM_PIXEL_DATA;
    EXPECT(NATIVE ID NAME SIGNATURES PADDING, rules, NATIVE PADDING);
    EXPECT(NATIVE NAME SIGNATURES PADDING, rules, NATIVE PADDING);
    EXPECT(NATIVE SIGNATURES PADDING, rules, NATIVE SIGNATURES PADDING);
}

static void pixel_data_may_be_dropped_like_anything(void **state)
{
    (void)state;
    static const uint32_t pixels[] = {DICOM_PIXEL_DATA};
    struct dicom_tail_rules rules = {.drop = pixels, .drop_count = 1};
    EXPECT(FRAGMENTS PADDING, rules, PADDING);
    EXPECT(NATIVE PRIVATE, rules, PRIVATE);
}

static void a_tail_that_ends_in_the_middle_leaves_what_was_there(void **state)
{
    (void)state;
    struct dicom_tail_rules rules = {.drop = signatures, .drop_count = 1};
    static const char tail[] = NATIVE PADDING;
    for (size_t len = 1; len < sizeof(tail) - 1; len++)
        expect_left(tail, len, rules, tail, len);
}

static void what_cannot_be_read_passes_from_there_as_it_is(void **state)
{
    (void)state;
    struct dicom_tail_rules rules = {.drop = signatures, .drop_count = 1};
    EXPECT(NATIVE "\xFE\xFF\x0D\xE0\0\0\0\0" SIGNATURES, rules, NATIVE "\xFE\xFF\x0D\xE0\0\0\0\0" SIGNATURES);
    struct dicom_tail t;
    struct octets out = {0};
    static const char stray[] = "\xFE\xFF\x0D\xE0\0\0\0\0";
    dicom_tail_init(&t, explicit_le, rules);
    dicom_tail_feed(&t, (const uint8_t *)stray, sizeof(stray) - 1, collect, &out);
    assert_non_null(t.why);
    octets_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_rules_everything_leaves_as_it_came),
        cmocka_unit_test(what_rules_name_is_dropped_with_all_that_is_inside),
        cmocka_unit_test(private_groups_go_as_a_whole),
        cmocka_unit_test(what_stands_out_of_order_may_be_dropped),
        cmocka_unit_test(copies_are_dropped_where_they_stand),
        cmocka_unit_test(pixel_data_may_be_dropped_like_anything),
        cmocka_unit_test(a_tail_that_ends_in_the_middle_leaves_what_was_there),
        cmocka_unit_test(what_cannot_be_read_passes_from_there_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
