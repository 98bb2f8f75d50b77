/* Changes in the tree over a data set, looked at in the bytes that are written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dicom/data_set.h"
#include "dicom/tag.h"
#include "tree.h"

enum {
    MODALITY = DICOM_TAG(0x0008, 0x0060),
    REFERENCED = DICOM_TAG(0x0008, 0x1140), /* SQ */
    PATIENT_NAME = DICOM_TAG(0x0010, 0x0010),
    PATIENT_ID = DICOM_TAG(0x0010, 0x0020),
    BIRTH_DATE = DICOM_TAG(0x0010, 0x0030),
    COLUMNS = DICOM_TAG(0x0028, 0x0011),
    MEMORY_MAX = 1 << 24
};
#define UNDEFINED DICOM_UNDEFINED_LENGTH

static const struct dicom_encoding *const encodings[] = {&tree_explicit, &tree_big_endian, &tree_implicit};

static struct dicom_data_set *parse(struct dicom_document *d, const struct octets *o,
                                    struct dicom_encoding encoding)
{
    enum result r = dicom_document_parse(d, (struct view){o->data, o->len}, encoding, 0, MEMORY_MAX);
    assert_int_equal(r, OK);
    return dicom_document_root(d);
}

/* What d writes is `expected`; ends all three. */
static void finish(struct dicom_document *d, struct octets *o, struct octets *expected)
{
    struct octets out = {0};
    octets_append(&out, "before", 6); /* it is appended */
    assert_int_equal(dicom_document_write(d, &out), OK);
    assert_int_equal(out.len, expected->len + 6);
    assert_memory_equal(out.data, "before", 6);
    if (expected->len > 0)
        assert_memory_equal(out.data + 6, expected->data, expected->len);
    octets_free(&out);
    octets_free(expected);
    octets_free(o);
    dicom_document_free(d);
}

static void put(struct dicom_data_set *ds, uint32_t tag, enum dicom_vr vr, const char *text)
{
    assert_int_equal(dicom_data_set_put(ds, tag, vr, view_of(text)), OK);
}

static struct dicom_data_set *insert(struct dicom_element *e, size_t i)
{
    struct dicom_data_set *item;
    assert_int_equal(dicom_element_insert_item(e, i, &item), OK);
    return item;
}

static struct dicom_data_set *item_of(struct dicom_data_set *ds, uint32_t tag, size_t i)
{
    struct dicom_data_set *item;
    assert_int_equal(dicom_element_item(dicom_data_set_find(ds, tag), i, &item), OK);
    return item;
}

static void values_are_padded_and_stand_in_their_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct dicom_encoding encoding = *encodings[i];
        struct octets o = {0}, expected = {0};
        struct dicom_document d;
        tree_text(&o, encoding, MODALITY, "CS", "CT");
        tree_text(&o, encoding, PATIENT_ID, "LO", "odd"); /* wrong, and stays */
        tree_text(&o, encoding, COLUMNS, "US", "12");
        struct dicom_data_set *root = parse(&d, &o, encoding);
        put(root, PATIENT_NAME, DICOM_VR_PN, "A^B");
        put(root, DICOM_SOP_INSTANCE_UID, DICOM_VR_UI, "1.2");
        put(root, MODALITY, DICOM_VR_CS, "MR");
        put(root, DICOM_TAG(0x0040, 0xA160), DICOM_VR_UT, "");
        put(root, DICOM_TAG(0x0028, 0x0010), DICOM_VR_OB, "\1");
        assert_int_equal(dicom_data_set_count(root), 7);
        tree_element(&expected, encoding, DICOM_SOP_INSTANCE_UID, "UI", "1.2\0", 4);
        tree_text(&expected, encoding, MODALITY, "CS", "MR");
        tree_text(&expected, encoding, PATIENT_NAME, "PN", "A^B ");
        tree_text(&expected, encoding, PATIENT_ID, "LO", "odd");
        tree_element(&expected, encoding, DICOM_TAG(0x0028, 0x0010), "OB", "\1", 2);
        tree_text(&expected, encoding, COLUMNS, "US", "12");
        tree_text(&expected, encoding, DICOM_TAG(0x0040, 0xA160), "UT", "");
        finish(&d, &o, &expected);
    }
}

