/*
 * Unique keys of the retrieval levels (PS3.4 C.6.1.1, C.6.2.1): what a C-MOVE asks for, and what an instance has of them. Both are compared as bytes,
 * without padding.
 */
#ifndef HILUM_RELAY_MOVE_KEYS_H
#define HILUM_RELAY_MOVE_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "base/result.h"
#include "mem/buf.h"

enum move_level { MOVE_PATIENT, MOVE_STUDY, MOVE_SERIES, MOVE_IMAGE, MOVE_LEVELS };

/* What an identifier asks for. Zero-initialise: nothing is known of it. */
struct move_keys {
    enum move_level level;
    char *values; /* of that level's key, each ended by a NUL; NULL: nothing is known */
    size_t len;
};

/* False without memory. Of an identifier that cannot be read, or whose list is too long to be kept, the key of the next level above that has one;
 * or nothing. */
MUST_USE bool move_keys_take(struct move_keys *k, const struct slices *identifier,
                             const char *transfer_syntax);
void move_keys_free(struct move_keys *k);
/* The value is one of them. */
bool move_keys_have(const struct move_keys *k, struct view value);

/* Without outer spaces and NULs. */
struct view move_keys_trim(struct view value);

/* Looks for an instance's keys in its data set as it comes. */
struct move_look;

/* NULL without memory. */
struct move_look *move_look_new(const char *transfer_syntax);
void move_look_free(struct move_look **l);
/* From the front. */
void move_look_feed(struct move_look *l, const uint8_t *bytes, size_t len);
/* NEED_MORE; OK: all is known; ERR_PROTO: it cannot be read; ERR_MEMORY. */
MUST_USE enum result move_look_state(const struct move_look *l);
/* The same, when no more comes. */
MUST_USE enum result move_look_end(struct move_look *l);
/* Why ERR_PROTO (fixed text), and where. */
const char *move_look_fault(const struct move_look *l, uint32_t *tag_out);
/* So much of it has been looked at, in bytes; of a deflated one they are counted inflated. */
uint64_t move_look_offset(const struct move_look *l);
/* Once all is known: its patient, study and series; empty where it has none. As long as l. */
struct view move_look_key(const struct move_look *l, enum move_level level);

#endif
