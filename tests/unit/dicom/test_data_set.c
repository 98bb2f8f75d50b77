/* The tree over a data set: cut into elements and items, found by tag, with the VR that counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dicom/data_set.h"
#include "dicom/reader.h"
#include "dicom/tag.h"
#include "tree.h"

enum {
    MODALITY = DICOM_TAG(0x0008, 0x0060),
    PATIENT_ID = DICOM_TAG(0x0010, 0x0020),
    REFERENCED = DICOM_TAG(0x0008, 0x1140), /* SQ */
    SMALLEST = DICOM_TAG(0x0028, 0x0106),   /* US or SS */
    PRIVATE = DICOM_TAG(0x0029, 0x1010),
    MEMORY_MAX = 1 << 24
};
#define UNDEFINED DICOM_UNDEFINED_LENGTH

/* From a copy that ends where the bytes end; it is freed by finish. */
static uint8_t *kept;

static enum result parse(struct dicom_document *d, const struct octets *o, struct dicom_encoding encoding)
{
    kept = malloc(o->len + 1);
    assert_non_null(kept);
    uint8_t *at = kept + 1;
    if (o->len > 0)
        memcpy(at, o->data, o->len);
    return dicom_document_parse(d, (struct view){at, o->len}, encoding, 0, MEMORY_MAX);
}

static void finish(struct dicom_document *d, struct octets *o)
{
    dicom_document_free(d);
    octets_free(o);
    free(kept);
    kept = NULL;
}

static void assert_text(const struct dicom_element *e, const char *text)
{
    assert_non_null(e);
    assert_int_equal(e->value.len, strlen(text));
    assert_memory_equal(e->value.at, text, strlen(text));
}

static struct dicom_data_set *item_of(struct dicom_data_set *ds, uint32_t tag, size_t i)
{
    struct dicom_element *e = dicom_data_set_find(ds, tag);
    struct dicom_data_set *item;
    assert_non_null(e);
    assert_int_equal(dicom_element_item(e, i, &item), OK);
    return item;
}

static void elements_come_in_file_order_and_are_found_by_tag(void **state)
{
    (void)state;
    const struct dicom_encoding encodings[] = {tree_explicit, tree_big_endian, tree_implicit};
    for (size_t i = 0; i < 3; i++) {
        struct octets o = {0};
        struct dicom_document d;
        tree_text(&o, encodings[i], MODALITY, "CS", "CT");
        tree_text(&o, encodings[i], PATIENT_ID, "LO", "4711");
        tree_us(&o, encodings[i], DICOM_BITS_ALLOCATED, 16);
        assert_int_equal(parse(&d, &o, encodings[i]), OK);
        struct dicom_data_set *root = dicom_document_root(&d);
        assert_int_equal(dicom_data_set_count(root), 3);
        struct dicom_element *e = dicom_data_set_first(root);
        assert_int_equal(e->tag, MODALITY);
        assert_int_equal(dicom_element_raw(e).len, 10);
        e = dicom_element_next(e);
        assert_int_equal(e->tag, PATIENT_ID);
        e = dicom_element_next(e);
        assert_int_equal(dicom_element_vr(e), DICOM_VR_US);
        assert_int_equal(dicom_element_is_big_endian(e), encodings[i].is_big_endian);
        assert_null(dicom_element_next(e));
        e = dicom_data_set_find(root, PATIENT_ID);
        assert_text(e, "4711");
        assert_int_equal(dicom_element_vr(e), DICOM_VR_LO);
        char letters[3];
        dicom_element_letters(e, letters);
        assert_string_equal(letters, encodings[i].is_explicit ? "LO" : "??");
        assert_null(dicom_data_set_find(root, DICOM_TAG(0x0010, 0x0010)));
        finish(&d, &o);
    }
}

