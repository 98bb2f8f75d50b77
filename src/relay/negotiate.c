/*
 * What a sender is offered follows from what its candidate destinations take.
 *
 *   1 candidates: for each context, the nodes of every route that may hold, and the destinations of the sender's C-MOVEs through us
 *   2 what is not known of a node is asked: the sender's contexts, mirrored with the same ids, on an association that then
 *     waits in the outbound pool for the first message
 *   3 where the choices of several nodes differ, they are asked again, one transfer syntax a context
 *   4 each context gets the transfer syntax that most of its candidates take unchanged (negotiate_answer.c)
 */
#include "relay/access.h"
#include "relay/health.h"
#include "relay/moves.h"
#include "relay/negotiate_inside.h"
#include "relay/proposal.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "dicom/uid.h"
#include "relay/commitment.h"
#include "route/service.h"

static void advance(struct negotiation *g);

static const struct pdu_associate *request_of(const struct negotiation *g)
{
    return &g->session->a.ul.request;
}

static struct asked *asked_for(struct negotiation *g, const struct config_node *node)
{
    for (unsigned i = 0; i < g->asked_count; i++)
        if (g->asked[i].node == node)
            return &g->asked[i];
    struct asked *a = &g->asked[g->asked_count++];
    a->g = g;
    a->node = node;
    for (unsigned i = 0; i < PDU_CONTEXTS_MAX; i++)
        a->choice[i] = KNOWLEDGE_UNKNOWN;
    return a;
}

static struct asked_pool *pool_for(struct negotiation *g, const struct config_pool *pool)
{
    for (unsigned i = 0; i < g->pool_count; i++)
        if (g->pools[i].pool == pool)
            return &g->pools[i];
    g->pools[g->pool_count].pool = pool;
    return &g->pools[g->pool_count++];
}

bool negotiate_is_member(const struct config_pool *pool, const struct config_node *node)
{
    for (size_t i = 0; i < pool->member_count; i++)
        if (pool->members[i] == node)
            return true;
    return false;
}

static struct asked *add_candidate(struct negotiation *g, unsigned i, const struct config_node *node,
                                   const struct route_destination *to)
{
    struct asked *a = asked_for(g, node);
    a->is_candidate[i] = true;
    a->queues = a->queues || (to->queues && g->session->relay->spool);
    return a;
}

/* A destination of something that comes on context i. */
static void add_destination(struct negotiation *g, unsigned i, const struct route_destination *to, bool gives)
{
    const struct config_pool *pool = to->node->pool;
    /* The queue takes everything, as a folder does; beside a `to` a copy has no say. */
    if (to->takes_all || (to->node->is_folder && !to->is_copy))
        g->contexts[i].takers++;
    if (to->node->is_folder || to->is_copy)
        return;
    if (!pool) {
        struct asked *a = add_candidate(g, i, to->node, to);
        a->is_direct[i] = a->has_direct = true;
        a->gives[i] = a->gives[i] || gives;
        return;
    }
    pool_for(g, pool)->is_candidate[i] = true;
    for (size_t m = 0; m < pool->member_count; m++) {
        struct asked *a = add_candidate(g, i, pool->members[m], to);
        a->gives[i] = a->gives[i] || gives;
    }
}

/* Which services may come on a context, by its class and the roles that the sender proposes for it. */
static uint32_t services_of(const struct negotiation *g, struct view abstract_syntax)
{
    const struct pdu_associate *request = request_of(g);
    for (unsigned r = 0; r < request->role_count; r++)
        if (dicom_uid_equal(request->roles[r].uid, abstract_syntax))
            return route_services_of(abstract_syntax, request->roles[r].scu, request->roles[r].scp);
    return route_services_of(abstract_syntax, true, false);
}

static bool find_candidates_for(struct negotiation *g, unsigned i, enum config_service service)
{
    const struct pdu_context *c = &request_of(g)->contexts[i];
    struct route_facts facts;
    struct route_decision decision = {0};
    session_facts(g->session, service, &facts);
    if (service != CONFIG_ECHO)
        facts.sop_class = c->abstract_syntax;
    bool ok = route_decide(g->session->config, &facts, &decision) == OK;
    g->contexts[i].is_served = g->contexts[i].is_served || (ok && decision.matched);
    for (size_t d = 0; ok && d < decision.count; d++)
        add_destination(g, i, &decision.destinations[d], service == CONFIG_GET);
    route_decision_free(&decision);
    return ok;
}

