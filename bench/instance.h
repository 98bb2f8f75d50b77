/*
 * A data set of exactly the length that was asked for, which archives take: Secondary Capture up to 64 MiB, above that
 * Multi-frame Grayscale Word Secondary Capture. Everything up to the first pixel is `head`; pixels are the sender's pattern.
 */
#ifndef HILUM_BENCH_INSTANCE_H
#define HILUM_BENCH_INSTANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/octets.h"

/* UIDs have one width, so that one can be written over another: 2.25. and 35 digits: kind, seed (14), lane (8), number (12). */
enum {
    INSTANCE_UID_BYTES = 40,
    INSTANCE_MIN_BYTES = 2 << 10,
};
#define INSTANCE_MAX_BYTES ((uint64_t)0xFFFFF000)

enum instance_uid_kind { INSTANCE_UID_SOP = 1, INSTANCE_UID_STUDY, INSTANCE_UID_SERIES };

struct instance {
    const char *sop_class, *transfer_syntax;
    uint64_t bytes;                     /* of the whole data set */
    struct octets head;                 /* owned */
    size_t sop_at, study_at, series_at; /* where in it these UIDs stand */
};

/* bytes is even, from INSTANCE_MIN_BYTES to INSTANCE_MAX_BYTES. instance_free ends it. */
void instance_build(struct instance *i, uint64_t bytes, bool is_implicit);
void instance_free(struct instance *i);

void instance_uid(uint8_t out[INSTANCE_UID_BYTES], enum instance_uid_kind kind, uint64_t seed, uint32_t lane,
                  uint64_t number);
/* A seed of 14 digits from any text. */
uint64_t instance_seed(const char *text);

#endif
