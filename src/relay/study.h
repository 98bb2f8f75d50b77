/*
 * Held groups that have been quiet, whose route has an on_study: a worker's part of them. It runs the hook of the newest configuration, and the spool
 * releases the group with what the hook adds (spool_studies). Whatever goes wrong with a hook, its group goes.
 */
#ifndef HILUM_RELAY_STUDY_H
#define HILUM_RELAY_STUDY_H

#include "relay/relay.h"

struct studies;

/* This worker of so many. NULL without memory. */
struct studies *studies_new(struct relay *r, unsigned workers);
/* From now on by this configuration (a reference is taken). */
void studies_configure(struct studies *s, struct config *config);
/* Nothing more is asked: what is held stays, for the next process. May be called again. */
void studies_close(struct studies *s);
bool studies_are_closed(const struct studies *s);
void studies_free(struct studies **s);

#endif
