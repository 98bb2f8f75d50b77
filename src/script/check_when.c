/* `when` as a table: each key a condition. Here the facts of association and message; check_when_data.c has the attributes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "dicom/dictionary.h"
#include "script/check.h"
#include "script/check_when.h"
#include "script/suggest.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The functions that add a value get the condition as their `user`. */
static struct config_value *next_value(struct config_condition *condition)
{
    return &condition->values[condition->value_count];
}

static void add_glob(const struct item *item, struct config_condition *condition, const char *glob)
{
    struct config_value *v = next_value(condition);
    field_set_text(item->check, &v->glob, glob);
    condition->value_count += v->glob != NULL;
}

/* What `take` makes of a value. */
static void take_glob(const struct item *item, struct config_condition *condition,
                      void (*take)(const struct item *item, void *member))
{
    struct config_value *v = next_value(condition);
    take(item, &v->glob);
    condition->value_count += v->glob != NULL;
}

static void add_title(const struct item *item, void *user)
{
    take_glob(item, user, take_title_glob);
}

/* A warning only: such a condition is sound, and a listener may come and go with the site. */
static void warn_of_listener(const struct item *item, const char *text)
{
    const struct config *config = item->check->config;
    char names[200] = "";
    for (size_t i = 0; i < config->listen_count; i++) {
        const char *name = config->listens[i].name;
        size_t len = strlen(names);
        if (name != NULL && text_glob(text, name, strlen(name))) {
            return;
        }
        if (name != NULL) {
            snprintf(names + len, sizeof(names) - len, "%s\"%s\"", len > 0 ? ", " : "", name);
        }
    }
    check_warning(item->check, item->at, "no listener is named \"%s\"; there are %s", text, names);
}

static void add_listener(const struct item *item, void *user)
{
    char digits[32];
    const char *text =
        field_text_or_number(item, digits, "a string, a number, a list of these, or { no = ... }");
    if (text == NULL) {
        return;
    }
    if (!item->check->script->is_partial && item->check->config->listen_count > 0) {
        warn_of_listener(item, text);
    }
    add_glob(item, user, text);
}

/* "" is: without a certificate. */
static void add_peer(const struct item *item, void *user)
{
    if (item->value->kind == VALUE_STRING && item->value->len == 0) {
        add_glob(item, user, "");
    } else {
        take_glob(item, user, take_subject_glob);
    }
}

static void add_remote(const struct item *item, void *user)
{
    struct config_condition *condition = user;
    const char *text = field_text(item, "an address or a CIDR block, as \"10.0.0.0/8\"");
    if (text == NULL) {
        return;
    }
    if (config_network_parse(text, &next_value(condition)->network) != OK) {
        check_error(
            item->check, item->at,
            "remote \"%s\" is neither an address nor a CIDR block; write \"10.1.2.3\", \"10.0.0.0/8\" or "
            "\"2001:db8::/32\"",
            text);
        return;
    }
    condition->value_count++;
}

static void add_sop_instance(const struct item *item, void *user)
{
    const char *text = field_text(item, "a UID, with `*` and `?` for what varies");
    if (text == NULL || check_uid_is_too_long(item, text)) {
        return;
    }
    if (!check_is_uid_glob(text)) {
        check_error(item->check, item->at,
                    "\"%s\" is not a UID; write digits and dots, with `*` and `?` for what varies", text);
        return;
    }
    add_glob(item, user, text);
}

static void add_stored_class(const struct item *item, void *user)
{
    take_glob(item, user, take_stored_class);
}

static void add_any_class(const struct item *item, void *user)
{
    take_glob(item, user, take_class);
}

