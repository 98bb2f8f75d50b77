/* Notes of relayed messages: some go into one record, so that the ledger costs a message next to nothing. */
#include <stdlib.h>

#include "spool/log.h"
#include "spool/spool_inside.h"

enum { NOTES_MS = 250, NOTES_BYTES = 64 << 10 /* then they do not wait for the time */ };

struct spool_notes {
    struct spool *spool;
    struct io *io;
    struct io_timer timer;
    struct octets record;
};

static void write_notes(struct spool_notes *n)
{
    io_timer_stop(n->io, &n->timer);
    if (n->record.len > 0 && !n->record.failed)
        (void)log_append(n->spool->log, RECORD_RELAYED, n->record.data, n->record.len, false);
    octets_clear(&n->record);
}

static void on_time(struct io_timer *timer)
{
    write_notes(timer->owner);
}

struct spool_notes *spool_notes_new(struct spool *s, struct io *io)
{
    struct spool_notes *n = calloc(1, sizeof(*n));
    if (n)
        *n = (struct spool_notes){.spool = s, .io = io, .timer = {.on_fire = on_time, .owner = n}};
    return n;
}

void spool_note(struct spool_notes *n, const struct spool_relayed *r)
{
    record_relayed_write(&n->record, r);
    if (n->record.failed || n->record.len >= NOTES_BYTES)
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
    octets_free(&it->record);
    free(it);
}
