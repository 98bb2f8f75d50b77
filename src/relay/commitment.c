/*
 * One commitment:
 *
 *   keeping    its record goes into the spool; then the request is answered
 *   planning   the ledger is asked where its instances are. While some are on their way in the queue, again and again
 *   asking     each node, until it has taken the request; what it reports is kept. A node that is away is asked again
 *   telling    the requester, until it has answered, for a week
 *
 * timeouts.commit counts from the request: half of it for what is on its way, then what has arrived is asked about; all of it for nodes to report.
 */
#include "relay/commitment.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "dimse/status.h"
#include "relay/commitment_inside.h"
#include "relay/reverse.h"

enum {
    SETTLE_MS = 500, /* what was relayed just before has come into the ledger by then */
    TRY_FIRST_MS = 1000,
    TRY_MOST_MS = 15000,
    RESUME_MS =
        3000, /* after a start the listeners are open by then: a node that reports at once, and once, finds us */
    SILENT_FIRST_MS = 600000, /* a node may have failed to reach us, or have forgotten it */
    SILENT_MOST_MS = 21600000,
    NO_NODE_MS = 60000,      /* a configuration may come that has it */
    TIMER_MOST_MS = 3600000, /* clocks are put right */
};
static const uint64_t expire_ms = 7ULL * 24 * 60 * 60 * 1000;

static void decide(struct commitment *t);
static void tell(struct commitment *t);

/* --- small things ------------------------------------------------------------------------------------------------ */

static struct io *io_of(const struct commitment *t)
{
    return t->desk->relay->io;
}

static void sleep_for(struct commitment *t, uint64_t ms)
{
    io_timer_start(io_of(t), &t->timer, ms < TIMER_MOST_MS ? ms : TIMER_MOST_MS);
}

static uint64_t longer(uint64_t pause_ms, uint64_t first_ms, uint64_t most_ms)
{
    uint64_t next = pause_ms ? pause_ms * 2 : first_ms;
    return next < most_ms ? next : most_ms;
}

/* Something here failed, for want of memory mostly: it may pass soon. */
static void try_again(struct commitment *t)
{
    t->pause_ms = longer(t->pause_ms, TRY_FIRST_MS, TRY_MOST_MS);
    sleep_for(t, t->pause_ms);
}

/* Of timeouts.commit, 0 when it is over; of the half of it likewise. A clock that was set back costs no more than that. */
static uint64_t left_ms(const struct commitment *t, uint64_t of_ms)
{
    uint64_t now = clock_wall_ms();
    uint64_t passed = now > t->record.begun_ms ? now - t->record.begun_ms : 0;
    return passed < of_ms ? of_ms - passed : 0;
}

static uint64_t time_out_ms(const struct commitment *t)
{
    return t->desk->config->timeouts.commit;
}

static void over(struct commitment *t)
{
    io_timer_stop(io_of(t), &t->timer);
    t->phase = COMMITMENT_OVER;
    commitment_key_is_kept(t->desk->desks, t->key, false);
    if (commitment_is_idle(t))
        commitment_free(t);
}

/* --- keeping ----------------------------------------------------------------------------------------------------- */

static void plan(struct commitment *t);

static void on_kept(struct commitment *t, bool is_kept)
{
    if (is_kept)
        commitment_key_is_kept(t->desk->desks, t->key, true);
    commitment_answer_request(t, is_kept);
    if (!is_kept) {
        over(t);
        return;
    }
    t->phase = COMMITMENT_PLANNING;
    sleep_for(t, t->desk->relay->spool ? SETTLE_MS : 0);
}

static void keep(struct commitment *t);

static void on_written(struct spool_commitment_write *w, bool is_durable)
{
    struct commitment *t = w->owner;
    t->is_writing = false;
    octets_clear(&t->bytes);
    if (t->phase == COMMITMENT_KEEPING && !t->desk->is_stopping) {
        on_kept(t, is_durable);
        return;
    }
    if (!is_durable)
        LOG(LOG_ERROR, "the state of a storage commitment is not kept",
            LOG_UID("transaction", t->record.list.transaction));
    if (t->must_write)
        keep(t);
    else if (t->phase == COMMITMENT_OVER && commitment_is_idle(t) && !t->desk->is_stopping)
        commitment_free(t);
}