static const struct condition_kind facts[] = {
    {"calling", CONFIG_FACT_CALLING, 0, add_title},
    {"called", CONFIG_FACT_CALLED, 0, add_title},
    {"remote", CONFIG_FACT_REMOTE, 0, add_remote},
    {"listener", CONFIG_FACT_LISTENER, 0, add_listener},
    {"peer", CONFIG_FACT_PEER, 0, add_peer},
    {"SOPClassUID", CONFIG_FACT_SOP_CLASS, 0, add_stored_class},
    {"SOPInstanceUID", CONFIG_FACT_SOP_INSTANCE, 0, add_sop_instance},
};

static const struct condition_kind *find_fact(const char *key)
{
    for (size_t i = 0; i < COUNT(facts); i++) {
        if (strcmp(facts[i].key, key) == 0) {
            return &facts[i];
        }
    }
    return NULL;
}

/* `{ no = value }`: what is negated. Otherwise the item itself; `at` is the memory of its place. */
static struct item inside_no(const struct item *item, struct place *at, bool *negate_out)
{
    const struct value *no = value_field(item->value, "no");
    *negate_out = no != NULL && item->value->field_count == 1 && item->value->item_count == 0;
    if (!*negate_out) {
        return *item;
    }
    *at = (struct place){item->at->declaration, item->at, "no", 0};
    return (struct item){item->check, at, no};
}

void check_condition(const struct item *item, const struct condition_kind *kind, struct config_route *route)
{
    struct place at;
    struct config_condition *condition = &route->conditions[route->condition_count];
    condition->fact = kind->fact;
    condition->attribute = kind->attribute;
    struct item values = inside_no(item, &at, &condition->negate);
    condition->values = calloc(field_count(values.value) + 1, sizeof(*condition->values));
    if (condition->values == NULL) {
        item->check->failed = true;
        return;
    }
    route->condition_count++;
    if (values.value->kind == VALUE_TABLE && values.value->field_count > 0) {
        check_error(item->check, item->at,
                    "%s is a table with keys other than no; write a value, { value, value } or "
                    "{ no = value }",
                    kind->key);
        return;
    }
    field_each(&values, "a value, a list of values or { no = ... }",
               "no value can ever match; leave the key out", kind->add, condition);
}

/* "modality": the keyword that this is but for upper and lower case, or NULL. */
static const char *keyword_in_other_case(const char *key)
{
    const struct dicom_entry *entry;
    for (size_t i = 0; (entry = dicom_dictionary_at(i)) != NULL; i++) {
        if (key[0] != '\0' && strcasecmp(entry->keyword, key) == 0) {
            return entry->keyword;
        }
    }
    return NULL;
}

static void refuse_key(const struct item *item)
{
    static const char *const others[] = {"service", "level"};
    const char *key = item->at->key;
    struct suggestion nearest = {.word = key};
    for (size_t i = 0; i < COUNT(facts); i++) {
        suggest_offer(&nearest, facts[i].key);
    }
    for (size_t i = 0; i < COUNT(others); i++) {
        suggest_offer(&nearest, others[i]);
    }
    if (nearest.name == NULL) {
        nearest.name = keyword_in_other_case(key);
    }
    if (nearest.name != NULL) {
        check_error(item->check, item->at, "unknown key \"%s\" in when; did you mean \"%s\"?", key,
                    nearest.name);
    } else {
        check_error(item->check, item->at,
                    "unknown key \"%s\" in when; the keys are calling, called, remote, listener, peer, "
                    "service, level, "
                    "and attributes of the data set, as Modality or \"0008,0060\"",
                    key);
    }
}

/* The facts of the command are known sooner than the data set, under whatever name they are asked for. A query's command names no
 * instance: there it is a key like others. */
static const struct condition_kind *find_command_fact(const char *key, enum config_service service)
{
    if (strcmp(key, "0008,0016") == 0) {
        key = "SOPClassUID";
    } else if (strcmp(key, "0008,0018") == 0) {
        key = "SOPInstanceUID";
    }
    return check_has_identifier(service) && strcmp(key, "SOPInstanceUID") == 0 ? NULL : find_fact(key);
}

