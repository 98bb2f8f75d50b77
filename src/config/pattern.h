/*
 * Path patterns of folder nodes: "/data/{calling}/{date}/{SOPInstanceUID}.dcm".
 *
 * Fields of this version: SOPInstanceUID, SOPClassUID, calling, called, date (YYYYMMDD, local, of arrival). Values come from
 * peers, so they are made safe: bytes other than letters, digits, `.`, `-`, `_` become `_`; leading dots become `_`
 * (no `.`, no `..`, no hidden files); an empty value becomes `_`. A UID is cut at 64 bytes, a title at 16, a date at 8.
 * A checked pattern cannot make a component longer than PATTERN_COMPONENT_MAX: what is left of the 255 bytes of
 * a file name is for the suffixes of temporary and numbered files.
 */
#ifndef HILUM_CONFIG_PATTERN_H
#define HILUM_CONFIG_PATTERN_H

#include "base/bytes.h"
#include "base/result.h"

#define PATTERN_COMPONENT_MAX 220
#define PATTERN_PATH_MAX      3500 /* of the 4096 that the system takes */

struct pattern_values {
    struct view sop_instance, sop_class, calling, called;
    const char *date;
};

/* OK, or ERR_USAGE with a text in why (e.g. "{PatientID} is not available in this version; ...", "...must hold {SOPInstanceUID}",
 * "'{' without '}'"): what is wrong; what would be right. Always terminated. */
MUST_USE enum result pattern_check(const char *pattern, char *why, size_t why_cap);

/* Writes the path, NUL-terminated. ERR_LIMIT if it does not fit in cap. The pattern has been checked. */
MUST_USE enum result pattern_expand(const char *pattern, const struct pattern_values *values, char *path,
                                    size_t cap);

#endif
