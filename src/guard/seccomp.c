/*
 * The system calls that the gateway needs, by libseccomp.
 *
 * What is not listed fails with ENOSYS: a library that comes to use a newer call takes the older one instead, as on an older
 * kernel, and a gateway goes on after an update of the system. What nothing of ours has any use for, and only somebody else would
 * call, ends the process.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guard/inside.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41 /* names of memory, by malloc */
#endif

enum { OWNERS = 0600 }; /* rights */

/* Those that a machine does not have are negative there (aarch64: open, stat, ...). */
static const int allowed[] = {
    /* bytes */
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(preadv),
    SCMP_SYS(pwritev),
    SCMP_SYS(preadv2),
    SCMP_SYS(pwritev2),
    SCMP_SYS(lseek),
    SCMP_SYS(splice),
    SCMP_SYS(tee),
    SCMP_SYS(close),
    SCMP_SYS(close_range),
    SCMP_SYS(dup),
    SCMP_SYS(dup2),
    SCMP_SYS(dup3),
    SCMP_SYS(fcntl),
    SCMP_SYS(flock),
    SCMP_SYS(pipe),
    SCMP_SYS(pipe2),
    SCMP_SYS(eventfd2),
    /* files: the queue's log, SQLite, folders, configuration, libc's own */
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(openat2),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(fstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(statx),
    SCMP_SYS(statfs),
    SCMP_SYS(fstatfs),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(getcwd),
    SCMP_SYS(getdents64),
    SCMP_SYS(fsync),
    SCMP_SYS(fdatasync),
    SCMP_SYS(sync_file_range),
    SCMP_SYS(ftruncate),
    SCMP_SYS(truncate),
    SCMP_SYS(fallocate),
    SCMP_SYS(fadvise64),
    SCMP_SYS(rename),
    SCMP_SYS(renameat),
    SCMP_SYS(renameat2),
    SCMP_SYS(link),
    SCMP_SYS(linkat),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),
    SCMP_SYS(rmdir),
    /* memory */
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(msync),
    SCMP_SYS(mincore),
    SCMP_SYS(brk),
    SCMP_SYS(membarrier),
    /* threads, time, signals */
    SCMP_SYS(futex),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(get_robust_list),
    SCMP_SYS(rseq),
    SCMP_SYS(set_tid_address),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(getcpu),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigtimedwait),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(getrandom),
    /* about ourselves */
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getppid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(getresuid),
    SCMP_SYS(getresgid),
    SCMP_SYS(uname),
    SCMP_SYS(sysinfo),
    SCMP_SYS(getrlimit),
    SCMP_SYS(setrlimit),
    SCMP_SYS(prlimit64),
    SCMP_SYS(getrusage),
    SCMP_SYS(times),
    /* the network, and the resolver's libc */
    SCMP_SYS(connect),
    SCMP_SYS(accept),
    SCMP_SYS(accept4),
    SCMP_SYS(bind),
    SCMP_SYS(listen),
    SCMP_SYS(getsockname),
    SCMP_SYS(getpeername),
    SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt),
    SCMP_SYS(sendto),
    SCMP_SYS(recvfrom),
    SCMP_SYS(sendmsg),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmmsg),
    SCMP_SYS(recvmmsg),
    SCMP_SYS(shutdown),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(select),
    SCMP_SYS(pselect6),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
};

static const int deadly[] = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(kcmp),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(move_mount),
    SCMP_SYS(open_tree),
    SCMP_SYS(fsopen),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(setuid),
    SCMP_SYS(setreuid),
    SCMP_SYS(setresuid),
    SCMP_SYS(setgid),
    SCMP_SYS(setregid),
    SCMP_SYS(setresgid),
    SCMP_SYS(setgroups),
    SCMP_SYS(setfsuid),
    SCMP_SYS(setfsgid),
    SCMP_SYS(capset),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(mknod),
    SCMP_SYS(mknodat),
    SCMP_SYS(reboot),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(acct),
    SCMP_SYS(quotactl),
    SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname),
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(personality),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(modify_ldt),
    SCMP_SYS(syslog),
};

/* An allowed call on a condition of one argument. */
struct conditional {
    int call;
    struct scmp_arg_cmp argument;
};

