/* The data set in Lua: every kind of value read and written in every encoding, sequences, private blocks, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../dicom/tree.h"
#include "binding.h"
#include "dicom/tag.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define UNDEFINED    DICOM_UNDEFINED_LENGTH

enum {
    IMAGE_TYPE = DICOM_TAG(0x0008, 0x0008),
    MODALITY = DICOM_TAG(0x0008, 0x0060),
    INSTITUTION = DICOM_TAG(0x0008, 0x0080),
    REFERENCED = DICOM_TAG(0x0008, 0x1140), /* ReferencedImageSequence */
    REFERENCED_CLASS = DICOM_TAG(0x0008, 0x1150),
    REFERENCED_INSTANCE = DICOM_TAG(0x0008, 0x1155),
    PATIENT_NAME = DICOM_TAG(0x0010, 0x0010),
    PATIENT_ID = DICOM_TAG(0x0010, 0x0020),
    BIRTH_DATE = DICOM_TAG(0x0010, 0x0030),
    COMMENTS = DICOM_TAG(0x0010, 0x4000),
    THICKNESS = DICOM_TAG(0x0018, 0x0050), /* DS */
    FLAGS = DICOM_TAG(0x0018, 0x6016),     /* RegionFlags, UL */
    PIXEL_X0 = DICOM_TAG(0x0018, 0x6020),  /* ReferencePixelX0, SL */
    DURATION = DICOM_TAG(0x0018, 0x9073),  /* AcquisitionDuration, FD */
    ANGLE = DICOM_TAG(0x0018, 0x9219),     /* TagAngleSecondAxis, SS */
    NUMBER = DICOM_TAG(0x0020, 0x0013),    /* InstanceNumber, IS */
    POINTER = DICOM_TAG(0x0028, 0x0009),   /* FrameIncrementPointer, AT */
    ROWS = DICOM_TAG(0x0028, 0x0010),
    SMALLEST = DICOM_TAG(0x0028, 0x0106), /* US or SS */
    GRAY_LUT = DICOM_TAG(0x0028, 0x1101), /* a descriptor, US or SS */
    DOCUMENT = DICOM_TAG(0x0042, 0x0011), /* EncapsulatedDocument, OB */
    GRAPHIC = DICOM_TAG(0x0070, 0x0022),  /* GraphicData, FL */
    SELECTOR_SV = DICOM_TAG(0x0072, 0x0082),
    SELECTOR_UV = DICOM_TAG(0x0072, 0x0083)
};

/* Numbers of `unit` bytes in the order of the encoding. */
static void numbers(struct octets *o, struct dicom_encoding encoding, uint32_t tag, const char *vr,
                    size_t unit, const uint64_t *values, size_t count)
{
    tree_head(o, encoding, tag, vr, (uint32_t)(unit * count));
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < unit; k++)
            octets_u8(o, (uint8_t)(values[i] >> 8 * (encoding.is_big_endian ? unit - 1 - k : k)));
}

#define NUMBERS(o, e, tag, vr, unit, ...)                                                                    \
    numbers(o, e, tag, vr, unit, (const uint64_t[]){__VA_ARGS__}, COUNT(((const uint64_t[]){__VA_ARGS__})))

/* One of each kind, rising by tag. */
static void fill_kinds(struct octets *o, struct dicom_encoding e)
{
    tree_text(o, e, IMAGE_TYPE, "CS", "ORIGINAL\\PRIMARY\\");
    tree_text(o, e, MODALITY, "CS", "CT");
    tree_text(o, e, INSTITUTION, "LO", "");
    tree_text(o, e, PATIENT_NAME, "PN", "Doe^John ");
    tree_text(o, e, BIRTH_DATE, "DA", "19700101");
    tree_text(o, e, COMMENTS, "LT", " one\\two ");
    tree_text(o, e, THICKNESS, "DS", "1.5\\2 \\x ");
    NUMBERS(o, e, FLAGS, "UL", 4, 0xFFFFFFFF);
    NUMBERS(o, e, PIXEL_X0, "SL", 4, (uint64_t)-70000);
    NUMBERS(o, e, DURATION, "FD", 8, 0x3FF8000000000000); /* 1.5 */
    NUMBERS(o, e, ANGLE, "SS", 2, (uint64_t)-2, 3);
    tree_text(o, e, NUMBER, "IS", "42");
    NUMBERS(o, e, POINTER, "AT", 2, 0x0018, 0x1063);
    NUMBERS(o, e, ROWS, "US", 2, 512);
    NUMBERS(o, e, DICOM_PIXEL_REPRESENTATION, "US", 2, 1);
    NUMBERS(o, e, SMALLEST, "SS", 2, (uint64_t)-5);
    NUMBERS(o, e, GRAY_LUT, "SS", 2, 65535, (uint64_t)-1, 16);
    tree_element(o, e, DOCUMENT, "OB", "a\0b\xFF", 4);
    NUMBERS(o, e, GRAPHIC, "FL", 4, 0x3F800000, 0xBF000000);
    NUMBERS(o, e, SELECTOR_SV, "SV", 8, (uint64_t)-1);
    NUMBERS(o, e, SELECTOR_UV, "UV", 8, UINT64_C(1) << 63);
}

