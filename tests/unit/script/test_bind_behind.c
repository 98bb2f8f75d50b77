/* What a rule says of pixel data and what stands behind, which it does not see: it can be removed, and it is told what else may stand there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "binding.h"
#include "dicom/tag.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    REFERENCED = DICOM_TAG(0x0008, 0x1140), /* ReferencedImageSequence */
    PATIENT_ID = DICOM_TAG(0x0010, 0x0020)
};

static void what_stands_behind_can_be_removed_only(void **state)
{
    struct bound b =
        bound_morph(*state, "assert(ds.PixelData == nil) ds.PixelData = nil ds.PixelData = nil "
                            "ds['FFFC,FFFC'] = nil ds.PatientID = 'x' "
                            "for _, set in ipairs { 'PixelData', 'DataSetTrailingPadding' } do "
                            "local ok, why = pcall(function() ds[set] = 'x' end) "
                            "assert(not ok and why:find('can be removed, not set', 1, true)) end "
                            "assert(not pcall(function() ds:private('A', 0x7FE1, 0x10, 'x') end)) "
                            "ds.ReferencedImageSequence = { { ['7FE0,0010'] = 'xx' } } "
                            "ds.ReferencedImageSequence[1].PixelData = nil");
    b.behind = DICOM_PIXEL_DATA;
    bound_fill_patient(&b.in, b.encoding);
    bound_run_ok(&b);
    assert_int_equal(b.tail_count, 2);
    assert_int_equal(b.tail[0], DICOM_PIXEL_DATA);
    assert_int_equal(b.tail[1], DICOM_TRAILING_PADDING);
    assert_false(b.tail_drops_private);
    bound_close(&b);

    b = bound_morph(*state, "ds:remove_private()");
    b.behind = DICOM_PIXEL_DATA;
    bound_fill_patient(&b.in, b.encoding);
    bound_run_ok(&b);
    assert_true(b.tail_drops_private && !b.is_changed);
    bound_close(&b);

    b = bound_morph(*state, "ds:remove_private('behind')");
    b.behind = DICOM_PIXEL_DATA;
    bound_fill_private(&b.in, b.encoding);
    bound_run_ok(&b);
    assert_true(b.tail_drops_private && !b.is_changed);
    bound_close(&b);

    b = bound_morph(*state, "ds.ReferencedImageSequence[1]:remove_private()");
    b.behind = DICOM_PIXEL_DATA;
    bound_fill_sequence(&b.in, b.encoding);
    bound_run_ok(&b);
    assert_false(b.tail_drops_private);
    bound_close(&b);
}

static void only_so_many_can_be_removed_behind(void **state)
{
    struct bound b = bound_morph(*state, "for i = 1, 32 do ds[0x7FE00020 + i] = nil end ds[0x7FE00021] = nil "
                                         "ds[0x7FE00050] = nil");
    b.behind = DICOM_PIXEL_DATA;
    bound_run_fails(&b, "(7FE0,0050): too many elements behind pixel data are removed; at most 32 can be");
    assert_int_equal(b.tail_count, BIND_TAIL_MAX);
    bound_close(&b);
}

/* What was set or removed may stand behind pixel data as well, put there by a broken writer: its tag is told, once. */
static void what_a_morph_touches_is_told_for_what_stands_behind(void **state)
{
    static const struct {
        const char *body;
        uint32_t touched[4];
    } cases[] = {
        {"local id, s = ds.PatientID, ds.ReferencedImageSequence[1].PatientID for e in ds:elements() do end",
         {0}},
        {"ds.PatientID = 'x' ds.PatientID = ds.PatientID", {PATIENT_ID}},
        {"ds.PatientID = ds.PatientID ds.OtherPatientNames = nil", {PATIENT_ID, DICOM_TAG(0x0010, 0x1001)}},
        {"pcall(function() ds.Modality = 'not one' end)", {0}},
        {"for e in ds:elements() do if e.keyword == 'PatientID' then e.value = nil end end", {PATIENT_ID}},
        {"for e in ds:elements() do if e.keyword == 'PatientID' then e.value = 'x' end end", {PATIENT_ID}},
        {"ds.ReferencedImageSequence[1].PatientID = 'x'", {REFERENCED}},
        {"ds.ReferencedImageSequence[2].ReferencedSOPInstanceUID = nil", {REFERENCED}},
        {"ds.ReferencedImageSequence[2] = nil", {REFERENCED}},
        {"ds.ReferencedImageSequence = nil ds.SpecificCharacterSet = nil",
         {REFERENCED, DICOM_SPECIFIC_CHARACTER_SET}},
        {"ds.PixelData = nil", {0}},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        for (int has_pixels = 0; has_pixels < 2; has_pixels++) {
            struct bound b = bound_morph(*state, cases[i].body);
            size_t count = 0;
            b.behind = has_pixels ? DICOM_PIXEL_DATA : 0;
            bound_fill_sequence(&b.in, b.encoding);
            bound_fill_patient(&b.in, b.encoding);
            bound_run_ok(&b);
            while (has_pixels && count < 4 && cases[i].touched[count] != 0)
                count++;
            assert_int_equal(b.touched_count, count);
            assert_memory_equal(b.touched, cases[i].touched, count * sizeof(uint32_t));
            assert_false(b.tail_drops_below);
            bound_close(&b);
        }
}

/* No list grows with what a rule does: past its end all that is out of order goes. */
static void who_touches_many_touches_all_that_is_out_of_order(void **state)
{
    for (int count = BIND_TOUCHED_MAX; count <= BIND_TOUCHED_MAX + 1; count++) {
        char body[200];
        snprintf(body, sizeof(body), "for n = 1, 2 do for i = 1, %d do ds[0x00200000 + i] = nil end end",
                 count);
        struct bound b = bound_morph(*state, body);
        b.behind = DICOM_PIXEL_DATA;
        bound_fill_patient(&b.in, b.encoding);
        bound_run_ok(&b);
        assert_int_equal(b.touched_count, BIND_TOUCHED_MAX);
        assert_int_equal(b.tail_drops_below, count > BIND_TOUCHED_MAX);
        assert_false(b.is_changed);
        bound_close(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_stands_behind_can_be_removed_only),
        cmocka_unit_test(only_so_many_can_be_removed_behind),
        cmocka_unit_test(what_a_morph_touches_is_told_for_what_stands_behind),
        cmocka_unit_test(who_touches_many_touches_all_that_is_out_of_order),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
