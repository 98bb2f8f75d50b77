/* What archives said that they hold: remembered by study and archive, for a while, in a table that does not grow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "relay/holdings.h"

static struct config_node node_at(uint16_t port)
{
    return (struct config_node){.host = "127.0.0.1", .port = port, .ae_title = "PACS"};
}

static void each_archive_is_remembered_for_itself(void **state)
{
    struct holdings *h = holdings_new();
    struct config_node a = node_at(1), b = node_at(2), same_as_a = node_at(1);
    struct view study = view_of("1.2"), other = view_of("1.3");
    (void)state;
    holdings_note(h, study, &a, HOLDING_YES, 1000);
    holdings_note(h, study, &b, HOLDING_NO, 1000);
    assert_int_equal(holdings_look(h, study, &a, 60, 1060), HOLDING_YES);
    assert_int_equal(holdings_look(h, study, &same_as_a, 60, 1060), HOLDING_YES);
    assert_int_equal(holdings_look(h, study, &b, 60, 1060), HOLDING_NO);
    assert_int_equal(holdings_look(h, other, &a, 60, 1060), HOLDING_UNKNOWN);
    assert_int_equal(holdings_look(h, study, &a, 60, 1061), HOLDING_UNKNOWN);
    holdings_note(h, study, &a, HOLDING_NO, 1061);
    assert_int_equal(holdings_look(h, study, &a, 60, 1061), HOLDING_NO);
    holdings_free(&h);
    assert_null(h);
}

static void the_longest_unheard_goes(void **state)
{
    enum { STUDIES = 200000, LAST = 2000 };
    struct holdings *h = holdings_new();
    struct config_node a = node_at(1);
    char text[32];
    (void)state;
    for (unsigned n = 0; n < STUDIES; n++) {
        snprintf(text, sizeof(text), "1.2.%u", n);
        holdings_note(h, view_of(text), &a, HOLDING_YES, 1 + n);
    }
    unsigned kept = 0;
    for (unsigned n = STUDIES - LAST; n < STUDIES; n++) {
        snprintf(text, sizeof(text), "1.2.%u", n);
        kept += holdings_look(h, view_of(text), &a, STUDIES, STUDIES) == HOLDING_YES;
    }
    assert_int_equal(kept, LAST);
    assert_int_equal(holdings_look(h, view_of("1.2.0"), &a, STUDIES, STUDIES), HOLDING_UNKNOWN);
    holdings_free(&h);
}

static void of_too_many_archives_the_newest_are_known(void **state)
{
    struct holdings *h = holdings_new();
    struct view study = view_of("1.2");
    (void)state;
    for (uint16_t n = 1; n <= 20; n++) {
        struct config_node node = node_at(n);
        holdings_note(h, study, &node, HOLDING_YES, n);
    }
    struct config_node first = node_at(1), last = node_at(20);
    assert_int_equal(holdings_look(h, study, &last, 100, 20), HOLDING_YES);
    assert_int_equal(holdings_look(h, study, &first, 100, 20), HOLDING_UNKNOWN);
    holdings_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_archive_is_remembered_for_itself),
        cmocka_unit_test(the_longest_unheard_goes),
        cmocka_unit_test(of_too_many_archives_the_newest_are_known),
    };
    return cmocka_run_group_tests_name("holdings", tests, NULL, NULL);
}
