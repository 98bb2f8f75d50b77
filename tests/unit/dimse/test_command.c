/* What real peers do to command sets. The golden bytes of every message type are in tests/wire/test_commands.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "dimse/command.h"

#define VIEW(text) ((struct view){(const uint8_t *)(text), sizeof(text) - 1})

static void add(struct octets *o, uint16_t number, const void *value, uint32_t len)
{
    octets_le16(o, 0x0000);
    octets_le16(o, number);
    octets_le32(o, len);
    octets_append(o, value, len);
}

static void add_number(struct octets *o, uint16_t number, uint16_t value)
{
    uint8_t bytes[2];
    put_le16(bytes, value);
    add(o, number, bytes, 2);
}

/* A C-STORE-RQ with this instance UID and data set type, rising and complete, but without group length. */
static void add_store(struct octets *o, struct view instance, uint16_t data_set_type)
{
    add(o, 0x0002, "1.2.840.10008.5.1.4.1.1.2\0", 26);
    add_number(o, 0x0100, DIMSE_C_STORE_RQ);
    add_number(o, 0x0110, 7);
    add_number(o, 0x0700, 0);
    add_number(o, 0x0800, data_set_type);
    add(o, 0x1000, instance.at, (uint32_t)instance.len);
}

static void assert_parses(const struct octets *o, struct dimse_command *out)
{
    const char *why = "";
    if (dimse_parse(o->data, o->len, out, &why) != OK) {
        fail_msg("%s", why);
    }
}

static void assert_refused(const struct octets *o, const char *expected_why)
{
    struct dimse_command c;
    const char *why = "";
    assert_int_equal(dimse_parse(o->data, o->len, &c, &why), ERR_PROTO);
    assert_string_equal(why, expected_why);
}

static void only_0101_means_that_no_data_set_follows(void **state)
{
    (void)state;
    static const struct {
        uint16_t type;
        bool has_data_set;
        const char *reason;
    } cases[] = {
        {0x0101, false, "the standard's null"},
        {0x0001, true, "what most write"},
        {0x0000, true, "old CTN peers"},
        {0x0102, true, "the standard's example of another value"},
        {0x0100, true, "one off"},
        {0xFFFF, true, "anything else"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct octets o = {0};
        struct dimse_command c;
        add_store(&o, VIEW("1.2.3\0"), cases[i].type);
        assert_parses(&o, &c);
        if (dimse_has_data_set(&c) != cases[i].has_data_set) {
            fail_msg("%04x: %s", cases[i].type, cases[i].reason);
        }
        octets_free(&o);
    }
}

static const struct {
    struct view uid;
    const char *reason;
} odd_uids[] = {
    {{(const uint8_t *)"1.2.3\0", 6}, "padded by NUL, as it should be"},
    {{(const uint8_t *)"1.2.3 ", 6}, "padded by a space"},
    {{(const uint8_t *)"1.2.3", 5}, "not padded"},
    {{(const uint8_t *)"1.2.3\0\0\0\0 ", 10}, "padded far too much"},
    {{(const uint8_t *)"1.02.003\0\0", 10}, "leading zeros"},
    {{(const uint8_t *)"1.2.840.113619.2.55.3.12345678901234567890123456789012345678901234567", 67},
     "67 characters"},
};

static void uids_are_kept_as_they_were_sent(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(odd_uids) / sizeof(odd_uids[0]); i++) {
        struct octets o = {0};
        struct dimse_command c;
        add_store(&o, odd_uids[i].uid, DIMSE_DATA_SET);
        assert_parses(&o, &c);
        if (c.affected_instance.len != odd_uids[i].uid.len ||
            memcmp(c.affected_instance.at, odd_uids[i].uid.at, c.affected_instance.len) != 0) {
            fail_msg("changed: %s", odd_uids[i].reason);
        }
        assert_in_range(c.affected_instance.at, o.data, o.data + o.len); /* a view, no copy */
        octets_free(&o);
    }
}

static void uids_are_echoed_as_they_were_sent(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(odd_uids) / sizeof(odd_uids[0]); i++) {
        struct octets o = {0}, written = {0};
        struct dimse_command request, response, read;
        struct view uid = odd_uids[i].uid;
        add_store(&o, uid, DIMSE_DATA_SET);
        assert_parses(&o, &request);
        dimse_response_to(&request, 0, NULL, &response);
        dimse_write(&response, &written);
        assert_parses(&written, &read);
        size_t padded = uid.len + (uid.len & 1); /* no value of a command set may be odd */
        assert_int_equal(read.affected_instance.len, padded);
        assert_memory_equal(read.affected_instance.at, uid.at, uid.len);
        if (padded > uid.len) {
            assert_int_equal(read.affected_instance.at[uid.len], 0);
        }
        octets_free(&o);
        octets_free(&written);
    }
}

