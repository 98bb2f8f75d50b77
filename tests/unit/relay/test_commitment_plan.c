/* Who is asked about what, by ledger and routes, and what follows from the answers; and what is kept of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "relay/commitment_plan.h"

#define CT "1.2.840.10008.5.1.4.1.1.2"

enum { A, B, C, DISK, NODES };
enum { TO_A, BOTH, COPY, NEVER, SOMETIMES, POOLED, COMMIT, ROUTES };

/* Nodes a, b, c and a folder; a pool of b and c; routes whose names are as above, all of them off but those that a test turns on. */
struct place {
    struct config config;
    struct config_node nodes[NODES];
    struct config_route routes[ROUTES];
    const struct config_node *to[ROUTES][3], *copy[ROUTES][3];
    struct config_pool pool;
    const struct config_node *members[2];
    struct config_condition off, attribute;
    struct config_value nobody;
    struct commitment_record record;
    struct commitment_plan plan;
};

static const char *const route_names[ROUTES] = {"to a",      "both",   "copy",  "never",
                                                "sometimes", "pooled", "commit"};

static void add_route(struct place *p, int which, int to, int second, int copy)
{
    struct config_route *r = &p->routes[which];
    *r =
        (struct config_route){.name = (char *)route_names[which], .to = p->to[which], .copy = p->copy[which]};
    if (to >= 0)
        p->to[which][r->to_count++] = &p->nodes[to];
    if (second >= 0)
        p->to[which][r->to_count++] = &p->nodes[second];
    if (copy >= 0)
        p->copy[which][r->copy_count++] = &p->nodes[copy];
    r->conditions = &p->off;
    r->condition_count = 1;
}

static void set_up(struct place *p)
{
    static const char *const names[NODES] = {"a", "b", "c", "disk"};
    *p = (struct place){0};
    for (int n = 0; n < NODES; n++)
        p->nodes[n] = (struct config_node){.name = (char *)names[n], .index = (size_t)n, .ae_title = "AE"};
    p->nodes[DISK].is_folder = true;
    p->nobody.glob = "NOBODY";
    p->off = (struct config_condition){.fact = CONFIG_FACT_CALLING, .values = &p->nobody, .value_count = 1};
    p->attribute =
        (struct config_condition){.fact = CONFIG_FACT_ATTRIBUTE, .values = &p->nobody, .value_count = 1};
    add_route(p, TO_A, A, DISK, -1);
    add_route(p, BOTH, A, B, -1);
    add_route(p, COPY, A, -1, B);
    add_route(p, NEVER, A, -1, -1);
    add_route(p, SOMETIMES, A, B, -1);
    add_route(p, POOLED, -1, -1, -1);
    add_route(p, COMMIT, C, -1, -1);
    p->routes[NEVER].commits = CONFIG_COMMIT_NEVER;
    p->routes[COMMIT].service = CONFIG_COMMIT;
    p->members[0] = &p->nodes[B];
    p->members[1] = &p->nodes[C];
    p->pool = (struct config_pool){.members = p->members, .member_count = 2};
    p->pool.as_node = (struct config_node){.name = "pool", .index = NODES, .pool = &p->pool};
    p->to[POOLED][p->routes[POOLED].to_count++] = &p->pool.as_node;
    p->config.nodes = p->nodes;
    p->config.node_count = NODES;
    p->config.routes = p->routes;
    p->config.route_count = ROUTES;
    p->config.pools = &p->pool;
    p->config.pool_count = 1;
    snprintf(p->record.calling, sizeof(p->record.calling), "CT1");
    snprintf(p->record.list.transaction, sizeof(p->record.list.transaction), "1.2.3");
    for (int n = 0; n < 3; n++) {
        char uid[16];
        snprintf(uid, sizeof(uid), "1.2.%d", n);
        assert_true(commitment_list_add(&p->record.list, view_of(CT), view_of(uid), 0));
    }
}

static void turn_on(struct place *p, int route)
{
    p->routes[route].condition_count = 0;
}

static void make(struct place *p, const struct spool_whereabout *rows, size_t count, bool gives_up)
{
    assert_int_equal(commitment_plan_make(&p->plan, &p->config, &p->record, rows, count, gives_up), OK);
}

static void tear_down(struct place *p)
{
    commitment_plan_free(&p->plan);
    commitment_record_free(&p->record);
}

