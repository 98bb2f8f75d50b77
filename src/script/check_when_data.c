/* The keys of `when` that are attributes of the data set. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dicom/dictionary.h"
#include "dicom/path.h"
#include "dicom/vr.h"
#include "script/check_when.h"
#include "script/suggest.h"

bool check_is_attribute(const char *key)
{
    return isupper((unsigned char)key[0]) || strpbrk(key, ",.[") != NULL;
}

static void refuse_path(const struct item *item, const struct dicom_path_fault *fault)
{
    char part[81];
    size_t len = fault->part.len < sizeof(part) ? fault->part.len : sizeof(part) - 1;
    memcpy(part, fault->part.at, len);
    part[len] = '\0';
    struct suggestion nearest = {.word = part};
    const struct dicom_entry *entry;
    for (size_t i = 0; fault->is_unknown_keyword && (entry = dicom_dictionary_at(i)) != NULL; i++) {
        suggest_offer(&nearest, entry->keyword);
    }
    if (nearest.name != NULL) {
        check_error(item->check, item->at, "unknown key \"%s\" in when: \"%s\" %s; did you mean \"%s\"?",
                    item->at->key, part, fault->why, nearest.name);
    } else if (fault->is_unknown_keyword) {
        check_error(item->check, item->at,
                    "unknown key \"%s\" in when: \"%s\" %s; write one that is, as Modality, or a tag, as "
                    "[\"0008,0060\"]",
                    item->at->key, part, fault->why);
    } else {
        check_error(item->check, item->at, "unknown key \"%s\" in when: \"%s\" %s", item->at->key, part,
                    fault->why);
    }
}

/* Elements that are unknown, as private ones are, may be anything: their VR shows in each data set. */
static bool may_be(uint32_t tag, bool (*is_fine)(enum dicom_vr vr))
{
    const struct dicom_entry *entry = dicom_dictionary_find(tag);
    if (entry == NULL) {
        return true;
    }
    for (size_t i = 0; i < 3 && entry->vr[i] != DICOM_VR_UNKNOWN; i++) {
        if (is_fine(entry->vr[i])) {
            return true;
        }
    }
    return false;
}

static bool is_sequence(enum dicom_vr vr)
{
    return dicom_vr_info(vr)->kind == DICOM_ITEMS;
}

static bool is_comparable(enum dicom_vr vr)
{
    enum dicom_vr_kind kind = dicom_vr_info(vr)->kind;
    return kind == DICOM_TEXT || kind == DICOM_NUMBER || kind == DICOM_TAGS;
}

/* A character string whose backslashes separate values. */
static bool is_split(enum dicom_vr vr)
{
    return dicom_vr_info(vr)->kind != DICOM_TEXT || dicom_vr_info(vr)->has_values;
}

/* Groups 0000 to 0006 are those of commands, files and their folders; FFFE's are marks between elements. */
static bool is_of_data_set(uint32_t tag)
{
    return dicom_group(tag) >= 8 && dicom_group(tag) != 0xFFFE;
}

/* NULL, or what is wrong with this as a place in a data set. */
static const char *find_fault(const struct dicom_path *path)
{
    bool is_inside = is_of_data_set(path->tag);
    for (unsigned i = 0; i < path->depth; i++) {
        is_inside = is_inside && is_of_data_set(path->steps[i].tag);
        if (!may_be(path->steps[i].tag, is_sequence)) {
            return "leads through an attribute that is no sequence; name an attribute of the data set, or of "
                   "an item "
                   "of a sequence, as RequestAttributesSequence[1].ScheduledProcedureStepID";
        }
    }
    if (!is_inside) {
        return "is no attribute of a data set; its groups are 0008 and above";
    }
    if (dicom_path_first(path) >= DICOM_PIXEL_DATA || dicom_is_pixel_data(dicom_path_first(path))) {
        return "is pixel data or stands behind it; a condition looks at what stands in front of it";
    }
    if (!may_be(path->tag, is_comparable)) {
        return may_be(path->tag, is_sequence)
                   ? "is a sequence; name an attribute of an item, as "
                     "RequestAttributesSequence[1].ScheduledProcedureStepID"
                   : "holds bytes that mean nothing to a condition; name an attribute of text or numbers";
    }
    return NULL;
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
        may_be(attribute->path.tag, is_split)) {
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

/* Each path stands once, whatever it is called. False without memory. */
static bool find_attribute(struct check *c, const struct dicom_path *path, const char *key, size_t *index_out)
{
    struct config *config = c->config;
    for (size_t i = 0; i < config->attribute_count; i++) {
        if (dicom_path_equal(&config->attributes[i].path, path)) {
            *index_out = i;
            return true;
        }
    }
    struct config_attribute *bigger =
        realloc(config->attributes, (config->attribute_count + 1) * sizeof(*config->attributes));
    if (bigger == NULL) {
        return false;
    }
    config->attributes = bigger;
    char *text = strdup(key);
    if (text == NULL) {
        return false;
    }
    *index_out = config->attribute_count++;
    config->attributes[*index_out] = (struct config_attribute){.path = *path, .text = text};
    return true;
}

void check_attribute(const struct item *item, struct config_route *route)
{
    const char *key = item->at->key;
    struct dicom_path path;
    struct dicom_path_fault fault;
    if (dicom_path_parse(view_of(key), &path, &fault) != OK) {
        refuse_path(item, &fault);
        return;
    }
    const char *why = find_fault(&path);
    if (why != NULL) {
        check_error(item->check, item->at, "the key \"%s\" in when %s", key, why);
        return;
    }
    struct condition_kind kind = {.key = key, .fact = CONFIG_FACT_ATTRIBUTE, .add = add_value};
    if (!find_attribute(item->check, &path, key, &kind.attribute)) {
        item->check->failed = true;
        return;
    }
    check_condition(item, &kind, route);
}
