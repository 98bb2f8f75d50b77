/* What the files of this folder share. */
#ifndef HILUM_TLS_INSIDE_H
#define HILUM_TLS_INSIDE_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tls/sessions.h"
#include "tls/tls.h"

enum { TLS_KEPT_MAX = 64 };

struct tls_kept {
    SSL_SESSION *session;
    time_t end;
};

/* What a connection begins with: the app data of its SSL. */
struct tls_begun {
    time_t end;     /* of the session, if there is one */
    unsigned named; /* sessions that a caller has named */
};

struct tls_context {
    atomic_uint references;
    SSL_CTX *ssl;
    bool is_server;
    char *name; /* of a client: SNI and whom the certificate must name; NULL: neither */
    bool name_is_address;
    struct tls_own own[TLS_PAIRS];
    struct sessions *sessions; /* of a server */
    /* Of a client: what it was given to begin the next connections with, the newest last. */
    pthread_mutex_t lock;
    struct tls_kept kept[TLS_KEPT_MAX];
    unsigned kept_count;
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

/* resume.c. The app data of each SSL is a struct tls_begun. False: no memory. */
bool tls_resumption_set(struct tls_context *c, bool is_fresh);
void tls_resumption_free(struct tls_context *c);
/* A client's connection begins with the newest session, if there is one. */
void tls_resume(struct tls_context *c, SSL *ssl);

/* The text of OpenSSL's oldest error, which it forgets. Never NULL. */
const char *tls_error_text(char *text, size_t cap);

#endif
