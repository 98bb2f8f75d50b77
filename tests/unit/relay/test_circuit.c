/* Circuits: every transition, in tables; what is one node and what is not; many threads. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/log.h"
#include "relay/circuit.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { FIRST = 1000, MOST = 3500, START = 10000 };

static struct config_node node_on(uint16_t port)
{
    return (struct config_node){.name = (char *)"pacs",
                                .host = (char *)"10.0.0.1",
                                .port = port,
                                .ae_title = (char *)"PACS",
                                .retry_first_ms = FIRST,
                                .retry_most_ms = MOST};
}

/* --- transitions ------------------------------------------------------------------------------------------------ */

enum act { SIGN, ASK, ASK_WITHOUT_TRIAL, PROBE, END_TRIAL };
enum answer { NO, YES, TRIAL };

struct step {
    uint64_t after_ms; /* the step before */
    enum act act;
    enum circuit_sign sign;
    enum answer answer;       /* of the asking ones */
    enum circuit_state state; /* afterwards */
    unsigned failures;
    uint64_t pause_ms; /* that is left; open only */
};

#define ASKS(ms, answer_, state_, failures_, pause)                                                          \
    {                                                                                                        \
        ms, ASK, 0, answer_, state_, failures_, pause                                                        \
    }
#define SIGNS(ms, sign_, state_, failures_, pause)                                                           \
    {                                                                                                        \
        ms, SIGN, sign_, 0, state_, failures_, pause                                                         \
    }

struct story {
    const char *what;
    uint64_t health_ms;
    struct step steps[14];
    unsigned count;
};

