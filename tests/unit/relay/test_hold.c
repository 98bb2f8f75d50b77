/* When enough of a data set is here: attributes and headers, however it comes, and what becomes of those that cannot be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../dicom/tree.h"
#include "dicom/deflate.h"
#include "dicom/tag.h"
#include "dicom/uid.h"
#include "relay/hold.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    MODALITY = DICOM_TAG(0x0008, 0x0060),
    REFERENCED = DICOM_TAG(0x0008, 0x1140),
    PATIENT_NAME = DICOM_TAG(0x0010, 0x0010),
    PATIENT_ID = DICOM_TAG(0x0010, 0x0020),
    HEADER_MAX = 1 << 16
};

/* By configuration: 0 Modality, 1 PatientID. */
struct scene {
    struct config_attribute attributes[2];
    struct config config;
    struct pool pool;
    struct dicom_charsets *charsets;
    struct octets in;
    size_t header_len; /* of what fill made */
    struct gathered *gathered;
    struct hold *hold;
};

static void fill(struct scene *s, struct dicom_encoding e, bool has_pixels)
{
    tree_text(&s->in, e, MODALITY, "CS", "CT");
    tree_head(&s->in, e, REFERENCED, "SQ", DICOM_UNDEFINED_LENGTH);
    tree_head(&s->in, e, DICOM_ITEM, "", DICOM_UNDEFINED_LENGTH);
    tree_element(&s->in, e, DICOM_PIXEL_DATA, "OW", "icon", 4); /* none of the instance's */
    tree_head(&s->in, e, DICOM_ITEM_DELIMITATION, "", 0);
    tree_head(&s->in, e, DICOM_SEQUENCE_DELIMITATION, "", 0);
    tree_text(&s->in, e, PATIENT_NAME, "PN", "Doe^John");
    tree_text(&s->in, e, PATIENT_ID, "LO", "id");
    s->header_len = s->in.len;
    if (has_pixels)
        tree_element(&s->in, e, DICOM_PIXEL_DATA, "OW", "pixels of the image ", 20);
}

/* What is inflated counts against the pool. */
static void begin_hold(struct scene *s, const char *transfer_syntax, struct pool *pool)
{
    struct gathered_options options = {.config = &s->config};
    s->gathered = gathered_new(&options);
    assert_non_null(s->gathered);
    s->hold = hold_new(&s->config, view_of(transfer_syntax), s->gathered, pool);
    assert_non_null(s->hold);
}

static void begin(struct scene *s, const char *transfer_syntax)
{
    struct dicom_path_fault fault;
    s->config = (struct config){
        .attributes = s->attributes, .attribute_count = COUNT(s->attributes), .header_max = HEADER_MAX};
    assert_int_equal(dicom_path_parse(view_of("Modality"), &s->attributes[0].path, &fault), OK);
    assert_int_equal(dicom_path_parse(view_of("PatientID"), &s->attributes[1].path, &fault), OK);
    pool_init(&s->pool, 64 * BUF_BYTES);
    s->charsets = dicom_charsets_new();
    assert_non_null(s->charsets);
    begin_hold(s, transfer_syntax, NULL);
}

/* Nothing is left in the pool when the hold is gone. */
static void end(struct scene *s)
{
    hold_free(&s->hold);
    assert_null(s->hold);
    gathered_free(&s->gathered);
    assert_int_equal(s->pool.in_use, 0);
    dicom_charsets_free(&s->charsets);
    pool_free(&s->pool);
    octets_free(&s->in);
}

static void want(struct scene *s, bool first, bool second)
{
    s->hold->wanted[0] = first;
    s->hold->wanted[1] = second;
    assert_int_equal(hold_want_attributes(s->hold, &s->config), OK);
}

/* Feeds [from, to), each piece in a buffer of its own, until the state is told. */
static size_t feed(struct scene *s, size_t from, size_t to, size_t piece)
{
    while (from < to && hold_state(s->hold) == NEED_MORE) {
        size_t len = to - from < piece ? to - from : piece;
        struct buf *b = buf_scratch(&s->pool, len);
        assert_non_null(b);
        memcpy(b->data, s->in.data + from, len);
        b->used = (uint32_t)len;
        assert_int_equal(hold_data(s->hold, b, b->data, b->used), OK);
        buf_unref(&b);
        from += len;
    }
    return from;
}

static void feed_all(struct scene *s, size_t piece)
{
    if (feed(s, 0, s->in.len, piece) == s->in.len && hold_state(s->hold) == NEED_MORE)
        hold_end(s->hold);
}

static void assert_header(const struct scene *s, uint32_t behind)
{
    assert_int_equal(hold_state(s->hold), OK);
    assert_int_equal(s->hold->behind, behind);
    assert_int_equal(s->hold->header_len, s->header_len);
    assert_int_equal(s->hold->header.len, s->header_len);
    if (s->header_len > 0)
        assert_memory_equal(s->hold->header.at, s->in.data, s->header_len);
}