static void a_data_set_may_be_empty(void **state)
{
    (void)state;
    struct dicom_document d;
    struct octets out = {0};
    assert_int_equal(dicom_document_parse(&d, (struct view){NULL, 0}, tree_explicit, 0, MEMORY_MAX), OK);
    assert_null(dicom_data_set_first(dicom_document_root(&d)));
    assert_int_equal(dicom_data_set_put(dicom_document_root(&d), MODALITY, DICOM_VR_CS, view_of("MR")), OK);
    assert_int_equal(dicom_document_write(&d, &out), OK);
    assert_int_equal(out.len, 10);
    octets_free(&out);
    dicom_document_free(&d);
}

/* The same with few elements, which are looked through, and many, which have an index. */
static void duplicates_and_bad_order_are_no_fault(void **state)
{
    (void)state;
    for (unsigned more = 0; more <= 40; more += 40) {
        struct octets o = {0};
        struct dicom_document d;
        tree_text(&o, tree_explicit, PATIENT_ID, "LO", "first ");
        for (unsigned i = 0; i < more; i++)
            tree_text(&o, tree_explicit, DICOM_TAG(0x0018, 0x9000 - 2 * i), "LO", "");
        tree_text(&o, tree_explicit, MODALITY, "CS", "CT");
        tree_text(&o, tree_explicit, PATIENT_ID, "LO", "second");
        assert_int_equal(parse(&d, &o, tree_explicit), OK);
        struct dicom_data_set *root = dicom_document_root(&d);
        assert_text(dicom_data_set_find(root, MODALITY), "CT");
        assert_text(dicom_data_set_find(root, PATIENT_ID), "first ");
        for (unsigned i = 0; i < more; i++)
            assert_non_null(dicom_data_set_find(root, DICOM_TAG(0x0018, 0x9000 - 2 * i)));
        assert_null(dicom_data_set_find(root, DICOM_TAG(0x0018, 0x9001)));
        dicom_element_remove(dicom_data_set_find(root, PATIENT_ID));
        assert_text(dicom_data_set_find(root, PATIENT_ID), "second");
        finish(&d, &o);
    }
}

/* An item of each kind of length in a sequence of each kind, in every encoding. */
static void sequences_and_items_of_both_lengths_are_entered(void **state)
{
    (void)state;
    const struct dicom_encoding encodings[] = {tree_explicit, tree_big_endian, tree_implicit};
    for (unsigned i = 0; i < 12; i++) {
        const struct dicom_encoding encoding = encodings[i % 3];
        bool open_sequence = i / 3 % 2 == 1, open_item = i / 6 == 1;
        struct octets o = {0}, item = {0}, items = {0};
        struct dicom_document d;
        tree_text(&item, encoding, MODALITY, "CS", "CT");
        for (int k = 0; k < 2; k++) {
            tree_head(&items, encoding, DICOM_ITEM, "", open_item ? UNDEFINED : (uint32_t)item.len);
            octets_append(&items, item.data, item.len);
            if (open_item)
                tree_head(&items, encoding, DICOM_ITEM_DELIMITATION, "", 0);
        }
        tree_head(&o, encoding, REFERENCED, "SQ", open_sequence ? UNDEFINED : (uint32_t)items.len);
        octets_append(&o, items.data, items.len);
        if (open_sequence)
            tree_head(&o, encoding, DICOM_SEQUENCE_DELIMITATION, "", 0);
        tree_text(&o, encoding, PATIENT_ID, "LO", "4711");

        assert_int_equal(parse(&d, &o, encoding), OK);
        struct dicom_data_set *root = dicom_document_root(&d);
        assert_int_equal(dicom_data_set_count(root), 2);
        struct dicom_element *e = dicom_data_set_first(root);
        size_t count;
        assert_int_equal(dicom_element_vr(e), DICOM_VR_SQ);
        assert_int_equal(e->value.len, items.len);
        assert_int_equal(dicom_element_items(e, &count), OK);
        assert_int_equal(count, 2);
        struct dicom_data_set *second = item_of(root, REFERENCED, 1);
        assert_text(dicom_data_set_find(second, MODALITY), "CT");
        assert_null(dicom_data_set_find(second, PATIENT_ID));
        assert_text(dicom_data_set_find_outwards(second, PATIENT_ID), "4711");
        assert_ptr_equal(dicom_data_set_sequence(second), e);
        assert_int_equal(dicom_data_set_depth(second), 1);
        struct dicom_data_set *none;
        assert_int_equal(dicom_element_item(e, 2, &none), ERR_USAGE);
        assert_int_equal(dicom_element_items(dicom_data_set_find(root, PATIENT_ID), &count), ERR_USAGE);
        assert_int_equal(d.tag, PATIENT_ID);
        octets_free(&item);
        octets_free(&items);
        finish(&d, &o);
    }
}

