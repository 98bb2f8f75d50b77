#include "relay/circuit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/log.h"

/* A power of two, and never more than half full. */
enum { PLACES = 2 * CIRCUITS_MAX };

/*
 * next_try_ms says it all to those who ask: 0, the circuit is closed; else nobody may try before it. While the pause lasts it is the pause's end, while a trial
 * is under way the time when that is forgotten. A trial is taken by moving it on. Everything else is under the lock, which is taken for failures, and for a
 * success after one.
 */
struct circuit {
    char *host, *title;
    uint16_t port;
    _Atomic uint64_t next_try_ms;
    atomic_uint failures;
    atomic_bool is_drained;
    _Atomic int64_t outstanding;

    pthread_mutex_t lock;
    bool is_unreachable; /* opened because there was no association, not by what happened on one */
    uint64_t pause_ms, until_ms, changed_ms;
    char cause[sizeof(((struct circuit_view *)0)->cause)];
};

/* Places are filled once and never emptied, so that they are read without the lock. */
struct circuits {
    pthread_mutex_t lock;
    unsigned count;
    _Atomic(struct circuit *) places[PLACES];
};

struct circuits *circuits_new(void)
{
    struct circuits *c = calloc(1, sizeof(*c));
    if (c)
        pthread_mutex_init(&c->lock, NULL);
    return c;
}

static void circuit_free(struct circuit *t)
{
    pthread_mutex_destroy(&t->lock);
    free(t->host);
    free(t->title);
    free(t);
}

