/*
 * The log, byte for byte. A segment is a row of records, each padded with zeros to a multiple of 8; little-endian.
 *
 *    0  u32  magic       "HLR1"
 *    4  u32  type        enum record_type
 *    8  u64  length      of the payload
 *   16  u64  draft       of its generation; 0: none
 *   24  u32  stream      DATA: 0 the received data set, 1.. headers
 *   28  u32  segment     this segment's number
 *   32  u64  offset      of this record in it
 *   40  u64  synced      bytes of this segment that were known to be durable when it was written
 *   48  u64  checksum    XXH3-64 of the payload
 *   56  u64  head_sum    XXH3-64 of the 56 bytes above
 *   64  payload
 *
 * A header proves itself and its place, so that a walk may go over payload that is damaged, and find its way behind a header that is. A payload
 * whose bytes were given back to the file system (a hole) keeps its header.
 *
 * Pure.
 */
#ifndef HILUM_SPOOL_RECORD_H
#define HILUM_SPOOL_RECORD_H

#include "base/octets.h"
#include "spool/spool.h"

enum { SPOOL_VERSION = 1, RECORD_HEADER = 64, RECORD_ALIGN = 8, RECORD_C_STORE = 1 };

enum record_type {
    RECORD_SEGMENT = 1, /* the first of each: which it is, where the one before ends */
    RECORD_DATA = 2,    /* a piece of a stream of a draft */
    RECORD_COMMIT = 3,  /* a message and its entries */
    RECORD_OUTCOME = 4, /* of entries: one or more, one after another */
    RECORD_RELAYED = 5, /* deliveries without the queue: a sheet (sheet.h) */
    RECORD_ORDER = 6,   /* what an operator asked for */
    RECORD_RELEASE = 7, /* a held group that on_study was asked about */
    RECORD_CLAIM = 8,   /* where studies began: one or more, one after another */
};

struct record {
    enum record_type type;
    uint64_t length;
    uint64_t draft;
    uint32_t stream;
    uint32_t segment;
    uint64_t offset;
    uint64_t synced;
    uint64_t checksum;
};

void record_write(const struct record *r, uint8_t out[RECORD_HEADER]);
/* False: no header of a record, or not one of this place. */
bool record_read(const uint8_t in[RECORD_HEADER], uint32_t segment, uint64_t offset, struct record *out);
static inline uint64_t record_size(const struct record *r)
{
    return (RECORD_HEADER + r->length + RECORD_ALIGN - 1) & ~(uint64_t)(RECORD_ALIGN - 1);
}

struct record_segment {
    uint32_t version; /* SPOOL_VERSION */
    uint32_t generation, segment;
    /* The last segment before that counts, and how much of it does: what stands behind, or in segments between, was never acknowledged.
     * Zeroes in the first. */
    uint32_t previous;
    uint64_t previous_end;
    uint64_t created_ms;
};
void record_segment_write(struct octets *o, const struct record_segment *s);
bool record_segment_read(struct view payload, struct record_segment *out);

/* --- commits: everything that the index keeps, and where the bytes are --------------------------------------- */

struct record_entry {
    spool_id id;
    struct view node, route, group, comment;
    int edition;
    bool was_tried, asks;
    uint16_t status;
    uint64_t hold_ms;
    struct view syntaxes; /* for record_entry_new alone: spool_entry.syntaxes without its end */
};

/* Views are into the payload that was read. */
struct record_commit {
    spool_id message;
    uint64_t received_ms, bytes; /* bytes: of the received data set */
    struct view calling, called, remote, abstract_syntax, transfer_syntax, sop_class, sop_instance, study,
        series, patient;
    uint16_t priority;
    uint16_t field;      /* of its command; RECORD_C_STORE where nothing else is said */
    struct view streams; /* extents and editions, kept by the index as they are: record_streams_read */
    struct record_entry *entries; /* of the caller: record_commit_free */
    size_t entry_count;
};

/* Streams: by number, as the draft has them; editions must name one of them. Entries get the ids first_entry, first_entry + 1, ... */
void record_commit_write(struct octets *o, spool_id message, spool_id first_entry,
                         const struct spool_commit *c, const struct spool_stream *streams,
                         size_t stream_count);
/* ERR_PROTO: it is none (then nothing is to be freed); ERR_MEMORY. What it lets pass, the functions below can read. */
MUST_USE enum result record_commit_read(struct view payload, struct record_commit *out);
void record_commit_free(struct record_commit *c);
/* Class and instance UID that an edition goes out as; the received ones for SPOOL_AS_RECEIVED. False: there is no such edition. */
bool record_commit_sent(const struct record_commit *c, int edition, struct view *sop_class_out,
                        struct view *sop_instance_out);
/* Every segment that the streams lie in, each once, ascending; *out is malloc'ed, NULL for none. ERR_PROTO: no streams; ERR_MEMORY. */
struct record_place {
    uint32_t generation, segment;
};
MUST_USE enum result record_streams_places(struct view streams, struct record_place **out, size_t *count_out);
/* Every extent of every stream, in turn: for who verifies them or gives their space back. As above. */
MUST_USE enum result record_streams_extents(struct view streams, struct spool_extent **out,
                                            size_t *count_out);

/* The texts of an entry as it is handed out: one block with all that c and its edition say. NULL without memory, or if streams cannot be read. */
struct spool_entry *record_entry_new(const struct record_commit *c, const struct record_entry *e,
                                     unsigned attempts, uint16_t status);

/* --- outcomes, orders, claims --------------------------------------------------------------------------- */
/* Several of a kind may stand in one payload, one after another: each read takes one off the front of *rest. ERR_PROTO: it is none. */

void record_outcome_write(struct octets *o, const struct spool_outcome *outcome);
MUST_USE enum result record_outcome_read(struct view *rest, struct spool_outcome *out, char comment[65]);

/* What an operator did to an entry: retry (to another node, if `to` is not empty) or drop. */
struct record_order {
    spool_id id;
    bool drop;
    struct view to;
    uint64_t at_ms;
};
void record_order_write(struct octets *o, const struct record_order *order);
MUST_USE enum result record_order_read(struct view *rest, struct record_order *out);

/* Of a pool a study stays with this member, who was asked for it last at at_ms (wall clock). */
struct record_claim {
    struct view pool, study, member;
    uint64_t at_ms;
};
void record_claim_write(struct octets *o, const struct record_claim *claim);
MUST_USE enum result record_claim_read(struct view *rest, struct record_claim *out);

/* --- releases --------------------------------------------------------------------------------------------------- */

/* A held group is released: these entries of it, and those that were added, each the edition of an entry `of` it for another node. */
struct record_added {
    spool_id id, of;
    uint32_t node; /* of the record's */
};
struct record_release {
    uint64_t at_ms;
    uint32_t node_count;
    struct view nodes;           /* texts */
    struct view released, added; /* as they stand */
    size_t released_count, added_count;
};
void record_release_write(struct octets *o, uint64_t at_ms, const char *const *nodes, size_t node_count,
                          const spool_id *released, size_t released_count, const struct record_added *added,
                          size_t added_count);
MUST_USE enum result record_release_read(struct view payload, struct record_release *out);
struct view record_release_node(const struct record_release *r, uint32_t number);
spool_id record_release_id(const struct record_release *r, size_t number);
struct record_added record_release_added(const struct record_release *r, size_t number);

#endif
