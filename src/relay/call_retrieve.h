/*
 * A C-MOVE or C-GET for several archives, from the inside: what call_locate.c and call_retrieve.c share. (PS3.4 C.4.2, C.4.3)
 *
 *   located from memory, or asked by C-FIND, round by round (call_locate.c)  ->  requests, one after another (call_retrieve.c)  ->  the answer
 *
 * Rounds are what split.h opens: who has what is asked for; of what several have, what it consists of. In a round archives are asked side by side, each for
 * one entity after the other.
 */
#ifndef HILUM_RELAY_CALL_RETRIEVE_H
#define HILUM_RELAY_CALL_RETRIEVE_H

#include "relay/call_move.h"
#include "relay/identifier.h"
#include "relay/split.h"
#include "relay/tally.h"

struct retrieve_archive {
    struct identifier asked; /* the request as this archive gets it */
    size_t taken;            /* of the pool, for what of it is a copy: inflated it may be long */
    bool is_trial;           /* of its circuit */
    bool has_any;            /* it holds something of what is asked for */
    uint32_t unit;           /* that it is being asked about; SPLIT_NONE: the request's own entities */
    uint32_t next;           /* of this round, not looked at yet */
    struct slices query;     /* what it is sent, where that is not the request as it came */
};

struct retrieve {
    enum identifier_level level;
    char find_class[65]; /* of the same root; "": there is none, or the request cannot be asked for so */
    uint32_t alive;      /* archives that have not failed */
    uint32_t mute;       /* of these: they do not say what they hold */
    unsigned open;       /* legs that are under way */
    struct split split;
    /* The round: entities [from, to), by archives that were alive when it began. */
    bool is_first_round;
    uint32_t round_from, round_to, round_alive;
    bool is_remembered; /* nobody was asked */
    /* The request that is under way. */
    struct split_job job;
    bool is_blind; /* to an archive that does not say what it holds */
    struct move *move;
    /* What came of it. */
    struct tally tally;
    struct identifier response;
    struct seen failed;
    struct octets failed_uids;
    const char *lost; /* name of an archive that was lost, and why; NULL: none */
    char lost_why[65];
    void (*then)(struct call *c); /* next, from the loop */
    struct io_task task;
    struct retrieve_archive of[];
};

/* Calls `then` from the loop: a leg may be begun again only when it is not calling back. */
void retrieve_then(struct call *c, void (*then)(struct call *c));
/* Leg i, with all that it has as the call makes it; *data in place of the archive's own edition, unless it is NULL. */
struct leg *retrieve_leg(struct call *c, unsigned i, const struct slices *data);
/* An archive could not be asked what it holds. */
void retrieve_unasked(struct call *c, unsigned i, const char *why);

/* Finds out who holds what, or as much as can be: fills split, alive, mute. Calls `located` from the loop, also when it was cancelled. */
void locate_begin(struct call *c);
/* Asks, whatever is remembered. */
void locate_anew(struct call *c);
/* The entities of a job as a request of their own, in the archive's query. False without memory. */
bool locate_request(struct call *c, const struct split_job *job);

/* call_retrieve.c */
void retrieve_located(struct call *c);

#endif
