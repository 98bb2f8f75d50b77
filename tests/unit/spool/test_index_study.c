/* Held groups in the index: what asks waits for its answer, and an answer's record says all that becomes of it. */
#include "test_index.h"

enum { QUIET = 60000 };

static const struct spool_new_entry pacs = {.node = "pacs",
                                            .route = "CT",
                                            .edition = SPOOL_AS_RECEIVED,
                                            .hold_ms = QUIET,
                                            .group = "study",
                                            .asks = true};

static void take_held(struct fixture *f, uint64_t number, uint64_t at_ms, const char *study,
                      const char *series, const char *second)
{
    char instance[64];
    struct spool_new_entry entries[] = {pacs, pacs};
    entries[1].node = second;
    snprintf(instance, sizeof(instance), "1.2.3.%llu", (unsigned long long)number);
    take(f, &(struct message){.number = number,
                              .received_ms = at_ms,
                              .study = study,
                              .series = series,
                              .instance = instance,
                              .entries = entries,
                              .count = second ? 2 : 1,
                              .segment = 1,
                              .in = 1});
}

static void on_no_node(void *owner, const char *node)
{
    (void)owner;
    fail_msg("%s was woken", node);
}

struct groups {
    int64_t of[8];
    size_t count, most;
    uint64_t due_ms; /* of the last */
};

static bool on_group(void *owner, int64_t group, struct view route, uint64_t due_ms)
{
    struct groups *g = owner;
    assert_int_equal(route.len, 2);
    assert_memory_equal(route.at, "CT", 2);
    g->due_ms = due_ms;
    g->of[g->count++] = group;
    return g->count < g->most;
}

/* How many groups are due; the first one's number. */
static size_t due(struct fixture *f, uint64_t now_ms, int64_t *first, uint64_t *next_ms)
{
    struct groups g = {.most = 8};
    assert_int_equal(index_studies(f->i, now_ms, on_group, &g, next_ms), OK);
    assert_true(g.count == 0 || g.due_ms > 0 || now_ms < 10000);
    *first = g.of[0];
    return g.count;
}

static struct spool_asked *asked(struct fixture *f, int64_t group)
{
    struct spool_asked *a;
    bool others;
    assert_int_equal(index_study_read(f->i, group, &a, &others), OK);
    assert_false(others);
    return a;
}

/* Writes the release as the indexer does, with ids from `first_id`, and takes it `times` times. */
static size_t release(struct fixture *f, const struct spool_asked *a, const char *const *nodes, size_t count,
                      uint64_t first_id, int times)
{
    struct record_added *added;
    size_t added_count;
    struct octets o = {0};
    struct record_release r;
    spool_id ids[16];
    assert_int_equal(index_study_added(f->i, a, nodes, count, &added, &added_count), OK);
    for (size_t n = 0; n < added_count; n++)
        added[n].id = ID(1, first_id + n);
    for (size_t n = 0; n < a->count; n++)
        ids[n] = a->entries[n].id;
    record_release_write(&o, 90000, nodes, count, ids, a->count, added, added_count);
    assert_int_equal(record_release_read((struct view){o.data, o.len}, &r), OK);
    for (int n = 0; n < times; n++)
        assert_int_equal(index_take_release(f->i, &r, (struct record_place){1, 5}), OK);
    octets_free(&o);
    free(added);
    return added_count;
}

static void idle(struct fixture *f, char *text, size_t cap)
{
    struct record_place places[16];
    size_t count, len = 0;
    text[0] = '\0';
    assert_int_equal(index_idle_segments(f->i, places, 16, &count), OK);
    for (size_t n = 0; n < count; n++)
        len += (size_t)snprintf(text + len, cap - len, "%s%u", n ? " " : "", places[n].segment);
}

static void a_group_that_asks_is_not_woken_by_time(void **state)
{
    struct fixture *f = *state;
    uint64_t next_ms;
    int64_t group;
    begin(f);
    take_held(f, 1, 1000, "1.1", "2.1", NULL);
    assert_int_equal(due(f, 60999, &group, &next_ms), 0);
    assert_int_equal(next_ms, 61000);
    take_held(f, 3, 5000, "1.1", "2.1", NULL); /* puts it off */
    assert_int_equal(due(f, 61000, &group, &next_ms), 0);
    assert_int_equal(next_ms, 65000);
    assert_int_equal(due(f, 4999, &group, &next_ms), 1); /* the clock was set back since */
    assert_int_equal(next_ms, 0);
    assert_int_equal(index_wake(f->i, 1000000, on_no_node, NULL, &next_ms), OK);
    assert_int_equal(next_ms, 0);
    assert_int_equal(due(f, 65000, &group, &next_ms), 1);
    assert_int_equal(next_ms, 0);
    assert_string_equal(next(f, "pacs", 10), "");
    commit(f);
}

