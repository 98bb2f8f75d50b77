#include "relay/tally.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "dimse/status.h"

void tally_take(struct tally *t, const struct dimse_command *r)
{
    if (r->has & DIMSE_HAS_COMPLETED)
        t->now.completed = r->completed;
    if (r->has & DIMSE_HAS_FAILED)
        t->now.failed = r->failed;
    if (r->has & DIMSE_HAS_WARNING)
        t->now.warning = r->warning;
    if (r->has & DIMSE_HAS_REMAINING) {
        t->remaining = r->remaining;
        t->has_remaining = true;
    } else if (dimse_status_class(r->status) != DIMSE_PENDING) {
        t->remaining = 0;
    }
}

static void add(struct tally *t)
{
    t->sum.completed += t->now.completed;
    t->sum.failed += t->now.failed;
    t->sum.warning += t->now.warning;
    tally_forget(t);
}

void tally_end(struct tally *t)
{
    add(t);
}

void tally_end_lost(struct tally *t, uint32_t expected)
{
    uint32_t over = t->now.completed + t->now.failed + t->now.warning;
    uint32_t missing = t->has_remaining ? t->remaining : expected > over ? expected - over : 0;
    t->now.failed += missing > 0 ? missing : 1;
    add(t);
}

void tally_forget(struct tally *t)
{
    t->now = (struct tally_counts){0};
    t->remaining = 0;
    t->has_remaining = false;
}

static bool is_worse(uint16_t status, uint16_t than)
{
    return dimse_store_severity(status) > dimse_store_severity(than);
}

void tally_failure(struct tally *t, const char *node, uint16_t status, const char *why)
{
    size_t len = strlen(t->names);
    if (t->failures == 0 || is_worse(status, t->status))
        t->status = status;
    if (t->failures == 0 && why && *why)
        text_printable(t->why, sizeof(t->why), why, strlen(why));
    snprintf(t->names + len, sizeof(t->names) - len, "%s%s", len ? ", " : "", node);
    t->failures++;
}

const char *tally_comment(struct tally *t)
{
    static const char failed[] = " failed";
    if (t->failures == 0)
        return NULL;
    if (t->failures == 1 && t->why[0])
        return t->why;
    size_t len = strlen(t->names);
    if (len < sizeof(failed) - 1 || strcmp(t->names + len - strlen(failed), failed) != 0)
        snprintf(t->names + len, sizeof(t->names) - len, "%s", failed);
    return t->names;
}

static uint16_t fit(uint32_t n)
{
    return n > UINT16_MAX ? UINT16_MAX : (uint16_t)n;
}

void tally_fill(const struct tally *t, uint16_t status, uint32_t later, struct dimse_command *out)
{
    enum dimse_status_class class = dimse_status_class(status);
    out->has |= DIMSE_HAS_STATUS | DIMSE_HAS_COMPLETED | DIMSE_HAS_FAILED | DIMSE_HAS_WARNING;
    out->status = status;
    out->completed = fit(t->sum.completed + t->now.completed);
    out->failed = fit(t->sum.failed + t->now.failed);
    out->warning = fit(t->sum.warning + t->now.warning);
    if (class == DIMSE_PENDING || class == DIMSE_CANCEL) {
        out->has |= DIMSE_HAS_REMAINING;
        out->remaining = fit(t->remaining + later);
    }
}

uint16_t tally_status(const struct tally *t, bool is_cancelled)
{
    const struct tally_counts *n = &t->sum;
    if (is_cancelled)
        return DIMSE_STATUS_CANCELLED;
    if (n->failed + n->warning == 0 && t->failures == 0)
        return DIMSE_STATUS_SUCCESS;
    if (n->completed + n->warning > 0)
        return DIMSE_STATUS_SOME_FAILED;
    return t->failures > 0 ? t->status : TALLY_NOT_PERFORMED;
}

uint16_t tally_query_status(const struct tally *t, unsigned asked, bool is_cancelled)
{
    if (is_cancelled)
        return DIMSE_STATUS_CANCELLED;
    if (t->failures == 0)
        return DIMSE_STATUS_SUCCESS;
    return t->failures < asked ? DIMSE_STATUS_SOME_FAILED : t->status;
}
