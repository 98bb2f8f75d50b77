/*
 * A query for several archives: all are asked side by side, and what they answer goes on as it comes, each entity once. An archive that fails makes a
 * warning that names it; the query fails only when all of them do. (PS3.4 C.4.1, K.4.1)
 *
 * Of an entity that several archives have the first response is passed on, as it is: what others say of the same study (another number of series, say) is
 * not merged into it. Past the bounds of seen.h an entity may come more than once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "dimse/status.h"
#include "relay/call.h"
#include "relay/health.h"
#include "relay/holdings.h"
#include "relay/identifier.h"
#include "relay/tally.h"

struct find_leg {
    bool is_trial; /* of the archive's circuit */
    bool has_any;  /* it had an answer */
};

struct find {
    unsigned open; /* legs that are not over */
    enum identifier_model model;
    enum identifier_level level; /* that is asked for */
    char study[65];              /* that is asked for; empty: several, or none */
    struct identifier response;
    bool asks_for_study; /* for one study by its UID, and nothing else: who has no answer does not hold it */
    const char *title;   /* that the client can move from; NULL: what archives say */
    struct seen seen;
    struct tally tally;
    struct find_leg legs[];
};

/* --- what is known of the client and its request ------------------------------------------------------------------ */

/* It may retrieve from us. */
static bool may_retrieve(const struct session *s, enum config_service service)
{
    struct route_facts facts;
    session_facts(s, service, &facts);
    return route_serves(s->config, &facts);
}

static const char *title_for(const struct call *c)
{
    const struct session *s = c->session;
    if (!may_retrieve(s, CONFIG_MOVE) && !may_retrieve(s, CONFIG_GET))
        return NULL;
    return s->called[0] ? s->called : s->config->ae_title;
}

/* What cannot be read is for the archives to refuse. Inflated it may be long: nothing of it is kept. */
static void read_request(struct call *c, struct find *f)
{
    struct identifier r = {0};
    f->model = identifier_model_of(view_of(c->abstract_syntax));
    if (identifier_read(&r, &c->received, view_of(c->transfer_syntax), c->session->config->header_max) ==
        OK) {
        struct view study = identifier_text(&r, IDENTIFIER_STUDY_UID);
        f->level = identifier_level_of(&r);
        f->asks_for_study = f->model == IDENTIFIER_BY_LEVEL && !r.asks_more && identifier_is_single(study) &&
                            study.len < sizeof(f->study) &&
                            identifier_text(&r, IDENTIFIER_SERIES_UID).len == 0 &&
                            identifier_text(&r, IDENTIFIER_INSTANCE_UID).len == 0;
        if (f->asks_for_study)
            memcpy(f->study, study.at, study.len);
    }
    identifier_free(&r);
}

/* --- the end ------------------------------------------------------------------------------------------------------ */

static void finish(struct call *c)
{
    struct find *f = c->state;
    struct dimse_command r = {
        .has = DIMSE_HAS_STATUS,
        .status = tally_query_status(&f->tally, (unsigned)c->destination_count, c->is_cancelled)};
    const char *comment = c->is_cancelled ? NULL : tally_comment(&f->tally);
    if (comment) {
        r.has |= DIMSE_HAS_COMMENT;
        r.comment = view_of(comment);
    }
    call_respond(c, &r, NULL);
}

static void leg_over(struct call *c, unsigned i)
{
    struct find *f = c->state;
    health_end_trial(c->session->relay, c->destinations[i].node, &f->legs[i].is_trial);
    if (--f->open == 0)
        finish(c);
}

static void on_failed(struct leg *l, uint16_t status, const char *comment)
{
    struct call *c = l->owner;
    struct find *f = c->state;
    if (!c->is_cancelled)
        tally_failure(&f->tally, l->node->name, status, comment);
    leg_over(c, (unsigned)(l - c->legs));
}

/* --- answers ------------------------------------------------------------------------------------------------------ */

static void note_holding(const struct call *c, const struct leg *l, struct view study, enum holding is)
{
    if (study.len > 0 && c->session->relay->holdings)
        holdings_note(c->session->relay->holdings, study, l->node, is, clock_ms());
}

/* Memory for what has passed is used up: said once. */
static void note_full(const struct call *c, const struct find *f, bool was_full)
{
    if (f->seen.is_full && !was_full)
        LOG(LOG_WARN, "too many answers to find all duplicates", LOG_STR("assoc", c->session->a.id),
            LOG_STR("message", c->id), LOG_INT("known", f->seen.count));
}