/* 1: who may be sent what comes on context i. What is not stored, and no route serves, is refused here; the rest by a status. */
static bool find_candidates(struct negotiation *g, unsigned i)
{
    struct view abstract_syntax = request_of(g)->contexts[i].abstract_syntax;
    uint32_t services = access_services_of(g->session, abstract_syntax, services_of(g, abstract_syntax));
    bool ok = true;
    g->contexts[i].is_forbidden = services == 0;
    if (services == 1U << CONFIG_COMMIT) { /* by ourselves, of requesters and of nodes that report */
        g->contexts[i].takers = commitment_is_served(g->session->config);
        g->contexts[i].is_refused = !g->contexts[i].takers;
        return true;
    }
    for (unsigned s = 0; ok && s < CONFIG_SERVICES; s++)
        if (services & (UINT32_C(1) << s))
            ok = find_candidates_for(g, i, (enum config_service)s);
    bool is_ours = services & (1U << CONFIG_STORE | 1U << CONFIG_ECHO);
    g->contexts[i].is_refused = !is_ours && !g->contexts[i].is_served;
    return ok;
}

static bool takes_instances(const struct negotiation *g, unsigned i)
{
    return !g->contexts[i].is_forbidden && dicom_uid_is_storage(request_of(g)->contexts[i].abstract_syntax);
}

/* Beside those of routes: to whom goes what an archive sends for C-MOVEs through us. */
static bool add_moved(struct negotiation *g)
{
    struct session *s = g->session;
    const struct pdu_associate *request = request_of(g);
    const struct config_node **nodes = calloc(s->config->node_count + 1, sizeof(*nodes));
    if (!nodes)
        return false;
    size_t count = moves_destinations(s->relay->moves, s->config, s->calling, io_now(s->relay->io), nodes);
    for (unsigned i = 0; count > 0 && i < request->context_count; i++)
        for (size_t n = 0; takes_instances(g, i) && n < count; n++)
            add_destination(g, i, &(struct route_destination){.node = nodes[n], .is_moved = true}, false);
    free(nodes);
    return true;
}

/* Fills the node's choices from what is known; true if something is not known. */
static bool look_up(struct asked *a)
{
    const struct pdu_associate *request = request_of(a->g);
    struct relay *r = a->g->session->relay;
    bool unknown = false;
    for (unsigned i = 0; i < request->context_count; i++) {
        const struct pdu_context *c = &request->contexts[i];
        if (!a->is_candidate[i])
            continue;
        a->choice[i] = (int16_t)knowledge_choice(
            outbound_knowledge(r->outbound), a->node,
            proposal_calling(a->g->session->config, a->g->session->calling, a->node), c->abstract_syntax,
            c->transfer_syntaxes, c->transfer_syntax_count, io_now(r->io), &a->result[i]);
        unknown = unknown || a->choice[i] == KNOWLEDGE_UNKNOWN;
    }
    return unknown;
}

int negotiate_takes_alone(const struct asked *a, unsigned context, unsigned t)
{
    const struct pdu_context *c = &request_of(a->g)->contexts[context];
    struct relay *r = a->g->session->relay;
    return knowledge_choice(outbound_knowledge(r->outbound), a->node,
                            proposal_calling(a->g->session->config, a->g->session->calling, a->node),
                            c->abstract_syntax, &c->transfer_syntaxes[t], 1, io_now(r->io), NULL);
}

static bool build_mirror(struct outbound_want *w, struct pdu_associate *request)
{
    const struct asked *a = w->owner;
    const struct pdu_associate *senders = request_of(a->g);
    for (unsigned i = 0; i < senders->context_count; i++) {
        const struct pdu_context *c = &senders->contexts[i];
        if (a->is_candidate[i] &&
            !proposal_add(request, c->id, c->abstract_syntax, c->transfer_syntaxes, c->transfer_syntax_count))
            return false;
    }
    return proposal_add_extras(request, a->g->session);
}