static void what_nobody_asks_for_is_not_looked_at(void **state)
{
    (void)state;
    struct octets o = {0};
    struct dicom_document d;
    size_t count;
    tree_text(&o, tree_explicit, REFERENCED, "SQ", "no items at all!");
    assert_int_equal(parse(&d, &o, tree_explicit), OK);
    struct dicom_element *e = dicom_data_set_first(dicom_document_root(&d));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(dicom_element_items(e, &count), ERR_PROTO);
        assert_int_equal(d.tag, REFERENCED);
        assert_string_equal(d.why, "something else stands where an item should begin");
    }
    finish(&d, &o);
}

static void un_of_undefined_length_is_implicit_inside(void **state)
{
    (void)state;
    const struct dicom_encoding encodings[] = {tree_explicit, tree_big_endian};
    for (size_t i = 0; i < 2; i++) {
        struct octets o = {0};
        struct dicom_document d;
        tree_head(&o, encodings[i], PRIVATE, "UN", UNDEFINED);
        tree_head(&o, tree_implicit, DICOM_ITEM, "", UNDEFINED);
        tree_text(&o, tree_implicit, PATIENT_ID, "", "4711");
        tree_head(&o, tree_implicit, DICOM_ITEM_DELIMITATION, "", 0);
        tree_head(&o, tree_implicit, DICOM_SEQUENCE_DELIMITATION, "", 0);
        assert_int_equal(parse(&d, &o, encodings[i]), OK);
        struct dicom_data_set *item = item_of(dicom_document_root(&d), PRIVATE, 0);
        assert_false(dicom_data_set_encoding(item).is_explicit);
        assert_false(dicom_data_set_encoding(item).is_big_endian);
        assert_text(dicom_data_set_find(item, PATIENT_ID), "4711");
        finish(&d, &o);
    }
}

/* PS3.5 6.2.2: its value is little endian, a sequence implicit. */
static void un_of_a_known_tag_is_what_the_dictionary_says(void **state)
{
    (void)state;
    struct octets o = {0}, item = {0};
    struct dicom_document d;
    tree_us(&item, tree_implicit, DICOM_BITS_ALLOCATED, 16);
    tree_head(&o, tree_big_endian, REFERENCED, "UN", (uint32_t)item.len + 8);
    tree_element(&o, tree_implicit, DICOM_ITEM, "", item.data, item.len);
    tree_element(&o, tree_big_endian, DICOM_BITS_ALLOCATED, "UN", "\x10\0", 2);
    tree_text(&o, tree_big_endian, PRIVATE, "UN", "ab");
    assert_int_equal(parse(&d, &o, tree_big_endian), OK);
    struct dicom_data_set *root = dicom_document_root(&d);
    struct dicom_element *e = dicom_data_set_find(item_of(root, REFERENCED, 0), DICOM_BITS_ALLOCATED);
    assert_int_equal(dicom_element_vr(e), DICOM_VR_US);
    e = dicom_data_set_find(root, DICOM_BITS_ALLOCATED);
    assert_int_equal(dicom_element_vr(e), DICOM_VR_US);
    assert_false(dicom_element_is_big_endian(e));
    assert_int_equal(dicom_element_vr(dicom_data_set_find(root, PRIVATE)), DICOM_VR_UN);
    octets_free(&item);
    finish(&d, &o);
}