static const struct story stories[] = {
    {"of what nothing is known is there", 0, {ASKS(0, YES, CIRCUIT_CLOSED, 0, 0)}, 1},
    {"a failure to connect opens at once",
     0,
     {SIGNS(0, CIRCUIT_UNREACHABLE, CIRCUIT_OPEN, 1, FIRST), ASKS(0, NO, CIRCUIT_OPEN, 1, FIRST),
      ASKS(FIRST - 1, NO, CIRCUIT_OPEN, 1, 1), ASKS(1, TRIAL, CIRCUIT_HALF_OPEN, 1, 0)},
     4},
    {"trouble opens the third time",
     0,
     {SIGNS(0, CIRCUIT_TROUBLE, CIRCUIT_CLOSED, 1, 0), ASKS(0, YES, CIRCUIT_CLOSED, 1, 0),
      SIGNS(0, CIRCUIT_TROUBLE, CIRCUIT_CLOSED, 2, 0), ASKS(0, YES, CIRCUIT_CLOSED, 2, 0),
      SIGNS(0, CIRCUIT_TROUBLE, CIRCUIT_OPEN, 3, FIRST), ASKS(0, NO, CIRCUIT_OPEN, 3, FIRST)},
     6},
    {"a success between begins the count anew",
     0,
     {SIGNS(0, CIRCUIT_TROUBLE, CIRCUIT_CLOSED, 1, 0), SIGNS(0, CIRCUIT_TROUBLE, CIRCUIT_CLOSED, 2, 0),
      SIGNS(0, CIRCUIT_SUCCESS, CIRCUIT_CLOSED, 0, 0), SIGNS(0, CIRCUIT_TROUBLE, CIRCUIT_CLOSED, 1, 0),
      SIGNS(0, CIRCUIT_TROUBLE, CIRCUIT_CLOSED, 2, 0), ASKS(0, YES, CIRCUIT_CLOSED, 2, 0)},
     6},
    {"an association between does not: it may accept all and answer nothing",
     0,
     {SIGNS(0, CIRCUIT_TROUBLE, CIRCUIT_CLOSED, 1, 0), SIGNS(0, CIRCUIT_THERE, CIRCUIT_CLOSED, 1, 0),
      SIGNS(0, CIRCUIT_TROUBLE, CIRCUIT_CLOSED, 2, 0), SIGNS(0, CIRCUIT_THERE, CIRCUIT_CLOSED, 2, 0),
      SIGNS(0, CIRCUIT_TROUBLE, CIRCUIT_OPEN, 3, FIRST)},
     5},
    {"one trial at a time, and its success closes",
     0,
     {SIGNS(0, CIRCUIT_UNREACHABLE, CIRCUIT_OPEN, 1, FIRST), ASKS(FIRST, TRIAL, CIRCUIT_HALF_OPEN, 1, 0),
      ASKS(0, NO, CIRCUIT_HALF_OPEN, 1, 0), SIGNS(10, CIRCUIT_SUCCESS, CIRCUIT_CLOSED, 0, 0),
      ASKS(0, YES, CIRCUIT_CLOSED, 0, 0)},
     5},
    {"its failure opens for longer, up to the most; then it begins anew",
     0,
     {SIGNS(0, CIRCUIT_UNREACHABLE, CIRCUIT_OPEN, 1, FIRST), ASKS(FIRST, TRIAL, CIRCUIT_HALF_OPEN, 1, 0),
      SIGNS(5, CIRCUIT_UNREACHABLE, CIRCUIT_OPEN, 2, 2 * FIRST), ASKS(0, NO, CIRCUIT_OPEN, 2, 2 * FIRST),
      ASKS(2 * FIRST, TRIAL, CIRCUIT_HALF_OPEN, 2, 0), SIGNS(5, CIRCUIT_TROUBLE, CIRCUIT_OPEN, 3, MOST),
      ASKS(MOST, TRIAL, CIRCUIT_HALF_OPEN, 3, 0), SIGNS(5, CIRCUIT_UNREACHABLE, CIRCUIT_OPEN, 4, MOST),
      ASKS(MOST, TRIAL, CIRCUIT_HALF_OPEN, 4, 0), SIGNS(5, CIRCUIT_SUCCESS, CIRCUIT_CLOSED, 0, 0),
      SIGNS(5, CIRCUIT_UNREACHABLE, CIRCUIT_OPEN, 1, FIRST)},
     11},
    {"those who had to try while it was open make the pause no longer",
     0,
     {SIGNS(0, CIRCUIT_UNREACHABLE, CIRCUIT_OPEN, 1, FIRST),
      SIGNS(400, CIRCUIT_UNREACHABLE, CIRCUIT_OPEN, 2, FIRST - 400),
      SIGNS(0, CIRCUIT_TROUBLE, CIRCUIT_OPEN, 3, FIRST - 400),
      ASKS(FIRST - 400, TRIAL, CIRCUIT_HALF_OPEN, 3, 0)},
     4},
    {"and their success closes it",
     0,
     {SIGNS(0, CIRCUIT_UNREACHABLE, CIRCUIT_OPEN, 1, FIRST), SIGNS(1, CIRCUIT_SUCCESS, CIRCUIT_CLOSED, 0, 0),
      ASKS(0, YES, CIRCUIT_CLOSED, 0, 0)},
     3},
    {"an association closes what the want of one had opened",
     0,
     {SIGNS(0, CIRCUIT_UNREACHABLE, CIRCUIT_OPEN, 1, FIRST), SIGNS(1, CIRCUIT_THERE, CIRCUIT_CLOSED, 0, 0)},
     2},
    {"but not what trouble had",
     0,
     {SIGNS(0, CIRCUIT_TROUBLE, CIRCUIT_CLOSED, 1, 0), SIGNS(0, CIRCUIT_TROUBLE, CIRCUIT_CLOSED, 2, 0),
      SIGNS(0, CIRCUIT_TROUBLE, CIRCUIT_OPEN, 3, FIRST), SIGNS(1, CIRCUIT_THERE, CIRCUIT_OPEN, 3, FIRST - 1),
      ASKS(FIRST, TRIAL, CIRCUIT_HALF_OPEN, 3, 0), SIGNS(1, CIRCUIT_THERE, CIRCUIT_HALF_OPEN, 3, 0),
      ASKS(0, NO, CIRCUIT_HALF_OPEN, 3, 0)},
     7},
    {"a trial that shows nothing leaves room for another",
     0,
     {SIGNS(0, CIRCUIT_UNREACHABLE, CIRCUIT_OPEN, 1, FIRST),
      ASKS(FIRST, TRIAL, CIRCUIT_HALF_OPEN, 1, 0),
      ASKS(0, NO, CIRCUIT_HALF_OPEN, 1, 0),
      {0, END_TRIAL, 0, 0, CIRCUIT_HALF_OPEN, 1, 0},
      ASKS(0, TRIAL, CIRCUIT_HALF_OPEN, 1, 0)},
     5},
    {"the end of a trial does not end the pause that came of it",
     0,
     {SIGNS(0, CIRCUIT_UNREACHABLE, CIRCUIT_OPEN, 1, FIRST),
      ASKS(FIRST, TRIAL, CIRCUIT_HALF_OPEN, 1, 0),
      SIGNS(0, CIRCUIT_UNREACHABLE, CIRCUIT_OPEN, 2, 2 * FIRST),
      {0, END_TRIAL, 0, 0, CIRCUIT_OPEN, 2, 2 * FIRST},
      ASKS(0, NO, CIRCUIT_OPEN, 2, 2 * FIRST)},
     5},
    {"nor opens a circuit that is closed",
     0,
     {SIGNS(0, CIRCUIT_TROUBLE, CIRCUIT_CLOSED, 1, 0), {0, END_TRIAL, 0, 0, CIRCUIT_CLOSED, 1, 0}},
     2},
    {"a trial of which nothing is heard is forgotten",
     0,
     {SIGNS(0, CIRCUIT_UNREACHABLE, CIRCUIT_OPEN, 1, FIRST), ASKS(FIRST, TRIAL, CIRCUIT_HALF_OPEN, 1, 0),
      ASKS(CIRCUIT_TRIAL_MS - 1, NO, CIRCUIT_HALF_OPEN, 1, 0), ASKS(1, TRIAL, CIRCUIT_HALF_OPEN, 1, 0)},
     4},
    {"who takes no trial finds it away until it is closed",
     0,
     {{0, ASK_WITHOUT_TRIAL, 0, YES, CIRCUIT_CLOSED, 0, 0},
      SIGNS(0, CIRCUIT_UNREACHABLE, CIRCUIT_OPEN, 1, FIRST),
      {FIRST, ASK_WITHOUT_TRIAL, 0, NO, CIRCUIT_HALF_OPEN, 1, 0},
      ASKS(0, TRIAL, CIRCUIT_HALF_OPEN, 1, 0)},
     4},
    {"a probe is no trial of what is closed, nor before the pause is over",
     500,
     {{0, PROBE, 0, NO, CIRCUIT_CLOSED, 0, 0},
      SIGNS(0, CIRCUIT_UNREACHABLE, CIRCUIT_OPEN, 1, FIRST),
      {FIRST - 1, PROBE, 0, NO, CIRCUIT_OPEN, 1, 1},
      {1, PROBE, 0, TRIAL, CIRCUIT_HALF_OPEN, 1, 0},
      {0, PROBE, 0, NO, CIRCUIT_HALF_OPEN, 1, 0}},
     5},
    {"where there are probes, messages leave the trial to them, for a while",
     500,
     {SIGNS(0, CIRCUIT_UNREACHABLE, CIRCUIT_OPEN, 1, FIRST),
      ASKS(FIRST + CIRCUIT_PROBE_MS - 1, NO, CIRCUIT_HALF_OPEN, 1, 0),
      ASKS(1, TRIAL, CIRCUIT_HALF_OPEN, 1, 0)},
     3},
};

