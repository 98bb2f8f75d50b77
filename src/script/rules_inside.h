/* What the parts of the rules share, and what they give to the sandbox that they run in. */
#ifndef HILUM_SCRIPT_RULES_INSIDE_H
#define HILUM_SCRIPT_RULES_INSIDE_H

#include <lua.h>

#include "script/rules.h"
#include "script/script.h"

struct dicom_uid_key;

enum rule_kind { RULE_WHEN, RULE_MORPH, RULE_MORPH_RESPONSE, RULE_ON_STUDY };
#define RULE_KINDS 4

enum { ERROR_BYTES = 1024 };

/* The key of a route, by kind; and that of a caller. */
extern const char *const rule_words[RULE_KINDS];
extern const char rule_identity[];

struct rule {
    int function; /* a reference of the registry; LUA_NOREF: there is none */
    const struct source *source;
    int line; /* where the function begins */
};

struct rules {
    struct script script;
    struct config *config;
    lua_State *lua;                /* NULL: there are no functions */
    struct rule (*of)[RULE_KINDS]; /* of config's routes, in their order */
    struct rule *identity_of;      /* of its callers, likewise */
    struct dicom_uid_key *uid_key; /* NULL: the configuration has none */
    uint64_t calls;
    const struct rules_call *call; /* that is running; NULL: none */
    struct rules_watch *watch;     /* where others see that; NULL: nowhere */
    size_t held_at_first;          /* bytes of Lua's, by the configuration itself */
    size_t look_at;                /* bytes: past them, see what rules hold from call to call */
    bool has_told_of_hoard;
    char error[ERROR_BYTES];
    char bare[ERROR_BYTES]; /* the same without what it may quote: rules_error_bare */
};

/* Keeps the functions of a route's or caller's table, which is at the index. Lua errors without memory (rules.c). */
void rules_keep_functions(lua_State *lua, const struct declaration *d, int index);

/* uid, hash and date as globals; they work in rules only (rules_helpers.c). Lua errors without memory. */
void rules_install_helpers(lua_State *lua);

/* The metatable of `assoc`; then one for the call that is running (rules_assoc.c). Lua errors without memory. */
void rules_install_assoc(lua_State *lua);
void rules_push_assoc(lua_State *lua, const struct rules *r);

/* Pushes `study`, a table that nobody changes; then takes what on_study returned, which is on top (rules_study.c). Lua errors. */
void rules_push_study(lua_State *lua, const struct config_route *route, const struct rules_study *study);
void rules_take_nodes(lua_State *lua, const struct config *config, bool *adds_out);

/* Pushes `user`, a table that nobody changes, or nil; then takes what identity returned, which is on top (rules_user.c). Lua errors. */
void rules_push_user(lua_State *lua, const struct rules_user *user);
bool rules_take_admission(lua_State *lua);

/* The table on top, in its place one that reads the same and cannot be written (rules_study.c). Of a list a place behind its end is nil; a key
 * that another has not is an error. */
void rules_seal(lua_State *lua, const char *name, bool is_list);

/* Whose function runs: "route" or "caller", and its name. */
const char *rules_call_of(const struct rules_call *call);
const char *rules_call_name(const struct rules_call *call);

/* A line of print, without its newline (rules_call.c). */
void rules_print(const struct rules *r, const char *text, size_t len);

#endif
