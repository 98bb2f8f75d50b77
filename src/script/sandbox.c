/* The state, its budgets, and what becomes of errors. */
#include "script/sandbox.h"

#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "script/rules_inside.h"
#include "script/suggest.h"

#define HOOK_EVERY           1000 /* instructions */
#define BYTES_AN_INSTRUCTION 64   /* that are allocated */

struct script *sandbox_script(lua_State *lua)
{
    struct script *s;
    memcpy(&s, lua_getextraspace(lua), sizeof(s));
    return s;
}

/*
 * What fills memory, or copies into it, takes time that no instruction counts: a text of megabytes with one character more is
 * one instruction. Spent here, the budget's error is the one of this memory.
 */
static void charge_bytes(struct script *s, size_t bytes)
{
    uint64_t instructions = bytes / BYTES_AN_INSTRUCTION;
    if (s->instructions_left <= instructions) {
        s->spent = SPENT_INSTRUCTIONS;
        return;
    }
    s->instructions_left -= instructions;
}

/* As realloc; size > 0. */
static void *move(const struct script *s, void *old, size_t old_size, size_t size)
{
    if (!s->is_secret || old == NULL) {
        return realloc(old, size);
    }
    if (size <= old_size) { /* which Lua takes for sure to go well */
        explicit_bzero((char *)old + size, old_size - size);
        return realloc(old, size);
    }
    void *moved = malloc(size);
    if (moved != NULL) {
        memcpy(moved, old, old_size);
        explicit_bzero(old, old_size);
        free(old);
    }
    return moved;
}

static void *allocate(void *user, void *old, size_t old_size, size_t size)
{
    struct script *s = user;
    if (old == NULL) {
        old_size = 0; /* Lua passes the kind of object instead */
    }
    if (size == 0) {
        if (s->is_secret && old_size > 0) {
            explicit_bzero(old, old_size);
        }
        free(old);
        s->memory_used -= old_size;
        return NULL;
    }
    if (size > old_size && s->spent == SPENT_NOTHING) {
        charge_bytes(s, size - old_size);
    }
    bool fits = size <= old_size ||
                (s->memory_used <= s->memory_max && size - old_size <= s->memory_max - s->memory_used);
    if (!fits || (s->spent != SPENT_NOTHING && size > old_size)) {
        return NULL;
    }
    void *moved = move(s, old, old_size, size);
    if (moved == NULL) {
        s->system_has_none = true;
        return NULL;
    }
    s->memory_used += size - old_size; /* wraps where it shrinks, as it should */
    return moved;
}

static void note_line(lua_State *lua, struct script *s, lua_Debug *at)
{
    if (s->spent != SPENT_NOTHING) {
        return; /* it was spent where it was spent, whatever is still run on the way out */
    }
    lua_getinfo(lua, "Sl", at);
    const struct source *source = source_find(&s->sources, at->source);
    if (source != NULL && at->currentline > 0) {
        s->last_source = source;
        s->last_line = at->currentline;
    }
}

/*
 * The error of a spent budget is raised as one of memory, which is what Lua makes of its own message for that: it calls no
 * message handler then, and a handler would run inside the hook, where no hook ends it. Asking for memory would do as
 * well, but for the full collection that comes before each refusal.
 */
static void raise_spent(lua_State *lua)
{
    lua_pushliteral(lua, "not enough memory");
    lua_error(lua); /* does not return */
}

void sandbox_charge(lua_State *lua, uint64_t instructions)
{
    struct script *s = sandbox_script(lua);
    if (s->spent == SPENT_NOTHING && s->instructions_left <= instructions) {
        s->spent = SPENT_INSTRUCTIONS;
    }
    if (s->spent != SPENT_NOTHING) {
        raise_spent(lua);
    }
    s->instructions_left -= instructions;
}

static void hook(lua_State *lua, lua_Debug *at)
{
    note_line(lua, sandbox_script(lua), at);
    if (at->event != LUA_HOOKLINE) {
        sandbox_charge(lua, HOOK_EVERY);
    }
}

/* Whose words the error is that is on its way up: of the function that raised it, which is next to the handler. */
static enum script_voice voice_of(lua_State *lua, const struct script *s)
{
    lua_Debug at;
    if (lua_getstack(lua, 1, &at) == 0) {
        return VOICE_RULE;
    }
    lua_getinfo(lua, "f", &at);
    lua_CFunction function = lua_tocfunction(lua, -1);
    lua_pop(lua, 1);
    if (function == NULL) {
        return VOICE_LUA;
    }
    return function == s->error || function == s->assert ? VOICE_RULE : VOICE_LIBRARY;
}

int sandbox_note_error(lua_State *lua)
{
    struct script *s = sandbox_script(lua);
    lua_Debug at;
    s->voice = voice_of(lua, s);
    for (int level = 1; lua_getstack(lua, level, &at) != 0; level++) {
        lua_getinfo(lua, "Sl", &at);
        if (at.currentline > 0 && source_find(&s->sources, at.source) != NULL) {
            note_line(lua, s, &at);
            break;
        }
    }
    return 1;
}

int sandbox_no_memory(lua_State *lua)
{
    sandbox_script(lua)->system_has_none = true;
    return luaL_error(lua, "the system has no memory for it");
}

