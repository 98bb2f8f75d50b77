/*
 * Which nodes can be reached, over all workers: a circuit breaker for each, fed by what happens to messages and by C-ECHO probes.
 *
 *   closed      it is there, as far as is known
 *   open        it is away: nobody connects for a message that can go elsewhere, or be queued, until the circuit's pause is over
 *   half-open   the pause is over: one trial at a time, whoever asks first; its outcome closes the circuit or opens it for longer
 *
 * A failure to connect opens it at once; a time-out, an abort or A7xx when three came in a row (CIRCUIT_PATIENCE) without a success between. A transient
 * rejection is none of these: the node is there, and full. Pauses begin with the node's retry.first and double up to retry.most.
 *
 * A node is known by host, port and title, so that a reload keeps what is known. Any thread; no lock on the way of a message.
 */
#ifndef HILUM_RELAY_CIRCUIT_H
#define HILUM_RELAY_CIRCUIT_H

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"

enum { CIRCUIT_PATIENCE = 3 };

enum circuit_state { CIRCUIT_CLOSED, CIRCUIT_OPEN, CIRCUIT_HALF_OPEN };
enum circuit_sign {
    CIRCUIT_SUCCESS,
    CIRCUIT_UNREACHABLE, /* no connection, or rejected for good */
    CIRCUIT_TROUBLE,     /* silent, aborted, or A7xx */
};

struct circuits;

struct circuits *circuits_new(void);
void circuits_free(struct circuits **c);

/* False: it is away, or drained for new work. True may be the one trial of a circuit that is half-open: *is_trial_out; its sign must follow. Times are
 * clock_ms(). is_trial_out may be NULL: then no trial is taken, and half-open counts as away. */
bool circuit_may_try(struct circuits *c, const struct config_node *node, uint64_t now_ms, bool *is_trial_out);
void circuit_sign(struct circuits *c, const struct config_node *node, enum circuit_sign sign,
                  uint64_t now_ms);

/* By an operator: a pool gives it no new study. Kept over a reload, not over a restart. */
void circuit_drain(struct circuits *c, const struct config_node *node, bool is_drained);
bool circuit_is_drained(const struct circuits *c, const struct config_node *node);

struct circuit_view {
    enum circuit_state state;
    bool is_drained;
    unsigned failures;          /* in a row */
    uint64_t changed_ms;        /* since when it is in this state, clock_ms; 0: from the start */
    uint64_t until_ms;          /* open: when the pause is over */
    uint64_t bytes_outstanding; /* what is on its way there */
};
void circuit_look(const struct circuits *c, const struct config_node *node, uint64_t now_ms,
                  struct circuit_view *out);

/* What is on its way there, for "least": the sum over all workers. */
void circuit_add_outstanding(struct circuits *c, const struct config_node *node, int64_t bytes);

#endif
