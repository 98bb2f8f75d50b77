/* ds:walk: every element that a table has something for, at every depth, and what may change meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../dicom/tree.h"
#include "binding.h"
#include "dicom/reader.h"
#include "dicom/tag.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    REFERENCED = DICOM_TAG(0x0008, 0x1140), /* ReferencedImageSequence */
    PURPOSE = DICOM_TAG(0x0040, 0xA170),    /* PurposeOfReferenceCodeSequence */
    CODE = DICOM_TAG(0x0008, 0x0100),
    PATIENT_NAME = DICOM_TAG(0x0010, 0x0010),
    PATIENT_ID = DICOM_TAG(0x0010, 0x0020),
    CREATOR = DICOM_TAG(0x0029, 0x0010),
    PRIVATE = DICOM_TAG(0x0029, 0x1010)
};

static uint32_t head_len(struct dicom_encoding e)
{
    return e.is_explicit ? 12 : 8;
}

/* An item of one more sequence with two items: 2 + 2 elements, each a name. */
static void item(struct octets *o, struct dicom_encoding e, const char *first, const char *second)
{
    tree_head(o, e, DICOM_ITEM, "", 10 + head_len(e) + 36);
    tree_text(o, e, PATIENT_NAME, "PN", first);
    tree_head(o, e, PURPOSE, "SQ", 36);
    tree_head(o, e, DICOM_ITEM, "", 10);
    tree_text(o, e, PATIENT_NAME, "PN", first);
    tree_head(o, e, DICOM_ITEM, "", 10);
    tree_text(o, e, PATIENT_NAME, "PN", second);
}

static void fill_deep(struct octets *o, struct dicom_encoding e)
{
    tree_head(o, e, REFERENCED, "SQ", 2 * (8 + 10 + head_len(e) + 36));
    item(o, e, "a1", "a2");
    item(o, e, "b1", "b2");
    tree_text(o, e, PATIENT_NAME, "PN", "c1");
    tree_text(o, e, PATIENT_ID, "LO", "id");
    tree_text(o, e, CREATOR, "LO", "ACME");
    tree_element(o, e, PRIVATE, "UN", "xx", 2);
}

static void it_goes_through_all_depths_in_file_order(void **state)
{
    bound_everywhere(*state,
                     "local seen = '' for item, tag, vr, action in ds:walk { [0x00100010] = 'name' } do "
                     "assert(tag == 0x00100010 and vr == 'PN' and action == 'name') "
                     "seen = seen .. item.PatientName .. ' ' end "
                     "assert(seen == 'a1 a1 a2 b1 b1 b2 c1 ', seen)",
                     fill_deep, NULL);
}

static void actions_go_by_tag_then_group_then_private(void **state)
{
    bound_everywhere(
        *state,
        "local seen = '' for item, tag, vr, action in ds:walk { [0x0010] = 'G', [0x00100020] = 'T', "
        "[0x0040] = 'S', private = 'P' } do seen = seen .. action .. vr .. ' ' end "
        "assert(seen == 'GPN SSQ GPN GPN GPN SSQ GPN GPN GPN TLO PLO PUN ', seen) "
        "seen = '' for _, _, vr, action in ds:walk { [0x0029] = 'G', [0x00291010] = 'T', private = 'P' } do "
        "seen = seen .. action .. vr .. ' ' end assert(seen == 'GLO TUN ', seen) "
        "for _ in ds:walk {} do error('nothing is asked for') end",
        fill_deep, NULL);
}

static void a_walk_may_begin_at_an_item(void **state)
{
    bound_everywhere(
        *state,
        "local seen = '' for item, tag in ds.ReferencedImageSequence[2]:walk { [0x0010] = 1 } do "
        "seen = seen .. item[tag] .. ' ' end assert(seen == 'b1 b1 b2 ', seen)",
        fill_deep, NULL);
}

static void removed_item(struct octets *o, struct dicom_encoding e)
{
    tree_head(o, e, DICOM_ITEM, "", head_len(e) + 16);
    tree_head(o, e, PURPOSE, "SQ", 16);
    tree_head(o, e, DICOM_ITEM, "", 0);
    tree_head(o, e, DICOM_ITEM, "", 0);
}

static void expect_removed(struct octets *o, struct dicom_encoding e)
{
    tree_head(o, e, REFERENCED, "SQ", 2 * (8 + head_len(e) + 16));
    removed_item(o, e);
    removed_item(o, e);
    tree_text(o, e, PATIENT_ID, "LO", "id");
}

static void elements_are_removed_on_the_way(void **state)
{
    bound_everywhere(*state,
                     "local n = 0 for item, tag in ds:walk { [0x00100010] = 1, private = 1 } do item[tag] = "
                     "nil n = n + 1 end "
                     "assert(n == 9)",
                     fill_deep, expect_removed);
}

