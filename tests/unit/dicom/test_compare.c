/* What is different between two data sets: written down as lines, one a change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dicom/compare.h"
#include "dicom/tag.h"
#include "tree.h"

enum {
    LENGTH = DICOM_TAG(0x0010, 0x0000),
    MODALITY = DICOM_TAG(0x0008, 0x0060),
    PATIENT_NAME = DICOM_TAG(0x0010, 0x0010),
    PATIENT_ID = DICOM_TAG(0x0010, 0x0020),
    REFERENCED = DICOM_TAG(0x0008, 0x1140), /* SQ */
    INSTANCE = DICOM_TAG(0x0008, 0x1155),
    MEMORY_MAX = 1 << 24
};
#define UNDEFINED DICOM_UNDEFINED_LENGTH

/* Two data sets, and what is told of them. */
struct pair {
    struct octets a, b;
    struct dicom_document before, after;
    char told[2000];
};

static void write_line(void *owner, const struct dicom_change *c)
{
    static const char *const words[] = {
        [DICOM_ELEMENT_CHANGED] = "~", [DICOM_ELEMENT_ADDED] = "+",    [DICOM_ELEMENT_REMOVED] = "-",
        [DICOM_ITEM_ADDED] = "+item",  [DICOM_ITEM_REMOVED] = "-item",
    };
    struct pair *p = owner;
    size_t len = strlen(p->told);
    char *end = p->told + len;
    size_t room = sizeof(p->told) - len;
    bool is_item = c->kind == DICOM_ITEM_ADDED || c->kind == DICOM_ITEM_REMOVED;
    assert_true((c->before != NULL) ==
                (c->kind == DICOM_ELEMENT_CHANGED || c->kind == DICOM_ELEMENT_REMOVED));
    assert_true((c->after != NULL) == (c->kind == DICOM_ELEMENT_CHANGED || c->kind == DICOM_ELEMENT_ADDED));
    int n = snprintf(end, room, "%s", words[c->kind]);
    for (unsigned i = 0; i < c->depth; i++)
        n += snprintf(end + n, room - (size_t)n, " %08X[%u]", c->steps[i].tag, c->steps[i].item);
    if (!is_item)
        n += snprintf(end + n, room - (size_t)n, " %08X", c->tag);
    snprintf(end + n, room - (size_t)n, "\n");
}

static void parse(struct dicom_document *d, const struct octets *o, struct dicom_encoding encoding)
{
    assert_int_equal(dicom_document_parse(d, (struct view){o->data, o->len}, encoding, 0, MEMORY_MAX), OK);
}

static enum result compare(struct pair *p, struct dicom_encoding encoding)
{
    parse(&p->before, &p->a, encoding);
    parse(&p->after, &p->b, encoding);
    struct dicom_comparison c = {.on_change = write_line, .owner = p};
    return dicom_compare(&c, dicom_document_root(&p->before), dicom_document_root(&p->after));
}

static void finish(struct pair *p)
{
    dicom_document_free(&p->before);
    dicom_document_free(&p->after);
    octets_free(&p->a);
    octets_free(&p->b);
}

static void assert_told(struct pair *p, struct dicom_encoding encoding, const char *lines)
{
    assert_int_equal(compare(p, encoding), OK);
    assert_string_equal(p->told, lines);
    finish(p);
}

/* A sequence of items that hold an INSTANCE each; an item of "" is empty. Ends with NULL. */
static void sequence(struct octets *o, struct dicom_encoding encoding, bool is_undefined,
                     const char *const *items)
{
    struct octets inside = {0};
    for (; *items; items++) {
        struct octets item = {0};
        if (**items)
            tree_text(&item, encoding, INSTANCE, "UI", *items);
        tree_head(&inside, encoding, DICOM_ITEM, "", (uint32_t)item.len);
        octets_append(&inside, item.data, item.len);
        octets_free(&item);
    }
    tree_head(o, encoding, REFERENCED, "SQ", is_undefined ? UNDEFINED : (uint32_t)inside.len);
    octets_append(o, inside.data, inside.len);
    if (is_undefined)
        tree_head(o, encoding, DICOM_SEQUENCE_DELIMITATION, "", 0);
    octets_free(&inside);
}

static void elements_are_changed_added_and_removed(void **state)
{
    (void)state;
    const struct dicom_encoding encodings[] = {tree_explicit, tree_big_endian, tree_implicit};
    for (size_t i = 0; i < 3; i++) {
        struct pair p = {0};
        tree_text(&p.a, encodings[i], MODALITY, "CS", "CT");
        tree_text(&p.b, encodings[i], MODALITY, "CS", "CT");
        tree_text(&p.a, encodings[i], PATIENT_NAME, "PN", "A^B ");
        tree_text(&p.a, encodings[i], PATIENT_ID, "LO", "4711");
        tree_text(&p.b, encodings[i], PATIENT_ID, "LO", "4712");
        tree_us(&p.b, encodings[i], DICOM_BITS_ALLOCATED, 16);
        assert_told(&p, encodings[i], "- 00100010\n~ 00100020\n+ 00280100\n");
    }
}

