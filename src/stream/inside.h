/* What the files of this folder share. */
#ifndef HILUM_STREAM_INSIDE_H
#define HILUM_STREAM_INSIDE_H

#include "stream/stream.h"

/* stream.c */
/* Plain bytes from data[0] on, `used` of them, to the user. Takes the reference. */
void stream_deliver(struct stream *s, struct buf *b);
/* The user is told, once. */
void stream_lose(struct stream *s, enum io_error error);
void stream_schedule(struct stream *s);

/* secure.c: with TLS, what stands between the socket and the two above. */
/* len bytes of the socket, from b->data on. Takes the reference. */
void secure_take(struct stream *s, struct buf *b, uint32_t len);
/* What is to be sent next, sealed; NULL: nothing, or not now. */
const struct slices *secure_next(struct stream *s);
/* n bytes of that are with the kernel: how many of `sending` have left by now. */
size_t secure_sent(struct stream *s, size_t n);
/* Says that nothing more will come, if that can be said at once. */
void secure_end(struct stream *s);
void secure_free(struct stream *s);

#endif