static void odd_titles_and_comments_are_padded_by_a_space(void **state)
{
    (void)state;
    struct dimse_command c = {
        .has = DIMSE_HAS_MOVE_DESTINATION | DIMSE_HAS_COMMENT,
        .move_destination = VIEW("ABC"),
        .comment = VIEW("x"),
    };
    static const char golden[] = "\x00\x00\x00\x00"
                                 "\x04\x00\x00\x00"
                                 "\x16\x00\x00\x00" /* (0000,0000): 22 */
                                 "\x00\x00\x00\x06"
                                 "\x04\x00\x00\x00"
                                 "ABC " /* (0000,0600) */
                                 "\x00\x00\x02\x09"
                                 "\x02\x00\x00\x00"
                                 "x "; /* (0000,0902) */
    struct octets o = {0};
    dimse_write(&c, &o);
    assert_int_equal(o.len, sizeof(golden) - 1);
    assert_memory_equal(o.data, golden, o.len);
    octets_free(&o);
}

static void a_group_length_is_neither_needed_nor_believed(void **state)
{
    (void)state;
    static const uint32_t lies[] = {0, 1, 40, 0x7FFFFFFF, 0xFFFFFFFF};
    struct octets o = {0};
    struct dimse_command c;
    add_store(&o, VIEW("1.2.3\0"), DIMSE_DATA_SET);
    assert_parses(&o, &c); /* none at all */
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        uint8_t lie[4];
        put_le32(lie, lies[i]);
        octets_clear(&o);
        add(&o, 0x0000, lie, 4);
        add_store(&o, VIEW("1.2.3\0"), DIMSE_DATA_SET);
        assert_parses(&o, &c);
        assert_int_equal(c.message_id, 7);
    }
    octets_free(&o);
}

static void retired_and_unknown_elements_are_passed_over(void **state)
{
    (void)state;
    struct octets o = {0};
    struct dimse_command c;
    add(&o, 0x0001, "\x40\0\0\0", 4);    /* Command Length to End, of ACR-NEMA */
    add(&o, 0x0010, "ACR-NEMA 2.0", 12); /* Command Recognition Code */
    add_store(&o, VIEW("1.2.3\0"), DIMSE_DATA_SET);
    add(&o, 0x5180, "anything", 8);
    add(&o, 0xFFFF, "odd", 3);
    assert_parses(&o, &c);
    assert_int_equal(c.has & ~(uint32_t)(DIMSE_HAS_AFFECTED_CLASS | DIMSE_HAS_FIELD | DIMSE_HAS_MESSAGE_ID |
                                         DIMSE_HAS_PRIORITY | DIMSE_HAS_DATA_SET_TYPE |
                                         DIMSE_HAS_AFFECTED_INSTANCE),
                     0);
    octets_free(&o);
}

static void elements_may_come_in_any_order(void **state)
{
    (void)state;
    struct octets o = {0};
    struct dimse_command c;
    add_number(&o, 0x0800, DIMSE_NO_DATA_SET);
    add_number(&o, 0x0110, 3);
    add(&o, 0x0002, "1.2.840.10008.1.1\0", 18);
    add_number(&o, 0x0100, DIMSE_C_ECHO_RQ);
    assert_parses(&o, &c);
    assert_int_equal(c.message_id, 3);
    octets_free(&o);
}

static void an_optional_element_without_value_counts_as_absent(void **state)
{
    (void)state;
    struct octets o = {0};
    struct dimse_command c;
    add_store(&o, VIEW("1.2.3\0"), DIMSE_DATA_SET);
    add(&o, 0x1030, "", 0);
    add(&o, 0x1031, "", 0);
    assert_parses(&o, &c);
    assert_int_equal(c.has & (DIMSE_HAS_ORIGINATOR_TITLE | DIMSE_HAS_ORIGINATOR_ID), 0);
    octets_free(&o);
}

static void an_element_may_not_come_twice(void **state)
{
    (void)state;
    struct octets o = {0};
    add_store(&o, VIEW("1.2.3\0"), DIMSE_DATA_SET);
    add_number(&o, 0x0110, 8); /* which of the two would be the answer's? */
    assert_refused(&o, "command element occurs twice");
    octets_free(&o);
}

static void another_group_is_no_command_set(void **state)
{
    (void)state;
    struct octets o = {0};
    add_store(&o, VIEW("1.2.3\0"), DIMSE_DATA_SET);
    octets_append(&o, "\x08\x00\x16\x00\x02\x00\x00\x00\x31\x00", 10); /* (0008,0016) */
    assert_refused(&o, "element outside group 0000 in a command set");
    octets_free(&o);
}

static void command_fields_that_the_standard_does_not_have_are_refused(void **state)
{
    (void)state;
    static const uint16_t fields[] = {0x0000, 0x0002, 0x0011, 0x0FFE, 0x8FFF, 0x0160, 0x8000, 0xFFFF};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        struct octets o = {0};
        add_number(&o, 0x0100, fields[i]);
        assert_refused(&o, "unknown Command Field");
        assert_false(dimse_field_known(fields[i]));
        assert_string_equal(dimse_field_name(fields[i]), "unknown");
        octets_free(&o);
    }
}

