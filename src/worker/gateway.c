#include "worker/gateway.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "relay/affinity.h"
#include "relay/commitment.h"
#include "relay/holdings.h"
#include "relay/moves.h"
#include "relay/rates.h"
#include "worker/bounds.h"
#include "worker/bounds_process.h"
#include "worker/confine.h"
#include "worker/control.h"
#include "worker/worker.h"

enum {
    LISTEN_WAIT_MS = 2000,
    PRIVILEGED_PORTS = 1024,
    WORKERS_MAX = 128,
    MEMORY_MIN = 4 << 20,
    END_MS = 3000 /* for all threads to end: more than twice what each gives to what it still does */
};

struct bound {
    int fd; /* -1: it listens by now */
    uint16_t port;
};

struct gateway {
    struct config *config;
    struct resolver *resolver;
    struct permits_registry *permits;
    struct relay_totals totals;
    struct spool *spool; /* NULL: there is no queue */
    struct affinity *affinity;
    struct circuits *circuits;
    struct control *control; /* NULL: there is none */
    struct moves *moves;
    struct holdings *holdings;
    struct rates *rates;
    struct commitment_desks *desks;
    struct worker *workers;
    unsigned worker_count;
    struct guard *guard; /* what the process is confined to */
    struct bound *
        bound; /* at the start, of config->listens in their order: taken while we may, to be listened on once all stands */
    int *sockets; /* of config->listens, in their order; worker 0 closes those that it is not given again */
};

static unsigned available_cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        return (unsigned)CPU_COUNT(&set);
    return 1;
}

static unsigned workers_of(const struct config *c)
{
    unsigned count = c->workers ? c->workers : available_cpus();
    return count > WORKERS_MAX ? WORKERS_MAX : count;
}

/* What nothing works without, before anything is opened. */
static enum result check_process(const struct config *c)
{
    struct bounds_process limits;
    bounds_process_read(&limits);
    return bounds_process_check(&limits, workers_of(c), c->memory);
}

