/* What is held back of a message: in memory, past that in a file; that it comes out as it went in, counts where it stands, and says when it cannot be held. */
#include "../spool/test_spool.h"

#include "io/disk.h"
#include "relay/gathered.h"

enum { HEADER_MAX = 512 << 10, SPOOL_MAX = 4 << 20 };

struct gathering {
    struct config config;
    struct budget *budget;
    struct gathered *g;
    unsigned moved;
    uint64_t in; /* bytes given to it */
};

static void on_moved(void *owner)
{
    ((struct gathering *)owner)->moved++;
}

static void on_release(void *owner)
{
    (void)owner;
}

static void begin(struct fixture *f, struct gathering *s, bool has_spool)
{
    *s = (struct gathering){.config = {.header_max = HEADER_MAX, .header_spool_max = SPOOL_MAX},
                            .budget = budget_new(on_release, NULL)};
    struct gathered_options o = {.config = &s->config,
                                 .budget = s->budget,
                                 .pool = &f->loop.pool,
                                 .spool = has_spool ? f->spool : NULL,
                                 .io = f->loop.io,
                                 .owner = s,
                                 .on_moved = on_moved};
    s->g = gathered_new(&o);
    assert_non_null(s->g);
}

static void end(struct gathering *s)
{
    gathered_free(&s->g);
    assert_int_equal(s->budget->held, 0);
    budget_leave(&s->budget);
}

/* Pieces of this size, as whoever looks at them does; where the pool has nothing it waits for what is written. */
static void feed(struct fixture *f, struct gathering *s, uint64_t bytes, uint32_t piece)
{
    while (bytes > 0) {
        uint32_t len = bytes < piece ? (uint32_t)bytes : piece;
        if (pool_available(&f->loop.pool) < 4)
            LOOP_UNTIL(&f->loop, pool_available(&f->loop.pool) >= 4);
        struct buf *b = buf_new(&f->loop.pool);
        assert_non_null(b);
        buf_charge(b, s->budget);
        for (uint32_t i = 0; i < len; i++)
            b->data[i] = byte_of(3, s->in + i);
        b->used = len;
        gathered_push(s->g, b, b->data, len);
        gathered_proceed(s->g);
        buf_unref(&b);
        s->in += len;
        bytes -= len;
    }
}

static void wait_settled(struct fixture *f, struct gathering *s)
{
    LOOP_UNTIL(&f->loop, gathered_is_settled(s->g));
}

struct checking {
    uint64_t at;
    struct buf *last; /* of a file: it outlives the gathering */
    const uint8_t *last_at;
};

static void check(void *owner, struct buf *b, uint8_t *at, uint32_t len)
{
    struct checking *c = owner;
    for (uint32_t i = 0; i < len; i++)
        if (at[i] != byte_of(3, c->at + i))
            fail_msg("byte %llu is another", (unsigned long long)(c->at + i));
    c->at += len;
    if (b->is_mapped && !c->last) {
        c->last = buf_ref(b);
        c->last_at = at;
    }
}

static void check_all(struct gathering *s)
{
    struct checking c = {0};
    assert_true(gathered_each(s->g, check, &c));
    assert_int_equal(c.at, s->in);
    assert_int_equal(gathered_bytes(s->g), s->in);
    buf_unref(&c.last);
}

static void assert_state(const struct gathering *s, enum result r, const char *text)
{
    const char *why;
    assert_int_equal(gathered_state(s->g, &why), r);
    if (text)
        assert_string_equal(why, text);
}

static void up_to_header_max_all_is_in_memory(void **state)
{
    struct fixture *f = *state;
    struct gathering s;
    fixture_open(f);
    begin(f, &s, true);
    feed(f, &s, HEADER_MAX, 50000);
    assert_true(gathered_is_in_memory(s.g));
    assert_int_equal(gathered_in_memory(s.g), HEADER_MAX);
    check_all(&s);
    struct view view;
    assert_false(gathered_view(s.g, 100, &view));
    end(&s);
}