static void every_kind_of_value_is_read(void **state)
{
    bound_everywhere(
        *state,
        "local t = ds.ImageType assert(#t == 3 and t[1] == 'ORIGINAL' and t[2] == 'PRIMARY' and t[3] == '') "
        "assert(ds.Modality == 'CT' and ds.InstitutionName == '' and ds.PatientName == 'Doe^John') "
        "assert(ds.PatientBirthDate == '19700101' and ds.PatientComments == ' one\\\\two') "
        "local d = ds.SliceThickness assert(#d == 3 and d[1] == 1.5 and d[2] == 2 and d[3] == 'x') "
        "assert(ds.RegionFlags == 4294967295 and ds.ReferencePixelX0 == -70000) "
        "assert(ds.AcquisitionDuration == 1.5 and math.type(ds.AcquisitionDuration) == 'float') "
        "assert(#ds.TagAngleSecondAxis == 2 and ds.TagAngleSecondAxis[1] == -2 and ds.TagAngleSecondAxis[2] "
        "== 3) "
        "assert(ds.InstanceNumber == 42 and math.type(ds.InstanceNumber) == 'integer') "
        "assert(ds.FrameIncrementPointer == '0018,1063' and ds.Rows == 512) "
        "assert(ds.SmallestImagePixelValue == -5) "
        "local l = ds.RedPaletteColorLookupTableDescriptor assert(l[1] == 65535 and l[2] == -1 and l[3] == "
        "16) "
        "assert(ds.EncapsulatedDocument == 'a\\0b\\xFF') "
        "assert(ds.GraphicData[1] == 1.0 and ds.GraphicData[2] == -0.5) "
        "assert(ds.SelectorSVValue == -1 and ds.SelectorUVValue == 2.0^63)",
        fill_kinds, NULL);
}

static void an_attribute_is_named_by_keyword_or_tag(void **state)
{
    bound_everywhere(*state,
                     "for i = 1, 2 do assert(ds['0008,0060'] == 'CT' and ds[0x00080060] == 'CT' and "
                     "ds.Modality == 'CT') end "
                     "assert(ds['0042,0011'] == ds.EncapsulatedDocument and ds['0070,0' .. '022'][1] == 1)",
                     fill_kinds, NULL);
}

static void facts_and_what_is_absent(void **state)
{
    bound_everywhere(
        *state,
        "assert(ds.PatientID == nil and ds.ReferencedImageSequence == nil and ds[0x00091010] == nil) "
        "assert(ds.transfer_syntax == '1.2.840.10008.1.2.1' and ds.sop_instance == '1.2.3') "
        "assert(ds.sop_class == '1.2.840.10008.5.1.4.1.1.2')",
        fill_kinds, NULL);
}

/* Read and written again, each value is the one that stood there: nothing changes. */
static void what_is_read_can_be_written_back(void **state)
{
    bound_everywhere(*state, "for e in ds:elements() do e.value = e.value end", fill_kinds, NULL);
}

/* As devices write it: numbers in other spellings, padding where it need not be, forms that are none. */
static void fill_odd(struct octets *o, struct dicom_encoding e)
{
    tree_text(o, e, DICOM_SPECIFIC_CHARACTER_SET, "CS", " ISO_IR 100 ");
    tree_text(o, e, IMAGE_TYPE, "CS", "ORIGINAL \\ primary\\  ");
    tree_text(o, e, INSTITUTION, "LO", "  H\xE4 ");
    tree_text(o, e, REFERENCED_CLASS, "UI", "1.2.840 ");
    tree_text(o, e, BIRTH_DATE, "DA", "1970.01.01");
    tree_text(o, e, COMMENTS, "LT", " one\\two  ");
    tree_text(o, e, THICKNESS, "DS", "1.50\\ +2.0e0\\\\-0\\0.1000000000000000055 ");
    tree_text(o, e, NUMBER, "IS", " 0042\\1.5\\9223372036854775807 ");
}

