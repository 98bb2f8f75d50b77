/* Path patterns of folder nodes: the check, once, and the expansion, for every file. */
#include "config/pattern.h"

#include <stdio.h>
#include <string.h>

#include "dicom/dictionary.h"
#include "dicom/path.h"
#include "dicom/tag.h"
#include "dicom/vr.h"

#define KNOWN_FIELDS                                                                                         \
    "{SOPInstanceUID}, {SOPClassUID}, {calling}, {called}, {date}, and attributes of the data set, as "      \
    "{Modality}"

enum {
    ATTRIBUTE_MAX = 64, /* bytes in a path */
    NUMBER_MAX = 24,    /* the longest decimal: -1.7976931348623157e+308 */
    TAG_MAX = 9
};

enum field {
    FIELD_SOP_INSTANCE,
    FIELD_SOP_CLASS,
    FIELD_CALLING,
    FIELD_CALLED,
    FIELD_DATE,
    FIELD_ATTRIBUTE,
    FIELD_UNKNOWN
};

static const struct {
    const char *name;
    size_t max; /* bytes in a path; PS3.5 6.2: UI 64, AE 16, DA 8 */
} facts[] = {
    [FIELD_SOP_INSTANCE] = {"SOPInstanceUID", 64},
    [FIELD_SOP_CLASS] = {"SOPClassUID", 64},
    [FIELD_CALLING] = {"calling", 16},
    [FIELD_CALLED] = {"called", 16},
    [FIELD_DATE] = {"date", 8},
};

/* As a keyword is written, or a tag, or an item of a sequence: right or wrong, it is meant for the data set. */
static bool is_attribute(struct view name)
{
    bool is_path = false;
    for (size_t i = 0; i < name.len; i++) {
        is_path = is_path || memchr(",.[", name.at[i], 3) != NULL;
    }
    return is_path || (name.len > 0 && name.at[0] >= 'A' && name.at[0] <= 'Z');
}

static size_t vr_max(enum dicom_vr vr)
{
    const struct dicom_vr_info *info = dicom_vr_info(vr);
    switch (info->kind) {
    case DICOM_TEXT:
        return info->max > 0 && info->max < ATTRIBUTE_MAX ? info->max : ATTRIBUTE_MAX;
    case DICOM_NUMBER:
        return NUMBER_MAX;
    case DICOM_TAGS:
        return TAG_MAX;
    case DICOM_BYTES:
    case DICOM_ITEMS:
        break;
    }
    return ATTRIBUTE_MAX;
}

/* What is not in the dictionary may have any VR. */
static size_t attribute_max(uint32_t tag)
{
    const struct dicom_entry *entry = dicom_dictionary_find(tag);
    size_t max = 0;
    for (size_t i = 0; entry != NULL && i < 3 && entry->vr[i] != DICOM_VR_UNKNOWN; i++) {
        size_t one = vr_max(entry->vr[i]);
        max = one > max ? one : max;
    }
    return max > 0 ? max : ATTRIBUTE_MAX;
}

/* *max_out: the most bytes it can be in a path. */
static enum field find_field(struct view name, size_t *max_out)
{
    struct dicom_path path;
    struct dicom_path_fault fault;
    enum field field = FIELD_SOP_INSTANCE;
    while (field < FIELD_ATTRIBUTE &&
           (strlen(facts[field].name) != name.len || memcmp(facts[field].name, name.at, name.len) != 0)) {
        field++;
    }
    *max_out = ATTRIBUTE_MAX;
    if (field == FIELD_ATTRIBUTE && !is_attribute(name)) {
        return FIELD_UNKNOWN;
    }
    if (field == FIELD_ATTRIBUTE && dicom_path_parse(name, &path, &fault) == OK) {
        if (path.depth == 0 && path.tag == DICOM_SOP_INSTANCE_UID) {
            field = FIELD_SOP_INSTANCE;
        } else if (path.depth == 0 && path.tag == DICOM_SOP_CLASS_UID) {
            field = FIELD_SOP_CLASS;
        } else {
            *max_out = attribute_max(path.tag);
        }
    }
    if (field < FIELD_ATTRIBUTE) {
        *max_out = facts[field].max;
    }
    return field;
}

/* What the check has seen so far. */
struct scan {
    size_t path_max;      /* longest path that can come of it */
    size_t component_max; /* longest form of the component being read */
    size_t attributes;
    bool has_instance;
};

static bool end_component(const struct scan *s, char *why, size_t why_cap)
{
    if (s->component_max > PATTERN_COMPONENT_MAX) {
        snprintf(why, why_cap, "a part of the path may grow to %zu bytes; at most %d between two '/'",
                 s->component_max, PATTERN_COMPONENT_MAX);
        return false;
    }
    return true;
}

