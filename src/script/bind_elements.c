/* Going over elements: of one level, and of all with those picked out that a table has something for. */
#include <string.h>

#include "dicom/dictionary.h"
#include "dicom/reader.h"
#include "script/bind_inside.h"
#include "script/sandbox.h"

/* An element as ds:elements() gives it. */
static int read_field(lua_State *lua)
{
    struct bind_handle *h = bind_handle(lua, 1, BIND_ELEMENT);
    const char *key = luaL_checkstring(lua, 2);
    struct dicom_element *e = h->element;
    if (strcmp(key, "tag") == 0) {
        lua_pushinteger(lua, e->tag);
    } else if (strcmp(key, "vr") == 0) {
        lua_pushstring(lua, dicom_vr_info(dicom_element_vr(e))->name);
    } else if (strcmp(key, "keyword") == 0) {
        const struct dicom_entry *entry = dicom_dictionary_find(e->tag);
        lua_pushstring(lua, entry == NULL ? "" : entry->keyword);
    } else if (strcmp(key, "value") == 0) {
        bind_push_value(lua, h->bind, e);
    } else {
        return luaL_error(lua, "an element has no '%s'; it has tag, vr, keyword and value", key);
    }
    return 1;
}

static int write_field(lua_State *lua)
{
    struct bind_handle *h = bind_handle(lua, 1, BIND_ELEMENT);
    struct dicom_element *e = h->element;
    bind_check_writable(lua, h->bind);
    if (strcmp(luaL_checkstring(lua, 2), "value") != 0) {
        return luaL_error(lua, "of an element only the value can be set");
    }
    if (lua_isnil(lua, 3)) {
        bind_remove_element(lua, h->bind, e);
    } else {
        bind_put_value(lua, h->bind, dicom_element_data_set(e), e->tag, DICOM_VR_UNKNOWN, 3);
    }
    return 0;
}

/* The handle of the level keeps the place: `element` is the last one given out. */
static int next_element(lua_State *lua)
{
    struct bind_handle *h = bind_handle(lua, 1, BIND_DATA_SET);
    sandbox_charge(lua, 1);
    h->element = h->element == NULL ? dicom_data_set_first(h->level) : dicom_element_next(h->element);
    if (h->element == NULL) {
        return 0;
    }
    bind_push_handle(lua, BIND_ELEMENT, h->bind)->element = h->element;
    return 1;
}

/* ds:elements() */
int bind_elements(lua_State *lua)
{
    struct bind_handle *h = bind_handle(lua, 1, BIND_DATA_SET);
    lua_pushcfunction(lua, next_element);
    bind_push_handle(lua, BIND_DATA_SET, h->bind)->level = h->level;
    return 2;
}

struct walk {
    struct bind_handle handle; /* first */
    unsigned depth;
    struct walk_level {
        struct dicom_data_set *level;
        struct dicom_element *element; /* the last one looked at; NULL: none yet */
        struct dicom_data_set *in;     /* the item of it that was gone through last; NULL: none yet */
        size_t item;                   /* the place of the next one */
    } stack[DICOM_DEPTH_MAX + 1];
};

/* Into the next item of the element looked at last, if it is a sequence that is still there. */
static bool descend(lua_State *lua, struct walk *w)
{
    struct walk_level *top = &w->stack[w->depth];
    struct dicom_element *e = top->element;
    struct dicom_data_set *item;
    size_t count;
    if (e == NULL || e->is_removed || dicom_element_vr(e) != DICOM_VR_SQ) {
        return false;
    }
    if (dicom_element_items(e, &count) != OK) {
        bind_fail(lua, w->handle.bind, e->tag);
    }
    if (top->in != NULL) { /* a rule may have removed it, and others */
        top->item = dicom_element_place_behind(e, top->in, top->item);
    }
    if (top->item >= count || w->depth == DICOM_DEPTH_MAX) {
        return false;
    }
    if (dicom_element_item(e, top->item++, &item) != OK) {
        bind_fail(lua, w->handle.bind, e->tag);
    }
    top->in = item;
    w->stack[++w->depth] = (struct walk_level){.level = item};
    return true;
}

/* The next element of all. NULL: there are no more. */
static struct dicom_element *advance(lua_State *lua, struct walk *w)
{
    for (;;) {
        if (descend(lua, w)) {
            continue;
        }
        struct walk_level *top = &w->stack[w->depth];
        struct dicom_element *e =
            top->element == NULL ? dicom_data_set_first(top->level) : dicom_element_next(top->element);
        if (e != NULL) {
            *top = (struct walk_level){.level = top->level, .element = e};
            return e;
        }
        if (w->depth == 0) {
            return NULL;
        }
        w->depth--;
    }
}

/* Pushes what the table at the index has for the tag: by tag, by group, for all private ones. */
static bool push_action(lua_State *lua, int actions, uint32_t tag)
{
    if (lua_rawgeti(lua, actions, tag) != LUA_TNIL) {
        return true;
    }
    lua_pop(lua, 1);
    if (lua_rawgeti(lua, actions, tag >> 16) != LUA_TNIL) {
        return true;
    }
    lua_pop(lua, 1);
    if (!dicom_is_private(tag)) {
        return false;
    }
    lua_pushliteral(lua, "private");
    if (lua_rawget(lua, actions) != LUA_TNIL) {
        return true;
    }
    lua_pop(lua, 1);
    return false;
}

static int next_of_walk(lua_State *lua)
{
    struct walk *w = (struct walk *)bind_handle(lua, lua_upvalueindex(1), BIND_WALK);
    struct dicom_element *e;
    while ((e = advance(lua, w)) != NULL) {
        sandbox_charge(lua, 1);
        if (!push_action(lua, lua_upvalueindex(2), e->tag)) {
            continue;
        }
        bind_push_handle(lua, BIND_DATA_SET, w->handle.bind)->level = w->stack[w->depth].level;
        lua_pushinteger(lua, e->tag);
        lua_pushstring(lua, dicom_vr_info(dicom_element_vr(e))->name);
        lua_pushvalue(lua, -4);
        return 4;
    }
    return 0;
}

/* for item, tag, vr, action in ds:walk(actions) */
int bind_walk(lua_State *lua)
{
    struct bind_handle *h = bind_handle(lua, 1, BIND_DATA_SET);
    luaL_checktype(lua, 2, LUA_TTABLE);
    h->bind->tail_drops_below = true;
    struct walk *w = (struct walk *)bind_push_sized(lua, BIND_WALK, h->bind, sizeof(*w));
    w->depth = 0;
    w->stack[0] = (struct walk_level){.level = h->level};
    lua_pushvalue(lua, 2);
    lua_pushcclosure(lua, next_of_walk, 2);
    return 1;
}

void bind_install_elements(lua_State *lua)
{
    static const luaL_Reg element[] = {{"__index", read_field}, {"__newindex", write_field}, {NULL, NULL}};
    static const luaL_Reg none[] = {{NULL, NULL}};
    bind_install_kind(lua, BIND_ELEMENT, element);
    bind_install_kind(lua, BIND_WALK, none);
}
