/*
 * One live association, inbound or outbound: the upper layer machine (ul/) and DIMSE messages over a stream.
 *
 * A message is a command set with an optional data set, request or response, in either direction, whoever opened the
 * association. Nothing here knows what a service means, and nothing of size is copied: received data sets are handed on in
 * slices of the receive buffers, sent ones go out as slices between our own PDU headers.
 *
 * Life: association_accept or association_connect; callbacks; association_close at last, then on_gone, after which the
 * memory may go. on_end comes once, whatever ended it, before any close.
 */
#ifndef HILUM_ASSOCIATION_ASSOCIATION_H
#define HILUM_ASSOCIATION_ASSOCIATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/octets.h"
#include "dimse/command.h"
#include "io/io.h"
#include "mem/buf.h"
#include "stream/stream.h"
#include "ul/ul.h"

struct association;
struct association_connecting;

enum association_end {
    ASSOCIATION_RELEASED,      /* in order */
    ASSOCIATION_REJECTED,      /* outbound: the peer said no; ul.reject says how */
    ASSOCIATION_ABORTED,       /* by the peer */
    ASSOCIATION_FAULT,         /* by us: the peer broke the protocol, or a time-out */
    ASSOCIATION_CLOSED,        /* by us, by choice (association_abort) */
    ASSOCIATION_LOST,          /* the connection broke or was closed */
    ASSOCIATION_NO_CONNECTION, /* outbound: no connection could be made */
};

enum { ASSOCIATION_LEGS_MAX = 4 };

/* Where payload goes that is still in the socket. Of several destinations the greatest counts. */
enum association_bulk {
    ASSOCIATION_BULK_PASS,  /* to the associations named, past our memory */
    ASSOCIATION_BULK_WAIT,  /* nowhere yet: association_look_again when that may have changed */
    ASSOCIATION_BULK_EVEN,  /* one byte to on_data, so that an even number has come; then it is asked again */
    ASSOCIATION_BULK_LATER, /* at most receive_max bytes to on_data; then it is asked again */
    ASSOCIATION_BULK_RECEIVE, /* to on_data */
};
struct association_legs {
    struct association *to[ASSOCIATION_LEGS_MAX];
    unsigned count;
    size_t receive_max; /* ASSOCIATION_BULK_LATER */
};

struct association_user {
    /* Inbound: a request stands in a->ul.request; answer by association_answer or association_reject, now or later. */
    void (*on_request)(struct association *a);
    /* Outbound: accepted, a->ul.accept is there until this returns. Contexts are mapped. */
    void (*on_established)(struct association *a);
    /* A whole command set has come. The views in c last until this returns; data follow if dimse_has_data_set(c). */
    void (*on_command)(struct association *a, uint8_t context_id, const struct dimse_command *c);
    /* A piece of that message's data set; take references to keep it. */
    void (*on_data)(struct association *a, struct buf *b, uint8_t *at, uint32_t len);
    void (*on_data_end)(struct association *a);
    /* Much of a PDV of the data set is still in the socket: where shall it go? What passes goes into the data sets that those
     * associations are sending: each must be ready for it (association_may_pass). May be NULL: to on_data. */
    enum association_bulk (*on_bulk)(struct association *a, struct association_legs *legs_out);
    /* n bytes of the data set have passed. */
    void (*on_passed)(struct association *a, size_t n);
    /* The peer asks for release: answer by association_release_answer when all work is done. May be NULL: at once. */
    void (*on_release)(struct association *a);
    /* Something of what we queued has gone out. May be NULL. */
    void (*on_sent)(struct association *a);
    /* Receiving pauses because as much is held as may be. May be NULL. */
    void (*on_full)(struct association *a);
    /* It is over; `why` is a fixed or short-lived text for logs and Error Comments. The user stops using it. */
    void (*on_end)(struct association *a, enum association_end how, const char *why);
    void (*on_gone)(struct association *a);
};

struct association_limits { /* milliseconds */
    uint64_t connect, association, progress, idle;
    uint64_t min_rate; /* bytes a second, over each `progress` in the middle of a message; 0: any */
};

/* An accepted presentation context. UIDs of the registry are not copied. */
struct association_context {
    uint8_t id;
    const char *abstract_syntax;
    const char *transfer_syntax;
};

/* What a least rate is measured over. */
struct association_window {
    uint64_t from_ms, from_bytes;
};

struct association {
    const struct association_user *user;
    void *owner;
    struct io *io;
    struct pool *pool;
    struct resolver *resolver;
    struct association_limits limits;
    char id[24]; /* in every log line of it */
    struct stream stream;
    struct ul ul;
    bool is_inbound, is_established, has_ended, is_closing, is_held, is_slowed, stream_open, stream_closed;
    bool wants_close;     /* when the last bytes are out */
    bool has_hung_up;     /* while it was slowed, and its last word was looked for */
    bool release_pending; /* the peer's request waits for association_release_answer */
    struct io_address peer;

    struct association_context *contexts;
    unsigned context_count;
    char *uid_store; /* UIDs the registry does not know */
    uint16_t
        window; /* operations that may be outstanding, from us if outbound, from the peer if inbound; 1 = synchronous */

    /* receiving */
    struct slices unread;
    struct octets command;
    size_t gathered;         /* bytes of a request or a command set that count against the pool */
    uint8_t message_context; /* 0: between messages */
    bool is_in_data;
    bool is_processing;