static void what_is_there_already_is_no_change(void **state)
{
    (void)state;
    struct octets o = {0}, expected = {0};
    struct dicom_document d;
    struct dicom_element *e;
    tree_text(&o, tree_explicit, REFERENCED, "SQ", "");
    tree_text(&o, tree_explicit, PATIENT_NAME, "PN", "odd");
    tree_text(&o, tree_explicit, PATIENT_ID, "LO", "pad ");
    tree_text(&o, tree_explicit, BIRTH_DATE, "UN", "20010203");
    octets_append(&expected, o.data, o.len);
    struct dicom_data_set *root = parse(&d, &o, tree_explicit);
    put(root, PATIENT_NAME, DICOM_VR_PN, "odd");
    put(root, PATIENT_ID, DICOM_VR_LO, "pad");
    put(root, PATIENT_ID, DICOM_VR_LO, "pad ");
    put(root, BIRTH_DATE, DICOM_VR_DA, "20010203");
    assert_int_equal(dicom_data_set_put_sequence(root, REFERENCED, &e), OK);
    assert_ptr_equal(e, dicom_data_set_first(root));
    assert_false(dicom_data_set_remove(root, MODALITY));
    assert_false(dicom_document_is_changed(&d));
    finish(&d, &o, &expected);
}

static void a_put_element_is_there_once(void **state)
{
    (void)state;
    struct octets o = {0}, expected = {0};
    struct dicom_document d;
    tree_text(&o, tree_explicit, PATIENT_ID, "LO", "same");
    tree_text(&o, tree_explicit, MODALITY, "CS", "CT");
    tree_text(&o, tree_explicit, PATIENT_ID, "LO", "leak");
    struct dicom_data_set *root = parse(&d, &o, tree_explicit);
    put(root, PATIENT_ID, DICOM_VR_LO, "same");
    tree_text(&expected, tree_explicit, PATIENT_ID, "LO", "same");
    tree_text(&expected, tree_explicit, MODALITY, "CS", "CT");
    assert_true(dicom_document_is_changed(&d));
    finish(&d, &o, &expected);
}

static void removal_takes_all_of_a_tag_and_it_may_come_back(void **state)
{
    (void)state;
    struct octets o = {0}, expected = {0};
    struct dicom_document d;
    tree_text(&o, tree_explicit, PATIENT_ID, "LO", "one ");
    tree_text(&o, tree_explicit, PATIENT_ID, "LO", "two ");
    tree_text(&o, tree_explicit, BIRTH_DATE, "DA", "");
    struct dicom_data_set *root = parse(&d, &o, tree_explicit);
    assert_true(dicom_data_set_remove(root, PATIENT_ID));
    assert_false(dicom_data_set_remove(root, PATIENT_ID));
    assert_null(dicom_data_set_find(root, PATIENT_ID));
    assert_int_equal(dicom_data_set_count(root), 1);
    put(root, PATIENT_ID, DICOM_VR_LO, "new ");
    assert_int_equal(dicom_data_set_count(root), 2);
    tree_text(&expected, tree_explicit, PATIENT_ID, "LO", "new ");
    tree_text(&expected, tree_explicit, BIRTH_DATE, "DA", "");
    finish(&d, &o, &expected);
}

/* PS3.5 6.2.2. In big endian the numbers turn round, for UN is little endian. */
static void values_too_long_for_their_vr_become_un(void **state)
{
    (void)state;
    static uint8_t bytes[65536], swapped[65536];
    for (size_t i = 0; i < sizeof bytes; i++)
        swapped[i ^ 1] = bytes[i] = (uint8_t)(i * 7);
    for (size_t i = 0; i < 3; i++) {
        struct dicom_encoding encoding = *encodings[i];
        for (size_t len = 65534; len <= 65536; len += 2) {
            bool is_un = encoding.is_explicit && len > 65534;
            struct octets o = {0}, expected = {0};
            struct dicom_document d;
            struct dicom_data_set *root = parse(&d, &o, encoding);
            assert_int_equal(dicom_data_set_put(root, COLUMNS, DICOM_VR_US, (struct view){bytes, len}), OK);
            struct dicom_element *e = dicom_data_set_find(root, COLUMNS);
            assert_int_equal(dicom_element_vr(e), DICOM_VR_US);
            assert_int_equal(dicom_element_is_big_endian(e), encoding.is_big_endian && !is_un);
            tree_element(&expected, encoding, COLUMNS, is_un ? "UN" : "US",
                         is_un && encoding.is_big_endian ? swapped : bytes, len);
            finish(&d, &o, &expected);
        }
    }
}

