/*
 * hilum queue retry and drop: orders to whoever has the spool open.
 *
 * They are left in the index. A gateway that runs finds them there, writes them into its log and does them; where none runs this process opens the
 * spool, and does what a gateway would.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "command/json.h"
#include "command/progress.h"
#include "command/queue.h"
#include "command/queue_print.h"
#include "spool/look.h"

enum {
    LOT = 8192,          /* orders at once: nobody else can write to the index meanwhile */
    PATIENCE_MS = 10000, /* without one being carried out */
    POLL_US = 10000,
    MANY = 1000 /* are told of as they go */
};

struct act {
    struct queue *q;
    struct queue_picks picks;
    spool_id lot[LOT];
    json_t *done; /* ids; NULL without --json */
    uint64_t count;
    size_t ordered; /* up to here */
    struct progress progress;
};

static const char *plural(uint64_t count)
{
    return count == 1 ? "entry" : "entries";
}

/* --- asking -------------------------------------------------------------------------------------------------------- */

/* False: it was told why not. */
static bool confirm(struct queue *q, const struct queue_picks *picks)
{
    char bytes[32], answer[16];
    if (q->o.verb != QUEUE_DROP || q->o.yes || picks->count == 0)
        return true;
    if (!isatty(STDIN_FILENO)) {
        queue_fail(q, "drop", "there is no terminal to ask on: --yes drops without asking");
        return false;
    }
    progress_bytes(picks->bytes, bytes);
    fprintf(stderr, "Drop %zu %s (%s) for good? They will not be delivered. [y/N] ", picks->count,
            plural(picks->count), bytes);
    bool is_yes = fgets(answer, sizeof(answer), stdin) &&
                  (strcasecmp(answer, "y\n") == 0 || strcasecmp(answer, "yes\n") == 0);
    if (!is_yes)
        queue_fail(q, "drop", "nothing was dropped");
    return is_yes;
}

/* --- orders -------------------------------------------------------------------------------------------------------- */

/* Many take their time. */
static void draw(struct act *a, size_t left)
{
    if (!a->progress.is_wanted || a->picks.count < MANY)
        return;
    fprintf(stderr, "\r\x1b[K%zu/%zu", a->ordered > left ? a->ordered - left : 0, a->picks.count);
    fflush(stderr);
    a->progress.is_shown = true;
}

static enum result gave_up(const struct queue *q, size_t left)
{
    fprintf(stderr,
            "hilum queue: %s: %zu %s not carried out within %d s: %s. They stay ordered, and are done when "
            "it can be\n",
            q->config->spool.path, left, left == 1 ? "order was" : "orders were", PATIENCE_MS / 1000,
            q->is_in_use ? "the gateway does not take them (its disk may be full, or it is ending)"
                         : "the queue cannot be written");
    return ERR_IO;
}

/* Until they are carried out; as long as it goes on. */
static enum result wait_for(struct act *a, int64_t ticket)
{
    const struct queue *q = a->q;
    size_t left, before = SIZE_MAX;
    uint64_t since = clock_ms();
    for (;;) {
        enum result r = index_orders_left(q->index, ticket, &left);
        if (r != OK || left == 0)
            return r;
        if (left != before) {
            since = clock_ms();
            draw(a, left);
        }
        before = left;
        if (clock_ms() - since >= PATIENCE_MS) {
            progress_clear(&a->progress);
            return gave_up(q, left);
        }
        usleep(POLL_US);
    }
}

static enum result open_if_nobody_has_it(struct queue *q)
{
    char why[SPOOL_PATH_MAX + 256] = "";
    if (q->spool)
        return OK;
    /* It may have ended, or begun, since we looked. */
    enum result r = look_is_in_use(q->config->spool.path, &q->is_in_use, why, sizeof(why));
    if (r != OK)
        fprintf(stderr, "hilum queue: %s\n", why);
    return r != OK || q->is_in_use ? r : queue_spool_open(q);
}

static bool note_done(struct act *a, spool_id id)
{
    a->count++;
    return !a->done || json_array_append_new(a->done, queue_id_json(id)) == 0;
}

/* Of an entry that is there. */
static enum result node_of(struct act *a, spool_id id, struct queue_rows *rows)
{
    bool is_found;
    enum result r = look_row(a->q->index, id, &is_found, queue_rows_take, rows);
    return r == OK && rows->failed ? ERR_MEMORY : r;
}

/* It is at another node than --to says. (For the same node, or without --to, it may have been queued again and delivered since.) */
static enum result was_delivered_elsewhere(struct act *a, spool_id id, char *why, size_t why_cap)
{
    struct queue_rows rows = {0};
    enum result r = node_of(a, id, &rows);
    if (r == OK && rows.count > 0 && strcmp(rows.of[0].node, a->q->o.to) != 0)
        snprintf(why, why_cap, "was delivered to %s meanwhile", rows.of[0].node);
    queue_rows_free(&rows);
    return r;
}

