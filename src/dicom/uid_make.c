#include "dicom/uid_make.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "dicom/uid.h"

enum { UUID_BYTES = 16, HMAC_BYTES = 32 };

/* --- UUID to UID --- */

/* By long division: the number is four digits of base 2^32, a remainder by 10^9 gives nine decimal digits at a time, the last first. */
void dicom_uid_of_uuid(const uint8_t uuid[16], char out[DICOM_MADE_UID_CAP])
{
    enum { WORDS = 4, CHUNKS = 5 /* 45 digits; 2^128 has 39 */, CHUNK_DIGITS = 9, BASE = 1000000000 };
    uint32_t words[WORDS];
    char digits[CHUNKS * CHUNK_DIGITS + 1];
    for (size_t i = 0; i < WORDS; i++) {
        words[i] = get_be32(uuid + 4 * i);
    }
    for (size_t chunk = CHUNKS; chunk-- > 0;) {
        uint64_t rest = 0;
        for (size_t i = 0; i < WORDS; i++) {
            uint64_t part = rest << 32 | words[i];
            words[i] = (uint32_t)(part / BASE);
            rest = part % BASE;
        }
        for (size_t i = CHUNK_DIGITS; i-- > 0; rest /= 10) {
            digits[chunk * CHUNK_DIGITS + i] = (char)('0' + rest % 10);
        }
    }
    digits[sizeof(digits) - 1] = '\0';
    size_t zeros = strspn(digits, "0");
    zeros -= digits[zeros] == '\0'; /* nought is one digit */
    int len = snprintf(out, DICOM_MADE_UID_CAP, "2.25.%s", digits + zeros);
    hilum_assert(len > 0 && len < DICOM_MADE_UID_CAP);
}

/* As a UUID of this version, of the variant that RFC 9562 describes (4.1, 4.2). */
static void write_uid(const uint8_t bytes[UUID_BYTES], unsigned version, char out[DICOM_MADE_UID_CAP])
{
    uint8_t uuid[UUID_BYTES];
    memcpy(uuid, bytes, sizeof(uuid));
    uuid[6] = (uint8_t)((uuid[6] & 0x0F) | version << 4);
    uuid[8] = (uint8_t)((uuid[8] & 0x3F) | 0x80);
    dicom_uid_of_uuid(uuid, out);
}

void dicom_uid_new(const uint8_t random[16], char out[DICOM_MADE_UID_CAP])
{
    write_uid(random, 4, out);
}

/* --- keyed --- */

struct dicom_uid_key {
    EVP_MAC_CTX *hmac; /* keyed; each use starts it again */
};

struct dicom_uid_key *dicom_uid_key_new(const void *key, size_t len)
{
    hilum_assert(len > 0);
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                                 OSSL_PARAM_construct_end()};
    struct dicom_uid_key *made = calloc(1, sizeof(*made));
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
    if (made && hmac) {
        made->hmac = EVP_MAC_CTX_new(hmac);
    }
    EVP_MAC_free(hmac); /* the context holds on to it */
    if (!made || !made->hmac || !EVP_MAC_init(made->hmac, key, len, params)) {
        dicom_uid_key_free(&made);
    }
    return made;
}

void dicom_uid_key_free(struct dicom_uid_key **key)
{
    if (*key) {
        EVP_MAC_CTX_free((*key)->hmac);
        free(*key);
        *key = NULL;
    }
}

static bool make_hmac(struct dicom_uid_key *key, struct view text, uint8_t out[HMAC_BYTES])
{
    size_t len = 0;
    return EVP_MAC_init(key->hmac, NULL, 0, NULL) && EVP_MAC_update(key->hmac, text.at, text.len) &&
           EVP_MAC_final(key->hmac, out, &len, HMAC_BYTES) && len == HMAC_BYTES;
}

enum result dicom_uid_map(struct dicom_uid_key *key, struct view old, char out[DICOM_MADE_UID_CAP])
{
    uint8_t hmac[HMAC_BYTES];
    old = dicom_uid_trim(old);
    if (old.len == 0) {
        return ERR_USAGE;
    }
    if (!make_hmac(key, old, hmac)) {
        return ERR_MEMORY;
    }
    write_uid(hmac, 8, out);
    return OK;
}

enum result dicom_hash(struct dicom_uid_key *key, struct view text, char out[DICOM_HASH_CAP])
{
    uint8_t hmac[HMAC_BYTES];
    if (!make_hmac(key, text, hmac)) {
        return ERR_MEMORY;
    }
    for (size_t i = 0; i < DICOM_HASH_CAP - 1; i++) {
        out[i] = "0123456789abcdef"[i % 2 == 0 ? hmac[i / 2] >> 4 : hmac[i / 2] & 0xF];
    }
    out[DICOM_HASH_CAP - 1] = '\0';
    return OK;
}
