/* Text of a data set in Lua is UTF-8, whatever its character sets are; and rules that change the sets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../dicom/tree.h"
#include "binding.h"
#include "dicom/tag.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    REFERENCED = DICOM_TAG(0x0008, 0x1140), /* ReferencedImageSequence */
    PATIENT_NAME = DICOM_TAG(0x0010, 0x0010),
    PATIENT_ID = DICOM_TAG(0x0010, 0x0020)
};

static void text_is_utf8_in_lua_and_as_it_was_in_the_data_set(void **state)
{
    struct bound b =
        bound_morph(*state, "assert(ds.PatientName == 'Müller^Jörg') ds.PatientName = 'Müller^Jörg' "
                            "ds.PatientID = 'Ä'");
    struct octets expected = {0};
    tree_text(&b.in, b.encoding, DICOM_SPECIFIC_CHARACTER_SET, "CS", "ISO_IR 100");
    tree_text(&b.in, b.encoding, PATIENT_NAME, "PN", "M\xFCller^J\xF6rg");
    tree_text(&expected, b.encoding, DICOM_SPECIFIC_CHARACTER_SET, "CS", "ISO_IR 100");
    tree_text(&expected, b.encoding, PATIENT_NAME, "PN", "M\xFCller^J\xF6rg");
    tree_text(&expected, b.encoding, PATIENT_ID, "LO", "\xC4 ");
    bound_run_ok(&b);
    bound_wrote(&b, &expected);
    bound_close(&b);
}

static void fill_two_sets(struct octets *o, struct dicom_encoding e)
{
    tree_text(o, e, DICOM_SPECIFIC_CHARACTER_SET, "CS", "ISO_IR 100");
    tree_head(o, e, REFERENCED, "SQ", 8 + 18 + 10 + 8 + 10);
    tree_head(o, e, DICOM_ITEM, "", 18 + 10);
    tree_text(o, e, DICOM_SPECIFIC_CHARACTER_SET, "CS", "ISO_IR 144");
    tree_text(o, e, PATIENT_NAME, "PN", "\xB8\xB8");
    tree_head(o, e, DICOM_ITEM, "", 10);
    tree_text(o, e, PATIENT_NAME, "PN", "\xE4\xE4");
    tree_text(o, e, PATIENT_NAME, "PN", "\xFC\xFC");
}

static void expect_two_sets(struct octets *o, struct dicom_encoding e)
{
    tree_text(o, e, DICOM_SPECIFIC_CHARACTER_SET, "CS", "ISO_IR 192");
    tree_head(o, e, REFERENCED, "SQ", 8 + 18 + 12 + 8 + 12);
    tree_head(o, e, DICOM_ITEM, "", 18 + 12);
    tree_text(o, e, DICOM_SPECIFIC_CHARACTER_SET, "CS", "ISO_IR 192");
    tree_text(o, e, PATIENT_NAME, "PN", "ИИ");
    tree_head(o, e, DICOM_ITEM, "", 12);
    tree_text(o, e, PATIENT_NAME, "PN", "ää");
    tree_text(o, e, PATIENT_NAME, "PN", "üü");
}

static void expect_two_sets_and_kanji(struct octets *o, struct dicom_encoding e)
{
    expect_two_sets(o, e);
    tree_text(o, e, PATIENT_ID, "LO", "山 ");
}

static void the_set_is_changed_with_all_text_in_it(void **state)
{
    static const char read[] =
        "assert(ds.PatientName == 'üü' and ds.ReferencedImageSequence[1].PatientName == 'ИИ') "
        "assert(ds.ReferencedImageSequence[2].PatientName == 'ää') ";
    char body[1000];
    snprintf(body, sizeof(body), "%s ds.SpecificCharacterSet = 'ISO_IR 192' %s", read, read);
    bound_everywhere(*state, body, fill_two_sets, expect_two_sets);
    snprintf(body, sizeof(body), "%s ds.PatientID = '山' %s", read, read);
    bound_everywhere(*state, body, fill_two_sets, expect_two_sets_and_kanji);
}

