/* Each case in a process of its own, which cannot be let out again. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cmocka.h>

#include "guard/guard.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(HILUM_UNCONFINED)
enum { IS_CONFINABLE = 0 };
#else
enum { IS_CONFINABLE = 1 };
#endif

/* Answers by _exit: 0 is right, else the line. */
#define SEE(claim)                                                                                           \
    do {                                                                                                     \
        if (!(claim)) {                                                                                      \
            dprintf(2, "%s:%d: %s (%s)\n", __FILE__, __LINE__, #claim, strerror(errno));                     \
            _exit(1);                                                                                        \
        }                                                                                                    \
    } while (0)

enum { NOT_HERE = 77 }; /* what a case needs cannot be had */

static char folder[] = "/tmp/hilum-guard-XXXXXX";

static int status_of(void (*body)(void))
{
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        body();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void assert_right(void (*body)(void))
{
    int status = status_of(body);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void confine(enum guard_seccomp seccomp, bool landlock, const char *readable, const char *writable)
{
    char why[256] = "";
    struct guard *g = guard_new();
    SEE(g);
    if (readable)
        guard_allow(g, readable, GUARD_READ);
    if (writable)
        guard_allow(g, writable, GUARD_WRITE);
    struct guard_options o = {.seccomp = seccomp, .landlock = landlock, .holds_keys = true};
    if (guard_confine(g, &o, why, sizeof(why)) != OK) {
        dprintf(2, "%s\n", why);
        _exit(2);
    }
    if (seccomp == GUARD_SECCOMP_OFF) { /* else it cannot be asked */
        SEE(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
        SEE(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
    }
}

/* --- Landlock ------------------------------------------------------------------------------------------------------ */

static void try_files(void)
{
    char in[128], out[64], path[128];
    snprintf(in, sizeof(in), "%s/in", folder);
    snprintf(out, sizeof(out), "%s/out", folder);
    confine(GUARD_SECCOMP_OFF, true, in, out);
    snprintf(path, sizeof(path), "%s/in/file", folder);
    int fd = open(path, O_RDONLY);
    SEE(fd >= 0);
    SEE(open(path, O_WRONLY) < 0 && errno == EACCES);
    SEE(unlink(path) < 0 && errno == EACCES);
    snprintf(path, sizeof(path), "%s/out/sub", folder);
    SEE(mkdir(path, 0700) == 0);
    snprintf(path, sizeof(path), "%s/out/sub/file", folder);
    fd = open(path, O_RDWR | O_CREAT, 0600);
    SEE(fd >= 0 && ftruncate(fd, 100) == 0);
    snprintf(in, sizeof(in), "%s/out/file", folder);
    SEE(rename(path, in) == 0);
    snprintf(path, sizeof(path), "%s/beside", folder);
    SEE(open(path, O_RDWR | O_CREAT, 0600) < 0 && errno == EACCES);
    SEE(open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES);
}

static void files_that_are_not_allowed_are_out_of_reach(void **state)
{
    (void)state;
    if (!IS_CONFINABLE || syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 2)
        skip();
    assert_right(try_files);
}

static void try_question(void)
{
    char inside[96], beside[96], writable[64];
    struct guard *g = guard_new();
    char why[256];
    snprintf(inside, sizeof(inside), "%s/out/not/there/yet", folder);
    snprintf(beside, sizeof(beside), "%s/outside", folder);
    snprintf(writable, sizeof(writable), "%s/out", folder);
    SEE(g && guard_allows(g, "/etc", GUARD_WRITE)); /* not in force yet */
    guard_allow(g, writable, GUARD_WRITE);
    guard_allow(g, "/etc", GUARD_READ);
    SEE(guard_confine(g, &(struct guard_options){.landlock = true}, why, sizeof(why)) == OK);
    SEE(guard_landlock_abi(g) >= 2);
    SEE(guard_allows(g, inside, GUARD_WRITE) && guard_allows(g, writable, GUARD_READ));
    SEE(!guard_allows(g, beside, GUARD_READ) && !guard_allows(g, folder, GUARD_READ));
    SEE(guard_allows(g, "/etc/hosts", GUARD_READ) && !guard_allows(g, "/etc/hosts", GUARD_WRITE));
    snprintf(inside, sizeof(inside), "%s/out/../in", folder);
    SEE(!guard_allows(g, inside, GUARD_READ));
    snprintf(inside, sizeof(inside), "%s/out/link", folder); /* leads out */
    SEE(!guard_allows(g, inside, GUARD_READ));
    SEE(chdir(folder) == 0 && guard_allows(g, "out/x", GUARD_WRITE) && !guard_allows(g, "x", GUARD_WRITE));
}

static void what_is_allowed_is_known_before_it_is_tried(void **state)
{
    (void)state;
    if (!IS_CONFINABLE || syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 2)
        skip();
    assert_right(try_question);
}

static void try_mount(void)
{
    char at[64], beside[96], why[256];
    snprintf(at, sizeof(at), "%s/out", folder);
    snprintf(beside, sizeof(beside), "%s/beside", folder);
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", at, "tmpfs", 0, NULL) != 0)
        _exit(NOT_HERE);
    struct guard *g = guard_new();
    SEE(g);
    guard_allow(g, at, GUARD_WRITE);
    SEE(guard_confine(g, &(struct guard_options){.landlock = true}, why, sizeof(why)) == OK);
    SEE(guard_allows(g, at, GUARD_WRITE) && !guard_allows(g, beside, GUARD_WRITE));
    SEE(open(beside, O_RDWR | O_CREAT, 0600) < 0 && errno == EACCES);
    snprintf(beside, sizeof(beside), "%s/file", at);
    SEE(open(beside, O_RDWR | O_CREAT, 0600) >= 0);
}

static void try_mount_anew(void)
{
    char at[64], file[96], why[256];
    snprintf(at, sizeof(at), "%s/out", folder);
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", at, "tmpfs", 0, NULL) != 0)
        _exit(NOT_HERE);
    struct guard *g = guard_new();
    SEE(g);
    guard_allow_mounts(g, at, GUARD_WRITE);
    SEE(guard_confine(g, &(struct guard_options){.landlock = true}, why, sizeof(why)) == OK);
    snprintf(file, sizeof(file), "%s/file", folder);
    SEE(open(file, O_RDWR | O_CREAT, 0600) >= 0 && unlink(file) == 0);
}

static void the_folder_above_a_mount_point_is_allowed_only_where_it_is_asked_for(void **state)
{
    (void)state;
    if (!IS_CONFINABLE || geteuid() != 0 || syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 2)
        skip();
    void (*const bodies[])(void) = {try_mount, try_mount_anew};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        int status = status_of(bodies[i]);
        if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_HERE)
            skip();
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
}

/* A socket of a name that is no path, which somebody outside listens on. */
static int abstract_socket(int (*call)(int, const struct sockaddr *, socklen_t))
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int len = snprintf(at.sun_path + 1, sizeof(at.sun_path) - 1, "hilum%s", folder);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return call(fd, (const struct sockaddr *)&at,
                (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)) == 0
               ? fd
               : -1;
}

static void try_outside(void)
{
    int before = abstract_socket(connect);
    SEE(before >= 0 && kill(getppid(), 0) == 0);
    confine(GUARD_SECCOMP_OFF, true, NULL, NULL);
    SEE(abstract_socket(connect) < 0 && errno == EPERM);
    SEE(kill(getppid(), 0) < 0 && errno == EPERM);
    SEE(kill(getpid(), 0) == 0);
}

static void nobody_outside_is_reached_by_signals_and_abstract_sockets(void **state)
{
    (void)state;
    if (!IS_CONFINABLE || syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 6)
        skip();
    int fd = abstract_socket(bind);
    assert_true(fd >= 0 && listen(fd, 4) == 0);
    assert_right(try_outside);
    close(fd);
}

/* --- seccomp ------------------------------------------------------------------------------------------------------- */

static void *on_thread(void *arg)
{
    return arg;
}

static void try_calls(void)
{
    static int token;
    pthread_t thread;
    void *answer;
    confine(GUARD_SECCOMP_ENFORCE, false, NULL, NULL);
    SEE(pthread_create(&thread, NULL, on_thread, &token) == 0 && pthread_join(thread, &answer) == 0);
    SEE(answer == &token);
    SEE(fork() < 0 && errno == ENOSYS);
    SEE(socket(AF_INET, SOCK_STREAM, 0) >= 0 && socket(AF_UNIX, SOCK_STREAM, 0) >= 0);
    SEE(socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == ENOSYS);
    SEE(mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
        MAP_FAILED);
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SEE(page != MAP_FAILED && mprotect(page, 4096, PROT_READ) == 0);
    SEE(mprotect(page, 4096, PROT_READ | PROT_EXEC) < 0 && errno == ENOSYS);
    SEE(kill(getppid(), 0) < 0 && errno == ENOSYS);
    SEE(kill(getpid(), 0) == 0);
    SEE(syscall(SYS_memfd_create, "x", 0) < 0 && errno == ENOSYS);
}

static void try_modes(void)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/in/file", folder);
    int fd = open(path, O_RDONLY);
    confine(GUARD_SECCOMP_ENFORCE, false, NULL, NULL);
    SEE(fd >= 0 && fchmod(fd, 0400) == 0 && fchmod(fd, 0600) == 0);
    static const mode_t modes[] = {0604, 0640, 0606, 0601, 04600, 02600};
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        SEE(fchmod(fd, modes[i]) < 0);
    SEE(chmod(path, 0644) < 0 && fchmodat(AT_FDCWD, path, 0644, 0) < 0);
    SEE(fchown(fd, 0, 0) < 0 && chown(path, 0, 0) < 0 && lchown(path, 0, 0) < 0);
    SEE(futimens(fd, NULL) < 0 && fsetxattr(fd, "user.x", "x", 1, 0) < 0);
    struct stat s;
    SEE(fstat(fd, &s) == 0 && (s.st_mode & 07777) == 0600);
}

static void no_file_is_opened_to_others(void **state)
{
    (void)state;
    if (!IS_CONFINABLE)
        skip();
    assert_right(try_modes);
}

/* What making a ring says: EFAULT, as nothing is handed in, where it may be made. */
static void *try_ring(void *unused)
{
    (void)unused;
    static __thread int said;
    said = syscall(SYS_io_uring_setup, 8, NULL) < 0 ? errno : 0;
    return &said;
}

static void *wait_for_seal(void *are_sealed)
{
    (void)sem_wait(are_sealed);
    return try_ring(NULL);
}

static void try_seal(void)
{
    pthread_t thread;
    sem_t are_sealed;
    char why[256] = "";
    void *answer;
    struct guard *g = guard_new();
    SEE(g && sem_init(&are_sealed, 0, 0) == 0);
    SEE(guard_confine(g, &(struct guard_options){.seccomp = GUARD_SECCOMP_ENFORCE}, why, sizeof(why)) == OK);
    SEE(*(int *)try_ring(NULL) == EFAULT);
    SEE(pthread_create(&thread, NULL, wait_for_seal, &are_sealed) == 0);
    SEE(guard_seal(g, why, sizeof(why)) == OK);
    SEE(*(int *)try_ring(NULL) == EPERM);
    SEE(sem_post(&are_sealed) == 0 && pthread_join(thread, &answer) == 0);
    SEE(answer && *(int *)answer == EPERM);
    SEE(syscall(SYS_seccomp, 1, 0, NULL) < 0 && errno == EPERM);
}

static void no_ring_is_made_once_it_is_sealed(void **state)
{
    (void)state;
    if (!IS_CONFINABLE || *(int *)try_ring(NULL) != EFAULT)
        skip();
    assert_right(try_seal);
}

static void calls_that_are_not_listed_are_as_on_an_older_kernel(void **state)
{
    (void)state;
    if (!IS_CONFINABLE)
        skip();
    assert_right(try_calls);
}

static void try_exec(void)
{
    confine(GUARD_SECCOMP_ENFORCE, false, NULL, NULL);
    execl("/bin/true", "true", NULL);
}

static void try_setuid(void)
{
    confine(GUARD_SECCOMP_ENFORCE, false, NULL, NULL);
    (void)syscall(SYS_setuid, 0);
}

static void try_ptrace(void)
{
    confine(GUARD_SECCOMP_ENFORCE, false, NULL, NULL);
    (void)syscall(SYS_ptrace, 0, 0, 0, 0);
}

static void what_only_an_attacker_calls_is_the_end(void **state)
{
    (void)state;
    void (*const bodies[])(void) = {try_exec, try_setuid, try_ptrace};
    if (!IS_CONFINABLE)
        skip();
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        int status = status_of(bodies[i]);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSYS);
    }
}

