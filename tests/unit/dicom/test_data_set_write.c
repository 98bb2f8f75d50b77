/* What is written besides what was changed: lengths of groups, and what a change makes untrue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dicom/data_set.h"
#include "dicom/tag.h"
#include "tree.h"

enum {
    LENGTH_TO_END = DICOM_TAG(0x0008, 0x0001),
    MODALITY = DICOM_TAG(0x0008, 0x0060),
    REFERENCED = DICOM_TAG(0x0008, 0x1140), /* SQ */
    PATIENT_ID = DICOM_TAG(0x0010, 0x0020),
    EXTENDED_OFFSETS = DICOM_TAG(0x7FE0, 0x0001), /* stands before pixel data */
    MEMORY_MAX = 1 << 24
};
#define UNDEFINED DICOM_UNDEFINED_LENGTH

static const struct dicom_encoding *const encodings[] = {&tree_explicit, &tree_big_endian, &tree_implicit};

static struct dicom_data_set *parse_before(struct dicom_document *d, const struct octets *o,
                                           struct dicom_encoding encoding, uint32_t behind)
{
    enum result r = dicom_document_parse(d, (struct view){o->data, o->len}, encoding, behind, MEMORY_MAX);
    assert_int_equal(r, OK);
    return dicom_document_root(d);
}

static void assert_writes(struct dicom_document *d, const struct octets *expected)
{
    struct octets out = {0};
    assert_int_equal(dicom_document_write(d, &out), OK);
    assert_int_equal(out.len, expected->len);
    if (out.len > 0)
        assert_memory_equal(out.data, expected->data, out.len);
    octets_free(&out);
}

static void finish(struct dicom_document *d, struct octets *o, struct octets *expected)
{
    assert_writes(d, expected);
    octets_free(expected);
    octets_free(o);
    dicom_document_free(d);
}

static void group_length(struct octets *o, struct dicom_encoding encoding, uint16_t group, uint32_t length)
{
    uint8_t bytes[4];
    if (encoding.is_big_endian)
        put_be32(bytes, length);
    else
        put_le32(bytes, length);
    tree_element(o, encoding, DICOM_TAG(group, 0), "UL", bytes, 4);
}

static void put(struct dicom_data_set *ds, uint32_t tag, enum dicom_vr vr, const char *text)
{
    assert_int_equal(dicom_data_set_put(ds, tag, vr, view_of(text)), OK);
}

static struct dicom_data_set *item_of(struct dicom_data_set *ds, uint32_t tag, size_t i)
{
    struct dicom_data_set *item;
    assert_int_equal(dicom_element_item(dicom_data_set_find(ds, tag), i, &item), OK);
    return item;
}

static void group_lengths_are_made_right_where_they_were(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct dicom_encoding encoding = *encodings[i];
        struct octets o = {0}, expected = {0};
        struct dicom_document d;
        for (int is_new = 0; is_new < 2; is_new++) {
            struct octets *to = is_new ? &expected : &o;
            group_length(to, encoding, 0x0008, is_new ? 22 : 10);
            tree_text(to, encoding, MODALITY, "CS", "CT");
            if (is_new)
                tree_text(to, encoding, DICOM_TAG(0x0008, 0x0070), "LO", "ACME");
            tree_text(to, encoding, PATIENT_ID, "LO", "no length here");
            if (!is_new)
                group_length(to, encoding, 0x0018, 8); /* its group goes, and it too */
            if (!is_new)
                tree_text(to, encoding, DICOM_TAG(0x0018, 0x0015), "CS", "");
            group_length(to, encoding, 0x0020, 8); /* right already */
            tree_text(to, encoding, DICOM_TAG(0x0020, 0x0013), "IS", "");
            group_length(to, encoding, 0x0028, 0);                 /* empty as it came */
            group_length(to, encoding, 0x0040, is_new ? 8 : 4711); /* wrong as it came */
            tree_text(to, encoding, DICOM_TAG(0x0040, 0x0002), "DA", "");
        }
        struct dicom_data_set *root = parse_before(&d, &o, encoding, 0);
        put(root, DICOM_TAG(0x0008, 0x0070), DICOM_VR_LO, "ACME");
        assert_true(dicom_data_set_remove(root, DICOM_TAG(0x0018, 0x0015)));
        assert_writes(&d, &expected); /* and a second time */
        finish(&d, &o, &expected);
    }
}

