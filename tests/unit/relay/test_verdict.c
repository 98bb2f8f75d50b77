/* One status over those of several destinations, and the comment that belongs to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dimse/status.h"
#include "relay/message.h"

enum { DESTINATIONS = 4, NONE = 0xFFFF };

struct row {
    uint16_t statuses[DESTINATIONS]; /* to the first NONE */
    uint16_t verdict;
    const char *comment; /* of destination n: "n" */
    const char *why;
};

static void fill(struct message *m, struct message_outcome *outcomes, const struct row *row)
{
    *m = (struct message){.command = {.field = DIMSE_C_STORE_RQ}, .outcomes = outcomes};
    while (m->sink_count < DESTINATIONS && row->statuses[m->sink_count] != NONE) {
        struct message_outcome *o = &outcomes[m->sink_count];
        o->status = row->statuses[m->sink_count];
        snprintf(o->comment, sizeof(o->comment), "%u", m->sink_count);
        m->sink_count++;
    }
}

static void the_worst_status_is_the_verdict_with_its_own_comment(void **state)
{
    static const struct row rows[] = {
        {{0x0000, NONE}, 0x0000, "", "all is well"},
        {{0x0000, 0x0000, 0x0000, 0x0000}, 0x0000, "", "everywhere"},
        {{0x0111, NONE}, 0x0000, "", "a duplicate is there already (quirk 11)"},
        {{0x0000, 0x0111, NONE}, 0x0000, "", "likewise beside a success"},
        {{0xB000, NONE}, 0xB000, "0", "a warning is passed on"},
        {{0x0000, 0xB007, NONE}, 0xB007, "1", "and is more than success"},
        {{0x0111, 0xB006, 0x0000, NONE}, 0xB006, "1", "and than a duplicate"},
        {{0xB000, 0xB007, NONE}, 0xB000, "0", "of two warnings the first speaks"},
        {{0x0107, 0xB000, NONE}, 0x0107, "0", "PS3.7's own warnings are as good as PS3.4's"},
        {{0xB000, 0xA700, NONE}, 0xA700, "1", "a failure is more than a warning"},
        {{0xA700, 0xB000, NONE}, 0xA700, "0", "in either order"},
        {{0xA700, 0xA702, NONE}, 0xA700, "0", "of two that may pass the first speaks"},
        {{0xA700, 0xA900, NONE}, 0xA900, "1", "what will not pass is worse than what may"},
        {{0xC001, 0xA700, NONE}, 0xC001, "0", "in either order"},
        {{0x0213, 0x0122, NONE}, 0x0122, "1", "0213 is a matter of resources too"},
        {{0x0122, 0xC000, 0x0124, NONE}, 0x0122, "0", "of those that will not pass the first speaks"},
        {{0x0000, 0xB000, 0xA700, 0xC123}, 0xC123, "3", "one of each"},
        {{0xC123, 0xA700, 0xB000, 0x0000}, 0xC123, "0", "the other way round"},
        {{0x0000, 0xFF00, NONE}, 0xFF00, "1", "pending is no final answer, so nothing is known to be stored"},
        {{0x0000, 0xFE00, NONE}, 0xFE00, "1", "nor is cancel"},
        {{0x0000, 0x4711, NONE}, 0x4711, "1", "a status that nobody knows is no success"},
        {{0x0000, 0x0001, NONE}, 0x0001, "1", "0001 is a warning"},
        {{0x0001, 0x8000, NONE}, 0x8000, "1", "out of all ranges"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct message m;
        struct message_outcome outcomes[DESTINATIONS] = {0};
        const char *comment;
        uint16_t status;
        fill(&m, outcomes, &rows[i]);
        message_verdict(&m, &status, &comment);
        if (status != rows[i].verdict || strcmp(comment, rows[i].comment) != 0)
            fail_msg("%s: %04X \"%s\"", rows[i].why, status, comment);
    }
}

/* Whatever four destinations say: the verdict is success only if each of them said so, and never less bad than any. */
static void no_combination_is_better_than_its_worst_part(void **state)
{
    static const uint16_t statuses[] = {0x0000, 0x0111, 0x0107, 0xB000, 0xA700, 0x0213,
                                        0x0122, 0xA900, 0xC000, 0xFF00, 0x9999};
    enum { COUNT = sizeof(statuses) / sizeof(statuses[0]) };
    (void)state;
    for (unsigned n = 0; n < COUNT * COUNT * COUNT * COUNT; n++) {
        struct message_outcome outcomes[DESTINATIONS] = {0};
        struct message m = {
            .command = {.field = DIMSE_C_STORE_RQ}, .outcomes = outcomes, .sink_count = DESTINATIONS};
        const char *comment;
        uint16_t status;
        bool is_one_of_them = false, all_good = true;
        for (unsigned i = 0, left = n; i < DESTINATIONS; i++, left /= COUNT)
            outcomes[i].status = statuses[left % COUNT];
        message_verdict(&m, &status, &comment);
        for (unsigned i = 0; i < DESTINATIONS; i++) {
            uint16_t one = outcomes[i].status;
            is_one_of_them = is_one_of_them || one == status;
            all_good = all_good && (one == 0x0000 || one == 0x0111);
            assert_true(dimse_store_severity(status) >= dimse_store_severity(one));
        }
        assert_int_equal(status == 0x0000, all_good);
        assert_true(status == 0x0000 || is_one_of_them);
    }
}

/* An N-CREATE of what a node has already is its sender's failure; a C-STORE of it is none. */
static void a_duplicate_is_a_failure_of_what_is_no_store(void **state)
{
    struct message_outcome outcomes[] = {{.status = 0xB000}, {.status = 0x0111, .comment = "there"}};
    struct message m = {.command = {.field = DIMSE_N_CREATE_RQ}, .outcomes = outcomes, .sink_count = 2};
    const char *comment;
    uint16_t status;
    (void)state;
    message_verdict(&m, &status, &comment);
    assert_int_equal(status, 0x0111);
    assert_string_equal(comment, "there");
    m.command.field = DIMSE_C_STORE_RQ;
    message_verdict(&m, &status, &comment);
    assert_int_equal(status, 0xB000);
}

/* What the message decided by itself: no destination is asked. */
static void a_preset_status_is_the_verdict(void **state)
{
    struct message_outcome outcome = {.status = 0xA700, .comment = "out of memory"};
    struct message m = {.is_preset = true, .status = 0x0124, .comment = "no route", .outcomes = &outcome};
    const char *comment;
    uint16_t status;
    (void)state;
    for (m.sink_count = 0; m.sink_count < 2; m.sink_count++) { /* 1: begun, then given up */
        message_verdict(&m, &status, &comment);
        assert_int_equal(status, 0x0124);
        assert_string_equal(comment, "no route");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worst_status_is_the_verdict_with_its_own_comment),
        cmocka_unit_test(no_combination_is_better_than_its_worst_part),
        cmocka_unit_test(a_duplicate_is_a_failure_of_what_is_no_store),
        cmocka_unit_test(a_preset_status_is_the_verdict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
