#include "relay/gathered.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "io/io.h"

enum {
    SMALL_BYTES = 1024,
    GIVE_BYTES = 1 << 20,  /* pieces of a file */
    ROOM_BYTES = 16 << 20, /* taken at a time */
    PAGE_BYTES = 64 << 10  /* the largest page of any machine */
};

struct gathered {
    struct gathered_options options;
    struct slices bytes;  /* behind what is in the file */
    struct slices pinned; /* what is in the file as well */
    size_t to_pin;
    struct buf *small;
    bool is_relieved, is_closed, is_dropped;
    enum result state;
    const char *why;

    uint64_t memory_max, max;
    int fd; /* -1: there is no file */
    uint64_t in_file, wanted;
    uint64_t taken;        /* room of the spool, for what comes */
    uint64_t pieces_taken; /* and for pieces of our own */
    uint64_t room_at;      /* where the next of them goes, behind all that may come */
    uint64_t since_ms;
    struct io_op op;
    char folder[SPOOL_PATH_MAX];
    struct buf *map; /* of the first map_len bytes */
    uint8_t *map_at;
    uint64_t map_len;
};

static void on_op(struct io_op *op, enum io_error error, int64_t n);

struct gathered *gathered_new(const struct gathered_options *options)
{
    const struct config *c = options->config;
    struct gathered *g = calloc(1, sizeof(*g));
    if (!g)
        return NULL;
    g->options = *options;
    g->fd = -1;
    g->memory_max = c->header_max;
    bool has_spool = options->spool || (options->is_explained && !c->spool.is_off);
    g->max = has_spool && c->header_spool_max > c->header_max ? c->header_spool_max : c->header_max;
    g->op = (struct io_op){.on_done = on_op, .owner = g};
    return g;
}

static void clear(struct gathered *g)
{
    buf_unref(&g->small);
    slices_clear(&g->bytes);
    slices_clear(&g->pinned);
    buf_unref(&g->map);
    g->map_len = 0;
}

void gathered_free(struct gathered **gp)
{
    struct gathered *g = *gp;
    *gp = NULL;
    if (!g)
        return;
    hilum_assert(!g->op.is_pending);
    clear(g);
    io_close(g->fd);
    if (g->taken + g->pieces_taken > 0)
        spool_give_room(g->options.spool, g->taken + g->pieces_taken);
    free(g);
}

static void fail(struct gathered *g, enum result r, const char *why)
{
    g->state = r;
    g->why = why;
}

static bool may_spill(const struct gathered *g)
{
    return g->options.spool && g->max > g->options.config->header_max;
}

/* --- the file -------------------------------------------------------------------------------------------------- */

/* For all that is here, and some more where there is some. */
static bool take_room(struct gathered *g)
{
    uint64_t all = g->in_file + g->bytes.bytes, need = all > g->taken ? all - g->taken : 0;
    if (need == 0)
        return true;
    if (spool_take_room(g->options.spool, need + ROOM_BYTES)) {
        g->taken += need + ROOM_BYTES;
        return true;
    }
    if (spool_take_room(g->options.spool, need)) {
        g->taken += need;
        return true;
    }
    fail(g, ERR_LIMIT, "queue: full");
    return false;
}

static void open_file(struct gathered *g)
{
    if (!spool_unnamed_folder(g->options.spool, g->folder)) {
        fail(g, ERR_IO, "queue: cannot be written");
        return;
    }
    io_open(g->options.io, &g->op, g->folder, IO_OPEN_UNNAMED);
}

static bool has_more_to_write(const struct gathered *g)
{
    uint64_t all = g->in_file + g->bytes.bytes;
    if (g->is_dropped || g->state != OK || g->bytes.bytes == 0)
        return false;
    if (g->fd >= 0 && g->in_file < (g->wanted < all ? g->wanted : all))
        return true; /* of what has come meanwhile no more goes with it than a write takes */
    bool is_too_much = g->fd >= 0 || g->is_relieved || g->bytes.bytes > g->memory_max;
    bool is_enough = g->is_relieved || g->bytes.bytes >= GATHERED_WRITE_BYTES;
    return !g->is_closed && is_too_much && is_enough && all <= g->max;
}

