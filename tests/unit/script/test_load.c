/* What a configuration that is fine becomes, and what its Lua can and cannot do. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "loading.h"

#define REST                                                                                                 \
    "\nlisten { address = '127.0.0.1', port = 11112, name = 'main' }\n"                                      \
    "node 'pacs1' { host = '10.1.0.5', ae_title = 'PACS1' }\n"                                               \
    "route 'rest' { to = 'pacs1' }\n"

/* Text with a whole configuration behind it, without problems. */
static struct loaded load_with_rest(const char *folder, const char *text)
{
    char whole[4000];
    snprintf(whole, sizeof(whole), "%s" REST, text);
    struct loaded l = load_text(folder, whole);
    if (l.result != OK || l.problems.count > 0) {
        print_error("of: %s\n", text);
    }
    assert_fine(&l);
    return l;
}

static void a_gateway_sets_what_it_names_and_leaves_the_rest(void **state)
{
    struct loaded l = load_with_rest(
        *state, "gateway { ae_title = 'SITE 7', workers = 3, spool = '/var/spool/x', admin = false,\n"
                "  max_pdu = '128KiB', memory = '256MiB', window = '64KiB', header_max = '2MiB',\n"
                "  replay_max = 0, max_associations = 12, log = { level = 'debug', format = 'json' },\n"
                "  timeouts = { connect = '250ms', association = '2m', progress = '1s', response = '3s',\n"
                "               idle = 0, linger = '0', lag = '4s', drain = '0s' } }");
    const struct config *c = l.config;
    assert_string_equal(c->file, l.path);
    assert_string_equal(c->ae_title, "SITE 7");
    assert_int_equal(c->workers, 3);
    assert_string_equal(c->spool.path, "/var/spool/x");
    assert_int_equal(c->spool.max_bytes, 0);
    assert_int_equal(c->spool.reserve, 1 << 30);
    assert_int_equal(c->max_pdu, 131072);
    assert_int_equal(c->memory, 256 << 20);
    assert_int_equal(c->window, 65536);
    assert_int_equal(c->header_max, 2 << 20);
    assert_int_equal(c->replay_max, 0);
    assert_int_equal(c->max_associations, 12);
    assert_int_equal(c->log_level, LOG_DEBUG);
    assert_int_equal(c->log_format, LOG_JSON);
    assert_int_equal(c->timeouts.connect, 250);
    assert_int_equal(c->timeouts.association, 120000);
    assert_int_equal(c->timeouts.progress, 1000);
    assert_int_equal(c->timeouts.response, 3000);
    assert_int_equal(c->timeouts.idle, 0);
    assert_int_equal(c->timeouts.linger, 0);
    assert_int_equal(c->timeouts.lag, 4000);
    assert_int_equal(c->timeouts.drain, 0);
    free_loaded(&l);

    l = load_with_rest(*state, "gateway { timeouts = { idle = '2h' } }");
    assert_string_equal(l.config->ae_title, "HILUM");
    assert_int_equal(l.config->max_pdu, 1 << 20);
    assert_int_equal(l.config->timeouts.idle, 7200000);
    assert_int_equal(l.config->timeouts.connect, 5000);
    free_loaded(&l);
}

static void the_maximum_pdu_may_be_a_number_of_bytes_and_0_is_unlimited(void **state)
{
    static const struct {
        const char *text;
        uint32_t max_pdu;
    } cases[] = {
        {"gateway { max_pdu = 0 }", 0},
        {"gateway { max_pdu = '0' }", 0},
        {"gateway { max_pdu = 1024 }", 1024},
        {"gateway { max_pdu = 16384 }", 16384},
        {"gateway { max_pdu = 4294967295 }", 4294967295u},
        {"gateway { max_pdu = '16KiB' }", 16384},
        {"", 1 << 20},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct loaded l = load_with_rest(*state, cases[i].text);
        assert_int_equal(l.config->max_pdu, cases[i].max_pdu);
        assert_int_equal(l.config->listens[0].max_pdu, cases[i].max_pdu);
        assert_int_equal(l.config->nodes[0].max_pdu, cases[i].max_pdu);
        free_loaded(&l);
    }
}

