#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "route/route.h"

#define CT "1.2.840.10008.5.1.4.1.1.2"
#define MR "1.2.840.10008.5.1.4.1.1.4"

/* CT1 at 10.1.0.5 has called HILUM at listener "main" and stores a CT of UID 1.2.3. */
static struct route_facts a_ct(void)
{
    return (struct route_facts){
        .service = CONFIG_STORE,
        .calling = view_of("CT1"),
        .called = view_of("HILUM"),
        .remote = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 0, 5},
        .listener = "main",
        .peer = "CN=ct1,O=Hospital",
        .sop_class = view_of(CT),
        .sop_instance = view_of("1.2.3"),
        .has_instance = true,
    };
}

/* The same before the message: the context is known, the instance is not. */
static struct route_facts a_ct_context(void)
{
    struct route_facts f = a_ct();
    f.sop_instance = (struct view){NULL, 0};
    f.has_instance = false;
    return f;
}

static const struct config_node nodes[4] = {
    {.name = (char *)"a", .index = 0},
    {.name = (char *)"b", .index = 1},
    {.name = (char *)"c", .index = 2},
    {.name = (char *)"d", .index = 3},
};

/* A route in short: its conditions by text, its destinations by letters. */
struct line {
    enum config_fact fact;
    const char *values[3]; /* none: no condition */
    bool negate;
    const char *to, *copy;
    bool is_final, no_stream, back, queues, journal, morphs;
    enum config_service service;
    enum config_zero_copy zero_copy;
};

/* Room for a configuration made of lines. */
struct table {
    struct config config;
    struct config_route routes[8];
    struct config_condition conditions[8];
    struct config_value values[8][3];
    const struct config_node *to[8][4];
    const struct config_node *copy[8][4];
};

static void build_condition(struct table *t, size_t i, const struct line *l)
{
    struct config_condition *c = &t->conditions[i];
    *c = (struct config_condition){.fact = l->fact, .negate = l->negate, .values = t->values[i]};
    for (; c->value_count < 3 && l->values[c->value_count] != NULL; c->value_count++) {
        struct config_value *v = &t->values[i][c->value_count];
        if (l->fact == CONFIG_FACT_REMOTE) {
            assert_int_equal(config_network_parse(l->values[c->value_count], &v->network), OK);
        } else {
            v->glob = (char *)l->values[c->value_count];
        }
    }
    t->routes[i].conditions = c;
    t->routes[i].condition_count = c->value_count > 0;
}

static void build(struct table *t, const struct line *lines, size_t count)
{
    memset(t, 0, sizeof(*t));
    t->config.routes = t->routes;
    t->config.route_count = count;
    for (size_t i = 0; i < count; i++) {
        struct config_route *r = &t->routes[i];
        r->to = t->to[i];
        for (const char *p = lines[i].to; p != NULL && *p != '\0'; p++) {
            r->to[r->to_count++] = &nodes[*p - 'a'];
        }
        r->copy = t->copy[i];
        for (const char *p = lines[i].copy; p != NULL && *p != '\0'; p++) {
            r->copy[r->copy_count++] = &nodes[*p - 'a'];
        }
        r->queues = lines[i].queues;
        r->journal = lines[i].journal;
        r->has_morph = lines[i].morphs;
        r->is_final = lines[i].is_final;
        r->stream = !lines[i].no_stream;
        r->back_to_sender = lines[i].back;
        r->service = lines[i].service;
        r->zero_copy = lines[i].zero_copy;
        build_condition(t, i, &lines[i]);
    }
}

/* The destinations as letters, copies as capitals. */
static const char *decide(const struct table *t, const struct route_facts *facts, struct route_decision *d,
                          char got[16])
{
    assert_int_equal(route_decide(&t->config, facts, d), OK);
    assert_true(d->count < 16);
    for (size_t i = 0; i < d->count; i++) {
        const struct route_destination *one = &d->destinations[i];
        got[i] = (char)(one->node->name[0] - (one->is_copy ? 'a' - 'A' : 0));
    }
    got[d->count] = '\0';
    return got;
}

