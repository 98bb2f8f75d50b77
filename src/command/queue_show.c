/* hilum queue show: one entry, and what has been tried. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "command/json.h"
#include "command/progress.h"
#include "command/queue.h"
#include "command/queue_print.h"
#include "dicom/uid.h"
#include "dimse/command.h"
#include "dimse/status.h"
#include "spool/look.h"

struct attempt {
    uint64_t at_ms;
    uint16_t status;
    char comment[72];
};
struct attempts {
    struct attempt *of;
    size_t count, cap;
    bool failed;
};

static bool on_attempt(void *owner, uint64_t at_ms, uint16_t status, const char *comment)
{
    struct attempts *all = owner;
    if (all->count == all->cap) {
        size_t cap = all->cap ? all->cap * 2 : 16;
        struct attempt *of = realloc(all->of, cap * sizeof(*of));
        if (!of) {
            all->failed = true;
            return false;
        }
        all->of = of;
        all->cap = cap;
    }
    struct attempt *a = &all->of[all->count++];
    *a = (struct attempt){.at_ms = at_ms, .status = status};
    snprintf(a->comment, sizeof(a->comment), "%s", comment);
    return true;
}

/* One that was delivered at the first has no history: its row says all of it. */
static enum result read_attempts(struct queue *q, const struct index_row *row, struct attempts *all)
{
    enum result r = row->is_relayed ? OK : index_attempts(q->index, row->id, on_attempt, all);
    if (r == OK && all->count == 0 && row->attempts > 0 && row->has_status)
        on_attempt(all, row->changed_ms, row->status, row->comment);
    return r == OK && all->failed ? ERR_MEMORY : r;
}

/* --- words -------------------------------------------------------------------------------------------------------- */

static void put(struct queue_table *t, const char *what, const char *value)
{
    if (value[0] == '\0')
        return;
    queue_table_put(t, "  %s", what);
    queue_table_put(t, "%s", value);
}

static void put_uid(struct queue_table *t, const char *what, const char *uid)
{
    const struct dicom_uid *known = dicom_uid_find(uid, strlen(uid));
    char text[160];
    snprintf(text, sizeof(text), "%s%s%s", uid, known ? " " : "", known ? known->name : "");
    put(t, what, text);
}

static void put_time(const struct queue *q, struct queue_table *t, const char *what, uint64_t wall_ms)
{
    char when[24], span[24], text[64];
    bool is_past = wall_ms <= q->now_ms;
    queue_time(wall_ms, when);
    queue_span(is_past ? q->now_ms - wall_ms : wall_ms - q->now_ms, span);
    snprintf(text, sizeof(text), is_past ? "%s (%s ago)" : "%s (in %s)", when, span);
    put(t, what, text);
}

static void put_who(struct queue_table *t, const struct index_row *row)
{
    char from[256];
    snprintf(from, sizeof(from), "%s at %s, called %s", row->calling, row->remote, row->called);
    put(t, "from", from);
}

static void put_line(struct queue_table *t, const struct index_row *row, spool_id before)
{
    char id[SPOOL_ID_TEXT];
    if (row->field != DIMSE_C_STORE_RQ && !row->is_relayed)
        put(t, "command", dimse_field_name(row->field));
    if (before == 0)
        return;
    spool_id_text(before, id);
    put(t, "waits behind", id);
}

static void put_entry(const struct queue *q, struct queue_table *t, const struct index_row *row,
                      spool_id before)
{
    char bytes[32], node[320];
    bool is_gone = !config_node_named(q->config, row->node);
    progress_bytes(row->bytes, bytes);
    snprintf(node, sizeof(node), "%s%s", row->node, is_gone ? " (not in the configuration)" : "");
    put(t, "state", spool_state_name(row->state));
    if (row->state == SPOOL_WAITING || row->state == SPOOL_HELD)
        put_time(q, t, "due", row->due_ms);
    put_line(t, row, before);
    put(t, "node", node);
    put(t, "route", row->route);
    put_who(t, row);
    put_time(q, t, row->is_relayed ? "relayed" : "queued", row->queued_ms);
    if (!row->is_relayed)
        put_time(q, t, "last change", row->changed_ms);
    put_uid(t, "SOP class", row->sop_class);
    put(t, "instance", row->sop_instance);
    if (strcmp(row->sop_instance, row->sent_instance) != 0)
        put(t, "sent as", row->sent_instance);
    put(t, "study", row->study);
    put(t, "series", row->series);
    put(t, "patient", row->patient);
    if (row->transfer_syntax[0] != '\0')
        put_uid(t, "transfer syntax", row->transfer_syntax);
    put(t, "data set", bytes);
}

