/*
 * `pairs` while a configuration is evaluated: in rising order of keys, numbers before texts. Lua's own order follows addresses, so
 * that routes made from named keys would come in another order at each start, and in each worker. In rules it is Lua's own.
 */
#ifndef HILUM_SCRIPT_PAIRS_H
#define HILUM_SCRIPT_PAIRS_H

#include <lua.h>

/* Replaces the global. The state belongs to a struct script (script/sandbox.h). Lua errors without memory. */
void pairs_install(lua_State *lua);

#endif
