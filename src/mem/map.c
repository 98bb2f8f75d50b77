/* Files as buffers. What a slice of one says is read from the file when somebody looks, and so may go from memory again. */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

#include "mem/buf.h"

/* Linux 5.14; an older kernel refuses it, and then nothing is looked at. */
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

struct mapping {
    void *at;
    size_t len;
};

static struct buf *wrap(struct pool *p, int fd, uint64_t offset, size_t len, int protection, uint8_t **at_out)
{
    struct buf *b = buf_scratch(p, sizeof(struct mapping));
    if (!b)
        return NULL;
    struct mapping m = {mmap(NULL, len, protection, MAP_SHARED, fd, (off_t)offset), len};
    if (m.at == MAP_FAILED) {
        buf_unref(&b);
        return NULL;
    }
    memcpy(b->data, &m, sizeof(m));
    b->is_mapped = true;
    *at_out = m.at;
    return b;
}

/* Only here a disk that cannot read them can say so. A system that does not know the question refuses it for no bytes as well. */
static bool can_be_read(void *at, size_t len)
{
    return madvise(at, len, MADV_POPULATE_READ) == 0 || madvise(at, 0, MADV_POPULATE_READ) != 0;
}

struct buf *buf_map(struct pool *p, int fd, uint64_t offset, size_t len, uint8_t **at_out)
{
    struct buf *b = wrap(p, fd, offset, len, PROT_READ, at_out);
    if (b && !can_be_read(*at_out, len))
        buf_unref(&b);
    return b;
}

struct buf *buf_map_room(struct pool *p, int fd, uint64_t offset, size_t len, uint8_t **at_out)
{
    if (posix_fallocate(fd, (off_t)offset, (off_t)len) != 0)
        return NULL;
    return wrap(p, fd, offset, len, PROT_READ | PROT_WRITE, at_out);
}

void buf_unmap(struct buf *b)
{
    struct mapping m;
    memcpy(&m, b->data, sizeof(m));
    munmap(m.at, m.len);
    b->is_mapped = false;
}
