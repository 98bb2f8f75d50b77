/* From a message to its destinations: at once, or when as much of its data set is here as routes ask for. */
#ifndef HILUM_RELAY_MESSAGE_ROUTE_H
#define HILUM_RELAY_MESSAGE_ROUTE_H

#include "relay/message.h"

/* Decides, or begins to hold (m->hold). What cannot be decided, and what nobody takes, is preset. */
void message_route(struct message *m, enum config_service service);

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
/* message_sinks.c: false without memory. The sinks are not started. */
bool message_make_sinks(struct message *m, const struct route_decision *d);

#endif