static void a_group_is_shown_as_it_was_received(void **state)
{
    struct fixture *f = *state;
    uint64_t next_ms;
    int64_t group;
    begin(f);
    take_held(f, 1, 3000, "1.1", "2.1", "ai"); /* for two nodes, one instance */
    take_held(f, 4, 2000, "1.1", "2.1", "ai");
    take_held(f, 7, 4000, "1.1", "2.2", "ai");
    take_held(f, 10, 4000, "1.9", "2.9", "ai");
    assert_int_equal(due(f, 64000, &group, &next_ms), 2);
    struct spool_asked *a = asked(f, group);
    assert_string_equal(a->study.uid, "1.1");
    assert_string_equal(a->study.route, "CT");
    assert_string_equal(a->study.patient, "PAT");
    assert_string_equal(a->study.calling, "CT1");
    assert_string_equal(a->study.called, "HILUM");
    assert_int_equal(a->study.instances, 3);
    assert_int_equal(a->study.bytes, 3000);
    assert_int_equal(a->study.since_ms, 2000);
    assert_int_equal(a->study.series_count, 2);
    assert_string_equal(a->study.series[0].uid, "2.1");
    assert_int_equal(a->study.series[0].instances, 2);
    assert_int_equal(a->study.series[1].instances, 1);
    assert_int_equal(a->study.listed_count, 3);
    assert_string_equal(a->study.listed[2].sop_instance, "1.2.3.7");
    assert_string_equal(a->study.listed[2].sop_class, "1.2.840.10008.5.1.4.1.1.2");
    assert_string_equal(a->study.listed[2].series, "2.2");
    assert_int_equal(a->count, 6); /* entries */
    index_asked_free(&a);
    commit(f);
}

static void a_release_lets_all_go_together_with_what_it_adds(void **state)
{
    struct fixture *f = *state;
    uint64_t next_ms;
    int64_t group;
    struct spool_entry *list;
    static const char *const nodes[] = {"research", "ai"};
    begin(f);
    take_held(f, 1, 1000, "1.1", "2.1", "ai");
    take_held(f, 4, 1000, "1.1", "2.1", NULL);
    assert_int_equal(due(f, 61000, &group, &next_ms), 1);
    struct spool_asked *a = asked(f, group);
    /* research gets both, ai has the first already */
    assert_int_equal(release(f, a, nodes, 2, 100, 2), 3);
    index_asked_free(&a);
    assert_string_equal(next(f, "pacs", 10), "2 5");
    assert_string_equal(next(f, "ai", 10), "3 102");
    assert_string_equal(next(f, "research", 10), "100 101");
    assert_int_equal(due(f, 1000000, &group, &next_ms), 0);
    assert_int_equal(index_next(f->i, "research", any, 1, &no_ids, &list), OK);
    assert_string_equal(list->route, "CT");
    assert_string_equal(list->sop_instance, "1.2.3.1");
    assert_int_equal(list->data.bytes, 1000);
    assert_true(list->group != 0);
    assert_string_equal(list->syntaxes, "1.2.840.10008.5.1.4.1.1.2");
    assert_string_equal(list->syntaxes + strlen(list->syntaxes) + 1, "1.2.840.10008.1.2.1");
    spool_entry_free(&list);
    commit(f);
}

static void what_comes_after_the_question_is_a_group_of_its_own(void **state)
{
    struct fixture *f = *state;
    uint64_t next_ms;
    int64_t group, again;
    begin(f);
    take_held(f, 1, 1000, "1.1", "2.1", NULL);
    assert_int_equal(due(f, 61000, &group, &next_ms), 1);
    struct spool_asked *a = asked(f, group);
    take_held(f, 3, 61000, "1.1", "2.1", NULL);
    assert_int_equal(release(f, a, NULL, 0, 100, 1), 0);
    index_asked_free(&a);
    assert_string_equal(next(f, "pacs", 10), "2");
    assert_int_equal(due(f, 120999, &again, &next_ms), 0);
    assert_int_equal(next_ms, 121000);
    assert_int_equal(due(f, 121000, &again, &next_ms), 1);
    a = asked(f, again);
    assert_int_equal(a->study.instances, 1);
    index_asked_free(&a);
    commit(f);
}

