/* The UID registry (PS3.6 Annex A) as far as a router needs it; the table is generated (uid_table.c). */
#ifndef HILUM_DICOM_UID_H
#define HILUM_DICOM_UID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/version.h"

enum dicom_uid_type {
    DICOM_UID_OTHER,
    DICOM_UID_SOP_CLASS,
    DICOM_UID_META_SOP_CLASS,
    DICOM_UID_TRANSFER_SYNTAX
};

struct dicom_uid {
    const char *uid, *keyword, *name; /* a private one's keyword is "" */
    const char *service; /* SOP classes: "Storage", "Verification", "Query/Retrieve", ...; "" otherwise */
    enum dicom_uid_type type;
    bool is_retired;
    /* transfer syntaxes */
    bool is_big_endian, is_implicit, is_encapsulated, is_deflated;
    enum { DICOM_LOSSLESS, DICOM_LOSSY, DICOM_EITHER } loss;
};

#define DICOM_APPLICATION_CONTEXT  "1.2.840.10008.3.1.1.1"
#define DICOM_VERIFICATION         "1.2.840.10008.1.1"
#define DICOM_IMPLICIT_VR_LE       "1.2.840.10008.1.2"
#define DICOM_EXPLICIT_VR_LE       "1.2.840.10008.1.2.1"
#define DICOM_EXPLICIT_VR_BE       "1.2.840.10008.1.2.2"
#define DICOM_DEFLATED_EXPLICIT_LE "1.2.840.10008.1.2.1.99"

/* Ours, sent in 52 and 55 and in files: root 2.25 of a random UUID. */
#define HILUM_IMPLEMENTATION_UID "2.25.288870907844239574848278585685882070710"

/* Likewise; at most 16 characters (PS3.7 D.3.3.2.3). */
#define HILUM_IMPLEMENTATION_VERSION "HILUM_" HILUM_VERSION

/* Exact text (without padding). NULL if the registry does not have it. */
const struct dicom_uid *dicom_uid_find(const char *uid, size_t len);
/* By keyword, e.g. "JPEG2000Lossless". NULL if unknown. */
const struct dicom_uid *dicom_uid_find_keyword(const char *keyword);

/* Storage as negotiation sees it: every abstract syntax that the registry does not know, and every SOP class that uses
 * C-STORE (composite and non-patient objects). What the registry knows as something else is not. */
bool dicom_uid_is_storage(struct view uid);

/* The i-th entry of the registry, rising by UID; NULL past the last. */
const struct dicom_uid *dicom_uid_at(size_t i);

/* The i-th SOP class of the registry that uses C-STORE, retired ones included, rising by UID; NULL past the last. */
const struct dicom_uid *dicom_uid_storage_class(size_t i);

/* The view without trailing NULs and spaces. */
struct view dicom_uid_trim(struct view uid);
/* Equal but for padding. */
bool dicom_uid_equal(struct view a, struct view b);
/* Against a C string. */
bool dicom_uid_is(struct view uid, const char *text);

#endif
