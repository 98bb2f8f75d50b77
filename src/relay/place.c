#include "relay/place.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "relay/balance.h"
#include "relay/health.h"

/* By pool; of two that share a number each has every other turn. */
static uint64_t next_turn(const struct place *p)
{
    size_t at = p->pool->as_node.index % RELAY_TURNS;
    return atomic_fetch_add_explicit(&p->relay->totals->turns[at], 1, memory_order_relaxed);
}

static uint64_t bit(int i)
{
    return UINT64_C(1) << i;
}

static struct view key_of(const struct place *p)
{
    return view_of(p->key);
}

static const struct config_node *member(const struct place *p, int i)
{
    return p->pool->members[i];
}

/* Of all that are configured: what every gateway finds, whatever is away. */
static int hashed(const struct place *p, uint64_t passed_over)
{
    struct balance b = {.pool = p->pool, .key = key_of(p)};
    return balance_first(&b, CONFIG_BALANCE_STUDY, passed_over);
}

/* For this message. */
static bool is_out(const struct place *p, int i)
{
    return (p->failed | p->barred) & bit(i);
}

static uint64_t drained(const struct place *p)
{
    uint64_t all = 0;
    for (int i = 0; i < (int)p->pool->member_count; i++)
        if (circuit_is_drained(p->relay->circuits, member(p, i)))
            all |= bit(i);
    return all;
}

/* True may be the trial of its circuit. */
static bool may_try(struct place *p, int i)
{
    bool is_trial = false;
    bool *trial = p->is_queued ? NULL : &is_trial;
    if (is_out(p, i) || !health_may_try(p->relay, member(p, i), trial))
        return false;
    p->is_trial = is_trial;
    return true;
}

static void look_at_load(const struct place *p, uint64_t outstanding[])
{
    struct circuit_view view;
    for (size_t i = 0; i < p->pool->member_count; i++) {
        circuit_look(p->relay->circuits, p->pool->members[i], io_now(p->relay->io), &view);
        outstanding[i] = view.bytes_outstanding;
    }
}

/* Where something new may go; BALANCE_NONE. */
static int find(struct place *p, uint64_t passed_over)
{
    uint64_t outstanding[CONFIG_POOL_MEMBERS_MAX];
    struct balance b = {.pool = p->pool, .key = key_of(p), .outstanding = outstanding, .turn = p->turn};
    if (p->by == CONFIG_BALANCE_LEAST)
        look_at_load(p, outstanding);
    passed_over |= p->failed | p->barred | drained(p);
    for (;;) {
        int i = balance_first(&b, p->by, passed_over);
        if (i == BALANCE_NONE || may_try(p, i))
            return i;
        passed_over |= bit(i);
    }
}

/* None may be tried: one that is not drained, if there is any. */
static int find_away(const struct place *p)
{
    int i = hashed(p, drained(p));
    return i == BALANCE_NONE ? hashed(p, 0) : i;
}

static enum place_found put(struct place *p, int i, bool may_be_tried)
{
    p->member = member(p, i);
    p->may_try = may_be_tried;
    return PLACE_FOUND;
}

/* The study is there. Where this message may not go it stays with the member that it had, which the queue may keep it for. */
static void put_known(struct place *p, int i, bool may_be_tried)
{
    put(p, p->barred & bit(i) ? balance_member(p->pool, p->member->name) : i, may_be_tried);
}

/* --- where a study is ------------------------------------------------------------------------------------------ */

static void on_claimed(struct affinity_claim *c, const char *name, bool is_safe)
{
    struct place *p = c->owner;
    int i = balance_member(p->pool, is_safe || !c->in_place_of ? name : c->in_place_of);
    p->is_busy = false;
    p->is_safe = is_safe;
    if (i != p->wanted && i != BALANCE_NONE) { /* somebody was faster, or it cannot be moved */
        health_end_trial(p->relay, member(p, p->wanted), &p->is_trial);
        p->is_new = false;
        put_known(p, i, may_try(p, i));
    } else { /* else it is of a configuration that has other members */
        p->member = member(p, p->wanted);
    }
    p->on_placed(p);
}

/* What cannot be found again by the hash alone has to be durable; so has what takes the place of something that may be. */
static enum place_found claim(struct place *p, int i, bool may_be_tried, const char *in_place_of)
{
    p->wanted = i;
    p->may_try = may_be_tried;
    p->is_busy = true;
    if (in_place_of)
        snprintf(p->before, sizeof(p->before), "%s", in_place_of);
    p->claim = (struct affinity_claim){.pool = p->pool->as_node.name,
                                       .study = key_of(p),
                                       .member = member(p, i)->name,
                                       .in_place_of = in_place_of ? p->before : NULL,
                                       .must_last = in_place_of || i != hashed(p, 0),
                                       .io = p->relay->io,
                                       .owner = p,
                                       .on_done = on_claimed};
    affinity_claim(p->relay->affinity, &p->claim);
    return PLACE_SOON;
}

