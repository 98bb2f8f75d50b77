/* Values from Lua to a data set: checked by VR, encoded in the instance's character set. */
#include <string.h>

#include "dicom/dictionary.h"
#include "dicom/tag.h"
#include "dicom/value.h"
#include "script/bind_inside.h"
#include "script/sandbox.h"

static int refuse(lua_State *lua, uint32_t tag, const char *why)
{
    char name[96];
    bind_tag_name(tag, name);
    return luaL_error(lua, "%s: %s", name, why);
}

static void check_ok(lua_State *lua, const struct bind *b, uint32_t tag, enum result r)
{
    if (r != OK) {
        bind_fail(lua, b, tag);
    }
}

static void refuse_charset(lua_State *lua)
{
    refuse(lua, DICOM_SPECIFIC_CHARACTER_SET, "in an item it cannot be changed; set that of the data set");
}

static bool is_behind(const struct bind *b, const struct dicom_data_set *ds, uint32_t tag)
{
    return b->behind != 0 && tag >= b->behind && dicom_data_set_depth(ds) == 0;
}

static bool is_among(const uint32_t *tags, size_t count, uint32_t tag)
{
    for (size_t i = 0; i < count; i++) {
        if (tags[i] == tag) {
            return true;
        }
    }
    return false;
}

void bind_touch(struct bind *b, const struct dicom_data_set *ds, uint32_t tag)
{
    while (dicom_data_set_depth(ds) > 0) {
        tag = dicom_data_set_sequence(ds)->tag;
        ds = dicom_element_data_set(dicom_data_set_sequence(ds));
    }
    if (b->behind == 0 || is_among(b->touched, b->touched_count, tag)) {
        return;
    }
    if (b->touched_count == BIND_TOUCHED_MAX) {
        b->tail_drops_below = true;
    } else {
        b->touched[b->touched_count++] = tag;
    }
}

static void remove_behind(lua_State *lua, struct bind *b, uint32_t tag)
{
    if (is_among(b->tail, b->tail_count, tag)) {
        return;
    }
    if (b->tail_count == BIND_TAIL_MAX) {
        refuse(lua, tag, "too many elements behind pixel data are removed; at most 32 can be");
    }
    b->tail[b->tail_count++] = tag;
}

/* Without a name the text would be read in another set than it is in: at the root it is encoded anew, in items it is that around. */
static void remove_charset(lua_State *lua, struct bind *b, struct dicom_data_set *ds)
{
    static const struct view ascii = {(const uint8_t *)"", 0};
    if (dicom_data_set_find(ds, DICOM_SPECIFIC_CHARACTER_SET) == NULL) {
        return;
    }
    if (dicom_data_set_depth(ds) > 0) {
        refuse_charset(lua);
    }
    check_ok(lua, b, DICOM_SPECIFIC_CHARACTER_SET, dicom_text_recode(b->text, b->document, ascii));
    dicom_data_set_remove(ds, DICOM_SPECIFIC_CHARACTER_SET);
}

void bind_remove(lua_State *lua, struct bind *b, struct dicom_data_set *ds, uint32_t tag)
{
    bind_check_writable(lua, b);
    bool also_behind = is_behind(b, ds, tag);
    if (also_behind) {
        remove_behind(lua, b, tag); /* first, as it may be refused */
    }
    if (tag == DICOM_SPECIFIC_CHARACTER_SET) {
        remove_charset(lua, b, ds);
    } else {
        dicom_data_set_remove(ds, tag); /* also what stands here out of order */
    }
    if (!also_behind) {
        bind_touch(b, ds, tag);
    }
}

void bind_remove_element(lua_State *lua, struct bind *b, struct dicom_element *e)
{
    bind_check_writable(lua, b);
    if (e->is_removed) {
        return;
    }
    if (e->tag == DICOM_SPECIFIC_CHARACTER_SET) {
        remove_charset(lua, b, dicom_element_data_set(e));
    } else {
        dicom_element_remove(e);
    }
    bind_touch(b, dicom_element_data_set(e), e->tag);
}

/* By Pixel Representation where the dictionary leaves a choice, as where it is read. */
static enum dicom_vr signed_or_not(struct dicom_data_set *ds)
{
    struct dicom_element *e = dicom_data_set_find_outwards(ds, DICOM_PIXEL_REPRESENTATION);
    if (e == NULL || dicom_number_count(DICOM_VR_US, e->value) == 0) {
        return DICOM_VR_US;
    }
    bool is_signed = dicom_number_at(DICOM_VR_US, dicom_element_is_big_endian(e), e->value, 0).integer == 1;
    return is_signed ? DICOM_VR_SS : DICOM_VR_US;
}

