/* `when` as a table: each key a condition. */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "dicom/uid.h"
#include "script/check.h"
#include "script/suggest.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A condition under construction. */
struct making {
    struct config_route *route;
    struct config_condition *condition;
};

static struct config_value *next_value(struct making *m)
{
    return &m->condition->values[m->condition->value_count];
}

static void add_glob(const struct item *item, struct making *m, const char *glob)
{
    struct config_value *v = next_value(m);
    field_set_text(item->check, &v->glob, glob);
    m->condition->value_count += v->glob != NULL;
}

/* A string, or a number as its digits. NULL after an error. */
static const char *text_or_number(const struct item *item, char digits[32])
{
    const struct value *v = item->value;
    if (v->kind != VALUE_NUMBER) {
        return field_text(item, "a string, a number, a list of these, or { no = ... }");
    }
    if (v->is_integer) {
        snprintf(digits, 32, "%" PRId64, v->integer);
    } else {
        snprintf(digits, 32, "%.14g", v->number);
    }
    return digits;
}

/* Titles are compared without outer spaces and have 16 characters: what cannot match is a mistake. */
static void add_title(const struct item *item, void *user)
{
    char digits[32];
    const char *text = text_or_number(item, digits);
    if (text == NULL || (strchr(text, '*') == NULL && !field_is_title(item, text))) {
        return;
    }
    add_glob(item, user, text);
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
    const char *text = text_or_number(item, digits);
    if (text == NULL) {
        return;
    }
    if (!item->check->script->is_partial && item->check->config->listen_count > 0) {
        warn_of_listener(item, text);
    }
    add_glob(item, user, text);
}

static void add_remote(const struct item *item, void *user)
{
    struct making *m = user;
    const char *text = field_text(item, "an address or a CIDR block, as \"10.0.0.0/8\"");
    if (text == NULL) {
        return;
    }
    if (config_network_parse(text, &next_value(m)->network) != OK) {
        check_error(
            item->check, item->at,
            "remote \"%s\" is neither an address nor a CIDR block; write \"10.1.2.3\", \"10.0.0.0/8\" or "
            "\"2001:db8::/32\"",
            text);
        return;
    }
    m->condition->value_count++;
}

static bool is_uid_pattern(const char *text)
{
    return text[strspn(text, "0123456789.*?")] == '\0';
}

static bool uid_is_too_long(const struct item *item, const char *text)
{
    if (strlen(text) <= 64 || strchr(text, '*') != NULL) {
        return false;
    }
    check_error(item->check, item->at,
                "the UID \"%s\" is longer than 64 characters; no instance can match it", text);
    return true;
}

static void add_sop_instance(const struct item *item, void *user)
{
    const char *text = field_text(item, "a UID, with `*` and `?` for what varies");
    if (text == NULL || uid_is_too_long(item, text)) {
        return;
    }
    if (!is_uid_pattern(text)) {
        check_error(item->check, item->at,
                    "\"%s\" is not a UID; write digits and dots, with `*` and `?` for what varies", text);
        return;
    }
    add_glob(item, user, text);
}

static void unknown_sop_class(const struct item *item, const char *text)
{
    struct suggestion nearest = {.word = text};
    const struct dicom_uid *uid;
    for (size_t i = 0; (uid = dicom_uid_storage_class(i)) != NULL; i++) {
        suggest_offer(&nearest, uid->keyword);
    }
    if (nearest.name != NULL) {
        check_error(item->check, item->at,
                    "\"%s\" is neither a UID nor the keyword of a SOP class; did you mean \"%s\"?", text,
                    nearest.name);
    } else {
        check_error(
            item->check, item->at,
            "\"%s\" is neither a UID nor the keyword of a SOP class; write \"1.2.840.10008.5.1.4.1.1.2\" or "
            "\"CTImageStorage\"",
            text);
    }
}

static void add_sop_class(const struct item *item, void *user)
{
    const char *text =
        field_text(item, "a SOP class: its UID, with `*` and `?` for what varies, or its keyword");
    if (text == NULL) {
        return;
    }
    if (is_uid_pattern(text)) {
        if (!uid_is_too_long(item, text)) {
            add_glob(item, user, text);
        }
        return;
    }
    const struct dicom_uid *uid = dicom_uid_find_keyword(text);
    if (uid == NULL || uid->type != DICOM_UID_SOP_CLASS) {
        unknown_sop_class(item, text);
        return;
    }
    add_glob(item, user, uid->uid);
}

static const struct fact {
    const char *key;
    enum config_fact fact;
    void (*add)(const struct item *item, void *user);
} facts[] = {
    {"calling", CONFIG_FACT_CALLING, add_title},
    {"called", CONFIG_FACT_CALLED, add_title},
    {"remote", CONFIG_FACT_REMOTE, add_remote},
    {"listener", CONFIG_FACT_LISTENER, add_listener},
    {"SOPClassUID", CONFIG_FACT_SOP_CLASS, add_sop_class},
    {"SOPInstanceUID", CONFIG_FACT_SOP_INSTANCE, add_sop_instance},
};

static const struct fact *find_fact(const char *key)
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

static void add_condition(const struct item *item, const struct fact *fact, struct config_route *route)
{
    struct place at;
    struct config_condition *condition = &route->conditions[route->condition_count];
    condition->fact = fact->fact;
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
                    fact->key);
        return;
    }
    struct making m = {route, condition};
    field_each(&values, "a value, a list of values or { no = ... }",
               "no value can ever match; leave the key out", fact->add, &m);
}

