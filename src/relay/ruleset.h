/*
 * The functions of a configuration on one worker: a Lua state for each configuration that some association of this worker still
 * began with. Old ones go with their last association.
 */
#ifndef HILUM_RELAY_RULESET_H
#define HILUM_RELAY_RULESET_H

#include <sys/queue.h>

#include "config/config.h"
#include "script/rules.h"
#include "script/rules_watch.h"

struct ruleset {
    struct config *config;
    struct rules *rules; /* NULL: they could not be opened, as was logged: what needs them fails */
    unsigned references;
    LIST_ENTRY(ruleset) link;
};

/* Of one worker. Zero-initialise. */
struct ruleset_list {
    LIST_HEAD(ruleset_sets, ruleset) sets;
    struct rules_watch *watch; /* where others see which rule runs; NULL: nowhere */
};

/* With a new reference; opened if this is the first association of the configuration. NULL without memory. */
struct ruleset *ruleset_get(struct ruleset_list *list, struct config *config);
void ruleset_unref(struct ruleset **s);

#endif
