/*
 * What nodes answered to presentation contexts: (node, title it sees, abstract syntax, proposed transfer syntaxes in order) -> its
 * choice. Learned from real associations, one table a worker, of fixed size: a colliding entry replaces, an old one is
 * forgotten. A list never proposed is unknown, not refused; only a rejected context refuses what it listed.
 */
#ifndef HILUM_ASSOCIATION_KNOWLEDGE_H
#define HILUM_ASSOCIATION_KNOWLEDGE_H

#include <stdint.h>

#include "config/config.h"
#include "pdu/associate.h"

struct knowledge;

enum { KNOWLEDGE_UNKNOWN = -1, KNOWLEDGE_REFUSED = -2 };

struct knowledge *knowledge_new(void);
void knowledge_free(struct knowledge **k);

/* Index of the transfer syntax that the node chooses, KNOWLEDGE_UNKNOWN, or KNOWLEDGE_REFUSED with *result_out the result of the
 * rejected context (PS3.8 9.3.3.2). result_out may be NULL. */
int knowledge_choice(const struct knowledge *k, const struct config_node *node, const char *calling,
                     struct view abstract_syntax, const struct view *transfer_syntaxes, unsigned count,
                     uint64_t now_ms, uint8_t *result_out);

/* Remembers every context of an answer, and what follows from it for each transfer syntax alone. */
void knowledge_learn(struct knowledge *k, const struct config_node *node, const char *calling,
                     const struct pdu_associate *request, const struct pdu_associate *answer,
                     uint64_t now_ms);

#endif
