/* What `trace = true` writes into a data set: what it was before, and who changed it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "../dicom/tree.h"
#include "dicom/tag.h"
#include "relay/trace.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    MEMORY_MAX = 1 << 20,
    IDENTITY_REMOVED = DICOM_TAG(0x0012, 0x0062),
    PATIENT_ID = DICOM_TAG(0x0010, 0x0020),
    EQUIPMENT = DICOM_TAG(0x0018, 0xA001),
    PURPOSE = DICOM_TAG(0x0040, 0xA170),
    ORIGINAL = DICOM_TAG(0x0400, 0x0561),
    MODIFIED = DICOM_TAG(0x0400, 0x0550)
};

static const struct dicom_encoding *const encodings[] = {&tree_explicit, &tree_implicit, &tree_big_endian};

struct text {
    uint32_t tag;
    const char *vr, *value; /* of even length; NULL: there are no more */
};

static struct octets data_set(struct dicom_encoding e, const struct text *texts)
{
    struct octets o = {0};
    for (; texts->value; texts++)
        tree_text(&o, e, texts->tag, texts->vr, texts->value);
    return o;
}

/* trace_write, over a byte string. */
static enum result write_trace(struct trace *t, struct octets *out, const char **why)
{
    struct config config = {.header_max = MEMORY_MAX};
    struct gathered_options options = {.config = &config};
    struct pool pool;
    struct gathered_piece piece;
    pool_init(&pool, BUF_BYTES);
    t->gathered = gathered_new(&options);
    t->pool = &pool;
    assert_non_null(t->gathered);
    assert_int_equal(gathered_room(t->gathered, &pool, out->len, &piece), OK);
    if (out->len > 0)
        memcpy(piece.at, out->data, out->len);
    enum result r = trace_write(t, &piece, why);
    octets_clear(out);
    octets_append(out, piece.at, piece.len);
    gathered_piece_free(&piece);
    gathered_free(&t->gathered);
    pool_free(&pool);
    return r;
}

/* The data set after the trace: *d over *out, both freed by the caller. */
static void traced(struct dicom_encoding e, const struct text *before, const struct text *after,
                   struct octets *out, struct dicom_document *d)
{
    struct octets was = data_set(e, before);
    struct trace t = {.before = {was.data, was.len},
                      .encoding = e,
                      .behind = DICOM_PIXEL_DATA,
                      .memory_max = MEMORY_MAX,
                      .system = "GATEWAY",
                      .now = "20240229101112.000000+0000"};
    const char *why;
    *out = data_set(e, after);
    assert_int_equal(write_trace(&t, out, &why), OK);
    assert_int_equal(
        dicom_document_parse(d, (struct view){out->data, out->len}, e, DICOM_PIXEL_DATA, MEMORY_MAX), OK);
    octets_free(&was);
}

static struct dicom_data_set *only_item(struct dicom_data_set *ds, uint32_t tag)
{
    struct dicom_element *e = dicom_data_set_find(ds, tag);
    struct dicom_data_set *item;
    size_t count;
    assert_non_null(e);
    assert_int_equal(dicom_element_items(e, &count), OK);
    assert_int_equal(count, 1);
    assert_int_equal(dicom_element_item(e, 0, &item), OK);
    return item;
}

static void assert_text(struct dicom_data_set *ds, uint32_t tag, const char *expected)
{
    const struct dicom_element *e = dicom_data_set_find(ds, tag);
    assert_non_null(e);
    assert_int_equal(e->value.len, strlen(expected));
    assert_memory_equal(e->value.at, expected, e->value.len);
}

static size_t count_of(struct dicom_data_set *ds)
{
    size_t count = 0;
    for (struct dicom_element *e = dicom_data_set_first(ds); e; e = dicom_element_next(e))
        count++;
    return count;
}

