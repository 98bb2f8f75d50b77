/* hilum check: parse and validate a configuration. */
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "command/command.h"
#include "command/json.h"
#include "script/load.h"

static const char help[] =
    "hilum check CONFIG [--json]   parse and validate a configuration\n"
    "\n"
    "Prints each problem on stdout, as FILE:LINE: what is wrong; what would be right.\n"
    "A warning says so, and the configuration works all the same.\n"
    "\n"
    "  --json   {\"ok\": BOOLEAN, \"problems\": [{\"severity\": \"error\" or \"warning\", \"text\": TEXT}]}\n"
    "  --help   this text\n"
    "\n"
    "Exit status: 0 the configuration is fine, 1 it has errors, 2 wrong usage.\n";

struct options {
    const char *config;
    bool json;
    bool help;
};

static bool parse_options(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c;
    opterr = 0;
    while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        o->json |= c == 'j';
        o->help |= c == 'h';
        if (c == '?') {
            fprintf(stderr, "hilum check: unknown option \"%s\"\n", argv[optind - 1]);
            return false;
        }
    }
    if (o->help) {
        return true;
    }
    if (optind != argc - 1) {
        fprintf(stderr, "hilum check: %s\n",
                optind >= argc ? "which configuration?" : "one configuration at a time");
        return false;
    }
    o->config = argv[optind];
    return true;
}

static bool print_json(bool is_ok, const struct problems *problems)
{
    json_t *list = json_array();
    bool done = list != NULL;
    for (size_t i = 0; i < problems->count && done; i++) {
        const struct problem *p = &problems->items[i];
        json_t *one = json_pack("{s:s, s:o*}", "severity", p->is_warning ? "warning" : "error", "text",
                                command_json_text(p->text));
        done = one != NULL && json_array_append_new(list, one) == 0;
    }
    json_t *all = json_pack("{s:b, s:o}", "ok", is_ok, "problems", list);
    char *text = command_json_line(all);
    done = text != NULL && done && puts(text) >= 0;
    free(text);
    return done;
}

static void print_count(size_t count, const char *what, const char *end)
{
    fprintf(stderr, "%zu %s%s%s", count, what, count == 1 ? "" : "s", end);
}

/* Of the routes that may queue, what they do with the queue. */
static void print_queue(const struct config *config)
{
    size_t copies = 0, queues = 0, fails = 0;
    for (size_t i = 0; i < config->route_count; i++) {
        const struct config_route *r = &config->routes[i];
        if (r->service == CONFIG_STORE || r->service == CONFIG_MPPS) {
            copies += r->copy_count > 0;
            queues += r->to_count > 0 && r->queues;
            fails += r->to_count > 0 && !r->queues;
        }
    }
    if (copies + queues + fails > 0) {
        fprintf(stderr, " (%zu with copy; on_failure: %zu queue, %zu fail)", copies, queues, fails);
    }
}

static void print_summary(const struct config *config)
{
    fprintf(stderr, "%s: ", config->file);
    print_count(config->listen_count, "listener", ", ");
    print_count(config->node_count, "node", ", ");
    if (config->pool_count > 0) {
        print_count(config->pool_count, "pool", ", ");
    }
    print_count(config->route_count, "route", "");
    print_queue(config);
    fputs(": fine\n", stderr);
}

static int print(const struct options *o, enum result r, const struct config *config,
                 const struct problems *problems)
{
    bool written = true;
    if (o->json) {
        written = print_json(r == OK, problems);
    } else {
        for (size_t i = 0; i < problems->count; i++) {
            written = puts(problems->items[i].text) >= 0 && written;
        }
    }
    if (!written || fflush(stdout) != 0) {
        fprintf(stderr, "hilum check: the result cannot be written\n");
        return COMMAND_FAILED;
    }
    if (r == OK && !o->json) {
        print_summary(config);
    }
    return r == OK ? COMMAND_DONE : COMMAND_FAILED;
}

int command_check(int argc, char **argv)
{
    struct options o = {0};
    if (!parse_options(argc, argv, &o)) {
        fprintf(stderr, "hilum check --help says more\n");
        return COMMAND_WRONG_USAGE;
    }
    if (o.help) {
        fputs(help, stdout);
        return COMMAND_DONE;
    }
    struct config *config;
    struct problems problems;
    enum result r = script_load(o.config, &config, &problems);
    int status = COMMAND_FAILED;
    if (r == ERR_MEMORY) {
        fprintf(stderr, "hilum check: no memory\n");
    } else {
        status = print(&o, r, config, &problems);
    }
    problems_free(&problems);
    config_unref(&config);
    return status;
}
