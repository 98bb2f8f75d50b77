/*
 * The table: shards by a keyed hash of pool and study, each with a lock of its own. The hash stands for the text: 128 bits of which nobody outside knows the
 * seed do not meet by chance or by design.
 *
 *   settled    it is there, and as durable as it has to be
 *   writing    a claim that has to last is on its way to the disk: others who claim the same wait for it, and nobody finds it
 *   unwritten  a new one could not be written: nothing went out by it, nobody finds it, and it is new to the next claim. What could not be moved stays
 *              where it was
 */
#include "relay/affinity.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <xxhash.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"

enum {
    SHARD_BITS = 6,
    SHARDS = 1 << SHARD_BITS,
    PLACES_MIN = 64,                              /* of a shard; powers of two */
    PLACES_MOST = AFFINITY_MOST / SHARDS * 4 / 3, /* three quarters are used */
    REFRESH_MS = 60 * 60 * 1000, /* a study that is asked for again is written down so often */
};
_Static_assert((PLACES_MOST & (PLACES_MOST - 1)) == 0, "a mask takes the place of a modulus");
_Static_assert(AFFINITY_KEPT_MS + REFRESH_MS <= SPOOL_CLAIM_KEPT_MS, "the index remembers for as long");

struct place {
    struct affinity_key key;
    const char *member;    /* NULL: free */
    uint64_t used_ms : 48; /* wall clock; at most REFRESH_MS old if it was asked for since */
    uint64_t state : 2;
};
enum { SETTLED, WRITING, UNWRITTEN };

struct shard {
    pthread_mutex_t lock;
    struct place *places; /* by key.high, and behind that */
    size_t count, cap;    /* that are not free; a power of two */
    struct affinity_claim *waiting;
};

/* Names of members: few, and they stay. */
struct name {
    struct name *next;
    char text[];
};

struct affinity {
    struct spool *spool;
    uint64_t seed;
    pthread_mutex_t names_lock;
    struct name *names;
    struct shard shards[SHARDS];
};

/* --- names ----------------------------------------------------------------------------------------------------- */

/* NULL without memory. */
static const char *name_of(struct affinity *a, const char *text)
{
    pthread_mutex_lock(&a->names_lock);
    struct name *n = a->names;
    while (n && strcmp(n->text, text) != 0)
        n = n->next;
    if (!n && (n = malloc(sizeof(*n) + strlen(text) + 1))) {
        memcpy(n->text, text, strlen(text) + 1);
        n->next = a->names;
        a->names = n;
    }
    pthread_mutex_unlock(&a->names_lock);
    return n ? n->text : NULL;
}

/* --- places ------------------------------------------------------------------------------------------------------ */

static struct affinity_key key_of(const struct affinity *a, const char *pool, struct view study)
{
    XXH128_hash_t h =
        XXH3_128bits_withSeed(study.at, study.len, XXH3_64bits_withSeed(pool, strlen(pool), a->seed));
    return (struct affinity_key){.low = h.low64, .high = h.high64};
}

static struct shard *shard_of(struct affinity *a, struct affinity_key key)
{
    return &a->shards[key.low >> (64 - SHARD_BITS)];
}

static bool is_key(struct affinity_key a, struct affinity_key b)
{
    return a.low == b.low && a.high == b.high;
}

/* Where the key stands, or the free place where it would. */
static struct place *place_of(struct place *places, size_t cap, struct affinity_key key)
{
    size_t at = key.high & (cap - 1);
    while (places[at].member && !is_key(places[at].key, key))
        at = (at + 1) & (cap - 1);
    return &places[at];
}

/* Of a clock that was wrong, too. What is being written stays. */
static bool is_forgotten(const struct place *p, uint64_t now_ms)
{
    uint64_t kept = AFFINITY_KEPT_MS + REFRESH_MS;
    return p->state != WRITING && (p->used_ms + kept < now_ms || p->used_ms > now_ms + kept);
}

/* The place of a study that is remembered; NULL: it is new. */
static struct place *find(const struct shard *s, struct affinity_key key, uint64_t now_ms)
{
    struct place *p = place_of(s->places, s->cap, key);
    return p->member && !is_forgotten(p, now_ms) ? p : NULL;
}

/* Into so many places what was used since, and what is being written. False without memory: nothing has changed. */
static bool rebuild(struct shard *s, size_t cap, uint64_t since_ms, uint64_t now_ms)
{
    struct place *places = calloc(cap, sizeof(*places));
    size_t count = 0;
    if (!places)
        return false;
    for (size_t n = 0; n < s->cap; n++) {
        const struct place *p = &s->places[n];
        if (!p->member || is_forgotten(p, now_ms) || (p->used_ms < since_ms && p->state != WRITING))
            continue;
        *place_of(places, cap, p->key) = *p;
        count++;
    }
    free(s->places);
    s->places = places;
    s->cap = cap;
    s->count = count;
    return true;
}

