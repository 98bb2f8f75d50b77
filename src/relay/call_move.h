/* What a C-MOVE to one archive is beside a leg: its destination as that archive knows it, and for one through us its place among the moves in progress. For
 * the plans that send C-MOVEs. */
#ifndef HILUM_RELAY_CALL_MOVE_H
#define HILUM_RELAY_CALL_MOVE_H

#include "relay/call.h"
#include "relay/moves.h"

/*
 * After call_set_leg, before leg_begin: Move Destination and message id of leg i, which goes to this archive. *move_out is NULL where the archive
 * sends by itself; else it is for call_move_end, when the leg is over.
 *
 * False: the leg is not to begin. *status_out and comment_out say why, and name the archive: A801, or A700 where there is no room.
 */
MUST_USE bool call_move_begin(struct call *c, unsigned i, const struct call_destination *archive,
                              struct move **move_out, uint16_t *status_out, char comment_out[65]);
/* Nulls it; NULL is nothing to end. */
void call_move_end(struct call *c, struct move **move);

#endif
