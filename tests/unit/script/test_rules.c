/* The functions of a configuration: found again, called within their budgets, and kept from harming one another. */
#include <lauxlib.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "loading.h"
#include "script/rules.h"
#include "script/rules_watch.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define REST                                                                                                 \
    "\nlisten { address = '127.0.0.1', port = 11112, name = 'main' }\n"                                      \
    "node 'pacs1' { host = '10.1.0.5', ae_title = 'PACS1' }\n"

static struct rules_assoc example(void)
{
    return (struct rules_assoc){
        .calling = view_of("CT1"),
        .called = view_of("HILUM"),
        .remote = view_of("10.1.2.3"),
        .listener = view_of("main"),
        .service = view_of("store"),
        .sop_class = view_of("1.2.840.10008.5.1.4.1.1.2"),
        .sop_instance = view_of("1.2.3"),
        .transfer_syntax = view_of("1.2.840.10008.1.2.1"),
    };
}

/* A configuration and its rules. */
struct ruled {
    struct loaded loaded;
    struct rules *rules;
};

static struct ruled open_text(const char *folder, const char *text)
{
    static char whole[20000];
    snprintf(whole, sizeof(whole), "%s" REST, text);
    struct ruled r = {.loaded = load_text(folder, whole)};
    assert_fine(&r.loaded);
    struct problems problems;
    enum result opened = script_rules_open(r.loaded.config, &r.rules, &problems);
    for (size_t i = 0; i < problems.count; i++) {
        print_error("%s\n", problems.items[i].text);
    }
    assert_int_equal(opened, OK);
    assert_int_equal(problems.count, 0);
    problems_free(&problems);
    return r;
}

/* One route, `x`, whose morph has this body; it begins on line 1. */
static struct ruled open_morph(const char *folder, const char *settings, const char *body)
{
    static char text[16000];
    snprintf(text, sizeof(text),
             "local kept = {}; route 'x' { to = 'pacs1', morph = function (ds, assoc) %s end }\n%s", body,
             settings);
    return open_text(folder, text);
}

static void close_ruled(struct ruled *r)
{
    script_rules_close(&r->rules);
    assert_null(r->rules);
    free_loaded(&r->loaded);
}

static enum result morph(struct ruled *r, size_t route)
{
    struct rules_assoc assoc = example();
    struct rules_call call = {.route = &r->loaded.config->routes[route], .assoc = &assoc};
    return rules_morph(r->rules, &call);
}

static void assert_morphs(struct ruled *r, size_t route)
{
    enum result result = morph(r, route);
    if (result != OK) {
        print_error("%s\n", rules_error(r->rules));
    }
    assert_int_equal(result, OK);
}

static bool when(struct ruled *r, size_t route)
{
    bool holds = false;
    struct rules_assoc assoc = example();
    struct rules_call call = {.route = &r->loaded.config->routes[route], .assoc = &assoc};
    enum result result = rules_when(r->rules, &call, &holds);
    if (result != OK) {
        print_error("%s\n", rules_error(r->rules));
    }
    assert_int_equal(result, OK);
    return holds;
}

static void assert_error_has(const struct ruled *r, const char *part)
{
    if (strstr(rules_error(r->rules), part) == NULL) {
        print_error("'%s' is not in: %s\n", part, rules_error(r->rules));
        fail();
    }
}

static void functions_are_found_by_the_order_of_their_routes(void **state)
{
    struct ruled r = open_text(
        *state, "local function yes() return 'yes' end\n"
                "route 'a' { to = 'pacs1', when = yes, final = true }\n"
                "route 'b' { to = 'pacs1', when = function() return nil end }\n"
                "route 'c' { to = 'pacs1', when = { calling = 'CT1' } }\n"
                "local late = route 'd'\n"
                "route 'e' { to = 'pacs1', when = function() end, morph = function() end }\n"
                "late { to = 'pacs1', when = yes, trace = true, morph = function() error('d') end }\n"
                "route('f', { to = 'pacs1', when = function() return false end })\n"
                "route 'g' { to = 'pacs1', when = function() return 0 end }\n");
    const struct config_route *routes = r.loaded.config->routes;
    assert_true(routes[0].has_when_function && !routes[0].has_morph && !routes[0].trace);
    assert_true(!routes[2].has_when_function && routes[2].condition_count == 1);
    assert_true(routes[3].has_when_function && routes[3].has_morph && routes[3].trace);
    assert_true(when(&r, 0));
    assert_false(when(&r, 1));
    assert_true(when(&r, 3));
    assert_false(when(&r, 4));
    assert_false(when(&r, 5));
    assert_true(when(&r, 6));
    assert_morphs(&r, 4);
    assert_int_equal(morph(&r, 3), ERR_USAGE);
    assert_error_has(&r, "site.lua:7: route \"d\": morph: d");
    assert_int_equal(rules_calls(r.rules), 8);
    close_ruled(&r);
}

static void without_functions_lua_is_not_entered(void **state)
{
    struct ruled r = open_text(*state, "route 'a' { to = 'pacs1', when = { calling = 'CT*' } }\n");
    assert_int_equal(rules_calls(r.rules), 0);
    close_ruled(&r);
}

