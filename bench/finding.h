/*
 * What a query at study level finds: identifiers that differ in a number, which stands in their Study Instance UID and Accession Number.
 * The sink makes them, `find` looks for the number.
 */
#ifndef HILUM_BENCH_FINDING_H
#define HILUM_BENCH_FINDING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/octets.h"

enum { FINDING_MOST = 100000000 }; /* numbers have eight digits */

struct finding {
    struct octets data;            /* Implicit VR Little Endian; owned */
    size_t accession_at, study_at; /* where the digits stand */
};

/* With number 0. finding_free ends it. */
void finding_build(struct finding *f);
void finding_free(struct finding *f);

/* Writes another number into such bytes. */
void finding_set(const struct finding *f, uint8_t *data, uint32_t number);
/* False if the bytes are not such an identifier, as it was made or with elements that others have added. */
bool finding_number(const uint8_t *data, size_t len, uint32_t *number_out);

#endif
