/* How files of the log are read, for who walks over them and for who looks for their end. (Inside log_*.c only.) */
#ifndef HILUM_SPOOL_LOG_READ_H
#define HILUM_SPOOL_LOG_READ_H

#include "io/disk.h"
#include "spool/log.h"

/* Logs, and is ERR_IO. */
enum result log_read_failed(const char *folder, uint32_t segment);
/* ERR_CLOSED: it is not there. ERR_IO is logged. */
MUST_USE enum result log_open_segment(const char *folder, uint32_t segment, enum disk_how how, int *fd_out);
/* The header at `offset`, of a record that ends before `limit`. ERR_PROTO: there is none. ERR_IO. */
MUST_USE enum result log_read_head(int fd, uint32_t segment, uint64_t offset, uint64_t limit,
                                   struct record *out);
/* Its payload, checked. ERR_PROTO: damaged. ERR_IO, ERR_MEMORY. */
MUST_USE enum result log_read_payload(int fd, const struct record *r, struct octets *to);
/* The next place at or behind `from` (a multiple of 8) where a header stands. NEED_MORE: none does, *found_out is `limit`. ERR_IO, ERR_MEMORY. */
MUST_USE enum result log_find_head(int fd, uint32_t segment, uint64_t from, uint64_t limit,
                                   struct octets *scratch, uint64_t *found_out);
/* What `segment` says of the end of an older one, `of`: UINT64_MAX: nothing; 0: nothing of it counts. ERR_CLOSED: `segment` is not there,
 * or lacks its first record. ERR_IO, ERR_MEMORY. */
MUST_USE enum result log_segment_follows(const char *folder, uint32_t segment, uint32_t of,
                                         struct octets *scratch, uint64_t *end_of_out);

#endif
