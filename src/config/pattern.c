/* Path patterns of folder nodes: the check, once, and the expansion, for every file. */
#include "config/pattern.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define KNOWN_FIELDS "{SOPInstanceUID}, {SOPClassUID}, {calling}, {called}, {date}"

enum field { FIELD_SOP_INSTANCE, FIELD_SOP_CLASS, FIELD_CALLING, FIELD_CALLED, FIELD_DATE, FIELD_UNKNOWN };

static const struct {
    const char *name;
    size_t max; /* bytes in a path; PS3.5 6.2: UI 64, AE 16, DA 8 */
} fields[] = {
    [FIELD_SOP_INSTANCE] = {"SOPInstanceUID", 64},
    [FIELD_SOP_CLASS] = {"SOPClassUID", 64},
    [FIELD_CALLING] = {"calling", 16},
    [FIELD_CALLED] = {"called", 16},
    [FIELD_DATE] = {"date", 8},
};

static enum field find_field(const char *name, size_t len)
{
    for (enum field f = 0; f < FIELD_UNKNOWN; f++) {
        if (strlen(fields[f].name) == len && memcmp(fields[f].name, name, len) == 0) {
            return f;
        }
    }
    return FIELD_UNKNOWN;
}

/* Other keywords of the data dictionary are what later versions bring; they start with a capital. */
static void explain_unknown(const char *name, size_t len, char *why, size_t why_cap)
{
    bool is_keyword = len > 0 && name[0] >= 'A' && name[0] <= 'Z';
    int shown = len > 64 ? 64 : (int)len;
    if (is_keyword) {
        snprintf(why, why_cap, "{%.*s} is not available in this version; the fields are " KNOWN_FIELDS, shown,
                 name);
    } else {
        snprintf(why, why_cap, "unknown field {%.*s}; the fields are " KNOWN_FIELDS, shown, name);
    }
}

/* What the check has seen so far. */
struct scan {
    size_t path_max;      /* longest path that can come of it */
    size_t component_max; /* longest form of the component being read */
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
    const char *name = *p + 1;
    size_t len = strcspn(name, "}{/");
    if (name[len] != '}') {
        snprintf(why, why_cap, "'{' without '}'; the fields are " KNOWN_FIELDS);
        return false;
    }
    enum field f = find_field(name, len);
    if (f == FIELD_UNKNOWN) {
        explain_unknown(name, len, why, why_cap);
        return false;
    }
    s->has_instance |= f == FIELD_SOP_INSTANCE;
    s->component_max += fields[f].max;
    s->path_max += fields[f].max;
    *p = name + len + 1;
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
    return OK;
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

static struct view value_of(const struct pattern_values *values, enum field f)
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
    case FIELD_UNKNOWN:
        break;
    }
    return (struct view){NULL, 0};
}

enum result pattern_expand(const char *pattern, const struct pattern_values *values, char *path, size_t cap)
{
    struct path out = {.text = path, .cap = cap, .full = cap == 0};
    for (const char *p = pattern; *p != '\0' && !out.full;) {
        if (*p != '{') {
            put(&out, *p++);
            continue;
        }
        size_t len = strcspn(p + 1, "}");
        enum field f = find_field(p + 1, len);
        put_value(&out, value_of(values, f), f == FIELD_UNKNOWN ? 0 : fields[f].max);
        p += len + 2;
    }
    if (out.full) {
        return ERR_LIMIT;
    }
    path[out.len] = '\0';
    return OK;
}
