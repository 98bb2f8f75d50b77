#include "relay/holdings.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "relay/seen.h"

/* A study stands in the set that its key points to. */
enum { SETS = 4096, WAYS = 8, ARCHIVES = 8, LOCKS = 64 };

struct archive {
    uint64_t id; /* 0: none */
    uint64_t said_ms;
    enum holding is;
};

struct study {
    struct seen_key key; /* 0, 0: none */
    uint64_t heard_ms;
    struct archive archives[ARCHIVES];
};

struct holdings {
    pthread_mutex_t locks[LOCKS]; /* by set */
    struct study sets[SETS][WAYS];
};

struct holdings *holdings_new(void)
{
    struct holdings *h = calloc(1, sizeof(*h));
    for (unsigned i = 0; h && i < LOCKS; i++)
        pthread_mutex_init(&h->locks[i], NULL);
    return h;
}

void holdings_free(struct holdings **hp)
{
    struct holdings *h = *hp;
    *hp = NULL;
    for (unsigned i = 0; h && i < LOCKS; i++)
        pthread_mutex_destroy(&h->locks[i]);
    free(h);
}

static uint64_t id_of(const struct config_node *node)
{
    const struct view parts[] = {
        view_of(node->host), view_of(node->ae_title), {(const uint8_t *)&node->port, sizeof(node->port)}};
    uint64_t id = seen_key_of(parts, 3).low;
    return id ? id : 1;
}

static struct study *find_study(struct study *set, struct seen_key key)
{
    for (unsigned i = 0; i < WAYS; i++)
        if (set[i].key.low == key.low && set[i].key.high == key.high)
            return &set[i];
    return NULL;
}

static struct archive *find_archive(struct study *s, uint64_t id)
{
    for (unsigned i = 0; i < ARCHIVES; i++)
        if (s->archives[i].id == id)
            return &s->archives[i];
    return NULL;
}

/* In place of the longest unheard. */
static struct study *take_study(struct study *set, struct seen_key key)
{
    struct study *s = find_study(set, key);
    if (s)
        return s;
    s = &set[0];
    for (unsigned i = 1; i < WAYS; i++)
        if (set[i].heard_ms < s->heard_ms)
            s = &set[i];
    *s = (struct study){.key = key};
    return s;
}

static struct archive *take_archive(struct study *s, uint64_t id)
{
    struct archive *a = find_archive(s, id);
    if (a)
        return a;
    a = &s->archives[0];
    for (unsigned i = 1; i < ARCHIVES; i++)
        if (s->archives[i].said_ms < a->said_ms)
            a = &s->archives[i];
    *a = (struct archive){.id = id};
    return a;
}

void holdings_note(struct holdings *h, struct view study, const struct config_node *node, enum holding is,
                   uint64_t now_ms)
{
    struct seen_key key = seen_key_of(&study, 1);
    size_t set = key.low % SETS;
    pthread_mutex_lock(&h->locks[set % LOCKS]);
    struct study *s = take_study(h->sets[set], key);
    struct archive *a = take_archive(s, id_of(node));
    s->heard_ms = a->said_ms = now_ms;
    a->is = is;
    pthread_mutex_unlock(&h->locks[set % LOCKS]);
}

enum holding holdings_look(struct holdings *h, struct view study, const struct config_node *node,
                           uint64_t within_ms, uint64_t now_ms)
{
    struct seen_key key = seen_key_of(&study, 1);
    size_t set = key.low % SETS;
    enum holding is = HOLDING_UNKNOWN;
    pthread_mutex_lock(&h->locks[set % LOCKS]);
    struct study *s = find_study(h->sets[set], key);
    const struct archive *a = s ? find_archive(s, id_of(node)) : NULL;
    if (a && a->said_ms + within_ms >= now_ms)
        is = a->is;
    pthread_mutex_unlock(&h->locks[set % LOCKS]);
    return is;
}
