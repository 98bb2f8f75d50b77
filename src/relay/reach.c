#include "relay/reach.h"

#include <string.h>
#include <xxhash.h>

static uint64_t hash_of(const struct config_node *node)
{
    uint64_t hash = XXH64(node->host, strlen(node->host), node->port);
    return XXH64(node->ae_title, strlen(node->ae_title), hash);
}

static uint32_t ticks(uint64_t ms)
{
    return (uint32_t)(ms >> 4);
}

void reach_set_away(struct reach *r, const struct config_node *node, uint64_t until_ms)
{
    if (node->is_folder)
        return;
    uint64_t hash = hash_of(node);
    uint64_t now = (hash & 0xFFFFFFFF00000000) | ticks(until_ms);
    atomic_store_explicit(&r->places[hash % REACH_PLACES], now, memory_order_relaxed);
}

static bool is_of(uint64_t place, uint64_t hash)
{
    return place != 0 && (place ^ hash) >> 32 == 0;
}

void reach_set_there(struct reach *r, const struct config_node *node)
{
    if (node->is_folder)
        return;
    uint64_t hash = hash_of(node);
    _Atomic uint64_t *place = &r->places[hash % REACH_PLACES];
    if (is_of(atomic_load_explicit(place, memory_order_relaxed), hash))
        atomic_store_explicit(place, 0, memory_order_relaxed);
}

bool reach_is_away(const struct reach *r, const struct config_node *node, uint64_t now_ms)
{
    if (node->is_folder)
        return false;
    uint64_t hash = hash_of(node);
    uint64_t place = atomic_load_explicit(&r->places[hash % REACH_PLACES], memory_order_relaxed);
    return is_of(place, hash) && (int32_t)((uint32_t)place - ticks(now_ms)) > 0;
}
