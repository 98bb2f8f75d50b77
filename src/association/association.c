/* Life of an association: what the upper layer machine asks for is done here, and its indications become callbacks. */
#include "association/association.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "association/inside.h"
#include "base/assert.h"
#include "base/log.h"
#include "pdu/write.h"

const char *association_end_name(enum association_end how)
{
    static const char *const names[] = {"released", "rejected", "aborted by the peer", "aborted by us",
                                        "closed",   "lost",     "no connection"};
    return names[how];
}

static void on_stream_bytes(struct stream *s, struct buf *b, uint8_t *at, uint32_t len)
{
    struct association *a = s->owner;
    if (!slices_push(&a->unread, b, at, len)) {
        association_fault(a, (struct pdu_fault){PDU_ABORT_UNSPECIFIED, "out of memory"});
        return;
    }
    association_process(a);
}

static void close_stream_when_sent(struct association *a)
{
    if (a->stream_open && a->wants_close && a->stream.sending.count == 0)
        stream_close(&a->stream);
}

static void on_stream_sent(struct stream *s, size_t n)
{
    struct association *a = s->owner;
    (void)n;
    association_flush(a);
    if (!a->has_ended && a->user->on_sent)
        a->user->on_sent(a);
    close_stream_when_sent(a);
}

/* What TLS knows of it; NULL: nothing. Who hangs up before a listener's handshake may be a probe (quirk 16). */
static const char *why_unsecured(const struct association *a)
{
    if (a->stream.why || a->is_inbound || stream_is_secured(&a->stream))
        return a->stream.why;
    return "TLS: the connection ended before its handshake";
}

static void on_stream_lost(struct stream *s, enum io_error error)
{
    struct association *a = s->owner;
    const char *why = why_unsecured(a);
    bool was_asked = a->is_inbound || stream_is_secured(s); /* else nothing has been said to the peer */
    (void)error;
    if (why)
        association_end(a, was_asked ? ASSOCIATION_FAULT : ASSOCIATION_NO_CONNECTION, why);
    struct ul_outcome o = ul_local(&a->ul, UL_EVT17, &a->control);
    association_apply(a, &o, NULL);
    stream_close(s);
}

const char *association_peer_subject(const struct association *a)
{
    return a->stream.tls ? tls_peer(a->stream.tls) : "";
}

static void on_stream_hung_up(struct stream *s)
{
    association_hung_up(s->owner);
}

static void on_stream_closed(struct stream *s)
{
    struct association *a = s->owner;
    a->stream_closed = true;
    association_end(a, ASSOCIATION_LOST, "connection closed");
    association_tell_gone(a);
}

static void on_stream_full(struct stream *s)
{
    struct association *a = s->owner;
    if (!a->has_ended && a->user->on_full)
        a->user->on_full(a);
}

static size_t on_stream_may_receive(struct stream *s)
{
    return association_may_receive(s->owner);
}

/* Who has several requests under way may send the next one whatever is answered. */
static bool on_stream_is_amid(const struct stream *s)
{
    const struct association *a = s->owner;
    return !a->is_established || a->window > 1 || association_is_amid(a);
}

static const struct stream_user stream_user = {
    .on_bytes = on_stream_bytes,
    .on_sent = on_stream_sent,
    .on_full = on_stream_full,
    .may_receive = on_stream_may_receive,
    .is_amid = on_stream_is_amid,
    .on_lost = on_stream_lost,
    .on_hung_up = on_stream_hung_up,
    .on_closed = on_stream_closed,
};

bool association_open_stream(struct association *a, int fd)
{
    if (!stream_open(&a->stream, a->io, a->pool, fd, &stream_user, a))
        return false;
    a->stream_open = true;
    if (a->tls && !stream_secure(&a->stream, a->tls, !a->is_inbound)) {
        association_end(a, ASSOCIATION_LOST, "out of memory");
        stream_close(&a->stream);
    }
    a->stream.is_lean = !a->is_inbound; /* responses, and their data sets are let go */
    a->stream.is_new = a->is_inbound;   /* the request */
    return true;
}

