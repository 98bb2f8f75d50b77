#include "speaker.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "dicom/uid.h"
#include "dimse/messages.h"

static const struct {
    uint8_t id;
    const char *abstract_syntax, *transfer_syntax;
} contexts[SPEAKER_CONTEXTS] = {
    {SPEAKER_ECHO, DICOM_VERIFICATION, DICOM_IMPLICIT_VR_LE},
    {SPEAKER_STORE, "1.2.840.10008.5.1.4.1.1.2", DICOM_EXPLICIT_VR_LE},
    {SPEAKER_FIND, "1.2.840.10008.5.1.4.1.2.2.1", DICOM_EXPLICIT_VR_LE},
    {SPEAKER_GET, "1.2.840.10008.5.1.4.1.2.2.3", DICOM_EXPLICIT_VR_LE},
    {SPEAKER_COMMITMENT, "1.2.840.10008.1.20.1", DICOM_EXPLICIT_VR_LE},
    {SPEAKER_PRIVATE, "1.2.3.4.5", "1.2.3.4.6"},
};

struct view speaker_text(const char *s)
{
    return (struct view){(const uint8_t *)s, strlen(s)};
}

/* --- what it is told --------------------------------------------------------------------------------------- */

static struct speaker *told(struct association *a, enum speaker_event event)
{
    struct speaker *p = a->owner;
    if (event != SPEAKER_GONE)
        assert_int_equal(p->seen[SPEAKER_END], 0); /* nothing comes after the end, and that once */
    p->seen[event]++;
    return p;
}

static void act(struct speaker *p, enum speaker_event event)
{
    if (p->act)
        p->act(p, event);
}

static void on_request(struct association *a)
{
    struct speaker *p = told(a, SPEAKER_REQUESTED);
    if (!p->waits_with_answer)
        speaker_answer(p);
    act(p, SPEAKER_REQUESTED);
}

static void on_established(struct association *a)
{
    act(told(a, SPEAKER_ESTABLISHED), SPEAKER_ESTABLISHED);
}

/* A command whose views point into memory of its own. */
static void keep_command(struct speaker_message *m, const struct dimse_command *c)
{
    size_t bytes = 1;
    m->c = *c;
    for (int copy = 0; copy < 2; copy++) {
        uint8_t *at = m->text = copy ? malloc(bytes) : NULL;
        for (size_t i = 0; i < dimse_elements_count; i++) {
            struct view *v = (struct view *)(void *)((char *)&m->c + dimse_elements[i].member);
            if (dimse_elements[i].kind == DIMSE_NUMBER || v->len == 0)
                continue;
            if (copy) {
                memcpy(at, v->at, v->len);
                v->at = at;
                at += v->len;
            } else {
                bytes += v->len;
            }
        }
    }
}

static void on_command(struct association *a, uint8_t context_id, const struct dimse_command *c)
{
    struct speaker *p = told(a, SPEAKER_COMMAND);
    assert_true(p->count < SPEAKER_MESSAGES);
    assert_true(p->count == 0 || p->messages[p->count - 1].has_ended);
    struct speaker_message *m = &p->messages[p->count++];
    m->context_id = context_id;
    m->has_ended = !dimse_has_data_set(c);
    keep_command(m, c);
    act(p, SPEAKER_COMMAND);
}

static void on_data(struct association *a, struct buf *b, uint8_t *at, uint32_t len)
{
    struct speaker *p = told(a, SPEAKER_DATA);
    struct speaker_message *m = &p->messages[p->count - 1];
    assert_true(p->count > 0 && !m->has_ended);
    assert_true(len > 0 && at >= b->data && at + len <= b->data + b->used);
    octets_append(&m->data, at, len);
    act(p, SPEAKER_DATA);
}

static void on_data_end(struct association *a)
{
    struct speaker *p = told(a, SPEAKER_DATA_END);
    assert_true(p->count > 0 && !p->messages[p->count - 1].has_ended);
    p->messages[p->count - 1].has_ended = true;
    act(p, SPEAKER_DATA_END);
}

