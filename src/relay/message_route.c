#include "relay/message_route.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/log.h"
#include "dimse/status.h"
#include "relay/edition.h"
#include "relay/hold.h"
#include "script/bind.h"

enum {
    TREE_BYTES_MIN = 1 << 20, /* of a data set that rules look at: at least so much memory, */
    TREE_FACTOR = 16          /* and so many times its size */
};

/* One try to decide. */
struct asking {
    struct message *m;
    struct route_facts facts;
    struct dicom_document document; /* that functions look at */
    struct dicom_text text;         /* of that document: it knows sets by the place of their names */
    bool is_open;
    char remote[64];
};

/* --- failures ---------------------------------------------------------------------------------------------- */

void message_route_fail(struct message *m, uint16_t status, const char *comment)
{
    hold_free(&m->hold);
    message_preset(m, status, comment);
}

static void fail_unreadable(struct message *m)
{
    char comment[65];
    const struct hold *h = m->hold;
    snprintf(comment, sizeof(comment), "data set cannot be read at (%04X,%04X)", h->tag >> 16,
             h->tag & 0xFFFF);
    LOG(LOG_WARN, "data set cannot be read", LOG_STR("assoc", m->session->a.id), LOG_STR("message", m->id),
        LOG_STR("cause", h->why), LOG_STR("at", comment + sizeof("data set cannot be read at ") - 1));
    message_route_fail(m, DIMSE_STATUS_CANNOT_UNDERSTAND, comment);
}

static void fail_rule(struct message *m, const struct config_route *route, const char *word, const char *why)
{
    char comment[65];
    LOG(LOG_ERROR, "a rule failed", LOG_STR("assoc", m->session->a.id), LOG_STR("message", m->id),
        LOG_STR("cause", why));
    snprintf(comment, sizeof(comment), "%s of route %s failed", word, route->name);
    message_route_fail(m, DIMSE_STATUS_RULE_FAILED, comment);
}

static void fail_too_long(struct message *m)
{
    LOG(LOG_WARN, "larger than header_max", LOG_STR("assoc", m->session->a.id), LOG_STR("message", m->id),
        LOG_INT("header_max", m->session->config->header_max), LOG_INT("bytes", m->hold->bytes.bytes));
    message_route_fail(m, DIMSE_STATUS_OUT_OF_RESOURCES, "what routes ask for lies beyond header_max");
}

static void fail_state(struct message *m, enum result r)
{
    if (r == ERR_PROTO)
        fail_unreadable(m);
    else if (r == ERR_LIMIT)
        fail_too_long(m);
    else
        message_route_fail(m, DIMSE_STATUS_OUT_OF_RESOURCES, m->hold->why ? m->hold->why : "out of memory");
}

/* --- rules ------------------------------------------------------------------------------------------------- */

static struct rules_assoc assoc_of(struct asking *a)
{
    const struct session *s = a->m->session;
    io_address_text(&s->a.peer, false, a->remote);
    return (struct rules_assoc){.calling = view_of(s->calling),
                                .called = view_of(s->called),
                                .remote = view_of(a->remote),
                                .listener = view_of(s->listen->name),
                                .sop_class = a->m->facts.sop_class,
                                .sop_instance = a->m->facts.sop_instance,
                                .transfer_syntax = view_of(a->m->transfer_syntax)};
}

static void bind_message(struct bind *b, const struct message *m, struct dicom_document *d,
                         struct dicom_text *text)
{
    bind_init(b, d, text);
    b->behind = m->hold->behind;
    b->transfer_syntax = view_of(m->transfer_syntax);
    b->sop_class = m->facts.sop_class;
    b->sop_instance = m->facts.sop_instance;
}

static size_t tree_room(const struct hold *h)
{
    size_t room = h->header.len * TREE_FACTOR;
    return room > TREE_BYTES_MIN ? room : TREE_BYTES_MIN;
}

static enum result parse_header(const struct hold *h, struct dicom_document *d)
{
    struct view header = {h->header.data, h->header.len};
    return dicom_document_parse(d, header, h->encoding, h->behind, tree_room(h));
}

/* The header cannot be cut into a tree. */
static void fail_document(struct message *m, enum result r, const struct dicom_document *d)
{
    m->hold->why = d->why;
    m->hold->tag = d->tag;
    fail_state(m, r);
}

static bool open_document(struct asking *a)
{
    if (a->is_open)
        return true;
    enum result r = parse_header(a->m->hold, &a->document);
    if (r != OK) {
        fail_document(a->m, r, &a->document);
        dicom_document_free(&a->document);
        return false;
    }
    a->is_open = true;
    return true;
}

