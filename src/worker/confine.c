#include "worker/confine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "config/pattern.h"
#include "io/disk.h"
#include "spool/spool.h"

/* What libraries read at any time: names and certificates, time zones, modules of libc (nss, iconv). Most are read anew when they change, by
 * their names, so that whole folders are allowed. Then what is asked of the system (worker/bounds.c, script/take.c). */
static const char *const system_paths[] = {"/etc",
                                           "/usr",
                                           "/lib",
                                           "/lib64",
                                           "/dev/urandom",
                                           "/run/systemd/resolve",
                                           "/proc/self",
                                           "/proc/meminfo",
                                           "/proc/sys",
                                           "/sys/fs/cgroup",
                                           "/sys/devices/system/cpu"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The folder that a folder node's files are in: the part of its pattern that is the same for all. False: too long. */
static bool root_of(const struct config_node *node, char out[PATTERN_PATH_MAX])
{
    size_t len = strcspn(node->folder, "{");
    while (len > 0 && node->folder[len - 1] != '/')
        len--;
    if (len >= PATTERN_PATH_MAX)
        return false;
    if (len > 1)
        len--;
    memcpy(out, len > 0 ? node->folder : ".", len > 0 ? len : 1);
    out[len > 0 ? len : 1] = '\0';
    return true;
}

/* With all above it. What cannot be made is missed by who needs it, and told then. */
static void make_folders(const char *path)
{
    char part[PATTERN_PATH_MAX];
    for (const char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
        size_t len = slash ? (size_t)(slash - path) : strlen(path);
        if (len >= sizeof(part))
            return;
        memcpy(part, path, len);
        part[len] = '\0';
        enum io_error error = disk_mkdir(part);
        if (!slash || (error != IO_NONE && error != IO_EXISTS))
            return;
    }
}

static void allow_tls(struct guard *g, const struct config_tls *t)
{
    const char *const places[] = {t ? t->ca : NULL, t ? t->crl : NULL};
    for (size_t i = 0; t && i < TLS_PAIRS && t->certificate[i]; i++) {
        guard_allow_beside(g, t->certificate[i],
                           GUARD_READ); /* renewed, it is another file of the same name */
        guard_allow_beside(g, t->key[i], GUARD_READ);
    }
    for (size_t i = 0; i < COUNT(places); i++) {
        if (!places[i])
            continue;
        guard_allow(g, places[i], GUARD_READ);
        guard_allow_beside(g, places[i], GUARD_READ);
    }
}

static void allow_configuration(struct guard *g, const struct config *c)
{
    char rules[PATTERN_PATH_MAX];
    const char *slash = c->file ? strrchr(c->file, '/') : NULL;
    if (c->file)
        guard_allow_beside(g, c->file, GUARD_READ);
    snprintf(rules, sizeof(rules), "%.*srules", slash ? (int)(slash - c->file) + 1 : 0,
             c->file ? c->file : "");
    guard_allow(g, rules, GUARD_READ);
    guard_allow(g, HILUM_RULES_DIR, GUARD_READ);
    for (size_t i = 0; i < c->source_count; i++)
        guard_allow_beside(g, c->sources[i].path, GUARD_READ);
    for (size_t i = 0; i < c->listen_count; i++)
        allow_tls(g, c->listens[i].tls);
    for (size_t i = 0; i < c->node_count; i++)
        allow_tls(g, c->nodes[i].tls);
}

static void allow_data(struct guard *g, const struct config *c)
{
    char path[PATTERN_PATH_MAX], control[CONFIG_CONTROL_BYTES], why[256];
    const char *why_not;
    if (!c->spool.is_off &&
        spool_prepare(c->spool.path, why, sizeof(why)) == OK) /* else its opening says why */
        guard_allow(g, c->spool.path, GUARD_WRITE);
    if (config_control_path(c, control, &why_not))
        guard_allow_beside(g, control, GUARD_WRITE);
    for (size_t i = 0; i < c->node_count; i++) {
        if (!c->nodes[i].is_folder || !root_of(&c->nodes[i], path))
            continue;
        make_folders(path);
        guard_allow_mounts(g, path, GUARD_WRITE); /* a share that went away and came back */
    }
}

static bool holds_keys(const struct config *c)
{
    bool does = c->uid_key != NULL;
    for (size_t i = 0; i < c->listen_count; i++)
        does = does || c->listens[i].tls;
    for (size_t i = 0; i < c->node_count; i++)
        does = does || (c->nodes[i].tls && c->nodes[i].tls->key[0]);
    return does;
}

static enum result fail(enum result r, struct guard **g, const char *why)
{
    LOG(LOG_ERROR, "cannot be confined", LOG_STR("cause", why));
    guard_free(g);
    return r;
}

enum result confine(const struct config *c, struct guard **out)
{
    char why[512] = "out of memory", abi[16] = "none";
    struct guard *g = guard_new();
    if (!g)
        return fail(ERR_MEMORY, &g, why);
    if (c->user) {
        enum result r = guard_become(g, c->user, why, sizeof(why));
        if (r != OK)
            return fail(r, &g, why);
    } else if (guard_is_root()) {
        LOG(LOG_WARN, "running as root; gateway { user = \"hilum\" } gives that up once its ports are open");
    }
    for (size_t i = 0; i < COUNT(system_paths); i++)
        guard_allow(g, system_paths[i], GUARD_READ);
    guard_allow(g, "/dev/null", GUARD_WRITE);
    guard_allow_beside(g, "/etc/resolv.conf", GUARD_READ); /* often a link to somewhere else */
    allow_configuration(g, c);
    allow_data(g, c);
    struct guard_options options = {
        .seccomp = c->seccomp, .landlock = c->landlock, .holds_keys = holds_keys(c)};
    enum result r = guard_confine(g, &options, why, sizeof(why));
    if (r != OK)
        return fail(r, &g, why);
    if (guard_landlock_abi(g) > 0)
        snprintf(abi, sizeof(abi), "%d", guard_landlock_abi(g));
    LOG(LOG_INFO, "confined", LOG_STR("user", c->user ? c->user : ""),
        LOG_STR("seccomp", guard_seccomp_name(g)), LOG_STR("landlock", abi));
    *out = g;
    return OK;
}

static bool is_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

bool confine_fits(const struct guard *g, const struct config *before, const struct config *now)
{
    char path[PATTERN_PATH_MAX];
    bool fits = true;
    if (!is_same(before->user, now->user) || before->seccomp != now->seccomp ||
        before->landlock != now->landlock)
        LOG(LOG_WARN, "user, seccomp and landlock change only with a restart");
    for (size_t i = 0; i < now->node_count; i++) {
        const struct config_node *node = &now->nodes[i];
        if (!node->is_folder || !root_of(node, path) || guard_allows(g, path, GUARD_WRITE))
            continue;
        LOG(LOG_ERROR, "needs a restart: confinement does not allow a folder that was not there before",
            LOG_STR("node", node->name), LOG_STR("path", path));
        fits = false;
    }
    return fits;
}