/* Where anybody may come: with a caller, so that nothing is warned of. */
static struct loaded load_open(const char *folder, const char *text)
{
    char whole[1000];
    snprintf(whole, sizeof(whole), "%s caller 'all' { calling = '*1' }", text);
    return load_with_rest(folder, whole);
}

static void a_listener_is_written_in_several_ways(void **state)
{
    static const struct {
        const char *text, *address, *name;
        uint16_t port;
    } cases[] = {
        {"listen '104'", "", "104", 104},
        {"listen '0'", "", "0", 0},
        {"listen '127.0.0.1:104'", "127.0.0.1", "104", 104},
        {"listen '[::1]:104'", "::1", "104", 104},
        {"listen '[::]:65535'", "::", "65535", 65535},
        {"listen { port = 104 }", "", "104", 104},
        {"listen { port = 0, name = 'any' }", "", "any", 0},
        {"listen { port = 104, address = '' }", "", "104", 104},
        {"listen { port = 104, address = '10.1.2.3', name = 'x' }", "10.1.2.3", "x", 104},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct loaded l = load_open(*state, cases[i].text);
        const struct config_listen *listen = &l.config->listens[0];
        assert_int_equal(l.config->listen_count, 2);
        assert_string_equal(listen->address, cases[i].address);
        assert_string_equal(listen->name, cases[i].name);
        assert_int_equal(listen->port, cases[i].port);
        assert_int_equal(listen->line, 1);
        assert_int_equal(listen->allow_count + listen->ae_title_count, 0);
        free_loaded(&l);
    }
    struct loaded l =
        load_with_rest(*state, "listen { port = 104, allow = { '10.0.0.0/8', '::1' }, ae_titles = 'ONE' }\n"
                               "listen { port = 105, allow = '10.1.1.1', ae_titles = { 'A', 'B' } }");
    assert_int_equal(l.config->listens[0].allow_count, 2);
    assert_int_equal(l.config->listens[0].allow[0].bits, 104);
    assert_int_equal(l.config->listens[0].allow[1].bits, 128);
    assert_int_equal(l.config->listens[0].ae_title_count, 1);
    assert_string_equal(l.config->listens[0].ae_titles[0], "ONE");
    assert_int_equal(l.config->listens[1].allow_count, 1);
    assert_string_equal(l.config->listens[1].ae_titles[1], "B");
    free_loaded(&l);
}

static void listeners_that_do_not_meet_stand_side_by_side(void **state)
{
    static const char *const cases[] = {
        "listen '127.0.0.1:104' listen { port = 104, address = '127.0.0.2', name = 'second' }",
        "listen '0.0.0.0:104' listen { port = 104, address = '::1', name = 'six' }",
        "listen '0' listen '0' listen { port = 0, name = 'third' }",
        "listen '127.0.0.1:104' listen '127.0.0.1:105'",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct loaded l = load_open(*state, cases[i]);
        free_loaded(&l);
    }
}

/* What has our port but is not us, or is us but not at our port. */
static void nodes_beside_our_own_listeners_are_fine(void **state)
{
    static const char *const cases[] = {
        "node 'x' { host = '127.0.0.1', port = 11113, ae_title = 'X' }",
        "node 'x' { host = '192.0.2.1', port = 11112, ae_title = 'X' }",
        "node 'x' { host = 'pacs.example.org', port = 11112, ae_title = 'X' }",
        "listen '127.0.0.1:104' node 'x' { host = '127.0.0.2', ae_title = 'X' }",
        "listen '127.0.0.1:104' node 'x' { host = '::1', ae_title = 'X' }",
        "listen '0.0.0.0:104' node 'x' { host = '::1', ae_title = 'X' }",
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct loaded l = load_open(*state, cases[i]);
        free_loaded(&l);
    }
}