static void a_condition_holds_as_the_manual_says(void **state)
{
    (void)state;
    static const struct {
        struct line line;
        bool holds;    /* for the message */
        bool may_hold; /* at negotiation */
        const char *why;
    } cases[] = {
        {{.to = "a"}, true, true, "no condition always holds"},
        {{CONFIG_FACT_CALLING, {"CT1"}, .to = "a"}, true, true, "a title"},
        {{CONFIG_FACT_CALLING, {"ct1"}, .to = "a"}, false, false, "case counts"},
        {{CONFIG_FACT_CALLING, {"CT"}, .to = "a"}, false, false, "a part is not the whole"},
        {{CONFIG_FACT_CALLING, {"C*"}, .to = "a"}, true, true, "a star"},
        {{CONFIG_FACT_CALLING, {"CT?"}, .to = "a"}, true, true, "a question mark"},
        {{CONFIG_FACT_CALLING, {"CT1?"}, .to = "a"}, false, false, "which is one character"},
        {{CONFIG_FACT_CALLING, {"X", "Y", "CT1"}, .to = "a"}, true, true, "any of a list"},
        {{CONFIG_FACT_CALLING, {"X", "Y"}, .to = "a"}, false, false, "none of a list"},
        {{CONFIG_FACT_CALLING, {"CT1"}, true, .to = "a"}, false, false, "negated"},
        {{CONFIG_FACT_CALLING, {"X", "CT1"}, true, .to = "a"}, false, false, "a negated list with it"},
        {{CONFIG_FACT_CALLING, {"X", "Y"}, true, .to = "a"}, true, true, "a negated list without it"},
        {{CONFIG_FACT_CALLED, {"HILUM"}, .to = "a"}, true, true, "the called title"},
        {{CONFIG_FACT_CALLED, {"CT1"}, .to = "a"}, false, false, "which is not the calling one"},
        {{CONFIG_FACT_LISTENER, {"main"}, .to = "a"}, true, true, "the listener"},
        {{CONFIG_FACT_LISTENER, {"other"}, .to = "a"}, false, false, "another listener"},
        {{CONFIG_FACT_PEER, {"CN=ct1*"}, .to = "a"}, true, true, "the certificate, known at negotiation too"},
        {{CONFIG_FACT_PEER, {"*"}, .to = "a"}, true, true, "any certificate"},
        {{CONFIG_FACT_PEER, {"CN=ct1"}, .to = "a"}, false, false, "a part of its subject"},
        {{CONFIG_FACT_PEER, {""}, .to = "a"}, false, false, "none"},
        {{CONFIG_FACT_PEER, {"CN=mr*", ""}, true, .to = "a"}, true, true, "neither another nor none"},
        {{CONFIG_FACT_REMOTE, {"10.1.0.5"}, .to = "a"}, true, true, "the address"},
        {{CONFIG_FACT_REMOTE, {"192.168.0.0/16", "10.1.0.0/24"}, .to = "a"}, true, true, "any of two blocks"},
        {{CONFIG_FACT_REMOTE, {"10.2.0.0/16"}, .to = "a"}, false, false, "another block"},
        {{CONFIG_FACT_REMOTE, {"10.0.0.0/8"}, true, .to = "a"}, false, false, "a negated block"},
        {{CONFIG_FACT_SOP_CLASS, {CT}, .to = "a"}, true, true, "the SOP class, known at negotiation too"},
        {{CONFIG_FACT_SOP_CLASS, {MR}, .to = "a"}, false, false, "another SOP class"},
        {{CONFIG_FACT_SOP_CLASS, {CT ".*"}, .to = "a"}, false, false, "what stands below it"},
        {{CONFIG_FACT_SOP_INSTANCE, {"1.2.3"}, .to = "a"},
         true,
         true,
         "the instance; unknown at negotiation"},
        {{CONFIG_FACT_SOP_INSTANCE, {"9.*"}, .to = "a"}, false, true, "another; at negotiation it may hold"},
        {{CONFIG_FACT_SOP_INSTANCE, {"1.2.3"}, true, .to = "a"},
         false,
         true,
         "what is unknown is unknown negated"},
        {{.to = "a", .service = CONFIG_ECHO}, false, false, "a route for another service"},
    };
    struct route_facts facts = a_ct();
    struct route_facts context = a_ct_context();
    struct route_decision d = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct table t;
        char got[16];
        build(&t, &cases[i].line, 1);
        if (strcmp(decide(&t, &facts, &d, got), cases[i].holds ? "a" : "") != 0 ||
            d.matched != cases[i].holds) {
            fail_msg("%s", cases[i].why);
        }
        if (strcmp(decide(&t, &context, &d, got), cases[i].may_hold ? "a" : "") != 0) {
            fail_msg("at negotiation: %s", cases[i].why);
        }
        if (route_serves(&t.config, &context) != cases[i].may_hold) {
            fail_msg("route_serves: %s", cases[i].why);
        }
    }
    route_decision_free(&d);
}

