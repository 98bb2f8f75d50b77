#include "relay/commitment_plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "route/match.h"

/* What is known of an instance at a node, of several rows the one that counts: what is on its way is waited for. */
struct found {
    const struct config_node *node;
    const char *sent;
    enum { FOUND_FAILED, FOUND_THERE, FOUND_ON_ITS_WAY } state;
};

struct making {
    struct commitment_plan *p;
    const struct config *config;
    const struct commitment_record *record;
    bool gives_up;
    struct found *found;
    size_t found_count, found_cap;
};

/* --- claims ---------------------------------------------------------------------------------------------------- */

static struct commitment_ask *ask_of(struct commitment_plan *p, const char *node)
{
    for (size_t n = 0; n < p->ask_count; n++)
        if (strcmp(p->asks[n].node, node) == 0)
            return &p->asks[n];
    struct commitment_ask *asks = realloc(p->asks, (p->ask_count + 1) * sizeof(*asks));
    if (!asks)
        return NULL;
    p->asks = asks;
    struct commitment_ask *a = &asks[p->ask_count];
    *a = (struct commitment_ask){.node = arena_copy(&p->texts, node, strlen(node))};
    p->ask_count += a->node != NULL;
    return a->node ? a : NULL;
}

static struct commitment_claim *room_for_claim(struct commitment_ask *a)
{
    if (a->count == a->cap) {
        size_t cap = a->cap ? a->cap * 2 : 16;
        struct commitment_claim *claims = realloc(a->claims, cap * sizeof(*claims));
        if (!claims)
            return NULL;
        a->claims = claims;
        a->cap = cap;
    }
    return &a->claims[a->count++];
}

static enum result add_claim(struct making *m, size_t item, const struct config_node *node, const char *sent,
                             uint32_t knot)
{
    struct commitment_ask *a = ask_of(m->p, node->name);
    struct commitment_claim *c = a ? room_for_claim(a) : NULL;
    if (!c)
        return ERR_MEMORY;
    const char *received = m->record->list.items[item].sop_instance;
    const struct commitment_answer *answer = commitment_answer_find(m->record, node->name);
    /* What it is called by the requester stays as long as the record. */
    *c = (struct commitment_claim){
        .item = (uint32_t)item,
        .knot = knot,
        .sent = strcmp(sent, received) == 0 ? received : arena_copy(&m->p->texts, sent, strlen(sent)),
        .answer = answer ? answer->of[item] : COMMITMENT_UNASKED};
    m->p->is_known[item] = true;
    return c->sent ? OK : ERR_MEMORY;
}

static enum result add_knot(struct making *m, size_t item, uint32_t parent, bool is_one, uint32_t *out)
{
    struct commitment_plan *p = m->p;
    if (p->knot_count + 1 >= p->knot_cap) {
        uint32_t cap = p->knot_cap ? p->knot_cap * 2 : 16;
        struct commitment_knot *knots = realloc(p->knots, cap * sizeof(*knots));
        if (!knots)
            return ERR_MEMORY;
        p->knots = knots;
        p->knot_cap = cap;
    }
    *out = ++p->knot_count;
    p->knots[*out] = (struct commitment_knot){.item = (uint32_t)item, .parent = parent, .is_one = is_one};
    return OK;
}

static void fail_item(struct making *m, size_t item, uint16_t reason)
{
    m->p->is_known[item] = true;
    m->p->reasons[item] = commitment_worse(m->p->reasons[item], reason);
}

/* --- by the ledger ----------------------------------------------------------------------------------------------- */

static bool names(const struct config_node *const *nodes, size_t count, const struct config_node *node)
{
    for (size_t n = 0; n < count; n++) {
        if (nodes[n] == node)
            return true;
        const struct config_pool *pool = nodes[n]->pool;
        for (size_t k = 0; pool && k < pool->member_count; k++)
            if (pool->members[k] == node)
                return true;
    }
    return false;
}

static const struct config_route *route_named(const struct config *config, const char *name)
{
    for (size_t n = 0; n < config->route_count; n++)
        if (strcmp(config->routes[n].name, name) == 0)
            return &config->routes[n];
    return NULL;
}

