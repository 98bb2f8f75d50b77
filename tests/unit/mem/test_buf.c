#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "mem/buf.h"

static void count_call(void *arg)
{
    (*(unsigned *)arg)++;
}

static void a_pool_lends_up_to_its_cap_and_no_more(void **state)
{
    (void)state;
    struct pool p;
    struct buf *b[3];
    unsigned freed = 0;
    pool_init(&p, 3 * BUF_BYTES + 100); /* the rest is too small for one */
    p.on_free = count_call;
    p.on_free_arg = &freed;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pool_available(&p), 3 - i);
        b[i] = buf_new(&p);
        assert_non_null(b[i]);
        assert_int_equal(b[i]->size, BUF_BYTES);
        assert_int_equal(b[i]->used, 0);
        memset(b[i]->data, 0xA5, BUF_BYTES);
    }
    assert_null(buf_new(&p));
    struct buf *small = buf_scratch(&p, 10); /* what we write ourselves is not counted */
    assert_non_null(small);
    buf_unref(&small);
    assert_int_equal(freed, 0);
    buf_unref(&b[1]);
    assert_null(b[1]);
    assert_int_equal(freed, 1);
    b[1] = buf_new(&p);
    assert_non_null(b[1]);
    assert_int_equal(b[1]->used, 0);
    for (unsigned i = 0; i < 3; i++)
        buf_unref(&b[i]);
    assert_int_equal(freed, 4);
    pool_free(&p);
}

static void what_is_kept_goes_with_who_keeps_it(void **state)
{
    struct pool p;
    (void)state;
    pool_init(&p, 1 << 20);
    struct buf *came = buf_new(&p), *made = buf_scratch(&p, 10), *big = buf_scratch(&p, 1 << 16);
    buf_keep(made, came);
    buf_keep(big, came);
    buf_unref(&came);
    buf_unref(&made);
    assert_int_equal(p.in_use, 1);
    buf_unref(&big);
    assert_int_equal(p.in_use, 0);
    made = buf_scratch(&p, 10); /* the same memory, and it keeps nothing */
    buf_unref(&made);
    pool_free(&p);
}

static void a_buffer_goes_back_with_its_last_reference(void **state)
{
    (void)state;
    struct pool p;
    pool_init(&p, 1 << 20);
    struct buf *b = buf_new(&p);
    struct buf *again = buf_ref(b);
    buf_unref(&b);
    assert_int_equal(p.in_use, 1);
    buf_unref(&again);
    assert_int_equal(p.in_use, 0);
    buf_unref(&again); /* nothing to drop */
    pool_free(&p);
}

static void the_newest_free_buffer_is_lent_first(void **state)
{
    (void)state;
    struct pool p;
    struct buf *all[100], *last;
    pool_init(&p, 100 * BUF_BYTES);
    for (unsigned i = 0; i < 100; i++)
        all[i] = buf_new(&p);
    for (unsigned i = 0; i < 100; i++)
        buf_unref(&all[i]);
    assert_true(p.free_count > 0 && p.free_count < 100); /* the rest is the system's again */
    last = p.free;
    struct buf *b = buf_new(&p);
    assert_ptr_equal(b, last);
    buf_unref(&b);
    pool_free(&p);
}

static void scratch_of_any_size_is_lent(void **state)
{
    (void)state;
    struct pool p;
    pool_init(&p, 0);
    assert_null(buf_new(&p));
    static const size_t sizes[] = {0, 1, BUF_SCRATCH_BYTES, BUF_SCRATCH_BYTES + 1, 1 << 20};
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct buf *b = buf_scratch(&p, sizes[i]);
        assert_non_null(b);
        assert_true(b->size >= sizes[i]);
        memset(b->data, 1, sizes[i]);
        buf_unref(&b);
    }
    struct buf *many[200];
    for (unsigned i = 0; i < 200; i++)
        many[i] = buf_scratch(&p, 12);
    for (unsigned i = 0; i < 200; i++)
        buf_unref(&many[i]);
    assert_true(p.free_scratch_count < 200);
    pool_free(&p);
}

