/*
 * Path patterns of folder nodes: "/data/{calling}/{date}/{SOPInstanceUID}.dcm".
 *
 * Fields of this version: SOPInstanceUID, SOPClassUID, calling, called, date (YYYYMMDD, local, of arrival). Values come from
 * peers, so they are made safe: bytes other than letters, digits, `.`, `-`, `_` become `_`; leading dots become `_`
 * (no `.`, no `..`, no hidden files); an empty value becomes `_`; a value is cut at 64 bytes... a path component at 255.
 */
#ifndef HILUM_CONFIG_PATTERN_H
#define HILUM_CONFIG_PATTERN_H

#include "base/bytes.h"
#include "base/result.h"

struct pattern_values {
    struct view sop_instance, sop_class, calling, called;
    const char *date;
};

/* OK, or ERR_USAGE with *why_out (e.g. "{PatientID} is not available in this version; ...", "the last component must
 * hold {SOPInstanceUID}", "'{' without '}'"). Text is written to why. */
MUST_USE enum result pattern_check(const char *pattern, char *why, size_t why_cap);

/* Writes the path, NUL-terminated. ERR_LIMIT if it does not fit in cap. The pattern has been checked. */
MUST_USE enum result pattern_expand(const char *pattern, const struct pattern_values *values, char *path, size_t cap);

#endif
