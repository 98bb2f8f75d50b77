/* What tests of the ring share: a loop for each, and operations that tell what became of them. */
#ifndef HILUM_TESTS_UNIT_IO_OPERATION_H
#define HILUM_TESTS_UNIT_IO_OPERATION_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../loop.h"
#include "base/clock.h"

/* An operation and what became of it. */
struct done {
    struct io_op op;
    unsigned count;
    enum io_error error;
    int64_t n;
    struct io *io;
    struct slices received; /* of a receive */
};

static inline void on_done(struct io_op *op, enum io_error error, int64_t n)
{
    struct done *d = op->owner;
    struct buf *b;
    uint32_t len;
    assert_false(op->is_pending);
    d->count++;
    d->error = error;
    d->n = n;
    while (d->io && (b = io_received(d->io, op, &len))) {
        assert_int_equal(b->used, len);
        assert_true(slices_push(&d->received, b, b->data, len));
        buf_unref(&b);
    }
}

static inline void done_init(struct done *d)
{
    *d = (struct done){.op = {.on_done = on_done, .owner = d}};
}

static inline void await(struct loop *l, struct done *d)
{
    unsigned before = d->count;
    assert_true(d->op.is_pending);
    LOOP_UNTIL(l, d->count > before);
    assert_int_equal(d->count, before + 1);
}

static inline int set_up(void **state)
{
    struct loop *l = malloc(sizeof(*l));
    assert_non_null(l);
    loop_open(l, 16 << 20);
    *state = l;
    return 0;
}

static inline int tear_down(void **state)
{
    struct loop *l = *state;
    loop_close(l);
    free(l);
    return 0;
}

/* --- bytes that can be told ------------------------------------------------------------------------------------- */

static inline uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 31 + i / 253);
}

static inline void queue_bytes(struct loop *l, struct slices *queue, size_t from, size_t len, size_t piece)
{
    for (size_t at = 0; at < len; at += piece) {
        size_t n = len - at < piece ? len - at : piece;
        struct buf *b = buf_scratch(&l->pool, n);
        assert_non_null(b);
        for (size_t i = 0; i < n; i++)
            b->data[i] = byte_at(from + at + i);
        b->used = (uint32_t)n;
        assert_true(slices_push(queue, b, b->data, b->used));
        buf_unref(&b);
    }
}

static inline void assert_bytes(struct slices *s, size_t from)
{
    for (; s->bytes > 0; from++) {
        assert_int_equal(*slices_at(s, 0)->at, byte_at(from));
        slices_consume(s, 1);
    }
}

#define RING_TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#endif
