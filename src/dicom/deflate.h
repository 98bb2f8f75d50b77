/*
 * Raw deflate streams (RFC 1951), as Deflated Explicit VR Little Endian has them: no header of zlib, an even number of bytes
 * (PS3.5 A.5). In by pieces of any size, out by as much as the caller has room for.
 *
 * Memory: about 40 KiB for each dicom_inflate, 264 KiB for each dicom_deflate, taken once and freed with it, whatever comes. A few bytes
 * can hold a thousand times as many: the caller counts what comes out and stops when it is enough. One thread at a time.
 */
#ifndef HILUM_DICOM_DEFLATE_H
#define HILUM_DICOM_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/octets.h"
#include "base/result.h"

struct dicom_inflate;

/* ERR_MEMORY: *out is NULL. */
MUST_USE enum result dicom_inflate_new(struct dicom_inflate **out);
/* NULL in it is fine. */
void dicom_inflate_free(struct dicom_inflate **z);

/*
 * Takes from the front of *in and writes at most `room` bytes (there must be room); *len_out says how many, whatever the result.
 *
 * OK         the room is full: call again with more, also when *in is empty
 * NEED_MORE  all of *in is taken and nothing of it is held back. Behind the end of the stream 8 bytes and any NULs are taken and dropped
 * ERR_PROTO  the stream is broken, or more than that stands behind it; *why_out. What came out before is right
 * ERR_MEMORY
 *
 * After an error every call gives the same one.
 */
MUST_USE enum result dicom_inflate_next(struct dicom_inflate *z, struct view *in, uint8_t *out, size_t room,
                                        size_t *len_out, const char **why_out);

/* No input follows. OK: the stream had come to its end. ERR_PROTO: it had not, or was broken; *why_out. */
MUST_USE enum result dicom_inflate_end(const struct dicom_inflate *z, const char **why_out);

struct dicom_deflate;

MUST_USE enum result dicom_deflate_new(struct dicom_deflate **out);
void dicom_deflate_free(struct dicom_deflate **z);

/*
 * As above, the other way. is_last: nothing follows *in; from then on it stays set and *in gets nothing more. The end of the stream and
 * the NUL that makes it even are written then.
 *
 * OK         the room is full: call again with more, also when *in is empty
 * NEED_MORE  all of *in is taken, and what comes of it was written or waits for what follows; is_last: all is written
 */
MUST_USE enum result dicom_deflate_next(struct dicom_deflate *z, struct view *in, bool is_last, uint8_t *out,
                                        size_t room, size_t *len_out);

/* A whole stream that stands in one piece, appended. ERR_LIMIT: it holds more than max bytes; ERR_PROTO; ERR_MEMORY. *why_out, a fixed text, in
 * each case. */
MUST_USE enum result dicom_inflate_all(struct view in, size_t max, struct octets *out, const char **why_out);
/* The other way. OK or ERR_MEMORY. */
MUST_USE enum result dicom_deflate_all(struct view in, struct octets *out);

#endif