/* "" is who shows none, "*" is not; what is not known, as of a commitment that was kept, may be either. */
static void no_certificate_is_not_any_certificate(void **state)
{
    (void)state;
    static const struct {
        struct line line;
        const char *without, *unknown;
    } cases[] = {
        {{CONFIG_FACT_PEER, {""}, .to = "a"}, "a", "a"},
        {{CONFIG_FACT_PEER, {"*"}, .to = "a"}, "", "a"},
        {{CONFIG_FACT_PEER, {"CN=*"}, .to = "a"}, "", "a"},
        {{CONFIG_FACT_PEER, {""}, true, .to = "a"}, "", "a"},
        {{CONFIG_FACT_PEER, {"CN=x"}, true, .to = "a"}, "a", "a"},
    };
    struct route_facts facts = a_ct_context();
    struct route_decision d = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct table t;
        char got[16];
        build(&t, &cases[i].line, 1);
        facts.peer = "";
        assert_string_equal(decide(&t, &facts, &d, got), cases[i].without);
        facts.peer = NULL;
        assert_string_equal(decide(&t, &facts, &d, got), cases[i].unknown);
    }
    route_decision_free(&d);
}

static void every_condition_of_a_route_must_hold(void **state)
{
    (void)state;
    const struct line lines[] = {{CONFIG_FACT_CALLING, {"CT1"}, .to = "a"},
                                 {CONFIG_FACT_CALLED, {"X"}, .to = "b"}};
    struct table t;
    struct route_decision d = {0};
    struct route_facts facts = a_ct();
    char got[16];
    build(&t, lines, 2);
    t.routes[0].condition_count = 2; /* both lines' conditions stand in a row */
    t.config.route_count = 1;
    assert_string_equal(decide(&t, &facts, &d, got), "");
    facts.called = view_of("X");
    assert_string_equal(decide(&t, &facts, &d, got), "a");
    route_decision_free(&d);
}

