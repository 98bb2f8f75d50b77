/*
 * A request of a sender that is answered with more than a status: queries, retrievals, normalized services. Gathered whole, routed, sent to one node or
 * several (legs), and answered as they answer.
 *
 *   message_begin's counterpart: session.c gives it every request but C-STORE, C-ECHO, and what is queued (message.c)
 *
 * What becomes of several destinations is the business of a plan: one by service.
 *
 *   call_single.c    one destination: responses go through as they come
 *   call_find.c      several: asked side by side, one answer without duplicates
 *   call_retrieve.c  several: found first, then moved or got from where it is
 *   call_every.c     normalized services: sent to all, the worst answer counts
 */
#ifndef HILUM_RELAY_CALL_H
#define HILUM_RELAY_CALL_H

#include "relay/leg.h"
#include "relay/session.h"
#include "route/attributes.h"
#include "route/route.h"

struct call;

/* What a call does with its destinations. All but `begin` may be NULL. */
struct call_plan {
    /* The destinations stand. Answers, or makes legs. */
    void (*begin)(struct call *c);
    /* The sender wants no more (C-CANCEL): call_cancel_legs has been called. */
    void (*cancel)(struct call *c);
    /* It is over for the sender, or it is gone: legs that are left are abandoned by the call. Frees `state`. */
    void (*end)(struct call *c);
};

struct call_destination {
    const struct config_node *node; /* an AE: members stand for their pools */
    const struct config_route *route;
    const struct slices *
        data; /* as it gets the data set: what came, or what the route's morph made of it; NULL: there is none */
    const char *sop_instance; /* that it is asked about; NULL: the request's */
};

/* What a route's morph made of the request's data set. */
struct call_edition {
    const struct config_route *route;
    char sop_instance
        [65]; /* of a normalized request that the rule has renamed, by SOPInstanceUID; else empty */
    struct slices data;
};

struct call {
    struct session *session;
    char id[48];
    uint8_t context_id;
    enum config_service service;
    char *abstract_syntax, *transfer_syntax; /* copies: the association may be gone first */
    struct octets values;
    struct dimse_command command;        /* as received; views into `values` */
    struct view sop_class, sop_instance; /* affected or requested, trimmed; empty: none */
    struct slices received;              /* its data set, as it came */
    struct octets bytes;                 /* the same in one piece, once somebody needs it so: call_bytes */
    struct route_attributes attributes;
    struct call_edition *editions;
    size_t edition_count;
    struct call_destination *destinations;
    size_t destination_count;
    bool has_data, is_complete, is_answered, is_cancelled, is_lost;
    bool has_failed_here;  /* its answer is call_fail's, and so is the comment */
    uint16_t early_status; /* not 0: refused before all of it was here */
    const char *early_comment;
    const struct call_plan *plan;
    void *state; /* the plan's */
    struct leg *legs;
    struct dimse_command *commands; /* by leg: what it sends; the plan may change it before the leg begins */
    unsigned leg_count;
    unsigned pending_responses; /* that went to the sender */
    uint64_t begun_ms;
    struct io_timer watch; /* while its data set comes */
    struct io_task gone;
    TAILQ_ENTRY(call) link;
};

/* A request has come. Data follow through call_data if it announces some. */
void call_begin(struct session *s, uint8_t context_id, const struct dimse_command *c);
void call_data(struct call *c, struct buf *b, uint8_t *at, uint32_t len);
void call_complete(struct call *c);
/* The sender's C-CANCEL. */
void call_cancel(struct call *c);
/* The sender is lost. */
void call_sender_lost(struct call *c);

/* --- for plans ----------------------------------------------------------------------------------------------- */

/* Room for so many legs, all that they have in common filled in; owner is the call, on_response and on_failed are the plan's. Once. False without
 * memory. */
MUST_USE bool call_make_legs(struct call *c, unsigned count);
/* Leg i goes to this destination: node, data and command. leg_begin follows. */
void call_set_leg(struct call *c, unsigned i, const struct call_destination *d);
/* The data set in one piece; empty: there is none. False without memory. */
MUST_USE bool call_bytes(struct call *c, struct view *out);
/* What the route's morph_response makes of a response's data set, in its place; nothing where it has none. False: it failed, and the call has been
 * answered. */
MUST_USE bool call_morph_response(struct call *c, const struct config_route *route, struct slices *data);
/* A response to the sender: status, counts, comment and so on are taken from *r, ids and UIDs are the request's. Data: NULL or empty is none; the slices are
 * moved. Pending ones first, one that is not pending is the last: the call is over then (after the plan's `end`). */
void call_respond(struct call *c, const struct dimse_command *r, struct slices *data);
/* The last one, by a status of our own, which normalized services have others for: A700 is 0213 there, C000 and what a rule fails with 0110. comment may be
 * NULL. */
void call_fail(struct call *c, uint16_t status, const char *comment);
void call_cancel_legs(struct call *c);
/* Of a normalized service (PS3.7 10). */
bool call_is_normalized(const struct call *c);
/* What a status of ours is called in the words of the call's service. */
uint16_t call_status(const struct call *c, uint16_t status);

extern const struct call_plan call_single, call_find, call_retrieve, call_every;

/* call_route.c: who gets it, from its facts and its data set. Fills destinations, or answers. */
bool call_route(struct call *c);

#endif
