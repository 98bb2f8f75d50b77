/* Open storage commitments outlive the process that has them, and where instances went is found, however it was said. */
#include "test_spool.h"

#include <sys/wait.h>

#include "spool/commitments.h"

struct written {
    struct spool_commitment_write write;
    bool is_done, is_durable;
};

static void on_written(struct spool_commitment_write *w, bool is_durable)
{
    struct written *x = w->owner;
    x->is_done = true;
    x->is_durable = is_durable;
}

static void put_begin(struct spool *s, struct io *io, struct written *x, uint8_t key, uint16_t desk,
                      const char *text)
{
    *x = (struct written){.write = {.io = io, .owner = x, .on_done = on_written, .desk = desk}};
    memset(x->write.key, key, sizeof(x->write.key));
    x->write.bytes = view_of(text);
    spool_commitment_write(s, &x->write);
}

static bool put(struct fixture *f, uint8_t key, uint16_t desk, const char *text)
{
    struct written x;
    put_begin(f->spool, f->loop.io, &x, key, desk, text);
    LOOP_UNTIL(&f->loop, x.is_done);
    return x.is_durable;
}

struct found {
    struct spool_commitments feed;
    unsigned count;
    uint8_t keys[8];
    char texts[8][32];
    bool is_closed;
};

static void on_commitment(struct spool_commitments *c, const uint8_t key[SPOOL_COMMITMENT_KEY], uint16_t desk,
                          struct view bytes)
{
    struct found *x = c->owner;
    assert_int_equal(desk % c->parts, c->part);
    x->keys[x->count] = key[0];
    snprintf(x->texts[x->count++], sizeof(x->texts[0]), "%.*s", (int)bytes.len, (const char *)bytes.at);
}

static void on_closed(struct spool_commitments *c)
{
    ((struct found *)c->owner)->is_closed = true;
}

static void open_feed(struct fixture *f, struct found *x, unsigned part, unsigned parts)
{
    *x = (struct found){.feed = {.part = part,
                                 .parts = parts,
                                 .io = f->loop.io,
                                 .owner = x,
                                 .on_commitment = on_commitment,
                                 .on_closed = on_closed}};
    spool_commitments_open(f->spool, &x->feed);
}

static void close_feed(struct fixture *f, struct found *x)
{
    spool_commitments_close(f->spool, &x->feed);
    LOOP_UNTIL(&f->loop, x->is_closed);
}

/* What is handed out stands before on_closed. */
static void what_is_open_is_handed_out_to_the_next_process(void **state)
{
    struct fixture *f = *state;
    static struct found even, odd, none;
    fixture_open(f);
    assert_false(exists(f, "commitments.db")); /* before there is any */
    open_feed(f, &none, 0, 1);
    assert_true(put(f, 1, 0, "first") && put(f, 2, 1, "second") && put(f, 3, 2, "third"));
    assert_true(put(f, 3, 2, "third, later") && put(f, 1, 0, ""));
    close_feed(f, &none);
    assert_int_equal(none.count, 0); /* what it wrote itself is not left */
    spool_close(&f->spool);
    fixture_open(f);
    open_feed(f, &even, 0, 2);
    open_feed(f, &odd, 1, 2);
    LOOP_UNTIL(&f->loop, even.count == 1 && odd.count == 1);
    assert_string_equal(even.texts[0], "third, later");
    assert_string_equal(odd.texts[0], "second");
    assert_int_equal(odd.keys[0], 2);
    assert_true(put(f, 2, 1, "") && put(f, 3, 2, ""));
    close_feed(f, &even);
    close_feed(f, &odd);
    spool_close(&f->spool);
    fixture_open(f);
    open_feed(f, &none, 0, 1);
    close_feed(f, &none);
    assert_int_equal(none.count, 0);
}

/* A child that is killed once its write is durable. */
static void run_child(struct fixture *f)
{
    struct spool *s;
    char why[256];
    struct loop loop;
    struct written x;
    loop_open(&loop, 4 << 20);
    if (spool_open(&f->options, &s, why, sizeof(why)) != OK)
        _exit(1);
    put_begin(s, loop.io, &x, 9, 0, "of the child");
    while (!x.is_done)
        loop_turn(&loop);
    _exit(x.is_durable ? 0 : 1);
}

static void what_was_durable_survives_a_kill(void **state)
{
    struct fixture *f = *state;
    static struct found x;
    int status;
    pid_t child = fork();
    if (child == 0)
        run_child(f);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    fixture_open(f);
    open_feed(f, &x, 0, 1);
    LOOP_UNTIL(&f->loop, x.count == 1);
    assert_string_equal(x.texts[0], "of the child");
    close_feed(f, &x);
}

static void those_of_a_process_that_lives_are_left_to_it(void **state)
{
    struct fixture *f = *state;
    static struct found x;
    struct spool *other;
    char why[256];
    fixture_open(f);
    assert_true(put(f, 1, 0, "mine"));
    assert_int_equal(spool_open(&f->options, &other, why, sizeof(why)), OK);
    struct spool *first = f->spool;
    f->spool = other;
    open_feed(f, &x, 0, 1);
    struct written w;
    put_begin(other, f->loop.io, &w, 2, 0, "of the other");
    LOOP_UNTIL(&f->loop, w.is_done);
    assert_int_equal(x.count, 0);
    spool_close(&first);
    LOOP_UNTIL(&f->loop, x.count == 1); /* it looks again from time to time */
    assert_string_equal(x.texts[0], "mine");
    close_feed(f, &x);
}

