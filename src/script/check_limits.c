/* Limits of nodes against what routes send there: only what certainly happens is told. */
#include "script/check.h"

static bool is_to(const struct config_route *r, const struct config_node *node)
{
    for (size_t i = 0; i < r->to_count; i++) {
        if (r->to[i] == node) {
            return true;
        }
    }
    return false;
}

static bool takes_everything(const struct config_route *r)
{
    return r->service == CONFIG_STORE && r->condition_count == 0 && !r->has_when_function;
}

/* How often each instance goes there, each time in other bytes: once for all routes that do not morph, and once for each that does. */
static size_t count_times(const struct config *config, const struct config_node *node)
{
    size_t plain = 0, morphed = 0;
    for (size_t i = 0; i < config->route_count; i++) {
        const struct config_route *r = &config->routes[i];
        if (!takes_everything(r)) {
            continue;
        }
        if (is_to(r, node) && r->has_morph) {
            morphed++;
        } else if (is_to(r, node)) {
            plain = 1;
        }
        if (r->is_final) {
            break;
        }
    }
    return plain + morphed;
}

void check_limits(struct check *c)
{
    for (size_t i = 0; i < c->config->node_count; i++) {
        const struct config_node *n = &c->config->nodes[i];
        size_t times = n->max_associations > 0 ? count_times(c->config, n) : 0;
        if (times <= n->max_associations) {
            continue;
        }
        struct place root = {.declaration = check_declaration(c, DECLARE_NODE, i)};
        struct place at = {root.declaration, &root, "max_associations", 0};
        check_warning(c, &at,
                      "each instance goes there %zu times, as routes morph it, and %u of them at a time: the "
                      "others are held meanwhile, and fail if they are larger than %s; %zu would do",
                      times, n->max_associations, c->config->spool.is_off ? "header_max" : "header_spool_max",
                      times);
    }
}
