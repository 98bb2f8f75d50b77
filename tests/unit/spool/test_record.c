/* The log's bytes: what is written is read as it was, and what is cut or changed is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <xxhash.h>

#include "spool/record.h"

static void assert_text(struct view v, const char *text)
{
    assert_int_equal(v.len, strlen(text));
    if (v.len > 0)
        assert_memory_equal(v.at, text, v.len);
}

/* A copy of exactly these bytes, so that a sanitizer sees who reads past them. */
static struct view exact(struct view v, size_t len)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, v.at, len);
    return (struct view){copy, len};
}

static const struct record example = {
    .type = RECORD_DATA,
    .length = 0x123,
    .draft = 0x0102030405060708,
    .stream = 2,
    .segment = 7,
    .offset = 0x4000,
    .synced = 0x3000,
    .checksum = 0xfedcba9876543210,
};

static void header_stands_as_its_picture_says(void **state)
{
    (void)state;
    static const uint8_t golden[56] = {
        'H',  'L',  'R',  '1',  2,    0,    0,    0,    /* magic, type */
        0x23, 0x01, 0,    0,    0,    0,    0,    0,    /* length */
        0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, /* draft */
        2,    0,    0,    0,    7,    0,    0,    0,    /* stream, segment */
        0x00, 0x40, 0,    0,    0,    0,    0,    0,    /* offset */
        0x00, 0x30, 0,    0,    0,    0,    0,    0,    /* synced */
        0x10, 0x32, 0x54, 0x76, 0x98, 0xba, 0xdc, 0xfe, /* checksum of the payload */
    };
    uint8_t bytes[RECORD_HEADER];
    struct record r;
    record_write(&example, bytes);
    assert_memory_equal(bytes, golden, sizeof(golden));
    assert_int_equal(get_le64(bytes + 56), XXH3_64bits(golden, sizeof(golden)));
    assert_true(record_read(bytes, 7, 0x4000, &r));
    assert_int_equal(r.type, RECORD_DATA);
    assert_int_equal(r.length, 0x123);
    assert_int_equal(r.draft, example.draft);
    assert_int_equal(r.stream, 2);
    assert_int_equal(r.synced, 0x3000);
    assert_int_equal(r.checksum, example.checksum);
    assert_int_equal(record_size(&r), 0x123 + 64 + 5);
}