static void assert_attribute(const struct scene *s, size_t i, const char *text)
{
    const struct route_attributes *a = &s->hold->attributes;
    assert_true(a->of[i].is_known);
    assert_int_equal(a->of[i].count, 1);
    const struct route_value *v = &a->values[a->of[i].first];
    assert_int_equal(v->text_len, strlen(text));
    assert_memory_equal(a->text.data + v->text_at, text, v->text_len);
}

static const struct {
    const char *uid;
    const struct dicom_encoding *encoding;
} syntaxes[] = {{DICOM_EXPLICIT_VR_LE, &tree_explicit},
                {DICOM_IMPLICIT_VR_LE, &tree_implicit},
                {DICOM_EXPLICIT_VR_BE, &tree_big_endian}};

static void a_hold_without_wishes_is_decided(void **state)
{
    (void)state;
    struct scene s = {.in = {0}};
    begin(&s, DICOM_EXPLICIT_VR_LE);
    assert_int_equal(hold_state(s.hold), OK);
    end(&s);
}

static void attributes_are_known_as_soon_as_they_can_be(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(syntaxes); i++) {
        size_t known_at = 0;
        for (size_t piece = 1; piece < 300; piece += piece < 40 ? 1 : 50) {
            struct scene s = {.in = {0}};
            fill(&s, *syntaxes[i].encoding, true);
            begin(&s, syntaxes[i].uid);
            want(&s, true, false);
            assert_int_equal(hold_state(s.hold), NEED_MORE);
            size_t at = feed(&s, 0, s.in.len, piece);
            assert_int_equal(hold_state(s.hold), OK);
            known_at = piece == 1 ? at : known_at;
            assert_true(known_at < s.header_len / 2 && at >= known_at && at < known_at + piece);
            assert_int_equal(hold_take_attributes(s.hold, s.charsets), OK);
            assert_attribute(&s, 0, "CT");
            assert_false(s.hold->attributes.of[1].is_known);
            assert_int_equal(gathered_bytes(s.gathered), at); /* all of it is held */
            end(&s);
        }
    }
}

/* What has become known by then is ready to be decided by, though other things that were asked for lie further behind. */
static void each_attribute_is_ready_when_it_is_known(void **state)
{
    (void)state;
    struct scene s = {.in = {0}};
    fill(&s, tree_explicit, true);
    begin(&s, DICOM_EXPLICIT_VR_LE);
    want(&s, true, true);
    assert_false(hold_is_ready(s.hold));
    size_t at = 0;
    while (!hold_is_ready(s.hold))
        at = feed(&s, at, at + 1, 1);
    assert_true(at < s.header_len / 2);
    assert_int_equal(hold_state(s.hold), NEED_MORE);
    assert_int_equal(hold_take_attributes(s.hold, s.charsets), OK);
    assert_false(hold_is_ready(s.hold)); /* until there is more */
    assert_attribute(&s, 0, "CT");
    assert_false(s.hold->attributes.of[1].is_known);
    feed(&s, at, s.in.len, 1);
    assert_int_equal(hold_state(s.hold), OK);
    assert_true(hold_is_ready(s.hold));
    assert_int_equal(hold_take_attributes(s.hold, s.charsets), OK);
    assert_attribute(&s, 0, "CT"); /* once */
    assert_attribute(&s, 1, "id");
    assert_int_equal(s.hold->attributes.value_count, 2);
    end(&s);
}

static void a_header_ends_before_pixel_data(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(syntaxes); i++)
        for (size_t piece = 1; piece < 300; piece += piece < 40 ? 1 : 50) {
            struct scene s = {.in = {0}};
            fill(&s, *syntaxes[i].encoding, true);
            begin(&s, syntaxes[i].uid);
            hold_want_header(s.hold);
            feed_all(&s, piece);
            assert_false(s.hold->is_ended);
            assert_header(&s, DICOM_PIXEL_DATA);
            end(&s);
        }
}

static void without_pixel_data_all_of_it_is_the_header(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(syntaxes); i++)
        for (size_t piece = 1; piece < 300; piece += 50) {
            struct scene s = {.in = {0}};
            fill(&s, *syntaxes[i].encoding, false);
            begin(&s, syntaxes[i].uid);
            hold_want_header(s.hold);
            feed(&s, 0, s.in.len, piece);
            assert_int_equal(hold_state(s.hold), NEED_MORE);
            hold_end(s.hold);
            assert_header(&s, 0);
            end(&s);
        }
}