/* Its record as it is now, or none if it is over. Without a spool it lives in memory alone. */
static void keep(struct commitment *t)
{
    struct relay *r = t->desk->relay;
    if (!r->spool) {
        if (t->phase == COMMITMENT_KEEPING)
            on_kept(t, true);
        return;
    }
    t->must_write = t->is_writing;
    if (t->is_writing)
        return;
    octets_clear(&t->bytes);
    if (!t->is_forgotten)
        commitment_record_write(&t->record, &t->bytes);
    if (t->bytes.failed) {
        LOG(LOG_ERROR, "no memory to keep a storage commitment",
            LOG_UID("transaction", t->record.list.transaction));
        if (t->phase == COMMITMENT_KEEPING)
            on_kept(t, false);
        return;
    }
    t->write = (struct spool_commitment_write){.io = r->io,
                                               .owner = t,
                                               .on_done = on_written,
                                               .desk = t->record.desk,
                                               .bytes = {t->bytes.data, t->bytes.len}};
    memcpy(t->write.key, t->key, sizeof(t->key));
    t->is_writing = true;
    spool_commitment_write(r->spool, &t->write);
}

static void forget(struct commitment *t)
{
    t->is_forgotten = true;
    t->phase = COMMITMENT_OVER;
    keep(t);
    over(t);
}

/* --- asking ------------------------------------------------------------------------------------------------------ */

static void ask(struct commitment_asking *a);

static bool is_answered(const struct commitment *t)
{
    for (size_t n = 0; n < t->plan.ask_count; n++)
        if (!t->askings[n].is_done)
            return false;
    return true;
}

static void done(struct commitment_asking *a)
{
    struct commitment *t = a->of;
    io_timer_stop(io_of(t), &a->timer);
    commitment_errand_abandon(&a->errand);
    a->is_done = true;
    if (!commitment_ask_keep(a->ask, &t->record))
        LOG(LOG_ERROR, "no memory to keep what a node reported",
            LOG_UID("transaction", t->record.list.transaction), LOG_STR("node", a->ask->node));
    if (is_answered(t))
        decide(t);
    else
        keep(t);
}

static void ask_again(struct commitment_asking *a, const struct config_node *node, const char *why)
{
    struct commitment *t = a->of;
    uint64_t first = node ? node->retry_first_ms : NO_NODE_MS, most = node ? node->retry_most_ms : NO_NODE_MS;
    a->pause_ms = longer(a->pause_ms, first, most);
    LOG(LOG_WARN, "storage commitment: the node is asked again later",
        LOG_UID("transaction", t->record.list.transaction), LOG_STR("node", a->ask->node),
        LOG_STR("cause", why), LOG_INT("ms", a->pause_ms));
    io_timer_start(io_of(t), &a->timer, a->pause_ms);
}

static void refused(struct commitment_asking *a, uint16_t reason, uint16_t status)
{
    LOG(LOG_WARN, "storage commitment: the node does not commit",
        LOG_UID("transaction", a->of->record.list.transaction), LOG_STR("node", a->ask->node),
        LOG_INT("status", status), LOG_INT("instances", a->ask->count));
    commitment_ask_fail(a->ask, reason);
    done(a);
}

/* Failures of resources, or in processing, may pass; a request that the node has already is as good as taken. */
static void on_asked(struct commitment_errand *e, bool is_answered, uint16_t status, const char *why)
{
    struct commitment_asking *a = e->owner;
    const struct config_node *node = config_node_named(a->of->desk->config, a->ask->node);
    if (a->of->desk->is_stopping || a->is_done)
        return;
    bool is_taken = dimse_status_class(status) == DIMSE_SUCCESS ||
                    dimse_status_class(status) == DIMSE_WARNING || status == COMMITMENT_DUPLICATE;
    bool may_pass = !is_answered ? status != DIMSE_STATUS_SOP_CLASS_NOT_SUPPORTED
                                 : status == DIMSE_STATUS_PROCESSING_FAILURE || dimse_status_may_pass(status);
    if (is_answered && is_taken) {
        a->pause_ms =
            longer(a->pause_ms < SILENT_FIRST_MS ? 0 : a->pause_ms, SILENT_FIRST_MS, SILENT_MOST_MS);
        io_timer_start(io_of(a->of), &a->timer, a->pause_ms);
        LOG(LOG_INFO, "storage commitment asked", LOG_UID("transaction", a->of->record.list.transaction),
            LOG_STR("node", a->ask->node), LOG_UID("as", a->uid), LOG_INT("instances", a->ask->count));
    } else if (may_pass) {
        ask_again(a, node, is_answered ? dimse_status_text(status) : why);
    } else {
        refused(a, COMMITMENT_CLASS_NOT_SUPPORTED, status);
    }
}

