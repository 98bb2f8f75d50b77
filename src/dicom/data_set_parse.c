/* Cuts levels into elements and sequences into items. */
#include "dicom/data_set_inside.h"

#include <string.h>

#include "dicom/dictionary.h"
#include "dicom/reader.h"

/* An element's header; of items and delimiters without VR. */
struct head {
    uint32_t tag, length;
    uint8_t len;
    bool is_implicit; /* without VR */
    enum dicom_vr vr;
};

static const struct dicom_encoding implicit = {false, false};

enum result dicom_fault(struct dicom_document *d, enum result r, const char *why, uint32_t tag)
{
    d->why = why;
    d->tag = tag;
    return r;
}

static enum result no_memory(struct dicom_document *d, uint32_t tag)
{
    return dicom_fault(d, ERR_MEMORY, "the data set takes more memory than it may", tag);
}

static bool is_of_items(uint32_t tag)
{
    return tag == DICOM_ITEM || tag == DICOM_ITEM_DELIMITATION || tag == DICOM_SEQUENCE_DELIMITATION;
}

static bool is_capital(uint8_t c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_printable(uint8_t c)
{
    return c >= 0x20 && c < 0x7F;
}

/*
 * Letters that are no VR, as in reader.c, which says why: two capitals are a VR to come, of the long form (PS3.5 7.1.2); what else can
 * be printed, or was never filled in, is of the short form; the rest is the length of an element that was written without VR.
 */
static void read_odd_letters(const uint8_t *letters, bool is_big_endian, struct head *h)
{
    bool is_text = is_printable(letters[0]) && is_printable(letters[1]);
    if (is_capital(letters[0]) && is_capital(letters[1]))
        h->len = 12;
    else
        h->is_implicit = !is_big_endian && !is_text && (letters[0] != 0 || letters[1] != 0);
}

bool dicom_length_is_letters(size_t len)
{
    uint8_t low = (uint8_t)len, high = (uint8_t)(len >> 8);
    return (is_printable(low) && is_printable(high)) || (low == 0 && high == 0 && len > 0);
}

/* False: it does not fit into what is left. */
static bool read_head(struct dicom_encoding encoding, const uint8_t *at, size_t left, struct head *h)
{
    if (left < 8)
        return false;
    bool is_big = encoding.is_big_endian;
    h->tag = is_big ? get_be32(at) : DICOM_TAG(get_le16(at), get_le16(at + 2));
    h->len = 8;
    h->vr = DICOM_VR_UNKNOWN;
    h->is_implicit = !encoding.is_explicit || is_of_items(h->tag);
    if (!h->is_implicit) {
        h->vr = dicom_vr_parse(at + 4);
        if (h->vr == DICOM_VR_UNKNOWN)
            read_odd_letters(at + 4, is_big, h);
        else if (dicom_vr_info(h->vr)->is_long)
            h->len = 12;
    }
    if (left < h->len)
        return false;
    if (h->is_implicit || h->len == 12)
        h->length = is_big ? get_be32(at + h->len - 4) : get_le32(at + h->len - 4);
    else
        h->length = is_big ? get_be16(at + 6) : get_le16(at + 6);
    return true;
}

static struct dicom_encoding inside_of(const struct dicom_element *e)
{
    return !e->is_implicit && e->written_vr == DICOM_VR_UN ? implicit : e->in->encoding;
}

struct dicom_data_set *dicom_item_new(struct dicom_element *e)
{
    struct dicom_data_set *item = arena_alloc(&e->in->document->arena, sizeof *item);
    if (!item)
        return NULL;
    item->document = e->in->document;
    item->sequence = e;
    item->encoding = inside_of(e);
    item->depth = (uint8_t)(e->in->depth + 1);
    item->lacks_vr = e->is_implicit || !item->encoding.is_explicit;
    return item;
}

bool dicom_items_insert(struct dicom_document *d, struct dicom_items *items, size_t i,
                        struct dicom_data_set *item)
{
    if (items->count == items->room) {
        size_t room = items->room ? items->room * 2 : 4;
        struct dicom_data_set **at = arena_alloc(&d->arena, room * sizeof(struct dicom_data_set *));
        if (!at)
            return false;
        if (items->count > 0)
            memcpy(at, items->at, items->count * sizeof(struct dicom_data_set *));
        items->at = at;
        items->room = room;
    }
    memmove(items->at + i + 1, items->at + i, (items->count - i) * sizeof(struct dicom_data_set *));
    items->at[i] = item;
    items->count++;
    return true;
}

/* The item whose header h stands at `at`; *stop_out is behind it. */
static enum result take_item(struct dicom_element *e, struct dicom_items *items, const uint8_t *at,
                             const uint8_t *end, const struct head *h, const uint8_t **stop_out)
{
    struct dicom_document *d = e->in->document;
    if (e->in->depth >= DICOM_DEPTH_MAX)
        return dicom_fault(d, ERR_LIMIT, "sequences are nested too deep", e->tag);
    struct dicom_data_set *item = dicom_item_new(e);
    if (!item || !dicom_items_insert(d, items, items->count, item))
        return no_memory(d, e->tag);
    item->is_undefined = h->length == DICOM_UNDEFINED_LENGTH;
    item->value = (struct view){at + 8, item->is_undefined ? (size_t)(end - at - 8) : h->length};
    *stop_out = item->value.at + item->value.len;
    if (item->is_undefined) {
        enum result r = dicom_parse_level(item, stop_out);
        if (r != OK)
            return r;
    }
    item->raw = (struct view){at, (size_t)(*stop_out - at)};
    return OK;
}

/*
 * Items, or, without `items`, fragments, up to `end`; if e is of undefined length up to its delimiter, and *stop_out is behind that.
 * A delimiter's own length says nothing (PS3.5 7.5).
 */
static enum result walk(struct dicom_element *e, struct dicom_items *items, const uint8_t *at,
                        const uint8_t *end, const uint8_t **stop_out)
{
    struct dicom_document *d = e->in->document;
    struct dicom_encoding encoding = inside_of(e);
    while (at != end) {
        struct head h;
        if (!read_head(encoding, at, (size_t)(end - at), &h))
            return dicom_fault(d, ERR_PROTO, "a sequence is cut off", e->tag);
        if (h.tag == DICOM_SEQUENCE_DELIMITATION && e->is_undefined) {
            *stop_out = at + 8;
            return OK;
        }
        if (h.tag != DICOM_ITEM)
            return dicom_fault(d, ERR_PROTO, "something else stands where an item should begin", e->tag);
        bool is_undefined = h.length == DICOM_UNDEFINED_LENGTH;
        if (!is_undefined && h.length > (size_t)(end - at - 8))
            return dicom_fault(d, ERR_PROTO, "an item reaches past what it stands in", e->tag);
        if (is_undefined && !items)
            return dicom_fault(d, ERR_PROTO, "a fragment has no length", e->tag);
        const uint8_t *stop = is_undefined ? end : at + 8 + h.length;
        enum result r = items ? take_item(e, items, at, end, &h, &stop) : OK;
        if (r != OK)
            return r;
        at = stop;
    }
    if (e->is_undefined)
        return dicom_fault(d, ERR_PROTO, "a sequence ends without its delimiter", e->tag);
    return OK;
}

enum result dicom_parse_items(struct dicom_element *e)
{
    struct dicom_document *d = e->in->document;
    struct dicom_items *items = arena_alloc(&d->arena, sizeof *items);
    if (!items)
        return no_memory(d, e->tag);
    const uint8_t *stop;
    enum result r = walk(e, items, e->value.at, e->value.at + e->value.len, &stop);
    if (r == OK)
        e->items = items;
    return r;
}

/* What has no length: a sequence, or fragments (PS3.5 7.5, A.4). */
static enum result take_undefined(struct dicom_element *e, enum dicom_vr vr, const uint8_t *at,
                                  const uint8_t *end, const uint8_t **stop_out)
{
    struct dicom_document *d = e->in->document;
    if (e->is_implicit)
        vr = dicom_dictionary_vr(e->tag);
    bool is_bytes = dicom_vr_info(vr)->kind == DICOM_BYTES && vr != DICOM_VR_UN;
    if (!e->is_implicit && !is_bytes && vr != DICOM_VR_SQ && vr != DICOM_VR_UN)
        return dicom_fault(d, ERR_PROTO, "a value has no length, which its VR must have", e->tag);
    e->is_undefined = true;
    e->is_encapsulated = is_bytes;
    e->is_sequence = !is_bytes;
    struct dicom_items *items = NULL;
    if (e->is_sequence) {
        items = arena_alloc(&d->arena, sizeof *items);
        if (!items)
            return no_memory(d, e->tag);
    }
    enum result r = walk(e, items, at, end, stop_out);
    if (r != OK)
        return r;
    e->items = items;
    e->value = (struct view){at, (size_t)(*stop_out - at - 8)};
    return OK;
}

static enum result take_element(struct dicom_data_set *ds, const uint8_t *at, const uint8_t *end,
                                const struct head *h, struct dicom_element **out)
{
    struct dicom_document *d = ds->document;
    struct dicom_element *e = arena_alloc(&d->arena, sizeof *e);
    if (!e)
        return no_memory(d, h->tag);
    e->tag = h->tag;
    e->in = ds;
    e->head_len = h->len;
    e->vr = e->written_vr = (uint8_t)h->vr;
    e->is_implicit = h->is_implicit;
    e->has_vr = !h->is_implicit && h->vr != DICOM_VR_UN && (h->vr != DICOM_VR_UNKNOWN || h->len == 12);
    const uint8_t *stop;
    if (h->length == DICOM_UNDEFINED_LENGTH) {
        enum result r = take_undefined(e, h->vr, at + h->len, end, &stop);
        if (r != OK)
            return r;
    } else {
        if (h->length > (size_t)(end - at - h->len))
            return dicom_fault(d, ERR_PROTO, "a value reaches past what it stands in", h->tag);
        e->value = (struct view){at + h->len, h->length};
        stop = e->value.at + h->length;
    }
    e->raw = (struct view){at, (size_t)(stop - at)};
    *out = e;
    return OK;
}

enum result dicom_parse_level(struct dicom_data_set *ds, const uint8_t **stop_out)
{
    struct dicom_element *first = NULL, *last = NULL;
    const uint8_t *at = ds->value.at, *end = at + ds->value.len, *stop = NULL;
    size_t count = 0, without_vr = 0, with_vr = 0;
    bool is_unsorted = false;
    while (at != end) {
        struct head h;
        if (!read_head(ds->encoding, at, (size_t)(end - at), &h))
            return dicom_fault(ds->document, ERR_PROTO, "an element's header is cut off",
                               last ? last->tag : 0);
        if (h.tag == DICOM_ITEM_DELIMITATION && ds->is_undefined) {
            stop = at + 8;
            break;
        }
        if (is_of_items(h.tag))
            return dicom_fault(ds->document, ERR_PROTO,
                               "an item or a delimiter stands where an element should",
                               last ? last->tag : h.tag);
        struct dicom_element *e;
        enum result r = take_element(ds, at, end, &h, &e);
        if (r != OK)
            return r;
        is_unsorted = is_unsorted || (last && last->tag > e->tag);
        *(last ? &last->next : &first) = e;
        last = e;
        at += e->raw.len;
        count++;
        without_vr += h.is_implicit;
        with_vr += h.vr != DICOM_VR_UNKNOWN;
    }
    if (ds->is_undefined && !stop)
        return dicom_fault(ds->document, ERR_PROTO, "an item ends without its delimiter",
                           last ? last->tag : 0);
    ds->value.len = (size_t)(at - ds->value.at);
    ds->first = first;
    ds->count = ds->total = count;
    ds->is_unsorted = is_unsorted;
    ds->is_parsed = true;
    if (without_vr + with_vr > 0)
        ds->lacks_vr = without_vr > with_vr;
    *stop_out = stop ? stop : at;
    return OK;
}