static bool find_kept(const struct place *p, char name[64])
{
    return affinity_find(p->relay->affinity, p->pool->as_node.name, key_of(p), name, 64);
}

/* What stays was somewhere before, and nobody remembers: what need not last, and a crash has lost, is where the hash says. */
static enum place_found begin_unremembered(struct place *p)
{
    int i = hashed(p, 0);
    return claim(p, i, may_try(p, i), NULL);
}

static enum place_found begin_new(struct place *p)
{
    if (p->stays)
        return begin_unremembered(p);
    int i = find(p, 0);
    p->is_new = true;
    return i == BALANCE_NONE ? claim(p, find_away(p), false, NULL) : claim(p, i, true, NULL);
}

static enum place_found begin_kept(struct place *p, const char *name)
{
    int own = balance_member(p->pool, name); /* not there: the configuration was changed */
    if (own != BALANCE_NONE && may_try(p, own))
        return put(p, own, true);
    if (own != BALANCE_NONE && (p->pool->waits || p->stays))
        return put(p, own, false);
    int i = find(p, own == BALANCE_NONE ? 0 : bit(own));
    if (i != BALANCE_NONE)
        return claim(p, i, true, name);
    return own != BALANCE_NONE ? put(p, own, false) : claim(p, find_away(p), false, name);
}

/* --- from outside ---------------------------------------------------------------------------------------------- */

static enum place_found begin_anywhere(struct place *p)
{
    struct balance b = {.pool = p->pool, .key = key_of(p), .turn = p->turn};
    int i = find(p, 0);
    if (i != BALANCE_NONE)
        return put(p, i, true);
    enum config_balance by = p->by == CONFIG_BALANCE_LEAST ? CONFIG_BALANCE_STUDY : p->by;
    i = balance_first(&b, by, drained(p));
    return put(p, i == BALANCE_NONE ? balance_first(&b, by, 0) : i, false);
}

enum place_found place_begin(struct place *p, struct view study, struct view instance)
{
    struct view key = study.len > 0 ? study : instance;
    char name[64];
    snprintf(p->key, sizeof(p->key), "%.*s", (int)key.len, key.len ? (const char *)key.at : "");
    p->is_safe = true;
    p->by = key.len > 0 ? p->pool->balance : CONFIG_BALANCE_FAILOVER;
    p->is_kept = p->is_kept && p->by == CONFIG_BALANCE_STUDY && p->relay->affinity;
    if (p->by == CONFIG_BALANCE_ROUND_ROBIN)
        p->turn = next_turn(p);
    if (!p->is_kept)
        return begin_anywhere(p);
    return find_kept(p, name) ? begin_kept(p, name) : begin_new(p);
}

void place_share(struct place *p, const struct config_pool *other)
{
    for (int i = 0; i < (int)p->pool->member_count; i++)
        if (balance_member(other, member(p, i)->name) == BALANCE_NONE)
            p->barred |= bit(i);
}

enum place_found place_next(struct place *p)
{
    char name[64];
    p->failed |= bit(balance_member(p->pool, p->member->name));
    p->is_trial = false;
    bool is_known = p->is_kept && find_kept(p, name);
    int now = is_known ? balance_member(p->pool, name) : BALANCE_NONE;
    if (now != BALANCE_NONE && may_try(p, now)) /* another message has moved it there */
        return put(p, now, true);
    int i = find(p, 0);
    if (i != BALANCE_NONE && p->is_kept)
        return claim(p, i, true, is_known ? name : p->member->name);
    if (i != BALANCE_NONE)
        return put(p, i, true);
    if (now != BALANCE_NONE)
        put_known(p, now, false);
    return PLACE_NONE;
}

bool place_has_moved(const struct place *p)
{
    char name[64];
    return p->is_kept && find_kept(p, name) && strcmp(name, p->member->name) != 0 &&
           balance_member(p->pool, name) != BALANCE_NONE;
}

bool place_has_failed(const struct place *p)
{
    return p->failed & bit(balance_member(p->pool, p->member->name));
}

bool place_is_busy(const struct place *p)
{
    return p->is_busy;
}

void place_end(struct place *p)
{
    hilum_assert(!p->is_busy);
    if (p->member)
        health_end_trial(p->relay, p->member, &p->is_trial);
}
