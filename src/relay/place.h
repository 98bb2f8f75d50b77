/*
 * Which member of its pool one message goes to: by the pool's balance, by what is known of the members (circuits, drained), and with balance = "study" by
 * where the message's study is.
 *
 *   place_begin   where its study is; a new study gets a member, and stays there
 *   place_next    that member has failed: another one, and the study moves there with all that comes later
 *
 * Whoever asks for one study at the same moment, on whatever worker, is told the same (affinity.h). Members that are away, drained, or have failed for this
 * message are passed over; a drained one keeps the studies that it has. All on the worker's thread.
 */
#ifndef HILUM_RELAY_PLACE_H
#define HILUM_RELAY_PLACE_H

#include "relay/affinity.h"
#include "relay/relay.h"

enum place_found {
    PLACE_NONE, /* no other may be tried: it stays with the member that it has, which is where its study is */
    PLACE_FOUND,
    PLACE_SOON, /* on_placed comes, from the loop */
};

struct place {
    /* set by the caller */
    struct relay *relay;
    const struct config_pool *pool; /* must stay */
    void *owner;
    void (*on_placed)(struct place *p);
    bool is_kept; /* it may be waited for where the study is; else nobody remembers */
    bool
        stays; /* what it is about is at the member that has it, and at no other (N-SET): it waits for that one */
    bool is_queued; /* nothing is tried now: no trial is taken for it */

    const struct config_node *member; /* once it is found */
    bool may_try;  /* it is there, as far as is known; else it is the study's own all the same */
    bool is_trial; /* of its circuit: place_end, once nothing more is heard of the member for this message */
    bool is_new;   /* it was this message that brought the study to the pool */
    bool is_safe;  /* false: that the study is there could not be made durable: nothing may go there */

    /* private */
    uint64_t failed, barred; /* members by bit */
    char key[65];
    bool is_busy;
    enum config_balance by;
    uint64_t turn;
    int wanted;
    char before[64];
    struct affinity_claim claim;
};

/* The study's UID, or where that is empty the instance's; both empty: it goes to the first that may be tried. Never PLACE_NONE. */
enum place_found place_begin(struct place *p, struct view study, struct view instance);
/* What goes there stands for a destination of this pool as well, which has that member too: from there it goes on to members of both. */
void place_share(struct place *p, const struct config_pool *other);
/* p->member has failed. */
enum place_found place_next(struct place *p);
/* Somebody has found that the study's member is another by now. */
bool place_has_moved(const struct place *p);
/* p->member is one that has failed already. */
bool place_has_failed(const struct place *p);
/* on_placed is to come: it must stay. */
bool place_is_busy(const struct place *p);
/* Nothing is tried any more, unless place_next comes. */
void place_end(struct place *p);

#endif
