/* One lane of the load: its associations, one after another. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/assert.h"
#include "dicom/uid.h"
#include "load.h"

enum { ANNOUNCED_MAX_PDU = 64 << 10, COMPLAINTS_MAX = 20 };

static void complain(struct lane *l, const char *why)
{
    if (l->load->failures + l->load->faults <= COMPLAINTS_MAX)
        fprintf(stderr, "load: association %u (%s): %s\n", l->index, l->load->options.titles[l->title], why);
}

void lane_wake(struct lane *l)
{
    if (l->is_ready || l->state == LANE_ENDED)
        return;
    l->is_ready = true;
    TAILQ_INSERT_TAIL(&l->load->ready, l, ready_next);
}

static void stand(struct lane *l)
{
    if (!l->is_standing) {
        l->is_standing = true;
        load_on_standing(l->load);
    }
}

/* As sendmsg(2). */
ssize_t lane_put(struct lane *l, struct iovec *list, size_t count)
{
    if (l->tls)
        return secure_send(l->tls, list, count);
    struct msghdr message = {.msg_iov = list, .msg_iovlen = count};
    return sendmsg(l->fd, &message, MSG_NOSIGNAL);
}

static ssize_t put_out(struct lane *l)
{
    return lane_put(l, &(struct iovec){l->out.data, l->out.len}, 1);
}

const char *lane_why(const struct lane *l)
{
    return l->tls ? secure_why(l->tls) : strerror(errno);
}

/* ---- its end */

static void disconnect(struct lane *l)
{
    if (l->state == LANE_CONNECTING || l->state == LANE_ASKING)
        l->load->connecting--;
    secure_free(&l->tls);
    if (l->fd >= 0)
        close(l->fd);
    l->fd = -1;
    requests_free(l);
    ul_free(&l->ul);
    octets_clear(&l->out);
    octets_clear(&l->answer);
    l->is_sending = false;
    l->outstanding = 0;
    l->state = LANE_CLOSED;
}

static void end(struct lane *l)
{
    if (l->state == LANE_ENDED)
        return;
    disconnect(l);
    if (l->is_thinking)
        TAILQ_REMOVE(&l->load->thinking, l, thinking_next);
    if (l->is_ready)
        TAILQ_REMOVE(&l->load->ready, l, ready_next);
    l->is_thinking = l->is_ready = false;
    l->state = LANE_ENDED;
    load_on_ended(l->load);
    stand(l);
}

void lane_fail(struct lane *l, const char *why)
{
    if (l->load->phase != LOAD_STOPPING || l->outstanding) {
        l->load->failures += l->outstanding ? l->outstanding : 1;
        complain(l, why);
        l->has_failed = true;
    }
    end(l);
}

void lane_fault(struct lane *l, const char *why)
{
    l->load->faults++;
    complain(l, why);
    ul_fault(&l->ul, (struct pdu_fault){PDU_ABORT_UNSPECIFIED, why}, &l->out);
    if (l->out.len)
        put_out(l);
    l->has_failed = true;
    end(l);
}

void lane_cut(struct lane *l)
{
    if (l->state == LANE_OPEN && !(l->is_sending && l->sent)) {
        ul_abort(&l->ul, &l->out);
        put_out(l);
    }
    end(l);
}

/* ---- its associations */

static void ask(struct lane *l)
{
    const struct load *load = l->load;
    const struct load_options *o = &load->options;
    struct pdu_associate rq;
    pdu_associate_init(&rq, false);
    rq.application_context = view_of(DICOM_APPLICATION_CONTEXT);
    rq.max_length = ANNOUNCED_MAX_PDU;
    rq.has_max_length = true;
    rq.implementation_uid = view_of(HILUM_IMPLEMENTATION_UID);
    rq.implementation_version = view_of(HILUM_IMPLEMENTATION_VERSION);
    pdu_title_write(rq.called_raw, o->titles[l->title]);
    pdu_title_write(rq.calling_raw, o->calling);
    if (o->window > 1) {
        rq.has_async = true;
        rq.async_invoked = o->window;
        rq.async_performed = 1;
    }
    struct view *syntax = pdu_associate_alloc(&rq, sizeof *syntax);
    rq.contexts = pdu_associate_alloc(&rq, sizeof *rq.contexts);
    hilum_assert(syntax && rq.contexts);
    *syntax = view_of(load->instance.transfer_syntax);
    rq.context_count = 1;
    *rq.contexts = (struct pdu_context){.id = LOAD_CONTEXT_ID,
                                        .abstract_syntax = view_of(load->instance.sop_class),
                                        .transfer_syntaxes = syntax,
                                        .transfer_syntax_count = 1};
    ul_request_take(&l->ul, &rq);
}

