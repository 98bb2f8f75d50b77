#include "script/rules_watch.h"

#include <stdio.h>

#include "base/clock.h"
#include "script/rules_inside.h"

void rules_watch_init(struct rules_watch *w)
{
    *w = (struct rules_watch){.call = NULL};
    pthread_mutex_init(&w->lock, NULL);
}

void rules_watch_free(struct rules_watch *w)
{
    pthread_mutex_destroy(&w->lock);
}

void rules_set_watch(struct rules *r, struct rules_watch *w)
{
    r->watch = w;
}

void rules_watch_begin(struct rules_watch *w, const struct rules_call *call, const char *rule,
                       uint64_t now_us)
{
    if (w == NULL) {
        return;
    }
    pthread_mutex_lock(&w->lock);
    w->call = call;
    w->rule = rule;
    w->since_us = now_us;
    w->is_told = false;
    pthread_mutex_unlock(&w->lock);
}

void rules_watch_end(struct rules_watch *w)
{
    if (w == NULL) {
        return;
    }
    pthread_mutex_lock(&w->lock);
    w->call = NULL;
    pthread_mutex_unlock(&w->lock);
}

/* The lock is held, so that the call stays. Nothing is logged under it: the worker would wait for the log. */
static void copy(const struct rules_watch *w, uint64_t now_us, struct rules_sight *out)
{
    const struct rules_assoc *a = w->call->assoc;
    *out = (struct rules_sight){
        .of = rules_call_of(w->call), .rule = w->rule, .ms = (now_us - w->since_us) / 1000};
    snprintf(out->name, sizeof(out->name), "%s", rules_call_name(w->call));
    if (a != NULL) {
        snprintf(out->calling, sizeof(out->calling), "%.*s", (int)a->calling.len,
                 (const char *)a->calling.at);
        snprintf(out->remote, sizeof(out->remote), "%.*s", (int)a->remote.len, (const char *)a->remote.at);
    }
}

bool rules_watch_look(struct rules_watch *w, struct rules_sight *out)
{
    pthread_mutex_lock(&w->lock);
    bool is_running = w->call != NULL;
    if (is_running) {
        copy(w, clock_us(), out);
    }
    pthread_mutex_unlock(&w->lock);
    return is_running;
}

bool rules_watch_tell(struct rules_watch *w, struct rules_sight *out)
{
    pthread_mutex_lock(&w->lock);
    uint64_t now = clock_us();
    bool is_slow = w->call != NULL && !w->is_told && now - w->since_us >= RULES_SLOW_MS * UINT64_C(1000);
    if (is_slow) {
        copy(w, now, out);
        w->is_told = true;
    }
    pthread_mutex_unlock(&w->lock);
    return is_slow;
}
