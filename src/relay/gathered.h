/*
 * What of a message is held back: for its decision (hold.h), and for destinations that get it whole (stage_gather.c).
 *
 *   in memory   by reference, up to header_max
 *   in a file   past that, or when memory is needed for others: one without a name in the spool's folder, up to header_spool_max. What is
 *               written is read where it stands in the file, which the system may drop from memory and read again
 *
 * Without a spool there is no file, and header_max is the end.
 */
#ifndef HILUM_RELAY_GATHERED_H
#define HILUM_RELAY_GATHERED_H

#include "config/config.h"
#include "mem/buf.h"
#include "spool/spool.h"

struct gathered_options {
    const struct config *config;
    struct budget *
        budget; /* not NULL: small pieces are copied together into buffers charged to it, since each slice takes memory that nobody counts */
    struct pool *pool;   /* NULL without a budget and without a spool */
    struct spool *spool; /* NULL: memory alone, */
    struct io *io;       /*   and no io */
    bool is_explained;   /* as if the configuration's spool were there, but all in memory */
    void *owner;
    void (*on_moved)(void *owner); /* it may be settled, or has failed. From the loop */
};

struct gathered;

/* What is written at a time; so much may stand in memory beyond header_max, twice while a write is on its way. */
enum { GATHERED_WRITE_BYTES = 256 << 10 };

/* NULL without memory. */
struct gathered *gathered_new(const struct gathered_options *options);
/* gathered_is_idle must hold. Nulls the pointer. */
void gathered_free(struct gathered **g);

/* The next bytes; a reference is taken. Else as gathered_state will say. */
enum result gathered_push(struct gathered *g, struct buf *b, uint8_t *at, uint32_t len);
/* To be called after each push, when whoever looks at them has: writes what is too much for memory. */
void gathered_proceed(struct gathered *g);
/* Memory is short: all of it goes into the file, if there may be one. */
void gathered_relieve(struct gathered *g);
/* The first `len` bytes are to be had in one piece: where a file has begun, what of them is still in memory follows. */
void gathered_want(struct gathered *g, uint64_t len);
/* So many of the bytes that are in memory now stay there, written or not: they count for what was made of them. */
void gathered_pin(struct gathered *g, size_t bytes);
/* Nothing is added any more. */
void gathered_close(struct gathered *g);
/* Nor is it wanted. */
void gathered_drop(struct gathered *g);

/* All bytes that came. */
uint64_t gathered_bytes(const struct gathered *g);
/* The ones that are in memory and count there. */
size_t gathered_in_memory(const struct gathered *g);
/* Nothing is in a file, or on its way there. */
bool gathered_is_in_memory(const struct gathered *g);
/* The most that may be gathered: header_max, or header_spool_max. */
uint64_t gathered_max(const struct gathered *g);

/* No write is on its way, and what was wanted is to be had. */
bool gathered_is_settled(const struct gathered *g);
/* No write is on its way. */
bool gathered_is_idle(const struct gathered *g);
/* When the write that is on its way began, by io_now; 0: none is. */
uint64_t gathered_writing_since(const struct gathered *g);
/* OK; ERR_LIMIT: the spool is full; ERR_IO; ERR_MEMORY. Not OK is for good: *why_out is fixed text. */
enum result gathered_state(const struct gathered *g, const char **why_out);

/* The rest needs a gathering that is settled and well. */

/* The first len bytes in one piece, of a file; until gathered_free. False: there is no file, or it cannot be read (gathered_state). */
MUST_USE bool gathered_view(struct gathered *g, uint64_t len, struct view *out);
/* Copies the first len bytes, which are in memory. */
void gathered_copy_out(const struct gathered *g, void *to, size_t len);
/* All of it, piece by piece; give takes references of its own. False: it cannot be read. */
MUST_USE bool gathered_each(struct gathered *g,
                            void (*give)(void *owner, struct buf *b, uint8_t *at, uint32_t len), void *owner);

/* Bytes of our own making that stand in for what came. */
struct gathered_piece {
    struct buf *buf; /* NULL: there is none */
    uint8_t *at;
    size_t len;
};
/* Room for len bytes, in memory of the pool, or where there is a file and they are more than a few, in it. ERR_MEMORY; ERR_LIMIT: the spool
 * is full. The gathering must outlive it. */
MUST_USE enum result gathered_room(struct gathered *g, struct pool *pool, size_t len,
                                   struct gathered_piece *out);
/* Whether it counts against nothing. */
bool gathered_piece_is_mapped(const struct gathered_piece *p);
void gathered_piece_free(struct gathered_piece *p);

#endif
