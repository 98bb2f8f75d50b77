/* The keys of `when` that are attributes of the data set. */
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "script/check_attribute.h"
#include "script/check_when.h"

bool check_is_attribute(const char *key)
{
    return isupper((unsigned char)key[0]) || strpbrk(key, ",.[") != NULL;
}

/* A character string whose backslashes separate values. */
static bool is_split(enum dicom_vr vr)
{
    return dicom_vr_info(vr)->kind != DICOM_TEXT || dicom_vr_info(vr)->has_values;
}

static void add_text(const struct item *item, struct config_condition *condition)
{
    const char *text = item->value->text;
    const struct config_attribute *attribute = &item->check->config->attributes[condition->attribute];
    if (strlen(text) != item->value->len) {
        check_error(item->check, item->at, "%s: a value holds a NUL character, which no attribute does",
                    attribute->text);
        return;
    }
    if (strchr(text, '\\') != NULL && dicom_dictionary_find(attribute->path.tag) != NULL &&
        check_may_be(attribute->path.tag, is_split)) {
        check_error(
            item->check, item->at,
            "%s: \"%s\" holds a backslash, which separates values; write one value, any of the attribute's "
            "may match it",
            attribute->text, text);
        return;
    }
    struct config_value *v = &condition->values[condition->value_count];
    field_set_text(item->check, &v->glob, text);
    condition->value_count += v->glob != NULL;
}

static void add_number(const struct item *item, struct config_condition *condition)
{
    const struct value *v = item->value;
    if (!isfinite(v->number)) {
        check_error(item->check, item->at, "%s: the value is not a finite number, which no attribute is",
                    item->check->config->attributes[condition->attribute].text);
        return;
    }
    condition->values[condition->value_count++].number =
        (struct config_number){.is_integer = v->is_integer, .integer = v->integer, .real = v->number};
}

static void add_value(const struct item *item, void *user)
{
    if (item->value->kind == VALUE_NUMBER) {
        add_number(item, user);
    } else if (item->value->kind == VALUE_STRING) {
        add_text(item, user);
    } else {
        field_wrong_type(item, "a string, a number, a list of these, or { no = ... }");
    }
}

void check_attribute(const struct item *item, struct config_route *route)
{
    static const struct attribute_words words = {"key \"", "\" in when", "[\"0008,0060\"]"};
    const char *key = item->at->key;
    struct condition_kind kind = {.key = key, .fact = CONFIG_FACT_ATTRIBUTE, .add = add_value};
    if (check_attribute_name(item, key, &words, &kind.attribute)) {
        check_condition(item, &kind, route);
    }
}
