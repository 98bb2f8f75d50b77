#include "relay/study.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

struct studies {
    struct relay *relay;
    struct config *config; /* NULL: nothing is asked yet */
    struct ruleset *rules; /* of config, once a hook has run */
    struct spool_studies asked;
    bool is_closing, is_closed;
};

static const struct config_route *route_named(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->route_count; i++)
        if (strcmp(config->routes[i].name, name) == 0)
            return &config->routes[i];
    return NULL;
}

static bool is_in(const struct config_route *route, const struct config_node *node)
{
    for (size_t i = 0; i < route->to_count; i++)
        if (route->to[i] == node)
            return true;
    return false;
}

/* --- the hook ---------------------------------------------------------------------------------------------------- */

/* As the rules know it. False without memory; to be freed in any case. */
static bool make_study(const struct spool_study *from, struct rules_study *to)
{
    struct rules_study_series *series = calloc(from->series_count + 1, sizeof(*series));
    struct rules_study_instance *listed = calloc(from->listed_count + 1, sizeof(*listed));
    for (size_t i = 0; series && i < from->series_count; i++)
        series[i] = (struct rules_study_series){from->series[i].uid, from->series[i].instances};
    for (size_t i = 0; listed && i < from->listed_count; i++)
        listed[i] = (struct rules_study_instance){from->listed[i].sop_class, from->listed[i].sop_instance,
                                                  from->listed[i].series};
    *to = (struct rules_study){.uid = from->uid,
                               .patient = from->patient,
                               .calling = from->calling,
                               .called = from->called,
                               .since_ms = from->since_ms,
                               .instances = from->instances,
                               .bytes = from->bytes,
                               .series = series,
                               .series_count = from->series_count,
                               .listed = listed,
                               .listed_count = from->listed_count};
    return series && listed;
}

static void free_study(struct rules_study *study)
{
    free((void *)study->series);
    free((void *)study->listed);
}

/* `bare`: of a rule's error; NULL: `why` is ours. */
static void log_failure(const struct spool_study *study, const char *why, const char *bare)
{
    LOG(LOG_ERROR, "on_study failed, its group goes without additions", LOG_STR("route", study->route),
        LOG_UID("study", study->uid), LOG_PATIENT("cause", why, bare ? bare : why));
}

/* False: `adds` says nothing, and why was logged. */
static bool run_hook(struct studies *s, const struct config_route *route, const struct spool_study *from,
                     bool *adds)
{
    struct rules_study study;
    if (!s->rules)
        s->rules = ruleset_get(&s->relay->rulesets, s->config);
    if (!s->rules || !s->rules->rules) {
        log_failure(from, "the rules could not be opened", NULL);
        ruleset_unref(&s->rules);
        return false;
    }
    bool is_made = make_study(from, &study);
    enum result r = is_made ? rules_on_study(s->rules->rules, route, &study, adds) : ERR_MEMORY;
    if (r != OK)
        log_failure(from, is_made ? rules_error(s->rules->rules) : "out of memory",
                    is_made ? rules_error_bare(s->rules->rules) : NULL);
    free_study(&study);
    return r == OK;
}

/* --- its answer ---------------------------------------------------------------------------------------------------- */

/* Names of config's nodes; those of `to` have it already. NULL without memory. */
static const char **names_of(const struct config *config, const struct config_route *route, const bool *adds,
                             size_t *count_out)
{
    const char **names = calloc(config->node_count + 1, sizeof(*names));
    *count_out = 0;
    for (size_t i = 0; names && i < config->node_count; i++)
        if (adds[i] && !is_in(route, &config->nodes[i]))
            names[(*count_out)++] = config->nodes[i].name;
    return names;
}

/* The question may be gone as soon as it is answered: what the log says of it is taken before. */
static void release(struct studies *s, const struct spool_study *study, const char *const *names,
                    size_t count)
{
    char route[128], uid[65];
    uint64_t instances = study->instances;
    snprintf(route, sizeof(route), "%s", study->route);
    snprintf(uid, sizeof(uid), "%s", study->uid);
    if (!spool_study_release(s->relay->spool, &s->asked, names, count))
        LOG(LOG_ERROR, "no memory to release a held group, it is asked about again after a restart",
            LOG_STR("route", route), LOG_UID("study", uid));
    else
        LOG(LOG_INFO, "a held group goes", LOG_STR("route", route), LOG_UID("study", uid),
            LOG_INT("instances", instances), LOG_INT("added_nodes", count));
}

static void on_study(struct spool_studies *asked, const struct spool_study *study)
{
    struct studies *s = asked->owner;
    const struct config_route *route = route_named(s->config, study->route);
    bool *adds = route && route->has_on_study ? calloc(s->config->node_count + 1, sizeof(*adds)) : NULL;
    const char **names = NULL;
    size_t count = 0;
    if (adds && run_hook(s, route, study, adds))
        names = names_of(s->config, route, adds, &count);
    release(s, study, names, count);
    free(names);
    free(adds);
}

/* --- its life ------------------------------------------------------------------------------------------------------ */

static void on_closed(struct spool_studies *asked)
{
    struct studies *s = asked->owner;
    s->is_closed = true;
}

struct studies *studies_new(struct relay *r, unsigned workers)
{
    struct studies *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->relay = r;
    s->asked = (struct spool_studies){.part = r->worker,
                                      .parts = workers,
                                      .io = r->io,
                                      .owner = s,
                                      .on_study = on_study,
                                      .on_closed = on_closed};
    return s;
}

void studies_configure(struct studies *s, struct config *config)
{
    if (s->is_closing)
        return;
    bool is_first = !s->config;
    config_ref(config);
    ruleset_unref(&s->rules);
    config_unref(&s->config);
    s->config = config;
    if (is_first)
        spool_studies_open(s->relay->spool, &s->asked);
}

void studies_close(struct studies *s)
{
    if (s->is_closing)
        return;
    s->is_closing = true;
    if (s->config)
        spool_studies_close(s->relay->spool, &s->asked);
    else
        s->is_closed = true;
}

bool studies_are_closed(const struct studies *s)
{
    return s->is_closed;
}

void studies_free(struct studies **sp)
{
    struct studies *s = *sp;
    *sp = NULL;
    if (!s)
        return;
    ruleset_unref(&s->rules);
    config_unref(&s->config);
    free(s);
}
