/* `require` and `env`: what a configuration takes from outside of its file. Noted the first time, given again afterwards. */
#include "script/modules.h"

#include <ctype.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "script/sandbox.h"

/* Where `make install` puts the modules that ship. */
#ifndef HILUM_RULES_DIR
#define HILUM_RULES_DIR "/usr/local/share/hilum/rules"
#endif

#define MODULES "hilum.modules" /* registry: what require has returned, by name */

/* What a name was the first time. NULL: it has not been asked for. */
static const struct environment *find_noted(const struct script *s, const char *name)
{
    const struct environment *e = s->environment;
    while (e != NULL && strcmp(e->name, name) != 0) {
        e = e->next;
    }
    return e;
}

static const char *note(lua_State *lua, struct script *s, const char *name)
{
    const char *value = getenv(name);
    struct environment *e = arena_alloc(&s->arena, sizeof(*e));
    char *kept_name = arena_copy(&s->arena, name, strlen(name));
    char *kept_value = value == NULL ? NULL : arena_copy(&s->arena, value, strlen(value));
    if (e == NULL || kept_name == NULL || (value != NULL && kept_value == NULL)) {
        luaL_error(lua, "the environment variable '%s' takes too much memory", name);
        __builtin_unreachable(); /* what Lua does not tell the compiler */
    }
    *e = (struct environment){.next = s->environment, .name = kept_name, .value = kept_value};
    s->environment = e;
    return kept_value;
}

static const char *environment_of(lua_State *lua, struct script *s, const char *name)
{
    const struct config *again = s->again;
    for (size_t i = 0; again != NULL && i < again->environment_count; i++) {
        if (strcmp(again->environment[i].name, name) == 0) {
            return again->environment[i].value;
        }
    }
    if (again != NULL) {
        return getenv(name); /* a rule asks for what the file did not */
    }
    const struct environment *noted = find_noted(s, name);
    return noted != NULL ? noted->value : note(lua, s, name);
}

/* env "NAME", env("NAME", default) */
int modules_env(lua_State *lua)
{
    const char *value = environment_of(lua, sandbox_script(lua), luaL_checkstring(lua, 1));
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

static const struct source *find_again(lua_State *lua, struct script *s, const char *name)
{
    for (size_t i = 1; i < s->again->source_count; i++) {
        const struct config_source *kept = &s->again->sources[i];
        if (kept->module == NULL || strcmp(kept->module, name) != 0) {
            continue;
        }
        const struct source *source =
            source_borrow(&s->arena, &s->sources, kept->path, kept->text, kept->len);
        if (source == NULL) {
            luaL_error(lua, "module '%s' takes too much memory", name);
        }
        return source;
    }
    luaL_error(lua, "module '%s' was not required before; require it where the file is evaluated", name);
    return NULL;
}

static const struct source *find_module(lua_State *lua, const char *name)
{
    struct script *s = sandbox_script(lua);
    if (s->again != NULL) {
        return find_again(lua, s, name);
    }
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
            source->module = arena_copy(&s->arena, name, strlen(name));
            r = source->module == NULL ? ERR_MEMORY : OK;
        }
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
int modules_require(lua_State *lua)
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
