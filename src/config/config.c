/* The life of a configuration: defaults, references, the end. */
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define MIB    (UINT64_C(1) << 20)
#define DAY_MS (UINT64_C(24) * 60 * 60 * 1000)

static const struct config_timeouts default_timeouts = {
    .connect = 5 * 1000,
    .association = 30 * 1000,
    .progress = 60 * 1000,
    .response = 60 * 1000,
    .idle = 60 * 60 * 1000,
    .linger = 10 * 1000,
    .lag = 5 * 1000,
    .drain = 8 * 1000,
    .retrieve = 10 * 60 * 1000,
    .commit = 24 * 60 * 60 * 1000,
};

bool config_listen_is_at(const struct config_listen *a, const struct config_listen *b)
{
    return a->port == b->port && strcmp(a->address, b->address) == 0;
}

const struct config_node *config_node_named(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->node_count; i++) {
        if (c->nodes[i].name != NULL && strcmp(c->nodes[i].name, name) == 0) {
            return &c->nodes[i];
        }
    }
    return NULL;
}

const struct config_pool *config_pool_named(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->pool_count; i++) {
        if (c->pools[i].as_node.name != NULL && strcmp(c->pools[i].as_node.name, name) == 0) {
            return &c->pools[i];
        }
    }
    return NULL;
}

const char *config_service_name(enum config_service service)
{
    static const char *const names[CONFIG_SERVICES] = {
        [CONFIG_STORE] = "store", [CONFIG_ECHO] = "echo",     [CONFIG_FIND] = "find",
        [CONFIG_MOVE] = "move",   [CONFIG_GET] = "get",       [CONFIG_WORKLIST] = "worklist",
        [CONFIG_MPPS] = "mpps",   [CONFIG_COMMIT] = "commit", [CONFIG_UPS] = "ups",
        [CONFIG_PRINT] = "print", [CONFIG_OTHER] = "other",   [CONFIG_AVAILABILITY] = "availability",
    };
    hilum_assert(service < CONFIG_SERVICES);
    return names[service];
}

const char *config_balance_name(enum config_balance balance)
{
    static const char *const names[CONFIG_BALANCES] = {
        [CONFIG_BALANCE_STUDY] = "study",
        [CONFIG_BALANCE_LEAST] = "least",
        [CONFIG_BALANCE_ROUND_ROBIN] = "round-robin",
        [CONFIG_BALANCE_FAILOVER] = "failover",
    };
    hilum_assert(balance < CONFIG_BALANCES);
    return names[balance];
}

bool config_needs_spool(const struct config *c)
{
    for (size_t i = 0; i < c->route_count && !c->spool.is_off; i++) {
        const struct config_route *r = &c->routes[i];
        bool may_queue = r->service == CONFIG_STORE || r->service == CONFIG_MPPS;
        if (r->service == CONFIG_COMMIT ||
            (may_queue && (r->copy_count > 0 || (r->queues && r->to_count > 0)))) {
            return true;
        }
    }
    return false;
}

bool config_control_path(const struct config *c, char out[CONFIG_CONTROL_BYTES], const char **why_out)
{
    const struct config_control *control = &c->control;
    bool is_ours = control->path != NULL;
    if (control->is_off) {
        *why_out = "gateway.control is false";
        return false;
    }
    if (!is_ours && c->spool.is_off) {
        *why_out = "gateway.spool is false, and no path is given as gateway.control";
        return false;
    }
    int len = snprintf(out, CONFIG_CONTROL_BYTES, is_ours ? "%s" : "%s/control",
                       is_ours ? control->path : c->spool.path);
    *why_out =
        "its path is longer than the 107 bytes that the system takes: give a shorter one as gateway.control";
    return len < CONFIG_CONTROL_BYTES;
}

struct config *config_new(void)
{
    struct config *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return NULL;
    }
    atomic_init(&c->references, 1);
    c->ae_title = strdup("HILUM");
    c->spool.path = strdup("./hilum-spool");
    if (c->ae_title == NULL || c->spool.path == NULL) {
        free(c->ae_title);
        free(c->spool.path);
        free(c->user);
        free(c);
        return NULL;
    }
    c->max_pdu = (uint32_t)MIB;
    c->memory = 1024 * MIB;
    c->window = MIB;
    c->header_max = 16 * MIB;
    c->replay_max = MIB;
    c->spool.reserve = 1024 * MIB;
    c->journal = true;
    c->history_ms = 7 * DAY_MS;
    c->retry_first_ms = 5 * 1000;
    c->retry_most_ms = 10 * 60 * 1000;
    c->header_spool_max = 1024 * MIB;
    c->max_associations = 4096;
    c->min_rate = 100;
    c->rule_instructions = 10 * 1000 * 1000;
    c->rule_memory = 64 * MIB;
    c->timeouts = default_timeouts;
    c->seccomp = GUARD_SECCOMP_ENFORCE;
    c->landlock = true;
    c->log_level = LOG_INFO;
    c->log_format = LOG_LOGFMT;
    c->study_attribute = SIZE_MAX;
    return c;
}