static const char odd_values[] =
    "assert(ds.SliceThickness[1] == 1.5 and ds.SliceThickness[3] == '') "
    "assert(ds.InstanceNumber[1] == 42 and ds.InstanceNumber[2] == 1.5) "
    "assert(ds.PatientComments == ' one\\\\two' and ds.InstitutionName == 'Hä') ";

static void whatever_is_read_can_be_written_back(void **state)
{
    char body[1000];
    snprintf(body, sizeof(body), "%s for e in ds:elements() do e.value = e.value end", odd_values);
    bound_everywhere(*state, body, fill_odd, NULL);
    snprintf(body, sizeof(body),
             "%s ds.ImageType = 'ORIGINAL\\\\primary\\\\' ds.SliceThickness = { 1.5, 2, '', 0, 0.1 } "
             "ds.InstanceNumber = { '0042', 1.5, math.maxinteger } ds.PatientBirthDate = '1970.01.01 '",
             odd_values);
    bound_everywhere(*state, body, fill_odd, NULL);
}

/* Of numbers others are those of another value; of strings, those of other characters. */
static void another_value_is_a_change(void **state)
{
    static const struct {
        const char *was, *body, *is;
    } cases[] = {
        {"1.50", "ds.SliceThickness = '1.5'", "1.5 "},
        {"1.50", "ds.SliceThickness = 1.51", "1.51"},
        {"1.50", "ds.SliceThickness = { 1.5, 1.5 }", "1.5\\1.5 "},
        {"1.50\\1.50 ", "ds.SliceThickness = 1.5", "1.5 "},
        {"1.50\\1.50 ", "ds.SliceThickness = '1.50'", "1.50"},
        {"1.50", "ds.SliceThickness = {}", ""},
        {"1.50", "ds.SliceThickness = ''", ""},
        {"9007199254740992", "ds.SliceThickness = 9007199254740993", "9007199254740993"},
        {"x ", "ds.SliceThickness = 0", "0 "},
        {"", "ds.SliceThickness = 0", "0 "},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bound b = bound_morph(*state, cases[i].body);
        struct octets expected = {0};
        tree_text(&b.in, b.encoding, THICKNESS, "DS", cases[i].was);
        tree_text(&expected, b.encoding, THICKNESS, "DS", cases[i].is);
        bound_run_ok(&b);
        assert_true(b.is_changed);
        bound_wrote(&b, &expected);
        bound_close(&b);
    }
}

static void expect_kinds(struct octets *o, struct dicom_encoding e)
{
    tree_text(o, e, IMAGE_TYPE, "CS", "DERIVED\\SECONDARY ");
    tree_text(o, e, MODALITY, "CS", "");
    tree_text(o, e, PATIENT_NAME, "PN", "A^B ");
    tree_text(o, e, BIRTH_DATE, "DA", "");
    tree_text(o, e, COMMENTS, "LT", "x\\y ");
    tree_text(o, e, THICKNESS, "DS", "0.1\\2\\-3");
    NUMBERS(o, e, FLAGS, "UL", 4, 7);
    NUMBERS(o, e, PIXEL_X0, "SL", 4, (uint64_t)-3, 4);
    NUMBERS(o, e, DURATION, "FD", 8, 0x4000000000000000);
    tree_text(o, e, NUMBER, "IS", "-7");
    NUMBERS(o, e, POINTER, "AT", 2, 0x0018, 0x1063, 0x0018, 0x1065);
    NUMBERS(o, e, ROWS, "US", 2, 1);
    NUMBERS(o, e, SMALLEST, "US", 2, 65535);
    tree_element(o, e, DOCUMENT, "OB", "abc\0", 4);
    NUMBERS(o, e, GRAPHIC, "FL", 4, 0x3F000000);
    NUMBERS(o, e, SELECTOR_SV, "SV", 8, (uint64_t)-9);
    NUMBERS(o, e, SELECTOR_UV, "UV", 8, 9);
}

/* Into nothing, in another order than that of tags. */
static void every_kind_of_value_is_written(void **state)
{
    bound_everywhere(*state,
                     "ds.SelectorUVValue = 9 ds.SelectorSVValue = -9 ds.GraphicData = 0.5 "
                     "ds.EncapsulatedDocument = 'abc' ds.SmallestImagePixelValue = 65535 ds.Rows = 1.0 "
                     "ds.FrameIncrementPointer = { '0018,1063', 0x00181065 } ds.InstanceNumber = -7 "
                     "ds.AcquisitionDuration = 2 ds.ReferencePixelX0 = { -3, 4 } ds.RegionFlags = 7 "
                     "ds.SliceThickness = { 0.1, 2, '-3' } ds.PatientComments = 'x\\\\y' "
                     "ds.PatientBirthDate = '' ds.PatientName = 'A^B' ds.Modality = '' "
                     "ds.ImageType = 'DERIVED\\\\SECONDARY'",
                     NULL, expect_kinds);
}

