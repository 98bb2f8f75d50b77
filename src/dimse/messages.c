#include "dimse/messages.h"

#include <stddef.h>

enum {
    /* In every request but C-CANCEL, in every response. A response may name no class or instance: many peers leave them out. */
    REQUEST = DIMSE_HAS_FIELD | DIMSE_HAS_MESSAGE_ID | DIMSE_HAS_DATA_SET_TYPE,
    RESPONSE = DIMSE_HAS_FIELD | DIMSE_HAS_RESPONDED_ID | DIMSE_HAS_DATA_SET_TYPE | DIMSE_HAS_STATUS,

    ON_CLASS = REQUEST | DIMSE_HAS_AFFECTED_CLASS,
    ON_INSTANCE = ON_CLASS | DIMSE_HAS_AFFECTED_INSTANCE,
    ON_REQUESTED = REQUEST | DIMSE_HAS_REQUESTED_CLASS | DIMSE_HAS_REQUESTED_INSTANCE,
};

static const struct dimse_message messages[] = {
    {DIMSE_C_STORE_RQ, "C-STORE-RQ",
     ON_CLASS}, /* without an instance it is refused by a status, not by an abort */
    {DIMSE_C_STORE_RSP, "C-STORE-RSP", RESPONSE},
    {DIMSE_C_GET_RQ, "C-GET-RQ", ON_CLASS},
    {DIMSE_C_GET_RSP, "C-GET-RSP", RESPONSE},
    {DIMSE_C_FIND_RQ, "C-FIND-RQ", ON_CLASS},
    {DIMSE_C_FIND_RSP, "C-FIND-RSP", RESPONSE},
    {DIMSE_C_MOVE_RQ, "C-MOVE-RQ", ON_CLASS | DIMSE_HAS_MOVE_DESTINATION},
    {DIMSE_C_MOVE_RSP, "C-MOVE-RSP", RESPONSE},
    {DIMSE_C_ECHO_RQ, "C-ECHO-RQ", ON_CLASS},
    {DIMSE_C_ECHO_RSP, "C-ECHO-RSP", RESPONSE},
    {DIMSE_N_EVENT_REPORT_RQ, "N-EVENT-REPORT-RQ", ON_INSTANCE},
    {DIMSE_N_EVENT_REPORT_RSP, "N-EVENT-REPORT-RSP", RESPONSE},
    {DIMSE_N_GET_RQ, "N-GET-RQ", ON_REQUESTED},
    {DIMSE_N_GET_RSP, "N-GET-RSP", RESPONSE},
    {DIMSE_N_SET_RQ, "N-SET-RQ", ON_REQUESTED},
    {DIMSE_N_SET_RSP, "N-SET-RSP", RESPONSE},
    {DIMSE_N_ACTION_RQ, "N-ACTION-RQ", ON_REQUESTED | DIMSE_HAS_ACTION_TYPE},
    {DIMSE_N_ACTION_RSP, "N-ACTION-RSP", RESPONSE},
    {DIMSE_N_CREATE_RQ, "N-CREATE-RQ", ON_CLASS}, /* the instance may be left to the other side to name */
    {DIMSE_N_CREATE_RSP, "N-CREATE-RSP", RESPONSE},
    {DIMSE_N_DELETE_RQ, "N-DELETE-RQ", ON_REQUESTED},
    {DIMSE_N_DELETE_RSP, "N-DELETE-RSP", RESPONSE},
    {DIMSE_C_CANCEL_RQ, "C-CANCEL-RQ", DIMSE_HAS_FIELD | DIMSE_HAS_RESPONDED_ID | DIMSE_HAS_DATA_SET_TYPE},
};

#define AT(name) offsetof(struct dimse_command, name)

const struct dimse_element dimse_elements[] = {
    {0x0002, DIMSE_UID, DIMSE_HAS_AFFECTED_CLASS, AT(affected_class)},
    {0x0003, DIMSE_UID, DIMSE_HAS_REQUESTED_CLASS, AT(requested_class)},
    {0x0100, DIMSE_NUMBER, DIMSE_HAS_FIELD, AT(field)},
    {0x0110, DIMSE_NUMBER, DIMSE_HAS_MESSAGE_ID, AT(message_id)},
    {0x0120, DIMSE_NUMBER, DIMSE_HAS_RESPONDED_ID, AT(responded_id)},
    {0x0600, DIMSE_TEXT, DIMSE_HAS_MOVE_DESTINATION, AT(move_destination)},
    {0x0700, DIMSE_NUMBER, DIMSE_HAS_PRIORITY, AT(priority)},
    {0x0800, DIMSE_NUMBER, DIMSE_HAS_DATA_SET_TYPE, AT(data_set_type)},
    {0x0900, DIMSE_NUMBER, DIMSE_HAS_STATUS, AT(status)},
    {0x0901, DIMSE_TAGS, DIMSE_HAS_OFFENDING, AT(offending)},
    {0x0902, DIMSE_TEXT, DIMSE_HAS_COMMENT, AT(comment)},
    {0x0903, DIMSE_NUMBER, DIMSE_HAS_ERROR_ID, AT(error_id)},
    {0x1000, DIMSE_UID, DIMSE_HAS_AFFECTED_INSTANCE, AT(affected_instance)},
    {0x1001, DIMSE_UID, DIMSE_HAS_REQUESTED_INSTANCE, AT(requested_instance)},
    {0x1002, DIMSE_NUMBER, DIMSE_HAS_EVENT_TYPE, AT(event_type)},
    {0x1005, DIMSE_TAGS, DIMSE_HAS_ATTRIBUTES, AT(attributes)},
    {0x1008, DIMSE_NUMBER, DIMSE_HAS_ACTION_TYPE, AT(action_type)},
    {0x1020, DIMSE_NUMBER, DIMSE_HAS_REMAINING, AT(remaining)},
    {0x1021, DIMSE_NUMBER, DIMSE_HAS_COMPLETED, AT(completed)},
    {0x1022, DIMSE_NUMBER, DIMSE_HAS_FAILED, AT(failed)},
    {0x1023, DIMSE_NUMBER, DIMSE_HAS_WARNING, AT(warning)},
    {0x1030, DIMSE_TEXT, DIMSE_HAS_ORIGINATOR_TITLE, AT(originator_title)},
    {0x1031, DIMSE_NUMBER, DIMSE_HAS_ORIGINATOR_ID, AT(originator_id)},
};
const size_t dimse_elements_count = sizeof(dimse_elements) / sizeof(dimse_elements[0]);

const struct dimse_message *dimse_message_find(uint16_t field)
{
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        if (messages[i].field == field) {
            return &messages[i];
        }
    }
    return NULL;
}

const char *dimse_field_name(uint16_t field)
{
    const struct dimse_message *message = dimse_message_find(field);
    return message ? message->name : "unknown";
}

bool dimse_field_known(uint16_t field)
{
    return dimse_message_find(field) != NULL;
}
