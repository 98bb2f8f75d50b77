/*
 * DIMSE command sets (PS3.7 6.3, 9.3, 10.3, Annex E): Implicit VR Little Endian, group 0000 only.
 *
 *   0 u16 group, 2 u16 element, 4 u32 value length, 8 value; rising tags; (0000,0000) UL first
 *
 * One struct holds any message type. Text values are views into the parsed bytes, exactly as sent, padding included
 * (peers want UIDs echoed as they came: quirk 4); the caller keeps those bytes as long as the struct.
 */
#ifndef HILUM_DIMSE_COMMAND_H
#define HILUM_DIMSE_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/octets.h"
#include "base/result.h"

enum dimse_field {
    DIMSE_C_STORE_RQ = 0x0001,
    DIMSE_C_STORE_RSP = 0x8001,
    DIMSE_C_GET_RQ = 0x0010,
    DIMSE_C_GET_RSP = 0x8010,
    DIMSE_C_FIND_RQ = 0x0020,
    DIMSE_C_FIND_RSP = 0x8020,
    DIMSE_C_MOVE_RQ = 0x0021,
    DIMSE_C_MOVE_RSP = 0x8021,
    DIMSE_C_ECHO_RQ = 0x0030,
    DIMSE_C_ECHO_RSP = 0x8030,
    DIMSE_N_EVENT_REPORT_RQ = 0x0100,
    DIMSE_N_EVENT_REPORT_RSP = 0x8100,
    DIMSE_N_GET_RQ = 0x0110,
    DIMSE_N_GET_RSP = 0x8110,
    DIMSE_N_SET_RQ = 0x0120,
    DIMSE_N_SET_RSP = 0x8120,
    DIMSE_N_ACTION_RQ = 0x0130,
    DIMSE_N_ACTION_RSP = 0x8130,
    DIMSE_N_CREATE_RQ = 0x0140,
    DIMSE_N_CREATE_RSP = 0x8140,
    DIMSE_N_DELETE_RQ = 0x0150,
    DIMSE_N_DELETE_RSP = 0x8150,
    DIMSE_C_CANCEL_RQ = 0x0FFF,
};

enum {
    DIMSE_NO_DATA_SET = 0x0101,         /* (0000,0800): none; any other value means one follows (quirk 3) */
    DIMSE_DATA_SET = 0x0001,            /* what we write for one */
    DIMSE_COMMAND_MAX_BYTES = 64 << 10, /* ours: a longer command set is a fault */
};

/* Which elements are there; bit of `has`. */
enum dimse_has {
    DIMSE_HAS_AFFECTED_CLASS = 1 << 0,      /* 0002 UI */
    DIMSE_HAS_REQUESTED_CLASS = 1 << 1,     /* 0003 UI */
    DIMSE_HAS_FIELD = 1 << 2,               /* 0100 US */
    DIMSE_HAS_MESSAGE_ID = 1 << 3,          /* 0110 US */
    DIMSE_HAS_RESPONDED_ID = 1 << 4,        /* 0120 US */
    DIMSE_HAS_MOVE_DESTINATION = 1 << 5,    /* 0600 AE */
    DIMSE_HAS_PRIORITY = 1 << 6,            /* 0700 US */
    DIMSE_HAS_DATA_SET_TYPE = 1 << 7,       /* 0800 US */
    DIMSE_HAS_STATUS = 1 << 8,              /* 0900 US */
    DIMSE_HAS_OFFENDING = 1 << 9,           /* 0901 AT, 1-n */
    DIMSE_HAS_COMMENT = 1 << 10,            /* 0902 LO */
    DIMSE_HAS_ERROR_ID = 1 << 11,           /* 0903 US */
    DIMSE_HAS_AFFECTED_INSTANCE = 1 << 12,  /* 1000 UI */
    DIMSE_HAS_REQUESTED_INSTANCE = 1 << 13, /* 1001 UI */
    DIMSE_HAS_EVENT_TYPE = 1 << 14,         /* 1002 US */
    DIMSE_HAS_ATTRIBUTES = 1 << 15,         /* 1005 AT, 1-n */
    DIMSE_HAS_ACTION_TYPE = 1 << 16,        /* 1008 US */
    DIMSE_HAS_REMAINING = 1 << 17,          /* 1020 US */
    DIMSE_HAS_COMPLETED = 1 << 18,          /* 1021 US */
    DIMSE_HAS_FAILED = 1 << 19,             /* 1022 US */
    DIMSE_HAS_WARNING = 1 << 20,            /* 1023 US */
    DIMSE_HAS_ORIGINATOR_TITLE = 1 << 21,   /* 1030 AE */
    DIMSE_HAS_ORIGINATOR_ID = 1 << 22,      /* 1031 US */
};

