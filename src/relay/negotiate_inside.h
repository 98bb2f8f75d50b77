/* What negotiate.c and negotiate_answer.c share: one association request between its coming and its answer. */
#ifndef HILUM_RELAY_NEGOTIATE_INSIDE_H
#define HILUM_RELAY_NEGOTIATE_INSIDE_H

#include "relay/session.h"

/* A pool that is a candidate for some context; its members are asked. */
struct asked_pool {
    const struct config_pool *pool;
    bool is_candidate[PDU_CONTEXTS_MAX]; /* by position in the request */
};

/* One AE node that is a candidate for some context, by itself or as a member. */
struct asked {
    struct negotiation *g;
    const struct config_node *node;
    struct outbound_want want;
    bool is_pending, is_away, is_rejected;
    bool queues;      /* while it is away the queue stands for it, in some route at least */
    bool is_trial;    /* of the node's circuit */
    bool has_direct;  /* for some context it is a candidate by itself */
    bool is_left_out; /* it is away, and others of its pools are there: it has no say */
    bool has_items;   /* the node's roles and so on are in `items` */
    struct pdu_associate items;
    bool is_candidate[PDU_CONTEXTS_MAX]; /* by position in the request */
    bool gives[PDU_CONTEXTS_MAX];     /* of these: what comes back on it by C-GET comes from this node too */
    bool is_direct[PDU_CONTEXTS_MAX]; /* and not only as a member of a pool */
    int16_t choice[PDU_CONTEXTS_MAX]; /* index of a transfer syntax, or KNOWLEDGE_... */
    uint8_t result[PDU_CONTEXTS_MAX]; /* of a refused context */
};

struct origin {
    struct negotiation *g;
    const struct config_node *node;
    struct io_resolve query;
    bool is_pending;
};

struct negotiation {
    struct session *session;
    struct {
        bool is_served;    /* some route may hold for what comes on it */
        bool is_refused;   /* a service that is not served */
        bool is_forbidden; /* the caller may not use it */
        unsigned
            takers; /* candidates that take everything: folders, and the queue for routes of copies alone */
    } contexts[PDU_CONTEXTS_MAX];
    struct asked *asked; /* room for every AE node */
    unsigned asked_count;
    struct asked_pool *pools; /* room for every pool */
    unsigned pool_count;
    struct origin *origins;
    unsigned origin_count;
    unsigned pending;
    int round;
    bool is_cancelled;
};

bool negotiate_is_member(const struct config_pool *pool, const struct config_node *node);
/* What is known of the node for this transfer syntax alone: 0 taken, KNOWLEDGE_UNKNOWN or KNOWLEDGE_REFUSED. */
int negotiate_takes_alone(const struct asked *a, unsigned context, unsigned t);
/* Keeps roles, extended negotiation and identity response of a node's answer. */
void negotiate_keep_items(struct asked *a, const struct pdu_associate *answer);
/* Sends the answer. */
void negotiate_answer(struct negotiation *g);

#endif
