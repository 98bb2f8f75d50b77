/*
 * The world a configuration is evaluated in: Lua 5.4 without a way to the system, with budgets.
 *
 * There: base functions without load, loadfile, dofile, collectgarbage, warn; string (without dump), table, math, utf8; `env`,
 * `require`; `uid`, `hash`, `date` for rules; print writes to stderr, from rules to the log. Not there: io, os, package, debug,
 * coroutine, finalizers (__gc).
 *
 * Running out of instructions or memory is an error that pcall and xpcall pass on; memory that is asked for costs instructions too.
 * What is not bounded is the time of one call of a C function, such as string.find with a pattern made for it: a configuration is
 * its owner's own.
 */
#ifndef HILUM_SCRIPT_SANDBOX_H
#define HILUM_SCRIPT_SANDBOX_H

#include <lua.h>

#include "base/result.h"
#include "script/script.h"

#define SANDBOX_INSTRUCTIONS_MAX UINT64_C(20000000)
#define SANDBOX_MEMORY_MAX       ((size_t)128 << 20) /* a runaway recursion ends as one below it */
#define SANDBOX_ARENA_MAX        ((size_t)64 << 20)

/*
 * Evaluates the first source of the script; its declarations are collected there. An error is put into the report and
 * makes the script partial. ERR_MEMORY only where the system has none; OK otherwise.
 */
MUST_USE enum result sandbox_evaluate(struct script *s);

/* The same in two steps, for a state that is kept and called: NULL without memory; then false with an error in the report. */
lua_State *sandbox_new(struct script *s);
bool sandbox_run(struct script *s, lua_State *lua);

/* Before a call into a state that was run: a new budget of instructions, and of memory in bytes that Lua may have in all. */
void sandbox_renew(lua_State *lua, uint64_t instructions, size_t memory);

/* For lua_pcall: notes the line that an error came from, which its message may not say. */
int sandbox_note_error(lua_State *lua);

/* Seeds math.random. */
void sandbox_seed(lua_State *lua, lua_Integer a, lua_Integer b);

/* The script that a state belongs to. */
struct script *sandbox_script(lua_State *lua);

/* Takes from the instruction budget; a Lua error that nothing catches once it is spent. */
void sandbox_charge(lua_State *lua, uint64_t instructions);

/* A Lua error: the system had none for what C did on a rule's behalf. The call ends as one that may do better another time, whatever the rule makes of the error. */
int sandbox_no_memory(lua_State *lua);

/* The libraries, `env`, `require` and `print` (library.c). Lua errors without memory. */
void sandbox_open_libraries(lua_State *lua);

/* Loads and leaves the source's function on the stack; Lua errors with the syntax error (sandbox.c). */
void sandbox_load(lua_State *lua, const struct source *source);

#endif
