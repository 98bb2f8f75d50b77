/*
 * Payload buffers: refcounted, pooled, borrowed through slices.
 *
 * A buffer belongs to one worker's pool; counts are not atomic. Whoever holds a slice holds a reference. The kernel is
 * an owner too: io/ keeps a reference for as long as an operation may touch the buffer.
 *
 *   data   [0 .. used) filled, append-only while slices of it are out; [used .. size) free
 *
 * A pool has a cap (its part of gateway.memory). Receive buffers are charged to a budget, one an association, which
 * learns when they come back: budgets count pinned buffers, not bytes, so that tiny slices cannot pin the pool.
 *
 * What is made of payload, and kept beside it, counts against the same cap by its bytes (pool_take): as many receive buffers as these
 * would fill can then not be had.
 */
#ifndef HILUM_MEM_BUF_H
#define HILUM_MEM_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/result.h"

enum {
    BUF_BYTES = 64 << 10,    /* a receive buffer */
    BUF_SCRATCH_BYTES = 2048 /* headers and command sets on their way out */
};

struct pool;

/* What one association holds. Lives until its owner has left and the last buffer is back. */
struct budget {
    uint32_t held; /* receive buffers */
    bool owner_left;
    void (*on_release)(
        void *owner); /* a buffer came back; called at once: only set a flag or defer work there */
    void *owner;
    struct buf
        *last; /* the last one charged that is still out; no reference: it goes when nobody else holds it */
};

struct buf {
    struct pool *pool;
    struct budget *budget; /* NULL: charged to nobody */
    struct buf *next_free;
    struct buf *kept; /* of a scratch buffer: another that stays as long, by buf_keep; NULL: none */
    uint32_t refs;
    uint32_t size;
    uint32_t used;
    uint32_t taken;  /* of a scratch buffer: bytes of it that count against the cap, by buf_take */
    bool is_receive; /* counted against the cap; else scratch */
    bool is_secret;  /* of a scratch buffer: what is in it is wiped when it goes. Set by whoever fills it */
    bool is_mapped;  /* has no data of its own: slices of it are of a mapped file (buf_map) */
    uint8_t data[];
};

struct pool {
    uint32_t cap;    /* receive buffers at most */
    uint32_t in_use; /* receive buffers that are out, and those that `taken` stands for */
    uint64_t taken;  /* bytes that count and are in no receive buffer */
    uint32_t free_count;
    uint32_t hot; /* free ones kept for reuse, newest first (they are still in the cache) */
    struct buf *free;
    struct buf *free_scratch;
    uint32_t free_scratch_count;
    void (*on_free)(
        void *arg); /* a receive buffer came back, or may be had again: somebody may be waiting for one */
    void *on_free_arg;
    /* Somebody has to wait for receive buffers: who holds what it could do without should let go. Only defer work there. */
    void (*on_short)(void *arg);
    void *on_short_arg;
};

struct slice {
    struct buf *buf;
    uint8_t *at;
    uint32_t len;
};

void pool_init(struct pool *p, uint64_t memory_bytes);
/* Every buffer must be back. */
void pool_free(struct pool *p);

/* A receive buffer with one reference, charged to nobody yet; NULL at the cap or without memory. */
struct buf *buf_new(struct pool *p);
/* Receive buffers that may still be taken. */
uint32_t pool_available(const struct pool *p);
/* Three quarters are taken: not the time to hold what one could do without. */
bool pool_is_short(const struct pool *p);
/* So many bytes, kept elsewhere, count against the cap until they are given back. False: they would need what is left for those who hold
 * nothing, the last eighth (docs/stream.md); nothing is changed. Never waits: whoever may hold payload and is refused gives up. */
MUST_USE bool pool_take(struct pool *p, size_t bytes);
void pool_give_back(struct pool *p, size_t bytes);
/* A small buffer for what we write ourselves; not counted against the cap (it is bounded by what it heads). Sizes above
 * BUF_SCRATCH_BYTES are allocated as such. NULL without memory. */
struct buf *buf_scratch(struct pool *p, size_t at_least);

static inline struct buf *buf_ref(struct buf *b)
{
    b->refs++;
    return b;
}
/* Drops a reference and nulls the pointer. */
void buf_unref(struct buf **b);

/* map.c: bytes [offset, offset + len) of a file, to be read as long as the buffer lives: slices of it start at *at_out, not at `data`. Count against
 * nothing: the system gives their memory back as it likes. The descriptor may be closed. len > 0, offset of whole pages. NULL: refused, or they
 * cannot be read. */
struct buf *buf_map(struct pool *p, int fd, uint64_t offset, size_t len, uint8_t **at_out);
/* The same to be written: room for them is taken first. Waits for the disk, if that has to look for room. NULL: refused, or there is none. */
struct buf *buf_map_room(struct pool *p, int fd, uint64_t offset, size_t len, uint8_t **at_out);
/* Inside mem. */
void buf_unmap(struct buf *b);

/* So many bytes of a scratch buffer count against the cap (once), until it goes. False as pool_take. */
MUST_USE bool buf_take(struct buf *b, size_t bytes);
/* The other one stays as long as this scratch buffer (once): what was made of received bytes then holds up who sent these as they would themselves. */
void buf_keep(struct buf *b, struct buf *other);
/* Charges a receive buffer to a budget (once). */
void buf_charge(struct buf *b, struct budget *budget);

struct budget *budget_new(void (*on_release)(void *owner), void *owner);
/* The owner leaves; it is not called any more. */
void budget_leave(struct budget **b);

/* A first-in first-out queue of slices, each with its own reference. Empty queues hold no memory. */
struct slices {
    struct slice *items;
    uint32_t head, count, cap; /* cap is a power of two; item i is items[(head + i) & (cap - 1)] */
    size_t bytes;
};

/* Appends a part of a buffer and takes a reference. False without memory (nothing is changed). */
bool slices_push(struct slices *s, struct buf *b, uint8_t *at, uint32_t len);
/* The same of bytes that are copied, into a scratch buffer of their own; that keeps `kept` (buf_keep; NULL: none). No bytes are no slice. */
bool slices_push_copy(struct slices *s, struct pool *p, const void *bytes, size_t len, struct buf *kept);
/* Appends all of another queue once more, which stays as it is. False without memory: some may have been appended. */
bool slices_share(struct slices *to, const struct slices *from);
static inline struct slice *slices_at(const struct slices *s, uint32_t i)
{
    return &s->items[(s->head + i) & (s->cap - 1)];
}
/* Drops the first len bytes; len <= bytes. */
void slices_consume(struct slices *s, size_t len);
void slices_clear(struct slices *s);
/* Moves up to len bytes from the front of `from` to the end of `to`. False without memory. */
bool slices_move(struct slices *to, struct slices *from, size_t len);
/* Copies bytes [offset, offset + len) out; they must be there. */
void slices_copy_out(const struct slices *s, size_t offset, void *to, size_t len);

#endif
