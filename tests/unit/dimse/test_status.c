#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dimse/command.h"
#include "dimse/status.h"

static const struct {
    uint16_t status;
    enum dimse_status_class class;
    int severity;
    const char *reason;
} cases[] = {
    {0x0000, DIMSE_SUCCESS, 0, "stored"},
    {0x0001, DIMSE_WARNING, 1, "Annex C"},
    {0x0107, DIMSE_WARNING, 1, "Annex C, in the range of failures"},
    {0x0116, DIMSE_WARNING, 1, "likewise"},
    {0xB000, DIMSE_WARNING, 1, "coerced"},
    {0xB006, DIMSE_WARNING, 1, "elements discarded"},
    {0xB007, DIMSE_WARNING, 1, "does not match the SOP class"},
    {0xBFFF, DIMSE_WARNING, 1, "any Bxxx"},
    {0x0111, DIMSE_FAILURE, 0, "a duplicate is there already: quirk 11"},
    {0xA700, DIMSE_FAILURE, 2, "out of resources"},
    {0xA7FF, DIMSE_FAILURE, 2, "any A7xx"},
    {0x0213, DIMSE_FAILURE, 2, "resource limitation"},
    {0xA6FF, DIMSE_FAILURE, 3, "below A7xx"},
    {0xA801, DIMSE_FAILURE, 3, "above A7xx"},
    {0xA900, DIMSE_FAILURE, 3, "does not match the SOP class"},
    {0xA9FF, DIMSE_FAILURE, 3, "any A9xx"},
    {0xC000, DIMSE_FAILURE, 3, "cannot understand"},
    {0xCFFF, DIMSE_FAILURE, 3, "any Cxxx"},
    {0x0105, DIMSE_FAILURE, 3, "Annex C"},
    {0x0110, DIMSE_FAILURE, 3, "processing failure"},
    {0x0112, DIMSE_FAILURE, 3, "no such instance"},
    {0x0117, DIMSE_FAILURE, 3, "invalid UID"},
    {0x0118, DIMSE_FAILURE, 3, "no such class"},
    {0x0119, DIMSE_FAILURE, 3, "class and instance do not match"},
    {0x0122, DIMSE_FAILURE, 3, "SOP class not supported"},
    {0x0124, DIMSE_FAILURE, 3, "not authorised"},
    {0x0210, DIMSE_FAILURE, 3, "duplicate message id"},
    {0x0211, DIMSE_FAILURE, 3, "unrecognised operation"},
    {0x0212, DIMSE_FAILURE, 3, "mistyped argument"},
    {0x01FF, DIMSE_FAILURE, 3, "any other 01xx"},
    {0x02FF, DIMSE_FAILURE, 3, "any other 02xx"},
    {0xFE00, DIMSE_CANCEL, 3, "no answer to a C-STORE"},
    {0xFF00, DIMSE_PENDING, 3, "likewise"},
    {0xFF01, DIMSE_PENDING, 3, "likewise"},
    {0x0002, DIMSE_FAILURE, 3, "no class of Annex C: never take it for success"},
    {0x1000, DIMSE_FAILURE, 3, "likewise"},
    {0xD000, DIMSE_FAILURE, 3, "likewise"},
    {0xFF02, DIMSE_FAILURE, 3, "not pending: nobody would send another response"},
    {0xFFFF, DIMSE_FAILURE, 3, "likewise"},
};

static void statuses_have_the_class_of_annex_c(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (dimse_status_class(cases[i].status) != cases[i].class) {
            fail_msg("%04X: %s", cases[i].status, cases[i].reason);
        }
    }
}

static void a_verdict_orders_statuses_by_what_the_sender_should_do(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        if (dimse_store_severity(cases[i].status) != cases[i].severity) {
            fail_msg("%04X: %s", cases[i].status, cases[i].reason);
        }
    }
}

static void every_status_has_a_text(void **state)
{
    (void)state;
    for (uint32_t status = 0; status <= 0xFFFF; status++) {
        assert_non_null(dimse_status_text((uint16_t)status));
    }
    assert_string_equal(dimse_status_text(0x0000), "success");
    assert_string_equal(dimse_status_text(0xA700), "refused: out of resources");
    assert_string_equal(dimse_status_text(0xA7F3), "refused: out of resources");
    assert_string_equal(dimse_status_text(0x0002), "unknown status");
}

static void only_0000_is_a_success(void **state)
{
    (void)state;
    for (uint32_t status = 1; status <= 0xFFFF; status++) {
        assert_int_not_equal(dimse_status_class((uint16_t)status), DIMSE_SUCCESS);
        if (status != DIMSE_STATUS_DUPLICATE) {
            assert_int_not_equal(dimse_store_severity((uint16_t)status), 0);
        }
    }
}

/* PS3.7 10.1.5.1.6: an N-CREATE of what is there. It is a failure, unless it was ours that made it. */
static void a_duplicate_is_success_of_a_store_and_of_what_was_created_before(void **state)
{
    static const struct {
        uint16_t field, status;
        int severity, again;
    } of[] = {
        {DIMSE_C_STORE_RQ, 0x0111, 0, 0},  {DIMSE_N_CREATE_RQ, 0x0111, 3, 0},
        {DIMSE_N_SET_RQ, 0x0111, 3, 3},    {DIMSE_N_CREATE_RQ, 0x0000, 0, 0},
        {DIMSE_N_SET_RQ, 0x0001, 1, 1},    {DIMSE_N_SET_RQ, 0x0107, 1, 1},
        {DIMSE_N_CREATE_RQ, 0x0116, 1, 1}, {DIMSE_N_SET_RQ, 0x0213, 2, 2},
        {DIMSE_N_CREATE_RQ, 0xA700, 2, 2}, {DIMSE_N_SET_RQ, 0x0110, 3, 3},
        {DIMSE_N_SET_RQ, 0x0112, 3, 3},    {DIMSE_N_CREATE_RQ, 0x0120, 3, 3},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++) {
        assert_int_equal(dimse_severity(of[i].field, of[i].status), of[i].severity);
        assert_int_equal(dimse_severity_again(of[i].field, of[i].status), of[i].again);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_duplicate_is_success_of_a_store_and_of_what_was_created_before),
        cmocka_unit_test(statuses_have_the_class_of_annex_c),
        cmocka_unit_test(a_verdict_orders_statuses_by_what_the_sender_should_do),
        cmocka_unit_test(every_status_has_a_text),
        cmocka_unit_test(only_0000_is_a_success),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
