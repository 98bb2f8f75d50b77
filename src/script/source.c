#include "script/source.h"

#include <errno.h>
#include <lua.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX (16u << 20)

/* *text_out is malloc'ed even where the file is empty. */
static enum result read_all(FILE *file, char **text_out, size_t *len_out)
{
    size_t cap = 64 << 10;
    size_t len = 0;
    char *text = malloc(cap);
    while (text != NULL) {
        len += fread(text + len, 1, cap - len, file);
        if (len < cap || cap > FILE_MAX) {
            break;
        }
        cap *= 2;
        char *bigger = realloc(text, cap);
        if (bigger == NULL) {
            free(text);
        }
        text = bigger;
    }
    if (text == NULL) {
        return ERR_MEMORY;
    }
    *text_out = text;
    *len_out = len;
    return ferror(file) ? ERR_IO : len > FILE_MAX ? ERR_LIMIT : OK;
}

static enum result read_file(const char *path, char **text_out, size_t *len_out, const char **why_out)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        *why_out = strerror(errno);
        return ERR_IO;
    }
    enum result r = read_all(file, text_out, len_out);
    if (r == ERR_IO) {
        *why_out = strerror(errno);
    } else if (r == ERR_LIMIT) {
        *why_out = "larger than 16 MiB";
        r = ERR_IO;
    }
    fclose(file);
    return r;
}

struct source *source_borrow(struct arena *a, struct source_list *list, const char *path, const char *text,
                             size_t len)
{
    struct source *s = arena_alloc(a, sizeof(*s));
    size_t name_len = strlen(path);
    char *chunk = arena_alloc(a, name_len + 2);
    if (s == NULL || chunk == NULL) {
        return NULL;
    }
    chunk[0] = '@';
    memcpy(chunk + 1, path, name_len);
    *s = (struct source){.name = chunk + 1, .chunk = chunk, .text = text, .len = len};
    struct source **end = &list->first;
    while (*end != NULL) {
        s->order++;
        end = &(*end)->next;
    }
    *end = s;
    return s;
}

enum result source_read(struct arena *a, struct source_list *list, const char *path, struct source **out,
                        const char **why_out)
{
    char *text = NULL;
    size_t len = 0;
    enum result r = read_file(path, &text, &len, why_out);
    if (r == OK) {
        char *kept = arena_copy(a, text, len);
        *out = kept == NULL ? NULL : source_borrow(a, list, path, kept, len);
        r = *out == NULL ? ERR_MEMORY : OK;
    }
    free(text);
    return r;
}

const struct source *source_find(const struct source_list *list, const char *chunk)
{
    for (const struct source *s = list->first; s != NULL; s = s->next) {
        if (strcmp(s->chunk, chunk) == 0) {
            return s;
        }
    }
    return NULL;
}

/* Length of the source's name at the front of the message, as Lua shortens it (luaO_chunkid); 0 if it is not. */
static size_t name_length(const struct source *s, const char *message)
{
    size_t len = strlen(s->name);
    const char *shown = s->name;
    size_t dots = 0;
    if (len >= LUA_IDSIZE) {
        dots = 3;
        shown += len - (LUA_IDSIZE - 1 - dots);
        len = LUA_IDSIZE - 1 - dots;
    }
    if (strncmp(message, "...", dots) != 0 || strncmp(message + dots, shown, len) != 0) {
        return 0;
    }
    return message[dots + len] == ':' ? dots + len : 0;
}

const struct source *source_of_message(const struct source_list *list, const char *message, int *line_out,
                                       const char **rest_out)
{
    for (const struct source *s = list->first; s != NULL; s = s->next) {
        size_t len = name_length(s, message);
        if (len == 0) {
            continue;
        }
        char *after;
        long line = strtol(message + len + 1, &after, 10);
        if (line > 0 && after[0] == ':' && after[1] == ' ') {
            *line_out = (int)line;
            *rest_out = after + 2;
            return s;
        }
    }
    return NULL;
}
