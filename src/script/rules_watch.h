/*
 * What a worker's rules are at, for another thread to see: one that hangs in a C function, as in a pattern made to be slow, says nothing
 * itself until it is over. A worker has one of these, whatever configurations it holds rules of: it runs one rule at a time.
 *
 * The worker begins and ends; any thread may look.
 */
#ifndef HILUM_SCRIPT_RULES_WATCH_H
#define HILUM_SCRIPT_RULES_WATCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct rules;
struct rules_call;

enum { RULES_SLOW_MS = 1000 }; /* from then on it is worth a line of the log */

struct rules_watch {
    pthread_mutex_t lock;
    const struct rules_call *call; /* borrowed while it runs; NULL: none does */
    const char *rule;
    uint64_t since_us;
    bool is_told;
};

/* Copies, for the call may be over when they are read; cut where they do not fit. */
struct rules_sight {
    const char *of; /* "route", "caller": whose it is */
    char name[128];
    const char *rule; /* "when", "morph", "morph_response", "on_study", "identity" */
    char calling[17], remote[64];
    uint64_t ms; /* since it began */
};

void rules_watch_init(struct rules_watch *w);
void rules_watch_free(struct rules_watch *w);
/* From now on calls of these rules are seen there; the watch outlives them. NULL: nowhere. */
void rules_set_watch(struct rules *r, struct rules_watch *w);

/* True if a rule is running, as *out says. */
bool rules_watch_look(struct rules_watch *w, struct rules_sight *out);
/* True once for each call, when it has run for RULES_SLOW_MS. */
bool rules_watch_tell(struct rules_watch *w, struct rules_sight *out);

/* rules_call.c, around each call; w may be NULL. */
void rules_watch_begin(struct rules_watch *w, const struct rules_call *call, const char *rule,
                       uint64_t now_us);
void rules_watch_end(struct rules_watch *w);

#endif
