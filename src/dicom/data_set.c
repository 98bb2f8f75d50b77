/* The document, its levels and elements: what is where, and what VR counts. */
#include "dicom/data_set.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "dicom/data_set_inside.h"
#include "dicom/dictionary.h"

/* Levels of fewer elements are looked through one by one. */
enum { INDEX_FROM = 12, INDEX_SPARE = 16 };

enum result dicom_document_parse(struct dicom_document *d, struct view bytes, struct dicom_encoding encoding,
                                 uint32_t behind, size_t memory_max)
{
    static const uint8_t nothing;
    *d = (struct dicom_document){.behind = behind, .arena = {.max = memory_max}};
    d->bytes = bytes.len > 0 ? bytes : (struct view){&nothing, 0};
    d->root = arena_alloc(&d->arena, sizeof *d->root);
    if (!d->root)
        return dicom_fault(d, ERR_MEMORY, "the data set takes more memory than it may", 0);
    d->root->document = d;
    d->root->encoding = encoding;
    d->root->lacks_vr = !encoding.is_explicit;
    d->root->raw = d->root->value = d->bytes;
    const uint8_t *stop;
    return dicom_parse_level(d->root, &stop);
}

void dicom_document_free(struct dicom_document *d)
{
    arena_free(&d->arena);
    *d = (struct dicom_document){0};
}

struct dicom_data_set *dicom_document_root(const struct dicom_document *d)
{
    return d->root;
}

bool dicom_document_is_changed(const struct dicom_document *d)
{
    return d->root->is_changed;
}

static struct dicom_element *skip_removed(struct dicom_element *e)
{
    while (e && e->is_removed)
        e = e->next;
    return e;
}

struct dicom_element *dicom_data_set_first(const struct dicom_data_set *ds)
{
    return skip_removed(ds->first);
}

struct dicom_element *dicom_element_next(const struct dicom_element *e)
{
    return skip_removed(e->next);
}

size_t dicom_data_set_count(const struct dicom_data_set *ds)
{
    return ds->count;
}

struct dicom_document *dicom_data_set_document(const struct dicom_data_set *ds)
{
    return ds->document;
}

struct dicom_element *dicom_data_set_sequence(const struct dicom_data_set *ds)
{
    return ds->sequence;
}

unsigned dicom_data_set_depth(const struct dicom_data_set *ds)
{
    return ds->depth;
}

bool dicom_data_set_is_aside(const struct dicom_data_set *ds)
{
    while (ds->sequence && !ds->sequence->is_aside)
        ds = ds->sequence->in;
    return ds->sequence != NULL;
}

struct dicom_encoding dicom_data_set_encoding(const struct dicom_data_set *ds)
{
    return ds->encoding;
}

struct dicom_data_set *dicom_element_data_set(const struct dicom_element *e)
{
    return e->in;
}

static int by_tag_and_place(const void *left, const void *right)
{
    const struct dicom_element *a = *(struct dicom_element *const *)left;
    const struct dicom_element *b = *(struct dicom_element *const *)right;
    if (a->tag != b->tag)
        return a->tag < b->tag ? -1 : 1;
    return a->new_len < b->new_len ? -1 : a->new_len > b->new_len;
}

/* Without one everything is found as well, only slower: no memory is no fault here. */
static bool has_index(struct dicom_data_set *ds)
{
    if (ds->index)
        return true;
    if (ds->total < INDEX_FROM)
        return false;
    size_t room = ds->total + INDEX_SPARE;
    ds->index = arena_alloc(&ds->document->arena, room * sizeof(struct dicom_element *));
    if (!ds->index)
        return false;
    ds->index_room = room;
    size_t n = 0;
    for (struct dicom_element *e = ds->first; e; e = e->next) {
        e->new_len =
            n; /* holds nothing but while the tree is written: its place, so that of duplicates the first is first */
        ds->index[n++] = e;
    }
    hilum_assert(n == ds->total);
    if (ds->is_unsorted)
        qsort(ds->index, n, sizeof(struct dicom_element *), by_tag_and_place);
    return true;
}

/* Where the first element of at least this tag stands. */
static size_t position(const struct dicom_data_set *ds, uint32_t tag)
{
    size_t low = 0, high = ds->total;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ds->index[middle]->tag < tag)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct dicom_range dicom_range_of(struct dicom_data_set *ds, uint32_t lo, uint32_t hi)
{
    struct dicom_range range = {.ds = ds, .lo = lo, .hi = hi};
    range.is_indexed = has_index(ds);
    if (range.is_indexed)
        range.i = position(ds, lo);
    else
        range.next = ds->first;
    return range;
}

