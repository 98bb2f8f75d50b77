/*
 * Allocations that fail on order. Every name that gives memory is ours and calls the one that would have been called without us, so what is
 * tested is the allocator of the program, jemalloc or a sanitizer's.
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim.h"

enum { FRAMES = 24, SKIPPED = 2, EARLY_BYTES = 1 << 16, ALIGN = 16 };

struct shim *shim;

static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
    int (*posix_memalign)(void **, size_t, size_t);
    void *(*aligned_alloc)(size_t, size_t);
    void *(*mmap)(void *, size_t, int, int, int, off_t);
} next;

/* What is asked for while the real names are looked up. It is never given back. */
static _Alignas(ALIGN) uint8_t early[EARLY_BYTES];
static atomic_size_t early_used;

/* An allocator that maps memory, and an unwinder that allocates, are not asked again. */
static _Thread_local bool is_inside __attribute__((tls_model("initial-exec")));

static void *early_new(size_t size)
{
    size_t at = atomic_fetch_add(&early_used, (size + ALIGN - 1) / ALIGN * ALIGN);
    if (at + size > EARLY_BYTES)
        _exit(97);
    return early + at;
}

static bool is_early(const void *p)
{
    return (const uint8_t *)p >= early && (const uint8_t *)p < early + EARLY_BYTES;
}

static void look_up(void)
{
    if (next.malloc || is_inside)
        return;
    is_inside = true;
    *(void **)&next.calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&next.realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&next.free = dlsym(RTLD_NEXT, "free");
    *(void **)&next.posix_memalign = dlsym(RTLD_NEXT, "posix_memalign");
    *(void **)&next.aligned_alloc = dlsym(RTLD_NEXT, "aligned_alloc");
    *(void **)&next.mmap = dlsym(RTLD_NEXT, "mmap");
    *(void **)&next.malloc = dlsym(RTLD_NEXT, "malloc");
    is_inside = false;
}

/* Where it was, before it ends as it would have. */
static void on_crash(int signal_number)
{
    static const char words[] = "shim: a crash at\n";
    void *frames[64];
    if (write(STDERR_FILENO, words, sizeof(words) - 1) > 0)
        backtrace_symbols_fd(frames, backtrace(frames, 64), STDERR_FILENO);
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number);
}

/* A sanitizer tells more. */
static void tell_crashes(void)
{
    if (dlsym(RTLD_DEFAULT, "__sanitizer_print_stack_trace"))
        return;
    (void)signal(SIGSEGV, on_crash);
    (void)signal(SIGABRT, on_crash);
}

__attribute__((constructor)) static void set_up(void)
{
    look_up();
    const char *path = getenv("HILUM_SHIM");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (!path)
        return;
    void *frames[4];
    (void)backtrace(frames, 4); /* loads what it needs */
    void *at = next.mmap(NULL, sizeof(struct shim), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd < 0 || at == MAP_FAILED) {
        (void)fputs("HILUM_SHIM cannot be mapped\n", stderr);
        _exit(2);
    }
    close(fd);
    tell_crashes();
    shim = at;
}

/* --- which fail -------------------------------------------------------------------------------------------------- */

/* FNV-1a over the return addresses: the same call by the same way, as long as the process lives. */
static uint64_t stack_now(void)
{
    void *frames[FRAMES];
    int count = backtrace(frames, FRAMES);
    uint64_t hash = 14695981039346656037U;
    for (int i = SKIPPED; i < count; i++)
        hash = (hash ^ (uint64_t)(uintptr_t)frames[i]) * 1099511628211U;
    return hash | 1;
}

