/* What we propose to nodes on behalf of a sender: contexts, roles, extended negotiation, identity. */
#ifndef HILUM_RELAY_PROPOSAL_H
#define HILUM_RELAY_PROPOSAL_H

#include "config/config.h"
#include "pdu/associate.h"

struct association;
struct session;

/* Keeps roles, extended negotiation, identity of the request for later. False without memory. */
bool proposal_keep_extras(struct session *s, const struct pdu_associate *request);
/* Appends a context (views are copied). False without memory or past 128. */
bool proposal_add(struct pdu_associate *request, uint8_t id, struct view abstract_syntax,
                  const struct view *transfer_syntaxes, unsigned count);
/* The same, of one transfer syntax, unless it stands there; what does not fit is left to another association. */
bool proposal_add_pair(struct pdu_associate *request, const char *abstract_syntax,
                       const char *transfer_syntax);
/* Copies the extras and the async window into a request of ours. */
bool proposal_add_extras(struct pdu_associate *request, const struct session *s);
/* The contexts of a later association for this session: these syntaxes first, then what else the session may send; original and
 * Implicit VR LE apart. */
bool proposal_fill(struct pdu_associate *request, const struct session *s, const char *abstract_syntax,
                   const char *transfer_syntax);
/* This association to a node has, of the classes on which something comes back, what the sender has, and nothing else. */
bool proposal_suits(const struct session *s, const struct association *a);
/* The title that a node sees, of what a sender with this title sends. */
const char *proposal_calling(const struct config *config, const char *calling,
                             const struct config_node *node);

#endif
