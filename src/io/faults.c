/*
 * Faults on order. The one state of the process besides the log's level: whoever opens a socket or a spool knows nothing of it, which is its point. It is
 * read before main begins, and whether there are any does not change afterwards, but in tests.
 */
#include "io/faults.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FAULTS_MAX = 32, FILE_BYTES = 4096, ERRNO_MAX = 133 };

struct fault {
    enum io_call call;
    unsigned long first, last;
    enum io_fault what;
    int error;    /* of IO_FAILS */
    size_t bytes; /* of IO_SHORT; 0: half */
    bool kills;
};

/* What "@FILE" names. */
struct page {
    atomic_uint edition, count;
    char list[FILE_BYTES - 8];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of all that follows */
static struct fault faults[FAULTS_MAX];
static size_t fault_count;
static unsigned long calls[IO_CALLS];
static struct page *page;
static unsigned edition;

atomic_bool io_has_faults;

enum { FAILS_ONLY, CAN_BE_SHORT = 1, CAN_END = 2, CAN_SKIP = 4, CAN_TEAR = 8 };

static const struct {
    const char *name;
    unsigned can;
} kinds[IO_CALLS] = {
    [IO_CALL_ACCEPT] = {"accept", FAILS_ONLY},
    [IO_CALL_CONNECT] = {"connect", FAILS_ONLY},
    [IO_CALL_POLL] = {"poll", FAILS_ONLY},
    [IO_CALL_RECEIVE] = {"receive", CAN_BE_SHORT | CAN_END},
    [IO_CALL_SEND] = {"send", CAN_BE_SHORT},
    [IO_CALL_MAILBOX] = {"mailbox", FAILS_ONLY},
    [IO_CALL_RING_OPEN] = {"ring-open", FAILS_ONLY},
    [IO_CALL_RING_WRITE] = {"ring-write", CAN_BE_SHORT},
    [IO_CALL_RING_READ] = {"ring-read", CAN_BE_SHORT | CAN_END},
    [IO_CALL_RING_FDATASYNC] = {"ring-fdatasync", FAILS_ONLY},
    [IO_CALL_RING_FSYNC] = {"ring-fsync", FAILS_ONLY},
    [IO_CALL_RING_RENAME] = {"ring-rename", FAILS_ONLY},
    [IO_CALL_RING_LINK] = {"ring-link", FAILS_ONLY},
    [IO_CALL_RING_UNLINK] = {"ring-unlink", FAILS_ONLY},
    [IO_CALL_RING_MKDIR] = {"ring-mkdir", FAILS_ONLY},
    [IO_CALL_RING_CLOSE] = {"ring-close", FAILS_ONLY},
    [IO_CALL_SPLICE_IN] = {"splice-in", CAN_BE_SHORT | CAN_END},
    [IO_CALL_SPLICE_OUT] = {"splice-out", CAN_BE_SHORT},
    [IO_CALL_TEE] = {"tee", CAN_BE_SHORT},
    [IO_CALL_PIPE_WRITE] = {"pipe-write", CAN_BE_SHORT},
    [IO_CALL_SEND_NOW] = {"send-now", CAN_BE_SHORT},
    [IO_CALL_RECEIVE_NOW] = {"receive-now", CAN_BE_SHORT | CAN_END},
    [IO_CALL_PIPE] = {"pipe", FAILS_ONLY},
    [IO_CALL_SOCKET] = {"socket", FAILS_ONLY},
    [IO_CALL_BIND] = {"bind", FAILS_ONLY},
    [IO_CALL_LISTEN] = {"listen", FAILS_ONLY},
    [IO_CALL_OPTION] = {"option", FAILS_ONLY},
    [IO_CALL_ASKED_OPTION] = {"asked-option", FAILS_ONLY},
    [IO_CALL_NAME] = {"name", FAILS_ONLY},
    [IO_CALL_CONNECT_NOW] = {"connect-now", FAILS_ONLY},
    [IO_CALL_EVENTFD] = {"eventfd", FAILS_ONLY},
    [IO_CALL_SETUP] = {"setup", FAILS_ONLY},
    [IO_CALL_REGISTER] = {"register", FAILS_ONLY},
    [IO_CALL_ENTER] = {"enter", FAILS_ONLY},
    [IO_CALL_RESOLVE] = {"resolve", FAILS_ONLY},
    [IO_CALL_OPEN] = {"open", FAILS_ONLY},
    [IO_CALL_WRITE] = {"write", CAN_BE_SHORT | CAN_SKIP | CAN_TEAR},
    [IO_CALL_READ] = {"read", CAN_BE_SHORT | CAN_END},
    [IO_CALL_FDATASYNC] = {"fdatasync", CAN_SKIP},
    [IO_CALL_FSYNC] = {"fsync", CAN_SKIP},
    [IO_CALL_TRUNCATE] = {"truncate", CAN_SKIP},
    [IO_CALL_ALLOCATE] = {"allocate", CAN_SKIP},
    [IO_CALL_PUNCH] = {"punch", CAN_SKIP},
    [IO_CALL_LOCK] = {"lock", CAN_SKIP},
    [IO_CALL_UNLINK] = {"unlink", CAN_SKIP},
    [IO_CALL_MKDIR] = {"mkdir", CAN_SKIP},
    [IO_CALL_LIST] = {"list", FAILS_ONLY},
    [IO_CALL_FREE] = {"free", CAN_SKIP},
    [IO_CALL_STAT] = {"stat", FAILS_ONLY},
};

static const struct {
    const char *name;
    enum io_fault what;
    unsigned needs;
} whats[] = {
    {"short", IO_SHORT, CAN_BE_SHORT}, {"end", IO_ENDS, CAN_END},   {"skip", IO_SKIPPED, CAN_SKIP},
    {"torn", IO_TORN, CAN_TEAR},       {"late", IO_LATE, CAN_TEAR},
};

/* --- reading them ------------------------------------------------------------------------------------------------- */

static bool is_word(const char *name, const char *text, size_t len)
{
    return name && strlen(name) == len && memcmp(name, text, len) == 0;
}

static bool parse_call(const char *text, size_t len, enum io_call *out)
{
    for (unsigned i = 0; i < IO_CALLS; i++) {
        if (is_word(kinds[i].name, text, len)) {
            *out = (enum io_call)i;
            return true;
        }
    }
    return false;
}

/* "short=17" */
static bool parse_short(const char *text, const char *end, struct fault *out)
{
    static const char word[] = "short=";
    char *number_end;
    if ((size_t)(end - text) < sizeof(word) || memcmp(text, word, sizeof(word) - 1) != 0)
        return false;
    out->what = IO_SHORT;
    out->bytes = strtoul(text + sizeof(word) - 1, &number_end, 10);
    return out->bytes > 0 && number_end == end && (kinds[out->call].can & CAN_BE_SHORT);
}

static bool parse_what(const char *text, const char *end, struct fault *out)
{
    size_t len = (size_t)(end - text);
    for (size_t i = 0; i < sizeof(whats) / sizeof(whats[0]); i++) {
        if (is_word(whats[i].name, text, len)) {
            out->what = whats[i].what;
            return (kinds[out->call].can & whats[i].needs) != 0;
        }
    }
    if (parse_short(text, end, out))
        return true;
    out->what = IO_FAILS;
    out->kills = is_word("kill", text, len);
    out->error = is_word("ENOTSUP", text, len) ? ENOTSUP : 0; /* has two names */
    for (int e = 1; e <= ERRNO_MAX && out->error == 0; e++)
        if (is_word(strerrorname_np(e), text, len))
            out->error = e;
    return out->kills || out->error > 0;
}

/* "write:5+:ENOSPC" */
static bool parse_fault(const char *text, size_t len, struct fault *out)
{
    const char *end = text + len, *colon = memchr(text, ':', len);
    char *number_end;
    *out = (struct fault){0};
    if (!colon || !parse_call(text, (size_t)(colon - text), &out->call))
        return false;
    out->first = strtoul(colon + 1, &number_end, 10);
    out->last = out->first;
    if (*number_end == '+') {
        out->last = (unsigned long)-1;
        number_end++;
    } else if (*number_end == '-') {
        out->last = strtoul(number_end + 1, &number_end, 10);
    }
    return out->first > 0 && out->last >= out->first && number_end < end && *number_end == ':' &&
           parse_what(number_end + 1, end, out);
}

static bool read_list(const char *text)
{
    bool is_good = true;
    fault_count = 0;
    memset(calls, 0, sizeof(calls));
    while (is_good && text && *text) {
        size_t len = strcspn(text, ",");
        is_good = fault_count < FAULTS_MAX && parse_fault(text, len, &faults[fault_count]);
        fault_count += is_good;
        text += len + (text[len] == ',');
    }
    return is_good;
}

bool io_set_faults(const char *text)
{
    pthread_mutex_lock(&lock);
    bool is_good = read_list(text);
    atomic_store(&io_has_faults, fault_count > 0);
    pthread_mutex_unlock(&lock);
    return is_good;
}

/* Whoever sets it means a test: going on without its faults would let it pass. */
static void refuse(void)
{
    (void)fputs("HILUM_IO_FAULTS cannot be read\n", stderr);
    _exit(2);
}

static void map_page(const char *path)
{
    struct stat s;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &s) < 0 || s.st_size < FILE_BYTES)
        refuse();
    page = mmap(NULL, FILE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        refuse();
    (void)close(fd);
    atomic_store(&io_has_faults, true);
}

