/* gateway, listen, caller, node, pool and route as Lua sees them: functions that note what they are given, and judge nothing. */
#ifndef HILUM_SCRIPT_DECLARE_H
#define HILUM_SCRIPT_DECLARE_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#include "script/source.h"
#include "script/value.h"

enum declaration_kind {
    DECLARE_GATEWAY,
    DECLARE_LISTEN,
    DECLARE_CALLER,
    DECLARE_NODE,
    DECLARE_POOL,
    DECLARE_ROUTE
};
#define DECLARATION_KINDS 6

struct declaration {
    struct declaration *next;
    enum declaration_kind kind;
    size_t ordinal;     /* among those of its kind, from 0 */
    struct value name;  /* of caller, node, pool, route; NIL if there was none */
    struct value value; /* what follows the name */
    bool is_complete;   /* false: `node "x"` without its table */
    const struct source *source;
    int line;
};

/* No site has so many; a loop without end has, and would be checked pair by pair. */
#define DECLARATIONS_MAX 10000

struct declaration_list {
    struct declaration *first;
    size_t count;
    size_t counts[DECLARATION_KINDS];
    struct declaration **end; /* NULL while empty */
};

/* The word in Lua. */
const char *declaration_word(enum declaration_kind kind);

/* Sets the globals. The state belongs to a struct script (script/sandbox.h). Lua errors without memory. */
void declare_install(lua_State *lua);

#endif
