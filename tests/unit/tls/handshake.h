/* Two ends of TLS that talk through memory, and the certificates of a small hospital. */
#ifndef HILUM_TESTS_HANDSHAKE_H
#define HILUM_TESTS_HANDSHAKE_H

#include "../certificate.h"
#include "tls/tls.h"

struct world {
    char folder[64];
    struct certificate ca, other_ca, server, client;
    struct pool pool;
    struct tls_context *server_context, *client_context;
    struct tls *s, *c;
    size_t portion; /* bytes handed from one to the other at once */
};

/* As cmocka calls them: *state is the world. In its folder are ca, other (a CA that nobody trusts), server and client. */
int handshake_set_up(void **state);
int handshake_tear_down(void **state);
/* Of a file in its folder. One of the last 64 that were asked for. */
char *handshake_path(const struct world *w, const char *name);

/* Who want a certificate of each other, and have good ones. */
struct tls_options handshake_server(const struct world *w);
struct tls_options handshake_client(const struct world *w);
/* New contexts; options that will not do fail the test. */
void handshake_configure(struct world *w, const struct tls_options *server, const struct tls_options *client);

/* A new connection, whose client has said its first word; the one before is gone. */
void handshake_meet(struct world *w);
/* Its handshake, until neither has anything to say, or one gives up. */
enum result handshake_go_on(struct world *w);
/* Both. */
enum result handshake_make(struct world *w);
/* What one has sealed goes to the other; plain bytes go to `to`. */
enum result handshake_pass(struct world *w, struct tls *from, struct tls *into, uint8_t *to, size_t cap,
                           size_t *n_out);
void handshake_hang_up(struct world *w);

#endif