static void try_log(void)
{
    confine(GUARD_SECCOMP_LOG, false, NULL, NULL);
    SEE(syscall(SYS_memfd_create, "x", 0) >= 0);
    execl("/bin/true", "true", NULL);
    SEE(false);
}

static void what_is_only_logged_is_done(void **state)
{
    (void)state;
    if (!IS_CONFINABLE)
        skip();
    assert_right(try_log);
}

/* --- the user ------------------------------------------------------------------------------------------------------ */

static void try_user(void)
{
    char why[256] = "", line[256];
    struct guard *g = guard_new();
    SEE(g && guard_become(g, "nobody:nogroup", why, sizeof(why)) == OK && guard_has_become(g));
    SEE(getuid() == 65534 && geteuid() == 65534 && getgid() == 65534 && !guard_is_root());
    SEE(setuid(0) != 0 && setgid(0) != 0 && open("/etc/shadow", O_RDONLY) < 0);
    FILE *status = fopen("/proc/self/status", "r");
    unsigned seen = 0;
    while (status && fgets(line, sizeof(line), status)) {
        if (strncmp(line, "Cap", 3) != 0)
            continue;
        SEE(strcmp(line + 8, "0000000000000000\n") == 0);
        seen++;
    }
    SEE(seen >= 5);
}

