/*
 * A byte pipe over a connected socket: a send queue of borrowed slices, and receiving that stops at a budget.
 *
 * Received bytes are handed on as they come, in pool buffers charged to the stream's budget; the user takes references to
 * what it keeps. When the buffers it holds reach the limit, receiving pauses (TCP then slows the peer) and goes on as
 * they come back. A receive that fills under a quarter of its buffer is copied behind the one before, so that tiny segments
 * cannot pin the pool. A stream at rest holds no buffer.
 *
 * With TLS (stream_secure) its records stand between the socket and the queue, and nothing else is different: what is counted, handed on and
 * queued are plain bytes.
 */
#ifndef HILUM_STREAM_STREAM_H
#define HILUM_STREAM_STREAM_H

#include <stdbool.h>

#include "io/io.h"
#include "mem/buf.h"
#include "tls/tls.h"

struct stream;

struct stream_user {
    /* len bytes at `at`, inside b. Take references to keep them. */
    void (*on_bytes)(struct stream *s, struct buf *b, uint8_t *at, uint32_t len);
    /* After on_bytes: true if more has to come before anything is answered. The peer may be waiting for an acknowledgement to send it (Nagle's
     * algorithm, quirk 15); else the acknowledgement goes with the answer, for nothing. May be NULL: true. */
    bool (*is_amid)(const struct stream *s);
    /* n more bytes of the send queue are with the kernel. */
    void (*on_sent)(struct stream *s, size_t n);
    /* Receiving pauses because the user holds as much as it may. May be NULL. */
    void (*on_full)(struct stream *s);
    /* Before a receive: how many bytes it may take at most; 0: none, until stream_look_again. May be NULL: any number. */
    size_t (*may_receive)(struct stream *s);
    /* The peer closed (error IO_NONE), or the connection broke: once, unless we closed. Sending is over too. */
    void (*on_lost)(struct stream *s, enum io_error error);
    /* After stream_watch: the peer has closed, or the connection broke, and what it had sent before may not be read yet. May be NULL if that is not used. */
    void (*on_hung_up)(struct stream *s);
    /* After stream_close: no operation is pending; the stream's memory may go. May be called from inside stream_close,
     * and from inside callbacks: free it later, from the loop. */
    void (*on_closed)(struct stream *s);
};

struct stream {
    struct io *io;
    const struct stream_user *user;
    void *owner;
    int fd;
    struct pool *pool;
    struct io_op receive_op, send_op, watch_op;
    struct io_waiter waiter;
    struct io_task work;
    struct slices sending;
    struct budget *budget;
    uint32_t limit;  /* receive buffers that may be held */
    bool is_reading; /* the user wants bytes */
    /* Set by the user after opening: what comes is small and consumed at once (responses). It needs no buffer of a pool that is
     * short, for those who hold the buffers may be waiting for just this. */
    bool is_lean;
    /* Likewise, until what is said first has come whole: only where the pool is used up, so that the answer can say so. */
    bool is_new;
    struct buf *own;                 /* of a receive without the pool */
    struct tls_context *tls_context; /* NULL: plain */
    struct tls *tls;                 /* of a listener: NULL until the first byte has come */
    size_t sealing;                  /* bytes at the front of `sending` that are sealed, and on their way */
    const char *why;                 /* on_lost: why, if TLS knows more than the socket; NULL: it does not */
    bool is_lost, is_closing, close_told;
    bool is_mute; /* with TLS: a send has failed, and what had come before is still being read */
    /* When bytes last moved. With TLS, received_ms is of what has been opened: a record that comes byte by byte is nothing to the user. */
    uint64_t received_ms, sent_ms;
    /* With TLS: a record has begun to come at record_ms, and is not whole. */
    bool is_amid_record;
    uint64_t record_ms;
    uint64_t received_bytes, sent_bytes;
};

/* Takes the descriptor. Receiving begins. False without memory (the descriptor is closed). */
bool stream_open(struct stream *s, struct io *io, struct pool *pool, int fd, const struct stream_user *user,
                 void *owner);

/* Right after stream_open: TLS, begun by us (a client) or by the peer. What is queued waits for the handshake. A reference to the context is
 * taken. False without memory: close it. */
bool stream_secure(struct stream *s, struct tls_context *c, bool begins);
/* The handshake is done, or there is none. */
bool stream_is_secured(const struct stream *s);

/* Buffers of 64 KiB that the user may hold before receiving pauses; at least STREAM_LIMIT_MIN. */
enum { STREAM_LIMIT_MIN = 4 };
void stream_set_limit(struct stream *s, uint32_t buffers);

/* The user wants no bytes for now (true again to go on). Bytes of a receive already submitted still come. */
void stream_set_reading(struct stream *s, bool is_reading);

/* may_receive is asked again, soon. */
void stream_look_again(struct stream *s);

/* on_hung_up tells, once: for a user that does not read for long, and would not hear of the end. Where that has come already, it is told soon. */
void stream_watch(struct stream *s);

/* Bytes that the user moved itself, past the stream, while no receive and no send was under way; it has found the
 * connection broken (or, with IO_NONE, closed). */
void stream_count_received(struct stream *s, size_t n);
void stream_count_sent(struct stream *s, size_t n);
void stream_break(struct stream *s, enum io_error error);

/* True while receiving waits for held buffers to come back. */
bool stream_is_full(const struct stream *s);
/* True while receiving waits for the pool: others hold it, or this stream's own part is too much for it. */
bool stream_is_starved(const struct stream *s);

/* Queues bytes to send; sent at the end of the turn, all that is queued in one call. False without memory. */
bool stream_send(struct stream *s, struct buf *b, uint8_t *at, uint32_t len);
/* The same with the content of a byte string, copied; nothing of it is left behind once it is sent. */
bool stream_send_bytes(struct stream *s, const void *bytes, size_t len);

/* Closes: what is queued is dropped. on_closed follows, once nothing is pending. */
void stream_close(struct stream *s);

#endif
