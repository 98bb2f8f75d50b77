/* `require` and `env` as Lua's functions. The state belongs to a struct script (script/sandbox.h). */
#ifndef HILUM_SCRIPT_MODULES_H
#define HILUM_SCRIPT_MODULES_H

#include <lua.h>

int modules_env(lua_State *lua);
int modules_require(lua_State *lua);

#endif
