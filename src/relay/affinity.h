/*
 * Where a study began: (pool, Study Instance UID) -> member, remembered for a day after it was last asked for. One table over all workers.
 *
 * Without a spool it is in memory alone. With one it is also kept in the queue's index, so that a restart finds it, and a choice that cannot be found again by
 * hashing is durable before anything goes out by it.
 */
#ifndef HILUM_RELAY_AFFINITY_H
#define HILUM_RELAY_AFFINITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "io/io.h"
#include "spool/spool.h"

enum { AFFINITY_KEPT_MS = 24 * 60 * 60 * 1000 };

struct affinity;

/* spool may be NULL. What it remembers is read here: main thread, at the start. NULL without memory. */
struct affinity *affinity_new(struct spool *spool);
void affinity_free(struct affinity **a);

/* The member's name is copied to member_out. False: the study is new. Any thread. */
bool affinity_find(struct affinity *a, const char *pool, struct view study, char *member_out, size_t cap);

struct affinity_claim {
    /* filled by the caller; must stay until on_done */
    const char *pool;
    struct view study;
    const char *member; /* that is wanted */
    const char *
        in_place_of; /* the study is there, and that member is lost to it (failover); NULL: it is thought to be new */
    bool must_last; /* it is not what the hash says: durable before on_done */
    struct io *io;
    void *owner;
    /* The study is with `member`: the one that was wanted, or the one of somebody who was faster. is_safe false: it had to last, and the spool
     * could not write it. On io's thread, never from inside affinity_claim; may come at once (the next turn). */
    void (*on_done)(struct affinity_claim *c, const char *member, bool is_safe);
    /* private */
    struct io_message message;
    struct affinity_claim *next;
    char granted
        [64]; /* see the implementation; names are cut nowhere: longer ones are refused by the configuration's check */
    bool is_safe;
};
void affinity_claim(struct affinity *a, struct affinity_claim *c);

#endif