static void header_with_any_bit_changed_is_none(void **state)
{
    (void)state;
    uint8_t bytes[RECORD_HEADER];
    struct record r;
    record_write(&example, bytes);
    for (unsigned bit = 0; bit < RECORD_HEADER * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_false(record_read(bytes, 7, 0x4000, &r));
        bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    assert_true(record_read(bytes, 7, 0x4000, &r));
}

static void header_of_another_place_is_none(void **state)
{
    (void)state;
    uint8_t bytes[RECORD_HEADER];
    struct record r;
    record_write(&example, bytes);
    assert_false(record_read(bytes, 8, 0x4000, &r));
    assert_false(record_read(bytes, 7, 0x4008, &r));
    struct record odd = example;
    odd.type = (enum record_type)(RECORD_CLAIM + 1);
    record_write(&odd, bytes);
    assert_false(record_read(bytes, 7, 0x4000, &r));
    odd = example;
    odd.length = UINT64_MAX - 70; /* whose size would wrap */
    record_write(&odd, bytes);
    assert_false(record_read(bytes, 7, 0x4000, &r));
}

static void segment_is_read_as_written_and_never_cut(void **state)
{
    (void)state;
    struct octets o = {0};
    struct record_segment s = {
        .version = 1, .generation = 3, .segment = 9, .previous = 7, .previous_end = 1 << 20, .created_ms = 5};
    struct record_segment back;
    record_segment_write(&o, &s);
    assert_true(record_segment_read((struct view){o.data, o.len}, &back));
    assert_int_equal(back.version, 1);
    assert_int_equal(back.generation, 3);
    assert_int_equal(back.segment, 9);
    assert_int_equal(back.previous, 7);
    assert_int_equal(back.previous_end, 1 << 20);
    assert_int_equal(back.created_ms, 5);
    for (size_t len = 0; len < o.len; len++)
        assert_false(record_segment_read((struct view){o.data, len}, &back));
    octets_clear(&o);
    s.previous = 9; /* a segment cannot follow itself */
    record_segment_write(&o, &s);
    assert_false(record_segment_read((struct view){o.data, o.len}, &back));
    octets_free(&o);
}

/* --- commits --------------------------------------------------------------------------------------------------- */

static struct spool_extent data_extents[] = {
    {.generation = 3, .segment = 5, .offset = 64, .bytes = 1000, .checksum = 11},
    {.generation = 3, .segment = 4, .offset = 4096, .bytes = 24, .checksum = 12},
    {.generation = 3, .segment = 5, .offset = 8192, .bytes = 0xffffffff, .checksum = 13},
};
static struct spool_extent header_extents[] = {
    {.generation = 2, .segment = 9, .offset = 1, .bytes = 300, .checksum = UINT64_MAX}};
static const struct spool_stream streams[] = {
    {.extents = data_extents, .count = 3, .bytes = 1024 + 0xffffffffULL},
    {.extents = header_extents, .count = 1, .bytes = 300},
};
static const uint32_t drop[] = {0x00100010, 0x7fe00010}, copies[] = {0x00100020, 0x00100030, 0x00200010};
static const struct spool_edition editions[] = {{
    .stream = 1,
    .received_header_len = 400,
    .is_deflated = true,
    .tail = {.drops_private = true,
             .drop = drop,
             .drop_count = 2,
             .below = 0x50000000,
             .copies = copies,
             .copy_count = 3},
    .sop_class = {(const uint8_t *)"1.2.9", 5},
    .sop_instance = {(const uint8_t *)"1.2.3.99", 8},
}};
static const struct spool_new_entry entries[] = {
    {.node = "pacs", .route = "all", .edition = SPOOL_AS_RECEIVED},
    {.node = "ai",
     .route = "to the AI",
     .edition = 0,
     .was_tried = true,
     .status = 0xa700,
     .comment = "out of space",
     .hold_ms = 60000,
     .group = "study",
     .asks = true},
};

static struct spool_commit make_commit(void)
{
    return (struct spool_commit){
        .facts = {.received_ms = 1700000000123,
                  .calling = "CT1",
                  .called = "HILUM",
                  .remote = "10.0.0.1",
                  .abstract_syntax = "1.2.4",
                  .transfer_syntax = "1.2.840.10008.1.2",
                  .sop_class = view_of("1.2.4"),
                  .sop_instance = view_of("1.2.3.4"),
                  .study = view_of("1.2.3"),
                  .series = view_of("1.2.3.1"),
                  .patient = view_of("J\303\251r\303\264me"),
                  .priority = 2},
        .editions = editions,
        .edition_count = 1,
        .entries = entries,
        .entry_count = 2,
    };
}

static void write_commit(struct octets *o)
{
    struct spool_commit c = make_commit();
    record_commit_write(o, 100, 101, &c, streams, 2);
    assert_false(o->failed);
}

static void commit_is_read_as_written(void **state)
{
    (void)state;
    struct octets o = {0};
    struct record_commit c;
    write_commit(&o);
    assert_int_equal(record_commit_read((struct view){o.data, o.len}, &c), OK);
    assert_int_equal(c.message, 100);
    assert_int_equal(c.received_ms, 1700000000123);
    assert_int_equal(c.bytes, streams[0].bytes);
    assert_int_equal(c.priority, 2);
    assert_text(c.calling, "CT1");
    assert_text(c.called, "HILUM");
    assert_text(c.remote, "10.0.0.1");
    assert_text(c.abstract_syntax, "1.2.4");
    assert_text(c.transfer_syntax, "1.2.840.10008.1.2");
    assert_text(c.sop_instance, "1.2.3.4");
    assert_text(c.study, "1.2.3");
    assert_text(c.series, "1.2.3.1");
    assert_text(c.patient, "J\303\251r\303\264me");
    assert_int_equal(c.entry_count, 2);
    assert_int_equal(c.entries[0].id, 101);
    assert_text(c.entries[0].node, "pacs");
    assert_int_equal(c.entries[0].edition, SPOOL_AS_RECEIVED);
    assert_int_equal(c.entries[0].group.len, 0);
    assert_int_equal(c.entries[1].id, 102);
    assert_text(c.entries[1].route, "to the AI");
    assert_false(c.entries[0].asks);
    assert_true(c.entries[1].asks);
    assert_false(c.entries[0].was_tried);
    assert_true(c.entries[1].was_tried);
    assert_int_equal(c.entries[1].status, 0xa700);
    assert_text(c.entries[1].comment, "out of space");
    assert_int_equal(c.entries[1].hold_ms, 60000);
    assert_text(c.entries[1].group, "study");
    record_commit_free(&c);
    octets_free(&o);
}

static void commit_knows_what_an_edition_goes_out_as(void **state)
{
    (void)state;
    struct octets o = {0};
    struct record_commit c;
    struct view class, instance;
    write_commit(&o);
    assert_int_equal(record_commit_read((struct view){o.data, o.len}, &c), OK);
    assert_true(record_commit_sent(&c, SPOOL_AS_RECEIVED, &class, &instance));
    assert_text(class, "1.2.4");
    assert_text(instance, "1.2.3.4");
    assert_true(record_commit_sent(&c, 0, &class, &instance));
    assert_text(class, "1.2.9");
    assert_text(instance, "1.2.3.99");
    assert_false(record_commit_sent(&c, 1, &class, &instance));
    record_commit_free(&c);
    octets_free(&o);
}

static void streams_name_their_segments_once_and_in_order(void **state)
{
    (void)state;
    struct octets o = {0};
    struct record_commit c;
    struct record_place *places;
    struct spool_extent *extents;
    size_t count;
    write_commit(&o);
    assert_int_equal(record_commit_read((struct view){o.data, o.len}, &c), OK);
    assert_int_equal(record_streams_places(c.streams, &places, &count), OK);
    assert_int_equal(count, 3);
    static const struct record_place expected[] = {{2, 9}, {3, 4}, {3, 5}};
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(places[i].generation, expected[i].generation);
        assert_int_equal(places[i].segment, expected[i].segment);
    }
    assert_int_equal(record_streams_extents(c.streams, &extents, &count), OK);
    assert_int_equal(count, 4);
    assert_int_equal(extents[1].offset, 4096);
    assert_int_equal(extents[2].bytes, 0xffffffff);
    assert_int_equal(extents[3].checksum, UINT64_MAX);
    free(places);
    free(extents);
    record_commit_free(&c);
    octets_free(&o);
}

