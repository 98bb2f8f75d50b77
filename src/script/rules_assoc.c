/* `assoc`: facts of the association and the message, read while its call lasts. */
#include <lauxlib.h>
#include <stddef.h>
#include <string.h>

#include "script/rules_inside.h"
#include "script/sandbox.h"
#include "script/suggest.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Its place in the registry. */
static const char metatable;

static const struct {
    const char *key;
    size_t offset;
} facts[] = {
    {"calling", offsetof(struct rules_assoc, calling)},
    {"called", offsetof(struct rules_assoc, called)},
    {"remote", offsetof(struct rules_assoc, remote)},
    {"listener", offsetof(struct rules_assoc, listener)},
    {"peer", offsetof(struct rules_assoc, peer)},
    {"service", offsetof(struct rules_assoc, service)},
    {"sop_class", offsetof(struct rules_assoc, sop_class)},
    {"sop_instance", offsetof(struct rules_assoc, sop_instance)},
    {"transfer_syntax", offsetof(struct rules_assoc, transfer_syntax)},
};

static int refuse_key(lua_State *lua, const char *key)
{
    struct suggestion nearest = {.word = key};
    for (size_t i = 0; i < COUNT(facts); i++) {
        suggest_offer(&nearest, facts[i].key);
    }
    if (nearest.name != NULL) {
        return luaL_error(lua, "assoc has no '%s'; did you mean '%s'?", key, nearest.name);
    }
    return luaL_error(
        lua,
        "assoc has no '%s'; it has calling, called, remote, listener, service, peer, sop_class, "
        "sop_instance and transfer_syntax",
        key);
}

/* The number in it is that of its call: one that a rule has kept is known by that, and reads nothing that is gone. */
static const struct rules_assoc *assoc_of_call(lua_State *lua)
{
    const uint64_t *call = lua_touserdata(lua, 1);
    const struct rules *r = sandbox_script(lua)->rules;
    if (call == NULL || r->call == NULL || *call != r->calls) {
        luaL_error(lua, "this assoc is of an earlier call; keep the values, not assoc");
        __builtin_unreachable(); /* what Lua does not tell the compiler */
    }
    return r->call->assoc;
}

static int read_fact(lua_State *lua)
{
    const struct rules_assoc *assoc = assoc_of_call(lua);
    const char *key = luaL_checkstring(lua, 2);
    for (size_t i = 0; i < COUNT(facts); i++) {
        if (strcmp(facts[i].key, key) == 0) {
            const struct view *v = (const void *)((const char *)assoc + facts[i].offset);
            if (v == &assoc->peer && v->len == 0) {
                lua_pushnil(lua); /* there is no certificate */
            } else {
                lua_pushlstring(lua, v->at == NULL ? "" : (const char *)v->at, v->len);
            }
            return 1;
        }
    }
    return refuse_key(lua, key);
}

static int refuse_write(lua_State *lua)
{
    return luaL_error(lua, "assoc is read-only");
}

void rules_install_assoc(lua_State *lua)
{
    static const luaL_Reg methods[] = {{"__index", read_fact}, {"__newindex", refuse_write}, {NULL, NULL}};
    luaL_newlib(lua, methods);
    lua_pushliteral(lua, "assoc");
    lua_setfield(lua, -2, "__name");
    lua_pushliteral(lua, "read-only");
    lua_setfield(lua, -2, "__metatable");
    lua_rawsetp(lua, LUA_REGISTRYINDEX, &metatable);
}

void rules_push_assoc(lua_State *lua, const struct rules *r)
{
    uint64_t *call = lua_newuserdatauv(lua, sizeof(*call), 0);
    *call = r->calls;
    lua_rawgetp(lua, LUA_REGISTRYINDEX, &metatable);
    lua_setmetatable(lua, -2);
}
