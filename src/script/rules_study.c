/* `study`: what a group of instances is, for on_study; and the nodes that it returns. */
#include <lauxlib.h>
#include <time.h>

#include "script/freeze.h"
#include "script/rules_inside.h"
#include "script/suggest.h"

/* --- tables that nobody changes --------------------------------------------------------------------------------- */

/* Upvalues of these: the entries, the table's name. */

static int refuse_write(lua_State *lua)
{
    return luaL_error(lua, "%s is read-only", lua_tostring(lua, lua_upvalueindex(2)));
}

/* A key that is none would read as one that is empty. */
static int read_entry(lua_State *lua)
{
    struct suggestion nearest = {.word = luaL_checkstring(lua, 2)};
    const char *name = lua_tostring(lua, lua_upvalueindex(2));
    lua_pushvalue(lua, 2);
    if (lua_rawget(lua, lua_upvalueindex(1)) != LUA_TNIL) {
        return 1;
    }
    for (lua_pushnil(lua); lua_next(lua, lua_upvalueindex(1)) != 0; lua_pop(lua, 1)) {
        suggest_offer(&nearest, lua_tostring(lua, -2));
    }
    if (nearest.name != NULL) {
        return luaL_error(lua, "%s has no '%s'; did you mean '%s'?", name, nearest.word, nearest.name);
    }
    return luaL_error(lua, "%s has no '%s'", name, nearest.word);
}

static int count_entries(lua_State *lua)
{
    lua_pushinteger(lua, (lua_Integer)lua_rawlen(lua, lua_upvalueindex(1)));
    return 1;
}

void rules_seal(lua_State *lua, const char *name, bool is_list)
{
    static const luaL_Reg methods[] = {
        {"__newindex", refuse_write}, {"__len", count_entries}, {"__pairs", freeze_each_entry}, {NULL, NULL}};
    int entries = lua_gettop(lua);
    lua_newtable(lua);
    lua_createtable(lua, 0, 5);
    lua_pushvalue(lua, entries);
    lua_pushstring(lua, name);
    luaL_setfuncs(lua, methods, 2);
    lua_pushvalue(lua, entries);
    if (!is_list) {
        lua_pushstring(lua, name);
        lua_pushcclosure(lua, read_entry, 2);
    }
    lua_setfield(lua, -2, "__index");
    lua_pushliteral(lua, "read-only");
    lua_setfield(lua, -2, "__metatable");
    lua_setmetatable(lua, -2);
    lua_replace(lua, entries);
}

/* --- what it says ------------------------------------------------------------------------------------------------ */

static void set_text(lua_State *lua, const char *key, const char *text)
{
    lua_pushstring(lua, text);
    lua_setfield(lua, -2, key);
}

static void set_number(lua_State *lua, const char *key, uint64_t n)
{
    lua_pushinteger(lua, (lua_Integer)n);
    lua_setfield(lua, -2, key);
}

/* As DICOM writes it (DT), in local time. */
static void set_time(lua_State *lua, const char *key, uint64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    char text[32] = "";
    if (localtime_r(&seconds, &tm) != NULL) {
        (void)strftime(text, sizeof(text), "%Y%m%d%H%M%S", &tm);
    }
    set_text(lua, key, text);
}

static void push_series(lua_State *lua, const struct rules_study *study)
{
    lua_createtable(lua, (int)study->series_count, 0);
    for (size_t i = 0; i < study->series_count; i++) {
        lua_createtable(lua, 0, 2);
        set_text(lua, "uid", study->series[i].uid);
        set_number(lua, "count", study->series[i].instances);
        rules_seal(lua, "a series of the study", false);
        lua_rawseti(lua, -2, (lua_Integer)i + 1);
    }
    rules_seal(lua, "study.series", true);
}

static void push_instances(lua_State *lua, const struct rules_study *study)
{
    lua_createtable(lua, (int)study->listed_count, 0);
    for (size_t i = 0; i < study->listed_count; i++) {
        lua_createtable(lua, 0, 3);
        set_text(lua, "sop_class", study->listed[i].sop_class);
        set_text(lua, "sop_instance", study->listed[i].sop_instance);
        set_text(lua, "series", study->listed[i].series);
        rules_seal(lua, "an instance of the study", false);
        lua_rawseti(lua, -2, (lua_Integer)i + 1);
    }
    rules_seal(lua, "study.instances", true);
}

void rules_push_study(lua_State *lua, const struct config_route *route, const struct rules_study *study)
{
    luaL_checkstack(lua, 20, NULL);
    lua_createtable(lua, 0, 10);
    set_text(lua, "uid", study->uid);
    set_text(lua, "patient", study->patient);
    set_text(lua, "calling", study->calling);
    set_text(lua, "called", study->called);
    set_text(lua, "route", route->name);
    set_time(lua, "since", study->since_ms);
    set_number(lua, "count", study->instances);
    set_number(lua, "bytes", study->bytes);
    push_series(lua, study);
    lua_setfield(lua, -2, "series");
    push_instances(lua, study);
    lua_setfield(lua, -2, "instances");
    rules_seal(lua, "study", false);
}

/* --- what it returns ----------------------------------------------------------------------------------------------- */

/* The name on top. */
static void take_node(lua_State *lua, const struct config *config, bool *adds)
{
    if (lua_type(lua, -1) != LUA_TSTRING) {
        luaL_error(
            lua,
            "it returned a list with a %s in it; it must return the name of a node, a list of names, or nil",
            luaL_typename(lua, -1));
    }
    struct suggestion nearest = {.word = lua_tostring(lua, -1)};
    const struct config_node *node = config_node_named(config, nearest.word);
    if (node != NULL) {
        adds[node - config->nodes] = true;
        return;
    }
    if (config_pool_named(config, nearest.word) != NULL) {
        luaL_error(lua, "it returned '%s', which is a pool; name one of its nodes", nearest.word);
    }
    for (size_t i = 0; i < config->node_count; i++) {
        suggest_offer(&nearest, config->nodes[i].name);
    }
    if (nearest.name != NULL) {
        luaL_error(lua, "it returned '%s', and there is no such node; did you mean '%s'?", nearest.word,
                   nearest.name);
    }
    luaL_error(lua, "it returned '%s', and there is no such node", nearest.word);
}

void rules_take_nodes(lua_State *lua, const struct config *config, bool *adds_out)
{
    switch (lua_type(lua, -1)) {
    case LUA_TNIL:
        return;
    case LUA_TSTRING:
        take_node(lua, config, adds_out);
        return;
    case LUA_TTABLE:
        break;
    default:
        luaL_error(lua, "it returned a %s; it must return the name of a node, a list of names, or nil",
                   luaL_typename(lua, -1));
    }
    lua_Integer count = luaL_len(lua, -1), keys = 0;
    for (lua_pushnil(lua); lua_next(lua, -2) != 0; lua_pop(lua, 1)) {
        keys++;
    }
    if (keys != count) {
        luaL_error(lua, "it returned a table that is no list; it must return the name of a node, a list of "
                        "names, or nil");
    }
    for (lua_Integer i = 1; i <= count; i++) {
        lua_geti(lua, -1, i);
        take_node(lua, config, adds_out);
        lua_pop(lua, 1);
    }
}
