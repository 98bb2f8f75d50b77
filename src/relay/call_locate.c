/* Who holds what a C-MOVE or C-GET asks for: from memory, else by C-FIND. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "dicom/uid.h"
#include "dimse/status.h"
#include "relay/call_retrieve.h"
#include "relay/health.h"
#include "relay/holdings.h"

/* Roots of the query/retrieve models: FIND ends in 1, MOVE in 2, GET in 3. */
#define ROOTS "1.2.840.10008.5.1.4.1.2."

static uint32_t bit(unsigned archive)
{
    return UINT32_C(1) << archive;
}

/* --- what is asked for -------------------------------------------------------------------------------------------- */

static bool has_single(const struct identifier *i, enum identifier_level level)
{
    return identifier_is_single(identifier_text(i, identifier_unique(level)));
}

/* Can be asked for by a hierarchical query: one entity of each level above, some of its own. (PS3.4 C.4.1.3.1) */
static bool has_keys(const struct identifier *i, bool is_patient_root)
{
    enum identifier_level level = identifier_level_of(i);
    if (!i->is_readable || level == IDENTIFIER_NO_LEVEL ||
        identifier_count(identifier_text(i, identifier_unique(level))) == 0)
        return false;
    if (is_patient_root && !has_single(i, IDENTIFIER_PATIENT))
        return false;
    for (enum identifier_level above = IDENTIFIER_STUDY; above < level; above++)
        if (!has_single(i, above))
            return false;
    return true;
}

static void find_class_of(const struct call *c, struct retrieve *r)
{
    const char *uid = c->abstract_syntax;
    size_t len = strlen(uid), roots = strlen(ROOTS);
    bool has_root = len == roots + 3 && strncmp(uid, ROOTS, roots) == 0 && uid[roots] >= '1' &&
                    uid[roots] <= '3' && uid[roots + 1] == '.';
    bool is_patient_root = has_root && uid[roots] != '2';
    if (has_root && has_keys(&r->of[0].asked, is_patient_root))
        snprintf(r->find_class, sizeof(r->find_class), "%.*s1", (int)len - 1, uid);
}

/* --- what is remembered ------------------------------------------------------------------------------------------- */

/* The one study that is asked for, or in which; empty: there is none, or several. */
static struct view study_of(const struct retrieve *r)
{
    struct view study = identifier_text(&r->of[0].asked, IDENTIFIER_STUDY_UID), none = {NULL, 0};
    return r->level > IDENTIFIER_PATIENT && identifier_is_single(study) ? study : none;
}

static enum holding look(const struct call *c, unsigned archive, uint64_t within_ms)
{
    const struct retrieve *r = c->state;
    struct holdings *h = c->session->relay->holdings;
    struct view study = study_of(r);
    if (!h || study.len == 0)
        return HOLDING_UNKNOWN;
    return holdings_look(h, study, c->destinations[archive].node, within_ms, clock_ms());
}

static void note(const struct call *c, unsigned archive, struct view study, enum holding is)
{
    struct holdings *h = c->session->relay->holdings;
    if (h && study.len > 0)
        holdings_note(h, study, c->destinations[archive].node, is, clock_ms());
}

/* The only archive that has the study, as all of them said not long ago. SPLIT_ARCHIVES_MAX: not known, or several. */
static unsigned remembered(const struct call *c, unsigned count)
{
    unsigned holder = SPLIT_ARCHIVES_MAX;
    for (unsigned i = 0; i < count; i++) {
        enum holding is = look(c, i, HOLDINGS_FRESH_MS);
        if (is == HOLDING_UNKNOWN || (is == HOLDING_YES && holder != SPLIT_ARCHIVES_MAX))
            return SPLIT_ARCHIVES_MAX;
        if (is == HOLDING_YES)
            holder = i;
    }
    return holder;
}

void retrieve_unasked(struct call *c, unsigned i, const char *why)
{
    struct retrieve *r = c->state;
    const char *name = c->destinations[i].node->name;
    r->alive &= ~bit(i);
    if (look(c, i, HOLDINGS_KEPT_MS) != HOLDING_NO)
        tally_failure(&r->tally, name, TALLY_NO_MATCHES_COUNTED, why);
}

/* --- queries ------------------------------------------------------------------------------------------------------ */

static enum identifier_key number_key(enum identifier_level level)
{
    switch (level) {
    case IDENTIFIER_PATIENT:
        return IDENTIFIER_PATIENT_INSTANCES;
    case IDENTIFIER_STUDY:
        return IDENTIFIER_STUDY_INSTANCES;
    default:
        return IDENTIFIER_SERIES_INSTANCES;
    }
}

static struct identifier_change change_of(enum identifier_key key, enum dicom_vr vr, struct view value)
{
    return (struct identifier_change){identifier_tag(key), vr, value};
}

