/* Which archive is asked for what: every instance that somebody has comes, and none twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "relay/split.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum { ARCHIVES = 3, STUDIES = 4, SERIES = 5, INSTANCES = 20 };

/* What archives hold: by study, series and instance a set of them. */
struct world {
    uint32_t has[STUDIES][SERIES][INSTANCES];
    unsigned came[STUDIES][SERIES][INSTANCES];
    uint32_t alive, mute; /* mute: answers no question below the first level */
};

static uint32_t series_set(const struct world *w, unsigned study, unsigned series)
{
    uint32_t set = 0;
    for (unsigned i = 0; i < INSTANCES; i++)
        set |= w->has[study][series][i];
    return set;
}

static uint32_t study_set(const struct world *w, unsigned study)
{
    uint32_t set = 0;
    for (unsigned r = 0; r < SERIES; r++)
        set |= series_set(w, study, r);
    return set;
}

/* UIDs are the numbers themselves. */
static struct view uid_of(unsigned n, char text[16])
{
    snprintf(text, 16, "%u", n);
    return view_of(text);
}

static unsigned number_of(const struct split *s, uint32_t unit)
{
    struct view uid = split_uid(s, unit);
    unsigned n = 0;
    for (size_t i = 0; i < uid.len; i++)
        n = 10 * n + (unsigned)(uid.at[i] - '0');
    return n;
}

/* What each archive of the set says to be in a unit. */
static void open_unit(struct split *s, const struct world *w, uint32_t unit)
{
    enum identifier_level level = s->units[unit].level;
    unsigned study = number_of(s, level == IDENTIFIER_STUDY ? unit : s->units[unit].parent);
    uint32_t holders = s->units[unit].holders;
    char text[16];
    if (holders & w->mute) {
        split_close(s, unit);
        return;
    }
    for (unsigned a = 0; a < ARCHIVES; a++) {
        unsigned n = level == IDENTIFIER_STUDY ? SERIES : INSTANCES;
        for (unsigned i = 0; i < n && (holders >> a & 1); i++) {
            uint32_t set =
                level == IDENTIFIER_STUDY ? series_set(w, study, i) : w->has[study][number_of(s, unit)][i];
            if (set >> a & 1)
                split_add(s, unit, (enum identifier_level)(level + 1), uid_of(i, text), a, 0);
        }
    }
    split_opened(s, unit);
}

static void locate(struct split *s, const struct world *w)
{
    char text[16];
    for (unsigned y = 0; y < STUDIES; y++)
        for (unsigned a = 0; a < ARCHIVES; a++)
            if (study_set(w, y) & w->alive & (1U << a))
                split_add(s, SPLIT_NONE, IDENTIFIER_STUDY, uid_of(y, text), a, 0);
    for (uint32_t i = 0; i < s->count; i++) /* it grows */
        if (split_wants_open(s, i, w->alive))
            open_unit(s, w, i);
}

static void give(struct world *w, unsigned archive, int study, int series, int instance)
{
    for (int y = 0; y < STUDIES; y++)
        for (int r = 0; r < SERIES; r++)
            for (int i = 0; i < INSTANCES; i++)
                if ((study < 0 || study == y) && (series < 0 || series == r) &&
                    (instance < 0 || instance == i) && (w->has[y][r][i] >> archive & 1))
                    w->came[y][r][i]++;
}

/* The archive does what it is asked. */
static void perform(struct split *s, struct world *w, const struct split_job *job)
{
    if (job->is_whole)
        give(w, job->archive, -1, -1, -1);
    for (unsigned k = 0; k < job->count; k++) {
        uint32_t u = job->units[k], above = s->units[u].parent;
        int n = (int)number_of(s, u);
        if (job->level == IDENTIFIER_STUDY)
            give(w, job->archive, n, -1, -1);
        else if (job->level == IDENTIFIER_SERIES)
            give(w, job->archive, (int)number_of(s, above), n, -1);
        else
            give(w, job->archive, (int)number_of(s, s->units[above].parent), (int)number_of(s, above), n);
    }
}

/* `dies` fails the first time it is asked, and is gone. Returns how many requests it took. */
static unsigned retrieve(struct split *s, struct world *w, unsigned dies)
{
    struct split_job job;
    unsigned requests = 0;
    while (split_next(s, w->alive, &job)) {
        requests++;
        assert_true(w->alive >> job.archive & 1);
        assert_true(requests < 1000);
        if (job.archive == dies) {
            w->alive &= ~(1U << dies);
            split_failed(s, &job, w->alive);
            continue;
        }
        perform(s, w, &job);
        split_done(s, &job);
    }
    return requests;
}

