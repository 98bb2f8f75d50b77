/*
 * Faults on order. The one state of the process besides the log's level: whoever opens a spool knows nothing of it, which is its point. It is
 * read before main begins and does not change afterwards, but in tests.
 */
#include "io/disk_faults.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/disk.h"

enum { FAULTS_MAX = 32 };

/* What is no errno. */
enum { WHAT_SKIP = -1, WHAT_SHORT = -2, WHAT_TORN = -3, WHAT_KILL = -4, WHAT_LATE = -5 };

struct fault {
    enum disk_call call;
    unsigned long first, last;
    int what;
};

static struct fault faults[FAULTS_MAX];
static size_t fault_count;
static atomic_ulong calls[DISK_CALLS];
atomic_bool disk_has_faults;

static const char *const call_names[DISK_CALLS] = {
    [DISK_CALL_OPEN] = "open",           [DISK_CALL_WRITE] = "write", [DISK_CALL_READ] = "read",
    [DISK_CALL_FDATASYNC] = "fdatasync", [DISK_CALL_FSYNC] = "fsync", [DISK_CALL_TRUNCATE] = "truncate",
    [DISK_CALL_ALLOCATE] = "allocate",   [DISK_CALL_PUNCH] = "punch", [DISK_CALL_LOCK] = "lock",
    [DISK_CALL_UNLINK] = "unlink",       [DISK_CALL_MKDIR] = "mkdir", [DISK_CALL_LIST] = "list",
    [DISK_CALL_FREE] = "free",
};

static const struct {
    const char *name;
    int what;
} whats[] = {
    {"EIO", EIO},        {"ENOSPC", ENOSPC},    {"EROFS", EROFS},    {"EINTR", EINTR},
    {"ENOENT", ENOENT},  {"EACCES", EACCES},    {"EEXIST", EEXIST},  {"ENOTSUP", ENOTSUP},
    {"ENOMEM", ENOMEM},  {"short", WHAT_SHORT}, {"torn", WHAT_TORN}, {"skip", WHAT_SKIP},
    {"kill", WHAT_KILL}, {"late", WHAT_LATE},
};

static bool parse_call(const char *text, size_t len, enum disk_call *out)
{
    for (unsigned i = 0; i < DISK_CALLS; i++) {
        if (strlen(call_names[i]) == len && memcmp(call_names[i], text, len) == 0) {
            *out = (enum disk_call)i;
            return true;
        }
    }
    return false;
}

static bool parse_what(const char *text, size_t len, int *out)
{
    for (size_t i = 0; i < sizeof(whats) / sizeof(whats[0]); i++) {
        if (strlen(whats[i].name) == len && memcmp(whats[i].name, text, len) == 0) {
            *out = whats[i].what;
            return true;
        }
    }
    return false;
}

/* "write:5+:ENOSPC" */
static bool parse_fault(const char *text, size_t len, struct fault *out)
{
    const char *end = text + len, *colon = memchr(text, ':', len);
    char *number_end;
    if (!colon || !parse_call(text, (size_t)(colon - text), &out->call))
        return false;
    out->first = strtoul(colon + 1, &number_end, 10);
    out->last = out->first;
    if (*number_end == '+') {
        out->last = (unsigned long)-1;
        number_end++;
    }
    return out->first > 0 && number_end < end && *number_end == ':' &&
           parse_what(number_end + 1, (size_t)(end - number_end - 1), &out->what);
}

bool disk_set_faults(const char *text)
{
    bool is_good = true;
    fault_count = 0;
    for (unsigned i = 0; i < DISK_CALLS; i++)
        atomic_store(&calls[i], 0);
    while (is_good && text && *text) {
        size_t len = strcspn(text, ",");
        is_good = fault_count < FAULTS_MAX && parse_fault(text, len, &faults[fault_count]);
        fault_count += is_good;
        text += len + (text[len] == ',');
    }
    atomic_store(&disk_has_faults, fault_count > 0);
    return is_good;
}

/* Whoever sets it means a test: going on without its faults would let it pass. */
__attribute__((constructor)) static void read_environment(void)
{
    const char *text = getenv("HILUM_IO_FAULTS");
    if (text && !disk_set_faults(text)) {
        (void)fputs("HILUM_IO_FAULTS cannot be read\n", stderr);
        _exit(2);
    }
}

static enum disk_fault carry_out(int what)
{
    switch (what) {
    case WHAT_SKIP:
        return DISK_SKIPPED;
    case WHAT_SHORT:
        return DISK_SHORT;
    case WHAT_TORN:
        return DISK_TORN;
    case WHAT_LATE:
        return DISK_LATE;
    case WHAT_KILL:
        (void)kill(getpid(), SIGKILL);
        return DISK_FAILS;
    default:
        errno = what;
        return DISK_FAILS;
    }
}

enum disk_fault disk_next_fault(enum disk_call call)
{
    unsigned long number = atomic_fetch_add(&calls[call], 1) + 1;
    for (size_t i = 0; i < fault_count; i++)
        if (faults[i].call == call && faults[i].first <= number && number <= faults[i].last)
            return carry_out(faults[i].what);
    return DISK_GOES_ON;
}
