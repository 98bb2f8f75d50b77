/* Memory that is given out piece by piece and freed at once: what a parsed A-ASSOCIATE stands on. */
#ifndef HILUM_PDU_ARENA_H
#define HILUM_PDU_ARENA_H

#include <stddef.h>

struct pdu_arena;

/* Zeroed, aligned for any type; NULL without memory. *arena is NULL to start with. */
void *pdu_arena_alloc(struct pdu_arena **arena, size_t bytes);
/* Frees all of it and nulls *arena. */
void pdu_arena_free(struct pdu_arena **arena);

#endif
