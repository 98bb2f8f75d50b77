/* Why a route does not take a message, in words: for `hilum explain`, which has time. */
#ifndef HILUM_ROUTE_EXPLAIN_H
#define HILUM_ROUTE_EXPLAIN_H

#include "base/octets.h"
#include "config/config.h"
#include "route/route.h"

/* The first condition, in the order of the configuration, that certainly does not hold; NULL: there is none. Functions are not asked. */
const struct config_condition *route_explain_first(const struct config_route *route,
                                                   const struct route_facts *facts);

/*
 * Appends what was found and what was asked for, without a NUL:
 *
 *   Modality is "MR", not "CT" or "PT"             calling is "CT9", which `no` excludes ("CT*")
 *   PatientID is not there or empty, not "4711"    remote is 10.0.0.1, not 10.1.0.0/16
 *
 * Values are UTF-8 as they stand in the data set: control characters are for the caller to make harmless. Memory: see out->failed.
 */
void route_explain_condition(const struct config *config, const struct config_condition *condition,
                             const struct route_facts *facts, struct octets *out);

#endif
