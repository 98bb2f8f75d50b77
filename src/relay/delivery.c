#include "relay/delivery.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/clock.h"
#include "base/log.h"
#include "relay/delivery_inside.h"

struct delivery *delivery_new(struct relay *r, unsigned workers)
{
    struct delivery *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->relay = r;
    d->workers = workers;
    d->random = (uint32_t)clock_us();
    TAILQ_INIT(&d->queues);
    return d;
}

/* The same worker over reloads, whatever else is declared. */
static bool is_ours(const struct delivery *d, const struct config_node *node)
{
    return XXH32(node->name, strlen(node->name), 0) % d->workers == d->relay->worker;
}

static struct delivery_queue *find(struct delivery *d, const char *name)
{
    struct delivery_queue *q;
    TAILQ_FOREACH (q, &d->queues, link)
        if (!q->is_closing && strcmp(q->name, name) == 0)
            return q;
    return NULL;
}

void delivery_configure(struct delivery *d, struct config *config)
{
    struct delivery_queue *q, *next;
    if (d->is_draining)
        return;
    for (q = TAILQ_FIRST(&d->queues); q; q = next) {
        next = TAILQ_NEXT(q, link);
        const struct config_node *node = config_node_named(config, q->name);
        if (!node)
            delivery_queue_close(q);
        else if (!q->is_closing)
            delivery_queue_configure(q, config, node);
    }
    for (size_t i = 0; i < config->node_count; i++) {
        const struct config_node *node = &config->nodes[i];
        if (is_ours(d, node) && !find(d, node->name) && !delivery_queue_new(d, config, node))
            LOG(LOG_ERROR, "no memory for the queue of a node", LOG_STR("node", node->name));
    }
}

void delivery_drain(struct delivery *d)
{
    struct delivery_queue *q;
    d->is_draining = true;
    TAILQ_FOREACH (q, &d->queues, link)
        delivery_queue_drop_ready(q);
}

void delivery_stop(struct delivery *d)
{
    struct delivery_queue *q, *next;
    d->is_draining = true;
    for (q = TAILQ_FIRST(&d->queues); q; q = next) {
        next = TAILQ_NEXT(q, link);
        delivery_queue_stop(q);
    }
}

bool delivery_is_quiet(const struct delivery *d)
{
    const struct delivery_queue *q;
    TAILQ_FOREACH (q, &d->queues, link)
        if (q->busy > 0)
            return false;
    return true;
}

bool delivery_is_empty(const struct delivery *d)
{
    return TAILQ_EMPTY(&d->queues);
}

void delivery_free(struct delivery **dp)
{
    struct delivery *d = *dp;
    *dp = NULL;
    if (!d)
        return;
    /* Who was stopped without waiting has not closed all: the spool is gone by now, and nobody calls back. */
    struct delivery_queue *q, *next;
    for (q = TAILQ_FIRST(&d->queues); q; q = next) {
        next = TAILQ_NEXT(q, link);
        spool_entries_free(&q->ready);
        spool_entries_free(&q->feed.list);
        if (q->busy == 0)
            delivery_queue_free(q);
    }
    free(d);
}
