/* What is refused of the data set in Lua, and caught by the rule: the message goes on, so nothing may have changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "../dicom/tree.h"
#include "binding.h"
#include "dicom/reader.h"
#include "dicom/tag.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define UNDEFINED    DICOM_UNDEFINED_LENGTH

enum {
    REFERENCED = DICOM_TAG(0x0008, 0x1140), /* ReferencedImageSequence */
    PATIENT_NAME = DICOM_TAG(0x0010, 0x0010),
    PATIENT_ID = DICOM_TAG(0x0010, 0x0020),
    REQUEST = DICOM_TAG(0x0040, 0x0275), /* RequestAttributesSequence */
    ICON = DICOM_TAG(0x0088, 0x0200)     /* IconImageSequence */
};

static void fill(struct octets *o, struct dicom_encoding e)
{
    uint32_t head = e.is_explicit ? 12 : 8;
    tree_text(o, e, DICOM_TAG(0x0008, 0x0005), "CS", "ISO_IR 100");
    tree_head(o, e, REFERENCED, "SQ", 18 + 18);
    tree_head(o, e, DICOM_ITEM, "", 10);
    tree_text(o, e, PATIENT_ID, "LO", "a1");
    tree_head(o, e, DICOM_ITEM, "", 10);
    tree_text(o, e, PATIENT_ID, "LO", "a2");
    tree_text(o, e, PATIENT_NAME, "PN", "M\xFCller");
    tree_head(o, e, REQUEST, "SQ", 8 + head + 18);
    tree_head(o, e, DICOM_ITEM, "", head + 18);
    tree_head(o, e, REFERENCED, "SQ", 18);
    tree_head(o, e, DICOM_ITEM, "", 10);
    tree_text(o, e, PATIENT_ID, "LO", "in");
}

/* Each is an error, and what is written is what came, byte for byte. */
static void refused(const char *folder, const char *assignment)
{
    char body[1000];
    snprintf(body, sizeof(body),
             "assert(not pcall(function() %s end)) "
             "assert(#ds.ReferencedImageSequence == 2 and ds.PatientName == 'Müller' and "
             "ds.ReferencedImageSequence[2].PatientID == 'a2')",
             assignment);
    bound_everywhere(folder, body, fill, NULL);
    struct bound b = bound_morph(folder, body);
    b.behind = DICOM_PIXEL_DATA;
    fill(&b.in, b.encoding);
    bound_run_ok(&b);
    assert_false(b.is_changed);
    assert_int_equal(b.touched_count, 0); /* nor do copies behind pixel data go */
    bound_close(&b);
}

static void a_refused_sequence_leaves_what_was_there(void **state)
{
    static const char *const assignments[] = {
        "ds.ReferencedImageSequence = { { PatientID = 'ok' }, { PatientID = string.rep('x', 99) } }",
        "ds.ReferencedImageSequence = { { PatientID = 'ok' }, 'no item' }",
        "ds.ReferencedImageSequence = { { NoSuchKeyword = 'x' } }",
        "ds.ReferencedImageSequence = { { ReferencedImageSequence = { { PatientID = 'ok' }, 7 } } }",
        /* one that is not there, and one in an item */
        "ds.ReferencedStudySequence = { { PatientID = 'ok' }, { PatientID = 'a\\nb' } }",
        "ds.RequestAttributesSequence[1].ReferencedImageSequence = { { PatientID = 'ok' }, { Modality = 'ct' "
        "} }",
        /* nor is all text switched to a set that only what was refused needs */
        "ds.ReferencedImageSequence = { { PatientName = 'Ив' }, { PatientID = string.rep('x', 99) } }",
        "ds.ReferencedImageSequence = { { PatientName = '\xFF' } }",
    };
    for (size_t i = 0; i < COUNT(assignments); i++)
        refused(*state, assignments[i]);
}

static void a_refused_item_leaves_the_one_that_was_there(void **state)
{
    static const char *const assignments[] = {
        "ds.ReferencedImageSequence[2] = { PatientID = string.rep('x', 99) }",
        "ds.ReferencedImageSequence[3] = { PatientID = string.rep('x', 99) }",
        "ds.ReferencedImageSequence[1] = { PatientName = 'Ив', Modality = 'ct' }",
        "ds.RequestAttributesSequence[1].ReferencedImageSequence[1] = { ReferencedImageSequence = { 1 } }",
    };
    for (size_t i = 0; i < COUNT(assignments); i++)
        refused(*state, assignments[i]);
}