static void what_cannot_stand_in_a_data_set_is_refused(void **state)
{
    (void)state;
    static const struct refused {
        uint32_t tag;
        const char *why;
    } cases[] = {
        {DICOM_TAG(0x0008, 0x0000), "a group length is counted, not set"},
        {DICOM_TAG(0x0010, 0x0000), "a group length is counted, not set"}, /* though it is there */
        {DICOM_TAG(0x0000, 0x0002), "its group does not belong into a data set"},
        {DICOM_TAG(0x0002, 0x0010), "its group does not belong into a data set"},
        {DICOM_TAG(0x0003, 0x0010), "its group does not belong into a data set"},
        {DICOM_TAG(0xFFFF, 0x0010), "its group does not belong into a data set"},
        {DICOM_ITEM, "it is an item or a delimiter"},
        {DICOM_PIXEL_DATA, "its place is at or behind the pixel data"},
        {DICOM_TRAILING_PADDING, "its place is at or behind the pixel data"},
    };
    struct octets o = {0}, expected = {0};
    struct dicom_document d;
    struct dicom_element *e;
    tree_element(&o, tree_explicit, DICOM_TAG(0x0010, 0x0000), "UL", "\0\0\0\0", 4);
    struct view bytes = {o.data, o.len};
    assert_int_equal(dicom_document_parse(&d, bytes, tree_explicit, DICOM_PIXEL_DATA, MEMORY_MAX), OK);
    struct dicom_data_set *root = dicom_document_root(&d);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(dicom_data_set_put(root, cases[i].tag, DICOM_VR_UN, view_of("x")), ERR_USAGE);
        assert_string_equal(d.why, cases[i].why);
        assert_int_equal(d.tag, cases[i].tag);
        assert_int_equal(dicom_data_set_put_sequence(root, cases[i].tag, &e), ERR_USAGE);
        assert_null(e);
    }
    assert_int_equal(dicom_data_set_put(root, REFERENCED, DICOM_VR_SQ, view_of("")), ERR_USAGE);
    struct view long_one = {o.data, UINT32_MAX};
    assert_int_equal(dicom_data_set_put(root, PATIENT_ID, DICOM_VR_UT, long_one), ERR_LIMIT);
    assert_false(dicom_document_is_changed(&d));
    /* in an item there is no pixel data ahead */
    assert_int_equal(dicom_data_set_put_sequence(root, REFERENCED, &e), OK);
    put(insert(e, 0), DICOM_PIXEL_DATA, DICOM_VR_OW, "px");
    dicom_element_remove(e);
    octets_append(&expected, o.data, o.len);
    finish(&d, &o, &expected);
}

static void made_sequences_have_lengths(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct dicom_encoding encoding = *encodings[i];
        struct octets o = {0}, expected = {0};
        struct dicom_document d;
        struct dicom_element *outer, *inner;
        struct dicom_data_set *root = parse(&d, &o, encoding);
        assert_int_equal(dicom_data_set_put_sequence(root, REFERENCED, &outer), OK);
        struct dicom_data_set *second = insert(outer, 0);
        struct dicom_data_set *first = insert(outer, 0);
        put(second, MODALITY, DICOM_VR_CS, "MR");
        assert_int_equal(dicom_data_set_put_sequence(first, REFERENCED, &inner), OK);
        (void)insert(inner, 0);
        assert_ptr_equal(item_of(root, REFERENCED, 1), second);
        size_t head = encoding.is_explicit ? 12 : 8;
        tree_head(&expected, encoding, REFERENCED, "SQ", (uint32_t)(8 + head + 8 + 8 + 10));
        tree_head(&expected, encoding, DICOM_ITEM, "", (uint32_t)(head + 8));
        tree_head(&expected, encoding, REFERENCED, "SQ", 8);
        tree_head(&expected, encoding, DICOM_ITEM, "", 0);
        tree_head(&expected, encoding, DICOM_ITEM, "", 10);
        tree_text(&expected, encoding, MODALITY, "CS", "MR");
        finish(&d, &o, &expected);
    }
}

