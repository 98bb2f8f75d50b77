#include "worker/gateway.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"
#include "worker/worker.h"

enum { WORKERS_MAX = 128, MEMORY_MIN = 4 << 20 };

struct gateway {
    struct config *config;
    struct resolver *resolver;
    struct permits_registry *permits;
    struct relay_totals totals;
    struct worker *workers;
    unsigned worker_count;
};

static unsigned available_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        return (unsigned)CPU_COUNT(&set);
    return 1;
}

/* Descriptors: as many as the system lets us have. */
static unsigned raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024;
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit.rlim_cur > 1U << 20 ? 1U << 20 : (unsigned)limit.rlim_cur;
}

static enum result open_workers(struct gateway *g)
{
    const struct config *c = g->config;
    char why[256];
    unsigned descriptors = raise_descriptors();
    unsigned count = c->workers ? c->workers : available_cpus();
    count = count > WORKERS_MAX ? WORKERS_MAX : count;
    uint64_t memory = c->memory / count < MEMORY_MIN ? MEMORY_MIN : c->memory / count;
    g->workers = calloc(count, sizeof(*g->workers));
    if (!g->workers)
        return ERR_MEMORY;
    if (descriptors < c->max_associations * 2U + 64)
        LOG(LOG_WARN, "few file descriptors for max_associations", LOG_INT("descriptors", descriptors),
            LOG_INT("max_associations", c->max_associations));
    for (unsigned i = 0; i < count; i++) {
        struct worker_options options = {.index = i,
                                         .memory = memory,
                                         .resolver = g->resolver,
                                         .permits = g->permits,
                                         .totals = &g->totals,
                                         .silent_max = descriptors / 2 / count,
                                         .peers = g->workers,
                                         .peer_count = count};
        enum result r = worker_open(&g->workers[i], &options, why, sizeof(why));
        if (r != OK) {
            LOG(LOG_ERROR, "worker cannot be started", LOG_INT("worker", i), LOG_STR("cause", why));
            return r;
        }
        g->worker_count = i + 1;
    }
    return OK;
}

static bool listens_already(const struct config *old, const struct config_listen *l)
{
    for (size_t i = 0; old && i < old->listen_count; i++)
        if (l->port != 0 && old->listens[i].port == l->port &&
            strcmp(old->listens[i].address, l->address) == 0)
            return true;
    return false;
}

static void close_all(const struct worker_listener *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        io_close(list[i].fd);
}

/* Opens what does not listen yet, and hands the set to worker 0. */
static enum result set_listeners(struct gateway *g, struct config *config, const struct config *old)
{
    struct worker_listener *list = calloc(config->listen_count + 1, sizeof(*list));
    char why[256];
    if (!list)
        return ERR_MEMORY;
    for (size_t i = 0; i < config->listen_count; i++) {
        const struct config_listen *l = &config->listens[i];
        uint16_t port = l->port;
        list[i] = (struct worker_listener){.fd = -1, .listen = l};
        if (listens_already(old, l))
            continue;
        if (io_listen(l->address, l->port, &list[i].fd, &port, why, sizeof(why)) != OK) {
            LOG(LOG_ERROR, "cannot listen", LOG_STR("address", l->address), LOG_INT("port", l->port),
                LOG_STR("cause", why));
            close_all(list, i);
            free(list);
            return ERR_IO;
        }
        LOG(LOG_INFO, "listening", LOG_STR("listener", l->name), LOG_STR("address", l->address),
            LOG_INT("port", port));
    }
    enum result r = worker_set_listeners(&g->workers[0], config, list, config->listen_count);
    if (r != OK)
        close_all(list, config->listen_count);
    free(list);
    return r;
}

enum result gateway_start(struct config *config, struct gateway **out)
{
    struct gateway *g = calloc(1, sizeof(*g));
    if (!g) {
        config_unref(&config);
        return ERR_MEMORY;
    }
    g->config = config;
    enum result r = resolver_new(&g->resolver);
    if (r == OK)
        r = permits_registry_new(&g->permits);
    if (r == OK)
        r = open_workers(g);
    for (unsigned i = 0; r == OK && i < g->worker_count; i++)
        r = worker_start(&g->workers[i]);
    if (r == OK)
        r = set_listeners(g, config, NULL);
    if (r != OK) {
        gateway_stop(&g);
        return r;
    }
    LOG(LOG_INFO, "ready", LOG_INT("workers", g->worker_count),
        LOG_STR("engine", io_describe(g->workers[0].io)), LOG_INT("routes", config->route_count),
        LOG_INT("nodes", config->node_count));
    *out = g;
    return OK;
}

enum result gateway_reload(struct gateway *g, struct config *config)
{
    if (config->workers != g->config->workers || config->memory != g->config->memory)
        LOG(LOG_WARN, "workers and memory change only with a restart");
    enum result r = set_listeners(g, config, g->config);
    if (r != OK) {
        config_unref(&config);
        return r;
    }
    config_unref(&g->config);
    g->config = config;
    return OK;
}

void gateway_drain(struct gateway *g)
{
    for (unsigned i = 0; i < g->worker_count; i++)
        worker_drain(&g->workers[i]);
}

bool gateway_is_quiet(struct gateway *g)
{
    for (unsigned i = 0; i < g->worker_count; i++)
        if (!atomic_load(&g->workers[i].is_quiet))
            return false;
    return true;
}

uint64_t gateway_drain_ms(const struct gateway *g)
{
    return g->config->timeouts.drain;
}

void gateway_stop(struct gateway **gp)
{
    struct gateway *g = *gp;
    *gp = NULL;
    if (!g)
        return;
    if (g->worker_count > 0)
        worker_stop_all(g->workers);
    for (unsigned i = 0; i < g->worker_count; i++)
        worker_join(&g->workers[i]);
    resolver_free(&g->resolver); /* its last answers go to rings that still stand */
    for (unsigned i = 0; i < g->worker_count; i++)
        worker_close(&g->workers[i]);
    permits_registry_free(&g->permits);
    free(g->workers);
    config_unref(&g->config);
    free(g);
}