static void routes_contribute_in_file_order_until_a_final_one(void **state)
{
    (void)state;
    static const struct {
        struct line lines[4];
        size_t count;
        const char *message, *negotiation, *why;
    } cases[] = {
        {{{.to = "a"}, {.to = "b"}}, 2, "ab", "ab", "each that holds contributes"},
        {{{.to = "ba"}, {.to = "ac"}}, 2, "bac", "bac", "each node once, in the order of the file"},
        {{{.to = "a", .is_final = true}, {.to = "b"}}, 2, "a", "a", "a final one ends it"},
        {{{CONFIG_FACT_CALLING, {"X"}, .to = "a", .is_final = true}, {.to = "b"}},
         2,
         "b",
         "b",
         "a final one that does not hold ends nothing"},
        {{{CONFIG_FACT_SOP_INSTANCE, {"1.*"}, .to = "a", .is_final = true}, {.to = "b"}},
         2,
         "a",
         "ab",
         "a final one that only may hold leaves the later ones candidates"},
        {{{CONFIG_FACT_SOP_INSTANCE, {"9.*"}, .to = "a", .is_final = true},
          {.to = "b", .is_final = true},
          {.to = "c"}},
         3,
         "b",
         "ab",
         "candidates end at the final one that certainly holds"},
        {{{.to = "d", .is_final = true, .service = CONFIG_ECHO}, {.to = "a"}},
         2,
         "a",
         "a",
         "a final route of another service ends nothing"},
    };
    struct route_facts facts = a_ct();
    struct route_facts context = a_ct_context();
    struct route_decision d = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct table t;
        char got[16];
        build(&t, cases[i].lines, cases[i].count);
        if (strcmp(decide(&t, &facts, &d, got), cases[i].message) != 0) {
            fail_msg("%s: %s", cases[i].why, got);
        }
        if (strcmp(decide(&t, &context, &d, got), cases[i].negotiation) != 0) {
            fail_msg("at negotiation: %s: %s", cases[i].why, got);
        }
    }
    route_decision_free(&d);
}

static void a_node_of_two_routes_keeps_the_first_and_the_stricter_ways(void **state)
{
    (void)state;
    const struct line lines[] = {
        {.to = "ab"}, {.to = "bc", .no_stream = true}, {.to = "c", .back = true}, {.to = "d"}};
    struct table t;
    struct route_decision d = {0};
    struct route_facts facts = a_ct();
    char got[16];
    build(&t, lines, 4);
    assert_string_equal(decide(&t, &facts, &d, got), "abcd");
    static const struct {
        size_t route;
        bool stream, back;
    } expected[] = {
        {0, true, false},  /* a: named once */
        {0, false, false}, /* b: the second route wants it whole */
        {1, false, true},  /* c: the third lets it go back */
        {3, true, false},  /* d: what others say is not said of it */
    };
    for (size_t i = 0; i < 4; i++) {
        assert_ptr_equal(d.destinations[i].route, &t.routes[expected[i].route]);
        assert_int_equal(d.destinations[i].stream, expected[i].stream);
        assert_int_equal(d.destinations[i].back_to_sender, expected[i].back);
    }
    route_decision_free(&d);
    assert_null(d.destinations);
}

/* In whatever order they come: never before auto before always. */
static void a_node_of_several_routes_is_passed_to_as_the_most_careful_says(void **state)
{
    (void)state;
#define AUTO   CONFIG_ZERO_COPY_AUTO
#define NEVER  CONFIG_ZERO_COPY_NEVER
#define ALWAYS CONFIG_ZERO_COPY_ALWAYS
    static const struct {
        enum config_zero_copy says[3];
        enum config_zero_copy expected;
    } cases[] = {
        {{ALWAYS, ALWAYS, ALWAYS}, ALWAYS}, {{AUTO, AUTO, AUTO}, AUTO},     {{NEVER, NEVER, NEVER}, NEVER},
        {{ALWAYS, AUTO, ALWAYS}, AUTO},     {{AUTO, ALWAYS, ALWAYS}, AUTO}, {{ALWAYS, ALWAYS, AUTO}, AUTO},
        {{NEVER, ALWAYS, AUTO}, NEVER},     {{AUTO, NEVER, ALWAYS}, NEVER}, {{ALWAYS, AUTO, NEVER}, NEVER},
        {{ALWAYS, NEVER, ALWAYS}, NEVER},   {{AUTO, AUTO, NEVER}, NEVER},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct line lines[] = {{.to = "a", .zero_copy = cases[i].says[0]},
                                     {.to = "ba", .zero_copy = cases[i].says[1]},
                                     {.to = "a", .zero_copy = cases[i].says[2]}};
        struct table t;
        struct route_decision d = {0};
        struct route_facts facts = a_ct();
        char got[16];
        build(&t, lines, 3);
        assert_string_equal(decide(&t, &facts, &d, got), "ab");
        assert_int_equal(d.destinations[0].zero_copy, cases[i].expected);
        assert_int_equal(d.destinations[1].zero_copy,
                         cases[i].says[1]); /* what others say of a is not said of it */
        route_decision_free(&d);
    }
}

