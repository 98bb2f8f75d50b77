#include "secure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "arguments.h"
#include "base/assert.h"
#include "figures.h"
#include "tls/tls.h"

enum {
    RECORD_BYTES = 16 << 10,
    FED_BYTES = 256 << 10,
    PIECES = 64,
    POOL_BYTES = 1 << 30, /* never the limit: sealed bytes are a portion for each connection */
};

struct secure_side {
    struct tls_context *context;
    struct pool pool;
    struct buf *owner; /* of slices whose bytes are not in a buffer */
    uint8_t *fed;      /* FED_BYTES, shared: nothing of it outlives a call */
    uint64_t handshakes, resumed;
    const char *version, *suite, *group; /* of the last one; OpenSSL's own */
};

struct secure {
    struct secure_side *side;
    struct tls *tls;
    int fd;
    bool is_open;     /* and counted */
    bool is_dead;     /* the socket takes nothing more */
    enum result over; /* ERR_CLOSED, ERR_PROTO: nothing more comes; else NEED_MORE */
};

struct secure_side *secure_side_new(const char *program, const struct secure_options *o)
{
    struct secure_side *s = calloc(1, sizeof *s);
    struct tls_failure failure;
    const struct tls_options wanted = {.is_server = o->is_server,
                                       .profile = TLS_BCP195,
                                       .certificate = {o->certificate},
                                       .key = {o->key},
                                       .ca = o->ca,
                                       .name = o->name,
                                       .is_fresh = !o->resumes};
    hilum_assert(s);
    if (tls_context_new(&wanted, &s->context, &failure) != OK)
        arguments_refuse(program, "TLS", failure.text);
    pool_init(&s->pool, POOL_BYTES);
    s->owner = buf_scratch(&s->pool, 1);
    s->fed = malloc(FED_BYTES);
    hilum_assert(s->owner && s->fed);
    s->version = s->suite = s->group = "";
    return s;
}

void secure_side_free(struct secure_side **sp)
{
    struct secure_side *s = *sp;
    *sp = NULL;
    if (!s)
        return;
    buf_unref(&s->owner);
    tls_context_unref(&s->context);
    pool_free(&s->pool);
    free(s->fed);
    free(s);
}

void secure_write(const struct secure_side *s, FILE *to)
{
    if (!s)
        return;
    fprintf(to,
            "\"tls\":{\"version\":\"%s\",\"suite\":\"%s\",\"group\":\"%s\",\"handshakes\":%llu,\"resumed\":%"
            "llu},",
            s->version, s->suite, s->group, (unsigned long long)s->handshakes,
            (unsigned long long)s->resumed);
}

/* ---- the socket */

bool secure_is_waiting(const struct secure *s)
{
    return !s->is_dead && tls_sealed(s->tls)->count > 0;
}

bool secure_flush(struct secure *s)
{
    const struct slices *sealed = tls_sealed(s->tls);
    while (secure_is_waiting(s)) {
        struct iovec list[PIECES];
        size_t count = 0, wanted = 0;
        for (; count < sealed->count && count < PIECES; count++) {
            const struct slice *one = slices_at(sealed, (uint32_t)count);
            list[count] = (struct iovec){one->at, one->len};
            wanted += one->len;
        }
        struct msghdr message = {.msg_iov = list, .msg_iovlen = count};
        ssize_t n = sendmsg(s->fd, &message, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return false;
        if (n < 0)
            s->is_dead = true; /* which shows when it is read */
        else
            tls_sent(s->tls, (size_t)n);
        if (n >= 0 && (size_t)n < wanted)
            return false;
    }
    return true;
}

struct secure *secure_new(struct secure_side *side, int fd)
{
    struct secure *s = calloc(1, sizeof *s);
    hilum_assert(s);
    *s = (struct secure){
        .side = side, .fd = fd, .over = NEED_MORE, .tls = tls_new(side->context, &side->pool)};
    hilum_assert(s->tls);
    tls_begin(s->tls);
    secure_flush(s);
    return s;
}

void secure_free(struct secure **sp)
{
    struct secure *s = *sp;
    *sp = NULL;
    if (!s)
        return;
    if (!secure_is_waiting(s)) {
        tls_end(s->tls);
        secure_flush(s);
    }
    tls_free(&s->tls);
    free(s);
}

/* ---- bytes */

static void count_handshake(struct secure *s)
{
    struct secure_side *side = s->side;
    if (s->is_open || !tls_is_open(s->tls))
        return;
    s->is_open = true;
    side->handshakes++;
    side->resumed += tls_is_resumed(s->tls);
    side->version = tls_version(s->tls);
    side->suite = tls_suite(s->tls);
    side->group = tls_group(s->tls);
}

/* Opens all that was fed, and says what it has to say to that. */
static size_t open_all(struct secure *s, uint8_t *to, size_t room)
{
    size_t len = 0, n;
    do {
        hilum_assert(len < room);
        s->over = tls_open(s->tls, to + len, room - len, &n);
        len += n;
    } while (s->over == OK);
    count_handshake(s);
    secure_flush(s);
    return len;
}

ssize_t secure_recv(struct secure *s, uint8_t *to, size_t room)
{
    hilum_assert(room >= SECURE_LEAST_ROOM);
    /* What is read now, and a record of which all but the end came before, find room when they are opened; and a byte is left. */
    size_t most = room - RECORD_BYTES - 1, len = 0;
    most = most < FED_BYTES ? most : FED_BYTES;
    while (len == 0 && s->over == NEED_MORE) {
        ssize_t n = recv(s->fd, s->side->fed, most, 0);
        if (n <= 0)
            return n;
        tls_feed(s->tls, s->side->fed, (size_t)n);
        len = open_all(s, to, room);
    }
    if (len > 0 || s->over == ERR_CLOSED)
        return (ssize_t)len;
    errno = EPROTO;
    return -1;
}

ssize_t secure_send(struct secure *s, const struct iovec *list, size_t count)
{
    struct slices queue = {0};
    size_t n = 0;
    if (!secure_flush(s) || !s->is_open) {
        errno = EAGAIN;
        return -1;
    }
    for (size_t i = 0; i < count && queue.bytes < SECURE_PORTION_BYTES; i++)
        hilum_assert(slices_push(&queue, s->side->owner, list[i].iov_base, (uint32_t)list[i].iov_len));
    enum result r = tls_seal(s->tls, &queue, 0, SECURE_PORTION_BYTES, &n);
    slices_clear(&queue);
    if (r != OK || n == 0 || s->is_dead) {
        errno = EPIPE;
        return -1;
    }
    secure_flush(s);
    return (ssize_t)n;
}

const char *secure_why(const struct secure *s)
{
    const char *why = tls_why(s->tls);
    return errno == EPROTO && why[0] ? why : strerror(errno);
}