static void expect_signed(struct octets *o, struct dicom_encoding e)
{
    NUMBERS(o, e, DICOM_PIXEL_REPRESENTATION, "US", 2, 1);
    NUMBERS(o, e, SMALLEST, "SS", 2, (uint64_t)-1);
}

static void a_choice_of_signs_follows_the_pixels(void **state)
{
    bound_everywhere(*state, "ds.PixelRepresentation = 1 ds.SmallestImagePixelValue = -1", NULL,
                     expect_signed);
}

static void expect_patient(struct octets *o, struct dicom_encoding e)
{
    tree_text(o, e, MODALITY, "CS", "CT");
    tree_text(o, e, PATIENT_ID, "LO", "");
    tree_text(o, e, BIRTH_DATE, "DA", "20000101");
}

static void nil_removes_and_an_empty_value_stays(void **state)
{
    bound_everywhere(*state,
                     "ds.PatientName = nil ds.OtherPatientNames = nil ds.PatientID = {} "
                     "ds['0010,0030'] = 20000101 assert(ds.PatientID == '' and ds.PatientName == nil)",
                     bound_fill_patient, expect_patient);
}

static void fill_twice(struct octets *o, struct dicom_encoding e)
{
    bound_fill_patient(o, e);
    tree_text(o, e, PATIENT_ID, "LO", "87654321");
}

/* The first of several is the one that is read; a value that is set is the only one then, also if it is the first's. */
static void of_duplicates_one_is_left(void **state)
{
    bound_everywhere(*state, "assert(ds.PatientID == '12345678')", fill_twice, NULL);
    bound_everywhere(*state, "ds.PatientID = '12345678'", fill_twice, bound_fill_patient);
}

/* --- sequences --------------------------------------------------------------------------------------------- */

static void items_are_read_by_number(void **state)
{
    bound_everywhere(
        *state,
        "local s = ds.ReferencedImageSequence assert(#s == 2) "
        "assert(s[1].ReferencedSOPInstanceUID == '1.11' and s[2].ReferencedSOPInstanceUID == '1.22') "
        "assert(s[0] == nil and s[3] == nil and s[-1] == nil and s[math.maxinteger] == nil) "
        "local n = 0 for i, item in ipairs(s) do n = n + i "
        "assert(item.ReferencedSOPInstanceUID == '1.' .. i * 11) end assert(n == 3) "
        "assert(ds.ReferencedImageSequence[1].PatientName == nil)",
        bound_fill_sequence, NULL);
}

static void fill_three(struct octets *o, struct dicom_encoding e)
{
    tree_head(o, e, REFERENCED, "SQ", 20 + 28 + 20);
    bound_referenced_item(o, e, false, "1.11");
    bound_referenced_item(o, e, true, "1.22");
    bound_referenced_item(o, e, false, "1.33");
}

static void expect_edited(struct octets *o, struct dicom_encoding e)
{
    tree_head(o, e, REFERENCED, "SQ", 20 + 28 + 20);
    bound_referenced_item(o, e, false, "1.44");
    bound_referenced_item(o, e, true, "1.55");
    bound_referenced_item(o, e, false, "1.66");
}

/* Replaced, changed in place, removed, appended; an item that came without a length stays so. */
static void items_are_replaced_changed_removed_and_appended(void **state)
{
    bound_everywhere(*state,
                     "local s = ds.ReferencedImageSequence "
                     "s[1] = { ReferencedSOPInstanceUID = '1.44' } "
                     "s[2].ReferencedSOPInstanceUID = '1.55' "
                     "s[3] = nil assert(#s == 2 and s[3] == nil) "
                     "s[#s + 1] = { ['0008,1155'] = '1.66' } assert(#ds.ReferencedImageSequence == 3)",
                     fill_three, expect_edited);
}