/* Delimiters stay as they came, with their lengths that should be 0; so do the reserved bytes of the head. */
static void sequences_that_came_keep_their_manner(void **state)
{
    (void)state;
    struct octets o = {0}, expected = {0};
    struct dicom_document d;
    for (int is_new = 0; is_new < 2; is_new++) {
        struct octets *to = is_new ? &expected : &o;
        uint32_t grown = is_new ? 2 : 0;
        tree_head(to, tree_explicit, REFERENCED, "SQ", UNDEFINED);
        tree_head(to, tree_explicit, DICOM_ITEM, "", UNDEFINED);
        tree_head(to, tree_explicit, REFERENCED, "SQ", 18 + grown);
        to->data[to->len - 6] = 7; /* reserved */
        tree_head(to, tree_explicit, DICOM_ITEM, "", 10 + grown);
        tree_text(to, tree_explicit, MODALITY, "CS", is_new ? "LONG" : "CT");
        tree_head(to, tree_explicit, DICOM_ITEM_DELIMITATION, "", 1);
        tree_head(to, tree_explicit, DICOM_ITEM, "", 9);
        tree_text(to, tree_explicit, PATIENT_ID, "LO", "x"); /* odd, and nobody touches it */
        tree_head(to, tree_explicit, DICOM_SEQUENCE_DELIMITATION, "", 2);
    }
    struct dicom_data_set *root = parse(&d, &o, tree_explicit);
    put(item_of(item_of(root, REFERENCED, 0), REFERENCED, 0), MODALITY, DICOM_VR_CS, "LONG");
    finish(&d, &o, &expected);
}

static void un_that_holds_items_stays_un_and_implicit(void **state)
{
    (void)state;
    struct octets o = {0}, expected = {0};
    struct dicom_document d;
    enum { PRIVATE = DICOM_TAG(0x0029, 0x1010) };
    for (int is_new = 0; is_new < 2; is_new++) {
        struct octets *to = is_new ? &expected : &o;
        tree_head(to, tree_big_endian, PRIVATE, "UN", UNDEFINED);
        tree_head(to, tree_implicit, DICOM_ITEM, "", is_new ? 10 : 0);
        if (is_new)
            tree_text(to, tree_implicit, MODALITY, "", "MR");
        if (is_new)
            tree_head(to, tree_implicit, DICOM_ITEM, "", 0);
        tree_head(to, tree_implicit, DICOM_SEQUENCE_DELIMITATION, "", 0);
        tree_head(to, tree_big_endian, REFERENCED, "UN", is_new ? 18 : 0); /* the dictionary says SQ */
        if (is_new)
            tree_head(to, tree_implicit, DICOM_ITEM, "", 10);
        if (is_new)
            tree_text(to, tree_implicit, MODALITY, "", "US");
    }
    struct dicom_data_set *root = parse(&d, &o, tree_big_endian);
    put(item_of(root, PRIVATE, 0), MODALITY, DICOM_VR_CS, "MR");
    (void)insert(dicom_data_set_find(root, PRIVATE), 1);
    put(insert(dicom_data_set_find(root, REFERENCED), 0), MODALITY, DICOM_VR_CS, "US");
    finish(&d, &o, &expected);
}

static void items_are_removed_and_others_stay_whole(void **state)
{
    (void)state;
    struct octets o = {0}, expected = {0};
    struct dicom_document d;
    tree_head(&o, tree_explicit, REFERENCED, "SQ", 3 * 18);
    tree_head(&expected, tree_explicit, REFERENCED, "SQ", 2 * 18);
    for (int i = 0; i < 3; i++)
        for (int is_new = 0; is_new < (i == 1 ? 1 : 2); is_new++) {
            tree_head(is_new ? &expected : &o, tree_explicit, DICOM_ITEM, "", 10);
            tree_text(is_new ? &expected : &o, tree_explicit, MODALITY, "CS", i == 2 ? "CT" : "MR");
        }
    struct dicom_data_set *root = parse(&d, &o, tree_explicit);
    struct dicom_element *e = dicom_data_set_first(root);
    struct dicom_data_set *gone = item_of(root, REFERENCED, 1), *none;
    size_t count;
    assert_int_equal(dicom_element_remove_item(e, 3), ERR_USAGE);
    assert_int_equal(dicom_element_insert_item(e, 4, &none), ERR_USAGE);
    assert_false(dicom_document_is_changed(&d));
    assert_int_equal(dicom_element_remove_item(e, 1), OK);
    put(gone, MODALITY, DICOM_VR_CS, "nobody sees"); /* whoever still has it may go on */
    assert_int_equal(dicom_element_items(e, &count), OK);
    assert_int_equal(count, 2);
    finish(&d, &o, &expected);
}

