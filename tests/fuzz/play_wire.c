/* Connections, from their other ends. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "play.h"

enum { WAITING_MAX = 1 << 20 };

struct account *ledger_find(struct ledger *l, struct view uid)
{
    while (uid.len > 0 && (uid.at[uid.len - 1] == '\0' || uid.at[uid.len - 1] == ' '))
        uid.len--;
    for (unsigned i = 0; i < l->count; i++)
        if (strlen(l->accounts[i].uid) == uid.len && memcmp(l->accounts[i].uid, uid.at, uid.len) == 0)
            return &l->accounts[i];
    if (l->count == LEDGER || uid.len > 64 || memchr(uid.at ? uid.at : (const uint8_t *)"", '\0', uid.len)) {
        l->is_over = true;
        return NULL;
    }
    struct account *a = &l->accounts[l->count++];
    *a = (struct account){0};
    memcpy(a->uid, uid.at ? uid.at : (const uint8_t *)"", uid.len);
    return a;
}

void wire_open(struct wire *w, int fd)
{
    *w = (struct wire){.fd = fd};
}

void wire_close(struct wire *w, bool resets)
{
    if (w->fd >= 0 && resets)
        setsockopt(w->fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    if (w->fd >= 0)
        close(w->fd);
    octets_free(&w->waiting);
    *w = (struct wire){.fd = -1};
}

static void flush(struct play *p, struct wire *w)
{
    if (w->waiting.len == 0)
        return;
    ssize_t n = send(w->fd, w->waiting.data, w->waiting.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0) {
        octets_consume(&w->waiting, (size_t)n);
        p->moved = true;
    } else if (errno != EAGAIN) {
        octets_free(&w->waiting); /* it is broken: reading says so */
    }
}

void wire_send(struct play *p, struct wire *w, const struct octets *bytes)
{
    if (w->fd < 0 || bytes->len == 0 || w->waiting.len > WAITING_MAX)
        return;
    octets_append(&w->waiting, bytes->data, bytes->len);
    flush(p, w);
}

static void hear_all(struct ear *e, const uint8_t *bytes, size_t len,
                     void (*on_event)(void *, const struct pdu_event *), void *arg)
{
    struct pdu_event event;
    size_t used = 0;
    do {
        used += pdu_reader_next(&e->reader, len > used ? bytes + used : NULL, len - used, &event);
        hilum_assert(event.kind != PDU_EVENT_FAULT); /* what the gateway sends can be read */
        if (event.kind != PDU_EVENT_NONE)
            on_event(arg, &event);
    } while (event.kind != PDU_EVENT_NONE && !e->is_lost);
}

bool wire_listen(struct play *p, struct wire *w, struct ear *e,
                 void (*on_event)(void *arg, const struct pdu_event *e), void *arg)
{
    static uint8_t bytes[64 << 10];
    flush(p, w);
    while (w->fd >= 0 && !w->is_deaf) {
        ssize_t n = recv(w->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            return true;
        p->moved = true;
        if (n <= 0)
            return false;
        hear_all(e, bytes, (size_t)n, on_event, arg);
        if (e->is_lost)
            return false;
        if ((size_t)n < sizeof(bytes))
            return true;
    }
    return w->fd >= 0;
}

void ear_init(struct ear *e)
{
    *e = (struct ear){0};
    pdu_reader_init(&e->reader);
}

void ear_free(struct ear *e)
{
    pdu_reader_free(&e->reader);
    octets_free(&e->command);
    octets_free(&e->text);
}

bool ear_hear(struct ear *e, const struct pdu_event *event)
{
    const char *why;
    if (event->kind != PDU_EVENT_FRAGMENT)
        return false;
    const bool is_last = event->is_pdv_end && (event->control & PDV_LAST);
    if (!(event->control & PDV_COMMAND)) {
        hilum_assert(e->awaits_data); /* the gateway sends no data set without its command */
        e->data_bytes += event->piece_len;
        e->awaits_data = !is_last;
        return is_last;
    }
    hilum_assert(!e->awaits_data && e->command.len + event->piece_len <= DIMSE_COMMAND_MAX_BYTES);
    if (event->piece_len > 0)
        octets_append(&e->command, event->piece, event->piece_len);
    if (!is_last)
        return false;
    octets_clear(&e->text);
    octets_append(&e->text, e->command.data, e->command.len);
    octets_clear(&e->command);
    hilum_assert(dimse_parse(e->text.data, e->text.len, &e->request, &why) == OK);
    e->context_id = event->context_id;
    e->data_bytes = 0;
    e->awaits_data = dimse_has_data_set(&e->request);
    return true;
}

void play_pdu(struct octets *o, uint8_t type, struct view body)
{
    octets_u8(o, type);
    octets_u8(o, 0);
    octets_be32(o, (uint32_t)body.len);
    if (body.len > 0)
        octets_append(o, body.at, body.len);
}

void play_pdv(struct octets *o, uint8_t context_id, uint8_t control, const void *bytes, size_t len)
{
    octets_u8(o, PDU_P_DATA_TF);
    octets_u8(o, 0);
    octets_be32(o, (uint32_t)len + PDU_PDV_HEADER_BYTES);
    octets_be32(o, (uint32_t)len + 2);
    octets_u8(o, context_id);
    octets_u8(o, control);
    if (len > 0)
        octets_append(o, bytes, len);
}

void play_message(struct octets *o, uint8_t context_id, const struct dimse_command *c, struct view data,
                  size_t fragment)
{
    struct octets command = {0};
    dimse_write(c, &command);
    play_pdv(o, context_id, PDV_COMMAND | PDV_LAST, command.data, command.len);
    octets_free(&command);
    if (!dimse_has_data_set(c))
        return;
    size_t at = 0;
    do {
        size_t n = fragment < data.len - at ? fragment : data.len - at;
        play_pdv(o, context_id, at + n == data.len ? PDV_LAST : 0, n > 0 ? data.at + at : NULL, n);
        at += n;
    } while (at < data.len);
}