static enum dicom_vr vr_of(lua_State *lua, struct dicom_data_set *ds, uint32_t tag)
{
    struct dicom_element *e = dicom_data_set_find(ds, tag);
    const struct dicom_entry *entry = dicom_dictionary_find(tag);
    if (tag ==
        DICOM_SPECIFIC_CHARACTER_SET) { /* whatever was written: put as bytes it would change what all text means */
        return DICOM_VR_CS;
    }
    if (e != NULL && dicom_element_vr(e) != DICOM_VR_UN) {
        return dicom_element_vr(e);
    }
    if (dicom_is_private_creator(tag)) {
        return DICOM_VR_LO;
    }
    if (dicom_is_private(tag) && e == NULL) {
        refuse(lua, tag,
               "a private element needs its creator; write ds:private(creator, group, low, value, vr)");
    }
    if (entry == NULL) {
        return DICOM_VR_UN;
    }
    bool may_be_signed = entry->vr[0] == DICOM_VR_US && entry->vr[1] == DICOM_VR_SS;
    return may_be_signed ? signed_or_not(ds) : entry->vr[0];
}

/* One value, text or number, appended to the scratch as text. */
static void append_text(lua_State *lua, struct bind *b, uint32_t tag, enum dicom_vr vr, int index)
{
    struct view text;
    const char *why = NULL;
    if (lua_type(lua, index) == LUA_TNUMBER && (vr == DICOM_VR_DS || vr == DICOM_VR_IS)) {
        struct dicom_number n = lua_isinteger(lua, index) ? dicom_number_of_integer(lua_tointeger(lua, index))
                                                          : dicom_number_of_real(lua_tonumber(lua, index));
        why = dicom_number_append(vr, false, &n, &b->scratch);
    } else if (lua_type(lua, index) == LUA_TSTRING || lua_isinteger(lua, index)) {
        lua_pushvalue(lua, index); /* lua_tolstring turns numbers into strings where they stand */
        text.at = (const uint8_t *)lua_tolstring(lua, -1, &text.len);
        text.len = dicom_value_trim(vr, text).at == text.at ? dicom_value_trim(vr, text).len : text.len;
        why = dicom_text_check(vr, text);
        if (why == NULL) {
            octets_append(&b->scratch, text.at, text.len);
        }
        lua_pop(lua, 1);
    } else {
        why = "its value is a string, a number, or a table of these";
    }
    if (why != NULL) {
        refuse(lua, tag, why);
    }
}

/* A string with backslashes is several values, as in the file. */
static void append_texts(lua_State *lua, struct bind *b, uint32_t tag, enum dicom_vr vr, int index)
{
    size_t len = 0;
    const char *text = NULL;
    if (dicom_vr_info(vr)->has_values && lua_type(lua, index) == LUA_TSTRING) {
        text = lua_tolstring(lua, index, &len);
    }
    if (text == NULL || memchr(text, '\\', len) == NULL) {
        append_text(lua, b, tag, vr, index);
        return;
    }
    for (;;) {
        const char *end = memchr(text, '\\', len);
        size_t one = end == NULL ? len : (size_t)(end - text);
        lua_pushlstring(lua, text, one);
        append_text(lua, b, tag, vr, lua_gettop(lua));
        lua_pop(lua, 1);
        if (end == NULL) {
            return;
        }
        octets_u8(&b->scratch, '\\');
        text += one + 1;
        len -= one + 1;
    }
}

static size_t count_values(struct view text)
{
    size_t count = 1;
    for (size_t i = 0; i < text.len; i++) {
        count += text.at[i] == '\\';
    }
    return count;
}

/* Of other VRs more values than the dictionary has are common and do no harm; commands and files go by UIDs. As many as came may be
 * put in their place: rules that replace UIDs meet all that writers can do. */
static void check_count(lua_State *lua, uint32_t tag, const struct dicom_element *old, struct view text)
{
    const struct dicom_entry *entry = dicom_dictionary_find(tag);
    size_t count = count_values(text);
    bool is_single = entry != NULL && entry->vr[0] == DICOM_VR_UI && entry->vm_max == 1;
    if (is_single && count > 1 && (old == NULL || count > count_values(old->value))) {
        refuse(lua, tag, "it has one UID only");
    }
}