/* It is claimed already, by another route. Claims of an item are in a row. */
static bool is_repeated(const struct commitment_ask *ask, size_t n)
{
    const struct commitment_claim *c = &ask->claims[n];
    for (; n > 0 && ask->claims[n - 1].item == c->item; n--)
        if (strcmp(ask->claims[n - 1].sent, c->sent) == 0)
            return true;
    return false;
}

static bool write_request(const struct commitment_asking *a, struct octets *o)
{
    const struct commitment_ask *ask = a->ask;
    const struct commitment_record *r = &a->of->record;
    struct commitment_item *items = calloc(ask->count + 1, sizeof(*items));
    size_t count = 0;
    for (size_t n = 0; items && n < ask->count; n++)
        if (ask->claims[n].answer == COMMITMENT_UNASKED && !is_repeated(ask, n))
            items[count++] =
                (struct commitment_item){.sop_class = r->list.items[ask->claims[n].item].sop_class,
                                         .sop_instance = ask->claims[n].sent};
    if (items)
        commitment_list_write(o, false, a->uid, items, count);
    free(items);
    return items && !o->failed;
}

static void ask(struct commitment_asking *a)
{
    struct commitment *t = a->of;
    struct commitments *d = t->desk;
    const struct config_node *node = config_node_named(d->config, a->ask->node);
    struct octets data = {0};
    struct commitment_errand_to to = {.relay = d->relay,
                                      .config = d->config,
                                      .node = node,
                                      .user = d->user,
                                      .id = t->record.list.transaction,
                                      .calling = t->record.calling,
                                      .type = COMMITMENT_REQUEST};
    a->errand.owner = a;
    a->errand.on_done = on_asked;
    if (!node || node->is_folder)
        ask_again(a, NULL, "the configuration has no such node now");
    else if (!write_request(a, &data) ||
             !commitment_errand_begin(&a->errand, &to, (struct view){data.data, data.len}))
        ask_again(a, node, "out of memory");
    octets_free(&data);
}

static void on_ask_timer(struct io_timer *timer)
{
    ask(timer->owner);
}

/* What was answered before a restart is not asked again. */
static void ask_all(struct commitment *t)
{
    struct commitment_plan *p = &t->plan;
    t->phase = COMMITMENT_ASKING;
    t->askings = calloc(p->ask_count + 1, sizeof(*t->askings));
    if (!t->askings) {
        t->phase = COMMITMENT_PLANNING;
        commitment_plan_free(p);
        try_again(t);
        return;
    }
    size_t open = 0;
    for (size_t n = 0; n < p->ask_count; n++) {
        struct commitment_asking *a = &t->askings[n];
        a->of = t;
        a->ask = &p->asks[n];
        a->timer = (struct io_timer){.on_fire = on_ask_timer, .owner = a};
        a->is_done = commitment_ask_is_answered(a->ask);
        open += !a->is_done;
        commitment_uid(&t->record, a->ask->node, a->uid);
    }
    if (open == 0) {
        decide(t);
        return;
    }
    sleep_for(t, left_ms(t, time_out_ms(t)));
    for (size_t n = 0; n < p->ask_count; n++)
        if (!t->askings[n].is_done)
            ask(&t->askings[n]);
}