static void what_is_around_decides_where_the_dictionary_leaves_a_choice(void **state)
{
    (void)state;
    struct octets o = {0}, item = {0};
    struct dicom_document d;
    tree_us(&item, tree_implicit, SMALLEST, 7);
    tree_element(&o, tree_implicit, REFERENCED, "", NULL, 0);
    put_le32(o.data + 4, (uint32_t)item.len + 8);
    tree_element(&o, tree_implicit, DICOM_ITEM, "", item.data, item.len);
    tree_us(&o, tree_implicit, DICOM_BITS_ALLOCATED, 8);
    tree_us(&o, tree_implicit, DICOM_PIXEL_REPRESENTATION, 1);
    tree_us(&o, tree_implicit, SMALLEST, 7);
    tree_text(&o, tree_implicit, DICOM_TAG(0x0028, 0x3006), "", "lut!");     /* US or OW */
    tree_text(&o, tree_implicit, DICOM_TAG(0x6000, 0x3000), "", "overlay!"); /* OB or OW */
    tree_text(&o, tree_implicit, DICOM_PIXEL_DATA, "", "pixels");
    assert_int_equal(parse(&d, &o, tree_implicit), OK);
    struct dicom_data_set *root = dicom_document_root(&d), *inner = item_of(root, REFERENCED, 0);
    assert_int_equal(dicom_element_vr(dicom_data_set_find(root, SMALLEST)), DICOM_VR_SS);
    assert_int_equal(dicom_element_vr(dicom_data_set_find(inner, SMALLEST)), DICOM_VR_SS);
    assert_int_equal(dicom_element_vr(dicom_data_set_find(root, DICOM_TAG(0x0028, 0x3006))), DICOM_VR_OW);
    assert_int_equal(dicom_element_vr(dicom_data_set_find(root, DICOM_TAG(0x6000, 0x3000))), DICOM_VR_OW);
    assert_int_equal(dicom_element_vr(dicom_data_set_find(root, DICOM_PIXEL_DATA)), DICOM_VR_OB);
    struct view one = {(const uint8_t *)"\0\0", 2}, sixteen = {(const uint8_t *)"\x10\0", 2};
    assert_int_equal(dicom_data_set_put(inner, DICOM_PIXEL_REPRESENTATION, DICOM_VR_US, one), OK);
    assert_int_equal(dicom_data_set_put(root, DICOM_BITS_ALLOCATED, DICOM_VR_US, sixteen), OK);
    assert_int_equal(dicom_element_vr(dicom_data_set_find(inner, SMALLEST)), DICOM_VR_US);
    assert_int_equal(dicom_element_vr(dicom_data_set_find(root, DICOM_PIXEL_DATA)), DICOM_VR_OW);
    assert_true(dicom_is_lut_descriptor(DICOM_TAG(0x0028, 0x3002)));
    assert_false(dicom_is_lut_descriptor(SMALLEST));
    octets_free(&item);
    finish(&d, &o);
}

/* As the reader takes them: reader.c says why. */
static void letters_that_are_no_vr_are_taken_for_what_they_most_likely_are(void **state)
{
    (void)state;
    struct octets o = {0};
    struct dicom_document d;
    octets_append(&o, "\x10\0\x10\0ZZ\0\0\4\0\0\0abcd", 16); /* a VR to come: long */
    octets_append(&o, "\x10\0\x20\0??\4\0abcd", 12);         /* never filled in: short */
    octets_append(&o,
                  "\x10\0\x30\0\4\0\0\0"
                  "2001",
                  12); /* no VR: a length */
    assert_int_equal(parse(&d, &o, tree_explicit), OK);
    struct dicom_data_set *root = dicom_document_root(&d);
    const enum dicom_vr expected[] = {DICOM_VR_UNKNOWN, DICOM_VR_LO, DICOM_VR_DA};
    const char *letters[] = {"ZZ", "??", "??"};
    struct dicom_element *e = dicom_data_set_first(root);
    for (size_t i = 0; i < 3; i++, e = dicom_element_next(e)) {
        char found[3];
        assert_non_null(e);
        assert_int_equal(e->value.len, 4);
        assert_int_equal(dicom_element_vr(e), expected[i]);
        dicom_element_letters(e, found);
        assert_string_equal(found, letters[i]);
    }
    finish(&d, &o);
}

