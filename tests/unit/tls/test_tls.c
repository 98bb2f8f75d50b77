#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "handshake.h"
#include "tls/inside.h"

/* The server may refuse what the client holds to be done. */
static const char *refusal_of(struct world *w)
{
    uint8_t nothing[16];
    size_t n;
    if (handshake_make(w) == OK)
        return "";
    const char *why = tls_why(w->s)[0] ? tls_why(w->s) : tls_why(w->c);
    (void)handshake_pass(w, w->s, w->c, nothing, sizeof(nothing), &n); /* the alert */
    return why;
}

/* --- the handshake ----------------------------------------------------------------------------------------- */

static void both_know_each_other(void **state)
{
    struct world *w = *state;
    struct tls_options server = handshake_server(w), client = handshake_client(w);
    handshake_configure(w, &server, &client);
    assert_int_equal(handshake_make(w), OK);
    assert_true(tls_is_open(w->s) && tls_is_open(w->c));
    assert_string_equal(tls_peer(w->s), "CN=ct1,O=Hospital");
    assert_string_equal(tls_peer(w->c), "CN=gateway,O=Hospital");
    assert_true(tls_peer_is_named(w->c, "gateway.local") && !tls_peer_is_named(w->c, "archive.local"));
    assert_false(tls_peer_is_named(w->c, "127.0.0.1") || tls_peer_is_named(w->s, "gateway.local"));
    assert_string_equal(tls_version(w->s), "TLSv1.3");
    assert_string_equal(tls_suite(w->s), "TLS_AES_256_GCM_SHA384");
    assert_false(tls_is_resumed(w->s));
}

static void it_comes_byte_by_byte(void **state)
{
    struct world *w = *state;
    struct tls_options server = handshake_server(w), client = handshake_client(w);
    handshake_configure(w, &server, &client);
    w->portion = 1;
    assert_int_equal(handshake_make(w), OK);
    assert_true(tls_is_open(w->s) && tls_is_open(w->c));
}

static void a_fresh_client_never_resumes(void **state)
{
    struct world *w = *state;
    struct tls_options server = handshake_server(w), client = handshake_client(w);
    client.is_fresh = true;
    handshake_configure(w, &server, &client);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(handshake_make(w), OK);
        assert_false(tls_is_resumed(w->s));
        assert_string_equal(tls_group(w->c), "X25519");
    }
}

static void whom_nobody_vouches_for_is_refused(void **state)
{
    struct world *w = *state;
    struct tls_options server = handshake_server(w), client = handshake_client(w);
    server.ca = handshake_path(w, "other.pem");
    handshake_configure(w, &server, &client);
    assert_string_equal(refusal_of(w),
                        "TLS: the peer's certificate is refused: unable to get local issuer certificate");
    assert_string_equal(tls_why(w->c), "TLS: the peer says: unknown ca");
    server.ca = handshake_path(w, "ca.pem");
    client.ca = handshake_path(w, "other.pem");
    handshake_configure(w, &server, &client);
    assert_string_equal(refusal_of(w),
                        "TLS: the peer's certificate is refused: unable to get local issuer certificate");
    assert_false(tls_is_open(w->c));
}

static void who_shows_nothing_is_refused_where_it_is_required(void **state)
{
    struct world *w = *state;
    struct tls_options server = handshake_server(w), client = handshake_client(w);
    client.certificate[0] = client.key[0] = NULL;
    handshake_configure(w, &server, &client);
    assert_string_equal(refusal_of(w), "TLS: peer did not return a certificate");
    server.client = TLS_CLIENT_REQUEST;
    handshake_configure(w, &server, &client);
    assert_string_equal(refusal_of(w), "");
    assert_string_equal(tls_peer(w->s), "");
    server.client = TLS_CLIENT_NONE;
    server.ca = NULL;
    handshake_configure(w, &server, &client);
    assert_string_equal(refusal_of(w), "");
}

