/* What the log says, as rows: commits, outcomes, relayed deliveries, orders. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spool/index_inside.h"

enum { ATTEMPTS_KEPT = 64 /* the first one, and the last ones */, GROUP_MAX = 192 };

enum result index_count_segments(struct index *i, struct view streams, uint32_t generation, uint32_t segment,
                                 int by)
{
    struct record_place *places = NULL;
    size_t count = 0;
    enum result r = record_streams_places(streams, &places, &count);
    for (size_t n = 0; r == OK && n < count; n++)
        r = index_add(i, &i->segments, places[n].generation, places[n].segment, by, 0);
    free(places);
    return r == OK ? index_add(i, &i->segments, generation, segment, by, 0) : r;
}

static enum result add_attempt(struct index *i, spool_id id, unsigned number, uint64_t at_ms, uint16_t status,
                               struct view comment)
{
    RETURN_UNLESS_OK(index_do(i, INDEX_ATTEMPT_NEW, "INSERT OR IGNORE INTO attempt VALUES(?, ?, ?, ?, ?)",
                              "iiiiv", (int64_t)id, (int64_t)number, (int64_t)at_ms, (int64_t)status,
                              comment));
    if (number <= ATTEMPTS_KEPT)
        return OK;
    return index_do(i, INDEX_ATTEMPT_FORGET, "DELETE FROM attempt WHERE entry = ? AND number = ?", "ii",
                    (int64_t)id, (int64_t)number - ATTEMPTS_KEPT + 1);
}

/* --- commits ------------------------------------------------------------------------------------------------- */

/* A group is of a route, for all its nodes. Each instance that comes puts its time off. An instance that does not say of which group it is waits
 * alone. */
static enum result join_group(struct index *i, const struct record_commit *c, const struct record_entry *e,
                              int64_t route, int64_t *held_out)
{
    bool is_series = e->group.len == 6 && memcmp(e->group.at, "series", 6) == 0;
    struct view uid = is_series ? c->series : c->study;
    char group[GROUP_MAX];
    if (uid.len > 0)
        snprintf(group, sizeof(group), "%s %.*s", is_series ? "series" : "study", (int)uid.len,
                 (const char *)uid.at);
    else
        snprintf(group, sizeof(group), "message %llu", (unsigned long long)c->message);
    return index_number(
        i, INDEX_HELD_SET, 0, held_out,
        "INSERT INTO held(asks, due, since, route, uid) VALUES(?, ?, ?, ?, ?) ON CONFLICT(route, uid) "
        "DO UPDATE SET due = max(due, excluded.due), since = max(since, excluded.since), "
        "asks = max(asks, excluded.asks) RETURNING number",
        "iiiit", (int64_t)e->asks, (int64_t)(c->received_ms + e->hold_ms), (int64_t)c->received_ms, route,
        group);
}

struct new_entry {
    int64_t node, route, held;
    enum spool_state state;
    struct view comment, sent;
    bool is_sent_another;
};

static enum result insert_entry(struct index *i, const struct record_commit *c, const struct record_entry *e,
                                int64_t study, const struct new_entry *n)
{
    int64_t due = n->state == SPOOL_HELD ? (int64_t)(c->received_ms + e->hold_ms) : 0;
    sqlite3_stmt *s = index_ask(
        i, INDEX_ENTRY_NEW,
        "INSERT INTO delivery(id, message, node, state, study, route, due, attempts, status, comment, "
        "queued, changed, bytes, edition, received, held, sent, sent_instance) "
        "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        "iiiiiiiiiviiiiinnn", (int64_t)e->id, (int64_t)c->message, n->node, (int64_t)n->state, study,
        n->route, due, (int64_t)e->was_tried, (int64_t)e->status, n->comment, (int64_t)c->received_ms,
        (int64_t)c->received_ms, (int64_t)c->bytes, (int64_t)e->edition,
        (int64_t)index_hash(c->sop_instance));
    if (!s)
        return ERR_IO;
    if (!e->was_tried)
        sqlite3_bind_null(s, 9);
    if (n->comment.len == 0)
        sqlite3_bind_null(s, 10);
    if (n->state == SPOOL_HELD)
        sqlite3_bind_int64(s, 16, n->held);
    if (n->is_sent_another) {
        sqlite3_bind_int64(s, 17, index_hash(n->sent));
        sqlite3_bind_text(s, 18, (const char *)n->sent.at, (int)n->sent.len, SQLITE_STATIC);
    }
    enum result r = index_step(i, s);
    index_done(s);
    return r == NEED_MORE ? OK : ERR_IO;
}