/* Bytes in no receive buffer take as many of them away, all together rounded up once; an eighth is left. */
static void what_is_kept_beside_buffers_counts_against_the_cap(void **state)
{
    (void)state;
    struct pool p;
    unsigned freed = 0;
    pool_init(&p, 16 * BUF_BYTES);
    p.on_free = count_call;
    p.on_free_arg = &freed;
    assert_true(pool_take(&p, 0));
    assert_int_equal(p.in_use, 0);
    assert_true(pool_take(&p, 1));
    assert_true(pool_take(&p, BUF_BYTES - 1));
    assert_int_equal(p.in_use, 1);
    assert_true(pool_take(&p, BUF_BYTES + 1));
    assert_int_equal(pool_available(&p), 13);
    assert_false(pool_take(&p, 12 * BUF_BYTES));
    assert_int_equal(p.in_use, 3); /* nothing has changed */
    assert_true(pool_take(&p, 12 * BUF_BYTES - 1));
    assert_int_equal(pool_available(&p), 2);
    assert_false(pool_take(&p, 1 + BUF_BYTES));
    struct buf *one = buf_new(&p), *two = buf_new(&p);
    assert_non_null(two);
    assert_null(buf_new(&p));
    pool_give_back(&p, BUF_BYTES / 2);
    assert_int_equal(freed, 0); /* it makes no buffer free */
    pool_give_back(&p, BUF_BYTES);
    assert_int_equal(freed, 1);
    assert_int_equal(pool_available(&p), 1);
    pool_give_back(&p, p.taken);
    assert_int_equal(p.in_use, 2);
    buf_unref(&one);
    buf_unref(&two);
    pool_free(&p);
}

static void a_buffer_that_counts_gives_back_what_it_took(void **state)
{
    (void)state;
    struct pool p;
    pool_init(&p, 16 * BUF_BYTES);
    struct buf *b = buf_scratch(&p, 3 * BUF_BYTES), *more = buf_scratch(&p, 13 * BUF_BYTES);
    assert_true(buf_take(b, 2 * BUF_BYTES));
    assert_false(buf_take(more, 13 * BUF_BYTES));
    struct buf *again = buf_ref(b);
    buf_unref(&b);
    assert_int_equal(p.in_use, 2);
    buf_unref(&again);
    buf_unref(&more);
    assert_int_equal(p.in_use, 0);
    struct buf *small = buf_scratch(&p, 1);
    assert_true(buf_take(small, 1));
    buf_unref(&small);
    small = buf_scratch(&p, 1); /* the same memory, which counts no more */
    assert_int_equal(p.in_use, 0);
    buf_unref(&small);
    pool_free(&p);
}

/* --- budgets ----------------------------------------------------------------------------------------------- */

static void a_budget_learns_when_its_buffers_come_back(void **state)
{
    (void)state;
    struct pool p;
    unsigned released = 0;
    pool_init(&p, 1 << 20);
    struct budget *g = budget_new(count_call, &released);
    struct buf *one = buf_new(&p), *two = buf_new(&p), *free_of_charge = buf_new(&p);
    buf_charge(one, g);
    buf_charge(two, g);
    struct buf *held = buf_ref(one);
    assert_int_equal(g->held, 2);
    buf_unref(&one);
    buf_unref(&free_of_charge);
    assert_int_equal(released, 0); /* somebody holds it still */
    buf_unref(&held);
    assert_int_equal(released, 1);
    assert_int_equal(g->held, 1);
    struct buf *reused = buf_new(&p); /* the same memory, charged to nobody again */
    assert_null(reused->budget);
    buf_unref(&reused);
    assert_int_equal(released, 1);

    budget_leave(&g); /* its last buffer outlives the owner, who is called no more */
    assert_null(g);
    buf_unref(&two);
    assert_int_equal(released, 1);
    budget_leave(&g);
    pool_free(&p);
}

