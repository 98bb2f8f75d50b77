/* writer: what a disk does at best with the writes of a queue: so many bytes, in so many groups, with so many syncs. docs/bench.md. */
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arguments.h"
#include "figures.h"
#include "net.h"

static const char HELP[] = "usage: writer FOLDER --bytes BYTES --groups N [OPTIONS]\n"
                           "\n"
                           "Writes new files in FOLDER one after the other: N groups of equal length by "
                           "pwrite, with fdatasync after every so\n"
                           "many. Prints one JSON object, and deletes the files.\n"
                           "\n"
                           "  --bytes BYTES           in all\n"
                           "  --groups N              that they are written in\n"
                           "  --syncs N               evenly over the groups: after each one\n"
                           "  --segment BYTES         a file is full then: 64MiB\n"
                           "  --cpu N                 runs on this CPU only\n"
                           "  --help                  this text\n";

struct plan {
    const char *folder;
    uint64_t bytes, groups, syncs, segment;
};

struct file {
    int fd; /* -1: none is open */
    int folder;
    unsigned number;
    uint64_t end;
    bool is_listed;
};

static void take_options(int argc, char **argv, struct plan *p)
{
    static const struct option TABLE[] = {
        {"bytes", required_argument, NULL, 'b'},
        {"groups", required_argument, NULL, 'g'},
        {"syncs", required_argument, NULL, 's'},
        {"segment", required_argument, NULL, 'l'},
        {"cpu", required_argument, NULL, 'u'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int option;
    *p = (struct plan){.segment = 64 << 20, .syncs = UINT64_MAX};
    while ((option = getopt_long(argc, argv, "", TABLE, NULL)) != -1) {
        if (option == 'b')
            p->bytes = arguments_size("writer", "--bytes", optarg, 1, UINT64_C(1) << 44);
        else if (option == 'g')
            p->groups = arguments_number("writer", "--groups", optarg, 1, UINT32_MAX);
        else if (option == 's')
            p->syncs = arguments_number("writer", "--syncs", optarg, 0, UINT32_MAX);
        else if (option == 'l')
            p->segment = arguments_size("writer", "--segment", optarg, 4096, UINT64_C(1) << 40);
        else if (option == 'u')
            net_pin("writer", (int)arguments_number("writer", "--cpu", optarg, 0, 1023));
        else if (option == 'h')
            exit((fputs(HELP, stdout), EXIT_SUCCESS));
        else
            exit(EXIT_USAGE); /* getopt_long has said why */
    }
    if (optind + 1 != argc)
        arguments_refuse("writer", "FOLDER", "one belongs here");
    if (!p->bytes || !p->groups || p->groups > p->bytes)
        arguments_refuse("writer", "--bytes, --groups", "must be given, and a group has a byte at least");
    if (p->syncs > p->groups)
        p->syncs = p->groups;
    p->folder = argv[optind];
}

static void name_of(unsigned number, char out[32])
{
    snprintf(out, 32, "%08u.log", number);
}

/* As a log of segments does: what is in a file is durable before the next one begins. */
static void next_file(struct file *f)
{
    char name[32];
    if (f->fd >= 0 && (fdatasync(f->fd) < 0 || close(f->fd) < 0))
        net_fail("writer", "fdatasync", NULL);
    name_of(++f->number, name);
    f->fd = openat(f->folder, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    if (f->fd < 0)
        net_fail("writer", name, NULL);
    f->end = 0;
    f->is_listed = false;
}

static void write_group(struct file *f, const uint8_t *from, uint64_t len)
{
    while (len > 0) {
        ssize_t n = pwrite(f->fd, from, len, (off_t)f->end);
        if (n < 0)
            net_fail("writer", "pwrite", NULL);
        from += n;
        len -= (uint64_t)n;
        f->end += (uint64_t)n;
    }
}

static void sync_file(struct file *f)
{
    if (fdatasync(f->fd) < 0 || (!f->is_listed && fsync(f->folder) < 0))
        net_fail("writer", "fdatasync", NULL);
    f->is_listed = true;
}

static void run(const struct plan *p, struct file *f, const uint8_t *from)
{
    next_file(f);
    for (uint64_t i = 0; i < p->groups; i++) {
        if (f->end >= p->segment)
            next_file(f);
        /* The i-th of equal parts, to the byte; 128 bits hold the products. */
        unsigned __int128 bytes = p->bytes, syncs = p->syncs;
        write_group(f, from, (uint64_t)(bytes * (i + 1) / p->groups - bytes * i / p->groups));
        if (syncs * (i + 1) / p->groups != syncs * i / p->groups)
            sync_file(f);
    }
}

static void delete_files(struct file *f)
{
    char name[32];
    close(f->fd);
    for (; f->number > 0; f->number--) {
        name_of(f->number, name);
        unlinkat(f->folder, name, 0);
    }
}

int main(int argc, char **argv)
{
    struct plan p;
    take_options(argc, argv, &p);
    struct file f = {.fd = -1, .folder = open(p.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (f.folder < 0)
        net_fail("writer", p.folder, NULL);
    uint64_t largest = p.bytes / p.groups + 1;
    uint8_t *from = malloc(largest);
    if (!from)
        net_fail("writer", "memory", NULL);
    memset(from, 0x5a, largest);
    uint64_t start = now_ns();
    struct cpu before = cpu_now();
    run(&p, &f, from);
    double seconds = (double)(now_ns() - start) / 1e9;
    printf("{\"bytes\":%" PRIu64 ",\"groups\":%" PRIu64 ",\"syncs\":%" PRIu64
           ",\"seconds\":%.6f,\"gb_per_s\":%.4f,",
           p.bytes, p.groups, p.syncs, seconds, figures_ratio((double)p.bytes / 1e9, seconds));
    cpu_write(cpu_since(before), stdout);
    puts("}");
    delete_files(&f);
    close(f.folder);
    free(from);
    return EXIT_SUCCESS;
}
