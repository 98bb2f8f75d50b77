#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tls/inside.h"

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
        if (!tls_identify(c, o, failure) || !tls_trust(c->ssl, o, failure))
            r = ERR_USAGE;
        else if (!expect_name(c, o) || !tls_resumption_set(c, o->is_fresh))
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
    SSL_CTX_free(c->ssl);
    tls_resumption_free(c);
    pthread_mutex_destroy(&c->lock);
    free(c->name);
    free(c);
}