static void encapsulated_pixel_data_in_items_is_passed_over_whole(void **state)
{
    (void)state;
    struct octets o = {0};
    struct dicom_document d;
    tree_head(&o, tree_explicit, DICOM_TAG(0x0088, 0x0200), "SQ", UNDEFINED);
    tree_head(&o, tree_explicit, DICOM_ITEM, "", UNDEFINED);
    tree_head(&o, tree_explicit, DICOM_PIXEL_DATA, "OB", UNDEFINED);
    tree_head(&o, tree_explicit, DICOM_ITEM, "", 0);
    tree_element(&o, tree_explicit, DICOM_ITEM, "", "\xFE\xFF\xDD\xE0\0\0\0\0",
                 8); /* looks like a delimiter */
    tree_head(&o, tree_explicit, DICOM_SEQUENCE_DELIMITATION, "", 0);
    tree_head(&o, tree_explicit, DICOM_ITEM_DELIMITATION, "", 0);
    tree_head(&o, tree_explicit, DICOM_SEQUENCE_DELIMITATION, "", 0);
    assert_int_equal(parse(&d, &o, tree_explicit), OK);
    struct dicom_data_set *item = item_of(dicom_document_root(&d), DICOM_TAG(0x0088, 0x0200), 0);
    struct dicom_element *e = dicom_data_set_first(item);
    size_t count;
    assert_true(dicom_element_is_encapsulated(e));
    assert_int_equal(e->value.len, 24);
    assert_int_equal(dicom_element_items(e, &count), ERR_USAGE);
    assert_null(dicom_element_next(e));
    finish(&d, &o);
}