void circuits_free(struct circuits **cp)
{
    struct circuits *c = *cp;
    *cp = NULL;
    if (!c)
        return;
    for (unsigned i = 0; i < PLACES; i++) {
        struct circuit *t = atomic_load_explicit(&c->places[i], memory_order_relaxed);
        if (t)
            circuit_free(t);
    }
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* --- finding --------------------------------------------------------------------------------------------------- */

static bool is_of(const struct circuit *t, const struct config_node *node)
{
    return t->port == node->port && strcmp(t->host, node->host) == 0 && strcmp(t->title, node->ae_title) == 0;
}

static unsigned first_place(const struct config_node *node)
{
    uint64_t hash = XXH64(node->host, strlen(node->host), node->port);
    return (unsigned)(XXH64(node->ae_title, strlen(node->ae_title), hash) % PLACES);
}

static bool has_circuit(const struct config_node *node)
{
    return !node->is_folder && !node->pool;
}

/* NULL: nothing is known of it; then *place_out is where it would stand. */
static struct circuit *look_up(const struct circuits *c, const struct config_node *node, unsigned *place_out)
{
    for (unsigned at = first_place(node);; at = (at + 1) % PLACES) {
        struct circuit *t = atomic_load_explicit(&c->places[at], memory_order_acquire);
        *place_out = at;
        if (!t || is_of(t, node))
            return t;
    }
}

static struct circuit *find(const struct circuits *c, const struct config_node *node)
{
    unsigned place;
    return has_circuit(node) ? look_up(c, node, &place) : NULL;
}

static struct circuit *circuit_new(const struct config_node *node)
{
    struct circuit *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    pthread_mutex_init(&t->lock, NULL);
    t->host = strdup(node->host);
    t->title = strdup(node->ae_title);
    t->port = node->port;
    if (t->host && t->title)
        return t;
    circuit_free(t);
    return NULL;
}

static struct circuit *find_or_add(struct circuits *c, const struct config_node *node)
{
    unsigned place;
    if (!has_circuit(node))
        return NULL;
    struct circuit *t = look_up(c, node, &place);
    if (t)
        return t;
    pthread_mutex_lock(&c->lock);
    t = look_up(c, node, &place); /* somebody may have been faster */
    if (!t && c->count < CIRCUITS_MAX && (t = circuit_new(node))) {
        c->count++;
        atomic_store_explicit(&c->places[place], t, memory_order_release);
    }
    pthread_mutex_unlock(&c->lock);
    return t;
}

/* --- asking ---------------------------------------------------------------------------------------------------- */

static bool take_trial(struct circuit *t, uint64_t seen, uint64_t now_ms)
{
    return atomic_compare_exchange_strong(&t->next_try_ms, &seen, now_ms + CIRCUIT_TRIAL_MS);
}

bool circuit_may_try(struct circuits *c, const struct config_node *node, uint64_t now_ms, bool *is_trial_out)
{
    struct circuit *t = find(c, node);
    uint64_t next = t ? atomic_load_explicit(&t->next_try_ms, memory_order_relaxed) : 0;
    if (is_trial_out)
        *is_trial_out = false;
    if (next == 0)
        return true;
    uint64_t patience = node->health_ms > 0 ? CIRCUIT_PROBE_MS : 0;
    if (!is_trial_out || now_ms < next + patience || !take_trial(t, next, now_ms))
        return false;
    return *is_trial_out = true;
}

bool circuit_may_probe(struct circuits *c, const struct config_node *node, uint64_t now_ms)
{
    struct circuit *t = find(c, node);
    uint64_t next = t ? atomic_load_explicit(&t->next_try_ms, memory_order_relaxed) : 0;
    return next > 0 && now_ms >= next && take_trial(t, next, now_ms);
}

void circuit_end_trial(struct circuits *c, const struct config_node *node, uint64_t now_ms)
{
    struct circuit *t = find(c, node);
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    if (atomic_load(&t->next_try_ms) > 0 && now_ms >= t->until_ms)
        atomic_store(&t->next_try_ms, now_ms);
    pthread_mutex_unlock(&t->lock);
}

/* --- signs ----------------------------------------------------------------------------------------------------- */

/* What there is to be said of a sign, once the lock is let go. */
enum change { NO_CHANGE, HAS_OPENED, HAS_LASTED, HAS_CLOSED };

static enum change close_circuit(struct circuit *t, uint64_t now_ms, uint64_t *away_ms_out)
{
    *away_ms_out = now_ms - t->changed_ms;
    t->changed_ms = now_ms;
    atomic_store(&t->next_try_ms, 0);
    return HAS_CLOSED;
}

static uint64_t longer_pause(const struct circuit *t, const struct config_node *node)
{
    uint64_t most = node->retry_most_ms < CIRCUIT_PAUSE_MOST_MS ? node->retry_most_ms : CIRCUIT_PAUSE_MOST_MS;
    return t->pause_ms * 2 < most ? t->pause_ms * 2 : most;
}

/* A failure while the pause lasts (of who had to try) makes it no longer. */
static enum change open_circuit(struct circuit *t, const struct config_node *node, bool is_unreachable,
                                const char *why, uint64_t now_ms)
{
    bool is_open = atomic_load(&t->next_try_ms) > 0;
    snprintf(t->cause, sizeof(t->cause), "%s", why ? why : "");
    t->is_unreachable = is_unreachable;
    if (is_open && now_ms < t->until_ms)
        return NO_CHANGE;
    t->pause_ms = is_open ? longer_pause(t, node) : node->retry_first_ms;
    t->until_ms = now_ms + t->pause_ms;
    atomic_store(&t->next_try_ms, t->until_ms);
    if (is_open)
        return HAS_LASTED;
    t->changed_ms = now_ms;
    return HAS_OPENED;
}

static enum change take_sign(struct circuit *t, const struct config_node *node, enum circuit_sign sign,
                             const char *why, uint64_t now_ms, uint64_t *away_ms_out)
{
    bool is_open = atomic_load(&t->next_try_ms) > 0;
    if (sign == CIRCUIT_SUCCESS || (sign == CIRCUIT_THERE && is_open && t->is_unreachable)) {
        atomic_store(&t->failures, 0);
        return is_open ? close_circuit(t, now_ms, away_ms_out) : NO_CHANGE;
    }
    if (sign == CIRCUIT_THERE)
        return NO_CHANGE;
    unsigned failures = atomic_fetch_add(&t->failures, 1) + 1;
    if (sign == CIRCUIT_UNREACHABLE || is_open || failures >= CIRCUIT_PATIENCE)
        return open_circuit(t, node, sign == CIRCUIT_UNREACHABLE, why, now_ms);
    return NO_CHANGE;
}

/* Each change once: who brings it about says so. */
static void tell(const struct config_node *node, enum change change, const char *why, uint64_t pause_ms,
                 uint64_t away_ms)
{
    if (change == HAS_OPENED)
        LOG(LOG_WARN, "node is away", LOG_STR("node", node->name), LOG_STR("cause", why),
            LOG_INT("pause_ms", pause_ms));
    else if (change == HAS_LASTED)
        LOG(LOG_DEBUG, "node is still away", LOG_STR("node", node->name), LOG_STR("cause", why),
            LOG_INT("pause_ms", pause_ms));
    else if (change == HAS_CLOSED)
        LOG(LOG_INFO, "node is back", LOG_STR("node", node->name), LOG_INT("away_ms", away_ms));
}

void circuit_sign(struct circuits *c, const struct config_node *node, enum circuit_sign sign, const char *why,
                  uint64_t now_ms)
{
    bool is_failure = sign == CIRCUIT_UNREACHABLE || sign == CIRCUIT_TROUBLE;
    struct circuit *t = is_failure ? find_or_add(c, node) : find(c, node);
    uint64_t away_ms = 0;
    if (!t)
        return;
    if (!is_failure && atomic_load_explicit(&t->next_try_ms, memory_order_relaxed) == 0 &&
        atomic_load_explicit(&t->failures, memory_order_relaxed) == 0)
        return; /* all is well already */
    pthread_mutex_lock(&t->lock);
    enum change change = take_sign(t, node, sign, why, now_ms, &away_ms);
    uint64_t pause_ms = t->pause_ms;
    pthread_mutex_unlock(&t->lock);
    tell(node, change, why, pause_ms, away_ms);
}

/* --- by an operator, and for people ------------------------------------------------------------------------------ */

void circuit_drain(struct circuits *c, const struct config_node *node, bool is_drained)
{
    struct circuit *t = is_drained ? find_or_add(c, node) : find(c, node);
    if (t)
        atomic_store(&t->is_drained, is_drained);
}

bool circuit_is_drained(const struct circuits *c, const struct config_node *node)
{
    const struct circuit *t = find(c, node);
    return t && atomic_load_explicit(&t->is_drained, memory_order_relaxed);
}

void circuit_add_outstanding(struct circuits *c, const struct config_node *node, int64_t bytes)
{
    struct circuit *t = find_or_add(c, node);
    if (t)
        atomic_fetch_add_explicit(&t->outstanding, bytes, memory_order_relaxed);
}

void circuit_look(const struct circuits *c, const struct config_node *node, uint64_t now_ms,
                  struct circuit_view *out)
{
    struct circuit *t = find(c, node);
    *out = (struct circuit_view){.state = CIRCUIT_CLOSED};
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    uint64_t next = atomic_load(&t->next_try_ms);
    int64_t outstanding = atomic_load(&t->outstanding);
    out->changed_ms = t->changed_ms;
    out->failures = atomic_load(&t->failures);
    out->is_drained = atomic_load(&t->is_drained);
    out->bytes_outstanding = outstanding > 0 ? (uint64_t)outstanding : 0;
    if (next > 0) {
        out->state = now_ms < t->until_ms ? CIRCUIT_OPEN : CIRCUIT_HALF_OPEN;
        out->is_trying = out->state == CIRCUIT_HALF_OPEN && now_ms < next;
        out->until_ms = t->until_ms;
        memcpy(out->cause, t->cause, sizeof(out->cause));
    }
    pthread_mutex_unlock(&t->lock);
}
