#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "ul/ul.h"

/* PS3.8 Table 9-10 has 123 filled cells; test_ul walks each of them, here only their number is held. */
static void the_table_has_as_many_cells_as_the_standard(void **state)
{
    (void)state;
    int filled = 0;
    for (int s = UL_STA1; s <= UL_STA13; s++) {
        for (int e = UL_EVT1; e <= UL_EVT19; e++)
            filled += ul_action_for((enum ul_state)s, (enum ul_event)e) != UL_NO_ACTION;
    }
    assert_int_equal(filled, 123);
}

/* Whatever a peer sends, and whenever: while there is a connection every PDU has an answer. */
static void no_state_with_a_connection_lacks_an_answer_to_a_pdu(void **state)
{
    (void)state;
    static const enum ul_event from_peer[] = {UL_EVT3,  UL_EVT4,  UL_EVT6,  UL_EVT10, UL_EVT12,
                                              UL_EVT13, UL_EVT16, UL_EVT17, UL_EVT19};
    for (int s = UL_STA2; s <= UL_STA13; s++) {
        for (size_t i = 0; s != UL_STA4 && i < sizeof from_peer / sizeof from_peer[0]; i++)
            assert_int_not_equal(ul_action_for((enum ul_state)s, from_peer[i]), UL_NO_ACTION);
    }
}

static void states_are_named_as_the_standard_names_them(void **state)
{
    (void)state;
    char expected[32];
    for (int s = UL_STA1; s <= UL_STA13; s++) {
        snprintf(expected, sizeof expected, "Sta%d", s);
        assert_string_equal(ul_state_name((enum ul_state)s), expected);
    }
}

static void actions_are_named_as_the_standard_names_them(void **state)
{
    (void)state;
    static const struct {
        enum ul_action first;
        const char *family;
        int count;
    } families[] = {{UL_AE1, "AE", 8}, {UL_DT1, "DT", 2}, {UL_AR1, "AR", 10}, {UL_AA1, "AA", 8}};
    char expected[32];
    for (size_t f = 0; f < 4; f++) {
        for (int i = 0; i < families[f].count; i++) {
            snprintf(expected, sizeof expected, "%s-%d", families[f].family, i + 1);
            assert_string_equal(ul_action_name((enum ul_action)((int)families[f].first + i)), expected);
        }
    }
}

static void a_transition_reads_as_in_the_standard(void **state)
{
    (void)state;
    char name[32];
    struct ul_outcome o = {.from = UL_STA6, .event = UL_EVT10, .action = UL_DT2};
    ul_transition_name(&o, name);
    assert_string_equal(name, "Sta6 Evt10 DT-2");
    o = (struct ul_outcome){.from = UL_STA12, .event = UL_EVT19, .action = UL_AA8};
    ul_transition_name(&o, name);
    assert_string_equal(name, "Sta12 Evt19 AA-8");
    o = (struct ul_outcome){.from = UL_STA13};
    ul_transition_name(&o, name);
    assert_string_equal(name, "Sta13");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_has_as_many_cells_as_the_standard),
        cmocka_unit_test(no_state_with_a_connection_lacks_an_answer_to_a_pdu),
        cmocka_unit_test(states_are_named_as_the_standard_names_them),
        cmocka_unit_test(actions_are_named_as_the_standard_names_them),
        cmocka_unit_test(a_transition_reads_as_in_the_standard),
    };
    return cmocka_run_group_tests_name("ul/table", tests, NULL, NULL);
}
