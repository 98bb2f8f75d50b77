/* Two streams of one loop that talk TLS with each other, and what stands between them. */
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "../certificate.h"
#include "../loop.h"
#include "base/clock.h"
#include "io/faults.h"
#include "stream/stream.h"

struct end {
    struct stream stream;
    struct slices kept;
    uint64_t came, sent;
    unsigned lost, closed;
    enum io_error lost_error;
    char why[128];
    bool keeps, closes_at_once;
};

struct world {
    struct loop loop;
    char folder[64];
    struct tls_context *server, *client;
    struct end s, c;
};

static uint8_t byte_at(uint64_t i)
{
    return (uint8_t)(i * 31 + i / 253);
}

static void on_bytes(struct stream *s, struct buf *b, uint8_t *at, uint32_t len)
{
    struct end *end = s->owner;
    assert_int_equal(end->lost + end->closed, 0);
    assert_true(len > 0 && at >= b->data && at + len <= b->data + b->used);
    for (uint32_t i = 0; i < len; i++)
        assert_int_equal(at[i], byte_at(end->came + i));
    end->came += len;
    if (end->keeps)
        assert_true(slices_push(&end->kept, b, at, len));
    if (end->closes_at_once)
        stream_close(s);
}

static void on_sent(struct stream *s, size_t n)
{
    ((struct end *)s->owner)->sent += n;
}

static void on_lost(struct stream *s, enum io_error error)
{
    struct end *end = s->owner;
    end->lost++;
    end->lost_error = error;
    snprintf(end->why, sizeof(end->why), "%s", s->why ? s->why : "");
}

static void on_closed(struct stream *s)
{
    ((struct end *)s->owner)->closed++;
}

static const struct stream_user user = {
    .on_bytes = on_bytes, .on_sent = on_sent, .on_lost = on_lost, .on_closed = on_closed};

static struct tls_context *context(const struct tls_options *o)
{
    struct tls_context *c = NULL;
    struct tls_failure f;
    if (tls_context_new(o, &c, &f) != OK)
        fail_msg("%s", f.text);
    return c;
}

