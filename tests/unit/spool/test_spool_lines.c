/* What goes to its node one after another: N-CREATE before each N-SET of an instance, over waits, failures, orders, restarts and processes that die. */
#include "test_spool.h"

enum { N_SET = 0x0120, N_CREATE = 0x0140 };

static enum spool_error store_n(struct fixture *f, uint64_t number, uint16_t field, const char *instance,
                                const char *node, const char *second)
{
    static struct storing s;
    s = (struct storing){0};
    store_begin(&s, f->spool, f->loop.io, number, PIECE + 1000, node,
                second); /* two pieces: the commit is with the second */
    s.commit.facts.field = field;
    s.commit.facts.sop_instance = view_of(instance);
    LOOP_UNTIL(&f->loop, s.is_done);
    return s.error;
}

/* "6.1/0140 ..." of what is handed out. */
static const char *handed(struct fixture *f, struct feed *feed)
{
    static char text[512];
    size_t len = 0;
    text[0] = '\0';
    (void)feed_ask(f, feed, 10);
    for (const struct spool_entry *e = feed->list; e; e = e->next)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s/%04X", len ? " " : "", e->sop_instance,
                                e->field);
    return text;
}

/* Until the indexer has read so many. */
static void indexed(struct fixture *f, unsigned count)
{
    LOOP_UNTIL(&f->loop, count_rows(f->folder, (struct index_filter){0}) == count);
}

static void await(struct fixture *f, struct feed *feed, const char *expected)
{
    LOOP_UNTIL(&f->loop, strcmp(handed(f, feed), expected) == 0);
}

static void each_waits_for_the_one_before_it(void **state)
{
    struct fixture *f = *state;
    static struct feed pacs, ai;
    fixture_open(f);
    assert_int_equal(store_n(f, 1, N_CREATE, "6.1", "pacs", "ai"), SPOOL_DONE);
    assert_int_equal(store_n(f, 2, N_SET, "6.1", "pacs", NULL), SPOOL_DONE);
    assert_int_equal(store_n(f, 3, N_SET, "6.1", "pacs", "ai"), SPOOL_DONE);
    assert_int_equal(store_n(f, 4, N_CREATE, "6.2", "pacs", NULL), SPOOL_DONE);
    indexed(f, 6);
    feed_open(f, &pacs, "pacs");
    feed_open(f, &ai, "ai");
    assert_string_equal(handed(f, &pacs), "6.1/0140 6.2/0140");
    spool_id create = pacs.list->id;
    assert_string_equal(handed(f, &pacs), "");       /* on its way counts as before */
    assert_string_equal(handed(f, &ai), "6.1/0140"); /* each node for itself */
    give(f, ai.list->id, SPOOL_DELIVERED, 0);
    await(f, &ai, "6.1/0120");
    give(f, create, SPOOL_WAITING, clock_wall_ms() + 100);
    await(f, &pacs, "6.1/0140");
    unsigned dues = pacs.dues;
    give(f, create, SPOOL_DELIVERED, 0);
    LOOP_UNTIL(&f->loop, pacs.dues > dues); /* it is told */
    await(f, &pacs, "6.1/0120");
    spool_id set = pacs.list->id;
    assert_string_equal(handed(f, &pacs), "");
    give(f, set, SPOOL_DELIVERED, 0);
    await(f, &pacs, "6.1/0120");
    assert_true(pacs.list->id > set);
    feed_close(f, &pacs);
    feed_close(f, &ai);
}

static void a_store_waits_for_nothing(void **state)
{
    struct fixture *f = *state;
    static struct feed pacs;
    fixture_open(f);
    assert_int_equal(store_n(f, 1, 0, "6.1", "pacs", NULL), SPOOL_DONE);
    assert_int_equal(store_n(f, 2, 0, "6.1", "pacs", NULL), SPOOL_DONE);
    assert_false(spool_is_in_line(f->spool, "pacs", view_of("6.1")));
    indexed(f, 2);
    feed_open(f, &pacs, "pacs");
    assert_string_equal(handed(f, &pacs), "6.1/0001 6.1/0001");
    feed_close(f, &pacs);
}

static void order(struct fixture *f, spool_id id, bool drop, const char *to)
{
    char path[300], why[256];
    struct index *i;
    int64_t ticket;
    snprintf(path, sizeof(path), "%s/index.db", f->folder);
    assert_int_equal(index_open(path, false, &i, why, sizeof(why)), OK);
    assert_int_equal(index_order(i, &id, 1, drop, to, &ticket), OK);
    index_close(&i);
}

