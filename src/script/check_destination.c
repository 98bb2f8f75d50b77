/* Nodes and pools by name, as `to` and `copy` have them; and what is named twice, in one way or another. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "script/check.h"
#include "script/suggest.h"

/* Names as they are said: "a", "b", ... */
struct names {
    struct suggestion nearest;
    char list[300];
};

static void add_name(struct names *n, const char *name)
{
    size_t len = strlen(n->list);
    if (name != NULL && len < sizeof(n->list) - 1) {
        suggest_offer(&n->nearest, name);
        snprintf(n->list + len, sizeof(n->list) - len, "%s\"%s\"", len > 0 ? ", " : "", name);
    }
}

void check_unknown_node(const struct item *item, const char *name, bool with_pools)
{
    const struct config *config = item->check->config;
    struct names n = {.nearest.word = name};
    const char *what = with_pools && config->pool_count > 0 ? "nodes and pools" : "nodes";
    for (size_t i = 0; i < config->node_count; i++) {
        add_name(&n, config->nodes[i].name);
    }
    for (size_t i = 0; with_pools && i < config->pool_count; i++) {
        add_name(&n, config->pools[i].as_node.name);
    }
    if (n.list[0] == '\0') {
        check_error(item->check, item->at,
                    "unknown node \"%s\"; declare it: node \"%s\" { host = ..., ae_title = ... }", name,
                    name);
    } else if (n.nearest.name != NULL) {
        check_error(item->check, item->at, "unknown node \"%s\"; did you mean \"%s\"? The %s are %s", name,
                    n.nearest.name, what, n.list);
    } else {
        check_error(item->check, item->at, "unknown node \"%s\"; the %s are %s", name, what, n.list);
    }
}

static const struct config_node *find(const struct config *config, const char *name)
{
    const struct config_node *node = config_node_named(config, name);
    const struct config_pool *pool = node == NULL ? config_pool_named(config, name) : NULL;
    return pool != NULL ? &pool->as_node : node;
}

bool check_is_among(const struct config_node *node, const struct config_node *const *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (nodes[i] == node) {
            return true;
        }
    }
    return false;
}

/* What a node stands for: itself, or the members of a pool. */
static size_t parts_of(const struct config_node *const *node, const struct config_node *const **parts_out)
{
    *parts_out = (*node)->pool != NULL ? (const struct config_node *const *)(*node)->pool->members : node;
    return (*node)->pool != NULL ? (*node)->pool->member_count : 1;
}

/* A node that both are, or hold; NULL: there is none. */
static const struct config_node *find_common(const struct config_node *a, const struct config_node *b)
{
    const struct config_node *const *of_a, *const *of_b;
    size_t a_count = parts_of(&a, &of_a), b_count = parts_of(&b, &of_b);
    for (size_t i = 0; i < a_count; i++) {
        if (check_is_among(of_a[i], of_b, b_count)) {
            return of_a[i];
        }
    }
    return NULL;
}

/* A list of nodes, as it grows. */
struct destinations {
    const struct config_node **nodes;
    size_t count;
};

static bool is_new(const struct item *item, const struct config_node *node, const struct destinations *to)
{
    struct check *c = item->check;
    if (check_is_among(node, to->nodes, to->count)) {
        check_error(c, item->at, "%s \"%s\" is named twice; it gets an instance once: name it once",
                    node->pool != NULL ? "pool" : "node", node->name);
        return false;
    }
    for (size_t i = 0; i < to->count; i++) {
        const struct config_node *common = find_common(node, to->nodes[i]);
        if (common != NULL) {
            const struct config_node *pool = node->pool != NULL ? node : to->nodes[i];
            const struct config_node *other = pool == node ? to->nodes[i] : node;
            check_error(c, item->at,
                        "node \"%s\" is a member of pool \"%s\" %s, so that it might get an instance "
                        "twice; name %s",
                        common->name, pool->name,
                        other->pool != NULL ? "as well as of another one" : "and named besides",
                        other->pool != NULL ? "one of the pools" : "the pool alone, or its members");
            return false;
        }
    }
    return true;
}

static void add_destination(const struct item *item, void *user)
{
    struct destinations *to = user;
    struct check *c = item->check;
    const char *name = field_text(item, "the name of a node");
    if (name == NULL) {
        return;
    }
    const struct config_node *node = find(c->config, name);
    if (node == NULL) {
        if (!c->script->is_partial) {
            check_unknown_node(item, name, true);
        }
    } else if (is_new(item, node, to)) {
        to->nodes[to->count++] = node;
    }
}

void check_destinations(const struct item *item, const struct config_node ***nodes_out, size_t *count_out)
{
    struct destinations to = {.nodes = calloc(field_count(item->value) + 1, sizeof(*to.nodes))};
    if (to.nodes == NULL) {
        item->check->failed = true;
        return;
    }
    field_each(item, "the name of a node", "name at least one node", add_destination, &to);
    *nodes_out = to.nodes;
    *count_out = to.count;
}

/* Named by `to` as a member of a pool, or the other way round. */
static void warn_of_member(struct check *c, const struct place *at, const struct config_node *copy,
                           const struct config_route *r)
{
    for (size_t i = 0; i < r->to_count; i++) {
        const struct config_node *common = find_common(copy, r->to[i]);
        if (common != NULL) {
            check_warning(
                c, at,
                "node \"%s\" belongs to what to names as well (\"%s\"); where an instance goes to it "
                "by to, it gets no copy",
                common->name, r->to[i]->name);
            return;
        }
    }
}

/* Who gets an instance before the sender is answered needs no copy of it afterwards. */
void check_overlaps(struct check *c, const struct declaration *d, const struct place *root,
                    struct config_route *r)
{
    struct place at = {d, root, "copy", 0};
    size_t kept = 0;
    for (size_t i = 0; i < r->copy_count; i++) {
        if (check_is_among(r->copy[i], r->to, r->to_count)) {
            check_warning(c, &at, "%s \"%s\" is named by to as well; it gets an instance once, by to",
                          r->copy[i]->pool != NULL ? "pool" : "node", r->copy[i]->name);
        } else {
            warn_of_member(c, &at, r->copy[i], r);
            r->copy[kept++] = r->copy[i];
        }
    }
    r->copy_count = kept;
}