static void the_record_that_adds_stays_as_long_as_what_it_added_to(void **state)
{
    struct fixture *f = *state;
    uint64_t next_ms;
    int64_t group;
    char text[64];
    static const char *const nodes[] = {"research"};
    begin(f);
    for (uint32_t n = 1; n <= 5; n++)
        assert_int_equal(index_take_segment(f->i, (struct record_place){1, n}), OK);
    take_held(f, 1, 1000, "1.1", "2.1", NULL);
    assert_int_equal(due(f, 61000, &group, &next_ms), 1);
    struct spool_asked *a = asked(f, group);
    assert_int_equal(release(f, a, nodes, 1, 100, 2), 1);
    index_asked_free(&a);
    outcome(f, 100, SPOOL_DELIVERED, 0, NULL);
    idle(f, text, sizeof(text));
    assert_string_equal(text, "2 3 4"); /* 1: data and commit; 5: the release */
    outcome(f, 2, SPOOL_DELIVERED, 0, NULL);
    idle(f, text, sizeof(text));
    assert_string_equal(text, "1 2 3 4 5");
    commit(f);
}

static void what_was_ordered_meanwhile_is_respected_and_additions_are_not_lost(void **state)
{
    struct fixture *f = *state;
    uint64_t next_ms;
    int64_t group;
    char text[64];
    static const char *const nodes[] = {"research"};
    begin(f);
    for (uint32_t n = 1; n <= 5; n++)
        assert_int_equal(index_take_segment(f->i, (struct record_place){1, n}), OK);
    take_held(f, 1, 1000, "1.1", "2.1", NULL);
    take_held(f, 3, 1000, "1.1", "2.1", NULL);
    assert_int_equal(due(f, 61000, &group, &next_ms), 1);
    struct spool_asked *a = asked(f, group);
    assert_int_equal(
        index_take_order(f->i, &(struct record_order){.id = ID(1, 2), .drop = true, .at_ms = 62000}), OK);
    assert_int_equal(index_take_order(f->i, &(struct record_order){.id = ID(1, 4), .at_ms = 62000}), OK);
    outcome(f, 4, SPOOL_DELIVERED, 0, NULL); /* nothing of the group is live any more */
    idle(f, text, sizeof(text));
    assert_string_equal(text, "1 2 3 4 5");
    assert_int_equal(release(f, a, nodes, 1, 100, 1), 2);
    index_asked_free(&a);
    assert_string_equal(next(f, "pacs", 10), "");
    assert_string_equal(next(f, "research", 10), "100 101");
    idle(f, text, sizeof(text));
    assert_string_equal(text, "2 3 4");
    outcome(f, 100, SPOOL_DELIVERED, 0, NULL);
    outcome(f, 101, SPOOL_DELIVERED, 0, NULL);
    idle(f, text, sizeof(text));
    assert_string_equal(text, "1 2 3 4 5");
    /* and where its segments have gone there is nothing to add */
    take_held(f, 5, 1000, "1.2", "2.2", NULL);
    assert_int_equal(due(f, 61000, &group, &next_ms), 1);
    a = asked(f, group);
    assert_int_equal(
        index_take_order(f->i, &(struct record_order){.id = ID(1, 6), .drop = true, .at_ms = 62000}), OK);
    idle(f, text, sizeof(text));
    assert_int_equal(index_forget_segment(f->i, (struct record_place){1, 1}), OK);
    assert_int_equal(release(f, a, nodes, 1, 200, 1), 1);
    index_asked_free(&a);
    assert_string_equal(next(f, "research", 10), "");
    commit(f);
}

static void what_was_given_back_is_not_added_to(void **state)
{
    struct fixture *f = *state;
    uint64_t next_ms;
    int64_t group;
    char text[64];
    const char *nodes[] = {"research"};
    begin(f);
    take_held(f, 1, 1000, "1.1", "2.1", NULL);
    assert_int_equal(due(f, 61000, &group, &next_ms), 1);
    struct spool_asked *a = asked(f, group);
    assert_int_equal(
        index_take_order(f->i, &(struct record_order){.id = ID(1, 2), .drop = true, .at_ms = 62000}), OK);
    assert_int_equal(index_give_back(f->i, ID(1, 1)), OK);
    assert_int_equal(release(f, a, nodes, 1, 200, 1), 1);
    index_asked_free(&a);
    assert_string_equal(next(f, "research", 10), "");
    idle(f, text, sizeof(text));
    assert_string_equal(text, "1"); /* nor counted as live */
    commit(f);
}

