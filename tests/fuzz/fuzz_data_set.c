/*
 * Any bytes as a data set, twice: in one piece, and cut where the input says. Both must tell the same events, every byte in exactly one
 * of them, and come to the same end.
 *
 *   input: u8 (bits 0-1: encoding, bit 2: skips some sequences and items, bit 3: passes some values by when cut,
 *          bit 4: enters UN of defined length),
 *          3 u8 (lengths of pieces, in turn; 0: 256), then the data set
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/bytes.h"
#include "base/octets.h"
#include "dicom/reader.h"
#include "dicom/tag.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NO_END UINT64_MAX

struct run {
    struct dicom_reader reader;
    struct view data_set;
    struct octets log; /* all events; of values only where they end */
    uint64_t seen;     /* all before belongs to events */
    uint64_t events;
    uint64_t value_end; /* NO_END: by delimiter */
    unsigned open;      /* sequences and items */
    struct {
        uint64_t end;                  /* NO_END: by delimiter */
        uint64_t limit;                /* of what is inside */
    } levels[1 + 2 * DICOM_DEPTH_MAX]; /* [open] is the innermost */
    bool skips, passes, enters, is_in_value, is_over;
};

static const struct dicom_encoding encodings[] = {{true, false}, {true, true}, {false, false}, {true, false}};

static void append_log(struct run *run, const struct dicom_event *e)
{
    const uint64_t facts[] = {e->kind,
                              e->kind == DICOM_EVENT_VALUE ? e->offset + e->len : e->offset,
                              e->tag,
                              e->vr,
                              get_be16(e->vr_letters),
                              e->header_len,
                              e->length,
                              e->enters,
                              e->is_fragment,
                              e->depth,
                              e->encoding.is_explicit,
                              e->encoding.is_big_endian,
                              (uintptr_t)e->why};
    octets_append(&run->log, facts, sizeof facts);
}

static uint32_t tag_at(const struct run *run, uint64_t offset, bool is_big_endian)
{
    const uint8_t *p = run->data_set.at + offset;
    return is_big_endian ? get_be32(p) : DICOM_TAG(get_le16(p), get_le16(p + 2));
}

static void check_value(struct run *run, const struct dicom_event *e)
{
    hilum_assert(run->is_in_value && (e->len > 0 || e->is_last));
    hilum_assert(run->reader.offset == e->offset + e->len);
    hilum_assert(e->len == 0 || memcmp(e->at, run->data_set.at + e->offset, e->len) == 0);
    run->is_in_value = !e->is_last;
    hilum_assert(run->value_end == NO_END || (run->reader.offset == run->value_end) == e->is_last);
}

static void open_level(struct run *run, uint64_t end)
{
    const uint64_t limit = run->levels[run->open].limit;
    run->open++;
    hilum_assert(run->open <= 2 * DICOM_DEPTH_MAX);
    run->levels[run->open].end = end;
    run->levels[run->open].limit = end != NO_END ? end : limit;
}

static void check_header(struct run *run, const struct dicom_event *e)
{
    hilum_assert(run->reader.offset - e->offset == e->header_len);
    const uint32_t tag = tag_at(run, e->offset, e->encoding.is_big_endian);
    const uint64_t end = e->length == DICOM_UNDEFINED_LENGTH ? NO_END : run->reader.offset + e->length;
    const bool is_item = e->kind == DICOM_EVENT_ITEM;
    bool opens = is_item ? !e->is_fragment : e->enters;
    hilum_assert(tag == (is_item ? DICOM_ITEM : e->tag));
    hilum_assert(run->open % 2 == is_item && e->depth == run->open / 2);
    hilum_assert(opens || end != NO_END);
    hilum_assert(end == NO_END || end <= run->levels[run->open].limit);
    if (run->enters && !is_item && !opens && e->encoding.is_explicit && e->vr == DICOM_VR_UN &&
        e->depth < DICOM_DEPTH_MAX) {
        dicom_reader_enter(&run->reader);
        opens = true;
    }
    /* Any rule that looks only at what is the same in both runs. */
    const bool skips = run->skips && ((e->tag ^ e->length) & 3) == 0;
    if (skips)
        dicom_reader_skip(&run->reader);
    run->is_in_value = skips || !opens;
    run->value_end = end;
    if (!run->is_in_value)
        open_level(run, end);
}