static void open_connection(struct lane *l)
{
    struct load *load = l->load;
    const struct load_options *o = &load->options;
    l->fd = net_socket(&load->to, o->congestion, o->has_nagle);
    if (l->fd < 0) {
        lane_fail(l, strerror(errno));
        return;
    }
    if (o->per_association || o->idle)
        net_spread_source(l->fd, &load->to, load->opened);
    load->opened++;
    ul_init(&l->ul, true);
    ask(l);
    l->connections++;
    l->begun_here = 0;
    l->is_writable = false;
    l->state = LANE_CONNECTING;
    load->connecting++;
    l->opened_ns = now_ns();
    if (connect(l->fd, (const struct sockaddr *)&load->to.at, load->to.len) != 0 && errno != EINPROGRESS)
        lane_fail(l, strerror(errno));
    else
        hilum_assert(net_watch(load->epoll, l->fd, EPOLLIN | EPOLLOUT | EPOLLET, l));
}

static void on_connected(struct lane *l)
{
    int error = 0;
    socklen_t len = sizeof error;
    getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error) {
        lane_fail(l, strerror(error));
        return;
    }
    if (!l->load->congestion[0])
        net_congestion_of(l->fd, l->load->congestion);
    l->state = LANE_ASKING;
    if (l->load->tls)
        l->tls = secure_new(l->load->tls, l->fd);
    ul_local(&l->ul, UL_EVT2, &l->out);
}

static void on_accepted(struct lane *l)
{
    struct load *load = l->load;
    const struct load_options *o = &load->options;
    const struct pdu_associate *ac = &l->ul.accept;
    const struct pdu_context *context = pdu_associate_context(ac, LOAD_CONTEXT_ID);
    if (!context || context->result != PDU_CONTEXT_ACCEPTED) {
        lane_fault(l, "the presentation context was not accepted");
        return;
    }
    if (context->transfer_syntax_count &&
        !dicom_uid_is(context->transfer_syntaxes[0], load->instance.transfer_syntax)) {
        lane_fault(l, "a transfer syntax was accepted that had not been proposed");
        return;
    }
    samples_add(&load->associate, now_ns() - l->opened_ns);
    load->associated++;
    load->connecting--;
    l->state = LANE_OPEN;
    l->window = 1;
    if (o->window > 1 && ac->has_async)
        l->window = ac->async_invoked && ac->async_invoked < o->window ? ac->async_invoked : o->window;
    l->fragment = pdu_fragment_max(ac->max_length, (o->pdu - PDU_PDV_HEADER_BYTES) & ~UINT32_C(1));
    if (l->fragment > load->fragment_max)
        load->fragment_max = l->fragment;
    ul_forget_negotiation(&l->ul);
    if (!o->idle)
        requests_begin(l);
    lane_wake(l);
}

bool lane_is_done_here(const struct lane *l)
{
    const struct load *load = l->load;
    const uint64_t most = load->options.per_association;
    return load->phase == LOAD_STOPPING || (l->left == 0 && l->warmup_left == 0) ||
           (most && l->begun_here >= most);
}

/* The association is over in good order: the next one, if something is left to send. */
static void on_released(struct lane *l)
{
    const bool has_more = l->load->phase != LOAD_STOPPING && (l->left || l->warmup_left);
    if (!has_more) {
        end(l);
        return;
    }
    disconnect(l);
    lane_wake(l);
}

static void on_rejected(struct lane *l)
{
    char why[64];
    const struct pdu_reject *r = &l->ul.reject;
    snprintf(why, sizeof why, "rejected: result %u, source %u, reason %u", r->result, r->source, r->reason);
    lane_fail(l, why);
}