/* Calls visit for each (context, transfer syntax) that the node has to be asked about alone; stops when it says false. */
static bool each_open_pair(const struct asked *a,
                           bool (*visit)(struct pdu_associate *request, const struct pdu_context *c,
                                         unsigned t),
                           struct pdu_associate *request)
{
    const struct negotiation *g = a->g;
    const struct pdu_associate *senders = request_of(g);
    for (unsigned i = 0; i < senders->context_count; i++) {
        if (!a->is_candidate[i] || a->is_away || a->is_left_out || a->choice[i] < 0)
            continue;
        for (unsigned o = 0; o < g->asked_count; o++) {
            const struct asked *other = &g->asked[o];
            int t = other->choice[i];
            if (!other->is_candidate[i] || t < 0 || t == a->choice[i] ||
                negotiate_takes_alone(a, i, (unsigned)t) != KNOWLEDGE_UNKNOWN)
                continue;
            if (!visit(request, &senders->contexts[i], (unsigned)t))
                return false;
        }
    }
    return true;
}

static bool add_alone(struct pdu_associate *request, const struct pdu_context *c, unsigned t)
{
    if (request->context_count >= PDU_CONTEXTS_MAX)
        return true; /* left unknown */
    return proposal_add(request, (uint8_t)(2 * request->context_count + 1), c->abstract_syntax,
                        &c->transfer_syntaxes[t], 1);
}

static bool found_one(struct pdu_associate *request, const struct pdu_context *c, unsigned t)
{
    (void)request, (void)c, (void)t;
    return false;
}

static bool build_alone(struct outbound_want *w, struct pdu_associate *request)
{
    const struct asked *a = w->owner;
    return each_open_pair(a, add_alone, request) && proposal_add_extras(request, a->g->session);
}

static void on_answer(struct outbound_want *w, const struct pdu_associate *request,
                      const struct pdu_associate *answer)
{
    struct asked *a = w->owner;
    (void)request;
    look_up(a); /* the pool has learned it already */
    if (a->g->round == 1)
        negotiate_keep_items(a, answer);
}

static void asked_over(struct asked *a)
{
    struct negotiation *g = a->g;
    a->is_pending = false;
    health_end_trial(g->session->relay, a->node, &a->is_trial);
    if (--g->pending == 0)
        advance(g);
}

static void on_ready(struct outbound_want *w, const struct association_context *context, bool is_reused)
{
    struct asked *a = w->owner;
    (void)context, (void)is_reused;
    health_sign(a->g->session->relay, a->node, CIRCUIT_THERE, NULL);
    asked_over(a);
}

static void on_failed(struct outbound_want *w, enum outbound_failure kind, const char *why)
{
    struct asked *a = w->owner;
    struct relay *r = a->g->session->relay;
    struct refusal told = {.cause = why, .listener = "", .remote = a->node->name, .title = ""};
    bool is_told = refusals_note(&r->totals->unreached, io_now(r->io), &told);
    LOG(is_told ? LOG_WARN : LOG_DEBUG, "node not reached for negotiation",
        LOG_STR("assoc", a->g->session->a.id), LOG_STR("node", a->node->name), LOG_STR("cause", why));
    health_failed(r, w, kind, why);
    if (a->g->round == 1) {
        a->is_away = true;
        a->is_rejected = kind == OUTBOUND_REJECTED;
    }
    asked_over(a);
}

static void ask(struct asked *a, bool (*build)(struct outbound_want *w, struct pdu_associate *request))
{
    struct session *s = a->g->session;
    a->want = (struct outbound_want){.owner = a,
                                     .config = s->config,
                                     .node = a->node,
                                     .calling = proposal_calling(s->config, s->calling, a->node),
                                     .user = s->user,
                                     .profile = s->source.profile,
                                     .is_private = s->extras && s->extras->has_identity,
                                     .wait_ms = s->config->timeouts.association,
                                     .build = build,
                                     .on_ready = on_ready,
                                     .on_answer = on_answer,
                                     .on_failed = on_failed};
    a->is_pending = true;
    a->g->pending++;
    outbound_acquire(s->relay->outbound, &a->want);
}

