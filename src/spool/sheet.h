/*
 * A sheet of the ledger: deliveries without the queue, packed. It is what a RECORD_RELAYED holds, and the index keeps it as it is.
 *
 *    0  u64  mark   "HLSHEET1"
 *    8  u64  at_ms  the first row's time
 *   16  rows, one behind another:
 *
 *   u8      way     of one association, mostly; the first row of a new one is followed by what its rows have in common: u8 number of an older way that has
 *                   the same in common, or of itself, and then u16 status, and with a u32 of length each node, route, calling, called, class,
 *                   comment
 *   u8      what    of the texts and numbers in brackets is here: 1, 2, 4, 8
 *   number  time    ms since the row before; zigzag (0, -1, 1, -2, ...), for clocks are put back
 *   [number bytes]  of the data set;   else as many as in the row of the way that said so last
 *   [text   remote]                    else that of the row of the way that had one last
 *   text    received instance UID
 *   [text   sent instance UID]         else the received one
 *   [text   study's UID]               else as remote
 *
 *   number  seven bits a byte, the lowest first; the eighth says that more follow
 *   text    number: so many bytes at its front are those of this text in the row of the way that had one last; number: of bytes that follow; they
 *
 * A text of more than SHEET_SHARED_MAX bytes counts as empty for those behind. Instances of a series differ in the last digits of their UIDs, so that most
 * rows take less than 10 bytes.
 *
 * Pure.
 */
#ifndef HILUM_SPOOL_SHEET_H
#define HILUM_SPOOL_SHEET_H

#include "spool/record.h"
#include "spool/record_cursor.h"

enum {
    SHEET_ROWS_MAX = 2048,
    SHEET_BYTES_MAX = 32 << 10, /* it is full then, too */
    SHEET_WAYS_MAX = 96,
    SHEET_WAYS_SPLIT = 64,  /* no more of them for another remote alone */
    SHEET_SHARED_MAX = 128, /* longer texts stand whole */
};

enum sheet_text { SHEET_REMOTE, SHEET_RECEIVED, SHEET_SENT, SHEET_STUDY, SHEET_TEXTS };
enum sheet_common {
    SHEET_NODE,
    SHEET_ROUTE,
    SHEET_CALLING,
    SHEET_CALLED,
    SHEET_CLASS,
    SHEET_COMMENT,
    SHEET_COMMONS
};

struct sheet_way {
    uint8_t first; /* the first with the same in common, which alone says what that is: */
    uint16_t status;
    struct {
        uint32_t at, len; /* in the sheet */
    } common[SHEET_COMMONS];
    uint64_t bytes; /* of its last row; and what that had as texts */
    struct sheet_last {
        uint8_t len, of[SHEET_SHARED_MAX];
    } last[SHEET_TEXTS];
};

/* One that is written. Zeroed, it is empty. */
struct sheet {
    struct octets bytes;
    unsigned rows, way_count;
    uint64_t at_ms; /* of the last row */
    struct sheet_way ways[SHEET_WAYS_MAX];
};
/* It must not be full. Without memory bytes.failed is set, and it can only be cleared. */
void sheet_add(struct sheet *s, const struct spool_relayed *r);
bool sheet_is_full(const struct sheet *s);
/* Empty again; the memory stays. */
void sheet_clear(struct sheet *s);
void sheet_free(struct sheet *s);

/* A row that is read. */
struct record_relayed {
    uint64_t at_ms, bytes;
    struct view node, route, calling, called, remote, sop_class, sop_instance, sent_instance, study, comment;
    uint16_t status;
};

/* One that is read. */
struct sheet_reader {
    struct view sheet;
    struct cursor rest;
    unsigned way_count;
    uint64_t at_ms;
    struct sheet_way ways[SHEET_WAYS_MAX];
};
/* False: it is none. */
MUST_USE bool sheet_read(struct sheet_reader *r, struct view sheet);
/* The next row; its texts stay until the one after. NEED_MORE: there are no more; ERR_PROTO. */
MUST_USE enum result sheet_next(struct sheet_reader *r, struct record_relayed *out);
/* The node of a way that was met. */
struct view sheet_node(const struct sheet_reader *r, unsigned way);

#endif