/* A warning, as for callers. What also holds where there is no certificate is in order. */
static void warn_of_peer(const struct item *item, const struct config_condition *condition)
{
    bool may_match = condition->negate || condition->value_count == 0;
    for (size_t i = 0; i < condition->value_count; i++) {
        may_match = may_match || text_glob(condition->values[i].glob, "", 0);
    }
    if (!may_match && !check_asks_for_certificates(item->check->config)) {
        check_warning(item->check, item->at,
                      "it never matches: no listener asks for certificates; give one tls = { ..., client = "
                      "\"require\" }");
    }
}

static void take_fact(const struct item *item, const struct condition_kind *fact, struct config_route *route)
{
    struct condition_kind kind = *fact;
    if (fact->fact == CONFIG_FACT_SOP_CLASS && route->service != CONFIG_STORE) {
        kind.add = add_any_class;
    }
    const size_t before = route->condition_count;
    check_condition(item, &kind, route);
    const struct script *s = item->check->script;
    if (fact->fact == CONFIG_FACT_PEER && route->condition_count > before && !s->is_partial &&
        s->report.errors == 0) {
        warn_of_peer(item, &route->conditions[before]);
    }
}

/* C-ECHO has no instance and one SOP class, Verification. */
static void refuse_for_echo(const struct item *item)
{
    check_error(item->check, item->at, "%s says nothing about service = \"echo\"; leave it out",
                item->at->key);
}

static void take_condition(const struct item *item, struct config_route *route)
{
    const char *key = item->at->key;
    const struct condition_kind *fact = find_command_fact(key, route->service);
    if (strcmp(key, "service") == 0) {
        return; /* has been taken */
    }
    if (strcmp(key, "level") == 0) {
        check_level(item, route);
    } else if (check_is_attribute(key) && route->service == CONFIG_ECHO) {
        refuse_for_echo(item);
    } else if (fact != NULL) {
        take_fact(item, fact, route);
    } else if (check_is_attribute(key)) {
        check_attribute(item, route);
    } else {
        refuse_key(item);
    }
}

static void take_conditions(const struct item *when, const struct field *fields, size_t count,
                            struct config_route *route)
{
    for (size_t i = 0; i < count; i++) {
        struct place at = {when->at->declaration, when->at, fields[i].key, 0};
        struct item item = {when->check, &at, &fields[i].value};
        take_condition(&item, route);
    }
}

/* What the other keys mean depends on it. */
static void take_service(const struct item *when, struct config_route *route)
{
    struct place at = {when->at->declaration, when->at, "service", 0};
    struct item item = {when->check, &at, value_field(when->value, "service")};
    if (item.value != NULL) {
        check_service_name(&item, &route->service);
    }
}

/* A function may stand among the keys, once: it is asked where they hold. */
static void take_items(const struct item *when, struct config_route *route)
{
    const struct value *v = when->value;
    if (v->item_count == 1 && v->items[0].kind == VALUE_FUNCTION) {
        route->has_when_function = true;
    } else if (v->item_count > 0) {
        check_error(when->check, when->at, "a value without a key in when; write it as key = value");
    }
}

void check_when(const struct item *when, struct config_route *route)
{
    const struct value *v = when->value;
    if (v->kind != VALUE_TABLE) {
        field_wrong_type(when, "a table, { key = value, ... }");
        return;
    }
    take_items(when, route);
    if (v->other_count > 0) {
        check_error(when->check, when->at,
                    "a key in when is neither a name nor a tag; write it as Modality, [\"0008,0060\"] or "
                    "[0x00080060]");
    }
    route->conditions = calloc(v->field_count + v->tag_count + 1, sizeof(*route->conditions));
    if (route->conditions == NULL) {
        when->check->failed = true;
        return;
    }
    take_service(when, route);
    take_conditions(when, v->fields, v->field_count, route);
    take_conditions(when, v->tags, v->tag_count, route);
}