static void the_name_must_be_the_one_that_was_called(void **state)
{
    struct world *w = *state;
    struct tls_options server = handshake_server(w), client = handshake_client(w);
    client.name = "archive.local";
    handshake_configure(w, &server, &client);
    assert_string_equal(refusal_of(w), "TLS: the peer's certificate is refused: hostname mismatch");
    client.name = "127.0.0.1";
    handshake_configure(w, &server, &client);
    assert_string_equal(refusal_of(w), "TLS: the peer's certificate is refused: IP address mismatch");
    client.name = NULL;
    handshake_configure(w, &server, &client);
    assert_string_equal(refusal_of(w), "");
}

static void a_certificate_has_its_time(void **state)
{
    struct world *w = *state;
    struct tls_options server = handshake_server(w), client = handshake_client(w);
    struct certificate late = certificate_make(
        &(struct certificate_options){.cn = "late", .issuer = &w->ca, .from_s = -7200, .until_s = -3600});
    struct certificate early = certificate_make(
        &(struct certificate_options){.cn = "early", .issuer = &w->ca, .from_s = 3600, .until_s = 7200});
    certificate_write(&late, w->folder, "late", NULL);
    certificate_write(&early, w->folder, "early", NULL);
    client.certificate[0] = handshake_path(w, "late.pem");
    client.key[0] = handshake_path(w, "late.key");
    handshake_configure(w, &server, &client);
    assert_true(tls_context_own(w->client_context, 0)->ends < time(NULL));
    assert_string_equal(refusal_of(w), "TLS: the peer's certificate is refused: certificate has expired");
    assert_string_equal(tls_why(w->c), "TLS: the peer says: certificate expired");
    client.certificate[0] = handshake_path(w, "early.pem");
    client.key[0] = handshake_path(w, "early.key");
    handshake_configure(w, &server, &client);
    assert_string_equal(refusal_of(w),
                        "TLS: the peer's certificate is refused: certificate is not yet valid");
    certificate_free(&late);
    certificate_free(&early);
}

/* Whose it was: in words of the peer's, bounded. */
static void who_is_refused_is_known(void **state)
{
    struct world *w = *state;
    struct tls_options server = handshake_server(w), client = handshake_client(w);
    char cn[65] = "";
    handshake_configure(w, &server, &client);
    assert_string_equal(refusal_of(w), "");
    assert_null(tls_refused(w->s));
    for (unsigned i = 0; i < 8; i++)
        strcat(cn, "\n\"=,<\xc3\xa4;");
    struct certificate odd =
        certificate_make(&(struct certificate_options){.cn = cn, .issuer = &w->other_ca});
    certificate_write(&odd, w->folder, "odd", NULL);
    client.certificate[0] = handshake_path(w, "odd.pem");
    client.key[0] = handshake_path(w, "odd.key");
    handshake_configure(w, &server, &client);
    assert_string_equal(refusal_of(w),
                        "TLS: the peer's certificate is refused: unable to get local issuer certificate");
    const struct tls_shown *refused = tls_refused(w->s);
    assert_non_null(refused);
    assert_string_equal(tls_peer(w->s), "");
    assert_memory_equal(refused->subject, "CN=\\0A\\\"=\\,\\<\xc3\xa4\\;", 17);
    assert_true(strlen(refused->subject) < sizeof(refused->subject));
    char serial[48];
    snprintf(serial, sizeof(serial), "%04lX",
             (unsigned long)ASN1_INTEGER_get(X509_get0_serialNumber(odd.x509)));
    assert_string_equal(refused->serial, serial);
    certificate_free(&odd);
}

/* The first error of OpenSSL is then "EVP lib", of the signature of the list. */
static void a_certificate_that_vouches_for_itself_is_no_issuer_of_lists(void **state)
{
    struct world *w = *state;
    struct tls_options server = handshake_server(w), client = handshake_client(w);
    certificate_write_crl(&w->ca, NULL, w->folder, "none");
    server.ca = handshake_path(w, "client.pem");
    server.crl = handshake_path(w, "none.pem");
    handshake_configure(w, &server, &client);
    assert_string_equal(refusal_of(w), "TLS: the peer's certificate is refused: CRL signature failure");
}

