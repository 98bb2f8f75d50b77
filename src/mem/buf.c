#include "mem/buf.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

enum { HOT_BUFFERS = 32, HOT_SCRATCH = 64 };

void pool_init(struct pool *p, uint64_t memory_bytes)
{
    *p = (struct pool){.hot = HOT_BUFFERS};
    uint64_t cap = memory_bytes / BUF_BYTES;
    p->cap = cap > UINT32_MAX ? UINT32_MAX : (uint32_t)cap;
}

void pool_free(struct pool *p)
{
    hilum_assert(p->in_use == 0 && p->taken == 0);
    while (p->free) {
        struct buf *b = p->free;
        p->free = b->next_free;
        free(b);
    }
    while (p->free_scratch) {
        struct buf *b = p->free_scratch;
        p->free_scratch = b->next_free;
        free(b);
    }
    p->free_count = p->free_scratch_count = 0;
}

static struct buf *buf_alloc(struct pool *p, size_t size)
{
    struct buf *b = malloc(sizeof(*b) + size);
    if (b)
        *b = (struct buf){.pool = p, .refs = 1, .size = (uint32_t)size};
    return b;
}

struct buf *buf_new(struct pool *p)
{
    struct buf *b;
    if (p->in_use >= p->cap)
        return NULL;
    if (p->free) {
        b = p->free;
        p->free = b->next_free;
        p->free_count--;
        *b = (struct buf){.pool = p, .refs = 1, .size = BUF_BYTES};
    } else {
        b = buf_alloc(p, BUF_BYTES);
        if (!b)
            return NULL;
    }
    b->is_receive = true;
    p->in_use++;
    return b;
}

uint32_t pool_available(const struct pool *p)
{
    return p->cap - p->in_use;
}

bool pool_is_short(const struct pool *p)
{
    return pool_available(p) <= p->cap / 4;
}

static uint32_t buffers_of(uint64_t bytes)
{
    return (uint32_t)((bytes + BUF_BYTES - 1) / BUF_BYTES);
}

bool pool_take(struct pool *p, size_t bytes)
{
    uint32_t more = buffers_of(p->taken + bytes) - buffers_of(p->taken);
    if (more > 0 && (uint64_t)more + p->cap / 8 > pool_available(p))
        return false;
    p->taken += bytes;
    p->in_use += more;
    return true;
}

void pool_give_back(struct pool *p, size_t bytes)
{
    hilum_assert(bytes <= p->taken);
    uint32_t fewer = buffers_of(p->taken) - buffers_of(p->taken - bytes);
    p->taken -= bytes;
    p->in_use -= fewer;
    if (fewer > 0 && p->on_free)
        p->on_free(p->on_free_arg);
}

bool buf_take(struct buf *b, size_t bytes)
{
    hilum_assert(!b->is_receive && b->taken == 0 && bytes <= b->size);
    if (!pool_take(b->pool, bytes))
        return false;
    b->taken = (uint32_t)bytes;
    return true;
}

struct buf *buf_scratch(struct pool *p, size_t at_least)
{
    if (at_least > BUF_SCRATCH_BYTES)
        return buf_alloc(p, at_least);
    struct buf *b = p->free_scratch;
    if (!b)
        return buf_alloc(p, BUF_SCRATCH_BYTES);
    p->free_scratch = b->next_free;
    p->free_scratch_count--;
    *b = (struct buf){.pool = p, .refs = 1, .size = BUF_SCRATCH_BYTES};
    return b;
}

static void budget_release(struct budget *g)
{
    hilum_assert(g->held > 0);
    g->held--;
    if (!g->owner_left)
        g->on_release(g->owner);
    else if (g->held == 0)
        free(g);
}

static void receive_buf_return(struct pool *p, struct buf *b)
{
    p->in_use--;
    if (p->free_count < p->hot) {
        b->next_free = p->free;
        p->free = b;
        p->free_count++;
    } else {
        free(b);
    }
    if (p->on_free)
        p->on_free(p->on_free_arg);
}

static void scratch_return(struct pool *p, struct buf *b)
{
    uint32_t taken = b->taken;
    struct buf *kept = b->kept;
    if (b->is_secret)
        explicit_bzero(b->data, b->used);
    if (b->is_mapped)
        buf_unmap(b);
    if (b->size == BUF_SCRATCH_BYTES && p->free_scratch_count < HOT_SCRATCH) {
        b->next_free = p->free_scratch;
        p->free_scratch = b;
        p->free_scratch_count++;
    } else {
        free(b);
    }
    if (taken > 0)
        pool_give_back(p, taken);
    buf_unref(&kept);
}

void buf_unref(struct buf **bp)
{
    struct buf *b = *bp;
    *bp = NULL;
    if (!b)
        return;
    hilum_assert(b->refs > 0);
    if (--b->refs > 0)
        return;
    struct budget *budget = b->budget;
    struct pool *p = b->pool;
    b->budget = NULL;
    if (budget && budget->last == b)
        budget->last = NULL;
    if (b->is_receive)
        receive_buf_return(p, b);
    else
        scratch_return(p, b);
    if (budget)
        budget_release(budget);
}

void buf_keep(struct buf *b, struct buf *other)
{
    hilum_assert(!b->is_receive && !b->kept && b != other);
    b->kept = buf_ref(other);
}

void buf_charge(struct buf *b, struct budget *budget)
{
    hilum_assert(!b->budget);
    b->budget = budget;
    budget->held++;
    budget->last = b;
}

struct budget *budget_new(void (*on_release)(void *owner), void *owner)
{
    struct budget *g = calloc(1, sizeof(*g));
    if (g) {
        g->on_release = on_release;
        g->owner = owner;
    }
    return g;
}

void budget_leave(struct budget **gp)
{
    struct budget *g = *gp;
    *gp = NULL;
    if (!g)
        return;
    g->owner_left = true;
    if (g->held == 0)
        free(g);
}
