/*
 * The pools among a message's destinations: each stands for one of its members by the time that sinks are made. Where a study is new to a pool, the message
 * is held until it is known, and where that is needed durable, which member the study is with.
 */
#include <stdlib.h>

#include "base/assert.h"
#include "relay/edition.h"
#include "relay/hold.h"
#include "relay/message_route.h"
#include "relay/place.h"

struct message_placing {
    struct route_decision decision;
    struct place **places; /* by destination; NULL: it is a node, or its place has been taken */
    unsigned pending;
};

bool message_has_pool(const struct route_decision *d)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->destinations[i].node->pool)
            return true;
    return false;
}

/* It came from one of its members. */
static bool goes_back_to_pool(const struct session *s, const struct config_pool *pool)
{
    for (size_t i = 0; i < pool->member_count; i++)
        if (s->came_from[pool->members[i]->index])
            return true;
    return false;
}

bool message_goes_back(const struct session *s, const struct route_destination *d)
{
    if (!s->came_from || d->back_to_sender)
        return false;
    return d->node->pool ? goes_back_to_pool(s, d->node->pool) : s->came_from[d->node->index];
}

static void on_placed(struct place *p)
{
    struct message *m = p->owner;
    if (--m->placing->pending == 0)
        message_placed(m);
}

/* As its members see it: by what the route has made of it. A procedure step goes by its instance, which is all that an N-SET says of it. */
static struct view study_of(struct message *m, const struct config_route *route)
{
    if (m->service != CONFIG_STORE)
        return (struct view){0};
    const struct edition *e = message_edition(m, route);
    const struct sink_message *facts = e ? &e->facts : &m->facts;
    if (!facts->attributes)
        return (struct view){0};
    return route_attributes_text(facts->attributes, m->session->config->study_attribute);
}

static bool begin(struct message *m, size_t i)
{
    const struct route_destination *d = &m->placing->decision.destinations[i];
    const struct edition *e = message_edition(m, d->route);
    struct place *p = calloc(1, sizeof(*p));
    if (!p)
        return false;
    m->placing->places[i] = p;
    p->relay = m->session->relay;
    p->pool = d->node->pool;
    p->owner = m;
    p->is_kept = m->hold;
    p->is_queued = d->is_copy;
    p->stays = m->command.field == DIMSE_N_SET_RQ;
    p->on_placed = on_placed;
    struct view study = p->pool->balance == CONFIG_BALANCE_STUDY ? study_of(m, d->route) : (struct view){0};
    if (place_begin(p, study, e ? e->facts.sop_instance : m->facts.sop_instance) == PLACE_SOON)
        m->placing->pending++;
    return true;
}

enum result message_place_take(struct message *m, struct route_decision *d)
{
    m->placing = calloc(1, sizeof(*m->placing));
    if (!m->placing)
        return ERR_MEMORY;
    m->placing->places = calloc(d->count, sizeof(struct place *));
    if (!m->placing->places)
        return ERR_MEMORY;
    m->placing->decision = *d;
    *d = (struct route_decision){0};
    const struct route_decision *all = &m->placing->decision;
    for (size_t i = 0; i < all->count; i++) {
        const struct route_destination *one = &all->destinations[i];
        if (one->node->pool && !message_goes_back(m->session, one) && !begin(m, i))
            return ERR_MEMORY;
    }
    return m->placing->pending > 0 ? NEED_MORE : OK;
}

bool message_is_placing(const struct message *m)
{
    return m->placing && m->placing->pending > 0;
}

struct route_decision *message_decision(struct message *m)
{
    return &m->placing->decision;
}

/* What goes out first to a node stands for the others: `to` before `copy`, what names the node before what names its pool. */
static bool is_before(const struct message *m, size_t i, size_t other)
{
    const struct route_destination *all = m->placing->decision.destinations;
    struct place **places = m->placing->places;
    if (all[i].is_copy != all[other].is_copy)
        return !all[i].is_copy;
    if (!places[i] != !places[other])
        return !places[i];
    return i < other;
}

/* A `to` of a pool may go on to another member: what a copy of it becomes is known in the end (message_queue.c). */
static bool may_stand_for(const struct message *m, size_t j, size_t i)
{
    const struct route_destination *all = m->placing->decision.destinations;
    bool may_move = m->placing->places[j] && !all[j].is_copy;
    return !(may_move && all[i].is_copy) && !message_goes_back(m->session, &all[j]);
}

/* The first of the destinations that are the same node, and the same bytes, as destination i. */
static struct route_destination *find_first(struct message *m, size_t i, const struct config_node *node)
{
    struct route_destination *all = m->placing->decision.destinations;
    const struct edition *e = message_edition(m, all[i].route);
    size_t first = i;
    for (size_t j = 0; j < m->placing->decision.count; j++) {
        const struct place *p = m->placing->places[j];
        const struct config_node *there = p ? p->member : all[j].node;
        if (there == node && message_edition(m, all[j].route) == e && may_stand_for(m, j, i) &&
            is_before(m, j, first))
            first = j;
    }
    return &all[first];
}

/* A node gets the same bytes once, whoever named it. */
static void merge(struct message *m, size_t i)
{
    struct route_destination *d = &m->placing->decision.destinations[i];
    const struct place *p = m->placing->places[i];
    if (!d->node || message_goes_back(m->session, d))
        return;
    struct route_destination *first = find_first(m, i, p ? p->member : d->node);
    if (first == d)
        return;
    struct place *stays = m->placing->places[first - m->placing->decision.destinations];
    if (p && stays && p->pool != stays->pool)
        place_share(stays, p->pool);
    if (p)
        place_end(m->placing->places[i]); /* a trial of its member is the other's */
    route_destination_merge(first, d);
    d->node = NULL;
}

bool message_settle_places(struct message *m)
{
    struct route_decision *d = &m->placing->decision;
    struct place **places = m->placing->places;
    for (size_t i = 0; i < d->count; i++)
        if (places[i] && !places[i]->is_safe && d->destinations[i].is_copy)
            return false;
    for (size_t i = 0; i < d->count; i++)
        merge(m, i);
    for (size_t i = 0; i < d->count; i++)
        if (places[i] && d->destinations[i].node)
            d->destinations[i].node = places[i]->member;
    return true;
}

struct place *message_place_at(const struct message *m, size_t i)
{
    return m->placing ? m->placing->places[i] : NULL;
}

void message_leave_place(struct message *m, size_t i)
{
    if (m->placing)
        m->placing->places[i] = NULL;
}

void message_place_free(struct message *m)
{
    struct message_placing *g = m->placing;
    m->placing = NULL;
    if (!g)
        return;
    hilum_assert(g->pending == 0);
    for (size_t i = 0; g->places && i < g->decision.count; i++) {
        if (g->places[i])
            place_end(g->places[i]);
        free(g->places[i]);
    }
    free(g->places);
    route_decision_free(&g->decision);
    free(g);
}
