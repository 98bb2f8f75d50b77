#include "relay/remake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "dicom/uid.h"
#include "dimse/status.h"
#include "relay/edition.h"
#include "relay/hold.h"
#include "relay/ruled.h"

struct remake {
    struct remake_options o;
    struct octets values;
    struct dimse_command command;
    char abstract_syntax[65], transfer_syntax[65];
    struct sink_message facts;
    struct gathered *gathered;
    struct hold *hold; /* NULL: it has been changed, or has failed */
    struct edition edition;
    bool has_edition, is_ended, is_over, is_freed;
    struct sink sink; /* the end of the chain: the owner */
    struct stage *chain;
    struct io_task gone;
};

static void destroy(struct remake *r)
{
    stage_free(&r->chain);
    hold_free(&r->hold);
    if (r->has_edition)
        edition_free(&r->edition);
    gathered_free(&r->gathered);
    octets_free(&r->values);
    session_unref(r->o.session);
    free(r);
}

static void on_gone(struct io_task *task)
{
    struct remake *r = task->owner;
    if (!r->gathered || gathered_is_idle(r->gathered))
        destroy(r);
}

void remake_free(struct remake **remake)
{
    struct remake *r = *remake;
    *remake = NULL;
    if (!r)
        return;
    r->is_over = r->is_freed = r->sink.is_done = true;
    r->o.stream = NULL;
    io_defer(r->o.session->relay->io, &r->gone); /* else when its write is done */
}

static void fail(struct remake *r, uint16_t status, const char *comment)
{
    if (r->is_over)
        return;
    r->is_over = r->sink.is_done = true;
    hold_free(&r->hold);
    r->o.on_failed(r->o.owner, status, comment);
}

/* What is held counts as it does for a sender's (message.c): every buffer is a quarter full at least. */
static void set_limit(struct remake *r)
{
    const struct config *c = r->o.session->config;
    uint64_t bytes = c->window;
    if (!r->o.stream)
        return;
    if (r->hold)
        bytes += 4 * (c->header_max + 2 * GATHERED_WRITE_BYTES);
    else if (!r->is_over)
        bytes += 4 * gathered_in_memory(r->gathered);
    stream_set_limit(r->o.stream, (uint32_t)((bytes + BUF_BYTES - 1) / BUF_BYTES));
}

/* --- the rule ------------------------------------------------------------------------------------------------------ */

static void fail_ruled(struct remake *r, const struct ruled_failure *f)
{
    char comment[65];
    uint16_t status = ruled_status(f, r->o.route, "morph_response", comment);
    LOG(f->is_rule ? LOG_ERROR : LOG_WARN, f->is_rule ? "a rule failed" : "an instance cannot be changed",
        LOG_STR("assoc", r->o.session->a.id), LOG_STR("message", r->o.id),
        LOG_PATIENT("cause", f->why, f->bare));
    fail(r, status, comment);
}

static bool change(struct remake *r)
{
    struct session *s = r->o.session;
    struct ruled_failure failure;
    char remote[64];
    io_address_text(&s->a.peer, false, remote);
    struct ruled ruled = {.rules = s->rules->rules,
                          .hold = r->hold,
                          .message = &r->facts,
                          .remote = remote,
                          .listener = s->listen->name,
                          .peer = s->peer,
                          .charsets = s->relay->charsets,
                          .pool = s->relay->pool,
                          .is_response = true};
    r->has_edition = true;
    bool ok = ruled_morph(&ruled, r->o.route, &r->edition, &failure);
    ruled_end(&ruled);
    if (!ok)
        fail_ruled(r, &failure);
    return ok;
}

/* --- the chain ----------------------------------------------------------------------------------------------------- */

static void sink_data(struct sink *s, struct buf *b, uint8_t *at, uint32_t len)
{
    struct remake *r = s->owner;
    r->o.on_data(r->o.owner, b, at, len);
}

static void sink_finish(struct sink *s)
{
    struct remake *r = s->owner;
    s->is_done = r->is_over = true;
    r->o.on_end(r->o.owner);
}

static const struct sink_ops owner_ops = {.data = sink_data, .finish = sink_finish};

static void stage_failed(struct stage *st, uint16_t status, const char *what)
{
    fail(st->sink->owner, status, what);
}

