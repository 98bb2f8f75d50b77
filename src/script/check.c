/* All declarations, in the order in which they build on each other; then what only shows in the whole. */
#include "script/check.h"

#include <stdlib.h>
#include <string.h>

const struct declaration *check_declaration(const struct check *c, enum declaration_kind kind, size_t n)
{
    const struct declaration *d = c->script->declarations.first;
    for (; d != NULL; d = d->next) {
        if (d->kind == kind && n-- == 0) {
            break;
        }
    }
    return d;
}

struct item check_item(struct check *c, const struct declaration *d, struct place *at)
{
    *at = (struct place){.declaration = d};
    return (struct item){c, at, &d->value};
}

static size_t count_kind(const struct check *c, enum declaration_kind kind)
{
    size_t count = 0;
    for (const struct declaration *d = c->script->declarations.first; d != NULL; d = d->next) {
        count += d->kind == kind;
    }
    return count;
}

/* Nodes and pools share their names: `to` has both. */
static bool share_names(enum declaration_kind a, enum declaration_kind b)
{
    return a == b || (a == DECLARE_NODE && b == DECLARE_POOL) || (a == DECLARE_POOL && b == DECLARE_NODE);
}

/* An earlier declaration of the same name; NULL if this is the first. */
static const struct declaration *find_earlier(const struct check *c, const struct declaration *d)
{
    for (const struct declaration *e = c->script->declarations.first; e != d; e = e->next) {
        if (share_names(e->kind, d->kind) && e->name.kind == VALUE_STRING &&
            strcmp(e->name.text, d->name.text) == 0) {
            return e;
        }
    }
    return NULL;
}

/* The name of a caller, node, pool or route into *member. */
static void take_name(struct check *c, const struct declaration *d, char **member)
{
    const char *word = declaration_word(d->kind);
    struct place at = {.declaration = d};
    if (d->name.kind != VALUE_STRING || d->name.len == 0 || strlen(d->name.text) != d->name.len) {
        check_error(c, &at, "there is no name; write %s \"NAME\" { ... }", word);
        return;
    }
    const struct declaration *earlier = find_earlier(c, d);
    if (earlier != NULL) {
        check_error(c, &at, "there is a %s \"%s\" on line %d already; give each a name of its own",
                    declaration_word(earlier->kind), d->name.text, earlier->line);
    }
    field_set_text(c, member, d->name.text);
}

/* False, with an error, for `node "x"` alone. A file that ended in an error may have been about to go on. */
static bool has_table(struct check *c, const struct declaration *d)
{
    struct place at = {.declaration = d};
    if (!d->is_complete && !c->script->is_partial) {
        check_error(c, &at, "there is no table behind the name; write %s \"NAME\" { key = value, ... }",
                    declaration_word(d->kind));
    }
    return d->is_complete;
}

static void check_gateways(struct check *c)
{
    const struct declaration *first = check_declaration(c, DECLARE_GATEWAY, 0);
    for (const struct declaration *d = first; d != NULL; d = d->next) {
        struct place at = {.declaration = d};
        if (d == first) {
            if (has_table(c, d)) {
                check_gateway(c, d);
            }
        } else if (d->kind == DECLARE_GATEWAY) {
            check_error(c, &at, "there is a gateway on line %d already; put all its keys into one",
                        first->line);
        }
    }
}

static void check_listens(struct check *c)
{
    size_t count = count_kind(c, DECLARE_LISTEN);
    c->config->listens = calloc(count + 1, sizeof(*c->config->listens));
    if (c->config->listens == NULL) {
        c->failed = true;
        return;
    }
    c->config->listen_count = count;
    size_t i = 0;
    for (const struct declaration *d = c->script->declarations.first; d != NULL; d = d->next) {
        if (d->kind == DECLARE_LISTEN) {
            check_listen(c, d, &c->config->listens[i++]);
        }
    }
}

static void check_callers(struct check *c)
{
    size_t count = count_kind(c, DECLARE_CALLER);
    c->config->callers = calloc(count + 1, sizeof(*c->config->callers));
    if (c->config->callers == NULL) {
        c->failed = true;
        return;
    }
    c->config->caller_count = count;
    size_t i = 0;
    for (const struct declaration *d = c->script->declarations.first; d != NULL; d = d->next) {
        if (d->kind == DECLARE_CALLER) {
            struct config_caller *caller = &c->config->callers[i];
            caller->index = i++;
            take_name(c, d, &caller->name);
            if (has_table(c, d)) {
                check_caller(c, d, caller);
            }
        }
    }
}

