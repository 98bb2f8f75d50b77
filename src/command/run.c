/* hilum run: the gateway in the foreground. SIGTERM and SIGINT drain and stop, SIGHUP reloads. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/version.h"
#include "command/command.h"
#include "script/load.h"
#include "script/rules.h"
#include "worker/bounds_process.h"
#include "worker/gateway.h"

enum { DRAIN_POLL_MS = 20, WATCH_MS = 250 };

static int usage(FILE *to, int code)
{
    fputs("usage: hilum run CONFIG\n"
          "\n"
          "Starts the gateway in the foreground with the configuration CONFIG (a Lua file).\n"
          "Logs go to stderr, one line an event.\n"
          "\n"
          "  SIGTERM, SIGINT   stop accepting, finish what is in flight (gateway.timeouts.drain), exit 0;\n"
          "                    exit 1 where a rule that nothing can interrupt had to be given up\n"
          "  SIGHUP            read CONFIG again; an invalid one is refused and the old one stays\n"
          "\n"
          "      --help        this text\n",
          to);
    return code;
}

static void tell_people(const char *text, const char *end)
{
    log_plain(text, strlen(text));
    log_plain(end, strlen(end));
}

/* At the start for people; at a reload as lines of the log, in its format. */
static void tell_problems(const struct problems *problems, bool is_reload)
{
    for (size_t i = 0; i < problems->count; i++) {
        const struct problem *p = &problems->items[i];
        if (is_reload && strstr(p->text, strerror(EACCES)))
            LOG(LOG_ERROR, "configuration problem", LOG_STR("problem", p->text),
                LOG_STR("hint",
                        "a file elsewhere than those of the start may be out of reach; it takes a restart"));
        else if (is_reload)
            LOG(p->is_warning ? LOG_WARN : LOG_ERROR, "configuration problem", LOG_STR("problem", p->text));
        else
            tell_people(p->text, "\n"); /* a warning says so itself */
    }
}

/* Of what has no words of its own. */
static void tell_no_memory(const char *path, bool is_reload)
{
    if (is_reload)
        LOG(LOG_ERROR, "no memory to read the configuration", LOG_STR("file", path));
    else
        tell_people(path, ": no memory to read it\n");
}

/* What every worker will do: functions that cannot be made again stop the start, not a message. */
static enum result try_rules(bool is_reload, struct config **config)
{
    struct problems problems = {0};
    struct rules *rules = NULL;
    enum result r = script_rules_open(*config, &rules, &problems);
    tell_problems(&problems, is_reload);
    problems_free(&problems);
    script_rules_close(&rules);
    if (r != OK)
        config_unref(config);
    return r;
}

static enum result load(const char *path, bool is_reload, struct config **out)
{
    struct problems problems = {0};
    enum result r = script_load(path, out, &problems);
    tell_problems(&problems, is_reload);
    problems_free(&problems);
    if (r == OK)
        r = try_rules(is_reload, out);
    if (r == ERR_MEMORY)
        tell_no_memory(path, is_reload);
    return r;
}

static void configure_log(const struct config *c)
{
    struct log_privacy privacy = {
        .shows_patients = c->log_patient, .hashes_uids = c->log_hashes_uids, .key = c->uid_key};
    log_configure(c->log_level, c->log_format);
    log_set_privacy(&privacy);
}

static void reload(struct gateway *g, const char *path)
{
    struct config *config = NULL;
    if (load(path, true, &config) != OK) {
        LOG(LOG_ERROR, "reload refused, the old configuration stays", LOG_STR("file", path));
        return;
    }
    struct config *now = config_ref(config);
    if (gateway_reload(g, config) == OK) {
        configure_log(now);
        LOG(LOG_INFO, "reloaded", LOG_STR("file", path));
    } else {
        LOG(LOG_ERROR, "reload refused, the old configuration stays", LOG_STR("file", path));
    }
    config_unref(&now);
}

/* Not positive: none came. */
static int next_signal(const sigset_t *signals, int64_t wait_ms)
{
    struct timespec ts = {.tv_sec = wait_ms / 1000, .tv_nsec = (wait_ms % 1000) * 1000000};
    return sigtimedwait(signals, NULL, &ts);
}

/* Until nothing is on its way, or the time is over, or a second signal says that it is urgent. */
static void drain(struct gateway *g, const sigset_t *signals)
{
    uint64_t end = clock_ms() + gateway_drain_ms(g);
    LOG(LOG_INFO, "draining", LOG_INT("bound_ms", gateway_drain_ms(g)));
    gateway_drain(g);
    while (!gateway_is_quiet(g) && clock_ms() < end) {
        int signal = next_signal(signals, DRAIN_POLL_MS);
        gateway_watch(g);
        if (signal == SIGTERM || signal == SIGINT)
            break;
    }
    LOG(LOG_INFO, "stopped", LOG_STR("quiet", gateway_is_quiet(g) ? "yes" : "no"));
}

static int run(const char *path)
{
    struct config *config = NULL;
    struct gateway *g = NULL;
    struct bounds_process limits;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    log_set_waiting(false);
    bounds_process_read(&limits);
    if (bounds_process_check(&limits, 0, 0) != OK)
        return COMMAND_FAILED;
    if (load(path, false, &config) != OK)
        return COMMAND_FAILED;
    configure_log(config);
    LOG(LOG_INFO, "starting", LOG_STR("version", HILUM_VERSION), LOG_STR("file", path));
    enum result r = gateway_start(config, &g);
    if (r != OK) {
        LOG(LOG_ERROR, "the gateway cannot start", LOG_STR("cause", result_name(r)));
        return COMMAND_FAILED;
    }
    for (;;) {
        int signal = next_signal(&signals, WATCH_MS);
        gateway_watch(g);
        log_flush(); /* it may have lost lines, and nobody else may have one now */
        if (signal == SIGHUP)
            reload(g, path);
        else if (signal > 0)
            break;
    }
    drain(g, &signals);
    if (!gateway_stop(&g)) {
        log_flush();
        _exit(COMMAND_FAILED); /* with a thread that goes on, nothing can be cleared away */
    }
    return COMMAND_DONE;
}

int command_run(int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
    int c;
    while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (c == 'h')
            return usage(stdout, COMMAND_DONE);
        return usage(stderr, COMMAND_WRONG_USAGE);
    }
    if (argc - optind != 1)
        return usage(stderr, COMMAND_WRONG_USAGE);
    return run(argv[optind]);
}
