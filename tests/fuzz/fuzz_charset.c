/*
 * Any bytes as text in any set: what is read is UTF-8, agrees with its values one by one, and, where the set can hold it, comes back
 * from the bytes that we write as the same text. The bytes also stand for text to be written, whatever they are.
 *
 *   0  u8   VR
 *   1  u8   length of the Specific Character Set, or one of the list below
 *   2  its value, then the text
 */
#include "base/assert.h"
#include "dicom/charset.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const char *const terms[] = {
    "",
    "ISO_IR 13",
    "ISO_IR 100",
    "ISO_IR 144",
    "ISO_IR 192",
    "GB18030",
    "GBK",
    "\\ISO 2022 IR 87\\ISO 2022 IR 159",
    "ISO 2022 IR 13\\ISO 2022 IR 87",
    "ISO 2022 IR 13\\ISO 2022 IR 149\\ISO 2022 IR 6",
    "\\ISO 2022 IR 149",
    "ISO 2022 IR 149",
    "\\ISO 2022 IR 58",
    "ISO 2022 IR 100\\ISO 2022 IR 144\\ISO 2022 IR 87",
    "\\ISO 2022 IR 166\\ISO 2022 IR 13\\ISO 2022 IR 203",
};
enum { TERMS = sizeof(terms) / sizeof(terms[0]) };

static bool is_same(const struct octets *a, struct view b)
{
    return !a->failed && a->len == b.len && (b.len == 0 || memcmp(a->data, b.at, b.len) == 0);
}

static struct view view_octets(const struct octets *o)
{
    return (struct view){o->data, o->len};
}

/* Text that the set can hold is read back as itself, without a fault. */
static void write_and_read(struct dicom_charsets *cs, const struct dicom_charset *set, enum dicom_vr vr,
                           struct view text)
{
    struct octets written = {0};
    struct octets again = {0};
    int32_t bad = 0;
    enum result r = dicom_charset_encode(cs, set, vr, text, &written, &bad);
    hilum_assert(r == OK || (r == ERR_USAGE && written.len == 0 && bad != 0));
    if (r == OK) {
        hilum_assert(dicom_charset_decode(cs, set, vr, view_octets(&written), &again));
        hilum_assert(is_same(&again, text));
    }
    octets_free(&written);
    octets_free(&again);
}

static void check_values(struct dicom_charsets *cs, const struct dicom_charset *set, enum dicom_vr vr,
                         struct view bytes, struct view whole)
{
    struct octets parts = {0};
    for (;;) {
        size_t len = dicom_charset_value_len(set, vr, bytes);
        hilum_assert(len <= bytes.len);
        (void)dicom_charset_decode(cs, set, vr, (struct view){bytes.at, len}, &parts);
        if (len == bytes.len) {
            break;
        }
        hilum_assert(bytes.at[len] == '\\');
        octets_u8(&parts, '\\');
        bytes = (struct view){bytes.at + len + 1, bytes.len - len - 1};
    }
    hilum_assert(is_same(&parts, whole));
    octets_free(&parts);
}

/* UTF-8 takes every UTF-8 as it is. */
static void check_utf8(struct dicom_charsets *cs, struct view text)
{
    struct dicom_charset utf8;
    struct octets out = {0};
    int32_t bad;
    dicom_charset_parse(view_of("ISO_IR 192"), &utf8);
    hilum_assert(dicom_charset_encode(cs, &utf8, DICOM_VR_UT, text, &out, &bad) == OK);
    hilum_assert(is_same(&out, text));
    octets_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct dicom_charsets *cs;
    struct dicom_charset set;
    if (!cs) {
        cs = dicom_charsets_new();
        hilum_assert(cs);
    }
    if (len < 2) {
        return 0;
    }
    enum dicom_vr vr = bytes[0] % DICOM_VR_COUNT;
    size_t own = bytes[1] < TERMS ? 0 : (size_t)bytes[1] - TERMS;
    own = own < len - 2 ? own : len - 2;
    dicom_charset_parse(bytes[1] < TERMS ? view_of(terms[bytes[1]]) : (struct view){bytes + 2, own}, &set);
    struct view text = {bytes + 2 + own, len - 2 - own};

    struct octets read = {0};
    (void)dicom_charset_decode(cs, &set, vr, text, &read);
    hilum_assert(!read.failed && read.len <= 3 * text.len);
    check_utf8(cs, view_octets(&read));
    check_values(cs, &set, vr, text, view_octets(&read));
    write_and_read(cs, &set, vr, view_octets(&read));
    write_and_read(cs, &set, vr, text);
    octets_free(&read);
    return 0;
}
