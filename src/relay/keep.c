#include "relay/keep.h"

#include <stdlib.h>

#include "base/assert.h"
#include "dicom/uid.h"
#include "relay/keep_look.h"

enum { JOURNAL_PIECE = 256 << 10 }; /* written at once; less only at the end */

/* One write at a time. */
struct keep_writing {
    struct keep *keep;
    struct spool_write write;
    bool is_pending;
    size_t from_bytes;  /* so many of keep.bytes are in it */
    size_t from_header; /* or of the current header */
    struct spool_part parts[SPOOL_PARTS_MAX];
};

static void on_soon(struct io_task *t);

struct keep *keep_new(const struct keep_options *options)
{
    struct keep *k = calloc(1, sizeof(*k));
    if (!k)
        return NULL;
    k->options = *options;
    k->soon = (struct io_task){.run = on_soon, .owner = k};
    return k;
}

void keep_free(struct keep **kp)
{
    struct keep *k = *kp;
    *kp = NULL;
    if (!k)
        return;
    hilum_assert(keep_is_idle(k));
    io_defer_cancel(k->options.io, &k->soon);
    spool_draft_free(&k->draft);
    slices_clear(&k->bytes);
    keep_look_free(&k->look);
    free(k->writing);
    free(k);
}

bool keep_is_idle(const struct keep *k)
{
    return !k->writing || !k->writing->is_pending;
}

bool keep_is_whole(const struct keep *k)
{
    return !k->is_given_up && k->error == SPOOL_DONE;
}

bool keep_holds(const struct keep *k)
{
    return keep_is_whole(k) && !k->draft;
}

void keep_give_up(struct keep *k)
{
    k->is_given_up = true;
    if (keep_is_idle(k))
        slices_clear(&k->bytes);
}

static void fail(struct keep *k, enum spool_error error)
{
    k->error = error;
    keep_give_up(k);
}

/* --- writing ------------------------------------------------------------------------------------------------- */

static void on_done(struct spool_write *w, enum spool_error error);

/* From the first write on the draft is there; what is held until then is looked through for the UIDs. */
static bool begin_writing(struct keep *k)
{
    if (k->draft)
        return true;
    k->writing = calloc(1, sizeof(*k->writing));
    k->draft = spool_draft_new(k->options.spool);
    if (!k->writing || !k->draft) {
        fail(k, SPOOL_FAILED);
        return false;
    }
    k->writing->keep = k;
    k->look = keep_look_new(k->options.transfer_syntax, k->options.charsets);
    for (uint32_t i = 0; k->look && i < k->bytes.count; i++) {
        const struct slice *s = slices_at(&k->bytes, i);
        keep_look_feed(k->look, s->at, s->len);
    }
    return true;
}

static void write_parts(struct keep *k, unsigned stream, unsigned count, const struct spool_commit *commit)
{
    struct keep_writing *w = k->writing;
    w->write = (struct spool_write){.draft = k->draft,
                                    .io = k->options.io,
                                    .owner = w,
                                    .on_done = on_done,
                                    .stream = stream,
                                    .parts = w->parts,
                                    .part_count = count,
                                    .commit = commit};
    w->is_pending = true;
    spool_write(k->options.spool, &w->write);
}

/* The front of what was received: as much as one write takes. */
static unsigned take_bytes(struct keep *k)
{
    struct keep_writing *w = k->writing;
    unsigned count = 0;
    w->from_bytes = w->from_header = 0;
    while (count < k->bytes.count && count < SPOOL_PARTS_MAX && w->from_bytes < SPOOL_PIECE_MAX) {
        const struct slice *s = slices_at(&k->bytes, count);
        size_t room = SPOOL_PIECE_MAX - w->from_bytes;
        size_t len = s->len < room ? s->len : room;
        w->parts[count++] = (struct spool_part){s->at, len};
        w->from_bytes += len;
    }
    return count;
}

static void write_header(struct keep *k)
{
    struct keep_writing *w = k->writing;
    const struct keep_header *h = &k->headers[k->header_next];
    size_t left = h->len - k->header_at;
    w->from_bytes = 0;
    w->from_header = left < SPOOL_PIECE_MAX ? left : SPOOL_PIECE_MAX;
    w->parts[0] = (struct spool_part){h->at + k->header_at, w->from_header};
    write_parts(k, SPOOL_STREAM_HEADERS + (unsigned)k->header_next, 1, NULL);
}

