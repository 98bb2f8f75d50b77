/* What is asked of the control socket, and the JSON that answers it. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "script/suggest.h"
#include "worker/control.h"

struct asked {
    const struct config *config;
    struct circuits *circuits;
    struct permits_registry *permits;
};

/* Of a text that is no UTF-8 what cannot be shown becomes '?'. */
static json_t *text_json(const char *text)
{
    json_t *json = json_string(text);
    if (json)
        return json;
    size_t cap = strlen(text) + 1;
    char *printable = malloc(cap);
    if (!printable)
        return NULL;
    text_printable(printable, cap, text, cap - 1);
    json = json_string(printable);
    free(printable);
    return json;
}

static json_t *failure(const char *error, const char *reason)
{
    return json_pack("{s:b, s:s, s:o}", "ok", 0, "error", error, "reason", text_json(reason));
}

/* --- a node ------------------------------------------------------------------------------------------------------ */

static bool pool_has(const struct config_pool *pool, const struct config_node *node)
{
    for (size_t i = 0; i < pool->member_count; i++)
        if (pool->members[i] == node)
            return true;
    return false;
}

static json_t *pools_json(const struct asked *a, const struct config_node *node)
{
    json_t *list = json_array();
    for (size_t i = 0; i < a->config->pool_count; i++)
        if (pool_has(&a->config->pools[i], node))
            json_array_append_new(list, text_json(a->config->pools[i].as_node.name));
    return list;
}

static json_t *ms_or_null(bool is_there, uint64_t ms)
{
    return is_there ? json_integer((json_int_t)ms) : json_null();
}

static const char *state_of(const struct circuit_view *v)
{
    return v->state == CIRCUIT_CLOSED ? "there" : v->is_trying ? "trying" : "away";
}

static json_t *ae_json(const struct asked *a, const struct config_node *node)
{
    struct circuit_view v;
    uint64_t now = clock_ms();
    circuit_look(a->circuits, node, now, &v);
    bool is_pausing = v.state == CIRCUIT_OPEN;
    return json_pack("{s:o, s:s, s:o, s:i, s:o, s:o, s:s, s:o, s:o, s:o, s:i, s:b, s:i, s:o, s:I, s:o}",
                     "name", text_json(node->name), "kind", "node", "host", text_json(node->host), "port",
                     node->port, "ae_title", text_json(node->ae_title), "pools", pools_json(a, node), "state",
                     state_of(&v), "for_ms", ms_or_null(v.changed_ms > 0, now - v.changed_ms), "retry_in_ms",
                     ms_or_null(is_pausing, v.until_ms - now), "cause",
                     v.cause[0] ? text_json(v.cause) : json_null(), "failures", (int)v.failures, "drained",
                     v.is_drained, "associations", (int)permits_in_use(a->permits, node), "max_associations",
                     ms_or_null(node->max_associations > 0, node->max_associations), "bytes_on_the_way",
                     (json_int_t)v.bytes_outstanding, "health_ms",
                     ms_or_null(node->health_ms > 0, node->health_ms));
}

static json_t *node_json(const struct asked *a, const struct config_node *node)
{
    if (!node->is_folder)
        return ae_json(a, node);
    return json_pack("{s:o, s:s, s:o, s:o, s:s}", "name", text_json(node->name), "kind", "folder", "folder",
                     text_json(node->folder), "pools", json_array(), "state", "there");
}

/* --- verbs ------------------------------------------------------------------------------------------------------- */

static json_t *list(const struct asked *a)
{
    json_t *nodes = json_array();
    for (size_t i = 0; i < a->config->node_count; i++)
        json_array_append_new(nodes, node_json(a, &a->config->nodes[i]));
    return json_pack("{s:b, s:o}", "ok", 1, "nodes", nodes);
}

static json_t *unknown_node(const struct asked *a, const char *name)
{
    struct suggestion s = {.word = name};
    bool is_pool = config_pool_named(a->config, name) != NULL;
    for (size_t i = 0; i < a->config->node_count; i++)
        suggest_offer(&s, a->config->nodes[i].name);
    json_t *json =
        failure("unknown-node", is_pool ? "this is a pool: it is its members that are drained, one by one"
                                        : "the gateway has no such node");
    json_object_set_new(json, "did_you_mean", s.name ? text_json(s.name) : json_null());
    return json;
}

static json_t *drain(const struct asked *a, const char *name, bool is_drained)
{
    const struct config_node *node = config_node_named(a->config, name);
    if (!node)
        return unknown_node(a, name);
    if (node->is_folder)
        return failure("not-drainable", "this is a folder: only members of pools can be drained");
    bool was_drained = circuit_is_drained(a->circuits, node);
    circuit_drain(a->circuits, node, is_drained);
    if (circuit_is_drained(a->circuits, node) != is_drained)
        return failure("no-memory", "the gateway has no memory to remember it");
    if (was_drained != is_drained)
        LOG(LOG_INFO, is_drained ? "node is drained" : "node is no longer drained",
            LOG_STR("node", node->name));
    json_t *json = json_pack("{s:b, s:o}", "ok", 1, "node", node_json(a, node));
    json_t *pools = json_object_get(json_object_get(json, "node"), "pools");
    if (is_drained && json_array_size(pools) == 0)
        json_object_set_new(json, "note",
                            json_string("no pool has this node: routes that name it themselves send to it as "
                                        "before"));
    return json;
}

static json_t *answer(const struct asked *a, const char *request)
{
    static const char forms[] = "a request is list, drain NAME or resume NAME";
    if (strcmp(request, "list") == 0)
        return list(a);
    if (strncmp(request, "drain ", 6) == 0)
        return drain(a, request + 6, true);
    if (strncmp(request, "resume ", 7) == 0)
        return drain(a, request + 7, false);
    return failure("unknown-request", forms);
}

char *control_answer(const struct config *config, struct circuits *circuits, struct permits_registry *permits,
                     const char *request)
{
    struct asked a = {.config = config, .circuits = circuits, .permits = permits};
    json_t *json = answer(&a, request);
    char *line = json ? json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
    json_decref(json);
    return line;
}
