/* Where studies began, from and to who asks: the log and the index have it. */
#include "spool/indexer.h"
#include "spool/spool_inside.h"

#include <stddef.h>
#include <stdio.h>

static struct record_claim record_of(const struct spool_claim *c)
{
    return (struct record_claim){
        .pool = view_of(c->pool), .study = c->study, .member = view_of(c->member), .at_ms = c->at_ms};
}

void spool_note_claim(struct spool *s, const struct spool_claim *c)
{
    struct record_claim claim = record_of(c);
    indexer_note_claim(s->indexer, &claim);
}

static void on_written(struct io_message *m)
{
    struct spool_claim *c = (struct spool_claim *)(void *)((char *)m - offsetof(struct spool_claim, message));
    c->on_done(c, c->is_good);
}

void spool_claim(struct spool *s, struct spool_claim *c)
{
    struct octets record = {0};
    struct record_claim claim = record_of(c);
    c->message.on_message = on_written;
    c->is_good = false;
    indexer_write_claims(s->indexer);
    record_claim_write(&record, &claim);
    if (record.failed)
        io_post(c->io, &c->message);
    else
        log_append_told(s->log, RECORD_CLAIM, record.data, record.len, c->io, &c->message, &c->is_good);
    octets_free(&record);
}

/* --- what is remembered -------------------------------------------------------------------------------------------- */

struct telling {
    void (*on_claim)(void *owner, const struct spool_claim *c);
    void *owner;
};

/* Texts of SQLite's end with a NUL. */
static void tell(void *owner, const struct record_claim *claim)
{
    const struct telling *t = owner;
    struct spool_claim c = {.pool = (const char *)claim->pool.at,
                            .member = (const char *)claim->member.at,
                            .study = claim->study,
                            .at_ms = claim->at_ms};
    if (c.pool && c.member) /* NULL: without memory there */
        t->on_claim(t->owner, &c);
}

/* By a connection of its own: the indexer's is its thread's. */
enum result spool_claims(struct spool *s, size_t max,
                         void (*on_claim)(void *owner, const struct spool_claim *c), void *owner)
{
    char file[SPOOL_PATH_MAX + sizeof("/index.db")], why[256];
    struct telling t = {.on_claim = on_claim, .owner = owner};
    struct index *index;
    snprintf(file, sizeof(file), "%s/index.db", s->path);
    enum result r = index_open(file, true, &index, why, sizeof(why));
    if (r != OK)
        return r;
    r = index_claims(index, max, tell, &t);
    index_close(&index);
    return r;
}