static void write_next(struct keep *k)
{
    if (!keep_is_idle(k) || k->is_given_up)
        return;
    bool is_ending = k->commit != NULL;
    if (is_ending) {
        while (k->header_next < k->header_count && k->header_at == k->headers[k->header_next].len) {
            k->header_next++;
            k->header_at = 0;
        }
        if (k->header_next < k->header_count) {
            write_header(k);
            return;
        }
    }
    bool is_wanted = k->draft && (k->is_needed || k->options.journals);
    if (!is_ending && (!is_wanted || k->bytes.bytes < JOURNAL_PIECE))
        return;
    unsigned count = take_bytes(k);
    bool is_last = is_ending && k->writing->from_bytes == k->bytes.bytes;
    write_parts(k, SPOOL_STREAM_DATA, count, is_last ? k->commit : NULL);
}

static void end_commit(struct keep *k, enum spool_error error)
{
    k->commit = NULL;
    k->on_committed(k, error);
}

static void on_done(struct spool_write *write, enum spool_error error)
{
    struct keep_writing *w = write->owner;
    struct keep *k = w->keep;
    bool was_commit = write->commit != NULL;
    w->is_pending = false;
    if (error == SPOOL_DONE && !k->is_given_up) {
        slices_consume(&k->bytes, w->from_bytes);
        k->header_at += w->from_header;
    } else if (error != SPOOL_DONE) {
        fail(k, error);
    } else {
        slices_clear(&k->bytes);
    }
    if (k->commit && (was_commit || error != SPOOL_DONE))
        end_commit(k, error);
    else
        write_next(k);
    k->on_written(k);
}

/* --- from the message ------------------------------------------------------------------------------------------ */

static void journal(struct keep *k)
{
    if (begin_writing(k))
        write_next(k);
}

/* What came in one turn goes in one write, with the commit if that was the end of it: a write more is two threads woken more. */
static void journal_soon(struct keep *k)
{
    if (keep_is_idle(k))
        io_defer(k->options.io, &k->soon);
}

static void on_soon(struct io_task *t)
{
    struct keep *k = t->owner;
    k->is_soon = !k->is_soon;
    if (k->is_soon)
        io_defer(k->options.io, t);
    else if (keep_is_whole(k) && keep_is_idle(k))
        journal(k);
}

void keep_data(struct keep *k, struct buf *b, uint8_t *at, uint32_t len)
{
    if (!keep_is_whole(k))
        return;
    if (k->look)
        keep_look_feed(k->look, at, len);
    if (!slices_push(&k->bytes, b, at, len)) {
        fail(k, SPOOL_FAILED);
        return;
    }
    uint64_t most = k->is_needed && k->options.held_max > JOURNAL_PIECE ? JOURNAL_PIECE : k->options.held_max;
    if (k->draft ? k->bytes.bytes >= JOURNAL_PIECE : k->bytes.bytes > most) {
        if (k->is_needed || k->options.journals)
            journal_soon(k);
        else
            keep_give_up(k);
    }
}

void keep_need(struct keep *k)
{
    k->is_needed = true;
    if (keep_is_whole(k) && k->bytes.bytes >= JOURNAL_PIECE)
        journal(k);
}

void keep_relieve(struct keep *k)
{
    if (!keep_holds(k) || k->bytes.bytes == 0)
        return;
    if (!k->is_needed && !k->options.journals)
        keep_give_up(k);
    else
        journal(k);
}

void keep_commit(struct keep *k, struct spool_commit *commit, const struct keep_header *headers)
{
    hilum_assert(keep_is_whole(k) && !k->commit);
    io_defer_cancel(k->options.io, &k->soon);
    k->is_needed = true;
    k->commit = commit;
    k->headers = headers;
    k->header_count = commit->edition_count;
    if (!begin_writing(k)) {
        end_commit(k, SPOOL_FAILED); /* nothing is pending: the message settles by itself */
        return;
    }
    if (k->look)
        keep_look_end(k->look, &commit->facts);
    write_next(k);
}
