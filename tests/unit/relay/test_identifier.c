/* Identifiers of queries and retrievals: what is read from them, what makes two the same, and what stays as it was when they are changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../dicom/tree.h"
#include "dicom/deflate.h"
#include "dicom/tag.h"
#include "dicom/uid.h"
#include "relay/identifier.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    GROUP_LENGTH = DICOM_TAG(0x0008, 0x0000),
    INSTANCE = DICOM_TAG(0x0008, 0x0018),
    LEVEL = DICOM_TAG(0x0008, 0x0052),
    TITLE = DICOM_TAG(0x0008, 0x0054),
    FAILED = DICOM_TAG(0x0008, 0x0058),
    MODALITIES = DICOM_TAG(0x0008, 0x0061),
    NAME = DICOM_TAG(0x0010, 0x0010),
    PATIENT_ID = DICOM_TAG(0x0010, 0x0020),
    ISSUER = DICOM_TAG(0x0010, 0x0021),
    STUDY = DICOM_TAG(0x0020, 0x000D),
    SERIES = DICOM_TAG(0x0020, 0x000E),
    SERIES_INSTANCES = DICOM_TAG(0x0020, 0x1209),
    STEP_ID = DICOM_TAG(0x0040, 0x0009),
    STEPS = DICOM_TAG(0x0040, 0x0100),
    PLAIN_MAX = 1 << 20
};

static const struct syntax {
    const char *uid;
    struct dicom_encoding encoding;
    bool is_deflated;
} syntaxes[] = {
    {DICOM_IMPLICIT_VR_LE, {.is_explicit = false}, false},
    {DICOM_EXPLICIT_VR_LE, {.is_explicit = true}, false},
    {DICOM_EXPLICIT_VR_BE, {.is_explicit = true, .is_big_endian = true}, false},
    {DICOM_DEFLATED_EXPLICIT_LE, {.is_explicit = true}, true},
};

/* A data set as it lies in buffers. */
struct scene {
    struct pool pool;
    struct slices data;
    struct identifier i;
    struct octets bytes; /* its elements, not deflated */
    const struct syntax *syntax;
};

static void push(struct scene *s, const uint8_t *at, size_t len, size_t step)
{
    for (size_t k = 0; k < len; k += step) {
        size_t n = step < len - k ? step : len - k;
        struct buf *b = buf_scratch(&s->pool, n);
        assert_non_null(b);
        memcpy(b->data, at + k, n);
        assert_true(slices_push(&s->data, b, b->data, (uint32_t)n));
        buf_unref(&b);
    }
}

/* The elements of s->bytes come in slices of `step` bytes. */
static void come(struct scene *s, size_t step)
{
    if (!s->syntax->is_deflated) {
        push(s, s->bytes.data, s->bytes.len, step);
        return;
    }
    static uint8_t out[1 << 16];
    struct view in = {s->bytes.data, s->bytes.len};
    struct dicom_deflate *z;
    size_t len;
    assert_int_equal(dicom_deflate_new(&z), OK);
    assert_int_equal(dicom_deflate_next(z, &in, true, out, sizeof(out), &len), NEED_MORE);
    dicom_deflate_free(&z);
    push(s, out, len, step);
}

static void begin(struct scene *s, const struct syntax *syntax)
{
    *s = (struct scene){.syntax = syntax};
    pool_init(&s->pool, 64 * BUF_BYTES);
}

/* As another one. */
static void clear(struct scene *s)
{
    slices_clear(&s->data);
    octets_clear(&s->bytes);
}

/* Every buffer is back, or pool_free says so. */
static void end(struct scene *s)
{
    identifier_free(&s->i);
    slices_clear(&s->data);
    octets_free(&s->bytes);
    pool_free(&s->pool);
}

static enum result read_it(struct scene *s)
{
    return identifier_read(&s->i, &s->data, view_of(s->syntax->uid), PLAIN_MAX);
}

