/* hilum queue list: a summary by node, and rows. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "command/json.h"
#include "command/progress.h"
#include "command/queue.h"
#include "command/queue_print.h"
#include "spool/look.h"

/* --- by node ------------------------------------------------------------------------------------------------------ */

struct summaries {
    struct queue *q;
    struct queue_table words;
    json_t *json;
    bool failed;
};

static void put_summary(struct summaries *all, const struct index_summary *s)
{
    struct queue_table *t = &all->words;
    char age[24] = "", bytes[32];
    if (s->oldest_ms > 0)
        queue_span(all->q->now_ms > s->oldest_ms ? all->q->now_ms - s->oldest_ms : 0, age);
    progress_bytes(s->bytes, bytes);
    if (t->count == 0) {
        static const char *const head[] = {"node",   "held",   "queued", "waiting",
                                           "failed", "oldest", "bytes",  ""};
        for (size_t n = 0; n < sizeof(head) / sizeof(head[0]); n++)
            queue_table_put(t, "%s", head[n]);
    }
    queue_table_put(t, "%s", s->node);
    for (int state = SPOOL_HELD; state <= SPOOL_FAILED_FOR_GOOD; state++)
        queue_table_put(t, "%" PRIu64, s->count[state]);
    queue_table_put(t, "%s", age);
    queue_table_put(t, "%s", bytes);
    queue_table_put(
        t, "%s",
        config_node_named(all->q->config, s->node) ? "" : "is not in the configuration: retry --to, or drop");
}

static json_t *summary_json(const struct queue *q, const struct index_summary *s)
{
    return json_pack("{s:o, s:b, s:I, s:I, s:I, s:I, s:o, s:I}", "node", command_json_text(s->node),
                     "is_configured", config_node_named(q->config, s->node) != NULL, "held",
                     (json_int_t)s->count[SPOOL_HELD], "queued", (json_int_t)s->count[SPOOL_QUEUED],
                     "waiting", (json_int_t)s->count[SPOOL_WAITING], "failed",
                     (json_int_t)s->count[SPOOL_FAILED_FOR_GOOD], "oldest", queue_time_json(s->oldest_ms),
                     "bytes", (json_int_t)s->bytes);
}

static bool on_node(void *owner, const struct index_summary *s)
{
    struct summaries *all = owner;
    if (all->q->o.node && strcmp(all->q->o.node, s->node) != 0)
        return true;
    if (all->q->o.json)
        all->failed = json_array_append_new(all->json, summary_json(all->q, s)) != 0;
    else
        put_summary(all, s);
    return !all->failed;
}

static enum result print_summary(struct queue *q, bool *is_empty_out)
{
    struct summaries all = {.q = q, .words = {.columns = 8, .right = 0x7E}, .json = json_array()};
    enum result r = all.json ? index_summarise(q->index, on_node, &all) : ERR_MEMORY;
    *is_empty_out = all.words.count == 0;
    char *text = r == OK && q->o.json ? command_json_line(json_incref(all.json)) : NULL;
    if (r == OK && (all.failed || all.words.failed || (q->o.json && !text)))
        r = ERR_MEMORY;
    if (r == OK && q->o.json)
        printf("\"nodes\":%s", text);
    else if (r == OK && all.words.count > 0 && queue_table_print(&all.words, stdout))
        putchar('\n');
    free(text);
    json_decref(all.json);
    queue_table_free(&all.words);
    return r;
}

/* --- rows --------------------------------------------------------------------------------------------------------- */

/* What the columns do not say: when it goes on, under which name it goes out, what the node said. */
static void note(const struct queue *q, const struct index_row *row, char *out, size_t cap)
{
    char span[24];
    size_t len = 0;
    out[0] = '\0';
    if (row->state == SPOOL_WAITING || row->state == SPOOL_HELD) {
        bool is_due = row->due_ms <= q->now_ms;
        queue_span(is_due ? 0 : row->due_ms - q->now_ms, span);
        len = (size_t)snprintf(out, cap, "%s%s", is_due ? "due" : "due in ", is_due ? "" : span);
    }
    if (strcmp(row->sop_instance, row->sent_instance) != 0 && len < cap)
        len += (size_t)snprintf(out + len, cap - len, "%sas %s", len ? "; " : "", row->sent_instance);
    if (row->comment[0] != '\0' && len < cap)
        snprintf(out + len, cap - len, "%s%s", len ? "; " : "", row->comment);
}

static void put_head(struct queue_table *t)
{
    static const char *const head[] = {"id",     "state",       "node",     "age", "tries",
                                       "status", "last change", "instance", ""};
    for (size_t n = 0; n < sizeof(head) / sizeof(head[0]); n++)
        queue_table_put(t, "%s", head[n]);
}