static void make_contexts(struct world *w)
{
    char certificate[128], key[128];
    struct certificate own =
        certificate_make(&(struct certificate_options){.cn = "gateway", .dns = "gateway.local"});
    strcpy(w->folder, "/tmp/hilum-tls-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    certificate_write(&own, w->folder, "own", NULL);
    certificate_free(&own);
    snprintf(certificate, sizeof(certificate), "%s/own.pem", w->folder);
    snprintf(key, sizeof(key), "%s/own.key", w->folder);
    w->server = context(&(struct tls_options){.is_server = true, .certificate = {certificate}, .key = {key}});
    w->client = context(&(struct tls_options){.ca = certificate, .name = "gateway.local"});
    unlink(certificate);
    unlink(key);
    rmdir(w->folder);
}

static void open_end(struct world *w, struct end *end, int fd, struct tls_context *c)
{
    assert_true(stream_open(&end->stream, w->loop.io, &w->loop.pool, fd, &user, end));
    if (c)
        assert_true(stream_secure(&end->stream, c, end == &w->c));
}

static struct world *open_world(uint64_t memory)
{
    int one, two;
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    loop_open(&w->loop, memory);
    make_contexts(w);
    loop_connect_pair(&one, &two);
    open_end(w, &w->s, one, w->server);
    open_end(w, &w->c, two, w->client);
    return w;
}

static int set_up(void **state)
{
    *state = open_world(64 << 20);
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    stream_close(&w->s.stream);
    stream_close(&w->c.stream);
    LOOP_UNTIL(&w->loop, w->s.closed && w->c.closed);
    slices_clear(&w->s.kept);
    slices_clear(&w->c.kept);
    tls_context_unref(&w->server);
    tls_context_unref(&w->client);
    loop_turn(&w->loop);
    loop_close(&w->loop);
    free(w);
    return 0;
}

/* Bytes from `from` on are queued, in buffers of the pool and in small ones, as a message is. */
static void queue(struct world *w, struct end *end, uint64_t from, size_t len)
{
    while (len > 0) {
        struct buf *b = from % 3 ? buf_scratch(&w->loop.pool, 1 + from % 2000) : buf_new(&w->loop.pool);
        assert_non_null(b);
        size_t n = len < b->size ? len : b->size;
        if (from % 3)
            n = n < 1 + from % 2000 ? n : 1 + from % 2000;
        for (size_t i = 0; i < n; i++)
            b->data[i] = byte_at(from + i);
        assert_true(stream_send(&end->stream, b, b->data, (uint32_t)n));
        buf_unref(&b);
        from += n;
        len -= n;
    }
}

static void bytes_go_both_ways(void **state)
{
    struct world *w = *state;
    enum { LEN = 8000001 };
    queue(w, &w->c, 0, LEN);
    queue(w, &w->s, 0, LEN);
    LOOP_UNTIL(&w->loop, w->s.came == LEN && w->c.came == LEN);
    assert_true(stream_is_secured(&w->s.stream) && stream_is_secured(&w->c.stream));
    LOOP_UNTIL(&w->loop, w->s.sent == LEN && w->c.sent == LEN);
    assert_int_equal(w->c.stream.sent_bytes, LEN);
    assert_int_equal(w->s.stream.received_bytes, LEN);
    assert_int_equal(w->s.stream.sending.bytes, 0);
    assert_int_equal(w->s.stream.budget->held, 0); /* at rest it holds nothing */
}

static void small_pieces_are_joined(void **state)
{
    struct world *w = *state;
    enum { PIECES = 1000 };
    w->s.keeps = true;
    for (unsigned i = 0; i < PIECES; i++) {
        uint8_t byte = byte_at(i);
        assert_true(stream_send_bytes(&w->c.stream, &byte, 1));
        LOOP_UNTIL(&w->loop, w->s.came == i + 1);
    }
    assert_true(w->s.stream.budget->held <= 2);
    assert_true(w->s.kept.count <= 2);
}

static void receiving_pauses_at_the_limit_and_goes_on(void **state)
{
    struct world *w = *state;
    enum { LEN = 20 << 20 };
    w->s.keeps = true;
    stream_set_limit(&w->s.stream, 8);
    queue(w, &w->c, 0, LEN);
    LOOP_UNTIL(&w->loop, stream_is_full(&w->s.stream));
    unsigned wakes = w->loop.wakes;
    LOOP_UNTIL(&w->loop, w->loop.wakes > wakes + 3);
    assert_true(w->s.stream.budget->held <= 8 + 1); /* what a record cut in two takes more */
    assert_true(w->s.came < LEN);
    assert_true(w->c.stream.sending.bytes > 0); /* the backlog is what the peer has not been given */
    w->s.keeps = false;
    slices_clear(&w->s.kept);
    LOOP_UNTIL(&w->loop, w->s.came == LEN);
}

/* A peer that takes a little now and then makes progress, however much has been sealed for it. */
static void what_is_taken_of_a_portion_has_left(void **state)
{
    struct world *w = *state;
    enum { LEN = 1 << 20, SMALL = 8 << 10, PORTION = 128 << 10 };
    const int small = SMALL;
    assert_int_equal(setsockopt(w->c.stream.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)), 0);
    assert_int_equal(setsockopt(w->s.stream.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    queue(w, &w->c, 0, 100);
    LOOP_UNTIL(&w->loop, w->s.came == 100 && w->c.sent == 100);
    stream_set_reading(&w->s.stream, false);
    queue(w, &w->c, 100, LEN);
    LOOP_UNTIL(&w->loop, w->c.sent > 100);
    assert_true(w->c.sent < PORTION);
    assert_int_equal(w->c.stream.sending.bytes, LEN + 100 - w->c.sent);
    stream_set_reading(&w->s.stream, true);
    LOOP_UNTIL(&w->loop, w->s.came == LEN + 100 && w->c.sent == LEN + 100);
    assert_int_equal(w->c.stream.sending.bytes, 0);
}

/* Everything of the pool is out: what comes is opened where it lies. */
static void a_pool_that_is_used_up_stops_nobody(void **state)
{
    (void)state;
    struct world *w = open_world(2 << 20);
    struct slices held = {0};
    struct buf *b;
    uint64_t from = 0;
    queue(w, &w->c, 0, 100);
    LOOP_UNTIL(&w->loop, w->s.came == 100);
    from = 100;
    for (unsigned round = 0; round < 50; round++) {
        while (pool_available(&w->loop.pool) > 0 && (b = buf_new(&w->loop.pool))) {
            assert_true(slices_push(&held, b, b->data, 1));
            buf_unref(&b);
        }
        for (unsigned i = 0; i < 100; i++) {
            uint8_t bytes[999];
            for (unsigned k = 0; k < sizeof(bytes); k++)
                bytes[k] = byte_at(from + k);
            assert_true(stream_send_bytes(&w->c.stream, bytes, sizeof(bytes)));
            from += sizeof(bytes);
        }
        if (round % 5 == 4)
            slices_clear(&held); /* who waited for a buffer gets one, and the next round takes them again */
        else
            loop_turn(&w->loop);
        if (round % 5 == 4)
            LOOP_UNTIL(&w->loop, w->s.came == from);
    }
    slices_clear(&held);
    void *last = w;
    tear_down(&last);
}

static void the_end_is_told_as_an_end(void **state)
{
    struct world *w = *state;
    queue(w, &w->c, 0, 1000);
    LOOP_UNTIL(&w->loop, w->s.came == 1000);
    stream_close(&w->c.stream);
    LOOP_UNTIL(&w->loop, w->s.lost);
    assert_int_equal(w->s.lost_error, IO_NONE);
    assert_string_equal(w->s.why, "");
}

static void who_closes_from_inside_is_left_alone(void **state)
{
    struct world *w = *state;
    w->s.closes_at_once = true;
    queue(w, &w->c, 0, 200000);
    LOOP_UNTIL(&w->loop, w->s.closed && w->c.lost);
    assert_true(w->s.came > 0);
}

static void a_peer_without_tls_is_named(void **state)
{
    struct world *w = *state;
    stream_close(&w->s.stream);
    stream_close(&w->c.stream);
    LOOP_UNTIL(&w->loop, w->s.closed && w->c.closed);
    int one, two;
    w->s.closed = 0;
    w->s.lost = 0;
    loop_connect_pair(&one, &two);
    open_end(w, &w->s, one, w->server);
    assert_int_equal(send(two, "GET / HTTP/1.1\r\n\r\n", 18, 0), 18);
    LOOP_UNTIL(&w->loop, w->s.lost);
    assert_int_equal(w->s.lost_error, IO_RESET);
    assert_string_equal(w->s.why, "TLS: what came is no TLS, but HTTP");
    close(two);
}

/* A connection that has said nothing yet costs nothing of TLS. */
static void who_says_nothing_costs_nothing(void **state)
{
    struct world *w = *state;
    stream_close(&w->c.stream);
    LOOP_UNTIL(&w->loop, w->c.closed);
    int one, two;
    struct end quiet = {0};
    loop_connect_pair(&one, &two);
    assert_true(stream_open(&quiet.stream, w->loop.io, &w->loop.pool, one, &user, &quiet));
    assert_true(stream_secure(&quiet.stream, w->server, false));
    loop_turn(&w->loop);
    assert_null(quiet.stream.tls);
    close(two);
    LOOP_UNTIL(&w->loop, quiet.lost);
    assert_string_equal(quiet.why, "");
    stream_close(&quiet.stream);
    LOOP_UNTIL(&w->loop, quiet.closed);
}

/* The bytes that OpenSSL wants to send, of a client without a stream. */
static bool send_all(BIO *out, int fd)
{
    char *bytes;
    long len = BIO_get_mem_data(out, &bytes);
    ssize_t sent = len > 0 ? send(fd, bytes, (size_t)len, MSG_NOSIGNAL | MSG_DONTWAIT) : 0;
    bool is_all = sent == len;
    (void)BIO_reset(out);
    return is_all;
}

/* A client without a stream, over a socket of its own to w->s. */
struct bare {
    SSL_CTX *context;
    SSL *ssl;
    BIO *out;
    int fd;
};

static struct bare shake_hands(struct world *w)
{
    stream_close(&w->s.stream);
    stream_close(&w->c.stream);
    LOOP_UNTIL(&w->loop, w->s.closed && w->c.closed);
    w->s.closed = w->s.lost = 0;
    int one, small = 4096;
    char bytes[16384];
    struct bare c = {.context = SSL_CTX_new(TLS_client_method()), .out = BIO_new(BIO_s_mem())};
    BIO *in = BIO_new(BIO_s_mem());
    loop_connect_pair(&one, &c.fd);
    setsockopt(one, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    open_end(w, &w->s, one, w->server);
    c.ssl = SSL_new(c.context);
    SSL_set_bio(c.ssl, in, c.out);
    SSL_set_connect_state(c.ssl);
    while (SSL_do_handshake(c.ssl) != 1) {
        assert_true(send_all(c.out, c.fd));
        loop_turn(&w->loop);
        ssize_t n = recv(c.fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (n > 0)
            BIO_write(in, bytes, (int)n);
    }
    assert_true(send_all(c.out, c.fd));
    return c;
}

static void end_bare(struct bare *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->context);
    close(c->fd);
}

/* Each request for new keys is answered; who never reads the answers may not make us keep them. */
static void who_asks_for_keys_and_does_not_read_is_left(void **state)
{
    struct world *w = *state;
    struct bare c = shake_hands(w);
    uint64_t until = clock_ms() + 60000;
    while (!w->s.lost && clock_ms() < until) {
        for (unsigned i = 0; i < 100; i++) {
            assert_int_equal(SSL_key_update(c.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
            assert_int_equal(SSL_do_handshake(c.ssl), 1);
        }
        while (!send_all(c.out, c.fd) && !w->s.lost) /* a record that is cut ends it as well, and sooner */
            fail_msg("the socket is full");
        loop_turn(&w->loop);
    }
    assert_string_equal(w->s.why, "TLS: the peer asks for answers that it does not read");
    end_bare(&c);
}

/* Its bytes are nothing to the user, and have no time; when it began is known. */
static void a_record_counts_when_it_is_whole(void **state)
{
    struct world *w = *state;
    struct bare c = shake_hands(w);
    struct stream *s = &w->s.stream;
    char plain[100], *sealed;
    for (size_t i = 0; i < sizeof(plain); i++)
        plain[i] = (char)byte_at(i);
    assert_int_equal(SSL_write(c.ssl, plain, sizeof(plain)), sizeof(plain));
    long len = BIO_get_mem_data(c.out, &sealed);
    LOOP_UNTIL(&w->loop, stream_is_secured(s));
    uint64_t before = s->received_ms;
    LOOP_UNTIL(&w->loop, io_now(s->io) > before);
    assert_false(s->is_amid_record);
    assert_int_equal(send(c.fd, sealed, 1, 0), 1);
    LOOP_UNTIL(&w->loop, s->is_amid_record);
    uint64_t begun = s->record_ms;
    assert_true(begun > before);
    LOOP_UNTIL(&w->loop, io_now(s->io) > begun + 1);
    assert_int_equal(send(c.fd, sealed + 1, (size_t)len - 2, 0), len - 2);
    for (unsigned i = 0; i < 20; i++)
        loop_turn(&w->loop);
    assert_true(s->is_amid_record);
    assert_int_equal(s->record_ms, begun);
    assert_int_equal(s->received_ms, before);
    assert_int_equal(send(c.fd, sealed + len - 1, 1, 0), 1);
    LOOP_UNTIL(&w->loop, w->s.came == sizeof(plain));
    assert_false(s->is_amid_record);
    assert_true(s->received_ms > begun);
    end_bare(&c);
}

/* A send that fails for want of memory ends no receive: to wait for that would be to wait for a peer that waits for us. */
static void a_send_that_fails_is_a_loss(void **state)
{
    static const char *const faults[] = {"send:2:ENOMEM", "send:2:ENOBUFS", "send:2:EPIPE"};
    struct world *w = *state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        if (i > 0)
            *state = w = open_world(64 << 20);
        queue(w, &w->c, 0, 100);
        assert_true(io_set_faults(faults[i]));
        LOOP_UNTIL(&w->loop, w->c.lost || w->s.lost);
        assert_true(io_set_faults(NULL));
        if (i + 1 < sizeof(faults) / sizeof(faults[0]))
            tear_down(state);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(bytes_go_both_ways),
        TEST(small_pieces_are_joined),
        TEST(receiving_pauses_at_the_limit_and_goes_on),
        TEST(what_is_taken_of_a_portion_has_left),
        TEST(a_send_that_fails_is_a_loss),
        cmocka_unit_test(a_pool_that_is_used_up_stops_nobody),
        TEST(the_end_is_told_as_an_end),
        TEST(who_closes_from_inside_is_left_alone),
        TEST(a_peer_without_tls_is_named),
        TEST(who_says_nothing_costs_nothing),
        TEST(who_asks_for_keys_and_does_not_read_is_left),
        TEST(a_record_counts_when_it_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