static void values_before_and_the_one_who_changed_them_are_told(void **state)
{
    static const struct text before[] = {{0x00080060, "CS", "CT"}, {PATIENT_ID, "LO", "OLD1"}, {0}};
    static const struct text after[] = {{0x00080060, "CS", "CT"}, {PATIENT_ID, "LO", "NEW1"}, {0}};
    (void)state;
    for (size_t i = 0; i < COUNT(encodings); i++) {
        struct octets out;
        struct dicom_document d;
        traced(*encodings[i], before, after, &out, &d);
        struct dicom_data_set *root = dicom_document_root(&d);
        struct dicom_data_set *values = only_item(only_item(root, ORIGINAL), MODIFIED);
        assert_text(root, PATIENT_ID, "NEW1");
        assert_text(root, DICOM_TAG(0x0008, 0x0015), "20240229101112.000000+0000");
        assert_text(values, PATIENT_ID, "OLD1");
        assert_int_equal(count_of(values), 1);
        assert_text(only_item(root, EQUIPMENT), DICOM_TAG(0x0008, 0x1010), "GATEWAY ");
        assert_text(only_item(only_item(root, EQUIPMENT), PURPOSE), DICOM_TAG(0x0008, 0x0100), "109103");
        dicom_document_free(&d);
        octets_free(&out);
    }
}

/* Broken writers leave them there; a morph may remove them, and no copy of them may be made. */
static void what_no_data_set_may_have_is_not_told(void **state)
{
    static const struct text before[] = {
        {0x00020010, "UI", "1.2.840."}, {0x00030010, "LO", "ACME"}, {PATIENT_ID, "LO", "OLD1"}, {0}};
    static const struct text after[] = {{PATIENT_ID, "LO", "NEW1"}, {0}};
    static const struct text same[] = {{PATIENT_ID, "LO", "OLD1"}, {0}};
    (void)state;
    for (size_t i = 0; i < COUNT(encodings); i++) {
        struct octets out;
        struct dicom_document d;
        traced(*encodings[i], before, after, &out, &d);
        struct dicom_data_set *values = only_item(only_item(dicom_document_root(&d), ORIGINAL), MODIFIED);
        assert_text(values, PATIENT_ID, "OLD1");
        assert_int_equal(count_of(values), 1);
        dicom_document_free(&d);
        octets_free(&out);
        traced(*encodings[i], before, same, &out, &d);
        assert_int_equal(count_of(dicom_document_root(&d)), 1);
        dicom_document_free(&d);
        octets_free(&out);
    }
}

/* In items of a sequence that changed, too. */
static void what_no_item_may_have_is_left_out_of_its_copy(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(encodings); i++) {
        const struct dicom_encoding e = *encodings[i];
        struct octets was = {0}, out = {0};
        struct dicom_document d = {0};
        const char *why;
        tree_head(&was, e, DICOM_TAG(0x0008, 0x1140), "SQ", 8 + 12 + 12);
        tree_head(&was, e, DICOM_ITEM, "", 12 + 12);
        tree_text(&was, e, 0x00030010, "LO", "ACME");
        tree_text(&was, e, PATIENT_ID, "LO", "OLD1");
        struct trace t = {.before = {was.data, was.len},
                          .encoding = e,
                          .memory_max = MEMORY_MAX,
                          .system = "GATEWAY",
                          .now = "20240229101112.000000+0000"};
        assert_int_equal(write_trace(&t, &out, &why), OK);
        assert_int_equal(dicom_document_parse(&d, (struct view){out.data, out.len}, e, 0, MEMORY_MAX), OK);
        struct dicom_data_set *values = only_item(only_item(dicom_document_root(&d), ORIGINAL), MODIFIED);
        struct dicom_data_set *item = only_item(values, DICOM_TAG(0x0008, 0x1140));
        assert_text(item, PATIENT_ID, "OLD1");
        assert_int_equal(count_of(item), 1);
        dicom_document_free(&d);
        octets_free(&was);
        octets_free(&out);
    }
}

