/*
 * Which nodes can be reached, over all workers: a circuit breaker for each, fed by what happens to messages and by C-ECHO probes.
 *
 *   closed      it is there, as far as is known
 *   open        it is away: nobody connects for a message that can go elsewhere, or be queued, until the circuit's pause is over
 *   half-open   the pause is over: one trial at a time, whoever asks first; its outcome closes the circuit or opens it for longer
 *
 * A failure to connect opens it at once; a time-out, an abort or A7xx when three came in a row (CIRCUIT_PATIENCE) without a success between. A transient
 * rejection is none of these: the node is there, and full. Pauses begin with the node's retry.first and double up to retry.most,
 * CIRCUIT_PAUSE_MOST_MS at most.
 *
 * A trial of which nothing is heard for CIRCUIT_TRIAL_MS is forgotten: somebody else may try. A node with probes is tried by them: messages wait
 * CIRCUIT_PROBE_MS longer.
 *
 * A node is known by host, port and title, so that a reload keeps what is known. Any thread; no lock where a node is well, nor to ask. Folders and pools have
 * no circuit: they are always there. Neither has what is new when CIRCUITS_MAX nodes are known, or no memory is left.
 *
 * Most of relay/ feeds and asks circuits through health.h, which knows what a failure of an association is a sign of.
 */
#ifndef HILUM_RELAY_CIRCUIT_H
#define HILUM_RELAY_CIRCUIT_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"

enum {
    CIRCUIT_PATIENCE = 3,
    CIRCUIT_TRIAL_MS = 60000,
    CIRCUIT_PROBE_MS = 5000,
    CIRCUIT_PAUSE_MOST_MS = 60000,
    CIRCUITS_MAX = 4096
};

enum circuit_state { CIRCUIT_CLOSED, CIRCUIT_OPEN, CIRCUIT_HALF_OPEN };
enum circuit_sign {
    CIRCUIT_SUCCESS, /* it has answered a request, be it by a refusal */
    CIRCUIT_THERE, /* it takes associations, or has no room for one: closes what was opened because none stood, and is no more than that */
    CIRCUIT_UNREACHABLE, /* no connection, or rejected for good */
    CIRCUIT_TROUBLE,     /* silent, aborted, or A7xx */
};

struct circuits;

/* NULL without memory. */
struct circuits *circuits_new(void);
void circuits_free(struct circuits **c);

/* False: it is away. True may be the one trial of a circuit that is half-open: *is_trial_out; its sign must follow, or circuit_end_trial. Times are
 * clock_ms(). is_trial_out may be NULL: then no trial is taken, and half-open counts as away. */
bool circuit_may_try(struct circuits *c, const struct config_node *node, uint64_t now_ms, bool *is_trial_out);
/* The same for a probe, which does not wait for others: true only if it is the trial. */
bool circuit_may_probe(struct circuits *c, const struct config_node *node, uint64_t now_ms);
/* The trial is over and has shown nothing: another may follow. */
void circuit_end_trial(struct circuits *c, const struct config_node *node, uint64_t now_ms);
/* why: for the log, where a failure opens the circuit; may be NULL else. */
void circuit_sign(struct circuits *c, const struct config_node *node, enum circuit_sign sign, const char *why,
                  uint64_t now_ms);

/* By an operator: a pool gives it no new study. Says nothing about trying it. Kept over a reload, not over a restart. */
void circuit_drain(struct circuits *c, const struct config_node *node, bool is_drained);
bool circuit_is_drained(const struct circuits *c, const struct config_node *node);

struct circuit_view {
    enum circuit_state state;
    bool is_drained;
    bool is_trying;    /* a trial is under way */
    unsigned failures; /* in a row */
    uint64_t
        changed_ms; /* since when it is there, or away (open and half-open alike), clock_ms; 0: from the start */
    uint64_t until_ms;          /* open: when the pause is over */
    uint64_t bytes_outstanding; /* what is on its way there */
    char cause[96];             /* open, half-open: of the last failure */
};
void circuit_look(const struct circuits *c, const struct config_node *node, uint64_t now_ms,
                  struct circuit_view *out);

/* What is on its way there, for "least": the sum over all workers. Sinks do this. */
void circuit_add_outstanding(struct circuits *c, const struct config_node *node, int64_t bytes);

#endif
