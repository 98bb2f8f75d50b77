/* Which destinations a call has: routes decide on its facts and its whole data set; pools are their members; each node comes once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "dicom/encoding.h"
#include "dicom/peek.h"
#include "dimse/status.h"
#include "relay/call.h"
#include "relay/ruled_data_set.h"

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

/* The same bytes once more. */
static bool share(struct slices *to, const struct slices *from)
{
    bool ok = true;
    for (uint32_t i = 0; ok && i < from->count; i++) {
        const struct slice *s = slices_at(from, i);
        ok = slices_push(to, s->buf, s->at, s->len);
    }
    return ok;
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

static bool set_destinations(struct call *c, const struct route_decision *d)
{
    c->destinations = calloc(count_nodes(d), sizeof(*c->destinations));
    if (!c->destinations)
        return fail_memory(c);
    for (size_t i = 0; i < d->count; i++) {
        const struct config_pool *pool = d->destinations[i].node->pool;
        for (size_t m = 0; pool && m < pool->member_count; m++)
            add(c, &d->destinations[i], pool->members[m]);
        if (!pool)
            add(c, &d->destinations[i], d->destinations[i].node);
    }
    if (c->destination_count > 0)
        return true;
    if (d->count > 0)
        call_fail(c, DIMSE_STATUS_NOT_AUTHORISED, "it came from its only destination");
    else if (is_served(c))
        call_fail(c, DIMSE_STATUS_NOT_AUTHORISED, "no route takes this request");
    else
        fail_service(c);
    return false;
}

/* --- rules -------------------------------------------------------------------------------------------------------- */

/* One try to decide. */
struct asking {
    struct call *call;
    struct ruled_set set; /* once a rule is asked */
    bool is_open;
    char remote[64];
};

static void open_set(struct asking *a, struct view data_set)
{
    struct call *c = a->call;
    const struct session *s = c->session;
    io_address_text(&s->a.peer, false, a->remote);
    a->is_open = true;
    a->set = (struct ruled_set){.rules = s->rules->rules,
                                .data_set = data_set,
                                .transfer_syntax = view_of(c->transfer_syntax),
                                .sop_class = c->sop_class,
                                .sop_instance = c->sop_instance,
                                .calling = view_of(s->calling),
                                .called = view_of(s->called),
                                .remote = a->remote,
                                .listener = s->listen->name,
                                .service = c->service,
                                .inflated_max = s->config->header_max,
                                .charsets = s->relay->charsets};
}

static bool open_request(struct asking *a)
{
    struct view data_set;
    if (a->is_open)
        return true;
    if (!call_bytes(a->call, &data_set))
        return fail_memory(a->call);
    open_set(a, data_set);
    return true;
}

static void fail_ruled(struct call *c, const struct ruled_failure *f, const struct config_route *route,
                       const char *word)
{
    char comment[65];
    if (f->is_rule) {
        LOG(LOG_ERROR, "a rule failed", LOG_STR("assoc", c->session->a.id), LOG_STR("message", c->id),
            LOG_STR("cause", f->why));
        snprintf(comment, sizeof(comment), "%s of route %s failed", word, route->name);
        call_fail(c, DIMSE_STATUS_RULE_FAILED, comment);
    } else if (f->result == ERR_PROTO) {
        snprintf(comment, sizeof(comment), "data set cannot be read at (%04X,%04X)", f->tag >> 16,
                 f->tag & 0xFFFF);
        LOG(LOG_WARN, "data set cannot be read", LOG_STR("assoc", c->session->a.id),
            LOG_STR("message", c->id), LOG_STR("cause", f->why));
        call_fail(c, DIMSE_STATUS_CANNOT_UNDERSTAND, comment);
    } else {
        call_fail(c, DIMSE_STATUS_OUT_OF_RESOURCES, f->why);
    }
}

/* A function as `when`. */
static bool holds(void *user, const struct config_route *route, enum match *out)
{
    struct asking *a = user;
    struct ruled_failure failure;
    bool is_true;
    *out = MATCH_NO;
    if (!open_request(a))
        return false;
    if (!ruled_set_when(&a->set, route, &is_true, &failure)) {
        fail_ruled(a->call, &failure, route, "when");
        return false;
    }
    *out = is_true ? MATCH_YES : MATCH_NO;
    return true;
}

/* What a rule has made, as it is sent. False without memory. */
static bool to_slices(struct pool *pool, const struct octets *bytes, struct slices *out)
{
    struct buf *b = bytes->len > 0 ? buf_scratch(pool, bytes->len) : NULL;
    slices_clear(out);
    if (bytes->len == 0)
        return true;
    if (!b)
        return false;
    memcpy(b->data, bytes->data, bytes->len);
    b->used = (uint32_t)bytes->len;
    bool ok = slices_push(out, b, b->data, b->used);
    buf_unref(&b);
    return ok;
}

/* The route's edition, which is made for the first of its destinations. NULL: the call has been answered. */
static struct call_edition *edition_of(struct asking *a, const struct config_route *route)
{
    struct call *c = a->call;
    struct ruled_failure failure;
    struct octets bytes = {0};
    bool is_changed;
    for (size_t i = 0; i < c->edition_count; i++)
        if (c->editions[i].route == route)
            return &c->editions[i];
    if (!open_request(a))
        return NULL;
    struct call_edition *e = &c->editions[c->edition_count++];
    e->route = route;
    bool ok = ruled_set_change(&a->set, route, RULED_MORPH, &bytes, &is_changed, &failure);
    if (!ok)
        fail_ruled(c, &failure, route, "morph");
    else if (is_changed ? !to_slices(c->session->relay->pool, &bytes, &e->data)
                        : !share(&e->data, &c->received))
        ok = fail_memory(c);
    octets_free(&bytes);
    return ok ? e : NULL;
}

static bool make_editions(struct asking *a)
{
    struct call *c = a->call;
    c->editions = calloc(c->destination_count, sizeof(*c->editions));
    if (!c->editions)
        return fail_memory(c);
    for (size_t i = 0; i < c->destination_count; i++) {
        struct call_destination *d = &c->destinations[i];
        if (!d->route->has_morph || !c->has_data)
            continue;
        const struct call_edition *e = edition_of(a, d->route);
        if (!e)
            return false;
        d->data = e->data.bytes > 0 ? &e->data : NULL;
    }
    return true;
}

bool call_morph_response(struct call *c, const struct config_route *route, struct slices *data)
{
    struct asking a = {.call = c};
    struct octets came = {0}, made = {0};
    struct ruled_failure failure;
    bool is_changed, retrieves = c->service == CONFIG_MOVE || c->service == CONFIG_GET;
    if (!route->has_morph_response || retrieves || !data || data->bytes == 0 || c->is_answered)
        return !c->is_answered;
    octets_fill(&came, 0, data->bytes);
    if (came.failed)
        return fail_memory(c);
    slices_copy_out(data, 0, came.data, data->bytes);
    open_set(&a, (struct view){came.data, came.len});
    bool ok = ruled_set_change(&a.set, route, RULED_MORPH_RESPONSE, &made, &is_changed, &failure);
    if (!ok)
        fail_ruled(c, &failure, route, "morph_response");
    else if (is_changed && !to_slices(c->session->relay->pool, &made, data))
        ok = fail_memory(c);
    ruled_set_end(&a.set);
    octets_free(&came);
    octets_free(&made);
    return ok;
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
    struct asking a = {.call = c};
    struct route_facts facts;
    struct route_decision d = {0};
    facts_of(c, &facts);
    bool ok = learn(c, &facts);
    facts.holds = holds;
    facts.user = &a;
    if (ok && route_decide(c->session->config, &facts, &d) == ERR_MEMORY)
        ok = fail_memory(c);
    ok = ok && !c->is_answered && set_destinations(c, &d) && make_editions(&a);
    if (a.is_open)
        ruled_set_end(&a.set);
    route_decision_free(&d);
    return ok;
}