static void a_node_takes_its_defaults_from_the_gateway_wherever_that_stands(void **state)
{
    struct loaded l = load_with_rest(
        *state, "node 'a' { host = 'a.local', ae_title = 'A' }\n"
                "node 'b' { host = '2001:db8::5', port = 11112, ae_title = 'B', calling = 'pass', "
                "max_associations = 4,\n"
                "           max_pdu = '32KiB', lag = '1s', tcp_congestion = 'cubic' }\n"
                "node 'c' { host = 'c', ae_title = 'C', calling = 'MY TITLE' }\n"
                "node 'd' { host = 'd', ae_title = 'D', calling = 'own' }\n"
                "node 'e' { folder = '/data/{calling}/{SOPInstanceUID}.dcm', lag = '2s' }\n"
                "gateway { max_pdu = '64KiB', tcp_congestion = 'reno', timeouts = { lag = '7s' } }");
    const struct config_node *n = l.config->nodes;
    assert_int_equal(l.config->node_count, 6);
    assert_string_equal(n[0].name, "a");
    assert_string_equal(n[0].host, "a.local");
    assert_int_equal(n[0].port, 104);
    assert_int_equal(n[0].max_pdu, 65536);
    assert_int_equal(n[0].lag_ms, 7000);
    assert_int_equal(n[0].max_associations, 0);
    assert_int_equal(n[0].calling, CONFIG_CALLING_OWN);
    assert_string_equal(n[0].tcp_congestion, "reno");
    assert_false(n[0].is_folder);
    assert_int_equal(n[1].port, 11112);
    assert_int_equal(n[1].max_pdu, 32768);
    assert_int_equal(n[1].lag_ms, 1000);
    assert_int_equal(n[1].max_associations, 4);
    assert_int_equal(n[1].calling, CONFIG_CALLING_PASS);
    assert_string_equal(n[1].tcp_congestion, "cubic");
    assert_int_equal(n[2].calling, CONFIG_CALLING_TITLE);
    assert_string_equal(n[2].calling_title, "MY TITLE");
    assert_int_equal(n[3].calling, CONFIG_CALLING_OWN);
    assert_true(n[4].is_folder);
    assert_string_equal(n[4].folder, "/data/{calling}/{SOPInstanceUID}.dcm");
    assert_int_equal(n[4].lag_ms, 2000);
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(n[i].index, i);
    }
    assert_int_equal(n[4].line, 6);
    assert_string_equal(l.config->listens[0].tcp_congestion, "reno");
    free_loaded(&l);
}

/* The node of a route stands where? Nodes may come after the routes that name them. */
static void a_route_holds_its_nodes_and_conditions(void **state)
{
    struct loaded l = load_with_rest(
        *state,
        "route 'r' {\n"
        "  to = { 'x', 'pacs1' }, final = true, stream = false, on_failure = 'fail', back_to_sender = true,\n"
        "  when = { calling = { no = { 'CT1', 'CT2*' } }, called = 'HILUM', listener = 'ma*', peer = { "
        "'CN=ct*', '' },\n"
        "           remote = { '10.0.0.0/8', '::1' }, SOPClassUID = { 'CTImageStorage', '1.2.*' },\n"
        "           SOPInstanceUID = '1.2.3' } }\n"
        "route 'echo' { to = 'pacs1', when = { service = 'echo', calling = 42 } }\n"
        "node 'x' { host = 'x', ae_title = 'X' }\n");
    const struct config_route *r = &l.config->routes[0];
    assert_int_equal(l.config->route_count, 3);
    assert_string_equal(r->name, "r");
    assert_int_equal(r->to_count, 2);
    assert_string_equal(r->to[0]->name, "x");
    assert_string_equal(r->to[1]->name, "pacs1");
    assert_true(r->is_final && r->back_to_sender);
    assert_false(r->stream);
    assert_int_equal(r->service, CONFIG_STORE);
    assert_int_equal(r->condition_count, 7);

    bool seen[7] = {false};
    for (size_t i = 0; i < r->condition_count; i++) {
        const struct config_condition *c = &r->conditions[i];
        seen[c->fact] = true;
        assert_int_equal(c->negate, c->fact == CONFIG_FACT_CALLING);
        switch (c->fact) {
        case CONFIG_FACT_CALLING:
            assert_int_equal(c->value_count, 2);
            assert_string_equal(c->values[1].glob, "CT2*");
            break;
        case CONFIG_FACT_CALLED:
            assert_string_equal(c->values[0].glob, "HILUM");
            break;
        case CONFIG_FACT_LISTENER:
            assert_string_equal(c->values[0].glob, "ma*");
            break;
        case CONFIG_FACT_PEER:
            assert_int_equal(c->value_count, 2);
            assert_string_equal(c->values[0].glob, "CN=ct*");
            assert_string_equal(c->values[1].glob, "");
            break;
        case CONFIG_FACT_REMOTE:
            assert_int_equal(c->value_count, 2);
            assert_int_equal(c->values[0].network.bits, 104);
            break;
        case CONFIG_FACT_SOP_CLASS:
            assert_string_equal(c->values[0].glob, "1.2.840.10008.5.1.4.1.1.2"); /* the keyword's */
            assert_string_equal(c->values[1].glob, "1.2.*");
            break;
        case CONFIG_FACT_SOP_INSTANCE:
            assert_string_equal(c->values[0].glob, "1.2.3");
            break;
        case CONFIG_FACT_ATTRIBUTE: /* test_when.c */
            break;
        }
    }
    for (size_t i = 0; i < 7; i++) {
        assert_true(seen[i]);
    }

    r = &l.config->routes[1];
    assert_int_equal(r->service, CONFIG_ECHO);
    assert_int_equal(r->condition_count, 1); /* the service is no condition */
    assert_string_equal(r->conditions[0].values[0].glob, "42");

    r = &l.config->routes[2];
    assert_true(r->stream);
    assert_false(r->is_final || r->back_to_sender);
    assert_int_equal(r->condition_count, 0);
    free_loaded(&l);
}

