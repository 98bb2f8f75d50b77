/* The keys of `when` that say what a message is for: `service`, and the `level` of a query or retrieval. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "script/check_attribute.h"
#include "script/check_when.h"
#include "script/suggest.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* What people say for a service that is called otherwise here. */
static const struct {
    const char *word, *service;
} other_words[] = {
    {"c-store", "store"},  {"storage", "store"}, {"c-echo", "echo"},       {"verification", "echo"},
    {"c-find", "find"},    {"query", "find"},    {"c-move", "move"},       {"retrieve", "move"},
    {"c-get", "get"},      {"mwl", "worklist"},  {"commitment", "commit"}, {"ian", "availability"},
    {"printing", "print"},
};

static void list_services(char *list, size_t cap)
{
    size_t len = 0;
    for (unsigned i = 0; i < CONFIG_SERVICES && len < cap; i++) {
        len += (size_t)snprintf(list + len, cap - len, "%s\"%s\"",
                                i == 0                     ? ""
                                : i + 1 == CONFIG_SERVICES ? " and "
                                                           : ", ",
                                config_service_name((enum config_service)i));
    }
}

static void unknown_service(const struct item *item, const char *text)
{
    struct suggestion nearest = {.word = text};
    for (unsigned i = 0; i < CONFIG_SERVICES; i++) {
        suggest_offer(&nearest, config_service_name((enum config_service)i));
    }
    for (size_t i = 0; i < COUNT(other_words); i++) {
        if (strcasecmp(text, other_words[i].word) == 0) {
            nearest.name = other_words[i].service;
        }
    }
    char list[200];
    list_services(list, sizeof(list));
    if (nearest.name != NULL) {
        check_error(item->check, item->at, "unknown service \"%s\"; did you mean \"%s\"?", text,
                    nearest.name);
    } else {
        check_error(item->check, item->at, "unknown service \"%s\"; there are %s", text, list);
    }
}

void check_service_name(const struct item *item, enum config_service *service)
{
    if (item->value->kind == VALUE_TABLE) {
        check_error(item->check, item->at,
                    "a route is for one service, without list or negation; write one route a service");
        return;
    }
    const char *text = field_text(item, "the name of a service, as \"store\" or \"find\"");
    if (text == NULL) {
        return;
    }
    for (unsigned i = 0; i < CONFIG_SERVICES; i++) {
        if (strcmp(text, config_service_name((enum config_service)i)) == 0) {
            *service = (enum config_service)i;
            return;
        }
    }
    unknown_service(item, text);
}

bool check_has_identifier(enum config_service service)
{
    return service == CONFIG_FIND || service == CONFIG_MOVE || service == CONFIG_GET ||
           service == CONFIG_WORKLIST;
}

/* As it is written in identifiers (PS3.4 C.6), whatever the case here. */
static void add_level(const struct item *item, void *user)
{
    static const char *const levels[] = {"PATIENT", "STUDY", "SERIES", "IMAGE"};
    static const char expected[] = "one of \"patient\", \"study\", \"series\", \"image\"";
    struct config_condition *condition = user;
    const char *text = field_text(item, expected);
    if (text == NULL) {
        return;
    }
    for (size_t i = 0; i < COUNT(levels); i++) {
        if (strcasecmp(text, levels[i]) == 0) {
            struct config_value *v = &condition->values[condition->value_count];
            field_set_text(item->check, &v->glob, levels[i]);
            condition->value_count += v->glob != NULL;
            return;
        }
    }
    check_error(item->check, item->at, "level \"%s\" is unknown; it must be %s", text, expected);
}

void check_level(const struct item *item, struct config_route *route)
{
    struct condition_kind kind = {.key = "level", .fact = CONFIG_FACT_ATTRIBUTE, .add = add_level};
    bool has_level = check_has_identifier(route->service) && route->service != CONFIG_WORKLIST;
    if (!has_level) {
        check_error(item->check, item->at,
                    "level says nothing about service = \"%s\": it is that of a query or retrieval; leave it "
                    "out, or write service = \"find\", \"move\" or \"get\"",
                    config_service_name(route->service));
    } else if (check_attribute_add(item->check, "QueryRetrieveLevel", &kind.attribute)) {
        check_condition(item, &kind, route);
    }
}