static void broken_bytes_are_faults_that_name_the_place(void **state)
{
    (void)state;
    static const struct broken {
        const char *bytes;
        size_t len;
        uint32_t tag;
        const char *why;
    } cases[] = {
        {"\x08\0\x60\0CS\2", 7, 0, "an element's header is cut off"},
        {"\x08\0\x60\0CS\2\0CT\x10\0\x20\0", 14, MODALITY, "an element's header is cut off"},
        {"\x08\0\x60\0OB\0\0\2\0\0", 11, 0, "an element's header is cut off"},
        {"\x08\0\x60\0CS\4\0CT", 10, MODALITY, "a value reaches past what it stands in"},
        {"\x08\0\x60\0OB\0\0\xFE\xFF\xFF\xFF", 12, MODALITY, "a value reaches past what it stands in"},
        {"\x08\0\x60\0UT\0\0\xFF\xFF\xFF\xFF", 12, MODALITY, "a value has no length, which its VR must have"},
        {"\x08\0\x40\x11SQ\0\0\xFF\xFF\xFF\xFF", 12, REFERENCED, "a sequence ends without its delimiter"},
        {"\x08\0\x40\x11SQ\0\0\xFF\xFF\xFF\xFF\xFE\xFF\0\xE0", 16, REFERENCED, "a sequence is cut off"},
        {"\x08\0\x40\x11SQ\0\0\xFF\xFF\xFF\xFF\xFE\xFF\0\xE0\1\0\0\0", 20, REFERENCED,
         "an item reaches past what it stands in"},
        {"\x08\0\x40\x11SQ\0\0\xFF\xFF\xFF\xFF\xFE\xFF\0\xE0\xFF\xFF\xFF\xFF", 20, 0,
         "an item ends without its delimiter"},
        {"\x08\0\x40\x11SQ\0\0\xFF\xFF\xFF\xFF\xFE\xFF\x0D\xE0\0\0\0\0", 20, REFERENCED,
         "something else stands where an item should begin"},
        {"\xE0\x7F\x10\0OB\0\0\xFF\xFF\xFF\xFF\xFE\xFF\0\xE0\xFF\xFF\xFF\xFF", 20, DICOM_PIXEL_DATA,
         "a fragment has no length"},
        {"\xFE\xFF\x0D\xE0\0\0\0\0", 8, DICOM_ITEM_DELIMITATION,
         "an item or a delimiter stands where an element should"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct octets o = {0};
        struct dicom_document d;
        octets_append(&o, cases[i].bytes, cases[i].len);
        assert_int_equal(parse(&d, &o, tree_explicit), ERR_PROTO);
        assert_string_equal(d.why, cases[i].why);
        assert_int_equal(d.tag, cases[i].tag);
        finish(&d, &o);
    }
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    for (int depth = DICOM_DEPTH_MAX; depth <= 10000; depth += 10000 - DICOM_DEPTH_MAX) {
        struct octets o = {0};
        struct dicom_document d;
        for (int i = 0; i < depth; i++) {
            tree_head(&o, tree_explicit, REFERENCED, "SQ", UNDEFINED);
            tree_head(&o, tree_explicit, DICOM_ITEM, "", UNDEFINED);
        }
        for (int i = 0; i < depth; i++) {
            tree_head(&o, tree_explicit, DICOM_ITEM_DELIMITATION, "", 0);
            tree_head(&o, tree_explicit, DICOM_SEQUENCE_DELIMITATION, "", 0);
        }
        bool fits = depth <= DICOM_DEPTH_MAX;
        assert_int_equal(parse(&d, &o, tree_explicit), fits ? OK : ERR_LIMIT);
        struct dicom_data_set *ds = dicom_document_root(&d), *item;
        for (int i = 0; fits && i < depth; i++)
            ds = item_of(ds, REFERENCED, 0);
        struct dicom_element *e;
        if (fits) {
            assert_int_equal(dicom_data_set_put_sequence(ds, REFERENCED, &e), OK);
            assert_int_equal(dicom_element_insert_item(e, 0, &item), ERR_LIMIT);
            assert_null(item);
        }
        finish(&d, &o);
    }
}

/* Every bound up to the one that suffices: an error, or all of it. */
static void memory_is_bounded_and_its_end_changes_nothing(void **state)
{
    (void)state;
    struct octets o = {0};
    tree_head(&o, tree_explicit, REFERENCED, "SQ", 0);
    for (unsigned i = 0; i < 60; i++)
        tree_text(&o, tree_explicit, DICOM_TAG(0x0018, i), "LO", "ab");
    bool has_failed_to_put = false, has_put = false;
    for (size_t max = 1; max < 30000; max += 7) {
        struct dicom_document d;
        struct dicom_data_set *item;
        enum result r = dicom_document_parse(&d, (struct view){o.data, o.len}, tree_explicit, 0, max);
        assert_true(r == OK || r == ERR_MEMORY);
        if (r == OK) {
            struct dicom_data_set *root = dicom_document_root(&d);
            r = dicom_data_set_put(root, PATIENT_ID, DICOM_VR_LO, view_of("x"));
            assert_int_equal(dicom_data_set_find(root, PATIENT_ID) != NULL, r == OK);
            assert_int_equal(dicom_document_is_changed(&d), r == OK);
            has_failed_to_put |= r == ERR_MEMORY;
            has_put |= r == OK;
            r = dicom_element_insert_item(dicom_data_set_find(root, REFERENCED), 0, &item);
            assert_true(r == OK || (r == ERR_MEMORY && !item && d.tag == REFERENCED));
        }
        dicom_document_free(&d);
    }
    assert_true(has_failed_to_put && has_put);
    octets_free(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_come_in_file_order_and_are_found_by_tag),
        cmocka_unit_test(a_data_set_may_be_empty),
        cmocka_unit_test(duplicates_and_bad_order_are_no_fault),
        cmocka_unit_test(sequences_and_items_of_both_lengths_are_entered),
        cmocka_unit_test(what_nobody_asks_for_is_not_looked_at),
        cmocka_unit_test(un_of_undefined_length_is_implicit_inside),
        cmocka_unit_test(un_of_a_known_tag_is_what_the_dictionary_says),
        cmocka_unit_test(what_is_around_decides_where_the_dictionary_leaves_a_choice),
        cmocka_unit_test(letters_that_are_no_vr_are_taken_for_what_they_most_likely_are),
        cmocka_unit_test(encapsulated_pixel_data_in_items_is_passed_over_whole),
        cmocka_unit_test(broken_bytes_are_faults_that_name_the_place),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(memory_is_bounded_and_its_end_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