static void put_attempts(struct queue_table *t, const struct index_row *row, const struct attempts *all)
{
    char when[24], text[256];
    snprintf(text, sizeof(text), "%u", row->attempts);
    put(t, "attempts", text);
    for (size_t n = 0; n < all->count; n++) {
        const struct attempt *a = &all->of[n];
        queue_time(a->at_ms, when);
        snprintf(text, sizeof(text), "    %s  %04X %s%s%s", when, a->status, dimse_status_text(a->status),
                 a->comment[0] ? ": " : "", a->comment);
        queue_table_line(t, text);
        if (n == 0 && all->count < row->attempts)
            queue_table_line(t, "    ...");
    }
}

static enum result print_words(struct queue *q, const struct index_row *row, const struct attempts *all,
                               spool_id before)
{
    struct queue_table t = {.columns = 2};
    char id[SPOOL_ID_TEXT], head[SPOOL_ID_TEXT + 16];
    spool_id_text(row->id, id);
    snprintf(head, sizeof(head), "entry %s", id);
    queue_table_line(&t, head);
    put_entry(q, &t, row, before);
    put_attempts(&t, row, all);
    enum result r = t.failed ? ERR_MEMORY : OK;
    if (r == OK)
        queue_table_print(&t, stdout);
    queue_table_free(&t);
    return r;
}

/* --- JSON --------------------------------------------------------------------------------------------------------- */

static enum result print_json(struct queue *q, const struct index_row *row, const struct attempts *all,
                              spool_id before)
{
    json_t *list = json_array(), *entry = queue_row_json(row);
    bool ok = list && entry;
    for (size_t n = 0; ok && n < all->count; n++) {
        const struct attempt *a = &all->of[n];
        ok = json_array_append_new(list, json_pack("{s:o, s:o, s:o}", "at", queue_time_json(a->at_ms),
                                                   "status", queue_status_json(true, a->status), "comment",
                                                   queue_text_json(a->comment))) == 0;
    }
    ok = ok && json_object_set_new(entry, "is_configured",
                                   json_boolean(config_node_named(q->config, row->node))) == 0;
    ok = ok && json_object_set_new(entry, "waits_behind", before ? queue_id_json(before) : json_null()) == 0;
    if (!ok)
        json_decref(list);
    ok = ok && json_object_set_new(entry, "history", list) == 0;
    char *text = ok ? command_json_line(json_incref(entry)) : NULL;
    if (text)
        puts(text);
    free(text);
    json_decref(entry);
    return ok && text ? OK : ERR_MEMORY;
}

enum result queue_show(struct queue *q)
{
    struct queue_rows rows = {0};
    struct attempts all = {0};
    char id[SPOOL_ID_TEXT];
    bool is_found;
    spool_id before = 0;
    enum result r = look_row(q->index, q->o.ids[0], &is_found, queue_rows_take, &rows);
    spool_id_text(q->o.ids[0], id);
    if (r == OK && rows.failed)
        r = ERR_MEMORY;
    if (r == OK && rows.count == 0)
        queue_fail(q, id, "there is no such entry");
    if (r == OK && rows.count > 0)
        r = read_attempts(q, &rows.of[0], &all);
    if (r == OK && rows.count > 0 && rows.of[0].field != DIMSE_C_STORE_RQ)
        r = index_line_before(q->index, rows.of[0].id, &before);
    if (r == OK && rows.count > 0)
        r = q->o.json ? print_json(q, &rows.of[0], &all, before) : print_words(q, &rows.of[0], &all, before);
    queue_rows_free(&rows);
    free(all.of);
    return r;
}