static void what_is_evaluated_again_is_what_was_there_the_first_time(void **state)
{
    const char *folder = *state;
    write_file(folder, "marks.lua", "return { mark = env('HILUM_TEST_MARK', 'none'), name = ... }\n");
    unsetenv("HILUM_TEST_MARK");
    setenv("HILUM_TEST_OTHER", "then", 1);
    struct loaded l = load_text(
        folder, "local m = require 'marks'\nlocal other = env 'HILUM_TEST_OTHER'\n" REST
                "route 'x' { to = 'pacs1', morph = function()\n"
                "  error(m.mark .. m.name .. other .. math.random(1000) .. require('marks').mark, 0)\nend }\n"
                "route(math.random(1000) .. 'y') { to = 'pacs1' }");
    assert_fine(&l);
    setenv("HILUM_TEST_MARK", "now", 1);
    setenv("HILUM_TEST_OTHER", "now", 1);
    write_file(folder, "marks.lua", "error('changed')\n");
    write_file(folder, "site.lua", "error('changed')\n");
    struct problems problems;
    struct ruled r = {.loaded = l};
    assert_int_equal(script_rules_open(l.config, &r.rules, &problems), OK);
    assert_int_equal(problems.count, 0);
    assert_int_equal(morph(&r, 0), ERR_USAGE);
    assert_error_has(&r, "site.lua:7: route \"x\": morph: nonemarksthen");
    struct rules *other; /* while the first is there: nothing stands at the same address */
    problems_free(&problems);
    assert_int_equal(script_rules_open(l.config, &other, &problems), OK);
    script_rules_close(&other);
    problems_free(&problems);
    close_ruled(&r);
}

