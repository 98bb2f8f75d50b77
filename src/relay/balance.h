/*
 * Which member of a pool comes first for something, which second, and so on. Pure: names and numbers in, an index out.
 *
 *   study        by weighted rendezvous hashing: each member has a score for a study, made of nothing but the two names and the member's weight, and the
 *                highest one is the study's. Every worker and every gateway comes to the same. A member that goes gives up its own studies and no
 *                others, and one that comes takes its share from all
 *   least        fewest bytes outstanding for its weight; among equals as for study
 *   round-robin  by turns, each as often as its weight says, spread evenly; after it the members behind it in the file
 *   failover     in the order of the file
 *
 * The score is -weight / ln(h), h in (0, 1) from the upper 53 bits of XXH64(key, XXH64(name, 0)). Studies would move if any of that changed.
 */
#ifndef HILUM_RELAY_BALANCE_H
#define HILUM_RELAY_BALANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "config/config.h"

enum { BALANCE_NONE = -1 };

/* What is looked at. */
struct balance {
    const struct config_pool *pool;
    struct view key;             /* the study's UID, or the instance's */
    const uint64_t *outstanding; /* least: by member */
    uint64_t turn;               /* round-robin: how many had theirs before */
};

double balance_score(const char *member, unsigned weight, struct view key);

/* Index of the first member whose bit in passed_over is not set; BALANCE_NONE if all are. */
int balance_first(const struct balance *b, enum config_balance by, uint64_t passed_over);

/* Index of the member of that name; BALANCE_NONE. */
int balance_member(const struct config_pool *pool, const char *name);

#endif
