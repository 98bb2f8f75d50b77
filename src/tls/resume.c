/*
 * Resumption: which sessions are kept, for how long, and which one a connection begins with.
 *
 * A listener's are remembered here and not sent out as tickets, whose key would open what was recorded before, in TLS 1.2, and would have to be
 * changed by the day. OpenSSL's own store is not used: where it finds no memory for a session it crashes (3.0). They are kept as bytes, so that a
 * connection has an SSL_SESSION of its own: nothing of OpenSSL is shared by threads, and the chain behind a peer's certificate takes no memory.
 *
 * A client begins with a session of TLS 1.3 once (RFC 8446 C.4: else who listens knows one caller from another); OpenSSL holds it for used up then, too. Those of
 * TLS 1.2 it keeps.
 *
 * Sessions die with their context, so with every reload.
 */
#include <openssl/err.h>
#include <openssl/x509.h>
#include <string.h>

#include "tls/inside.h"

enum {
    SESSIONS_MAX = 4096, /* that a listener remembers */
    SESSION_SECONDS = 3600,
    NAMED_MAX =
        8, /* sessions that a caller may name; one is usual, and named again if it is asked for another group */
};

static struct tls_context *context_of(const SSL *ssl)
{
    return SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
}

/* Whoever was verified is verified anew within the hour, and when a certificate of the chain ends: not counted from the newest of the sessions that come one
 * from another, each with its ticket, but from the handshake that verified. */
static time_t end_of(const SSL *ssl)
{
    const struct tls_begun *begun = SSL_get_app_data(ssl);
    if (SSL_session_reused(ssl))
        return begun->end;
    time_t end = time(NULL) + SESSION_SECONDS;
    const STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
    for (int i = 0; i < sk_X509_num(chain); i++) {
        time_t one = tls_seconds(X509_get0_notAfter(sk_X509_value(chain, i)));
        end = one < end ? one : end;
    }
    return end;
}

/* --- a listener's ------------------------------------------------------------------------------------------ */

static int on_made(SSL *ssl, SSL_SESSION *session)
{
    uint8_t bytes[SESSIONS_BYTES_MAX], *at = bytes;
    unsigned id_len;
    const uint8_t *id = SSL_SESSION_get_id(session, &id_len);
    ERR_set_mark();
    int len = i2d_SSL_SESSION(session, NULL);
    if (len > 0 && (size_t)len <= sizeof(bytes) && i2d_SSL_SESSION(session, &at) == len)
        sessions_keep(context_of(ssl)->sessions, id, id_len, bytes, (size_t)len, time(NULL), end_of(ssl));
    OPENSSL_cleanse(bytes, sizeof(bytes));
    ERR_pop_to_mark();
    return 0; /* we take no reference */
}

/* A ClientHello has room for 1700, and each may be one whose certificate has to be read. */
static SSL_SESSION *on_wanted(SSL *ssl, const unsigned char *id, int id_len, int *copy)
{
    struct tls_begun *begun = SSL_get_app_data(ssl);
    uint8_t bytes[SESSIONS_BYTES_MAX];
    const uint8_t *at = bytes;
    SSL_SESSION *session = NULL;
    *copy = 0; /* the reference is the connection's */
    if (begun->named++ >= NAMED_MAX)
        return NULL;
    size_t len = sessions_find(context_of(ssl)->sessions, id, (size_t)id_len, time(NULL), bytes, &begun->end);
    ERR_set_mark();
    if (len > 0) {
        session = d2i_SSL_SESSION(NULL, &at, (long)len);
        OPENSSL_cleanse(bytes, len);
    }
    ERR_pop_to_mark();
    return session;
}

/* A fault of the connection that uses it, say. (RFC 5246 7.2.2) */
static void on_removed(SSL_CTX *ssl, SSL_SESSION *session)
{
    const struct tls_context *c = SSL_CTX_get_app_data(ssl);
    unsigned id_len;
    const uint8_t *id = SSL_SESSION_get_id(session, &id_len);
    sessions_forget(c->sessions, id, id_len);
}

static bool remember(struct tls_context *c)
{
    static const unsigned char id[] = "hilum";
    c->sessions = sessions_new(SESSIONS_MAX);
    SSL_CTX_set_session_id_context(c->ssl, id, sizeof(id) - 1);
    SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_INTERNAL |
                                               SSL_SESS_CACHE_NO_AUTO_CLEAR);
    SSL_CTX_sess_set_new_cb(c->ssl, on_made);
    SSL_CTX_sess_set_get_cb(c->ssl, on_wanted);
    SSL_CTX_sess_set_remove_cb(c->ssl, on_removed);
    SSL_CTX_set_num_tickets(c->ssl, 1);
    return c->sessions;
}

/* --- a client's -------------------------------------------------------------------------------------------- */

static void drop_at(struct tls_context *c, unsigned i)
{
    SSL_SESSION_free(c->kept[i].session);
    c->kept_count--;
    memmove(&c->kept[i], &c->kept[i + 1], (c->kept_count - i) * sizeof(c->kept[0]));
}

static int on_given(SSL *ssl, SSL_SESSION *session)
{
    struct tls_context *c = context_of(ssl);
    time_t end = end_of(ssl);
    pthread_mutex_lock(&c->lock);
    if (c->kept_count == TLS_KEPT_MAX)
        drop_at(c, 0);
    c->kept[c->kept_count++] = (struct tls_kept){session, end};
    pthread_mutex_unlock(&c->lock);
    return 1; /* the reference is ours */
}

/* The newest that is good; NULL: there is none. */
static SSL_SESSION *take(struct tls_context *c, time_t *end_out)
{
    time_t now = time(NULL);
    while (c->kept_count > 0) {
        unsigned last = c->kept_count - 1;
        struct tls_kept *k = &c->kept[last];
        if (k->end <= now || !SSL_SESSION_is_resumable(k->session)) {
            drop_at(c, last);
            continue;
        }
        *end_out = k->end;
        if (SSL_SESSION_get_protocol_version(k->session) >= TLS1_3_VERSION)
            c->kept_count--;
        else
            SSL_SESSION_up_ref(k->session);
        return k->session;
    }
    return NULL;
}

void tls_resume(struct tls_context *c, SSL *ssl)
{
    struct tls_begun *begun = SSL_get_app_data(ssl);
    pthread_mutex_lock(&c->lock);
    SSL_SESSION *session = take(c, &begun->end);
    pthread_mutex_unlock(&c->lock);
    if (session)
        SSL_set_session(ssl, session);
    SSL_SESSION_free(session);
}

/* --- both -------------------------------------------------------------------------------------------------- */

bool tls_resumption_set(struct tls_context *c, bool is_fresh)
{
    SSL_CTX_set_timeout(c->ssl, SESSION_SECONDS);
    if (c->is_server)
        return remember(c);
    if (!is_fresh) {
        SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL |
                                                   SSL_SESS_CACHE_NO_AUTO_CLEAR);
        SSL_CTX_sess_set_new_cb(c->ssl, on_given);
    }
    return true;
}

void tls_resumption_free(struct tls_context *c)
{
    while (c->kept_count > 0)
        drop_at(c, c->kept_count - 1);
    sessions_free(&c->sessions);
}
