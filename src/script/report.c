#include "script/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct report_item {
    char *text;
    size_t order;
    int line;
    size_t sequence;
    bool is_warning;
};

void problems_free(struct problems *p)
{
    for (size_t i = 0; i < p->count; i++) {
        free(p->items[i].text);
    }
    free(p->items);
    *p = (struct problems){0};
}

/* Names and values come from the file: a newline in one must not make two problems of one. */
static void make_printable(char *text)
{
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            *text = '?';
        }
    }
}

static bool grow(struct report *r)
{
    if (r->count < r->capacity) {
        return true;
    }
    size_t capacity = r->capacity == 0 ? 16 : r->capacity * 2;
    struct report_item *bigger = realloc(r->items, capacity * sizeof(*bigger));
    if (bigger == NULL) {
        return false;
    }
    r->items = bigger;
    r->capacity = capacity;
    return true;
}

static char *format_text(const struct source *source, int line, bool is_warning, const char *format,
                         va_list arguments)
{
    char *what;
    char *text;
    if (vasprintf(&what, format, arguments) < 0) {
        return NULL;
    }
    int written = asprintf(&text, "%s:%d: %s%s", source->name, line, is_warning ? "warning: " : "", what);
    free(what);
    return written < 0 ? NULL : text;
}

void report_printf(struct report *r, const struct source *source, int line, bool is_warning,
                   const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = format_text(source, line, is_warning, format, arguments);
    va_end(arguments);
    if (text == NULL || !grow(r)) {
        free(text);
        r->failed = true;
        return;
    }
    make_printable(text);
    r->items[r->count] = (struct report_item){text, source->order, line, r->count, is_warning};
    r->count++;
    r->errors += !is_warning;
}

static int compare(const void *left, const void *right)
{
    const struct report_item *a = left;
    const struct report_item *b = right;
    if (a->order != b->order) {
        return a->order < b->order ? -1 : 1;
    }
    if (a->line != b->line) {
        return a->line < b->line ? -1 : 1;
    }
    return a->sequence < b->sequence ? -1 : 1;
}

enum result report_finish(struct report *r, struct problems *out)
{
    *out = (struct problems){0};
    struct problem *items = calloc(r->count + 1, sizeof(*items));
    if (r->count > 0) {
        qsort(r->items, r->count, sizeof(r->items[0]), compare);
    }
    for (size_t i = 0; i < r->count; i++) {
        if (items == NULL || r->failed) {
            free(r->items[i].text);
        } else {
            items[i] = (struct problem){r->items[i].text, r->items[i].is_warning};
            out->count++;
        }
    }
    bool failed = items == NULL || r->failed;
    if (failed) {
        free(items);
    } else {
        out->items = items;
    }
    free(r->items);
    *r = (struct report){0};
    return failed ? ERR_MEMORY : OK;
}
