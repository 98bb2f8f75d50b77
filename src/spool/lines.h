/*
 * What is queued in line: requests that must reach a node in the order in which they came, one after another (N-CREATE before each N-SET of an instance). Who has
 * the next one asks here whether something of that instance is queued for that node: then it has to go behind it. (Inside spool/ only.)
 *
 * The index has the lines; this is what it has in memory, and besides what has been given to the log and not read by the indexer yet. Any thread.
 */
#ifndef HILUM_SPOOL_LINES_H
#define HILUM_SPOOL_LINES_H

#include "base/bytes.h"
#include "spool/spool.h"

struct lines;

/* NULL without memory. */
struct lines *lines_new(void);
void lines_free(struct lines **l);

/* Something is in line there; or memory was short once, and it is not known that nothing is. */
bool lines_hold(struct lines *l, struct view node, struct view instance);

/* A commit of the draft of that number is on its way to the log, or is there and has not been read: its entries are in line until lines_read. */
void lines_write(struct lines *l, uint64_t draft, const struct spool_commit *c);
/* It has been read, or could not be written. */
void lines_read(struct lines *l, uint64_t draft);

/* The index has one more, or one less. */
void lines_add(struct lines *l, struct view node, struct view instance, int by);
/* From now on it has those that were added to *fresh, which is taken. */
void lines_replace(struct lines *l, struct lines **fresh);

#endif
