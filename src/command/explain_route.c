/* What is told of each route, once the way of the file is known. */
#include <string.h>

#include "base/clock.h"
#include "command/explain_asking.h"
#include "config/pattern.h"
#include "dimse/status.h"
#include "relay/balance.h"
#include "route/explain.h"
#include "route/match.h"

static void put(struct octets *out, const char *text)
{
    octets_append(out, text, strlen(text));
}

/* "pool by study: pacs1, pacs2; a study that is new to it goes to pacs2". Where a study is that is not, only the gateway knows. */
static const char *print_pool(struct asking *a, const struct config_pool *p, const struct sink_message *m)
{
    struct octets text = {0};
    put(&text, "pool by ");
    put(&text, config_balance_name(p->balance));
    for (size_t i = 0; i < p->member_count; i++) {
        put(&text, i > 0 ? ", " : ": ");
        put(&text, p->members[i]->name);
    }
    struct view study = {NULL, 0};
    if (p->balance == CONFIG_BALANCE_STUDY && m->attributes)
        study = route_attributes_text(m->attributes, a->x->config->study_attribute);
    if (study.len > 0) {
        struct balance b = {.pool = p, .key = study};
        put(&text, "; a study that is new to it goes to ");
        put(&text, p->members[balance_first(&b, p->balance, 0)]->name);
    }
    const char *printed =
        text.failed ? NULL : asking_print(a, "%.*s", (int)text.len, (const char *)text.data);
    octets_free(&text);
    if (!printed)
        a->result = ERR_MEMORY;
    return printed;
}

static const char *print_where(struct asking *a, const struct config_node *node, const struct sink_message *m)
{
    if (node->pool)
        return print_pool(a, node->pool, m);
    if (!node->is_folder)
        return asking_print(a, strchr(node->host, ':') ? "%s at [%s]:%u" : "%s at %s:%u", node->ae_title,
                            node->host, (unsigned)node->port);
    char path[PATTERN_PATH_MAX + 1], date[9];
    struct view attributes[PATTERN_ATTRIBUTES_MAX] = {0};
    for (size_t i = 0; m->attributes && i < node->folder_attribute_count; i++)
        attributes[i] = route_attributes_text(m->attributes, node->folder_attributes[i]);
    clock_date(date);
    struct pattern_values values = {.sop_instance = m->sop_instance,
                                    .sop_class = m->sop_class,
                                    .calling = view_of(m->calling),
                                    .called = view_of(m->called),
                                    .date = date,
                                    .attributes = attributes};
    if (pattern_expand(node->folder, &values, path, sizeof(path)) != OK)
        return node->folder;
    return asking_print(a, "%s", path);
}

/* By title and address, as far as that is known without asking a name server. */
static bool is_sender(const struct asking *a, const struct config_node *node)
{
    struct config_network at;
    return !node->is_folder && strcmp(node->ae_title, a->x->sender.calling) == 0 &&
           config_network_parse(node->host, &at) == OK &&
           memcmp(at.address, a->x->sender.address, sizeof(at.address)) == 0;
}

/* It does not go back to another member either. */
static bool came_from(const struct asking *a, const struct config_node *node)
{
    for (size_t i = 0; node->pool && i < node->pool->member_count; i++)
        if (is_sender(a, node->pool->members[i]))
            return true;
    return !node->pool && is_sender(a, node);
}

static const struct route_destination *find_destination(const struct asking *a,
                                                        const struct config_node *node,
                                                        const struct config_route *route)
{
    for (size_t i = 0; i < a->decision.count; i++) {
        const struct route_destination *d = &a->decision.destinations[i];
        if (d->node == node && (!route || d->route == route))
            return d;
    }
    return NULL;
}

static void tell_destination(struct asking *a, struct explain_route *r, const struct config_node *node,
                             bool is_copy, const struct sink_message *message)
{
    struct explain_destination *to = &r->to[r->to_count++];
    const struct route_destination *d = find_destination(a, node, r->route);
    to->node = node;
    to->is_copy = is_copy;
    to->where = print_where(a, node, message);
    if (!d) {
        d = find_destination(a, node, NULL);
        to->skipped =
            d ? asking_print(a, "route \"%s\" sends it the same", d->route->name) : "nothing goes out";
    } else if (came_from(a, node) && !d->back_to_sender) {
        to->skipped = "it came from there";
    }
}