/* False: the connection is gone. */
static bool on_indication(struct lane *l, const struct ul_outcome *o)
{
    char why[64];
    switch (o->indication) {
    case UL_ACCEPTED:
        on_accepted(l);
        break;
    case UL_REJECTED:
        on_rejected(l);
        break;
    case UL_DATA:
        answers_on_data(l, &o->data);
        break;
    case UL_RELEASED:
        on_released(l);
        break;
    case UL_RELEASE:
    case UL_RELEASE_COLLISION:
        lane_fail(l, "released by the peer");
        break;
    case UL_ABORTED:
        snprintf(why, sizeof why, "A-ABORT, source %u, reason %u", o->abort_source, o->abort_reason);
        lane_fail(l, why);
        break;
    case UL_PROVIDER_ABORTED:
    case UL_FAULT:
        lane_fault(l, o->fault.text);
        break;
    default:
        break;
    }
    return l->fd >= 0;
}

/* False: the connection is gone. */
static bool take(struct lane *l, const uint8_t *bytes, size_t len)
{
    for (;;) {
        size_t consumed;
        struct ul_outcome o = ul_receive(&l->ul, bytes, len, &consumed, &l->out);
        bytes += consumed;
        len -= consumed;
        if (!on_indication(l, &o))
            return false;
        if (len == 0 && o.indication == UL_NOTHING)
            return true;
    }
}

/* Until nothing is there: the epoll set tells of new bytes only. */
static void read_all(struct lane *l)
{
    ssize_t n;
    do {
        n = l->tls ? secure_recv(l->tls, l->load->buffer, LOAD_BUFFER_BYTES)
                   : recv(l->fd, l->load->buffer, LOAD_BUFFER_BYTES, 0);
        if (n == 0) {
            lane_fail(l, "connection closed");
            return;
        }
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            lane_fail(l, lane_why(l));
            return;
        }
        if (n > 0 && !take(l, l->load->buffer, (size_t)n))
            return;
    } while (n == LOAD_BUFFER_BYTES || (l->tls && n > 0));
    const bool is_midway = l->answer.len || l->ul.reader.at != PDU_AT_HEADER || l->ul.reader.head_len;
    if (is_midway && !l->load->options.has_nagle)
        net_quick_ack(l->fd); /* the peer may be waiting for it before it sends the rest */
    if (l->tls)
        l->is_writable = secure_flush(l->tls); /* the handshake may be done */
}

void lane_on_event(struct lane *l, uint32_t events)
{
    if (l->state == LANE_ENDED)
        return;
    if (l->state == LANE_CONNECTING && events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
        on_connected(l);
    if (l->fd < 0 || l->state == LANE_CONNECTING)
        return;
    if (events & EPOLLOUT)
        l->is_writable = true;
    if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        read_all(l);
    lane_wake(l);
}

/* False: control PDUs still wait, or what is sealed. */
static bool flush(struct lane *l)
{
    if (l->out.len > 0) {
        ssize_t n = put_out(l);
        if (n > 0)
            octets_consume(&l->out, (size_t)n);
        l->is_writable = l->out.len == 0;
    }
    if (l->tls)
        l->is_writable = secure_flush(l->tls) && l->out.len == 0;
    return l->is_writable;
}

void lane_turn(struct lane *l)
{
    if (l->state == LANE_CLOSED) {
        open_connection(l);
        return;
    }
    if (l->state == LANE_CONNECTING || !l->is_writable || !flush(l) || l->state != LANE_OPEN)
        return;
    if (l->warmup_left == 0 && !l->is_standing)
        stand(l);
    if (requests_send(l))
        lane_wake(l);
    const bool is_quiet = !l->is_sending && l->outstanding == 0;
    const bool is_idle = l->load->options.idle && l->load->phase != LOAD_STOPPING;
    if (l->state == LANE_OPEN && is_quiet && !is_idle && lane_is_done_here(l)) {
        ul_local(&l->ul, UL_EVT11, &l->out);
        l->state = LANE_RELEASING;
        flush(l);
    }
}

void lane_init(struct lane *l, struct load *load, uint32_t index, uint64_t share)
{
    const struct load_options *o = &load->options;
    *l =
        (struct lane){.load = load, .index = index, .title = index % o->title_count, .fd = -1, .left = share};
    l->warmup_left = o->idle ? 0 : o->warmup;
    if (!o->idle) {
        l->requests = calloc(o->window, sizeof *l->requests);
        l->head = malloc(load->instance.head.len);
        hilum_assert(l->requests && l->head);
        memcpy(l->head, load->instance.head.data, load->instance.head.len);
    }
}

void lane_free(struct lane *l)
{
    end(l);
    free(l->requests);
    free(l->head);
    octets_free(&l->out);
    octets_free(&l->answer);
    octets_free(&l->command_bytes);
}
