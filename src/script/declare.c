#include "script/declare.h"

#include <lauxlib.h>

#include "script/rules_inside.h"
#include "script/sandbox.h"
#include "script/script.h"

static const char *const words[DECLARATION_KINDS] = {
    [DECLARE_GATEWAY] = "gateway", [DECLARE_LISTEN] = "listen", [DECLARE_CALLER] = "caller",
    [DECLARE_NODE] = "node",       [DECLARE_POOL] = "pool",     [DECLARE_ROUTE] = "route",
};

const char *declaration_word(enum declaration_kind kind)
{
    return words[kind];
}

static bool is_named(enum declaration_kind kind)
{
    return kind != DECLARE_GATEWAY && kind != DECLARE_LISTEN;
}

/* Where the Lua code stands that called the running function. */
static void note_place(lua_State *lua, const struct script *s, struct declaration *d)
{
    lua_Debug at;
    d->source = s->sources.first;
    d->line = s->last_line;
    for (int level = 1; lua_getstack(lua, level, &at) != 0; level++) {
        lua_getinfo(lua, "Sl", &at);
        const struct source *source = source_find(&s->sources, at.source);
        if (at.currentline > 0 && source != NULL) {
            d->source = source;
            d->line = at.currentline;
            return;
        }
    }
}

static struct declaration *append(lua_State *lua, enum declaration_kind kind)
{
    struct script *s = sandbox_script(lua);
    if (s->is_over) {
        luaL_error(lua, "%s is declared while a rule runs; declare it where the file is evaluated",
                   words[kind]);
    }
    if (s->declarations.count >= DECLARATIONS_MAX) {
        luaL_error(lua, "more than %d declarations; the loop that makes them must end", DECLARATIONS_MAX);
    }
    s->declarations.count++;
    struct declaration *d = arena_alloc(&s->arena, sizeof(*d));
    if (d == NULL) {
        luaL_error(lua, "the declarations take too much memory; declare less");
        __builtin_unreachable(); /* what Lua does not tell the compiler */
    }
    d->kind = kind;
    d->ordinal = s->declarations.counts[kind]++;
    note_place(lua, s, d);
    if (s->declarations.end == NULL) {
        s->declarations.end = &s->declarations.first;
    }
    *s->declarations.end = d;
    s->declarations.end = &d->next;
    return d;
}

static void complete(lua_State *lua, struct declaration *d, int index)
{
    struct script *s = sandbox_script(lua);
    if (s->rules != NULL) {
        rules_keep_functions(lua, d, index);
    } else {
        value_copy(lua, index, &s->arena, &d->value);
    }
    d->is_complete = true;
}

/* What `node "x"` returns; its upvalue is the declaration. */
static int take_table(lua_State *lua)
{
    struct declaration *d = lua_touserdata(lua, lua_upvalueindex(1));
    if (d->is_complete) {
        return luaL_error(lua, "one %s is given two tables; write one declaration a table", words[d->kind]);
    }
    complete(lua, d, 1);
    return 0;
}

static int declare(lua_State *lua)
{
    enum declaration_kind kind = (enum declaration_kind)lua_tointeger(lua, lua_upvalueindex(1));
    struct declaration *d = append(lua, kind);
    if (!is_named(kind) || lua_type(lua, 1) == LUA_TTABLE) {
        complete(lua, d, 1);
        return 0;
    }
    value_copy(lua, 1, &sandbox_script(lua)->arena, &d->name);
    if (!lua_isnoneornil(lua, 2)) {
        complete(lua, d, 2); /* node("x", { ... }) */
        return 0;
    }
    lua_pushlightuserdata(lua, d);
    lua_pushcclosure(lua, take_table, 1);
    return 1;
}

void declare_install(lua_State *lua)
{
    for (int kind = 0; kind < DECLARATION_KINDS; kind++) {
        lua_pushinteger(lua, kind);
        lua_pushcclosure(lua, declare, 1);
        lua_setglobal(lua, words[kind]);
    }
}
