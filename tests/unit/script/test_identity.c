/* The functions of callers: found again by each worker, shown who stands behind a request, and believed only when they say true. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "loading.h"
#include "script/rules.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define REST                                                                                                 \
    "\nlisten { address = '127.0.0.1', port = 11112, address = '127.0.0.1' } node 'a' { host = 'a', "        \
    "ae_title = 'A' }\n"                                                                                     \
    "route 'r' { to = 'a' }\n"

struct ruled {
    struct loaded loaded;
    struct rules *rules;
};

static struct ruled open_text(const char *folder, const char *text)
{
    char whole[4000];
    struct problems problems;
    snprintf(whole, sizeof(whole), "%s" REST, text);
    struct ruled r = {.loaded = load_text(folder, whole)};
    assert_fine(&r.loaded);
    assert_int_equal(script_rules_open(r.loaded.config, &r.rules, &problems), OK);
    assert_int_equal(problems.count, 0);
    problems_free(&problems);
    return r;
}

static void close_ruled(struct ruled *r)
{
    script_rules_close(&r->rules);
    free_loaded(&r->loaded);
}

static enum result ask(struct ruled *r, size_t caller, const struct rules_user *user, bool *admits)
{
    struct rules_assoc assoc = {
        .calling = view_of("CT1"), .remote = view_of("10.0.0.1"), .peer = view_of("CN=ct1")};
    *admits = true;
    return rules_identity(r->rules, &r->loaded.config->callers[caller], &assoc, user, admits);
}

static void each_caller_has_its_own_function(void **state)
{
    struct ruled r =
        open_text(*state, "caller 'a' { calling = 'A', identity = function () return true end }\n"
                          "local late = caller 'b'\n"
                          "caller 'c' { calling = 'C' }\n"
                          "caller('d', { calling = 'D', identity = function () return false end })\n"
                          "late { calling = 'B', identity = function () error('b') end }\n");
    bool admits;
    assert_int_equal(ask(&r, 0, NULL, &admits), OK);
    assert_true(admits);
    assert_int_equal(ask(&r, 1, NULL, &admits), ERR_USAGE);
    assert_false(admits);
    assert_non_null(strstr(rules_error(r.rules), "site.lua:5: caller \"b\": identity: b"));
    assert_int_equal(ask(&r, 3, NULL, &admits), OK);
    assert_false(admits);
    close_ruled(&r);
}

static void user_has_what_its_type_has_and_else_nothing(void **state)
{
    static const struct {
        uint8_t type;
        const char *primary, *secondary, *seen;
    } cases[] = {
        {1, "ada", "x", "1|ada||||"}, {2, "ada", "word", "2|ada|word|||"},
        {3, "a", "b", "3|||a||"},     {4, "a", "b", "4||||a|"},
        {5, "a", "b", "5||||a|"},     {6, "a", "b", "6|||||"},
        {0, "a", "b", "0|||||"},      {2, "", "", "2|||||"},
    };
    struct ruled r = open_text(
        *state, "caller 'a' { calling = 'A', identity = function (user, assoc)\n"
                "assert(assoc.peer == 'CN=ct1' and assoc.calling == 'CT1' and assoc.called == '')\n"
                "error(user.type .. '|' .. user.name .. '|' .. user.passcode .. '|' .. user.ticket .. '|' .. "
                "user.token .. '|', 0)\nend }");
    for (size_t i = 0; i < COUNT(cases); i++) {
        bool admits;
        struct rules_user user = {cases[i].type, view_of(cases[i].primary), view_of(cases[i].secondary)};
        assert_int_equal(ask(&r, 0, &user, &admits), ERR_USAGE);
        if (strstr(rules_error(r.rules), cases[i].seen) == NULL) {
            fail_msg("%s is not %s", rules_error(r.rules), cases[i].seen);
        }
    }
    close_ruled(&r);
}

static void only_true_lets_in(void **state)
{
    static const struct {
        const char *body;
        enum result result;
        bool admits;
        const char *error;
    } cases[] = {
        {"return true", OK, true, NULL},
        {"return user == nil", OK, true, NULL},
        {"return false", OK, false, NULL},
        {"return nil", OK, false, NULL},
        {"", OK, false, NULL},
        {"return 1", ERR_USAGE, false, "it returned a number; it must return true or false"},
        {"return 'yes'", ERR_USAGE, false, "it returned a string; it must return true or false"},
        {"return {}", ERR_USAGE, false, "it returned a table; it must return true or false"},
        {"return user.name == ''", ERR_USAGE, false, "attempt to index a nil value"},
        {"while true do end", ERR_LIMIT, false, "instructions of rule_instructions"},
        {"local s = 'x' while true do s = s .. s end", ERR_LIMIT, false, "rule_memory"},
        {"return true, error('behind')", ERR_USAGE, false, "behind"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[400];
        bool admits;
        snprintf(text, sizeof(text), "caller 'a' { calling = 'A', identity = function (user, assoc) %s end }",
                 cases[i].body);
        struct ruled r = open_text(*state, text);
        assert_int_equal(ask(&r, 0, NULL, &admits), cases[i].result);
        assert_int_equal(admits, cases[i].admits);
        if (cases[i].error != NULL && strstr(rules_error(r.rules), cases[i].error) == NULL) {
            fail_msg("%s: %s", cases[i].body, rules_error(r.rules));
        }
        close_ruled(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_caller_has_its_own_function),
        cmocka_unit_test(user_has_what_its_type_has_and_else_nothing),
        cmocka_unit_test(only_true_lets_in),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
