/* One connection of the sink: bytes in and out, negotiation, the state machine's effects. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/assert.h"
#include "dicom/uid.h"
#include "net.h"
#include "pdu/write.h"
#include "sink.h"

enum {
    DROP_MIN_BYTES = 32 << 10, /* of a PDV that are left: less is cheaper to copy than to ask for apart */
    BULK_READ_BYTES = 1 << 10, /* room for a command set and the headers around it */
    READS_AT_ONCE = 64,        /* then the others have their turn */
    SMALL_READ_BYTES =
        4 << 10, /* a read of less may be half of what a peer with Nagle's algorithm has to say */
    KEPT_OUT_BYTES = 4 << 10, /* memory for answers that a connection keeps */
    COMPLAINTS_MAX = 20,      /* lines on stderr; all are counted */
    MAX_COMMAND_PDU = 16 << 10,
};
static const uint64_t ARTIM_NS = 30000000000u;

void connection_complain(struct connection *c, const char *why)
{
    if (++c->sink->tally.faults <= COMPLAINTS_MAX)
        fprintf(stderr, "sink: connection %llu: %s\n", (unsigned long long)c->number, why);
}

static void start_artim(struct connection *c)
{
    if (c->artim_due_ns)
        TAILQ_REMOVE(&c->sink->waiting, c, waiting_next);
    c->artim_due_ns = now_ns() + ARTIM_NS;
    TAILQ_INSERT_TAIL(&c->sink->waiting, c, waiting_next);
}

static void stop_artim(struct connection *c)
{
    if (c->artim_due_ns)
        TAILQ_REMOVE(&c->sink->waiting, c, waiting_next);
    c->artim_due_ns = 0;
}

void connection_free(struct connection *c)
{
    stop_artim(c);
    answers_forget(c->sink, c);
    TAILQ_REMOVE(&c->sink->open, c, open_next);
    if (c->is_slow)
        TAILQ_REMOVE(&c->sink->slow, c, slow_next);
    secure_free(&c->tls);
    close(c->fd);
    ul_free(&c->ul);
    octets_free(&c->out);
    message_free(&c->in);
    query_free(c);
    free(c);
}

/* Something still has to go to the socket. */
static bool is_waiting(const struct connection *c)
{
    return c->out.len > 0 || (c->tls && secure_is_waiting(c->tls));
}

static void watch(struct connection *c)
{
    const bool has_more = is_waiting(c) || (c->query.is_active && ul_may_send_data(&c->ul));
    uint32_t events = (c->is_stalled || c->is_slow ? 0 : EPOLLIN) | (has_more ? EPOLLOUT : 0);
    struct epoll_event e = {.events = events, .data.ptr = c};
    if (events != c->events)
        epoll_ctl(c->sink->epoll, EPOLL_CTL_MOD, c->fd, &e);
    c->events = events;
}

/* Sends what it can of bytes; returns how many went. */
static size_t send_some(struct connection *c, const uint8_t *bytes, size_t len)
{
    struct iovec one = {(void *)(uintptr_t)bytes, len};
    ssize_t n = c->tls ? secure_send(c->tls, &one, 1) : send(c->fd, bytes, len, MSG_NOSIGNAL);
    return n > 0 ? (size_t)n : 0; /* a connection that is gone shows when it is read */
}

static void flush(struct connection *c)
{
    if (c->out.len)
        octets_consume(&c->out, send_some(c, c->out.data, c->out.len));
    else if (c->tls)
        secure_flush(c->tls);
    if (c->out.len == 0 && c->out.cap > KEPT_OUT_BYTES)
        octets_free(&c->out);
}

/* One PDU of a command; with Nagle its header and its body by two calls, if nothing waits before them. */
static void send_pdu(struct connection *c, const uint8_t *header, const uint8_t *body, size_t len)
{
    if (c->sink->options.has_nagle && c->out.len == 0) {
        size_t sent = send_some(c, header, PDU_DATA_HEADER_BYTES);
        octets_append(&c->out, header + sent, PDU_DATA_HEADER_BYTES - sent);
        sent = c->out.len == 0 ? send_some(c, body, len) : 0;
        octets_append(&c->out, body + sent, len - sent);
    } else {
        octets_append(&c->out, header, PDU_DATA_HEADER_BYTES);
        octets_append(&c->out, body, len);
    }
}