static void put_row(const struct queue *q, struct queue_table *t, const struct index_row *row)
{
    char id[SPOOL_ID_TEXT], age[24], when[24], status[8] = "", words[512];
    spool_id_text(row->id, id);
    queue_span(q->now_ms > row->queued_ms ? q->now_ms - row->queued_ms : 0, age);
    queue_time(row->changed_ms, when);
    note(q, row, words, sizeof(words));
    if (row->has_status)
        snprintf(status, sizeof(status), "%04X", row->status);
    queue_table_put(t, "%s", id);
    queue_table_put(t, "%s", spool_state_name(row->state));
    queue_table_put(t, "%s", row->node);
    queue_table_put(t, "%s", age);
    queue_table_put(t, "%u", row->attempts);
    queue_table_put(t, "%s", status);
    queue_table_put(t, "%s", when);
    queue_table_put(t, "%s", row->sop_instance);
    queue_table_put(t, "%s", words);
}

struct listing {
    struct queue *q;
    char study[72]; /* of the last row */
    bool has_begun;
};

static enum result print_words(struct listing *l, const struct queue_rows *rows)
{
    struct queue_table t = {.columns = 9, .right = 1U << 3 | 1U << 4};
    char line[96];
    if (!l->has_begun)
        put_head(&t);
    for (size_t n = 0; n < rows->count; n++) {
        const struct index_row *row = &rows->of[n];
        if (!l->has_begun || strcmp(l->study, row->study) != 0) {
            snprintf(l->study, sizeof(l->study), "%s", row->study);
            snprintf(line, sizeof(line), "study %s", row->study[0] ? l->study : "unknown");
            queue_table_line(&t, line);
        }
        l->has_begun = true;
        put_row(l->q, &t, row);
    }
    enum result r = t.failed ? ERR_MEMORY : OK;
    if (r == OK)
        queue_table_print(&t, stdout);
    queue_table_free(&t);
    return r;
}

static enum result print_json(struct listing *l, const struct queue_rows *rows)
{
    for (size_t n = 0; n < rows->count; n++) {
        char *text = command_json_line(queue_row_json(&rows->of[n]));
        if (!text)
            return ERR_MEMORY;
        printf("%s%s", l->has_begun ? "," : "", text);
        l->has_begun = true;
        free(text);
    }
    return OK;
}

static enum result print_rows(struct queue *q, struct queue_pages *pages)
{
    struct listing l = {.q = q};
    enum result r;
    queue_pages_begin(pages, q);
    while ((r = queue_pages_next(pages)) == OK) {
        r = q->o.json ? print_json(&l, &pages->rows) : print_words(&l, &pages->rows);
        if (r != OK || ferror(stdout))
            break;
    }
    if (r == NEED_MORE && !l.has_begun && !q->o.json)
        fputs("hilum queue: nothing is queued that was asked for\n", stderr);
    return r == NEED_MORE ? OK : r;
}

/* --- the list ------------------------------------------------------------------------------------------------------ */

static bool is_everything(const struct queue_options *o)
{
    return !o->node && !o->study && !o->instance && o->older_ms == 0 && o->after == 0 &&
           o->states == QUEUE_LIVE;
}

static enum result list_words(struct queue *q)
{
    struct queue_pages pages = {0};
    char id[SPOOL_ID_TEXT];
    bool is_empty = false;
    enum result r = OK;
    if (!q->o.study && !q->o.instance && q->o.after == 0)
        r = print_summary(q, &is_empty);
    if (r == OK && is_empty && is_everything(&q->o)) {
        fputs("hilum queue: the queue is empty\n", stderr);
        return OK;
    }
    if (r == OK)
        r = print_rows(q, &pages);
    if (r == OK && pages.has_more) {
        spool_id_text(pages.after, id);
        fprintf(stderr, "hilum queue: there are more: --after %s goes on, --limit 0 shows all\n", id);
    }
    queue_pages_end(&pages);
    return r;
}

static enum result list_json(struct queue *q)
{
    struct queue_pages pages = {0};
    char id[SPOOL_ID_TEXT], next[SPOOL_ID_TEXT + 2] = "null";
    bool is_empty;
    char *path = command_json_line(json_pack("[o]", command_json_text(q->config->spool.path)));
    if (!path)
        return ERR_MEMORY;
    printf("{\"spool\":%.*s,\"is_running\":%s,", (int)strlen(path) - 2, path + 1,
           q->is_in_use ? "true" : "false");
    free(path);
    enum result r = print_summary(q, &is_empty);
    printf(",\"entries\":[");
    if (r == OK)
        r = print_rows(q, &pages);
    if (pages.has_more) {
        spool_id_text(pages.after, id);
        snprintf(next, sizeof(next), "\"%s\"", id);
    }
    if (r == OK)
        printf("],\"next\":%s}\n", next);
    queue_pages_end(&pages);
    return r;
}

/* Before anything is printed: what follows a row that is not there is not known. */
static bool judge_after(struct queue *q)
{
    enum spool_state state;
    bool is_found = true;
    char id[SPOOL_ID_TEXT];
    if (q->o.after != 0 && (look_state(q->index, q->o.after, &is_found, &state) != OK || !is_found)) {
        spool_id_text(q->o.after, id);
        queue_fail(q, id, "there is no such entry, to go on behind it");
    }
    return !q->has_failed;
}

enum result queue_list(struct queue *q)
{
    if (!judge_after(q))
        return OK;
    return q->o.json ? list_json(q) : list_words(q);
}