/* A function as `when`. */
static bool holds(void *user, const struct config_route *route, enum match *out)
{
    struct asking *a = user;
    struct message *m = a->m;
    struct rules *rules = m->session->rules->rules;
    *out = MATCH_MAYBE;
    if (!m->hold || !m->hold->wants_header)
        return true;
    if (!rules) {
        message_route_fail(m, DIMSE_STATUS_OUT_OF_RESOURCES, "the rules could not be opened");
        return false;
    }
    if (!open_document(a))
        return false;
    struct bind b;
    bool is_true = false;
    struct rules_assoc assoc = assoc_of(a);
    bind_message(&b, m, &a->document, &a->text);
    b.is_read_only = true;
    struct rules_call call = {.route = route, .assoc = &assoc, .push = bind_push, .arg = &b};
    enum result r = rules_when(rules, &call, &is_true);
    bind_free(&b);
    if (r != OK)
        fail_rule(m, route, "when", rules_error(rules));
    *out = is_true ? MATCH_YES : MATCH_NO;
    return r == OK;
}

static struct trace trace_of(const struct message *m)
{
    const struct hold *h = m->hold;
    struct trace t = {.before = {h->header.data, h->header.len},
                      .encoding = h->encoding,
                      .behind = h->behind,
                      .memory_max = tree_room(h),
                      .system = m->session->config->ae_title};
    trace_now(t.now);
    return t;
}

static bool morph(struct asking *a, struct edition *e)
{
    struct message *m = a->m;
    struct rules *rules = m->session->rules->rules;
    struct dicom_document d = {0};
    struct dicom_text text;
    struct bind b;
    if (!rules) {
        message_route_fail(m, DIMSE_STATUS_OUT_OF_RESOURCES, "the rules could not be opened");
        return false;
    }
    enum result r = parse_header(m->hold, &d);
    if (r != OK) {
        fail_document(m, r, &d);
        dicom_document_free(&d);
        return false;
    }
    struct rules_assoc assoc = assoc_of(a);
    dicom_text_init(&text, m->session->relay->charsets);
    bind_message(&b, m, &d, &text);
    edition_begin(e, &d);
    struct rules_call call = {.route = e->route, .assoc = &assoc, .push = bind_push, .arg = &b};
    r = rules_morph(rules, &call);
    if (r != OK) {
        fail_rule(m, e->route, "morph", rules_error(rules));
    } else {
        e->received_header_len = m->hold->header_len;
        e->is_deflated = m->hold->is_deflated;
        struct trace trace = trace_of(m);
        r = edition_make(e, &b, m->session->relay->pool, &m->facts, e->route->trace ? &trace : NULL);
        if (r == ERR_MEMORY)
            message_route_fail(m, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
        else if (r != OK)
            fail_rule(m, e->route, "morph", d.why ? d.why : "the data set cannot be written");
    }
    bind_free(&b);
    dicom_text_free(&text);
    dicom_document_free(&d);
    return r == OK;
}

/* --- the decision ------------------------------------------------------------------------------------------ */

static bool has_morph(const struct route_decision *d)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->destinations[i].route->has_morph)
            return true;
    return false;
}

/* Of its own header: a folder is named by what is written into it. */
static bool take_attributes(struct message *m, struct edition *e)
{
    enum result r = OK;
    if (e->is_changed && m->hold->peek)
        r = edition_take_attributes(e, m->hold, m->session->config, m->session->relay->charsets);
    else
        e->facts.attributes = &m->hold->attributes;
    if (r != OK)
        message_route_fail(m, DIMSE_STATUS_OUT_OF_RESOURCES, "the morphed data set cannot be looked into");
    return r == OK;
}

static bool names_folders(const struct route_decision *d)
{
    for (size_t i = 0; i < d->count; i++)
        if (d->destinations[i].node->folder_attribute_count > 0)
            return true;
    return false;
}

