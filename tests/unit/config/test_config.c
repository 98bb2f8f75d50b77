#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/config.h"

static void a_new_configuration_has_the_documented_defaults(void **state)
{
    (void)state;
    struct config *c = config_new();
    assert_non_null(c);
    assert_string_equal(c->ae_title, "HILUM");
    assert_int_equal(c->workers, 0); /* one per CPU */
    assert_int_equal(c->max_pdu, 1048576);
    assert_int_equal(c->memory, 1073741824);
    assert_int_equal(c->window, 1048576);
    assert_int_equal(c->header_max, 16777216);
    assert_int_equal(c->replay_max, 1048576);
    assert_int_equal(c->header_spool_max, 1073741824);
    assert_false(c->spool.is_off);
    assert_string_equal(c->spool.path, "./hilum-spool");
    assert_int_equal(c->spool.max_bytes, 0); /* none */
    assert_int_equal(c->spool.reserve, 1073741824);
    assert_true(c->journal);
    assert_int_equal(c->history_ms, 604800000);
    assert_int_equal(c->expire_ms, 0); /* never */
    assert_int_equal(c->retry_first_ms, 5000);
    assert_int_equal(c->retry_most_ms, 600000);
    assert_int_equal(c->max_associations, 4096);
    assert_null(c->tcp_congestion);
    assert_int_equal(c->timeouts.connect, 5000);
    assert_int_equal(c->timeouts.association, 30000);
    assert_int_equal(c->timeouts.progress, 60000);
    assert_int_equal(c->timeouts.response, 60000);
    assert_int_equal(c->timeouts.idle, 3600000);
    assert_int_equal(c->timeouts.linger, 10000);
    assert_int_equal(c->timeouts.lag, 5000);
    assert_int_equal(c->timeouts.drain, 8000);
    assert_int_equal(c->timeouts.retrieve, 600000);
    assert_int_equal(c->timeouts.commit, 86400000);
    assert_true(c->study_attribute == SIZE_MAX); /* no pool asks for it */
    assert_int_equal(c->log_level, LOG_INFO);
    assert_int_equal(c->log_format, LOG_LOGFMT);
    assert_int_equal(c->listen_count + c->node_count + c->route_count, 0);
    config_unref(&c);
}

static void the_last_reference_ends_it_and_no_other(void **state)
{
    (void)state;
    struct config *c = config_new();
    struct config *other = config_ref(c);
    assert_ptr_equal(other, c);
    config_unref(&c);
    assert_null(c);
    assert_int_equal(other->max_associations, 4096); /* AddressSanitizer would see it freed */
    config_unref(&other);
    assert_null(other);
    config_unref(&other); /* of nothing: nothing */
}

/* Everything a configuration can own is freed: LeakSanitizer counts. */
static void the_end_frees_all_that_hangs_on_it(void **state)
{
    (void)state;
    struct config *c = config_new();
    c->file = strdup("f");
    assert_non_null(c->spool.path);
    c->tcp_congestion = strdup("reno");
    c->listens = calloc(1, sizeof(*c->listens));
    c->listen_count = 1;
    c->listens[0].name = strdup("l");
    c->listens[0].address = strdup("");
    c->listens[0].tcp_congestion = strdup("reno");
    c->listens[0].allow = calloc(1, sizeof(*c->listens[0].allow));
    c->listens[0].allow_count = 1;
    c->listens[0].ae_titles = calloc(1, sizeof(char *));
    c->listens[0].ae_titles[0] = strdup("A");
    c->listens[0].ae_title_count = 1;
    c->nodes = calloc(1, sizeof(*c->nodes));
    c->node_count = 1;
    c->nodes[0].name = strdup("n");
    c->nodes[0].host = strdup("h");
    c->nodes[0].ae_title = strdup("N");
    c->nodes[0].calling_title = strdup("C");
    c->nodes[0].tcp_congestion = strdup("reno");
    c->nodes[0].folder = strdup("x");
    c->nodes[0].moves = calloc(2, sizeof(*c->nodes[0].moves));
    c->nodes[0].moves[0].title = strdup("WS1");
    c->nodes[0].moves[0].as = strdup("WS1_THERE");
    c->nodes[0].moves[1].title = strdup("*"); /* through us */
    c->nodes[0].move_count = 2;
    c->pools = calloc(1, sizeof(*c->pools));
    c->pool_count = 1;
    c->pools[0].as_node.name = strdup("p");
    c->pools[0].members = calloc(1, sizeof(*c->pools[0].members));
    c->pools[0].weights = calloc(1, sizeof(*c->pools[0].weights));
    c->routes = calloc(1, sizeof(*c->routes));
    c->route_count = 1;
    c->routes[0].name = strdup("r");
    c->routes[0].to = calloc(1, sizeof(*c->routes[0].to));
    c->routes[0].copy = calloc(1, sizeof(*c->routes[0].copy));
    c->routes[0].conditions = calloc(1, sizeof(*c->routes[0].conditions));
    c->routes[0].condition_count = 1;
    c->routes[0].conditions[0].values = calloc(2, sizeof(struct config_value));
    c->routes[0].conditions[0].values[0].glob = strdup("*");
    c->routes[0].conditions[0].value_count = 2; /* the second, as of `remote`, has no glob */
    config_unref(&c);
    assert_null(c);
}

