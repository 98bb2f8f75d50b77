#include "relay/delivery_lane.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "dicom/uid.h"
#include "dimse/status.h"
#include "relay/proposal.h"
#include "relay/sink_folder.h"
#include "relay/sink_node.h"

enum {
    WATCH_MS = 1000,
    SHORT_BYTES = 2 * BUF_BYTES /* read ahead of the sink, at most, while memory is short */
};

static void proceed(struct lane *l);

static struct io *io_of(const struct lane *l)
{
    return l->source.relay->io;
}

/* --- its end --------------------------------------------------------------------------------------------------- */

static bool is_busy(const struct lane *l)
{
    return spool_reader_is_busy(&l->reader) || l->sink || (l->gathered && !gathered_is_idle(l->gathered));
}

static void let_go(struct lane *l)
{
    if (l->has_ended && !is_busy(l))
        io_defer(io_of(l), &l->gone);
}

static void on_gone_task(struct io_task *task)
{
    struct lane *l = task->owner;
    if (is_busy(l))
        return;
    io_timer_stop(io_of(l), &l->watch);
    io_wait_buffers_cancel(io_of(l), &l->waiter);
    stage_free(&l->chain);
    hold_free(&l->hold);
    gathered_free(&l->gathered);
    edition_free(&l->edition);
    buf_unref(&l->buffer);
    spool_reader_close(&l->reader);
    spool_entry_free(&l->entry);
    config_unref(&l->source.config);
    l->on_gone(l);
}

static void end(struct lane *l, enum lane_end how, uint16_t status, const char *comment)
{
    if (l->has_ended)
        return;
    l->has_ended = true;
    io_wait_buffers_cancel(io_of(l), &l->waiter);
    l->on_end(l, how, status, comment);
    let_go(l);
}

/* By our own choice: the sink drops everything. */
static void fail(struct lane *l, enum lane_end how, uint16_t status, const char *why)
{
    if (l->has_ended)
        return;
    if (l->sink && !l->sink->is_done) {
        l->sink->is_done = true;
        l->sink->ops->abandon(l->sink);
    }
    end(l, how, status, why);
}

void lane_stop(struct lane *l)
{
    if (l->entry)
        fail(l, LANE_ABANDONED, 0, "stopping");
}

/* --- the sink's view ------------------------------------------------------------------------------------------- */

/* What is known of it as delivered is written without a sync: a crash may have it sent again. */
static enum lane_end judge(const struct sink *s, uint16_t status)
{
    if (dimse_severity_again(s->message->command->field, status) < 2)
        return LANE_DELIVERED;
    if (!dimse_status_may_pass(status))
        return LANE_REFUSED;
    if (s->has_begun)
        return LANE_TROUBLE;
    return s->fault == SINK_FAULT_NODE   ? LANE_AWAY
           : s->fault == SINK_FAULT_OURS ? LANE_OURS
                                         : LANE_TURNED_AWAY;
}

static void on_sink_done(struct sink *s, uint16_t status, const char *comment)
{
    struct lane *l = s->owner;
    s->is_done = true;
    l->fault = s->fault;
    l->is_quoted = s->is_quoted;
    end(l, judge(s, status), status, comment);
}

static void on_sink_gone(struct sink *s)
{
    struct lane *l = s->owner;
    l->sink = NULL;
    let_go(l);
}

static void on_sink_taken(struct sink *s)
{
    proceed(s->owner);
}

static void on_sink_ready(struct sink *s)
{
    s->is_ready = true;
}

static void on_stage_failed(struct stage *st, uint16_t status, const char *what)
{
    struct lane *l = st->sink->owner;
    fail(l, dimse_status_may_pass(status) ? LANE_TROUBLE : LANE_REFUSED, status, what);
}

/* A disk has no time-outs of its own. */
static void on_watch(struct io_timer *t)
{
    struct lane *l = t->owner;
    const struct sink *s = l->sink;
    if (!s || s->is_done)
        return;
    bool waits_for_it = l->has_all || s->ops->backlog(s) > 0;
    if (s->node->is_folder && waits_for_it &&
        io_now(io_of(l)) - s->progress_ms >= l->source.config->timeouts.response)
        fail(l, LANE_TROUBLE, DIMSE_STATUS_OUT_OF_RESOURCES, "not stored in time");
    else
        io_timer_start(io_of(l), t, WATCH_MS);
}

