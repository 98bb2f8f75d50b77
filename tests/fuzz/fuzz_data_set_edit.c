/*
 * Any bytes as a data set: what the reader takes the tree takes, and untouched it writes the same bytes. Then changes where the input
 * says: what is written and parsed again is the tree that was changed, and in an element that nobody touched no byte differs.
 *
 *   input: u8 (bits 0-1: encoding, bit 2: pixel data is said to follow, bit 3: little memory),
 *          u8 (bits 0-3: number of changes), for each u8 what, u8 at which level, u8 at which element, u8 with what,
 *          then the data set
 */
#include <stdint.h>
#include <string.h>

#include "base/assert.h"
#include "dicom/data_set.h"
#include "dicom/reader.h"
#include "dicom/tag.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LEVELS_MAX = 64, MEMORY_MAX = 1 << 28, LITTLE_MEMORY = 6000 };

static const struct dicom_encoding encodings[] = {{true, false}, {true, true}, {false, false}, {true, false}};

static bool reader_takes(struct view bytes, struct dicom_encoding encoding)
{
    struct dicom_reader reader;
    struct dicom_event event;
    const char *why;
    size_t at = 0;
    dicom_reader_init(&reader, encoding);
    do {
        at += dicom_reader_next(&reader, bytes.at + at, bytes.len - at, &event);
        if (event.kind == DICOM_EVENT_FAULT)
            return false;
    } while (event.kind != DICOM_EVENT_NONE);
    return dicom_reader_end(&reader, &why) == OK;
}

/* ---- levels ---- */

struct levels {
    struct dicom_data_set *at[LEVELS_MAX];
    size_t count;
};

/* A level and those inside it, as far as there is room; all that was asked for is parsed then. */
static void gather(struct levels *levels, struct dicom_data_set *ds)
{
    if (levels->count == LEVELS_MAX)
        return;
    levels->at[levels->count++] = ds;
    size_t seen = 0;
    for (struct dicom_element *e = dicom_data_set_first(ds); e; e = dicom_element_next(e)) {
        size_t items = 0;
        seen++;
        if (dicom_element_items(e, &items) != OK)
            continue;
        for (size_t i = 0; i < items; i++) {
            struct dicom_data_set *item;
            if (dicom_element_item(e, i, &item) == OK)
                gather(levels, item);
        }
    }
    hilum_assert(seen == dicom_data_set_count(ds));
}

/* ---- changes ---- */

static const uint32_t tags[] = {
    DICOM_SPECIFIC_CHARACTER_SET, DICOM_TAG(0x0008, 0x0060),
    DICOM_TAG(0x0008, 0x1140),    DICOM_TAG(0x0010, 0x0010),
    DICOM_TAG(0x0010, 0x0020),    DICOM_PIXEL_REPRESENTATION,
    DICOM_BITS_ALLOCATED,         DICOM_TAG(0x0028, 0x0106),
    DICOM_TAG(0x0029, 0x1010),    DICOM_TAG(0x0040, 0x0275),
    DICOM_MAC_PARAMETERS,         DICOM_PIXEL_DATA,
    DICOM_DIGITAL_SIGNATURES,     DICOM_TAG(0x0000, 0x0000),
    DICOM_TAG(0x0008, 0x0000),    DICOM_ITEM,
};
static const enum dicom_vr vrs[] = {DICOM_VR_LO, DICOM_VR_US, DICOM_VR_OB, DICOM_VR_UN,
                                    DICOM_VR_UI, DICOM_VR_OW, DICOM_VR_FD, DICOM_VR_UNKNOWN};
static const uint32_t lengths[] = {0, 1, 2, 7, 8, 100, 0x2020, 65534, 65535, 65536, 0x12020};

static uint32_t tag_of(struct dicom_data_set *ds, uint8_t which)
{
    if (which < 128)
        return tags[which % 16];
    size_t count = dicom_data_set_count(ds);
    struct dicom_element *e = dicom_data_set_first(ds);
    for (size_t i = 0; e && i < (which - 128u) % (count ? count : 1); i++)
        e = dicom_element_next(e);
    return e ? e->tag : tags[0];
}

static void change_value(struct dicom_data_set *ds, uint32_t tag, uint8_t with)
{
    static uint8_t bytes[0x12020];
    struct view value = {bytes, lengths[with / 8 % 11]};
    memset(bytes, with | 1, 16);
    if (dicom_data_set_put(ds, tag, vrs[with % 8], value) != OK)
        return;
    const struct dicom_element *e = dicom_data_set_find(ds, tag);
    hilum_assert(e && e->value.len == value.len + value.len % 2 && !dicom_data_set_encoding(ds).is_big_endian
                     ? memcmp(e->value.at, bytes, value.len) == 0
                     : e != NULL);
    dicom_element_remove(dicom_data_set_find(ds, tag));
    hilum_assert(!dicom_data_set_find(ds, tag)); /* it was there once */
    hilum_assert(dicom_data_set_put(ds, tag, vrs[with % 8], value) != ERR_PROTO);
}

