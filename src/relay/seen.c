#include "relay/seen.h"

#include <stdlib.h>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

enum { ROOM_FIRST = 256 };

struct seen_key seen_key_of(const struct view *parts, size_t count)
{
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    for (size_t i = 0; i < count; i++) {
        uint64_t len = parts[i].len;
        XXH3_128bits_update(&state, &len, sizeof(len));
        if (len > 0)
            XXH3_128bits_update(&state, parts[i].at, parts[i].len);
    }
    XXH128_hash_t hash = XXH3_128bits_digest(&state);
    bool is_zero = hash.low64 == 0 && hash.high64 == 0;
    return (struct seen_key){hash.low64, is_zero ? 1 : hash.high64};
}

static bool is_empty(const struct seen_key *k)
{
    return k->low == 0 && k->high == 0;
}

/* Its place, or the empty one where it belongs. */
static struct seen_key *place_of(const struct seen *s, struct seen_key key)
{
    size_t i = (size_t)key.low & (s->room - 1);
    while (!is_empty(&s->keys[i]) && (s->keys[i].low != key.low || s->keys[i].high != key.high))
        i = (i + 1) & (s->room - 1);
    return &s->keys[i];
}

static bool grow(struct seen *s)
{
    struct seen bigger = {.room = s->room ? s->room * 2 : ROOM_FIRST};
    if (!pool_take(s->pool, bigger.room * sizeof(*bigger.keys)))
        return false;
    bigger.keys = calloc(bigger.room, sizeof(*bigger.keys));
    if (!bigger.keys) {
        pool_give_back(s->pool, bigger.room * sizeof(*bigger.keys));
        return false;
    }
    for (size_t i = 0; i < s->room; i++)
        if (!is_empty(&s->keys[i]))
            *place_of(&bigger, s->keys[i]) = s->keys[i];
    if (s->keys)
        pool_give_back(s->pool, s->room * sizeof(*s->keys));
    free(s->keys);
    s->keys = bigger.keys;
    s->room = bigger.room;
    return true;
}

/* Half of the places stay empty: that keeps the way to one short. */
static bool has_place(struct seen *s)
{
    if (s->count >= SEEN_MAX)
        return false;
    return s->count < s->room / 2 || grow(s);
}

bool seen_before(struct seen *s, struct seen_key key)
{
    if (s->room > 0 && !is_empty(place_of(s, key)))
        return true;
    if (!has_place(s)) {
        s->is_full = true;
        return false;
    }
    *place_of(s, key) = key;
    s->count++;
    return false;
}

void seen_free(struct seen *s)
{
    if (s->keys)
        pool_give_back(s->pool, s->room * sizeof(*s->keys));
    free(s->keys);
    *s = (struct seen){.pool = s->pool};
}
