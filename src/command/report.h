/*
 * What became of the files: a line on stderr for each that failed, as it happens, and at the end a summary on stdout, in
 * words or as one JSON object.
 */
#ifndef HILUM_COMMAND_REPORT_H
#define HILUM_COMMAND_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "command/progress.h"

struct report_status {
    uint16_t status;
    uint64_t count;
};

struct report_failure {
    char *path, *reason, *comment; /* comment: the peer's own words, or "" */
    int status;                    /* of the C-STORE-RSP; -1: there was none */
};

struct report {
    const char *peer; /* HOST:PORT */
    struct progress *progress;
    bool is_quiet, is_json;
    uint64_t sent, failed, not_dicom, bytes;
    struct report_status *statuses; /* rising */
    size_t status_count;
    struct report_failure *failures;
    size_t failure_count, failure_cap;
};

/* A C-STORE-RSP to a file of so many bytes. Success and warnings count as sent. */
void report_response(struct report *r, const char *path, uint64_t bytes, uint16_t status,
                     const char *comment);
/* No answer to this file. */
void report_failure(struct report *r, const char *path, const char *reason);
/* The same without a line of its own, for many at once. */
void report_unsent(struct report *r, const char *path, const char *reason);
/* Found in a folder, and nothing to be sent. */
void report_passed_over(struct report *r, const char *path, const char *why);
/* A line on stderr. */
__attribute__((format(printf, 2, 3))) void report_say(struct report *r, const char *format, ...);

/* Both are to be freed; the JSON is one line, without its end. Pure. */
char *report_words(const struct report *r, uint64_t elapsed_ms);
char *report_json(const struct report *r, uint64_t elapsed_ms);

/* On stdout: JSON if asked for; words unless quiet. False if it could not be written. */
bool report_print(struct report *r, uint64_t elapsed_ms);
void report_free(struct report *r);

#endif
