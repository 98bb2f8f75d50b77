/*
 * A worker's relay: inbound associations (sessions), their messages on the way to destinations, and what they share.
 * All on the worker's thread but the counter, which is the process's.
 */
#ifndef HILUM_RELAY_RELAY_H
#define HILUM_RELAY_RELAY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "association/outbound.h"
#include "config/config.h"
#include "dicom/charset.h"
#include "io/io.h"
#include "relay/circuit.h"
#include "relay/congestion.h"
#include "relay/refusals.h"
#include "relay/ruleset.h"
#include "relay/sink_folder.h"
#include "spool/spool.h"

struct affinity;
struct commitment_desks;
struct commitments;
struct delivery;
struct holdings;
struct moves;
struct probes;
struct rates;
struct studies;
struct session;

enum { RELAY_TURNS = 256 };

/* Over all workers. */
struct relay_totals {
    atomic_uint associations;                /* inbound ones that have made a request and are not over */
    atomic_uint_fast64_t turns[RELAY_TURNS]; /* of pools that go round, by their index */
    struct refusals refusals;
    struct refusals unreached; /* nodes, in negotiations */
};

struct relay {
    struct io *io;
    struct pool *pool;
    struct resolver *resolver;
    struct outbound_pool *outbound;
    struct folder_context *folders;
    struct dicom_charsets *charsets;
    struct ruleset_list rulesets; /* of configurations that some association began with */
    struct ruleset *newest_rules;
    struct relay_totals *totals;
    struct affinity *affinity; /* where studies are, of all workers */
    struct spool *spool;       /* NULL: there is no queue */
    struct circuits *circuits; /* of all workers */
    struct moves *moves;       /* C-MOVEs through us, over all workers */
    struct probes *probes;
    struct holdings *holdings;       /* which archives hold a study, over all workers */
    struct rates *rates;             /* of callers and nodes, over all workers */
    struct delivery *delivery;       /* with a spool */
    struct studies *studies;         /* likewise */
    struct spool_notes *notes;       /* likewise: what was relayed, for the ledger */
    struct commitments *commitments; /* NULL: storage commitment is not served */
    unsigned worker;

    TAILQ_HEAD(session_list, session) sessions;
    /* Connections without an association: no request yet, or over and not closed. Those with TLS may be amid a handshake, which takes memory. */
    struct silent {
        TAILQ_HEAD(silent_list, session) list; /* oldest first */
        unsigned count, max;
    } silent, silent_tls;
    uint64_t next_user;
    uint64_t gave_up_ms; /* when an instance that was gathered was last given up for want of memory */
    bool is_draining, is_stopping;
    struct io_timer drain;
    TAILQ_HEAD(all_messages, message) messages; /* begun and not freed */
    unsigned calls;                             /* the same of calls */
    struct io_task relief;                      /* memory is short */
    struct congestion congestion;               /* and has been for a while */
    void (*on_session_over)(void *owner);       /* one for each relay_accept; may be NULL */
    void *owner;
};

struct relay_options {
    struct io *io;
    struct pool *pool;
    struct resolver *resolver;
    struct permits_registry *permits;
    struct relay_totals *totals;
    struct spool *spool; /* NULL: there is no queue */
    struct affinity *affinity;
    struct circuits *circuits;
    struct moves *moves;
    struct holdings *holdings;
    struct rates *rates;
    struct commitment_desks *desks; /* NULL: storage commitment is not served */
    unsigned worker, workers, silent_max;
};

MUST_USE enum result relay_open(struct relay *r, const struct relay_options *options);

/* From now on deliveries are by this configuration; a reference is taken. Associations bring their own. */
void relay_configure(struct relay *r, struct config *config);

/* A connection has come to this listener of this configuration (a reference is taken). */
void relay_accept(struct relay *r, int fd, struct config *config, const struct config_listen *listen);

/* No message is begun any more on associations at rest: they are ended; those at work finish. */
void relay_drain(struct relay *r);
/* Nothing is on its way. */
bool relay_is_quiet(const struct relay *r);
/* Ends everything at once. relay_is_empty becomes true after some turns. */
void relay_stop(struct relay *r);
bool relay_is_empty(const struct relay *r);
/* The thread ends: what is to be remembered is handed over. Before the spool is closed. */
void relay_leave(struct relay *r);
void relay_close(struct relay *r);

#endif
