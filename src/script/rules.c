/* The second evaluation: functions found again, held against the first, and the doors closed. */
#include "script/rules.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/assert.h"
#include "dicom/uid_make.h"
#include "script/bind.h"
#include "script/freeze.h"
#include "script/rules_inside.h"
#include "script/sandbox.h"

const char *const rule_words[RULE_KINDS] = {[RULE_WHEN] = "when",
                                            [RULE_MORPH] = "morph",
                                            [RULE_MORPH_RESPONSE] = "morph_response",
                                            [RULE_ON_STUDY] = "on_study"};
const char rule_identity[] = "identity";

static void keep_function(lua_State *lua, const struct declaration *d, struct rule *rule)
{
    const struct script *s = sandbox_script(lua);
    lua_Debug at;
    lua_pushvalue(lua, -1);
    lua_getinfo(lua, ">S", &at);
    rule->source = source_find(&s->sources, at.source);
    rule->line = at.linedefined;
    if (rule->source == NULL || rule->line < 1) { /* one of a library's */
        rule->source = d->source;
        rule->line = d->line;
    }
    rule->function = luaL_ref(lua, LUA_REGISTRYINDEX);
}

static void keep_route(lua_State *lua, const struct declaration *d, int index, struct rule *of)
{
    for (int kind = 0; kind < RULE_KINDS; kind++) {
        lua_pushstring(lua, rule_words[kind]);
        if (lua_rawget(lua, index) == LUA_TTABLE && kind == RULE_WHEN) {
            lua_rawgeti(lua, -1, 1); /* among its conditions */
            lua_remove(lua, -2);
        }
        if (lua_isfunction(lua, -1)) {
            keep_function(lua, d, &of[kind]);
        } else {
            lua_pop(lua, 1);
        }
    }
}

static void keep_caller(lua_State *lua, const struct declaration *d, int index, struct rule *identity)
{
    lua_pushstring(lua, rule_identity);
    if (lua_rawget(lua, index) == LUA_TFUNCTION) {
        keep_function(lua, d, identity);
    } else {
        lua_pop(lua, 1);
    }
}

void rules_keep_functions(lua_State *lua, const struct declaration *d, int index)
{
    struct rules *r = sandbox_script(lua)->rules;
    if (!lua_istable(lua, index)) {
        return;
    }
    index = lua_absindex(lua, index);
    if (d->kind == DECLARE_ROUTE && d->ordinal < r->config->route_count) {
        keep_route(lua, d, index, r->of[d->ordinal]);
    } else if (d->kind == DECLARE_CALLER && d->ordinal < r->config->caller_count) {
        keep_caller(lua, d, index, &r->identity_of[d->ordinal]);
    }
}

static bool has_functions(const struct config *config)
{
    for (size_t i = 0; i < config->route_count; i++) {
        const struct config_route *r = &config->routes[i];
        if (r->has_when_function || r->has_morph || r->has_morph_response || r->has_on_study) {
            return true;
        }
    }
    for (size_t i = 0; i < config->caller_count; i++) {
        if (config->callers[i].identity == CONFIG_IDENTITY_CHECK) {
            return true;
        }
    }
    return false;
}

/* Whether what is declared has the name that it had. */
static bool is_the_same(const struct rules *r, const struct declaration *d, const char **before_out)
{
    *before_out = d->kind == DECLARE_CALLER  ? r->config->callers[d->ordinal].name
                  : d->kind == DECLARE_NODE  ? r->config->nodes[d->ordinal].name
                  : d->kind == DECLARE_POOL  ? r->config->pools[d->ordinal].as_node.name
                  : d->kind == DECLARE_ROUTE ? r->config->routes[d->ordinal].name
                                             : NULL;
    return *before_out == NULL || (d->name.kind == VALUE_STRING && strcmp(d->name.text, *before_out) == 0);
}

static bool has_the_same_functions(const struct rules *r, const struct declaration *d)
{
    if (d->kind == DECLARE_CALLER) {
        return (r->identity_of[d->ordinal].function != LUA_NOREF) ==
               (r->config->callers[d->ordinal].identity == CONFIG_IDENTITY_CHECK);
    }
    if (d->kind != DECLARE_ROUTE) {
        return true;
    }
    size_t route = d->ordinal;
    const struct config_route *before = &r->config->routes[route];
    return (r->of[route][RULE_WHEN].function != LUA_NOREF) == before->has_when_function &&
           (r->of[route][RULE_MORPH].function != LUA_NOREF) == before->has_morph &&
           (r->of[route][RULE_MORPH_RESPONSE].function != LUA_NOREF) == before->has_morph_response &&
           (r->of[route][RULE_ON_STUDY].function != LUA_NOREF) == before->has_on_study;
}

#define ADVICE                                                                                               \
    "a configuration must declare the same each time, whatever the order of next and the addresses of "      \
    "tables"

static void compare_counts(struct rules *r)
{
    const struct config *c = r->config;
    const size_t before[DECLARATION_KINDS] = {
        [DECLARE_GATEWAY] = SIZE_MAX,       [DECLARE_LISTEN] = c->listen_count,
        [DECLARE_CALLER] = c->caller_count, [DECLARE_NODE] = c->node_count,
        [DECLARE_POOL] = c->pool_count,     [DECLARE_ROUTE] = c->route_count,
    };
    struct script *s = &r->script;
    for (int kind = 0; kind < DECLARATION_KINDS && s->report.errors == 0; kind++) {
        if (before[kind] != SIZE_MAX && before[kind] != s->declarations.counts[kind]) {
            report_printf(
                &s->report, s->sources.first, 1, false,
                "evaluated again for its functions, the file declares %zu times %s, not %zu; " ADVICE,
                s->declarations.counts[kind], declaration_word((enum declaration_kind)kind), before[kind]);
        }
    }
}