static enum result take_entry(struct index *i, const struct record_commit *c, const struct record_entry *e,
                              int64_t study, const char *damage)
{
    struct new_entry n = {.comment = damage ? view_of(damage) : e->comment};
    n.state = damage ? SPOOL_FAILED_FOR_GOOD : e->hold_ms > 0 ? SPOOL_HELD : SPOOL_QUEUED;
    struct view class;
    n.is_sent_another =
        record_commit_sent(c, e->edition, &class, &n.sent) && n.sent.len > 0 &&
        (n.sent.len != c->sop_instance.len || memcmp(n.sent.at, c->sop_instance.at, n.sent.len) != 0);
    RETURN_UNLESS_OK(index_name(i, e->node, &n.node));
    RETURN_UNLESS_OK(index_name(i, e->route, &n.route));
    if (n.state == SPOOL_HELD)
        RETURN_UNLESS_OK(join_group(i, c, e, n.route, &n.held));
    RETURN_UNLESS_OK(insert_entry(i, c, e, study, &n));
    if (c->field != RECORD_C_STORE)
        RETURN_UNLESS_OK(index_line_join(i, e->id, n.node, n.is_sent_another ? n.sent : c->sop_instance));
    if (e->was_tried)
        RETURN_UNLESS_OK(add_attempt(i, e->id, 1, c->received_ms, e->status, e->comment));
    return index_add(i, &i->tally, n.node, n.state, 1, (int64_t)c->bytes);
}

enum result index_take_commit(struct index *i, const struct record_commit *c, uint32_t segment,
                              const char *damage)
{
    int64_t calling, called, remote, abstract, transfer, class, study;
    int64_t entries = (int64_t)c->entry_count;
    if (entries == 0)
        return OK;
    RETURN_UNLESS_OK(index_name(i, c->calling, &calling));
    RETURN_UNLESS_OK(index_name(i, c->called, &called));
    RETURN_UNLESS_OK(index_name(i, c->remote, &remote));
    RETURN_UNLESS_OK(index_name(i, c->abstract_syntax, &abstract));
    RETURN_UNLESS_OK(index_name(i, c->transfer_syntax, &transfer));
    RETURN_UNLESS_OK(index_name(i, c->sop_class, &class));
    RETURN_UNLESS_OK(
        index_do(i, INDEX_MESSAGE_NEW,
                 "INSERT OR IGNORE INTO message VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                 "iiiiiiiiiiiivvvb", (int64_t)c->message, entries, entries, (int64_t)c->received_ms,
                 (int64_t)segment, index_priority(c->priority, c->field), calling, called, remote, abstract,
                 transfer, class, c->sop_instance, c->series, c->patient, c->streams));
    if (sqlite3_changes(i->db) == 0)
        return OK; /* it is here */
    RETURN_UNLESS_OK(index_study(i, c->study, c->received_ms, &study));
    bool is_held = false;
    for (size_t n = 0; n < c->entry_count; n++) {
        RETURN_UNLESS_OK(take_entry(i, c, &c->entries[n], study, damage));
        is_held = is_held || c->entries[n].hold_ms > 0;
    }
    if (is_held)
        RETURN_UNLESS_OK(index_do(i, INDEX_SYNTAX_NEW, "INSERT OR IGNORE INTO syntax VALUES(?, ?, ?)", "iii",
                                  study, abstract, transfer));
    return index_count_segments(i, c->streams, index_generation(c->message), segment, 1);
}

/* --- changes of state ------------------------------------------------------------------------------------------ */

enum result index_delivery_get(struct index *i, spool_id id, struct index_delivery *d, bool *is_found_out)
{
    *is_found_out = false;
    sqlite3_stmt *s =
        index_ask(i, INDEX_DELIVERY_GET,
                  "SELECT message, node, state, study, bytes, attempts, held FROM delivery WHERE id = ?", "i",
                  (int64_t)id);
    if (!s)
        return ERR_IO;
    enum result r = index_step(i, s);
    if (r == OK) {
        *is_found_out = true;
        *d = (struct index_delivery){
            .id = id,
            .message = sqlite3_column_int64(s, 0),
            .node = sqlite3_column_int64(s, 1),
            .state = (enum spool_state)sqlite3_column_int(s, 2),
            .study = sqlite3_column_int64(s, 3),
            .bytes = sqlite3_column_int64(s, 4),
            .attempts = (unsigned)sqlite3_column_int64(s, 5),
            .held = sqlite3_column_int64(s, 6),
        };
    }
    index_done(s);
    return r == ERR_IO ? r : OK;
}

