#include "worker/bounds.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/log.h"
#include "io/io.h"

enum {
    PATH_BYTES = 4096,
    LINE_BYTES = 1024,
    DESCRIPTORS_MOST = 1 << 20,
    DESCRIPTORS_OURS = 24,  /* what is open without a connection: the queue's files, listeners, the log */
    DESCRIPTORS_WORKER = 4, /* a ring, its mailbox */
    DESCRIPTORS_ASSOCIATION = 2, /* the sender's and a node's */
    PIPE_MIB_MAX = 1 << 20,
    CAP_SYS_ADMIN_BIT = 21,
    CAP_SYS_RESOURCE_BIT = 24,
};

/* --- what there is --------------------------------------------------------------------------------------------- */

static uint64_t raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024; /* what every system gives */
    if (limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        getrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit.rlim_cur > DESCRIPTORS_MOST ? DESCRIPTORS_MOST : limit.rlim_cur;
}

/* The first line that begins so, without that; the first of all with "". */
static bool read_line(const char *root, const char *path, const char *start, char out[LINE_BYTES])
{
    char full[PATH_BYTES];
    bool is_found = false;
    snprintf(full, sizeof(full), "%s%s", root, path);
    FILE *f = fopen(full, "re");
    while (f && !is_found && fgets(out, LINE_BYTES, f)) {
        out[strcspn(out, "\n")] = '\0';
        is_found = strncmp(out, start, strlen(start)) == 0;
    }
    if (f)
        fclose(f);
    if (is_found)
        memmove(out, out + strlen(start), strlen(out + strlen(start)) + 1);
    return is_found;
}

/* 0 where the file is not there, or does not begin with a number ("max"). */
static uint64_t read_number(const char *root, const char *path, const char *start, int base)
{
    char line[LINE_BYTES];
    return read_line(root, path, start, line) ? strtoull(line, NULL, base) : 0;
}

/* A group has no more than the groups that it stands in. */
static uint64_t read_group(const char *root)
{
    char group[LINE_BYTES], file[2 * LINE_BYTES];
    uint64_t least = 0;
    if (!read_line(root, "/proc/self/cgroup", "0::", group))
        return 0;
    for (;;) {
        char *end = strrchr(group, '/');
        snprintf(file, sizeof(file), "/sys/fs/cgroup%s/memory.max", strcmp(group, "/") == 0 ? "" : group);
        uint64_t one = read_number(root, file, "", 10);
        if (one > 0 && (least == 0 || one < least))
            least = one;
        if (!end)
            return least;
        *end = '\0';
    }
}

static bool is_privileged(const char *root)
{
    uint64_t effective = read_number(root, "/proc/self/status", "CapEff:", 16);
    return effective & (UINT64_C(1) << CAP_SYS_RESOURCE_BIT | UINT64_C(1) << CAP_SYS_ADMIN_BIT);
}

void bounds_read(struct bounds_system *out, const char *root)
{
    long page = sysconf(_SC_PAGESIZE);
    *out = (struct bounds_system){.descriptors = raise_descriptors(),
                                  .memory = read_number(root, "/proc/meminfo", "MemTotal:", 10) * 1024,
                                  .group = read_group(root),
                                  .page_bytes = page > 0 ? (uint64_t)page : 4096};
    if (!is_privileged(root))
        out->pipe_pages = read_number(root, "/proc/sys/fs/pipe-user-pages-soft", "", 10);
}

/* --- what it is good for --------------------------------------------------------------------------------------- */

/* Three quarters of a user's pages: other programs of its need pipes too. */
unsigned bounds_pipes(const struct bounds_system *s, unsigned workers)
{
    uint64_t all = s->pipe_pages * s->page_bytes / 4 * 3 / PIPE_MIB_MAX;
    if (s->pipe_pages == 0 || all / workers > IO_PIPES_MAX)
        return IO_PIPES_MAX;
    return all / workers > 0 ? (unsigned)(all / workers) : 1;
}

