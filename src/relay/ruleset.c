#include "relay/ruleset.h"

#include <stdlib.h>

#include "base/log.h"

static struct ruleset *find(const struct ruleset_list *list, const struct config *config)
{
    struct ruleset *s;
    LIST_FOREACH (s, &list->sets, link)
        if (s->config == config)
            return s;
    return NULL;
}

/* The main thread has done the same before it let the configuration in: this fails for want of memory. */
static void open_rules(struct ruleset *s, struct rules_watch *watch)
{
    struct problems problems = {0};
    if (script_rules_open(s->config, &s->rules, &problems) != OK) {
        const char *why = problems.count > 0 ? problems.items[0].text : "out of memory";
        LOG(LOG_ERROR, "the rules of a worker cannot be opened", LOG_STR("cause", why));
        s->rules = NULL;
    } else {
        rules_set_watch(s->rules, watch);
    }
    problems_free(&problems);
}

struct ruleset *ruleset_get(struct ruleset_list *list, struct config *config)
{
    struct ruleset *s = find(list, config);
    if (!s) {
        s = calloc(1, sizeof(*s));
        if (!s)
            return NULL;
        s->config = config_ref(config);
        LIST_INSERT_HEAD(&list->sets, s, link);
    }
    if (!s->rules) /* for want of memory: there may be some again */
        open_rules(s, list->watch);
    s->references++;
    return s;
}

void ruleset_unref(struct ruleset **set)
{
    struct ruleset *s = *set;
    *set = NULL;
    if (!s || --s->references > 0)
        return;
    LIST_REMOVE(s, link);
    if (s->rules)
        LOG(LOG_DEBUG, "rules closed", LOG_INT("calls", rules_calls(s->rules)));
    script_rules_close(&s->rules);
    config_unref(&s->config);
    free(s);
}
