/* What a configuration can call besides its declarations. */
#include <ctype.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "script/sandbox.h"

/* Where `make install` puts the modules that ship. */
#ifndef HILUM_RULES_DIR
#define HILUM_RULES_DIR "/usr/local/share/hilum/rules"
#endif

#define MODULES "hilum.modules" /* registry: what require has returned, by name */

#define CAUGHT_ERROR 10000 /* instructions that one is counted as: unwinding a deep stack takes as long */

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

static int print_to_stderr(lua_State *lua)
{
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
    luaL_addchar(&line, '\n');
    luaL_pushresult(&line);
    size_t len;
    const char *text = lua_tolstring(lua, -1, &len);
    fwrite(text, 1, len, stderr);
    return 0;
}

/* env "NAME", env("NAME", default) */
static int read_environment(lua_State *lua)
{
    const char *value = getenv(luaL_checkstring(lua, 1));
    lua_settop(lua, 2);
    if (value != NULL) {
        lua_pushstring(lua, value);
    }
    return 1;
}

/* Letters, digits, `_` and `-`; a dot between them is a folder. So no name leads out of the folders searched. */
static bool is_module_name(const char *name)
{
    if (name[0] == '\0' || name[0] == '.') {
        return false;
    }
    for (const char *p = name; *p != '\0'; p++) {
        bool is_dot = *p == '.' && p[1] != '.' && p[1] != '\0';
        if (!is_dot && !isalnum((unsigned char)*p) && *p != '_' && *p != '-') {
            return false;
        }
    }
    return true;
}

/* Pushes the paths to try, in order. */
static int push_candidates(lua_State *lua, const char *name)
{
    struct script *s = sandbox_script(lua);
    const char *slash = strrchr(s->path, '/');
    lua_pushlstring(lua, s->path, slash == NULL ? 0 : (size_t)(slash - s->path) + 1);
    const char *beside = lua_tostring(lua, -1);
    const char *file = luaL_gsub(lua, name, ".", "/");
    lua_pushfstring(lua, "%srules/%s.lua", beside, file);
    lua_pushfstring(lua, "%s%s.lua", beside, file);
    lua_pushfstring(lua, "%s/%s.lua", HILUM_RULES_DIR, file);
    return 3;
}

static const struct source *find_module(lua_State *lua, const char *name)
{
    struct script *s = sandbox_script(lua);
    int count = push_candidates(lua, name);
    for (int i = -count; i < 0; i++) {
        const char *path = lua_tostring(lua, i);
        struct source *source;
        const char *why = "";
        if (access(path, F_OK) != 0) {
            continue;
        }
        enum result r = source_read(&s->arena, &s->sources, path, &source, &why);
        if (r == OK) {
            return source;
        }
        luaL_error(lua, "module '%s' cannot be read from %s (%s)", name, path,
                   r == ERR_MEMORY ? "no memory" : why);
    }
    luaL_error(lua, "module '%s' is not found; looked for %s, %s and %s", name, lua_tostring(lua, -3),
               lua_tostring(lua, -2), lua_tostring(lua, -1));
    return NULL;
}

/* A module is run once; while it runs, its entry is false. */
static int require(lua_State *lua)
{
    const char *name = luaL_checkstring(lua, 1);
    if (!is_module_name(name)) {
        return luaL_error(
            lua, "'%s' is no module name; write letters, digits, '_', '-', and '.' for a folder", name);
    }
    lua_settop(lua, 1);
    luaL_getsubtable(lua, LUA_REGISTRYINDEX, MODULES);
    if (lua_getfield(lua, 2, name) == LUA_TBOOLEAN && !lua_toboolean(lua, -1)) {
        return luaL_error(lua, "module '%s' requires itself", name);
    }
    if (!lua_isnil(lua, -1)) {
        return 1;
    }
    lua_pushboolean(lua, 0);
    lua_setfield(lua, 2, name);
    sandbox_load(lua, find_module(lua, name));
    lua_pushvalue(lua, 1);
    lua_call(lua, 1, 1);
    if (lua_isnil(lua, -1)) {
        lua_pushboolean(lua, 1);
        lua_replace(lua, -2);
    }
    lua_pushvalue(lua, -1);
    lua_setfield(lua, 2, name);
    return 1;
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
    {"print", print_to_stderr},
    {"env", read_environment},
    {"require", require},
};

void sandbox_open_libraries(lua_State *lua)
{
    for (size_t i = 0; i < sizeof(libraries) / sizeof(libraries[0]); i++) {
        luaL_requiref(lua, libraries[i].name, libraries[i].func, 1);
        lua_pop(lua, 1);
    }
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
}
