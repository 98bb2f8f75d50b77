/* From routes to destinations: every route that holds contributes, a final one ends it, each node comes once. */
#include <stdlib.h>

#include "route/match.h"
#include "route/route.h"

/* The destination that gets the same bytes already: a route that morphs makes its own. */
static struct route_destination *find_destination(struct route_decision *d, const struct config_node *node,
                                                  const struct config_route *route)
{
    for (size_t i = 0; i < d->count; i++) {
        struct route_destination *one = &d->destinations[i];
        bool are_as_received = !one->route->has_morph && !route->has_morph;
        if (one->node == node && (are_as_received || one->route == route)) {
            return one;
        }
    }
    return NULL;
}

static enum result grow(struct route_decision *d)
{
    if (d->count < d->capacity) {
        return OK;
    }
    size_t capacity = d->capacity == 0 ? 8 : d->capacity * 2;
    struct route_destination *bigger = realloc(d->destinations, capacity * sizeof(*bigger));
    if (bigger == NULL) {
        return ERR_MEMORY;
    }
    d->destinations = bigger;
    d->capacity = capacity;
    return OK;
}

static enum config_zero_copy more_careful(enum config_zero_copy a, enum config_zero_copy b)
{
    if (a == CONFIG_ZERO_COPY_NEVER || b == CONFIG_ZERO_COPY_NEVER) {
        return CONFIG_ZERO_COPY_NEVER;
    }
    return a == CONFIG_ZERO_COPY_AUTO ? a : b;
}

/* The destination of these bytes; a new one if there is none. NULL without memory. */
static struct route_destination *take_destination(struct route_decision *d, const struct config_route *route,
                                                  const struct config_node *node)
{
    struct route_destination *one = find_destination(d, node, route);
    if (one == NULL && grow(d) == OK) {
        one = &d->destinations[d->count++];
        *one = (struct route_destination){.node = node, .route = route, .is_copy = true};
    }
    if (one != NULL) {
        one->back_to_sender = one->back_to_sender || route->back_to_sender;
    }
    return one;
}

static enum result add_to(struct route_decision *d, const struct config_route *route,
                          const struct config_node *node)
{
    struct route_destination *one = take_destination(d, route, node);
    if (one == NULL) {
        return ERR_MEMORY;
    }
    if (one->is_copy) { /* new, or a copy until now */
        one->is_copy = false;
        one->route = route;
        one->stream = true;
        one->zero_copy = route->zero_copy;
    }
    one->stream = one->stream && route->stream;
    one->zero_copy = more_careful(one->zero_copy, route->zero_copy);
    one->queues = one->queues || route->queues;
    one->journal = one->journal || (route->queues && route->journal);
    return OK;
}

static enum result add_copy(struct route_decision *d, const struct config_route *route,
                            const struct config_node *node)
{
    struct route_destination *one = take_destination(d, route, node);
    if (one == NULL) {
        return ERR_MEMORY;
    }
    one->takes_all = one->takes_all || route->to_count == 0;
    return OK;
}

static enum result add_destinations(struct route_decision *d, const struct config_route *route)
{
    enum result r = OK;
    for (size_t i = 0; r == OK && i < route->to_count; i++) {
        r = add_to(d, route, route->to[i]);
    }
    for (size_t i = 0; r == OK && i < route->copy_count; i++) {
        r = add_copy(d, route, route->copy[i]);
    }
    return r;
}

enum result route_decide(const struct config *config, const struct route_facts *facts,
                         struct route_decision *decision)
{
    bool is_certain = true;
    decision->count = 0;
    decision->matched = false;
    for (size_t i = 0; i < config->route_count; i++) {
        const struct config_route *route = &config->routes[i];
        enum match m;
        if (!match_route(route, facts, &m)) {
            return ERR_USAGE;
        }
        if (m == MATCH_NO) {
            continue;
        }
        decision->matched = true;
        is_certain = is_certain && m == MATCH_YES;
        enum result r = add_destinations(decision, route);
        if (r != OK) {
            return r;
        }
        if (route->is_final && m == MATCH_YES) {
            break;
        }
    }
    return is_certain || !facts->has_instance ? OK : NEED_MORE;
}

bool route_destination_morphs(const struct route_destination *d)
{
    return d->is_moved ? d->route->has_morph_response : d->route->has_morph;
}

void route_destination_merge(struct route_destination *one, const struct route_destination *other)
{
    one->back_to_sender = one->back_to_sender || other->back_to_sender;
    one->takes_all = one->takes_all || other->takes_all;
    if (other->is_copy) {
        return;
    }
    one->stream = one->stream && other->stream;
    one->zero_copy = more_careful(one->zero_copy, other->zero_copy);
    one->queues = one->queues || other->queues;
    one->journal = one->journal || other->journal;
}

bool route_morphs(const struct route_decision *decision)
{
    for (size_t i = 0; i < decision->count; i++) {
        if (route_destination_morphs(&decision->destinations[i])) {
            return true;
        }
    }
    return false;
}

void route_decision_free(struct route_decision *decision)
{
    free(decision->destinations);
    *decision = (struct route_decision){0};
}

/* What is not known of a route that may hold. */
static bool want(const struct config_route *route, const struct route_facts *facts, bool *attributes,
                 bool *function)
{
    bool any = route->has_when_function;
    *function = *function || route->has_when_function;
    for (size_t i = 0; i < route->condition_count; i++) {
        const struct config_condition *c = &route->conditions[i];
        if (c->fact == CONFIG_FACT_ATTRIBUTE && match_condition(c, facts) == MATCH_MAYBE) {
            attributes[c->attribute] = true;
            any = true;
        }
    }
    return any;
}

bool route_wants(const struct config *config, const struct route_facts *facts, bool *attributes_out,
                 bool *function_out)
{
    struct route_facts known = *facts;
    known.holds = NULL;
    bool any = false;
    *function_out = false;
    for (size_t i = 0; i < config->attribute_count; i++) {
        attributes_out[i] = false;
    }
    for (size_t i = 0; i < config->route_count; i++) {
        const struct config_route *route = &config->routes[i];
        enum match m;
        if (!match_route(route, &known, &m) || m == MATCH_NO) {
            continue;
        }
        if (m == MATCH_MAYBE) {
            any = want(route, &known, attributes_out, function_out) || any;
        } else if (route->is_final) {
            break;
        }
    }
    return any;
}

bool route_serves(const struct config *config, const struct route_facts *facts)
{
    for (size_t i = 0; i < config->route_count; i++) {
        enum match m;
        if (!match_route(&config->routes[i], facts, &m) || m != MATCH_NO) {
            return true;
        }
    }
    return false;
}
