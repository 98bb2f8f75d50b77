#include "spool/ids.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* Where id is, or would be. */
static size_t place_of(const struct spool_ids *s, spool_id id)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (s->of[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct spool_ids *s, size_t at, spool_id id)
{
    return at < s->count && s->of[at] == id;
}

bool ids_reserve(struct spool_ids *s, size_t more)
{
    if (s->count + more <= s->cap)
        return true;
    size_t cap = (s->count + more) * 2;
    spool_id *of = realloc(s->of, cap * sizeof(*of));
    if (!of)
        return false;
    s->of = of;
    s->cap = cap;
    return true;
}

void ids_put(struct spool_ids *s, spool_id id)
{
    size_t at = place_of(s, id);
    if (is_at(s, at, id))
        return;
    hilum_assert(s->count < s->cap);
    memmove(s->of + at + 1, s->of + at, (s->count - at) * sizeof(*s->of));
    s->of[at] = id;
    s->count++;
}

bool ids_add(struct spool_ids *s, const struct spool_ids *others)
{
    if (!ids_reserve(s, others->count))
        return false;
    for (size_t n = 0; n < others->count; n++)
        ids_put(s, others->of[n]);
    return true;
}

bool ids_take_out(struct spool_ids *s, spool_id id)
{
    size_t at = place_of(s, id);
    if (!is_at(s, at, id))
        return false;
    s->count--;
    memmove(s->of + at, s->of + at + 1, (s->count - at) * sizeof(*s->of));
    return true;
}

bool ids_hold(const struct spool_ids *s, spool_id id)
{
    return is_at(s, place_of(s, id), id);
}

void ids_free(struct spool_ids *s)
{
    free(s->of);
    *s = (struct spool_ids){0};
}