/* Whether what went there by this route has to be committed: never by folders. A route that is gone, or an operator who sent it elsewhere, counts as `to`. */
static bool is_asked_for(const struct config_route *route, const struct config_node *node)
{
    if (node->is_folder)
        return false;
    if (!route)
        return true;
    if (route->service != CONFIG_STORE || route->commits == CONFIG_COMMIT_NEVER)
        return false;
    return route->commits == CONFIG_COMMIT_ALWAYS || names(route->to, route->to_count, node) ||
           (!names(route->copy, route->copy_count, node) && !route->has_on_study);
}

static int found_state(enum spool_state state)
{
    switch (state) {
    case SPOOL_DELIVERED:
    case SPOOL_RELAYED:
        return FOUND_THERE;
    case SPOOL_HELD:
    case SPOOL_QUEUED:
    case SPOOL_WAITING:
        return FOUND_ON_ITS_WAY;
    default:
        return FOUND_FAILED;
    }
}

static enum result take_row(struct making *m, const struct spool_whereabout *row)
{
    const struct config_node *node = config_node_named(m->config, row->node);
    if (!node || !is_asked_for(route_named(m->config, row->route), node))
        return OK;
    int state = found_state(row->state);
    for (size_t n = 0; n < m->found_count; n++) {
        struct found *f = &m->found[n];
        if (f->node != node || strcmp(f->sent, row->sent_instance) != 0)
            continue;
        if (state > (int)f->state)
            f->state = state;
        return OK;
    }
    if (m->found_count == m->found_cap) {
        size_t cap = m->found_cap ? m->found_cap * 2 : 16;
        struct found *found = realloc(m->found, cap * sizeof(*found));
        if (!found)
            return ERR_MEMORY;
        m->found = found;
        m->found_cap = cap;
    }
    m->found[m->found_count++] = (struct found){node, row->sent_instance, state};
    return OK;
}

static enum result claim_found(struct making *m, size_t item)
{
    enum result r = OK;
    for (size_t n = 0; r == OK && n < m->found_count; n++) {
        const struct found *f = &m->found[n];
        if (f->state == FOUND_ON_ITS_WAY && !m->gives_up) {
            m->p->queued++;
            m->p->is_known[item] = true;
        } else if (f->state != FOUND_THERE) {
            fail_item(m, item, COMMITMENT_PROCESSING_FAILURE);
        } else {
            r = add_claim(m, item, f->node, f->sent, 0);
        }
    }
    return r;
}

/* --- by the routes ------------------------------------------------------------------------------------------------- */

/* What came from a node does not go back to it. */
static bool may_be_asked(const struct making *m, const struct config_route *route,
                         const struct config_node *node)
{
    bool is_sender = !route->back_to_sender && strcmp(node->ae_title, m->record->calling) == 0;
    return !node->is_folder && !is_sender;
}

static enum result claim_node(struct making *m, size_t item, const struct config_route *route,
                              const struct config_node *node, uint32_t knot)
{
    const char *sent = m->record->list.items[item].sop_instance;
    if (!node->pool)
        return may_be_asked(m, route, node) ? add_claim(m, item, node, sent, knot) : OK;
    enum result r = add_knot(m, item, knot, true, &knot);
    for (size_t k = 0; r == OK && k < node->pool->member_count; k++)
        r = add_claim(m, item, node->pool->members[k], sent, knot);
    return r;
}

static enum result claim_route(struct making *m, size_t item, const struct config_route *route, uint32_t knot)
{
    enum result r = OK;
    if (route->commits == CONFIG_COMMIT_NEVER)
        return OK;
    for (size_t n = 0; r == OK && n < route->to_count; n++)
        r = claim_node(m, item, route, route->to[n], knot);
    for (size_t n = 0; r == OK && route->commits == CONFIG_COMMIT_ALWAYS && n < route->copy_count; n++)
        r = claim_node(m, item, route, route->copy[n], knot);
    return r;
}