/* Is the sender one of our nodes? Its title tells, with its address, or a certificate for the node's name; what comes from a node does not go back
 * to it. */
static bool shows_name_of(const struct session *s, const struct config_node *node)
{
    const struct tls *t = s->a.stream.tls;
    return t && node->tls && tls_peer_is_named(t, node->tls->name ? node->tls->name : node->host);
}

static void on_resolved(struct io_resolve *q)
{
    struct origin *o = q->owner;
    struct negotiation *g = o->g;
    uint8_t bytes[16];
    o->is_pending = false;
    for (unsigned i = 0; !g->is_cancelled && i < q->count; i++) {
        io_address_bytes(&q->addresses[i], bytes, NULL);
        if (memcmp(bytes, g->session->remote, sizeof(bytes)) == 0)
            g->session->came_from[o->node->index] = true;
    }
    if (--g->pending == 0)
        advance(g);
}

static bool find_origin(struct negotiation *g)
{
    struct session *s = g->session;
    const struct config *c = s->config;
    unsigned count = 0;
    for (size_t i = 0; i < c->node_count; i++)
        count += !c->nodes[i].is_folder && strcmp(c->nodes[i].ae_title, s->calling) == 0;
    if (count == 0)
        return true;
    s->came_from = calloc(c->node_count, sizeof(*s->came_from));
    g->origins = calloc(count, sizeof(*g->origins));
    if (!s->came_from || !g->origins)
        return false;
    for (size_t i = 0; i < c->node_count; i++) {
        const struct config_node *node = &c->nodes[i];
        if (node->is_folder || strcmp(node->ae_title, s->calling) != 0)
            continue;
        if (shows_name_of(s, node)) {
            s->came_from[i] = true;
            continue;
        }
        struct origin *o = &g->origins[g->origin_count++];
        *o = (struct origin){.g = g, .node = node, .is_pending = true};
        o->query = (struct io_resolve){.on_done = on_resolved, .owner = o};
        g->pending++;
        io_resolve(s->relay->io, s->relay->resolver, &o->query, node->host, node->port);
    }
    return true;
}

static void negotiation_free(struct negotiation *g)
{
    for (unsigned i = 0; i < g->asked_count; i++)
        pdu_associate_free(&g->asked[i].items);
    free(g->asked);
    free(g->pools);
    free(g->origins);
    session_unref(g->session);
    free(g);
}

static void ask_again(struct negotiation *g)
{
    g->round = 2;
    for (unsigned i = 0; i < g->asked_count; i++)
        if (!each_open_pair(&g->asked[i], found_one, NULL))
            ask(&g->asked[i], build_alone);
}

/* Every rejected candidate, and an identity that may be the cause: the sender learns it now, not image by image. */
static bool identity_refused(const struct negotiation *g)
{
    unsigned rejected = 0;
    for (unsigned i = 0; i < g->asked_count; i++) {
        if (!g->asked[i].is_rejected && !g->asked[i].is_left_out)
            return false;
        rejected += g->asked[i].is_rejected;
    }
    return request_of(g)->has_identity && rejected > 0;
}

/* --- members of pools that are away ------------------------------------------------------------------------- */

static bool is_there(const struct negotiation *g, const struct asked *a)
{
    struct relay *r = g->session->relay;
    return !a->is_away && circuit_may_try(r->circuits, a->node, io_now(r->io), NULL);
}

static bool has_other(const struct negotiation *g, const struct config_pool *pool, const struct asked *one)
{
    for (unsigned i = 0; i < g->asked_count; i++) {
        const struct asked *a = &g->asked[i];
        if (a != one && negotiate_is_member(pool, a->node) && is_there(g, a))
            return true;
    }
    return false;
}

/* Each pool that it is asked for has another one that is there: nobody waits for it, and what it would take does not matter. */
static bool may_be_left_out(const struct negotiation *g, const struct asked *a)
{
    bool may = !a->has_direct;
    for (unsigned i = 0; may && i < g->pool_count; i++)
        may = !negotiate_is_member(g->pools[i].pool, a->node) || has_other(g, g->pools[i].pool, a);
    return may;
}

