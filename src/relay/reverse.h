/*
 * What a node asks on an association that we opened for a sender, passed on to that sender: the C-STOREs of a C-GET, and N-EVENT-REPORTs (PS3.7 9.1.3, 10.1.1). The
 * sender's answer goes back. Data sets flow as they come, from 64 KiB on; smaller ones are whole before they leave.
 *
 * If the node is lost in the middle of a data set that has begun to flow, the sender's association ends: what has begun cannot be taken back (PS3.8 E.1).
 */
#ifndef HILUM_RELAY_REVERSE_H
#define HILUM_RELAY_REVERSE_H

#include "relay/session.h"

/* For the pool of outbound associations, whose owner is the relay. */
extern const struct outbound_foreign reverse_foreign;

/* A request of our own to the sender, in its turn: *data is moved. on_answer comes once, later: is_answered false: it is lost, or was silent. NULL
 * without memory, or if the association is over. */
struct reverse *reverse_ask(struct session *s, uint8_t context_id, const struct dimse_command *c,
                            struct slices *data, void *owner,
                            void (*on_answer)(void *owner, bool is_answered, uint16_t status));
/* Its answer is not waited for any more: on_answer does not come. */
void reverse_forget(struct reverse *r);

/* A response of the sender. False: it answers nothing that was asked. */
bool reverse_response(struct session *s, const struct dimse_command *c);
/* Its data set. */
void reverse_data(struct session *s, struct buf *b, uint8_t *at, uint32_t len);
void reverse_data_end(struct session *s);
/* Some of what was queued for the sender has gone out. */
void reverse_sent(struct session *s);
/* The sender is lost. */
void reverse_sender_lost(struct session *s);

#endif
