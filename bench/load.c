/* load: a sender for benchmarks. docs/bench.md says what each option is for. */
#include "load.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "arguments.h"
#include "base/assert.h"

enum {
    DEFAULT_PDU = 128 << 10,
    LEAST_PDU = 128,
    MOST_PDU = 16 << 20,
    TITLE_CHARACTERS = 16,
    SEED_BYTES = 64
};

static const char HELP[] =
    "usage: load HOST:PORT --size BYTES --count N|--seconds S [OPTIONS]\n"
    "       load HOST:PORT --idle N [OPTIONS]\n"
    "\n"
    "Sends C-STOREs of generated instances and prints one JSON object: rates, latencies, statuses.\n"
    "\n"
    "  --size BYTES            of each data set: 8KiB, 512KiB, 32MiB, 1GiB; even, from 2KiB on\n"
    "  --count N               instances in all\n"
    "  --seconds S             ends after this time, whatever is still under way\n"
    "  --pdu BYTES             longest P-DATA-TF, as far as the peer takes it: 128KiB\n"
    "  --associations A        side by side, each with its share: 1\n"
    "  --per-association K     instances on one association, then a new one: 0, all of its share\n"
    "  --window W              requests outstanding at once, as far as the peer grants it: 1\n"
    "  --think MS              pause between an answer and the next instance\n"
    "  --warmup N              instances before that are not counted, each association: 0\n"
    "  --idle N                sends nothing: opens N associations, prints {\"event\":\"idle\",...} when all "
    "stand, and holds\n"
    "                          them until SIGTERM or until its stdin ends\n"
    "  --calling AE            BENCH\n"
    "  --called AE[,AE...]     association i calls title i modulo their number: ANY-SCP\n"
    "  --result-by-title       adds rates for each called title\n"
    "  --transfer NAME         explicit (the default) or implicit VR Little Endian\n"
    "  --nagle                 as DCMTK: Nagle's algorithm on, header and body of each PDU written apart\n"
    "  --congestion NAME       congestion control of its sockets\n"
    "  --seed TEXT             the same text makes the same UIDs; without it they differ in each run\n"
    "  --tls-ca FILE           speaks TLS, and trusts whom these certificates vouch for\n"
    "  --tls-name NAME         whom the peer's certificate must name: a host or an address\n"
    "  --tls-certificate FILE  its own certificate, and --tls-key FILE\n"
    "  --tls-resume            resumes the newest session; without it every handshake is a full one\n"
    "  --cpu N                 runs on this CPU only\n"
    "  --help                  this text\n";

static const char *take_title(const char *option, const char *text)
{
    size_t len = strlen(text);
    if (len < 1 || len > TITLE_CHARACTERS || strchr(text, '\\'))
        arguments_refuse("load", option, "an AE title has 1 to 16 characters, without backslash");
    return text;
}

static void take_titles(struct load_options *o, char *list)
{
    o->title_count = 0;
    for (char *title = strsep(&list, ","); title; title = strsep(&list, ",")) {
        if (o->title_count == LOAD_TITLES_MAX)
            arguments_refuse("load", "--called", "too many titles");
        o->titles[o->title_count++] = take_title("--called", title);
    }
}

static bool take_transfer(const char *text)
{
    if (strcmp(text, "implicit") != 0 && strcmp(text, "explicit") != 0)
        arguments_refuse("load", "--transfer", "implicit or explicit");
    return text[0] == 'i';
}

