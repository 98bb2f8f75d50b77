/* Whether the front of a data set agrees with its command and with its length. (PS3.5 7.1) */
#include <string.h>

#include "dicom/uid.h"
#include "sink.h"

enum { TAG_SOP_INSTANCE = 0x00080018, TAG_PIXEL_DATA = 0x7FE00010 };

struct element {
    uint32_t tag, len;
    size_t value_at;
};

/* True for the VRs with a length of 32 bits (PS3.5 7.1.2). */
static bool has_long_length(const uint8_t vr[2])
{
    static const char LONG[] = "OBODOFOLOVOWSQUCUNURUTSVUV";
    for (size_t i = 0; i + 1 < sizeof LONG; i += 2)
        if (memcmp(vr, LONG + i, 2) == 0)
            return true;
    return false;
}

/* The element at `at`. False: its header is not all here. */
static bool read_element(struct view head, size_t at, bool is_implicit, struct element *out)
{
    const size_t short_header = 8, long_header = 12;
    if (head.len < at + short_header)
        return false;
    const uint8_t *p = head.at + at;
    out->tag = (uint32_t)get_le16(p) << 16 | get_le16(p + 2);
    out->value_at = at + short_header;
    if (is_implicit) {
        out->len = get_le32(p + 4);
    } else if (has_long_length(p + 4)) {
        if (head.len < at + long_header)
            return false;
        out->len = get_le32(p + 8);
        out->value_at = at + long_header;
    } else {
        out->len = get_le16(p + 6);
    }
    return true;
}

const char *check_data_set(struct view head, bool is_implicit, struct view sop_instance, uint64_t bytes)
{
    struct element e;
    for (size_t at = 0; read_element(head, at, is_implicit, &e); at = e.value_at + e.len) {
        if (e.len == UINT32_MAX)
            return NULL; /* of undefined length: not looked into */
        if (e.value_at + e.len > bytes)
            return "a data set that ends in the middle of an element";
        if (e.tag == TAG_SOP_INSTANCE && e.value_at + e.len <= head.len &&
            !dicom_uid_equal((struct view){head.at + e.value_at, e.len}, sop_instance))
            return "another SOP Instance UID in the data set than in its command";
        if (e.tag == TAG_PIXEL_DATA && e.value_at + e.len != bytes)
            return "a data set that goes on behind its pixels";
    }
    return NULL;
}
