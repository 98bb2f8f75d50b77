#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dicom/uid.h"
#include "dicom/uid_table.h"

static const struct dicom_uid *find(const char *uid)
{
    return dicom_uid_find(uid, strlen(uid));
}

static void the_table_is_sorted_and_everything_in_it_is_found(void **state)
{
    (void)state;
    assert_true(uid_table_count > 380);
    for (size_t i = 0; i < uid_table_count; i++) {
        assert_ptr_equal(find(uid_table[i].uid), &uid_table[i]);
        assert_true(i == 0 || strcmp(uid_table[i - 1].uid, uid_table[i].uid) < 0);
        assert_true(strlen(uid_table[i].uid) <= 64);
        assert_non_null(uid_table[i].name);
        assert_non_null(uid_table[i].service);
    }
    for (size_t i = 0; i < uid_by_keyword_count; i++) {
        const struct dicom_uid *entry = &uid_table[uid_by_keyword[i]];
        assert_ptr_equal(dicom_uid_find_keyword(entry->keyword), entry);
    }
}

static void what_is_not_in_the_registry_is_not_found(void **state)
{
    (void)state;
    static const char *const cases[] = {"",
                                        "1",
                                        "1.2.840.10008.1",
                                        "1.2.840.10008.1.2.",
                                        "1.2.840.10008.1.2 ",
                                        "1.2.840.10008.1.2.1.9",
                                        "1.2.840.10008.1.2.1.990",
                                        "9.9",
                                        "nonsense"};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (find(cases[i])) {
            fail_msg("\"%s\" is found", cases[i]);
        }
    }
    assert_null(dicom_uid_find(NULL, 0));
    assert_null(dicom_uid_find_keyword(""));
    assert_null(dicom_uid_find_keyword("ctimagestorage"));
    assert_non_null(dicom_uid_find("1.2.840.10008.1.2.1.99", 17)); /* len counts, not the NUL */
}

