#include "relay/message_move.h"

#include <stdlib.h>

#include "base/log.h"
#include "dicom/uid.h"

static void log_found(const struct message *m, const char *event, const char *node)
{
    LOG(LOG_DEBUG, event, LOG_STR("assoc", m->session->a.id), LOG_STR("message", m->id),
        LOG_TEXT("originator", m->command.originator_title.at, m->command.originator_title.len),
        LOG_INT("originator_id", m->command.originator_id), LOG_STR("node", node));
}

static enum result fail(struct message *m, enum result r, const char *why)
{
    m->move->why = why;
    return r;
}

/* It belongs to this one, whose reference is taken. */
static enum result take(struct message *m, struct move *move)
{
    struct message_move *v = m->move;
    v->move = move;
    if (!move_in(move, m->session->config, &v->destination, &v->route))
        return fail(m, ERR_USAGE, "the destination of its C-MOVE is gone since a reload");
    m->facts.originator_title = view_of(move->client);
    m->facts.originator_id = move->client_id;
    log_found(m, "belongs to a C-MOVE", v->destination->name);
    return OK;
}

static enum moves_found find(const struct message *m, struct move **out)
{
    const struct session *s = m->session;
    const struct dimse_command *c = &m->command;
    const struct move_look *look = m->move ? m->move->look : NULL;
    struct moves_instance i = {.config = s->config,
                               .came_from = s->came_from,
                               .calling = s->calling,
                               .has_originator = (c->has & DIMSE_HAS_ORIGINATOR_TITLE) &&
                                                 (c->has & DIMSE_HAS_ORIGINATOR_ID),
                               .originator_title = move_keys_trim(c->originator_title),
                               .originator_id = c->originator_id,
                               .keys = {[MOVE_IMAGE] = m->facts.sop_instance},
                               .is_read = look != NULL};
    for (unsigned level = 0; look && level < MOVE_IMAGE; level++)
        i.keys[level] = move_look_key(look, (enum move_level)level);
    return moves_find(s->relay->moves, &i, io_now(s->relay->io), out);
}

static const char several[] = "several C-MOVEs asked for it, and it names none";

enum result message_move_find(struct message *m)
{
    struct move *move = NULL;
    enum moves_found found = find(m, &move);
    if (found == MOVES_NONE && (m->command.has & DIMSE_HAS_ORIGINATOR_ID))
        log_found(m, "belongs to no C-MOVE through us", "");
    if (found == MOVES_NONE)
        return OK;
    m->move = calloc(1, sizeof(*m->move));
    if (!m->move) {
        move_unref(&move);
        return ERR_MEMORY;
    }
    if (found == MOVES_ONE)
        return take(m, move);
    if (found == MOVES_SEVERAL)
        return fail(m, ERR_USAGE, several);
    m->move->look = move_look_new(m->transfer_syntax);
    return m->move->look ? OK : ERR_MEMORY;
}

bool message_move_is_found(const struct message *m)
{
    return m->move && m->move->move;
}

bool message_move_is_known(const struct message *m)
{
    return !m->move || !m->move->look;
}

const char *message_move_why(const struct message *m)
{
    return m->move && m->move->why ? m->move->why : "out of memory";
}

void message_move_data(struct message *m, const uint8_t *bytes, size_t len)
{
    if (!message_move_is_known(m))
        move_look_feed(m->move->look, bytes, len);
}

/* All that tells has been read. */
static enum result decide(struct message *m)
{
    struct move *move = NULL;
    enum moves_found found = find(m, &move);
    move_look_free(&m->move->look);
    if (found == MOVES_ONE)
        return take(m, move);
    if (found == MOVES_SEVERAL)
        return fail(m, ERR_USAGE, several);
    message_move_free(m);
    return OK;
}

enum result message_move_settle(struct message *m, bool is_ended)
{
    if (message_move_is_known(m))
        return OK;
    struct move_look *l = m->move->look;
    enum result r = is_ended ? move_look_end(l) : move_look_state(l);
    if (r == OK)
        return decide(m);
    if (r == ERR_PROTO)
        m->move->why = move_look_fault(l, &m->move->tag);
    else if (r == NEED_MORE && move_look_offset(l) > m->session->config->header_max)
        return fail(m, ERR_LIMIT, "what tells its C-MOVE lies beyond header_max");
    return r;
}

enum result message_move_decide(const struct message *m, struct route_decision *d)
{
    const struct message_move *v = m->move;
    struct route_destination *one = calloc(1, sizeof(*one));
    if (!one)
        return ERR_MEMORY;
    *one = (struct route_destination){.node = v->destination,
                                      .route = v->route,
                                      .is_moved = true,
                                      .back_to_sender = true, /* moves_target has seen to that */
                                      .stream = v->route->stream,
                                      .zero_copy = v->route->zero_copy};
    route_decision_free(d);
    *d = (struct route_decision){.destinations = one, .count = 1, .capacity = 1, .matched = true};
    return OK;
}

void message_move_free(struct message *m)
{
    struct message_move *v = m->move;
    m->move = NULL;
    if (!v)
        return;
    move_look_free(&v->look);
    move_unref(&v->move);
    free(v);
}
