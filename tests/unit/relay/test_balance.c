/* Which member of a pool is a study's: even, by weight, the same everywhere and for ever, and moved by nobody's coming and going but its own. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "relay/balance.h"

enum { STUDIES = 1000, MOST = 5 };

struct pool_of {
    struct config_pool pool;
    struct config_node nodes[MOST];
    const struct config_node *members[MOST];
    unsigned weights[MOST];
};

static void fill(struct pool_of *p, size_t count, const char *const *names, const unsigned *weights)
{
    *p = (struct pool_of){0};
    for (size_t i = 0; i < count; i++) {
        p->nodes[i].name = (char *)names[i];
        p->members[i] = &p->nodes[i];
        p->weights[i] = weights ? weights[i] : 1;
    }
    p->pool.members = p->members;
    p->pool.weights = p->weights;
    p->pool.member_count = count;
}

static const char *const three[] = {"pacs1", "pacs2", "pacs3"};

static int of_study(const struct pool_of *p, unsigned study, uint64_t passed_over)
{
    char uid[65];
    snprintf(uid, sizeof(uid), "1.2.826.0.1.3680043.8.498.%u", study);
    struct balance b = {.pool = &p->pool, .key = {(const uint8_t *)uid, strlen(uid)}};
    return balance_first(&b, CONFIG_BALANCE_STUDY, passed_over);
}

static void count_studies(const struct pool_of *p, unsigned studies, unsigned counts[MOST])
{
    memset(counts, 0, MOST * sizeof(*counts));
    for (unsigned i = 0; i < studies; i++)
        counts[of_study(p, i, 0)]++;
}

/* Studies that are somewhere must be found there by every later version. */
static void a_study_goes_where_it_always_went(void **state)
{
    static const struct {
        const char *study;
        int member;
    } known[] = {
        {"1.2.3", 0},
        {"1.2.840.113619.2.55.3.604688119.868.1234567890.1", 2},
        {"2.25.329800735698586629295641978511506172918", 2},
        {"1.2.826.0.1.3680043.8.498.1", 1},
        {"", 1},
    };
    struct pool_of p;
    (void)state;
    fill(&p, 3, three, NULL);
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct balance b = {.pool = &p.pool,
                            .key = {(const uint8_t *)known[i].study, strlen(known[i].study)}};
        assert_int_equal(balance_first(&b, CONFIG_BALANCE_STUDY, 0), known[i].member);
    }
    struct view uid = {(const uint8_t *)"1.2.3", 5};
    assert_true(fabs(balance_score("pacs1", 1, uid) - 3.1103468438301514) < 1e-12);
    assert_true(fabs(balance_score("pacs1", 3, uid) - 3 * 3.1103468438301514) < 1e-12);
}

static void a_thousand_studies_are_spread_evenly(void **state)
{
    struct pool_of p;
    unsigned counts[MOST];
    (void)state;
    fill(&p, 3, three, NULL);
    count_studies(&p, STUDIES, counts);
    for (size_t i = 0; i < 3; i++)
        assert_true(fabs(counts[i] - STUDIES / 3.0) < 0.15 * STUDIES / 3.0);
}

static void weights_are_kept(void **state)
{
    static const unsigned weights[] = {1, 2, 5};
    struct pool_of p;
    unsigned counts[MOST];
    (void)state;
    fill(&p, 3, three, weights);
    count_studies(&p, 10 * STUDIES, counts);
    for (size_t i = 0; i < 3; i++)
        assert_true(fabs(counts[i] - 10.0 * STUDIES * weights[i] / 8) < 0.1 * 10 * STUDIES * weights[i] / 8);
}

/* The order in the file, and what else is in the pool, is nothing to a study whose member stays. */
static void only_the_studies_of_a_member_that_goes_move(void **state)
{
    static const char *const turned[] = {"pacs3", "pacs1", "pacs2"};
    struct pool_of p, other;
    unsigned moved = 0;
    (void)state;
    fill(&p, 3, three, NULL);
    fill(&other, 3, turned, NULL);
    for (unsigned i = 0; i < STUDIES; i++) {
        int whole = of_study(&p, i, 0), without = of_study(&p, i, 1 << 1);
        assert_string_equal(three[whole], turned[of_study(&other, i, 0)]);
        assert_int_not_equal(without, 1);
        if (whole != 1)
            assert_int_equal(without, whole);
        moved += without != whole;
    }
    assert_in_range(moved, 1, STUDIES / 3 * 1.15);
}

