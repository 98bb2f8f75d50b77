/* HOST:PORT and AE titles as a person writes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "command/target.h"

static void host_and_port_are_taken_apart(void **state)
{
    static const struct {
        const char *text, *host;
        unsigned port;
    } cases[] = {
        {"pacs.local:104", "pacs.local", 104},
        {"10.0.0.5:11112", "10.0.0.5", 11112},
        {"[::1]:104", "::1", 104},
        {"[fe80::1%eth0]:65535", "fe80::1%eth0", 65535},
        {"a:1", "a", 1},
        {"a:00104", "a", 104},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct target target;
        const char *why;
        assert_int_equal(target_parse(cases[i].text, &target, &why), OK);
        assert_string_equal(target.host, cases[i].host);
        assert_int_equal(target.port, cases[i].port);
        assert_string_equal(target.text, cases[i].text);
    }
}

static void what_is_no_target_is_refused_with_what_would_be_right(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "the port is missing"},
        {"pacs", "the port is missing"},
        {":104", "the host is missing"},
        {"[]:104", "the host is missing"},
        {"pacs:", "the port is a number"},
        {"pacs:0", "the port is a number"},
        {"pacs:65536", "the port is a number"},
        {"pacs:4294967400", "the port is a number"}, /* 104 modulo 2^32 */
        {"pacs:+104", "the port is a number"},
        {"pacs:dicom", "the port is a number"},
        {"::1:104", "an IPv6 address stands in brackets"},
        {"[::1]", "the port is missing"},
        {"[::1]104", "the port is missing"},
        {"[::1:104", "the ] of the IPv6 address"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct target target;
        const char *why = "";
        assert_int_equal(target_parse(cases[i].text, &target, &why), ERR_USAGE);
        assert_ptr_equal(strstr(why, cases[i].why), why);
    }
}

static void a_host_name_longer_than_any_is_refused(void **state)
{
    char text[400];
    struct target target;
    const char *why = "";
    (void)state;
    memset(text, 'a', sizeof(text));
    memcpy(text + 255, ":104", 5);
    assert_int_equal(target_parse(text, &target, &why), OK);
    assert_int_equal(strlen(target.host), 255);
    memset(text, 'a', sizeof(text));
    memcpy(text + 256, ":104", 5);
    assert_int_equal(target_parse(text, &target, &why), ERR_USAGE);
    assert_string_equal(why, "the host name is too long");
}

static void titles_are_what_the_standard_lets_be_titles(void **state)
{
    static const struct {
        const char *title;
        int is_valid;
    } cases[] = {
        {"A", 1},   {"STORE SCP", 1}, {"0123456789ABCDEF", 1}, {"0123456789ABCDEFG", 0}, {"", 0},
        {"   ", 0}, {"A\\B", 0},      {"T\xC3\xA4", 0},        {"TAB\tTITLE", 0},        {"a~!", 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(target_title_is_valid(cases[i].title), cases[i].is_valid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_and_port_are_taken_apart),
        cmocka_unit_test(what_is_no_target_is_refused_with_what_would_be_right),
        cmocka_unit_test(a_host_name_longer_than_any_is_refused),
        cmocka_unit_test(titles_are_what_the_standard_lets_be_titles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
