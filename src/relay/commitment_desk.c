/* A worker's commitments: requests and reports that come in, and what a process before has left open. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "dicom/uid.h"
#include "dimse/status.h"
#include "relay/call.h"
#include "relay/commitment_inside.h"

/* --- desks --------------------------------------------------------------------------------------------------------- */

struct commitment_desks *commitment_desks_new(unsigned workers)
{
    struct commitment_desks *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->count = workers;
    d->of = calloc(workers, sizeof(*d->of));
    if (!d->of) {
        free(d);
        return NULL;
    }
    pthread_mutex_init(&d->lock, NULL);
    return d;
}

void commitment_desks_free(struct commitment_desks **dp)
{
    struct commitment_desks *d = *dp;
    *dp = NULL;
    if (!d)
        return;
    pthread_mutex_destroy(&d->lock);
    free(d->of);
    free(d->open);
    free(d);
}

/* Lock held. NULL: it is not open. */
static struct commitment_open *find_key(struct commitment_desks *d, const uint8_t key[COMMITMENT_KEY])
{
    for (size_t n = 0; n < d->open_count; n++)
        if (memcmp(d->open[n].key, key, COMMITMENT_KEY) == 0)
            return &d->open[n];
    return NULL;
}

/* Lock held. NULL without memory. */
static struct commitment_open *add_key(struct commitment_desks *d, const uint8_t key[COMMITMENT_KEY])
{
    if (d->open_count == d->open_cap) {
        size_t cap = d->open_cap ? d->open_cap * 2 : 64;
        struct commitment_open *open = realloc(d->open, cap * sizeof(*open));
        if (!open)
            return NULL;
        d->open = open;
        d->open_cap = cap;
    }
    struct commitment_open *o = &d->open[d->open_count++];
    memcpy(o->key, key, COMMITMENT_KEY);
    return o;
}

enum remembered { KEY_NEW, KEY_OPEN, KEY_BUSY, KEY_NO_MEMORY };

/* Unless some desk has it. */
static enum remembered remember_key(struct commitment_desks *d, const uint8_t key[COMMITMENT_KEY],
                                    bool is_kept)
{
    pthread_mutex_lock(&d->lock);
    struct commitment_open *o = find_key(d, key);
    enum remembered r = !o ? KEY_NEW : o->is_kept ? KEY_OPEN : KEY_BUSY;
    if (!o) {
        o = add_key(d, key);
        if (o)
            o->is_kept = is_kept;
        else
            r = KEY_NO_MEMORY;
    }
    pthread_mutex_unlock(&d->lock);
    return r;
}

void commitment_key_is_kept(struct commitment_desks *d, const uint8_t key[COMMITMENT_KEY], bool is_kept)
{
    pthread_mutex_lock(&d->lock);
    struct commitment_open *o = find_key(d, key);
    if (o)
        o->is_kept = is_kept;
    pthread_mutex_unlock(&d->lock);
}

void commitment_forget_key(struct commitment_desks *d, const uint8_t key[COMMITMENT_KEY])
{
    pthread_mutex_lock(&d->lock);
    struct commitment_open *o = find_key(d, key);
    if (o)
        *o = d->open[--d->open_count];
    pthread_mutex_unlock(&d->lock);
}

bool commitment_is_served(const struct config *config)
{
    for (size_t n = 0; n < config->route_count; n++)
        if (config->routes[n].service == CONFIG_COMMIT)
            return true;
    return false;
}

/* --- a request ------------------------------------------------------------------------------------------------------- */

/* What is wrong with the command, before its data set is looked at (PS3.7 10.1.4.1.10). */
static uint16_t judge_command(const struct dimse_command *c, const char **why_out)
{
    if (c->field != DIMSE_N_ACTION_RQ) {
        *why_out = "storage commitment has N-ACTION alone";
        return DIMSE_STATUS_UNRECOGNISED_OPERATION;
    }
    if (!dicom_uid_is(c->requested_instance, COMMITMENT_INSTANCE)) {
        *why_out = "not the instance of storage commitment";
        return 0x0112; /* no such SOP instance */
    }
    if (c->action_type != COMMITMENT_REQUEST) {
        *why_out = "no such action type";
        return 0x0123;
    }
    return DIMSE_STATUS_SUCCESS;
}

