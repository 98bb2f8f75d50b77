/*
 * Who speaks on an association, where more than one has something to say: a message is sent whole, or as its data set comes, and nobody else's begins before it
 * has ended (PS3.8 E.1). In order of asking.
 *
 * One a side: of a sender's association all that goes to it, of a node's what is no exchange of ours (outbound.h), which goes between these.
 */
#ifndef HILUM_ASSOCIATION_VOICE_H
#define HILUM_ASSOCIATION_VOICE_H

#include <stdbool.h>
#include <sys/queue.h>

#include "association/association.h"

/* A message that is sent as its data set comes, in its turn. */
struct voice_turn {
    void *owner;
    /* Its turn: association_send_command, data, and the end may follow, now or later; voice_next after the end. */
    void (*on_turn)(struct voice_turn *t);
    bool is_waiting; /* private */
};

struct voice_message;

struct voice {
    struct association *a;
    STAILQ_HEAD(voice_messages, voice_message) waiting;
    bool is_passing; /* in voice_next */
};

void voice_init(struct voice *v, struct association *a);
/* What waits is let go; turns are not told. */
void voice_clear(struct voice *v);

/* Says a whole message now, or in its turn: *c is copied if it has to wait, the data set's slices are moved; NULL: none. Nothing is said on an association that
 * is over. False: without memory, and the association is then unusable (abort it). */
MUST_USE bool voice_say(struct voice *v, uint8_t context_id, const struct dimse_command *c,
                        struct slices *data);
/* on_turn comes from inside, or later. False without memory. */
MUST_USE bool voice_ask(struct voice *v, struct voice_turn *t);
/* It does not want to any more. Not in the middle of its message. */
void voice_leave(struct voice *v, struct voice_turn *t);
/* Somebody's message has ended: what waits is said. False as voice_say. */
MUST_USE bool voice_next(struct voice *v);
/* What waits, in bytes. */
size_t voice_backlog(const struct voice *v);

#endif
