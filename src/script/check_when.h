/* What the two halves of checking `when` share: facts (check_when.c) and attributes (check_when_data.c). */
#ifndef HILUM_SCRIPT_CHECK_WHEN_H
#define HILUM_SCRIPT_CHECK_WHEN_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "script/fields.h"

struct condition_kind {
    const char *key;
    enum config_fact fact;
    size_t attribute; /* CONFIG_FACT_ATTRIBUTE */
    /* Checks one value and adds it to the condition, which is `user` and has room for it. */
    void (*add)(const struct item *item, void *user);
};

/* Makes a condition of a value, a list of values or { no = ... }. The route has room for it. */
void check_condition(const struct item *item, const struct condition_kind *kind, struct config_route *route);

/* True if a key means an attribute and nothing else: "Modality", "0008,0060", "Sequence[1].Keyword", known or not. */
bool check_is_attribute(const char *key);
/* Makes a condition of such a key. */
void check_attribute(const struct item *item, struct config_route *route);

#endif