static void text(struct scene *s, uint32_t tag, const char *vr, const char *value)
{
    tree_text(&s->bytes, s->syntax->encoding, tag, vr, value);
}

static void step(struct scene *s, const char *const *ids, size_t count)
{
    struct octets items = {0};
    struct dicom_encoding e = s->syntax->encoding;
    for (size_t k = 0; k < count; k++) {
        struct octets one = {0};
        tree_text(&one, e, STEP_ID, "SH", ids[k]);
        tree_head(&items, e, DICOM_ITEM, "", (uint32_t)one.len);
        octets_append(&items, one.data, one.len);
        octets_free(&one);
    }
    tree_head(&s->bytes, e, STEPS, "SQ", (uint32_t)items.len);
    octets_append(&s->bytes, items.data, items.len);
    octets_free(&items);
}

static void assert_text(const struct identifier *i, enum identifier_key key, const char *expected)
{
    struct view v = identifier_text(i, key);
    assert_int_equal(v.len, strlen(expected));
    if (v.len > 0)
        assert_memory_equal(v.at, expected, v.len);
}

static void what_a_router_has_to_know_is_found_in_every_encoding_however_it_is_cut(void **state)
{
    static const size_t steps[] = {1, 7, 64, 1 << 16};
    static const char *const step_ids[] = {"SPS1"};
    (void)state;
    for (size_t y = 0; y < COUNT(syntaxes); y++)
        for (size_t k = 0; k < COUNT(steps); k++) {
            struct scene s;
            begin(&s, &syntaxes[y]);
            text(&s, INSTANCE, "UI", "1.2.9");
            text(&s, LEVEL, "CS", "SERIES");
            text(&s, TITLE, "AE", "PACS1 ");
            text(&s, PATIENT_ID, "LO", "ID 7  ");
            text(&s, ISSUER, "LO", "");
            text(&s, STUDY, "UI", "1.2.3");
            text(&s, SERIES, "UI", "1.2.3.4\\1.2.3.5");
            text(&s, SERIES_INSTANCES, "IS", "512");
            step(&s, step_ids, 1);
            come(&s, steps[k]);
            assert_int_equal(read_it(&s), OK);
            assert_int_equal(identifier_level_of(&s.i), IDENTIFIER_SERIES);
            assert_text(&s.i, IDENTIFIER_INSTANCE_UID, "1.2.9");
            assert_text(&s.i, IDENTIFIER_RETRIEVE_TITLE, "PACS1");
            assert_text(&s.i, IDENTIFIER_PATIENT_ID, "ID 7");
            assert_text(&s.i, IDENTIFIER_ISSUER, "");
            assert_text(&s.i, IDENTIFIER_STUDY_UID, "1.2.3");
            assert_text(&s.i, IDENTIFIER_SERIES_UID, "1.2.3.4\\1.2.3.5");
            assert_text(&s.i, IDENTIFIER_STEP_ID, "SPS1");
            assert_int_equal(identifier_number(&s.i, IDENTIFIER_SERIES_INSTANCES), 512);
            assert_int_equal(identifier_number(&s.i, IDENTIFIER_STUDY_INSTANCES), 0);
            end(&s);
        }
}

static void a_list_of_uids_is_taken_one_by_one(void **state)
{
    static const struct {
        const char *list;
        size_t count;
        bool is_single;
        const char *why;
    } rows[] = {
        {"", 0, false, "nothing"},
        {"1.2", 1, true, "one"},
        {"1.2\\1.3", 2, false, "two"},
        {"\\1.2\\\\1.3\\", 2, false, "empty ones are passed over"},
        {" 1.2 \\ \\", 1, false, "spaces are padding"},
        {"1.*", 1, false, "a wild card is no entity"},
        {"1.?", 1, false, "likewise"},
    };
    (void)state;
    for (size_t k = 0; k < COUNT(rows); k++) {
        struct view list = view_of(rows[k].list), uid;
        if (identifier_count(list) != rows[k].count || identifier_is_single(list) != rows[k].is_single)
            fail_msg("%s", rows[k].why);
        while (identifier_next_uid(&list, &uid))
            assert_true(uid.len >= 3 && uid.at[0] == '1');
    }
}

