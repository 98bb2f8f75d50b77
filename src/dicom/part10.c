#include "dicom/part10.h"

#include <stdbool.h>
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "dicom/uid.h"

enum { PREAMBLE_BYTES = 128, GROUP_AT = PREAMBLE_BYTES + 4, SHORT_HEADER_BYTES = 8, LONG_HEADER_BYTES = 12 };

static const char dicm[4] = {'D', 'I', 'C', 'M'};

/* (0002,element) with a VR of 16-bit length. */
static void write_short(struct octets *out, uint16_t element, const char *vr, const void *value, size_t len,
                        char pad)
{
    size_t padded = len + (len & 1);
    hilum_assert(padded <= UINT16_MAX);
    octets_le16(out, 0x0002);
    octets_le16(out, element);
    octets_append(out, vr, 2);
    octets_le16(out, (uint16_t)padded);
    octets_append(out, value, len);
    octets_fill(out, (uint8_t)pad, padded - len);
}

static void write_uid(struct octets *out, uint16_t element, struct view uid)
{
    uid = dicom_uid_trim(uid);
    write_short(out, element, "UI", uid.at, uid.len, '\0');
}

static void write_title(struct octets *out, uint16_t element, struct view title)
{
    title.len = text_trim_end((const char *)title.at, title.len);
    if (title.len > 0) {
        write_short(out, element, "AE", title.at, title.len, ' ');
    }
}

void part10_write(const struct part10_meta *meta, struct octets *out)
{
    /* (0002,0001) File Meta Information Version, OB of 2 bytes: 00 01 */
    static const uint8_t version[] = {0x02, 0x00, 0x01, 0x00, 'O', 'B', 0, 0, 2, 0, 0, 0, 0x00, 0x01};

    octets_fill(out, 0, PREAMBLE_BYTES);
    octets_append(out, dicm, sizeof(dicm));
    write_short(out, 0x0000, "UL", "\0\0\0\0", 4, 0);
    size_t group_at = out->len;
    octets_append(out, version, sizeof(version));
    write_uid(out, 0x0002, meta->sop_class);
    write_uid(out, 0x0003, meta->sop_instance);
    write_uid(out, 0x0010, meta->transfer_syntax);
    write_short(out, 0x0012, "UI", HILUM_IMPLEMENTATION_UID, strlen(HILUM_IMPLEMENTATION_UID), '\0');
    write_short(out, 0x0013, "SH", HILUM_IMPLEMENTATION_VERSION, strlen(HILUM_IMPLEMENTATION_VERSION), ' ');
    write_title(out, 0x0016, meta->source_title);
    write_title(out, 0x0017, meta->sending_title);
    write_title(out, 0x0018, meta->receiving_title);
    if (!out->failed) {
        put_le32(out->data + group_at - 4, (uint32_t)(out->len - group_at));
    }
}

struct element {
    uint16_t number;
    size_t header_len;
    uint32_t value_len;
};

/* VRs of 32-bit length (PS3.5 7.1.2) as far as group 0002 could carry them. */
static bool has_long_length(const uint8_t *vr)
{
    static const char long_vrs[] = "OBODOFOLOVOWSQSVUCUNURUTUV";
    for (size_t i = 0; i + 1 < sizeof(long_vrs); i += 2) {
        if (memcmp(vr, long_vrs + i, 2) == 0) {
            return true;
        }
    }
    return false;
}

static bool looks_like_vr(const uint8_t *p)
{
    return p[0] >= 'A' && p[0] <= 'Z' && p[1] >= 'A' && p[1] <= 'Z';
}

/* The header of the element at p; its tag is there already. False: more bytes are needed. */
static bool read_header(const uint8_t *p, size_t len, struct element *out)
{
    if (len < SHORT_HEADER_BYTES) {
        return false;
    }
    out->number = get_le16(p + 2);
    out->header_len = SHORT_HEADER_BYTES;
    if (!looks_like_vr(p + 4)) {
        out->value_len = get_le32(p + 4);
        return true;
    }
    if (!has_long_length(p + 4)) {
        out->value_len = get_le16(p + 6);
        return true;
    }
    if (len < LONG_HEADER_BYTES) {
        return false;
    }
    out->header_len = LONG_HEADER_BYTES;
    out->value_len = get_le32(p + 8);
    return true;
}

static void keep(struct part10_meta *meta, uint16_t number, struct view value)
{
    value.len = text_trim_end((const char *)value.at, value.len);
    switch (number) {
    case 0x0002:
        meta->sop_class = value;
        break;
    case 0x0003:
        meta->sop_instance = value;
        break;
    case 0x0010:
        meta->transfer_syntax = value;
        break;
    case 0x0016:
        meta->source_title = value;
        break;
    case 0x0017:
        meta->sending_title = value;
        break;
    case 0x0018:
        meta->receiving_title = value;
        break;
    default:
        break;
    }
}

static enum result fault(const char **why_out, const char *why)
{
    *why_out = why;
    return ERR_PROTO;
}

enum result part10_read(const uint8_t *bytes, size_t len, struct part10_meta *out, const char **why_out)
{
    struct part10_meta meta = {0};
    size_t at = GROUP_AT;
    if (len < GROUP_AT) {
        return NEED_MORE;
    }
    if (memcmp(bytes + PREAMBLE_BYTES, dicm, sizeof(dicm)) != 0) {
        return fault(why_out, "no DICM after the preamble");
    }
    for (;;) {
        if (len - at < 4) {
            return NEED_MORE;
        }
        if (get_le16(bytes + at) != 0x0002) {
            break;
        }
        struct element element;
        if (!read_header(bytes + at, len - at, &element)) {
            return NEED_MORE;
        }
        size_t value_at = at + element.header_len;
        if (value_at - GROUP_AT + element.value_len > PART10_META_MAX_BYTES) {
            return fault(why_out, "file meta information too long");
        }
        if (len - value_at < element.value_len) {
            return NEED_MORE;
        }
        keep(&meta, element.number, (struct view){bytes + value_at, element.value_len});
        at = value_at + element.value_len;
    }
    if (meta.transfer_syntax.len == 0) {
        return fault(why_out, "no Transfer Syntax UID in the file meta information");
    }
    meta.data_set_offset = at;
    *out = meta;
    return OK;
}
