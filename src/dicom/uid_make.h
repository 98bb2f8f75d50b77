/*
 * New UIDs and repeatable ones, and a keyed hash of texts: what rules use to take identities away.
 *
 * All made UIDs stand under 2.25, which is everybody's: 128 bits of a UUID as a decimal (PS3.5 B.2). The same key and text
 * give the same result in every process, on every machine and in every later version: people rely on it over years.
 * Without the key nobody can say what a result came from, nor try out likely texts.
 */
#ifndef HILUM_DICOM_UID_MAKE_H
#define HILUM_DICOM_UID_MAKE_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/result.h"

/* Room for "2.25.", at most 39 digits, and NUL. */
#define DICOM_MADE_UID_CAP 45
/* Room for 32 hex digits and NUL. */
#define DICOM_HASH_CAP 33

/* "2.25." and the UUID, the first byte the most significant, as a decimal without leading zeros. */
void dicom_uid_of_uuid(const uint8_t uuid[16], char out[DICOM_MADE_UID_CAP]);

/* Of 16 random bytes; the six bits that name a random UUID (version 4, RFC 9562) are set here. */
void dicom_uid_new(const uint8_t random[16], char out[DICOM_MADE_UID_CAP]);

/* A key made ready: a third of the cost of HMAC with a bare key. Copies and wipes it; one per thread. */
struct dicom_uid_key;

/* NULL without memory. An empty key is the caller's mistake: it hides nothing. */
struct dicom_uid_key *dicom_uid_key_new(const void *key, size_t len);
/* Nulls it; NULL is nothing to free. */
void dicom_uid_key_free(struct dicom_uid_key **key);

/* The first 16 bytes of HMAC-SHA-256(key, old without padding) as a UUID of version 8 (RFC 9562: made by an application's own rule).
 * `old` may be any text, also one that is no valid UID. ERR_USAGE: it is empty. ERR_MEMORY: libcrypto has none. */
MUST_USE enum result dicom_uid_map(struct dicom_uid_key *key, struct view old, char out[DICOM_MADE_UID_CAP]);

/* The first 16 bytes of HMAC-SHA-256(key, text) as 32 lower-case hex digits: no two texts will meet (128 bits), and it fits an LO. What
 * `openssl dgst -sha256 -hmac KEY` shows begins with it, so that a mapping can be looked up by hand. Every byte of `text`
 * counts, spaces too. ERR_MEMORY: libcrypto has none. */
MUST_USE enum result dicom_hash(struct dicom_uid_key *key, struct view text, char out[DICOM_HASH_CAP]);

#endif
