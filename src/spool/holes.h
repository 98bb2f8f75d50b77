/*
 * Gives back what nobody needs of one segment that has to stay: payload of DATA records becomes holes, all else stays as it is. (Inside spool/ only.)
 *
 *   read    every piece of the segment; every commit, for whose the pieces are: of a message that is needed, of one that is not, or of none
 *   mark    the index says of each message that its bytes are gone. This must have reached the disk before
 *   punch   the pieces of those, and of none if every commit that may name a piece has been read
 *
 * Each a little at a time, on the indexer's thread. If it ends in between nothing is lost: it is done again, from the start.
 */
#ifndef HILUM_SPOOL_HOLES_H
#define HILUM_SPOOL_HOLES_H

#include "io/disk.h"
#include "spool/index.h"

struct holes {
    struct record_place place;
    struct log_walk walk;
    struct log_position end; /* to where commits may name its pieces */
    bool reads_all;          /* nobody names one behind that */
    bool is_damaged;         /* something could not be read: perhaps a commit */
    bool has_failed;         /* the system refused, which was logged; or there was no memory */

    struct holes_piece {
        uint64_t offset; /* of the payload; ascending */
        uint32_t bytes;
        uint32_t owner; /* of `owners`; HOLES_NOBODY */
    } * pieces;
    size_t count, cap;
    struct holes_owner {
        spool_id message;
        bool is_needed, is_to_be_marked;
    } * owners;
    size_t owner_count, owner_cap;
    size_t next; /* owner to be marked, then piece to be punched */

    int fd; /* -1: not open */
    struct disk_space space;
};

enum { HOLES_NOBODY = UINT32_MAX };

/* `end`: see above. NULL without memory. */
struct holes *holes_new(const char *spool_path, struct record_place place, struct log_position end,
                        bool reads_all);
void holes_free(struct holes **h);

/*
 * Each: NEED_MORE: call it again, it was enough for now (a few milliseconds); OK: it is done, or has failed; else the index has failed.
 *
 * `is_asked` says that a message may be needed again though it has ended.
 */
MUST_USE enum result holes_read(struct holes *h, struct index *i);
MUST_USE enum result holes_mark(struct holes *h, struct index *i,
                                bool (*is_asked)(void *owner, spool_id message), void *owner);
/* *freed_out: what the file takes less than before. *error_out: IO_NONE, or why it has failed (has_failed). */
enum result holes_punch(struct holes *h, uint64_t *freed_out, enum io_error *error_out);
/* What could be given back, once it has been read. */
uint64_t holes_bytes(const struct holes *h);

#endif
