#include "relay/health.h"

#include "dimse/status.h"

bool health_may_try(struct relay *r, const struct config_node *node, bool *is_trial_out)
{
    return circuit_may_try(r->circuits, node, io_now(r->io), is_trial_out);
}

void health_sign(struct relay *r, const struct config_node *node, enum circuit_sign sign, const char *why)
{
    if (!r->is_stopping)
        circuit_sign(r->circuits, node, sign, why, io_now(r->io));
}

/* A node that rejects whoever calls by the sender's title may take others. One that rejects us, as we are to call, is of no use. */
static enum circuit_sign sign_of_rejection(const struct outbound_want *w)
{
    if (!w->was_turned_away)
        return CIRCUIT_THERE; /* it had no room for us, all the time */
    if (!w->was_rejected)
        return CIRCUIT_TROUBLE;
    return w->node->calling == CONFIG_CALLING_PASS ? CIRCUIT_THERE : CIRCUIT_UNREACHABLE;
}

void health_failed(struct relay *r, const struct outbound_want *w, enum outbound_failure kind,
                   const char *why)
{
    switch (kind) {
    case OUTBOUND_UNREACHABLE:
        health_sign(r, w->node, CIRCUIT_UNREACHABLE, why);
        return;
    case OUTBOUND_REJECTED:
        health_sign(r, w->node, sign_of_rejection(w), why);
        return;
    case OUTBOUND_NOT_ACCEPTED:
        health_sign(r, w->node, CIRCUIT_THERE, why);
        return;
    case OUTBOUND_NO_PERMIT:
    case OUTBOUND_OUT_OF_MEMORY:
        return;
    }
}

void health_answered(struct relay *r, const struct config_node *node, uint16_t status, const char *comment)
{
    bool has_no_room = dimse_store_severity(status) > 1 && dimse_status_may_pass(status);
    health_sign(r, node, has_no_room ? CIRCUIT_TROUBLE : CIRCUIT_SUCCESS,
                dimse_status_reason(status, log_shows_patients() ? comment : ""));
}

void health_end_trial(struct relay *r, const struct config_node *node, bool *is_trial)
{
    if (*is_trial)
        circuit_end_trial(r->circuits, node, io_now(r->io));
    *is_trial = false;
}
