/* Which destinations a call has: routes decide on its facts and its whole data set; pools are their members; each node comes once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "dicom/encoding.h"
#include "dicom/peek.h"
#include "dimse/status.h"
#include "relay/balance.h"
#include "relay/call.h"
#include "relay/call_rules.h"

static void facts_of(const struct call *c, struct route_facts *out)
{
    session_facts(c->session, c->service, out);
    out->sop_class = c->sop_class;
    out->sop_instance = c->sop_instance;
    out->has_instance = true;
}

static bool fail_memory(struct call *c)
{
    call_fail(c, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
    return false;
}

/* --- attributes ------------------------------------------------------------------------------------------------- */

static enum result feed(struct dicom_peek *p, const struct slices *data)
{
    enum result r = NEED_MORE;
    for (uint32_t i = 0; r == NEED_MORE && i < data->count; i++) {
        const struct slice *s = slices_at(data, i);
        r = dicom_peek_feed(p, s->at, s->len);
    }
    return r == NEED_MORE ? dicom_peek_end(p) : r;
}

static enum result look(struct call *c, const bool *wanted, struct dicom_peek *p,
                        const struct dicom_path **paths)
{
    bool is_deflated;
    struct dicom_encoding encoding = dicom_encoding_of(view_of(c->transfer_syntax), &is_deflated);
    size_t count = route_attributes_paths(c->session->config, wanted, paths);
    enum result r = dicom_peek_begin(p, paths, count, encoding, is_deflated);
    if (r == OK)
        r = feed(p, &c->received);
    if (r == OK)
        r = route_attributes_take(&c->attributes, wanted, p, c->session->relay->charsets);
    return r;
}

/* What routes ask of the data set. False: the call has been answered. */
static bool take_attributes(struct call *c, const bool *wanted)
{
    const struct config *config = c->session->config;
    const struct dicom_path **paths = calloc(config->attribute_count + 1, sizeof(*paths));
    struct dicom_peek *p = dicom_peek_new();
    enum result r = paths && p ? look(c, wanted, p, paths) : ERR_MEMORY;
    if (r == ERR_PROTO)
        call_fail(c, DIMSE_STATUS_CANNOT_UNDERSTAND, dicom_peek_fault(p, NULL));
    else if (r != OK)
        fail_memory(c);
    dicom_peek_free(&p);
    free(paths);
    return r == OK;
}

/* --- destinations ----------------------------------------------------------------------------------------------- */

static bool has_destination(const struct call *c, const struct config_node *node)
{
    for (size_t i = 0; i < c->destination_count; i++)
        if (c->destinations[i].node == node)
            return true;
    return false;
}

static void add(struct call *c, const struct route_destination *d, const struct config_node *node)
{
    const struct session *s = c->session;
    bool goes_back = s->came_from && s->came_from[node->index] && !d->back_to_sender;
    if (!goes_back && !has_destination(c, node))
        c->destinations[c->destination_count++] = (struct call_destination){
            .node = node, .route = d->route, .data = c->has_data ? &c->received : NULL};
}

static size_t count_nodes(const struct route_decision *d)
{
    size_t count = 1;
    for (size_t i = 0; i < d->count; i++)
        count += d->destinations[i].node->pool ? d->destinations[i].node->pool->member_count : 1;
    return count;
}

/* Some route is for this service. */
static bool is_served(const struct call *c)
{
    const struct config *config = c->session->config;
    for (size_t i = 0; i < config->route_count; i++)
        if (config->routes[i].service == c->service)
            return true;
    return false;
}

static void fail_service(struct call *c)
{
    char comment[65];
    snprintf(comment, sizeof(comment), "no route is for service \"%s\"", config_service_name(c->service));
    call_fail(c, DIMSE_STATUS_UNRECOGNISED_OPERATION, comment);
}

/*
 * A normalized request goes to one member of a pool: the same for all of an association where requests stand on those before (a film session and its
 * boxes), else for all of an instance. Members that are known to be away are passed over.
 */
static const struct config_node *choose_member(const struct call *c, const struct config_pool *pool)
{
    const struct session *s = c->session;
    bool by_instance = c->sop_instance.len > 0 && c->service != CONFIG_PRINT && c->service != CONFIG_OTHER;
    struct balance b = {.pool = pool, .key = by_instance ? c->sop_instance : view_of(s->a.id)};
    uint64_t away = 0;
    for (size_t i = 0; i < pool->member_count; i++)
        if (!circuit_may_try(s->relay->circuits, pool->members[i], io_now(s->relay->io), NULL))
            away |= UINT64_C(1) << i;
    int index = balance_first(&b, CONFIG_BALANCE_STUDY, away);
    return pool->members[index >= 0 ? index : balance_first(&b, CONFIG_BALANCE_STUDY, 0)];
}

static void add_pool(struct call *c, const struct route_destination *d, const struct config_pool *pool)
{
    if (call_is_normalized(c)) {
        add(c, d, choose_member(c, pool));
        return;
    }
    for (size_t m = 0; m < pool->member_count; m++)
        add(c, d, pool->members[m]);
}

static bool set_destinations(struct call *c, const struct route_decision *d)
{
    c->destinations = calloc(count_nodes(d), sizeof(*c->destinations));
    if (!c->destinations)
        return fail_memory(c);
    for (size_t i = 0; i < d->count; i++) {
        const struct config_pool *pool = d->destinations[i].node->pool;
        if (pool)
            add_pool(c, &d->destinations[i], pool);
        else
            add(c, &d->destinations[i], d->destinations[i].node);
    }
    if (c->destination_count > 0 ||
        (c->service == CONFIG_COMMIT && d->matched)) /* the ledger says who is asked */
        return true;
    if (d->count > 0)
        call_fail(c, DIMSE_STATUS_NOT_AUTHORISED, "it came from its only destination");
    else if (is_served(c))
        call_fail(c, DIMSE_STATUS_NOT_AUTHORISED, "no route takes this request");
    else
        fail_service(c);
    return false;
}

/* --- the decision --------------------------------------------------------------------------------------------------- */

/* Attributes that conditions ask for. False: the call has been answered. */
static bool learn(struct call *c, struct route_facts *facts)
{
    const struct config *config = c->session->config;
    bool *wanted = calloc(config->attribute_count + 1, sizeof(*wanted));
    bool function, ok = wanted && route_attributes_reset(&c->attributes, config) == OK;
    if (!ok)
        fail_memory(c);
    else if (route_wants(config, facts, wanted, &function))
        ok = take_attributes(c, wanted);
    facts->attributes = &c->attributes;
    free(wanted);
    return ok;
}

bool call_route(struct call *c)
{
    struct call_asking a = {.call = c};
    struct route_facts facts;
    struct route_decision d = {0};
    facts_of(c, &facts);
    bool ok = learn(c, &facts);
    facts.holds = call_holds;
    facts.user = &a;
    if (ok && route_decide(c->session->config, &facts, &d) == ERR_MEMORY)
        ok = fail_memory(c);
    ok = ok && !c->is_answered && set_destinations(c, &d) && call_make_editions(&a);
    call_asking_end(&a);
    octets_free(&c->bytes); /* no rule looks at it again */
    route_decision_free(&d);
    return ok;
}