static void give(void *owner, struct buf *b, uint8_t *at, uint32_t len)
{
    struct remake *r = owner;
    if (!r->is_over)
        stage_data(r->chain, &r->sink, b, at, len);
}

/* The header is here: changed, what is held goes on. */
static void release(struct remake *r)
{
    struct pool *pool = r->o.session->relay->pool;
    if (!change(r))
        return;
    hold_free(&r->hold);
    if (r->edition.is_changed && !edition_put_stages(&r->edition, &r->chain, &r->sink, pool, stage_failed)) {
        fail(r, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
        return;
    }
    r->o.on_ready(r->o.owner, r->edition.facts.command);
    stage_flow(r->chain, &r->sink);
    if (!gathered_each(r->gathered, give, r))
        fail(r, DIMSE_STATUS_OUT_OF_RESOURCES, "what was held cannot be read");
    if (!r->is_over)
        gathered_close(r->gathered);
    if (!r->is_over && r->is_ended)
        stage_finish(r->chain, &r->sink);
}

/* As far as what is held goes. */
static void pursue(struct remake *r)
{
    if (!r->hold || r->is_over || !hold_is_ready(r->hold))
        return;
    enum result state = hold_state(r->hold);
    const char *why = hold_why(r->hold);
    struct ruled_failure failure;
    ruled_fail(&failure, state, why ? why : "out of memory", r->hold->tag);
    if (state == OK)
        release(r);
    else
        fail_ruled(r, &failure);
}

static void on_moved(void *owner)
{
    struct remake *r = owner;
    if (r->is_freed) {
        io_defer(r->o.session->relay->io, &r->gone);
        return;
    }
    if (r->hold)
        hold_moved(r->hold);
    pursue(r);
    set_limit(r);
}

/* --- from outside -------------------------------------------------------------------------------------------------- */

static bool begin(struct remake *r)
{
    struct session *s = r->o.session;
    struct gathered_options g = {.config = s->config,
                                 .budget = r->o.stream->budget,
                                 .pool = s->relay->pool,
                                 .spool = s->relay->spool,
                                 .io = s->relay->io,
                                 .owner = r,
                                 .on_moved = on_moved};
    if (!dimse_copy(r->o.command, &r->values, &r->command))
        return false;
    snprintf(r->abstract_syntax, sizeof(r->abstract_syntax), "%s", r->o.abstract_syntax);
    snprintf(r->transfer_syntax, sizeof(r->transfer_syntax), "%s", r->o.transfer_syntax);
    r->facts = (struct sink_message){.association = s->a.id,
                                     .id = r->o.id,
                                     .command = &r->command,
                                     .sop_class = dicom_uid_trim(r->command.affected_class),
                                     .sop_instance = dicom_uid_trim(r->command.affected_instance),
                                     .abstract_syntax = r->abstract_syntax,
                                     .transfer_syntax = r->transfer_syntax,
                                     .calling = s->calling,
                                     .called = s->called,
                                     .config = s->config,
                                     .user = s->user,
                                     .has_data = true};
    r->gathered = gathered_new(&g);
    r->hold =
        r->gathered ? hold_new(s->config, view_of(r->transfer_syntax), r->gathered, s->relay->pool) : NULL;
    if (r->hold)
        hold_want_header(r->hold);
    return r->hold;
}

struct remake *remake_new(const struct remake_options *options)
{
    struct remake *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->o = *options;
    session_ref(r->o.session);
    r->gone = (struct io_task){.run = on_gone, .owner = r};
    r->sink = (struct sink){
        .ops = &owner_ops, .message = &r->facts, .owner = r, .is_started = true, .is_ready = true};
    if (begin(r))
        return r;
    destroy(r);
    return NULL;
}

void remake_data(struct remake *r, struct buf *b, uint8_t *at, uint32_t len)
{
    if (r->is_over)
        return;
    if (!r->hold) {
        stage_data(r->chain, &r->sink, b, at, len);
        return;
    }
    if (hold_data(r->hold, b, at, len) != OK) {
        fail(r, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
        return;
    }
    pursue(r);
    if (r->hold)
        gathered_proceed(r->gathered);
    set_limit(r);
}

void remake_end(struct remake *r)
{
    if (r->is_over)
        return;
    r->is_ended = true;
    if (r->hold) {
        hold_end(r->hold);
        pursue(r);
    } else {
        stage_finish(r->chain, &r->sink);
    }
}
