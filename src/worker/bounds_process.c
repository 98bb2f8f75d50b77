#include "worker/bounds_process.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define MIB          (UINT64_C(1) << 20)
#define FILE_WANTED  (UINT64_C(1) << 40) /* more than a disk has */

enum {
    DESCRIPTORS_LEAST = 27, /* what bounds.c wants for one association at least, besides those of workers */
    DESCRIPTORS_WORKER = 4,
    THREADS_OURS = 6,      /* besides the workers': main, resolver, spool, control */
    STACK_MIB = 2,         /* of a thread: libc's own size where there is no limit */
    STACK_LEAST = 1 << 20, /* of the main thread, which reads configurations */
    ARENA_MIB = 4,         /* what malloc maps for a thread, with its guard and its ring */
    START_MIB =
        24, /* what is read, opened and mapped at the start: modules of libc, the queue's index, rules */
};

struct shortage {
    const char *limit, *change;
    rlim_t is;
    uint64_t least, wanted;
};

/* --- what there is --------------------------------------------------------------------------------------------- */

static rlim_t limit_of(__rlimit_resource_t which)
{
    struct rlimit limit;
    return getrlimit(which, &limit) == 0 ? limit.rlim_cur : RLIM_INFINITY;
}

/* The main thread's grows as far as the limit lets it at the moment. */
static rlim_t raise_stack(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_STACK, &limit) != 0)
        return RLIM_INFINITY;
    if (limit.rlim_cur < STACK_MIB * MIB) {
        limit.rlim_cur = limit.rlim_max < STACK_MIB * MIB ? limit.rlim_max : STACK_MIB * MIB;
        setrlimit(RLIMIT_STACK, &limit);
    }
    return limit_of(RLIMIT_STACK);
}

/* libc takes the limit for the size, so that a high one eats address space and a low one ends threads where they call deeply. */
static void size_stacks(void)
{
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0)
        return;
    if (pthread_attr_setstacksize(&attributes, STACK_MIB * MIB) == 0)
        (void)pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
}

/* 0: not known. (proc(5), statm, in pages: size, resident, shared, text, lib, data) */
static void read_taken(struct bounds_process *out)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), mapped, written;
    FILE *f = fopen("/proc/self/statm", "re");
    if (f && fscanf(f, "%" SCNu64 " %*u %*u %*u %*u %" SCNu64, &mapped, &written) == 2) {
        out->mapped = mapped * page;
        out->written = written * page;
    }
    if (f)
        fclose(f);
}

void bounds_process_read(struct bounds_process *out)
{
    size_stacks();
    *out = (struct bounds_process){.descriptors = limit_of(RLIMIT_NOFILE),
                                   .address_space = limit_of(RLIMIT_AS),
                                   .data = limit_of(RLIMIT_DATA),
                                   .stack = raise_stack(),
                                   .threads = limit_of(RLIMIT_NPROC),
                                   .file_bytes = limit_of(RLIMIT_FSIZE)};
    if (geteuid() == 0)
        out->threads = RLIM_INFINITY; /* root is not held to it */
    struct rlimit descriptors;
    if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0)
        out->descriptors = descriptors.rlim_max; /* bounds_read raises it */
    read_taken(out);
}

/* --- what it is good for --------------------------------------------------------------------------------------- */

static enum result check_one(const struct shortage *s, bool with_warnings)
{
    if (s->is == RLIM_INFINITY || s->is >= s->wanted)
        return OK;
    bool is_too_little = s->is < s->least;
    if (!is_too_little && !with_warnings)
        return OK;
    LOG(is_too_little ? LOG_ERROR : LOG_WARN,
        is_too_little ? "a limit of the process is too low to start" : "a limit of the process is low",
        LOG_STR("limit", s->limit), LOG_INT("is", s->is), LOG_INT("least", s->least),
        LOG_INT("wanted", s->wanted), LOG_STR("change", s->change));
    return is_too_little ? ERR_USAGE : OK;
}

enum result bounds_process_check(const struct bounds_process *p, unsigned workers, uint64_t memory)
{
    uint64_t descriptors = DESCRIPTORS_LEAST + (workers > 0 ? workers : 1) * (uint64_t)DESCRIPTORS_WORKER;
    uint64_t threads = workers > 0 ? workers + THREADS_OURS : 0;
    uint64_t start = threads * (STACK_MIB + ARENA_MIB) * MIB + START_MIB * MIB;
    uint64_t full = memory + memory / 4; /* what malloc maps is never all in use */
    const struct shortage all[] = {
        {"RLIMIT_NOFILE", "raise it (ulimit -n, LimitNOFILE)", p->descriptors, descriptors, descriptors},
        {"RLIMIT_AS", "raise it (ulimit -v, LimitAS), or set workers and memory lower", p->address_space,
         p->mapped + start, p->mapped + start + full},
        {"RLIMIT_DATA", "raise it (ulimit -d, LimitDATA), or set workers and memory lower", p->data,
         p->written + start, p->written + start + full},
        {"RLIMIT_STACK", "raise it (ulimit -s, LimitSTACK)", p->stack, STACK_LEAST, STACK_LEAST},
        {"RLIMIT_NPROC", "raise it (ulimit -u, LimitNPROC); all threads of the user count", p->threads,
         threads, threads},
        {"RLIMIT_FSIZE",
         "lift it (ulimit -f, LimitFSIZE): the queue's files grow with what waits, and images may be larger",
         p->file_bytes, 0, FILE_WANTED},
    };
    enum result r = OK;
    for (size_t i = 0; i < COUNT(all); i++)
        if (check_one(&all[i], workers > 0) != OK)
            r = ERR_USAGE;
    return r;
}
