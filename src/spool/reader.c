#include "spool/reader.h"

static const struct spool_extent *extent_of(const struct spool_reader *r)
{
    return &r->stream->extents[r->extent];
}

static bool is_open(const struct spool_reader *r)
{
    const struct spool_extent *e = extent_of(r);
    return r->fd >= 0 && e->generation == r->generation && e->segment == r->segment;
}

static void read_piece(struct spool_reader *r)
{
    const struct spool_extent *e = extent_of(r);
    uint32_t left = e->bytes - r->at;
    io_read(r->io, &r->op, r->fd, r->to, left < r->room ? left : r->room, e->offset + r->at);
}

static void open_segment(struct spool_reader *r)
{
    const struct spool_extent *e = extent_of(r);
    spool_reader_close(r);
    r->generation = e->generation;
    r->segment = e->segment;
    if (!spool_segment_path(r->spool, e->generation, e->segment, r->path))
        r->on_failed(r, false, "the path of the spool is too long");
    else
        io_open(r->io, &r->op, r->path, IO_OPEN_READ);
}

/* False: the piece that ends here is not what was written. */
static bool take_piece(struct spool_reader *r, uint32_t len)
{
    const struct spool_extent *e = extent_of(r);
    XXH3_64bits_update(r->hash, r->to, len);
    r->at += len;
    if (r->at < e->bytes)
        return true;
    bool is_whole = XXH3_64bits_digest(r->hash) == e->checksum;
    r->at = 0;
    r->extent++;
    XXH3_64bits_reset(r->hash);
    return is_whole;
}

static void on_op(struct io_op *op, enum io_error error, int64_t n)
{
    struct spool_reader *r = op->owner;
    bool was_open = r->fd >= 0;
    if (error == IO_NOT_FOUND) {
        r->on_failed(r, true, "its segment is not there");
    } else if (error != IO_NONE) {
        r->on_failed(r, false, "the queue cannot be read");
    } else if (!was_open) {
        r->fd = (int)n;
        read_piece(r);
    } else if (n == 0) {
        r->on_failed(r, true, "its segment is cut short");
    } else if (!take_piece(r, (uint32_t)n)) {
        r->on_failed(r, true, "its bytes are not those that were written");
    } else {
        r->on_read(r, (uint32_t)n);
    }
}

bool spool_reader_init(struct spool_reader *r)
{
    r->fd = -1;
    r->op = (struct io_op){.on_done = on_op, .owner = r};
    r->hash = XXH3_createState();
    return r->hash;
}

void spool_reader_begin(struct spool_reader *r, const struct spool_stream *stream)
{
    r->stream = stream;
    r->extent = 0;
    r->at = 0;
    XXH3_64bits_reset(r->hash);
}

bool spool_reader_is_at_end(const struct spool_reader *r)
{
    return r->extent == r->stream->count;
}

bool spool_reader_is_busy(const struct spool_reader *r)
{
    return r->op.is_pending;
}

void spool_reader_next(struct spool_reader *r, uint8_t *to, size_t room)
{
    r->to = to;
    r->room = room;
    if (is_open(r))
        read_piece(r);
    else
        open_segment(r);
}

void spool_reader_close(struct spool_reader *r)
{
    io_close(r->fd);
    r->fd = -1;
}

void spool_reader_free(struct spool_reader *r)
{
    spool_reader_close(r);
    XXH3_freeState(r->hash);
    r->hash = NULL;
}
