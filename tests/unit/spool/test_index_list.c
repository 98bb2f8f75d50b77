/* The index as people look at it. */
#include "test_index.h"

static void note(struct fixture *f, uint64_t at_ms, const char *node, const char *instance, const char *sent)
{
    struct spool_relayed r = {.at_ms = at_ms,
                              .bytes = 77,
                              .node = node,
                              .route = "CT",
                              .calling = "CT1",
                              .called = "HILUM",
                              .remote = "10.0.0.9",
                              .sop_class = view_of("1.2.840.10008.5.1.4.1.1.2"),
                              .sop_instance = view_of(instance),
                              .sent_instance = view_of(sent),
                              .study = view_of("1.1"),
                              .comment = "coerced",
                              .status = 0xB000};
    take_relayed(f, &r, 1);
}

/* Nodes pacs and ai, studies 1.1 and 1.2, all states; ids 2, 4, .. 16. */
static void fill(struct fixture *f)
{
    begin(f);
    take_for(f, 1, "pacs", "1.1");
    take_for(f, 3, "ai", "1.2");
    take_for(f, 5, "pacs", "1.2");
    take_for(f, 7, "pacs", "1.1");
    take_for(f, 9, "ai", "1.1");
    take_for(f, 11, "pacs", "1.1");
    take_for(f, 13, "pacs", "");
    take_for(f, 15, "pacs", "1.2");
    outcome(f, 4, SPOOL_FAILED_FOR_GOOD, 0xC000, "no");
    outcome(f, 8, SPOOL_WAITING, 0xA700, "full");
    outcome(f, 10, SPOOL_DELIVERED, 0, NULL);
    outcome(f, 16, SPOOL_EXPIRED, 0xA700, NULL);
    commit(f);
}

static void a_list_can_be_narrowed_by_everything(void **state)
{
    struct fixture *f = *state;
    struct shown s = {0};
    static const struct {
        struct index_filter f;
        const char *shows;
    } cases[] = {
        {{0}, "2:queued 8:waiting 10:delivered 12:queued 4:failed 6:queued 16:expired 14:queued"},
        {{.node = "ai"}, "10:delivered 4:failed"},
        {{.node = "nobody"}, ""},
        {{.states = 1 << SPOOL_QUEUED}, "2:queued 12:queued 6:queued 14:queued"},
        {{.states = 1 << SPOOL_WAITING | 1 << SPOOL_FAILED_FOR_GOOD}, "8:waiting 4:failed"},
        {{.node = "pacs", .states = 1 << SPOOL_DELIVERED}, ""},
        {{.study = "1.2"}, "4:failed 6:queued 16:expired"},
        {{.study = "1.2", .node = "pacs"}, "6:queued 16:expired"},
        {{.study = "1"}, ""},
        {{.instance = "1.2.3.5"}, "6:queued"},
        {{.instance = "1.2.3.5", .node = "ai"}, ""},
        {{.instance = "1.2.3"}, ""},
        {{.before_ms = 1000}, ""}, /* all came at 1000 */
        {{.before_ms = 1001, .states = 1 << SPOOL_WAITING}, "8:waiting"},
        {{.max = 3}, "2:queued 8:waiting 10:delivered"},
        {{.after = ID(1, 77)}, ""}, /* it has gone */
    };
    fill(f);
    for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++)
        assert_string_equal(list(f, &cases[n].f, &s), cases[n].shows);
    s.stop_after = 2;
    assert_string_equal(list(f, &(struct index_filter){0}, &s), "2:queued 8:waiting");
}

static void pages_add_up(struct fixture *f)
{
    static const struct index_filter filters[] = {{0},
                                                  {.node = "pacs"},
                                                  {.study = "1.2"},
                                                  {.states = 1 << SPOOL_QUEUED},
                                                  {.states = 1 << SPOOL_RELAYED},
                                                  {.instance = "5.1"},
                                                  {.study = "1.1", .node = "pacs"}};
    for (size_t n = 0; n < sizeof(filters) / sizeof(filters[0]); n++) {
        struct shown whole = {0};
        list(f, &filters[n], &whole);
        for (unsigned max = 1; max < 10; max++) {
            char all[2 * sizeof(whole.text)] = "";
            struct shown page = {0};
            struct index_filter filter = filters[n];
            filter.max = max;
            while (list(f, &filter, &page)[0]) {
                snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", all[0] ? " " : "", page.text);
                filter.after = page.last;
            }
            assert_string_equal(all, whole.text);
        }
    }
}

static void pages_of_any_length_add_up_to_the_list(void **state)
{
    fill(*state);
    pages_add_up(*state);
}