static void a_spool_is_needed_where_a_route_may_queue_or_commits(void **state)
{
    (void)state;
    const struct config_node *nodes[1] = {NULL};
    const struct {
        struct config_route route;
        bool is_off, needs;
        const char *why;
    } cases[] = {
        {{.to = nodes, .to_count = 1}, false, false, "what fails fails"},
        {{.to = nodes, .to_count = 1, .queues = true}, false, true, "what fails is queued"},
        {{.to = nodes, .to_count = 1, .copy = nodes, .copy_count = 1}, false, true, "a copy"},
        {{.copy = nodes, .copy_count = 1}, false, true, "copies alone"},
        {{.copy = nodes, .copy_count = 1}, true, false, "there is no spool"},
        {{.to = nodes, .to_count = 1, .queues = true, .service = CONFIG_ECHO}, false, false, "no storage"},
        {{.to = nodes, .to_count = 1, .queues = true, .service = CONFIG_MPPS}, false, true, "MPPS is queued"},
        {{.copy = nodes, .copy_count = 1, .service = CONFIG_MPPS}, false, true, "a copy of MPPS"},
        {{.to = nodes, .to_count = 1, .service = CONFIG_MPPS}, false, false, "MPPS that fails"},
        {{.service = CONFIG_COMMIT}, false, true, "commitment outlives a restart"},
        {{.service = CONFIG_COMMIT}, true, false, "there is no spool for it"},
        {{.to = nodes, .to_count = 1, .service = CONFIG_FIND}, false, false, "a query"},
        {{.queues = true}, false, false, "nothing that could fail"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config_route routes[2] = {{.to = nodes, .to_count = 1}, cases[i].route};
        struct config config = {.routes = routes, .route_count = 2, .spool.is_off = cases[i].is_off};
        if (config_needs_spool(&config) != cases[i].needs) {
            fail_msg("%s", cases[i].why);
        }
    }
    struct config empty = {.route_count = 0};
    assert_false(config_needs_spool(&empty));
}

static void a_node_is_found_by_its_name(void **state)
{
    (void)state;
    struct config_node nodes[] = {{.name = NULL}, {.name = "PACS"}, {.name = "pacs"}};
    struct config config = {.nodes = nodes, .node_count = 3};
    assert_ptr_equal(config_node_named(&config, "pacs"), &nodes[2]);
    assert_null(config_node_named(&config, "pac"));
    assert_null(config_node_named(&config, ""));
}

static void a_pool_is_found_by_its_name(void **state)
{
    (void)state;
    struct config_node nodes[] = {{.name = "pacs"}};
    struct config_pool pools[] = {{.as_node.name = NULL}, {.as_node.name = "all"}};
    struct config config = {.nodes = nodes, .node_count = 1, .pools = pools, .pool_count = 2};
    assert_ptr_equal(config_pool_named(&config, "all"), &pools[1]);
    assert_null(config_pool_named(&config, "pacs"));
    assert_null(config_node_named(&config, "all"));
}

static void the_control_socket_is_in_the_spool_or_where_it_is_said(void **state)
{
    (void)state;
    static char longest[] =
        "/234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890"
        "1234567";
    static char longer[] = "/23456789012345678901234567890123456789012345678901234567890123456789012345678901"
                           "23456789012345678901"
                           "2345678";
    static const struct {
        struct config_spool spool;
        struct config_control control;
        const char *path; /* NULL: there is none */
    } cases[] = {
        {{.path = (char *)"/var/lib/hilum"}, {0}, "/var/lib/hilum/control"},
        {{.path = (char *)"/var/lib/hilum"}, {.path = (char *)"/run/hilum"}, "/run/hilum"},
        {{.is_off = true, .path = (char *)"/s"}, {.path = (char *)"/run/hilum"}, "/run/hilum"},
        {{.is_off = true, .path = (char *)"/s"}, {0}, NULL},
        {{.path = (char *)"/s"}, {.is_off = true}, NULL},
        {{.path = (char *)"/s"}, {.path = longest}, longest},
        {{.path = (char *)"/s"}, {.path = longer}, NULL},
        {{.path = longest}, {0}, NULL},
    };
    assert_int_equal(strlen(longest), CONFIG_CONTROL_BYTES - 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct config c = {.spool = cases[i].spool, .control = cases[i].control};
        char path[CONFIG_CONTROL_BYTES];
        const char *why = NULL;
        assert_int_equal(config_control_path(&c, path, &why), cases[i].path != NULL);
        if (cases[i].path)
            assert_string_equal(path, cases[i].path);
        else
            assert_non_null(why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_spool_is_needed_where_a_route_may_queue_or_commits),
        cmocka_unit_test(a_node_is_found_by_its_name),
        cmocka_unit_test(the_control_socket_is_in_the_spool_or_where_it_is_said),
        cmocka_unit_test(a_pool_is_found_by_its_name),
        cmocka_unit_test(a_new_configuration_has_the_documented_defaults),
        cmocka_unit_test(the_last_reference_ends_it_and_no_other),
        cmocka_unit_test(the_end_frees_all_that_hangs_on_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