/* Of all routes that certainly hold, or an alternative for each that may. */
static enum result claim_routes(struct making *m, size_t item, const struct route_facts *facts,
                                bool is_certain)
{
    const struct config *c = m->config;
    uint32_t several = 0, way = 0;
    bool may_be_over = false;
    enum result r = is_certain ? OK : add_knot(m, item, 0, true, &several);
    for (size_t n = 0; r == OK && n < c->route_count; n++) {
        enum match match;
        if (!match_route(&c->routes[n], facts, &match) || match == MATCH_NO)
            continue;
        if (match == MATCH_YES && may_be_over)
            match = MATCH_MAYBE;
        if (is_certain ? match == MATCH_YES : match == MATCH_MAYBE) {
            if (!is_certain)
                r = add_knot(m, item, several, false, &way);
            if (r == OK)
                r = claim_route(m, item, &c->routes[n], way);
        }
        if (c->routes[n].is_final && match == MATCH_YES)
            break;
        may_be_over = may_be_over || c->routes[n].is_final;
    }
    return r;
}

static enum result claim_by_routes(struct making *m, size_t item, enum config_service service)
{
    const struct commitment_record *r = m->record;
    bool is_store = service == CONFIG_STORE;
    struct route_facts facts = {
        .service = service,
        .calling = view_of(r->calling),
        .called = view_of(r->called),
        .listener = r->listener,
        .sop_class = view_of(is_store ? r->list.items[item].sop_class : COMMITMENT_CLASS),
        .sop_instance = view_of(is_store ? r->list.items[item].sop_instance : COMMITMENT_INSTANCE),
        .has_instance = true};
    memcpy(facts.remote, r->remote, sizeof(facts.remote));
    enum result result = claim_routes(m, item, &facts, true);
    if (result == OK && !m->p->is_known[item])
        result = claim_routes(m, item, &facts, false);
    return result;
}

/* --- all of it --------------------------------------------------------------------------------------------------------- */

static enum result plan_item(struct making *m, size_t item, const struct spool_whereabout *rows, size_t count)
{
    enum result r = OK;
    m->found_count = 0;
    for (size_t n = 0; r == OK && n < count; n++)
        r = take_row(m, &rows[n]);
    if (r == OK)
        r = claim_found(m, item);
    if (r == OK && !m->p->is_known[item])
        r = claim_by_routes(m, item, CONFIG_COMMIT);
    if (r == OK && !m->p->is_known[item])
        r = claim_by_routes(m, item, CONFIG_STORE);
    if (r == OK && !m->p->is_known[item])
        fail_item(m, item, COMMITMENT_NO_SUCH_INSTANCE);
    return r;
}

enum result commitment_plan_make(struct commitment_plan *p, const struct config *config,
                                 const struct commitment_record *r, const struct spool_whereabout *rows,
                                 size_t row_count, bool gives_up)
{
    struct making m = {.p = p, .config = config, .record = r, .gives_up = gives_up};
    *p = (struct commitment_plan){0};
    p->reasons = calloc(r->list.count + 1, sizeof(*p->reasons));
    p->is_known = calloc(r->list.count + 1, sizeof(*p->is_known));
    enum result result = p->reasons && p->is_known ? OK : ERR_MEMORY;
    size_t row = 0;
    for (size_t item = 0; result == OK && item < r->list.count; item++) {
        size_t end = row;
        while (end < row_count && rows[end].instance == item)
            end++;
        result = plan_item(&m, item, rows ? rows + row : NULL, end - row);
        row = end;
    }
    free(m.found);
    return result;
}

void commitment_plan_free(struct commitment_plan *p)
{
    for (size_t n = 0; n < p->ask_count; n++)
        free(p->asks[n].claims);
    free(p->asks);
    free(p->reasons);
    free(p->is_known);
    free(p->knots);
    arena_free(&p->texts);
    *p = (struct commitment_plan){0};
}

/* --- answers ----------------------------------------------------------------------------------------------------------- */

bool commitment_ask_is_answered(const struct commitment_ask *a)
{
    for (size_t n = 0; n < a->count; n++)
        if (a->claims[n].answer == COMMITMENT_UNASKED)
            return false;
    return true;
}