static void expect_nested(struct octets *o, struct dicom_encoding e)
{
    uint32_t head = e.is_explicit ? 12 : 8;
    tree_head(o, e, DICOM_TAG(0x0008, 0x1110), "SQ", 0);                 /* ReferencedStudySequence */
    tree_head(o, e, DICOM_TAG(0x0040, 0x0275), "SQ", 8 + head + 8 + 12); /* RequestAttributesSequence */
    tree_head(o, e, DICOM_ITEM, "", head + 8 + 12);
    tree_head(o, e, DICOM_TAG(0x0040, 0x0008), "SQ", 8 + 12); /* ScheduledProtocolCodeSequence */
    tree_head(o, e, DICOM_ITEM, "", 12);
    tree_text(o, e, DICOM_TAG(0x0008, 0x0100), "SH", "CODE");
}

static void sequences_are_built_from_tables(void **state)
{
    bound_everywhere(
        *state,
        "ds.RequestAttributesSequence = { { ScheduledProtocolCodeSequence = { { CodeValue = 'CODE' } } } } "
        "ds.ReferencedStudySequence = {} assert(#ds.ReferencedStudySequence == 0) "
        "assert(ds.RequestAttributesSequence[1].ScheduledProtocolCodeSequence[1].CodeValue == 'CODE')",
        NULL, expect_nested);
}

static void expect_one(struct octets *o, struct dicom_encoding e)
{
    tree_head(o, e, REFERENCED, "SQ", 20);
    bound_referenced_item(o, e, false, "1.99");
}

static void a_sequence_is_replaced_as_a_whole(void **state)
{
    bound_everywhere(*state, "ds.ReferencedImageSequence = { { ReferencedSOPInstanceUID = '1.99' } }",
                     fill_three, expect_one);
}

/* Handles of what is gone go on to work, and change nothing that is written. */
static void what_was_removed_in_a_call_does_no_harm(void **state)
{
    bound_everywhere(*state,
                     "local s = ds.ReferencedImageSequence local first, last = s[1], s[3] "
                     "s[1] = nil first.ReferencedSOPInstanceUID = '7.7' "
                     "ds.ReferencedImageSequence = nil s[1].ReferencedSOPInstanceUID = '8.8' "
                     "ds.ReferencedImageSequence = { { ReferencedSOPInstanceUID = '1.99' } } "
                     "last.PatientName = 'x' assert(#ds.ReferencedImageSequence == 1)",
                     fill_three, expect_one);
}

/* --- private ----------------------------------------------------------------------------------------------- */

static void private_elements_go_by_their_creator(void **state)
{
    bound_everywhere(
        *state,
        "assert(ds:private('ACME 1.1', 0x0029, 0x10) == 'ab' and ds:private('ACME 1.1 ', 0x29, 0x10) == "
        "'ab') "
        "assert(ds:private('OTHER', 0x29, 0x10) == nil and ds:private('ACME 1.1', 0x29, 0x11) == nil) "
        "assert(ds:private('ACME 1.1', 0x31, 0x10) == nil) "
        "assert(ds.RequestAttributesSequence[1]:private('ACME 1.1', 0x29, 0x10) == 'cd') "
        "ds:private('NOBODY', 0x29, 0x10, nil)",
        bound_fill_private, NULL);
}

static void expect_private(struct octets *o, struct dicom_encoding e)
{
    tree_text(o, e, DICOM_TAG(0x0029, 0x0010), "LO", "ACME");
    tree_element(o, e, DICOM_TAG(0x0029, 0x1010), "UN", "xy", 2);
    NUMBERS(o, e, DICOM_TAG(0x0029, 0x1011), "US", 2, 5, 6);
    tree_text(o, e, DICOM_TAG(0x0029, 0x1012), "LO", "text");
}

static void private_elements_are_written_with_their_creator(void **state)
{
    bound_everywhere(
        *state,
        "ds:private('ACME', 0x29, 0x10, 'xy') ds:private('ACME', 0x29, 0x11, { 5, 6 }, 'US') "
        "ds:private('ACME', 0x29, 0x12, 'text', 'LO') ds:private('ACME', 0x29, 0x13, 'gone', 'LO') "
        "ds:private('ACME', 0x29, 0x13, nil)",
        NULL, expect_private);
}

static void expect_no_private(struct octets *o, struct dicom_encoding e)
{
    tree_text(o, e, MODALITY, "CS", "CT");
    tree_head(o, e, DICOM_TAG(0x0040, 0x0275), "SQ", 18);
    tree_head(o, e, DICOM_ITEM, "", 10);
    tree_text(o, e, DICOM_TAG(0x0040, 0x0009), "SH", "id");
}

static void private_elements_go_at_every_depth(void **state)
{
    bound_everywhere(*state, "ds:remove_private()", bound_fill_private, expect_no_private);
}

