/* Tables that nobody changes any more: what the rules of one worker share. */
#ifndef HILUM_SCRIPT_FREEZE_H
#define HILUM_SCRIPT_FREEZE_H

#include <lua.h>
#include <stdbool.h>

/* Makes the globals, the libraries' tables and the metatable of strings read-only. Lua errors without memory. */
void freeze_globals(lua_State *lua);

/* The table at the index is one of these. */
bool freeze_is_frozen(lua_State *lua, int index);

/* __pairs of a table that reads as another one, its first upvalue, which is not handed out as `next` would. */
int freeze_each_entry(lua_State *lua);

#endif
