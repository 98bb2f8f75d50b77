/* Command sets of every message type against golden bytes, whole and broken in every place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dimse/command.h"
#include "golden_commands.h"

/* A copy that ends where the bytes end, so that the address sanitizer sees a read past them. */
static uint8_t *exact_copy(const uint8_t *bytes, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    return copy;
}

static enum result parse_copy(const uint8_t *bytes, size_t len)
{
    struct dimse_command c;
    const char *why = NULL;
    uint8_t *copy = exact_copy(bytes, len);
    enum result r = dimse_parse(copy, len, &c, &why);
    free(copy);
    assert_true(r == OK || r == ERR_PROTO);
    assert_true((r == OK) == (why == NULL));
    return r;
}

static void assert_same_text(const char *message, struct view a, struct view b)
{
    if (a.len != b.len || (a.len > 0 && memcmp(a.at, b.at, a.len) != 0)) {
        fail_msg("%s: \"%.*s\" is not \"%.*s\"", message, (int)a.len, a.at ? (const char *)a.at : "",
                 (int)b.len, b.at ? (const char *)b.at : "");
    }
}

static void assert_same(const char *message, const struct dimse_command *a, const struct dimse_command *b)
{
    const uint16_t numbers_a[] = {a->field,         a->message_id,   a->responded_id, a->priority,
                                  a->data_set_type, a->status,       a->error_id,     a->event_type,
                                  a->action_type,   a->remaining,    a->completed,    a->failed,
                                  a->warning,       a->originator_id};
    const uint16_t numbers_b[] = {b->field,         b->message_id,   b->responded_id, b->priority,
                                  b->data_set_type, b->status,       b->error_id,     b->event_type,
                                  b->action_type,   b->remaining,    b->completed,    b->failed,
                                  b->warning,       b->originator_id};
    if (a->has != b->has) {
        fail_msg("%s: elements %06x are not %06x", message, a->has, b->has);
    }
    assert_memory_equal(numbers_a, numbers_b, sizeof(numbers_a));
    assert_same_text(message, a->affected_class, b->affected_class);
    assert_same_text(message, a->requested_class, b->requested_class);
    assert_same_text(message, a->affected_instance, b->affected_instance);
    assert_same_text(message, a->requested_instance, b->requested_instance);
    assert_same_text(message, a->move_destination, b->move_destination);
    assert_same_text(message, a->originator_title, b->originator_title);
    assert_same_text(message, a->comment, b->comment);
    assert_same_text(message, a->offending, b->offending);
    assert_same_text(message, a->attributes, b->attributes);
}

static void every_message_type_is_read_as_it_was_meant(void **state)
{
    (void)state;
    for (size_t i = 0; i < golden_commands_count; i++) {
        const struct golden *g = &golden_commands[i];
        struct dimse_command c;
        const char *why = "";
        if (dimse_parse(g->bytes, g->len, &c, &why) != OK) {
            fail_msg("%s: %s", g->name, why);
        }
        assert_same(g->name, &c, &g->means);
        assert_string_equal(dimse_field_name(c.field), g->name);
        assert_true(dimse_field_known(c.field));
    }
}

static void every_message_type_is_written_as_others_write_it(void **state)
{
    (void)state;
    struct octets out = {0};
    for (size_t i = 0; i < golden_commands_count; i++) {
        const struct golden *g = &golden_commands[i];
        octets_clear(&out);
        octets_append(&out, "before", 6); /* appended, not overwritten */
        dimse_write(&g->means, &out);
        assert_false(out.failed);
        if (out.len != 6 + g->len || memcmp(out.data + 6, g->bytes, g->len) != 0) {
            fail_msg("%s was written otherwise", g->name);
        }
        assert_memory_equal(out.data, "before", 6);
    }
    octets_free(&out);
}

static void what_was_written_is_read_back_the_same(void **state)
{
    (void)state;
    for (size_t i = 0; i < golden_commands_count; i++) {
        struct dimse_command first, second;
        const char *why;
        struct octets out = {0};
        assert_int_equal(dimse_parse(golden_commands[i].bytes, golden_commands[i].len, &first, &why), OK);
        dimse_write(&first, &out);
        assert_int_equal(dimse_parse(out.data, out.len, &second, &why), OK);
        assert_same(golden_commands[i].name, &first, &second);
        octets_free(&out);
    }
}

static size_t next_element(const uint8_t *bytes, size_t at)
{
    return at + 8 + get_le32(bytes + at + 4);
}

/* What the standard demands and real peers keep, by element number: without it there is no telling what to do. Written
 * down apart from the program's table. */
struct demand {
    uint16_t field;
    uint16_t elements[6];
};

