/* The keys of a route. */
#include "script/check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void take_when(const struct item *item, void *route)
{
    struct config_route *r = route;
    if (item->value->kind == VALUE_FUNCTION) {
        r->has_when_function = true;
    } else {
        check_when(item, r);
    }
}

static void take_function(const struct item *item, void *member, const char *expected)
{
    if (item->value->kind != VALUE_FUNCTION) {
        field_wrong_type(item, expected);
        return;
    }
    *(bool *)member = true;
}

static void take_morph(const struct item *item, void *member)
{
    take_function(item, member, "a function, function (ds, assoc) ... end");
}

static void take_on_study(const struct item *item, void *member)
{
    take_function(item, member, "a function, function (study) ... end");
}

static void take_commit(const struct item *item, void *member)
{
    if (item->value->kind != VALUE_BOOLEAN) {
        field_wrong_type(item, "true or false");
        return;
    }
    *(enum config_commit *)member = item->value->boolean ? CONFIG_COMMIT_ALWAYS : CONFIG_COMMIT_NEVER;
}

static void take_to(const struct item *item, void *route)
{
    struct config_route *r = route;
    check_destinations(item, &r->to, &r->to_count);
}

static void take_copy(const struct item *item, void *route)
{
    struct config_route *r = route;
    check_destinations(item, &r->copy, &r->copy_count);
}

static const struct key route_keys[] = {
    {"when", take_when, 0},
    {"to", take_to, 0},
    {"copy", take_copy, 0},
    KEY("final", take_boolean, config_route, is_final),
    KEY("stream", take_boolean, config_route, stream),
    KEY("on_failure", take_on_failure, config_route, queues),
    KEY("journal", take_boolean, config_route, journal),
    {"hold", take_hold, 0},
    KEY("on_study", take_on_study, config_route, has_on_study),
    KEY("zero_copy", take_zero_copy, config_route, zero_copy),
    KEY("back_to_sender", take_boolean, config_route, back_to_sender),
    KEY("morph", take_morph, config_route, has_morph),
    KEY("morph_response", take_morph, config_route, has_morph_response),
    KEY("commit", take_commit, config_route, commits),
    KEY("trace", take_boolean, config_route, trace),
    {"transfer", take_later, 0},
};

void check_route(struct check *c, const struct declaration *d, struct config_route *out)
{
    struct place at;
    struct item item = check_item(c, d, &at);
    out->line = d->line;
    out->stream = true;
    out->zero_copy = c->config->zero_copy;
    out->journal = c->config->journal;
    fields_take(&item, "a route", route_keys, COUNT(route_keys), out);
    if (d->value.kind != VALUE_TABLE) {
        return;
    }
    check_service(c, d, &at, out);
    check_route_queue(c, d, &at, out);
    check_overlaps(c, d, &at, out);
    if (out->trace && !out->has_morph && out->service == CONFIG_STORE) {
        struct place trace = {d, &at, "trace", 0};
        check_warning(c, &trace, "trace records what morph changes, and there is no morph");
    }
}
