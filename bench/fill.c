/* fill: puts many entries into a spool, as a gateway would that takes no time for its senders. docs/bench.md. */
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arguments.h"
#include "base/clock.h"
#include "figures.h"
#include "mem/buf.h"
#include "net.h"
#include "spool/spool.h"

static const char HELP[] = "usage: fill FOLDER --entries N [OPTIONS]\n"
                           "\n"
                           "Queues N entries in the spool at FOLDER, one a message, and prints one JSON "
                           "object when all are durable and the\n"
                           "spool is closed. No gateway may use it meanwhile.\n"
                           "\n"
                           "  --entries N\n"
                           "  --size BYTES            of each data set: 512\n"
                           "  --node NAME             that they are for: away\n"
                           "  --study N               instances of a study: 500\n"
                           "  --outstanding N         messages that wait for the disk at once: 512\n"
                           "  --help                  this text\n";

enum { MEMORY_BYTES = 4 << 20, HISTORY_MS = 7 * 24 * 3600 * 1000 };

struct plan {
    const char *folder, *node;
    uint64_t entries, study;
    size_t size;
    unsigned outstanding;
};

struct filling {
    struct plan plan;
    struct spool *spool;
    struct pool pool;
    struct io *io;
    uint8_t *bytes; /* of every data set */
    uint64_t begun, done;
};

/* One message on its way, again and again. */
struct one {
    struct filling *filling;
    struct spool_draft *draft;
    struct spool_write write;
    struct spool_part part;
    struct spool_commit commit;
    struct spool_new_entry entry;
    char study[80], series[96], instance[128], patient[40];
};

static void take_options(int argc, char **argv, struct plan *p)
{
    static const struct option TABLE[] = {
        {"entries", required_argument, NULL, 'e'},
        {"size", required_argument, NULL, 's'},
        {"node", required_argument, NULL, 'n'},
        {"study", required_argument, NULL, 't'},
        {"outstanding", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int option;
    *p = (struct plan){.node = "away", .study = 500, .size = 512, .outstanding = 512};
    while ((option = getopt_long(argc, argv, "", TABLE, NULL)) != -1) {
        if (option == 'e')
            p->entries = arguments_number("fill", "--entries", optarg, 1, UINT32_MAX);
        else if (option == 's')
            p->size = (size_t)arguments_size("fill", "--size", optarg, 1, SPOOL_PIECE_MAX);
        else if (option == 'n')
            p->node = optarg;
        else if (option == 't')
            p->study = arguments_number("fill", "--study", optarg, 1, UINT32_MAX);
        else if (option == 'o')
            p->outstanding = (unsigned)arguments_number("fill", "--outstanding", optarg, 1, 65536);
        else if (option == 'h')
            exit((fputs(HELP, stdout), EXIT_SUCCESS));
        else
            exit(EXIT_USAGE); /* getopt_long has said why */
    }
    if (optind + 1 != argc)
        arguments_refuse("fill", "FOLDER", "one belongs here");
    if (p->entries == 0)
        arguments_refuse("fill", "--entries", "must be given");
    p->folder = argv[optind];
}

static struct view view_of_text(const char *text)
{
    return (struct view){(const uint8_t *)text, strlen(text)};
}

static void on_done(struct spool_write *write, enum spool_error error);

/* UIDs are as long as those of modalities are. */
static void begin(struct one *o)
{
    struct filling *f = o->filling;
    uint64_t n = f->begun++, study = n / f->plan.study;
    snprintf(o->study, sizeof(o->study), "1.2.826.0.1.3680043.8.498.7.20261123%012" PRIu64, study);
    snprintf(o->series, sizeof(o->series), "%s.1", o->study);
    snprintf(o->instance, sizeof(o->instance), "%s.%" PRIu64, o->series, n % f->plan.study);
    snprintf(o->patient, sizeof(o->patient), "PATIENT-%08" PRIu64, study);
    o->draft = spool_draft_new(f->spool);
    if (!o->draft)
        net_fail("fill", "memory", NULL);
    o->part = (struct spool_part){f->bytes, f->plan.size};
    o->entry = (struct spool_new_entry){.node = f->plan.node, .route = "all", .edition = SPOOL_AS_RECEIVED};
    o->commit = (struct spool_commit){.facts = {.received_ms = clock_wall_ms(),
                                                .calling = "BENCH",
                                                .called = "HILUM",
                                                .remote = "127.0.0.1",
                                                .abstract_syntax = "1.2.840.10008.5.1.4.1.1.7",
                                                .transfer_syntax = "1.2.840.10008.1.2.1",
                                                .sop_class = view_of_text("1.2.840.10008.5.1.4.1.1.7"),
                                                .sop_instance = view_of_text(o->instance),
                                                .study = view_of_text(o->study),
                                                .series = view_of_text(o->series),
                                                .patient = view_of_text(o->patient)},
                                      .entries = &o->entry,
                                      .entry_count = 1};
    o->write = (struct spool_write){.draft = o->draft,
                                    .io = f->io,
                                    .owner = o,
                                    .on_done = on_done,
                                    .stream = SPOOL_STREAM_DATA,
                                    .parts = &o->part,
                                    .part_count = 1,
                                    .commit = &o->commit};
    spool_write(f->spool, &o->write);
}

static void on_done(struct spool_write *write, enum spool_error error)
{
    struct one *o = write->owner;
    struct filling *f = o->filling;
    if (error != SPOOL_DONE)
        net_fail("fill", "a write", error == SPOOL_FULL ? "the spool is full" : "the disk refused");
    spool_draft_free(&o->draft);
    f->done++;
    if (f->begun < f->plan.entries)
        begin(o);
}

static void open_all(struct filling *f)
{
    char why[512] = "";
    struct spool_options options = {.path = f->plan.folder, .history_ms = HISTORY_MS};
    if (spool_open(&options, &f->spool, why, sizeof(why)) != OK)
        net_fail("fill", "spool", why);
    pool_init(&f->pool, MEMORY_BYTES);
    if (io_new(&(struct io_options){.pool = &f->pool}, &f->io, why, sizeof(why)) != OK ||
        io_adopt(f->io) != OK)
        net_fail("fill", "io_uring", why);
    f->bytes = malloc(f->plan.size);
    if (!f->bytes)
        net_fail("fill", "memory", NULL);
    memset(f->bytes, 0x5a, f->plan.size);
}

int main(int argc, char **argv)
{
    struct filling f = {0};
    take_options(argc, argv, &f.plan);
    open_all(&f);
    struct one *all = calloc(f.plan.outstanding, sizeof(*all));
    if (!all)
        net_fail("fill", "memory", NULL);
    uint64_t start = now_ns();
    for (unsigned i = 0; i < f.plan.outstanding && f.begun < f.plan.entries; i++) {
        all[i].filling = &f;
        begin(&all[i]);
    }
    while (f.done < f.plan.entries)
        io_run(f.io);
    uint64_t queued = now_ns();
    spool_close(&f.spool);
    uint64_t closed = now_ns();
    double seconds = (double)(queued - start) / 1e9;
    printf("{\"entries\":%" PRIu64 ",\"seconds\":%.6f,\"entries_per_s\":%.1f,\"closing_seconds\":%.6f}\n",
           f.done, seconds, figures_ratio((double)f.done, seconds), (double)(closed - queued) / 1e9);
    free(all);
    free(f.bytes);
    io_free(&f.io);
    pool_free(&f.pool);
    return EXIT_SUCCESS;
}