void commitment_reported(struct commitment_asking *a, struct commitment_list *report)
{
    struct commitment *t = a->of;
    size_t failed = 0;
    if (a->is_done)
        return;
    commitment_ask_take(a->ask, report);
    for (size_t n = 0; n < a->ask->count; n++)
        failed += a->ask->claims[n].answer != COMMITMENT_COMMITTED;
    LOG(LOG_INFO, "storage commitment reported", LOG_UID("transaction", t->record.list.transaction),
        LOG_STR("node", a->ask->node), LOG_INT("committed", a->ask->count - failed),
        LOG_INT("failed", failed));
    done(a);
}

/* The rest has failed. Each that is done may be the last. */
static void time_out(struct commitment *t)
{
    LOG(LOG_WARN, "storage commitment: not all nodes have reported in time",
        LOG_UID("transaction", t->record.list.transaction));
    for (size_t n = 0; n < t->plan.ask_count; n++) {
        struct commitment_asking *a = &t->askings[n];
        io_timer_stop(io_of(t), &a->timer);
        commitment_errand_abandon(&a->errand);
        commitment_ask_fail(a->ask, COMMITMENT_PROCESSING_FAILURE);
        a->is_done = true;
    }
    decide(t);
}

/* --- planning ---------------------------------------------------------------------------------------------------- */

static void carry_out(struct commitment *t)
{
    bool gives_up = left_ms(t, time_out_ms(t) / 2) == 0;
    enum result r = commitment_plan_make(&t->plan, t->desk->config, &t->record, t->where.rows,
                                         t->where.row_count, gives_up);
    size_t queued = t->plan.queued;
    spool_whereabouts_free(&t->where);
    if (r == OK && queued == 0) {
        t->pause_ms = 0;
        ask_all(t);
        return;
    }
    commitment_plan_free(&t->plan);
    t->pause_ms = longer(t->pause_ms, TRY_FIRST_MS, TRY_MOST_MS);
    uint64_t left = left_ms(t, time_out_ms(t) / 2);
    LOG(r == OK ? LOG_INFO : LOG_ERROR,
        r == OK ? "storage commitment waits for the queue" : "storage commitment cannot be planned",
        LOG_UID("transaction", t->record.list.transaction), LOG_INT("queued", queued),
        LOG_INT("ms", t->pause_ms));
    sleep_for(t, r == OK && left < t->pause_ms ? left : t->pause_ms);
}

static void on_where(struct spool_whereabouts *w)
{
    struct commitment *t = w->owner;
    t->is_looking = false;
    free(t->instances);
    t->instances = NULL;
    if (t->desk->is_stopping) {
        spool_whereabouts_free(w);
    } else if (w->result != OK) {
        LOG(LOG_ERROR, "storage commitment: the ledger does not answer, it is asked again",
            LOG_UID("transaction", t->record.list.transaction), LOG_STR("cause", result_name(w->result)));
        spool_whereabouts_free(w);
        try_again(t);
    } else {
        carry_out(t);
    }
}

static void plan(struct commitment *t)
{
    struct relay *r = t->desk->relay;
    t->where = (struct spool_whereabouts){.io = r->io, .owner = t, .on_answer = on_where};
    if (!r->spool) {
        carry_out(t);
        return;
    }
    t->instances = malloc((t->record.list.count + 1) * sizeof(*t->instances));
    if (!t->instances) {
        try_again(t);
        return;
    }
    for (size_t n = 0; n < t->record.list.count; n++)
        t->instances[n] = t->record.list.items[n].sop_instance;
    t->where.instances = t->instances;
    t->where.count = t->record.list.count;
    t->is_looking = true;
    spool_whereabouts_ask(r->spool, &t->where);
}

/* --- telling ----------------------------------------------------------------------------------------------------- */

static void decide(struct commitment *t)
{
    struct commitment_record *r = &t->record;
    io_timer_stop(io_of(t), &t->timer);
    if (commitment_plan_decide(&t->plan, r) != OK) {
        LOG(LOG_ERROR, "no memory to decide a storage commitment",
            LOG_UID("transaction", r->list.transaction));
        try_again(t);
        return;
    }
    size_t failed = commitment_failed(r->list.items, r->list.count);
    LOG(failed ? LOG_WARN : LOG_INFO, "storage commitment decided",
        LOG_UID("transaction", r->list.transaction), LOG_STR("calling", r->calling),
        LOG_INT("committed", r->list.count - failed), LOG_INT("failed", failed),
        LOG_INT("nodes", t->plan.ask_count));
    t->phase = COMMITMENT_TELLING;
    t->pause_ms = 0;
    keep(t);
    tell(t);
}

