/* hilum queue: what the command line says. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "command/queue.h"

static const struct {
    const char *name;
    bool takes_ids;
    const char *options; /* beside those that all have */
} verbs[] = {
    [QUEUE_LIST] = {"list", false, "nsuiolAa"},    [QUEUE_SHOW] = {"show", true, ""},
    [QUEUE_RETRY] = {"retry", true, "nsuiolaty"},  [QUEUE_DROP] = {"drop", true, "nsuiolay"},
    [QUEUE_EXPORT] = {"export", true, "nsuiolaO"},
};
enum { VERBS = sizeof(verbs) / sizeof(verbs[0]) };

static const struct option longs[] = {
    {"node", required_argument, NULL, 'n'},  {"state", required_argument, NULL, 's'},
    {"study", required_argument, NULL, 'u'}, {"instance", required_argument, NULL, 'i'},
    {"older", required_argument, NULL, 'o'}, {"limit", required_argument, NULL, 'l'},
    {"after", required_argument, NULL, 'A'}, {"all", no_argument, NULL, 'a'},
    {"to", required_argument, NULL, 't'},    {"yes", no_argument, NULL, 'y'},
    {"out", required_argument, NULL, 'O'},   {"json", no_argument, NULL, 'j'},
    {"help", no_argument, NULL, 'h'},        {0},
};

static bool complain(const char *what, const char *why)
{
    fprintf(stderr, "hilum queue: %s: %s\n(hilum queue --help lists the options)\n", what, why);
    return false;
}

/* --- options --------------------------------------------------------------------------------------------------- */

static bool take_states(struct queue_options *o)
{
    unsigned states = queue_states_parse(optarg);
    o->states |= states;
    return states != 0 ||
           complain(optarg, "states are held, queued, waiting, failed, delivered, dropped, expired, "
                            "relayed; live is the first four of them, all is all");
}

static bool take_limit(struct queue_options *o)
{
    char *end;
    unsigned long long limit = strtoull(optarg, &end, 10);
    bool is_number = optarg[0] >= '0' && optarg[0] <= '9' && *end == '\0';
    o->limit = limit == 0 ? UINT64_MAX : limit;
    return is_number || complain(optarg, "--limit is a number; 0: no limit");
}

static bool take_uid(const char **uid_out)
{
    *uid_out = optarg;
    return optarg[0] != '\0' || complain("\"\"", "a UID is missing");
}

