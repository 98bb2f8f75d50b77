/* What rules use to take identities away and keep what belongs together together: uid, hash, date. */
#include <lauxlib.h>
#include <sys/random.h>

#include "dicom/date.h"
#include "dicom/uid_make.h"
#include "script/rules_inside.h"
#include "script/sandbox.h"

/* They stand in the first evaluation as well, since a module may put them into locals; results come in rules only. */
static const struct rules *rules_of(lua_State *lua, const char *name)
{
    const struct script *s = sandbox_script(lua);
    if (s->rules == NULL || !s->is_over) {
        luaL_error(lua, "%s is called outside of a rule; call it in a when or morph function", name);
    }
    return s->rules;
}

static struct dicom_uid_key *key_of(lua_State *lua, const char *name)
{
    struct dicom_uid_key *key = rules_of(lua, name)->uid_key;
    if (key == NULL) {
        luaL_error(lua, "%s needs a key; set gateway { uid_key = env \"HILUM_UID_KEY\" }", name);
    }
    return key;
}

static struct view check_text(lua_State *lua, int index)
{
    size_t len;
    const char *text = luaL_checklstring(lua, index, &len);
    return (struct view){(const uint8_t *)text, len};
}

/* uid.new() */
static int uid_new(lua_State *lua)
{
    uint8_t random[16];
    char uid[DICOM_MADE_UID_CAP];
    rules_of(lua, "uid.new");
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
        return luaL_error(lua, "the system has no random bytes");
    }
    dicom_uid_new(random, uid);
    lua_pushstring(lua, uid);
    return 1;
}

/* uid.map(old) */
static int uid_map(lua_State *lua)
{
    char uid[DICOM_MADE_UID_CAP];
    struct dicom_uid_key *key = key_of(lua, "uid.map");
    enum result r = dicom_uid_map(key, check_text(lua, 1), uid);
    if (r != OK) {
        return r == ERR_USAGE ? luaL_error(lua, "uid.map is given an empty UID") : sandbox_no_memory(lua);
    }
    lua_pushstring(lua, uid);
    return 1;
}

/* hash(text) */
static int hash(lua_State *lua)
{
    char hex[DICOM_HASH_CAP];
    struct dicom_uid_key *key = key_of(lua, "hash");
    if (dicom_hash(key, check_text(lua, 1), hex) != OK) {
        return sandbox_no_memory(lua);
    }
    lua_pushstring(lua, hex);
    return 1;
}

/* date.shift(da, days) */
static int date_shift(lua_State *lua)
{
    char out[DICOM_DATE_CAP];
    rules_of(lua, "date.shift");
    struct view date = check_text(lua, 1);
    const char *why = dicom_date_shift(date, luaL_checkinteger(lua, 2), out);
    if (why != NULL) {
        return luaL_error(lua, "date.shift(\"%s\"): %s", lua_tostring(lua, 1), why);
    }
    lua_pushstring(lua, out);
    return 1;
}

/* As a library of its own: known to freeze.c by its name. */
static void install(lua_State *lua, const char *name, const luaL_Reg *functions)
{
    luaL_getsubtable(lua, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    lua_newtable(lua);
    luaL_setfuncs(lua, functions, 0);
    lua_pushvalue(lua, -1);
    lua_setglobal(lua, name);
    lua_setfield(lua, -2, name);
    lua_pop(lua, 1);
}

void rules_install_helpers(lua_State *lua)
{
    static const luaL_Reg uid[] = {{"new", uid_new}, {"map", uid_map}, {NULL, NULL}};
    static const luaL_Reg date[] = {{"shift", date_shift}, {NULL, NULL}};
    install(lua, "uid", uid);
    install(lua, "date", date);
    lua_pushcfunction(lua, hash);
    lua_setglobal(lua, "hash");
}