static void values_and_sequences_take_each_others_place(void **state)
{
    (void)state;
    struct octets o = {0}, expected = {0};
    struct dicom_document d;
    struct dicom_element *e;
    tree_head(&o, tree_explicit, REFERENCED, "SQ", UNDEFINED);
    tree_head(&o, tree_explicit, DICOM_ITEM, "", 0);
    tree_head(&o, tree_explicit, DICOM_SEQUENCE_DELIMITATION, "", 0);
    tree_text(&o, tree_explicit, PATIENT_ID, "LO", "4711");
    struct dicom_data_set *root = parse(&d, &o, tree_explicit);
    struct dicom_data_set *old = item_of(root, REFERENCED, 0);
    put(root, REFERENCED, DICOM_VR_LO, "text");
    put(old, PATIENT_ID, DICOM_VR_LO, "nobody sees");
    assert_int_equal(dicom_data_set_put_sequence(root, PATIENT_ID, &e), OK);
    assert_int_equal(dicom_element_vr(e), DICOM_VR_SQ);
    assert_int_equal(dicom_element_raw(e).len, 0);
    tree_text(&expected, tree_explicit, REFERENCED, "LO", "text");
    tree_text(&expected, tree_explicit, PATIENT_ID, "SQ", "");
    finish(&d, &o, &expected);
}

static struct dicom_data_set *build_aside(struct dicom_data_set *root, struct dicom_element **aside)
{
    assert_int_equal(dicom_data_set_sequence_aside(root, REFERENCED, aside), OK);
    struct dicom_data_set *item = insert(*aside, 0);
    put(item, PATIENT_ID, DICOM_VR_LO, "new ");
    put(item, PATIENT_ID, DICOM_VR_LO, "newer ");
    assert_true(dicom_data_set_is_aside(item));
    assert_int_equal(dicom_data_set_depth(item), 1);
    return item;
}

static void what_is_built_aside_is_not_there_until_it_is_put(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct octets o = {0}, expected = {0};
        struct dicom_document d;
        struct dicom_element *aside;
        tree_head(&o, *encodings[i], REFERENCED, "SQ", 18);
        tree_head(&o, *encodings[i], DICOM_ITEM, "", 10);
        tree_text(&o, *encodings[i], PATIENT_ID, "LO", "ab");
        struct dicom_data_set *root = parse(&d, &o, *encodings[i]);
        struct dicom_element *e = dicom_data_set_find(root, REFERENCED);
        struct dicom_data_set *old = item_of(root, REFERENCED, 0);
        struct dicom_data_set *item = build_aside(root, &aside);
        put(insert(aside, 1), PATIENT_ID, DICOM_VR_LO, "cd");
        assert_false(dicom_document_is_changed(&d));
        assert_ptr_equal(item_of(root, REFERENCED, 0), old);

        assert_int_equal(dicom_data_set_put_aside(aside), OK);
        assert_true(dicom_document_is_changed(&d));
        assert_ptr_equal(dicom_data_set_find(root, REFERENCED), e); /* who holds it sees the new items */
        assert_ptr_equal(item_of(root, REFERENCED, 0), item);
        assert_ptr_equal(dicom_data_set_sequence(item), e);
        assert_false(dicom_data_set_is_aside(item));
        put(item, PATIENT_NAME, DICOM_VR_PN, "late");
        tree_head(&expected, *encodings[i], REFERENCED, "SQ", 8 + 12 + 14 + 18);
        tree_head(&expected, *encodings[i], DICOM_ITEM, "", 12 + 14);
        tree_text(&expected, *encodings[i], PATIENT_NAME, "PN", "late");
        tree_text(&expected, *encodings[i], PATIENT_ID, "LO", "newer ");
        tree_head(&expected, *encodings[i], DICOM_ITEM, "", 10);
        tree_text(&expected, *encodings[i], PATIENT_ID, "LO", "cd");
        finish(&d, &o, &expected);
    }
}

