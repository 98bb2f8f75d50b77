/* What the parts of checking `when` share: facts (check_when.c), services (check_when_service.c) and attributes (check_when_data.c). */
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

/* The service that a name means; as it was after an error (check_when_service.c). */
void check_service_name(const struct item *item, enum config_service *service);
/* Its requests bring an identifier, which says what is looked for, and no instance. */
bool check_has_identifier(enum config_service service);
/* Makes a condition of `level`. */
void check_level(const struct item *item, struct config_route *route);

/* True if a key means an attribute and nothing else: "Modality", "0008,0060", "Sequence[1].Keyword", known or not. */
bool check_is_attribute(const char *key);
/* Makes a condition of such a key. */
void check_attribute(const struct item *item, struct config_route *route);

#endif
