/* Values from a data set to Lua: text as strings in UTF-8, numbers as numbers, several as a table, sequences as lists. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "dicom/value.h"
#include "script/bind_inside.h"

static void push_number(lua_State *lua, const struct dicom_number *n)
{
    if (n->is_real || n->big > 0) {
        lua_pushnumber(lua, n->real);
    } else {
        lua_pushinteger(lua, (lua_Integer)n->integer);
    }
}

/* DS and IS are numbers, if they are; a whole DS is one without a fraction. */
void bind_push_text_value(lua_State *lua, enum dicom_vr vr, struct view text)
{
    struct dicom_number n;
    struct view trimmed = dicom_value_trim(vr, text);
    if ((vr == DICOM_VR_DS || vr == DICOM_VR_IS) && dicom_number_parse(vr, trimmed, &n)) {
        push_number(lua, &n);
    } else {
        lua_pushlstring(lua, trimmed.len == 0 ? "" : (const char *)trimmed.at, trimmed.len);
    }
}

static void push_text(lua_State *lua, struct bind *b, struct dicom_element *e, enum dicom_vr vr)
{
    struct view text;
    if (dicom_text_get(b->text, e, &text, NULL) != OK) {
        bind_fail(lua, b, e->tag);
    }
    const uint8_t *end =
        !dicom_vr_info(vr)->has_values || text.len == 0 ? NULL : memchr(text.at, '\\', text.len);
    if (end == NULL) {
        bind_push_text_value(lua, vr, text);
        return;
    }
    lua_newtable(lua);
    for (lua_Integer i = 1;; i++) {
        size_t len = end == NULL ? text.len : (size_t)(end - text.at);
        bind_push_text_value(lua, vr, (struct view){text.at, len});
        lua_rawseti(lua, -2, i);
        if (end == NULL) {
            return;
        }
        text = (struct view){end + 1, text.len - len - 1};
        end = text.len == 0 ? NULL : memchr(text.at, '\\', text.len);
    }
}

static void push_tag(lua_State *lua, const struct dicom_number *n)
{
    char text[16];
    snprintf(text, sizeof(text), "%04X,%04X", (unsigned)(n->integer >> 16) & 0xFFFF,
             (unsigned)n->integer & 0xFFFF);
    lua_pushstring(lua, text);
}

static void push_one_number(lua_State *lua, struct dicom_element *e, enum dicom_vr vr, size_t i)
{
    bool is_unsigned = vr == DICOM_VR_SS && i != 1 && dicom_is_lut_descriptor(e->tag);
    struct dicom_number n =
        dicom_number_at(is_unsigned ? DICOM_VR_US : vr, dicom_element_is_big_endian(e), e->value, i);
    if (vr == DICOM_VR_AT) {
        push_tag(lua, &n);
    } else {
        push_number(lua, &n);
    }
}

static void push_numbers(lua_State *lua, struct dicom_element *e, enum dicom_vr vr)
{
    size_t count = dicom_number_count(vr, e->value);
    if (count == 0) {
        lua_pushliteral(lua, "");
        return;
    }
    if (count == 1) {
        push_one_number(lua, e, vr, 0);
        return;
    }
    lua_createtable(lua, count < 1 << 16 ? (int)count : 1 << 16, 0);
    for (size_t i = 0; i < count; i++) {
        push_one_number(lua, e, vr, i);
        lua_rawseti(lua, -2, (lua_Integer)i + 1);
    }
}

void bind_push_value(lua_State *lua, struct bind *b, struct dicom_element *e)
{
    enum dicom_vr vr = dicom_element_vr(e);
    switch (dicom_vr_info(vr)->kind) {
    case DICOM_TEXT:
        push_text(lua, b, e, vr);
        break;
    case DICOM_NUMBER:
    case DICOM_TAGS:
        push_numbers(lua, e, vr);
        break;
    case DICOM_ITEMS:
        bind_push_handle(lua, BIND_SEQUENCE, b)->element = e;
        break;
    case DICOM_BYTES:
        lua_pushlstring(lua, e->value.len == 0 ? "" : (const char *)e->value.at, e->value.len);
        break;
    }
}