/* Spot checks against PS3.6 Table A-1 and PS3.5 section 10, written down by hand. */
static void entries_say_what_the_standard_says(void **state)
{
    (void)state;
    static const struct {
        const char *uid, *keyword, *service;
        enum dicom_uid_type type;
        bool is_retired, is_big_endian, is_implicit, is_encapsulated, is_deflated;
        int loss;
    } cases[] = {
        {DICOM_VERIFICATION, "Verification", "Verification", .type = DICOM_UID_SOP_CLASS},
        {"1.2.840.10008.5.1.4.1.1.2", "CTImageStorage", "Storage", .type = DICOM_UID_SOP_CLASS},
        {"1.2.840.10008.5.1.4.1.1.6", "UltrasoundImageStorageRetired", "Storage", .type = DICOM_UID_SOP_CLASS,
         .is_retired = true},
        {"1.2.840.10008.5.1.4.38.1", "HangingProtocolStorage", "Non-Patient Object Storage",
         .type = DICOM_UID_SOP_CLASS},
        {"1.2.840.10008.5.1.4.1.2.2.1", "StudyRootQueryRetrieveInformationModelFind", "Query/Retrieve",
         .type = DICOM_UID_SOP_CLASS},
        {"1.2.840.10008.5.1.1.9", "BasicGrayscalePrintManagementMeta", "Print Management",
         .type = DICOM_UID_META_SOP_CLASS},
        {DICOM_APPLICATION_CONTEXT, "DICOMApplicationContext", "", .type = DICOM_UID_OTHER},
        {DICOM_IMPLICIT_VR_LE, "ImplicitVRLittleEndian", "", .type = DICOM_UID_TRANSFER_SYNTAX,
         .is_implicit = true},
        {DICOM_EXPLICIT_VR_LE, "ExplicitVRLittleEndian", "", .type = DICOM_UID_TRANSFER_SYNTAX},
        {DICOM_EXPLICIT_VR_BE, "ExplicitVRBigEndian", "", .type = DICOM_UID_TRANSFER_SYNTAX,
         .is_retired = true, .is_big_endian = true},
        {DICOM_DEFLATED_EXPLICIT_LE, "DeflatedExplicitVRLittleEndian", "", .type = DICOM_UID_TRANSFER_SYNTAX,
         .is_deflated = true},
        {"1.2.840.10008.1.2.4.50", "JPEGBaseline8Bit", "", .type = DICOM_UID_TRANSFER_SYNTAX,
         .is_encapsulated = true, .loss = DICOM_LOSSY},
        {"1.2.840.10008.1.2.4.70", "JPEGLosslessSV1", "", .type = DICOM_UID_TRANSFER_SYNTAX,
         .is_encapsulated = true},
        {"1.2.840.10008.1.2.4.90", "JPEG2000Lossless", "", .type = DICOM_UID_TRANSFER_SYNTAX,
         .is_encapsulated = true},
        {"1.2.840.10008.1.2.4.91", "JPEG2000", "", .type = DICOM_UID_TRANSFER_SYNTAX, .is_encapsulated = true,
         .loss = DICOM_EITHER},
        {"1.2.840.10008.1.2.5", "RLELossless", "", .type = DICOM_UID_TRANSFER_SYNTAX,
         .is_encapsulated = true},
        {"1.2.840.113619.5.2", "", "", .type = DICOM_UID_TRANSFER_SYNTAX, .is_implicit = true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct dicom_uid *entry = find(cases[i].uid);
        assert_non_null(entry);
        assert_string_equal(entry->uid, cases[i].uid);
        assert_string_equal(entry->keyword, cases[i].keyword);
        assert_string_equal(entry->service, cases[i].service);
        assert_int_equal(entry->type, cases[i].type);
        assert_int_equal(entry->is_retired, cases[i].is_retired);
        assert_int_equal(entry->is_big_endian, cases[i].is_big_endian);
        assert_int_equal(entry->is_implicit, cases[i].is_implicit);
        assert_int_equal(entry->is_encapsulated, cases[i].is_encapsulated);
        assert_int_equal(entry->is_deflated, cases[i].is_deflated);
        assert_int_equal(entry->loss, cases[i].loss);
    }
}

static void only_known_other_services_are_not_storage(void **state)
{
    (void)state;
    static const struct {
        const char *uid;
        bool is_storage;
        const char *reason;
    } cases[] = {
        {"1.2.840.10008.5.1.4.1.1.2", true, "CT"},
        {"1.2.840.10008.5.1.4.1.1.6", true, "retired ultrasound"},
        {"1.2.840.10008.5.1.4.38.1", true, "hanging protocols use C-STORE, too"},
        {"1.2.840.10008.5.1.4.39.1", true, "so do color palettes"},
        {"1.2.840.10008.5.1.4.1.1.201.1", true, "and inventories"},
        {"1.3.12.2.1107.5.9.1", true, "Siemens CSA, a private class"},
        {"1.2.840.10008.5.1.4.1.1.999999", true, "a class of tomorrow"},
        {"", true, "not known"},
        {DICOM_VERIFICATION, false, "verification"},
        {"1.2.840.10008.5.1.4.1.2.2.1", false, "query"},
        {"1.2.840.10008.5.1.4.31", false, "worklist"},
        {"1.2.840.10008.1.20.1", false, "storage commitment"},
        {"1.2.840.10008.3.1.2.3.3", false, "performed procedure step"},
        {"1.2.840.10008.1.3.10", false, "media directory: never sent"},
        {"1.2.840.10008.5.1.1.9", false, "print management meta"},
        {DICOM_IMPLICIT_VR_LE, false, "a transfer syntax is no abstract syntax"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (dicom_uid_is_storage(view_of(cases[i].uid)) != cases[i].is_storage) {
            fail_msg("%s: %s", cases[i].uid, cases[i].reason);
        }
    }
    assert_false(
        dicom_uid_is_storage((struct view){(const uint8_t *)"1.2.840.10008.1.1\0", 18})); /* padded */
}

static void storage_classes_can_be_counted_through(void **state)
{
    (void)state;
    size_t count = 0;
    bool has_ct = false;
    for (size_t i = 0; dicom_uid_storage_class(i); i++) {
        const struct dicom_uid *entry = dicom_uid_storage_class(i);
        assert_true(dicom_uid_is_storage(view_of(entry->uid)));
        assert_int_equal(entry->type, DICOM_UID_SOP_CLASS);
        has_ct = has_ct || strcmp(entry->keyword, "CTImageStorage") == 0;
        count++;
    }
    size_t expected = 0;
    for (size_t i = 0; i < uid_table_count; i++) {
        expected +=
            uid_table[i].type == DICOM_UID_SOP_CLASS && dicom_uid_is_storage(view_of(uid_table[i].uid));
    }
    assert_int_equal(count, expected);
    assert_true(has_ct);
    assert_null(dicom_uid_storage_class(SIZE_MAX));
}

static void padding_does_not_make_another_uid(void **state)
{
    (void)state;
    static const struct {
        const char *a;
        size_t a_len;
        const char *b;
        size_t b_len;
        bool is_equal;
    } cases[] = {
        {"1.2.3", 5, "1.2.3\0", 6, true}, {"1.2.3  ", 7, "1.2.3\0", 6, true},
        {"1.2.3", 5, "1.2.4", 5, false},  {"1.2.3", 5, "1.2.30", 6, false},
        {"", 0, " \0", 2, true},          {NULL, 0, "", 0, true},
        {NULL, 0, "1", 1, false},         {"1.2.03", 6, "1.2.3", 5, false},
        {" 1.2.3", 6, "1.2.3", 5, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct view a = {(const uint8_t *)cases[i].a, cases[i].a_len};
        struct view b = {(const uint8_t *)cases[i].b, cases[i].b_len};
        assert_int_equal(dicom_uid_equal(a, b), cases[i].is_equal);
        assert_int_equal(dicom_uid_equal(b, a), cases[i].is_equal);
    }
    assert_int_equal(dicom_uid_trim((struct view){(const uint8_t *)"1.2\0 \0", 6}).len, 3);
    assert_true(
        dicom_uid_is((struct view){(const uint8_t *)DICOM_IMPLICIT_VR_LE "\0", 18}, DICOM_IMPLICIT_VR_LE));
    assert_false(dicom_uid_is(view_of(DICOM_EXPLICIT_VR_LE), DICOM_IMPLICIT_VR_LE));
}

/* 2.25 and a UUID as a decimal: no leading zero, below 2^128 (PS3.5 B.2). Compared as text of equal length. */
static void our_implementation_uid_is_valid(void **state)
{
    (void)state;
    const char *uid = HILUM_IMPLEMENTATION_UID;
    assert_int_equal(strncmp(uid, "2.25.", 5), 0);
    const char *number = uid + 5;
    assert_int_equal(strspn(number, "0123456789"), strlen(number));
    assert_int_not_equal(number[0], '0');
    assert_int_equal(strlen(number), 39);
    assert_true(strcmp(number, "340282366920938463463374607431768211456") < 0);
    /* the UUID that the standard uses as its example is everybody's and nobody's */
    assert_string_not_equal(number, "329800735698586629295641978511506172918");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_is_sorted_and_everything_in_it_is_found),
        cmocka_unit_test(what_is_not_in_the_registry_is_not_found),
        cmocka_unit_test(entries_say_what_the_standard_says),
        cmocka_unit_test(only_known_other_services_are_not_storage),
        cmocka_unit_test(storage_classes_can_be_counted_through),
        cmocka_unit_test(padding_does_not_make_another_uid),
        cmocka_unit_test(our_implementation_uid_is_valid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
