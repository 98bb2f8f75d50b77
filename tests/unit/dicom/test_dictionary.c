#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dicom/dictionary.h"
#include "dicom/dictionary_table.h"

static const struct dicom_entry *by_keyword(const char *keyword, uint32_t *tag_out)
{
    return dicom_dictionary_find_keyword(keyword, strlen(keyword), tag_out);
}

/* Written down by hand from PS3.6 and PS3.7 Annex E. */
static void entries_say_what_the_standard_says(void **state)
{
    (void)state;
    static const struct {
        uint32_t tag;
        const char *keyword;
        enum dicom_vr vr[3];
        unsigned vm_min, vm_max, vm_step;
        bool is_retired;
    } cases[] = {
        {0x00000002, "AffectedSOPClassUID", {DICOM_VR_UI}, 1, 1, 1, false},
        {0x00000200, "Initiator", {DICOM_VR_AE}, 1, 1, 1, true},
        {0x00000901, "OffendingElement", {DICOM_VR_AT}, 1, 0, 1, false},
        {0x00020010, "TransferSyntaxUID", {DICOM_VR_UI}, 1, 1, 1, false},
        {0x00041141, "FileSetDescriptorFileID", {DICOM_VR_CS}, 1, 8, 1, false},
        {DICOM_SPECIFIC_CHARACTER_SET, "SpecificCharacterSet", {DICOM_VR_CS}, 1, 0, 1, false},
        {0x00080008, "ImageType", {DICOM_VR_CS}, 2, 0, 1, false},
        {DICOM_SOP_CLASS_UID, "SOPClassUID", {DICOM_VR_UI}, 1, 1, 1, false},
        {DICOM_SOP_INSTANCE_UID, "SOPInstanceUID", {DICOM_VR_UI}, 1, 1, 1, false},
        {0x00080060, "Modality", {DICOM_VR_CS}, 1, 1, 1, false},
        {0x00080202, "", {DICOM_VR_UNKNOWN}, 1, 1, 1, true}, /* retired before it had a name */
        {0x00081162, "CalculatedFrameList", {DICOM_VR_UL}, 3, 0, 3, false},
        {0x00081190, "RetrieveURL", {DICOM_VR_UR}, 1, 1, 1, false},
        {0x00100010, "PatientName", {DICOM_VR_PN}, 1, 1, 1, false},
        {0x00181310, "AcquisitionMatrix", {DICOM_VR_US}, 4, 4, 1, false},
        {0x00181620, "VerticesOfThePolygonalShutter", {DICOM_VR_IS}, 2, 0, 2, false},
        {0x00200032, "ImagePositionPatient", {DICOM_VR_DS}, 3, 3, 1, false},
        {0x00280400, "TransformLabel", {DICOM_VR_LO}, 1, 1, 1, true},
        {DICOM_BITS_ALLOCATED, "BitsAllocated", {DICOM_VR_US}, 1, 1, 1, false},
        {DICOM_PIXEL_REPRESENTATION, "PixelRepresentation", {DICOM_VR_US}, 1, 1, 1, false},
        {0x00280106, "SmallestImagePixelValue", {DICOM_VR_US, DICOM_VR_SS}, 1, 1, 1, false},
        {0x00281101, "RedPaletteColorLookupTableDescriptor", {DICOM_VR_US, DICOM_VR_SS}, 3, 3, 1, false},
        {0x00281201, "RedPaletteColorLookupTableData", {DICOM_VR_OW}, 1, 1, 1, false},
        {0x00283006, "LUTData", {DICOM_VR_US, DICOM_VR_OW}, 1, 0, 1, false},
        {0x0040A160, "TextValue", {DICOM_VR_UT}, 1, 1, 1, false},
        {0x0040A730, "ContentSequence", {DICOM_VR_SQ}, 1, 1, 1, false},
        {DICOM_MAC_PARAMETERS, "MACParametersSequence", {DICOM_VR_SQ}, 1, 1, 1, false},
        {0x54001010, "WaveformData", {DICOM_VR_OB, DICOM_VR_OW}, 1, 1, 1, false},
        {0x7FE00001, "ExtendedOffsetTable", {DICOM_VR_OV}, 1, 1, 1, false},
        {DICOM_FLOAT_PIXEL_DATA, "FloatPixelData", {DICOM_VR_OF}, 1, 1, 1, false},
        {DICOM_DOUBLE_PIXEL_DATA, "DoubleFloatPixelData", {DICOM_VR_OD}, 1, 1, 1, false},
        {DICOM_PIXEL_DATA, "PixelData", {DICOM_VR_OB, DICOM_VR_OW}, 1, 1, 1, false},
        {DICOM_DIGITAL_SIGNATURES, "DigitalSignaturesSequence", {DICOM_VR_SQ}, 1, 1, 1, false},
        {DICOM_TRAILING_PADDING, "DataSetTrailingPadding", {DICOM_VR_OB}, 1, 1, 1, false},
        {DICOM_ITEM, "Item", {DICOM_VR_UNKNOWN}, 1, 1, 1, false},
        {DICOM_ITEM_DELIMITATION, "ItemDelimitationItem", {DICOM_VR_UNKNOWN}, 1, 1, 1, false},
        {DICOM_SEQUENCE_DELIMITATION, "SequenceDelimitationItem", {DICOM_VR_UNKNOWN}, 1, 1, 1, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct dicom_entry *entry = dicom_dictionary_find(cases[i].tag);
        assert_non_null(entry);
        assert_int_equal(entry->tag, cases[i].tag);
        assert_string_equal(entry->keyword, cases[i].keyword);
        for (size_t k = 0; k < 3; k++)
            assert_int_equal(entry->vr[k], cases[i].vr[k]);
        assert_int_equal(entry->vm_min, cases[i].vm_min);
        assert_int_equal(entry->vm_max, cases[i].vm_max);
        assert_int_equal(entry->vm_step, cases[i].vm_step);
        assert_int_equal(entry->is_retired, cases[i].is_retired);
    }
}

static void every_entry_is_found_by_its_tag_and_by_its_keyword(void **state)
{
    (void)state;
    size_t count = 0;
    for (const struct dicom_entry *entry; (entry = dicom_dictionary_at(count)); count++) {
        assert_ptr_equal(dicom_dictionary_find(entry->tag), entry);
        uint32_t tag = ~entry->tag;
        if (entry->keyword[0] != '\0') {
            assert_ptr_equal(by_keyword(entry->keyword, &tag), entry);
            assert_int_equal(tag, entry->tag);
            assert_ptr_equal(by_keyword(entry->keyword, NULL), entry);
        }
    }
    assert_true(count > 5300);
    assert_int_equal(count, dictionary_count);
    assert_null(dicom_dictionary_at(SIZE_MAX));
}

static void entries_are_in_order_and_make_sense(void **state)
{
    (void)state;
    size_t without_vr = 0;
    for (size_t i = 0; i < dictionary_count; i++) {
        const struct dicom_entry *entry = &dictionary_table[i];
        assert_true(i == 0 || entry[-1].tag < entry->tag);
        assert_false(dicom_is_private(entry->tag));
        for (size_t k = 0; k < 3; k++)
            assert_true(entry->vr[k] < DICOM_VR_COUNT);
        assert_true(entry->vr[1] == DICOM_VR_UNKNOWN || entry->vr[0] != DICOM_VR_UNKNOWN);
        assert_true(entry->vr[2] == DICOM_VR_UNKNOWN || entry->vr[1] != DICOM_VR_UNKNOWN);
        without_vr += entry->vr[0] == DICOM_VR_UNKNOWN;
        assert_true(entry->vm_min >= 1 && entry->vm_step >= 1 && entry->vm_min % entry->vm_step == 0);
        assert_true(entry->vm_max == 0 || entry->vm_max >= entry->vm_min);
    }
    assert_int_equal(without_vr, 7); /* the delimiters and what was retired without a name */
}

static void patterns_stand_for_their_tags_behind_exact_ones(void **state)
{
    (void)state;
    static const struct {
        uint32_t tag;
        const char *keyword; /* NULL: not found */
        const char *reason;
    } cases[] = {
        {0x60000010, "OverlayRows", "the first overlay"},
        {0x601E3000, "OverlayData", "the last overlay that PS3.5 7.6 has"},
        {0x60FE3000, "OverlayData", "the pattern goes on"},
        {0x60013000, NULL, "an odd group is private"},
        {0x60FF3000, NULL, "an odd group is private"},
        {0x60000000, NULL, "a group length"},
        {0x60003001, NULL, "no such overlay element"},
        {0x61003000, NULL, "behind the pattern"},
        {0x5FFE3000, NULL, "before the pattern"},
        {0x50000005, "CurveDimensions", "the first curve"},
        {0x50FE3000, "CurveData", "another one"},
        {0x50033000, NULL, "an odd group is private"},
        {0x7F000010, "VariablePixelData", "a group of variable pixel data"},
        {0x7FE20010, "VariablePixelData", "another one"},
        {DICOM_PIXEL_DATA, "PixelData", "exact before its pattern"},
        {0x7FE00011, "VariableNextDataGroup", "its neighbour has no entry of its own"},
        {0x7FE10010, NULL, "an odd group is private"},
        {0x00203100, "SourceImageIDs", "the first of 256"},
        {0x002031FF, "SourceImageIDs", "the last"},
        {0x00203200, NULL, "behind the last"},
        {0x00280400, "TransformLabel", "exact before its pattern"},
        {0x00280410, "RowsForNthOrderCoefficients", "002804x0"},
        {0x002804F0, "RowsForNthOrderCoefficients", "002804x0"},
        {0x002804F3, "CoefficientCodingPointers", "002804x3"},
        {0x00280404, "DetailsOfCoefficients", "exact"},
        {0x00280414, NULL, "there is no 002804x4"},
        {0x00280800, "CodeLabel", "002808x0 with 0"},
        {0x00280878, "ImageDataLocation", "002808x8"},
        {0x00280871, NULL, "there is no 002808x1"},
        {0x10000010, "EscapeTriplet", "1000xxx0"},
        {0x1000FFF5, "ShiftTableTriplet", "1000xxx5"},
        {0x10000005, "ShiftTableTriplet", "1000xxx5 with zeros"},
        {0x10000006, NULL, "there is no 1000xxx6"},
        {0x10000000, NULL, "a group length"},
        {0x10100001, "ZonalMap", "1010xxxx"},
        {0x1010FFFF, "ZonalMap", "1010xxxx"},
        {0x10100000, NULL, "a group length"},
        {0x10110001, NULL, "an odd group is private"},
        {0x00080000, NULL, "a group length"},
        {0x00000000, "CommandGroupLength", "the registry has this group length"},
        {0x00020000, "FileMetaInformationGroupLength", "and this one"},
        {0x00090010, NULL, "private"},
        {0x0010FFFE, NULL, "unknown"},
        {0xFFFEE00C, NULL, "unknown"},
        {0xFFFFFFFF, NULL, "unknown"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct dicom_entry *entry = dicom_dictionary_find(cases[i].tag);
        const char *keyword = entry ? entry->keyword : NULL;
        if (!keyword != !cases[i].keyword || (keyword && strcmp(keyword, cases[i].keyword) != 0))
            fail_msg("(%08X) %s: found is %s", cases[i].tag, cases[i].reason, keyword ? keyword : "nothing");
    }
}

static bool is_of_a_pattern(uint32_t tag)
{
    uint32_t group = tag >> 16;
    return (group & 0xFF01) == 0x5000 || (group & 0xFF01) == 0x6000 || (group & 0xFF01) == 0x7F00 ||
           group == 0x1000 || group == 0x1010 || tag >> 8 == 0x002031 || tag >> 8 == 0x002804 ||
           tag >> 8 == 0x002808;
}

/* Every element of every group that has entries at all. */
static void nothing_is_found_that_was_not_asked_for(void **state)
{
    (void)state;
    uint32_t last_group = UINT32_MAX;
    size_t count = 0;
    for (size_t i = 0; i < dictionary_count; i++) {
        uint32_t group = dictionary_table[i].tag >> 16;
        if (group == last_group)
            continue;
        last_group = group;
        for (uint32_t element = 0; element <= 0xFFFF; element++) {
            uint32_t tag = group << 16 | element;
            const struct dicom_entry *entry = dicom_dictionary_find(tag);
            if (entry && entry->tag != tag && !is_of_a_pattern(tag))
                fail_msg("(%08X) is taken for %s", tag, entry->keyword);
            count += entry && entry->tag == tag;
        }
    }
    assert_int_equal(count, dictionary_count);
}

static void private_groups_have_creators_and_the_unknown(void **state)
{
    (void)state;
    static const uint32_t groups[] = {0x0009, 0x0029, 0x5001, 0x60FF, 0x7FE1, 0xFFFF};
    for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
        for (uint32_t element = 0; element <= 0xFFFF; element++) {
            uint32_t tag = groups[i] << 16 | element;
            enum dicom_vr expected = element == 0                       ? DICOM_VR_UL
                                     : element < 0x10 || element > 0xFF ? DICOM_VR_UN
                                                                        : DICOM_VR_LO;
            assert_null(dicom_dictionary_find(tag));
            if (dicom_dictionary_vr(tag) != expected)
                fail_msg("(%08X) is not %s", tag, dicom_vr_info(expected)->name);
        }
    }
}

static void implicit_vr_has_a_vr_for_every_tag(void **state)
{
    (void)state;
    static const struct {
        uint32_t tag;
        enum dicom_vr vr;
        const char *reason;
    } cases[] = {
        {0x00100010, DICOM_VR_PN, "as in the registry"},
        {0x0040A730, DICOM_VR_SQ, "a sequence"},
        {0x00280106, DICOM_VR_US, "the first of US and SS"},
        {DICOM_PIXEL_DATA, DICOM_VR_OB, "the first of OB and OW"},
        {0x60023000, DICOM_VR_OB, "by a pattern"},
        {0x00080000, DICOM_VR_UL, "a group length"},
        {0x60020000, DICOM_VR_UL, "a group length in a repeating group"},
        {0x10100000, DICOM_VR_UL, "a group length where a pattern takes everything"},
        {0x99980000, DICOM_VR_UL, "a group length of no known group"},
        {0x0010FFFE, DICOM_VR_UN, "unknown"},
        {0x00080202, DICOM_VR_UN, "known, without a VR"},
        {DICOM_ITEM, DICOM_VR_UN, "no element"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (dicom_dictionary_vr(cases[i].tag) != cases[i].vr)
            fail_msg("(%08X) %s: %s", cases[i].tag, cases[i].reason,
                     dicom_vr_info(dicom_dictionary_vr(cases[i].tag))->name);
}

static void a_keyword_is_found_whole_and_as_it_is_written(void **state)
{
    (void)state;
    static const struct {
        const char *keyword;
        size_t len;
        const char *reason;
    } cases[] = {
        {"", 0, "entries without a keyword are not found by it"},
        {NULL, 0, "an empty view"},
        {"patientname", 11, "case counts"},
        {"PatientNam", 10, "a part"},
        {"PatientNames", 12, "more than all"},
        {"PatientName", 12, "with its NUL"},
        {"PatientName\0\0\0\0\0", 16, "with NULs"},
        {"Patient\0ame", 11, "a NUL inside"},
        {" PatientName", 12, "a space before"},
        {"Patient's Name", 14, "a name is no keyword"},
        {"0010,0010", 9, "a number is no keyword"},
        {"x", 1, "short"},
        {"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 9, "no text"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t tag = 0x12345678;
        if (dicom_dictionary_find_keyword(cases[i].keyword, cases[i].len, &tag))
            fail_msg("\"%s\" is found: %s", cases[i].keyword, cases[i].reason);
        assert_int_equal(tag, 0x12345678);
    }
    uint32_t tag = 0;
    assert_non_null(
        dicom_dictionary_find_keyword("PatientNameAndMore", 11, &tag)); /* len counts, not the NUL */
    assert_int_equal(tag, 0x00100010);
    static const char text[] = "PatientName";
    for (size_t len = 0; len < sizeof(text); len++)
        assert_int_equal(dicom_dictionary_find_keyword(text, len, NULL) != NULL, len == 11);
}

/* Many of these have the hash of some keyword, as far as a table of this size looks. */
static void a_keyword_with_one_letter_changed_is_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < dictionary_count; i++) {
        char text[80];
        size_t len = strlen(dictionary_table[i].keyword);
        assert_true(len < sizeof(text));
        memcpy(text, dictionary_table[i].keyword, len);
        for (size_t k = 0; k < len; k++) {
            text[k] ^= 1;
            const struct dicom_entry *entry = dicom_dictionary_find_keyword(text, len, NULL);
            if (entry && (strlen(entry->keyword) != len || memcmp(entry->keyword, text, len) != 0))
                fail_msg("\"%.*s\" is taken for %s", (int)len, text, entry->keyword);
            text[k] ^= 1;
        }
    }
}

static void the_keyword_of_a_repeating_group_means_the_first(void **state)
{
    (void)state;
    static const struct {
        const char *keyword;
        uint32_t tag;
    } cases[] = {
        {"OverlayData", 0x60003000},       {"CurveData", 0x50003000},
        {"VariablePixelData", 0x7F000010}, {"SourceImageIDs", 0x00203100},
        {"CodeLabel", 0x00280800},         {"RowsForNthOrderCoefficients", 0x00280410},
        {"EscapeTriplet", 0x10000010},     {"ZonalMap", 0x10100001},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t tag = 0;
        const struct dicom_entry *entry = by_keyword(cases[i].keyword, &tag);
        assert_non_null(entry);
        assert_int_equal(tag, cases[i].tag);
        assert_int_equal(entry->tag, cases[i].tag);
        assert_ptr_equal(dicom_dictionary_find(tag), entry);
    }
}

static void a_tag_is_read_from_two_forms_alone(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_tag;
        uint32_t tag;
    } cases[] = {
        {"0010,0020", true, 0x00100020},
        {"(0010,0020)", true, 0x00100020},
        {"7fe0,0010", true, DICOM_PIXEL_DATA},
        {"(7FE0,0010)", true, DICOM_PIXEL_DATA},
        {"FfFe,E0dD", true, DICOM_SEQUENCE_DELIMITATION},
        {"0000,0000", true, 0},
        {"FFFF,FFFF", true, UINT32_MAX},
        {"0029,1010", true, 0x00291010}, /* private ones as well */
        {"", false, 0},
        {",", false, 0},
        {"00100020", false, 0},
        {"0x00100020", false, 0},
        {"0010,002", false, 0},
        {"0010,00200", false, 0},
        {"010,00020", false, 0},
        {"0010;0020", false, 0},
        {"0010,002G", false, 0},
        {"0010,002\xC0", false, 0},
        {"@010,0020", false, 0},
        {"\x10"
         "010,0020",
         false, 0}, /* a control character is no digit in disguise */
        {"+010,0020", false, 0},
        {"60xx,3000", false, 0},
        {" 0010,0020", false, 0},
        {"0010,0020 ", false, 0},
        {"(0010,0020", false, 0},
        {"(0010,0020]", false, 0},
        {"[0010,0020)", false, 0},
        {"0010,0020)", false, 0},
        {"((0010,0020", false, 0},
        {"[0010,0020]", false, 0},
        {"(0010, 020)", false, 0},
        {"()", false, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t tag = 0x12345678;
        if (dicom_tag_parse(cases[i].text, strlen(cases[i].text), &tag) != cases[i].is_tag)
            fail_msg("\"%s\"", cases[i].text);
        assert_int_equal(tag, cases[i].is_tag ? cases[i].tag : 0x12345678);
    }
    uint32_t tag = 0;
    assert_true(dicom_tag_parse("0010,00201", 9, &tag)); /* len counts, not the NUL */
    assert_int_equal(tag, 0x00100020);
    assert_false(dicom_tag_parse("0010,0020", 10, &tag));
    assert_false(dicom_tag_parse(NULL, 0, &tag));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_say_what_the_standard_says),
        cmocka_unit_test(every_entry_is_found_by_its_tag_and_by_its_keyword),
        cmocka_unit_test(entries_are_in_order_and_make_sense),
        cmocka_unit_test(patterns_stand_for_their_tags_behind_exact_ones),
        cmocka_unit_test(nothing_is_found_that_was_not_asked_for),
        cmocka_unit_test(private_groups_have_creators_and_the_unknown),
        cmocka_unit_test(implicit_vr_has_a_vr_for_every_tag),
        cmocka_unit_test(a_keyword_is_found_whole_and_as_it_is_written),
        cmocka_unit_test(a_keyword_with_one_letter_changed_is_none),
        cmocka_unit_test(the_keyword_of_a_repeating_group_means_the_first),
        cmocka_unit_test(a_tag_is_read_from_two_forms_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
