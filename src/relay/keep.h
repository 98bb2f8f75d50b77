/*
 * What is kept of a message's received bytes, so that the queue can take it over. One a message, whatever its destinations are.
 *
 *   held        by reference, in memory, up to `replay_max`: enough for most instances
 *   journalled  past that, or when memory is needed for others: written to the spool's log as it streams, without a sync
 *   given up    past that without a journal: then a destination that fails is the sender's failure
 *
 * Nothing of it counts until it is committed: then all of it, with its entries, is durable, or nothing of it is.
 */
#ifndef HILUM_RELAY_KEEP_H
#define HILUM_RELAY_KEEP_H

#include "dicom/charset.h"
#include "dicom/peek.h"
#include "mem/buf.h"
#include "route/attributes.h"
#include "spool/spool.h"

struct keep_options {
    struct spool *spool;
    struct io *io;
    struct dicom_charsets *charsets;
    const char *transfer_syntax; /* must stay */
    uint64_t held_max;           /* bytes */
    bool journals;               /* past that, where it may never be needed */
};

/* What is written in front of the received bytes' last piece: the header of an edition. */
struct keep_header {
    const uint8_t *at;
    size_t len;
};

struct keep {
    struct keep_options options;
    void *owner;
    /* Something was written: memory has come back, is_idle may have changed. From the loop. */
    void (*on_written)(struct keep *k);
    /* After keep_commit: it is durable, or why not. From the loop. */
    void (*on_committed)(struct keep *k, enum spool_error error);

    struct slices bytes;       /* received and not in the log */
    bool is_needed;            /* it will be queued, as far as can be seen */
    bool is_given_up;          /* not all of it is here */
    enum spool_error error;    /* of the log, if it refused something */
    struct spool_draft *draft; /* NULL: nothing is in the log */

    /* private */
    struct keep_writing *writing; /* NULL: nothing was written yet */
    struct spool_commit *commit;  /* borrowed, from keep_commit to on_committed */
    const struct keep_header *headers;
    size_t header_count, header_next, header_at;
    struct keep_look *look; /* for the UIDs that the queue sorts by */
    struct io_task soon;    /* it is time to write, when this turn has brought what it brings */
    bool is_soon;           /*   in the next: a message that is complete by then says so before */
};

/* NULL without memory. */
struct keep *keep_new(const struct keep_options *options);
/* keep_is_idle must hold. Nulls the pointer. What was journalled and not committed is given up. */
void keep_free(struct keep **k);

/* The next bytes. */
void keep_data(struct keep *k, struct buf *b, uint8_t *at, uint32_t len);
/* A destination has failed, or is a copy: it is worth writing. */
void keep_need(struct keep *k);
/* Memory is short, or reading pauses: what is held is journalled, or given up. */
void keep_relieve(struct keep *k);
/* The message will not be queued: nothing more is kept or written. */
void keep_give_up(struct keep *k);

/* All that was received is in memory: none of it was written or given up. */
bool keep_holds(const struct keep *k);
/* All that was received can be queued. */
bool keep_is_whole(const struct keep *k);
/* No write is on its way. */
bool keep_is_idle(const struct keep *k);

/* All has been received: makes it durable with these entries. The facts' study, series and patient are filled in here. headers[i] is that of the
 * commit's editions[i], whose `stream` is set here. All of it must stay until on_committed. */
void keep_commit(struct keep *k, struct spool_commit *commit, const struct keep_header *headers);

#endif
