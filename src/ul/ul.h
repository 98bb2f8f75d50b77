/*
 * The upper layer protocol machine (PS3.8 9.2), both roles, pure: bytes, local requests and the timer in; bytes to
 * send, what to do with ARTIM and the connection, and an indication for the user out. The table (PS3.8 Table 9-10)
 * stands in table.c as data.
 *
 * P-DATA-TF is framed by the sender itself (pdu/write.h): ul_may_send_data says whether the state allows it.
 */
#ifndef HILUM_UL_UL_H
#define HILUM_UL_UL_H

#include <stdbool.h>

#include "base/octets.h"
#include "pdu/associate.h"
#include "pdu/pdu.h"
#include "pdu/reader.h"

enum ul_state {
    UL_STA1 = 1,
    UL_STA2,
    UL_STA3,
    UL_STA4,
    UL_STA5,
    UL_STA6,
    UL_STA7,
    UL_STA8,
    UL_STA9,
    UL_STA10,
    UL_STA11,
    UL_STA12,
    UL_STA13,
};

enum ul_event {
    UL_EVT1 = 1, /* A-ASSOCIATE request (local user) */
    UL_EVT2,     /* transport connect confirmed */
    UL_EVT3,     /* A-ASSOCIATE-AC received */
    UL_EVT4,     /* A-ASSOCIATE-RJ received */
    UL_EVT5,     /* transport connection indication */
    UL_EVT6,     /* A-ASSOCIATE-RQ received */
    UL_EVT7,     /* accept (local user) */
    UL_EVT8,     /* reject (local user) */
    UL_EVT9,     /* P-DATA request (local user) */
    UL_EVT10,    /* P-DATA-TF received */
    UL_EVT11,    /* A-RELEASE request (local user) */
    UL_EVT12,    /* A-RELEASE-RQ received */
    UL_EVT13,    /* A-RELEASE-RP received */
    UL_EVT14,    /* A-RELEASE response (local user) */
    UL_EVT15,    /* A-ABORT request (local user) */
    UL_EVT16,    /* A-ABORT received */
    UL_EVT17,    /* transport connection closed */
    UL_EVT18,    /* ARTIM expired */
    UL_EVT19,    /* unrecognised or invalid PDU */
};

enum ul_action {
    UL_NO_ACTION, /* the pair cannot occur */
    UL_AE1,
    UL_AE2,
    UL_AE3,
    UL_AE4,
    UL_AE5,
    UL_AE6,
    UL_AE7,
    UL_AE8,
    UL_DT1,
    UL_DT2,
    UL_AR1,
    UL_AR2,
    UL_AR3,
    UL_AR4,
    UL_AR5,
    UL_AR6,
    UL_AR7,
    UL_AR8,
    UL_AR9,
    UL_AR10,
    UL_AA1,
    UL_AA2,
    UL_AA3,
    UL_AA4,
    UL_AA5,
    UL_AA6,
    UL_AA7,
    UL_AA8,
};

/* What the user is told. */
enum ul_indication {
    UL_NOTHING,
    UL_ASSOCIATE,         /* AE-6: an acceptable request is in ul->request; accept or reject it */
    UL_ACCEPTED,          /* AE-3: ul->accept holds the AC */
    UL_REJECTED,          /* AE-4: ul->reject */
    UL_DATA,              /* DT-2, AR-6: `data` is a piece of a PDV */
    UL_DATA_END,          /* a P-DATA-TF is complete */
    UL_RELEASE,           /* AR-2: the peer asks for release; answer with UL_EVT14 when our work is done */
    UL_RELEASE_COLLISION, /* AR-8: both asked; answer with UL_EVT14 (at once is fine) */
    UL_RELEASED, /* AR-3, AR-10: our release is confirmed. In Sta12 the user still answers with UL_EVT14 */
    UL_ABORTED,  /* AA-3: by the peer: abort_source, abort_reason */
    UL_PROVIDER_ABORTED, /* AA-8: by us, because of `fault` */
    UL_CONNECTION_LOST,  /* AA-4 */
    UL_REFUSED,          /* AE-6 second outcome: the provider itself rejected the request: ul->reject */
    UL_FAULT,            /* AA-1, AA-7 by a received PDU: nothing was established; `fault` for the log */
};