static void check_end(struct run *run, const struct dicom_event *e)
{
    const bool is_item = e->kind == DICOM_EVENT_ITEM_END;
    hilum_assert(run->open > 0 && run->open % 2 == !is_item);
    hilum_assert(run->levels[run->open].end == (e->header_len > 0 ? NO_END : e->offset));
    run->open--;
    hilum_assert(e->depth == run->open / 2);
    hilum_assert(run->reader.offset - e->offset == e->header_len);
    if (e->header_len > 0)
        hilum_assert(tag_at(run, e->offset, e->encoding.is_big_endian) ==
                     (is_item ? DICOM_ITEM_DELIMITATION : DICOM_SEQUENCE_DELIMITATION));
}

static void check(struct run *run, const struct dicom_event *e)
{
    run->events++;
    hilum_assert(run->events <= 2 * run->data_set.len + 16);
    if (e->kind != DICOM_EVENT_VALUE || e->is_last)
        append_log(run, e);
    if (e->kind == DICOM_EVENT_FAULT) {
        hilum_assert(e->why && e->offset <= run->reader.offset);
        run->is_over = true;
        return;
    }
    hilum_assert(e->offset == run->seen && run->reader.offset >= e->offset);
    run->seen = run->reader.offset;
    hilum_assert(run->seen <= run->levels[run->open].limit);
    hilum_assert(run->is_in_value == (e->kind == DICOM_EVENT_VALUE));
    if (e->kind == DICOM_EVENT_VALUE)
        check_value(run, e);
    else if (e->kind == DICOM_EVENT_ELEMENT || e->kind == DICOM_EVENT_ITEM)
        check_header(run, e);
    else
        check_end(run, e);
}

static size_t pass(struct run *run, size_t len)
{
    const uint64_t left = dicom_reader_value_left(&run->reader);
    if (!run->passes || run->events % 2 == 0)
        return 0;
    const size_t n = left < len ? (size_t)left : len;
    hilum_assert(n == 0 || run->is_in_value);
    dicom_reader_pass(&run->reader, n);
    run->seen += n;
    return n;
}

/* In a block of its own, so that a read past the piece is seen. */
static void feed(struct run *run, size_t at, size_t len)
{
    uint8_t *copy = malloc(len);
    struct dicom_event e;
    size_t used = 0;
    hilum_assert(copy);
    memcpy(copy, run->data_set.at + at, len);
    do {
        used += pass(run, len - used);
        used += dicom_reader_next(&run->reader, copy + used, len - used, &e);
        hilum_assert(used <= len && run->reader.offset == at + used);
        if (e.kind != DICOM_EVENT_NONE)
            check(run, &e);
    } while (e.kind != DICOM_EVENT_NONE && !run->is_over);
    hilum_assert(run->is_over || used == len);
    free(copy);
}

static void read_all(struct run *run, const uint8_t cuts[3])
{
    size_t at = 0;
    for (unsigned i = 0; at < run->data_set.len && !run->is_over; i++) {
        size_t n = cuts ? cuts[i % 3] : run->data_set.len;
        if (n == 0)
            n = 256;
        if (n > run->data_set.len - at)
            n = run->data_set.len - at;
        feed(run, at, n);
        at += n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct run whole, cut;
    const char *whole_why, *cut_why;
    if (size < 5)
        return 0;
    const struct octets logs[] = {whole.log, cut.log}; /* their memory is used again */
    whole = (struct run){.data_set = {data + 4, size - 4},
                         .skips = data[0] >> 2 & 1,
                         .enters = data[0] >> 4 & 1,
                         .log = logs[0]};
    whole.levels[0].end = whole.levels[0].limit = NO_END;
    cut = whole;
    cut.log = logs[1];
    cut.passes = data[0] >> 3 & 1;
    octets_clear(&whole.log);
    octets_clear(&cut.log);
    dicom_reader_init(&whole.reader, encodings[data[0] & 3]);
    dicom_reader_init(&cut.reader, encodings[data[0] & 3]);
    read_all(&whole, NULL);
    read_all(&cut, data + 1);
    hilum_assert(!whole.log.failed && !cut.log.failed);
    hilum_assert(whole.log.len == cut.log.len);
    hilum_assert(whole.log.len == 0 || memcmp(whole.log.data, cut.log.data, cut.log.len) == 0);
    const enum result r = dicom_reader_end(&whole.reader, &whole_why);
    hilum_assert(dicom_reader_end(&cut.reader, &cut_why) == r && cut_why == whole_why);
    hilum_assert((r == OK) == (whole_why == NULL) && (r == OK || r == ERR_PROTO));
    hilum_assert(whole.reader.offset == cut.reader.offset);
    hilum_assert(r != OK || (whole.open == 0 && whole.seen == whole.data_set.len));
    return 0;
}
