/* DIMSE statuses (0000,0900): class, severity, and what a router makes of them (PS3.7 Annex C, PS3.4). */
#ifndef HILUM_DIMSE_STATUS_H
#define HILUM_DIMSE_STATUS_H

#include <stdbool.h>
#include <stdint.h>

enum dimse_status_class { DIMSE_SUCCESS, DIMSE_WARNING, DIMSE_FAILURE, DIMSE_CANCEL, DIMSE_PENDING };

enum {
    DIMSE_STATUS_SUCCESS = 0x0000,
    DIMSE_STATUS_PROCESSING_FAILURE = 0x0110,
    DIMSE_STATUS_DUPLICATE = 0x0111,
    DIMSE_STATUS_INVALID_INSTANCE = 0x0117,
    DIMSE_STATUS_NO_SUCH_CLASS = 0x0118,
    DIMSE_STATUS_SOP_CLASS_NOT_SUPPORTED = 0x0122,
    DIMSE_STATUS_NOT_AUTHORISED = 0x0124,
    DIMSE_STATUS_DUPLICATE_MESSAGE_ID = 0x0210,
    DIMSE_STATUS_UNRECOGNISED_OPERATION = 0x0211,
    DIMSE_STATUS_RESOURCE_LIMITATION = 0x0213,
    DIMSE_STATUS_OUT_OF_RESOURCES = 0xA700,
    DIMSE_STATUS_MOVE_DESTINATION_UNKNOWN = 0xA801,
    DIMSE_STATUS_SOME_FAILED = 0xB000, /* of a retrieval, sub-operations; ours of a query, archives */
    DIMSE_STATUS_CANNOT_UNDERSTAND = 0xC000,
    DIMSE_STATUS_CANCELLED = 0xFE00,
    DIMSE_STATUS_PENDING = 0xFF00,
    DIMSE_STATUS_RULE_FAILED = 0xC110, /* ours, within the range of the one above */
};

/* By the ranges of PS3.7 Annex C. A status outside all of them is a failure: it is no known way to say "stored". */
enum dimse_status_class dimse_status_class(uint16_t status);

/*
 * Order of badness for a verdict over several destinations of one C-STORE: 0 success (0111, a duplicate, counts as
 * success: quirk 11), 1 warning, 2 failure that may pass (A7xx and 0213, the matters of resources), 3 failure that will
 * not pass (A9xx, Cxxx, 0122, 0124 and all other failures). Pending and cancel are no final answers to a C-STORE: 3.
 */
int dimse_store_severity(uint16_t status);
/* The same of any request: 0111 is success of a C-STORE alone. */
int dimse_severity(uint16_t field, uint16_t status);
/* Of one that may have been carried out before, when its response was lost: 0111 is success of an N-CREATE as well. */
int dimse_severity_again(uint16_t field, uint16_t status);
/* A failure that may pass: severity 2. */
static inline bool dimse_status_may_pass(uint16_t status)
{
    return dimse_store_severity(status) == 2;
}

/* "success", "refused: out of resources", ...: for people, and where a service gives a code a meaning of its own, in words
 * that fit all of them. Never NULL. */
const char *dimse_status_text(uint16_t status);
/* The node's own words, if it has any; else the status in ours. */
static inline const char *dimse_status_reason(uint16_t status, const char *comment)
{
    return comment[0] != '\0' ? comment : dimse_status_text(status);
}

#endif
