/* The destinations of a message: their sinks, the chains that feed them, and the order in which they start. */
#include <stdlib.h>

#include "dimse/status.h"
#include "relay/edition.h"
#include "relay/message_queue.h"
#include "relay/message_route.h"
#include "relay/sink_node.h"
#include "relay/sink_pool.h"

struct edition *message_edition(struct message *m, const struct config_route *route)
{
    for (unsigned i = 0; i < m->edition_count; i++)
        if (m->editions[i].route == route)
            return &m->editions[i];
    return NULL;
}

/* The same node, which has a limit, gets this message before, in different bytes. */
static bool follows_another(const struct message *m, const struct sink *s)
{
    for (unsigned i = 0; i < s->index && s->node->max_associations > 0; i++)
        if (m->sinks[i] && !m->sinks[i]->is_done && m->sinks[i]->node == s->node)
            return true;
    return false;
}

/* One after the other then, the second held meanwhile: with a limit of 1 both would wait for ever, and with a larger one those of several
 * messages that have got their first and want their second. Unless it is longer than can be held: it has been let go. */
static bool waits_for_another(const struct message *m, const struct sink *s)
{
    return stage_holds(m->stages[s->index]) > 0 && follows_another(m, s);
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

/* Permits are waited for in node order, so no place is waited for while one is held, or waited for, that comes later. */
static bool must_be_hasty(const struct message *m, const struct sink *s)
{
    for (unsigned i = 0; i < m->sink_count; i++) {
        const struct sink *other = m->sinks[i];
        if (other && other != s && !other->is_done && other->is_started &&
            other->node->max_associations > 0 && other->node->index >= s->node->index)
            return true;
    }
    return false;
}

/* It may go on to another node, where it would be of no use to who relies on it here. */
static bool may_move_on(const struct sink *s)
{
    return s && s->is_pool && !s->is_done;
}

/* The same bytes go there already. */
static bool is_doubled(const struct message *m, const struct sink *s)
{
    for (unsigned i = 0; i < m->sink_count; i++)
        if (i != s->index && m->outcomes[i].node == s->node &&
            m->sink_editions[i] == m->sink_editions[s->index] && !may_move_on(m->sinks[i]))
            return true;
    return false;
}

bool message_sink_moved(struct sink *s)
{
    struct message *m = s->owner;
    struct message_outcome *o = &m->outcomes[s->index];
    o->is_elsewhere = is_doubled(m, s);
    if (o->is_elsewhere)
        return false;
    o->node = s->node;
    s->is_started = s->is_ready = false;
    s->is_hasty = s->node->max_associations > 0 && must_be_hasty(m, s);
    if (s->node->max_associations == 0) {
        s->is_started = true;
        s->ops->start(s);
    }
    message_start_next_limited(m);
    return true;
}

static void stage_failed(struct stage *st, uint16_t status, const char *what)
{
    if (!st->sink->is_done) /* what a stage passed on may have ended it */
        message_fail_sink(st->sink, status, what);
}

static unsigned count_live(const struct message *m, const struct config_node *node)
{
    unsigned count = 0;
    for (unsigned i = 0; i < m->sink_count; i++)
        count += m->sinks[i] && !m->sinks[i]->is_done && m->sinks[i]->node == node;
    return count;
}

/* It waits for another one and is too long for that: side by side with it, if the node takes so many. Others may have taken its place
 * there, and wait for one themselves: that is bounded by `response`. */
static void stage_full(struct stage *st)
{
    struct sink *s = st->sink;
    struct message *m = s->owner;
    if (count_live(m, s->node) > s->node->max_associations)
        return;
    stage_gather_let_go(st);
    if (m->is_flowing)
        stage_flow(m->stages[s->index], s);
    message_start_next_limited(m);
}

/* The chain that this destination needs. */
static bool add_stages(struct message *m, struct sink *s, const struct route_destination *d)
{
    const struct edition *e = m->sink_editions[s->index];
    struct stage **chain = &m->stages[s->index];
    bool is_gathered = !d->stream || follows_another(m, s); /* so that it holds nobody up */
    uint64_t held_max = m->session->config->header_max + 1; /* never 0, which says that it holds nothing */
    if (e && e->is_changed && !edition_put_stages(e, chain, s, m->session->relay->pool, stage_failed))
        return false;
    return !is_gathered ||
           (message_gather(m) &&
            stage_put_first(chain, stage_gather_new(s, m->gathered, held_max, d->stream ? stage_full : NULL),
                            stage_failed));
}

/* NULL without memory. A place that is not taken over is the message's. */
static struct sink *new_sink(struct message *m, const struct route_destination *d, struct place *place,
                             const struct sink_message *facts)
{
    if (d->node->is_folder)
        return sink_folder_new(m->session->relay->folders, d->node, facts);
    return place ? sink_pool_new_take(&m->session->source, place, facts)
                 : sink_node_new(&m->session->source, d->node, facts);
}

static bool add_sink(struct message *m, const struct route_destination *d, size_t index)
{
    struct relay *r = m->session->relay;
    struct edition *e = message_edition(m, d->route);
    struct sink *s = new_sink(m, d, message_place_at(m, index), e ? &e->facts : &m->facts);
    if (!s)
        return false;
    message_leave_place(m, index);
    message_take_sink(m, s);
    struct message_outcome *o = &m->outcomes[s->index];
    o->node = d->node;
    o->route = d->route;
    o->queues = s->may_queue = s->keeps_order = d->queues && r->spool;
    o->journals = d->journal;
    s->zero_copy = d->zero_copy;
    m->sink_editions[s->index] = e;
    return add_stages(m, s, d);
}

static void add_copy(struct message *m, const struct route_destination *d)
{
    m->copies[m->copy_count++] =
        (struct message_copy){.node = d->node, .route = d->route, .edition = message_edition(m, d->route)};
}

bool message_make_sinks(struct message *m, const struct route_decision *d)
{
    unsigned back = 0;
    m->sinks = calloc(d->count, sizeof(*m->sinks));
    m->stages = calloc(d->count, sizeof(struct stage *));
    m->outcomes = calloc(d->count, sizeof(*m->outcomes));
    m->sink_editions = calloc(d->count, sizeof(struct edition *));
    m->copies = calloc(d->count, sizeof(*m->copies));
    bool ok = m->sinks && m->stages && m->outcomes && m->sink_editions && m->copies;
    for (size_t i = 0; ok && i < d->count; i++) {
        if (!d->destinations[i].node)
            continue; /* another one stands for it */
        if (message_goes_back(m->session, &d->destinations[i]))
            back++;
        else if (d->destinations[i].is_copy)
            add_copy(m, &d->destinations[i]);
        else
            ok = add_sink(m, &d->destinations[i], i);
    }
    ok = ok && message_queue_begin(m);
    if (!ok) {
        message_preset(m, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
        for (unsigned i = 0; i < m->sink_count; i++)
            message_fail_sink(m->sinks[i], DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
    } else if (m->sink_count + m->copy_count == 0) {
        message_preset(m, DIMSE_STATUS_NOT_AUTHORISED,
                       back ? "it came from its only destination" : "no destination takes this instance");
    }
    return ok;
}
