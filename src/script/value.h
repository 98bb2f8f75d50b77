/*
 * A Lua value as plain C: a declaration's table is copied when it is declared and checked afterwards without Lua, so
 * that no check can be thrown out by an error of Lua's. Metatables are not looked at.
 */
#ifndef HILUM_SCRIPT_VALUE_H
#define HILUM_SCRIPT_VALUE_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

enum value_kind {
    VALUE_NIL,
    VALUE_BOOLEAN,
    VALUE_NUMBER,
    VALUE_STRING,
    VALUE_TABLE,
    VALUE_FUNCTION,
    VALUE_OTHER,
};

struct field;

struct value {
    enum value_kind kind;
    bool boolean;
    bool is_integer; /* of a number: it has no fraction and fits */
    int64_t integer;
    double number;
    const char *text; /* of a string; NUL-terminated, and may hold NULs */
    size_t len;
    /* of a table */
    const struct value *items; /* [1] .. [n], without holes */
    size_t item_count;
    const struct field
        *fields; /* string keys, rising, so that the order of problems is not Lua's hash order */
    size_t field_count;
    bool has_other_keys; /* such as [0x00100010] or [true] */
    const struct field
        *tags; /* the whole numbers among them, rising; with keys as tags are written: "0010,0010" */
    size_t tag_count;
    size_t other_count; /* the rest of them */
};

struct field {
    const char *key;
    struct value value;
};

#define VALUE_DEPTH_MAX 8

/*
 * Copies the value at the index. Lua errors: no memory, or the table is nested deeper than VALUE_DEPTH_MAX (a table that holds
 * itself is).
 */
void value_copy(lua_State *lua, int index, struct arena *arena, struct value *out);

/* NULL if the table has no such key, or the value is no table. */
const struct value *value_field(const struct value *table, const char *key);

/* "a number", "a table", ... */
const char *value_kind_name(const struct value *v);

#endif