static enum result open_workers(struct gateway *g)
{
    const struct config *c = g->config;
    char why[256];
    struct bounds_system system;
    bounds_read(&system, "");
    unsigned count = workers_of(c);
    uint64_t memory = bounds_memory(&system, c) / count;
    memory = memory < MEMORY_MIN ? MEMORY_MIN : memory;
    g->workers = calloc(count, sizeof(*g->workers));
    g->desks = commitment_desks_new(count);
    if (!g->workers || !g->desks)
        return ERR_MEMORY;
    if (bounds_check(&system, c, count) != OK)
        return ERR_USAGE;
    for (unsigned i = 0; i < count; i++) {
        struct worker_options options = {.index = i,
                                         .memory = memory,
                                         .resolver = g->resolver,
                                         .permits = g->permits,
                                         .totals = &g->totals,
                                         .spool = g->spool,
                                         .affinity = g->affinity,
                                         .circuits = g->circuits,
                                         .moves = g->moves,
                                         .holdings = g->holdings,
                                         .rates = g->rates,
                                         .desks = g->desks,
                                         .silent_max = (unsigned)(system.descriptors / 2 / count),
                                         .pipes_max = bounds_pipes(&system, count),
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

/* The socket that listens there, or -1. */
static int socket_at(const struct gateway *g, const struct config_listen *l)
{
    for (size_t i = 0; g->sockets && l->port != 0 && i < g->config->listen_count; i++)
        if (config_listen_is_at(l, &g->config->listens[i]))
            return g->sockets[i];
    return -1;
}

static bool is_removed(const struct config *now, const struct config_listen *l)
{
    for (size_t i = 0; l->port != 0 && i < now->listen_count; i++)
        if (config_listen_is_at(l, &now->listens[i]))
            return false;
    return true;
}

/* What is not listened on any more makes room before anything is opened: port 104 of one address would keep us from port 104 of
 * all. And it goes on if the new configuration is refused. */
static void pause_removed(const struct gateway *g, const struct config *now, bool is_paused)
{
    for (size_t i = 0; g->sockets && i < g->config->listen_count; i++) {
        if (!is_removed(now, &g->config->listens[i]))
            continue;
        if (is_paused)
            io_listen_pause(g->sockets[i]);
        else if (!io_listen_resume(g->sockets[i]))
            LOG(LOG_ERROR, "cannot listen again", LOG_STR("listener", g->config->listens[i].name));
    }
}

static bool refuse_listen(const struct gateway *g, const struct config_listen *l, const char *why)
{
    bool is_late = g->sockets && guard_has_become(g->guard) && l->port > 0 && l->port < PRIVILEGED_PORTS;
    LOG(LOG_ERROR, "cannot listen", LOG_STR("address", l->address), LOG_INT("port", l->port),
        LOG_STR("cause", why),
        LOG_STR("hint", is_late ? "the privilege for such a port is given up; it takes a restart" : ""));
    return false;
}

/* What may be waited for: who was here before may just have been killed. */
static enum result bind_all(struct gateway *g)
{
    const struct config *c = g->config;
    char why[256];
    g->bound = calloc(c->listen_count + 1, sizeof(*g->bound));
    for (size_t i = 0; g->bound && i < c->listen_count; i++)
        g->bound[i].fd = -1;
    for (size_t i = 0; g->bound && i < c->listen_count; i++) {
        const struct config_listen *l = &c->listens[i];
        g->bound[i].port = l->port;
        if (io_bind(l->address, l->port, LISTEN_WAIT_MS, &g->bound[i].fd, &g->bound[i].port, why,
                    sizeof(why)) != OK) {
            refuse_listen(g, l, why);
            return ERR_IO;
        }
    }
    return g->bound ? OK : ERR_MEMORY;
}

/* Those that were not listened on after all. */
static void free_bound(struct gateway *g)
{
    for (size_t i = 0; g->bound && i < g->config->listen_count; i++)
        io_close(g->bound[i].fd);
    free(g->bound);
    g->bound = NULL;
}

/* The listener `at` of a configuration. */
static bool open_one(struct gateway *g, const struct config *config, size_t at, struct worker_listener *out,
                     int *socket_out)
{
    const struct config_listen *l = &config->listens[at];
    char why[256] = "somebody else listens there by now";
    uint16_t port = l->port;
    *out = (struct worker_listener){.fd = -1, .listen = l};
    *socket_out = socket_at(g, l);
    if (*socket_out >= 0)
        return true;
    if (g->bound) {
        out->fd = g->bound[at].fd;
        port = g->bound[at].port;
        g->bound[at].fd = -1;
        if (!io_listen_resume(out->fd))
            return refuse_listen(g, l, why);
    } else if (io_listen(l->address, l->port, 0, &out->fd, &port, why, sizeof(why)) != OK) {
        return refuse_listen(g, l, why);
    }
    *socket_out = out->fd;
    LOG(LOG_INFO, "listening", LOG_STR("listener", l->name), LOG_STR("address", l->address),
        LOG_INT("port", port));
    return true;
}

/* All of them, or none: then those opened are closed again. */
static enum result open_all(struct gateway *g, struct config *config, struct worker_listener *list,
                            int *sockets)
{
    enum result r = OK;
    size_t count = 0;
    while (r == OK && count < config->listen_count) {
        if (!open_one(g, config, count, &list[count], &sockets[count]))
            r = ERR_IO;
        count++;
    }
    if (r == OK)
        r = worker_set_listeners(&g->workers[0], config, list, count);
    for (size_t i = 0; r != OK && i < count; i++)
        io_close(list[i].fd);
    return r;
}

/* Opens what does not listen yet, and hands the set to worker 0. */
static enum result set_listeners(struct gateway *g, struct config *config)
{
    struct worker_listener *list = calloc(config->listen_count + 1, sizeof(*list));
    int *sockets = calloc(config->listen_count + 1, sizeof(*sockets));
    enum result r = ERR_MEMORY;
    if (list && sockets) {
        pause_removed(g, config, true);
        r = open_all(g, config, list, sockets);
        if (r != OK)
            pause_removed(g, config, false);
    }
    if (r == OK) {
        free(g->sockets);
        g->sockets = sockets;
    } else {
        free(sockets);
    }
    free(list);
    return r;
}

/* Without routes that need it, the queue only remembers: then it may be missing. */
static enum result open_spool(struct gateway *g)
{
    const struct config *c = g->config;
    struct spool_options options = {.path = c->spool.path,
                                    .max_bytes = c->spool.max_bytes,
                                    .reserve = c->spool.reserve,
                                    .history_ms = c->history_ms};
    char why[512];
    if (c->spool.is_off)
        return OK;
    enum result r = spool_open(&options, &g->spool, why, sizeof(why));
    if (r == OK)
        return OK;
    bool is_needed = config_needs_spool(c);
    LOG(is_needed ? LOG_ERROR : LOG_WARN, "the queue cannot be opened", LOG_STR("path", c->spool.path),
        LOG_STR("cause", why));
    return is_needed ? r : OK;
}

static void free_news(struct gateway *g, struct worker_news ***news)
{
    for (unsigned i = 0; *news && i < g->worker_count; i++)
        worker_news_free(&(*news)[i]);
    free(*news);
    *news = NULL;
}

/* For all workers, or, without memory, for none: NULL. */
static struct worker_news **make_news(struct gateway *g, struct config *config)
{
    struct worker_news **news = calloc(g->worker_count, sizeof(struct worker_news *));
    bool ok = news;
    for (unsigned i = 0; ok && i < g->worker_count; i++)
        ok = (news[i] = worker_news_new(&g->workers[i], config));
    if (!ok)
        free_news(g, &news);
    return news;
}

static void tell_news(struct gateway *g, struct worker_news ***news)
{
    for (unsigned i = 0; i < g->worker_count; i++)
        worker_news_tell(&(*news)[i]);
    free(*news);
    *news = NULL;
}

static enum result configure_workers(struct gateway *g, struct config *config)
{
    struct worker_news **news = make_news(g, config);
    if (!news)
        return ERR_MEMORY;
    tell_news(g, &news);
    return OK;
}

static bool is_other_spool(const struct config *a, const struct config *b)
{
    return a->spool.is_off != b->spool.is_off ||
           (!a->spool.is_off && strcmp(a->spool.path, b->spool.path) != 0);
}

static bool is_other_control(const struct config *a, const struct config *b)
{
    char path[CONFIG_CONTROL_BYTES], before[CONFIG_CONTROL_BYTES];
    const char *why;
    bool has_one = config_control_path(a, path, &why);
    return has_one != config_control_path(b, before, &why) || (has_one && strcmp(path, before) != 0);
}

/* A reload makes no rings; code of an attacker would. */
static enum result seal(const struct gateway *g)
{
    char why[256];
    enum result r = guard_seal(g->guard, why, sizeof(why));
    if (r != OK)
        LOG(LOG_ERROR, "cannot be confined", LOG_STR("cause", why));
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
    refusals_init(&g->totals.refusals, false);
    refusals_init(&g->totals.unreached, true);
    g->circuits = circuits_new();
    g->holdings = holdings_new();
    g->rates = rates_new();
    enum result r = g->circuits && g->holdings && g->rates ? check_process(config) : ERR_MEMORY;
    if (r == OK)
        r = bind_all(g);
    if (r == OK)
        r = confine(config, &g->guard); /* before there is a second thread */
    if (r == OK)
        r = resolver_new(&g->resolver);
    if (r == OK)
        r = permits_registry_new(&g->permits);
    if (r == OK)
        r = moves_new(&g->moves);
    if (r == OK)
        r = open_spool(g);
    if (r == OK)
        r = (g->affinity = affinity_new(g->spool)) ? OK : ERR_MEMORY;
    if (r == OK)
        r = open_workers(g);
    for (unsigned i = 0; r == OK && i < g->worker_count; i++)
        r = worker_start(&g->workers[i]);
    if (r == OK)
        r = configure_workers(g, config);
    if (r == OK)
        g->control = control_start(config, g->circuits, g->permits);
    if (r == OK)
        r = seal(g);
    if (r == OK)
        r = set_listeners(g, config);
    free_bound(g);
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
    if (is_other_spool(config, g->config))
        LOG(LOG_WARN, "the folder of the queue changes only with a restart");
    if (is_other_control(config, g->config))
        LOG(LOG_WARN, "the control socket changes only with a restart");
    enum result r = confine_fits(g->guard, g->config, config) ? OK : ERR_IO;
    struct worker_news **news = r == OK ? make_news(g, config) : NULL;
    if (r == OK)
        r = news ? set_listeners(g, config) : ERR_MEMORY;
    if (r != OK) {
        if (r == ERR_MEMORY)
            LOG(LOG_ERROR, "no memory for the new configuration");
        free_news(g, &news);
        config_unref(&config);
        return r;
    }
    if (g->spool)
        spool_set_limits(g->spool, config->spool.max_bytes, config->spool.reserve, config->history_ms);
    tell_news(g, &news); /* nothing can fail from here on */
    control_configure(g->control, config);
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

void gateway_watch(struct gateway *g)
{
    struct rules_sight rule;
    for (unsigned i = 0; i < g->worker_count; i++)
        if (rules_watch_tell(&g->workers[i].rules_watch, &rule))
            LOG(LOG_WARN, "a rule is still running", LOG_INT("worker", i), LOG_STR(rule.of, rule.name),
                LOG_STR("rule", rule.rule), LOG_STR("calling", rule.calling), LOG_STR("remote", rule.remote),
                LOG_INT("ms", rule.ms));
    refusals_tell(&g->totals.refusals, clock_ms(), false);
    refusals_tell(&g->totals.unreached, clock_ms(), false);
}

/* The first one may keep the others from being told (worker_stop_all): only who is at a rule is named. */
static void tell_hung(struct gateway *g)
{
    struct rules_sight rule;
    LOG(LOG_ERROR, "not all workers end, and are given up", LOG_INT("bound_ms", END_MS));
    for (unsigned i = 0; i < g->worker_count; i++)
        if (rules_watch_look(&g->workers[i].rules_watch, &rule))
            LOG(LOG_ERROR, "a rule does not end", LOG_INT("worker", i), LOG_STR(rule.of, rule.name),
                LOG_STR("rule", rule.rule), LOG_STR("calling", rule.calling), LOG_STR("remote", rule.remote),
                LOG_INT("ms", rule.ms));
}

bool gateway_stop(struct gateway **gp)
{
    struct gateway *g = *gp;
    bool have_ended = true;
    *gp = NULL;
    if (!g)
        return true;
    control_stop(&g->control);
    uint64_t until = clock_ms() + END_MS;
    if (g->worker_count > 0)
        worker_stop_all(g->workers);
    for (unsigned i = 0; i < g->worker_count; i++)
        have_ended = worker_join(&g->workers[i], until) && have_ended;
    if (!have_ended) {
        tell_hung(g);
        return false;
    }
    spool_close(&g->spool);      /* who answers workers ends before their rings do */
    resolver_free(&g->resolver); /* its last answers go to rings that still stand */
    for (unsigned i = 0; i < g->worker_count; i++)
        worker_close(&g->workers[i]);
    refusals_tell(&g->totals.refusals, clock_ms(), true);
    refusals_tell(&g->totals.unreached, clock_ms(), true);
    refusals_free(&g->totals.refusals);
    refusals_free(&g->totals.unreached);
    affinity_free(&g->affinity);
    commitment_desks_free(&g->desks);
    moves_free(&g->moves);
    holdings_free(&g->holdings);
    rates_free(&g->rates);
    permits_registry_free(&g->permits);
    circuits_free(&g->circuits);
    free(g->workers);
    free(g->sockets);
    guard_free(&g->guard);
    config_unref(&g->config);
    free(g);
    return true;
}
