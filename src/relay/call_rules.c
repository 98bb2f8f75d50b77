#include "relay/call_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "dimse/status.h"
#include "relay/identifier.h"

static bool fail_memory(struct call *c)
{
    call_fail(c, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
    return false;
}

static void open_set(struct call_asking *a, struct view data_set)
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
                                .peer = s->peer,
                                .inflated_max = s->config->header_max,
                                .charsets = s->relay->charsets};
}

static bool open_request(struct call_asking *a)
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
    uint16_t status = ruled_status(f, route, word, comment);
    if (f->is_rule)
        LOG(LOG_ERROR, "a rule failed", LOG_STR("assoc", c->session->a.id), LOG_STR("message", c->id),
            LOG_PATIENT("cause", f->why, f->bare));
    else if (f->result == ERR_PROTO)
        LOG(LOG_WARN, "data set cannot be read", LOG_STR("assoc", c->session->a.id),
            LOG_STR("message", c->id), LOG_PATIENT("cause", f->why, f->bare));
    call_fail(c, status, comment);
}

/* A function as `when`. */
bool call_holds(void *user, const struct config_route *route, enum match *out)
{
    struct call_asking *a = user;
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

/* What a rule has made, as it is sent. What it made it of, in *out, stays as long: who sends faster than is taken has to wait. False without memory. */
static bool to_slices(struct pool *pool, const struct octets *bytes, struct slices *out)
{
    struct slices made = {0};
    struct buf *of = out->count > 0 ? slices_at(out, 0)->buf : NULL;
    bool ok = slices_push_copy(&made, pool, bytes->data, bytes->len, of);
    slices_clear(out);
    *out = made;
    return ok;
}

/* A rule renames a normalized instance by giving its data set a SOP Instance UID: those have none of their own (PS3.7 10.1). False without memory. */
static bool note_name(const struct call *c, struct call_edition *e)
{
    struct identifier id = {0};
    enum result r =
        identifier_read(&id, &e->data, view_of(c->transfer_syntax), c->session->config->header_max);
    struct view name = r == OK ? identifier_text(&id, IDENTIFIER_INSTANCE_UID) : (struct view){0};
    if (name.len > 0 && name.len < sizeof(e->sop_instance))
        memcpy(e->sop_instance, name.at, name.len);
    identifier_free(&id);
    return r != ERR_MEMORY;
}

/* The route's edition, which is made for the first of its destinations. NULL: the call has been answered. */
static struct call_edition *edition_of(struct call_asking *a, const struct config_route *route)
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
                        : !slices_share(&e->data, &c->received))
        ok = fail_memory(c);
    if (ok && is_changed && call_is_normalized(c) && !note_name(c, e))
        ok = fail_memory(c);
    octets_free(&bytes);
    return ok ? e : NULL;
}

bool call_make_editions(struct call_asking *a)
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
        d->sop_instance = e->sop_instance[0] ? e->sop_instance : NULL;
    }
    return true;
}

void call_asking_end(struct call_asking *a)
{
    if (a->is_open)
        ruled_set_end(&a->set);
}

bool call_morph_response(struct call *c, const struct config_route *route, struct slices *data)
{
    struct call_asking a = {.call = c};
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
