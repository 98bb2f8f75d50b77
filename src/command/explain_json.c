/* An explanation for programs. */
#include <jansson.h>
#include <string.h>

#include "command/explain.h"
#include "command/json.h"

/* NULL: null. */
static json_t *text_or_null(const char *text)
{
    return text ? command_json_text(text) : json_null();
}

static json_t *value_json(const struct explain_value *v)
{
    if (!v->text)
        return json_null();
    json_t *json = json_stringn(v->text, v->len);
    return json ? json : command_json_text(v->text);
}

static json_t *change_json(const struct explain_change *c)
{
    static const char *const words[] = {
        [DICOM_ELEMENT_CHANGED] = "changed",   [DICOM_ELEMENT_ADDED] = "added",
        [DICOM_ELEMENT_REMOVED] = "removed",   [DICOM_ITEM_ADDED] = "item added",
        [DICOM_ITEM_REMOVED] = "item removed",
    };
    return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:b}", "change", words[c->kind], "tag", c->path,
                     "keyword", c->name, "vr_before", text_or_null(c->vr_before), "vr_after",
                     text_or_null(c->vr_after), "before", value_json(&c->before), "after",
                     value_json(&c->after), "is_cut", c->before.is_cut || c->after.is_cut);
}

static json_t *changes_json(const struct explain_route *r)
{
    if (!r->has_changes)
        return json_null();
    json_t *list = json_array();
    for (size_t i = 0; list && i < r->change_count; i++)
        if (json_array_append_new(list, change_json(&r->changes[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *destination_json(const struct explain_destination *d)
{
    return json_pack("{s:o, s:o, s:o}", "node", command_json_text(d->node->name), "where",
                     command_json_text(d->where), "skipped", text_or_null(d->skipped));
}

/* Those of its `to`, or of its `copy`. */
static json_t *destinations_json(const struct explain_route *r, bool is_copy)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < r->to_count; i++)
        if (r->to[i].is_copy == is_copy && json_array_append_new(list, destination_json(&r->to[i])) != 0) {
            json_decref(list);
            return NULL;
        }
    return list;
}

static json_t *match_json(enum explain_match match)
{
    return match == EXPLAIN_YES || match == EXPLAIN_NO ? json_boolean(match == EXPLAIN_YES) : json_null();
}

static json_t *route_json(const struct explain_route *r)
{
    return json_pack("{s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o}", "route", command_json_text(r->route->name),
                     "matches", match_json(r->match), "failed", r->match == EXPLAIN_FAILED, "why",
                     text_or_null(r->why), "to", destinations_json(r, false), "copy",
                     destinations_json(r, true), "changes", changes_json(r), "dropped_behind_pixel_data",
                     text_or_null(r->dropped));
}

char *explain_json(const struct explanation *e, const struct config *config)
{
    json_t *routes = json_array();
    bool is_whole = routes != NULL;
    for (size_t i = 0; is_whole && i < config->route_count; i++)
        is_whole = json_array_append_new(routes, route_json(&e->routes[i])) == 0;
    if (!is_whole) {
        json_decref(routes);
        return NULL;
    }
    json_t *status = e->status ? json_sprintf("%04X", (unsigned)e->status) : json_null();
    return command_json_line(json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "file", command_json_text(e->file->path), "sop_class",
        command_json_text(e->sop_class), "sop_instance", command_json_text(e->file->instance),
        "transfer_syntax", command_json_text(e->transfer_syntax), "status", status, "comment",
        text_or_null(e->comment), "routes", routes));
}