/* The level, and the UIDs of an entity and of those above it. The patient's are the request's. */
static size_t fill_chain(const struct split *s, uint32_t unit, enum identifier_level level,
                         struct identifier_change *out)
{
    size_t count = 0;
    out[count++] = change_of(IDENTIFIER_LEVEL_NAME, DICOM_VR_CS, view_of(identifier_level_name(level)));
    for (; unit != SPLIT_NONE; unit = s->units[unit].parent)
        if (s->units[unit].level != IDENTIFIER_PATIENT)
            out[count++] =
                change_of(identifier_unique(s->units[unit].level), DICOM_VR_UI, split_uid(s, unit));
    return count;
}

/* What an archive is asked about an entity, of what it consists; or about the request's own, whether it has them. */
static enum result make_query(struct call *c, unsigned i, uint32_t unit)
{
    struct retrieve *r = c->state;
    struct retrieve_archive *a = &r->of[i];
    struct identifier_change changes[8];
    struct view empty = {NULL, 0};
    enum identifier_level level = r->level;
    size_t count = 0;
    if (unit != SPLIT_NONE) {
        level = (enum identifier_level)(r->split.units[unit].level + 1);
        count = fill_chain(&r->split, unit, level, changes);
        changes[count++] = change_of(identifier_unique(level), DICOM_VR_UI, empty);
    }
    if (level < IDENTIFIER_IMAGE)
        changes[count++] = change_of(number_key(level), DICOM_VR_IS, empty);
    slices_clear(&a->query);
    return identifier_make(&a->asked, empty, changes, count, c->session->relay->pool, &a->query);
}

bool locate_request(struct call *c, const struct split_job *job)
{
    struct retrieve *r = c->state;
    struct retrieve_archive *a = &r->of[job->archive];
    struct identifier_change changes[8];
    struct octets list = {0};
    size_t count = fill_chain(&r->split, job->parent, job->level, changes);
    for (unsigned k = 0; k < job->count; k++) {
        struct view uid = split_uid(&r->split, job->units[k]);
        octets_append(&list, "\\", k > 0);
        octets_append(&list, uid.at, uid.len);
    }
    if (job->level != IDENTIFIER_PATIENT)
        changes[count++] =
            change_of(identifier_unique(job->level), DICOM_VR_UI, (struct view){list.data, list.len});
    slices_clear(&a->query);
    bool ok = !list.failed && identifier_make(&a->asked, (struct view){NULL, 0}, changes, count,
                                              c->session->relay->pool, &a->query) == OK;
    octets_free(&list);
    return ok;
}

/* --- a round ------------------------------------------------------------------------------------------------------ */

static void next_query(struct call *c, unsigned i);

/* It is there, and does not say. It gets the request as it is; or the entity comes from it whole. */
static void take_refusal(struct call *c, unsigned i)
{
    struct retrieve *r = c->state;
    if (r->of[i].unit == SPLIT_NONE) {
        r->mute |= bit(i);
        split_leave(&r->split, i);
    } else {
        split_close(&r->split, r->of[i].unit);
    }
}

/* One of those that were asked for: archives are known to answer more than they should. */
static bool is_asked_for(const struct identifier *asked, enum identifier_level level, struct view uid)
{
    struct view list = identifier_text(asked, identifier_unique(level)), one;
    while (identifier_next_uid(&list, &one))
        if (one.len == uid.len && memcmp(one.at, uid.at, uid.len) == 0)
            return true;
    return false;
}

static void take_answer(struct call *c, unsigned i, const struct slices *data)
{
    struct retrieve *r = c->state;
    struct retrieve_archive *a = &r->of[i];
    bool is_first = a->unit == SPLIT_NONE;
    enum identifier_level level =
        is_first ? r->level : (enum identifier_level)(r->split.units[a->unit].level + 1);
    if ((is_first && (r->mute & bit(i))) || identifier_read(&r->response, data, view_of(c->transfer_syntax),
                                                            c->session->config->header_max) != OK)
        return;
    struct view uid = identifier_text(&r->response, identifier_unique(level));
    if (uid.len == 0 || (is_first && !is_asked_for(&a->asked, level, uid)))
        return;
    if (level == IDENTIFIER_PATIENT)
        uid = view_of("patient"); /* the one that is asked for, whatever it is called here */
    a->has_any = true;
    note(c, i, identifier_text(&r->response, IDENTIFIER_STUDY_UID), HOLDING_YES);
    uint32_t count = identifier_number(&r->response, number_key(level));
    if (split_add(&r->split, a->unit, level, uid, i, count) == SPLIT_NONE)
        take_refusal(c, i); /* too many */
}

/* It was asked for one study, by nothing but its UID, and did not know it. */
static void note_nothing(const struct call *c, unsigned i)
{
    const struct retrieve *r = c->state;
    const struct retrieve_archive *a = &r->of[i];
    if (a->unit == SPLIT_NONE && r->level == IDENTIFIER_STUDY && !a->has_any && !a->asked.asks_more)
        note(c, i, study_of(r), HOLDING_NO);
}

static void on_response(struct leg *l, const struct dimse_command *response, struct slices *data,
                        bool is_final)
{
    struct call *c = l->owner;
    unsigned i = (unsigned)(l - c->legs);
    if (!is_final) {
        take_answer(c, i, data);
        return;
    }
    if (response->status == DIMSE_STATUS_SUCCESS)
        note_nothing(c, i);
    else if (!c->is_cancelled)
        take_refusal(c, i);
    next_query(c, i);
}

