/* A sequence as Lua's list of data sets. */
#include <string.h>

#include "script/bind_inside.h"
#include "script/sandbox.h"

static size_t count_items(lua_State *lua, const struct bind_handle *h)
{
    size_t count;
    if (dicom_element_items(h->element, &count) != OK) {
        bind_fail(lua, h->bind, h->element->tag);
    }
    return count;
}

static int length(lua_State *lua)
{
    lua_pushinteger(lua, (lua_Integer)count_items(lua, bind_handle(lua, 1, BIND_SEQUENCE)));
    return 1;
}

static lua_Integer check_index(lua_State *lua, uint32_t tag)
{
    if (!lua_isinteger(lua, 2)) {
        char name[96];
        bind_tag_name(tag, name);
        luaL_error(lua, "%s is a sequence; its items go by number, from 1", name);
    }
    return lua_tointeger(lua, 2);
}

static int read_item(lua_State *lua)
{
    struct bind_handle *h = bind_handle(lua, 1, BIND_SEQUENCE);
    lua_Integer i = check_index(lua, h->element->tag);
    struct dicom_data_set *item;
    if (i < 1 || (lua_Unsigned)i > count_items(lua, h)) {
        lua_pushnil(lua);
        return 1;
    }
    if (dicom_element_item(h->element, (size_t)i - 1, &item) != OK) {
        bind_fail(lua, h->bind, h->element->tag);
    }
    bind_push_handle(lua, BIND_DATA_SET, h->bind)->level = item;
    return 1;
}

static void check_ok(lua_State *lua, const struct bind_handle *h, enum result r)
{
    if (r != OK) {
        bind_fail(lua, h->bind, h->element->tag);
    }
}

/* The table at 3 as the i-th item: built aside, so that one that is refused changes nothing. */
static void put_item(lua_State *lua, const struct bind_handle *h, size_t i)
{
    struct dicom_element *aside;
    struct dicom_data_set *item;
    check_ok(lua, h, dicom_element_item_aside(h->element, &aside, &item));
    bind_fill_item(lua, h->bind, item, 3);
    check_ok(lua, h, dicom_text_settle(h->bind->text, aside));
    check_ok(lua, h, dicom_element_put_item(h->element, i, aside));
}

/* seq[i] = nil removes an item; seq[#seq + 1] = { ... } appends one, and any other i replaces it. */
static int write_item(lua_State *lua)
{
    struct bind_handle *h = bind_handle(lua, 1, BIND_SEQUENCE);
    bind_check_writable(lua, h->bind);
    lua_Integer i = check_index(lua, h->element->tag);
    size_t count = count_items(lua, h);
    bool is_removal = lua_isnil(lua, 3);
    if (i < 1 || (lua_Unsigned)i > count + !is_removal) {
        return luaL_error(lua, "there are %I items; the next one is [%I]", (lua_Integer)count,
                          (lua_Integer)count + 1);
    }
    if (!is_removal && !lua_istable(lua, 3)) {
        return luaL_error(lua, "an item is set to a table, { Keyword = value, ... }");
    }
    if (is_removal) {
        sandbox_charge(lua, (count - (size_t)i) / 8 + 1); /* those behind it move */
        check_ok(lua, h, dicom_element_remove_item(h->element, (size_t)i - 1));
    } else {
        put_item(lua, h, (size_t)i - 1);
    }
    bind_touch(h->bind, dicom_element_data_set(h->element), h->element->tag);
    return 0;
}

void bind_install_sequence(lua_State *lua)
{
    static const luaL_Reg metamethods[] = {
        {"__index", read_item}, {"__newindex", write_item}, {"__len", length}, {NULL, NULL}};
    bind_install_kind(lua, BIND_SEQUENCE, metamethods);
}
