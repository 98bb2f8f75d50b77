/* hilum explain: what the command line says, the configuration, the files. What becomes of each is explain_file.c's. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "command/command.h"
#include "command/explain.h"
#include "command/json.h"
#include "command/target.h"
#include "config/access.h"
#include "script/load.h"

static const char help[] =
    "hilum explain CONFIG FILE...   a dry run: where files would go, and what of them would change\n\n"
    "For each file: which routes match and why others do not, the destinations, and what the\n"
    "morph changes, tag by tag. Folders are taken with all that is in them. Nothing is sent or written.\n\n"
    "The sender that is assumed:\n"
    "  --calling AE     its title (HILUM)\n"
    "  --called AE      the title it calls (the gateway's)\n"
    "  --from IP        its address (127.0.0.1)\n"
    "  --listener NAME  where it comes in (the first)\n"
    "  --peer SUBJECT   its certificate, as CN=ct1,O=Clinic (none)\n\n"
    "  --json           the result as a JSON object\n"
    "  --help           this text\n\n"
    "Files in folders that are not DICOM are passed over; one named here fails.\n"
    "Exit status: 0 all explained, 1 a file or a rule failed, 2 wrong usage\n";

enum { POOL_BYTES = 4 << 20 };

struct options {
    const char *config;
    char **paths;
    int path_count;
    const char *calling, *called, *from, *listener, *peer; /* NULL: as the configuration has it */
    bool json, help;
};

/* What is told of all files together. */
struct run {
    struct explainer x;
    struct options o;
    struct files files;
    uint64_t failed, not_dicom;
    json_t *failures;
    const char *rejected; /* why the association would be; NULL: it would not */
    bool is_written, is_first;
};

/* --- the command line -------------------------------------------------------------------------------------- */

static bool complain(const char *what, const char *why)
{
    fprintf(stderr, "hilum explain: %s: %s\n(hilum explain --help lists the options)\n", what, why);
    return false;
}

static bool take_title(const char **title_out)
{
    *title_out = optarg;
    return target_title_is_valid(optarg) ||
           complain(optarg, "an AE title has 1 to 16 characters, without backslash");
}

static bool take_option(int c, char **argv, struct options *o)
{
    switch (c) {
    case 'a':
        return take_title(&o->calling);
    case 'c':
        return take_title(&o->called);
    case 'f':
        o->from = optarg;
        return true;
    case 'l':
        o->listener = optarg;
        return true;
    case 'p':
        o->peer = optarg;
        return true;
    case 'j':
        return o->json = true;
    case 'h':
        return o->help = true;
    case ':':
        return complain(argv[optind - 1], "a value is missing");
    default:
        return complain(argv[optind - 1], "no such option, or a value where none belongs");
    }
}

static bool parse_options(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {
        {"calling", required_argument, NULL, 'a'}, {"called", required_argument, NULL, 'c'},
        {"from", required_argument, NULL, 'f'},    {"listener", required_argument, NULL, 'l'},
        {"peer", required_argument, NULL, 'p'},    {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},          {0},
    };
    int c;
    opterr = 0;
    while (!o->help && (c = getopt_long(argc, argv, ":h", longs, NULL)) != -1)
        if (!take_option(c, argv, o))
            return false;
    if (o->help)
        return true;
    if (argc - optind < 2)
        return complain(argc == optind ? "CONFIG" : "FILE", "missing");
    o->config = argv[optind];
    o->paths = argv + optind + 1;
    o->path_count = argc - optind - 1;
    return true;
}

static bool take_address(struct explain_sender *s, const char *from)
{
    struct config_network n;
    if (strchr(from, '/') || config_network_parse(from, &n) != OK ||
        !text_copy(s->remote, sizeof(s->remote), from, strlen(from)))
        return complain(from, "the sender's address is an IPv4 or IPv6 address, as in 10.0.0.5");
    memcpy(s->address, n.address, sizeof(s->address));
    return true;
}

static bool take_listener(struct explain_sender *s, const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->listen_count; i++)
        if (!name || strcmp(c->listens[i].name, name) == 0) {
            s->listen = &c->listens[i];
            return true;
        }
    complain(name ? name : "listen", "the configuration has no such listener; it has these:");
    for (size_t i = 0; i < c->listen_count; i++)
        fprintf(stderr, "  %s\n", c->listens[i].name);
    return false;
}

/* Whose the association would be. Why it would have been rejected; NULL: it would not. */
static const char *judge(struct explain_sender *s, const struct config *c)
{
    struct access_approach a = {s->address, s->calling, s->called, s->peer};
    enum access_verdict v = access_judge(c, s->listen, &a, &s->caller);
    return v == ACCESS_ADMITTED ? NULL : access_verdict_text(v);
}

/* Over what the configuration has. */
static bool take_sender(struct run *r)
{
    struct explain_sender *s = &r->x.sender;
    s->calling = r->o.calling ? r->o.calling : "HILUM";
    s->called = r->o.called ? r->o.called : r->x.config->ae_title;
    s->peer = r->o.peer ? r->o.peer : "";
    if (!take_address(s, r->o.from ? r->o.from : "127.0.0.1") ||
        !take_listener(s, r->x.config, r->o.listener))
        return false;
    r->rejected = judge(s, r->x.config);
    return true;
}

/* --- files ------------------------------------------------------------------------------------------------- */

static void file_failed(struct run *r, const char *path, const char *why)
{
    fprintf(stderr, "hilum explain: ");
    explain_put(stderr, path, strlen(path), SIZE_MAX);
    fprintf(stderr, ": %s\n", why);
    r->failed++;
    json_array_append_new(r->failures, json_pack("{s:o, s:o}", "file", command_json_text(path), "reason",
                                                 command_json_text(why)));
}

