/*
 * Where a study began: (pool, Study Instance UID) -> member, remembered for a day after it was last asked for. One table over all workers.
 *
 * Without a spool it is in memory alone. With one it is also kept in the queue's index, so that a restart finds it, and a choice that cannot be found again by
 * hashing is durable before anything goes out by it. Of another process that shares the spool's folder only that is known which it had written when this one
 * started.
 *
 * At most AFFINITY_MOST studies are in memory, some 40 bytes each. Past that those that have not been asked for the longest are forgotten, some thousands at
 * once: they are new again, and go where the hash says. (The index still has them, for the next start.)
 */
#ifndef HILUM_RELAY_AFFINITY_H
#define HILUM_RELAY_AFFINITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "io/io.h"
#include "spool/spool.h"

enum { AFFINITY_KEPT_MS = 24 * 60 * 60 * 1000, AFFINITY_MOST = 3 << 20 };

struct affinity;

/* spool may be NULL. What it remembers is read here: main thread, at the start. NULL without memory. */
struct affinity *affinity_new(struct spool *spool);
/* No thread asks any more; of claims that a worker left open when it was stopped without waiting nobody hears. Nulls the pointer. */
void affinity_free(struct affinity **a);

/* The member's name is copied to member_out, which must have room for the longest one of the configuration. False: the study is new, or it is just being written down
 * where it goes; a claim tells. Any thread. */
bool affinity_find(struct affinity *a, const char *pool, struct view study, char *member_out, size_t cap);

struct affinity_claim {
    /* filled by the caller; must stay until on_done */
    const char *pool;
    struct view study;
    const char *member; /* that is wanted */
    const char *
        in_place_of; /* the study is there, and that member is lost to it (failover); NULL: it is thought to be new */
    bool
        must_last; /* it is not what the hash says: durable before on_done. What takes another's place always is */
    struct io *io;
    void *owner;
    /* The study is with `member`: the one that was wanted, or the one of somebody who was faster; the name stays as long as the table. is_safe false: it had to last, and the spool
     * could not write it: it is as if nobody had asked. On io's thread, never from inside affinity_claim; may come at once (the next turn). */
    void (*on_done)(struct affinity_claim *c, const char *member, bool is_safe);
    /* private */
    struct affinity *affinity;
    struct affinity_key {
        uint64_t low, high;
    } key;
    const char *granted;
    bool is_safe;
    struct io_message message;
    struct spool_claim write;
    struct affinity_claim *next; /* of those that wait for the same */
};
void affinity_claim(struct affinity *a, struct affinity_claim *c);

#endif
