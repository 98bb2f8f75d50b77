/* The destinations of a message: their sinks, the chains that feed them, and the order in which they start. */
#include <stdlib.h>

#include "dimse/status.h"
#include "relay/edition.h"
#include "relay/message_route.h"
#include "relay/sink_node.h"

struct edition *message_edition(struct message *m, const struct config_route *route)
{
    for (unsigned i = 0; i < m->edition_count; i++)
        if (m->editions[i].route == route)
            return &m->editions[i];
    return NULL;
}

/* The same node gets this message twice, in different bytes: one after the other, or with a limit of 1 both would wait for ever. */
static bool waits_for_another(const struct message *m, const struct sink *s)
{
    for (unsigned i = 0; i < s->index && s->node->max_associations > 0; i++)
        if (m->sinks[i] && !m->sinks[i]->is_done && m->sinks[i]->node == s->node)
            return true;
    return false;
}

/* Permits are taken in node order, one after the other; a destination without a limit does not wait for them. */
void message_start_next_limited(struct message *m)
{
    struct sink *next = NULL;
    for (unsigned i = 0; i < m->sink_count; i++) {
        struct sink *s = m->sinks[i];
        if (!s || s->is_done || s->node->max_associations == 0 || waits_for_another(m, s))
            continue;
        if (s->is_started && !s->is_ready)
            return; /* this one is being waited for */
        if (!s->is_started && (!next || s->node->index < next->node->index))
            next = s;
    }
    if (next) {
        next->is_started = true;
        next->ops->start(next);
    }
}

void message_start_sinks(struct message *m)
{
    for (unsigned i = 0; i < m->sink_count; i++) {
        struct sink *s = m->sinks[i];
        if (s->node->max_associations == 0) {
            s->is_started = true;
            s->ops->start(s);
        }
    }
    message_start_next_limited(m);
}

static void stage_failed(struct stage *st, uint16_t status, const char *what)
{
    if (!st->sink->is_done) /* what a stage passed on may have ended it */
        message_fail_sink(st->sink, status, what);
}

/* The chain that this destination needs. */
static bool add_stages(struct message *m, struct sink *s, const struct route_destination *d)
{
    const struct edition *e = m->sink_editions[s->index];
    struct stage **chain = &m->stages[s->index];
    bool is_gathered = !d->stream || waits_for_another(m, s); /* so that it holds nobody up */
    if (is_gathered &&
        !stage_put_first(chain, stage_gather_new(s, m->session->config->header_max), stage_failed))
        return false;
    if (!e || !e->is_changed)
        return true;
    return edition_put_stages(e, chain, s, m->session->relay->pool, stage_failed);
}

static bool add_sink(struct message *m, const struct route_destination *d)
{
    struct relay *r = m->session->relay;
    struct edition *e = message_edition(m, d->route);
    const struct sink_message *facts = e ? &e->facts : &m->facts;
    struct sink *s = d->node->is_folder ? sink_folder_new(r->folders, d->node, facts)
                                        : sink_node_new(&m->session->source, d->node, facts);
    if (!s)
        return false;
    message_take_sink(m, s);
    s->zero_copy = d->zero_copy;
    m->sink_editions[s->index] = e;
    return add_stages(m, s, d);
}

static bool goes_back(const struct session *s, const struct route_destination *d)
{
    return s->came_from && s->came_from[d->node->index] && !d->back_to_sender;
}

bool message_make_sinks(struct message *m, const struct route_decision *d)
{
    unsigned back = 0;
    m->sinks = calloc(d->count, sizeof(*m->sinks));
    m->stages = calloc(d->count, sizeof(struct stage *));
    m->outcomes = calloc(d->count, sizeof(*m->outcomes));
    m->sink_editions = calloc(d->count, sizeof(struct edition *));
    bool ok = m->sinks && m->stages && m->outcomes && m->sink_editions;
    for (size_t i = 0; ok && i < d->count; i++) {
        if (d->destinations[i].is_copy) /* nothing queues yet */
            continue;
        if (goes_back(m->session, &d->destinations[i]))
            back++;
        else
            ok = add_sink(m, &d->destinations[i]);
    }
    if (!ok) {
        message_preset(m, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
        for (unsigned i = 0; i < m->sink_count; i++)
            message_fail_sink(m->sinks[i], DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
    } else if (m->sink_count == 0) {
        message_preset(m, DIMSE_STATUS_NOT_AUTHORISED,
                       back ? "it came from its only destination" : "no destination takes this instance");
    }
    return ok;
}