/* A response, as few keys. NULL: the element is not there. */
struct response {
    const char *level, *title, *patient, *issuer, *study, *series, *instance, *step, *second_step, *name;
};

static bool key_of(const struct response *r, enum identifier_model model, enum identifier_level asked,
                   struct seen_key *key)
{
    struct scene s;
    const char *steps[] = {r->step, r->second_step};
    begin(&s, &syntaxes[1]);
    if (r->instance)
        text(&s, INSTANCE, "UI", r->instance);
    if (r->level)
        text(&s, LEVEL, "CS", r->level);
    if (r->title)
        text(&s, TITLE, "AE", r->title);
    if (r->name)
        text(&s, NAME, "PN", r->name);
    if (r->patient)
        text(&s, PATIENT_ID, "LO", r->patient);
    if (r->issuer)
        text(&s, ISSUER, "LO", r->issuer);
    if (r->study)
        text(&s, STUDY, "UI", r->study);
    if (r->series)
        text(&s, SERIES, "UI", r->series);
    if (r->step)
        step(&s, steps, r->second_step ? 2 : 1);
    come(&s, 1 << 16);
    assert_int_equal(read_it(&s), OK);
    bool has = identifier_seen_key(&s.i, model, asked, key);
    end(&s);
    return has;
}

static void responses_are_the_same_by_the_unique_key_of_their_level(void **state)
{
    enum same { SAME, OTHER, NO_KEY };
    static const struct {
        enum identifier_model model;
        enum identifier_level asked;
        struct response a, b;
        enum same is;
        const char *why;
    } rows[] = {
        {IDENTIFIER_BY_LEVEL,
         IDENTIFIER_STUDY,
         {.level = "STUDY", .study = "1.2", .title = "A"},
         {.level = "STUDY", .study = "1.2", .title = "B", .name = "Other"},
         SAME,
         "a study is its UID"},
        {IDENTIFIER_BY_LEVEL,
         IDENTIFIER_STUDY,
         {.level = "STUDY", .study = "1.2"},
         {.level = "STUDY", .study = "1.20"},
         OTHER,
         "another one"},
        {IDENTIFIER_BY_LEVEL,
         IDENTIFIER_STUDY,
         {.study = "1.2"},
         {.level = "STUDY ", .study = "1.2 "},
         SAME,
         "the request's level where the response has none; padding is nothing"},
        {IDENTIFIER_BY_LEVEL,
         IDENTIFIER_SERIES,
         {.study = "1.2", .series = "1.3"},
         {.study = "1.2", .series = "1.4"},
         OTHER,
         "two series of a study"},
        {IDENTIFIER_BY_LEVEL,
         IDENTIFIER_IMAGE,
         {.instance = "1.3"},
         {.instance = "1.3", .series = "1"},
         SAME,
         "an instance"},
        {IDENTIFIER_BY_LEVEL,
         IDENTIFIER_PATIENT,
         {.patient = "7"},
         {.patient = "7", .issuer = ""},
         SAME,
         "an empty issuer is none"},
        {IDENTIFIER_BY_LEVEL,
         IDENTIFIER_PATIENT,
         {.patient = "7", .issuer = "X"},
         {.patient = "7", .issuer = "Y"},
         OTHER,
         "patients of two issuers"},
        {IDENTIFIER_BY_LEVEL, IDENTIFIER_STUDY, {.study = ""}, {.study = ""}, NO_KEY, "no UID is no key"},
        {IDENTIFIER_BY_LEVEL, IDENTIFIER_NO_LEVEL, {.study = "1.2"}, {.study = "1.2"}, NO_KEY, "no level"},
        {IDENTIFIER_BY_STEP,
         IDENTIFIER_NO_LEVEL,
         {.study = "1.2", .step = "S1", .name = "A"},
         {.study = "1.2", .step = "S1", .name = "B"},
         SAME,
         "a step of a worklist"},
        {IDENTIFIER_BY_STEP,
         IDENTIFIER_NO_LEVEL,
         {.study = "1.2", .step = "S1"},
         {.study = "1.2", .step = "S2"},
         OTHER,
         "two steps of a study"},
        {IDENTIFIER_BY_STEP,
         IDENTIFIER_NO_LEVEL,
         {.study = "1.2", .name = "A"},
         {.study = "1.2", .name = "A"},
         SAME,
         "without a step the whole data set"},
        {IDENTIFIER_BY_STEP,
         IDENTIFIER_NO_LEVEL,
         {.study = "1.2", .name = "A"},
         {.study = "1.2", .name = "B"},
         OTHER,
         "which may differ anywhere"},
        {IDENTIFIER_BY_STEP,
         IDENTIFIER_NO_LEVEL,
         {.study = "1.2", .step = "S1", .second_step = "S2"},
         {.study = "1.2", .step = "S1", .second_step = "S3"},
         OTHER,
         "of two steps none speaks for all"},
        {IDENTIFIER_BY_INSTANCE,
         IDENTIFIER_NO_LEVEL,
         {.instance = "1.2", .name = "A"},
         {.instance = "1.2", .name = "B"},
         SAME,
         "a protocol, a UPS"},
        {IDENTIFIER_BY_INSTANCE,
         IDENTIFIER_NO_LEVEL,
         {.name = "A", .title = "P1"},
         {.name = "A", .title = "P2"},
         SAME,
         "all of it but who it comes from"},
        {IDENTIFIER_BY_INSTANCE,
         IDENTIFIER_NO_LEVEL,
         {.name = "A", .title = "P1"},
         {.name = "A"},
         SAME,
         "or whether it says so"},
    };
    (void)state;
    for (size_t k = 0; k < COUNT(rows); k++) {
        struct seen_key a = {0}, b = {0};
        bool has = key_of(&rows[k].a, rows[k].model, rows[k].asked, &a);
        bool has_b = key_of(&rows[k].b, rows[k].model, rows[k].asked, &b);
        enum same is = !has || !has_b ? NO_KEY : a.low == b.low && a.high == b.high ? SAME : OTHER;
        if (is != rows[k].is)
            fail_msg("%s", rows[k].why);
    }
}