static uint16_t status_of(enum result r)
{
    return r == ERR_PROTO ? 0x0115 /* invalid argument value */ : COMMITMENT_RESOURCE_LIMIT;
}

static bool fill_requester(struct commitment_record *r, const struct session *s)
{
    const struct config *c = s->config;
    for (size_t n = 0; s->came_from && n < c->node_count; n++)
        if (s->came_from[n] && !r->node[0])
            text_copy(r->node, sizeof(r->node), c->nodes[n].name, strlen(c->nodes[n].name));
    r->begun_ms = clock_wall_ms();
    memcpy(r->remote, s->remote, sizeof(r->remote));
    text_copy(r->calling, sizeof(r->calling), s->calling, strlen(s->calling));
    text_copy(r->called, sizeof(r->called), s->called, strlen(s->called));
    text_copy(r->listener, sizeof(r->listener), s->listen->name, strlen(s->listen->name));
    io_address_text(&s->a.peer, false, r->remote_text);
    return getrandom(r->secret, sizeof(r->secret), 0) == sizeof(r->secret);
}

static void answer_success(struct call *c)
{
    struct dimse_command response = {.has = DIMSE_HAS_STATUS, .status = DIMSE_STATUS_SUCCESS};
    call_respond(c, &response, NULL);
}

void commitment_answer_request(struct commitment *t, bool is_kept)
{
    struct call *c = t->call;
    if (!is_kept)
        LOG(LOG_ERROR, "storage commitment refused, it cannot be kept",
            LOG_UID("transaction", t->record.list.transaction));
    if (!c)
        return;
    t->call = NULL;
    c->state = NULL;
    if (is_kept)
        answer_success(c);
    else
        call_fail(c, COMMITMENT_RESOURCE_LIMIT, "queue: cannot be written");
}

void commitment_request_over(struct call *c)
{
    struct commitment *t = c->state;
    if (t)
        t->call = NULL;
    c->state = NULL;
}

/* Open already: the answer was lost on its way, and one result comes of it. Not while it is being written, or forgotten: it may be refused still, or has been
 * told. */
static void answer_again(struct call *c, enum remembered r)
{
    if (r == KEY_OPEN)
        answer_success(c);
    else
        call_fail(c, COMMITMENT_RESOURCE_LIMIT, r == KEY_NO_MEMORY ? "out of memory" : "it is being written");
}

static void open_commitment(struct call *c, struct commitments *d, struct commitment_record *record_take)
{
    uint8_t key[COMMITMENT_KEY];
    bool is_deflated;
    commitment_key(record_take, key);
    enum remembered r = remember_key(d->desks, key, false);
    LOG(LOG_INFO, r == KEY_NEW ? "storage commitment requested" : "storage commitment requested again",
        LOG_STR("assoc", c->session->a.id), LOG_UID("transaction", record_take->list.transaction),
        LOG_STR("calling", record_take->calling), LOG_INT("instances", record_take->list.count));
    if (r != KEY_NEW) {
        commitment_record_free(record_take);
        answer_again(c, r);
        return;
    }
    struct commitment *t = commitment_new(d, record_take);
    if (!t) {
        commitment_forget_key(d->desks, key);
        call_fail(c, COMMITMENT_RESOURCE_LIMIT, "out of memory");
        return;
    }
    t->call = c;
    c->state = t;
    struct dicom_encoding encoding = dicom_encoding_of(view_of(c->transfer_syntax), &is_deflated);
    if (!encoding.is_big_endian) {
        t->session = c->session;
        session_ref(t->session);
        t->context_id = c->context_id;
        t->is_explicit = encoding.is_explicit;
    }
    commitment_begin(t);
}

