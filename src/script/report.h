/* Problems as they are found, and their order in the end. */
#ifndef HILUM_SCRIPT_REPORT_H
#define HILUM_SCRIPT_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/result.h"
#include "script/load.h"
#include "script/source.h"

struct report_item;

struct report {
    struct report_item *items;
    size_t count;
    size_t capacity;
    size_t errors; /* of the items; the others are warnings */
    bool failed;   /* there was no memory for one */
};

/* Adds "SOURCE:LINE: ...". Control characters in the text become '?'. */
void report_printf(struct report *r, const struct source *source, int line, bool is_warning,
                   const char *format, ...) __attribute__((format(printf, 5, 6)));

/* Moves everything to *out, by file, line and order of finding. ERR_MEMORY: *out is empty. The report is empty then. */
MUST_USE enum result report_finish(struct report *r, struct problems *out);

#endif