static void try_wrong_users(void)
{
    static const char *const users[] = {"no-such-user", "nobody:no-such-group", "root"};
    char why[256];
    struct guard *g = guard_new();
    for (size_t i = 0; g && i < sizeof(users) / sizeof(users[0]); i++) {
        SEE(guard_become(g, users[i], why, sizeof(why)) == ERR_IO && strlen(why) > 0);
        SEE(geteuid() == 0 && !guard_has_become(g));
    }
    SEE(g && guard_become(g, "nobody", why, sizeof(why)) == OK);
    SEE(guard_become(g, "nobody", why, sizeof(why)) == OK); /* who it is already */
    SEE(guard_become(g, "daemon", why, sizeof(why)) == ERR_IO && strstr(why, "only root"));
}

static void who_it_becomes_it_stays(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_right(try_user);
    assert_right(try_wrong_users);
}

static int make_files(void **state)
{
    char path[64];
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/in", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/in/file", folder);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    snprintf(path, sizeof(path), "%s/out", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/out/link", folder);
    return symlink("../in", path);
}

static int remove_files(void **state)
{
    static const char *const names[] = {"in/file", "in", "out/link", "out/file", "out/sub", "out", ""};
    char path[64];
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        remove(path);
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_that_are_not_allowed_are_out_of_reach),
        cmocka_unit_test(what_is_allowed_is_known_before_it_is_tried),
        cmocka_unit_test(the_folder_above_a_mount_point_is_allowed_only_where_it_is_asked_for),
        cmocka_unit_test(nobody_outside_is_reached_by_signals_and_abstract_sockets),
        cmocka_unit_test(calls_that_are_not_listed_are_as_on_an_older_kernel),
        cmocka_unit_test(no_file_is_opened_to_others),
        cmocka_unit_test(no_ring_is_made_once_it_is_sealed),
        cmocka_unit_test(what_only_an_attacker_calls_is_the_end),
        cmocka_unit_test(what_is_only_logged_is_done),
        cmocka_unit_test(who_it_becomes_it_stays),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
