/* A state machine under test, and the bytes that a peer sends to it. */
#ifndef HILUM_TESTS_PEER_H
#define HILUM_TESTS_PEER_H

#include <stdbool.h>

#include "ul/ul.h"

/* Complete PDUs, written by hand in peer.c. */
extern const struct view PEER_RQ, PEER_AC, PEER_RJ, PEER_DATA, PEER_RELEASE_RQ, PEER_RELEASE_RP, PEER_ABORT,
    PEER_UNKNOWN;

/* The payload of PEER_DATA: one whole PDV on context 1, data, last. */
extern const struct view PEER_PAYLOAD;

/* What one or many calls brought about. */
struct seen {
    int events;                    /* transitions */
    struct ul_outcome last;        /* the last transition */
    unsigned effects;              /* of all */
    int indications;               /* other than UL_DATA and UL_DATA_END */
    enum ul_indication indication; /* the last of those */
    uint8_t payload[256];
    size_t payload_len;
    int pdv_ends, data_ends;
};

/* Feeds bytes in inputs of `chunk` (0: all at once), each a block of its own, until all is consumed. */
struct seen peer_sends(struct ul *ul, struct view bytes, size_t chunk, struct octets *out);

/* Notes a single outcome in *seen. */
void peer_note(struct seen *seen, const struct ul_outcome *o);

/* A request and an answer as the local user makes them: they encode to PEER_RQ and PEER_AC. */
struct pdu_associate user_request(void);
struct pdu_associate user_accept(void);

/* Brings *ul into a state by calls and bytes alone. False if this role never gets there. */
bool peer_reach(struct ul *ul, enum ul_state state, bool is_requestor);

#endif
