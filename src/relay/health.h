/* What happens to associations and messages, as signs for the circuits of nodes (circuit.h); and the circuits, asked by a worker's relay. All on its thread. */
#ifndef HILUM_RELAY_HEALTH_H
#define HILUM_RELAY_HEALTH_H

#include "relay/relay.h"

/* circuit_may_try, now. After *is_trial_out: a sign, or health_end_trial. */
bool health_may_try(struct relay *r, const struct config_node *node, bool *is_trial_out);
/* Nothing counts any more when the relay stops: what it ends itself says nothing of nodes. */
void health_sign(struct relay *r, const struct config_node *node, enum circuit_sign sign, const char *why);
/* A want has failed: for on_failed. What is our own fault (memory, a limit) is no sign. */
void health_failed(struct relay *r, const struct outbound_want *w, enum outbound_failure kind,
                   const char *why);
/* A final status: every answer is a success, but for those that say that the node has no room (A7xx). */
void health_answered(struct relay *r, const struct config_node *node, uint16_t status, const char *comment);
/* If it was one that no sign ended. *is_trial is false afterwards. */
void health_end_trial(struct relay *r, const struct config_node *node, bool *is_trial);

#endif