/* Where nothing is left that says what text is in, text that needs it must not stay; and an item's own set stays as it is. */
static void a_set_is_removed_by_its_element_as_by_its_name(void **state)
{
    static const char *const removals[] = {
        "ds.SpecificCharacterSet = nil",
        "for e in ds:elements() do if e.keyword == 'SpecificCharacterSet' then e.value = nil end end",
    };
    static const char in_item[] = "for e in ds.ReferencedImageSequence[1]:elements() do "
                                  "if e.keyword == 'SpecificCharacterSet' then e.value = nil end end";
    for (size_t i = 0; i < COUNT(removals); i++) {
        struct bound b = bound_morph(*state, removals[i]);
        fill_two_sets(&b.in, b.encoding);
        bound_run_fails(&b, "PatientName (0010,0010): the character set asked for cannot hold its text");
        assert_false(b.is_changed);
        octets_clear(&b.in);
        tree_text(&b.in, b.encoding, DICOM_SPECIFIC_CHARACTER_SET, "CS", "ISO_IR 100");
        bound_fill_patient(&b.in, b.encoding);
        struct octets expected = {0};
        bound_fill_patient(&expected, b.encoding);
        bound_run_ok(&b);
        bound_wrote(&b, &expected);
        bound_close(&b);
    }
    struct bound b = bound_morph(*state, in_item);
    fill_two_sets(&b.in, b.encoding);
    bound_run_fails(&b, "SpecificCharacterSet (0008,0005): in an item it cannot be changed");
    bound_close(&b);
}

static void expect_in_utf8(struct octets *o, struct dicom_encoding e)
{
    tree_text(o, e, DICOM_SPECIFIC_CHARACTER_SET, "CS", "ISO_IR 192");
    tree_text(o, e, PATIENT_NAME, "PN", "üü");
}

/* By a writer that took it for something else: it means the same. */
static void a_set_of_another_vr_is_one(void **state)
{
    static const char *const vrs[] = {"OB", "LO", "UN"};
    for (size_t i = 0; i < COUNT(vrs); i++) {
        struct bound b =
            bound_morph(*state, "assert(ds.PatientName == 'üü') ds.SpecificCharacterSet = 'ISO_IR 192'");
        struct octets expected = {0};
        tree_element(&b.in, b.encoding, DICOM_SPECIFIC_CHARACTER_SET, vrs[i], "ISO_IR 100", 10);
        tree_text(&b.in, b.encoding, PATIENT_NAME, "PN", "\xFC\xFC");
        expect_in_utf8(&expected, b.encoding);
        bound_run_ok(&b);
        bound_wrote(&b, &expected);
        bound_close(&b);
    }
}

/* What reads as U+FFFD is not made so. */
static void bytes_without_a_meaning_can_be_written_back(void **state)
{
    struct bound b =
        bound_morph(*state, "assert(ds.PatientName == 'a\xEF\xBF\xBD') ds.PatientName = ds.PatientName "
                            "for e in ds:elements() do e.value = e.value end");
    tree_text(&b.in, b.encoding, PATIENT_NAME, "PN", "a\xFC");
    bound_run_ok(&b);
    assert_false(b.is_changed);
    bound_close(&b);
}

/* Items keep their own as well then. */
static void the_set_that_is_there_is_no_change(void **state)
{
    bound_everywhere(*state, "ds.SpecificCharacterSet = ds.SpecificCharacterSet", fill_two_sets, NULL);
    bound_everywhere(
        *state, "local s = ds.ReferencedImageSequence[1] s.SpecificCharacterSet = s.SpecificCharacterSet",
        fill_two_sets, NULL);
    struct bound b = bound_morph(*state, "ds.SpecificCharacterSet = ds.SpecificCharacterSet "
                                         "ds.ReferencedImageSequence[1].PatientName = nil");
    bound_fill_patient(&b.in, b.encoding);
    bound_fill_sequence(&b.in, b.encoding);
    bound_run_ok(&b);
    assert_false(b.is_changed);
    bound_close(&b);
}

static void a_set_that_cannot_be_is_refused(void **state)
{
    struct bound b = bound_morph(*state, "ds.SpecificCharacterSet = 'ISO_IR 999'");
    fill_two_sets(&b.in, b.encoding);
    bound_run_fails(&b, "SpecificCharacterSet (0008,0005): there is no such character set");
    assert_false(b.is_changed);
    bound_close(&b);
    b = bound_morph(*state, "ds.SpecificCharacterSet = 'ISO_IR 101'");
    fill_two_sets(&b.in, b.encoding);
    bound_run_fails(&b, "PatientName (0010,0010): the character set asked for cannot hold its text");
    bound_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_utf8_in_lua_and_as_it_was_in_the_data_set),
        cmocka_unit_test(the_set_is_changed_with_all_text_in_it),
        cmocka_unit_test(a_set_is_removed_by_its_element_as_by_its_name),
        cmocka_unit_test(a_set_of_another_vr_is_one),
        cmocka_unit_test(bytes_without_a_meaning_can_be_written_back),
        cmocka_unit_test(the_set_that_is_there_is_no_change),
        cmocka_unit_test(a_set_that_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