static void on_fault(void *owner, const char *path, enum file_fault fault, const char *why, bool is_named)
{
    struct run *r = owner;
    if (fault != FILE_NOT_DICOM || is_named) {
        file_failed(r, path, why);
        return;
    }
    r->not_dicom++;
    fprintf(stderr, "hilum explain: ");
    explain_put(stderr, path, strlen(path), SIZE_MAX);
    fprintf(stderr, ": passed over: %s\n", why);
}

static bool on_step(void *owner)
{
    (void)owner;
    return false;
}

static const struct files_user files_user = {.on_fault = on_fault, .on_step = on_step};

static enum result print(struct run *r, const struct explanation *e)
{
    if (!r->o.json) {
        r->is_written = explain_words(e, r->x.config) && r->is_written;
        return OK;
    }
    char *text = explain_json(e, r->x.config);
    if (!text)
        return ERR_MEMORY;
    r->is_written = printf("%s%s", r->is_first ? "" : ",", text) >= 0 && r->is_written;
    r->is_first = false;
    free(text);
    return OK;
}

static enum result explain_one(struct run *r, const struct file *file)
{
    struct explanation e;
    enum result result = explain_file(&r->x, file, &r->files.plan.contexts[file->context], &e);
    if (result == OK)
        result = print(r, &e);
    else if (result == ERR_IO)
        file_failed(r, file->path, r->x.why);
    r->failed += e.has_failed;
    explanation_free(&e);
    return result == ERR_IO ? OK : result;
}

static bool print_head(const struct run *r)
{
    const struct explain_sender *s = &r->x.sender;
    if (!r->o.json) {
        if (r->rejected)
            fprintf(stderr, "hilum explain: such an association would be rejected: %s\n", r->rejected);
        return true;
    }
    char *text = command_json_line(json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "config", command_json_text(r->o.config), "calling",
        command_json_text(s->calling), "called", command_json_text(s->called), "from",
        command_json_text(s->remote), "listener", command_json_text(s->listen->name), "peer",
        command_json_text(s->peer), "caller", s->caller ? command_json_text(s->caller->name) : json_null(),
        "rejected", r->rejected ? command_json_text(r->rejected) : json_null()));
    bool is_written = text && printf("%.*s,\"files\":[", (int)strlen(text) - 1, text) >= 0;
    free(text);
    return is_written;
}

static bool print_end(struct run *r)
{
    bool is_written = true;
    if (r->o.json) {
        char *text = command_json_line(json_incref(r->failures));
        is_written = text && printf("],\"failures\":%s,\"not_dicom\":%llu}\n", text,
                                    (unsigned long long)r->not_dicom) >= 0;
        free(text);
    }
    return fflush(stdout) == 0 && is_written;
}

static enum result explain_all(struct run *r)
{
    enum result result = OK;
    r->is_first = true;
    r->is_written = print_head(r);
    for (int i = 0; result == OK && i < r->o.path_count; i++)
        result = files_take(&r->files, r->o.paths[i]);
    if (result == OK && r->files.count == 0 && r->failed == 0) {
        fputs("hilum explain: there is no file to explain\n", stderr);
        r->failed++;
    }
    for (size_t i = 0; result == OK && r->is_written && i < r->files.count; i++)
        result = explain_one(r, &r->files.list[i]);
    r->is_written = print_end(r) && r->is_written;
    if (!r->is_written)
        fputs("hilum explain: the result cannot be written\n", stderr);
    return result == OK && !r->is_written ? ERR_IO : result;
}

/* --- the configuration ------------------------------------------------------------------------------------- */

static void tell_problems(struct problems *p)
{
    for (size_t i = 0; i < p->count; i++)
        fprintf(stderr, "%s\n", p->items[i].text);
    problems_free(p);
}

static enum result open_config(struct run *r)
{
    struct problems problems = {0};
    enum result result = script_load(r->o.config, &r->x.config, &problems);
    tell_problems(&problems);
    if (result != OK)
        return result;
    log_configure(LOG_INFO, LOG_LOGFMT); /* what rules print, whole: it is for who has the files */
    log_set_privacy(&(struct log_privacy){.shows_patients = true});
    result = script_rules_open(r->x.config, &r->x.rules, &problems);
    tell_problems(&problems);
    return result;
}

static int run(struct run *r)
{
    enum result result = open_config(r);
    int status = COMMAND_FAILED;
    if (result == OK && !take_sender(r)) {
        status = COMMAND_WRONG_USAGE;
    } else if (result == OK) {
        pool_init(&r->x.pool, POOL_BYTES);
        r->x.charsets = dicom_charsets_new();
        r->failures = json_array();
        r->files.user = &files_user;
        r->files.owner = r;
        result = r->x.charsets && r->failures ? explain_all(r) : ERR_MEMORY;
        status = result == OK && r->failed == 0 ? COMMAND_DONE : COMMAND_FAILED;
        files_free(&r->files);
        json_decref(r->failures);
        dicom_charsets_free(&r->x.charsets);
        pool_free(&r->x.pool);
    }
    if (result == ERR_MEMORY)
        fputs("hilum explain: no memory\n", stderr);
    script_rules_close(&r->x.rules);
    config_unref(&r->x.config);
    return status;
}

int command_explain(int argc, char **argv)
{
    struct run r = {0};
    if (!parse_options(argc, argv, &r.o))
        return COMMAND_WRONG_USAGE;
    if (r.o.help) {
        fputs(help, stdout);
        return COMMAND_DONE;
    }
    return run(&r);
}
