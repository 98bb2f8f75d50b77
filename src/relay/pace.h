/*
 * Senders and nodes held to their rates (rates.h). A sender that is over its caller's is not refused anything: it is read no further until what came is paid for, and TCP
 * slows it. A node that is over its own is given nothing until then. All on the worker's thread.
 */
#ifndef HILUM_RELAY_PACE_H
#define HILUM_RELAY_PACE_H

#include "relay/relay.h"

struct session;

/* Of a session. */
struct pace {
    struct rates_of *of; /* its caller's; NULL: it has none, or has not been let in */
    struct io_timer timer;
};

/* It is let in, as one of its caller's. False: that has as many associations as it may, or there is no memory. */
MUST_USE bool pace_enter(struct session *s);
/* It is over. */
void pace_leave(struct session *s);
/* So much of it has come. */
void pace_came(struct session *s, unsigned requests, size_t bytes);

/* What waits to go to a node. */
struct pace_node {
    struct io *io;
    const struct config_node *node;
    struct rates_of *of; /* NULL: it has no rate */
    struct io_timer timer;
    void (*on_due)(void *owner); /* it may go on */
    void *owner;
};

/* A request for it is to begin. False: it is not its turn within most_ms. True: at once, or, where pace_node_waits says so, at on_due. */
MUST_USE bool pace_node_begin(struct pace_node *p, struct relay *r, const struct config_node *node,
                              uint64_t most_ms);
/* So much has been sent. What comes next waits until it is paid for: pace_node_waits. */
void pace_node_sent(struct pace_node *p, size_t bytes);
bool pace_node_waits(const struct pace_node *p);
void pace_node_stop(struct pace_node *p);

#endif
