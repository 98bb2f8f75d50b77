/* Who the process is. Calls of glibc: they change all threads, should there be more than one. */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guard/inside.h"

enum { NAME_MAX_BYTES = 256, CAPABILITIES_MAX = 64 };

struct identity {
    char user[NAME_MAX_BYTES];
    uid_t uid;
    gid_t gid;
};

bool guard_is_root(void)
{
    return geteuid() == 0;
}

static bool look_up(const char *text, struct identity *out, char *why, size_t why_cap)
{
    const char *colon = strchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : strlen(text);
    snprintf(out->user, sizeof(out->user), "%.*s", (int)(len < NAME_MAX_BYTES ? len : NAME_MAX_BYTES - 1),
             text);
    const struct passwd *user = getpwnam(out->user);
    const struct group *group = colon ? getgrnam(colon + 1) : NULL;
    if (!user || (colon && !group)) {
        snprintf(why, why_cap, "there is no %s %s", user ? "group" : "user", user ? colon + 1 : out->user);
        return false;
    }
    out->uid = user->pw_uid;
    out->gid = group ? group->gr_gid : user->pw_gid;
    return true;
}

/* Of the bounding set: not even a program with capabilities of its own could give us one. */
static void drop_bounds(void)
{
    for (unsigned long c = 0; c < CAPABILITIES_MAX; c++)
        if (prctl(PR_CAPBSET_READ, c, 0, 0, 0) == 1)
            (void)prctl(PR_CAPBSET_DROP, c, 0, 0,
                        0); /* needs CAP_SETPCAP; without it we have little to lose */
}

static bool drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return syscall(SYS_capset, &header, none) == 0;
}

static bool has_nothing_left(const struct identity *who)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct left[_LINUX_CAPABILITY_U32S_3] = {0};
    uid_t uid[3];
    gid_t gid[3];
    if (getresuid(&uid[0], &uid[1], &uid[2]) != 0 || getresgid(&gid[0], &gid[1], &gid[2]) != 0 ||
        syscall(SYS_capget, &header, left) != 0)
        return false;
    for (unsigned i = 0; i < 3; i++)
        if (uid[i] != who->uid || gid[i] != who->gid)
            return false;
    for (unsigned i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
        if (left[i].effective || left[i].permitted || left[i].inheritable)
            return false;
    return setresuid((uid_t)-1, 0, (uid_t)-1) != 0; /* the way back is closed */
}

enum result guard_become(struct guard *g, const char *user, char *why, size_t why_cap)
{
    struct identity who;
    if (!look_up(user, &who, why, why_cap))
        return ERR_IO;
    if (who.uid == 0) {
        snprintf(why, why_cap, "%s is root; name a user without privileges", who.user);
        return ERR_IO;
    }
    bool is_already =
        getuid() == who.uid && geteuid() == who.uid && getgid() == who.gid && getegid() == who.gid;
    if (!is_already && geteuid() != 0) {
        snprintf(why, why_cap, "only root can become %s", user);
        return ERR_IO;
    }
    if (geteuid() == 0)
        drop_bounds();
    if (!is_already && (initgroups(who.user, who.gid) != 0 || setresgid(who.gid, who.gid, who.gid) != 0 ||
                        setresuid(who.uid, who.uid, who.uid) != 0)) {
        snprintf(why, why_cap, "%s: %s", user, strerror(errno));
        return ERR_IO;
    }
    if (!drop_capabilities() || !has_nothing_left(&who)) {
        snprintf(why, why_cap, "privileges do not go away");
        return ERR_IO;
    }
    g->has_become = true;
    return OK;
}