static void tell_destinations(struct asking *a, struct explain_route *r)
{
    const struct config_route *route = r->route;
    const struct edition *edition = asking_edition(a, route);
    /* Of a morph that did not come to an end there is nothing. */
    bool is_edited = edition && edition->facts.attributes;
    const struct sink_message *message = is_edited ? &edition->facts : &a->message;
    r->to = arena_alloc(&a->e->arena, (route->to_count + route->copy_count) * sizeof(*r->to));
    if (!r->to) {
        a->result = ERR_MEMORY;
        return;
    }
    for (size_t i = 0; i < route->to_count; i++)
        tell_destination(a, r, route->to[i], false, message);
    for (size_t i = 0; i < route->copy_count; i++)
        tell_destination(a, r, route->copy[i], true, message);
}

static const char *why_not(struct asking *a, const struct config_route *route)
{
    const struct config_condition *c = route_explain_first(route, &a->facts);
    if (route->service != CONFIG_STORE)
        return asking_print(a, "it is for service \"%s\"", config_service_name(route->service));
    if (!c)
        return "its function does not hold";
    struct octets text = {0};
    route_explain_condition(a->x->config, c, &a->facts, &text);
    const char *copy = text.failed ? NULL : asking_print(a, "%.*s", (int)text.len, (const char *)text.data);
    octets_free(&text);
    if (!copy)
        a->result = ERR_MEMORY;
    return copy;
}

static void tell_route(struct asking *a, struct explain_route *r)
{
    enum match m = MATCH_MAYBE;
    struct route_facts facts = a->facts;
    if (r->match == EXPLAIN_FAILED)
        return;
    if (a->e->status != 0) /* no function is asked any more */
        facts.holds = NULL;
    if (r->match == EXPLAIN_YES || r->match == EXPLAIN_NO)
        m = r->match == EXPLAIN_YES ? MATCH_YES : MATCH_NO;
    else if (!match_route(r->route, &facts, &m))
        return;
    if (m == MATCH_YES) {
        r->match = EXPLAIN_YES;
        tell_destinations(a, r);
    } else if (m == MATCH_NO) {
        r->match = EXPLAIN_NO;
        r->why = why_not(a, r->route);
    } else {
        r->why = "what it asks for is not known";
    }
}

/* Functions of routes behind a final one are not asked, and neither are those behind one that has failed. */
static void tell_routes(struct asking *a)
{
    const struct config_route *final = NULL;
    for (size_t i = 0; i < a->x->config->route_count && a->result == OK; i++) {
        struct explain_route *r = &a->e->routes[i];
        if (final) {
            r->why = asking_print(a, "route \"%s\" is final", final->name);
            continue;
        }
        tell_route(a, r);
        if (r->match == EXPLAIN_YES && r->route->is_final)
            final = r->route;
    }
}

/* Nobody takes it, or only who has sent it. */
static void tell_end(struct asking *a)
{
    bool any = false;
    for (size_t i = 0; i < a->x->config->route_count; i++)
        for (size_t j = 0; j < a->e->routes[i].to_count; j++)
            any = any || !a->e->routes[i].to[j].skipped;
    if (any)
        return;
    asking_refuse(a, DIMSE_STATUS_NOT_AUTHORISED,
                  a->decision.count > 0 ? "it came from its only destination"
                                        : "no route takes this instance");
}

/* Where the whole message is refused, nothing goes anywhere. */
static void skip_all(struct asking *a)
{
    for (size_t i = 0; i < a->x->config->route_count; i++)
        for (size_t j = 0; j < a->e->routes[i].to_count; j++)
            if (!a->e->routes[i].to[j].skipped)
                a->e->routes[i].to[j].skipped = "nothing goes out";
}

void asking_tell(struct asking *a)
{
    tell_routes(a);
    if (a->result == OK)
        tell_end(a);
    if (a->result == OK && a->e->status != 0)
        skip_all(a);
}
