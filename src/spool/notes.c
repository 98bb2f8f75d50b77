/* Notes of relayed messages: some go into one record, so that the ledger costs a message next to nothing. */
#include <stdlib.h>

#include "spool/log.h"
#include "spool/sheet.h"
#include "spool/spool_inside.h"

enum { NOTES_MS = 250 };

struct spool_notes {
    struct spool *spool;
    struct io *io;
    struct io_timer timer;
    struct sheet sheet;
};

static void write_notes(struct spool_notes *n)
{
    io_timer_stop(n->io, &n->timer);
    const struct octets *bytes = &n->sheet.bytes;
    if (bytes->len > 0 && !bytes->failed)
        (void)log_append(n->spool->log, RECORD_RELAYED, bytes->data, bytes->len, false);
    sheet_clear(&n->sheet);
}

static void on_time(struct io_timer *timer)
{
    write_notes(timer->owner);
}

struct spool_notes *spool_notes_new(struct spool *s, struct io *io)
{
    struct spool_notes *n = calloc(1, sizeof(*n));
    if (!n)
        return NULL;
    n->spool = s;
    n->io = io;
    n->timer = (struct io_timer){.on_fire = on_time, .owner = n};
    return n;
}

void spool_note(struct spool_notes *n, const struct spool_relayed *r)
{
    sheet_add(&n->sheet, r);
    if (n->sheet.bytes.failed || sheet_is_full(&n->sheet))
        write_notes(n); /* without memory: what was gathered is given up */
    else if (!n->timer.is_armed)
        io_timer_start(n->io, &n->timer, NOTES_MS);
}

void spool_notes_free(struct spool_notes **n)
{
    struct spool_notes *it = *n;
    *n = NULL;
    if (!it)
        return;
    write_notes(it);
    sheet_free(&it->sheet);
    free(it);
}
