/* `as = { move = ... }` of a node: by which title an archive knows the destination of a C-MOVE. */
#include <stdlib.h>
#include <string.h>

#include "script/check.h"
#include "script/suggest.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char through_us[] = "through us";

static bool is_glob(const char *title)
{
    return strpbrk(title, "*?") != NULL;
}

/* Whole titles before globs, of these the one with most characters of its own; a table in Lua has no order. */
static int compare(const void *left, const void *right)
{
    const struct config_move *a = left, *b = right;
    size_t a_len = strlen(a->title), b_len = strlen(b->title);
    if (is_glob(a->title) != is_glob(b->title)) {
        return is_glob(a->title) ? 1 : -1;
    }
    for (const char *p = a->title; *p != '\0'; p++) {
        a_len -= *p == '*' || *p == '?';
    }
    for (const char *p = b->title; *p != '\0'; p++) {
        b_len -= *p == '*' || *p == '?';
    }
    return a_len != b_len ? (a_len < b_len ? 1 : -1) : strcmp(a->title, b->title);
}

/* A slip of the pen would be a title that no archive knows. */
static void warn_if_near(const struct item *item, const char *as)
{
    struct suggestion s = {.word = through_us};
    suggest_offer(&s, as);
    if (s.name != NULL) {
        check_warning(item->check, item->at, "as.move = \"%s\" is taken for a title; did you mean \"%s\"?",
                      as, through_us);
    }
}

/* Where what is asked for as `title` is to be found. The node has room for it. */
static void add_move(const struct item *item, struct config_node *n, const char *title)
{
    const char *as = field_text(item, "the title that the archive knows, or \"through us\"");
    struct config_move *m = &n->moves[n->move_count];
    if (as == NULL) {
        return;
    }
    bool is_through_us = strcmp(as, through_us) == 0;
    if (!is_through_us && !field_is_title(item, as)) {
        return;
    }
    field_set_text(item->check, &m->title, title);
    if (!is_through_us) {
        warn_if_near(item, as);
        field_set_text(item->check, &m->as, as);
    }
    n->move_count++;
}

static void take_table(const struct item *item, struct config_node *n)
{
    const struct value *v = item->value;
    if (v->item_count > 0 || v->has_other_keys || v->field_count == 0) {
        check_error(item->check, item->at,
                    "as.move is no table of titles; write it as move = { [\"TITLE\"] = \"TITLE THERE\", "
                    "[\"*\"] = \"through us\" }");
        return;
    }
    for (size_t i = 0; i < v->field_count; i++) {
        struct place at = {item->at->declaration, item->at, v->fields[i].key, 0};
        struct item one = {item->check, &at, &v->fields[i].value};
        if (strchr(at.key, '*') != NULL || field_is_title(&one, at.key)) {
            add_move(&one, n, at.key);
        }
    }
    qsort(n->moves, n->move_count, sizeof(*n->moves), compare);
}

static void take_move(const struct item *item, void *node)
{
    struct config_node *n = node;
    bool is_table = item->value->kind == VALUE_TABLE;
    n->moves = calloc(is_table ? item->value->field_count + 1 : 1, sizeof(*n->moves));
    if (n->moves == NULL) {
        item->check->failed = true;
    } else if (is_table) {
        take_table(item, n);
    } else if (item->value->kind == VALUE_STRING) {
        add_move(item, n, "*");
    } else {
        field_wrong_type(item, "a title, \"through us\", or a table of these by the title that is asked for");
    }
}

void take_as(const struct item *item, void *node)
{
    static const struct key keys[] = {{"move", take_move, 0}};
    fields_take(item, "as", keys, COUNT(keys), node);
}