void sandbox_renew(lua_State *lua, uint64_t instructions, size_t memory)
{
    struct script *s = sandbox_script(lua);
    s->spent = SPENT_NOTHING;
    s->system_has_none = false;
    s->instructions_left = instructions;
    s->memory_max = memory;
    lua_sethook(lua, hook, LUA_MASKCOUNT, HOOK_EVERY);
}

void sandbox_load(lua_State *lua, const struct source *source)
{
    const char *text = source->text;
    size_t len = source->len;
    if (len >= 3 &&
        memcmp(text, "\xef\xbb\xbf", 3) == 0) { /* a byte order mark, as Lua's own loader skips it */
        text += 3;
        len -= 3;
    }
    if (len > 0 && text[0] == '#') { /* "#!": the newline stays, for the count of lines */
        const char *newline = memchr(text, '\n', len);
        len = newline == NULL ? 0 : (size_t)(text + len - newline);
        text = newline;
    }
    if (luaL_loadbufferx(lua, len == 0 ? "" : text, len, source->chunk, "t") != LUA_OK) {
        lua_error(lua);
    }
}

/* Runs inside a protected call, so that opening libraries may fail as well. */
static int run(lua_State *lua)
{
    struct script *s = sandbox_script(lua);
    sandbox_open_libraries(lua);
    declare_install(lua);
    rules_install_helpers(lua);
    sandbox_load(lua, s->sources.first);
    lua_sethook(lua, hook, LUA_MASKLINE | LUA_MASKCOUNT, HOOK_EVERY);
    lua_call(lua, 0, 0);
    return 0;
}

/* What a configuration may look for in vain. */
static const char *const absent[] = {"io",   "os",       "package", "debug",          "coroutine",
                                     "load", "loadfile", "dofile",  "collectgarbage", "warn"};
static const char *const present[] = {"gateway", "listen", "node", "pool", "route", "env", "require"};

/* What would be right, where a message of Lua's names a global that is nil: "... (global 'lisen')". */
static void advise(const char *message, char *advice, size_t cap)
{
    bool is_syntax = strstr(message, " near ") != NULL;
    snprintf(advice, cap, is_syntax ? "it must be valid Lua 5.4" : "the Lua code must run without an error");
    const char *quoted = strstr(message, "(global '");
    if (quoted == NULL || strstr(message, "nil value") == NULL) {
        return;
    }
    char name[64];
    if (sscanf(quoted, "(global '%63[^']'", name) != 1) {
        return;
    }
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++) {
        if (strcmp(name, absent[i]) == 0) {
            snprintf(advice, cap, "a configuration runs in a sandbox without '%s'", name);
            return;
        }
    }
    struct suggestion nearest = {.word = name};
    for (size_t i = 0; i < sizeof(present) / sizeof(present[0]); i++) {
        suggest_offer(&nearest, present[i]);
    }
    if (nearest.name != NULL) {
        snprintf(advice, cap, "did you mean '%s'?", nearest.name);
    } else {
        snprintf(advice, cap, "'%s' must be defined before it is used", name);
    }
}

static void report_error(struct script *s, const char *message)
{
    const struct source *source = s->last_source;
    int line = s->last_line;
    if (s->spent == SPENT_INSTRUCTIONS) {
        report_printf(
            &s->report, source, line, false,
            "the configuration ran past its budget of %d million instructions; it must end by itself",
            (int)(SANDBOX_INSTRUCTIONS_MAX / 1000000));
        return;
    }
    if (s->spent == SPENT_MEMORY) {
        report_printf(&s->report, source, line, false,
                      "the configuration ran past its memory budget of %zu MiB; it must do with less",
                      s->memory_max >> 20);
        return;
    }
    const char *what = message;
    const struct source *named = source_of_message(&s->sources, message, &line, &what);
    char advice[128] = "";
    bool is_ours = strstr(what, "; ") != NULL; /* with its advice */
    if (!is_ours) {
        advise(what, advice, sizeof(advice));
    }
    report_printf(&s->report, named != NULL ? named : source, line, false, "%s%s%s", what,
                  is_ours ? "" : "; ", advice);
}

lua_State *sandbox_new(struct script *s)
{
    s->last_source = s->sources.first;
    s->last_line = 1;
    s->instructions_left = SANDBOX_INSTRUCTIONS_MAX;
    s->memory_max = SANDBOX_MEMORY_MAX;
    lua_State *lua = lua_newstate(allocate, s);
    if (lua != NULL) {
        memcpy(lua_getextraspace(lua), &s, sizeof(s));
    }
    return lua;
}

bool sandbox_run(struct script *s, lua_State *lua)
{
    lua_pushcfunction(lua, run);
    int status = lua_pcall(lua, 0, 0, 0);
    if (status != LUA_OK) {
        s->is_partial = true;
        if (status == LUA_ERRMEM && s->spent == SPENT_NOTHING) {
            s->spent = SPENT_MEMORY;
        }
        const char *message = lua_type(lua, -1) == LUA_TSTRING ? lua_tostring(lua, -1) : NULL;
        report_error(s, message != NULL ? message : "an error was raised that is not a string");
    }
    lua_settop(lua, 0);
    return status == LUA_OK;
}

enum result sandbox_evaluate(struct script *s)
{
    lua_State *lua = sandbox_new(s);
    if (lua == NULL) {
        return ERR_MEMORY;
    }
    sandbox_run(s, lua);
    lua_close(lua);
    return OK;
}