/* Reads "{field}" at *p and moves past it. */
static bool scan_field(struct scan *s, const char **p, char *why, size_t why_cap)
{
    const char *text = *p + 1;
    struct view name = {(const uint8_t *)text, strcspn(text, "}{/")};
    size_t max;
    if (text[name.len] != '}') {
        snprintf(why, why_cap, "'{' without '}'; the fields are " KNOWN_FIELDS);
        return false;
    }
    enum field f = find_field(name, &max);
    if (f == FIELD_UNKNOWN) {
        int shown = name.len > 64 ? 64 : (int)name.len;
        snprintf(why, why_cap, "unknown field {%.*s}; the fields are " KNOWN_FIELDS, shown, text);
        return false;
    }
    s->has_instance |= f == FIELD_SOP_INSTANCE;
    s->attributes += f == FIELD_ATTRIBUTE;
    s->component_max += max;
    s->path_max += max;
    *p = text + name.len + 1;
    return true;
}

enum result pattern_check(const char *pattern, char *why, size_t why_cap)
{
    struct scan s = {0};
    const char *p = pattern;
    while (*p != '\0') {
        if (*p == '{') {
            if (!scan_field(&s, &p, why, why_cap)) {
                return ERR_USAGE;
            }
            continue;
        }
        if (*p == '}') {
            snprintf(why, why_cap, "'}' without '{'; the fields are " KNOWN_FIELDS);
            return ERR_USAGE;
        }
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            snprintf(why, why_cap, "a control character in a path; use printable characters");
            return ERR_USAGE;
        }
        s.component_max++;
        s.path_max++;
        if (*p == '/') {
            s.component_max--;
            if (!end_component(&s, why, why_cap)) {
                return ERR_USAGE;
            }
            s.component_max = 0;
        }
        p++;
    }
    if (!end_component(&s, why, why_cap)) {
        return ERR_USAGE;
    }
    if (!s.has_instance) {
        snprintf(why, why_cap, "all files would have one name; the pattern must hold {SOPInstanceUID}");
        return ERR_USAGE;
    }
    if (s.component_max == 0) {
        snprintf(why, why_cap, "the pattern ends in '/', which names no file; add \"{SOPInstanceUID}.dcm\"");
        return ERR_USAGE;
    }
    if (s.path_max > PATTERN_PATH_MAX) {
        snprintf(why, why_cap, "the path may grow to %zu bytes; at most %d", s.path_max, PATTERN_PATH_MAX);
        return ERR_USAGE;
    }
    if (s.attributes > PATTERN_ATTRIBUTES_MAX) {
        snprintf(why, why_cap, "the pattern holds %zu attributes; at most %d", s.attributes,
                 PATTERN_ATTRIBUTES_MAX);
        return ERR_USAGE;
    }
    return OK;
}

/* The next field at or behind *p, which moves past it. False: there is none. */
static bool next_field(const char **p, struct view *name_out)
{
    const char *open = strchr(*p, '{');
    if (open == NULL) {
        return false;
    }
    *name_out = (struct view){(const uint8_t *)open + 1, strcspn(open + 1, "}")};
    *p = open + name_out->len + 2;
    return true;
}

bool pattern_next_attribute(const char **p, struct view *name_out)
{
    size_t max;
    while (next_field(p, name_out)) {
        if (find_field(*name_out, &max) == FIELD_ATTRIBUTE) {
            return true;
        }
    }
    return false;
}

/* A path under construction; once `full` nothing more is written. */
struct path {
    char *text;
    size_t len;
    size_t cap;
    bool full;
};

static void put(struct path *path, char c)
{
    if (path->len + 1 >= path->cap) {
        path->full = true;
        return;
    }
    path->text[path->len++] = c;
}

static bool is_safe(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
}

static void put_value(struct path *path, struct view value, size_t max)
{
    if (value.len == 0) {
        put(path, '_');
    }
    bool leading = true;
    for (size_t i = 0; i < value.len && i < max; i++) {
        uint8_t c = value.at[i];
        leading = leading && c == '.';
        put(path, is_safe(c) && !leading ? (char)c : '_');
    }
}

static struct view fact_of(const struct pattern_values *values, enum field f)
{
    switch (f) {
    case FIELD_SOP_INSTANCE:
        return values->sop_instance;
    case FIELD_SOP_CLASS:
        return values->sop_class;
    case FIELD_CALLING:
        return values->calling;
    case FIELD_CALLED:
        return values->called;
    case FIELD_DATE:
        return view_of(values->date);
    case FIELD_ATTRIBUTE:
    case FIELD_UNKNOWN:
        break;
    }
    return (struct view){NULL, 0};
}

enum result pattern_expand(const char *pattern, const struct pattern_values *values, char *path, size_t cap)
{
    struct path out = {.text = path, .cap = cap, .full = cap == 0};
    size_t attribute = 0;
    for (const char *p = pattern; *p != '\0' && !out.full;) {
        struct view name;
        size_t max;
        if (*p != '{' || !next_field(&p, &name)) {
            put(&out, *p++);
            continue;
        }
        enum field f = find_field(name, &max);
        struct view value = fact_of(values, f);
        if (f == FIELD_ATTRIBUTE && values->attributes != NULL) {
            value = values->attributes[attribute++];
        }
        put_value(&out, value, max);
    }
    if (out.full) {
        return ERR_LIMIT;
    }
    path[out.len] = '\0';
    return OK;
}