/* --- whereabouts -------------------------------------------------------------------------------------------------- */

static void on_answer(struct spool_whereabouts *w)
{
    *(bool *)w->owner = true;
}

static void ask(struct fixture *f, struct spool_whereabouts *w, const char *const *instances, size_t count)
{
    bool is_answered = false;
    *w = (struct spool_whereabouts){.io = f->loop.io,
                                    .owner = &is_answered,
                                    .on_answer = on_answer,
                                    .instances = instances,
                                    .count = count};
    spool_whereabouts_ask(f->spool, w);
    LOOP_UNTIL(&f->loop, is_answered);
    assert_int_equal(w->result, OK);
}

static void note(struct spool_notes *n, const char *received, const char *sent, const char *node)
{
    struct spool_relayed r = {.at_ms = clock_wall_ms(),
                              .node = node,
                              .route = "CT",
                              .calling = "CT1",
                              .called = "HILUM",
                              .remote = "10.0.0.1",
                              .sop_class = view_of("1.2.840.10008.5.1.4.1.1.2"),
                              .sop_instance = view_of(received),
                              .sent_instance = view_of(sent),
                              .study = view_of("1.2"),
                              .bytes = 1,
                              .comment = ""};
    spool_note(n, &r);
}

/* No waiting in between: the answer does. */
static void whatever_was_acknowledged_is_found(void **state)
{
    struct fixture *f = *state;
    static const char *const instances[] = {"1.2.3.1", "7.7", "9.9", "1.2.3.2", "7.7"};
    struct spool_whereabouts w;
    fixture_open(f);
    struct spool_notes *notes = spool_notes_new(f->spool, f->loop.io);
    note(notes, "7.7", "9.9", "pacs");
    note(notes, "7.8", "7.8", "pacs");
    spool_notes_free(&notes); /* writes them */
    assert_int_equal(store(f, 1, 1000, "pacs", "other"), SPOOL_DONE);
    ask(f, &w, instances, 5);
    static const struct {
        size_t instance;
        enum spool_state state;
        const char *node, *sent;
    } wanted[] = {{0, SPOOL_QUEUED, "pacs", "1.2.3.1"},
                  {0, SPOOL_QUEUED, "other", "1.2.3.1"},
                  {1, SPOOL_RELAYED, "pacs", "9.9"},
                  {2, SPOOL_RELAYED, "pacs", "9.9"}, /* by the name that it went out under, too */
                  {4, SPOOL_RELAYED, "pacs", "9.9"}};
    assert_int_equal(w.row_count, 5);
    for (size_t n = 0; n < 5; n++) {
        size_t k = 0;
        while (k < 5 &&
               (w.rows[k].instance != wanted[n].instance || strcmp(w.rows[k].node, wanted[n].node) != 0))
            k++;
        assert_true(k < 5);
        assert_int_equal(w.rows[k].state, wanted[n].state);
        assert_string_equal(w.rows[k].sent_instance, wanted[n].sent);
        assert_string_equal(w.rows[k].route, "CT");
        assert_true(n == 0 || w.rows[n].instance >= w.rows[n - 1].instance);
    }
    spool_whereabouts_free(&w);
}

static void what_was_delivered_is_known_as_such(void **state)
{
    struct fixture *f = *state;
    static const char *const instances[] = {"1.2.3.1"};
    static struct feed feed;
    struct spool_whereabouts w;
    fixture_open(f);
    feed_open(f, &feed, "pacs");
    assert_int_equal(store(f, 1, 1000, "pacs", NULL), SPOOL_DONE);
    assert_int_equal(feed_await(f, &feed, 1), 1);
    give(f, feed.list->id, SPOOL_DELIVERED, 0);
    LOOP_UNTIL(&f->loop, count_state(f->folder, SPOOL_DELIVERED) == 1);
    ask(f, &w, instances, 1);
    assert_int_equal(w.row_count, 1);
    assert_int_equal(w.rows[0].state, SPOOL_DELIVERED);
    spool_whereabouts_free(&w);
    feed_close(f, &feed);
}

static void thousands_are_asked_about_at_once(void **state)
{
    struct fixture *f = *state;
    enum { MANY = 5000 };
    static char uids[MANY][16];
    static const char *instances[MANY];
    struct spool_whereabouts w;
    fixture_open(f);
    struct spool_notes *notes = spool_notes_new(f->spool, f->loop.io);
    for (unsigned n = 0; n < MANY; n++) {
        snprintf(uids[n], sizeof(uids[n]), "1.9.%u", n);
        instances[n] = uids[n];
        if (n % 2)
            note(notes, uids[n], uids[n], "pacs");
    }
    spool_notes_free(&notes);
    assert_int_equal(store(f, 1, 1000, "pacs", NULL), SPOOL_DONE); /* it is behind the notes in the log */
    ask(f, &w, instances, MANY);
    assert_int_equal(w.row_count, MANY / 2);
    for (size_t n = 0; n < w.row_count; n++)
        assert_int_equal(w.rows[n].instance, 2 * n + 1);
    spool_whereabouts_free(&w);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(what_is_open_is_handed_out_to_the_next_process),
        TEST(what_was_durable_survives_a_kill),
        TEST(those_of_a_process_that_lives_are_left_to_it),
        TEST(whatever_was_acknowledged_is_found),
        TEST(what_was_delivered_is_known_as_such),
        TEST(thousands_are_asked_about_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