/* It is left to an operator, and so is what stands behind it; who drops it lets the others go, who sends it elsewhere as well. */
static void what_failed_for_good_holds_up_its_line_alone(void **state)
{
    struct fixture *f = *state;
    static struct feed pacs, other;
    fixture_open(f);
    feed_open(f, &pacs, "pacs");
    feed_open(f, &other, "other");
    for (unsigned n = 0; n < 3; n++)
        assert_int_equal(store_n(f, n, n ? N_SET : N_CREATE, "6.1", "pacs", NULL), SPOOL_DONE);
    await(f, &pacs, "6.1/0140");
    spool_id create = pacs.list->id;
    give(f, create, SPOOL_FAILED_FOR_GOOD, 0);
    LOOP_UNTIL(&f->loop, count_state(f->folder, SPOOL_FAILED_FOR_GOOD) == 1);
    assert_string_equal(handed(f, &pacs), "");
    order(f, create, false, NULL); /* again */
    await(f, &pacs, "6.1/0140");
    give(f, create, SPOOL_FAILED_FOR_GOOD, 0);
    LOOP_UNTIL(&f->loop, count_state(f->folder, SPOOL_FAILED_FOR_GOOD) == 1);
    order(f, create, false, "other");
    await(f, &other, "6.1/0140");
    await(f, &pacs, "6.1/0120");
    spool_id set = pacs.list->id;
    assert_true(spool_is_in_line(f->spool, "other", view_of("6.1")));
    give(f, set, SPOOL_FAILED_FOR_GOOD, 0);
    LOOP_UNTIL(&f->loop, count_state(f->folder, SPOOL_FAILED_FOR_GOOD) == 1);
    assert_string_equal(handed(f, &pacs), "");
    order(f, set, true, NULL);
    await(f, &pacs, "6.1/0120");
    give(f, pacs.list->id, SPOOL_DELIVERED, 0);
    LOOP_UNTIL(&f->loop, !spool_is_in_line(f->spool, "pacs", view_of("6.1")));
    assert_true(spool_is_in_line(f->spool, "other", view_of("6.1")));
    feed_close(f, &pacs);
    feed_close(f, &other);
}

/* From its commit on, whether the index has it or not, over a restart, until it has ended. */
static void it_is_known_what_is_in_line(void **state)
{
    struct fixture *f = *state;
    static struct feed pacs;
    fixture_open(f);
    assert_false(spool_is_in_line(f->spool, "pacs", view_of("6.1")));
    for (unsigned n = 0; n < 30; n++) { /* the indexer may be quick or slow */
        char instance[16];
        snprintf(instance, sizeof(instance), "6.%u", n);
        assert_int_equal(store_n(f, n, N_CREATE, instance, "pacs", NULL), SPOOL_DONE);
        assert_true(spool_is_in_line(f->spool, "pacs", view_of(instance)));
        assert_false(spool_is_in_line(f->spool, "ai", view_of(instance)));
    }
    spool_close(&f->spool);
    fixture_open(f);
    for (unsigned n = 0; n < 30; n++) {
        char instance[16];
        snprintf(instance, sizeof(instance), "6.%u", n);
        assert_true(spool_is_in_line(f->spool, "pacs", view_of(instance)));
    }
    feed_open(f, &pacs, "pacs");
    assert_int_equal(feed_await(f, &pacs, 100), 30);
    deliver_list(f, &pacs);
    LOOP_UNTIL(&f->loop, !spool_is_in_line(f->spool, "pacs", view_of("6.1")) &&
                             !spool_is_in_line(f->spool, "pacs", view_of("6.29")));
    feed_close(f, &pacs);
}

static void what_could_not_be_written_is_in_no_line(void **state)
{
    struct fixture *f = *state;
    f->options.max_bytes = 1; /* nothing goes */
    fixture_open(f);
    assert_int_equal(store_n(f, 1, N_CREATE, "6.1", "pacs", NULL), SPOOL_FULL);
    LOOP_UNTIL(&f->loop, !spool_is_in_line(f->spool, "pacs", view_of("6.1")));
}

static void a_line_is_known_while_the_index_cannot_be_written(void **state)
{
    struct fixture *f = *state;
    static struct feed pacs;
    fixture_open(f);
    assert_int_equal(store_n(f, 1, N_CREATE, "6.1", "pacs", NULL), SPOOL_DONE);
    indexed(f, 1);
    char path[300], why[256];
    struct index *i;
    snprintf(path, sizeof(path), "%s/index.db", f->folder);
    assert_int_equal(index_open(path, false, &i, why, sizeof(why)), OK);
    assert_int_equal(index_begin(i), OK); /* nobody else may write */
    assert_int_equal(store_n(f, 2, N_CREATE, "6.2", "pacs", NULL), SPOOL_DONE);
    for (unsigned n = 0; n < 10; n++) {
        assert_true(spool_is_in_line(f->spool, "pacs", view_of("6.1")));
        assert_true(spool_is_in_line(f->spool, "pacs", view_of("6.2")));
        loop_turn(&f->loop);
    }
    index_close(&i);
    feed_open(f, &pacs, "pacs");
    for (unsigned n = 0; n < 2; n += pacs.count) {
        (void)feed_await(f, &pacs, 10);
        deliver_list(f, &pacs);
    }
    LOOP_UNTIL(&f->loop, !spool_is_in_line(f->spool, "pacs", view_of("6.1")) &&
                             !spool_is_in_line(f->spool, "pacs", view_of("6.2")));
    feed_close(f, &pacs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_waits_for_the_one_before_it),
        TEST(a_store_waits_for_nothing),
        TEST(what_failed_for_good_holds_up_its_line_alone),
        TEST(it_is_known_what_is_in_line),
        TEST(what_could_not_be_written_is_in_no_line),
        TEST(a_line_is_known_while_the_index_cannot_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