static void take_number(int option, struct load_options *o)
{
    switch (option) {
    case 's':
        o->size = arguments_size("load", "--size", optarg, INSTANCE_MIN_BYTES, INSTANCE_MAX_BYTES);
        if (o->size % 2)
            arguments_refuse("load", "--size", "data sets have an even length");
        break;
    case 'n':
        o->count = arguments_number("load", "--count", optarg, 1, UINT32_MAX);
        break;
    case 'S':
        o->seconds_ns = arguments_seconds("load", "--seconds", optarg);
        break;
    case 'p':
        o->pdu = (uint32_t)arguments_size("load", "--pdu", optarg, LEAST_PDU, MOST_PDU);
        break;
    case 'a':
        o->associations = (uint32_t)arguments_number("load", "--associations", optarg, 1, 100000);
        break;
    case 'k':
        o->per_association = arguments_number("load", "--per-association", optarg, 0, UINT32_MAX);
        break;
    case 'w':
        o->window = (uint16_t)arguments_number("load", "--window", optarg, 1, LOAD_WINDOW_MAX);
        break;
    case 't':
        o->think_ns = arguments_number("load", "--think", optarg, 0, 3600000) * 1000000;
        break;
    case 'W':
        o->warmup = arguments_number("load", "--warmup", optarg, 0, UINT32_MAX);
        break;
    case 'i':
        o->idle = (uint32_t)arguments_number("load", "--idle", optarg, 1, 1000000);
        break;
    case 'u':
        o->cpu = (int)arguments_number("load", "--cpu", optarg, 0, 1023);
        break;
    default:
        exit(EXIT_USAGE); /* getopt_long has said why */
    }
}

static void take_tls(int option, struct secure_options *o)
{
    switch (option) {
    case 'A':
        o->ca = optarg;
        break;
    case 'M':
        o->name = optarg;
        break;
    case 'X':
        o->certificate = optarg;
        break;
    case 'K':
        o->key = optarg;
        break;
    default:
        o->resumes = true;
    }
}

static void take_option(int option, struct load_options *o)
{
    switch (option) {
    case 'C':
        o->calling = take_title("--calling", optarg);
        break;
    case 'c':
        take_titles(o, optarg);
        break;
    case 'T':
        o->is_implicit = take_transfer(optarg);
        break;
    case 'N':
        o->has_nagle = true;
        break;
    case 'b':
        o->is_by_title = true;
        break;
    case 'g':
        if (!net_has_congestion(optarg))
            arguments_refuse("load", "--congestion",
                             "this system does not have it, or does not let us use it");
        o->congestion = optarg;
        break;
    case 'e':
        o->seed = optarg;
        break;
    case 'A':
    case 'M':
    case 'X':
    case 'K':
    case 'R':
        take_tls(option, &o->tls);
        break;
    case 'h':
        fputs(HELP, stdout);
        exit(EXIT_SUCCESS);
    default:
        take_number(option, o);
    }
}

static void check_tls(const struct load_options *o)
{
    const struct secure_options *t = &o->tls;
    if (!t->ca && (t->name || t->certificate || t->key || t->resumes))
        arguments_refuse("load", "--tls-ca", "must be given with the other options of TLS");
    if (!t->certificate != !t->key)
        arguments_refuse("load", "--tls-certificate", "and --tls-key belong together");
    if (t->ca && o->has_nagle)
        arguments_refuse("load", "--nagle", "headers and bodies are not apart in TLS");
}

static void check_options(int argc, char **argv, const struct load_options *o)
{
    if (optind + 1 < argc)
        arguments_refuse("load", argv[optind + 1], "belongs to no option");
    if (optind == argc)
        arguments_refuse("load", "HOST:PORT", "must be given");
    if (o->idle && (o->size || o->count || o->seconds_ns))
        arguments_refuse("load", "--idle", "sends nothing: not with --size, --count or --seconds");
    if (!o->idle && !o->size)
        arguments_refuse("load", "--size", "must be given");
    if (!o->idle && !o->count && !o->seconds_ns)
        arguments_refuse("load", "--count", "it or --seconds must be given");
    check_tls(o);
}