static int add_conditionals(scmp_filter_ctx filter)
{
    const scmp_datum_t self = (scmp_datum_t)getpid(), wx = PROT_WRITE | PROT_EXEC;
    const struct conditional list[] = {
        /* memory is written or run, never both; libraries may be loaded (nss, gconv) */
        {SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, wx, 0)},
        {SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, wx, PROT_WRITE)},
        {SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, wx, PROT_EXEC)},
        {SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)},
        /* threads, no processes; of clone3, which hides its flags, glibc falls back to it */
        {SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)},
        {SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_UNIX)},
        {SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_INET)},
        {SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_INET6)},
        {SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_NETLINK)}, /* getaddrinfo asks which addresses there are */
        /* the control socket's; no file is opened to the group or to others (SQLite would like to, and goes on without) */
        {SCMP_SYS(fchmod), SCMP_A1(SCMP_CMP_MASKED_EQ, ~(scmp_datum_t)OWNERS, 0)},
        {SCMP_SYS(seccomp),
         SCMP_A0(SCMP_CMP_EQ, SECCOMP_SET_MODE_FILTER)}, /* the seal: it can only take away */
        {SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, FIONREAD)},
        {SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, FIONBIO)},
        {SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_EQ, TCGETS)}, /* isatty */
        {SCMP_SYS(prctl), SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME)},
        {SCMP_SYS(prctl), SCMP_A0(SCMP_CMP_EQ, PR_SET_VMA)},
        {SCMP_SYS(kill), SCMP_A0(SCMP_CMP_EQ, self)}, /* abort, and raise */
        {SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_EQ, self)},
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < COUNT(list); i++)
        if (list[i].call >= 0)
            r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, list[i].call, 1, &list[i].argument);
    return r;
}

static int add_all(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++)
        if (calls[i] >= 0)
            r = seccomp_rule_add(filter, action, calls[i], 0);
    return r;
}

/* The kernel is told of no_new_privs by guard_confine; a filter may not ask for it again. */
static int set_attributes(scmp_filter_ctx filter, bool is_log)
{
    int r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_NNP, 0);
    if (r == 0)
        r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (r == 0)
        r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, is_log ? SCMP_ACT_LOG : SCMP_ACT_KILL_PROCESS);
    /* Without these it works the same, if more slowly and without a word in the audit log. */
    (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
    (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    return r;
}

/* For all threads. `r` is what making it came to. */
static enum result load(scmp_filter_ctx *filter, int r, char *why, size_t why_cap)
{
    if (r == 0)
        r = seccomp_load(*filter);
    seccomp_release(*filter);
    *filter = NULL;
    if (r == 0)
        return OK;
    snprintf(why, why_cap, "seccomp: %s", strerror(-r));
    return ERR_IO;
}

enum result guard_seccomp(enum guard_seccomp how, char *why, size_t why_cap)
{
    bool is_log = how == GUARD_SECCOMP_LOG;
    scmp_filter_ctx filter = seccomp_init(is_log ? SCMP_ACT_LOG : SCMP_ACT_ERRNO(ENOSYS));
    if (!filter) {
        snprintf(why, why_cap, "seccomp: no filter can be made");
        return ERR_IO;
    }
    int r = set_attributes(filter, is_log);
    if (r == 0)
        r = add_all(filter, SCMP_ACT_ALLOW, allowed, COUNT(allowed));
    if (r == 0)
        r = add_conditionals(filter);
    if (r == 0 && !is_log)
        r = add_all(filter, SCMP_ACT_KILL_PROCESS, deadly, COUNT(deadly));
    return load(&filter, r, why, why_cap);
}

/* Beside the first filter: of two, the stricter one holds. */
enum result guard_seccomp_seal(enum guard_seccomp how, char *why, size_t why_cap)
{
    static const int sealed[] = {SCMP_SYS(io_uring_setup), SCMP_SYS(seccomp)};
    bool is_log = how == GUARD_SECCOMP_LOG;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    if (!filter) {
        snprintf(why, why_cap, "seccomp: no filter can be made");
        return ERR_IO;
    }
    int r = set_attributes(filter, is_log);
    if (r == 0)
        r = add_all(filter, is_log ? SCMP_ACT_LOG : SCMP_ACT_ERRNO(EPERM), sealed, COUNT(sealed));
    return load(&filter, r, why, why_cap);
}