static bool on_row(void *owner, const struct index_row *row)
{
    const char **expected = owner;
    char text[1024];
    snprintf(text, sizeof(text), "%s %s %s %s %s %s %s %s %s [%s] [%s] [%s] [%s] [%s]",
             spool_state_name(row->state), row->node, row->route, row->calling, row->called, row->remote,
             row->sop_class, row->sop_instance, row->sent_instance, row->study, row->series, row->patient,
             row->transfer_syntax, row->comment);
    assert_string_equal(text, *expected);
    if (row->is_relayed) {
        assert_int_equal(row->queued_ms, 3000);
        assert_int_equal(row->bytes, 77);
        assert_int_equal(row->status, 0xB000);
    } else {
        assert_int_equal(row->queued_ms, 1000);
        assert_int_equal(row->changed_ms, 5000);
        assert_int_equal(row->due_ms, 9000);
        assert_int_equal(row->bytes, 1000);
        assert_int_equal(row->status, 0xA700);
    }
    assert_true(row->has_status);
    assert_int_equal(row->attempts, 1);
    *expected = NULL;
    return true;
}

static void a_row_says_everything_that_is_known(void **state)
{
    struct fixture *f = *state;
    struct spool_new_entry e = {.node = "pacs", .route = "CT", .edition = 0};
    const char *expected;
    begin(f);
    take(f, &(struct message){.number = 1,
                              .study = "1.1",
                              .series = "1.2",
                              .instance = "1.3",
                              .sent = "9.3",
                              .entries = &e,
                              .count = 1});
    outcome(f, 2, SPOOL_WAITING, 0xA700, "full");
    note(f, 3000, "ai", "1.3", "1.3");
    commit(f);
    expected = "waiting pacs CT CT1 HILUM 10.0.0.1 1.2.840.10008.5.1.4.1.1.2 1.3 9.3 [1.1] [1.2] [PAT] "
               "[1.2.840.10008.1.2.1] [full]";
    assert_int_equal(index_list(f->i, &(struct index_filter){.max = 9, .node = "pacs"}, on_row, &expected),
                     OK);
    assert_null(expected);
    expected = "relayed ai CT CT1 HILUM 10.0.0.9 1.2.840.10008.5.1.4.1.1.2 1.3 1.3 [1.1] [] [] [] [coerced]";
    assert_int_equal(index_list(f->i, &(struct index_filter){.max = 9, .node = "ai"}, on_row, &expected), OK);
    assert_null(expected);
}

static bool on_untried(void *owner, const struct index_row *row)
{
    *(bool *)owner = true;
    assert_false(row->has_status);
    assert_int_equal(row->attempts, 0);
    return true;
}

static void what_was_not_tried_has_no_status(void **state)
{
    struct fixture *f = *state;
    bool was_shown = false;
    begin(f);
    take_for(f, 1, "pacs", "1.1");
    commit(f);
    assert_int_equal(index_list(f->i, &(struct index_filter){.max = 9}, on_untried, &was_shown), OK);
    assert_true(was_shown);
}

/* The order is by study: what is too new may stand before what is old enough. */
static void a_list_by_age_finds_what_is_old_in_every_study(void **state)
{
    struct fixture *f = *state;
    struct shown s = {0};
    static const struct {
        uint64_t number, at_ms;
        const char *study;
    } cases[] = {{1, 100000, "1.1"},  {3, 500000, "1.1"},
                 {5, 150000, "1.2"},  {7, 600000, "1.2"},
                 {9, 199999, ""},     {11, 200000, ""},
                 {13, 230000, "1.3"}, {15, 199000, "1.4"} /* a clock went back */,
                 {17, 700000, ""},    {19, 700000, "1.1"}};
    struct spool_new_entry e = {.node = "pacs", .route = "CT", .edition = SPOOL_AS_RECEIVED};
    begin(f);
    for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++)
        take(f, &(struct message){.number = cases[n].number,
                                  .received_ms = cases[n].at_ms,
                                  .study = cases[n].study,
                                  .entries = &e,
                                  .count = 1});
    commit(f);
    assert_string_equal(list(f, &(struct index_filter){.before_ms = 200000}, &s),
                        "2:queued 6:queued 10:queued 16:queued");
    assert_string_equal(list(f, &(struct index_filter){.before_ms = 100000}, &s), "");
    assert_string_equal(list(f, &(struct index_filter){.before_ms = 600000, .study = "1.1"}, &s),
                        "2:queued 4:queued");
}