static void a_group_of_which_nothing_waits_any_more_is_removed(void **state)
{
    struct fixture *f = *state;
    uint64_t next_ms;
    int64_t group;
    begin(f);
    take_held(f, 1, 1000, "1.1", "2.1", NULL);
    assert_int_equal(index_take_order(f->i, &(struct record_order){.id = ID(1, 2), .at_ms = 2000}), OK);
    assert_string_equal(next(f, "pacs", 10), "2");
    assert_int_equal(due(f, 61000, &group, &next_ms), 1);
    assert_null(asked(f, group));
    assert_int_equal(due(f, 61000, &group, &next_ms), 0);
    commit(f);
}

static void entries_of_another_process_are_not_asked_about(void **state)
{
    struct fixture *f = *state;
    uint64_t next_ms;
    int64_t group;
    struct spool_asked *a;
    bool others;
    begin(f);
    take_held(f, 1, 1000, "1.1", "2.1", NULL);
    assert_int_equal(due(f, 61000, &group, &next_ms), 1);
    commit(f);
    assert_int_equal(index_own(f->i, (const uint32_t[]){2}, 1), OK);
    begin(f);
    assert_int_equal(index_study_read(f->i, group, &a, &others), OK);
    assert_null(a);
    assert_true(others);
    assert_int_equal(due(f, 61000, &group, &next_ms), 1); /* it is still there */
    commit(f);
}

static void a_range_shows_what_is_behind_a_study_and_what_is_of_a_group(void **state)
{
    struct fixture *f = *state;
    uint64_t next_ms;
    int64_t group;
    struct spool_entry *list, *rest;
    struct spool_new_entry plain = {.node = "pacs", .route = "MR", .edition = SPOOL_AS_RECEIVED};
    begin(f);
    take_held(f, 1, 1000, "1.1", "2.1", NULL);
    take(f, &(struct message){.number = 3, .study = "1.1", .instance = "9.1", .entries = &plain, .count = 1});
    take_held(f, 5, 1000, "1.1", "2.1", NULL);
    take_for(f, 7, "pacs", "1.2");
    assert_int_equal(due(f, 61000, &group, &next_ms), 1);
    struct spool_asked *a = asked(f, group);
    assert_int_equal(release(f, a, NULL, 0, 100, 1), 0);
    index_asked_free(&a);
    assert_string_equal(next(f, "pacs", 10), "2 4 6 8");
    assert_int_equal(index_next(f->i, "pacs", any, 2, &no_ids, &list), OK);
    assert_int_equal(list->next->group, 0);
    assert_string_equal(list->next->syntaxes, "");
    struct spool_ids first = {.of = &list->id, .count = 1};
    struct spool_range of_group = {.order = list->order, .group = list->group};
    assert_int_equal(index_next(f->i, "pacs", of_group, 10, &first, &rest), OK);
    assert_int_equal(rest->id, ID(1, 6));
    assert_null(rest->next);
    spool_entry_free(&rest);
    struct spool_range behind = {.order = list->order};
    assert_int_equal(index_next(f->i, "pacs", behind, 10, &no_ids, &rest), OK);
    assert_int_equal(rest->id, ID(1, 8));
    assert_null(rest->next);
    spool_entry_free(&rest);
    spool_entries_free(&list);
    commit(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_group_that_asks_is_not_woken_by_time),
        TEST(a_group_is_shown_as_it_was_received),
        TEST(a_release_lets_all_go_together_with_what_it_adds),
        TEST(what_comes_after_the_question_is_a_group_of_its_own),
        TEST(the_record_that_adds_stays_as_long_as_what_it_added_to),
        TEST(what_was_ordered_meanwhile_is_respected_and_additions_are_not_lost),
        TEST(what_was_given_back_is_not_added_to),
        TEST(a_group_of_which_nothing_waits_any_more_is_removed),
        TEST(entries_of_another_process_are_not_asked_about),
        TEST(a_range_shows_what_is_behind_a_study_and_what_is_of_a_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
