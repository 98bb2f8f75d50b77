#include "script/pairs.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdbool.h>

#include "script/sandbox.h"

#define SORTED_KEY 20 /* instructions that one is counted as */

/* Of keys: what cannot be compared keeps the order it has. */
static int rank(lua_State *lua, int index)
{
    int type = lua_type(lua, index);
    return type == LUA_TNUMBER ? 0 : type == LUA_TSTRING ? 1 : 2;
}

static int is_less(lua_State *lua)
{
    int a = rank(lua, 1);
    int b = rank(lua, 2);
    bool is_comparable = a == b && a < 2;
    lua_pushboolean(lua, is_comparable ? lua_compare(lua, 1, 2, LUA_OPLT) : a < b);
    return 1;
}

/* Upvalues: the keys, and how many have been. What was taken out of the table meanwhile is left out. */
static int next_key(lua_State *lua)
{
    lua_Integer i = lua_tointeger(lua, lua_upvalueindex(2));
    lua_settop(lua, 1);
    while (lua_rawgeti(lua, lua_upvalueindex(1), ++i) != LUA_TNIL) {
        lua_pushvalue(lua, -1);
        if (lua_rawget(lua, 1) != LUA_TNIL) {
            lua_pushinteger(lua, i);
            lua_replace(lua, lua_upvalueindex(2));
            return 2;
        }
        lua_settop(lua, 1);
    }
    return 1;
}

/* Upvalue 2: table.sort. */
static void push_keys(lua_State *lua)
{
    lua_Integer count = 0;
    lua_newtable(lua);
    for (lua_pushnil(lua); lua_next(lua, 1) != 0;) {
        lua_pop(lua, 1);
        lua_pushvalue(lua, -1);
        lua_rawseti(lua, 2, ++count);
    }
    sandbox_charge(lua, (uint64_t)count * SORTED_KEY);
    lua_pushvalue(lua, lua_upvalueindex(2));
    lua_pushvalue(lua, 2);
    lua_pushcfunction(lua, is_less);
    lua_call(lua, 2, 0);
}

/* Upvalue 1: Lua's own. */
static int pairs(lua_State *lua)
{
    luaL_checkany(lua, 1);
    lua_settop(lua, 1);
    bool is_own = luaL_getmetafield(lua, 1, "__pairs") != LUA_TNIL;
    lua_settop(lua, 1);
    if (is_own || lua_type(lua, 1) != LUA_TTABLE || sandbox_script(lua)->is_over) {
        lua_pushvalue(lua, lua_upvalueindex(1));
        lua_insert(lua, 1);
        lua_call(lua, 1, 3);
        return 3;
    }
    push_keys(lua);
    lua_pushinteger(lua, 0);
    lua_pushcclosure(lua, next_key, 2);
    lua_pushvalue(lua, 1);
    lua_pushnil(lua);
    return 3;
}

void pairs_install(lua_State *lua)
{
    lua_getglobal(lua, "pairs");
    lua_getglobal(lua, LUA_TABLIBNAME);
    lua_getfield(lua, -1, "sort");
    lua_remove(lua, -2);
    lua_pushcclosure(lua, pairs, 2);
    lua_setglobal(lua, "pairs");
}