static bool is_duplicate(const struct call *c, struct find *f)
{
    struct seen_key key;
    bool was_full = f->seen.is_full;
    if (!identifier_seen_key(&f->response, f->model, f->level, &key))
        return false;
    bool is = seen_before(&f->seen, key);
    note_full(c, f, was_full);
    return is;
}

/* Worklists have no such title; other models only where the archive says one. */
static void set_title(const struct call *c, const struct find *f, struct slices *data)
{
    bool has = f->response.values[IDENTIFIER_RETRIEVE_TITLE].is_there;
    if (!f->title || f->model == IDENTIFIER_BY_STEP || (f->model == IDENTIFIER_BY_INSTANCE && !has))
        return;
    identifier_set_title(&f->response, data, c->session->relay->pool, f->title);
}

static void take_answer(struct call *c, struct leg *l, const struct dimse_command *r, struct slices *data)
{
    struct find *f = c->state;
    unsigned i = (unsigned)(l - c->legs);
    enum result read =
        identifier_read(&f->response, data, view_of(c->transfer_syntax), c->session->config->header_max);
    f->legs[i].has_any = true;
    if (read == OK && f->model == IDENTIFIER_BY_LEVEL)
        note_holding(c, l, identifier_text(&f->response, IDENTIFIER_STUDY_UID), HOLDING_YES);
    if (c->is_cancelled || is_duplicate(c, f))
        return;
    set_title(c, f, data);
    if (call_morph_response(c, c->destinations[i].route, data))
        call_respond(c, r, data);
}

/* Its last word. */
static void take_end(struct call *c, const struct leg *l, const struct dimse_command *r)
{
    struct find *f = c->state;
    char why[65];
    if (c->is_cancelled)
        return;
    if (r->status != DIMSE_STATUS_SUCCESS) {
        struct view said = r->comment.len > 0 ? r->comment : view_of(dimse_status_text(r->status));
        snprintf(why, sizeof(why), "%s: %.*s", l->node->name, (int)(said.len < 64 ? said.len : 64),
                 (const char *)said.at);
        tally_failure(&f->tally, l->node->name, r->status, why);
    } else if (f->asks_for_study && !f->legs[l - c->legs].has_any) {
        note_holding(c, l, view_of(f->study), HOLDING_NO);
    }
}

static void on_response(struct leg *l, const struct dimse_command *r, struct slices *data, bool is_final)
{
    struct call *c = l->owner;
    if (!is_final) {
        take_answer(c, l, r, data);
        return;
    }
    take_end(c, l, r);
    leg_over(c, (unsigned)(l - c->legs));
}

/* --- the beginning ------------------------------------------------------------------------------------------------ */

/* An archive that is known to be away is left out. */
static void begin_leg(struct call *c, unsigned i)
{
    struct find *f = c->state;
    struct leg *l = &c->legs[i];
    call_set_leg(c, i, &c->destinations[i]);
    l->on_response = on_response;
    l->on_failed = on_failed;
    if (health_may_try(c->session->relay, l->node, &f->legs[i].is_trial)) {
        f->open++;
        leg_begin(l);
    } else {
        char why[65];
        snprintf(why, sizeof(why), "%s: known to be away", l->node->name);
        tally_failure(&f->tally, l->node->name, DIMSE_STATUS_OUT_OF_RESOURCES, why);
    }
}

static void begin(struct call *c)
{
    unsigned count = (unsigned)c->destination_count;
    struct find *f = calloc(1, sizeof(*f) + count * sizeof(f->legs[0]));
    c->state = f;
    if (!f || !call_make_legs(c, count)) {
        call_fail(c, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
        return;
    }
    f->seen.pool = c->session->relay->pool;
    f->title = title_for(c);
    read_request(c, f);
    for (unsigned i = 0; i < count; i++)
        begin_leg(c, i);
    if (f->open == 0)
        finish(c);
}

static void end(struct call *c)
{
    struct find *f = c->state;
    for (unsigned i = 0; f && i < c->leg_count; i++)
        health_end_trial(c->session->relay, c->destinations[i].node, &f->legs[i].is_trial);
    if (f) {
        identifier_free(&f->response);
        seen_free(&f->seen);
    }
    free(f);
    c->state = NULL;
}

const struct call_plan call_find = {.begin = begin, .end = end};