/* In place of one that came, and behind the last; the others stay as they came. */
static void an_item_that_was_built_aside_takes_a_place(void **state)
{
    (void)state;
    struct octets o = {0}, expected = {0};
    struct dicom_document d;
    struct dicom_element *aside;
    struct dicom_data_set *item;
    tree_head(&o, tree_explicit, REFERENCED, "SQ", UNDEFINED);
    for (size_t i = 0; i < 3; i++) {
        tree_head(&o, tree_explicit, DICOM_ITEM, "", 10);
        tree_text(&o, tree_explicit, PATIENT_ID, "LO", "ab");
    }
    tree_head(&o, tree_explicit, DICOM_SEQUENCE_DELIMITATION, "", 0);
    struct dicom_data_set *root = parse(&d, &o, tree_explicit);
    struct dicom_element *e = dicom_data_set_find(root, REFERENCED);
    struct dicom_data_set *old = item_of(root, REFERENCED, 1);
    for (size_t i = 1; i <= 3; i += 2) {
        assert_int_equal(dicom_element_item_aside(e, &aside, &item), OK);
        put(item, PATIENT_ID, DICOM_VR_LO, "cd");
        assert_int_equal(dicom_document_is_changed(&d), i > 1);
        assert_int_equal(dicom_element_put_item(e, i, aside), OK);
        assert_ptr_equal(item_of(root, REFERENCED, i), item);
    }
    assert_int_equal(dicom_element_place_behind(e, old, 2), 1); /* a walk goes on with the new one */
    assert_int_equal(dicom_element_put_item(e, 5, aside), ERR_USAGE);
    tree_head(&expected, tree_explicit, REFERENCED, "SQ", UNDEFINED);
    for (size_t i = 0; i < 4; i++) {
        tree_head(&expected, tree_explicit, DICOM_ITEM, "", 10);
        tree_text(&expected, tree_explicit, PATIENT_ID, "LO", i % 2 ? "cd" : "ab");
    }
    tree_head(&expected, tree_explicit, DICOM_SEQUENCE_DELIMITATION, "", 0);
    finish(&d, &o, &expected);
}

static void a_level_may_change_while_somebody_goes_through_it(void **state)
{
    (void)state;
    for (unsigned n = 4; n <= 64; n += 60) {
        struct octets o = {0}, expected = {0};
        struct dicom_document d;
        for (unsigned i = 0; i < n; i++)
            tree_text(&o, tree_explicit, DICOM_TAG(0x0018, 0x1000 + 2 * i), "LO", "ab");
        struct dicom_data_set *root = parse(&d, &o, tree_explicit);
        unsigned seen = 0;
        for (struct dicom_element *e = dicom_data_set_first(root); e; e = dicom_element_next(e)) {
            seen++;
            if (e->tag % 2 == 1)
                continue;
            put(root, e->tag + 1, DICOM_VR_LO, "cd"); /* behind: will be seen */
            put(root, e->tag - 0x800, DICOM_VR_LO, "ef");
            dicom_element_remove(e);
            assert_memory_equal(e->value.at, "ab", 2);
        }
        assert_int_equal(seen, 2 * n);
        for (unsigned i = 0; i < n; i++)
            tree_text(&expected, tree_explicit, DICOM_TAG(0x0018, 0x800 + 2 * i), "LO", "ef");
        for (unsigned i = 0; i < n; i++)
            tree_text(&expected, tree_explicit, DICOM_TAG(0x0018, 0x1001 + 2 * i), "LO", "cd");
        finish(&d, &o, &expected);
    }
}