static void entry_holds_all_of_its_message_in_one_block(void **state)
{
    (void)state;
    struct octets o = {0};
    struct record_commit c;
    write_commit(&o);
    assert_int_equal(record_commit_read((struct view){o.data, o.len}, &c), OK);
    struct spool_entry *plain = record_entry_new(&c, &c.entries[0], 0, 0);
    struct spool_entry *edited = record_entry_new(&c, &c.entries[1], 3, 0xa701);
    record_commit_free(&c);
    octets_free(&o);
    assert_non_null(plain);
    assert_int_equal(plain->id, 101);
    assert_int_equal(plain->message, 100);
    assert_string_equal(plain->node, "pacs");
    assert_string_equal(plain->transfer_syntax, "1.2.840.10008.1.2");
    assert_string_equal(plain->sent_class, "1.2.4");
    assert_string_equal(plain->patient, "J\303\251r\303\264me");
    assert_false(plain->has_edition);
    assert_int_equal(plain->data.count, 3);
    assert_int_equal(plain->data.bytes, streams[0].bytes);
    assert_int_equal(plain->data.extents[2].offset, 8192);
    assert_int_equal(plain->header.count, 0);
    assert_non_null(edited);
    assert_true(edited->has_edition && edited->is_deflated && edited->tail.drops_private);
    assert_int_equal(edited->attempts, 3);
    assert_int_equal(edited->status, 0xa701);
    assert_int_equal(edited->header.count, 1);
    assert_int_equal(edited->header.extents[0].bytes, 300);
    assert_int_equal(edited->received_header_len, 400);
    assert_int_equal(edited->tail.drop_count, 2);
    assert_memory_equal(edited->tail.drop, drop, sizeof(drop));
    assert_int_equal(edited->tail.copy_count, 3);
    assert_memory_equal(edited->tail.copies, copies, sizeof(copies));
    assert_int_equal(edited->tail.below, 0x50000000);
    assert_string_equal(edited->sop_instance, "1.2.3.4");
    assert_string_equal(edited->sent_instance, "1.2.3.99");
    spool_entry_free(&plain);
    spool_entry_free(&edited);
    assert_null(edited);
}