static void past_it_memory_is_flat_and_all_comes_out_as_it_went_in(void **state)
{
    static const uint32_t pieces[] = {100, 50000, BUF_BYTES};
    struct fixture *f = *state;
    fixture_open(f);
    for (size_t i = 0; i < 3; i++) {
        struct gathering s;
        begin(f, &s, true);
        assert_int_equal(gathered_max(s.g), SPOOL_MAX);
        for (unsigned k = 0; k < 30; k++) {
            feed(f, &s, 100000, pieces[i]);
            wait_settled(f, &s);
            assert_in_range(gathered_in_memory(s.g), 0, HEADER_MAX);
        }
        assert_false(gathered_is_in_memory(s.g));
        assert_true(s.moved > 1);
        assert_in_range(gathered_in_memory(s.g), 0, 400000); /* what is too little for a write */
        assert_state(&s, OK, NULL);
        check_all(&s);
        feed(f, &s, 500000, pieces[i]); /* looked at, it goes on */
        wait_settled(f, &s);
        check_all(&s);
        end(&s);
    }
}

static void what_is_wanted_in_one_piece_is_written_to_its_end(void **state)
{
    struct fixture *f = *state;
    struct gathering s;
    struct view view;
    fixture_open(f);
    begin(f, &s, true);
    feed(f, &s, 900000, BUF_BYTES);
    wait_settled(f, &s);
    feed(f, &s, 100001, BUF_BYTES);
    wait_settled(f, &s);
    assert_int_equal(gathered_in_memory(s.g), 100001); /* too little for a write */
    gathered_want(s.g, 1000000);
    assert_false(gathered_is_settled(s.g));
    wait_settled(f, &s);
    assert_true(gathered_view(s.g, 1000000, &view));
    for (size_t i = 0; i < view.len; i++)
        assert_int_equal(view.at[i], byte_of(3, i));
    check_all(&s);
    end(&s);
}

static void slices_of_the_file_outlive_it(void **state)
{
    struct fixture *f = *state;
    struct gathering s;
    struct checking c = {0};
    fixture_open(f);
    begin(f, &s, true);
    feed(f, &s, 2000000, BUF_BYTES);
    wait_settled(f, &s);
    assert_true(gathered_each(s.g, check, &c));
    end(&s);
    assert_non_null(c.last);
    assert_int_equal(c.last_at[1000], byte_of(3, 1000));
    buf_unref(&c.last);
}

static void when_memory_is_short_little_goes_to_the_file_too(void **state)
{
    struct fixture *f = *state;
    struct gathering s;
    fixture_open(f);
    begin(f, &s, true);
    feed(f, &s, 100000, BUF_BYTES);
    assert_true(gathered_is_in_memory(s.g));
    gathered_relieve(s.g);
    wait_settled(f, &s);
    LOOP_UNTIL(&f->loop, gathered_is_idle(s.g));
    assert_int_equal(gathered_in_memory(s.g), 0);
    check_all(&s);
    end(&s);
}

/* It counts for what was made of it, though it is in the file. */
static void what_is_pinned_stays_in_memory(void **state)
{
    struct fixture *f = *state;
    struct gathering s;
    fixture_open(f);
    begin(f, &s, true);
    feed(f, &s, 400000, BUF_BYTES);
    gathered_pin(s.g, 300000);
    feed(f, &s, 2000000, BUF_BYTES);
    gathered_relieve(s.g);
    LOOP_UNTIL(&f->loop, gathered_is_idle(s.g));
    assert_int_equal(gathered_in_memory(s.g), 300000);
    check_all(&s);
    gathered_drop(s.g);
    assert_int_equal(gathered_in_memory(s.g), 0);
    end(&s);
}

static uint64_t room_of(struct fixture *f)
{
    uint64_t bytes = 0;
    while (spool_take_room(f->spool, 64 << 10))
        bytes += 64 << 10;
    spool_give_room(f->spool, bytes);
    return bytes;
}

static void all_of_it_counts_against_the_spool_and_comes_back(void **state)
{
    struct fixture *f = *state;
    struct gathering s;
    struct gathered_piece piece;
    f->options.max_bytes = 64 << 20;
    fixture_open(f);
    uint64_t before = room_of(f);
    begin(f, &s, true);
    feed(f, &s, 1000000, BUF_BYTES);
    wait_settled(f, &s);
    assert_int_equal(gathered_room(s.g, &f->loop.pool, 24 << 20, &piece), OK);
    for (unsigned i = 0; i < 30; i++) {
        feed(f, &s, 100000, BUF_BYTES);
        wait_settled(f, &s);
    }
    assert_true(before - room_of(f) >= (24 << 20) + gathered_bytes(s.g) - gathered_in_memory(s.g));
    gathered_piece_free(&piece);
    end(&s);
    assert_int_equal(room_of(f), before);
}

