/* Attributes of the data set that a configuration names: whether they can be asked for, and where config.attributes has them. */
#ifndef HILUM_SCRIPT_CHECK_ATTRIBUTE_H
#define HILUM_SCRIPT_CHECK_ATTRIBUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dicom/dictionary.h"
#include "dicom/vr.h"
#include "script/fields.h"

/* What an error calls the name: `key "NAME" in when`; and how a tag is written there. */
struct attribute_words {
    const char *before, *after, *tag;
};

/* Takes a name (dicom/path.h) into config.attributes, once for each path. False after an error: no attribute, or none that is known before
 * pixel data and means something as text or number. */
bool check_attribute_name(const struct item *item, const char *name, const struct attribute_words *words,
                          size_t *index_out);

/* The same of a path that is known to be right, by keyword. False without memory. */
bool check_attribute_add(struct check *c, const char *keyword, size_t *index_out);

/* True if an element of this tag may have such a VR. Elements that are unknown, as private ones are, may be anything: their VR shows in
 * each data set. */
bool check_may_be(uint32_t tag, bool (*is_fine)(enum dicom_vr vr));

#endif
