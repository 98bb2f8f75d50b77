/* One evaluation of a configuration: what the parts of script/ share while it lasts. */
#ifndef HILUM_SCRIPT_SCRIPT_H
#define HILUM_SCRIPT_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "script/declare.h"
#include "script/report.h"
#include "script/source.h"

/* The budget that was run out of. */
enum script_spent { SPENT_NOTHING, SPENT_INSTRUCTIONS, SPENT_MEMORY };

struct script {
    const char *path; /* of the configuration, as given */
    struct arena arena;
    struct source_list sources;
    struct declaration_list declarations;
    struct report report;
    bool is_partial; /* evaluation ended in an error: what is missing may have been going to come */

    /* the sandbox */
    size_t memory_used, memory_max; /* bytes of Lua's own */
    uint64_t instructions_left;
    enum script_spent spent;
    const struct source *last_source; /* where evaluation stands */
    int last_line;
};

#endif
