/* One evaluation of a configuration: what the parts of script/ share while it lasts. That of rules lasts as long as they do. */
#ifndef HILUM_SCRIPT_SCRIPT_H
#define HILUM_SCRIPT_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lua.h>

#include "base/arena.h"
#include "config/config.h"
#include "script/declare.h"
#include "script/report.h"
#include "script/source.h"

/* The budget that was run out of. */
enum script_spent { SPENT_NOTHING, SPENT_INSTRUCTIONS, SPENT_MEMORY };

/* What `env` answered. */
struct environment {
    struct environment *next;
    const char *name;
    const char *value; /* NULL: it was not set */
};

/* Whose words an error is. */
enum script_voice {
    VOICE_RULE,    /* error and assert: anything */
    VOICE_LIBRARY, /* of C functions, ours too: values stand in quotes */
    VOICE_LUA,     /* names of variables and types, no values */
};

struct rules;

struct script {
    const char *path; /* of the configuration, as given */
    struct arena arena;
    struct source_list sources;
    struct environment *environment;
    struct declaration_list declarations;
    struct report report;
    bool is_partial; /* evaluation ended in an error: what is missing may have been going to come */

    /* Evaluated again for its functions: of what `again` was made of, for `rules`. Both NULL the first time. */
    const struct config *again;
    struct rules *rules;
    bool is_over; /* the evaluation: from now on rules are called, which cannot declare anything */

    /* the sandbox */
    size_t memory_used, memory_max; /* bytes of Lua's own */
    bool is_secret; /* what Lua gives back is wiped: it may be a passcode. From the first identity on */
    uint64_t instructions_left;
    enum script_spent spent;
    bool system_has_none;             /* memory was refused by the system, not by the budget */
    const struct source *last_source; /* where evaluation stands */
    int last_line;
    enum script_voice voice;                           /* of the last error that reached the outermost call */
    int (*error)(lua_State *), (*assert)(lua_State *); /* Lua's own functions of these names */
};

#endif