/* An order for an entry that ended just before it is nothing: why[0] is not 0 then. */
static enum result what_became(struct act *a, spool_id id, char *why, size_t why_cap)
{
    enum spool_state state = SPOOL_QUEUED;
    bool is_found;
    enum result r = look_state(a->q->index, id, &is_found, &state);
    why[0] = '\0';
    if (r != OK)
        return r;
    if (a->q->o.verb == QUEUE_DROP && !(is_found && state == SPOOL_DROPPED))
        snprintf(why, why_cap, "%s",
                 !is_found || state == SPOOL_DELIVERED ? "was delivered meanwhile" : "was not dropped");
    else if (a->q->o.verb == QUEUE_RETRY && is_found && state == SPOOL_DROPPED)
        snprintf(why, why_cap, "was dropped meanwhile");
    else if (a->q->o.verb == QUEUE_RETRY && a->q->o.to && is_found && state == SPOOL_DELIVERED)
        r = was_delivered_elsewhere(a, id, why, why_cap);
    return r;
}

static enum result look_what_became(struct act *a, spool_id id)
{
    char why[320], text[SPOOL_ID_TEXT];
    enum result r = what_became(a, id, why, sizeof(why));
    if (r != OK)
        return r;
    if (why[0] == '\0')
        return note_done(a, id) ? OK : ERR_MEMORY;
    spool_id_text(id, text);
    queue_fail(a->q, text, why);
    return OK;
}

static enum result order_lot(struct act *a, size_t from, size_t count)
{
    struct queue *q = a->q;
    int64_t ticket = 0;
    for (size_t n = 0; n < count; n++)
        a->lot[n] = a->picks.of[from + n].id;
    enum result r = index_order(q->index, a->lot, count, q->o.verb == QUEUE_DROP, q->o.to, &ticket);
    if (r == OK)
        r = open_if_nobody_has_it(q);
    if (r == OK)
        r = wait_for(a, ticket);
    for (size_t n = 0; r == OK && n < count; n++)
        r = look_what_became(a, a->lot[n]);
    return r;
}

static enum result order_all(struct act *a)
{
    enum result r = OK;
    for (size_t from = 0; r == OK && from < a->picks.count; from += LOT) {
        size_t left = a->picks.count - from, count = left < LOT ? left : LOT;
        a->ordered = from + count;
        r = order_lot(a, from, count);
    }
    progress_clear(&a->progress);
    return r;
}

/* --- what is told -------------------------------------------------------------------------------------------------- */

static enum result print(struct act *a)
{
    const struct queue_options *o = &a->q->o;
    bool is_drop = o->verb == QUEUE_DROP;
    if (!a->done) {
        printf("%" PRIu64 " %s %s%s%s", a->count, plural(a->count), is_drop ? "dropped" : "queued again",
               o->to ? " for " : "", o->to ? o->to : "");
        if (a->picks.left > 0)
            printf(", %" PRIu64 " left", a->picks.left);
        putchar('\n');
        return OK;
    }
    char *text = command_json_line(json_pack(
        "{s:I, s:O, s:o, s:o}", is_drop ? "dropped" : "retried", (json_int_t)a->count, "entries", a->done,
        "to", o->to ? command_json_text(o->to) : json_null(), "failures", queue_failures(a->q)));
    if (text)
        puts(text);
    free(text);
    return text ? OK : ERR_MEMORY;
}

/* Of what was asked for by what it has in common: nothing would happen to those. */
static void tell_of_gone_nodes(struct queue *q, const struct queue_picks *picks)
{
    char why[160];
    for (size_t n = 0; q->o.id_count == 0 && n < picks->gone_count; n++) {
        uint64_t left = picks->gone[n].left;
        snprintf(why, sizeof(why),
                 "is not in the configuration: %" PRIu64 " %s left as %s, --to NODE names another node", left,
                 left == 1 ? "entry was" : "entries were", left == 1 ? "it is" : "they are");
        queue_fail(q, picks->gone[n].node, why);
    }
    if (picks->gone_count == 0 && q->o.verb == QUEUE_RETRY && q->o.node && !q->o.to &&
        !config_node_named(q->config, q->o.node))
        queue_fail(q, q->o.node,
                   "is not in the configuration: entries for it wait until --to names another node");
}

enum result queue_act(struct queue *q)
{
    struct act *a = calloc(1, sizeof(*a));
    if (!a)
        return ERR_MEMORY;
    a->q = q;
    progress_init(&a->progress, false);
    a->done = q->o.json ? json_array() : NULL;
    enum result r = q->o.json && !a->done ? ERR_MEMORY : queue_pick(q, &a->picks);
    if (r == OK)
        tell_of_gone_nodes(q, &a->picks);
    if (r == OK && confirm(q, &a->picks)) {
        r = order_all(a);
        if (r == OK || (r == ERR_IO && a->count > 0)) {
            enum result printed = print(a);
            r = r == OK ? printed : r;
        }
    }
    queue_picks_free(&a->picks);
    json_decref(a->done);
    free(a);
    return r;
}
