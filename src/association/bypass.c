/*
 * Payload from one association to others that never comes to our memory: socket, pipe, socket (splice), a copy of the pipe for
 * each further destination (tee).
 *
 * Between receives, in the middle of a large PDV, the user says whether its rest shall pass (on_bulk). From then on no receive
 * is submitted. Headers are still read and written by us: those of the sender in exact portions, so that no payload comes
 * along, ours before each fragment. It ends by itself where memory serves better: before a small PDV, a command, and the
 * last bytes of a data set, so that the last fragment is always one of memory. So a half-sent message can never
 * look complete, however it ends.
 *
 * The last two bytes of every PDV are kept back, since the next may be empty and the last: of another large PDV they are read with the
 * header and written with ours, of the last one they are left to memory.
 *
 *      from.socket --splice--> pipe of a leg --splice--> its socket
 *                              |--tee--> pipe of another leg --splice--> its socket
 */
#include <stdlib.h>
#include <string.h>

#include "association/inside.h"
#include "base/assert.h"
#include "base/log.h"
#include "pdu/write.h"

enum {
    TURN_BYTES = 2 << 20,  /* then others have their turn ... */
    TURN_STEPS = 512,      /* ... also if the sender sends headers and nothing else */
    KEPT_BYTES = 2,        /* an even number, so that fragments are even */
    SMALL_BYTES = 16 << 10 /* moved before the sender pauses: it may wait for our acknowledgement */
};

struct bypass_leg {
    struct bypass *bypass;
    struct association *to; /* NULL: it takes no part any more */
    struct io_pipe *pipe;
    struct io_op poll;     /* until it takes more */
    struct io_task broken; /* found so: told after what has come from there */
    bool is_broken, is_heard;
    bool leads;             /* the next fragment begins with the bytes kept of the PDV before */
    uint32_t piece_left;    /* of the piece, not framed yet */
    uint32_t fragment_left; /* of the fragment on its way: from the pipe */
    uint8_t head[PDU_DATA_HEADER_BYTES + KEPT_BYTES];
    uint8_t head_len, head_left; /* its last bytes are still to be sent */
};

struct bypass {
    struct association *from;
    struct bypass_leg legs[ASSOCIATION_LEGS_MAX];
    unsigned leg_count;
    uint32_t piece_left; /* of the piece, the rest of one PDV: still in the socket */
    uint8_t kept[KEPT_BYTES];
    uint8_t kept_len; /* read, and given to nobody yet */
    size_t moved;     /* in this turn */
    bool is_on, is_running;
    bool is_readable;  /* the poll says so; nothing has been read since */
    struct io_op poll; /* until the sender has more */
    struct io_task turn;
};

static bool is_amid_fragment(const struct bypass_leg *leg)
{
    return leg->head_left < leg->head_len && leg->head_left + leg->fragment_left > 0;
}

bool association_is_amid_fragment(const struct association *a)
{
    return a->is_cut || (a->leg && is_amid_fragment(a->leg));
}

static void set_nonblocking(struct association *a, bool is_nonblocking)
{
    if (a->stream.fd >= 0)
        io_set_nonblocking(a->stream.fd, is_nonblocking);
}

static void leg_leave(struct bypass_leg *leg)
{
    struct association *to = leg->to;
    struct io *io = leg->bypass->from->io;
    if (!to)
        return;
    if (leg->bypass->is_running)
        set_nonblocking(to, false);
    leg->to = NULL;
    to->leg = NULL;
    to->is_cut = is_amid_fragment(leg);
    io_cancel(io, &leg->poll);
    io_defer_cancel(io, &leg->broken);
    io_pipe_return(io, &leg->pipe);
}

static void end(struct bypass *b)
{
    struct association *a = b->from;
    if (!b->is_on)
        return;
    b->is_on = false;
    if (b->is_running)
        set_nonblocking(a, false);
    for (unsigned i = 0; i < b->leg_count; i++)
        leg_leave(&b->legs[i]);
    io_cancel(a->io, &b->poll);
    io_defer_cancel(a->io, &b->turn);
    stream_look_again(&a->stream);
}