static void a_group_length_follows_each_change(void **state)
{
    (void)state;
    struct octets o = {0}, expected = {0};
    struct dicom_document d;
    group_length(&o, tree_explicit, 0x0008, 10);
    tree_text(&o, tree_explicit, MODALITY, "CS", "CT");
    octets_append(&expected, o.data, o.len);
    expected.data[8] = 18;
    tree_text(&expected, tree_explicit, DICOM_TAG(0x0008, 0x0070), "LO", "");
    struct dicom_data_set *root = parse_before(&d, &o, tree_explicit, 0);
    put(root, DICOM_TAG(0x0008, 0x0070), DICOM_VR_LO, "");
    assert_writes(&d, &expected);
    assert_true(dicom_data_set_remove(root, DICOM_TAG(0x0008, 0x0070)));
    octets_free(&expected);
    octets_append(&expected, o.data, o.len);
    finish(&d, &o, &expected);
}

static void lengths_over_what_is_not_here_are_dropped(void **state)
{
    (void)state;
    const uint32_t behind[] = {0, DICOM_PIXEL_DATA};
    for (size_t i = 0; i < 2; i++) {
        struct octets o = {0}, expected = {0};
        struct dicom_document d;
        group_length(&o, tree_explicit, 0x0008, 12 + 10);
        tree_element(&o, tree_explicit, LENGTH_TO_END, "UL", "\1\2\3\4", 4);
        tree_text(&o, tree_explicit, MODALITY, "CS", "CT");
        group_length(&o, tree_explicit, 0x7FE0, 100000);
        tree_text(&o, tree_explicit, EXTENDED_OFFSETS, "OV", "");
        struct dicom_data_set *root = parse_before(&d, &o, tree_explicit, behind[i]);
        assert_writes(&d, &o); /* unchanged all is kept */
        put(root, MODALITY, DICOM_VR_CS, "MR");
        group_length(&expected, tree_explicit, 0x0008, 10);
        tree_text(&expected, tree_explicit, MODALITY, "CS", "MR");
        if (!behind[i]) /* all of it is here */
            group_length(&expected, tree_explicit, 0x7FE0, 12);
        tree_text(&expected, tree_explicit, EXTENDED_OFFSETS, "OV", "");
        finish(&d, &o, &expected);
    }
}

/* A signature at the root, in the item that changes, and in one beside it that does not. */
static void signatures_over_what_changed_are_dropped(void **state)
{
    (void)state;
    struct octets o = {0}, expected = {0};
    struct dicom_document d;
    for (int is_new = 0; is_new < 2; is_new++) {
        struct octets *to = is_new ? &expected : &o;
        uint32_t kept = 10 + 12 + 12, changed = is_new ? 10 : kept;
        tree_head(to, tree_explicit, REFERENCED, "SQ", 8 + kept + 8 + changed);
        for (int item = 0; item < 2; item++) {
            bool is_changed = is_new && item == 1;
            tree_head(to, tree_explicit, DICOM_ITEM, "", is_changed ? changed : kept);
            tree_text(to, tree_explicit, MODALITY, "CS", is_changed ? "MR" : "CT");
            if (!is_changed)
                tree_text(to, tree_explicit, DICOM_MAC_PARAMETERS, "SQ", "");
            if (!is_changed)
                tree_text(to, tree_explicit, DICOM_DIGITAL_SIGNATURES, "SQ", "");
        }
        if (!is_new)
            group_length(to, tree_explicit, 0x4FFE, 12);
        if (!is_new)
            tree_text(to, tree_explicit, DICOM_MAC_PARAMETERS, "SQ", "");
        if (!is_new)
            tree_text(to, tree_explicit, DICOM_DIGITAL_SIGNATURES, "SQ", "");
    }
    struct dicom_data_set *root = parse_before(&d, &o, tree_explicit, 0);
    (void)item_of(root, REFERENCED, 0); /* looking is no change */
    assert_writes(&d, &o);
    put(item_of(root, REFERENCED, 1), MODALITY, DICOM_VR_CS, "MR");
    finish(&d, &o, &expected);
}

