/* Grouping of files into presentation contexts and associations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "command/plan.h"
#include "dicom/uid.h"

#define CT "1.2.840.10008.5.1.4.1.1.2"
#define MR "1.2.840.10008.5.1.4.1.1.4"

static size_t add(struct plan *plan, const char *sop_class, const char *transfer_syntax)
{
    size_t index = SIZE_MAX;
    assert_int_equal(plan_add(plan, view_of(sop_class), view_of(transfer_syntax), &index), OK);
    assert_true(index < plan->count);
    assert_string_equal(plan->contexts[index].sop_class, sop_class);
    assert_string_equal(plan->contexts[index].transfer_syntax, transfer_syntax);
    return index;
}

static void each_sop_class_is_offered_in_implicit_vr_beside_the_files_own_syntax(void **state)
{
    struct plan plan = {0};
    (void)state;
    assert_int_equal(plan_associations(&plan), 0);
    add(&plan, CT, DICOM_EXPLICIT_VR_LE);
    assert_int_equal(plan.count, 2);
    assert_string_equal(plan.contexts[1].sop_class, CT);
    assert_string_equal(plan.contexts[1].transfer_syntax, DICOM_IMPLICIT_VR_LE);
    assert_int_equal(plan.contexts[0].id, 1);
    assert_int_equal(plan.contexts[1].id, 3);

    add(&plan, CT, DICOM_EXPLICIT_VR_BE); /* its class has Implicit VR already */
    assert_int_equal(plan.count, 3);
    assert_int_equal(plan.contexts[2].id, 5);
    add(&plan, MR, DICOM_IMPLICIT_VR_LE); /* is it itself */
    assert_int_equal(plan.count, 4);
    assert_int_equal(plan_associations(&plan), 1);
    plan_free(&plan);
}

static void files_of_one_kind_share_a_context(void **state)
{
    struct plan plan = {0};
    (void)state;
    size_t explicit_ct = add(&plan, CT, DICOM_EXPLICIT_VR_LE);
    size_t explicit_mr = add(&plan, MR, DICOM_EXPLICIT_VR_LE);
    assert_int_not_equal(explicit_ct, explicit_mr);
    assert_int_equal(add(&plan, CT, DICOM_EXPLICIT_VR_LE), explicit_ct);
    assert_int_equal(add(&plan, MR, DICOM_EXPLICIT_VR_LE), explicit_mr);
    assert_int_equal(add(&plan, CT, DICOM_IMPLICIT_VR_LE), 1); /* what was offered anyway is used */
    assert_int_equal(plan.count, 4);
    plan_free(&plan);
}

static void more_than_128_contexts_go_on_another_association(void **state)
{
    struct plan plan = {0};
    unsigned of_association[8] = {0};
    bool is_used[8][256] = {{false}};
    (void)state;
    for (unsigned i = 0; i < 200; i++) {
        char sop_class[PLAN_UID_BYTES];
        snprintf(sop_class, sizeof(sop_class), "1.2.3.%u", i);
        add(&plan, sop_class, DICOM_EXPLICIT_VR_LE);
    }
    assert_int_equal(plan.count, 400);
    assert_int_equal(plan_associations(&plan), 4); /* 64 classes, two contexts each, fill one */
    for (size_t i = 0; i < plan.count; i++) {
        const struct plan_context *c = &plan.contexts[i];
        assert_int_equal(c->id % 2, 1);
        assert_false(is_used[c->association][c->id]);
        is_used[c->association][c->id] = true;
        of_association[c->association]++;
    }
    for (unsigned i = 0; i < 4; i++)
        assert_in_range(of_association[i], 1, 128);
    plan_free(&plan);
}

static void a_class_that_comes_again_on_another_association_is_offered_in_implicit_vr_there_too(void **state)
{
    struct plan plan = {0};
    (void)state;
    add(&plan, CT, DICOM_EXPLICIT_VR_LE);
    for (unsigned i = 0; i < 63; i++) {
        char sop_class[PLAN_UID_BYTES];
        snprintf(sop_class, sizeof(sop_class), "1.2.3.%u", i);
        add(&plan, sop_class, DICOM_EXPLICIT_VR_LE);
    }
    assert_int_equal(plan.count, 128);
    assert_int_equal(plan.contexts[127].id, 255);
    size_t index = add(&plan, CT, DICOM_EXPLICIT_VR_BE);
    assert_int_equal(index, 128);
    assert_int_equal(plan.count, 130);
    assert_int_equal(plan.contexts[128].association, 1);
    assert_int_equal(plan.contexts[128].id, 1);
    assert_string_equal(plan.contexts[129].sop_class, CT);
    assert_string_equal(plan.contexts[129].transfer_syntax, DICOM_IMPLICIT_VR_LE);
    plan_free(&plan);
}

static void uids_that_no_context_can_carry_are_refused(void **state)
{
    static const char digits[] = "1.2.3456789012345678901234567890123456789012345678901234567890123";
    struct plan plan = {0};
    size_t index;
    (void)state;
    struct view longest = {(const uint8_t *)digits, 64}, longer = {(const uint8_t *)digits, 65};
    assert_int_equal(plan_add(&plan, longer, view_of(DICOM_EXPLICIT_VR_LE), &index), ERR_USAGE);
    assert_int_equal(plan_add(&plan, view_of(CT), longer, &index), ERR_USAGE);
    assert_int_equal(plan_add(&plan, (struct view){0}, view_of(DICOM_EXPLICIT_VR_LE), &index), ERR_USAGE);
    assert_int_equal(plan.count, 0);
    assert_int_equal(plan_add(&plan, longest, view_of(DICOM_EXPLICIT_VR_LE), &index), OK);
    plan_free(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_sop_class_is_offered_in_implicit_vr_beside_the_files_own_syntax),
        cmocka_unit_test(files_of_one_kind_share_a_context),
        cmocka_unit_test(more_than_128_contexts_go_on_another_association),
        cmocka_unit_test(a_class_that_comes_again_on_another_association_is_offered_in_implicit_vr_there_too),
        cmocka_unit_test(uids_that_no_context_can_carry_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
