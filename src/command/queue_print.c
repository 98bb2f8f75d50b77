#include "command/queue_print.h"

#include "command/json.h"
#include "command/queue.h"
#include "dimse/command.h"

json_t *queue_time_json(uint64_t wall_ms)
{
    char text[32];
    if (wall_ms == 0)
        return json_null();
    queue_time_utc(wall_ms, text);
    return json_string(text);
}

json_t *queue_status_json(bool has_status, uint16_t status)
{
    return has_status ? json_sprintf("%04X", (unsigned)status) : json_null();
}

json_t *queue_id_json(spool_id id)
{
    char text[SPOOL_ID_TEXT];
    spool_id_text(id, text);
    return json_string(text);
}

json_t *queue_text_json(const char *text)
{
    return text[0] != '\0' ? command_json_text(text) : json_null();
}

json_t *queue_row_json(const struct index_row *row)
{
    bool is_pending = row->state == SPOOL_HELD || row->state == SPOOL_WAITING;
    return json_pack(
        "{s:o, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, "
        "s:I, "
        "s:o, s:o}",
        "id", queue_id_json(row->id), "state", spool_state_name(row->state), "command",
        dimse_field_name(row->is_relayed ? DIMSE_C_STORE_RQ : row->field), "node",
        command_json_text(row->node), "route", queue_text_json(row->route), "calling",
        queue_text_json(row->calling), "called", queue_text_json(row->called), "from",
        queue_text_json(row->remote), "sop_class", queue_text_json(row->sop_class), "sop_instance",
        queue_text_json(row->sop_instance), "sent_instance", queue_text_json(row->sent_instance), "study",
        queue_text_json(row->study), "series", queue_text_json(row->series), "patient",
        queue_text_json(row->patient), "transfer_syntax", queue_text_json(row->transfer_syntax), "bytes",
        (json_int_t)row->bytes, "queued", queue_time_json(row->queued_ms), "changed",
        queue_time_json(row->changed_ms), "due", queue_time_json(is_pending ? row->due_ms : 0), "attempts",
        (json_int_t)row->attempts, "status", queue_status_json(row->has_status, row->status), "comment",
        queue_text_json(row->comment));
}
