/*
 * A frozen table is empty: its entries have moved to another one behind it, which nobody else can reach, so that every read
 * and every write comes past its metatable. The table itself stays the one that functions know.
 */
#include "script/freeze.h"

#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

/* Marks the metatable of a frozen table. */
static const char mark;

bool freeze_is_frozen(lua_State *lua, int index)
{
    if (!lua_getmetatable(lua, index)) {
        return false;
    }
    bool is_frozen = lua_rawgetp(lua, -1, &mark) != LUA_TNIL;
    lua_pop(lua, 2);
    return is_frozen;
}

/* Upvalue: the table's name. */
static int refuse_write(lua_State *lua)
{
    const char *name = lua_tostring(lua, lua_upvalueindex(1));
    const char *key = lua_type(lua, 2) == LUA_TSTRING ? lua_tostring(lua, 2) : luaL_typename(lua, 2);
    if (strcmp(name, LUA_GNAME) == 0) {
        return luaL_error(lua, "global '%s' is set in a rule, where globals are read-only; use a local", key);
    }
    return luaL_error(lua, "'%s.%s' is set in a rule, where libraries are read-only", name, key);
}

static int next_entry(lua_State *lua)
{
    lua_settop(lua, 2);
    return lua_next(lua, lua_upvalueindex(1)) != 0 ? 2 : 0;
}

int freeze_each_entry(lua_State *lua)
{
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_pushcclosure(lua, next_entry, 1);
    lua_pushvalue(lua, 1);
    lua_pushnil(lua);
    return 3;
}

/* From the table at `from` to the new one on top. */
static void move_entries(lua_State *lua, int from)
{
    int to = lua_gettop(lua);
    for (lua_pushnil(lua); lua_next(lua, from) != 0;) {
        lua_pushvalue(lua, -2);
        lua_insert(lua, -2); /* key, key, value */
        lua_rawset(lua, to);
        lua_pushvalue(lua, -1);
        lua_pushnil(lua);
        lua_rawset(lua, from); /* an entry that is there may be cleared on the way */
    }
    if (lua_getmetatable(lua, from)) {
        lua_setmetatable(lua, to);
    }
}

/* The table on top; pops it. */
static void freeze_table(lua_State *lua, const char *name)
{
    int table = lua_gettop(lua);
    lua_newtable(lua);
    move_entries(lua, table);
    int entries = lua_gettop(lua);
    lua_newtable(lua);
    lua_pushvalue(lua, entries);
    lua_setfield(lua, -2, "__index");
    lua_pushstring(lua, name);
    lua_pushcclosure(lua, refuse_write, 1);
    lua_setfield(lua, -2, "__newindex");
    lua_pushvalue(lua, entries);
    lua_pushcclosure(lua, freeze_each_entry, 1);
    lua_setfield(lua, -2, "__pairs");
    lua_pushliteral(lua, "read-only");
    lua_setfield(lua, -2, "__metatable");
    lua_pushboolean(lua, 1);
    lua_rawsetp(lua, -2, &mark);
    lua_setmetatable(lua, table);
    lua_settop(lua, table - 1);
}

/* Strings get a copy of theirs, which no function can have kept. */
static void freeze_strings(lua_State *lua)
{
    lua_pushliteral(lua, "");
    int text = lua_gettop(lua);
    if (!lua_getmetatable(lua, text)) {
        lua_pop(lua, 1);
        return;
    }
    int old = lua_gettop(lua);
    lua_newtable(lua);
    for (lua_pushnil(lua); lua_next(lua, old) != 0;) {
        lua_pushvalue(lua, -2);
        lua_insert(lua, -2);
        lua_rawset(lua, old + 1);
    }
    lua_pushliteral(lua, "read-only");
    lua_setfield(lua, -2, "__metatable");
    lua_setmetatable(lua, text);
    lua_settop(lua, text - 1);
}

void freeze_globals(lua_State *lua)
{
    /* As they were opened, whatever a configuration has made of the names. Globals last: that is where names lead. */
    static const char *const libraries[] = {LUA_STRLIBNAME, LUA_TABLIBNAME, LUA_MATHLIBNAME, LUA_UTF8LIBNAME,
                                            "uid",          "date",         LUA_GNAME};
    freeze_strings(lua);
    luaL_getsubtable(lua, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++) {
        if (lua_getfield(lua, -1, libraries[i]) == LUA_TTABLE) {
            freeze_table(lua, libraries[i]);
        } else {
            lua_pop(lua, 1);
        }
    }
    lua_pop(lua, 1);
}