static void begin_sink(struct lane *l)
{
    struct relay *r = l->source.relay;
    struct sink *s = l->node->is_folder ? sink_folder_new(r->folders, l->node, &l->facts)
                                        : sink_node_new(&l->source, l->node, &l->facts);
    if (!s) {
        fail(l, LANE_OURS, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
        return;
    }
    l->sink = s;
    s->owner = l;
    s->on_ready = on_sink_ready;
    s->on_taken = on_sink_taken;
    s->on_done = on_sink_done;
    s->on_gone = on_sink_gone;
    s->progress_ms = io_now(r->io);
    if (l->entry->has_edition && !edition_put_stages(&l->edition, &l->chain, s, r->pool, on_stage_failed)) {
        fail(l, LANE_OURS, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
        return;
    }
    s->is_started = true;
    s->ops->start(s);
    stage_flow(l->chain, s);
    io_timer_start(r->io, &l->watch, WATCH_MS);
}

/* --- what it is told ------------------------------------------------------------------------------------------- */

static struct dimse_command command_of(const struct spool_entry *e)
{
    struct view class = view_of(e->sent_class), instance = view_of(e->sent_instance);
    struct dimse_command c = {
        .has = DIMSE_HAS_FIELD | DIMSE_HAS_DATA_SET_TYPE, .field = e->field, .data_set_type = DIMSE_DATA_SET};
    if (e->field == DIMSE_N_SET_RQ) {
        c.has |= DIMSE_HAS_REQUESTED_CLASS | DIMSE_HAS_REQUESTED_INSTANCE;
        c.requested_class = class;
        c.requested_instance = instance;
    } else {
        c.has |= DIMSE_HAS_AFFECTED_CLASS | DIMSE_HAS_AFFECTED_INSTANCE;
        c.affected_class = class;
        c.affected_instance = instance;
    }
    if (e->field == DIMSE_C_STORE_RQ) {
        c.has |= DIMSE_HAS_PRIORITY;
        c.priority = e->priority;
    }
    return c;
}

static void take_facts(struct lane *l)
{
    const struct spool_entry *e = l->entry;
    bool is_class_changed = strcmp(e->sent_class, e->sop_class) != 0;
    spool_id_text(e->id, l->id);
    l->command = command_of(e);
    l->facts = (struct sink_message){.association = "queue",
                                     .id = l->id,
                                     .command = &l->command,
                                     .sop_class = view_of(e->sent_class),
                                     .sop_instance = view_of(e->sent_instance),
                                     .abstract_syntax = is_class_changed ? e->sent_class : e->abstract_syntax,
                                     .transfer_syntax = e->transfer_syntax,
                                     .calling = e->calling,
                                     .called = e->called,
                                     .config = l->source.config,
                                     .user = l->source.user,
                                     .has_data = true};
    l->source.calling = e->calling;
}

/* Its header goes into the chain as it is read. */
static void begin_edition(struct lane *l)
{
    const struct spool_entry *e = l->entry;
    bool is_deflated;
    l->edition = (struct edition){.is_changed = true,
                                  .received_header_len = e->received_header_len,
                                  .is_deflated = e->is_deflated,
                                  .encoding = dicom_encoding_of(view_of(e->transfer_syntax), &is_deflated),
                                  .tail = e->tail};
}

static void on_gathered_moved(void *owner);

/* What the folder's name asks of the data set; of an edition's header, which is not deflated. */
static bool begin_hold(struct lane *l)
{
    const struct config *config = l->source.config;
    struct gathered_options o = {.config = config,
                                 .pool = l->source.relay->pool,
                                 .spool = l->source.relay->spool,
                                 .io = io_of(l),
                                 .owner = l,
                                 .on_moved = on_gathered_moved};
    const char *syntax = l->entry->is_deflated ? DICOM_EXPLICIT_VR_LE : l->entry->transfer_syntax;
    l->gathered = gathered_new(&o);
    l->hold = l->gathered ? hold_new(config, view_of(syntax), l->gathered, NULL) : NULL;
    if (!l->hold)
        return false;
    for (size_t i = 0; i < l->node->folder_attribute_count; i++)
        l->hold->wanted[l->node->folder_attributes[i]] = true;
    return hold_want_attributes(l->hold, config) == OK;
}

/* --- reading --------------------------------------------------------------------------------------------------- */

static bool is_reading_header(const struct lane *l)
{
    return l->reader.stream == &l->entry->header;
}

static bool is_sink_full(const struct lane *l)
{
    uint64_t most = pool_is_short(l->source.relay->pool) ? SHORT_BYTES : l->source.config->window;
    return l->sink && l->sink->ops->backlog(l->sink) >= most;
}

static void read_piece(struct lane *l)
{
    l->buffer = l->buffer ? l->buffer : buf_new(l->source.relay->pool);
    if (l->buffer) {
        spool_reader_next(&l->reader, l->buffer->data, l->buffer->size);
        return;
    }
    const char *why;
    if (l->gathered)
        gathered_relieve(l->gathered); /* it may be that which has all of them */
    if (l->gathered && gathered_state(l->gathered, &why) != OK)
        fail(l, LANE_OURS, DIMSE_STATUS_OUT_OF_RESOURCES, why);
    else
        io_wait_buffers(io_of(l), &l->waiter);
}

static void on_header(struct lane *l);
static void on_data_end(struct lane *l);

/* The next step of reading, if nothing is under way and the sink has room. */
static void proceed(struct lane *l)
{
    if (!l->entry || l->has_ended || spool_reader_is_busy(&l->reader) || l->waiter.is_waiting || l->has_all)
        return;
    if (spool_reader_is_at_end(&l->reader)) {
        if (is_reading_header(l))
            on_header(l);
        else
            on_data_end(l);
        return;
    }
    if (is_sink_full(l) || (l->gathered && !gathered_is_idle(l->gathered)))
        return; /* on_taken, on_gathered_moved */
    read_piece(l);
}

static void pass_on(struct lane *l, struct buf *b, uint8_t *at, uint32_t len, bool is_header);

static void on_read(struct spool_reader *r, uint32_t len)
{
    struct lane *l = r->owner;
    if (l->has_ended) {
        let_go(l);
        return;
    }
    struct buf *b = l->buffer;
    l->buffer = NULL;
    b->used = len;
    pass_on(l, b, b->data, len, is_reading_header(l));
    buf_unref(&b);
    proceed(l);
}

static void on_read_failed(struct spool_reader *r, bool is_damaged, const char *why)
{
    struct lane *l = r->owner;
    if (l->has_ended) {
        let_go(l);
    } else if (is_damaged) {
        LOG(LOG_ERROR, "an instance in the queue is damaged", LOG_STR("entry", l->id),
            LOG_STR("file", r->path), LOG_STR("cause", why));
        fail(l, LANE_DAMAGED, DIMSE_STATUS_OUT_OF_RESOURCES, why);
    } else {
        fail(l, LANE_OURS, DIMSE_STATUS_OUT_OF_RESOURCES, why);
    }
}

static void on_buffers(struct io_waiter *w)
{
    proceed(w->owner);
}

/* --- from the log to the sink -------------------------------------------------------------------------------- */

static void give(struct lane *l, struct buf *b, uint8_t *at, uint32_t len, bool is_header)
{
    if (l->sink && is_header)
        edition_give_header(l->chain, b, at, len);
    else if (l->sink)
        stage_data(l->chain, l->sink, b, at, len);
}

/* Of an edition nothing but its header is held. */
static void give_held(void *owner, struct buf *b, uint8_t *at, uint32_t len)
{
    struct lane *l = owner;
    give(l, b, at, len, l->entry->has_edition);
}

static void on_attributes(struct lane *l)
{
    if (hold_take_attributes(l->hold, l->source.relay->charsets) != OK) {
        fail(l, LANE_OURS, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
        return;
    }
    l->facts.attributes = &l->hold->attributes;
    begin_sink(l);
    l->facts.attributes = NULL;
    hold_free(&l->hold);
    if (l->has_ended)
        return;
    if (!gathered_each(l->gathered, give_held, l))
        fail(l, LANE_OURS, DIMSE_STATUS_OUT_OF_RESOURCES, "the queue cannot be read");
    gathered_free(&l->gathered);
}

/* As far as what is held goes. */
static void pursue_attributes(struct lane *l)
{
    const char *why;
    if (!gathered_is_settled(l->gathered))
        return; /* on_gathered_moved */
    enum result r = hold_state(l->hold);
    if (gathered_state(l->gathered, &why) != OK)
        fail(l, LANE_OURS, DIMSE_STATUS_OUT_OF_RESOURCES, why);
    else if (r == OK)
        on_attributes(l);
    else if (r != NEED_MORE)
        fail(l, LANE_REFUSED, DIMSE_STATUS_CANNOT_UNDERSTAND, "the data set cannot be read");
    else
        gathered_proceed(l->gathered);
}

static void on_gathered_moved(void *owner)
{
    struct lane *l = owner;
    if (l->has_ended) {
        let_go(l);
        return;
    }
    if (l->hold)
        pursue_attributes(l);
    proceed(l);
}

static void pass_on(struct lane *l, struct buf *b, uint8_t *at, uint32_t len, bool is_header)
{
    if (!l->hold)
        give(l, b, at, len, is_header);
    else if (hold_data(l->hold, b, at, len) != OK)
        fail(l, LANE_OURS, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
    else
        pursue_attributes(l);
}

/* Nothing more can be known. True: the sink is there, or it has ended. */
static bool end_hold(struct lane *l)
{
    if (l->hold && !l->hold->is_ended)
        hold_end(l->hold);
    if (l->hold)
        pursue_attributes(l);
    return !l->hold || l->has_ended;
}

static void on_header(struct lane *l)
{
    if (!end_hold(l) || l->has_ended)
        return;
    spool_reader_begin(&l->reader, &l->entry->data);
    proceed(l);
}

static void on_data_end(struct lane *l)
{
    if (!end_hold(l) || l->has_ended)
        return;
    l->has_all = true;
    l->sink->progress_ms = io_now(io_of(l));
    stage_finish(l->chain, l->sink);
}

void lane_leave_group(struct lane *l)
{
    if (l->group == 0)
        return;
    outbound_forget_user(l->source.relay->outbound, l->source.user);
    l->group = 0;
    l->source.user = l->user;
    l->source.is_private = false;
}

void lane_rest(struct lane *l)
{
    outbound_leave_resting(l->source.relay->outbound, l->source.user);
}

bool lane_is_waiting(const struct lane *l)
{
    return l->entry && l->sink && l->sink->is_started && !l->sink->has_begun && !l->sink->is_done;
}

/* A group goes by an association that nothing else uses, so that its node sees where it begins and where it ends. */
static void join_group(struct lane *l)
{
    l->order = l->entry->order;
    if (l->group == l->entry->group)
        return;
    lane_leave_group(l);
    l->group = l->entry->group;
    l->source.user = ++l->source.relay->next_user;
    l->source.is_private = true;
}

void lane_start_take(struct lane *l, struct config *config, const struct config_node *node,
                     struct spool_entry **entry)
{
    hilum_assert(!l->entry && !is_busy(l));
    l->entry = *entry;
    *entry = NULL;
    l->node = node;
    l->has_ended = l->has_all = false;
    l->started_ms = io_now(io_of(l));
    l->facts = (struct sink_message){0};
    l->edition = (struct edition){0};
    l->source.config = config_ref(config);
    join_group(l);
    take_facts(l);
    if (l->entry->has_edition)
        begin_edition(l);
    if (node->is_folder && node->folder_attribute_count > 0 && !begin_hold(l)) {
        fail(l, LANE_OURS, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
        return;
    }
    spool_reader_begin(&l->reader, l->entry->has_edition ? &l->entry->header : &l->entry->data);
    if (!l->hold)
        begin_sink(l);
    proceed(l);
}

/* --- what nodes are proposed -------------------------------------------------------------------------------- */

static bool source_is_full(const struct source *s)
{
    return pool_is_short(s->relay->pool);
}

static bool source_propose(const struct source *s, struct pdu_associate *request, const char *abstract_syntax,
                           const char *transfer_syntax)
{
    const struct lane *l = (const struct lane *)s;
    if (!proposal_add_pair(request, abstract_syntax, transfer_syntax) ||
        !proposal_add_pair(request, abstract_syntax, DICOM_IMPLICIT_VR_LE))
        return false;
    /* What the rest of its group needs, as far as one association has room for it. */
    for (const char *at = l->entry ? l->entry->syntaxes : ""; *at;) {
        const char *transfer = at + strlen(at) + 1;
        if (!proposal_add_pair(request, at, transfer))
            return false;
        at = transfer + strlen(transfer) + 1;
    }
    /* And what went there lately. A group's association is for the group alone. */
    for (unsigned i = 0; i < l->pairs->count && l->group == 0; i++)
        if (!proposal_add_pair(request, l->pairs->of[i].abstract_syntax, l->pairs->of[i].transfer_syntax))
            return false;
    return true;
}

bool lane_init(struct lane *l, struct relay *r)
{
    l->source = (struct source){.relay = r,
                                .user = l->user = ++r->next_user,
                                .is_alone = true,
                                .asks_anew = true,
                                .is_full = source_is_full,
                                .propose = source_propose};
    l->reader = (struct spool_reader){
        .spool = r->spool, .io = r->io, .owner = l, .on_read = on_read, .on_failed = on_read_failed};
    l->waiter = (struct io_waiter){.on_buffers = on_buffers, .owner = l};
    l->watch = (struct io_timer){.on_fire = on_watch, .owner = l};
    l->gone = (struct io_task){.run = on_gone_task, .owner = l};
    return spool_reader_init(&l->reader);
}

void lane_free(struct lane *l)
{
    hilum_assert(!l->entry);
    spool_reader_free(&l->reader);
}
