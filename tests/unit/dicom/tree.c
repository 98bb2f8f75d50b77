#include "tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dicom/deflate.h"
#include "dicom/part10.h"
#include "dicom/tag.h"

const struct dicom_encoding tree_explicit = {true, false}, tree_big_endian = {true, true},
                            tree_implicit = {false, false};

static void add_16(struct octets *o, struct dicom_encoding encoding, uint16_t v)
{
    if (encoding.is_big_endian)
        octets_be16(o, v);
    else
        octets_le16(o, v);
}

static void add_32(struct octets *o, struct dicom_encoding encoding, uint32_t v)
{
    if (encoding.is_big_endian)
        octets_be32(o, v);
    else
        octets_le32(o, v);
}

void tree_head(struct octets *o, struct dicom_encoding encoding, uint32_t tag, const char *vr,
               uint32_t length)
{
    add_16(o, encoding, dicom_group(tag));
    add_16(o, encoding, (uint16_t)tag);
    if (!encoding.is_explicit || dicom_group(tag) == 0xFFFE) {
        add_32(o, encoding, length);
        return;
    }
    octets_append(o, vr, 2);
    if (!dicom_vr_info(dicom_vr_parse((const uint8_t *)vr))->is_long) {
        add_16(o, encoding, (uint16_t)length);
        return;
    }
    octets_le16(o, 0);
    add_32(o, encoding, length);
}

void tree_element(struct octets *o, struct dicom_encoding encoding, uint32_t tag, const char *vr,
                  const void *value, size_t len)
{
    tree_head(o, encoding, tag, vr, (uint32_t)len);
    octets_append(o, value, len);
}

void tree_text(struct octets *o, struct dicom_encoding encoding, uint32_t tag, const char *vr,
               const char *text)
{
    tree_element(o, encoding, tag, vr, text, strlen(text));
}

void tree_us(struct octets *o, struct dicom_encoding encoding, uint32_t tag, uint16_t value)
{
    tree_head(o, encoding, tag, "US", 2);
    add_16(o, encoding, value);
}

static struct dicom_element *pass_over(struct dicom_element *e, uint32_t but)
{
    while (e && (dicom_is_group_length(e->tag) || e->tag == but))
        e = dicom_element_next(e);
    return e;
}

static void assert_same_view(struct view a, struct view b)
{
    assert_int_equal(a.len, b.len);
    if (a.len > 0)
        assert_memory_equal(a.at, b.at, a.len);
}

static void assert_same_element(struct dicom_element *a, struct dicom_element *b, uint32_t but)
{
    assert_int_equal(a->tag, b->tag);
    assert_int_equal(dicom_element_vr(a), dicom_element_vr(b));
    size_t items_a, items_b;
    if (dicom_element_vr(a) != DICOM_VR_SQ || dicom_element_items(a, &items_a) != OK) {
        assert_same_view(dicom_element_raw(a), dicom_element_raw(b));
        return;
    }
    assert_int_equal(dicom_element_items(b, &items_b), OK);
    assert_int_equal(items_a, items_b);
    for (size_t i = 0; i < items_a; i++) {
        struct dicom_data_set *item_a, *item_b;
        assert_int_equal(dicom_element_item(a, i, &item_a), OK);
        assert_int_equal(dicom_element_item(b, i, &item_b), OK);
        tree_assert_same(item_a, item_b, but);
    }
}

void tree_assert_same(struct dicom_data_set *a, struct dicom_data_set *b, uint32_t but)
{
    struct dicom_element *ea = pass_over(dicom_data_set_first(a), but);
    struct dicom_element *eb = pass_over(dicom_data_set_first(b), but);
    while (ea && eb) {
        assert_same_element(ea, eb, but);
        ea = pass_over(dicom_element_next(ea), but);
        eb = pass_over(dicom_element_next(eb), but);
    }
    assert_null(ea);
    assert_null(eb);
}

void tree_each(struct dicom_data_set *ds, void (*call)(struct dicom_data_set *ds, void *context),
               void *context)
{
    call(ds, context);
    for (struct dicom_element *e = dicom_data_set_first(ds); e; e = dicom_element_next(e)) {
        size_t items;
        if (dicom_element_vr(e) != DICOM_VR_SQ || dicom_element_items(e, &items) != OK)
            continue;
        for (size_t i = 0; i < items; i++) {
            struct dicom_data_set *item;
            assert_int_equal(dicom_element_item(e, i, &item), OK);
            tree_each(item, call, context);
        }
    }
}

static void add_count(struct dicom_data_set *ds, void *context)
{
    *(size_t *)context += dicom_data_set_count(ds);
}

size_t tree_count(struct dicom_data_set *ds)
{
    size_t count = 0;
    tree_each(ds, add_count, &count);
    return count;
}

static void read_whole(const char *path, struct octets *out)
{
    static uint8_t piece[65536];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    for (size_t n; (n = fread(piece, 1, sizeof piece, file)) > 0;)
        octets_append(out, piece, n);
    fclose(file);
}

static void inflate(struct view in, struct octets *out)
{
    static uint8_t room[65536];
    struct dicom_inflate *z;
    assert_int_equal(dicom_inflate_new(&z), OK);
    enum result r;
    do {
        size_t len;
        const char *why;
        r = dicom_inflate_next(z, &in, room, sizeof room, &len, &why);
        octets_append(out, room, len);
    } while (r == OK);
    assert_int_equal(r, NEED_MORE);
    dicom_inflate_free(&z);
}

bool tree_read_file(const char *path, struct octets *data_set_out, struct dicom_encoding *encoding_out)
{
    struct octets file = {0};
    struct part10_meta meta;
    const char *why;
    read_whole(path, &file);
    bool is_readable = part10_read(file.data, file.len, &meta, &why) == OK;
    if (is_readable) {
        bool is_deflated;
        *encoding_out = dicom_encoding_of(meta.transfer_syntax, &is_deflated);
        struct view rest = {file.data + meta.data_set_offset, file.len - meta.data_set_offset};
        if (is_deflated)
            inflate(rest, data_set_out);
        else
            octets_append(data_set_out, rest.at, rest.len);
    }
    octets_free(&file);
    return is_readable;
}
