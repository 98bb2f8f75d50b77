/* One inbound association: its sender, what was negotiated, its messages. Lives until the last of them is over. */
#ifndef HILUM_RELAY_SESSION_H
#define HILUM_RELAY_SESSION_H

#include "relay/relay.h"
#include "relay/ruleset.h"
#include "relay/source.h"
#include "route/route.h"

struct message;
struct negotiation;

enum { SESSION_WINDOW_MAX = 16 }; /* operations a sender may have outstanding, if it asks for more than one */

struct session {
    struct association a;
    struct relay *relay;
    struct config *config;
    const struct config_listen *listen;
    struct ruleset *rules;
    unsigned references; /* the association, and each message */
    char calling[17], called[17];
    uint8_t remote[16];
    char remote_text[64];
    uint64_t user;
    struct source source; /* of what its messages send */
    bool is_silent, is_counted, is_over;
    struct negotiation *negotiation; /* while the request waits for its answer */
    struct pdu_associate
        *extras; /* roles, extended negotiation, identity of the request, for requests of ours; NULL: none */
    bool *came_from;                            /* by node index: the sender is that node; NULL: it is none */
    struct message *receiving;                  /* the one whose data set is coming */
    TAILQ_HEAD(message_list, message) messages; /* not answered yet */
    unsigned outstanding;
    unsigned next_message;
    TAILQ_ENTRY(session) link, silent_link;
};

void session_ref(struct session *s);
void session_unref(struct session *s);

/* What routes ask for, without the message's own facts. */
void session_facts(const struct session *s, enum config_service service, struct route_facts *out);

/* After a message has been answered. */
void session_message_over(struct session *s, struct message *m);

/* negotiate.c: from the request to association_answer_take or association_reject. */
void negotiate_begin(struct session *s);
void negotiate_cancel(struct session *s);

#endif