static enum answer ask(struct circuits *c, const struct config_node *node, enum act act, uint64_t now)
{
    bool is_trial = false;
    if (act == PROBE)
        return circuit_may_probe(c, node, now) ? TRIAL : NO;
    if (!circuit_may_try(c, node, now, act == ASK ? &is_trial : NULL))
        return NO;
    return is_trial ? TRIAL : YES;
}

static void walk(const struct story *story)
{
    struct circuits *c = circuits_new();
    struct config_node node = node_on(104);
    uint64_t now = START;
    node.health_ms = story->health_ms;
    for (unsigned i = 0; i < story->count; i++) {
        const struct step *step = &story->steps[i];
        struct circuit_view view;
        enum answer answer = step->answer;
        now += step->after_ms;
        if (step->act == SIGN)
            circuit_sign(c, &node, step->sign, "because", now);
        else if (step->act == END_TRIAL)
            circuit_end_trial(c, &node, now);
        else
            answer = ask(c, &node, step->act, now);
        circuit_look(c, &node, now, &view);
        uint64_t pause = view.state == CIRCUIT_OPEN ? view.until_ms - now : 0;
        if (answer != step->answer || view.state != step->state || view.failures != step->failures ||
            pause != step->pause_ms)
            fail_msg("%s: step %u: answer %d, state %d, %u failures, %u ms left", story->what, i + 1, answer,
                     view.state, view.failures, (unsigned)pause);
    }
    circuits_free(&c);
    assert_null(c);
}

