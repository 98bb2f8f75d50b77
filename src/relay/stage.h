/*
 * A step between a message and one of its sinks. Stages form a chain that ends at the sink; plain forwarding has none, and a
 * fan-out shares slices by reference up to where the chains begin.
 *
 * A stage may replace, drop or delay slices, finish after its input has, and fail after bytes have left. Gathering (`stream = false`),
 * and what a morph has made of the header (relay/edition.h); transcoding will be another.
 */
#ifndef HILUM_RELAY_STAGE_H
#define HILUM_RELAY_STAGE_H

#include "relay/gathered.h"
#include "relay/sink.h"

struct stage;

struct stage_ops {
    /* The three inputs of a sink; a stage passes them on by the stage_pass_ functions when it sees fit. */
    void (*data)(struct stage *st, struct buf *b, uint8_t *at, uint32_t len);
    void (*flow)(struct stage *st);
    void (*finish)(struct stage *st);
    /* Frees the stage, and what it holds, at any time. */
    void (*free)(struct stage *st);
};

struct stage {
    const struct stage_ops *ops;
    struct stage *next; /* NULL: the sink is next */
    struct sink *sink;
    uint64_t held_max; /* bytes that it may hold on top of `window` */
    /* The chain has failed: the message fails the sink. `what` is a fixed text. */
    void (*on_failed)(struct stage *st, uint16_t status, const char *what);
};

/* Into a chain: `first` is NULL for plain forwarding. A sink that is done is fed no more. */
void stage_data(struct stage *first, struct sink *sink, struct buf *b, uint8_t *at, uint32_t len);
void stage_flow(struct stage *first, struct sink *sink);
void stage_finish(struct stage *first, struct sink *sink);

/* From a stage to what follows it. */
void stage_pass_data(struct stage *st, struct buf *b, uint8_t *at, uint32_t len);
void stage_pass_flow(struct stage *st);
void stage_pass_finish(struct stage *st);

/* The most that a stage of the chain may hold on top of `window`. */
uint64_t stage_holds(const struct stage *first);

/* In front of a chain. False if st is NULL: there was no memory for it. */
bool stage_put_first(struct stage **first, struct stage *st,
                     void (*on_failed)(struct stage *st, uint16_t status, const char *what));

/* The whole chain; nulls the pointer. */
void stage_free(struct stage **first);

/* Holds the data set until all of it is here: nothing leaves before. It is `from` that holds it, which gets each piece before the chain does. Longer
 * than that may be: A700. From held_max on on_full (NULL: not asked) may let it go, as long as all of it is in memory. The first of its
 * chain. NULL without memory. */
struct stage *stage_gather_new(struct sink *sink, struct gathered *from, uint64_t held_max,
                               void (*on_full)(struct stage *st));
/* What it holds is passed on, and so is all that comes: it holds nothing any more. */
void stage_gather_let_go(struct stage *st);
/* To a chain: `from` has been written, or has failed. Any chain, NULL too. */
void stage_gather_moved(struct stage *first);

#endif
