/* From collected declarations to a configuration, and every problem on the way. */
#ifndef HILUM_SCRIPT_CHECK_H
#define HILUM_SCRIPT_CHECK_H

#include <stdbool.h>

#include "config/config.h"
#include "script/fields.h"

/* Fills c->config from c->script's declarations. Problems go to the script's report; c->failed: no memory. */
void check_all(struct check *c);

/* The parts, in the order in which they are run: each builds on those before. */
void check_gateway(struct check *c, const struct declaration *d); /* check_gateway.c */
void check_listen(struct check *c, const struct declaration *d,
                  struct config_listen *out); /* check_listen.c */
void check_listen_conflicts(struct check *c);
void check_node(struct check *c, const struct declaration *d, struct config_node *out);   /* check_node.c */
void check_own_listeners(struct check *c);                                                /* check_own.c */
void check_route(struct check *c, const struct declaration *d, struct config_route *out); /* check_route.c */
void check_when(const struct item *when, struct config_route *route);                     /* check_when.c */

/* The n-th declaration of a kind: that of config's listens[n], nodes[n], routes[n]. */
const struct declaration *check_declaration(const struct check *c, enum declaration_kind kind, size_t n);

/* A declaration as an item, for fields_take; `at` is written. */
struct item check_item(struct check *c, const struct declaration *d, struct place *at);

/* The address (numeric, without prefix length) as 16 bytes. */
bool check_address(const char *text, uint8_t address_out[16]);
/* True if a listener on `listen` (an address of config_listen) hears what comes to `address`, or, with NULL, to any. */
bool check_hears(const char *listen, const uint8_t *address);

#endif
