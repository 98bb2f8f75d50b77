#include "script/locate.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_STRING, TOKEN_MARK };

struct token {
    enum token_kind kind;
    const char *text; /* a string's without its quotes */
    size_t len;
    int line;
};

struct cursor {
    const char *p, *end;
    int line;
};

static char peek(const struct cursor *c, size_t ahead)
{
    return (size_t)(c->end - c->p) > ahead ? c->p[ahead] : '\0';
}

static void skip(struct cursor *c, size_t count)
{
    for (; count > 0 && c->p < c->end; count--) {
        c->line += *c->p++ == '\n';
    }
}

/* "[[", "[==[": the number of equals signs at `ahead`, or -1. */
static int long_bracket(const struct cursor *c, size_t ahead)
{
    size_t i = ahead + 1;
    if (peek(c, ahead) != '[') {
        return -1;
    }
    while (peek(c, i) == '=') {
        i++;
    }
    return peek(c, i) == '[' ? (int)(i - ahead - 1) : -1;
}

/* Past "[==[ ... ]==]"; the text between stands in *t. */
static void skip_long(struct cursor *c, int level, struct token *t)
{
    skip(c, (size_t)level + 2);
    t->text = c->p;
    while (c->p < c->end) {
        if (*c->p == ']') {
            size_t i = 1;
            while (peek(c, i) == '=') {
                i++;
            }
            if (peek(c, i) == ']' && i == (size_t)level + 1) {
                break;
            }
        }
        skip(c, 1);
    }
    t->len = (size_t)(c->p - t->text);
    skip(c, (size_t)level + 2);
}

static void skip_quoted(struct cursor *c, struct token *t)
{
    char quote = *c->p;
    skip(c, 1);
    t->text = c->p;
    while (c->p < c->end && *c->p != quote && *c->p != '\n') {
        skip(c, *c->p == '\\' ? 2 : 1);
    }
    t->len = (size_t)(c->p - t->text);
    skip(c, 1);
}

static void skip_space_and_comments(struct cursor *c)
{
    while (c->p < c->end) {
        if (isspace((unsigned char)*c->p)) {
            skip(c, 1);
        } else if (peek(c, 0) == '-' && peek(c, 1) == '-') {
            skip(c, 2);
            int level = long_bracket(c, 0);
            struct token ignored;
            if (level >= 0) {
                skip_long(c, level, &ignored);
            } else {
                while (c->p < c->end && *c->p != '\n') {
                    skip(c, 1);
                }
            }
        } else {
            return;
        }
    }
}

static bool is_word(char ch)
{
    return isalnum((unsigned char)ch) || ch == '_';
}

static struct token next(struct cursor *c)
{
    skip_space_and_comments(c);
    struct token t = {TOKEN_END, c->p, 0, c->line};
    if (c->p >= c->end) {
        return t;
    }
    int level = long_bracket(c, 0);
    if (level >= 0) {
        t.kind = TOKEN_STRING;
        skip_long(c, level, &t);
    } else if (*c->p == '"' || *c->p == '\'') {
        t.kind = TOKEN_STRING;
        skip_quoted(c, &t);
    } else if (is_word(*c->p)) {
        t.kind = TOKEN_WORD;
        while (c->p < c->end && is_word(*c->p)) {
            skip(c, 1);
            t.len++;
        }
    } else {
        t.kind = TOKEN_MARK;
        t.len = *c->p == '=' && peek(c, 1) == '=' ? 2 : 1;
        skip(c, t.len);
    }
    return t;
}

static struct token look(const struct cursor *c)
{
    struct cursor ahead = *c;
    return next(&ahead);
}

static bool is(const struct token *t, enum token_kind kind, const char *text)
{
    return t->kind == kind && t->len == strlen(text) && memcmp(t->text, text, t->len) == 0;
}

static bool is_mark(const struct token *t, char mark)
{
    return t->kind == TOKEN_MARK && t->len == 1 && *t->text == mark;
}

static bool is_any(const struct token *t, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (is(t, TOKEN_WORD, words[i])) {
            return true;
        }
    }
    return false;
}

/* Past one value, up to (not over) the `,`, `;` or `}` that ends it. Commas of functions and inner tables are theirs. */
static void skip_value(struct cursor *c)
{
    static const char *const openers[] = {"function", "if", "do", "repeat"};
    static const char *const closers[] = {"end", "until"};
    int depth = 0;
    for (;;) {
        struct token t = look(c);
        if (t.kind == TOKEN_END) {
            return;
        }
        if (depth == 0 && (is_mark(&t, ',') || is_mark(&t, ';') || is_mark(&t, '}'))) {
            return;
        }
        if (is_mark(&t, '{') || is_mark(&t, '(') || is_any(&t, openers, 4)) {
            depth++;
        } else if (is_mark(&t, '}') || is_mark(&t, ')') || is_any(&t, closers, 2)) {
            depth--;
        }
        next(c);
    }
}

