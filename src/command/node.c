/* hilum node: asks the running gateway of a configuration about its nodes, over its control socket (worker/control.h). */
#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command/command.h"
#include "command/node_print.h"
#include "io/local.h"
#include "script/load.h"

static const char help[] =
    "hilum node CONFIG [list|drain NAME|resume NAME]   the running gateway's view of its nodes\n\n"
    "  list               all of them; this is the default\n"
    "  drain NAME         pools give it no new study; those in progress go on. Until resume, or a restart\n"
    "  resume NAME        they do again\n\n"
    "  --json             the result as a JSON object\n"
    "  --help             this text\n\n"
    "Asks over the control socket of CONFIG (gateway.control), as the user that the gateway runs as.\n"
    "Exit status: 0 done, 1 it failed (no gateway runs, say), 2 wrong usage\n";

enum { TIMEOUT_MS = 10000, ANSWER_MAX = 64 << 20, REQUEST_MAX = 512 };

struct node_options {
    const char *config, *verb, *name;
    bool json, help;
};

/* --- the command line --------------------------------------------------------------------------------------------- */

static bool complain(const char *what, const char *why)
{
    fprintf(stderr, "hilum node: %s: %s\n(hilum node --help lists the options)\n", what, why);
    return false;
}

static bool take_arguments(int count, char **arguments, struct node_options *o)
{
    o->config = count > 0 ? arguments[0] : NULL;
    o->verb = count > 1 ? arguments[1] : "list";
    o->name = count > 2 ? arguments[2] : NULL;
    if (!o->config)
        return complain("CONFIG", "is missing");
    bool is_list = strcmp(o->verb, "list") == 0;
    if (!is_list && strcmp(o->verb, "drain") != 0 && strcmp(o->verb, "resume") != 0)
        return complain(o->verb, "is none of list, drain NAME, resume NAME");
    if (!is_list && !o->name)
        return complain(o->verb, "the name of the node is missing");
    if (count > (is_list ? 2 : 3))
        return complain(arguments[is_list ? 2 : 3], "one argument too many");
    /* It is one line, of a limited length. */
    if (o->name && (strchr(o->name, '\n') || strlen(o->name) > REQUEST_MAX - 16))
        return complain("NAME", "no node has such a name");
    return true;
}

static bool parse(int argc, char **argv, struct node_options *o)
{
    static const struct option longs[] = {
        {"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'}, {0}};
    int c;
    opterr = 0;
    optind = 1;
    while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        if (c == 'j')
            o->json = true;
        else if (c == 'h')
            o->help = true;
        else
            return complain(argv[optind - 1], "there is no such option");
    }
    return o->help || take_arguments(argc - optind, argv + optind, o);
}

/* --- asking ------------------------------------------------------------------------------------------------------- */

/* Its errors only: warnings are for check. */
static struct config *load(const char *path)
{
    struct problems problems = {0};
    struct config *config = NULL;
    if (script_load(path, &config, &problems) != OK)
        for (size_t i = 0; i < problems.count; i++)
            if (!problems.items[i].is_warning)
                fprintf(stderr, "%s\n", problems.items[i].text);
    problems_free(&problems);
    return config;
}

static json_t *answer_of(const struct octets *bytes)
{
    json_error_t error;
    json_t *json = json_loadb((const char *)bytes->data, bytes->len, 0, &error);
    if (!json_is_object(json)) {
        json_decref(json);
        json = NULL;
        fputs("hilum node: the gateway's answer cannot be understood\n", stderr);
    }
    return json;
}

/* NULL was told. */
static json_t *ask(const char *path, const char *request)
{
    struct octets bytes = {0};
    char why[128] = "";
    json_t *json = NULL;
    switch (local_ask(path, request, TIMEOUT_MS, ANSWER_MAX, &bytes, why, sizeof(why))) {
    case OK:
        json = answer_of(&bytes);
        break;
    case ERR_CLOSED:
        fprintf(stderr, "hilum node: no gateway of this configuration runs: nobody listens at %s\n", path);
        break;
    case ERR_IO:
        fprintf(stderr, "hilum node: %s: %s\n", path, why);
        break;
    default:
        fputs("hilum node: no memory for the answer\n", stderr);
    }
    octets_free(&bytes);
    return json;
}

/* --- the answer --------------------------------------------------------------------------------------------------- */

static int tell_failure(const struct node_options *o, json_t *answer)
{
    const char *error = json_string_value(json_object_get(answer, "error"));
    const char *reason = json_string_value(json_object_get(answer, "reason"));
    const char *meant = json_string_value(json_object_get(answer, "did_you_mean"));
    fprintf(stderr, "hilum node: %s%s%s", o->name ? o->name : "", o->name ? ": " : "",
            reason ? reason : "the gateway refused");
    if (meant)
        fprintf(stderr, "; did you mean \"%s\"?", meant);
    fputc('\n', stderr);
    bool is_usage = error && (strcmp(error, "unknown-node") == 0 || strcmp(error, "not-drainable") == 0);
    return is_usage ? COMMAND_WRONG_USAGE : COMMAND_FAILED;
}

static bool print(const struct node_options *o, json_t *answer)
{
    if (o->json)
        return json_dumpf(answer, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER) == 0 && putchar('\n') != EOF;
    if (strcmp(o->verb, "list") == 0)
        return node_print_list(answer);
    return node_print_change(answer, o->name, strcmp(o->verb, "drain") == 0);
}

static int run(const struct node_options *o)
{
    char path[CONFIG_CONTROL_BYTES], request[REQUEST_MAX];
    const char *why;
    struct config *config = load(o->config);
    if (!config)
        return COMMAND_FAILED;
    bool has_path = config_control_path(config, path, &why);
    config_unref(&config);
    if (!has_path) {
        fprintf(stderr, "hilum node: %s: there is no control socket: %s\n", o->config, why);
        return COMMAND_FAILED;
    }
    snprintf(request, sizeof(request), o->name ? "%s %s\n" : "%s\n", o->verb, o->name);
    json_t *answer = ask(path, request);
    if (!answer)
        return COMMAND_FAILED;
    int status = COMMAND_DONE;
    if (!json_is_true(json_object_get(answer, "ok"))) {
        status = tell_failure(o, answer);
    } else if (!print(o, answer) || fflush(stdout) != 0) {
        fputs("hilum node: the result cannot be written\n", stderr);
        status = COMMAND_FAILED;
    }
    json_decref(answer);
    return status;
}

int command_node(int argc, char **argv)
{
    struct node_options o = {0};
    if (!parse(argc, argv, &o))
        return COMMAND_WRONG_USAGE;
    if (o.help)
        return fputs(help, stdout) >= 0 ? COMMAND_DONE : COMMAND_FAILED;
    return run(&o);
}