static void what_was_revoked_is_refused(void **state)
{
    struct world *w = *state;
    struct tls_options server = handshake_server(w), client = handshake_client(w);
    certificate_write_crl(&w->ca, NULL, w->folder, "none");
    certificate_write_crl(&w->ca, &w->client, w->folder, "ct1");
    certificate_write_crl(&w->other_ca, NULL, w->folder, "others");
    server.crl = handshake_path(w, "none.pem");
    handshake_configure(w, &server, &client);
    assert_string_equal(refusal_of(w), "");
    server.crl = handshake_path(w, "ct1.pem");
    handshake_configure(w, &server, &client);
    assert_string_equal(refusal_of(w), "TLS: the peer's certificate is refused: certificate revoked");
    assert_string_equal(tls_why(w->c), "TLS: the peer says: certificate revoked");
    server.crl = handshake_path(w, "others.pem"); /* says nothing of ours */
    handshake_configure(w, &server, &client);
    assert_string_equal(refusal_of(w),
                        "TLS: the peer's certificate is refused: unable to get certificate CRL");
}

static void weak_keys_are_no_keys(void **state)
{
    struct world *w = *state;
    struct tls_options server = handshake_server(w), client = handshake_client(w);
    struct tls_failure f;
    struct certificate weak =
        certificate_make(&(struct certificate_options){.cn = "weak", .issuer = &w->ca, .rsa_bits = 1024});
    certificate_write(&weak, w->folder, "weak", NULL);
    client.certificate[0] = handshake_path(w, "weak.pem");
    client.key[0] = handshake_path(w, "weak.key");
    assert_int_equal(tls_context_new(&client, &w->client_context, &f), ERR_USAGE);
    assert_string_equal(f.option, "certificate");
    assert_non_null(strstr(f.text, "weak.pem cannot be used: ee key too small"));
    (void)server;
    certificate_free(&weak);
}

static void refuses(struct world *w, const struct tls_options *o, const char *option, const char *text)
{
    struct tls_context *c = NULL;
    struct tls_failure f;
    assert_int_equal(tls_context_new(o, &c, &f), ERR_USAGE);
    assert_null(c);
    assert_string_equal(f.option, option);
    if (!strstr(f.text, text))
        fail_msg("\"%s\" does not hold \"%s\"", f.text, text);
    (void)w;
}

/* Of our own. Whoever is taken can be shaken hands with. */
static void a_key_is_of_a_kind_that_peers_take(void **state)
{
    struct world *w = *state;
    static const struct {
        const char *kind;
        int bits;
        const char *says; /* NULL: it is taken */
    } cases[] = {
        {"P-256", 0, NULL},
        {"P-384", 0, NULL},
        {"P-521", 0, NULL},
        {"ED25519", 0, NULL},
        {NULL, 2048, NULL},
        {"RSA-PSS", 2048, NULL},
        {NULL, 2047, "one.pem is RSA of 2047 bits; RSA from 2048 bits, P-256"},
        {NULL, 2000, "one.pem is RSA of 2000 bits; RSA from 2048 bits, P-256"},
        {"RSA-PSS", 2040, "one.pem is RSA-PSS of 2040 bits; RSA from 2048 bits, P-256"},
        {"P-224", 0, "one.pem is secp224r1; RSA from 2048 bits, P-256"},
        {"brainpoolP256r1", 0, "one.pem is brainpoolP256r1; RSA from"},
        {"secp256k1", 0, "one.pem is secp256k1; RSA from"},
        {"ED448", 0, "one.pem is ED448; RSA from"},
    };
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tls_options server = handshake_server(w), client = handshake_client(w);
        struct certificate one = certificate_make(&(struct certificate_options){.cn = "one",
                                                                                .issuer = &w->ca,
                                                                                .dns = "gateway.local",
                                                                                .kind = cases[i].kind,
                                                                                .rsa_bits = cases[i].bits});
        certificate_write(&one, w->folder, "one", NULL);
        server.certificate[0] = handshake_path(w, "one.pem");
        server.key[0] = handshake_path(w, "one.key");
        if (cases[i].says) {
            refuses(w, &server, "certificate", cases[i].says);
        } else {
            handshake_configure(w, &server, &client);
            assert_string_equal(refusal_of(w), "");
        }
        certificate_free(&one);
    }
}