static struct commitment_ask *ask_of(struct place *p, const char *node)
{
    for (size_t n = 0; n < p->plan.ask_count; n++)
        if (strcmp(p->plan.asks[n].node, node) == 0)
            return &p->plan.asks[n];
    return NULL;
}

/* The node has these, "": nothing; all else has failed for this reason. */
static void report(struct place *p, const char *node, const char *has, uint16_t reason)
{
    struct commitment_ask *a = ask_of(p, node);
    struct commitment_list l = {0};
    assert_non_null(a);
    for (size_t n = 0; n < a->count; n++)
        assert_true(commitment_list_add(&l, view_of(CT), view_of(a->claims[n].sent),
                                        strstr(has, a->claims[n].sent) ? 0 : reason));
    commitment_ask_take(a, &l);
    assert_true(commitment_ask_is_answered(a));
    commitment_list_free(&l);
}

static void decided(struct place *p, uint16_t first, uint16_t second, uint16_t third)
{
    assert_int_equal(commitment_plan_decide(&p->plan, &p->record), OK);
    assert_true(p->record.is_decided);
    assert_int_equal(p->record.list.items[0].reason, first);
    assert_int_equal(p->record.list.items[1].reason, second);
    assert_int_equal(p->record.list.items[2].reason, third);
}

#define ROW(instance, state, node, route, sent)                                                              \
    {                                                                                                        \
        instance, SPOOL_##state, node, route_names[route], sent                                              \
    }

static void those_that_have_it_are_asked_under_its_name_there(void **state)
{
    static const struct spool_whereabout rows[] = {
        ROW(0, RELAYED, "a", TO_A, "9.0"),     ROW(0, RELAYED, "disk", TO_A, "1.2.0"),
        ROW(1, DELIVERED, "a", BOTH, "1.2.1"), ROW(1, RELAYED, "b", BOTH, "8.1"),
        ROW(2, RELAYED, "a", COPY, "1.2.2"),   ROW(2, DELIVERED, "b", COPY, "1.2.2"),
    };
    struct place p;
    (void)state;
    set_up(&p);
    make(&p, rows, 6, false);
    assert_int_equal(p.plan.ask_count, 2);
    assert_int_equal(ask_of(&p, "a")->count, 3);
    assert_int_equal(ask_of(&p, "b")->count, 1); /* neither the copy nor the folder */
    assert_string_equal(ask_of(&p, "a")->claims[0].sent, "9.0");
    report(&p, "a", "9.0 1.2.1", 0x0110);
    report(&p, "b", "8.1", 0);
    decided(&p, 0, 0, 0x0110);
    tear_down(&p);
}

static void all_that_are_asked_have_to_have_it(void **state)
{
    static const struct spool_whereabout rows[] = {
        ROW(0, RELAYED, "a", BOTH, "1.2.0"), ROW(0, RELAYED, "b", BOTH, "1.2.0"),
        ROW(1, RELAYED, "a", BOTH, "1.2.1"), ROW(1, RELAYED, "b", BOTH, "1.2.1"),
        ROW(2, RELAYED, "a", BOTH, "1.2.2"), ROW(2, RELAYED, "b", BOTH, "1.2.2")};
    struct place p;
    (void)state;
    set_up(&p);
    make(&p, rows, 6, false);
    report(&p, "a", "1.2.0", 0x0213);
    report(&p, "b", "1.2.0 1.2.1", 0x0112);
    decided(&p, 0, 0x0213, 0x0112);
    tear_down(&p);
}

static void copies_are_asked_where_the_route_says_so(void **state)
{
    static const struct spool_whereabout rows[] = {ROW(0, DELIVERED, "b", COPY, "1.2.0"),
                                                   ROW(1, RELAYED, "a", NEVER, "1.2.1")};
    struct place p;
    (void)state;
    set_up(&p);
    make(&p, rows, 2, false);
    assert_int_equal(p.plan.ask_count, 0);
    decided(&p, 0x0112, 0x0112, 0x0112);
    commitment_plan_free(&p.plan);
    p.routes[COPY].commits = CONFIG_COMMIT_ALWAYS;
    make(&p, rows, 2, false);
    assert_int_equal(p.plan.ask_count, 1);
    assert_string_equal(p.plan.asks[0].node, "b");
    tear_down(&p);
}