/* Each morph runs once, before anything goes out: a rule that fails leaves nothing half done. */
static bool make_editions(struct asking *a, const struct route_decision *d)
{
    struct message *m = a->m;
    m->editions = calloc(d->count, sizeof(*m->editions));
    if (!m->editions) {
        message_route_fail(m, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
        return false;
    }
    for (size_t i = 0; i < d->count; i++) {
        const struct config_route *route = d->destinations[i].route;
        if (!route->has_morph || message_edition(m, route))
            continue;
        struct edition *e = &m->editions[m->edition_count++];
        e->route = route;
        if (!morph(a, e) || !take_attributes(m, e))
            return false;
    }
    return true;
}

/* What was held, to all destinations. */
static void release_held(struct message *m)
{
    struct hold *h = m->hold;
    m->hold = NULL;
    for (unsigned i = 0; i < m->sink_count; i++)
        for (uint32_t j = 0; j < h->bytes.count && m->sinks[i]; j++) {
            const struct slice *s = slices_at(&h->bytes, j);
            stage_data(m->stages[i], m->sinks[i], s->buf, s->at, s->len);
        }
    if (m->edition_count > 0) {
        m->ballast = h->bytes;
        h->bytes = (struct slices){0};
    }
    hold_free(&h);
}

static void set_out(struct message *m, const struct route_decision *d)
{
    if (d->count == 0) {
        message_route_fail(m, DIMSE_STATUS_NOT_AUTHORISED, "no route takes this instance");
        return;
    }
    m->facts.attributes = m->hold ? &m->hold->attributes : NULL;
    if (!message_make_sinks(m, d) || m->is_preset) {
        hold_free(&m->hold);
        return;
    }
    message_start_sinks(m);
    m->facts.attributes = NULL; /* they go with what was held; folders have taken theirs */
    for (unsigned i = 0; i < m->edition_count; i++)
        m->editions[i].facts.attributes = NULL;
    if (m->hold)
        release_held(m);
}

/* With what is known now. False: more is needed, and has been asked for. */
static bool decide(struct asking *a, struct route_decision *d)
{
    struct message *m = a->m;
    enum result r = route_decide(m->session->config, &a->facts, d);
    if (!m->hold && m->is_preset) /* a function has failed, or cannot be asked */
        return true;
    hilum_assert(m->hold);
    bool wants_header = r == NEED_MORE || (r == OK && has_morph(d));
    if (wants_header && !m->hold->wants_header) {
        hold_want_header(m->hold);
        return false;
    }
    if (r != OK)
        message_route_fail(m, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
    else if (!has_morph(d) || make_editions(a, d))
        set_out(m, d);
    return true;
}

/* As far as what is held goes. */
static void pursue(struct message *m)
{
    struct asking a = {.m = m};
    struct route_decision d = {0};
    struct dicom_charsets *charsets = m->session->relay->charsets;
    enum result r;
    bool is_over = false;
    session_facts(m->session, CONFIG_STORE, &a.facts);
    a.facts.sop_class = m->facts.sop_class;
    a.facts.sop_instance = m->facts.sop_instance;
    a.facts.has_instance = true;
    a.facts.holds = holds;
    a.facts.user = &a;
    dicom_text_init(&a.text, charsets);
    while (!is_over && (r = hold_state(m->hold)) != NEED_MORE) {
        if (r == OK && !a.facts.attributes) {
            r = hold_take_attributes(m->hold, charsets);
            a.facts.attributes = &m->hold->attributes;
        }
        if (r != OK)
            fail_state(m, r);
        is_over = r != OK || decide(&a, &d);
    }
    if (a.is_open)
        dicom_document_free(&a.document);
    dicom_text_free(&a.text);
    route_decision_free(&d);
}

/* --- from outside ------------------------------------------------------------------------------------------ */

/* For conditions, and for the folders of all that may become a destination. */
static bool wants_attributes(const struct config *config, struct hold *h)
{
    for (size_t i = 0; i < config->attribute_count; i++)
        if (h->wanted[i])
            return true;
    return false;
}

static enum result begin_hold(struct message *m, const struct route_facts *facts,
                              const struct route_decision *d, enum result decided)
{
    const struct config *config = m->session->config;
    struct hold *h = hold_new(config, view_of(m->transfer_syntax));
    bool function;
    enum result r = OK;
    if (!h)
        return ERR_MEMORY;
    hold_gather(h, m->session->relay->pool, m->session->a.stream.budget);
    route_wants(config, facts, h->wanted, &function);
    route_folder_wants(config, d, h->wanted);
    bool any = wants_attributes(config, h);
    if (any)
        r = hold_want_attributes(h, config);
    if (r == OK && decided == OK && has_morph(d))
        hold_want_header(h);
    if (r == OK && decided == NEED_MORE && !any)
        hold_want_header(h);
    if (r == OK && decided == OK && !has_morph(d) && !any) /* nothing of it is needed */
        hold_free(&h);
    m->hold = h;
    return r;
}

void message_route(struct message *m, enum config_service service)
{
    struct route_facts facts;
    struct route_decision d = {0};
    session_facts(m->session, service, &facts);
    facts.sop_class = m->facts.sop_class;
    facts.sop_instance = m->facts.sop_instance;
    facts.has_instance = true;
    enum result decided = route_decide(m->session->config, &facts, &d);
    enum result r = decided == NEED_MORE ? OK : decided;
    bool is_plain = decided == OK && !has_morph(&d) && !names_folders(&d);
    if (r == OK && !is_plain && m->facts.has_data)
        r = begin_hold(m, &facts, &d, decided);
    if (r != OK)
        message_route_fail(m, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
    else if (!m->hold)
        set_out(m, &d);
    route_decision_free(&d);
}

void message_route_data(struct message *m, struct buf *b, uint8_t *at, uint32_t len)
{
    if (hold_data(m->hold, b, at, len) != OK)
        message_route_fail(m, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
    else if (hold_state(m->hold) != NEED_MORE)
        pursue(m);
    if (m->hold && m->hold->bytes.bytes > m->session->config->header_max)
        fail_too_long(m);
}

void message_route_end(struct message *m)
{
    hold_end(m->hold);
    pursue(m);
}
