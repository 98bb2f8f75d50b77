/*
 * The sink: an acceptor that takes any instance, looks at every PDU, PDV and command, and throws the payload away where it can
 * without having copied it. One thread, one epoll set. Private to sink*.c.
 */
#ifndef HILUM_BENCH_SINK_H
#define HILUM_BENCH_SINK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/octets.h"
#include "dimse/command.h"
#include "figures.h"
#include "finding.h"
#include "secure.h"
#include "ul/ul.h"

enum {
    SINK_BUFFER_BYTES = 256 << 10,
    SINK_HEAD_BYTES = 2 << 10, /* of each data set that are looked at */
};

struct sink_options {
    uint16_t port;
    uint32_t max_pdu;
    uint64_t late_ns;          /* --answer-after */
    uint64_t bytes_per_second; /* 0: as fast as it goes */
    uint64_t stall_after;
    bool has_stall;
    bool is_rejecting;
    uint16_t status;
    bool has_nagle;
    const char *congestion;
    int cpu; /* -1: not pinned */
    uint16_t window;
    bool is_unchecked;         /* --no-read-check */
    uint32_t answers;          /* to a query; 0: queries are refused */
    uint64_t work_ns;          /* of the processor, before each of them */
    struct secure_options tls; /* plain without a certificate */
};

struct tally {
    uint64_t instances, bytes, associations, aborts, faults;
    uint64_t queries, answers, cancels;
    uint64_t first_ns, last_ns; /* the first message's first byte, the last answer; 0: none yet */
};

TAILQ_HEAD(connections, connection);
TAILQ_HEAD(answers, answer);

struct sink {
    struct sink_options options;
    struct tally tally;
    int epoll;
    uint8_t *buffer;            /* SINK_BUFFER_BYTES, shared: nothing of it outlives a read */
    struct connections open;    /* all */
    struct connections waiting; /* for a request or for the peer to close: ARTIM, oldest first */
    struct connections slow;    /* have read what they may for now */
    struct answers late;        /* rising by when they are due */
    struct octets scratch;      /* of answers that go at once */
    struct finding finding;     /* of queries */
    struct secure_side *tls;    /* NULL: plain */
    uint64_t accepted;          /* connections so far */
    uint64_t slow_due_ns;
};

/* One message on its way in. */
struct incoming {
    bool has_command; /* complete, and its data set follows */
    bool is_begun;    /* a byte of the data set has come */
    uint8_t context_id;
    struct octets command_bytes;
    struct dimse_command command; /* views into command_bytes */
    struct octets head;           /* the front of the data set, up to SINK_HEAD_BYTES */
    uint64_t bytes;               /* of the data set so far */
};

/* A query that is being answered. */
struct query {
    bool is_active;
    uint8_t context_id;
    uint16_t message_id;
    uint32_t sent;
    struct octets pending, final; /* PDUs of one answer; the last response's command set */
    size_t data_at;               /* its data set in `pending` */
};

struct connection {
    TAILQ_ENTRY(connection) open_next, waiting_next, slow_next;
    struct sink *sink;
    uint64_t number; /* for messages to people */
    int fd;
    uint32_t events;    /* what epoll watches for */
    struct secure *tls; /* NULL: plain */
    struct ul ul;
    struct octets out; /* not sent yet */
    struct incoming in;
    struct query query;
    uint64_t accepted_contexts[4];                       /* a bit an id */
    uint64_t explicit_contexts[4], implicit_contexts[4]; /* those of them that are VR Little Endian */
    uint32_t peer_max;
    uint16_t window, outstanding; /* granted; taken and not answered */
    uint64_t data_bytes;          /* on this association */
    uint64_t artim_due_ns;        /* 0: not running */
    int64_t allowance;            /* bytes that may be read now, with --bytes-per-second */
    uint64_t allowed_ns;          /* when it was last filled */
    bool is_slow, is_stalled, is_closing;
    bool is_in_pdv; /* the first piece of a PDV has come, its last has not */
    bool
        is_bulk; /* the last PDV was large: the next read is short, so that the payload behind it can be dropped */
};

/* An answer that waits until it is late enough. */
struct answer {
    TAILQ_ENTRY(answer) next;
    struct connection *to;
    uint64_t due_ns;
    uint8_t context_id;
    bool is_store;
    uint64_t store_bytes;
    struct octets command;
};

/* sink_connection.c. The connection frees itself when its time is over. */
void connection_accept(struct sink *s, int fd);
void connection_on_event(struct connection *c, uint32_t events);
void connection_free(struct connection *c);
/* Sends an answer and what waits with it. */
void connection_answer(struct connection *c, uint8_t context_id, const struct octets *command);
/* Sends bytes of whole PDUs; only while nothing waits. */
void connection_send(struct connection *c, const uint8_t *bytes, size_t len);
/* Data may be sent, and nothing waits before them. */
bool connection_may_send(const struct connection *c);
/* A fault above the upper layer: told, counted, A-ABORT. Later bytes of the peer are not looked at. */
void connection_fault(struct connection *c, const char *why);
/* A fault that does not keep the association from going on: told and counted. */
void connection_complain(struct connection *c, const char *why);
/* Reads on where --bytes-per-second had stopped it. */
void connection_read_on(struct connection *c);

/* sink_message.c */
void message_on_data(struct connection *c, const struct pdu_event *piece);
void message_free(struct incoming *in);
/* True if what comes of the present PDV is not looked at any more. */
bool message_is_payload(const struct connection *c);
/* Answers that are due; those of a connection that is gone. */
void answers_send_due(struct sink *s, uint64_t now);
void answers_forget(struct sink *s, const struct connection *to);

/* sink_find.c. query_begin: the command of `in` is one, and complete. query_go_on: as many answers as the connection takes. */
void query_begin(struct connection *c);
void query_cancel(struct connection *c, uint8_t context_id, const struct dimse_command *cancel);
void query_go_on(struct connection *c);
void query_free(struct connection *c);

/* sink_check.c: what the front of a data set says against its command and its length; NULL, or what is wrong. */
const char *check_data_set(struct view head, bool is_implicit, struct view sop_instance, uint64_t bytes);

#endif