/* What a route does not say is the gateway's word, wherever that stands. */
static void zero_copy_is_the_gateways_unless_a_route_says_otherwise(void **state)
{
    static const struct {
        const char *gateway;
        enum config_zero_copy expected;
    } cases[] = {
        {"", CONFIG_ZERO_COPY_AUTO},
        {"gateway { zero_copy = 'auto' }", CONFIG_ZERO_COPY_AUTO},
        {"gateway { zero_copy = true }", CONFIG_ZERO_COPY_ALWAYS},
        {"gateway { zero_copy = false }", CONFIG_ZERO_COPY_NEVER},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[500];
        snprintf(text, sizeof(text),
                 "route '1' { to = 'pacs1' }\n"
                 "route '2' { to = 'pacs1', zero_copy = 'auto' }\n"
                 "route '3' { to = 'pacs1', zero_copy = true }\n"
                 "route '4' { to = 'pacs1', zero_copy = false }\n%s\n",
                 cases[i].gateway);
        struct loaded l = load_with_rest(*state, text);
        const struct config_route *r = l.config->routes;
        assert_int_equal(l.config->zero_copy, cases[i].expected);
        assert_int_equal(r[0].zero_copy, cases[i].expected);
        assert_int_equal(r[1].zero_copy, CONFIG_ZERO_COPY_AUTO);
        assert_int_equal(r[2].zero_copy, CONFIG_ZERO_COPY_ALWAYS);
        assert_int_equal(r[3].zero_copy, CONFIG_ZERO_COPY_NEVER);
        free_loaded(&l);
    }
}

/* --- the queue --------------------------------------------------------------------------------------------- */

static void a_spool_is_a_folder_or_a_table_or_off(void **state)
{
    static const struct {
        const char *spool;
        struct config_spool expected;
    } cases[] = {
        {"'/s'", {false, (char *)"/s", 0, 1 << 30}},
        {"{}", {false, (char *)"./hilum-spool", 0, 1 << 30}},
        {"{ path = '/s' }", {false, (char *)"/s", 0, 1 << 30}},
        {"{ path = '/s', max_bytes = '64MiB', reserve = '2MiB' }", {false, (char *)"/s", 64 << 20, 2 << 20}},
        {"{ max_bytes = 0, reserve = 0 }", {false, (char *)"./hilum-spool", 0, 0}},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[200];
        snprintf(text, sizeof(text), "gateway { spool = %s }", cases[i].spool);
        struct loaded l = load_with_rest(*state, text);
        assert_false(l.config->spool.is_off);
        assert_string_equal(l.config->spool.path, cases[i].expected.path);
        assert_int_equal(l.config->spool.max_bytes, cases[i].expected.max_bytes);
        assert_int_equal(l.config->spool.reserve, cases[i].expected.reserve);
        assert_true(l.config->journal);
        assert_true(config_needs_spool(l.config));
        free_loaded(&l);
    }
    struct loaded l =
        load_with_rest(*state, "gateway { spool = false }\n"
                               "route 'r' { to = 'pacs1', on_failure = 'fail', journal = false }\n");
    assert_true(l.config->spool.is_off);
    assert_false(l.config->journal);
    for (size_t i = 0; i < 2; i++) {
        assert_false(l.config->routes[i].queues);
        assert_false(l.config->routes[i].journal);
    }
    assert_false(config_needs_spool(l.config));
    free_loaded(&l);
}