struct dimse_command {
    uint32_t has;
    uint16_t field; /* enum dimse_field, or a value we do not know */
    uint16_t message_id, responded_id, priority, data_set_type, status, error_id, event_type, action_type;
    uint16_t remaining, completed, failed, warning, originator_id;
    struct view affected_class, requested_class, affected_instance, requested_instance;
    struct view move_destination, originator_title, comment;
    struct view offending, attributes; /* raw AT values: 4 bytes each, group then element, LE */
};

static inline bool dimse_has_data_set(const struct dimse_command *c)
{
    return c->data_set_type != DIMSE_NO_DATA_SET;
}

/* N-GET, N-SET, N-ACTION and N-DELETE name what is requested, all others what is affected (PS3.7 9.3, 10.3). */
static inline bool dimse_is_of_requested(uint16_t field)
{
    uint16_t request = field & 0x7FFF;
    return request == DIMSE_N_GET_RQ || request == DIMSE_N_SET_RQ || request == DIMSE_N_ACTION_RQ ||
           request == DIMSE_N_DELETE_RQ;
}

/* What it is about: class and instance as its kind names them; the other way only where they are not there. */
static inline struct view dimse_class(const struct dimse_command *c)
{
    bool is_requested = dimse_is_of_requested(c->field) ? c->has & DIMSE_HAS_REQUESTED_CLASS
                                                        : !(c->has & DIMSE_HAS_AFFECTED_CLASS);
    return is_requested ? c->requested_class : c->affected_class;
}
static inline struct view dimse_instance(const struct dimse_command *c)
{
    bool is_requested = dimse_is_of_requested(c->field) ? c->has & DIMSE_HAS_REQUESTED_INSTANCE
                                                        : !(c->has & DIMSE_HAS_AFFECTED_INSTANCE);
    return is_requested ? c->requested_instance : c->affected_instance;
}

static inline bool dimse_is_response(uint16_t field)
{
    return (field & 0x8000) != 0;
}

/* "C-STORE-RQ"; "unknown" for a field the standard does not have. */
const char *dimse_field_name(uint16_t field);
/* True for the fields of enum dimse_field. */
bool dimse_field_known(uint16_t field);

/*
 * Parses a whole command set. Group length is not trusted; retired and unknown elements of group 0000 are passed over;
 * order is not enforced; an element without a value counts as absent; a text value may have an odd length or more
 * characters than its VR allows. Whether a message that needs a data set announces one is left to the caller, who can
 * answer it by a status.
 *
 * OK         *out is filled, all that the message type demands is there (PS3.7 9.3, 10.3; deviations that real peers
 *            show are let through: no 1000/0002 in responses, no event type in N-EVENT-REPORT, no priority).
 * ERR_PROTO  *why_out is a fixed text: an element outside group 0000, a length past the end, a wrong value size, an
 *            element twice, a missing mandatory element, an unknown command field, more than
 *            DIMSE_COMMAND_MAX_BYTES.
 */
MUST_USE enum result dimse_parse(const uint8_t *bytes, size_t len, struct dimse_command *out,
                                 const char **why_out);

/* Appends the command set with a right group length; elements named by `has`, rising. Values of odd length are padded
 * (UI by NUL, AE and LO by space). */
void dimse_write(const struct dimse_command *c, struct octets *out);

/* A copy that lasts as long as `values`, which owns what its views show. False without memory. */
MUST_USE bool dimse_copy(const struct dimse_command *c, struct octets *values, struct dimse_command *out);

/* The response to a request: field, responded id, 0002/1000 (or 0003/1001 turned into them), event and action type
 * echoed as sent, no data set, this status. comment may be NULL; it is cut to 64 characters and borrowed. (PS3.7 C)
 * C-CANCEL-RQ has no response: asking for one is our mistake. The views are the request's. */
void dimse_response_to(const struct dimse_command *request, uint16_t status, const char *comment,
                       struct dimse_command *out);

#endif