static bool take_option(int c, char **argv, struct queue_options *o)
{
    switch (c) {
    case 'n':
        o->node = optarg;
        return true;
    case 's':
        return take_states(o);
    case 'u':
        return take_uid(&o->study);
    case 'i':
        return take_uid(&o->instance);
    case 'o':
        return text_parse_duration(optarg, &o->older_ms) == OK ||
               complain(optarg, "--older is a duration, as in 30s, 10m, 2h, 7d");
    case 'l':
        return take_limit(o);
    case 'A':
        return spool_id_parse(optarg, &o->after) || complain(optarg, "--after is an ID, as in 3.17");
    case 'a':
        return o->all = true;
    case 't':
        o->to = optarg;
        return true;
    case 'y':
        return o->yes = true;
    case 'O':
        o->out = optarg;
        return optarg[0] != '\0' || complain("\"\"", "--out is a folder");
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

/* --- arguments ------------------------------------------------------------------------------------------------- */

static bool take_verb(struct queue_options *o, const char *text)
{
    for (unsigned v = 0; v < VERBS; v++) {
        if (strcmp(verbs[v].name, text) == 0) {
            o->verb = (enum queue_verb)v;
            return true;
        }
    }
    return complain(text, "what can be done is list, show, retry, drop and export");
}

static bool take_ids(struct queue_options *o, char **texts, int count)
{
    o->ids = calloc((size_t)count + 1, sizeof(*o->ids));
    if (!o->ids)
        return complain(verbs[o->verb].name, "no memory");
    for (int n = 0; n < count; n++) {
        spool_id id;
        bool is_there = false;
        if (!spool_id_parse(texts[n], &id))
            return complain(texts[n], "an ID is two numbers, as in 3.17: list shows them");
        for (size_t m = 0; m < o->id_count; m++)
            is_there = is_there || o->ids[m] == id;
        if (!is_there)
            o->ids[o->id_count++] = id;
    }
    return true;
}

/* Options that were used, as letters, against those that the verb has. */
static bool allow(const struct queue_options *o, const char *used)
{
    for (; *used; used++) {
        if (strchr("jh", *used) || strchr(verbs[o->verb].options, *used))
            continue;
        for (const struct option *l = longs; l->name; l++) {
            if (l->val == *used) {
                fprintf(stderr,
                        "hilum queue: --%s: means nothing to %s\n(hilum queue --help lists the options)\n",
                        l->name, verbs[o->verb].name);
            }
        }
        return false;
    }
    return true;
}

/* Says which ones, without IDs. */
static bool is_choice(const struct queue_options *o)
{
    return o->node || o->states || o->study || o->instance || o->older_ms || o->all;
}

static bool judge_choice(const struct queue_options *o)
{
    switch (o->verb) {
    case QUEUE_LIST:
        return o->id_count == 0 || complain("list", "takes no ID: show ID tells all of one entry");
    case QUEUE_SHOW:
        return o->id_count == 1 || complain("show", "takes one ID");
    case QUEUE_DROP:
        if (o->id_count == 0 && !is_choice(o))
            return complain("drop",
                            "which ones? IDs, --node, --state, --study, --instance, --older, or --all");
        break;
    case QUEUE_EXPORT:
        if (!o->out)
            return complain("export", "--out DIR is missing");
        break;
    case QUEUE_RETRY:
        break;
    }
    if (o->id_count > 0 && (is_choice(o) || o->limit > 0))
        return complain(verbs[o->verb].name, "either IDs, or what they have in common, not both");
    if ((o->verb == QUEUE_RETRY || o->verb == QUEUE_DROP) && (o->states & ~(unsigned)QUEUE_LIVE) &&
        o->states != QUEUE_ALL)
        return complain(verbs[o->verb].name, "only what is held, queued, waiting or failed");
    return true;
}

/* What is meant where nothing was said. */
static void fill_in(struct queue_options *o)
{
    bool is_list = o->verb == QUEUE_LIST;
    bool is_plain_retry = o->verb == QUEUE_RETRY && !o->to && !o->all;
    if (o->states == 0)
        o->states = is_list && (o->instance || o->all) ? QUEUE_ALL
                    : is_plain_retry                   ? 1 << SPOOL_WAITING | 1 << SPOOL_FAILED_FOR_GOOD
                                                       : QUEUE_LIVE;
    if (o->verb == QUEUE_RETRY || o->verb == QUEUE_DROP)
        o->states &= QUEUE_LIVE;
    if (o->limit == 0)
        o->limit = is_list ? QUEUE_LIMIT : UINT64_MAX;
}

bool queue_options_parse(int argc, char **argv, struct queue_options *o)
{
    char used[64];
    size_t used_count = 0;
    int c;
    *o = (struct queue_options){.verb = QUEUE_LIST};
    opterr = 0;
    while (!o->help && (c = getopt_long(argc, argv, ":h", longs, NULL)) != -1) {
        if (!take_option(c, argv, o))
            return false;
        if (used_count < sizeof(used) - 1)
            used[used_count++] = (char)c;
    }
    used[used_count] = '\0';
    if (o->help)
        return true;
    if (optind == argc)
        return complain("CONFIG", "missing");
    o->config = argv[optind++];
    if (optind < argc && !take_verb(o, argv[optind++]))
        return false;
    if (!take_ids(o, argv + optind, argc - optind) || !allow(o, used) || !judge_choice(o))
        return false;
    fill_in(o);
    return true;
}

void queue_options_free(struct queue_options *o)
{
    free(o->ids);
    o->ids = NULL;
    o->id_count = 0;
}