static int compare_times(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* Since when the younger three quarters were used. 0 without memory. */
static uint64_t age_to_keep(const struct shard *s)
{
    uint64_t *times = malloc(s->count * sizeof(*times)), since = 0;
    size_t count = 0;
    if (!times)
        return 0;
    for (size_t n = 0; n < s->cap; n++)
        if (s->places[n].member)
            times[count++] = s->places[n].used_ms;
    qsort(times, count, sizeof(*times), compare_times);
    since = times[count / 4] + 1; /* those of the same moment go with them */
    free(times);
    return since;
}

static bool is_full(const struct shard *s)
{
    return s->count >= s->cap / 4 * 3;
}

/* Room for one more. False: there is none to be had. */
static bool make_room(struct shard *s, uint64_t now_ms)
{
    if (!is_full(s))
        return true;
    if (s->cap < PLACES_MOST && rebuild(s, s->cap * 2, 0, now_ms))
        return true;
    uint64_t since = age_to_keep(s);
    return since != 0 && rebuild(s, s->cap, since, now_ms) && !is_full(s);
}

/* The place is the study's from now on. NULL: there is no room. */
static struct place *put(struct shard *s, struct affinity_key key, const char *member, uint64_t now_ms)
{
    struct place *p = place_of(s->places, s->cap, key);
    if (!p->member) {
        if (!make_room(s, now_ms))
            return NULL;
        p = place_of(s->places, s->cap, key);
        s->count++;
    }
    *p = (struct place){.key = key, .member = member, .used_ms = now_ms};
    return p;
}

/* --- finding --------------------------------------------------------------------------------------------------------- */

static void note(struct affinity *a, const char *pool, struct view study, const struct place *p)
{
    struct spool_claim c = {.pool = pool, .study = study, .member = p->member, .at_ms = p->used_ms};
    if (a->spool)
        spool_note_claim(a->spool, &c);
}

static void refresh(struct affinity *a, const char *pool, struct view study, struct place *p, uint64_t now_ms)
{
    if (now_ms >= p->used_ms && now_ms - p->used_ms < REFRESH_MS)
        return;
    p->used_ms = now_ms;
    note(a, pool, study, p);
}

bool affinity_find(struct affinity *a, const char *pool, struct view study, char *member_out, size_t cap)
{
    struct affinity_key key = key_of(a, pool, study);
    struct shard *s = shard_of(a, key);
    uint64_t now_ms = clock_wall_ms();
    pthread_mutex_lock(&s->lock);
    struct place *p = find(s, key, now_ms);
    bool is_found = p && p->state == SETTLED && strlen(p->member) < cap;
    if (is_found) {
        memcpy(member_out, p->member, strlen(p->member) + 1);
        refresh(a, pool, study, p, now_ms);
    }
    pthread_mutex_unlock(&s->lock);
    return is_found;
}

/* --- claiming ---------------------------------------------------------------------------------------------------------- */

static void on_answer(struct io_message *m)
{
    struct affinity_claim *c =
        (struct affinity_claim *)(void *)((char *)m - offsetof(struct affinity_claim, message));
    c->on_done(c, c->granted, c->is_safe);
}

static void answer(struct affinity_claim *c, const char *member, bool is_safe)
{
    c->granted = member;
    c->is_safe = is_safe;
    c->message.on_message = on_answer;
    io_post(c->io, &c->message);
}

static void on_written(struct spool_claim *w, bool is_safe);

static void write_down(struct affinity *a, struct affinity_claim *c, struct place *p)
{
    p->state = WRITING;
    c->granted = p->member;
    c->write = (struct spool_claim){.pool = c->pool,
                                    .study = c->study,
                                    .member = p->member,
                                    .at_ms = p->used_ms,
                                    .io = c->io,
                                    .owner = c,
                                    .on_done = on_written};
    spool_claim(a->spool, &c->write);
}

/* The study is new, or goes on elsewhere. */
static void take(struct affinity *a, struct shard *s, struct affinity_claim *c, bool must_last,
                 uint64_t now_ms)
{
    const char *member = name_of(a, c->member);
    struct place *p = member ? put(s, c->key, member, now_ms) : NULL;
    must_last = must_last && a->spool;
    if (!p) { /* without memory: it is not remembered */
        answer(c, c->member, !must_last);
    } else if (must_last) {
        write_down(a, c, p);
    } else {
        note(a, c->pool, c->study, p);
        answer(c, p->member, true);
    }
}

/* Lock held. */
static void settle(struct affinity *a, struct shard *s, struct affinity_claim *c)
{
    uint64_t now_ms = clock_wall_ms();
    struct place *p = find(s, c->key, now_ms);
    if (!p || p->state == UNWRITTEN) {
        take(a, s, c, c->must_last, now_ms);
    } else if (p->state == WRITING) {
        c->next = s->waiting;
        s->waiting = c;
    } else if (c->in_place_of && strcmp(p->member, c->in_place_of) == 0 &&
               strcmp(p->member, c->member) != 0) {
        take(a, s, c, true, now_ms);
    } else {
        refresh(a, c->pool, c->study, p, now_ms);
        answer(c, p->member, true);
    }
}

void affinity_claim(struct affinity *a, struct affinity_claim *c)
{
    c->affinity = a;
    c->key = key_of(a, c->pool, c->study);
    struct shard *s = shard_of(a, c->key);
    pthread_mutex_lock(&s->lock);
    settle(a, s, c);
    pthread_mutex_unlock(&s->lock);
}

/* Those that wait for it. Lock held. */
static struct affinity_claim *take_waiting(struct shard *s, struct affinity_key key)
{
    struct affinity_claim *taken = NULL;
    for (struct affinity_claim **link = &s->waiting, *c; (c = *link);) {
        if (!is_key(c->key, key)) {
            link = &c->next;
            continue;
        }
        *link = c->next;
        c->next = taken; /* who came first is last in line, so this turns them round */
        taken = c;
    }
    return taken;
}

static void take_back(struct affinity *a, const struct affinity_claim *c, struct place *p)
{
    const char *was = c->in_place_of ? name_of(a, c->in_place_of) : NULL;
    p->state = was ? SETTLED : UNWRITTEN;
    p->member = was ? was : p->member;
}

/* Who has waited decides anew, by what is there now; but what cannot be written now is not tried again for each of them. */
static void on_written(struct spool_claim *w, bool is_safe)
{
    struct affinity_claim *c = w->owner, *next;
    struct affinity *a = c->affinity;
    struct shard *s = shard_of(a, c->key);
    pthread_mutex_lock(&s->lock);
    struct place *p = place_of(s->places, s->cap, c->key);
    hilum_assert(p->member && p->state == WRITING);
    p->state = SETTLED;
    if (!is_safe)
        take_back(a, c, p);
    for (struct affinity_claim *one = take_waiting(s, c->key); one; one = next) {
        next = one->next;
        if (is_safe)
            settle(a, s, one);
        else
            answer(one, c->granted, false);
    }
    pthread_mutex_unlock(&s->lock);
    c->on_done(c, c->granted, is_safe);
}

/* --- the table ------------------------------------------------------------------------------------------------------------ */

struct reading {
    struct affinity *affinity;
    uint64_t now_ms, count;
};

/* The youngest come first: what there is no room for is older. */
static void on_claim(void *owner, const struct spool_claim *c)
{
    struct reading *r = owner;
    struct affinity *a = r->affinity;
    struct affinity_key key = key_of(a, c->pool, c->study);
    struct shard *s = shard_of(a, key);
    struct place is = {.used_ms = c->at_ms};
    if (is_forgotten(&is, r->now_ms) || (s->cap == PLACES_MOST && is_full(s)))
        return;
    const char *member = name_of(a, c->member);
    struct place *p = member ? put(s, key, member, r->now_ms) : NULL;
    if (p) {
        p->used_ms = c->at_ms;
        r->count++;
    }
}

static void read_spool(struct affinity *a)
{
    struct reading r = {.affinity = a, .now_ms = clock_wall_ms()};
    if (spool_claims(a->spool, AFFINITY_MOST, on_claim, &r) != OK)
        LOG(LOG_ERROR,
            "where studies began cannot be read from the queue's index, studies in progress may be split");
    LOG(LOG_INFO, "studies are remembered", LOG_INT("studies", r.count));
}

struct affinity *affinity_new(struct spool *spool)
{
    struct affinity *a = calloc(1, sizeof(*a));
    bool is_made = a != NULL;
    if (!a)
        return NULL;
    a->spool = spool;
    hilum_assert(pthread_mutex_init(&a->names_lock, NULL) == 0);
    for (size_t n = 0; n < SHARDS; n++) {
        struct shard *s = &a->shards[n];
        hilum_assert(pthread_mutex_init(&s->lock, NULL) == 0);
        s->cap = PLACES_MIN;
        s->places = calloc(s->cap, sizeof(*s->places));
        is_made = is_made && s->places;
    }
    if (getrandom(&a->seed, sizeof(a->seed), 0) != sizeof(a->seed))
        a->seed = clock_us();
    if (!is_made)
        affinity_free(&a);
    else if (spool)
        read_spool(a);
    return a;
}

void affinity_free(struct affinity **a)
{
    struct affinity *it = *a;
    *a = NULL;
    if (!it)
        return;
    for (size_t n = 0; n < SHARDS; n++) {
        (void)pthread_mutex_destroy(&it->shards[n].lock);
        free(it->shards[n].places);
    }
    for (struct name *n = it->names, *next; n; n = next) {
        next = n->next;
        free(n);
    }
    (void)pthread_mutex_destroy(&it->names_lock);
    free(it);
}