static enum result check_descriptors(const struct bounds_system *s, const struct config *c, unsigned workers)
{
    char change[160];
    uint64_t ours = DESCRIPTORS_OURS + workers * (uint64_t)DESCRIPTORS_WORKER + c->listen_count;
    uint64_t wanted = ours + c->max_associations * (uint64_t)DESCRIPTORS_ASSOCIATION;
    bool is_too_few = s->descriptors < ours + DESCRIPTORS_ASSOCIATION;
    uint64_t left = is_too_few ? 0 : (s->descriptors - ours) / DESCRIPTORS_ASSOCIATION;
    if (s->descriptors >= wanted)
        return OK;
    if (left > 0)
        snprintf(change, sizeof(change),
                 "raise the limit (ulimit -n, LimitNOFILE) to %" PRIu64
                 ", or set max_associations = %" PRIu64,
                 wanted, left);
    else
        snprintf(change, sizeof(change), "raise the limit (ulimit -n, LimitNOFILE) to %" PRIu64, wanted);
    LOG(is_too_few ? LOG_ERROR : LOG_WARN, "few file descriptors for max_associations",
        LOG_INT("descriptors", s->descriptors), LOG_INT("wanted", wanted),
        LOG_INT("max_associations", c->max_associations), LOG_STR("change", change));
    return is_too_few ? ERR_USAGE : OK;
}

static bool is_of_group(const struct bounds_system *s)
{
    return s->group > 0 && (s->memory == 0 || s->group < s->memory);
}

/* Rules, the queue's index and what the kernel holds of our connections want their part as well. 0: not known. */
static uint64_t most_memory(const struct bounds_system *s)
{
    return (is_of_group(s) ? s->group : s->memory) / 4 * 3;
}

uint64_t bounds_memory(const struct bounds_system *s, const struct config *c)
{
    uint64_t most = most_memory(s);
    return c->is_memory_given || most == 0 || c->memory <= most ? c->memory : most;
}

static enum result check_memory(const struct bounds_system *s, const struct config *c)
{
    char change[160];
    bool is_group = is_of_group(s);
    uint64_t there = is_group ? s->group : s->memory, most = most_memory(s);
    bool is_too_much = c->memory > there;
    if (there == 0 || c->memory <= most)
        return OK;
    if (!c->is_memory_given) {
        LOG(LOG_WARN, "memory is less than its default, for there is no more", LOG_INT("memory", most),
            LOG_INT("default", c->memory), LOG_INT("there_is", there),
            LOG_STR("of", is_group ? "the control group" : "the machine"));
        return OK;
    }
    snprintf(change, sizeof(change), "set memory = \"%" PRIu64 "MiB\" or less%s", most >> 20,
             is_group ? ", or raise the control group's limit (memory.max, MemoryMax)" : "");
    LOG(is_too_much ? LOG_ERROR : LOG_WARN,
        is_too_much ? "memory is more than there is" : "memory leaves little for the rest",
        LOG_INT("memory", c->memory), LOG_INT("there_is", there),
        LOG_STR("of", is_group ? "the control group" : "the machine"), LOG_STR("change", change));
    return is_too_much ? ERR_USAGE : OK;
}

/* Nothing fails for want of pipes: payload goes through memory. */
static void tell_pipes(const struct bounds_system *s, const struct config *c, unsigned workers)
{
    char change[160];
    unsigned pipes = bounds_pipes(s, workers);
    uint64_t wanted = (uint64_t)IO_PIPES_MAX * workers * PIPE_MIB_MAX / s->page_bytes / 3 * 4 + 4;
    if (pipes >= IO_PIPES_MAX || c->zero_copy == CONFIG_ZERO_COPY_NEVER)
        return;
    snprintf(change, sizeof(change), "for more, set fs.pipe-user-pages-soft = %" PRIu64, wanted);
    LOG(LOG_INFO, "payload passes by memory on some connections at a time", LOG_INT("pipes", pipes * workers),
        LOG_INT("pages", s->pipe_pages), LOG_STR("change", change));
}

enum result bounds_check(const struct bounds_system *s, const struct config *c, unsigned workers)
{
    enum result descriptors = check_descriptors(s, c, workers), memory = check_memory(s, c);
    tell_pipes(s, c, workers);
    return descriptors != OK ? descriptors : memory;
}
