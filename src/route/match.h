/* Whether a route's conditions hold for what is known of a message. */
#ifndef HILUM_ROUTE_MATCH_H
#define HILUM_ROUTE_MATCH_H

#include "config/config.h"
#include "route/route.h"

/* In this order: the weakest answer of all conditions is the route's. */
enum match { MATCH_NO, MATCH_MAYBE, MATCH_YES };

/* MAYBE only where a fact that a condition asks for is not known yet. */
enum match match_route(const struct config_route *route, const struct route_facts *facts);

#endif
