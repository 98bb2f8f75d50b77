/* A data set as Lua's object: keys, and methods. */
#include <string.h>

#include "dicom/dictionary.h"
#include "script/bind_inside.h"
#include "script/sandbox.h"

static void push_fact(lua_State *lua, struct view text)
{
    lua_pushlstring(lua, text.at == NULL ? "" : (const char *)text.at, text.len);
}

static enum dicom_vr optional_vr(lua_State *lua, int index)
{
    size_t len;
    const char *name = luaL_optlstring(lua, index, "UN", &len);
    enum dicom_vr vr = len == 2 ? dicom_vr_parse((const uint8_t *)name) : DICOM_VR_UNKNOWN;
    if (vr == DICOM_VR_UNKNOWN) {
        luaL_error(lua, "\"%s\" is no VR; write two capital letters, as \"LO\"", name);
    }
    return vr;
}

struct private_name {
    uint16_t group;
    struct view creator;
    uint8_t low;
};

static struct private_name check_private(lua_State *lua)
{
    size_t len;
    const char *creator = luaL_checklstring(lua, 2, &len);
    lua_Integer group = luaL_checkinteger(lua, 3);
    lua_Integer low = luaL_checkinteger(lua, 4);
    if (group < 0x0009 || group > 0xFFFD || group % 2 == 0) {
        luaL_error(lua, "private groups are odd, 0x0009 to 0xFFFD");
    }
    if (low < 0 || low > 0xFF) {
        luaL_error(lua, "a private element goes by the low byte of its number, 0x00 to 0xFF");
    }
    return (struct private_name){(uint16_t)group, {(const uint8_t *)creator, len}, (uint8_t)low};
}

static void put_private(lua_State *lua, const struct bind_handle *h, const struct private_name *name)
{
    struct dicom_element *e = dicom_data_set_find_private(h->level, name->group, name->creator, name->low);
    bind_check_writable(lua, h->bind);
    if (lua_isnil(lua, 5)) {
        if (e != NULL) {
            bind_remove_element(lua, h->bind, e);
        }
        return;
    }
    uint32_t tag;
    enum dicom_vr vr = e != NULL && lua_isnoneornil(lua, 6) ? dicom_element_vr(e) : optional_vr(lua, 6);
    if (dicom_data_set_private_tag(h->level, name->group, name->creator, name->low, &tag) != OK) {
        bind_fail(lua, h->bind, 0);
    }
    bind_put_value(lua, h->bind, h->level, tag, vr, 5);
    if (dicom_data_set_put_creator(h->level, tag, name->creator) != OK) {
        bind_fail(lua, h->bind, tag);
    }
}

/* ds:private(creator, group, low [, value [, vr]]) */
static int private(lua_State *lua)
{
    struct bind_handle *h = bind_handle(lua, 1, BIND_DATA_SET);
    struct private_name name = check_private(lua);
    if (lua_gettop(lua) >= 5) {
        put_private(lua, h, &name);
        return 0;
    }
    struct dicom_element *e = dicom_data_set_find_private(h->level, name.group, name.creator, name.low);
    if (e == NULL) {
        lua_pushnil(lua);
    } else {
        bind_push_value(lua, h->bind, e);
    }
    return 1;
}

static void remove_private_below(lua_State *lua, const struct bind *b, struct dicom_data_set *ds)
{
    dicom_data_set_remove_private(ds);
    for (struct dicom_element *e = dicom_data_set_first(ds); e != NULL; e = dicom_element_next(e)) {
        size_t count;
        sandbox_charge(lua, 1);
        if (dicom_element_vr(e) != DICOM_VR_SQ) {
            continue;
        }
        if (dicom_element_items(e, &count) != OK) {
            bind_fail(lua, b, e->tag);
        }
        for (size_t i = 0; i < count; i++) {
            struct dicom_data_set *item;
            if (dicom_element_item(e, i, &item) != OK) {
                bind_fail(lua, b, e->tag);
            }
            remove_private_below(lua, b, item);
        }
    }
}

/* ds:remove_private(["behind"]) */
static int remove_private(lua_State *lua)
{
    static const char *const parts[] = {"all", "behind", NULL};
    struct bind_handle *h = bind_handle(lua, 1, BIND_DATA_SET);
    bind_check_writable(lua, h->bind);
    if (luaL_checkoption(lua, 2, "all", parts) == 0) {
        remove_private_below(lua, h->bind, h->level);
    }
    h->bind->tail_drops_private = h->bind->tail_drops_private || dicom_data_set_depth(h->level) == 0;
    return 0;
}

static const struct {
    const char *key;
    lua_CFunction method;
} methods[] = {{"elements", bind_elements},
               {"walk", bind_walk},
               {"private", private},
               {"remove_private", remove_private}};

/* Keys in lower case are ours. */
static bool push_own(lua_State *lua, const struct bind *b, const char *key)
{
    if (strcmp(key, "transfer_syntax") == 0) {
        push_fact(lua, b->transfer_syntax);
    } else if (strcmp(key, "sop_class") == 0) {
        push_fact(lua, b->sop_class);
    } else if (strcmp(key, "sop_instance") == 0) {
        push_fact(lua, b->sop_instance);
    } else {
        for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
            if (strcmp(key, methods[i].key) == 0) {
                lua_pushcfunction(lua, methods[i].method);
                return true;
            }
        }
        return false;
    }
    return true;
}

static bool is_own_key(lua_State *lua, int index)
{
    if (lua_type(lua, index) != LUA_TSTRING) {
        return false;
    }
    char first = lua_tostring(lua, index)[0];
    return first >= 'a' && first <= 'z';
}

static int read_key(lua_State *lua)
{
    struct bind_handle *h = bind_handle(lua, 1, BIND_DATA_SET);
    if (is_own_key(lua, 2) && push_own(lua, h->bind, lua_tostring(lua, 2))) {
        return 1;
    }
    struct dicom_element *e = dicom_data_set_find(h->level, bind_tag(lua, 2));
    if (e == NULL) {
        lua_pushnil(lua);
    } else {
        bind_push_value(lua, h->bind, e);
    }
    return 1;
}

static int write_key(lua_State *lua)
{
    struct bind_handle *h = bind_handle(lua, 1, BIND_DATA_SET);
    bind_check_writable(lua, h->bind);
    if (is_own_key(lua, 2) && push_own(lua, h->bind, lua_tostring(lua, 2))) {
        return luaL_error(lua, "ds.%s is read-only", lua_tostring(lua, 2));
    }
    uint32_t tag = bind_tag(lua, 2);
    if (lua_isnil(lua, 3)) {
        bind_remove(lua, h->bind, h->level, tag);
    } else {
        bind_put_value(lua, h->bind, h->level, tag, DICOM_VR_UNKNOWN, 3);
    }
    return 0;
}

void bind_install_data_set(lua_State *lua)
{
    static const luaL_Reg metamethods[] = {{"__index", read_key}, {"__newindex", write_key}, {NULL, NULL}};
    bind_install_kind(lua, BIND_DATA_SET, metamethods);
}
