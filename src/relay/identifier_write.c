/* Identifiers changed and made. */
#include <string.h>

#include "dicom/data_set.h"
#include "dicom/deflate.h"
#include "dicom/tag.h"
#include "relay/identifier.h"

enum { DOCUMENT_MAX = 64 << 20 };

/* (0008,0054) with this value, padded. */
static void put_title(struct octets *o, struct dicom_encoding e, const char *title)
{
    uint32_t tag = identifier_tag(IDENTIFIER_RETRIEVE_TITLE);
    size_t len = strlen(title), even = len + len % 2;
    void (*put_16)(struct octets *, uint16_t) = e.is_big_endian ? octets_be16 : octets_le16;
    void (*put_32)(struct octets *, uint32_t) = e.is_big_endian ? octets_be32 : octets_le32;
    put_16(o, dicom_group(tag));
    put_16(o, (uint16_t)tag);
    if (e.is_explicit) {
        octets_append(o, "AE", 2);
        put_16(o, (uint16_t)even);
    } else {
        put_32(o, (uint32_t)even);
    }
    octets_append(o, title, len);
    octets_fill(o, ' ', even - len);
}

/* The length of group 0008, as it is with so many bytes more or less. */
static void put_group_length(struct octets *o, const struct identifier *i, size_t title_len)
{
    const uint8_t *at = i->plain.at + i->group_at;
    uint32_t old = i->encoding.is_big_endian ? get_be32(at) : get_le32(at);
    uint32_t now = old + (uint32_t)title_len - (uint32_t)i->title_len;
    if (i->encoding.is_big_endian)
        octets_be32(o, now);
    else
        octets_le32(o, now);
}

/* Behind what is there already. `kept` (NULL: none) stays as long. */
static bool push_octets(struct slices *to, const struct octets *o, struct pool *pool, struct buf *kept)
{
    return !o->failed && slices_push_copy(to, pool, o->data, o->len, kept);
}

/* A deflated one is made anew. */
static bool set_title_deflated(const struct identifier *i, const struct octets *title,
                               const struct octets *group, const struct slices *data, struct slices *to,
                               struct pool *pool)
{
    struct octets plain = {0}, deflated = {0};
    size_t behind = i->title_at + i->title_len;
    octets_append(&plain, i->plain.at, i->title_at);
    octets_append(&plain, title->data, title->len);
    octets_append(&plain, i->plain.at + behind, i->plain.len - behind);
    if (!plain.failed && group->len > 0)
        memcpy(plain.data + i->group_at, group->data, group->len);
    bool ok = !plain.failed && dicom_deflate_all((struct view){plain.data, plain.len}, &deflated) == OK &&
              push_octets(to, &deflated, pool, data->count > 0 ? slices_at(data, 0)->buf : NULL);
    octets_free(&plain);
    octets_free(&deflated);
    return ok;
}

/* References to bytes [at, end) of what was read. */
static bool push_part(struct slices *to, const struct slices *from, size_t at, size_t end)
{
    size_t passed = 0;
    for (uint32_t k = 0; k < from->count && passed < end; k++) {
        struct slice *s = slices_at(from, k);
        size_t first = at > passed ? at - passed : 0;
        size_t last = end - passed < s->len ? end - passed : s->len;
        passed += s->len;
        if (first < last && !slices_push(to, s->buf, s->at + first, (uint32_t)(last - first)))
            return false;
    }
    return true;
}

static bool set_title_plain(const struct identifier *i, const struct octets *title,
                            const struct octets *group, const struct slices *data, struct slices *to,
                            struct pool *pool)
{
    size_t begin = 0, behind = i->title_at + i->title_len;
    bool ok = true;
    if (group->len > 0) {
        ok = push_part(to, data, 0, i->group_at) && push_octets(to, group, pool, NULL);
        begin = i->group_at + group->len;
    }
    return ok && push_part(to, data, begin, i->title_at) && push_octets(to, title, pool, NULL) &&
           push_part(to, data, behind, i->plain.len);
}

bool identifier_set_title(const struct identifier *i, struct slices *data, struct pool *pool,
                          const char *title)
{
    struct octets element = {0}, group = {0};
    struct slices now = {0};
    if (!i->is_readable)
        return false;
    put_title(&element, i->encoding, title);
    if (i->group_at > 0 && i->group_at < i->title_at)
        put_group_length(&group, i, element.len);
    bool ok = !element.failed && !group.failed &&
              (i->is_deflated ? set_title_deflated(i, &element, &group, data, &now, pool)
                              : set_title_plain(i, &element, &group, data, &now, pool));
    octets_free(&element);
    octets_free(&group);
    if (ok) {
        slices_clear(data);
        *data = now;
    } else {
        slices_clear(&now);
    }
    return ok;
}

static enum result make_plain(const struct identifier *from, struct dicom_encoding encoding,
                              const struct identifier_change *changes, size_t count, struct octets *out)
{
    struct dicom_document d;
    struct view bytes = from ? from->plain : (struct view){NULL, 0};
    enum result r = dicom_document_parse(&d, bytes, encoding, 0, DOCUMENT_MAX);
    for (size_t k = 0; r == OK && k < count; k++)
        r = dicom_data_set_put(dicom_document_root(&d), changes[k].tag, changes[k].vr, changes[k].value);
    if (r == OK)
        r = dicom_document_write(&d, out);
    dicom_document_free(&d);
    return r == ERR_USAGE ? ERR_PROTO : r;
}

enum result identifier_make(const struct identifier *from, struct view transfer_syntax,
                            const struct identifier_change *changes, size_t count, struct pool *pool,
                            struct slices *out)
{
    struct octets plain = {0}, deflated = {0};
    bool is_deflated;
    struct dicom_encoding encoding = dicom_encoding_of(transfer_syntax, &is_deflated);
    if (from) {
        encoding = from->encoding;
        is_deflated = from->is_deflated;
    }
    enum result r = make_plain(from, encoding, changes, count, &plain);
    if (r == OK && is_deflated)
        r = dicom_deflate_all((struct view){plain.data, plain.len}, &deflated);
    if (r == OK && !push_octets(out, is_deflated ? &deflated : &plain, pool, NULL))
        r = ERR_MEMORY;
    octets_free(&plain);
    octets_free(&deflated);
    return r;
}
