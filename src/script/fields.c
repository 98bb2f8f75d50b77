/* Fields of tables: which there are, and what is said of those that should not be there. */
#include "script/fields.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "script/suggest.h"

static __attribute__((format(printf, 4, 0))) void add(struct check *c, const struct place *at,
                                                      bool is_warning, const char *format, va_list arguments)
{
    const struct declaration *d = at->declaration;
    char *what;
    if (vasprintf(&what, format, arguments) < 0) {
        c->failed = true;
        return;
    }
    const char *word = declaration_word(d->kind);
    struct script *s = c->script;
    if (d->name.kind == VALUE_STRING) {
        report_printf(&s->report, d->source, locate_line(at), is_warning, "%s \"%s\": %s", word, d->name.text,
                      what);
    } else {
        report_printf(&s->report, d->source, locate_line(at), is_warning, "%s: %s", word, what);
    }
    free(what);
}

void check_error(struct check *c, const struct place *at, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(c, at, false, format, arguments);
    va_end(arguments);
}

void check_warning(struct check *c, const struct place *at, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    add(c, at, true, format, arguments);
    va_end(arguments);
}

void field_name(const struct place *at, char *name, size_t cap)
{
    name[0] = '\0';
    if (at->parent == NULL) {
        snprintf(name, cap, "%s", declaration_word(at->declaration->kind));
        return;
    }
    if (at->parent->parent != NULL) {
        field_name(at->parent, name, cap);
    }
    size_t len = strlen(name);
    if (at->key == NULL) {
        snprintf(name + len, cap - len, "[%zu]", at->index);
    } else {
        snprintf(name + len, cap - len, "%s%s", len > 0 ? "." : "", at->key);
    }
}

void field_wrong_type(const struct item *item, const char *expected)
{
    char name[96];
    field_name(item->at, name, sizeof(name));
    check_error(item->check, item->at, "%s is %s; it must be %s", name, value_kind_name(item->value),
                expected);
}

void take_later(const struct item *item, void *member)
{
    (void)member;
    char name[96];
    field_name(item->at, name, sizeof(name));
    check_error(item->check, item->at, "%s is not available in this version; leave it out", name);
}

/* Keys that have one home only: found elsewhere, they are told where it is. */
static const struct {
    const char *key, *home;
} homes[] = {
    {"spool", "gateway"},
    {"workers", "gateway"},
    {"memory", "gateway"},
    {"window", "gateway"},
    {"header_max", "gateway"},
    {"replay_max", "gateway"},
    {"header_spool_max", "gateway"},
    {"history", "gateway"},
    {"journal", "gateway, and of route"},
    {"expire", "gateway, and of node"},
    {"retry", "gateway, and of node"},
    {"uid_key", "gateway"},
    {"rule_instructions", "gateway"},
    {"rule_memory", "gateway"},
    {"timeouts", "gateway"},
    {"log", "gateway"},
    {"ae_titles", "listen"},
    {"deny", "listen"},
    {"host", "node"},
    {"folder", "node"},
    {"lag", "node, or of gateway's timeouts"},
    {"deliveries", "node"},
    {"weight", "node"},
    {"as", "node"},
    {"health", "node, and of pool"},
    {"members", "pool"},
    {"balance", "pool"},
    {"failover", "pool"},
    {"certificate", "tls, of listen and of node"},
    {"key", "tls, of listen and of node"},
    {"key_password", "tls, of listen and of node"},
    {"ca", "tls, of listen and of node"},
    {"crl", "tls, of listen and of node"},
    {"profile", "tls, of listen and of node"},
    {"client", "a listener's tls"},
    {"services", "caller"},
    {"sop_classes", "caller"},
    {"identity", "caller"},
    {"rate", "caller, and of node"},
    {"when", "route"},
    {"to", "route"},
    {"copy", "route"},
    {"final", "route"},
    {"stream", "route"},
    {"on_failure", "route"},
    {"hold", "route"},
    {"on_study", "route"},
    {"morph", "route"},
    {"morph_response", "route"},
    {"commit", "route, and of gateway's timeouts"},
    {"trace", "route"},
    {"transfer", "route"},
    {"back_to_sender", "route"},
    {"service", "a route's when"},
    {"called", "a route's when"},
    {"remote", "a route's when"},
    {"max_bytes", "gateway's spool"},
    {"reserve", "gateway's spool"},
    {"quiet", "a route's hold"},
    {"level", "gateway's log, and of a route's when"},
    {"format", "gateway's log"},
    {"connect", "gateway's timeouts"},
    {"association", "gateway's timeouts"},
    {"progress", "gateway's timeouts"},
    {"response", "gateway's timeouts"},
    {"idle", "gateway's timeouts"},
    {"linger", "gateway's timeouts"},
    {"drain", "gateway's timeouts"},
    {"retrieve", "gateway's timeouts"},
};

static const char *home_of(const char *key)
{
    for (size_t i = 0; i < sizeof(homes) / sizeof(homes[0]); i++) {
        if (strcmp(homes[i].key, key) == 0) {
            return homes[i].home;
        }
    }
    return NULL;
}

static void list_keys(const struct key *keys, size_t count, char *list, size_t cap)
{
    size_t len = 0;
    list[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        if (keys[i].take != take_later && len < cap) {
            len += (size_t)snprintf(list + len, cap - len, "%s%s", len > 0 ? ", " : "", keys[i].name);
        }
    }
}

static void unknown_key(const struct item *item, const char *what, const struct key *keys, size_t count)
{
    const char *key = item->at->key;
    const char *home = home_of(key);
    struct suggestion nearest = {.word = key};
    for (size_t i = 0; i < count; i++) {
        suggest_offer(&nearest, keys[i].name);
    }
    char list[400];
    list_keys(keys, count, list, sizeof(list));
    if (home != NULL) {
        check_error(item->check, item->at, "unknown key \"%s\" in %s; it is a key of %s", key, what, home);
    } else if (nearest.name != NULL) {
        check_error(item->check, item->at, "unknown key \"%s\" in %s; did you mean \"%s\"?", key, what,
                    nearest.name);
    } else {
        check_error(item->check, item->at, "unknown key \"%s\" in %s; the keys are %s", key, what, list);
    }
}

void fields_take(const struct item *item, const char *what, const struct key *keys, size_t count,
                 void *target)
{
    const struct value *table = item->value;
    if (table->kind != VALUE_TABLE) {
        field_wrong_type(item, "a table, { key = value, ... }");
        return;
    }
    if (table->item_count > 0 || table->has_other_keys) {
        struct place first = {item->at->declaration, item->at, NULL, 1};
        check_error(item->check, table->item_count > 0 ? &first : item->at,
                    "a value without a key in %s; write it as key = value", what);
    }
    for (size_t i = 0; i < table->field_count; i++) {
        struct place at = {item->at->declaration, item->at, table->fields[i].key, 0};
        struct item field = {item->check, &at, &table->fields[i].value};
        size_t k = 0;
        while (k < count && strcmp(keys[k].name, at.key) != 0) {
            k++;
        }
        if (k < count) {
            keys[k].take(&field, (char *)target + keys[k].offset);
        } else {
            unknown_key(&field, what, keys, count);
        }
    }
}
