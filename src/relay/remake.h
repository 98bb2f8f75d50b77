/*
 * What a route's morph_response makes of an instance that a node sends back (C-GET), on its way: held until its header is here, in memory or a file of the spool
 * (gathered.h), changed by the rule, and passed on as it comes from then on.
 *
 *   remake_new -> remake_data* -> remake_end -> remake_free
 *
 * on_ready comes once, before the first on_data; on_end after the last. on_failed ends it: nothing comes after. All may come from inside remake_data and
 * remake_end, or from the loop.
 */
#ifndef HILUM_RELAY_REMAKE_H
#define HILUM_RELAY_REMAKE_H

#include "relay/session.h"

struct remake_options {
    struct session *session; /* whose rules; a reference is taken */
    const struct config_route *route;
    const char *id;                                /* for logs */
    const struct dimse_command *command;           /* C-STORE-RQ, copied */
    const char *abstract_syntax, *transfer_syntax; /* of the registry, or as long-lived as the remake */
    struct stream *stream; /* that it is received on: what is held counts there; NULL once that is gone */
    void *owner;
    /* The command that goes with it now, whose views last as long as the remake. */
    void (*on_ready)(void *owner, const struct dimse_command *command);
    void (*on_data)(void *owner, struct buf *b, uint8_t *at, uint32_t len);
    void (*on_end)(void *owner);
    void (*on_failed)(void *owner, uint16_t status, const char *comment);
};

struct remake;

/* NULL without memory. */
struct remake *remake_new(const struct remake_options *options);
void remake_data(struct remake *r, struct buf *b, uint8_t *at, uint32_t len);
void remake_end(struct remake *r);
/* No callback comes any more. Nulls the pointer. */
void remake_free(struct remake **r);

#endif
