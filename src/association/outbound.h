/*
 * A worker's outbound associations: opened on demand, used by one sender at a time, reused, lingering, limited.
 *
 * Whoever has a message for a node describes what it needs in a `struct outbound_want` and gets an association that can take
 * it now. One serves one sender until all of that sender's responses are in; then it may serve the next with the same
 * node, calling title and profile (roles, extended negotiation) and the needed context. One with a user identity is
 * private to its sender. All on the worker's thread.
 */
#ifndef HILUM_ASSOCIATION_OUTBOUND_H
#define HILUM_ASSOCIATION_OUTBOUND_H

#include <sys/queue.h>

#include "association/association.h"
#include "association/knowledge.h"
#include "association/permits.h"
#include "association/voice.h"
#include "config/config.h"

struct outbound_pool;
struct outbound;
struct outbound_want;

enum outbound_failure {
    OUTBOUND_UNREACHABLE,  /* no connection, or it was lost before the association stood */
    OUTBOUND_REJECTED,     /* by A-ASSOCIATE-RJ or A-ABORT */
    OUTBOUND_NOT_ACCEPTED, /* the association stands, but no context for what is needed */
    OUTBOUND_NO_PERMIT,    /* none became free in time */
    OUTBOUND_OUT_OF_MEMORY,
};

struct outbound_want {
    /* set by the caller */
    void *owner;
    struct config *config; /* a reference is taken for the association */
    const struct config_node *node;
    const char *calling; /* the title the node sees */
    uint64_t user;       /* the sender: never 0 */
    uint64_t profile;    /* hash of roles and extended negotiation */
    bool is_private;     /* carries a user identity: only for this user */
    const char *abstract_syntax,
        *transfer_syntax; /* needed; NULL: just open a fresh association (negotiation) */
    bool fresh_only;      /* not one that carried messages before */
    bool
        is_own; /* an association that serves this user alone, and has been opened for that. Without keeps: and, while it is under way, no other such want */
    bool
        keeps; /* is_own too, and it stays until outbound_forget_user: what is done on it stands on what was done before. A user has one with a node, and waits for it */
    bool
        is_alone; /* the user has one at a time: where another is opened, those of its own that rest are released before */
    bool
        is_probe; /* without a free permit it fails at once, and nobody is asked to make room; the log says little of it */
    uint64_t wait_ms; /* for a permit, or a busy node */
    /* With `is_own` or `keeps`: whether an association that nobody has used yet, opened for this user (by a negotiation), will do. NULL: none will. */
    bool (*suits)(const struct outbound_want *w, const struct association *a);
    /* Fills contexts, roles and so on of a new request (everything but titles, max length and our own identity). */
    bool (*build)(struct outbound_want *w, struct pdu_associate *request);
    /* Attached to the association when it is ready, so that its end is told to the exchange. NULL for a negotiation. */
    struct outbound_exchange *exchange;
    /* context is NULL for a negotiation. is_reused: the association carried messages before, or has rested: the node may
     * have closed it meanwhile. */
    void (*on_ready)(struct outbound_want *w, const struct association_context *context, bool is_reused);
    /* The answer to a new association, before on_ready or on_failed; valid only inside, where the want is not to be
     * cancelled. May be NULL. */
    void (*on_answer)(struct outbound_want *w, const struct pdu_associate *request,
                      const struct pdu_associate *answer);
    void (*on_failed)(struct outbound_want *w, enum outbound_failure kind, const char *why);
    /* In on_failed: the node is there, and turned this request away by itself: it was rejected for good; or aborted, or the node hung up. Another calling
     * title, or other classes, it may take. */
    bool was_turned_away, was_rejected;
    bool was_for_title; /* was_rejected, and for the calling or the called title (PS3.8 9.3.4) */

    /* private */
    struct outbound_pool *pool;
    struct permits *permits;
    struct permits_wait *permit_wait;
    bool has_permit, is_waiting, is_done;
    bool no_window; /* the node turned away a request with an async window: asked again without (quirk 8) */
    uint64_t deadline_ms, backoff_ms;
    struct io_timer timer;
    struct io_task begin;
    struct outbound *opening;
    char why[64];
    TAILQ_ENTRY(outbound_want) link;
};

/* One request on its way to a node, until its final response. */
struct outbound_exchange {
    void *owner;
    struct outbound *outbound; /* NULL: not attached */
    uint16_t message_id;
    bool is_requested; /* the command has been sent */
    uint16_t wants_id; /* not 0: its message id */
    void (*on_response)(struct outbound_exchange *x, const struct dimse_command *c);
    /* The data set of a response that announced one, after on_response, as long as the exchange is attached. NULL: it is let go. */
    void (*on_data)(struct outbound_exchange *x, struct buf *b, uint8_t *at, uint32_t len);
    void (*on_data_end)(struct outbound_exchange *x);
    /* The association ended before the final response. The exchange is over. */
    void (*on_lost)(struct outbound_exchange *x, const char *why);
    /* Some of what was queued has gone out. */
    void (*on_sent)(struct outbound_exchange *x);
    TAILQ_ENTRY(outbound_exchange) link;
};

