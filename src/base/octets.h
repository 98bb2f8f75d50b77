/*
 * A byte string that grows. For control PDUs, command sets, file meta information: small things; payload never
 * goes through here.
 *
 * A failed allocation is remembered (`failed`) and later appends do nothing, so that a writer checks once, at the
 * end. Zero-initialise to start; octets_free to end (it may be used again afterwards).
 */
#ifndef HILUM_BASE_OCTETS_H
#define HILUM_BASE_OCTETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct octets {
    uint8_t *data;
    size_t len;
    size_t cap;
    bool failed;
    bool is_secret; /* set by its owner: what it held is not left behind in freed memory */
};

void octets_append(struct octets *o, const void *bytes, size_t len);
void octets_u8(struct octets *o, uint8_t v);
void octets_be16(struct octets *o, uint16_t v);
void octets_be32(struct octets *o, uint32_t v);
void octets_le16(struct octets *o, uint16_t v);
void octets_le32(struct octets *o, uint32_t v);
void octets_le64(struct octets *o, uint64_t v);
/* len bytes of `value`. */
void octets_fill(struct octets *o, uint8_t value, size_t len);
/* Drops the first len bytes; there must be as many. */
void octets_consume(struct octets *o, size_t len);
/* Empties it and forgets a failure; the memory stays for the next use. */
void octets_clear(struct octets *o);
/* It stays secret, if it was. */
void octets_free(struct octets *o);

#endif