struct config *config_ref(struct config *c)
{
    unsigned before = atomic_fetch_add_explicit(&c->references, 1, memory_order_relaxed);
    hilum_assert(before > 0);
    return c;
}

static void free_texts(char **texts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(texts[i]);
    }
    free(texts);
}

/* It is not left behind in freed memory. */
static void free_secret(char *text)
{
    if (text != NULL) {
        explicit_bzero(text, strlen(text));
    }
    free(text);
}

static void free_tls(struct config_tls *t)
{
    if (t == NULL) {
        return;
    }
    for (size_t i = 0; i < TLS_PAIRS; i++) {
        free(t->certificate[i]);
        free(t->key[i]);
    }
    free(t->ca);
    free(t->crl);
    free(t->name);
    tls_context_unref(&t->context);
    free(t);
}

static void free_caller(struct config_caller *c)
{
    free_texts(c->titles, c->title_count);
    free_texts(c->peers, c->peer_count);
    free_texts(c->sop_classes, c->sop_class_count);
    free(c->allow);
    free(c->name);
}

static void free_listen(struct config_listen *l)
{
    free_texts(l->ae_titles, l->ae_title_count);
    free_tls(l->tls);
    free(l->allow);
    free(l->deny);
    free(l->tcp_congestion);
    free(l->address);
    free(l->name);
}

static void free_node(struct config_node *n)
{
    free_tls(n->tls);
    free(n->name);
    free(n->host);
    free(n->ae_title);
    free(n->calling_title);
    free(n->tcp_congestion);
    free(n->folder);
    for (size_t i = 0; i < n->move_count; i++) {
        free(n->moves[i].title);
        free(n->moves[i].as);
    }
    free(n->moves);
}

static void free_pool(struct config_pool *p)
{
    free_node(&p->as_node);
    free(p->members);
    free(p->weights);
}

static void free_route(struct config_route *r)
{
    for (size_t i = 0; i < r->condition_count; i++) {
        for (size_t j = 0; j < r->conditions[i].value_count; j++) {
            free(r->conditions[i].values[j].glob);
        }
        free(r->conditions[i].values);
    }
    free(r->conditions);
    free(r->to);
    free(r->copy);
    free(r->name);
}

static void free_sources(struct config *c)
{
    for (size_t i = 0; i < c->source_count; i++) {
        free(c->sources[i].module);
        free(c->sources[i].path);
        free_secret(c->sources[i].text); /* a key may have been written there */
    }
    for (size_t i = 0; i < c->environment_count; i++) {
        free(c->environment[i].name);
        free_secret(c->environment[i].value);
    }
    free(c->sources);
    free(c->environment);
}

static void free_attributes(struct config *c)
{
    for (size_t i = 0; i < c->attribute_count; i++) {
        free(c->attributes[i].text);
    }
    free(c->attributes);
}

static void free_config(struct config *c)
{
    free_attributes(c);
    free_sources(c);
    for (size_t i = 0; i < c->listen_count; i++) {
        free_listen(&c->listens[i]);
    }
    for (size_t i = 0; i < c->node_count; i++) {
        free_node(&c->nodes[i]);
    }
    for (size_t i = 0; i < c->pool_count; i++) {
        free_pool(&c->pools[i]);
    }
    for (size_t i = 0; i < c->caller_count; i++) {
        free_caller(&c->callers[i]);
    }
    for (size_t i = 0; i < c->route_count; i++) {
        free_route(&c->routes[i]);
    }
    free(c->listens);
    free(c->nodes);
    free(c->pools);
    free(c->callers);
    free(c->routes);
    free(c->file);
    free(c->ae_title);
    free(c->tcp_congestion);
    free(c->spool.path);
    free(c->user);
    free(c->control.path);
    free_secret(c->uid_key);
    free(c);
}

void config_unref(struct config **c)
{
    struct config *dropped = *c;
    *c = NULL;
    if (dropped == NULL) {
        return;
    }
    /* Release: what this thread read is done; acquire: whoever frees has seen all the others finish. */
    unsigned before = atomic_fetch_sub_explicit(&dropped->references, 1, memory_order_acq_rel);
    hilum_assert(before > 0);
    if (before == 1) {
        free_config(dropped);
    }
}
