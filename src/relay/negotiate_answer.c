/* The answer to a sender: transfer syntaxes by vote of the candidates; items as the AND of ours and theirs. */
#include <string.h>

#include "base/log.h"
#include "base/version.h"
#include "dicom/uid.h"
#include "relay/access.h"
#include "relay/commitment_list.h"
#include "relay/negotiate_inside.h"

static bool is_uncompressed(struct view transfer_syntax)
{
    const struct dicom_uid *u = dicom_uid_find((const char *)transfer_syntax.at, transfer_syntax.len);
    return u && u->type == DICOM_UID_TRANSFER_SYNTAX && !u->is_encapsulated && !u->is_deflated;
}

static bool offers_uncompressed(const struct pdu_context *c)
{
    for (unsigned t = 0; t < c->transfer_syntax_count; t++)
        if (is_uncompressed(c->transfer_syntaxes[t]))
            return true;
    return false;
}

static bool node_takes(const struct asked *a, const struct pdu_context *c, unsigned i, unsigned t)
{
    if (a->is_away) /* never seen: what every archive can take (product page, "Negotiation"); the queue takes the rest as well */
        return is_uncompressed(c->transfer_syntaxes[t]) || (a->queues && !offers_uncompressed(c));
    return a->choice[i] == (int)t || negotiate_takes_alone(a, i, t) == 0;
}

/* Of one destination. */
enum { WHOLE_VOTE = 1 << 16 };

/* A pool has one vote, in as many parts as it has members with a say: what all of them take comes first, what one takes is better than nothing. */
static unsigned vote_of_pool(const struct negotiation *g, const struct config_pool *pool,
                             const struct pdu_context *c, unsigned i, unsigned t)
{
    unsigned members = 0, taking = 0;
    for (unsigned n = 0; n < g->asked_count; n++) {
        const struct asked *a = &g->asked[n];
        if (a->is_left_out || !negotiate_is_member(pool, a->node))
            continue;
        members++;
        taking += node_takes(a, c, i, t);
    }
    return members > 0 ? WHOLE_VOTE * taking / members : 0;
}

static unsigned votes_for(const struct negotiation *g, const struct pdu_context *c, unsigned i, unsigned t)
{
    if (dicom_uid_is(c->abstract_syntax, COMMITMENT_CLASS) && !is_uncompressed(c->transfer_syntaxes[t]))
        return 0; /* we read these ourselves, as they are */
    unsigned votes = WHOLE_VOTE * g->contexts[i].takers;
    for (unsigned n = 0; n < g->asked_count; n++)
        if (g->asked[n].is_direct[i] && node_takes(&g->asked[n], c, i, t))
            votes += WHOLE_VOTE;
    for (unsigned n = 0; n < g->pool_count; n++)
        if (g->pools[n].is_candidate[i])
            votes += vote_of_pool(g, g->pools[n].pool, c, i, t);
    return votes;
}

/* The choice of the first node that made one: it breaks ties. */
static int first_choice(const struct negotiation *g, unsigned i)
{
    for (unsigned n = 0; n < g->asked_count; n++)
        if (g->asked[n].is_candidate[i] && !g->asked[n].is_left_out && g->asked[n].choice[i] >= 0)
            return g->asked[n].choice[i];
    return -1;
}

static uint8_t refusal(const struct negotiation *g, unsigned i)
{
    for (unsigned n = 0; n < g->asked_count; n++)
        if (g->asked[n].is_candidate[i] && g->asked[n].choice[i] == KNOWLEDGE_REFUSED)
            return g->asked[n].result[i] ? g->asked[n].result[i] : PDU_CONTEXT_NO_REASON;
    return PDU_CONTEXT_TRANSFER_SYNTAXES;
}

/* Index of the transfer syntax, or -1 with the reason. */
static int choose(const struct negotiation *g, const struct pdu_context *c, unsigned i, uint8_t *result_out)
{
    bool has_candidate = g->contexts[i].takers > 0;
    for (unsigned n = 0; n < g->asked_count; n++)
        has_candidate = has_candidate || g->asked[n].is_candidate[i];
    if (g->contexts[i].is_forbidden) {
        *result_out = PDU_CONTEXT_USER_REJECTION;
        return -1;
    }
    if (g->contexts[i].is_refused) {
        *result_out = PDU_CONTEXT_ABSTRACT_SYNTAX;
        return -1;
    }
    if (!has_candidate) {
        /* C-ECHO has no data set; storage that no route takes is refused image by image, with a clear status. */
        bool is_echo = dicom_uid_is(c->abstract_syntax, DICOM_VERIFICATION);
        for (unsigned t = 0; t < c->transfer_syntax_count; t++)
            if (!is_echo || is_uncompressed(c->transfer_syntaxes[t]))
                return (int)t;
        *result_out = PDU_CONTEXT_TRANSFER_SYNTAXES;
        return -1;
    }
    int best = -1;
    unsigned most = 0;
    for (unsigned t = 0; t < c->transfer_syntax_count; t++) {
        unsigned votes = votes_for(g, c, i, t);
        if (votes > most || (votes > 0 && votes == most && (int)t == first_choice(g, i))) {
            most = votes;
            best = (int)t;
        }
    }
    *result_out = refusal(g, i);
    return best;
}

