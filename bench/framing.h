/*
 * A command set or a data set as P-DATA-TF PDUs of one PDV each, as a list of slices for sendmsg. Pure.
 *
 * Nothing is laid out beforehand: any position in the stream of PDUs is turned into slices when it is sent, so an instance of
 * 1 GiB costs no more memory than one of 8 KiB, and a send that the kernel took in part goes on where it stopped.
 */
#ifndef HILUM_BENCH_FRAMING_H
#define HILUM_BENCH_FRAMING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/bytes.h"
#include "pdu/write.h"

/* Bytes that stand behind the head of a part: byte i of the part is block[i % FRAMING_PERIOD]. */
enum { FRAMING_PERIOD = 64 << 10, FRAMING_BLOCK_BYTES = 256 << 10 };

struct part {
    struct view head; /* its first bytes; all of it for a command set. Borrowed */
    const uint8_t
        *block; /* where the others come from, FRAMING_BLOCK_BYTES of a pattern with that period. Borrowed */
    uint64_t len;      /* of the part, above 0 */
    uint32_t fragment; /* bytes in each PDV but the last */
    uint8_t full[PDU_DATA_HEADER_BYTES], last[PDU_DATA_HEADER_BYTES];
};

/* control: PDV_COMMAND or 0; PDV_LAST comes by itself. */
void part_init(struct part *p, struct view head, const uint8_t *block, uint64_t len, uint32_t fragment,
               uint8_t context_id, uint8_t control);

/* Bytes of all its PDUs. */
uint64_t part_wire_bytes(const struct part *p);

/* A list that is being filled. */
struct slices {
    struct iovec *at;
    size_t count, cap;
    uint64_t bytes, bytes_max;
    bool is_apart; /* a header and the body behind it never in one list, as DCMTK writes them */
    bool is_full;  /* nothing more may be added */
};

/* Adds what stands from `from` on, which is below part_wire_bytes, until the part ends or the list is full. */
void part_slices(const struct part *p, uint64_t from, struct slices *out);

/* Fills a block with its pattern. */
void framing_fill(uint8_t block[FRAMING_BLOCK_BYTES]);

#endif