static void a_gateway_says_how_long_things_are_kept_and_tried(void **state)
{
    struct loaded l = load_with_rest(
        *state, "gateway { journal = false, history = '30d', expire = '2d', header_spool_max = '4GiB',\n"
                "  retry = { first = '1s', most = '1h' } }\n");
    const struct config *c = l.config;
    assert_false(c->journal);
    assert_int_equal(c->history_ms, UINT64_C(30) * 86400 * 1000);
    assert_int_equal(c->expire_ms, 2 * 86400 * 1000);
    assert_int_equal(c->header_spool_max, UINT64_C(4) << 30);
    assert_int_equal(c->retry_first_ms, 1000);
    assert_int_equal(c->retry_most_ms, 3600000);
    assert_int_equal(c->nodes[0].expire_ms, 2 * 86400 * 1000);
    assert_int_equal(c->nodes[0].retry_first_ms, 1000);
    assert_int_equal(c->nodes[0].retry_most_ms, 3600000);
    assert_false(c->routes[0].journal);
    free_loaded(&l);

    l = load_with_rest(*state, "gateway { history = 0, expire = 0, retry = { most = '5s' } }\n");
    assert_int_equal(l.config->history_ms, 0);
    assert_int_equal(l.config->expire_ms, 0);
    assert_int_equal(l.config->retry_first_ms, 5000);
    assert_int_equal(l.config->retry_most_ms, 5000);
    free_loaded(&l);
}

static void a_node_says_how_it_is_delivered_to(void **state)
{
    struct loaded l = load_with_rest(
        *state,
        "gateway { expire = '1d' }\n"
        "node 'a' { host = 'a', ae_title = 'A', expire = 0, retry = { first = '1s' }, deliveries = 7 }\n"
        "node 'b' { host = 'b', ae_title = 'B', max_associations = 1 }\n"
        "node 'c' { host = 'c', ae_title = 'C', max_associations = 5, deliveries = 5 }\n"
        "node 'd' { folder = '/{SOPInstanceUID}', expire = '1h', retry = { most = '1m' }, deliveries = 3 }\n"
        "node 'e' { folder = '/{SOPInstanceUID}' }\n");
    static const struct {
        uint64_t expire_ms, first_ms, most_ms;
        unsigned deliveries;
    } expected[] = {
        {0, 1000, 600000, 7},      {86400000, 5000, 600000, 1}, {86400000, 5000, 600000, 5},
        {3600000, 5000, 60000, 3}, {86400000, 5000, 600000, 2}, {86400000, 5000, 600000, 2},
    };
    assert_int_equal(l.config->node_count, 6);
    for (size_t i = 0; i < 6; i++) {
        const struct config_node *n = &l.config->nodes[i];
        assert_int_equal(n->expire_ms, expected[i].expire_ms);
        assert_int_equal(n->retry_first_ms, expected[i].first_ms);
        assert_int_equal(n->retry_most_ms, expected[i].most_ms);
        assert_int_equal(n->deliveries, expected[i].deliveries);
    }
    free_loaded(&l);
}

