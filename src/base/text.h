/* Text as configuration and DICOM use it: globs, sizes, durations, titles. No locale is involved. */
#ifndef HILUM_BASE_TEXT_H
#define HILUM_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/result.h"

/* True if `text` (len bytes) matches `pattern`: `*` any run, `?` any one byte, all else itself. Without recursion and
 * in at most len * strlen(pattern) steps: a pattern of many stars cannot be made slow. */
bool text_glob(const char *pattern, const char *text, size_t len);
/* The same for UTF-8: `?` is any one character. */
bool text_glob_utf8(const char *pattern, const char *text, size_t len);

/* "64", "64B", "64KiB", "1MiB", "2GiB", "1kB", "10MB", "1GB" -> bytes. ERR_USAGE if it is not of that form or does not fit. */
MUST_USE enum result text_parse_size(const char *text, uint64_t *bytes_out);

/* "250ms", "5s", "2m", "1h", "7d" (a plain number is not accepted, "0" is) -> milliseconds. ERR_USAGE otherwise. */
MUST_USE enum result text_parse_duration(const char *text, uint64_t *ms_out);

/* Copies at most cap-1 bytes and always terminates. Returns false if it had to cut. */
bool text_copy(char *to, size_t cap, const char *from, size_t len);

/* Length of `text` without trailing spaces and NULs (the padding of AE and UI values). */
size_t text_trim_end(const char *text, size_t len);

/* Writes `from` to `to` with every byte outside printable ASCII, and `"` and `\`, replaced by '?': for logs and
 * Error Comments, where a peer's bytes may not do harm. Always terminates. */
void text_printable(char *to, size_t cap, const char *from, size_t len);

#endif
