/*
 * `user`: what a request says of who stands behind it (PS3.7 D.3.3.7), for identity. Every key is there, "" where the type has no such thing: a
 * function that compares what is not there with what it does not know must not find them equal.
 */
#include <lauxlib.h>

#include "script/rules_inside.h"

static void set(lua_State *lua, const char *key, struct view v, bool is_there)
{
    lua_pushlstring(lua, is_there && v.len > 0 ? (const char *)v.at : "", is_there ? v.len : 0);
    lua_setfield(lua, -2, key);
}

void rules_push_user(lua_State *lua, const struct rules_user *user)
{
    if (user == NULL) {
        lua_pushnil(lua);
        return;
    }
    luaL_checkstack(lua, 20, NULL);
    lua_createtable(lua, 0, 5);
    lua_pushinteger(lua, user->type);
    lua_setfield(lua, -2, "type");
    set(lua, "name", user->primary, user->type == 1 || user->type == 2);
    set(lua, "passcode", user->secondary, user->type == 2);
    set(lua, "ticket", user->primary, user->type == 3);
    set(lua, "token", user->primary, user->type == 4 || user->type == 5);
    rules_seal(lua, "user", false);
}

/* What is neither true nor false was not meant to let anybody in. */
bool rules_take_admission(lua_State *lua)
{
    if (!lua_isnil(lua, -1) && !lua_isboolean(lua, -1)) {
        luaL_error(lua, "it returned a %s; it must return true or false", luaL_typename(lua, -1));
    }
    return lua_toboolean(lua, -1) != 0;
}
