#include "dicom/reader.h"

#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "dicom/dictionary.h"
#include "dicom/tag.h"

enum { SHORT_HEADER = 8, LONG_HEADER = 12, LEVELS_MAX = 1 + 2 * DICOM_DEPTH_MAX };

#define BY_DELIMITER UINT64_MAX

static const struct dicom_encoding implicit_le = {.is_explicit = false, .is_big_endian = false};

struct header {
    uint32_t tag, length;
    enum dicom_vr vr;
    uint8_t letters[2];
    uint8_t size; /* SHORT_HEADER or LONG_HEADER */
    struct dicom_encoding encoding;
};

void dicom_reader_init(struct dicom_reader *r, struct dicom_encoding encoding)
{
    /* Levels are written before they are read: clearing all of them would cost as much as reading a small data set. */
    memset(r, 0, offsetof(struct dicom_reader, stack));
    r->encoding = encoding;
    r->stack[0] = (struct dicom_reader_level){
        .end = BY_DELIMITER, .limit = UINT64_MAX, .is_item = true, .encoding = encoding};
    r->levels = 1;
}

static struct dicom_reader_level *innermost(struct dicom_reader *r)
{
    return &r->stack[r->levels - 1];
}

/* Of an element, item or end that stands right inside the innermost level: sequences and items take turns. */
static unsigned depth_of(const struct dicom_reader *r)
{
    return (r->levels - 1) / 2;
}

static void report(struct dicom_event *event, enum dicom_event_kind kind, uint64_t offset,
                   const struct dicom_reader_subject *of)
{
    *event = (struct dicom_event){.kind = kind,
                                  .offset = offset,
                                  .tag = of->tag,
                                  .vr = of->vr,
                                  .length = of->length,
                                  .depth = of->depth,
                                  .encoding = of->encoding,
                                  .is_fragment = of->is_fragment};
}

static void report_fault(const struct dicom_reader *r, struct dicom_event *event)
{
    *event = (struct dicom_event){
        .kind = DICOM_EVENT_FAULT, .offset = r->fault_offset, .tag = r->fault_tag, .why = r->why};
}

static void note_fault(struct dicom_reader *r, uint64_t offset, uint32_t tag, const char *why)
{
    r->why = why;
    r->fault_offset = offset;
    r->fault_tag = tag;
}

static void fail(struct dicom_reader *r, uint64_t offset, uint32_t tag, const char *why,
                 struct dicom_event *event)
{
    note_fault(r, offset, tag, why);
    report_fault(r, event);
}

static void end_level(struct dicom_reader *r, uint64_t offset, uint8_t header_len, struct dicom_event *event)
{
    const struct dicom_reader_level *level = innermost(r);
    r->levels--;
    const struct dicom_reader_subject of = {
        .tag = level->tag, .vr = level->vr, .depth = depth_of(r), .encoding = level->encoding};
    report(event, level->is_item ? DICOM_EVENT_ITEM_END : DICOM_EVENT_SEQUENCE_END, offset, &of);
    event->header_len = header_len;
}

static bool is_capital(uint8_t c)
{
    return c >= 'A' && c <= 'Z';
}

static bool is_printable(uint8_t c)
{
    return c >= 0x20 && c < 0x7F;
}

/*
 * Letters that are no VR. DCMTK (DcmVR::setVR) takes two capitals for a VR to come, with its 32-bit length, and all else for one
 * whose writer put "??" and a 16-bit length: such systems have been reported. pydicom (its issues 1035 and 1067) knows writers that
 * fall into Implicit VR in the middle of an explicit data set, mostly in sequences, and takes what is no pair of capitals for the
 * low half of a 32-bit length. Both are right about the files they have seen, and the bytes tell these apart: what can be printed
 * was meant to be letters, and a length is mostly small, so that its second byte cannot be printed. Two NULs with something behind
 * them would be a multiple of 65536: much rarer than a VR that was never filled in. What is taken wrongly ends in a
 * fault soon, for tags and lengths then make no sense.
 */