static void learn(uint64_t stack)
{
    uint64_t known = atomic_load(&shim->stacks);
    for (uint64_t i = 0; i < known; i++) {
        if (atomic_load(&shim->learnt[i].stack) == stack) {
            atomic_fetch_add(&shim->learnt[i].count, 1);
            return;
        }
    }
    /* Two threads may learn one stack at once: it is then tried twice. */
    uint64_t at = atomic_fetch_add(&shim->stacks, 1);
    if (at >= SHIM_STACKS_MAX) {
        atomic_store(&shim->stacks, SHIM_STACKS_MAX);
        return;
    }
    atomic_store(&shim->learnt[at].count, 1);
    atomic_store(&shim->learnt[at].stack, stack);
}

static bool is_the_stack(void)
{
    return stack_now() == atomic_load(&shim->stack) &&
           atomic_fetch_add(&shim->last, 1) == atomic_load(&shim->first);
}

static void trace(size_t size)
{
    void *frames[FRAMES];
    char line[96];
    int len = snprintf(line, sizeof(line), "shim: no memory, %zu bytes\n", size);
    if (write(STDERR_FILENO, line, (size_t)len) != len)
        return;
    backtrace_symbols_fd(frames, backtrace(frames, FRAMES), STDERR_FILENO);
}

static bool decide(uint64_t mode, uint64_t number)
{
    switch (mode) {
    case SHIM_MODE_NUMBER:
        return number >= atomic_load(&shim->first) && number <= atomic_load(&shim->last);
    case SHIM_MODE_STACK:
        return is_the_stack();
    case SHIM_MODE_LEARN:
        learn(stack_now());
        return false;
    default:
        return false;
    }
}

static bool fails(size_t size)
{
    look_up();
    uint64_t mode = shim && !is_inside ? atomic_load(&shim->mode) : SHIM_MODE_OFF;
    if (mode == SHIM_MODE_OFF)
        return false;
    is_inside = true;
    bool is_refused = decide(mode, atomic_fetch_add(&shim->count, 1) + 1);
    if (is_refused) {
        atomic_fetch_add(&shim->failed, 1);
        if (atomic_load(&shim->trace))
            trace(size);
        errno = ENOMEM;
    }
    is_inside = false;
    return is_refused;
}

/* --- the names --------------------------------------------------------------------------------------------------- */

/* Calls the real one, and is not asked by it. */
#define ASK(result, call)                                                                                    \
    do {                                                                                                     \
        bool was_inside = is_inside;                                                                         \
        is_inside = true;                                                                                    \
        (result) = (call);                                                                                   \
        is_inside = was_inside;                                                                              \
    } while (0)

void *malloc(size_t size)
{
    void *p;
    if (fails(size))
        return NULL;
    if (!next.malloc)
        return early_new(size);
    ASK(p, next.malloc(size));
    return p;
}

void *calloc(size_t count, size_t size)
{
    void *p;
    if (fails(count * size))
        return NULL;
    if (!next.malloc)
        return early_new(count * size); /* zero: nothing of it is given twice */
    ASK(p, next.calloc(count, size));
    return p;
}

void *realloc(void *old, size_t size)
{
    void *p;
    if (fails(size))
        return NULL;
    if (is_early(old)) {
        size_t most = (size_t)(early + EARLY_BYTES - (uint8_t *)old);
        p = malloc(size);
        return p ? memcpy(p, old, size < most ? size : most) : NULL;
    }
    if (!next.malloc)
        return early_new(size);
    ASK(p, next.realloc(old, size));
    return p;
}

void free(void *p)
{
    if (!p || is_early(p))
        return;
    look_up();
    next.free(p);
}

int posix_memalign(void **out, size_t align, size_t size)
{
    int error;
    if (fails(size))
        return ENOMEM;
    ASK(error, next.posix_memalign(out, align, size));
    return error;
}

void *aligned_alloc(size_t align, size_t size)
{
    void *p;
    if (fails(size))
        return NULL;
    ASK(p, next.aligned_alloc(align, size));
    return p;
}

void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    void *p;
    if (fails(size))
        return MAP_FAILED;
    if (!next.mmap)
        _exit(97);
    ASK(p, next.mmap(at, size, protection, flags, fd, offset));
    return p;
}
