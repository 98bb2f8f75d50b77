/* Writes a tree back: first how long everything has become, then the bytes. */
#include <string.h>

#include "base/assert.h"
#include "dicom/data_set.h"
#include "dicom/data_set_inside.h"
#include "dicom/tag.h"

static enum result measure_level(struct dicom_data_set *ds);
static uint8_t *write_level(const struct dicom_data_set *ds, uint8_t *to);

enum { ITEM_HEAD = 8, DELIMITER = 8 };

#define LENGTH_TO_END DICOM_TAG(0x0008, 0x0001)

static size_t made_head_len(const struct dicom_element *e)
{
    return !e->is_implicit && dicom_vr_info((enum dicom_vr)e->written_vr)->is_long ? 12 : 8;
}

static bool is_written_anew(const struct dicom_data_set *item)
{
    return item->is_made || item->is_changed;
}

static enum result measure_items(struct dicom_element *e, size_t *len_out)
{
    size_t len = 0;
    for (size_t i = 0; i < e->items->count; i++) {
        struct dicom_data_set *item = e->items->at[i];
        if (!is_written_anew(item)) {
            len += item->raw.len;
            continue;
        }
        enum result r = measure_level(item);
        if (r != OK)
            return r;
        if (!item->is_undefined && item->new_len >= DICOM_UNDEFINED_LENGTH)
            return dicom_fault(item->document, ERR_LIMIT, "an item is too long for its length field", e->tag);
        len += ITEM_HEAD + item->new_len + (item->is_undefined ? DELIMITER : 0);
    }
    *len_out = len;
    return OK;
}

static enum result measure_element(struct dicom_element *e)
{
    if (!e->is_changed) {
        e->new_len = e->raw.len;
        return OK;
    }
    size_t len = e->value.len;
    if (e->items) {
        enum result r = measure_items(e, &len);
        if (r != OK)
            return r;
        if (!e->is_undefined && len >= DICOM_UNDEFINED_LENGTH)
            return dicom_fault(e->in->document, ERR_LIMIT, "the sequence is too long for its length field",
                               e->tag);
    }
    if (e->is_implicit && e->in->encoding.is_explicit && !e->is_undefined && dicom_length_is_letters(len))
        return dicom_fault(e->in->document, ERR_LIMIT, "its new length would read as a VR, as it has none",
                           e->tag);
    e->new_len = (e->is_made ? made_head_len(e) : e->head_len) + len + (e->is_undefined ? DELIMITER : 0);
    return OK;
}

/* What a change anywhere in its level makes untrue. */
static bool is_stale(const struct dicom_element *e)
{
    if (e->tag == DICOM_DIGITAL_SIGNATURES || e->tag == DICOM_MAC_PARAMETERS)
        return true;
    if (e->in->sequence)
        return false;
    return e->tag == LENGTH_TO_END ||
           (dicom_is_group_length(e->tag) && dicom_group(e->tag) == dicom_group(e->in->document->behind));
}

/* A group is over: its length, if it has one, is made right, or dropped with the last of its elements. */
static void settle(struct dicom_element *length, uint64_t counted, size_t *total)
{
    if (!length)
        return;
    bool is_big = length->in->encoding.is_big_endian;
    bool has_form = length->value.len == 4 && counted <= UINT32_MAX;
    uint32_t old = !has_form ? 0 : is_big ? get_be32(length->value.at) : get_le32(length->value.at);
    if (!has_form || (counted == 0 && old != 0)) {
        length->is_dropped = true;
        *total -= length->new_len;
    } else if (counted != old) {
        length->is_counted = true;
        length->counted = (uint32_t)counted;
    }
}

static enum result measure_level(struct dicom_data_set *ds)
{
    size_t total = 0;
    struct dicom_element *length = NULL;
    uint64_t counted = 0;
    for (struct dicom_element *e = ds->first; e; e = e->next) {
        e->is_counted = false;
        e->is_dropped = e->is_removed || is_stale(e);
        if (e->is_dropped)
            continue;
        enum result r = measure_element(e);
        if (r != OK)
            return r;
        total += e->new_len;
        if (dicom_is_group_length(e->tag) || (length && dicom_group(length->tag) != dicom_group(e->tag))) {
            settle(length, counted, &total);
            length = dicom_is_group_length(e->tag) ? e : NULL;
            counted = 0;
        } else {
            counted += e->new_len;
        }
    }
    settle(length, counted, &total);
    ds->new_len = total;
    return OK;
}

static uint8_t *copy(uint8_t *to, const uint8_t *from, size_t len)
{
    if (len > 0)
        memcpy(to, from, len);
    return to + len;
}