static bool is_without_vr(const uint8_t *p, bool is_big_endian)
{
    if (is_big_endian || (is_printable(p[4]) && is_printable(p[5])))
        return false;
    return p[4] != 0 || p[5] != 0;
}

/* The VR and the size of an explicit header from its first 8 bytes; its length as well, if that is in them. */
static void decode_vr(const uint8_t *p, struct header *h)
{
    const bool is_big_endian = h->encoding.is_big_endian;
    h->vr = dicom_vr_parse(p + 4);
    bool is_long = dicom_vr_info(h->vr)->is_long;
    if (h->vr == DICOM_VR_UNKNOWN && !(is_capital(p[4]) && is_capital(p[5]))) {
        if (is_without_vr(p, is_big_endian)) {
            h->encoding = implicit_le;
            h->vr = dicom_dictionary_vr(h->tag);
            h->length = get_le32(p + 4);
            return;
        }
        is_long = false;
    }
    h->letters[0] = p[4];
    h->letters[1] = p[5];
    h->size = is_long ? LONG_HEADER : SHORT_HEADER;
    h->length = is_big_endian ? get_be16(p + 6) : get_le16(p + 6);
}

static bool is_of_items(uint32_t tag)
{
    return tag == DICOM_ITEM || tag == DICOM_ITEM_DELIMITATION || tag == DICOM_SEQUENCE_DELIMITATION;
}

/* From the first 8 bytes of a header: all of it, but for the length where size says 12. */
static void decode(const uint8_t *p, const struct dicom_reader_level *in, struct header *h)
{
    const bool is_big_endian = in->encoding.is_big_endian;
    h->tag = is_big_endian ? get_be32(p) : DICOM_TAG(get_le16(p), get_le16(p + 2));
    h->encoding = in->encoding;
    h->size = SHORT_HEADER;
    h->letters[0] = h->letters[1] = 0;
    if (!in->is_item || is_of_items(h->tag)) {
        h->vr = DICOM_VR_UNKNOWN;
        h->length = is_big_endian ? get_be32(p + 4) : get_le32(p + 4);
    } else if (in->encoding.is_explicit) {
        decode_vr(p, h);
    } else {
        h->vr = dicom_dictionary_vr(h->tag);
        h->length = get_le32(p + 4);
    }
}

static void push(struct dicom_reader *r, struct dicom_reader_level level, uint32_t length)
{
    const struct dicom_reader_level *in = innermost(r);
    const bool is_defined = length != DICOM_UNDEFINED_LENGTH;
    level.end = is_defined ? r->offset + length : BY_DELIMITER;
    level.limit = is_defined ? level.end : in->limit;
    hilum_assert(r->levels < LEVELS_MAX);
    r->stack[r->levels++] = level;
}

/* What an undefined length makes of an element. False: it cannot have one. */
static bool enter_undefined(struct header *h, struct dicom_reader_level *level)
{
    const bool is_bytes = dicom_vr_info(h->vr)->kind == DICOM_BYTES;
    if (h->vr == DICOM_VR_SQ)
        return true;
    if (h->encoding.is_explicit && h->vr == DICOM_VR_UN) { /* PS3.5 6.2.2 */
        level->encoding = implicit_le;
    } else if (is_bytes && h->vr != DICOM_VR_UN) {
        level->is_encapsulated = true;
    } else if (!h->encoding
                    .is_explicit) { /* a private sequence, or one that the dictionary has as something else */
        h->vr = level->vr = DICOM_VR_SQ;
    } else {
        return false;
    }
    return true;
}