static void equal_data_sets_and_empty_ones_say_nothing(void **state)
{
    (void)state;
    struct pair p = {0}, empty = {0};
    tree_text(&p.a, tree_explicit, MODALITY, "CS", "CT");
    sequence(&p.a, tree_explicit, true, (const char *[]){"1.2", "", NULL});
    octets_append(&p.b, p.a.data, p.a.len);
    assert_told(&p, tree_explicit, "");
    assert_told(&empty, tree_explicit, "");
}

static void a_vr_that_changed_is_a_change(void **state)
{
    (void)state;
    struct pair p = {0};
    tree_text(&p.a, tree_explicit, DICOM_TAG(0x0009, 0x1001), "LO", "4711");
    tree_text(&p.b, tree_explicit, DICOM_TAG(0x0009, 0x1001), "SH", "4711");
    assert_told(&p, tree_explicit, "~ 00091001\n");
}

static void the_order_in_the_file_does_not_matter_but_that_of_duplicates(void **state)
{
    (void)state;
    struct pair p = {0};
    tree_text(&p.a, tree_explicit, PATIENT_ID, "LO", "1 ");
    tree_text(&p.a, tree_explicit, PATIENT_ID, "LO", "2 ");
    tree_text(&p.a, tree_explicit, MODALITY, "CS", "CT");
    tree_text(&p.b, tree_explicit, MODALITY, "CS", "CT");
    tree_text(&p.b, tree_explicit, PATIENT_ID, "LO", "1 ");
    tree_text(&p.b, tree_explicit, PATIENT_ID, "LO", "3 ");
    tree_text(&p.b, tree_explicit, PATIENT_ID, "LO", "4 ");
    assert_told(&p, tree_explicit, "~ 00100020\n+ 00100020\n");
}

static void lengths_are_no_difference(void **state)
{
    (void)state;
    struct pair p = {0};
    tree_element(&p.a, tree_explicit, LENGTH, "UL", "\1\0\0\0", 4);
    sequence(&p.a, tree_explicit, true, (const char *[]){"1.2", NULL});
    sequence(&p.b, tree_explicit, false, (const char *[]){"1.2", NULL});
    assert_told(&p, tree_explicit, "");
}

