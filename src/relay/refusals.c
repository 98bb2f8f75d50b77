#include "relay/refusals.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"

void refusals_init(struct refusals *r, bool are_nodes)
{
    *r = (struct refusals){.are_nodes = are_nodes};
    pthread_mutex_init(&r->lock, NULL);
}

void refusals_free(struct refusals *r)
{
    pthread_mutex_destroy(&r->lock);
}

static void copy(char *to, size_t cap, const char *from)
{
    text_copy(to, cap, from, strlen(from));
}

static struct refusal_kind kind_of(const struct refusal *refusal)
{
    struct refusal_kind k = {.is_used = true};
    copy(k.cause, sizeof(k.cause), refusal->cause);
    copy(k.listener, sizeof(k.listener), refusal->listener);
    copy(k.remote, sizeof(k.remote), refusal->remote);
    copy(k.title, sizeof(k.title), refusal->title);
    return k;
}

static bool is_same(const struct refusal_kind *a, const struct refusal_kind *b)
{
    return strcmp(a->remote, b->remote) == 0 && strcmp(a->cause, b->cause) == 0 &&
           strcmp(a->title, b->title) == 0 && strcmp(a->listener, b->listener) == 0;
}

static bool is_over(const struct refusal_kind *k, uint64_t now_ms)
{
    return now_ms >= k->told_ms + REFUSALS_QUIET_MS; /* another thread's now may be a little behind */
}

/* Its own place, or a free one, in *is_new_out; NULL: all are taken. */
static struct refusal_kind *place_of(struct refusals *r, const struct refusal_kind *k, uint64_t now_ms,
                                     bool *is_new_out)
{
    struct refusal_kind *free_one = NULL;
    for (unsigned i = 0; i < REFUSALS_MAX; i++) {
        struct refusal_kind *place = &r->of[i];
        *is_new_out = !place->is_used || (place->left_out == 0 && is_over(place, now_ms));
        if (!*is_new_out && is_same(place, k))
            return place;
        if (*is_new_out && !free_one)
            free_one = place;
    }
    *is_new_out = true;
    return free_one;
}

bool refusals_note(struct refusals *r, uint64_t now_ms, const struct refusal *refusal)
{
    struct refusal_kind k = kind_of(refusal);
    bool is_new;
    k.told_ms = now_ms;
    pthread_mutex_lock(&r->lock);
    struct refusal_kind *place = place_of(r, &k, now_ms, &is_new);
    if (place && is_new)
        *place = k;
    else if (place)
        place->left_out++;
    else {
        if (r->others.left_out++ == 0)
            r->others.told_ms = now_ms;
    }
    pthread_mutex_unlock(&r->lock);
    return place && is_new;
}

/* Takes what is to be told of one kind; false: nothing is. */
static bool take(struct refusal_kind *k, uint64_t now_ms, bool is_end, struct refusal_kind *out)
{
    if (k->left_out == 0 || (!is_end && !is_over(k, now_ms)))
        return false;
    *out = *k;
    k->left_out = 0;
    k->told_ms = now_ms;
    return true;
}

static void tell_nodes(const struct refusal_kind *k)
{
    LOG(LOG_WARN, "node not reached for more negotiations", LOG_INT("count", k->left_out),
        LOG_STR("node", k->is_used ? k->remote : "various"),
        LOG_STR("cause", k->is_used ? k->cause : "various"));
}

static void tell(const struct refusal_kind *k)
{
    if (k->is_used)
        LOG(LOG_WARN, "more associations rejected", LOG_INT("count", k->left_out), LOG_STR("cause", k->cause),
            LOG_STR("remote", k->remote), LOG_STR("title", k->title), LOG_STR("listener", k->listener));
    else
        LOG(LOG_WARN, "more associations rejected", LOG_INT("count", k->left_out),
            LOG_STR("cause", "various"));
}

void refusals_tell(struct refusals *r, uint64_t now_ms, bool is_end)
{
    struct refusal_kind told[REFUSALS_MAX + 1];
    unsigned count = 0;
    pthread_mutex_lock(&r->lock);
    for (unsigned i = 0; i < REFUSALS_MAX; i++)
        count += take(&r->of[i], now_ms, is_end, &told[count]);
    count += take(&r->others, now_ms, is_end, &told[count]);
    pthread_mutex_unlock(&r->lock);
    for (unsigned i = 0; i < count; i++) /* not under the lock: workers would wait for the log */
        r->are_nodes ? tell_nodes(&told[i]) : tell(&told[i]);
}
