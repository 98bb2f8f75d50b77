#include "spool/spool_folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "io/disk.h"

enum { VERSION_MAX = 64, NUMBER_DIGITS = 8 };

static const char version_prefix[] = "hilum spool ";

static MUST_USE bool join(char out[SPOOL_PATH_MAX], const char *path, const char *name)
{
    return (size_t)snprintf(out, SPOOL_PATH_MAX, "%s/%s", path, name) < SPOOL_PATH_MAX;
}

static enum result refused(const char *path, char *why, size_t why_cap)
{
    snprintf(why, why_cap, "%s: %s", path, disk_error_text());
    return ERR_IO;
}

/* --- the version ------------------------------------------------------------------------------------------------- */

/* What a folder may hold before it is ours: a new file system's own, and what a crash left while it was made. */
static bool on_stranger(void *owner, const char *name)
{
    bool *is_free = owner;
    *is_free = strcmp(name, "lost+found") == 0 || strcmp(name, "version") == 0;
    return *is_free;
}

/* OK: *text_out is what the file says, "" if it is not there. */
static enum result read_version(const char *file, char text[VERSION_MAX], char *why, size_t why_cap)
{
    int fd;
    size_t n = 0;
    enum io_error error = disk_open(file, DISK_READ, &fd);
    text[0] = '\0';
    if (error == IO_NOT_FOUND)
        return OK;
    if (error == IO_NONE) {
        error = disk_read(fd, text, VERSION_MAX - 1, 0, &n);
        text[n] = '\0';
        disk_close(fd);
    }
    return error == IO_NONE ? OK : refused(file, why, why_cap);
}

static enum result write_version(const char *path, const char *file, char *why, size_t why_cap)
{
    char text[VERSION_MAX];
    bool is_free = true;
    uint64_t done;
    int fd;
    if (disk_list(path, on_stranger, &is_free) != IO_NONE)
        return refused(path, why, why_cap);
    if (!is_free) {
        snprintf(why, why_cap, "%s: it is not empty, and no spool", path);
        return ERR_USAGE;
    }
    int len = snprintf(text, sizeof(text), "%s%d\n", version_prefix, SPOOL_VERSION);
    struct iovec part = {text, (size_t)len};
    if (disk_open(file, DISK_CREATE, &fd) != IO_NONE)
        return refused(file, why, why_cap);
    enum io_error error = disk_write(fd, &part, 1, 0, &done);
    if (error == IO_NONE)
        error = disk_datasync(fd);
    disk_close(fd);
    if (error == IO_NONE)
        error = disk_sync_folder(path);
    return error == IO_NONE ? OK : refused(file, why, why_cap);
}

/* The folder that holds this one, so that its name lasts. */
static enum io_error sync_parent(const char *path)
{
    char parent[SPOOL_PATH_MAX];
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    while (len > 0 && path[len - 1] != '/')
        len--;
    while (len > 1 && path[len - 1] == '/')
        len--;
    snprintf(parent, sizeof(parent), "%.*s", len > 0 ? (int)len : 1, len > 0 ? path : ".");
    return disk_sync_folder(parent);
}

enum result spool_folder_prepare(const char *path, char *why, size_t why_cap)
{
    char file[SPOOL_PATH_MAX], text[VERSION_MAX], ours[VERSION_MAX];
    unsigned version;
    int end = 0;
    if (!join(file, path, "version")) {
        snprintf(why, why_cap, "%.64s...: the path is too long", path);
        return ERR_USAGE;
    }
    enum io_error error = disk_mkdir(path);
    if (error != IO_NONE && error != IO_EXISTS)
        return refused(path, why, why_cap);
    enum result r = read_version(file, text, why, why_cap);
    if (r != OK)
        return r;
    snprintf(ours, sizeof(ours), "%s%d\n", version_prefix, SPOOL_VERSION);
    if (strcmp(text, ours) == 0)
        return OK;
    if (strncmp(ours, text, strlen(text)) == 0) { /* not there, or not whole */
        if (sync_parent(path) != IO_NONE)
            return refused(path, why, why_cap);
        return write_version(path, file, why, why_cap);
    }
    if (strncmp(text, version_prefix, sizeof(version_prefix) - 1) == 0 &&
        sscanf(text + sizeof(version_prefix) - 1, "%9u%n", &version, &end) == 1 && version > SPOOL_VERSION)
        snprintf(why, why_cap, "%s: of a newer Hilum: version %u, and this one knows %d", path, version,
                 SPOOL_VERSION);
    else
        snprintf(why, why_cap, "%s: it does not say that this is a spool", file);
    return ERR_USAGE;
}

/* --- numbers ------------------------------------------------------------------------------------------------------- */

struct gathering {
    struct numbers *out;
    const char *suffix;
    bool failed;
};

static bool on_name(void *owner, const char *name)
{
    struct gathering *g = owner;
    uint32_t number = 0;
    if (strlen(name) != NUMBER_DIGITS + strlen(g->suffix) || strcmp(name + NUMBER_DIGITS, g->suffix) != 0)
        return true;
    for (const char *c = name; c < name + NUMBER_DIGITS; c++) {
        if (*c < '0' || *c > '9')
            return true;
        number = number * 10 + (uint32_t)(*c - '0');
    }
    struct numbers *n = g->out;
    if ((n->count & (n->count - 1)) == 0) { /* a power of two is full */
        uint32_t *of = realloc(n->of, (n->count ? n->count * 2 : 1) * sizeof(*of));
        g->failed = of == NULL;
        if (!of)
            return false;
        n->of = of;
    }
    n->of[n->count++] = number;
    return true;
}

