#include <string.h>

#include "base/assert.h"
#include "dimse/command.h"

enum { COMMENT_MAX_CHARACTERS = 64 }; /* LO */

/* N-GET, N-SET, N-ACTION and N-DELETE ask for a "requested" class and instance; the answer calls them "affected". */
static void echo_uids(const struct dimse_command *request, struct dimse_command *out)
{
    if (request->has & DIMSE_HAS_AFFECTED_CLASS) {
        out->affected_class = request->affected_class;
        out->has |= DIMSE_HAS_AFFECTED_CLASS;
    } else if (request->has & DIMSE_HAS_REQUESTED_CLASS) {
        out->affected_class = request->requested_class;
        out->has |= DIMSE_HAS_AFFECTED_CLASS;
    }
    if (request->has & DIMSE_HAS_AFFECTED_INSTANCE) {
        out->affected_instance = request->affected_instance;
        out->has |= DIMSE_HAS_AFFECTED_INSTANCE;
    } else if (request->has & DIMSE_HAS_REQUESTED_INSTANCE) {
        out->affected_instance = request->requested_instance;
        out->has |= DIMSE_HAS_AFFECTED_INSTANCE;
    }
}

void dimse_response_to(const struct dimse_command *request, uint16_t status, const char *comment,
                       struct dimse_command *out)
{
    hilum_assert(!dimse_is_response(request->field));
    hilum_assert(request->field != DIMSE_C_CANCEL_RQ);

    struct dimse_command response = {
        .has = DIMSE_HAS_FIELD | DIMSE_HAS_RESPONDED_ID | DIMSE_HAS_DATA_SET_TYPE | DIMSE_HAS_STATUS,
        .field = request->field | 0x8000,
        .responded_id = request->message_id,
        .data_set_type = DIMSE_NO_DATA_SET,
        .status = status,
    };
    echo_uids(request, &response);
    if (request->field == DIMSE_N_EVENT_REPORT_RQ) {
        response.event_type = request->event_type;
        response.has |= request->has & DIMSE_HAS_EVENT_TYPE;
    }
    if (request->field == DIMSE_N_ACTION_RQ) {
        response.action_type = request->action_type;
        response.has |= request->has & DIMSE_HAS_ACTION_TYPE;
    }
    if (comment && *comment) {
        response.comment = (struct view){(const uint8_t *)comment, strnlen(comment, COMMENT_MAX_CHARACTERS)};
        response.has |= DIMSE_HAS_COMMENT;
    }
    *out = response;
}