static void no_memory_to_write_into_is_said(void **state)
{
    (void)state;
    struct dicom_document d;
    struct octets out = {.failed = true};
    const struct octets nothing = {0};
    put(parse_before(&d, &nothing, tree_explicit, 0), MODALITY, DICOM_VR_CS, "MR");
    assert_int_equal(dicom_document_write(&d, &out), ERR_MEMORY);
    dicom_document_free(&d);
}

static struct view acme = {(const uint8_t *)"ACME 1.1", 8};

static void private_elements_are_found_by_their_creator(void **state)
{
    (void)state;
    struct octets o = {0};
    struct dicom_document d;
    tree_text(&o, tree_explicit, DICOM_TAG(0x0029, 0x0010), "LO", "OTHER ");
    tree_text(&o, tree_explicit, DICOM_TAG(0x0029, 0x0011), "LO", "ACME 1.1  ");
    tree_text(&o, tree_explicit, DICOM_TAG(0x0029, 0x0012), "LO", "ACME 1.1");
    tree_text(&o, tree_explicit, DICOM_TAG(0x0029, 0x1001), "LO", "not this");
    tree_text(&o, tree_explicit, DICOM_TAG(0x0029, 0x1101), "LO", "this");
    tree_text(&o, tree_explicit, DICOM_TAG(0x0029, 0x1202), "LO", "in the second block");
    tree_head(&o, tree_explicit, DICOM_TAG(0x0040, 0x0275), "SQ", UNDEFINED);
    tree_head(&o, tree_explicit, DICOM_ITEM, "", UNDEFINED);
    tree_text(&o, tree_explicit, DICOM_TAG(0x0029, 0x1101), "LO", "nobody's");
    tree_head(&o, tree_explicit, DICOM_ITEM_DELIMITATION, "", 0);
    tree_head(&o, tree_explicit, DICOM_SEQUENCE_DELIMITATION, "", 0);
    struct dicom_data_set *root = parse_before(&d, &o, tree_explicit, 0);
    struct dicom_element *e = dicom_data_set_find_private(root, 0x0029, acme, 0x01);
    assert_non_null(e);
    assert_int_equal(e->tag, DICOM_TAG(0x0029, 0x1101));
    e = dicom_data_set_find_private(root, 0x0029, acme, 0x02);
    assert_non_null(e);
    assert_int_equal(e->tag, DICOM_TAG(0x0029, 0x1202));
    assert_null(dicom_data_set_find_private(root, 0x0029, acme, 0x03));
    assert_null(dicom_data_set_find_private(root, 0x0031, acme, 0x01));
    assert_null(dicom_data_set_find_private(root, 0x0028, acme, 0x01));
    assert_null(dicom_data_set_find_private(root, 0x0029, view_of(" "), 0x01));
    struct dicom_data_set *item = item_of(root, DICOM_TAG(0x0040, 0x0275), 0);
    assert_null(dicom_data_set_find_private(item, 0x0029, acme, 0x01));
    assert_int_equal(dicom_data_set_remove_private(item), 1);
    assert_int_equal(dicom_data_set_remove_private(root), 6);
    assert_int_equal(dicom_data_set_count(root), 1);
    assert_int_equal(dicom_data_set_remove_private(root), 0);
    octets_free(&o);
    dicom_document_free(&d);
}