void gathered_proceed(struct gathered *g)
{
    if (g->op.is_pending || !may_spill(g) || !has_more_to_write(g))
        return;
    g->since_ms = io_now(g->options.io);
    if (g->fd < 0)
        open_file(g);
    else if (take_room(g))
        io_write(g->options.io, &g->op, g->fd, &g->bytes, g->in_file);
}

static void refused(struct gathered *g, enum io_error error)
{
    LOG(LOG_ERROR, "what is gathered cannot be written", LOG_STR("folder", g->folder),
        LOG_STR("cause", io_op_error_text(&g->op)));
    fail(g, error == IO_NO_SPACE ? ERR_LIMIT : ERR_IO,
         error == IO_NO_SPACE ? "queue: full" : "queue: cannot be written");
}

/* What is to stay in memory does, as far as there is memory for the list of it. */
static void written(struct gathered *g, size_t n)
{
    size_t pin = g->to_pin < n ? g->to_pin : n;
    g->in_file += n;
    g->to_pin -= pin;
    if (!slices_move(&g->pinned, &g->bytes, pin))
        slices_consume(&g->bytes, pin);
    slices_consume(&g->bytes, n - pin);
}

static void on_op(struct io_op *op, enum io_error error, int64_t n)
{
    struct gathered *g = op->owner;
    bool was_open = g->fd < 0;
    if (error != IO_NONE || (!was_open && n == 0)) {
        refused(g, error);
    } else if (was_open) {
        g->fd = (int)n;
    } else {
        written(g, (size_t)n);
    }
    if (g->is_dropped || g->state != OK)
        clear(g);
    gathered_proceed(g);
    g->options.on_moved(g->options.owner);
}

/* --- what comes -------------------------------------------------------------------------------------------------- */

/* Behind the small piece before. False: there is no buffer. */
static bool push_small(struct gathered *g, const uint8_t *at, uint32_t len)
{
    if (!g->small || g->small->size - g->small->used < len) {
        buf_unref(&g->small);
        g->small = buf_new(g->options.pool);
        if (!g->small)
            return false;
        buf_charge(g->small, g->options.budget);
    }
    uint8_t *to = g->small->data + g->small->used;
    memcpy(to, at, len);
    g->small->used += len;
    return slices_push(&g->bytes, g->small, to, len);
}

enum result gathered_push(struct gathered *g, struct buf *b, uint8_t *at, uint32_t len)
{
    if (g->is_closed || g->state != OK)
        return g->state;
    bool is_copied = g->options.budget && len < SMALL_BYTES && push_small(g, at, len);
    if (!is_copied && !slices_push(&g->bytes, b, at, len))
        fail(g, ERR_MEMORY, "out of memory");
    return g->state;
}

void gathered_relieve(struct gathered *g)
{
    g->is_relieved = true;
    gathered_proceed(g);
}

void gathered_want(struct gathered *g, uint64_t len)
{
    g->wanted = len;
    gathered_proceed(g);
}

void gathered_pin(struct gathered *g, size_t bytes)
{
    g->to_pin = bytes;
}

void gathered_close(struct gathered *g)
{
    g->is_closed = true;
}

void gathered_drop(struct gathered *g)
{
    g->is_closed = g->is_dropped = true;
    if (!g->op.is_pending)
        clear(g);
}

/* --- what it is ---------------------------------------------------------------------------------------------------- */

uint64_t gathered_bytes(const struct gathered *g)
{
    return g->in_file + g->bytes.bytes;
}

size_t gathered_in_memory(const struct gathered *g)
{
    return g->bytes.bytes + g->pinned.bytes;
}