static void a_budget_knows_its_last_buffer_while_somebody_holds_it(void **state)
{
    (void)state;
    struct pool p;
    unsigned released = 0;
    pool_init(&p, 1 << 20);
    struct budget *g = budget_new(count_call, &released);
    struct buf *one = buf_new(&p), *two = buf_new(&p);
    buf_charge(one, g);
    assert_ptr_equal(g->last, one);
    buf_charge(two, g);
    buf_unref(&one);
    assert_ptr_equal(g->last, two);
    buf_unref(&two);
    assert_null(g->last);
    budget_leave(&g);
    pool_free(&p);
}

static void a_budget_that_holds_nothing_goes_with_its_owner(void **state)
{
    (void)state;
    unsigned released = 0;
    struct budget *g = budget_new(count_call, &released);
    budget_leave(&g); /* the leak checker sees to the rest */
    assert_null(g);
}

/* --- slices ------------------------------------------------------------------------------------------------ */

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 13 + i / 255);
}

/* A buffer filled from position `from` of an endless text. */
static struct buf *text(struct pool *p, size_t from, uint32_t len)
{
    struct buf *b = buf_scratch(p, len);
    assert_non_null(b);
    for (uint32_t i = 0; i < len; i++)
        b->data[i] = byte_at(from + i);
    b->used = len;
    return b;
}

static void push_text(struct pool *p, struct slices *s, size_t from, uint32_t len)
{
    struct buf *b = text(p, from, len);
    assert_true(slices_push(s, b, b->data, len));
    buf_unref(&b);
}

static void assert_text(const struct slices *s, size_t from)
{
    uint8_t bytes[4096];
    assert_true(s->bytes <= sizeof(bytes));
    slices_copy_out(s, 0, bytes, s->bytes);
    for (size_t i = 0; i < s->bytes; i++)
        assert_int_equal(bytes[i], byte_at(from + i));
}

static void bytes_are_copied_or_shared_at_the_end_of_a_queue(void **state)
{
    (void)state;
    struct pool p;
    struct slices s = {0}, again = {0};
    uint8_t bytes[100];
    pool_init(&p, 0);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = byte_at(10 + i);
    struct buf *kept = text(&p, 500, 1);
    push_text(&p, &s, 0, 10);
    assert_true(slices_push_copy(&s, &p, bytes, sizeof(bytes), kept));
    assert_true(slices_push_copy(&s, &p, bytes, 0, kept));
    assert_int_equal(s.count, 2);
    assert_int_equal(kept->refs, 2);
    bytes[0] = 0; /* they are copies */
    assert_text(&s, 0);
    assert_true(slices_share(&again, &s));
    slices_clear(&s);
    assert_text(&again, 0);
    assert_int_equal(again.bytes, 110);
    assert_int_equal(kept->refs, 2);
    slices_clear(&again);
    assert_int_equal(kept->refs, 1);
    buf_unref(&kept);
    pool_free(&p);
}

static void bytes_leave_a_queue_in_the_order_they_came(void **state)
{
    (void)state;
    struct pool p;
    struct slices s = {0};
    size_t in = 0, out = 0;
    pool_init(&p, 0);
    /* Pushes and pops of changing sizes: the array wraps and grows while its head is anywhere. */
    for (unsigned round = 0; round < 400; round++) {
        uint32_t len = round * 7 % 40 + 1;
        push_text(&p, &s, in, len);
        in += len;
        size_t drop = round * 5 % 37;
        if (drop > s.bytes)
            drop = s.bytes;
        slices_consume(&s, drop);
        out += drop;
        assert_int_equal(s.bytes, in - out);
        assert_text(&s, out);
    }
    slices_clear(&s);
    assert_null(s.items); /* an empty queue holds no memory */
    assert_int_equal(s.bytes + s.count, 0);
    slices_clear(&s);
    pool_free(&p);
}