static void put_text(lua_State *lua, struct bind *b, struct dicom_data_set *ds, uint32_t tag,
                     enum dicom_vr vr, int index)
{
    struct dicom_element *e = dicom_data_set_find(ds, tag);
    if (e != NULL && bind_has_text(lua, b, e, vr, index)) {
        check_ok(lua, b, tag,
                 dicom_data_set_put(ds, tag, vr, e->value)); /* no change, but to duplicates behind it */
        return;
    }
    octets_clear(&b->scratch);
    if (lua_istable(lua, index)) {
        lua_Unsigned count = lua_rawlen(lua, index);
        if (count > 1 && !dicom_vr_info(vr)->has_values) {
            refuse(lua, tag, "its VR has one value only");
        }
        for (lua_Unsigned i = 1; i <= count; i++) {
            if (i > 1) {
                octets_u8(&b->scratch, '\\');
            }
            lua_rawgeti(lua, index, (lua_Integer)i);
            append_text(lua, b, tag, vr, lua_gettop(lua));
            lua_pop(lua, 1);
        }
    } else {
        append_texts(lua, b, tag, vr, index);
    }
    if (b->scratch.failed) {
        sandbox_no_memory(lua);
    }
    struct view text = {b->scratch.data, b->scratch.len};
    check_count(lua, tag, e, text);
    if (tag == DICOM_SPECIFIC_CHARACTER_SET) {
        if (dicom_data_set_depth(ds) > 0) {
            refuse_charset(lua);
        }
        check_ok(lua, b, tag, dicom_text_recode(b->text, b->document, text));
    } else {
        check_ok(lua, b, tag, dicom_text_put(b->text, ds, tag, vr, text));
    }
}

static void append_number(lua_State *lua, struct bind *b, uint32_t tag, enum dicom_vr vr, bool is_big,
                          int index)
{
    struct dicom_number n;
    uint32_t value;
    size_t len;
    if (lua_isinteger(lua, index)) {
        n = dicom_number_of_integer(lua_tointeger(lua, index));
    } else if (lua_type(lua, index) == LUA_TNUMBER) {
        n = dicom_number_of_real(lua_tonumber(lua, index));
    } else if (vr == DICOM_VR_AT && lua_type(lua, index) == LUA_TSTRING) {
        const char *text = lua_tolstring(lua, index, &len);
        if (!dicom_tag_parse(text, len, &value)) {
            refuse(lua, tag, "an AT is a tag, as \"0010,0020\"");
        }
        n = dicom_number_of_integer(value);
    } else {
        refuse(lua, tag, "its value is a number, or a table of numbers");
        return;
    }
    const char *why = dicom_number_append(vr, is_big, &n, &b->scratch);
    if (why != NULL) {
        refuse(lua, tag, why);
    }
}

/* Of a LUT descriptor some are unsigned whatever its VR is, as where they are read. */
static enum dicom_vr vr_at(uint32_t tag, enum dicom_vr vr, lua_Unsigned i)
{
    return vr == DICOM_VR_SS && i != 2 && dicom_is_lut_descriptor(tag) ? DICOM_VR_US : vr;
}

static void put_numbers(lua_State *lua, struct bind *b, struct dicom_data_set *ds, uint32_t tag,
                        enum dicom_vr vr, int index)
{
    bool is_big = dicom_data_set_encoding(ds).is_big_endian;
    octets_clear(&b->scratch);
    if (lua_istable(lua, index)) {
        lua_Unsigned count = lua_rawlen(lua, index);
        for (lua_Unsigned i = 1; i <= count; i++) {
            lua_rawgeti(lua, index, (lua_Integer)i);
            append_number(lua, b, tag, vr_at(tag, vr, i), is_big, lua_gettop(lua));
            lua_pop(lua, 1);
        }
    } else if (lua_type(lua, index) != LUA_TSTRING || lua_rawlen(lua, index) > 0) { /* "" is an empty value */
        append_number(lua, b, tag, vr_at(tag, vr, 1), is_big, index);
    }
    if (b->scratch.failed) {
        sandbox_no_memory(lua);
    }
    check_ok(lua, b, tag, dicom_data_set_put(ds, tag, vr, (struct view){b->scratch.data, b->scratch.len}));
}