__attribute__((constructor)) static void read_environment(void)
{
    const char *text = getenv("HILUM_IO_FAULTS");
    if (text && text[0] == '@')
        map_page(text + 1);
    else if (text && !io_set_faults(text))
        refuse();
}

/* With the lock. */
static void look_at_page(void)
{
    char list[sizeof(page->list)];
    unsigned now = atomic_load(&page->edition);
    if (now == edition || now % 2 == 1)
        return;
    memcpy(list, page->list, sizeof(list));
    if (atomic_load(&page->edition) != now)
        return; /* it changed meanwhile: the next call sees it */
    edition = now;
    list[sizeof(list) - 1] = '\0';
    atomic_store(&page->count, 0);
    if (!read_list(list))
        refuse();
}

/* --- carrying them out -------------------------------------------------------------------------------------------- */

static enum io_fault carry_out(const struct fault *f, size_t *len_io)
{
    if (page)
        atomic_fetch_add(&page->count, 1);
    if (f->kills)
        (void)kill(getpid(), SIGKILL);
    if (f->what == IO_FAILS)
        errno = f->error;
    if (f->what == IO_SHORT && len_io) {
        size_t less = f->bytes ? f->bytes : *len_io > 1 ? *len_io / 2 : 1;
        *len_io = less < *len_io ? less : *len_io;
    }
    return f->what;
}

enum io_fault io_next_fault(enum io_call call, size_t *len_io)
{
    enum io_fault fault = IO_GOES_ON;
    pthread_mutex_lock(&lock);
    if (page)
        look_at_page();
    unsigned long number = ++calls[call];
    for (size_t i = 0; i < fault_count; i++) {
        if (faults[i].call == call && faults[i].first <= number && number <= faults[i].last) {
            fault = carry_out(&faults[i], len_io);
            break;
        }
    }
    pthread_mutex_unlock(&lock);
    return fault;
}