static void an_rsa_pair_and_another_serve_whoever_knows_one(void **state)
{
    struct world *w = *state;
    struct tls_options server = handshake_server(w), client = handshake_client(w);
    struct certificate rsa = certificate_make(&(struct certificate_options){
        .cn = "rsa", .issuer = &w->ca, .dns = "gateway.local", .rsa_bits = 2048});
    certificate_write(&rsa, w->folder, "rsa", NULL);
    client.is_fresh = true;
    server.certificate[1] = handshake_path(w, "rsa.pem");
    server.key[1] = handshake_path(w, "client.key");
    refuses(w, &server, "key", "client.key is not the key of");
    server.key[1] = handshake_path(w, "rsa.key");
    handshake_configure(w, &server, &client);
    static const char *const knows[][2] = {{"ECDHE-ECDSA-AES128-GCM-SHA256", "CN=gateway,O=Hospital"},
                                           {"ECDHE-RSA-AES128-GCM-SHA256", "CN=rsa,O=Hospital"}};
    assert_int_equal(SSL_CTX_set_max_proto_version(w->client_context->ssl, TLS1_2_VERSION), 1);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(SSL_CTX_set_cipher_list(w->client_context->ssl, knows[i][0]), 1);
        assert_string_equal(refusal_of(w), "");
        assert_string_equal(tls_peer(w->c), knows[i][1]);
    }
    server.certificate[1] = handshake_path(w, "client.pem");
    server.key[1] = handshake_path(w, "client.key");
    refuses(w, &server, "certificate", "client.pem have keys of the same type");
    certificate_free(&rsa);
}

/* Of a peer: its own key, and those of the chain. `weak` is what OpenSSL alone takes for as good as RSA of 2048 bits. */
static void a_peer_with_a_key_of_too_few_bits_is_refused(void **state)
{
    struct world *w = *state;
    struct certificate weak =
        certificate_make(&(struct certificate_options){.cn = "weak", .issuer = &w->ca, .rsa_bits = 2040});
    struct certificate weak_ca = certificate_make(
        &(struct certificate_options){.cn = "weak CA", .issuer = &w->ca, .is_ca = true, .rsa_bits = 2000});
    struct certificate below =
        certificate_make(&(struct certificate_options){.cn = "below", .issuer = &weak_ca});
    const struct {
        X509 *chain[2];
        EVP_PKEY *key;
        const char *why;
    } cases[] = {
        {{weak.x509, NULL}, weak.key, "TLS: the peer's certificate is refused: EE certificate key too weak"},
        {{below.x509, weak_ca.x509},
         below.key,
         "TLS: the peer's certificate is refused: CA certificate key too weak"},
    };
    for (unsigned i = 0; i < 2; i++) {
        struct tls_options server = handshake_server(w), client = handshake_client(w);
        client.certificate[0] = client.key[0] = NULL;
        handshake_configure(w, &server, &client);
        SSL_CTX *shows = w->client_context->ssl;
        assert_int_equal(SSL_CTX_use_certificate(shows, cases[i].chain[0]), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(shows, cases[i].key), 1);
        assert_true(!cases[i].chain[1] || SSL_CTX_add1_chain_cert(shows, cases[i].chain[1]) == 1);
        assert_string_equal(refusal_of(w), cases[i].why);
    }
    certificate_free(&weak);
    certificate_free(&weak_ca);
    certificate_free(&below);
}

