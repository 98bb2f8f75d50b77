/*
 * Where the bytes of a message are, and what morphs made of its header: the part of a commit that the index keeps as it is.
 *
 *   u32 streams;  each: u64 bytes, u32 extents; each: u32 generation, u32 segment, u64 offset, u32 bytes, u64 checksum
 *   u32 editions; each: u32 stream, u64 received_header_len, u8 is_deflated, u8 drops_private, u32 below;
 *                 u32 drops, each: u32 tag; u32 copies, each: u32 tag; then the texts sop_class, sop_instance
 *
 * (Inside record*.c only; others use record.h.)
 */
#ifndef HILUM_SPOOL_RECORD_STREAMS_H
#define HILUM_SPOOL_RECORD_STREAMS_H

#include "spool/record.h"

/* Extents and tags as they stand: extent_at and get_le32 read them. */
struct record_stream {
    uint64_t bytes;
    struct view extents;
    size_t count;
};
struct record_edition {
    uint32_t stream;
    uint64_t received_header_len;
    bool is_deflated, drops_private;
    uint32_t below;
    struct view drop, copies; /* four bytes a tag */
    struct view sop_class, sop_instance;
};

void record_streams_write(struct octets *o, const struct spool_commit *c, const struct spool_stream *streams,
                          size_t stream_count);
/* False: it is none. *edition_count_out and the bytes of the received data set. */
bool record_streams_check(struct view streams, size_t *edition_count_out, uint64_t *bytes_out);
/* False: there is none of that number. */
bool record_streams_stream(struct view streams, size_t number, struct record_stream *out);
bool record_streams_edition(struct view streams, size_t number, struct record_edition *out);
struct spool_extent record_extent_at(const struct record_stream *s, size_t i);

#endif