static bool answer_contexts(const struct negotiation *g, struct pdu_associate *answer, unsigned *accepted_out)
{
    const struct pdu_associate *request = &g->session->a.ul.request;
    answer->contexts = pdu_associate_alloc(answer, (request->context_count + 1U) * sizeof(*answer->contexts));
    if (!answer->contexts)
        return false;
    *accepted_out = 0;
    for (unsigned i = 0; i < request->context_count; i++) {
        const struct pdu_context *c = &request->contexts[i];
        uint8_t result = PDU_CONTEXT_NO_REASON;
        int t = choose(g, c, i, &result);
        answer->contexts[answer->context_count++] =
            (struct pdu_context){.id = c->id,
                                 .result = t >= 0 ? PDU_CONTEXT_ACCEPTED : result,
                                 .transfer_syntaxes = &c->transfer_syntaxes[t >= 0 ? t : 0],
                                 .transfer_syntax_count = 1};
        *accepted_out += t >= 0;
    }
    return true;
}

void negotiate_keep_items(struct asked *a, const struct pdu_associate *answer)
{
    struct pdu_associate *to = &a->items;
    pdu_associate_init(to, true);
    to->roles = pdu_associate_alloc(to, answer->role_count * sizeof(*to->roles) + 1);
    to->extended = pdu_associate_alloc(to, answer->extended_count * sizeof(*to->extended) + 1);
    bool ok = to->roles && to->extended;
    for (unsigned i = 0; ok && i < answer->role_count; i++) {
        to->roles[i] = answer->roles[i];
        ok = pdu_associate_keep(to, answer->roles[i].uid, &to->roles[i].uid);
    }
    for (unsigned i = 0; ok && i < answer->extended_count; i++)
        ok = pdu_associate_keep(to, answer->extended[i].uid, &to->extended[i].uid) &&
             pdu_associate_keep(to, answer->extended[i].info, &to->extended[i].info);
    if (ok && answer->has_identity_response)
        ok = to->has_identity_response =
            pdu_associate_keep(to, answer->identity_response, &to->identity_response);
    if (!ok)
        return;
    to->role_count = answer->role_count;
    to->extended_count = answer->extended_count;
    a->has_items = true;
}

/* The node has answered for that class, and takes it: one that does not has no say in how it is used. */
static bool has_say(const struct negotiation *g, const struct asked *a, struct view uid)
{
    const struct pdu_associate *request = &g->session->a.ul.request;
    for (unsigned i = 0; i < request->context_count && a->has_items && !a->is_left_out; i++)
        if (a->is_candidate[i] && a->choice[i] >= 0 &&
            dicom_uid_equal(request->contexts[i].abstract_syntax, uid))
            return true;
    return false;
}

/* What comes back on contexts of that class by C-GET comes from this node, too. */
static bool gives(const struct negotiation *g, const struct asked *a, struct view uid)
{
    const struct pdu_associate *request = &g->session->a.ul.request;
    for (unsigned i = 0; i < request->context_count; i++)
        if (a->gives[i] && dicom_uid_equal(request->contexts[i].abstract_syntax, uid))
            return true;
    return false;
}

static bool any_gives(const struct negotiation *g, struct view uid)
{
    for (unsigned n = 0; n < g->asked_count; n++)
        if (gives(g, &g->asked[n], uid))
            return true;
    return false;
}

/* A role is granted if it was proposed and every node that takes that class grants it; no answer means the default:
 * requestor SCU, acceptor SCP (PS3.7 D.3.3.4). Without nodes the gateway is an SCP. */
static struct pdu_role answer_role(const struct negotiation *g, const struct pdu_role *proposed)
{
    bool scu = true, scp = true, has_node = false, is_given = any_gives(g, proposed->uid);
    if (dicom_uid_is(proposed->uid, COMMITMENT_CLASS)) /* we are either ourselves */
        return *proposed;
    for (unsigned n = 0; n < g->asked_count; n++) {
        const struct asked *a = &g->asked[n];
        bool node_scu = true, node_scp = false;
        if (!has_say(g, a, proposed->uid))
            continue;
        has_node = true;
        for (unsigned r = 0; r < a->items.role_count; r++)
            if (dicom_uid_equal(a->items.roles[r].uid, proposed->uid)) {
                node_scu = a->items.roles[r].scu;
                node_scp = a->items.roles[r].scp;
            }
        scu = scu && node_scu;
        scp = scp &&
              (node_scp || (is_given && !gives(g, a, proposed->uid))); /* who only takes has no say in it */
    }
    if (dicom_uid_is_storage(proposed->uid)) {
        scu = scu && access_services_of(g->session, proposed->uid, UINT32_C(1) << CONFIG_STORE);
        scp = scp && access_services_of(g->session, proposed->uid, UINT32_C(1) << CONFIG_GET);
    }
    return (struct pdu_role){
        .uid = proposed->uid, .scu = proposed->scu && scu, .scp = proposed->scp && scp && has_node};
}

