/*
 * Any bytes as a payload of the log: read or refused, never past their end; what is read is written as it was, and can be made into entries.
 *
 *   0  u8   0 header, 1 segment, 2 streams, 3 commit, 4 outcomes, 5 sheet, 6 orders, 7 claims
 *   1  the payload
 */
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/assert.h"
#include "spool/record.h"
#include "spool/sheet.h"

static void read_claims(struct view rest)
{
    struct record_claim claim;
    struct octets o = {0};
    const uint8_t *before = rest.at;
    while (rest.len > 0 && record_claim_read(&rest, &claim) == OK) {
        octets_clear(&o);
        record_claim_write(&o, &claim);
        hilum_assert(o.len == (size_t)(rest.at - before) && memcmp(o.data, before, o.len) == 0);
        before = rest.at;
    }
    octets_free(&o);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void read_header(struct view v)
{
    struct record r;
    uint8_t head[RECORD_HEADER], again[RECORD_HEADER];
    if (v.len < RECORD_HEADER)
        return;
    memcpy(head, v.at, RECORD_HEADER);
    put_le32(head, 0x31524c48); /* what no fuzzer guesses: "HLR1", and the sum */
    put_le64(head + 56, XXH3_64bits(head, 56));
    if (!record_read(head, get_le32(head + 28), get_le64(head + 32), &r))
        return;
    hilum_assert(record_size(&r) >= RECORD_HEADER + r.length && record_size(&r) % RECORD_ALIGN == 0);
    record_write(&r, again);
    hilum_assert(memcmp(again, head, RECORD_HEADER) == 0);
}

static void read_segment(struct view v)
{
    struct record_segment s;
    struct octets o = {0};
    if (!record_segment_read(v, &s))
        return;
    record_segment_write(&o, &s);
    hilum_assert(o.len == v.len && memcmp(o.data, v.at, v.len) == 0);
    octets_free(&o);
}

static void read_streams(struct view v)
{
    struct record_place *places;
    struct spool_extent *extents;
    size_t place_count, extent_count;
    enum result r = record_streams_extents(v, &extents, &extent_count);
    hilum_assert(record_streams_places(v, &places, &place_count) == r);
    hilum_assert(place_count <= extent_count && (place_count == 0) == (extent_count == 0));
    for (size_t i = 1; i < place_count; i++)
        hilum_assert(
            places[i - 1].generation < places[i].generation ||
            (places[i - 1].generation == places[i].generation && places[i - 1].segment < places[i].segment));
    free(places);
    free(extents);
}

static void read_commit(struct view v)
{
    struct record_commit c;
    struct view class, instance;
    if (record_commit_read(v, &c) != OK)
        return;
    read_streams(c.streams);
    for (size_t i = 0; i < c.entry_count; i++) {
        hilum_assert(record_commit_sent(&c, c.entries[i].edition, &class, &instance));
        struct spool_entry *e = record_entry_new(&c, &c.entries[i], 1, 0);
        hilum_assert(e != NULL && e->data.bytes == c.bytes);
        hilum_assert(e->has_edition == (c.entries[i].edition >= 0));
        spool_entry_free(&e);
    }
    record_commit_free(&c);
}

/* Each that is read takes something off the front, and is written as it was read. */
static void read_outcomes(struct view rest)
{
    struct spool_outcome outcome;
    struct octets o = {0};
    char comment[65];
    const uint8_t *before = rest.at;
    while (rest.len > 0 && record_outcome_read(&rest, &outcome, comment) == OK) {
        hilum_assert(rest.at > before);
        octets_clear(&o);
        record_outcome_write(&o, &outcome);
        hilum_assert(o.len <= (size_t)(rest.at - before)); /* a comment may end early, by a NUL */
        before = rest.at;
    }
    octets_free(&o);
}

static bool is_same(struct view a, struct view b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/* What is read is written, and read again as the same; sheets of a few rows are enough for that. */
static void read_sheet(struct view v)
{
    struct sheet_reader *reader = malloc(sizeof(*reader)), *again = malloc(sizeof(*again));
    struct sheet *one = calloc(1, sizeof(*one));
    struct record_relayed r, back;
    hilum_assert(reader && again && one);
    bool is_sheet = sheet_read(reader, v);
    while (is_sheet && sheet_next(reader, &r) == OK) {
        hilum_assert(reader->way_count <= SHEET_WAYS_MAX);
        sheet_clear(one);
        sheet_add(one, &(struct spool_relayed){.at_ms = r.at_ms,
                                               .bytes = r.bytes,
                                               .status = r.status,
                                               .sop_class = r.sop_class,
                                               .sop_instance = r.sop_instance,
                                               .sent_instance = r.sent_instance,
                                               .study = r.study});
        hilum_assert(!one->bytes.failed);
        hilum_assert(sheet_read(again, (struct view){one->bytes.data, one->bytes.len}));
        hilum_assert(sheet_next(again, &back) == OK);
        hilum_assert(back.at_ms == r.at_ms && back.bytes == r.bytes && back.status == r.status);
        hilum_assert(is_same(back.sop_class, r.sop_class) && is_same(back.study, r.study));
        hilum_assert(is_same(back.sop_instance, r.sop_instance));
        hilum_assert(r.sent_instance.len == 0 || is_same(back.sent_instance, r.sent_instance));
        hilum_assert(sheet_next(again, &back) == NEED_MORE);
    }
    sheet_free(one);
    free(one);
    free(again);
    free(reader);
}

static void read_orders(struct view rest)
{
    struct record_order order;
    struct octets o = {0};
    const uint8_t *before = rest.at;
    while (rest.len > 0 && record_order_read(&rest, &order) == OK) {
        octets_clear(&o);
        record_order_write(&o, &order);
        hilum_assert(o.len == (size_t)(rest.at - before) && memcmp(o.data, before, o.len) == 0);
        before = rest.at;
    }
    octets_free(&o);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static void (*const readers[])(struct view) = {read_header,   read_segment, read_streams, read_commit,
                                                   read_outcomes, read_sheet,   read_orders,  read_claims};
    spool_id id;
    char text[SPOOL_ID_TEXT], given[32] = "";
    if (len < 1)
        return 0;
    readers[bytes[0] % (sizeof(readers) / sizeof(readers[0]))]((struct view){bytes + 1, len - 1});
    memcpy(given, bytes + 1, len - 1 < 31 ? len - 1 : 31);
    if (spool_id_parse(given, &id)) {
        spool_id again;
        spool_id_text(id, text);
        hilum_assert(spool_id_parse(text, &again) && again == id);
    }
    return 0;
}