/* What the caller does, in this order: append to the wire what `out` gained, ARTIM, close, indication. */
enum {
    UL_SEND = 1,        /* `out` has gained bytes */
    UL_START_ARTIM = 2, /* start or restart */
    UL_STOP_ARTIM = 4,
    UL_CLOSE = 8,    /* close the transport connection once the bytes are out */
    UL_CONNECT = 16, /* AE-1 */
};

struct ul_outcome {
    unsigned effects;
    enum ul_indication indication;
    struct pdu_event data; /* UL_DATA */
    struct pdu_fault fault;
    uint8_t abort_source, abort_reason;
    enum ul_state from;  /* for the log: ul_transition_name */
    enum ul_event event; /* 0 if no transition happened */
    enum ul_action action;
};

struct ul {
    enum ul_state state;
    bool is_requestor;
    struct pdu_reader reader;
    struct pdu_associate
        request; /* acceptor: as received, from UL_ASSOCIATE on. requestor: as given to ul_connect */
    struct pdu_associate
        accept; /* requestor: as received, from UL_ACCEPTED on. acceptor: as given to ul_accept */
    struct pdu_reject reject;
};

void ul_init(struct ul *ul, bool is_requestor);
void ul_free(struct ul *ul);

/* Frees the request and accept structs, which nothing needs once contexts are mapped; a connection at rest is small. */
void ul_forget_negotiation(struct ul *ul);

/*
 * Received bytes: consumes a prefix, reports one outcome; call again with the rest until *consumed_out == len and the
 * indication is UL_NOTHING. After UL_CLOSE or in Sta1 everything is consumed unseen, in Sta4 nothing can come: it asserts.
 * Evt10 happens at the header of a P-DATA-TF, with UL_NOTHING; UL_DATA, piece by piece, and UL_DATA_END follow without an
 * event. A PDU that is refused whatever it holds is refused at its header. Works byte by byte as well as in bulk.
 */
struct ul_outcome ul_receive(struct ul *ul, const uint8_t *bytes, size_t len, size_t *consumed_out,
                             struct octets *out);

/* Requestor: Evt1, with the request to send. Takes *request (it is zeroed). */
struct ul_outcome ul_request_take(struct ul *ul, struct pdu_associate *request);
/* Acceptor: Evt7. Takes *accept; titles and reserved bytes are set from the request here (PS3.8 9.3.3). */
struct ul_outcome ul_accept_take(struct ul *ul, struct pdu_associate *accept, struct octets *out);
/* Acceptor: Evt8. */
struct ul_outcome ul_reject(struct ul *ul, struct pdu_reject reject, struct octets *out);
/* Evt15: source 0 (user). Ours: in Sta2, which has no Evt15, AA-1 as elsewhere; in Sta1 and Sta13 nothing happens. */
struct ul_outcome ul_abort(struct ul *ul, struct octets *out);
/* Ours, beside the table: a fault found above the upper layer (a PDV on a context never accepted, a command that cannot
 * be parsed) or one of our own time-outs: as Evt19, A-ABORT with source 2 and this reason (in Sta2 AA-1 makes it source
 * 0). Before the connection stands (Sta4) as Evt15: it is given up. In Sta1 and Sta13 nothing happens. */
struct ul_outcome ul_fault(struct ul *ul, struct pdu_fault fault, struct octets *out);
/* Every other event without arguments: Evt2 (sends ul->request), Evt5, Evt9, Evt11, Evt14, Evt17, Evt18. An event that the
 * table leaves empty for this state asserts, except Evt17 and Evt18, which may always come late and then do nothing. */
struct ul_outcome ul_local(struct ul *ul, enum ul_event event, struct octets *out);

/* True in Sta6 and Sta8: Evt9 is allowed (DT-1, AR-7). */
bool ul_may_send_data(const struct ul *ul);

/* The table: action for a pair, UL_NO_ACTION if empty. */
enum ul_action ul_action_for(enum ul_state state, enum ul_event event);

/* "Sta6 Evt10 DT-2", in the standard's words. */
const char *ul_state_name(enum ul_state state);
const char *ul_action_name(enum ul_action action);
void ul_transition_name(const struct ul_outcome *o, char out[32]);

#endif
