/*
 * Any bytes as a data set that is peeked into: the same is caught however it is cut, and whatever else is asked for, nothing beyond its
 * bound, and routes make of it what they can.
 *
 *   0  u8   bit 0 Explicit VR, bit 1 big endian, bit 2 deflated
 *   1  u8   bytes a piece, 0: 256
 *   2  the data set
 */
#include <string.h>

#include "base/assert.h"
#include "dicom/charset.h"
#include "dicom/peek.h"
#include "route/attributes.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const char *const texts[] = {
    "0008,0005",
    "0008,0060",
    "0010,0010",
    "0028,0106",
    "0008,1140[1].0008,1155",
    "0008,1140[2].0008,1155",
    "0040,0275[1].0040,0008[1].0008,0100",
    "0029,1010[1].0028,0106",
    "0040,A160",
    "FFFC,FFFC",
};
enum { PATHS = sizeof(texts) / sizeof(texts[0]) };

static enum result feed(struct dicom_peek *p, struct view bytes, size_t step)
{
    enum result r = NEED_MORE;
    for (size_t at = 0; at < bytes.len && r == NEED_MORE; at += step)
        r = dicom_peek_feed(p, bytes.at + at, step < bytes.len - at ? step : bytes.len - at);
    return r == NEED_MORE ? dicom_peek_end(p) : r;
}

static bool is_same(struct view a, struct view b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static void compare(const struct dicom_peek *whole, const struct dicom_peek *pieces)
{
    uint32_t a_tag, b_tag;
    hilum_assert(dicom_peek_fault(whole, &a_tag) == dicom_peek_fault(pieces, &b_tag));
    for (size_t i = 0; i < PATHS; i++) {
        struct dicom_peek_value a = dicom_peek_at(whole, i), b = dicom_peek_at(pieces, i);
        hilum_assert(dicom_peek_is_known(whole, i) == dicom_peek_is_known(pieces, i));
        hilum_assert(a.state == b.state && a.vr == b.vr && a.is_big_endian == b.is_big_endian);
        hilum_assert(is_same(a.bytes, b.bytes) && is_same(a.charset, b.charset));
        hilum_assert(a.bytes.len <= DICOM_PEEK_VALUE_MAX &&
                     (a.state == DICOM_PEEK_VALUE || a.bytes.len == 0));
    }
}

/* One path alone. Who asks for less may meet a fault in what others skip, or the other way round: then there is nothing to compare. */
static void compare_alone(const struct dicom_peek *whole, size_t i, struct dicom_peek *alone)
{
    struct dicom_peek_value a = dicom_peek_at(whole, i), b = dicom_peek_at(alone, 0);
    hilum_assert(a.state == b.state && a.vr == b.vr && is_same(a.bytes, b.bytes) &&
                 is_same(a.charset, b.charset));
}

/* Whatever was caught can be asked, for text and for numbers. */
static void match(const struct dicom_peek *peek, const struct dicom_path *paths)
{
    struct config_attribute attributes[PATHS];
    bool wanted[PATHS];
    for (size_t i = 0; i < PATHS; i++) {
        attributes[i] = (struct config_attribute){.path = paths[i]};
        wanted[i] = true;
    }
    const struct config config = {.attributes = attributes, .attribute_count = PATHS};
    struct dicom_charsets *charsets = dicom_charsets_new();
    struct route_attributes known = {.of = NULL};
    struct config_value values[] = {
        {.glob = (char *)"*?b"}, {.number = {true, 7, 7}}, {.number = {false, 0, 0.1}}};
    hilum_assert(charsets != NULL);
    hilum_assert(route_attributes_reset(&known, &config) == OK);
    hilum_assert(route_attributes_take(&known, wanted, peek, charsets) == OK);
    for (size_t i = 0; i < PATHS; i++) {
        const struct config_condition c = {
            .fact = CONFIG_FACT_ATTRIBUTE, .attribute = i, .values = values, .value_count = 3};
        hilum_assert(known.of[i].is_known == dicom_peek_is_known(peek, i));
        if (!known.of[i].is_known) /* it cannot be read as far as that */
            continue;
        bool holds = route_attributes_match(&known, &c);
        hilum_assert(known.of[i].count <= ROUTE_VALUES_MAX);
        hilum_assert(!holds || (known.of[i].count > 0 && !known.of[i].is_opaque));
    }
    route_attributes_free(&known);
    dicom_charsets_free(&charsets);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct dicom_path parsed[PATHS];
    const struct dicom_path *paths[PATHS];
    struct dicom_path_fault fault;
    if (len < 2)
        return 0;
    for (size_t i = 0; i < PATHS; i++) {
        hilum_assert(dicom_path_parse(view_of(texts[i]), &parsed[i], &fault) == OK);
        paths[i] = &parsed[i];
    }
    const struct dicom_encoding encoding = {.is_explicit = (bytes[0] & 1) != 0,
                                            .is_big_endian = (bytes[0] & 3) == 3};
    const struct view data_set = {bytes + 2, len - 2};
    struct dicom_peek *whole = dicom_peek_new(), *pieces = dicom_peek_new();
    hilum_assert(dicom_peek_begin(whole, paths, PATHS, encoding, (bytes[0] & 4) != 0) == OK);
    hilum_assert(dicom_peek_begin(pieces, paths, PATHS, encoding, (bytes[0] & 4) != 0) == OK);
    enum result r = feed(whole, data_set, SIZE_MAX);
    hilum_assert(feed(pieces, data_set, bytes[1] == 0 ? 256 : bytes[1]) == r);
    compare(whole, pieces);
    for (size_t i = 0; i < PATHS && r == OK; i++) {
        hilum_assert(dicom_peek_begin(pieces, &paths[i], 1, encoding, (bytes[0] & 4) != 0) == OK);
        if (feed(pieces, data_set, SIZE_MAX) == OK)
            compare_alone(whole, i, pieces);
    }
    match(whole, parsed);
    dicom_peek_free(&whole);
    dicom_peek_free(&pieces);
    return 0;
}
