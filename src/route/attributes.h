/*
 * What a message's data set says about the attributes that conditions ask for: found by dicom/peek.h, made into text and
 * numbers here, once, and looked up by conditions.
 */
#ifndef HILUM_ROUTE_ATTRIBUTES_H
#define HILUM_ROUTE_ATTRIBUTES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/octets.h"
#include "base/result.h"
#include "config/config.h"
#include "dicom/charset.h"
#include "dicom/peek.h"
#include "dicom/value.h"

enum { ROUTE_VALUES_MAX = 1024 }; /* of an attribute; one with more matches nothing */

/* One value, which is not empty. */
struct route_value {
    size_t text_at,
        text_len; /* in route_attributes.text: UTF-8 without padding; of a binary number its decimal, of an AT "0018,1063" */
    bool is_binary; /* the number is given; a text may be one nevertheless */
    bool is_single; /* of four bytes: compared as such, so that 0.1 is 0.1 */
    struct dicom_number number;
};

struct route_attribute {
    bool is_known;
    bool
        is_opaque; /* it is there, but nothing can be compared: a sequence, bytes, too long, too many values */
    size_t first, count; /* of route_attributes.values; count 0: not there, or empty */
};

/* Zero-initialise; memory is used again from message to message. */
struct route_attributes {
    struct route_attribute *of; /* as config.attributes */
    size_t count, capacity;
    struct route_value *values;
    size_t value_count, value_capacity;
    struct octets text;
};

/* Nothing is known of this configuration's attributes any more. OK or ERR_MEMORY. */
MUST_USE enum result route_attributes_reset(struct route_attributes *a, const struct config *config);
void route_attributes_free(struct route_attributes *a);

/* The paths of those that are wanted, for dicom_peek_begin; paths_out has room for config.attribute_count. How many they are. */
size_t route_attributes_paths(const struct config *config, const bool *wanted,
                              const struct dicom_path **paths_out);

/* What a peek that began with these paths knows by now, and was not taken before; once it is over, that is all that were wanted. Before it
 * is fed again. `charsets` may be NULL: text is ASCII then. OK; ERR_MEMORY: some are not known. */
MUST_USE enum result route_attributes_take(struct route_attributes *a, const bool *wanted,
                                           const struct dicom_peek *peek, struct dicom_charsets *charsets);

/* The text of the first value that is not empty; empty where there is none, or none is known. Valid until the next take or reset. */
struct view route_attributes_text(const struct route_attributes *a, size_t index);

/* Known attribute: true if any value of the condition matches it; negation is not looked at. */
bool route_attributes_match(const struct route_attributes *a, const struct config_condition *condition);

#endif
