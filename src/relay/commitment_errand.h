/*
 * One request of a storage commitment to a node, and the status that it answers: N-ACTION to who is asked, N-EVENT-REPORT to who is told (PS3.4 J.3). Always on
 * a fresh association; to tell, with the role of an SCP and under the title that was called (J.3.3.1).
 */
#ifndef HILUM_RELAY_COMMITMENT_ERRAND_H
#define HILUM_RELAY_COMMITMENT_ERRAND_H

#include "relay/commitment_list.h"
#include "relay/leg.h"

struct commitment_errand {
    /* set by the caller */
    void *owner;
    /* It is over. is_answered: by the node, with this status; else status is ours (leg.h), and why says it. May begin another. */
    void (*on_done)(struct commitment_errand *e, bool is_answered, uint16_t status, const char *why);
    /* private */
    bool is_active;
    struct source source;
    struct config *config;
    struct leg leg;
    struct dimse_command command;
    struct slices data;
    char calling[17], id[48];
};

struct commitment_errand_to {
    struct relay *relay;
    struct config *config; /* a reference is taken */
    const struct config_node *node;
    uint64_t user;
    const char *id;      /* for logs */
    const char *calling; /* to ask: the requester's title; to tell: the title that the node sees */
    bool tells;
    uint16_t type; /* of action or event */
};

/* data: Implicit VR Little Endian. False without memory. Not while one is under way. */
MUST_USE bool commitment_errand_begin(struct commitment_errand *e, const struct commitment_errand_to *to,
                                      struct view data);
/* on_done does not come. One that is over, or never began, is let be. */
void commitment_errand_abandon(struct commitment_errand *e);

#endif
