/* Sets of ids (struct spool_ids): in ascending order, each once. Zero-initialise. (Inside spool/.) */
#ifndef HILUM_SPOOL_IDS_H
#define HILUM_SPOOL_IDS_H

#include "spool/spool.h"

/* Room for so many more. False without memory. */
MUST_USE bool ids_reserve(struct spool_ids *s, size_t more);
/* There must be room. */
void ids_put(struct spool_ids *s, spool_id id);
/* All of another set. False without memory: none of it. */
MUST_USE bool ids_add(struct spool_ids *s, const struct spool_ids *others);
/* False: it was not among them. */
bool ids_take_out(struct spool_ids *s, spool_id id);
bool ids_hold(const struct spool_ids *s, spool_id id);
/* It is empty then. */
void ids_free(struct spool_ids *s);

#endif
