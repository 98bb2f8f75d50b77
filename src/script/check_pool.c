/* Pools: which nodes they hold, and how these share what comes. */
#include <stdlib.h>
#include <string.h>

#include "script/check.h"
#include "script/check_attribute.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    NAME_MAX_BYTES = 63, /* of a member: where a study is kept by it */
    HEALTH_MS = 10 * 1000
};

/* What the keys of a pool are taken into. */
struct draft {
    struct config_pool *pool;
    unsigned balance, failover;
    uint64_t health_ms;
};

static void refuse_member(const struct item *item, const char *name)
{
    struct check *c = item->check;
    const struct config_pool *pool = config_pool_named(c->config, name);
    if (pool != NULL) {
        check_error(c, item->at, "\"%s\" is a pool itself; name its nodes", name);
    } else if (!c->script->is_partial) {
        check_unknown_node(item, name, false);
    }
}

static void add_member(const struct item *item, void *user)
{
    struct config_pool *p = user;
    struct check *c = item->check;
    const char *name = field_text(item, "the name of a node");
    const struct config_node *node = name == NULL ? NULL : config_node_named(c->config, name);
    if (name == NULL) {
        return;
    }
    if (node == NULL) {
        refuse_member(item, name);
    } else if (node->is_folder) {
        check_error(c, item->at, "\"%s\" is a folder; the members of a pool are remote AEs, with a host",
                    name);
    } else if (check_is_among(node, p->members, p->member_count)) {
        check_error(c, item->at, "node \"%s\" is named twice; name it once, and give it a weight", name);
    } else if (strlen(name) > NAME_MAX_BYTES) {
        check_error(c, item->at, "the name \"%s\" is longer than %d bytes; give the node a shorter one", name,
                    NAME_MAX_BYTES);
    } else {
        p->members[p->member_count++] = node;
    }
}

static void take_members(const struct item *item, void *draft)
{
    struct config_pool *p = ((struct draft *)draft)->pool;
    size_t count = field_count(item->value);
    if (count > CONFIG_POOL_MEMBERS_MAX) {
        check_error(item->check, item->at, "there are %zu members; it must be %d at most", count,
                    CONFIG_POOL_MEMBERS_MAX);
        return;
    }
    p->members = calloc(count + 1, sizeof(*p->members));
    p->weights = calloc(count + 1, sizeof(*p->weights));
    if (p->members == NULL || p->weights == NULL) {
        item->check->failed = true;
        return;
    }
    field_each(item, "the name of a node", "name at least one node", add_member, p);
}

static void take_balance(const struct item *item, void *member)
{
    const char *words[CONFIG_BALANCES];
    for (unsigned i = 0; i < CONFIG_BALANCES; i++) {
        words[i] = config_balance_name((enum config_balance)i);
    }
    field_word(item, words, CONFIG_BALANCES, member);
}

static void take_failover(const struct item *item, void *member)
{
    static const char *const words[] = {"next", "wait"};
    field_word(item, words, COUNT(words), member);
}

/* To wait for one's own member means nothing where no member is one's own; nor without a place to wait in. */
static void check_failover(struct check *c, const struct declaration *d, const struct place *root,
                           const struct config_pool *p)
{
    struct place at = {d, root, "failover", 0};
    if (p->waits && p->balance != CONFIG_BALANCE_STUDY) {
        check_error(c, &at,
                    "failover = \"wait\" queues what belongs to a study for the member that has it, and only "
                    "balance = \"study\" keeps studies together; leave one of them out");
    } else if (p->waits && c->config->spool.is_off) {
        check_error(c, &at,
                    "failover = \"wait\" needs the queue, and the gateway says spool = false; write \"next\" "
                    "or leave it out");
    }
}

/* Members that do not say are probed as often as the pool that asks for most. */
static void take_over(struct check *c, struct config_pool *p, uint64_t health_ms)
{
    for (size_t i = 0; i < p->member_count; i++) {
        struct config_node *node = &c->config->nodes[p->members[i]->index];
        const struct declaration *d = check_declaration(c, DECLARE_NODE, node->index);
        p->weights[i] = node->weight;
        if (value_field(&d->value, "health") == NULL && health_ms > 0 &&
            (node->health_ms == 0 || health_ms < node->health_ms)) {
            node->health_ms = health_ms;
        }
    }
}

void check_pool(struct check *c, const struct declaration *d, struct config_pool *out)
{
    static const struct key keys[] = {
        {"members", take_members, 0},
        KEY("balance", take_balance, draft, balance),
        KEY("failover", take_failover, draft, failover),
        KEY("health", take_duration_or_0, draft, health_ms),
    };
    struct place at;
    struct item item = check_item(c, d, &at);
    struct draft draft = {.pool = out, .health_ms = HEALTH_MS};
    out->line = d->line;
    fields_take(&item, "a pool", keys, COUNT(keys), &draft);
    if (d->value.kind != VALUE_TABLE || c->failed) {
        return;
    }
    out->balance = (enum config_balance)draft.balance;
    out->waits = draft.failover == 1;
    if (value_field(&d->value, "members") == NULL) {
        check_error(c, &at, "there are no members; add members = { \"NODE\", \"NODE\" }");
    }
    if (out->as_node.name != NULL && strlen(out->as_node.name) > NAME_MAX_BYTES) {
        check_error(c, &at, "its name is longer than %d bytes; give it a shorter one", NAME_MAX_BYTES);
    }
    check_failover(c, d, &at, out);
    take_over(c, out, draft.health_ms);
    if (out->balance == CONFIG_BALANCE_STUDY) {
        check_attribute_add(c, "StudyInstanceUID", &c->config->study_attribute);
    }
}

static bool is_in_a_pool(const struct config *config, const struct config_node *node)
{
    for (size_t i = 0; i < config->pool_count; i++) {
        if (check_is_among(node, config->pools[i].members, config->pools[i].member_count)) {
            return true;
        }
    }
    return false;
}

void check_weights(struct check *c)
{
    for (size_t i = 0; i < c->config->node_count; i++) {
        struct place root = {.declaration = check_declaration(c, DECLARE_NODE, i)};
        struct place at = {root.declaration, &root, "weight", 0};
        if (value_field(&root.declaration->value, "weight") != NULL &&
            !is_in_a_pool(c->config, &c->config->nodes[i])) {
            check_warning(c, &at, "weight is its share among the members of a pool, and it is in none");
        }
    }
}
