/* A message and the queue: what of it is kept, what the queue takes over, the one commit before its answer. */
#ifndef HILUM_RELAY_MESSAGE_QUEUE_H
#define HILUM_RELAY_MESSAGE_QUEUE_H

#include "relay/message.h"

/* Its destinations are known: begins to keep what they may need. False without memory. */
bool message_queue_begin(struct message *m);

/* This destination has failed with this status, and the queue may take it over. */
bool message_queue_may_take(const struct message *m, unsigned index, uint16_t status);

/*
 * All of it is here and every destination has said how it went. True: it may be answered. False: it is being made durable, and the message
 * settles again when that is over. What is taken over counts as delivered from then on; what could not be queued fails it.
 */
bool message_queue_settle(struct message *m);

/* It is answered: what was delivered is told to the ledger, and if some of it was, what was not. */
void message_queue_note(const struct message *m);

/* It has been answered, or its sender is lost before the end: nothing more is kept. */
void message_queue_end(struct message *m);
/* Nothing of it is on its way to the log. */
bool message_queue_is_idle(const struct message *m);
void message_queue_free(struct message *m);

#endif
