/* What the files of this folder share. */
#ifndef HILUM_ASSOCIATION_INSIDE_H
#define HILUM_ASSOCIATION_INSIDE_H

#include "association/association.h"

/* Does what an outcome of the upper layer asks: bytes, timers, close, indication. b holds outcome.data, if any. */
void association_apply(struct association *a, const struct ul_outcome *o, struct buf *b);
/* on_end, once. */
void association_end(struct association *a, enum association_end how, const char *why);
/* Opens the stream on a connected descriptor. */
bool association_open_stream(struct association *a, int fd);
void association_tell_gone(struct association *a);

/* connect.c */
void association_connect_cancel(struct association *a);

/* receive.c */
void association_take_piece(struct association *a, const struct pdu_event *piece, struct buf *b);
void association_process(struct association *a);
/* The peer has hung up, and may have been slowed. */
void association_hung_up(struct association *a);
/* Nothing that is gathered counts any more. */
void association_let_go_gathered(struct association *a);
bool association_is_amid(const struct association *a);

/* send.c: what waits to fill a fragment, an even number of bytes. Only where more of the data set is sure to come. */
void association_send_rest(struct association *a);

/* contexts.c: false without memory */
bool association_map_contexts(struct association *a, const struct pdu_associate *request,
                              const struct pdu_associate *answer);
void association_free_contexts(struct association *a);

/* bypass.c */
enum { BYPASS_MIN = 32 << 10 }; /* less is cheaper through memory: docs/performance.md */
/* Before a receive: how many bytes at most. Decides whether payload passes. */
size_t association_may_receive(struct association *a);
/* The association takes no part in a bypass any more, at either end of it. */
void association_leave_bypass(struct association *a);
/* Our own words to this association would be taken for payload. */
bool association_is_amid_fragment(const struct association *a);
/* Bytes in the pipe to this association. */
size_t association_passing(const struct association *a);
/* True while what has come from here waits for those it goes to. */
bool association_bypass_is_stuck(const struct association *a);
/* The sender is slowed no more. */
void association_bypass_go_on(struct association *a);
/* True once the kernel has let go of it. */
bool association_bypass_is_over(const struct association *a);
void association_free_bypass(struct association *a);

/* watch.c: progress and idle time-outs */
void association_watch_start(struct association *a);

#endif