struct dicom_element *dicom_range_next(struct dicom_range *range, bool with_removed)
{
    while (range->is_indexed && range->i < range->ds->total) {
        struct dicom_element *e = range->ds->index[range->i];
        if (e->tag > range->hi)
            return NULL;
        range->i++;
        if (with_removed || !e->is_removed)
            return e;
    }
    while (range->next) {
        struct dicom_element *e = range->next;
        range->next = e->next;
        if (e->tag >= range->lo && e->tag <= range->hi && (with_removed || !e->is_removed))
            return e;
    }
    return NULL;
}

static void insert_into_index(struct dicom_data_set *ds, size_t i, struct dicom_element *e)
{
    if (ds->total == ds->index_room) {
        size_t room = ds->index_room * 2;
        struct dicom_element **index =
            arena_alloc(&ds->document->arena, room * sizeof(struct dicom_element *));
        if (!index) {
            ds->index = NULL;
            return;
        }
        memcpy(index, ds->index, ds->total * sizeof(struct dicom_element *));
        ds->index = index;
        ds->index_room = room;
    }
    memmove(ds->index + i + 1, ds->index + i, (ds->total - i) * sizeof(struct dicom_element *));
    ds->index[i] = e;
}

/* The one of the next lower tag, of several the last; NULL: there is none. */
static struct dicom_element *next_lower(const struct dicom_data_set *ds, uint32_t tag)
{
    struct dicom_element *lower = NULL;
    for (struct dicom_element *e = ds->first; e; e = e->next)
        if (e->tag <= tag && (!lower || e->tag >= lower->tag))
            lower = e;
    return lower;
}

void dicom_level_insert(struct dicom_data_set *ds, struct dicom_element *e)
{
    struct dicom_element *before;
    if (has_index(ds)) {
        size_t i = position(ds, e->tag); /* no other has its tag */
        before = i > 0 ? ds->index[i - 1] : NULL;
        insert_into_index(ds, i, e);
    } else {
        before = next_lower(ds, e->tag);
    }
    struct dicom_element **link = before ? &before->next : &ds->first;
    e->next = *link;
    *link = e;
    ds->count++;
    ds->total++;
}

struct dicom_element *dicom_data_set_find(struct dicom_data_set *ds, uint32_t tag)
{
    struct dicom_range range = dicom_range_of(ds, tag, tag);
    return dicom_range_next(&range, false);
}

struct dicom_element *dicom_data_set_find_outwards(struct dicom_data_set *ds, uint32_t tag)
{
    struct dicom_element *e = dicom_data_set_find(ds, tag);
    while (!e && ds->sequence) {
        ds = ds->sequence->in;
        e = dicom_data_set_find(ds, tag);
    }
    return e;
}

/* The first 16-bit number of an attribute that says how others are to be read, here or around. */
static uint16_t number_around(struct dicom_data_set *ds, uint32_t tag, uint16_t otherwise)
{
    const struct dicom_element *e = dicom_data_set_find_outwards(ds, tag);
    if (!e || e->value.len < 2)
        return otherwise;
    return dicom_element_is_big_endian(e) ? get_be16(e->value.at) : get_le16(e->value.at);
}

static bool has_alternative(const struct dicom_entry *entry, enum dicom_vr vr)
{
    return entry->vr[0] == vr || entry->vr[1] == vr || entry->vr[2] == vr;
}

/* Explicit, but with letters that nobody filled in: a length of 16 bits. */
static bool is_without_letters(const struct dicom_element *e)
{
    return !e->is_implicit && e->written_vr == DICOM_VR_UNKNOWN;
}