/* --- elements ---------------------------------------------------------------------------------------------- */

static void elements_are_gone_through_in_their_order(void **state)
{
    bound_everywhere(
        *state,
        "local seen = '' for e in ds:elements() do "
        "seen = seen .. string.format('%08X %s %s;', e.tag, e.vr, e.keyword) end "
        "assert(seen == '00080060 CS Modality;00100010 PN PatientName;00100020 LO PatientID;', seen)",
        bound_fill_patient, NULL);
}

static void expect_elements(struct octets *o, struct dicom_encoding e)
{
    tree_text(o, e, MODALITY, "CS", "MR");
    tree_text(o, e, PATIENT_ID, "LO", "12345678");
    tree_text(o, e, BIRTH_DATE, "DA", "20000101");
}

/* What comes behind the place where it stands is met. */
static void elements_change_while_they_are_gone_through(void **state)
{
    bound_everywhere(
        *state,
        "local n = 0 for e in ds:elements() do n = n + 1 "
        "if e.keyword == 'Modality' then e.value = 'MR' assert(e.value == 'MR') end "
        "if e.keyword == 'PatientName' then e.value = nil ds.PatientBirthDate = '20000101' end end "
        "assert(n == 4)",
        bound_fill_patient, expect_elements);
}

/* --- what is refused --------------------------------------------------------------------------------------- */