static void commit_cut_anywhere_is_refused(void **state)
{
    (void)state;
    struct octets o = {0};
    write_commit(&o);
    for (size_t len = 0; len < o.len; len++) {
        struct record_commit c;
        struct view cut = exact((struct view){o.data, o.len}, len);
        assert_int_equal(record_commit_read(cut, &c), ERR_PROTO);
        free((void *)cut.at);
    }
    octets_u8(&o, 0);
    struct record_commit c;
    assert_int_equal(record_commit_read((struct view){o.data, o.len}, &c), ERR_PROTO); /* one byte more */
    octets_free(&o);
}

/* Whatever one byte is, reading ends well, and what is read can be made into entries. */
static void commit_with_any_byte_changed_is_read_or_refused(void **state)
{
    (void)state;
    struct octets o = {0};
    write_commit(&o);
    for (size_t i = 0; i < o.len; i++) {
        uint8_t was = o.data[i];
        for (unsigned change = 0; change < 3; change++) {
            struct record_commit c;
            o.data[i] = change == 0 ? 0xff : (uint8_t)(was + (change == 1 ? 1 : -1));
            if (record_commit_read((struct view){o.data, o.len}, &c) != OK)
                continue;
            for (size_t e = 0; e < c.entry_count; e++) {
                struct spool_entry *entry = record_entry_new(&c, &c.entries[e], 0, 0);
                assert_non_null(entry);
                spool_entry_free(&entry);
            }
            record_commit_free(&c);
        }
        o.data[i] = was;
    }
    octets_free(&o);
}

static void commit_whose_parts_contradict_is_refused(void **state)
{
    (void)state;
    struct octets o = {0};
    struct record_commit c;
    struct spool_commit commit = make_commit();
    struct spool_stream wrong[2] = {streams[0], streams[1]};
    wrong[1].bytes++; /* not what its extents come to */
    record_commit_write(&o, 1, 2, &commit, wrong, 2);
    assert_int_equal(record_commit_read((struct view){o.data, o.len}, &c), ERR_PROTO);
    octets_clear(&o);
    commit.edition_count = 0; /* but an entry has one */
    record_commit_write(&o, 1, 2, &commit, streams, 2);
    assert_int_equal(record_commit_read((struct view){o.data, o.len}, &c), ERR_PROTO);
    octets_free(&o);
}

static void message_may_be_empty(void **state)
{
    (void)state;
    struct octets o = {0};
    struct record_commit c;
    struct record_place *places;
    size_t count;
    struct spool_commit commit = make_commit();
    commit.edition_count = 0;
    commit.entry_count = 1;
    record_commit_write(&o, 1, 2, &commit, NULL, 0);
    assert_int_equal(record_commit_read((struct view){o.data, o.len}, &c), OK);
    assert_int_equal(c.bytes, 0);
    assert_int_equal(record_streams_places(c.streams, &places, &count), OK);
    assert_null(places);
    struct spool_entry *entry = record_entry_new(&c, &c.entries[0], 0, 0);
    assert_non_null(entry);
    assert_int_equal(entry->data.count, 0);
    spool_entry_free(&entry);
    record_commit_free(&c);
    octets_free(&o);
}

/* --- several in one payload ------------------------------------------------------------------------------------ */

