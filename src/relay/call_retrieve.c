/*
 * A C-MOVE or C-GET for several archives: each gives what it alone holds, or what it holds most of, one after another; counts are added up. (PS3.4 C.4.2,
 * C.4.3)
 *
 * An archive that fails half way: another that has the same is asked for it; what nobody else has counts as failed.
 */
#include "relay/call_retrieve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "dimse/status.h"
#include "relay/health.h"

enum { FAILED_UIDS_MAX = 1 << 20 }; /* bytes of the list in the answer */

static void ask(struct call *c);

static uint32_t bit(unsigned archive)
{
    return UINT32_C(1) << archive;
}

/* --- steps -------------------------------------------------------------------------------------------------------- */

static void on_task(struct io_task *task)
{
    struct call *c = task->owner;
    struct retrieve *r = c->state;
    r->then(c);
}

void retrieve_then(struct call *c, void (*then)(struct call *c))
{
    struct retrieve *r = c->state;
    r->then = then;
    io_defer(c->session->relay->io, &r->task);
}

struct leg *retrieve_leg(struct call *c, unsigned i, const struct slices *data)
{
    struct leg *l = &c->legs[i];
    call_set_leg(c, i, &c->destinations[i]);
    l->abstract_syntax = c->abstract_syntax;
    l->silence_ms = c->session->config->timeouts.retrieve;
    l->message_id = 0;
    if (data)
        l->data = data;
    return l;
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

/* What is still to come when the request that is under way is over, as far as that is known. */
static uint32_t count_later(const struct retrieve *r)
{
    uint32_t left = split_left(&r->split), now = r->is_blind ? 0 : split_job_count(&r->split, &r->job);
    return left > now ? left - now : 0;
}

/* What is left that nobody can give. */
static void count_lost(struct retrieve *r)
{
    uint32_t lost = split_lost(&r->split);
    r->tally.sum.failed += lost;
    if (lost > 0 && r->tally.failures == 0 && r->lost)
        tally_failure(&r->tally, r->lost, TALLY_NOT_PERFORMED, r->lost_why);
}

/* The instances that archives named as failed, for a response that says that some did. (PS3.4 C.4.2.1.4.2) */
static void make_failed_list(const struct call *c, const struct retrieve *r, const struct dimse_command *out,
                             struct slices *data)
{
    struct identifier_change list = {
        identifier_tag(IDENTIFIER_FAILED_UIDS), DICOM_VR_UI, {r->failed_uids.data, r->failed_uids.len}};
    if (out->status == DIMSE_STATUS_SUCCESS || r->failed_uids.len == 0 || r->failed_uids.failed)
        return;
    if (identifier_make(NULL, view_of(c->transfer_syntax), &list, 1, c->session->relay->pool, data) != OK)
        slices_clear(data);
}

static void finish(struct call *c)
{
    struct retrieve *r = c->state;
    struct dimse_command out = {0};
    struct slices data = {0};
    uint32_t later = c->is_cancelled ? count_later(r) : 0;
    if (!c->is_cancelled)
        count_lost(r);
    tally_fill(&r->tally, tally_status(&r->tally, c->is_cancelled), later, &out);
    const char *comment = c->is_cancelled ? NULL : tally_comment(&r->tally);
    if (comment) {
        out.has |= DIMSE_HAS_COMMENT;
        out.comment = view_of(comment);
    }
    make_failed_list(c, r, &out, &data);
    call_respond(c, &out, &data);
    slices_clear(&data);
}

/* --- a request ---------------------------------------------------------------------------------------------------- */

static void job_done(struct call *c)
{
    struct retrieve *r = c->state;
    tally_end(&r->tally);
    if (!r->is_blind)
        split_done(&r->split, &r->job);
}

/* It gave nothing, or was lost half way. */
static void job_failed(struct call *c, uint16_t status, const char *why, bool is_lost)
{
    struct retrieve *r = c->state;
    const char *name = c->destinations[r->job.archive].node->name;
    uint32_t expected = r->is_blind ? 0 : split_job_count(&r->split, &r->job);
    if (is_lost) {
        r->alive &= ~bit(r->job.archive);
        r->lost = name;
        snprintf(r->lost_why, sizeof(r->lost_why), "%s", why);
    }
    if (!r->is_blind && split_failed(&r->split, &r->job, r->alive)) {
        LOG(LOG_INFO, "asked of another archive", LOG_STR("assoc", c->session->a.id),
            LOG_STR("message", c->id), LOG_STR("node", name), LOG_QUOTED("cause", why, !is_lost));
        tally_forget(&r->tally);
        return;
    }
    tally_failure(&r->tally, name, status, why);
    if (is_lost)
        tally_end_lost(&r->tally, expected);
    else
        tally_end(&r->tally);
}

/* What was remembered is not so any more: nothing came. */
static bool was_wrong(const struct retrieve *r)
{
    const struct tally_counts *n = &r->tally.now;
    return r->is_remembered && n->completed + n->failed + n->warning == 0;
}

static void take_failed_uids(struct call *c, const struct slices *data)
{
    struct retrieve *r = c->state;
    if (data->bytes == 0 || identifier_read(&r->response, data, view_of(c->transfer_syntax),
                                            c->session->config->header_max) != OK)
        return;
    struct view list = identifier_text(&r->response, IDENTIFIER_FAILED_UIDS), uid;
    while (identifier_next_uid(&list, &uid)) {
        bool has_room = r->failed_uids.len + uid.len < FAILED_UIDS_MAX;
        if (seen_before(&r->failed, seen_key_of(&uid, 1)) || !has_room)
            continue;
        octets_append(&r->failed_uids, "\\", r->failed_uids.len > 0);
        octets_append(&r->failed_uids, uid.at, uid.len);
    }
}

static void job_over(struct call *c)
{
    struct retrieve *r = c->state;
    health_end_trial(c->session->relay, c->destinations[r->job.archive].node,
                     &r->of[r->job.archive].is_trial);
    call_move_end(c, &r->move);
    r->open--;
}

static void take_final(struct call *c, const struct leg *l, const struct dimse_command *response)
{
    struct retrieve *r = c->state;
    const struct tally_counts *n = &r->tally.now;
    char why[65];
    if (!c->is_cancelled && was_wrong(r)) {
        tally_forget(&r->tally);
        retrieve_then(c, locate_anew);
        return;
    }
    if (c->is_cancelled) {
        /* its counts are the last */
    } else if (dimse_status_class(response->status) == DIMSE_FAILURE && n->completed + n->warning == 0) {
        struct view said =
            response->comment.len > 0 ? response->comment : view_of(dimse_status_text(response->status));
        snprintf(why, sizeof(why), "%s: %.*s", l->node->name, (int)(said.len < 64 ? said.len : 64),
                 (const char *)said.at);
        job_failed(c, response->status, why, false);
    } else {
        job_done(c);
    }
    retrieve_then(c, ask);
}

/* What goes on: of all archives together. */
static void pass_pending(struct call *c)
{
    struct retrieve *r = c->state;
    struct dimse_command out = {0};
    tally_fill(&r->tally, DIMSE_STATUS_PENDING, count_later(r), &out);
    call_respond(c, &out, NULL);
}

static void on_response(struct leg *l, const struct dimse_command *response, struct slices *data,
                        bool is_final)
{
    struct call *c = l->owner;
    struct retrieve *r = c->state;
    tally_take(&r->tally, response);
    if (!is_final) {
        pass_pending(c);
        return;
    }
    job_over(c);
    take_failed_uids(c, data);
    take_final(c, l, response);
}

static void on_failed(struct leg *l, uint16_t status, const char *comment)
{
    struct call *c = l->owner;
    struct retrieve *r = c->state;
    job_over(c);
    if (!c->is_cancelled && was_wrong(r)) {
        tally_forget(&r->tally);
        retrieve_unasked(c, r->job.archive, comment);
        retrieve_then(c, locate_anew);
        return;
    }
    if (!c->is_cancelled)
        job_failed(c, status, comment, true);
    retrieve_then(c, ask);
}

/* Where it is told to move to. False: it cannot, and why_out says so. */
static bool aim(struct call *c, const struct leg *l, uint16_t *status_out, char why[65])
{
    struct retrieve *r = c->state;
    struct call_destination archive = c->destinations[r->job.archive];
    archive.data = l->data;
    if (c->command.field != DIMSE_C_MOVE_RQ)
        return true;
    return call_move_begin(c, r->job.archive, &archive, &r->move, status_out, why);
}

static void begin_job(struct call *c)
{
    struct retrieve *r = c->state;
    unsigned i = r->job.archive;
    uint16_t status = DIMSE_STATUS_OUT_OF_RESOURCES;
    char why[65] = "out of memory";
    bool ok = r->job.is_whole || locate_request(c, &r->job);
    struct leg *l = retrieve_leg(c, i, r->job.is_whole ? NULL : &r->of[i].query);
    if (!ok || !aim(c, l, &status, why)) {
        job_failed(c, status, why, true);
        retrieve_then(c, ask);
        return;
    }
    l->on_response = on_response;
    l->on_failed = on_failed;
    r->open++;
    leg_begin(l);
}

/* Archives that do not say what they hold get the request as it is, when what is known has come. */
static bool next_blind(struct retrieve *r)
{
    uint32_t left = r->mute & r->alive;
    if (!left)
        return false;
    r->job = (struct split_job){
        .archive = (unsigned)__builtin_ctz(left), .is_whole = true, .level = r->level, .parent = SPLIT_NONE};
    r->mute &= ~bit(r->job.archive);
    return true;
}

static void ask(struct call *c)
{
    struct retrieve *r = c->state;
    r->is_blind = false;
    if (c->is_cancelled) {
        finish(c);
    } else if (split_next(&r->split, r->alive & ~r->mute, &r->job)) {
        begin_job(c);
    } else if (next_blind(r)) {
        r->is_blind = true;
        begin_job(c);
    } else {
        finish(c);
    }
}

void retrieve_located(struct call *c)
{
    ask(c);
}

/* --- the beginning ------------------------------------------------------------------------------------------------ */

static bool make_state(struct call *c, unsigned count)
{
    struct retrieve *r = calloc(1, sizeof(*r) + count * sizeof(r->of[0]));
    c->state = r;
    if (!r || !call_make_legs(c, count))
        return false;
    r->task = (struct io_task){.run = on_task, .owner = c};
    r->failed.pool = c->session->relay->pool;
    for (unsigned i = 0; i < count; i++) {
        const struct slices *data = c->destinations[i].data;
        struct retrieve_archive *a = &r->of[i];
        if (data && identifier_read(&a->asked, data, view_of(c->transfer_syntax),
                                    c->session->config->header_max) == ERR_MEMORY)
            return false;
        if (!pool_take(c->session->relay->pool, a->asked.own.cap))
            return false;
        a->taken = a->asked.own.cap;
    }
    return true;
}

static void begin(struct call *c)
{
    bool is_too_many = c->destination_count > SPLIT_ARCHIVES_MAX;
    unsigned count = is_too_many ? SPLIT_ARCHIVES_MAX : (unsigned)c->destination_count;
    if (!make_state(c, count)) {
        call_fail(c, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
        return;
    }
    struct retrieve *r = c->state;
    for (unsigned i = 0; i < count; i++) {
        char why[65];
        r->alive |= bit(i);
        snprintf(why, sizeof(why), "%s: known to be away", c->destinations[i].node->name);
        if (!health_may_try(c->session->relay, c->destinations[i].node, &r->of[i].is_trial))
            retrieve_unasked(c, i, why);
    }
    for (size_t i = count; i < c->destination_count; i++)
        tally_failure(&r->tally, c->destinations[i].node->name, TALLY_NO_MATCHES_COUNTED, NULL);
    locate_begin(c);
}

static void end(struct call *c)
{
    struct retrieve *r = c->state;
    c->state = NULL;
    if (!r)
        return;
    io_defer_cancel(c->session->relay->io, &r->task);
    call_move_end(c, &r->move);
    for (unsigned i = 0; i < c->leg_count; i++) {
        health_end_trial(c->session->relay, c->destinations[i].node, &r->of[i].is_trial);
        identifier_free(&r->of[i].asked);
        pool_give_back(c->session->relay->pool, r->of[i].taken);
        slices_clear(&r->of[i].query);
    }
    split_free(&r->split);
    seen_free(&r->failed);
    identifier_free(&r->response);
    octets_free(&r->failed_uids);
    free(r);
}

const struct call_plan call_retrieve = {.begin = begin, .end = end};
