/*
 * TLS by OpenSSL, without a socket: bytes of the network in and out of memory, plain ones on the other side.
 *
 * A context is what a listener or node is configured with: read, checked and immutable, shared by all threads, ended by its last
 * reference. A `struct tls` is one connection; it belongs to one thread. Profiles: PS3.15 B.12 (BCP 195) and B.13 (modified).
 */
#ifndef HILUM_TLS_TLS_H
#define HILUM_TLS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/result.h"
#include "mem/buf.h"

enum tls_profile {
    TLS_BCP195,          /* PS3.15 B.12: TLS 1.2 and 1.3, what RFC 9325 recommends */
    TLS_BCP195_MODIFIED, /* PS3.15 B.13: its closed list of suites, nothing below 2048 and 256 bits, no SHA-1 */
};

/* Of a listener: whether a caller has to show a certificate. One that is shown must be good in any case. */
enum tls_client { TLS_CLIENT_NONE, TLS_CLIENT_REQUEST, TLS_CLIENT_REQUIRE };

enum {
    TLS_PAIRS = 2
}; /* certificates with their keys, each of another type: RSA for who does not know ECDSA */

/* Texts live as long as the call. Files are PEM. */
struct tls_options {
    bool is_server;
    enum tls_profile profile;
    const char
        *certificate[TLS_PAIRS]; /* ours, the chain behind it; NULL: no more of them, none of a client only */
    const char *key[TLS_PAIRS];  /* its key: one each */
    const char *key_password;    /* of them all; NULL: none; a key that wants one is refused then */
    const char *ca;         /* whom we trust: a file or a folder of files; NULL: of a client, the system's */
    const char *crl;        /* what was revoked: likewise; NULL: nothing is looked up */
    enum tls_client client; /* of a server */
    const char *
        name; /* of a client: whom we call (SNI), and whom its certificate must name, a host or an address; NULL: anybody we trust */
    bool is_blind; /* of a client: any certificate will do. For people at a terminal alone */
    bool is_fresh; /* of a client: every handshake is a full one. For measuring */
};

/* What an option is refused for. */
struct tls_failure {
    const char *option; /* "certificate", "key", "key_password", "ca", "crl"; NULL: none in particular */
    char text[400];     /* names the file; never holds anything of a key or password */
};

struct tls_context;
/* Reads every file. ERR_USAGE with a failure, ERR_MEMORY. */
MUST_USE enum result tls_context_new(const struct tls_options *o, struct tls_context **out,
                                     struct tls_failure *failure);
struct tls_context *tls_context_ref(struct tls_context *c);
/* Drops a reference and nulls the pointer. Any thread. */
void tls_context_unref(struct tls_context **c);
/* What is to be known of a certificate of ours. */
struct tls_own {
    time_t begins, ends; /* from when to when it is valid; both 0: there is none */
    bool suits;          /* its key usages let a listener, or a client, show it */
};
/* `which` < TLS_PAIRS, as in the options. */
const struct tls_own *tls_context_own(const struct tls_context *c, unsigned which);
/* Whose revocation list is too old, and there is no newer one: whom that CA vouches for is refused. False: nobody's. */
bool tls_context_has_old_list(const struct tls_context *c, char *issuer, size_t cap);
/* Whose certificate, of those that we trust, has expired, and there is no newer one of that name. False: nobody's. */
bool tls_context_has_old_ca(const struct tls_context *c, char *subject, size_t cap);

struct tls;
/* NULL without memory. The pool's buffers take what is sealed. */
struct tls *tls_new(struct tls_context *c, struct pool *pool);
void tls_free(struct tls **t);

/* A client says its first word (a server has none): sealed bytes are in tls_sealed then. */
void tls_begin(struct tls *t);

/*
 * Bytes that came. They are taken by tls_open, which must be called until it wants more: nothing is copied before.
 */
void tls_feed(struct tls *t, const uint8_t *bytes, size_t len);
/*
 * Plain bytes into `to`, and the handshake, as far as they go. OK: *n_out of them, at least one. NEED_MORE: all that was fed has been
 * taken. ERR_CLOSED: the peer has ended TLS in order. ERR_PROTO: it is over, tls_why says why. Any of them may leave sealed bytes to be sent.
 */
MUST_USE enum result tls_open(struct tls *t, uint8_t *to, size_t room, size_t *n_out);

/*
 * Seals the front of `queue` from byte `offset` on, at most `max` bytes, a record (16 KiB) at least: *n_out of them, 0 before the handshake is
 * done. The queue stays as it is. ERR_MEMORY: the connection is of no use any more.
 */
MUST_USE enum result tls_seal(struct tls *t, const struct slices *queue, size_t offset, size_t max,
                              size_t *n_out);
/* Nothing more will be sealed (close_notify). */
void tls_end(struct tls *t);
/* What is to be sent to the peer, and that n bytes of it have been. */
const struct slices *tls_sealed(const struct tls *t);
void tls_sent(struct tls *t, size_t n);

bool tls_is_open(const struct tls *t); /* the handshake is done */
/* After tls_open has asked for more: part of a record is here, and the rest has not come. */
bool tls_is_amid(const struct tls *t);
/* "certificate has expired", "no shared cipher": of the last failure; of the peer's, if it said so by an alert. Never NULL. */
const char *tls_why(const struct tls *t);
/* A certificate, in words that a peer may have chosen, cut where they are long. */
struct tls_shown {
    char subject[256]; /* as tls_peer */
    char serial[48];   /* hexadecimal */
};
/* What the peer has shown and was refused for; NULL: it was not for that. As long as the connection. */
const struct tls_shown *tls_refused(const struct tls *t);
/* The peer's certificate: its subject as RFC 4514 writes it ("CN=ct1,O=Hospital"); "": it has shown none. */
const char *tls_peer(const struct tls *t);
/* The peer has shown a certificate for this name, of a host, or address. */
bool tls_peer_is_named(const struct tls *t, const char *name);
/* "TLSv1.3", "TLS_AES_256_GCM_SHA384"; "" before. */
const char *tls_version(const struct tls *t);
const char *tls_suite(const struct tls *t);
/* That the keys were agreed in: "X25519", "prime256v1"; "": in none. */
const char *tls_group(const struct tls *t);
bool tls_is_resumed(const struct tls *t);

#endif
