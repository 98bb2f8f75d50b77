/* One verdict a message (product page, "Acknowledgement means safety"). */
#include "dimse/status.h"
#include "relay/message.h"

const struct message_outcome *message_verdict(const struct message *m, uint16_t *status_out,
                                              const char **comment_out)
{
    const struct message_outcome *speaker = NULL;
    int worst = 0;
    for (unsigned i = 0; !m->is_preset && i < m->sink_count; i++) {
        const struct message_outcome *s = &m->outcomes[i];
        int severity = dimse_severity(m->command.field, s->status);
        if (severity <= worst || s->is_taken_over) /* among equals the first of `to` speaks */
            continue;
        worst = severity;
        speaker = s;
    }
    *status_out = speaker ? speaker->status : m->is_preset ? m->status : DIMSE_STATUS_SUCCESS;
    *comment_out = speaker ? speaker->comment : m->comment;
    return speaker;
}