static void a_route_copies_and_queues(void **state)
{
    struct loaded l = load_with_rest(
        *state, "node 'x' { host = 'x', ae_title = 'X' } node 'disk' { folder = '/{SOPInstanceUID}' }\n"
                "route '0' { to = 'x' }\n"
                "route '1' { to = 'x', copy = { 'pacs1', 'disk' }, on_failure = 'fail', journal = false }\n"
                "route '2' { copy = 'x', hold = { quiet = '60s' }, on_failure = nil }\n"
                "route '3' { to = 'x', copy = 'disk', on_failure = 'queue', journal = true,\n"
                "            hold = { quiet = '2m', by = 'series' }, on_study = function (study) end }\n"
                "route '4' { to = 'x', copy = 'disk', hold = { quiet = '1ms', by = 'study' } }\n"
                "route '5' { to = 'x', when = { service = 'echo' } }\n"
                "route '6' { to = 'x', on_failure = 'fail', when = { service = 'echo' } }\n");
    static const struct {
        const char *to, *copy;
        bool queues, journal, has_on_study;
        enum config_hold hold;
        uint64_t quiet_ms;
    } expected[] = {
        {"x", "", true, true, false, CONFIG_HOLD_NONE, 0},
        {"x", "pd", false, false, false, CONFIG_HOLD_NONE, 0},
        {"", "x", true, true, false, CONFIG_HOLD_STUDY, 60000},
        {"x", "d", true, true, true, CONFIG_HOLD_SERIES, 120000},
        {"x", "d", true, true, false, CONFIG_HOLD_STUDY, 1},
        {"x", "", false, false, false, CONFIG_HOLD_NONE, 0},
        {"x", "", false, false, false, CONFIG_HOLD_NONE, 0},
    };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        const struct config_route *r = &l.config->routes[i];
        assert_int_equal(r->to_count, strlen(expected[i].to));
        assert_int_equal(r->copy_count, strlen(expected[i].copy));
        for (size_t j = 0; j < r->to_count; j++) {
            assert_int_equal(r->to[j]->name[0], expected[i].to[j]);
        }
        for (size_t j = 0; j < r->copy_count; j++) {
            assert_int_equal(r->copy[j]->name[0], expected[i].copy[j]);
        }
        assert_int_equal(r->queues, expected[i].queues);
        assert_int_equal(r->journal, expected[i].journal);
        assert_int_equal(r->has_on_study, expected[i].has_on_study);
        assert_int_equal(r->hold, expected[i].hold);
        assert_int_equal(r->hold_quiet_ms, expected[i].quiet_ms);
    }
    free_loaded(&l);
}

/* Each is an expression that must be true in the sandbox. */
static void the_sandbox_has_what_is_promised_and_no_more(void **state)
{
    static const char *const cases[] = {
        "io == nil and os == nil and package == nil and debug == nil and coroutine == nil",
        "load == nil and loadfile == nil and dofile == nil and loadstring == nil and collectgarbage == nil",
        "string.dump == nil and warn == nil",
        "string.rep('a', 3) == 'aaa' and ('x'):upper() == 'X'",
        "table.concat({ 1, 2 }, ',') == '1,2' and select('#', table.unpack({ 1, 2 })) == 2",
        "math.max(1, 2) == 2 and utf8.len('\xc3\xa9') == 1",
        "pcall(error, 'x') == false and select(2, pcall(error, 'x', 0)) == 'x'",
        "select('#', pcall(function() return 1, nil, 3 end)) == 4",
        "select(2, xpcall(function() error('x', 0) end, function(m) return m .. '!' end)) == 'x!'",
        "select(3, xpcall(function(a, b) return a, b end, print, 1, 2)) == 2",
        "getmetatable('').__index == string",
        "setmetatable({}, { __index = function() return 7 end }).x == 7",
        "getmetatable(setmetatable({}, nil)) == nil",
        "not pcall(setmetatable, setmetatable({}, { __metatable = 1 }), {})",
        "not pcall(setmetatable, {}, { __gc = function() end })",
        "env('HILUM_TEST_UNSET') == nil and env('HILUM_TEST_UNSET', 'd') == 'd'",
        "env 'HILUM_TEST_SET' == 'yes' and env('HILUM_TEST_SET', 'd') == 'yes'",
        "not pcall(env) and not pcall(require)",
        "require == require and tostring(nil) == 'nil' and tonumber('0x10') == 16",
    };
    setenv("HILUM_TEST_SET", "yes", 1);
    unsetenv("HILUM_TEST_UNSET");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[400];
        snprintf(text, sizeof(text), "assert(%s)", cases[i]);
        struct loaded l = load_with_rest(*state, text);
        free_loaded(&l);
    }
}

