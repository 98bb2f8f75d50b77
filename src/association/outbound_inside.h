/* What outbound.c and outbound_open.c share. */
#ifndef HILUM_ASSOCIATION_OUTBOUND_INSIDE_H
#define HILUM_ASSOCIATION_OUTBOUND_INSIDE_H

#include "association/outbound.h"

enum { OUTBOUND_USERS = 256 }; /* a power of two */

struct outbound_pool {
    struct outbound_options options;
    struct knowledge *knowledge;
    TAILQ_HEAD(outbound_list, outbound) all;
    TAILQ_HEAD(outbound_of_user, outbound) of_user[OUTBOUND_USERS]; /* all, by who used them last */
    TAILQ_HEAD(outbound_wants, outbound_want) waiting; /* for a permit, or until a node has room again */
    unsigned next_number;
    bool is_closing;
};

/* True if an association of the pool serves the want, which is over then. */
bool outbound_serve_from_pool(struct outbound_pool *p, struct outbound_want *w);
void outbound_hand_over(struct outbound *o, struct outbound_want *w,
                        const struct association_context *context);
/* Waiting wants look again. */
void outbound_kick(struct outbound_pool *p);
/* Takes an exchange off its association, which is returned. */
struct outbound *outbound_detach(struct outbound_exchange *x);
/* After an exchange has left: idle, leaving, or doomed. */
void outbound_settle(struct outbound *o);
/* Releases one idle association that holds such a permit, if there is one. */
void outbound_leave_idle(struct outbound_pool *p, const struct permits *permits);
/* The want is for one that its user has, or is opening, and that is busy: there is to be no second one. */
bool outbound_keeps_for(const struct outbound_pool *p, const struct outbound_want *w);
/* A node may have room for one: those of the want's user that rest there are released, but for kept ones. */
void outbound_make_room(struct outbound_pool *p, const struct outbound_want *w);
bool outbound_is_wanted(struct outbound_pool *p, const struct permits *permits);
void outbound_on_linger(struct io_timer *t);
void outbound_gone(struct outbound *o);
/* Belongs to this sender from now on. */
void outbound_set_user(struct outbound *o, uint64_t user);

/* outbound_open.c: off every list and timer. */
void outbound_want_over(struct outbound_want *w);
/* A kept one is over: who waited for it looks again. */
void outbound_wake(struct outbound_pool *p, const struct outbound *o);
/* Everyone in the line fails. */
void outbound_fail_waiting(struct outbound_pool *p, const char *why);

#endif