static void a_command_set_has_at_most_64_kib(void **state)
{
    (void)state;
    struct octets o = {0};
    struct dimse_command c;
    add_store(&o, VIEW("1.2.3\0"), DIMSE_DATA_SET);
    uint32_t left = (uint32_t)(DIMSE_COMMAND_MAX_BYTES - o.len - 8);
    octets_append(&o, "\0\0\xFF\xFF", 4);
    octets_le32(&o, left);
    octets_fill(&o, 0, left);
    assert_parses(&o, &c);
    octets_u8(&o, 0);
    assert_refused(&o, "command set too long");
    octets_free(&o);
}

static void nothing_at_all_is_no_command_set(void **state)
{
    (void)state;
    struct octets o = {0};
    assert_refused(&o, "command set without Command Field");
}

static void a_refused_command_leaves_out_untouched(void **state)
{
    (void)state;
    struct dimse_command c = {.message_id = 99};
    const char *why = NULL;
    assert_int_equal(dimse_parse((const uint8_t *)"\0\0\0\0", 4, &c, &why), ERR_PROTO);
    assert_int_equal(c.message_id, 99);
}

static void a_copy_outlives_what_it_was_made_from(void **state)
{
    (void)state;
    struct octets o = {0}, written = {0}, values = {0};
    struct dimse_command c, copy;
    add_store(&o, VIEW("1.2.3.4.5\0"), DIMSE_DATA_SET);
    assert_parses(&o, &c);
    dimse_write(&c, &written);
    assert_true(dimse_copy(&c, &values, &copy));
    memset(o.data, 0xEE, o.len);
    struct octets again = {0};
    dimse_write(&copy, &again);
    assert_int_equal(again.len, written.len);
    assert_memory_equal(again.data, written.data, written.len);
    assert_null(copy.move_destination.at); /* what is not there shows nothing */
    octets_free(&again);
    octets_free(&values);
    octets_free(&written);
    octets_free(&o);
}

static void a_request_is_about_what_its_kind_names(void **state)
{
    (void)state;
    static const struct {
        uint16_t field;
        const char *both, *one; /* with both there; with the other alone */
    } cases[] = {
        {DIMSE_C_STORE_RQ, "1.1", "1.2"},  {DIMSE_C_FIND_RQ, "1.1", "1.2"},
        {DIMSE_N_CREATE_RQ, "1.1", "1.2"}, {DIMSE_N_EVENT_REPORT_RQ, "1.1", "1.2"},
        {DIMSE_N_SET_RQ, "1.2", "1.1"},    {DIMSE_N_GET_RQ, "1.2", "1.1"},
        {DIMSE_N_ACTION_RQ, "1.2", "1.1"}, {DIMSE_N_DELETE_RQ, "1.2", "1.1"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dimse_command c = {.field = cases[i].field,
                                  .has = DIMSE_HAS_AFFECTED_CLASS | DIMSE_HAS_REQUESTED_CLASS |
                                         DIMSE_HAS_AFFECTED_INSTANCE | DIMSE_HAS_REQUESTED_INSTANCE,
                                  .affected_class = view_of("1.1"),
                                  .requested_class = view_of("1.2"),
                                  .affected_instance = view_of("1.1"),
                                  .requested_instance = view_of("1.2")};
        assert_memory_equal(dimse_class(&c).at, cases[i].both, 3);
        assert_memory_equal(dimse_instance(&c).at, cases[i].both, 3);
        c.has = dimse_is_of_requested(c.field) ? DIMSE_HAS_AFFECTED_CLASS | DIMSE_HAS_AFFECTED_INSTANCE
                                               : DIMSE_HAS_REQUESTED_CLASS | DIMSE_HAS_REQUESTED_INSTANCE;
        assert_memory_equal(dimse_class(&c).at, cases[i].one, 3);
        assert_memory_equal(dimse_instance(&c).at, cases[i].one, 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_about_what_its_kind_names),
        cmocka_unit_test(only_0101_means_that_no_data_set_follows),
        cmocka_unit_test(uids_are_kept_as_they_were_sent),
        cmocka_unit_test(uids_are_echoed_as_they_were_sent),
        cmocka_unit_test(odd_titles_and_comments_are_padded_by_a_space),
        cmocka_unit_test(a_group_length_is_neither_needed_nor_believed),
        cmocka_unit_test(retired_and_unknown_elements_are_passed_over),
        cmocka_unit_test(elements_may_come_in_any_order),
        cmocka_unit_test(an_optional_element_without_value_counts_as_absent),
        cmocka_unit_test(an_element_may_not_come_twice),
        cmocka_unit_test(another_group_is_no_command_set),
        cmocka_unit_test(command_fields_that_the_standard_does_not_have_are_refused),
        cmocka_unit_test(a_command_set_has_at_most_64_kib),
        cmocka_unit_test(nothing_at_all_is_no_command_set),
        cmocka_unit_test(a_refused_command_leaves_out_untouched),
        cmocka_unit_test(a_copy_outlives_what_it_was_made_from),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