static void copies_stand_behind_and_give_way_to_those_that_the_sender_waits_for(void **state)
{
    (void)state;
    static const struct {
        struct line lines[3];
        const char *expected;
        size_t routes[4]; /* of the destinations */
        const char *why;
    } cases[] = {
        {{{.to = "b", .copy = "a"}}, "bA", {0, 0}, "behind the to of the same route"},
        {{{.copy = "cd"}}, "CD", {0, 0}, "a route of copies alone"},
        {{{.to = "a", .copy = "b"}, {.to = "c", .copy = "d"}}, "aBcD", {0, 0, 1, 1}, "in file order"},
        {{{.copy = "a"}, {.copy = "a"}}, "A", {0}, "two copies of the same bytes are one, the first's"},
        {{{.to = "a"}, {.copy = "a"}}, "a", {0}, "to counts"},
        {{{.copy = "a"}, {.to = "a"}}, "a", {1}, "also where it comes later: it is that route's"},
        {{{.copy = "a"}, {.to = "ba"}, {.copy = "b", .to = "a"}}, "ab", {1, 1}, "whatever names it then"},
        {{{.to = "a"}, {.copy = "a", .morphs = true}}, "aA", {0, 1}, "other bytes are another destination"},
        {{{.copy = "a", .morphs = true}, {.copy = "a", .morphs = true}}, "AA", {0, 1}, "each has its own"},
        {{{.copy = "a", .morphs = true}, {.to = "a"}}, "Aa", {0, 1}, "a copy of other bytes stays one"},
        {{{.copy = "a", .is_final = true}, {.to = "a"}}, "A", {0}, "a final one ends it"},
        {{{CONFIG_FACT_CALLING, {"X"}, .copy = "a"}, {.to = "b"}},
         "b",
         {1},
         "conditions hold for copies too"},
    };
    struct table t;
    struct route_decision d = {0};
    struct route_facts facts = a_ct();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char got[16];
        size_t count = 0;
        while (count < 3 && (cases[i].lines[count].to != NULL || cases[i].lines[count].copy != NULL)) {
            count++;
        }
        build(&t, cases[i].lines, count);
        if (strcmp(decide(&t, &facts, &d, got), cases[i].expected) != 0) {
            fail_msg("%s: %s", cases[i].why, got);
        }
        for (size_t j = 0; j < d.count; j++) {
            if (d.destinations[j].route != &t.routes[cases[i].routes[j]]) {
                fail_msg("%s: the route of %zu", cases[i].why, j);
            }
        }
    }
    route_decision_free(&d);
}