static void put_32(uint8_t *to, bool is_big_endian, uint32_t v)
{
    if (is_big_endian)
        put_be32(to, v);
    else
        put_le32(to, v);
}

static void put_16(uint8_t *to, bool is_big_endian, uint16_t v)
{
    if (is_big_endian)
        put_be16(to, v);
    else
        put_le16(to, v);
}

static void put_tag(uint8_t *to, bool is_big_endian, uint32_t tag)
{
    put_16(to, is_big_endian, dicom_group(tag));
    put_16(to + 2, is_big_endian, (uint16_t)tag);
}

static uint8_t *write_made_head(const struct dicom_element *e, uint8_t *to, uint32_t len)
{
    struct dicom_encoding encoding = e->in->encoding;
    const struct dicom_vr_info *info = dicom_vr_info((enum dicom_vr)e->written_vr);
    put_tag(to, encoding.is_big_endian, e->tag);
    if (e->is_implicit) {
        put_32(to + 4, encoding.is_big_endian, len);
        return to + 8;
    }
    memcpy(to + 4, info->name, 2);
    if (!info->is_long) {
        put_16(to + 6, encoding.is_big_endian, (uint16_t)len);
        return to + 8;
    }
    memset(to + 6, 0, 2);
    put_32(to + 8, encoding.is_big_endian, len);
    return to + 12;
}

static uint8_t *write_item(const struct dicom_data_set *item, uint8_t *to)
{
    bool is_big = item->encoding.is_big_endian;
    put_tag(to, is_big, DICOM_ITEM);
    put_32(to + 4, is_big, item->is_undefined ? DICOM_UNDEFINED_LENGTH : (uint32_t)item->new_len);
    to = write_level(item, to + ITEM_HEAD);
    return item->is_undefined ? copy(to, item->raw.at + item->raw.len - DELIMITER, DELIMITER) : to;
}

/* A header that came keeps its letters and reserved bytes; the length is its last four. */
static uint8_t *write_element(const struct dicom_element *e, uint8_t *to)
{
    if (!e->items) {
        to = write_made_head(e, to, (uint32_t)e->value.len);
        return copy(to, e->value.at, e->value.len);
    }
    if (e->is_made) {
        to = write_made_head(e, to, (uint32_t)(e->new_len - made_head_len(e)));
    } else {
        to = copy(to, e->raw.at, e->head_len);
        if (!e->is_undefined)
            put_32(to - 4, e->in->encoding.is_big_endian, (uint32_t)(e->new_len - e->head_len));
    }
    for (size_t i = 0; i < e->items->count; i++) {
        const struct dicom_data_set *item = e->items->at[i];
        to = is_written_anew(item) ? write_item(item, to) : copy(to, item->raw.at, item->raw.len);
    }
    return e->is_undefined ? copy(to, e->raw.at + e->raw.len - DELIMITER, DELIMITER) : to;
}

/* Elements that came and stay as they are go as one run with those beside them. */
static uint8_t *write_level(const struct dicom_data_set *ds, uint8_t *to)
{
    struct view run = ds->value;
    run.len = 0;
    for (const struct dicom_element *e = ds->first; e; e = e->next) {
        if (e->is_dropped)
            continue;
        if (!e->is_changed && !e->is_counted && run.len > 0 && run.at + run.len == e->raw.at) {
            run.len += e->raw.len;
            continue;
        }
        to = copy(to, run.at, run.len);
        run.len = 0;
        if (e->is_changed) {
            to = write_element(e, to);
        } else if (e->is_counted) {
            to = copy(to, e->raw.at, e->raw.len);
            put_32(to - 4, ds->encoding.is_big_endian, e->counted);
        } else {
            run = e->raw;
        }
    }
    return copy(to, run.at, run.len);
}

enum result dicom_document_measure(struct dicom_document *d, size_t *len_out)
{
    struct dicom_data_set *root = d->root;
    enum result r = root->is_changed ? measure_level(root) : OK;
    *len_out = root->is_changed ? root->new_len : d->bytes.len;
    return r;
}

void dicom_document_write_to(const struct dicom_document *d, uint8_t *to)
{
    const struct dicom_data_set *root = d->root;
    if (root->is_changed)
        hilum_assert(write_level(root, to) == to + root->new_len);
    else
        copy(to, d->bytes.at, d->bytes.len);
}

enum result dicom_document_write(struct dicom_document *d, struct octets *out)
{
    size_t start = out->len, len;
    enum result r = dicom_document_measure(d, &len);
    if (r != OK)
        return r;
    octets_fill(out, 0, len); /* room, taken once */
    if (out->failed)
        return dicom_fault(d, ERR_MEMORY, "no memory", 0);
    if (len > 0)
        dicom_document_write_to(d, out->data + start);
    return OK;
}