/* The first difference is told: all the others follow from it. */
static void compare_with_first(struct rules *r)
{
    struct script *s = &r->script;
    compare_counts(r);
    for (const struct declaration *d = s->declarations.first; d != NULL && s->report.errors == 0;
         d = d->next) {
        const char *word = declaration_word(d->kind);
        const char *before;
        if (!is_the_same(r, d, &before)) {
            report_printf(&s->report, d->source, d->line, false,
                          "%s \"%s\": evaluated again for its functions, \"%s\" stands in its place; " ADVICE,
                          word, before, d->name.kind == VALUE_STRING ? d->name.text : "");
        } else if (!has_the_same_functions(r, d)) {
            report_printf(&s->report, d->source, d->line, false,
                          "%s \"%s\": evaluated again, it has other functions than before; " ADVICE, word,
                          before);
        }
    }
}

/* Runs protected: from here on the state is for calls. */
static int close_over(lua_State *lua)
{
    lua_Integer seed[2] = {0, 0};
    if (getrandom(seed, sizeof(seed), GRND_NONBLOCK) < 0) {
        seed[0] = (lua_Integer)(size_t)lua; /* early in a boot: math.random promises nothing */
    }
    sandbox_seed(lua, seed[0], seed[1]);
    rules_install_assoc(lua);
    bind_install(lua);
    freeze_globals(lua);
    return 0;
}

static enum result evaluate(struct rules *r)
{
    struct script *s = &r->script;
    const struct config_source *first = &r->config->sources[0];
    hilum_assert(r->config->source_count > 0);
    if (source_borrow(&s->arena, &s->sources, first->path, first->text, first->len) == NULL) {
        return ERR_MEMORY;
    }
    r->lua = sandbox_new(s);
    if (r->lua == NULL) {
        return ERR_MEMORY;
    }
    if (sandbox_run(s, r->lua)) {
        compare_with_first(r);
    }
    if (s->report.errors > 0) {
        return s->system_has_none ? ERR_MEMORY : ERR_USAGE;
    }
    sandbox_renew(r->lua, SANDBOX_INSTRUCTIONS_MAX, SANDBOX_MEMORY_MAX);
    lua_pushcfunction(r->lua, close_over);
    if (lua_pcall(r->lua, 0, 0, 0) != LUA_OK) {
        return ERR_MEMORY;
    }
    s->is_over = true;
    lua_gc(r->lua, LUA_GCCOLLECT);
    r->held_at_first = s->memory_used;
    r->look_at = r->held_at_first + r->config->rule_memory / 2;
    return OK;
}

static enum result open_functions(struct rules *r)
{
    const struct config *config = r->config;
    r->of = malloc((config->route_count + 1) * sizeof(*r->of));
    r->identity_of = malloc((config->caller_count + 1) * sizeof(*r->identity_of));
    if (r->of == NULL || r->identity_of == NULL) {
        return ERR_MEMORY;
    }
    for (size_t i = 0; i < config->caller_count; i++) {
        r->identity_of[i] = (struct rule){.function = LUA_NOREF};
    }
    for (size_t i = 0; i < config->route_count; i++) {
        for (int kind = 0; kind < RULE_KINDS; kind++) {
            r->of[i][kind] = (struct rule){.function = LUA_NOREF};
        }
    }
    if (!has_functions(config)) {
        return OK;
    }
    if (config->uid_key != NULL) {
        r->uid_key = dicom_uid_key_new(config->uid_key, strlen(config->uid_key));
        if (r->uid_key == NULL) {
            return ERR_MEMORY;
        }
    }
    return evaluate(r);
}

enum result script_rules_open(struct config *config, struct rules **out, struct problems *problems_out)
{
    *out = NULL;
    *problems_out = (struct problems){0};
    struct rules *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        return ERR_MEMORY;
    }
    r->config = config_ref(config);
    r->script = (struct script){
        .path = config->file, .arena = {.max = SANDBOX_ARENA_MAX}, .again = config, .rules = r};
    enum result opened = open_functions(r);
    enum result finished = report_finish(&r->script.report, problems_out);
    opened = opened == OK ? finished : opened;
    if (opened != OK) {
        script_rules_close(&r);
    }
    *out = r;
    return opened;
}

void script_rules_close(struct rules **r)
{
    struct rules *closed = *r;
    *r = NULL;
    if (closed == NULL) {
        return;
    }
    if (closed->lua != NULL) {
        lua_close(closed->lua);
    }
    dicom_uid_key_free(&closed->uid_key);
    arena_free(&closed->script.arena);
    free(closed->of);
    free(closed->identity_of);
    config_unref(&closed->config);
    free(closed);
}

const char *rules_error_bare(const struct rules *r)
{
    return r->bare;
}

const char *rules_error(const struct rules *r)
{
    return r->error;
}

uint64_t rules_calls(const struct rules *r)
{
    return r->calls;
}