/* ARTIM where the standard runs it (Sta2, Sta13); the same clock bounds our own waits for an answer (Sta5, Sta7). */
static void on_artim(struct io_timer *t)
{
    struct association *a = t->owner;
    enum ul_state state = a->ul.state;
    bool is_unsecured = a->stream_open && !stream_is_secured(&a->stream);
    if (state == UL_STA2 || state == UL_STA13) {
        association_end(a, ASSOCIATION_FAULT,
                        is_unsecured ? "TLS: no handshake in time"
                                     : "no association request in time"); /* Sta13: long told */
        struct ul_outcome o = ul_local(&a->ul, UL_EVT18, &a->control);
        association_apply(a, &o, NULL);
        return;
    }
    if (state == UL_STA5 && is_unsecured) {
        association_end(a, ASSOCIATION_NO_CONNECTION, "TLS: no answer to the handshake");
        stream_close(&a->stream);
    } else if (state == UL_STA4)
        association_end(a, ASSOCIATION_NO_CONNECTION, "out of memory");
    else if (state == UL_STA5)
        association_fault(a,
                          (struct pdu_fault){PDU_ABORT_UNSPECIFIED, "no answer to the association request"});
    else if (state == UL_STA7 || state == UL_STA9 || state == UL_STA10 || state == UL_STA11)
        association_fault(a, (struct pdu_fault){PDU_ABORT_UNSPECIFIED, "no answer to the release request"});
    else if (a->wants_close && a->stream_open)
        stream_close(&a->stream);
}

static void on_gone_task(struct io_task *task);

static void on_flush(struct io_task *task)
{
    struct association *a = task->owner;
    if (!a->has_ended)
        association_flush(a);
    else if (a->stream.is_closing)
        slices_clear(&a->unread);
    else
        association_process(a);
}

void association_init(struct association *a)
{
    struct association clean = {.user = a->user,
                                .owner = a->owner,
                                .io = a->io,
                                .pool = a->pool,
                                .resolver = a->resolver,
                                .limits = a->limits,
                                .tcp_congestion = a->tcp_congestion,
                                .tls = a->tls,
                                .window = 1,
                                .control = {.is_secret = true}};
    memcpy(clean.id, a->id, sizeof(clean.id));
    *a = clean;
    a->artim = (struct io_timer){.on_fire = on_artim, .owner = a};
    a->flush = (struct io_task){.run = on_flush, .owner = a};
    a->gone = (struct io_task){.run = on_gone_task, .owner = a};
}

bool association_accept(struct association *a, int fd)
{
    a->is_inbound = true;
    ul_init(&a->ul, false);
    struct io_socket_options options = {.tcp_congestion = a->tcp_congestion};
    io_socket_configure(fd, &options);
    if (!io_peer_address(fd, &a->peer)) { /* already gone */
        io_close(fd);
        return false;
    }
    if (!association_open_stream(a, fd))
        return false;
    struct ul_outcome o = ul_local(&a->ul, UL_EVT5, &a->control);
    association_apply(a, &o, NULL);
    return true;
}

void association_end(struct association *a, enum association_end how, const char *why)
{
    if (a->has_ended)
        return;
    a->has_ended = true;
    io_timer_stop(a->io, &a->watch);
    association_leave_bypass(a);
    association_let_go_gathered(a);
    slices_clear(&a->data);
    a->is_held = a->is_slowed = false;
    io_defer(a->io, &a->flush); /* what was held back is let go, or read on to the peer's own end */
    if (a->stream_open)
        stream_look_again(&a->stream);
    a->user->on_end(a, how, why);
}

static const char *reject_text(struct pdu_reject r)
{
    if (r.source == PDU_REJECT_USER && r.reason == PDU_REJECT_CALLED_AE)
        return "rejected: called AE title not recognised";
    if (r.source == PDU_REJECT_USER && r.reason == PDU_REJECT_CALLING_AE)
        return "rejected: calling AE title not recognised";
    if (r.source == PDU_REJECT_USER && r.reason == PDU_REJECT_APPLICATION_CONTEXT)
        return "rejected: application context not supported";
    if (r.source == PDU_REJECT_ACSE && r.reason == PDU_REJECT_PROTOCOL_VERSION)
        return "rejected: protocol version not supported";
    if (r.source == PDU_REJECT_PRESENTATION && r.reason == PDU_REJECT_CONGESTION)
        return "rejected: temporary congestion";
    if (r.source == PDU_REJECT_PRESENTATION && r.reason == PDU_REJECT_LOCAL_LIMIT)
        return "rejected: local limit exceeded";
    return r.result == PDU_REJECT_TRANSIENT ? "rejected: transient" : "rejected: permanent";
}

/* The answer may only narrow what was proposed (PS3.7 D.3.3.3); 0 is no limit. */
static uint16_t window_of(uint16_t proposed, uint16_t answered)
{
    uint16_t most = proposed ? proposed : UINT16_MAX;
    return answered > 0 && answered < most ? answered : most;
}