static void every_range_can_be_copied_out(void **state)
{
    (void)state;
    struct pool p;
    struct slices s = {0};
    uint8_t bytes[64];
    pool_init(&p, 0);
    for (size_t at = 0; at < 60; at += 6)
        push_text(&p, &s, at, 6);
    for (size_t from = 0; from <= 60; from++)
        for (size_t len = 0; from + len <= 60; len++) {
            memset(bytes, 0, sizeof(bytes));
            slices_copy_out(&s, from, bytes, len);
            for (size_t i = 0; i < len; i++)
                assert_int_equal(bytes[i], byte_at(from + i));
            assert_int_equal(bytes[len], 0);
        }
    slices_clear(&s);
    pool_free(&p);
}

static void a_slice_that_continues_the_last_one_joins_it(void **state)
{
    (void)state;
    struct pool p;
    struct slices s = {0};
    pool_init(&p, 0);
    struct buf *b = text(&p, 0, 100), *other = text(&p, 0, 10);
    assert_true(slices_push(&s, b, b->data, 10));
    assert_true(slices_push(&s, b, b->data + 10, 10));
    assert_int_equal(s.count, 1);
    assert_int_equal(b->refs, 2);                      /* one a slice */
    assert_true(slices_push(&s, b, b->data + 21, 10)); /* a gap */
    assert_int_equal(s.count, 2);
    assert_true(slices_push(&s, b, b->data + 20, 1)); /* backwards */
    assert_int_equal(s.count, 3);
    assert_true(slices_push(&s, other, other->data, 10));
    assert_true(slices_push(&s, b, b->data + 31, 0)); /* nothing is no slice */
    assert_int_equal(s.count, 4);
    assert_int_equal(s.bytes, 41);
    slices_clear(&s);
    assert_int_equal(b->refs, 1);
    buf_unref(&b);
    buf_unref(&other);
    pool_free(&p);
}

static void moved_bytes_keep_their_order_and_their_references(void **state)
{
    (void)state;
    struct pool p;
    pool_init(&p, 0);
    for (size_t len = 0; len <= 35; len++) {
        struct slices from = {0}, to = {0};
        for (size_t at = 0; at < 30; at += 10)
            push_text(&p, &from, at, 10);
        size_t moved = len < 30 ? len : 30; /* no more than there is */
        assert_true(slices_move(&to, &from, len));
        assert_int_equal(to.bytes, moved);
        assert_int_equal(from.bytes, 30 - moved);
        assert_text(&to, 0);
        assert_text(&from, moved);
        slices_clear(&from);
        assert_text(&to, 0);
        slices_clear(&to);
    }
    pool_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pool_lends_up_to_its_cap_and_no_more),
        cmocka_unit_test(what_is_kept_goes_with_who_keeps_it),
        cmocka_unit_test(a_buffer_goes_back_with_its_last_reference),
        cmocka_unit_test(the_newest_free_buffer_is_lent_first),
        cmocka_unit_test(scratch_of_any_size_is_lent),
        cmocka_unit_test(what_is_kept_beside_buffers_counts_against_the_cap),
        cmocka_unit_test(a_buffer_that_counts_gives_back_what_it_took),
        cmocka_unit_test(a_budget_learns_when_its_buffers_come_back),
        cmocka_unit_test(a_budget_knows_its_last_buffer_while_somebody_holds_it),
        cmocka_unit_test(a_budget_that_holds_nothing_goes_with_its_owner),
        cmocka_unit_test(bytes_are_copied_or_shared_at_the_end_of_a_queue),
        cmocka_unit_test(bytes_leave_a_queue_in_the_order_they_came),
        cmocka_unit_test(every_range_can_be_copied_out),
        cmocka_unit_test(a_slice_that_continues_the_last_one_joins_it),
        cmocka_unit_test(moved_bytes_keep_their_order_and_their_references),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