static void what_is_on_its_way_is_waited_for_and_what_was_given_up_has_failed(void **state)
{
    static const struct spool_whereabout rows[] = {
        ROW(0, DELIVERED, "a", TO_A, "1.2.0"), ROW(0, WAITING, "a", TO_A, "1.2.0"), /* a second time */
        ROW(1, EXPIRED, "a", TO_A, "1.2.1"), ROW(2, RELAYED, "a", TO_A, "1.2.2"),
        ROW(2, FAILED_FOR_GOOD, "a", TO_A, "1.2.2")};
    struct place p;
    (void)state;
    set_up(&p);
    make(&p, rows, 5, false);
    assert_int_equal(p.plan.queued, 1);
    commitment_plan_free(&p.plan);
    make(&p, rows, 5, true);
    assert_int_equal(p.plan.queued, 0);
    report(&p, "a", "1.2.2", 0);
    decided(&p, 0x0110, 0x0110, 0);
    tear_down(&p);
}

static void what_the_ledger_does_not_know_is_asked_of_the_routes(void **state)
{
    struct place p;
    (void)state;
    set_up(&p);
    turn_on(&p, BOTH);
    make(&p, NULL, 0, false);
    report(&p, "a", "1.2.0 1.2.1", 0x0112);
    report(&p, "b", "1.2.0", 0x0112);
    decided(&p, 0, 0x0112, 0x0112);
    commitment_plan_free(&p.plan);
    turn_on(&p, COMMIT); /* it says itself who is asked then */
    make(&p, NULL, 0, false);
    assert_int_equal(p.plan.ask_count, 1);
    assert_string_equal(p.plan.asks[0].node, "c");
    tear_down(&p);
}

/* Where attributes decide, all of one route that may have it have to have it; of a pool one member. */
static void of_those_that_may_have_it_one_has_to(void **state)
{
    struct place p;
    (void)state;
    set_up(&p);
    p.routes[SOMETIMES].conditions = &p.attribute;
    p.config.attribute_count = 1;
    make(&p, NULL, 0, false);
    report(&p, "a", "1.2.0 1.2.1", 0x0112);
    report(&p, "b", "1.2.0", 0x0110);
    decided(&p, 0, 0x0110, 0x0112);
    commitment_plan_free(&p.plan);
    p.routes[POOLED].conditions = &p.attribute;
    make(&p, NULL, 0, false);
    report(&p, "a", "1.2.0 1.2.2", 0x0112);
    report(&p, "b", "1.2.0", 0x0110);
    report(&p, "c", "1.2.1", 0x0110);
    decided(&p, 0, 0, 0x0110);
    commitment_plan_free(&p.plan);
    turn_on(&p, TO_A); /* for certain: whether others have it as well nobody knows */
    make(&p, NULL, 0, false);
    assert_int_equal(p.plan.ask_count, 1);
    report(&p, "a", "1.2.0", 0x0112);
    decided(&p, 0, 0x0112, 0x0112);
    commitment_plan_free(&p.plan);
    p.routes[NEVER].conditions = &p.attribute; /* what may end the list makes the rest uncertain */
    p.routes[NEVER].is_final = true;
    turn_on(&p, POOLED);
    p.routes[TO_A].conditions = &p.off;
    p.routes[TO_A].condition_count = 1;
    make(&p, NULL, 0, false);
    assert_int_equal(p.plan.ask_count, 3);
    report(&p, "a", "1.2.0 1.2.1", 0x0112);
    report(&p, "b", "1.2.1", 0x0112);
    report(&p, "c", "1.2.2", 0x0112);
    decided(&p, 0x0112, 0, 0);
    commitment_plan_free(&p.plan);
    p.routes[NEVER].is_final = false;
    p.routes[POOLED].conditions = &p.off;
    p.routes[POOLED].condition_count = 1;
    p.routes[SOMETIMES].conditions = &p.off;
    turn_on(&p, POOLED);
    turn_on(&p, TO_A);
    make(&p, NULL, 0, false);
    assert_int_equal(p.plan.ask_count, 3);
    report(&p, "a", "1.2.0 1.2.1", 0x0112);
    report(&p, "b", "1.2.0 1.2.2", 0x0112);
    report(&p, "c", "", 0x0110);
    decided(&p, 0, 0x0112, 0x0112);
    tear_down(&p);
}

static void what_no_list_has_has_failed(void **state)
{
    struct place p;
    struct commitment_list l = {0};
    (void)state;
    set_up(&p);
    turn_on(&p, TO_A);
    make(&p, NULL, 0, false);
    assert_true(commitment_list_add(&l, view_of(CT), view_of("1.2.1"), 0));
    assert_true(commitment_list_add(&l, view_of(CT), view_of("1.2.2"), 0));
    assert_true(commitment_list_add(&l, view_of(CT), view_of("1.2.2"), 0x0110)); /* in both */
    commitment_ask_take(ask_of(&p, "a"), &l);
    decided(&p, 0x0112, 0, 0x0110);
    commitment_list_free(&l);
    tear_down(&p);
}

