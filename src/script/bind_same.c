/* Whether an element has a value of text already, as Lua would read it: padding, and how a number is spelled, make no other value. */
#include <string.h>

#include "dicom/value.h"
#include "script/bind_inside.h"

/* The values of an element, one after the other. */
struct values {
    enum dicom_vr vr;
    struct view rest;
    bool is_over;
};

/* False: there are no more. */
static bool next_value(struct values *v, struct view *out)
{
    if (v->is_over) {
        return false;
    }
    bool has_values = dicom_vr_info(v->vr)->has_values && v->rest.len > 0;
    const uint8_t *end = has_values ? memchr(v->rest.at, '\\', v->rest.len) : NULL;
    size_t len = end == NULL ? v->rest.len : (size_t)(end - v->rest.at);
    *out = dicom_value_trim(v->vr, (struct view){v->rest.at, len});
    v->is_over = end == NULL;
    if (end != NULL) {
        v->rest = (struct view){end + 1, v->rest.len - len - 1};
    }
    return true;
}

static bool is_same_text(struct view a, struct view b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/* A number is compared by value where it would be read as one; all else by its characters. */
static bool has_next(lua_State *lua, struct values *v, int index)
{
    struct view there;
    size_t len;
    int type = lua_type(lua, index);
    bool is_numeric = v->vr == DICOM_VR_DS || v->vr == DICOM_VR_IS;
    if ((type != LUA_TNUMBER && type != LUA_TSTRING) || !next_value(v, &there)) {
        return false;
    }
    lua_pushvalue(lua, index);
    bool is_same;
    if (type == LUA_TNUMBER && is_numeric) {
        bind_push_text_value(lua, v->vr, there);
        is_same = lua_rawequal(lua, -1, -2);
        lua_pop(lua, 1);
    } else {
        const char *text = lua_tolstring(lua, -1, &len);
        is_same = is_same_text(there, dicom_value_trim(v->vr, (struct view){(const uint8_t *)text, len}));
    }
    lua_pop(lua, 1);
    return is_same;
}

/* A string with backslashes is several values. */
static bool has_split(lua_State *lua, struct values *v, int index)
{
    size_t len;
    struct view there;
    if (lua_type(lua, index) != LUA_TSTRING) {
        return has_next(lua, v, index);
    }
    const char *text = lua_tolstring(lua, index, &len);
    struct values wanted = {.vr = v->vr, .rest = {(const uint8_t *)text, len}};
    for (struct view one; next_value(&wanted, &one);) {
        if (!next_value(v, &there) || !is_same_text(one, there)) {
            return false;
        }
    }
    return true;
}

static bool has_table(lua_State *lua, struct values *v, int index)
{
    lua_Unsigned count = lua_rawlen(lua, index);
    struct view there;
    if (count == 0) {
        return next_value(v, &there) && there.len == 0;
    }
    bool is_same = true;
    for (lua_Unsigned i = 1; i <= count && is_same; i++) {
        lua_rawgeti(lua, index, (lua_Integer)i);
        is_same = has_next(lua, v, lua_gettop(lua));
        lua_pop(lua, 1);
    }
    return is_same;
}

bool bind_has_text(lua_State *lua, struct bind *b, struct dicom_element *e, enum dicom_vr vr, int index)
{
    struct view text;
    if (dicom_element_vr(e) != vr) {
        return false;
    }
    if (dicom_text_get(b->text, e, &text, NULL) != OK) {
        bind_fail(lua, b, e->tag);
    }
    struct values v = {.vr = vr, .rest = text};
    return (lua_istable(lua, index) ? has_table(lua, &v, index) : has_split(lua, &v, index)) && v.is_over;
}
