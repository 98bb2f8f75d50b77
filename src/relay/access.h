/*
 * Who may do what, held against one association: at its request, in its negotiation, for each of its messages. What cannot be found out is
 * refused. (reasons: PS3.8 9.3.4; statuses: PS3.7 Annex C)
 */
#ifndef HILUM_RELAY_ACCESS_H
#define HILUM_RELAY_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "dimse/command.h"
#include "pdu/pdu.h"

struct config_listen;
struct relay;
struct session;

/* Why an association is refused, and how its sender hears of it. `cause` is fixed or of the rules, until the next call of one. */
struct access_refusal {
    struct pdu_reject reject;
    const char *cause;
    const char *title; /* that it is about */
    bool is_ours;      /* a rule has failed, or memory: it says nothing of the sender */
};

/* Before anything is read: where a listener speaks TLS and denies the address, there is no handshake just to say so. False: it is refused, and that is told; the
 * descriptor is the caller's to close. */
bool access_admit_connection(struct relay *r, int fd, const struct config_listen *listen);
/* Address, titles and certificate; sets s->caller. False: it is refused. */
bool access_admit(struct session *s, struct access_refusal *out);
/* Its user identity, as the caller wants it; it may call Lua. What is not to be passed on is gone from the request then. False: it is refused. */
bool access_identify(struct session *s, struct access_refusal *out);
/* True: this refusal is to be logged; else it is counted, and told with others (refusals.h). */
bool access_is_told(const struct session *s, const char *cause, const char *title);

/* Of the services that may come on a context of this class those that its caller may use: none, and the context is refused. */
uint32_t access_services_of(const struct session *s, struct view abstract_syntax, uint32_t services);
/* What a request is refused with by what its caller may not; 0: it may. *comment_out is fixed. */
uint16_t access_status(const struct session *s, const char *abstract_syntax, const struct dimse_command *c,
                       const char **comment_out);

#endif