static void what_was_answered_before_is_not_asked_again(void **state)
{
    struct place p;
    struct commitment_record again;
    struct octets o = {0};
    (void)state;
    set_up(&p);
    turn_on(&p, BOTH);
    p.record.begun_ms = 1234567890123;
    p.record.desk = 7;
    memset(p.record.remote, 0x5A, sizeof(p.record.remote));
    memset(p.record.secret, 0xA5, sizeof(p.record.secret));
    snprintf(p.record.node, sizeof(p.record.node), "ct 1");
    snprintf(p.record.called, sizeof(p.record.called), "HILUM");
    snprintf(p.record.remote_text, sizeof(p.record.remote_text), "10.0.0.1");
    snprintf(p.record.listener, sizeof(p.record.listener), "104");
    make(&p, NULL, 0, false);
    report(&p, "b", "1.2.0", 0x0112);
    assert_true(commitment_ask_keep(ask_of(&p, "b"), &p.record));
    commitment_record_write(&p.record, &o);
    assert_false(o.failed);
    assert_int_equal(commitment_record_read(&again, (struct view){o.data, o.len}), OK);
    assert_string_equal(again.calling, "CT1");
    assert_string_equal(again.called, "HILUM");
    assert_string_equal(again.remote_text, "10.0.0.1");
    assert_string_equal(again.listener, "104");
    assert_string_equal(again.list.transaction, "1.2.3");
    assert_string_equal(again.node, "ct 1");
    assert_memory_equal(again.remote, p.record.remote, sizeof(again.remote));
    assert_memory_equal(again.secret, p.record.secret, sizeof(again.secret));
    assert_true(again.begun_ms == p.record.begun_ms && again.desk == 7 && !again.is_decided);
    assert_int_equal(again.list.count, 3);
    tear_down(&p);
    p.record = again;
    make(&p, NULL, 0, false);
    assert_false(commitment_ask_is_answered(ask_of(&p, "a")));
    assert_true(commitment_ask_is_answered(ask_of(&p, "b")));
    report(&p, "a", "1.2.0 1.2.1 1.2.2", 0);
    decided(&p, 0, 0x0112, 0x0112);
    tear_down(&p);
    for (size_t len = 0; len < o.len; len++) { /* cut anywhere it is none */
        assert_int_equal(commitment_record_read(&again, (struct view){o.data, len}), ERR_PROTO);
        commitment_record_free(&again);
    }
    octets_free(&o);
}

static void uids_of_ours_name_their_desk(void **state)
{
    struct commitment_record r = {.calling = "CT1", .list = {.transaction = "1.2.3"}};
    char uid[COMMITMENT_UID_MAX + 1], other[COMMITMENT_UID_MAX + 1];
    uint16_t desk;
    (void)state;
    for (unsigned n = 0; n < 300; n++) {
        r.desk = (uint16_t)(n * 211);
        commitment_uid(&r, "a", uid);
        assert_true(commitment_uid_desk(uid, &desk));
        assert_int_equal(desk, r.desk);
        commitment_uid(&r, "b", other);
        assert_string_not_equal(uid, other);
    }
    commitment_uid(&r, "a", uid);
    r.secret[0]++;
    commitment_uid(&r, "a", other);
    assert_string_not_equal(uid, other); /* who knows all else does not know it */
    assert_false(commitment_uid_desk("1.2.840.5", &desk));
    assert_false(commitment_uid_desk("2.25.", &desk));
    assert_false(commitment_uid_desk("2.25.12a", &desk));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_that_have_it_are_asked_under_its_name_there),
        cmocka_unit_test(all_that_are_asked_have_to_have_it),
        cmocka_unit_test(copies_are_asked_where_the_route_says_so),
        cmocka_unit_test(what_is_on_its_way_is_waited_for_and_what_was_given_up_has_failed),
        cmocka_unit_test(what_the_ledger_does_not_know_is_asked_of_the_routes),
        cmocka_unit_test(of_those_that_may_have_it_one_has_to),
        cmocka_unit_test(what_no_list_has_has_failed),
        cmocka_unit_test(what_was_answered_before_is_not_asked_again),
        cmocka_unit_test(uids_of_ours_name_their_desk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