static void assert_all_came_once(const struct world *w, unsigned at_most)
{
    for (unsigned y = 0; y < STUDIES; y++)
        for (unsigned r = 0; r < SERIES; r++)
            for (unsigned i = 0; i < INSTANCES; i++) {
                bool is_there = (w->has[y][r][i] & w->alive) != 0;
                if (is_there != (w->came[y][r][i] > 0) || w->came[y][r][i] > at_most)
                    fail_msg("study %u series %u instance %u came %u times", y, r, i, w->came[y][r][i]);
            }
}

static void what_one_archive_holds_is_asked_of_it_as_it_came(void **state)
{
    struct world w = {.alive = 7};
    struct split s = {0};
    struct split_job job;
    (void)state;
    w.has[0][0][0] = w.has[2][1][3] = 1U << 1;
    locate(&s, &w);
    assert_true(split_next(&s, w.alive, &job));
    assert_true(job.is_whole);
    assert_int_equal(job.archive, 1);
    split_done(&s, &job);
    assert_false(split_next(&s, w.alive, &job));
    assert_int_equal(split_lost(&s), 0);
    split_free(&s);
}

static void nobody_has_it_and_nobody_is_asked(void **state)
{
    struct split s = {0};
    struct split_job job;
    (void)state;
    assert_false(split_next(&s, 7, &job));
    assert_int_equal(split_lost(&s), 0);
    assert_int_equal(split_left(&s), 0);
    split_free(&s);
}

static void studies_of_different_archives_go_by_lists(void **state)
{
    struct world w = {.alive = 7};
    struct split s = {0};
    (void)state;
    w.has[0][0][0] = w.has[2][1][3] = 1U << 1;
    w.has[1][0][0] = w.has[3][1][3] = 1U << 2;
    locate(&s, &w);
    assert_int_equal(retrieve(&s, &w, ARCHIVES), 2);
    assert_all_came_once(&w, 1);
    split_free(&s);
}

static void a_mirrored_series_comes_from_one_archive(void **state)
{
    struct world w = {.alive = 7};
    struct split s = {0};
    (void)state;
    for (unsigned i = 0; i < INSTANCES; i++)
        w.has[0][0][i] = 3;
    locate(&s, &w);
    assert_int_equal(retrieve(&s, &w, ARCHIVES), 1);
    assert_all_came_once(&w, 1);
    split_free(&s);
}

static void a_series_that_is_split_comes_from_who_has_most_and_its_rest_from_others(void **state)
{
    struct world w = {.alive = 7};
    struct split s = {0};
    struct split_job job;
    (void)state;
    for (unsigned i = 0; i < INSTANCES; i++)
        w.has[0][0][i] = i < 5 ? 1 : i < 8 ? 3 : 2; /* 8 in the first, 15 in the second, 3 of them in both */
    locate(&s, &w);
    assert_int_equal(split_left(&s), INSTANCES);
    assert_true(split_next(&s, w.alive, &job));
    assert_int_equal(job.level, IDENTIFIER_SERIES);
    assert_int_equal(job.archive, 1);
    assert_int_equal(split_job_count(&s, &job), 15);
    perform(&s, &w, &job);
    split_done(&s, &job);
    assert_int_equal(split_left(&s), 5);
    assert_true(split_next(&s, w.alive, &job));
    assert_int_equal(job.level, IDENTIFIER_IMAGE);
    assert_int_equal(job.archive, 0);
    assert_int_equal(job.count, 5);
    perform(&s, &w, &job);
    split_done(&s, &job);
    assert_false(split_next(&s, w.alive, &job));
    assert_all_came_once(&w, 1);
    split_free(&s);
}

static void what_cannot_be_looked_into_comes_whole_from_each(void **state)
{
    struct world w = {.alive = 7, .mute = 2};
    struct split s = {0};
    (void)state;
    w.has[0][0][0] = 1;
    w.has[0][0][1] = 3;
    w.has[0][0][2] = 2;
    locate(&s, &w);
    assert_int_equal(retrieve(&s, &w, ARCHIVES), 2);
    assert_all_came_once(&w, 2);
    assert_int_equal(split_lost(&s), 0);
    split_free(&s);
}