/* The text that is evaluated again is changed under it: what differs is told, and there are no rules. */
static void another_set_of_declarations_stops_the_start(void **state)
{
    static const char text[] =
        "route 'first' { to = 'pacs1', when = function() end }\n"
        "route 'other' { to = 'pacs1', morph = function() end }\n"
        "route 'third' { copy = 'pacs1', hold = { quiet = '1s' }, on_study = function() end }\n"
        "pool 'all' { members = 'pacs1' } "
        "route 'fourth' { to = 'all', when = { service = 'get' }, morph_response = function() end }\n" REST
        "caller 'ct' { calling = 'CT', identity = function() end }\n";
    static const struct {
        const char *from, *to, *problem;
    } cases[] = {
        {"'first'", "'fixed'",
         ":1: route \"first\": evaluated again for its functions, \"fixed\" stands in its place"},
        {"'pacs1' { host", "'pacsX' { host", ":7: node \"pacs1\": evaluated again"},
        {"when = f", "whim = f", ":1: route \"first\": evaluated again, it has other functions than before"},
        {"route 'other'", "pool  'other'",
         ":1: evaluated again for its functions, the file declares 2 times pool, not 1"},
        {"on_study = f", "in_study = f",
         ":3: route \"third\": evaluated again, it has other functions than before"},
        {"morph_response = f", "morph_responze = f",
         ":4: route \"fourth\": evaluated again, it has other functions than before"},
        {"pool 'all'", "pool 'any'", ":4: pool \"all\": evaluated again for its functions, \"any\" stands"},
        {"caller 'ct'", "caller 'mr'", ": caller \"ct\": evaluated again for its functions, \"mr\" stands"},
        {"identity = f", "identify = f",
         ": caller \"ct\": evaluated again, it has other functions than before"},
        {"caller 'ct'", "error  'ct'", ": ct; the Lua code must run"},
        {"listen {", "assert {",
         ":1: evaluated again for its functions, the file declares 0 times listen, not 1"},
        {"route 'first'", "error 'first'", ":1: first; the Lua code must run"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct loaded l = load_text(*state, text);
        assert_fine(&l);
        char *at = strstr(l.config->sources[0].text, cases[i].from);
        assert_non_null(at);
        memcpy(at, cases[i].to, strlen(cases[i].to));
        struct problems problems;
        struct rules *rules;
        assert_int_equal(script_rules_open(l.config, &rules, &problems), ERR_USAGE);
        assert_null(rules);
        assert_int_equal(problems.count, 1);
        if (strstr(problems.items[0].text, cases[i].problem) == NULL) {
            fail_msg("%s", problems.items[0].text);
        }
        problems_free(&problems);
        free_loaded(&l);
    }
}

static void pairs_come_in_the_order_of_their_keys_while_a_file_is_evaluated(void **state)
{
    static const char text[] =
        "local t = { 'i', 'ii', zulu = 1, alpha = 2, mike = 3, [2.5] = 4, [-1] = 5, echo = 6, [true] = 7, "
        "kilo = 8 }\n"
        "local order = {}\n"
        "for k, v in pairs(t) do\n"
        "  assert(t[k] == v) order[#order + 1] = tostring(k)\n"
        "  if k == 'echo' then t.kilo = nil end\n"
        "  if type(k) == 'string' then route(k) { to = 'pacs1', morph = function() error(k, 0) end } end\n"
        "end\n"
        "assert(table.concat(order, ' ') == '-1 1 2 2.5 alpha echo mike zulu true', table.concat(order, ' "
        "'))\n"
        "for _ in pairs({}) do error('none') end\n"
        "assert(not pcall(pairs) and not pcall(function() for _ in pairs(nil) do end end))\n"
        "local mt = { __pairs = function(x) return next, { a = x.b }, nil end }\n"
        "for k, v in pairs(setmetatable({ b = 3 }, mt)) do assert(k == 'a' and v == 3) end\n"
        "route 'last' { to = 'pacs1', when = function() local f = pairs(t) return f == next end }\n";
    for (int start = 0; start < 5; start++) {
        struct ruled r = open_text(*state, text);
        assert_string_equal(r.loaded.config->routes[3].name, "zulu");
        assert_int_equal(morph(&r, 1), ERR_USAGE);
        assert_error_has(&r, "route \"echo\": morph: echo");
        assert_true(when(&r, 4));
        close_ruled(&r);
    }
}

static void assoc_shows_the_facts_of_its_call_and_cannot_be_changed(void **state)
{
    static const char *const fine[] = {
        "assert(assoc.calling == 'CT1')",
        "assert(assoc.called == 'HILUM' and assoc.remote == '10.1.2.3' and assoc.listener == 'main')",
        "assert(assoc.service == 'store')",
        "assert(assoc.sop_class == '1.2.840.10008.5.1.4.1.1.2' and assoc.sop_instance == '1.2.3')",
        "assert(assoc.transfer_syntax == '1.2.840.10008.1.2.1' and assoc.peer == nil)",
        "assert(ds == nil)",
        "assert(not pcall(function() assoc.calling = 'X' end) and assoc.calling == 'CT1')",
        "assert(getmetatable(assoc) == 'read-only')",
        "assert(not pcall(setmetatable, assoc, {}))",
        "assert(tostring(assoc):find('assoc') == 1)",
    };
    static const struct {
        const char *body, *error;
    } wrong[] = {
        {"assoc.calling = 'X'", "site.lua:1: route \"x\": morph: assoc is read-only"},
        {"return assoc.caling",
         "site.lua:1: route \"x\": morph: assoc has no 'caling'; did you mean 'calling'?"},
        {"return assoc.nothing", "assoc has no 'nothing'; it has calling"},
        {"return assoc[1]", "assoc has no '1'"},
        {"return assoc[{}]", "string expected"},
    };
    for (size_t i = 0; i < COUNT(fine); i++) {
        struct ruled r = open_morph(*state, "", fine[i]);
        assert_morphs(&r, 0);
        close_ruled(&r);
    }
    for (size_t i = 0; i < COUNT(wrong); i++) {
        struct ruled r = open_morph(*state, "", wrong[i].body);
        assert_int_equal(morph(&r, 0), ERR_USAGE);
        assert_error_has(&r, wrong[i].error);
        close_ruled(&r);
    }
    struct ruled r = open_morph(*state, "", "kept.a = kept.a or assoc; return kept.a.calling");
    assert_morphs(&r, 0);
    assert_int_equal(morph(&r, 0), ERR_USAGE);
    assert_error_has(&r, "this assoc is of an earlier call");
    close_ruled(&r);
}

static void push_text(struct lua_State *lua, void *arg)
{
    lua_pushstring(lua, arg);
}

static void push_fails(struct lua_State *lua, void *arg)
{
    luaL_error(lua, "no %s", (const char *)arg);
}

/* Each kind of function is found by its own key, that of `when` also among its conditions. */
static void a_route_may_have_a_function_of_each_kind(void **state)
{
    struct ruled r = open_text(
        *state,
        "route 'a' { to = 'pacs1', when = { service = 'worklist', calling = 'CT*', function (ds, assoc)\n"
        "  return assoc.service == 'worklist' end },\n"
        "  morph = function () error('of a request') end,\n"
        "  morph_response = function () error('of a response') end }\n"
        "route 'b' { to = 'pacs1', when = { service = 'move' }, morph_response = function () end }\n");
    struct rules_assoc assoc = example();
    struct rules_call call = {.route = &r.loaded.config->routes[0], .assoc = &assoc};
    bool holds = true;
    assert_int_equal(rules_when(r.rules, &call, &holds), OK);
    assert_false(holds);
    assoc.service = view_of("worklist");
    assert_int_equal(rules_when(r.rules, &call, &holds), OK);
    assert_true(holds);
    assert_int_equal(rules_morph(r.rules, &call), ERR_USAGE);
    assert_error_has(&r, "site.lua:3: route \"a\": morph: of a request");
    assert_int_equal(rules_morph_response(r.rules, &call), ERR_USAGE);
    assert_error_has(&r, "site.lua:4: route \"a\": morph_response: of a response");
    call.route = &r.loaded.config->routes[1];
    assert_int_equal(rules_morph_response(r.rules, &call), OK);
    close_ruled(&r);
}

static void the_data_set_is_what_the_caller_pushes(void **state)
{
    struct ruled r =
        open_text(*state, "route 'x' { to = 'pacs1', when = function(ds) return ds == 'CT' end }\n");
    struct rules_assoc assoc = example();
    struct rules_call call = {
        .route = &r.loaded.config->routes[0], .assoc = &assoc, .push = push_text, .arg = "CT"};
    bool holds = false;
    assert_int_equal(rules_when(r.rules, &call, &holds), OK);
    assert_true(holds);
    call.arg = "MR";
    assert_int_equal(rules_when(r.rules, &call, &holds), OK);
    assert_false(holds);
    call.push = push_fails;
    holds = true;
    assert_int_equal(rules_when(r.rules, &call, &holds), ERR_USAGE);
    assert_error_has(&r, "site.lua:1: route \"x\": when: no MR");
    assert_true(holds); /* left as it was */
    close_ruled(&r);
}

/* Looks as another thread would, in the middle of a call that has begun a second and a half ago, or just now. */
struct looking {
    struct rules_watch watch;
    struct rules_sight seen, told, again;
    bool is_slow, is_seen, is_told, is_told_again;
};

static void push_looks(struct lua_State *lua, void *arg)
{
    struct looking *l = arg;
    if (l->is_slow)
        l->watch.since_us -= UINT64_C(1500000);
    l->is_seen = rules_watch_look(&l->watch, &l->seen);
    l->is_told = rules_watch_tell(&l->watch, &l->told);
    l->is_told_again = rules_watch_tell(&l->watch, &l->again);
    lua_pushnil(lua);
}

static void what_runs_is_seen_from_outside_and_told_of_once_when_it_is_slow(void **state)
{
    struct ruled r = open_text(*state, "route 'x' { to = 'pacs1', when = function(ds) error('no') end }\n");
    struct rules_assoc assoc = example();
    struct looking l = {.is_slow = false};
    struct rules_call call = {
        .route = &r.loaded.config->routes[0], .assoc = &assoc, .push = push_looks, .arg = &l};
    rules_watch_init(&l.watch);
    rules_set_watch(r.rules, &l.watch);
    for (int i = 0; i < 4; i++) {
        bool holds;
        l.is_slow = i % 2 == 1;
        assert_int_equal(rules_when(r.rules, &call, &holds), ERR_USAGE);
        assert_true(l.is_seen);
        assert_string_equal(l.seen.name, "x");
        assert_string_equal(l.seen.rule, "when");
        assert_string_equal(l.seen.calling, "CT1");
        assert_string_equal(l.seen.remote, "10.1.2.3");
        assert_int_equal(l.is_told, l.is_slow);
        assert_false(l.is_told_again);
        assert_true(l.is_slow ? l.told.ms >= 1500 && strcmp(l.told.name, "x") == 0 : l.seen.ms < 1500);
        assert_false(rules_watch_look(&l.watch, &l.seen)); /* however it has ended */
        assert_false(rules_watch_tell(&l.watch, &l.seen));
    }
    close_ruled(&r);
    rules_watch_free(&l.watch);
}

static void an_error_says_where_it_came_from(void **state)
{
    static const struct {
        const char *body, *error;
    } cases[] = {
        {"\nerror('broken') ", "site.lua:2: route \"x\": morph: broken"},
        {"\n\nlocal y = ds.PatientID ",
         "site.lua:3: route \"x\": morph: attempt to index a nil value (local 'ds')"},
        {"\n\nerror('no place', 0) ", "site.lua:3: route \"x\": morph: no place"},
        {"\nerror({}) ", "site.lua:2: route \"x\": morph: an error was raised that is not a string"},
        {"\nerror() ", "site.lua:2: route \"x\": morph: an error was raised that is not a string"},
        {"\nerror('two\\nlines') ", "site.lua:2: route \"x\": morph: two?lines"},
        {"\nstring.rep() ", "site.lua:2: route \"x\": morph: bad argument #1 to 'rep'"},
        {"\nprint(undefined.x) ", "attempt to index a nil value (global 'undefined')"},
        {"\nrequire 'deidentify' ", "module 'deidentify' was not required before"},
        {"\nlisten '127.0.0.1:104' ", "site.lua:2: route \"x\": morph: listen is declared while a rule runs"},
        {"\nroute 'y' { to = 'pacs1' } ",
         "site.lua:2: route \"x\": morph: route is declared while a rule runs"},
        {"\nsetmetatable({}, { __gc = print }) ", "finalizers (__gc) are not available"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ruled r = open_morph(*state, "", cases[i].body);
        enum result result = morph(&r, 0);
        assert_error_has(&r, cases[i].error);
        assert_int_equal(result, ERR_USAGE);
        close_ruled(&r);
    }
}

static void an_error_in_a_module_names_the_module(void **state)
{
    write_file(*state, "helper.lua", "return function()\n  error('inside')\nend\n");
    struct ruled r = open_text(*state, "route 'x' { to = 'pacs1', morph = require 'helper' }\n");
    assert_int_equal(morph(&r, 0), ERR_USAGE);
    assert_error_has(&r, "helper.lua:2: route \"x\": morph: inside");
    close_ruled(&r);
}

#define SMALL "gateway { rule_instructions = 400000, rule_memory = '2MiB' }"

/* Whatever tries to go on; and the state is as good as new afterwards. */
static void a_spent_budget_ends_the_call_and_nothing_else(void **state)
{
    static const struct {
        const char *body, *error;
    } cases[] = {
        {"\nwhile assoc.calling == 'CT1' do end",
         "site.lua:2: route \"x\": morph ran past the 400000 instructions"},
        {"\npcall(function() while true do end end) error('caught') ",
         "site.lua:2: route \"x\": morph ran past the 400000 "},
        {"while true do pcall(function() while true do end end) end ", "ran past the 400000 instructions"},
        {"xpcall(function() while true do end end, function() while true do end end) ",
         "400000 instructions"},
        {"local c <close> = setmetatable({}, { __close = function() while true do end end }) while true do "
         "end ",
         "400000 instructions"},
        {"while true do print('x') end ", "400000 instructions"},
        {"while true do pcall(error) end ", "400000 instructions"},
        {"\nlocal function f() return f() + 1 end f() ", "site.lua:2: route \"x\": morph ran past the "},
        {"local t = {} for i = 1, 1e6 do t[i] = i end ",
         "site.lua:1: route \"x\": morph ran past the 2 MiB of rule_memory"},
        {"\nlocal s = string.rep('x', 1e7) ", "ran past the 2 MiB of rule_memory; it must do with less"},
        {"pcall(string.rep, 'x', 1e7) error('caught') ", "ran past the 2 MiB of rule_memory"},
        {"local function f() pcall(f) local s = string.rep('x', 1e7) end f() ",
         "ran past the 2 MiB of rule_memory"},
        {"xpcall(string.rep, function() return string.rep('x', 1e7) end, 'x', 1e7) ",
         "ran past the 2 MiB of rule_memory"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        static char text[2000];
        snprintf(text, sizeof(text),
                 "route 'x' { to = 'pacs1', morph = function(ds, assoc) %s end }\n"
                 "route 'y' { to = 'pacs1', morph = function()\n"
                 "  local s = string.rep('x', 700000) for i = 1, 50000 do s = i end end }\n" SMALL,
                 cases[i].body);
        struct ruled r = open_text(*state, text);
        log_configure(LOG_ERROR, LOG_LOGFMT);
        for (int again = 0; again < 3; again++) {
            assert_int_equal(morph(&r, 0), ERR_LIMIT);
            assert_error_has(&r, cases[i].error);
            assert_morphs(&r, 1);
        }
        log_configure(LOG_INFO, LOG_LOGFMT);
        close_ruled(&r);
    }
}

/* What a log may hold that does not name patients. (`SECRET` and 19700131 are what a data set could hold.) */
static void an_error_is_told_without_what_it_may_quote(void **state)
{
    static const struct {
        const char *body, *bare;
    } cases[] = {
        {"error('SECRET')", "morph: an error of the rule's own, (withheld)"},
        {"error('SECRET', 0)", "morph: an error of the rule's own, (withheld)"},
        {"error('attempt to call SECRET')", "morph: an error of the rule's own, (withheld)"},
        {"local raise = error raise('SECRET')", "morph: an error of the rule's own, (withheld)"},
        {"local ok, e = pcall(function() return nil .. 'SECRET' end) error(e)",
         "morph: an error of the rule's own, (withheld)"},
        {"assert(false, 'SECRET')", "morph: an error of the rule's own, (withheld)"},
        {"assert(nil)", "morph: an error of the rule's own, (withheld)"},
        {"error({ 'SECRET' })", "morph: an error of the rule's own, (withheld)"},
        {"local t = nil; local x = t.PatientName", "morph: attempt to index a nil value (local 't')"},
        {"local x = 'SECRET' + 1", "morph: attempt to add a ..."},
        {"local x = 'SECRET' < 1", "morph: attempt to compare string with number"},
        {"local x = ('SECRET').y.z", "morph: attempt to index a nil value (field 'y')"},
        {"string.rep()", "morph: bad argument #1 to ... (string expected, got no value)"},
        {"return assoc.SECRET", "morph: assoc has no ...; it has calling"},
        {"date.shift('19700131SECRET', 1)", "morph: date.shift(...)"},
        {"date.shift('SECRET\"19700131', 1)", "morph: date.shift(...)"},
        {"string.format('%SECRET', 1)", "morph: invalid conversion ..."},
        {"require('SECRET')", "morph: module ... was not"},
        {"SECRET = 1", "morph: global ... is set in a rule"},
        {"setmetatable({}, { __index = function(t, k) error(k) end }).SECRET = nil; local x = "
         "setmetatable({}, { __index = function(t, k) error(k) end }).SECRET",
         "morph: an error of the rule's own, (withheld)"},
        {"while true do end", "morph ran past the 400000 instructions of rule_instructions"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ruled r = open_morph(*state, SMALL, cases[i].body);
        assert_int_not_equal(morph(&r, 0), OK);
        const char *bare = rules_error_bare(r.rules);
        if (strstr(bare, cases[i].bare) == NULL || strstr(bare, "SECRET") != NULL ||
            strstr(bare, "19700131") != NULL) {
            print_error("%s\n  is told as: %s\n", cases[i].body, bare);
            fail();
        }
        assert_non_null(strstr(bare, ":1: route \"x\": "));
        close_ruled(&r);
    }
}

static void a_budget_is_that_of_one_call(void **state)
{
    struct ruled r =
        open_morph(*state, SMALL, "local s for i = 1, 5000 do s = 'x' .. i end s = string.rep('x', 700000)");
    for (int i = 0; i < 50; i++) {
        assert_morphs(&r, 0);
    }
    close_ruled(&r);
}

/* One instruction may copy megabytes: what is asked of memory counts as well. */
static void memory_that_is_asked_for_costs_instructions(void **state)
{
    struct ruled r =
        open_text(*state, SMALL "local n = 0\n"
                                "route 'x' { to = 'pacs1', morph = function()\n"
                                "  local s = string.rep('x', 300000)\n"
                                "  while true do local t = s .. 'y' n = n + 1 end end }\n"
                                "route 'y' { to = 'pacs1', when = function() return n < 100 end }\n");
    assert_int_equal(morph(&r, 0), ERR_LIMIT);
    assert_error_has(&r, "ran past the 400000 instructions");
    assert_true(when(&r, 1));
    close_ruled(&r);
}

static void rules_that_hoard_are_told_so(void **state)
{
    struct ruled r = open_morph(*state, SMALL, "kept[#kept + 1] = string.rep('x', 300000) .. #kept");
    int calls = 0;
    while (morph(&r, 0) == OK) {
        assert_true(++calls < 20);
    }
    assert_int_equal(calls,
                     5); /* the sixth would fit, were it not made twice: string.rep, then with its number */
    assert_error_has(&r, "ran past the 2 MiB of rule_memory, and 1 MiB are held from call to call");
    close_ruled(&r);
}

/* What the configuration itself holds is not the rules' to save. */
static void memory_counts_from_what_the_configuration_holds(void **state)
{
    struct ruled r = open_text(
        *state, SMALL "local big = string.rep('x', 5000000)\nroute 'x' { to = 'pacs1', when = function()\n"
                      "  local s = string.rep('y', 700000) return #big + #s == 5700000 end }\n");
    assert_true(when(&r, 0));
    close_ruled(&r);
}

static void globals_are_read_only_and_upvalues_are_not(void **state)
{
    static const char before[] =
        "shared = { n = 0 }\nlocal mt = getmetatable('')\nlocal text = string\nlocal globals = _G\n"
        "string.shout = function(s) return s:upper() .. '!' end\n"
        "route 'x' { to = 'pacs1', morph = function (ds, assoc) %s end }\n";
    static const struct {
        const char *body, *error; /* NULL: it works */
    } cases[] = {
        {"x = 1", "site.lua:6: route \"x\": morph: global 'x' is set in a rule, where globals are read-only"},
        {"shared = nil", "global 'shared' is set in a rule"},
        {"_G.print = nil", "global 'print' is set in a rule"},
        {"globals.print = nil", "global 'print' is set in a rule"},
        {"_ENV.x = 1", "global 'x' is set in a rule"},
        {"_G[1] = 1", "global 'number' is set in a rule"},
        {"rawset(_G, 'x', 1)", "this table is read-only"},
        {"rawset(string, 'upper', nil)", "this table is read-only"},
        {"string.upper = nil", "'string.upper' is set in a rule, where libraries are read-only"},
        {"text.upper = nil", "'string.upper' is set in a rule"},
        {"math.pi = 3", "'math.pi' is set in a rule"},
        {"uid.new = 3", "'uid.new' is set in a rule"},
        {"date.shift = 3", "'date.shift' is set in a rule"},
        {"table.insert(table, 1)", "'table.number' is set in a rule"},
        {"setmetatable(_G, nil)", "cannot change a protected metatable"},
        {"setmetatable(string, nil)", "cannot change a protected metatable"},
        {"getmetatable('').__index = nil", "attempt to index a string value"},
        {"mt.__index = nil assert(('x'):upper() == 'X')", NULL},
        {"assert(getmetatable(_G) == 'read-only' and getmetatable('') == 'read-only')", NULL},
        {"assert(text.upper('x') == 'X' and ('x'):rep(2) == 'xx' and ('x'):shout() == 'X!' and -'-2' == 2)",
         NULL},
        {"assert(_G == globals and _G._G == _G and math.pi > 3 and utf8.char(65) == 'A')", NULL},
        {"local n = 0 for k, v in pairs(_G) do n = n + 1 assert(_G[k] == v) end assert(n > 20)", NULL},
        {"local n = 0 for k, v in pairs(string) do n = n + 1 assert(string[k] == v) end assert(n > 10)",
         NULL},
        {"local f, t, k = pairs(_G) assert(t == _G) assert(next(_G) == nil)", NULL},
        {"local _ENV = setmetatable({}, { __index = _ENV }) x = 1 assert(x == 1)", NULL},
        {"shared.n = shared.n + 1 assert(rawset({}, 1, 2)[1] == 2)", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[1000];
        snprintf(text, sizeof(text), before, cases[i].body);
        struct ruled r = open_text(*state, text);
        if (cases[i].error == NULL) {
            assert_morphs(&r, 0);
        } else {
            assert_int_equal(morph(&r, 0), ERR_USAGE);
            assert_error_has(&r, cases[i].error);
        }
        close_ruled(&r);
    }
}

static void each_worker_has_upvalues_of_its_own(void **state)
{
    struct ruled a = open_text(
        *state, "local n = 0\nroute 'x' { to = 'pacs1', when = function() n = n + 1 return n > 1 end }\n");
    struct ruled b = {.loaded = {.config = config_ref(a.loaded.config)}};
    assert_int_equal(script_rules_open(b.loaded.config, &b.rules, &b.loaded.problems), OK);
    assert_false(when(&a, 0));
    assert_true(when(&a, 0));
    assert_false(when(&b, 0));
    close_ruled(&a);
    assert_true(when(&b, 0)); /* the configuration lives as long as its rules */
    close_ruled(&b);
}

static void the_helpers_are_keyed_and_repeatable(void **state)
{
    static const char key[] = "gateway { uid_key = 'a secret of some length' }";
    static const struct {
        const char *settings, *body, *error;
    } cases[] = {
        {key, "assert(uid.map('1.2.3') == uid.map('1.2.3') and uid.map('1.2.3') ~= uid.map('1.2.4'))", NULL},
        {key, "assert(uid.map('1.2.3'):match('^2%.25%.%d+$'))", NULL},
        {key, "assert(uid.map('1.2.3\\0') == uid.map('1.2.3'))", NULL},
        {key, "assert(#hash('x') == 32 and hash('x') == hash('x') and hash('x') ~= hash('y'))", NULL},
        /* printf x | openssl dgst -sha256 -hmac "a secret of some length" */
        {key, "assert(hash('x') == '415bbc465b1097965a578785a7b6dee8')", NULL},
        {"", "local a, b = uid.new(), uid.new() assert(a ~= b and a:match('^2%.25%.%d+$') and #a <= 44)",
         NULL},
        {"", "assert(date.shift('20240228', 2) == '20240301')", NULL},
        {"", "assert(date.shift('20240301', -1) == '20240229' and date.shift('', 5) == '')", NULL},
        {"", "date.shift('yesterday', 1)", "site.lua:1: route \"x\": morph: date.shift(\"yesterday\"): "},
        {"", "date.shift('20240101', 1.5)", "number has no integer representation"},
        {"", "date.shift(nil, 1)", "bad argument #1 to 'shift' (string expected, got nil)"},
        {"", "uid.map('1.2.3')", "uid.map needs a key; set gateway { uid_key = env \"HILUM_UID_KEY\" }"},
        {"", "hash('x')", "hash needs a key; set gateway { uid_key"},
        {key, "uid.map('')", "uid.map is given an empty UID"},
        {key, "uid.map(nil)", "bad argument #1 to 'map' (string expected, got nil)"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct ruled r = open_morph(*state, cases[i].settings, cases[i].body);
        if (cases[i].error == NULL) {
            assert_morphs(&r, 0);
        } else {
            assert_int_equal(morph(&r, 0), ERR_USAGE);
            assert_error_has(&r, cases[i].error);
        }
        close_ruled(&r);
    }
    struct loaded l = load_text(*state, "local f = uid.map\nf('1.2.3')\n" REST);
    assert_int_equal(l.result, ERR_USAGE);
    assert_non_null(strstr(problem_at(&l, 0, 2), "uid.map is called outside of a rule"));
    free_loaded(&l);
}

/* What a call writes to stderr, where the log goes. */
static void caught_stderr(struct ruled *r, const char *folder, char *text, size_t cap)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/log", folder);
    FILE *file = fopen(path, "w+");
    assert_non_null(file);
    int kept = dup(2);
    assert_true(dup2(fileno(file), 2) == 2);
    enum result result = morph(r, 0);
    assert_true(dup2(kept, 2) == 2);
    close(kept);
    rewind(file);
    size_t len = fread(text, 1, cap - 1, file);
    text[len] = '\0';
    fclose(file);
    assert_int_equal(result, OK);
}

static void print_goes_to_the_log_with_the_name_of_the_route(void **state)
{
    char text[2000];
    struct ruled r = open_morph(*state, "", "print('a', 1, nil) print('two\\nlines')");
    caught_stderr(&r, *state, text, sizeof(text));
    assert_non_null(strstr(text, "event=\"a rule prints\" route=x text=(withheld)\n"));
    log_set_privacy(&(struct log_privacy){.shows_patients = true});
    caught_stderr(&r, *state, text, sizeof(text));
    log_set_privacy(&(struct log_privacy){0});
    assert_non_null(strstr(text, "level=info event=\"a rule prints\" route=x text=\"a\\x091\\x09nil\"\n"));
    assert_non_null(strstr(text, "text=\"two\\x0alines\"\n"));
    close_ruled(&r);
}

static void a_rule_that_holds_its_worker_up_is_logged(void **state)
{
    char text[2000];
    struct ruled r = open_morph(*state, "", "string.find(string.rep('a', 1200), string.rep('a*', 2) .. 'b')");
    caught_stderr(&r, *state, text, sizeof(text));
    assert_non_null(strstr(text, "level=warn event=\"a rule held its worker up\" route=x rule=morph ms="));
    close_ruled(&r);
    r = open_morph(
        *state, SMALL,
        "if kept[2] then return end kept[1] = string.rep('x', 600000) kept[2] = string.rep('y', 600000)");
    caught_stderr(&r, *state, text, sizeof(text));
    assert_non_null(
        strstr(text, "event=\"rules hold much memory from call to call\" route=x rule=morph bytes=12"));
    caught_stderr(&r, *state, text, sizeof(text));
    assert_string_equal(text, ""); /* once */
    close_ruled(&r);
}

static void settings_and_functions_are_checked(void **state)
{
    static const struct {
        const char *text;
        int line;
        const char *problem;
        enum result result;
    } cases[] = {
        {"route 'x' { to = 'pacs1',\nmorph = 'x' }", 2, "morph is a string; it must be a function",
         ERR_USAGE},
        {"route 'x' { to = 'pacs1',\nwhen = 7 }", 2, "when is a number; it must be", ERR_USAGE},
        {"route 'x' { to = 'pacs1',\ntrace = 1 }", 2, "trace is a number", ERR_USAGE},
        {"route 'x' { to = 'pacs1',\ntrace = true }", 2,
         "warning: route \"x\": trace records what morph changes", OK},
        {"route 'x' { to = 'pacs1', when = { service = 'echo' },\nmorph = function() end }", 2,
         "morph means nothing for service = \"echo\", which has no data set", ERR_USAGE},
        {"gateway {\nuid_key = '' } route 'x' { to = 'pacs1' }", 2, "uid_key is empty", ERR_USAGE},
        {"gateway {\nuid_key = 'fifteen letters' } route 'x' { to = 'pacs1' }", 2,
         "warning: gateway: uid_key has 15 characters and can be guessed", OK},
        {"gateway {\nrule_instructions = 100 } route 'x' { to = 'pacs1' }", 2,
         "rule_instructions is 100, which is out of range", ERR_USAGE},
        {"gateway {\nrule_memory = '64KiB' } route 'x' { to = 'pacs1' }", 2, "rule_memory is too small",
         ERR_USAGE},
        {"node 'y' { host = 'h', ae_title = 'Y',\nmorph = 1 } route 'x' { to = 'pacs1' }", 2,
         "it is a key of route", ERR_USAGE},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[1000];
        snprintf(text, sizeof(text), "%s" REST, cases[i].text);
        struct loaded l = load_text(*state, text);
        assert_int_equal(l.result, cases[i].result);
        assert_int_equal(l.problems.count, 1);
        const char *problem = problem_at(&l, 0, cases[i].line);
        if (problem == NULL || strstr(problem, cases[i].problem) == NULL) {
            fail_msg("%s", l.problems.items[0].text);
        }
        free_loaded(&l);
    }
    struct loaded l = load_text(
        *state, "gateway { uid_key = 'sixteen letters.', rule_instructions = 20000, rule_memory = '1MiB' }"
                "route 'x' { to = 'pacs1' }" REST);
    assert_fine(&l);
    assert_string_equal(l.config->uid_key, "sixteen letters.");
    assert_int_equal(l.config->rule_instructions, 20000);
    assert_int_equal(l.config->rule_memory, 1 << 20);
    free_loaded(&l);
    l = load_text(*state, "route 'x' { to = 'pacs1' }" REST);
    assert_int_equal(l.config->rule_instructions, 10000000);
    assert_int_equal(l.config->rule_memory, 64 << 20);
    free_loaded(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_are_found_by_the_order_of_their_routes),
        cmocka_unit_test(without_functions_lua_is_not_entered),
        cmocka_unit_test(what_is_evaluated_again_is_what_was_there_the_first_time),
        cmocka_unit_test(another_set_of_declarations_stops_the_start),
        cmocka_unit_test(pairs_come_in_the_order_of_their_keys_while_a_file_is_evaluated),
        cmocka_unit_test(assoc_shows_the_facts_of_its_call_and_cannot_be_changed),
        cmocka_unit_test(a_route_may_have_a_function_of_each_kind),
        cmocka_unit_test(the_data_set_is_what_the_caller_pushes),
        cmocka_unit_test(what_runs_is_seen_from_outside_and_told_of_once_when_it_is_slow),
        cmocka_unit_test(an_error_says_where_it_came_from),
        cmocka_unit_test(an_error_in_a_module_names_the_module),
        cmocka_unit_test(a_spent_budget_ends_the_call_and_nothing_else),
        cmocka_unit_test(an_error_is_told_without_what_it_may_quote),
        cmocka_unit_test(a_budget_is_that_of_one_call),
        cmocka_unit_test(memory_that_is_asked_for_costs_instructions),
        cmocka_unit_test(rules_that_hoard_are_told_so),
        cmocka_unit_test(memory_counts_from_what_the_configuration_holds),
        cmocka_unit_test(globals_are_read_only_and_upvalues_are_not),
        cmocka_unit_test(each_worker_has_upvalues_of_its_own),
        cmocka_unit_test(the_helpers_are_keyed_and_repeatable),
        cmocka_unit_test(print_goes_to_the_log_with_the_name_of_the_route),
        cmocka_unit_test(a_rule_that_holds_its_worker_up_is_logged),
        cmocka_unit_test(settings_and_functions_are_checked),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