bool connection_may_send(const struct connection *c)
{
    return c->out.len == 0 && !c->is_closing && ul_may_send_data(&c->ul);
}

void connection_send(struct connection *c, const uint8_t *bytes, size_t len)
{
    size_t sent = send_some(c, bytes, len);
    octets_append(&c->out, bytes + sent, len - sent);
}

void connection_answer(struct connection *c, uint8_t context_id, const struct octets *command)
{
    if (!ul_may_send_data(&c->ul))
        return;
    const uint32_t most = pdu_fragment_max(c->peer_max, MAX_COMMAND_PDU);
    for (size_t at = 0; at < command->len;) {
        uint8_t header[PDU_DATA_HEADER_BYTES];
        size_t len = command->len - at < most ? command->len - at : most;
        bool is_last = at + len == command->len;
        pdu_write_data_header(header, (uint32_t)len, context_id, PDV_COMMAND | (is_last ? PDV_LAST : 0));
        send_pdu(c, header, command->data + at, len);
        at += len;
    }
    flush(c);
}

/* The one that is taken of a context's proposals: explicit, implicit, else the first. */
static struct view choose(const struct pdu_context *asked)
{
    static const char *const LIKED[] = {DICOM_EXPLICIT_VR_LE, DICOM_IMPLICIT_VR_LE};
    for (size_t l = 0; l < sizeof LIKED / sizeof *LIKED; l++)
        for (unsigned i = 0; i < asked->transfer_syntax_count; i++)
            if (dicom_uid_is(asked->transfer_syntaxes[i], LIKED[l]))
                return asked->transfer_syntaxes[i];
    return asked->transfer_syntaxes[0];
}

static void set_bit(uint64_t bits[4], uint8_t id)
{
    bits[id / 64] |= UINT64_C(1) << id % 64;
}

static void accept_contexts(struct connection *c, struct pdu_associate *ac)
{
    const struct pdu_associate *rq = &c->ul.request;
    ac->contexts = pdu_associate_alloc(ac, rq->context_count * sizeof *ac->contexts);
    struct view *chosen = pdu_associate_alloc(ac, rq->context_count * sizeof *chosen);
    hilum_assert(ac->contexts && chosen);
    ac->context_count = rq->context_count;
    for (unsigned i = 0; i < rq->context_count; i++) {
        const struct pdu_context *asked = &rq->contexts[i];
        chosen[i] = choose(asked);
        ac->contexts[i] = (struct pdu_context){
            .id = asked->id, .transfer_syntaxes = &chosen[i], .transfer_syntax_count = 1};
        set_bit(c->accepted_contexts, asked->id);
        if (dicom_uid_is(chosen[i], DICOM_EXPLICIT_VR_LE))
            set_bit(c->explicit_contexts, asked->id);
        else if (dicom_uid_is(chosen[i], DICOM_IMPLICIT_VR_LE))
            set_bit(c->implicit_contexts, asked->id);
    }
}

static void accept_request(struct connection *c)
{
    const struct pdu_associate *rq = &c->ul.request;
    const struct sink_options *o = &c->sink->options;
    struct pdu_associate ac;
    pdu_associate_init(&ac, true);
    ac.application_context = view_of(DICOM_APPLICATION_CONTEXT);
    ac.max_length = o->max_pdu;
    ac.has_max_length = true;
    ac.implementation_uid = view_of(HILUM_IMPLEMENTATION_UID);
    ac.implementation_version = view_of(HILUM_IMPLEMENTATION_VERSION);
    c->window = 1;
    if (rq->has_async) {
        c->window = rq->async_invoked && rq->async_invoked < o->window ? rq->async_invoked : o->window;
        ac.has_async = true;
        ac.async_invoked = c->window;
        ac.async_performed = 1;
    }
    accept_contexts(c, &ac);
    c->peer_max = rq->max_length;
    c->sink->tally.associations++;
    ul_accept_take(&c->ul, &ac, &c->out);
    ul_forget_negotiation(&c->ul);
    c->is_stalled = o->has_stall && o->stall_after == 0;
}

