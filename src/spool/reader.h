/*
 * Reads a stream of a message from the log, through the ring: piece by piece, each held against its checksum when it is whole. One read at a time.
 */
#ifndef HILUM_SPOOL_READER_H
#define HILUM_SPOOL_READER_H

#include <xxhash.h>

#include "spool/spool.h"

struct spool_reader {
    struct spool *spool;
    struct io *io;
    void *owner;
    /* So many bytes are where spool_reader_next has said. From the loop. */
    void (*on_read)(struct spool_reader *r, uint32_t len);
    /* Nothing more can be read of the stream. `is_damaged`: what is there is not what was written; else the system refused, which may pass.
     * From the loop, or from inside spool_reader_next. */
    void (*on_failed)(struct spool_reader *r, bool is_damaged, const char *why);

    const struct spool_stream *stream; /* borrowed */
    char path[SPOOL_PATH_MAX];         /* of the segment that was opened last */
    /* private */
    size_t extent; /* the next to be read of, or the one being read */
    uint32_t at;   /* within it */
    uint32_t generation, segment;
    int fd; /* of these; -1: none is open */
    uint8_t *to;
    size_t room;
    struct io_op op;
    XXH3_state_t *hash;
};

/* Fill spool, io, owner and callbacks before. False without memory. */
MUST_USE bool spool_reader_init(struct spool_reader *r);
/* From the start of this stream. Nothing may be on its way. */
void spool_reader_begin(struct spool_reader *r, const struct spool_stream *stream);
bool spool_reader_is_at_end(const struct spool_reader *r);
/* A read is on its way: `to` and the reader must stay. */
bool spool_reader_is_busy(const struct spool_reader *r);
/* The next bytes, one at least and `room` at most; not at the end. */
void spool_reader_next(struct spool_reader *r, uint8_t *to, size_t room);
/* The file. Nothing may be on its way. */
void spool_reader_close(struct spool_reader *r);
void spool_reader_free(struct spool_reader *r);

#endif
