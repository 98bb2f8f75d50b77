/*
 * Which presentation contexts on which association: files are grouped by SOP class and transfer syntax. Pure.
 *
 * Each context proposes one transfer syntax, so that an acceptor cannot choose between a file's own and another that we
 * would have to transcode to. Beside them each SOP class of an association has a context for Implicit VR LE, which every
 * requestor shall offer (PS3.5 10.1). An association has 128 contexts at most (PS3.8 9.3.2.2); what does not fit goes on
 * the next one.
 */
#ifndef HILUM_COMMAND_PLAN_H
#define HILUM_COMMAND_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/result.h"

enum { PLAN_UID_BYTES = 65 };

struct plan_context {
    char sop_class[PLAN_UID_BYTES];
    char transfer_syntax[PLAN_UID_BYTES];
    unsigned association; /* 0, 1, ... in turn */
    uint8_t id;           /* odd */
};

struct plan {
    struct plan_context *contexts; /* in rising order of association */
    size_t count, cap;
    size_t last; /* found last: files of a kind come together */
};

/*
 * The context for files of this kind, added if it is new. UIDs without padding.
 *
 * OK          *index_out is its place in plan->contexts
 * ERR_USAGE   a UID is empty or longer than 64 characters
 * ERR_MEMORY  nothing is changed
 */
MUST_USE enum result plan_add(struct plan *plan, struct view sop_class, struct view transfer_syntax,
                              size_t *index_out);

unsigned plan_associations(const struct plan *plan);
void plan_free(struct plan *plan);

#endif
