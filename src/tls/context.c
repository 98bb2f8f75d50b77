#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls/inside.h"

enum {
    SESSIONS_MAX = 4096, /* that a listener remembers */
    SESSION_SECONDS = 3600,
};

/* Resumption by sessions that are remembered here, not by tickets: whose key would open what was recorded before, in TLS 1.2, and would have to
 * be changed by the day. Sessions die with the context, so with every reload. */
static void remember_sessions(struct tls_context *c, bool is_fresh, int (*on_new)(SSL *, SSL_SESSION *))
{
    static const unsigned char id[] = "hilum";
    SSL_CTX_set_timeout(c->ssl, SESSION_SECONDS);
    if (c->is_server) {
        SSL_CTX_set_session_id_context(c->ssl, id, sizeof(id) - 1);
        SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_SERVER);
        SSL_CTX_sess_set_cache_size(c->ssl, SESSIONS_MAX);
        SSL_CTX_set_num_tickets(c->ssl, 1);
    } else if (!is_fresh) {
        SSL_CTX_set_session_cache_mode(c->ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(c->ssl, on_new);
    }
}

static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls_context *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    pthread_mutex_lock(&c->lock);
    SSL_SESSION *before = c->session;
    c->session = session;
    pthread_mutex_unlock(&c->lock);
    SSL_SESSION_free(before);
    return 1; /* it is ours */
}

/* Whom we call must be whom the certificate names. */
static bool expect_name(struct tls_context *c, const struct tls_options *o)
{
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(c->ssl);
    if (!o->name)
        return true;
    c->name = strdup(o->name);
    c->name_is_address = X509_VERIFY_PARAM_set1_ip_asc(param, o->name) == 1;
    if (c->name_is_address)
        return c->name;
    ERR_clear_error();
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return c->name && X509_VERIFY_PARAM_set1_host(param, o->name, 0) == 1;
}

enum result tls_context_new(const struct tls_options *o, struct tls_context **out,
                            struct tls_failure *failure)
{
    struct tls_context *c = calloc(1, sizeof(*c));
    *failure = (struct tls_failure){0};
    if (!c)
        return ERR_MEMORY;
    atomic_init(&c->references, 1);
    pthread_mutex_init(&c->lock, NULL);
    c->is_server = o->is_server;
    c->ssl = SSL_CTX_new(o->is_server ? TLS_server_method() : TLS_client_method());
    enum result r = c->ssl && tls_profile_set(c->ssl, o->profile) ? OK : ERR_MEMORY;
    if (r == OK) {
        SSL_CTX_set_app_data(c->ssl, c);
        SSL_CTX_set_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                     SSL_MODE_NO_AUTO_CHAIN);
        remember_sessions(c, o->is_fresh, on_new_session);
        if (!tls_identify(c, o, failure) || !tls_trust(c->ssl, o, failure))
            r = ERR_USAGE;
        else if (!expect_name(c, o))
            r = ERR_MEMORY;
    }
    ERR_clear_error();
    if (r == OK)
        *out = c;
    else
        tls_context_unref(&c);
    return r;
}

struct tls_context *tls_context_ref(struct tls_context *c)
{
    atomic_fetch_add(&c->references, 1);
    return c;
}

void tls_context_unref(struct tls_context **cp)
{
    struct tls_context *c = *cp;
    *cp = NULL;
    if (!c || atomic_fetch_sub(&c->references, 1) > 1)
        return;
    SSL_SESSION_free(c->session);
    SSL_CTX_free(c->ssl);
    pthread_mutex_destroy(&c->lock);
    free(c->name);
    free(c);
}
