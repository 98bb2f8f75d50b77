/* One call of a rule: its budget, its error, and what it leaves behind. */
#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "script/rules_inside.h"
#include "script/rules_watch.h"
#include "script/sandbox.h"

#define COLLECTED_MIN ((size_t)64 << 10)

struct running {
    struct rules *rules;
    int function;
    bool holds;
    const struct rules_study *study; /* on_study alone */
    bool *adds;
    bool is_identity;
    const struct rules_user *user; /* of it */
};

const char *rules_call_of(const struct rules_call *call)
{
    return call->caller != NULL ? "caller" : "route";
}

const char *rules_call_name(const struct rules_call *call)
{
    return call->caller != NULL ? call->caller->name : call->route->name;
}

static int run(lua_State *lua)
{
    struct running *now = lua_touserdata(lua, 1);
    const struct rules_call *call = now->rules->call;
    lua_rawgeti(lua, LUA_REGISTRYINDEX, now->function);
    if (now->study != NULL) {
        rules_push_study(lua, call->route, now->study);
        lua_call(lua, 1, 1);
        rules_take_nodes(lua, now->rules->config, now->adds);
        return 0;
    }
    if (now->is_identity) {
        rules_push_user(lua, now->user);
        rules_push_assoc(lua, now->rules);
        lua_call(lua, 2, 1);
        now->holds = rules_take_admission(lua);
        return 0;
    }
    if (call->push != NULL) {
        call->push(lua, call->arg);
    } else {
        lua_pushnil(lua);
    }
    rules_push_assoc(lua, now->rules);
    lua_call(lua, 2, 1);
    now->holds = lua_toboolean(lua, -1) != 0;
    return 0;
}

/* The error's text: a message comes from a configuration, and may hold anything. */
static __attribute__((format(printf, 5, 0))) void write_text(const struct rules *r, char text[ERROR_BYTES],
                                                             const struct source *source, int line,
                                                             const char *format, va_list arguments)
{
    size_t len = (size_t)snprintf(text, ERROR_BYTES, "%s:%d: %s \"%s\": ", source->name, line,
                                  rules_call_of(r->call), rules_call_name(r->call));
    if (len < ERROR_BYTES) {
        vsnprintf(text + len, ERROR_BYTES - len, format, arguments);
    }
    for (char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            *p = '?';
        }
    }
}

static __attribute__((format(printf, 4, 5))) void say_bare(struct rules *r, const struct source *source,
                                                           int line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_text(r, r->bare, source, line, format, arguments);
    va_end(arguments);
}

/* Words of ours: they name nobody. */
static __attribute__((format(printf, 4, 5))) void say(struct rules *r, const struct source *source, int line,
                                                      const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    write_text(r, r->error, source, line, format, arguments);
    va_end(arguments);
    memcpy(r->bare, r->error, sizeof(r->bare));
}

/* What a library says, from its first quote to its last one left out, and numbers that are more than a count. */
static void leave_out_values(const char *what, char *out, size_t cap)
{
    static const char quotes[] = "'\"";
    const char *first = strpbrk(what, quotes), *last = first;
    for (const char *p = first; p != NULL; p = strpbrk(p + 1, quotes)) {
        last = p;
    }
    size_t n = 0;
    for (const char *p = what; *p != '\0' && n + 4 < cap;) {
        size_t digits = strspn(p, "0123456789");
        if (p == first || digits > 3) {
            memcpy(out + n, "...", 3);
            n += 3;
            p = p == first ? last + 1 : p + digits;
        } else {
            out[n++] = *p++;
        }
    }
    out[n] = '\0';
}

/* Somebody else's words, of which the voice says what they may hold. */
static void say_quoted(struct rules *r, const struct source *source, int line, const char *word,
                       const char *what)
{
    char bare[ERROR_BYTES];
    say(r, source, line, "%s: %s", word, what);
    if (r->script.voice == VOICE_LIBRARY) {
        leave_out_values(what, bare, sizeof(bare));
        say_bare(r, source, line, "%s: %s", word, bare);
    } else if (r->script.voice == VOICE_RULE) {
        say_bare(r, source, line, "%s: an error of the rule's own, " LOG_WITHHELD, word);
    }
}

static size_t mib(size_t bytes)
{
    return bytes >> 20;
}

/* What rules hold besides the configuration itself, once their waste is collected. */
static size_t collect(struct rules *r)
{
    size_t before;
    r->script.spent = SPENT_NOTHING;
    do { /* of what a deep recursion has left, each collection gives half back */
        before = r->script.memory_used;
        lua_gc(r->lua, LUA_GCCOLLECT);
    } while (r->script.memory_used + COLLECTED_MIN < before);
    size_t used = r->script.memory_used;
    size_t max = r->held_at_first + r->config->rule_memory;
    r->look_at = used < max ? used + (max - used) / 2 : max;
    return used > r->held_at_first ? used - r->held_at_first : 0;
}

static enum result say_memory(struct rules *r, const char *word)
{
    const struct script *s = &r->script;
    if (s->system_has_none) {
        collect(r);
        say(r, s->last_source, s->last_line, "%s: the system has no memory for it", word);
        return ERR_MEMORY;
    }
    size_t held = collect(r);
    size_t max = r->config->rule_memory;
    if (held > max / 2) {
        say(r, s->last_source, s->last_line,
            "%s ran past the %zu MiB of rule_memory, and %zu MiB are held from call to call; rules must not "
            "gather "
            "in variables that outlive a call",
            word, mib(max), mib(held));
    } else {
        say(r, s->last_source, s->last_line,
            "%s ran past the %zu MiB of rule_memory; it must do with less, or be given more", word, mib(max));
    }
    return ERR_LIMIT;
}