void commitment_request(struct call *c)
{
    struct commitments *d = c->session->relay->commitments;
    struct commitment_record record = {.desk = (uint16_t)c->session->relay->worker};
    const char *why = "too many are open";
    bool is_deflated;
    uint16_t status = judge_command(&c->command, &why);
    if (status == DIMSE_STATUS_SUCCESS && (!d || d->is_stopping || d->count >= COMMITMENTS_MAX))
        status = COMMITMENT_RESOURCE_LIMIT;
    if (status == DIMSE_STATUS_SUCCESS) {
        struct dicom_encoding encoding = dicom_encoding_of(view_of(c->transfer_syntax), &is_deflated);
        enum result r =
            is_deflated ? ERR_PROTO : commitment_list_read(&record.list, &c->received, encoding, &why);
        if (r == OK && record.list.count == 0) {
            r = ERR_PROTO;
            why = "no instances";
        }
        status = r == OK ? DIMSE_STATUS_SUCCESS : status_of(r);
    }
    if (status == DIMSE_STATUS_SUCCESS && !fill_requester(&record, c->session)) {
        status = COMMITMENT_RESOURCE_LIMIT;
        why = "no random bytes";
    }
    if (status == DIMSE_STATUS_SUCCESS) {
        open_commitment(c, d, &record);
        return;
    }
    commitment_record_free(&record);
    LOG(LOG_WARN, "storage commitment refused", LOG_STR("assoc", c->session->a.id),
        LOG_STR("calling", c->session->calling), LOG_INT("status", status), LOG_STR("cause", why));
    call_fail(c, status, why);
}

/* --- a report -------------------------------------------------------------------------------------------------------- */

/* On its way to its desk. */
struct report {
    struct io_message message;
    struct commitments *to;
    struct commitment_list list;
    char node[COMMITMENT_NAME_MAX], calling[17], remote[64];
};

static struct commitment_asking *find_asking(struct commitments *d, const char *uid)
{
    struct commitment *t;
    TAILQ_FOREACH (t, &d->all, link)
        for (size_t n = 0; t->phase == COMMITMENT_ASKING && n < t->plan.ask_count; n++)
            if (strcmp(t->askings[n].uid, uid) == 0)
                return &t->askings[n];
    return NULL;
}

static bool is_from(const struct commitments *d, const struct report *r, const char *name)
{
    const struct config_node *node = config_node_named(d->config, name);
    if (r->node[0])
        return strcmp(r->node, name) == 0;
    return node && (strcmp(node->ae_title, r->calling) == 0 || strcmp(node->host, r->remote) == 0);
}

static void take_report(struct commitments *d, struct report *r)
{
    struct commitment_asking *a = d->is_stopping ? NULL : find_asking(d, r->list.transaction);
    if (d->is_stopping)
        LOG(LOG_INFO, "a storage commitment is reported on while stopping: it is asked for again",
            LOG_UID("as", r->list.transaction));
    else if (!a)
        LOG(LOG_WARN, "a report on no open storage commitment", LOG_UID("as", r->list.transaction),
            LOG_STR("calling", r->calling), LOG_STR("node", r->node));
    else if (!is_from(d, r, a->ask->node))
        LOG(LOG_WARN, "a report on a storage commitment by another than was asked",
            LOG_UID("as", r->list.transaction), LOG_STR("calling", r->calling), LOG_STR("node", r->node),
            LOG_STR("asked", a->ask->node));
    else
        commitment_reported(a, &r->list);
    commitment_list_free(&r->list);
    free(r);
}

static void on_report(struct io_message *m)
{
    struct report *r = (struct report *)(void *)((char *)m - offsetof(struct report, message));
    take_report(r->to, r);
}

static void fill_reporter(struct report *r, const struct commitment_reporter *from)
{
    const char *node = from->node ? from->node : "", *calling = from->calling ? from->calling : "";
    const char *remote = from->remote ? from->remote : "";
    text_copy(r->node, sizeof(r->node), node, strlen(node));
    text_copy(r->calling, sizeof(r->calling), calling, strlen(calling));
    text_copy(r->remote, sizeof(r->remote), remote, strlen(remote));
}

