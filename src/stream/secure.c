/*
 * TLS between the socket and the user of a stream.
 *
 * What comes is opened into receive buffers of the pool, one for each that it came in, which goes back at once. If there is none, what came moves aside
 * and is opened into its own buffer: whoever was given a buffer of a pool that is used up needs no second one. What is
 * queued is sealed from where it lies, a portion at a time, and leaves the queue as its sealed bytes leave, its last byte with the last of those: so
 * backlog, stalls and progress mean with TLS what they mean without.
 */
#include <string.h>

#include "base/log.h"
#include "stream/inside.h"

enum {
    PORTION_BYTES = 128 << 10, /* sealed for one send */
    RECORD_BYTES = 16 << 10,
    UNREAD_MAX = 512 << 10, /* sealed and not taken: a portion, and what TLS itself has to answer */
};

/* Room for more of what one buffer held: a record that had begun before ends in it. */
static struct buf *more_room(struct stream *s)
{
    struct buf *b = buf_new(s->pool);
    return b ? b : buf_scratch(s->pool, RECORD_BYTES);
}

/* What has been opened goes to the user. False: the stream is closing, and its TLS has gone. */
static bool hand_over(struct stream *s, struct buf **b)
{
    struct buf *full = *b;
    *b = NULL;
    if (full->used == 0) {
        buf_unref(&full);
        return true;
    }
    stream_count_received(s, full->used);
    stream_deliver(s, full);
    return !s->is_closing;
}

/* Says what it can, an alert for instance, to a peer that is being left. */
static void say_at_once(struct stream *s)
{
    const struct slices *sealed = tls_sealed(s->tls);
    size_t n = 0;
    if (s->send_op.is_pending || s->fd < 0)
        return;
    for (uint32_t i = 0; i < sealed->count; i++) {
        const struct slice *one = slices_at(sealed, i);
        if (io_send_now(s->fd, one->at, one->len, false, &n) != IO_PASSED || n < one->len)
            return;
    }
}

static void end_of(struct stream *s, enum result r)
{
    say_at_once(s);
    s->why = r == ERR_CLOSED ? NULL : tls_why(s->tls);
    stream_lose(s, r == ERR_CLOSED ? IO_NONE : IO_RESET);
}

/* Opens until nothing is left of what was fed. `out` holds what is not handed over yet; NULL: the stream is closing. */
static enum result open_all(struct stream *s, struct buf **out)
{
    size_t n;
    enum result r;
    do {
        struct buf *b = *out;
        if (b->used == b->size) {
            if (!hand_over(s, out))
                return OK;
            *out = b = more_room(s);
            if (!b)
                return ERR_MEMORY;
        }
        r = tls_open(s->tls, b->data + b->used, b->size - b->used, &n);
        b->used += (uint32_t)n;
    } while (r == OK);
    return r;
}

/* A record that began while nothing was opened is the one that had begun before. */
static void note_record(struct stream *s, bool has_opened)
{
    bool is_same = s->is_amid_record && !has_opened;
    s->is_amid_record = tls_is_amid(s->tls);
    if (s->is_amid_record && !is_same)
        s->record_ms = io_now(s->io);
}

void secure_take(struct stream *s, struct buf *b, uint32_t len)
{
    static _Thread_local uint8_t aside[BUF_BYTES];
    const uint8_t *from = b->data;
    if (!s->tls && !s->is_closing)
        s->tls = tls_new(s->tls_context, s->pool);
    if (s->is_closing || s->is_lost || !s->tls) {
        buf_unref(&b);
        if (!s->is_closing)
            stream_lose(s, IO_OTHER);
        return;
    }
    struct buf *out = b->is_receive ? buf_new(s->pool) : NULL;
    if (!out) {
        memcpy(aside, b->data, len);
        from = aside;
        out = b;
        out->used = 0;
        b = NULL;
    }
    uint64_t before = s->received_bytes;
    tls_feed(s->tls, from, len);
    enum result r = open_all(s, &out);
    buf_unref(&b);
    if (!out && r != OK) {
        stream_lose(s, IO_OTHER);
        return;
    }
    if (!out || !hand_over(s, &out))
        return;
    if (r == NEED_MORE)
        note_record(s, s->received_bytes > before);
    if (r != NEED_MORE) {
        end_of(s, r);
    } else if (tls_sealed(s->tls)->bytes > UNREAD_MAX) { /* new keys, again and again, and nothing is read */
        s->why = "TLS: the peer asks for answers that it does not read";
        stream_lose(s, IO_RESET);
    } else {
        stream_schedule(s); /* handshakes, tickets: there may be something to say */
    }
}

const struct slices *secure_next(struct stream *s)
{
    if (!s->tls)
        return NULL;
    const struct slices *sealed = tls_sealed(s->tls);
    if (sealed->count == 0 && s->sending.count > 0 && s->sealing == 0) {
        size_t most = pool_is_short(s->pool) ? RECORD_BYTES : PORTION_BYTES;
        if (tls_seal(s->tls, &s->sending, 0, most, &s->sealing) != OK) {
            s->why = tls_why(s->tls);
            stream_lose(s, IO_OTHER);
            return NULL;
        }
    }
    return sealed->count > 0 ? sealed : NULL;
}

size_t secure_sent(struct stream *s, size_t n)
{
    size_t before = tls_sealed(s->tls)->bytes;
    tls_sent(s->tls, n);
    size_t left =
        n < before ? s->sealing * n / before : s->sealing; /* short of all of it before the last byte */
    s->sealing -= left;
    return left;
}

void secure_end(struct stream *s)
{
    if (!s->tls || s->is_lost || s->send_op.is_pending || s->sending.count > 0)
        return;
    tls_end(s->tls);
    say_at_once(s);
}

void secure_free(struct stream *s)
{
    tls_free(&s->tls);
    tls_context_unref(&s->tls_context);
}

bool stream_secure(struct stream *s, struct tls_context *c, bool begins)
{
    s->tls_context = tls_context_ref(c);
    if (!begins)
        return true; /* who listens spends nothing before a byte has come */
    s->tls = tls_new(c, s->pool);
    if (!s->tls)
        return false;
    tls_begin(s->tls);
    stream_schedule(s);
    return true;
}

bool stream_is_secured(const struct stream *s)
{
    return !s->tls_context || (s->tls && tls_is_open(s->tls));
}
