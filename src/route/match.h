/* Whether a route's conditions hold for what is known of a message. */
#ifndef HILUM_ROUTE_MATCH_H
#define HILUM_ROUTE_MATCH_H

#include <stdbool.h>

#include "config/config.h"
#include "route/route.h"

/* MAYBE only where something that a condition asks for is not known yet. False: the route's function failed. */
bool match_route(const struct config_route *route, const struct route_facts *facts, enum match *out);

enum match match_condition(const struct config_condition *condition, const struct route_facts *facts);

#endif
