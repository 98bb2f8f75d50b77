/*
 * Which archives hold a study, as far as is known: from what they said when they were asked. One table over all workers, of a bounded size; of what does
 * not fit the longest unheard goes.
 *
 * An archive is known by host, port and title, so that a reload keeps what is known. Any thread; a lock for a few dozen instructions.
 */
#ifndef HILUM_RELAY_HOLDINGS_H
#define HILUM_RELAY_HOLDINGS_H

#include <stdint.h>

#include "base/bytes.h"
#include "config/config.h"

enum {
    HOLDINGS_KEPT_MS = 24 * 60 * 60 * 1000,
    HOLDINGS_FRESH_MS = 60 * 1000, /* so long nobody need ask again */
};

enum holding { HOLDING_UNKNOWN, HOLDING_NO, HOLDING_YES };

struct holdings;

/* NULL without memory. */
struct holdings *holdings_new(void);
void holdings_free(struct holdings **h);

/* It has said that it has the study, or has nothing of it. Times are clock_ms(). */
void holdings_note(struct holdings *h, struct view study, const struct config_node *node, enum holding is,
                   uint64_t now_ms);
/* What it said within the last `within_ms`. */
enum holding holdings_look(struct holdings *h, struct view study, const struct config_node *node,
                           uint64_t within_ms, uint64_t now_ms);

#endif
