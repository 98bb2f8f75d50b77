#include "command/sender.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/text.h"
#include "command/feed.h"
#include "dicom/uid.h"
#include "dimse/status.h"
#include "pdu/write.h"

enum { DRAW_MS = 100, TRIES = 2 };

struct sender {
    struct client client;
    struct files *files;
    struct report *report;
    struct feed feed;
    struct association *a; /* NULL between two */
    unsigned association;  /* its number in the plan */
    uint8_t *answers;      /* of a context of the plan: enum pdu_context_result */
    size_t next;           /* where the search for the next file goes on */
    struct file *file;     /* on its way, or NULL */
    uint16_t message_id;
    bool has_begun, is_fed; /* the file's command set is out; its data set too */
    bool has_answer;
    uint16_t status;
    char comment[65];
    bool is_releasing, is_done;
    char file_fault[128]; /* ours: why the association was given up in the middle of a file */
    uint64_t start_ms, done_ms;
    uint64_t done_bytes; /* of files that are through, either way */
    uint64_t done_files;
    struct io_timer response, draw;
};

static void go_on(struct sender *s);

static void draw(struct sender *s)
{
    uint64_t on_the_way = s->feed.fed;
    uint64_t backlog = s->a && s->file ? association_backlog(s->a) : 0;
    on_the_way = s->file && on_the_way > backlog ? on_the_way - backlog : 0;
    struct progress_numbers n = {.files_done = s->done_files,
                                 .files_total = s->files->count,
                                 .bytes_done = s->done_bytes + on_the_way,
                                 .bytes_total = s->files->bytes,
                                 .elapsed_ms = io_now(s->client.io) - s->start_ms};
    progress_draw(s->report->progress, &n);
}

static void on_draw(struct io_timer *t)
{
    struct sender *s = t->owner;
    draw(s);
    io_timer_start(s->client.io, t, DRAW_MS);
}

/* --- files ------------------------------------------------------------------------------------------------ */

static void count_done(struct sender *s, struct file *file, enum file_state state)
{
    file->state = state;
    s->done_files++;
    s->done_bytes += file->bytes;
    if (s->file == file)
        s->file = NULL;
}

static void fail_file(struct sender *s, struct file *file, const char *why)
{
    count_done(s, file, FILE_FAILED);
    report_failure(s->report, file->path, why);
}

static void finish(struct sender *s)
{
    if (s->is_done)
        return;
    s->is_done = true;
    s->done_ms = io_now(s->client.io);
}

static void fail_rest(struct sender *s, const char *why)
{
    uint64_t count = 0;
    for (size_t i = 0; i < s->files->count; i++) {
        struct file *file = &s->files->list[i];
        if (file->state != FILE_WAITING)
            continue;
        report_unsent(s->report, file->path, why);
        count_done(s, file, FILE_FAILED);
        count++;
    }
    report_say(s->report, "%s: %s", s->client.options->target.text, why);
    if (count > 0)
        report_say(s->report, "%" PRIu64 " file%s not sent", count, count == 1 ? "" : "s");
    finish(s);
}

static const struct plan_context *context_of(const struct sender *s, const struct file *file)
{
    return &s->files->plan.contexts[file->context];
}

static const char *name_of(const char *uid)
{
    const struct dicom_uid *known = dicom_uid_find(uid, strlen(uid));
    return known ? known->name : uid;
}

static void refuse_file(struct sender *s, struct file *file)
{
    char why[256];
    const struct plan_context *c = context_of(s, file);
    uint8_t answer = s->answers[file->context];
    if (answer == PDU_CONTEXT_ABSTRACT_SYNTAX)
        snprintf(why, sizeof(why), "the node does not accept %s", name_of(c->sop_class));
    else
        snprintf(why, sizeof(why), "the node does not accept %s in %s", name_of(c->sop_class),
                 name_of(c->transfer_syntax));
    fail_file(s, file, why);
}

/* The next file of this association that a context was accepted for; those without one fail here. */
static struct file *next_file(struct sender *s)
{
    for (; s->next < s->files->count; s->next++) {
        struct file *file = &s->files->list[s->next];
        if (file->state != FILE_WAITING || context_of(s, file)->association != s->association)
            continue;
        if (s->answers[file->context] == PDU_CONTEXT_ACCEPTED)
            return file;
        refuse_file(s, file);
    }
    return NULL;
}

static void send_next(struct sender *s)
{
    s->file = next_file(s);
    s->has_begun = s->is_fed = s->has_answer = false;
    s->file_fault[0] = '\0';
    if (s->file) {
        feed_open(&s->feed, s->file->path, s->file->offset);
        return;
    }
    s->is_releasing = true;
    association_release(s->a);
}