    /* sending */
    uint32_t fragment_max;
    struct slices data; /* of the message on its way, not yet framed */
    uint8_t send_context;
    bool is_sending_data;
    struct buf *scratch;
    struct octets control; /* secret: a request may hold a passcode */

    /* payload past our memory: bypass.c */
    struct bypass *bypass;  /* from here; NULL: never yet */
    struct bypass_leg *leg; /* to here; NULL: nothing passes */
    bool is_paced;          /* association_is_paced */
    bool waits_to_pass;     /* no receive before association_look_again */
    bool is_cut;            /* the peer has a part of a fragment whose rest will never come */

    bool has_work;       /* something is outstanding: idle does not count. Set by the user */
    uint64_t work_ms;    /* when it was last so */
    uint64_t held_up_ms; /* when reading last waited for us: the peer's silence counts from then */
    struct association_window coming, going;
    unsigned messages_in; /* that have come whole */
    uint64_t payload_in;  /* bytes of command and data sets that have come */
    unsigned watched_message;
    struct io_timer artim, watch;
    struct io_task flush, gone;

    /* connecting */
    struct association_connecting *connecting; /* connect.c; NULL: not under way */
    const char *tcp_congestion;
    struct tls_context *tls; /* NULL: plain. Borrowed until the stream is open */
};

/* Takes the connected descriptor. False without memory (the descriptor is closed, no callback comes). */
bool association_accept(struct association *a, int fd);

/* Connects to host:port, each address in turn within limits.connect, and requests. Takes *request. Fill user, owner, io, pool, resolver, limits, id,
 * tls and tcp_congestion before (in both cases); all else is zeroed by association_init. */
void association_init(struct association *a);
void association_connect_take(struct association *a, const char *host, uint16_t port,
                              struct pdu_associate *request);

/* Inbound: contexts are mapped from request and answer. Takes *answer. */
void association_answer_take(struct association *a, struct pdu_associate *answer);
void association_reject(struct association *a, struct pdu_reject reject);

/* Asks for release (outbound); on_end follows. Nothing may be outstanding. */
void association_release(struct association *a);
void association_release_answer(struct association *a);
/* A-ABORT by choice (source user); on_end follows with ASSOCIATION_CLOSED. */
void association_abort(struct association *a, const char *why);
/* A-ABORT because of a fault or time-out (source provider); on_end follows with ASSOCIATION_FAULT. */
void association_fault(struct association *a, struct pdu_fault fault);
/* After on_end (or to give up at once, without a word): frees everything as soon as the kernel lets go; then on_gone. A peer
 * that was sent an A-ABORT is given ARTIM to read it. */
void association_close(struct association *a);

/* After association_close: the connection is closed at once, whether the peer has read our last bytes or not. */
void association_drop(struct association *a);

/* What every request and answer of ours says: application context, the maximum length that we take, who
 * we are. The views are constant texts. */
void association_introduce(struct pdu_associate *ours, uint32_t max_length);

/* No further message is read until association_resume; what has been received waits. Callable from callbacks. */
void association_hold(struct association *a);
void association_resume(struct association *a);

/* Nothing more is taken from the peer until association_hurry, in the middle of a message too: TCP slows it. A peer that hangs up meanwhile is lost at once,
 * with what it left unread; between messages one look is taken first, for its last word may be a release. Callable from callbacks. */
void association_slow(struct association *a);
void association_hurry(struct association *a);

/* The accepted context with this id, or NULL. */
const struct association_context *association_context(const struct association *a, uint8_t id);
/* The accepted context for these syntaxes, or NULL. */
const struct association_context *association_find(const struct association *a, const char *abstract_syntax,
                                                   const char *transfer_syntax);

/* True when a new message may be started: established and the last one's data set is complete. */
bool association_may_send(const struct association *a);
/* Sends a command set; if it announces a data set, association_send_data and _data_end follow. False: without memory,
 * and the association is then unusable (abort it). */
bool association_send_command(struct association *a, uint8_t context_id, const struct dimse_command *c);
bool association_send_data(struct association *a, struct buf *b, uint8_t *at, uint32_t len);
/* What waits to fill a fragment is sent now, if nothing else is on its way; if memory is short, the rest does not pin a
 * receive buffer either. */
void association_flush(struct association *a);
/* The last fragment; an odd total is padded with one NUL (PS3.8 E.1, quirk 25). */
bool association_send_data_end(struct association *a);
/* Whether payload may pass to this association now: everything that it was given has left. ASSOCIATION_BULK_WAIT: then what waits to
 * fill a fragment is sent, and on_sent will tell. */
enum association_bulk association_may_pass(struct association *a);
/* True if the kernel paces what is sent there (bbr): it leaves in small portions, and passing by saves nothing. */
bool association_is_paced(const struct association *a);
/* on_bulk is asked again, if it said ASSOCIATION_BULK_WAIT. */
void association_look_again(struct association *a);
/* True while it is we who do not read: what the peer has to say waits in the socket. */
bool association_is_held_up(const struct association *a);
/* Bytes that are framed, or are passing, and not with the kernel yet: 0 means that the peer has taken what it could be given. */
size_t association_backlog(const struct association *a);

/* The subject of the peer's certificate as RFC 4514 writes it; "": it has shown none. */
const char *association_peer_subject(const struct association *a);

const char *association_end_name(enum association_end how);

#endif
