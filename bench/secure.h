/*
 * TLS of load and sink, by src/tls between them and their sockets. Plain connections have none of this: a NULL where a `struct secure` would be.
 *
 * A program has one side: its files are read once, and it counts handshakes. A connection has a `struct secure`, which borrows the socket.
 */
#ifndef HILUM_BENCH_SECURE_H
#define HILUM_BENCH_SECURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>
#include <sys/uio.h>

enum {
    SECURE_PORTION_BYTES = 128 << 10, /* that secure_send takes at most */
    SECURE_LEAST_ROOM = 48 << 10,     /* for secure_recv */
};

/* Paths of PEM files. */
struct secure_options {
    bool is_server;
    const char *certificate, *key; /* of a server; of a client that has one */
    const char *ca, *name;         /* of a client: whom it trusts, and whom the certificate must name */
    bool resumes;                  /* of a client: it begins with the newest session that it was given */
};

struct secure_side;
/* What is wrong with the files is told on stderr, and ends the program with status 2. */
struct secure_side *secure_side_new(const char *program, const struct secure_options *o);
/* After all of its connections. NULL is none. */
void secure_side_free(struct secure_side **s);
/* Writes "tls":{"version":..,"suite":..,"group":..,"handshakes":N,"resumed":N}: how the last handshake ended, and how many there were, resumed ones
 * among them. Nothing for NULL. */
void secure_write(const struct secure_side *s, FILE *to);

struct secure;
/* A client's first word goes out. */
struct secure *secure_new(struct secure_side *side, int fd);
/* Says that nothing more will come, if the socket takes that at once. NULL is none. */
void secure_free(struct secure **s);

/* As recv(2): plain bytes, 0 at the peer's end, -1 with errno; EPROTO: secure_why says why. Call it until -1: a short answer does not mean that the
 * socket has no more. room >= SECURE_LEAST_ROOM. */
ssize_t secure_recv(struct secure *s, uint8_t *to, size_t room);
/* As sendmsg(2) of so many pieces: plain bytes that were taken, the first SECURE_PORTION_BYTES of them. EAGAIN while the handshake goes on or sealed
 * bytes wait for the socket. */
ssize_t secure_send(struct secure *s, const struct iovec *list, size_t count);
/* Sends what waits; false: something still does. A socket that is gone takes everything. */
bool secure_flush(struct secure *s);
bool secure_is_waiting(const struct secure *s);
/* After -1: the words. */
const char *secure_why(const struct secure *s);

#endif