/* The requester as a node of ours: of several with its title the one at its address, or none: it is told to nobody else. */
static const struct config_node *requester_of(const struct commitment *t)
{
    const struct config *c = t->desk->config;
    const struct config_node *found = config_node_named(c, t->record.node);
    bool are_several = false;
    if (found && !found->is_folder && strcmp(found->ae_title, t->record.calling) == 0)
        return found;
    found = NULL;
    for (size_t n = 0; n < c->node_count; n++) {
        const struct config_node *node = &c->nodes[n];
        if (node->is_folder || strcmp(node->ae_title, t->record.calling) != 0)
            continue;
        if (strcmp(node->host, t->record.remote_text) == 0)
            return node;
        are_several = are_several || found;
        found = node;
    }
    return are_several ? NULL : found;
}

static void tell_again(struct commitment *t, const struct config_node *node, const char *why)
{
    if (left_ms(t, expire_ms) == 0) {
        LOG(LOG_ERROR, "a storage commitment expires, its requester was not told",
            LOG_UID("transaction", t->record.list.transaction), LOG_STR("calling", t->record.calling));
        forget(t);
        return;
    }
    t->pause_ms = node ? longer(t->pause_ms, node->retry_first_ms, node->retry_most_ms) : NO_NODE_MS;
    if (node || !t->has_no_node)
        LOG(LOG_WARN, "the result of a storage commitment is told again later",
            LOG_UID("transaction", t->record.list.transaction), LOG_STR("calling", t->record.calling),
            LOG_STR("remote", t->record.remote_text), LOG_STR("cause", why), LOG_INT("ms", t->pause_ms));
    t->has_no_node = !node;
    sleep_for(t, t->pause_ms);
}

/* Whatever it answers, it has heard it. */
static void told(struct commitment *t, uint16_t status, const char *where)
{
    LOG(status == DIMSE_STATUS_SUCCESS ? LOG_INFO : LOG_WARN, "storage commitment told",
        LOG_UID("transaction", t->record.list.transaction), LOG_STR("calling", t->record.calling),
        LOG_STR("by", where), LOG_INT("status", status));
    forget(t);
}

static void on_told(struct commitment_errand *e, bool is_answered, uint16_t status, const char *why)
{
    struct commitment *t = e->owner;
    const struct config_node *node = requester_of(t);
    if (t->desk->is_stopping)
        return;
    if (!is_answered) {
        tell_again(t, node, why);
        return;
    }
    told(t, status, node ? node->name : "a node that is gone");
}

/* On the association that the request came on, while it is open (PS3.4 J.3.3). */
static void leave_session(struct commitment *t)
{
    if (t->reverse)
        reverse_forget(t->reverse);
    t->reverse = NULL;
    if (t->session)
        session_unref(t->session);
    t->session = NULL;
}

static void on_told_there(void *owner, bool is_answered, uint16_t status)
{
    struct commitment *t = owner;
    t->reverse = NULL;
    leave_session(t);
    if (t->desk->is_stopping)
        return;
    if (is_answered)
        told(t, status, "the association of the request");
    else
        sleep_for(t, 0);
}

static bool tell_there(struct commitment *t, uint16_t event)
{
    const struct commitment_list *l = &t->record.list;
    struct octets bytes = {0};
    struct slices data = {0};
    struct dimse_command c = {.has = DIMSE_HAS_FIELD | DIMSE_HAS_AFFECTED_CLASS |
                                     DIMSE_HAS_AFFECTED_INSTANCE | DIMSE_HAS_EVENT_TYPE,
                              .field = DIMSE_N_EVENT_REPORT_RQ,
                              .affected_class = view_of(COMMITMENT_CLASS),
                              .affected_instance = view_of(COMMITMENT_INSTANCE),
                              .event_type = event};
    if (!t->session || t->session->is_over)
        return false;
    commitment_list_write(&bytes, t->is_explicit, l->transaction, l->items, l->count);
    if (!bytes.failed && slices_push_copy(&data, t->desk->relay->pool, bytes.data, bytes.len, NULL))
        t->reverse = reverse_ask(t->session, t->context_id, &c, &data, t, on_told_there);
    slices_clear(&data);
    octets_free(&bytes);
    return t->reverse != NULL;
}

