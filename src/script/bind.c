/* Handles, keys and errors of the binding. */
#include "script/bind.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dicom/dictionary.h"
#include "script/bind_inside.h"
#include "script/rules_inside.h"
#include "script/sandbox.h"
#include "script/suggest.h"

static const char *const kind_names[BIND_KINDS] = {"data set", "sequence", "element", "walk"};
/* Their places in the registry. */
static const char metatables[BIND_KINDS];
static const char keywords;

void bind_init(struct bind *b, struct dicom_document *document, struct dicom_text *text)
{
    *b = (struct bind){.document = document, .text = text};
}

void bind_free(struct bind *b)
{
    octets_free(&b->scratch);
}

struct bind_handle *bind_push_sized(lua_State *lua, enum bind_kind kind, struct bind *b, size_t size)
{
    struct bind_handle *h = lua_newuserdatauv(lua, size, 0);
    *h = (struct bind_handle){.call = sandbox_script(lua)->rules->calls, .bind = b};
    lua_rawgetp(lua, LUA_REGISTRYINDEX, &metatables[kind]);
    lua_setmetatable(lua, -2);
    return h;
}

struct bind_handle *bind_push_handle(lua_State *lua, enum bind_kind kind, struct bind *b)
{
    return bind_push_sized(lua, kind, b, sizeof(struct bind_handle));
}

static bool is_of_kind(lua_State *lua, int index, enum bind_kind kind)
{
    if (lua_type(lua, index) != LUA_TUSERDATA || !lua_getmetatable(lua, index)) {
        return false;
    }
    lua_rawgetp(lua, LUA_REGISTRYINDEX, &metatables[kind]);
    bool is_same = lua_rawequal(lua, -1, -2);
    lua_pop(lua, 2);
    return is_same;
}

struct bind_handle *bind_handle(lua_State *lua, int index, enum bind_kind kind)
{
    const struct rules *r = sandbox_script(lua)->rules;
    if (!is_of_kind(lua, index, kind)) {
        luaL_error(lua, "a %s is expected here; call methods with a colon, as in ds:elements()",
                   kind_names[kind]);
    }
    struct bind_handle *h = lua_touserdata(lua, index);
    if (r->call == NULL || h->call != r->calls) {
        luaL_error(lua, "this %s is of an earlier call; keep values, not data sets", kind_names[kind]);
    }
    return h;
}

void bind_install_kind(lua_State *lua, enum bind_kind kind, const luaL_Reg *methods)
{
    lua_newtable(lua);
    luaL_setfuncs(lua, methods, 0);
    lua_pushstring(lua, kind_names[kind]);
    lua_setfield(lua, -2, "__name");
    lua_pushliteral(lua, "protected");
    lua_setfield(lua, -2, "__metatable");
    lua_rawsetp(lua, LUA_REGISTRYINDEX, &metatables[kind]);
}

void bind_install(lua_State *lua)
{
    lua_newtable(lua);
    lua_rawsetp(lua, LUA_REGISTRYINDEX, &keywords);
    bind_install_data_set(lua);
    bind_install_sequence(lua);
    bind_install_elements(lua);
}

void bind_push(lua_State *lua, void *arg)
{
    struct bind *b = arg;
    bind_push_handle(lua, BIND_DATA_SET, b)->level = dicom_document_root(b->document);
}

void bind_tag_name(uint32_t tag, char text[96])
{
    const struct dicom_entry *entry = dicom_dictionary_find(tag);
    if (entry != NULL && entry->keyword[0] != '\0') {
        snprintf(text, 96, "%s (%04X,%04X)", entry->keyword, tag >> 16, tag & 0xFFFF);
    } else {
        snprintf(text, 96, "(%04X,%04X)", tag >> 16, tag & 0xFFFF);
    }
}

static int refuse_keyword(lua_State *lua, const char *key)
{
    static const char *const own[] = {"private",         "remove_private", "elements",    "walk",
                                      "transfer_syntax", "sop_class",      "sop_instance"};
    struct suggestion nearest = {.word = key};
    const struct dicom_entry *entry;
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        suggest_offer(&nearest, own[i]);
    }
    for (size_t i = 0; (entry = dicom_dictionary_at(i)) != NULL; i++) {
        if (entry->keyword[0] != '\0') {
            suggest_offer(&nearest, entry->keyword);
        }
    }
    if (nearest.name != NULL) {
        return luaL_error(lua, "\"%s\" is no keyword of the dictionary; did you mean %s?", key, nearest.name);
    }
    return luaL_error(
        lua, "\"%s\" is no keyword of the dictionary; write a keyword, or a tag as \"0010,0020\"", key);
}

static uint32_t tag_of_number(lua_State *lua, int index)
{
    lua_Integer n = lua_tointeger(lua, index);
    if (n < 0 || n > (lua_Integer)UINT32_MAX) {
        luaL_error(lua, "%I is no tag; write 0xGGGGEEEE", n);
    }
    return (uint32_t)n;
}

/* Keywords that were asked for once are found by Lua, which compares strings by their place. */
uint32_t bind_tag(lua_State *lua, int index)
{
    uint32_t tag;
    size_t len;
    if (lua_isinteger(lua, index)) {
        return tag_of_number(lua, index);
    }
    if (lua_type(lua, index) != LUA_TSTRING) {
        luaL_error(lua, "an attribute is named by its keyword or tag, not by %s", luaL_typename(lua, index));
    }
    lua_rawgetp(lua, LUA_REGISTRYINDEX, &keywords);
    lua_pushvalue(lua, index);
    if (lua_rawget(lua, -2) == LUA_TNUMBER) {
        tag = (uint32_t)lua_tointeger(lua, -1);
        lua_pop(lua, 2);
        return tag;
    }
    lua_pop(lua, 1);
    const char *key = lua_tolstring(lua, index, &len);
    if (!dicom_tag_parse(key, len, &tag) && dicom_dictionary_find_keyword(key, len, &tag) == NULL) {
        refuse_keyword(lua, key);
    }
    lua_pushvalue(lua, index);
    lua_pushinteger(lua, tag);
    lua_rawset(lua, -3);
    lua_pop(lua, 1);
    return tag;
}

int bind_fail(lua_State *lua, const struct bind *b, uint32_t tag)
{
    char name[96];
    if (b->document->arena.is_refused || b->text->decoded.failed || b->text->encoded.failed) {
        return sandbox_no_memory(lua);
    }
    bind_tag_name(b->document->tag != 0 ? b->document->tag : tag, name);
    return luaL_error(lua, "%s: %s", name, b->document->why);
}

void bind_check_writable(lua_State *lua, const struct bind *b)
{
    if (b->is_read_only) {
        luaL_error(lua, "in when the data set is read-only; change it in morph");
    }
}