/* The file is over when its data set is out and its answer is in, whichever came first. */
static void finish_file(struct sender *s)
{
    if (!s->file || !s->is_fed || !s->has_answer)
        return;
    struct file *file = s->file;
    io_timer_stop(s->client.io, &s->response);
    count_done(s, file, dimse_store_severity(s->status) <= 1 ? FILE_SENT : FILE_FAILED);
    report_response(s->report, file->path, file->bytes, s->status, s->comment);
    send_next(s);
}

static void on_feed_open(struct feed *f)
{
    struct sender *s = f->owner;
    const struct plan_context *context = context_of(s, s->file);
    struct dimse_command c = {
        .has = DIMSE_HAS_AFFECTED_CLASS | DIMSE_HAS_FIELD | DIMSE_HAS_MESSAGE_ID | DIMSE_HAS_PRIORITY |
               DIMSE_HAS_DATA_SET_TYPE | DIMSE_HAS_AFFECTED_INSTANCE,
        .affected_class = {(const uint8_t *)context->sop_class, strlen(context->sop_class)},
        .field = DIMSE_C_STORE_RQ,
        .message_id = ++s->message_id,
        .data_set_type = DIMSE_DATA_SET,
        .affected_instance = {(const uint8_t *)s->file->instance, strlen(s->file->instance)},
    };
    s->has_begun = true;
    if (!association_send_command(s->a, context->id, &c)) {
        association_abort(s->a, "out of memory");
        return;
    }
    feed_start(f, s->a);
}

static void on_feed_done(struct feed *f, const char *why)
{
    struct sender *s = f->owner;
    if (!why) {
        s->is_fed = true;
        io_timer_start(s->client.io, &s->response, s->client.options->timeout_ms);
        finish_file(s);
        return;
    }
    if (!s->has_begun) { /* it could not be opened: the association is none the worse */
        fail_file(s, s->file, why);
        send_next(s);
        return;
    }
    text_copy(s->file_fault, sizeof(s->file_fault), why, strlen(why));
    association_abort(s->a, s->file_fault); /* half a data set cannot be taken back otherwise */
}

static void on_feed_idle(struct feed *f)
{
    go_on(f->owner);
}

static const struct feed_user feed_user = {
    .on_open = on_feed_open, .on_done = on_feed_done, .on_idle = on_feed_idle};

/* --- associations ------------------------------------------------------------------------------------------ */

static void on_established(struct association *a)
{
    struct sender *s = a->owner;
    const struct plan *plan = &s->files->plan;
    uint32_t max_pdu = s->client.options->max_pdu;
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_context *c = &plan->contexts[i];
        if (c->association != s->association)
            continue;
        const struct pdu_context *answer = pdu_associate_context(&a->ul.accept, c->id);
        if (association_context(a, c->id))
            s->answers[i] = PDU_CONTEXT_ACCEPTED;
        else /* one that was passed over, or accepted with a transfer syntax that was not proposed, is of no use either */
            s->answers[i] = answer && answer->result ? answer->result : PDU_CONTEXT_NO_REASON;
    }
    if (max_pdu > 0)
        a->fragment_max = pdu_fragment_max(max_pdu, a->fragment_max);
    send_next(s);
}

static void on_command(struct association *a, uint8_t context_id, const struct dimse_command *c)
{
    struct sender *s = a->owner;
    (void)context_id;
    if (!s->file || !s->has_begun || s->has_answer || c->field != DIMSE_C_STORE_RSP ||
        c->responded_id != s->message_id || dimse_has_data_set(c)) {
        association_fault(
            a, (struct pdu_fault){PDU_ABORT_UNEXPECTED_PARAMETER, "unexpected message from the node"});
        return;
    }
    s->has_answer = true;
    s->status = c->status;
    text_printable(s->comment, sizeof(s->comment), (const char *)c->comment.at,
                   text_trim_end((const char *)c->comment.at, c->comment.len));
    finish_file(s);
}

static void on_data(struct association *a, struct buf *b, uint8_t *at, uint32_t len)
{
    (void)a, (void)b, (void)at, (void)len; /* no message with data gets past on_command */
}

static void on_data_end(struct association *a)
{
    (void)a;
}

static void on_sent(struct association *a)
{
    struct sender *s = a->owner;
    feed_go_on(&s->feed);
    if (s->response.is_armed) /* counted from the last byte */
        io_timer_start(s->client.io, &s->response, s->client.options->timeout_ms);
}

static void on_response_timeout(struct io_timer *t)
{
    struct sender *s = t->owner;
    association_fault(s->a, (struct pdu_fault){PDU_ABORT_UNSPECIFIED, "no answer to the C-STORE"});
}

