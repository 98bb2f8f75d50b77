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
void check_exposure(struct check *c); /* listeners that anybody may use */
void check_caller(struct check *c, const struct declaration *d,
                  struct config_caller *out); /* check_caller.c */
void check_callers_whole(struct check *c);    /* what only shows among all of them */
void check_node(struct check *c, const struct declaration *d, struct config_node *out); /* check_node.c */
void check_own_listeners(struct check *c);                                              /* check_own.c */
void check_pool(struct check *c, const struct declaration *d, struct config_pool *out); /* check_pool.c */
void check_weights(struct check *c); /* nodes that have one and no pool */
void check_limits(struct check *c);  /* check_limits.c */
void check_route(struct check *c, const struct declaration *d, struct config_route *out); /* check_route.c */
void check_when(const struct item *when, struct config_route *route);                     /* check_when.c */
/* What a route has that its service knows nothing of, or lacks; once all of its keys are taken (check_service.c). */
void check_service(struct check *c, const struct declaration *d, const struct place *root,
                   const struct config_route *r);

/* What they say of the queue, once all of their keys are taken (check_queue.c). `root` is the declaration. */
void check_gateway_queue(struct check *c, const struct declaration *d, const struct place *root);
void check_node_queue(struct check *c, const struct declaration *d, const struct place *root,
                      struct config_node *n);
void check_route_queue(struct check *c, const struct declaration *d, const struct place *root,
                       struct config_route *r);
/* Takes for its keys; what each member must be stands behind it. */
void take_spool(const struct item *item, void *member);         /* struct config_spool */
void take_gateway_retry(const struct item *item, void *config); /* struct config */
void take_node_retry(const struct item *item, void *node);      /* struct config_node */
void take_deliveries(const struct item *item, void *member);    /* unsigned */
void take_on_failure(const struct item *item, void *member);    /* bool: it is "queue" */
void take_hold(const struct item *item, void *route);           /* struct config_route */

/* Lists of nodes and pools (check_destination.c): what `to` and `copy` name, into nodes_out, an array of the configuration's. */
void check_destinations(const struct item *item, const struct config_node ***nodes_out, size_t *count_out);
/* Copies that `to` makes, or may make; and members of pools. */
void check_overlaps(struct check *c, const struct declaration *d, const struct place *root,
                    struct config_route *r);
/* No node, and no pool if `with_pools`, has this name: which may be meant. */
void check_unknown_node(const struct item *item, const char *name, bool with_pools);
bool check_is_among(const struct config_node *node, const struct config_node *const *nodes, size_t count);

/* Lists of who is let in, into arrays of the configuration's (check_access.c). `empty` says what would be right where a list is empty. */
void check_networks(const struct item *item, const char *empty, struct config_network **out,
                    size_t *count_out);
struct text_list {
    const char *expected, *empty;
    void (*take)(const struct item *item, void *member); /* one of them: char * */
};
void check_texts(const struct item *item, const struct text_list *list, char ***out, size_t *count_out);
void take_subject_glob(const struct item *item, void *member); /* char *: of a certificate */
void take_rate(const struct item *item, void *member);         /* struct config_rate */

/* SOP classes: UIDs, with `*` and `?` for what varies, or keywords (check_class.c). Of any service; of storage alone. */
void take_class(const struct item *item, void *member); /* char * */
void take_stored_class(const struct item *item, void *member);
bool check_is_uid_glob(const char *text);
bool check_uid_is_too_long(const struct item *item, const char *text);

void take_as(const struct item *item, void *node); /* struct config_node (check_move.c) */

/* Reads the files that they name, too (check_tls.c). */
void take_listen_tls(const struct item *item, void *listen); /* struct config_listen */
void take_node_tls(const struct item *item, void *node);     /* struct config_node, whose host is known */

/* The n-th declaration of a kind: that of config's listens[n], callers[n], nodes[n], pools[n], routes[n]. */
const struct declaration *check_declaration(const struct check *c, enum declaration_kind kind, size_t n);

/* A declaration as an item, for fields_take; `at` is written. */
struct item check_item(struct check *c, const struct declaration *d, struct place *at);

/* Some listener asks for certificates: else no caller has a subject. */
bool check_asks_for_certificates(const struct config *config);

/* The address (numeric, without prefix length) as 16 bytes. */
bool check_address(const char *text, uint8_t address_out[16]);
/* True if a listener on `listen` (an address of config_listen) hears what comes to `address`, or, with NULL, to any. */
bool check_hears(const char *listen, const uint8_t *address);

#endif