static void the_model_follows_from_the_class(void **state)
{
    static const struct {
        const char *uid;
        enum identifier_model model;
    } rows[] = {
        {"1.2.840.10008.5.1.4.1.2.1.1", IDENTIFIER_BY_LEVEL},   /* Patient Root FIND */
        {"1.2.840.10008.5.1.4.1.2.2.1", IDENTIFIER_BY_LEVEL},   /* Study Root FIND */
        {"1.2.840.10008.5.1.4.1.2.2.2", IDENTIFIER_BY_LEVEL},   /* Study Root MOVE */
        {"1.2.840.10008.5.1.4.1.2.3.1", IDENTIFIER_BY_LEVEL},   /* Patient/Study Only FIND, retired */
        {"1.2.840.10008.5.1.4.31", IDENTIFIER_BY_STEP},         /* Modality Worklist */
        {"1.2.840.10008.5.1.4.38.2", IDENTIFIER_BY_INSTANCE},   /* Hanging Protocol FIND */
        {"1.2.840.10008.5.1.4.34.6.3", IDENTIFIER_BY_INSTANCE}, /* UPS Pull */
        {"1.2.3.4", IDENTIFIER_BY_INSTANCE},
    };
    (void)state;
    for (size_t k = 0; k < COUNT(rows); k++)
        assert_int_equal(identifier_model_of(view_of(rows[k].uid)), rows[k].model);
}

