#include "relay/rates.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/assert.h"

struct named {
    struct rates_of of;
    SLIST_ENTRY(named) link;
    char name[];
};

SLIST_HEAD(named_list, named);

struct rates {
    pthread_mutex_t lock;
    struct named_list callers, nodes;
};

struct rates *rates_new(void)
{
    struct rates *r = calloc(1, sizeof(*r));
    if (r)
        pthread_mutex_init(&r->lock, NULL);
    return r;
}

static void free_list(struct named_list *list)
{
    struct named *n;
    while ((n = SLIST_FIRST(list))) {
        SLIST_REMOVE_HEAD(list, link);
        free(n);
    }
}

void rates_free(struct rates **rp)
{
    struct rates *r = *rp;
    *rp = NULL;
    if (!r)
        return;
    free_list(&r->callers);
    free_list(&r->nodes);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static struct named *add(struct named_list *list, const char *name)
{
    size_t len = strlen(name) + 1;
    struct named *n = calloc(1, sizeof(*n) + len);
    if (!n)
        return NULL;
    memcpy(n->name, name, len);
    SLIST_INSERT_HEAD(list, n, link);
    return n;
}

static struct rates_of *find(struct rates *r, struct named_list *list, const char *name)
{
    pthread_mutex_lock(&r->lock);
    struct named *n = SLIST_FIRST(list);
    while (n && strcmp(n->name, name) != 0)
        n = SLIST_NEXT(n, link);
    if (!n)
        n = add(list, name);
    pthread_mutex_unlock(&r->lock);
    return n ? &n->of : NULL;
}

struct rates_of *rates_of_caller(struct rates *r, const struct config_caller *caller)
{
    return find(r, &r->callers, caller->name);
}

struct rates_of *rates_of_node(struct rates *r, const struct config_node *node)
{
    return find(r, &r->nodes, node->name);
}

bool rates_enter(struct rates_of *of, const struct config_caller *caller)
{
    unsigned before = atomic_fetch_add(&of->associations, 1);
    if (caller->max_associations == 0 || before < caller->max_associations)
        return true;
    rates_leave(of);
    return false;
}

void rates_leave(struct rates_of *of)
{
    unsigned before = atomic_fetch_sub(&of->associations, 1);
    hilum_assert(before > 0);
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

uint64_t rates_charge(struct rates_of *of, const struct config_rate *rate, uint64_t instances, uint64_t bytes,
                      uint64_t now_ms)
{
    uint64_t one = instances ? rate_take(&of->instances, instances, rate->instances, now_ms) : 0;
    return later(one, bytes ? rate_take(&of->bytes, bytes, rate->bytes, now_ms) : 0);
}

bool rates_begin(struct rates_of *of, const struct config_rate *rate, uint64_t now_ms, uint64_t most_ms,
                 uint64_t *wait_ms_out)
{
    uint64_t bytes_ms;
    if (!rate_try(&of->bytes, 0, rate->bytes, now_ms, most_ms, &bytes_ms) ||
        !rate_try(&of->instances, 1, rate->instances, now_ms, most_ms, wait_ms_out))
        return false;
    *wait_ms_out = later(*wait_ms_out, bytes_ms);
    return true;
}
