/*
 * A C-STORE-RQ that belongs to a C-MOVE through us (moves.h): it goes to that move's destination and nowhere else, by no route for storage, and is never
 * queued, so that the answer to the archive is the destination's.
 */
#ifndef HILUM_RELAY_MESSAGE_MOVE_H
#define HILUM_RELAY_MESSAGE_MOVE_H

#include "relay/message.h"
#include "relay/moves.h"

struct message_move {
    struct move *move; /* NULL: not known yet, it is looked for in the data set */
    struct move_look *look;
    /* of `move`, as the association's configuration has them */
    const struct config_node *destination;
    const struct config_route *route;
    /* why it fails */
    const char *why;
    uint32_t tag;
};

/* From its command: m->move is set if it belongs to one, or may. OK; else ERR_USAGE or ERR_MEMORY: the message is to fail, by A700 and message_move_why. */
MUST_USE enum result message_move_find(struct message *m);
/* It belongs to one for sure. */
bool message_move_is_found(const struct message *m);
/* Nothing more has to come before that is known. */
bool message_move_is_known(const struct message *m);
/* While it is looked for: the next bytes. */
void message_move_data(struct message *m, const uint8_t *bytes, size_t len);
/* What is known by now; `is_ended`: nothing more comes. OK; NEED_MORE: not yet; else it fails: ERR_PROTO (cannot be read: message_move_why and m->move->tag), ERR_LIMIT,
 * ERR_MEMORY, ERR_USAGE. */
MUST_USE enum result message_move_settle(struct message *m, bool is_ended);
const char *message_move_why(const struct message *m);
/* Its one destination, in place of route_decide. OK or ERR_MEMORY. */
MUST_USE enum result message_move_decide(const struct message *m, struct route_decision *d);
void message_move_free(struct message *m);

#endif