static void change_items(struct dicom_data_set *ds, uint32_t tag, uint8_t with)
{
    struct dicom_element *e = dicom_data_set_find(ds, tag);
    struct dicom_data_set *item;
    size_t count, after;
    if (with % 4 == 0 && dicom_data_set_put_sequence(ds, tag, &e) != OK)
        return;
    if (!e || dicom_element_items(e, &count) != OK)
        return;
    if (with % 4 == 1) {
        if (dicom_element_remove_item(e, with / 4) == OK)
            count--;
    } else if (dicom_element_insert_item(e, count ? with / 4 % count : 0, &item) == OK) {
        count++;
        change_value(item, tags[with / 8 % 16], with);
    }
    hilum_assert(dicom_element_items(e, &after) == OK && after == count);
}

/* Nothing of it is seen before it is put; half of them never are. */
static void change_aside(struct dicom_data_set *ds, uint32_t tag, uint8_t with)
{
    struct dicom_element *e = dicom_data_set_find(ds, tag), *aside;
    struct dicom_data_set *item;
    const struct dicom_document *d = dicom_data_set_document(ds);
    bool was_changed = dicom_document_is_changed(d);
    size_t count = 0, after, was = dicom_data_set_count(ds);
    bool is_item = e && with & 4 && dicom_element_items(e, &count) == OK;
    enum result r =
        is_item ? dicom_element_item_aside(e, &aside, &item) : dicom_data_set_sequence_aside(ds, tag, &aside);
    if (r == OK && !is_item)
        r = dicom_element_insert_item(aside, 0, &item);
    if (r != OK)
        return;
    change_value(item, tags[with / 8 % 16], with);
    hilum_assert(dicom_data_set_is_aside(item) && dicom_data_set_count(ds) == was);
    hilum_assert(dicom_document_is_changed(d) == was_changed);
    if (with & 2)
        return;
    size_t i = with / 8 % (count + 1);
    r = is_item ? dicom_element_put_item(e, i, aside) : dicom_data_set_put_aside(aside);
    if (r != OK)
        return;
    e = dicom_data_set_find(ds, tag);
    hilum_assert(dicom_element_items(e, &after) == OK);
    hilum_assert(after == (is_item ? count + (i == count) : 1) && !dicom_data_set_is_aside(item));
}

static void change_private(struct dicom_data_set *ds, uint8_t which, uint8_t with)
{
    uint16_t group = (uint16_t)(0x0029 + which % 4);
    struct view creator = {(const uint8_t *)"ACME 1.1 ", which % 16};
    creator.len = creator.len > 9 ? 9 : creator.len;
    if (which >= 224) {
        (void)dicom_data_set_remove_private(ds);
        hilum_assert(dicom_data_set_remove_private(ds) == 0);
    } else if (dicom_data_set_put_private(ds, group, creator, with, vrs[with % 8], creator) == OK) {
        hilum_assert(dicom_data_set_find_private(ds, group, creator, with));
    }
}

static void change(struct dicom_data_set *root, const uint8_t how[4])
{
    struct levels levels = {.count = 0};
    gather(&levels, root);
    struct dicom_data_set *ds = levels.at[how[1] % levels.count];
    uint32_t tag = tag_of(ds, how[2]);
    switch (how[0] % 5) {
    case 0:
        change_value(ds, tag, how[3]);
        break;
    case 1:
        hilum_assert(dicom_data_set_remove(ds, tag) || !dicom_data_set_find(ds, tag));
        hilum_assert(!dicom_data_set_find(ds, tag));
        break;
    case 2:
        change_items(ds, tag, how[3]);
        break;
    case 3:
        change_aside(ds, tag, how[3]);
        break;
    default:
        change_private(ds, how[2], how[3]);
    }
}

/* ---- what was written against the tree ---- */

/* Lengths are made anew, signatures and Length to End may be dropped. */
static struct dicom_element *pass_over(struct dicom_element *e)
{
    while (e && (dicom_is_group_length(e->tag) || e->tag == DICOM_MAC_PARAMETERS ||
                 e->tag == DICOM_DIGITAL_SIGNATURES || e->tag == DICOM_TAG(0x0008, 0x0001)))
        e = dicom_element_next(e);
    return e;
}

static void compare(struct dicom_data_set *was, struct dicom_data_set *is);

