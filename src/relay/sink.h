/*
 * A destination of one message: fed slices as they come, says at last how it went. The message outlives its sinks.
 *
 *   new -> start -> data* -> finish -> on_done -> on_gone        the whole message came
 *   new -> start -> data* -> abandon -> on_gone                  the sender was lost: nothing of it may be completed
 *   new -> start -> data* -> on_done(failure) -> on_gone         the destination failed on the way: it is fed no more
 *
 * Callbacks may come from inside data and finish, but on_gone only from the loop (io_defer): it frees the sink.
 * All on the worker's thread.
 */
#ifndef HILUM_RELAY_SINK_H
#define HILUM_RELAY_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "association/association.h"
#include "config/config.h"
#include "dimse/command.h"
#include "io/io.h"
#include "mem/buf.h"

struct route_attributes;

/* What a sink may know of its message; owned by the message, valid until on_gone. */
struct sink_message {
    const char *association, *id;        /* "w1-17" and "w1-17/3", for logs */
    const struct dimse_command *command; /* as received */
    struct view sop_class, sop_instance; /* trimmed */
    const char *abstract_syntax, *transfer_syntax;
    const char *calling, *called; /* the sender's titles, trimmed */
    const struct config *config;
    uint64_t user; /* the sender's association, as the outbound pool knows it */
    /* Move Originator (0000,1030 and 1031) of what is sent for a C-MOVE through us; empty: there is none. */
    struct view originator_title;
    uint16_t originator_id;
    bool has_data;
    /* Of the data set as this sink gets it, by config.attributes; NULL: none is known. Needed until `start` returns. */
    const struct route_attributes *attributes;
};

struct sink;

struct sink_ops {
    /* Begins: opens what it needs; again after on_moved. Calls on_ready (at once or later) when that is done, or on_done with a failure. */
    void (*start)(struct sink *s);
    /* The next bytes of the data set. May come before on_ready: the sink keeps them by reference. */
    void (*data)(struct sink *s, struct buf *b, uint8_t *at, uint32_t len);
    /* The data set is complete. */
    void (*finish)(struct sink *s);
    /* Drop everything; no on_done. Also after on_ready, also before start. Not after on_done. */
    void (*abandon)(struct sink *s);
    /* Bytes it was given that are not with the kernel (or the file) yet. */
    size_t (*backlog)(const struct sink *s);
    /* What is kept stops the sender, or others who need memory: what can be done without is let go. NULL: nothing is. */
    void (*relieve)(struct sink *s);
    /* It stands in line for an association, which is not the destination's fault. NULL: never. */
    bool (*is_in_line)(const struct sink *s);
    /* Where payload could pass to, that is still in the sender's socket. NULL: to nowhere, it has to be brought by data(). */
    enum association_bulk (*passes_to)(struct sink *s, struct association **to_out);
    /* Forwarding may begin: 64 KiB are here or all of it. Before this nothing may leave. NULL: the sink does not care. */
    void (*flow)(struct sink *s);
};

/* Why nothing of a message could be sent. */
enum sink_fault {
    SINK_FAULT_NODE,    /* it is away, or has no room; or nothing is known */
    SINK_FAULT_TITLE,   /* it is there, and rejects whoever calls by this title */
    SINK_FAULT_REQUEST, /* it is there, and hung up when this association was asked for */
    SINK_FAULT_OURS,    /* memory, or our own limit of associations with it */
};

struct sink {
    const struct sink_ops *ops;
    const struct config_node *node;
    const struct sink_message *message;
    uint64_t progress_ms; /* when its backlog last shrank */
    bool
        may_queue; /* the queue may take over what fails here: nobody has to wait for a node that is known to be away */
    bool keeps_order; /* likewise: it goes behind what is queued there of its instance (spool_is_in_line) */
    bool is_pool;     /* one member of a pool after the other: `node` may change */
    bool has_begun;   /* something of the message has been sent */
    enum sink_fault fault; /* if it has not, and it failed */
    bool
        was_broken_off; /* it failed in the middle: the node was lost, silent, or answered what is no answer */
    bool retains;       /* it keeps what it has sent, for a second try: that is held on top of `window` */

    /* set by the message */
    void *owner;
    unsigned index;
    enum config_zero_copy zero_copy;
    bool is_started, is_ready, is_flowing, is_done;
    bool is_hasty; /* it fails rather than wait for a place at its node */
    void (*on_ready)(struct sink *s);
    /* The kernel has taken some of what it was given. */
    void (*on_taken)(struct sink *s);
    /* Of a pool, from the loop: it goes to another node, which `node` is now, and is to be started again. False: the message gives that node the same bytes
     * already, and it is done. */
    bool (*on_moved)(struct sink *s);
    /* While on_done lasts: what the node answered, whose views last as long; NULL: it did not, or it is not told. */
    const struct dimse_command *said;
    /* Likewise: the comment is the node's own words, which may name a patient. */
    bool is_quoted;
    /* Once. status is for the verdict; comment (may be NULL) at most 64 characters count. */
    void (*on_done)(struct sink *s, uint16_t status, const char *comment);
    /* The sink has freed itself after this returns. */
    void (*on_gone)(struct sink *s);
};

#endif