/* Of one node, a; where `to` counts, what a copy's route says of sending means nothing. */
static void a_node_of_several_routes_queues_if_one_of_them_does(void **state)
{
    (void)state;
    static const struct {
        struct line lines[2];
        bool is_copy, queues, journal, stream, back, takes_all;
        const char *why;
    } cases[] = {
        {{{.to = "a"}, {.to = "b"}}, .stream = true, .why = "what fails fails"},
        {{{.to = "a", .queues = true}, {.to = "a"}},
         .queues = true,
         .stream = true,
         .why = "the first queues"},
        {{{.to = "a"}, {.to = "a", .queues = true}},
         .queues = true,
         .stream = true,
         .why = "the second does"},
        {{{.to = "a", .journal = true}, {.to = "a", .queues = true}},
         .queues = true,
         .stream = true,
         .why = "a journal is of use to a route that queues"},
        {{{.to = "a", .queues = true}, {.to = "a", .queues = true, .journal = true}},
         .queues = true,
         .journal = true,
         .stream = true,
         .why = "one that does is enough"},
        {{{.to = "a"}, {.copy = "a", .queues = true, .journal = true, .no_stream = true}},
         .stream = true,
         .takes_all = true,
         .why = "a copy of what is sent says nothing of sending it"},
        {{{.copy = "a", .queues = true, .journal = true, .no_stream = true}, {.to = "a"}},
         .stream = true,
         .takes_all = true,
         .why = "nor where it comes first"},
        {{{.copy = "a"}, {.to = "a", .queues = true, .journal = true, .no_stream = true}},
         .queues = true,
         .journal = true,
         .takes_all = true,
         .why = "the route that sends it says it"},
        {{{.copy = "a", .to = "b"}, {.copy = "a"}},
         .is_copy = true,
         .takes_all = true,
         .why = "the second has nothing but copies"},
        {{{.copy = "a"}, {.copy = "a", .to = "b"}},
         .is_copy = true,
         .takes_all = true,
         .why = "the first has nothing but copies"},
        {{{.copy = "a", .to = "b"}, {.copy = "a", .to = "c"}},
         .is_copy = true,
         .why = "none is of copies alone"},
        {{{.copy = "a", .to = "b"}, {.copy = "a", .to = "c", .back = true}},
         .is_copy = true,
         .back = true,
         .why = "a copy may go back where one says so"},
        {{{.copy = "a", .to = "b", .back = true}, {.to = "a"}},
         .stream = true,
         .back = true,
         .why = "whichever way it is named"},
    };
    struct table t;
    struct route_decision d = {0};
    struct route_facts facts = a_ct();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char got[16];
        build(&t, cases[i].lines, 2);
        decide(&t, &facts, &d, got);
        const struct route_destination *a = NULL;
        for (size_t j = 0; j < d.count; j++) {
            if (d.destinations[j].node == &nodes[0]) {
                assert_null(a);
                a = &d.destinations[j];
            }
        }
        assert_non_null(a);
        if (a->is_copy != cases[i].is_copy || a->queues != cases[i].queues ||
            a->journal != cases[i].journal || a->stream != cases[i].stream ||
            a->back_to_sender != cases[i].back || a->takes_all != cases[i].takes_all) {
            fail_msg("%s", cases[i].why);
        }
    }
    route_decision_free(&d);
}

static void an_unknown_sop_class_before_the_contexts_are_known_may_be_any(void **state)
{
    (void)state;
    const struct line line = {CONFIG_FACT_SOP_CLASS, {MR}, .to = "a"};
    struct table t;
    struct route_facts facts = a_ct_context();
    build(&t, &line, 1);
    assert_false(route_serves(&t.config, &facts));
    facts.sop_class = (struct view){NULL, 0};
    assert_true(route_serves(&t.config, &facts));
    facts.has_instance = true; /* a message without its SOP class has none */
    assert_false(route_serves(&t.config, &facts));
}

static void a_decision_is_used_again_without_what_was_in_it(void **state)
{
    (void)state;
    const struct line lines[] = {{.to = "abcd"}, {CONFIG_FACT_CALLING, {"X"}, .to = "a"}};
    struct table t;
    struct route_decision d = {0};
    struct route_facts facts = a_ct();
    char got[16];
    build(&t, lines, 1);
    assert_string_equal(decide(&t, &facts, &d, got), "abcd");
    const struct route_destination *memory = d.destinations;
    build(&t, lines + 1, 1);
    assert_string_equal(decide(&t, &facts, &d, got), "");
    assert_false(d.matched);
    assert_ptr_equal(d.destinations, memory);
    route_decision_free(&d);
}