static void on_release(struct association *a)
{
    struct speaker *p = told(a, SPEAKER_RELEASE);
    act(p, SPEAKER_RELEASE);
    if (!p->waits_with_release)
        association_release_answer(a);
}

static void on_sent(struct association *a)
{
    act(told(a, SPEAKER_SENT), SPEAKER_SENT);
}

static void on_end(struct association *a, enum association_end how, const char *why)
{
    struct speaker *p = told(a, SPEAKER_END);
    p->how = how;
    snprintf(p->why, sizeof(p->why), "%s", why);
    act(p, SPEAKER_END);
    if (!p->stays_open)
        association_close(a);
}

static void on_gone(struct association *a)
{
    struct speaker *p = told(a, SPEAKER_GONE);
    assert_int_equal(p->seen[SPEAKER_GONE], 1);
    act(p, SPEAKER_GONE);
}

static const struct association_user user = {
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

/* --- life -------------------------------------------------------------------------------------------------- */

void speaker_init(struct speaker *p, struct loop *l, struct resolver *resolver)
{
    *p = (struct speaker){.loop = l, .resolver = resolver, .max_length = 16384};
    p->a.user = &user;
    p->a.owner = p;
    p->a.io = l->io;
    p->a.pool = &l->pool;
    p->a.resolver = resolver;
    p->a.limits = (struct association_limits){.connect = 10000, .association = 10000, .progress = 10000};
    snprintf(p->a.id, sizeof(p->a.id), "test");
    association_init(&p->a);
}

void speaker_accept(struct speaker *p, int fd)
{
    assert_true(association_accept(&p->a, fd));
}

static void set_user_information(const struct speaker *p, struct pdu_associate *a)
{
    a->application_context = speaker_text(DICOM_APPLICATION_CONTEXT);
    a->has_max_length = true;
    a->max_length = p->max_length;
    a->implementation_uid = speaker_text("1.2.3");
    a->has_async = p->has_window;
    a->async_invoked = p->invoked;
    a->async_performed = p->performed;
}

struct pdu_associate speaker_request(const struct speaker *p)
{
    struct pdu_associate a;
    pdu_associate_init(&a, false);
    pdu_title_write(a.called_raw, "CALLED");
    pdu_title_write(a.calling_raw, "CALLING");
    set_user_information(p, &a);
    a.contexts = pdu_associate_alloc(&a, SPEAKER_CONTEXTS * sizeof(*a.contexts));
    struct view *syntaxes = pdu_associate_alloc(&a, SPEAKER_CONTEXTS * sizeof(*syntaxes));
    for (unsigned i = 0; i < SPEAKER_CONTEXTS; i++) {
        syntaxes[i] = speaker_text(contexts[i].transfer_syntax);
        a.contexts[i] = (struct pdu_context){.id = contexts[i].id,
                                             .abstract_syntax = speaker_text(contexts[i].abstract_syntax),
                                             .transfer_syntaxes = &syntaxes[i],
                                             .transfer_syntax_count = 1};
    }
    a.context_count = SPEAKER_CONTEXTS;
    return a;
}

void speaker_answer(struct speaker *p)
{
    const struct pdu_associate *asked = &p->a.ul.request;
    struct pdu_associate a;
    pdu_associate_init(&a, true);
    set_user_information(p, &a);
    a.contexts = pdu_associate_alloc(&a, asked->context_count * sizeof(*a.contexts));
    for (unsigned i = 0; i < asked->context_count; i++) {
        a.contexts[i] = asked->contexts[i];
        a.contexts[i].transfer_syntax_count = 1;
    }
    a.context_count = asked->context_count;
    association_answer_take(&p->a, &a);
}

void speaker_connect(struct speaker *p, uint16_t port)
{
    struct pdu_associate request = speaker_request(p);
    association_connect_take(&p->a, "127.0.0.1", port, &request);
}

void speaker_free(struct speaker *p)
{
    if (!p->a.is_closing)
        association_close(&p->a);
    if (p->seen[SPEAKER_GONE] == 0)
        association_drop(&p->a);
    LOOP_UNTIL(p->loop, p->seen[SPEAKER_GONE] == 1);
    for (unsigned i = 0; i < p->count; i++) {
        free(p->messages[i].text);
        octets_free(&p->messages[i].data);
    }
    p->count = 0;
}

/* --- messages ---------------------------------------------------------------------------------------------- */

bool speaker_send_bytes(struct speaker *p, const uint8_t *data, size_t len)
{
    struct buf *b = buf_scratch(p->a.pool, len);
    assert_non_null(b);
    memcpy(b->data, data, len);
    b->used = (uint32_t)len;
    bool ok = association_send_data(&p->a, b, b->data, (uint32_t)len);
    buf_unref(&b);
    return ok;
}

bool speaker_send(struct speaker *p, uint8_t context_id, const struct dimse_command *c, const uint8_t *data,
                  size_t len, size_t slice)
{
    bool ok = association_send_command(&p->a, context_id, c);
    if (!dimse_has_data_set(c))
        return ok;
    for (size_t at = 0; ok && at < len;) {
        size_t n = slice && slice < len - at ? slice : len - at;
        ok = speaker_send_bytes(p, data + at, n);
        at += n;
    }
    return ok && association_send_data_end(&p->a);
}

/* As written, with one character of padding if the length was odd. */
static void check_value(const struct dimse_element *e, struct view got, struct view want)
{
    assert_int_equal(got.len, want.len + (want.len & 1));
    assert_memory_equal(got.at, want.at, want.len);
    if (want.len & 1)
        assert_int_equal(got.at[want.len], e->kind == DIMSE_UID ? 0 : ' ');
}

void speaker_check_command(const struct dimse_command *got, const struct dimse_command *want)
{
    assert_int_equal(got->has, want->has);
    for (size_t i = 0; i < dimse_elements_count; i++) {
        const struct dimse_element *e = &dimse_elements[i];
        const char *g = (const char *)got + e->member, *w = (const char *)want + e->member;
        if (!(want->has & e->has))
            continue;
        if (e->kind == DIMSE_NUMBER)
            assert_int_equal(*(const uint16_t *)(const void *)g, *(const uint16_t *)(const void *)w);
        else
            check_value(e, *(const struct view *)(const void *)g, *(const struct view *)(const void *)w);
    }
}

uint8_t speaker_byte(unsigned seed, size_t i)
{
    return (uint8_t)(seed * 59 + i * 31 + i / 253 + 1);
}

uint8_t *speaker_data(unsigned seed, size_t len)
{
    uint8_t *data = malloc(len + 1);
    assert_non_null(data);
    for (size_t i = 0; i < len; i++)
        data[i] = speaker_byte(seed, i);
    return data;
}

void speaker_check_data(const struct octets *got, unsigned seed, size_t len)
{
    assert_int_equal(got->len, len + (len & 1));
    for (size_t i = 0; i < len; i++)
        if (got->data[i] != speaker_byte(seed, i))
            fail_msg("data set %u differs at byte %zu", seed, i);
    if (len & 1)
        assert_int_equal(got->data[len], 0);
}

/* --- connections ------------------------------------------------------------------------------------------- */

int speaker_listen(uint16_t *port_out)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *port_out = ntohs(at.sin_port);
    return fd;
}

int speaker_accepted(struct loop *l, int listener)
{
    int fd = -1;
    LOOP_UNTIL(l, (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0);
    return fd;
}

void speaker_pair(struct speaker *requestor, struct speaker *acceptor)
{
    uint16_t port;
    int listener = speaker_listen(&port);
    speaker_connect(requestor, port);
    speaker_accept(acceptor, speaker_accepted(requestor->loop, listener));
    close(listener);
    LOOP_UNTIL(requestor->loop, requestor->seen[SPEAKER_ESTABLISHED] == 1 && acceptor->a.is_established);
}