static void pixel_data_may_be_floats_or_all_there_is(void **state)
{
    static const uint32_t tags[] = {DICOM_FLOAT_PIXEL_DATA, DICOM_DOUBLE_PIXEL_DATA, DICOM_PIXEL_DATA};
    (void)state;
    for (size_t i = 0; i < COUNT(tags); i++) {
        struct scene s = {.in = {0}};
        tree_head(&s.in, tree_explicit, tags[i], "OF", 1 << 20);
        begin(&s, DICOM_EXPLICIT_VR_LE);
        hold_want_header(s.hold);
        feed_all(&s, 5);
        assert_header(&s, tags[i]);
        end(&s);
    }
}

static void an_empty_data_set_has_an_empty_header(void **state)
{
    (void)state;
    struct scene s = {.in = {0}};
    begin(&s, DICOM_EXPLICIT_VR_LE);
    want(&s, true, true);
    hold_want_header(s.hold);
    hold_end(s.hold);
    assert_header(&s, 0);
    assert_int_equal(hold_take_attributes(s.hold, s.charsets), OK);
    assert_true(s.hold->attributes.of[0].is_known && s.hold->attributes.of[0].count == 0);
    end(&s);
}

/* Asked for when the attributes are known, at any place: before, amid and behind what it takes. */
static void a_header_may_be_asked_for_later(void **state)
{
    (void)state;
    for (size_t at = 0; at <= 200; at += 10) {
        struct scene s = {.in = {0}};
        fill(&s, tree_explicit, true);
        begin(&s, DICOM_EXPLICIT_VR_LE);
        want(&s, false, true);
        size_t fed = at < s.in.len ? at : s.in.len;
        fed = feed(&s, 0, fed, 7);
        hold_want_header(s.hold);
        hold_want_header(s.hold); /* once is enough */
        if (feed(&s, fed, s.in.len, 7) == s.in.len && hold_state(s.hold) == NEED_MORE)
            hold_end(s.hold);
        assert_header(&s, DICOM_PIXEL_DATA);
        assert_int_equal(hold_take_attributes(s.hold, s.charsets), OK);
        assert_attribute(&s, 1, "id");
        end(&s);
    }
    struct scene s = {.in = {0}};
    fill(&s, tree_explicit, false);
    begin(&s, DICOM_EXPLICIT_VR_LE);
    want(&s, true, true);
    feed(&s, 0, s.in.len, 7);
    hold_end(s.hold);
    hold_want_header(s.hold); /* when all is here */
    if (hold_state(s.hold) == OK && gathered_bytes(s.gathered) == s.in.len)
        assert_header(&s, 0);
    end(&s);
}

static void what_cannot_be_read_says_why_and_where(void **state)
{
    (void)state;
    for (int wants = 1; wants < 4; wants++) {
        struct scene s = {.in = {0}};
        tree_text(&s.in, tree_explicit, DICOM_TAG(0x0008, 0x0008), "CS", "A ");
        tree_head(&s.in, tree_explicit, DICOM_ITEM_DELIMITATION, "", 0);
        tree_text(&s.in, tree_explicit, MODALITY, "CS", "CT");
        begin(&s, DICOM_EXPLICIT_VR_LE);
        if (wants & 1)
            want(&s, true, false);
        if (wants & 2)
            hold_want_header(s.hold);
        feed_all(&s, 3);
        assert_int_equal(hold_state(s.hold), ERR_PROTO);
        assert_non_null(s.hold->why);
        end(&s);
    }
}

static void a_data_set_that_ends_too_early_is_a_fault(void **state)
{
    (void)state;
    struct scene whole = {.in = {0}};
    fill(&whole, tree_explicit, false);
    unsigned faults = 0;
    for (size_t len = 1; len < whole.in.len; len++) {
        struct scene s = {.in = {0}};
        octets_append(&s.in, whole.in.data, len);
        begin(&s, DICOM_EXPLICIT_VR_LE);
        hold_want_header(s.hold);
        feed(&s, 0, len, 64);
        hold_end(s.hold);
        enum result r = hold_state(s.hold);
        assert_true(r == OK || (r == ERR_PROTO && s.hold->why));
        if (r == OK)
            assert_int_equal(s.hold->header.len, len);
        faults += r == ERR_PROTO;
        end(&s);
    }
    assert_int_equal(faults,
                     whole.in.len - 1 - 3); /* but between elements: Modality, the sequence, the name */
    octets_free(&whole.in);
}

/* --- deflated ---------------------------------------------------------------------------------------------- */

static void deflate(struct octets *o)
{
    static uint8_t room[1 << 20];
    struct dicom_deflate *z;
    struct octets out = {0};
    struct view in = {o->data, o->len};
    size_t len;
    enum result r;
    assert_int_equal(dicom_deflate_new(&z), OK);
    do {
        r = dicom_deflate_next(z, &in, true, room, sizeof(room), &len);
        octets_append(&out, room, len);
    } while (r == OK);
    dicom_deflate_free(&z);
    octets_free(o);
    *o = out;
}