/* Reads `key =`, `["key"] =` or `[0x00100010] =` if that is what stands here; other `[...] =` too, with an empty key. */
static bool read_key(struct cursor *c, struct token *key_out)
{
    struct cursor ahead = *c;
    struct token key = next(&ahead);
    if (is_mark(&key, '[')) {
        int line = key.line;
        key = next(&ahead);
        bool is_number = key.kind == TOKEN_WORD && isdigit((unsigned char)*key.text);
        if (key.kind != TOKEN_STRING && !is_number) {
            key.len = 0;
        }
        key.line = line;
        struct token t = next(&ahead);
        while (t.kind != TOKEN_END && !is_mark(&t, ']')) {
            t = next(&ahead);
        }
    } else if (key.kind != TOKEN_WORD) {
        return false;
    }
    struct token assign = next(&ahead);
    if (!is_mark(&assign, '=')) {
        return false;
    }
    *c = ahead;
    *key_out = key;
    return true;
}

/* A number in brackets stands for the tag that value.h makes of it. */
static bool is_key(const struct token *token, const char *key)
{
    if (token->len == strlen(key) && memcmp(token->text, key, token->len) == 0) {
        return true;
    }
    char number[16] = "", tag[16];
    if (token->kind != TOKEN_WORD || !isdigit((unsigned char)*token->text) || token->len >= sizeof(number)) {
        return false;
    }
    memcpy(number, token->text, token->len);
    bool is_hexadecimal = number[1] == 'x' || number[1] == 'X';
    unsigned long value = strtoul(number, NULL, is_hexadecimal ? 16 : 10);
    snprintf(tag, sizeof(tag), "%04lX,%04lX", value >> 16 & 0xFFFF, value & 0xFFFF);
    return strcmp(tag, key) == 0;
}

/* In a table, behind its `{`: the line of path[0], or deeper. 0 if it is not there. */
static int find_in_table(struct cursor *c, const struct place *const *path, size_t count)
{
    size_t index = 0;
    for (;;) {
        struct token t = look(c);
        if (t.kind == TOKEN_END || is_mark(&t, '}')) {
            return 0;
        }
        if (is_mark(&t, ',') || is_mark(&t, ';')) {
            next(c);
            continue;
        }
        struct token key;
        bool has_key = read_key(c, &key);
        index += !has_key;
        bool is_it = path[0]->key != NULL ? has_key && is_key(&key, path[0]->key)
                                          : !has_key && index == path[0]->index;
        if (is_it) {
            struct token value = look(c);
            int deeper = 0;
            if (count > 1 && is_mark(&value, '{')) {
                next(c);
                deeper = find_in_table(c, path + 1, count - 1);
            }
            return deeper > 0 ? deeper : t.line;
        }
        skip_value(c);
    }
}

/* Behind the declaration's word, up to over its `{`. Only its name may stand between, and parentheses. */
static bool enter_table(struct cursor *c, const struct declaration *d)
{
    bool has_name = d->name.kind != VALUE_STRING;
    for (;;) {
        struct token t = next(c);
        if (t.kind == TOKEN_STRING) {
            has_name |= is(&t, TOKEN_STRING, d->name.kind == VALUE_STRING ? d->name.text : "");
        } else if (is_mark(&t, '{')) {
            return has_name;
        } else if (!is_mark(&t, '(') && !is_mark(&t, ')') && !is_mark(&t, ',')) {
            return false;
        }
    }
}

static bool find_table(struct cursor *c, const struct declaration *d)
{
    while (c->line < d->line && c->p < c->end) {
        skip(c, 1);
    }
    for (;;) {
        struct token t = next(c);
        if (t.kind == TOKEN_END || t.line > d->line) {
            return false;
        }
        struct cursor inside = *c;
        if (is(&t, TOKEN_WORD, declaration_word(d->kind)) && enter_table(&inside, d)) {
            *c = inside;
            return true;
        }
    }
}

int locate_line(const struct place *place)
{
    const struct place *path[VALUE_DEPTH_MAX + 1];
    size_t count = 0;
    for (const struct place *p = place; p->parent != NULL && count < VALUE_DEPTH_MAX; p = p->parent) {
        count++;
    }
    const struct place *p = place;
    for (size_t i = count; i > 0; i--, p = p->parent) {
        path[i - 1] = p;
    }
    const struct declaration *d = place->declaration;
    struct cursor c = {d->source->text, d->source->text + d->source->len, 1};
    if (count == 0 || !find_table(&c, d)) {
        return d->line;
    }
    int line = find_in_table(&c, path, count);
    return line > 0 ? line : d->line;
}
