#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "handshake.h"
#include "tls/inside.h"

/* --- the clock, ours and OpenSSL's -------------------------------------------------------------------------- */

static time_t ahead_s;

time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    now.tv_sec += ahead_s;
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}

/* --- OpenSSL's memory --------------------------------------------------------------------------------------- */

static unsigned long countdown; /* the one that makes it 0 fails */
static bool has_failed;

static bool fails(void)
{
    if (countdown == 0 || --countdown > 0)
        return false;
    return has_failed = true;
}

static void *new_memory(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return fails() ? NULL : malloc(size);
}

static void *more_memory(void *old, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return fails() ? NULL : realloc(old, size);
}

static void free_memory(void *old, const char *file, int line)
{
    (void)file;
    (void)line;
    free(old);
}

/* --- */

static int set_up(void **state)
{
    ahead_s = 0;
    return handshake_set_up(state);
}

static void configure(struct world *w)
{
    struct tls_options server = handshake_server(w), client = handshake_client(w);
    handshake_configure(w, &server, &client);
}

static void only_12(struct world *w)
{
    assert_int_equal(SSL_CTX_set_max_proto_version(w->server_context->ssl, TLS1_2_VERSION), 1);
}

static void assert_resumed(struct world *w, bool is_resumed)
{
    assert_int_equal(handshake_make(w), OK);
    assert_int_equal(tls_is_resumed(w->s), is_resumed);
    assert_int_equal(tls_is_resumed(w->c), is_resumed);
    assert_string_equal(tls_peer(w->s), "CN=ct1,O=Hospital");
    assert_string_equal(tls_peer(w->c), "CN=gateway,O=Hospital");
}

static void the_next_session_is_resumed(void **state)
{
    struct world *w = *state;
    for (unsigned is_old = 0; is_old < 2; is_old++) {
        configure(w); /* a reload: everybody shows his certificate again */
        if (is_old)
            only_12(w);
        for (unsigned i = 0; i < 4; i++)
            assert_resumed(w, i > 0);
    }
}

/* How many of so many, all begun before one is done, are resumed. */
static unsigned resumed_side_by_side(struct world *w, unsigned count)
{
    struct tls *ends[8][2];
    unsigned resumed = 0;
    handshake_hang_up(w);
    for (unsigned i = 0; i < count; i++) {
        handshake_meet(w);
        ends[i][0] = w->s;
        ends[i][1] = w->c;
        w->s = w->c = NULL;
    }
    for (unsigned i = 0; i < count; i++) {
        w->s = ends[i][0];
        w->c = ends[i][1];
        assert_int_equal(handshake_go_on(w), OK);
        resumed += tls_is_resumed(w->s);
        handshake_hang_up(w);
    }
    return resumed;
}

static void many_side_by_side_are_resumed(void **state)
{
    struct world *w = *state;
    configure(w);
    assert_int_equal(resumed_side_by_side(w, 8), 0);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(resumed_side_by_side(w, 8), 8);
    assert_int_equal(w->client_context->kept_count, 8);
    configure(w);
    only_12(w);
    assert_resumed(w, false);
    assert_int_equal(resumed_side_by_side(w, 8), 8); /* of one */
    assert_int_equal(w->client_context->kept_count, 1);
}

/* OpenSSL's client holds one that it has begun with for used up: so this one begins with copies. */
static void a_listeners_session_serves_more_than_once(void **state)
{
    struct world *w = *state;
    configure(w);
    assert_resumed(w, false);
    struct tls_kept *k = &w->client_context->kept[0];
    assert_int_equal(w->client_context->kept_count, 1);
    SSL_SESSION *one = SSL_SESSION_dup(k->session);
    for (unsigned i = 0; i < 3; i++) {
        SSL_SESSION_free(k->session);
        k->session = SSL_SESSION_dup(one);
        w->client_context->kept_count = 1;
        assert_resumed(w, true);
    }
    SSL_SESSION_free(one);
}

/* A node that forgets what it has given, and gives much. */
static void a_client_keeps_so_many_and_the_newest(void **state)
{
    struct world *w = *state;
    struct tls_options server = handshake_server(w);
    struct tls_failure f;
    const struct tls_kept *kept;
    configure(w);
    for (ahead_s = 0; ahead_s < 2 * TLS_KEPT_MAX / 4; ahead_s++) {
        handshake_hang_up(w);
        tls_context_unref(&w->server_context);
        assert_int_equal(tls_context_new(&server, &w->server_context, &f), OK);
        SSL_CTX_set_num_tickets(w->server_context->ssl, 5);
        assert_resumed(w, false);
        kept = w->client_context->kept;
        unsigned given = 4 * (unsigned)ahead_s + 5; /* but for those that were begun with */
        assert_int_equal(w->client_context->kept_count, given < TLS_KEPT_MAX ? given : TLS_KEPT_MAX);
    }
    assert_true(kept[0].end < kept[TLS_KEPT_MAX - 1].end);
    assert_true(kept[TLS_KEPT_MAX - 1].end - kept[0].end <= TLS_KEPT_MAX / 4);
}

/* Each resumption brings a session: the hour is the first one's all the same. On either side alone. */
static void who_was_verified_is_verified_again_within_an_hour(void **state)
{
    struct world *w = *state;
    configure(w);
    assert_resumed(w, false);
    time_t end = w->client_context->kept[0].end;
    for (ahead_s = 600; ahead_s < 3600; ahead_s += 600) {
        assert_resumed(w, true);
        assert_int_equal(w->client_context->kept_count, 1);
        assert_int_equal(w->client_context->kept[0].end, end);
        w->client_context->kept[0].end += 7200; /* the client would go on */
        assert_int_equal(sessions_count(w->server_context->sessions), 1 + (unsigned)ahead_s / 600);
        end += 7200;
    }
    ahead_s = 3610;
    assert_resumed(w, false);
    w->client_context->kept[0].end = time(NULL); /* now it would not */
    assert_resumed(w, false);
}