static void expect_without_sequence(struct octets *o, struct dicom_encoding e)
{
    tree_text(o, e, PATIENT_NAME, "PN", "c1");
    tree_text(o, e, PATIENT_ID, "LO", "id");
    tree_text(o, e, CREATOR, "LO", "ACME");
    tree_element(o, e, PRIVATE, "UN", "xx", 2);
}

static void name_item(struct octets *o, struct dicom_encoding e, const char *name)
{
    tree_head(o, e, DICOM_ITEM, "", 10);
    tree_text(o, e, PATIENT_NAME, "PN", name);
}

static void expect_without_inner(struct octets *o, struct dicom_encoding e)
{
    tree_head(o, e, REFERENCED, "SQ", 2 * 18);
    name_item(o, e, "a1");
    name_item(o, e, "b1");
    expect_without_sequence(o, e);
}

static void what_was_removed_is_not_gone_into(void **state)
{
    bound_everywhere(*state,
                     "local seen = '' for item, tag in ds:walk { [0x00100010] = 1, [0x0040A170] = 1 } do "
                     "if tag == 0x0040A170 then item[tag] = nil else seen = seen .. item[tag] .. ' ' end end "
                     "assert(seen == 'a1 b1 c1 ', seen)",
                     fill_deep, expect_without_inner);
}

static void replaced_item(struct octets *o, struct dicom_encoding e)
{
    tree_head(o, e, DICOM_ITEM, "", 12 + head_len(e) + 20);
    tree_text(o, e, PATIENT_NAME, "PN", "anon");
    tree_head(o, e, PURPOSE, "SQ", 20);
    tree_head(o, e, DICOM_ITEM, "", 12);
    tree_text(o, e, CODE, "SH", "CODE");
}

static void expect_replaced(struct octets *o, struct dicom_encoding e)
{
    tree_head(o, e, REFERENCED, "SQ", 2 * (8 + 12 + head_len(e) + 20));
    replaced_item(o, e);
    replaced_item(o, e);
    tree_text(o, e, PATIENT_NAME, "PN", "anon");
    tree_text(o, e, PATIENT_ID, "LO", "id");
    tree_text(o, e, CREATOR, "LO", "ACME");
    tree_element(o, e, PRIVATE, "UN", "xx", 2);
}

/* A sequence that was just replaced is gone into as it is now. */
static void elements_are_replaced_on_the_way(void **state)
{
    bound_everywhere(*state,
                     "local names, codes = 0, 0 "
                     "for item, tag in ds:walk { [0x00100010] = 1, [0x0040A170] = 1, [0x00080100] = 1 } do "
                     "if tag == 0x00100010 then item[tag] = 'anon' names = names + 1 "
                     "elseif tag == 0x0040A170 then item[tag] = { { CodeValue = 'CODE' } } "
                     "else codes = codes + 1 assert(item[tag] == 'CODE') end end "
                     "assert(names == 3 and codes == 2)",
                     fill_deep, expect_replaced);
}

/* From deep inside the sequence that is removed: what is left of it is met or not, what stands behind it is met once. */
static void the_sequence_around_may_go(void **state)
{
    bound_everywhere(
        *state,
        "local seen = '' for item, tag in ds:walk { [0x00100010] = 1 } do "
        "local name = item.PatientName seen = seen .. name .. ' ' "
        "if name == 'a2' then ds.ReferencedImageSequence = nil end end "
        "assert(seen:match('^a1 a1 a2 ') and seen:match(' c1 $') and not seen:match('c1 .*c1'), seen)",
        fill_deep, expect_without_sequence);
}

static void expect_added(struct octets *o, struct dicom_encoding e)
{
    fill_deep(o, e);
    tree_text(o, e, DICOM_TAG(0x0040, 0x0009), "SH", "behind");
}

static void fill_four(struct octets *o, struct dicom_encoding e)
{
    static const char *const names[] = {"a1", "a2", "a3", "a4"};
    tree_head(o, e, REFERENCED, "SQ", 4 * 18);
    for (size_t i = 0; i < COUNT(names); i++)
        name_item(o, e, names[i]);
}

static void items_may_go_wherever_the_walk_is(void **state)
{
    static const struct {
        const char *at, *removals, *seen;
    } cases[] = {
        {"a2", "s[2] = nil s[1] = nil", "a1 a2 a3 a4 "},
        {"a2", "s[1] = nil s[1] = nil", "a1 a2 a3 a4 "},
        {"a3", "s[1] = nil s[1] = nil", "a1 a2 a3 a4 "},
        {"a3", "s[2] = nil s[1] = nil", "a1 a2 a3 a4 "},
        {"a3", "s[1] = nil s[1] = nil s[1] = nil", "a1 a2 a3 a4 "},
        {"a3", "s[3] = nil s[1] = nil", "a1 a2 a3 a4 "},
        {"a1", "s[2] = nil s[2] = nil", "a1 a4 "},
        {"a2", "s[4] = nil s[2] = nil s[1] = nil", "a1 a2 a3 "},
        {"a4", "s[1] = nil s[1] = nil s[1] = nil s[1] = nil", "a1 a2 a3 a4 "},
        {"a2", "s[2] = { PatientName = 'b2' } s[1] = nil", "a1 a2 b2 a3 a4 "},
        {"a2", "s[5] = { PatientName = 'b5' } s[1] = nil", "a1 a2 a3 a4 b5 "},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char body[1000];
        snprintf(body, sizeof(body),
                 "local seen, s = '', ds.ReferencedImageSequence "
                 "for item, tag in ds:walk { [0x00100010] = 1 } do seen = seen .. item.PatientName .. ' ' "
                 "if item.PatientName == '%s' then %s end end assert(seen == '%s', seen)",
                 cases[i].at, cases[i].removals, cases[i].seen);
        struct bound b = bound_morph(*state, body);
        fill_four(&b.in, b.encoding);
        bound_run_ok(&b);
        bound_close(&b);
    }
}

