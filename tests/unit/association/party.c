#include "party.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "dicom/uid.h"
#include "pdu/write.h"

const struct association_limits LONG_LIMITS = {
    .connect = 60000, .association = 60000, .progress = 60000, .idle = 60000};

/* --- sockets */

int wire_listen(uint16_t *port_out)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *port_out = ntohs(at.sin_port);
    return fd;
}

static void never_wait(int fd)
{
    io_socket_configure(fd, NULL);
    fcntl(fd, F_SETFL, O_NONBLOCK);
}

void wire_pair(int *one, int *two)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    uint16_t port;
    int listener = wire_listen(&port);
    at.sin_port = htons(port);
    *one = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(*one, (struct sockaddr *)&at, sizeof(at)), 0);
    *two = accept(listener, NULL, NULL);
    assert_true(*two >= 0);
    close(listener);
    io_socket_configure(*one, NULL);
    never_wait(*two);
}

void wire_accept(struct wire *w, struct loop *l, int listener)
{
    *w = (struct wire){.loop = l, .fd = -1};
    LOOP_UNTIL(l, (w->fd = accept(listener, NULL, NULL)) >= 0);
    never_wait(w->fd);
}

void wire_close(struct wire *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
    octets_free(&w->came);
}

void wire_poll(struct wire *w)
{
    uint8_t bytes[65536];
    ssize_t n;
    while (!w->is_closed && !w->is_deaf && (n = read(w->fd, bytes, sizeof(bytes))) >= 0) {
        if (n == 0)
            w->is_closed = true;
        else
            octets_append(&w->came, bytes, (size_t)n);
    }
    if (!w->is_closed && !w->is_deaf && errno != EAGAIN)
        w->is_closed = true; /* reset */
}

