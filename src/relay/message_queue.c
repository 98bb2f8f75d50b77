#include "relay/message_queue.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "dimse/status.h"
#include "relay/edition.h"
#include "relay/keep.h"
#include "relay/message_route.h"

/* From the decision to queue to the log's answer. */
struct message_commit {
    struct spool_commit commit;
    struct spool_new_entry *entries;
    struct spool_edition *editions;
    struct keep_header *headers;
    const struct edition **of; /* by edition of the commit */
    size_t edition_count, entry_count;
    bool is_over;
};

/* --- keeping --------------------------------------------------------------------------------------------------- */

static void on_written(struct keep *k)
{
    message_queue_moved(k->owner);
}

static void on_committed(struct keep *k, enum spool_error error);

bool message_queue_begin(struct message *m)
{
    struct relay *r = m->session->relay;
    bool queues = m->copy_count > 0, journals = false;
    for (unsigned i = 0; i < m->sink_count; i++) {
        queues = queues || m->outcomes[i].queues;
        journals = journals || (m->outcomes[i].queues && m->outcomes[i].journals);
    }
    if (!queues)
        return true;
    struct keep_options o = {.spool = r->spool,
                             .io = r->io,
                             .charsets = r->charsets,
                             .transfer_syntax = m->transfer_syntax,
                             .held_max = m->session->config->replay_max,
                             .journals = journals};
    m->keep = keep_new(&o);
    if (!m->keep)
        return false;
    m->keep->owner = m;
    m->keep->on_written = on_written;
    m->keep->on_committed = on_committed;
    if (m->copy_count > 0)
        keep_need(m->keep);
    return true;
}

bool message_queue_may_take(const struct message *m, unsigned index, uint16_t status)
{
    return m->keep && keep_is_whole(m->keep) && m->outcomes[index].queues && dimse_status_may_pass(status);
}

/* --- the commit ------------------------------------------------------------------------------------------------ */

static void commit_free(struct message *m)
{
    struct message_commit *c = m->commit;
    if (!c)
        return;
    free(c->entries);
    free(c->editions);
    free(c->headers);
    free(c->of);
    free(c);
    m->commit = NULL;
}

static int edition_index(struct message_commit *c, const struct edition *e)
{
    if (!e || !e->is_changed)
        return SPOOL_AS_RECEIVED;
    for (size_t i = 0; i < c->edition_count; i++)
        if (c->of[i] == e)
            return (int)i;
    c->of[c->edition_count] = e;
    c->headers[c->edition_count] = (struct keep_header){e->header.at, e->header.len};
    c->editions[c->edition_count] =
        (struct spool_edition){.stream = SPOOL_STREAM_HEADERS + (unsigned)c->edition_count,
                               .received_header_len = e->received_header_len,
                               .is_deflated = e->is_deflated,
                               .tail = e->tail,
                               .sop_class = e->facts.sop_class,
                               .sop_instance = e->facts.sop_instance};
    return (int)c->edition_count++;
}

/* The member that a pool has come to gets it as a `to`. */
static bool has_another(const struct message *m, const struct message_copy *copy)
{
    for (unsigned i = 0; i < m->sink_count; i++)
        if (m->outcomes[i].node == copy->node && m->sink_editions[i] == copy->edition &&
            !m->outcomes[i].is_elsewhere)
            return true;
    return false;
}

static unsigned count_copies(const struct message *m)
{
    unsigned count = 0;
    for (unsigned i = 0; i < m->copy_count; i++)
        count += !has_another(m, &m->copies[i]);
    return count;
}

static void add_copies(struct message *m, struct message_commit *c)
{
    for (unsigned i = 0; i < m->copy_count; i++) {
        const struct message_copy *copy = &m->copies[i];
        if (has_another(m, copy))
            continue;
        bool is_held = copy->route->hold != CONFIG_HOLD_NONE;
        c->entries[c->entry_count++] =
            (struct spool_new_entry){.node = copy->node->name,
                                     .route = copy->route->name,
                                     .edition = edition_index(c, copy->edition),
                                     .hold_ms = is_held ? copy->route->hold_quiet_ms : 0,
                                     .asks = is_held && copy->route->has_on_study,
                                     .group = !is_held                                  ? NULL
                                              : copy->route->hold == CONFIG_HOLD_SERIES ? "series"
                                                                                        : "study"};
    }
}

static void add_taken_over(struct message *m, struct message_commit *c)
{
    for (unsigned i = 0; i < m->sink_count; i++) {
        struct message_outcome *o = &m->outcomes[i];
        if (dimse_severity(m->command.field, o->status) < 2)
            continue;
        c->entries[c->entry_count++] =
            (struct spool_new_entry){.node = o->node->name,
                                     .route = o->route->name,
                                     .edition = edition_index(c, m->sink_editions[i]),
                                     .was_tried = true,
                                     .status = o->status,
                                     .comment = o->comment};
    }
}