/* OpenSSL holds one pair a type, and would take both halves. */
static void a_key_of_another_type_is_not_the_certificates(void **state)
{
    struct world *w = *state;
    struct tls_options server = handshake_server(w), client = handshake_client(w);
    struct tls_failure f;
    struct certificate rsa =
        certificate_make(&(struct certificate_options){.cn = "rsa", .issuer = &w->ca, .rsa_bits = 2048});
    certificate_write(&rsa, w->folder, "rsa", NULL);
    server.key[0] = handshake_path(w, "rsa.key");
    client.certificate[0] = handshake_path(w, "rsa.pem");
    assert_int_equal(tls_context_new(&server, &w->server_context, &f), ERR_USAGE);
    assert_string_equal(f.option, "key");
    assert_non_null(strstr(f.text, "rsa.key is not the key of"));
    assert_int_equal(tls_context_new(&client, &w->client_context, &f), ERR_USAGE);
    assert_string_equal(f.option, "key");
    assert_non_null(strstr(f.text, "client.key is not the key of"));
    certificate_free(&rsa);
}

static void what_is_no_tls_is_told(void **state)
{
    struct world *w = *state;
    struct tls_options server = handshake_server(w), client = handshake_client(w);
    uint8_t to[16];
    size_t n;
    handshake_configure(w, &server, &client);
    handshake_meet(w);
    tls_feed(w->s, (const uint8_t *)"GET / HTTP/1.1\r\n\r\n", 18);
    assert_int_equal(tls_open(w->s, to, sizeof(to), &n), ERR_PROTO);
    assert_string_equal(tls_why(w->s), "TLS: what came is no TLS, but HTTP");
    handshake_meet(w);
    static const uint8_t associate[] = {1, 0, 0, 0, 0, 205, 0, 1, 0, 0, 'A', 'N', 'Y'};
    tls_feed(w->s, associate, sizeof(associate));
    assert_int_equal(tls_open(w->s, to, sizeof(to), &n), ERR_PROTO);
    assert_string_equal(tls_why(w->s), "TLS: what came is no TLS");
    tls_feed(w->s, associate, sizeof(associate)); /* it stays over */
    assert_int_equal(tls_open(w->s, to, sizeof(to), &n), ERR_PROTO);
}

/* --- bytes ------------------------------------------------------------------------------------------------- */

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 31 + i / 253);
}

static void push(struct world *w, struct slices *queue, size_t len)
{
    struct buf *b = buf_scratch(&w->pool, len);
    assert_non_null(b);
    for (size_t i = 0; i < len; i++)
        b->data[i] = byte_at(queue->bytes + i);
    assert_true(slices_push(queue, b, b->data, (uint32_t)len));
    buf_unref(&b);
}

