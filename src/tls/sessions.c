#include "tls/sessions.h"

#include <openssl/crypto.h>
#include <pthread.h>
#include <string.h>
#include <sys/queue.h>

enum { PLACES = 1024 };

struct session {
    LIST_ENTRY(session) place_link;
    TAILQ_ENTRY(session) age_link;
    time_t until;
    uint32_t len;
    uint8_t id[SESSIONS_ID_BYTES];
    uint8_t bytes[];
};

LIST_HEAD(place, session);

struct sessions {
    pthread_mutex_t lock;
    unsigned max, count;
    TAILQ_HEAD(ages, session) by_age; /* the oldest first */
    struct place places[PLACES];
};

struct sessions *sessions_new(unsigned max)
{
    struct sessions *s = OPENSSL_zalloc(sizeof(*s));
    if (!s)
        return NULL;
    s->max = max;
    TAILQ_INIT(&s->by_age);
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

/* Ids are random, and ours: their first bytes spread them. */
static struct place *place_of(struct sessions *s, const uint8_t *id)
{
    return &s->places[(id[0] << 8 | id[1]) % PLACES];
}

static struct session *find(struct sessions *s, const uint8_t *id)
{
    struct session *one;
    LIST_FOREACH (one, place_of(s, id), place_link)
        if (memcmp(one->id, id, SESSIONS_ID_BYTES) == 0)
            return one;
    return NULL;
}

static void drop(struct sessions *s, struct session *one)
{
    LIST_REMOVE(one, place_link);
    TAILQ_REMOVE(&s->by_age, one, age_link);
    s->count--;
    OPENSSL_clear_free(one, sizeof(*one) + one->len);
}

void sessions_free(struct sessions **sp)
{
    struct sessions *s = *sp;
    *sp = NULL;
    if (!s)
        return;
    while (!TAILQ_EMPTY(&s->by_age))
        drop(s, TAILQ_FIRST(&s->by_age));
    pthread_mutex_destroy(&s->lock);
    OPENSSL_free(s);
}

static void put(struct sessions *s, struct session *one, time_t now)
{
    struct session *before = find(s, one->id), *oldest;
    if (before)
        drop(s, before);
    while ((oldest = TAILQ_FIRST(&s->by_age)) && (s->count >= s->max || oldest->until <= now))
        drop(s, oldest);
    LIST_INSERT_HEAD(place_of(s, one->id), one, place_link);
    TAILQ_INSERT_TAIL(&s->by_age, one, age_link);
    s->count++;
}

void sessions_keep(struct sessions *s, const uint8_t *id, size_t id_len, const uint8_t *bytes, size_t len,
                   time_t now, time_t until)
{
    if (id_len != SESSIONS_ID_BYTES || len == 0 || len > SESSIONS_BYTES_MAX || until <= now)
        return;
    struct session *one = OPENSSL_malloc(sizeof(*one) + len);
    if (!one)
        return;
    one->until = until;
    one->len = (uint32_t)len;
    memcpy(one->id, id, SESSIONS_ID_BYTES);
    memcpy(one->bytes, bytes, len);
    pthread_mutex_lock(&s->lock);
    put(s, one, now);
    pthread_mutex_unlock(&s->lock);
}

size_t sessions_find(struct sessions *s, const uint8_t *id, size_t id_len, time_t now,
                     uint8_t to[SESSIONS_BYTES_MAX], time_t *until_out)
{
    size_t len = 0;
    if (id_len != SESSIONS_ID_BYTES)
        return 0;
    pthread_mutex_lock(&s->lock);
    struct session *one = find(s, id);
    if (one && one->until <= now) {
        drop(s, one);
    } else if (one) {
        len = one->len;
        memcpy(to, one->bytes, len);
        *until_out = one->until;
    }
    pthread_mutex_unlock(&s->lock);
    return len;
}

void sessions_forget(struct sessions *s, const uint8_t *id, size_t id_len)
{
    if (id_len != SESSIONS_ID_BYTES)
        return;
    pthread_mutex_lock(&s->lock);
    struct session *one = find(s, id);
    if (one)
        drop(s, one);
    pthread_mutex_unlock(&s->lock);
}

unsigned sessions_count(struct sessions *s)
{
    pthread_mutex_lock(&s->lock);
    unsigned count = s->count;
    pthread_mutex_unlock(&s->lock);
    return count;
}