/* A morph that replaces it is what makes the instance right; the trace must not refuse that. */
static void a_sequence_that_came_broken_is_left_out(void **state)
{
    enum { SEQUENCE = DICOM_TAG(0x0008, 0x1140), INNER = DICOM_TAG(0x0008, 0x1199) };
    static const struct {
        const char *what, *inside; /* of the sequence */
        bool is_deep;              /* it stands in an item of another, which is told */
    } cases[] = {{"no items", "garbage!", false},
                 {"an item that is cut off", "\xFE\xFF\x00\xE0\x04\0\0\0\x08\0\x50\x11", false},
                 {"no items, in an item", "garbage!", true}};
    static const size_t lengths[] = {8, 12, 8};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct dicom_encoding e = tree_explicit;
        struct octets was = {0}, out = {0};
        struct dicom_document d = {0};
        const char *why;
        if (cases[i].is_deep) {
            tree_head(&was, e, SEQUENCE, "SQ", 8 + 12 + (uint32_t)lengths[i]);
            tree_head(&was, e, DICOM_ITEM, "", 12 + (uint32_t)lengths[i]);
        }
        tree_element(&was, e, cases[i].is_deep ? INNER : SEQUENCE, "SQ", cases[i].inside, lengths[i]);
        tree_text(&was, e, PATIENT_ID, "LO", "OLD1");
        struct trace t = {.before = {was.data, was.len},
                          .encoding = e,
                          .memory_max = MEMORY_MAX,
                          .system = "GATEWAY",
                          .now = "20240229101112.000000+0000"};
        print_message("  %s\n", cases[i].what);
        assert_int_equal(write_trace(&t, &out, &why), OK);
        assert_int_equal(dicom_document_parse(&d, (struct view){out.data, out.len}, e, 0, MEMORY_MAX), OK);
        struct dicom_data_set *values = only_item(only_item(dicom_document_root(&d), ORIGINAL), MODIFIED);
        assert_text(values, PATIENT_ID, "OLD1");
        assert_int_equal(count_of(values), 1 + cases[i].is_deep);
        if (cases[i].is_deep)
            assert_int_equal(count_of(only_item(values, SEQUENCE)), 0);
        dicom_document_free(&d);
        octets_free(&was);
        octets_free(&out);
    }
}

/* Wherever the bound is reached: in the tree that came, in its items, in the tree that is written. */
static void what_takes_too_much_memory_is_told_as_that(void **state)
{
    enum { ITEMS = 1000, STEP = 1 << 14 };
    struct octets was = {0}, out = {0};
    size_t failed = 0;
    enum result r = ERR_MEMORY;
    (void)state;
    tree_head(&was, tree_explicit, DICOM_TAG(0x0008, 0x1140), "SQ", ITEMS * 8);
    for (size_t i = 0; i < ITEMS; i++)
        tree_head(&was, tree_explicit, DICOM_ITEM, "", 0);
    for (size_t max = 64; r != OK && max < MEMORY_MAX; max += STEP) {
        const char *why;
        struct trace t = {.before = {was.data, was.len},
                          .encoding = tree_explicit,
                          .memory_max = max,
                          .system = "GATEWAY",
                          .now = "20240229101112.000000+0000"};
        r = write_trace(&t, &out, &why);
        assert_int_equal(why == NULL, r == OK);
        failed += r == ERR_MEMORY;
    }
    assert_int_equal(r, OK);
    assert_in_range(failed, 3, MEMORY_MAX / STEP);
    octets_free(&was);
    octets_free(&out);
}

