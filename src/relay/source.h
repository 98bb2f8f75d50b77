/*
 * Who sends what a node is given: a sender's association, or the delivery of a queue. What a sink has to know of it; the source outlives the
 * sink.
 */
#ifndef HILUM_RELAY_SOURCE_H
#define HILUM_RELAY_SOURCE_H

#include "relay/relay.h"

struct source {
    struct relay *relay;
    struct config *config;
    const char *calling;  /* the sender's title, trimmed; "": it has none */
    const char *calls_as; /* the title that a node sees, whatever is configured of it; NULL: by the node */
    uint64_t user;        /* as the outbound pool knows it: one association serves one of them at a time */
    uint64_t profile;     /* hash of roles and extended negotiation */
    bool is_private;      /* it carries a user identity */
    bool is_alone;        /* it uses one association with a node at a time */
    bool asks_anew;       /* what a node is known to have refused is proposed all the same */
    /* What is kept for a second try would make it wait. */
    bool (*is_full)(const struct source *s);
    /* The contexts of a new association, these syntaxes first, and what else its request says. False without memory. */
    bool (*propose)(const struct source *s, struct pdu_associate *request, const char *abstract_syntax,
                    const char *transfer_syntax);
    /* An association that was opened for it, and has carried nothing, will do for what it keeps to its end. NULL: none will. */
    bool (*suits)(const struct source *s, const struct association *a);
};

#endif
