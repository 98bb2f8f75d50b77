/* From a message to its destinations: at once, or when as much of its data set is here as routes ask for. */
#ifndef HILUM_RELAY_MESSAGE_ROUTE_H
#define HILUM_RELAY_MESSAGE_ROUTE_H

#include "relay/message.h"

struct place;

/* Decides, or begins to hold (m->hold). What cannot be decided, and what nobody takes, is preset. */
void message_route(struct message *m, enum config_service service);

/* Some route of the service that may hold for this request copies, or queues what fails. */
bool message_route_may_queue(const struct session *s, enum config_service service,
                             const struct dimse_command *c);

/* While m->hold: the next bytes, and the end. Once decided, the sinks are there and have been given all that was held. */
void message_route_data(struct message *m, struct buf *b, uint8_t *at, uint32_t len);
void message_route_end(struct message *m);
/* Likewise: what is held has been written, or cannot be. */
void message_route_moved(struct message *m);
/* What is held is given up; the message fails by this status. */
void message_route_fail(struct message *m, uint16_t status, const char *comment);

/* message.c: a piece to every chain. */
void message_feed_sinks(struct message *m, struct buf *b, uint8_t *at, uint32_t len);
/* message.c: permits in node order. */
void message_start_sinks(struct message *m);
void message_preset(struct message *m, uint16_t status, const char *comment);
/* message.c: something of it has been written, or its commit is over. */
void message_queue_moved(struct message *m);
/* message.c: where nobody waits for what is gathered any more it goes, unless it has to count. */
void message_leave_gathered(struct message *m);
/* message_place.c: some destination is a pool. */
bool message_has_pool(const struct route_decision *d);
/* Finds their members; the decision is the message's from now on, and empty here. OK; NEED_MORE: message_placed comes; ERR_MEMORY. */
MUST_USE enum result message_place_take(struct message *m, struct route_decision *d);
/* They are found: members stand for their pools in message_decision, and what another destination stands for has no node. False: where a copy's study
 * goes could not be made durable. */
MUST_USE bool message_settle_places(struct message *m);
struct route_decision *message_decision(struct message *m);
/* The place of the decision's i-th destination; NULL: it is a node. */
struct place *message_place_at(const struct message *m, size_t i);
/* It is a sink's from now on. */
void message_leave_place(struct message *m, size_t i);
/* The message came from there, or from one of the pool's members, and is not to go back. */
bool message_goes_back(const struct session *s, const struct route_destination *d);
/* Something is on its way to message_placed. */
bool message_is_placing(const struct message *m);
/* Nothing may be on its way. */
void message_place_free(struct message *m);
/* message.c: the members are known. */
void message_placed(struct message *m);
/* message_sinks.c: the sink of a pool goes to another member. As sink.on_moved. */
bool message_sink_moved(struct sink *s);
/* message_sinks.c: false without memory. The sinks are not started. */
bool message_make_sinks(struct message *m, const struct route_decision *d);

#endif