/* Type 1 and 2, and no type at all (quirk 10): the lists say it. */
uint16_t commitment_report(struct relay *relay, const struct commitment_reporter *from,
                           const struct dimse_command *c, const struct slices *data,
                           const char *transfer_syntax)
{
    struct commitments *d = relay->commitments;
    const char *why = "no such event type";
    bool is_deflated;
    uint16_t desk = 0, status = DIMSE_STATUS_SUCCESS;
    bool has_type = c->has & DIMSE_HAS_EVENT_TYPE;
    struct report *r = d ? calloc(1, sizeof(*r)) : NULL;
    if (!r)
        return COMMITMENT_RESOURCE_LIMIT;
    struct dicom_encoding encoding = dicom_encoding_of(view_of(transfer_syntax), &is_deflated);
    enum result result = is_deflated ? ERR_PROTO : commitment_list_read(&r->list, data, encoding, &why);
    if (has_type && c->event_type != COMMITMENT_EVENT_SUCCESS && c->event_type != COMMITMENT_EVENT_FAILURES) {
        status = 0x0113; /* no such event type */
        why = "no such event type";
    } else if (result != OK) {
        status = status_of(result);
    } else if (!commitment_uid_desk(r->list.transaction, &desk)) {
        status = 0x0115;
        why = "not a Transaction UID of ours";
    }
    if (status != DIMSE_STATUS_SUCCESS) {
        LOG(LOG_WARN, "a report on a storage commitment is refused", LOG_INT("status", status),
            LOG_STR("cause", why), LOG_STR("calling", from->calling ? from->calling : ""),
            LOG_STR("node", from->node ? from->node : ""));
        commitment_list_free(&r->list);
        free(r);
        return status;
    }
    fill_reporter(r, from);
    r->to = d->desks->of[desk % d->desks->count];
    r->message.on_message = on_report;
    io_post(r->to->relay->io, &r->message);
    return DIMSE_STATUS_SUCCESS;
}

/* --- its life ---------------------------------------------------------------------------------------------------------- */

static void on_left(struct spool_commitments *feed, const uint8_t key[COMMITMENT_KEY], uint16_t desk,
                    struct view bytes)
{
    struct commitments *d = feed->owner;
    struct commitment_record record;
    enum remembered known = KEY_NEW;
    (void)desk;
    if (d->is_stopping)
        return;
    enum result r = commitment_record_read(&record, bytes);
    if (r == OK)
        known = remember_key(d->desks, key, true);
    if (r != OK || known != KEY_NEW) {
        LOG(LOG_ERROR, "a storage commitment of the spool is left aside",
            LOG_STR("cause", r != OK                  ? result_name(r)
                             : known == KEY_NO_MEMORY ? "out of memory"
                                                      : "it is open already"));
        commitment_record_free(&record);
        return;
    }
    struct commitment *t = commitment_new(d, &record);
    if (t)
        commitment_resume(t);
    else
        commitment_forget_key(d->desks, key);
}

static void on_closed(struct spool_commitments *feed)
{
    struct commitments *d = feed->owner;
    d->is_feeding = false;
}

struct commitments *commitments_new(struct relay *r, struct commitment_desks *desks, unsigned workers)
{
    struct commitments *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    d->relay = r;
    d->desks = desks;
    d->user = ++r->next_user;
    TAILQ_INIT(&d->all);
    d->feed = (struct spool_commitments){.part = r->worker,
                                         .parts = workers,
                                         .io = r->io,
                                         .owner = d,
                                         .on_commitment = on_left,
                                         .on_closed = on_closed};
    desks->of[r->worker] = d;
    return d;
}

void commitments_configure(struct commitments *d, struct config *config)
{
    bool is_first = !d->config;
    config_ref(config);
    config_unref(&d->config);
    d->config = config;
    if (is_first && d->relay->spool && !d->is_stopping) {
        d->is_feeding = true;
        spool_commitments_open(d->relay->spool, &d->feed);
    }
}

void commitments_stop(struct commitments *d)
{
    struct commitment *t;
    if (d->is_stopping)
        return;
    d->is_stopping = true;
    TAILQ_FOREACH (t, &d->all, link)
        commitment_stop(t);
    if (d->is_feeding)
        spool_commitments_close(d->relay->spool, &d->feed);
    if (!d->relay->spool && d->count > 0)
        LOG(LOG_WARN, "storage commitments end with the process, as there is no spool",
            LOG_INT("count", d->count));
}

bool commitments_are_stopped(const struct commitments *d)
{
    const struct commitment *t;
    TAILQ_FOREACH (t, &d->all, link)
        if (!commitment_is_idle(t))
            return false;
    return d->is_stopping && !d->is_feeding;
}

void commitments_free(struct commitments **dp)
{
    struct commitments *d = *dp;
    struct commitment *t, *next;
    *dp = NULL;
    if (!d)
        return;
    for (t = TAILQ_FIRST(&d->all); t; t = next) {
        next = TAILQ_NEXT(t, link);
        if (commitment_is_idle(
                t)) /* else a worker that was given up: what it waits for may still write there */
            commitment_free(t);
    }
    config_unref(&d->config);
    free(d);
}