static void put_bytes(lua_State *lua, struct bind *b, struct dicom_data_set *ds, uint32_t tag,
                      enum dicom_vr vr, int index)
{
    size_t len;
    if (lua_type(lua, index) != LUA_TSTRING) {
        refuse(lua, tag, "its value is a string of bytes");
    }
    const char *bytes = lua_tolstring(lua, index, &len);
    check_ok(lua, b, tag, dicom_data_set_put(ds, tag, vr, (struct view){(const uint8_t *)bytes, len}));
}

/* What Lua reads of fragments has their item headers in it, so that written as a value it would be something else. */
static void leave_encapsulated(lua_State *lua, struct bind *b, struct dicom_element *e, int index)
{
    size_t len = 0;
    const char *bytes = lua_type(lua, index) == LUA_TSTRING ? lua_tolstring(lua, index, &len) : NULL;
    if (bytes == NULL || len != e->value.len || (len > 0 && memcmp(bytes, e->value.at, len) != 0)) {
        refuse(lua, e->tag,
               "it is encapsulated, a list of fragments; it can be left as it is or removed, not set");
    }
    check_ok(lua, b, e->tag,
             dicom_data_set_put(dicom_element_data_set(e), e->tag, dicom_element_vr(e), e->value));
}

void bind_fill_item(lua_State *lua, struct bind *b, struct dicom_data_set *item, int index)
{
    luaL_checkstack(lua, 8, "items are nested too deeply");
    for (lua_pushnil(lua); lua_next(lua, index) != 0; lua_pop(lua, 1)) {
        uint32_t tag = bind_tag(lua, lua_gettop(lua) - 1);
        bind_put_value(lua, b, item, tag, DICOM_VR_UNKNOWN, lua_gettop(lua));
    }
}

/* All or nothing: a rule may catch the error and go on. */
static void put_items(lua_State *lua, struct bind *b, struct dicom_data_set *ds, uint32_t tag, int index)
{
    struct dicom_element *e;
    struct dicom_data_set *item;
    if (!lua_istable(lua, index)) {
        refuse(lua, tag, "a sequence is set to a list of items, { { Keyword = value, ... }, ... }");
    }
    bool is_nested = dicom_data_set_is_aside(ds); /* and goes, or not, with what is around it */
    check_ok(lua, b, tag,
             is_nested ? dicom_data_set_put_sequence(ds, tag, &e)
                       : dicom_data_set_sequence_aside(ds, tag, &e));
    lua_Unsigned count = lua_rawlen(lua, index);
    for (lua_Unsigned i = 1; i <= count; i++) {
        if (lua_rawgeti(lua, index, (lua_Integer)i) != LUA_TTABLE) {
            refuse(lua, tag, "an item is a table, { Keyword = value, ... }");
        }
        check_ok(lua, b, tag, dicom_element_insert_item(e, i - 1, &item));
        bind_fill_item(lua, b, item, lua_gettop(lua));
        lua_pop(lua, 1);
    }
    if (!is_nested) {
        check_ok(lua, b, tag, dicom_text_settle(b->text, e));
        check_ok(lua, b, tag, dicom_data_set_put_aside(e));
    }
}

void bind_put_value(lua_State *lua, struct bind *b, struct dicom_data_set *ds, uint32_t tag, enum dicom_vr vr,
                    int index)
{
    bind_check_writable(lua, b);
    if (is_behind(b, ds, tag)) {
        refuse(lua, tag, "pixel data and what stands behind it can be removed, not set");
    }
    if (vr == DICOM_VR_UNKNOWN) {
        vr = vr_of(lua, ds, tag);
    }
    struct dicom_element *e = dicom_data_set_find(ds, tag);
    if (e != NULL && dicom_element_is_encapsulated(e)) {
        leave_encapsulated(lua, b, e, index);
        bind_touch(b, ds, tag);
        return;
    }
    switch (dicom_vr_info(vr)->kind) {
    case DICOM_TEXT:
        put_text(lua, b, ds, tag, vr, index);
        break;
    case DICOM_NUMBER:
    case DICOM_TAGS:
        put_numbers(lua, b, ds, tag, vr, index);
        break;
    case DICOM_ITEMS:
        put_items(lua, b, ds, tag, index);
        break;
    case DICOM_BYTES:
        put_bytes(lua, b, ds, tag, vr, index);
        break;
    }
    if (!dicom_data_set_is_aside(ds)) {
        bind_touch(b, ds, tag);
    }
}