/* Slices as PDUs make them, sealed from any place on in portions of any size. */
static void what_is_sealed_is_opened_byte_for_byte(void **state)
{
    struct world *w = *state;
    struct tls_options server = handshake_server(w), client = handshake_client(w);
    static const size_t lens[] = {12, 65536, 1, 12, 65524, 100, 16384, 16383, 16385, 7, 131072, 2};
    static const size_t portions[] = {16384, 131072, 1, 1000, 65536, 50001};
    static const size_t cuts[] = {SIZE_MAX, 1000, 16406, 5};
    struct slices queue = {0};
    uint8_t *to = malloc(1 << 20);
    handshake_configure(w, &server, &client);
    for (unsigned i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
        push(w, &queue, lens[i]);
    for (unsigned i = 0; i < 24; i++) {
        size_t sealed = 0, opened = 0, n;
        w->portion = SIZE_MAX;
        assert_int_equal(handshake_make(w), OK);
        w->portion = cuts[i % 4];
        while (sealed < queue.bytes) {
            size_t most = sealed == 0 ? 1 : portions[i % 6] * (portions[i % 6] < 100 ? 997 : 1);
            assert_int_equal(tls_seal(w->c, &queue, sealed, most, &n), OK);
            assert_true(n > 0 && n <= most);
            sealed += n;
            assert_int_equal(handshake_pass(w, w->c, w->s, to + opened, (1 << 20) - opened, &n), NEED_MORE);
            opened += n;
            assert_int_equal(opened, sealed);
        }
        for (size_t at = 0; at < opened; at++)
            assert_int_equal(to[at], byte_at(at));
    }
    slices_clear(&queue);
    free(to);
}

static void a_small_room_takes_it_in_parts(void **state)
{
    struct world *w = *state;
    struct tls_options server = handshake_server(w), client = handshake_client(w);
    struct slices queue = {0};
    uint8_t to[100];
    size_t n, opened = 0;
    handshake_configure(w, &server, &client);
    assert_int_equal(handshake_make(w), OK);
    push(w, &queue, 10000);
    assert_int_equal(tls_seal(w->c, &queue, 0, SIZE_MAX, &n), OK);
    const struct slice *one = slices_at(tls_sealed(w->c), 0);
    tls_feed(w->s, one->at, one->len);
    while (tls_open(w->s, to, sizeof(to), &n) == OK) {
        assert_true(n <= sizeof(to));
        for (size_t i = 0; i < n; i++)
            assert_int_equal(to[i], byte_at(opened + i));
        opened += n;
    }
    assert_int_equal(opened, 10000);
    slices_clear(&queue);
}

static void nothing_is_sealed_before_the_handshake(void **state)
{
    struct world *w = *state;
    struct tls_options server = handshake_server(w), client = handshake_client(w);
    struct slices queue = {0};
    size_t n = 1;
    handshake_configure(w, &server, &client);
    handshake_meet(w);
    push(w, &queue, 100);
    assert_int_equal(tls_seal(w->c, &queue, 0, SIZE_MAX, &n), OK);
    assert_int_equal(n, 0);
    slices_clear(&queue);
}

static void a_changed_byte_ends_it(void **state)
{
    struct world *w = *state;
    struct tls_options server = handshake_server(w), client = handshake_client(w);
    struct slices queue = {0};
    uint8_t to[2000];
    size_t n;
    handshake_configure(w, &server, &client);
    assert_int_equal(handshake_make(w), OK);
    push(w, &queue, 1000);
    assert_int_equal(tls_seal(w->c, &queue, 0, SIZE_MAX, &n), OK);
    slices_at(tls_sealed(w->c), 0)->at[500] ^= 1;
    assert_int_equal(handshake_pass(w, w->c, w->s, to, sizeof(to), &n), ERR_PROTO);
    assert_int_equal(n, 0);
    assert_string_equal(tls_why(w->s), "TLS: decryption failed or bad record mac");
    slices_clear(&queue);
}

static void the_end_is_told(void **state)
{
    struct world *w = *state;
    struct tls_options server = handshake_server(w), client = handshake_client(w);
    uint8_t to[16];
    size_t n;
    handshake_configure(w, &server, &client);
    assert_int_equal(handshake_make(w), OK);
    tls_end(w->c);
    assert_int_equal(handshake_pass(w, w->c, w->s, to, sizeof(to), &n), ERR_CLOSED);
    assert_string_equal(tls_why(w->s), "");
}

/* A pool that is used up stops nobody who has something to say. */
static void sealing_needs_nothing_of_the_pool(void **state)
{
    struct world *w = *state;
    struct tls_options server = handshake_server(w), client = handshake_client(w);
    struct slices queue = {0}, held = {0};
    struct buf *b;
    uint8_t *to = malloc(1 << 20);
    size_t n;
    handshake_configure(w, &server, &client);
    assert_int_equal(handshake_make(w), OK);
    push(w, &queue, 100000);
    while ((b = buf_new(&w->pool))) {
        assert_true(slices_push(&held, b, b->data, 1));
        buf_unref(&b);
    }
    assert_int_equal(tls_seal(w->c, &queue, 0, SIZE_MAX, &n), OK);
    assert_int_equal(n, 100000);
    assert_int_equal(handshake_pass(w, w->c, w->s, to, 1 << 20, &n), NEED_MORE);
    assert_int_equal(n, 100000);
    slices_clear(&held);
    slices_clear(&queue);
    free(to);
}

/* --- files ------------------------------------------------------------------------------------------------- */

static void files_that_will_not_do_are_named(void **state)
{
    struct world *w = *state;
    struct tls_options o = handshake_server(w), good = o;
    o.certificate[0] = handshake_path(w, "nowhere.pem");
    refuses(w, &o, "certificate", "nowhere.pem cannot be used: No such file");
    o = good;
    o.certificate[0] = handshake_path(w, "server.key");
    refuses(w, &o, "certificate", "server.key holds no certificate");
    o = good;
    o.key[0] = handshake_path(w, "nowhere.key");
    refuses(w, &o, "key", "nowhere.key cannot be read: No such file");
    o = good;
    o.key[0] = handshake_path(w, "client.key");
    refuses(w, &o, "key", "client.key is not the key of");
    o = good;
    o.key[0] = handshake_path(w, "server.pem");
    refuses(w, &o, "key", "server.pem holds no private key");
    o = good;
    o.ca = handshake_path(w, "nowhere");
    refuses(w, &o, "ca", "nowhere cannot be read: No such file");
    o = good;
    o.ca = handshake_path(w, "server.key");
    refuses(w, &o, "ca", "server.key holds no certificate");
    o = good;
    o.crl = handshake_path(w, "ca.pem");
    refuses(w, &o, "crl", "ca.pem holds no revocation list");
    o = good;
    o.ca = NULL;
    refuses(w, &o, "ca", "without it no certificate of a client can be good");
    o = good;
    o.certificate[0] = o.key[0] = NULL;
    refuses(w, &o, "certificate", "a listener needs a certificate");
}

static void a_key_may_have_a_password(void **state)
{
    struct world *w = *state;
    struct tls_options o = handshake_server(w), client = handshake_client(w);
    certificate_write(&w->server, w->folder, "secret", "open sesame");
    o.key[0] = handshake_path(w, "secret.key");
    refuses(w, &o, "key_password", "secret.key is encrypted");
    o.key_password = "open barley";
    refuses(w, &o, "key_password", "it does not open");
    o.key_password = "open sesame";
    handshake_configure(w, &o, &client);
    assert_string_equal(refusal_of(w), "");
}

static void a_folder_of_certificates_will_do(void **state)
{
    struct world *w = *state;
    struct tls_options server = handshake_server(w), client = handshake_client(w);
    certificate_write_crl(&w->ca, &w->client, w->folder, "crl");
    server.ca = w->folder;
    handshake_configure(w, &server, &client);
    assert_string_equal(refusal_of(w), "");
    server.crl = w->folder;
    handshake_configure(w, &server, &client);
    assert_string_equal(refusal_of(w), "TLS: the peer's certificate is refused: certificate revoked");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, handshake_set_up, handshake_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(both_know_each_other),
        TEST(it_comes_byte_by_byte),
        TEST(a_fresh_client_never_resumes),
        TEST(whom_nobody_vouches_for_is_refused),
        TEST(who_shows_nothing_is_refused_where_it_is_required),
        TEST(the_name_must_be_the_one_that_was_called),
        TEST(a_certificate_has_its_time),
        TEST(who_is_refused_is_known),
        TEST(a_certificate_that_vouches_for_itself_is_no_issuer_of_lists),
        TEST(what_was_revoked_is_refused),
        TEST(weak_keys_are_no_keys),
        TEST(a_key_is_of_a_kind_that_peers_take),
        TEST(an_rsa_pair_and_another_serve_whoever_knows_one),
        TEST(a_peer_with_a_key_of_too_few_bits_is_refused),
        TEST(a_key_of_another_type_is_not_the_certificates),
        TEST(what_is_no_tls_is_told),
        TEST(what_is_sealed_is_opened_byte_for_byte),
        TEST(a_small_room_takes_it_in_parts),
        TEST(nothing_is_sealed_before_the_handshake),
        TEST(a_changed_byte_ends_it),
        TEST(the_end_is_told),
        TEST(sealing_needs_nothing_of_the_pool),
        TEST(files_that_will_not_do_are_named),
        TEST(a_key_may_have_a_password),
        TEST(a_folder_of_certificates_will_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