/* r->offset is behind the header. */
static void begin_element(struct dicom_reader *r, uint64_t start, struct header *h, struct dicom_event *event)
{
    const struct dicom_reader_level *in = innermost(r);
    struct dicom_reader_level level = {.tag = h->tag, .vr = h->vr, .encoding = in->encoding};
    const bool is_undefined = h->length == DICOM_UNDEFINED_LENGTH;
    const bool enters = is_undefined || h->vr == DICOM_VR_SQ;
    if (!is_undefined && h->length > in->limit - r->offset) {
        fail(r, start, h->tag, "an element reaches past what it stands in", event);
        return;
    }
    if (is_undefined && !enter_undefined(h, &level)) {
        fail(r, start, h->tag, "a VR that cannot have an undefined length has one", event);
        return;
    }
    if (enters && r->levels >= LEVELS_MAX - 1) {
        fail(r, start, h->tag, "sequences are nested too deep", event);
        return;
    }
    r->now = (struct dicom_reader_subject){
        .tag = h->tag, .length = h->length, .vr = h->vr, .depth = depth_of(r), .encoding = h->encoding};
    report(event, DICOM_EVENT_ELEMENT, start, &r->now);
    event->vr_letters[0] = h->letters[0];
    event->vr_letters[1] = h->letters[1];
    event->header_len = h->size;
    event->enters = enters;
    if (enters) {
        push(r, level, h->length);
    } else {
        r->is_in_value = true;
        r->value_left = h->length;
    }
}

static void begin_item(struct dicom_reader *r, uint64_t start, const struct header *h,
                       struct dicom_event *event)
{
    const struct dicom_reader_level *in = innermost(r);
    const bool is_undefined = h->length == DICOM_UNDEFINED_LENGTH;
    if (!is_undefined && h->length > in->limit - r->offset) {
        fail(r, start, in->tag, "an item reaches past its sequence", event);
        return;
    }
    if (is_undefined && in->is_encapsulated) {
        fail(r, start, in->tag, "a fragment has an undefined length", event);
        return;
    }
    r->now = (struct dicom_reader_subject){.tag = in->tag,
                                           .length = h->length,
                                           .vr = in->vr,
                                           .depth = depth_of(r),
                                           .encoding = in->encoding,
                                           .is_fragment = in->is_encapsulated};
    report(event, DICOM_EVENT_ITEM, start, &r->now);
    event->header_len = h->size;
    if (in->is_encapsulated) {
        r->is_in_value = true;
        r->value_left = h->length;
    } else {
        const struct dicom_reader_level level = {
            .tag = in->tag, .vr = in->vr, .is_item = true, .encoding = in->encoding};
        push(r, level, h->length);
    }
}

/* An item or a delimiter, or what stands where one should. A delimiter's own length should be 0; it means nothing. */
static void begin_of_items(struct dicom_reader *r, uint64_t start, const struct header *h,
                           struct dicom_event *event)
{
    const struct dicom_reader_level *in = innermost(r);
    const uint32_t delimiter = in->is_item ? DICOM_ITEM_DELIMITATION : DICOM_SEQUENCE_DELIMITATION;
    const char *why;
    if (h->tag == DICOM_ITEM && !in->is_item) {
        begin_item(r, start, h, event);
        return;
    }
    if (h->tag == delimiter && r->levels > 1 && in->end == BY_DELIMITER) {
        end_level(r, start, h->size, event);
        return;
    }
    if (h->tag == DICOM_ITEM)
        why = "an item stands outside of a sequence";
    else if (!is_of_items(h->tag))
        why = "something else stands where an item should";
    else
        why = "a delimiter stands where it ends nothing";
    fail(r, start, r->levels > 1 ? in->tag : h->tag, why, event);
}

/* Takes what is missing of the first `size` bytes of the header that stands across inputs. */
static size_t gather(struct dicom_reader *r, const uint8_t *bytes, size_t len, size_t size)
{
    size_t n = size - r->head_len;
    if (n > len)
        n = len;
    if (n > 0)
        memcpy(r->head + r->head_len, bytes, n);
    r->head_len += (uint8_t)n;
    r->offset += n;
    return n;
}