static void no_session_outlives_a_certificate(void **state)
{
    struct world *w = *state;
    struct tls_options server = handshake_server(w), client = handshake_client(w);
    struct certificate brief =
        certificate_make(&(struct certificate_options){.cn = "ct1", .issuer = &w->ca, .until_s = 1000});
    certificate_write(&brief, w->folder, "brief", NULL);
    for (unsigned is_old = 0; is_old < 2; is_old++) {
        ahead_s = 0;
        client.certificate[0] = handshake_path(w, "brief.pem");
        client.key[0] = handshake_path(w, "brief.key");
        handshake_configure(w, &server, &client);
        if (is_old)
            only_12(w);
        assert_resumed(w, false);
        ahead_s = 990;
        assert_resumed(w, true);
        ahead_s = 1010;
        handshake_make(w);
        assert_false(tls_is_open(w->s));
        assert_string_equal(tls_why(w->s), "TLS: the peer's certificate is refused: certificate has expired");
    }
    certificate_free(&brief);
}

static void a_session_that_is_too_long_is_not_kept(void **state)
{
    struct world *w = *state;
    static char dns[SESSIONS_BYTES_MAX];
    struct tls_options server = handshake_server(w), client = handshake_client(w);
    memset(dns, 'a', sizeof(dns) - 1);
    struct certificate large =
        certificate_make(&(struct certificate_options){.cn = "ct1", .issuer = &w->ca, .dns = dns});
    certificate_write(&large, w->folder, "large", NULL);
    client.certificate[0] = handshake_path(w, "large.pem");
    client.key[0] = handshake_path(w, "large.key");
    handshake_configure(w, &server, &client);
    assert_resumed(w, false);
    assert_int_equal(sessions_count(w->server_context->sessions), 0);
    assert_resumed(w, false);
    certificate_free(&large);
}

/* A ClientHello may name one some 1700 times. */
static void who_names_many_sessions_is_soon_heard_no_more(void **state)
{
    struct world *w = *state;
    configure(w);
    assert_resumed(w, false);
    struct tls_begun begun = {0};
    SSL *ssl = SSL_new(w->server_context->ssl);
    SSL_SESSION *found = NULL;
    const unsigned char *id;
    size_t len;
    unsigned times = 0;
    int copy = 1;
    assert_int_equal(SSL_set_app_data(ssl, &begun), 1);
    SSL_SESSION_get0_ticket(w->client_context->kept[0].session, &id, &len);
    do {
        SSL_SESSION_free(found);
        found = SSL_CTX_sess_get_get_cb(w->server_context->ssl)(ssl, id, (int)len, &copy);
        assert_int_equal(copy, 0);
        times += found != NULL;
    } while (found && times < 100);
    SSL_SESSION_free(found);
    assert_int_equal(times, 8);
    SSL_free(ssl);
}

static void a_fault_forgets_the_session(void **state)
{
    struct world *w = *state;
    uint8_t nothing[16];
    size_t n;
    configure(w);
    assert_resumed(w, false);
    assert_int_equal(sessions_count(w->server_context->sessions), 1);
    tls_feed(w->s, (const uint8_t *)"\x17\x03\x03\x00\x20                                ", 37);
    assert_int_equal(tls_open(w->s, nothing, sizeof(nothing), &n), ERR_PROTO);
    assert_int_equal(sessions_count(w->server_context->sessions), 0);
    assert_resumed(w, false);
}

/* --- memory ------------------------------------------------------------------------------------------------- */

/* A handshake in which this allocation fails. False: there are not so many. */
static bool try_without(struct world *w, unsigned long number)
{
    handshake_hang_up(w);
    has_failed = false;
    countdown = number;
    w->s = tls_new(w->server_context, &w->pool);
    w->c = w->s ? tls_new(w->client_context, &w->pool) : NULL;
    if (w->c) {
        tls_begin(w->c);
        (void)handshake_go_on(w);
    }
    countdown = 0;
    return has_failed;
}

static void sweep(struct world *w)
{
    unsigned long number = 1;
    for (; try_without(w, number); number++)
        if (number % 50 == 0)
            assert_int_equal(handshake_make(w), OK);
    assert_true(number > 300);
    assert_int_equal(handshake_make(w), OK);
    assert_resumed(w, true);
}

/* It may cost the handshake, or the session; nothing else. Amid resumption as long as it lasts, and without. */
static void without_memory_nothing_else_happens(void **state)
{
    struct world *w = *state;
    for (unsigned is_old = 0; is_old < 2; is_old++) {
        configure(w);
        if (is_old)
            only_12(w);
        assert_int_equal(handshake_make(w), OK);
        sweep(w);
    }
}

int main(void)
{
    if (CRYPTO_set_mem_functions(new_memory, more_memory, free_memory) != 1)
        return 1;
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, handshake_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_next_session_is_resumed),
        TEST(many_side_by_side_are_resumed),
        TEST(a_listeners_session_serves_more_than_once),
        TEST(a_client_keeps_so_many_and_the_newest),
        TEST(who_was_verified_is_verified_again_within_an_hour),
        TEST(no_session_outlives_a_certificate),
        TEST(a_session_that_is_too_long_is_not_kept),
        TEST(who_names_many_sessions_is_soon_heard_no_more),
        TEST(a_fault_forgets_the_session),
        TEST(without_memory_nothing_else_happens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