void association_leave_bypass(struct association *a)
{
    struct bypass_leg *leg = a->leg;
    a->waits_to_pass = false;
    if (a->bypass)
        end(a->bypass);
    if (!leg)
        return;
    struct bypass *b = leg->bypass;
    leg_leave(leg);
    for (unsigned i = 0; i < b->leg_count; i++)
        if (b->legs[i].to) {
            io_defer(b->from->io, &b->turn);
            return;
        }
    end(b);
}

/* --- moving ------------------------------------------------------------------------------------------------ */

static void begin_fragment(struct bypass_leg *leg)
{
    struct association *to = leg->to;
    uint32_t n = leg->piece_left < to->fragment_max ? leg->piece_left : to->fragment_max;
    pdu_write_data_header(leg->head, n, to->send_context, 0);
    leg->head_len = PDU_DATA_HEADER_BYTES;
    leg->piece_left -= n;
    leg->fragment_left = n;
    if (leg->leads) {
        memcpy(leg->head + leg->head_len, leg->bypass->kept, KEPT_BYTES);
        leg->head_len += KEPT_BYTES;
        leg->fragment_left -= KEPT_BYTES;
        leg->leads = false;
    }
    leg->head_left = leg->head_len;
}

/* Not in the turn in which it was found: what had come by then is only completed in the next. */
static void on_broken(struct io_task *t)
{
    struct bypass_leg *leg = t->owner;
    if (leg->is_heard)
        stream_break(&leg->to->stream, IO_RESET);
    else
        io_defer(leg->bypass->from->io, t);
    leg->is_heard = true;
}

/* False if the leg has to wait, or is broken. What the peer said before it went (a refusal, an A-ABORT) waits in the ring: it is
 * heard first. */
static bool has_passed(struct bypass_leg *leg, enum io_passing how, size_t n)
{
    if (how == IO_PASSED) {
        stream_count_sent(&leg->to->stream, n);
    } else if (how != IO_MUST_WAIT) {
        leg->is_broken = true;
        io_defer(leg->bypass->from->io, &leg->broken);
    }
    return how == IO_PASSED;
}

/* False if the leg has to wait, or is broken. */
static bool move_out(struct bypass_leg *leg)
{
    int fd = leg->to->stream.fd;
    size_t n;
    if (leg->head_left + leg->fragment_left == 0)
        begin_fragment(leg);
    if (leg->head_left > 0) {
        const uint8_t *at = leg->head + leg->head_len - leg->head_left;
        enum io_passing how = io_send_now(fd, at, leg->head_left, true, &n);
        if (!has_passed(leg, how, n))
            return false;
        leg->head_left -= (uint8_t)n;
        return true;
    }
    size_t in_pipe = leg->pipe->bytes;
    size_t most = leg->fragment_left < in_pipe ? leg->fragment_left : in_pipe;
    /* More follows: the end of a PDU leaves with the next one, not as a packet of its own. The last of a data set is sent from memory. */
    enum io_passing how = io_pass_out(leg->pipe, fd, most, true, &n);
    if (!has_passed(leg, how, n))
        return false;
    leg->fragment_left -= (uint32_t)n;
    return true;
}

static void drain(struct bypass_leg *leg)
{
    bool has_moved = false;
    while (leg->to && !leg->is_broken && leg->pipe->bytes > 0 && move_out(leg))
        has_moved = true;
    if (has_moved && leg->to && leg->to->user->on_sent)
        leg->to->user->on_sent(leg->to);
}

/* The leg whose pipe takes least: what it takes, the others' pipes take too. */
static struct bypass_leg *first_leg(struct bypass *b)
{
    struct bypass_leg *first = NULL;
    for (unsigned i = 0; i < b->leg_count; i++) {
        struct bypass_leg *leg = &b->legs[i];
        if (leg->to && (!first || leg->pipe->capacity < first->pipe->capacity))
            first = leg;
    }
    return first;
}

static void copy_to_others(struct bypass *b, struct bypass_leg *first)
{
    for (unsigned i = 0; i < b->leg_count; i++) {
        struct bypass_leg *leg = &b->legs[i];
        if (!leg->to)
            continue;
        leg->to->stream.sent_ms = io_now(b->from->io); /* a stall is counted from here */
        if (leg != first && !io_pass_copy(first->pipe, leg->pipe))
            association_abort(leg->to, "the system has no room for a copy of the data");
    }
}

