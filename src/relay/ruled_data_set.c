#include "relay/ruled_data_set.h"

#include "dicom/deflate.h"
#include "script/bind.h"

static bool make_plain(struct ruled_set *s, struct ruled_failure *f)
{
    const char *why;
    if (s->is_plain)
        return true;
    s->encoding = dicom_encoding_of(s->transfer_syntax, &s->is_deflated);
    s->plain = s->data_set;
    if (s->is_deflated && s->data_set.len > 0) {
        enum result r = dicom_inflate_all(s->data_set, s->inflated_max, &s->inflated, &why);
        if (r != OK) {
            octets_free(&s->inflated);
            return ruled_fail(f, r, why, 0);
        }
        s->plain = (struct view){s->inflated.data, s->inflated.len};
    }
    s->is_plain = true;
    return true;
}

/* False: it cannot be cut into a tree, and nothing is to be freed. */
static bool open_document(struct ruled_set *s, struct dicom_document *d, struct ruled_failure *f)
{
    if (!s->rules)
        return ruled_fail(f, ERR_MEMORY, "the rules could not be opened", 0);
    if (!make_plain(s, f))
        return false;
    enum result r = dicom_document_parse(d, s->plain, s->encoding, 0, ruled_tree_room(s->plain.len));
    if (r == OK)
        return true;
    ruled_fail(f, r, d->why, d->tag);
    dicom_document_free(d);
    return false;
}

static void bind_to(struct bind *b, const struct ruled_set *s, struct dicom_document *d,
                    struct dicom_text *text)
{
    bind_init(b, d, text);
    b->transfer_syntax = s->transfer_syntax;
    b->sop_class = s->sop_class;
    b->sop_instance = s->sop_instance;
}

static struct rules_assoc assoc_of(const struct ruled_set *s, const struct config_route *route)
{
    return (struct rules_assoc){.calling = s->calling,
                                .called = s->called,
                                .remote = view_of(s->remote),
                                .listener = view_of(s->listener),
                                .peer = view_of(s->peer),
                                .service = view_of(config_service_name(route->service)),
                                .sop_class = s->sop_class,
                                .sop_instance = s->sop_instance,
                                .transfer_syntax = s->transfer_syntax};
}

bool ruled_set_when(struct ruled_set *s, const struct config_route *route, bool *holds_out,
                    struct ruled_failure *failure_out)
{
    struct bind b;
    *holds_out = false;
    if (!s->is_open) {
        if (!open_document(s, &s->document, failure_out))
            return false;
        dicom_text_init(&s->text, s->charsets);
        s->is_open = true;
    }
    struct rules_assoc assoc = assoc_of(s, route);
    bind_to(&b, s, &s->document, &s->text);
    b.is_read_only = true;
    struct rules_call call = {.route = route, .assoc = &assoc, .push = bind_push, .arg = &b};
    enum result r = rules_when(s->rules, &call, holds_out);
    bind_free(&b);
    return r == OK || ruled_fail_call(failure_out, r, s->rules);
}

/* A data set of no elements is no bytes at all, deflated too. */
static enum result write_set(const struct ruled_set *s, struct dicom_document *d, struct octets *out)
{
    struct octets plain = {0};
    size_t begin = out->len;
    if (!s->is_deflated)
        return dicom_document_write(d, out);
    enum result r = dicom_document_write(d, &plain);
    if (r == OK && plain.len > 0)
        r = dicom_deflate_all((struct view){plain.data, plain.len}, out);
    octets_free(&plain);
    if (r != OK && !out->failed)
        out->len = begin;
    return r;
}

static bool run(struct ruled_set *s, const struct config_route *route, enum ruled_kind kind, struct bind *b,
                struct octets *out, bool *is_changed_out, struct ruled_failure *f)
{
    struct rules_assoc assoc = assoc_of(s, route);
    struct rules_call call = {.route = route, .assoc = &assoc, .push = bind_push, .arg = b};
    enum result r =
        kind == RULED_MORPH ? rules_morph(s->rules, &call) : rules_morph_response(s->rules, &call);
    if (r != OK)
        return ruled_fail_call(f, r, s->rules);
    if (!dicom_document_is_changed(b->document))
        return true;
    b->document->why = NULL;
    r = write_set(s, b->document, out);
    if (r == ERR_MEMORY)
        return ruled_fail(f, r, "out of memory", 0);
    if (r != OK)
        return ruled_fail_rule(f, r, b->document->why ? b->document->why : "the data set cannot be written");
    *is_changed_out = true;
    return true;
}

bool ruled_set_change(struct ruled_set *s, const struct config_route *route, enum ruled_kind kind,
                      struct octets *out, bool *is_changed_out, struct ruled_failure *failure_out)
{
    struct dicom_document document = {0};
    struct dicom_text text;
    struct bind b;
    *is_changed_out = false;
    if (!open_document(s, &document, failure_out))
        return false;
    dicom_text_init(&text, s->charsets);
    bind_to(&b, s, &document, &text);
    bool is_made = run(s, route, kind, &b, out, is_changed_out, failure_out);
    bind_free(&b);
    dicom_text_free(&text);
    dicom_document_free(&document);
    return is_made;
}

void ruled_set_end(struct ruled_set *s)
{
    if (s->is_open) {
        dicom_text_free(&s->text);
        dicom_document_free(&s->document);
    }
    octets_free(&s->inflated);
    s->is_open = s->is_plain = false;
}