static void a_refused_private_element_leaves_no_creator(void **state)
{
    static const char *const assignments[] = {
        "ds:private('ACME', 0x29, 0x10, 'x', 'US')",
        "ds:private('ACME', 0x29, 0x10, { { NoSuchKeyword = 1 } }, 'SQ')",
        "ds:private('ACME', 0x7FE1, 0x10, 1)",
        "ds.RequestAttributesSequence[1]:private('ACME', 0x29, 0x10, string.rep('x', 65), 'LO')",
    };
    for (size_t i = 0; i < COUNT(assignments); i++)
        refused(*state, assignments[i]);
}

/* They would be UTF-8 in a data set of another set; those that came can be used. */
static void a_new_creator_is_ascii(void **state)
{
    refused(*state, "ds:private('Ä', 0x29, 0x10, 'x', 'LO')");
    refused(*state, "ds.ReferencedImageSequence[1]:private('A\\tB', 0x29, 0x10, 'x', 'LO')");
    struct bound b = bound_morph(*state, "ds:private('Ä', 0x29, 0x10, 'x', 'LO')");
    fill(&b.in, b.encoding);
    bound_run_fails(&b, "a private creator is made of ASCII characters only");
    bound_close(&b);
    b = bound_morph(*state, "ds:private('\\xC4', 0x29, 0x10, 'x', 'LO') ds:private('Ä', 0x29, 0x10, nil)");
    struct octets expected = {0};
    tree_text(&b.in, b.encoding, DICOM_TAG(0x0029, 0x0010), "LO", "\xC4 ");
    tree_text(&expected, b.encoding, DICOM_TAG(0x0029, 0x0010), "LO", "\xC4 ");
    tree_text(&expected, b.encoding, DICOM_TAG(0x0029, 0x1010), "LO", "x ");
    bound_run_ok(&b);
    bound_wrote(&b, &expected);
    bound_close(&b);
}

static void tree_fragments(struct octets *o, struct dicom_encoding e, uint32_t tag)
{
    tree_head(o, e, tag, "OB", UNDEFINED);
    tree_head(o, e, DICOM_ITEM, "", 0);
    tree_head(o, e, DICOM_ITEM, "", 4);
    octets_append(o, "\xFF\xD8\xFF\xD9", 4);
    tree_head(o, e, DICOM_SEQUENCE_DELIMITATION, "", 0);
}

static void fill_icon(struct octets *o, struct dicom_encoding e)
{
    uint32_t head = e.is_explicit ? 12 : 8;
    tree_head(o, e, ICON, "SQ", 8 + head + 8 + 8 + 4 + 8);
    tree_head(o, e, DICOM_ITEM, "", head + 8 + 8 + 4 + 8);
    tree_fragments(o, e, DICOM_PIXEL_DATA);
}

static void fill_icon_twice(struct octets *o, struct dicom_encoding e)
{
    tree_head(o, e, ICON, "SQ", UNDEFINED);
    tree_head(o, e, DICOM_ITEM, "", UNDEFINED);
    tree_fragments(o, e, DICOM_PIXEL_DATA);
    tree_fragments(o, e, DICOM_PIXEL_DATA);
    tree_head(o, e, DICOM_ITEM_DELIMITATION, "", 0);
    tree_head(o, e, DICOM_SEQUENCE_DELIMITATION, "", 0);
}

static void expect_icon_once(struct octets *o, struct dicom_encoding e)
{
    tree_head(o, e, ICON, "SQ", UNDEFINED);
    tree_head(o, e, DICOM_ITEM, "", UNDEFINED);
    tree_fragments(o, e, DICOM_PIXEL_DATA);
    tree_head(o, e, DICOM_ITEM_DELIMITATION, "", 0);
    tree_head(o, e, DICOM_SEQUENCE_DELIMITATION, "", 0);
}

static void expect_native_icon(struct octets *o, struct dicom_encoding e)
{
    uint32_t head = e.is_explicit ? 12 : 8;
    tree_head(o, e, ICON, "SQ", 8 + head + 2);
    tree_head(o, e, DICOM_ITEM, "", head + 2);
    tree_element(o, e, DICOM_PIXEL_DATA, "OB", "ab", 2);
}

