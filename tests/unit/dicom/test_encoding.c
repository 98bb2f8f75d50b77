#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dicom/encoding.h"
#include "dicom/uid.h"
#include "dicom/uid_table.h"

#define UID(text)                                                                                            \
    {                                                                                                        \
        (const uint8_t *)(text), sizeof(text) - 1                                                            \
    }

static void a_transfer_syntax_says_how_elements_are_written(void **state)
{
    (void)state;
    static const struct {
        struct view uid;
        bool is_explicit, is_big_endian, is_deflated;
        const char *reason;
    } cases[] = {
        {UID(DICOM_IMPLICIT_VR_LE), false, false, false, "Implicit VR"},
        {UID(DICOM_IMPLICIT_VR_LE "\0"), false, false, false, "padded with NUL, as UIDs are"},
        {UID(DICOM_IMPLICIT_VR_LE " "), false, false, false, "padded with a space, as some do"},
        {UID(DICOM_EXPLICIT_VR_LE), true, false, false, "Explicit VR"},
        {UID(DICOM_EXPLICIT_VR_BE), true, true, false, "big endian"},
        {UID(DICOM_EXPLICIT_VR_BE "\0"), true, true, false, "big endian, padded"},
        {UID(DICOM_DEFLATED_EXPLICIT_LE), true, false, true, "deflated"},
        {UID(DICOM_DEFLATED_EXPLICIT_LE "\0"), true, false, true, "deflated, padded"},
        {UID("1.2.840.10008.1.2.4.95"), true, false, true, "JPIP Referenced Deflate"},
        {UID("1.2.840.10008.1.2.4.205"), true, false, true, "JPIP HTJ2K Referenced Deflate"},
        {UID("1.2.840.10008.1.2.4.94"), true, false, false, "JPIP Referenced"},
        {UID("1.2.840.10008.1.2.8.1"), true, false, false,
         "Deflated Image Frame: frames are, elements are not"},
        {UID("1.2.840.10008.1.2.1.98"), true, false, false, "Encapsulated Uncompressed"},
        {UID("1.2.840.10008.1.2.4.50"), true, false, false, "JPEG"},
        {UID("1.2.840.10008.1.2.4.90"), true, false, false, "JPEG 2000"},
        {UID("1.2.840.10008.1.2.5"), true, false, false, "RLE"},
        {UID("1.2.840.113619.5.2"), false, false, false, "GE's: big endian in its pixels alone"},
        {UID("1.2.840.10008.1.2.99999"), true, false, false, "a syntax of tomorrow"},
        {UID("1.2.3.4"), true, false, false, "a private syntax"},
        {UID("1.2.840.10008.5.1.4.1.1.2"), true, false, false, "no transfer syntax at all"},
        {UID("1.2.840.10008.1.2 .1"), true, false, false, "no UID"},
        {UID(""), true, false, false, "empty"},
        {UID("\0 \0"), true, false, false, "padding"},
        {{NULL, 0}, true, false, false, "nothing"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        bool is_deflated = !cases[i].is_deflated;
        struct dicom_encoding encoding = dicom_encoding_of(cases[i].uid, &is_deflated);
        if (encoding.is_explicit != cases[i].is_explicit ||
            encoding.is_big_endian != cases[i].is_big_endian || is_deflated != cases[i].is_deflated)
            fail_msg("%s", cases[i].reason);
    }
}

/* PS3.5 Annex A has one Implicit VR and one big endian; the registry besides a retired one (Papyrus 3) and GE's. */
static void only_few_are_not_explicit_little_endian(void **state)
{
    (void)state;
    size_t implicit = 0, big_endian = 0;
    for (size_t i = 0; i < uid_table_count; i++) {
        bool is_deflated = false;
        struct dicom_encoding encoding = dicom_encoding_of(view_of(uid_table[i].uid), &is_deflated);
        implicit += !encoding.is_explicit;
        big_endian += encoding.is_big_endian;
        assert_false(is_deflated && (!encoding.is_explicit || encoding.is_big_endian));
    }
    assert_int_equal(implicit, 3);
    assert_int_equal(big_endian, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transfer_syntax_says_how_elements_are_written),
        cmocka_unit_test(only_few_are_not_explicit_little_endian),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
