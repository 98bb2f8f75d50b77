#include "script/value.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void copy(lua_State *lua, int index, struct arena *arena, int depth, struct value *out);

static void *take(lua_State *lua, struct arena *arena, size_t size)
{
    void *p = arena_alloc(arena, size);
    if (p == NULL) {
        luaL_error(lua, "the declarations take too much memory; declare less");
    }
    return p;
}

static void copy_text(lua_State *lua, int index, struct arena *arena, struct value *out)
{
    const char *text = lua_tolstring(lua, index, &out->len);
    char *kept = take(lua, arena, out->len + 1);
    memcpy(kept, text, out->len);
    out->text = kept;
}

static void copy_items(lua_State *lua, int table, struct arena *arena, int depth, struct value *out)
{
    size_t count = (size_t)lua_rawlen(lua, table);
    if (count == 0) {
        return;
    }
    struct value *items = take(lua, arena, count * sizeof(*items));
    for (size_t i = 0; i < count; i++) {
        lua_rawgeti(lua, table, (lua_Integer)i + 1);
        copy(lua, lua_gettop(lua), arena, depth + 1, &items[i]);
        lua_pop(lua, 1);
    }
    out->items = items;
    out->item_count = count;
}

static bool is_item(lua_State *lua, int key, size_t item_count)
{
    if (!lua_isinteger(lua, key)) {
        return false;
    }
    lua_Integer i = lua_tointeger(lua, key);
    return i >= 1 && (lua_Unsigned)i <= item_count;
}

static int compare_fields(const void *left, const void *right)
{
    const struct field *a = left;
    const struct field *b = right;
    return strcmp(a->key, b->key);
}

enum key_kind { KEY_TEXT, KEY_ITEM, KEY_TAG, KEY_OTHER };

static enum key_kind kind_of_key(lua_State *lua, int key, size_t item_count)
{
    if (lua_type(lua, key) == LUA_TSTRING) {
        return KEY_TEXT;
    }
    if (is_item(lua, key, item_count)) {
        return KEY_ITEM;
    }
    if (lua_isinteger(lua, key) && lua_tointeger(lua, key) >= 0 && lua_tointeger(lua, key) <= UINT32_MAX) {
        return KEY_TAG;
    }
    return KEY_OTHER;
}

static const char *copy_key(lua_State *lua, int key, struct arena *arena, enum key_kind kind)
{
    if (kind == KEY_TEXT) {
        struct value text = {.kind = VALUE_STRING};
        copy_text(lua, key, arena, &text);
        return text.text;
    }
    unsigned tag = (unsigned)lua_tointeger(lua, key);
    char *text = take(lua, arena, sizeof("0010,0010"));
    snprintf(text, sizeof("0010,0010"), "%04X,%04X", tag >> 16, tag & 0xFFFF);
    return text;
}

/* The fields whose keys are of this kind, of which there are `count`. */
static const struct field *copy_kind(lua_State *lua, int table, struct arena *arena, int depth,
                                     enum key_kind kind, size_t count, size_t item_count)
{
    if (count == 0) {
        return NULL;
    }
    struct field *fields = take(lua, arena, count * sizeof(*fields));
    struct field *f = fields;
    for (lua_pushnil(lua); lua_next(lua, table) != 0; lua_pop(lua, 1)) {
        if (kind_of_key(lua, -2, item_count) == kind) {
            f->key = copy_key(lua, -2, arena, kind);
            copy(lua, lua_gettop(lua), arena, depth + 1, &f->value);
            f++;
        }
    }
    qsort(fields, count, sizeof(*fields), compare_fields);
    return fields;
}

static void copy_fields(lua_State *lua, int table, struct arena *arena, int depth, struct value *out)
{
    size_t counts[KEY_OTHER + 1] = {0};
    for (lua_pushnil(lua); lua_next(lua, table) != 0; lua_pop(lua, 1)) {
        counts[kind_of_key(lua, -2, out->item_count)]++;
    }
    out->fields = copy_kind(lua, table, arena, depth, KEY_TEXT, counts[KEY_TEXT], out->item_count);
    out->field_count = counts[KEY_TEXT];
    out->tags = copy_kind(lua, table, arena, depth, KEY_TAG, counts[KEY_TAG], out->item_count);
    out->tag_count = counts[KEY_TAG];
    out->other_count = counts[KEY_OTHER];
    out->has_other_keys = counts[KEY_TAG] + counts[KEY_OTHER] > 0;
}

static void copy_table(lua_State *lua, int index, struct arena *arena, int depth, struct value *out)
{
    if (depth >= VALUE_DEPTH_MAX) {
        luaL_error(lua, "a table is nested too deeply; no declaration has more than %d levels",
                   VALUE_DEPTH_MAX);
    }
    luaL_checkstack(lua, 4, "a table is nested too deeply");
    copy_items(lua, index, arena, depth, out);
    copy_fields(lua, index, arena, depth, out);
}

static void copy(lua_State *lua, int index, struct arena *arena, int depth, struct value *out)
{
    *out = (struct value){.kind = VALUE_OTHER};
    switch (lua_type(lua, index)) {
    case LUA_TNONE:
    case LUA_TNIL:
        out->kind = VALUE_NIL;
        break;
    case LUA_TBOOLEAN:
        out->kind = VALUE_BOOLEAN;
        out->boolean = lua_toboolean(lua, index) != 0;
        break;
    case LUA_TNUMBER: {
        int is_integer;
        out->kind = VALUE_NUMBER;
        out->number = lua_tonumber(lua, index);
        out->integer = lua_tointegerx(lua, index, &is_integer);
        out->is_integer = is_integer != 0;
        break;
    }
    case LUA_TSTRING:
        copy_text(lua, index, arena, out);
        out->kind = VALUE_STRING; /* last: an error of Lua's leaves what is whole */
        break;
    case LUA_TTABLE:
        copy_table(lua, index, arena, depth, out);
        out->kind = VALUE_TABLE;
        break;
    case LUA_TFUNCTION:
        out->kind = VALUE_FUNCTION;
        break;
    default:
        break;
    }
}

void value_copy(lua_State *lua, int index, struct arena *arena, struct value *out)
{
    copy(lua, lua_absindex(lua, index), arena, 0, out);
}

const struct value *value_field(const struct value *table, const char *key)
{
    for (size_t i = 0; i < table->field_count; i++) {
        if (strcmp(table->fields[i].key, key) == 0) {
            return &table->fields[i].value;
        }
    }
    return NULL;
}

const char *value_kind_name(const struct value *v)
{
    switch (v->kind) {
    case VALUE_NIL:
        return "nil";
    case VALUE_BOOLEAN:
        return "a boolean";
    case VALUE_NUMBER:
        return "a number";
    case VALUE_STRING:
        return "a string";
    case VALUE_TABLE:
        return "a table";
    case VALUE_FUNCTION:
        return "a function";
    case VALUE_OTHER:
        break;
    }
    return "a value of another type";
}
