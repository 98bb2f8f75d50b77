/*
 * What comes of several requests that are answered as one: counts of sub-operations added up, archives that failed, and the one final status. Pure.
 * (PS3.4 C.4.2.1.6, C.4.3.1.4; PS3.7 9.1.4)
 */
#ifndef HILUM_RELAY_TALLY_H
#define HILUM_RELAY_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "dimse/command.h"

enum {
    TALLY_NO_MATCHES_COUNTED = 0xA701, /* refused: unable to calculate number of matches */
    TALLY_NOT_PERFORMED = 0xA702,      /* refused: unable to perform sub-operations */
};

struct tally_counts {
    uint32_t completed, failed, warning;
};

/* Zero-initialise. */
struct tally {
    struct tally_counts sum; /* of requests that are over */
    struct tally_counts now; /* of the one that is under way, by its last response */
    uint32_t remaining;      /* likewise */
    bool has_remaining;      /* it has said so */
    /* Archives that failed, or could not be asked. */
    unsigned failures;
    uint16_t status; /* the worst of theirs, the first among equals */
    char names[65];  /* "pacs1, pacs2" */
    char why[65];    /* of the first: "pacs1: no response in time" */
};

/* A response of the request that is under way, pending or final: its counts, as far as it has any, in place of those before. */
void tally_take(struct tally *t, const struct dimse_command *r);
/* It is over, and what it came to counts. */
void tally_end(struct tally *t);
/* It was lost, and nobody else is asked: what it was to give and has not counts as failed. `expected` is the number of instances as far as it was known
 * before; one at least counts. */
void tally_end_lost(struct tally *t, uint32_t expected);
/* It was lost, and others are asked for all of it. */
void tally_forget(struct tally *t);

/* An archive failed; why is "name: what happened", or what it said itself, or NULL. */
void tally_failure(struct tally *t, const char *node, uint16_t status, const char *why);
/* What a person is told of the failures, 64 characters at most; NULL: there were none. It is kept in `names` or `why`. */
const char *tally_comment(struct tally *t);

/* Counts as responses have them: four numbers while it goes on, three at its end; four when it was cancelled. */
void tally_fill(const struct tally *t, uint16_t status, uint32_t later, struct dimse_command *out);
/* The final status of retrievals. */
uint16_t tally_status(const struct tally *t, bool is_cancelled);
/* That of a query which `asked` archives were asked. */
uint16_t tally_query_status(const struct tally *t, unsigned asked, bool is_cancelled);

#endif