/* To a pool of two comes a third: it takes its share, and nothing moves between the two. */
static void a_member_that_comes_takes_its_share(void **state)
{
    struct pool_of two, p;
    unsigned moved = 0;
    (void)state;
    fill(&two, 2, three, NULL);
    fill(&p, 3, three, NULL);
    for (unsigned i = 0; i < STUDIES; i++) {
        int before = of_study(&two, i, 0), after = of_study(&p, i, 0);
        assert_true(after == before || after == 2);
        moved += after != before;
    }
    assert_in_range(moved, 1, STUDIES / 3 * 1.15);
}

static void least_is_by_bytes_for_the_weight(void **state)
{
    static const unsigned weights[] = {1, 2, 1};
    static const struct {
        uint64_t outstanding[3], passed_over;
        int first;
        const char *why;
    } cases[] = {
        {{100, 50, 70}, 0, 1, "fewest bytes"},
        {{100, 150, 70}, 0, 2, "70 for 1 is less than 150 for 2"},
        {{100, 180, 99}, 4, 1, "the best one is passed over; 90 for each"},
        {{100, 130, 70}, 0, 1, "65 for each"},
        {{0, 0, 0}, 7, BALANCE_NONE, "all are passed over"},
    };
    struct pool_of p;
    (void)state;
    fill(&p, 3, three, weights);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct balance b = {.pool = &p.pool, .key = {(const uint8_t *)"1", 1}};
        b.outstanding = cases[i].outstanding;
        if (balance_first(&b, CONFIG_BALANCE_LEAST, cases[i].passed_over) != cases[i].first)
            fail_msg("%s", cases[i].why);
    }
}

/* Nobody has anything: not always the first one gets it. */
static void least_spreads_what_is_equal(void **state)
{
    static const uint64_t none[3] = {0};
    struct pool_of p;
    unsigned counts[3] = {0};
    (void)state;
    fill(&p, 3, three, NULL);
    for (unsigned i = 0; i < 300; i++) {
        struct balance b = {.pool = &p.pool, .key = {(const uint8_t *)&i, sizeof(i)}, .outstanding = none};
        counts[balance_first(&b, CONFIG_BALANCE_LEAST, 0)]++;
    }
    for (size_t i = 0; i < 3; i++)
        assert_in_range(counts[i], 70, 130);
}

static void turns_follow_the_weights(void **state)
{
    static const unsigned even[] = {1, 1, 1}, uneven[] = {5, 1, 1};
    static const int evenly[] = {0, 1, 2, 0, 1, 2}, unevenly[] = {0, 0, 1, 0, 2, 0, 0, 0, 0, 1};
    struct pool_of p;
    (void)state;
    fill(&p, 3, three, even);
    for (unsigned turn = 0; turn < 6; turn++) {
        struct balance b = {.pool = &p.pool, .turn = turn};
        assert_int_equal(balance_first(&b, CONFIG_BALANCE_ROUND_ROBIN, 0), evenly[turn]);
        assert_int_equal(balance_first(&b, CONFIG_BALANCE_ROUND_ROBIN, UINT64_C(1) << evenly[turn]),
                         (evenly[turn] + 1) % 3);
    }
    fill(&p, 3, three, uneven);
    for (unsigned turn = 0; turn < 10; turn++) {
        struct balance b = {.pool = &p.pool, .turn = turn};
        assert_int_equal(balance_first(&b, CONFIG_BALANCE_ROUND_ROBIN, 0), unevenly[turn]);
    }
}

static void failover_goes_by_the_file(void **state)
{
    struct pool_of p;
    (void)state;
    fill(&p, 3, three, NULL);
    struct balance b = {.pool = &p.pool};
    assert_int_equal(balance_first(&b, CONFIG_BALANCE_FAILOVER, 0), 0);
    assert_int_equal(balance_first(&b, CONFIG_BALANCE_FAILOVER, 1), 1);
    assert_int_equal(balance_first(&b, CONFIG_BALANCE_FAILOVER, 3), 2);
    assert_int_equal(balance_first(&b, CONFIG_BALANCE_FAILOVER, 7), BALANCE_NONE);
    assert_int_equal(balance_member(&p.pool, "pacs3"), 2);
    assert_int_equal(balance_member(&p.pool, "pacs4"), BALANCE_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_study_goes_where_it_always_went),
        cmocka_unit_test(a_thousand_studies_are_spread_evenly),
        cmocka_unit_test(weights_are_kept),
        cmocka_unit_test(only_the_studies_of_a_member_that_goes_move),
        cmocka_unit_test(a_member_that_comes_takes_its_share),
        cmocka_unit_test(least_is_by_bytes_for_the_weight),
        cmocka_unit_test(least_spreads_what_is_equal),
        cmocka_unit_test(turns_follow_the_weights),
        cmocka_unit_test(failover_goes_by_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
