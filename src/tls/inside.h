/* What the files of this folder share. */
#ifndef HILUM_TLS_INSIDE_H
#define HILUM_TLS_INSIDE_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tls/tls.h"

struct tls_context {
    atomic_uint references;
    SSL_CTX *ssl;
    bool is_server;
    char *name; /* of a client: SNI and whom the certificate must name; NULL: neither */
    bool name_is_address;
    time_t begins, ends; /* of our certificate; 0: there is none */
    /* Of a client: the newest session, which the next connection resumes. */
    pthread_mutex_t lock;
    SSL_SESSION *session;
};

/* profile.c: versions, suites, groups, signatures. False: OpenSSL refuses. */
bool tls_profile_set(SSL_CTX *ssl, enum tls_profile profile);

/* files.c: certificates and revocation lists, of a file or of all files of a folder. */
bool tls_trust(SSL_CTX *ssl, const struct tls_options *o, struct tls_failure *f);
bool tls_identify(struct tls_context *c, const struct tls_options *o, struct tls_failure *f);

/* The text of OpenSSL's oldest error, which it forgets. Never NULL. */
const char *tls_error_text(char *text, size_t cap);

#endif
