/* Who is let in, and for what: a table of approaches, each with its verdict. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/access.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define CT           "1.2.840.10008.5.1.4.1.1.2"
#define MR           "1.2.840.10008.5.1.4.1.1.4"
#define ECHO         "1.2.840.10008.1.1"

static struct config_network network(const char *text)
{
    struct config_network n;
    assert_int_equal(config_network_parse(text, &n), OK);
    return n;
}

static enum access_verdict judge(const struct config *c, const struct config_listen *l, const char *address,
                                 const char *calling, const char *called, const char *peer,
                                 const struct config_caller **caller_out)
{
    struct config_network from = network(address);
    struct access_approach a = {from.address, calling, called, peer};
    return access_judge(c, l, &a, caller_out);
}

static void a_listener_denies_before_it_allows_and_asks_for_its_titles_last(void **state)
{
    static const struct {
        const char *address, *called;
        enum access_verdict verdict;
    } cases[] = {
        {"10.1.0.5", "HILUM", ACCESS_ADMITTED},    {"10.1.0.66", "HILUM", ACCESS_DENIED},
        {"10.2.0.5", "HILUM", ACCESS_NOT_ALLOWED}, {"10.1.0.5", "HILUM2", ACCESS_NOT_CALLED},
        {"10.1.0.5", "hilum", ACCESS_NOT_CALLED},  {"10.1.0.66", "X", ACCESS_DENIED},
        {"2001:db8::1", "HILUM", ACCESS_ADMITTED}, {"2001:db9::1", "HILUM", ACCESS_NOT_ALLOWED},
    };
    struct config_network allow[] = {network("10.1.0.0/16"), network("2001:db8::/32")};
    struct config_network deny[] = {network("10.1.0.64/26")};
    char *titles[] = {"HILUM"};
    struct config config = {0};
    struct config_listen l = {.allow = allow,
                              .allow_count = 2,
                              .deny = deny,
                              .deny_count = 1,
                              .ae_titles = titles,
                              .ae_title_count = 1};
    const struct config_caller *caller;
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        enum access_verdict v = judge(&config, &l, cases[i].address, "CT1", cases[i].called, "", &caller);
        if (v != cases[i].verdict)
            fail_msg("%s %s: %s", cases[i].address, cases[i].called, access_verdict_text(v));
        assert_null(caller);
    }
}

static void an_association_belongs_to_the_first_caller_of_its_title(void **state)
{
    static const struct {
        const char *address, *calling, *peer;
        enum access_verdict verdict;
        int caller; /* -1: none */
    } cases[] = {
        {"10.0.0.1", "CT1", "", ACCESS_ADMITTED, 0},
        {"10.0.0.1", "MR", "", ACCESS_ADMITTED, 0},
        {"11.0.0.1", "CT1", "", ACCESS_CALLER_NOT_ALLOWED, 0}, /* though "everybody" would have it */
        {"11.0.0.1", "ct1", "", ACCESS_CALLER_CERTIFICATE, 1},
        {"11.0.0.1", "PACS", "", ACCESS_CALLER_CERTIFICATE, 1},
        {"11.0.0.1", "PACS", "CN=pacs.example.org,O=Clinic", ACCESS_ADMITTED, 1},
        {"11.0.0.1", "PACS", "CN=pacs.example.org", ACCESS_CALLER_CERTIFICATE, 1},
        {"11.0.0.1", "PACS", "CN=archive", ACCESS_ADMITTED, 1},
        {"11.0.0.1", "PACS", "CN=archive2", ACCESS_CALLER_CERTIFICATE, 1},
        {"11.0.0.1", "TOO", "", ACCESS_NOBODY, -1},
        {"11.0.0.1", "", "", ACCESS_NOBODY, -1},
    };
    char *ct[] = {"CT?", "MR"}, *other[] = {"P*", "ct1"};
    char *peers[] = {"CN=pacs*,O=Clinic", "CN=archive"};
    struct config_network allow[] = {network("10.0.0.0/8")};
    struct config_caller callers[] = {
        {.titles = ct, .title_count = 2, .allow = allow, .allow_count = 1},
        {.titles = other, .title_count = 2, .peers = peers, .peer_count = 2},
    };
    struct config config = {.callers = callers, .caller_count = 2};
    struct config_listen l = {0};
    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        const struct config_caller *caller;
        enum access_verdict v =
            judge(&config, &l, cases[i].address, cases[i].calling, "HILUM", cases[i].peer, &caller);
        if (v != cases[i].verdict || caller != (cases[i].caller < 0 ? NULL : &callers[cases[i].caller]))
            fail_msg("case %zu: %s", i, access_verdict_text(v));
    }
}

/* "*" matches every subject, but somebody has to have one. */
static void whoever_shows_no_certificate_has_not_the_right_one(void **state)
{
    char *all[] = {"*"};
    struct config_caller callers[] = {{.titles = all, .title_count = 1, .peers = all, .peer_count = 1}};
    struct config config = {.callers = callers, .caller_count = 1};
    struct config_listen l = {0};
    const struct config_caller *caller;
    (void)state;
    assert_int_equal(judge(&config, &l, "::1", "CT", "X", "", &caller), ACCESS_CALLER_CERTIFICATE);
    assert_int_equal(judge(&config, &l, "::1", "CT", "X", "CN=a", &caller), ACCESS_ADMITTED);
}

static void a_caller_may_use_its_services_and_classes_and_c_echo(void **state)
{
    static const uint32_t store = UINT32_C(1) << CONFIG_STORE, find = UINT32_C(1) << CONFIG_FIND,
                          echo = UINT32_C(1) << CONFIG_ECHO;
    char *classes[] = {CT, "1.2.840.10008.5.1.4.1.1.481.*"};
    struct config_caller caller = {.services = store, .sop_classes = classes, .sop_class_count = 2};
    struct config_caller any_class = {.services = store | find};
    (void)state;
    assert_true(access_allows_class(&caller, view_of(CT)));
    assert_true(access_allows_class(&caller, view_of("1.2.840.10008.5.1.4.1.1.481.2")));
    assert_true(access_allows_class(&caller, view_of(ECHO)));
    assert_false(access_allows_class(&caller, view_of(MR)));
    assert_false(access_allows_class(&caller, view_of(CT ".1")));
    assert_false(access_allows_class(&caller, view_of("")));
    assert_true(access_allows_class(&any_class, view_of(MR)));
    assert_true(access_allows_class(NULL, view_of(MR)));
    assert_int_equal(access_services(&caller, store | find | echo), store | echo);
    assert_int_equal(access_services(&caller, find), 0);
    assert_int_equal(access_services(&any_class, store | find), store | find);
    assert_int_equal(access_services(NULL, find), find);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listener_denies_before_it_allows_and_asks_for_its_titles_last),
        cmocka_unit_test(an_association_belongs_to_the_first_caller_of_its_title),
        cmocka_unit_test(whoever_shows_no_certificate_has_not_the_right_one),
        cmocka_unit_test(a_caller_may_use_its_services_and_classes_and_c_echo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
