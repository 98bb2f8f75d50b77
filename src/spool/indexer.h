/*
 * The indexer: a thread that reads the log behind the writer and keeps the index; it answers feeds, since it is the one that knows what is due.
 * (Inside spool/ only.)
 *
 * What it does, in turns: applies records, answers questions of feeds, tells feeds that something is due, commits. And from time to time: wakes what
 * waits, carries out orders of hilum queue, gives back space, forgets history, adopts generations whose processes have gone.
 *
 * A failure of the index takes the transaction back; it is done again, from the place that was committed last, a second later.
 */
#ifndef HILUM_SPOOL_INDEXER_H
#define HILUM_SPOOL_INDEXER_H

#include "spool/index.h"
#include "spool/spool_folder.h"

struct indexer;

/* `index` and `own` (with its lock) are taken, also if it fails; own.number is the generation of this process. NULL without memory. */
struct indexer *indexer_new(const char *spool_path, struct index *index_take, struct generation own_take,
                            uint64_t history_ms);
/* Adopts every generation that nobody holds, and reads its log to the end. Before indexer_start. ERR_IO, ERR_MEMORY, ERR_USAGE: `why` says it. */
MUST_USE enum result indexer_adopt_all(struct indexer *ix, char *why, size_t why_cap);
/* From now on it reads the writer's log, from its beginning. */
MUST_USE enum result indexer_start(struct indexer *ix, struct log_writer *log);
/* Reads to the end of what is published, commits, ends the thread. The writer must still be there. */
void indexer_stop(struct indexer *ix);
/* Lets go of its generations, too. Nulls the pointer. */
void indexer_free(struct indexer **ix);

/* The log has moved: struct log_options.on_published, owner is the indexer. Any thread. */
void indexer_on_published(void *owner);
void indexer_set_history(struct indexer *ix, uint64_t history_ms);
bool indexer_is_well(const struct indexer *ix);

/* spool_feed_open, _next, _close. Any thread. */
void indexer_feed_open(struct indexer *ix, struct spool_feed *f);
void indexer_feed_next(struct indexer *ix, struct spool_feed *f, unsigned max, struct spool_range range);
void indexer_feed_close(struct indexer *ix, struct spool_feed *f);
/* spool_studies_open, spool_study_release, spool_studies_close. Any thread. */
void indexer_studies_open(struct indexer *ix, struct spool_studies *st);
MUST_USE bool indexer_study_release(struct indexer *ix, struct spool_studies *st, const char *const *nodes,
                                    size_t count);
void indexer_studies_close(struct indexer *ix, struct spool_studies *st);
/* What is in line (lines.h). Any thread. */
struct lines *indexer_lines(struct indexer *ix);
/* A commit of the draft could not be written: struct log_options.on_failed. */
void indexer_on_failed(void *owner, uint64_t draft);
/* spool_note_claim. Any thread. */
void indexer_note_claim(struct indexer *ix, const struct record_claim *c);
/* All that was noted goes to the log, unsynced. Any thread; indexer_start was called. */
void indexer_write_claims(struct indexer *ix);
/* An outcome is on its way through the log: if it does not come out of it, because the disk was full, it is taken from here. Any thread. */
void indexer_expect(struct indexer *ix, const struct spool_outcome *o);

#endif
