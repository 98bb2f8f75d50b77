/*
 * One file on the way that a message takes through relay/message_route.c: conditions on what is known, then on attributes, functions,
 * morphs; each step reads on only as far as it asks for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command/explain_asking.h"
#include "config/access.h"
#include "dimse/status.h"

enum { PIECE_BYTES = 64 << 10 };

/* --- what cannot go on ------------------------------------------------------------------------------------- */

const char *asking_print(struct asking *a, const char *format, ...)
{
    va_list arguments;
    char *text = NULL;
    va_start(arguments, format);
    int len = vasprintf(&text, format, arguments);
    va_end(arguments);
    const char *copy = len < 0 ? NULL : arena_copy(&a->e->arena, text, (size_t)len);
    if (len >= 0)
        free(text);
    if (!copy)
        a->result = ERR_MEMORY;
    return copy ? copy : "out of memory";
}

void asking_refuse(struct asking *a, uint16_t status, const char *comment)
{
    if (a->e->status != 0)
        return;
    a->e->status = status;
    a->e->comment = comment;
}

static void fail(struct asking *a, uint16_t status, const char *comment)
{
    asking_refuse(a, status, comment);
    a->e->has_failed = true;
}

static void fail_reading(struct asking *a, enum result r, const char *why, uint32_t tag)
{
    if (r == ERR_PROTO)
        fail(a, DIMSE_STATUS_CANNOT_UNDERSTAND,
             tag == 0 ? asking_print(a, "the data set cannot be read: %s", why)
                      : asking_print(a, "the data set cannot be read at (%04X,%04X): %s", tag >> 16,
                                     tag & 0xFFFF, why));
    else if (r == ERR_LIMIT)
        fail(a, DIMSE_STATUS_OUT_OF_RESOURCES, why);
    else
        a->result = r;
}

static bool may_go_on(const struct asking *a)
{
    return a->result == OK && a->e->status == 0;
}

static struct explain_route *route_of(struct asking *a, const struct config_route *route)
{
    return &a->e->routes[route - a->x->config->routes];
}

static void fail_rule(struct asking *a, const struct config_route *route, const char *word, const char *why)
{
    struct explain_route *r = route_of(a, route);
    r->match = EXPLAIN_FAILED;
    r->why = asking_print(a, "%s", why);
    fail(a, DIMSE_STATUS_RULE_FAILED, asking_print(a, "%s of route %s failed", word, route->name));
}

/* --- reading ----------------------------------------------------------------------------------------------- */

static enum result read_piece(struct asking *a)
{
    struct buf *b = buf_scratch(&a->x->pool, PIECE_BYTES);
    if (!b)
        return ERR_MEMORY;
    ssize_t n;
    do
        n = pread(a->fd, b->data, PIECE_BYTES, (off_t)a->offset);
    while (n < 0 && errno == EINTR);
    enum result r = OK;
    if (n < 0) {
        a->x->why = strerrordesc_np(errno);
        r = ERR_IO;
    } else if (n == 0) {
        hold_end(a->hold);
    } else {
        a->offset += (uint64_t)n;
        b->used = (uint32_t)n;
        r = hold_data(a->hold, b, b->data, b->used);
    }
    buf_unref(&b);
    return r;
}

/* Until more of what is asked for is known, or nothing more can be. */
static void gather(struct asking *a)
{
    while (!hold_is_ready(a->hold)) {
        a->result = read_piece(a);
        if (a->result != OK)
            return;
    }
    a->result = hold_take_attributes(a->hold, a->x->charsets);
    a->facts.attributes = &a->hold->attributes;
}

/* --- rules ------------------------------------------------------------------------------------------------- */

static void fail_ruled(struct asking *a, const struct ruled_failure *f, const struct config_route *route,
                       const char *word)
{
    if (f->is_rule)
        fail_rule(a, route, word, f->why);
    else
        fail_reading(a, f->result, f->why, f->tag);
}

static void begin_hold(struct asking *a, enum result decided)
{
    struct gathered_options o = {.config = a->x->config, .is_explained = true};
    a->gathered = gathered_new(&o);
    if (a->gathered)
        a->hold = hold_new(a->x->config, view_of(a->message.transfer_syntax), a->gathered, NULL);
    a->result = a->hold ? hold_begin(a->hold, a->x->config, &a->facts, &a->decision, decided) : ERR_MEMORY;
    a->ruled = (struct ruled){.rules = a->x->rules,
                              .hold = a->hold,
                              .message = &a->message,
                              .remote = a->x->sender.remote,
                              .listener = a->x->sender.listen->name,
                              .peer = a->x->sender.peer,
                              .charsets = a->x->charsets,
                              .pool = &a->x->pool};
}

/* A function as `when`, asked once: later its answer is known. */
static bool holds(void *user, const struct config_route *route, enum match *out)
{
    struct asking *a = user;
    struct explain_route *known = route_of(a, route);
    *out = known->match == EXPLAIN_YES ? MATCH_YES : known->match == EXPLAIN_NO ? MATCH_NO : MATCH_MAYBE;
    if (*out != MATCH_MAYBE || !a->hold || !hold_has_header(a->hold))
        return true;
    struct ruled_failure failure;
    bool is_true;
    if (!ruled_when(&a->ruled, route, &is_true, &failure)) {
        fail_ruled(a, &failure, route, "when");
        return false;
    }
    known->match = is_true ? EXPLAIN_YES : EXPLAIN_NO;
    *out = is_true ? MATCH_YES : MATCH_NO;
    return true;
}

