/* Which destinations an instance goes to: compiled conditions, no Lua, no allocation beyond the result. */
#ifndef HILUM_ROUTE_ROUTE_H
#define HILUM_ROUTE_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/result.h"
#include "config/config.h"

/* What is known about a message (or, with has_instance false, about a presentation context at negotiation). */
struct route_facts {
    enum config_service service;
    struct view calling, called; /* trimmed */
    uint8_t remote[16];          /* IPv4 mapped */
    const char *listener;
    struct view sop_class;    /* trimmed; empty without has_instance: not known yet */
    struct view sop_instance; /* trimmed */
    bool has_instance;
};

struct route_destination {
    const struct config_node *node;
    const struct config_route *route; /* the first that named it */
    bool stream;                      /* false if any route that named it says so */
    bool back_to_sender;              /* true if any route that named it says so */
    enum config_zero_copy zero_copy;  /* the most careful of those that named it: never, auto, always */
};

struct route_decision {
    struct route_destination *destinations; /* in file order, each node once */
    size_t count;
    size_t capacity;
    bool matched; /* some route matched */
};

/*
 * Fills *decision (zeroed or used before; its memory is reused) with the destinations of every route whose conditions hold, in
 * file order, until a final one. With has_instance false: with those of every route that may hold, until a final one
 * that certainly holds, i.e. the candidates.
 * OK or ERR_MEMORY. No match is OK with count 0.
 */
MUST_USE enum result route_decide(const struct config *config, const struct route_facts *facts,
                                  struct route_decision *decision);
void route_decision_free(struct route_decision *decision);

/* True if some route names this service and may hold for the association. */
bool route_serves(const struct config *config, const struct route_facts *facts);

#endif