static void on_request(struct connection *c)
{
    if (!c->sink->options.is_rejecting) {
        accept_request(c);
        return;
    }
    struct pdu_reject reject = {PDU_REJECT_TRANSIENT, PDU_REJECT_PRESENTATION, PDU_REJECT_LOCAL_LIMIT};
    ul_reject(&c->ul, reject, &c->out);
    start_artim(c);
}

void connection_fault(struct connection *c, const char *why)
{
    connection_complain(c, why);
    ul_fault(&c->ul, (struct pdu_fault){PDU_ABORT_UNSPECIFIED, why}, &c->out);
    start_artim(c);
}

static void on_indication(struct connection *c, const struct ul_outcome *o)
{
    switch (o->indication) {
    case UL_ASSOCIATE:
        on_request(c);
        break;
    case UL_DATA:
        message_on_data(c, &o->data);
        break;
    case UL_RELEASE:
    case UL_RELEASE_COLLISION:
        if (c->in.has_command || c->in.command_bytes.len)
            connection_complain(c, "release in the middle of a message");
        if (c->outstanding)
            connection_complain(c, "release before all answers were there");
        ul_local(&c->ul, UL_EVT14, &c->out);
        start_artim(c);
        break;
    case UL_ABORTED:
        c->sink->tally.aborts++;
        break;
    case UL_PROVIDER_ABORTED:
    case UL_REFUSED:
    case UL_FAULT:
        connection_complain(c, o->fault.text ? o->fault.text : "request refused");
        break;
    default:
        break;
    }
}

/* Bytes that were read; for payload that was dropped, as many that mean nothing. */
static void take(struct connection *c, const uint8_t *bytes, size_t len)
{
    for (;;) {
        size_t consumed;
        struct ul_outcome o = ul_receive(&c->ul, bytes, len, &consumed, &c->out);
        if (o.effects & UL_START_ARTIM)
            start_artim(c);
        if (o.effects & UL_STOP_ARTIM)
            stop_artim(c);
        if (o.effects & UL_CLOSE)
            c->is_closing = true;
        on_indication(c, &o);
        bytes += consumed;
        len -= consumed;
        if (len == 0 && o.indication == UL_NOTHING)
            return;
    }
}

static void on_end(struct connection *c)
{
    if (c->ul.state == UL_STA6)
        c->sink->tally.aborts++;
    c->is_closing = true;
    octets_free(&c->out);
}

/* How many bytes may be read now: all of them, unless it is slow. */
static size_t allowed(struct connection *c, size_t wanted)
{
    const uint64_t rate = c->sink->options.bytes_per_second;
    if (!rate || c->ul.state != UL_STA6)
        return wanted;
    uint64_t now = now_ns();
    const int64_t most = (int64_t)(rate / 50 + 1),
                  least = most / 4 + 1; /* 20 ms of it may be saved up; 5 ms and less is no read */
    int64_t more = (int64_t)((double)(now - c->allowed_ns) * (double)rate / 1e9);
    if (more > 0) {
        c->allowed_ns = now;
        c->allowance = c->allowance + more < most ? c->allowance + more : most;
    }
    return c->allowance < least ? 0 : (size_t)c->allowance < wanted ? (size_t)c->allowance : wanted;
}

static void pause_reading(struct connection *c)
{
    struct sink *s = c->sink;
    if (TAILQ_EMPTY(&s->slow))
        s->slow_due_ns = now_ns() + 5000000;
    c->is_slow = true;
    TAILQ_INSERT_TAIL(&s->slow, c, slow_next);
}

