/*
 * Path patterns of folder nodes: "/data/{calling}/{date}/{SOPInstanceUID}.dcm".
 *
 * Fields are facts (SOPInstanceUID, SOPClassUID, calling, called, date: YYYYMMDD, local, of arrival) and attributes of the data
 * set as dicom/path.h names them: {Modality}, {0008,0060}, {RequestAttributesSequence[1].ScheduledProcedureStepID}.
 *
 * Values come from peers, so they are made safe: bytes other than letters, digits, `.`, `-`, `_` become `_`; leading dots become
 * `_` (no `.`, no `..`, no hidden files); a value that is empty or missing becomes `_`. A UID is cut at 64 bytes, a title at 16, a
 * date at 8, another attribute at what its VR allows, 64 at most.
 * A checked pattern cannot make a component longer than PATTERN_COMPONENT_MAX: what is left of the 255 bytes of
 * a file name is for the suffixes of temporary and numbered files.
 */
#ifndef HILUM_CONFIG_PATTERN_H
#define HILUM_CONFIG_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/result.h"

#define PATTERN_COMPONENT_MAX 220
#define PATTERN_PATH_MAX      3500 /* of the 4096 that the system takes */

enum { PATTERN_ATTRIBUTES_MAX = 16 }; /* in one pattern */

struct pattern_values {
    struct view sop_instance, sop_class, calling, called;
    const char *date;
    const struct view *attributes; /* in the order of pattern_next_attribute; NULL: every one is empty */
};

/* OK, or ERR_USAGE with a text in why (e.g. "...must hold {SOPInstanceUID}", "'{' without '}'"): what is wrong; what would be right.
 * Always terminated. Whether names of attributes mean something is for the caller to judge. */
MUST_USE enum result pattern_check(const char *pattern, char *why, size_t why_cap);

/* Goes through the attributes of a checked pattern: *p, which starts as the pattern, moves behind the next. False: there is none. The
 * UIDs of class and instance are facts, under whatever name. */
bool pattern_next_attribute(const char **p, struct view *name_out);

/* Writes the path, NUL-terminated. ERR_LIMIT if it does not fit in cap. The pattern has been checked. */
MUST_USE enum result pattern_expand(const char *pattern, const struct pattern_values *values, char *path,
                                    size_t cap);

#endif