static bool answer_roles(const struct negotiation *g, struct pdu_associate *answer)
{
    const struct pdu_associate *request = &g->session->a.ul.request;
    if (request->role_count == 0)
        return true;
    answer->roles = pdu_associate_alloc(answer, request->role_count * sizeof(*answer->roles));
    if (!answer->roles)
        return false;
    for (unsigned i = 0; i < request->role_count; i++)
        answer->roles[answer->role_count++] = answer_role(g, &request->roles[i]);
    return true;
}

/* Byte by byte the least of what every node that takes that class answered; a node that left it out cannot do it. */
static bool answer_one_extended(const struct negotiation *g, const struct pdu_extended *proposed,
                                uint8_t *info, size_t *len_out)
{
    bool has_node = false;
    memcpy(info, proposed->info.at, proposed->info.len);
    *len_out = proposed->info.len;
    for (unsigned n = 0; n < g->asked_count; n++) {
        const struct asked *a = &g->asked[n];
        bool found = false;
        if (!has_say(g, a, proposed->uid))
            continue;
        for (unsigned e = 0; e < a->items.extended_count; e++) {
            const struct pdu_extended *x = &a->items.extended[e];
            if (!dicom_uid_equal(x->uid, proposed->uid))
                continue;
            found = has_node = true;
            *len_out = x->info.len < *len_out ? x->info.len : *len_out;
            for (size_t b = 0; b < *len_out; b++)
                info[b] = x->info.at[b] < info[b] ? x->info.at[b] : info[b];
        }
        if (!found)
            return false;
    }
    return has_node;
}

static bool answer_extended(const struct negotiation *g, struct pdu_associate *answer)
{
    const struct pdu_associate *request = &g->session->a.ul.request;
    if (request->extended_count == 0)
        return true;
    answer->extended = pdu_associate_alloc(answer, request->extended_count * sizeof(*answer->extended));
    if (!answer->extended)
        return false;
    for (unsigned i = 0; i < request->extended_count; i++) {
        const struct pdu_extended *proposed = &request->extended[i];
        uint8_t *info = pdu_associate_alloc(answer, proposed->info.len + 1);
        size_t len;
        if (!info)
            return false;
        if (answer_one_extended(g, proposed, info, &len))
            answer->extended[answer->extended_count++] =
                (struct pdu_extended){.uid = proposed->uid, .info = {info, len}};
    }
    return true;
}

static void answer_async(const struct pdu_associate *request, struct pdu_associate *answer)
{
    if (!request->has_async || request->async_invoked == 1) /* absent means 1,1 */
        return;
    bool is_more = request->async_invoked == 0 || request->async_invoked > SESSION_WINDOW_MAX;
    answer->has_async = true;
    answer->async_invoked = is_more ? SESSION_WINDOW_MAX : request->async_invoked;
    answer->async_performed = 1; /* nothing is invoked on a sender */
}

static bool fill_answer(const struct negotiation *g, struct pdu_associate *answer, unsigned *accepted_out)
{
    const struct pdu_associate *request = &g->session->a.ul.request;
    pdu_associate_init(answer, true);
    association_introduce(answer, g->session->listen->max_pdu);
    answer_async(request, answer);
    answer->has_identity_response = g->session->has_checked_identity;
    for (unsigned n = 0; n < g->asked_count && request->has_identity && request->identity.wants_response;
         n++) {
        const struct asked *a = &g->asked[n];
        if (answer->has_identity_response || !a->items.has_identity_response)
            continue;
        answer->has_identity_response =
            pdu_associate_keep(answer, a->items.identity_response, &answer->identity_response);
    }
    return answer_contexts(g, answer, accepted_out) && answer_roles(g, answer) && answer_extended(g, answer);
}

void negotiate_answer(struct negotiation *g)
{
    struct session *s = g->session;
    const struct pdu_associate *request = &s->a.ul.request;
    struct pdu_associate answer;
    unsigned accepted, forbidden = 0;
    for (unsigned i = 0; i < request->context_count; i++)
        forbidden += g->contexts[i].is_forbidden;
    if (!fill_answer(g, &answer, &accepted)) {
        pdu_associate_free(&answer);
        session_refuse_for_now(s, "out of memory");
        return;
    }
    LOG(LOG_INFO, "association accepted", LOG_STR("assoc", s->a.id), LOG_STR("calling", s->calling),
        LOG_STR("called", s->called), LOG_STR("remote", s->remote_text), LOG_STR("listener", s->listen->name),
        LOG_INT("contexts", request->context_count), LOG_INT("accepted", accepted),
        LOG_INT("forbidden", forbidden), LOG_INT("max_length", request->max_length),
        LOG_TEXT("implementation", request->implementation_version.at, request->implementation_version.len));
    association_answer_take(&s->a, &answer);
}