/* One entry less of a message that is live; with the last one its segments are not needed any more. */
static enum result end_one(struct index *i, int64_t message)
{
    sqlite3_stmt *s = index_ask(
        i, INDEX_MESSAGE_ENDED,
        "UPDATE message SET live = live - 1 WHERE id = ? RETURNING live, segment, streams", "i", message);
    if (!s)
        return ERR_IO;
    bool is_over = false;
    enum result r = index_step(i, s);
    if (r == OK && sqlite3_column_int64(s, 0) == 0) {
        struct view streams = {sqlite3_column_blob(s, 2), (size_t)sqlite3_column_bytes(s, 2)};
        r = index_count_segments(i, streams, index_generation((spool_id)message),
                                 (uint32_t)sqlite3_column_int64(s, 1), -1);
        is_over = true;
    }
    index_done(s);
    if (r == OK && is_over)
        r = index_added_ended(i, message);
    return r == NEED_MORE ? OK : r;
}

static enum result count_move(struct index *i, const struct index_delivery *d, int64_t node,
                              enum spool_state state)
{
    RETURN_UNLESS_OK(index_add(i, &i->tally, d->node, d->state, -1, -d->bytes));
    if (!index_is_live(state)) {
        RETURN_UNLESS_OK(index_line_leave(i, d->id));
        return end_one(i, d->message);
    }
    if (node != d->node)
        RETURN_UNLESS_OK(index_line_change(i, d->id, node));
    return index_add(i, &i->tally, node, state, 1, d->bytes);
}

enum result index_delivery_move(struct index *i, const struct index_delivery *d, int64_t node,
                                enum spool_state state, uint64_t due_ms, uint64_t at_ms)
{
    RETURN_UNLESS_OK(index_do(
        i, INDEX_DELIVERY_MOVE, "UPDATE delivery SET node = ?, state = ?, due = ?, changed = ? WHERE id = ?",
        "iiiii", node, (int64_t)state, (int64_t)due_ms, (int64_t)at_ms, (int64_t)d->id));
    return count_move(i, d, node, state);
}

static enum result take_attempt(struct index *i, const struct index_delivery *d,
                                const struct spool_outcome *o)
{
    struct view comment = o->comment ? view_of(o->comment) : (struct view){0};
    uint64_t due = o->state == SPOOL_WAITING ? o->due_ms : 0;
    RETURN_UNLESS_OK(index_do(i, INDEX_DELIVERY_TRIED,
                              "UPDATE delivery SET state = ?, due = ?, changed = ?, attempts = ?, status = ?,"
                              " comment = nullif(?, '') WHERE id = ?",
                              "iiiiivi", (int64_t)o->state, (int64_t)due, (int64_t)o->at_ms,
                              (int64_t)d->attempts + 1, (int64_t)o->status, comment, (int64_t)d->id));
    if (d->attempts > 0 || o->state != SPOOL_DELIVERED)
        RETURN_UNLESS_OK(add_attempt(i, d->id, d->attempts + 1, o->at_ms, o->status, comment));
    return count_move(i, d, d->node, o->state);
}

enum result index_take_outcome(struct index *i, const struct spool_outcome *o)
{
    struct index_delivery d;
    bool is_found;
    if (o->state == SPOOL_HELD || o->state >= SPOOL_RELAYED)
        return OK;
    RETURN_UNLESS_OK(index_delivery_get(i, o->id, &d, &is_found));
    if (!is_found || !index_is_live(d.state))
        return OK;
    if (o->was_tried)
        return take_attempt(i, &d, o);
    if (o->status != 0 && o->comment) /* why it waits */
        RETURN_UNLESS_OK(index_do(i, INDEX_DELIVERY_WHY,
                                  "UPDATE delivery SET status = ?, comment = nullif(?, '') WHERE id = ?",
                                  "ivi", (int64_t)o->status, view_of(o->comment), (int64_t)o->id));
    uint64_t due = o->state == SPOOL_WAITING ? o->due_ms : 0;
    return index_delivery_move(i, &d, d.node, o->state, due, o->at_ms);
}

enum result index_take_order(struct index *i, const struct record_order *o)
{
    struct index_delivery d;
    bool is_found;
    RETURN_UNLESS_OK(index_delivery_get(i, o->id, &d, &is_found));
    if (!is_found || !index_is_live(d.state))
        return OK;
    int64_t node = d.node;
    if (!o->drop && o->to.len > 0)
        RETURN_UNLESS_OK(index_name(i, o->to, &node));
    return index_delivery_move(i, &d, node, o->drop ? SPOOL_DROPPED : SPOOL_QUEUED, 0, o->at_ms);
}