static void tell(struct commitment *t)
{
    struct commitments *d = t->desk;
    const struct commitment_list *l = &t->record.list;
    const struct config_node *node = requester_of(t);
    bool has_failures = commitment_failed(l->items, l->count) > 0;
    struct octets data = {0};
    struct commitment_errand_to to = {.relay = d->relay,
                                      .config = d->config,
                                      .node = node,
                                      .user = d->user,
                                      .id = l->transaction,
                                      .calling = t->record.called,
                                      .tells = true,
                                      .type = has_failures ? COMMITMENT_EVENT_FAILURES
                                                           : COMMITMENT_EVENT_SUCCESS};
    if (tell_there(t, to.type))
        return;
    leave_session(t);
    t->telling.owner = t;
    t->telling.on_done = on_told;
    if (node)
        commitment_list_write(&data, false, l->transaction, l->items, l->count);
    if (!node)
        tell_again(t, NULL, "no node has the title of the requester");
    else if (data.failed || !commitment_errand_begin(&t->telling, &to, (struct view){data.data, data.len}))
        tell_again(t, node, "out of memory");
    octets_free(&data);
}

/* --- its life ------------------------------------------------------------------------------------------------------ */

static void on_timer(struct io_timer *timer)
{
    struct commitment *t = timer->owner;
    switch (t->phase) {
    case COMMITMENT_PLANNING:
        plan(t);
        break;
    case COMMITMENT_ASKING:
        if (is_answered(t))
            decide(t);
        else if (left_ms(t, time_out_ms(t)) == 0)
            time_out(t);
        else
            sleep_for(t, left_ms(t, time_out_ms(t)));
        break;
    case COMMITMENT_TELLING:
        tell(t);
        break;
    case COMMITMENT_KEEPING:
    case COMMITMENT_OVER:
        break;
    }
}

struct commitment *commitment_new(struct commitments *d, struct commitment_record *record_take)
{
    struct commitment *t = calloc(1, sizeof(*t));
    if (!t) {
        commitment_record_free(record_take);
        return NULL;
    }
    t->desk = d;
    t->record = *record_take;
    *record_take = (struct commitment_record){0};
    commitment_key(&t->record, t->key);
    t->timer = (struct io_timer){.on_fire = on_timer, .owner = t};
    TAILQ_INSERT_TAIL(&d->all, t, link);
    d->count++;
    return t;
}

void commitment_begin(struct commitment *t)
{
    t->phase = COMMITMENT_KEEPING;
    keep(t);
}

void commitment_resume(struct commitment *t)
{
    LOG(LOG_INFO, "storage commitment taken up again", LOG_UID("transaction", t->record.list.transaction),
        LOG_STR("calling", t->record.calling), LOG_INT("instances", t->record.list.count),
        LOG_INT("decided", t->record.is_decided));
    t->phase = t->record.is_decided ? COMMITMENT_TELLING : COMMITMENT_PLANNING;
    sleep_for(t, t->record.is_decided ? 0 : RESUME_MS);
}

void commitment_stop(struct commitment *t)
{
    io_timer_stop(io_of(t), &t->timer);
    commitment_errand_abandon(&t->telling);
    leave_session(t);
    for (size_t n = 0; t->askings && n < t->plan.ask_count; n++) {
        io_timer_stop(io_of(t), &t->askings[n].timer);
        commitment_errand_abandon(&t->askings[n].errand);
    }
}

bool commitment_is_idle(const struct commitment *t)
{
    return !t->is_writing && !t->is_looking;
}

void commitment_free(struct commitment *t)
{
    struct commitments *d = t->desk;
    hilum_assert(commitment_is_idle(t));
    commitment_stop(t);
    TAILQ_REMOVE(&d->all, t, link);
    d->count--;
    commitment_forget_key(d->desks, t->key);
    octets_free(&t->bytes);
    free(t->instances);
    free(t->askings);
    commitment_plan_free(&t->plan);
    commitment_record_free(&t->record);
    free(t);
}
