/* Conditions against facts, in three values: before command set and data set are here, some facts are not known. */
#include "route/match.h"

#include <string.h>

#include "base/text.h"
#include "route/attributes.h"

/* A text fact. False: not known yet. */
static bool fact_text(enum config_fact fact, const struct route_facts *facts, struct view *text_out)
{
    switch (fact) {
    case CONFIG_FACT_CALLING:
        *text_out = facts->calling;
        return true;
    case CONFIG_FACT_CALLED:
        *text_out = facts->called;
        return true;
    case CONFIG_FACT_LISTENER:
        *text_out = view_of(facts->listener);
        return true;
    case CONFIG_FACT_SOP_CLASS:
        *text_out = facts->sop_class;
        return facts->has_instance || facts->sop_class.len > 0;
    case CONFIG_FACT_SOP_INSTANCE:
        *text_out = facts->sop_instance;
        return facts->has_instance;
    case CONFIG_FACT_PEER:
        *text_out = view_of(facts->peer != NULL ? facts->peer : "");
        return facts->peer != NULL;
    case CONFIG_FACT_REMOTE:
    case CONFIG_FACT_ATTRIBUTE:
        break;
    }
    return false;
}

static bool any_network(const struct config_condition *c, const uint8_t remote[16])
{
    for (size_t i = 0; i < c->value_count; i++) {
        if (config_network_holds(&c->values[i].network, remote)) {
            return true;
        }
    }
    return false;
}

static bool any_glob(const struct config_condition *c, struct view text)
{
    for (size_t i = 0; i < c->value_count; i++) {
        if (text_glob(c->values[i].glob, (const char *)text.at, text.len)) {
            return true;
        }
    }
    return false;
}

/* No certificate is no subject of any form: "*" does not match it, "" alone does. */
static bool any_peer(const struct config_condition *c, struct view subject)
{
    for (size_t i = 0; i < c->value_count; i++) {
        const char *glob = c->values[i].glob;
        bool is_none = glob[0] == '\0';
        if (is_none == (subject.len == 0) && text_glob(glob, (const char *)subject.at, subject.len)) {
            return true;
        }
    }
    return false;
}

/* False: not known yet. */
static bool any_attribute(const struct config_condition *c, const struct route_attributes *attributes,
                          bool *any_out)
{
    if (attributes == NULL || c->attribute >= attributes->count || !attributes->of[c->attribute].is_known) {
        return false;
    }
    *any_out = route_attributes_match(attributes, c);
    return true;
}

enum match match_condition(const struct config_condition *c, const struct route_facts *facts)
{
    bool any;
    if (c->fact == CONFIG_FACT_REMOTE) {
        any = any_network(c, facts->remote);
    } else if (c->fact == CONFIG_FACT_ATTRIBUTE) {
        if (!any_attribute(c, facts->attributes, &any)) {
            return MATCH_MAYBE;
        }
    } else {
        struct view text;
        if (!fact_text(c->fact, facts, &text)) {
            return MATCH_MAYBE;
        }
        any = c->fact == CONFIG_FACT_PEER ? any_peer(c, text) : any_glob(c, text);
    }
    return any != c->negate ? MATCH_YES : MATCH_NO;
}

/* The answer of a route's function. */
static bool ask_function(const struct config_route *route, const struct route_facts *facts, enum match *out)
{
    *out = MATCH_MAYBE;
    return facts->holds == NULL || facts->holds(facts->user, route, out);
}

bool match_route(const struct config_route *route, const struct route_facts *facts, enum match *out)
{
    *out = MATCH_NO;
    if (route->service != facts->service) {
        return true;
    }
    enum match weakest = MATCH_YES;
    for (size_t i = 0; i < route->condition_count && weakest != MATCH_NO; i++) {
        enum match m = match_condition(&route->conditions[i], facts);
        weakest = m < weakest ? m : weakest;
    }
    if (route->has_when_function && weakest == MATCH_YES) {
        return ask_function(route, facts, out);
    }
    *out = weakest;
    return true;
}