static void a_deflated_header_is_inflated(void **state)
{
    (void)state;
    for (int has_pixels = 0; has_pixels < 2; has_pixels++)
        for (size_t piece = 1; piece < 300; piece += 20) {
            struct scene plain = {.in = {0}}, s = {.in = {0}};
            fill(&plain, tree_explicit, has_pixels);
            fill(&s, tree_explicit, has_pixels);
            deflate(&s.in);
            begin(&s, DICOM_DEFLATED_EXPLICIT_LE);
            want(&s, true, true);
            hold_want_header(s.hold);
            feed_all(&s, piece);
            assert_int_equal(hold_state(s.hold), OK);
            assert_int_equal(s.hold->header.len, plain.header_len);
            assert_memory_equal(s.hold->header.at, plain.in.data, plain.header_len);
            assert_int_equal(s.hold->behind, has_pixels ? DICOM_PIXEL_DATA : 0);
            assert_int_equal(hold_take_attributes(s.hold, s.charsets), OK);
            assert_attribute(&s, 1, "id");
            octets_free(&plain.in);
            end(&s);
        }
}

static void a_bomb_is_bounded_by_header_max(void **state)
{
    (void)state;
    struct scene s = {.in = {0}};
    tree_head(&s.in, tree_explicit, DICOM_TAG(0x0008, 0x0300), "OB", 1 << 24);
    octets_fill(&s.in, 0, 1 << 24);
    deflate(&s.in);
    assert_true(s.in.len < HEADER_MAX);
    begin(&s, DICOM_DEFLATED_EXPLICIT_LE);
    hold_want_header(s.hold);
    feed_all(&s, 1000);
    assert_int_equal(hold_state(s.hold), ERR_LIMIT);
    assert_string_equal(s.hold->why, "inflated, the header is larger than header_max");
    assert_true(s.hold->copy.cap <= 4 * HEADER_MAX);
    end(&s);
}

/* A header that grows as it is inflated counts against the pool it is given, and is refused where that has no room. */
static void what_is_inflated_counts_against_the_pool(void **state)
{
    (void)state;
    for (uint64_t buffers = 4; buffers <= 64; buffers *= 2) {
        struct scene s = {.in = {0}};
        tree_head(&s.in, tree_explicit, DICOM_TAG(0x0008, 0x0300), "OB", 1 << 20);
        octets_fill(&s.in, 0, 1 << 20);
        deflate(&s.in);
        begin(&s, DICOM_DEFLATED_EXPLICIT_LE);
        s.hold->header_max = 4 << 20;
        pool_init(&s.pool, buffers * BUF_BYTES);
        s.hold->pool = &s.pool;
        hold_want_header(s.hold);
        feed(&s, 0, s.in.len, 2000);
        bool has_room = buffers > 17; /* with the eighth that is left */
        assert_int_equal(hold_state(s.hold), has_room ? NEED_MORE : ERR_MEMORY);
        if (has_room) {
            assert_int_equal(s.pool.in_use, 16);
            hold_end(s.hold);
            assert_int_equal(hold_state(s.hold), OK);
        } else {
            assert_string_equal(s.hold->why, "no memory to hold what routes ask for");
        }
        end(&s); /* all of it is given back */
    }
}

static void what_is_no_deflate_stream_is_a_fault(void **state)
{
    (void)state;
    struct scene s = {.in = {0}};
    octets_fill(&s.in, 0xFF, 100);
    begin(&s, DICOM_DEFLATED_EXPLICIT_LE);
    hold_want_header(s.hold);
    feed_all(&s, 10);
    assert_int_equal(hold_state(s.hold), ERR_PROTO);
    assert_non_null(s.hold->why);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hold_without_wishes_is_decided),
        cmocka_unit_test(attributes_are_known_as_soon_as_they_can_be),
        cmocka_unit_test(each_attribute_is_ready_when_it_is_known),
        cmocka_unit_test(a_header_ends_before_pixel_data),
        cmocka_unit_test(without_pixel_data_all_of_it_is_the_header),
        cmocka_unit_test(pixel_data_may_be_floats_or_all_there_is),
        cmocka_unit_test(an_empty_data_set_has_an_empty_header),
        cmocka_unit_test(a_header_may_be_asked_for_later),
        cmocka_unit_test(what_cannot_be_read_says_why_and_where),
        cmocka_unit_test(a_data_set_that_ends_too_early_is_a_fault),
        cmocka_unit_test(a_deflated_header_is_inflated),
        cmocka_unit_test(a_bomb_is_bounded_by_header_max),
        cmocka_unit_test(what_is_inflated_counts_against_the_pool),
        cmocka_unit_test(what_is_no_deflate_stream_is_a_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
