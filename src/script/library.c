/* What a configuration can call besides its declarations. */
#include <lauxlib.h>
#include <lualib.h>

#include "base/log.h"
#include "script/freeze.h"
#include "script/modules.h"
#include "script/pairs.h"
#include "script/rules_inside.h"
#include "script/sandbox.h"

#define CAUGHT_ERROR 10000 /* instructions that one is counted as: unwinding a deep stack takes as long */
#define PRINTED_LINE 1000  /* a line of log takes as long, and there are only so many in a budget */

/* After a protected call: a spent budget goes on up, whatever stands in its way. */
static void pass_on_spent(lua_State *lua, int status)
{
    struct script *s = sandbox_script(lua);
    if (status == LUA_OK) {
        return;
    }
    if (status == LUA_ERRMEM && s->spent == SPENT_NOTHING) {
        s->spent = SPENT_MEMORY;
    }
    sandbox_charge(lua, CAUGHT_ERROR);
}

static int guarded_pcall(lua_State *lua)
{
    luaL_checkany(lua, 1);
    lua_pushboolean(lua, 1);
    lua_insert(lua, 1);
    int status = lua_pcall(lua, lua_gettop(lua) - 2, LUA_MULTRET, 0);
    pass_on_spent(lua, status);
    if (status != LUA_OK) {
        lua_pushboolean(lua, 0);
        lua_replace(lua, 1);
    }
    return lua_gettop(lua);
}

static int guarded_xpcall(lua_State *lua)
{
    int count = lua_gettop(lua);
    luaL_checktype(lua, 2, LUA_TFUNCTION);
    lua_pushboolean(lua, 1);
    lua_pushvalue(lua, 1);
    lua_rotate(lua, 3, 2); /* f, handler, true, f, arguments */
    int status = lua_pcall(lua, count - 2, LUA_MULTRET, 2);
    pass_on_spent(lua, status);
    if (status != LUA_OK) {
        lua_pushboolean(lua, 0);
        lua_replace(lua, 3);
    }
    return lua_gettop(lua) - 2;
}

/* A finalizer runs without hooks: nothing would end it. */
static int guarded_setmetatable(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    int type = lua_type(lua, 2);
    luaL_argexpected(lua, type == LUA_TNIL || type == LUA_TTABLE, 2, "nil or table");
    if (luaL_getmetafield(lua, 1, "__metatable") != LUA_TNIL) {
        return luaL_error(lua, "cannot change a protected metatable");
    }
    if (type == LUA_TTABLE) {
        lua_pushliteral(lua, "__gc");
        if (lua_rawget(lua, 2) != LUA_TNIL) {
            return luaL_error(lua, "finalizers (__gc) are not available here");
        }
    }
    lua_settop(lua, 2);
    lua_setmetatable(lua, 1);
    return 1;
}

/* Tables that are read-only stay so. */
static int guarded_rawset(lua_State *lua)
{
    luaL_checktype(lua, 1, LUA_TTABLE);
    luaL_checkany(lua, 2);
    luaL_checkany(lua, 3);
    if (freeze_is_frozen(lua, 1)) {
        return luaL_error(lua, "this table is read-only in rules");
    }
    lua_settop(lua, 3);
    lua_rawset(lua, 1);
    return 1;
}

/* Goes to stderr the first time, to the log from a rule, and nowhere from what is evaluated again. */
static int print(lua_State *lua)
{
    struct script *s = sandbox_script(lua);
    int count = lua_gettop(lua);
    luaL_Buffer line;
    luaL_buffinit(lua, &line);
    for (int i = 1; i <= count; i++) {
        if (i > 1) {
            luaL_addchar(&line, '\t');
        }
        luaL_tolstring(lua, i, NULL);
        luaL_addvalue(&line);
    }
    if (s->rules == NULL) {
        luaL_addchar(&line, '\n');
    }
    luaL_pushresult(&line);
    size_t len;
    const char *text = lua_tolstring(lua, -1, &len);
    if (s->rules == NULL) {
        log_plain(text, len);
    } else if (s->is_over) {
        sandbox_charge(lua, PRINTED_LINE);
        rules_print(s->rules, text, len);
    }
    return 0;
}

static const luaL_Reg libraries[] = {
    {LUA_GNAME, luaopen_base},       {LUA_STRLIBNAME, luaopen_string}, {LUA_TABLIBNAME, luaopen_table},
    {LUA_MATHLIBNAME, luaopen_math}, {LUA_UTF8LIBNAME, luaopen_utf8},
};

static const luaL_Reg ours[] = {
    {"load", NULL},
    {"loadfile", NULL},
    {"dofile", NULL},
    {"collectgarbage", NULL},
    {"warn", NULL},
    {"pcall", guarded_pcall},
    {"xpcall", guarded_xpcall},
    {"setmetatable", guarded_setmetatable},
    {"rawset", guarded_rawset},
    {"print", print},
    {"env", modules_env},
    {"require", modules_require},
};

void sandbox_open_libraries(lua_State *lua)
{
    for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++) {
        luaL_requiref(lua, libraries[i].name, libraries[i].func, 1);
        lua_pop(lua, 1);
    }
    struct script *s = sandbox_script(lua);
    lua_getglobal(lua, "error");
    lua_getglobal(lua, "assert");
    s->error = lua_tocfunction(lua, -2);
    s->assert = lua_tocfunction(lua, -1);
    lua_pop(lua, 2);
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (ours[i].func == NULL) {
            lua_pushnil(lua);
        } else {
            lua_pushcfunction(lua, ours[i].func);
        }
        lua_setglobal(lua, ours[i].name);
    }
    lua_getglobal(lua, LUA_STRLIBNAME);
    lua_pushnil(lua);
    lua_setfield(lua, -2, "dump");
    lua_pop(lua, 1);
    pairs_install(lua);
    sandbox_seed(lua, 0, 0); /* what is evaluated again must come out the same */
}

void sandbox_seed(lua_State *lua, lua_Integer a, lua_Integer b)
{
    luaL_getsubtable(lua, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_getfield(lua, -1, LUA_MATHLIBNAME);
    lua_getfield(lua, -1, "randomseed");
    lua_pushinteger(lua, a);
    lua_pushinteger(lua, b);
    lua_call(lua, 2, 0);
    lua_pop(lua, 2);
}