/* Takes a piece of payload from the socket without copying it, or bytes into the buffer. */
static ssize_t read_piece(struct connection *c, size_t *wanted_out)
{
    if (c->tls) {
        *wanted_out = 1; /* as long as there is any */
        return secure_recv(c->tls, c->sink->buffer, SINK_BUFFER_BYTES);
    }
    const struct pdu_reader *r = &c->ul.reader;
    const bool is_in_pdv = r->at == PDU_AT_PDV;
    const bool is_dropped = is_in_pdv && r->pdv_left >= DROP_MIN_BYTES && message_is_payload(c);
    size_t wanted = SINK_BUFFER_BYTES;
    if (is_dropped)
        wanted = r->pdv_left;
    else if (c->is_bulk)
        wanted = BULK_READ_BYTES + (is_in_pdv && r->pdv_left < DROP_MIN_BYTES ? r->pdv_left : 0);
    if (c->ul.state == UL_STA6 && c->sink->options.has_stall &&
        c->sink->options.stall_after - c->data_bytes < wanted)
        wanted = c->sink->options.stall_after - c->data_bytes; /* above 0, or it would be stalled */
    wanted = allowed(c, wanted);
    *wanted_out = wanted;
    if (wanted == 0)
        return 0;
    if (is_dropped)
        return recv(c->fd, NULL, wanted, MSG_TRUNC);
    return recv(c->fd, c->sink->buffer, wanted, 0);
}

/* The peer may be waiting for our acknowledgement before it sends the rest. */
static void acknowledge_half(struct connection *c, size_t got)
{
    bool is_midway = c->in.has_command || c->in.command_bytes.len || c->ul.reader.at != PDU_AT_HEADER ||
                     c->ul.reader.head_len;
    if (is_midway && got < SMALL_READ_BYTES && !c->sink->options.has_nagle)
        net_quick_ack(c->fd);
}

static void read_all(struct connection *c)
{
    for (unsigned reads = 0; reads < READS_AT_ONCE && !c->is_closing && !c->is_stalled; reads++) {
        size_t wanted;
        ssize_t n = read_piece(c, &wanted);
        if (wanted == 0) {
            pause_reading(c);
            return;
        }
        if (n < 0 && errno == EPROTO)
            connection_complain(c, secure_why(c->tls));
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            on_end(c);
            return;
        }
        if (n < 0)
            return;
        c->allowance -= n;
        for (size_t left = (size_t)n; left;) {
            size_t len = left < SINK_BUFFER_BYTES ? left : SINK_BUFFER_BYTES;
            take(c, c->sink->buffer, len);
            left -= len;
        }
        if (c->out.len)
            flush(c);
        if ((size_t)n < wanted) {
            acknowledge_half(c, (size_t)n);
            return;
        }
    }
}

static void settle(struct connection *c)
{
    query_go_on(c);
    if (c->is_closing && !is_waiting(c))
        connection_free(c);
    else
        watch(c);
}

void connection_read_on(struct connection *c)
{
    TAILQ_REMOVE(&c->sink->slow, c, slow_next);
    c->is_slow = false;
    read_all(c);
    settle(c);
}

void connection_on_event(struct connection *c, uint32_t events)
{
    if (events & EPOLLOUT)
        flush(c);
    if (events & EPOLLIN)
        read_all(c);
    else if (events & (EPOLLERR | EPOLLHUP))
        on_end(c);
    settle(c);
}

void connection_accept(struct sink *s, int fd)
{
    struct connection *c = calloc(1, sizeof *c);
    hilum_assert(c);
    c->sink = s;
    c->fd = fd;
    c->number = ++s->accepted;
    c->events = EPOLLIN;
    c->allowed_ns = now_ns();
    TAILQ_INSERT_TAIL(&s->open, c, open_next);
    ul_init(&c->ul, false);
    ul_local(&c->ul, UL_EVT5, &c->out);
    start_artim(c);
    if (!s->options.has_nagle)
        net_no_delay(fd);
    if (s->tls)
        c->tls = secure_new(s->tls, fd);
    hilum_assert(net_watch(s->epoll, fd, EPOLLIN, c));
}
