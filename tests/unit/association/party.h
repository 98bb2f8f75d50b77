/*
 * Both ends of an association under test: `party` is one of ours that notes all that happens to it, `wire` is its peer, a plain
 * socket that sends and reads PDUs by hand. Everything happens on the test's own loop.
 */
#ifndef HILUM_TESTS_PARTY_H
#define HILUM_TESTS_PARTY_H

#include "../loop.h"
#include "association/association.h"

/* --- the peer */

struct wire {
    struct loop *loop;
    int fd;
    struct octets came;
    bool is_deaf; /* reads nothing */
    bool is_closed;
};

/* Two connected sockets of the loopback; neither waits. */
void wire_pair(int *one, int *two);
int wire_listen(uint16_t *port_out);
/* Waits for a connection. */
void wire_accept(struct wire *w, struct loop *l, int listener);
void wire_close(struct wire *w);

void wire_send(struct wire *w, const void *bytes, size_t len);
void wire_send_request(struct wire *w, uint32_t max_length);
/* Context 1 and 3 accepted. window: operations that may be invoked; -1 leaves the item out. */
void wire_send_accept(struct wire *w, uint32_t max_length, int window);
void wire_send_reject(struct wire *w, uint8_t result, uint8_t source, uint8_t reason);
void wire_send_release_rq(struct wire *w);
void wire_send_release_rp(struct wire *w);
void wire_send_abort(struct wire *w);
void wire_send_data(struct wire *w, uint8_t context_id, uint8_t control, const void *bytes, size_t len);
void wire_send_command(struct wire *w, uint8_t context_id, const struct dimse_command *c);

/* Reads what is there. */
void wire_poll(struct wire *w);
/* Waits for a whole PDU: its type; body_out (may be NULL) takes what follows the header. */
uint8_t wire_pdu(struct wire *w, struct octets *body_out);
/* Waits for the end of the connection; what came before it is dropped. */
void wire_until_closed(struct wire *w);

/* A whole message: command set, data set, and what its PDUs were like. */
struct wire_message {
    struct octets command_bytes, data;
    struct dimse_command command;
    uint8_t context_id;
    uint32_t longest; /* PDU length field */
    unsigned pdus, odd_fragments, empty_fragments, mixed_pdus;
};
void wire_read_message(struct wire *w, struct wire_message *m);
void wire_message_free(struct wire_message *m);

/* --- our side */

#define SAMPLE_CLASS    "1.2.840.10008.5.1.4.1.1.2" /* CT Image Storage, context 1 with Implicit VR LE */
#define SAMPLE_CLASS_2  "1.2.3.4.5.6.7.8.9"         /* not in the registry, context 3 with Explicit VR LE */
#define SAMPLE_INSTANCE "1.2.3.99"

struct pdu_associate sample_request(uint32_t max_length, int window);
struct pdu_associate sample_accept(uint32_t max_length, int window);
struct dimse_command sample_store(uint16_t message_id);
struct dimse_command sample_echo(uint16_t message_id);
struct dimse_command sample_response(uint16_t field, uint16_t responded_id, uint16_t status, bool has_data);

enum party_event {
    PARTY_REQUEST = 1,
    PARTY_ESTABLISHED,
    PARTY_COMMAND,
    PARTY_DATA,
    PARTY_DATA_END,
    PARTY_RELEASE,
    PARTY_SENT,
    PARTY_END,
};

struct party {
    struct association a;
    struct loop *loop;
    void *owner;
    void (*hook)(struct party *p, enum party_event e); /* after the event has been noted; NULL: none */
    bool thinks;                                       /* does not answer requests by itself */
    bool leaves_open;                                  /* does not close at the end by itself */
    uint32_t max_length;                               /* announced in answers */
    int window;
    unsigned requests, established, commands, data_ends, releases, sents, ends, gones, late;
    enum association_end how;
    char why[96];
    struct dimse_command last; /* without its views */
    uint8_t last_context;
    struct octets data;
};

void party_init(struct party *p, struct loop *l, struct association_limits limits);
/* Inbound: w is the requestor's end of its connection. */
void party_accept(struct party *p, struct loop *l, struct association_limits limits, struct wire *w);
/* Inbound and already agreed. */
void party_accept_established(struct party *p, struct loop *l, struct association_limits limits,
                              struct wire *w, uint32_t peer_max_length);
/* Outbound: w is the acceptor's end, which has read the request and not answered yet. */
void party_connect(struct party *p, struct loop *l, struct association_limits limits, struct wire *w);
/* Outbound and agreed. */
void party_connect_established(struct party *p, struct loop *l, struct association_limits limits,
                               struct wire *w);
/* Ends what has not ended, and waits until it is gone. */
void party_close(struct party *p);
/* Sends len bytes from a buffer of their own. */
bool party_send_data(struct party *p, const uint8_t *bytes, size_t len);

extern const struct association_limits LONG_LIMITS;

#endif