static void a_request_by_unique_keys_alone_asks_no_more(void **state)
{
    struct scene s;
    (void)state;
    begin(&s, &syntaxes[0]);
    text(&s, LEVEL, "CS", "STUDY");
    text(&s, MODALITIES, "CS", "");
    text(&s, NAME, "PN", "");
    text(&s, STUDY, "UI", "1.2.3");
    come(&s, 100);
    assert_int_equal(read_it(&s), OK);
    assert_false(s.i.asks_more);
    clear(&s);
    text(&s, LEVEL, "CS", "STUDY");
    text(&s, NAME, "PN", "A*");
    text(&s, STUDY, "UI", "1.2.3");
    come(&s, 100);
    assert_int_equal(read_it(&s), OK);
    assert_true(s.i.asks_more);
    end(&s);
}

/* The bytes of the data set as it is now, inflated. */
static void assert_elements(struct scene *s, const struct octets *expected)
{
    assert_int_equal(read_it(s), OK);
    assert_int_equal(s->i.plain.len, expected->len);
    assert_memory_equal(s->i.plain.at, expected->data, expected->len);
}

static void a_retrieve_title_takes_its_place_and_nothing_else_moves(void **state)
{
    static const struct {
        bool has_group_length, has_title, has_before, has_after;
        const char *why;
    } rows[] = {
        {false, true, true, true, "replaced"},       {false, false, true, true, "put in order"},
        {false, false, false, true, "as the first"}, {false, false, true, false, "as the last"},
        {false, false, false, false, "alone"},       {true, true, true, true, "a group length follows"},
        {true, false, true, true, "likewise"},
    };
    static const size_t steps[] = {1, 5, 1 << 16};
    (void)state;
    for (size_t k = 0; k < COUNT(rows) * COUNT(syntaxes) * COUNT(steps); k++) {
        size_t row = k / COUNT(syntaxes) / COUNT(steps);
        const struct syntax *y = &syntaxes[k % COUNT(syntaxes)];
        struct octets expected = {0};
        struct scene s;
        begin(&s, y);
        for (int is_after = 0; is_after < 2; is_after++) {
            struct octets group = {0}, *o = is_after ? &expected : &s.bytes;
            if (rows[row].has_before) {
                tree_text(&group, y->encoding, INSTANCE, "UI", "1.2.9");
                tree_text(&group, y->encoding, LEVEL, "CS", "STUDY");
            }
            if (is_after)
                tree_text(&group, y->encoding, TITLE, "AE", "GATEWAY ");
            else if (rows[row].has_title)
                tree_text(&group, y->encoding, TITLE, "AE", "P1");
            if (rows[row].has_after)
                tree_text(&group, y->encoding, MODALITIES, "CS", "CT");
            if (rows[row].has_group_length) {
                tree_head(o, y->encoding, GROUP_LENGTH, "UL", 4);
                if (y->encoding.is_big_endian)
                    octets_be32(o, (uint32_t)group.len);
                else
                    octets_le32(o, (uint32_t)group.len);
            }
            octets_append(o, group.data, group.len);
            if (rows[row].has_after)
                tree_text(o, y->encoding, NAME, "PN", "Doe^John");
            octets_free(&group);
        }
        come(&s, steps[k / COUNT(syntaxes) % COUNT(steps)]);
        assert_int_equal(read_it(&s), OK);
        if (!identifier_set_title(&s.i, &s.data, &s.pool, "GATEWAY"))
            fail_msg("%s", rows[row].why);
        assert_elements(&s, &expected);
        octets_free(&expected);
        end(&s);
    }
}

static void a_title_out_of_order_is_found_all_the_same(void **state)
{
    struct octets expected = {0};
    struct scene s;
    (void)state;
    begin(&s, &syntaxes[1]);
    text(&s, NAME, "PN", "Doe^John");
    text(&s, TITLE, "AE", "P1");
    text(&s, STUDY, "UI", "1.2");
    come(&s, 1 << 16);
    tree_text(&expected, syntaxes[1].encoding, NAME, "PN", "Doe^John");
    tree_text(&expected, syntaxes[1].encoding, TITLE, "AE", "HILUM ");
    tree_text(&expected, syntaxes[1].encoding, STUDY, "UI", "1.2");
    assert_int_equal(read_it(&s), OK);
    assert_true(identifier_set_title(&s.i, &s.data, &s.pool, "HILUM"));
    assert_elements(&s, &expected);
    octets_free(&expected);
    end(&s);
}