static void every_transition(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(stories); i++)
        walk(&stories[i]);
}

/* --- what people see -------------------------------------------------------------------------------------------- */

static void a_view_says_since_when_and_why(void **state)
{
    (void)state;
    struct circuits *c = circuits_new();
    struct config_node node = node_on(104);
    struct circuit_view view;
    bool is_trial;
    circuit_look(c, &node, START, &view);
    assert_int_equal(view.changed_ms, 0);
    circuit_sign(c, &node, CIRCUIT_UNREACHABLE, "connection refused", START);
    assert_true(circuit_may_try(c, &node, START + FIRST, &is_trial) && is_trial);
    circuit_look(c, &node, START + FIRST, &view);
    assert_true(view.is_trying);
    assert_string_equal(view.cause, "connection refused");
    circuit_sign(c, &node, CIRCUIT_UNREACHABLE, "timed out", START + FIRST);
    circuit_look(c, &node, START + FIRST, &view);
    assert_false(view.is_trying);
    assert_int_equal(view.changed_ms, START); /* away since then, however often it was tried */
    assert_int_equal(view.until_ms, START + 3 * FIRST);
    assert_string_equal(view.cause, "timed out");
    circuit_sign(c, &node, CIRCUIT_SUCCESS, NULL, START + 2000);
    circuit_look(c, &node, START + 2000, &view);
    assert_int_equal(view.changed_ms, START + 2000);
    assert_string_equal(view.cause, "");
    circuits_free(&c);
}

static void nothing_is_left_untried_for_long(void **state)
{
    (void)state;
    struct circuits *c = circuits_new();
    struct config_node node = node_on(104);
    struct circuit_view view = {.until_ms = START};
    node.retry_most_ms = 600000;
    for (unsigned i = 0; i < 20; i++) {
        uint64_t now = view.until_ms;
        circuit_sign(c, &node, CIRCUIT_UNREACHABLE, "gone", now);
        circuit_look(c, &node, now, &view);
        assert_true(view.until_ms - now <= CIRCUIT_PAUSE_MOST_MS);
    }
    circuits_free(&c);
}

static void what_is_drained_may_be_tried(void **state)
{
    (void)state;
    struct circuits *c = circuits_new();
    struct config_node node = node_on(104), other = node_on(105);
    bool is_trial;
    assert_false(circuit_is_drained(c, &node));
    circuit_drain(c, &node, true);
    assert_true(circuit_is_drained(c, &node));
    assert_false(circuit_is_drained(c, &other));
    assert_true(circuit_may_try(c, &node, START, &is_trial));
    circuit_drain(c, &node, false);
    circuit_drain(c, &other, false);
    assert_false(circuit_is_drained(c, &node));
    circuits_free(&c);
}

static void what_is_on_its_way_is_a_sum(void **state)
{
    (void)state;
    struct circuits *c = circuits_new();
    struct config_node node = node_on(104);
    struct circuit_view view;
    circuit_add_outstanding(c, &node, 1000);
    circuit_add_outstanding(c, &node, 500);
    circuit_add_outstanding(c, &node, -1000);
    circuit_look(c, &node, START, &view);
    assert_int_equal(view.bytes_outstanding, 500);
    circuits_free(&c);
}

/* --- identity ---------------------------------------------------------------------------------------------------- */

static void a_node_is_its_host_port_and_title(void **state)
{
    (void)state;
    static const struct {
        const char *host, *title, *name;
        uint16_t port;
        bool is_same;
    } others[] = {
        {"10.0.0.1", "PACS", "renamed by a reload", 104, true},
        {"10.0.0.2", "PACS", "pacs", 104, false},
        {"10.0.0.1", "PACS", "pacs", 105, false},
        {"10.0.0.1", "PACS2", "pacs", 104, false},
    };
    struct circuits *c = circuits_new();
    struct config_node node = node_on(104);
    circuit_sign(c, &node, CIRCUIT_UNREACHABLE, "gone", START);
    for (size_t i = 0; i < COUNT(others); i++) {
        struct config_node other = node_on(others[i].port);
        other.name = (char *)others[i].name;
        other.host = (char *)others[i].host;
        other.ae_title = (char *)others[i].title;
        assert_int_equal(circuit_may_try(c, &other, START, NULL), !others[i].is_same);
    }
    circuits_free(&c);
}

