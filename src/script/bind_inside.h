/* What the parts of the binding share. */
#ifndef HILUM_SCRIPT_BIND_INSIDE_H
#define HILUM_SCRIPT_BIND_INSIDE_H

#include <lauxlib.h>
#include <lua.h>

#include "script/bind.h"

/* Kinds of handles; each is a userdata of this form. */
struct bind_handle {
    uint64_t call; /* that it was made in */
    struct bind *bind;
    struct dicom_data_set *level;  /* of a data set */
    struct dicom_element *element; /* of a sequence, or of an element that is looked at */
};

enum bind_kind { BIND_DATA_SET, BIND_SEQUENCE, BIND_ELEMENT, BIND_WALK };
#define BIND_KINDS 4

/* Pushes a new handle; the second, one with room behind it for more. */
struct bind_handle *bind_push_handle(lua_State *lua, enum bind_kind kind, struct bind *b);
struct bind_handle *bind_push_sized(lua_State *lua, enum bind_kind kind, struct bind *b, size_t size);
/* The handle at the index, of this kind and of the call that is running; or a Lua error. */
struct bind_handle *bind_handle(lua_State *lua, int index, enum bind_kind kind);
/* The metatable's methods. */
void bind_install_kind(lua_State *lua, enum bind_kind kind, const luaL_Reg *methods);

/* The tag that a key means: a keyword, "gggg,eeee", a number. A Lua error, with a suggestion, for what is none. */
uint32_t bind_tag(lua_State *lua, int index);
/* "PatientName (0010,0010)", for messages; at least 96 bytes. */
void bind_tag_name(uint32_t tag, char text[96]);
/* Raises what the document says of its last failure. */
int bind_fail(lua_State *lua, const struct bind *b, uint32_t tag);
void bind_check_writable(lua_State *lua, const struct bind *b);

/* The element's value as Lua sees it (bind_read.c). */
void bind_push_value(lua_State *lua, struct bind *b, struct dicom_element *e);
/* One value of text, without its padding. */
void bind_push_text_value(lua_State *lua, enum dicom_vr vr, struct view text);
/* The element, of this VR of text, reads as the Lua value at the index (bind_same.c). */
bool bind_has_text(lua_State *lua, struct bind *b, struct dicom_element *e, enum dicom_vr vr, int index);
/* Puts the Lua value at the index (bind_write.c). vr: DICOM_VR_UNKNOWN: that of the element that is there, or the dictionary's. */
void bind_put_value(lua_State *lua, struct bind *b, struct dicom_data_set *ds, uint32_t tag, enum dicom_vr vr,
                    int index);
void bind_remove(lua_State *lua, struct bind *b, struct dicom_data_set *ds, uint32_t tag);
/* This one alone, of several of its tag in the header. */
void bind_remove_element(lua_State *lua, struct bind *b, struct dicom_element *e);
/* The morph has set or removed this one: of its copies behind pixel data, or of those of the sequence that it is in, none is to stay. */
void bind_touch(struct bind *b, const struct dicom_data_set *ds, uint32_t tag);
/* Fills an empty item, built aside, with the fields of the table at the index. */
void bind_fill_item(lua_State *lua, struct bind *b, struct dicom_data_set *item, int index);

void bind_install_data_set(lua_State *lua);
void bind_install_sequence(lua_State *lua);
void bind_install_elements(lua_State *lua);
/* ds:elements(), ds:walk(actions) (bind_elements.c). */
int bind_elements(lua_State *lua);
int bind_walk(lua_State *lua);

#endif
