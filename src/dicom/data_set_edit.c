/* Changes in the tree. All memory is taken before anything is changed. */
#include <string.h>

#include "dicom/data_set.h"
#include "dicom/data_set_inside.h"
#include "dicom/reader.h"
#include "dicom/tag.h"

enum { LENGTH_16_MAX = 65534 }; /* the longest even one */

static void level_changed(struct dicom_data_set *ds)
{
    while (!ds->is_changed) {
        ds->is_changed = true;
        if (!ds->sequence)
            return;
        ds->sequence->is_changed = true;
        if (ds->sequence->is_aside)
            return;
        ds = ds->sequence->in;
    }
}

static enum result no_memory(struct dicom_document *d, uint32_t tag)
{
    return dicom_fault(d, ERR_MEMORY, "the data set takes more memory than it may", tag);
}

/* Why a new element of this tag cannot stand here; NULL: it can. (PS3.5 7.1, 7.2) */
static const char *why_not(const struct dicom_data_set *ds, uint32_t tag)
{
    if (dicom_is_group_length(tag))
        return "a group length is counted, not set";
    if (dicom_group(tag) == 0xFFFE)
        return "it is an item or a delimiter";
    if (dicom_is_foreign(tag))
        return "its group does not belong into a data set";
    if (!ds->sequence && ds->document->behind && tag >= ds->document->behind)
        return "its place is at or behind the pixel data";
    return NULL;
}

static void remove_element(struct dicom_element *e)
{
    e->is_removed = true;
    e->in->count--;
    level_changed(e->in);
}

void dicom_element_remove(struct dicom_element *e)
{
    if (!e->is_removed)
        remove_element(e);
}

bool dicom_data_set_remove(struct dicom_data_set *ds, uint32_t tag)
{
    bool has_any = false;
    struct dicom_range range = dicom_range_of(ds, tag, tag);
    for (struct dicom_element *e; (e = dicom_range_next(&range, false));) {
        remove_element(e);
        has_any = true;
    }
    return has_any;
}

static void remove_duplicates(struct dicom_element *of)
{
    struct dicom_range range = dicom_range_of(of->in, of->tag, of->tag);
    for (struct dicom_element *e; (e = dicom_range_next(&range, false));)
        if (e != of)
            remove_element(e);
}

/* The element to be made: the first of this tag, one that was removed, or a new one that hangs nowhere yet. NULL: *r_out says why. */
static struct dicom_element *take_place(struct dicom_data_set *ds, uint32_t tag, enum result *r_out)
{
    struct dicom_element *e = dicom_data_set_find(ds, tag);
    struct dicom_range range = dicom_range_of(ds, tag, tag);
    if (!e)
        e = dicom_range_next(&range, true);
    const char *why = !e || e->is_removed || dicom_is_group_length(tag) ? why_not(ds, tag) : NULL;
    if (why) {
        *r_out = dicom_fault(ds->document, ERR_USAGE, why, tag);
        return NULL;
    }
    if (!e) {
        e = arena_alloc(&ds->document->arena, sizeof *e);
        if (!e) {
            *r_out = no_memory(ds->document, tag);
            return NULL;
        }
        e->tag = tag;
    }
    return e;
}

/* Whether a new or replaced element is written without VR: as it was; where that cannot be told, as others around it. */
static bool goes_without_vr(const struct dicom_data_set *ds, const struct dicom_element *e)
{
    if (e->in && (e->is_implicit || e->written_vr != DICOM_VR_UNKNOWN))
        return e->is_implicit;
    return ds->lacks_vr;
}

/* Gives an element its new content; a new one gets its place. */
static void make(struct dicom_data_set *ds, struct dicom_element *e, enum dicom_vr vr, enum dicom_vr written,
                 struct view value, struct dicom_items *items)
{
    e->value = value;
    e->items = items;
    e->vr = (uint8_t)vr;
    e->written_vr = (uint8_t)written;
    e->has_vr = e->is_made = e->is_changed = true;
    e->is_undefined = e->is_encapsulated = false;
    e->is_sequence = items != NULL;
    if (!e->in) {
        e->in = ds;
        dicom_level_insert(ds, e);
    } else if (e->is_removed) {
        e->is_removed = false;
        ds->count++;
    }
    level_changed(ds);
    remove_duplicates(e);
}

