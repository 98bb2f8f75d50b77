/* Landlock, by its system calls: Debian 12 has no library for it, and its header knows the first two versions alone. */
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guard/inside.h"

/* Landlock 3 and 5 (linux/landlock.h of Linux 6.2 and 6.10). */
#define FS_TRUNCATE  (UINT64_C(1) << 14)
#define FS_IOCTL_DEV (UINT64_C(1) << 15)

/* Landlock 6 (Linux 6.12): nobody outside is reached by an abstract Unix socket, or by a signal. */
#define SCOPES ((UINT64_C(1) << 0) | (UINT64_C(1) << 1))

/* linux/landlock.h of Linux 6.12; an older kernel takes it as long as what it does not know is 0. */
struct ruleset {
    uint64_t handled_access_fs, handled_access_net, scoped;
};

#define FS_OF_1 ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1) /* all up to it */

#define READ_FILE  LANDLOCK_ACCESS_FS_READ_FILE
#define READ       (READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define WRITE_FILE (READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)
#define WRITE                                                                                                \
    (READ | WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                    \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |              \
     LANDLOCK_ACCESS_FS_REFER)

static uint64_t handled_by(int abi)
{
    return FS_OF_1 | (abi >= 2 ? LANDLOCK_ACCESS_FS_REFER : 0) | (abi >= 3 ? FS_TRUNCATE : 0) |
           (abi >= 5 ? FS_IOCTL_DEV : 0);
}

/* One that has gone since is passed over. */
static bool allow(int rules, uint64_t handled, const struct guard_path *p)
{
    struct stat st;
    int fd = open(p->at, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == EACCES; /* what we may not look at we may not use either */
    bool is_folder = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
    uint64_t access =
        p->access == GUARD_READ ? (is_folder ? READ : READ_FILE) : (is_folder ? WRITE : WRITE_FILE);
    struct landlock_path_beneath_attr beneath = {.allowed_access = access & handled, .parent_fd = fd};
    bool ok = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) == 0;
    int saved = errno;
    close(fd);
    errno = saved;
    return ok;
}

enum result guard_landlock(struct guard *g, char *why, size_t why_cap)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (abi <
        2) /* not there, or switched off; the first version lets nothing be moved from folder to folder */
        return OK;
    struct ruleset attr = {.handled_access_fs = handled_by((int)abi), .scoped = abi >= 6 ? SCOPES : 0};
    int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    bool ok = rules >= 0;
    for (size_t i = 0; ok && i < g->path_count; i++) {
        ok = allow(rules, attr.handled_access_fs, &g->paths[i]);
        if (!ok)
            snprintf(why, why_cap, "Landlock: %s: %s", g->paths[i].at, strerror(errno));
    }
    if (ok && syscall(SYS_landlock_restrict_self, rules, 0) == 0)
        g->landlock_abi = (int)abi;
    else if (ok || rules < 0)
        snprintf(why, why_cap, "Landlock: %s", strerror(errno));
    if (rules >= 0)
        close(rules);
    return g->landlock_abi > 0 ? OK : ERR_IO;
}