static void established(struct association *a)
{
    if (!association_map_contexts(a, &a->ul.request, &a->ul.accept)) {
        association_fault(a, (struct pdu_fault){PDU_ABORT_UNSPECIFIED, "out of memory"});
        return;
    }
    const struct pdu_associate *peers = a->is_inbound ? &a->ul.request : &a->ul.accept;
    a->is_paced = io_is_paced(a->stream.fd);
    a->fragment_max = pdu_fragment_max(peers->max_length, 1 << 20);
    if (a->ul.accept.has_async && a->ul.request.has_async)
        a->window = window_of(a->ul.request.async_invoked, a->ul.accept.async_invoked);
    a->is_established = true;
    a->work_ms = io_now(a->io);
    association_watch_start(a);
    if (!a->is_inbound) {
        io_timer_stop(a->io, &a->artim);
        a->user->on_established(a);
    }
    ul_forget_negotiation(&a->ul);
}

static void indicate(struct association *a, const struct ul_outcome *o, struct buf *b)
{
    char text[64];
    switch (o->indication) {
    case UL_NOTHING:
    case UL_DATA_END:
        return;
    case UL_ASSOCIATE:
        a->stream.is_new = false;
        a->user->on_request(a);
        return;
    case UL_ACCEPTED:
        established(a);
        return;
    case UL_REJECTED:
        association_end(a, ASSOCIATION_REJECTED, reject_text(a->ul.reject));
        return;
    case UL_DATA:
        association_take_piece(a, &o->data, b);
        return;
    case UL_RELEASE:
        a->release_pending = true;
        if (a->user->on_release)
            a->user->on_release(a);
        else
            association_release_answer(a);
        return;
    case UL_RELEASE_COLLISION:
        if (a->ul.state == UL_STA9)
            association_release_answer(a);
        return;
    case UL_RELEASED:
        if (a->ul.state == UL_STA12)
            association_release_answer(a);
        association_end(a, ASSOCIATION_RELEASED, "released");
        return;
    case UL_ABORTED:
        snprintf(text, sizeof(text), "aborted by the peer (source %u, reason %u)", o->abort_source,
                 o->abort_reason);
        association_end(a, ASSOCIATION_ABORTED, text);
        return;
    case UL_PROVIDER_ABORTED:
    case UL_FAULT:
        association_end(a, ASSOCIATION_FAULT, o->fault.text ? o->fault.text : "unexpected PDU");
        return;
    case UL_CONNECTION_LOST:
        association_end(a, ASSOCIATION_LOST, "connection lost");
        return;
    case UL_REFUSED:
        association_end(a, ASSOCIATION_CLOSED, reject_text(a->ul.reject));
        return;
    }
}

void association_apply(struct association *a, const struct ul_outcome *o, struct buf *b)
{
    if (o->event && log_enabled(LOG_DEBUG)) {
        char name[32];
        ul_transition_name(o, name);
        if (o->event != UL_EVT10 && o->event != UL_EVT9)
            LOG(LOG_DEBUG, "upper layer", LOG_STR("assoc", a->id), LOG_STR("transition", name));
    }
    bool is_mute = a->control.len > 0 && association_is_amid_fragment(a);
    if (is_mute) {
        octets_free(&a->control);
    } else if (a->control.len > 0 || a->control.failed) {
        bool sent = !a->control.failed && stream_send_bytes(&a->stream, a->control.data, a->control.len);
        octets_free(&a->control);
        if (!sent)
            stream_close(&a->stream);
    }
    if (o->effects & UL_START_ARTIM)
        io_timer_start(a->io, &a->artim, a->limits.association);
    if (o->effects & UL_STOP_ARTIM)
        io_timer_stop(a->io, &a->artim);
    if (o->effects & UL_CLOSE) {
        /* Before the user is told, whose association_close would drop our last bytes; ours: they may not hang for ever. */
        a->wants_close = true;
        io_timer_start(a->io, &a->artim, a->limits.association);
    }
    if (!a->has_ended)
        indicate(a, o, b);
    if (is_mute)
        stream_close(&a->stream);
    if (!(o->effects & UL_CLOSE))
        return;
    if (o->action == UL_AR3)
        close_stream_when_sent(a);
    else /* rejected, aborted, or ARTIM has expired: nobody reads what may still be queued */
        stream_close(&a->stream);
}

