/*
 * Associations that are refused, told in the log, but not each of them: whoever knocks a thousand times a second may not fill it. Of one
 * kind (listener, cause, address, title) the first is told, then none for REFUSALS_QUIET_MS; how many were left out is told when that is
 * over. Kinds are counted one by one up to REFUSALS_MAX, all others together.
 *
 * Nodes that associations are negotiated with and that are not reached are told likewise, in a set of their own: a kind is then a node and a cause. When
 * a node goes and comes back is told beside that, by circuit.c, each time.
 *
 * One for all workers: any thread may call; the lock is taken for refused associations, and nodes that are not reached, alone.
 */
#ifndef HILUM_RELAY_REFUSALS_H
#define HILUM_RELAY_REFUSALS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { REFUSALS_MAX = 64, REFUSALS_QUIET_MS = 10 * 1000 };

/* Borrowed; what does not fit is cut. */
struct refusal {
    const char *cause, *listener;
    const char *remote; /* the address without its port; of a node its name */
    const char *title;  /* the title that it is about, calling or called */
};

struct refusal_kind {
    char cause[96], listener[64], remote[64], title[17];
    uint64_t told_ms;  /* when the last line was written */
    uint64_t left_out; /* since */
    bool is_used;
};

struct refusals {
    pthread_mutex_t lock;
    bool are_nodes;
    struct refusal_kind of[REFUSALS_MAX];
    struct refusal_kind others; /* that found no place */
};

void refusals_init(struct refusals *r, bool are_nodes);
void refusals_free(struct refusals *r);

/* True: it is to be told now. False: it is counted. */
bool refusals_note(struct refusals *r, uint64_t now_ms, const struct refusal *refusal);
/* Tells what was left out of kinds whose time is over; at the end (is_end) of all. Now and then, by one thread. */
void refusals_tell(struct refusals *r, uint64_t now_ms, bool is_end);

#endif
