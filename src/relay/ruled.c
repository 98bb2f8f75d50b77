#include "relay/ruled.h"

#include <stdio.h>

#include "dimse/status.h"
#include "script/bind.h"

enum {
    TREE_BYTES_MIN = 1 << 20, /* of a data set that rules look at: at least so much memory, */
    TREE_FACTOR = 16,         /* and so many times its size */
    EDITION_FREE = 4 << 10    /* of an edition, so much more than what came does not count */
};

bool ruled_fail(struct ruled_failure *f, enum result r, const char *why, uint32_t tag)
{
    *f = (struct ruled_failure){.result = r, .why = why, .bare = why, .tag = tag};
    return false;
}

bool ruled_fail_rule(struct ruled_failure *f, enum result r, const char *why)
{
    *f = (struct ruled_failure){.is_rule = true, .result = r, .why = why, .bare = why};
    return false;
}

bool ruled_fail_call(struct ruled_failure *f, enum result r, const struct rules *rules)
{
    *f = (struct ruled_failure){
        .is_rule = true, .result = r, .why = rules_error(rules), .bare = rules_error_bare(rules)};
    return false;
}

uint16_t ruled_status(const struct ruled_failure *f, const struct config_route *route, const char *word,
                      char comment[65])
{
    if (f->is_rule && f->result == ERR_MEMORY) {
        snprintf(comment, 65, "%s of route %s: out of memory", word, route->name);
        return DIMSE_STATUS_OUT_OF_RESOURCES;
    }
    if (f->is_rule) {
        snprintf(comment, 65, "%s of route %s failed", word, route->name);
        return DIMSE_STATUS_RULE_FAILED;
    }
    if (f->result == ERR_PROTO) {
        snprintf(comment, 65, "data set cannot be read at (%04X,%04X)", f->tag >> 16, f->tag & 0xFFFF);
        return DIMSE_STATUS_CANNOT_UNDERSTAND;
    }
    snprintf(comment, 65, "%s", f->why);
    return DIMSE_STATUS_OUT_OF_RESOURCES;
}

/* A route is asked about nothing but its own service; what a C-MOVE brings is that of the C-MOVE. */
static struct rules_assoc assoc_of(const struct ruled *r, const struct config_route *route)
{
    const struct sink_message *m = r->message;
    return (struct rules_assoc){.calling = view_of(m->calling),
                                .called = view_of(m->called),
                                .remote = view_of(r->remote),
                                .listener = view_of(r->listener),
                                .peer = view_of(r->peer),
                                .service = view_of(config_service_name(route->service)),
                                .sop_class = m->sop_class,
                                .sop_instance = m->sop_instance,
                                .transfer_syntax = view_of(m->transfer_syntax)};
}

static void bind_to(struct bind *b, const struct ruled *r, struct dicom_document *d, struct dicom_text *text)
{
    bind_init(b, d, text);
    b->behind = r->hold->behind;
    b->transfer_syntax = view_of(r->message->transfer_syntax);
    b->sop_class = r->message->sop_class;
    b->sop_instance = r->message->sop_instance;
}

size_t ruled_tree_room(size_t len)
{
    return len * TREE_FACTOR > TREE_BYTES_MIN ? len * TREE_FACTOR : TREE_BYTES_MIN;
}

static size_t tree_room(const struct hold *h)
{
    return ruled_tree_room(h->header.len < h->header_max ? h->header.len : h->header_max);
}

/* False: it cannot be cut into a tree, and nothing is to be freed. */
static bool open_document(const struct ruled *r, struct dicom_document *d, struct ruled_failure *f)
{
    const struct hold *h = r->hold;
    if (!r->rules)
        return ruled_fail(f, ERR_MEMORY, "the rules could not be opened", 0);
    enum result result = dicom_document_parse(d, h->header, h->encoding, h->behind, tree_room(h));
    if (result == OK)
        return true;
    ruled_fail(f, result, d->why, d->tag);
    dicom_document_free(d);
    return false;
}