/* The header, as far as it is here, into *h. False: more bytes are needed, or a fault. */
static bool read_header(struct dicom_reader *r, const uint8_t *bytes, size_t len, struct header *h,
                        size_t *used, struct dicom_event *event)
{
    const struct dicom_reader_level *in = innermost(r);
    const uint64_t start = r->offset - r->head_len;
    const bool is_here = r->head_len == 0 && len >= LONG_HEADER;
    const uint8_t *p = is_here ? bytes : r->head;
    if (in->limit - start < SHORT_HEADER) {
        fail(r, start, in->tag, "what it stands in ends within a header or before a delimiter", event);
        return false;
    }
    if (is_here) {
        *used = SHORT_HEADER;
        r->offset += SHORT_HEADER;
    } else if (r->head_len < SHORT_HEADER) {
        *used = gather(r, bytes, len, SHORT_HEADER);
        if (r->head_len < SHORT_HEADER)
            return false;
    }
    decode(p, in, h);
    if (h->size == SHORT_HEADER)
        return true;
    if (in->limit - start < LONG_HEADER) {
        fail(r, start, h->tag, "what it stands in ends within a header or before a delimiter", event);
        return false;
    }
    if (is_here) {
        *used = LONG_HEADER;
        r->offset += LONG_HEADER - SHORT_HEADER;
    } else {
        *used += gather(r, bytes + *used, len - *used, LONG_HEADER);
        if (r->head_len < LONG_HEADER)
            return false;
    }
    h->length = h->encoding.is_big_endian ? get_be32(p + 8) : get_le32(p + 8);
    return true;
}

static size_t step_header(struct dicom_reader *r, const uint8_t *bytes, size_t len, struct dicom_event *event)
{
    const bool is_item = innermost(r)->is_item;
    const uint64_t start = r->offset - r->head_len;
    struct header h;
    size_t used = 0;
    event->kind = DICOM_EVENT_NONE;
    if (!read_header(r, bytes, len, &h, &used, event))
        return used;
    r->head_len = 0;
    if (!is_item || is_of_items(h.tag))
        begin_of_items(r, start, &h, event);
    else
        begin_element(r, start, &h, event);
    return used;
}

static size_t step_value(struct dicom_reader *r, const uint8_t *bytes, size_t len, struct dicom_event *event)
{
    const size_t n = r->value_left < len ? (size_t)r->value_left : len;
    if (n == 0 && r->value_left > 0) {
        event->kind = DICOM_EVENT_NONE;
        return 0;
    }
    report(event, DICOM_EVENT_VALUE, r->offset, &r->now);
    event->at = bytes;
    event->len = n;
    r->offset += n;
    r->value_left -= n;
    event->is_last = r->value_left == 0;
    r->is_in_value = !event->is_last;
    return n;
}

static size_t step(struct dicom_reader *r, const uint8_t *bytes, size_t len, struct dicom_event *event)
{
    if (r->why) {
        report_fault(r, event);
        return 0;
    }
    if (r->is_in_value)
        return step_value(r, bytes, len, event);
    if (innermost(r)->end == r->offset && r->head_len == 0) {
        end_level(r, r->offset, 0, event);
        return 0;
    }
    return step_header(r, bytes, len, event);
}

/* Walks what has no length: all that is consumed on the way is one piece of it. */
static size_t walk(struct dicom_reader *r, const uint8_t *bytes, size_t len, struct dicom_event *event)
{
    const uint64_t start = r->offset;
    size_t used = 0;
    do {
        used += step(r, bytes + used, len - used, event);
        r->is_skipping = r->levels > r->skip_floor;
    } while (r->is_skipping && event->kind != DICOM_EVENT_NONE && event->kind != DICOM_EVENT_FAULT);
    /* A fault comes alone, in the next call: what was consumed until then is as far as others have been told. */
    if (used > 0 || !r->is_skipping) {
        report(event, DICOM_EVENT_VALUE, start, &r->skipped);
        event->at = bytes;
        event->len = used;
        event->is_last = !r->is_skipping;
    }
    return used;
}

