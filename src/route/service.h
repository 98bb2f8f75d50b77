/* Which service a message belongs to: what `service` of a route names. Pure. (PS3.4) */
#ifndef HILUM_ROUTE_SERVICE_H
#define HILUM_ROUTE_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "config/config.h"

/* Of a request, by its presentation context and command field. An abstract syntax that nobody knows is storage with C-STORE, and with any
 * other command what that command says. */
enum config_service route_service(struct view abstract_syntax, uint16_t field);

/*
 * Of a presentation context, before any request: bit 1 << enum config_service for each that may come on it. is_scp: the requestor takes the SCP's role
 * for it, so that C-GET sends there what it retrieves; is_scu: it takes the SCU's.
 */
uint32_t route_services_of(struct view abstract_syntax, bool is_scu, bool is_scp);

#endif
