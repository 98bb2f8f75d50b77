#include "relay/call_move.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "dimse/status.h"

static bool fail(const struct call_destination *archive, uint16_t status, const char *why,
                 uint16_t *status_out, char comment_out[65])
{
    char text[128];
    snprintf(text, sizeof(text), "%.48s: %.64s", archive->node->name, why);
    text_copy(comment_out, 65, text, strlen(text));
    *status_out = status;
    return false;
}

static enum result begin(struct call *c, const struct call_destination *archive,
                         const struct moves_target *target, struct move **out)
{
    const struct session *s = c->session;
    struct moves_order order = {.config = s->config,
                                .route = archive->route,
                                .archive = archive->node,
                                .destination = target->node,
                                .client = s->calling,
                                .client_id = c->command.message_id,
                                .identifier = archive->data,
                                .transfer_syntax = c->transfer_syntax};
    return moves_begin(s->relay->moves, &order, io_now(s->relay->io), out);
}

bool call_move_begin(struct call *c, unsigned i, const struct call_destination *archive,
                     struct move **move_out, uint16_t *status_out, char comment_out[65])
{
    struct moves_target target;
    char why[65];
    *move_out = NULL;
    if (!moves_target(c->session->config, archive->route, archive->node, c->session->came_from,
                      c->command.move_destination, &target, why))
        return fail(archive, DIMSE_STATUS_MOVE_DESTINATION_UNKNOWN, why, status_out, comment_out);
    c->commands[i].move_destination = target.title;
    if (!target.node)
        return true;
    enum result r = begin(c, archive, &target, move_out);
    if (r != OK)
        return fail(archive, DIMSE_STATUS_OUT_OF_RESOURCES,
                    r == ERR_LIMIT ? "too many C-MOVEs through us are in progress" : "out of memory",
                    status_out, comment_out);
    c->legs[i].message_id = (*move_out)->message_id;
    LOG(LOG_INFO, "C-MOVE through us", LOG_STR("assoc", c->session->a.id), LOG_STR("message", c->id),
        LOG_STR("archive", archive->node->name), LOG_STR("destination", target.node->name),
        LOG_INT("message_id", (*move_out)->message_id));
    return true;
}

void call_move_end(struct call *c, struct move **move)
{
    struct relay *r = c->session->relay;
    if (*move)
        LOG(LOG_DEBUG, "C-MOVE through us is over", LOG_STR("assoc", c->session->a.id),
            LOG_STR("message", c->id), LOG_INT("message_id", (*move)->message_id));
    moves_end(r->moves, move, io_now(r->io));
}
