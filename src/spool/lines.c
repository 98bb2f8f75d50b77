#include "spool/lines.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/assert.h"

enum { BUCKETS = 4096 };

/* Where and whose: hashed, since only being the same matters. */
struct line {
    struct line *next;
    XXH128_hash_t key;
    uint64_t count;
    uint64_t draft; /* of those that are on their way */
};

struct lines {
    pthread_mutex_t lock;
    struct line *indexed[BUCKETS];
    struct line *written; /* few: what has not been read */
    bool is_blind;        /* without memory something was not noted */
};

static XXH128_hash_t key_of(struct view node, struct view instance)
{
    return XXH3_128bits_withSeed(instance.at, instance.len, XXH3_64bits(node.at, node.len));
}

static struct line **bucket(struct lines *l, XXH128_hash_t key)
{
    return &l->indexed[key.low64 % BUCKETS];
}

static struct line **find(struct line **list, XXH128_hash_t key)
{
    while (*list && !XXH128_isEqual((*list)->key, key))
        list = &(*list)->next;
    return list;
}

/* Lock held. */
static struct line *put(struct lines *l, struct line **list, XXH128_hash_t key)
{
    struct line *one = calloc(1, sizeof(*one));
    if (!one) {
        l->is_blind = true;
        return NULL;
    }
    one->key = key;
    one->next = *list;
    *list = one;
    return one;
}

static void take_out(struct line **at)
{
    struct line *one = *at;
    *at = one->next;
    free(one);
}

bool lines_hold(struct lines *l, struct view node, struct view instance)
{
    XXH128_hash_t key = key_of(node, instance);
    pthread_mutex_lock(&l->lock);
    bool is_there = l->is_blind || *find(bucket(l, key), key) || *find(&l->written, key);
    pthread_mutex_unlock(&l->lock);
    return is_there;
}

void lines_write(struct lines *l, uint64_t draft, const struct spool_commit *c)
{
    pthread_mutex_lock(&l->lock);
    for (size_t n = 0; n < c->entry_count; n++) {
        const struct spool_new_entry *e = &c->entries[n];
        struct view sent = e->edition >= 0 ? c->editions[e->edition].sop_instance : c->facts.sop_instance;
        struct line *one = put(l, &l->written, key_of(view_of(e->node), sent));
        if (one)
            one->draft = draft;
    }
    pthread_mutex_unlock(&l->lock);
}

void lines_read(struct lines *l, uint64_t draft)
{
    pthread_mutex_lock(&l->lock);
    for (struct line **at = &l->written; *at;) {
        if ((*at)->draft == draft)
            take_out(at);
        else
            at = &(*at)->next;
    }
    pthread_mutex_unlock(&l->lock);
}

void lines_add(struct lines *l, struct view node, struct view instance, int by)
{
    XXH128_hash_t key = key_of(node, instance);
    pthread_mutex_lock(&l->lock);
    struct line **at = find(bucket(l, key), key);
    if (by < 0 && *at && --(*at)->count == 0)
        take_out(at);
    else if (by > 0 && (*at || put(l, at, key)))
        (*at)->count++;
    pthread_mutex_unlock(&l->lock);
}

static void free_list(struct line **list)
{
    while (*list)
        take_out(list);
}

/* What was not noted of the others is in the new ones. */
void lines_replace(struct lines *l, struct lines **fresh)
{
    pthread_mutex_lock(&l->lock);
    for (size_t n = 0; n < BUCKETS; n++) {
        free_list(&l->indexed[n]);
        l->indexed[n] = (*fresh)->indexed[n];
        (*fresh)->indexed[n] = NULL;
    }
    l->is_blind = (*fresh)->is_blind;
    pthread_mutex_unlock(&l->lock);
    lines_free(fresh);
}

struct lines *lines_new(void)
{
    struct lines *l = calloc(1, sizeof(*l));
    if (l)
        hilum_assert(pthread_mutex_init(&l->lock, NULL) == 0);
    return l;
}

void lines_free(struct lines **l)
{
    struct lines *it = *l;
    *l = NULL;
    if (!it)
        return;
    for (size_t n = 0; n < BUCKETS; n++)
        free_list(&it->indexed[n]);
    free_list(&it->written);
    (void)pthread_mutex_destroy(&it->lock);
    free(it);
}