static void private_elements_are_put_with_their_creator(void **state)
{
    (void)state;
    struct octets o = {0}, expected = {0};
    struct dicom_document d;
    tree_text(&o, tree_explicit, DICOM_TAG(0x0029, 0x0010), "LO", "OTHER ");
    tree_text(&o, tree_explicit, DICOM_TAG(0x0029, 0x1101), "LO", "nobody's");
    struct dicom_data_set *root = parse_before(&d, &o, tree_explicit, 0);
    assert_int_equal(dicom_data_set_put_private(root, 0x0029, acme, 0x20, DICOM_VR_LO, view_of("ab")), OK);
    assert_int_equal(dicom_data_set_put_private(root, 0x0029, acme, 0x21, DICOM_VR_LO, view_of("cd")), OK);
    assert_int_equal(dicom_data_set_put_private(root, 0x0029, acme, 0x21, DICOM_VR_LO, view_of("ef")), OK);
    tree_text(&expected, tree_explicit, DICOM_TAG(0x0029, 0x0010), "LO", "OTHER ");
    tree_text(&expected, tree_explicit, DICOM_TAG(0x0029, 0x0012), "LO", "ACME 1.1");
    tree_text(&expected, tree_explicit, DICOM_TAG(0x0029, 0x1101), "LO", "nobody's");
    tree_text(&expected, tree_explicit, DICOM_TAG(0x0029, 0x1220), "LO", "ab");
    tree_text(&expected, tree_explicit, DICOM_TAG(0x0029, 0x1221), "LO", "ef");
    finish(&d, &o, &expected);
}

static void private_elements_that_cannot_be_put_leave_nothing(void **state)
{
    (void)state;
    struct octets o = {0};
    struct dicom_document d;
    struct dicom_data_set *root = parse_before(&d, &o, tree_explicit, DICOM_PIXEL_DATA);
    const struct view value = view_of("ab");
    assert_int_equal(dicom_data_set_put_private(root, 0x0028, acme, 1, DICOM_VR_LO, value), ERR_USAGE);
    assert_int_equal(dicom_data_set_put_private(root, 0x0007, acme, 1, DICOM_VR_LO, value), ERR_USAGE);
    assert_int_equal(dicom_data_set_put_private(root, 0x7FE1, acme, 1, DICOM_VR_LO, value), ERR_USAGE);
    assert_int_equal(dicom_data_set_put_private(root, 0x0029, view_of(""), 1, DICOM_VR_LO, value), ERR_USAGE);
    assert_int_equal(dicom_data_set_put_private(root, 0x0029, view_of("a\\b"), 1, DICOM_VR_LO, value),
                     ERR_USAGE);
    assert_int_equal(dicom_data_set_put_private(root, 0x0029, view_of("\xC4"), 1, DICOM_VR_LO, value),
                     ERR_USAGE);
    assert_int_equal(dicom_data_set_put_private(root, 0x0029, view_of("a\nb"), 1, DICOM_VR_LO, value),
                     ERR_USAGE);
    assert_string_equal(d.why, "a private creator is made of ASCII characters only");
    assert_int_equal(dicom_data_set_put_private(root, 0x0029, acme, 1, DICOM_VR_SQ, value), ERR_USAGE);
    assert_false(dicom_document_is_changed(&d));
    assert_int_equal(dicom_data_set_count(root), 0);
    for (unsigned block = 0x10; block <= 0xFF; block++) {
        char name[8] = {'a', (char)('a' + block % 16), (char)('a' + block / 16)};
        assert_int_equal(dicom_data_set_put_private(root, 0x0029, view_of(name), 0, DICOM_VR_LO, value), OK);
        assert_non_null(dicom_data_set_find(root, DICOM_TAG(0x0029, block << 8)));
    }
    assert_int_equal(dicom_data_set_put_private(root, 0x0029, acme, 1, DICOM_VR_LO, value), ERR_USAGE);
    assert_string_equal(d.why, "all private blocks of its group are taken");
    dicom_document_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(group_lengths_are_made_right_where_they_were),
        cmocka_unit_test(a_group_length_follows_each_change),
        cmocka_unit_test(lengths_over_what_is_not_here_are_dropped),
        cmocka_unit_test(signatures_over_what_changed_are_dropped),
        cmocka_unit_test(no_memory_to_write_into_is_said),
        cmocka_unit_test(private_elements_are_found_by_their_creator),
        cmocka_unit_test(private_elements_are_put_with_their_creator),
        cmocka_unit_test(private_elements_that_cannot_be_put_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
