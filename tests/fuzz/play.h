/*
 * The world around a worker's relay, for fuzz_association: senders on one side, nodes on the other, all on one thread and in one process. Each
 * step does something at one end; between steps the ring turns until nothing moves. Time stands still but for steps that wait.
 *
 * What a node answered a C-STORE with is remembered by instance, and what senders were told: nobody may be told of a success that no node has said.
 */
#ifndef HILUM_TESTS_FUZZ_PLAY_H
#define HILUM_TESTS_FUZZ_PLAY_H

#include "config/config.h"
#include "dimse/command.h"
#include "input.h"
#include "io/io.h"
#include "pdu/associate.h"
#include "pdu/reader.h"
#include "relay/relay.h"

enum { SENDERS = 4, NODES = 2, CALLS = 12, PENDING = 8, LEDGER = 32, CONTEXTS = 16 };

/* An instance, as both sides name it. */
struct account {
    char uid[65];
    unsigned taken, told; /* C-STORE-RSPs of success: by nodes, to senders */
};

struct ledger {
    struct account accounts[LEDGER];
    unsigned count;
    bool
        is_over; /* more instances than it holds, or a node has said what no node says: nothing is held against anybody */
};

/* NULL: no room, and from then on it is over. */
struct account *ledger_find(struct ledger *l, struct view uid);

/* What comes from the gateway, as PDUs and command sets. */
struct ear {
    struct pdu_reader reader;
    struct octets command;
    struct dimse_command request; /* its data set is coming; views into `text` */
    struct octets text;
    uint8_t context_id;
    uint64_t data_bytes;
    bool awaits_data, is_lost;
};

/* One connection's other end. */
struct wire {
    int fd; /* -1: none */
    bool is_deaf;
    struct octets waiting; /* to be sent: the socket was full */
};

struct sender {
    struct wire wire;
    struct ear ear;
    uint16_t next_id;
    bool deflates; /* its data sets are for a context that is deflated */
};

/* A connection to a node. */
struct call_in {
    struct wire wire;
    struct ear ear;
    unsigned node;
    struct dimse_command pending[PENDING]; /* requests without an answer, whose views are in `values` */
    struct octets values[PENDING];
    uint8_t pending_context[PENDING];
    unsigned pending_count;
};

/* How a node behaves from now on. */
struct manner {
    uint8_t associate; /* 0-3 accept; 4 reject; 5 accept half of it; 6 say nothing; 7 close */
    uint8_t answer;    /* index of a status; 15: not by itself */
    uint8_t pendings;  /* responses before the last, to what has them */
};

struct node {
    int listener;
    uint16_t port;
    struct manner manner;
};

struct play {
    struct pool pool;
    struct io *io;
    struct resolver *resolver;
    struct config *config;
    struct io_task now; /* keeps a turn from waiting */
    struct node nodes[NODES];

    /* of one input */
    struct relay relay;
    struct permits_registry *permits;
    struct relay_totals totals;
    struct sender senders[SENDERS];
    struct call_in calls[CALLS];
    struct ledger ledger;
    uint16_t last_move; /* message id of the C-MOVE that a node has had last */
    bool moved;         /* something has come or gone in this round */
};

/* --- fuzz_association.c */
/* The ring turns, and both sides look, until nothing moves. */
void play_settle(struct play *p);

/* --- play_wire.c */
void wire_open(struct wire *w, int fd);
/* `resets`: without a FIN, as a process that dies. */
void wire_close(struct wire *w, bool resets);
void wire_send(struct play *p, struct wire *w, const struct octets *bytes);
/* Gives the ear what has come. False: the connection is over. */
bool wire_listen(struct play *p, struct wire *w, struct ear *e,
                 void (*on_event)(void *arg, const struct pdu_event *e), void *arg);
void ear_init(struct ear *e);
void ear_free(struct ear *e);
/* One event of P-DATA. True: a command set is whole (`request`), or the data set behind it: awaits_data says which. */
bool ear_hear(struct ear *e, const struct pdu_event *event);

/* Well-formed PDUs, appended. */
void play_pdv(struct octets *o, uint8_t context_id, uint8_t control, const void *bytes, size_t len);
void play_message(struct octets *o, uint8_t context_id, const struct dimse_command *c, struct view data,
                  size_t fragment);
void play_pdu(struct octets *o, uint8_t type, struct view body);

/* --- play_node.c */
void node_listen(struct node *n);
void nodes_turn(struct play *p);
/* Answers the oldest request that waits on one of the calls. */
void node_answer_one(struct play *p, unsigned which, uint8_t status);
/* Its connections are reset. */
void node_dies(struct play *p, unsigned node);
/* A request of its own, on the which-th connection there is: a C-STORE, or an N-EVENT-REPORT. */
void node_asks(struct play *p, unsigned which, struct input *in);
/* Bytes of the script's own, on the which-th connection there is. */
void node_says(struct play *p, unsigned which, const struct octets *bytes);
void nodes_close(struct play *p);

/* --- play_sender.c */
struct play_syntax {
    const char *abstract;
    bool is_storage;
};
extern const struct play_syntax play_syntaxes[CONTEXTS];
/* An instance that says its number; Explicit VR Little Endian. */
void store_data(struct octets *o, unsigned instance, size_t len, uint8_t filled_with);
/* One step of one sender; what it is stands in the input. */
void sender_step(struct play *p, uint8_t what, struct input *in);
void senders_turn(struct play *p);
void senders_close(struct play *p);

#endif