void association_answer_take(struct association *a, struct pdu_associate *answer)
{
    if (a->has_ended || a->ul.state != UL_STA3) { /* the peer went while we thought */
        pdu_associate_free(answer);
        return;
    }
    struct ul_outcome o = ul_accept_take(&a->ul, answer, &a->control);
    established(a);
    association_apply(a, &o, NULL);
    association_process(a);
}

void association_reject(struct association *a, struct pdu_reject reject)
{
    if (a->has_ended || a->ul.state != UL_STA3)
        return;
    struct ul_outcome o = ul_reject(&a->ul, reject, &a->control);
    association_apply(a, &o, NULL);
    association_end(a, ASSOCIATION_CLOSED, reject_text(reject));
}

void association_release(struct association *a)
{
    if (a->has_ended || a->ul.state != UL_STA6)
        return;
    struct ul_outcome o = ul_local(&a->ul, UL_EVT11, &a->control);
    association_apply(a, &o, NULL);
    io_timer_start(a->io, &a->artim, a->limits.association);
}

void association_release_answer(struct association *a)
{
    enum ul_state state = a->ul.state;
    if (state != UL_STA8 && state != UL_STA9 && state != UL_STA12)
        return;
    a->release_pending = false;
    struct ul_outcome o = ul_local(&a->ul, UL_EVT14, &a->control);
    association_apply(a, &o, NULL);
    if (state == UL_STA8)
        association_end(a, ASSOCIATION_RELEASED, "released");
}

enum { STALLED_MS = 200 };

/* Something is queued, and for a while the peer has taken none of it. */
static bool is_stalled(const struct association *a)
{
    return association_backlog(a) > 0 && io_now(a->io) - a->stream.sent_ms >= STALLED_MS;
}

static void abort_with(struct association *a, enum association_end how, const struct pdu_fault *fault,
                       const char *why)
{
    if (a->has_ended)
        return;
    enum ul_state state = a->ul.state;
    if (!a->stream_open) { /* resolving or connecting */
        association_end(a, how, why);
        return;
    }
    bool is_stuck = is_stalled(a);
    association_leave_bypass(a);
    bool is_unknown = state == UL_STA1 || state == UL_STA2 || state == UL_STA13;
    /* An A-ABORT would stand behind bytes that nobody takes, and pin them; or be taken for payload. */
    if (is_unknown || is_stuck || a->is_cut) {
        association_end(a, how, why);
        stream_close(&a->stream);
        return;
    }
    struct ul_outcome o = fault ? ul_fault(&a->ul, *fault, &a->control) : ul_abort(&a->ul, &a->control);
    association_end(a, how, why);
    association_apply(a, &o, NULL);
}

void association_abort(struct association *a, const char *why)
{
    abort_with(a, ASSOCIATION_CLOSED, NULL, why);
}

void association_fault(struct association *a, struct pdu_fault fault)
{
    abort_with(a, ASSOCIATION_FAULT, &fault, fault.text);
}

void association_close(struct association *a)
{
    hilum_assert(!a->is_closing);
    a->is_closing = true;
    a->has_ended = true;
    io_timer_stop(a->io, &a->watch);
    association_leave_bypass(a);
    association_connect_cancel(a);
    if (a->stream_open && !a->stream_closed && a->ul.state != UL_STA13 && !a->wants_close)
        stream_close(&a->stream);
    association_tell_gone(a);
}

void association_drop(struct association *a)
{
    hilum_assert(a->is_closing);
    if (a->stream_open && !a->stream_closed)
        stream_close(&a->stream);
    association_tell_gone(a);
}

static bool is_gone(const struct association *a)
{
    return a->is_closing && !a->connecting && (!a->stream_open || a->stream_closed) &&
           association_bypass_is_over(a);
}

/* From the loop itself, so that nothing on the stack still uses the association. */
static void on_gone_task(struct io_task *task)
{
    struct association *a = task->owner;
    if (!is_gone(a))
        return;
    io_timer_stop(a->io, &a->artim);
    io_timer_stop(a->io, &a->watch);
    io_defer_cancel(a->io, &a->flush);
    slices_clear(&a->unread);
    slices_clear(&a->data);
    buf_unref(&a->scratch);
    octets_free(&a->command);
    octets_free(&a->control);
    association_free_contexts(a);
    association_free_bypass(a);
    association_let_go_gathered(a);
    ul_free(&a->ul);
    a->user->on_gone(a);
}

void association_tell_gone(struct association *a)
{
    if (is_gone(a))
        io_defer(a->io, &a->gone);
}
