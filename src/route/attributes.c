#include "route/attributes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

enum { NUMBER_TEXT = 32 };

enum result route_attributes_reset(struct route_attributes *a, const struct config *config)
{
    a->count = 0;
    if (config->attribute_count > a->capacity) {
        struct route_attribute *bigger = realloc(a->of, config->attribute_count * sizeof(*bigger));
        if (bigger == NULL)
            return ERR_MEMORY;
        a->of = bigger;
        a->capacity = config->attribute_count;
    }
    if (config->attribute_count > 0)
        memset(a->of, 0, config->attribute_count * sizeof(*a->of));
    a->count = config->attribute_count;
    a->value_count = 0;
    octets_clear(&a->text);
    return OK;
}

void route_attributes_free(struct route_attributes *a)
{
    octets_free(&a->text);
    free(a->values);
    free(a->of);
    *a = (struct route_attributes){.of = NULL};
}

size_t route_attributes_paths(const struct config *config, const bool *wanted,
                              const struct dicom_path **paths_out)
{
    size_t count = 0;
    for (size_t i = 0; i < config->attribute_count; i++)
        if (wanted[i])
            paths_out[count++] = &config->attributes[i].path;
    return count;
}

/* NULL without memory. Its text is what is appended to a->text until the next. */
static struct route_value *add_value(struct route_attributes *a, struct route_attribute *of)
{
    if (a->value_count == a->value_capacity) {
        size_t capacity = a->value_capacity == 0 ? 16 : a->value_capacity * 2;
        struct route_value *bigger = realloc(a->values, capacity * sizeof(*bigger));
        if (bigger == NULL)
            return NULL;
        a->values = bigger;
        a->value_capacity = capacity;
    }
    of->count++;
    struct route_value *v = &a->values[a->value_count++];
    *v = (struct route_value){.text_at = a->text.len};
    return v;
}

/* The shortest decimal that reads back as the same number. */
static void print_real(double real, bool is_single, char text[NUMBER_TEXT])
{
    for (int digits = is_single ? 6 : 15; digits <= 17; digits++) {
        snprintf(text, NUMBER_TEXT, "%.*g", digits, real);
        if (is_single ? strtof(text, NULL) == (float)real : strtod(text, NULL) == real)
            return;
    }
}

static void print_number(enum dicom_vr vr, const struct dicom_number *n, char text[NUMBER_TEXT])
{
    if (n->is_real)
        print_real(n->real, vr == DICOM_VR_FL, text);
    else if (n->big > 0)
        snprintf(text, NUMBER_TEXT, "%" PRIu64, n->big);
    else if (vr == DICOM_VR_AT)
        snprintf(text, NUMBER_TEXT, "%04X,%04X", (unsigned)(n->integer >> 16),
                 (unsigned)(n->integer & 0xFFFF));
    else
        snprintf(text, NUMBER_TEXT, "%" PRId64, n->integer);
}

static enum result take_numbers(struct route_attributes *a, struct route_attribute *of,
                                const struct dicom_peek_value *value)
{
    size_t count = dicom_number_count(value->vr, value->bytes);
    of->is_opaque = count > ROUTE_VALUES_MAX;
    for (size_t i = 0; i < count && !of->is_opaque; i++) {
        struct route_value *v = add_value(a, of);
        if (v == NULL)
            return ERR_MEMORY;
        char text[NUMBER_TEXT];
        v->is_binary = true;
        v->is_single = value->vr == DICOM_VR_FL;
        v->number = dicom_number_at(value->vr, value->is_big_endian, value->bytes, i);
        print_number(value->vr, &v->number, text);
        v->text_len = strlen(text);
        octets_append(&a->text, text, v->text_len);
    }
    return a->text.failed ? ERR_MEMORY : OK;
}

/* Appends the value as UTF-8, with its backslashes. */
static void decode(struct route_attributes *a, enum dicom_vr vr, const struct dicom_peek_value *value,
                   struct dicom_charsets *charsets)
{
    struct dicom_charset set;
    if (charsets == NULL) {
        octets_append(&a->text, value->bytes.at, value->bytes.len);
        return;
    }
    dicom_charset_parse(value->charset, &set);
    dicom_charset_decode(charsets, &set, vr, value->bytes,
                         &a->text); /* what has no meaning matches nothing */
}

static enum result add_text(struct route_attributes *a, struct route_attribute *of, enum dicom_vr vr,
                            size_t at, size_t len)
{
    struct view trimmed = dicom_value_trim(vr, (struct view){a->text.data + at, len});
    if (trimmed.len == 0)
        return OK;
    if (of->count == ROUTE_VALUES_MAX) {
        of->is_opaque = true;
        return OK;
    }
    struct route_value *v = add_value(a, of);
    if (v == NULL)
        return ERR_MEMORY;
    v->text_at = (size_t)(trimmed.at - a->text.data);
    v->text_len = trimmed.len;
    return OK;
}

static enum result take_text(struct route_attributes *a, struct route_attribute *of, enum dicom_vr vr,
                             const struct dicom_peek_value *value, struct dicom_charsets *charsets)
{
    size_t at = a->text.len;
    bool is_split = dicom_vr_info(vr)->has_values;
    enum result r = OK;
    decode(a, vr, value, charsets);
    if (a->text.failed)
        return ERR_MEMORY;
    while (r == OK && at < a->text.len) {
        const uint8_t *start = a->text.data + at;
        size_t len = a->text.len - at;
        const uint8_t *end = is_split ? memchr(start, '\\', len) : NULL;
        if (end != NULL)
            len = (size_t)(end - start);
        r = add_text(a, of, vr, at, len);
        at += len + 1;
    }
    return r;
}

static enum result take_value(struct route_attributes *a, struct route_attribute *of,
                              const struct dicom_peek_value *value, struct dicom_charsets *charsets)
{
    switch (dicom_vr_info(value->vr)->kind) {
    case DICOM_NUMBER:
    case DICOM_TAGS:
        return take_numbers(a, of, value);
    case DICOM_TEXT:
        return take_text(a, of, value->vr, value, charsets);
    case DICOM_BYTES:
        /* Private elements of Implicit VR are UN to all but their makers, and those that one would ask for are text. */
        if (value->vr == DICOM_VR_UN || value->vr == DICOM_VR_UNKNOWN)
            return take_text(a, of, DICOM_VR_LO, value, charsets);
        break;
    case DICOM_ITEMS:
        break;
    }
    of->is_opaque = true;
    return OK;
}

enum result route_attributes_take(struct route_attributes *a, const bool *wanted,
                                  const struct dicom_peek *peek, struct dicom_charsets *charsets)
{
    size_t index = 0;
    for (size_t i = 0; i < a->count; i++) {
        if (!wanted[i])
            continue;
        size_t at = index++;
        if (a->of[i].is_known || !dicom_peek_is_known(peek, at))
            continue;
        struct dicom_peek_value value = dicom_peek_at(peek, at);
        struct route_attribute of = {.first = a->value_count};
        enum result r = OK;
        if (value.state == DICOM_PEEK_VALUE)
            r = take_value(a, &of, &value, charsets);
        else
            of.is_opaque = value.state != DICOM_PEEK_ABSENT;
        if (r != OK)
            return r;
        of.is_known = true;
        a->of[i] = of;
    }
    return OK;
}

struct view route_attributes_text(const struct route_attributes *a, size_t index)
{
    if (index >= a->count || !a->of[index].is_known || a->of[index].count == 0)
        return (struct view){NULL, 0};
    const struct route_value *v = &a->values[a->of[index].first];
    return (struct view){a->text.data + v->text_at, v->text_len};
}
