/* Pools and what nodes say for them: what becomes of each key, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "loading.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define A    "node 'a' { host = 'a', ae_title = 'A' }\n"
#define B    "node 'b' { host = 'b', ae_title = 'B' }\n"
#define DISK "node 'disk' { folder = '/d/{SOPInstanceUID}' }\n"
#define REST "\nlisten '127.0.0.1:11112'\nroute 'rest' { to = 'a' }\n"

static void a_pool_is_a_destination_with_its_members(void **state)
{
    struct loaded l =
        load_text(*state, "node 'a' { host = 'a', ae_title = 'A', weight = 3 }\n" B
                          "route 'r' { to = { 'all', 'c' }, copy = { 'rest' }, when = { Modality = 'CT' } }\n"
                          "pool 'all' { members = { 'b', 'a' } }\n"
                          "pool 'rest' { members = 'd', balance = 'least', failover = 'next', health = 0 }\n"
                          "node 'c' { host = 'c', ae_title = 'C' } node 'd' { host = 'd', ae_title = 'D' }\n"
                          "listen '127.0.0.1:11112'");
    assert_fine(&l);
    const struct config *c = l.config;
    assert_int_equal(c->pool_count, 2);
    const struct config_pool *all = &c->pools[0], *rest = &c->pools[1];
    assert_ptr_equal(config_pool_named(c, "all"), all);
    assert_string_equal(all->as_node.name, "all");
    assert_ptr_equal(all->as_node.pool, all);
    assert_int_equal(all->as_node.index, 4);
    assert_int_equal(rest->as_node.index, 5);
    assert_int_equal(all->line, 4);
    assert_int_equal(all->as_node.line, 4);
    assert_int_equal(all->member_count, 2);
    assert_ptr_equal(all->members[0], &c->nodes[1]);
    assert_ptr_equal(all->members[1], &c->nodes[0]);
    assert_int_equal(all->weights[0], 1);
    assert_int_equal(all->weights[1], 3);
    assert_int_equal(all->balance, CONFIG_BALANCE_STUDY);
    assert_false(all->waits);
    assert_int_equal(rest->balance, CONFIG_BALANCE_LEAST);
    const struct config_route *r = &c->routes[0];
    assert_int_equal(r->to_count, 2);
    assert_ptr_equal(r->to[0], &all->as_node);
    assert_ptr_equal(r->to[1], &c->nodes[2]);
    assert_null(r->to[1]->pool);
    assert_int_equal(r->copy_count, 1);
    assert_ptr_equal(r->copy[0], &rest->as_node);
    free_loaded(&l);
}

/* Who hashes by study has to know it: it is asked for like an attribute of a condition, once. */
static void a_pool_by_study_asks_for_the_study(void **state)
{
    static const struct {
        const char *text;
        size_t attribute, count;
    } cases[] = {
        {"pool 'p' { members = 'a' }", 0, 1},
        {"pool 'p' { members = 'a', balance = 'study' } pool 'q' { members = 'b' }", 0, 1},
        {"route 'r' { to = 'a', when = { Modality = 'CT', StudyInstanceUID = '1.*' } }\n"
         "pool 'p' { members = 'a' }",
         0, 2},
        {"pool 'p' { members = 'a', balance = 'least' } route 'r' { to = 'p', when = { Modality = 'CT' } }",
         SIZE_MAX, 1},
        {"pool 'p' { members = 'a', balance = 'round-robin' }", SIZE_MAX, 0},
        {"pool 'p' { members = 'a', balance = 'failover' }", SIZE_MAX, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[1000];
        snprintf(text, sizeof(text), A B "%s" REST, cases[i].text);
        struct loaded l = load_text(*state, text);
        assert_fine(&l);
        if (l.config->study_attribute != cases[i].attribute || l.config->attribute_count != cases[i].count) {
            fail_msg("attribute %zu of %zu: %s", l.config->study_attribute, l.config->attribute_count,
                     cases[i].text);
        }
        if (cases[i].attribute != SIZE_MAX) {
            assert_int_equal(l.config->attributes[cases[i].attribute].path.tag, 0x0020000D);
        }
        free_loaded(&l);
    }
}

static void members_are_probed_as_their_pool_or_they_say(void **state)
{
    static const struct {
        const char *text;
        uint64_t a_ms, b_ms;
    } cases[] = {
        {A B, 0, 0},
        {A B "pool 'p' { members = { 'a' } }", 10000, 0},
        {A B "pool 'p' { members = { 'a', 'b' }, health = '3s' }", 3000, 3000},
        {A B "pool 'p' { members = { 'a', 'b' }, health = 0 }", 0, 0},
        {A B "pool 'p' { members = { 'a', 'b' }, health = '30s' } pool 'q' { members = 'b', health = '5s' }",
         30000, 5000},
        {A B "pool 'p' { members = { 'a', 'b' }, health = '5s' } pool 'q' { members = 'b', health = '30s' }",
         5000, 5000},
        {A "node 'b' { host = 'b', ae_title = 'B', health = '1m' } pool 'p' { members = { 'a', 'b' } }",
         10000, 60000},
        {A "node 'b' { host = 'b', ae_title = 'B', health = 0 } pool 'p' { members = { 'a', 'b' } }", 10000,
         0},
        {A "node 'b' { host = 'b', ae_title = 'B', health = '7s' }", 0, 7000},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[1000];
        snprintf(text, sizeof(text), "%s" REST, cases[i].text);
        struct loaded l = load_text(*state, text);
        assert_fine(&l);
        if (l.config->nodes[0].health_ms != cases[i].a_ms || l.config->nodes[1].health_ms != cases[i].b_ms) {
            fail_msg("%s", cases[i].text);
        }
        free_loaded(&l);
    }
}

static void the_words_of_a_pool_are_taken(void **state)
{
    static const struct {
        const char *keys;
        enum config_balance balance;
        bool waits;
    } cases[] = {
        {"balance = 'study'", CONFIG_BALANCE_STUDY, false},
        {"failover = 'wait'", CONFIG_BALANCE_STUDY, true},
        {"failover = 'next', balance = 'round-robin'", CONFIG_BALANCE_ROUND_ROBIN, false},
        {"balance = 'least'", CONFIG_BALANCE_LEAST, false},
        {"balance = 'failover'", CONFIG_BALANCE_FAILOVER, false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[1000];
        snprintf(text, sizeof(text), A B "pool 'p' { members = { 'a', 'b' }, %s }" REST, cases[i].keys);
        struct loaded l = load_text(*state, text);
        assert_fine(&l);
        assert_int_equal(l.config->pools[0].balance, cases[i].balance);
        assert_int_equal(l.config->pools[0].waits, cases[i].waits);
        free_loaded(&l);
    }
}

struct broken {
    const char *text;
    int line;
    const char *problem;
};

static void assert_one_problem(const char *folder, const struct broken *b, bool is_warning)
{
    char text[2000];
    snprintf(text, sizeof(text), "%s" REST, b->text);
    struct loaded l = load_text(folder, text);
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

static void what_is_no_pool_is_refused_with_what_would_be_right(void **state)
{
#define P(keys) A B DISK "pool 'p' {" keys "}"
    static const struct broken cases[] = {
        {P(""), 4, "pool \"p\": there are no members; add members = { \"NODE\", \"NODE\" }"},
        {A "pool 'p'", 2,
         "pool \"p\": there is no table behind the name; write pool \"NAME\" { key = value, ... }"},
        {A "pool { members = 'a' }", 2, "pool: there is no name; write pool \"NAME\" { ... }"},
        {P("members = {}"), 4, "pool \"p\": members is an empty list; name at least one node"},
        {P("members = { 'a',\n7 }"), 5, "pool \"p\": members[2] is a number; it must be the name of a node"},
        {P("members = { 'a',\n'dsik' }"), 5,
         "pool \"p\": unknown node \"dsik\"; did you mean \"disk\"? The nodes are \"a\", \"b\", \"disk\""},
        {P("members = { 'a', 'disk' }"), 4,
         "pool \"p\": \"disk\" is a folder; the members of a pool are remote AEs, with a host"},
        {P("members = { 'a', 'b', 'a' }"), 4,
         "pool \"p\": node \"a\" is named twice; name it once, and give it a weight"},
        {P("members = 'a' } pool 'q' { members = { 'b',\n'p' }"), 5,
         "pool \"q\": \"p\" is a pool itself; name its nodes"},
        {P("members = 'a',\nbalance = 'hash'"), 5,
         "pool \"p\": balance = \"hash\" is unknown; it must be one of \"study\", \"least\", "
         "\"round-robin\", "
         "\"failover\""},
        {A "local many = {} for i = 1, 65 do many[i] = 'a' end\npool 'p' {\nmembers = many }", 4,
         "pool \"p\": there are 65 members; it must be 64 at most"},
        {P("members = 'a',\nfailover = true"), 5,
         "pool \"p\": failover is a boolean; it must be one of \"next\", \"wait\""},
        {P("members = 'a', balance = 'least',\nfailover = 'wait'"), 5,
         "pool \"p\": failover = \"wait\" queues what belongs to a study for the member that has it, and "
         "only "
         "balance = \"study\" keeps studies together; leave one of them out"},
        {"gateway { spool = false }" P("members = 'a',\nfailover = 'wait'"), 5,
         "pool \"p\": failover = \"wait\" needs the queue, and the gateway says spool = false; write "
         "\"next\" or "
         "leave it out"},
        {P("members = 'a',\nhealth = 10"), 5,
         "pool \"p\": health = 10 has no unit; write a duration as \"10s\" or \"10ms\""},
        {P("members = 'a',\nweight = 10"), 5,
         "pool \"p\": unknown key \"weight\" in a pool; it is a key of node"},
        {P("member = 'a',\nmembers = 'a'"), 4,
         "pool \"p\": unknown key \"member\" in a pool; did you mean \"members\"?"},
        {A B "pool 'a' { members = 'b' }", 3,
         "pool \"a\": there is a node \"a\" on line 1 already; give each a name of its own"},
        {A "pool 'b' { members = 'a' }\n" B, 3,
         "node \"b\": there is a pool \"b\" on line 2 already; give each a name of its own"},
        {A "pool 'b' { members = 'a' }\npool 'b' { members = 'a' }", 3,
         "pool \"b\": there is a pool \"b\" on line 2 already; give each a name of its own"},
        {A "pool 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' { members = 'a' }", 2,
         "pool \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\": its name is longer than "
         "63 bytes; give it a shorter one"},
        {A "node 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' { host = 'h', ae_title = "
           "'H' }\npool 'p' { members = "
           "{\n'a',\n'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx' } }",
         5,
         "pool \"p\": the name \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" is "
         "longer "
         "than 63 bytes; give the node a shorter one"},
        {A "node 'c' { host = 'c', ae_title = 'C',\nweight = 0 }", 3,
         "node \"c\": weight is 0, which is out of range; it must be a whole number from 1 to 100"},
        {A "node 'c' { host = 'c', ae_title = 'C',\nweight = 101 }", 3,
         "node \"c\": weight is 101, which is out of range; it must be a whole number from 1 to 100"},
        {A "node 'c' { folder = '/{SOPInstanceUID}',\nhealth = '1s' }", 3,
         "node \"c\": health has no meaning for a folder; a node is either a folder or a remote AE with a "
         "host"},
        {A "node 'c' { folder = '/{SOPInstanceUID}',\nweight = 2 }", 3,
         "node \"c\": weight has no meaning for a folder; a node is either a folder or a remote AE with a "
         "host"},
        {A "node 'c' { folder = '/{SOPInstanceUID}',\nas = { move = 'X' } }", 3,
         "node \"c\": as has no meaning for a folder; a node is either a folder or a remote AE with a host"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_one_problem(*state, &cases[i], false);
    }
}

static void a_node_is_a_destination_once_in_a_pool_or_out_of_it(void **state)
{
#define R(keys) A B "pool 'p' { members = { 'a', 'b' } } pool 'q' { members = 'b' }\nroute 'r' {" keys "}"
    static const struct broken cases[] = {
        {R("to = { 'p', 'p' }"), 4,
         "route \"r\": pool \"p\" is named twice; it gets an instance once: name it once"},
        {R("to = { 'p',\n'a' }"), 5,
         "route \"r\": node \"a\" is a member of pool \"p\" and named besides, so that it might get an "
         "instance "
         "twice; name the pool alone, or its members"},
        {R("to = { 'a',\n'p' }"), 5,
         "route \"r\": node \"a\" is a member of pool \"p\" and named besides, so that it might get an "
         "instance "
         "twice; name the pool alone, or its members"},
        {R("copy = { 'p',\n'q' }"), 5,
         "route \"r\": node \"b\" is a member of pool \"q\" as well as of another one, so that it might get "
         "an "
         "instance twice; name one of the pools"},
        {A "pool 'archive' { members = 'a' }\nroute 'r' { to = 'archiv' }", 3,
         "route \"r\": unknown node \"archiv\"; did you mean \"archive\"? The nodes and pools are \"a\", "
         "\"archive\""},
        {R("copy = 'nobody'"), 4,
         "route \"r\": unknown node \"nobody\"; the nodes and pools are \"a\", \"b\", \"p\", \"q\""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_one_problem(*state, &cases[i], false);
    }
    static const struct broken warnings[] = {
        {R("to = 'p',\ncopy = 'p'"), 5,
         "warning: route \"r\": pool \"p\" is named by to as well; it gets an instance once, by to"},
        {R("to = 'p',\ncopy = 'a'"), 5,
         "warning: route \"r\": node \"a\" belongs to what to names as well (\"p\"); where an instance goes "
         "to it "
         "by to, it gets no copy"},
        {R("to = 'b',\ncopy = 'p'"), 5,
         "warning: route \"r\": node \"b\" belongs to what to names as well (\"b\"); where an instance goes "
         "to it "
         "by to, it gets no copy"},
        {A "node 'c' { host = 'c', ae_title = 'C',\nweight = 2 }", 3,
         "warning: node \"c\": weight is its share among the members of a pool, and it is in none"},
        {A "node 'c' { host = 'c', ae_title = 'C',\nas = { move = 'thru us' } }", 3,
         "warning: node \"c\": as.move = \"thru us\" is taken for a title; did you mean \"through us\"?"},
        {A "node 'c' { host = 'c', ae_title = 'C',\nas = { move = { WS1 = 'WS_ONE', WS2 = 'Through Us' } } }",
         3,
         "warning: node \"c\": as.move = \"Through Us\" is taken for a title; did you mean \"through us\"?"},
        {A "route 'steps' { to = 'a', when = { service = 'mpps' },\nmorph_response = function () end }", 3,
         "warning: route \"steps\": morph_response is never called: what the queue may take over is answered "
         "without a data set; write on_failure = \"fail\", without copy, or leave it out"},
    };
    for (size_t i = 0; i < COUNT(warnings); i++) {
        assert_one_problem(*state, &warnings[i], true);
    }
}

/* The titles that are asked for, in the order in which they are looked at: whole ones before globs. */
static void a_node_says_where_a_move_goes_to(void **state)
{
    static const struct {
        const char *as;
        const char *moves; /* TITLE>THERE, "-" for us */
    } cases[] = {
        {"", ""},
        {", as = {}", ""},
        {", as = { move = 'HILUM_THERE' }", "*>HILUM_THERE "},
        {", as = { move = 'through us' }", "*>- "},
        {", as = { move = { WS1 = 'WS_ONE', ['WS 2'] = 'through us' } }", "WS 2>- WS1>WS_ONE "},
        {", as = { move = { ['*A'] = 'G', A = 'W' } }", "A>W *A>G "},
        {", as = { move = { ['*'] = 'through us', ['W*'] = 'W', ['WS1?'] = 'X', ['WS*'] = 'Y', WS1 = 'Z' } }",
         "WS1>Z WS1?>X WS*>Y W*>W *>- "},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char text[1000], got[200] = "";
        snprintf(text, sizeof(text), "node 'a' { host = 'a', ae_title = 'A'%s }" REST, cases[i].as);
        struct loaded l = load_text(*state, text);
        assert_fine(&l);
        const struct config_node *n = &l.config->nodes[0];
        for (size_t m = 0; m < n->move_count; m++) {
            size_t len = strlen(got);
            snprintf(got + len, sizeof(got) - len, "%s>%s ", n->moves[m].title,
                     n->moves[m].as == NULL ? "-" : n->moves[m].as);
        }
        assert_string_equal(got, cases[i].moves);
        free_loaded(&l);
    }
}

static void what_is_no_title_of_a_move_is_refused(void **state)
{
#define N(as) A "node 'n' { host = 'n', ae_title = 'N',\nas =\n" as "}"
#define TABLE                                                                                                \
    "node \"n\": as.move is no table of titles; write it as move = { [\"TITLE\"] = \"TITLE THERE\", "        \
    "[\"*\"] = \"through us\" }"
    static const struct broken cases[] = {
        {N("'X'"), 3, "node \"n\": as is a string; it must be a table, { key = value, ... }"},
        {N("{ mvoe = 'X' }"), 4, "node \"n\": unknown key \"mvoe\" in as; did you mean \"move\"?"},
        {N("{ move = true }"), 4,
         "node \"n\": as.move is a boolean; it must be a title, \"through us\", or a table of these by the "
         "title "
         "that is asked for"},
        {N("{ move = '' }"), 4,
         "node \"n\": as.move is empty; it must be the title that the archive knows, or \"through us\""},
        {N("{ move = 'SEVENTEEN_LETTERS' }"), 4,
         "node \"n\": as.move: the AE title \"SEVENTEEN_LETTERS\" is longer than 16 characters; it must be 1 "
         "to 16 "
         "printable ASCII characters without backslash and outer spaces"},
        {N("{ move = {} }"), 4, TABLE},
        {N("{ move = { 'X' } }"), 4, TABLE},
        {N("{ move = { [7] = 'X' } }"), 4, TABLE},
        {N("{ move = {\nSEVENTEEN_LETTERS = 'X' } }"), 5,
         "node \"n\": as.move.SEVENTEEN_LETTERS: the AE title \"SEVENTEEN_LETTERS\" is longer than 16 "
         "characters; "
         "it must be 1 to 16 printable ASCII characters without backslash and outer spaces"},
        {N("{ move = {\nWS1 = {} } }"), 5,
         "node \"n\": as.move.WS1 is a table; it must be the title that the archive knows, or \"through "
         "us\""},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_one_problem(*state, &cases[i], false);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_is_a_destination_with_its_members),
        cmocka_unit_test(a_pool_by_study_asks_for_the_study),
        cmocka_unit_test(members_are_probed_as_their_pool_or_they_say),
        cmocka_unit_test(the_words_of_a_pool_are_taken),
        cmocka_unit_test(what_is_no_pool_is_refused_with_what_would_be_right),
        cmocka_unit_test(a_node_is_a_destination_once_in_a_pool_or_out_of_it),
        cmocka_unit_test(a_node_says_where_a_move_goes_to),
        cmocka_unit_test(what_is_no_title_of_a_move_is_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