static int compare_numbers(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static enum result gather(const char *folder, const char *suffix, struct numbers *out)
{
    struct gathering g = {.out = out, .suffix = suffix};
    *out = (struct numbers){0};
    enum io_error error = disk_list(folder, on_name, &g);
    if (error != IO_NONE || g.failed) {
        free(out->of);
        *out = (struct numbers){0};
        return g.failed ? ERR_MEMORY : ERR_IO;
    }
    if (out->count > 0)
        qsort(out->of, out->count, sizeof(*out->of), compare_numbers);
    return OK;
}

enum result spool_folder_generations(const char *path, struct numbers *out)
{
    return gather(path, "", out);
}

enum result spool_folder_segments(const char *path, uint32_t generation, struct numbers *out)
{
    char folder[SPOOL_PATH_MAX];
    *out = (struct numbers){0};
    return log_folder_path(path, generation, folder) ? gather(folder, ".log", out) : ERR_USAGE;
}

/* False: it is not there. */
static bool look_at_segment(const char *path, uint32_t generation, uint32_t segment, struct stat *out)
{
    char folder[SPOOL_PATH_MAX], file[SPOOL_PATH_MAX];
    return log_folder_path(path, generation, folder) && log_segment_path(folder, segment, file) &&
           stat(file, out) == 0;
}

uint64_t spool_folder_segment_bytes(const char *path, uint32_t generation, uint32_t segment)
{
    struct stat is;
    if (!look_at_segment(path, generation, segment, &is))
        return 0;
    uint64_t size = (uint64_t)is.st_size, allocated = (uint64_t)is.st_blocks * 512;
    return allocated < size ? allocated : size;
}

uint64_t spool_folder_segment_size(const char *path, uint32_t generation, uint32_t segment)
{
    struct stat is;
    return look_at_segment(path, generation, segment, &is) ? (uint64_t)is.st_size : 0;
}

uint64_t spool_folder_bytes(const char *path, uint32_t but)
{
    struct numbers generations, segments;
    uint64_t bytes = 0;
    if (spool_folder_generations(path, &generations) != OK)
        return 0;
    for (size_t n = 0; n < generations.count; n++) {
        if (generations.of[n] == but || spool_folder_segments(path, generations.of[n], &segments) != OK)
            continue;
        for (size_t k = 0; k < segments.count; k++)
            bytes += spool_folder_segment_bytes(path, generations.of[n], segments.of[k]);
        free(segments.of);
    }
    free(generations.of);
    return bytes;
}

/* --- generations ------------------------------------------------------------------------------------------------------ */

/* Whoever held it before may have deleted it between our opening and our locking. */
static bool is_still_there(const char *file, int fd)
{
    struct stat named, open;
    return stat(file, &named) == 0 && fstat(fd, &open) == 0 && named.st_dev == open.st_dev &&
           named.st_ino == open.st_ino;
}

enum result spool_folder_hold(const char *path, uint32_t number, struct generation *out)
{
    char folder[SPOOL_PATH_MAX], file[SPOOL_PATH_MAX];
    bool is_ours = false;
    *out = (struct generation){.number = number, .lock = -1};
    if (!log_folder_path(path, number, folder) || !join(file, folder, "lock"))
        return ERR_USAGE;
    enum io_error error = disk_open(file, DISK_CREATE, &out->lock);
    if (error == IO_NOT_FOUND)
        return NEED_MORE;
    if (error == IO_NONE)
        error = disk_lock(out->lock, &is_ours);
    if (error == IO_NONE && is_ours && is_still_there(file, out->lock))
        return OK;
    disk_close(out->lock);
    out->lock = -1;
    return error == IO_NONE ? NEED_MORE : ERR_IO;
}

void spool_folder_release(struct generation *g)
{
    disk_close(g->lock);
    g->lock = -1;
}

enum result spool_folder_new_generation(const char *path, uint32_t newest, struct generation *out, char *why,
                                        size_t why_cap)
{
    struct numbers all;
    char folder[SPOOL_PATH_MAX];
    if (spool_folder_generations(path, &all) != OK)
        return refused(path, why, why_cap);
    if (all.count > 0 && all.of[all.count - 1] > newest)
        newest = all.of[all.count - 1];
    free(all.of);
    /* Another process may take a number, or adopt a folder that we have only just made: then it is the next one. */
    enum result r = NEED_MORE;
    while (r == NEED_MORE) {
        if (!log_folder_path(path, ++newest, folder)) {
            snprintf(why, why_cap, "%.64s...: the path is too long", path);
            return ERR_USAGE;
        }
        enum io_error error = disk_mkdir(folder);
        if (error != IO_NONE && error != IO_EXISTS)
            return refused(folder, why, why_cap);
        r = error == IO_NONE ? spool_folder_hold(path, newest, out) : NEED_MORE;
    }
    if (r == OK && (disk_sync_folder(folder) != IO_NONE || disk_sync_folder(path) != IO_NONE)) {
        spool_folder_release(out);
        r = ERR_IO;
    }
    return r == OK ? r : refused(folder, why, why_cap);
}

bool spool_folder_remove_if_empty(const char *path, struct generation *g)
{
    struct numbers segments;
    char folder[SPOOL_PATH_MAX], file[SPOOL_PATH_MAX];
    if (spool_folder_segments(path, g->number, &segments) != OK)
        return false;
    free(segments.of);
    if (segments.count > 0 || !log_folder_path(path, g->number, folder) || !join(file, folder, "lock"))
        return false;
    /* Whoever waits for the lock sees that its file has gone. */
    if (disk_unlink(file) != IO_NONE)
        return false;
    (void)!disk_rmdir(folder);
    spool_folder_release(g);
    return true;
}
