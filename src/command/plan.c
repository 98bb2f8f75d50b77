#include "command/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "dicom/uid.h"
#include "pdu/pdu.h"

static bool is_for(const struct plan_context *c, struct view sop_class, struct view transfer_syntax)
{
    return dicom_uid_is(sop_class, c->sop_class) && dicom_uid_is(transfer_syntax, c->transfer_syntax);
}

static bool find(struct plan *plan, struct view sop_class, struct view transfer_syntax, size_t *index_out)
{
    size_t i = plan->last;
    if (i >= plan->count || !is_for(&plan->contexts[i], sop_class, transfer_syntax))
        for (i = 0; i < plan->count; i++)
            if (is_for(&plan->contexts[i], sop_class, transfer_syntax))
                break;
    plan->last = i;
    *index_out = i;
    return i < plan->count;
}

unsigned plan_associations(const struct plan *plan)
{
    return plan->count == 0 ? 0 : plan->contexts[plan->count - 1].association + 1;
}

static bool has_implicit(const struct plan *plan, unsigned association, struct view sop_class)
{
    static const struct view implicit = {(const uint8_t *)DICOM_IMPLICIT_VR_LE,
                                         sizeof(DICOM_IMPLICIT_VR_LE) - 1};
    for (size_t i = plan->count; i > 0 && plan->contexts[i - 1].association == association; i--)
        if (is_for(&plan->contexts[i - 1], sop_class, implicit))
            return true;
    return false;
}

static unsigned contexts_of_last(const struct plan *plan)
{
    return plan->count == 0 ? 0 : (plan->contexts[plan->count - 1].id + 1U) / 2;
}

static bool reserve(struct plan *plan, size_t more)
{
    if (plan->count + more <= plan->cap)
        return true;
    size_t cap = plan->cap * 2 + 16;
    struct plan_context *contexts = realloc(plan->contexts, cap * sizeof(*contexts));
    if (!contexts)
        return false;
    plan->contexts = contexts;
    plan->cap = cap;
    return true;
}

static void append(struct plan *plan, unsigned association, unsigned place, struct view sop_class,
                   struct view transfer_syntax)
{
    struct plan_context *c = &plan->contexts[plan->count++];
    *c = (struct plan_context){.association = association, .id = (uint8_t)(place * 2 + 1)};
    text_copy(c->sop_class, sizeof(c->sop_class), (const char *)sop_class.at, sop_class.len);
    text_copy(c->transfer_syntax, sizeof(c->transfer_syntax), (const char *)transfer_syntax.at,
              transfer_syntax.len);
}

static bool fits(struct view uid)
{
    return uid.len > 0 && uid.len < PLAN_UID_BYTES;
}

enum result plan_add(struct plan *plan, struct view sop_class, struct view transfer_syntax, size_t *index_out)
{
    static const struct view implicit = {(const uint8_t *)DICOM_IMPLICIT_VR_LE,
                                         sizeof(DICOM_IMPLICIT_VR_LE) - 1};
    if (!fits(sop_class) || !fits(transfer_syntax))
        return ERR_USAGE;
    if (find(plan, sop_class, transfer_syntax, index_out))
        return OK;
    if (!reserve(plan, 2))
        return ERR_MEMORY;
    bool is_implicit = dicom_uid_is(transfer_syntax, DICOM_IMPLICIT_VR_LE);
    unsigned association = plan->count ? plan_associations(plan) - 1 : 0;
    unsigned place = contexts_of_last(plan);
    unsigned more = is_implicit || has_implicit(plan, association, sop_class) ? 1 : 2;
    if (place + more > PDU_CONTEXTS_MAX) {
        association++;
        place = 0;
        more = is_implicit ? 1 : 2;
    }
    *index_out = plan->last = plan->count;
    append(plan, association, place, sop_class, transfer_syntax);
    if (more == 2)
        append(plan, association, place + 1, sop_class, implicit);
    return OK;
}

void plan_free(struct plan *plan)
{
    free(plan->contexts);
    *plan = (struct plan){0};
}