/* More nodes than the first allocation has room for. */
static void folders_of_a_decision_want_what_their_patterns_hold(void **state)
{
    (void)state;
    const struct config_node plain = {.name = (char *)"plain"};
    const struct config_node one = {
        .is_folder = true, .folder_attributes = {3, 1}, .folder_attribute_count = 2};
    const struct config_node other = {
        .is_folder = true, .folder_attributes = {3, 3}, .folder_attribute_count = 2};
    struct config config = {.attribute_count = 5};
    struct route_destination destinations[3] = {{.node = &plain}, {.node = &other}, {.node = &one}};
    struct route_decision d = {.destinations = destinations, .count = 1};
    bool wanted[5] = {true}; /* by somebody else */
    assert_false(route_destinations_want(&config, &d, wanted));
    assert_memory_equal(wanted, ((bool[5]){true, false, false, false, false}), 5);
    d.count = 2;
    assert_true(route_destinations_want(&config, &d, wanted));
    assert_memory_equal(wanted, ((bool[5]){true, false, false, true, false}), 5);
    d.count = 3;
    assert_true(route_destinations_want(&config, &d, wanted));
    assert_memory_equal(wanted, ((bool[5]){true, true, false, true, false}), 5);
}

static void many_destinations_fit(void **state)
{
    (void)state;
    static struct config_node many[100];
    const struct config_node *to[100];
    for (size_t i = 0; i < 100; i++) {
        to[i] = &many[i];
    }
    struct config_route route = {.to = to, .to_count = 100, .stream = true};
    struct config config = {.routes = &route, .route_count = 1};
    struct route_decision d = {0};
    struct route_facts facts = a_ct();
    assert_int_equal(route_decide(&config, &facts, &d), OK);
    assert_int_equal(d.count, 100);
    assert_ptr_equal(d.destinations[99].node, &many[99]);
    route_decision_free(&d);
}

/* The user counts, and says yes to a calling title that ends in 1. */
static bool ends_in_1(void *user, const struct config_route *route, enum match *out)
{
    const struct config_value *v = route->conditions[0].values;
    unsigned *calls = user;
    (*calls)++;
    *out = v->glob[strlen(v->glob) - 1] == '1' ? MATCH_YES : MATCH_NO;
    return true;
}

/* A function besides conditions: Lua is not entered where they do not hold, nor before that is known. */
static void a_function_is_asked_where_the_conditions_hold(void **state)
{
    (void)state;
    static const struct {
        struct line line;
        bool has_instance;
        const char *got;
        unsigned calls;
    } cases[] = {
        {{CONFIG_FACT_CALLING, {"CT1"}, .to = "a"}, true, "a", 1},
        {{CONFIG_FACT_CALLING, {"CT*"}, .to = "a"}, true, "", 1},
        {{CONFIG_FACT_CALLING, {"MR1"}, .to = "a"}, true, "", 0},
        {{CONFIG_FACT_SOP_INSTANCE, {"1.2.1"}, .to = "a"}, false, "a", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct table t;
        struct route_decision d = {0};
        char got[16];
        unsigned calls = 0;
        struct route_facts facts = cases[i].has_instance ? a_ct() : a_ct_context();
        facts.holds = ends_in_1;
        facts.user = &calls;
        build(&t, &cases[i].line, 1);
        t.routes[0].has_when_function = true;
        assert_string_equal(decide(&t, &facts, &d, got), cases[i].got);
        assert_int_equal(calls, cases[i].calls);
        route_decision_free(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_condition_holds_as_the_manual_says),
        cmocka_unit_test(a_function_is_asked_where_the_conditions_hold),
        cmocka_unit_test(no_certificate_is_not_any_certificate),
        cmocka_unit_test(every_condition_of_a_route_must_hold),
        cmocka_unit_test(routes_contribute_in_file_order_until_a_final_one),
        cmocka_unit_test(a_node_of_two_routes_keeps_the_first_and_the_stricter_ways),
        cmocka_unit_test(a_node_of_several_routes_is_passed_to_as_the_most_careful_says),
        cmocka_unit_test(copies_stand_behind_and_give_way_to_those_that_the_sender_waits_for),
        cmocka_unit_test(a_node_of_several_routes_queues_if_one_of_them_does),
        cmocka_unit_test(an_unknown_sop_class_before_the_contexts_are_known_may_be_any),
        cmocka_unit_test(a_decision_is_used_again_without_what_was_in_it),
        cmocka_unit_test(folders_of_a_decision_want_what_their_patterns_hold),
        cmocka_unit_test(many_destinations_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