/* Of no bytes at all there is a place, too: a null pointer is none (a fuzzer's finding). */
static void an_empty_identifier_has_a_place_for_a_title(void **state)
{
    (void)state;
    for (size_t k = 0; k < COUNT(syntaxes); k++) {
        struct octets expected = {0};
        struct scene s;
        begin(&s, &syntaxes[k]);
        tree_text(&expected, syntaxes[k].encoding, TITLE, "AE", "HILUM ");
        come(&s, 1);
        assert_int_equal(read_it(&s), OK);
        assert_non_null(s.i.plain.at);
        assert_int_equal(identifier_level_of(&s.i), IDENTIFIER_NO_LEVEL);
        assert_true(identifier_set_title(&s.i, &s.data, &s.pool, "HILUM"));
        assert_elements(&s, &expected);
        octets_free(&expected);
        end(&s);
    }
}

/* What holds the node's bytes is what makes it wait: a title in front of them must not let them go. */
static void what_is_not_changed_stays_in_the_buffers_it_came_in(void **state)
{
    struct scene s;
    (void)state;
    begin(&s, &syntaxes[1]);
    text(&s, LEVEL, "CS", "STUDY");
    text(&s, NAME, "PN", "Doe^John");
    come(&s, 1 << 16);
    struct buf *came = slices_at(&s.data, 0)->buf;
    assert_int_equal(read_it(&s), OK);
    assert_true(identifier_set_title(&s.i, &s.data, &s.pool, "HILUM"));
    assert_int_equal(s.data.count, 3);
    assert_ptr_equal(slices_at(&s.data, 0)->buf, came);
    assert_ptr_equal(slices_at(&s.data, 2)->buf, came);
    end(&s);
}

static void requests_are_made_from_what_came_or_from_nothing(void **state)
{
    static const char failed[] = "1.2.3\\1.2.45";
    (void)state;
    for (size_t y = 0; y < COUNT(syntaxes); y++) {
        const struct dicom_encoding e = syntaxes[y].encoding;
        struct identifier_change changes[] = {
            {LEVEL, DICOM_VR_CS, view_of("SERIES")},
            {STUDY, DICOM_VR_UI, view_of("1.2.3")},
            {SERIES, DICOM_VR_UI, view_of("1.2.3.4")},
        };
        struct octets expected = {0};
        struct slices made = {0};
        struct scene s;
        begin(&s, &syntaxes[y]);
        text(&s, LEVEL, "CS", "STUDY ");
        text(&s, PATIENT_ID, "LO", "odd");
        text(&s, STUDY, "UI", "1.2.3\\1.2.4");
        come(&s, 9);
        assert_int_equal(read_it(&s), OK);
        assert_int_equal(identifier_make(&s.i, view_of(""), changes, COUNT(changes), &s.pool, &made), OK);
        slices_clear(&s.data);
        s.data = made;
        tree_text(&expected, e, LEVEL, "CS", "SERIES");
        tree_text(&expected, e, PATIENT_ID, "LO", "odd"); /* as it came */
        tree_element(&expected, e, STUDY, "UI", "1.2.3", 6);
        tree_element(&expected, e, SERIES, "UI", "1.2.3.4", 8);
        assert_elements(&s, &expected);

        clear(&s);
        octets_clear(&expected);
        struct identifier_change list = {FAILED, DICOM_VR_UI, view_of(failed)};
        assert_int_equal(identifier_make(NULL, view_of(syntaxes[y].uid), &list, 1, &s.pool, &s.data), OK);
        tree_text(&expected, e, FAILED, "UI", failed);
        assert_elements(&s, &expected);
        assert_text(&s.i, IDENTIFIER_FAILED_UIDS, failed);
        octets_free(&expected);
        end(&s);
    }
}