struct outbound {
    struct association a;
    struct outbound_pool *pool;
    struct config *config;
    const struct config_node *node;
    char calling[17];
    uint64_t profile, user;
    bool is_own, keeps, is_private, is_used, is_leaving, is_doomed, is_open, asked_window, is_probe;
    struct permits *permits; /* one is held; NULL: none */
    unsigned outstanding;    /* attached exchanges */
    uint16_t next_id;
    uint64_t rests_from_ms;           /* idle since; 0: not idle yet */
    struct outbound_exchange *sender; /* whose message is being sent, or is to be sent next */
    struct outbound_want *opener;
    struct io_timer linger;
    struct voice voice; /* of what is no exchange's data: answers to the node's requests, C-CANCEL */
    struct outbound_exchange *answering; /* whose response's data set is coming; NULL: nobody's */
    void *foreign;                       /* of outbound_foreign; NULL: nothing of the node is under way */
    bool is_foreign_data;                /* the data set that is coming belongs to its request */
    TAILQ_HEAD(outbound_exchanges, outbound_exchange) exchanges;
    struct outbound_exchange
        *next_told; /* on_sent goes round: the one to be told next, which may leave before */
    TAILQ_ENTRY(outbound) link;
    TAILQ_ENTRY(outbound) user_link; /* with those of senders whose number ends alike */
};

/* Requests that a node makes on an association that we opened. Without it, C-ECHO is answered and all else refused (0211). */
struct outbound_foreign {
    /* A request; outbound_say answers it, now or later. False: it is not taken. */
    bool (*on_request)(struct outbound *o, uint8_t context_id, const struct dimse_command *c);
    void (*on_data)(struct outbound *o, struct buf *b, uint8_t *at, uint32_t len);
    void (*on_data_end)(struct outbound *o);
    /* The association is over, and o->foreign is not NULL. */
    void (*on_end)(struct outbound *o, const char *why);
};

struct outbound_options {
    struct io *io;
    struct pool *pool;
    struct resolver *resolver;
    struct permits_registry *permits;
    unsigned worker;                        /* for association ids: "w1-o17" */
    const struct outbound_foreign *foreign; /* may be NULL */
    void *owner;                            /* theirs: outbound_owner */
};

struct outbound_pool *outbound_pool_new(const struct outbound_options *options);
/* Ends every association, idle ones by release; nothing is opened any more, and who waits fails now. The second call, and the third, end what is still
 * there without waiting. */
void outbound_pool_close(struct outbound_pool *p);
bool outbound_pool_is_empty(const struct outbound_pool *p);
void outbound_pool_free(struct outbound_pool **p);
struct knowledge *outbound_knowledge(struct outbound_pool *p);

/* Callbacks come later, never from inside. */
void outbound_acquire(struct outbound_pool *p, struct outbound_want *w);
/* Before on_ready or on_failed: no callback comes. */
void outbound_cancel(struct outbound_want *w);

/* Sends the request of an attached exchange. Its message id is set here. If c announces a data set,
 * association_send_data(&o->a, ...) follows; outbound_sent_all in every case. False: unusable; on_lost comes, or has
 * come from inside. */
bool outbound_request(struct outbound_exchange *x, uint8_t context_id, struct dimse_command *c);
/* The message is complete (after association_send_data_end, if it has data). */
void outbound_sent_all(struct outbound_exchange *x);
/* The final response is in and all is sent, or the exchange was never requested: it leaves the association. */
void outbound_finish(struct outbound_exchange *x);
/* Gives up an exchange. If its request has begun, the association ends by A-ABORT, as soon as the answers to the sender's
 * other requests are in (bounded by `response`). No callback comes for x any more. */
void outbound_abandon(struct outbound_exchange *x, const char *why);

/* A message that is no exchange's, in its turn. What it says on an association that is over is let go. */
void outbound_say(struct outbound *o, uint8_t context_id, const struct dimse_command *c, struct slices *data);
/* Whose requests are asked to stop: C-CANCEL of an exchange that is requested. */
void outbound_cancel_request(struct outbound_exchange *x, uint8_t context_id);
/* The node's request has been answered; o->foreign is NULL afterwards. */
void outbound_foreign_over(struct outbound *o);
void *outbound_owner(const struct outbound *o);

/* The sender's association is gone: what was private to it is released. */
void outbound_forget_user(struct outbound_pool *p, uint64_t user);
/* Those that rest are released, private or not: a node may have room for one alone. */
void outbound_leave_resting(struct outbound_pool *p, uint64_t user);

#endif