void wire_send(struct wire *w, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    uint64_t until = clock_ms() + 20000;
    while (len > 0) {
        ssize_t n = send(w->fd, at, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return; /* we have closed: the test sees it elsewhere */
        if (n < 0 && clock_ms() > until)
            fail_msg("nobody reads what the peer sends");
        if (n > 0) {
            at += n;
            len -= (size_t)n;
        } else {
            loop_turn(w->loop);
            wire_poll(w);
        }
    }
}

static void send_octets(struct wire *w, struct octets *o)
{
    assert_false(o->failed);
    wire_send(w, o->data, o->len);
    octets_free(o);
}

static void send_associate(struct wire *w, struct pdu_associate *a)
{
    struct octets o = {0};
    pdu_associate_write(a, &o);
    pdu_associate_free(a);
    send_octets(w, &o);
}

void wire_send_request(struct wire *w, uint32_t max_length)
{
    struct pdu_associate a = sample_request(max_length, -1);
    send_associate(w, &a);
}

void wire_send_accept(struct wire *w, uint32_t max_length, int window)
{
    struct pdu_associate a = sample_accept(max_length, window);
    send_associate(w, &a);
}

void wire_send_reject(struct wire *w, uint8_t result, uint8_t source, uint8_t reason)
{
    struct octets o = {0};
    pdu_write_reject(&o, (struct pdu_reject){result, source, reason});
    send_octets(w, &o);
}

void wire_send_release_rq(struct wire *w)
{
    struct octets o = {0};
    pdu_write_release_rq(&o);
    send_octets(w, &o);
}

void wire_send_release_rp(struct wire *w)
{
    struct octets o = {0};
    pdu_write_release_rp(&o);
    send_octets(w, &o);
}

void wire_send_abort(struct wire *w)
{
    struct octets o = {0};
    pdu_write_abort(&o, PDU_ABORT_USER, PDU_ABORT_UNSPECIFIED);
    send_octets(w, &o);
}

void wire_send_data(struct wire *w, uint8_t context_id, uint8_t control, const void *bytes, size_t len)
{
    struct octets o = {0};
    uint8_t header[PDU_DATA_HEADER_BYTES];
    pdu_write_data_header(header, (uint32_t)len, context_id, control);
    octets_append(&o, header, sizeof(header));
    octets_append(&o, bytes, len);
    send_octets(w, &o);
}

void wire_send_command(struct wire *w, uint8_t context_id, const struct dimse_command *c)
{
    struct octets o = {0};
    dimse_write(c, &o);
    wire_send_data(w, context_id, PDV_COMMAND | PDV_LAST, o.data, o.len);
    octets_free(&o);
}

static bool has_pdu(struct wire *w)
{
    wire_poll(w);
    return w->came.len >= PDU_HEADER_BYTES &&
           w->came.len >= PDU_HEADER_BYTES + (size_t)get_be32(w->came.data + 2);
}

uint8_t wire_pdu(struct wire *w, struct octets *body_out)
{
    LOOP_UNTIL(w->loop, has_pdu(w) || w->is_closed);
    if (!has_pdu(w))
        fail_msg("the connection was closed where a PDU was to come");
    uint8_t type = w->came.data[0];
    size_t len = get_be32(w->came.data + 2);
    if (body_out) {
        octets_clear(body_out);
        octets_append(body_out, w->came.data + PDU_HEADER_BYTES, len);
    }
    octets_consume(&w->came, PDU_HEADER_BYTES + len);
    return type;
}

void wire_until_closed(struct wire *w)
{
    LOOP_UNTIL(w->loop, (wire_poll(w), w->is_closed));
}

/* --- messages */

/* One P-DATA-TF; true when the message goes on. */
static bool take_pdu(struct wire_message *m, const struct octets *body, bool *is_in_data)
{
    size_t at = 0;
    unsigned pdvs = 0;
    bool goes_on = true;
    while (at < body->len) {
        uint32_t fragment = get_be32(body->data + at) - 2;
        uint8_t control = body->data[at + 5];
        m->context_id = body->data[at + 4];
        assert_true(at + 6 + fragment <= body->len);
        assert_int_equal((control & PDV_COMMAND) == 0, *is_in_data);
        octets_append(*is_in_data ? &m->data : &m->command_bytes, body->data + at + 6, fragment);
        m->odd_fragments += fragment & 1;
        m->empty_fragments += fragment == 0;
        m->mixed_pdus += pdvs++ > 0;
        at += 6 + fragment;
        if (!(control & PDV_LAST))
            continue;
        const char *why;
        if (*is_in_data)
            return false;
        assert_int_equal(dimse_parse(m->command_bytes.data, m->command_bytes.len, &m->command, &why), OK);
        goes_on = *is_in_data = dimse_has_data_set(&m->command);
    }
    return goes_on;
}

void wire_read_message(struct wire *w, struct wire_message *m)
{
    struct octets body = {0};
    bool is_in_data = false;
    *m = (struct wire_message){0};
    do {
        assert_int_equal(wire_pdu(w, &body), PDU_P_DATA_TF);
        m->pdus++;
        if (body.len > m->longest)
            m->longest = (uint32_t)body.len;
    } while (take_pdu(m, &body, &is_in_data));
    octets_free(&body);
}

void wire_message_free(struct wire_message *m)
{
    octets_free(&m->command_bytes);
    octets_free(&m->data);
}

/* --- samples */

static struct view text(const char *t)
{
    return (struct view){(const uint8_t *)t, strlen(t)};
}

static void fill(struct pdu_associate *a, uint32_t max_length, int window)
{
    pdu_title_write(a->called_raw, "ARCHIVE");
    pdu_title_write(a->calling_raw, "CT1");
    a->application_context = text(DICOM_APPLICATION_CONTEXT);
    a->max_length = max_length;
    a->has_max_length = true;
    a->implementation_uid = text("1.2.3");
    a->has_async = window >= 0;
    a->async_invoked = window >= 0 ? (uint16_t)window : 0;
    a->async_performed = 1;
}

static void add_contexts(struct pdu_associate *a, bool is_ac)
{
    static const char *const abstract[] = {SAMPLE_CLASS, SAMPLE_CLASS_2};
    static const char *const transfer[] = {DICOM_IMPLICIT_VR_LE, DICOM_EXPLICIT_VR_LE};
    a->contexts = pdu_associate_alloc(a, 2 * sizeof(*a->contexts));
    assert_non_null(a->contexts);
    for (unsigned i = 0; i < 2; i++) {
        struct view *t = pdu_associate_alloc(a, sizeof(*t));
        assert_non_null(t);
        *t = text(transfer[i]);
        a->contexts[a->context_count++] =
            (struct pdu_context){.id = (uint8_t)(2 * i + 1),
                                 .abstract_syntax = is_ac ? (struct view){0} : text(abstract[i]),
                                 .transfer_syntaxes = t,
                                 .transfer_syntax_count = 1};
    }
}

struct pdu_associate sample_request(uint32_t max_length, int window)
{
    struct pdu_associate a;
    pdu_associate_init(&a, false);
    fill(&a, max_length, window);
    add_contexts(&a, false);
    return a;
}

struct pdu_associate sample_accept(uint32_t max_length, int window)
{
    struct pdu_associate a;
    pdu_associate_init(&a, true);
    fill(&a, max_length, window);
    add_contexts(&a, true);
    return a;
}

struct dimse_command sample_store(uint16_t message_id)
{
    return (struct dimse_command){.has = DIMSE_HAS_FIELD | DIMSE_HAS_MESSAGE_ID | DIMSE_HAS_PRIORITY |
                                         DIMSE_HAS_DATA_SET_TYPE | DIMSE_HAS_AFFECTED_CLASS |
                                         DIMSE_HAS_AFFECTED_INSTANCE,
                                  .field = DIMSE_C_STORE_RQ,
                                  .message_id = message_id,
                                  .data_set_type = DIMSE_DATA_SET,
                                  .affected_class = text(SAMPLE_CLASS),
                                  .affected_instance = text(SAMPLE_INSTANCE)};
}

struct dimse_command sample_echo(uint16_t message_id)
{
    return (struct dimse_command){.has = DIMSE_HAS_FIELD | DIMSE_HAS_MESSAGE_ID | DIMSE_HAS_DATA_SET_TYPE |
                                         DIMSE_HAS_AFFECTED_CLASS,
                                  .field = DIMSE_C_ECHO_RQ,
                                  .message_id = message_id,
                                  .data_set_type = DIMSE_NO_DATA_SET,
                                  .affected_class = text(DICOM_VERIFICATION)};
}

struct dimse_command sample_response(uint16_t field, uint16_t responded_id, uint16_t status, bool has_data)
{
    return (struct dimse_command){.has = DIMSE_HAS_FIELD | DIMSE_HAS_RESPONDED_ID | DIMSE_HAS_DATA_SET_TYPE |
                                         DIMSE_HAS_STATUS | DIMSE_HAS_AFFECTED_CLASS,
                                  .field = field,
                                  .responded_id = responded_id,
                                  .status = status,
                                  .data_set_type = has_data ? DIMSE_DATA_SET : DIMSE_NO_DATA_SET,
                                  .affected_class = text(SAMPLE_CLASS)};
}

/* --- the association */

static struct party *note(struct association *a, unsigned *counter)
{
    struct party *p = a->owner;
    if (p->ends > 0)
        p->late++;
    ++*counter;
    return p;
}

static void tell(struct party *p, enum party_event e)
{
    if (p->hook)
        p->hook(p, e);
}

static void on_request(struct association *a)
{
    struct party *p = a->owner;
    note(a, &p->requests);
    tell(p, PARTY_REQUEST);
    if (p->thinks || a->has_ended)
        return;
    struct pdu_associate answer = sample_accept(p->max_length, p->window);
    association_answer_take(a, &answer);
}

static void on_established(struct association *a)
{
    struct party *p = a->owner;
    note(a, &p->established);
    tell(p, PARTY_ESTABLISHED);
}

static void on_command(struct association *a, uint8_t context_id, const struct dimse_command *c)
{
    struct party *p = a->owner;
    note(a, &p->commands);
    p->last = *c;
    p->last.affected_class = p->last.requested_class = (struct view){0};
    p->last.affected_instance = p->last.requested_instance = p->last.comment = (struct view){0};
    p->last_context = context_id;
    tell(p, PARTY_COMMAND);
}

static void on_data(struct association *a, struct buf *b, uint8_t *at, uint32_t len)
{
    struct party *p = a->owner;
    unsigned pieces = 0;
    note(a, &pieces);
    assert_true(len > 0 && at >= b->data && at + len <= b->data + b->used);
    octets_append(&p->data, at, len);
    tell(p, PARTY_DATA);
}

static void on_data_end(struct association *a)
{
    struct party *p = a->owner;
    note(a, &p->data_ends);
    tell(p, PARTY_DATA_END);
}

static void on_release(struct association *a)
{
    struct party *p = a->owner;
    note(a, &p->releases);
    tell(p, PARTY_RELEASE);
    if (!p->thinks)
        association_release_answer(a);
}

static void on_sent(struct association *a)
{
    struct party *p = a->owner;
    note(a, &p->sents);
    tell(p, PARTY_SENT);
}

static void on_end(struct association *a, enum association_end how, const char *why)
{
    struct party *p = a->owner;
    note(a, &p->ends);
    p->how = how;
    snprintf(p->why, sizeof(p->why), "%s", why);
    tell(p, PARTY_END);
    if (!p->leaves_open && !a->is_closing)
        association_close(a);
}

static void on_gone(struct association *a)
{
    ((struct party *)a->owner)->gones++;
}

static const struct association_user party_user = {
    .on_request = on_request,
    .on_established = on_established,
    .on_command = on_command,
    .on_data = on_data,
    .on_data_end = on_data_end,
    .on_release = on_release,
    .on_sent = on_sent,
    .on_end = on_end,
    .on_gone = on_gone,
};

void party_init(struct party *p, struct loop *l, struct association_limits limits)
{
    *p = (struct party){.loop = l, .max_length = 65536, .window = -1};
    p->a.user = &party_user;
    p->a.owner = p;
    p->a.io = l->io;
    p->a.pool = &l->pool;
    p->a.limits = limits;
    snprintf(p->a.id, sizeof(p->a.id), "test");
    association_init(&p->a);
}

void party_accept(struct party *p, struct loop *l, struct association_limits limits, struct wire *w)
{
    int fd;
    *w = (struct wire){.loop = l};
    wire_pair(&fd, &w->fd);
    party_init(p, l, limits);
    assert_true(association_accept(&p->a, fd));
}

void party_accept_established(struct party *p, struct loop *l, struct association_limits limits,
                              struct wire *w, uint32_t peer_max_length)
{
    party_accept(p, l, limits, w);
    wire_send_request(w, peer_max_length);
    assert_int_equal(wire_pdu(w, NULL), PDU_ASSOCIATE_AC);
    assert_true(p->a.is_established);
}

void party_connect(struct party *p, struct loop *l, struct association_limits limits, struct wire *w)
{
    uint16_t port;
    int listener = wire_listen(&port);
    struct pdu_associate request = sample_request(65536, -1);
    party_init(p, l, limits);
    association_connect_take(&p->a, "127.0.0.1", port, &request);
    wire_accept(w, l, listener);
    close(listener);
    assert_int_equal(wire_pdu(w, NULL), PDU_ASSOCIATE_RQ);
}

void party_connect_established(struct party *p, struct loop *l, struct association_limits limits,
                               struct wire *w)
{
    party_connect(p, l, limits, w);
    wire_send_accept(w, 16384, -1);
    LOOP_UNTIL(l, p->established);
}

void party_close(struct party *p)
{
    if (!p->a.has_ended)
        association_abort(&p->a, "the test is over");
    if (!p->a.is_closing)
        association_close(&p->a);
    if (p->gones == 0)
        association_drop(&p->a);
    LOOP_UNTIL(p->loop, p->gones);
    assert_int_equal(p->gones, 1);
    assert_int_equal(p->late, 0);
    octets_free(&p->data);
}

bool party_send_data(struct party *p, const uint8_t *bytes, size_t len)
{
    struct buf *b = buf_scratch(p->a.pool, len ? len : 1);
    assert_non_null(b);
    if (len > 0)
        memcpy(b->data, bytes, len);
    b->used = (uint32_t)len;
    bool ok = association_send_data(&p->a, b, b->data, (uint32_t)len);
    buf_unref(&b);
    return ok;
}