/* False if the sender has to be waited for, or is lost. */
static bool move_in(struct bypass *b)
{
    struct association *a = b->from;
    struct bypass_leg *first = first_leg(b);
    size_t most = b->piece_left < first->pipe->capacity ? b->piece_left : first->pipe->capacity;
    size_t n;
    enum io_passing how = io_pass_in(first->pipe, a->stream.fd, most, &n);
    if (how == IO_MUST_WAIT && b->is_readable && b->moved == 0) /* readable, and yet nothing passes */
        how = io_copy_in(first->pipe, a->stream.fd, most, &n);
    b->is_readable = false;
    if (how == IO_PASSED) {
        b->piece_left -= (uint32_t)n;
        b->moved += n;
        pdu_reader_pass(&a->ul.reader, (uint32_t)n);
        stream_count_received(&a->stream, n);
        a->payload_in += n;
        copy_to_others(b, first);
        if (b->is_on)
            a->user->on_passed(a, n);
    } else if (how != IO_MUST_WAIT) {
        stream_break(&a->stream, how == IO_PASS_END ? IO_NONE : IO_RESET);
    }
    return how == IO_PASSED;
}

/* --- pieces ------------------------------------------------------------------------------------------------ */

/* How much of the PDV may pass: even, so that fragments are. What is not of this message is left to those who know what to say. */
static uint32_t passable(const struct association *a)
{
    const struct pdu_reader *r = &a->ul.reader;
    if (!a->is_in_data || r->at != PDU_AT_PDV || (r->control & PDV_COMMAND) ||
        r->context_id != a->message_context)
        return 0;
    return r->pdv_left > KEPT_BYTES ? (r->pdv_left - KEPT_BYTES) & ~(uint32_t)1 : 0;
}

/* Bytes that end where the next large PDV's payload begins, which can then pass. */
static size_t up_to_next_payload(const struct association *a)
{
    const struct pdu_reader *r = &a->ul.reader;
    if (r->at != PDU_AT_PDV)
        return pdu_reader_header_left(r);
    if (r->control & PDV_LAST)
        return SIZE_MAX;
    return r->pdv_left + (r->pdu_left > r->pdv_left ? PDU_PDV_HEADER_BYTES : PDU_DATA_HEADER_BYTES);
}

static bool begin_piece(struct bypass *b)
{
    uint32_t n = passable(b->from);
    if (n < BYPASS_MIN)
        return false;
    b->piece_left = n;
    for (unsigned i = 0; i < b->leg_count; i++) {
        b->legs[i].leads = b->kept_len > 0;
        b->legs[i].piece_left = n + b->kept_len;
    }
    if (b->kept_len > 0)
        b->from->user->on_passed(b->from, b->kept_len);
    b->kept_len = 0;
    return true;
}

/* They go the way of memory. */
static void give_kept(struct bypass *b)
{
    struct association *a = b->from;
    uint8_t len = b->kept_len;
    b->kept_len = 0;
    if (len == 0)
        return;
    struct buf *bytes = buf_scratch(a->pool, len);
    if (!bytes) {
        association_fault(a, (struct pdu_fault){PDU_ABORT_UNSPECIFIED, "out of memory"});
        return;
    }
    memcpy(bytes->data, b->kept, len);
    bytes->used = len;
    a->user->on_data(a, bytes, bytes->data, len);
    buf_unref(&bytes);
}

/* The front of what was read is the end of the PDV before. */
static size_t keep(struct bypass *b, const uint8_t *bytes, size_t n)
{
    struct pdu_reader *r = &b->from->ul.reader;
    if (r->at != PDU_AT_PDV)
        return 0;
    if (n > r->pdv_left)
        n = r->pdv_left;
    memcpy(b->kept + b->kept_len, bytes, n);
    b->kept_len += (uint8_t)n;
    pdu_reader_pass(r, (uint32_t)n);
    return n;
}