bool gathered_is_in_memory(const struct gathered *g)
{
    return g->fd < 0 && !g->op.is_pending;
}

uint64_t gathered_max(const struct gathered *g)
{
    return g->max;
}

bool gathered_is_idle(const struct gathered *g)
{
    return !g->op.is_pending;
}

bool gathered_is_settled(const struct gathered *g)
{
    return !g->op.is_pending && (g->fd < 0 || g->in_file >= g->wanted || g->state != OK);
}

uint64_t gathered_writing_since(const struct gathered *g)
{
    return g->op.is_pending ? g->since_ms : 0;
}

enum result gathered_state(const struct gathered *g, const char **why_out)
{
    *why_out = g->why;
    return g->state;
}

/* --- what it holds --------------------------------------------------------------------------------------------------- */

/* What is in the file now; more may have been written since it was looked at last. */
static bool look_at_file(struct gathered *g)
{
    if (g->map_len == g->in_file)
        return true;
    buf_unref(&g->map);
    g->map = buf_map(g->options.pool, g->fd, 0, g->in_file, &g->map_at);
    g->map_len = g->map ? g->in_file : 0;
    if (!g->map)
        fail(g, ERR_IO, "queue: cannot be read");
    return g->map;
}

bool gathered_view(struct gathered *g, uint64_t len, struct view *out)
{
    if (g->in_file < len || len == 0 || (g->map_len < len && !look_at_file(g)))
        return false;
    *out = (struct view){g->map_at, len};
    return true;
}

void gathered_copy_out(const struct gathered *g, void *to, size_t len)
{
    hilum_assert(g->in_file == 0);
    if (len > 0)
        slices_copy_out(&g->bytes, 0, to, len);
}

bool gathered_each(struct gathered *g, void (*give)(void *owner, struct buf *b, uint8_t *at, uint32_t len),
                   void *owner)
{
    if (g->state != OK || !look_at_file(g))
        return false;
    struct buf *map = g->map ? buf_ref(g->map) : NULL; /* whoever is given it may let go of the rest */
    uint64_t map_len = g->map_len, left;
    for (uint64_t at = 0; at < map_len; at += left) {
        left = map_len - at < GIVE_BYTES ? map_len - at : GIVE_BYTES;
        give(owner, map, g->map_at + at, (uint32_t)left);
    }
    buf_unref(&map);
    for (uint32_t i = 0; i < g->bytes.count; i++) {
        const struct slice *s = slices_at(&g->bytes, i);
        give(owner, s->buf, s->at, s->len);
    }
    return true;
}

/* --- of our own making ------------------------------------------------------------------------------------------------ */

static uint64_t whole_pages(uint64_t bytes)
{
    return (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

enum result gathered_room(struct gathered *g, struct pool *pool, size_t len, struct gathered_piece *out)
{
    *out = (struct gathered_piece){.len = len};
    if (g->fd < 0 || len < GATHERED_WRITE_BYTES) {
        out->buf = buf_scratch(pool, len > 0 ? len : 1);
        if (!out->buf)
            return ERR_MEMORY;
        out->at = out->buf->data;
        out->buf->used = (uint32_t)len;
        return OK;
    }
    if (!spool_take_room(g->options.spool, len))
        return ERR_LIMIT;
    g->pieces_taken += len;
    if (g->room_at == 0)
        g->room_at = whole_pages(2 * g->max + ROOM_BYTES); /* nothing that comes reaches it */
    out->buf = buf_map_room(pool, g->fd, g->room_at, len, &out->at);
    g->room_at += whole_pages(len);
    return out->buf ? OK : ERR_LIMIT;
}

bool gathered_piece_is_mapped(const struct gathered_piece *p)
{
    return p->buf && p->buf->is_mapped;
}

void gathered_piece_free(struct gathered_piece *p)
{
    buf_unref(&p->buf);
    *p = (struct gathered_piece){0};
}