/* Where the dictionary leaves a choice, what is around decides (PS3.5 A.1, A.2). False: there is no choice. */
static bool choose(const struct dicom_element *e, enum dicom_vr *vr)
{
    if (*vr != DICOM_VR_US && *vr != DICOM_VR_SS && *vr != DICOM_VR_OB && *vr != DICOM_VR_OW)
        return false;
    const struct dicom_entry *entry = dicom_dictionary_find(e->tag);
    if (!entry || entry->vr[1] == DICOM_VR_UNKNOWN)
        return false;
    if (e->tag == DICOM_PIXEL_DATA)
        *vr = number_around(e->in, DICOM_BITS_ALLOCATED, 16) > 8 ? DICOM_VR_OW : DICOM_VR_OB;
    else if (has_alternative(entry, DICOM_VR_OW))
        *vr = DICOM_VR_OW;
    else if (has_alternative(entry, DICOM_VR_SS))
        *vr = number_around(e->in, DICOM_PIXEL_REPRESENTATION, 0) == 1 ? DICOM_VR_SS : DICOM_VR_US;
    return true;
}

enum dicom_vr dicom_element_vr(struct dicom_element *e)
{
    if (e->has_vr)
        return (enum dicom_vr)e->vr;
    enum dicom_vr vr = e->is_sequence ? DICOM_VR_SQ : dicom_dictionary_vr(e->tag);
    if (vr == DICOM_VR_SQ && is_without_letters(e)) /* which never has items */
        vr = DICOM_VR_UNKNOWN;
    if (!choose(e, &vr)) { /* what depends on others is looked at each time: they may change */
        e->vr = (uint8_t)vr;
        e->has_vr = true;
    }
    return vr;
}

void dicom_element_letters(const struct dicom_element *e, char letters_out[3])
{
    if (e->is_implicit)
        memcpy(letters_out, "??", 3);
    else if (e->is_made)
        memcpy(letters_out, dicom_vr_info((enum dicom_vr)e->written_vr)->name, 3);
    else {
        memcpy(letters_out, e->raw.at + 4, 2);
        letters_out[2] = '\0';
    }
}

/* Big endian is explicit; what is UN in it is little endian (PS3.5 6.2.2). */
bool dicom_element_is_big_endian(const struct dicom_element *e)
{
    return e->in->encoding.is_big_endian && e->written_vr != DICOM_VR_UN;
}

struct view dicom_element_raw(const struct dicom_element *e)
{
    return e->is_made ? (struct view){NULL, 0} : e->raw;
}

bool dicom_element_is_encapsulated(const struct dicom_element *e)
{
    return e->is_encapsulated;
}

bool dicom_is_lut_descriptor(uint32_t tag)
{
    switch (tag) {
    case DICOM_TAG(0x0028, 0x1100): /* Gray, retired */
    case DICOM_TAG(0x0028, 0x1101): /* Red Palette Color */
    case DICOM_TAG(0x0028, 0x1102):
    case DICOM_TAG(0x0028, 0x1103):
    case DICOM_TAG(0x0028, 0x1104): /* Alpha */
    case DICOM_TAG(0x0028, 0x1111): /* Large Red, retired */
    case DICOM_TAG(0x0028, 0x1112):
    case DICOM_TAG(0x0028, 0x1113):
    case DICOM_TAG(0x0028, 0x3002): /* LUT Descriptor */
        return true;
    default:
        return false;
    }
}

static enum result need_items(struct dicom_element *e)
{
    if (dicom_element_vr(e) != DICOM_VR_SQ || e->is_encapsulated)
        return dicom_fault(e->in->document, ERR_USAGE, "it is no sequence", e->tag);
    return e->items ? OK : dicom_parse_items(e);
}

enum result dicom_element_items(struct dicom_element *e, size_t *count_out)
{
    enum result r = need_items(e);
    *count_out = r == OK ? e->items->count : 0;
    return r;
}

size_t dicom_element_place_behind(const struct dicom_element *e, const struct dicom_data_set *item,
                                  size_t place)
{
    size_t count = e->items ? e->items->count : 0;
    while (item && item->is_gone)
        item = item->before_gone;
    for (size_t i = place < count ? place : count; item && i > 0; i--)
        if (e->items->at[i - 1] == item)
            return i;
    return 0;
}

enum result dicom_element_item(struct dicom_element *e, size_t i, struct dicom_data_set **out)
{
    *out = NULL;
    enum result r = need_items(e);
    if (r != OK)
        return r;
    if (i >= e->items->count)
        return dicom_fault(e->in->document, ERR_USAGE, "there is no such item", e->tag);
    struct dicom_data_set *item = e->items->at[i];
    const uint8_t *stop;
    r = item->is_parsed ? OK : dicom_parse_level(item, &stop);
    *out = r == OK ? item : NULL;
    return r;
}