static void an_error_names_the_attribute_and_the_cause(void **state)
{
    static const struct {
        const char *body, *error;
    } cases[] = {
        {"ds.PatientNam = 'x'", "\"PatientNam\" is no keyword of the dictionary; did you mean PatientName?"},
        {"return ds.Modalty", "did you mean Modality?"},
        {"return ds.element", "did you mean elements?"},
        {"return ds['0010,00200']", "\"0010,00200\" is no keyword of the dictionary"},
        {"return ds.XqXqXqXqXq", "write a keyword, or a tag as \"0010,0020\""},
        {"return ds[-1]", "-1 is no tag; write 0xGGGGEEEE"},
        {"return ds[1 << 32]", "4294967296 is no tag"},
        {"return ds[1.5]", "an attribute is named by its keyword or tag, not by number"},
        {"return ds[ds]", "not by userdata"},
        {"ds.Modality = 'ct'", "Modality (0008,0060): a CS "},
        {"ds.Modality = true", "Modality (0008,0060): its value is a string, a number, or a table of these"},
        {"ds.ImageType = { 'A', {} }", "ImageType (0008,0008): its value is a string"},
        {"ds.PatientName = 'a\\\\b'", "fine"}, /* may have several values */
        {"ds.PatientID = 'a\\nb'", "PatientID (0010,0020): "},
        {"ds.PatientID = string.rep('x', 65)", "PatientID (0010,0020): "},
        {"ds.PatientID = '\\xFF'", "PatientID (0010,0020): "},
        {"ds.SOPInstanceUID = { '1.2', '1.3' }", "SOPInstanceUID (0008,0018): it has one UID only"},
        {"ds.SOPClassUID = '1.2\\\\1.3'", "SOPClassUID (0008,0016): it has one UID only"},
        {"ds.StudyInstanceUID = { '1.2', '' }", "StudyInstanceUID (0020,000D): it has one UID only"},
        {"ds.ReferencedImageSequence = { { ReferencedSOPInstanceUID = '1.2\\\\1.3' } }",
         "ReferencedSOPInstanceUID (0008,1155): it has one UID only"},
        {"ds.RelatedGeneralSOPClassUID = { '1.2', '1.3' }", "fine"}, /* has any number */
        {"ds.PatientBirthDate = 'tomorrow'", "PatientBirthDate (0010,0030): a DA is "},
        {"ds.PatientComments = { 'a', 'b' }", "PatientComments (0010,4000): its VR has one value only"},
        {"ds.Rows = 70000", "Rows (0028,0010): "},
        {"ds.Rows = -1", "Rows (0028,0010): "},
        {"ds.Rows = 1.5", "Rows (0028,0010): "},
        {"ds.Rows = '5'", "Rows (0028,0010): its value is a number, or a table of numbers"},
        {"ds.InstanceNumber = 1 << 40", "InstanceNumber (0020,0013): "},
        {"ds.SliceThickness = 0/0", "SliceThickness (0018,0050): "},
        {"ds.FrameIncrementPointer = 'Rows'", "FrameIncrementPointer (0028,0009): an AT is a tag"},
        {"ds.EncapsulatedDocument = 5", "EncapsulatedDocument (0042,0011): its value is a string of bytes"},
        {"ds.ReferencedImageSequence = 'x'",
         "ReferencedImageSequence (0008,1140): a sequence is set to a list"},
        {"ds.ReferencedImageSequence = { 'x' }", "ReferencedImageSequence (0008,1140): an item is a table"},
        {"ds.ReferencedImageSequence = {} ds.ReferencedImageSequence[2] = {}",
         "there are 0 items; the next one is [1]"},
        {"ds.ReferencedImageSequence = {} ds.ReferencedImageSequence[1] = 'x'", "an item is set to a table"},
        {"ds.ReferencedImageSequence = {} return ds.ReferencedImageSequence.Modality",
         "ReferencedImageSequence (0008,1140) is a sequence; its items go by number, from 1"},
        {"ds['0028,0000'] = 'x'", "(0028,0000): a group length is counted, not set"},
        {"ds[0x00020010] = '1.2'", "TransferSyntaxUID (0002,0010): its group does not belong"},
        {"ds[0x00291010] = 'x'", "(0029,1010): a private element needs its creator"},
        {"ds:private('X', 0x28, 0x10)", "private groups are odd"},
        {"ds:private('X', 0x29, 0x100)", "a private element goes by the low byte"},
        {"ds:private('X', 0x29, 0x10, 'x', 'XX')", "\"XX\" is no VR"},
        {"ds:private('', 0x29, 0x10, 'x')", "(0029,0010): "},
        {"ds:remove_private('all of it')", "invalid option 'all of it'"},
        {"ds.private = 1", "ds.private is read-only"},
        {"ds.sop_class = '1.2'", "ds.sop_class is read-only"},
        {"ds.elements()", "a data set is expected here; call methods with a colon"},
        {"ds.elements('x')", "a data set is expected here"},
        {"for e in ds:elements() do return e.size end", "an element has no 'size'"},
        {"for e in ds:elements() do e.tag = 5 end", "of an element only the value can be set"},
        {"ds:walk(5)", "bad argument #1 to 'walk' (table expected, got number)"},
        {"local t = {} t.ReferencedImageSequence = { t } ds.ReferencedImageSequence = { t }",
         "sequences are nested too deep"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct bound b = bound_morph(*state, cases[i].body);
        bound_fill_patient(&b.in, b.encoding);
        if (strcmp(cases[i].error, "fine") == 0)
            bound_run_ok(&b);
        else
            bound_run_fails(&b, cases[i].error);
        bound_close(&b);
    }
}

static void fill_two_uids(struct octets *o, struct dicom_encoding e)
{
    tree_text(o, e, REFERENCED_INSTANCE, "UI", "1.2.3\\1.2.4");
}

static void expect_two_uids(struct octets *o, struct dicom_encoding e)
{
    tree_text(o, e, REFERENCED_INSTANCE, "UI", "1.2.5\\1.2.60");
}

/* What a writer has put where one UID should be is replaced as it came; not made more. */
static void as_many_uids_as_came_may_be_replaced(void **state)
{
    bound_everywhere(
        *state,
        "assert(not pcall(function() ds.ReferencedSOPInstanceUID = { '1.2', '1.3', '1.4' } end)) "
        "ds.ReferencedSOPInstanceUID = { '1.2.5', '1.2.60' }",
        fill_two_uids, expect_two_uids);
}

static void a_refused_value_changes_nothing(void **state)
{
    bound_everywhere(*state,
                     "assert(not pcall(function() ds.PatientID = string.rep('x', 65) end)) "
                     "assert(not pcall(function() ds.PatientID = { 'fine', 'a\\nb' } end)) "
                     "assert(not pcall(function() ds.Modality = 'ct' end)) "
                     "assert(ds.PatientID == '12345678' and ds.Modality == 'CT')",
                     bound_fill_patient, NULL);
}

static void in_when_the_data_set_is_read_only(void **state)
{
    static const char *const writes[] = {
        "ds.PatientID = 'x'",
        "ds.PatientID = nil",
        "ds.NoSuchKeyword = nil",
        "ds:remove_private()",
        "ds:private('ACME', 0x29, 0x10, 'x')",
        "ds:private('ACME', 0x29, 0x10, nil)",
        "for e in ds:elements() do e.value = nil end",
        "ds.ReferencedImageSequence[1] = nil",
        "ds.ReferencedImageSequence[1] = {}",
        "ds.ReferencedImageSequence[1].PatientID = 'x'",
        "for item, tag in ds:walk({ [0x00081155] = 1 }) do item[tag] = nil end",
    };
    for (size_t i = 0; i < COUNT(writes); i++) {
        struct bound b = bound_when(*state, writes[i]);
        bound_fill_sequence(&b.in, b.encoding);
        bound_fill_patient(&b.in, b.encoding);
        bound_run_fails(&b, "in when the data set is read-only; change it in morph");
        assert_false(b.is_changed || b.tail_count > 0 || b.tail_drops_private);
        bound_close(&b);
    }
    struct bound b = bound_when(*state, "return ds.Modality == 'CT' and #ds.ReferencedImageSequence == 2");
    bound_fill_sequence(&b.in, b.encoding);
    bound_fill_patient(&b.in, b.encoding);
    bound_run_ok(&b);
    bound_close(&b);
}

static void handles_are_of_their_call(void **state)
{
    static const char *const uses[] = {
        "kept.ds.Modality == 1",   "kept.item.Modality == 1",         "#kept.sequence == 1",
        "kept.sequence[1] == 1",   "kept.element.value == 1",         "kept.walk() == 1",
        "kept.ds:elements() == 1", "kept.ds:private('X', 9, 9) == 1",
    };
    for (size_t i = 0; i < COUNT(uses); i++) {
        char body[1000];
        snprintf(body, sizeof(body),
                 "if kept.ds then return %s end kept.ds = ds kept.sequence = ds.ReferencedImageSequence "
                 "kept.item = kept.sequence[1] kept.walk = ds:walk({}) "
                 "for e in ds:elements() do kept.element = e end",
                 uses[i]);
        struct bound b = bound_morph(*state, body);
        bound_fill_sequence(&b.in, b.encoding);
        bound_run_ok(&b);
        bound_run_fails(&b, "is of an earlier call; keep values, not data sets");
        bound_close(&b);
    }
}

static void memory_that_ends_is_an_error_like_others(void **state)
{
    struct bound b = bound_morph(*state, "ds.PatientComments = string.rep('x', 5000) ");
    bound_fill_patient(&b.in, b.encoding);
    b.memory_max = 4096;
    bound_run_fails(&b, "PatientComments (0010,4000): the data set takes more memory than it may");
    bound_close(&b);

    /* Whatever the bound, it is an error or done; never half an element. */
    for (size_t max = 2100; max < 9000; max += 100) {
        b = bound_morph(
            *state,
            "ds.ReferencedImageSequence = { { PatientID = string.rep('y', 60) }, { PatientID = 'z' } } "
            "for i = 1, 9 do ds[0x00104000] = string.rep('x', 100 * i) end");
        bound_fill_patient(&b.in, b.encoding);
        b.memory_max = max;
        enum result r = bound_run(&b);
        assert_true(r == OK ||
                    (r == ERR_USAGE && strstr(rules_error(b.rules), "takes more memory than it may")));
        bound_close(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_value_is_read),
        cmocka_unit_test(an_attribute_is_named_by_keyword_or_tag),
        cmocka_unit_test(facts_and_what_is_absent),
        cmocka_unit_test(what_is_read_can_be_written_back),
        cmocka_unit_test(whatever_is_read_can_be_written_back),
        cmocka_unit_test(another_value_is_a_change),
        cmocka_unit_test(every_kind_of_value_is_written),
        cmocka_unit_test(a_choice_of_signs_follows_the_pixels),
        cmocka_unit_test(nil_removes_and_an_empty_value_stays),
        cmocka_unit_test(of_duplicates_one_is_left),
        cmocka_unit_test(items_are_read_by_number),
        cmocka_unit_test(items_are_replaced_changed_removed_and_appended),
        cmocka_unit_test(sequences_are_built_from_tables),
        cmocka_unit_test(a_sequence_is_replaced_as_a_whole),
        cmocka_unit_test(what_was_removed_in_a_call_does_no_harm),
        cmocka_unit_test(private_elements_go_by_their_creator),
        cmocka_unit_test(private_elements_are_written_with_their_creator),
        cmocka_unit_test(private_elements_go_at_every_depth),
        cmocka_unit_test(elements_are_gone_through_in_their_order),
        cmocka_unit_test(elements_change_while_they_are_gone_through),
        cmocka_unit_test(an_error_names_the_attribute_and_the_cause),
        cmocka_unit_test(as_many_uids_as_came_may_be_replaced),
        cmocka_unit_test(a_refused_value_changes_nothing),
        cmocka_unit_test(in_when_the_data_set_is_read_only),
        cmocka_unit_test(handles_are_of_their_call),
        cmocka_unit_test(memory_that_ends_is_an_error_like_others),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