/* Cut anywhere, and with any byte of it wrong, it is read or it is not: nothing else happens, and a title is put only into what was read. */
static void what_is_no_data_set_does_no_harm(void **state)
{
    static const char *const step_ids[] = {"S1", "S2"};
    (void)state;
    for (size_t y = 0; y < COUNT(syntaxes); y++) {
        struct scene s;
        struct octets whole = {0};
        begin(&s, &syntaxes[y]);
        tree_head(&s.bytes, syntaxes[y].encoding, GROUP_LENGTH, "UL", 4);
        octets_fill(&s.bytes, 0, 4);
        text(&s, LEVEL, "CS", "STUDY ");
        text(&s, TITLE, "AE", "PACS");
        text(&s, STUDY, "UI", "1.2.3");
        text(&s, SERIES_INSTANCES, "IS", "7x");
        step(&s, step_ids, 2);
        come(&s, 1 << 16);
        octets_append(&whole, slices_at(&s.data, 0)->at, slices_at(&s.data, 0)->len);
        for (size_t k = 0; k < 2 * whole.len; k++) {
            bool cuts = k >= whole.len;
            size_t at = k % whole.len;
            struct octets broken = {0};
            slices_clear(&s.data);
            octets_append(&broken, whole.data, cuts ? at : whole.len);
            if (!cuts)
                broken.data[at] ^= 0x81;
            push(&s, broken.data, broken.len, 64);
            struct seen_key key;
            enum result r = read_it(&s);
            bool is_read = r == OK && s.i.is_readable;
            assert_int_equal(is_read, s.i.is_readable);
            for (unsigned v = 0; v < IDENTIFIER_KEYS; v++)
                identifier_text(&s.i, (enum identifier_key)v);
            assert_true(is_read || !identifier_seen_key(&s.i, IDENTIFIER_BY_STEP, IDENTIFIER_STUDY, &key));
            size_t before = s.data.bytes;
            bool is_set = identifier_set_title(&s.i, &s.data, &s.pool, "HILUM");
            assert_int_equal(is_set, is_read);
            assert_true(is_set || s.data.bytes == before);
            octets_free(&broken);
        }
        octets_free(&whole);
        end(&s);
    }
}

static void a_stream_that_inflates_without_end_is_given_up(void **state)
{
    struct scene s;
    (void)state;
    begin(&s, &syntaxes[3]);
    tree_head(&s.bytes, syntaxes[3].encoding, NAME, "UT", PLAIN_MAX);
    octets_fill(&s.bytes, 'x', PLAIN_MAX);
    come(&s, 1 << 16);
    assert_true(s.data.bytes < 8192);
    assert_int_equal(read_it(&s), ERR_LIMIT);
    assert_false(s.i.is_readable);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_router_has_to_know_is_found_in_every_encoding_however_it_is_cut),
        cmocka_unit_test(a_list_of_uids_is_taken_one_by_one),
        cmocka_unit_test(responses_are_the_same_by_the_unique_key_of_their_level),
        cmocka_unit_test(the_model_follows_from_the_class),
        cmocka_unit_test(a_request_by_unique_keys_alone_asks_no_more),
        cmocka_unit_test(a_retrieve_title_takes_its_place_and_nothing_else_moves),
        cmocka_unit_test(a_title_out_of_order_is_found_all_the_same),
        cmocka_unit_test(an_empty_identifier_has_a_place_for_a_title),
        cmocka_unit_test(what_is_not_changed_stays_in_the_buffers_it_came_in),
        cmocka_unit_test(requests_are_made_from_what_came_or_from_nothing),
        cmocka_unit_test(what_is_no_data_set_does_no_harm),
        cmocka_unit_test(a_stream_that_inflates_without_end_is_given_up),
    };
    return cmocka_run_group_tests_name("identifier", tests, NULL, NULL);
}
