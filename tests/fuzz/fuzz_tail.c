/*
 * Any bytes as what follows a header: without rules every byte leaves as it came; with rules, what leaves is all but the elements that a
 * reader of the whole finds and they name, however the input is cut.
 *
 *   0  u8   bit 0 Explicit VR, bit 1 big endian, bit 2 drops private groups, bit 3 drops what is named below, bit 4 drops copies,
 *           bit 5 drops what is out of order
 *   1  u8   bytes a piece, 0: 256
 *   2  the tail
 */
#include <string.h>

#include "base/assert.h"
#include "base/octets.h"
#include "dicom/tag.h"
#include "dicom/tail.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const uint32_t named[] = {DICOM_PIXEL_DATA, DICOM_DIGITAL_SIGNATURES, DICOM_TRAILING_PADDING,
                                 DICOM_TAG(0x0008, 0x1140)};

static const uint32_t copies[] = {DICOM_TAG(0x0008, 0x0005), DICOM_TAG(0x0010, 0x0010)};

struct leaving {
    struct octets out;
    const uint8_t *piece; /* that is being fed; NULL: none */
    size_t len;
};

static void collect(void *owner, const uint8_t *at, size_t len, bool is_borrowed)
{
    struct leaving *l = owner;
    bool is_inside = l->piece && at >= l->piece && at + len <= l->piece + l->len;
    hilum_assert(len > 0 && is_borrowed == is_inside);
    octets_append(&l->out, at, len);
}

/* In a copy of each piece: what reads past it, or looks at an older one, is seen. */
static const char *run(struct view tail, size_t step, struct dicom_encoding encoding,
                       struct dicom_tail_rules rules, struct octets *out)
{
    struct dicom_tail t;
    struct leaving l = {.out = {0}};
    dicom_tail_init(&t, encoding, rules);
    for (size_t at = 0; at < tail.len; at += l.len) {
        struct octets piece = {0};
        l.len = step < tail.len - at ? step : tail.len - at;
        octets_append(&piece, tail.at + at, l.len);
        l.piece = piece.data;
        dicom_tail_feed(&t, piece.data, l.len, collect, &l);
        octets_free(&piece);
        l.piece = NULL;
    }
    dicom_tail_finish(&t, collect, &l);
    *out = l.out;
    return t.why;
}

/* *is_over_copy: signatures that follow go as well. */
static bool is_dropped(struct dicom_tail_rules rules, uint32_t tag, bool *is_over_copy)
{
    bool is_copy = tag < rules.below;
    for (size_t i = 0; i < rules.copy_count; i++)
        is_copy = is_copy || rules.copies[i] == tag;
    *is_over_copy = *is_over_copy || is_copy;
    if (is_copy || (*is_over_copy && tag == DICOM_DIGITAL_SIGNATURES))
        return true;
    for (size_t i = 0; i < rules.drop_count; i++)
        if (rules.drop[i] == tag)
            return true;
    return rules.drops_private && dicom_is_private(tag);
}

/* By a reader that has all of it at hand: from the header of an element to that of the next one it is kept, or not. What cannot be
 * read is kept from the last event on. */
static const char *expect(struct view tail, struct dicom_encoding encoding, struct dicom_tail_rules rules,
                          struct octets *out)
{
    struct dicom_reader reader;
    struct dicom_event e;
    bool keeps = true, is_over_copy = false;
    size_t at = 0, read = 0;
    dicom_reader_init(&reader, encoding);
    for (;;) {
        at += dicom_reader_next(&reader, tail.at + at, tail.len - at, &e);
        if (e.kind == DICOM_EVENT_NONE || e.kind == DICOM_EVENT_FAULT)
            break;
        if (e.kind == DICOM_EVENT_ELEMENT) {
            keeps = !is_dropped(rules, e.tag, &is_over_copy);
            dicom_reader_skip(&reader);
        }
        if (keeps && at > read)
            octets_append(out, tail.at + read, at - read);
        read = at;
    }
    if (e.kind == DICOM_EVENT_NONE || read == tail.len) /* a fault that no byte follows makes no difference */
        return NULL;
    octets_append(out, tail.at + read, tail.len - read);
    return e.why;
}

static bool is_same(const struct octets *a, const void *bytes, size_t len)
{
    return a->len == len && (len == 0 || memcmp(a->data, bytes, len) == 0);
}

/* What never became whole at the very end may leave or not; nothing else differs from what is expected. */
static void compare(struct view tail, const struct octets *out, const struct octets *expected)
{
    hilum_assert(out->len >= expected->len && out->len <= tail.len);
    hilum_assert(expected->len == 0 || memcmp(out->data, expected->data, expected->len) == 0);
    size_t more = out->len - expected->len;
    hilum_assert(more < 12 &&
                 (more == 0 || memcmp(out->data + expected->len, tail.at + tail.len - more, more) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (len < 2)
        return 0;
    const struct dicom_encoding encoding = {.is_explicit = (bytes[0] & 1) != 0,
                                            .is_big_endian = (bytes[0] & 3) == 3};
    const struct dicom_tail_rules none = {.drop = NULL};
    const struct dicom_tail_rules rules = {
        .drop = named,
        .drop_count = (bytes[0] & 8) ? sizeof(named) / sizeof(named[0]) : 0,
        .drops_private = (bytes[0] & 4) != 0,
        .below = (bytes[0] & 32) ? DICOM_PIXEL_DATA : 0,
        .copies = copies,
        .copy_count = (bytes[0] & 16) ? sizeof(copies) / sizeof(copies[0]) : 0};
    const struct view tail = {bytes + 2, len - 2};
    size_t step = bytes[1] == 0 ? 256 : bytes[1];
    struct octets as_it_came, whole, pieces, expected = {0};

    run(tail, step, encoding, none, &as_it_came);
    hilum_assert(is_same(&as_it_came, tail.at, tail.len));
    const char *why = run(tail, SIZE_MAX, encoding, rules, &whole);
    hilum_assert(run(tail, step, encoding, rules, &pieces) == why);
    hilum_assert(is_same(&pieces, whole.data, whole.len));
    hilum_assert(expect(tail, encoding, rules, &expected) == why);
    compare(tail, &whole, &expected);
    octets_free(&as_it_came);
    octets_free(&whole);
    octets_free(&pieces);
    octets_free(&expected);
    return 0;
}