static void new_elements_follow_the_next_lower_tag_where_order_is_bad(void **state)
{
    (void)state;
    for (unsigned more = 0; more <= 20; more += 20) {
        struct octets o = {0}, expected = {0};
        struct dicom_document d;
        for (int is_new = 0; is_new < 2; is_new++) {
            struct octets *to = is_new ? &expected : &o;
            if (is_new)
                tree_text(to, tree_explicit, DICOM_TAG(0x0008, 0x0005), "CS", "aa");
            tree_text(to, tree_explicit, PATIENT_NAME, "PN", "ab");
            if (is_new)
                tree_text(to, tree_explicit, PATIENT_ID, "LO", "cd");
            tree_text(to, tree_explicit, MODALITY, "CS", "CT");
            for (unsigned i = 0; i < more; i++)
                tree_text(to, tree_explicit, DICOM_TAG(0x0018, 0x2000 - i), "LO", "");
        }
        struct dicom_data_set *root = parse(&d, &o, tree_explicit);
        put(root, PATIENT_ID, DICOM_VR_LO, "cd");
        put(root, DICOM_SPECIFIC_CHARACTER_SET, DICOM_VR_CS, "aa");
        finish(&d, &o, &expected);
    }
}

static void elements_beside_such_without_vr_have_none_either(void **state)
{
    (void)state;
    struct octets o = {0}, expected = {0};
    struct dicom_document d;
    tree_text(&o, tree_implicit, DICOM_SPECIFIC_CHARACTER_SET, "", ""); /* as if letters were not filled in */
    tree_text(&o, tree_implicit, MODALITY, "", "CT");
    tree_text(&o, tree_implicit, PATIENT_NAME, "", "");
    struct dicom_data_set *root = parse(&d, &o, tree_explicit);
    put(root, MODALITY, DICOM_VR_CS, "MR");
    put(root, PATIENT_NAME, DICOM_VR_PN, "A^B");
    put(root, PATIENT_ID, DICOM_VR_LO, "4711");
    tree_text(&expected, tree_implicit, DICOM_SPECIFIC_CHARACTER_SET, "", "");
    tree_text(&expected, tree_implicit, MODALITY, "", "MR");
    tree_text(&expected, tree_implicit, PATIENT_NAME, "", "A^B ");
    tree_text(&expected, tree_implicit, PATIENT_ID, "", "4711");
    finish(&d, &o, &expected);
}

/* There a length of 8224 would read as two spaces. */
static void a_length_that_reads_as_letters_gets_a_vr(void **state)
{
    (void)state;
    struct octets o = {0}, expected = {0};
    struct dicom_document d;
    static char text[0x2020 + 1];
    memset(text, 'x', 0x2020);
    tree_text(&o, tree_implicit, MODALITY, "", "CT");
    struct dicom_data_set *root = parse(&d, &o, tree_explicit);
    put(root, PATIENT_ID, DICOM_VR_LO, text);
    tree_text(&expected, tree_implicit, MODALITY, "", "CT");
    tree_text(&expected, tree_explicit, PATIENT_ID, "LO", text);
    finish(&d, &o, &expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_padded_and_stand_in_their_place),
        cmocka_unit_test(what_is_there_already_is_no_change),
        cmocka_unit_test(a_put_element_is_there_once),
        cmocka_unit_test(removal_takes_all_of_a_tag_and_it_may_come_back),
        cmocka_unit_test(values_too_long_for_their_vr_become_un),
        cmocka_unit_test(what_cannot_stand_in_a_data_set_is_refused),
        cmocka_unit_test(made_sequences_have_lengths),
        cmocka_unit_test(sequences_that_came_keep_their_manner),
        cmocka_unit_test(un_that_holds_items_stays_un_and_implicit),
        cmocka_unit_test(items_are_removed_and_others_stay_whole),
        cmocka_unit_test(values_and_sequences_take_each_others_place),
        cmocka_unit_test(what_is_built_aside_is_not_there_until_it_is_put),
        cmocka_unit_test(an_item_that_was_built_aside_takes_a_place),
        cmocka_unit_test(a_level_may_change_while_somebody_goes_through_it),
        cmocka_unit_test(new_elements_follow_the_next_lower_tag_where_order_is_bad),
        cmocka_unit_test(elements_beside_such_without_vr_have_none_either),
        cmocka_unit_test(a_length_that_reads_as_letters_gets_a_vr),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