/* Written as a value their item headers would be pixels. */
static void fragments_can_be_written_back_and_removed_only(void **state)
{
    bound_everywhere(*state,
                     "local icon = ds.IconImageSequence[1] assert(#icon.PixelData == 20) "
                     "for e in icon:elements() do e.value = e.value end icon.PixelData = icon.PixelData",
                     fill_icon, NULL);
    bound_everywhere(*state,
                     "local icon = ds.IconImageSequence[1] for _, v in ipairs { 'ab', '', icon.PixelData .. "
                     "'\\0', 5, { 1 } } do local ok, why = pcall(function() icon.PixelData = v end) "
                     "assert(not ok and why:find('PixelData (7FE0,0010): it is encapsulated', 1, true)) end",
                     fill_icon, NULL);
    bound_everywhere(*state, "local icon = ds.IconImageSequence[1] icon.PixelData = icon.PixelData",
                     fill_icon_twice, expect_icon_once);
    bound_everywhere(*state,
                     "local icon = ds.IconImageSequence[1] icon.PixelData = nil icon.PixelData = 'ab'",
                     fill_icon, expect_native_icon);
}

static void fill_latin(struct octets *o, struct dicom_encoding e)
{
    tree_text(o, e, DICOM_TAG(0x0008, 0x0005), "CS", "ISO_IR 100");
    tree_text(o, e, PATIENT_NAME, "PN", "M\xFCller");
}

static void expect_latin(struct octets *o, struct dicom_encoding e)
{
    tree_text(o, e, DICOM_TAG(0x0008, 0x0005), "CS", "ISO_IR 100");
    tree_head(o, e, REFERENCED, "SQ", 18 + 18);
    tree_head(o, e, DICOM_ITEM, "", 10);
    tree_text(o, e, PATIENT_NAME, "PN", "\xE4 ");
    tree_head(o, e, DICOM_ITEM, "", 10);
    tree_text(o, e, PATIENT_NAME, "PN", "\xF6\xF6");
    tree_text(o, e, PATIENT_NAME, "PN", "M\xFCller");
}

static void expect_switched(struct octets *o, struct dicom_encoding e)
{
    tree_text(o, e, DICOM_TAG(0x0008, 0x0005), "CS", "ISO_IR 192");
    tree_head(o, e, REFERENCED, "SQ", 20 + 18);
    tree_head(o, e, DICOM_ITEM, "", 12);
    tree_text(o, e, PATIENT_NAME, "PN", "öö");
    tree_head(o, e, DICOM_ITEM, "", 10);
    tree_text(o, e, PATIENT_NAME, "PN", "И");
    tree_text(o, e, PATIENT_NAME, "PN", "Müller ");
}

/* Of items, too, the set that holds is kept if it can be, and switched with all else if not. */
static void text_of_new_items_is_in_the_set_around_them(void **state)
{
    bound_everywhere(*state,
                     "ds.ReferencedImageSequence = { { PatientName = 'ä' }, { PatientName = 'öö' } } "
                     "assert(ds.ReferencedImageSequence[2].PatientName == 'öö')",
                     fill_latin, expect_latin);
    bound_everywhere(*state,
                     "ds.ReferencedImageSequence = { { PatientName = 'ä' } } "
                     "local s = ds.ReferencedImageSequence s[2] = { PatientName = 'x' } "
                     "s[2] = { PatientName = 'öö' }",
                     fill_latin, expect_latin);
    bound_everywhere(*state, "ds.ReferencedImageSequence = { { PatientName = 'öö' }, { PatientName = 'И' } }",
                     fill_latin, expect_switched);
    bound_everywhere(*state,
                     "ds.ReferencedImageSequence = { { PatientName = 'öö' } } "
                     "ds.ReferencedImageSequence[2] = { PatientName = 'И' }",
                     fill_latin, expect_switched);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_refused_sequence_leaves_what_was_there),
        cmocka_unit_test(a_refused_item_leaves_the_one_that_was_there),
        cmocka_unit_test(a_refused_private_element_leaves_no_creator),
        cmocka_unit_test(a_new_creator_is_ascii),
        cmocka_unit_test(fragments_can_be_written_back_and_removed_only),
        cmocka_unit_test(text_of_new_items_is_in_the_set_around_them),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
