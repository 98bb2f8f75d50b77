/*
 * One request to one node and all its responses: of queries, retrievals and normalized services, where what comes back counts as much as what went out.
 * (C-STORE and what else is only answered by a status goes through sinks: sink.h.)
 *
 *   begin -> on_response (pending)* -> on_response (final)                 it is over
 *   begin -> on_response (pending)* -> on_failed                          it is over: no final response came
 *   begin -> ... -> leg_abandon                                           it is over: no callback any more
 *
 * A response is handed over when its data set is complete, by reference to the receive buffers: what pauses is the node's association, once as much is held
 * as `window` allows, or for one data set header_max. All on the worker's thread; callbacks never come from inside leg_begin.
 */
#ifndef HILUM_RELAY_LEG_H
#define HILUM_RELAY_LEG_H

#include <stdbool.h>
#include <stdint.h>

#include "association/outbound.h"
#include "mem/buf.h"
#include "relay/pace.h"
#include "relay/source.h"

struct leg {
    /* set by the caller; what is pointed to must stay until it is over */
    void *owner;
    const char *association, *message; /* for logs: "w1-17", "w1-17/3" */
    struct source *source;
    const struct config_node *node; /* an AE */
    const char *abstract_syntax, *transfer_syntax;
    const struct dimse_command *
        command; /* as it is to be sent; the message id is set on the way, and has_data decides the data set type */
    const struct slices *data; /* the request's data set; NULL: none */
    uint64_t silence_ms;       /* so long a node may say nothing between responses; then it has failed */
    bool is_own; /* on an association for this sender alone: what is sent back needs its contexts */
    bool keeps;  /* on one that the sender keeps to its end: what is asked stands on what was asked before */
    bool fresh_only;     /* not an association that carried messages before */
    uint16_t message_id; /* not 0: it has to be this one (a C-MOVE through us) */
    /* A response; *data, which is empty if it has none, may be taken (moved away) and is cleared afterwards. is_final: it is over. */
    void (*on_response)(struct leg *l, const struct dimse_command *c, struct slices *data, bool is_final);
    /* status is ours, of what happened: A700 and a comment that names the node, or 0122 if it has no context for it. */
    void (*on_failed)(struct leg *l, uint16_t status, const char *comment);

    /* private */
    struct outbound_want want;
    struct outbound_exchange exchange;
    uint8_t context_id;
    size_t data_seen; /* of the response data set, when its progress was last looked at */
    bool is_over, is_in_data, is_sent, is_reused, wants_cancel, was_cancelled, has_responded;
    struct dimse_command response; /* whose data set is coming; views into `values` */
    struct octets values;
    struct slices response_data;
    struct io_timer silence;
    struct pace_node pace;
};

/* Zero what is private before. */
void leg_begin(struct leg *l);
/* Asks the node to stop, by C-CANCEL (PS3.7 9.3.2.3). Its final response still comes. Not sent yet: it is not, and on_failed comes with FE00. */
void leg_cancel(struct leg *l);
/* Its sender is gone, and it goes on: nothing is kept for anybody. */
void leg_sender_lost(struct leg *l);
/* Gives it up, over or not. If its request has been sent, the association ends. */
void leg_abandon(struct leg *l);
bool leg_is_over(const struct leg *l);

#endif