static void without_a_spool_header_max_is_the_end(void **state)
{
    struct fixture *f = *state;
    struct gathering s;
    fixture_open(f);
    begin(f, &s, false);
    assert_int_equal(gathered_max(s.g), HEADER_MAX);
    feed(f, &s, 2 * HEADER_MAX, BUF_BYTES);
    gathered_relieve(s.g);
    assert_true(gathered_is_in_memory(s.g));
    check_all(&s);
    end(&s);
}

static void what_is_dropped_on_its_way_gives_its_memory_back(void **state)
{
    struct fixture *f = *state;
    struct gathering s;
    fixture_open(f);
    begin(f, &s, true);
    feed(f, &s, HEADER_MAX + 300000, BUF_BYTES);
    assert_false(gathered_is_idle(s.g));
    gathered_drop(s.g);
    LOOP_UNTIL(&f->loop, gathered_is_idle(s.g));
    assert_int_equal(s.budget->held, 0);
    end(&s);
}

/* The room that it takes is the spool's, and is given back. */
static void a_full_spool_holds_no_more_than_memory_does(void **state)
{
    struct fixture *f = *state;
    struct gathering s;
    fixture_open(f);
    spool_set_limits(f->spool, 1 << 20, 0, 0);
    begin(f, &s, true);
    feed(f, &s, 3 * HEADER_MAX, BUF_BYTES);
    LOOP_UNTIL(&f->loop, gathered_is_idle(s.g));
    assert_state(&s, ERR_LIMIT, "queue: full");
    assert_int_equal(gathered_push(s.g, NULL, NULL, 1), ERR_LIMIT);
    end(&s);

    spool_set_limits(f->spool, 64 << 20, 0, 0);
    for (unsigned i = 0; i < 8; i++) {
        begin(f, &s, true);
        feed(f, &s, 3 * HEADER_MAX, BUF_BYTES);
        wait_settled(f, &s);
        assert_state(&s, OK, NULL);
        end(&s);
    }
}

/* Made by a rule, of a header that is in a file: it stands there as well. */
static void room_for_what_is_made_of_it_is_in_the_file_too(void **state)
{
    struct fixture *f = *state;
    struct gathering s;
    struct gathered_piece small, large;
    fixture_open(f);
    begin(f, &s, true);
    feed(f, &s, 2000000, BUF_BYTES);
    wait_settled(f, &s);
    assert_int_equal(gathered_room(s.g, &f->loop.pool, 1000, &small), OK);
    assert_false(gathered_piece_is_mapped(&small));
    assert_int_equal(gathered_room(s.g, &f->loop.pool, 3000000, &large), OK);
    assert_true(gathered_piece_is_mapped(&large));
    memset(small.at, 1, small.len);
    memset(large.at, 2, large.len);
    check_all(&s);
    feed(f, &s, 1000000, BUF_BYTES); /* which does not run into it */
    wait_settled(f, &s);
    check_all(&s);
    for (size_t i = 0; i < large.len; i++)
        assert_int_equal(large.at[i], 2);
    spool_set_limits(f->spool, 1 << 20, 0, 0);
    struct gathered_piece refused;
    assert_int_equal(gathered_room(s.g, &f->loop.pool, 3000000, &refused), ERR_LIMIT);
    gathered_piece_free(&small);
    gathered_piece_free(&large);
    assert_null(large.buf);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(up_to_header_max_all_is_in_memory, fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(past_it_memory_is_flat_and_all_comes_out_as_it_went_in,
                                        fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(what_is_wanted_in_one_piece_is_written_to_its_end, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(slices_of_the_file_outlive_it, fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(when_memory_is_short_little_goes_to_the_file_too, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(what_is_pinned_stays_in_memory, fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(all_of_it_counts_against_the_spool_and_comes_back, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(without_a_spool_header_max_is_the_end, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(what_is_dropped_on_its_way_gives_its_memory_back, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(a_full_spool_holds_no_more_than_memory_does, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(room_for_what_is_made_of_it_is_in_the_file_too, fixture_set_up,
                                        fixture_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