/* The error lies on Lua's stack. */
static enum result say_error(struct rules *r, int status, const char *word)
{
    const struct script *s = &r->script;
    if (s->spent == SPENT_INSTRUCTIONS) {
        say(r, s->last_source, s->last_line,
            "%s ran past the %llu instructions of rule_instructions; it must end by itself", word,
            (unsigned long long)r->config->rule_instructions);
        lua_settop(r->lua, 0);
        collect(r);
        return ERR_LIMIT;
    }
    if (s->spent == SPENT_MEMORY || status == LUA_ERRMEM || s->system_has_none) {
        lua_settop(r->lua, 0);
        return say_memory(r, word);
    }
    const char *message = lua_type(r->lua, -1) == LUA_TSTRING ? lua_tostring(r->lua, -1)
                                                              : "an error was raised that is not a string";
    const char *what = message;
    int line = s->last_line;
    const struct source *source = source_of_message(&s->sources, message, &line, &what);
    say_quoted(r, source != NULL ? source : s->last_source, line, word, what);
    return ERR_USAGE;
}

/* Once it is over. While it lasts, somebody else has to (rules_watch.h). */
static void warn_if_slow(const struct rules *r, const char *word, uint64_t us)
{
    if (us < RULES_SLOW_MS * UINT64_C(1000)) {
        return;
    }
    LOG(LOG_WARN, "a rule held its worker up", LOG_STR(rules_call_of(r->call), rules_call_name(r->call)),
        LOG_STR("rule", word), LOG_INT("ms", us / 1000));
}

/* Hoards grow slowly: they are told of when half of the memory is theirs, before calls fail. */
static void look_for_hoard(struct rules *r, const char *word)
{
    if (r->script.memory_used <= r->look_at) {
        return;
    }
    size_t held = collect(r);
    bool is_hoard = held > r->config->rule_memory / 2;
    if (is_hoard && !r->has_told_of_hoard) {
        LOG(LOG_WARN, "rules hold much memory from call to call",
            LOG_STR(rules_call_of(r->call), rules_call_name(r->call)), LOG_STR("rule", word),
            LOG_INT("bytes", held), LOG_INT("rule_memory", r->config->rule_memory));
    }
    r->has_told_of_hoard = is_hoard;
}

static enum result call_rule(struct rules *r, const struct rules_call *call, const struct rule *rule,
                             const char *word, struct running *now)
{
    struct script *s = &r->script;
    hilum_assert(r->call == NULL && rule->function != LUA_NOREF);

    now->rules = r;
    now->function = rule->function;
    r->call = call;
    r->calls++;
    s->last_source = rule->source;
    s->last_line = rule->line;
    sandbox_renew(r->lua, r->config->rule_instructions, r->held_at_first + r->config->rule_memory);
    uint64_t begin = clock_us();
    rules_watch_begin(r->watch, call, word, begin);
    lua_pushcfunction(r->lua, sandbox_note_error);
    lua_pushcfunction(r->lua, run);
    lua_pushlightuserdata(r->lua, now);
    int status = lua_pcall(r->lua, 1, 0, 1);
    uint64_t us = clock_us() - begin;

    enum result result = status == LUA_OK ? OK : say_error(r, status, word);
    lua_settop(r->lua, 0);
    warn_if_slow(r, word, us);
    look_for_hoard(r, word);
    rules_watch_end(r->watch);
    r->call = NULL;
    return result;
}

static enum result call_of_route(struct rules *r, const struct rules_call *call, enum rule_kind kind,
                                 struct running *now)
{
    size_t route = (size_t)(call->route - r->config->routes);
    hilum_assert(route < r->config->route_count);
    return call_rule(r, call, &r->of[route][kind], rule_words[kind], now);
}

enum result rules_when(struct rules *r, const struct rules_call *call, bool *holds_out)
{
    struct running now = {0};
    enum result result = call_of_route(r, call, RULE_WHEN, &now);
    if (result == OK) {
        *holds_out = now.holds;
    }
    return result;
}

enum result rules_morph(struct rules *r, const struct rules_call *call)
{
    struct running now = {0};
    return call_of_route(r, call, RULE_MORPH, &now);
}

enum result rules_morph_response(struct rules *r, const struct rules_call *call)
{
    struct running now = {0};
    return call_of_route(r, call, RULE_MORPH_RESPONSE, &now);
}

enum result rules_on_study(struct rules *r, const struct config_route *route, const struct rules_study *study,
                           bool *adds_out)
{
    struct rules_assoc assoc = {.calling = view_of(study->calling), .called = view_of(study->called)};
    struct rules_call call = {.route = route, .assoc = &assoc};
    struct running now = {.study = study, .adds = adds_out};
    memset(adds_out, 0, r->config->node_count * sizeof(*adds_out));
    return call_of_route(r, &call, RULE_ON_STUDY, &now);
}

enum result rules_identity(struct rules *r, const struct config_caller *caller,
                           const struct rules_assoc *assoc, const struct rules_user *user, bool *admits_out)
{
    struct rules_call call = {.caller = caller, .assoc = assoc};
    struct running now = {.is_identity = true, .user = user};
    hilum_assert(caller->index < r->config->caller_count);
    r->script.is_secret = true;
    enum result result = call_rule(r, &call, &r->identity_of[caller->index], rule_identity, &now);
    *admits_out = result == OK && now.holds;
    return result;
}

void rules_print(const struct rules *r, const char *text, size_t len)
{
    LOG(LOG_INFO, "a rule prints", LOG_STR(rules_call_of(r->call), rules_call_name(r->call)),
        LOG_PATIENT_TEXT("text", text, len, LOG_WITHHELD));
}