/* Numbers of the other byte order. */
static void swap(uint8_t *at, size_t len, size_t unit)
{
    for (size_t i = 0; i + unit <= len; i += unit)
        for (size_t k = 0; k < unit / 2; k++) {
            uint8_t byte = at[i + k];
            at[i + k] = at[i + unit - 1 - k];
            at[i + unit - 1 - k] = byte;
        }
}

static bool has_value(struct dicom_element *e, enum dicom_vr vr, struct view value, char pad)
{
    if (!e->in || e->is_removed || dicom_element_vr(e) != vr || vr == DICOM_VR_SQ)
        return false;
    if (e->is_undefined && !e->is_encapsulated) /* of fragments the same bytes are the same ones */
        return false;
    if (dicom_element_is_big_endian(e) != e->in->encoding.is_big_endian)
        return false; /* UN in big endian: the same bytes are another value */
    if (e->value.len == value.len + 1 && value.len % 2 == 1)
        return e->value.at[value.len] == (uint8_t)pad && memcmp(e->value.at, value.at, value.len) == 0;
    return e->value.len == value.len && (value.len == 0 || memcmp(e->value.at, value.at, value.len) == 0);
}

enum result dicom_data_set_put(struct dicom_data_set *ds, uint32_t tag, enum dicom_vr vr, struct view value)
{
    struct dicom_document *d = ds->document;
    if (vr == DICOM_VR_SQ)
        return dicom_fault(d, ERR_USAGE, "a sequence has items, no value", tag);
    if (value.len > DICOM_UNDEFINED_LENGTH - 2)
        return dicom_fault(d, ERR_LIMIT, "the value is too long for its length field", tag);
    enum result r = OK;
    struct dicom_element *e = take_place(ds, tag, &r);
    if (!e)
        return r;
    const struct dicom_vr_info *info = dicom_vr_info(vr);
    if (has_value(e, vr, value, info->pad)) {
        remove_duplicates(e);
        return OK;
    }
    size_t len = value.len + value.len % 2;
    uint8_t *copy = arena_alloc(&d->arena, len);
    if (!copy)
        return no_memory(d, tag);
    if (value.len > 0)
        memcpy(copy, value.at, value.len);
    if (len > value.len)
        copy[value.len] = (uint8_t)info->pad;
    bool is_implicit = goes_without_vr(ds, e) && !(ds->encoding.is_explicit && dicom_length_is_letters(len));
    enum dicom_vr written = vr;
    if (vr == DICOM_VR_UNKNOWN || (!is_implicit && !info->is_long && len > LENGTH_16_MAX)) {
        written = DICOM_VR_UN;
        if (ds->encoding.is_big_endian)
            swap(copy, len, info->unit);
    }
    e->is_implicit = is_implicit;
    make(ds, e, vr, written, (struct view){copy, len}, NULL);
    return OK;
}

static bool is_empty_sequence(struct dicom_element *e)
{
    size_t count;
    return e->in && !e->is_removed && !e->is_encapsulated && dicom_element_vr(e) == DICOM_VR_SQ &&
           dicom_element_items(e, &count) == OK && count == 0;
}

enum result dicom_data_set_put_sequence(struct dicom_data_set *ds, uint32_t tag, struct dicom_element **out)
{
    *out = NULL;
    enum result r = OK;
    struct dicom_element *e = take_place(ds, tag, &r);
    if (!e)
        return r;
    if (is_empty_sequence(e)) {
        remove_duplicates(e);
    } else {
        struct dicom_items *items = arena_alloc(&ds->document->arena, sizeof *items);
        if (!items)
            return no_memory(ds->document, tag);
        e->is_implicit = goes_without_vr(ds, e);
        make(ds, e, DICOM_VR_SQ, DICOM_VR_SQ, (struct view){NULL, 0}, items);
    }
    *out = e;
    return OK;
}

static void items_changed(struct dicom_element *e)
{
    e->is_changed = true;
    if (!e->is_aside)
        level_changed(e->in);
}