/* What runs past its budget ends, whatever it wraps around itself. */
static void no_configuration_outruns_its_budgets(void **state)
{
#define LOOP   "past its budget of 20 million instructions"
#define MEMORY "past its memory budget of 128 MiB"
    static const struct {
        const char *text, *says;
        int line;
    } cases[] = {
        {"while true do end", LOOP, 1},
        {"\nlocal n = 0\nwhile true do\n pcall(function() while true do n = n + 1 end end)\nend", LOOP, 4},
        {"\nxpcall(function() while true do end end, function() while true do end end)", LOOP, 2},
        {"local function f() pcall(f) f() end f()", LOOP, 1},
        {"setmetatable({}, { __index = function() while true do end end }).x = nil\nlocal t = "
         "setmetatable({}, { __close =\n"
         "function() while true do end end })\ndo local c <close> = t end",
         LOOP, 3},
        {"local t = {}\nfor i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end", MEMORY, 2},
        {"\nlocal s = ('x'):rep(1e9)", MEMORY, 2},
        {"\n\nfor i = 1, 3 do pcall(string.rep, 'x', 1e9) end", MEMORY, 3},
        {"\nxpcall(string.rep, function() return 1 end, 'x', 1e9)\npcall(error)", MEMORY, 2},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct loaded l = load_text(*state, cases[i].text);
        assert_int_equal(l.result, ERR_USAGE);
        assert_int_equal(l.problems.count, 1);
        const char *problem = problem_at(&l, 0, cases[i].line);
        if (problem == NULL || strstr(problem, cases[i].says) == NULL) {
            fail_msg("not \"%s\" on line %d: %s", cases[i].says, cases[i].line, l.problems.items[0].text);
        }
        free_loaded(&l);
    }
}

static void make_subfolder(const char *folder, const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    mkdir(path, 0700);
}

static void modules_are_found_beside_the_configuration_and_run_once(void **state)
{
    const char *folder = *state;
    make_subfolder(folder, "rules");
    make_subfolder(folder, "rules/deep");
    write_file(folder, "rules/both.lua", "return 'rules'");
    write_file(folder, "both.lua", "return 'beside'");
    write_file(folder, "beside.lua", "count = (count or 0) + 1 return { n = count }");
    write_file(folder, "rules/deep/one.lua", "return ...");
    write_file(folder, "nothing.lua", "");
    struct loaded l =
        load_with_rest(folder, "assert(require 'both' == 'rules')\n"
                               "assert(require 'beside' == require 'beside' and count == 1)\n"
                               "assert(require 'deep.one' == 'deep.one')\n"
                               "assert(require 'nothing' == true and require 'nothing' == true)\n");
    free_loaded(&l);
}

static void a_problem_in_a_module_names_the_modules_file(void **state)
{
    const char *folder = *state;
    write_file(folder, "nodes.lua", "\nnode 'x' { host = 'x', ae_title = 'X',\n prot = 7 }\n");
    write_file(folder, "broken.lua", "\n\nlocal x = = 1\n");
    write_file(folder, "raises.lua", "\nerror('from the module')\n");
    write_file(folder, "itself.lua", "require 'itself'");
    static const struct {
        const char *text, *file, *says;
        int line;
    } cases[] = {
        {"require 'nodes'", "nodes.lua", "unknown key \"prot\"", 3},
        {"require 'broken'", "broken.lua", "unexpected symbol near '='", 3},
        {"require 'raises'", "raises.lua", "from the module", 2},
        {"require 'itself'", "itself.lua", "module 'itself' requires itself", 1},
        {"\nrequire 'absent'", "site.lua", "module 'absent' is not found; looked for ", 2},
        {"\nrequire '../etc/passwd'", "site.lua", "is no module name", 2},
        {"\nrequire '.hidden'", "site.lua", "is no module name", 2},
        {"\nrequire 'a..b'", "site.lua", "is no module name", 2},
        {"\nrequire ''", "site.lua", "is no module name", 2},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[1000];
        char place[400];
        snprintf(text, sizeof(text), "%s" REST, cases[i].text);
        snprintf(place, sizeof(place), "%s/%s:%d: ", folder, cases[i].file, cases[i].line);
        struct loaded l = load_text(folder, text);
        assert_int_equal(l.problems.count, 1);
        const char *problem = l.problems.items[0].text;
        if (strncmp(problem, place, strlen(place)) != 0 || strstr(problem, cases[i].says) == NULL) {
            fail_msg("not %s\"%s\": %s", place, cases[i].says, problem);
        }
        free_loaded(&l);
    }
}