static void instances_that_were_asked_for_by_name_come_by_lists(void **state)
{
    struct split s = {0};
    struct split_job job;
    unsigned came[3][INSTANCES] = {0};
    char text[16];
    (void)state;
    for (unsigned i = 0; i < INSTANCES; i++)
        for (unsigned a = 0; a < ARCHIVES; a++)
            if (i % 3 == a || i == 0)
                split_add(&s, SPLIT_NONE, IDENTIFIER_IMAGE, uid_of(i, text), a, 0);
    unsigned requests = 0;
    for (; split_next(&s, 7, &job); requests++) {
        assert_int_equal(job.level, IDENTIFIER_IMAGE);
        for (unsigned k = 0; k < job.count; k++)
            came[job.archive][number_of(&s, job.units[k])]++;
        split_done(&s, &job);
    }
    assert_int_equal(requests, 3);
    for (unsigned i = 0; i < INSTANCES; i++)
        assert_int_equal(came[0][i] + came[1][i] + came[2][i], 1);
    split_free(&s);
}

static void what_a_lost_archive_had_comes_from_others_or_is_lost(void **state)
{
    static const struct {
        uint32_t a, b; /* who holds the halves of the series */
        unsigned dies;
        uint32_t lost;
        const char *why;
    } rows[] = {
        {1, 1, 0, 0, "nobody else has it: the caller counts it"},
        {3, 3, 0, 0, "a mirror"},
        {3, 1, 0, INSTANCES / 2, "half a mirror"},
        {3, 1, 1, 0, "the mirror itself is lost, and not needed"},
        {1, 2, 1, 0, "the second half, of which nobody else knows: the caller counts it"},
    };
    (void)state;
    for (size_t k = 0; k < COUNT(rows); k++) {
        struct world w = {.alive = 7};
        struct split s = {0};
        for (unsigned i = 0; i < INSTANCES; i++)
            w.has[0][0][i] = i < INSTANCES / 2 ? rows[k].a : rows[k].b;
        locate(&s, &w);
        retrieve(&s, &w, rows[k].dies);
        if (split_lost(&s) != rows[k].lost)
            fail_msg("%s: %u lost", rows[k].why, split_lost(&s));
        assert_all_came_once(&w, 1);
        split_free(&s);
    }
}

/* Any world: everything comes, once; and with an archive that dies on its first request everything that others have. */
static void whatever_archives_hold_all_of_it_comes_once(void **state)
{
    uint32_t seed = 7;
    (void)state;
    for (unsigned round = 0; round < 2000; round++) {
        struct world w = {.alive = 7};
        struct split s = {0};
        unsigned style = round % 4;
        for (unsigned y = 0; y < STUDIES; y++)
            for (unsigned r = 0; r < SERIES; r++) {
                seed = seed * 1664525 + 1013904223;
                uint32_t common = seed >> 13 & seed >> 20 & 7;
                for (unsigned i = 0; i < INSTANCES; i++) {
                    seed = seed * 1664525 + 1013904223;
                    w.has[y][r][i] = style == 0 ? seed >> 16 & 7 : style == 1 ? common : common & seed >> 16;
                }
            }
        locate(&s, &w);
        retrieve(&s, &w, style == 3 ? round / 4 % ARCHIVES : ARCHIVES);
        assert_all_came_once(&w, 1);
        split_free(&s);
    }
}

static void too_many_are_refused_and_none_is_lost(void **state)
{
    struct split s = {0};
    char text[16];
    (void)state;
    for (unsigned i = 0; i < SPLIT_UNITS_MAX; i++)
        assert_int_equal(split_add(&s, SPLIT_NONE, IDENTIFIER_IMAGE, uid_of(i, text), 0, 0), i);
    assert_int_equal(split_add(&s, SPLIT_NONE, IDENTIFIER_IMAGE, uid_of(SPLIT_UNITS_MAX, text), 0, 0),
                     SPLIT_NONE);
    assert_int_equal(split_left(&s), SPLIT_UNITS_MAX);
    split_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_one_archive_holds_is_asked_of_it_as_it_came),
        cmocka_unit_test(nobody_has_it_and_nobody_is_asked),
        cmocka_unit_test(studies_of_different_archives_go_by_lists),
        cmocka_unit_test(a_mirrored_series_comes_from_one_archive),
        cmocka_unit_test(a_series_that_is_split_comes_from_who_has_most_and_its_rest_from_others),
        cmocka_unit_test(what_cannot_be_looked_into_comes_whole_from_each),
        cmocka_unit_test(instances_that_were_asked_for_by_name_come_by_lists),
        cmocka_unit_test(what_a_lost_archive_had_comes_from_others_or_is_lost),
        cmocka_unit_test(whatever_archives_hold_all_of_it_comes_once),
        cmocka_unit_test(too_many_are_refused_and_none_is_lost),
    };
    return cmocka_run_group_tests_name("split", tests, NULL, NULL);
}
