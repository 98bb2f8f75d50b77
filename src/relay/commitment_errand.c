#include "relay/commitment_errand.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "dicom/uid.h"
#include "relay/proposal.h"

/* Of associations with the SCP's role: any number that no sender's roles make is as good. */
enum { PROFILE_TELLS = 0x434f4d4d };

static bool propose(const struct source *s, struct pdu_associate *request, const char *abstract_syntax,
                    const char *transfer_syntax)
{
    if (!proposal_add_pair(request, abstract_syntax, transfer_syntax))
        return false;
    if (s->profile != PROFILE_TELLS)
        return true;
    request->roles = pdu_associate_alloc(request, sizeof(*request->roles));
    if (!request->roles)
        return false;
    request->roles[0] = (struct pdu_role){.uid = view_of(COMMITMENT_CLASS), .scu = false, .scp = true};
    request->role_count = 1;
    return true;
}

static bool is_full(const struct source *s)
{
    (void)s;
    return true; /* nothing is kept for a second try */
}

static void over(struct commitment_errand *e)
{
    e->is_active = false;
    slices_clear(&e->data);
    config_unref(&e->config);
}

static void on_response(struct leg *l, const struct dimse_command *c, struct slices *data, bool is_final)
{
    struct commitment_errand *e = l->owner;
    (void)data;
    if (!is_final) /* no service of this class has them */
        return;
    uint16_t status = c->status;
    over(e);
    e->on_done(e, true, status, "");
}

static void on_failed(struct leg *l, uint16_t status, const char *comment)
{
    struct commitment_errand *e = l->owner;
    char why[65];
    text_copy(why, sizeof(why), comment, strlen(comment));
    over(e);
    e->on_done(e, false, status, why);
}

static void fill_command(struct commitment_errand *e, const struct commitment_errand_to *to)
{
    struct view class = view_of(COMMITMENT_CLASS), instance = view_of(COMMITMENT_INSTANCE);
    if (to->tells)
        e->command = (struct dimse_command){.has = DIMSE_HAS_FIELD | DIMSE_HAS_AFFECTED_CLASS |
                                                   DIMSE_HAS_AFFECTED_INSTANCE | DIMSE_HAS_EVENT_TYPE,
                                            .field = DIMSE_N_EVENT_REPORT_RQ,
                                            .affected_class = class,
                                            .affected_instance = instance,
                                            .event_type = to->type};
    else
        e->command = (struct dimse_command){.has = DIMSE_HAS_FIELD | DIMSE_HAS_REQUESTED_CLASS |
                                                   DIMSE_HAS_REQUESTED_INSTANCE | DIMSE_HAS_ACTION_TYPE,
                                            .field = DIMSE_N_ACTION_RQ,
                                            .requested_class = class,
                                            .requested_instance = instance,
                                            .action_type = to->type};
}

bool commitment_errand_begin(struct commitment_errand *e, const struct commitment_errand_to *to,
                             struct view data)
{
    hilum_assert(!e->is_active && data.len > 0 && data.len <= UINT32_MAX);
    e->data = (struct slices){0};
    if (!slices_push_copy(&e->data, to->relay->pool, data.at, data.len, NULL))
        return false;
    text_copy(e->calling, sizeof(e->calling), to->calling, strlen(to->calling));
    text_copy(e->id, sizeof(e->id), to->id, strlen(to->id));
    e->config = config_ref(to->config);
    fill_command(e, to);
    e->source = (struct source){.relay = to->relay,
                                .config = e->config,
                                .calling = e->calling,
                                .calls_as = to->tells ? e->calling : NULL,
                                .user = to->user,
                                .profile = to->tells ? PROFILE_TELLS : 0,
                                .is_full = is_full,
                                .propose = propose};
    e->leg = (struct leg){.owner = e,
                          .association = "commitment",
                          .message = e->id,
                          .source = &e->source,
                          .node = to->node,
                          .abstract_syntax = COMMITMENT_CLASS,
                          .transfer_syntax = DICOM_IMPLICIT_VR_LE,
                          .command = &e->command,
                          .data = &e->data,
                          .silence_ms = to->config->timeouts.response,
                          .fresh_only = true,
                          .on_response = on_response,
                          .on_failed = on_failed};
    e->is_active = true;
    leg_begin(&e->leg);
    return true;
}

void commitment_errand_abandon(struct commitment_errand *e)
{
    if (!e->is_active)
        return;
    leg_abandon(&e->leg);
    over(e);
}