/* The file on its way when the association ended: another try, or none. */
static void lose_file(struct sender *s, const char *why)
{
    struct file *file = s->file;
    s->file = NULL;
    if (s->file_fault[0]) { /* the file is at fault, and would be again */
        fail_file(s, file, s->file_fault);
        return;
    }
    if (++file->tries == TRIES)
        fail_file(s, file, why);
    else if (!s->report->is_quiet)
        report_say(s->report, "%s: %s; trying once more", file->path, why);
}

static void on_end(struct association *a, enum association_end how, const char *why)
{
    struct sender *s = a->owner;
    bool was_established = a->is_established;
    s->a = NULL;
    io_timer_stop(s->client.io, &s->response);
    feed_stop(&s->feed);
    if (s->is_done) {
        /* interrupted, or given up: the report is complete */
    } else if (!was_established) {
        fail_rest(s, client_why(a, how, why));
    } else {
        if (s->file)
            lose_file(s, how == ASSOCIATION_RELEASED ? "released by the node before its answer" : why);
        else if (how == ASSOCIATION_CLOSED && !s->is_releasing)
            fail_rest(s, why);
        go_on(s);
    }
    client_leave(a);
}

static const struct association_user user = {
    .on_established = on_established,
    .on_command = on_command,
    .on_data = on_data,
    .on_data_end = on_data_end,
    .on_sent = on_sent,
    .on_end = on_end,
    .on_gone = client_on_gone,
};

static bool propose(struct sender *s, struct pdu_associate *request)
{
    const struct plan *plan = &s->files->plan;
    if (!client_request(&s->client, PDU_CONTEXTS_MAX, request))
        return false;
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_context *c = &plan->contexts[i];
        const char *transfer_syntax = c->transfer_syntax;
        if (c->association == s->association &&
            !client_context(request, c->id, c->sop_class, &transfer_syntax, 1))
            return false;
    }
    return true;
}

static void connect_next(struct sender *s)
{
    const struct client_options *o = s->client.options;
    struct pdu_associate request;
    s->next = 0;
    s->is_releasing = false;
    if (!propose(s, &request) || !(s->a = client_association(&s->client, &user, s))) {
        pdu_associate_free(&request);
        fail_rest(s, "out of memory");
        return;
    }
    association_connect_take(s->a, o->target.host, o->target.port, &request);
}

/* An association has ended and the feed is at rest: the next association that has files waiting, if any. */
static void go_on(struct sender *s)
{
    if (s->is_done || s->a || feed_is_active(&s->feed))
        return;
    size_t i = 0;
    while (i < s->files->count && s->files->list[i].state != FILE_WAITING)
        i++;
    if (i == s->files->count) {
        finish(s);
        return;
    }
    s->association = context_of(s, &s->files->list[i])->association;
    connect_next(s);
}

static void on_interrupt(struct client *c)
{
    struct sender *s = c->owner;
    if (s->is_done)
        return;
    struct association *a = s->a;
    fail_rest(s, "interrupted");
    if (a)
        association_abort(a, "interrupted");
}

/* --- the whole --------------------------------------------------------------------------------------------- */

static enum result open_sender(struct sender *s, const struct client_options *o)
{
    s->client.on_interrupt = on_interrupt;
    s->client.owner = s;
    s->answers = calloc(s->files->plan.count, sizeof(*s->answers));
    if (!s->answers)
        return ERR_MEMORY;
    enum result r = client_open(&s->client, o);
    if (r != OK)
        return r;
    s->feed.user = &feed_user;
    s->feed.owner = s;
    s->feed.io = s->client.io;
    s->feed.pool = &s->client.pool;
    s->response = (struct io_timer){.on_fire = on_response_timeout, .owner = s};
    s->draw = (struct io_timer){.on_fire = on_draw, .owner = s};
    return feed_init(&s->feed) ? OK : ERR_MEMORY;
}

static void close_sender(struct sender *s)
{
    io_timer_stop(s->client.io, &s->draw);
    io_timer_stop(s->client.io, &s->response);
    if (s->client.associations > 0 || feed_is_active(&s->feed))
        return; /* the end of the process takes it */
    feed_free(&s->feed);
    client_close(&s->client);
    free(s->answers);
    free(s);
}

enum result sender_run(const struct client_options *o, struct files *files, struct report *report,
                       uint64_t *elapsed_ms_out)
{
    struct sender *s = calloc(1, sizeof(*s));
    if (!s)
        return ERR_MEMORY;
    s->files = files;
    s->report = report;
    enum result r = open_sender(s, o);
    if (r != OK)
        return r;
    s->start_ms = io_now(s->client.io);
    io_timer_start(s->client.io, &s->draw, DRAW_MS);
    go_on(s);
    client_run(&s->client, &s->is_done);
    progress_clear(report->progress);
    *elapsed_ms_out = s->done_ms - s->start_ms;
    close_sender(s);
    return OK;
}