static void folders_and_pools_are_always_there(void **state)
{
    (void)state;
    struct circuits *c = circuits_new();
    struct config_node folder = {.name = (char *)"disk", .is_folder = true};
    struct config_pool pool = {.as_node = {.name = (char *)"archive"}};
    pool.as_node.pool = &pool;
    const struct config_node *nodes[] = {&folder, &pool.as_node};
    for (size_t i = 0; i < COUNT(nodes); i++) {
        struct circuit_view view;
        circuit_sign(c, nodes[i], CIRCUIT_UNREACHABLE, "no", START);
        circuit_drain(c, nodes[i], true);
        circuit_add_outstanding(c, nodes[i], 5);
        circuit_look(c, nodes[i], START, &view);
        assert_true(circuit_may_try(c, nodes[i], START, NULL));
        assert_false(circuit_is_drained(c, nodes[i]));
        assert_int_equal(view.state, CIRCUIT_CLOSED);
    }
    circuits_free(&c);
}

/* More nodes than there are places for, as after very many reloads: those known before stay, new ones are simply not known. */
static void what_has_no_place_is_there(void **state)
{
    (void)state;
    struct circuits *c = circuits_new();
    for (unsigned i = 0; i < CIRCUITS_MAX + 100; i++) {
        struct config_node node = node_on((uint16_t)(i + 1));
        circuit_sign(c, &node, CIRCUIT_UNREACHABLE, "gone", START);
    }
    for (unsigned i = 0; i < CIRCUITS_MAX + 100; i++) {
        struct config_node node = node_on((uint16_t)(i + 1));
        assert_int_equal(circuit_may_try(c, &node, START, NULL), i >= CIRCUITS_MAX);
    }
    circuits_free(&c);
}

/* --- threads ----------------------------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 500 };

struct crowd {
    struct circuits *c;
    atomic_uint round, arrived;
    atomic_uint trials[ROUNDS];
};

/* Each round all ask for the trial of a circuit of the round's own, while another node's goes up and down. */
static void *crowd_main(void *arg)
{
    struct crowd *crowd = arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct config_node node = node_on((uint16_t)(i + 1)), other = node_on(60000);
        bool is_trial = false;
        circuit_sign(crowd->c, &node, CIRCUIT_UNREACHABLE, "gone", START);
        atomic_fetch_add(&crowd->arrived, 1);
        while (atomic_load(&crowd->arrived) < THREADS * (i + 1))
            sched_yield();
        circuit_may_try(crowd->c, &node, START + FIRST, &is_trial);
        atomic_fetch_add(&crowd->trials[i], is_trial);
        circuit_sign(crowd->c, &other, i % 2 ? CIRCUIT_SUCCESS : CIRCUIT_TROUBLE, "some", START + i);
        circuit_add_outstanding(crowd->c, &other, i % 2 ? -10 : 10);
        struct circuit_view view;
        circuit_look(crowd->c, &other, START + i, &view);
    }
    return NULL;
}

static void of_many_threads_one_gets_the_trial(void **state)
{
    (void)state;
    static struct crowd crowd;
    pthread_t threads[THREADS];
    struct config_node other = node_on(60000);
    struct circuit_view view;
    crowd = (struct crowd){.c = circuits_new()};
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_main, &crowd), 0);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < ROUNDS; i++)
        assert_int_equal(atomic_load(&crowd.trials[i]), 1);
    circuit_look(crowd.c, &other, START, &view);
    assert_int_equal(view.bytes_outstanding, 0);
    circuits_free(&crowd.c);
}

int main(void)
{
    log_configure(LOG_ERROR, LOG_LOGFMT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_transition),
        cmocka_unit_test(a_view_says_since_when_and_why),
        cmocka_unit_test(nothing_is_left_untried_for_long),
        cmocka_unit_test(what_is_drained_may_be_tried),
        cmocka_unit_test(what_is_on_its_way_is_a_sum),
        cmocka_unit_test(a_node_is_its_host_port_and_title),
        cmocka_unit_test(folders_and_pools_are_always_there),
        cmocka_unit_test(what_has_no_place_is_there),
        cmocka_unit_test(of_many_threads_one_gets_the_trial),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
