/* Which destinations an instance goes to: compiled conditions, no Lua, no allocation beyond the result. */
#ifndef HILUM_ROUTE_ROUTE_H
#define HILUM_ROUTE_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/result.h"
#include "config/config.h"

struct route_attributes;

/* In this order: the weakest answer of all conditions is the route's. */
enum match { MATCH_NO, MATCH_MAYBE, MATCH_YES };

/* What is known about a message (or, with has_instance false, about a presentation context at negotiation). */
struct route_facts {
    enum config_service service;
    struct view calling, called; /* trimmed */
    uint8_t remote[16];          /* IPv4 mapped */
    const char *listener;
    const char *peer;         /* the subject of its certificate; "": none; NULL: not known */
    struct view sop_class;    /* trimmed; empty without has_instance: not known yet */
    struct view sop_instance; /* trimmed */
    bool has_instance;
    const struct route_attributes *attributes; /* route/attributes.h; NULL: none is known yet */
    /* Asks the function that is a route's `when`, and answers MATCH_MAYBE if that needs what is not here yet. False: it failed.
     * NULL: functions are not asked, and may hold. */
    bool (*holds)(void *user, const struct config_route *route, enum match *out);
    void *user;
};

struct route_destination {
    const struct config_node *node;
    const struct config_route *route; /* the first that named it: of a `to` destination, in its `to` */
    bool is_copy;                     /* no route names it for these bytes in `to`, one does in `copy` */
    bool is_moved;                    /* of a C-MOVE's route: morph_response makes its bytes, not morph */
    bool back_to_sender;              /* true if any route that named it says so, in `to` or in `copy` */
    /* What routes that name it in `to` say; of a copy it means nothing. */
    bool stream;                     /* false if any says so */
    enum config_zero_copy zero_copy; /* the most careful of them: never, auto, always */
    bool queues;                     /* true if any of them queues what fails */
    bool journal;                    /* true if any of these that queue writes a journal */
    /* True if any route that named it has no `to`: at negotiation the queue stands for the node, and takes everything. */
    bool takes_all;
};

struct route_decision {
    struct route_destination
        *destinations; /* in file order, of a route `to` before `copy`; each node once for the same bytes */
    size_t count;
    size_t capacity;
    bool matched; /* some route matched */
};

/*
 * Fills *decision (zeroed or used before; its memory is reused) with the destinations of every route whose conditions hold, in
 * file order, until a final one. Where something is not known yet: with those of every route that may hold, until a final one
 * that certainly holds, i.e. the candidates.
 *
 * OK          no match is OK with count 0. With has_instance the decision is made; without, these are the candidates
 * NEED_MORE   has_instance, but attributes or functions that decide are not known: these are the candidates (route_wants)
 * ERR_USAGE   a function failed; no decision
 * ERR_MEMORY  no decision
 */
MUST_USE enum result route_decide(const struct config *config, const struct route_facts *facts,
                                  struct route_decision *decision);
/* Both are the same node after all: what `other` asks for is added to `one`, which is no copy unless both are. */
void route_destination_merge(struct route_destination *one, const struct route_destination *other);
void route_decision_free(struct route_decision *decision);

/* The route makes bytes of its own for it. */
bool route_destination_morphs(const struct route_destination *d);
/* It does for some of these destinations. */
bool route_morphs(const struct route_decision *decision);
/* Some of these destinations ask something of the data set: route_destinations_want. */
bool route_destinations_ask(const struct route_decision *decision);

/*
 * What the routes that may hold ask for and is not known yet: nothing of a route that certainly does not, or does, or stands behind a
 * final one that does. attributes_out has config.attribute_count flags, all of which are written; *function_out tells that functions
 * are to be asked, which want the whole header. False: nothing is wanted, and route_decide says all there is to say. Calls no function.
 */
bool route_wants(const struct config *config, const struct route_facts *facts, bool *attributes_out,
                 bool *function_out);

/* What destinations ask for: sets the flags of the attributes that folders' patterns hold, and of the study where a pool balances by it; leaves all others as
 * they are; `wanted` has config.attribute_count flags. True if there is any. What of it is known already is not looked at. */
bool route_destinations_want(const struct config *config, const struct route_decision *decision,
                             bool *wanted);

/* True if some route names this service and may hold for the association. */
bool route_serves(const struct config *config, const struct route_facts *facts);

#endif
