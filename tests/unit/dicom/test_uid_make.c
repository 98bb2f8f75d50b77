#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dicom/uid_make.h"
#include "dicom/value.h"

static struct dicom_uid_key *key_of(const char *text)
{
    struct dicom_uid_key *key = dicom_uid_key_new(text, strlen(text));
    assert_non_null(key);
    return key;
}

/* Python: uuid.UUID(hex).int */
static void a_uuid_is_written_as_one_decimal(void **state)
{
    (void)state;
    static const struct {
        uint8_t uuid[16];
        const char *uid;
    } cases[] = {
        /* f81d4fae-7dec-11d0-a765-00a0c91e6bf6, the example of PS3.5 B.2 and X.667 */
        {{0xf8, 0x1d, 0x4f, 0xae, 0x7d, 0xec, 0x11, 0xd0, 0xa7, 0x65, 0x00, 0xa0, 0xc9, 0x1e, 0x6b, 0xf6},
         "2.25.329800735698586629295641978511506172918"},
        {{0}, "2.25.0"},
        {{[15] = 1}, "2.25.1"},
        {{[12] = 0x3b, 0x9a, 0xca, 0x00}, "2.25.1000000000"}, /* zeros inside stay */
        {{[8] = 0x0d, 0xe0, 0xb6, 0xb3, 0xa7, 0x64, 0x00, 0x00}, "2.25.1000000000000000000"},
        {{[7] = 1}, "2.25.18446744073709551616"}, /* 2^64 */
        {{0x80}, "2.25.170141183460469231731687303715884105728"},
        {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
         "2.25.340282366920938463463374607431768211455"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[DICOM_MADE_UID_CAP];
        dicom_uid_of_uuid(cases[i].uuid, out);
        assert_string_equal(out, cases[i].uid);
    }
}

static void a_new_uid_is_a_random_uuid_of_version_4(void **state)
{
    (void)state;
    uint8_t random[16];
    char out[DICOM_MADE_UID_CAP];
    memset(random, 0xff, sizeof(random)); /* ffffffff-ffff-4fff-bfff-ffffffffffff */
    dicom_uid_new(random, out);
    assert_string_equal(out, "2.25.340282366920937632322261936355783213055");
    memset(random, 0, sizeof(random)); /* 00000000-0000-4000-8000-000000000000 */
    dicom_uid_new(random, out);
    assert_string_equal(out, "2.25.302240678275694148452352");
    assert_int_equal(random[6], 0); /* the caller's bytes stay */
}

/*
 * These must never change: people compare data sets that were mapped years apart. Made with Python's hmac:
 * d = bytearray(hmac.new(key, old, "sha256").digest()[:16]); d[6] = d[6] & 15 | 128; d[8] = d[8] & 63 | 128; int.from_bytes(d, "big")
 */
static void a_uid_maps_to_the_same_one_for_ever(void **state)
{
    (void)state;
    static const struct {
        const char *key, *old, *made;
    } cases[] = {
        {"secret", "1.2.840.113619.2.5.1762583153.215519.978957063.78",
         "2.25.55983141333187245196329269322938637135"},
        {"secret", "1.2.3", "2.25.96864299995093350605813192188139972049"},
        {"other", "1.2.3", "2.25.233838422423414337806649413186005320628"},
        {"secret", "not a UID", "2.25.178053149541432002058345140046047809725"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dicom_uid_key *key = key_of(cases[i].key);
        char out[DICOM_MADE_UID_CAP];
        for (int again = 0; again < 2; again++) { /* a key can be used more than once */
            assert_int_equal(dicom_uid_map(key, view_of(cases[i].old), out), OK);
            assert_string_equal(out, cases[i].made);
            assert_null(dicom_text_check(DICOM_VR_UI, view_of(out)));
        }
        dicom_uid_key_free(&key);
        assert_null(key);
    }
}

static void padding_does_not_make_another_mapped_uid(void **state)
{
    (void)state;
    struct dicom_uid_key *key = key_of("secret");
    static const struct view same[] = {
        {(const uint8_t *)"1.2.840.10008", 13},
        {(const uint8_t *)"1.2.840.10008\0", 14},
        {(const uint8_t *)"1.2.840.10008 \0 ", 16},
    };
    char first[DICOM_MADE_UID_CAP];
    char out[DICOM_MADE_UID_CAP];
    assert_int_equal(dicom_uid_map(key, same[0], first), OK);
    for (size_t i = 1; i < sizeof(same) / sizeof(same[0]); i++) {
        assert_int_equal(dicom_uid_map(key, same[i], out), OK);
        assert_string_equal(out, first);
    }
    assert_int_equal(dicom_uid_map(key, view_of("1.2.840.10009"), out), OK);
    assert_string_not_equal(out, first);
    assert_int_equal(dicom_uid_map(key, (struct view){NULL, 0}, out), ERR_USAGE);
    assert_int_equal(dicom_uid_map(key, (struct view){(const uint8_t *)"\0 ", 2}, out), ERR_USAGE);
    dicom_uid_key_free(&key);
    dicom_uid_key_free(&key);
}

/* RFC 4231, test cases 2 and 6 (a key longer than a block), cut to 128 bits as its case 5 does; openssl dgst shows the rest. */
static void a_hash_is_the_front_of_an_hmac(void **state)
{
    (void)state;
    char long_key[132];
    memset(long_key, 0xaa, 131);
    long_key[131] = '\0';
    static const char nul[] = "a\0b";
    struct dicom_uid_key *key = key_of("Jefe");
    char out[DICOM_HASH_CAP];
    char other[DICOM_HASH_CAP];
    assert_int_equal(dicom_hash(key, view_of("what do ya want for nothing?"), out), OK);
    assert_string_equal(out, "5bdcc146bf60754e6a042426089575c7");
    assert_int_equal(dicom_hash(key, (struct view){NULL, 0}, out), OK);
    assert_int_equal(strlen(out), 32);
    assert_int_equal(dicom_hash(key, (struct view){(const uint8_t *)nul, 3}, out), OK);
    assert_int_equal(dicom_hash(key, view_of("a"), other), OK);
    assert_string_not_equal(out, other); /* every byte counts */
    assert_int_equal(dicom_hash(key, view_of("a "), out), OK);
    assert_string_not_equal(out, other);
    dicom_uid_key_free(&key);
    key = key_of(long_key);
    assert_int_equal(dicom_hash(key, view_of("Test Using Larger Than Block-Size Key - Hash Key First"), out),
                     OK);
    assert_string_equal(out, "60e431591ee0b67f0d8a26aacbf5b77f");
    dicom_uid_key_free(&key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_uuid_is_written_as_one_decimal),
        cmocka_unit_test(a_new_uid_is_a_random_uuid_of_version_4),
        cmocka_unit_test(a_uid_maps_to_the_same_one_for_ever),
        cmocka_unit_test(padding_does_not_make_another_mapped_uid),
        cmocka_unit_test(a_hash_is_the_front_of_an_hmac),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
