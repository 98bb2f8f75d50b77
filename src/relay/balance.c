#include "relay/balance.h"

#include <math.h>
#include <string.h>
#include <xxhash.h>

#include "base/assert.h"

double balance_score(const char *member, unsigned weight, struct view key)
{
    uint64_t hash = XXH64(key.at, key.len, XXH64(member, strlen(member), 0));
    double h = ((double)(hash >> 11) + 0.5) / 9007199254740992.0; /* 2^53 */
    return -(double)weight / log(h);
}

static double score_of(const struct balance *b, size_t i)
{
    return balance_score(b->pool->members[i]->name, b->pool->weights[i], b->key);
}

/* Each round all gain their weight, and the one that has most pays for all: so turns of one member stand as far apart as they can. */
static size_t member_at_turn(const struct config_pool *pool, uint64_t turn)
{
    int64_t credit[CONFIG_POOL_MEMBERS_MAX] = {0}, sum = 0;
    size_t best = 0;
    for (size_t i = 0; i < pool->member_count; i++)
        sum += pool->weights[i];
    uint64_t last = sum > 0 ? turn % (uint64_t)sum : 0;
    for (uint64_t round = 0; round <= last; round++) {
        best = 0;
        for (size_t i = 0; i < pool->member_count; i++) {
            credit[i] += pool->weights[i];
            best = credit[i] > credit[best] ? i : best;
        }
        credit[best] -= sum;
    }
    return best;
}

static bool has_less(const struct balance *b, size_t i, size_t than)
{
    double here = (double)b->outstanding[i] / b->pool->weights[i];
    double there = (double)b->outstanding[than] / b->pool->weights[than];
    return here != there ? here < there : score_of(b, i) > score_of(b, than);
}

static bool is_before(const struct balance *b, enum config_balance by, size_t i, size_t other, size_t at_turn)
{
    size_t count = b->pool->member_count;
    if (by == CONFIG_BALANCE_STUDY)
        return score_of(b, i) > score_of(b, other);
    if (by == CONFIG_BALANCE_LEAST)
        return has_less(b, i, other);
    if (by == CONFIG_BALANCE_ROUND_ROBIN)
        return (i + count - at_turn) % count < (other + count - at_turn) % count;
    return i < other;
}

int balance_first(const struct balance *b, enum config_balance by, uint64_t passed_over)
{
    int best = BALANCE_NONE;
    hilum_assert(b->pool->member_count <= CONFIG_POOL_MEMBERS_MAX);
    size_t at_turn = by == CONFIG_BALANCE_ROUND_ROBIN ? member_at_turn(b->pool, b->turn) : 0;
    for (size_t i = 0; i < b->pool->member_count; i++)
        if (!(passed_over >> i & 1) && (best < 0 || is_before(b, by, i, (size_t)best, at_turn)))
            best = (int)i;
    return best;
}

int balance_member(const struct config_pool *pool, const char *name)
{
    for (size_t i = 0; i < pool->member_count; i++)
        if (strcmp(pool->members[i]->name, name) == 0)
            return (int)i;
    return BALANCE_NONE;
}
