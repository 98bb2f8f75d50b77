/*
 * Storage commitment through the gateway (PS3.4 Annex J): a request is made durable and answered; the nodes that have its instances are asked; when all have
 * reported, or timeouts.commit is over, the requester is told, once.
 *
 *   commitment.c         one commitment on its way: kept, planned, asked, told
 *   commitment_desk.c    a worker's commitments; requests and reports that come in
 *   commitment_plan.h    who is asked about what, and what follows from the answers
 *   commitment_record.h  what is kept of it
 *   commitment_errand.h  a request to a node
 *   commitment_list.h    the data sets
 *
 * A commitment belongs to the worker that its request came to, its desk; the UIDs that nodes are asked with name the desk, so that a report finds
 * there from any worker.
 */
#ifndef HILUM_RELAY_COMMITMENT_H
#define HILUM_RELAY_COMMITMENT_H

#include "mem/buf.h"
#include "relay/relay.h"

struct call;
struct commitment_desks;
struct commitments;

/* Of the process: made before its workers, freed after them. NULL without memory. */
struct commitment_desks *commitment_desks_new(unsigned workers);
void commitment_desks_free(struct commitment_desks **d);

/* This worker's; before any thread has started. NULL without memory. */
struct commitments *commitments_new(struct relay *r, struct commitment_desks *desks, unsigned workers);
/* By this configuration from now on (a reference is taken). The first time what a process before has left open is taken up. */
void commitments_configure(struct commitments *d, struct config *config);
/* Nothing more is begun. What is open stays in the spool. May be called again. */
void commitments_stop(struct commitments *d);
bool commitments_are_stopped(const struct commitments *d);
void commitments_free(struct commitments **d);

/* A whole N-ACTION-RQ of the service "commit": a plan's begin (call.h). Answered when it is durable. */
void commitment_request(struct call *c);
/* The call is over for the sender: a plan's end. */
void commitment_request_over(struct call *c);

/* Who reports. */
struct commitment_reporter {
    const char *node;    /* its name, on an association that we opened; NULL: on one of its own, */
    const char *calling; /*   which has this calling title, */
    const char *remote;  /*   and comes from this address, as text without a port */
};

/* A whole N-EVENT-REPORT-RQ of the class, from whatever association, on any worker. Returns the status of the response. */
uint16_t commitment_report(struct relay *r, const struct commitment_reporter *from,
                           const struct dimse_command *c, const struct slices *data,
                           const char *transfer_syntax);

/* Some route is for the service "commit": contexts of the class are accepted, of requesters and of nodes that report. */
bool commitment_is_served(const struct config *config);

#endif