static void check_nodes(struct check *c)
{
    size_t count = count_kind(c, DECLARE_NODE);
    c->config->nodes = calloc(count + 1, sizeof(*c->config->nodes));
    if (c->config->nodes == NULL) {
        c->failed = true;
        return;
    }
    c->config->node_count = count;
    size_t i = 0;
    for (const struct declaration *d = c->script->declarations.first; d != NULL; d = d->next) {
        if (d->kind == DECLARE_NODE) {
            struct config_node *n = &c->config->nodes[i];
            n->index = i++;
            take_name(c, d, &n->name);
            if (has_table(c, d)) {
                check_node(c, d, n);
            }
        }
    }
}

/* They do not move any more: routes point into them. */
static void check_pools(struct check *c)
{
    size_t count = count_kind(c, DECLARE_POOL);
    c->config->pools = calloc(count + 1, sizeof(*c->config->pools));
    if (c->config->pools == NULL) {
        c->failed = true;
        return;
    }
    c->config->pool_count = count;
    size_t i = 0;
    for (const struct declaration *d = c->script->declarations.first; d != NULL; d = d->next) {
        if (d->kind == DECLARE_POOL) {
            struct config_pool *p = &c->config->pools[i];
            p->as_node =
                (struct config_node){.index = c->config->node_count + i++, .pool = p, .line = d->line};
            take_name(c, d, &p->as_node.name);
            if (has_table(c, d)) {
                check_pool(c, d, p);
            }
        }
    }
}

static void check_routes(struct check *c)
{
    size_t count = count_kind(c, DECLARE_ROUTE);
    c->config->routes = calloc(count + 1, sizeof(*c->config->routes));
    if (c->config->routes == NULL) {
        c->failed = true;
        return;
    }
    c->config->route_count = count;
    size_t i = 0;
    for (const struct declaration *d = c->script->declarations.first; d != NULL; d = d->next) {
        if (d->kind == DECLARE_ROUTE) {
            struct config_route *r = &c->config->routes[i++];
            take_name(c, d, &r->name);
            if (has_table(c, d)) {
                check_route(c, d, r);
            }
        }
    }
}

/* Routes behind a final one without conditions, of their service. Only where the conditions are known to be right. */
static void warn_of_unreachable(struct check *c)
{
    const struct config_route *end[CONFIG_SERVICES] = {NULL};
    for (size_t i = 0; i < c->config->route_count; i++) {
        const struct config_route *r = &c->config->routes[i];
        const struct config_route *final = end[r->service];
        if (final != NULL) {
            struct place at = {.declaration = check_declaration(c, DECLARE_ROUTE, i)};
            check_warning(
                c, &at,
                "it is never reached: route \"%s\" on line %d is final and takes everything; move it above "
                "that one, or give that one a when",
                final->name, final->line);
        } else if (r->is_final && r->condition_count == 0 && !r->has_when_function) {
            end[r->service] = r;
        }
    }
}

static void check_whole(struct check *c)
{
    struct script *s = c->script;
    if (s->is_partial) {
        return;
    }
    if (c->config->listen_count == 0) {
        report_printf(&s->report, s->sources.first, 1, false, "there is no listener; add listen \"11112\"");
    }
    if (c->config->route_count == 0) {
        report_printf(
            &s->report, s->sources.first, 1, true,
            "there is no route, so that every instance is refused; add route \"NAME\" { to = { \"NODE\" } }");
    }
    if (s->report.errors == 0) {
        warn_of_unreachable(c);
        check_callers_whole(c);
        check_exposure(c);
        check_limits(c);
        check_weights(c);
    }
}

void check_all(struct check *c)
{
    check_gateways(c);
    check_listens(c);
    check_callers(c);
    check_nodes(c);
    check_pools(c);
    check_routes(c);
    if (c->failed) {
        return;
    }
    check_listen_conflicts(c);
    check_own_listeners(c);
    check_whole(c);
}