/* Far apart, so that they lie in different runs of the index. */
static void an_instance_is_found_by_what_came_and_by_what_went_out(void **state)
{
    struct fixture *f = *state;
    struct shown s = {0};
    struct spool_new_entry e = {.node = "pacs", .route = "CT", .edition = 0};
    begin(f);
    for (uint64_t n = 0; n < 5; n++)
        take(f, &(struct message){
                    .number = 1 + n * 100000, .instance = "1.3", .sent = "9.3", .entries = &e, .count = 1});
    take(f, &(struct message){.number = 3, .instance = "9.3", .sent = "9.3", .entries = &e, .count = 1});
    take(f, &(struct message){.number = 5, .instance = "9.3", .sent = "9.4", .entries = &e, .count = 1});
    note(f, 3000, "ai", "1.3", "");
    note(f, 4000, "ai", "5.5", "9.4");
    commit(f);
    assert_string_equal(list(f, &(struct index_filter){.instance = "1.3"}, &s),
                        "r1:relayed 2:queued 100002:queued 200002:queued 300002:queued 400002:queued");
    assert_string_equal(list(f, &(struct index_filter){.instance = "9.3"}, &s),
                        "2:queued 4:queued 6:queued 100002:queued 200002:queued 300002:queued 400002:queued");
    assert_string_equal(list(f, &(struct index_filter){.instance = "9.4"}, &s), "r2:relayed 6:queued");
    assert_string_equal(list(f, &(struct index_filter){.instance = "9.3", .max = 2}, &s),
                        "2:queued 4:queued");
    assert_string_equal(list(f, &(struct index_filter){.instance = "9.3", .after = ID(1, 4), .max = 2}, &s),
                        "6:queued 100002:queued");
}

/* Three sheets between entries: r1-r4, r5, r6-r8; nodes and studies mixed. */
static void fill_relayed(struct fixture *f)
{
    static const struct {
        const char *node, *instance, *sent, *study;
        uint64_t at_ms;
    } of[] = {{"ai", "5.1", "", "1.1", 2000},  {"pacs", "5.1", "6.1", "", 2001},
              {"ai", "5.2", "", "1.2", 2002},  {"pacs", "5.3", "", "1.2", 2003},
              {"vna", "5.3", "", "1.1", 3000}, {"pacs", "5.4", "", "1.1", 4000},
              {"ai", "5.5", "", "", 3999},     {"pacs", "5.1", "5.1", "1.2", 4001}};
    static const size_t ends[] = {4, 5, 8};
    struct spool_relayed r[8];
    for (size_t n = 0; n < 8; n++)
        r[n] = (struct spool_relayed){.at_ms = of[n].at_ms,
                                      .node = of[n].node,
                                      .sop_instance = view_of(of[n].instance),
                                      .sent_instance = view_of(of[n].sent),
                                      .study = view_of(of[n].study)};
    begin(f);
    take_for(f, 1, "pacs", "1.1");
    take_relayed(f, r, ends[0]);
    take_for(f, 3, "ai", "1.2");
    take_relayed(f, r + ends[0], ends[1] - ends[0]);
    commit(f);
    fixture_reopen(f);
    begin(f);
    take_for(f, 5, "pacs", "1.1");
    take_relayed(f, r + ends[1], ends[2] - ends[1]);
    take_for(f, 7, "pacs", "1.3");
    commit(f);
}

