#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "script/check.h"
#include "script/suggest.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void take_when(const struct item *item, void *route)
{
    struct config_route *r = route;
    if (item->value->kind == VALUE_FUNCTION) {
        r->has_when_function = true;
    } else {
        check_when(item, r);
    }
}

static void take_function(const struct item *item, void *member, const char *expected)
{
    if (item->value->kind != VALUE_FUNCTION) {
        field_wrong_type(item, expected);
        return;
    }
    *(bool *)member = true;
}

static void take_morph(const struct item *item, void *member)
{
    take_function(item, member, "a function, function (ds, assoc) ... end");
}

static void take_on_study(const struct item *item, void *member)
{
    take_function(item, member, "a function, function (study) ... end");
}

/* A pool has been refused where it is declared; once is enough. */
static bool is_pool(const struct check *c, const char *name)
{
    for (const struct declaration *d = c->script->declarations.first; d != NULL; d = d->next) {
        if (d->kind == DECLARE_POOL && d->name.kind == VALUE_STRING && strcmp(d->name.text, name) == 0) {
            return true;
        }
    }
    return false;
}

static void unknown_node(const struct item *item, const char *name)
{
    const struct config *config = item->check->config;
    struct suggestion nearest = {.word = name};
    char names[300] = "";
    for (size_t i = 0; i < config->node_count; i++) {
        const char *other = config->nodes[i].name;
        size_t len = strlen(names);
        if (other != NULL && len < sizeof(names) - 1) {
            suggest_offer(&nearest, other);
            snprintf(names + len, sizeof(names) - len, "%s\"%s\"", len > 0 ? ", " : "", other);
        }
    }
    if (names[0] == '\0') {
        check_error(item->check, item->at,
                    "unknown node \"%s\"; declare it: node \"%s\" { host = ..., ae_title = ... }", name,
                    name);
    } else if (nearest.name != NULL) {
        check_error(item->check, item->at, "unknown node \"%s\"; did you mean \"%s\"? The nodes are %s", name,
                    nearest.name, names);
    } else {
        check_error(item->check, item->at, "unknown node \"%s\"; the nodes are %s", name, names);
    }
}

/* A list of nodes, as it grows. */
struct destinations {
    const struct config_node **nodes;
    size_t count;
};

static bool is_among(const struct config_node *node, const struct config_node *const *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (nodes[i] == node) {
            return true;
        }
    }
    return false;
}

static void add_destination(const struct item *item, void *user)
{
    struct destinations *to = user;
    struct check *c = item->check;
    const char *name = field_text(item, "the name of a node");
    if (name == NULL) {
        return;
    }
    const struct config_node *node = config_node_named(c->config, name);
    if (node == NULL) {
        if (!c->script->is_partial && !is_pool(c, name)) {
            unknown_node(item, name);
        }
    } else if (is_among(node, to->nodes, to->count)) {
        check_error(c, item->at, "node \"%s\" is named twice; it gets an instance once: name it once", name);
    } else {
        to->nodes[to->count++] = node;
    }
}

static void take_destinations(const struct item *item, const struct config_node ***nodes, size_t *count)
{
    struct destinations to = {.nodes = calloc(field_count(item->value) + 1, sizeof(*to.nodes))};
    if (to.nodes == NULL) {
        item->check->failed = true;
        return;
    }
    field_each(item, "the name of a node", "name at least one node", add_destination, &to);
    *nodes = to.nodes;
    *count = to.count;
}

static void take_to(const struct item *item, void *route)
{
    struct config_route *r = route;
    take_destinations(item, &r->to, &r->to_count);
}

static void take_copy(const struct item *item, void *route)
{
    struct config_route *r = route;
    take_destinations(item, &r->copy, &r->copy_count);
}

static const struct key route_keys[] = {
    {"when", take_when, 0},
    {"to", take_to, 0},
    {"copy", take_copy, 0},
    KEY("final", take_boolean, config_route, is_final),
    KEY("stream", take_boolean, config_route, stream),
    KEY("on_failure", take_on_failure, config_route, queues),
    KEY("journal", take_boolean, config_route, journal),
    {"hold", take_hold, 0},
    KEY("on_study", take_on_study, config_route, has_on_study),
    KEY("zero_copy", take_zero_copy, config_route, zero_copy),
    KEY("back_to_sender", take_boolean, config_route, back_to_sender),
    KEY("morph", take_morph, config_route, has_morph),
    KEY("trace", take_boolean, config_route, trace),
    {"transfer", take_later, 0},
};

/* A folder cannot answer C-ECHO, and there is no data set to change. */
static void check_echo(struct check *c, const struct declaration *d, const struct place *root,
                       const struct config_route *r)
{
    for (size_t i = 0; i < r->to_count; i++) {
        if (r->to[i]->is_folder) {
            struct place at = {d, root, "to", 0};
            check_error(c, &at,
                        "\"%s\" is a folder, which cannot answer service = \"echo\"; name remote AEs only",
                        r->to[i]->name);
        }
    }
    if (r->has_morph) {
        struct place at = {d, root, "morph", 0};
        check_error(c, &at,
                    "morph changes nothing of service = \"echo\", which has no data set; leave it out");
    }
}

/* Who gets an instance before the sender is answered needs no copy of it afterwards. */
static void drop_copies_of_to(struct check *c, const struct declaration *d, const struct place *root,
                              struct config_route *r)
{
    struct place at = {d, root, "copy", 0};
    size_t kept = 0;
    for (size_t i = 0; i < r->copy_count; i++) {
        if (is_among(r->copy[i], r->to, r->to_count)) {
            check_warning(c, &at, "node \"%s\" is named by to as well; it gets an instance once, by to",
                          r->copy[i]->name);
        } else {
            r->copy[kept++] = r->copy[i];
        }
    }
    r->copy_count = kept;
}

void check_route(struct check *c, const struct declaration *d, struct config_route *out)
{
    struct place at;
    struct item item = check_item(c, d, &at);
    out->line = d->line;
    out->stream = true;
    out->zero_copy = c->config->zero_copy;
    out->journal = c->config->journal;
    fields_take(&item, "a route", route_keys, COUNT(route_keys), out);
    if (d->value.kind != VALUE_TABLE) {
        return;
    }
    if (value_field(&d->value, "to") == NULL && value_field(&d->value, "copy") == NULL) {
        check_error(c, &at,
                    "there is neither to nor copy, so that it leads nowhere; add to = { \"NODE\" }, "
                    "or copy = { \"NODE\" }");
    }
    check_route_queue(c, d, &at, out);
    drop_copies_of_to(c, d, &at, out);
    if (out->trace && !out->has_morph) {
        struct place trace = {d, &at, "trace", 0};
        check_warning(c, &trace, "trace records what morph changes, and there is no morph");
    }
    if (out->service == CONFIG_ECHO) {
        check_echo(c, d, &at, out);
    }
}
