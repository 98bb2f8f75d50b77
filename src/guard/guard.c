/* What is allowed, and putting it in force. */
#include "guard/guard.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "guard/inside.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(HILUM_UNCONFINED)
#define IS_CONFINABLE false
#elif defined(__has_feature)
#define IS_CONFINABLE (!__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer))
#else
#define IS_CONFINABLE true
#endif

struct guard *guard_new(void)
{
    return calloc(1, sizeof(struct guard));
}

void guard_free(struct guard **gp)
{
    struct guard *g = *gp;
    *gp = NULL;
    if (!g)
        return;
    for (size_t i = 0; i < g->path_count; i++)
        free(g->paths[i].at);
    free(g->paths);
    free(g);
}

/* --- paths --------------------------------------------------------------------------------------------------------- */

/* `at` is taken over; NULL is let be. */
static void add(struct guard *g, char *at, enum guard_access access)
{
    if (!at)
        return;
    for (size_t i = 0; i < g->path_count; i++) {
        if (g->paths[i].access == access && strcmp(g->paths[i].at, at) == 0) {
            free(at);
            return;
        }
    }
    struct guard_path *more = realloc(g->paths, (g->path_count + 1) * sizeof(*more));
    if (!more) {
        g->has_failed = true;
        free(at);
        return;
    }
    g->paths = more;
    g->paths[g->path_count++] = (struct guard_path){at, access};
}

/* The folder that holds it: cut off in place. False: it is "/", or in it. */
static bool cut_last(char *path)
{
    char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return false;
    *slash = '\0';
    return true;
}

/* Landlock knows the folder that was there at the start: what is mounted over it later would be another. But it asks the folders above, too. */
static void add_above_mount(struct guard *g, const char *at, enum guard_access access)
{
    struct stat here, above;
    char *parent = strdup(at);
    if (!parent)
        g->has_failed = true;
    else if (cut_last(parent) && stat(at, &here) == 0 && S_ISDIR(here.st_mode) && stat(parent, &above) == 0 &&
             here.st_dev != above.st_dev)
        add(g, strdup(parent), access);
    free(parent);
}

static void allow(struct guard *g, const char *path, enum guard_access access, bool is_mounted_anew)
{
    char *at = realpath(path, NULL);
    if (!at) {
        g->has_failed = g->has_failed || errno == ENOMEM;
        return;
    }
    if (is_mounted_anew)
        add_above_mount(g, at, access);
    add(g, at, access);
}

/* To read a little more does less harm than a certificate that cannot be renewed. */
void guard_allow(struct guard *g, const char *path, enum guard_access access)
{
    allow(g, path, access, access == GUARD_READ);
}

void guard_allow_mounts(struct guard *g, const char *path, enum guard_access access)
{
    allow(g, path, access, true);
}

void guard_allow_beside(struct guard *g, const char *path, enum guard_access access)
{
    char *folder = strdup(path), *at = realpath(path, NULL);
    if (!folder) {
        g->has_failed = true;
        free(at);
        return;
    }
    if (!strchr(folder, '/'))
        guard_allow(g, ".", access);
    else
        guard_allow(g, cut_last(folder) ? folder : path, access);
    if (at && cut_last(at))
        guard_allow(g, at, access);
    free(folder);
    free(at);
}

/* Of what is there of it. */
static char *real_part(const char *path)
{
    char *part = path[0] == '/' ? strdup(path) : NULL, *at;
    if (!part && asprintf(&part, "./%s", path) < 0)
        return NULL;
    while (!(at = realpath(part, NULL)) && errno == ENOENT && cut_last(part))
        ;
    free(part);
    return at ? at : strdup("/");
}

static bool is_in(const char *path, const char *folder)
{
    size_t len = strlen(folder);
    return strcmp(folder, "/") == 0 ||
           (strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == '\0'));
}

bool guard_allows(const struct guard *g, const char *path, enum guard_access access)
{
    if (!g || g->landlock_abi == 0)
        return true;
    char *at = real_part(path);
    bool is_allowed = false;
    for (size_t i = 0; at && i < g->path_count; i++)
        is_allowed = is_allowed || (g->paths[i].access >= access && is_in(at, g->paths[i].at));
    free(at);
    return is_allowed;
}

/* --- in force ------------------------------------------------------------------------------------------------------ */

int guard_landlock_abi(const struct guard *g)
{
    return g->landlock_abi;
}

bool guard_has_become(const struct guard *g)
{
    return g && g->has_become;
}

const char *guard_seccomp_name(const struct guard *g)
{
    static const char *const names[] = {
        [GUARD_SECCOMP_OFF] = "off", [GUARD_SECCOMP_LOG] = "log", [GUARD_SECCOMP_ENFORCE] = "enforce"};
    return names[g->seccomp];
}

enum result guard_seal(const struct guard *g, char *why, size_t why_cap)
{
    return g->seccomp == GUARD_SECCOMP_OFF ? OK : guard_seccomp_seal(g->seccomp, why, why_cap);
}

enum result guard_confine(struct guard *g, const struct guard_options *o, char *why, size_t why_cap)
{
    enum result r = OK;
    if (g->has_failed) {
        snprintf(why, why_cap, "out of memory");
        return ERR_MEMORY;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        (o->holds_keys && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)) {
        snprintf(why, why_cap, "prctl: %s", strerror(errno));
        return ERR_IO;
    }
    if (o->landlock && IS_CONFINABLE)
        r = guard_landlock(g, why, why_cap);
    if (r == OK && o->seccomp != GUARD_SECCOMP_OFF && IS_CONFINABLE) {
        r = guard_seccomp(o->seccomp, why, why_cap);
        if (r == OK)
            g->seccomp = o->seccomp;
    }
    return r;
}