/* Two of one block, one of another, one whose creator changed itself, one that has none. */
static void a_private_value_comes_with_its_creator(void **state)
{
    static const struct text before[] = {{0x00090010, "LO", "ACME"},
                                         {0x00090011, "LO", "OTHR"},
                                         {0x00090012, "LO", "SAME"},
                                         {0x00091001, "LO", "one1"},
                                         {0x00091002, "LO", "two2"},
                                         {0x00091101, "LO", "thre"},
                                         {0x00091201, "LO", "same"},
                                         {0x00110010, "LO", "GONE"},
                                         {0x00111001, "LO", "four"},
                                         {0x00131001, "LO", "alone "},
                                         {0}};
    static const struct text after[] = {{0x00090010, "LO", "ACME"}, {0x00090011, "LO", "OTHR"},
                                        {0x00090012, "LO", "SAME"}, {0x00091001, "LO", "ONE1"},
                                        {0x00091201, "LO", "same"}, {0}};
    (void)state;
    for (size_t i = 0; i < COUNT(encodings); i++) {
        struct octets out;
        struct dicom_document d;
        traced(*encodings[i], before, after, &out, &d);
        struct dicom_data_set *values = only_item(only_item(dicom_document_root(&d), ORIGINAL), MODIFIED);
        for (size_t k = 0; before[k].value; k++)
            if (before[k].tag == 0x00090012 || before[k].tag == 0x00091201)
                assert_null(dicom_data_set_find(values, before[k].tag));
            else
                assert_text(values, before[k].tag, before[k].value);
        assert_int_equal(count_of(values), COUNT(before) - 3);
        dicom_document_free(&d);
        octets_free(&out);
    }
}

/* Old values beside PatientIdentityRemoved YES would bring back what was taken out. */
static void without_identity_only_the_equipment_is_told(void **state)
{
    static const struct text old = {PATIENT_ID, "LO", "OLD1"}, new = {PATIENT_ID, "LO", "NEW1"};
    static const struct {
        const char *before, *after, *purpose;
    } cases[] = {{NULL, "YES ", "109104"},   {"NO", "YES ", "109104"},     {"YES ", "YES ", "109103"},
                 {NULL, " YES", "109104"},   {" YES", "  YES ", "109103"}, {NULL, "NO\\YES", "109104"},
                 {NULL, "YESTERDAY ", NULL}, {"YES ", "NO", NULL},         {NULL, "NO", NULL}};
    (void)state;
    for (size_t i = 0; i < COUNT(cases) * COUNT(encodings); i++) {
        size_t k = i / COUNT(encodings);
        struct text before[] = {old, {IDENTITY_REMOVED, "CS", cases[k].before}, {0}};
        struct text after[] = {new, {IDENTITY_REMOVED, "CS", cases[k].after}, {0}};
        struct octets out;
        struct dicom_document d;
        traced(*encodings[i % COUNT(encodings)], before, after, &out, &d);
        struct dicom_data_set *root = dicom_document_root(&d), *equipment = only_item(root, EQUIPMENT);
        bool is_told = cases[k].purpose == NULL;
        assert_int_equal(memmem(out.data, out.len, "OLD1", 4) != NULL, is_told);
        assert_int_equal(memmem(out.data, out.len, "GATEWAY", 7) != NULL, is_told);
        assert_int_equal(memmem(out.data, out.len, "20240229", 8) != NULL, is_told);
        assert_int_equal(dicom_data_set_find(root, ORIGINAL) != NULL, is_told);
        assert_text(equipment, DICOM_TAG(0x0008, 0x0070), "Hilum ");
        assert_text(only_item(equipment, PURPOSE), DICOM_TAG(0x0008, 0x0100),
                    is_told ? "109103" : cases[k].purpose);
        dicom_document_free(&d);
        octets_free(&out);
    }
}

static void without_a_change_nothing_is_told(void **state)
{
    static const struct text same[] = {{PATIENT_ID, "LO", "SAME"}, {IDENTITY_REMOVED, "CS", "YES "}, {0}};
    struct octets out;
    struct dicom_document d;
    traced(tree_explicit, same, same, &out, &d);
    (void)state;
    assert_int_equal(count_of(dicom_document_root(&d)), 2);
    dicom_document_free(&d);
    octets_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_before_and_the_one_who_changed_them_are_told),
        cmocka_unit_test(what_no_data_set_may_have_is_not_told),
        cmocka_unit_test(what_no_item_may_have_is_left_out_of_its_copy),
        cmocka_unit_test(a_sequence_that_came_broken_is_left_out),
        cmocka_unit_test(what_takes_too_much_memory_is_told_as_that),
        cmocka_unit_test(a_private_value_comes_with_its_creator),
        cmocka_unit_test(without_identity_only_the_equipment_is_told),
        cmocka_unit_test(without_a_change_nothing_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
