#include "association/permits.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/assert.h"

enum { HOLDERS_MAX = 256, KEY_BYTES = 512 };

struct permits_wait {
    struct io_message message;
    struct permits *permits;
    struct io *io;
    void (*on_granted)(void *owner);
    void *owner;
    bool is_granted;   /* under the lock: off the line, the message is on its way */
    bool is_cancelled; /* on its own thread */
    TAILQ_ENTRY(permits_wait) link;
};

struct permits {
    struct permits_registry *registry;
    char key[KEY_BYTES];
    unsigned limit, in_use;
    TAILQ_HEAD(permits_line, permits_wait) line;
    LIST_ENTRY(permits) link;
};

struct permits_registry {
    pthread_mutex_t lock;
    struct permits_holder holders[HOLDERS_MAX];
    unsigned holder_count;
    LIST_HEAD(permits_list, permits) all;
};

struct recall {
    struct io_message message;
    struct permits_holder holder;
    struct permits *permits;
};

enum result permits_registry_new(struct permits_registry **out)
{
    struct permits_registry *r = calloc(1, sizeof(*r));
    if (!r)
        return ERR_MEMORY;
    pthread_mutex_init(&r->lock, NULL);
    *out = r;
    return OK;
}

void permits_registry_free(struct permits_registry **rp)
{
    struct permits_registry *r = *rp;
    *rp = NULL;
    if (!r)
        return;
    while (!LIST_EMPTY(&r->all)) {
        struct permits *p = LIST_FIRST(&r->all);
        LIST_REMOVE(p, link);
        free(p);
    }
    pthread_mutex_destroy(&r->lock);
    free(r);
}

enum result permits_register(struct permits_registry *r, const struct permits_holder *holder)
{
    enum result result = ERR_LIMIT;
    pthread_mutex_lock(&r->lock);
    if (r->holder_count < HOLDERS_MAX) {
        r->holders[r->holder_count++] = *holder;
        result = OK;
    }
    pthread_mutex_unlock(&r->lock);
    return result;
}

static void key_of(const struct config_node *node, char key[KEY_BYTES])
{
    snprintf(key, KEY_BYTES, "%s|%u|%s", node->host, node->port, node->ae_title);
}

static struct permits *find(struct permits_registry *r, const char *key)
{
    struct permits *p;
    LIST_FOREACH (p, &r->all, link)
        if (strcmp(p->key, key) == 0)
            return p;
    return NULL;
}

static struct permits *find_or_add(struct permits_registry *r, const char *key)
{
    struct permits *p = find(r, key);
    if (p)
        return p;
    p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->registry = r;
    snprintf(p->key, sizeof(p->key), "%s", key);
    TAILQ_INIT(&p->line);
    LIST_INSERT_HEAD(&r->all, p, link);
    return p;
}

static bool has_room(const struct permits *p)
{
    return p->limit == 0 || p->in_use < p->limit;
}

static void on_grant_message(struct io_message *m)
{
    struct permits_wait *w = (struct permits_wait *)((char *)m - offsetof(struct permits_wait, message));
    if (w->is_cancelled)
        permits_give(w->permits);
    else
        w->on_granted(w->owner);
    free(w);
}

/* Under the lock: permits that are free go to the line. */
static void grant(struct permits *p)
{
    while (has_room(p) && !TAILQ_EMPTY(&p->line)) {
        struct permits_wait *w = TAILQ_FIRST(&p->line);
        TAILQ_REMOVE(&p->line, w, link);
        w->is_granted = true;
        w->message.on_message = on_grant_message;
        p->in_use++;
        io_post(w->io, &w->message);
    }
}

struct permits *permits_of(struct permits_registry *r, const struct config_node *node)
{
    char key[KEY_BYTES];
    key_of(node, key);
    pthread_mutex_lock(&r->lock);
    struct permits *p = find_or_add(r, key);
    if (p) {
        p->limit = node->max_associations;
        grant(p); /* a reload may have raised it */
    }
    pthread_mutex_unlock(&r->lock);
    return p;
}

unsigned permits_in_use(struct permits_registry *r, const struct config_node *node)
{
    char key[KEY_BYTES];
    key_of(node, key);
    pthread_mutex_lock(&r->lock);
    const struct permits *p = find(r, key);
    unsigned in_use = p ? p->in_use : 0;
    pthread_mutex_unlock(&r->lock);
    return in_use;
}

bool permits_try(struct permits *p)
{
    pthread_mutex_lock(&p->registry->lock);
    bool got = has_room(p) && TAILQ_EMPTY(&p->line);
    if (got)
        p->in_use++;
    pthread_mutex_unlock(&p->registry->lock);
    return got;
}

void permits_give(struct permits *p)
{
    pthread_mutex_lock(&p->registry->lock);
    hilum_assert(p->in_use > 0);
    p->in_use--;
    grant(p);
    pthread_mutex_unlock(&p->registry->lock);
}

bool permits_is_next(struct permits *p, const struct permits_wait *w)
{
    pthread_mutex_lock(&p->registry->lock);
    bool is_next = TAILQ_FIRST(&p->line) == w;
    pthread_mutex_unlock(&p->registry->lock);
    return is_next;
}

bool permits_wanted_elsewhere(struct permits *p, const struct io *here)
{
    pthread_mutex_lock(&p->registry->lock);
    const struct permits_wait *first = TAILQ_FIRST(&p->line);
    bool wanted = first && first->io != here;
    pthread_mutex_unlock(&p->registry->lock);
    return wanted;
}

static void on_recall_message(struct io_message *m)
{
    struct recall *r = (struct recall *)((char *)m - offsetof(struct recall, message));
    r->holder.on_recall(r->holder.owner, r->permits);
    free(r);
}

/* Under the lock. The asker's own worker looks for itself. A recall lost for want of memory costs only time: idle
 * associations linger out. */
static void recall_idle(struct permits *p, const struct io *asker)
{
    for (unsigned i = 0; i < p->registry->holder_count; i++) {
        const struct permits_holder *holder = &p->registry->holders[i];
        struct recall *r = holder->io == asker ? NULL : malloc(sizeof(*r));
        if (!r)
            continue;
        *r = (struct recall){.message = {.on_message = on_recall_message}, .holder = *holder, .permits = p};
        io_post(holder->io, &r->message);
    }
}

void permits_recall(struct permits *p, struct io *asker)
{
    pthread_mutex_lock(&p->registry->lock);
    recall_idle(p, asker);
    pthread_mutex_unlock(&p->registry->lock);
}

struct permits_wait *permits_wait(struct permits *p, struct io *io, void (*on_granted)(void *owner),
                                  void *owner)
{
    struct permits_wait *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    *w = (struct permits_wait){.permits = p, .io = io, .on_granted = on_granted, .owner = owner};
    pthread_mutex_lock(&p->registry->lock);
    TAILQ_INSERT_TAIL(&p->line, w, link);
    grant(p);
    if (!w->is_granted)
        recall_idle(p, io);
    pthread_mutex_unlock(&p->registry->lock);
    return w;
}

void permits_wait_cancel(struct permits_wait **wp)
{
    struct permits_wait *w = *wp;
    *wp = NULL;
    if (!w)
        return;
    pthread_mutex_lock(&w->permits->registry->lock);
    bool on_line = !w->is_granted;
    if (on_line)
        TAILQ_REMOVE(&w->permits->line, w, link);
    pthread_mutex_unlock(&w->permits->registry->lock);
    if (on_line)
        free(w);
    else
        w->is_cancelled = true; /* its message is on the way to this thread */
}