/* All of it, from its first item: the rule has put it there while the walk was in another. */
static void a_sequence_set_anew_is_gone_through_anew(void **state)
{
    struct bound b = bound_morph(
        *state, "local seen = '' for item, tag in ds:walk { [0x00100010] = 1 } do "
                "local name = item.PatientName seen = seen .. name .. ' ' if name == 'a3' then "
                "ds.ReferencedImageSequence = { { PatientName = 'b1' }, { PatientName = 'b2' } } end end "
                "assert(seen == 'a1 a2 a3 b1 b2 ', seen)");
    fill_four(&b.in, b.encoding);
    bound_run_ok(&b);
    bound_close(&b);
}

static void what_is_added_behind_is_met(void **state)
{
    bound_everywhere(
        *state,
        "local seen = 0 for item, tag in ds:walk { [0x00100020] = 1, [0x00400009] = 1 } do seen = seen + 1 "
        "ds.ScheduledProcedureStepID = 'behind' end assert(seen == 2)",
        fill_deep, expect_added);
}

/* As deep as a data set can be, each level an item of undefined length. */
static void the_deepest_level_is_met(void **state)
{
    struct bound b = bound_morph(*state, "local n = 0 for item in ds:walk { [0x00100010] = 1 } do n = n + 1 "
                                         "item.PatientName = nil end assert(n == 1)");
    struct octets expected = {0};
    for (int i = 0; i < DICOM_DEPTH_MAX; i++) {
        tree_head(&b.in, b.encoding, REFERENCED, "SQ", DICOM_UNDEFINED_LENGTH);
        tree_head(&b.in, b.encoding, DICOM_ITEM, "", DICOM_UNDEFINED_LENGTH);
    }
    octets_append(&expected, b.in.data, b.in.len);
    tree_text(&b.in, b.encoding, PATIENT_NAME, "PN", "deep");
    for (int i = 0; i < DICOM_DEPTH_MAX; i++)
        for (int k = 0; k < 2; k++) {
            struct octets *o = k == 0 ? &b.in : &expected;
            tree_head(o, b.encoding, DICOM_ITEM_DELIMITATION, "", 0);
            tree_head(o, b.encoding, DICOM_SEQUENCE_DELIMITATION, "", 0);
        }
    bound_run_ok(&b);
    bound_wrote(&b, &expected);
    bound_close(&b);
}

static void a_sequence_that_cannot_be_read_is_an_error(void **state)
{
    struct bound b = bound_morph(*state, "for item in ds:walk { [0x00100010] = 1 } do end");
    tree_element(&b.in, b.encoding, REFERENCED, "SQ", "garbage!", 8);
    bound_run_fails(&b, "ReferencedImageSequence (0008,1140): ");
    bound_close(&b);
}

/* Every element costs one instruction, though Lua runs none for those that are passed over. */
static void a_walk_is_charged_for(void **state)
{
    struct bound b = bound_morph(*state, "for i = 1, 1000 do for item in ds:walk {} do end end");
    for (int i = 0; i < 20000; i++)
        tree_text(&b.in, b.encoding, PATIENT_ID, "LO", "");
    assert_int_equal(bound_run(&b), ERR_LIMIT);
    assert_non_null(strstr(rules_error(b.rules), "instructions"));
    bound_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_goes_through_all_depths_in_file_order),
        cmocka_unit_test(actions_go_by_tag_then_group_then_private),
        cmocka_unit_test(a_walk_may_begin_at_an_item),
        cmocka_unit_test(elements_are_removed_on_the_way),
        cmocka_unit_test(what_was_removed_is_not_gone_into),
        cmocka_unit_test(elements_are_replaced_on_the_way),
        cmocka_unit_test(the_sequence_around_may_go),
        cmocka_unit_test(items_may_go_wherever_the_walk_is),
        cmocka_unit_test(a_sequence_set_anew_is_gone_through_anew),
        cmocka_unit_test(what_is_added_behind_is_met),
        cmocka_unit_test(the_deepest_level_is_met),
        cmocka_unit_test(a_sequence_that_cannot_be_read_is_an_error),
        cmocka_unit_test(a_walk_is_charged_for),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
