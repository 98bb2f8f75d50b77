/*
 * The message types and the elements of command sets, as data (PS3.7 9.3, 10.3, Annex E). For command.c, response.c and
 * their tests.
 */
#ifndef HILUM_DIMSE_MESSAGES_H
#define HILUM_DIMSE_MESSAGES_H

#include "dimse/command.h"

struct dimse_message {
    uint16_t field;
    const char *name;
    uint32_t
        mandatory; /* enum dimse_has: without these a message cannot be understood; fewer than the standard's */
};

/* NULL: the standard has no such command field. */
const struct dimse_message *dimse_message_find(uint16_t field);

enum dimse_element_kind {
    DIMSE_NUMBER, /* US, one value */
    DIMSE_UID,    /* padded by NUL */
    DIMSE_TEXT,   /* AE, LO: padded by space */
    DIMSE_TAGS,   /* AT, 4 bytes a value */
};

struct dimse_element {
    uint16_t number; /* (0000,number) */
    enum dimse_element_kind kind;
    uint32_t has;
    size_t member; /* offset in struct dimse_command: a uint16_t for numbers, a struct view for all else */
};

/* All elements that struct dimse_command can hold, rising. */
extern const struct dimse_element dimse_elements[];
extern const size_t dimse_elements_count;

#endif
