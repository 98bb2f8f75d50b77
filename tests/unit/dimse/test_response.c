#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "dimse/command.h"

#define VIEW(text) ((struct view){(const uint8_t *)(text), sizeof(text) - 1})

static void assert_text(struct view view, const char *text)
{
    assert_int_equal(view.len, strlen(text));
    assert_memory_equal(view.at, text, view.len);
}

static const uint16_t requests[] = {
    DIMSE_C_STORE_RQ,  DIMSE_C_GET_RQ,          DIMSE_C_FIND_RQ,   DIMSE_C_MOVE_RQ,
    DIMSE_C_ECHO_RQ,   DIMSE_N_EVENT_REPORT_RQ, DIMSE_N_GET_RQ,    DIMSE_N_SET_RQ,
    DIMSE_N_ACTION_RQ, DIMSE_N_CREATE_RQ,       DIMSE_N_DELETE_RQ,
};

static void a_response_is_complete_and_says_no_data_set(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        struct dimse_command request = {.field = requests[i], .has = DIMSE_HAS_MESSAGE_ID, .message_id = 513};
        struct dimse_command response, read;
        struct octets o = {0};
        const char *why = "";
        request.data_set_type = DIMSE_DATA_SET;
        dimse_response_to(&request, 0xA700, NULL, &response);
        dimse_write(&response, &o);
        assert_int_equal(dimse_parse(o.data, o.len, &read, &why), OK);
        assert_int_equal(read.field, requests[i] | 0x8000);
        assert_true(dimse_is_response(read.field));
        assert_int_equal(read.responded_id, 513);
        assert_int_equal(read.status, 0xA700);
        assert_false(dimse_has_data_set(&read));
        assert_int_equal(read.has, DIMSE_HAS_FIELD | DIMSE_HAS_RESPONDED_ID | DIMSE_HAS_DATA_SET_TYPE |
                                       DIMSE_HAS_STATUS);
        octets_free(&o);
    }
}

static void affected_uids_are_echoed(void **state)
{
    (void)state;
    struct dimse_command request = {
        .field = DIMSE_C_STORE_RQ,
        .has = DIMSE_HAS_AFFECTED_CLASS | DIMSE_HAS_AFFECTED_INSTANCE | DIMSE_HAS_ORIGINATOR_ID |
               DIMSE_HAS_PRIORITY,
        .affected_class = VIEW("1.2.3 "),
        .affected_instance = VIEW("1.2.4"),
    };
    struct dimse_command response;
    dimse_response_to(&request, 0, NULL, &response);
    assert_text(response.affected_class, "1.2.3 ");
    assert_text(response.affected_instance, "1.2.4");
    assert_int_equal(response.has, DIMSE_HAS_FIELD | DIMSE_HAS_RESPONDED_ID | DIMSE_HAS_DATA_SET_TYPE |
                                       DIMSE_HAS_STATUS | DIMSE_HAS_AFFECTED_CLASS |
                                       DIMSE_HAS_AFFECTED_INSTANCE);
}

static void requested_uids_come_back_as_affected_ones(void **state)
{
    (void)state;
    static const uint16_t fields[] = {DIMSE_N_GET_RQ, DIMSE_N_SET_RQ, DIMSE_N_ACTION_RQ, DIMSE_N_DELETE_RQ};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        struct dimse_command request = {
            .field = fields[i],
            .has = DIMSE_HAS_REQUESTED_CLASS | DIMSE_HAS_REQUESTED_INSTANCE,
            .requested_class = VIEW("1.2.3"),
            .requested_instance = VIEW("1.2.4"),
        };
        struct dimse_command response;
        dimse_response_to(&request, 0, NULL, &response);
        assert_text(response.affected_class, "1.2.3");
        assert_text(response.affected_instance, "1.2.4");
        assert_int_equal(response.has & (DIMSE_HAS_REQUESTED_CLASS | DIMSE_HAS_REQUESTED_INSTANCE), 0);
        assert_int_equal(response.has & (DIMSE_HAS_AFFECTED_CLASS | DIMSE_HAS_AFFECTED_INSTANCE),
                         DIMSE_HAS_AFFECTED_CLASS | DIMSE_HAS_AFFECTED_INSTANCE);
    }
}

/* Receivers were seen to crash without (fo-dicom #323). */
static void event_and_action_types_are_echoed(void **state)
{
    (void)state;
    struct dimse_command response;
    struct dimse_command event = {
        .field = DIMSE_N_EVENT_REPORT_RQ, .has = DIMSE_HAS_EVENT_TYPE, .event_type = 2};
    dimse_response_to(&event, 0, NULL, &response);
    assert_true(response.has & DIMSE_HAS_EVENT_TYPE);
    assert_int_equal(response.event_type, 2);

    struct dimse_command action = {
        .field = DIMSE_N_ACTION_RQ, .has = DIMSE_HAS_ACTION_TYPE, .action_type = 1};
    dimse_response_to(&action, 0, NULL, &response);
    assert_true(response.has & DIMSE_HAS_ACTION_TYPE);
    assert_int_equal(response.action_type, 1);
}

static void a_comment_is_cut_to_64_characters(void **state)
{
    (void)state;
    static const char sixty_four[] = "0123456789012345678901234567890123456789012345678901234567890123";
    static const struct {
        const char *comment;
        size_t len;
    } cases[] = {
        {NULL, 0},
        {"", 0},
        {"archive is away", 15},
        {sixty_four, 64},
        {"01234567890123456789012345678901234567890123456789012345678901234", 64},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dimse_command request = {.field = DIMSE_C_ECHO_RQ};
        struct dimse_command response;
        dimse_response_to(&request, 0xA700, cases[i].comment, &response);
        assert_int_equal(response.comment.len, cases[i].len);
        assert_int_equal((response.has & DIMSE_HAS_COMMENT) != 0, cases[i].len > 0);
        if (cases[i].len > 0) {
            assert_memory_equal(response.comment.at, cases[i].comment, cases[i].len);
        }
    }
}

static int signal_of_response_to(uint16_t field)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct dimse_command request = {.field = field};
        struct dimse_command response;
        close(STDERR_FILENO);
        dimse_response_to(&request, 0, NULL, &response);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void what_has_no_response_is_asserted(void **state)
{
    (void)state;
    assert_int_equal(signal_of_response_to(DIMSE_C_CANCEL_RQ), SIGABRT);
    assert_int_equal(signal_of_response_to(DIMSE_C_STORE_RSP), SIGABRT);
    assert_int_equal(signal_of_response_to(DIMSE_C_ECHO_RQ), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_response_is_complete_and_says_no_data_set),
        cmocka_unit_test(affected_uids_are_echoed),
        cmocka_unit_test(requested_uids_come_back_as_affected_ones),
        cmocka_unit_test(event_and_action_types_are_echoed),
        cmocka_unit_test(a_comment_is_cut_to_64_characters),
        cmocka_unit_test(what_has_no_response_is_asserted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