static int compare_items(const void *a, const void *b)
{
    const struct commitment_item *one = a, *other = b;
    return strcmp(one->sop_instance, other->sop_instance);
}

static uint16_t reason_in(const struct commitment_item *by_uid, size_t count, const char *uid)
{
    struct commitment_item wanted = {.sop_instance = uid};
    const struct commitment_item *at =
        count > 0 ? bsearch(&wanted, by_uid, count, sizeof(*by_uid), compare_items) : NULL;
    if (!at)
        return COMMITMENT_NO_SUCH_INSTANCE;
    uint16_t reason = COMMITMENT_COMMITTED; /* one that is in both lists has failed */
    while (at > by_uid && compare_items(at - 1, &wanted) == 0)
        at--;
    for (; at < by_uid + count && compare_items(at, &wanted) == 0; at++)
        reason = commitment_worse(reason, at->reason);
    return reason;
}

void commitment_ask_take(struct commitment_ask *a, struct commitment_list *report)
{
    if (report->count > 0)
        qsort(report->items, report->count, sizeof(*report->items), compare_items);
    for (size_t n = 0; n < a->count; n++)
        if (a->claims[n].answer == COMMITMENT_UNASKED)
            a->claims[n].answer = reason_in(report->items, report->count, a->claims[n].sent);
}

void commitment_ask_fail(struct commitment_ask *a, uint16_t reason)
{
    for (size_t n = 0; n < a->count; n++)
        if (a->claims[n].answer == COMMITMENT_UNASKED)
            a->claims[n].answer = reason;
}

bool commitment_ask_keep(const struct commitment_ask *a, struct commitment_record *r)
{
    struct commitment_answer *answer = commitment_answer_of(r, a->node);
    for (size_t n = 0; answer && n < a->count; n++) {
        uint16_t *of = &answer->of[a->claims[n].item];
        /* Under two names it may be there by one of them. */
        *of = *of == COMMITMENT_UNASKED ? a->claims[n].answer : commitment_worse(*of, a->claims[n].answer);
    }
    return answer != NULL;
}

/* What became of a knot so far. */
struct outcome {
    bool is_used, has_one;
    uint16_t reason;
};

static void take_answer(struct outcome *o, uint16_t reason)
{
    o->is_used = true;
    o->has_one = o->has_one || reason == COMMITMENT_COMMITTED;
    o->reason = commitment_worse(o->reason, reason);
}

static void pass_on(const struct commitment_plan *p, struct commitment_record *r, struct outcome *outcomes)
{
    for (uint32_t k = p->knot_count; k > 0; k--) {
        const struct commitment_knot *knot = &p->knots[k];
        const struct outcome *o = &outcomes[k];
        uint16_t reason = knot->is_one && o->has_one ? COMMITMENT_COMMITTED : o->reason;
        uint16_t *item = &r->list.items[knot->item].reason;
        if (o->is_used && knot->parent)
            take_answer(&outcomes[knot->parent], reason);
        else if (o->is_used)
            *item = commitment_worse(*item, reason);
    }
}

enum result commitment_plan_decide(const struct commitment_plan *p, struct commitment_record *r)
{
    struct outcome *outcomes = calloc(p->knot_count + 1, sizeof(*outcomes));
    if (!outcomes)
        return ERR_MEMORY;
    for (size_t n = 0; n < r->list.count; n++)
        r->list.items[n].reason = p->reasons[n];
    for (size_t a = 0; a < p->ask_count; a++) {
        for (size_t n = 0; n < p->asks[a].count; n++) {
            const struct commitment_claim *c = &p->asks[a].claims[n];
            uint16_t *item = &r->list.items[c->item].reason;
            hilum_assert(c->answer != COMMITMENT_UNASKED);
            if (c->knot)
                take_answer(&outcomes[c->knot], c->answer);
            else
                *item = commitment_worse(*item, c->answer);
        }
    }
    pass_on(p, r, outcomes);
    free(outcomes);
    r->is_decided = true;
    return OK;
}