static struct message_commit *commit_new(struct message *m)
{
    size_t most = m->copy_count + m->sink_count;
    struct message_commit *c = calloc(1, sizeof(*c));
    m->commit = c;
    if (!c)
        return NULL;
    c->entries = calloc(most, sizeof(*c->entries));
    c->editions = calloc(most, sizeof(*c->editions));
    c->headers = calloc(most, sizeof(*c->headers));
    c->of = calloc(most, sizeof(struct edition *));
    if (!c->entries || !c->editions || !c->headers || !c->of) {
        commit_free(m);
        return NULL;
    }
    add_copies(m, c);
    add_taken_over(m, c);
    c->commit = (struct spool_commit){.facts = {.received_ms = clock_wall_ms(),
                                                .calling = m->session->calling,
                                                .called = m->session->called,
                                                .remote = m->session->remote_text,
                                                .abstract_syntax = m->abstract_syntax,
                                                .transfer_syntax = m->transfer_syntax,
                                                .sop_class = m->facts.sop_class,
                                                .sop_instance = m->facts.sop_instance,
                                                .priority = m->command.priority,
                                                .field = m->command.field},
                                      .editions = c->editions,
                                      .edition_count = c->edition_count,
                                      .entries = c->entries,
                                      .entry_count = c->entry_count};
    return c;
}

static const char *error_words(enum spool_error e)
{
    return e == SPOOL_FULL ? "queue: full" : "queue: cannot be written";
}

static void on_committed(struct keep *k, enum spool_error error)
{
    struct message *m = k->owner;
    m->commit->is_over = true;
    if (error != SPOOL_DONE) {
        message_preset(m, DIMSE_STATUS_OUT_OF_RESOURCES, error_words(error));
    } else {
        m->queued = (unsigned)m->commit->entry_count;
        for (unsigned i = 0; i < m->sink_count; i++)
            if (dimse_severity(m->command.field, m->outcomes[i].status) >= 2)
                m->outcomes[i].is_taken_over = true;
    }
    message_queue_moved(m);
}

/* False: the message fails anyway, or nothing of it has to be queued. */
static bool wants_commit(const struct message *m)
{
    unsigned failed = 0;
    for (unsigned i = 0; i < m->sink_count; i++) {
        if (dimse_severity(m->command.field, m->outcomes[i].status) < 2)
            continue;
        if (!message_queue_may_take(m, i, m->outcomes[i].status))
            return false;
        failed++;
    }
    return failed + count_copies(m) > 0;
}

bool message_queue_settle(struct message *m)
{
    if (!m->keep || m->is_preset)
        return true;
    if (m->commit)
        return m->commit->is_over;
    if (!wants_commit(m)) {
        return true;
    }
    if (!keep_is_whole(m->keep)) { /* of a copy: nothing else comes here */
        message_preset(m, DIMSE_STATUS_OUT_OF_RESOURCES, error_words(m->keep->error));
        return true;
    }
    if (!commit_new(m)) {
        message_preset(m, DIMSE_STATUS_OUT_OF_RESOURCES, "out of memory");
        return true;
    }
    keep_commit(m->keep, &m->commit->commit, m->commit->headers);
    return false;
}

/* Somebody has got it: then what the others said is noted as well, for storage commitment. */
static bool is_somewhere(const struct message *m)
{
    bool is_there = m->queued > 0;
    for (unsigned i = 0; i < m->sink_count; i++)
        is_there = is_there || dimse_severity(m->command.field, m->outcomes[i].status) < 2;
    return is_there;
}

void message_queue_note(const struct message *m)
{
    struct spool_notes *notes = m->session->relay->notes;
    if (!notes || m->session->config->history_ms == 0 || m->command.field != DIMSE_C_STORE_RQ ||
        !is_somewhere(m))
        return;
    struct spool_relayed r = {.at_ms = clock_wall_ms(),
                              .calling = m->session->calling,
                              .called = m->session->called,
                              .remote = m->session->remote_text,
                              .sop_class = m->facts.sop_class,
                              .sop_instance = m->facts.sop_instance,
                              .bytes = m->received};
    for (unsigned i = 0; i < m->sink_count; i++) {
        const struct message_outcome *o = &m->outcomes[i];
        const struct edition *e = m->sink_editions[i];
        if (o->is_taken_over || o->is_elsewhere)
            continue;
        r.node = o->node->name;
        r.route = o->route->name;
        r.sent_instance = e ? e->facts.sop_instance : m->facts.sop_instance;
        r.status = o->status;
        r.comment = o->comment;
        spool_note(notes, &r);
    }
}

void message_queue_end(struct message *m)
{
    if (m->keep)
        keep_give_up(m->keep);
}

bool message_queue_is_idle(const struct message *m)
{
    return !m->keep || keep_is_idle(m->keep);
}

void message_queue_free(struct message *m)
{
    commit_free(m);
    keep_free(&m->keep);
    free(m->copies);
}
