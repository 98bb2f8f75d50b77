/*
 * The progress bar: one line at the bottom of a terminal, drawn over itself.
 *
 *   [##########--------------------]  12/340 files  45.2/310.0 MiB  98.1 MiB/s  0:03 left
 */
#ifndef HILUM_COMMAND_PROGRESS_H
#define HILUM_COMMAND_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress_numbers {
    uint64_t files_done, files_total;
    uint64_t bytes_done, bytes_total;
    uint64_t elapsed_ms;
};

enum { PROGRESS_LINE_BYTES = 256 };

/* The line for a terminal of `columns`, always shorter than that; what does not fit is left out: the bar first, then from
 * the right. Without colours and without control characters. Pure. */
void progress_line(const struct progress_numbers *n, unsigned columns, char out[PROGRESS_LINE_BYTES]);

/* "310.0 MiB". Pure. */
void progress_bytes(uint64_t bytes, char out[32]);

struct progress {
    bool is_wanted; /* stderr is a terminal that takes it, and nobody said no */
    bool is_shown;
};

/* Not wanted: no terminal, TERM=dumb, NO_COLOR set, or is_quiet. */
void progress_init(struct progress *p, bool is_quiet);
void progress_draw(struct progress *p, const struct progress_numbers *n);
/* While the files are being looked at: their number so far. */
void progress_draw_looking(struct progress *p, uint64_t files);
/* Takes the line away, for other words on stderr or the end. */
void progress_clear(struct progress *p);

#endif