static void compare(struct asking *a, const struct edition *e)
{
    const char *why = NULL;
    enum result r = explain_changes(a->x, &a->e->arena, a->hold, e, route_of(a, e->route), &why);
    if (r == ERR_MEMORY && !why)
        a->result = r;
    else if (r != OK)
        fail(a, DIMSE_STATUS_CANNOT_UNDERSTAND,
             asking_print(a, "what its morph changes cannot be told: %s", why));
}

const struct edition *asking_edition(const struct asking *a, const struct config_route *route)
{
    for (size_t i = 0; a->editions && i < a->decision.count; i++)
        if (a->editions[i].route == route)
            return &a->editions[i];
    return NULL;
}

static void make_editions(struct asking *a)
{
    a->editions = calloc(a->decision.count, sizeof(*a->editions));
    if (!a->editions)
        a->result = ERR_MEMORY;
    for (size_t i = 0; i < a->decision.count && may_go_on(a); i++) {
        const struct config_route *route = a->decision.destinations[i].route;
        if (!route->has_morph || asking_edition(a, route))
            continue;
        struct ruled_failure failure;
        if (ruled_morph(&a->ruled, route, &a->editions[i], &failure))
            compare(a, &a->editions[i]);
        else
            fail_ruled(a, &failure, route, "morph");
    }
}

/* --- the decision ------------------------------------------------------------------------------------------ */

/* OK: what is known is enough; NEED_MORE: more has been asked for. */
static enum result ask_for_more(struct asking *a, enum result decided)
{
    if (a->hold)
        return hold_ask(a->hold, a->x->config, &a->facts, &a->decision, decided);
    if (decided == OK && !route_morphs(&a->decision) && !route_destinations_ask(&a->decision))
        return OK;
    begin_hold(a, decided);
    return a->result == OK ? NEED_MORE : a->result;
}

static void decide(struct asking *a)
{
    enum result r = NEED_MORE;
    while (r == NEED_MORE && may_go_on(a)) {
        r = route_decide(a->x->config, &a->facts, &a->decision);
        if (!may_go_on(a)) /* a function has failed */
            return;
        if (r == OK || r == NEED_MORE)
            r = ask_for_more(a, r);
        if (r == NEED_MORE)
            gather(a);
        else if (r != OK)
            fail_reading(a, r, a->hold ? hold_why(a->hold) : NULL, a->hold ? a->hold->tag : 0);
    }
    if (a->hold)
        a->message.attributes = &a->hold->attributes;
    if (may_go_on(a) && route_morphs(&a->decision))
        make_editions(a);
}

/* What the caller may not store. */
static void judge(struct asking *a)
{
    const struct config_caller *caller = a->x->sender.caller;
    if (!access_services(caller, UINT32_C(1) << CONFIG_STORE))
        asking_refuse(a, DIMSE_STATUS_NOT_AUTHORISED, ACCESS_SERVICE_REFUSED);
    else if (!access_allows_class(caller, a->facts.sop_class))
        asking_refuse(a, DIMSE_STATUS_SOP_CLASS_NOT_SUPPORTED, ACCESS_CLASS_REFUSED);
}

/* --- from outside ------------------------------------------------------------------------------------------ */

static enum result prepare(struct asking *a, const struct plan_context *kind)
{
    const struct config *config = a->x->config;
    const struct explain_sender *s = &a->x->sender;
    struct explanation *e = a->e;
    e->sop_class = kind->sop_class;
    e->transfer_syntax = kind->transfer_syntax;
    e->routes = arena_alloc(&e->arena, (config->route_count + 1) * sizeof(*e->routes));
    if (!e->routes)
        return ERR_MEMORY;
    for (size_t i = 0; i < config->route_count; i++)
        e->routes[i] = (struct explain_route){.route = &config->routes[i], .match = EXPLAIN_NOT_ASKED};
    a->facts = (struct route_facts){.service = CONFIG_STORE,
                                    .calling = view_of(s->calling),
                                    .called = view_of(s->called),
                                    .listener = s->listen->name,
                                    .peer = s->peer,
                                    .sop_class = view_of(kind->sop_class),
                                    .sop_instance = view_of(e->file->instance),
                                    .has_instance = true,
                                    .holds = holds,
                                    .user = a};
    memcpy(a->facts.remote, s->address, sizeof(a->facts.remote));
    a->message = (struct sink_message){.command = &a->command,
                                       .sop_class = a->facts.sop_class,
                                       .sop_instance = a->facts.sop_instance,
                                       .abstract_syntax = kind->sop_class,
                                       .transfer_syntax = kind->transfer_syntax,
                                       .calling = s->calling,
                                       .called = s->called,
                                       .config = config,
                                       .has_data = true};
    return OK;
}

static void finish(struct asking *a)
{
    for (size_t i = 0; a->editions && i < a->decision.count; i++)
        edition_free(&a->editions[i]);
    free(a->editions);
    ruled_end(&a->ruled);
    hold_free(&a->hold);
    gathered_free(&a->gathered);
    route_decision_free(&a->decision);
    close(a->fd);
}

enum result explain_file(struct explainer *x, const struct file *file, const struct plan_context *kind,
                         struct explanation *out)
{
    *out = (struct explanation){.file = file};
    struct asking a = {.x = x, .e = out, .offset = file->offset};
    a.fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (a.fd < 0) {
        x->why = strerrordesc_np(errno);
        return ERR_IO;
    }
    a.result = prepare(&a, kind);
    judge(&a);
    decide(&a);
    if (a.result == OK)
        asking_tell(&a);
    finish(&a);
    return a.result;
}

void explanation_free(struct explanation *e)
{
    arena_free(&e->arena);
}