/* A sheet stands where a study would that began when it came. */
static void relayed_deliveries_stand_among_the_entries(void **state)
{
    struct fixture *f = *state;
    struct shown s = {0};
#define FIRST "r1:relayed r2:relayed r3:relayed r4:relayed"
#define THIRD "r6:relayed r7:relayed r8:relayed"
    static const struct {
        struct index_filter f;
        const char *shows;
    } cases[] = {
        {{0}, "2:queued 6:queued " FIRST " 4:queued r5:relayed " THIRD " 8:queued"},
        {{.states = 1 << SPOOL_RELAYED}, FIRST " r5:relayed " THIRD},
        {{.states = 1 << SPOOL_QUEUED}, "2:queued 6:queued 4:queued 8:queued"},
        {{.node = "ai"}, "r1:relayed r3:relayed 4:queued r7:relayed"},
        {{.node = "vna"}, "r5:relayed"},
        {{.node = "pacs", .states = 1 << SPOOL_RELAYED}, "r2:relayed r4:relayed r6:relayed r8:relayed"},
        {{.study = "1.1"}, "2:queued 6:queued r1:relayed r5:relayed r6:relayed"},
        {{.study = "1.2", .node = "pacs"}, "r4:relayed r8:relayed"},
        {{.study = "1.2", .states = 1 << SPOOL_QUEUED}, "4:queued"},
        {{.instance = "5.1"}, "r1:relayed r2:relayed r8:relayed"},
        {{.instance = "6.1"}, "r2:relayed"},
        {{.instance = "5.3", .node = "vna"}, "r5:relayed"},
        {{.instance = "1.1"}, ""}, /* a study's */
        {{.instance = "5.1", .after = ID(0, 2)}, "r8:relayed"},
        {{.instance = "5.1", .after = ID(1, 2)}, ""},
        {{.before_ms = 3000, .states = 1 << SPOOL_RELAYED}, FIRST},
        {{.before_ms = 4000, .node = "ai"}, "r1:relayed r3:relayed 4:queued r7:relayed"},
        {{.after = ID(0, 4), .max = 2}, "4:queued r5:relayed"},
        {{.after = ID(1, 6), .max = 2}, "r1:relayed r2:relayed"},
        {{.after = ID(0, 8)}, "8:queued"},
        {{.after = ID(0, 9)}, ""}, /* it is not there */
    };
    fill_relayed(f);
    for (size_t n = 0; n < sizeof(cases) / sizeof(cases[0]); n++)
        assert_string_equal(list(f, &cases[n].f, &s), cases[n].shows);
    s.stop_after = 4;
    assert_string_equal(list(f, &(struct index_filter){0}, &s), "2:queued 6:queued r1:relayed r2:relayed");
}

static void pages_of_any_length_add_up_with_what_was_relayed(void **state)
{
    fill_relayed(*state);
    pages_add_up(*state);
}

static void what_is_no_sheet_is_refused_whole(void **state)
{
    struct fixture *f = *state;
    struct shown s = {0};
    struct sheet sheet = {.rows = 0};
    struct spool_relayed r = {.node = "pacs", .sop_instance = view_of("1.2")};
    sheet_add(&sheet, &r);
    sheet_add(&sheet, &r);
    begin(f);
    for (size_t len = 0; len < sheet.bytes.len; len++) {
        enum result result = index_take_sheet(f->i, (struct view){sheet.bytes.data, len});
        assert_true(result == ERR_PROTO || (result == OK && len > sheet.bytes.len / 2)); /* whole rows */
    }
    index_abandon(f->i);
    assert_string_equal(list(f, &(struct index_filter){0}, &s), "");
    sheet_free(&sheet);
}

struct summaries {
    char text[1024];
    size_t len;
};

static bool on_summary(void *owner, const struct index_summary *s)
{
    struct summaries *all = owner;
    all->len += (size_t)snprintf(all->text + all->len, sizeof(all->text) - all->len,
                                 "%s%s:", all->len ? "; " : "", s->node);
    for (int n = 0; n < 8; n++)
        all->len += (size_t)snprintf(all->text + all->len, sizeof(all->text) - all->len, " %llu",
                                     (unsigned long long)s->count[n]);
    all->len +=
        (size_t)snprintf(all->text + all->len, sizeof(all->text) - all->len, " bytes %llu oldest %llu",
                         (unsigned long long)s->bytes, (unsigned long long)s->oldest_ms);
    return true;
}

static void a_summary_counts_what_is_live(void **state)
{
    struct fixture *f = *state;
    struct summaries s = {0};
    fill(f);
    assert_int_equal(index_summarise(f->i, on_summary, &s), OK);
    assert_string_equal(s.text, "ai: 0 0 0 1 0 0 0 0 bytes 1000 oldest 1000; "
                                "pacs: 0 4 1 0 0 0 0 0 bytes 5000 oldest 1000");
    begin(f); /* to another node, and inside of a transaction */
    assert_int_equal(index_take_order(f->i, &(struct record_order){.id = ID(1, 4), .to = view_of("pacs")}),
                     OK);
    s = (struct summaries){0};
    assert_int_equal(index_summarise(f->i, on_summary, &s), OK);
    assert_string_equal(s.text, "pacs: 0 5 1 0 0 0 0 0 bytes 6000 oldest 1000");
    commit(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_set_up, fixture_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_list_can_be_narrowed_by_everything),
        TEST(pages_of_any_length_add_up_to_the_list),
        TEST(a_row_says_everything_that_is_known),
        TEST(what_was_not_tried_has_no_status),
        TEST(a_list_by_age_finds_what_is_old_in_every_study),
        TEST(an_instance_is_found_by_what_came_and_by_what_went_out),
        TEST(relayed_deliveries_stand_among_the_entries),
        TEST(pages_of_any_length_add_up_with_what_was_relayed),
        TEST(what_is_no_sheet_is_refused_whole),
        TEST(a_summary_counts_what_is_live),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