static void outcomes_stand_one_after_another(void **state)
{
    (void)state;
    struct octets o = {0};
    struct spool_outcome back;
    char comment[65], long_comment[100];
    memset(long_comment, 'x', sizeof(long_comment) - 1);
    long_comment[99] = '\0';
    record_outcome_write(&o, &(struct spool_outcome){.id = 7,
                                                     .state = SPOOL_WAITING,
                                                     .was_tried = true,
                                                     .at_ms = 10,
                                                     .due_ms = 20,
                                                     .status = 0xa700,
                                                     .comment = long_comment});
    record_outcome_write(&o, &(struct spool_outcome){.id = 8, .state = SPOOL_DELIVERED});
    struct view rest = {o.data, o.len};
    assert_int_equal(record_outcome_read(&rest, &back, comment), OK);
    assert_int_equal(back.id, 7);
    assert_int_equal(back.state, SPOOL_WAITING);
    assert_true(back.was_tried);
    assert_int_equal(back.due_ms, 20);
    assert_int_equal(back.status, 0xa700);
    assert_int_equal(strlen(back.comment), 64); /* an Error Comment has no more */
    assert_int_equal(record_outcome_read(&rest, &back, comment), OK);
    assert_int_equal(back.id, 8);
    assert_string_equal(back.comment, "");
    assert_int_equal(rest.len, 0);
    rest = (struct view){o.data, o.len};
    o.data[8] = SPOOL_RELAYED + 1; /* no state */
    assert_int_equal(record_outcome_read(&rest, &back, comment), ERR_PROTO);
    rest.len = 20;
    assert_int_equal(record_outcome_read(&rest, &back, comment), ERR_PROTO);
    octets_free(&o);
}

static void orders_are_read_as_written(void **state)
{
    (void)state;
    struct octets o = {0};
    struct record_order back;
    record_order_write(&o, &(struct record_order){.id = 5, .to = view_of("pacs2"), .at_ms = 9});
    record_order_write(&o, &(struct record_order){.id = 6, .drop = true});
    struct view rest = {o.data, o.len};
    assert_int_equal(record_order_read(&rest, &back), OK);
    assert_int_equal(back.id, 5);
    assert_false(back.drop);
    assert_text(back.to, "pacs2");
    assert_int_equal(back.at_ms, 9);
    assert_int_equal(record_order_read(&rest, &back), OK);
    assert_true(back.drop);
    assert_int_equal(rest.len, 0);
    octets_free(&o);
}

static void claims_are_read_as_written_and_never_cut(void **state)
{
    (void)state;
    struct octets o = {0};
    struct record_claim back;
    const struct record_claim first = {
        .pool = view_of("archive"), .study = view_of("1.2.3"), .member = view_of("pacs2"), .at_ms = 77};
    record_claim_write(&o, &first);
    size_t whole = o.len;
    record_claim_write(&o, &(struct record_claim){.pool = view_of("b"), .member = view_of("c")});
    struct view rest = {o.data, o.len};
    assert_int_equal(record_claim_read(&rest, &back), OK);
    assert_text(back.pool, "archive");
    assert_text(back.study, "1.2.3");
    assert_text(back.member, "pacs2");
    assert_int_equal(back.at_ms, 77);
    assert_int_equal(record_claim_read(&rest, &back), OK);
    assert_int_equal(back.study.len, 0);
    assert_text(back.member, "c");
    assert_int_equal(rest.len, 0);
    for (size_t len = 0; len < whole; len++) {
        rest = (struct view){o.data, len};
        assert_int_equal(record_claim_read(&rest, &back), ERR_PROTO);
    }
    octets_free(&o);
}

/* What is no C-STORE says so at the end; older records have nothing there. */
static void commit_says_of_what_command_it_is(void **state)
{
    (void)state;
    static const struct {
        uint16_t written, read;
        size_t more;
    } cases[] = {{0, 1, 0}, {1, 1, 0}, {0x0120, 0x0120, 2}, {0x0140, 0x0140, 2}};
    for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
        struct spool_commit commit = {.facts = {.sop_instance = view_of("1.2"), .field = cases[n].written}};
        struct octets o = {0};
        struct record_commit c;
        record_commit_write(&o, 7, 8, &commit, NULL, 0);
        assert_int_equal(record_commit_read((struct view){o.data, o.len}, &c), OK);
        assert_int_equal(c.field, cases[n].read);
        record_commit_free(&c);
        if (cases[n].more > 0) {
            assert_int_equal(record_commit_read((struct view){o.data, o.len - 1}, &c), ERR_PROTO);
            put_le16(o.data + o.len - 2, 1); /* nobody writes that */
            assert_int_equal(record_commit_read((struct view){o.data, o.len}, &c), ERR_PROTO);
        }
        octets_free(&o);
    }
}

