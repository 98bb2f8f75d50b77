/* One inbound association: its sender, what was negotiated, its messages. Lives until the last of them is over. */
#ifndef HILUM_RELAY_SESSION_H
#define HILUM_RELAY_SESSION_H

#include "association/voice.h"
#include "relay/pace.h"
#include "relay/relay.h"
#include "relay/ruleset.h"
#include "relay/source.h"
#include "route/route.h"

struct access_refusal;
struct call;
struct message;
struct reverse;
struct negotiation;

enum { SESSION_WINDOW_MAX = 16 }; /* operations a sender may have outstanding, if it asks for more than one */

struct session {
    struct association a;
    struct relay *relay;
    struct config *config;
    const struct config_listen *listen;
    const struct config_caller *caller; /* whose association it is; NULL: there are none */
    struct ruleset *rules;
    unsigned references; /* the association, and each message */
    char calling[17], called[17];
    uint8_t remote[16];
    char remote_text[64];
    char *
        peer; /* the subject of its certificate; "": it has shown none. From its request on; it outlives the connection */
    uint64_t user;
    struct source source; /* of what its messages send */
    bool is_silent, is_counted, is_over, is_refused;
    struct pace pace;                /* against its caller's limits */
    bool has_checked_identity;       /* ourselves, and its sender wants to hear so */
    struct negotiation *negotiation; /* while the request waits for its answer */
    struct pdu_associate
        *extras; /* roles, extended negotiation, identity of the request, for requests of ours; NULL: none */
    bool *came_from;                            /* by node index: the sender is that node; NULL: it is none */
    struct message *receiving;                  /* the one whose data set is coming */
    struct call *receiving_call;                /* likewise */
    struct voice voice;                         /* whatever is sent to it */
    TAILQ_HEAD(message_list, message) messages; /* not answered yet */
    TAILQ_HEAD(call_list, call) calls;          /* likewise */
    TAILQ_HEAD(reverse_list, reverse) reverses; /* what nodes ask of it */
    struct reverse *answering;                  /* whose response's data set is coming */
    uint16_t next_request;                      /* message id */
    unsigned outstanding;
    unsigned next_message;
    TAILQ_ENTRY(session) link, silent_link;
};

void session_ref(struct session *s);
void session_unref(struct session *s);

/* What routes ask for, without the message's own facts. */
void session_facts(const struct session *s, enum config_service service, struct route_facts *out);

/* One more request of it is under way; one is over. */
void session_work_begins(struct session *s);
void session_work_over(struct session *s);
/* After a message has been answered. */
void session_message_over(struct session *s, struct message *m);
/* A request with this message id waits for its answer (PS3.7 9.1.1.1.1: ids of outstanding requests differ). */
bool session_has_request(const struct session *s, uint16_t message_id);
/* Says a message to it, in its turn. The data set's slices are moved; NULL: none. */
void session_say(struct session *s, uint8_t context_id, const struct dimse_command *c, struct slices *data);

/* Rejects its request: told in the log, but not each one of a kind. What `r` holds is borrowed. */
void session_refuse(struct session *s, const struct access_refusal *r);
/* Likewise, for a limit of ours: transient, local limit exceeded (PS3.8 9.3.4). */
void session_refuse_for_now(struct session *s, const char *cause);

/* negotiate.c: from the request to association_answer_take or association_reject. */
void negotiate_begin(struct session *s);
void negotiate_cancel(struct session *s);

#endif