/* "0010,0010" */
static bool is_tag(const char *key)
{
    if (strlen(key) != 9 || key[4] != ',') {
        return false;
    }
    return strspn(key, "0123456789abcdefABCDEF") == 4 && strspn(key + 5, "0123456789abcdefABCDEF") == 4;
}

static bool is_keyword(const char *key)
{
    if (!isupper((unsigned char)key[0])) {
        return false;
    }
    for (const char *p = key; *p != '\0'; p++) {
        if (!isalnum((unsigned char)*p)) {
            return false;
        }
    }
    return true;
}

static void refuse_key(const struct item *item)
{
    static const char *const others[] = {"service", "peer"};
    const char *key = item->at->key;
    struct suggestion nearest = {.word = key};
    for (size_t i = 0; i < COUNT(facts); i++) {
        suggest_offer(&nearest, facts[i].key);
    }
    for (size_t i = 0; i < COUNT(others); i++) {
        suggest_offer(&nearest, others[i]);
    }
    if (strcmp(key, "peer") == 0) {
        check_error(item->check, item->at,
                    "the condition peer is not available in this version; leave it out");
    } else if (nearest.name != NULL) {
        check_error(item->check, item->at, "unknown key \"%s\" in when; did you mean \"%s\"?", key,
                    nearest.name);
    } else if (is_tag(key) || is_keyword(key)) {
        check_error(
            item->check, item->at,
            "the data set key \"%s\" in when is not available in this version; there are SOPClassUID and "
            "SOPInstanceUID",
            key);
    } else {
        check_error(item->check, item->at,
                    "unknown key \"%s\" in when; the keys are calling, called, remote, listener, service, "
                    "SOPClassUID "
                    "and SOPInstanceUID",
                    key);
    }
}

static void unknown_service(const struct item *item, const char *text)
{
    static const char *const later[] = {"find", "move", "get", "worklist", "mpps", "commit", "print"};
    struct suggestion nearest = {.word = text};
    suggest_offer(&nearest, "store");
    suggest_offer(&nearest, "echo");
    for (size_t i = 0; i < COUNT(later); i++) {
        if (strcmp(text, later[i]) == 0) {
            check_error(item->check, item->at,
                        "service = \"%s\" is not available in this version; there are \"store\" and \"echo\"",
                        text);
            return;
        }
        suggest_offer(&nearest, later[i]);
    }
    if (nearest.name != NULL) {
        check_error(item->check, item->at, "unknown service \"%s\"; did you mean \"%s\"?", text,
                    nearest.name);
    } else {
        check_error(item->check, item->at, "unknown service \"%s\"; there are \"store\" and \"echo\"", text);
    }
}

static void take_service(const struct item *item, struct config_route *route)
{
    if (item->value->kind == VALUE_TABLE) {
        check_error(
            item->check, item->at,
            "a list of services or its negation is not available in this version; write one route a service");
        return;
    }
    const char *text = field_text(item, "\"store\" or \"echo\"");
    if (text == NULL) {
        return;
    }
    if (strcmp(text, "echo") == 0) {
        route->service = CONFIG_ECHO;
    } else if (strcmp(text, "store") != 0) {
        unknown_service(item, text);
    }
}

/* C-ECHO has no instance and one SOP class, Verification. */
static void refuse_for_echo(const struct item *when)
{
    static const char *const keys[] = {"SOPClassUID", "SOPInstanceUID"};
    for (size_t i = 0; i < COUNT(keys); i++) {
        if (value_field(when->value, keys[i]) != NULL) {
            struct place at = {when->at->declaration, when->at, keys[i], 0};
            check_error(when->check, &at, "%s says nothing about service = \"echo\"; leave it out", keys[i]);
        }
    }
}

static void take_condition(const struct item *item, struct config_route *route)
{
    const struct fact *fact = find_fact(item->at->key);
    if (strcmp(item->at->key, "service") == 0) {
        take_service(item, route);
    } else if (fact == NULL) {
        refuse_key(item);
    } else {
        add_condition(item, fact, route);
    }
}

void check_when(const struct item *when, struct config_route *route)
{
    const struct value *v = when->value;
    if (v->kind == VALUE_FUNCTION) {
        check_error(
            when->check, when->at,
            "a function as when is not available in this version; write a table, { calling = \"CT*\" }");
        return;
    }
    if (v->kind != VALUE_TABLE) {
        field_wrong_type(when, "a table, { key = value, ... }");
        return;
    }
    if (v->item_count > 0) {
        check_error(when->check, when->at, "a value without a key in when; write it as key = value");
    }
    if (v->has_other_keys) {
        check_error(when->check, when->at,
                    "data set keys by tag number in when are not available in this version; there are "
                    "SOPClassUID and "
                    "SOPInstanceUID");
    }
    route->conditions = calloc(v->field_count + 1, sizeof(*route->conditions));
    if (route->conditions == NULL) {
        when->check->failed = true;
        return;
    }
    for (size_t i = 0; i < v->field_count; i++) {
        struct place at = {when->at->declaration, when->at, v->fields[i].key, 0};
        struct item item = {when->check, &at, &v->fields[i].value};
        take_condition(&item, route);
    }
    if (route->service == CONFIG_ECHO) {
        refuse_for_echo(when);
    }
}
