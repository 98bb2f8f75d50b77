#include "script/value.h"

#include <lauxlib.h>
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

static void copy_fields(lua_State *lua, int table, struct arena *arena, int depth, struct value *out)
{
    size_t count = 0;
    for (lua_pushnil(lua); lua_next(lua, table) != 0; lua_pop(lua, 1)) {
        if (lua_type(lua, -2) == LUA_TSTRING) {
            count++;
        } else if (!is_item(lua, -2, out->item_count)) {
            out->has_other_keys = true;
        }
    }
    if (count == 0) {
        return;
    }
    struct field *fields = take(lua, arena, count * sizeof(*fields));
    struct field *f = fields;
    for (lua_pushnil(lua); lua_next(lua, table) != 0; lua_pop(lua, 1)) {
        if (lua_type(lua, -2) != LUA_TSTRING) {
            continue;
        }
        struct value key = {.kind = VALUE_STRING};
        copy_text(lua, -2, arena, &key);
        f->key = key.text;
        copy(lua, lua_gettop(lua), arena, depth + 1, &f->value);
        f++;
    }
    qsort(fields, count, sizeof(*fields), compare_fields);
    out->fields = fields;
    out->field_count = count;
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