/* The sender's next header; what it leads to may end the bypass, or the association. */
static bool read_header(struct bypass *b, size_t len)
{
    struct association *a = b->from;
    uint8_t bytes[KEPT_BYTES + PDU_DATA_HEADER_BYTES];
    size_t n;
    hilum_assert(len <= sizeof(bytes));
    enum io_passing how = io_receive_now(a->stream.fd, bytes, len, &n);
    if (how == IO_MUST_WAIT)
        return false;
    if (how != IO_PASSED) {
        stream_break(&a->stream, how == IO_PASS_END ? IO_NONE : IO_RESET);
        return false;
    }
    stream_count_received(&a->stream, n);
    for (size_t used = keep(b, bytes, n); used < n;) {
        size_t consumed;
        struct ul_outcome o = ul_receive(&a->ul, bytes + used, n - used, &consumed, &a->control);
        used += consumed;
        if (o.indication == UL_DATA && (o.data.control & PDV_LAST)) /* it is empty */
            give_kept(b);
        association_apply(a, &o, NULL); /* no payload is among these bytes */
    }
    return true;
}

/* How much can be read without payload of the next PDV, where one may follow that passes; 0: nothing. */
static size_t up_to_next_header(const struct bypass *b)
{
    const struct pdu_reader *r = &b->from->ul.reader;
    if (!b->from->is_in_data)
        return 0;
    if (r->at != PDU_AT_PDV)
        return pdu_reader_header_left(r);
    if ((r->control & PDV_LAST) || b->kept_len + r->pdv_left != KEPT_BYTES)
        return 0;
    return up_to_next_payload(b->from);
}

static bool next_piece(struct bypass *b)
{
    if (begin_piece(b))
        return true;
    size_t len = up_to_next_header(b);
    if (len > 0)
        return read_header(b, len);
    give_kept(b);
    end(b);
    return false;
}

/* --- turns ------------------------------------------------------------------------------------------------- */

static bool all_have_all(const struct bypass *b)
{
    for (unsigned i = 0; i < b->leg_count; i++)
        if (b->legs[i].to && b->legs[i].pipe->bytes > 0)
            return false;
    return true;
}

/* False if nothing can be done without waiting. */
static bool step(struct bypass *b)
{
    for (unsigned i = 0; i < b->leg_count; i++)
        drain(&b->legs[i]);
    if (!b->is_on || !all_have_all(b) || b->from->is_slowed)
        return false;
    return b->piece_left > 0 ? move_in(b) : next_piece(b);
}

static void set_all_nonblocking(struct bypass *b, bool is_nonblocking)
{
    set_nonblocking(b->from, is_nonblocking);
    for (unsigned i = 0; i < b->leg_count; i++)
        if (b->legs[i].to)
            set_nonblocking(b->legs[i].to, is_nonblocking);
}

static void wait(struct bypass *b)
{
    struct association *a = b->from;
    if (all_have_all(b)) {
        if (a->is_slowed)
            return; /* association_bypass_go_on */
        if (b->moved < SMALL_BYTES)
            io_quick_ack(a->stream.fd);
        if (!b->poll.is_pending)
            io_poll(a->io, &b->poll, a->stream.fd, IO_READABLE);
        return;
    }
    for (unsigned i = 0; i < b->leg_count; i++) {
        struct bypass_leg *leg = &b->legs[i];
        if (leg->to && !leg->is_broken && leg->pipe->bytes > 0 && !leg->poll.is_pending)
            io_poll(a->io, &leg->poll, leg->to->stream.fd, IO_WRITABLE);
    }
}

static void take_turn(struct bypass *b)
{
    if (!b->is_on)
        return;
    b->moved = 0;
    b->is_running = true;
    io_make_room(b->from->io);
    set_all_nonblocking(b, true);
    bool goes_on = true;
    for (unsigned steps = 0; goes_on && b->is_on && b->moved < TURN_BYTES && steps < TURN_STEPS; steps++)
        goes_on = step(b);
    if (b->is_on)
        set_all_nonblocking(b, false);
    b->is_running = false;
    if (!b->is_on)
        return;
    if (goes_on)
        io_defer(b->from->io, &b->turn);
    else
        wait(b);
}

static void on_turn(struct io_task *t)
{
    take_turn(t->owner);
}

static void on_poll(struct io_op *op, enum io_error error, int64_t n)
{
    struct bypass *b = op->owner;
    (void)error, (void)n; /* broken: the calls themselves will say how */
    if (!b->is_on) {
        association_tell_gone(b->from);
        return;
    }
    b->is_readable = op == &b->poll;
    take_turn(b);
}

/* --- beginning and end ------------------------------------------------------------------------------------- */