static void releases_are_read_as_written_and_never_cut(void **state)
{
    (void)state;
    struct octets o = {0};
    struct record_release back;
    const char *const nodes[] = {"research", "ai"};
    const spool_id released[] = {7, 9, 11};
    struct record_added added[] = {{20, 7, 0}, {21, 7, 1}, {22, 9, 1}};
    record_release_write(&o, 5, nodes, 2, released, 3, added, 3);
    struct view payload = {o.data, o.len};
    assert_int_equal(record_release_read(payload, &back), OK);
    assert_int_equal(back.at_ms, 5);
    assert_int_equal(back.node_count, 2);
    assert_text(record_release_node(&back, 0), "research");
    assert_text(record_release_node(&back, 1), "ai");
    assert_int_equal(back.released_count, 3);
    assert_int_equal(record_release_id(&back, 2), 11);
    assert_int_equal(back.added_count, 3);
    assert_int_equal(record_release_added(&back, 2).id, 22);
    assert_int_equal(record_release_added(&back, 2).of, 9);
    assert_int_equal(record_release_added(&back, 2).node, 1);
    for (size_t len = 0; len < o.len; len++) {
        struct view cut = exact(payload, len);
        assert_int_equal(record_release_read(cut, &back), ERR_PROTO);
        free((void *)cut.at);
    }
    octets_u8(&o, 0); /* and nothing may follow */
    assert_int_equal(record_release_read((struct view){o.data, o.len}, &back), ERR_PROTO);
    octets_clear(&o);
    added[1].node = 2; /* of two */
    record_release_write(&o, 5, nodes, 2, released, 3, added, 3);
    assert_int_equal(record_release_read((struct view){o.data, o.len}, &back), ERR_PROTO);
    octets_clear(&o);
    record_release_write(&o, 5, NULL, 0, released, 1, NULL, 0);
    assert_int_equal(record_release_read((struct view){o.data, o.len}, &back), OK);
    assert_int_equal(back.node_count + back.added_count, 0);
    octets_free(&o);
}

static void ids_are_read_as_they_are_shown(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",
                                        "3",
                                        "3.",
                                        ".17",
                                        "3.17 ",
                                        " 3.17",
                                        "3.-1",
                                        "a",
                                        "3.17.1",
                                        "+3.1",
                                        "16777216.1",
                                        "1.1099511627776",
                                        "3.99999999999999999999999999"};
    char text[SPOOL_ID_TEXT];
    spool_id id;
    spool_id_text((spool_id)3 << SPOOL_ID_BITS | 17, text);
    assert_string_equal(text, "3.17");
    assert_true(spool_id_parse("3.17", &id));
    assert_int_equal(id, (spool_id)3 << SPOOL_ID_BITS | 17);
    spool_id_text(UINT64_MAX, text);
    assert_string_equal(text, "16777215.1099511627775");
    assert_true(spool_id_parse(text, &id));
    assert_true(id == UINT64_MAX);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (spool_id_parse(wrong[i], &id))
            fail_msg("\"%s\" was taken for an id", wrong[i]);
    assert_string_equal(spool_state_name(SPOOL_HELD), "held");
    assert_string_equal(spool_state_name(SPOOL_RELAYED), "relayed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_stands_as_its_picture_says),
        cmocka_unit_test(header_with_any_bit_changed_is_none),
        cmocka_unit_test(header_of_another_place_is_none),
        cmocka_unit_test(segment_is_read_as_written_and_never_cut),
        cmocka_unit_test(commit_is_read_as_written),
        cmocka_unit_test(commit_says_of_what_command_it_is),
        cmocka_unit_test(commit_knows_what_an_edition_goes_out_as),
        cmocka_unit_test(streams_name_their_segments_once_and_in_order),
        cmocka_unit_test(entry_holds_all_of_its_message_in_one_block),
        cmocka_unit_test(commit_cut_anywhere_is_refused),
        cmocka_unit_test(releases_are_read_as_written_and_never_cut),
        cmocka_unit_test(commit_with_any_byte_changed_is_read_or_refused),
        cmocka_unit_test(commit_whose_parts_contradict_is_refused),
        cmocka_unit_test(message_may_be_empty),
        cmocka_unit_test(outcomes_stand_one_after_another),
        cmocka_unit_test(orders_are_read_as_written),
        cmocka_unit_test(claims_are_read_as_written_and_never_cut),
        cmocka_unit_test(ids_are_read_as_they_are_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