bool ruled_when(struct ruled *r, const struct config_route *route, bool *holds_out,
                struct ruled_failure *failure_out)
{
    struct bind b;
    *holds_out = false;
    if (!r->is_open) {
        if (!open_document(r, &r->document, failure_out))
            return false;
        dicom_text_init(&r->text, r->charsets);
        r->is_open = true;
    }
    struct rules_assoc assoc = assoc_of(r, route);
    bind_to(&b, r, &r->document, &r->text);
    b.is_read_only = true;
    struct rules_call call = {.route = route, .assoc = &assoc, .push = bind_push, .arg = &b};
    enum result result = rules_when(r->rules, &call, holds_out);
    bind_free(&b);
    return result == OK || ruled_fail_call(failure_out, result, r->rules);
}

static struct trace trace_of(const struct ruled *r)
{
    const struct hold *h = r->hold;
    struct trace t = {.before = h->header,
                      .encoding = h->encoding,
                      .behind = h->behind,
                      .memory_max = tree_room(h),
                      .system = r->message->config->ae_title,
                      .gathered = h->bytes,
                      .pool = r->pool};
    trace_now(t.now);
    return t;
}

/* What came is kept as long as editions are, for it counts (message.h, gathered), and so for as much of them. The rest counts itself; not what stands
 * in a file. */
static bool take_memory(struct ruled *r, struct edition *e)
{
    const struct hold *h = r->hold;
    size_t len = e->header.len, all = gathered_in_memory(h->bytes);
    size_t spare = all > r->counted ? all - r->counted : 0;
    if (!h->pool || gathered_piece_is_mapped(&e->header))
        return true;
    r->counted += len < spare ? len : spare;
    gathered_pin(h->bytes, r->counted);
    return len <= spare + EDITION_FREE || buf_take(e->header.buf, len - spare - EDITION_FREE);
}

static bool run(struct ruled *r, struct edition *e, struct bind *b, struct ruled_failure *f)
{
    struct rules_assoc assoc = assoc_of(r, e->route);
    struct rules_call call = {.route = e->route, .assoc = &assoc, .push = bind_push, .arg = b};
    assoc.service = view_of(config_service_name(e->route->service));
    enum result result =
        r->is_response ? rules_morph_response(r->rules, &call) : rules_morph(r->rules, &call);
    if (result != OK)
        return ruled_fail_call(f, result, r->rules);
    struct trace trace = trace_of(r);
    e->received_header_len = r->hold->header_len;
    e->is_deflated = r->hold->is_deflated;
    result = edition_make(e, b, r->hold->bytes, r->pool, r->message, e->route->trace ? &trace : NULL);
    if (result == ERR_MEMORY)
        return ruled_fail(f, result, "out of memory", 0);
    const char *why = b->document->why;
    if (result == ERR_LIMIT && !why)
        return ruled_fail(f, result, "queue: full", 0);
    if (result != OK)
        return ruled_fail_rule(f, result, why ? why : "the data set cannot be written");
    return take_memory(r, e) || ruled_fail(f, ERR_MEMORY, "no memory to hold what routes ask for", 0);
}

/* Of its own header: a folder is named by what is written into it. */
static bool take_attributes(struct ruled *r, struct edition *e, struct ruled_failure *f)
{
    enum result result = OK;
    if (e->is_changed && r->hold->peek)
        result = edition_take_attributes(e, r->hold, r->message->config, r->charsets);
    else
        e->facts.attributes = &r->hold->attributes;
    return result == OK || ruled_fail(f, result == ERR_MEMORY ? ERR_MEMORY : ERR_LIMIT,
                                      "the morphed data set cannot be looked into", 0);
}

bool ruled_morph(struct ruled *r, const struct config_route *route, struct edition *e,
                 struct ruled_failure *failure_out)
{
    struct dicom_document document = {0};
    struct dicom_text text; /* of its own: a set is known by the place of its name, and trees come and go */
    struct bind b;
    e->route = route;
    if (!open_document(r, &document, failure_out))
        return false;
    dicom_text_init(&text, r->charsets);
    bind_to(&b, r, &document, &text);
    edition_begin(e, &document);
    bool is_made = run(r, e, &b, failure_out) && take_attributes(r, e, failure_out);
    bind_free(&b);
    dicom_text_free(&text);
    dicom_document_free(&document);
    return is_made;
}

void ruled_end(struct ruled *r)
{
    if (!r->is_open)
        return;
    dicom_text_free(&r->text);
    dicom_document_free(&r->document);
    r->is_open = false;
}