bool association_bypass_is_over(const struct association *a)
{
    const struct bypass *b = a->bypass;
    if (!b)
        return true;
    bool is_pending = b->poll.is_pending;
    for (unsigned i = 0; i < ASSOCIATION_LEGS_MAX; i++)
        is_pending |= b->legs[i].poll.is_pending;
    return !b->is_on && !is_pending;
}

void association_free_bypass(struct association *a)
{
    free(a->bypass);
    a->bypass = NULL;
}

static struct bypass *bypass_of(struct association *a)
{
    struct bypass *b = a->bypass;
    if (b)
        return b;
    a->bypass = b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    b->from = a;
    b->poll = (struct io_op){.on_done = on_poll, .owner = b};
    b->turn = (struct io_task){.run = on_turn, .owner = b};
    for (unsigned i = 0; i < ASSOCIATION_LEGS_MAX; i++)
        b->legs[i] = (struct bypass_leg){.bypass = b,
                                         .poll = {.on_done = on_poll, .owner = b},
                                         .broken = {.run = on_broken, .owner = &b->legs[i]}};
    return b;
}

/* False without memory or pipes, or if the kernel has not let go of the last one: then it goes through memory. */
static bool begin(struct association *a, const struct association_legs *legs)
{
    struct bypass *b = bypass_of(a);
    if (!b || !association_bypass_is_over(a))
        return false;
    b->leg_count = legs->count;
    b->kept_len = 0;
    bool ok = true;
    for (unsigned i = 0; i < legs->count; i++) {
        struct bypass_leg *leg = &b->legs[i];
        leg->pipe = io_pipe_take(a->io);
        ok &= leg->pipe != NULL;
    }
    for (unsigned i = 0; i < legs->count; i++) {
        struct bypass_leg *leg = &b->legs[i];
        leg->fragment_left = leg->head_len = leg->head_left = 0;
        leg->is_broken = leg->is_heard = leg->leads = false;
        leg->to = ok ? legs->to[i] : NULL;
        if (ok)
            leg->to->leg = leg;
        else
            io_pipe_return(a->io, &leg->pipe);
    }
    b->is_on = ok && begin_piece(b);
    if (b->is_on) {
        LOG(LOG_DEBUG, "payload passes by", LOG_STR("assoc", a->id), LOG_INT("destinations", b->leg_count));
        io_defer(a->io, &b->turn);
    }
    return b->is_on;
}

size_t association_may_receive(struct association *a)
{
    struct association_legs legs = {.count = 0};
    const struct pdu_reader *r = &a->ul.reader;
    a->waits_to_pass = false;
    if (a->is_slowed || (a->bypass && a->bypass->is_on))
        return 0;
    if (!a->user->on_bulk || a->stream.tls_context || a->has_ended || !a->is_in_data || a->unread.count > 0 ||
        r->pdv_size < BYPASS_MIN)
        return SIZE_MAX;
    enum association_bulk how = a->user->on_bulk(a, &legs);
    if (a->has_ended || how == ASSOCIATION_BULK_RECEIVE)
        return SIZE_MAX;
    if (how == ASSOCIATION_BULK_LATER)
        return legs.receive_max;
    if (passable(a) < BYPASS_MIN) {
        size_t len = up_to_next_payload(a);
        return len > 0 ? len : SIZE_MAX;
    }
    if (how == ASSOCIATION_BULK_EVEN)
        return 1;
    if (how == ASSOCIATION_BULK_WAIT) {
        a->waits_to_pass = true;
        for (unsigned i = 0; i < legs.count; i++) /* of this PDV more follows */
            association_send_rest(legs.to[i]);
        return 0;
    }
    return begin(a, &legs) ? 0 : SIZE_MAX;
}

void association_look_again(struct association *a)
{
    if (a->waits_to_pass)
        stream_look_again(&a->stream);
}

size_t association_passing(const struct association *a)
{
    return a->leg ? a->leg->pipe->bytes : 0;
}

void association_bypass_go_on(struct association *a)
{
    if (a->bypass && a->bypass->is_on)
        io_defer(a->io, &a->bypass->turn);
}

bool association_bypass_is_stuck(const struct association *a)
{
    return a->bypass && a->bypass->is_on && !all_have_all(a->bypass);
}
