/*
 * Any text as a configuration: loaded or refused, with each problem on a line of its own; and what was loaded can be made into rules. Its budgets hold: no text
 * takes long, or much memory.
 *
 *   0  u8   bit 0: the text is declarations' own text; else it stands in the keys of one of each
 *   1  the text
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/log.h"
#include "script/load.h"
#include "script/rules.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    CPU_MS_MAX = 8000
}; /* under sanitizers, and two times over: a budget that does not hold takes for ever */

static int fd;
static char path[64];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    log_configure(LOG_ERROR, LOG_LOGFMT);
    fd = memfd_create("configuration", MFD_CLOEXEC);
    hilum_assert(fd >= 0);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    hilum_assert(freopen("/dev/null", "w", stdout)); /* nothing of ours; `print` writes to stderr */
    return 0;
}

static uint64_t cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* One of each, with the text's lines as further keys of them, in turn. */
static void write_framed(const uint8_t *text, size_t len)
{
    static const char *const heads[] = {"gateway { spool = false, ",
                                        "listen { port = 11112, name = 'main', ",
                                        "node 'pacs' { host = '10.1.0.5', port = 104, ae_title = 'PACS', ",
                                        "node 'files' { folder = '/tmp/{SOPInstanceUID}.dcm', ",
                                        "pool 'both' { members = { 'pacs' }, ",
                                        "route 'all' { to = { 'pacs' }, on_failure = 'fail', ",
                                        "route 'find' { when = { service = 'find' }, to = { 'pacs' }, "};
    const size_t count = sizeof(heads) / sizeof(heads[0]);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *end = at < len ? memchr(text + at, '\n', len - at) : NULL;
        size_t n = at >= len ? 0 : i + 1 < count && end ? (size_t)(end - text) - at : len - at;
        dprintf(fd, "%s", heads[i]);
        if (n > 0)
            hilum_assert(write(fd, text + at, n) == (ssize_t)n);
        dprintf(fd, " }\n");
        at += n + (end != NULL);
    }
}

static void check_problems(const struct problems *p, enum result r)
{
    bool has_error = false;
    for (size_t i = 0; i < p->count; i++) {
        hilum_assert(p->items[i].text && strncmp(p->items[i].text, path, strlen(path)) == 0);
        has_error = has_error || !p->items[i].is_warning;
    }
    hilum_assert(has_error == (r == ERR_USAGE));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *config = NULL;
    struct problems problems, more;
    struct rules *rules = NULL;
    if (size < 1 || size > 32768)
        return 0;
    hilum_assert(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0);
    if (data[0] & 1)
        hilum_assert(write(fd, data + 1, size - 1) == (ssize_t)size - 1);
    else
        write_framed(data + 1, size - 1);
    const uint64_t before = cpu_ms();
    enum result r = script_load(path, &config, &problems);
    hilum_assert((r == OK) == (config != NULL) && r != ERR_MEMORY);
    check_problems(&problems, r);
    if (r == OK) {
        r = script_rules_open(config, &rules, &more);
        hilum_assert(r == OK || more.count > 0);
        script_rules_close(&rules);
        problems_free(&more);
    }
    config_unref(&config);
    problems_free(&problems);
    hilum_assert(cpu_ms() - before < CPU_MS_MAX);
    return 0;
}