static void leave_out_away(struct negotiation *g)
{
    for (unsigned i = 0; i < g->asked_count; i++) {
        struct asked *a = &g->asked[i];
        if (a->is_away && may_be_left_out(g, a))
            a->is_left_out = true;
    }
}

/* The sender does not wait for one that is known to be away, where others can answer. */
static bool is_another_there(const struct negotiation *g, const struct asked *one)
{
    for (unsigned i = 0; i < g->asked_count; i++)
        if (&g->asked[i] != one && is_there(g, &g->asked[i]))
            return true;
    return false;
}

/* False: nothing is to be had of it now. */
static bool is_to_be_asked(struct asked *a)
{
    struct negotiation *g = a->g;
    bool may_be_out = may_be_left_out(g, a);
    bool may_pass = a->queues || may_be_out || is_another_there(g, a);
    if (!may_pass || health_may_try(g->session->relay, a->node, &a->is_trial))
        return true;
    a->is_left_out = may_be_out;
    a->is_away = !may_be_out;
    return false;
}

/* Nothing is pending: the next round, or the answer. */
static void advance(struct negotiation *g)
{
    static const struct access_refusal identity_is_refused = {
        .reject = {PDU_REJECT_PERMANENT, PDU_REJECT_ACSE, PDU_REJECT_NO_REASON},
        .cause = "the nodes reject it, which has a user identity",
        .title = ""};
    struct session *s = g->session;
    if (g->is_cancelled) {
        negotiation_free(g);
        return;
    }
    leave_out_away(g);
    if (g->round == 1)
        ask_again(g);
    if (g->pending > 0)
        return;
    s->negotiation = NULL;
    if (identity_refused(g))
        session_refuse(s, &identity_is_refused);
    else
        negotiate_answer(g);
    negotiation_free(g);
}

static bool prepare(struct negotiation *g)
{
    struct session *s = g->session;
    size_t ae_nodes = 0;
    for (size_t i = 0; i < s->config->node_count; i++)
        ae_nodes += !s->config->nodes[i].is_folder;
    g->asked = calloc(ae_nodes ? ae_nodes : 1, sizeof(*g->asked));
    g->pools = calloc(s->config->pool_count ? s->config->pool_count : 1, sizeof(*g->pools));
    if (!g->asked || !g->pools || !proposal_keep_extras(s, request_of(g)))
        return false;
    for (unsigned i = 0; i < request_of(g)->context_count; i++)
        if (!find_candidates(g, i))
            return false;
    return add_moved(g) && find_origin(g);
}

void negotiate_begin(struct session *s)
{
    struct negotiation *g = calloc(1, sizeof(*g));
    if (g) {
        g->session = s;
        session_ref(s);
        s->negotiation = g;
        g->round = 1;
    }
    if (!g || !prepare(g)) {
        session_refuse_for_now(s, "its request is too large, or out of memory");
        return; /* on_end has cancelled what was begun */
    }
    const struct pdu_associate *r = request_of(g);
    bool needs_items = r->role_count + r->extended_count > 0 || r->has_identity;
    for (unsigned i = 0; i < g->asked_count; i++) {
        struct asked *a = &g->asked[i];
        if (!look_up(a) && !needs_items)
            continue;
        if (is_to_be_asked(a))
            ask(a, build_mirror);
    }
    if (g->pending == 0)
        advance(g);
}

void negotiate_cancel(struct session *s)
{
    struct negotiation *g = s->negotiation;
    if (!g)
        return;
    s->negotiation = NULL;
    g->is_cancelled = true;
    for (unsigned i = 0; i < g->asked_count; i++) {
        if (!g->asked[i].is_pending)
            continue;
        outbound_cancel(&g->asked[i].want);
        health_end_trial(s->relay, g->asked[i].node, &g->asked[i].is_trial);
        g->asked[i].is_pending = false;
        g->pending--;
    }
    if (g->pending == 0) /* else the resolver still holds a query */
        negotiation_free(g);
}
