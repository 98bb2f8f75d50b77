/* Callers, and what listeners and nodes say of who comes and how much: what becomes of each key, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "loading.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define REST                                                                                                 \
    "\nlisten { address = '127.0.0.1', port = 11112, address = '127.0.0.1' } node 'a' { host = 'a', "        \
    "ae_title = 'A' }"                                                                                       \
    " route 'rest' { to = 'a' }\n"
#define BIT(service) (UINT32_C(1) << (service))

static struct loaded load_with(const char *folder, const char *declarations)
{
    char text[2000];
    snprintf(text, sizeof(text), "%s" REST, declarations);
    return load_text(folder, text);
}

static void a_caller_with_every_key(void **state)
{
    struct loaded l = load_with(
        *state,
        "caller 'ct' { calling = { 'CT*', 'MR1', 17 }, allow = { '10.1.0.0/16', '::1' },\n"
        " services = { 'store', 'commit' }, sop_classes = { 'CTImageStorage', '1.2.840.10008.5.1.*' },\n"
        " identity = 'require', max_associations = 4, rate = { instances = 100, bytes = '50MiB' } }\n"
        "caller 'rest' { calling = '*' }");
    assert_fine(&l);
    assert_int_equal(l.config->caller_count, 2);
    const struct config_caller *ct = &l.config->callers[0], *rest = &l.config->callers[1];
    assert_string_equal(ct->name, "ct");
    assert_int_equal(ct->line, 1);
    assert_int_equal(ct->title_count, 3);
    assert_string_equal(ct->titles[0], "CT*");
    assert_string_equal(ct->titles[2], "17");
    assert_int_equal(ct->allow_count, 2);
    assert_int_equal(ct->allow[0].bits, 96 + 16);
    assert_int_equal(ct->services, BIT(CONFIG_STORE) | BIT(CONFIG_COMMIT) | BIT(CONFIG_ECHO));
    assert_int_equal(ct->sop_class_count, 2);
    assert_string_equal(ct->sop_classes[0], "1.2.840.10008.5.1.4.1.1.2");
    assert_string_equal(ct->sop_classes[1], "1.2.840.10008.5.1.*");
    assert_int_equal(ct->identity, CONFIG_IDENTITY_REQUIRE);
    assert_int_equal(ct->max_associations, 4);
    assert_int_equal(ct->rate.instances, 100);
    assert_int_equal(ct->rate.bytes, 50 << 20);
    assert_int_equal(rest->index, 1);
    assert_int_equal(rest->services, BIT(CONFIG_SERVICES) - 1);
    assert_int_equal(rest->sop_class_count + rest->allow_count + rest->peer_count, 0);
    assert_int_equal(rest->identity, CONFIG_IDENTITY_PASS);
    assert_int_equal(rest->max_associations + rest->rate.instances + rest->rate.bytes, 0);
    free_loaded(&l);
}

static void identity_is_a_word_or_a_function(void **state)
{
    static const struct {
        const char *text;
        enum config_identity identity;
    } cases[] = {
        {"'pass'", CONFIG_IDENTITY_PASS},
        {"'require'", CONFIG_IDENTITY_REQUIRE},
        {"'drop'", CONFIG_IDENTITY_DROP},
        {"function (user, assoc) return user ~= nil end", CONFIG_IDENTITY_CHECK},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[200];
        snprintf(text, sizeof(text), "caller 'x' { calling = 'X', identity = %s }", cases[i].text);
        struct loaded l = load_with(*state, text);
        assert_fine(&l);
        assert_int_equal(l.config->callers[0].identity, cases[i].identity);
        free_loaded(&l);
    }
}

static void listeners_deny_and_nodes_have_a_rate(void **state)
{
    struct loaded l =
        load_text(*state, "listen { port = 1, deny = { '10.0.0.0/8', '192.168.1.1' }, allow = '0.0.0.0/1' }\n"
                          "node 'a' { host = 'a', ae_title = 'A', rate = { bytes = '1MB' } }\n"
                          "route 'r' { to = 'a' }");
    assert_fine(&l);
    assert_int_equal(l.config->listens[0].deny_count, 2);
    assert_int_equal(l.config->listens[0].deny[0].bits, 96 + 8);
    assert_int_equal(l.config->listens[0].allow_count, 1);
    assert_int_equal(l.config->nodes[0].rate.bytes, 1000000);
    assert_int_equal(l.config->nodes[0].rate.instances, 0);
    free_loaded(&l);
}

struct broken {
    const char *text;
    int line;
    const char *problem;
};

static void assert_one_problem(const char *folder, const struct broken *b, bool is_warning)
{
    struct loaded l = load_with(folder, b->text);
    const char *problem = l.problems.count == 1 ? problem_at(&l, 0, b->line) : NULL;
    if (problem == NULL || strcmp(problem, b->problem) != 0 || l.problems.items[0].is_warning != is_warning) {
        for (size_t p = 0; p < l.problems.count; p++) {
            print_error("%s\n", l.problems.items[p].text);
        }
        fail_msg("%zu problems: %s", l.problems.count, b->text);
    }
    assert_int_equal(l.result, is_warning ? OK : ERR_USAGE);
    free_loaded(&l);
}

static void what_is_wrong_is_refused_with_what_would_be_right(void **state)
{
    static const struct broken cases[] = {
        {"caller { calling = 'X' }", 1, "caller: there is no name; write caller \"NAME\" { ... }"},
        {"caller 'x'", 1,
         "caller \"x\": there is no table behind the name; write caller \"NAME\" { key = value, ... }"},
        {"caller 'x' { calling = 'X' }\ncaller 'x' { calling = 'Y' }", 2,
         "caller \"x\": there is a caller \"x\" on line 1 already; give each a name of its own"},
        {"caller 'x' {\n allow = '10.0.0.0/8' }", 1,
         "caller \"x\": there is no calling, so that nobody is it; add calling = \"TITLE\", or \"*\" for "
         "every "
         "title"},
        {"caller 'x' {\n calling = {} }", 2,
         "caller \"x\": calling is an empty list; nobody would be this caller; write calling = \"*\" for "
         "every "
         "title"},
        {"caller 'x' { calling = 'AVERYLONGAETITLE1' }", 1,
         "caller \"x\": calling: the AE title \"AVERYLONGAETITLE1\" is longer than 16 characters; it must be "
         "1 "
         "to 16 printable ASCII characters without backslash and outer spaces"},
        {"caller 'x' { calling = 'X',\n allow = { '10.0.0.0/8',\n '10.0.0' } }", 3,
         "caller \"x\": \"10.0.0\" is neither an address nor a CIDR block; write one as \"10.1.2.3\", "
         "\"10.0.0.0/8\" or \"2001:db8::/32\""},
        {"caller 'x' { calling = 'X', services = { 'store', 'fnd' } }", 1,
         "caller \"x\": unknown service \"fnd\"; did you mean \"find\"?"},
        {"caller 'x' { calling = 'X', services = {} }", 1,
         "caller \"x\": services is an empty list; it could do nothing but C-ECHO; write services = \"echo\" "
         "if "
         "that is meant"},
        {"caller 'x' { calling = 'X', sop_classes = 'CTImageStorag' }", 1,
         "caller \"x\": \"CTImageStorag\" is neither a UID nor the keyword of a SOP class; did you mean "
         "\"CTImageStorage\"?"},
        {"caller 'x' { calling = 'X', peer = 'ct1' }", 1,
         "caller \"x\": \"ct1\" is no certificate's subject; write it as \"CN=ct1\", with `*` and `?` for "
         "what "
         "varies"},
        {"caller 'x' { calling = 'X', identity = 'required' }", 1,
         "caller \"x\": identity = \"required\" is unknown; it must be one of \"pass\", \"require\", "
         "\"drop\""},
        {"caller 'x' { calling = 'X', identity = true }", 1,
         "caller \"x\": identity is a boolean; it must be \"pass\", \"require\", \"drop\" or function (user, "
         "assoc) ... end"},
        {"caller 'x' { calling = 'X', max_associations = 0 }", 1,
         "caller \"x\": max_associations is 0, which is out of range; it must be a whole number from 1 to "
         "1000000"},
        {"caller 'x' { calling = 'X', rate = 5 }", 1,
         "caller \"x\": rate is a number; it must be a table, { key = value, ... }"},
        {"caller 'x' { calling = 'X', rate = {} }", 1,
         "caller \"x\": rate limits nothing; write rate = { instances = 100, bytes = \"50MiB\" }, or one of "
         "them"},
        {"caller 'x' { calling = 'X', rate = { instances = 0 } }", 1,
         "caller \"x\": rate.instances is 0, which is out of range; it must be a whole number from 1 to "
         "1000000"},
        {"caller 'x' { calling = 'X', rate = { bytes = '10B' } }", 1,
         "caller \"x\": rate.bytes is too small; it must be at least \"1KiB\""},
        {"caller 'x' { calling = 'X', deny = '10.0.0.0/8' }", 1,
         "caller \"x\": unknown key \"deny\" in a caller; it is a key of listen"},
        {"listen { port = 1, address = '127.0.0.1', deny = {} }", 1,
         "listen: deny is an empty list; it denies nobody; leave deny out"},
        {"listen { port = 1, address = '127.0.0.1', identity = 'pass' }", 1,
         "listen: unknown key \"identity\" in listen; it is a key of caller"},
        {"node 'f' { folder = '/d/{SOPInstanceUID}', rate = { instances = 1 } }", 1,
         "node \"f\": rate has no meaning for a folder; a node is either a folder or a remote AE with a "
         "host"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_one_problem(*state, &cases[i], false);
    }
}

/* An association belongs to the first caller whose titles match: what such a one leaves nothing of is a mistake. */
static void a_caller_that_nobody_is_is_warned_of(void **state)
{
    static const struct {
        const char *first, *second;
        bool is_covered;
    } cases[] = {
        {"'*'", "'CT1'", true},
        {"'CT*'", "'CT1'", true},
        {"'CT*'", "'CT?1'", true},
        {"'C*'", "'CT*'", true},
        {"'CT?'", "'CT1'", true},
        {"'CT?'", "'CT?'", true},
        {"{ 'CT1', 'MR*' }", "{ 'MR2', 'CT1' }", true},
        {"'CT?'", "'CT*'", false}, /* CT17 is the second */
        {"'CT1'", "'CT*'", false},
        {"'CT*'", "'*1'", false},
        {"{ 'CT1', 'MR*' }", "{ 'MR2', 'CT2' }", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[300];
        snprintf(text, sizeof(text), "caller 'first' { calling = %s }\ncaller 'second' {\n calling = %s }",
                 cases[i].first, cases[i].second);
        if (cases[i].is_covered) {
            assert_one_problem(
                *state,
                &(struct broken){text, 3,
                                 "warning: caller \"second\": nobody is it: whoever has such a title is "
                                 "caller \"first\" on line 1; move it above that one, or give "
                                 "that one other titles"},
                true);
        } else {
            struct loaded l = load_with(*state, text);
            assert_fine(&l);
            free_loaded(&l);
        }
    }
}

static void a_certificate_that_nobody_asks_for_is_warned_of(void **state)
{
    assert_one_problem(
        *state,
        &(struct broken){"caller 'x' { calling = 'X',\n peer = { 'CN=ct1*', '*,O=Clinic' } }", 2,
                         "warning: caller \"x\": it is never let in: no listener asks for certificates; "
                         "give one tls = { ..., client = \"require\" }"},
        true);
}

/* Beyond loopback something has to say who may come. */
static void a_listener_that_anybody_may_use_is_warned_of(void **state)
{
    static const struct {
        const char *text;
        int line; /* 0: there is nothing to warn of */
    } cases[] = {
        {"\nlisten '11113'", 2},
        {"listen '0.0.0.0:11113'", 1},
        {"listen '[::]:11113'", 1},
        {"listen '10.1.0.5:11113'", 1},
        {"listen { port = 11113, deny = '10.0.0.0/8' }", 1}, /* all others still may */
        {"listen { port = 11113, address = '' }", 1},
        {"listen '127.0.0.1:11113'", 0},
        {"listen '127.7.7.7:11113'", 0},
        {"listen '[::1]:11113'", 0},
        {"listen { port = 11113, allow = '10.0.0.0/8' }", 0},
        {"listen { port = 11113, ae_titles = 'HILUM' }", 0},
        {"listen '11113' caller 'all' { calling = 'CT*' }", 0},
        {"listen { port = 11113, allow = '0.0.0.0/0' }", 1},
        {"listen { port = 11113, allow = { '10.0.0.0/8', '::/0' } }", 1},
        {"listen { port = 11113, allow = '0.0.0.0/1' }", 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (cases[i].line > 0) {
            assert_one_problem(
                *state,
                &(struct broken){cases[i].text, cases[i].line,
                                 "warning: listen: anybody who reaches port 11113 may send, "
                                 "under any title; say who may: allow = { \"10.1.0.0/16\" }, "
                                 "ae_titles, callers, or tls with client = \"require\"; or give "
                                 "it address = \"127.0.0.1\", for this machine alone"},
                true);
        } else {
            struct loaded l = load_with(*state, cases[i].text);
            assert_fine(&l);
            free_loaded(&l);
        }
    }
}

/* A caller that anybody is says nothing either. */
static void a_caller_that_anybody_is_lets_anybody_in(void **state)
{
    static const struct {
        const char *keys;
        bool is_open;
    } cases[] = {
        {"calling = '*'", true},
        {"calling = { 'CT1', '**' }, sop_classes = 'CTImageStorage'", true},
        {"calling = '*', allow = { '10.0.0.0/8', '0.0.0.0/0' }", true},
        {"calling = '*', identity = 'drop'", true},
        {"calling = '*', services = 'echo'", false},
        {"calling = '*', allow = '10.0.0.0/8'", false},
        {"calling = '*', identity = 'require'", false},
        {"calling = '*', identity = function () return true end", false},
        {"calling = '*1'", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[300];
        snprintf(text, sizeof(text), "caller 'one' { calling = 'ONE' }\ncaller 'all' { %s }\nlisten '11113'",
                 cases[i].keys);
        if (cases[i].is_open) {
            assert_one_problem(
                *state,
                &(struct broken){text, 3,
                                 "warning: listen: anybody who reaches port 11113 may send: caller "
                                 "\"all\" on line 2 has every title and comes from anywhere; give it "
                                 "allow = { \"10.1.0.0/16\" }, peer or identity, or other titles"},
                true);
        } else {
            struct loaded l = load_with(*state, text);
            assert_fine(&l);
            free_loaded(&l);
        }
    }
}

/* Titles of listeners are no globs. */
static void a_star_in_a_called_title_is_warned_of(void **state)
{
    assert_one_problem(
        *state,
        &(struct broken){"listen { port = 11113,\n ae_titles = { 'HILUM',\n 'HIL*' } }", 3,
                         "warning: listen: \"HIL*\" lets in who calls just that, `*` and `?` as "
                         "they stand; write out each title"},
        true);
}

static void a_route_by_certificates_that_nobody_asks_for_is_warned_of(void **state)
{
    static const char *const fine[] = {"''", "{ 'CN=ct1,*', '' }", "'*'", "{ no = 'CN=ct1,*' }"};
    assert_one_problem(*state,
                       &(struct broken){"route 'x' { to = 'a', when = {\n peer = 'CN=ct1,*' } }", 2,
                                        "warning: route \"x\": it never matches: no listener asks for "
                                        "certificates; give one tls = { ..., client = \"require\" }"},
                       true);
    for (size_t i = 0; i < COUNT(fine); i++) {
        char text[200];
        snprintf(text, sizeof(text), "route 'x' { to = 'a', when = { peer = %s } }", fine[i]);
        struct loaded l = load_with(*state, text);
        assert_fine(&l);
        free_loaded(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_caller_with_every_key),
        cmocka_unit_test(identity_is_a_word_or_a_function),
        cmocka_unit_test(listeners_deny_and_nodes_have_a_rate),
        cmocka_unit_test(what_is_wrong_is_refused_with_what_would_be_right),
        cmocka_unit_test(a_caller_that_nobody_is_is_warned_of),
        cmocka_unit_test(a_certificate_that_nobody_asks_for_is_warned_of),
        cmocka_unit_test(a_listener_that_anybody_may_use_is_warned_of),
        cmocka_unit_test(a_caller_that_anybody_is_lets_anybody_in),
        cmocka_unit_test(a_star_in_a_called_title_is_warned_of),
        cmocka_unit_test(a_route_by_certificates_that_nobody_asks_for_is_warned_of),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