static void take_options(int argc, char **argv, struct load_options *o)
{
    static const struct option TABLE[] = {
        {"size", required_argument, NULL, 's'},
        {"count", required_argument, NULL, 'n'},
        {"seconds", required_argument, NULL, 'S'},
        {"pdu", required_argument, NULL, 'p'},
        {"associations", required_argument, NULL, 'a'},
        {"per-association", required_argument, NULL, 'k'},
        {"window", required_argument, NULL, 'w'},
        {"think", required_argument, NULL, 't'},
        {"warmup", required_argument, NULL, 'W'},
        {"idle", required_argument, NULL, 'i'},
        {"calling", required_argument, NULL, 'C'},
        {"called", required_argument, NULL, 'c'},
        {"result-by-title", no_argument, NULL, 'b'},
        {"transfer", required_argument, NULL, 'T'},
        {"nagle", no_argument, NULL, 'N'},
        {"congestion", required_argument, NULL, 'g'},
        {"seed", required_argument, NULL, 'e'},
        {"tls-ca", required_argument, NULL, 'A'},
        {"tls-name", required_argument, NULL, 'M'},
        {"tls-certificate", required_argument, NULL, 'X'},
        {"tls-key", required_argument, NULL, 'K'},
        {"tls-resume", no_argument, NULL, 'R'},
        {"cpu", required_argument, NULL, 'u'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int option;
    *o = (struct load_options){.pdu = DEFAULT_PDU,
                               .associations = 1,
                               .window = 1,
                               .calling = "BENCH",
                               .titles = {"ANY-SCP"},
                               .title_count = 1,
                               .cpu = -1};
    while ((option = getopt_long(argc, argv, "", TABLE, NULL)) != -1)
        take_option(option, o);
    check_options(argc, argv, o);
    o->address = argv[optind];
}

static uint64_t seed_of(const struct load_options *o)
{
    char text[SEED_BYTES];
    if (o->seed)
        return instance_seed(o->seed);
    snprintf(text, sizeof text, "%llu %ld", (unsigned long long)now_ns(), (long)getpid());
    return instance_seed(text);
}

/* As many lanes as there are shares. */
static void make_lanes(struct load *load)
{
    const struct load_options *o = &load->options;
    load->lane_count = o->idle ? o->idle : o->associations;
    if (o->count && o->count < load->lane_count)
        load->lane_count = (uint32_t)o->count;
    load->lanes = calloc(load->lane_count, sizeof *load->lanes);
    hilum_assert(load->lanes);
    for (uint32_t i = 0; i < load->lane_count; i++) {
        uint64_t share = UINT64_MAX;
        if (o->idle)
            share = 0;
        else if (o->count)
            share = o->count / load->lane_count + (i < o->count % load->lane_count);
        lane_init(&load->lanes[i], load, i, share);
        TAILQ_INSERT_TAIL(&load->unopened, &load->lanes[i], unopened_next);
    }
}

static void prepare(struct load *load)
{
    const struct load_options *o = &load->options;
    TAILQ_INIT(&load->ready);
    TAILQ_INIT(&load->thinking);
    TAILQ_INIT(&load->unopened);
    load->seed = seed_of(o);
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->tls = o->tls.ca ? secure_side_new("load", &o->tls) : NULL;
    load->block = malloc(FRAMING_BLOCK_BYTES);
    load->buffer = malloc(LOAD_BUFFER_BYTES);
    load->statuses = calloc(LOAD_STATUSES, sizeof *load->statuses);
    load->titles = calloc(o->title_count, sizeof *load->titles);
    if (load->epoll < 0 || !load->block || !load->buffer || !load->statuses || !load->titles)
        net_fail("load", "start", NULL);
    framing_fill(load->block);
    instance_build(&load->instance, o->idle ? INSTANCE_MIN_BYTES : o->size, o->is_implicit);
    make_lanes(load);
}

static void clean_up(struct load *load)
{
    for (uint32_t i = 0; i < load->lane_count; i++)
        lane_free(&load->lanes[i]);
    free(load->lanes);
    secure_side_free(&load->tls);
    instance_free(&load->instance);
    samples_free(&load->latency);
    samples_free(&load->associate);
    free(load->block);
    free(load->buffer);
    free(load->statuses);
    free(load->titles);
    close(load->epoll);
}

int main(int argc, char **argv)
{
    struct load load = {0};
    take_options(argc, argv, &load.options);
    if (!net_resolve(load.options.address, &load.to))
        arguments_refuse("load", load.options.address, "not HOST:PORT with a host that has an address");
    if (load.options.cpu >= 0)
        net_pin("load", load.options.cpu);
    net_raise_descriptors();
    prepare(&load);
    load_run(&load);
    int status =
        load.options.idle ? (load.failures || load.faults ? EXIT_FAILURE : EXIT_SUCCESS) : load_report(&load);
    clean_up(&load);
    return status;
}
