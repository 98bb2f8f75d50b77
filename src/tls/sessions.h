/*
 * TLS sessions that a listener remembers: bytes under an id, at most so many, each until its time is over. Where there is no room the oldest goes; what
 * there is no memory for, or is too long, is not remembered, and nothing else happens.
 *
 * Shared by all threads. The lock is held while bytes are copied, and for nothing that takes longer. What is forgotten is wiped: it holds keys.
 */
#ifndef HILUM_TLS_SESSIONS_H
#define HILUM_TLS_SESSIONS_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

enum {
    SESSIONS_ID_BYTES =
        32, /* of every id that OpenSSL gives as a server; under another length there is nothing */
    SESSIONS_BYTES_MAX = 4096, /* of one session: some 200, and the peer's certificate */
};

struct sessions;
/* NULL without memory. */
struct sessions *sessions_new(unsigned max);
void sessions_free(struct sessions **s);

/* Remembers a copy. Times are seconds since 1970. */
void sessions_keep(struct sessions *s, const uint8_t *id, size_t id_len, const uint8_t *bytes, size_t len,
                   time_t now, time_t until);
/* Copies what there is to `to`, and until when. How many bytes; 0: there is nothing, or not any more. */
size_t sessions_find(struct sessions *s, const uint8_t *id, size_t id_len, time_t now,
                     uint8_t to[SESSIONS_BYTES_MAX], time_t *until_out);
void sessions_forget(struct sessions *s, const uint8_t *id, size_t id_len);
unsigned sessions_count(struct sessions *s);

#endif
