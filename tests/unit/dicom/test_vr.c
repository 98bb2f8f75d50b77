#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dicom/vr.h"

/* Every VR against PS3.5 6.2 (Table 6.2-1), 7.1.2 (which have long lengths), 7.3 (what big endian swaps) and 6.1.2.2 (which texts follow
 * the Specific Character Set), written down by hand. */
static void every_vr_is_as_the_standard_has_it(void **state)
{
    (void)state;
    static const struct dicom_vr_info cases[] = {
        /*     kind         unit long   pad   ext    values signed real   max */
        {"AE", DICOM_TEXT, 1, false, ' ', false, true, false, false, 16},
        {"AS", DICOM_TEXT, 1, false, ' ', false, true, false, false, 4},
        {"AT", DICOM_TAGS, 2, false, '\0', false, false, false, false, 0},
        {"CS", DICOM_TEXT, 1, false, ' ', false, true, false, false, 16},
        {"DA", DICOM_TEXT, 1, false, ' ', false, true, false, false, 8},
        {"DS", DICOM_TEXT, 1, false, ' ', false, true, false, false, 16},
        {"DT", DICOM_TEXT, 1, false, ' ', false, true, false, false, 26},
        {"FD", DICOM_NUMBER, 8, false, '\0', false, false, true, true, 0},
        {"FL", DICOM_NUMBER, 4, false, '\0', false, false, true, true, 0},
        {"IS", DICOM_TEXT, 1, false, ' ', false, true, false, false, 12},
        {"LO", DICOM_TEXT, 1, false, ' ', true, true, false, false, 64},
        {"LT", DICOM_TEXT, 1, false, ' ', true, false, false, false, 10240},
        {"OB", DICOM_BYTES, 1, true, '\0', false, false, false, false, 0},
        {"OD", DICOM_BYTES, 8, true, '\0', false, false, false, false, 0},
        {"OF", DICOM_BYTES, 4, true, '\0', false, false, false, false, 0},
        {"OL", DICOM_BYTES, 4, true, '\0', false, false, false, false, 0},
        {"OV", DICOM_BYTES, 8, true, '\0', false, false, false, false, 0},
        {"OW", DICOM_BYTES, 2, true, '\0', false, false, false, false, 0},
        {"PN", DICOM_TEXT, 1, false, ' ', true, true, false, false, 64},
        {"SH", DICOM_TEXT, 1, false, ' ', true, true, false, false, 16},
        {"SL", DICOM_NUMBER, 4, false, '\0', false, false, true, false, 0},
        {"SQ", DICOM_ITEMS, 1, true, '\0', false, false, false, false, 0},
        {"SS", DICOM_NUMBER, 2, false, '\0', false, false, true, false, 0},
        {"ST", DICOM_TEXT, 1, false, ' ', true, false, false, false, 1024},
        {"SV", DICOM_NUMBER, 8, true, '\0', false, false, true, false, 0},
        {"TM", DICOM_TEXT, 1, false, ' ', false, true, false, false, 14},
        {"UC", DICOM_TEXT, 1, true, ' ', true, true, false, false, 0},
        {"UI", DICOM_TEXT, 1, false, '\0', false, true, false, false, 64},
        {"UL", DICOM_NUMBER, 4, false, '\0', false, false, false, false, 0},
        {"UN", DICOM_BYTES, 1, true, '\0', false, false, false, false, 0},
        {"UR", DICOM_TEXT, 1, true, ' ', false, false, false, false, 0},
        {"US", DICOM_NUMBER, 2, false, '\0', false, false, false, false, 0},
        {"UT", DICOM_TEXT, 1, true, ' ', true, false, false, false, 0},
        {"UV", DICOM_NUMBER, 8, true, '\0', false, false, false, false, 0},
    };
    assert_int_equal(sizeof(cases) / sizeof(cases[0]), DICOM_VR_COUNT - 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct dicom_vr_info *expected = &cases[i];
        enum dicom_vr vr = dicom_vr_parse((const uint8_t *)expected->name);
        const struct dicom_vr_info *info = dicom_vr_info(vr);
        assert_int_equal(vr, i + 1); /* by name, as the enumeration has them */
        assert_string_equal(info->name, expected->name);
        if (info->kind != expected->kind || info->unit != expected->unit ||
            info->is_long != expected->is_long || info->pad != expected->pad ||
            info->is_extended != expected->is_extended || info->has_values != expected->has_values ||
            info->is_signed != expected->is_signed || info->is_real != expected->is_real ||
            info->max != expected->max)
            fail_msg("%s is not as PS3.5 has it", info->name);
    }
}

/* PS3.5 6.2, 7.1.2: letters of a VR to come are bytes with a 32-bit length. */
static void what_is_no_vr_is_bytes_with_a_long_length(void **state)
{
    (void)state;
    const struct dicom_vr_info *info = dicom_vr_info(DICOM_VR_UNKNOWN);
    assert_int_equal(info->kind, DICOM_BYTES);
    assert_int_equal(info->unit, 1);
    assert_true(info->is_long);
    assert_int_equal(info->pad, '\0');
}

static void no_other_two_bytes_are_a_vr(void **state)
{
    (void)state;
    size_t known = 0;
    for (unsigned pair = 0; pair <= 0xFFFF; pair++) {
        const uint8_t letters[2] = {(uint8_t)(pair >> 8), (uint8_t)pair};
        enum dicom_vr vr = dicom_vr_parse(letters);
        if (vr == DICOM_VR_UNKNOWN)
            continue;
        assert_memory_equal(dicom_vr_info(vr)->name, letters, 2);
        known++;
    }
    assert_int_equal(known, DICOM_VR_COUNT - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_vr_is_as_the_standard_has_it),
        cmocka_unit_test(what_is_no_vr_is_bytes_with_a_long_length),
        cmocka_unit_test(no_other_two_bytes_are_a_vr),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
