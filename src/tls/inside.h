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
    struct tls_own own[TLS_PAIRS];
    /* Of a client: the newest session, which the next connection resumes. */
    pthread_mutex_t lock;
    SSL_SESSION *session;
};

/* profile.c: versions, suites, groups, signatures. False: OpenSSL refuses. */
bool tls_profile_set(SSL_CTX *ssl, enum tls_profile profile);

/* files.c: certificates and revocation lists, of a file or of all files of a folder. */
bool tls_trust(SSL_CTX *ssl, const struct tls_options *o, struct tls_failure *f);

/* tls.c: the peer of this connection has shown this one, which is refused. */
void tls_refuse(SSL *ssl, const X509 *certificate);

/* own.c: our certificates and keys. */
bool tls_identify(struct tls_context *c, const struct tls_options *o, struct tls_failure *f);
/* Seconds since 1970; 0: it is no time. */
time_t tls_seconds(const ASN1_TIME *time);
/* RSA below 2048 bits, a curve below 256: of us or of a peer's chain. */
bool tls_key_is_weak(const EVP_PKEY *key);

/* For PEM files that may be encrypted: `user` is a struct tls_password. */
struct tls_password {
    const char *text; /* NULL: none */
    bool was_asked;
};
int tls_tell_password(char *buf, int size, int is_writing, void *user);

/* Sets the failure, forgets OpenSSL's errors: false. */
bool tls_fail(struct tls_failure *f, const char *option, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The text of OpenSSL's oldest error, which it forgets. Never NULL. */
const char *tls_error_text(char *text, size_t cap);

#endif