static const struct demand demands[] = {
    {DIMSE_C_STORE_RQ, {0x0100, 0x0110, 0x0800, 0x0002}}, /* without an instance it is answered by a status */
    {DIMSE_C_STORE_RSP, {0x0100, 0x0120, 0x0800, 0x0900}},
    {DIMSE_C_GET_RQ, {0x0100, 0x0110, 0x0800, 0x0002}},
    {DIMSE_C_GET_RSP, {0x0100, 0x0120, 0x0800, 0x0900}},
    {DIMSE_C_FIND_RQ, {0x0100, 0x0110, 0x0800, 0x0002}},
    {DIMSE_C_FIND_RSP, {0x0100, 0x0120, 0x0800, 0x0900}},
    {DIMSE_C_MOVE_RQ, {0x0100, 0x0110, 0x0800, 0x0002, 0x0600}},
    {DIMSE_C_MOVE_RSP, {0x0100, 0x0120, 0x0800, 0x0900}},
    {DIMSE_C_ECHO_RQ, {0x0100, 0x0110, 0x0800, 0x0002}},
    {DIMSE_C_ECHO_RSP, {0x0100, 0x0120, 0x0800, 0x0900}},
    {DIMSE_N_EVENT_REPORT_RQ, {0x0100, 0x0110, 0x0800, 0x0002, 0x1000}},
    {DIMSE_N_EVENT_REPORT_RSP, {0x0100, 0x0120, 0x0800, 0x0900}}, /* the event type may be absent: quirk 10 */
    {DIMSE_N_GET_RQ, {0x0100, 0x0110, 0x0800, 0x0003, 0x1001}},
    {DIMSE_N_GET_RSP, {0x0100, 0x0120, 0x0800, 0x0900}},
    {DIMSE_N_SET_RQ, {0x0100, 0x0110, 0x0800, 0x0003, 0x1001}},
    {DIMSE_N_SET_RSP, {0x0100, 0x0120, 0x0800, 0x0900}},
    {DIMSE_N_ACTION_RQ, {0x0100, 0x0110, 0x0800, 0x0003, 0x1001, 0x1008}},
    {DIMSE_N_ACTION_RSP, {0x0100, 0x0120, 0x0800, 0x0900}},
    {DIMSE_N_CREATE_RQ,
     {0x0100, 0x0110, 0x0800, 0x0002}}, /* the instance may be for the other side to name */
    {DIMSE_N_CREATE_RSP, {0x0100, 0x0120, 0x0800, 0x0900}},
    {DIMSE_N_DELETE_RQ, {0x0100, 0x0110, 0x0800, 0x0003, 0x1001}},
    {DIMSE_N_DELETE_RSP, {0x0100, 0x0120, 0x0800, 0x0900}},
    {DIMSE_C_CANCEL_RQ, {0x0100, 0x0120, 0x0800}},
};

static const struct demand *demand_of(uint16_t field)
{
    for (size_t i = 0; i < sizeof(demands) / sizeof(demands[0]); i++) {
        if (demands[i].field == field) {
            return &demands[i];
        }
    }
    fail_msg("no expectation for %04x", field);
    return NULL;
}

static bool is_demanded(const struct demand *demand, uint16_t element)
{
    for (size_t i = 0; i < sizeof(demand->elements) / sizeof(demand->elements[0]); i++) {
        if (demand->elements[i] == element && element != 0) {
            return true;
        }
    }
    return false;
}

/* One element after the other is left out: a mandatory one makes a fault, any other does not. */
static void exactly_the_mandatory_elements_are_demanded(void **state)
{
    (void)state;
    for (size_t i = 0; i < golden_commands_count; i++) {
        const struct golden *g = &golden_commands[i];
        const struct demand *demand = demand_of(g->means.field);
        size_t demanded_count = 0;
        for (size_t at = 0; at < g->len; at = next_element(g->bytes, at)) {
            uint16_t number = get_le16(g->bytes + at + 2);
            size_t end = next_element(g->bytes, at);
            struct octets without = {0};
            octets_append(&without, g->bytes, at);
            octets_append(&without, g->bytes + end, g->len - end);
            bool is_refused = parse_copy(without.data, without.len) == ERR_PROTO;
            octets_free(&without);
            if (is_refused != is_demanded(demand, number)) {
                fail_msg("%s without (0000,%04X) is %s", g->name, number, is_refused ? "refused" : "taken");
            }
            demanded_count += is_refused;
        }
        for (size_t k = 0; k < 6 && demand->elements[k] != 0; k++) {
            demanded_count--; /* each was there to be left out */
        }
        assert_int_equal(demanded_count, 0);
    }
}

/* A mandatory element that is there but has no value is as good as absent. */
static void a_mandatory_element_without_value_is_missing(void **state)
{
    (void)state;
    for (size_t i = 0; i < golden_commands_count; i++) {
        const struct golden *g = &golden_commands[i];
        const struct demand *demand = demand_of(g->means.field);
        for (size_t at = 0; at < g->len; at = next_element(g->bytes, at)) {
            size_t end = next_element(g->bytes, at);
            struct octets emptied = {0};
            octets_append(&emptied, g->bytes, at + 4);
            octets_le32(&emptied, 0);
            octets_append(&emptied, g->bytes + end, g->len - end);
            bool is_refused = parse_copy(emptied.data, emptied.len) == ERR_PROTO;
            octets_free(&emptied);
            assert_true(is_refused == is_demanded(demand, get_le16(g->bytes + at + 2)));
        }
    }
}

