/* What the system gives against what is asked for: read from files as Linux has them, judged in numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "io/io.h"
#include "worker/bounds.h"

enum { MIB = 1 << 20 };

struct root {
    char path[64];
};

static int make_root(void **state)
{
    struct root *r = calloc(1, sizeof(*r));
    strcpy(r->path, "/tmp/hilum-bounds-XXXXXX");
    *state = r;
    return mkdtemp(r->path) ? 0 : -1;
}

static int drop_root(void **state)
{
    char command[128];
    struct root *r = *state;
    snprintf(command, sizeof(command), "rm -r %s", r->path);
    int failed = system(command);
    free(r);
    return failed;
}

/* With the folders above it. */
static void put(const struct root *r, const char *path, const char *text)
{
    char full[256];
    int len = snprintf(full, sizeof(full), "%s%s", r->path, path);
    assert_in_range(len, 1, sizeof(full) - 1);
    for (char *at = strchr(full + strlen(r->path) + 1, '/'); at; at = strchr(at + 1, '/')) {
        *at = '\0';
        mkdir(full, 0700);
        *at = '/';
    }
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void nothing_is_known_where_nothing_is_told(void **state)
{
    const struct root *r = *state;
    struct bounds_system s;
    bounds_read(&s, r->path);
    assert_true(s.descriptors > 0 && s.page_bytes > 0);
    assert_int_equal(s.memory + s.group + s.pipe_pages, 0);
    struct config c = {.max_associations = 1, .memory = UINT64_MAX};
    assert_int_equal(bounds_check(&s, &c, 1), OK);
}

static void the_machine_and_the_least_of_the_groups_are_read(void **state)
{
    const struct root *r = *state;
    struct bounds_system s;
    put(r, "/proc/meminfo", "MemTotal:        2048 kB\nMemFree: 1 kB\n");
    put(r, "/proc/self/cgroup", "9:name=systemd:/x\n0::/a.slice/hilum.service\n");
    put(r, "/sys/fs/cgroup/a.slice/hilum.service/memory.max", "max\n");
    bounds_read(&s, r->path);
    assert_int_equal(s.memory, 2 * MIB);
    assert_int_equal(s.group, 0);
    put(r, "/sys/fs/cgroup/a.slice/hilum.service/memory.max", "1048576\n");
    put(r, "/sys/fs/cgroup/a.slice/memory.max", "524288\n");
    bounds_read(&s, r->path);
    assert_int_equal(s.group, 524288);
    put(r, "/proc/self/cgroup", "0::/\n"); /* in a container */
    put(r, "/sys/fs/cgroup/memory.max", "4194304\n");
    bounds_read(&s, r->path);
    assert_int_equal(s.group, 4 * MIB);
}

static void pages_of_pipes_bind_who_has_no_privilege(void **state)
{
    const struct root *r = *state;
    struct bounds_system s;
    put(r, "/proc/sys/fs/pipe-user-pages-soft", "16384\n");
    put(r, "/proc/self/status", "Name:\thilum\nCapEff:\t0000000000000400\n");
    bounds_read(&s, r->path);
    assert_int_equal(s.pipe_pages, 16384);
    put(r, "/proc/self/status", "Name:\thilum\nCapEff:\t0000000001000400\n");
    bounds_read(&s, r->path);
    assert_int_equal(s.pipe_pages, 0);
}

static void pipes_are_shared_and_leave_a_quarter(void **state)
{
    static const struct {
        uint64_t pages;
        unsigned workers, pipes;
    } cases[] = {
        {0, 4, IO_PIPES_MAX}, {16384, 1, 48}, {16384, 2, 24},
        {16384, 100, 1},      {10, 1, 1},     {1 << 20, 2, IO_PIPES_MAX},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bounds_system s = {.descriptors = 1000, .pipe_pages = cases[i].pages, .page_bytes = 4096};
        assert_int_equal(bounds_pipes(&s, cases[i].workers), cases[i].pipes);
    }
}

static void what_cannot_work_is_not_started(void **state)
{
    static const struct {
        uint64_t descriptors, memory, group, asked;
        enum result is;
        const char *why;
    } cases[] = {
        {10000, 0, 0, 1024, OK, "all there"},
        {100, 0, 0, 1024, OK, "few descriptors: a warning"},
        {36, 0, 0, 1024, OK, "one association, just"},
        {34, 0, 0, 1024, ERR_USAGE, "not one association"},
        {10000, 4096, 0, 1024, OK, "memory"},
        {10000, 1100, 0, 1024, OK, "little for the rest: a warning"},
        {10000, 1023, 0, 1024, ERR_USAGE, "more than the machine has"},
        {10000, 4096, 1023, 1024, ERR_USAGE, "more than the group has"},
        {10000, 1023, 4096, 1024, ERR_USAGE, "the group has no limit that counts"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bounds_system s = {.descriptors = cases[i].descriptors,
                                  .memory = cases[i].memory * MIB,
                                  .group = cases[i].group * MIB,
                                  .page_bytes = 4096};
        struct config c = {.max_associations = 4096,
                           .listen_count = 1,
                           .memory = cases[i].asked * MIB,
                           .is_memory_given = true};
        if (bounds_check(&s, &c, 2) != cases[i].is)
            fail_msg("%s", cases[i].why);
    }
}

/* A machine of 1 GiB has a little less: what nobody asked for is no reason not to start there. */
static void the_default_of_memory_is_what_there_is(void **state)
{
    static const struct {
        uint64_t memory, group, is;
    } cases[] = {{0, 0, 1024}, {4096, 0, 1024}, {1000, 0, 750}, {4096, 512, 384}, {1000, 4096, 750}};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bounds_system s = {.descriptors = 10000,
                                  .memory = cases[i].memory * MIB,
                                  .group = cases[i].group * MIB,
                                  .page_bytes = 4096};
        struct config c = {.max_associations = 4096, .listen_count = 1, .memory = 1024 * MIB};
        assert_int_equal(bounds_check(&s, &c, 2), OK);
        assert_int_equal(bounds_memory(&s, &c), cases[i].is * MIB);
        c.is_memory_given = true;
        assert_int_equal(bounds_memory(&s, &c), 1024 * MIB);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_known_where_nothing_is_told, make_root, drop_root),
        cmocka_unit_test_setup_teardown(the_machine_and_the_least_of_the_groups_are_read, make_root,
                                        drop_root),
        cmocka_unit_test_setup_teardown(pages_of_pipes_bind_who_has_no_privilege, make_root, drop_root),
        cmocka_unit_test(pipes_are_shared_and_leave_a_quarter),
        cmocka_unit_test(what_cannot_work_is_not_started),
        cmocka_unit_test(the_default_of_memory_is_what_there_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