static void items_are_told_by_their_place(void **state)
{
    (void)state;
    const struct {
        const char *before[5], *after[5], *told;
    } cases[] = {
        {{"1.2", "1.3"}, {"1.2", "1.4"}, "~ 00081140[2] 00081155\n"},
        {{"1.2", "1.3"}, {"1.3", "1.2"}, "~ 00081140[1] 00081155\n~ 00081140[2] 00081155\n"},
        {{"1.2", "1.3"}, {"1.2", "1.9", "1.3"}, "+item 00081140[2]\n+ 00081140[2] 00081155\n"},
        {{"1.2", "1.9", "1.3"}, {"1.2", "1.3"}, "-item 00081140[2]\n- 00081140[2] 00081155\n"},
        {{"1.2"}, {"1.2", ""}, "+item 00081140[2]\n"},
        {{"1.2", "1.2"}, {"1.2", "1.2", "1.2"}, "+item 00081140[3]\n+ 00081140[3] 00081155\n"},
        {{"1.2"}, {NULL}, "-item 00081140[1]\n- 00081140[1] 00081155\n"},
        {{"1.1", "1.2"},
         {"2.1", "2.2", "1.2"},
         "~ 00081140[1] 00081155\n+item 00081140[2]\n+ 00081140[2] 00081155\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct pair p = {0};
        sequence(&p.a, tree_explicit, i % 2 == 0, cases[i].before);
        sequence(&p.b, tree_explicit, i % 2 != 0, cases[i].after);
        assert_told(&p, tree_explicit, cases[i].told);
    }
}

static void a_sequence_that_came_or_went_is_told_with_what_it_holds(void **state)
{
    (void)state;
    struct pair p = {0}, q = {0};
    sequence(&p.b, tree_explicit, true, (const char *[]){"1.2", NULL});
    assert_told(&p, tree_explicit, "+ 00081140\n+item 00081140[1]\n+ 00081140[1] 00081155\n");
    sequence(&q.a, tree_explicit, true, (const char *[]){"1.2", NULL});
    tree_text(&q.b, tree_explicit, REFERENCED, "LO", "none");
    assert_told(&q, tree_explicit, "~ 00081140\n-item 00081140[1]\n- 00081140[1] 00081155\n");
}

static void an_edited_tree_is_compared_as_it_is_now(void **state)
{
    (void)state;
    struct pair p = {0};
    sequence(&p.a, tree_explicit, true, (const char *[]){"1.2", NULL});
    octets_append(&p.b, p.a.data, p.a.len);
    parse(&p.before, &p.a, tree_explicit);
    parse(&p.after, &p.b, tree_explicit);
    struct dicom_element *e = dicom_data_set_find(dicom_document_root(&p.after), REFERENCED);
    struct dicom_data_set *item;
    assert_int_equal(dicom_element_item(e, 0, &item), OK);
    assert_int_equal(dicom_data_set_put(item, INSTANCE, DICOM_VR_UI, view_of("1.3")), OK);
    struct dicom_comparison c = {.on_change = write_line, .owner = &p};
    assert_int_equal(dicom_compare(&c, dicom_document_root(&p.before), dicom_document_root(&p.after)), OK);
    assert_string_equal(p.told, "~ 00081140[1] 00081155\n");
    finish(&p);
}

/* Each level has another number of items: what compares both ends of every level again and again would never come back. */
static void nested(struct octets *o, unsigned depth, const char *text)
{
    struct octets inside = {0};
    tree_text(&inside, tree_explicit, INSTANCE, "UI", text);
    for (unsigned i = 0; i < depth; i++) {
        struct octets sq = {0};
        tree_head(&sq, tree_explicit, REFERENCED, "SQ", UNDEFINED);
        tree_head(&sq, tree_explicit, DICOM_ITEM, "", UNDEFINED);
        octets_append(&sq, inside.data, inside.len);
        tree_head(&sq, tree_explicit, DICOM_ITEM_DELIMITATION, "", 0);
        if (*text == '2')
            tree_head(&sq, tree_explicit, DICOM_ITEM, "", 0);
        tree_head(&sq, tree_explicit, DICOM_SEQUENCE_DELIMITATION, "", 0);
        octets_free(&inside);
        inside = sq;
    }
    octets_append(o, inside.data, inside.len);
    octets_free(&inside);
}

static void count(void *owner, const struct dicom_change *c)
{
    (void)c;
    (*(size_t *)owner)++;
}

static void depth_costs_no_more_than_it_must(void **state)
{
    (void)state;
    struct pair p = {0};
    size_t changes = 0;
    nested(&p.a, DICOM_DEPTH_MAX, "1.1");
    nested(&p.b, DICOM_DEPTH_MAX, "2.1");
    parse(&p.before, &p.a, tree_explicit);
    parse(&p.after, &p.b, tree_explicit);
    struct dicom_comparison c = {.on_change = count, .owner = &changes};
    assert_int_equal(dicom_compare(&c, dicom_document_root(&p.before), dicom_document_root(&p.after)), OK);
    assert_int_equal(changes, DICOM_DEPTH_MAX + 1); /* an item a level, and the UID */
    finish(&p);
}

/* A sequence of defined length whose item reaches past it. */
static void broken(struct octets *o)
{
    tree_head(o, tree_explicit, REFERENCED, "SQ", 8);
    tree_head(o, tree_explicit, DICOM_ITEM, "", 4);
}

static void what_cannot_be_cut_is_no_fault_while_it_is_the_same(void **state)
{
    (void)state;
    struct pair same = {0}, other = {0};
    broken(&same.a);
    broken(&same.b);
    assert_told(&same, tree_explicit, "");
    broken(&other.a);
    sequence(&other.b, tree_explicit, false, (const char *[]){"1.2", NULL});
    assert_int_equal(compare(&other, tree_explicit), ERR_PROTO);
    assert_int_equal(other.before.tag, REFERENCED);
    finish(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_are_changed_added_and_removed),
        cmocka_unit_test(equal_data_sets_and_empty_ones_say_nothing),
        cmocka_unit_test(a_vr_that_changed_is_a_change),
        cmocka_unit_test(the_order_in_the_file_does_not_matter_but_that_of_duplicates),
        cmocka_unit_test(lengths_are_no_difference),
        cmocka_unit_test(items_are_told_by_their_place),
        cmocka_unit_test(a_sequence_that_came_or_went_is_told_with_what_it_holds),
        cmocka_unit_test(an_edited_tree_is_compared_as_it_is_now),
        cmocka_unit_test(depth_costs_no_more_than_it_must),
        cmocka_unit_test(what_cannot_be_cut_is_no_fault_while_it_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