/* Cut within an element: a fault. Cut between two: a fault unless all that is demanded had come by then. */
static void a_command_set_may_be_cut_at_any_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < golden_commands_count; i++) {
        const struct golden *g = &golden_commands[i];
        const struct demand *demand = demand_of(g->means.field);
        size_t missing = 0;
        while (missing < 6 && demand->elements[missing] != 0) {
            missing++;
        }
        size_t boundary = 0;
        for (size_t len = 0; len < g->len; len++) {
            if (len > boundary && len == next_element(g->bytes, boundary)) {
                missing -= is_demanded(demand, get_le16(g->bytes + boundary + 2));
                boundary = len;
            }
            bool is_whole = len == boundary && missing == 0;
            if ((parse_copy(g->bytes, len) == OK) != is_whole) {
                fail_msg("%s cut to %zu bytes is %s", g->name, len, is_whole ? "refused" : "taken");
            }
        }
    }
}

static bool is_number(uint16_t element)
{
    static const uint16_t others[] = {0x0000, 0x0002, 0x0003, 0x0600, 0x0901,
                                      0x0902, 0x1000, 0x1001, 0x1005, 0x1030};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (element == others[i]) {
            return false;
        }
    }
    return true;
}

/* Every length field is given lengths that reach past the end, and lengths that end elsewhere. */
static void no_length_reaches_past_the_command_set(void **state)
{
    (void)state;
    for (size_t i = 0; i < golden_commands_count; i++) {
        const struct golden *g = &golden_commands[i];
        for (size_t at = 0; at < g->len; at = next_element(g->bytes, at)) {
            uint32_t left = (uint32_t)(g->len - at - 8);
            const uint32_t too_long[] = {left + 1,   left + 2,   left + 8,   0x00010000, 0x7FFFFFFF,
                                         0x80000000, 0xFFFFFFF7, 0xFFFFFFF8, 0xFFFFFFFE, 0xFFFFFFFF};
            uint8_t *copy = exact_copy(g->bytes, g->len);
            for (size_t k = 0; k < sizeof(too_long) / sizeof(too_long[0]); k++) {
                put_le32(copy + at + 4, too_long[k]);
                if (parse_copy(copy, g->len) != ERR_PROTO) {
                    fail_msg("%s: byte %zu: length %08x is taken", g->name, at, too_long[k]);
                }
            }
            for (uint32_t value_len = 0; value_len <= left; value_len++) {
                put_le32(copy + at + 4, value_len);
                enum result r = parse_copy(copy, g->len); /* no crash; what it is depends on the bytes */
                if (r == OK && is_number(get_le16(copy + at + 2)) && value_len != 0) {
                    assert_int_equal(value_len, 2);
                }
            }
            free(copy);
        }
    }
}

/* The same command set, with one element's value of another size and everything else in its place. */
static void numbers_have_two_bytes_and_tags_four(void **state)
{
    (void)state;
    for (size_t i = 0; i < golden_commands_count; i++) {
        const struct golden *g = &golden_commands[i];
        for (size_t at = 0; at < g->len; at = next_element(g->bytes, at)) {
            uint16_t number = get_le16(g->bytes + at + 2);
            size_t end = next_element(g->bytes, at);
            for (uint32_t value_len = 1; value_len <= 9; value_len++) {
                struct octets other = {0};
                octets_append(&other, g->bytes, at + 4);
                octets_le32(&other, value_len);
                octets_fill(&other, '1', value_len);
                octets_append(&other, g->bytes + end, g->len - end);
                bool is_right = is_number(number)                      ? value_len == 2
                                : number == 0x0901 || number == 0x1005 ? value_len % 4 == 0
                                                                       : true;
                if (number == 0x0100) {
                    is_right = false; /* 3131 is no command field */
                }
                if ((parse_copy(other.data, other.len) == OK) != is_right) {
                    fail_msg("%s: (0000,%04X) of %u bytes", g->name, number, value_len);
                }
                octets_free(&other);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_type_is_read_as_it_was_meant),
        cmocka_unit_test(every_message_type_is_written_as_others_write_it),
        cmocka_unit_test(what_was_written_is_read_back_the_same),
        cmocka_unit_test(exactly_the_mandatory_elements_are_demanded),
        cmocka_unit_test(a_mandatory_element_without_value_is_missing),
        cmocka_unit_test(a_command_set_may_be_cut_at_any_byte),
        cmocka_unit_test(no_length_reaches_past_the_command_set),
        cmocka_unit_test(numbers_have_two_bytes_and_tags_four),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