enum result dicom_element_insert_item(struct dicom_element *e, size_t i, struct dicom_data_set **out)
{
    struct dicom_document *d = e->in->document;
    *out = NULL;
    size_t count;
    enum result r = dicom_element_items(e, &count);
    if (r != OK)
        return r;
    if (i > count)
        return dicom_fault(d, ERR_USAGE, "items before it are missing", e->tag);
    if (e->in->depth >= DICOM_DEPTH_MAX)
        return dicom_fault(d, ERR_LIMIT, "sequences are nested too deep", e->tag);
    struct dicom_data_set *item = dicom_item_new(e);
    if (!item || !dicom_items_insert(d, e->items, i, item))
        return no_memory(d, e->tag);
    item->is_made = item->is_parsed = true;
    items_changed(e);
    *out = item;
    return OK;
}

static void mark_gone(struct dicom_data_set **at, size_t i)
{
    at[0]->is_gone = true;
    at[0]->before_gone = i > 0 ? at[-1] : NULL;
}

enum result dicom_element_remove_item(struct dicom_element *e, size_t i)
{
    size_t count;
    enum result r = dicom_element_items(e, &count);
    if (r != OK)
        return r;
    if (i >= count)
        return dicom_fault(e->in->document, ERR_USAGE, "there is no such item", e->tag);
    struct dicom_data_set **at = e->items->at + i;
    mark_gone(at, i);
    memmove(at, at + 1, (count - i - 1) * sizeof(struct dicom_data_set *));
    e->items->count--;
    items_changed(e);
    return OK;
}

/* An empty sequence that hangs nowhere. */
static struct dicom_element *new_aside(struct dicom_data_set *ds, uint32_t tag, bool is_implicit,
                                       enum dicom_vr written)
{
    struct dicom_element *e = arena_alloc(&ds->document->arena, sizeof *e);
    struct dicom_items *items = arena_alloc(&ds->document->arena, sizeof *items);
    if (!e || !items)
        return NULL;
    e->tag = tag;
    e->in = ds;
    e->items = items;
    e->vr = DICOM_VR_SQ;
    e->written_vr = (uint8_t)written;
    e->is_implicit = is_implicit;
    e->has_vr = e->is_sequence = e->is_made = e->is_changed = e->is_aside = true;
    return e;
}

enum result dicom_data_set_sequence_aside(struct dicom_data_set *ds, uint32_t tag,
                                          struct dicom_element **aside_out)
{
    *aside_out = NULL;
    enum result r = OK;
    const struct dicom_element *place = take_place(ds, tag, &r);
    if (!place)
        return r;
    *aside_out = new_aside(ds, tag, goes_without_vr(ds, place), DICOM_VR_SQ);
    return *aside_out ? OK : no_memory(ds->document, tag);
}

enum result dicom_element_item_aside(struct dicom_element *e, struct dicom_element **aside_out,
                                     struct dicom_data_set **item_out)
{
    size_t count;
    *aside_out = NULL;
    *item_out = NULL;
    enum result r = dicom_element_items(e, &count);
    if (r != OK)
        return r;
    *aside_out = new_aside(e->in, e->tag, e->is_implicit, (enum dicom_vr)e->written_vr);
    return *aside_out ? dicom_element_insert_item(*aside_out, 0, item_out)
                      : no_memory(e->in->document, e->tag);
}

enum result dicom_data_set_put_aside(struct dicom_element *aside)
{
    struct dicom_data_set *ds = aside->in;
    enum result r = OK;
    struct dicom_element *e = take_place(ds, aside->tag, &r);
    if (!e)
        return r;
    if (aside->items->count == 0 && is_empty_sequence(e)) {
        remove_duplicates(e);
        return OK;
    }
    for (size_t i = 0; i < aside->items->count; i++)
        aside->items->at[i]->sequence = e;
    e->is_implicit = aside->is_implicit;
    make(ds, e, DICOM_VR_SQ, DICOM_VR_SQ, (struct view){NULL, 0}, aside->items);
    return OK;
}

enum result dicom_element_put_item(struct dicom_element *e, size_t i, struct dicom_element *aside)
{
    size_t count;
    enum result r = dicom_element_items(e, &count);
    if (r != OK)
        return r;
    if (i > count)
        return dicom_fault(e->in->document, ERR_USAGE, "items before it are missing", e->tag);
    struct dicom_data_set *item = aside->items->at[0];
    if (i < count) {
        mark_gone(e->items->at + i, i);
        e->items->at[i] = item;
    } else if (!dicom_items_insert(e->in->document, e->items, i, item)) {
        return no_memory(e->in->document, e->tag);
    }
    item->sequence = e;
    items_changed(e);
    return OK;
}
