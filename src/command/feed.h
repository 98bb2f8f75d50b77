/*
 * One file's data set on its way into an association, in bounded memory: a few pieces are read in turn, each again as soon
 * as the association has let go of what it held. The next piece is read while the ones before it are being sent.
 */
#ifndef HILUM_COMMAND_FEED_H
#define HILUM_COMMAND_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "association/association.h"
#include "io/io.h"

enum { FEED_PIECES = 4, FEED_PIECE_BYTES = 256 << 10 };

struct feed;

struct feed_user {
    /* The file is open: start the message, then feed_start. */
    void (*on_open)(struct feed *f);
    /* All of it is with the association, its end too; or why not, with the message begun or not. Not after feed_stop. */
    void (*on_done)(struct feed *f, const char *why);
    /* After a feed_stop that left the feed active, once the operation under way has ended: it may be used again. */
    void (*on_idle)(struct feed *f);
};

struct feed {
    const struct feed_user *user;
    void *owner;
    struct io *io;
    struct pool *pool;
    uint64_t fed; /* bytes given to the association */
    /* private */
    struct association *a;
    struct io_op op;
    int fd;
    uint64_t offset;
    bool is_active, is_started, is_stopped;
    struct buf *reading;
    struct buf *pieces[FEED_PIECES];
};

/* Fill user, owner, io, pool first; all else zero. False without memory. */
bool feed_init(struct feed *f);
/* Opens path, which must live until on_done or on_idle; bytes from offset on will be sent. */
void feed_open(struct feed *f, const char *path, uint64_t offset);
void feed_start(struct feed *f, struct association *a);
/* Some of what was queued has gone out. */
void feed_go_on(struct feed *f);
/* True between feed_open and on_done or on_idle. */
bool feed_is_active(const struct feed *f);
void feed_stop(struct feed *f);
/* It must be idle, and the associations it fed gone. */
void feed_free(struct feed *f);

#endif