/* Lua shortens names beyond 60 characters in its messages; ours stay whole. */
static void a_long_path_is_not_cut_in_a_problem(void **state)
{
#define LONG "a_configuration_with_a_name_that_is_longer_than_what_lua_shows.lua"
    struct loaded l = load_file(*state, LONG, "\n\nlocal x = = 1\n");
    assert_int_equal(l.problems.count, 1);
    assert_non_null(problem_at(&l, 0, 3));
    free_loaded(&l);
    l = load_file(*state, LONG, "\n\nnode 'x' { host = nothing.here }\n");
    assert_int_equal(l.problems.count, 1);
    assert_non_null(problem_at(&l, 0, 3));
    free_loaded(&l);
}

static void the_first_line_may_be_a_mark_or_a_shebang(void **state)
{
    static const char *const fine[] = {"#!/usr/bin/hilum run\n", "\xef\xbb\xbf",
                                       "\xef\xbb\xbf#!/usr/bin/hilum\n"};
    for (size_t i = 0; i < 3; i++) {
        struct loaded l = load_with_rest(*state, fine[i]);
        free_loaded(&l);
    }
    struct loaded l = load_text(*state, "#!/usr/bin/hilum\nlocal x = = 1");
    assert_non_null(problem_at(&l, 0, 2)); /* it counts as a line */
    free_loaded(&l);
    l = load_text(*state, "#!/usr/bin/hilum");
    assert_int_equal(l.result, ERR_USAGE); /* nothing else in it: no listener */
    free_loaded(&l);
    l = load_text(*state, "\x1bLua"); /* bytecode could do anything */
    assert_int_equal(l.result, ERR_USAGE);
    free_loaded(&l);
}

/* A newline in a name cannot forge a second problem. */
static void control_characters_in_a_problem_are_shown_as_question_marks(void **state)
{
    struct loaded l = load_text(
        *state, "listen '127.0.0.1:104'\nnode 'a\\nfile:1: b' { ['\\27[31m'] = 1 }\nroute 'r' { to = 'x' }");
    for (size_t i = 0; i < l.problems.count; i++) {
        for (const char *p = l.problems.items[i].text; *p != '\0'; p++) {
            assert_true((unsigned char)*p >= 0x20);
        }
    }
    assert_non_null(strstr(l.problems.items[0].text, "node \"a?file:1: b\""));
    free_loaded(&l);
}

static void declarations_are_what_they_were_when_they_were_made(void **state)
{
    struct loaded l = load_with_rest(*state, "local t = { host = 'one', ae_title = 'X' }\n"
                                             "node 'x' (t)\n"
                                             "t.host = 'two'\n"
                                             "node 'y' (t)\n");
    assert_string_equal(l.config->nodes[0].host, "one");
    assert_string_equal(l.config->nodes[1].host, "two");
    assert_int_equal(l.config->nodes[1].line, 4);
    free_loaded(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gateway_sets_what_it_names_and_leaves_the_rest),
        cmocka_unit_test(the_maximum_pdu_may_be_a_number_of_bytes_and_0_is_unlimited),
        cmocka_unit_test(a_listener_is_written_in_several_ways),
        cmocka_unit_test(listeners_that_do_not_meet_stand_side_by_side),
        cmocka_unit_test(nodes_beside_our_own_listeners_are_fine),
        cmocka_unit_test(a_node_takes_its_defaults_from_the_gateway_wherever_that_stands),
        cmocka_unit_test(a_route_holds_its_nodes_and_conditions),
        cmocka_unit_test(zero_copy_is_the_gateways_unless_a_route_says_otherwise),
        cmocka_unit_test(a_spool_is_a_folder_or_a_table_or_off),
        cmocka_unit_test(a_gateway_says_how_long_things_are_kept_and_tried),
        cmocka_unit_test(a_node_says_how_it_is_delivered_to),
        cmocka_unit_test(a_route_copies_and_queues),
        cmocka_unit_test(the_sandbox_has_what_is_promised_and_no_more),
        cmocka_unit_test(no_configuration_outruns_its_budgets),
        cmocka_unit_test(modules_are_found_beside_the_configuration_and_run_once),
        cmocka_unit_test(a_problem_in_a_module_names_the_modules_file),
        cmocka_unit_test(a_long_path_is_not_cut_in_a_problem),
        cmocka_unit_test(the_first_line_may_be_a_mark_or_a_shebang),
        cmocka_unit_test(control_characters_in_a_problem_are_shown_as_question_marks),
        cmocka_unit_test(declarations_are_what_they_were_when_they_were_made),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
