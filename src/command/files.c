#include "command/files.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "dicom/part10.h"
#include "dicom/uid.h"

/* Nearly every file's meta information ends within the first; no file's is read further than the last. */
enum { HEAD_FIRST_BYTES = 4096, HEAD_MAX_BYTES = PART10_META_MAX_BYTES + 4096 };

static enum result reserve(struct files *f)
{
    if (!f->head && !(f->head = malloc(HEAD_MAX_BYTES)))
        return ERR_MEMORY;
    if (f->count < f->cap)
        return OK;
    size_t cap = f->cap * 2 + 64;
    struct file *list = realloc(f->list, cap * sizeof(*list));
    if (!list)
        return ERR_MEMORY;
    f->list = list;
    f->cap = cap;
    return OK;
}

/* Reads on from len to wanted or the end of the file; the new length, or -1. */
static ssize_t read_head(int fd, uint8_t *head, size_t len, size_t wanted)
{
    while (len < wanted) {
        ssize_t n = pread(fd, head + len, wanted - len, (off_t)len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

/* OK; ERR_PROTO: no DICOM file; ERR_IO: errno says why. */
static enum result read_meta(struct files *f, int fd, struct part10_meta *meta, const char **why)
{
    size_t wanted = HEAD_FIRST_BYTES;
    ssize_t len = 0;
    for (;;) {
        len = read_head(fd, f->head, (size_t)len, wanted);
        if (len < 0)
            return ERR_IO;
        enum result r = part10_read(f->head, (size_t)len, meta, why);
        if (r != NEED_MORE)
            return r;
        if ((size_t)len < wanted || wanted == HEAD_MAX_BYTES)
            break;
        wanted = HEAD_MAX_BYTES;
    }
    *why = "the file ends before its data set begins";
    return ERR_PROTO;
}

/* A file of the plan, or *why not. */
static enum result add(struct files *f, const char *path, const struct part10_meta *meta, uint64_t size,
                       const char **why)
{
    struct file file = {.offset = meta->data_set_offset, .bytes = size - meta->data_set_offset};
    if (meta->sop_class.len == 0 || meta->sop_instance.len == 0) {
        *why = "its meta information lacks the SOP Class or Instance UID";
        return ERR_PROTO;
    }
    if (!dicom_uid_is_storage(meta->sop_class)) {
        *why = "no instance that can be stored, such as a DICOMDIR";
        return ERR_PROTO;
    }
    if (!text_copy(file.instance, sizeof(file.instance), (const char *)meta->sop_instance.at,
                   meta->sop_instance.len)) {
        *why = "its SOP Instance UID is longer than 64 characters";
        return ERR_PROTO;
    }
    enum result r = plan_add(&f->plan, meta->sop_class, meta->transfer_syntax, &file.context);
    if (r == ERR_USAGE)
        *why = "its SOP Class or Transfer Syntax UID is longer than 64 characters";
    if (r != OK)
        return r == ERR_USAGE ? ERR_PROTO : r;
    file.path = strdup(path);
    if (!file.path)
        return ERR_MEMORY;
    f->list[f->count++] = file;
    f->bytes += file.bytes;
    return OK;
}

static enum result take_file(struct files *f, const char *path, bool is_named)
{
    struct part10_meta meta;
    struct stat status;
    const char *why = NULL;
    enum result r = reserve(f);
    if (r != OK)
        return r;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &status) != 0)
        r = ERR_IO;
    else if (!S_ISREG(status.st_mode)) {
        why = "no regular file";
        r = ERR_PROTO;
    } else
        r = read_meta(f, fd, &meta, &why);
    if (r == OK)
        r = add(f, path, &meta, (uint64_t)status.st_size, &why);
    if (r == ERR_IO)
        f->user->on_fault(f->owner, path, FILE_UNREADABLE, strerrordesc_np(errno), is_named);
    if (r == ERR_PROTO)
        f->user->on_fault(f->owner, path, FILE_NOT_DICOM, why, is_named);
    if (fd >= 0)
        close(fd);
    if (r == ERR_MEMORY)
        return r;
    return f->user->on_step(f->owner) ? ERR_CLOSED : OK;
}

static int by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static enum result take_entry(struct files *f, const FTSENT *e)
{
    switch (e->fts_info) {
    case FTS_F:
        return take_file(f, e->fts_path, e->fts_level == FTS_ROOTLEVEL);
    case FTS_DEFAULT: /* a socket, a device: passed over, but for one that was named */
        return e->fts_level == FTS_ROOTLEVEL ? take_file(f, e->fts_path, true) : OK;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
    case FTS_SLNONE:
        f->user->on_fault(f->owner, e->fts_path, FILE_UNREADABLE,
                          strerrordesc_np(e->fts_errno ? e->fts_errno : ENOENT),
                          e->fts_level == FTS_ROOTLEVEL);
        return OK;
    default: /* a folder on the way in or out; a link back up, which would go round for ever */
        return OK;
    }
}

enum result files_take(struct files *f, const char *path)
{
    char *roots[] = {strdup(path), NULL};
    FTS *walk = roots[0] ? fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_name) : NULL;
    enum result r = walk ? OK : ERR_MEMORY;
    FTSENT *e;
    while (r == OK && (e = fts_read(walk)))
        r = take_entry(f, e);
    if (walk)
        fts_close(walk);
    free(roots[0]);
    return r;
}

void files_free(struct files *f)
{
    for (size_t i = 0; i < f->count; i++)
        free(f->list[i].path);
    free(f->list);
    free(f->head);
    plan_free(&f->plan);
    f->list = NULL;
    f->head = NULL;
    f->count = f->cap = 0;
}