static void on_failed(struct leg *l, uint16_t status, const char *comment)
{
    struct call *c = l->owner;
    unsigned i = (unsigned)(l - c->legs);
    if (status == DIMSE_STATUS_SOP_CLASS_NOT_SUPPORTED)
        take_refusal(c, i);
    else if (!c->is_cancelled)
        retrieve_unasked(c, i, comment);
    next_query(c, i);
}

static void begin_query(struct call *c, unsigned i, uint32_t unit)
{
    struct retrieve *r = c->state;
    r->of[i].unit = unit;
    if (make_query(c, i, unit) != OK) {
        take_refusal(c, i);
        return;
    }
    struct leg *l = retrieve_leg(c, i, &r->of[i].query);
    struct dimse_command *command = &c->commands[i];
    command->has &= ~(uint32_t)DIMSE_HAS_MOVE_DESTINATION;
    command->field = DIMSE_C_FIND_RQ;
    command->affected_class = view_of(r->find_class);
    l->abstract_syntax = r->find_class;
    l->silence_ms = c->session->config->timeouts.response;
    l->on_response = on_response;
    l->on_failed = on_failed;
    r->open++;
    leg_begin(l);
}

/* About the next entity of the round that this archive has, if there is one. */
static void ask_next(struct call *c, unsigned i)
{
    struct retrieve *r = c->state;
    struct retrieve_archive *a = &r->of[i];
    unsigned before = r->open;
    if (c->is_cancelled || !(r->alive & bit(i)))
        return;
    while (a->next < r->round_to && r->open == before) {
        uint32_t unit = a->next++;
        if (split_wants_open(&r->split, unit, r->round_alive) && (r->split.units[unit].holders & bit(i)))
            begin_query(c, i, unit);
    }
}

static void end_round(struct call *c);

/* From the loop: each archive whose query is over goes on. */
static void ask_idle(struct call *c)
{
    struct retrieve *r = c->state;
    for (unsigned i = 0; i < c->leg_count; i++)
        if (leg_is_over(&c->legs[i]))
            ask_next(c, i);
    if (r->open == 0)
        retrieve_then(c, end_round);
}

static void next_query(struct call *c, unsigned i)
{
    struct retrieve *r = c->state;
    health_end_trial(c->session->relay, c->destinations[i].node, &r->of[i].is_trial);
    r->open--;
    retrieve_then(c, ask_idle);
}

static void begin_round(struct call *c, uint32_t from)
{
    struct retrieve *r = c->state;
    r->round_from = from;
    r->round_to = r->split.count;
    r->round_alive = r->alive;
    for (unsigned i = 0; i < c->leg_count; i++)
        r->of[i].next = from;
    ask_idle(c);
}

static bool has_to_open(const struct retrieve *r, uint32_t from)
{
    for (uint32_t u = from; u < r->split.count; u++)
        if (split_wants_open(&r->split, u, r->alive))
            return true;
    return false;
}

/* All have said what they would. What they named is the next round's. */
static void end_round(struct call *c)
{
    struct retrieve *r = c->state;
    for (uint32_t u = r->round_from; u < r->round_to; u++)
        if (split_wants_open(&r->split, u, r->round_alive))
            split_opened(&r->split, u);
    if (!c->is_cancelled && has_to_open(r, r->round_to))
        begin_round(c, r->round_to);
    else
        retrieve_located(c);
}

/* --- the first round ---------------------------------------------------------------------------------------------- */

static bool has_class(const struct retrieve *r)
{
    return r->find_class[0] != '\0';
}

void locate_anew(struct call *c)
{
    struct retrieve *r = c->state;
    split_free(&r->split);
    r->is_remembered = false;
    r->round_from = r->round_to = 0;
    r->round_alive = r->alive;
    if (!has_class(r))
        r->mute = r->alive;
    for (unsigned i = 0; has_class(r) && i < c->leg_count; i++)
        if (r->alive & bit(i))
            begin_query(c, i, SPLIT_NONE);
    if (r->open == 0)
        retrieve_then(c, end_round);
}

/* What is asked for is there alone: one entity, which goes as it came. */
static bool use_memory(struct call *c)
{
    struct retrieve *r = c->state;
    unsigned holder = has_class(r) ? remembered(c, c->leg_count) : SPLIT_ARCHIVES_MAX;
    if (holder == SPLIT_ARCHIVES_MAX || !(r->alive & bit(holder)))
        return false;
    r->is_remembered =
        split_add(&r->split, SPLIT_NONE, r->level, view_of("remembered"), holder, 0) != SPLIT_NONE;
    return r->is_remembered;
}

void locate_begin(struct call *c)
{
    struct retrieve *r = c->state;
    r->level = identifier_level_of(&r->of[0].asked);
    find_class_of(c, r);
    if (use_memory(c))
        retrieve_then(c, retrieve_located);
    else
        locate_anew(c);
}