static void compare_elements(struct dicom_element *was, struct dicom_element *is)
{
    size_t items_was = 0, items_is = 0;
    hilum_assert(was->tag == is->tag);
    hilum_assert(dicom_element_is_encapsulated(was) == dicom_element_is_encapsulated(is));
    enum result r = dicom_element_items(was, &items_was);
    enum result r_is = dicom_element_items(is, &items_is);
    if (r == ERR_MEMORY) /* nobody has looked into it yet */
        return;
    if (r != OK) {
        hilum_assert(was->value.len == is->value.len);
        hilum_assert(was->value.len == 0 || memcmp(was->value.at, is->value.at, is->value.len) == 0);
        return;
    }
    if (r_is != OK) { /* without VR nothing says that it is a sequence */
        hilum_assert(dicom_element_raw(was).len == 0);
        return;
    }
    hilum_assert(items_was == items_is);
    for (size_t i = 0; i < items_was; i++) {
        struct dicom_data_set *item_was, *item_is;
        r = dicom_element_item(was, i, &item_was);
        r_is = dicom_element_item(is, i, &item_is);
        hilum_assert(r == r_is || r == ERR_MEMORY);
        if (r == OK)
            compare(item_was, item_is);
    }
}

static void compare(struct dicom_data_set *was, struct dicom_data_set *is)
{
    struct dicom_element *a = pass_over(dicom_data_set_first(was)), *b = pass_over(dicom_data_set_first(is));
    while (a && b) {
        compare_elements(a, b);
        a = pass_over(dicom_element_next(a));
        b = pass_over(dicom_element_next(b));
    }
    hilum_assert(!a && !b);
}

/* As it should be, and as only then it is clear what a group is. */
static bool is_rising(const struct dicom_data_set *ds)
{
    for (const struct dicom_element *e = dicom_data_set_first(ds), *next; e; e = next) {
        next = dicom_element_next(e);
        if (next && next->tag <= e->tag)
            return false;
    }
    return true;
}

/* Of a data set that was changed: each group length that is there counts its group. */
static void check_group_lengths(struct dicom_data_set *root)
{
    for (struct dicom_element *e = dicom_data_set_first(root); e; e = dicom_element_next(e)) {
        if (!dicom_is_group_length(e->tag))
            continue;
        uint64_t counted = 0;
        for (struct dicom_element *n = dicom_element_next(e);
             n && dicom_group(n->tag) == dicom_group(e->tag) && !dicom_is_group_length(n->tag);
             n = dicom_element_next(n))
            counted += dicom_element_raw(n).len;
        hilum_assert(e->value.len == 4);
        bool is_big = dicom_data_set_encoding(root).is_big_endian;
        hilum_assert(counted == (is_big ? get_be32(e->value.at) : get_le32(e->value.at)));
    }
}

static void write_and_compare(struct dicom_document *d, struct dicom_encoding encoding, bool was_rising)
{
    struct octets out = {0};
    struct dicom_document again;
    if (dicom_document_write(d, &out) == OK) {
        struct view bytes = {out.data, out.len};
        hilum_assert(dicom_document_parse(&again, bytes, encoding, d->behind, MEMORY_MAX) == OK);
        compare(dicom_document_root(d), dicom_document_root(&again));
        if (dicom_document_is_changed(d) && was_rising)
            check_group_lengths(dicom_document_root(&again));
        dicom_document_free(&again);
    } else {
        hilum_assert(d->why);
    }
    octets_free(&out);
}

static void check_unchanged(struct dicom_document *d, struct view bytes)
{
    struct octets out = {0};
    hilum_assert(!dicom_document_is_changed(d));
    hilum_assert(dicom_document_write(d, &out) == OK);
    hilum_assert(out.len == bytes.len && (bytes.len == 0 || memcmp(out.data, bytes.at, bytes.len) == 0));
    octets_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size < 2 + 4u * (data[1] % 16))
        return 0;
    const uint8_t *changes = data + 2;
    size_t count = data[1] % 16;
    struct view bytes = {changes + 4 * count, size - 2 - 4 * count};
    struct dicom_encoding encoding = encodings[data[0] % 4];
    size_t memory_max = data[0] & 8 ? LITTLE_MEMORY : MEMORY_MAX;
    struct dicom_document d;
    enum result r = dicom_document_parse(&d, bytes, encoding, data[0] & 4 ? DICOM_PIXEL_DATA : 0, memory_max);
    hilum_assert(r == OK || d.why);
    hilum_assert(r == OK || r == ERR_MEMORY || !reader_takes(bytes, encoding));
    if (r == OK) {
        struct levels levels = {.count = 0};
        bool was_rising = is_rising(dicom_document_root(&d));
        check_unchanged(&d, bytes);
        gather(&levels, dicom_document_root(&d));
        check_unchanged(&d, bytes);
        for (size_t i = 0; i < count; i++)
            change(dicom_document_root(&d), changes + 4 * i);
        write_and_compare(&d, encoding, was_rising);
    }
    dicom_document_free(&d);
    return 0;
}