size_t dicom_reader_next(struct dicom_reader *r, const uint8_t *bytes, size_t len,
                         struct dicom_event *event_out)
{
    const size_t used = r->is_skipping ? walk(r, bytes, len, event_out) : step(r, bytes, len, event_out);
    r->may_skip = event_out->kind == DICOM_EVENT_ELEMENT || event_out->kind == DICOM_EVENT_ITEM;
    return used;
}

void dicom_reader_skip(struct dicom_reader *r)
{
    hilum_assert(r->may_skip);
    r->may_skip = false;
    if (r->is_in_value)
        return;
    const struct dicom_reader_level *level = innermost(r);
    r->levels--;
    if (level->end != BY_DELIMITER) {
        r->is_in_value = true;
        r->value_left = level->end - r->offset;
        return;
    }
    r->skip_floor = r->levels++;
    r->skipped = r->now;
    r->is_skipping = true;
}

void dicom_reader_enter(struct dicom_reader *r)
{
    hilum_assert(r->may_skip && r->is_in_value && r->now.vr == DICOM_VR_UN && !r->now.is_fragment);
    r->is_in_value = false;
    if (r->levels >= LEVELS_MAX - 1) {
        r->may_skip = false;
        note_fault(r, r->offset, r->now.tag, "sequences are nested too deep");
        return;
    }
    const struct dicom_reader_level level = {
        .tag = r->now.tag, .vr = DICOM_VR_UN, .is_asked_for = true, .encoding = implicit_le};
    push(r, level, r->now.length);
}

/* The innermost level with a length, from what was entered on demand inwards. 0: the fault is in no such. */
static unsigned level_to_recover(const struct dicom_reader *r)
{
    unsigned found = 0;
    for (unsigned i = r->levels - 1; i > 0; i--) {
        if (found == 0 && r->stack[i].end != BY_DELIMITER)
            found = i;
        if (r->stack[i].is_asked_for)
            return found;
    }
    return 0;
}

bool dicom_reader_recover(struct dicom_reader *r)
{
    hilum_assert(r->why && !r->is_in_value);
    const unsigned level = level_to_recover(r);
    if (level == 0)
        return false;
    const uint64_t end = r->stack[level].end;
    hilum_assert(r->offset <= end); /* headers do not reach past it either */
    for (unsigned i = level; i < r->levels; i++)
        r->stack[i].end = end;
    const struct dicom_reader_level *in = innermost(r);
    r->why = NULL;
    r->head_len = 0;
    r->is_in_value = true;
    r->value_left = end - r->offset;
    r->now = (struct dicom_reader_subject){.tag = in->tag,
                                           .length = (uint32_t)r->value_left,
                                           .vr = in->vr,
                                           .depth = depth_of(r),
                                           .encoding = in->encoding};
    return true;
}

uint64_t dicom_reader_value_left(const struct dicom_reader *r)
{
    return r->is_in_value ? r->value_left : 0;
}

void dicom_reader_pass(struct dicom_reader *r, uint64_t n)
{
    hilum_assert(n <= dicom_reader_value_left(r));
    r->offset += n;
    r->value_left -= n;
}

uint32_t dicom_reader_tag(const struct dicom_reader *r)
{
    return r->is_skipping ? r->skipped.tag : r->now.tag;
}

enum result dicom_reader_end(const struct dicom_reader *r, const char **why_out)
{
    *why_out = NULL;
    if (r->why)
        *why_out = r->why;
    else if (r->head_len > 0)
        *why_out = "the data set ends within the header of an element";
    else if (dicom_reader_value_left(r) > 0)
        *why_out = "the data set ends within a value";
    for (unsigned i = r->levels - 1; i > 0 && !*why_out; i--) {
        if (r->stack[i].end == BY_DELIMITER)
            *why_out = "the data set ends before the delimiter of a sequence or an item";
        else if (r->stack[i].end != r->offset)
            *why_out = "the data set ends within a sequence or an item";
    }
    return *why_out ? ERR_PROTO : OK;
}
