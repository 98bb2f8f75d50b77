/* One message from a sender on its way to its destinations, and the verdict over them. */
#ifndef HILUM_RELAY_MESSAGE_H
#define HILUM_RELAY_MESSAGE_H

#include "relay/session.h"
#include "relay/sink.h"
#include "relay/stage.h"

enum {
    MESSAGE_FLOW_BYTES = 64 << 10, /* forwarding starts here, or when all of it has come */
    MESSAGE_ID_BYTES = 48
};

/* What a node has said beside status and comment. */
struct message_said {
    struct dimse_command command; /* DIMSE_HAS_ERROR_ID, _OFFENDING, _ATTRIBUTES */
    uint8_t tags[];               /* that it views */
};

/* How it went with one destination. */
struct message_outcome {
    uint16_t status;
    char comment[65];
    bool is_quoted;            /* as struct sink's */
    struct message_said *said; /* NULL: nothing */
    const struct config_node *node;
    const struct config_route *route; /* the first that named it */
    bool queues, journals; /* what may pass is taken over by the queue; it may be written ahead for that */
    bool is_taken_over;
    bool is_elsewhere; /* another destination has become the same, and its outcome counts */
};

/* A destination that gets it from the queue. */
struct message_copy {
    const struct config_node *node;
    const struct config_route *route;
    struct edition *edition; /* NULL: as it came */
};

struct edition;
struct gathered;
struct hold;
struct keep;
struct message_commit;
struct message_move;
struct message_placing;

struct message {
    struct session *session;
    char id[MESSAGE_ID_BYTES];
    struct octets values;                    /* that `command` views */
    char *abstract_syntax, *transfer_syntax; /* copies: the association may be gone first */
    struct dimse_command command;
    uint8_t context_id;
    enum config_service service; /* once it is routed */
    struct sink_message facts;
    uint64_t received;
    bool is_complete, is_answered, is_lost, is_flowing;
    uint16_t status; /* preset: no destination is asked */
    char comment[65];
    bool is_preset;
    bool has_taken_id; /* its message id is that of an outstanding request */
    struct sink **sinks;
    struct message_outcome *outcomes; /* by sink; sinks[i] is NULL once it is gone */
    struct stage **stages;            /* by sink: its chain; NULL: plain forwarding */
    struct message_move *move;        /* it belongs to a C-MOVE through us, or may; NULL: it does not */
    struct hold *hold;                /* not decided yet */
    struct message_placing *placing;  /* of its pools; NULL: it has none */
    struct gathered *
        gathered; /* what is held back: for the decision, for those that get it whole; and the header as it came, as long as
                                         editions are, so that what they have in its place counts against `memory`. NULL: nothing is */
    struct edition *editions;       /* of the routes that morph it */
    struct edition **sink_editions; /* by sink; NULL: the message as it came */
    unsigned edition_count;
    unsigned sink_count, done_count, gone_count;
    struct message_copy *copies;
    unsigned copy_count, queued; /* entries of it in the queue, once it is answered */
    struct keep *keep;           /* NULL: nothing of it can be queued */
    struct message_commit *commit;
    struct io_timer watch; /* over the sinks */
    struct io_task settle;
    TAILQ_ENTRY(message) link, relay_link;
};

/* This request is a message's: answered by a status alone. Others are calls (call.h). C-STORE and C-ECHO are, and N-CREATE and N-SET of MPPS where the queue may
 * have to keep them. */
bool message_takes(const struct session *s, uint8_t context_id, const struct dimse_command *c);
/* A request has come. The session's `receiving` is set if data follow. */
void message_begin(struct session *s, uint8_t context_id, const struct dimse_command *c);
void message_data(struct message *m, struct buf *b, uint8_t *at, uint32_t len);
void message_complete(struct message *m);
/* message_pass.c: where payload goes that is still in the sender's socket; n bytes of it have gone. */
enum association_bulk message_bulk(struct message *m, struct association_legs *legs_out);
void message_passed(struct message *m, size_t n);
/* Reading has paused: what is kept only for a second try is given up. */
void message_relieve(struct message *m);
/* Memory is short: what is here leaves without waiting for more, nothing is kept for a second try. */
void message_let_go(struct message *m);
/* The sender is lost: what is not complete is abandoned, what is complete goes on without an answer. */
void message_sender_lost(struct message *m);

/* For this destination the message has failed, by our own choice: it is told to drop everything. The comment names it. */
void message_fail_sink(struct sink *s, uint16_t status, const char *what);

/* message_sinks.c: what a route made of it; NULL: it morphs nothing. */
struct edition *message_edition(struct message *m, const struct config_route *route);
/* Something that gathers is here: there is where to. False without memory. */
bool message_gather(struct message *m);
/* Starts the next destination with an association limit, if none is being waited for. */
void message_start_next_limited(struct message *m);
/* message.c: the next of its sinks, whose callbacks come to the message. There is room for it. */
void message_take_sink(struct message *m, struct sink *s);

/* message_watch.c: from now on, until it is answered. */
void message_watch(struct message *m);

/* verdict.c: the worst of the outcomes' statuses with its comment. */
/* Whose it is; NULL: nobody's, all is well, or it is ours. */
const struct message_outcome *message_verdict(const struct message *m, uint16_t *status_out,
                                              const char **comment_out);

#endif
